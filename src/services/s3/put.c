// SPDX-License-Identifier: Apache-2.0
//
// put: PutObject and UploadPart. The body goes through a sink into a file; when that is durable, one store job looks at
// bucket and conditions again and writes the row, so that "put if absent" is decided where all writes are in a row.
// What fails leaves no file.
//
// Before a large body is taken, and before every part (whose upload says which checksum to compute), a first job looks
// whether it can be stored at all.
#include "services/s3/internal.h"

enum { LOOK_FIRST = 1024 * 1024 }; // bytes of a body above which it is worth asking before

struct put {
    struct sl_s3__sink sink;
    struct sl_s3__task task;
    struct sl_s3__after after;
    struct sl_json *doc; // of the object
    int64_t number;      // of the part; 0: an object
    enum sl_s3__sum sum;
    bool looking, waiting; // the first job runs; the body is done and waits for it
    int result;            // of the first job
    struct sl_error error;
};

static struct put *put_of(struct sl_op *op) { return op->state; }

static void end_with(struct sl_op *op, const struct sl_error *err) {
    sl_s3__sink_discard(&put_of(op)->sink);
    sl_op_answer_error(op, err);
}

// ---- the last job: rows ---------------------------------------------------------------------------------------------

static int write_part(struct sl_op *op, int64_t data, int64_t number, struct sl_str doc, struct sl_error *err) {
    struct put *put = put_of(op);
    struct sl_object_part part = {
        .data = data,
        .number = number,
        .file = sl_str_of(put->sink.file),
        .size = put->sink.size,
        .modified_ms = op->now_ms,
        .etag = sl_s3__hex(op->arena, put->sink.result.md5, sizeof put->sink.result.md5),
        .doc = doc,
    };
    return sl_object_part_put(op->tx, &part, err);
}

static struct sl_str sum_text(struct sl_op *op) {
    struct put *put = put_of(op);
    return sl_s3__base64(op->arena, put->sink.result.sum, sl_s3__sums[put->sum].size);
}

static int commit_object(struct sl_op *op, struct sl_error *err) {
    struct put *put = put_of(op);
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    sl_s3__doc_sum(op, put->doc, put->sum, sum_text(op), "FULL_OBJECT");
    struct sl_object object = {.key = sl_op_in(op, "Key"),
                               .data = put->sink.size ? sl_object_number(op->tx) : 0,
                               .size = put->sink.size,
                               .modified_ms = op->now_ms,
                               .doc = sl_s3__doc_text(op->arena, put->doc)};
    object.etag = sl_s3__hex(op->arena, put->sink.result.md5, sizeof put->sink.result.md5);
    if (!object.doc.ptr) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    result = sl_s3__write(op, &put->after, &bucket, &object, err);
    if (!result && object.data) result = write_part(op, object.data, 1, SL_STR("{}"), err);
    if (!result) result = sl_s3__created(op, &put->after, &bucket, &object, "ObjectCreated:Put", err);
    if (result) return result;
    sl_op_out(op, "ETag", sl_s3__quoted(op->arena, object.etag));
    sl_op_out(op, sl_s3__sums[put->sum].member, sum_text(op));
    sl_op_out(op, "ChecksumType", SL_STR("FULL_OBJECT"));
    if (sl_op_in(op, "ServerSideEncryption").ptr)
        sl_op_out(op, "ServerSideEncryption", sl_op_in(op, "ServerSideEncryption"));
    if (bucket.versioning == SL_S3_VERSIONED) sl_op_out(op, "VersionId", object.version);
    return 0;
}

static int find_upload(struct sl_op *op, struct sl_object_upload *ret, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    return result ? result : sl_s3__find_upload(op, &bucket, ret, err);
}

// A part that was there under the number goes.
static int replace_part(struct sl_op *op, int64_t data, int64_t number, struct sl_error *err) {
    struct put *put = put_of(op);
    struct sl_object_part *old;
    unsigned count;
    int result = sl_object_parts(op->tx, op->arena, data, number - 1, 1, &old, &count, err);
    if (result || !count || old->number != number) return result;
    // Filed under no data: nobody reads parts of an unfinished upload.
    return sl_s3__note_file(op, &put->after, old->file, err);
}

static int commit_part(struct sl_op *op, struct sl_error *err) {
    struct put *put = put_of(op);
    struct sl_object_upload upload;
    struct sl_json *doc = sl_json_new_object(op->arena);
    int result = find_upload(op, &upload, err);
    if (!result) result = replace_part(op, upload.data, put->number, err);
    sl_json_put_string(op->arena, doc, sl_s3__sums[put->sum].member, sum_text(op));
    struct sl_str text = sl_s3__doc_text(op->arena, doc);
    if (!result && !text.ptr) result = sl_fail(err, SL_E_NO_MEMORY, "request too large");
    if (!result) result = write_part(op, upload.data, put->number, text, err);
    if (result) return result;
    struct sl_str etag = sl_s3__hex(op->arena, put->sink.result.md5, sizeof put->sink.result.md5);
    sl_op_out(op, "ETag", sl_s3__quoted(op->arena, etag));
    sl_op_out(op, sl_s3__sums[put->sum].member, sum_text(op));
    return 0;
}

static int commit(struct sl_op *op, struct sl_error *err) {
    return put_of(op)->number ? commit_part(op, err) : commit_object(op, err);
}

static void committed(struct sl_op *op) { sl_s3__publish_after(op, &put_of(op)->after); }

static void stored(struct sl_op *op, int result, const struct sl_error *err) {
    if (result)
        end_with(op, err);
    else
        sl_op_answer(op);
}

static void store(struct sl_op *op) {
    struct put *put = put_of(op);
    struct sl_error err;
    if (sl_s3__submit(&put->task, op, false, commit, committed, stored, &err)) end_with(op, &err);
}

// ---- the body -------------------------------------------------------------------------------------------------------

static void body_done(struct sl_op *op, int result, const struct sl_error *err) {
    struct put *put = put_of(op);
    if (result && !put->error.kind) put->error = *err;
    if (put->looking) {
        put->waiting = true; // `looked` goes on
    } else if (put->error.kind) {
        end_with(op, &put->error);
    } else {
        store(op);
    }
}

// ---- the first job --------------------------------------------------------------------------------------------------

static int look(struct sl_op *op, struct sl_error *err) {
    struct put *put = put_of(op);
    struct sl_s3__bucket bucket;
    struct sl_object_upload upload;
    struct sl_json *doc;
    if (!put->number) return sl_s3__open(op, &bucket, err);
    int result = find_upload(op, &upload, err);
    if (!result) result = sl_json_parse(op->arena, upload.doc, &doc, err);
    if (result) return result;
    enum sl_s3__sum wanted = sl_s3__sum_of(sl_json_string(doc, "_sum"));
    bool asked = sl_json_bool(doc, "_sum_asked", false);
    enum sl_s3__sum given = put->sink.claims.sum;
    if (given && given != wanted && asked)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
                       sl_s3__sums[wanted].name, sl_s3__sums[given].name);
    // One that was not asked for is checked and forgotten only if the upload sums otherwise: both cannot be had.
    put->sum = given ? given : wanted;
    return 0;
}

static void looked(struct sl_op *op, int result, const struct sl_error *err) {
    struct put *put = put_of(op);
    put->looking = false;
    if (result && !put->error.kind) put->error = *err;
    if (put->waiting) {
        if (put->error.kind)
            end_with(op, &put->error);
        else
            store(op);
    } else if (result) {
        sl_s3__sink_fail(&put->sink, err);
    } else if (put->number) {
        sl_s3__sink_go(&put->sink, put->sum);
    }
}

static int begin(struct sl_op *op, struct put *put, struct sl_error *err) {
    bool first = put->number || op->body->length > LOOK_FIRST || op->body->length < 0;
    op->state = put;
    int result = sl_s3__check_key(op, sl_op_in(op, "Key"), err);
    if (!result) result = sl_s3__sink_begin(&put->sink, op, put->number != 0, body_done, err);
    if (result) return result;
    put->sum = put->sink.digest.sum;
    if (!first) return 0;
    put->looking = true;
    result = sl_s3__submit(&put->task, op, true, look, NULL, looked, err);
    if (!result) return 0;
    put->looking = false;
    sl_s3__sink_cancel(&put->sink);
    return result;
}

int sl_s3__put_object(struct sl_op *op, struct sl_error *err) {
    struct put *put = sl_arena_zalloc(op->arena, sizeof *put);
    if (!put) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    if (sl_op_in(op, "WriteOffsetBytes").ptr || sl_json_get(op->in, "WriteOffsetBytes"))
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    int result = sl_s3__new_doc(op, &put->doc, err);
    return result ? result : begin(op, put, err);
}

int sl_s3__upload_part(struct sl_op *op, struct sl_error *err) {
    struct put *put = sl_arena_zalloc(op->arena, sizeof *put);
    if (!put) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    put->number = sl_json_int(op->in, "PartNumber", 0);
    if (put->number < 1 || put->number > SL_S3_PARTS_MAX)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Part number must be an integer between 1 and 10000, inclusive");
    return begin(op, put, err);
}
