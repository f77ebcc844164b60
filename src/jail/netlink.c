// SPDX-License-Identifier: Apache-2.0
//
// netlink: see netlink.h. One request, one acknowledgement, on a blocking socket whose other end is the kernel.
// Messages are built in a fixed buffer; attributes are appended with the alignment of rtnetlink(7).
#include "jail/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    union {
        struct nlmsghdr header;
        char bytes[1024];
    };
};

static void request_init(struct request *request, uint16_t type, uint16_t flags, size_t body) {
    memset(request, 0, sizeof *request);
    request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
    request->header.nlmsg_type = type;
    request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    request->header.nlmsg_seq = 1;
}

static struct rtattr *add(struct request *request, uint16_t type, const void *data, size_t size) {
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
    struct rtattr *attribute = (struct rtattr *)(void *)(request->bytes + at);
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    if (size > 0) memcpy(RTA_DATA(attribute), data, size);
    request->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(attribute->rta_len));
    return attribute;
}

// Ends a nested attribute: its length is all that was added since.
static void end(struct request *request, struct rtattr *attribute) {
    attribute->rta_len = (unsigned short)(request->bytes + request->header.nlmsg_len - (char *)attribute);
}

int sl_jail__netlink_open(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

// Sends and waits for the answer. A positive result is the index of the link in the answer (RTM_GETLINK only).
static int ask(int socket, struct request *request) {
    char answer[8192];
    if (send(socket, request->bytes, request->header.nlmsg_len, 0) < 0) return -errno;
    for (;;) {
        ssize_t got = recv(socket, answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        struct nlmsghdr *header = (struct nlmsghdr *)(void *)answer;
        if (!NLMSG_OK(header, (size_t)got)) return -EPROTO;
        if (header->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
        if (header->nlmsg_type == RTM_NEWLINK) return ((struct ifinfomsg *)NLMSG_DATA(header))->ifi_index;
    }
}

int sl_jail__link_index(int socket, const char *name) {
    struct request request;
    request_init(&request, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    request.header.nlmsg_flags = NLM_F_REQUEST;
    add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    return ask(socket, &request);
}

int sl_jail__link_add_veth(int socket, const char *name, const char *peer, int peer_ns, unsigned mtu) {
    struct request request;
    request_init(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    add(&request, IFLA_MTU, &mtu, sizeof mtu);
    struct rtattr *info = add(&request, IFLA_LINKINFO, NULL, 0);
    add(&request, IFLA_INFO_KIND, "veth", 5);
    struct rtattr *data = add(&request, IFLA_INFO_DATA, NULL, 0);
    struct ifinfomsg none = {0};
    struct rtattr *other = add(&request, VETH_INFO_PEER, &none, sizeof none);
    add(&request, IFLA_IFNAME, peer, strlen(peer) + 1);
    add(&request, IFLA_NET_NS_FD, &peer_ns, sizeof peer_ns);
    add(&request, IFLA_MTU, &mtu, sizeof mtu);
    end(&request, other);
    end(&request, data);
    end(&request, info);
    return ask(socket, &request);
}

int sl_jail__link_up(int socket, int index, const char *alias) {
    struct request request;
    request_init(&request, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
    struct ifinfomsg *link = NLMSG_DATA(&request.header);
    link->ifi_index = index;
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP;
    if (alias != NULL) add(&request, IFLA_IFALIAS, alias, strlen(alias));
    return ask(socket, &request);
}

int sl_jail__link_delete(int socket, int index) {
    struct request request;
    request_init(&request, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    ((struct ifinfomsg *)NLMSG_DATA(&request.header))->ifi_index = index;
    return ask(socket, &request);
}

int sl_jail__address_add(int socket, int index, struct in_addr address, unsigned prefix) {
    struct request request;
    request_init(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
    struct ifaddrmsg *body = NLMSG_DATA(&request.header);
    body->ifa_family = AF_INET;
    body->ifa_prefixlen = (unsigned char)prefix;
    body->ifa_scope = RT_SCOPE_UNIVERSE;
    body->ifa_index = (unsigned)index;
    add(&request, IFA_LOCAL, &address, sizeof address);
    add(&request, IFA_ADDRESS, &address, sizeof address);
    return ask(socket, &request);
}

int sl_jail__route_add(int socket, int index, struct in_addr destination, unsigned prefix, struct in_addr gateway) {
    struct request request;
    request_init(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg));
    struct rtmsg *body = NLMSG_DATA(&request.header);
    body->rtm_family = AF_INET;
    body->rtm_dst_len = (unsigned char)prefix;
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_protocol = RTPROT_STATIC;
    body->rtm_type = RTN_UNICAST;
    body->rtm_scope = gateway.s_addr == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    add(&request, RTA_OIF, &index, sizeof index);
    if (prefix > 0) add(&request, RTA_DST, &destination, sizeof destination);
    if (gateway.s_addr != 0) add(&request, RTA_GATEWAY, &gateway, sizeof gateway);
    return ask(socket, &request);
}
