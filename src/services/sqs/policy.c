// SPDX-License-Identifier: Apache-2.0
//
// policy: tags of queues, and the permissions that AddPermission writes into a queue's policy. What they
// say counts for callers with keys of this server (wait.c publishes them, aws/identity.h).
#include "services/sqs/internal.h"

enum { TAGS_MAX = 50, ACTIONS_MAX = 7 };

int sl_sqs__tag(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    struct sl_json *tags = sl_json_get(queue.doc, "Tags");
    if (!tags) tags = sl_json_set(queue.doc, SL_STR("Tags"), sl_json_new_object(op->arena));
    for (const struct sl_json *at = sl_json_get(op->in, "Tags")->first; at; at = at->next)
        sl_json_set(tags, at->key, sl_json_new_string(op->arena, at->text));
    if (tags && tags->count > TAGS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Too many tags added for queue %.*s.", SL_FMT(queue.name));
    return sl_sqs__save(op, &queue, err);
}

int sl_sqs__untag(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    struct sl_json *tags = sl_json_get(queue.doc, "Tags");
    for (const struct sl_json *at = sl_json_get(op->in, "TagKeys")->first; at; at = at->next) {
        const char *key = sl_arena_cstr(op->arena, at->text);
        if (key) sl_json_remove(tags, key);
    }
    return sl_sqs__save(op, &queue, err);
}

int sl_sqs__list_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    const struct sl_json *tags = result ? NULL : sl_json_get(queue.doc, "Tags");
    if (tags && tags->count) sl_json_set(op->out, SL_STR("Tags"), sl_json_copy(op->arena, tags));
    return result;
}

// ---- permissions ----------------------------------------------------------------------------------------------------

// The queue's policy as a tree, made if there is none; never NULL unless the arena is full.
static struct sl_json *policy_of(struct sl_op *op, const struct sl_sqs_queue *queue) {
    struct sl_json *policy;
    struct sl_str text = sl_json_string(queue->attributes, "Policy");
    if (!text.len || sl_json_parse(op->arena, text, &policy, NULL)) {
        policy = sl_json_new_object(op->arena);
        sl_json_put_string(op->arena, policy, "Version", SL_STR("2008-10-17"));
        sl_json_put_string(op->arena, policy, "Id",
                           sl_arena_printf(op->arena, "%.*s/SQSDefaultPolicy", SL_FMT(sl_sqs__arn(op->arena, queue))));
    }
    const struct sl_json *statements = sl_json_get(policy, "Statement");
    if (!statements || statements->type != SL_JSON_ARRAY) {
        struct sl_json *array = sl_json_new_array(op->arena);
        if (statements) sl_json_push(array, sl_json_copy(op->arena, statements));
        sl_json_set(policy, SL_STR("Statement"), array);
    }
    return policy;
}

static int save_policy(struct sl_op *op, struct sl_sqs_queue *queue, const struct sl_json *policy,
                       struct sl_error *err) {
    if (sl_json_get(policy, "Statement")->count == 0) {
        sl_json_remove(queue->attributes, "Policy");
        return sl_sqs__save(op, queue, err);
    }
    struct sl_str copy = sl_json_text(op->arena, policy, 1 << 20);
    if (!copy.ptr) return sl_fail(err, SL_E_OVER_LIMIT, "The policy is too large.");
    sl_json_put_string(op->arena, queue->attributes, "Policy", copy);
    return sl_sqs__save(op, queue, err);
}

// One value bare, several as a list: as AWS writes policies.
static struct sl_json *one_or_many(struct sl_op *op, const struct sl_json *list, const char *before,
                                   const char *behind) {
    struct sl_json *array = sl_json_new_array(op->arena);
    for (const struct sl_json *at = list->first; at; at = at->next) {
        struct sl_str text = sl_arena_printf(op->arena, "%s%.*s%s", before, SL_FMT(at->text), behind);
        sl_json_push(array, sl_json_new_string(op->arena, text));
    }
    if (!array || array->count != 1) return array;
    return sl_json_copy(op->arena, array->first);
}

static bool is_action(struct sl_str name) {
    return sl_str_is(name, "*") || sl_operation_find(sl_service_find(SL_STR("sqs")), name) != NULL;
}

int sl_sqs__add_permission(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    struct sl_str label = sl_op_in(op, "Label");
    const struct sl_json *accounts = sl_json_get(op->in, "AWSAccountIds"), *actions = sl_json_get(op->in, "Actions");
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    if (actions->count > ACTIONS_MAX)
        return sl_fail(err, SL_E_OVER_LIMIT, "%u Actions were found, maximum allowed is 7.", actions->count);
    for (const struct sl_json *at = actions->first; at; at = at->next) {
        if (!is_action(at->text))
            return sl_fail(
                err, SL_E_INVALID_PARAMETER,
                "Value SQS:%.*s for parameter ActionName is invalid. Reason: Please refer to the appropriate "
                "WSDL for a list of valid actions. ",
                SL_FMT(at->text));
    }
    for (const struct sl_json *at = accounts->first; at; at = at->next) {
        if (!sl_is_account(at->text))
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "Value %.*s for parameter PrincipalId is invalid. Reason: Unable to verify.",
                           SL_FMT(at->text));
    }
    struct sl_json *policy = policy_of(op, &queue), *statements = sl_json_get(policy, "Statement");
    for (const struct sl_json *at = statements ? statements->first : NULL; at; at = at->next) {
        if (sl_str_eq(sl_json_string(at, "Sid"), label))
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "Value %.*s for parameter Label is invalid. Reason: Already exists.", SL_FMT(label));
    }
    struct sl_json *statement = sl_json_push(statements, sl_json_new_object(op->arena));
    struct sl_json *principal = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, statement, "Sid", label);
    sl_json_put_string(op->arena, statement, "Effect", SL_STR("Allow"));
    sl_json_set(principal, SL_STR("AWS"), one_or_many(op, accounts, "arn:aws:iam::", ":root"));
    sl_json_set(statement, SL_STR("Principal"), principal);
    sl_json_set(statement, SL_STR("Action"), one_or_many(op, actions, "SQS:", ""));
    sl_json_put_string(op->arena, statement, "Resource", sl_sqs__arn(op->arena, &queue));
    return save_policy(op, &queue, policy, err);
}

int sl_sqs__remove_permission(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    struct sl_str label = sl_op_in(op, "Label");
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    struct sl_json *policy = policy_of(op, &queue), *kept = sl_json_new_array(op->arena);
    const struct sl_json *statements = sl_json_get(policy, "Statement");
    bool found = false;
    for (const struct sl_json *at = statements ? statements->first : NULL; at; at = at->next) {
        bool is = sl_str_eq(sl_json_string(at, "Sid"), label);
        if (!is) sl_json_push(kept, sl_json_copy(op->arena, at));
        found |= is;
    }
    if (!found)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %.*s for parameter Label is invalid. Reason: can't find label.", SL_FMT(label));
    sl_json_set(policy, SL_STR("Statement"), kept);
    return save_policy(op, &queue, policy, err);
}
