// SPDX-License-Identifier: Apache-2.0
//
// list: ListObjects, ListObjectsV2 and ListObjectVersions. A page is a walk along the index from where the last one
// ended; keys that a delimiter rolls up into one common prefix are jumped over with a new seek, so a page costs what it
// shows.
#include "services/s3/internal.h"

#include "base/encoding.h"

struct page {
    struct sl_op *op;
    struct sl_str prefix, delimiter;
    bool url; // names are shown percent-encoded
    bool versions, owners;
    int64_t max, shown;
    bool truncated;
    struct sl_str last, last_version; // what was shown last: a key, or a common prefix
    bool last_is_prefix;
    struct sl_str jump; // where to go on, ptr NULL: the walk ended
    const struct sl_s3__bucket *bucket;
    struct sl_json *items, *markers, *prefixes;
};

static struct sl_str show(const struct page *page, struct sl_str text) {
    struct sl_buf out;
    if (!page->url || !text.len) return text;
    sl_buf_init(&out, 3 * text.len);
    sl_percent_encode(&out, text, true);
    struct sl_str encoded = sl_arena_dup(page->op->arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return encoded;
}

// The common prefix that the key is rolled up into; ptr NULL if it is shown itself.
static struct sl_str rolled_up(const struct page *page, struct sl_str key) {
    if (!page->delimiter.len) return (struct sl_str){0};
    struct sl_str rest = sl_str_sub(key, page->prefix.len, key.len);
    ptrdiff_t at = sl_str_find(rest, page->delimiter);
    return at < 0 ? (struct sl_str){0} : sl_str_sub(key, 0, page->prefix.len + (size_t)at + page->delimiter.len);
}

static struct sl_str after_prefix(struct sl_arena *arena, struct sl_str prefix) {
    // No UTF-8 text has the byte 0xFF: this is behind every key with the prefix, and before all others.
    return sl_arena_printf(arena, "%.*s\xFF", SL_FMT(prefix));
}

static void show_sum(struct sl_op *op, struct sl_str text, struct sl_json *item) {
    struct sl_json *doc;
    struct sl_error err;
    if (sl_json_parse(op->arena, sl_arena_dup(op->arena, text), &doc, &err)) return;
    struct sl_str sum = sl_json_string(doc, "_sum"), class = sl_json_string(doc, "StorageClass");
    if (sum.ptr) {
        sl_json_set(item, SL_STR("ChecksumAlgorithm"), sl_json_new_array(op->arena));
        sl_json_push(sl_json_get(item, "ChecksumAlgorithm"), sl_json_new_string(op->arena, sum));
        sl_json_put_string(op->arena, item, "ChecksumType", sl_json_string(doc, "ChecksumType"));
    }
    sl_json_put_string(op->arena, item, "StorageClass", class.len ? class : SL_STR("STANDARD"));
}

static void show_object(struct page *page, const struct sl_object *object) {
    struct sl_op *op = page->op;
    struct sl_arena *arena = op->arena;
    struct sl_json *item = sl_json_push(object->marker ? page->markers : page->items, sl_json_new_object(arena));
    page->last = sl_arena_dup(arena, object->key);
    page->last_is_prefix = false;
    sl_json_put_string(arena, item, "Key", show(page, page->last));
    sl_json_put_int(arena, item, "LastModified", object->modified_ms);
    if (page->versions) {
        page->last_version = sl_arena_dup(arena, object->version);
        sl_json_put_string(arena, item, "VersionId", page->last_version);
        sl_json_put_bool(arena, item, "IsLatest", object->latest);
    }
    if (page->owners) sl_json_set(item, SL_STR("Owner"), sl_s3__owner(op, page->bucket->account));
    if (object->marker) return;
    sl_json_put_string(arena, item, "ETag", sl_s3__quoted(arena, object->etag));
    sl_json_put_int(arena, item, "Size", object->size);
    show_sum(op, object->doc, item);
}

// One step of the walk: false ends it, with `jump` set if it goes on elsewhere.
static bool step(void *user, const struct sl_object *object) {
    struct page *page = user;
    struct sl_arena *arena = page->op->arena;
    page->jump = (struct sl_str){0};
    if (!sl_str_starts(object->key, page->prefix)) return false;
    struct sl_str common = rolled_up(page, object->key);
    if (common.ptr && page->last_is_prefix && sl_str_eq(page->last, common)) { // where the last page ended
        page->jump = after_prefix(arena, common);
        return false;
    }
    if (page->shown == page->max) {
        page->truncated = page->max > 0;
        return false;
    }
    page->shown++;
    if (!common.ptr) {
        show_object(page, object);
        return !sl_arena_failed(arena);
    }
    page->last = sl_arena_dup(arena, common);
    page->last_version = (struct sl_str){0};
    page->last_is_prefix = true;
    struct sl_json *item = sl_json_push(page->prefixes, sl_json_new_object(arena));
    sl_json_put_string(arena, item, "Prefix", show(page, page->last));
    page->jump = after_prefix(arena, page->last);
    return false;
}

// From behind `after` (ptr NULL: from the start); before_seq: of versions of `after` itself.
static int walk(struct page *page, struct sl_str after, int64_t before_seq, struct sl_error *err) {
    struct sl_arena *arena = page->op->arena;
    struct sl_store_tx *tx = page->op->tx;
    int64_t bucket = page->bucket->id;
    // In byte order the text after K is K and a NUL.
    struct sl_str from = page->prefix;
    if (after.len && sl_str_cmp(after, page->prefix) >= 0) {
        char *text = sl_arena_cstr(arena, after);
        if (!text) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
        from = sl_str_n(text, after.len + (page->versions ? 0 : 1));
        // A common prefix where the last page ended: what is below it was shown with it.
        struct sl_str common = sl_str_starts(after, page->prefix) ? rolled_up(page, after) : (struct sl_str){0};
        if (common.len == after.len && common.ptr) from = after_prefix(arena, after);
    } else {
        before_seq = INT64_MAX;
    }
    int result = 0;
    for (bool first = true; !result && (first || page->jump.ptr); first = false) {
        if (page->jump.ptr) from = page->jump;
        page->jump = (struct sl_str){0};
        result = page->versions
                     ? sl_object_walk_versions(tx, bucket, from, first ? before_seq : INT64_MAX, step, page, err)
                     : sl_object_walk(tx, bucket, from, step, page, err);
    }
    if (!result && sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    return result;
}

static int begin(struct sl_op *op, struct page *page, struct sl_s3__bucket *bucket, struct sl_error *err) {
    struct sl_str encoding = sl_op_in(op, "EncodingType");
    *page = (struct page){.op = op,
                          .bucket = bucket,
                          .prefix = sl_op_in(op, "Prefix"),
                          .delimiter = sl_op_in(op, "Delimiter"),
                          .url = sl_str_is(encoding, "url"),
                          .max = sl_json_int(op->in, "MaxKeys", SL_S3_PAGE),
                          .items = sl_json_new_array(op->arena),
                          .markers = sl_json_new_array(op->arena),
                          .prefixes = sl_json_new_array(op->arena)};
    if (!page->prefix.ptr) page->prefix = SL_STR("");
    if (page->max < 0 || page->max > INT32_MAX) {
        sl_s3__error_member(op, "ArgumentName", SL_STR("maxKeys"));
        sl_s3__error_member(op, "ArgumentValue", sl_json_get(op->in, "MaxKeys")->text);
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Argument maxKeys must be an integer between 0 and 2147483647");
    }
    if (encoding.ptr && !page->url) {
        sl_s3__error_member(op, "ArgumentName", SL_STR("encoding-type"));
        sl_s3__error_member(op, "ArgumentValue", encoding);
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Invalid Encoding Method specified in Request");
    }
    sl_json_put_int(op->arena, op->out, "MaxKeys", page->max > SL_S3_PAGE ? SL_S3_PAGE : page->max);
    if (page->max > SL_S3_PAGE) page->max = SL_S3_PAGE;
    return sl_s3__open(op, bucket, err);
}

static void finish(struct page *page) {
    struct sl_op *op = page->op;
    sl_op_out(op, "Name", page->bucket->name);
    sl_op_out(op, "Prefix", show(page, page->prefix));
    if (page->delimiter.len) sl_op_out(op, "Delimiter", show(page, page->delimiter));
    if (page->url) sl_op_out(op, "EncodingType", SL_STR("url"));
    sl_json_put_bool(op->arena, op->out, "IsTruncated", page->truncated);
    sl_json_set(op->out, SL_STR("CommonPrefixes"), page->prefixes);
}

int sl_s3__list_objects(struct sl_op *op, struct sl_error *err) {
    struct page page;
    struct sl_s3__bucket bucket;
    struct sl_str marker = sl_op_in(op, "Marker");
    int result = begin(op, &page, &bucket, err);
    page.owners = true;
    if (!result) result = walk(&page, marker, INT64_MAX, err);
    if (result) return result;
    finish(&page);
    sl_op_out(op, "Marker", show(&page, marker.ptr ? marker : SL_STR("")));
    sl_json_set(op->out, SL_STR("Contents"), page.items);
    // Only with a delimiter: without one the last key is the marker.
    if (page.truncated && page.delimiter.len) sl_op_out(op, "NextMarker", show(&page, page.last));
    return 0;
}

// A token is the last key shown, unreadable on purpose: nobody should make one.
static struct sl_str make_token(struct sl_arena *arena, struct sl_str key) {
    struct sl_buf text;
    sl_buf_init(&text, 4096);
    sl_base64_encode(&text, sl_arena_printf(arena, "1!%.*s", SL_FMT(key)));
    struct sl_str token = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return token;
}

static bool read_token(struct sl_arena *arena, struct sl_str token, struct sl_str *ret) {
    struct sl_str text;
    if (!sl_base64_decode(arena, token, &text) || !sl_str_starts(text, SL_STR("1!")) || !sl_utf8_valid(text))
        return false;
    *ret = sl_str_sub(text, 2, text.len);
    return true;
}

int sl_s3__list_objects_v2(struct sl_op *op, struct sl_error *err) {
    struct page page;
    struct sl_s3__bucket bucket;
    struct sl_str token = sl_op_in(op, "ContinuationToken"), after = sl_op_in(op, "StartAfter"), from = after;
    if (token.ptr && !read_token(op->arena, token, &from)) {
        sl_s3__error_member(op, "ArgumentName", SL_STR("continuation-token"));
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "The continuation token provided is incorrect");
    }
    int result = begin(op, &page, &bucket, err);
    page.owners = sl_json_bool(op->in, "FetchOwner", false);
    if (!result) result = walk(&page, from, INT64_MAX, err);
    if (result) return result;
    finish(&page);
    sl_json_set(op->out, SL_STR("Contents"), page.items);
    sl_json_put_int(op->arena, op->out, "KeyCount", page.shown);
    if (token.ptr) sl_op_out(op, "ContinuationToken", token);
    if (after.ptr) sl_op_out(op, "StartAfter", show(&page, after));
    if (page.truncated) sl_op_out(op, "NextContinuationToken", make_token(op->arena, page.last));
    return 0;
}

int sl_s3__list_versions(struct sl_op *op, struct sl_error *err) {
    struct page page;
    struct sl_s3__bucket bucket;
    struct sl_object marked;
    struct sl_str key = sl_op_in(op, "KeyMarker"), version = sl_op_in(op, "VersionIdMarker");
    // Without a version the marker's key is done.
    int64_t before_seq = INT64_MIN;
    if (version.len && !key.len)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "A version-id marker cannot be specified without a key marker.");
    int result = begin(op, &page, &bucket, err);
    page.versions = page.owners = true;
    if (!result && version.len) {
        result = sl_object_find(op->tx, op->arena, bucket.id, key, version, &marked, err);
        if (result == SL_E_NOT_FOUND) return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Invalid version id specified");
        before_seq = marked.seq;
    }
    if (!result) result = walk(&page, key, before_seq, err);
    if (result) return result;
    finish(&page);
    sl_op_out(op, "KeyMarker", show(&page, key.ptr ? key : SL_STR("")));
    sl_op_out(op, "VersionIdMarker", version.ptr ? version : SL_STR(""));
    sl_json_set(op->out, SL_STR("Versions"), page.items);
    sl_json_set(op->out, SL_STR("DeleteMarkers"), page.markers);
    if (page.truncated) {
        sl_op_out(op, "NextKeyMarker", show(&page, page.last));
        if (page.last_version.ptr) sl_op_out(op, "NextVersionIdMarker", page.last_version);
    }
    return 0;
}
