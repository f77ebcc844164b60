// SPDX-License-Identifier: Apache-2.0
//
// landlock: see landlock.h. Only rights to change things are handled, so reading and executing cost nothing. Rights
// that a kernel does not know must not be asked for: each ABI added some. Source: the kernel's
// Documentation/userspace-api/landlock.rst.
#include "jail/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WRITE LANDLOCK_ACCESS_FS_WRITE_FILE
#define MAKE                                                                                                           \
    (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                   \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define REFER    (1ULL << 13) // ABI 2: links and renames between directories
#define TRUNCATE (1ULL << 14) // ABI 3

static int allow(int rules, const char *path, uint64_t rights) {
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) return -errno;
    int rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ? 0 : -errno;
    close(rule.parent_fd);
    return rc;
}

bool sl_jail__landlock_is_there(void) {
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

int sl_jail__landlock_make(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return errno == EOPNOTSUPP ? -ENOSYS : -errno; // built in but not switched on, as not built in
    uint64_t here = WRITE | (abi >= 3 ? TRUNCATE : 0);
    uint64_t all = here | MAKE | (abi >= 2 ? REFER : 0);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = all};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (rules < 0) return -errno;
    int rc = allow(rules, "/tmp", all);
    if (rc == 0) rc = allow(rules, "/dev/shm", all);
    if (rc == 0) rc = allow(rules, "/dev", here);
    if (rc == 0) rc = allow(rules, "/proc", here);
    if (rc == 0) return rules;
    close(rules);
    return rc;
}

int sl_jail__landlock_restrict(int rules) {
    if (rules == -ENOSYS) return 0;
    if (rules < 0) return rules;
    return syscall(SYS_landlock_restrict_self, rules, 0) == 0 ? 0 : -errno;
}
