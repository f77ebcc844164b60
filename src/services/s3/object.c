// SPDX-License-Identifier: Apache-2.0
//
// object: versions of objects: what is kept of a request, how a version is written, found and removed ("Using
// versioning in S3 buckets", S3 User Guide).
//
//   never versioned   one row per key, version "null", replaced in place
//   Enabled           each write is a new row; the newest carries `latest`; a delete without version adds a marker
//   Suspended         as Enabled, but writes make (and replace) the version "null"
//
// The document of an object has the members of GetObject's answer, ready to be shown, and private ones: "_sum" (name of
// the checksum's algorithm), "_parts" (number of parts of an upload in parts), "_tags".
#include "services/s3/internal.h"

#include "base/encoding.h"

int sl_s3__check_key(struct sl_op *op, struct sl_str key, struct sl_error *err) {
    if (key.len <= SL_S3_KEY_MAX) return 0;
    sl_s3__error_member(op, "Size", sl_arena_printf(op->arena, "%zu", key.len));
    sl_s3__error_member(op, "MaxSizeAllowed", sl_arena_printf(op->arena, "%d", SL_S3_KEY_MAX));
    return sl_fail(err, SL_E_S3_KEY_TOO_LONG, "Your key is too long");
}

// ---- a request's headers --------------------------------------------------------------------------------------------

static struct sl_str lower(struct sl_arena *arena, struct sl_str text) {
    char *copy = sl_arena_alloc(arena, text.len + 1);
    if (!copy) return SL_STR("");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return sl_str_n(copy, text.len);
}

static int copy_metadata(struct sl_op *op, struct sl_json *doc, struct sl_error *err) {
    const struct sl_json *given = sl_json_get(op->in, "Metadata");
    struct sl_json *kept = sl_json_new_object(op->arena);
    size_t size = 0;
    for (const struct sl_json *at = given ? given->first : NULL; at; at = at->next) {
        struct sl_str name = lower(op->arena, at->key);
        const struct sl_json *before = sl_json_get_str(kept, name);
        // The same name again adds to the value, as HTTP has it.
        struct sl_str value =
            before ? sl_arena_printf(op->arena, "%.*s,%.*s", SL_FMT(before->text), SL_FMT(at->text)) : at->text;
        sl_json_set(kept, name, sl_json_new_string(op->arena, value));
        size += at->key.len + at->text.len;
    }
    if (size > SL_S3_METADATA_MAX) {
        sl_s3__error_member(op, "Size", sl_arena_printf(op->arena, "%zu", size));
        sl_s3__error_member(op, "MaxSizeAllowed", sl_arena_printf(op->arena, "%d", SL_S3_METADATA_MAX));
        return sl_fail(err, SL_E_S3_METADATA_TOO_LARGE,
                       "Your metadata headers exceed the maximum allowed metadata size");
    }
    if (kept->count) sl_json_set(doc, SL_STR("Metadata"), kept);
    return 0;
}

// "aws-chunked" says how the body travelled, not what it is.
static struct sl_str content_encoding(struct sl_arena *arena, struct sl_str text) {
    struct sl_str rest = text, part, kept = {0};
    while (rest.ptr && sl_str_split(&rest, ',', &part)) {
        part = sl_str_trim(part);
        if (part.len == 0 || sl_str_ieq(part, SL_STR("aws-chunked"))) continue;
        kept = kept.ptr ? sl_arena_printf(arena, "%.*s,%.*s", SL_FMT(kept), SL_FMT(part)) : part;
    }
    return kept;
}

static int check_acl(struct sl_op *op, struct sl_error *err) {
    struct sl_str acl = sl_op_in(op, "ACL");
    bool grants = sl_op_in(op, "GrantRead").ptr || sl_op_in(op, "GrantReadACP").ptr ||
                  sl_op_in(op, "GrantWriteACP").ptr || sl_op_in(op, "GrantFullControl").ptr;
    if (!grants && (!acl.ptr || sl_str_is(acl, "private") || sl_str_is(acl, "bucket-owner-full-control"))) return 0;
    return sl_fail(err, SL_E_S3_NO_ACLS, "The bucket does not allow ACLs");
}

static int check_features(struct sl_op *op, struct sl_error *err) {
    static const char *const classes[] = {"STANDARD",     "REDUCED_REDUNDANCY",  "STANDARD_IA",
                                          "ONEZONE_IA",   "INTELLIGENT_TIERING", "GLACIER",
                                          "DEEP_ARCHIVE", "GLACIER_IR"};
    struct sl_str class = sl_op_in(op, "StorageClass");
    bool known = !class.ptr;
    for (size_t i = 0; !known && i < sizeof classes / sizeof classes[0]; i++) known = sl_str_is(class, classes[i]);
    if (!known) return sl_fail(err, SL_E_S3_INVALID_STORAGE_CLASS, "The storage class you specified is not valid");
    if (sl_op_in(op, "SSECustomerAlgorithm").ptr || sl_op_in(op, "SSECustomerKey").ptr)
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    if (sl_op_in(op, "ObjectLockMode").ptr || sl_op_in(op, "ObjectLockLegalHoldStatus").ptr)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST, "Bucket is missing Object Lock Configuration");
    return check_acl(op, err);
}

int sl_s3__new_doc(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    static const char *const members[] = {"CacheControl", "ContentDisposition",      "ContentLanguage",
                                          "Expires",      "WebsiteRedirectLocation", "ServerSideEncryption",
                                          "SSEKMSKeyId"};
    struct sl_json *doc = sl_json_new_object(op->arena), *tags = NULL;
    struct sl_str type = sl_op_in(op, "ContentType"), class = sl_op_in(op, "StorageClass");
    struct sl_str encoding = content_encoding(op->arena, sl_op_in(op, "ContentEncoding"));
    int result = check_features(op, err);
    if (!result) result = copy_metadata(op, doc, err);
    if (!result && sl_op_in(op, "Tagging").ptr) result = sl_s3__parse_tags(op, sl_op_in(op, "Tagging"), &tags, err);
    if (result) return result;
    sl_json_put_string(op->arena, doc, "ContentType", type.len ? type : SL_STR("binary/octet-stream"));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct sl_str value = sl_op_in(op, members[i]);
        if (value.len) sl_json_put_string(op->arena, doc, members[i], value);
    }
    if (encoding.len) sl_json_put_string(op->arena, doc, "ContentEncoding", encoding);
    if (class.len && !sl_str_is(class, "STANDARD")) sl_json_put_string(op->arena, doc, "StorageClass", class);
    if (tags && tags->count) sl_json_set(doc, SL_STR("_tags"), tags);
    *ret = doc;
    return 0;
}

void sl_s3__doc_sum(struct sl_op *op, struct sl_json *doc, enum sl_s3__sum sum, struct sl_str base64,
                    const char *type) {
    if (!sum) return;
    sl_json_put_string(op->arena, doc, sl_s3__sums[sum].member, base64);
    sl_json_put_string(op->arena, doc, "ChecksumType", sl_str_of(type));
    sl_json_put_string(op->arena, doc, "_sum", sl_str_of(sl_s3__sums[sum].name));
}

struct sl_str sl_s3__doc_text(struct sl_arena *arena, const struct sl_json *doc) {
    struct sl_buf out;
    sl_buf_init(&out, 1 << 20);
    sl_json_write(&out, doc);
    struct sl_str text = out.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

// ---- writing --------------------------------------------------------------------------------------------------------

static struct sl_str new_version(struct sl_arena *arena) {
    char text[33];
    sl_random_hex(text, 32);
    return sl_arena_dup(arena, sl_str_of(text));
}

// The version "null" goes; what it was of is noted.
static int replace_null(struct sl_op *op, struct sl_s3__after *after, const struct sl_object *null,
                        struct sl_error *err) {
    int result = sl_s3__drop_data(op, after, null->data, err);
    return result ? result : sl_object_remove(op->tx, null->bucket, null->key, null->seq, err);
}

static int put_version(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                       const struct sl_object *newest, struct sl_object *object, struct sl_error *err) {
    struct sl_object null;
    int result = 0;
    bool has_null = false;
    object->bucket = bucket->id;
    object->latest = true;
    object->seq = sl_object_number(op->tx);
    object->version = bucket->versioning == SL_S3_VERSIONED ? new_version(op->arena) : SL_STR("null");
    if (newest && object->seq <= newest->seq) object->seq = newest->seq + 1; // the clock went back
    if (newest && bucket->versioning == SL_S3_UNVERSIONED) {
        null = *newest;
        has_null = true;
    } else if (newest && bucket->versioning == SL_S3_SUSPENDED) {
        result = sl_object_find(op->tx, op->arena, bucket->id, object->key, SL_STR("null"), &null, err);
        has_null = !result;
        if (result == SL_E_NOT_FOUND) result = 0;
    }
    if (!result && has_null) result = replace_null(op, after, &null, err);
    if (!result && newest && (!has_null || null.seq != newest->seq))
        result = sl_object_set_latest(op->tx, bucket->id, object->key, newest->seq, false, err);
    return result ? result : sl_object_put(op->tx, object, err);
}

int sl_s3__write(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                 struct sl_object *object, struct sl_error *err) {
    struct sl_object newest;
    int result = sl_object_find(op->tx, op->arena, bucket->id, object->key, (struct sl_str){0}, &newest, err);
    bool exists = !result;
    if (result && result != SL_E_NOT_FOUND) return result;
    result = sl_s3__check_write(op, exists && !newest.marker ? &newest : NULL, err);
    return result ? result : put_version(op, after, bucket, exists ? &newest : NULL, object, err);
}

int sl_s3__created(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                   const struct sl_object *object, const char *name, struct sl_error *err) {
    struct sl_s3_change change = {.name = name,
                                  .account = bucket->account,
                                  .region = bucket->region,
                                  .bucket = bucket->name,
                                  .key = object->key,
                                  .etag = object->etag,
                                  .size = object->size,
                                  .time_ms = object->modified_ms,
                                  .sequencer = object->seq};
    if (bucket->versioning == SL_S3_VERSIONED) change.version = object->version;
    return sl_s3__note_change(op, after, &change, err);
}

// ---- removing -------------------------------------------------------------------------------------------------------

static int note_removed(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                        struct sl_str key, struct sl_str version, const char *name, struct sl_error *err) {
    struct sl_s3_change change = {.name = name,
                                  .account = bucket->account,
                                  .region = bucket->region,
                                  .bucket = bucket->name,
                                  .key = key,
                                  .version = version,
                                  .time_ms = op->now_ms,
                                  .sequencer = sl_object_number(op->tx)};
    return sl_s3__note_change(op, after, &change, err);
}

static int add_marker(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                      struct sl_str key, const struct sl_object *newest, struct sl_str *ret_version,
                      struct sl_error *err) {
    struct sl_object marker = {.key = key, .marker = true, .modified_ms = op->now_ms, .doc = SL_STR("{}")};
    marker.etag = SL_STR("");
    int result = put_version(op, after, bucket, newest, &marker, err);
    *ret_version = marker.version;
    return result ? result
                  : note_removed(op, after, bucket, key, marker.version, "ObjectRemoved:DeleteMarkerCreated", err);
}

static int remove_version(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                          const struct sl_object *object, struct sl_error *err) {
    struct sl_object next;
    int result = sl_s3__drop_data(op, after, object->data, err);
    if (!result) result = sl_object_remove(op->tx, bucket->id, object->key, object->seq, err);
    if (!result && object->latest && bucket->versioning != SL_S3_UNVERSIONED) {
        result = sl_object_find(op->tx, op->arena, bucket->id, object->key, (struct sl_str){0}, &next, err);
        if (!result) result = sl_object_set_latest(op->tx, bucket->id, object->key, next.seq, true, err);
        if (result == SL_E_NOT_FOUND) result = 0;
    }
    struct sl_str version = bucket->versioning == SL_S3_UNVERSIONED ? (struct sl_str){0} : object->version;
    return result ? result : note_removed(op, after, bucket, object->key, version, "ObjectRemoved:Delete", err);
}

int sl_s3__remove(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket, struct sl_str key,
                  struct sl_str version, bool *ret_marker, struct sl_str *ret_version, struct sl_error *err) {
    struct sl_object found;
    *ret_marker = false;
    *ret_version = (struct sl_str){0};
    int result = sl_object_find(op->tx, op->arena, bucket->id, key, version, &found, err);
    bool exists = !result;
    if (result && result != SL_E_NOT_FOUND) return result;
    if (!version.ptr && bucket->versioning != SL_S3_UNVERSIONED) {
        *ret_marker = true;
        return add_marker(op, after, bucket, key, exists ? &found : NULL, ret_version, err);
    }
    if (version.ptr) *ret_version = version;
    if (!exists) return 0; // nothing to do, and no error either
    *ret_marker = version.ptr && found.marker;
    return remove_version(op, after, bucket, &found, err);
}

// ---- finding --------------------------------------------------------------------------------------------------------

int sl_s3__find(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_str key, struct sl_str version,
                struct sl_object *ret, struct sl_json **ret_doc, struct sl_error *err) {
    int result = sl_object_find(op->tx, op->arena, bucket->id, key, version, ret, err);
    if (result && result != SL_E_NOT_FOUND) return result;
    if (result && version.ptr) {
        sl_s3__error_member(op, "Key", key);
        sl_s3__error_member(op, "VersionId", version);
        return sl_fail(err, SL_E_S3_NO_SUCH_VERSION, "The specified version does not exist.");
    }
    if (!result && ret->marker && version.ptr) {
        sl_s3__error_member(op, "Method", op->model->method);
        sl_s3__error_member(op, "ResourceType", SL_STR("DeleteMarker"));
        return sl_fail(err, SL_E_S3_METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.");
    }
    if (result || ret->marker) {
        sl_s3__error_member(op, "Key", key);
        return sl_fail(err, SL_E_S3_NO_SUCH_KEY, "The specified key does not exist.");
    }
    return sl_json_parse(op->arena, ret->doc, ret_doc, err);
}
