// SPDX-License-Identifier: Apache-2.0
//
// init: see init.h. Two processes are made ahead of time ("a shell"), and wait:
//
//   pid 1, init: root until it is given a function. It then mounts the code, gives up every privilege, tells pid 2 to
//   go on,
//     and from there on only waits for children. When the function ends it reports the status and exits, with which the
//     kernel kills all that is left in the pid namespace.
//   pid 2: already in its cgroups, with its own user id, no capabilities, no_new_privs and the system call filter. It
//   waits
//     for descriptors (log pipe, block), and execs.
//
// So when the first untrusted instruction runs, no process in the sandbox has a privilege left. Death: init dies with
// the spawner (parent-death signal, or end-of-file on its socket), everything else dies with init.
#include "jail/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/block.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/landlock.h"
#include "jail/proto.h"
#include "jail/root.h"
#include "jail/seccomp.h"
#include "jail/watch.h"

// fork() into namespaces and a version 2 cgroup (-1: none). Raw, because libc offers no clone3; both callers are
// single-threaded, and the child uses no libc function that depends on the cached thread id.
static pid_t fork_into(uint64_t namespaces, int cgroup) {
    struct clone_args args = {.flags = namespaces, .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (__u64)cgroup;
    }
    long rc = syscall(SYS_clone3, &args, sizeof args);
    return rc < 0 ? -errno : (pid_t)rc;
}

static _Noreturn void fail(int socket, const char *step, int error) {
    struct sl_jail__note note = {.kind = SL_JAIL__FAILED, .error = error};
    snprintf(note.step, sizeof note.step, "%s", step);
    (void)sl_jail__send(socket, &note, sizeof note, NULL, 0);
    _exit(1);
}

static void reset_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) (void)sigaction(number, &action, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard) {
    struct rlimit now;
    // A hard limit can be lowered by anybody and raised by almost nobody.
    if (getrlimit(resource, &now) != 0) return;
    if (now.rlim_max < hard) hard = now.rlim_max;
    if (soft > hard) soft = hard;
    now = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
    (void)setrlimit(resource, &now);
}

static void set_limits(void) {
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
    limit(RLIMIT_MSGQUEUE, 800 << 10, 800 << 10);
    limit(RLIMIT_SIGPENDING, 4096, 4096);
    limit(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
}

// The bounding set first: once it is empty, no exec can give a capability back.
static int drop_bounding_set(void) {
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno == EINVAL) break; // beyond the last one of this kernel
        return -errno;
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

static int become(bool change_ids, uid_t uid) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (change_ids && (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, uid, uid, uid) != 0 ||
                       syscall(SYS_setresuid, uid, uid, uid) != 0)) {
        return -errno;
    }
    if (syscall(SYS_capset, &header, none) != 0) return -errno;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

// ---- pid 2 ----

// Processes are counted per user and user namespace: with one of its own, one sandbox cannot use up the processes of
// all. Best effort, since namespaces may be limited.
static void own_user_ns(uid_t uid) {
    char text[48];
    if (unshare(CLONE_NEWUSER) != 0) return;
    snprintf(text, sizeof text, "%u 0 1", (unsigned)uid);
    (void)sl_jail__write(AT_FDCWD, "/proc/self/setgroups", "deny");
    (void)sl_jail__write(AT_FDCWD, "/proc/self/uid_map", text);
    (void)sl_jail__write(AT_FDCWD, "/proc/self/gid_map", text);
}

static int function_prepare(const struct sl_jail__shell_plan *plan, int rules, const char **ret_step) {
    (void)setsid();
    *ret_step = "enter the control groups";
    int rc = sl_jail__cgroup_enter(plan->cgroups, plan->cgroup);
    if (rc != 0) return rc;
    if (unshare(CLONE_NEWCGROUP) != 0) return -errno; // /proc/self/cgroup says "/" and nothing of the host's layout
    // When the whole machine runs out of memory, functions go before services.
    (void)sl_jail__write(AT_FDCWD, "/proc/self/oom_score_adj", "500");
    *ret_step = "give up privileges";
    if (plan->own_user_ns) {
        own_user_ns(plan->uid);
        rc = drop_bounding_set(); // a new user namespace starts with a full one
        if (rc != 0) return rc;
    }
    rc = become(plan->change_ids, plan->uid);
    if (rc != 0) return rc;
    *ret_step = "restrict paths";
    rc = sl_jail__landlock_restrict(rules);
    if (rc != 0) return rc;
    *ret_step = "load the system call filter";
    return sl_jail__seccomp_load(plan->filter);
}

static int function_run(int socket, const char **ret_step) {
    struct sl_jail__go go;
    struct sl_jail__exec target;
    int fds[SL_JAIL__FDS];
    *ret_step = "wait for a function";
    int rc = sl_jail__receive(socket, &go, sizeof go, fds);
    if (rc <= 0) return rc == 0 ? -EPIPE : rc;
    *ret_step = "connect standard output";
    if (dup2(fds[0], 1) < 0 || dup2(fds[0], 2) < 0) return -errno;
    *ret_step = "read the arguments";
    rc = sl_jail__block_read(fds[1], &target);
    if (rc != 0) return rc;
    *ret_step = "enter /var/task";
    if (chdir("/var/task") != 0) return -errno;
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return -errno;
    limit(RLIMIT_NOFILE, go.fds, go.fds);
    if (go.processes != 0) limit(RLIMIT_NPROC, go.processes, go.processes);
    *ret_step = target.path;
    execve(target.path, target.argv, target.envp);
    return -errno;
}

static _Noreturn void function_main(const struct sl_jail__shell_plan *plan, int rules, int socket) {
    const char *step = "";
    char text[SL_JAIL__STEP];
    int rc = function_prepare(plan, rules, &step);
    if (rc == 0) {
        rc = function_run(socket, &step);
        if (step[0] == '/') {
            snprintf(text, sizeof text, "execute %s", step);
            step = text;
        }
    }
    fail(socket, step, -rc);
}

// ---- pid 1 ----

static int build(struct sl_jail__shell_plan *plan, int ret_listen[2], bool *ret_new_netns, const char **ret_step) {
    *ret_step = "prepare the network";
    *ret_new_netns = plan->netns < 0;
    int rc = 0;
    if (plan->netns < 0) {
        rc = sl_jail__netns_make(plan->router, plan->slot, plan->network, &plan->netns, ret_step);
    } else if (setns(plan->netns, CLONE_NEWNET) != 0) {
        rc = -errno;
    }
    if (rc != 0) return rc;
    *ret_step = "listen on 127.0.0.1:9001";
    ret_listen[0] = sl_jail__netns_listen();
    if (ret_listen[0] < 0) return ret_listen[0];
    *ret_step = "set the host name";
    if (sethostname("sandbox", 7) != 0) return -errno;
    rc = sl_jail__root_enter(plan->stem, plan->change_ids ? plan->init_uid : 0, ret_step);
    if (rc != 0) return rc;
    *ret_step = "listen on " SL_JAIL_SOCKET;
    ret_listen[1] = sl_jail__netns_listen_unix();
    if (ret_listen[1] < 0) return ret_listen[1];
    *ret_step = "connect standard input";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) return -errno;
    if (null > 2) close(null);
    umask(022);
    set_limits();
    *ret_step = "empty the bounding set";
    return drop_bounding_set();
}

// Mounts what the function brings, gives up root, and hands on what pid 2 needs.
static int activate(const struct sl_jail__shell_plan *plan, const struct sl_jail__go *go, const int *fds, int function,
                    const char **ret_step) {
    *ret_step = "mount the code";
    int rc = sl_jail__mount_attach(fds[0], "/var/task");
    if (rc == 0 && fds[3] >= 0) *ret_step = "mount the layers", rc = sl_jail__mount_attach(fds[3], "/opt");
    if (rc == 0 && go->tmp_mb != SL_JAIL__TMP_MB) *ret_step = "size /tmp", rc = sl_jail__tmp_resize(go->tmp_mb);
    if (rc != 0) return rc;
    *ret_step = "give up privileges";
    rc = become(plan->change_ids, plan->init_uid);
    if (rc != 0) return rc;
    // A change of credentials clears the parent-death signal. If the spawner died in between, its socket tells.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return -errno;
    struct pollfd alive = {.fd = plan->control};
    if (poll(&alive, 1, 0) != 0) return -EPIPE;
    *ret_step = "start the function process";
    return sl_jail__send(function, go, sizeof *go, (const int[]){fds[1], fds[2]}, 2);
}

// Reports the end of the function and ends the sandbox with it.
static _Noreturn void finish(int control, const struct sl_jail__watch *watch, int status, bool oom) {
    struct sl_jail__note note = {.kind = SL_JAIL__EXITED, .status = status, .oom = oom, .memory_peak = watch->peak};
    (void)sl_jail__send(control, &note, sizeof note, NULL, 0);
    _exit(0);
}

static _Noreturn void reap(int control, pid_t function, struct sl_jail__watch *watch) {
    for (;;) {
        // SIGKILL: the status that the kernel's own out-of-memory killer would leave.
        if (sl_jail__watch_wait(watch)) finish(control, watch, SIGKILL, true);
        int status;
        pid_t pid;
        struct rusage usage;
        while ((pid = wait4(-1, &status, watch->limit != 0 ? WNOHANG : 0, &usage)) > 0) {
            if (pid != function) continue;
            if (watch->peak >= 0 && (int64_t)usage.ru_maxrss * 1024 > watch->peak)
                watch->peak = (int64_t)usage.ru_maxrss * 1024;
            finish(control, watch, status, false);
        }
        if (pid < 0 && errno != EINTR) _exit(1);
    }
}

// Forks pid 2. Returns its pid, or -errno; *ret_socket is our end of the socket to it.
static pid_t fork_function(const struct sl_jail__shell_plan *plan, int *ret_socket) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    int rules = sl_jail__landlock_make();
    pid_t function = fork_into(0, sl_jail__cgroup_birth(plan->cgroups, plan->cgroup));
    if (function == 0) {
        int mine[SL_JAIL__HIERARCHIES + 2] = {pair[1], rules};
        for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) mine[2 + i] = plan->cgroup->dir[i];
        sl_jail__close_except(mine, sizeof mine / sizeof mine[0]);
        function_main(plan, rules, pair[1]);
    }
    *ret_socket = pair[0];
    return function;
}

// Waits for a function to be given, and starts it. When that fails, says so and ends.
static void run_function(const struct sl_jail__shell_plan *plan, int socket, struct sl_jail__watch *watch) {
    struct sl_jail__go go;
    int fds[SL_JAIL__FDS];
    const char *step = "";
    int rc = sl_jail__receive(plan->control, &go, sizeof go, fds);
    if (rc <= 0) _exit(0); // never used
    rc = activate(plan, &go, fds, socket, &step);
    if (rc != 0) fail(plan->control, step, -rc);
    sl_jail__close_all(fds, SL_JAIL__FDS);
    sl_jail__watch_init(watch, go.watch_mb);
    // pid 2's end closes on exec; a message instead says that there was none.
    struct sl_jail__note note;
    rc = sl_jail__receive(socket, &note, sizeof note, fds);
    if (rc < 0) fail(plan->control, "start the function process", -rc);
    if (rc == 0) note = (struct sl_jail__note){.kind = SL_JAIL__EXECED};
    (void)sl_jail__send(plan->control, &note, sizeof note, &watch->file, watch->file >= 0 ? 1 : 0);
    if (rc != 0) _exit(1);
}

static _Noreturn void init_main(struct sl_jail__shell_plan *plan) {
    const char *step = "";
    reset_signals();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "sluice-init", 0, 0, 0);
    int keep[SL_JAIL__HIERARCHIES + 5] = {plan->control, plan->stem, plan->netns, plan->router->ns,
                                          plan->router->host_ns};
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) keep[5 + i] = plan->cgroup->dir[i];
    sl_jail__close_except(keep, sizeof keep / sizeof keep[0]);

    int listener[2] = {-1, -1};
    int socket = -1;
    bool new_netns = false;
    int rc = build(plan, listener, &new_netns, &step);
    if (rc != 0) fail(plan->control, step, -rc);
    pid_t function = fork_function(plan, &socket);
    if (function < 0) fail(plan->control, "make the function process", -function);
    struct sl_jail__note note = {.kind = SL_JAIL__READY};
    rc = sl_jail__send(plan->control, &note, sizeof note, (const int[]){listener[0], listener[1], plan->netns},
                       new_netns ? 3 : 2);
    if (rc != 0) _exit(1);
    // From here on only the two sockets: a namespace or cgroup descriptor in a sandbox would be a way out of it.
    int rest[2] = {plan->control, socket};
    sl_jail__close_except(rest, 2);

    struct sl_jail__watch watch;
    run_function(plan, socket, &watch);
    close(socket);
    reap(plan->control, function, &watch);
}

pid_t sl_jail__shell_fork(const struct sl_jail__shell_plan *plan) {
    struct sl_jail__shell_plan copy = *plan;
    pid_t pid = fork_into(CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, -1);
    if (pid == 0) init_main(&copy);
    return pid;
}
