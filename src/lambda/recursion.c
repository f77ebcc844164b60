// SPDX-License-Identifier: Apache-2.0
//
// recursion: Get- and PutFunctionRecursionConfig: whether a function that calls itself through other
// services is stopped. invoke/ finds loops (invoke/lineage.h) and is told with the function (publish.c).
#include "lambda/internal.h"

int sl_lambda__put_recursion(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__recursion_key(op, target.name);
    sl_op_out(op, "RecursiveLoop", sl_op_in(op, "RecursiveLoop"));
    result = sl_store_put(op->tx, &key, op->out, err);
    return result == 0 ? sl_lambda__stage_all(op, latest, err) : result;
}

int sl_lambda__get_recursion(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *document;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__recursion_key(op, target.name);
    result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND)
        sl_op_out(op, "RecursiveLoop", SL_STR("Terminate"));
    else if (result == 0)
        op->out = document;
    return result == SL_E_NOT_FOUND ? 0 : result;
}
