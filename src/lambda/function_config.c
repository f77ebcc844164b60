// SPDX-License-Identifier: Apache-2.0
//
// function_config: GetFunctionConfiguration and UpdateFunctionConfiguration. What may be set is in settings.c.
#include "lambda/code_signing.h"
#include "lambda/image.h"

int sl_lambda__get_configuration(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *document;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load_qualified(op, &target, &document, err);
    if (result == 0) op->out = sl_json_copy(op->arena, sl_lambda__seen(op, document));
    return result;
}

int sl_lambda__update_configuration_prepare(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__settings_check(op, err);
    return result == 0 ? sl_lambda__layers_take(op, err) : result;
}

int sl_lambda__update_configuration(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0) result = sl_lambda__check_settled(op, latest, err);
    if (result == 0) result = sl_lambda__check_revision(op, latest, err);
    // Layers are code too.
    const struct sl_json *layers = sl_json_get(op->in, "Layers");
    if (result == 0 && layers && layers->count > 0) result = sl_lambda__signing_check(op, latest, err);
    if (result == 0) result = sl_lambda__settings_apply(op, latest, err);
    if (result == 0) result = sl_lambda__image_configure(op, latest, err);
    if (result != 0) return result;
    sl_lambda__touch(op, latest);
    op->out = sl_lambda__begin_change(op, latest, SL_LAMBDA_UPDATE);
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    result = sl_store_put(op->tx, &key, latest, err);
    return result == 0 ? sl_lambda__stage(op, latest, err) : result;
}
