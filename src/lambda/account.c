// SPDX-License-Identifier: Apache-2.0
//
// account: GetAccountSettings and reserved concurrency, which share the sums over an account's functions.
//
// Sums are counted when asked for, not kept: the documents are the truth, and these operations are rare.
#include "lambda/internal.h"

enum { PAGE = 100, PAGE_BYTES = 32 << 20 };

// Goes through the documents of a listing page by page; each page's memory is given back, because an account may hold
// more than an operation's arena.
static int each_document(struct sl_op *op, const struct sl_key *key,
                         int (*visit)(struct sl_op *op, struct sl_str id, const struct sl_json *document, void *user,
                                      struct sl_error *err),
                         void *user, struct sl_error *err) {
    struct sl_arena page_arena;
    struct sl_str after = SL_STR("");
    int result = 0;
    sl_arena_init(&page_arena, PAGE_BYTES);
    for (bool more = true; more && result == 0;) {
        struct sl_json *page;
        result = sl_store_list(op->tx, &page_arena, key, after, PAGE, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
            after = sl_json_string(item, "id");
            result = visit(op, after, sl_json_get(item, "doc"), user, err);
        }
        after = sl_arena_dup(op->arena, after);
        sl_arena_reset(&page_arena);
    }
    sl_arena_free(&page_arena);
    return result;
}

struct sum {
    struct sl_lambda__totals totals;
    struct sl_str except;
};

static int add_version(struct sl_op *op, struct sl_str id, const struct sl_json *document, void *user,
                       struct sl_error *err) {
    struct sum *sum = user;
    (void)op;
    (void)id;
    (void)err;
    sum->totals.code_size += sl_json_int(document, "CodeSize", 0);
    return 0;
}

static int add_function(struct sl_op *op, struct sl_str id, const struct sl_json *document, void *user,
                        struct sl_error *err) {
    struct sum *sum = user;
    sum->totals.functions++;
    sum->totals.code_size += sl_json_int(document, "CodeSize", 0);
    if (!sl_str_eq(id, sum->except)) sum->totals.reserved += sl_json_int(document, "_concurrency", 0);
    if (sl_json_int(document, "_last_version", 0) == 0) return 0;
    const struct sl_key versions = sl_lambda__version_key(op, id, SL_STR(""));
    return each_document(op, &versions, add_version, sum, err);
}

int sl_lambda__totals(struct sl_op *op, struct sl_str except, struct sl_lambda__totals *ret, struct sl_error *err) {
    struct sum sum = {.except = except};
    const struct sl_key functions = sl_lambda__function_key(op, SL_STR(""));
    int result = each_document(op, &functions, add_function, &sum, err);
    if (result == 0) *ret = sum.totals;
    return result;
}

int sl_lambda__check_room(struct sl_op *op, int64_t more, struct sl_error *err) {
    struct sl_lambda__totals totals;
    int result = sl_lambda__totals(op, SL_STR(""), &totals, err);
    if (result == 0 && totals.code_size + more > SL_LAMBDA_TOTAL_CODE_MAX)
        return sl_fail(err, SL_E_CODE_STORAGE, "Code storage limit exceeded.");
    return result;
}

int64_t sl_lambda__concurrency(const struct sl_op *op) {
    const struct sl_app *app = op->app;
    return app->account_concurrency;
}

int sl_lambda__get_account(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__totals totals;
    int result = sl_lambda__totals(op, SL_STR(""), &totals, err);
    if (result != 0) return result;
    struct sl_json *limit = sl_json_new_object(op->arena), *usage = sl_json_new_object(op->arena);
    sl_json_put_int(op->arena, limit, "TotalCodeSize", SL_LAMBDA_TOTAL_CODE_MAX);
    sl_json_put_int(op->arena, limit, "CodeSizeUnzipped", SL_LAMBDA_UNZIPPED_MAX);
    sl_json_put_int(op->arena, limit, "CodeSizeZipped", SL_LAMBDA_ZIP_MAX);
    sl_json_put_int(op->arena, limit, "ConcurrentExecutions", sl_lambda__concurrency(op));
    sl_json_put_int(op->arena, limit, "UnreservedConcurrentExecutions", sl_lambda__concurrency(op) - totals.reserved);
    sl_json_put_int(op->arena, usage, "TotalCodeSize", totals.code_size);
    sl_json_put_int(op->arena, usage, "FunctionCount", totals.functions);
    sl_json_set(op->out, SL_STR("AccountLimit"), limit);
    sl_json_set(op->out, SL_STR("AccountUsage"), usage);
    return 0;
}

// --- reserved concurrency
// ------------------------------------------------------------------------------------------------------------------

int sl_lambda__get_concurrency(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0 && sl_json_get(latest, "_concurrency"))
        sl_json_put_int(op->arena, op->out, "ReservedConcurrentExecutions", sl_json_int(latest, "_concurrency", 0));
    return result;
}

// The document of a whole function; Put and Delete name $LATEST when it is not there [AWS].
static int load_latest(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    struct sl_lambda__target target;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? sl_lambda__not_found(op, &target, SL_STR("$LATEST"), err) : result;
}

static int save_latest(struct sl_op *op, const struct sl_json *latest, struct sl_error *err) {
    const struct sl_key key = sl_lambda__function_key(op, sl_json_string(latest, "FunctionName"));
    int result = sl_store_put(op->tx, &key, latest, err);
    return result == 0 ? sl_lambda__stage_all(op, latest, err) : result;
}

int sl_lambda__put_concurrency(struct sl_op *op, struct sl_error *err) {
    struct sl_json *latest;
    struct sl_lambda__totals totals;
    int64_t wanted = sl_json_int(op->in, "ReservedConcurrentExecutions", 0), provisioned = 0;
    int result = load_latest(op, &latest, err);
    if (result == 0) result = sl_lambda__totals(op, sl_json_string(latest, "FunctionName"), &totals, err);
    if (result == 0)
        result =
            sl_lambda__provisioned_total(op, sl_json_string(latest, "FunctionName"), SL_STR(""), &provisioned, err);
    if (result != 0) return result;
    if (wanted < provisioned)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       " ReservedConcurrentExecutions  %lld should not be lower than function's total provisioned "
                       "concurrency [%lld].", // with these blanks [AWS]
                       (long long)wanted, (long long)provisioned);
    if (wanted > 0 && totals.reserved + wanted > sl_lambda__concurrency(op) - SL_LAMBDA_UNRESERVED_MIN)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Specified ReservedConcurrentExecutions for function decreases account's "
                       "UnreservedConcurrentExecution below its "
                       "minimum value of [%d].",
                       SL_LAMBDA_UNRESERVED_MIN);
    sl_json_put_int(op->arena, latest, "_concurrency", wanted);
    sl_json_put_int(op->arena, op->out, "ReservedConcurrentExecutions", wanted);
    return save_latest(op, latest, err);
}

int sl_lambda__delete_concurrency(struct sl_op *op, struct sl_error *err) {
    struct sl_json *latest;
    int result = load_latest(op, &latest, err);
    if (result != 0 || !sl_json_remove(latest, "_concurrency")) return result;
    return save_latest(op, latest, err);
}
