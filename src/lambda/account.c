// SPDX-License-Identifier: Apache-2.0
//
// account: GetAccountSettings and reserved concurrency, which share the sums over an account's functions (totals.c).
#include "lambda/internal.h"

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
    int64_t wanted = sl_json_int(op->in, "ReservedConcurrentExecutions", 0), provisioned = 0, others = 0;
    int result = load_latest(op, &latest, err);
    if (result == 0) result = sl_lambda__committed(op, sl_json_string(latest, "FunctionName"), &others, err);
    if (result == 0)
        result =
            sl_lambda__provisioned_total(op, sl_json_string(latest, "FunctionName"), SL_STR(""), &provisioned, err);
    if (result != 0) return result;
    if (wanted < provisioned)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       " ReservedConcurrentExecutions  %lld should not be lower than function's total provisioned "
                       "concurrency [%lld].", // with these blanks [AWS]
                       (long long)wanted, (long long)provisioned);
    if (wanted > 0 && others + wanted > sl_lambda__concurrency(op) - SL_LAMBDA_UNRESERVED_MIN)
        return sl_lambda__fail_untyped(op, err, SL_E_INVALID_PARAMETER,
                                       "Specified ReservedConcurrentExecutions for function decreases account's "
                                       "UnreservedConcurrentExecution below its "
                                       "minimum value of [%d].",
                                       SL_LAMBDA_UNRESERVED_MIN);
    int64_t more = wanted - sl_json_int(latest, "_concurrency", 0);
    result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.reserved = more}, err);
    sl_json_put_int(op->arena, latest, "_concurrency", wanted);
    sl_json_put_int(op->arena, op->out, "ReservedConcurrentExecutions", wanted);
    return result == 0 ? save_latest(op, latest, err) : result;
}

int sl_lambda__delete_concurrency(struct sl_op *op, struct sl_error *err) {
    struct sl_json *latest;
    int result = load_latest(op, &latest, err);
    if (result != 0) return result;
    int64_t less = -sl_json_int(latest, "_concurrency", 0);
    if (!sl_json_remove(latest, "_concurrency")) return 0;
    result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.reserved = less}, err);
    return result == 0 ? save_latest(op, latest, err) : result;
}
