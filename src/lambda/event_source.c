// SPDX-License-Identifier: Apache-2.0
//
// event_source: Create-, Get-, Update-, Delete- and ListEventSourceMapping(s). Order of refusals as recorded: the
// source and its settings, the function, the source's existence, a mapping that is there already.
//
// Queues of this server are polled (events/source.h). Kafka, MQ and DocumentDB are stored and answered, with a
// LastProcessingResult that says that nothing connects to them; streams of Kinesis and DynamoDB are refused as AWS
// refuses streams that are not there: none is (docs/compatibility-notes.md).
#include "lambda/event_source.h"

#include "aws/page.h"

enum { LIST_MAX = 100, DEFAULT_BATCH = 10, OTHER_BATCH = 100 };

static const char no_connection[] =
    "PROBLEM: Connection error. Please check your event source connection configuration.";

// ---- parts of a mapping ---------------------------------------------------------------------------------------------

struct mapped {
    enum sl_lambda__source_kind kind;
    struct sl_lambda__target target;
    struct sl_json *function; // its document
};

static int find_function(struct sl_op *op, struct mapped *ret, struct sl_error *err) {
    int result = sl_lambda__target(op, &ret->target, err);
    if (result == 0) result = sl_lambda__load_qualified(op, &ret->target, &ret->function, err);
    if (result == SL_E_RESOURCE_NOT_FOUND) return sl_fail(err, SL_E_INVALID_PARAMETER, "Function does not exist");
    // No record of a source names a tenant ("Tenant isolation", developer guide).
    return result == 0 ? sl_lambda__refuse_tenancy(ret->function, "Event source mappings are", err) : result;
}

static int check_queue(struct sl_op *op, struct sl_str source, const struct sl_json *function, struct sl_error *err) {
    struct sl_lambda__queue queue;
    int64_t timeout = sl_json_int(function, "Timeout", 3);
    int result = sl_lambda__queue_find(op, source, &queue, err);
    if (result != 0) return result;
    if (!queue.exists)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                       "SQS Error Message: The specified queue does not exist.");
    if (queue.visibility_s < timeout)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Queue visibility timeout: %lld seconds is less than Function timeout: %lld seconds",
                       (long long)queue.visibility_s, (long long)timeout);
    return 0;
}

static int check_source(struct sl_op *op, const struct mapped *mapped, struct sl_error *err) {
    struct sl_str source = sl_op_in(op, "EventSourceArn");
    if (mapped->kind == SL_LAMBDA_SOURCE_SQS) return check_queue(op, source, mapped->function, err);
    if (mapped->kind != SL_LAMBDA_SOURCE_STREAM) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Stream not found: %.*s", SL_FMT(source)); // [AWS]
}

// "kafka:1000,kafka:2000"
static struct sl_str endpoints(struct sl_op *op, const struct sl_json *mapping) {
    const struct sl_json *list = sl_json_get(sl_json_get(sl_json_get(mapping, "SelfManagedEventSource"), "Endpoints"),
                                             "KAFKA_BOOTSTRAP_SERVERS");
    struct sl_str text = SL_STR("");
    for (const struct sl_json *each = list ? list->first : NULL; each; each = each->next)
        text = sl_arena_printf(op->arena, "%.*s%s%.*s", SL_FMT(text), text.len ? "," : "", SL_FMT(each->text));
    return text;
}

static struct sl_str first_of(const struct sl_json *mapping, const char *list) {
    const struct sl_json *node = sl_json_get(mapping, list);
    return node && node->first ? node->first->text : SL_STR("");
}

// Endpoints overlap when they have one in common [AWS].
static bool share_endpoint(const struct sl_json *a, const struct sl_json *b) {
    const char *const path[] = {"SelfManagedEventSource", "Endpoints", "KAFKA_BOOTSTRAP_SERVERS"};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        a = sl_json_get(a, path[i]);
        b = sl_json_get(b, path[i]);
    }
    for (const struct sl_json *x = a ? a->first : NULL; x; x = x->next)
        for (const struct sl_json *y = b ? b->first : NULL; y; y = y->next)
            if (sl_str_eq(x->text, y->text)) return true;
    return false;
}

static bool same_function(struct sl_str a, struct sl_str b) {
    struct sl_str latest = SL_STR(":$LATEST");
    if (sl_str_ends(a, latest)) a.len -= latest.len;
    if (sl_str_ends(b, latest)) b.len -= latest.len;
    return sl_str_eq(a, b);
}

static bool same_source(const struct sl_json *a, const struct sl_json *b) {
    struct sl_str source = sl_json_string(a, "EventSourceArn");
    if (!sl_str_eq(source, sl_json_string(b, "EventSourceArn"))) return false;
    if (!sl_str_eq(first_of(a, "Topics"), first_of(b, "Topics"))) return false;
    if (!sl_str_eq(first_of(a, "Queues"), first_of(b, "Queues"))) return false;
    return source.len || share_endpoint(a, b);
}

static int conflict(struct sl_op *op, const struct mapped *mapped, const struct sl_json *document, struct sl_str uuid,
                    struct sl_error *err) {
    struct sl_str source = sl_json_string(document, "EventSourceArn");
    if (mapped->kind == SL_LAMBDA_SOURCE_SQS)
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "An event source mapping with SQS arn (\" %.*s \") and function (\" %.*s \") already exists. "
                       "Please update or delete the existing mapping with UUID %.*s",
                       SL_FMT(source), SL_FMT(mapped->target.name), SL_FMT(uuid)); // [AWS]
    return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                   "An event source mapping with event source (\"%.*s\"), function (\"%.*s\"), topics (\"%.*s\") "
                   "already exists. Please update or delete the existing mapping with UUID %.*s",
                   SL_FMT(source.len ? source : endpoints(op, document)),
                   SL_FMT(sl_json_string(document, "FunctionArn")), SL_FMT(first_of(document, "Topics")),
                   SL_FMT(uuid)); // [AWS]
}

static int check_unique(struct sl_op *op, const struct mapped *mapped, const struct sl_json *document,
                        struct sl_error *err) {
    const struct sl_key key = sl_lambda__event_source_key(op, SL_STR(""));
    struct sl_str after = SL_STR("");
    for (bool more = true; more;) {
        struct sl_json *page;
        int result = sl_store_list(op->tx, op->arena, &key, after, LIST_MAX, &page, &more, err);
        if (result != 0) return result;
        for (const struct sl_json *item = page->first; item; item = item->next) {
            const struct sl_json *other = sl_json_get(item, "doc");
            after = sl_json_string(item, "id");
            if (sl_str_eq(after, sl_json_string(document, "UUID")) || !same_source(document, other)) continue;
            if (same_function(sl_json_string(document, "FunctionArn"), sl_json_string(other, "FunctionArn")))
                return conflict(op, mapped, document, after, err);
        }
    }
    return 0;
}

// ---- making a document ----------------------------------------------------------------------------------------------

static void default_int(struct sl_op *op, struct sl_json *document, const char *name, int64_t value) {
    if (!sl_json_get(document, name)) sl_json_put_int(op->arena, document, name, value);
}

// Settings as they were given; an empty FilterCriteria takes the filters away [AWS].
static void merge(struct sl_op *op, struct sl_json *document) {
    static const char *const members[] = {"BatchSize",
                                          "MaximumBatchingWindowInSeconds",
                                          "ParallelizationFactor",
                                          "DestinationConfig",
                                          "MaximumRecordAgeInSeconds",
                                          "BisectBatchOnFunctionError",
                                          "MaximumRetryAttempts",
                                          "TumblingWindowInSeconds",
                                          "SourceAccessConfigurations",
                                          "FunctionResponseTypes",
                                          "ScalingConfig",
                                          "AmazonManagedKafkaEventSourceConfig",
                                          "SelfManagedKafkaEventSourceConfig",
                                          "DocumentDBEventSourceConfig",
                                          "KMSKeyArn",
                                          "MetricsConfig",
                                          "LoggingConfig",
                                          "ProvisionedPollerConfig"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const struct sl_json *value = sl_json_get(op->in, members[i]);
        bool empty = value && value->type == SL_JSON_OBJECT && !value->count;
        if (empty)
            sl_json_remove(document, members[i]);
        else if (value)
            sl_json_set(document, sl_str_of(members[i]), sl_json_copy(op->arena, value));
    }
    const struct sl_json *criteria = sl_json_get(op->in, "FilterCriteria"), *filters = sl_json_get(criteria, "Filters");
    if (criteria && (!filters || !filters->count))
        sl_json_remove(document, "FilterCriteria");
    else if (criteria)
        sl_json_set(document, SL_STR("FilterCriteria"), sl_json_copy(op->arena, criteria));
}

static void put_defaults(struct sl_op *op, enum sl_lambda__source_kind kind, struct sl_json *document) {
    bool queue = kind == SL_LAMBDA_SOURCE_SQS;
    default_int(op, document, "BatchSize", queue ? DEFAULT_BATCH : OTHER_BATCH);
    if (queue) default_int(op, document, "MaximumBatchingWindowInSeconds", 0);
    if (queue && !sl_json_get(document, "FunctionResponseTypes"))
        sl_json_set(document, SL_STR("FunctionResponseTypes"), sl_json_new_array(op->arena));
    if (!queue) sl_lambda__put(op, document, "LastProcessingResult", SL_STR("No records processed"));
    const char *kafka = kind == SL_LAMBDA_SOURCE_KAFKA          ? "AmazonManagedKafkaEventSourceConfig"
                        : kind == SL_LAMBDA_SOURCE_SELF_MANAGED ? "SelfManagedKafkaEventSourceConfig"
                                                                : NULL;
    if (!kafka || sl_json_string(sl_json_get(document, kafka), "ConsumerGroupId").len) return;
    // A group that is not named is named after the mapping [AWS].
    struct sl_str group = sl_json_string(document, "UUID");
    sl_json_set(document, sl_str_of(kafka), sl_lambda__object1(op, "ConsumerGroupId", group));
}

static void put_identity(struct sl_op *op, struct sl_json *document) {
    static const char *const members[] = {"EventSourceArn", "SelfManagedEventSource", "Topics",
                                          "Queues",         "StartingPosition",       "StartingPositionTimestamp"};
    char uuid[SL_UUID];
    sl_uuid(uuid);
    sl_lambda__put(op, document, "UUID", sl_arena_dup(op->arena, sl_str_of(uuid)));
    sl_lambda__put(op, document, "EventSourceMappingArn",
                   sl_arena_printf(op->arena, "arn:%.*s:lambda:%.*s:%.*s:event-source-mapping:%s",
                                   SL_FMT(op->partition), SL_FMT(op->region), SL_FMT(op->account), uuid));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const struct sl_json *value = sl_json_get(op->in, members[i]);
        if (value) sl_json_set(document, sl_str_of(members[i]), sl_json_copy(op->arena, value));
    }
    const struct sl_json *tags = sl_json_get(op->in, "Tags");
    if (tags && tags->count) sl_json_set(document, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    sl_lambda__put(op, document, "StateTransitionReason", SL_STR("USER_INITIATED"));
}

static void put_function(struct sl_op *op, struct sl_json *document, const struct mapped *mapped) {
    sl_lambda__put(op, document, "FunctionArn",
                   sl_lambda__qualified_arn(op, &mapped->target, mapped->target.qualifier));
}

// Stores the state at rest and answers the transition.
static int save(struct sl_op *op, struct sl_json *document, const char *transition, struct sl_error *err) {
    const struct sl_key key = sl_lambda__event_source_key(op, sl_json_string(document, "UUID"));
    sl_json_put_int(op->arena, document, "LastModified", op->now_ms);
    op->state = document;
    op->out = sl_json_copy(op->arena, document);
    sl_lambda__put(op, op->out, "State", sl_str_of(transition));
    // What was answered as made will be tried, and found unreachable, before anybody asks again.
    if (sl_json_get(document, "LastProcessingResult"))
        sl_lambda__put(op, document, "LastProcessingResult", sl_str_of(no_connection));
    return sl_store_put(op->tx, &key, document, err);
}

// ---- operations -----------------------------------------------------------------------------------------------------

int sl_lambda__create_event_source(struct sl_op *op, struct sl_error *err) {
    struct mapped mapped = {.kind = sl_lambda__source_kind(op->in)};
    bool enabled = sl_json_bool(op->in, "Enabled", true);
    int result = sl_lambda__source_check(op, mapped.kind, NULL, err);
    if (result == 0) result = find_function(op, &mapped, err);
    if (result == 0) result = check_source(op, &mapped, err);
    if (result != 0) return result;
    struct sl_json *document = sl_json_new_object(op->arena);
    put_identity(op, document);
    put_function(op, document, &mapped);
    merge(op, document);
    put_defaults(op, mapped.kind, document);
    sl_lambda__put(op, document, "State", enabled ? SL_STR("Enabled") : SL_STR("Disabled"));
    result = check_unique(op, &mapped, document, err);
    return result == 0 ? save(op, document, enabled ? "Creating" : "Disabled", err) : result; // [AWS]
}

static int load(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    const struct sl_key key = sl_lambda__event_source_key(op, sl_op_in(op, "UUID"));
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result != SL_E_NOT_FOUND) return result;
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

int sl_lambda__get_event_source(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    int result = load(op, &document, err);
    if (result == 0) op->out = document;
    return result;
}

static const char *transition_of(bool was, bool is) {
    if (was == is) return is ? "Updating" : "Disabled";
    return is ? "Enabling" : "Disabling"; // [AWS]
}

int sl_lambda__update_event_source(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    struct mapped mapped = {0};
    int result = load(op, &document, err);
    if (result != 0) return result;
    mapped.kind = sl_lambda__source_kind(document);
    bool was = sl_str_is(sl_json_string(document, "State"), "Enabled"), is = sl_json_bool(op->in, "Enabled", was);
    result = sl_lambda__source_check(op, mapped.kind, document, err);
    if (result == 0 && sl_op_in(op, "FunctionName").len) {
        result = find_function(op, &mapped, err);
        if (result == 0) put_function(op, document, &mapped);
        if (result == 0 && mapped.kind == SL_LAMBDA_SOURCE_SQS)
            result = check_queue(op, sl_json_string(document, "EventSourceArn"), mapped.function, err);
        if (result == 0) result = check_unique(op, &mapped, document, err);
    }
    if (result != 0) return result;
    merge(op, document);
    sl_lambda__put(op, document, "State", is ? SL_STR("Enabled") : SL_STR("Disabled"));
    return save(op, document, transition_of(was, is), err);
}

int sl_lambda__delete_event_source(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    int result = load(op, &document, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__event_source_key(op, sl_json_string(document, "UUID"));
    op->state = document;
    op->out = sl_json_copy(op->arena, document);
    sl_lambda__put(op, op->out, "State", SL_STR("Deleting"));
    return sl_store_delete(op->tx, &key, NULL, err);
}

// Of the mapping's function, whatever the qualifier, unless one is asked for.
static bool listed(const struct sl_lambda__target *wanted, struct sl_str source, const struct sl_json *document) {
    struct sl_function_ref ref = {0};
    if (source.len && !sl_str_eq(source, sl_json_string(document, "EventSourceArn"))) return false;
    if (!wanted->name.len) return true;
    return sl_function_ref_parse(sl_json_string(document, "FunctionArn"), &ref) && sl_str_eq(ref.name, wanted->name) &&
           (!wanted->qualifier.len || sl_str_eq(ref.qualifier, wanted->qualifier));
}

int sl_lambda__list_event_sources(struct sl_op *op, struct sl_error *err) {
    struct sl_str marker = sl_op_in(op, "Marker"), source = sl_op_in(op, "EventSourceArn"), after = SL_STR("");
    struct sl_lambda__target target = {0};
    unsigned most = (unsigned)sl_json_int(op->in, "MaxItems", LIST_MAX), count = 0;
    struct sl_json *found = sl_json_new_array(op->arena), *page;
    int result = sl_op_in(op, "FunctionName").len ? sl_lambda__target(op, &target, err) : 0;
    if (result != 0) return result;
    struct sl_str scope = sl_page_scope(op, target.name);
    if (marker.len && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    if (most > LIST_MAX) most = LIST_MAX;
    const struct sl_key key = sl_lambda__event_source_key(op, SL_STR(""));
    for (bool more = true; more && count < most;) {
        result = sl_store_list(op->tx, op->arena, &key, after, most - count, &page, &more, err);
        if (result != 0) return result;
        for (const struct sl_json *item = page->first; item; item = item->next) {
            const struct sl_json *document = sl_json_get(item, "doc");
            after = sl_json_string(item, "id");
            if (!listed(&target, source, document)) continue;
            sl_json_push(found, sl_json_copy(op->arena, document));
            count++;
        }
        if (more && count == most) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    }
    sl_json_set(op->out, SL_STR("EventSourceMappings"), found);
    return 0;
}
