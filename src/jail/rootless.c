// SPDX-License-Identifier: Apache-2.0
//
// rootless: see rootless.h. Ids: a user may map only itself; newuidmap and newgidmap (package uidmap, set-user-id) map
// the ranges of /etc/subuid and /etc/subgid on behalf of a process, from outside its namespace, so a helper is forked
// first.
#include "jail/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/file.h"

enum { SANDBOX_ID = 993, HELPER_MS = 5000 }; // the user id of AWS's sbx_user1051

// First id of the user's first range that has room, from /etc/subuid or /etc/subgid ("name:first:count"). 0: none.
static unsigned long range(const char *file, const char *user, unsigned ids) {
    char text[16384];
    char number[32];
    if (sl_jail__read(AT_FDCWD, file, text, sizeof text) <= 0) return 0;
    snprintf(number, sizeof number, "%u", (unsigned)getuid());
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *name = strsep(&line, ":");
        char *first = strsep(&line, ":");
        bool ours = line != NULL && name[0] != '\0' && (strcmp(name, number) == 0 || strcmp(name, user) == 0);
        if (!ours) continue;
        if (strtoul(line, NULL, 10) >= ids) return strtoul(first, NULL, 10);
    }
    return 0;
}

// Runs newuidmap or newgidmap: 0 -> ourselves, 1.. -> the range.
static bool map_range(const char *program, pid_t target, unsigned own, unsigned long first, unsigned ids) {
    char text[4][24];
    snprintf(text[0], sizeof text[0], "%d", (int)target);
    snprintf(text[1], sizeof text[1], "%u", own);
    snprintf(text[2], sizeof text[2], "%lu", first);
    snprintf(text[3], sizeof text[3], "%u", ids);
    pid_t child = fork();
    if (child == 0) {
        execlp(program, program, text[0], "0", text[1], "1", "1", text[2], text[3], (char *)NULL);
        _exit(127);
    }
    int status = 1;
    if (child > 0) (void)waitpid(child, &status, 0);
    return child > 0 && status == 0;
}

// Helper process: waits until the spawner has its namespace, maps, answers with its exit status.
static _Noreturn void helper_main(int ready, pid_t target, const char *user, unsigned ids) {
    char byte;
    unsigned long uids = range("/etc/subuid", user, ids);
    unsigned long gids = range("/etc/subgid", user, ids);
    if (read(ready, &byte, 1) != 1) _exit(1);
    _exit(map_range("newuidmap", target, getuid(), uids, ids) && map_range("newgidmap", target, getgid(), gids, ids)
              ? 0
              : 1);
}

static bool can_map_ranges(const char *user, unsigned ids) {
    static const char *const places[] = {"/usr/bin/newuidmap", "/bin/newuidmap", "/usr/local/bin/newuidmap"};
    bool installed = false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) installed = installed || access(places[i], X_OK) == 0;
    return installed && range("/etc/subuid", user, ids) != 0 && range("/etc/subgid", user, ids) != 0;
}

// One id: we are root in our namespace; a function's own one makes AWS's sandbox user of that (init.c).
static int map_self(uid_t uid, gid_t gid) {
    char text[48];
    (void)sl_jail__write(AT_FDCWD, "/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", (unsigned)uid);
    int rc = sl_jail__write(AT_FDCWD, "/proc/self/uid_map", text);
    snprintf(text, sizeof text, "0 %u 1", (unsigned)gid);
    return rc != 0 ? rc : sl_jail__write(AT_FDCWD, "/proc/self/gid_map", text);
}

int sl_jail__rootless_enter(const char *user, unsigned ids, uid_t *ret_first_uid, bool *ret_change_ids,
                            struct sl_error *err) {
    uid_t uid = getuid();
    gid_t gid = getgid();
    bool ranges = can_map_ranges(user, ids);
    int ready[2] = {-1, -1};
    pid_t spawner = getpid();
    pid_t helper = 0;
    if (ranges) {
        if (pipe2(ready, O_CLOEXEC) != 0) return sl_fail_errno(err, "prepare user ids");
        helper = fork();
        if (helper == 0) {
            close(ready[1]);
            helper_main(ready[0], spawner, user, ids);
        }
        close(ready[0]);
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        int error = errno;
        if (ready[1] >= 0) close(ready[1]);
        if (helper > 0) (void)waitpid(helper, NULL, 0);
        return sl_fail(err, SL_E_UNAVAILABLE,
                       "make a user namespace: %s (allow user namespaces for ordinary users, or start Sluice as root)",
                       strerror(error));
    }
    int status = 1;
    if (helper > 0) {
        if (write(ready[1], "", 1) != 1) status = 1;
        close(ready[1]);
        (void)waitpid(helper, &status, 0);
    }
    *ret_change_ids = helper > 0 && status == 0;
    *ret_first_uid = *ret_change_ids ? 1 : SANDBOX_ID;
    if (*ret_change_ids) return SL_OK;
    int rc = map_self(uid, gid);
    return rc == 0 ? SL_OK : sl_fail(err, SL_E_UNAVAILABLE, "map the user into its namespace: %s", strerror(-rc));
}

bool sl_jail__rootless_can_nest(void) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    if (child > 0) (void)waitpid(child, &status, 0);
    return child > 0 && status == 0;
}

int sl_jail__rootless_reopen(int fd) {
    char link[64];
    char path[PATH_MAX];
    struct stat there;
    struct stat here;
    if (fstat(fd, &there) != 0) return -errno;
    if (!S_ISDIR(there.st_mode)) return -ENOTDIR;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return -errno;
    path[length] = '\0';
    int again = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (again < 0) return -errno;
    if (fstat(again, &here) != 0 || there.st_dev != here.st_dev || there.st_ino != here.st_ino) {
        close(again);
        return -ESTALE;
    }
    return again;
}
