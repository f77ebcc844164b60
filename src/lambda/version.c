// SPDX-License-Identifier: Apache-2.0
//
// version: published versions: PublishVersion, ListVersionsByFunction, and the Publish member of CreateFunction and
// UpdateFunctionCode.
//
// A version is a copy of $LATEST's document that no operation changes. AWS makes no new version when neither code nor
// configuration changed since the last one; so each publishing leaves the fingerprint of $LATEST in "_published", and
// an equal fingerprint answers with the version that is there. Numbers are never given twice ("_last_version"), also
// after a version was deleted.
#include "lambda/internal.h"

#include "aws/page.h"

// SHA-256 of what a version would freeze: the document without what changes by itself.
static struct sl_str fingerprint(struct sl_op *op, const struct sl_json *latest) {
    static const char *const left_out[] = {"RevisionId",    "LastModified", "State",        "LastUpdateStatus",
                                           "FunctionArn",   "Version",      "_concurrency", "_tags",
                                           "_last_version", "_published",   "_signing"};
    struct sl_json *copy = sl_json_copy(op->arena, latest);
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) sl_json_remove(copy, left_out[i]);
    sl_lambda__forget_change(op, copy);
    char hash[SL_LAMBDA_SHA_HEX + 1];
    sl_lambda__sha256_hex(sl_json_text(op->arena, copy, 1u << 20), hash);
    return sl_arena_dup(op->arena, sl_str_of(hash));
}

// The version with the number in `_last_version`, if it is still there and $LATEST has not changed since; else *ret is
// NULL.
static int find_same(struct sl_op *op, const struct sl_json *latest, struct sl_str print, struct sl_json **ret,
                     struct sl_error *err) {
    *ret = NULL;
    int64_t last = sl_json_int(latest, "_last_version", 0);
    if (last == 0 || !sl_str_eq(print, sl_json_string(latest, "_published"))) return 0;
    struct sl_str number = sl_arena_printf(op->arena, "%lld", (long long)last);
    const struct sl_key key = sl_lambda__version_key(op, sl_json_string(latest, "FunctionName"), number);
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

int sl_lambda__version_publish(struct sl_op *op, struct sl_json *latest, struct sl_str description,
                               struct sl_json **ret, struct sl_error *err) {
    struct sl_str print = fingerprint(op, latest), name = sl_json_string(latest, "FunctionName");
    int result = find_same(op, latest, print, ret, err);
    if (result != 0 || *ret) return result;
    int64_t last = sl_json_int(latest, "_last_version", 0) + 1;
    struct sl_str number = sl_arena_printf(op->arena, "%lld", (long long)last);
    struct sl_json *version = sl_json_copy(op->arena, latest);
    sl_json_remove(version, "_concurrency");
    sl_json_remove(version, "_tags");
    sl_json_remove(version, "_signing");
    sl_lambda__forget_change(op, version);
    sl_json_remove(version, "_last_version");
    sl_json_remove(version, "_published");
    sl_lambda__put(op, version, "Version", number);
    sl_lambda__put(
        op, version, "FunctionArn",
        sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(sl_json_string(latest, "FunctionArn")), SL_FMT(number)));
    if (description.ptr) sl_lambda__put(op, version, "Description", description);
    sl_lambda__new_revision(op, version);
    sl_json_put_int(op->arena, latest, "_last_version", last);
    sl_lambda__put(op, latest, "_published", print);
    sl_lambda__new_revision(op, latest);
    const struct sl_key key = sl_lambda__version_key(op, name, number), latest_key = sl_lambda__function_key(op, name);
    int64_t size = sl_json_int(version, "CodeSize", 0);
    result = sl_lambda__check_room(op, size, err);
    if (result == 0) result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.code_size = size}, err);
    if (result == 0) result = sl_store_put(op->tx, &key, version, err);
    if (result == 0) result = sl_store_put(op->tx, &latest_key, latest, err);
    if (result == 0) result = sl_lambda__stage(op, version, err);
    *ret = version;
    return result;
}

int sl_lambda__version_pend(struct sl_op *op, struct sl_json *version, struct sl_json **ret_answer,
                            struct sl_error *err) {
    struct sl_str name = sl_json_string(version, "FunctionName");
    const struct sl_key key = sl_lambda__version_key(op, name, sl_json_string(version, "Version"));
    *ret_answer = sl_lambda__begin_change(op, version, SL_LAMBDA_CREATE);
    int result = sl_store_put(op->tx, &key, version, err);
    // It was staged as it will be.
    return result == 0 && sl_lambda__pending_until(version) > 0 ? sl_lambda__stage(op, version, err) : result;
}

int sl_lambda__publish_to_check(struct sl_op *op, struct sl_error *err) {
    if (!sl_op_in(op, "PublishTo").ptr) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "PublishTo is only supported for functions with a capacity provider configuration. Leave it out.");
}

int sl_lambda__publish_version(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *version;
    struct sl_str sha256 = sl_op_in(op, "CodeSha256");
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__publish_to_check(op, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0) result = sl_lambda__check_settled(op, latest, err);
    if (result == 0) result = sl_lambda__check_revision(op, latest, err);
    if (result == 0 && sha256.len > 0 && !sl_str_eq(sha256, sl_json_string(latest, "CodeSha256")))
        result = sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "CodeSHA256 (%.*s) is different from current CodeSHA256 in $LATEST (%.*s). Please try again with the "
            "CodeSHA256 in $LATEST.",
            SL_FMT(sha256), SL_FMT(sl_json_string(latest, "CodeSha256")));
    struct sl_str description = sl_op_in(op, "Description");
    if (result == 0)
        result = sl_lambda__version_publish(op, latest, description.len > 0 ? description : (struct sl_str){NULL, 0},
                                            &version, err);
    if (result == 0) op->out = sl_json_copy(op->arena, sl_lambda__seen(op, version));
    return result;
}

int sl_lambda__version_list(struct sl_op *op, struct sl_str name, struct sl_str after, unsigned limit,
                            struct sl_json **ret, bool *ret_more, struct sl_error *err) {
    const struct sl_key key = sl_lambda__version_key(op, name, SL_STR(""));
    return sl_store_list(op->tx, op->arena, &key, after, limit, ret, ret_more, err);
}

int sl_lambda__list_versions(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *page, *versions = sl_json_new_array(op->arena);
    struct sl_str marker = sl_op_in(op, "Marker"), after = SL_STR("");
    int64_t limit = sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX);
    bool more = false;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    struct sl_str scope = sl_page_scope(op, target.name);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    if (limit > SL_LAMBDA_LIST_MAX) limit = SL_LAMBDA_LIST_MAX;
    if (marker.len == 0) {
        struct sl_json *shown = sl_lambda__listed(op, latest);
        sl_lambda__put(op, shown, "FunctionArn", sl_lambda__qualified_arn(op, &target, SL_STR("$LATEST")));
        sl_json_push(versions, shown);
        limit--;
    }
    // A page of one item that $LATEST has filled still has to learn whether versions follow.
    result = sl_lambda__version_list(op, target.name, after, limit > 0 ? (unsigned)limit : 1, &page, &more, err);
    if (result != 0) return result;
    if (limit == 0) more = page->count > 0;
    for (const struct sl_json *item = limit > 0 ? page->first : NULL; item; item = item->next) {
        sl_json_push(versions, sl_lambda__listed(op, sl_json_get(item, "doc")));
        after = sl_json_string(item, "id");
    }
    sl_json_set(op->out, SL_STR("Versions"), versions);
    if (more)
        // "0" sorts before every id: the page ended with $LATEST.
        sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after.len > 0 ? after : SL_STR("0")));
    return 0;
}
