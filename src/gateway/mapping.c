// SPDX-License-Identifier: Apache-2.0
//
// mapping: see mapping.h. Reserved header names are those of the developer guide's list ("Reserved headers").
#include "gateway/mapping.h"

#define INVALID "Invalid mapping expression specified: Validation Result: warnings : [], errors : [%s%.*s]"

static const char *const reserved[] = {
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "forwarded",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "via",
    "host",
};
static const char *const reserved_prefixes[] = {"access-control-", "apigw-", "x-amz-", "x-amzn-"};

static bool is_reserved(struct sl_str lower) {
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (sl_str_is(lower, reserved[i])) return true;
    }
    for (size_t i = 0; i < sizeof reserved_prefixes / sizeof reserved_prefixes[0]; i++) {
        if (sl_str_starts(lower, sl_str_of(reserved_prefixes[i]))) return true;
    }
    return false;
}

static struct sl_str lower(struct sl_arena *arena, struct sl_str s) {
    char *copy = sl_arena_alloc(arena, s.len + 1);
    for (size_t i = 0; copy && i < s.len; i++)
        copy[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + 32 : s.ptr[i]);
    return sl_str_n(copy, copy ? s.len : 0);
}

// --- keys: "append:header.name"
// --------------------------------------------------------------------------------------------------

static bool take(struct sl_str *s, const char *prefix) {
    if (!sl_str_starts(*s, sl_str_of(prefix))) return false;
    *s = sl_str_sub(*s, strlen(prefix), s->len);
    return true;
}

static int parse_key(struct sl_arena *arena, struct sl_str key, bool response, struct sl_gw_item *item,
                     struct sl_error *err) {
    const char *what =
        response ? "Invalid Response Actioned Parameter specified: " : "Invalid Request Actioned Parameter specified: ";
    struct sl_str rest = key;
    if (take(&rest, "append:")) {
        item->change = SL_GW_APPEND;
    } else if (take(&rest, "overwrite:")) {
        item->change = SL_GW_OVERWRITE;
    } else if (take(&rest, "remove:")) {
        item->change = SL_GW_REMOVE;
    } else {
        return sl_fail(err, SL_E_BAD_REQUEST, INVALID, what, SL_FMT(key));
    }
    bool overwrite = item->change == SL_GW_OVERWRITE;
    if (take(&rest, "header.") && rest.len > 0) {
        item->target = SL_GW_TO_HEADER;
        item->name = lower(arena, rest);
        if (is_reserved(item->name))
            return sl_fail(err, SL_E_BAD_REQUEST,
                           "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                           "[Operations on header %.*s are restricted]",
                           SL_FMT(rest));
    } else if (!response && take(&rest, "querystring.") && rest.len > 0) {
        item->target = SL_GW_TO_QUERY;
        item->name = rest;
    } else if (!response && overwrite && sl_str_is(rest, "path")) {
        item->target = SL_GW_TO_PATH;
    } else if (response && overwrite && sl_str_is(rest, "statuscode")) {
        item->target = SL_GW_TO_STATUS;
    } else {
        return sl_fail(err, SL_E_BAD_REQUEST, INVALID, what, SL_FMT(key));
    }
    return 0;
}

// --- values
// ----------------------------------------------------------------------------------------------------------------------

static const char *const context_names[] = {
    "accountId",        "apiId",    "domainName", "domainPrefix",      "extendedRequestId",
    "httpMethod",       "path",     "protocol",   "requestId",         "requestTime",
    "requestTimeEpoch", "routeKey", "stage",      "identity.sourceIp", "identity.userAgent",
};

// "request.header.x" without its '$'.
static bool parse_variable(struct sl_str text, bool response, struct sl_gw_part *part) {
    struct sl_str rest = text;
    part->source = SL_GW_FROM_TEXT;
    if (take(&rest, "context.")) {
        for (size_t i = 0; i < sizeof context_names / sizeof context_names[0]; i++) {
            if (sl_str_is(rest, context_names[i])) part->source = SL_GW_FROM_CONTEXT;
        }
    } else if (take(&rest, "stageVariables.")) {
        part->source = SL_GW_FROM_STAGE_VARIABLE;
    } else if (response) {
        if (take(&rest, "response.header."))
            part->source = SL_GW_FROM_RESPONSE_HEADER;
        else if (take(&rest, "response.body."))
            part->source = SL_GW_FROM_RESPONSE_BODY;
    } else if (take(&rest, "request.header.")) {
        part->source = SL_GW_FROM_HEADER;
    } else if (take(&rest, "request.querystring.")) {
        part->source = SL_GW_FROM_QUERY;
    } else if (take(&rest, "request.body.")) {
        part->source = SL_GW_FROM_BODY;
    } else if (sl_str_is(rest, "request.path")) {
        part->source = SL_GW_FROM_PATH;
        part->text = SL_STR("");
        return true;
    } else if (take(&rest, "request.path.")) {
        part->source = SL_GW_FROM_PATH;
    }
    part->text = rest;
    bool body = part->source == SL_GW_FROM_BODY || part->source == SL_GW_FROM_RESPONSE_BODY;
    if (body && (sl_str_find(rest, SL_STR("..")) >= 0 || sl_str_find(rest, SL_STR("?(")) >= 0))
        return false; // not supported, as documented
    return part->source != SL_GW_FROM_TEXT && rest.len > 0;
}

static bool add_part(struct sl_arena *arena, struct sl_gw_part ***tail, struct sl_gw_part part) {
    struct sl_gw_part *made = sl_arena_alloc(arena, sizeof(*made));
    if (!made) return false;
    *made = part;
    made->next = NULL;
    **tail = made;
    *tail = &made->next;
    return true;
}

static int parse_value(struct sl_arena *arena, struct sl_str value, bool response, struct sl_gw_item *item,
                       struct sl_error *err) {
    struct sl_gw_part **tail = &item->parts, part;
    if (value.len > 1 && value.ptr[0] == '$' && value.ptr[1] != '{') {
        if (!parse_variable(sl_str_sub(value, 1, value.len), response, &part))
            return sl_fail(err, SL_E_BAD_REQUEST, INVALID, "Invalid mapping expression specified: ", SL_FMT(value));
        add_part(arena, &tail, part);
        return 0;
    }
    struct sl_str rest = value;
    while (rest.len > 0) {
        ptrdiff_t at = sl_str_find(rest, SL_STR("${"));
        size_t literal = at < 0 ? rest.len : (size_t)at;
        if (literal > 0)
            add_part(arena, &tail,
                     (struct sl_gw_part){.source = SL_GW_FROM_TEXT, .text = sl_str_sub(rest, 0, literal)});
        if (at < 0) break;
        ptrdiff_t end = sl_str_chr(rest, '}', literal);
        if (end < 0 || !parse_variable(sl_str_sub(rest, literal + 2, (size_t)end), response, &part))
            return sl_fail(err, SL_E_BAD_REQUEST, INVALID, "Invalid mapping expression specified: ", SL_FMT(value));
        add_part(arena, &tail, part);
        rest = sl_str_sub(rest, (size_t)end + 1, rest.len);
    }
    return 0;
}

static int parse_object(struct sl_arena *arena, const struct sl_json *parameters, bool response,
                        struct sl_gw_mapping *ret, struct sl_error *err) {
    struct sl_gw_item **tail = &ret->items;
    *ret = (struct sl_gw_mapping){0};
    for (const struct sl_json *node = parameters ? parameters->first : NULL; node; node = node->next) {
        struct sl_gw_item *item = sl_arena_zalloc(arena, sizeof(*item));
        if (!item) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a parameter mapping");
        if (parse_key(arena, node->key, response, item, err)) return err ? err->kind : SL_E_BAD_REQUEST;
        if (item->change != SL_GW_REMOVE && parse_value(arena, node->text, response, item, err))
            return err ? err->kind : SL_E_BAD_REQUEST;
        for (const struct sl_gw_part *part = item->parts; part; part = part->next)
            ret->body = ret->body || part->source == SL_GW_FROM_BODY || part->source == SL_GW_FROM_RESPONSE_BODY;
        *tail = item;
        tail = &item->next;
    }
    return sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory for a parameter mapping") : 0;
}

int sl_gateway__mapping_request(struct sl_arena *arena, const struct sl_json *parameters, struct sl_gw_mapping *ret,
                                struct sl_error *err) {
    return parse_object(arena, parameters, false, ret, err);
}

int sl_gateway__mapping_response(struct sl_arena *arena, const struct sl_json *parameters,
                                 struct sl_gw_status_mapping **ret, struct sl_error *err) {
    struct sl_gw_status_mapping **tail = ret;
    *ret = NULL;
    for (const struct sl_json *node = parameters ? parameters->first : NULL; node; node = node->next) {
        uint64_t status;
        if (!sl_str_to_u64(node->key, &status) || status < 200 || status > 599)
            return sl_fail(err, SL_E_BAD_REQUEST, INVALID,
                           "Invalid status code specified in responseParameters: ", SL_FMT(node->key));
        struct sl_gw_status_mapping *made = sl_arena_zalloc(arena, sizeof(*made));
        if (!made) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a parameter mapping");
        made->status = (int)status;
        if (parse_object(arena, node, true, &made->mapping, err)) return err ? err->kind : SL_E_BAD_REQUEST;
        *tail = made;
        tail = &made->next;
    }
    return 0;
}

// --- evaluation
// ------------------------------------------------------------------------------------------------------------------

struct sl_str sl_gateway__mapping_value(struct sl_arena *arena, const struct sl_gw_item *item,
                                        sl_gw_resolve_fn *resolve, void *user) {
    const struct sl_gw_part *first = item->parts;
    if (!first) return SL_STR("");
    if (!first->next) return first->source == SL_GW_FROM_TEXT ? first->text : resolve(user, first->source, first->text);
    struct sl_str text = SL_STR("");
    for (const struct sl_gw_part *part = first; part; part = part->next) {
        struct sl_str value = part->source == SL_GW_FROM_TEXT ? part->text : resolve(user, part->source, part->text);
        text = sl_arena_printf(arena, "%.*s%.*s", SL_FMT(text), SL_FMT(value));
    }
    return text;
}

static struct sl_str node_text(struct sl_arena *arena, const struct sl_json *node) {
    if (node->type == SL_JSON_STRING || node->type == SL_JSON_NUMBER) return node->text;
    return sl_json_text(arena, node, 128 * 1024);
}

static const struct sl_json *element(const struct sl_json *node, uint64_t index) {
    if (!node || node->type != SL_JSON_ARRAY) return NULL;
    const struct sl_json *child = node->first;
    while (child && index-- > 0) child = child->next;
    return child;
}

struct sl_str sl_gateway__json_path(struct sl_arena *arena, const struct sl_json *document, struct sl_str path) {
    const struct sl_json *node = document;
    while (node && path.len > 0) {
        size_t end = 0;
        if (path.ptr[0] == '[') {
            ptrdiff_t close = sl_str_chr(path, ']', 0);
            uint64_t index;
            if (close < 0) return (struct sl_str){0};
            struct sl_str inside = sl_str_sub(path, 1, (size_t)close);
            if (sl_str_to_u64(inside, &index))
                node = element(node, index);
            else if (inside.len >= 2 && (inside.ptr[0] == '\'' || inside.ptr[0] == '"'))
                node = sl_json_get_str(node, sl_str_sub(inside, 1, inside.len - 1));
            else
                return (struct sl_str){0};
            end = (size_t)close + 1;
        } else {
            while (end < path.len && path.ptr[end] != '.' && path.ptr[end] != '[') end++;
            node = sl_json_get_str(node, sl_str_sub(path, 0, end));
        }
        if (end < path.len && path.ptr[end] == '.') end++;
        path = sl_str_sub(path, end, path.len);
    }
    return node ? node_text(arena, node) : (struct sl_str){0};
}
