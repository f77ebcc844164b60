// SPDX-License-Identifier: Apache-2.0
//
// deploy_api: the HTTP API of a deployed folder. It is found by its name, and every part is created only where it is
// missing, so that deploying again keeps the URL. Routes of ours that the manifest no longer names are removed; routes
// to other integrations stay.
#include "cli/deploy.h"

// What is there, while listings are read.
struct found {
    struct sl_str name, uri;   // looked for
    struct sl_json *api;       // of that name
    struct sl_str integration; // id of the one with that uri
    struct sl_json *routes;    // array of all routes
};

static int note_api(void *user, struct sl_json *item) {
    struct found *found = user;
    if (sl_str_eq(sl_json_string(item, "name"), found->name) && sl_str_is(sl_json_string(item, "protocolType"), "HTTP"))
        found->api = item;
    return 0;
}

static int note_integration(void *user, struct sl_json *item) {
    struct found *found = user;
    if (sl_str_eq(sl_json_string(item, "integrationUri"), found->uri))
        found->integration = sl_json_string(item, "integrationId");
    return 0;
}

static int note_route(void *user, struct sl_json *item) {
    struct found *found = user;
    item->next = NULL; // the listing's array is read once; the node moves to ours
    sl_json_push(found->routes, item);
    return 0;
}

// Everything below works on one API.
struct work {
    struct sl_cli *cli;
    const struct sl_cli_target *target;
    const struct sl_cli_manifest *manifest;
    struct sl_str path; // "/v2/apis/ID"
    struct found found;
};

static int call(struct work *work, const char *method, struct sl_str path, const struct sl_json *body,
                struct sl_cli_answer *ret, struct sl_error *err) {
    return sl_cli__json(work->cli, work->target, "apigateway", method, path, body, ret, err);
}

static struct sl_str below(struct work *work, const char *part, struct sl_str id) {
    return sl_arena_printf(work->cli->arena, "%.*s/%s%s%.*s", SL_FMT(work->path), part, id.len ? "/" : "", SL_FMT(id));
}

static int ensure_api(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    int failed = sl_cli__each_item(work->cli, work->target, SL_STR("/v2/apis"), note_api, &work->found, err);
    if (!failed && !work->found.api) {
        struct sl_json *body = sl_json_new_object(arena);
        sl_json_put_string(arena, body, "name", work->manifest->name);
        sl_json_put_string(arena, body, "protocolType", SL_STR("HTTP"));
        struct sl_cli_answer answer;
        failed = call(work, "POST", SL_STR("/v2/apis"), body, &answer, err);
        work->found.api = answer.json;
    }
    if (failed) return failed;
    work->path = sl_arena_printf(arena, "/v2/apis/%.*s", SL_FMT(sl_json_string(work->found.api, "apiId")));
    return 0;
}

static int ensure_integration(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    struct sl_str path = below(work, "integrations", SL_STR(""));
    int failed = sl_cli__each_item(work->cli, work->target, path, note_integration, &work->found, err);
    if (failed || work->found.integration.len) return failed;
    struct sl_json *body = sl_json_new_object(arena);
    sl_json_put_string(arena, body, "integrationType", SL_STR("AWS_PROXY"));
    sl_json_put_string(arena, body, "integrationUri", work->found.uri);
    sl_json_put_string(arena, body, "payloadFormatVersion", SL_STR("2.0"));
    struct sl_cli_answer answer;
    failed = call(work, "POST", path, body, &answer, err);
    if (!failed) work->found.integration = sl_json_string(answer.json, "integrationId");
    return failed;
}

static bool declared(const struct sl_cli_manifest *manifest, struct sl_str key) {
    for (const struct sl_json *route = manifest->routes->first; route; route = route->next) {
        if (sl_str_eq(route->text, key)) return true;
    }
    return false;
}

// The declared route `key`: created, or pointed at our integration if it is there with another.
static int ensure_route(struct work *work, struct sl_str key, struct sl_str target, struct sl_error *err) {
    struct sl_json *there = NULL;
    for (struct sl_json *route = work->found.routes->first; route; route = route->next) {
        if (sl_str_eq(sl_json_string(route, "routeKey"), key)) there = route;
    }
    if (there && sl_str_eq(sl_json_string(there, "target"), target)) return 0;
    struct sl_arena *arena = work->cli->arena;
    struct sl_json *body = sl_json_new_object(arena);
    if (!there) sl_json_put_string(arena, body, "routeKey", key);
    sl_json_put_string(arena, body, "target", target);
    struct sl_str id = there ? sl_json_string(there, "routeId") : SL_STR("");
    struct sl_cli_answer answer;
    int failed = call(work, there ? "PATCH" : "POST", below(work, "routes", id), body, &answer, err);
    return failed ? sl_wrap(err, "route '%.*s'", SL_FMT(key)) : 0;
}

static int ensure_routes(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    work->found.routes = sl_json_new_array(arena);
    struct sl_str target = sl_arena_printf(arena, "integrations/%.*s", SL_FMT(work->found.integration));
    struct sl_str path = below(work, "routes", SL_STR(""));
    int failed = sl_cli__each_item(work->cli, work->target, path, note_route, &work->found, err);
    for (struct sl_json *route = work->manifest->routes->first; !failed && route; route = route->next) {
        failed = ensure_route(work, route->text, target, err);
    }
    for (struct sl_json *route = work->found.routes->first; !failed && route; route = route->next) {
        if (!sl_str_eq(sl_json_string(route, "target"), target) ||
            declared(work->manifest, sl_json_string(route, "routeKey")))
            continue;
        struct sl_cli_answer answer;
        failed = call(work, "DELETE", below(work, "routes", sl_json_string(route, "routeId")), NULL, &answer, err);
    }
    return failed;
}

static int ensure_stage(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    struct sl_cli_request request = {.target = work->target,
                                     .service = "apigateway",
                                     .method = "GET",
                                     .path = below(work, "stages", SL_STR("%24default"))};
    struct sl_cli_answer answer;
    int failed = sl_cli__send(work->cli, &request, &answer, err);
    if (failed || answer.status < 400) return failed;
    if (answer.status != 404) return sl_cli__answer_error(&answer, err);
    struct sl_json *body = sl_json_new_object(arena);
    sl_json_put_string(arena, body, "stageName", SL_STR("$default"));
    sl_json_put_bool(arena, body, "autoDeploy", true);
    return call(work, "POST", below(work, "stages", SL_STR("")), body, &answer, err);
}

// Lets this API, and no other, invoke the function. The statement is named after the API: a second time is a conflict,
// which is fine.
static int ensure_permission(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    struct sl_str id = sl_json_string(work->found.api, "apiId");
    struct sl_str rest = work->found.uri, part[5]; // arn partition lambda region account
    for (unsigned i = 0; i < 5; i++) {
        if (!sl_str_split(&rest, ':', &part[i]))
            return sl_fail(err, SL_E_INTERNAL, "the server's function ARN is no ARN");
    }
    struct sl_json *body = sl_json_new_object(arena);
    sl_json_put_string(arena, body, "StatementId", sl_arena_printf(arena, "sluice-deploy-%.*s", SL_FMT(id)));
    sl_json_put_string(arena, body, "Action", SL_STR("lambda:InvokeFunction"));
    sl_json_put_string(arena, body, "Principal", SL_STR("apigateway.amazonaws.com"));
    sl_json_put_string(arena, body, "SourceArn",
                       sl_arena_printf(arena, "arn:%.*s:execute-api:%.*s:%.*s:%.*s/*", SL_FMT(part[1]), SL_FMT(part[3]),
                                       SL_FMT(part[4]), SL_FMT(id)));
    struct sl_buf text;
    sl_buf_init(&text, 65536);
    sl_json_write(&text, body);
    struct sl_cli_request request = {.target = work->target,
                                     .service = "lambda",
                                     .method = "POST",
                                     .path = sl_cli__function_path(work->cli, work->manifest->name, "/policy"),
                                     .body = sl_buf_view(&text)};
    struct sl_cli_answer answer;
    int failed = sl_cli__send(work->cli, &request, &answer, err);
    if (!failed && answer.status >= 400 && answer.status != 409) failed = sl_cli__answer_error(&answer, err);
    sl_buf_free(&text);
    return failed;
}

int sl_cli__deploy_api(struct sl_cli *cli, const struct sl_cli_target *target, const struct sl_cli_manifest *manifest,
                       struct sl_str function_arn, struct sl_cli_api *ret, struct sl_error *err) {
    struct work work = {
        .cli = cli, .target = target, .manifest = manifest, .found = {.name = manifest->name, .uri = function_arn}};
    static int (*const steps[])(struct work *, struct sl_error *) = {ensure_api, ensure_integration, ensure_routes,
                                                                     ensure_stage, ensure_permission};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int failed = steps[i](&work, err);
        if (failed) return sl_wrap(err, "HTTP API %.*s", SL_FMT(manifest->name));
    }
    *ret = (struct sl_cli_api){.id = sl_json_string(work.found.api, "apiId"),
                               .url = sl_json_string(work.found.api, "apiEndpoint")};
    return sl_arena_failed(cli->arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory") : 0;
}
