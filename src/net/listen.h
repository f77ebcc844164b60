// SPDX-License-Identifier: Apache-2.0
//
// listen: listening sockets from text addresses: "127.0.0.1:4566", "[::1]:4566", "localhost:4566", ":4566" (every
// address), "4566" (loopback). Port 0 lets the kernel choose. Any thread; called at start only.
#ifndef SL_NET_LISTEN_H
#define SL_NET_LISTEN_H

#include "base/error.h"

// Socket made, bound and listening, non-blocking, close-on-exec. *ret_port gets the port. The error names what is wrong
// and the next step. With `reuse_port` a port that another SO_REUSEPORT socket of the same user holds is NOT refused
// (the kernel shares it): use sl_net_listen_group for the listeners of several loops.
int sl_net_listen(struct sl_str address, bool reuse_port, int *ret_fd, int *ret_port, struct sl_error *err);

// `count` sockets on one address, among which the kernel spreads the connections. Refuses an address that is taken,
// also by another program that uses SO_REUSEPORT: the first socket is bound without it. On failure no socket stays
// open.
int sl_net_listen_group(struct sl_str address, unsigned count, int *ret_fds, int *ret_port, struct sl_error *err);

#endif
