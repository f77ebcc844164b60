// SPDX-License-Identifier: Apache-2.0
//
// document: keys and documents of functions and versions: reading them by qualifier, revisions, and the shapes in which
// they are shown. Documents are FunctionConfiguration as the API shows it; members that begin with '_' never leave (the
// engine drops what the output shape does not have).
#include "lambda/internal.h"

#include "base/clock.h"

#include <openssl/evp.h>

static struct sl_key key_of(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id) {
    return (struct sl_key){.kind = kind, .account = op->account, .region = op->region, .parent = parent, .id = id};
}

struct sl_key sl_lambda__function_key(struct sl_op *op, struct sl_str name) {
    return key_of(op, "lambda.function", SL_STR(""), name);
}

// Ten digits, so that the store's bytewise order is the order of numbers. More digits cannot name a version: such an id
// finds nothing.
struct sl_key sl_lambda__version_key(struct sl_op *op, struct sl_str name, struct sl_str version) {
    struct sl_str id = version;
    if (version.len > 0 && version.len < 10)
        id = sl_arena_printf(op->arena, "%.*s%.*s", (int)(10 - version.len), "0000000000", SL_FMT(version));
    return key_of(op, "lambda.version", name, id);
}

struct sl_key sl_lambda__alias_key(struct sl_op *op, struct sl_str name, struct sl_str alias) {
    return key_of(op, "lambda.alias", name, alias);
}

struct sl_key sl_lambda__event_config_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    return key_of(op, "lambda.event_config", name, qualifier);
}

struct sl_key sl_lambda__provisioned_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    return key_of(op, "lambda.provisioned", name, qualifier);
}

struct sl_key sl_lambda__event_source_key(struct sl_op *op, struct sl_str id) {
    return key_of(op, "lambda.event_source", SL_STR(""), id);
}

struct sl_key sl_lambda__recursion_key(struct sl_op *op, struct sl_str name) {
    return key_of(op, "lambda.recursion", name, SL_STR("$LATEST"));
}

struct sl_key sl_lambda__policy_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    return key_of(op, "lambda.policy", name, qualifier.len > 0 ? qualifier : SL_STR("$LATEST"));
}

struct sl_key sl_lambda__url_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    return key_of(op, "lambda.url", name, qualifier.len > 0 ? qualifier : SL_STR("$LATEST"));
}

int sl_lambda__load(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                    struct sl_error *err) {
    struct sl_key key = sl_lambda__function_key(op, target->name);
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result == SL_E_NOT_FOUND) return sl_lambda__not_found(op, target, SL_STR(""), err);
    return result;
}

int sl_lambda__load_qualified(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                              struct sl_error *err) {
    bool latest = sl_lambda__is_latest(target->qualifier);
    struct sl_str version = target->qualifier;
    if (!latest && !sl_lambda__is_number(version)) {
        struct sl_json *alias;
        int found = sl_lambda__load_alias(op, target->name, version, &alias, err);
        if (found != 0) return found;
        if (!alias) return sl_lambda__not_found(op, target, version, err);
        version = sl_json_string(alias, "FunctionVersion");
        latest = sl_lambda__is_latest(version);
    }
    struct sl_key key =
        latest ? sl_lambda__function_key(op, target->name) : sl_lambda__version_key(op, target->name, version);
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result == SL_E_NOT_FOUND) return sl_lambda__not_found(op, target, target->qualifier, err);
    if (result == 0 && target->qualifier.len > 0)
        sl_lambda__put(op, *ret, "FunctionArn", sl_lambda__qualified_arn(op, target, target->qualifier));
    return result;
}

void sl_lambda__put(struct sl_op *op, struct sl_json *object, const char *key, struct sl_str value) {
    sl_json_put_string(op->arena, object, key, value);
}

struct sl_json *sl_lambda__object1(struct sl_op *op, const char *key, struct sl_str value) {
    struct sl_json *object = sl_json_new_object(op->arena);
    sl_lambda__put(op, object, key, value);
    return object;
}

void sl_lambda__new_revision(struct sl_op *op, struct sl_json *document) {
    char uuid[SL_UUID];
    sl_uuid(uuid);
    sl_lambda__put(op, document, "RevisionId", sl_arena_dup(op->arena, sl_str_of(uuid)));
}

void sl_lambda__touch(struct sl_op *op, struct sl_json *document) {
    char time[SL_TIME_LAMBDA];
    sl_time_lambda(op->now_ms, time);
    sl_lambda__put(op, document, "LastModified", sl_arena_dup(op->arena, sl_str_of(time)));
    sl_lambda__new_revision(op, document);
}

int sl_lambda__refuse_tenancy(const struct sl_json *document, const char *feature, struct sl_error *err) {
    if (!sl_json_get(document, "TenancyConfig")) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "%s not supported for functions with tenancy configuration.", feature);
}

int sl_lambda__check_revision(struct sl_op *op, const struct sl_json *document, struct sl_error *err) {
    struct sl_str revision = sl_op_in(op, "RevisionId");
    if (!revision.ptr || sl_str_eq(revision, sl_json_string(sl_lambda__seen(op, document), "RevisionId"))) return 0;
    return sl_fail(
        err, SL_E_PRECONDITION_FAILED,
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
        "the latest Revision Id");
}

struct sl_json *sl_lambda__listed(struct sl_op *op, const struct sl_json *document) {
    struct sl_json *copy = sl_json_copy(op->arena, sl_lambda__seen(op, document));
    sl_json_remove(copy, "State");
    sl_json_remove(copy, "StateReason");
    sl_json_remove(copy, "StateReasonCode");
    sl_json_remove(copy, "LastUpdateStatusReason");
    sl_json_remove(copy, "LastUpdateStatusReasonCode");
    sl_json_remove(copy, "LastUpdateStatus");
    sl_json_remove(copy, "RuntimeVersionConfig");
    return copy;
}

void sl_lambda__sha256_hex(struct sl_str bytes, char ret[static SL_LAMBDA_SHA_HEX + 1]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    // Fails only when libcrypto has no SHA-256 at all; the zero digest then names a blob that is never there.
    (void)EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < SL_LAMBDA_SHA_HEX / 2; i++) {
        ret[2 * i] = digits[digest[i] >> 4];
        ret[2 * i + 1] = digits[digest[i] & 15];
    }
    ret[SL_LAMBDA_SHA_HEX] = '\0';
}
