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
    POOL_MAX = 1024 * 1024,
    SWEEP_MS = 250,
    PATIENCE_MIN_MS = 5, // without a turn for so long (or for a quarter of a start), the estimate of the wait was wrong
    PATIENCE_MAX_MS = 25,
};

// ---- pools ------------------------------------------------------------------------------------------------------

struct sl_invoke__pool *sl_invoke__pool_new(struct sl_invoker *invoker, const struct sl_function *function) {
    struct sl_invoke__pool *pool =
        calloc(1, sizeof *pool + invoker->config.loop_count * sizeof(struct sl_invoke__shard));
    if (!pool) return NULL;
    pool->invoker = invoker;
    atomic_init(&pool->references, 1);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) pool->shards[i].pool = pool;
    sl_arena_init(&pool->arena, POOL_MAX);
    sl_invoke__copy_function(&pool->spec, function, &pool->arena);
    if (sl_arena_failed(&pool->arena)) {
        sl_invoke__pool_unref(pool);
        return NULL;
    }
    return pool;
}

void sl_invoke__pool_unref(struct sl_invoke__pool *pool) {
    if (atomic_fetch_sub(&pool->references, 1) != 1) return;
    sl_arena_free(&pool->arena);
    free(pool);
}

static struct sl_invoke__pool *pool_ref(struct sl_invoke__pool *pool) {
    atomic_fetch_add(&pool->references, 1);
    return pool;
}

// A letter about a pool from one loop (or the storage thread) to another.
struct letter {
    struct sl_mail mail;
    struct sl_invoke__pool *pool;
    unsigned to, from;
};

static bool write_to(struct sl_invoke__pool *pool, unsigned to, unsigned from, void (*deliver)(struct sl_mail *)) {
    struct letter *letter = malloc(sizeof *letter);
    if (!letter) return false;
    *letter = (struct letter){.pool = pool_ref(pool), .to = to, .from = from};
    sl_loop_post(pool->invoker->loops[to].loop, &letter->mail, deliver);
    return true;
}

static void discard(struct letter *letter) {
    sl_invoke__pool_unref(letter->pool);
    free(letter);
}

// ---- idle instances ---------------------------------------------------------------------------------------------

static struct sl_invoke__shard *shard_of(struct sl_instance *instance) {
    return &instance->pool->shards[sl_loop_index(instance->loop)];
}

static void enter_idle(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    instance->state = SL_INSTANCE_IDLE;
    instance->idle_since_ns = sl_loop_now_ms(instance->loop) * 1000000;
    instance->prev = NULL;
    instance->next = shard->idle;
    if (shard->idle) shard->idle->prev = instance;
    shard->idle = instance;
    atomic_fetch_add_explicit(&shard->idle_count, 1, memory_order_relaxed);
    instance->lru_next = NULL;
    instance->lru_prev = here->lru_last;
    if (here->lru_last)
        here->lru_last->lru_next = instance;
    else
        here->lru_first = instance;
    here->lru_last = instance;
}

void sl_invoke__pool_leave_idle(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    if (instance->prev)
        instance->prev->next = instance->next;
    else
        shard->idle = instance->next;
    if (instance->next) instance->next->prev = instance->prev;
    atomic_fetch_sub_explicit(&shard->idle_count, 1, memory_order_relaxed);
    if (instance->lru_prev)
        instance->lru_prev->lru_next = instance->lru_next;
    else
        here->lru_first = instance->lru_next;
    if (instance->lru_next)
        instance->lru_next->lru_prev = instance->lru_prev;
    else
        here->lru_last = instance->lru_prev;
    instance->next = instance->prev = instance->lru_next = instance->lru_prev = NULL;
}

// ---- waiting invocations ----------------------------------------------------------------------------------------

static void push_waiting(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    invocation->next = NULL;
    invocation->prev = shard->waiting_last;
    if (shard->waiting_last)
        shard->waiting_last->next = invocation;
    else
        shard->waiting_first = invocation;
    shard->waiting_last = invocation;
    atomic_fetch_add_explicit(&shard->waiting_count, 1, memory_order_relaxed);
}

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
    // Nobody is left to be impatient; and without waiting invocations nothing keeps the pool, in which the timer lies.
    if (!shard->waiting_first) sl_timer_stop(&shard->patience);
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
    return invocation;
}

static void fail_waiting(struct sl_invoke__pool *pool, unsigned loop, const struct sl_error *error,
                         const char *reason) {
    struct sl_invocation *invocation = pop_waiting(&pool->shards[loop]);
    if (invocation) sl_invoke__refuse(pool->invoker, invocation, error, reason);
}

// ---- getting instances ------------------------------------------------------------------------------------------

static void start_one(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_error err;
    pool->shards[loop].starting++;
    if (sl_invoke__instance_start(pool, pool->invoker->loops[loop].loop, NULL, &err) == 0) return;
    pool->shards[loop].starting--;
    const char *reason = err.kind == SL_E_THROTTLED ? "ConcurrentInvocationLimitExceeded" : NULL;
    fail_waiting(pool, loop, &err, reason);
}

// ---- patience ---------------------------------------------------------------------------------------------------
//
// A function that takes 50 us serves sixteen callers from one instance faster than sixteen instances could be started,
// and with less switching. So an invocation for which all instances are busy waits for one of them, if its turn comes
// sooner than a new instance would be ready; both times are measured. A function that is slow, or suddenly blocks, gets
// new instances.

void sl_invoke__pool_took(struct sl_invoke__pool *pool, int64_t duration_us) { blend(&pool->average_us, duration_us); }

void sl_invoke__pool_started(struct sl_invoke__pool *pool, int64_t init_us) { blend(&pool->start_us, init_us); }

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
    if (!live || !average) return false;
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

// If nobody had a turn since, the instances are busy for longer than their past promised.
static void impatient(struct sl_timer *timer) {
    struct sl_invoke__shard *shard = SL_CONTAINER(timer, struct sl_invoke__shard, patience);
    struct sl_invoke__pool *pool = pool_ref(shard->pool); // a refused start may answer the last invocation that kept it
    unsigned loop = (unsigned)sl_loop_index(sl_loop_current());
    unsigned waiting = atomic_load_explicit(&shard->waiting_count, memory_order_relaxed);
    bool stuck = shard->turns == shard->turns_seen;
    while (stuck && waiting > shard->starting + shard->asked) {
        start_one(pool, loop);
        unsigned left = atomic_load_explicit(&shard->waiting_count, memory_order_relaxed);
        if (left < waiting) waiting = left; // one was refused
    }
    if (waiting && !stuck) be_patient(pool, loop);
    sl_invoke__pool_unref(pool);
}

// ---- asking other loops -----------------------------------------------------------------------------------------

static bool ask_other_loop(struct sl_invoke__pool *pool, unsigned loop);

// Sees to it that whoever waits here is served: by instances that are on their way already, by busy ones soon, by
// another loop's idle one, or by a new one.
static void get_instance(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    unsigned coming = shard->starting + shard->asked;
    if (atomic_load_explicit(&shard->waiting_count, memory_order_relaxed) <= coming) return;
    if (soon(pool, shard))
        be_patient(pool, loop);
    else if (!ask_other_loop(pool, loop))
        start_one(pool, loop);
}

static void ask_answered(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__shard *shard = &letter->pool->shards[letter->to];
    shard->asked--;
    // Whoever was asked had none left. Those that came answer by offering themselves.
    if (atomic_load(&shard->waiting_count) > shard->starting + shard->asked) {
        if (soon(letter->pool, shard))
            be_patient(letter->pool, letter->to);
        else
            start_one(letter->pool, letter->to);
    }
    discard(letter);
}

// On the loop that was asked: give an idle instance to the asker, or say that there is none.
static void asked(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__pool *pool = letter->pool;
    unsigned asker = letter->from;
    struct sl_instance *instance = pool->shards[letter->to].idle;
    letter->from = letter->to;
    letter->to = asker;
    if (instance) {
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_give(instance, pool->invoker->loops[asker].loop);
    }
    sl_loop_post(pool->invoker->loops[asker].loop, &letter->mail, ask_answered);
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
    struct sl_instance *instance = shard->idle;
    if (instance) {
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_dispatch(instance, invocation);
        return;
    }
    push_waiting(shard, invocation);
    get_instance(pool, loop);
}

void sl_invoke__pool_offer(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    join(instance);
    struct sl_invocation *waiting = pop_waiting(shard_of(instance));
    if (waiting) {
        sl_invoke__instance_dispatch(instance, waiting);
        return;
    }
    if (atomic_load_explicit(&pool->retired, memory_order_relaxed) || atomic_load(&pool->invoker->draining)) {
        sl_invoke__instance_stop(instance);
        return;
    }
    unsigned here = (unsigned)sl_loop_index(instance->loop);
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) {
        struct sl_invoke__shard *other = &pool->shards[i];
        if (i == here || !atomic_load_explicit(&other->waiting_count, memory_order_relaxed)) continue;
        if (soon(pool, other)) continue; // its own instances will do
        sl_invoke__instance_give(instance, pool->invoker->loops[i].loop);
        return;
    }
    enter_idle(instance);
}

struct sl_invocation *sl_invoke__pool_next_waiting(struct sl_invoke__pool *pool, unsigned loop) {
    return pop_waiting(&pool->shards[loop]);
}

// ---- retiring and sweeping --------------------------------------------------------------------------------------

static void stop_idle(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__shard *shard = &letter->pool->shards[letter->to];
    while (shard->idle) {
        struct sl_instance *instance = shard->idle;
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_stop(instance);
    }
    discard(letter);
}

void sl_invoke__pool_retire(struct sl_invoke__pool *pool) {
    atomic_store(&pool->retired, true);
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) write_to(pool, i, i, stop_idle);
}

static void stop_idle_since(struct sl_invoke__loop *here, int64_t before_ns) {
    while (here->lru_first && here->lru_first->idle_since_ns <= before_ns) {
        struct sl_instance *instance = here->lru_first;
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_stop(instance);
    }
}

void sl_invoke__sweep(struct sl_timer *timer) {
    struct sl_invoke__loop *here = SL_CONTAINER(timer, struct sl_invoke__loop, sweep);
    int64_t now_ns = sl_loop_now_ms(here->loop) * 1000000;
    stop_idle_since(here, now_ns - here->invoker->config.idle_ms * 1000000);
    sl_timer_start(here->loop, timer, SWEEP_MS, sl_invoke__sweep);
}

void sl_invoke__stop_all_idle(struct sl_mail *mail) {
    stop_idle_since(SL_CONTAINER(mail, struct sl_invoke__loop, drain_mail), INT64_MAX);
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
    struct sl_invoke__shard *shard = &entry->pool->shards[sl_loop_index(invocation->loop)];
    struct sl_invocation *copy = orphan_new(invocation);
    // The copy first, so that the queue is not empty in between and what was started for it stays.
    if (copy) push_waiting(shard, copy);
    unlink_waiting(shard, invocation);
    if (copy) return;
    // No memory for a copy: it does not run. Its client is gone and its place in the count is given back.
    atomic_fetch_sub(&entry->limit->in_flight, 1);
    atomic_fetch_sub(&invoker->in_flight, 1);
    sl_invoke__entry_unref(entry);
}
