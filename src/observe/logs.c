// SPDX-License-Identifier: Apache-2.0
//
// logs: see logs.h. A record in a loop's buffer is {path length, text length, path, text}; the writer thread groups
// nothing and simply appends record by record, keeping a few files open during a burst.
#include "observe/logs.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HAND_OVER = 64 * 1024,        // a loop's buffer this large goes to the writer at once
    BUFFER_MAX = 4 * 1024 * 1024, // per loop; more than the writer can take in a moment is dropped
    QUEUE_MAX = 32 * 1024 * 1024, // all buffers waiting for the writer
    ROTATE_AT = 32 * 1024 * 1024, // one file; the previous one is kept as ".1"
    PATH_CAP = 256,
    OPEN_FILES = 32,
};

struct record {
    uint32_t path_len, text_len;
};

struct batch {
    struct batch *next;
    struct sl_buf bytes;
};

struct shard {
    struct sl_buf bytes;
    size_t last; // where the last record begins
    uint64_t dropped;
};

struct open_file {
    char path[PATH_CAP];
    int fd;
    off_t size;
    uint64_t used; // turn of the last use, for replacing the oldest
};

struct sl_logs {
    int dir;
    char scratch[40]; // path of the temporary directory, empty for a durable one
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct batch *first, **last;
    size_t queued;
    bool closing;
    struct open_file files[OPEN_FILES];
    uint64_t turn;
    unsigned loops;
    struct shard shards[];
};

// ---- the writer -------------------------------------------------------------------------------------------------

static void rotate(struct sl_logs *logs, struct open_file *file) {
    char old[PATH_CAP + 2];
    snprintf(old, sizeof old, "%s.1", file->path);
    close(file->fd);
    file->fd = -1;
    if (renameat(logs->dir, file->path, logs->dir, old)) sl_log_warn("logs", "cannot rotate %s", file->path);
}

static struct open_file *open_log(struct sl_logs *logs, struct sl_str path) {
    struct open_file *slot = &logs->files[0];
    for (unsigned i = 0; i < OPEN_FILES; i++) {
        struct open_file *file = &logs->files[i];
        if (file->fd >= 0 && sl_str_is(path, file->path)) {
            if (file->size >= ROTATE_AT) rotate(logs, file);
            slot = file;
            break;
        }
        if (file->fd < 0 || (slot->fd >= 0 && file->used < slot->used)) slot = file;
    }
    slot->used = ++logs->turn;
    if (slot->fd >= 0 && sl_str_is(path, slot->path)) return slot;
    if (slot->fd >= 0) close(slot->fd);
    memcpy(slot->path, path.ptr, path.len);
    slot->path[path.len] = '\0';
    slot->fd = openat(logs->dir, slot->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat status;
    if (slot->fd < 0 || fstat(slot->fd, &status)) return NULL;
    slot->size = status.st_size;
    return slot;
}

static void write_record(struct sl_logs *logs, struct sl_str path, struct sl_str text) {
    struct open_file *file = open_log(logs, path);
    while (file && text.len) {
        ssize_t wrote = write(file->fd, text.ptr, text.len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            sl_log_warn("logs", "cannot write %s: %s", file->path, strerrordesc_np(errno));
            return;
        }
        file->size += wrote;
        text = sl_str_sub(text, (size_t)wrote, text.len);
    }
}

// Between bursts no log file is kept open: a function that is gone must not hold a descriptor.
static void close_files(struct sl_logs *logs) {
    for (unsigned i = 0; i < OPEN_FILES; i++) {
        if (logs->files[i].fd >= 0) close(logs->files[i].fd);
        logs->files[i].fd = -1;
    }
}

static void write_batch(struct sl_logs *logs, struct sl_str bytes) {
    while (bytes.len >= sizeof(struct record)) {
        struct record record;
        memcpy(&record, bytes.ptr, sizeof record);
        struct sl_str path = sl_str_sub(bytes, sizeof record, sizeof record + record.path_len);
        size_t text_at = sizeof record + record.path_len;
        write_record(logs, path, sl_str_sub(bytes, text_at, text_at + record.text_len));
        bytes = sl_str_sub(bytes, text_at + record.text_len, bytes.len);
    }
}

static void *writer_main(void *user) {
    struct sl_logs *logs = user;
    pthread_mutex_lock(&logs->lock);
    for (;;) {
        while (!logs->first && !logs->closing) pthread_cond_wait(&logs->wake, &logs->lock);
        struct batch *batch = logs->first;
        if (!batch) break;
        logs->first = batch->next;
        if (!logs->first) logs->last = &logs->first;
        logs->queued -= batch->bytes.len;
        pthread_mutex_unlock(&logs->lock);
        write_batch(logs, sl_buf_view(&batch->bytes));
        sl_buf_free(&batch->bytes);
        free(batch);
        pthread_mutex_lock(&logs->lock);
        if (!logs->first) close_files(logs);
    }
    pthread_mutex_unlock(&logs->lock);
    return NULL;
}

// ---- the loops' side --------------------------------------------------------------------------------------------

// Appends `text` percent-encoded (RFC 3986), so that a group's slashes become part of a file name. Built in place: this
// runs per invocation.
static size_t put_encoded(char *out, size_t at, size_t cap, struct sl_str text) {
    static const char hex[16] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len && at + 3 < cap; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!plain) out[at++] = '%';
        if (!plain) out[at++] = hex[c >> 4];
        out[at++] = plain ? (char)c : hex[c & 15];
    }
    return at;
}

// "account.region.group.log", NUL-terminated; its length.
static size_t log_path(struct sl_str account, struct sl_str region, struct sl_str group, char out[static PATH_CAP]) {
    enum { NAME_MAX_BYTES = 250 }; // file systems allow 255; ".1" is added by rotation
    size_t at = put_encoded(out, 0, 40, account);
    out[at++] = '.';
    at = put_encoded(out, at, at + 40, region);
    out[at++] = '.';
    // A longer group name is cut: two groups that differ only after 200 characters share a file.
    at = put_encoded(out, at, NAME_MAX_BYTES - 4, group);
    memcpy(out + at, ".log", 5);
    return at + 4;
}

// The buffer's last record, if it is of that path: then the text is simply added to it, and reaches the file in one
// write.
static struct sl_str last_path(const struct shard *shard, struct record *ret) {
    if (!shard->bytes.len) return (struct sl_str){NULL, 0};
    memcpy(ret, shard->bytes.ptr + shard->last, sizeof *ret);
    return sl_str_n(shard->bytes.ptr + shard->last + sizeof *ret, ret->path_len);
}

void sl_logs_append(struct sl_logs *logs, unsigned loop, struct sl_str account, struct sl_str region,
                    struct sl_str group, struct sl_str text) {
    struct shard *shard = &logs->shards[loop];
    char path[PATH_CAP];
    size_t path_len = log_path(account, region, group, path);
    if (!text.len) return;
    if (text.len > BUFFER_MAX / 2 || shard->bytes.len + sizeof(struct record) + path_len + text.len > BUFFER_MAX) {
        shard->dropped++;
        return;
    }
    struct record record;
    if (sl_str_eq(last_path(shard, &record), sl_str_n(path, path_len))) {
        record.text_len += (uint32_t)text.len;
        memcpy(shard->bytes.ptr + shard->last, &record, sizeof record);
    } else {
        record = (struct record){(uint32_t)path_len, (uint32_t)text.len};
        shard->last = shard->bytes.len;
        sl_buf_put(&shard->bytes, &record, sizeof record);
        sl_buf_put(&shard->bytes, path, path_len);
    }
    sl_buf_str(&shard->bytes, text);
    if (shard->bytes.len >= HAND_OVER) sl_logs_flush(logs, loop);
}

void sl_logs_flush(struct sl_logs *logs, unsigned loop) {
    struct shard *shard = &logs->shards[loop];
    if (shard->dropped) {
        sl_log_warn("logs", "%llu records dropped: functions log faster than the disk takes it",
                    (unsigned long long)shard->dropped);
        shard->dropped = 0;
    }
    if (!shard->bytes.len) return;
    struct batch *batch = malloc(sizeof *batch);
    if (!batch) return;
    pthread_mutex_lock(&logs->lock);
    if (logs->queued + shard->bytes.len > QUEUE_MAX) {
        // The writer is behind: keep the buffer, whose own bound then drops.
        pthread_mutex_unlock(&logs->lock);
        free(batch);
        return;
    }
    *batch = (struct batch){.bytes = shard->bytes};
    sl_buf_init(&shard->bytes, BUFFER_MAX);
    logs->queued += batch->bytes.len;
    *logs->last = batch;
    logs->last = &batch->next;
    pthread_cond_signal(&logs->wake);
    pthread_mutex_unlock(&logs->lock);
}

int sl_logs_read(struct sl_logs *logs, struct sl_str account, struct sl_str region, struct sl_str group,
                 int64_t *offset, size_t max, struct sl_buf *out, struct sl_error *err) {
    char path[PATH_CAP];
    log_path(account, region, group, path);
    int fd = openat(logs->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return sl_fail(err, SL_E_NOT_FOUND, "no log yet for %.*s", SL_FMT(group));
    struct stat status;
    int64_t size = fstat(fd, &status) ? 0 : status.st_size;
    bool from_end = *offset < 0;
    int64_t at = from_end ? size + *offset : *offset;
    if (at < 0 || at > size) at = 0;
    size_t before = out->len;
    char *room = sl_buf_reserve(out, max);
    ssize_t got = room ? pread(fd, room, max, at) : -1;
    close(fd);
    if (got < 0) return sl_fail_errno(err, "read %s", path);
    out->len += (size_t)got;
    *offset = at + got;
    if (from_end && at > 0) {
        ptrdiff_t line = sl_str_chr(sl_str_n(out->ptr + before, (size_t)got), '\n', 0);
        size_t skip = line < 0 ? 0 : (size_t)line + 1;
        memmove(out->ptr + before, out->ptr + before + skip, (size_t)got - skip);
        out->len -= skip;
    }
    return 0;
}

// ---- open and close ---------------------------------------------------------------------------------------------

static int open_directory(struct sl_logs *logs, int data_dir, struct sl_error *err) {
    if (data_dir >= 0) {
        if (mkdirat(data_dir, "logs", 0750) && errno != EEXIST) return sl_fail_errno(err, "make logs/");
        logs->dir = openat(data_dir, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        snprintf(logs->scratch, sizeof logs->scratch, "/tmp/sluice-logs-XXXXXX");
        if (!mkdtemp(logs->scratch)) return sl_fail_errno(err, "make a directory for logs in /tmp");
        logs->dir = open(logs->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return logs->dir < 0 ? sl_fail_errno(err, "open logs/") : 0;
}

int sl_logs_open(struct sl_logs **ret, int data_dir, unsigned loops, struct sl_error *err) {
    struct sl_logs *logs = calloc(1, sizeof *logs + loops * sizeof logs->shards[0]);
    if (!logs) return sl_fail(err, SL_E_NO_MEMORY, "no memory for logs");
    logs->loops = loops;
    logs->last = &logs->first;
    for (unsigned i = 0; i < loops; i++) sl_buf_init(&logs->shards[i].bytes, BUFFER_MAX);
    for (unsigned i = 0; i < OPEN_FILES; i++) logs->files[i].fd = -1;
    pthread_mutex_init(&logs->lock, NULL);
    pthread_cond_init(&logs->wake, NULL);
    if (open_directory(logs, data_dir, err) == 0) {
        if (pthread_create(&logs->writer, NULL, writer_main, logs) == 0) {
            *ret = logs;
            return 0;
        }
        sl_fail(err, SL_E_INTERNAL, "cannot start the log writer");
        close(logs->dir);
    }
    free(logs);
    return err->kind;
}

static void remove_scratch(struct sl_logs *logs) {
    // The directory holds only files of ours.
    DIR *listing = fdopendir(dup(logs->dir));
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (entry->d_name[0] != '.') unlinkat(logs->dir, entry->d_name, 0);
    }
    if (listing) closedir(listing);
    rmdir(logs->scratch);
}

void sl_logs_close(struct sl_logs *logs) {
    if (!logs) return;
    for (unsigned i = 0; i < logs->loops; i++) sl_logs_flush(logs, i);
    pthread_mutex_lock(&logs->lock);
    logs->closing = true;
    pthread_cond_signal(&logs->wake);
    pthread_mutex_unlock(&logs->lock);
    pthread_join(logs->writer, NULL);
    if (logs->scratch[0]) remove_scratch(logs);
    for (unsigned i = 0; i < logs->loops; i++) sl_buf_free(&logs->shards[i].bytes);
    close(logs->dir);
    free(logs);
}
