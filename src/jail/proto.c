// SPDX-License-Identifier: Apache-2.0
//
// proto: see proto.h. SCM_RIGHTS is used with one control message; MSG_CTRUNC means that the receiver ran out of
// descriptors (the kernel drops those that do not fit), which must never be taken for "none were sent".
#include "jail/proto.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * SL_JAIL__FDS)];
};

void sl_jail__close(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void sl_jail__close_all(int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++) sl_jail__close(&fds[i]);
}

bool sl_jail__is_closed(int socket) {
    struct pollfd other = {.fd = socket};
    return poll(&other, 1, 0) != 0 && (other.revents & POLLHUP) != 0;
}

int sl_jail__send(int socket, const void *message, size_t size, const int *fds, unsigned fd_count) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    if (fd_count > SL_JAIL__FDS) return -EINVAL;
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int sl_jail__receive(int socket, void *message, size_t size, int fds[SL_JAIL__FDS]) {
    struct iovec part = {.iov_base = message, .iov_len = size};
    union control control;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    for (unsigned i = 0; i < SL_JAIL__FDS; i++) fds[i] = -1;
    ssize_t got;
    do got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), sizeof(int) * (count < SL_JAIL__FDS ? count : SL_JAIL__FDS));
    }
    if (got == 0) return 0;
    int result = (size_t)got != size || (header.msg_flags & MSG_TRUNC) != 0 ? -EPROTO
                 : (header.msg_flags & MSG_CTRUNC) != 0                     ? -EMFILE
                                                                            : 1;
    if (result < 0) sl_jail__close_all(fds, SL_JAIL__FDS);
    return result;
}

int sl_jail__send_roles(int socket, const void *message, size_t size, uint32_t *ret_has,
                        const int fds[SL_JAIL__ROLES]) {
    int packed[SL_JAIL__ROLES];
    unsigned count = 0;
    *ret_has = 0;
    for (unsigned role = 0; role < SL_JAIL__ROLES; role++) {
        if (fds[role] < 0) continue;
        *ret_has |= 1u << role;
        packed[count++] = fds[role];
    }
    return sl_jail__send(socket, message, size, packed, count);
}

bool sl_jail__take_roles(int fds[SL_JAIL__FDS], uint32_t has) {
    int packed[SL_JAIL__FDS];
    unsigned next = 0;
    memcpy(packed, fds, sizeof packed);
    bool good = has < 1u << SL_JAIL__ROLES;
    for (unsigned role = 0; good && role < SL_JAIL__FDS; role++) {
        fds[role] = role < SL_JAIL__ROLES && (has & 1u << role) != 0 ? packed[next++] : -1;
        if (role < SL_JAIL__ROLES && (has & 1u << role) != 0 && fds[role] < 0) good = false;
    }
    if (good && (next == SL_JAIL__FDS || packed[next] < 0)) return true;
    sl_jail__close_all(packed, SL_JAIL__FDS);
    for (unsigned i = 0; i < SL_JAIL__FDS; i++) fds[i] = -1;
    return false;
}
