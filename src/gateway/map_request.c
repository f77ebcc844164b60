// SPDX-License-Identifier: Apache-2.0
//
// map_request: parameter mapping of one request and of its response: resolves what mapping.c has parsed against the
// request in flight, and changes the event's headers, query string and path, or the response's headers and status.
#include "gateway/internal.h"

#include "base/clock.h"
#include "base/encoding.h"

#include <stdio.h>

enum {
    BODY_LOOKED_AT = 100 * 1024
}; // "API Gateway truncates the request body at 100 KB and then applies the selection expression"

// All values of a name, joined with commas; ptr NULL without one.
static struct sl_str joined(struct sl_arena *arena, const struct sl_proxy_field *fields, unsigned count,
                            struct sl_str name, bool ignore_case) {
    struct sl_str value = {0};
    for (unsigned i = 0; i < count; i++) {
        if (!(ignore_case ? sl_str_ieq(fields[i].name, name) : sl_str_eq(fields[i].name, name))) continue;
        value =
            value.ptr ? sl_arena_printf(arena, "%.*s,%.*s", SL_FMT(value), SL_FMT(fields[i].value)) : fields[i].value;
    }
    return value;
}

static struct sl_str body_value(struct sl_gw_call *call, struct sl_str body, struct sl_str name) {
    struct sl_arena *arena = call->request->arena;
    if (!call->body_tree && sl_json_parse(arena, sl_str_sub(body, 0, BODY_LOOKED_AT), &call->body_tree, NULL))
        return (struct sl_str){0};
    return sl_gateway__json_path(arena, call->body_tree, name);
}

static struct sl_str context_value(struct sl_gw_call *call, struct sl_str name) {
    const struct sl_proxy_request *event = &call->event;
    char text[32];
    const struct {
        const char *name;
        struct sl_str value;
    } values[] = {
        {"accountId", event->account_id},
        {"apiId", event->api_id},
        {"domainName", event->domain_name},
        {"domainPrefix", event->domain_prefix},
        {"httpMethod", event->method},
        {"path", event->path},
        {"protocol", event->protocol},
        {"requestId", event->request_id},
        {"routeKey", event->route_key},
        {"extendedRequestId", event->request_id},
        {"stage", event->stage},
        {"identity.sourceIp", event->source_ip},
        {"identity.userAgent", event->user_agent},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (sl_str_is(name, values[i].name)) return values[i].value;
    }
    if (sl_str_is(name, "requestTimeEpoch"))
        snprintf(text, sizeof text, "%lld", (long long)event->time_ms);
    else if (sl_str_is(name, "requestTime"))
        sl_time_clf(event->time_ms, text);
    else
        return (struct sl_str){0};
    return sl_arena_dup(call->request->arena, sl_str_of(text));
}

static struct sl_str resolve(void *user, enum sl_gw_source source, struct sl_str name) {
    struct sl_gw_call *call = user;
    struct sl_arena *arena = call->request->arena;
    const struct sl_proxy_request *event = &call->event;
    struct sl_proxy_field *query;
    unsigned count;
    switch (source) {
    case SL_GW_FROM_HEADER:
        return joined(arena, event->headers, event->header_count, name, true);
    case SL_GW_FROM_RESPONSE_HEADER:
        return call->response ? joined(arena, call->response->headers, call->response->header_count, name, true)
                              : (struct sl_str){0};
    case SL_GW_FROM_QUERY:
        if (!sl_proxy_query(arena, event->raw_query, &query, &count)) return (struct sl_str){0};
        return joined(arena, query, count, name, false);
    case SL_GW_FROM_BODY:
        return body_value(call, event->body, name);
    case SL_GW_FROM_RESPONSE_BODY:
        return call->response ? body_value(call, call->response->body, name) : (struct sl_str){0};
    case SL_GW_FROM_PATH:
        return name.len == 0 ? call->stage_path
                             : joined(arena, event->path_parameters, event->path_parameter_count, name, false);
    case SL_GW_FROM_CONTEXT:
        return context_value(call, name);
    case SL_GW_FROM_STAGE_VARIABLE:
        return joined(arena, event->stage_variables, event->stage_variable_count, name, false);
    case SL_GW_FROM_TEXT:
        break;
    }
    return name;
}

// --- changing lists of fields
// ----------------------------------------------------------------------------------------------------

struct list {
    struct sl_proxy_field *fields; // with room for one more per item
    unsigned count;
};

static unsigned item_count(const struct sl_gw_mapping *mapping) {
    unsigned count = 0;
    for (const struct sl_gw_item *item = mapping->items; item; item = item->next) count++;
    return count;
}

static bool list_copy(struct sl_arena *arena, struct list *list, const struct sl_proxy_field *fields, unsigned count,
                      unsigned more) {
    list->fields = sl_arena_alloc(arena, sizeof(*fields) * ((size_t)count + more + 1));
    list->count = count;
    if (list->fields && count > 0) memcpy(list->fields, fields, sizeof(*fields) * count);
    return list->fields != NULL;
}

static void list_change(struct list *list, const struct sl_gw_item *item, struct sl_str value, bool ignore_case) {
    if (item->change != SL_GW_APPEND) {
        unsigned kept = 0;
        for (unsigned i = 0; i < list->count; i++) {
            bool same = ignore_case ? sl_str_ieq(list->fields[i].name, item->name)
                                    : sl_str_eq(list->fields[i].name, item->name);
            if (!same) list->fields[kept++] = list->fields[i];
        }
        list->count = kept;
    }
    if (item->change != SL_GW_REMOVE) list->fields[list->count++] = (struct sl_proxy_field){item->name, value};
}

static bool query_text(struct sl_arena *arena, const struct list *query, struct sl_str *ret) {
    struct sl_buf text;
    sl_buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < query->count; i++) {
        if (i > 0) sl_buf_char(&text, '&');
        sl_percent_encode(&text, query->fields[i].name, false);
        sl_buf_char(&text, '=');
        sl_percent_encode(&text, query->fields[i].value, false);
    }
    bool failed = text.failed;
    *ret = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return !failed && !sl_arena_failed(arena);
}

// Every value is computed from the request as it came, before any change is made ("header2 from header1, remove
// header1" is an example of the developer guide and must not depend on the order of a map).
static struct sl_str *values_of(struct sl_gw_call *call, const struct sl_gw_mapping *mapping, unsigned count) {
    struct sl_str *values = sl_arena_zalloc(call->request->arena, sizeof(*values) * (count + 1));
    unsigned i = 0;
    for (const struct sl_gw_item *item = mapping->items; values && item; item = item->next, i++) {
        if (item->change != SL_GW_REMOVE)
            values[i] = sl_gateway__mapping_value(call->request->arena, item, resolve, call);
    }
    return values;
}

bool sl_gateway__map_request(struct sl_gw_call *call) {
    const struct sl_gw_mapping *mapping = &call->route->integration->request;
    struct sl_proxy_request *event = &call->event;
    struct sl_arena *arena = call->request->arena;
    unsigned more = item_count(mapping), count = 0, i = 0;
    struct list headers, query;
    struct sl_proxy_field *fields;
    bool query_changed = false;
    if (!mapping->items) return true;
    struct sl_str *values = values_of(call, mapping, more);
    if (!values || !sl_proxy_query(arena, event->raw_query, &fields, &count) ||
        !list_copy(arena, &headers, event->headers, event->header_count, more) ||
        !list_copy(arena, &query, fields, count, more))
        return false;
    for (const struct sl_gw_item *item = mapping->items; item; item = item->next, i++) {
        if (item->change != SL_GW_REMOVE && !values[i].ptr) continue;
        if (item->target == SL_GW_TO_HEADER) list_change(&headers, item, values[i], true);
        if (item->target == SL_GW_TO_QUERY) list_change(&query, item, values[i], false), query_changed = true;
        if (item->target == SL_GW_TO_PATH) event->raw_path = values[i];
    }
    event->headers = headers.fields;
    event->header_count = headers.count;
    return !query_changed || query_text(arena, &query, &event->raw_query);
}

bool sl_gateway__map_response(struct sl_gw_call *call, struct sl_proxy_response *response) {
    const struct sl_gw_status_mapping *found = call->route->integration->responses;
    while (found && found->status != response->status) found = found->next;
    if (!found || !found->mapping.items) return true;
    unsigned more = item_count(&found->mapping), i = 0;
    struct list headers;
    call->response = response;
    call->body_tree = NULL;
    struct sl_str *values = values_of(call, &found->mapping, more);
    call->response = NULL;
    if (!values || !list_copy(call->request->arena, &headers, response->headers, response->header_count, more))
        return false;
    for (const struct sl_gw_item *item = found->mapping.items; item; item = item->next, i++) {
        uint64_t status;
        if (item->change != SL_GW_REMOVE && !values[i].ptr) continue;
        if (item->target == SL_GW_TO_HEADER) list_change(&headers, item, values[i], true);
        if (item->target == SL_GW_TO_STATUS && sl_str_to_u64(values[i], &status) && status >= 200 && status <= 599)
            response->status = (int)status;
    }
    response->headers = headers.fields;
    response->header_count = headers.count;
    return true;
}
