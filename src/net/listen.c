// SPDX-License-Identifier: Apache-2.0
//
// listen: see listen.h.
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; // the kernel lowers it to net.core.somaxconn

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_len(const union address *address) {
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static int bad_address(struct sl_str text, struct sl_error *err) {
    return sl_fail(err, SL_E_USAGE, "'%.*s' is not an address to listen on: write it like 127.0.0.1:4566 or [::1]:4566",
                   SL_FMT(text));
}

static int parse(struct sl_str text, union address *ret, struct sl_error *err) {
    struct sl_str host = SL_STR("127.0.0.1"), port = text;
    for (size_t i = text.len; i-- > 0;) {
        if (text.ptr[i] != ':') continue;
        host = sl_str_sub(text, 0, i);
        port = sl_str_sub(text, i + 1, text.len);
        break;
    }
    uint64_t number;
    if (!sl_str_to_u64(port, &number) || number > 65535) return bad_address(text, err);
    if (host.len == 0) host = SL_STR("0.0.0.0");
    if (sl_str_is(host, "localhost")) host = SL_STR("127.0.0.1");
    bool v6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (v6) host = sl_str_sub(host, 1, host.len - 1);
    char name[INET6_ADDRSTRLEN];
    if (host.len >= sizeof name) return bad_address(text, err);
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    memset(ret, 0, sizeof *ret);
    if (v6) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)number);
        return inet_pton(AF_INET6, name, &ret->v6.sin6_addr) == 1 ? 0 : bad_address(text, err);
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons((uint16_t)number);
    return inet_pton(AF_INET, name, &ret->v4.sin_addr) == 1 ? 0 : bad_address(text, err);
}

static int explain(struct sl_str text, int error, struct sl_error *err) {
    switch (error) {
    case EADDRINUSE:
        return sl_fail(
            err, SL_E_IO,
            "%.*s is in use by another program: find it with `ss -ltnp`, or choose another port with --listen",
            SL_FMT(text));
    case EACCES:
        return sl_fail(
            err, SL_E_IO,
            "no permission to listen on %.*s: choose a port of 1024 or more, or start with CAP_NET_BIND_SERVICE",
            SL_FMT(text));
    case EADDRNOTAVAIL:
        return sl_fail(err, SL_E_IO, "%.*s is not an address of this machine: `ip addr` lists them", SL_FMT(text));
    default:
        errno = error;
        return sl_fail_errno(err, "listen on %.*s", SL_FMT(text));
    }
}

// share_before: SO_REUSEPORT is set before bind, which joins others; share_after: after bind, which lets others join
// only.
static int open_one(union address *address, bool share_before, bool share_after, int *ret_fd) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int on = 1;
    socklen_t len = address_len(address);
    // Accepted sockets inherit TCP_NODELAY, which saves a system call per connection.
    bool good =
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        (address->any.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        (!share_before || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
        bind(fd, &address->any, len) == 0 &&
        (!share_after || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, &address->any, &len) == 0;
    if (!good) {
        int error = errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int port_of(const union address *address) {
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

int sl_net_listen(struct sl_str text, bool reuse_port, int *ret_fd, int *ret_port, struct sl_error *err) {
    union address address;
    int kind = parse(text, &address, err);
    if (kind) return kind;
    int error = open_one(&address, reuse_port, false, ret_fd);
    if (error) return explain(text, error, err);
    *ret_port = port_of(&address);
    return 0;
}

int sl_net_listen_group(struct sl_str text, unsigned count, int *ret_fds, int *ret_port, struct sl_error *err) {
    union address address;
    int kind = parse(text, &address, err);
    if (kind) return kind;
    for (unsigned i = 0; i < count; i++) {
        // open_one stores the bound address, so that the others follow to the port that the kernel chose for the first.
        int error = open_one(&address, i > 0, i == 0, &ret_fds[i]);
        if (!error) continue;
        while (i-- > 0) close(ret_fds[i]);
        return explain(text, error, err);
    }
    *ret_port = port_of(&address);
    return 0;
}
