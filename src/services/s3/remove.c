// SPDX-License-Identifier: Apache-2.0
//
// remove: DeleteObject and DeleteObjects. Removing what is not there is no error. All keys of one DeleteObjects go in
// one transaction; a key that may not go is reported and keeps nothing else from going.
#include "services/s3/internal.h"

// The conditions on a delete hold for the object that is there; without one there is nothing to compare.
static int check_conditions(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_str key,
                            struct sl_str version, struct sl_str etag, int64_t size, int64_t modified_ms,
                            struct sl_error *err) {
    struct sl_object object;
    if (!etag.ptr && size < 0 && modified_ms < 0) return 0;
    int result = sl_object_find(op->tx, op->arena, bucket->id, key, version, &object, err);
    if (result && result != SL_E_NOT_FOUND) return result;
    bool exists = !result && !object.marker;
    if (!exists && etag.ptr) {
        sl_s3__error_member(op, "Key", key);
        return sl_fail(err, SL_E_S3_NO_SUCH_KEY, "The specified key does not exist.");
    }
    if (!exists) return 0;
    bool good = !etag.ptr || sl_str_is(sl_str_trim(etag), "*") || sl_str_eq(sl_s3__unquoted(etag), object.etag);
    if (size >= 0) good = good && size == object.size;
    if (modified_ms >= 0) good = good && modified_ms / 1000 == object.modified_ms / 1000;
    return good ? 0
                : sl_fail(err, SL_E_S3_PRECONDITION, "At least one of the pre-conditions you specified did not hold");
}

int sl_s3__delete_object(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_s3__after *after = sl_s3__after(op);
    struct sl_str key = sl_op_in(op, "Key"), version = sl_op_in(op, "VersionId"), made;
    bool marker;
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_s3__check_key(op, key, err);
    if (!result) result = sl_s3__open(op, &bucket, err);
    if (!result)
        result =
            check_conditions(op, &bucket, key, version, sl_op_in(op, "IfMatch"), sl_json_int(op->in, "IfMatchSize", -1),
                             sl_json_int(op->in, "IfMatchLastModifiedTime", -1), err);
    if (!result) result = sl_s3__remove(op, after, &bucket, key, version, &marker, &made, err);
    if (result) return result;
    if (marker) sl_json_put_bool(op->arena, op->out, "DeleteMarker", true);
    if (made.ptr) sl_op_out(op, "VersionId", made);
    return 0;
}

static void add_error(struct sl_op *op, struct sl_json *errors, const struct sl_json *wanted,
                      const struct sl_error *err) {
    struct sl_json *item = sl_json_push(errors, sl_json_new_object(op->arena));
    struct sl_str version = sl_json_string(wanted, "VersionId");
    sl_json_put_string(op->arena, item, "Key", sl_json_string(wanted, "Key"));
    if (version.ptr) sl_json_put_string(op->arena, item, "VersionId", version);
    sl_json_put_string(op->arena, item, "Code", sl_str_of(sl_error_name(err->kind)));
    sl_json_put_string(op->arena, item, "Message", sl_arena_dup(op->arena, sl_str_of(err->message)));
}

// One of many. Errors of the client's are the item's; others fail the whole.
static int delete_one(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                      const struct sl_json *wanted, struct sl_json *deleted, struct sl_json *errors,
                      struct sl_error *err) {
    struct sl_str key = sl_json_string(wanted, "Key"), version = sl_json_string(wanted, "VersionId"), made;
    bool marker;
    int result = sl_s3__check_key(op, key, err);
    if (!result)
        result = check_conditions(op, bucket, key, version, sl_json_string(wanted, "ETag"),
                                  sl_json_int(wanted, "Size", -1), sl_json_int(wanted, "LastModifiedTime", -1), err);
    if (result > SL_E_UNAVAILABLE) {
        add_error(op, errors, wanted, err);
        op->error_members = NULL;
        return 0;
    }
    if (!result) result = sl_s3__remove(op, after, bucket, key, version, &marker, &made, err);
    if (result || !deleted) return result;
    struct sl_json *item = sl_json_push(deleted, sl_json_new_object(op->arena));
    sl_json_put_string(op->arena, item, "Key", key);
    if (version.ptr) sl_json_put_string(op->arena, item, "VersionId", version);
    if (marker) {
        sl_json_put_bool(op->arena, item, "DeleteMarker", true);
        sl_json_put_string(op->arena, item, "DeleteMarkerVersionId", made);
    }
    return 0;
}

int sl_s3__delete_objects(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *request = sl_json_get(op->in, "Delete"), *objects = sl_json_get(request, "Objects");
    struct sl_json *deleted = sl_json_new_array(op->arena), *errors = sl_json_new_array(op->arena);
    struct sl_s3__after *after = sl_s3__after(op);
    struct sl_s3__bucket bucket;
    bool quiet = sl_json_bool(request, "Quiet", false);
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    if (!objects || objects->count == 0 || objects->count > SL_S3_PAGE)
        return sl_fail(err, SL_E_MALFORMED_XML,
                       "The XML you provided was not well-formed or did not validate against our published schema");
    int result = sl_s3__open(op, &bucket, err);
    for (const struct sl_json *at = objects->first; at && !result; at = at->next)
        result = delete_one(op, after, &bucket, at, quiet ? NULL : deleted, errors, err);
    if (result) return result;
    sl_json_set(op->out, SL_STR("Deleted"), deleted);
    sl_json_set(op->out, SL_STR("Errors"), errors);
    return 0;
}
