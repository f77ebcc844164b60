// SPDX-License-Identifier: Apache-2.0
//
// tags: tags of objects (10) and of buckets (50), with S3's rules for their text.
#include "services/s3/internal.h"

#include "base/encoding.h"

enum { KEY_MAX = 128, VALUE_MAX = 256, OBJECT_TAGS = 10 };

// Characters, not bytes, are counted.
static size_t characters(struct sl_str text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

// Letters, digits, spaces and + - = . _ : / @; letters of every language are taken as such.
static bool text_good(struct sl_str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80 ||
                    (c && strchr(" +-=._:/@", c));
        if (!good) return false;
    }
    return true;
}

int sl_s3__check_tags(const struct sl_json *tags, unsigned max, struct sl_error *err) {
    if (tags && tags->count > max)
        return sl_fail(err, max == OBJECT_TAGS ? SL_E_S3_BAD_REQUEST : SL_E_S3_INVALID_TAG,
                       max == OBJECT_TAGS ? "Object tags cannot be greater than 10"
                                          : "Bucket tag count cannot be greater than 50");
    for (const struct sl_json *at = tags ? tags->first : NULL; at; at = at->next) {
        struct sl_str key = sl_json_string(at, "Key"), value = sl_json_string(at, "Value");
        if (!key.len || characters(key) > KEY_MAX || !text_good(key))
            return sl_fail(err, SL_E_S3_INVALID_TAG, "The TagKey you have provided is invalid");
        if (characters(value) > VALUE_MAX || !text_good(value))
            return sl_fail(err, SL_E_S3_INVALID_TAG, "The TagValue you have provided is invalid");
        if (sl_str_starts(key, SL_STR("aws:")))
            return sl_fail(err, SL_E_S3_INVALID_TAG, "System tags cannot be added/updated by requester");
        for (const struct sl_json *other = tags->first; other != at; other = other->next) {
            if (sl_str_eq(sl_json_string(other, "Key"), key))
                return sl_fail(err, SL_E_S3_INVALID_TAG, "Cannot provide multiple Tags with the same key");
        }
    }
    return 0;
}

int sl_s3__parse_tags(struct sl_op *op, struct sl_str text, struct sl_json **ret, struct sl_error *err) {
    struct sl_str rest = text, pair;
    *ret = sl_json_new_array(op->arena);
    while (rest.len && sl_str_split(&rest, '&', &pair)) {
        struct sl_str value = pair, key;
        if (!pair.len) continue;
        sl_str_split(&value, '=', &key);
        if (!value.ptr) value = SL_STR("");
        if (!sl_percent_decode(op->arena, key, true, &key) || !sl_percent_decode(op->arena, value, true, &value) ||
            !sl_utf8_valid(key) || !sl_utf8_valid(value) || (*ret)->count > OBJECT_TAGS)
            return sl_fail(err, SL_E_S3_INVALID_ARGUMENT,
                           "The header 'x-amz-tagging' shall be encoded as UTF-8 then "
                           "URLEncoded URL query parameters without tag name "
                           "duplicates.");
        struct sl_json *tag = sl_json_push(*ret, sl_json_new_object(op->arena));
        sl_json_put_string(op->arena, tag, "Key", key);
        sl_json_put_string(op->arena, tag, "Value", value);
    }
    return sl_s3__check_tags(*ret, OBJECT_TAGS, err);
}

// ---- operations on an object's tags ---------------------------------------------------------------------------------

static int open_object(struct sl_op *op, struct sl_s3__bucket *bucket, struct sl_object *object, struct sl_json **doc,
                       struct sl_error *err) {
    int result = sl_s3__open(op, bucket, err);
    if (!result) result = sl_s3__find(op, bucket, sl_op_in(op, "Key"), sl_op_in(op, "VersionId"), object, doc, err);
    if (!result && bucket->versioning != SL_S3_UNVERSIONED) sl_op_out(op, "VersionId", object->version);
    return result;
}

static int save(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_object *object, struct sl_json *doc,
                const char *change_name, struct sl_error *err) {
    struct sl_s3__after *after = sl_s3__after(op);
    object->doc = sl_s3__doc_text(op->arena, doc);
    if (!object->doc.ptr || !after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_object_put(op->tx, object, err);
    return result ? result : sl_s3__created(op, after, bucket, object, change_name, err);
}

int sl_s3__get_object_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object object;
    struct sl_json *doc;
    int result = open_object(op, &bucket, &object, &doc, err);
    if (result) return result;
    struct sl_json *tags = sl_json_get(doc, "_tags");
    sl_json_set(op->out, SL_STR("TagSet"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_array(op->arena));
    return 0;
}

int sl_s3__put_object_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object object;
    struct sl_json *doc;
    const struct sl_json *tags = sl_json_get(sl_json_get(op->in, "Tagging"), "TagSet");
    int result = sl_s3__check_tags(tags, OBJECT_TAGS, err);
    if (!result) result = open_object(op, &bucket, &object, &doc, err);
    if (result) return result;
    sl_json_remove(doc, "_tags");
    if (tags && tags->count) sl_json_set(doc, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    return save(op, &bucket, &object, doc, "ObjectTagging:Put", err);
}

int sl_s3__delete_object_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object object;
    struct sl_json *doc;
    int result = open_object(op, &bucket, &object, &doc, err);
    if (result) return result;
    sl_json_remove(doc, "_tags");
    return save(op, &bucket, &object, doc, "ObjectTagging:Delete", err);
}
