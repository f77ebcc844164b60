// SPDX-License-Identifier: Apache-2.0
//
// event_config: Put-, Update-, Get-, Delete- and ListFunctionEventInvokeConfig(s): how asynchronous invocations of a
// function, version or alias are retried, and where their results go. publish.c hands it to the event queue with
// the function. Queues and functions of this server are looked for; destinations of services that are not here are kept
// and answered, and what cannot be delivered to them stays with the dead events (docs/compatibility-notes.md).
#include "lambda/internal.h"

#include "aws/page.h"

struct subject {
    struct sl_lambda__target target;
    struct sl_str qualifier; // "$LATEST" when the request names none
};

static int read_subject(struct sl_op *op, struct subject *ret, struct sl_error *err) {
    int result = sl_lambda__target(op, &ret->target, err);
    if (result == 0) ret->qualifier = ret->target.qualifier.len > 0 ? ret->target.qualifier : SL_STR("$LATEST");
    return result;
}

static bool exists(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    const struct sl_key key = sl_lambda__is_latest(qualifier)  ? sl_lambda__function_key(op, name)
                              : sl_lambda__is_alias(qualifier) ? sl_lambda__alias_key(op, name, qualifier)
                                                               : sl_lambda__version_key(op, name, qualifier);
    return sl_store_has(op->tx, &key);
}

static int check_exists(struct sl_op *op, const struct subject *subject, struct sl_error *err) {
    return exists(op, subject->target.name, subject->qualifier)
               ? 0
               : sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The function doesn't exist.");
}

static int load(struct sl_op *op, const struct subject *subject, struct sl_json **ret, struct sl_error *err) {
    const struct sl_key key = sl_lambda__event_config_key(op, subject->target.name, subject->qualifier);
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result != SL_E_NOT_FOUND) return result;
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The function %.*s doesn't have an EventInvokeConfig",
                   SL_FMT(sl_lambda__qualified_arn(op, &subject->target, subject->qualifier)));
}

// --- destinations
// ---------------------------------------------------------------------------------------------------------------------

static struct sl_str destination_of(const struct sl_json *config, const char *side) {
    return sl_json_string(sl_json_get(config, side), "Destination");
}

static struct sl_str side_text(struct sl_op *op, const struct sl_json *config, const char *side) {
    struct sl_str arn = destination_of(config, side);
    return arn.ptr ? sl_arena_printf(op->arena, "%s(destination=%.*s)", side, SL_FMT(arn)) : SL_STR("null");
}

static int check_function(struct sl_op *op, const struct subject *subject, struct sl_str text, struct sl_error *err) {
    struct sl_function_ref ref = {0};
    bool parsed =
        sl_function_ref_parse(text, &ref) && sl_str_eq(ref.region, op->region) && sl_str_eq(ref.account, op->account);
    if (parsed && sl_str_eq(ref.name, subject->target.name))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "You can't specify the function as a destination for itself.");
    if (parsed && exists(op, ref.name, ref.qualifier)) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "The destination ARN %.*s is invalid.", SL_FMT(text));
}

static int check_queue(struct sl_op *op, struct sl_str text, struct sl_error *err) {
    struct sl_lambda__queue queue;
    int result = sl_lambda__queue_find(op, text, &queue, err);
    if (result != 0 || queue.exists) return result;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "The destination ARN %.*s is invalid.", SL_FMT(text));
}

static int check_destinations(struct sl_op *op, const struct subject *subject, struct sl_error *err) {
    static const char *const sides[] = {"OnSuccess", "OnFailure"};
    const struct sl_json *config = sl_json_get(op->in, "DestinationConfig");
    int result = 0;
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]) && result == 0; i++) {
        struct sl_str text = destination_of(config, sides[i]);
        struct sl_arn arn = {0};
        if (text.len == 0) continue;
        bool known =
            sl_arn_parse(text, &arn) && (sl_str_is(arn.service, "sqs") || sl_str_is(arn.service, "sns") ||
                                         sl_str_is(arn.service, "events") || (sl_str_is(arn.service, "s3") && i == 1));
        if (sl_str_is(arn.service, "lambda"))
            result = check_function(op, subject, text, err);
        else if (sl_str_is(arn.service, "sqs"))
            result = check_queue(op, text, err);
        else if (!known)
            result = sl_fail(err, SL_E_INVALID_PARAMETER,
                             "The provided destination config DestinationConfig(onSuccess=%.*s, onFailure=%.*s) is "
                             "invalid.",
                             SL_FMT(side_text(op, config, "OnSuccess")), SL_FMT(side_text(op, config, "OnFailure")));
    }
    return result;
}

// Both sides are always shown, empty when there is no destination [AWS].
static void put_destinations(struct sl_op *op, struct sl_json *document) {
    static const char *const sides[] = {"OnSuccess", "OnFailure"};
    const struct sl_json *given = sl_json_get(op->in, "DestinationConfig");
    struct sl_json *shown = sl_json_new_object(op->arena);
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        struct sl_str arn = destination_of(given, sides[i]);
        sl_json_set(shown, sl_str_of(sides[i]),
                    arn.len > 0 ? sl_lambda__object1(op, "Destination", arn) : sl_json_new_object(op->arena));
    }
    if (given || !sl_json_get(document, "DestinationConfig")) sl_json_set(document, SL_STR("DestinationConfig"), shown);
}

// --- operations
// ---------------------------------------------------------------------------------------------------------------------

static int stage(struct sl_op *op, const struct subject *subject, struct sl_error *err) {
    struct sl_json *document;
    struct sl_lambda__target target = subject->target;
    target.qualifier = subject->qualifier;
    if (sl_lambda__is_alias(subject->qualifier))
        return sl_lambda__stage_alias(op, subject->target.name, subject->qualifier, err);
    int result = sl_lambda__load_qualified(op, &target, &document, err);
    return result == 0 ? sl_lambda__stage(op, document, err) : result;
}

static int save(struct sl_op *op, const struct subject *subject, struct sl_json *document, struct sl_error *err) {
    static const char *const limits[] = {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"};
    const struct sl_key key = sl_lambda__event_config_key(op, subject->target.name, subject->qualifier);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (sl_json_get(op->in, limits[i]))
            sl_json_put_int(op->arena, document, limits[i], sl_json_int(op->in, limits[i], 0));
    put_destinations(op, document);
    sl_lambda__put(op, document, "FunctionArn", sl_lambda__qualified_arn(op, &subject->target, subject->qualifier));
    sl_json_put_int(op->arena, document, "LastModified", op->now_ms);
    op->out = document;
    int result = sl_store_put(op->tx, &key, document, err);
    return result == 0 ? stage(op, subject, err) : result;
}

static int begin_change(struct sl_op *op, struct subject *subject, struct sl_error *err) {
    int result = read_subject(op, subject, err);
    if (result == 0 && !sl_json_get(op->in, "MaximumRetryAttempts") &&
        !sl_json_get(op->in, "MaximumEventAgeInSeconds") && !sl_json_get(op->in, "DestinationConfig"))
        result = sl_fail(err, SL_E_INVALID_PARAMETER,
                         "You must specify at least one of error handling or destination setting.");
    if (result == 0) result = check_exists(op, subject, err);
    return result == 0 ? check_destinations(op, subject, err) : result;
}

int sl_lambda__put_event_config(struct sl_op *op, struct sl_error *err) {
    struct subject subject;
    int result = begin_change(op, &subject, err);
    return result == 0 ? save(op, &subject, sl_json_new_object(op->arena), err) : result;
}

int sl_lambda__update_event_config(struct sl_op *op, struct sl_error *err) {
    struct subject subject;
    struct sl_json *document;
    int result = begin_change(op, &subject, err);
    if (result == 0) result = load(op, &subject, &document, err);
    return result == 0 ? save(op, &subject, document, err) : result;
}

int sl_lambda__get_event_config(struct sl_op *op, struct sl_error *err) {
    struct subject subject;
    struct sl_json *document;
    int result = read_subject(op, &subject, err);
    if (result == 0) result = load(op, &subject, &document, err);
    if (result == 0) op->out = document;
    return result;
}

int sl_lambda__delete_event_config(struct sl_op *op, struct sl_error *err) {
    struct subject subject;
    struct sl_json *document;
    int result = read_subject(op, &subject, err);
    if (result == 0) result = load(op, &subject, &document, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__event_config_key(op, subject.target.name, subject.qualifier);
    result = sl_store_delete(op->tx, &key, NULL, err);
    return result == 0 ? stage(op, &subject, err) : result;
}

int sl_lambda__list_event_configs(struct sl_op *op, struct sl_error *err) {
    struct subject subject;
    struct sl_json *page, *configs = sl_json_new_array(op->arena);
    struct sl_str marker = sl_op_in(op, "Marker"), after = SL_STR("");
    bool more = false;
    int result = read_subject(op, &subject, err);
    if (result == 0 && !exists(op, subject.target.name, SL_STR("")))
        result = sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The function doesn't exist.");
    if (result != 0) return result;
    struct sl_str scope = sl_page_scope(op, subject.target.name);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    const struct sl_key key = sl_lambda__event_config_key(op, subject.target.name, SL_STR(""));
    result = sl_store_list(op->tx, op->arena, &key, after,
                           (unsigned)sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX), &page, &more, err);
    for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
        sl_json_push(configs, sl_json_copy(op->arena, sl_json_get(item, "doc")));
        after = sl_json_string(item, "id");
    }
    sl_json_set(op->out, SL_STR("FunctionEventInvokeConfigs"), configs);
    if (result == 0 && more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return result;
}
