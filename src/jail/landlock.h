// SPDX-License-Identifier: Apache-2.0
//
// landlock: a second lock on what read-only mounts already close: a function writes below /tmp, /dev/shm, and existing
// files of /dev and /proc, and nowhere else, even if a mount were writable by mistake.
#ifndef SL_JAIL_LANDLOCK_H
#define SL_JAIL_LANDLOCK_H

#include <stdbool.h>

// Whether this kernel has it, switched on.
bool sl_jail__landlock_is_there(void);
// In a sandbox, after its mounts are made: a rule set for sl_jail__landlock_restrict; -ENOSYS on kernels without
// Landlock, another -errno when it could not be made.
int sl_jail__landlock_make(void);
// Restricts the calling process for ever (needs no_new_privs), by what landlock_make gave: 0 without doing anything for
// -ENOSYS, which the spawner has said when it started; any other error stays one. 0 or -errno.
int sl_jail__landlock_restrict(int rules);

#endif
