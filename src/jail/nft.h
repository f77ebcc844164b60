// SPDX-License-Identifier: Apache-2.0
//
// nft: the firewall rules, loaded once at start with the nft program and never touched after. Two tables: "sluice"
// inside the router (dies with it), and "sluice_<n>" on the host for the uplink slu<n>. A host table without its
// interface is the leftover of a killed spawner, and is removed by the next start of any.
#ifndef SL_JAIL_NFT_H
#define SL_JAIL_NFT_H

#include <stdbool.h>
#include <stddef.h>

struct sl_error;
struct sl_jail_config;
struct sl_jail__router;

// Removes leftovers, loads the rules. When forwarding on the default route's device is on for our sake only, the host's
// table has a chain "guard" that refuses to forward for anybody else.
int sl_jail__nft_load(const struct sl_jail__router *router, const struct sl_jail_config *config, struct sl_error *err);
// True when a table of any Sluice, living or left over, has a guard.
bool sl_jail__nft_guarded(void);
void sl_jail__nft_unload(const struct sl_jail__router *router);
// True when the nft program is installed and the kernel takes rules of the kind above in the current network namespace,
// which is left with them. *ret_said (room bytes) is nft's complaint otherwise.
bool sl_jail__nft_try(char *ret_said, size_t room);

#endif
