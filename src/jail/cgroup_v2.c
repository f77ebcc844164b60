// SPDX-License-Identifier: Apache-2.0
//
// cgroup_v2: the files of version 2 and where a tree may be made. Source: Documentation/admin-guide/cgroup-v2.rst.
//
// Where: a directory with processes cannot have controllers enabled for its children ("no internal processes"), except
// the root of the tree. So: if our own directory was delegated to us (systemd's Delegate=yes sets an extended
// attribute) or we are an ordinary user who may write it, our processes move to a leaf "main" in it and sandboxes lie
// beside that; else, as root, below the root of the tree. A root in its own cgroup namespace (a container) sees its
// directory as the root of the tree.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "jail/cgroup.h"
#include "jail/file.h"

enum { PERIOD_US = 100000, QUOTA_MIN_US = 1000 };

static const struct {
    const char *name;
    unsigned controller;
} names[] = {{"memory", SL_JAIL__MEMORY}, {"cpu", SL_JAIL__CPU}, {"pids", SL_JAIL__PIDS}};

int sl_jail__v2_limit(int dir, unsigned controllers, const struct sl_jail__limits *limits) {
    int rc = 0;
    if (controllers & SL_JAIL__MEMORY) {
        rc = sl_jail__write_number(dir, "memory.max", (int64_t)limits->memory_mb << 20);
        if (rc != 0) return rc;
        rc = sl_jail__write(dir, "memory.swap.max", "0");
        if (rc != 0 && rc != -ENOENT) return rc;
        // One killed process means that the sandbox is not what the function thinks it is: kill all of it.
        rc = sl_jail__write(dir, "memory.oom.group", "1");
        if (rc != 0 && rc != -ENOENT) return rc;
        rc = 0;
    }
    if (controllers & SL_JAIL__PIDS) rc = sl_jail__write_number(dir, "pids.max", limits->pids);
    if (rc == 0 && (controllers & SL_JAIL__CPU) && limits->cpu_milli != 0)
        rc = sl_jail__v2_limit_cpu(dir, limits->cpu_milli);
    return rc;
}

int sl_jail__v2_limit_cpu(int dir, uint32_t cpu_milli) {
    char text[48];
    int64_t quota = (int64_t)cpu_milli * PERIOD_US / 1000;
    if (cpu_milli == 0) {
        snprintf(text, sizeof text, "max %d", PERIOD_US);
    } else {
        snprintf(text, sizeof text, "%lld %d", (long long)(quota < QUOTA_MIN_US ? QUOTA_MIN_US : quota), PERIOD_US);
    }
    return sl_jail__write(dir, "cpu.max", text);
}

int sl_jail__v2_memory_fd(int dir) {
    return openat(dir, "memory.peak", O_RDONLY | O_CLOEXEC); // since Linux 5.19
}

bool sl_jail__v2_oom(int dir) { return sl_jail__read_keyed(dir, "memory.events", "oom_kill") > 0; }

bool sl_jail__v2_freezes(int dir) { return faccessat(dir, "cgroup.freeze", W_OK, AT_EACCESS) == 0; } // Linux 5.2

// The controllers named in a space-separated file such as cgroup.controllers.
static unsigned controllers_in(int dir, const char *file) {
    char text[512];
    unsigned found = 0;
    if (sl_jail__read(dir, file, text, sizeof text) <= 0) return 0;
    char *rest = text;
    for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strcmp(word, names[i].name) == 0) found |= names[i].controller;
        }
    }
    return found;
}

unsigned sl_jail__v2_enable(int dir, unsigned wanted) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[16];
        if ((wanted & names[i].controller) == 0) continue;
        snprintf(text, sizeof text, "+%s", names[i].name);
        (void)sl_jail__write(dir, "cgroup.subtree_control", text); // what counts is what the file says afterwards
    }
    return controllers_in(dir, "cgroup.subtree_control") & wanted;
}

// Moves every process of dir to a leaf in it. Slow (see cgroup.h) but done once, at start.
static int empty_into_leaf(const char *path, int dir) {
    char text[8192];
    if (mkdirat(dir, "main", 0755) != 0 && errno != EEXIST) return -errno;
    char leaf[640];
    snprintf(leaf, sizeof leaf, "%s/main/cgroup.procs", path);
    if (sl_jail__read(dir, "cgroup.procs", text, sizeof text) < 0) return -EIO;
    char *rest = text;
    for (char *pid; (pid = strsep(&rest, "\n")) != NULL;) {
        if (*pid == '\0') continue;
        int rc = sl_jail__write(AT_FDCWD, leaf, pid);
        if (rc != 0 && rc != -ESRCH) return rc;
    }
    return 0;
}

static bool is_delegated(const char *path) {
    char value[8];
    return getxattr(path, "user.delegate", value, sizeof value) > 0 ||
           getxattr(path, "trusted.delegate", value, sizeof value) > 0;
}

// True when base is to be our own directory rather than the root of the tree.
static bool choose_own(struct sl_jail__hierarchy *hierarchy) {
    bool own = geteuid() == 0 ? is_delegated(hierarchy->own) : access(hierarchy->own, W_OK) == 0;
    // A second server of the same unit finds itself in the leaf that the first one made: use the directory above.
    size_t length = strlen(hierarchy->own);
    if (length > 5 && strcmp(hierarchy->own + length - 5, "/main") == 0) {
        char above[sizeof hierarchy->own];
        snprintf(above, sizeof above, "%.*s", (int)(length - 5), hierarchy->own);
        if (is_delegated(above) || (geteuid() != 0 && access(above, W_OK) == 0)) {
            snprintf(hierarchy->own, sizeof hierarchy->own, "%s", above);
            own = true;
        }
    }
    hierarchy->base[0] = '\0';
    if (own || geteuid() == 0) {
        snprintf(hierarchy->base, sizeof hierarchy->base, "%s", own ? hierarchy->own : hierarchy->mount);
    }
    return own;
}

unsigned sl_jail__v2_choose(struct sl_jail__hierarchy *hierarchy) {
    (void)choose_own(hierarchy);
    int dir = hierarchy->base[0] == '\0' ? -1 : open(hierarchy->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return 0;
    unsigned offered =
        faccessat(dir, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0 ? controllers_in(dir, "cgroup.controllers") : 0;
    close(dir);
    return offered;
}

unsigned sl_jail__v2_prepare(struct sl_jail__hierarchy *hierarchy) {
    bool own = choose_own(hierarchy);
    int dir = hierarchy->base[0] == '\0' ? -1 : open(hierarchy->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return 0;
    unsigned offered = controllers_in(dir, "cgroup.controllers");
    unsigned usable = 0;
    if (offered != 0) {
        usable = sl_jail__v2_enable(dir, offered);
        if (usable != offered && own && empty_into_leaf(hierarchy->base, dir) == 0)
            usable = sl_jail__v2_enable(dir, offered);
    }
    close(dir);
    return usable;
}
