// SPDX-License-Identifier: Apache-2.0
//
// logs_read: reading log files: their names, first lines, events. A file is mapped as long as it was when it was
// opened; files only grow or are renamed, so a map stays good. Of a group there are at most two, the older one named
// ".1".
//
// Any thread; files are opened anew for every reading.
#include "observe/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- names and first lines ------------------------------------------------------------------------------------------

static bool is_plain(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static const char hex[16] = "0123456789ABCDEF";

// Percent-encoded (RFC 3986), so that a group's slashes become part of a file name.
static size_t encode(char *out, size_t at, size_t cap, struct sl_str text) {
    for (size_t i = 0; i < text.len && at + 3 < cap; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (!is_plain(c)) out[at++] = '%';
        if (!is_plain(c)) out[at++] = hex[c >> 4];
        out[at++] = is_plain(c) ? (char)c : hex[c & 15];
    }
    return at;
}

size_t sl_log__path(const struct sl_log_group *group, char out[static SL_LOG_PATH]) {
    enum { NAME_MAX_BYTES = 250, HASH = 17 }; // file systems allow 255; ".1" is added by rotation
    size_t at = encode(out, 0, 40, group->account);
    out[at++] = '.';
    at = encode(out, at, at + 40, group->region);
    out[at++] = '.';
    size_t need = 0;
    for (size_t i = 0; i < group->name.len; i++) need += is_plain((unsigned char)group->name.ptr[i]) ? 1 : 3;
    bool fits = at + need + 4 < NAME_MAX_BYTES;
    at = encode(out, at, NAME_MAX_BYTES - 4 - (fits ? 0 : HASH), group->name);
    if (!fits) { // a name that is cut gets its hash (FNV-1a), so that no two groups share a file
        uint64_t sum = 14695981039346656037u;
        for (size_t i = 0; i < group->name.len; i++) sum = (sum ^ (unsigned char)group->name.ptr[i]) * 1099511628211u;
        at += (size_t)snprintf(out + at, HASH + 1, "~%016llx", (unsigned long long)sum);
    }
    memcpy(out + at, ".log", 5);
    return at + 4;
}

// Everything but blanks, control characters and '%' may stand for itself in a line.
void sl_log__put_encoded(struct sl_buf *out, struct sl_str text) {
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > 0x20 && c != '%' && c != 0x7F) continue;
        const char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
        sl_buf_put(out, text.ptr + from, i - from);
        sl_buf_put(out, escape, sizeof escape);
        from = i + 1;
    }
    sl_buf_put(out, text.ptr + from, text.len - from);
}

static int digit(char c) {
    const char *found = c ? memchr(hex, c, sizeof hex) : NULL;
    return found ? (int)(found - hex) : 0;
}

// In place in `room`; the text itself if nothing is encoded or it does not fit.
static struct sl_str decode(struct sl_str text, char *room, size_t cap) {
    if (sl_str_chr(text, '%', 0) < 0 || text.len > cap) return text;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && i + 2 < text.len) {
            c = (char)(digit(text.ptr[i + 1]) << 4 | digit(text.ptr[i + 2]));
            i += 2;
        }
        room[len++] = c;
    }
    return sl_str_n(room, len);
}

bool sl_log__parse_head(struct sl_str text, struct sl_log_head *ret) {
    struct sl_str line = text, mark, base, created;
    ptrdiff_t end = sl_str_chr(text, '\n', 0);
    if (end < 0 || !sl_str_starts(text, SL_STR("#1 "))) return false;
    line.len = (size_t)end;
    ret->len = line.len + 1;
    return sl_str_split(&line, ' ', &mark) && sl_str_split(&line, ' ', &base) && sl_str_split(&line, ' ', &created) &&
           sl_str_split(&line, ' ', &ret->account) && sl_str_split(&line, ' ', &ret->region) &&
           sl_str_split(&line, ' ', &ret->group) && sl_str_to_i64(base, &ret->base) &&
           sl_str_to_i64(created, &ret->created_ms);
}

// ---- a file ---------------------------------------------------------------------------------------------------------

struct map {
    struct sl_str text;
    struct sl_log_head head;
    bool headed;
};

static bool map_file(struct sl_logs *logs, const char *name, struct map *ret) {
    struct stat status;
    *ret = (struct map){{0}};
    int fd = openat(sl_log__dir(logs), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0 && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) return false;
    ret->text = sl_str_n(bytes, (size_t)status.st_size);
    ret->headed = sl_log__parse_head(ret->text, &ret->head);
    return true;
}

static void unmap(struct map *map) {
    if (map->text.ptr) munmap((void *)(uintptr_t)map->text.ptr, map->text.len);
}

static bool parse_event(struct sl_str line, struct sl_log_event *ret) {
    struct sl_str taken, time;
    if (!sl_str_split(&line, ' ', &taken) || !sl_str_split(&line, ' ', &time) ||
        !sl_str_split(&line, ' ', &ret->stream) || !line.ptr || !sl_str_to_i64(taken, &ret->taken_ms))
        return false;
    ret->text = line;
    ret->time_ms = ret->taken_ms;
    return sl_str_is(time, "-") || sl_str_to_i64(time, &ret->time_ms);
}

// From position *next on, which is moved behind what was read.
static bool scan_file(const struct map *map, int64_t *next, bool (*each)(void *user, const struct sl_log_event *event),
                      void *user) {
    size_t at = map->headed ? map->head.len : 0;
    if (*next > map->head.base + (int64_t)at) at = (size_t)(*next - map->head.base);
    while (at < map->text.len) {
        ptrdiff_t end = sl_str_chr(map->text, '\n', at);
        struct sl_log_event event;
        char stream[2048];
        if (end < 0) break; // still being written
        struct sl_str line = sl_str_sub(map->text, at, (size_t)end);
        int64_t position = map->head.base + (int64_t)at;
        at = (size_t)end + 1;
        *next = map->head.base + (int64_t)at;
        if (!parse_event(line, &event)) continue;
        event.stream = decode(event.stream, stream, sizeof stream);
        event.position = position;
        if (!each(user, &event)) return false;
    }
    return true;
}

int sl_logs_scan_from(struct sl_logs *logs, const struct sl_log_group *group, int64_t *position,
                      bool (*each)(void *user, const struct sl_log_event *event), void *user, struct sl_error *err) {
    char path[SL_LOG_PATH], old[SL_LOG_PATH + 2];
    struct map now, before = {{0}};
    (void)err;
    sl_log__path(group, path);
    snprintf(old, sizeof old, "%s.1", path);
    bool have = map_file(logs, path, &now);
    // Renamed between the two openings, the older file is the one already open: its base tells.
    bool earlier = map_file(logs, old, &before) && (!have || before.head.base < now.head.base);
    // A log that was removed and began again: everything in it is new.
    if (have && *position > now.head.base + (int64_t)now.text.len) *position = earlier ? before.head.base : 0;
    bool more = !earlier || *position >= before.head.base + (int64_t)before.text.len ||
                scan_file(&before, position, each, user);
    if (have && more) scan_file(&now, position, each, user);
    unmap(&before);
    if (have) unmap(&now);
    return 0;
}

int sl_logs_scan(struct sl_logs *logs, const struct sl_log_group *group,
                 bool (*each)(void *user, const struct sl_log_event *event), void *user, struct sl_error *err) {
    int64_t position = 0;
    return sl_logs_scan_from(logs, group, &position, each, user, err);
}

void sl_log_unescape(struct sl_buf *out, struct sl_str text) {
    size_t from = 0;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] != '\\') continue;
        sl_buf_put(out, text.ptr + from, i - from);
        char c = text.ptr[++i];
        sl_buf_char(out, c == 'n' ? '\n' : c == 'r' ? '\r' : c);
        from = i + 1;
    }
    if (from < text.len) sl_buf_put(out, text.ptr + from, text.len - from);
}

// ---- text for people ------------------------------------------------------------------------------------------------

static void put_text(struct sl_buf *out, struct sl_str line) {
    struct sl_log_event event;
    bool parsed = parse_event(line, &event);
    sl_log_unescape(out, parsed ? event.text : line);
    if (out->len && out->ptr[out->len - 1] != '\n') sl_buf_char(out, '\n');
}

int sl_logs_read(struct sl_logs *logs, const struct sl_log_group *group, int64_t *offset, size_t max,
                 struct sl_buf *out, struct sl_error *err) {
    char path[SL_LOG_PATH];
    struct map map;
    sl_log__path(group, path);
    if (!map_file(logs, path, &map)) return sl_fail(err, SL_E_NOT_FOUND, "no log yet for %.*s", SL_FMT(group->name));
    int64_t size = (int64_t)map.text.len, at = *offset < 0 ? size + *offset : *offset;
    bool aligned = *offset >= 0 || at <= 0;
    if (at < 0 || at > size) at = 0;
    if (at == 0 && map.headed) at = (int64_t)map.head.len;
    if (!aligned) { // into the middle of an event: from the next one on
        ptrdiff_t line = sl_str_chr(map.text, '\n', (size_t)at);
        at = line < 0 ? size : line + 1;
    }
    size_t from = (size_t)at;
    while ((size_t)at < map.text.len && (size_t)at - from < max) {
        ptrdiff_t end = sl_str_chr(map.text, '\n', (size_t)at);
        if (end < 0 || out->failed) break;
        put_text(out, sl_str_sub(map.text, (size_t)at, (size_t)end));
        at = end + 1;
    }
    *offset = at;
    unmap(&map);
    return 0;
}

// ---- groups ---------------------------------------------------------------------------------------------------------

bool sl_logs_stat(struct sl_logs *logs, const struct sl_log_group *group, struct sl_log_stat *ret) {
    char path[SL_LOG_PATH], old[SL_LOG_PATH + 2];
    struct map now, before;
    sl_log__path(group, path);
    snprintf(old, sizeof old, "%s.1", path);
    *ret = (struct sl_log_stat){0};
    bool have = map_file(logs, path, &now), earlier = map_file(logs, old, &before);
    if (have) {
        *ret = (struct sl_log_stat){now.head.created_ms, (int64_t)now.text.len, now.head.base + (int64_t)now.text.len};
        unmap(&now);
    }
    if (earlier) {
        ret->created_ms = before.head.created_ms;
        ret->bytes += (int64_t)before.text.len;
        if (!have) ret->next_position = before.head.base + (int64_t)before.text.len;
        unmap(&before);
    }
    return have || earlier;
}

void sl_logs_groups(struct sl_logs *logs, struct sl_str account, struct sl_str region,
                    void (*each)(void *user, struct sl_str name), void *user) {
    int fd = openat(sl_log__dir(logs), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing && fd >= 0) close(fd);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        struct map map;
        char name[4096];
        if (!sl_str_ends(sl_str_of(entry->d_name), SL_STR(".log")) || !map_file(logs, entry->d_name, &map)) continue;
        if (map.headed && sl_str_eq(map.head.account, account) && sl_str_eq(map.head.region, region))
            each(user, decode(map.head.group, name, sizeof name));
        unmap(&map);
    }
    if (listing) closedir(listing);
}

void sl_logs_remove(struct sl_logs *logs, const struct sl_log_group *group) {
    char path[SL_LOG_PATH], old[SL_LOG_PATH + 2];
    sl_log__path(group, path);
    snprintf(old, sizeof old, "%s.1", path);
    sl_logs_settle(logs); // what is on its way goes too, not into a file without a name
    unlinkat(sl_log__dir(logs), path, 0);
    unlinkat(sl_log__dir(logs), old, 0);
}
