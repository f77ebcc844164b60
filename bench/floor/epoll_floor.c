// SPDX-License-Identifier: Apache-2.0
//
// epoll_floor: what every figure of the front is measured against: a plain epoll server, one thread, that does the
// least that is still HTTP/1.1 with keep-alive: find the end of each head, answer fixed bytes, one write per read. It
// checks nothing, limits nothing and times nobody out. It links nothing of ours.
//
//   epoll_floor [--body TEXT] PORT               on 127.0.0.1
//   epoll_floor [--body TEXT] --proxy-unix PATH  on a Unix socket: the backend behind nginx or haproxy
//
// The answer has the fields that Sluice sends. Requests with bodies are not understood. Ends on SIGTERM or SIGINT.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 65536, IN_SIZE = 16384, BATCH = 256, MAX_ANSWER = 4096 };

// How far the end of a head ("\r\n\r\n") has been seen, per connection: all the state there is.
static unsigned char matched[MAX_FDS];
static char answer[MAX_ANSWER];
static size_t answer_len;

static void die(const char *what) {
    fprintf(stderr, "epoll_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_answer(const char *body) {
    char date[64];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", date,
                       strlen(body), body);
    if (len < 0 || (size_t)len >= sizeof answer) {
        fprintf(stderr, "epoll_floor: the body is too long\n");
        exit(2);
    }
    answer_len = (size_t)len;
}

static int listen_tcp(const char *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) die(port);
    return fd;
}

static int listen_unix(const char *path) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(address.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) die(path);
    return fd;
}

// Number of heads that end in these bytes.
static unsigned heads(unsigned char *state, const char *bytes, size_t len) {
    unsigned count = 0;
    // The usual case: one head, whole.
    if (*state == 0 && len >= 4 && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0 &&
        memmem(bytes, len, "\r\n\r\n", 4) == bytes + len - 4)
        return 1;
    for (size_t i = 0; i < len; i++) {
        char expected = *state & 1 ? '\n' : '\r';
        *state = bytes[i] == expected ? (unsigned char)(*state + 1) : bytes[i] == '\r';
        if (*state == 4) {
            *state = 0;
            count++;
        }
    }
    return count;
}

static void serve(int fd) {
    static char in[IN_SIZE], out[IN_SIZE / 16 * 256];
    ssize_t got = recv(fd, in, sizeof in, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        close(fd);
        return;
    }
    unsigned count = heads(&matched[fd], in, (size_t)got);
    if (count == 1) {
        if (send(fd, answer, answer_len, MSG_NOSIGNAL) != (ssize_t)answer_len) close(fd);
        return;
    }
    while (count) { // pipelined
        size_t len = 0;
        for (; count && len + answer_len <= sizeof out; count--, len += answer_len)
            memcpy(out + len, answer, answer_len);
        // A peer that does not read what it asked for is not part of this measurement.
        if (send(fd, out, len, MSG_NOSIGNAL) != (ssize_t)len) {
            close(fd);
            return;
        }
    }
}

static void accept_all(int listener, int poll) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MAX_FDS || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            continue;
        }
        matched[fd] = 0;
    }
}

int main(int argc, char **argv) {
    const char *body = "hello\n", *port = NULL, *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--body") == 0 && i + 1 < argc)
            body = argv[++i];
        else if (strcmp(argv[i], "--proxy-unix") == 0 && i + 1 < argc)
            path = argv[++i];
        else
            port = argv[i];
    }
    if ((port != NULL) == (path != NULL)) {
        fprintf(stderr, "usage: epoll_floor [--body TEXT] PORT | --proxy-unix PATH\n");
        return 2;
    }
    make_answer(body);
    int listener = path ? listen_unix(path) : listen_tcp(port), poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, batch[BATCH];
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    for (;;) {
        int count = epoll_wait(poll, batch, BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (batch[i].data.fd == listener)
                accept_all(listener, poll);
            else
                serve(batch[i].data.fd);
        }
    }
}
