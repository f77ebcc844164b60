// SPDX-License-Identifier: Apache-2.0
//
// netlink: the six routing requests that connect a sandbox, over one rtnetlink socket. A socket stays in the namespace
// it was opened in, wherever the process goes, so a caller may hold one per namespace. All results 0 or -errno.
#ifndef SL_JAIL_NETLINK_H
#define SL_JAIL_NETLINK_H

#include <netinet/in.h>
#include <stdint.h>

// A socket in the current network namespace, or -errno.
int sl_jail__netlink_open(void);
// Index of an interface by name in the socket's namespace, or -errno.
int sl_jail__link_index(int socket, const char *name);
// A veth pair: name here, peer in the namespace behind peer_ns. -EEXIST when name is taken.
int sl_jail__link_add_veth(int socket, const char *name, const char *peer, int peer_ns, unsigned mtu);
// Sets up, and a text for people to see in `ip link` (NULL: none).
int sl_jail__link_up(int socket, int index, const char *alias);
int sl_jail__link_delete(int socket, int index);
int sl_jail__address_add(int socket, int index, struct in_addr address, unsigned prefix);
// Route to destination/prefix; gateway.s_addr 0: directly on the link.
int sl_jail__route_add(int socket, int index, struct in_addr destination, unsigned prefix, struct in_addr gateway);

#endif
