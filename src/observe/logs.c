// SPDX-License-Identifier: Apache-2.0
//
// logs: see logs.h; internal.h has the form of the files. A record in a loop's buffer is a struct record and the bytes
// of its parts; appending is a few memcpy, whatever it costs to write is the writer thread's: it names the file, cuts
// the text into lines, gathers what goes to one file into one write, and keeps a few files open during a burst.
#include "observe/internal.h"

#include "base/clock.h"
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
    GATHER = 256 * 1024,          // one write
    OPEN_FILES = 32,
};

struct record {
    int64_t time_ms, taken_ms;
    uint32_t text_len;
    uint16_t group_len, stream_len;
    uint8_t account_len, region_len;
    bool whole; // one event as it is, not lines
};

struct batch {
    struct batch *next;
    struct sl_buf bytes;
};

struct shard {
    struct sl_buf bytes;
    uint64_t dropped;
};

struct open_file {
    char path[SL_LOG_PATH];
    int fd;
    int64_t base, size;
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
    uint64_t handed, written; // batches
    pthread_cond_t settled;
    bool closing;
    struct sl_buf gathered; // the writer's: lines for `current`
    struct open_file *current;
    struct open_file files[OPEN_FILES];
    uint64_t turn;
    unsigned loops;
    struct shard shards[];
};

// ---- the writer -------------------------------------------------------------------------------------------------

static void close_file(struct open_file *file) {
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}

static void rotate(struct sl_logs *logs, struct open_file *file) {
    char old[SL_LOG_PATH + 2];
    snprintf(old, sizeof old, "%s.1", file->path);
    close_file(file);
    if (renameat(logs->dir, file->path, logs->dir, old)) sl_log_warn("logs", "cannot rotate %s", file->path);
}

static void write_out(struct open_file *file, struct sl_str text) {
    while (text.len) {
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

static void write_gathered(struct sl_logs *logs) {
    if (logs->current && logs->gathered.len) write_out(logs->current, sl_buf_view(&logs->gathered));
    sl_buf_clear(&logs->gathered, GATHER);
}

// A slot for the path: the one that has it open, an empty one, or the one used longest ago.
static struct open_file *slot_of(struct sl_logs *logs, const char *path) {
    struct open_file *slot = &logs->files[0];
    for (unsigned i = 0; i < OPEN_FILES; i++) {
        struct open_file *file = &logs->files[i];
        if (file->fd >= 0 && strcmp(path, file->path) == 0) return file;
        if (file->fd < 0 || (slot->fd >= 0 && file->used < slot->used)) slot = file;
    }
    close_file(slot);
    return slot;
}

static bool begin_file(struct open_file *file, const struct sl_log_group *group) {
    struct sl_buf head;
    sl_buf_init(&head, 8192);
    sl_buf_printf(&head, "#1 %lld %lld ", (long long)file->base, (long long)sl_clock_ms());
    sl_log__put_encoded(&head, group->account);
    sl_buf_char(&head, ' ');
    sl_log__put_encoded(&head, group->region);
    sl_buf_char(&head, ' ');
    sl_log__put_encoded(&head, group->name);
    sl_buf_char(&head, '\n');
    write_out(file, sl_buf_view(&head));
    sl_buf_free(&head);
    return file->size > 0;
}

// What a file that is there already says in its first line; a torn last line is ended.
static void resume_file(struct sl_logs *logs, struct open_file *file) {
    char text[4096], last = '\n';
    struct sl_log_head head;
    int fd = openat(logs->dir, file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
    if (got > 0 && sl_log__parse_head(sl_str_n(text, (size_t)got), &head)) file->base = head.base;
    if (got > 0 && pread(fd, &last, 1, file->size - 1) == 1 && last != '\n') write_out(file, SL_STR("\n"));
    if (fd >= 0) close(fd);
}

static struct open_file *open_log(struct sl_logs *logs, const struct sl_log_group *group) {
    char path[SL_LOG_PATH];
    struct stat status;
    size_t length = sl_log__path(group, path);
    struct open_file *file = slot_of(logs, path);
    int64_t base = 0;
    file->used = ++logs->turn;
    if (file->fd >= 0 && file->size < ROTATE_AT) return file;
    if (file->fd >= 0) {
        base = file->base + file->size;
        rotate(logs, file);
    }
    memcpy(file->path, path, length + 1);
    file->fd = openat(logs->dir, file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file->fd < 0 || fstat(file->fd, &status)) {
        sl_log_warn("logs", "cannot open %s: %s", file->path, strerrordesc_np(errno));
        close_file(file);
        return NULL;
    }
    file->size = status.st_size;
    file->base = base;
    if (file->size) resume_file(logs, file);
    return file->size || begin_file(file, group) ? file : NULL;
}

static void put_escaped(struct sl_buf *out, struct sl_str text) {
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != '\\' && c != '\n' && c != '\r') continue;
        sl_buf_put(out, text.ptr + from, i - from);
        sl_buf_put(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\\\", 2);
        from = i + 1;
    }
    if (from < text.len) sl_buf_put(out, text.ptr + from, text.len - from);
}

static void put_event(struct sl_logs *logs, const struct record *record, struct sl_str stream, struct sl_str text) {
    struct sl_buf *out = &logs->gathered;
    sl_buf_printf(out, "%lld ", (long long)record->taken_ms);
    if (record->time_ms == record->taken_ms) {
        sl_buf_cstr(out, "- ");
    } else {
        sl_buf_printf(out, "%lld ", (long long)record->time_ms);
    }
    sl_log__put_encoded(out, stream);
    sl_buf_char(out, ' ');
    put_escaped(out, text);
    sl_buf_char(out, '\n');
    if (out->len >= GATHER || out->failed) write_gathered(logs);
}

// An event's text keeps its line end, as Lambda's do in CloudWatch.
static void put_lines(struct sl_logs *logs, const struct record *record, struct sl_str stream, struct sl_str text) {
    while (text.len) {
        ptrdiff_t end = sl_str_chr(text, '\n', 0);
        size_t length = end < 0 ? text.len : (size_t)end + 1;
        put_event(logs, record, stream, sl_str_sub(text, 0, length));
        text = sl_str_sub(text, length, text.len);
    }
}

static void write_record(struct sl_logs *logs, const struct record *record, const struct sl_log_group *group,
                         struct sl_str stream, struct sl_str text) {
    struct open_file *file = logs->current;
    char path[SL_LOG_PATH];
    sl_log__path(group, path);
    if (!file || file->fd < 0 || strcmp(path, file->path) != 0 || file->size >= ROTATE_AT) {
        write_gathered(logs);
        file = logs->current = open_log(logs, group);
    }
    if (!file) return;
    if (record->whole) {
        put_event(logs, record, stream, text);
    } else {
        put_lines(logs, record, stream, text);
    }
}

// Between bursts no log file is kept open: a function that is gone must not hold a descriptor.
static void close_files(struct sl_logs *logs) {
    for (unsigned i = 0; i < OPEN_FILES; i++) close_file(&logs->files[i]);
    logs->current = NULL;
}

static struct sl_str take(struct sl_str *bytes, size_t length) {
    struct sl_str part = sl_str_sub(*bytes, 0, length);
    *bytes = sl_str_sub(*bytes, length, bytes->len);
    return part;
}

static void write_batch(struct sl_logs *logs, struct sl_str bytes) {
    while (bytes.len >= sizeof(struct record)) {
        struct record record;
        memcpy(&record, bytes.ptr, sizeof record);
        take(&bytes, sizeof record);
        struct sl_log_group group;
        group.account = take(&bytes, record.account_len);
        group.region = take(&bytes, record.region_len);
        group.name = take(&bytes, record.group_len);
        struct sl_str stream = take(&bytes, record.stream_len);
        write_record(logs, &record, &group, stream, take(&bytes, record.text_len));
    }
    write_gathered(logs);
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
        logs->written++;
        if (!logs->first) close_files(logs);
        pthread_cond_broadcast(&logs->settled);
    }
    pthread_mutex_unlock(&logs->lock);
    return NULL;
}

// ---- the loops' side --------------------------------------------------------------------------------------------

static bool put_record(struct sl_buf *out, const struct sl_log_group *group, struct sl_str stream, struct sl_str text,
                       int64_t time_ms, int64_t taken_ms, bool whole) {
    if (group->account.len > UINT8_MAX || group->region.len > UINT8_MAX || group->name.len > UINT16_MAX ||
        stream.len > UINT16_MAX)
        return false;
    const struct record record = {.time_ms = time_ms,
                                  .taken_ms = taken_ms,
                                  .text_len = (uint32_t)text.len,
                                  .group_len = (uint16_t)group->name.len,
                                  .stream_len = (uint16_t)stream.len,
                                  .account_len = (uint8_t)group->account.len,
                                  .region_len = (uint8_t)group->region.len,
                                  .whole = whole};
    sl_buf_put(out, &record, sizeof record);
    sl_buf_str(out, group->account);
    sl_buf_str(out, group->region);
    sl_buf_str(out, group->name);
    sl_buf_str(out, stream);
    sl_buf_str(out, text);
    return !out->failed;
}

void sl_logs_append(struct sl_logs *logs, unsigned loop, const struct sl_log_group *group, struct sl_str stream,
                    struct sl_str text) {
    struct shard *shard = &logs->shards[loop];
    if (!text.len) return;
    size_t size =
        sizeof(struct record) + group->account.len + group->region.len + group->name.len + stream.len + text.len;
    int64_t now = sl_clock_ms();
    if (text.len > BUFFER_MAX / 2 || shard->bytes.len + size > BUFFER_MAX ||
        !put_record(&shard->bytes, group, stream, text, now, now, false)) {
        shard->dropped++;
        return;
    }
    if (shard->bytes.len >= HAND_OVER) sl_logs_flush(logs, loop);
}

// Gives bytes to the writer; false when it is too far behind (then the caller keeps them).
static bool hand_over(struct sl_logs *logs, struct sl_buf *bytes) {
    struct batch *batch = malloc(sizeof *batch);
    if (!batch) return false;
    pthread_mutex_lock(&logs->lock);
    bool room = logs->queued + bytes->len <= QUEUE_MAX;
    if (room) {
        *batch = (struct batch){.bytes = *bytes};
        logs->queued += bytes->len;
        logs->handed++;
        *logs->last = batch;
        logs->last = &batch->next;
        pthread_cond_signal(&logs->wake);
    }
    pthread_mutex_unlock(&logs->lock);
    if (!room) free(batch);
    return room;
}

void sl_logs_flush(struct sl_logs *logs, unsigned loop) {
    struct shard *shard = &logs->shards[loop];
    if (shard->dropped) {
        sl_log_warn("logs", "%llu records dropped: functions log faster than the disk takes it",
                    (unsigned long long)shard->dropped);
        shard->dropped = 0;
    }
    if (!shard->bytes.len) return;
    // When the writer is behind, the buffer stays, and its own bound drops.
    if (hand_over(logs, &shard->bytes)) sl_buf_init(&shard->bytes, BUFFER_MAX);
}

int sl_logs_put(struct sl_logs *logs, const struct sl_log_group *group, struct sl_str stream,
                const struct sl_log_event *events, unsigned count, int64_t now_ms, struct sl_error *err) {
    struct sl_buf bytes;
    sl_buf_init(&bytes, QUEUE_MAX);
    bool good = true;
    for (unsigned i = 0; good && i < count; i++)
        good = put_record(&bytes, group, stream, events[i].text, events[i].time_ms, now_ms, true);
    if (good && hand_over(logs, &bytes)) return 0;
    sl_buf_free(&bytes);
    return sl_fail(err, SL_E_UNAVAILABLE, "logs are written faster than the disk takes them");
}

void sl_logs_settle(struct sl_logs *logs) {
    pthread_mutex_lock(&logs->lock);
    uint64_t until = logs->handed;
    while (logs->written < until) pthread_cond_wait(&logs->settled, &logs->lock);
    pthread_mutex_unlock(&logs->lock);
}

int sl_log__dir(const struct sl_logs *logs) { return logs->dir; }

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
    pthread_cond_init(&logs->settled, NULL);
    sl_buf_init(&logs->gathered, BUFFER_MAX);
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
    sl_buf_free(&logs->gathered);
    close(logs->dir);
    free(logs);
}
