// SPDX-License-Identifier: Apache-2.0
//
// delivery: a subscriber's connection. Between subscriber.c, which fills batches, and delivery.c, which sends them.
#ifndef SL_RUNTIME_DELIVERY_H
#define SL_RUNTIME_DELIVERY_H

#include "runtime/subscriber.h"

// Sends subscriber->sending; exactly one sl_delivery__done follows, now or later, unless the connection is closed by
// sl_delivery__close before.
void sl_delivery__start(struct sl_subscriber *subscriber);
// The batch was delivered (failure NULL), or is given up. In subscriber.c.
void sl_delivery__done(struct sl_subscriber *subscriber, const char *failure);
void sl_delivery__close(struct sl_subscriber *subscriber);
// Watches the connection on subscriber->loop again.
int sl_delivery__attach(struct sl_subscriber *subscriber, struct sl_error *err);

#endif
