// SPDX-License-Identifier: Apache-2.0
//
// copy: CopyObject and UploadPartCopy. The source is pinned, read and written by workers a few buffers at a time, so
// that a large copy shares them with others, and then named by a row as an upload is.
#include "services/s3/internal.h"

#include <stdlib.h>

#include "base/encoding.h"

enum { BUFFERS_PER_TURN = 16 };

struct copy {
    struct sl_s3__task task;
    struct sl_s3__after after;
    struct sl_s3__sink sink;
    struct sl_s3__source source;
    struct sl_str from_bucket, from_key, from_version;
    struct sl_object object; // the source
    struct sl_object_part *parts;
    unsigned part_count;
    int64_t from, length;
    int64_t number; // of the part; 0: an object
    struct sl_json *doc;
    enum sl_s3__sum sum;
    bool pinned;
    char *buffer;
    struct sl_error error;
};

static struct copy *copy_of(struct sl_op *op) { return op->state; }

// ---- the source -----------------------------------------------------------------------------------------------------

static int wrong_source(struct sl_op *op, struct sl_error *err) {
    sl_s3__error_member(op, "ArgumentName", SL_STR("x-amz-copy-source"));
    sl_s3__error_member(op, "ArgumentValue", sl_op_in(op, "CopySource"));
    return sl_fail(err, SL_E_S3_INVALID_ARGUMENT,
                   "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
}

// "/bucket/key?versionId=v", percent-encoded.
static int parse_source(struct sl_op *op, struct copy *copy, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "CopySource");
    const struct sl_str mark = SL_STR("?versionId=");
    ptrdiff_t question = sl_str_find(text, mark);
    if (question >= 0) {
        copy->from_version = sl_str_sub(text, (size_t)question + mark.len, text.len);
        text = sl_str_sub(text, 0, (size_t)question);
    }
    if (sl_str_starts(text, SL_STR("/"))) text = sl_str_sub(text, 1, text.len);
    if (!sl_percent_decode(op->arena, text, false, &text) || !sl_utf8_valid(text)) return wrong_source(op, err);
    copy->from_key = text;
    if (!sl_str_split(&copy->from_key, '/', &copy->from_bucket) || !copy->from_bucket.len || !copy->from_key.len)
        return wrong_source(op, err);
    return 0;
}

static int open_source(struct sl_op *op, struct sl_s3__bucket *bucket, struct sl_error *err) {
    struct copy *copy = copy_of(op);
    struct sl_str expected = sl_op_in(op, "ExpectedSourceBucketOwner");
    int result = sl_s3__find_bucket(op->tx, op->arena, copy->from_bucket, bucket, err);
    if (result == SL_E_NOT_FOUND) return sl_s3__no_such_bucket(op, copy->from_bucket, err);
    if (result) return result;
    if (!sl_str_eq(bucket->account, op->account) || (expected.ptr && !sl_str_eq(expected, bucket->account)))
        return sl_fail(err, SL_E_S3_ACCESS_DENIED, "Access Denied");
    return 0;
}

static int check_conditions(struct sl_op *op, const struct copy *copy, struct sl_error *err) {
    bool unchanged;
    int result = sl_s3__check(op, &sl_s3__copy_conditions, &copy->object, &unchanged, err);
    if (result || !unchanged) return result;
    sl_s3__error_member(op, "Condition", SL_STR("x-amz-copy-source-If-None-Match"));
    return sl_fail(err, SL_E_S3_PRECONDITION, "At least one of the pre-conditions you specified did not hold");
}

static int choose_range(struct sl_op *op, struct copy *copy, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "CopySourceRange");
    bool bad;
    copy->length = copy->object.size;
    if (text.ptr && (!sl_s3__range(text, copy->object.size, &copy->from, &copy->length, &bad) || bad))
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT,
                       "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
                       "are the zero-based offsets of the first and last bytes to copy");
    if (copy->length <= SL_S3_OBJECT_MAX) return 0;
    return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                   "The specified copy source is larger than the maximum allowable size for a copy source: %lld",
                   (long long)SL_S3_OBJECT_MAX);
}

// What the new object says of itself: the source's word or the request's.
static int make_doc(struct sl_op *op, struct copy *copy, const struct sl_json *source, struct sl_error *err) {
    static const char *const kept[] = {"ContentType",     "CacheControl",    "ContentDisposition",
                                       "ContentEncoding", "ContentLanguage", "Expires",
                                       "Metadata"};
    struct sl_str directive = sl_op_in(op, "MetadataDirective"), tagging = sl_op_in(op, "TaggingDirective");
    bool replace = sl_str_is(directive, "REPLACE"), retag = sl_str_is(tagging, "REPLACE");
    if ((directive.ptr && !replace && !sl_str_is(directive, "COPY")) ||
        (tagging.ptr && !retag && !sl_str_is(tagging, "COPY")))
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Unknown metadata directive.");
    int result = sl_s3__new_doc(op, &copy->doc, err);
    if (result) return result;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0] && !replace; i++) {
        struct sl_json *value = sl_json_get(source, kept[i]);
        sl_json_remove(copy->doc, kept[i]);
        if (value) sl_json_set(copy->doc, sl_str_of(kept[i]), sl_json_copy(op->arena, value));
    }
    struct sl_json *tags = sl_json_get(source, "_tags");
    if (!retag) sl_json_remove(copy->doc, "_tags");
    if (!retag && tags) sl_json_set(copy->doc, SL_STR("_tags"), sl_json_copy(op->arena, tags));
    bool self = sl_str_eq(copy->from_bucket, sl_op_in(op, "Bucket")) &&
                sl_str_eq(copy->from_key, sl_op_in(op, "Key")) && !copy->from_version.ptr;
    bool changed = replace || sl_op_in(op, "StorageClass").ptr || sl_op_in(op, "WebsiteRedirectLocation").ptr ||
                   sl_op_in(op, "ServerSideEncryption").ptr || sl_op_in(op, "ChecksumAlgorithm").ptr;
    if (self && !changed)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "This copy request is illegal because it is trying to copy an object to itself without changing "
                       "the object's metadata, storage class, website redirect location or encryption attributes.");
    return 0;
}

static int choose_sum(struct sl_op *op, struct copy *copy, const struct sl_json *source, struct sl_error *err) {
    struct sl_str asked = sl_op_in(op, "ChecksumAlgorithm");
    enum sl_s3__sum sum = sl_s3__sum_of(asked.ptr ? asked : sl_json_string(source, "_sum"));
    if (asked.ptr && !sum) return sl_fail(err, SL_E_S3_INVALID_REQUEST, "Checksum algorithm provided is unsupported.");
    copy->sum = sum ? sum : SL_S3_CRC64NVME;
    return 0;
}

static int look_up(struct sl_op *op, struct sl_error *err) {
    struct copy *copy = copy_of(op);
    struct sl_s3__bucket target, bucket;
    struct sl_object_upload upload;
    struct sl_json *doc, *upload_doc = NULL;
    int result = sl_s3__open(op, &target, err);
    if (!result && copy->number) result = sl_s3__find_upload(op, &target, &upload, err);
    if (!result && copy->number) result = sl_json_parse(op->arena, upload.doc, &upload_doc, err);
    if (!result) result = open_source(op, &bucket, err);
    if (!result) result = sl_s3__find(op, &bucket, copy->from_key, copy->from_version, &copy->object, &doc, err);
    if (!result) result = check_conditions(op, copy, err);
    if (!result) result = choose_range(op, copy, err);
    if (!result && !copy->number) result = make_doc(op, copy, doc, err);
    if (!result) result = choose_sum(op, copy, copy->number ? upload_doc : doc, err);
    if (!result && copy->object.data)
        result = sl_object_parts(op->tx, op->arena, copy->object.data, 0, SL_S3_PARTS_MAX, &copy->parts,
                                 &copy->part_count, err);
    if (result) return result;
    if (bucket.versioning != SL_S3_UNVERSIONED) sl_op_out(op, "CopySourceVersionId", copy->object.version);
    sl_s3__pin(sl_s3__of(op), copy->object.data);
    copy->pinned = true;
    return 0;
}

// ---- the row --------------------------------------------------------------------------------------------------------

static struct sl_json *show(struct sl_op *op, struct sl_str etag) {
    struct copy *copy = copy_of(op);
    struct sl_json *item = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, item, "ETag", sl_s3__quoted(op->arena, etag));
    sl_json_put_int(op->arena, item, "LastModified", op->now_ms);
    sl_json_put_string(op->arena, item, sl_s3__sums[copy->sum].member,
                       sl_s3__base64(op->arena, copy->sink.result.sum, sl_s3__sums[copy->sum].size));
    return item;
}

static int commit_part(struct sl_op *op, struct sl_s3__bucket *bucket, struct sl_object_part *part,
                       struct sl_error *err) {
    struct copy *copy = copy_of(op);
    struct sl_object_upload upload;
    struct sl_object_part *old;
    struct sl_json *doc = sl_json_new_object(op->arena);
    unsigned count = 0;
    sl_json_put_string(op->arena, doc, sl_s3__sums[copy->sum].member,
                       sl_s3__base64(op->arena, copy->sink.result.sum, sl_s3__sums[copy->sum].size));
    int result = sl_s3__find_upload(op, bucket, &upload, err);
    if (!result) result = sl_object_parts(op->tx, op->arena, upload.data, part->number - 1, 1, &old, &count, err);
    if (!result && count && old->number == part->number) result = sl_s3__note_file(op, &copy->after, old->file, err);
    part->data = upload.data;
    part->doc = sl_s3__doc_text(op->arena, doc);
    if (!result) result = sl_object_part_put(op->tx, part, err);
    if (!result) sl_json_set(op->out, SL_STR("CopyPartResult"), show(op, part->etag));
    return result;
}

static int commit_object(struct sl_op *op, struct sl_s3__bucket *bucket, struct sl_object_part *part,
                         struct sl_error *err) {
    struct copy *copy = copy_of(op);
    sl_s3__doc_sum(op, copy->doc, copy->sum,
                   sl_s3__base64(op->arena, copy->sink.result.sum, sl_s3__sums[copy->sum].size), "FULL_OBJECT");
    struct sl_object object = {.key = sl_op_in(op, "Key"),
                               .data = part->size ? sl_object_number(op->tx) : 0,
                               .size = part->size,
                               .modified_ms = op->now_ms,
                               .etag = part->etag,
                               .doc = sl_s3__doc_text(op->arena, copy->doc)};
    if (!object.doc.ptr) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_s3__write(op, &copy->after, bucket, &object, err);
    part->data = object.data;
    part->number = 1;
    part->doc = SL_STR("{}");
    if (!result && object.data) result = sl_object_part_put(op->tx, part, err);
    if (!result) result = sl_s3__created(op, &copy->after, bucket, &object, "ObjectCreated:Copy", err);
    if (result) return result;
    struct sl_json *shown = show(op, object.etag);
    sl_json_put_string(op->arena, shown, "ChecksumType", SL_STR("FULL_OBJECT"));
    sl_json_set(op->out, SL_STR("CopyObjectResult"), shown);
    if (bucket->versioning == SL_S3_VERSIONED) sl_op_out(op, "VersionId", object.version);
    return 0;
}

static int commit(struct sl_op *op, struct sl_error *err) {
    struct copy *copy = copy_of(op);
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    struct sl_object_part part = {.number = copy->number,
                                  .file = sl_str_of(copy->sink.file),
                                  .size = copy->sink.size,
                                  .modified_ms = op->now_ms,
                                  .etag = sl_s3__hex(op->arena, copy->sink.result.md5, sizeof copy->sink.result.md5)};
    return copy->number ? commit_part(op, &bucket, &part, err) : commit_object(op, &bucket, &part, err);
}

static void committed(struct sl_op *op) { sl_s3__publish_after(op, &copy_of(op)->after); }

// ---- the bytes ------------------------------------------------------------------------------------------------------

static void finish(struct sl_op *op, const struct sl_error *err) {
    struct copy *copy = copy_of(op);
    sl_s3__source_close(&copy->source);
    sl_s3__digest_free(&copy->sink.digest);
    free(copy->buffer);
    if (copy->pinned) sl_s3__unpin(sl_s3__of(op), copy->object.data);
    if (err) {
        sl_s3__sink_discard(&copy->sink);
        sl_op_answer_error(op, err);
    } else {
        sl_op_answer(op);
    }
}

static void stored(struct sl_op *op, int result, const struct sl_error *err) { finish(op, result ? err : NULL); }

static void move_some(struct sl_op *op) {
    struct copy *copy = copy_of(op);
    int result = 0;
    for (int i = 0; i < BUFFERS_PER_TURN && !result && copy->source.left > 0; i++) {
        size_t got;
        result = sl_s3__source_read(&copy->source, op->store, copy->buffer, SL_S3_BUFFER, &got, &copy->error);
        if (!result) result = sl_s3__sink_add(&copy->sink, sl_str_n(copy->buffer, got), &copy->error);
    }
    if (!result && copy->source.left == 0) result = sl_s3__sink_seal(&copy->sink, &copy->error);
    if (result && !copy->error.kind) copy->error.kind = result;
}

static void moved(struct sl_op *op) {
    struct copy *copy = copy_of(op);
    bool more = copy->source.left > 0;
    if (copy->error.kind) {
        finish(op, &copy->error);
    } else if (more && sl_op_work(op, move_some, moved, &copy->error)) {
        finish(op, &copy->error);
    } else if (!more && sl_s3__submit(&copy->task, op, false, commit, committed, stored, &copy->error)) {
        finish(op, &copy->error);
    }
}

static void looked_up(struct sl_op *op, int result, const struct sl_error *err) {
    struct copy *copy = copy_of(op);
    if (result) {
        finish(op, err);
        return;
    }
    sl_s3__source_init(&copy->source, copy->parts, copy->part_count, copy->from, copy->length);
    copy->buffer = malloc(SL_S3_BUFFER);
    if (!copy->buffer) sl_fail(&copy->error, SL_E_NO_MEMORY, "no memory for a copy");
    if (!copy->error.kind) sl_s3__digest_begin(&copy->sink.digest, copy->sum, false, &copy->error);
    if (copy->error.kind || sl_op_work(op, move_some, moved, &copy->error)) finish(op, &copy->error);
}

static int begin(struct sl_op *op, int64_t number, struct sl_error *err) {
    struct copy *copy = sl_arena_zalloc(op->arena, sizeof *copy);
    if (!copy) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    op->state = copy;
    copy->number = number;
    copy->source.fd = -1;
    copy->sink = (struct sl_s3__sink){.op = op, .s3 = sl_s3__of(op), .fd = -1};
    int result = sl_s3__check_key(op, sl_op_in(op, "Key"), err);
    if (!result) result = parse_source(op, copy, err);
    return result ? result : sl_s3__submit(&copy->task, op, true, look_up, NULL, looked_up, err);
}

int sl_s3__copy_object(struct sl_op *op, struct sl_error *err) { return begin(op, 0, err); }

int sl_s3__copy_part(struct sl_op *op, struct sl_error *err) {
    int64_t number = sl_json_int(op->in, "PartNumber", 0);
    if (number < 1 || number > SL_S3_PARTS_MAX)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Part number must be an integer between 1 and 10000, inclusive");
    return begin(op, number, err);
}
