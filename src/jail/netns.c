// SPDX-License-Identifier: Apache-2.0
//
// netns: see netns.h. sl_jail__netns_make and _listen run in the builder of a sandbox (a child of the spawner), the
// router's functions in the spawner at start and end. Addresses: 198.18.0.0/15 is set aside for testing networks (RFC
// 2544, RFC 6890), so it collides with nothing that functions want to reach, and it is among the ranges closed to them.
// Sandboxes' addresses are seen only inside the router; uplinks (198.18.0.0/16, four addresses each) are seen by the
// host.
#include "jail/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/claim.h"
#include "jail/conntrack.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/netlink.h"
#include "jail/nft.h"
#include "jail/proto.h"
#include "jail/usernet.h"

enum {
    UPLINKS = 4096,
    GATEWAY = 0xa9fe6401 /* 169.254.100.1 */,
    SLOTS = 0xc6130000 /* 198.19.0.0 */,
    UPLINK_NET = 0xc6120000
};

static struct in_addr ip(uint32_t host_order) { return (struct in_addr){.s_addr = htonl(host_order)}; }

static int loopback_up(void) {
    struct ifreq request = {.ifr_flags = IFF_UP};
    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0 ? -errno : 0;
    if (fd >= 0) close(fd);
    return rc;
}

int sl_jail__netns_listen(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    // Reuse: connections of the former user of this namespace may still be winding down.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int sl_jail__netns_listen_unix(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SL_JAIL_SOCKET};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    mode_t mask = umask(0); // the function's user connects, and that asks for the right to write
    int rc = bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0 ? -errno : 0;
    (void)umask(mask);
    if (rc == 0) return fd;
    close(fd);
    return rc;
}

// ---- a sandbox ----

// Both ends of a sandbox's veth: s<slot> in the router, eth0 here.
static int connect_slot(int outside, int inside, int own_ns, unsigned slot, unsigned mtu) {
    char name[16];
    struct in_addr address = ip(SLOTS + slot + 1);
    snprintf(name, sizeof name, "s%u", slot);
    int rc = sl_jail__link_add_veth(outside, name, "eth0", own_ns, mtu);
    if (rc != 0) return rc;
    int index = sl_jail__link_index(outside, name);
    if (index < 0) return index;
    rc = sl_jail__address_add(outside, index, ip(GATEWAY), 32);
    if (rc == 0) rc = sl_jail__link_up(outside, index, NULL);
    if (rc == 0) rc = sl_jail__route_add(outside, index, address, 32, ip(0));
    if (rc != 0) return rc;

    index = sl_jail__link_index(inside, "eth0");
    if (index < 0) return index;
    rc = sl_jail__address_add(inside, index, address, 32);
    if (rc == 0) rc = sl_jail__link_up(inside, index, NULL);
    if (rc == 0) rc = sl_jail__route_add(inside, index, ip(GATEWAY), 32, ip(0));
    if (rc == 0) rc = sl_jail__route_add(inside, index, ip(0), 0, ip(GATEWAY));
    return rc;
}

// Enters the router for as long as it takes to open a socket there.
static int router_socket(const struct sl_jail__router *router, int own_ns, int (*open_socket)(void)) {
    if (setns(router->ns, CLONE_NEWNET) != 0) return -errno;
    int fd = open_socket();
    if (setns(own_ns, CLONE_NEWNET) != 0) {
        int rc = -errno;
        sl_jail__close(&fd);
        return rc;
    }
    return fd;
}

int sl_jail__netns_make(const struct sl_jail__router *router, unsigned slot, bool network, int *ret_ns,
                        const char **ret_step) {
    *ret_step = "make a network namespace";
    if (unshare(CLONE_NEWNET) != 0) return -errno;
    *ret_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (*ret_ns < 0) return -errno;
    int rc = loopback_up();
    if (rc != 0 || !network) return rc;
    *ret_step = "connect the sandbox to the network";
    // No IPv6 on eth0: there are no rules for it.
    (void)sl_jail__write(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    int outside = router_socket(router, *ret_ns, sl_jail__netlink_open);
    int inside = sl_jail__netlink_open();
    rc = outside < 0 ? outside : inside < 0 ? inside : connect_slot(outside, inside, *ret_ns, slot, router->mtu);
    sl_jail__close(&outside);
    sl_jail__close(&inside);
    return rc;
}

// How many packets have left by eth0 of the current network namespace since it was made, or -errno. From a file, since
// asking by netlink takes the kernel's network lock.
static int64_t packets_sent(void) {
    char text[4096];
    unsigned long long packets = 0;
    ssize_t length = sl_jail__read(AT_FDCWD, "/proc/self/net/dev", text, sizeof text);
    if (length < 0) return length;
    const char *line = strstr(text, "eth0:");
    if (line == NULL) return -ENODEV;
    // "eth0:", eight figures of what was received, bytes sent, packets sent.
    return sscanf(line, "eth0: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &packets) == 1 ? (int64_t)packets : -EPROTO;
}

int sl_jail__netns_recycle(const struct sl_jail__router *router, unsigned slot, bool network, int ns, uint64_t *sent) {
    if (setns(ns, CLONE_NEWNET) != 0) return -errno;
    if (!network) return 0;
    // Only a packet of the sandbox's begins a connection there. Counted before they are forgotten: one sent in between
    // counts for the next time.
    int64_t packets = packets_sent();
    if (packets >= 0 && (uint64_t)packets == *sent) return 0;
    if (packets >= 0) *sent = (uint64_t)packets;
    int socket = router_socket(router, ns, sl_jail__conntrack_open);
    int rc = socket < 0 ? socket : sl_jail__conntrack_forget(socket, ip(SLOTS + slot + 1));
    sl_jail__close(&socket);
    // A kernel without this interface: old answers are dropped by the new sandbox, which knows no such connection.
    return rc == -EPROTONOSUPPORT || rc == -EINVAL || rc == -EOPNOTSUPP ? 0 : rc;
}

// ---- the router ----

unsigned sl_jail__resolvers(const struct sl_jail_config *config, struct in_addr *ret_dns, unsigned room) {
    unsigned count = 0;
    for (; count < config->dns_count && count < room; count++) ret_dns[count] = config->dns[count];
    // systemd-resolved puts its stub (loopback) into /etc/resolv.conf and the real servers into the other file.
    static const char *const files[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    for (size_t i = 0; count == 0 && i < sizeof files / sizeof files[0]; i++) {
        char text[4096];
        if (sl_jail__read(AT_FDCWD, files[i], text, sizeof text) <= 0) continue;
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n")) != NULL && count < room;) {
            char address[64];
            struct in_addr dns;
            if (sscanf(line, "nameserver %63s", address) != 1 || inet_pton(AF_INET, address, &dns) != 1) continue;
            if ((ntohl(dns.s_addr) >> 24) != 127) ret_dns[count++] = dns;
        }
    }
    return count;
}

// Name and MTU of the interface of the default route (/proc/net/route: name, destination, gateway, flags, ..., mask).
static void find_default(struct sl_jail__router *router) {
    char text[16384];
    router->mtu = 1500;
    if (sl_jail__read(AT_FDCWD, "/proc/net/route", text, sizeof text) <= 0) return;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char name[16];
        unsigned long destination;
        unsigned long mask;
        if (sscanf(line, "%15s %lx %*x %*x %*d %*d %*d %lx", name, &destination, &mask) != 3 || destination != 0 ||
            mask != 0) {
            continue;
        }
        snprintf(router->device, sizeof router->device, "%s", name);
        char path[64];
        snprintf(path, sizeof path, "/sys/class/net/%s/mtu", name);
        int64_t mtu = sl_jail__read_number(AT_FDCWD, path);
        if (mtu >= 576 && mtu < 1500) router->mtu = (unsigned)mtu;
        return;
    }
}

static int set_forwarding(const char *device, const char *value) {
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/forwarding", device);
    return sl_jail__write(AT_FDCWD, path, value);
}

static bool has_forwarding(const char *device) {
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/forwarding", device);
    return sl_jail__read_number(AT_FDCWD, path) == 1;
}

// In a child: a network namespace that forwards. Returns its descriptor or -errno.
static int become_router(void) {
    if (unshare(CLONE_NEWNET) != 0) return -errno;
    int rc = loopback_up();
    static const char *const settings[][2] = {
        {"/proc/sys/net/ipv4/ip_forward", "1"},
        {"/proc/sys/net/ipv4/conf/all/rp_filter", "1"}, // a sandbox can only send from its own address
        {"/proc/sys/net/ipv4/conf/default/rp_filter", "1"},
        {"/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"},
        {"/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"},
    };
    for (size_t i = 0; rc == 0 && i < sizeof settings / sizeof settings[0]; i++) {
        int failed = sl_jail__write(AT_FDCWD, settings[i][0], settings[i][1]);
        if (failed != 0 && failed != -ENOENT) rc = failed;
    }
    int ns = rc == 0 ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : rc;
    return ns < 0 && rc == 0 ? -errno : ns;
}

// Makes the router's namespace, in a child, because a process in a user namespace could not come back to the host's.
static int make_namespace(struct sl_jail__router *router) {
    int pair[2];
    router->host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (router->host_ns < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    pid_t child = fork();
    if (child == 0) {
        int ns = become_router();
        _exit(sl_jail__send(pair[1], &ns, sizeof ns, &ns, ns >= 0 ? 1 : 0) == 0 ? 0 : 1);
    }
    close(pair[1]);
    int answer = -EIO;
    int fds[SL_JAIL__FDS];
    int rc = child < 0 ? -EAGAIN : sl_jail__receive(pair[0], &answer, sizeof answer, fds);
    if (rc == 1 && answer >= 0) router->ns = fds[0];
    if (child > 0) (void)waitpid(child, NULL, 0);
    close(pair[0]);
    return rc < 0 ? rc : router->ns >= 0 ? 0 : answer < 0 ? answer : -EIO;
}

// The uplink. Its name is what tells the servers of one machine apart: the first free number is ours.
static int make_uplink(struct sl_jail__router *router) {
    int here = sl_jail__netlink_open();
    int there = router_socket(router, router->host_ns, sl_jail__netlink_open);
    int rc = here < 0 ? here : there < 0 ? there : -EEXIST;
    char name[16] = "";
    for (unsigned n = 0; rc == -EEXIST && n < UPLINKS; n++) {
        router->index = n;
        snprintf(name, sizeof name, "slu%u", n);
        rc = sl_jail__link_add_veth(here, name, "up", router->ns, router->mtu);
        router->uplink = rc == 0; // only then the interface of this name is ours to remove
    }
    uint32_t net = UPLINK_NET + router->index * 4;
    if (rc == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
        (void)sl_jail__write(AT_FDCWD, path, "1");
        char alias[48];
        snprintf(alias, sizeof alias, "sluice spawner %d", (int)getpid());
        int index = sl_jail__link_index(here, name);
        rc = index < 0 ? index : sl_jail__address_add(here, index, ip(net + 1), 30);
        if (rc == 0) rc = sl_jail__link_up(here, index, alias);
    }
    if (rc == 0) {
        int index = sl_jail__link_index(there, "up");
        rc = index < 0 ? index : sl_jail__address_add(there, index, ip(net + 2), 30);
        if (rc == 0) rc = sl_jail__link_up(there, index, NULL);
        if (rc == 0) rc = sl_jail__route_add(there, index, ip(0), 0, ip(net + 1));
    }
    sl_jail__close(&here);
    sl_jail__close(&there);
    return rc;
}

// Forwarding is judged by the interface that a packet comes in on, so two are enough: the uplink, and the device of the
// default route for answers.
static int forward(const struct sl_jail__router *router) {
    char name[16];
    snprintf(name, sizeof name, "slu%u", router->index);
    int rc = set_forwarding(name, "1");
    return rc == 0 && router->forwarding_ours ? set_forwarding(router->device, "1") : rc;
}

// Whether forwarding on the default route's device is off but for us: off, or switched on by a Sluice (living or
// killed), whose rules then have a guard.
static bool forwarding_is_ours(const struct sl_jail__router *router) {
    return router->device[0] != '\0' && (!has_forwarding(router->device) || sl_jail__nft_guarded());
}

static void close_router(struct sl_jail__router *router) {
    sl_jail__usernet_stop(router);
    if (router->uplink) {
        sl_jail__nft_unload(router);
        if (router->forwarding_ours && !sl_jail__nft_guarded()) (void)set_forwarding(router->device, "0");
        char name[16];
        snprintf(name, sizeof name, "slu%u", router->index);
        int socket = sl_jail__netlink_open();
        int index = socket < 0 ? socket : sl_jail__link_index(socket, name);
        if (index > 0) (void)sl_jail__link_delete(socket, index);
        sl_jail__close(&socket);
        router->uplink = false;
    }
    sl_jail__close(&router->ns);
    sl_jail__close(&router->host_ns);
}

static int open_router(struct sl_jail__router *router, const struct sl_jail_config *config, bool rootless,
                       struct sl_error *err) {
    router->dns_count = sl_jail__resolvers(config, router->dns, SL_JAIL_DNS_MAX);
    find_default(router);
    int rc = make_namespace(router);
    if (rc != 0) {
        sl_fail(err, SL_E_UNAVAILABLE, "make the router's network namespace: %s", strerror(-rc));
    } else if (rootless) {
        rc = sl_jail__usernet_start(router, config, err);
        if (rc == SL_OK) rc = sl_jail__nft_load(router, config, err);
    } else if ((rc = make_uplink(router)) != 0) {
        sl_fail(err, SL_E_UNAVAILABLE, "make its uplink (veth): %s", strerror(-rc));
    } else {
        router->forwarding_ours = forwarding_is_ours(router);
        rc = sl_jail__nft_load(router, config, err);
        if (rc == SL_OK && (rc = forward(router)) != 0) {
            sl_fail(err, SL_E_UNAVAILABLE, "switch on forwarding: %s", strerror(-rc));
        }
    }
    if (rc == 0) return SL_OK;
    close_router(router);
    return SL_E_UNAVAILABLE;
}

// One server at a time: what forwarding was before, and who still needs it, is read and then acted upon.
int sl_jail__router_open(struct sl_jail__router *router, const struct sl_jail_config *config, bool rootless,
                         struct sl_error *err) {
    *router = (struct sl_jail__router){.ns = -1, .host_ns = -1};
    int claim = rootless ? -1 : sl_jail__claim_network();
    int rc = open_router(router, config, rootless, err);
    sl_jail__close(&claim);
    return rc;
}

void sl_jail__router_close(struct sl_jail__router *router) {
    int claim = router->uplink ? sl_jail__claim_network() : -1;
    close_router(router);
    sl_jail__close(&claim);
}
