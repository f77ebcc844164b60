// SPDX-License-Identifier: Apache-2.0
//
// rcu: how this server uses liburcu's QSBR flavour. Configuration that requests read (functions, APIs) is published as
// immutable objects in RCU hash tables; a loop turn is a read section, so readers pay nothing.
//
//   loop threads    sl_rcu_reader_start before the loop, sl_rcu_reader_stop after it; quiescent/offline/online from the
//   loop's hooks other threads   sl_rcu_begin ... sl_rcu_end around looking up or publishing (registered on first use,
//   offline in between)
#ifndef SL_NET_RCU_H
#define SL_NET_RCU_H

// The legacy header maps the generic names (rcu_*, call_rcu) onto the QSBR flavour; rculfhash.h needs them.
#include <urcu-qsbr.h>

#include <urcu/rculfhash.h>

void sl_rcu_reader_start(void);
void sl_rcu_reader_stop(void);
// For sl_loop_config: the user pointer is ignored.
void sl_rcu_quiescent(void *user);
void sl_rcu_offline(void *user);
void sl_rcu_online(void *user);

void sl_rcu_begin(void);
void sl_rcu_end(void);

#endif
