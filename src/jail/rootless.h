// SPDX-License-Identifier: Apache-2.0
//
// rootless: what differs when Sluice runs as an ordinary user: the spawner works in a user namespace of its own.
#ifndef SL_JAIL_ROOTLESS_H
#define SL_JAIL_ROOTLESS_H

#include <stdbool.h>
#include <sys/types.h>

struct sl_error;

// Enters new user and mount namespaces. user: the name of who started this, "" when unknown. With newuidmap and enough
// subordinate ids every sandbox gets an id of its own
// (*ret_change_ids true, the first one in *ret_first_uid); else all run as the user who started Sluice. Needs a process
// without threads.
int sl_jail__rootless_enter(const char *user, unsigned ids, uid_t *ret_first_uid, bool *ret_change_ids,
                            struct sl_error *err);

// Whether a sandbox can have a user namespace of its own inside of that, in which its processes are counted. Forks.
bool sl_jail__rootless_can_nest(void);

// The kernel clones only mounts of the caller's mount namespace, but the server's descriptors belong to the host's:
// finds the path of fd, opens it here and makes sure that it is the same directory. A descriptor or -errno. Gives the
// server nothing: rootless, the spawner may open no more than the server itself.
int sl_jail__rootless_reopen(int fd);

#endif
