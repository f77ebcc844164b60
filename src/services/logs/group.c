// SPDX-License-Identifier: Apache-2.0
//
// group: log groups: CreateLogGroup, DeleteLogGroup, DescribeLogGroups, retention and tags, and the table of
// operations. A group that only has a log (a function's) gets a document when something is said about it.
#include "services/logs/internal.h"

#include "aws/arn.h"
#include "aws/page.h"

enum { PAGE_MAX = 50, TAGS_MAX = 50, LIST = 1000 };

struct sl_logs *sl_logs__of(const struct sl_op *op) {
    return ((const struct sl_app *)op->app)->logs;
}

struct sl_key sl_logs__group_key(const struct sl_op *op, struct sl_str group) {
    return (struct sl_key){
        .kind = "logs.group", .account = op->account, .region = op->region, .parent = SL_STR(""), .id = group};
}

struct sl_key sl_logs__stream_key(const struct sl_op *op, struct sl_str group, struct sl_str stream) {
    return (struct sl_key){
        .kind = "logs.stream", .account = op->account, .region = op->region, .parent = group, .id = stream};
}

struct sl_log_group sl_logs__group(const struct sl_op *op, struct sl_str name) {
    return (struct sl_log_group){op->account, op->region, name};
}

// The name in "arn:aws:logs:REGION:ACCOUNT:log-group:NAME[:*]"; other text is a name already.
struct sl_str sl_logs__name_in(struct sl_str text) {
    struct sl_arn arn;
    if (!sl_arn_parse(text, &arn) || !sl_str_starts(arn.resource, SL_STR("log-group:"))) return text;
    struct sl_str name = sl_str_sub(arn.resource, strlen("log-group:"), arn.resource.len);
    return sl_str_ends(name, SL_STR(":*")) ? sl_str_sub(name, 0, name.len - 2) : name;
}

struct sl_str sl_logs__group_name(const struct sl_op *op) {
    struct sl_str name = sl_op_in(op, "logGroupName");
    return name.ptr ? name : sl_logs__name_in(sl_op_in(op, "logGroupIdentifier"));
}

struct sl_str sl_logs__arn(struct sl_op *op, struct sl_str group) {
    return sl_arena_printf(op->arena, "arn:%.*s:logs:%.*s:%.*s:log-group:%.*s", SL_FMT(op->partition),
                           SL_FMT(op->region), SL_FMT(op->account), SL_FMT(group));
}

int sl_logs__load_group(struct sl_op *op, struct sl_str name, struct sl_json **ret, struct sl_error *err) {
    const struct sl_key key = sl_logs__group_key(op, name);
    const struct sl_log_group group = sl_logs__group(op, name);
    struct sl_log_stat stat;
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result != SL_E_NOT_FOUND) return result;
    if (!name.len || !sl_logs_stat(sl_logs__of(op), &group, &stat))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The specified log group does not exist.");
    *ret = sl_json_new_object(op->arena);
    sl_json_put_int(op->arena, *ret, "creationTime", stat.created_ms);
    return 0;
}

static int save(struct sl_op *op, struct sl_str name, const struct sl_json *group, struct sl_error *err) {
    const struct sl_key key = sl_logs__group_key(op, name);
    return sl_store_put(op->tx, &key, group, err);
}

static int create(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "logGroupName");
    const struct sl_json *tags = sl_json_get(op->in, "tags");
    struct sl_json *group;
    int result = sl_logs__load_group(op, name, &group, err);
    if (result == 0) return sl_fail(err, SL_E_ALREADY_EXISTS, "The specified log group already exists");
    if (result != SL_E_RESOURCE_NOT_FOUND) return result;
    group = sl_json_new_object(op->arena);
    sl_json_put_int(op->arena, group, "creationTime", op->now_ms);
    if (tags) sl_json_set(group, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    return save(op, name, group, err);
}

static int delete_group(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "logGroupName");
    const struct sl_key key = sl_logs__group_key(op, name), streams = sl_logs__stream_key(op, name, SL_STR(""));
    struct sl_json *group;
    int result = sl_logs__load_group(op, name, &group, err);
    if (!result) result = sl_store_delete_children(op->tx, &streams, err);
    return result ? result : sl_store_delete(op->tx, &key, NULL, err);
}

static void deleted(struct sl_op *op) {
    const struct sl_log_group group = sl_logs__group(op, sl_op_in(op, "logGroupName"));
    sl_logs_remove(sl_logs__of(op), &group);
}

// ---- DescribeLogGroups ----------------------------------------------------------------------------------------------

struct groups {
    struct sl_op *op;
    struct sl_json *docs; // by name
    struct sl_logs__names names;
};

static bool wanted(const struct sl_op *op, struct sl_str name) {
    struct sl_str prefix = sl_op_in(op, "logGroupNamePrefix"), part = sl_op_in(op, "logGroupNamePattern");
    return sl_str_starts(name, prefix) && (!part.len || sl_str_find(name, part) >= 0);
}

static int load_groups(struct sl_op *op, struct sl_error *err) {
    struct groups *groups = sl_arena_zalloc(op->arena, sizeof *groups);
    const struct sl_key key = sl_logs__group_key(op, SL_STR(""));
    struct sl_str after = SL_STR("");
    bool more = true;
    if (!groups) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    *sl_logs__state(op) = groups;
    groups->op = op;
    groups->docs = sl_json_new_object(op->arena);
    while (more) {
        struct sl_json *page;
        int result = sl_store_list(op->tx, op->arena, &key, after, LIST, &page, &more, err);
        if (result) return result;
        for (const struct sl_json *item = page->first; item; item = item->next) {
            after = sl_json_string(item, "id");
            if (!wanted(op, after) || !sl_logs__add_name(op->arena, &groups->names, after)) continue;
            struct sl_json *doc = sl_json_copy(op->arena, sl_json_get(item, "doc"));
            sl_json_push(groups->docs, doc);
            if (doc) doc->key = after;
        }
    }
    return 0;
}

static void found(void *user, struct sl_str name) {
    struct groups *groups = user;
    if (wanted(groups->op, name)) sl_logs__add_name(groups->op->arena, &groups->names, name);
}

static struct sl_json *shown(struct sl_op *op, const struct groups *groups, struct sl_str name) {
    struct sl_json *doc = sl_json_get_str(groups->docs, name), *row = sl_json_new_object(op->arena);
    const struct sl_log_group group = sl_logs__group(op, name);
    struct sl_log_stat stat;
    sl_logs_stat(sl_logs__of(op), &group, &stat);
    int64_t days = sl_json_int(doc, "retentionInDays", 0);
    struct sl_str arn = sl_logs__arn(op, name);
    sl_json_put_string(op->arena, row, "logGroupName", name);
    sl_json_put_int(op->arena, row, "creationTime", sl_json_int(doc, "creationTime", stat.created_ms));
    if (days) sl_json_put_int(op->arena, row, "retentionInDays", days);
    sl_json_put_int(op->arena, row, "metricFilterCount", 0);
    sl_json_put_string(op->arena, row, "arn", sl_arena_printf(op->arena, "%.*s:*", SL_FMT(arn)));
    sl_json_put_int(op->arena, row, "storedBytes", stat.bytes);
    sl_json_put_string(op->arena, row, "logGroupClass", SL_STR("STANDARD"));
    sl_json_put_string(op->arena, row, "logGroupArn", arn);
    return row;
}

static int list_groups(struct sl_op *op, struct sl_error *err) {
    struct groups *groups = *sl_logs__state(op);
    struct sl_str token = sl_op_in(op, "nextToken"), after = {0}, scope = sl_page_scope(op, SL_STR(""));
    int64_t limit = sl_json_int(op->in, "limit", PAGE_MAX);
    struct sl_json *rows = sl_json_new_array(op->arena);
    if (token.len && !sl_page_open(op->arena, scope, token, &after)) return sl_logs__bad_token(err);
    sl_logs_groups(sl_logs__of(op), op->account, op->region, found, groups);
    sl_logs__sort_names(&groups->names);
    for (unsigned i = 0; rows && i < groups->names.count; i++) {
        struct sl_str name = groups->names.list[i];
        if (after.ptr && sl_str_cmp(name, after) <= 0) continue;
        if (rows->count == limit) {
            sl_op_out(op, "nextToken", sl_page_token(op->arena, scope, groups->names.list[i - 1]));
            break;
        }
        sl_json_push(rows, shown(op, groups, name));
    }
    sl_json_set(op->out, SL_STR("logGroups"), rows);
    return sl_arena_failed(op->arena) ? sl_fail(err, SL_E_NO_MEMORY, "the answer is too large") : 0;
}

static int describe(struct sl_op *op, struct sl_error *err) {
    if (sl_op_in(op, "logGroupNamePrefix").len && sl_op_in(op, "logGroupNamePattern").len)
        return sl_fail(err, SL_E_LOGS_PARAMETER,
                       "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
    return sl_logs__query(op, load_groups, list_groups, NULL, err);
}

// ---- retention ------------------------------------------------------------------------------------------------------

static int put_retention(struct sl_op *op, struct sl_error *err) {
    static const int allowed[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                  365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
    struct sl_str name = sl_op_in(op, "logGroupName");
    int64_t days = sl_json_int(op->in, "retentionInDays", 0);
    struct sl_json *group;
    bool good = false;
    for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0]; i++) good |= days == allowed[i];
    if (!good)
        return sl_fail(
            err, SL_E_LOGS_PARAMETER,
            "1 validation error detected: Value '%lld' at 'retentionInDays' failed to satisfy constraint: Member "
            "must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, "
            "1827, 2192, 2557, 2922, 3288, 3653]",
            (long long)days);
    int result = sl_logs__load_group(op, name, &group, err);
    if (result) return result;
    sl_json_put_int(op->arena, group, "retentionInDays", days);
    return save(op, name, group, err);
}

static int delete_retention(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "logGroupName");
    struct sl_json *group;
    int result = sl_logs__load_group(op, name, &group, err);
    if (result) return result;
    sl_json_remove(group, "retentionInDays");
    return save(op, name, group, err);
}

// ---- tags: two families of operations, by name and by ARN -----------------------------------------------------------

static struct sl_str tagged(const struct sl_op *op) {
    struct sl_str name = sl_op_in(op, "logGroupName");
    return name.ptr ? name : sl_logs__name_in(sl_op_in(op, "resourceArn"));
}

static int tag(struct sl_op *op, struct sl_error *err) {
    struct sl_json *group;
    int result = sl_logs__load_group(op, tagged(op), &group, err);
    if (result) return result;
    struct sl_json *tags = sl_json_get(group, "_tags");
    if (!tags) tags = sl_json_set(group, SL_STR("_tags"), sl_json_new_object(op->arena));
    for (const struct sl_json *at = sl_json_get(op->in, "tags")->first; at; at = at->next)
        sl_json_set(tags, at->key, sl_json_new_string(op->arena, at->text));
    if (tags && tags->count > TAGS_MAX)
        return sl_fail(err, SL_E_LOGS_PARAMETER, "A log group can have at most 50 tags.");
    return save(op, tagged(op), group, err);
}

static int untag(struct sl_op *op, struct sl_error *err) {
    struct sl_json *group;
    const struct sl_json *keys = sl_json_get(op->in, "tagKeys");
    if (!keys) keys = sl_json_get(op->in, "tags"); // UntagLogGroup
    int result = sl_logs__load_group(op, tagged(op), &group, err);
    if (result) return result;
    for (const struct sl_json *at = keys ? keys->first : NULL; at; at = at->next) {
        const char *key = sl_arena_cstr(op->arena, at->text);
        if (key) sl_json_remove(sl_json_get(group, "_tags"), key);
    }
    return save(op, tagged(op), group, err);
}

static int list_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_json *group;
    int result = sl_logs__load_group(op, tagged(op), &group, err);
    if (result) return result;
    const struct sl_json *tags = sl_json_get(group, "_tags");
    sl_json_set(op->out, SL_STR("tags"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_object(op->arena));
    return 0;
}

#define STORE(name, handler)                                                                                           \
    { "logs", name, SL_OP_STORE, NULL, handler, NULL, NULL }
#define FILES(name, handler)                                                                                           \
    { "logs", name, SL_OP_WAIT, NULL, handler, NULL, NULL }

const struct sl_op_entry sl_logs_operations[] = {
    STORE("CreateLogGroup", create),
    {"logs", "DeleteLogGroup", SL_OP_STORE, NULL, delete_group, deleted, NULL},
    FILES("DescribeLogGroups", describe),
    STORE("PutRetentionPolicy", put_retention),
    STORE("DeleteRetentionPolicy", delete_retention),
    STORE("TagResource", tag),
    STORE("TagLogGroup", tag),
    STORE("UntagResource", untag),
    STORE("UntagLogGroup", untag),
    STORE("ListTagsForResource", list_tags),
    STORE("ListTagsLogGroup", list_tags),
    STORE("CreateLogStream", sl_logs__create_stream),
    STORE("DeleteLogStream", sl_logs__delete_stream),
    FILES("DescribeLogStreams", sl_logs__describe_streams),
    FILES("PutLogEvents", sl_logs__put_events),
    FILES("GetLogEvents", sl_logs__get_events),
    FILES("FilterLogEvents", sl_logs__filter_events),
    {"logs", "StartLiveTail", SL_OP_WAIT, NULL, sl_logs__start_live_tail, NULL, NULL},
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
