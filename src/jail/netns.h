// SPDX-License-Identifier: Apache-2.0
//
// netns: network namespaces. A sandbox has lo, and with network eth0, one end of a veth pair whose other end lies in
// the router: a namespace of its own in which all filtering, address translation and connection tracking happens, off
// the host's stack, with one uplink to the host. No bridge: sandboxes share no segment.
//
//   sandbox: eth0 198.19.a.b ── s<slot> :router: up 198.18.x.2 ── slu<n> 198.18.x.1 :host: (forwarding, masquerade) ──
//   world
//
// Addresses are fixed per slot, so that rules never change after start. Namespaces are recycled with their slot:
// removing a veth takes tens of milliseconds with the kernel's network lock held.
#ifndef SL_JAIL_NETNS_H
#define SL_JAIL_NETNS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_error;
struct sl_jail_config;

struct sl_jail__router {
    int ns;         // descriptor of the router's namespace, -1: no network on this machine
    int host_ns;    // descriptor of the namespace that the spawner started in
    unsigned index; // n in slu<n>
    unsigned mtu;
    struct in_addr dns[3];
    unsigned dns_count;
    char device[16];      // interface of the host's default route, "" when there is none
    bool uplink;          // slu<n> exists and is ours
    pid_t helper;         // rootless: the program that is the uplink, 0 else
    bool forwarding_ours; // forwarding on device is on for Sluice's sake only
};

// Makes the router, its uplink and its rules. On failure router->ns stays -1 and err says why and what to do; that is
// no reason not to start.
int sl_jail__router_open(struct sl_jail__router *router, const struct sl_jail_config *config, bool rootless,
                         struct sl_error *err);
void sl_jail__router_close(struct sl_jail__router *router);
// The resolvers of the host that sandboxes can use: configured ones, else /etc/resolv.conf's that are not loopback.
unsigned sl_jail__resolvers(const struct sl_jail_config *config, struct in_addr *ret_dns, unsigned room);

// In the future init of a sandbox, while the host's /proc is still there: makes a network namespace and enters it. With
// network, connects it to the router. 0 or -errno; *ret_ns is a descriptor of it.
int sl_jail__netns_make(const struct sl_jail__router *router, unsigned slot, bool network, int *ret_ns,
                        const char **ret_step);
// In the same place, instead: enters the namespace of a sandbox that is gone, and makes sure that with network nothing
// of its connections is left. That takes milliseconds of a processor, so not when it sent nothing: *sent is how many
// packets had been sent here when that was done last (0: never) and becomes how many they are now. 0 or -errno.
int sl_jail__netns_recycle(const struct sl_jail__router *router, unsigned slot, bool network, int ns, uint64_t *sent);
// The server's listening sockets in a sandbox: TCP on a port of the loopback of the current network namespace, and at
// SL_JAIL_SOCKET in the current root, which must be a sandbox's own. A descriptor or -errno.
int sl_jail__netns_listen(uint16_t port);
int sl_jail__netns_listen_unix(void);

#endif
