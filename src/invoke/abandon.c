// SPDX-License-Identifier: Apache-2.0
//
// abandon: the caller of an invocation went away. One that waits runs all the same, as on AWS, from a copy of what the
// caller had; the answer of one that runs goes nowhere. On the invocation's loop's thread.
#include "invoke/waiting.h"

#include <stdlib.h>

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
    if (copy) sl_invoke__waiting_push(shard, copy);
    sl_invoke__waiting_unlink(shard, invocation);
    sl_invoke__pool_unref(shard->pool);
    if (copy) return;
    // No memory for a copy: it does not run. Its client is gone and its place in the count is given back.
    sl_invoke__leave(sl_invoke__of(invoker, invocation->loop), invocation->allotment);
    sl_invoke__entry_unref(entry);
}
