// SPDX-License-Identifier: Apache-2.0
//
// function: CreateFunction, GetFunction, ListFunctions, DeleteFunction.
#include "lambda/internal.h"

#include "aws/page.h"
#include "lambda/code_signing.h"
#include "lambda/function_internal.h"
#include "lambda/image.h"

// --- create
// ------------------------------------------------------------------------------------------------------------------------------

// The model allows 140 characters because an ARN may stand here; the name inside may have 64, and AWS says so in
// another error.
static int check_name(const struct sl_lambda__target *target, struct sl_error *err) {
    if (target->name.len <= SL_LAMBDA_NAME_MAX) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "1 validation error detected: Value '%.*s' at 'functionName' failed to satisfy constraint: Member "
                   "must have length "
                   "less than or equal to %d",
                   SL_FMT(target->name), SL_LAMBDA_NAME_MAX);
}

static int check_package(struct sl_op *op, const struct sl_json *code, struct sl_error *err) {
    struct sl_str image = sl_json_string(code, "ImageUri"), handler = sl_op_in(op, "Handler"),
                  runtime = sl_op_in(op, "Runtime");
    if (sl_str_is(sl_op_in(op, "PackageType"), "Image") || image.ptr) {
        if (!sl_str_is(sl_op_in(op, "PackageType"), "Image"))
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "Please don't provide ImageUri when creating a function with packageType Zip.");
        if (!image.ptr)
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "Please provide ImageUri when creating a function with packageType Image.");
        if (handler.len > 0 || runtime.len > 0 || sl_json_get(op->in, "Layers"))
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "Please don't provide Handler or Runtime or Layer when the intended function PackageType is "
                           "Image.");
        return 0;
    }
    if (handler.len == 0 || runtime.len == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
    return 0;
}

static int check_tags(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *tags = sl_json_get(op->in, "Tags");
    if (tags && tags->count > SL_LAMBDA_TAGS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Number of tags exceeds resource tag limit.");
    return 0;
}

int sl_lambda__create_prepare(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_lambda__work *work = sl_lambda__work(op);
    const struct sl_json *code = sl_json_get(op->in, "Code");
    if (!work) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a deployment package");
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = check_name(&target, err);
    if (result == 0) result = check_package(op, code, err);
    if (result == 0) result = sl_lambda__settings_check(op, err);
    if (result == 0) result = check_tags(op, err);
    if (result == 0) result = sl_lambda__publish_to_check(op, err);
    if (result == 0) result = sl_lambda__code_intake(op, code, &work->code, err);
    return result == 0 ? sl_lambda__layers_take(op, err) : result;
}

// What AWS fills in [AWS, test_function_lifecycle].
static struct sl_json *new_document(struct sl_op *op, const struct sl_lambda__target *target) {
    struct sl_json *document = sl_json_new_object(op->arena);
    struct sl_json *architectures = sl_json_new_array(op->arena), *storage = sl_json_new_object(op->arena);
    struct sl_json *logging = sl_lambda__object1(op, "LogFormat", SL_STR("Text")),
                   *snap = sl_lambda__object1(op, "ApplyOn", SL_STR("None"));
    sl_lambda__put(op, document, "FunctionName", target->name);
    sl_lambda__put(op, document, "FunctionArn", target->arn);
    sl_lambda__put(op, document, "Description", SL_STR(""));
    sl_json_put_int(op->arena, document, "Timeout", 3);
    sl_json_put_int(op->arena, document, "MemorySize", 128);
    sl_lambda__put(op, document, "Version", SL_STR("$LATEST"));
    sl_lambda__put(op, document, "PackageType", SL_STR("Zip"));
    sl_lambda__put(op, document, "State", SL_STR("Active"));
    sl_lambda__put(op, document, "LastUpdateStatus", SL_STR("Successful"));
    sl_json_push(architectures, sl_json_new_string(op->arena, SL_STR("x86_64")));
    sl_json_set(document, SL_STR("Architectures"), architectures);
    sl_json_put_int(op->arena, storage, "Size", 512);
    sl_json_set(document, SL_STR("EphemeralStorage"), storage);
    sl_json_set(document, SL_STR("TracingConfig"), sl_lambda__object1(op, "Mode", SL_STR("PassThrough")));
    sl_lambda__put(op, snap, "OptimizationStatus", SL_STR("Off"));
    sl_json_set(document, SL_STR("SnapStart"), snap);
    sl_lambda__put(op, logging, "LogGroup", sl_arena_printf(op->arena, "/aws/lambda/%.*s", SL_FMT(target->name)));
    sl_json_set(document, SL_STR("LoggingConfig"), logging);
    return document;
}

static int create_checked(struct sl_op *op, const struct sl_lambda__target *target, struct sl_error *err) {
    struct sl_lambda__work *work = op->state;
    struct sl_json *document = new_document(op, target), *version, *answer;
    const struct sl_json *architectures = sl_json_get(op->in, "Architectures"), *tags = sl_json_get(op->in, "Tags");
    const struct sl_json *tenancy = sl_json_get(op->in, "TenancyConfig");
    // Set at creation and never changed (API reference, TenancyConfig).
    if (tenancy) sl_json_set(document, SL_STR("TenancyConfig"), sl_json_copy(op->arena, tenancy));
    int result = sl_lambda__settings_apply(op, document, err);
    if (result == 0) result = sl_lambda__signing_attach(op, document, sl_op_in(op, "CodeSigningConfigArn"), err);
    if (result == 0) result = sl_lambda__signing_check(op, document, err);
    if (result == 0) result = sl_lambda__check_room(op, work->code.size, err);
    if (result != 0) return result;
    if (architectures && architectures->count > 0)
        sl_json_set(document, SL_STR("Architectures"), sl_json_copy(op->arena, architectures));
    if (tags && tags->count > 0) sl_json_set(document, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    sl_lambda__code_put(op, document, &work->code);
    result = sl_lambda__image_configure(op, document, err);
    if (result != 0) return result;
    sl_lambda__touch(op, document);
    op->out = sl_lambda__begin_change(op, document, SL_LAMBDA_CREATE);
    if (work->code.failure.len > 0)
        sl_lambda__fail_change(op, document, SL_LAMBDA_CREATE, SL_STR("InvalidImage"), work->code.failure);
    const struct sl_key key = sl_lambda__function_key(op, target->name);
    result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.functions = 1, .code_size = work->code.size}, err);
    if (result == 0) result = sl_store_put(op->tx, &key, document, err);
    if (result == 0 && sl_json_bool(op->in, "Publish", false)) {
        result = sl_lambda__version_publish(op, document, (struct sl_str){NULL, 0}, &version, err);
        if (result == 0) result = sl_lambda__version_pend(op, version, &answer, err);
        // The answer is $LATEST's, with the unqualified ARN [AWS, test_publish_version_on_create].
        sl_lambda__put(op, op->out, "Version", SL_STR("1"));
    }
    return result == 0 ? sl_lambda__stage(op, document, err) : result;
}

int sl_lambda__create(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    int result = sl_lambda__target(op, &target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    if (sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_RESOURCE_CONFLICT, "Function already exist: %.*s", SL_FMT(target.name));
    return create_checked(op, &target, err);
}

// --- get, delete
// -------------------------------------------------------------------------------------------------------------------------

int sl_lambda__get(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *document, *latest;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load_qualified(op, &target, &document, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    struct sl_json *code = sl_lambda__object1(op, "RepositoryType", SL_STR("S3"));
    struct sl_str hot = sl_json_string(document, "_hot");
    if (sl_json_get(document, "_image"))
        sl_lambda__image_show(op, document, code);
    else
        sl_lambda__put(op, code, "Location",
                       hot.len > 0 ? sl_arena_printf(op->arena, "file://%.*s", SL_FMT(hot))
                                   : sl_lambda__code_location(op, sl_json_string(document, "_code")));
    sl_json_set(op->out, SL_STR("Configuration"), sl_json_copy(op->arena, sl_lambda__seen(op, document)));
    sl_json_set(op->out, SL_STR("Code"), code);
    const struct sl_json *tags = sl_json_get(latest, "_tags");
    if (tags && tags->count > 0) sl_json_set(op->out, SL_STR("Tags"), sl_json_copy(op->arena, tags));
    int64_t reserved = sl_json_int(latest, "_concurrency", -1);
    if (reserved >= 0) {
        struct sl_json *concurrency = sl_json_new_object(op->arena);
        sl_json_put_int(op->arena, concurrency, "ReservedConcurrentExecutions", reserved);
        sl_json_set(op->out, SL_STR("Concurrency"), concurrency);
    }
    return 0;
}

static int delete_aliases(struct sl_op *op, struct sl_str name, struct sl_error *err) {
    const struct sl_key key = sl_lambda__alias_key(op, name, SL_STR(""));
    struct sl_json *page;
    struct sl_str after = SL_STR("");
    int result = 0;
    for (bool more = true; more && result == 0;) {
        result = sl_store_list(op->tx, op->arena, &key, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            after = sl_json_string(item, "id");
            sl_lambda__stage_alias_removal(op, name, after);
        }
    }
    return result == 0 ? sl_store_delete_children(op->tx, &key, err) : result;
}

// *ret_size: the bytes of the versions' code.
static int delete_children(struct sl_op *op, struct sl_str name, int64_t *ret_size, struct sl_error *err) {
    struct sl_json *page;
    struct sl_str after = SL_STR("");
    int result = delete_aliases(op, name, err);
    for (bool more = true; more && result == 0;) {
        result = sl_lambda__version_list(op, name, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            sl_lambda__stage_removal(op, name, sl_json_string(sl_json_get(item, "doc"), "Version"));
            *ret_size += sl_json_int(sl_json_get(item, "doc"), "CodeSize", 0);
            after = sl_json_string(item, "id");
        }
    }
    const struct sl_key children[] = {
        sl_lambda__version_key(op, name, SL_STR("")),     sl_lambda__policy_key(op, name, SL_STR("")),
        sl_lambda__url_key(op, name, SL_STR("")),         sl_lambda__event_config_key(op, name, SL_STR("")),
        sl_lambda__provisioned_key(op, name, SL_STR("")), sl_lambda__recursion_key(op, name),
        sl_lambda__runtime_key(op, name, SL_STR("")),
    };
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]) && result == 0; i++)
        result = sl_store_delete_children(op->tx, &children[i], err);
    return result;
}

static int delete_whole(struct sl_op *op, const struct sl_lambda__target *target, struct sl_error *err) {
    const struct sl_key key = sl_lambda__function_key(op, target->name);
    struct sl_json *latest;
    int64_t versions = 0;
    int result = sl_lambda__load(op, target, &latest, err);
    if (result == 0) result = sl_lambda__signing_detach(op, latest, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, NULL, err);
    if (result == 0) result = delete_children(op, target->name, &versions, err);
    if (result != 0) return result;
    result =
        sl_lambda__totals_add(op,
                              &(struct sl_lambda__totals){.functions = -1,
                                                          .code_size = -versions - sl_json_int(latest, "CodeSize", 0),
                                                          .reserved = -sl_json_int(latest, "_concurrency", 0)},
                              err);
    if (result == 0) sl_lambda__stage_removal(op, target->name, SL_STR("$LATEST"));
    return result;
}

// A version that is not there is already deleted: 204, as AWS answers.
static int delete_version(struct sl_op *op, const struct sl_lambda__target *target, struct sl_error *err) {
    struct sl_json *latest, *version = NULL;
    const struct sl_key key = sl_lambda__version_key(op, target->name, target->qualifier);
    const struct sl_key policy = sl_lambda__policy_key(op, target->name, target->qualifier);
    const struct sl_key provisioned = sl_lambda__provisioned_key(op, target->name, target->qualifier);
    const struct sl_key events = sl_lambda__event_config_key(op, target->name, target->qualifier);
    const struct sl_key runtime = sl_lambda__runtime_key(op, target->name, target->qualifier);
    int result = sl_lambda__load(op, target, &latest, err);
    if (result == 0) result = sl_lambda__check_unaliased(op, target->name, target->qualifier, err);
    if (result == 0) result = sl_store_get(op->tx, op->arena, &key, &version, err);
    if (result == SL_E_NOT_FOUND) result = 0;
    int64_t size = sl_json_int(version, "CodeSize", 0);
    if (result == 0) result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.code_size = -size}, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, NULL, err);
    if (result == 0) result = sl_store_delete(op->tx, &policy, NULL, err);
    if (result == 0) result = sl_store_delete(op->tx, &events, NULL, err);
    if (result == 0) result = sl_store_delete(op->tx, &runtime, NULL, err);
    if (result == 0) result = sl_store_delete(op->tx, &provisioned, NULL, err);
    if (result == 0) sl_lambda__stage_removal(op, target->name, target->qualifier);
    return result;
}

int sl_lambda__delete(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    int result = sl_lambda__target(op, &target, err);
    if (result != 0) return result;
    op->status = 204; // the newest model says 200, AWS answers 204 [AWS]
    sl_json_put_int(op->arena, op->out, "StatusCode", 204);
    if (target.qualifier.len == 0) return delete_whole(op, &target, err);
    if (sl_str_is(target.qualifier, "$LATEST"))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "$LATEST version cannot be deleted without deleting the function.");
    if (sl_lambda__is_alias(target.qualifier))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Deletion of aliases is not currently supported.");
    if (!sl_lambda__is_number(target.qualifier)) return sl_lambda__not_found(op, &target, SL_STR(""), err);
    return delete_version(op, &target, err);
}

// --- list
// ----------------------------------------------------------------------------------------------------------------------------------

// A page under construction. `last` is what its token holds: "name" after $LATEST, "name:0000000007" after a version;
// ':' cannot be in a name.
struct listing {
    struct sl_json *functions;
    unsigned left;
    struct sl_str last;
    bool more;
};

static int list_versions_of(struct sl_op *op, struct listing *listing, struct sl_str name, struct sl_str after,
                            struct sl_error *err) {
    struct sl_json *page;
    int result =
        sl_lambda__version_list(op, name, after, listing->left > 0 ? listing->left : 1, &page, &listing->more, err);
    if (result != 0) return result;
    if (listing->left == 0) listing->more = page->count > 0;
    for (const struct sl_json *item = page->first; item && listing->left > 0; item = item->next, listing->left--) {
        sl_json_push(listing->functions, sl_lambda__listed(op, sl_json_get(item, "doc")));
        listing->last = sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(name), SL_FMT(sl_json_string(item, "id")));
    }
    return 0;
}

static int list_functions(struct sl_op *op, struct listing *listing, bool all, struct sl_str after,
                          struct sl_error *err) {
    struct sl_json *page;
    bool more = false;
    const struct sl_key key = sl_lambda__function_key(op, SL_STR(""));
    int result =
        sl_store_list(op->tx, op->arena, &key, after, listing->left > 0 ? listing->left : 1, &page, &more, err);
    if (result != 0) return result;
    for (const struct sl_json *item = page->first; item && result == 0; item = item->next) {
        if (listing->left == 0) {
            listing->more = true;
            return 0;
        }
        struct sl_str name = sl_json_string(item, "id");
        struct sl_json *shown = sl_lambda__listed(op, sl_json_get(item, "doc"));
        if (all)
            sl_lambda__put(op, shown, "FunctionArn",
                           sl_arena_printf(op->arena, "%.*s:$LATEST", SL_FMT(sl_json_string(shown, "FunctionArn"))));
        sl_json_push(listing->functions, shown);
        listing->last = name;
        listing->left--;
        if (all) result = list_versions_of(op, listing, name, SL_STR(""), err);
        if (listing->more) return result;
    }
    listing->more = more;
    return result;
}

int sl_lambda__list(struct sl_op *op, struct sl_error *err) {
    struct sl_str marker = sl_op_in(op, "Marker"), last = SL_STR(""),
                  scope = sl_page_scope(op, sl_op_in(op, "FunctionVersion"));
    bool all = sl_str_is(sl_op_in(op, "FunctionVersion"), "ALL");
    int64_t limit = sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX);
    struct listing listing = {.functions = sl_json_new_array(op->arena),
                              .left = (unsigned)(limit > SL_LAMBDA_LIST_MAX ? SL_LAMBDA_LIST_MAX : limit)};
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &last))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    ptrdiff_t colon = sl_str_chr(last, ':', 0);
    struct sl_str name = colon < 0 ? last : sl_str_sub(last, 0, (size_t)colon);
    int result = 0;
    if (all && last.len > 0)
        result = list_versions_of(op, &listing, name,
                                  colon < 0 ? SL_STR("") : sl_str_sub(last, (size_t)colon + 1, last.len), err);
    if (result == 0 && !listing.more) result = list_functions(op, &listing, all, name, err);
    if (result != 0) return result;
    sl_json_set(op->out, SL_STR("Functions"), listing.functions);
    if (listing.more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, listing.last));
    return 0;
}
