// SPDX-License-Identifier: Apache-2.0
//
// conntrack: see conntrack.h. The kernel removes one connection at a time, named by its tuple, so they are read (a dump
// of all, there is no filter on older kernels) and named back. Runs in the builder of a sandbox, not in the spawner:
// it takes as long as there are connections. Source: the kernel's include/uapi/linux/netfilter/nfnetlink_conntrack.h.
#include "jail/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALIGNED(length) (((size_t)(length) + 3) & ~(size_t)3) // NLA_ALIGN and NLMSG_ALIGN, unsigned

enum {
    TUPLE_MAX = 128, // bytes; one of IPv4 has 52
    AT_ONCE = 256,   // found by one dump
    ROUNDS = 64,
    TYPE_GET = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
    TYPE_DELETE = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
};

struct tuple {
    uint16_t size; // of the attribute, header included
    _Alignas(4) char bytes[TUPLE_MAX];
};

struct found {
    struct in_addr address;
    unsigned count;
    bool more;
    struct tuple tuples[AT_ONCE];
};

struct request {
    struct nlmsghdr header;
    struct nfgenmsg family;
    char tuple[TUPLE_MAX];
};

int sl_jail__conntrack_open(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    return fd < 0 ? -errno : fd;
}

// The attribute of this type among those in [at, at + size), or NULL.
static const struct nlattr *attribute(const char *at, size_t size, unsigned type) {
    while (size >= sizeof(struct nlattr)) {
        const struct nlattr *this = (const struct nlattr *)(const void *)at;
        if (this->nla_len < sizeof *this || this->nla_len > size) return NULL;
        if ((this->nla_type & NLA_TYPE_MASK) == type) return this;
        size_t step = ALIGNED(this->nla_len);
        if (step >= size) return NULL;
        at += step;
        size -= step;
    }
    return NULL;
}

static const struct nlattr *inside(const struct nlattr *outer, unsigned type) {
    if (outer == NULL) return NULL;
    return attribute((const char *)outer + sizeof(struct nlattr), outer->nla_len - sizeof(struct nlattr), type);
}

static void look(struct found *found, const struct nlmsghdr *message) {
    size_t skipped = sizeof(struct nlmsghdr) + ALIGNED(sizeof(struct nfgenmsg));
    if (message->nlmsg_len < skipped) return;
    const struct nlattr *tuple =
        attribute((const char *)message + skipped, message->nlmsg_len - skipped, CTA_TUPLE_ORIG);
    const struct nlattr *source = inside(inside(tuple, CTA_TUPLE_IP), CTA_IP_V4_SRC);
    if (source == NULL || source->nla_len != sizeof(struct nlattr) + sizeof found->address ||
        tuple->nla_len > TUPLE_MAX)
        return;
    if (memcmp((const char *)source + sizeof(struct nlattr), &found->address, sizeof found->address) != 0) return;
    found->more = found->count == AT_ONCE;
    if (found->more) return;
    struct tuple *kept = &found->tuples[found->count++];
    kept->size = tuple->nla_len;
    memcpy(kept->bytes, tuple, tuple->nla_len);
}

static int send_request(int fd, uint16_t type, uint16_t flags, const struct tuple *tuple) {
    struct request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof request.family),
                   .nlmsg_type = type,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
        .family = {.nfgen_family = AF_INET, .version = NFNETLINK_V0},
    };
    if (tuple != NULL) {
        memcpy(request.tuple, tuple->bytes, tuple->size);
        request.header.nlmsg_len += (uint32_t)ALIGNED(tuple->size);
    }
    return send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

// Reads answers until the last one: the end of a dump, or an acknowledgement. What a dump has goes to found.
static int read_answer(int fd, struct found *found) {
    _Alignas(struct nlmsghdr) char room[32768];
    for (;;) {
        ssize_t got = recv(fd, room, sizeof room, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? -errno : -EIO;
        size_t left = (size_t)got;
        for (const struct nlmsghdr *at = (const struct nlmsghdr *)(const void *)room; NLMSG_OK(at, left);
             at = NLMSG_NEXT(at, left)) {
            if (at->nlmsg_type == NLMSG_DONE) return 0;
            if (at->nlmsg_type == NLMSG_ERROR) return ((const struct nlmsgerr *)NLMSG_DATA(at))->error;
            if (found != NULL) look(found, at);
        }
    }
}

int sl_jail__conntrack_forget(int socket, struct in_addr address) {
    struct found found = {.address = address, .more = true};
    int rc = 0;
    for (int round = 0; rc == 0 && found.more && round < ROUNDS; round++) {
        found.count = 0;
        found.more = false;
        rc = send_request(socket, TYPE_GET, NLM_F_DUMP, NULL);
        if (rc == 0) rc = read_answer(socket, &found);
        for (unsigned i = 0; rc == 0 && i < found.count; i++) {
            rc = send_request(socket, TYPE_DELETE, NLM_F_ACK, &found.tuples[i]);
            if (rc == 0) rc = read_answer(socket, NULL);
            if (rc == -ENOENT) rc = 0; // it has just ended by itself
        }
    }
    return rc;
}
