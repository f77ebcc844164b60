// SPDX-License-Identifier: Apache-2.0
//
// ahead: several events under way to one instance. All on the owner loop's thread.
//
// A short invocation costs less than the two switches between processes that it needs. So to an instance that is busy
// with one others are sent, which it begins one after the other (runtime/lane.c says how it is decided which one is):
// it has its next event as soon as it has answered, and several answers are read at once.
//
// Which functions: those whose invocations are short, of which hundreds in a row printed nothing (crowd.c), on
// instances whose bootstrap offers a lane, without extensions. Everything else gets one event at a time. And only
// invocations that would wait for a busy instance in any case.
//
// Invariants:
//   - Never is more than one invocation begun. One that was sent ahead holds nothing of the instance: not its deadline,
//     not its bill, no line in its log. All that starts when it is begun: when the one before it was answered.
//   - Nothing waits behind one that takes long (STUCK_MS): those behind are taken back, and served by others.
//   - When the instance dies, times out or is told to end, the one in work is answered for it; those behind are
//   requeued,
//     in order, untouched: `untaken` is told exactly of those that were never begun.
//   - Output belongs to the invocation begun last: a bootstrap begins nothing after one that printed (instance.c,
//     drain_ahead). What a bootstrap cannot see it printing shows by an answer on the lane: then nothing is sent ahead
//     to this function any more.
#include "invoke/waiting.h"

#include "base/clock.h"

enum {
    STUCK_MS = 10,
    PAYLOAD_MAX = 16 * 1024, // of an event sent ahead: all of them fit into a socket's buffer
    QUIET_MAX = 4096,
};

static struct sl_invoke__shard *shard_of(struct sl_instance *instance) {
    return &instance->pool->shards[sl_loop_index(instance->loop)];
}

bool sl_invoke__ahead_wanted(const struct sl_instance *instance) {
    const struct sl_invoke__shard *shard = &instance->pool->shards[sl_loop_index(instance->loop)];
    return sl_invoke__crowd_ahead(shard) && sl_runtime_has_lane(&instance->runtime);
}

// ---- the end of the turn --------------------------------------------------------------------------------------------

static void send_all(struct sl_mail *mail) {
    struct sl_invoke__loop *here = SL_CONTAINER(mail, struct sl_invoke__loop, unsent_mail);
    struct sl_instance *instance;
    here->unsent_posted = false;
    while ((instance = here->unsent)) {
        here->unsent = instance->unsent_next;
        instance->unsent = false;
        sl_runtime_flush(&instance->runtime);
    }
}

static void send_later(struct sl_instance *instance) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    if (instance->unsent) return;
    if (!here->unsent_posted) sl_loop_post(instance->loop, &here->unsent_mail, send_all);
    here->unsent_posted = true; // also when the list is empty again before
    instance->unsent = true;
    instance->unsent_next = here->unsent;
    here->unsent = instance;
}

static void forget_unsent(struct sl_instance *instance) {
    if (!instance->unsent) return;
    struct sl_instance **at = &sl_invoke__of(instance->invoker, instance->loop)->unsent;
    while (*at != instance) at = &(*at)->unsent_next;
    *at = instance->unsent_next;
    instance->unsent = false;
}

// ---- sending --------------------------------------------------------------------------------------------------------

static void list(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    if (instance->listed) return;
    instance->listed = true;
    instance->ahead_prev = NULL;
    if ((instance->ahead_next = shard->ahead)) shard->ahead->ahead_prev = instance;
    shard->ahead = instance;
}

static void unlist(struct sl_instance *instance) {
    if (!instance->listed) return;
    instance->listed = false;
    if (instance->ahead_next) instance->ahead_next->ahead_prev = instance->ahead_prev;
    if (instance->ahead_prev)
        instance->ahead_prev->ahead_next = instance->ahead_next;
    else
        shard_of(instance)->ahead = instance->ahead_next;
}

void sl_invoke__ahead_opened(struct sl_instance *instance) {
    list(instance);
    send_later(instance);
}

static void stuck(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, stuck);
    sl_runtime_catch_up(&instance->runtime); // answers that were not told of yet
    if (!instance->behind) return;
    int64_t since_ns = sl_clock_mono_ns() - instance->dispatched_ns;
    if (since_ns < (int64_t)STUCK_MS * 1000000) {
        sl_timer_start(instance->loop, timer, STUCK_MS - since_ns / 1000000, stuck);
        return;
    }
    sl_invoke__crowd_bar(shard_of(instance));
    sl_runtime_recall(&instance->runtime);
}

static void send_behind(struct sl_instance *instance, struct sl_invocation *invocation) {
    const int64_t timeout_ms = instance->pool->spec.timeout_ms;
    struct sl_runtime_event event = {
        .request_id = sl_str_n(invocation->request_id, 36),
        .deadline_ms = sl_clock_ms() + timeout_ms,
        .function_arn = invocation->invoked_arn,
        .trace_id = invocation->trace_id,
        .client_context = invocation->client_context,
        .tenant_id = invocation->tenant_id,
        .payload = invocation->payload,
        .timeout_ms = timeout_ms,
    };
    sl_runtime_send_ahead(&instance->runtime, &event);
    invocation->behind = instance;
    invocation->ahead_ns = sl_clock_mono_ns();
    invocation->next = NULL;
    invocation->prev = instance->behind_last;
    if (instance->behind_last)
        instance->behind_last->next = invocation;
    else
        instance->behind_first = invocation;
    instance->behind_last = invocation;
    instance->behind++;
    atomic_fetch_add_explicit(&sl_invoke__of(instance->invoker, instance->loop)->ahead, 1, memory_order_relaxed);
    send_later(instance);
    if (!sl_timer_armed(&instance->stuck)) sl_timer_start(instance->loop, &instance->stuck, STUCK_MS, stuck);
}

static bool takes(const struct sl_instance *instance, const struct sl_invocation *invocation) {
    return instance->ahead && instance->serving && instance->state == SL_INSTANCE_BUSY &&
           invocation->payload.len + invocation->client_context.len <= PAYLOAD_MAX &&
           sl_runtime_takes_ahead(&instance->runtime);
}

static struct sl_instance *shortest(const struct sl_invoke__shard *shard, const struct sl_invocation *invocation) {
    struct sl_instance *best = NULL;
    for (struct sl_instance *at = shard->ahead; at; at = at->ahead_next)
        if (takes(at, invocation) && (!best || at->behind < best->behind)) best = at;
    return best;
}

bool sl_invoke__ahead_take(struct sl_invoke__shard *shard, struct sl_invocation *invocation) {
    struct sl_instance *best = shortest(shard, invocation);
    if (best) send_behind(best, invocation);
    return best != NULL;
}

void sl_invoke__ahead_spread(struct sl_invoke__pool *pool, unsigned loop) {
    const struct sl_invoke__shard *shard = &pool->shards[loop];
    struct sl_instance *best;
    while (shard->waiting_first && (best = shortest(shard, shard->waiting_first)))
        send_behind(best, sl_invoke__waiting_pop(&pool->shards[loop]));
}

void sl_invoke__ahead_fill(struct sl_instance *instance) {
    struct sl_invoke__shard *shard = shard_of(instance);
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    while (shard->waiting_first && takes(instance, shard->waiting_first))
        send_behind(instance, sl_invoke__waiting_pop(&instance->pool->shards[loop]));
}

// ---- what becomes of them -------------------------------------------------------------------------------------------

static void unlink_behind(struct sl_instance *instance, struct sl_invocation *invocation) {
    if (invocation->prev)
        invocation->prev->next = invocation->next;
    else
        instance->behind_first = invocation->next;
    if (invocation->next)
        invocation->next->prev = invocation->prev;
    else
        instance->behind_last = invocation->prev;
    invocation->next = invocation->prev = NULL;
    invocation->behind = NULL;
    instance->behind--;
}

void sl_invoke__ahead_begun(struct sl_instance *instance, int64_t since_ns) {
    struct sl_invocation *invocation = instance->behind_first;
    // Else it is one that lost its caller when there was no memory to keep it: its answer goes nowhere.
    if (!invocation || strcmp(invocation->request_id, instance->runtime.current) != 0) return;
    unlink_behind(instance, invocation);
    if (since_ns < invocation->ahead_ns) since_ns = invocation->ahead_ns; // it had nothing to do in between
    sl_invoke__begin_sent(instance, invocation, since_ns);
    sl_invoke__pool_fill(instance);
}

void sl_invoke__ahead_untaken(struct sl_instance *instance) {
    struct sl_invocation *first = instance->behind_first;
    sl_invoke__ahead_leave(instance);
    if (!first) return;
    atomic_fetch_add_explicit(&sl_invoke__of(instance->invoker, instance->loop)->untaken, instance->behind,
                              memory_order_relaxed);
    instance->behind_first = instance->behind_last = NULL;
    instance->behind = 0;
    for (struct sl_invocation *at = first; at; at = at->next) at->behind = NULL;
    sl_invoke__pool_requeue(instance->pool, (unsigned)sl_loop_index(instance->loop), first);
}

void sl_invoke__ahead_replace(struct sl_invocation *invocation, struct sl_invocation *copy) {
    struct sl_instance *instance = invocation->behind;
    if (!copy) {
        unlink_behind(instance, invocation);
        return;
    }
    if (copy->prev)
        copy->prev->next = copy;
    else
        instance->behind_first = copy;
    if (copy->next)
        copy->next->prev = copy;
    else
        instance->behind_last = copy;
}

void sl_invoke__ahead_leave(struct sl_instance *instance) {
    unlist(instance);
    forget_unsent(instance);
    sl_timer_stop(&instance->stuck);
    instance->ahead = false;
}

void sl_invoke__ahead_note(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    if (instance->printed) {
        atomic_store_explicit(&pool->quiet, 0, memory_order_relaxed);
        if (instance->ahead && instance->runtime.by_lane)
            atomic_store_explicit(&pool->loud, true, memory_order_relaxed);
        return;
    }
    unsigned quiet = atomic_load_explicit(&pool->quiet, memory_order_relaxed);
    if (quiet < QUIET_MAX) atomic_store_explicit(&pool->quiet, quiet + 1, memory_order_relaxed);
}
