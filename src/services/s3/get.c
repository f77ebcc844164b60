// SPDX-License-Identifier: Apache-2.0
//
// get: GetObject, HeadObject, GetObjectAttributes, and reading for other parts of the server.
//
//   store job: bucket, object, conditions, range, parts; pins the data
//     └─ worker: reads a buffer ─ loop: sends it ─ (client has read) ─ worker ... ─ unpins
//
// One buffer per download, in turn a worker's and the loop's. A client that stops reading holds the buffer and a
// descriptor, and no thread.
#include "services/s3/internal.h"

#include <stdlib.h>

#include "base/clock.h"

struct get {
    struct sl_s3__task task;
    struct sl_object object;
    struct sl_json *doc;
    struct sl_object_part *parts;
    unsigned part_count;
    int64_t from, length; // of what is sent
    bool partial, not_modified, pinned;
    struct sl_s3__source source;
    char *buffer;
    size_t room, got;
    struct sl_error error; // of the worker
    bool begun;
};

static struct get *get_of(struct sl_op *op) { return op->state; }

// ---- what is shown --------------------------------------------------------------------------------------------------

// The checksum is shown when it is asked for, and not with a body that it is not of.
static void show_sums(struct sl_op *op, const struct get *get) {
    bool wanted = sl_str_is(sl_op_in(op, "ChecksumMode"), "ENABLED") && !get->partial && !get->not_modified;
    if (wanted) return;
    for (int i = 1; i < SL_S3_SUM_COUNT; i++) sl_json_remove(op->out, sl_s3__sums[i].member);
    sl_json_remove(op->out, "ChecksumType");
}

static void override(struct sl_op *op) {
    static const char *const names[][2] = {{"ResponseCacheControl", "CacheControl"},
                                           {"ResponseContentDisposition", "ContentDisposition"},
                                           {"ResponseContentEncoding", "ContentEncoding"},
                                           {"ResponseContentLanguage", "ContentLanguage"},
                                           {"ResponseContentType", "ContentType"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct sl_str value = sl_op_in(op, names[i][0]);
        if (value.len) sl_json_put_string(op->arena, op->out, names[i][1], value);
    }
    // A timestamp in the model; sent as an HTTP date.
    const struct sl_json *expires = sl_json_get(op->in, "ResponseExpires");
    if (!expires) return;
    char text[SL_TIME_HTTP];
    sl_time_http(sl_json_int(op->in, "ResponseExpires", 0), text);
    sl_op_out(op, "Expires", sl_arena_dup(op->arena, sl_str_of(text)));
}

static void show(struct sl_op *op, const struct sl_s3__bucket *bucket, struct get *get) {
    const struct sl_object *object = &get->object;
    const struct sl_json *tags = sl_json_get(get->doc, "_tags");
    int64_t parts = sl_json_int(get->doc, "_parts", 0);
    op->out = get->doc;
    show_sums(op, get);
    override(op);
    sl_op_out(op, "ETag", sl_s3__quoted(op->arena, object->etag));
    sl_json_put_int(op->arena, op->out, "LastModified", object->modified_ms);
    sl_op_out(op, "AcceptRanges", SL_STR("bytes"));
    if (bucket->versioning != SL_S3_UNVERSIONED) sl_op_out(op, "VersionId", object->version);
    if (tags) sl_json_put_int(op->arena, op->out, "TagCount", tags->count);
    if (parts && sl_json_get(op->in, "PartNumber")) sl_json_put_int(op->arena, op->out, "PartsCount", parts);
    if (!get->partial) return;
    op->status = 206;
    sl_op_out(op, "ContentRange",
              sl_arena_printf(op->arena, "bytes %lld-%lld/%lld", (long long)get->from,
                              (long long)(get->from + get->length - 1), (long long)object->size));
}

// ---- what is meant --------------------------------------------------------------------------------------------------

static int unsatisfiable(struct sl_op *op, const struct get *get, struct sl_error *err) {
    sl_s3__error_member(op, "RangeRequested", sl_op_in(op, "Range"));
    sl_s3__error_member(op, "ActualObjectSize", sl_arena_printf(op->arena, "%lld", (long long)get->object.size));
    return sl_fail(err, SL_E_S3_INVALID_RANGE, "The requested range is not satisfiable");
}

// The bytes of one part, by its place among the parts.
static int choose_part(struct sl_op *op, struct get *get, int64_t number, struct sl_error *err) {
    int64_t count = sl_json_int(get->doc, "_parts", 1);
    if (sl_op_in(op, "Range").ptr)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST, "Cannot specify both Range header and partNumber query parameter");
    if (number < 1 || number > SL_S3_PARTS_MAX)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Part number must be an integer between 1 and 10000, inclusive");
    if (number > count) {
        sl_s3__error_member(op, "ActualPartCount", sl_arena_printf(op->arena, "%lld", (long long)count));
        sl_s3__error_member(op, "PartNumberRequested", sl_arena_printf(op->arena, "%lld", (long long)number));
        return sl_fail(err, SL_E_S3_INVALID_PART_NUMBER, "The requested partnumber is not satisfiable");
    }
    get->from = 0;
    for (unsigned i = 0; i < get->part_count && i + 1 < (uint64_t)number; i++) get->from += get->parts[i].size;
    if (get->part_count >= (uint64_t)number) get->length = get->parts[number - 1].size;
    get->partial = get->length > 0;
    return 0;
}

static int choose(struct sl_op *op, struct get *get, struct sl_error *err) {
    int64_t number = sl_json_int(op->in, "PartNumber", 0);
    bool bad = false;
    get->length = get->object.size;
    if (sl_json_get(op->in, "PartNumber")) return choose_part(op, get, number, err);
    struct sl_str text = sl_op_in(op, "Range");
    if (text.ptr && sl_s3__range(text, get->object.size, &get->from, &get->length, &bad)) {
        if (bad) return unsatisfiable(op, get, err);
        get->partial = true;
    }
    return 0;
}

static int look_up(struct sl_op *op, struct sl_error *err) {
    struct get *get = get_of(op);
    struct sl_s3__bucket bucket;
    struct sl_str key = sl_op_in(op, "Key");
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__find(op, &bucket, key, sl_op_in(op, "VersionId"), &get->object, &get->doc, err);
    if (!result) result = sl_s3__check(op, &sl_s3__read_conditions, &get->object, &get->not_modified, err);
    if (!result && get->object.data)
        result = sl_object_parts(op->tx, op->arena, get->object.data, 0, SL_S3_PARTS_MAX, &get->parts, &get->part_count,
                                 err);
    if (!result && !get->not_modified) result = choose(op, get, err);
    if (result) return result;
    show(op, &bucket, get);
    if (get->not_modified) op->status = 304;
    sl_s3__pin(sl_s3__of(op), get->object.data);
    get->pinned = true;
    return 0;
}

// ---- sending --------------------------------------------------------------------------------------------------------

static void finish(struct sl_op *op, const struct sl_error *err) {
    struct get *get = get_of(op);
    sl_s3__source_close(&get->source);
    free(get->buffer);
    if (get->pinned) sl_s3__unpin(sl_s3__of(op), get->object.data);
    if (err)
        sl_op_answer_error(op, err);
    else
        sl_op_answer(op);
}

static void next(struct sl_op *op);

// The client went away while it was waited for; a worker that reads is waited for instead.
static void gone(struct sl_op *op) { finish(op, NULL); }

static void has_read(struct sl_op *op) {
    op->gone = NULL;
    next(op);
}

static void read_some(struct sl_op *op) {
    struct get *get = get_of(op);
    int result = sl_s3__source_read(&get->source, op->store, get->buffer, get->room, &get->got, &get->error);
    if (result && !get->error.kind) get->error.kind = result;
}

static void read_done(struct sl_op *op) {
    struct get *get = get_of(op);
    if (get->error.kind || sl_op_is_gone(op)) {
        finish(op, get->error.kind ? &get->error : NULL);
        return;
    }
    if (!get->begun) sl_op_send_begin(op, (uint64_t)get->length);
    get->begun = true;
    sl_op_send(op, sl_str_n(get->buffer, get->got));
    if (get->source.left == 0) {
        finish(op, NULL);
    } else if (sl_op_drained(op, has_read)) {
        next(op);
    } else {
        op->gone = gone;
    }
}

static void next(struct sl_op *op) {
    struct get *get = get_of(op);
    if (sl_op_work(op, read_some, read_done, &get->error)) finish(op, &get->error);
}

static void looked_up(struct sl_op *op, int result, const struct sl_error *err) {
    struct get *get = get_of(op);
    bool head = sl_str_is(op->model->method, "HEAD");
    if (result || sl_op_is_gone(op)) {
        finish(op, result ? err : NULL);
        return;
    }
    if (head || get->not_modified || get->length == 0) {
        sl_op_send_begin(op, head ? (uint64_t)get->length : 0);
        finish(op, NULL);
        return;
    }
    get->room = get->length < SL_S3_BUFFER ? (size_t)get->length : SL_S3_BUFFER;
    get->buffer = malloc(get->room);
    if (!get->buffer) {
        sl_fail(&get->error, SL_E_NO_MEMORY, "no memory for a download");
        finish(op, &get->error);
        return;
    }
    sl_s3__source_init(&get->source, get->parts, get->part_count, get->from, get->length);
    next(op);
}

int sl_s3__get_object(struct sl_op *op, struct sl_error *err) {
    struct get *get = sl_arena_zalloc(op->arena, sizeof *get);
    if (!get) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    op->state = get;
    get->source.fd = -1;
    return sl_s3__submit(&get->task, op, true, look_up, NULL, looked_up, err);
}

int sl_s3__head_object(struct sl_op *op, struct sl_error *err) { return sl_s3__get_object(op, err); }

// ---- attributes -----------------------------------------------------------------------------------------------------

static bool asked_for(const struct sl_op *op, const char *name) {
    const struct sl_json *wanted = sl_json_get(op->in, "ObjectAttributes");
    for (const struct sl_json *at = wanted ? wanted->first : NULL; at; at = at->next)
        if (sl_str_is(at->text, name)) return true;
    return false;
}

static struct sl_json *sums_of(struct sl_op *op, const struct sl_json *doc) {
    struct sl_json *sums = sl_json_new_object(op->arena);
    for (int i = 1; i < SL_S3_SUM_COUNT; i++) {
        struct sl_str text = sl_json_string(doc, sl_s3__sums[i].member);
        if (text.ptr) sl_json_put_string(op->arena, sums, sl_s3__sums[i].member, text);
    }
    return sums;
}

static int show_parts(struct sl_op *op, const struct sl_object *object, int64_t total, struct sl_error *err) {
    int64_t after = sl_json_int(op->in, "PartNumberMarker", 0), max = sl_json_int(op->in, "MaxParts", SL_S3_PAGE);
    struct sl_object_part *parts;
    unsigned count;
    if (max < 0 || max > SL_S3_PAGE) max = SL_S3_PAGE;
    int result = sl_object_parts(op->tx, op->arena, object->data, after, (unsigned)max + 1, &parts, &count, err);
    if (result) return result;
    bool more = count > (uint64_t)max;
    if (more) count--;
    struct sl_json *shown = sl_json_new_object(op->arena), *list = sl_json_new_array(op->arena);
    sl_json_put_int(op->arena, shown, "TotalPartsCount", total);
    sl_json_put_int(op->arena, shown, "PartNumberMarker", after);
    sl_json_put_int(op->arena, shown, "NextPartNumberMarker", count ? parts[count - 1].number : 0);
    sl_json_put_int(op->arena, shown, "MaxParts", max);
    sl_json_put_bool(op->arena, shown, "IsTruncated", more);
    for (unsigned i = 0; i < count; i++) {
        struct sl_json *doc;
        if (sl_json_parse(op->arena, parts[i].doc, &doc, err)) return err->kind;
        struct sl_json *item = sl_json_push(list, sums_of(op, doc));
        sl_json_put_int(op->arena, item, "PartNumber", parts[i].number);
        sl_json_put_int(op->arena, item, "Size", parts[i].size);
    }
    sl_json_set(shown, SL_STR("Parts"), list);
    sl_json_set(op->out, SL_STR("ObjectParts"), shown);
    return 0;
}

int sl_s3__get_attributes(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object object;
    struct sl_json *doc;
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__find(op, &bucket, sl_op_in(op, "Key"), sl_op_in(op, "VersionId"), &object, &doc, err);
    if (result) return result;
    int64_t total = sl_json_int(doc, "_parts", 0);
    struct sl_str class = sl_json_string(doc, "StorageClass"), type = sl_json_string(doc, "ChecksumType");
    sl_json_put_int(op->arena, op->out, "LastModified", object.modified_ms);
    if (bucket.versioning != SL_S3_UNVERSIONED) sl_op_out(op, "VersionId", object.version);
    if (asked_for(op, "ETag")) sl_op_out(op, "ETag", object.etag);
    if (asked_for(op, "Checksum") && type.ptr) {
        struct sl_json *sums = sums_of(op, doc);
        sl_json_put_string(op->arena, sums, "ChecksumType", type);
        sl_json_set(op->out, SL_STR("Checksum"), sums);
    }
    if (asked_for(op, "StorageClass")) sl_op_out(op, "StorageClass", class.len ? class : SL_STR("STANDARD"));
    if (asked_for(op, "ObjectSize")) sl_json_put_int(op->arena, op->out, "ObjectSize", object.size);
    return total && asked_for(op, "ObjectParts") ? show_parts(op, &object, total, err) : 0;
}
