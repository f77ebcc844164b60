// SPDX-License-Identifier: Apache-2.0
//
// pool: a few threads for blocking work (unpacking, hashing, file copies). Bounded queue. The result comes back to a
// loop as a letter.
#ifndef SL_NET_POOL_H
#define SL_NET_POOL_H

#include "net/loop.h"

struct sl_pool;
struct sl_work {
    struct sl_mail mail;                // internal
    struct sl_work *next;               // internal
    struct sl_loop *home;               // internal
    void (*run)(struct sl_work *work);  // on a pool thread
    void (*done)(struct sl_work *work); // on the home loop's thread, if home != NULL (else on the pool thread)
};

int sl_pool_new(struct sl_pool **ret, unsigned threads, unsigned max_queued, struct sl_error *err);
// Waits for the running and queued work. Results for a home loop are posted; that loop must still be there. NULL is
// accepted.
void sl_pool_free(struct sl_pool *pool);
// SL_E_UNAVAILABLE when the queue is full. The work belongs to the pool until done.
int sl_pool_submit(struct sl_pool *pool, struct sl_work *work, struct sl_loop *home, void (*run)(struct sl_work *),
                   void (*done)(struct sl_work *), struct sl_error *err);

#endif
