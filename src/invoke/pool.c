// SPDX-License-Identifier: Apache-2.0
//
// pool: which instance serves which invocation. Everything of a shard happens on its loop's own thread; loops help one
// another by letters: a loop that needs an instance asks one that has an idle one, and a loop that gets an idle
// instance gives it to one that waits.
//
// Invariants: every invocation that entered gets exactly one finish; an instance is in the idle list of its loop's
// shard exactly while its state is IDLE; starting + asked never exceeds the number of waiting invocations at the time
// of asking.
#include "invoke/waiting.h"

#include "base/clock.h"

#include <stdlib.h>

enum {
    PATIENCE_MIN_MS = 5, // without a turn for so long (or for a quarter of a start), the estimate of the wait was wrong
    PATIENCE_MAX_MS = 25,
    STUCK = 4, // times in a row, after which a queue gets more instances even if there are too few processors
};

// ---- letters -----------------------------------------------------------------------------------------------------

// A letter about a pool from one loop (or the storage thread) to another.
struct letter {
    struct sl_mail mail;
    struct sl_invoke__pool *pool;
    unsigned to, from;
};

static bool write_to(struct sl_invoke__pool *pool, unsigned to, unsigned from, void (*deliver)(struct sl_mail *)) {
    struct letter *letter = malloc(sizeof *letter);
    if (!letter) return false;
    *letter = (struct letter){.pool = sl_invoke__pool_ref(pool), .to = to, .from = from};
    sl_loop_post(pool->invoker->loops[to].loop, &letter->mail, deliver);
    return true;
}

static void discard(struct letter *letter) {
    sl_invoke__pool_unref(letter->pool);
    free(letter);
}

static struct sl_invoke__shard *shard_of(struct sl_instance *instance) {
    return &instance->pool->shards[sl_loop_index(instance->loop)];
}

// ---- getting instances ------------------------------------------------------------------------------------------

static void throttle_last(struct sl_invoke__pool *pool, unsigned loop, enum sl_invoke__throttle reason) {
    struct sl_error error;
    sl_fail(&error, SL_E_THROTTLED, "Rate Exceeded.");
    sl_invoke__waiting_refuse_last(pool, loop, &error, reason);
}

bool sl_invoke__pool_needs_start(const struct sl_invoke__pool *pool, unsigned loop) {
    const struct sl_invoke__shard *shard = &pool->shards[loop];
    return atomic_load_explicit(&shard->waiting_count, memory_order_relaxed) + 1 > shard->starting + shard->asked;
}

void sl_invoke__pool_start_begins(struct sl_invoke__pool *pool, unsigned loop) {
    pool->shards[loop].starting++;
    sl_invoke__gate_enter(&pool->invoker->gate);
}

void sl_invoke__pool_start_over(struct sl_invoke__pool *pool, unsigned loop) {
    pool->shards[loop].starting--;
    sl_invoke__gate_leave(&pool->invoker->gate);
}

void sl_invoke__pool_start_dropped(struct sl_invoke__pool *pool, unsigned loop) {
    sl_invoke__pool_start_over(pool, loop);
    sl_invoke__start_return(pool);
}

void sl_invoke__pool_start_refused(struct sl_invoke__pool *pool, unsigned loop) {
    sl_invoke__pool_start_dropped(pool, loop);
    throttle_last(pool, loop, SL_THROTTLE_CONCURRENT);
}

void sl_invoke__pool_start_now(struct sl_invoke__pool *pool, unsigned loop, int64_t charge) {
    struct sl_error err;
    const struct sl_invoke__start start = {.loop = pool->invoker->loops[loop].loop, .charge = charge};
    if (sl_invoke__instance_start(pool, &start, &err) == 0) return;
    sl_invoke__pool_start_over(pool, loop);
    sl_invoke__waiting_refuse_last(pool, loop, &err,
                                   err.kind == SL_E_THROTTLED ? SL_THROTTLE_CONCURRENT : SL_THROTTLE_NONE);
}

static bool take_kept(struct sl_invoke__pool *pool, unsigned loop);

// A function of which there is nothing here gets its first start however many others' are under way.
static bool may_start(struct sl_invoke__pool *pool, unsigned loop) {
    const struct sl_invoke__shard *shard = &pool->shards[loop];
    if (!shard->starting && !atomic_load_explicit(&shard->live, memory_order_relaxed)) return true;
    return sl_invoke__gate_open(&pool->invoker->gate, sl_clock_mono_ns());
}

// One more instance, at once or when there is room; or the last that waits is refused. False: not now, since too many
// are in their start.
static bool start_one(struct sl_invoke__pool *pool, unsigned loop) {
    bool waits;
    if (pool->snap && take_kept(pool, loop)) return true;
    if (!may_start(pool, loop)) return false;
    if (!sl_invoke__start_take(pool)) {
        throttle_last(pool, loop, sl_invoke__rate_reason(pool));
        return true;
    }
    sl_invoke__pool_start_begins(pool, loop);
    if (sl_invoke__room_or_wait(pool, loop, &waits))
        sl_invoke__pool_start_now(pool, loop, sl_invoke__charge_of(pool));
    else if (!waits)
        sl_invoke__pool_start_refused(pool, loop);
    return true;
}

// ---- patience ---------------------------------------------------------------------------------------------------
//
// A function that takes 50 us serves sixteen callers from one instance faster than sixteen instances could be started,
// and with less switching. So an invocation for which all instances are busy waits for one of them, if its turn comes
// sooner than a new instance would be ready; both times are measured. A function that is slow, or suddenly blocks, gets
// new instances.

void sl_invoke__pool_took(struct sl_instance *instance, int64_t duration_us) {
    sl_invoke__blend(&instance->pool->average_us, duration_us);
    sl_invoke__crowd_took(shard_of(instance), duration_us);
}

static void join(struct sl_instance *instance) {
    if (instance->live) return;
    instance->live = true;
    atomic_fetch_add_explicit(&shard_of(instance)->live, 1, memory_order_relaxed);
}

void sl_invoke__pool_leave(struct sl_instance *instance) {
    if (!instance->live) return;
    instance->live = false;
    atomic_fetch_sub_explicit(&shard_of(instance)->live, 1, memory_order_relaxed);
}

// Whether the last of those who wait here will have its turn before a new instance could serve it.
static bool soon(struct sl_invoke__pool *pool, const struct sl_invoke__shard *shard) {
    int64_t average = atomic_load_explicit(&pool->average_us, memory_order_relaxed);
    int64_t start = atomic_load_explicit(&pool->start_us, memory_order_relaxed);
    unsigned live = atomic_load_explicit(&shard->live, memory_order_relaxed);
    unsigned waiting = atomic_load_explicit(&shard->waiting_count, memory_order_relaxed);
    if (!live || !average || pool->spec.single_use) return false;
    if (sl_invoke__crowd_full(shard)) return true; // more would only get in one another's way
    // The time between turns says what the instances achieve together; before any queue was seen, what one needs is all
    // we know.
    int64_t between_ns = atomic_load_explicit(&shard->between_ns, memory_order_relaxed);
    int64_t wait_us = between_ns ? between_ns * waiting / 1000 : average * waiting / live;
    return wait_us <= start;
}

static void impatient(struct sl_timer *timer);

static void be_patient(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    if (sl_timer_armed(&shard->patience)) return;
    int64_t ms = atomic_load_explicit(&pool->start_us, memory_order_relaxed) / 4000;
    if (ms < PATIENCE_MIN_MS) ms = PATIENCE_MIN_MS;
    if (ms > PATIENCE_MAX_MS) ms = PATIENCE_MAX_MS;
    shard->turns_seen = shard->turns;
    sl_timer_start(pool->invoker->loops[loop].loop, &shard->patience, ms, impatient);
}

static bool lacks(const struct sl_invoke__shard *shard) {
    return atomic_load_explicit(&shard->waiting_count, memory_order_relaxed) > shard->starting + shard->asked;
}

// Starts those that are missing; as many as may be now.
static void start_missing(struct sl_invoke__pool *pool, unsigned loop) {
    while (lacks(&pool->shards[loop]) && start_one(pool, loop)) {}
}

// Whether more instances help. Whose instances wait for processors gets none at once: they would wait as well.
static bool needs_more(struct sl_invoke__pool *pool, const struct sl_invoke__shard *shard) {
    if (!soon(pool, shard)) return true;
    return shard->stuck && (shard->stuck >= STUCK || !sl_invoke__crowd_starved(shard));
}

// If nobody had a turn since, the instances are busy for longer than their past promised: idle ones that were held back
// help, and new ones.
static void impatient(struct sl_timer *timer) {
    struct sl_invoke__shard *shard = SL_CONTAINER(timer, struct sl_invoke__shard, patience);
    struct sl_invoke__pool *pool =
        sl_invoke__pool_ref(shard->pool); // a refused start may answer the last invocation that kept it
    unsigned loop = (unsigned)sl_loop_index(sl_loop_current());
    bool helped = false;
    struct sl_instance *idle;
    shard->stuck = shard->turns == shard->turns_seen ? shard->stuck + 1 : 0;
    while (shard->stuck && shard->waiting_first && (idle = sl_invoke__idle_pick(shard))) {
        sl_invoke__pool_leave_idle(idle);
        sl_invoke__instance_dispatch(idle, sl_invoke__waiting_pop(shard));
        helped = true;
    }
    if (!helped && needs_more(pool, shard)) start_missing(pool, loop);
    if (lacks(shard)) be_patient(pool, loop);
    sl_invoke__pool_unref(pool);
}

// ---- asking other loops -----------------------------------------------------------------------------------------

static bool ask_other_loop(struct sl_invoke__pool *pool, unsigned loop);

// Sees to it that whoever waits here is served: by instances that are on their way already, by busy ones soon, by
// another loop's idle one, or by a new one.
static void get_instance(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    if (!lacks(shard)) return;
    if (soon(pool, shard) || (!ask_other_loop(pool, loop) && !start_one(pool, loop))) be_patient(pool, loop);
}

static void ask_answered(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__shard *shard = &letter->pool->shards[letter->to];
    shard->asked--;
    // Whoever was asked had none left. Those that came answer by offering themselves.
    if (lacks(shard) && (soon(letter->pool, shard) || !start_one(letter->pool, letter->to)))
        be_patient(letter->pool, letter->to);
    discard(letter);
}

// On the loop that was asked: give an idle instance to the asker, or say that there is none.
static void asked(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__pool *pool = letter->pool;
    unsigned asker = letter->from;
    struct sl_instance *instance = sl_invoke__idle_pick(&pool->shards[letter->to]);
    letter->from = letter->to;
    letter->to = asker;
    if (instance) {
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_give(instance, pool->invoker->loops[asker].loop);
    }
    sl_loop_post(pool->invoker->loops[asker].loop, &letter->mail, ask_answered);
}

// On the home loop of a version with SnapStart: give what is kept to the asker, or say that nothing is.
static void kept_asked(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    unsigned asker = letter->from;
    struct sl_instance *instance = sl_invoke__snap_pop(letter->pool);
    letter->from = letter->to;
    letter->to = asker;
    if (instance) sl_invoke__instance_give(instance, letter->pool->invoker->loops[asker].loop);
    sl_loop_post(letter->pool->invoker->loops[asker].loop, &letter->mail, ask_answered);
}

// An instance that waits at its snapshot instead of a new one.
static bool take_kept(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *instance;
    unsigned home;
    if (!sl_invoke__snap_has(pool, &home)) return false;
    if (home != loop) {
        if (!write_to(pool, home, loop, kept_asked)) return false;
        shard->asked++;
        return true;
    }
    if (!(instance = sl_invoke__snap_pop(pool))) return false;
    sl_invoke__pool_start_begins(pool, loop);
    sl_invoke__snap_restore(instance);
    return true;
}

static bool ask_other_loop(struct sl_invoke__pool *pool, unsigned loop) {
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) {
        if (i == loop || !atomic_load_explicit(&pool->shards[i].idle_count, memory_order_relaxed)) continue;
        if (!write_to(pool, i, loop, asked)) return false;
        pool->shards[loop].asked++;
        return true;
    }
    return false;
}

void sl_invoke__pool_enter(struct sl_invoke__pool *pool, struct sl_invocation *invocation) {
    unsigned loop = (unsigned)sl_loop_index(invocation->loop);
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *instance = sl_invoke__idle_pick(shard);
    invocation->pool = pool;
    bool full = sl_invoke__crowd_full(shard);
    if (shard->ahead && !shard->waiting_first && (instance ? full : soon(pool, shard)) &&
        sl_invoke__ahead_take(shard, invocation))
        return;
    if (instance && full) {
        sl_invoke__waiting_push(shard, invocation);
        be_patient(pool, loop);
        return;
    }
    if (instance) {
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_dispatch(instance, invocation);
        return;
    }
    sl_invoke__waiting_push(shard, invocation);
    get_instance(pool, loop);
}

void sl_invoke__pool_fill(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    if (shard->waiting_first && (sl_invoke__crowd_full(shard) || soon(instance->pool, shard)))
        sl_invoke__ahead_fill(instance);
}

void sl_invoke__pool_requeue(struct sl_invoke__pool *pool, unsigned loop, struct sl_invocation *first) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *idle;
    sl_invoke__waiting_push_first(shard, first);
    sl_invoke__pool_ref(pool); // a refused start may answer the last invocation that kept it
    while (shard->waiting_first && (idle = sl_invoke__idle_pick(shard)) && !sl_invoke__crowd_full(shard)) {
        sl_invoke__pool_leave_idle(idle);
        sl_invoke__instance_dispatch(idle, sl_invoke__waiting_pop(shard));
    }
    if (shard->waiting_first && sl_invoke__idle_pick(shard)) {
        be_patient(pool, loop);
    } else {
        unsigned waiting = atomic_load_explicit(&shard->waiting_count, memory_order_relaxed);
        while (waiting-- && shard->waiting_first) get_instance(pool, loop);
    }
    sl_invoke__pool_unref(pool);
}

// Serves no more: its one invocation is over, or it is older than it may get, or one too many is kept.
static bool worn_out(const struct sl_instance *instance) {
    if (instance->provisioned && sl_invoke__provision_surplus(instance)) return true;
    return instance->used &&
           (instance->pool->spec.single_use || sl_invoke__is_old(instance, sl_loop_now_ms(instance->loop) * 1000000));
}

// An instance that would have served here is gone: who waited for it gets another.
static void replace(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *idle = shard->waiting_first ? sl_invoke__idle_pick(shard) : NULL;
    if (!idle) {
        get_instance(pool, loop);
        return;
    }
    sl_invoke__pool_leave_idle(idle);
    sl_invoke__instance_dispatch(idle, sl_invoke__waiting_pop(shard));
}

// More are busy than are of use: this one becomes idle, and what waits is sent ahead to the others, or waits for them.
static bool leave_it_to_others(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    unsigned here = (unsigned)sl_loop_index(instance->loop);
    if (!shard->waiting_first || !sl_invoke__crowd_over(shard)) return false;
    if (shard->crowd.few) {
        sl_invoke__ahead_spread(instance->pool, here);
        return false; // what could not be sent is its own
    }
    be_patient(instance->pool, here);
    sl_invoke__idle_enter(instance);
    return true;
}

void sl_invoke__pool_offer(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    join(instance);
    if (worn_out(instance)) {
        unsigned loop = (unsigned)sl_loop_index(instance->loop);
        sl_invoke__instance_stop(instance);
        replace(pool, loop); // the instance keeps the pool until its end
        return;
    }
    unsigned here = (unsigned)sl_loop_index(instance->loop);
    struct sl_invoke__shard *shard = shard_of(instance);
    bool last = atomic_load_explicit(&pool->retired, memory_order_relaxed) || atomic_load(&pool->invoker->draining);
    if (!last && leave_it_to_others(instance)) return;
    struct sl_invocation *waiting = sl_invoke__waiting_pop(shard);
    if (waiting) {
        sl_invoke__instance_dispatch(instance, waiting);
        sl_invoke__pool_fill(instance);
        return;
    }
    if (last) {
        sl_invoke__instance_stop(instance);
        return;
    }
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) {
        struct sl_invoke__shard *other = &pool->shards[i];
        if (i == here || !atomic_load_explicit(&other->waiting_count, memory_order_relaxed)) continue;
        if (soon(pool, other)) continue; // its own instances will do
        sl_invoke__instance_give(instance, pool->invoker->loops[i].loop);
        return;
    }
    sl_invoke__idle_enter(instance);
}

void sl_invoke__pool_ready(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = sl_invoke__pool_ref(instance->pool); // the instance may be at its end already
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    sl_invoke__pool_start_over(pool, loop);
    sl_invoke__blend(&pool->start_us, instance->snapshotted ? instance->restore_us : instance->init_us);
    sl_invoke__pool_offer(instance);
    get_instance(pool, loop); // those that had to wait for the end of a start
    sl_invoke__pool_unref(pool);
}

// ---- retiring --------------------------------------------------------------------------------------------------

static void stop_idle(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    sl_invoke__idle_stop_all(&letter->pool->shards[letter->to]);
    discard(letter);
}

void sl_invoke__pool_retire(struct sl_invoke__pool *pool) {
    atomic_store(&pool->retired, true);
    sl_invoke__snap_retire(pool);
    sl_invoke__tenants_retire(pool);
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) write_to(pool, i, i, stop_idle);
}
