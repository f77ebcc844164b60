// SPDX-License-Identifier: Apache-2.0
//
// watch: see watch.h. Runs in pid 1 of a sandbox, which sees all of it in its /proc. The pace follows the growth: 10 ms
// while memory grows fast, up to 200 ms while it does not.
#include "jail/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "jail/file.h"

enum { PAUSE_MIN_MS = 10, PAUSE_MAX_MS = 200 };

static void publish(const struct sl_jail__watch *watch) {
    char text[32];
    int length = snprintf(text, sizeof text, "%-20lld\n", (long long)watch->peak);
    if (watch->file >= 0 && pwrite(watch->file, text, (size_t)length, 0) < 0) return; // only the report is poorer
}

void sl_jail__watch_init(struct sl_jail__watch *watch, uint32_t megabytes) {
    *watch =
        (struct sl_jail__watch){.limit = (int64_t)megabytes << 20, .peak = -1, .file = -1, .pause_ms = PAUSE_MIN_MS};
    watch->nice = getpriority(PRIO_PROCESS, 0);
    watch->policy = sched_getscheduler(0);
    if (watch->limit == 0) return;
    watch->peak = 0;
    watch->file = memfd_create("sluice-memory", MFD_CLOEXEC);
    publish(watch);
}

static int64_t file_system_use(const char *path) {
    struct statvfs info;
    if (statvfs(path, &info) != 0) return 0;
    return (int64_t)(info.f_blocks - info.f_bfree) * (int64_t)info.f_frsize;
}

// A process's own memory and its shared mappings without files, in bytes (those of /proc/PID/status are kilobytes).
// What several processes share counts for each: otherwise each could share its memory with nobody.
static int64_t process_use(int proc, const char *pid) {
    static const char *const keys[] = {"\nRssAnon:", "\nRssShmem:"};
    char path[300];
    char text[4096];
    int64_t sum = 0;
    snprintf(path, sizeof path, "%s/status", pid);
    if (sl_jail__read(proc, path, text, sizeof text) <= 0) return 0; // it has just ended
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *at = strstr(text, keys[i]);
        if (at != NULL) sum += strtoll(at + strlen(keys[i]), NULL, 10) << 10;
    }
    return sum;
}

// What every process but ourselves has, and what lies in the writable file systems. INT64_MAX when it cannot be seen: a
// function with our own user id (rootless with a single one) may take the limits away that we need for looking.
static int64_t measure(void) {
    int64_t sum = file_system_use("/tmp") + file_system_use("/dev/shm");
    DIR *dir = opendir("/proc");
    if (dir == NULL) return INT64_MAX;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || strcmp(entry->d_name, "1") == 0) continue;
        sum += process_use(dirfd(dir), entry->d_name);
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) break;
    }
    if (errno != 0) sum = INT64_MAX;
    closedir(dir);
    return sum;
}

// The same function could give us so small a share of the processor that we look too late.
static bool is_slowed(const struct sl_jail__watch *watch) {
    return getpriority(PRIO_PROCESS, 0) != watch->nice || sched_getscheduler(0) != watch->policy;
}

void sl_jail__watch_limit(struct sl_jail__watch *watch, uint32_t megabytes) {
    if (watch->limit != 0) watch->limit = (int64_t)megabytes << 20;
}

int sl_jail__watch_pause(const struct sl_jail__watch *watch) { return watch->limit == 0 ? -1 : watch->pause_ms; }

bool sl_jail__watch_look(struct sl_jail__watch *watch) {
    if (watch->limit == 0) return false;
    int64_t now = measure();
    bool grows = now > watch->peak + watch->limit / 64;
    watch->pause_ms = grows ? PAUSE_MIN_MS : watch->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : watch->pause_ms * 2;
    if (now > watch->peak && now != INT64_MAX) {
        watch->peak = now;
        publish(watch);
    }
    return now > watch->limit || is_slowed(watch);
}
