// SPDX-License-Identifier: Apache-2.0
//
// claim: see claim.h. Used by the spawner at start and end.
#include "jail/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail/proto.h"

enum {
    RANGE = 16384, // user ids; more than a server can have sandboxes
    RANGES = 64,
    WAIT_MS = 10000,
    STEP_MS = 5,
};

// A file of /run/sluice, or -1. A directory that somebody else made, or can write to, is not ours.
static int open_file(const char *name) {
    struct stat info;
    if (mkdir("/run/sluice", 0755) != 0 && errno != EEXIST) return -1;
    int dir = open("/run/sluice", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ours = dir >= 0 && fstat(dir, &info) == 0 && info.st_uid == geteuid() && (info.st_mode & 022) == 0;
    int fd = ours ? openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    sl_jail__close(&dir);
    return fd;
}

int sl_jail__claim_uids(uid_t first, uid_t *ret_first) {
    *ret_first = first;
    for (unsigned i = 0; i < RANGES; i++) {
        char name[32];
        uid_t candidate = first + i * RANGE;
        snprintf(name, sizeof name, "uids-%u", (unsigned)candidate);
        int fd = open_file(name);
        if (fd < 0) return -1;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *ret_first = candidate;
            return fd;
        }
        close(fd);
    }
    return -1;
}

int sl_jail__claim_network(void) {
    int fd = open_file("network");
    for (int waited = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; waited += STEP_MS) {
        if (waited >= WAIT_MS || (errno != EWOULDBLOCK && errno != EINTR)) {
            close(fd);
            return -1;
        }
        (void)poll(NULL, 0, STEP_MS);
    }
    return fd;
}
