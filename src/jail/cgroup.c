// SPDX-License-Identifier: Apache-2.0
//
// cgroup: finds the hierarchies (/proc/self/mountinfo, /proc/self/cgroup), makes and removes directories, and hands
// everything that has a file name of its own to cgroup_v1.c or cgroup_v2.c. See cgroup.h for names and entering.
#include "jail/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "jail/file.h"
#include "jail/proto.h"

static unsigned controllers_of(const char *list) {
    static const struct {
        const char *name;
        unsigned controller;
    } names[] = {
        {"memory", SL_JAIL__MEMORY}, {"cpu", SL_JAIL__CPU}, {"pids", SL_JAIL__PIDS}, {"freezer", SL_JAIL__FREEZER}};
    unsigned found = 0;
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, ",");
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strlen(names[i].name) == length && strncmp(at, names[i].name, length) == 0)
                found |= names[i].controller;
        }
        at += length + (at[length] == ',');
    }
    return found;
}

// One line of mountinfo: "36 35 98:0 /root /mount opts tags... - type source superopts". Adds a hierarchy when it is
// one of ours and its controllers are not already taken (the same hierarchy may be mounted twice).
static void take_mount(struct sl_jail__cgroups *cgroups, char *line) {
    char *dash = strstr(line, " - ");
    if (dash == NULL || cgroups->count == SL_JAIL__HIERARCHIES) return;
    char type[32];
    char options[256];
    char mount[256];
    if (sscanf(dash + 3, "%31s %*s %255s", type, options) != 2) return;
    if (sscanf(line, "%*s %*s %*s %*s %255s", mount) != 1) return;
    int version = strcmp(type, "cgroup") == 0 ? 1 : strcmp(type, "cgroup2") == 0 ? 2 : 0;
    unsigned controllers = version == 1 ? controllers_of(options) : 0;
    if (version == 0 || (version == 1 && controllers == 0)) return;
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (cgroups->at[i].version == version && cgroups->at[i].controllers == controllers) return;
    }
    struct sl_jail__hierarchy *hierarchy = &cgroups->at[cgroups->count++];
    hierarchy->version = version;
    hierarchy->controllers = controllers;
    hierarchy->parent = -1;
    snprintf(hierarchy->mount, sizeof hierarchy->mount, "%s", mount);
    snprintf(hierarchy->own, sizeof hierarchy->own, "%s", mount);
}

// One line of /proc/self/cgroup: "4:memory:/path" (version 1) or "0::/path" (version 2).
static void take_own(struct sl_jail__cgroups *cgroups, const char *line) {
    const char *list = strchr(line, ':');
    const char *path = list == NULL ? NULL : strchr(list + 1, ':');
    if (path == NULL) return;
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)(path - list - 1), list + 1);
    unsigned controllers = controllers_of(text);
    int version = text[0] == '\0' ? 2 : 1;
    for (unsigned i = 0; i < cgroups->count; i++) {
        struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        if (hierarchy->version != version || hierarchy->controllers != controllers) continue;
        if (strncmp(path + 1, "/..", 3) == 0) continue; // outside our cgroup namespace
        size_t used = strlen(hierarchy->own);           // it starts as the mount point
        snprintf(hierarchy->own + used, sizeof hierarchy->own - used, "%s", strcmp(path + 1, "/") == 0 ? "" : path + 1);
    }
}

static void each_line(const char *file, struct sl_jail__cgroups *cgroups, bool mounts) {
    FILE *stream = fopen(file, "re");
    char *line = NULL;
    size_t room = 0;
    if (stream == NULL) return;
    for (ssize_t length; (length = getline(&line, &room, stream)) > 0;) {
        if (line[length - 1] == '\n') line[length - 1] = '\0';
        if (mounts)
            take_mount(cgroups, line);
        else
            take_own(cgroups, line);
    }
    free(line);
    fclose(stream);
}

void sl_jail__cgroups_find(struct sl_jail__cgroups *cgroups) {
    memset(cgroups, 0, sizeof *cgroups);
    each_line("/proc/self/mountinfo", cgroups, true);
    each_line("/proc/self/cgroup", cgroups, false);
    snprintf(cgroups->name, sizeof cgroups->name, "sluice-%d-%llu", (int)getpid(),
             (unsigned long long)sl_jail__start_time(getpid()));
}

// Removes a spawner's directory and those of its sandboxes (two levels is all there is). Best effort: a sandbox that is
// still dying keeps its directory until the next sweep.
static int remove_tree(int base, const char *name) {
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        sl_jail__close(&fd);
        return -ENOENT;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_type == DT_DIR && entry->d_name[0] == 's') (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
    return unlinkat(base, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

// Whether a living spawner, which may be in another pid namespace, holds this directory (see hold).
static bool is_held(int base, const char *name) {
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    sl_jail__close(&fd);
    return held;
}

// Makes our directory and holds it by a lock, for as long as its descriptor is open: this says in every pid namespace
// that it is in use. Another server may look at it, or even remove it, between the two: then once more. A descriptor or
// -1.
static int hold(int base, const char *name) {
    for (int tries = 0; tries < 100; tries++) {
        struct stat there;
        struct stat here;
        if (mkdirat(base, name, 0755) != 0 && errno != EEXIST) return -1;
        int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 &&
            fstatat(base, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino) {
            return fd;
        }
        sl_jail__close(&fd);
        (void)poll(NULL, 0, 2);
    }
    return -1;
}

// Returns how many leftovers stay.
static unsigned sweep(const struct sl_jail__hierarchy *hierarchy) {
    DIR *dir = opendir(hierarchy->base);
    unsigned stay = 0;
    if (dir == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int pid = 0;
        unsigned long long start = 0;
        if (entry->d_type != DT_DIR || sscanf(entry->d_name, "sluice-%d-%llu", &pid, &start) != 2) continue;
        // Its owner lives, here or in a pid namespace that we do not see.
        if ((pid > 0 && sl_jail__start_time(pid) == start) || is_held(dirfd(dir), entry->d_name)) continue;
        stay += remove_tree(dirfd(dir), entry->d_name) == -EBUSY;
    }
    closedir(dir);
    return stay;
}

void sl_jail__cgroups_sweep(struct sl_jail__cgroups *cgroups) {
    cgroups->leftovers = 0;
    for (unsigned i = 0; i < cgroups->count; i++) cgroups->leftovers += sweep(&cgroups->at[i]);
}

// All sandboxes together leave a quarter of the machine's process numbers to others, whatever their limits add up to.
static void limit_all(const struct sl_jail__hierarchy *hierarchy) {
    if ((hierarchy->controllers & SL_JAIL__PIDS) == 0) return;
    int64_t numbers = sl_jail__read_number(AT_FDCWD, "/proc/sys/kernel/pid_max");
    int64_t threads = sl_jail__read_number(AT_FDCWD, "/proc/sys/kernel/threads-max");
    int64_t least = threads > 0 && threads < numbers ? threads : numbers;
    if (least > 0) (void)sl_jail__write_number(hierarchy->parent, "pids.max", least / 4 * 3);
}

// Chooses base, sweeps it and makes our directory. False: this hierarchy cannot be used.
static bool open_hierarchy(struct sl_jail__cgroups *cgroups, struct sl_jail__hierarchy *hierarchy) {
    if (hierarchy->version == 2) {
        hierarchy->controllers = sl_jail__v2_prepare(hierarchy);
        if (hierarchy->base[0] == '\0') return false;
    } else {
        // The root of the hierarchy: limits of the session that started us (and its end) must not reach into the
        // sandboxes.
        snprintf(hierarchy->base, sizeof hierarchy->base, "%s", hierarchy->mount);
    }
    cgroups->leftovers += sweep(hierarchy);
    int base = open(hierarchy->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) return false;
    hierarchy->parent = hold(base, cgroups->name);
    close(base);
    if (hierarchy->parent < 0) return false;
    if (hierarchy->version == 2) {
        hierarchy->controllers = sl_jail__v2_enable(hierarchy->parent, hierarchy->controllers);
    }
    limit_all(hierarchy);
    return true;
}

void sl_jail__cgroups_look(struct sl_jail__cgroups *cgroups) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        if (hierarchy->version == 2)
            hierarchy->controllers = sl_jail__v2_choose(hierarchy);
        else if (faccessat(AT_FDCWD, hierarchy->mount, W_OK, AT_EACCESS) != 0)
            hierarchy->controllers = 0;
        cgroups->controllers |= hierarchy->controllers & SL_JAIL__CONTROLLERS;
    }
}

void sl_jail__cgroups_open(struct sl_jail__cgroups *cgroups) {
    unsigned found = cgroups->count;
    bool freezes = false;
    struct sl_jail__hierarchy all[SL_JAIL__HIERARCHIES];
    memcpy(all, cgroups->at, sizeof all);
    cgroups->count = 0;
    // A freezer of version 1 comes last, if there is nothing better: each hierarchy costs every sandbox.
    for (int last = 0; last < 2; last++) {
        for (unsigned i = 0; i < found; i++) {
            bool freezer = all[i].version == 1 && all[i].controllers == SL_JAIL__FREEZER;
            if (freezer != (last == 1) || (freezer && freezes)) continue;
            if (!open_hierarchy(cgroups, &all[i])) continue;
            freezes = freezes || (all[i].version == 2 && sl_jail__v2_freezes(all[i].parent));
            cgroups->controllers |= all[i].controllers & SL_JAIL__CONTROLLERS;
            cgroups->at[cgroups->count++] = all[i];
        }
    }
}

void sl_jail__cgroups_close(struct sl_jail__cgroups *cgroups) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        sl_jail__close(&hierarchy->parent);
        int base = open(hierarchy->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (base < 0) continue;
        int rc = -EBUSY;
        for (int tries = 0; tries < 100 && rc == -EBUSY; tries++) {
            if (tries > 0) (void)poll(NULL, 0, 10);
            rc = remove_tree(base, cgroups->name);
        }
        if (rc != 0 && rc != -ENOENT)
            sl_log_warn("jail", "cgroup %s/%s stays: %s", hierarchy->base, cgroups->name, strerror(-rc));
        close(base);
    }
    cgroups->count = 0;
}

void sl_jail__cgroup_init(struct sl_jail__cgroup *cgroup) {
    memset(cgroup, 0, sizeof *cgroup);
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) cgroup->dir[i] = -1;
}

int sl_jail__cgroup_make(struct sl_jail__cgroups *cgroups, struct sl_jail__cgroup *cgroup, unsigned slot,
                         uint64_t generation) {
    sl_jail__cgroup_init(cgroup);
    snprintf(cgroup->name, sizeof cgroup->name, "s%u.%llu", slot, (unsigned long long)generation);
    cgroup->made = true;
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (mkdirat(cgroups->at[i].parent, cgroup->name, 0755) != 0) return -errno;
        cgroup->dir[i] = openat(cgroups->at[i].parent, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup->dir[i] < 0) return -errno;
    }
    return 0;
}

int sl_jail__cgroup_limit(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                          const struct sl_jail__limits *limits) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        const struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        int rc = hierarchy->version == 1 ? sl_jail__v1_limit(cgroup->dir[i], hierarchy->controllers, limits)
                                         : sl_jail__v2_limit(cgroup->dir[i], hierarchy->controllers, limits);
        if (rc != 0) return rc;
    }
    return 0;
}

// The hierarchy that holds a controller, or -1.
static int holder(const struct sl_jail__cgroups *cgroups, unsigned controller) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (cgroups->at[i].controllers & controller) return (int)i;
    }
    return -1;
}

int sl_jail__cgroup_limit_cpu(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                              uint32_t cpu_milli) {
    int i = holder(cgroups, SL_JAIL__CPU);
    if (i < 0) return 0;
    return cgroups->at[i].version == 1 ? sl_jail__v1_limit_cpu(cgroup->dir[i], cpu_milli)
                                       : sl_jail__v2_limit_cpu(cgroup->dir[i], cpu_milli);
}

int sl_jail__cgroup_birth(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (cgroups->at[i].version == 2) return cgroup->dir[i];
    }
    return -1;
}

unsigned sl_jail__cgroup_tasks(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                               int ret_dirs[SL_JAIL__HIERARCHIES]) {
    unsigned count = 0;
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (cgroups->at[i].version == 1) ret_dirs[count++] = cgroup->dir[i];
    }
    return count;
}

int sl_jail__cgroup_memory_fd(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup) {
    int i = holder(cgroups, SL_JAIL__MEMORY);
    if (i < 0) return -1;
    return cgroups->at[i].version == 1 ? sl_jail__v1_memory_fd(cgroup->dir[i]) : sl_jail__v2_memory_fd(cgroup->dir[i]);
}

int sl_jail__cgroup_freeze_fd(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        const struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        if (hierarchy->version == 1 && (hierarchy->controllers & SL_JAIL__FREEZER) == 0) continue;
        const char *name = hierarchy->version == 1 ? "freezer.state" : "cgroup.freeze";
        int fd = openat(cgroup->dir[i], name, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) return fd;
    }
    return -1;
}

bool sl_jail__cgroup_thaw(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        const struct sl_jail__hierarchy *hierarchy = &cgroups->at[i];
        if (hierarchy->version != 1 || (hierarchy->controllers & SL_JAIL__FREEZER) == 0) continue;
        if (cgroup->dir[i] >= 0) (void)sl_jail__write(cgroup->dir[i], "freezer.state", "THAWED");
        return true;
    }
    return false;
}

bool sl_jail__cgroup_oom(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup) {
    int i = holder(cgroups, SL_JAIL__MEMORY);
    if (i < 0) return false;
    return cgroups->at[i].version == 1 ? sl_jail__v1_oom(cgroup->dir[i]) : sl_jail__v2_oom(cgroup->dir[i]);
}

int sl_jail__cgroup_remove(const struct sl_jail__cgroups *cgroups, struct sl_jail__cgroup *cgroup) {
    if (!cgroup->made) return 0;
    int rc = 0;
    for (unsigned i = 0; i < cgroups->count; i++) {
        sl_jail__close(&cgroup->dir[i]);
        if (unlinkat(cgroups->at[i].parent, cgroup->name, AT_REMOVEDIR) != 0 && errno != ENOENT) rc = -errno;
    }
    if (rc == 0) cgroup->made = false;
    return rc;
}
