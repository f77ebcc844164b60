// SPDX-License-Identifier: Apache-2.0
//
// waiting: the invocations of a shard that no instance serves yet, oldest first. All on the shard's loop's thread;
// other threads read how many there are. Each of them keeps the pool; a loop lists its shards where somebody waits, so
// that nobody waits for ever.
#include "invoke/waiting.h"

#include "base/clock.h"

enum { SPARE_MS = 20000 }; // beside the limit of an init: nobody waits longer for an instance

void sl_invoke__blend(_Atomic int64_t *average, int64_t value) {
    // Loops may overwrite one another's update: it is an estimate.
    int64_t old = atomic_load_explicit(average, memory_order_relaxed);
    if (!value) value = 1;
    atomic_store_explicit(average, old ? old + (value - old) / 8 : value, memory_order_relaxed);
}

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

void sl_invoke__waiting_push(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
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

void sl_invoke__waiting_unlink(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
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

struct sl_invocation *sl_invoke__waiting_pop(struct sl_invoke__shard *shard) {
    struct sl_invocation *invocation = shard->waiting_first;
    shard->turns++;
    if (!invocation) return NULL;
    sl_invoke__waiting_unlink(shard, invocation);
    int64_t now = sl_clock_mono_ns();
    if (shard->last_turn_ns) sl_invoke__blend(&shard->between_ns, now - shard->last_turn_ns);
    shard->last_turn_ns = shard->waiting_first ? now : 0;
    sl_invoke__pool_unref(shard->pool); // an instance or a start keeps it
    return invocation;
}

void sl_invoke__waiting_refuse_last(struct sl_invoke__pool *pool, unsigned loop, const struct sl_error *error,
                                    enum sl_invoke__throttle reason) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_invocation *invocation = shard->waiting_last;
    if (!invocation) return;
    sl_invoke__waiting_unlink(shard, invocation);
    sl_invoke__refuse(pool->invoker, invocation, error, reason);
    sl_invoke__pool_unref(pool);
}

static bool expire_one(struct sl_invoke__loop *here, int64_t before_ms) {
    struct sl_invoke__shard *shard = here->queue_first;
    while (shard && shard->waiting_first->waiting_since_ms >= before_ms) shard = shard->queue_next;
    if (!shard) return false;
    struct sl_invocation *invocation = shard->waiting_first;
    struct sl_invoke__pool *pool = shard->pool;
    struct sl_error error;
    sl_invoke__waiting_unlink(shard, invocation);
    sl_fail(&error, SL_E_THROTTLED, "Rate Exceeded.");
    sl_invoke__refuse(here->invoker, invocation, &error, SL_THROTTLE_CONCURRENT);
    sl_invoke__pool_unref(pool);
    return true;
}

void sl_invoke__waiting_expire(struct sl_invoke__loop *here) {
    int64_t before_ms = sl_loop_now_ms(here->loop) - here->invoker->config.init_ms - SPARE_MS;
    while (expire_one(here, before_ms)) {} // from the start each time: an answer may change the list
}

static void push_first(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    if (!shard->waiting_first) {
        sl_invoke__waiting_push(shard, invocation);
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

void sl_invoke__waiting_push_first(struct sl_invoke__shard *shard, struct sl_invocation *first) {
    struct sl_invocation *last = first;
    while (last->next) last = last->next;
    for (struct sl_invocation *at = last, *before; at; at = before) {
        before = at == first ? NULL : at->prev;
        push_first(shard, at);
    }
}
