// SPDX-License-Identifier: Apache-2.0
//
// attack_net: verbs against the network and other processes' sockets.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

enum { PATIENCE_MS = 3000 };

// Connects with a limit of time; a peer that says nothing at all is ETIMEDOUT.
static int reach(int fd, const struct sockaddr *address, socklen_t size) {
    if (connect(fd, address, size) == 0) return 0;
    if (errno != EINPROGRESS) return -1;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (poll(&wait, 1, PATIENCE_MS) != 1) {
        errno = ETIMEDOUT;
        return -1;
    }
    int error = 0;
    socklen_t length = sizeof error;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    return error == 0 ? 0 : -1;
}

// connect NAME PORT: TCP to the first address of the name.
static void connect_tcp(struct attack *attack) {
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(attack->word[1], attack->word[2], &hints, &found);
    if (rc != 0) {
        attack_say(attack, "unresolved: %s", gai_strerror(rc));
        return;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    attack_judge(attack, fd < 0 ? -1 : reach(fd, found->ai_addr, found->ai_addrlen));
    if (fd >= 0) close(fd);
    freeaddrinfo(found);
}

// datagram ADDRESS PORT: UDP with an echo; "silence" without an answer.
static void datagram(struct attack *attack) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)attack_number(attack, 2))};
    inet_pton(AF_INET, attack->word[1], &address.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte = 'x';
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || send(fd, &byte, 1, 0) != 1)
        attack_judge(attack, -1);
    else if (poll(&wait, 1, PATIENCE_MS / 3) != 1)
        attack_say(attack, "silence");
    else
        attack_judge(attack, recv(fd, &byte, 1, 0));
    close(fd);
}

// unix NAME: a socket in the abstract name space ("@" first) or at a path.
static void connect_unix(struct attack *attack) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(attack->word[1]);
    if (length > sizeof address.sun_path) length = sizeof address.sun_path;
    memcpy(address.sun_path, attack->word[1], length);
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    attack_judge(attack, connect(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + length)));
    close(fd);
}

// listen PORT: serves for ever on every address of the sandbox; the result is the one that others would use.
static void serve(struct attack *attack) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)attack_number(attack, 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) {
        attack_judge(attack, -1);
        return;
    }
    struct ifaddrs *list;
    attack_say(attack, "none");
    if (getifaddrs(&list) != 0) return;
    for (struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
        attack_say(attack, "%s", inet_ntoa(((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr));
    }
    freeifaddrs(list);
}

// address ADDRESS: takes an address on eth0 by routing netlink, as if it were another sandbox's.
static void take_address(struct attack *attack) {
    struct {
        struct nlmsghdr header;
        struct ifaddrmsg message;
        struct rtattr attribute;
        struct in_addr address;
    } request = {.header = {.nlmsg_len = sizeof request,
                            .nlmsg_type = RTM_NEWADDR,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
                 .message = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1},
                 .attribute = {.rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char room[512];
    } answer;
    inet_pton(AF_INET, attack->word[1], &request.address);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || send(fd, &request, sizeof request, 0) < 0 || recv(fd, &answer, sizeof answer, 0) < 0) {
        attack_judge(attack, -1);
    } else {
        errno = -answer.error.error;
        attack_judge(attack, answer.error.error == 0 ? 0 : -1);
    }
    if (fd >= 0) close(fd);
}

// link NAME: switches an interface off.
static void switch_link(struct attack *attack) {
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", attack->word[1]);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    attack_judge(attack, ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
}

const struct attack_verb attack_net_verbs[] = {
    {"connect", connect_tcp},  {"datagram", datagram}, {"unix", connect_unix}, {"listen", serve},
    {"address", take_address}, {"link", switch_link},  {NULL, NULL},
};
