// SPDX-License-Identifier: Apache-2.0
//
// proxy_event: payload format 2.0, both ways (see proxy_event.h).
//
// Fields of one name are joined, so they are sorted first by (name, position): a heap sort over the arena's array,
// because an attacker chooses the names (a hash table would need a keyed hash) and because qsort may allocate. The
// order of keys in the event is therefore alphabetical, as in AWS's own examples.
#include "invoke/proxy_event.h"

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"

struct pair {
    struct sl_proxy_field field;
    unsigned position;
};

static int pair_cmp(const struct pair *a, const struct pair *b) {
    int by_name = sl_str_cmp(a->field.name, b->field.name);
    if (by_name != 0) return by_name;
    return a->position < b->position ? -1 : a->position > b->position;
}

static void sift(struct pair *pairs, size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && pair_cmp(&pairs[child], &pairs[child + 1]) < 0) child++;
        if (pair_cmp(&pairs[root], &pairs[child]) >= 0) return;
        struct pair swap = pairs[root];
        pairs[root] = pairs[child];
        pairs[child] = swap;
    }
}

static void sort_pairs(struct pair *pairs, size_t count) {
    for (size_t root = count / 2; root-- > 0;) sift(pairs, root, count);
    for (size_t end = count; end-- > 1;) {
        struct pair swap = pairs[0];
        pairs[0] = pairs[end];
        pairs[end] = swap;
        sift(pairs, 0, end);
    }
}

// Value of a run of pairs with one name: joined with commas.
static struct sl_str join_values(struct sl_arena *arena, const struct pair *pairs, size_t count) {
    if (count == 1) return pairs[0].field.value;
    size_t len = count - 1;
    for (size_t i = 0; i < count; i++) len += pairs[i].field.value.len;
    char *text = sl_arena_alloc(arena, len);
    if (!text) return SL_STR("");
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) text[at++] = ',';
        if (pairs[i].field.value.len > 0) memcpy(text + at, pairs[i].field.value.ptr, pairs[i].field.value.len);
        at += pairs[i].field.value.len;
    }
    return sl_str_n(text, len);
}

// {"name":"value,value",...} of pairs in any order; repeated names are joined.
static void write_joined(struct sl_buf *out, struct sl_arena *arena, struct pair *pairs, size_t count) {
    sort_pairs(pairs, count);
    sl_buf_char(out, '{');
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && sl_str_eq(pairs[i].field.name, pairs[end].field.name);) end++;
        if (i > 0) sl_buf_char(out, ',');
        sl_json_write_string(out, pairs[i].field.name);
        sl_buf_char(out, ':');
        sl_json_write_string(out, join_values(arena, pairs + i, end - i));
    }
    sl_buf_char(out, '}');
}

static struct sl_str lower(struct sl_arena *arena, struct sl_str s) {
    size_t i = 0;
    while (i < s.len && !(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')) i++;
    if (i == s.len) return s; // already lower case: the common case with HTTP/2 minded clients
    char *copy = sl_arena_alloc(arena, s.len);
    if (!copy) return s;
    for (i = 0; i < s.len; i++)
        copy[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + ('a' - 'A') : s.ptr[i]);
    return sl_str_n(copy, s.len);
}

static void put_key(struct sl_buf *out, const char *key) {
    sl_buf_char(out, '"');
    sl_buf_cstr(out, key);
    sl_buf_cstr(out, "\":");
}

static void put_member(struct sl_buf *out, const char *key, struct sl_str value) {
    put_key(out, key);
    sl_json_write_string(out, value);
    sl_buf_char(out, ',');
}

// "cookies":["a=1","b=2"], from every Cookie field, split at ';' (RFC 6265 section 4.2.1).
static void write_cookies(struct sl_buf *out, const struct sl_proxy_request *request) {
    bool any = false;
    for (unsigned i = 0; i < request->header_count; i++) {
        if (!sl_str_ieq(request->headers[i].name, SL_STR("cookie"))) continue;
        struct sl_str rest = request->headers[i].value, part;
        while (sl_str_split(&rest, ';', &part)) {
            part = sl_str_trim(part);
            if (part.len == 0) continue;
            sl_buf_cstr(out, any ? "," : "\"cookies\":[");
            sl_json_write_string(out, part);
            any = true;
        }
    }
    if (any) sl_buf_cstr(out, "],");
}

// Fields the front sets itself replace the client's, except X-Forwarded-For, which grows by one hop.
static bool write_headers(struct sl_buf *out, struct sl_arena *arena, const struct sl_proxy_request *request) {
    const struct sl_proxy_field added[] = {
        {SL_STR("x-forwarded-for"), request->forwarded_for},
        {SL_STR("x-forwarded-port"), request->forwarded_port},
        {SL_STR("x-forwarded-proto"), request->forwarded_proto},
        {SL_STR("x-amzn-trace-id"), request->trace_id},
    };
    enum { ADDED = sizeof(added) / sizeof(added[0]) };
    struct pair *pairs = sl_arena_alloc(arena, sizeof(*pairs) * ((size_t)request->header_count + ADDED));
    if (!pairs) return false;
    struct sl_str forwarded = {NULL, 0};
    unsigned count = 0;
    for (unsigned i = 0; i < request->header_count; i++) {
        struct sl_str name = lower(arena, request->headers[i].name), value = request->headers[i].value;
        if (!request->keep_cookie_header && sl_str_is(name, "cookie")) continue;
        bool replaced = false;
        for (unsigned j = 0; j < ADDED && !replaced; j++)
            replaced = added[j].value.len > 0 && sl_str_eq(name, added[j].name);
        if (replaced && sl_str_is(name, "x-forwarded-for"))
            forwarded =
                forwarded.len == 0 ? value : sl_arena_printf(arena, "%.*s, %.*s", SL_FMT(forwarded), SL_FMT(value));
        if (!replaced) {
            pairs[count] = (struct pair){{name, value}, count};
            count++;
        }
    }
    for (unsigned j = 0; j < ADDED; j++) {
        if (added[j].value.len == 0) continue;
        struct sl_str value = added[j].value;
        if (j == 0 && forwarded.len > 0) value = sl_arena_printf(arena, "%.*s, %.*s", SL_FMT(forwarded), SL_FMT(value));
        pairs[count] = (struct pair){{added[j].name, value}, count};
        count++;
    }
    put_key(out, "headers");
    write_joined(out, arena, pairs, count);
    sl_buf_char(out, ',');
    return !sl_arena_failed(arena);
}

static bool write_query(struct sl_buf *out, struct sl_arena *arena, struct sl_str raw_query) {
    struct sl_proxy_field *fields;
    unsigned count;
    if (!sl_proxy_query(arena, raw_query, &fields, &count)) return false;
    if (count == 0) return true;
    struct pair *pairs = sl_arena_alloc(arena, sizeof(*pairs) * count);
    if (!pairs) return false;
    for (unsigned i = 0; i < count; i++) pairs[i] = (struct pair){fields[i], i};
    put_key(out, "queryStringParameters");
    write_joined(out, arena, pairs, count);
    sl_buf_char(out, ',');
    return !sl_arena_failed(arena);
}

static void write_fields(struct sl_buf *out, const char *key, const struct sl_proxy_field *fields, unsigned count) {
    if (count == 0) return;
    put_key(out, key);
    for (unsigned i = 0; i < count; i++) {
        sl_buf_char(out, i == 0 ? '{' : ',');
        sl_json_write_string(out, fields[i].name);
        sl_buf_char(out, ':');
        sl_json_write_string(out, fields[i].value);
    }
    sl_buf_cstr(out, "},");
}

static void write_context(struct sl_buf *out, const struct sl_proxy_request *request) {
    put_key(out, "requestContext");
    sl_buf_char(out, '{');
    put_member(out, "accountId", request->account_id);
    put_member(out, "apiId", request->api_id);
    if (request->authentication.len > 0) {
        put_key(out, "authentication");
        sl_buf_str(out, request->authentication);
        sl_buf_char(out, ',');
    }
    if (request->authorizer.len > 0) {
        put_key(out, "authorizer");
        sl_buf_str(out, request->authorizer);
        sl_buf_char(out, ',');
    }
    put_member(out, "domainName", request->domain_name);
    put_member(out, "domainPrefix", request->domain_prefix);
    put_key(out, "http");
    sl_buf_char(out, '{');
    put_member(out, "method", request->method);
    put_member(out, "path", request->path);
    put_member(out, "protocol", request->protocol);
    put_member(out, "sourceIp", request->source_ip);
    put_key(out, "userAgent");
    sl_json_write_string(out, request->user_agent);
    sl_buf_cstr(out, "},");
    put_member(out, "requestId", request->request_id);
    put_member(out, "routeKey", request->route_key);
    put_member(out, "stage", request->stage);
    char time[SL_TIME_CLF];
    sl_time_clf(request->time_ms, time);
    put_member(out, "time", sl_str_of(time));
    put_key(out, "timeEpoch");
    sl_buf_u64(out, (uint64_t)request->time_ms);
    sl_buf_cstr(out, "},");
}

bool sl_proxy_event_v2(struct sl_buf *out, struct sl_arena *scratch, const struct sl_proxy_request *request) {
    sl_buf_cstr(out, "{\"version\":\"2.0\",");
    put_member(out, "routeKey", request->route_key);
    put_member(out, "rawPath", request->raw_path);
    put_member(out, "rawQueryString", request->raw_query);
    write_cookies(out, request);
    if (!write_headers(out, scratch, request) || !write_query(out, scratch, request->raw_query)) return false;
    write_context(out, request);
    write_fields(out, "pathParameters", request->path_parameters, request->path_parameter_count);
    write_fields(out, "stageVariables", request->stage_variables, request->stage_variable_count);
    bool base64 = false;
    if (request->body.len > 0) {
        put_key(out, "body");
        base64 = !sl_proxy_is_text(request->content_type, request->body);
        if (base64) {
            sl_buf_char(out, '"');
            sl_base64_encode(out, request->body);
            sl_buf_char(out, '"');
        } else {
            sl_json_write_string(out, request->body);
        }
        sl_buf_char(out, ',');
    }
    sl_buf_cstr(out, base64 ? "\"isBase64Encoded\":true}" : "\"isBase64Encoded\":false}");
    return !out->failed;
}

bool sl_proxy_is_text(struct sl_str content_type, struct sl_str body) {
    ptrdiff_t semicolon = sl_str_chr(content_type, ';', 0);
    struct sl_str type = sl_str_trim(semicolon < 0 ? content_type : sl_str_sub(content_type, 0, (size_t)semicolon));
    bool text = sl_str_ieq(sl_str_sub(type, 0, 5), SL_STR("text/")) || sl_str_ieq(type, SL_STR("application/json")) ||
                sl_str_ieq(type, SL_STR("application/xml")) || sl_str_ieq(type, SL_STR("application/javascript"));
    if (!text && type.len > 5) text = sl_str_ieq(sl_str_sub(type, type.len - 5, type.len), SL_STR("+json"));
    if (!text && type.len > 4) text = sl_str_ieq(sl_str_sub(type, type.len - 4, type.len), SL_STR("+xml"));
    return text && sl_utf8_valid(body);
}

static struct sl_str decode_or_keep(struct sl_arena *arena, struct sl_str text) {
    struct sl_str decoded;
    return sl_percent_decode(arena, text, true, &decoded) ? decoded : text;
}

bool sl_proxy_query(struct sl_arena *arena, struct sl_str raw_query, struct sl_proxy_field **ret, unsigned *ret_count) {
    *ret = NULL;
    *ret_count = 0;
    if (raw_query.len == 0) return true;
    size_t most = 1;
    for (size_t i = 0; i < raw_query.len; i++) most += raw_query.ptr[i] == '&';
    struct sl_proxy_field *fields = sl_arena_alloc(arena, sizeof(*fields) * most);
    if (!fields) return false;
    unsigned count = 0;
    struct sl_str rest = raw_query, part;
    while (sl_str_split(&rest, '&', &part)) {
        if (part.len == 0) continue;
        ptrdiff_t equals = sl_str_chr(part, '=', 0);
        struct sl_str name = equals < 0 ? part : sl_str_sub(part, 0, (size_t)equals);
        struct sl_str value = equals < 0 ? SL_STR("") : sl_str_sub(part, (size_t)equals + 1, part.len);
        fields[count++] = (struct sl_proxy_field){decode_or_keep(arena, name), decode_or_keep(arena, value)};
    }
    *ret = fields;
    *ret_count = count;
    return !sl_arena_failed(arena);
}

bool sl_proxy_is_token(struct sl_str name) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == '\0' || !strchr(others, c))) return false;
    }
    return name.len > 0;
}

// --- the answer
// ------------------------------------------------------------------------------------------------------------------

static int read_status(const struct sl_json *node, int *ret, struct sl_error *err) {
    int64_t status = 0;
    bool ok = node->type == SL_JSON_STRING ? sl_str_to_i64(node->text, &status)
                                           : node->type == SL_JSON_NUMBER && sl_json_to_i64(node, &status);
    // 1xx would end neither the response nor the connection's turn; AWS answers an internal error for it.
    if (!ok || status < 200 || status > 599)
        return sl_fail(err, SL_E_INVALID, "statusCode is not a status between 200 and 599");
    *ret = (int)status;
    return 0;
}

// One field more than the map has: room for the default content-type.
static int read_headers(struct sl_arena *arena, const struct sl_json *map, struct sl_str default_type,
                        struct sl_proxy_response *ret, struct sl_error *err) {
    if (map && map->type != SL_JSON_OBJECT && map->type != SL_JSON_NULL)
        return sl_fail(err, SL_E_INVALID, "headers is not an object");
    size_t most = (map && map->type == SL_JSON_OBJECT ? map->count : 0) + 1;
    struct sl_proxy_field *fields = sl_arena_alloc(arena, sizeof(*fields) * most);
    if (!fields) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the answer's headers");
    unsigned count = 0;
    bool typed = false;
    for (const struct sl_json *node = map && map->type == SL_JSON_OBJECT ? map->first : NULL; node; node = node->next) {
        if (node->type == SL_JSON_NULL) continue;
        if (!sl_proxy_is_token(node->key) || !sl_json_scalar(node, &fields[count].value))
            return sl_fail(err, SL_E_INVALID, "header %.*s is not a field of one value",
                           SL_FMT(sl_str_sub(node->key, 0, 64)));
        fields[count++].name = node->key;
        typed = typed || sl_str_ieq(node->key, SL_STR("content-type"));
    }
    if (!typed) fields[count++] = (struct sl_proxy_field){SL_STR("content-type"), default_type};
    ret->headers = fields;
    ret->header_count = count;
    return 0;
}

static int read_cookies(struct sl_arena *arena, const struct sl_json *list, struct sl_proxy_response *ret,
                        struct sl_error *err) {
    if (!list || list->type == SL_JSON_NULL) return 0;
    if (list->type != SL_JSON_ARRAY) return sl_fail(err, SL_E_INVALID, "cookies is not a list");
    if (list->count == 0) return 0;
    struct sl_str *cookies = sl_arena_alloc(arena, sizeof(*cookies) * list->count);
    if (!cookies) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the answer's cookies");
    unsigned count = 0;
    for (const struct sl_json *node = list->first; node; node = node->next) {
        if (node->type != SL_JSON_STRING)
            return sl_fail(err, SL_E_INVALID, "cookies holds something that is not a string");
        cookies[count++] = node->text;
    }
    ret->cookies = cookies;
    ret->cookie_count = count;
    return 0;
}

static int read_body(struct sl_arena *arena, const struct sl_json *answer, size_t payload_len, bool lenient,
                     struct sl_proxy_response *ret, struct sl_error *err) {
    const struct sl_json *body = sl_json_get(answer, "body");
    if (!body || body->type == SL_JSON_NULL) return 0;
    if (body->type != SL_JSON_STRING) {
        if (!lenient) return sl_fail(err, SL_E_INVALID, "body is not a string");
        // Compact text is never longer than six times what was read (a control character as \u00XX).
        ret->body = sl_json_text(arena, body, payload_len * 6 + 16);
        return 0;
    }
    ret->body = body->text;
    if (!sl_json_bool(answer, "isBase64Encoded", false)) return 0;
    if (!sl_base64_decode(arena, body->text, &ret->body))
        return sl_fail(err, SL_E_INVALID, "isBase64Encoded is true and body is not base64");
    return 0;
}

// The whole value is the body.
static int whole_value(struct sl_arena *arena, const struct sl_json *value, size_t payload_len,
                       struct sl_proxy_response *ret, struct sl_error *err) {
    int result = read_headers(arena, NULL, SL_STR("application/json"), ret, err);
    if (result != 0) return result;
    ret->status = 200;
    ret->body = value->type == SL_JSON_STRING ? value->text : sl_json_text(arena, value, payload_len * 6 + 16);
    return 0;
}

int sl_proxy_response_v2(struct sl_arena *arena, struct sl_str payload, const struct sl_proxy_rules *rules,
                         struct sl_proxy_response *ret, struct sl_error *err) {
    struct sl_proxy_response response = {0};
    struct sl_json *answer;
    int result = sl_json_parse(arena, payload, &answer, err);
    if (result != 0 && result != SL_E_SERIALIZATION) return result;
    if (result != 0) {
        if (!rules->lenient) return sl_fail(err, SL_E_INVALID, "the answer is not JSON");
        result = read_headers(arena, NULL, SL_STR("application/json"), &response, err);
        response.status = 200;
        response.body = payload;
    } else {
        const struct sl_json *status = answer->type == SL_JSON_OBJECT ? sl_json_get(answer, "statusCode") : NULL;
        response.structured = status && status->type != SL_JSON_NULL;
        if (!response.structured) {
            result = whole_value(arena, answer, payload.len, &response, err);
        } else {
            result = read_status(status, &response.status, err);
            if (result == 0)
                result = read_headers(arena, sl_json_get(answer, "headers"), rules->default_type, &response, err);
            if (result == 0) result = read_cookies(arena, sl_json_get(answer, "cookies"), &response, err);
            if (result == 0) result = read_body(arena, answer, payload.len, rules->lenient, &response, err);
        }
    }
    if (result == 0 && sl_arena_failed(arena))
        result = sl_fail(err, SL_E_NO_MEMORY, "out of memory for the function's answer");
    if (result == 0) *ret = response;
    return result;
}

// --- preludes
// --------------------------------------------------------------------------------------------------------------------

bool sl_proxy_has_prelude(struct sl_str content_type) {
    const struct sl_str type = SL_STR("application/vnd.awslambda.http-integration-response");
    ptrdiff_t end = sl_str_chr(content_type, ';', 0);
    return sl_str_ieq(sl_str_trim(end < 0 ? content_type : sl_str_sub(content_type, 0, (size_t)end)), type);
}

ptrdiff_t sl_proxy_prelude_len(struct sl_str bytes) {
    return sl_str_find(bytes, sl_str_n("\0\0\0\0\0\0\0\0", SL_PROXY_PRELUDE_END));
}

// Appends the fields of {"name": ["value", ...]} to those that there are.
static int add_multi_headers(struct sl_arena *arena, const struct sl_json *map, struct sl_proxy_response *ret,
                             struct sl_error *err) {
    if (!map || map->type == SL_JSON_NULL) return 0;
    size_t most = ret->header_count;
    for (const struct sl_json *node = map->first; node; node = node->next) most += node->count;
    struct sl_proxy_field *fields = sl_arena_alloc(arena, sizeof(*fields) * (most + 1));
    if (!fields) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the answer's headers");
    memcpy(fields, ret->headers, sizeof(*fields) * ret->header_count);
    unsigned count = ret->header_count;
    for (const struct sl_json *node = map->first; node; node = node->next) {
        if (map->type != SL_JSON_OBJECT || node->type != SL_JSON_ARRAY || !sl_proxy_is_token(node->key))
            return sl_fail(err, SL_E_INVALID, "multiValueHeaders is not an object of lists");
        for (const struct sl_json *value = node->first; value; value = value->next) {
            if (!sl_json_scalar(value, &fields[count].value))
                return sl_fail(err, SL_E_INVALID, "a value of multiValueHeaders is not a field's");
            fields[count++].name = node->key;
        }
    }
    ret->headers = fields;
    ret->header_count = count;
    return 0;
}

int sl_proxy_prelude(struct sl_arena *arena, struct sl_str document, struct sl_proxy_response *ret,
                     struct sl_error *err) {
    struct sl_proxy_response response = {.status = 200, .structured = true};
    struct sl_json *prelude;
    int result = sl_json_parse(arena, document, &prelude, err);
    if (result == 0 && prelude->type != SL_JSON_OBJECT) result = sl_fail(err, SL_E_INVALID, "the prelude is no object");
    const struct sl_json *status = result == 0 ? sl_json_get(prelude, "statusCode") : NULL;
    if (status && status->type != SL_JSON_NULL) result = read_status(status, &response.status, err);
    if (result == 0)
        result =
            read_headers(arena, sl_json_get(prelude, "headers"), SL_STR("application/octet-stream"), &response, err);
    if (result == 0) result = add_multi_headers(arena, sl_json_get(prelude, "multiValueHeaders"), &response, err);
    if (result == 0) result = read_cookies(arena, sl_json_get(prelude, "cookies"), &response, err);
    if (result == 0) *ret = response;
    return result;
}
