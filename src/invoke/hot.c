// SPDX-License-Identifier: Apache-2.0
//
// hot: functions whose code is a folder that its owner edits (S3Bucket "hot-reload"). The folder itself is mounted, so
// files read late are always the newest; what a language has loaded already is not. So the folder is watched, and when
// something changed the version is published again with another stamp in code_sha256: its instances are then retired
// as after any update, busy ones finish, and the next invocation starts on the folder as it is.
//
// That an edit is live at the next invocation does not depend on a watcher's speed: the kernel queues a change before
// the call that makes it returns, and every invocation of such a function looks into the queue first (inotify(7)). It
// is one read() that finds nothing; functions with packages cost a comparison.
//
// Threads: any loop; one mutex, held for that read and, after a change of folders, for a walk over them. Watches are
// few (WATCHES_MAX) and go when no version has their folder any more.
#include "invoke/internal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WATCHES_MAX = 64,
    FOLDERS_MAX = 8192, // of one function; changes in further ones are not seen
    DEPTH_MAX = 32,
    STAMP = 24,
};

#define CHANGES                                                                                                        \
    (IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch {
    char *path; // malloc'ed; NULL: free slot
    int fd;
    dev_t device; // of the folder when it was opened: another one of that name is another folder
    ino_t inode;
    unsigned folders;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watch watches[WATCHES_MAX];
static uint64_t last_stamp;

// --- watching (with `lock` held)
// --------------------------------------------------------------------------------------

static void add_folders(struct watch *watch, int parent, const char *path, unsigned depth) {
    if (watch->folders >= FOLDERS_MAX || depth > DEPTH_MAX) return;
    int folder = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = folder >= 0 ? fdopendir(folder) : NULL;
    char self[40];
    if (!entries) {
        if (folder >= 0) close(folder);
        return; // gone, or not ours to read: then functions cannot read it either
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", folder);
    if (inotify_add_watch(watch->fd, self, CHANGES) < 0 && errno == ENOSPC)
        sl_log_warn("invoke", "hot-reload: fs.inotify.max_user_watches is reached: changes below %s are not seen",
                    path);
    watch->folders++;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_folders(watch, dirfd(entries), entry->d_name, depth + 1);
    closedir(entries);
}

static void close_watch(struct watch *watch) {
    if (!watch->path) return;
    close(watch->fd);
    free(watch->path);
    watch->path = NULL;
}

static bool is_used(struct sl_invoker *invoker, const char *path) {
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    cds_lfht_for_each(invoker->functions, &iter, node) {
        if (sl_str_is(SL_CONTAINER(node, struct sl_invoke__entry, node)->function.code_path, path)) return true;
    }
    return false;
}

static struct watch *free_slot(void) {
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (!watches[i].path) return &watches[i];
    return NULL;
}

static struct watch *find_watch(struct sl_str path) {
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (watches[i].path && sl_str_is(path, watches[i].path)) return &watches[i];
    return NULL;
}

static struct watch *open_watch(struct sl_str path, const struct stat *info) {
    struct watch *watch = free_slot();
    int fd = watch ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    char *copy = fd >= 0 ? strndup(path.ptr, path.len) : NULL;
    if (!copy) {
        if (fd >= 0) close(fd);
        sl_log_warn("invoke", "hot-reload: cannot watch %.*s: edits are live in new instances only", SL_FMT(path));
        return NULL;
    }
    *watch = (struct watch){.path = copy, .fd = fd, .device = info->st_dev, .inode = info->st_ino};
    add_folders(watch, AT_FDCWD, copy, 0);
    return watch;
}

// Empties the queue; whether there was anything in it.
static bool has_changed(struct watch *watch) {
    char events[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false, folders = false;
    ssize_t got;
    while ((got = read(watch->fd, events, sizeof events)) > 0) {
        changed = true;
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            folders = folders || (event->mask & (IN_ISDIR | IN_Q_OVERFLOW));
            at += sizeof *event + event->len;
        }
    }
    if (folders) { // a watch added twice is one
        watch->folders = 0;
        add_folders(watch, AT_FDCWD, watch->path, 0);
    }
    return changed;
}

// Whether instances started before now may have loaded something else than is there. False too when the folder is gone:
// starting an instance says so.
static bool is_stale(struct sl_str path) {
    struct stat info;
    char text[4096];
    if (path.len >= sizeof text) return false;
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    if (stat(text, &info) != 0) return false;
    struct watch *watch = find_watch(path);
    if (watch && (watch->device != info.st_dev || watch->inode != info.st_ino)) {
        close_watch(watch);
        watch = NULL;
    }
    if (watch) return has_changed(watch);
    (void)open_watch(path, &info);
    return true;
}

// --- the functions
// ----------------------------------------------------------------------------------------------------

int sl_invoke__hot_open(struct sl_str path, int *ret_fd, struct sl_error *err) {
    char text[4096];
    if (path.len >= sizeof text) return sl_fail(err, SL_E_INVALID, "the folder's name is too long");
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    *ret_fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd >= 0 ? 0 : sl_fail_errno(err, "open the folder %s", text);
}

void sl_invoke__hot_forget(struct sl_invoker *invoker) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (watches[i].path && !is_used(invoker, watches[i].path)) close_watch(&watches[i]);
    pthread_mutex_unlock(&lock);
}

struct sl_invoke__entry *sl_invoke__hot_current(struct sl_invoker *invoker, struct sl_invoke__entry *entry) {
    const struct sl_function *function = &entry->function;
    struct sl_error err;
    char stamp[STAMP];
    pthread_mutex_lock(&lock);
    if (is_stale(function->code_path)) {
        struct sl_function changed = *function;
        int len = snprintf(stamp, sizeof stamp, "hot-%llu", (unsigned long long)++last_stamp);
        changed.code_sha256 = sl_str_n(stamp, (size_t)len);
        if (sl_invoke__publish(invoker, &changed, &err))
            sl_log_error("invoke", "cannot publish %.*s again: %s", SL_FMT(function->name), err.message);
    }
    // Also another loop may have published it since the entry was looked up.
    entry = sl_invoke__entry_find(invoker, function->account, function->region, function->name, function->version);
    pthread_mutex_unlock(&lock);
    return entry;
}
