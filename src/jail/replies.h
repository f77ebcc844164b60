// SPDX-License-Identifier: Apache-2.0
//
// replies: what the spawner has to tell the server, while the socket is full. A ring of fixed size; owner: the
// spawner's loop.
//
// It cannot overflow: requests are read only while few replies wait (sl_jail__replies_calm), and what has been accepted
// before gives only so many per sandbox.
#ifndef SL_JAIL_REPLIES_H
#define SL_JAIL_REPLIES_H

#include <stdbool.h>

#include "jail/proto.h"

struct sl_jail__replies;

// For this many sandboxes and waiting orders. NULL when out of memory. Lives as long as the process.
struct sl_jail__replies *sl_jail__replies_new(unsigned sandboxes);
// Takes the descriptors (SL_JAIL__REPLY_FDS at most).
void sl_jail__replies_put(struct sl_jail__replies *replies, const struct sl_jail__reply *reply, const int *fds,
                          unsigned fd_count);
// Sends what the socket takes. True when all are sent, or the server is gone.
bool sl_jail__replies_flush(struct sl_jail__replies *replies, int socket);
bool sl_jail__replies_calm(const struct sl_jail__replies *replies);

#endif
