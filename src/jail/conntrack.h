// SPDX-License-Identifier: Apache-2.0
//
// conntrack: forgetting the connections of a sandbox that is gone, so that what its peers still send does not reach the
// next one at the same address.
#ifndef SL_JAIL_CONNTRACK_H
#define SL_JAIL_CONNTRACK_H

#include <netinet/in.h>

// A socket for it in the current network namespace, or -errno.
int sl_jail__conntrack_open(void);
// Removes every tracked connection that was begun from address. 0 or -errno.
int sl_jail__conntrack_forget(int socket, struct in_addr address);

#endif
