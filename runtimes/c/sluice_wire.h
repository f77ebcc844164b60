// SPDX-License-Identifier: Apache-2.0
//
// Part of sluice_runtime.c, which includes it so that a function is built from one source file: the connection to the
// Runtime API, and the HTTP responses that come on it.
//
// Data flow: read_response() fills `in` and cuts one HTTP response out of it, in place: its head lines get NUL bytes
// where CR LF stood. The server may hold the 202 of a post back until the next event is there; `owed` counts the
// answers that come before the event.
//
// Invariants: `in` keeps room for one byte behind what was received. Everything is bounded (MAX_EVENT, MAX_HEAD).

#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

#include "sluice_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_EVENT  ((size_t)8 << 20)
#define MAX_HEAD   ((size_t)1 << 20)
#define USER_AGENT "sluice-c/1"
#define PREFIX     "/2018-06-01/runtime/"

enum { BROKEN = -1 }; // the connection ended or failed, or what came is not HTTP

// What sluice_lane.h keeps of a connection on which frames may be spoken.
struct lane {
    bool local;     // the connection leads to the sandbox's socket, whose server may know lanes
    bool on;        // frames are spoken
    bool more;      // the event in work may have others behind it
    bool ringing;   // an event of this batch was sent ahead
    int64_t unrung; // when the first answer was given of which the server does not know; 0: none
    int bell;       // the second connection; -1: none
};

// Tells whether something was printed (sluice_lane.h).
struct output {
    int pipe, epoll; // -1: it is not watched
    bool stale;      // there may have been output that was not asked for
};

struct connection {
    struct sockaddr_in peer;
    char address[64];
    int fd;
    int owed;         // answers to posts that have not been read
    struct buffer in; // [at, len) is unread
    size_t at;
    struct lane lane;
    struct output output;
};

struct http_response {
    int status;
    bool close;
    char *head; // the header lines, each ended by a NUL byte
    size_t head_len;
    char *body;
    size_t body_len;
};

static int connection_init(struct connection *c) {
    *c = (struct connection){.fd = -1, .lane.bell = -1, .output = {.pipe = -1, .epoll = -1}};
    const char *address = getenv("AWS_LAMBDA_RUNTIME_API");
    const char *colon = address ? strrchr(address, ':') : NULL;
    if (!colon || strlen(address) >= sizeof c->address) {
        fprintf(stderr, "[ERROR] AWS_LAMBDA_RUNTIME_API must be set to address:port\n");
        return -1;
    }
    memcpy(c->address, address, strlen(address) + 1);
    char host[sizeof c->address];
    size_t host_len = (size_t)(colon - address);
    memcpy(host, address, host_len);
    host[host_len] = '\0';
    if (strcmp(host, "localhost") == 0) {
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    }
    char *end;
    long port = strtol(colon + 1, &end, 10);
    c->peer.sin_family = AF_INET;
    if (*end || port < 1 || port > 65535 || inet_pton(AF_INET, host, &c->peer.sin_addr) != 1) {
        fprintf(stderr, "[ERROR] AWS_LAMBDA_RUNTIME_API is not an IPv4 address and port: %s\n", address);
        return -1;
    }
    c->peer.sin_port = htons((uint16_t)port);
    return 0;
}

static void connection_close(struct connection *c) {
    if (c->fd >= 0) {
        close(c->fd);
    }
    if (c->lane.bell >= 0) {
        close(c->lane.bell);
    }
    c->lane = (struct lane){.bell = -1};
    c->fd = -1;
    c->owed = 0;
    c->in.len = c->at = 0;
}

// In a sandbox the Runtime API is a Unix socket too, at a third of the cost. Another address than the sandbox's is
// somebody's proxy, and must be used. Returns a connected socket that children do not inherit, or -1.
static int open_local(const struct connection *c) {
    static const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/sluice/runtime.sock"};
    if (strcmp(c->address, "127.0.0.1:9001") != 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) || connect(fd, (const struct sockaddr *)&local, sizeof local))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int connection_open(struct connection *c) {
    connection_close(c);
    c->fd = open_local(c);
    if (c->fd >= 0) {
        c->lane.local = true;
        return 0;
    }
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) {
        return BROKEN;
    }
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // only costs latency if refused
    while (connect(c->fd, (const struct sockaddr *)&c->peer, sizeof c->peer)) {
        if (errno != EINTR) {
            connection_close(c);
            return BROKEN;
        }
    }
    return 0;
}

static int send_all(struct connection *c, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return BROKEN;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

// Reads more behind what `in` holds. Keeps one byte of room for a NUL byte.
static int read_more(struct connection *c, size_t at_least) {
    if (reserve(&c->in, (at_least < 65536 ? 65536 : at_least) + 1)) {
        return BROKEN;
    }
    // Who waits in recv() on a Unix socket is woken also when the peer takes what was sent, in vain; in poll() not.
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    ssize_t n;
    do {
        n = poll(&ready, 1, -1);
    } while (n < 0 && errno == EINTR);
    do {
        n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len - 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return BROKEN;
    }
    c->in.len += (size_t)n;
    return 0;
}

// Finds CRLF (or CRLFCRLF) at or behind `from`, reading on as needed. Returns its offset in `in`, or BROKEN.
static ssize_t find(struct connection *c, size_t from, const char *what, size_t limit) {
    size_t n = strlen(what);
    for (size_t at = from;;) {
        for (; at + n <= c->in.len; at++) {
            if (memcmp(c->in.data + at, what, n) == 0) {
                return (ssize_t)at;
            }
        }
        if (c->in.len - from > limit || read_more(c, 0)) {
            return BROKEN;
        }
    }
}

static const char *header(const struct http_response *r, const char *name) {
    size_t n = strlen(name);
    for (char *line = r->head; line < r->head + r->head_len; line += strlen(line) + 1) {
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            line += n + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

// Turns the chunked body at `at` into a plain one in place. Returns its length, or BROKEN.
static ssize_t read_chunks(struct connection *c, size_t at) {
    size_t from = at, to = at; // read position, write position
    for (;;) {
        ssize_t eol = find(c, from, "\r\n", MAX_HEAD);
        if (eol < 0) {
            return BROKEN;
        }
        char *end;
        unsigned long size = strtoul(c->in.data + from, &end, 16);
        if (end == c->in.data + from || size > MAX_EVENT || to - at + size > MAX_EVENT) {
            return BROKEN;
        }
        from = (size_t)eol + 2;
        if (size == 0) {
            break;
        }
        while (c->in.len - from < size + 2) {
            if (read_more(c, size + 2)) {
                return BROKEN;
            }
        }
        memmove(c->in.data + to, c->in.data + from, size);
        to += size;
        from += size + 2;
    }
    for (;;) { // trailers, up to an empty line
        ssize_t eol = find(c, from, "\r\n", MAX_HEAD);
        if (eol < 0) {
            return BROKEN;
        }
        bool empty = (size_t)eol == from;
        from = (size_t)eol + 2;
        if (empty) {
            break;
        }
    }
    c->at = from;
    return (ssize_t)(to - at);
}

// Reads the next response. Its pointers lead into `in` and hold until the next call.
static int read_response(struct connection *c, struct http_response *r) {
    if (c->at == c->in.len) {
        c->at = c->in.len = 0;
    }
    size_t start;
    do {
        start = c->at;
        ssize_t end = find(c, start, "\r\n\r\n", MAX_HEAD);
        if (end < 0) {
            return BROKEN;
        }
        r->head_len = (size_t)end - start + 2;
        c->at = (size_t)end + 4;
        if (r->head_len < 14 || strncmp(c->in.data + start, "HTTP/1.", 7) != 0) {
            return BROKEN;
        }
        r->status = atoi(c->in.data + start + 9);
    } while (r->status >= 100 && r->status < 200); // interim answers have no body
    r->head = c->in.data + start;
    for (char *p = r->head; (p = memchr(p, '\r', (size_t)(r->head + r->head_len - p))) != NULL; p += 2) {
        p[0] = '\0';
        p[1] = '\0'; // the LF: an empty string between lines, which header() passes over
    }
    const char *connection = header(r, "Connection");
    r->close = connection && strcasecmp(connection, "close") == 0;
    size_t body = c->at;
    const char *length = header(r, "Content-Length");
    if (header(r, "Transfer-Encoding")) {
        ssize_t n = read_chunks(c, body);
        if (n < 0) {
            return BROKEN;
        }
        r->body_len = (size_t)n;
    } else {
        unsigned long long n = length ? strtoull(length, NULL, 10) : 0;
        if (n > MAX_EVENT) {
            return BROKEN;
        }
        r->body_len = (size_t)n;
        while (c->in.len - body < r->body_len) {
            if (read_more(c, r->body_len - (c->in.len - body))) {
                return BROKEN;
            }
        }
        c->at = body + r->body_len;
    }
    r->head = c->in.data + start; // `in` may have moved
    r->body = c->in.data + body;
    return 0;
}

#endif
