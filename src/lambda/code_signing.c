// SPDX-License-Identifier: Apache-2.0
//
// code_signing: code signing configurations (Create-, Get-, Update-, Delete-, ListCodeSigningConfig(s)), which function
// has which (Put-, Get-, DeleteFunctionCodeSigningConfig, ListFunctionsByCodeSigningConfig), and what follows from it.
//
// A configuration says whose signatures are trusted and what happens to code without one. Signatures are AWS Signer's,
// whose certificates this server cannot check, so no code here is trusted: `Enforce` refuses every deployment to the
// function, as AWS refuses unsigned code, and `Warn` lets it pass (docs/compatibility-notes.md).
//
// Documents: "lambda.code_signing", the configuration by its id + "_tags"; "lambda.code_signing_use" (parent: the id;
// id: the function), so that listing a configuration's functions costs what it lists. The function's document names its
// configuration in "_signing" (an ARN).
#include "lambda/code_signing.h"

#include "aws/page.h"
#include "base/clock.h"

static struct sl_key config_key(struct sl_op *op, struct sl_str id) {
    return (struct sl_key){
        .kind = "lambda.code_signing", .account = op->account, .region = op->region, .parent = SL_STR(""), .id = id};
}

static struct sl_key use_key(struct sl_op *op, struct sl_str id, struct sl_str function) {
    return (struct sl_key){
        .kind = "lambda.code_signing_use", .account = op->account, .region = op->region, .parent = id, .id = function};
}

// "arn:...:code-signing-config:csc-...": the id; empty for another account's or region's.
static struct sl_str id_of(struct sl_op *op, struct sl_str text) {
    const struct sl_str label = SL_STR("code-signing-config:");
    struct sl_arn arn;
    if (!sl_arn_parse(text, &arn) || !sl_str_starts(arn.resource, label) || !sl_str_eq(arn.account, op->account) ||
        !sl_str_eq(arn.region, op->region))
        return SL_STR("");
    return sl_str_sub(arn.resource, label.len, arn.resource.len);
}

// The configuration's own operations miss it without AWS's "Type" [AWS, test_code_signing_not_found_excs].
static int missing(struct sl_op *op, struct sl_str arn, struct sl_error *err) {
    return sl_lambda__fail_untyped(op, err, SL_E_RESOURCE_NOT_FOUND,
                                   "The Lambda code signing configuration %.*s can not be found.", SL_FMT(arn));
}

int sl_lambda__signing_load(struct sl_op *op, struct sl_str arn, struct sl_key *ret_key, struct sl_json **ret,
                            struct sl_error *err) {
    struct sl_str id = id_of(op, arn);
    *ret_key = config_key(op, id);
    int result = id.len > 0 ? sl_store_get(op->tx, op->arena, ret_key, ret, err) : SL_E_NOT_FOUND;
    return result == SL_E_NOT_FOUND ? missing(op, arn, err) : result;
}

// --- configurations
// -------------------------------------------------------------------------------------------------

static void apply(struct sl_op *op, struct sl_json *config) {
    static const char *const members[] = {"Description", "AllowedPublishers", "CodeSigningPolicies"};
    char time[SL_TIME_LAMBDA];
    sl_time_lambda(op->now_ms, time);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct sl_json *value = sl_json_get(op->in, members[i]);
        if (value) sl_json_set(config, sl_str_of(members[i]), sl_json_copy(op->arena, value));
    }
    sl_lambda__put(op, config, "LastModified", sl_arena_dup(op->arena, sl_str_of(time)));
}

static void show(struct sl_op *op, const struct sl_json *config) {
    sl_json_set(op->out, SL_STR("CodeSigningConfig"), sl_json_copy(op->arena, config));
}

int sl_lambda__create_signing(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *tags = sl_json_get(op->in, "Tags");
    struct sl_json *config = sl_json_new_object(op->arena);
    char uuid[SL_UUID];
    sl_uuid(uuid);
    // "csc-" and 17 hexadecimal digits, as AWS makes them.
    struct sl_str id = sl_arena_printf(op->arena, "csc-%.8s%.4s%.3s%.2s", uuid, uuid + 9, uuid + 15, uuid + 24);
    if (tags && tags->count > SL_LAMBDA_TAGS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Number of tags exceeds resource tag limit.");
    sl_lambda__put(op, config, "CodeSigningConfigId", id);
    sl_lambda__put(op, config, "CodeSigningConfigArn",
                   sl_arena_printf(op->arena, "arn:%.*s:lambda:%.*s:%.*s:code-signing-config:%.*s",
                                   SL_FMT(op->partition), SL_FMT(op->region), SL_FMT(op->account), SL_FMT(id)));
    sl_json_set(config, SL_STR("CodeSigningPolicies"),
                sl_lambda__object1(op, "UntrustedArtifactOnDeployment", SL_STR("Warn")));
    apply(op, config);
    if (tags && tags->count > 0) sl_json_set(config, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    const struct sl_key key = config_key(op, id);
    show(op, config);
    return sl_store_put(op->tx, &key, config, err);
}

int sl_lambda__get_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_key key;
    struct sl_json *config = NULL;
    int result = sl_lambda__signing_load(op, sl_op_in(op, "CodeSigningConfigArn"), &key, &config, err);
    if (result == 0) show(op, config);
    return result;
}

int sl_lambda__update_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_key key;
    struct sl_json *config = NULL;
    int result = sl_lambda__signing_load(op, sl_op_in(op, "CodeSigningConfigArn"), &key, &config, err);
    if (result != 0) return result;
    apply(op, config);
    show(op, config);
    return sl_store_put(op->tx, &key, config, err);
}

int sl_lambda__delete_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_key key;
    struct sl_json *config = NULL;
    int result = sl_lambda__signing_load(op, sl_op_in(op, "CodeSigningConfigArn"), &key, &config, err);
    if (result != 0) return result;
    const struct sl_key uses = use_key(op, key.id, SL_STR(""));
    if (sl_store_count(op->tx, &uses) > 0)
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "Cannot delete the code signing configuration %.*s because functions use it.",
                       SL_FMT(sl_json_string(config, "CodeSigningConfigArn")));
    return sl_store_delete(op->tx, &key, NULL, err);
}

// One page of a listing whose elements `show` makes.
static int list(struct sl_op *op, const struct sl_key *key, const char *member,
                struct sl_json *(*make)(struct sl_op *op, const struct sl_json *item), struct sl_error *err) {
    struct sl_str scope = sl_page_scope(op, key->parent), marker = sl_op_in(op, "Marker"), after = SL_STR("");
    struct sl_json *page, *shown = sl_json_new_array(op->arena);
    int64_t limit = sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX);
    bool more = false;
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    if (limit > SL_LAMBDA_LIST_MAX) limit = SL_LAMBDA_LIST_MAX;
    int result = sl_store_list(op->tx, op->arena, key, after, (unsigned)limit, &page, &more, err);
    for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
        sl_json_push(shown, make(op, item));
        after = sl_json_string(item, "id");
    }
    sl_json_set(op->out, sl_str_of(member), shown);
    if (result == 0 && more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return result;
}

static struct sl_json *whole(struct sl_op *op, const struct sl_json *item) {
    return sl_json_copy(op->arena, sl_json_get(item, "doc"));
}

int sl_lambda__list_signings(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = config_key(op, SL_STR(""));
    return list(op, &key, "CodeSigningConfigs", whole, err);
}

static struct sl_json *function_arn(struct sl_op *op, const struct sl_json *item) {
    return sl_json_new_string(op->arena, sl_arn_function(op->arena, op->partition, op->region, op->account,
                                                         sl_json_string(item, "id"), SL_STR("")));
}

int sl_lambda__list_signing_functions(struct sl_op *op, struct sl_error *err) {
    struct sl_key key;
    struct sl_json *config = NULL;
    int result = sl_lambda__signing_load(op, sl_op_in(op, "CodeSigningConfigArn"), &key, &config, err);
    if (result != 0) return result;
    const struct sl_key uses = use_key(op, key.id, SL_STR(""));
    return list(op, &uses, "FunctionArns", function_arn, err);
}

// --- functions
// ------------------------------------------------------------------------------------------------------

// What the function's own operations say of a configuration that is not there, before they look for the function [AWS].
static int check_there(struct sl_op *op, struct sl_str arn, struct sl_json **ret, struct sl_error *err) {
    struct sl_key key;
    int result = sl_lambda__signing_load(op, arn, &key, ret, err);
    if (result != SL_E_RESOURCE_NOT_FOUND) return result;
    op->error_members = NULL;
    return sl_fail(err, SL_E_CODE_SIGNING_NOT_FOUND,
                   "The code signing configuration cannot be found. Check that the provided configuration is not "
                   "deleted: %.*s.",
                   SL_FMT(arn));
}

int sl_lambda__signing_detach(struct sl_op *op, const struct sl_json *latest, struct sl_error *err) {
    struct sl_str old = sl_json_string(latest, "_signing");
    if (old.len == 0) return 0;
    const struct sl_key use = use_key(op, id_of(op, old), sl_json_string(latest, "FunctionName"));
    return sl_store_delete(op->tx, &use, NULL, err);
}

int sl_lambda__signing_attach(struct sl_op *op, struct sl_json *latest, struct sl_str arn, struct sl_error *err) {
    struct sl_json *config = NULL;
    if (arn.len == 0) return 0;
    int result = check_there(op, arn, &config, err);
    if (result == 0) result = sl_lambda__signing_detach(op, latest, err);
    if (result != 0) return result;
    const struct sl_key use = use_key(op, id_of(op, arn), sl_json_string(latest, "FunctionName"));
    sl_lambda__put(op, latest, "_signing", arn);
    return sl_store_put(op->tx, &use, sl_json_new_object(op->arena), err);
}

int sl_lambda__signing_check(struct sl_op *op, const struct sl_json *latest, struct sl_error *err) {
    struct sl_str arn = sl_json_string(latest, "_signing");
    struct sl_json *config = NULL;
    if (arn.len == 0) return 0;
    int result = check_there(op, arn, &config, err);
    if (result != 0) return result;
    const struct sl_json *policies = sl_json_get(config, "CodeSigningPolicies");
    if (!sl_str_is(sl_json_string(policies, "UntrustedArtifactOnDeployment"), "Enforce")) return 0;
    return sl_fail(err, SL_E_CODE_VERIFICATION,
                   "Lambda cannot deploy the function. The function or layer might be signed using a signature that "
                   "the client is not configured to accept. Check the provided signature for %.*s.",
                   SL_FMT(sl_json_string(latest, "FunctionName")));
}

static int save(struct sl_op *op, const struct sl_json *latest, struct sl_error *err) {
    const struct sl_key key = sl_lambda__function_key(op, sl_json_string(latest, "FunctionName"));
    return sl_store_put(op->tx, &key, latest, err);
}

int sl_lambda__put_function_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *config = NULL;
    struct sl_str arn = sl_op_in(op, "CodeSigningConfigArn");
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = check_there(op, arn, &config, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0 && sl_str_is(sl_json_string(latest, "PackageType"), "Image"))
        result = sl_fail(err, SL_E_INVALID_PARAMETER,
                         "Code signing is not supported for functions created with container images.");
    if (result == 0) result = sl_lambda__signing_attach(op, latest, arn, err);
    if (result != 0) return result;
    sl_op_out(op, "CodeSigningConfigArn", arn);
    sl_op_out(op, "FunctionName", target.name);
    return save(op, latest, err);
}

// Terraform reads this for every function. Without a configuration the answer is empty [AWS].
int sl_lambda__get_function_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0 || !sl_json_get(latest, "_signing")) return result;
    sl_op_out(op, "CodeSigningConfigArn", sl_json_string(latest, "_signing"));
    sl_op_out(op, "FunctionName", target.name);
    return 0;
}

int sl_lambda__delete_function_signing(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0) result = sl_lambda__signing_detach(op, latest, err);
    if (result != 0 || !sl_json_remove(latest, "_signing")) return result;
    return save(op, latest, err);
}
