// SPDX-License-Identifier: Apache-2.0
//
// usernet: the router's uplink when Sluice runs as an ordinary user, who may not touch the host's network: a helper
// program, slirp4netns or pasta, that carries the router's packets over ordinary sockets. It needs to open
// /dev/net/tun.
#ifndef SL_JAIL_USERNET_H
#define SL_JAIL_USERNET_H

struct sl_error;
struct sl_jail_config;
struct sl_jail__router;

// Starts a helper on router->ns, whose interface "up" it makes, and waits (two seconds at most) until it carries. Sets
// helper and, for slirp4netns, the resolver. The helper dies with the caller. 0 or an error kind.
int sl_jail__usernet_start(struct sl_jail__router *router, const struct sl_jail_config *config, struct sl_error *err);
void sl_jail__usernet_stop(struct sl_jail__router *router);

#endif
