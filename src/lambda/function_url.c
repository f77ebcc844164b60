// SPDX-License-Identifier: Apache-2.0
//
// function_url: Create-, Get-, Update-, Delete- and ListFunctionUrlConfig(s). What a URL does with a request is in
// url.c.
//
// A URL belongs to a whole function or to an alias (the model allows no other qualifier).
#include "lambda/internal.h"

#include "aws/page.h"
#include "base/clock.h"

enum { URL_ID = 32 };

static int no_such(struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

static int load_url(struct sl_op *op, struct sl_lambda__target *target, struct sl_json **ret, struct sl_error *err) {
    int result = sl_lambda__target(op, target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__url_key(op, target->name, target->qualifier);
    result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? no_such(err) : result;
}

static struct sl_str now_text(struct sl_op *op) {
    char time[SL_TIME_ISO_MS];
    sl_time_iso_ms(op->now_ms, time);
    return sl_arena_dup(op->arena, sl_str_of(time));
}

static struct sl_json *without(struct sl_op *op, const struct sl_json *url, const char *first, const char *second) {
    struct sl_json *copy = sl_json_copy(op->arena, url);
    sl_json_remove(copy, first);
    sl_json_remove(copy, second);
    return copy;
}

// A preflight that allows credentials for every origin would be refused by browsers; AWS refuses it when it is set.
static int check_cors(const struct sl_json *cors, struct sl_error *err) {
    if (!sl_json_bool(cors, "AllowCredentials", false)) return 0;
    const struct sl_json *origins = sl_json_get(cors, "AllowOrigins");
    for (const struct sl_json *origin = origins ? origins->first : NULL; origin; origin = origin->next)
        if (sl_str_is(origin->text, "*"))
            return sl_fail(err, SL_E_INVALID_PARAMETER, "AllowOrigins cannot be '*' when AllowCredentials is true.");
    return 0;
}

static void apply(struct sl_op *op, struct sl_json *url) {
    const struct sl_json *cors = sl_json_get(op->in, "Cors");
    struct sl_str auth = sl_op_in(op, "AuthType"), mode = sl_op_in(op, "InvokeMode");
    if (auth.len > 0) sl_lambda__put(op, url, "AuthType", auth);
    if (mode.len > 0) sl_lambda__put(op, url, "InvokeMode", mode);
    if (cors && cors->count > 0)
        sl_json_set(url, SL_STR("Cors"), sl_json_copy(op->arena, cors));
    else if (cors)
        sl_json_remove(url, "Cors"); // an empty object takes the configuration away
}

static int save(struct sl_op *op, const struct sl_lambda__target *target, const struct sl_json *url,
                struct sl_error *err) {
    const struct sl_key key = sl_lambda__url_key(op, target->name, target->qualifier);
    const struct sl_key function_key = sl_lambda__function_key(op, target->name);
    struct sl_json *latest;
    int result = url ? sl_store_put(op->tx, &key, url, err) : sl_store_delete(op->tx, &key, NULL, err);
    if (result == 0 && target->qualifier.len > 0)
        return sl_lambda__stage_alias(op, target->name, target->qualifier, err);
    if (result == 0) result = sl_store_get(op->tx, op->arena, &function_key, &latest, err);
    return result == 0 ? sl_lambda__stage(op, latest, err) : result;
}

// Creating and updating name the function, or its alias, when it is missing; reading and deleting the URL [AWS].
static int find_function(struct sl_op *op, struct sl_lambda__target *ret, struct sl_error *err) {
    int result = sl_lambda__target(op, ret, err);
    if (result == 0) result = check_cors(sl_json_get(op->in, "Cors"), err);
    if (result != 0) return result;
    const struct sl_key function = sl_lambda__function_key(op, ret->name);
    const struct sl_key alias = sl_lambda__alias_key(op, ret->name, ret->qualifier);
    if (sl_store_has(op->tx, &function) && (ret->qualifier.len == 0 || sl_store_has(op->tx, &alias))) return 0;
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function does not exist");
}

int sl_lambda__create_url(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct sl_lambda__target target;
    int result = find_function(op, &target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__url_key(op, target.name, target.qualifier);
    if (sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "Failed to create function url config for [functionArn = %.*s]. Error message:  "
                       "FunctionUrlConfig exists for "
                       "this Lambda function", // both spaces are AWS's
                       SL_FMT(sl_lambda__qualified_arn(op, &target, target.qualifier)));
    struct sl_json *latest;
    result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0) result = sl_lambda__refuse_tenancy(latest, "Function URLs are", err);
    if (result != 0) return result;
    char id[URL_ID + 1];
    sl_random_lower(id, URL_ID);
    struct sl_json *url = sl_json_new_object(op->arena);
    sl_lambda__put(op, url, "_id", sl_arena_dup(op->arena, sl_str_of(id)));
    sl_lambda__put(op, url, "FunctionUrl",
                   sl_arena_printf(op->arena, "http://%s.lambda-url.%.*s.%.*s/", id, SL_FMT(op->region),
                                   SL_FMT(app->public_host)));
    sl_lambda__put(op, url, "FunctionArn", sl_lambda__qualified_arn(op, &target, target.qualifier));
    sl_lambda__put(op, url, "CreationTime", now_text(op));
    sl_lambda__put(op, url, "LastModifiedTime", now_text(op));
    sl_lambda__put(op, url, "InvokeMode", SL_STR("BUFFERED"));
    apply(op, url);
    // The answer of the creation has neither; reading has both [AWS, test_url_config_lifecycle].
    op->out = without(op, url, "LastModifiedTime", sl_op_in(op, "InvokeMode").ptr ? "_id" : "InvokeMode");
    return save(op, &target, url, err);
}

int sl_lambda__get_url(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *url;
    int result = load_url(op, &target, &url, err);
    if (result == 0) op->out = url;
    return result;
}

int sl_lambda__update_url(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *url;
    int result = find_function(op, &target, err);
    if (result == 0) result = load_url(op, &target, &url, err);
    if (result != 0) return result;
    apply(op, url);
    sl_lambda__put(op, url, "LastModifiedTime", now_text(op));
    op->out = without(op, url, "_id", sl_op_in(op, "InvokeMode").ptr ? "_id" : "InvokeMode");
    return save(op, &target, url, err);
}

int sl_lambda__delete_url(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *url;
    int result = load_url(op, &target, &url, err);
    return result == 0 ? save(op, &target, NULL, err) : result;
}

int sl_lambda__list_urls(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *page, *urls = sl_json_new_array(op->arena);
    struct sl_str marker = sl_op_in(op, "Marker"), after = SL_STR("");
    bool more = false;
    int result = sl_lambda__target(op, &target, err);
    if (result != 0) return result;
    const struct sl_key function = sl_lambda__function_key(op, target.name);
    if (!sl_store_has(op->tx, &function)) return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function does not exist");
    struct sl_str scope = sl_page_scope(op, target.name);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    const struct sl_key key = sl_lambda__url_key(op, target.name, SL_STR(""));
    result =
        sl_store_list(op->tx, op->arena, &key, after, (unsigned)sl_json_int(op->in, "MaxItems", 50), &page, &more, err);
    for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
        sl_json_push(urls, sl_json_copy(op->arena, sl_json_get(item, "doc")));
        after = sl_json_string(item, "id");
    }
    sl_json_set(op->out, SL_STR("FunctionUrlConfigs"), urls);
    if (result == 0 && more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return result;
}
