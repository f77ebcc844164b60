// SPDX-License-Identifier: Apache-2.0
//
// tree: directory trees by descriptor. Symbolic links are never followed (O_NOFOLLOW), so a tree with hostile names can
// be removed and synced; depth is bounded because every level holds a descriptor.
//
// Any thread; pure functions of the file system.
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// Deeper trees are not made here: unzip.c refuses more than 64 levels.
enum { MAX_DEPTH = 100, MAX_SINGLE_SYNCS = 64 };

static bool is_dots(const char *name) { return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])); }

static DIR *open_dir(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return NULL;
    DIR *dir = fdopendir(fd);
    if (!dir) close(fd);
    return dir;
}

static void remove_below(int parent, const char *name, int depth) {
    if (unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
    DIR *dir = depth < MAX_DEPTH ? open_dir(parent, name) : NULL;
    if (dir) {
        for (const struct dirent *entry; (entry = readdir(dir));) {
            if (!is_dots(entry->d_name)) remove_below(dirfd(dir), entry->d_name, depth + 1);
        }
        closedir(dir);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

void sl_store__tree_remove(int parent, const char *name) { remove_below(parent, name, 0); }

static int sync_file(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return errno == ELOOP ? 0 : -1; // a link lives in its directory
    int result = fsync(fd);
    int number = errno;
    close(fd);
    errno = number;
    return result;
}

// Each file, then the directory itself. Stops with *budget below zero when there are many files, or many levels.
static int sync_below(int parent, const char *name, int depth, int *budget) {
    DIR *dir = open_dir(parent, name);
    if (!dir) return -1;
    int result = 0;
    for (const struct dirent *entry; !result && (entry = readdir(dir));) {
        if (is_dots(entry->d_name)) continue;
        struct stat info;
        result = fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW);
        if (depth >= MAX_DEPTH) *budget = 0;
        if (result || --*budget < 0) break;
        result = S_ISDIR(info.st_mode) ? sync_below(dirfd(dir), entry->d_name, depth + 1, budget)
                                       : sync_file(dirfd(dir), entry->d_name);
    }
    if (!result && *budget >= 0) result = fsync(dirfd(dir));
    int number = errno;
    closedir(dir);
    errno = number;
    return result;
}

int sl_store__tree_sync(int dir, struct sl_error *err) {
    // Few files are synced one by one, which leaves other programs' dirty pages alone. For many, a sync of the whole
    // file system is faster than thousands of journal commits (syncfs reports write errors since Linux 5.8).
    int budget = MAX_SINGLE_SYNCS;
    int result = sync_below(dir, ".", 0, &budget);
    if (!result && budget < 0) result = syncfs(dir);
    return result ? sl_fail_errno(err, "make unpacked files durable") : 0;
}
