// SPDX-License-Identifier: Apache-2.0
//
// event_v1: payload format 1.0 of an HTTP API, both ways: the REST API's event with "version": "1.0", where what is
// unknown is null, not absent ("Create AWS Lambda proxy integrations for HTTP APIs", API Gateway developer guide; order
// of keys, the spelling of header names and resourceId as in recorded events).
//
// Fields of one name are brought together by a heap sort over the arena's array: names come from the client, and qsort
// may allocate.
#include "gateway/internal.h"

#include "base/clock.h"
#include "base/encoding.h"

struct field {
    struct sl_str name, value;
    unsigned position;
};

static int compare(const struct field *a, const struct field *b) {
    int by_name = sl_str_cmp(a->name, b->name);
    return by_name ? by_name : (a->position > b->position) - (a->position < b->position);
}

static void sift(struct field *fields, size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(&fields[child], &fields[child + 1]) < 0) child++;
        if (compare(&fields[root], &fields[child]) >= 0) return;
        struct field swap = fields[root];
        fields[root] = fields[child];
        fields[child] = swap;
    }
}

static void sort(struct field *fields, size_t count) {
    for (size_t root = count / 2; root-- > 0;) sift(fields, root, count);
    for (size_t end = count; end-- > 1;) {
        struct field swap = fields[0];
        fields[0] = fields[end];
        fields[end] = swap;
        sift(fields, 0, end);
    }
}

// --- writing
// ---------------------------------------------------------------------------------------------------------------------

static void key(struct sl_buf *out, const char *name) {
    sl_buf_char(out, '"');
    sl_buf_cstr(out, name);
    sl_buf_cstr(out, "\":");
}

static void member(struct sl_buf *out, const char *name, struct sl_str value) {
    key(out, name);
    sl_json_write_string(out, value);
    sl_buf_char(out, ',');
}

// Two maps of sorted fields: the last value of each name, and all of them. Null when there are none.
static void maps(struct sl_buf *out, const char *single, const char *multi, const struct field *fields, size_t count) {
    key(out, single);
    if (count == 0) sl_buf_cstr(out, "null");
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && sl_str_eq(fields[i].name, fields[i + 1].name)) continue;
        sl_buf_char(out, out->ptr[out->len - 1] == ':' ? '{' : ',');
        sl_json_write_string(out, fields[i].name);
        sl_buf_char(out, ':');
        sl_json_write_string(out, fields[i].value);
        if (i + 1 == count) sl_buf_char(out, '}');
    }
    sl_buf_char(out, ',');
    key(out, multi);
    if (count == 0) sl_buf_cstr(out, "null");
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || !sl_str_eq(fields[i].name, fields[i - 1].name),
             last = i + 1 == count || !sl_str_eq(fields[i].name, fields[i + 1].name);
        if (first) {
            sl_buf_char(out, i == 0 ? '{' : ',');
            sl_json_write_string(out, fields[i].name);
            sl_buf_cstr(out, ":[");
        } else {
            sl_buf_char(out, ',');
        }
        sl_json_write_string(out, fields[i].value);
        if (last) sl_buf_char(out, ']');
    }
    sl_buf_cstr(out, count == 0 ? "," : "},");
}

static void map(struct sl_buf *out, const char *name, const struct sl_proxy_field *fields, unsigned count) {
    key(out, name);
    if (count == 0) sl_buf_cstr(out, "null");
    for (unsigned i = 0; i < count; i++) {
        sl_buf_char(out, i == 0 ? '{' : ',');
        sl_json_write_string(out, fields[i].name);
        sl_buf_char(out, ':');
        sl_json_write_string(out, fields[i].value);
    }
    sl_buf_cstr(out, count == 0 ? "," : "},");
}

// Names as API Gateway spells them: these few in canonical case, the others in lower case.
static struct sl_str spelled(struct sl_arena *arena, struct sl_str name) {
    static const struct sl_str canonical[] = {
        SL_STR_INIT("Content-Length"),   SL_STR_INIT("Content-Type"),      SL_STR_INIT("Host"),
        SL_STR_INIT("User-Agent"),       SL_STR_INIT("X-Amzn-Trace-Id"),   SL_STR_INIT("X-Forwarded-For"),
        SL_STR_INIT("X-Forwarded-Port"), SL_STR_INIT("X-Forwarded-Proto"),
    };
    for (size_t i = 0; i < sizeof canonical / sizeof canonical[0]; i++) {
        if (sl_str_ieq(name, canonical[i])) return canonical[i];
    }
    char *copy = sl_arena_alloc(arena, name.len + 1);
    for (size_t i = 0; copy && i < name.len; i++)
        copy[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    return sl_str_n(copy, copy ? name.len : 0);
}

static bool write_headers(struct sl_buf *out, struct sl_arena *arena, const struct sl_proxy_request *event) {
    const struct sl_proxy_field added[] = {
        {SL_STR_INIT("X-Forwarded-Port"), event->forwarded_port},
        {SL_STR_INIT("X-Forwarded-Proto"), event->forwarded_proto},
        {SL_STR_INIT("X-Amzn-Trace-Id"), event->trace_id},
        {SL_STR_INIT("X-Forwarded-For"), event->forwarded_for},
    };
    enum { ADDED = sizeof added / sizeof added[0] };
    struct field *fields = sl_arena_alloc(arena, sizeof(*fields) * ((size_t)event->header_count + ADDED));
    struct sl_str forwarded = {0};
    unsigned count = 0;
    if (!fields) return false;
    for (unsigned i = 0; i < event->header_count; i++) {
        struct sl_str name = spelled(arena, event->headers[i].name), value = event->headers[i].value;
        bool replaced = false;
        for (unsigned j = 0; j < ADDED; j++)
            replaced = replaced || (added[j].value.len > 0 && sl_str_eq(name, added[j].name));
        if (replaced && sl_str_is(name, "X-Forwarded-For"))
            forwarded = forwarded.len ? sl_arena_printf(arena, "%.*s, %.*s", SL_FMT(forwarded), SL_FMT(value)) : value;
        if (!replaced) fields[count] = (struct field){name, value, count}, count++;
    }
    for (unsigned j = 0; j < ADDED; j++) {
        struct sl_str value = added[j].value;
        if (value.len == 0) continue;
        if (j == ADDED - 1 && forwarded.len)
            value = sl_arena_printf(arena, "%.*s, %.*s", SL_FMT(forwarded), SL_FMT(value));
        fields[count] = (struct field){added[j].name, value, count};
        count++;
    }
    sort(fields, count);
    maps(out, "headers", "multiValueHeaders", fields, count);
    return !sl_arena_failed(arena);
}

static bool write_query(struct sl_buf *out, struct sl_arena *arena, struct sl_str raw_query) {
    struct sl_proxy_field *query;
    unsigned count;
    if (!sl_proxy_query(arena, raw_query, &query, &count)) return false;
    struct field *fields = sl_arena_alloc(arena, sizeof(*fields) * (count + 1));
    if (!fields) return false;
    for (unsigned i = 0; i < count; i++) fields[i] = (struct field){query[i].name, query[i].value, i};
    sort(fields, count);
    maps(out, "queryStringParameters", "multiValueQueryStringParameters", fields, count);
    return true;
}

static void write_context(struct sl_buf *out, const struct sl_proxy_request *event, struct sl_str resource) {
    char time[SL_TIME_CLF];
    sl_time_clf(event->time_ms, time);
    sl_buf_cstr(out, "\"requestContext\":{");
    member(out, "accountId", event->account_id);
    member(out, "apiId", event->api_id);
    if (event->authorizer.len > 0) {
        key(out, "authorizer");
        sl_buf_str(out, event->authorizer);
        sl_buf_char(out, ',');
    }
    member(out, "domainName", event->domain_name);
    member(out, "domainPrefix", event->domain_prefix);
    member(out, "extendedRequestId", event->request_id);
    member(out, "httpMethod", event->method);
    sl_buf_cstr(out, "\"identity\":{\"accessKey\":null,\"accountId\":null,\"caller\":null,\"cognitoAmr\":null,"
                     "\"cognitoAuthenticationProvider\":null,"
                     "\"cognitoAuthenticationType\":null,\"cognitoIdentityId\":null,\"cognitoIdentityPoolId\":null,"
                     "\"principalOrgId\":null,");
    member(out, "sourceIp", event->source_ip);
    sl_buf_cstr(out, "\"user\":null,");
    member(out, "userAgent", event->user_agent);
    sl_buf_cstr(out, "\"userArn\":null},");
    member(out, "path", event->path);
    member(out, "protocol", event->protocol);
    member(out, "requestId", event->request_id);
    member(out, "requestTime", sl_str_of(time));
    key(out, "requestTimeEpoch");
    sl_buf_u64(out, (uint64_t)event->time_ms);
    sl_buf_char(out, ',');
    member(out, "resourceId", event->route_key);
    member(out, "resourcePath", resource);
    key(out, "stage");
    sl_json_write_string(out, event->stage);
    sl_buf_cstr(out, "},");
}

bool sl_gateway__event_v1(struct sl_buf *out, struct sl_arena *scratch, const struct sl_proxy_request *event,
                          struct sl_str resource) {
    sl_buf_cstr(out, "{\"version\":\"1.0\",");
    member(out, "resource", resource);
    member(out, "path", event->raw_path);
    member(out, "httpMethod", event->method);
    if (out->failed || !write_headers(out, scratch, event) || !write_query(out, scratch, event->raw_query))
        return false;
    write_context(out, event, resource);
    map(out, "pathParameters", event->path_parameters, event->path_parameter_count);
    map(out, "stageVariables", event->stage_variables, event->stage_variable_count);
    bool base64 = event->body.len > 0 && !sl_proxy_is_text(event->content_type, event->body);
    key(out, "body");
    if (event->body.len == 0) {
        sl_buf_cstr(out, "null");
    } else if (base64) {
        sl_buf_char(out, '"');
        sl_base64_encode(out, event->body);
        sl_buf_char(out, '"');
    } else {
        sl_json_write_string(out, event->body);
    }
    sl_buf_cstr(out, base64 ? ",\"isBase64Encoded\":true}" : ",\"isBase64Encoded\":false}");
    return !out->failed;
}

// --- the answer
// ------------------------------------------------------------------------------------------------------------------

static bool scalar(const struct sl_json *node, struct sl_str *ret) {
    if (node->type == SL_JSON_STRING || node->type == SL_JSON_NUMBER)
        *ret = node->text;
    else if (node->type == SL_JSON_TRUE)
        *ret = SL_STR("true");
    else if (node->type == SL_JSON_FALSE)
        *ret = SL_STR("false");
    else
        return false;
    return true;
}

static bool is_object(const struct sl_json *node) { return node && node->type == SL_JSON_OBJECT; }

// Multi values first. "If the same key-value pair is specified in both, only the values from multiValueHeaders will
// appear" (developer guide).
static int read_headers(struct sl_arena *arena, const struct sl_json *single, const struct sl_json *multi,
                        struct sl_proxy_response *ret, struct sl_error *err) {
    size_t most = 1 + (is_object(single) ? single->count : 0);
    for (const struct sl_json *node = is_object(multi) ? multi->first : NULL; node; node = node->next)
        most += node->count;
    struct sl_proxy_field *fields = sl_arena_alloc(arena, sizeof(*fields) * most);
    unsigned count = 0, multis;
    bool typed = false;
    if (!fields) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the answer's headers");
    for (const struct sl_json *node = is_object(multi) ? multi->first : NULL; node; node = node->next) {
        if (node->type != SL_JSON_ARRAY || !sl_proxy_is_token(node->key))
            return sl_fail(err, SL_E_INVALID, "multiValueHeaders holds something that is not a list");
        for (const struct sl_json *value = node->first; value; value = value->next) {
            if (!scalar(value, &fields[count].value))
                return sl_fail(err, SL_E_INVALID, "a header's value is not a string");
            fields[count++].name = node->key;
        }
    }
    multis = count;
    for (const struct sl_json *node = is_object(single) ? single->first : NULL; node; node = node->next) {
        struct sl_str value;
        bool twice = false;
        if (node->type == SL_JSON_NULL) continue;
        if (!scalar(node, &value) || !sl_proxy_is_token(node->key))
            return sl_fail(err, SL_E_INVALID, "a header's value is not a string");
        for (unsigned i = 0; i < multis; i++)
            twice = twice || (sl_str_ieq(fields[i].name, node->key) && sl_str_eq(fields[i].value, value));
        if (!twice) fields[count++] = (struct sl_proxy_field){node->key, value};
    }
    for (unsigned i = 0; i < count; i++) typed = typed || sl_str_ieq(fields[i].name, SL_STR("content-type"));
    if (!typed) fields[count++] = (struct sl_proxy_field){SL_STR("content-type"), SL_STR("text/plain; charset=utf-8")};
    ret->headers = fields;
    ret->header_count = count;
    return 0;
}

int sl_gateway__response_v1(struct sl_arena *arena, struct sl_str payload, struct sl_proxy_response *ret,
                            struct sl_error *err) {
    struct sl_proxy_response response = {.structured = true};
    struct sl_json *answer;
    int64_t status = 0;
    if (sl_json_parse(arena, payload, &answer, err))
        return err->kind == SL_E_NO_MEMORY ? err->kind : sl_fail(err, SL_E_INVALID, "the answer is not JSON");
    const struct sl_json *code = sl_json_get(answer, "statusCode"), *body = sl_json_get(answer, "body");
    const struct sl_json *single = sl_json_get(answer, "headers"), *multi = sl_json_get(answer, "multiValueHeaders");
    bool whole =
        code && (code->type == SL_JSON_STRING ? sl_str_to_i64(code->text, &status) : sl_json_to_i64(code, &status));
    if (!whole || status < 200 || status > 599)
        return sl_fail(err, SL_E_INVALID, "the answer has no statusCode between 200 and 599");
    if ((single && single->type != SL_JSON_NULL && !is_object(single)) ||
        (multi && multi->type != SL_JSON_NULL && !is_object(multi)))
        return sl_fail(err, SL_E_INVALID, "headers is not an object");
    if (body && body->type != SL_JSON_STRING && body->type != SL_JSON_NULL)
        return sl_fail(err, SL_E_INVALID, "body is not a string");
    if (read_headers(arena, single, multi, &response, err)) return err->kind;
    if (body && body->type == SL_JSON_STRING) response.body = body->text;
    if (sl_json_bool(answer, "isBase64Encoded", false) && response.body.len > 0 &&
        !sl_base64_decode(arena, response.body, &response.body))
        return sl_fail(err, SL_E_INVALID, "isBase64Encoded is true and body is not base64");
    response.status = (int)status;
    if (sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the function's answer");
    *ret = response;
    return 0;
}
