// SPDX-License-Identifier: Apache-2.0
//
// sink: a body on its way into a file. Two buffers: the loop fills one while a worker decodes, sums and writes the
// other; when both are full the client is held back. Memory per upload is thus bounded whatever the object's size, a
// slow client occupies no worker, and no loop waits for a disk.
//
//   part: fill ──(full, or nobody works)──► work: drain ──► worked ──► work ... ──► work with `last`: seal ──► done
//
// A body that fits into one buffer is written, synced and summed by one piece of work. Owner: the loop, except `drain`,
// the digest, the file and `error` while `working`.
#include "services/s3/internal.h"

#include <errno.h>
#include <unistd.h>

#include "aws/chunked_body.h"

enum { BUFFER_MAX = 4 * SL_S3_BUFFER }; // one is full at SL_S3_BUFFER; the rest is for the piece that filled it

// ---- on a worker ----------------------------------------------------------------------------------------------------

static int write_all(int fd, struct sl_str bytes, struct sl_error *err) {
    while (bytes.len) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return sl_fail_errno(err, "write an object");
        bytes = sl_str_sub(bytes, (size_t)put, bytes.len);
    }
    return 0;
}

int sl_s3__sink_add(struct sl_s3__sink *sink, struct sl_str bytes, struct sl_error *err) {
    if (!bytes.len) return 0;
    if (sink->size + (int64_t)bytes.len > SL_S3_OBJECT_MAX)
        return sl_fail(err, SL_E_S3_TOO_LARGE, "Your proposed upload exceeds the maximum allowed size");
    if (sink->fd < 0) {
        int result = sl_object_file_new(sink->op->store, sink->file, &sink->fd, err);
        if (result) {
            sink->file[0] = '\0';
            return result;
        }
    }
    sl_s3__digest_add(&sink->digest, bytes);
    sink->size += (int64_t)bytes.len;
    return write_all(sink->fd, bytes, err);
}

int sl_s3__sink_seal(struct sl_s3__sink *sink, struct sl_error *err) {
    sl_s3__digest_end(&sink->digest, &sink->result);
    int result = sink->fd < 0 ? 0 : sl_object_file_seal(sink->op->store, sink->file, sink->fd, err);
    if (sink->fd >= 0) close(sink->fd);
    sink->fd = -1;
    return result;
}

void sl_s3__sink_discard(struct sl_s3__sink *sink) {
    if (sink->fd >= 0) close(sink->fd);
    sink->fd = -1;
    if (sink->file[0]) {
        struct sl_str name = sl_str_of(sink->file);
        sl_s3__doom(sink->s3, 0, &name, 1);
    }
    sink->file[0] = '\0';
}

// The bytes of the body that the drained buffer holds, without their coding.
static int take_bytes(struct sl_s3__sink *sink) {
    struct sl_chunked_body *chunked = sink->op->body->chunked;
    struct sl_str in = sl_buf_view(&sink->drain), part;
    size_t used;
    int result = 0;
    if (!chunked) return sl_s3__sink_add(sink, in, &sink->error);
    while (!result && in.len) {
        result = sl_chunked_body_feed(chunked, in, &used, &part, &sink->error);
        if (!result) result = sl_s3__sink_add(sink, part, &sink->error);
        if (!result) in = sl_str_sub(in, used, in.len);
    }
    return result;
}

static int incomplete(struct sl_error *err) {
    return sl_fail(err, SL_E_S3_INCOMPLETE_BODY,
                   "You did not provide the number of bytes specified by the Content-Length HTTP header.");
}

static int take_end(struct sl_s3__sink *sink) {
    struct sl_chunked_body *chunked = sink->op->body->chunked;
    struct sl_error *err = &sink->error;
    struct sl_str trailer = {0};
    if (chunked && !sl_chunked_body_complete(chunked)) return incomplete(err);
    if (sink->claims.length >= 0 && sink->claims.length != sink->size) return incomplete(err);
    if (chunked && sink->claims.in_trailer)
        trailer = sl_chunked_body_trailer(chunked, sl_str_of(sl_s3__sums[sink->claims.sum].header));
    int result = sl_s3__sink_seal(sink, err);
    return result ? result : sl_s3__check_claims(&sink->claims, &sink->result, trailer, err);
}

static void work(struct sl_op *op) {
    struct sl_s3__sink *sink = op->body->user;
    int result = take_bytes(sink);
    if (!result && sink->last) result = take_end(sink);
    if (result && !sink->error.kind) sink->error.kind = result;
}

// ---- on the loop ----------------------------------------------------------------------------------------------------

static void finish(struct sl_s3__sink *sink) {
    struct sl_error err = sink->error;
    if (!err.kind && sl_op_is_gone(sink->op) && !sink->last)
        sl_fail(&err, SL_E_S3_INCOMPLETE_BODY, "The request body terminated unexpectedly");
    if (err.kind) sl_s3__sink_discard(sink);
    sl_s3__digest_free(&sink->digest);
    sl_buf_free(&sink->fill);
    sl_buf_free(&sink->drain);
    sink->open = false;
    sl_s3__leave(sink->s3);
    sink->done(sink->op, err.kind, err.kind ? &err : NULL);
}

static void worked(struct sl_op *op);

// Hands what is there to a worker: when it is enough, or all, and none works yet.
static void pump(struct sl_s3__sink *sink) {
    if (sink->working || sink->held || !sink->open) return;
    if (sink->error.kind || sink->last || sl_op_is_gone(sink->op)) {
        finish(sink);
        return;
    }
    if (sink->fill.len < SL_S3_BUFFER && !sink->ended) return;
    struct sl_buf full = sink->fill;
    sink->fill = sink->drain;
    sink->drain = full;
    sl_buf_clear(&sink->fill, 2 * SL_S3_BUFFER);
    sink->last = sink->ended;
    sink->working = true;
    sl_op_pause(sink->op, false);
    if (sl_op_work(sink->op, work, worked, &sink->error) == SL_OK) return;
    sink->working = false;
    finish(sink);
}

static void worked(struct sl_op *op) {
    struct sl_s3__sink *sink = op->body->user;
    sink->working = false;
    pump(sink);
}

static void part(struct sl_op *op, struct sl_str bytes) {
    struct sl_s3__sink *sink = op->body->user;
    if (!sink->open) return; // an error is on its way to the client
    sl_buf_str(&sink->fill, bytes);
    if (sink->fill.failed && !sink->working) sl_fail(&sink->error, SL_E_NO_MEMORY, "no memory for a body");
    if (sink->fill.len >= SL_S3_BUFFER || sink->fill.failed) pump(sink);
    // http gives nothing more while it is held back, so a buffer never holds more than this and one piece.
    if (sink->open && sink->fill.len >= SL_S3_BUFFER) sl_op_pause(op, true);
}

static void end(struct sl_op *op) {
    struct sl_s3__sink *sink = op->body->user;
    sink->ended = true;
    pump(sink);
}

static void gone(struct sl_op *op) { pump(op->body->user); }

int sl_s3__sink_begin(struct sl_s3__sink *sink, struct sl_op *op, bool held,
                      void (*done)(struct sl_op *op, int result, const struct sl_error *err), struct sl_error *err) {
    struct sl_s3 *s3 = sl_s3__of(op);
    *sink = (struct sl_s3__sink){.op = op, .s3 = s3, .fd = -1, .done = done, .held = held};
    int result = sl_s3__read_claims(op, &sink->claims, err);
    if (result) return result;
    if (sink->claims.length > SL_S3_OBJECT_MAX) {
        sl_s3__error_member(op, "ProposedSize", sl_arena_printf(op->arena, "%lld", (long long)sink->claims.length));
        sl_s3__error_member(op, "MaxSizeAllowed", sl_arena_printf(op->arena, "%lld", (long long)SL_S3_OBJECT_MAX));
        return sl_fail(err, SL_E_S3_TOO_LARGE, "Your proposed upload exceeds the maximum allowed size");
    }
    if (!sl_s3__enter(s3)) return sl_fail(err, SL_E_S3_SLOW_DOWN, "Please reduce your request rate.");
    enum sl_s3__sum sum = sink->claims.sum ? sink->claims.sum : SL_S3_CRC64NVME;
    result = sl_s3__digest_begin(&sink->digest, sum, sink->claims.sha256.ptr != NULL, err);
    if (result) {
        sl_s3__leave(s3);
        return result;
    }
    sl_buf_init(&sink->fill, BUFFER_MAX);
    sl_buf_init(&sink->drain, BUFFER_MAX);
    sink->open = true;
    op->body->part = part;
    op->body->end = end;
    op->body->user = sink;
    op->gone = gone;
    if (held) sl_op_pause(op, true);
    return 0;
}

void sl_s3__sink_cancel(struct sl_s3__sink *sink) {
    sl_s3__digest_free(&sink->digest);
    sink->open = false;
    sl_s3__leave(sink->s3);
}

void sl_s3__sink_go(struct sl_s3__sink *sink, enum sl_s3__sum sum) {
    if (sum != sink->digest.sum) {
        sl_s3__digest_free(&sink->digest);
        sl_s3__digest_begin(&sink->digest, sum, sink->claims.sha256.ptr != NULL, &sink->error);
    }
    sink->held = false;
    sl_op_pause(sink->op, false);
    pump(sink);
}

void sl_s3__sink_fail(struct sl_s3__sink *sink, const struct sl_error *err) {
    if (!sink->error.kind) sink->error = *err;
    sink->held = false;
    pump(sink);
}
