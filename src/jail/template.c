// SPDX-License-Identifier: Apache-2.0
//
// template: see template.h. The child here has not executed anything yet: it arranges its world and then becomes the
// language's program. What fails is said on the socket, as the copies' failures are.
#include "jail/template.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/block.h"
#include "jail/confine.h"
#include "jail/file.h"
#include "jail/root.h"
#include "jail/shell.h"

#define LIBRARY "/tmp/sluice-template.so" // in its own /tmp

enum { VARIABLES_MAX = 4096 };

// To enter namespaces (SYS_ADMIN, SYS_CHROOT; SYS_PTRACE by way of a process that has more capabilities), and to give
// everything up.
static const uint64_t CAPABILITIES = 1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_CHROOT | 1ull << CAP_SYS_PTRACE |
                                     1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SETPCAP;

void sl_jail__template_init(struct sl_jail__template *template) {
    *template = (struct sl_jail__template){.control = -1};
    sl_jail__cgroup_init(&template->cgroup);
    sl_jail__cgroup_init(&template->former);
}

// For its next life.
static void forget(struct sl_jail__template *template) {
    struct sl_jail__cgroup former = template->former;
    sl_jail__template_init(template);
    template->former = former;
}

// ---- the child ----

static int keep_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[2] = {{0}};
    int rc = sl_jail__drop_bounding_set(CAPABILITIES);
    if (rc != 0) return rc;
    kept[0].effective = kept[0].permitted = (uint32_t)CAPABILITIES;
    return syscall(SYS_capset, &header, kept) == 0 ? 0 : -errno;
}

static int write_library(void) {
    int fd = open(LIBRARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);
    if (fd < 0) return -errno;
    const unsigned char *at = sl_jail__template_library;
    for (size_t left = sl_jail__template_library_size; left > 0;) {
        ssize_t n = write(fd, at, left);
        if (n <= 0) return n < 0 ? -errno : -EIO;
        at += n;
        left -= (size_t)n;
    }
    return close(fd) == 0 ? 0 : -errno;
}

static int arrange(const struct sl_jail__shells *shells, const struct sl_jail__cgroup *cgroup, const char **ret_step) {
    int tasks[SL_JAIL__HIERARCHIES];
    unsigned count = sl_jail__cgroup_tasks(&shells->cgroups, cgroup, tasks);
    *ret_step = "enter the control groups";
    for (unsigned i = 0; i < count; i++) {
        int rc = sl_jail__v1_enter(tasks[i]);
        if (rc != 0) return rc;
    }
    *ret_step = "make its namespaces";
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0 || sethostname("sandbox", 7) != 0) return -errno;
    int rc = sl_jail__root_enter_template(shells->stem, ret_step);
    if (rc == 0) *ret_step = "write the library", rc = write_library();
    if (rc != 0) return rc;
    sl_jail__set_limits();
    *ret_step = "give up privileges";
    return keep_capabilities();
}

static int execute(int control, int filter, int block, const char **ret_step) {
    static char preload[] = "LD_PRELOAD=" LIBRARY;
    struct sl_jail__exec target;
    *ret_step = "read the arguments";
    int rc = sl_jail__block_read(block, &target);
    if (rc != 0) return rc;
    char *variables[VARIABLES_MAX + 1];
    unsigned count = 0;
    while (target.envp[count] != NULL && count < VARIABLES_MAX - 1) {
        variables[count] = target.envp[count];
        count++;
    }
    variables[count++] = preload;
    variables[count] = NULL;
    *ret_step = "connect its descriptors";
    // First out of the way of one another: none of them is below 5 afterwards.
    control = fcntl(control, F_DUPFD, SL_JAIL__TEMPLATE_FILTER + 1);
    filter = fcntl(filter, F_DUPFD, SL_JAIL__TEMPLATE_FILTER + 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (control < 0 || filter < 0 || null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 ||
        dup2(control, SL_JAIL__TEMPLATE_CONTROL) < 0 || dup2(filter, SL_JAIL__TEMPLATE_FILTER) < 0) {
        return -errno;
    }
    (void)close_range(SL_JAIL__TEMPLATE_FILTER + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    *ret_step = target.path;
    execve(target.path, target.argv, variables);
    return -errno;
}

static _Noreturn void child_main(const struct sl_jail__shells *shells, const struct sl_jail__cgroup *cgroup,
                                 int control, int filter, int block) {
    const char *step = "";
    sl_jail__reset_signals();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int keep[SL_JAIL__HIERARCHIES + 4] = {control, filter, block, shells->stem};
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) keep[4 + i] = cgroup->dir[i];
    sl_jail__close_except(keep, sizeof keep / sizeof keep[0]);
    if (sl_jail__is_closed(control)) _exit(0); // the spawner died before it could take us along
    int rc = arrange(shells, cgroup, &step);
    if (rc == 0) rc = execute(control, filter, block, &step);
    struct sl_jail__fork_note note = {.kind = SL_JAIL__FORK_FAILED, .error = -rc};
    snprintf(note.step, sizeof note.step, "%s%s", step[0] == '/' ? "execute " : "", step);
    (void)sl_jail__send(control, &note, sizeof note, NULL, 0);
    _exit(1);
}

// ---- the spawner ----

static int write_filter(const struct sock_fprog *filter) {
    size_t size = sizeof filter->filter[0] * filter->len;
    int fd = memfd_create("sluice-filter", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, filter->filter, size) != (ssize_t)size) {
        close(fd);
        errno = EIO;
        return -1;
    }
    return fd;
}

int sl_jail__template_start(struct sl_jail__template *template, struct sl_jail__shells *shells, int epoll, uint64_t tag,
                            int block, uint32_t memory_mb, const char **ret_step) {
    int pair[2];
    *ret_step = "make its socket";
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -errno;
    (void)fcntl(pair[1], F_SETFL, 0);
    forget(template);
    struct sl_jail__limits limits = {.memory_mb = memory_mb, .pids = 64};
    *ret_step = "make its control group";
    int filter = write_filter(&shells->filter);
    int rc = filter < 0
                 ? -errno
                 : sl_jail__cgroup_make(&shells->cgroups, &template->cgroup, shells->count, ++shells->generation);
    if (rc == 0) rc = sl_jail__cgroup_limit(&shells->cgroups, &template->cgroup, &limits);
    if (rc == 0) {
        *ret_step = "make its process";
        pid_t pid = sl_jail__fork_into(0, sl_jail__cgroup_birth(&shells->cgroups, &template->cgroup));
        if (pid == 0) child_main(shells, &template->cgroup, pair[1], filter, block);
        template->pid = pid;
        rc = pid < 0 ? pid : 0;
    }
    sl_jail__close(&filter);
    close(pair[1]);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    if (rc == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) == 0) {
        template->control = pair[0];
        template->state = SL_JAIL__TEMPLATE_BOOTING;
        return 0;
    }
    if (rc == 0) { // its end is reported when it is reaped
        template->state = SL_JAIL__TEMPLATE_BOOTING;
        sl_jail__template_kill(template);
    } else {
        (void)sl_jail__cgroup_remove(&shells->cgroups, &template->cgroup);
    }
    close(pair[0]);
    return rc;
}

bool sl_jail__template_can_fork(const struct sl_jail__template *template) {
    return template->state == SL_JAIL__TEMPLATE_READY && !template->killed && template->control >= 0 &&
           template->forks < SL_JAIL__TEMPLATE_FORKS;
}

int sl_jail__template_fork(struct sl_jail__template *template, struct sl_jail__shells *shells,
                           const struct sl_jail__slot *slot, const struct sl_jail__go *go, int log, int input) {
    int fds[SL_JAIL__FDS] = {(int)syscall(SYS_pidfd_open, slot->pid, 0), log, input};
    if (fds[0] < 0) return -errno;
    int tasks[SL_JAIL__HIERARCHIES];
    unsigned version_1 = sl_jail__cgroup_tasks(&shells->cgroups, &slot->cgroup, tasks);
    int version_2 = sl_jail__cgroup_birth(&shells->cgroups, &slot->cgroup);
    unsigned count = 3;
    for (unsigned i = 0; i < version_1; i++) fds[count++] = tasks[i];
    if (version_2 >= 0) fds[count++] = version_2;
    struct sl_jail__fork order = {
        .slot = slot->index,
        .generation = slot->generation,
        .version_1 = version_1,
        .version_2 = version_2 >= 0,
        .change_ids = shells->change_ids,
        .own_user_ns = shells->rootless && !shells->change_ids,
        .uid = sl_jail__slot_uid(shells, slot),
        .fds = go->fds,
        .processes = go->processes,
    };
    int rc = sl_jail__send(template->control, &order, sizeof order, fds, count);
    close(fds[0]);
    if (rc == 0) template->forks++;
    return rc;
}

void sl_jail__template_kill(struct sl_jail__template *template) {
    if (template->pid > 0) (void)kill(template->pid, SIGKILL); // not reaped yet, so the pid is still its own
    template->killed = true;
}

void sl_jail__template_release(struct sl_jail__template *template, const struct sl_jail__shells *shells) {
    sl_jail__close(&template->control);
    // A copy begins in its template's control groups (of version 1) and may have been killed, or may not have left them
    // yet. Of two lives that end this way at once, the first one's stay until the spawner's end.
    (void)sl_jail__template_clean(template, shells);
    if (sl_jail__cgroup_remove(&shells->cgroups, &template->cgroup) != 0) template->former = template->cgroup;
    forget(template);
}

bool sl_jail__template_clean(struct sl_jail__template *template, const struct sl_jail__shells *shells) {
    return sl_jail__cgroup_remove(&shells->cgroups, &template->former) == -EBUSY;
}
