// SPDX-License-Identifier: Apache-2.0
//
// route: see route.h. A linear scan over a service's operations: at most 124 comparisons of a number of segments and a
// method, which lie together in memory. The path is split once.
#include "aws/route.h"

#include "aws/arn.h"
#include "base/encoding.h"

struct path {
    struct sl_str segments[SL_ROUTE_SEGMENTS];
    struct sl_str rest[SL_ROUTE_SEGMENTS]; // from that segment to the end, for greedy labels
    unsigned count;
};

static bool split_path(struct sl_str path, struct path *ret) {
    ret->count = 0;
    if (path.len == 0 || path.ptr[0] != '/') return false;
    path = sl_str_sub(path, 1, path.len);
    if (path.len > 0 && path.ptr[path.len - 1] == '/') path.len--;
    struct sl_str rest = path, segment;
    while (path.len > 0 && rest.ptr) {
        struct sl_str whole = rest;
        if (!sl_str_split(&rest, '/', &segment)) break;
        if (ret->count == SL_ROUTE_SEGMENTS) return false;
        ret->rest[ret->count] = whole;
        ret->segments[ret->count++] = segment;
    }
    return true;
}

static bool has_parameter(struct sl_str query, const struct sl_discriminator *wanted) {
    struct sl_str rest = query, pair;
    while (sl_str_split(&rest, '&', &pair)) {
        struct sl_str value = pair, key;
        sl_str_split(&value, '=', &key);
        if (sl_str_eq(key, wanted->key) && (wanted->value.len == 0 || sl_str_eq(value, wanted->value))) return true;
    }
    return false;
}

// Told by one number of the service's table, which is all that is looked at of most operations.
static bool fits(unsigned shape, unsigned method, unsigned segments) {
    unsigned count = shape & SL_PATH_COUNT;
    return (shape & 0xff00) == method && (shape & SL_PATH_GREEDY ? segments >= count : segments == count);
}

static bool match_path(const struct sl_operation *operation, const struct path *path, struct sl_route *ret) {
    unsigned count = operation->segment_count;
    for (unsigned i = 0; i < count; i++) {
        const struct sl_segment *segment = &operation->segments[i];
        ret->labels[i] = (struct sl_str){0};
        if (segment->label) {
            ret->labels[i] = segment->greedy ? path->rest[i] : path->segments[i];
            if (ret->labels[i].len == 0) return false;
        } else if (!sl_str_eq(segment->text, path->segments[i])) {
            return false;
        }
    }
    return true;
}

// Literal segments count, so that "/restapis/import" style literals beat labels in the same place.
static int specificity(const struct sl_operation *operation) {
    int score = operation->discriminator_count * 100;
    for (unsigned i = 0; i < operation->segment_count; i++) score += !operation->segments[i].label;
    return score;
}

static bool match_operation(const struct sl_operation *operation, const struct sl_aws_request *request,
                            const struct path *path, struct sl_route *ret) {
    if (!sl_str_eq(operation->method, request->method) || !match_path(operation, path, ret)) return false;
    for (unsigned i = 0; i < operation->discriminator_count; i++) {
        if (!has_parameter(request->query, &operation->discriminators[i])) return false;
    }
    return true;
}

bool sl_route_rest(const struct sl_service *service, const struct sl_aws_request *request, struct sl_route *ret) {
    struct path path;
    struct sl_route candidate;
    int best = -1;
    struct sl_str whole = request->path;
    struct sl_str prefix = {0};
    // Callbacks to connections come below the stage's URL, whatever that is.
    ptrdiff_t at =
        sl_str_is(service->endpoint_prefix, "execute-api") ? sl_str_find(whole, SL_STR("/@connections/")) : -1;
    if (at > 0) {
        prefix = sl_str_sub(whole, 0, (size_t)at);
        whole = sl_str_sub(whole, (size_t)at, whole.len);
    }
    if (!split_path(whole, &path) || !request->method.len) return false;
    unsigned method = SL_PATH_METHOD(request->method.ptr[0], (unsigned)request->method.len);
    for (unsigned i = 0; i < service->operation_count; i++) {
        const struct sl_operation *operation = &service->operations[i];
        if (!fits(service->paths[i], method, path.count)) continue;
        if (!match_operation(operation, request, &path, &candidate)) continue;
        int score = specificity(operation);
        if (score <= best) continue;
        best = score;
        *ret = candidate;
        ret->operation = operation;
        ret->prefix = prefix;
    }
    return best >= 0;
}

bool sl_route_any(struct sl_str signing_name, const struct sl_aws_request *request, struct sl_route *ret) {
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if ((*at)->protocol != SL_PROTOCOL_REST_JSON) continue;
        if (signing_name.len && !sl_str_eq((*at)->signing_name, signing_name)) continue;
        if (sl_route_rest(*at, request, ret)) return true;
    }
    return false;
}

bool sl_route_knows(struct sl_str signing_name) {
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if (sl_str_eq((*at)->signing_name, signing_name)) return true;
    }
    return false;
}

static bool speaks_query(const struct sl_service *service) {
    return service->protocol == SL_PROTOCOL_QUERY || service->query_compatible;
}

const struct sl_service *sl_route_query_service(struct sl_str signing_name) {
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if (speaks_query(*at) && sl_str_eq((*at)->signing_name, signing_name)) return *at;
    }
    return NULL;
}

const struct sl_operation *sl_route_target(const struct sl_aws_request *request,
                                           const struct sl_service **ret_service) {
    struct sl_str name = sl_aws_request_header(request, SL_STR("X-Amz-Target")), prefix;
    *ret_service = NULL;
    if (!sl_str_split(&name, '.', &prefix) || !name.ptr) return NULL;
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if (!sl_str_eq((*at)->target_prefix, prefix)) continue;
        *ret_service = *at;
        return sl_operation_find(*at, name);
    }
    return NULL;
}

bool sl_route_is_cbor(const struct sl_aws_request *request) {
    return sl_str_is(request->method, "POST") &&
           sl_str_is(sl_aws_request_header(request, SL_STR("Smithy-Protocol")), "rpc-v2-cbor");
}

const struct sl_operation *sl_route_cbor(const struct sl_aws_request *request, const struct sl_service **ret_service) {
    static const struct sl_str between = SL_STR_INIT("/operation/"), before = SL_STR_INIT("/service/");
    *ret_service = NULL;
    ptrdiff_t start = sl_str_find(request->path, before), middle = sl_str_find(request->path, between);
    if (start < 0 || middle < start + (ptrdiff_t)before.len) return NULL;
    struct sl_str prefix = sl_str_sub(request->path, (size_t)start + before.len, (size_t)middle);
    struct sl_str name = sl_str_sub(request->path, (size_t)middle + between.len, request->path.len);
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if ((*at)->protocol != SL_PROTOCOL_CBOR || !sl_str_eq((*at)->target_prefix, prefix)) continue;
        *ret_service = *at;
        return sl_operation_find(*at, name);
    }
    return NULL;
}

bool sl_route_queue_path(struct sl_str path) {
    struct sl_str rest = sl_str_sub(path, 1, path.len), part;
    if (sl_str_starts(rest, SL_STR("queue/"))) {
        sl_str_split(&rest, '/', &part);
        sl_str_split(&rest, '/', &part); // the region
    }
    return sl_str_split(&rest, '/', &part) && sl_is_account(part) && rest.len && sl_str_chr(rest, '/', 0) < 0;
}

static struct sl_str form_value(struct sl_arena *arena, struct sl_str form, struct sl_str name) {
    struct sl_str rest = form, pair, decoded;
    while (sl_str_split(&rest, '&', &pair)) {
        struct sl_str value = pair, key;
        sl_str_split(&value, '=', &key);
        if (sl_str_eq(key, name))
            return value.ptr && sl_percent_decode(arena, value, true, &decoded) ? decoded : (struct sl_str){0};
    }
    return (struct sl_str){0};
}

const struct sl_operation *sl_route_query(struct sl_arena *arena, struct sl_str signing_name,
                                          const struct sl_aws_request *request, struct sl_str *ret_action) {
    struct sl_str form = sl_str_is(request->method, "POST") ? request->body : request->query;
    struct sl_str action = form_value(arena, form, SL_STR("Action"));
    struct sl_str version = form_value(arena, form, SL_STR("Version"));
    *ret_action = action;
    if (!action.len) return NULL;
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if (!speaks_query(*at)) continue;
        if (signing_name.len ? !sl_str_eq((*at)->signing_name, signing_name)
                             : version.len && !sl_str_eq((*at)->api_version, version))
            continue;
        const struct sl_operation *operation = sl_operation_find(*at, action);
        if (operation) return operation;
    }
    return NULL;
}
