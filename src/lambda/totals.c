// SPDX-License-Identifier: Apache-2.0
//
// totals: the sums over an account's functions in a region: how many there are, the bytes of their code and of layers,
// the concurrency reserved for them. Quotas are checked against them by operations that must not become slower with
// every function, so the sums are kept: one document ("lambda.totals") per account and region, changed in the
// transaction that changes what is summed.
//
// Invariant: the document is the sum over the documents. At start it is made anew from them (sl_lambda__totals_load),
// so that a store of an older version, or a mistake, does not last.
#include "lambda/internal.h"

#include "base/log.h"

enum { MEMORY = 64 << 20 };

static struct sl_key key_of(struct sl_str account, struct sl_str region) {
    return (struct sl_key){
        .kind = "lambda.totals", .account = account, .region = region, .parent = SL_STR(""), .id = SL_STR("totals")};
}

static void read_totals(const struct sl_json *document, struct sl_lambda__totals *ret) {
    ret->functions = sl_json_int(document, "functions", 0);
    ret->code_size = sl_json_int(document, "code_size", 0);
    ret->reserved = sl_json_int(document, "reserved", 0);
}

static int load(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key, struct sl_lambda__totals *ret,
                struct sl_error *err) {
    struct sl_json *document = NULL;
    int result = sl_store_get(tx, arena, key, &document, err);
    read_totals(document, ret);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

static int save(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key,
                const struct sl_lambda__totals *totals, struct sl_error *err) {
    struct sl_json *document = sl_json_new_object(arena);
    sl_json_put_int(arena, document, "functions", totals->functions);
    sl_json_put_int(arena, document, "code_size", totals->code_size);
    sl_json_put_int(arena, document, "reserved", totals->reserved);
    return sl_store_put(tx, key, document, err);
}

int sl_lambda__totals(struct sl_op *op, struct sl_str except, struct sl_lambda__totals *ret, struct sl_error *err) {
    const struct sl_key key = key_of(op->account, op->region), function = sl_lambda__function_key(op, except);
    struct sl_json *document = NULL;
    int result = load(op->tx, op->arena, &key, ret, err);
    if (result != 0 || except.len == 0) return result;
    result = sl_store_get(op->tx, op->arena, &function, &document, err);
    ret->reserved -= sl_json_int(document, "_concurrency", 0);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

int sl_lambda__totals_add(struct sl_op *op, const struct sl_lambda__totals *more, struct sl_error *err) {
    const struct sl_key key = key_of(op->account, op->region);
    struct sl_lambda__totals totals;
    if (more->functions == 0 && more->code_size == 0 && more->reserved == 0) return 0;
    int result = load(op->tx, op->arena, &key, &totals, err);
    if (result != 0) return result;
    totals.functions += more->functions;
    totals.code_size += more->code_size;
    totals.reserved += more->reserved;
    return save(op->tx, op->arena, &key, &totals, err);
}

int sl_lambda__check_room(struct sl_op *op, int64_t more, struct sl_error *err) {
    struct sl_lambda__totals totals;
    int result = sl_lambda__totals(op, SL_STR(""), &totals, err);
    if (result == 0 && totals.code_size + more > SL_LAMBDA_TOTAL_CODE_MAX)
        return sl_fail(err, SL_E_CODE_STORAGE, "Code storage limit exceeded.");
    return result;
}

// --- at start
// -------------------------------------------------------------------------------------------------------

struct place {
    struct place *next;
    struct sl_str account, region;
    struct sl_lambda__totals sum, kept;
};

// The few places (accounts and regions) that hold something, in `memory`; `scratch` is for one document.
struct count {
    struct sl_arena memory, scratch;
    struct place *places;
    enum { FUNCTIONS, VERSIONS, LAYERS, KEPT } what;
};

static struct place *place_of(struct count *count, const struct sl_key *key) {
    for (struct place *place = count->places; place; place = place->next)
        if (sl_str_eq(place->account, key->account) && sl_str_eq(place->region, key->region)) return place;
    struct place *place = sl_arena_zalloc(&count->memory, sizeof(*place));
    if (!place) return NULL;
    place->account = sl_arena_dup(&count->memory, key->account);
    place->region = sl_arena_dup(&count->memory, key->region);
    place->next = count->places;
    count->places = place;
    return place;
}

static int count_one(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    struct count *count = user;
    struct sl_json *document;
    struct place *place = place_of(count, key);
    if (!place) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the sums over functions");
    int result = sl_json_parse(&count->scratch, text, &document, err);
    if (result != 0) return result;
    switch (count->what) {
    case FUNCTIONS:
        place->sum.functions++;
        place->sum.reserved += sl_json_int(document, "_concurrency", 0);
        // fall through
    case VERSIONS:
        place->sum.code_size += sl_json_int(document, "CodeSize", 0);
        break;
    case LAYERS:
        place->sum.code_size += sl_json_int(sl_json_get(document, "Content"), "CodeSize", 0);
        break;
    case KEPT:
        read_totals(document, &place->kept);
        break;
    }
    sl_arena_reset(&count->scratch);
    return 0;
}

int sl_lambda__totals_load(struct sl_store_tx *tx, struct sl_error *err) {
    static const char *const kinds[] = {
        [FUNCTIONS] = "lambda.function",
        [VERSIONS] = "lambda.version",
        [LAYERS] = "lambda.layer_version",
        [KEPT] = "lambda.totals",
    };
    struct count count = {.places = NULL};
    int result = 0;
    sl_arena_init(&count.memory, MEMORY);
    sl_arena_init(&count.scratch, MEMORY);
    for (count.what = FUNCTIONS; count.what <= KEPT && result == 0; count.what++)
        result = sl_store_each(tx, kinds[count.what], count_one, &count, err);
    for (const struct place *place = result == 0 ? count.places : NULL; place && result == 0; place = place->next) {
        const struct sl_key key = key_of(place->account, place->region);
        if (memcmp(&place->sum, &place->kept, sizeof(place->sum)) == 0) continue;
        sl_log_info("lambda", "the sums over the functions of %.*s in %.*s were not those kept: made anew",
                    SL_FMT(place->account), SL_FMT(place->region));
        result = save(tx, &count.memory, &key, &place->sum, err);
    }
    sl_arena_free(&count.scratch);
    sl_arena_free(&count.memory);
    return result;
}
