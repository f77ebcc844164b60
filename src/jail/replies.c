// SPDX-License-Identifier: Apache-2.0
//
// replies: see replies.h.
#include "jail/replies.h"

#include <errno.h>
#include <stdlib.h>

#include "jail/jail.h"

// PER: STARTED, READY, ADOPTED, EXITED, and two for each program.
enum { CALM = 64, FDS = SL_JAIL__REPLY_FDS, PER = 4 + 2 * (1 + SL_JAIL_PROGRAMS_MAX) };

struct entry {
    struct sl_jail__reply reply;
    int fds[FDS];
    unsigned fd_count;
};

struct sl_jail__replies {
    unsigned room;
    unsigned first;
    unsigned count;
    struct entry entries[];
};

struct sl_jail__replies *sl_jail__replies_new(unsigned sandboxes) {
    unsigned room = PER * sandboxes + 2 * SL_JAIL_TEMPLATES_MAX + CALM + 1; // touched only when used
    struct sl_jail__replies *replies = calloc(1, sizeof *replies + room * sizeof replies->entries[0]);
    if (replies != NULL) replies->room = room;
    return replies;
}

void sl_jail__replies_put(struct sl_jail__replies *replies, const struct sl_jail__reply *reply, const int *fds,
                          unsigned fd_count) {
    struct entry *entry = &replies->entries[(replies->first + replies->count) % replies->room];
    entry->reply = *reply;
    entry->fd_count = fd_count < FDS ? fd_count : FDS;
    for (unsigned i = 0; i < entry->fd_count; i++) entry->fds[i] = fds[i];
    replies->count++;
}

bool sl_jail__replies_flush(struct sl_jail__replies *replies, int socket) {
    while (replies->count > 0) {
        struct entry *entry = &replies->entries[replies->first];
        int rc = sl_jail__send(socket, &entry->reply, sizeof entry->reply, entry->fds, entry->fd_count);
        // Too many descriptors in flight: go on without, rather than stall; the server stops such a sandbox.
        if (rc == -ETOOMANYREFS) rc = sl_jail__send(socket, &entry->reply, sizeof entry->reply, NULL, 0);
        if (rc == -EAGAIN) return false;
        // Any other error: the server is gone, and end-of-file follows.
        sl_jail__close_all(entry->fds, entry->fd_count);
        replies->first = (replies->first + 1) % replies->room;
        replies->count--;
    }
    replies->first = 0; // the next ones go where these were, not into memory that was never touched
    return true;
}

bool sl_jail__replies_calm(const struct sl_jail__replies *replies) { return replies->count < CALM; }
