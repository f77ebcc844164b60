// SPDX-License-Identifier: Apache-2.0
//
// nft: see nft.h. What a sandbox may reach is decided in the router, by address; what reaches the host's own services
// is decided once more on the host, by interface: everything that comes in from the uplink for this machine is dropped,
// but for the operator's exceptions, so that no address of the host (public ones, other bridges) is a way in.
#include "jail/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/jail.h"
#include "jail/netns.h"
#include "jail/proto.h"

enum { RULES_MAX = 16384, RUN_MS = 5000 };

// Not reachable from sandboxes: this network, private, shared, loopback, link-local (metadata services), protocol
// assignments, benchmarking (our own), multicast and reserved. Source: IANA special-purpose address registry (RFC
// 6890).
#define CLOSED                                                                                                         \
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.168.0.0/16, " \
    "198.18.0.0/15, 224.0.0.0/3"

// An answer rather than silence, so that a function sees at once that it may not. A reset for TCP, because the kernel
// sends only one ICMP error a second to the same address.
#define REFUSE                                                                                                         \
    "  chain refuse {\n    meta l4proto tcp reject with tcp reset\n    meta l4proto udp limit rate 100/second "        \
    "reject\n"                                                                                                         \
    "    drop\n  }\n"

struct rules {
    char text[RULES_MAX];
    size_t used;
};

static void put(struct rules *rules, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct rules *rules, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(rules->text + rules->used, sizeof rules->text - rules->used, format, args);
    va_end(args);
    if (n > 0) rules->used += (size_t)n;
    if (rules->used >= sizeof rules->text) rules->used = sizeof rules->text - 1;
}

static const char *program(void) {
    static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (access(paths[i], X_OK) == 0) return paths[i];
    }
    return NULL;
}

// Waits for a child with a time limit; kills it then. True when it ended with status 0.
static bool finish(pid_t child) {
    for (int waited = 0;; waited += 2) {
        int status;
        pid_t pid = waitpid(child, &status, WNOHANG);
        if (pid < 0) return false;
        if (pid == child) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (waited > RUN_MS) {
            (void)kill(child, SIGKILL);
            (void)waitpid(child, NULL, 0);
            return false;
        }
        (void)poll(NULL, 0, 2);
    }
}

// Runs nft with these arguments in a network namespace (-1: this one), input (may be "") on its standard input; what it
// says goes to ret_output, NUL-terminated. True when it succeeds. Input and output must fit into pipes (64 KiB), so
// that nobody waits.
static bool run(int ns, const char *const arguments[], const char *input, char *ret_output, size_t room) {
    const char *path = program();
    int in[2];
    int out[2] = {-1, -1};
    ret_output[0] = '\0';
    if (path == NULL) {
        snprintf(ret_output, room, "the program nft is not installed (package nftables)");
        return false;
    }
    if (pipe2(in, O_CLOEXEC) != 0) return false;
    pid_t child = pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0 ? fork() : -1;
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (ns >= 0 && setns(ns, CLONE_NEWNET) != 0) _exit(1);
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0) _exit(1);
        execv(path, (char *const *)(uintptr_t)arguments);
        _exit(1);
    }
    sl_jail__close(&in[0]);
    sl_jail__close(&out[1]);
    bool good = child > 0 && write(in[1], input, strlen(input)) == (ssize_t)strlen(input);
    sl_jail__close(&in[1]);
    good = child > 0 && finish(child) && good;
    ssize_t got = out[0] >= 0 ? read(out[0], ret_output, room - 1) : 0;
    ret_output[got > 0 ? got : 0] = '\0';
    sl_jail__close(&out[0]);
    return good;
}

static bool load(int ns, const char *rules, char *ret_said, size_t room) {
    static const char *const arguments[] = {"nft", "-f", "-", NULL};
    bool good = run(ns, arguments, rules, ret_said, room);
    ret_said[strcspn(ret_said, "\n")] = '\0'; // the first line names the problem
    return good;
}

static void put_address(struct rules *rules, const struct sl_jail_allow *allow) {
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &allow->addr, text, sizeof text);
    put(rules, "ip daddr %s/%u ", text, allow->prefix > 32 ? 32 : allow->prefix);
    if (allow->port != 0) put(rules, "tcp dport %u ", allow->port);
}

// prefix: what every rule starts with, e.g. an interface match.
static void put_resolvers(struct rules *rules, const struct sl_jail__router *router, const char *prefix) {
    for (unsigned i = 0; i < router->dns_count; i++) {
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &router->dns[i], text, sizeof text);
        put(rules, "    %sip daddr %s udp dport 53 accept\n    %sip daddr %s tcp dport 53 accept\n", prefix, text,
            prefix, text);
    }
}

// The addresses of this machine: the rootless uplink would reach their services from within the host.
static void put_own_addresses(struct rules *rules) {
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0) return;
    for (struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        char text[INET_ADDRSTRLEN];
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET) continue;
        inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr, text, sizeof text);
        put(rules, "    ip daddr %s jump refuse\n", text);
    }
    freeifaddrs(list);
}

static void router_rules(struct rules *rules, const struct sl_jail__router *router,
                         const struct sl_jail_config *config) {
    put(rules, "table ip sluice {\n"
               "  set closed { type ipv4_addr; flags interval; elements = { " CLOSED " } }\n"
               "  set busy { type ipv4_addr; size 65535; flags dynamic; }\n" REFUSE
               "  chain input {\n    type filter hook input priority 0; policy drop;\n"
               "    ct state established,related accept\n    jump refuse\n  }\n"
               "  chain forward {\n    type filter hook forward priority 0; policy drop;\n"
               "    ct state established,related accept\n    ct state invalid drop\n"
               "    oifname != \"up\" jump refuse\n    ip daddr 169.254.0.0/16 jump refuse\n"
               "    ct state new add @busy { ip saddr ct count over 2048 } jump refuse\n");
    put_resolvers(rules, router, "");
    for (unsigned i = 0; i < config->allow_count; i++) {
        put(rules, "    ");
        put_address(rules, &config->allow[i]);
        put(rules, "accept\n");
    }
    if (!router->uplink) put_own_addresses(rules);
    put(rules, "    ip daddr @closed jump refuse\n    accept\n  }\n"
               "  chain post {\n    type nat hook postrouting priority 100; policy accept;\n"
               "    oifname \"up\" masquerade\n  }\n}\n");
}

static void host_rules(struct rules *rules, const struct sl_jail__router *router, const struct sl_jail_config *config) {
    unsigned n = router->index;
    // Made and deleted first, so that a killed spawner's table of this name does not mix with ours.
    put(rules, "table inet sluice_%u\ndelete table inet sluice_%u\n", n, n);
    put(rules,
        "table inet sluice_%u {\n" REFUSE "  chain input {\n    type filter hook input priority -5; policy accept;\n"
        "    iifname \"slu%u\" ct state established,related accept\n",
        n, n);
    char uplink[32];
    snprintf(uplink, sizeof uplink, "iifname \"slu%u\" ", n);
    put_resolvers(rules, router, uplink); // the resolver may run on this machine
    for (unsigned i = 0; i < config->allow_count; i++) {
        put(rules, "    %s", uplink);
        put_address(rules, &config->allow[i]);
        put(rules, "accept\n");
    }
    put(rules,
        "    iifname \"slu%u\" jump refuse\n  }\n"
        "  chain forward {\n    type filter hook forward priority -5; policy accept;\n"
        "    iifname \"slu%u\" oifname \"slu*\" drop\n"
        "    oifname \"slu%u\" ct state established,related accept\n    oifname \"slu%u\" drop\n",
        n, n, n, n);
    put(rules, "  }\n");
    if (router->forwarding_ours) {
        put(rules,
            "  chain guard {\n    type filter hook forward priority -6; policy accept;\n"
            "    iifname \"%s\" oifname != \"slu*\" drop\n  }\n",
            router->device);
    }
    put(rules,
        "  chain post {\n    type nat hook postrouting priority 100; policy accept;\n"
        "    ip saddr 198.18.%u.%u/30 oifname != \"slu%u\" masquerade\n  }\n}\n",
        (n * 4) >> 8, (n * 4) & 255, n);
}

// Removes host tables whose uplink is gone. A living server makes its interface before its table and removes it after.
static void sweep(void) {
    static const char *const arguments[] = {"nft", "list", "tables", "inet", NULL};
    char text[8192];
    if (!run(-1, arguments, "", text, sizeof text)) return;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned n;
        char name[24];
        char said[256];
        if (sscanf(line, "table inet sluice_%u", &n) != 1) continue;
        snprintf(name, sizeof name, "slu%u", n);
        if (if_nametoindex(name) != 0) continue;
        char command[64];
        snprintf(command, sizeof command, "delete table inet sluice_%u\n", n);
        (void)load(-1, command, said, sizeof said);
    }
}

bool sl_jail__nft_guarded(void) {
    static const char *const arguments[] = {"nft", "list", "chains", "inet", NULL};
    enum { ROOM = 65536 };
    char *text = malloc(ROOM);
    bool ours = false;
    bool guarded = false;
    if (text == NULL || !run(-1, arguments, "", text, ROOM)) {
        free(text);
        return false;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strncmp(line, "table ", 6) == 0) ours = strncmp(line, "table inet sluice_", 18) == 0;
        guarded = guarded || (ours && strstr(line, "chain guard ") != NULL);
    }
    free(text);
    return guarded;
}

int sl_jail__nft_load(const struct sl_jail__router *router, const struct sl_jail_config *config, struct sl_error *err) {
    char said[256] = "";
    sweep();
    struct rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    router_rules(rules, router, config);
    bool good = load(router->ns, rules->text, said, sizeof said);
    if (good && router->uplink) {
        rules->used = 0;
        host_rules(rules, router, config);
        good = load(-1, rules->text, said, sizeof said);
    }
    free(rules);
    return good ? SL_OK : sl_fail(err, SL_E_UNAVAILABLE, "load firewall rules: %s", said);
}

bool sl_jail__nft_try(char *ret_said, size_t room) {
    return load(
        -1,
        "table inet sluice_try {\n" REFUSE "  set busy { type ipv4_addr; size 65535; flags dynamic; }\n"
        "  chain forward { type filter hook forward priority -5; policy accept;\n"
        "    ct state established,related accept\n"
        "    ct state new add @busy { ip saddr ct count over 2048 } jump refuse\n  }\n"
        "  chain post { type nat hook postrouting priority 100; policy accept; oifname \"up\" masquerade; }\n}\n",
        ret_said, room);
}

void sl_jail__nft_unload(const struct sl_jail__router *router) {
    char command[64];
    char said[256];
    snprintf(command, sizeof command, "delete table inet sluice_%u\n", router->index);
    (void)load(-1, command, said, sizeof said);
}
