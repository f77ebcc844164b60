// SPDX-License-Identifier: Apache-2.0
//
// waiting: see waiting.c. Of the shard's own loop only.
#ifndef SL_INVOKE_WAITING_H
#define SL_INVOKE_WAITING_H

#include "invoke/internal.h"

// A moving average over about eight values; 0 is none yet.
void sl_invoke__blend(_Atomic int64_t *average, int64_t value);

// As the youngest, with a reference to the pool.
void sl_invoke__waiting_push(struct sl_invoke__shard *shard, struct sl_invocation *invocation);
// A list of them, in its order, before all others.
void sl_invoke__waiting_push_first(struct sl_invoke__shard *shard, struct sl_invocation *first);
// The caller gives back the reference to the pool.
void sl_invoke__waiting_unlink(struct sl_invoke__shard *shard, struct sl_invocation *invocation);
// It is an invocation's turn: the oldest, or NULL. The reference to the pool is given back.
struct sl_invocation *sl_invoke__waiting_pop(struct sl_invoke__shard *shard);
// The youngest is refused, if any: those before it have older claims on what is coming.
void sl_invoke__waiting_refuse_last(struct sl_invoke__pool *pool, unsigned loop, const struct sl_error *error,
                                    enum sl_invoke__throttle reason);
// Refuses all of the loop that waited too long.
void sl_invoke__waiting_expire(struct sl_invoke__loop *here);

#endif
