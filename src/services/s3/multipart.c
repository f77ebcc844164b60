// SPDX-License-Identifier: Apache-2.0
//
// multipart: uploads in parts. Each part is a file of the upload's data; completing names that data in an object's row
// and takes the parts away that were not listed, so it copies no byte, whatever the object's size.
//
// Checksums ("Checksums with multipart uploads", S3 User Guide): COMPOSITE is the checksum over the parts' checksums,
// with "-N"; FULL_OBJECT is that of the whole, joined from the parts' (which only cyclic ones can be).
#include "services/s3/internal.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "services/s3/crc.h"

int sl_s3__find_upload(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_object_upload *ret,
                       struct sl_error *err) {
    struct sl_str id = sl_op_in(op, "UploadId");
    int result = sl_object_upload_find(op->tx, op->arena, bucket->id, sl_op_in(op, "Key"), id, ret, err);
    if (result != SL_E_NOT_FOUND) return result;
    sl_s3__error_member(op, "UploadId", id);
    return sl_fail(err, SL_E_S3_NO_SUCH_UPLOAD,
                   "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                   "aborted or completed.");
}

// ---- create ---------------------------------------------------------------------------------------------------------

static int choose_sum(struct sl_op *op, struct sl_json *doc, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "ChecksumAlgorithm"), type = sl_op_in(op, "ChecksumType");
    enum sl_s3__sum sum = name.ptr ? sl_s3__sum_of(name) : SL_S3_CRC64NVME;
    if (!sum)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
                       "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    if (!type.ptr) type = sum == SL_S3_CRC64NVME ? SL_STR("FULL_OBJECT") : SL_STR("COMPOSITE");
    bool whole = sl_str_is(type, "FULL_OBJECT");
    if ((whole && !sl_s3__sums[sum].crc) || (!whole && sum == SL_S3_CRC64NVME))
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "The %.*s checksum type cannot be used with the %s checksum "
                       "algorithm.",
                       SL_FMT(type), sl_s3__sums[sum].name);
    sl_json_put_string(op->arena, doc, "_sum", sl_str_of(sl_s3__sums[sum].name));
    sl_json_put_string(op->arena, doc, "_type", type);
    if (!name.ptr) return 0;
    sl_json_put_bool(op->arena, doc, "_sum_asked", true);
    sl_op_out(op, "ChecksumAlgorithm", sl_str_of(sl_s3__sums[sum].name));
    sl_op_out(op, "ChecksumType", type);
    return 0;
}

int sl_s3__create_upload(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_json *doc;
    char id[64], random[33];
    struct sl_str key = sl_op_in(op, "Key");
    int result = sl_s3__check_key(op, key, err);
    if (!result) result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__new_doc(op, &doc, err);
    if (!result) result = choose_sum(op, doc, err);
    if (result) return result;
    struct sl_object_upload upload = {.bucket = bucket.id, .key = key, .begun_ms = op->now_ms};
    upload.data = sl_object_number(op->tx);
    // Begins with a number that ascends, so that uploads of one key are listed in the order of their beginning.
    sl_random_hex(random, 32);
    snprintf(id, sizeof id, "%016llx%s", (unsigned long long)upload.data, random);
    upload.id = sl_arena_dup(op->arena, sl_str_of(id));
    upload.doc = sl_s3__doc_text(op->arena, doc);
    if (!upload.doc.ptr) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    sl_op_out(op, "Bucket", bucket.name);
    sl_op_out(op, "Key", key);
    sl_op_out(op, "UploadId", upload.id);
    if (sl_op_in(op, "ServerSideEncryption").ptr)
        sl_op_out(op, "ServerSideEncryption", sl_op_in(op, "ServerSideEncryption"));
    return sl_object_upload_put(op->tx, &upload, err);
}

// ---- complete -------------------------------------------------------------------------------------------------------

struct completion {
    struct sl_op *op;
    struct sl_s3__bucket bucket;
    struct sl_object_upload upload;
    struct sl_json *doc;
    struct sl_object_part *parts; // those that are there, by number
    unsigned count;
    enum sl_s3__sum sum; // SL_S3_NO_SUM: not every part has it
    bool whole;          // FULL_OBJECT
    EVP_MD_CTX *etag;    // over the parts' MD5s
    struct sl_buf sums;  // the parts' checksums
    uint64_t crc;        // of the whole so far
    int64_t size;
    unsigned listed;
};

static int invalid_part(struct sl_op *op, const struct sl_json *item, struct sl_error *err) {
    sl_s3__error_member(op, "UploadId", sl_op_in(op, "UploadId"));
    sl_s3__error_member(op, "PartNumber",
                        sl_arena_printf(op->arena, "%lld", (long long)sl_json_int(item, "PartNumber", 0)));
    sl_s3__error_member(op, "ETag", sl_s3__unquoted(sl_json_string(item, "ETag")));
    return sl_fail(err, SL_E_S3_INVALID_PART,
                   "One or more of the specified parts could not be found.  The part may not have been uploaded, or "
                   "the specified entity tag may not match the part's entity tag.");
}

static int too_small(struct completion *c, const struct sl_object_part *part, struct sl_error *err) {
    struct sl_arena *arena = c->op->arena;
    sl_s3__error_member(c->op, "ETag", part->etag);
    sl_s3__error_member(c->op, "MinSizeAllowed", sl_arena_printf(arena, "%lld", (long long)SL_S3_PART_MIN));
    sl_s3__error_member(c->op, "PartNumber", sl_arena_printf(arena, "%lld", (long long)part->number));
    sl_s3__error_member(c->op, "ProposedSize", sl_arena_printf(arena, "%lld", (long long)part->size));
    return sl_fail(err, SL_E_S3_TOO_SMALL, "Your proposed upload is smaller than the minimum allowed size");
}

// The part's checksum joins the whole's; what the client says of it is compared.
static int add_sum(struct completion *c, const struct sl_object_part *part, const struct sl_json *item,
                   struct sl_error *err) {
    struct sl_json *doc;
    struct sl_str bytes;
    const struct sl_s3__sum_info *info = &sl_s3__sums[c->sum];
    if (!c->sum) return 0;
    if (sl_json_parse(c->op->arena, part->doc, &doc, err)) return err->kind;
    struct sl_str text = sl_json_string(doc, info->member), claimed = sl_json_string(item, info->member);
    if (!text.ptr || !sl_base64_decode(c->op->arena, text, &bytes) || bytes.len != info->size) {
        c->sum = SL_S3_NO_SUM;
        return 0;
    }
    if (claimed.ptr && !sl_str_eq(claimed, text)) return invalid_part(c->op, item, err);
    if (!claimed.ptr && !c->whole && sl_json_bool(c->doc, "_sum_asked", false))
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "The upload was created using a %s checksum. The complete request must include the checksum for "
                       "each part. It was missing for part %lld in the request.",
                       info->name, (long long)part->number);
    sl_buf_str(&c->sums, bytes);
    if (!c->whole) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++) value = value << 8 | (unsigned char)bytes.ptr[i];
    c->crc = c->sum == SL_S3_CRC32    ? sl_crc32_join((uint32_t)c->crc, (uint32_t)value, (uint64_t)part->size)
             : c->sum == SL_S3_CRC32C ? sl_crc32c_join((uint32_t)c->crc, (uint32_t)value, (uint64_t)part->size)
                                      : sl_crc64nvme_join(c->crc, value, (uint64_t)part->size);
    return 0;
}

static bool add_md5(struct completion *c, struct sl_str etag) {
    unsigned char md5[16];
    if (etag.len != 2 * sizeof md5) return false;
    for (size_t i = 0; i < sizeof md5; i++) {
        int high = sl_hex_value(etag.ptr[2 * i]), low = sl_hex_value(etag.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        md5[i] = (unsigned char)(high << 4 | low);
    }
    return EVP_DigestUpdate(c->etag, md5, sizeof md5);
}

static int check_order(const struct sl_json *list, struct sl_error *err) {
    int64_t before = 0;
    for (const struct sl_json *item = list->first; item; item = item->next) {
        int64_t number = sl_json_int(item, "PartNumber", 0);
        if (number < 1 || number > SL_S3_PARTS_MAX)
            return sl_fail(err, SL_E_S3_INVALID_ARGUMENT,
                           "Part number must be an integer between 1 and 10000, inclusive");
        if (number <= before)
            return sl_fail(err, SL_E_S3_INVALID_PART_ORDER,
                           "The list of parts was not in ascending order. Parts must be ordered by part number.");
        before = number;
    }
    return 0;
}

// Parts of the upload that are not in the list, up to a number.
static int drop_parts(struct completion *c, struct sl_s3__after *after, unsigned *at, int64_t before,
                      struct sl_error *err) {
    for (; *at < c->count && c->parts[*at].number < before; (*at)++) {
        int result = sl_s3__note_file(c->op, after, c->parts[*at].file, err);
        if (!result) result = sl_object_part_remove(c->op->tx, c->upload.data, c->parts[*at].number, err);
        if (result) return result;
    }
    return 0;
}

// Walks the client's list beside the parts that are there; parts between are not listed and go.
static int take_list(struct completion *c, struct sl_s3__after *after, const struct sl_json *list,
                     struct sl_error *err) {
    struct sl_op *op = c->op;
    unsigned at = 0;
    int result = check_order(list, err);
    for (const struct sl_json *item = list->first; item && !result; item = item->next) {
        int64_t number = sl_json_int(item, "PartNumber", 0);
        result = drop_parts(c, after, &at, number, err);
        if (result) return result;
        const struct sl_object_part *part = at < c->count ? &c->parts[at] : NULL;
        if (!part || part->number != number || !sl_str_eq(sl_s3__unquoted(sl_json_string(item, "ETag")), part->etag) ||
            !add_md5(c, part->etag))
            return invalid_part(op, item, err);
        if (item->next && part->size < SL_S3_PART_MIN) return too_small(c, part, err);
        result = add_sum(c, part, item, err);
        c->size += part->size;
        c->listed++;
        at++;
    }
    return result ? result : drop_parts(c, after, &at, INT64_MAX, err);
}

static struct sl_str sum_text(struct completion *c) {
    const struct sl_s3__sum_info *info = &sl_s3__sums[c->sum];
    struct sl_arena *arena = c->op->arena;
    struct sl_s3__digest digest;
    struct sl_s3__result result;
    if (c->whole) {
        uint64_t value = htobe64(info->size == 4 ? c->crc << 32 : c->crc);
        return sl_s3__base64(arena, &value, info->size);
    }
    if (c->sums.failed || sl_s3__digest_begin(&digest, c->sum, false, NULL)) return (struct sl_str){0};
    sl_s3__digest_add(&digest, sl_buf_view(&c->sums));
    sl_s3__digest_end(&digest, &result);
    sl_s3__digest_free(&digest);
    struct sl_str text = sl_s3__base64(arena, result.sum, info->size);
    return sl_arena_printf(arena, "%.*s-%u", SL_FMT(text), c->listed);
}

static int check_whole(struct completion *c, struct sl_str sum, struct sl_error *err) {
    const struct sl_json *size = sl_json_get(c->op->in, "MpuObjectSize");
    struct sl_str claimed = c->sum ? sl_op_in(c->op, sl_s3__sums[c->sum].member) : (struct sl_str){0};
    struct sl_str type = sl_op_in(c->op, "ChecksumType");
    if (size && sl_json_int(c->op->in, "MpuObjectSize", -1) != c->size)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "The provided 'x-amz-mp-object-size' header value %.*s does not match what was computed: %lld",
                       SL_FMT(size->text), (long long)c->size);
    if (type.ptr && sl_json_bool(c->doc, "_sum_asked", false) && !sl_str_eq(type, sl_json_string(c->doc, "_type")))
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "The upload was created using the %.*s checksum mode. The complete request must use the same "
                       "checksum mode.",
                       SL_FMT(sl_json_string(c->doc, "_type")));
    // A composite one may be given with or without its number of parts.
    if (!claimed.ptr || sl_str_eq(claimed, sum)) return 0;
    ptrdiff_t dash = sl_str_chr(sum, '-', 0);
    if (dash > 0 && sl_str_eq(claimed, sl_str_sub(sum, 0, (size_t)dash))) return 0;
    return sl_fail(err, SL_E_S3_BAD_DIGEST, "The %s you specified did not match the calculated checksum.",
                   sl_s3__sums[c->sum].name);
}

static int make_object(struct completion *c, struct sl_s3__after *after, struct sl_error *err) {
    struct sl_op *op = c->op;
    unsigned char md5[16];
    struct sl_str sum = c->sum ? sum_text(c) : (struct sl_str){0};
    struct sl_str type = sl_json_string(c->doc, "_type");
    if ((c->sum && !sum.ptr) || !EVP_DigestFinal_ex(c->etag, md5, NULL))
        return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = check_whole(c, sum, err);
    if (result) return result;
    sl_json_remove(c->doc, "_sum");
    sl_json_remove(c->doc, "_type");
    sl_json_remove(c->doc, "_sum_asked");
    if (c->sum) sl_s3__doc_sum(op, c->doc, c->sum, sum, c->whole ? "FULL_OBJECT" : "COMPOSITE");
    sl_json_put_int(op->arena, c->doc, "_parts", c->listed);
    struct sl_object object = {.key = sl_op_in(op, "Key"),
                               .data = c->upload.data,
                               .size = c->size,
                               .modified_ms = op->now_ms,
                               .doc = sl_s3__doc_text(op->arena, c->doc)};
    struct sl_str hex = sl_s3__hex(op->arena, md5, sizeof md5);
    object.etag = sl_arena_printf(op->arena, "%.*s-%u", SL_FMT(hex), c->listed);
    if (!object.doc.ptr) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    result = sl_s3__write(op, after, &c->bucket, &object, err);
    if (!result) result = sl_object_upload_remove(op->tx, c->bucket.id, object.key, c->upload.id, err);
    if (!result) result = sl_s3__created(op, after, &c->bucket, &object, "ObjectCreated:CompleteMultipartUpload", err);
    if (result) return result;
    sl_op_out(op, "Location",
              sl_arena_printf(op->arena, "http://%.*s/%.*s/%.*s", SL_FMT(op->host), SL_FMT(c->bucket.name),
                              SL_FMT(object.key)));
    sl_op_out(op, "Bucket", c->bucket.name);
    sl_op_out(op, "Key", object.key);
    sl_op_out(op, "ETag", sl_s3__quoted(op->arena, object.etag));
    if (c->sum) {
        sl_op_out(op, sl_s3__sums[c->sum].member, sum);
        sl_op_out(op, "ChecksumType", type);
    }
    if (c->bucket.versioning == SL_S3_VERSIONED) sl_op_out(op, "VersionId", object.version);
    return 0;
}

int sl_s3__complete_upload(struct sl_op *op, struct sl_error *err) {
    struct completion c = {.op = op};
    struct sl_s3__after *after = sl_s3__after(op);
    const struct sl_json *list = sl_json_get(sl_json_get(op->in, "MultipartUpload"), "Parts");
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_s3__open(op, &c.bucket, err);
    if (!result) result = sl_s3__find_upload(op, &c.bucket, &c.upload, err);
    if (!result && (!list || list->count == 0 || list->count > SL_S3_PARTS_MAX))
        result = sl_fail(err, SL_E_MALFORMED_XML,
                         "The XML you provided was not well-formed or did not validate against our published schema");
    if (!result) result = sl_json_parse(op->arena, c.upload.doc, &c.doc, err);
    if (!result)
        result = sl_object_parts(op->tx, op->arena, c.upload.data, 0, SL_S3_PARTS_MAX, &c.parts, &c.count, err);
    if (result) return result;
    c.sum = sl_s3__sum_of(sl_json_string(c.doc, "_sum"));
    c.whole = sl_str_is(sl_json_string(c.doc, "_type"), "FULL_OBJECT");
    sl_buf_init(&c.sums, SL_S3_PARTS_MAX * 32);
    c.etag = EVP_MD_CTX_new();
    if (!c.etag || !EVP_DigestInit_ex(c.etag, EVP_md5(), NULL))
        result = sl_fail(err, SL_E_NO_MEMORY, "no memory for a digest");
    if (!result) result = take_list(&c, after, list, err);
    if (!result) result = make_object(&c, after, err);
    EVP_MD_CTX_free(c.etag);
    sl_buf_free(&c.sums);
    return result;
}

int sl_s3__abort_upload(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object_upload upload;
    struct sl_s3__after *after = sl_s3__after(op);
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__find_upload(op, &bucket, &upload, err);
    if (!result) result = sl_s3__drop_data(op, after, upload.data, err);
    return result ? result : sl_object_upload_remove(op->tx, bucket.id, upload.key, upload.id, err);
}

// ---- lists ----------------------------------------------------------------------------------------------------------

static void show_upload(struct sl_op *op, struct sl_json *item, const struct sl_s3__bucket *bucket,
                        const struct sl_json *doc) {
    struct sl_str class = sl_json_string(doc, "StorageClass");
    sl_json_set(item, SL_STR("Owner"), sl_s3__owner(op, bucket->account));
    sl_json_set(item, SL_STR("Initiator"), sl_s3__owner(op, bucket->account));
    sl_json_put_string(op->arena, item, "StorageClass", class.len ? class : SL_STR("STANDARD"));
    if (!sl_json_bool(doc, "_sum_asked", false)) return;
    sl_json_put_string(op->arena, item, "ChecksumAlgorithm", sl_json_string(doc, "_sum"));
    sl_json_put_string(op->arena, item, "ChecksumType", sl_json_string(doc, "_type"));
}

int sl_s3__list_parts(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object_upload upload;
    struct sl_object_part *parts;
    struct sl_json *doc, *list = sl_json_new_array(op->arena);
    unsigned count;
    int64_t after = sl_json_int(op->in, "PartNumberMarker", 0), max = sl_json_int(op->in, "MaxParts", SL_S3_PAGE);
    if (max < 0)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Argument maxParts must be an integer between 0 and 2147483647");
    if (max > SL_S3_PAGE) max = SL_S3_PAGE;
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__find_upload(op, &bucket, &upload, err);
    if (!result) result = sl_json_parse(op->arena, upload.doc, &doc, err);
    if (!result)
        result = sl_object_parts(op->tx, op->arena, upload.data, after, (unsigned)max + 1, &parts, &count, err);
    if (result) return result;
    bool more = count > (uint64_t)max;
    if (more) count--;
    for (unsigned i = 0; i < count; i++) {
        struct sl_json *item;
        if (sl_json_parse(op->arena, parts[i].doc, &item, err)) return err->kind;
        sl_json_put_int(op->arena, item, "PartNumber", parts[i].number);
        sl_json_put_int(op->arena, item, "LastModified", parts[i].modified_ms);
        sl_json_put_string(op->arena, item, "ETag", sl_s3__quoted(op->arena, parts[i].etag));
        sl_json_put_int(op->arena, item, "Size", parts[i].size);
        sl_json_push(list, item);
    }
    sl_op_out(op, "Bucket", bucket.name);
    sl_op_out(op, "Key", upload.key);
    sl_op_out(op, "UploadId", upload.id);
    sl_json_put_int(op->arena, op->out, "PartNumberMarker", after);
    sl_json_put_int(op->arena, op->out, "NextPartNumberMarker", count ? parts[count - 1].number : 0);
    sl_json_put_int(op->arena, op->out, "MaxParts", max);
    sl_json_put_bool(op->arena, op->out, "IsTruncated", more);
    sl_json_set(op->out, SL_STR("Parts"), list);
    show_upload(op, op->out, &bucket, doc);
    return 0;
}

struct uploads {
    struct sl_op *op;
    const struct sl_s3__bucket *bucket;
    struct sl_str prefix, delimiter;
    bool url, truncated;
    int64_t max, shown;
    struct sl_str last_key, last_id, jump;
    struct sl_json *items, *prefixes;
};

static struct sl_str shown(const struct uploads *list, struct sl_str text) {
    struct sl_buf out;
    if (!list->url || !text.len) return text;
    sl_buf_init(&out, 3 * text.len);
    sl_percent_encode(&out, text, true);
    struct sl_str encoded = sl_arena_dup(list->op->arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return encoded;
}

static bool list_upload(void *user, const struct sl_object_upload *upload) {
    struct uploads *list = user;
    struct sl_arena *arena = list->op->arena;
    struct sl_error err;
    struct sl_json *doc;
    list->jump = (struct sl_str){0};
    if (!sl_str_starts(upload->key, list->prefix)) return sl_str_cmp(upload->key, list->prefix) < 0;
    if (list->shown == list->max) {
        list->truncated = list->max > 0;
        return false;
    }
    struct sl_str rest = sl_str_sub(upload->key, list->prefix.len, upload->key.len);
    ptrdiff_t at = list->delimiter.len ? sl_str_find(rest, list->delimiter) : -1;
    list->shown++;
    if (at >= 0) {
        struct sl_str common = sl_str_sub(upload->key, 0, list->prefix.len + (size_t)at + list->delimiter.len);
        struct sl_json *item = sl_json_push(list->prefixes, sl_json_new_object(arena));
        list->last_key = sl_arena_dup(arena, common);
        list->last_id = SL_STR("");
        sl_json_put_string(arena, item, "Prefix", shown(list, list->last_key));
        list->jump = sl_arena_printf(arena, "%.*s\xFF", SL_FMT(list->last_key));
        return false;
    }
    if (sl_json_parse(arena, sl_arena_dup(arena, upload->doc), &doc, &err)) return false;
    struct sl_json *item = sl_json_push(list->items, sl_json_new_object(arena));
    list->last_key = sl_arena_dup(arena, upload->key);
    list->last_id = sl_arena_dup(arena, upload->id);
    sl_json_put_string(arena, item, "Key", shown(list, list->last_key));
    sl_json_put_string(arena, item, "UploadId", list->last_id);
    sl_json_put_int(arena, item, "Initiated", upload->begun_ms);
    show_upload(list->op, item, list->bucket, doc);
    return !sl_arena_failed(arena);
}

int sl_s3__list_uploads(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_str key = sl_op_in(op, "KeyMarker"), id = sl_op_in(op, "UploadIdMarker");
    struct uploads list = {.op = op,
                           .bucket = &bucket,
                           .prefix = sl_op_in(op, "Prefix"),
                           .delimiter = sl_op_in(op, "Delimiter"),
                           .url = sl_str_is(sl_op_in(op, "EncodingType"), "url"),
                           .max = sl_json_int(op->in, "MaxUploads", SL_S3_PAGE),
                           .items = sl_json_new_array(op->arena),
                           .prefixes = sl_json_new_array(op->arena)};
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    if (!list.prefix.ptr) list.prefix = SL_STR("");
    if (list.max < 0 || list.max > SL_S3_PAGE) list.max = SL_S3_PAGE;
    // Without an id the marker's key is done: no id is greater than this.
    struct sl_str from = key.len && sl_str_cmp(key, list.prefix) >= 0 ? key : list.prefix;
    struct sl_str after = from.ptr != key.ptr || !key.len ? SL_STR("") : id.len ? id : SL_STR("\x7F");
    for (bool first = true; !result && (first || list.jump.ptr); first = false) {
        if (list.jump.ptr) from = list.jump;
        list.jump = (struct sl_str){0};
        result = sl_object_upload_walk(op->tx, bucket.id, from, first ? after : SL_STR(""), list_upload, &list, err);
    }
    if (result) return result;
    sl_op_out(op, "Bucket", bucket.name);
    sl_op_out(op, "KeyMarker", shown(&list, key.ptr ? key : SL_STR("")));
    sl_op_out(op, "UploadIdMarker", id.ptr ? id : SL_STR(""));
    if (list.prefix.len) sl_op_out(op, "Prefix", shown(&list, list.prefix));
    if (list.delimiter.len) sl_op_out(op, "Delimiter", shown(&list, list.delimiter));
    if (list.url) sl_op_out(op, "EncodingType", SL_STR("url"));
    sl_json_put_int(op->arena, op->out, "MaxUploads", list.max);
    sl_json_put_bool(op->arena, op->out, "IsTruncated", list.truncated);
    sl_json_set(op->out, SL_STR("Uploads"), list.items);
    sl_json_set(op->out, SL_STR("CommonPrefixes"), list.prefixes);
    if (list.truncated) {
        sl_op_out(op, "NextKeyMarker", shown(&list, list.last_key));
        sl_op_out(op, "NextUploadIdMarker", list.last_id);
    }
    return 0;
}
