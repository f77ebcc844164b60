// SPDX-License-Identifier: Apache-2.0
//
// engine: the invoker's life, admission of invocations (concurrency limits), refusals and metrics. See internal.h.
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE_START = 64, SCRATCH_MAX = 8 * 1024 * 1024 };

// ---- life -------------------------------------------------------------------------------------------------------

int sl_invoker_new(struct sl_invoker **ret, const struct sl_invoker_config *config, struct sl_error *err) {
    struct sl_invoker *invoker = calloc(1, sizeof *invoker);
    if (!invoker || config->loop_count > SL_LOOPS_MAX) {
        free(invoker);
        return sl_fail(err, SL_E_LIMIT, "at most %d loop threads", SL_LOOPS_MAX);
    }
    invoker->config = *config;
    pthread_mutex_init(&invoker->publish_lock, NULL);
    pthread_mutex_init(&invoker->slot_lock, NULL);
    int flags = CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING;
    invoker->functions = cds_lfht_new(TABLE_START, TABLE_START, 0, flags, NULL);
    invoker->urls = cds_lfht_new(TABLE_START, TABLE_START, 0, flags, NULL);
    invoker->slots = calloc(config->max_instances, sizeof(struct sl_instance *));
    invoker->slot_generation = calloc(config->max_instances, sizeof *invoker->slot_generation);
    for (unsigned i = 0; i < config->loop_count; i++) {
        invoker->loops[i].invoker = invoker;
        invoker->loops[i].loop = config->loops[i];
        sl_buf_init(&invoker->loops[i].scratch, SCRATCH_MAX);
    }
    *ret = invoker;
    if (invoker->functions && invoker->urls && invoker->slots && invoker->slot_generation) return 0;
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
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        sl_loop_post(invoker->loops[i].loop, &invoker->loops[i].drain_mail, sl_invoke__stop_all_idle);
    }
}

unsigned sl_invoker_instances(const struct sl_invoker *invoker) { return atomic_load(&invoker->instance_count); }

unsigned sl_invoker_busy(struct sl_invoker *invoker) {
    int count = atomic_load(&invoker->in_flight);
    return count < 0 ? 0 : (unsigned)count;
}

void sl_invoker_free(struct sl_invoker *invoker) {
    if (!invoker) return;
    rcu_barrier(); // entries that were replaced are reclaimed
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
    for (unsigned i = 0; i < invoker->config.loop_count; i++) sl_buf_free(&invoker->loops[i].scratch);
    free(invoker->slots);
    free(invoker->slot_generation);
    free(invoker);
}

// ---- answers ----------------------------------------------------------------------------------------------------

// Takes a waiting (or not yet admitted) invocation out of the counts and answers it.
void sl_invoke__finish(struct sl_invoker *invoker, struct sl_invocation *invocation,
                       const struct sl_invocation_result *result) {
    struct sl_invoke__entry *entry = invocation->entry;
    if (result->outcome == SL_INVOCATION_ERROR) {
        atomic_fetch_add_explicit(&sl_invoke__of(invoker, invocation->loop)->errors, 1, memory_order_relaxed);
    }
    invocation->entry = NULL;
    if (entry) {
        atomic_fetch_sub(&entry->limit->in_flight, 1);
        atomic_fetch_sub(&invoker->in_flight, 1);
    }
    invocation->done(invocation, result);
    if (entry) sl_invoke__entry_unref(entry);
}

void sl_invoke__refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, const struct sl_error *error,
                       const char *reason) {
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_REFUSED, .error = error};
    if (reason) result.throttle_reason = sl_str_of(reason);
    if (error->kind == SL_E_THROTTLED) {
        atomic_fetch_add_explicit(&sl_invoke__of(invoker, invocation->loop)->throttles, 1, memory_order_relaxed);
    }
    sl_invoke__finish(invoker, invocation, &result);
}

static void refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, int kind, const char *message,
                   const char *reason) {
    struct sl_error error;
    sl_fail(&error, kind, "%s", message);
    sl_invoke__refuse(invoker, invocation, &error, reason);
}

static void refuse_unknown(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    struct sl_error error;
    struct sl_str version = invocation->version.len ? invocation->version : SL_STR("$LATEST");
    sl_fail(&error, SL_E_RESOURCE_NOT_FOUND, "Function not found: arn:aws:lambda:%.*s:%.*s:function:%.*s:%.*s",
            SL_FMT(invocation->region), SL_FMT(invocation->account), SL_FMT(invocation->name), SL_FMT(version));
    sl_invoke__refuse(invoker, invocation, &error, NULL);
}

// ---- admission --------------------------------------------------------------------------------------------------

// Counts the invocation in, or says why not. Both counters are taken before they are compared, so that the limits hold
// whatever other threads do at the same time.
static const char *admit(struct sl_invoker *invoker, struct sl_invoke__limit *limit) {
    int64_t reserved = atomic_load_explicit(&limit->reserved, memory_order_relaxed);
    int own = atomic_fetch_add(&limit->in_flight, 1) + 1;
    int all = atomic_fetch_add(&invoker->in_flight, 1) + 1;
    const char *reason = NULL;
    if (reserved >= 0 && own > reserved)
        reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
    else if (reserved < 0 && all > (int)invoker->config.account_concurrency)
        reason = "ConcurrentInvocationLimitExceeded";
    if (!reason) return NULL;
    atomic_fetch_sub(&limit->in_flight, 1);
    atomic_fetch_sub(&invoker->in_flight, 1);
    return reason;
}

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

void sl_invoke(struct sl_invoker *invoker, struct sl_invocation *invocation) {
    invocation->loop = sl_loop_current();
    invocation->entry = NULL;
    invocation->instance = NULL;
    if (!invocation->request_id[0]) sl_uuid(invocation->request_id);
    if (!invocation->trace_id.len) {
        size_t len = trace_id(invocation->trace_text);
        invocation->trace_id = sl_str_n(invocation->trace_text, len);
    }
    if (atomic_load_explicit(&invoker->draining, memory_order_relaxed)) {
        refuse(invoker, invocation, SL_E_UNAVAILABLE, "The server is shutting down.", NULL);
        return;
    }
    struct sl_invoke__entry *entry =
        sl_invoke__entry_find(invoker, invocation->account, invocation->region, invocation->name, invocation->version);
    if (!entry) {
        refuse_unknown(invoker, invocation);
        return;
    }
    const char *reason = admit(invoker, entry->limit);
    if (reason) {
        refuse(invoker, invocation, SL_E_THROTTLED, "Rate Exceeded.", reason);
        return;
    }
    atomic_fetch_add(&entry->references, 1);
    invocation->entry = entry;
    atomic_fetch_add_explicit(&sl_invoke__of(invoker, invocation->loop)->invocations, 1, memory_order_relaxed);
    sl_invoke__pool_enter(entry->pool, invocation);
}

// ---- metrics ----------------------------------------------------------------------------------------------------

static void metric(struct sl_buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    sl_buf_printf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\nsluice_%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

void sl_invoker_metrics(struct sl_invoker *invoker, struct sl_buf *out) {
    uint64_t invocations = 0, errors = 0, throttles = 0, cold = 0, duration = 0;
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        struct sl_invoke__loop *loop = &invoker->loops[i];
        invocations += atomic_load_explicit(&loop->invocations, memory_order_relaxed);
        errors += atomic_load_explicit(&loop->errors, memory_order_relaxed);
        throttles += atomic_load_explicit(&loop->throttles, memory_order_relaxed);
        cold += atomic_load_explicit(&loop->cold_starts, memory_order_relaxed);
        duration += atomic_load_explicit(&loop->duration_us, memory_order_relaxed);
    }
    metric(out, "invocations_total", "counter", "Invocations admitted.", invocations);
    metric(out, "invocation_errors_total", "counter", "Invocations that ended in a function error.", errors);
    metric(out, "throttles_total", "counter", "Invocations refused for concurrency.", throttles);
    metric(out, "cold_starts_total", "counter", "Instances started.", cold);
    metric(out, "invocation_duration_microseconds_total", "counter", "Time spent in functions.", duration);
    metric(out, "invocations_in_flight", "gauge", "Invocations waiting or running.", sl_invoker_busy(invoker));
    metric(out, "instances", "gauge", "Instances that exist.", atomic_load(&invoker->instance_count));
}
