// SPDX-License-Identifier: Apache-2.0
//
// finish: the one place where a request to a deployed API ends, and what is counted there. Counters belong to (API,
// stage, route) and outlive the compiled object, so that a deployment does not set them to zero; they go when no
// compiled API refers to them any more. Each has a cell per loop thread: counting is a plain add on a line that no
// other thread writes.
#include "gateway/internal.h"

#include "base/clock.h"

#include <stdlib.h>

struct cell {
    _Atomic uint64_t requests, client_errors, server_errors, microseconds;
    char pad[SL_GW_CACHE_LINE - 4 * sizeof(_Atomic uint64_t)];
};

struct sl_gw_counters {
    struct sl_gw_counters *next;
    struct sl_str api, stage, route; // in the same allocation
    unsigned references, threads;    // references: under gateway->lock
    struct cell cells[];
};

// --- the registry
// ----------------------------------------------------------------------------------------------------------------

static struct sl_gw_counters **bucket(struct sl_gateway *gateway, struct sl_str api, struct sl_str stage,
                                      struct sl_str route) {
    const struct sl_str parts[] = {api, stage, route};
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < parts[i].len; j++) hash = (hash ^ (unsigned char)parts[i].ptr[j]) * 16777619u;
        hash *= 16777619u;
    }
    return &gateway->counters[(hash ^ hash >> 15) % SL_GW_BUCKETS];
}

static struct sl_str put(char **at, struct sl_str s) {
    char *copy = *at;
    if (s.len > 0) memcpy(copy, s.ptr, s.len);
    *at += s.len;
    return sl_str_n(copy, s.len);
}

struct sl_gw_counters *sl_gateway__counters(struct sl_gateway *gateway, struct sl_str api, struct sl_str stage,
                                            struct sl_str route) {
    pthread_mutex_lock(&gateway->lock);
    struct sl_gw_counters **list = bucket(gateway, api, stage, route), *found = *list;
    while (found && !(sl_str_eq(found->api, api) && sl_str_eq(found->stage, stage) && sl_str_eq(found->route, route)))
        found = found->next;
    if (!found) {
        size_t cells = gateway->threads * sizeof(struct cell);
        found = calloc(1, sizeof(*found) + cells + api.len + stage.len + route.len);
        if (found) {
            char *text = (char *)found->cells + cells;
            found->api = put(&text, api);
            found->stage = put(&text, stage);
            found->route = put(&text, route);
            found->threads = gateway->threads;
            found->next = *list;
            *list = found;
        }
    }
    if (found) found->references++;
    pthread_mutex_unlock(&gateway->lock);
    return found;
}

void sl_gateway__counters_release(struct sl_gateway *gateway, struct sl_gw_counters *counters) {
    if (!counters) return;
    pthread_mutex_lock(&gateway->lock);
    bool gone = --counters->references == 0;
    if (gone) {
        struct sl_gw_counters **at = bucket(gateway, counters->api, counters->stage, counters->route);
        while (*at != counters) at = &(*at)->next;
        *at = counters->next;
    }
    pthread_mutex_unlock(&gateway->lock);
    if (gone) free(counters);
}

// --- text
// ------------------------------------------------------------------------------------------------------------------------

static void label(struct sl_buf *out, const char *name, struct sl_str value) {
    sl_buf_cstr(out, name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"') sl_buf_char(out, '\\');
        if (c == '\n')
            sl_buf_cstr(out, "\\n");
        else
            sl_buf_char(out, c);
    }
    sl_buf_char(out, '"');
}

static void line(struct sl_buf *out, const char *metric, const struct sl_gw_counters *counters, uint64_t value) {
    sl_buf_cstr(out, metric);
    label(out, "{api=\"", counters->api);
    label(out, ",stage=\"", counters->stage);
    label(out, ",route=\"", counters->route);
    sl_buf_cstr(out, "} ");
    sl_buf_u64(out, value);
    sl_buf_char(out, '\n');
}

static uint64_t total(const struct sl_gw_counters *counters, int which) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < counters->threads; i++) {
        const struct cell *cell = &counters->cells[i];
        const _Atomic uint64_t *const values[] = {&cell->requests, &cell->client_errors, &cell->server_errors,
                                                  &cell->microseconds};
        sum += atomic_load_explicit(values[which], memory_order_relaxed);
    }
    return sum;
}

void sl_gateway_metrics(struct sl_gateway *gateway, struct sl_buf *out) {
    static const struct {
        const char *name, *help;
    } metrics[] = {
        {"sluice_http_api_requests_total", "Requests to deployed HTTP APIs."},
        {"sluice_http_api_4xx_total", "Requests answered with a status of 400 to 499."},
        {"sluice_http_api_5xx_total", "Requests answered with a status of 500 to 599."},
        {"sluice_http_api_latency_microseconds_total",
         "Time from the request's arrival to the end of its answer, summed up."},
    };
    pthread_mutex_lock(&gateway->lock);
    for (int which = 0; which < 4; which++) {
        sl_buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", metrics[which].name, metrics[which].help,
                      metrics[which].name);
        for (unsigned i = 0; i < SL_GW_BUCKETS; i++) {
            for (const struct sl_gw_counters *counters = gateway->counters[i]; counters; counters = counters->next)
                line(out, metrics[which].name, counters, total(counters, which));
        }
    }
    pthread_mutex_unlock(&gateway->lock);
}

// --- the end of a request
// --------------------------------------------------------------------------------------------------------

static void bump(_Atomic uint64_t *value, uint64_t by) { // own thread's cell: no read-modify-write instruction needed
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by, memory_order_relaxed);
}

static void count(const struct sl_gw_call *call, int status) {
    struct sl_gw_counters *counters = call->route ? call->route->counters : call->stage ? call->stage->counters : NULL;
    if (!counters) return;
    struct cell *cell = &counters->cells[call->thread];
    bump(&cell->requests, 1);
    if (status >= 500)
        bump(&cell->server_errors, 1);
    else if (status >= 400)
        bump(&cell->client_errors, 1);
    bump(&cell->microseconds, (uint64_t)(sl_clock_mono_ns() - call->started_ns) / 1000);
}

void sl_gateway__finish(struct sl_gw_call *call, int status) {
    count(call, status);
    sl_timer_stop(&call->timer);
    call->request->aborted = NULL; // the call is over, though its answer may still be on the way to a slow client
    sl_gateway__buffer_give(call->gateway, call->thread, call->buffer);
    call->buffer = NULL;
    struct sl_gw_api *api = call->api;
    call->api = NULL;
    if (api) {
        _Atomic int64_t *refs = &api->refs[call->thread].count;
        atomic_store_explicit(refs, atomic_load_explicit(refs, memory_order_relaxed) - 1, memory_order_release);
    }
}

void sl_gateway__answer_begin(struct sl_gw_call *call, int status) {
    sl_http_begin(call->request, status);
    sl_http_add(call->request, SL_STR("apigw-requestid"), sl_str_of(call->request_id));
    if (call->stage && call->origin.ptr) sl_gateway__cors_add(&call->stage->cors, call->request, call->origin, false);
}

void sl_gateway__answer_error(struct sl_gw_call *call, int status, const char *message) {
    char body[128];
    size_t len = 0;
    const char *const parts[] = {"{\"message\":\"", message, "\"}"};
    for (size_t i = 0; i < 3; i++) {
        size_t part = strlen(parts[i]);
        if (len + part > sizeof body) break;
        memcpy(body + len, parts[i], part);
        len += part;
    }
    sl_gateway__answer_begin(call, status);
    sl_http_add(call->request, SL_STR("content-type"), SL_STR("application/json"));
    struct sl_http_request *request = call->request;
    sl_gateway__finish(call, status); // before the body: the call lives in the request's arena
    sl_http_body(request, sl_str_n(body, len));
}
