// SPDX-License-Identifier: Apache-2.0
//
// block: see block.h. The writer is sl_jail_block_new (server, any thread), the reader runs once per sandbox.
#include "jail/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/jail.h"

enum {
    MAGIC = 0x534c424b,
    STRINGS_MAX = 4096,
    SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

struct block_header {
    uint32_t magic;
    uint32_t argc;
    uint32_t envc;
    uint32_t bytes; // of the texts that follow
};

static size_t texts_size(const char *const texts[], uint32_t *ret_count) {
    size_t size = 0;
    uint32_t count = 0;
    for (; texts[count] != NULL && count < STRINGS_MAX; count++) size += strlen(texts[count]) + 1;
    *ret_count = count;
    return size;
}

static char *texts_copy(char *to, const char *const texts[], uint32_t count) {
    for (uint32_t i = 0; i < count; i++) to = stpcpy(to, texts[i]) + 1;
    return to;
}

static int write_whole(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

int sl_jail_block_new(const char *path, const char *const argv[], const char *const envp[], struct sl_error *err) {
    struct block_header header = {.magic = MAGIC};
    size_t size = strlen(path) + 1 + texts_size(argv, &header.argc) + texts_size(envp, &header.envc);
    if (path[0] != '/') return sl_fail(err, SL_E_INVALID, "a sandbox executes an absolute path"), -1;
    if (header.argc == 0) return sl_fail(err, SL_E_INVALID, "a sandbox needs argv[0]"), -1;
    if (size > SL_JAIL_BLOCK_MAX || header.argc >= STRINGS_MAX || header.envc >= STRINGS_MAX) {
        return sl_fail(err, SL_E_LIMIT, "arguments and environment are larger than %d bytes", SL_JAIL_BLOCK_MAX), -1;
    }
    header.bytes = (uint32_t)size;
    char *bytes = malloc(sizeof header + size);
    if (bytes == NULL) return sl_fail(err, SL_E_NO_MEMORY, "out of memory"), -1;
    memcpy(bytes, &header, sizeof header);
    char *end = stpcpy(bytes + sizeof header, path) + 1;
    end = texts_copy(end, argv, header.argc);
    end = texts_copy(end, envp, header.envc);

    int fd = memfd_create("sluice-block", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write_whole(fd, bytes, (size_t)(end - bytes)) != 0 || fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        sl_fail_errno(err, "prepare the arguments of a sandbox");
        if (fd >= 0) close(fd);
        fd = -1;
    }
    // The environment may hold secrets; do not leave a copy in the heap.
    explicit_bzero(bytes, sizeof header + size);
    free(bytes);
    return fd;
}

// Maps and checks the block; *ret_size is that of the whole. NULL with *ret_error (-errno).
static const struct block_header *block_map(int fd, size_t *ret_size, int *ret_error) {
    struct stat info;
    struct block_header header;
    *ret_error = -EINVAL;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &info) != 0) return NULL;
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header) return NULL;
    if (header.magic != MAGIC || header.argc == 0 || header.argc >= STRINGS_MAX || header.envc >= STRINGS_MAX ||
        header.bytes < 2 || header.bytes > SL_JAIL_BLOCK_MAX ||
        (uint64_t)info.st_size != sizeof header + header.bytes) {
        return NULL;
    }
    *ret_size = sizeof header + header.bytes;
    char *map = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
    *ret_error = map == MAP_FAILED ? -errno : -EINVAL;
    if (map == MAP_FAILED) return NULL;
    if (map[*ret_size - 1] == '\0' && map[sizeof header] == '/') return (const struct block_header *)(void *)map;
    (void)munmap(map, *ret_size);
    return NULL;
}

int sl_jail__block_read(int fd, struct sl_jail__exec *ret_exec) {
    size_t size;
    int rc;
    const struct block_header *header = block_map(fd, &size, &rc);
    if (header == NULL) return rc;
    char *at = (char *)(uintptr_t)(header + 1);
    const char *end = at + header->bytes;
    char **table = calloc((size_t)header->argc + header->envc + 2, sizeof *table);
    if (table == NULL) return -ENOMEM;
    ret_exec->path = at;
    ret_exec->argv = table;
    ret_exec->envp = table + header->argc + 1;
    at += strlen(at) + 1;
    for (uint32_t i = 0; i < header->argc + header->envc; i++) {
        if (at >= end) return -EINVAL;
        (i < header->argc ? ret_exec->argv + i : ret_exec->envp + (i - header->argc))[0] = at;
        at += strlen(at) + 1;
    }
    return at == end ? 0 : -EINVAL;
}

int sl_jail__block_send(int fd, int socket) {
    size_t size;
    int rc;
    const struct block_header *header = block_map(fd, &size, &rc);
    if (header == NULL) return rc;
    rc = header->bytes > SL_JAIL__BLANK_BLOCK_MAX ? -E2BIG : 0;
    const char *at = (const char *)header;
    for (size_t left = size; rc == 0 && left > 0;) {
        ssize_t n = send(socket, at, left, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = -errno;
        } else {
            at += n;
            left -= (size_t)n;
        }
    }
    (void)munmap((void *)(uintptr_t)header, size);
    return rc;
}
