// SPDX-License-Identifier: Apache-2.0
//
// jail: what a function cannot do. Each test lets a hostile function loose in a real sandbox, as root and as an
// ordinary user.
#include "jail_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/conntrack.h"
#include "jail/netns.h"

static void sandbox_has_a_name(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    jail_shell(&world, &outcome, "id -un; id -G | wc -w; hostname; cat /proc/self/cgroup | grep -vc ':/$'");
    assert_string_equal(outcome.output, "sbx_user1051\n1\nsandbox\n0\n");
    jail_world_close(&world);
}

static void files_are_closed(bool root) {
    char secret[] = "/tmp/sluice-secret-XXXXXX";
    int fd = mkstemp(secret);
    assert_true(fd >= 0);
    fchmod(fd, 0644);
    close(fd);
    jail_check_inside(root, "files", secret);
    unlink(secret);
}

static void privileges_are_gone(bool root) { jail_check_inside(root, "privileges", NULL); }

static void other_processes_are_invisible(bool root) { jail_check_inside(root, "processes", NULL); }

static void foreign_system_calls_kill(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "x32", NULL};
    jail_run(&world, &outcome, argv, NULL);
    assert_string_equal(outcome.output, "");
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGSYS);
    jail_world_close(&world);
}

static void host_loopback_is_closed(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    char port[8];
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "connect", "127.0.0.1", port, NULL};
    jail_run(&world, &outcome, argv, NULL);
    assert_string_equal(outcome.output, "refused\n");
    jail_world_close(&world);
    close(fd);
}

static void processes_are_limited(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    int count = 0;
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "fork", NULL};
    jail_run(&world, &outcome, argv, &(struct sl_jail_spec){.pids = 40, .memory_mb = 512});
    assert_int_equal(sscanf(outcome.output, "forked %d", &count), 1);
    if (count < 30 || count > 40) fail_msg("forked %d with a limit of 40", count);
    // The bomb of one does not disturb another.
    jail_shell(&world, &outcome, "/bin/true && echo fine");
    assert_string_equal(outcome.output, "fine\n");
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void memory_is_limited(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "memory", NULL};
    jail_run(&world, &outcome, argv, &(struct sl_jail_spec){.memory_mb = 64});
    assert_true(outcome.event.oom_killed);
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGKILL);
    assert_true(outcome.event.memory_peak > 32 << 20);
    jail_shell(&world, &outcome, "echo fine");
    assert_string_equal(outcome.output, "fine\n");
    assert_false(outcome.event.oom_killed);
    jail_world_close(&world);
}

static void tmp_is_limited_and_new(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    config.max_instances = 1;
    config.shells = 1;
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "fill", NULL};
    jail_run(&world, &outcome, argv, &(struct sl_jail_spec){.tmp_mb = 8});
    assert_string_equal(outcome.output, "wrote 8: No space left on device\n");
    for (int i = 0; i < 12; i++) { // more than there are slots
        jail_shell(&world, &outcome, "ls -A /tmp /dev/shm; touch /tmp/mine /dev/shm/mine");
        assert_string_equal(outcome.output, "/dev/shm:\n\n/tmp:\n");
    }
    jail_world_close(&world);
}

JAIL_BOTH(sandbox_has_a_name)
JAIL_BOTH(files_are_closed)
JAIL_BOTH(privileges_are_gone)
JAIL_BOTH(other_processes_are_invisible)
JAIL_BOTH(foreign_system_calls_kill)
JAIL_BOTH(host_loopback_is_closed)
JAIL_BOTH(processes_are_limited)
JAIL_BOTH(memory_is_limited)
JAIL_BOTH(tmp_is_limited_and_new)

// ---- network (root) ----

// An address of this machine that is not loopback; false without one.
static bool host_address(struct in_addr *ret_address) {
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0) return false;
    for (struct ifaddrs *at = list; at != NULL && !found; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
        if (strncmp(at->ifa_name, "slu", 3) == 0) continue;
        *ret_address = ((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr;
        found = true;
    }
    freeifaddrs(list);
    return found;
}

static void network_reaches_only_what_is_allowed(void **state) {
    (void)state;
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    char host[INET_ADDRSTRLEN];
    char ports[2][8];
    int listeners[2];
    config.network = true;
    jail_need(geteuid() == 0 && host_address(&address.sin_addr), "root and a network interface");
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    for (int i = 0; i < 2; i++) {
        address.sin_port = 0;
        listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listeners[i], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listeners[i], 16), 0);
        assert_int_equal(getsockname(listeners[i], (struct sockaddr *)&address, &size), 0);
        snprintf(ports[i], sizeof ports[i], "%u", ntohs(address.sin_port));
    }
    config.allow[config.allow_count++] = (struct sl_jail_allow){address.sin_addr, 32, ntohs(address.sin_port)};
    jail_world_open(&world, true, &config);
    struct sl_jail_spec with = {.network = true};
    const char *const closed[] = {"/var/task/test", "--inside", "connect", host, ports[0], NULL};
    jail_run(&world, &outcome, closed, &with);
    if (!outcome.first.network) {
        jail_world_close(&world);
        jail_need(false, "veth, nftables and forwarding");
    }
    assert_string_equal(outcome.output, "refused\n");
    const char *const open[] = {"/var/task/test", "--inside", "connect", host, ports[1], NULL};
    jail_run(&world, &outcome, open, &with);
    assert_string_equal(outcome.output, "connected\n");
    jail_run(&world, &outcome, open, NULL); // a function without network, on the same server
    assert_false(outcome.first.network);
    assert_string_equal(outcome.output, "refused\n");
    static const char *const never[] = {"169.254.169.254", "169.254.100.1", "198.18.0.1",
                                        "198.19.0.2",      "10.0.0.1",      "192.168.0.1"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        const char *const argv[] = {"/var/task/test", "--inside", "connect", never[i], "80", NULL};
        jail_run(&world, &outcome, argv, &with);
        assert_string_equal(outcome.output, "refused\n");
    }
    assert_true(jail_uplink(world.spawner) >= 0);
    jail_world_close(&world);
    close(listeners[0]);
    close(listeners[1]);
    assert_int_equal(jail_uplink(world.spawner), -1);
    jail_assert_no_traces(world.spawner);
}

// ---- connections that are remembered ----

static int tracked(const char *source) {
    char line[512];
    int count = 0;
    FILE *file = fopen("/proc/self/net/nf_conntrack", "re");
    if (file == NULL) return -1;
    while (fgets(line, sizeof line, file) != NULL) count += strstr(line, source) != NULL;
    fclose(file);
    return count;
}

// One datagram each to this many ports.
static void send_from(const char *source, int ports) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_pton(AF_INET, source, &from.sin_addr);
    inet_pton(AF_INET, "127.9.9.9", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) _exit(60);
    for (int i = 0; i < ports; i++) {
        to.sin_port = htons((uint16_t)(20000 + i));
        (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to); // refused: nobody listens
    }
    close(fd);
}

// In a network namespace of its own that tracks connections. The exit status says what went wrong, 77: not possible.
static int forgetting_child(void) {
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct in_addr gone;
    if (unshare(CLONE_NEWNET) != 0) return 77;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ioctl(fd, SIOCSIFFLAGS, &up) != 0) return 61;
    close(fd);
    if (system("nft add table ip t && nft add chain ip t c '{ type filter hook output priority 0; }' && "
               "nft add rule ip t c ct state established accept") != 0)
        return 77;
    send_from("127.1.1.1", 600); // more than one round finds
    send_from("127.2.2.2", 3);
    if (tracked("src=127.1.1.1 ") < 0) return 77;
    if (tracked("src=127.1.1.1 ") < 600 || tracked("src=127.2.2.2 ") != 3) return 62;
    inet_pton(AF_INET, "127.1.1.1", &gone);
    int netlink = sl_jail__conntrack_open();
    if (netlink < 0 || sl_jail__conntrack_forget(netlink, gone) != 0) return 63;
    if (tracked("src=127.1.1.1 ") != 0) return 64;
    if (tracked("src=127.2.2.2 ") != 3) return 65;
    return sl_jail__conntrack_forget(netlink, gone) == 0 ? 0 : 66;
}

// A slot's namespace that is also its router, with a neighbour that answers nothing.
static int recycling_child(void) {
    enum { SLOT = 4 };
    static const char source[] = "src=198.19.0.5 "; // the slot's address
    uint64_t sent = 0;
    if (unshare(CLONE_NEWNET) != 0) return 77;
    struct sl_jail__router router = {.ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), .host_ns = -1};
    if (system("ip link set lo up && ip addr add 198.19.0.5/32 dev lo && ip link add eth0 type veth peer name peer && "
               "nft add table ip t && nft add chain ip t c '{ type filter hook output priority 0; }' && "
               "nft add rule ip t c ct state established accept") != 0)
        return 77;
    send_from("198.19.0.5", 3);
    if (tracked(source) < 0) return 77;
    if (tracked(source) != 3) return 62;
    // Nothing has left by eth0: not looked for.
    if (sl_jail__netns_recycle(&router, SLOT, true, router.ns, &sent) != 0 || sent != 0) return 63;
    if (tracked(source) != 3) return 64;
    if (system("ip link set peer up && ip link set eth0 up && ip neigh add 198.18.9.9 lladdr 02:00:00:00:00:01 dev "
               "eth0 && "
               "ip route add 198.18.9.9/32 dev eth0") != 0)
        return 65;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "198.18.9.9", &to.sin_addr);
    if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1) return 66;
    close(fd);
    if (sl_jail__netns_recycle(&router, SLOT, true, router.ns, &sent) != 0 || sent == 0) return 67;
    return tracked(source) == 0 ? 0 : 68;
}

static void run_alone(int (*child_main)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(child_main());
    assert_int_equal(waitpid(child, &status, 0), child);
    jail_need(WEXITSTATUS(status) != 77, "root, nft and /proc/net/nf_conntrack");
    assert_int_equal(status, 0);
}

static void connections_are_forgotten(void **state) {
    (void)state;
    run_alone(forgetting_child);
}

static void connections_are_looked_for_when_packets_were_sent(void **state) {
    (void)state;
    run_alone(recycling_child);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return jail_inside(argv + 2);
    const struct CMUnitTest tests[] = {
        JAIL_BOTH_ROWS(sandbox_has_a_name),
        JAIL_BOTH_ROWS(files_are_closed),
        JAIL_BOTH_ROWS(privileges_are_gone),
        JAIL_BOTH_ROWS(other_processes_are_invisible),
        JAIL_BOTH_ROWS(foreign_system_calls_kill),
        JAIL_BOTH_ROWS(host_loopback_is_closed),
        JAIL_BOTH_ROWS(processes_are_limited),
        JAIL_BOTH_ROWS(memory_is_limited),
        JAIL_BOTH_ROWS(tmp_is_limited_and_new),
        cmocka_unit_test(network_reaches_only_what_is_allowed),
        cmocka_unit_test(connections_are_forgotten),
        cmocka_unit_test(connections_are_looked_for_when_packets_were_sent),
    };
    return cmocka_run_group_tests(tests, jail_make_code, jail_remove_code);
}
