// SPDX-License-Identifier: Apache-2.0
//
// source: a range of an object's bytes, out of the files of its parts one after the other. Worker threads: it blocks.
// Whoever reads has the data pinned.
#include "services/s3/internal.h"

#include <errno.h>
#include <unistd.h>

void sl_s3__source_init(struct sl_s3__source *source, const struct sl_object_part *parts, unsigned count, int64_t from,
                        int64_t length) {
    *source = (struct sl_s3__source){.parts = parts, .count = count, .at = from, .left = length, .fd = -1};
    while (source->index < count && source->at >= parts[source->index].size) source->at -= parts[source->index++].size;
}

void sl_s3__source_close(struct sl_s3__source *source) {
    if (source->fd >= 0) close(source->fd);
    source->fd = -1;
}

static void next_part(struct sl_s3__source *source) {
    sl_s3__source_close(source);
    source->index++;
    source->at = 0;
}

int sl_s3__source_read(struct sl_s3__source *source, struct sl_store *store, char *buffer, size_t room, size_t *ret_got,
                       struct sl_error *err) {
    size_t filled = 0;
    while (filled < room && source->left > 0) {
        if (source->index >= source->count) return sl_fail(err, SL_E_IO, "an object is shorter than its size");
        const struct sl_object_part *part = &source->parts[source->index];
        if (source->at >= part->size) {
            next_part(source);
            continue;
        }
        int result = source->fd < 0 ? sl_object_file_open(store, part->file, &source->fd, err) : 0;
        if (result) return result;
        size_t want = room - filled;
        if ((int64_t)want > source->left) want = (size_t)source->left;
        if ((int64_t)want > part->size - source->at) want = (size_t)(part->size - source->at);
        ssize_t got = pread(source->fd, buffer + filled, want, source->at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return sl_fail_errno(err, "read an object");
        if (got == 0) return sl_fail(err, SL_E_IO, "a file of an object is shorter than its size");
        filled += (size_t)got;
        source->at += got;
        source->left -= got;
    }
    *ret_got = filled;
    return 0;
}
