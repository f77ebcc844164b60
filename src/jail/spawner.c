// SPDX-License-Identifier: Apache-2.0
//
// spawner: the process that owns every sandbox. One thread, one epoll loop over: the control socket to the server,
// SIGCHLD, and a socket per sandbox. It parses nothing, opens no path that the server names (directories come as
// descriptors), and checks every integer.
//
// Data flow: START -> an order in `orders` -> given to a waiting sandbox (or one is built for it) -> init's notes and
// death
// -> replies in `replies` -> server. Orders are bounded by max_instances, replies by pausing the reading of requests.
//
// Invariants: every accepted or refused START gets exactly one of STARTED or FAILED, every STARTED exactly one EXITED;
// EXITED (and a FAILED that had a sandbox) is sent after its init was reaped, which the kernel delays until the whole
// pid namespace is gone. When this process ends, all sandboxes have ended.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "jail/announce.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/replies.h"
#include "jail/root.h"
#include "jail/rootless.h"
#include "jail/seccomp.h"
#include "jail/shell.h"
#include "jail/usernet.h"

enum {
    INSTANCES_MAX = 4096,
    SPARE_SLOTS = 8, // beyond instances and pool: sandboxes being built, cleaned, or waiting without network
    BUILDERS = 4,    // built at a time when functions wait for them
    QUIET_MS = 3,    // after the last start, before the pool is refilled: refilling competes with what was just started
    RETRY_MS = 1000, // after a failed build
    SWEEP_MS = 50,   // between attempts to remove what a killed spawner left, while its processes are dying
    SWEEPS = 200,
    EVENTS = 64,
    CONTROL = 0, // epoll tags; slots follow
    SIGNALS = 1,
    FIRST_SLOT = 2,
};

struct spawner {
    int control;
    int epoll;
    int signals;
    uint32_t control_events; // that epoll reports
    bool reopen;             // rootless: directories must be opened again in our mount namespace
    unsigned limit;
    unsigned pool;
    bool seen_without_network; // keep one of those ready too
    unsigned sweeps;           // attempts to remove what a killed spawner left
    uint64_t last_start;
    uint64_t retry_at;
    struct sl_jail__shells shells;
    struct sl_jail__order *orders; // limit
    unsigned order_count;
    struct sl_jail__replies *replies;
};

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// ---- replies ----

// Sends what waits, and looks out for what comes next. While many replies wait, requests are not read, which stops the
// server's sending: back-pressure instead of memory.
static void flush(struct spawner *s) {
    bool sent = sl_jail__replies_flush(s->replies, s->control);
    uint32_t wanted = (sl_jail__replies_calm(s->replies) ? EPOLLIN : 0u) | (sent ? 0u : EPOLLOUT);
    if (wanted == s->control_events) return;
    struct epoll_event event = {.events = wanted, .data.u64 = CONTROL};
    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->control, &event);
    s->control_events = wanted;
}

// Takes the descriptors.
static void reply(struct spawner *s, const struct sl_jail__reply *reply, const int *fds, unsigned fd_count) {
    sl_jail__replies_put(s->replies, reply, fds, fd_count);
    flush(s);
}

static void reply_failed(struct spawner *s, uint64_t id, int error, const char *step) {
    struct sl_jail__reply failed = {.kind = SL_JAIL_FAILED, .id = id, .error = error, .memory_peak = -1};
    snprintf(failed.step, sizeof failed.step, "%s", step);
    reply(s, &failed, NULL, 0);
}

static void reply_started(struct spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__reply started = {.kind = SL_JAIL_STARTED,
                                     .id = slot->id,
                                     .pid = slot->pid,
                                     .memory_peak = -1,
                                     .flags = slot->network ? SL_JAIL__REPLY_NETWORK : 0u};
    int fds[4] = {fcntl(slot->listener[0], F_DUPFD_CLOEXEC, 3), fcntl(slot->listener[1], F_DUPFD_CLOEXEC, 3), slot->log,
                  slot->memory >= 0 ? slot->memory : sl_jail__cgroup_memory_fd(&s->shells.cgroups, &slot->cgroup)};
    slot->log = slot->memory = -1;
    if (fds[0] < 0 || fds[1] < 0) { // out of descriptors: a sandbox that nobody can talk to is of no use
        sl_jail__close_all(fds, 4);
        slot->failed = true;
        slot->failure = (struct sl_jail__note){.error = EMFILE, .step = "copy the listening socket"};
        sl_jail__shell_kill(&s->shells, slot);
        return;
    }
    slot->state = SL_JAIL__RUNNING;
    reply(s, &started, fds, fds[3] >= 0 ? 4 : 3);
}

static void reply_exited(struct spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__reply exited = {
        .kind = SL_JAIL_EXITED, .id = slot->id, .status = slot->has_status ? slot->status : SIGKILL};
    int memory = sl_jail__cgroup_memory_fd(&s->shells.cgroups, &slot->cgroup);
    exited.memory_peak = memory >= 0 ? sl_jail_memory_peak(memory) : slot->watched_peak;
    sl_jail__close(&memory);
    if (slot->watched_oom || sl_jail__cgroup_oom(&s->shells.cgroups, &slot->cgroup)) exited.flags |= SL_JAIL__REPLY_OOM;
    reply(s, &exited, NULL, 0);
}

// ---- building and giving ----

static bool order_wants_network(const struct spawner *s, const struct sl_jail__order *order) {
    return (order->request.flags & SL_JAIL__START_NETWORK) != 0 && s->shells.router.ns >= 0;
}

// A free slot, best one whose namespace can be recycled, of those the one free for longest.
static struct sl_jail__slot *free_slot(struct spawner *s, bool network) {
    struct sl_jail__slot *best = NULL;
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->state != SL_JAIL__FREE) continue;
        bool recycled = slot->netns[network] >= 0;
        if (best == NULL || (recycled && best->netns[network] < 0) ||
            (recycled == (best->netns[network] >= 0) && slot->freed < best->freed)) {
            best = slot;
        }
    }
    return best;
}

static unsigned count_slots(const struct spawner *s, enum sl_jail__state state, bool network) {
    unsigned count = 0;
    for (unsigned i = 0; i < s->shells.count; i++) {
        count += s->shells.slots[i].state == state && s->shells.slots[i].network == network;
    }
    return count;
}

static void order_remove(struct spawner *s, unsigned i) {
    sl_jail__order_close(&s->orders[i]);
    memmove(&s->orders[i], &s->orders[i + 1], sizeof s->orders[0] * (s->order_count - i - 1));
    s->order_count--;
}

static void build_failed(struct spawner *s, bool network, int error, const char *step) {
    s->retry_at = now_ms() + RETRY_MS;
    for (unsigned i = 0; i < s->order_count; i++) {
        if (order_wants_network(s, &s->orders[i]) != network) continue;
        reply_failed(s, s->orders[i].request.id, error, step);
        order_remove(s, i);
        return;
    }
    sl_log_warn("jail", "prepare a sandbox: %s: %s", step, strerror(error));
}

static bool build(struct spawner *s, bool network) {
    struct sl_jail__slot *slot = free_slot(s, network);
    if (slot == NULL) return false;
    int rc = sl_jail__shell_build(&s->shells, slot, network);
    if (rc == 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = FIRST_SLOT + slot->index};
        (void)epoll_ctl(s->epoll, EPOLL_CTL_ADD, slot->control, &event);
        return true;
    }
    build_failed(s, network, -rc, "make a process");
    return false;
}

// Hands waiting sandboxes to orders, oldest first.
static void give_orders(struct spawner *s) {
    for (unsigned i = 0; i < s->order_count;) {
        struct sl_jail__order *order = &s->orders[i];
        bool network = order_wants_network(s, order);
        struct sl_jail__slot *slot = NULL;
        for (unsigned k = 0; k < s->shells.count && slot == NULL; k++) {
            struct sl_jail__slot *candidate = &s->shells.slots[k];
            if (candidate->state == SL_JAIL__WAITING && candidate->network == network) slot = candidate;
        }
        if (slot == NULL) {
            i++;
            continue;
        }
        const char *step = "";
        int rc = sl_jail__shell_give(&s->shells, slot, order, &step);
        if (rc != 0) {
            reply_failed(s, order->request.id, -rc, step);
            sl_jail__shell_kill(&s->shells, slot);
            slot->state = SL_JAIL__BUILDING; // nobody's; released when reaped
            slot->failed = true;
        }
        order_remove(s, i);
    }
}

// Starts what builders are needed: several when functions wait, one at a time for the pool and only when it is quiet.
// Returns how long the loop may sleep, in milliseconds, -1 for ever.
static int refill(struct spawner *s) {
    uint64_t now = now_ms();
    unsigned orders[2] = {0};
    for (unsigned i = 0; i < s->order_count; i++) orders[order_wants_network(s, &s->orders[i])]++;
    bool usual = s->shells.router.ns >= 0;
    int sleep = -1;
    for (int network = 0; network < 2; network++) {
        unsigned building = count_slots(s, SL_JAIL__BUILDING, network);
        while (building < orders[network] && building < BUILDERS && build(s, network)) building++;
        unsigned target = network == usual ? s->pool : s->pool > 0 && !network && s->seen_without_network ? 1 : 0;
        if (building > 0 || count_slots(s, SL_JAIL__WAITING, network) >= target) continue;
        uint64_t due = s->last_start + QUIET_MS > s->retry_at ? s->last_start + QUIET_MS : s->retry_at;
        if (now >= due && build(s, network)) continue;
        if (now < due)
            sleep = (int)(due - now);
        else
            sleep = RETRY_MS;
    }
    for (unsigned i = 0; i < s->shells.count; i++) {
        if (s->shells.slots[i].state != SL_JAIL__CLEANING) continue;
        sl_jail__shell_clean(&s->shells, &s->shells.slots[i], now);
        if (s->shells.slots[i].state == SL_JAIL__CLEANING) sleep = 5;
    }
    if (s->shells.cgroups.leftovers > 0 && s->sweeps < SWEEPS) {
        s->sweeps++;
        sl_jail__cgroups_sweep(&s->shells.cgroups);
        if (sleep < 0 || sleep > SWEEP_MS) sleep = SWEEP_MS;
    }
    return sleep;
}

// ---- requests ----

static bool is_valid(const struct sl_jail__request *r) {
    return r->id != 0 && r->memory_mb >= SL_JAIL_MEMORY_MB_MIN && r->memory_mb <= SL_JAIL_MEMORY_MB_MAX &&
           r->cpu_milli <= 1000000 && r->pids >= 1 && r->pids <= SL_JAIL_PIDS_MAX && r->fds >= 16 &&
           r->fds <= SL_JAIL_FDS_MAX && r->tmp_mb >= SL_JAIL_TMP_MB_MIN && r->tmp_mb <= SL_JAIL_TMP_MB_MAX;
}

static struct sl_jail__slot *slot_of(struct spawner *s, uint64_t id) {
    for (unsigned i = 0; i < s->shells.count; i++) {
        if (s->shells.slots[i].id == id) return &s->shells.slots[i];
    }
    return NULL;
}

static int order_of(const struct spawner *s, uint64_t id) {
    for (unsigned i = 0; i < s->order_count; i++) {
        if (s->orders[i].request.id == id) return (int)i;
    }
    return -1;
}

static int clone_directory(const struct spawner *s, int fd) {
    if (!s->reopen) return sl_jail__mount_clone(fd, false);
    int again = sl_jail__rootless_reopen(fd);
    int mount = again < 0 ? again : sl_jail__mount_clone(again, false);
    sl_jail__close(&again);
    return mount;
}

static void start(struct spawner *s, const struct sl_jail__request *request, int fds[SL_JAIL__FDS]) {
    unsigned active = s->order_count;
    for (unsigned i = 0; i < s->shells.count; i++) active += s->shells.slots[i].id != 0;
    if (!is_valid(request)) {
        reply_failed(s, request->id, EINVAL, "check the request");
        return;
    }
    if (slot_of(s, request->id) != NULL || order_of(s, request->id) >= 0) {
        reply_failed(s, request->id, EEXIST, "check the request");
        return;
    }
    if (active >= s->limit) {
        reply_failed(s, request->id, EAGAIN, "find a free slot");
        return;
    }
    struct sl_jail__order order = {.request = *request, .code = -1, .opt = -1, .block = fds[1]};
    bool has_opt = (request->flags & SL_JAIL__START_OPT) != 0;
    order.code = fds[0] >= 0 ? clone_directory(s, fds[0]) : -EBADF;
    order.opt = !has_opt ? -1 : fds[2] >= 0 ? clone_directory(s, fds[2]) : -EBADF;
    if (order.code < 0 || (has_opt && order.opt < 0) || order.block < 0) {
        int error = order.code < 0 ? -order.code : has_opt && order.opt < 0 ? -order.opt : EBADF;
        reply_failed(s, request->id, error, order.code < 0 ? "take the code directory" : "take the layers directory");
        order.block = -1; // the caller closes fds
        sl_jail__order_close(&order);
        return;
    }
    fds[1] = -1;
    if (!order_wants_network(s, &order)) s->seen_without_network = true;
    s->last_start = now_ms();
    s->orders[s->order_count++] = order;
}

static void stop(struct spawner *s, uint64_t id) {
    struct sl_jail__slot *slot = id == 0 ? NULL : slot_of(s, id);
    int order = order_of(s, id);
    if (order >= 0) {
        order_remove(s, (unsigned)order);
        reply_failed(s, id, ECANCELED, "stopped before it was started");
    } else if (slot != NULL) {
        slot->stopped = true;
        sl_jail__shell_kill(&s->shells, slot);
    }
}

// Returns false when the server is gone.
static bool read_requests(struct spawner *s) {
    for (int i = 0; i < EVENTS && sl_jail__replies_calm(s->replies); i++) {
        struct sl_jail__request request;
        int fds[SL_JAIL__FDS];
        int rc = sl_jail__receive(s->control, &request, sizeof request, fds);
        if (rc == -EAGAIN) return true;
        if (rc == -EMFILE) {
            reply_failed(s, request.id, EMFILE, "receive descriptors");
            continue;
        }
        if (rc <= 0) return false;
        struct sl_jail__slot *slot;
        switch (request.op) {
        case SL_JAIL__START:
            start(s, &request, fds);
            break;
        case SL_JAIL__STOP:
            stop(s, request.id);
            break;
        case SL_JAIL__SET_CPU:
            slot = request.id == 0 || request.cpu_milli > 1000000 ? NULL : slot_of(s, request.id);
            if (slot != NULL) (void)sl_jail__cgroup_limit_cpu(&s->shells.cgroups, &slot->cgroup, request.cpu_milli);
            break;
        default:
            break;
        }
        sl_jail__close_all(fds, SL_JAIL__FDS);
    }
    return true;
}

// ---- sandboxes ----

// Reads what init says. Safe to call when it is already dead: what it said before is still there.
static void read_notes(struct spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__note note;
    int fds[SL_JAIL__FDS];
    int rc;
    while (slot->control >= 0 && (rc = sl_jail__receive(slot->control, &note, sizeof note, fds)) != -EAGAIN) {
        if (rc <= 0) { // end-of-file: its death is reported by SIGCHLD
            (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, slot->control, NULL);
            sl_jail__close(&slot->control);
            return;
        }
        note.step[sizeof note.step - 1] = '\0';
        if (note.kind == SL_JAIL__READY && slot->state == SL_JAIL__BUILDING) {
            sl_jail__shell_ready(slot, fds);
        } else if (note.kind == SL_JAIL__EXECED && slot->state == SL_JAIL__STARTING && !slot->failed) {
            slot->memory = fds[0];
            fds[0] = -1;
            reply_started(s, slot);
        } else if (note.kind == SL_JAIL__EXITED) {
            (void)sl_jail__cgroup_limit_cpu(&s->shells.cgroups, &slot->cgroup, 0); // what it left behind dies quickly
            slot->has_status = true;
            slot->status = note.status;
            slot->watched_peak = note.memory_peak;
            slot->watched_oom = note.oom != 0;
        } else if (note.kind == SL_JAIL__FAILED) {
            slot->failed = true;
            slot->failure = note;
        }
        sl_jail__close_all(fds, SL_JAIL__FDS);
    }
}

static void bury(struct spawner *s, struct sl_jail__slot *slot) {
    read_notes(s, slot);
    // Before the server is told. It may keep its copy of the listening TCP socket for a while; shut, that no longer
    // holds the port in this network namespace, which is used again.
    if (slot->listener[0] >= 0) (void)shutdown(slot->listener[0], SHUT_RDWR);
    const struct sl_jail__note *failure = &slot->failure;
    switch (slot->state) {
    case SL_JAIL__BUILDING:
        // A sandbox whose order was already answered (see give_orders) has failed without a text.
        if (!slot->failed || failure->step[0] != '\0') {
            build_failed(s, slot->network, slot->failed ? failure->error : EIO,
                         slot->failed ? failure->step : "its process died");
        }
        break;
    case SL_JAIL__STARTING:
        if (slot->failed)
            reply_failed(s, slot->id, failure->error, failure->step);
        else if (slot->stopped)
            reply_failed(s, slot->id, ECANCELED, "stopped before it was started");
        else
            reply_failed(s, slot->id, EIO, "its process died while starting");
        break;
    case SL_JAIL__RUNNING:
        reply_exited(s, slot);
        break;
    default:
        break;
    }
    slot->failure.step[0] = '\0';
    sl_jail__shell_release(&s->shells, slot, now_ms());
}

static void reap(struct spawner *s) {
    struct signalfd_siginfo info[8];
    while (read(s->signals, info, sizeof info) > 0) {}
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
        if (pid == s->shells.router.helper) {
            sl_log_warn("jail", "the network helper ended; functions have no network until Sluice is started again");
            s->shells.router.helper = 0;
        }
        for (unsigned i = 0; i < s->shells.count; i++) {
            if (s->shells.slots[i].pid != pid) continue;
            bury(s, &s->shells.slots[i]);
            break;
        }
    }
}

// ---- life ----

static void loop(struct spawner *s) {
    for (;;) {
        struct epoll_event events[EVENTS];
        give_orders(s);
        int sleep = refill(s);
        int count = epoll_wait(s->epoll, events, EVENTS, sleep);
        for (int i = 0; i < count; i++) {
            uint64_t tag = events[i].data.u64;
            if (tag == CONTROL) {
                flush(s);
                if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_requests(s)) return;
            } else if (tag == SIGNALS) {
                reap(s);
            } else {
                read_notes(s, &s->shells.slots[tag - FIRST_SLOT]);
            }
        }
    }
}

// Takes the process over: nothing of the supervisor's stays open, signals come by descriptor.
static int take_process(struct spawner *s, const struct sl_jail_config *config) {
    int keep[2] = {s->control, config->runtimes_dir_fd};
    sl_jail__close_except(keep, 2);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0 && (dup2(null, 0) < 0 || dup2(null, 1) < 0)) return -errno;
    sl_jail__close(&null);
    (void)prctl(PR_SET_NAME, "sluice-spawner", 0, 0, 0);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &blocked, NULL) != 0) return -errno;
    s->signals = signalfd(-1, &blocked, SFD_NONBLOCK | SFD_CLOEXEC);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->signals < 0 || s->epoll < 0) return -errno;
    (void)fcntl(s->control, F_SETFD, FD_CLOEXEC);
    if (fcntl(s->control, F_SETFL, O_NONBLOCK) != 0) return -errno;
    struct epoll_event control = {.events = s->control_events = EPOLLIN, .data.u64 = CONTROL};
    struct epoll_event signals = {.events = EPOLLIN, .data.u64 = SIGNALS};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->control, &control) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &signals) != 0) {
        return -errno;
    }
    return 0;
}

static int make_slots(struct spawner *s, const struct sl_jail_config *config) {
    s->limit = config->max_instances < 1               ? 1
               : config->max_instances > INSTANCES_MAX ? INSTANCES_MAX
                                                       : config->max_instances;
    s->pool = config->shells > s->limit ? s->limit : config->shells;
    struct sl_jail__shells *shells = &s->shells;
    shells->count = s->limit + s->pool + SPARE_SLOTS;
    shells->slots = calloc(shells->count, sizeof *shells->slots);
    s->orders = calloc(s->limit, sizeof *s->orders);
    s->replies = sl_jail__replies_new(shells->count);
    if (shells->slots == NULL || s->orders == NULL || s->replies == NULL) return -ENOMEM;
    for (unsigned i = 0; i < shells->count; i++) {
        struct sl_jail__slot *slot = &shells->slots[i];
        slot->index = i;
        slot->control = slot->listener[0] = slot->listener[1] = slot->log = slot->memory = -1;
        slot->netns[0] = slot->netns[1] = -1;
        sl_jail__cgroup_init(&slot->cgroup);
    }
    return 0;
}

// Everything that is made once. What is missing but not needed is logged; SL_OK unless sandboxes cannot be made at all.
static int prepare(struct spawner *s, const struct sl_jail_config *config, struct sl_error *err) {
    struct sl_jail__shells *shells = &s->shells;
    shells->stem = -1;
    shells->router.ns = shells->router.host_ns = -1;
    shells->change_ids = true;
    shells->first_uid = config->first_uid;
    if (make_slots(s, config) != 0) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    sl_jail__cgroups_find(&shells->cgroups);
    sl_jail__cgroups_open(&shells->cgroups);
    if (geteuid() != 0) {
        s->reopen = shells->rootless = true;
        int rc = sl_jail__rootless_enter(shells->count + 1, &shells->first_uid, &shells->change_ids, err);
        if (rc != SL_OK) return rc;
    }
    struct sl_error problem;
    if (config->network && sl_jail__router_open(&shells->router, config, shells->rootless, &problem) != SL_OK) {
        sl_log_warn("jail", "functions have no network: %s", problem.message);
    }
    int runtimes = config->runtimes_dir_fd < 0 ? -1 : clone_directory(s, config->runtimes_dir_fd);
    if (config->runtimes_dir_fd >= 0 && runtimes < 0) {
        return sl_fail(err, SL_E_IO, "mount the runtimes: %s", strerror(-runtimes));
    }
    struct sl_jail__root_config root = {
        .runtimes_mount = runtimes,
        .first_uid = shells->first_uid,
        .uid_count = shells->change_ids ? shells->count : 1,
        .dns = shells->router.dns,
        .dns_count = shells->router.ns >= 0 ? shells->router.dns_count : 0,
        .keep_proc = s->reopen,
    };
    shells->stem = sl_jail__stem_build(&root, err);
    sl_jail__close(&runtimes);
    if (shells->stem < 0) return err->kind;
    sl_jail__announce(shells);
    return sl_jail__seccomp_compile((shells->cgroups.controllers & SL_JAIL__MEMORY) != 0, &shells->filter, err);
}

static void end(struct spawner *s) {
    for (unsigned i = 0; i < s->shells.count; i++) sl_jail__shell_kill(&s->shells, &s->shells.slots[i]);
    sl_jail__usernet_stop(&s->shells.router); // a child, too
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->cgroup.made) (void)sl_jail__cgroup_remove(&s->shells.cgroups, &slot->cgroup);
        sl_jail__close_all(slot->netns, 2);
    }
    sl_jail__router_close(&s->shells.router);
    sl_jail__cgroups_close(&s->shells.cgroups);
}

int sl_spawner_main(int control_fd, const struct sl_jail_config *config) {
    struct spawner spawner = {.control = control_fd};
    struct sl_error error = {0};
    int rc = take_process(&spawner, config);
    if (rc != 0) {
        sl_log_error("jail", "start the spawner: %s", strerror(-rc));
        return 1;
    }
    rc = prepare(&spawner, config, &error);
    if (rc == SL_OK)
        loop(&spawner);
    else
        sl_log_error("jail", "functions cannot run: %s", error.message);
    end(&spawner);
    return rc == SL_OK ? 0 : 1;
}
