// SPDX-License-Identifier: Apache-2.0
//
// claim: what the Sluice servers of one machine must not do at the same time. Locks on files in /run/sluice (root's,
// closed to others, so that no user of the machine can hold one); the kernel gives them back when their holder dies, so
// nothing is ever stale. Where there is no /run that can be written, a server is taken to be alone.
#ifndef SL_JAIL_CLAIM_H
#define SL_JAIL_CLAIM_H

#include <sys/types.h>

// A range of user ids for sandboxes that no other server on this machine uses: first, or as far above it as needed.
// Sets *ret_first. Returns a descriptor to keep for as long as they are used, or -1: nobody could be asked.
int sl_jail__claim_uids(uid_t first, uid_t *ret_first);

// The host's network settings, which several servers share: waits some seconds for whoever changes them. Returns a
// descriptor to close when done, or -1 (to be ignored).
int sl_jail__claim_network(void);

#endif
