// SPDX-License-Identifier: Apache-2.0
//
// announce: what a spawner says when it starts about the walls that it found, and above all about those that it did
// not: nothing is weaker without a line in the log. (`sluice doctor` finds out by itself, before a server is started.)
#ifndef SL_JAIL_ANNOUNCE_H
#define SL_JAIL_ANNOUNCE_H

struct sl_jail__shells;

// After everything was prepared. May fork.
void sl_jail__announce(const struct sl_jail__shells *shells);

#endif
