// SPDX-License-Identifier: Apache-2.0
//
// engine: the invoker's life, admission of invocations (concurrency limits), refusals and metrics. See internal.h.
#include "invoke/blank.h"
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

// A second try of an init starts before the first one's instance is gone.
enum { SPARE_SLOTS = 32, TABLE_START = 64, SCRATCH_MAX = 8 * 1024 * 1024 };

// ---- life -------------------------------------------------------------------------------------------------------

int sl_invoker_new(struct sl_invoker **ret, const struct sl_invoker_config *config, struct sl_error *err) {
    struct sl_invoker *invoker = calloc(1, sizeof *invoker);
    if (!invoker || config->loop_count > SL_LOOPS_MAX) {
        free(invoker);
        return sl_fail(err, SL_E_LIMIT, "at most %d loop threads", SL_LOOPS_MAX);
    }
    invoker->config = *config;
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) == 0)
        invoker->processors = (unsigned)CPU_COUNT(&processors);
    sl_invoke__gate_init(&invoker->gate, invoker->processors, sl_invoke__gate_runnable);
    pthread_mutex_init(&invoker->publish_lock, NULL);
    pthread_mutex_init(&invoker->slot_lock, NULL);
    pthread_mutex_init(&invoker->provision_lock, NULL);
    int flags = CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING;
    invoker->functions = cds_lfht_new(TABLE_START, TABLE_START, 0, flags, NULL);
    invoker->urls = cds_lfht_new(TABLE_START, TABLE_START, 0, flags, NULL);
    invoker->slot_count = config->max_instances + config->blanks + SPARE_SLOTS;
    invoker->slots = calloc(invoker->slot_count, sizeof *invoker->slots);
    invoker->blanks = sl_invoke__blanks_new(invoker);
    for (unsigned i = 0; i < config->loop_count; i++) {
        invoker->loops[i].invoker = invoker;
        invoker->loops[i].loop = config->loops[i];
        atomic_init(&invoker->loops[i].oldest_idle_ns, INT64_MAX);
        sl_buf_init(&invoker->loops[i].scratch, SCRATCH_MAX);
    }
    *ret = invoker;
    if (invoker->functions && invoker->urls && invoker->slots) return 0;
    return sl_fail(err, SL_E_NO_MEMORY, "no memory for the invocation engine");
}

int sl_invoker_attach(struct sl_invoker *invoker, unsigned index, struct sl_error *err) {
    struct sl_invoke__loop *here = &invoker->loops[index];
    here->sweep.fire = NULL;
    sl_timer_start(here->loop, &here->sweep, 1000, sl_invoke__sweep);
    return index == 0 ? sl_invoke__watch_jail(invoker, err) : 0;
}

void sl_invoker_drain(struct sl_invoker *invoker) {
    atomic_store(&invoker->draining, true);
    sl_invoke__blanks_drain(invoker->blanks);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        sl_loop_post(invoker->loops[i].loop, &invoker->loops[i].drain_mail, sl_invoke__stop_all_idle);
    }
}

unsigned sl_invoker_instances(const struct sl_invoker *invoker) { return atomic_load(&invoker->instance_count); }

unsigned sl_invoker_busy(struct sl_invoker *invoker) {
    unsigned count = 0;
    for (unsigned i = 0; i < invoker->config.loop_count; i++)
        count += (unsigned)atomic_load(&invoker->loops[i].in_flight);
    return count;
}

void sl_invoker_free(struct sl_invoker *invoker) {
    if (!invoker) return;
    rcu_barrier(); // entries that were replaced are reclaimed
    sl_invoke__provision_free(invoker);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        sl_invoke__room_free(&invoker->loops[i]);
        sl_invoke__snaps_free(&invoker->loops[i]);
    }
    // Instances that are left are the spawner's to kill: it sees our end of its socket close.
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    sl_rcu_begin();
    // Not cds_lfht_for_each_entry: it computes the entry of the NULL that ends the walk, which UBSan refuses.
    cds_lfht_for_each(invoker->functions, &iter, node) {
        struct sl_invoke__entry *entry = SL_CONTAINER(node, struct sl_invoke__entry, node);
        cds_lfht_del(invoker->functions, &entry->node);
        if (entry->function.url_id.len) cds_lfht_del(invoker->urls, &entry->url_node);
        atomic_store(&entry->pool->retired, true);
        sl_invoke__entry_unref(entry);
    }
    sl_rcu_end();
    cds_lfht_destroy(invoker->functions, NULL);
    cds_lfht_destroy(invoker->urls, NULL);
    sl_invoke__limits_free(invoker);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        sl_buf_free(&invoker->loops[i].scratch);
        sl_invoke__meters_free(&invoker->loops[i]);
    }
    sl_invoke__blanks_free(invoker->blanks);
    free(invoker->slots);
    free(invoker);
}

// ---- counts -----------------------------------------------------------------------------------------------------

void sl_invoke__leave(struct sl_invoke__loop *here, struct sl_invoke__allotment *allotment) {
    sl_invoke__place_return(allotment);
    sl_invoke__gauge(&here->in_flight, -1);
}

// ---- answers ----------------------------------------------------------------------------------------------------

// Takes a waiting (or not yet admitted) invocation out of the counts and answers it.
void sl_invoke__finish(struct sl_invoker *invoker, struct sl_invocation *invocation,
                       const struct sl_invocation_result *result) {
    struct sl_invoke__entry *entry = invocation->entry;
    if (result->outcome == SL_INVOCATION_ERROR) {
        atomic_fetch_add_explicit(&sl_invoke__of(invoker, invocation->loop)->errors, 1, memory_order_relaxed);
        if (entry) sl_invoke__meter_missed(entry->pool, invocation, SL_MISSED_FAILED);
    }
    invocation->entry = NULL;
    if (entry) sl_invoke__leave(sl_invoke__of(invoker, invocation->loop), invocation->allotment);
    invocation->done(invocation, result);
    if (entry) sl_invoke__entry_unref(entry);
}

void sl_invoke__refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, const struct sl_error *error,
                       enum sl_invoke__throttle reason) {
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_REFUSED, .error = error};
    if (reason != SL_THROTTLE_NONE) {
        result.throttle_reason = sl_str_of(sl_invoke__throttle_names[reason]);
        // Rates refill continuously: a second later there is some again.
        result.retry_after_s = reason >= SL_THROTTLE_RATE ? 1 : 0;
        atomic_fetch_add_explicit(&sl_invoke__of(invoker, invocation->loop)->throttles[reason], 1,
                                  memory_order_relaxed);
        if (invocation->entry) sl_invoke__meter_missed(invocation->entry->pool, invocation, SL_MISSED_THROTTLED);
    }
    sl_invoke__finish(invoker, invocation, &result);
}

static void refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, int kind, const char *message,
                   enum sl_invoke__throttle reason) {
    struct sl_error error;
    sl_fail(&error, kind, "%s", message);
    sl_invoke__refuse(invoker, invocation, &error, reason);
}

static void refuse_unknown(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    struct sl_error error;
    struct sl_str version = invocation->version.len ? invocation->version : SL_STR("$LATEST");
    sl_fail(&error, SL_E_RESOURCE_NOT_FOUND, "Function not found: arn:aws:lambda:%.*s:%.*s:function:%.*s:%.*s",
            SL_FMT(invocation->region), SL_FMT(invocation->account), SL_FMT(invocation->name), SL_FMT(version));
    sl_invoke__refuse(invoker, invocation, &error, SL_THROTTLE_NONE);
}

// ---- admission --------------------------------------------------------------------------------------------------

// "Root=1-<seconds in hex>-<24 hex digits>;Parent=<16>;Sampled=0;Lineage=..." without what tracing would add.
static size_t trace_id(char out[static 80]) {
    char root[25], parent[17];
    sl_random_hex(root, 24);
    sl_random_hex(parent, 16);
    return (size_t)snprintf(out, 80, "Root=1-%08llx-%s;Parent=%s;Sampled=0",
                            (unsigned long long)(sl_clock_ms() / 1000) & 0xffffffffu, root, parent);
}

struct sl_str sl_trace_id_new(struct sl_arena *arena) {
    char text[80];
    size_t len = trace_id(text);
    return sl_arena_dup(arena, sl_str_n(text, len));
}

static void enter_tenant(struct sl_invoker *invoker, struct sl_invoke__pool *parent, struct sl_invocation *invocation) {
    struct sl_invoke__pool *pool = sl_invoke__tenant_pool(parent, invocation->tenant_id);
    if (!pool) {
        refuse(invoker, invocation, SL_E_NO_MEMORY, "no memory for a tenant", SL_THROTTLE_NONE);
        return;
    }
    sl_invoke__pool_enter(pool, invocation);
    sl_invoke__pool_unref(pool); // its instances and who waits for them keep it
}

// The header the function sees, made when there is none. False: it has been here too often in this chain.
static bool enter_lineage(struct sl_invocation *invocation, const struct sl_function *function) {
    char fresh[80];
    struct sl_str trace = invocation->trace_id;
    if (!trace.len) trace = sl_str_n(fresh, trace_id(fresh));
    if (!function->loops_allowed && sl_lineage_count(trace, function->arn) >= SL_LINEAGE_LIMIT) return false;
    size_t length = sl_lineage_enter(trace, function->arn, invocation->trace_text);
    invocation->trace_id = sl_str_n(invocation->trace_text, length);
    return true;
}

void sl_invoke(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    invocation->loop = sl_loop_current();
    invocation->entry = NULL;
    invocation->instance = NULL;
    invocation->behind = NULL;
    if (!invocation->request_id[0]) sl_uuid(invocation->request_id);
    if (atomic_load_explicit(&invoker->draining, memory_order_relaxed)) {
        refuse(invoker, invocation, SL_E_UNAVAILABLE, "The server is shutting down.", SL_THROTTLE_NONE);
        return;
    }
    struct sl_invoke__entry *entry =
        sl_invoke__entry_find(invoker, invocation->account, invocation->region, invocation->name, invocation->version);
    if (entry && entry->function.code_path.len) entry = sl_invoke__hot_current(invoker, entry);
    if (!entry) {
        refuse_unknown(invoker, invocation);
        return;
    }
    struct sl_error error;
    if (sl_invoke_check(&entry->function, invocation->tenant_id, &error) || sl_invoke__stir(invoker, entry, &error)) {
        sl_invoke__refuse(invoker, invocation, &error, SL_THROTTLE_NONE);
        return;
    }
    if (sl_invoke__snap_refuses(entry->pool, &error)) {
        sl_invoke__refuse(invoker, invocation, &error, SL_THROTTLE_NONE);
        return;
    }
    if (!enter_lineage(invocation, &entry->function)) {
        sl_invoke__meter_missed(entry->pool, invocation, SL_MISSED_RECURSION);
        refuse(invoker, invocation, SL_E_RECURSIVE_INVOCATION,
               "Lambda has detected your function being invoked in a recursive loop with other AWS resources and "
               "stopped your function's invocation.",
               SL_THROTTLE_NONE);
        return;
    }
    struct sl_invoke__loop *here = sl_invoke__of(invoker, invocation->loop);
    enum sl_invoke__throttle reason = sl_invoke__admit(entry->pool, invocation);
    if (reason != SL_THROTTLE_NONE) {
        sl_invoke__meter_missed(entry->pool, invocation, SL_MISSED_THROTTLED);
        refuse(invoker, invocation, SL_E_THROTTLED, "Rate Exceeded.", reason);
        return;
    }
    atomic_fetch_add(&entry->references, 1);
    invocation->entry = entry;
    sl_invoke__gauge(&here->in_flight, 1);
    atomic_fetch_add_explicit(&here->invocations, 1, memory_order_relaxed);
    if (entry->function.per_tenant)
        enter_tenant(invoker, entry->pool, invocation);
    else
        sl_invoke__pool_enter(entry->pool, invocation);
}
