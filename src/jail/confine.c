// SPDX-License-Identifier: Apache-2.0
//
// confine: see confine.h.
#include "jail/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/cgroup.h"
#include "jail/file.h"
#include "jail/landlock.h"
#include "jail/proto.h"

pid_t sl_jail__fork_into(uint64_t namespaces, int cgroup) {
    struct clone_args args = {.flags = namespaces, .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (__u64)cgroup;
    }
    long rc = syscall(SYS_clone3, &args, sizeof args);
    return rc < 0 ? -errno : (pid_t)rc;
}

void sl_jail__reset_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) (void)sigaction(number, &action, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void sl_jail__limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard) {
    struct rlimit now;
    // A hard limit can be lowered by anybody and raised by almost nobody.
    if (getrlimit(resource, &now) != 0) return;
    if (now.rlim_max < hard) hard = now.rlim_max;
    if (soft > hard) soft = hard;
    now = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
    (void)setrlimit(resource, &now);
}

void sl_jail__set_limits(void) {
    sl_jail__limit(RLIMIT_CORE, 0, 0);
    sl_jail__limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
    sl_jail__limit(RLIMIT_MSGQUEUE, 800 << 10, 800 << 10);
    sl_jail__limit(RLIMIT_SIGPENDING, 4096, 4096);
    sl_jail__limit(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
}

int sl_jail__drop_bounding_set(uint64_t keep) {
    for (unsigned long capability = 0; capability < 64; capability++) {
        if ((keep & 1ull << capability) != 0 || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno == EINVAL) break; // beyond the last one of this kernel
        return -errno;
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

int sl_jail__become(bool change_ids, uid_t uid) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (change_ids && (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, uid, uid, uid) != 0 ||
                       syscall(SYS_setresuid, uid, uid, uid) != 0)) {
        return -errno;
    }
    if (syscall(SYS_capset, &header, none) != 0) return -errno;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

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

void sl_jail__give_way(void) { (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}); }

int sl_jail__confine(const struct sl_jail__confine *confine, const char **ret_step) {
    (void)setsid();
    *ret_step = "enter the control groups";
    for (unsigned i = 0; i < confine->tasks_count; i++) {
        int rc = sl_jail__v1_enter(confine->tasks_dirs[i]);
        if (rc != 0) return rc;
    }
    if (unshare(CLONE_NEWCGROUP) != 0) return -errno; // /proc/self/cgroup says "/" and nothing of the host's layout
    // When the whole machine runs out of memory, functions go before services.
    (void)sl_jail__write(AT_FDCWD, "/proc/self/oom_score_adj", "500");
    *ret_step = "restrict paths";
    int rules = sl_jail__landlock_make();
    *ret_step = "give up privileges";
    if (confine->own_user_ns) own_user_ns(confine->uid);
    // Mostly done before by whoever made this process, but a new user namespace starts with a full set.
    int rc = sl_jail__drop_bounding_set(0);
    if (rc == 0) rc = sl_jail__become(confine->change_ids, confine->uid);
    if (rc != 0) return rc;
    *ret_step = "restrict paths";
    rc = sl_jail__landlock_restrict(rules);
    sl_jail__close(&rules);
    if (rc != 0) return rc;
    *ret_step = "load the system call filter";
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, confine->filter) == 0 ? 0 : -errno;
}
