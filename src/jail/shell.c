// SPDX-License-Identifier: Apache-2.0
//
// shell: see shell.h. Runs in the spawner, which is the parent of every init; nothing here waits for a sandbox.
#include "jail/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/file.h"
#include "jail/root.h"
#include "jail/template.h"

enum {
    LOG_PIPE = 256 << 10,
    SIGNAL_GROUP = 4, // PIDFD_SIGNAL_PROCESS_GROUP, since Linux 6.9
    ROUT_MS = 20,     // that an init has to end; most have ended long before
};

void sl_jail__order_init(struct sl_jail__order *order, const struct sl_jail__request *request) {
    order->request = *request;
    for (unsigned i = 0; i < SL_JAIL__ROLES; i++) order->fds[i] = -1;
}

void sl_jail__order_close(struct sl_jail__order *order) { sl_jail__close_all(order->fds, SL_JAIL__ROLES); }

void sl_jail__slot_init(struct sl_jail__slot *slot, unsigned index) {
    slot->index = index;
    slot->control = slot->log = slot->memory = slot->freeze = slot->netns[0] = slot->netns[1] = -1;
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) slot->listener[i] = -1;
    for (unsigned i = 0; i <= SL_JAIL_PROGRAMS_MAX; i++) slot->runs[i].process = slot->runs[i].log = -1;
    sl_jail__cgroup_init(&slot->cgroup);
}

uid_t sl_jail__slot_uid(const struct sl_jail__shells *shells, const struct sl_jail__slot *slot) {
    return shells->first_uid + (shells->change_ids ? slot->index : 0);
}

int sl_jail__shell_set_cpu(const struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint32_t cpu_milli) {
    if (cpu_milli >= 1000u * shells->cores) cpu_milli = 0; // all of them: no limit
    if (cpu_milli == slot->limits.cpu_milli) return 0;
    slot->limits.cpu_milli = cpu_milli;
    return sl_jail__cgroup_limit_cpu(&shells->cgroups, &slot->cgroup, cpu_milli);
}

// Of memory and processes; without effect where it has these. A file costs some 25 us.
static int set_sizes(const struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint32_t memory_mb,
                     uint32_t pids) {
    const struct sl_jail__limits limits = {.memory_mb = memory_mb, .pids = pids};
    if (memory_mb == slot->limits.memory_mb && pids == slot->limits.pids) return 0;
    int rc = sl_jail__cgroup_limit(&shells->cgroups, &slot->cgroup, &limits);
    if (rc != 0) return rc;
    slot->limits.memory_mb = memory_mb;
    slot->limits.pids = pids;
    return 0;
}

int sl_jail__shell_build(struct sl_jail__shells *shells, struct sl_jail__slot *slot, bool network) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -errno;
    // init blocks on its end; only ours must not.
    (void)fcntl(pair[1], F_SETFL, 0);
    slot->generation = ++shells->generation;
    int rc = sl_jail__cgroup_make(&shells->cgroups, &slot->cgroup, slot->index, slot->generation);
    slot->limits = (struct sl_jail__limits){0};
    // Most likely the next function is of the last one's size.
    if (rc == 0 && shells->usual.memory_mb != 0)
        (void)set_sizes(shells, slot, shells->usual.memory_mb, shells->usual.pids);
    if (rc == 0) {
        struct sl_jail__shell_plan plan = {
            .control = pair[1],
            .stem = shells->stem,
            .netns = slot->netns[network],
            .network = network,
            .sent = slot->sent,
            .slot = slot->index,
            .router = &shells->router,
            .cgroups = &shells->cgroups,
            .cgroup = &slot->cgroup,
            .filter = &shells->filter,
            .change_ids = shells->change_ids,
            .uid = sl_jail__slot_uid(shells, slot),
            // Its own id, so that the function cannot signal it, trace it or change its limits.
            .init_uid = shells->first_uid + shells->count,
            .own_user_ns = shells->rootless && !shells->change_ids,
        };
        pid_t pid = sl_jail__shell_fork(&plan);
        rc = pid < 0 ? pid : 0;
        slot->pid = pid;
    }
    close(pair[1]);
    if (rc != 0) {
        (void)sl_jail__cgroup_remove(&shells->cgroups, &slot->cgroup);
        close(pair[0]);
        return rc;
    }
    slot->control = pair[0];
    slot->network = network;
    slot->stopped = slot->keep = slot->blank = slot->waits = slot->adopting = slot->killed = slot->active =
        slot->confined = false;
    slot->has_status = slot->failed = slot->watched_oom = false;
    slot->routed = false;
    slot->rout_at = 0;
    slot->template = 0;
    slot->watched_peak = -1;
    slot->state = SL_JAIL__BUILDING;
    return 0;
}

static int take(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

void sl_jail__shell_ready(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__note *note,
                          int fds[SL_JAIL__FDS]) {
    if (slot->network) slot->sent = note->sent;
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) slot->listener[i] = take(&fds[i]);
    slot->runs[0].process = take(&fds[SL_JAIL_LISTENERS]);
    slot->runs[0].state = SL_JAIL__PROGRAM_WAITING;
    if (fds[SL_JAIL_LISTENERS + 1] >= 0) {
        sl_jail__close(&slot->netns[slot->network]);
        slot->netns[slot->network] = take(&fds[SL_JAIL_LISTENERS + 1]);
    }
    // Now rather than when a function waits.
    slot->memory = sl_jail__cgroup_memory_fd(&shells->cgroups, &slot->cgroup);
    slot->freeze = sl_jail__cgroup_freeze_fd(&shells->cgroups, &slot->cgroup);
    slot->state = SL_JAIL__WAITING;
}

// A pipe for output: *ret_ends[0] for the server, [1] for the program. 0 or -errno.
static int make_log(const struct sl_jail__shells *shells, const struct sl_jail__slot *slot, int ret_ends[2]) {
    if (pipe2(ret_ends, O_CLOEXEC) != 0) return -errno;
    // The ends are separate descriptions: only the server's end is non-blocking. A small pipe (limits) is only slower.
    (void)fcntl(ret_ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(ret_ends[0], F_SETPIPE_SZ, LOG_PIPE);
    // The function's own, or it could not open /dev/stdout and /dev/stderr, which many scripts do.
    uid_t owner = sl_jail__slot_uid(shells, slot);
    if (!shells->change_ids || fchown(ret_ends[1], owner, owner) == 0) return 0;
    int rc = -errno;
    close(ret_ends[0]);
    close(ret_ends[1]);
    return rc;
}

static struct sl_jail__go go_of(const struct sl_jail__shells *shells, const struct sl_jail__request *request,
                                enum sl_jail__go_op op) {
    return (struct sl_jail__go){
        .op = op,
        .flags = (request->flags & SL_JAIL__START_KEEP ? SL_JAIL__GO_KEEP : 0u) |
                 (request->flags & SL_JAIL__START_IMAGE ? SL_JAIL__GO_IMAGE : 0u),
        .programs = request->programs,
        .fds = request->fds,
        .tmp_mb = request->tmp_mb,
        // With an id of its own a sandbox has this limit beside a control group's: a fork beyond it fails before the
        // kernel has copied anything, one beyond the group's fails after that.
        .processes = shells->cgroups.controllers & SL_JAIL__PIDS && !shells->change_ids ? 0 : request->pids,
        .watch_mb = shells->cgroups.controllers & SL_JAIL__MEMORY ? 0 : request->memory_mb,
    };
}

static int set_limits(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__request *r) {
    shells->usual = (struct sl_jail__limits){.memory_mb = r->memory_mb, .pids = r->pids};
    int rc = set_sizes(shells, slot, r->memory_mb, r->pids);
    return rc != 0 ? rc : sl_jail__shell_set_cpu(shells, slot, r->cpu_milli);
}

int sl_jail__shell_give(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                        struct sl_jail__template *template, const char **ret_step) {
    const struct sl_jail__request *request = &order->request;
    bool blank = (request->flags & SL_JAIL__START_BLANK) != 0;
    int log[2];
    int input[2] = {-1, -1};
    *ret_step = "set the limits";
    int rc = set_limits(shells, slot, request);
    if (rc != 0) return rc;
    *ret_step = "make the log pipe";
    rc = make_log(shells, slot, log);
    if (rc != 0) return rc;
    if (blank && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) != 0) rc = -errno;
    struct sl_jail__go go = go_of(shells, request, SL_JAIL__GO_START);
    if (blank) go.flags |= SL_JAIL__GO_BLANK | (template != NULL ? SL_JAIL__GO_FORKED : 0u);
    const int fds[SL_JAIL__ROLES] = {
        [SL_JAIL__CODE] = order->fds[SL_JAIL__CODE],
        [SL_JAIL__OPT] = order->fds[SL_JAIL__OPT],
        [SL_JAIL__BLOCK] = template != NULL ? -1 : order->fds[SL_JAIL__BLOCK],
        [SL_JAIL__LOG] = log[1],
        [SL_JAIL__INPUT] = template != NULL ? -1
                           : blank          ? input[0]
                                            : order->fds[SL_JAIL__INPUT],
        [SL_JAIL__PEER] = input[1],
    };
    *ret_step = "hand over to the sandbox";
    if (rc == 0) rc = sl_jail__send_roles(slot->control, &go, sizeof go, &go.has, fds);
    if (rc == 0 && template != NULL) rc = sl_jail__template_fork(template, shells, slot, &go, log[1], input[0]);
    sl_jail__close(&log[1]);
    sl_jail__close_all(input, 2);
    if (rc != 0) {
        close(log[0]);
        return rc;
    }
    slot->log = log[0];
    slot->id = request->id;
    slot->keep = (request->flags & SL_JAIL__START_KEEP) != 0;
    slot->blank = blank;
    slot->fds = go.fds;
    slot->processes = go.processes;
    slot->runs[0].state =
        fds[SL_JAIL__BLOCK] >= 0 || template != NULL ? SL_JAIL__PROGRAM_STARTING : SL_JAIL__PROGRAM_WAITING;
    slot->state = SL_JAIL__STARTING;
    return 0;
}

int sl_jail__shell_adopt(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                         const char **ret_step) {
    *ret_step = "set the limits";
    int rc = set_limits(shells, slot, &order->request);
    if (rc != 0) return rc;
    struct sl_jail__go go = go_of(shells, &order->request, SL_JAIL__GO_ADOPT);
    *ret_step = "hand over to the sandbox";
    rc = sl_jail__send_roles(slot->control, &go, sizeof go, &go.has, order->fds);
    if (rc != 0) return rc;
    slot->keep = (order->request.flags & SL_JAIL__START_KEEP) != 0;
    slot->adopting = true;
    return 0;
}

int sl_jail__shell_exec(struct sl_jail__shells *shells, struct sl_jail__slot *slot,
                        const struct sl_jail__request *request, int block, const char **ret_step) {
    bool own_log = (request->flags & SL_JAIL__EXEC_OWN_LOG) != 0;
    int log[2] = {-1, -1};
    *ret_step = "make the log pipe";
    int rc = own_log ? make_log(shells, slot, log) : 0;
    if (rc != 0) return rc;
    struct sl_jail__go go = go_of(shells, request, SL_JAIL__GO_EXEC);
    go.program = request->program;
    go.fds = slot->fds;
    go.processes = slot->processes;
    const int fds[SL_JAIL__ROLES] = {
        [SL_JAIL__CODE] = -1,    [SL_JAIL__OPT] = -1,   [SL_JAIL__BLOCK] = block,
        [SL_JAIL__LOG] = log[1], [SL_JAIL__INPUT] = -1, [SL_JAIL__PEER] = -1,
    };
    *ret_step = "hand over to the sandbox";
    rc = sl_jail__send_roles(slot->control, &go, sizeof go, &go.has, fds);
    sl_jail__close(&log[1]);
    if (rc != 0) {
        sl_jail__close(&log[0]);
        return rc;
    }
    slot->runs[request->program].log = log[0];
    slot->runs[request->program].state = SL_JAIL__PROGRAM_STARTING;
    return 0;
}

void sl_jail__shell_connector(const struct sl_jail__slot *slot) {
    struct sl_jail__go go = {.op = SL_JAIL__GO_CONNECTOR};
    (void)sl_jail__send(slot->control, &go, sizeof go, NULL, 0);
}

void sl_jail__shell_signal(const struct sl_jail__slot *slot, unsigned program, int number) {
    for (unsigned i = 0; i <= SL_JAIL_PROGRAMS_MAX; i++) {
        const struct sl_jail__run *run = &slot->runs[i];
        if ((program != i && program != SL_JAIL_ALL) || run->state != SL_JAIL__PROGRAM_RUNNING) continue;
        if (syscall(SYS_pidfd_send_signal, run->process, number, NULL, SIGNAL_GROUP) == 0 || errno != EINVAL) continue;
        (void)syscall(SYS_pidfd_send_signal, run->process, number, NULL, 0);
    }
}

void sl_jail__shell_kill(const struct sl_jail__shells *shells, struct sl_jail__slot *slot) {
    // Dying takes time too, of which a tree of a thousand processes with a small share has little: it would take
    // seconds.
    (void)sl_jail__cgroup_limit_cpu(&shells->cgroups, &slot->cgroup, 0);
    // Not reaped yet, so the pid is still its own.
    if (slot->pid > 0) (void)kill(slot->pid, SIGKILL);
    slot->killed = true;
}

enum { HELPER_STACK = 16384 };

struct rout {
    int init; // pidfd
    bool done;
    alignas(16) char stacks[2][HELPER_STACK];
};

// Not in its parent's namespace: it would be the whole machine.
static int kill_the_others(void *unused) {
    (void)unused;
    return getppid() == 0 ? kill(-1, SIGKILL) : -1; // all but the namespace's init and itself
}

// An ordinary user's process that has entered a namespace for its children cannot go back to its own: a helper does it.
static int enter_and_kill(void *user) {
    struct rout *rout = user;
    if (setns(rout->init, CLONE_NEWPID) != 0) {
        rout->done = errno == ESRCH; // init has given its memory back, and now ends the others itself
        return -1;
    }
    pid_t pid = clone(kill_the_others, rout->stacks[1] + HELPER_STACK, CLONE_VM | CLONE_VFORK, NULL);
    rout->done = pid > 0;
    return pid > 0 && waitpid(pid, NULL, __WALL) == pid ? 0 : -1;
}

// Everything in a sandbox but its init, at one stroke: nothing that is being forked escapes. The helpers share this
// process's memory, since the making of a copy waits in the very queues that this is to end. False: try again.
static bool rout_others(pid_t init) {
    static struct rout rout; // too large for a stack
    rout.init = (int)syscall(SYS_pidfd_open, init, 0);
    rout.done = false;
    if (rout.init < 0) return errno == ESRCH;
    pid_t helper = clone(enter_and_kill, rout.stacks[0] + HELPER_STACK, CLONE_VM | CLONE_VFORK, &rout);
    if (helper > 0) (void)waitpid(helper, NULL, __WALL);
    sl_jail__close(&rout.init);
    return rout.done;
}

int sl_jail__shell_hasten(const struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now) {
    if (!slot->killed || slot->pid <= 0) return -1;
    bool thawed = sl_jail__cgroup_thaw(&shells->cgroups, &slot->cgroup);
    if (slot->rout_at == 0) slot->rout_at = now + ROUT_MS;
    if (!slot->routed && now >= slot->rout_at) {
        slot->routed = rout_others(slot->pid);
        slot->rout_at = now + ROUT_MS;
    }
    return thawed ? SL_JAIL__DYING_MS : slot->routed ? -1 : (int)(slot->rout_at - now);
}

void sl_jail__shell_release(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now) {
    sl_jail__close_all(slot->listener, SL_JAIL_LISTENERS);
    sl_jail__close(&slot->control);
    sl_jail__close(&slot->log);
    sl_jail__close(&slot->memory);
    sl_jail__close(&slot->freeze);
    for (unsigned i = 0; i <= SL_JAIL_PROGRAMS_MAX; i++) {
        sl_jail__close(&slot->runs[i].process);
        sl_jail__close(&slot->runs[i].log);
        slot->runs[i].state = SL_JAIL__PROGRAM_NONE;
    }
    slot->pid = 0;
    slot->main = 0;
    slot->id = 0;
    slot->state = SL_JAIL__CLEANING;
    sl_jail__shell_clean(shells, slot, now);
}

void sl_jail__shell_clean(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now) {
    if (sl_jail__cgroup_remove(&shells->cgroups, &slot->cgroup) == -EBUSY) return;
    slot->state = SL_JAIL__FREE;
    slot->freed = now;
}
