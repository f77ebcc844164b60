// SPDX-License-Identifier: Apache-2.0
//
// ledger: the rows of the store that hold what functions used (meter.c says what is in them), one document per meter
// and month. The table is bounded: rows of a month beyond ROWS_MAX are added to the row of their function version whose
// alias and tenant are "*"; months older than KEEP_MONTHS go. On the storage thread. The engine reaches this file
// through config.ledger only, so that it can run without a store.
#include "invoke/meter.h"

#include "invoke/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 20000, KEEP_MONTHS = 24, OLD_MAX = 64 };

#define KIND "invoke.meter"

static const char *const names[SL_METER_FIELDS] = {
    [SL_METER_REQUESTS] = "requests", [SL_METER_MB_MS] = "mb_ms",   [SL_METER_PROVISIONED] = "provisioned_mb_ms",
    [SL_METER_KEPT] = "kept_mb_ms",   [SL_METER_TMP] = "tmp_mb_ms",
};

// ---- adding  -----------------------------------------------------------------------------------

static struct sl_key key_of(const struct sl_invoke__meter *meter, struct sl_str month, bool merged, char *id) {
    struct sl_str alias = merged ? SL_STR("*") : meter->alias, tenant = merged ? SL_STR("*") : meter->tenant;
    int len = snprintf(id, SL_METER_TEXT_MAX, "%.*s:%.*s:%.*s:%.*s:%.*s", SL_FMT(meter->name), SL_FMT(meter->version),
                       SL_FMT(alias), SL_FMT(meter->architecture), SL_FMT(tenant));
    return (struct sl_key){.kind = KIND,
                           .account = meter->account,
                           .region = meter->region,
                           .parent = month,
                           .id = sl_str_n(id, (size_t)len)};
}

static int store_row(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_invoke__meter_row *row,
                     struct sl_str month, struct sl_error *err) {
    char id[SL_METER_TEXT_MAX];
    struct sl_key key = key_of(row->meter, month, false, id);
    struct sl_json *document = NULL;
    bool used = false;
    for (unsigned field = 0; field < SL_METER_FIELDS; field++) used |= row->counts[field] != 0;
    if (!used) return 0; // what was measured only
    if (!sl_store_has(tx, &key) && sl_store_count(tx, &key) >= ROWS_MAX) key = key_of(row->meter, month, true, id);
    int result = sl_store_get(tx, arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND) document = sl_json_new_object(arena);
    if (!document) return result;
    for (unsigned field = 0; field < SL_METER_FIELDS; field++) {
        int64_t old = sl_json_int(document, names[field], 0);
        if (row->counts[field] || old) sl_json_put_int(arena, document, names[field], old + row->counts[field]);
    }
    return sl_store_put(tx, &key, document, err);
}

// ---- telling ----------------------------------------------------------------------------------------------------

// What was measured goes on once it is known that it is not measured again.
static void store_committed(struct sl_store_job *job) {
    struct sl_invoke__meters *meters = SL_CONTAINER(job, struct sl_invoke__meters, job);
    const struct sl_invoker_config *config = &meters->invoker->config;
    for (unsigned i = 0; config->measured && i < meters->row_count; i++) {
        const struct sl_invoke__meter *meter = meters->rows[i].meter;
        const struct sl_invoke__figures *figures = meters->rows[i].figures;
        if (!figures->at_ms) continue;
        const struct sl_measured measured = {
            .account = meter->account,
            .region = meter->region,
            .name = meter->name,
            .version = meter->version,
            .alias = meter->alias,
            .at_ms = figures->at_ms,
            .errors = figures->counts[SL_FIGURE_ERRORS],
            .throttles = figures->counts[SL_FIGURE_THROTTLES],
            .recursions = figures->counts[SL_FIGURE_RECURSIONS],
            .provisioned = figures->counts[SL_FIGURE_PROVISIONED],
            .spilled = figures->counts[SL_FIGURE_SPILLED],
            .duration_ms = &figures->stats[SL_FIGURE_DURATION],
            .after_ms = &figures->stats[SL_FIGURE_AFTER],
            .concurrency = &figures->stats[SL_FIGURE_CONCURRENCY],
            .account_concurrency = &figures->stats[SL_FIGURE_ACCOUNT],
            .unreserved = &figures->stats[SL_FIGURE_UNRESERVED],
            .provisioned_busy = &figures->stats[SL_FIGURE_BUSY],
            .utilization = &figures->stats[SL_FIGURE_UTILIZATION],
            .url_4xx = figures->counts[SL_FIGURE_URL_4XX],
            .url_5xx = figures->counts[SL_FIGURE_URL_5XX],
            .url_latency_ms = &figures->stats[SL_FIGURE_URL_LATENCY],
        };
        config->measured(config->measured_user, &measured);
    }
}

struct old {
    const char *before; // month
    struct sl_arena arena;
    struct sl_key keys[OLD_MAX];
    unsigned count;
};

static int note_old(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct old *old = user;
    (void)document, (void)err;
    if (key->parent.len != 7 || memcmp(key->parent.ptr, old->before, 7) >= 0 || old->count == OLD_MAX) return 0;
    for (unsigned i = 0; i < old->count; i++) {
        const struct sl_key *known = &old->keys[i];
        if (sl_str_eq(known->parent, key->parent) && sl_str_eq(known->account, key->account) &&
            sl_str_eq(known->region, key->region))
            return 0;
    }
    old->keys[old->count++] = (struct sl_key){.kind = KIND,
                                              .account = sl_arena_dup(&old->arena, key->account),
                                              .region = sl_arena_dup(&old->arena, key->region),
                                              .parent = sl_arena_dup(&old->arena, key->parent)};
    return 0;
}

// Removes months of long ago.
static int clean(struct sl_store_tx *tx, const char *month, struct sl_error *err) {
    int64_t year = 0, number = 1;
    (void)(sl_str_to_i64(sl_str_n(month, 4), &year) && sl_str_to_i64(sl_str_n(month + 5, 2), &number));
    unsigned months = (unsigned)(year * 12 + number - 1 - KEEP_MONTHS);
    char before[16];
    snprintf(before, sizeof before, "%04u-%02u", months / 12 % 10000, months % 12 + 1);
    struct old old = {.before = before};
    sl_arena_init(&old.arena, 64 * 1024);
    int result = sl_store_each(tx, KIND, note_old, &old, err);
    for (unsigned i = 0; i < old.count && result == 0; i++) result = sl_store_delete_children(tx, &old.keys[i], err);
    sl_arena_free(&old.arena);
    return result;
}

static int store_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_invoke__meters *meters = SL_CONTAINER(job, struct sl_invoke__meters, job);
    struct sl_arena arena;
    int result = 0;
    sl_arena_init(&arena, 256 * 1024);
    for (unsigned i = 0; i < meters->row_count && result == 0; i++) {
        result = store_row(tx, &arena, &meters->rows[i], sl_str_n(meters->month, 7), err);
        sl_arena_reset(&arena);
    }
    sl_arena_free(&arena);
    if (result == 0 && memcmp(meters->month, meters->cleaned, 7) != 0) {
        result = clean(tx, meters->month, err);
        memcpy(meters->cleaned, meters->month, sizeof meters->cleaned);
    }
    return result;
}

// ---- reading --------------------------------------------------------------------------------------------------------

struct writing {
    struct sl_str month;
    struct sl_buf *out;
    struct sl_arena arena;
    bool some;
};

static int write_row(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    static const char *const parts[] = {"function", "version", "alias", "architecture", "tenant"};
    struct writing *writing = user;
    struct sl_str rest = key->id;
    struct sl_json *row;
    if (!sl_str_eq(key->parent, writing->month)) return 0;
    int result = sl_json_parse(&writing->arena, text, &row, err);
    if (result) return result;
    sl_json_set(row, SL_STR("account"), sl_json_new_string(&writing->arena, key->account));
    sl_json_set(row, SL_STR("region"), sl_json_new_string(&writing->arena, key->region));
    for (unsigned i = 0; i < 5; i++) { // the tenant is last: it may hold colons
        ptrdiff_t colon = i < 4 ? sl_str_chr(rest, ':', 0) : -1;
        struct sl_str part = colon < 0 ? rest : sl_str_sub(rest, 0, (size_t)colon);
        rest = colon < 0 ? SL_STR("") : sl_str_sub(rest, (size_t)colon + 1, rest.len);
        sl_json_set(row, sl_str_of(parts[i]), sl_json_new_string(&writing->arena, part));
    }
    if (writing->some) sl_buf_char(writing->out, ',');
    writing->some = true;
    sl_json_write(writing->out, row);
    sl_arena_reset(&writing->arena);
    return 0;
}

int sl_invoke_meters_write(struct sl_store_tx *tx, struct sl_str month, struct sl_buf *out, struct sl_error *err) {
    struct writing writing = {.month = month, .out = out};
    sl_arena_init(&writing.arena, 64 * 1024);
    sl_buf_char(out, '[');
    int result = sl_store_each(tx, KIND, write_row, &writing, err);
    sl_buf_char(out, ']');
    sl_arena_free(&writing.arena);
    return result;
}

const struct sl_ledger sl_ledger = {
    .run = store_run, .submit = sl_store_submit, .wait = sl_store_run, .committed = store_committed};
