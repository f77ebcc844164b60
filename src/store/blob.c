// SPDX-License-Identifier: Apache-2.0
//
// blob: code by content hash, in the data directory:
//
//   blobs/code/<sha256>/   unpacked packages, mounted read-only into sandboxes
//   blobs/zip/<sha256>     the bytes as they were uploaded
//   blobs/tmp/<instance>-<random>   what is being written; names of another instance are left-overs of a crash
//
// Invariant: a name under code/ or zip/ is complete and durable. Everything is written below tmp/, synced, and then
// renamed; and before it is deleted it is renamed back to tmp/, so that a crash half-way leaves no half package under a
// good name.
//
// Modes: directories 0755, because a sandbox's user id reads them once they are mounted into it; the data directory
// above keeps other users out. The uploaded bytes are 0600: only the server reads them.
//
// Any thread. Everything goes by descriptor (openat, O_NOFOLLOW) and no name comes from a user: hashes are checked.
#include "store/internal.h"

#include "base/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHA = 64, NAME = 64, TRIES = 16 };
#define MEMORY_PREFIX "sluice-memory-"

// What an in-memory store keeps need not reach the disk.
static int make_durable(const struct sl_store *store, int fd) { return store->dir < 0 ? 0 : fsync(fd); }

static bool is_hash(struct sl_str name) {
    if (name.len != SHA) return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!((name.ptr[i] >= '0' && name.ptr[i] <= '9') || (name.ptr[i] >= 'a' && name.ptr[i] <= 'f'))) return false;
    }
    return true;
}

// A NUL-terminated copy of a hash, or SL_E_USAGE.
static int hash_name(struct sl_str sha256_hex, char out[static SHA + 1], struct sl_error *err) {
    if (!is_hash(sha256_hex)) return sl_fail(err, SL_E_USAGE, "a blob's name is 64 lower-case hexadecimal digits");
    memcpy(out, sha256_hex.ptr, SHA);
    out[SHA] = '\0';
    return 0;
}

static int make_dir(int parent, const char *name, int *ret, struct sl_error *err) {
    if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST) return sl_fail_errno(err, "make the directory %s", name);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return sl_fail_errno(err, "open the directory %s", name);
    // The umask may have taken bits away. Somebody else's directory, prepared so by an administrator, stays as it is.
    if (fchmod(fd, 0755) != 0 && errno != EPERM) {
        sl_fail_errno(err, "set the mode of the directory %s", name);
        close(fd);
        return SL_E_IO;
    }
    *ret = fd;
    return 0;
}

// Removes what a killed server with an in-memory store left: our user's, and locked by nobody (see hold_memory_dir).
static void sweep_memory_dirs(const char *base) {
    DIR *dir = opendir(base);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, MEMORY_PREFIX, strlen(MEMORY_PREFIX)) != 0) continue;
        struct stat info;
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        bool left = fd >= 0 && fstat(fd, &info) == 0 && info.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (left) sl_store__tree_remove(dirfd(dir), entry->d_name);
        if (fd >= 0) close(fd);
    }
    closedir(dir);
}

// The lock says that it is in use, for as long as we live. Before it is taken another server may take the directory for
// a left-over: then it is not there any more, and another one is made. A descriptor, or -1.
static int hold_memory_dir(const char *path) {
    struct stat here, there;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 && lstat(path, &there) == 0 &&
        here.st_ino == there.st_ino && here.st_dev == there.st_dev)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static int make_memory_dir(struct sl_store *store, int *ret, struct sl_error *err) {
    const char *base = getenv("TMPDIR");
    if (!base || base[0] != '/' || strlen(base) > sizeof store->memory_path - 24) base = "/tmp";
    sweep_memory_dirs(base);
    for (int tries = 0; tries < TRIES && store->lock < 0; tries++) {
        snprintf(store->memory_path, sizeof store->memory_path, "%s/" MEMORY_PREFIX "XXXXXX", base);
        if (!mkdtemp(store->memory_path)) {
            sl_fail_errno(err, "make a temporary directory in %s (set TMPDIR to another place)", base);
            store->memory_path[0] = '\0';
            return SL_E_IO;
        }
        store->lock = hold_memory_dir(store->memory_path);
    }
    *ret = store->lock < 0 ? -1 : fcntl(store->lock, F_DUPFD_CLOEXEC, 3);
    return *ret < 0 ? sl_fail_errno(err, "open the temporary directory %s", store->memory_path) : 0;
}

int sl_store__blobs_open(struct sl_store *store, struct sl_error *err) {
    int base = store->dir;
    int result = base >= 0 ? 0 : make_memory_dir(store, &base, err);
    if (!result) result = make_dir(base, "blobs", &store->blobs, err);
    if (base >= 0 && base != store->dir) close(base);
    if (!result) result = make_dir(store->blobs, "code", &store->code, err);
    if (!result) result = make_dir(store->blobs, "zip", &store->zip, err);
    if (!result) result = make_dir(store->blobs, "objects", &store->objects, err);
    if (!result) result = make_dir(store->blobs, "tmp", &store->scratch, err);
    if (!result && make_durable(store, store->blobs) != 0) result = sl_fail_errno(err, "sync the directory blobs");
    return result;
}

void sl_store__blobs_close(struct sl_store *store) {
    int fds[] = {store->blobs, store->code, store->zip, store->objects, store->scratch};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) close(fds[i]);
    }
    if (store->memory_path[0]) sl_store__tree_remove(AT_FDCWD, store->memory_path);
}

static void make_scratch_name(const struct sl_store *store, char out[static NAME]) {
    char random[17];
    sl_random_hex(random, sizeof random - 1);
    snprintf(out, NAME, "%s-%s", store->instance, random);
}

static bool exists(int dir, const char *name) {
    struct stat info;
    return fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

int sl_blob_open_dir(struct sl_store *store, struct sl_str sha256_hex, int *ret_fd, struct sl_error *err) {
    char name[SHA + 1];
    int result = hash_name(sha256_hex, name, err);
    if (result) return result;
    int fd = openat(store->code, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return sl_fail(err, SL_E_NOT_FOUND, "no unpacked code %s", name);
    if (fd < 0) return sl_fail_errno(err, "open the code %s", name);
    *ret_fd = fd;
    return 0;
}

bool sl_blob_has(struct sl_store *store, struct sl_str sha256_hex) {
    char name[SHA + 1];
    return hash_name(sha256_hex, name, NULL) == 0 && exists(store->code, name);
}

static int write_all(int fd, struct sl_str bytes) {
    while (bytes.len) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        bytes = sl_str_sub(bytes, (size_t)put, bytes.len);
    }
    return 0;
}

static int write_scratch(struct sl_store *store, const char *name, struct sl_str bytes, struct sl_error *err) {
    int fd = openat(store->scratch, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return sl_fail_errno(err, "write a blob");
    int result = write_all(fd, bytes) != 0 || make_durable(store, fd) != 0 ? sl_fail_errno(err, "write a blob") : 0;
    close(fd);
    return result;
}

int sl_blob_put_bytes(struct sl_store *store, struct sl_str sha256_hex, struct sl_str bytes, struct sl_error *err) {
    char name[SHA + 1], temporary[NAME];
    int result = hash_name(sha256_hex, name, err);
    if (result || exists(store->zip, name)) return result;
    make_scratch_name(store, temporary);
    result = write_scratch(store, temporary, bytes, err);
    // Two writers of the same hash write the same bytes: whichever is last replaces its twin.
    if (!result &&
        (renameat(store->scratch, temporary, store->zip, name) != 0 || make_durable(store, store->zip) != 0)) {
        result = sl_fail_errno(err, "store the blob %s", name);
    }
    if (result) unlinkat(store->scratch, temporary, 0);
    return result;
}

int sl_blob_open_bytes(struct sl_store *store, struct sl_str sha256_hex, int *ret_fd, struct sl_error *err) {
    char name[SHA + 1];
    int result = hash_name(sha256_hex, name, err);
    if (result) return result;
    int fd = openat(store->zip, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return sl_fail(err, SL_E_NOT_FOUND, "no stored bytes %s", name);
    if (fd < 0) return sl_fail_errno(err, "open the bytes %s", name);
    *ret_fd = fd;
    return 0;
}

int sl_blob_scratch(struct sl_store *store, char ret_name[static 64], int *ret_fd, struct sl_error *err) {
    make_scratch_name(store, ret_name);
    return make_dir(store->scratch, ret_name, ret_fd, err);
}

int sl_blob_adopt(struct sl_store *store, const char *scratch_name, struct sl_str sha256_hex, struct sl_error *err) {
    char name[SHA + 1];
    int result = hash_name(sha256_hex, name, err);
    if (result) return result;
    if (!exists(store->code, name)) {
        int dir = openat(store->scratch, scratch_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0) return sl_fail_errno(err, "open the scratch directory %s", scratch_name);
        result = store->dir < 0 ? 0 : sl_store__tree_sync(dir, err);
        close(dir);
        if (result) return result;
        if (renameat(store->scratch, scratch_name, store->code, name) == 0) {
            return make_durable(store, store->code) == 0 ? 0 : sl_fail_errno(err, "store the code %s", name);
        }
        // ENOTEMPTY, EEXIST: another thread adopted the same code since we looked.
        if (errno != ENOTEMPTY && errno != EEXIST) return sl_fail_errno(err, "store the code %s", name);
    }
    sl_blob_discard(store, scratch_name);
    return 0;
}

void sl_blob_discard(struct sl_store *store, const char *scratch_name) {
    sl_store__tree_remove(store->scratch, scratch_name);
}

static DIR *read_dir(int dir) {
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0) close(fd);
    return list;
}

static void sweep_dir(struct sl_store *store, int dir, bool (*keep)(void *user, struct sl_str sha256_hex), void *user) {
    DIR *list = read_dir(dir);
    if (!list) return;
    for (const struct dirent *entry; (entry = readdir(list));) {
        struct sl_str hash = sl_str_of(entry->d_name);
        if (!is_hash(hash) || keep(user, hash)) continue;
        char doomed[NAME];
        make_scratch_name(store, doomed);
        if (renameat(dir, entry->d_name, store->scratch, doomed) == 0) sl_store__tree_remove(store->scratch, doomed);
    }
    closedir(list);
}

static void sweep_scratch(struct sl_store *store) {
    DIR *list = read_dir(store->scratch);
    if (!list) return;
    struct sl_str ours = sl_str_of(store->instance);
    for (const struct dirent *entry; (entry = readdir(list));) {
        struct sl_str name = sl_str_of(entry->d_name);
        bool dots = sl_str_is(name, ".") || sl_str_is(name, "..");
        if (!dots && !sl_str_starts(name, ours)) sl_store__tree_remove(store->scratch, entry->d_name);
    }
    closedir(list);
}

void sl_blob_sweep(struct sl_store *store, bool (*keep)(void *user, struct sl_str sha256_hex), void *user) {
    sweep_dir(store, store->code, keep, user);
    sweep_dir(store, store->zip, keep, user);
    sweep_scratch(store);
}
