// SPDX-License-Identifier: Apache-2.0
//
// pool: which instance serves which invocation. Everything of a shard happens on its loop's own thread; loops help one
// another by letters: a loop that needs an instance asks one that has an idle one, and a loop that gets an idle
// instance gives it to one that waits.
//
// Invariants: every invocation that entered gets exactly one finish; an instance is in the idle list of its loop's
// shard exactly while its state is IDLE; starting + asked never exceeds the number of waiting invocations at the time
// of asking.
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    PATIENCE_MIN_MS = 5, // without a turn for so long (or for a quarter of a start), the estimate of the wait was wrong
    PATIENCE_MAX_MS = 25,
    STUCK = 4, // times in a row, after which a queue gets more instances even if there are too few processors
    WAIT_SPARE_MS = 20000, // beside the limit of an init: nobody waits longer for an instance
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

// ---- waiting invocations ----------------------------------------------------------------------------------------

static struct sl_invoke__loop *loop_of(const struct sl_invoke__shard *shard) {
    const struct sl_invoke__pool *pool = shard->pool;
    return &pool->invoker->loops[shard - pool->shards];
}

// The loop's list of shards where somebody waits, for deadlines.
static void list_shard(struct sl_invoke__shard *shard) {
    struct sl_invoke__loop *here = loop_of(shard);
    shard->queue_prev = NULL;
    if ((shard->queue_next = here->queue_first)) here->queue_first->queue_prev = shard;
    here->queue_first = shard;
}

static void unlist_shard(struct sl_invoke__shard *shard) {
    if (shard->queue_next) shard->queue_next->queue_prev = shard->queue_prev;
    if (shard->queue_prev)
        shard->queue_prev->queue_next = shard->queue_next;
    else
        loop_of(shard)->queue_first = shard->queue_next;
}

static void push_waiting(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    if (!shard->waiting_first) list_shard(shard);
    invocation->waiting_since_ms = sl_loop_now_ms(invocation->loop);
    invocation->next = NULL;
    invocation->prev = shard->waiting_last;
    if (shard->waiting_last)
        shard->waiting_last->next = invocation;
    else
        shard->waiting_first = invocation;
    shard->waiting_last = invocation;
    atomic_fetch_add_explicit(&shard->waiting_count, 1, memory_order_relaxed);
    sl_invoke__pool_ref(shard->pool);
}

// Who calls it gives back the reference to the pool that the waiting invocation had.
static void unlink_waiting(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    if (invocation->prev)
        invocation->prev->next = invocation->next;
    else
        shard->waiting_first = invocation->next;
    if (invocation->next)
        invocation->next->prev = invocation->prev;
    else
        shard->waiting_last = invocation->prev;
    invocation->next = invocation->prev = NULL;
    atomic_fetch_sub_explicit(&shard->waiting_count, 1, memory_order_relaxed);
    // Nobody is left to be impatient; and without waiting invocations nothing may keep the pool, where the timer lies.
    if (shard->waiting_first) return;
    sl_timer_stop(&shard->patience);
    unlist_shard(shard);
}

// A moving average over about eight values; 0 is none yet.
static void blend(_Atomic int64_t *average, int64_t value) {
    // Loops may overwrite one another's update: it is an estimate.
    int64_t old = atomic_load_explicit(average, memory_order_relaxed);
    if (!value) value = 1;
    atomic_store_explicit(average, old ? old + (value - old) / 8 : value, memory_order_relaxed);
}

static struct sl_invocation *pop_waiting(struct sl_invoke__shard *shard) {
    struct sl_invocation *invocation = shard->waiting_first;
    shard->turns++;
    if (!invocation) return NULL;
    unlink_waiting(shard, invocation);
    int64_t now = sl_clock_mono_ns();
    if (shard->last_turn_ns) blend(&shard->between_ns, now - shard->last_turn_ns);
    shard->last_turn_ns = shard->waiting_first ? now : 0;
    sl_invoke__pool_unref(shard->pool); // an instance or a start keeps it
    return invocation;
}

// The last one is refused: those before it have older claims on what is coming.
static void refuse_last(struct sl_invoke__pool *pool, unsigned loop, const struct sl_error *error,
                        enum sl_invoke__throttle reason) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_invocation *invocation = shard->waiting_last;
    if (!invocation) return;
    unlink_waiting(shard, invocation);
    sl_invoke__refuse(pool->invoker, invocation, error, reason);
    sl_invoke__pool_unref(pool);
}

static void throttle_last(struct sl_invoke__pool *pool, unsigned loop, enum sl_invoke__throttle reason) {
    struct sl_error error;
    sl_fail(&error, SL_E_THROTTLED, "Rate Exceeded.");
    refuse_last(pool, loop, &error, reason);
}

static bool expire_one(struct sl_invoke__loop *here, int64_t before_ms) {
    struct sl_invoke__shard *shard = here->queue_first;
    while (shard && shard->waiting_first->waiting_since_ms >= before_ms) shard = shard->queue_next;
    if (!shard) return false;
    struct sl_invocation *invocation = shard->waiting_first;
    struct sl_invoke__pool *pool = shard->pool;
    struct sl_error error;
    unlink_waiting(shard, invocation);
    sl_fail(&error, SL_E_THROTTLED, "Rate Exceeded.");
    sl_invoke__refuse(here->invoker, invocation, &error, SL_THROTTLE_CONCURRENT);
    sl_invoke__pool_unref(pool);
    return true;
}

void sl_invoke__pool_expire_waiting(struct sl_invoke__loop *here) {
    int64_t before_ms = sl_loop_now_ms(here->loop) - here->invoker->config.init_ms - WAIT_SPARE_MS;
    while (expire_one(here, before_ms)) {} // from the start each time: an answer may change the list
}

// ---- getting instances ------------------------------------------------------------------------------------------

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
    refuse_last(pool, loop, &err, err.kind == SL_E_THROTTLED ? SL_THROTTLE_CONCURRENT : SL_THROTTLE_NONE);
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
    blend(&instance->pool->average_us, duration_us);
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
        sl_invoke__instance_dispatch(idle, pop_waiting(shard));
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
        push_waiting(shard, invocation);
        be_patient(pool, loop);
        return;
    }
    if (instance) {
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_dispatch(instance, invocation);
        return;
    }
    push_waiting(shard, invocation);
    get_instance(pool, loop);
}

void sl_invoke__pool_fill(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    if (shard->waiting_first && (sl_invoke__crowd_full(shard) || soon(instance->pool, shard)))
        sl_invoke__ahead_fill(instance);
}

static void push_first(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    if (!shard->waiting_first) {
        push_waiting(shard, invocation);
        return;
    }
    invocation->waiting_since_ms = sl_loop_now_ms(invocation->loop);
    invocation->prev = NULL;
    invocation->next = shard->waiting_first;
    shard->waiting_first->prev = invocation;
    shard->waiting_first = invocation;
    atomic_fetch_add_explicit(&shard->waiting_count, 1, memory_order_relaxed);
    sl_invoke__pool_ref(shard->pool);
}

static void push_all_first(struct sl_invoke__shard *shard, struct sl_invocation *first) {
    struct sl_invocation *last = first;
    while (last->next) last = last->next;
    for (struct sl_invocation *at = last, *before; at; at = before) {
        before = at == first ? NULL : at->prev;
        push_first(shard, at);
    }
}

void sl_invoke__pool_requeue(struct sl_invoke__pool *pool, unsigned loop, struct sl_invocation *first) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *idle;
    push_all_first(shard, first);
    sl_invoke__pool_ref(pool); // a refused start may answer the last invocation that kept it
    while (shard->waiting_first && (idle = sl_invoke__idle_pick(shard)) && !sl_invoke__crowd_full(shard)) {
        sl_invoke__pool_leave_idle(idle);
        sl_invoke__instance_dispatch(idle, pop_waiting(shard));
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
    sl_invoke__instance_dispatch(idle, pop_waiting(shard));
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
    struct sl_invocation *waiting = pop_waiting(shard);
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
    blend(&pool->start_us, instance->snapshotted ? instance->restore_us : instance->init_us);
    sl_invoke__pool_offer(instance);
    get_instance(pool, loop); // those that had to wait for the end of a start
    sl_invoke__pool_unref(pool);
}

struct sl_invocation *sl_invoke__pool_next_waiting(struct sl_invoke__pool *pool, unsigned loop) {
    return pop_waiting(&pool->shards[loop]);
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

// ---- abandon ----------------------------------------------------------------------------------------------------

// What is left of an invocation whose caller went away before it started: it runs all the same, as on AWS.
struct orphan {
    struct sl_invocation invocation; // first
    struct sl_arena arena;
};

static void orphan_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    (void)result;
    struct orphan *orphan = (struct orphan *)invocation;
    sl_arena_free(&orphan->arena);
    free(orphan);
}

static struct sl_invocation *orphan_new(const struct sl_invocation *invocation) {
    struct orphan *orphan = calloc(1, sizeof *orphan);
    if (!orphan) return NULL;
    sl_arena_init(&orphan->arena, 2 * SL_PAYLOAD_SYNC_MAX);
    struct sl_invocation *copy = &orphan->invocation;
    *copy = *invocation;
    copy->done = orphan_done;
    copy->begin = NULL;
    copy->part = NULL;
    struct sl_str *const views[] = {&copy->account,        &copy->region,      &copy->name,
                                    &copy->version,        &copy->payload,     &copy->trace_id,
                                    &copy->client_context, &copy->invoked_arn, &copy->tenant_id};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) *views[i] = sl_arena_dup(&orphan->arena, *views[i]);
    if (!sl_arena_failed(&orphan->arena)) return copy;
    sl_arena_free(&orphan->arena);
    free(orphan);
    return NULL;
}

void sl_invoke_abandon(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    struct sl_instance *instance = invocation->instance;
    if (instance && instance->sent) {
        instance->invocation = NULL;
        sl_runtime_pause(&instance->runtime, false); // what is still streamed goes nowhere
        return;
    }
    if (instance) { // still in its init
        instance->invocation = orphan_new(invocation);
        return;
    }
    struct sl_invoke__entry *entry = invocation->entry;
    if (!entry) return;
    if (invocation->behind) {
        struct sl_invocation *orphan = orphan_new(invocation);
        sl_invoke__ahead_replace(invocation, orphan);
        if (orphan) return;
        sl_invoke__leave(sl_invoke__of(invoker, invocation->loop), invocation->allotment);
        sl_invoke__entry_unref(entry);
        return;
    }
    struct sl_invoke__shard *shard = &invocation->pool->shards[sl_loop_index(invocation->loop)];
    struct sl_invocation *copy = orphan_new(invocation);
    // The copy first, so that the queue is not empty in between and what was started for it stays.
    if (copy) push_waiting(shard, copy);
    unlink_waiting(shard, invocation);
    sl_invoke__pool_unref(shard->pool);
    if (copy) return;
    // No memory for a copy: it does not run. Its client is gone and its place in the count is given back.
    sl_invoke__leave(sl_invoke__of(invoker, invocation->loop), invocation->allotment);
    sl_invoke__entry_unref(entry);
}
