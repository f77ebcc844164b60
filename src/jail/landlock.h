// SPDX-License-Identifier: Apache-2.0
//
// landlock: a second lock on what read-only mounts already close: a function writes below /tmp, /dev/shm, and existing
// files of /dev and /proc, and nowhere else, even if a mount were writable by mistake.
#ifndef SL_JAIL_LANDLOCK_H
#define SL_JAIL_LANDLOCK_H

// In a sandbox, after its mounts are made: a rule set for sl_jail__landlock_restrict, or -1 on kernels without
// Landlock.
int sl_jail__landlock_make(void);
// Restricts the calling process for ever (needs no_new_privs). 0 or -errno; 0 without doing anything when rules is -1.
int sl_jail__landlock_restrict(int rules);

#endif
