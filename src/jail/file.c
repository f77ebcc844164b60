// SPDX-License-Identifier: Apache-2.0
//
// file: see file.h. Used by the spawner and by the children that become sandboxes; no allocation, no stdio streams.
#include "jail/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_fd(int fd, const char *text) {
    if (fd < 0) return -errno;
    size_t size = strlen(text);
    ssize_t n;
    do n = write(fd, text, size);
    while (n < 0 && errno == EINTR);
    int rc = n < 0 ? -errno : (size_t)n != size ? -EIO : 0;
    close(fd);
    return rc;
}

int sl_jail__write(int dir, const char *name, const char *text) {
    return write_fd(openat(dir, name, O_WRONLY | O_CLOEXEC), text);
}

int sl_jail__write_number(int dir, const char *name, int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return sl_jail__write(dir, name, text);
}

int sl_jail__create(int dir, const char *name, const char *text, mode_t mode) {
    return write_fd(openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode), text);
}

ssize_t sl_jail__read(int dir, const char *name, char *text, size_t size) {
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    size_t used = 0;
    ssize_t n = 0;
    while (used < size) {
        n = read(fd, text + used, size - used);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (size_t)n;
    }
    ssize_t rc = n < 0 ? -errno : used == size ? -EFBIG : (ssize_t)used;
    close(fd);
    text[rc < 0 ? 0 : rc] = '\0';
    return rc;
}

int64_t sl_jail__read_number(int dir, const char *name) {
    char text[64];
    if (sl_jail__read(dir, name, text, sizeof text) <= 0) return -1;
    return text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : -1;
}

int64_t sl_jail__read_keyed(int dir, const char *name, const char *key) {
    char text[2048];
    if (sl_jail__read(dir, name, text, sizeof text) <= 0) return -1;
    size_t length = strlen(key);
    for (char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ') return strtoll(line + length, NULL, 10);
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    return -1;
}

static int compare_ints(const void *a, const void *b) {
    int x = *(const int *)a;
    int y = *(const int *)b;
    return (x > y) - (x < y);
}

void sl_jail__close_except(int *keep, size_t count) {
    qsort(keep, count, sizeof *keep, compare_ints);
    unsigned from = 3;
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)from) continue;
        if ((unsigned)keep[i] > from) (void)close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    (void)close_range(from, UINT_MAX, 0);
}

uint64_t sl_jail__start_time(pid_t pid) {
    char path[32];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sl_jail__read(AT_FDCWD, path, text, sizeof text) <= 0) return 0;
    // The name (field 2) may hold anything, even ')': fields are counted from the last one.
    char *at = strrchr(text, ')');
    if (at == NULL || at[1] == '\0' || at[2] == 'Z' || at[2] == 'X') return 0;
    for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}
