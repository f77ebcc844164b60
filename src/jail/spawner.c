// SPDX-License-Identifier: Apache-2.0
//
// spawner: see spawner.h for what it does and how it is divided. Here: the process itself, from being forked by the
// supervisor to leaving nothing behind.
#include "jail/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
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
#include "jail/claim.h"
#include "jail/file.h"
#include "jail/root.h"
#include "jail/rootless.h"
#include "jail/seccomp.h"
#include "jail/usernet.h"

enum {
    INSTANCES_MAX = 4096,
    SPARE_SLOTS = 8, // beyond instances and pool: sandboxes being built, cleaned, or waiting without network
    EVENTS = 64,
    LARGE = 100 << 10, // bytes of an allocation that no bin of freed ones has, and that is no mapping of its own
};

uint64_t sl_jail__now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct sl_jail__slot *sl_jail__slot_of(struct sl_jail__spawner *s, uint64_t id) {
    for (unsigned i = 0; i < s->shells.count; i++) {
        if (s->shells.slots[i].id == id) return &s->shells.slots[i];
    }
    return NULL;
}

// ---- replies ----

void sl_jail__flush(struct sl_jail__spawner *s) {
    bool sent = sl_jail__replies_flush(s->replies, s->control);
    uint32_t wanted = (sl_jail__replies_calm(s->replies) ? EPOLLIN : 0u) | (sent ? 0u : EPOLLOUT);
    if (wanted == s->control_events) return;
    struct epoll_event event = {.events = wanted, .data.u64 = SL_JAIL__TAG_CONTROL};
    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->control, &event);
    s->control_events = wanted;
}

void sl_jail__reply(struct sl_jail__spawner *s, const struct sl_jail__reply *reply, const int *fds, unsigned fd_count) {
    sl_jail__replies_put(s->replies, reply, fds, fd_count);
    sl_jail__flush(s);
}

void sl_jail__reply_failed(struct sl_jail__spawner *s, enum sl_jail_event_kind kind, uint64_t id, uint32_t program,
                           int error, const char *step) {
    struct sl_jail__reply failed = {.kind = kind, .id = id, .program = program, .error = error, .memory_peak = -1};
    snprintf(failed.step, sizeof failed.step, "%s", step);
    sl_jail__reply(s, &failed, NULL, 0);
}

// ---- life ----

static void loop(struct sl_jail__spawner *s) {
    for (;;) {
        struct epoll_event events[EVENTS];
        sl_jail__orders_give(s);
        int sleep = sl_jail__orders_refill(s);
        int count = epoll_wait(s->epoll, events, EVENTS, sleep);
        for (int i = 0; i < count; i++) {
            uint64_t tag = events[i].data.u64;
            if (tag == SL_JAIL__TAG_CONTROL) {
                sl_jail__flush(s);
                bool readable = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
                if (readable && !sl_jail__requests_read(s)) return;
            } else if (tag == SL_JAIL__TAG_SIGNALS) {
                sl_jail__notes_reap(s);
            } else if (tag < SL_JAIL__TAG_SLOTS) {
                sl_jail__template_notes_read(s, (unsigned)(tag - SL_JAIL__TAG_TEMPLATES));
            } else {
                sl_jail__notes_read(s, &s->shells.slots[tag - SL_JAIL__TAG_SLOTS]);
            }
        }
    }
}

// Takes the process over: nothing of the supervisor's stays open, signals come by descriptor.
static int take_process(struct sl_jail__spawner *s, const struct sl_jail_config *config) {
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
    struct epoll_event control = {.events = s->control_events = EPOLLIN, .data.u64 = SL_JAIL__TAG_CONTROL};
    struct epoll_event signals = {.events = EPOLLIN, .data.u64 = SL_JAIL__TAG_SIGNALS};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->control, &control) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &signals) != 0) {
        return -errno;
    }
    return 0;
}

static int make_slots(struct sl_jail__spawner *s, const struct sl_jail_config *config) {
    s->limit = config->max_instances < 1               ? 1
               : config->max_instances > INSTANCES_MAX ? INSTANCES_MAX
                                                       : config->max_instances;
    s->pool = config->shells > s->limit ? s->limit : config->shells;
    struct sl_jail__shells *shells = &s->shells;
    shells->count = s->limit + s->pool + SPARE_SLOTS;
    shells->slots = calloc(shells->count, sizeof *shells->slots);
    s->orders = calloc(s->limit, sizeof *s->orders);
    s->adoptions = calloc(s->limit, sizeof *s->adoptions);
    s->replies = sl_jail__replies_new(shells->count);
    if (shells->slots == NULL || s->orders == NULL || s->adoptions == NULL || s->replies == NULL) return -ENOMEM;
    for (unsigned i = 0; i < shells->count; i++) sl_jail__slot_init(&shells->slots[i], i);
    for (unsigned i = 0; i <= SL_JAIL_TEMPLATES_MAX; i++) sl_jail__template_init(&s->templates[i]);
    return 0;
}

// Puts what was freed in order, as the next large allocation does. Each copy would do that with its first one instead,
// and write for it to sixty pages, which are copied then.
static void tidy_heap(void) {
    void *volatile block = malloc(LARGE);
    free(block);
    (void)malloc_trim(0);
}

// Everything that is made once. What is missing but not needed is logged; SL_OK unless sandboxes cannot be made at all.
static int prepare(struct sl_jail__spawner *s, const struct sl_jail_config *config, struct sl_error *err) {
    struct sl_jail__shells *shells = &s->shells;
    shells->stem = -1;
    shells->router.ns = shells->router.host_ns = -1;
    shells->change_ids = true;
    shells->first_uid = config->first_uid;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    shells->cores = cores > 0 ? (unsigned)cores : 1;
    if (make_slots(s, config) != 0) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    if (geteuid() == 0 && (s->claim = sl_jail__claim_uids(config->first_uid, &shells->first_uid)) < 0) {
        sl_log_warn("jail", "cannot ask which user ids other servers use (/run/sluice); using those from %u",
                    (unsigned)shells->first_uid);
    }
    sl_jail__cgroups_find(&shells->cgroups);
    sl_jail__cgroups_open(&shells->cgroups);
    if (geteuid() != 0) {
        s->reopen = shells->rootless = true;
        int rc = sl_jail__rootless_enter(config->user, shells->count + 1, &shells->first_uid, &shells->change_ids, err);
        if (rc != SL_OK) return rc;
    }
    struct sl_error problem;
    if (config->network && sl_jail__router_open(&shells->router, config, shells->rootless, &problem) != SL_OK) {
        sl_log_warn("jail", "functions have no network: %s", problem.message);
    }
    int runtimes = config->runtimes_dir_fd < 0 ? -1 : sl_jail__clone_directory(s, config->runtimes_dir_fd);
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
    int rc = sl_jail__seccomp_compile((shells->cgroups.controllers & SL_JAIL__MEMORY) != 0, &shells->filter, err);
    tidy_heap();
    return rc;
}

static void await_child(const struct sl_jail__spawner *s, int milliseconds) {
    struct signalfd_siginfo info[8];
    (void)poll(&(struct pollfd){.fd = s->signals, .events = POLLIN}, 1, milliseconds);
    while (read(s->signals, info, sizeof info) > 0) {}
}

static void end(struct sl_jail__spawner *s) {
    for (unsigned i = 0; i < s->shells.count; i++) sl_jail__shell_kill(&s->shells, &s->shells.slots[i]);
    for (unsigned i = 1; i <= SL_JAIL_TEMPLATES_MAX; i++) sl_jail__template_kill(&s->templates[i]);
    sl_jail__usernet_stop(&s->shells.router); // a child, too
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno == EINTR;) {
        int sleep = -1;
        for (unsigned i = 0; i < s->shells.count; i++) {
            struct sl_jail__slot *slot = &s->shells.slots[i];
            if (pid > 0 && slot->pid == pid) slot->pid = 0;
            int again = sl_jail__shell_hasten(&s->shells, slot, sl_jail__now_ms());
            if (again >= 0 && (sleep < 0 || again < sleep)) sleep = again;
        }
        if (pid == 0) await_child(s, sleep);
    }
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->cgroup.made) (void)sl_jail__cgroup_remove(&s->shells.cgroups, &slot->cgroup);
        sl_jail__close_all(slot->netns, 2);
    }
    sl_jail__router_close(&s->shells.router);
    sl_jail__cgroups_close(&s->shells.cgroups);
}

int sl_spawner_main(int control_fd, const struct sl_jail_config *config) {
    struct sl_jail__spawner spawner = {.control = control_fd};
    struct sl_error error = {0};
    int rc = take_process(&spawner, config);
    if (rc != 0) {
        sl_log_error("jail", "start the spawner: %s", strerror(-rc));
        return 1;
    }
    rc = prepare(&spawner, config, &error);
    if (rc != SL_OK) sl_log_error("jail", "functions cannot run: %s", error.message);
    struct sl_jail__reply hello = {.kind = SL_JAIL__HELLO, .error = rc};
    if (rc != SL_OK) snprintf(hello.step, sizeof hello.step, "%.*s", (int)sizeof hello.step - 1, error.message);
    (void)sl_jail__send(spawner.control, &hello, sizeof hello, NULL, 0);
    if (rc == SL_OK) loop(&spawner);
    end(&spawner);
    return rc == SL_OK ? 0 : 1;
}
