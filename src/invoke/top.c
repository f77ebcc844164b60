// SPDX-License-Identifier: Apache-2.0
//
// top: what runs now, as one JSON document for `sluice top` (GET /_sluice/top): totals, functions that have or had
// instances, and blanks by kind. Counters of other loops are read without order: the picture may be a moment old.
#include "invoke/blank.h"
#include "invoke/internal.h"

enum { FUNCTIONS_MAX = 1000 };

struct counts {
    unsigned live, idle, waiting;
};

static struct counts count(const struct sl_invoke__pool *pool) {
    struct counts counts = {0};
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) {
        const struct sl_invoke__shard *shard = &pool->shards[i];
        counts.live += atomic_load_explicit(&shard->live, memory_order_relaxed);
        counts.idle += atomic_load_explicit(&shard->idle_count, memory_order_relaxed);
        counts.waiting += atomic_load_explicit(&shard->waiting_count, memory_order_relaxed);
    }
    return counts;
}

static void member(struct sl_buf *out, const char *name, struct sl_str value) {
    sl_buf_printf(out, "\"%s\":", name);
    sl_json_write_string(out, value);
    sl_buf_char(out, ',');
}

// False: it neither has nor had instances.
static bool list_function(const struct sl_invoke__entry *entry, bool first, struct sl_buf *out) {
    const struct sl_function *function = &entry->function;
    const struct sl_invoke__pool *pool = entry->pool;
    struct counts counts = count(pool);
    uint64_t cold = atomic_load_explicit(&pool->cold_starts, memory_order_relaxed);
    if (!cold && !sl_invoke__snap_kept(pool) && !counts.live && !counts.waiting) return false;
    sl_buf_cstr(out, first ? "{" : ",{");
    member(out, "name", function->name);
    member(out, "version", function->version);
    member(out, "account", function->account);
    member(out, "region", function->region);
    member(out, "runtime", function->runtime);
    sl_buf_printf(out,
                  "\"memoryMB\":%u,\"busy\":%u,\"idle\":%u,\"waiting\":%u,\"coldStarts\":%llu,\"averageUs\":%lld,"
                  "\"startUs\":%lld,\"peakBytes\":%lld,\"snapshots\":%u}",
                  function->memory_mb, counts.live > counts.idle ? counts.live - counts.idle : 0, counts.idle,
                  counts.waiting, (unsigned long long)cold,
                  (long long)atomic_load_explicit(&pool->average_us, memory_order_relaxed),
                  (long long)atomic_load_explicit(&pool->start_us, memory_order_relaxed),
                  (long long)atomic_load_explicit(&pool->peak, memory_order_relaxed), sl_invoke__snap_kept(pool));
    return true;
}

static void list_totals(struct sl_invoker *invoker, struct sl_buf *out) {
    uint64_t invocations = 0, errors = 0, cold = 0;
    int64_t idle = 0, frozen = 0, busy = 0;
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        struct sl_invoke__loop *loop = &invoker->loops[i];
        invocations += atomic_load_explicit(&loop->invocations, memory_order_relaxed);
        errors += atomic_load_explicit(&loop->errors, memory_order_relaxed);
        cold += atomic_load_explicit(&loop->cold_starts, memory_order_relaxed);
        idle += atomic_load_explicit(&loop->idle, memory_order_relaxed);
        frozen += atomic_load_explicit(&loop->frozen, memory_order_relaxed);
        busy += atomic_load_explicit(&loop->busy, memory_order_relaxed);
    }
    int64_t all = atomic_load(&invoker->instance_count), leaving = atomic_load(&invoker->leaving_count);
    int64_t starting = all - idle - busy - leaving;
    sl_buf_printf(out,
                  "\"invocations\":%llu,\"errors\":%llu,\"coldStarts\":%llu,\"instances\":{\"starting\":%lld,"
                  "\"busy\":%lld,\"idle\":%lld,\"frozen\":%lld,\"stopping\":%lld},\"memoryBytes\":%lld,"
                  "\"memoryBudgetBytes\":%lld,",
                  (unsigned long long)invocations, (unsigned long long)errors, (unsigned long long)cold,
                  (long long)(starting > 0 ? starting : 0), (long long)busy, (long long)(idle - frozen),
                  (long long)frozen, (long long)leaving, (long long)atomic_load(&invoker->memory_used),
                  (long long)invoker->config.memory_bytes);
}

void sl_invoker_top(struct sl_invoker *invoker, struct sl_buf *out) {
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    unsigned listed = 0;
    sl_buf_char(out, '{');
    list_totals(invoker, out);
    sl_buf_cstr(out, "\"functions\":[");
    cds_lfht_for_each(invoker->functions, &iter, node) {
        if (listed == FUNCTIONS_MAX) break;
        listed += list_function(SL_CONTAINER(node, struct sl_invoke__entry, node), listed == 0, out);
    }
    sl_buf_cstr(out, "],\"blanks\":");
    sl_invoke__blank_list(invoker, out);
    sl_buf_char(out, '}');
}
