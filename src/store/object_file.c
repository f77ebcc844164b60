// SPDX-License-Identifier: Apache-2.0
//
// object_file: the files of objects, in blobs/objects/<2 digits>/<16 random digits>-<instance>; see object.h. 256
// folders, made when they are needed, keep a folder small enough for every file system. The instance in the name tells
// this process's files, whose rows may not be written yet, from those of an earlier one.
//
// Any thread. Everything goes by descriptor, and names are checked: they come from the database only.
#include "store/internal.h"
#include "store/object.h"

#include "base/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RANDOM = 16, FOLDER = 3 };

static bool is_name(struct sl_str name) {
    if (name.len != SL_OBJECT_FILE - 1) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (i == RANDOM ? c != '-' : !digit) return false;
    }
    return true;
}

// NUL-terminated copies of a checked name and its folder; false if it is not one.
static bool split_name(struct sl_str name, char file[static SL_OBJECT_FILE], char folder[static FOLDER]) {
    if (!is_name(name)) return false;
    memcpy(file, name.ptr, name.len);
    file[name.len] = '\0';
    memcpy(folder, file, 2);
    folder[2] = '\0';
    return true;
}

static int open_folder(const struct sl_store *store, const char *folder) {
    return openat(store->objects, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_folder(const struct sl_store *store, const char *folder) {
    int fd = open_folder(store, folder);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (mkdirat(store->objects, folder, 0700) != 0 && errno != EEXIST) return -1;
    // Durable before the first file in it is; whoever lost the race to make it syncs once more.
    if (store->dir >= 0 && fsync(store->objects) != 0) return -1;
    return open_folder(store, folder);
}

int sl_object_file_new(struct sl_store *store, char ret_name[static SL_OBJECT_FILE], int *ret_fd,
                       struct sl_error *err) {
    char random[RANDOM + 1], folder[FOLDER];
    sl_random_hex(random, RANDOM);
    snprintf(ret_name, SL_OBJECT_FILE, "%s-%s", random, store->instance);
    snprintf(folder, sizeof folder, "%.2s", random);
    int dir = make_folder(store, folder);
    if (dir < 0) return sl_fail_errno(err, "make a folder for objects");
    *ret_fd = openat(dir, ret_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = *ret_fd < 0 ? sl_fail_errno(err, "make a file for an object") : 0;
    close(dir);
    return result;
}

int sl_object_file_seal(struct sl_store *store, const char *name, int fd, struct sl_error *err) {
    char file[SL_OBJECT_FILE], folder[FOLDER];
    if (store->dir < 0) return 0; // what an in-memory store keeps need not reach the disk
    if (!split_name(sl_str_of(name), file, folder)) return sl_fail(err, SL_E_USAGE, "not a name of a file");
    if (fdatasync(fd) != 0) return sl_fail_errno(err, "make an object durable");
    int dir = open_folder(store, folder);
    if (dir < 0) return sl_fail_errno(err, "open a folder of objects");
    int result = fsync(dir) != 0 ? sl_fail_errno(err, "make an object durable") : 0;
    close(dir);
    return result;
}

int sl_object_file_open(struct sl_store *store, struct sl_str name, int *ret_fd, struct sl_error *err) {
    char file[SL_OBJECT_FILE], folder[FOLDER], path[SL_OBJECT_FILE + FOLDER];
    if (!split_name(name, file, folder)) return sl_fail(err, SL_E_USAGE, "not a name of a file");
    snprintf(path, sizeof path, "%s/%s", folder, file);
    *ret_fd = openat(store->objects, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd >= 0) return 0;
    return errno == ENOENT ? sl_fail(err, SL_E_NOT_FOUND, "the file %s is gone", file)
                           : sl_fail_errno(err, "open the file %s", file);
}

void sl_object_file_remove(struct sl_store *store, struct sl_str name) {
    char file[SL_OBJECT_FILE], folder[FOLDER], path[SL_OBJECT_FILE + FOLDER];
    if (!split_name(name, file, folder)) return;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    unlinkat(store->objects, path, 0);
}

static void sweep_folder(struct sl_store *store, int parent, const char *folder,
                         bool (*is_used)(void *user, struct sl_str name), void *user) {
    int fd = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        if (fd >= 0) close(fd);
        return;
    }
    struct sl_str ours = sl_str_of(store->instance);
    for (const struct dirent *entry; (entry = readdir(list));) {
        struct sl_str name = sl_str_of(entry->d_name);
        if (!is_name(name) || sl_str_ends(name, ours) || is_used(user, name)) continue;
        unlinkat(dirfd(list), entry->d_name, 0);
    }
    closedir(list);
}

void sl_object_file_sweep(struct sl_store *store, bool (*is_used)(void *user, struct sl_str name), void *user) {
    for (int i = 0; i < 256; i++) {
        char folder[FOLDER];
        snprintf(folder, sizeof folder, "%02x", (unsigned)i & 0xFFu);
        sweep_folder(store, store->objects, folder, is_used, user);
    }
}
