// SPDX-License-Identifier: Apache-2.0
//
// compile: from an API's documents to the immutable object that serves it. Runs on the storage thread inside the
// transaction that changed the documents, so what is compiled is exactly what will be committed.
//
// Everything that does not depend on a request is done here: tries are built, functions' ARNs taken apart, stage
// variables put into integration URIs, mappings parsed, header values of CORS joined.
#include "gateway/control.h"
#include "gateway/internal.h"

#include "aws/arn.h"

#include <stdlib.h>

enum { API_MAX = 64 * 1024 * 1024, ACCOUNT_RATE = 10000, ACCOUNT_BURST = 5000 };

struct compiler {
    struct sl_gateway *gateway;
    struct sl_gw_api *api;
    struct sl_arena *arena; // the API's
    struct sl_error *err;
};

void sl_gateway__api_free(struct sl_gw_api *api) {
    if (!api) return;
    for (unsigned i = 0; i < api->stage_count; i++) {
        struct sl_gw_stage *stage = &api->stages[i];
        for (struct sl_gw_route *route = stage->routes; route; route = route->next)
            sl_gateway__counters_release(api->gateway, route->counters);
        sl_gateway__counters_release(api->gateway, stage->counters);
    }
    sl_arena_free(&api->arena);
    free(api->refs);
    free(api);
}

static int out_of_memory(struct compiler *c) {
    return sl_fail(c->err, SL_E_NO_MEMORY, "out of memory for API %.*s", SL_FMT(c->api->id));
}

// --- integrations
// ----------------------------------------------------------------------------------------------------------------

// "${stageVariables.name}" replaced; ptr NULL when a variable is not set.
static struct sl_str put_variables(struct compiler *c, struct sl_str text, const struct sl_gw_stage *stage) {
    static const struct sl_str open = SL_STR_INIT("${stageVariables.");
    struct sl_str done = SL_STR("");
    for (ptrdiff_t at; (at = sl_str_find(text, open)) >= 0;) {
        ptrdiff_t end = sl_str_chr(text, '}', (size_t)at);
        struct sl_str name = end < 0 ? SL_STR("") : sl_str_sub(text, (size_t)at + open.len, (size_t)end), value = {0};
        for (unsigned i = 0; i < stage->variable_count; i++) {
            if (sl_str_eq(stage->variables[i].name, name)) value = stage->variables[i].value;
        }
        if (!value.ptr) return (struct sl_str){0};
        done = sl_arena_printf(c->arena, "%.*s%.*s%.*s", SL_FMT(done), SL_FMT(sl_str_sub(text, 0, (size_t)at)),
                               SL_FMT(value));
        text = sl_str_sub(text, (size_t)end + 1, text.len);
    }
    return done.len == 0 ? text : sl_arena_printf(c->arena, "%.*s%.*s", SL_FMT(done), SL_FMT(text));
}

static int integration(struct compiler *c, const struct sl_json *document, const struct sl_gw_stage *stage,
                       struct sl_gw_integration *ret) {
    struct sl_str uri = put_variables(c, sl_json_string(document, "IntegrationUri"), stage), arn;
    struct sl_function_ref function;
    ret->id = sl_json_string(document, "IntegrationId");
    ret->format_v2 = sl_str_is(sl_json_string(document, "PayloadFormatVersion"), "2.0");
    ret->role = sl_json_get(document, "CredentialsArn") != NULL;
    ret->timeout_ms = (int)sl_json_int(document, "TimeoutInMillis", 30000);
    if (uri.ptr && sl_gateway__integration_function(uri, &function, &arn)) {
        ret->account = function.account;
        ret->region = function.region;
        ret->name = function.name;
        ret->qualifier = function.qualifier;
        ret->invoked_arn = arn;
    }
    if (sl_gateway__mapping_request(c->arena, sl_json_get(document, "RequestParameters"), &ret->request, c->err) ||
        sl_gateway__mapping_response(c->arena, sl_json_get(document, "ResponseParameters"), &ret->responses, c->err))
        return sl_gateway__failed(c->err);
    return 0;
}

static const struct sl_gw_integration *find_integration(const struct sl_gw_integration *list, unsigned count,
                                                        struct sl_str target) {
    struct sl_str id = sl_str_sub(target, strlen("integrations/"), target.len);
    for (unsigned i = 0; i < count; i++) {
        if (sl_str_eq(list[i].id, id)) return &list[i];
    }
    return NULL;
}

// --- stages
// ----------------------------------------------------------------------------------------------------------------------

// A route's own settings replace the stage's defaults as a whole; a limit that they leave out is the account's.
static void throttle(const struct sl_json *stage_document, struct sl_gw_route *route) {
    const struct sl_json *settings = sl_json_get_str(sl_json_get(stage_document, "RouteSettings"), route->key);
    if (!settings) settings = sl_json_get(stage_document, "DefaultRouteSettings");
    const struct sl_json *rate_node = sl_json_get(settings, "ThrottlingRateLimit");
    double rate = ACCOUNT_RATE;
    if (!rate_node && !sl_json_get(settings, "ThrottlingBurstLimit")) return;
    if (rate_node) sl_json_to_double(rate_node, &rate);
    sl_gateway__throttle_init(&route->throttle, rate, sl_json_int(settings, "ThrottlingBurstLimit", ACCOUNT_BURST));
}

static int variables(struct compiler *c, const struct sl_json *map, struct sl_gw_stage *stage) {
    if (!map || map->count == 0) return 0;
    struct sl_proxy_field *fields = sl_arena_alloc(c->arena, sizeof(*fields) * map->count);
    if (!fields) return out_of_memory(c);
    for (const struct sl_json *node = map->first; node; node = node->next)
        fields[stage->variable_count++] = (struct sl_proxy_field){node->key, node->text};
    stage->variables = fields;
    return 0;
}

static int routes(struct compiler *c, const struct sl_json *document, const struct sl_json *snapshot,
                  struct sl_gw_stage *stage) {
    const struct sl_json *used = sl_json_get(snapshot, "Integrations"), *list = sl_json_get(snapshot, "Routes");
    struct sl_gw_integration *integrations =
        sl_arena_zalloc(c->arena, sizeof(*integrations) * ((used ? used->count : 0) + 1));
    unsigned count = 0;
    if (!integrations) return out_of_memory(c);
    for (const struct sl_json *node = used ? used->first : NULL; node; node = node->next) {
        if (integration(c, node, stage, &integrations[count++])) return sl_gateway__failed(c->err);
    }
    for (const struct sl_json *node = list ? list->first : NULL; node; node = node->next) {
        struct sl_gw_route *route = sl_arena_zalloc(c->arena, sizeof(*route));
        if (!route) return out_of_memory(c);
        route->key = sl_json_string(node, "RouteKey");
        route->id = sl_json_string(node, "RouteId");
        ptrdiff_t space = sl_str_chr(route->key, ' ', 0);
        route->resource = space < 0 ? route->key : sl_str_sub(route->key, (size_t)space + 1, route->key.len);
        route->integration = find_integration(integrations, count, sl_json_string(node, "Target"));
        if (!route->integration) continue;
        throttle(document, route);
        route->counters = sl_gateway__counters(c->gateway, c->api->id, stage->name, route->key);
        route->next = stage->routes;
        stage->routes = route;
        if (!route->counters || !sl_gateway__trie_add(c->arena, stage, route)) return out_of_memory(c);
    }
    return 0;
}

static int compile_stage(struct compiler *c, const struct sl_json *document) {
    struct sl_gw_stage *stage = &c->api->stages[c->api->stage_count];
    const struct sl_json *snapshot = sl_json_get(document, "_snapshot");
    stage->name = sl_json_string(document, "StageName");
    stage->counters = sl_gateway__counters(c->gateway, c->api->id, stage->name, SL_STR(""));
    c->api->stage_count++;
    if (!stage->counters) return out_of_memory(c);
    if (sl_str_is(stage->name, "$default")) c->api->default_stage = stage;
    if (variables(c, sl_json_get(document, "StageVariables"), stage)) return sl_gateway__failed(c->err);
    stage->deployed = snapshot != NULL;
    if (!snapshot) return 0;
    stage->disabled = sl_json_bool(snapshot, "DisableExecuteApiEndpoint", false);
    if (!sl_gateway__cors_compile(c->arena, sl_json_get(snapshot, "CorsConfiguration"), &stage->cors))
        return out_of_memory(c);
    return routes(c, document, snapshot, stage);
}

int sl_gateway__compile_documents(struct sl_gateway *gateway, struct sl_str account, struct sl_str region,
                                  struct sl_str api_id, const struct sl_json *stages, struct sl_gw_api **ret,
                                  struct sl_error *err) {
    struct sl_gw_api *api = calloc(1, sizeof(*api));
    if (!api) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for API %.*s", SL_FMT(api_id));
    struct compiler c = {gateway, api, &api->arena, err};
    sl_arena_init(&api->arena, API_MAX);
    api->gateway = gateway;
    api->id = sl_arena_dup(&api->arena, api_id);
    api->account = sl_arena_dup(&api->arena, account);
    api->region = sl_arena_dup(&api->arena, region);
    api->partition = sl_partition_of(api->region);
    api->threads = gateway->threads;
    // calloc, not aligned_alloc: a cell is as large as a cache line, so two threads share at most the line between
    // their cells.
    api->refs = calloc(api->threads, sizeof(*api->refs));
    api->stages = sl_arena_zalloc(&api->arena, sizeof(*api->stages) * (stages->count + 1));
    int failed = api->refs && api->stages ? 0 : out_of_memory(&c);
    for (const struct sl_json *node = stages->first; node && !failed; node = node->next) {
        struct sl_json *own = sl_json_copy(&api->arena, node); // strings of the compiled API are views of it
        failed = own ? compile_stage(&c, own) : out_of_memory(&c);
    }
    if (!failed && sl_arena_failed(&api->arena)) failed = out_of_memory(&c);
    if (failed)
        sl_gateway__api_free(api);
    else
        *ret = api;
    return failed;
}

int sl_gateway__compile(struct sl_gateway *gateway, struct sl_store_tx *tx, struct sl_str account, struct sl_str region,
                        struct sl_str api_id, struct sl_gw_api **ret, struct sl_error *err) {
    struct sl_arena scratch;
    sl_arena_init(&scratch, 2u * API_MAX);
    struct sl_key key = {.kind = SL_GW_STAGE, .account = account, .region = region, .parent = api_id, .id = SL_STR("")};
    struct sl_json *rows, *stages = sl_json_new_array(&scratch);
    bool more;
    int failed = sl_store_list(tx, &scratch, &key, SL_STR(""), SL_GW_LIST, &rows, &more, err);
    for (struct sl_json *row = failed ? NULL : rows->first; row && !failed; row = row->next) {
        struct sl_json *stage = sl_json_copy(&scratch, sl_json_get(row, "doc")), *snapshot;
        key.kind = SL_GW_SNAPSHOT;
        key.id = sl_json_string(stage, "DeploymentId");
        if (key.id.len > 0) {
            failed = sl_store_get(tx, &scratch, &key, &snapshot, err);
            if (!failed)
                sl_json_set(stage, SL_STR("_snapshot"), snapshot);
            else if (failed == SL_E_NOT_FOUND)
                failed = 0;
        }
        sl_json_push(stages, stage);
    }
    if (!failed)
        failed = stages ? sl_gateway__compile_documents(gateway, account, region, api_id, stages, ret, err)
                        : sl_fail(err, SL_E_NO_MEMORY, "out of memory for API %.*s", SL_FMT(api_id));
    sl_arena_free(&scratch);
    return failed;
}
