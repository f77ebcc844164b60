// SPDX-License-Identifier: Apache-2.0
//
// metrics: what the engine says about itself, in Prometheus's text format. The loops' counters are read without order,
// from any thread: a sum may be a moment old.
#include "invoke/blank.h"
#include "invoke/internal.h"

static void metric(struct sl_buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    sl_buf_printf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\nsluice_%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

static uint64_t positive(int64_t value) { return value > 0 ? (uint64_t)value : 0; }

struct sums {
    uint64_t invocations, errors, cold, duration, evictions, expired, frozen, ahead, untaken, throttles[SL_THROTTLES];
};

static void add_up(struct sl_invoker *invoker, struct sums *sums) {
    *sums = (struct sums){0};
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        struct sl_invoke__loop *loop = &invoker->loops[i];
        sums->invocations += atomic_load_explicit(&loop->invocations, memory_order_relaxed);
        sums->errors += atomic_load_explicit(&loop->errors, memory_order_relaxed);
        sums->cold += atomic_load_explicit(&loop->cold_starts, memory_order_relaxed);
        sums->duration += atomic_load_explicit(&loop->duration_us, memory_order_relaxed);
        sums->evictions += atomic_load_explicit(&loop->evictions, memory_order_relaxed);
        sums->expired += atomic_load_explicit(&loop->expired, memory_order_relaxed);
        sums->ahead += atomic_load_explicit(&loop->ahead, memory_order_relaxed);
        sums->untaken += atomic_load_explicit(&loop->untaken, memory_order_relaxed);
        sums->frozen += positive(atomic_load_explicit(&loop->frozen, memory_order_relaxed));
        for (unsigned reason = 0; reason < SL_THROTTLES; reason++)
            sums->throttles[reason] += atomic_load_explicit(&loop->throttles[reason], memory_order_relaxed);
    }
}

static void throttles(const struct sums *sums, struct sl_buf *out) {
    sl_buf_cstr(out, "# HELP sluice_throttles_total Invocations refused with 429, by AWS's reason.\n"
                     "# TYPE sluice_throttles_total counter\n");
    for (unsigned reason = 0; reason < SL_THROTTLES; reason++)
        sl_buf_printf(out, "sluice_throttles_total{reason=\"%s\"} %llu\n", sl_invoke__throttle_names[reason],
                      (unsigned long long)sums->throttles[reason]);
}

unsigned sl_invoker_idle(struct sl_invoker *invoker) {
    uint64_t idle = 0;
    for (unsigned i = 0; i < invoker->config.loop_count; i++)
        idle += positive(atomic_load_explicit(&invoker->loops[i].idle, memory_order_relaxed));
    return (unsigned)idle;
}

static void instances(struct sl_invoker *invoker, const struct sums *sums, struct sl_buf *out) {
    uint64_t idle = 0, busy = 0, live;
    uint64_t all = atomic_load(&invoker->instance_count), leaving = atomic_load(&invoker->leaving_count);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        idle += positive(atomic_load_explicit(&invoker->loops[i].idle, memory_order_relaxed));
        busy += positive(atomic_load_explicit(&invoker->loops[i].busy, memory_order_relaxed));
    }
    live = idle + busy + leaving;
    const struct {
        const char *state;
        uint64_t count;
    } states[] = {{"starting", all > live ? all - live : 0},
                  {"busy", busy},
                  {"idle", idle > sums->frozen ? idle - sums->frozen : 0},
                  {"frozen", sums->frozen},
                  {"stopping", leaving}};
    sl_buf_cstr(out, "# HELP sluice_instances Instances that exist, by state.\n# TYPE sluice_instances gauge\n");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        sl_buf_printf(out, "sluice_instances{state=\"%s\"} %llu\n", states[i].state,
                      (unsigned long long)states[i].count);
}

// On a loop's thread.
static uint64_t kept(struct sl_invoker *invoker) {
    uint64_t count = 0;
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    cds_lfht_for_each(invoker->functions, &iter, node) count +=
        sl_invoke__snap_kept(SL_CONTAINER(node, struct sl_invoke__entry, node)->pool);
    return count;
}

void sl_invoker_metrics(struct sl_invoker *invoker, struct sl_buf *out) {
    struct sums sums;
    add_up(invoker, &sums);
    metric(out, "invocations_total", "counter", "Invocations admitted.", sums.invocations);
    metric(out, "invocation_errors_total", "counter", "Invocations that ended in a function error.", sums.errors);
    throttles(&sums, out);
    metric(out, "cold_starts_total", "counter", "Instances started.", sums.cold);
    metric(out, "evictions_total", "counter", "Idle instances stopped to make room.", sums.evictions);
    metric(out, "expirations_total", "counter", "Idle instances stopped for their idleness or age.", sums.expired);
    metric(out, "events_sent_ahead_total", "counter", "Events sent to an instance that was busy still.", sums.ahead);
    metric(out, "events_taken_back_total", "counter", "Events sent ahead that another instance got.", sums.untaken);
    metric(out, "invocation_duration_microseconds_total", "counter", "Time spent in functions.", sums.duration);
    metric(out, "invocations_in_flight", "gauge", "Invocations waiting or running.", sl_invoker_busy(invoker));
    instances(invoker, &sums, out);
    sl_invoke__blank_metrics(invoker, out);
    metric(out, "snapshots", "gauge", "Instances kept at the snapshot of their version, for SnapStart.", kept(invoker));
    metric(out, "snapshot_bytes", "gauge", "Memory of snapshots that instances are made from.",
           sl_invoke__snap_image_bytes());
    metric(out, "starts_waiting", "gauge", "Starts that wait for room.", atomic_load(&invoker->want_count));
    metric(out, "instance_memory_bytes", "gauge", "Memory that instances are charged with.",
           positive(atomic_load(&invoker->memory_used)));
    metric(out, "instance_memory_budget_bytes", "gauge", "What they may be charged with together; 0 is no limit.",
           positive(invoker->config.memory_bytes));
    sl_invoke__tenant_metrics(invoker, out);
}
