// SPDX-License-Identifier: Apache-2.0
//
// probe: what this kernel allows this user, for `sluice doctor`. Everything is tried for real where that leaves no
// trace: in a child process, in namespaces that end with it, with a time limit. Nothing here is used by the spawner,
// which finds out by doing.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/cgroup.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/netlink.h"
#include "jail/netns.h"
#include "jail/nft.h"
#include "jail/proto.h"
#include "jail/rootless.h"

enum { TRY_MS = 3000, TEXT = 200 };

// One attempt: returns true, or false with a reason in said[TEXT].
typedef bool attempt_fn(char *said);

// Runs an attempt in a child. *ret_said is its reason when it fails.
static bool try_in_child(attempt_fn *attempt, char ret_said[TEXT]) {
    int ends[2];
    ret_said[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        char said[TEXT] = "";
        bool good = attempt(said);
        if (write(ends[1], said, strlen(said)) < 0) _exit(2);
        _exit(good ? 0 : 1);
    }
    close(ends[1]);
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    int status = 1;
    if (child > 0) {
        if (poll(&wait, 1, TRY_MS) != 1) {
            (void)kill(child, SIGKILL);
            snprintf(ret_said, TEXT, "no answer within %d ms", TRY_MS);
        } else {
            ssize_t got = read(ends[0], ret_said, TEXT - 1);
            ret_said[got > 0 ? got : 0] = '\0';
        }
        (void)waitpid(child, &status, 0);
    }
    close(ends[0]);
    return child > 0 && status == 0;
}

static bool failed(char *said, const char *what, int error) {
    snprintf(said, TEXT, "%s: %s", what, strerror(error));
    return false;
}

static bool has_admin(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

static bool enter_user_namespace(char *said) {
    uid_t uid;
    bool ids;
    struct sl_error err;
    if (has_admin()) return true;
    if (sl_jail__rootless_enter("", 1, &uid, &ids, &err) == SL_OK) return true;
    snprintf(said, TEXT, "%.190s", err.message);
    return false;
}

static bool try_ranges(char *said) {
    uid_t uid;
    bool ids = false;
    struct sl_error err;
    const struct passwd *self = getpwuid(getuid());
    if (sl_jail__rootless_enter(self != NULL ? self->pw_name : "", 256, &uid, &ids, &err) != SL_OK)
        return failed(said, "user namespaces", EPERM);
    return ids;
}

static bool try_netns(char *said) {
    if (!enter_user_namespace(said)) return false;
    return unshare(CLONE_NEWNET) == 0 || failed(said, "make a network namespace", errno);
}

static bool try_network(char *said) {
    int host = open("/proc/sys/net/ipv4/conf/default/forwarding", O_WRONLY | O_CLOEXEC);
    if (host < 0) return failed(said, "write /proc/sys/net", errno);
    close(host);
    if (!try_netns(said)) return false;
    int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int socket = sl_jail__netlink_open();
    int rc = socket < 0 ? socket : sl_jail__link_add_veth(socket, "slu0", "up", ns, 1500);
    if (rc != 0) return failed(said, "make a veth pair", -rc);
    if (sl_jail__nft_try(said, TEXT)) return true;
    if (said[0] == '\0') snprintf(said, TEXT, "the kernel refuses nftables rules");
    return false;
}

static bool try_usernet(char *said) {
    struct sl_jail_config none = {.runtimes_dir_fd = -1};
    struct sl_jail__router router;
    struct sl_error err;
    if (!enter_user_namespace(said)) return false;
    int rc = sl_jail__router_open(&router, &none, true, &err);
    if (rc != SL_OK)
        snprintf(said, TEXT, "%.190s", err.message);
    else
        sl_jail__router_close(&router);
    return rc == SL_OK;
}

static void fill(struct sl_jail_feature *feature, const char *name, bool available, const char *how,
                 const char *advice) {
    feature->name = name;
    feature->available = available;
    snprintf(feature->how, sizeof feature->how, "%s", available ? how : "none");
    snprintf(feature->advice, sizeof feature->advice, "%s", available ? "" : advice);
}

static void probe_ids(struct sl_jail_features *features, bool root) {
    char said[TEXT];
    char advice[256];
    bool works = root || try_in_child(enter_user_namespace, said);
    snprintf(advice, sizeof advice,
             "No function can run (%.120s): allow user namespaces for ordinary users or start Sluice as root.",
             works ? "" : said);
    fill(&features->item[SL_JAIL_FEATURE_PRIVILEGE], "privilege", works, root ? "root" : "user namespace", advice);
    bool ids = root || try_in_child(try_ranges, said);
    fill(&features->item[SL_JAIL_FEATURE_UIDS], "user id per sandbox", ids, root ? "own range" : "newuidmap",
         "All sandboxes run with your user id: install uidmap and give yourself a range in /etc/subuid and "
         "/etc/subgid.");
}

// Every version 2 tree can freeze (Linux 5.2), with or without controllers, if a directory may be made in it.
static void probe_freezer(struct sl_jail_features *features, const struct sl_jail__cgroups *cgroups) {
    int version = 0;
    for (unsigned i = 0; i < cgroups->count && version != 2; i++) {
        const struct sl_jail__hierarchy *at = &cgroups->at[i];
        if (at->version == 2 && at->base[0] != '\0' && faccessat(AT_FDCWD, at->base, W_OK, AT_EACCESS) == 0)
            version = 2;
        if (at->version == 1 && (at->controllers & SL_JAIL__FREEZER) != 0) version = 1;
    }
    fill(
        &features->item[SL_JAIL_FEATURE_FREEZE], "freeze when idle", version != 0,
        version == 1 ? "freezer of cgroup v1" : "cgroup v2",
        "Between invocations a function's threads go on running, unlike on AWS: start Sluice as root or in a delegated "
        "control group (systemd: Delegate=yes).");
}

static void probe_cgroups(struct sl_jail_features *features) {
    static const struct {
        enum sl_jail_feature_id id;
        unsigned controller;
        const char *name, *weaker;
    } rows[] = {
        {SL_JAIL_FEATURE_MEMORY, SL_JAIL__MEMORY, "memory limit", "Memory is only checked several times a second"},
        {SL_JAIL_FEATURE_CPU, SL_JAIL__CPU, "cpu limit", "A function can use every core whatever its memory size"},
        {SL_JAIL_FEATURE_PIDS, SL_JAIL__PIDS, "process limit", "Processes are limited per user id only"},
    };
    struct sl_jail__cgroups cgroups;
    sl_jail__cgroups_find(&cgroups);
    sl_jail__cgroups_look(&cgroups);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char advice[256];
        int version = 0;
        for (unsigned k = 0; k < cgroups.count; k++) {
            if (cgroups.at[k].controllers & rows[i].controller) version = cgroups.at[k].version;
        }
        snprintf(advice, sizeof advice,
                 "%s: start Sluice as root or in a delegated control group (systemd: Delegate=yes).", rows[i].weaker);
        fill(&features->item[rows[i].id], rows[i].name, version != 0, version == 1 ? "cgroup v1" : "cgroup v2", advice);
    }
    probe_freezer(features, &cgroups);
}

static void probe_network(struct sl_jail_features *features, bool root) {
    char said[TEXT];
    char advice[256];
    bool works = try_in_child(try_netns, said);
    snprintf(advice, sizeof advice, "No function can run (%.150s): use a kernel with network namespaces.", said);
    fill(&features->item[SL_JAIL_FEATURE_NETNS], "network namespaces", works, "own stack per sandbox", advice);
    works = try_in_child(root ? try_network : try_usernet, said);
    snprintf(advice, sizeof advice, "Functions have loopback only (%.120s): %s.", said,
             root ? "install nftables, allow forwarding" : "make that work, or start Sluice as root");
    fill(&features->item[SL_JAIL_FEATURE_NETWORK], "outgoing network", works,
         root ? "veth and nftables" : "slirp4netns or pasta", advice);
}

static void probe_filters(struct sl_jail_features *features) {
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    bool works = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
    fill(&features->item[SL_JAIL_FEATURE_SECCOMP], "system call filter", works, "seccomp",
         "No function can run: use a kernel with CONFIG_SECCOMP_FILTER.");
    char how[64];
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    snprintf(how, sizeof how, "Landlock ABI %ld", abi);
    fill(&features->item[SL_JAIL_FEATURE_LANDLOCK], "path restriction", abi > 0, how,
         "Writing is kept to /tmp by read-only mounts alone: boot with landlock among the lsm= modules for a second "
         "lock.");
}

void sl_jail_probe(struct sl_jail_features *ret_features) {
    memset(ret_features, 0, sizeof *ret_features);
    bool root = has_admin();
    probe_ids(ret_features, root);
    probe_cgroups(ret_features);
    probe_network(ret_features, root);
    probe_filters(ret_features);
}
