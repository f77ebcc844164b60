// SPDX-License-Identifier: Apache-2.0
//
// shell: see shell.h. Runs in the spawner, which is the parent of every init; nothing here waits for a sandbox.
#include "jail/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/file.h"
#include "jail/root.h"

enum { LOG_PIPE = 256 << 10 };

void sl_jail__order_close(struct sl_jail__order *order) {
    sl_jail__close(&order->code);
    sl_jail__close(&order->opt);
    sl_jail__close(&order->block);
}

int sl_jail__shell_build(struct sl_jail__shells *shells, struct sl_jail__slot *slot, bool network) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -errno;
    // init blocks on its end; only ours must not.
    (void)fcntl(pair[1], F_SETFL, 0);
    slot->generation = ++shells->generation;
    int rc = sl_jail__cgroup_make(&shells->cgroups, &slot->cgroup, slot->index, slot->generation);
    if (rc == 0) {
        struct sl_jail__shell_plan plan = {
            .control = pair[1],
            .stem = shells->stem,
            .netns = slot->netns[network],
            .network = network,
            .slot = slot->index,
            .router = &shells->router,
            .cgroups = &shells->cgroups,
            .cgroup = &slot->cgroup,
            .filter = &shells->filter,
            .change_ids = shells->change_ids,
            .uid = shells->first_uid + (shells->change_ids ? slot->index : 0),
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
    slot->stopped = slot->has_status = slot->failed = slot->watched_oom = false;
    slot->watched_peak = -1;
    slot->state = SL_JAIL__BUILDING;
    return 0;
}

void sl_jail__shell_ready(struct sl_jail__slot *slot, int fds[SL_JAIL__FDS]) {
    slot->listener[0] = fds[0];
    slot->listener[1] = fds[1];
    fds[0] = fds[1] = -1;
    if (fds[2] >= 0) {
        sl_jail__close(&slot->netns[slot->network]);
        slot->netns[slot->network] = fds[2];
        fds[2] = -1;
    }
    slot->state = SL_JAIL__WAITING;
}

int sl_jail__shell_give(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                        const char **ret_step) {
    struct sl_jail__limits limits = {
        .memory_mb = order->request.memory_mb, .cpu_milli = order->request.cpu_milli, .pids = order->request.pids};
    *ret_step = "set the limits";
    int rc = sl_jail__cgroup_limit(&shells->cgroups, &slot->cgroup, &limits);
    if (rc != 0) return rc;
    int pipe_ends[2];
    *ret_step = "make the log pipe";
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return -errno;
    // The ends are separate descriptions: only the server's end is non-blocking. A small pipe (limits) is only slower.
    (void)fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(pipe_ends[0], F_SETPIPE_SZ, LOG_PIPE);
    // The function's own, or it could not open /dev/stdout and /dev/stderr, which many scripts do.
    uid_t owner = shells->first_uid + slot->index;
    if (shells->change_ids && fchown(pipe_ends[1], owner, owner) != 0) {
        rc = -errno;
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        return rc;
    }
    struct sl_jail__go go = {
        .fds = order->request.fds,
        .tmp_mb = order->request.tmp_mb,
        .processes = shells->cgroups.controllers & SL_JAIL__PIDS ? 0 : order->request.pids,
        .watch_mb = shells->cgroups.controllers & SL_JAIL__MEMORY ? 0 : order->request.memory_mb,
    };
    int fds[4] = {order->code, pipe_ends[1], order->block, order->opt};
    *ret_step = "hand over to the sandbox";
    rc = sl_jail__send(slot->control, &go, sizeof go, fds, order->opt >= 0 ? 4 : 3);
    close(pipe_ends[1]);
    if (rc != 0) {
        close(pipe_ends[0]);
        return rc;
    }
    slot->log = pipe_ends[0];
    slot->id = order->request.id;
    slot->state = SL_JAIL__STARTING;
    return 0;
}

void sl_jail__shell_kill(const struct sl_jail__shells *shells, struct sl_jail__slot *slot) {
    // Dying takes time too, of which a tree of a thousand processes with a small share has little: it would take
    // seconds.
    (void)sl_jail__cgroup_limit_cpu(&shells->cgroups, &slot->cgroup, 0);
    // Not reaped yet, so the pid is still its own.
    if (slot->pid > 0) (void)kill(slot->pid, SIGKILL);
}

void sl_jail__shell_release(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now) {
    sl_jail__close_all(slot->listener, 2);
    sl_jail__close(&slot->control);
    sl_jail__close(&slot->log);
    sl_jail__close(&slot->memory);
    slot->pid = 0;
    slot->id = 0;
    slot->state = SL_JAIL__CLEANING;
    sl_jail__shell_clean(shells, slot, now);
}

void sl_jail__shell_clean(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now) {
    if (sl_jail__cgroup_remove(&shells->cgroups, &slot->cgroup) == -EBUSY) return;
    slot->state = SL_JAIL__FREE;
    slot->freed = now;
}
