// SPDX-License-Identifier: Apache-2.0
//
// layer: PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions, DeleteLayerVersion.
// Their permissions are in layer_policy.c; how a function gets its layers is in layer_use.c.
//
// A layer is a counter ("lambda.layer", {"_last": n}) that outlives its versions, because numbers are never given twice
// [AWS, test_layer_lifecycle]. A version ("lambda.layer_version") is the answer of the API and its blob. Its id counts
// down, so that the store's order is AWS's: newest first.
#include "lambda/layer.h"

#include "aws/page.h"
#include "base/clock.h"

#define COUNT_DOWN 9999999999LL

// --- names and keys
// ---------------------------------------------------------------------------------------------------------------------

struct sl_key sl_lambda__layer_version_key(struct sl_op *op, const struct sl_lambda__layer *layer, const char *kind) {
    struct sl_str id = layer->version == 0
                           ? SL_STR("")
                           : sl_arena_printf(op->arena, "%010lld", COUNT_DOWN - (long long)layer->version);
    return (struct sl_key){
        .kind = kind, .account = layer->account, .region = layer->region, .parent = layer->name, .id = id};
}

struct sl_key sl_lambda__layer_key(struct sl_op *op, struct sl_str name) {
    return (struct sl_key){
        .kind = "lambda.layer", .account = op->account, .region = op->region, .parent = SL_STR(""), .id = name};
}

struct sl_str sl_lambda__layer_arn(struct sl_op *op, const struct sl_lambda__layer *layer) {
    struct sl_str arn = sl_arena_printf(op->arena, "arn:%.*s:lambda:%.*s:%.*s:layer:%.*s", SL_FMT(op->partition),
                                        SL_FMT(layer->region), SL_FMT(layer->account), SL_FMT(layer->name));
    return layer->version == 0 ? arn : sl_arena_printf(op->arena, "%.*s:%lld", SL_FMT(arn), (long long)layer->version);
}

bool sl_lambda__layer_parse(struct sl_str text, struct sl_lambda__layer *ret) {
    struct sl_arn arn;
    const struct sl_str label = SL_STR("layer:");
    if (!sl_arn_parse(text, &arn) || !sl_str_starts(arn.resource, label)) return false;
    struct sl_str rest = sl_str_sub(arn.resource, label.len, arn.resource.len);
    ptrdiff_t colon = sl_str_chr(rest, ':', 0);
    *ret = (struct sl_lambda__layer){.account = arn.account, .region = arn.region, .name = rest};
    if (colon < 0) return true;
    ret->name = sl_str_sub(rest, 0, (size_t)colon);
    return sl_str_to_i64(sl_str_sub(rest, (size_t)colon + 1, rest.len), &ret->version) && ret->version > 0 &&
           ret->version < COUNT_DOWN;
}

struct sl_lambda__layer sl_lambda__layer_named(struct sl_op *op) {
    struct sl_str name = sl_op_in(op, "LayerName");
    struct sl_lambda__layer layer;
    if (!sl_lambda__layer_parse(name, &layer))
        layer = (struct sl_lambda__layer){.account = op->account, .region = op->region, .name = name};
    layer.version = sl_json_int(op->in, "VersionNumber", 0);
    return layer;
}

static int check_number(const struct sl_lambda__layer *layer, struct sl_error *err) {
    return layer->version >= 1 ? 0 : sl_fail(err, SL_E_INVALID_PARAMETER, "Layer Version Cannot be less than 1");
}

static int no_such(struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

// --- publish
// ---------------------------------------------------------------------------------------------------------------------

int sl_lambda__publish_layer_prepare(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__work *work = sl_lambda__work(op);
    struct sl_str zip;
    if (!work) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a layer");
    int result = sl_lambda__code_source(op, sl_json_get(op->in, "Content"), &zip, err);
    return result == 0 ? sl_lambda__code_take(op, zip, &work->code, err) : result;
}

static int next_number(struct sl_op *op, struct sl_str name, int64_t *ret, struct sl_error *err) {
    const struct sl_key key = sl_lambda__layer_key(op, name);
    struct sl_json *counter;
    int result = sl_store_get(op->tx, op->arena, &key, &counter, err);
    if (result == SL_E_NOT_FOUND) {
        counter = sl_json_new_object(op->arena);
        result = 0;
    }
    *ret = sl_json_int(counter, "_last", 0) + 1;
    sl_json_put_int(op->arena, counter, "_last", *ret);
    return result == 0 ? sl_store_put(op->tx, &key, counter, err) : result;
}

static struct sl_json *new_version(struct sl_op *op, const struct sl_lambda__layer *layer,
                                   const struct sl_lambda__code *code) {
    static const char *const kept[] = {"LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"};
    struct sl_json *document = sl_json_new_object(op->arena), *content = sl_json_new_object(op->arena);
    struct sl_lambda__layer whole = *layer;
    char time[SL_TIME_LAMBDA];
    sl_time_lambda(op->now_ms, time);
    whole.version = 0;
    sl_lambda__put(op, content, "CodeSha256", code->sha256_base64);
    sl_json_put_int(op->arena, content, "CodeSize", code->size);
    sl_json_set(document, SL_STR("Content"), content);
    sl_lambda__put(op, document, "LayerArn", sl_lambda__layer_arn(op, &whole));
    sl_lambda__put(op, document, "LayerVersionArn", sl_lambda__layer_arn(op, layer));
    sl_lambda__put(op, document, "Description", sl_op_in(op, "Description"));
    sl_lambda__put(op, document, "CreatedDate", sl_arena_dup(op->arena, sl_str_of(time)));
    sl_json_put_int(op->arena, document, "Version", layer->version);
    sl_lambda__put(op, document, "_code", sl_arena_dup(op->arena, sl_str_of(code->sha256)));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const struct sl_json *value = sl_json_get(op->in, kept[i]);
        if (value) sl_json_set(document, sl_str_of(kept[i]), sl_json_copy(op->arena, value));
    }
    return document;
}

static void show(struct sl_op *op, struct sl_json *document) {
    sl_lambda__put(op, sl_json_get(document, "Content"), "Location",
                   sl_lambda__code_location(op, sl_json_string(document, "_code")));
    op->out = document;
}

int sl_lambda__publish_layer(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__work *work = op->state;
    struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    int result = sl_lambda__check_room(op, work->code.size, err);
    if (result != 0) return result;
    if (!sl_str_eq(layer.account, op->account) || !sl_str_eq(layer.region, op->region))
        return sl_fail(err, SL_E_ACCESS_DENIED,
                       "User: %.*s is not authorized to perform: lambda:PublishLayerVersion on resource: %.*s",
                       SL_FMT(op->caller), SL_FMT(sl_op_in(op, "LayerName")));
    result = next_number(op, layer.name, &layer.version, err);
    if (result == 0) result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.code_size = work->code.size}, err);
    if (result != 0) return result;
    struct sl_json *document = new_version(op, &layer, &work->code);
    const struct sl_key key = sl_lambda__layer_version_key(op, &layer, "lambda.layer_version");
    result = sl_store_put(op->tx, &key, document, err);
    if (result != 0) return result;
    work->layer_owner = sl_lambda__layer_arn(op, &layer);
    show(op, document);
    return 0;
}

// The ARN owns the blob from now on; functions that use the layer own it besides.
void sl_lambda__layer_published(struct sl_op *op) {
    struct sl_lambda__work *work = op->state;
    sl_lambda__code_use(work->layer_owner, sl_str_of(work->code.sha256));
    sl_lambda__publish(op);
}

// --- read
// ---------------------------------------------------------------------------------------------------------------------

// Other accounts' layers need a grant; without one AWS does not say whether they exist.
static int read_version(struct sl_op *op, const struct sl_lambda__layer *layer, struct sl_error *err) {
    const struct sl_key key = sl_lambda__layer_version_key(op, layer, "lambda.layer_version");
    struct sl_json *document;
    int result = check_number(layer, err);
    if (result == 0) result = sl_lambda__layer_allowed(op, op->tx, layer, err);
    if (result != 0) return result;
    result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND) return no_such(err);
    if (result == 0) show(op, document);
    return result;
}

int sl_lambda__get_layer(struct sl_op *op, struct sl_error *err) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    return read_version(op, &layer, err);
}

int sl_lambda__get_layer_by_arn(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__layer layer;
    return sl_lambda__layer_parse(sl_op_in(op, "Arn"), &layer) ? read_version(op, &layer, err) : no_such(err);
}

static bool lists(const struct sl_json *values, struct sl_str wanted) {
    if (wanted.len == 0) return true;
    for (const struct sl_json *value = values ? values->first : NULL; value; value = value->next)
        if (sl_str_eq(value->text, wanted)) return true;
    return false;
}

static bool compatible(struct sl_op *op, const struct sl_json *document) {
    return lists(sl_json_get(document, "CompatibleRuntimes"), sl_op_in(op, "CompatibleRuntime")) &&
           lists(sl_json_get(document, "CompatibleArchitectures"), sl_op_in(op, "CompatibleArchitecture"));
}

// Versions of one layer that the filters let pass, newest first, at most `limit`.
static int matching(struct sl_op *op, const struct sl_lambda__layer *layer, struct sl_str *after, size_t limit,
                    struct sl_json *into, bool *ret_more, struct sl_error *err) {
    struct sl_lambda__layer all = *layer;
    struct sl_json *page;
    int result = 0;
    all.version = 0;
    const struct sl_key key = sl_lambda__layer_version_key(op, &all, "lambda.layer_version");
    for (*ret_more = true; *ret_more && result == 0 && into && into->count < limit;) {
        result = sl_store_list(op->tx, op->arena, &key, *after, (unsigned)(limit - into->count), &page, ret_more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            *after = sl_json_string(item, "id");
            if (!compatible(op, sl_json_get(item, "doc"))) continue;
            struct sl_json *shown = sl_json_copy(op->arena, sl_json_get(item, "doc"));
            sl_json_remove(shown, "Content");
            sl_json_remove(shown, "LayerArn");
            sl_json_push(into, shown);
        }
    }
    return result;
}

static int begin_list(struct sl_op *op, struct sl_str parent, struct sl_str *ret_scope, struct sl_str *ret_after,
                      struct sl_error *err) {
    struct sl_str marker = sl_op_in(op, "Marker");
    *ret_scope = sl_page_scope(op, parent);
    *ret_after = SL_STR("");
    if (marker.len > 0 && !sl_page_open(op->arena, *ret_scope, marker, ret_after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    return 0;
}

// A layer that never was has no versions, which is no error [AWS].
int sl_lambda__list_layer_versions(struct sl_op *op, struct sl_error *err) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    struct sl_json *versions = sl_json_new_array(op->arena);
    struct sl_str scope, after;
    bool more;
    int result = begin_list(op, layer.name, &scope, &after, err);
    if (result == 0)
        result = matching(op, &layer, &after, (size_t)sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX), versions,
                          &more, err);
    if (result != 0) return result;
    sl_json_set(op->out, SL_STR("LayerVersions"), versions);
    if (more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return 0;
}

static int push_layer(struct sl_op *op, struct sl_str name, struct sl_json *layers, struct sl_error *err) {
    const struct sl_lambda__layer layer = {.account = op->account, .region = op->region, .name = name};
    struct sl_json *newest = sl_json_new_array(op->arena), *shown = sl_json_new_object(op->arena);
    struct sl_str after = SL_STR("");
    bool more;
    int result = matching(op, &layer, &after, 1, newest, &more, err);
    if (result != 0 || !newest || newest->count == 0) return result;
    sl_lambda__put(op, shown, "LayerName", name);
    sl_lambda__put(op, shown, "LayerArn", sl_lambda__layer_arn(op, &layer));
    sl_json_set(shown, SL_STR("LatestMatchingVersion"), sl_json_copy(op->arena, newest->first));
    sl_json_push(layers, shown);
    return 0;
}

int sl_lambda__list_layers(struct sl_op *op, struct sl_error *err) {
    struct sl_json *layers = sl_json_new_array(op->arena), *page;
    struct sl_str scope, after;
    size_t limit = (size_t)sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX);
    const struct sl_key key = sl_lambda__layer_key(op, SL_STR(""));
    bool more = true;
    int result = begin_list(op, SL_STR(""), &scope, &after, err);
    while (result == 0 && more && layers && layers->count < limit) {
        result = sl_store_list(op->tx, op->arena, &key, after, (unsigned)(limit - layers->count), &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
            after = sl_json_string(item, "id");
            result = push_layer(op, after, layers, err);
        }
    }
    if (result != 0) return result;
    sl_json_set(op->out, SL_STR("Layers"), layers);
    if (more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return 0;
}

// --- delete
// ---------------------------------------------------------------------------------------------------------------------

// Functions that use the version keep it. What is not there is already deleted [AWS].
int sl_lambda__delete_layer(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    int result = check_number(&layer, err);
    if (result != 0) return result;
    if (!sl_str_eq(layer.account, op->account))
        return sl_fail(err, SL_E_ACCESS_DENIED,
                       "User: %.*s is not authorized to perform: lambda:DeleteLayerVersion on resource: %.*s",
                       SL_FMT(op->caller), SL_FMT(sl_lambda__layer_arn(op, &layer)));
    const struct sl_key key = sl_lambda__layer_version_key(op, &layer, "lambda.layer_version");
    const struct sl_key policy = sl_lambda__layer_version_key(op, &layer, "lambda.layer_policy");
    struct sl_json *document = NULL;
    result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result != 0) return result == SL_E_NOT_FOUND ? 0 : result;
    int64_t size = sl_json_int(sl_json_get(document, "Content"), "CodeSize", 0);
    result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.code_size = -size}, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, NULL, err);
    return result == 0 ? sl_store_delete(op->tx, &policy, NULL, err) : result;
}

void sl_lambda__layer_deleted(struct sl_op *op) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    sl_lambda__code_unuse(sl_lambda__layer_arn(op, &layer));
}
