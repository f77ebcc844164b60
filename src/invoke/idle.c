// SPDX-License-Identifier: Apache-2.0
//
// idle: instances that wait for work, on the loop that owns them: two lists of each shard (newest first, so that the
// rest grows old), two of each loop (oldest first): one of instances on demand, one of those kept for provisioned
// concurrency, which are taken first and never swept.
//
// Freezing. An instance that was idle for config.freeze_ms is frozen, and thawed when it leaves the list. Not at once:
// a busy function's instance is idle for microseconds between two events, and would pay for both each time. What runs
// inside notices nothing but that time has passed, as on AWS: clocks go on, timers that were due fire after the thaw,
// the kernel keeps connections open and answers their probes.
//
// Sweeping. Four times a second each loop looks for what was idle for longer than its function allows, or is older than
// an instance may get, and stops it: few at a time, a moment apart, since the end of a sandbox takes the kernel about
// as long as a cold start does, and a hundred ends at once would be in the way of the starts in between.
#include "invoke/waiting.h"

#include "base/clock.h"

enum { SWEEP_MS = 250, PACE_MS = 10, PART = 64 /* of what is to be stopped, at each pace */ };

static struct sl_invoke__shard *shard_of(struct sl_instance *instance) {
    return &instance->pool->shards[sl_loop_index(instance->loop)];
}

static void publish_oldest(struct sl_invoke__loop *here) {
    const struct sl_instance *first = here->lru[SL_ON_DEMAND].first;
    atomic_store_explicit(&here->oldest_idle_ns, first ? first->idle_since_ns : INT64_MAX, memory_order_relaxed);
}

// ---- freezing ---------------------------------------------------------------------------------------------------

static void freeze(struct sl_instance *instance) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    sl_invoke__room_adjust(instance, sl_jail_memory_peak(instance->memory_fd));
    if (sl_jail_freeze(instance->freeze_fd, true)) return; // this machine cannot, or it has just ended
    instance->frozen = true;
    sl_invoke__gauge(&here->frozen, 1);
}

static void thaw(struct sl_instance *instance) {
    // One that cannot be thawed has ended, which will be reported; at worst its next invocation times out.
    (void)sl_jail_freeze(instance->freeze_fd, false);
    instance->frozen = false;
    sl_invoke__gauge(&sl_invoke__of(instance->invoker, instance->loop)->frozen, -1);
}

static void freeze_due(struct sl_timer *timer) {
    struct sl_invoke__loop *here = SL_CONTAINER(timer, struct sl_invoke__loop, freeze);
    int64_t before_ns = (sl_loop_now_ms(here->loop) - here->invoker->config.freeze_ms) * 1000000;
    bool more = false;
    for (unsigned kind = 0; kind < SL_KINDS; kind++) {
        struct sl_invoke__lru *lru = &here->lru[kind];
        for (; lru->thawed && lru->thawed->idle_since_ns <= before_ns; lru->thawed = lru->thawed->lru_next)
            freeze(lru->thawed);
        more = more || lru->thawed;
    }
    if (more) sl_timer_start(here->loop, timer, here->invoker->config.freeze_ms, freeze_due);
}

static void freeze_later(struct sl_invoke__loop *here, struct sl_invoke__lru *lru, struct sl_instance *instance) {
    if (!here->invoker->config.freeze_ms) return;
    if (!lru->thawed) lru->thawed = instance;
    if (!sl_timer_armed(&here->freeze))
        sl_timer_start(here->loop, &here->freeze, here->invoker->config.freeze_ms, freeze_due);
}

// ---- entering and leaving -----------------------------------------------------------------------------------------

void sl_invoke__idle_enter(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    struct sl_instance **idle = &shard->idle[instance->provisioned];
    struct sl_invoke__lru *lru = &here->lru[instance->provisioned];
    instance->state = SL_INSTANCE_IDLE;
    instance->idle_since_ns = sl_loop_now_ms(instance->loop) * 1000000;
    instance->prev = NULL;
    instance->next = *idle;
    if (*idle) (*idle)->prev = instance;
    *idle = instance;
    atomic_fetch_add_explicit(&shard->idle_count, 1, memory_order_relaxed);
    sl_invoke__gauge(&here->idle, 1);
    instance->lru_next = NULL;
    instance->lru_prev = lru->last;
    if (lru->last) {
        lru->last->lru_next = instance;
    } else {
        lru->first = instance;
        publish_oldest(here);
    }
    lru->last = instance;
    freeze_later(here, lru, instance);
}

void sl_invoke__pool_leave_idle(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    struct sl_invoke__lru *lru = &here->lru[instance->provisioned];
    if (instance->prev)
        instance->prev->next = instance->next;
    else
        shard->idle[instance->provisioned] = instance->next;
    if (instance->next) instance->next->prev = instance->prev;
    atomic_fetch_sub_explicit(&shard->idle_count, 1, memory_order_relaxed);
    sl_invoke__gauge(&here->idle, -1);
    if (instance->lru_next)
        instance->lru_next->lru_prev = instance->lru_prev;
    else
        lru->last = instance->lru_prev;
    if (instance->lru_prev) {
        instance->lru_prev->lru_next = instance->lru_next;
    } else {
        lru->first = instance->lru_next;
        publish_oldest(here);
    }
    if (lru->thawed == instance) lru->thawed = instance->lru_next;
    if (instance->frozen) thaw(instance);
    instance->next = instance->prev = instance->lru_next = instance->lru_prev = NULL;
}

struct sl_instance *sl_invoke__idle_pick(const struct sl_invoke__shard *shard) {
    return shard->idle[SL_PROVISIONED] ? shard->idle[SL_PROVISIONED] : shard->idle[SL_ON_DEMAND];
}

// ---- stopping ---------------------------------------------------------------------------------------------------

static void stop(struct sl_instance *instance) {
    sl_invoke__pool_leave_idle(instance);
    sl_invoke__instance_stop(instance);
}

void sl_invoke__idle_stop_all(struct sl_invoke__shard *shard) {
    for (struct sl_instance *instance; (instance = sl_invoke__idle_pick(shard));) stop(instance);
}

// Settings are published with the version: a tenant's pool has its parent's.
static struct sl_invoke__pool *settings_of(const struct sl_instance *instance) {
    return instance->pool->parent ? instance->pool->parent : instance->pool;
}

int64_t sl_invoke__max_age_ms(const struct sl_instance *instance) {
    return atomic_load_explicit(&settings_of(instance)->max_age_ms, memory_order_relaxed);
}

bool sl_invoke__is_old(const struct sl_instance *instance, int64_t now_ns) {
    int64_t max_ms = sl_invoke__max_age_ms(instance);
    bool old = max_ms && now_ns - instance->started_ns > max_ms * 1000000;
    return old || (instance->renew_ns && now_ns > instance->renew_ns);
}

static bool is_due(const struct sl_instance *instance, int64_t now_ns) {
    int64_t idle_ms = atomic_load_explicit(&settings_of(instance)->idle_ms, memory_order_relaxed);
    bool idle_long = !instance->provisioned && now_ns - instance->idle_since_ns > idle_ms * 1000000;
    return idle_long || sl_invoke__is_old(instance, now_ns);
}

// Returns how many are left to stop.
static unsigned sweep_list(struct sl_invoke__loop *here, const struct sl_invoke__lru *lru) {
    int64_t now_ns = sl_clock_mono_ns();
    unsigned due = 0, stopped = 0;
    for (struct sl_instance *instance = lru->first; instance; instance = instance->lru_next)
        due += is_due(instance, now_ns);
    unsigned most = (due + PART - 1) / PART;
    for (struct sl_instance *instance = lru->first, *next; instance && stopped < most; instance = next) {
        next = instance->lru_next;
        if (!is_due(instance, now_ns)) continue;
        atomic_fetch_add_explicit(&here->expired, 1, memory_order_relaxed);
        stop(instance);
        stopped++;
    }
    return due - stopped;
}

void sl_invoke__sweep(struct sl_timer *timer) {
    struct sl_invoke__loop *here = SL_CONTAINER(timer, struct sl_invoke__loop, sweep);
    unsigned left = 0;
    for (unsigned kind = 0; kind < SL_KINDS; kind++) left += sweep_list(here, &here->lru[kind]);
    sl_invoke__waiting_expire(here);
    sl_invoke__provision(here);
    sl_invoke__snap_sweep(here);
    sl_invoke__meter_flush(here);
    sl_timer_start(here->loop, timer, left > 0 ? PACE_MS : SWEEP_MS, sl_invoke__sweep);
}

void sl_invoke__stop_all_idle(struct sl_mail *mail) {
    struct sl_invoke__loop *here = SL_CONTAINER(mail, struct sl_invoke__loop, drain_mail);
    for (unsigned kind = 0; kind < SL_KINDS; kind++)
        while (here->lru[kind].first) stop(here->lru[kind].first);
    while (sl_invoke__snap_evict(here)) {}
}
