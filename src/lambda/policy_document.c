// SPDX-License-Identifier: Apache-2.0
//
// policy_document: a resource policy as lambda/ keeps it, {"Policy": {...}, "RevisionId": ...}, whoever it belongs to:
// a function, a version, an alias (policy.c) or a version of a layer (layer_policy.c). Statements are written exactly
// as AWS writes them, in the order in which they were added.
#include "lambda/policy_document.h"

enum { TEXT_MAX = 1 << 20 };

struct sl_json *sl_lambda__policy_statements(const struct sl_json *document) {
    return sl_json_get(sl_json_get(document, "Policy"), "Statement");
}

bool sl_lambda__policy_has(const struct sl_json *document, struct sl_str sid) {
    const struct sl_json *statements = sl_lambda__policy_statements(document);
    for (const struct sl_json *one = statements ? statements->first : NULL; one; one = one->next)
        if (sl_str_eq(sl_json_string(one, "Sid"), sid)) return true;
    return false;
}

static struct sl_json *new_policy(struct sl_op *op) {
    struct sl_json *document = sl_json_new_object(op->arena),
                   *policy = sl_lambda__object1(op, "Version", SL_STR("2012-10-17"));
    sl_lambda__put(op, policy, "Id", SL_STR("default"));
    sl_json_set(policy, SL_STR("Statement"), sl_json_new_array(op->arena));
    sl_json_set(document, SL_STR("Policy"), policy);
    return document;
}

int sl_lambda__policy_check_new(const struct sl_json *document, struct sl_str sid, struct sl_error *err) {
    if (!sl_lambda__policy_has(document, sid)) return 0;
    return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                   "The statement id (%.*s) provided already exists. Please provide a new statement id, or remove the "
                   "existing statement.",
                   SL_FMT(sid));
}

int sl_lambda__policy_add(struct sl_op *op, struct sl_json **document, struct sl_json *statement,
                          struct sl_error *err) {
    if (!*document) *document = new_policy(op);
    sl_op_out(op, "Statement", sl_json_text(op->arena, statement, TEXT_MAX));
    sl_json_push(sl_lambda__policy_statements(*document), statement);
    size_t size = sl_lambda__policy_text(op, *document).len;
    if (size <= SL_LAMBDA_POLICY_MAX) return 0;
    return sl_fail(err, SL_E_POLICY_LENGTH, "The final policy size (%zu) is bigger than the limit (%d).", size,
                   SL_LAMBDA_POLICY_MAX);
}

// The list is rebuilt, because a node has one parent.
bool sl_lambda__policy_drop(struct sl_op *op, struct sl_json *document, struct sl_str sid) {
    struct sl_json *left = sl_json_new_array(op->arena);
    for (const struct sl_json *one = sl_lambda__policy_statements(document)->first; one; one = one->next)
        if (!sl_str_eq(sl_json_string(one, "Sid"), sid)) sl_json_push(left, sl_json_copy(op->arena, one));
    sl_json_set(sl_json_get(document, "Policy"), SL_STR("Statement"), left);
    return left && left->count > 0;
}

struct sl_str sl_lambda__policy_text(struct sl_op *op, const struct sl_json *document) {
    return sl_json_text(op->arena, sl_json_get(document, "Policy"), TEXT_MAX);
}
