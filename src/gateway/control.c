// SPDX-License-Identifier: Apache-2.0
//
// control: see control.h. Storage thread only, except sl_gateway__discard_op (loop thread).
#include "gateway/control.h"

#include "aws/page.h"
#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/table.h"

enum { PAGE_MAX = 500 };

struct sl_key sl_gateway__key(const struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id) {
    return (struct sl_key){.kind = kind, .account = op->account, .region = op->region, .parent = parent, .id = id};
}

int sl_gateway__api(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    struct sl_str id = sl_op_in(op, "ApiId");
    struct sl_key key = sl_gateway__key(op, SL_GW_API, SL_STR(""), id);
    if (sl_store_get(op->tx, op->arena, &key, ret, err) == 0) return 0;
    if (err->kind != SL_E_NOT_FOUND) return sl_gateway__failed(err);
    return sl_fail(err, SL_E_NOT_FOUND, "Invalid API identifier specified %.*s:%.*s", SL_FMT(op->account),
                   SL_FMT(sl_str_sub(id, 0, 256)));
}

int sl_gateway__get(struct sl_op *op, const char *kind, struct sl_str api_id, struct sl_str id, const char *what,
                    struct sl_json **ret, struct sl_error *err) {
    struct sl_key key = sl_gateway__key(op, kind, api_id, id);
    if (sl_store_get(op->tx, op->arena, &key, ret, err) == 0) return 0;
    return err->kind == SL_E_NOT_FOUND ? sl_fail(err, SL_E_NOT_FOUND, "Invalid %s identifier specified", what)
                                       : sl_gateway__failed(err);
}

int sl_gateway__put(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id,
                    const struct sl_json *document, struct sl_error *err) {
    struct sl_key key = sl_gateway__key(op, kind, parent, id);
    return sl_store_put(op->tx, &key, document, err);
}

int sl_gateway__delete(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id,
                       struct sl_error *err) {
    struct sl_key key = sl_gateway__key(op, kind, parent, id);
    return sl_store_delete(op->tx, &key, NULL, err);
}

int sl_gateway__all(struct sl_op *op, struct sl_arena *arena, const char *kind, struct sl_str parent,
                    struct sl_json **ret, struct sl_error *err) {
    struct sl_key key = sl_gateway__key(op, kind, parent, SL_STR(""));
    bool more;
    return sl_store_list(op->tx, arena, &key, SL_STR(""), SL_GW_LIST, ret, &more, err);
}

// AWS answers this as ConflictException (with status 429 on the wire; the service model gives 409 to that name).
int sl_gateway__quota(struct sl_op *op, const char *kind, struct sl_str parent, int64_t most, const char *what,
                      struct sl_error *err) {
    struct sl_key key = sl_gateway__key(op, kind, parent, SL_STR(""));
    if (sl_store_count(op->tx, &key) < most) return 0;
    return sl_fail(err, SL_E_CONFLICT,
                   "Maximum number of %s for this API has been reached. Please contact AWS if you need additional %s.",
                   what, what);
}

int sl_gateway__page(struct sl_op *op, const char *kind, struct sl_str parent,
                     void (*each)(struct sl_op *, struct sl_json *), struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "MaxResults"), token = sl_op_in(op, "NextToken"), after = SL_STR("");
    struct sl_str scope = sl_page_scope(op, parent);
    uint64_t most = PAGE_MAX;
    if (text.len > 0 && (!sl_str_to_u64(text, &most) || most == 0))
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid value for maxResults specified");
    if (most > PAGE_MAX) most = PAGE_MAX;
    if (token.len > 0 && !sl_page_open(op->arena, scope, token, &after))
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid nextToken specified");
    struct sl_key key = sl_gateway__key(op, kind, parent, SL_STR(""));
    struct sl_json *rows, *items = sl_json_new_array(op->arena);
    bool more;
    if (sl_store_list(op->tx, op->arena, &key, after, (unsigned)most, &rows, &more, err))
        return sl_gateway__failed(err);
    struct sl_str last = SL_STR("");
    for (struct sl_json *row = rows->first; row; row = row->next) {
        struct sl_json *document = sl_json_copy(op->arena, sl_json_get(row, "doc"));
        if (each) each(op, document);
        sl_json_push(items, document);
        last = sl_json_string(row, "id");
    }
    sl_json_set(op->out, SL_STR("Items"), items);
    if (more) sl_op_out(op, "NextToken", sl_page_token(op->arena, scope, last));
    return sl_arena_failed(op->arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory for a page") : 0;
}

struct sl_str sl_gateway__new_id(struct sl_op *op, const char *kind, struct sl_str parent, size_t chars) {
    char *text = sl_arena_alloc(op->arena, chars + 1);
    if (!text) return SL_STR("");
    struct sl_key key = sl_gateway__key(op, kind, parent, sl_str_n(text, chars));
    do {
        sl_random_lower(text, chars);
    } while (sl_store_has(op->tx, &key));
    return key.id;
}

struct sl_str sl_gateway__now(struct sl_op *op) {
    char text[SL_TIME_ISO_S];
    sl_time_iso_s(op->now_ms, text);
    return sl_arena_dup(op->arena, sl_str_of(text));
}

void sl_gateway__copy(struct sl_op *op, struct sl_json *document, const char *const *members) {
    for (; *members; members++) {
        struct sl_json *value = sl_json_get(op->in, *members);
        if (value) sl_json_set(document, sl_str_of(*members), sl_json_copy(op->arena, value));
    }
}

const char *sl_gateway__any(const struct sl_op *op, const char *const *members) {
    while (*members && !sl_json_get(op->in, *members)) members++;
    return *members;
}

int sl_gateway__tags_check(const struct sl_json *tags, int64_t more, struct sl_error *err) {
    if (!tags) return 0;
    if ((int64_t)tags->count + more > SL_GW_TAGS_MAX)
        return sl_fail(err, SL_E_BAD_REQUEST, "Tags cannot exceed %d", SL_GW_TAGS_MAX);
    for (const struct sl_json *tag = tags->first; tag; tag = tag->next) {
        if (tag->key.len == 0 || tag->key.len > 128)
            return sl_fail(err, SL_E_BAD_REQUEST, "Tag keys must have 1 to 128 characters");
        if (tag->text.len > 256) return sl_fail(err, SL_E_BAD_REQUEST, "Tag values cannot exceed 256 characters");
        if (sl_str_starts(tag->key, SL_STR("aws:")))
            return sl_fail(err, SL_E_BAD_REQUEST, "Tag keys cannot start with aws:");
    }
    return 0;
}

// --- deployments
// -----------------------------------------------------------------------------------------------------------------

static const struct sl_json *find_row(const struct sl_json *rows, struct sl_str id) {
    for (const struct sl_json *row = rows->first; row; row = row->next) {
        if (sl_str_eq(sl_json_string(row, "id"), id)) return sl_json_get(row, "doc");
    }
    return NULL;
}

// Only routes that lead somewhere are deployed ("no valid routes").
static int build_snapshot(struct sl_op *op, struct sl_arena *arena, const struct sl_json *api, struct sl_json **ret,
                          struct sl_error *err) {
    struct sl_str api_id = sl_json_string(api, "ApiId");
    struct sl_json *routes, *integrations, *valid = sl_json_new_array(arena), *used = sl_json_new_array(arena);
    if (sl_gateway__all(op, arena, SL_GW_ROUTE, api_id, &routes, err) ||
        sl_gateway__all(op, arena, SL_GW_INTEGRATION, api_id, &integrations, err))
        return sl_gateway__failed(err);
    for (struct sl_json *row = routes->first; row; row = row->next) {
        const struct sl_json *route = sl_json_get(row, "doc");
        struct sl_str target = sl_json_string(route, "Target");
        if (!sl_str_starts(target, SL_STR("integrations/"))) continue;
        if (find_row(integrations, sl_str_sub(target, strlen("integrations/"), target.len)))
            sl_json_push(valid, sl_json_copy(arena, route));
    }
    if (valid && valid->count == 0)
        return sl_fail(err, SL_E_BAD_REQUEST, "Unable to deploy API because no valid routes exist in this API");
    for (struct sl_json *row = integrations->first; row; row = row->next)
        sl_json_push(used, sl_json_copy(arena, sl_json_get(row, "doc")));
    *ret = sl_json_new_object(arena);
    sl_json_set(*ret, SL_STR("Routes"), valid);
    sl_json_set(*ret, SL_STR("Integrations"), used);
    if (sl_json_get(api, "CorsConfiguration"))
        sl_json_set(*ret, SL_STR("CorsConfiguration"), sl_json_copy(arena, sl_json_get(api, "CorsConfiguration")));
    sl_json_put_bool(arena, *ret, "DisableExecuteApiEndpoint", sl_json_bool(api, "DisableExecuteApiEndpoint", false));
    return sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory for a deployment") : 0;
}

int sl_gateway__deploy(struct sl_op *op, const struct sl_json *api, bool automatic, struct sl_str description,
                       struct sl_json **ret, struct sl_error *err) {
    struct sl_str api_id = sl_json_string(api, "ApiId");
    struct sl_arena scratch;
    struct sl_json *snapshot = NULL;
    sl_arena_init(&scratch, 64u << 20);
    int failed = build_snapshot(op, &scratch, api, &snapshot, err);
    struct sl_str id = sl_gateway__new_id(op, SL_GW_DEPLOYMENT, api_id, 6);
    if (!failed) failed = sl_gateway__put(op, SL_GW_SNAPSHOT, api_id, id, snapshot, err);
    sl_arena_free(&scratch);
    if (failed) return failed;
    struct sl_json *deployment = sl_json_new_object(op->arena);
    sl_json_put_bool(op->arena, deployment, "AutoDeployed", automatic);
    sl_json_put_string(op->arena, deployment, "CreatedDate", sl_gateway__now(op));
    sl_json_put_string(op->arena, deployment, "DeploymentId", id);
    sl_json_put_string(op->arena, deployment, "DeploymentStatus", SL_STR("DEPLOYED"));
    if (description.ptr) sl_json_put_string(op->arena, deployment, "Description", description);
    sl_json_put_int(op->arena, deployment, "_at", op->now_ms);
    *ret = deployment;
    return sl_gateway__put(op, SL_GW_DEPLOYMENT, api_id, id, deployment, err);
}

static bool stage_uses(const struct sl_json *stages, struct sl_str deployment_id) {
    for (const struct sl_json *row = stages->first; row; row = row->next) {
        if (sl_str_eq(sl_json_string(sl_json_get(row, "doc"), "DeploymentId"), deployment_id)) return true;
    }
    return false;
}

// Every change of an API with AutoDeploy makes a deployment; those that no stage uses any more are kept up to a bound,
// newest first, so that a script of a thousand changes does not leave a thousand copies behind.
static int prune(struct sl_op *op, struct sl_arena *arena, struct sl_str api_id, const struct sl_json *stages,
                 struct sl_error *err) {
    struct sl_json *rows;
    if (sl_gateway__all(op, arena, SL_GW_DEPLOYMENT, api_id, &rows, err)) return sl_gateway__failed(err);
    for (;;) {
        const struct sl_json *oldest = NULL;
        unsigned idle = 0;
        for (const struct sl_json *row = rows->first; row; row = row->next) {
            const struct sl_json *deployment = sl_json_get(row, "doc");
            if (!sl_json_bool(deployment, "AutoDeployed", false) || stage_uses(stages, sl_json_string(row, "id")) ||
                sl_json_get(row, "gone"))
                continue;
            idle++;
            if (!oldest || sl_json_int(deployment, "_at", 0) < sl_json_int(sl_json_get(oldest, "doc"), "_at", 0))
                oldest = row;
        }
        if (idle <= SL_GW_AUTO_KEPT) return 0;
        struct sl_str id = sl_json_string(oldest, "id");
        if (sl_gateway__delete(op, SL_GW_DEPLOYMENT, api_id, id, err) ||
            sl_gateway__delete(op, SL_GW_SNAPSHOT, api_id, id, err))
            return sl_gateway__failed(err);
        for (struct sl_json *row = rows->first; row; row = row->next) {
            if (row == oldest) sl_json_put_bool(arena, row, "gone", true);
        }
        if (sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the list of deployments");
    }
}

static int deploy_to_stages(struct sl_op *op, struct sl_arena *arena, const struct sl_json *api, struct sl_error *err) {
    struct sl_str api_id = sl_json_string(api, "ApiId"), message = {0};
    struct sl_json *stages, *deployment = NULL;
    if (sl_gateway__all(op, arena, SL_GW_STAGE, api_id, &stages, err)) return sl_gateway__failed(err);
    for (struct sl_json *row = stages->first; row; row = row->next) {
        struct sl_json *stage = sl_json_get(row, "doc");
        if (!sl_json_bool(stage, "AutoDeploy", false)) continue;
        if (!message.ptr) {
            struct sl_error why = {0};
            int failed = sl_gateway__deploy(
                op, api, true, SL_STR("Automatic deployment triggered by changes to the Api configuration"),
                &deployment, &why);
            if (failed && failed != SL_E_BAD_REQUEST) return sl_fail(err, failed, "%s", why.message);
            message = failed ? sl_arena_printf(arena, "Deployment attempt failed: %s", why.message)
                             : sl_arena_printf(arena, "Successfully deployed stage with deployment ID '%.*s'",
                                               SL_FMT(sl_json_string(deployment, "DeploymentId")));
            if (failed) deployment = NULL; // the stage goes on serving what it has
        }
        sl_json_put_string(arena, stage, "LastDeploymentStatusMessage", message);
        if (deployment) {
            sl_json_put_string(arena, stage, "DeploymentId", sl_json_string(deployment, "DeploymentId"));
            sl_json_put_string(arena, stage, "LastUpdatedDate", sl_gateway__now(op));
        }
        if (sl_gateway__put(op, SL_GW_STAGE, api_id, sl_json_string(row, "id"), stage, err))
            return sl_gateway__failed(err);
    }
    return deployment ? prune(op, arena, api_id, stages, err) : 0;
}

int sl_gateway__changed(struct sl_op *op, struct sl_str api_id, bool deploys, struct sl_error *err) {
    struct sl_arena scratch;
    sl_arena_init(&scratch, 64u << 20);
    struct sl_json *api;
    struct sl_key key = sl_gateway__key(op, SL_GW_API, SL_STR(""), api_id);
    int failed = sl_store_get(op->tx, &scratch, &key, &api, err);
    if (!failed && deploys) failed = deploy_to_stages(op, &scratch, api, err);
    sl_arena_free(&scratch);
    struct sl_app *app = op->app;
    struct sl_gw_api *compiled = NULL;
    if (!failed) failed = sl_gateway__compile(app->gateway, op->tx, op->account, op->region, api_id, &compiled, err);
    op->state = compiled;
    return failed;
}

void sl_gateway__publish_op(struct sl_op *op) {
    struct sl_app *app = op->app;
    if (op->state) sl_gateway__publish(app->gateway, op->state);
    op->state = NULL;
}

void sl_gateway__discard_op(struct sl_op *op) {
    sl_gateway__api_free(op->state);
    op->state = NULL;
}
