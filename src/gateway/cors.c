// SPDX-License-Identifier: Apache-2.0
//
// cors: what an API's CorsConfiguration does ("Configure CORS for HTTP APIs", API Gateway developer guide): preflight
// requests are answered by the gateway, before routing and authorization; in every other answer the integration's own
// Access-Control fields are replaced. Both only for requests that have an Origin. An origin that is not allowed gets an
// answer without the fields; the browser does the rest.
#include "gateway/internal.h"

static bool join(struct sl_arena *arena, const struct sl_json *list, struct sl_str *ret) {
    size_t len = 0, at = 0;
    *ret = (struct sl_str){0};
    if (!list || list->count == 0) return true;
    for (const struct sl_json *node = list->first; node; node = node->next) len += node->text.len + 1;
    char *text = sl_arena_alloc(arena, len);
    if (!text) return false;
    for (const struct sl_json *node = list->first; node; node = node->next) {
        if (at > 0) text[at++] = ',';
        if (node->text.len > 0) memcpy(text + at, node->text.ptr, node->text.len);
        at += node->text.len;
    }
    *ret = sl_str_n(text, at);
    return true;
}

bool sl_gateway__cors_compile(struct sl_arena *arena, const struct sl_json *configuration, struct sl_gw_cors *ret) {
    *ret = (struct sl_gw_cors){0};
    if (!configuration || configuration->count == 0) return true;
    const struct sl_json *origins = sl_json_get(configuration, "AllowOrigins"),
                         *age = sl_json_get(configuration, "MaxAge");
    ret->on = true;
    ret->credentials = sl_json_bool(configuration, "AllowCredentials", false);
    struct sl_str *list = sl_arena_alloc(arena, sizeof(*list) * ((origins ? origins->count : 0) + 1));
    if (!list) return false;
    ret->origins = list;
    for (const struct sl_json *node = origins ? origins->first : NULL; node; node = node->next) {
        if (sl_str_is(node->text, "*"))
            ret->any_origin = true;
        else
            list[ret->origin_count++] = node->text;
    }
    if (age) ret->max_age = age->text;
    return join(arena, sl_json_get(configuration, "AllowMethods"), &ret->methods) &&
           join(arena, sl_json_get(configuration, "AllowHeaders"), &ret->headers) &&
           join(arena, sl_json_get(configuration, "ExposeHeaders"), &ret->expose);
}

struct sl_str sl_gateway__cors_origin(const struct sl_gw_cors *cors, struct sl_str origin) {
    if (!cors->on || !origin.ptr) return (struct sl_str){0};
    if (cors->any_origin) return SL_STR("*");
    for (unsigned i = 0; i < cors->origin_count; i++) {
        struct sl_str allowed = cors->origins[i];
        if (sl_str_ieq(allowed, origin)) return origin;
        // "https://*": every origin of that scheme.
        if (sl_str_ends(allowed, SL_STR("://*")) &&
            sl_str_ieq(sl_str_sub(allowed, 0, allowed.len - 1), sl_str_sub(origin, 0, allowed.len - 1)))
            return origin;
    }
    return (struct sl_str){0};
}

bool sl_gateway__cors_is_preflight(const struct sl_http_request *request) {
    return request->method == SL_HTTP_OPTIONS && sl_http_header(request, SL_STR("origin")).ptr &&
           sl_http_header(request, SL_STR("access-control-request-method")).ptr;
}

static void add(struct sl_http_request *request, struct sl_str name, struct sl_str value) {
    if (value.len > 0) sl_http_add(request, name, value);
}

void sl_gateway__cors_add(const struct sl_gw_cors *cors, struct sl_http_request *request, struct sl_str origin,
                          bool preflight) {
    struct sl_str allowed = sl_gateway__cors_origin(cors, origin);
    if (!allowed.ptr) return;
    add(request, SL_STR("access-control-allow-origin"), allowed);
    if (cors->credentials) add(request, SL_STR("access-control-allow-credentials"), SL_STR("true"));
    add(request, SL_STR("access-control-expose-headers"), cors->expose);
    if (!preflight) return;
    add(request, SL_STR("access-control-allow-methods"), cors->methods);
    add(request, SL_STR("access-control-allow-headers"), cors->headers);
    add(request, SL_STR("access-control-max-age"), cors->max_age);
}
