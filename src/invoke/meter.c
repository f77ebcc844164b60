// SPDX-License-Identifier: Apache-2.0
//
// meter: what invocations use, for the bill. Each loop counts in meters of its own, one per function version, alias,
// tenant and architecture; every FLUSH_MS it adds what was counted since to rows of the store, one per meter and month
// (UTC), kind "invoke.meter":
//
//   account, region, parent = "2026-11", id = "name:version:alias:architecture:tenant"     (alias, tenant may be empty)
//   {"requests", "mb_ms", "provisioned_mb_ms", "kept_mb_ms", "tmp_mb_ms"}
//
// mb_ms is billed milliseconds (the REPORT line's) times MemorySize, of instances on demand; provisioned_mb_ms the same
// of provisioned ones, which AWS charges otherwise; kept_mb_ms is the time provisioned instances were there; tmp_mb_ms
// counts the part of /tmp beyond the 512 MB that are free. An idle instance on demand counts nothing.
//
// Beside what is billed it measures what CloudWatch shows of a function (struct sl_measured): into one of a meter's two
// figures while the other is stored with the rows. A flush comes with each minute, too, so that a figure is of one.
//
// A kill -9 loses what was not flushed yet, FLUSH_MS at most; a stop flushes. Counting takes no lock and, but for a
// meter's first use, no memory.
#include "invoke/meter.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    FLUSH_MS = 5000,
    METERS_MAX = 8192,  // of a loop: beyond it, tenants and aliases are not told apart
    METERS_KEPT = 4096, // beyond it, those out of use are freed
    TMP_FREE_MB = 512,
    SERIES_MAX = 2000, // of tenants' metrics
};

// ---- meters -----------------------------------------------------------------------------------------------------

static bool is_alias(struct sl_str qualifier) {
    return qualifier.len && qualifier.ptr[0] != '$' && !(qualifier.ptr[0] >= '0' && qualifier.ptr[0] <= '9');
}

// The alias in an ARN as invoked: what follows "arn:aws:lambda:region:account:function:name:".
static struct sl_str alias_of(struct sl_str arn) {
    unsigned colons = 0;
    for (size_t i = 0; i < arn.len; i++) {
        if (arn.ptr[i] != ':' || ++colons < 7) continue;
        struct sl_str qualifier = sl_str_sub(arn, i + 1, arn.len);
        return is_alias(qualifier) ? qualifier : SL_STR("");
    }
    return SL_STR("");
}

static void clear_figures(struct sl_invoke__figures *figures) {
    figures->at_ms = 0;
    memset(figures->counts, 0, sizeof figures->counts);
    for (unsigned i = 0; i < SL_FIGURE_STATS; i++)
        figures->stats[i] =
            i == SL_FIGURE_DURATION ? SL_STAT_FIXED(figures->durations) : SL_STAT_FIXED(figures->buckets[i]);
}

static struct sl_invoke__meters *meters_of(struct sl_invoke__loop *here) {
    if (here->meters) return here->meters;
    struct sl_invoke__meters *meters = calloc(1, sizeof *meters);
    if (!meters) return NULL;
    pthread_mutex_init(&meters->lock, NULL);
    meters->flushed_ms = sl_loop_now_ms(here->loop);
    meters->invoker = here->invoker;
    here->meters = meters;
    return meters;
}

static bool same(const struct sl_invoke__meter *meter, const struct sl_function *function, struct sl_str alias,
                 struct sl_str tenant) {
    return sl_str_eq(meter->name, function->name) && sl_str_eq(meter->version, function->version) &&
           sl_str_eq(meter->alias, alias) && sl_str_eq(meter->tenant, tenant) &&
           sl_str_eq(meter->account, function->account) && sl_str_eq(meter->region, function->region) &&
           sl_str_eq(meter->architecture, function->architecture);
}

static struct sl_str put(char **at, struct sl_str text) {
    if (text.len) memcpy(*at, text.ptr, text.len);
    struct sl_str copy = sl_str_n(*at, text.len);
    *at += text.len;
    return copy;
}

static struct sl_invoke__meter *new_meter(const struct sl_function *function, struct sl_str alias,
                                          struct sl_str tenant) {
    size_t size = function->account.len + function->region.len + function->name.len + function->version.len +
                  alias.len + function->architecture.len + tenant.len;
    struct sl_invoke__meter *meter = size < SL_METER_TEXT_MAX ? calloc(1, sizeof *meter + size + 1) : NULL;
    if (!meter) return NULL;
    char *at = meter->text;
    meter->account = put(&at, function->account);
    meter->region = put(&at, function->region);
    meter->name = put(&at, function->name);
    meter->version = put(&at, function->version);
    meter->alias = put(&at, alias);
    meter->architecture = put(&at, function->architecture);
    meter->tenant = put(&at, tenant);
    clear_figures(&meter->figures[0]);
    clear_figures(&meter->figures[1]);
    return meter;
}

static unsigned bucket_of(struct sl_str name, struct sl_str alias, struct sl_str tenant) {
    uint32_t value = 2166136261u;
    const struct sl_str parts[] = {name, alias, tenant};
    for (unsigned part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].len; i++) value = (value ^ (unsigned char)parts[part].ptr[i]) * 16777619u;
    return (value ^ value >> 16) % SL_METER_BUCKETS;
}

static struct sl_invoke__meter *find(struct sl_invoke__loop *here, const struct sl_function *function,
                                     struct sl_str alias, struct sl_str tenant) {
    struct sl_invoke__meters *meters = meters_of(here);
    if (!meters) return NULL;
    if (meters->count >= METERS_MAX) {
        if (alias.len) alias = SL_STR("*");
        if (tenant.len) tenant = SL_STR("*");
    }
    struct sl_invoke__meter **bucket = &meters->buckets[bucket_of(function->name, alias, tenant)];
    for (struct sl_invoke__meter *meter = *bucket; meter; meter = meter->next)
        if (same(meter, function, alias, tenant)) return meter;
    struct sl_invoke__meter *meter = new_meter(function, alias, tenant);
    if (!meter) return NULL;
    pthread_mutex_lock(&meters->lock);
    meter->next = *bucket;
    *bucket = meter;
    meters->count++;
    pthread_mutex_unlock(&meters->lock);
    return meter;
}

void sl_invoke__meter_drop(struct sl_invoke__shard *shard) {
    if (shard->meter) atomic_fetch_sub(&shard->meter->references, 1);
    shard->meter = NULL;
}

static struct sl_invoke__meter *at_hand(struct sl_invoke__loop *here, struct sl_invoke__pool *pool,
                                        struct sl_str alias) {
    struct sl_invoke__shard *shard = &pool->shards[sl_loop_index(here->loop)];
    if (shard->meter && sl_str_eq(shard->meter->alias, alias)) return shard->meter;
    struct sl_invoke__meter *meter = find(here, &pool->spec, alias, pool->tenant);
    if (!meter) return NULL;
    sl_invoke__meter_drop(shard);
    atomic_fetch_add(&meter->references, 1);
    return shard->meter = meter;
}

// ---- counting -----------------------------------------------------------------------------------------------------

static void soil(struct sl_invoke__meters *meters, struct sl_invoke__meter *meter) {
    if (meter->dirty) return;
    meter->dirty = true;
    meter->dirty_next = meters->dirty;
    meters->dirty = meter;
}

static void add(struct sl_invoke__meters *meters, struct sl_invoke__meter *meter, enum sl_meter_field field,
                int64_t value) {
    meter->counts[field] += value;
    soil(meters, meter);
}

static struct sl_invoke__figures *figures_of(struct sl_invoke__meters *meters, struct sl_invoke__meter *meter) {
    struct sl_invoke__figures *figures = &meter->figures[meter->filling];
    if (!figures->at_ms) figures->at_ms = sl_clock_ms();
    soil(meters, meter);
    return figures;
}

// How many run, this one among them.
static void measure_concurrency(struct sl_invoke__figures *figures, struct sl_invoke__pool *pool,
                                const struct sl_invoke__allotment *allotment) {
    struct sl_invoke__limit *limit = pool->limit;
    struct sl_invoke__account *account = limit->account;
    int64_t mine = atomic_fetch_add_explicit(&limit->running, 1, memory_order_relaxed) + 1;
    int64_t all = atomic_fetch_add_explicit(&account->running, 1, memory_order_relaxed) + 1;
    int64_t kept = atomic_load_explicit(&pool->provisioned.capacity, memory_order_relaxed);
    if (!figures) return;
    sl_stat_add(&figures->stats[SL_FIGURE_CONCURRENCY], (double)mine, 1);
    sl_stat_add(&figures->stats[SL_FIGURE_ACCOUNT], (double)all, 1);
    if (allotment == &account->open) {
        int64_t open = atomic_load_explicit(&account->open.used, memory_order_relaxed);
        sl_stat_add(&figures->stats[SL_FIGURE_UNRESERVED], (double)(open > 0 ? open : 1), 1);
    }
    if (kept <= 0) return;
    int64_t busy = atomic_load_explicit(&pool->provisioned.used, memory_order_relaxed);
    sl_stat_add(&figures->stats[SL_FIGURE_BUSY], (double)(busy < kept ? busy : kept), 1);
    sl_stat_add(&figures->stats[SL_FIGURE_UTILIZATION], (double)(busy < kept ? busy : kept) / (double)kept, 1);
    figures->counts[allotment == &pool->provisioned ? SL_FIGURE_PROVISIONED : SL_FIGURE_SPILLED]++;
}

void sl_invoke__meter_begin(struct sl_instance *instance, const struct sl_invocation *invocation) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    instance->meter = at_hand(here, instance->pool, alias_of(invocation->invoked_arn));
    if (instance->meter) instance->meter->in_use++;
    measure_concurrency(instance->meter ? figures_of(here->meters, instance->meter) : NULL, instance->pool,
                        invocation->allotment);
}

static void bill(struct sl_instance *instance, int64_t billed_ms) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    struct sl_invoke__meter *meter = instance->meter;
    const struct sl_function *function = &instance->pool->spec;
    int64_t mb_ms = billed_ms * function->memory_mb;
    add(here->meters, meter, instance->provisioned ? SL_METER_PROVISIONED : SL_METER_MB_MS, mb_ms);
    if (function->tmp_mb > TMP_FREE_MB)
        add(here->meters, meter, SL_METER_TMP, billed_ms * (function->tmp_mb - TMP_FREE_MB));
    atomic_store_explicit(&meter->mb_ms, atomic_load_explicit(&meter->mb_ms, memory_order_relaxed) + mb_ms,
                          memory_order_relaxed);
}

void sl_invoke__meter_end(struct sl_instance *instance, const struct sl_invocation_result *result, int64_t billed_ms) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    struct sl_invoke__limit *limit = instance->pool->limit;
    struct sl_invoke__meter *meter = instance->meter;
    atomic_fetch_sub_explicit(&limit->running, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&limit->account->running, 1, memory_order_relaxed);
    instance->metered_ms = billed_ms;
    instance->answered_us = result->duration_us;
    if (!meter) return;
    struct sl_invoke__figures *figures = figures_of(here->meters, meter);
    sl_stat_add(&figures->stats[SL_FIGURE_DURATION], (double)result->duration_us / 1000, 1);
    figures->counts[SL_FIGURE_ERRORS] += result->outcome == SL_INVOCATION_ERROR;
    add(here->meters, meter, SL_METER_REQUESTS, 1);
    bill(instance, billed_ms);
    atomic_store_explicit(&meter->requests, atomic_load_explicit(&meter->requests, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void sl_invoke__meter_late(struct sl_instance *instance, int64_t billed_ms, int64_t after_us) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    if (!instance->meter) return;
    if (billed_ms > instance->metered_ms) bill(instance, billed_ms - instance->metered_ms);
    instance->metered_ms = billed_ms;
    if (after_us > 0)
        sl_stat_add(&figures_of(here->meters, instance->meter)->stats[SL_FIGURE_AFTER], (double)after_us / 1000, 1);
}

void sl_invoke__meter_release(struct sl_instance *instance) {
    if (instance->meter) instance->meter->in_use--;
    instance->meter = NULL;
}

void sl_invoke__meter_missed(struct sl_invoke__pool *pool, const struct sl_invocation *invocation,
                             enum sl_invoke__missed how) {
    struct sl_invoke__loop *here = sl_invoke__of(pool->invoker, invocation->loop);
    struct sl_invoke__meter *meter = find(here, &pool->spec, alias_of(invocation->invoked_arn), SL_STR(""));
    if (!meter) return;
    struct sl_invoke__figures *figures = figures_of(here->meters, meter);
    figures->counts[how == SL_MISSED_THROTTLED   ? SL_FIGURE_THROTTLES
                    : how == SL_MISSED_RECURSION ? SL_FIGURE_RECURSIONS
                                                 : SL_FIGURE_ERRORS]++;
    if (how == SL_MISSED_FAILED) sl_stat_add(&figures->stats[SL_FIGURE_DURATION], 0, 1);
}

void sl_invoke_measure_url(struct sl_invoker *invoker, const struct sl_function *function, struct sl_str arn,
                           int status, double latency_ms) {
    struct sl_invoke__loop *here = sl_invoke__of(invoker, sl_loop_current());
    struct sl_invoke__meter *meter = find(here, function, alias_of(arn), SL_STR(""));
    if (!meter) return;
    struct sl_invoke__figures *figures = figures_of(here->meters, meter);
    sl_stat_add(&figures->stats[SL_FIGURE_URL_LATENCY], latency_ms, 1);
    figures->counts[SL_FIGURE_URL_4XX] += status >= 400 && status < 500;
    figures->counts[SL_FIGURE_URL_5XX] += status >= 500;
}

void sl_invoke__meter_kept(struct sl_invoke__loop *here, struct sl_invoke__pool *pool, unsigned count, int64_t ms) {
    struct sl_invoke__meter *meter = count ? find(here, &pool->spec, SL_STR(""), SL_STR("")) : NULL;
    if (meter) add(here->meters, meter, SL_METER_KEPT, ms * count * pool->spec.memory_mb);
}

// ---- flushing (the loop's thread) -----------------------------------------------------------------------------------

// Moves what was counted into the batch.
static bool fill(struct sl_invoke__meters *meters) {
    char now[SL_TIME_ISO_MS];
    sl_time_iso_ms(sl_clock_ms(), now);
    memcpy(meters->month, now, 7);
    for (meters->row_count = 0; meters->dirty && meters->row_count < SL_METER_BATCH; meters->row_count++) {
        struct sl_invoke__meter *meter = meters->dirty;
        struct sl_invoke__meter_row *row = &meters->rows[meters->row_count];
        meters->dirty = meter->dirty_next;
        meter->dirty = false;
        meter->in_use++;
        row->meter = meter;
        row->figures = &meter->figures[meter->filling];
        meter->filling ^= 1;
        memcpy(row->counts, meter->counts, sizeof row->counts);
        memset(meter->counts, 0, sizeof meter->counts);
    }
    return meters->row_count > 0;
}

static void return_figures(struct sl_invoke__meters *meters, struct sl_invoke__meter_row *row) {
    struct sl_invoke__figures *into = figures_of(meters, row->meter);
    for (unsigned i = 0; i < SL_FIGURES; i++) into->counts[i] += row->figures->counts[i];
    for (unsigned i = 0; i < SL_FIGURE_STATS; i++) sl_stat_merge(&into->stats[i], &row->figures->stats[i]);
}

// What could not be stored is counted again.
static void release(struct sl_invoke__meters *meters, bool stored) {
    for (unsigned i = 0; i < meters->row_count; i++) {
        struct sl_invoke__meter_row *row = &meters->rows[i];
        row->meter->in_use--;
        for (unsigned field = 0; field < SL_METER_FIELDS && !stored; field++)
            if (row->counts[field]) add(meters, row->meter, field, row->counts[field]);
        if (!stored && row->figures->at_ms) return_figures(meters, row);
        clear_figures(row->figures);
    }
    meters->row_count = 0;
    meters->storing = false;
}

static void store_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_invoke__meters *meters = SL_CONTAINER(job, struct sl_invoke__meters, job);
    if (result) sl_log_warn("invoke", "what functions used could not be stored yet: %s", err->message);
    release(meters, result == 0);
}

static void free_unused(struct sl_invoke__meters *meters) {
    pthread_mutex_lock(&meters->lock);
    for (unsigned bucket = 0; bucket < SL_METER_BUCKETS; bucket++) {
        for (struct sl_invoke__meter **at = &meters->buckets[bucket], *meter; (meter = *at);) {
            if (meter->in_use || meter->dirty || atomic_load(&meter->references)) {
                at = &meter->next;
                continue;
            }
            *at = meter->next;
            meters->count--;
            free(meter);
        }
    }
    pthread_mutex_unlock(&meters->lock);
}

void sl_invoke__meter_flush(struct sl_invoke__loop *here) {
    struct sl_invoke__meters *meters = here->meters;
    const struct sl_ledger *ledger = here->invoker->config.ledger;
    struct sl_error err;
    if (!meters || !ledger) return;
    int64_t now_ms = sl_loop_now_ms(here->loop), elapsed_ms = now_ms - meters->flushed_ms;
    int64_t minute = sl_clock_ms() / 60000;
    bool behind = (meters->dirty && meters->row_count == SL_METER_BATCH) || minute != meters->minute;
    if (meters->storing || (elapsed_ms < FLUSH_MS && !behind)) return;
    meters->minute = minute;
    meters->flushed_ms = now_ms;
    sl_invoke__provision_meter(here, elapsed_ms);
    if (meters->count > METERS_KEPT) free_unused(meters);
    if (!fill(meters)) return;
    meters->storing = true;
    meters->job = (struct sl_store_job){.run = ledger->run, .committed = ledger->committed, .done = store_done};
    if (ledger->submit(here->invoker->config.store, &meters->job, &err)) store_done(&meters->job, err.kind, &err);
}

void sl_invoker_settle(struct sl_invoker *invoker) {
    const struct sl_ledger *ledger = invoker->config.ledger;
    struct sl_error err;
    for (unsigned i = 0; i < invoker->config.loop_count && ledger; i++) {
        struct sl_invoke__meters *meters = invoker->loops[i].meters;
        // A batch that is on its way is stored before the store closes.
        while (meters && !meters->storing && fill(meters)) {
            meters->job = (struct sl_store_job){.run = ledger->run, .committed = ledger->committed};
            if (ledger->wait(invoker->config.store, &meters->job, &err))
                sl_log_error("invoke", "what functions used could not be stored: %s", err.message);
            for (unsigned n = 0; n < meters->row_count; n++) clear_figures(meters->rows[n].figures);
        }
    }
}

void sl_invoke__meters_free(struct sl_invoke__loop *here) {
    struct sl_invoke__meters *meters = here->meters;
    if (!meters) return;
    for (unsigned bucket = 0; bucket < SL_METER_BUCKETS; bucket++) {
        for (struct sl_invoke__meter *meter = meters->buckets[bucket], *next; meter; meter = next) {
            next = meter->next;
            free(meter);
        }
    }
    pthread_mutex_destroy(&meters->lock);
    free(meters);
    here->meters = NULL;
}

// ---- metrics -------------------------------------------------------------------------------------------------------

static void put_label(struct sl_buf *out, const char *name, struct sl_str value) {
    sl_buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '"' || c == '\\') sl_buf_char(out, '\\');
        sl_buf_char(out, c);
    }
    sl_buf_char(out, '"');
}

static unsigned tenant_series(const struct sl_invoke__meters *meters, unsigned loop, unsigned room,
                              struct sl_buf *out) {
    unsigned written = 0;
    for (unsigned bucket = 0; bucket < SL_METER_BUCKETS; bucket++) {
        for (struct sl_invoke__meter *meter = meters->buckets[bucket]; meter && written < room; meter = meter->next) {
            if (!meter->tenant.len) continue;
            sl_buf_cstr(out, "sluice_tenant_invocations_total{");
            put_label(out, "function", meter->name);
            put_label(out, ",version", meter->version);
            put_label(out, ",alias", meter->alias);
            put_label(out, ",tenant", meter->tenant);
            sl_buf_printf(out, ",loop=\"%u\"} %lld\n", loop,
                          (long long)atomic_load_explicit(&meter->requests, memory_order_relaxed));
            written++;
        }
    }
    return written;
}

void sl_invoke__tenant_metrics(struct sl_invoker *invoker, struct sl_buf *out) {
    unsigned room = SERIES_MAX;
    sl_buf_cstr(out, "# HELP sluice_tenant_invocations_total Invocations by tenant, of functions that keep tenants "
                     "apart.\n# TYPE sluice_tenant_invocations_total counter\n");
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        struct sl_invoke__meters *meters = invoker->loops[i].meters;
        if (!meters) continue;
        pthread_mutex_lock(&meters->lock);
        room -= tenant_series(meters, i, room, out);
        pthread_mutex_unlock(&meters->lock);
    }
}
