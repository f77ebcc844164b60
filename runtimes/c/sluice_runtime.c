// SPDX-License-Identifier: Apache-2.0
//
// The Runtime API client behind sluice_runtime.h.
//
// Data flow: read_response() fills `in` from the connection and cuts one HTTP response out of it; an event is handed to
// the handler in place (head lines and body get NUL bytes where CR stood). The handler writes into `out`, which keeps
// room for the HTTP head in front of the body, so that head, body and the request for the next event are contiguous and
// leave in one send(). The server may hold the 202 of a post back until the next event is there; `owed` counts the
// answers that come before the event.
//
// Invariants: one connection, one thread. `in` holds nothing but the current event while the handler runs. `out.body`
// never exceeds MAX_BODY unless streaming, where it is emptied as it fills. Memory grows to what the largest event and
// answer needed, and stays.
//
// Errors: a connection that ends where an answer is due is made anew once per event (a server closes after refusing a
// body); if that fails too, sluice_run() ends and the environment with it.

#define _XOPEN_SOURCE 700

#include "sluice_runtime.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENT   ((size_t)8 << 20)
#define MAX_HEAD    ((size_t)1 << 20)
#define MAX_BODY    ((size_t)6291556) // Lambda's limit of a buffered answer: 6 MiB and 100 bytes
#define HEAD_ROOM   ((size_t)1024)    // more than the longest head post_head() can make
#define CHUNK_ROOM  ((size_t)16)      // room for a chunk's size line in front of it
#define CHUNK_SIZE  ((size_t)16384)
#define EXIT_WAIT_S 2 // how long a post that ends the process waits for its answer
#define MAX_ID      ((size_t)128)
#define USER_AGENT  "sluice-c/1"
#define PREFIX      "/2018-06-01/runtime/"

enum { BROKEN = -1 }; // the connection ended or failed, or what came is not HTTP

struct buffer {
    char *data;
    size_t len, cap;
};

struct connection {
    struct sockaddr_in peer;
    char address[64];
    int fd;
    int owed;         // answers to posts that have not been read
    struct buffer in; // [at, len) is unread
    size_t at;
};

struct http_response {
    int status;
    bool close;
    char *head; // the header lines, each ended by a NUL byte
    size_t head_len;
    char *body;
    size_t body_len;
};

struct sluice_response {
    struct connection *connection;
    char request_id[MAX_ID + 1];
    char content_type[128];
    char error_type[128];
    struct buffer out;   // HEAD_ROOM bytes, then the body (or the chunk being gathered)
    struct buffer error; // the error report, once there is one
    bool streaming;      // the head has been sent
    bool too_large;
    bool broken; // out of memory, or the connection failed while streaming
};

// ------------------------------------------------------------------------------------------ buffers

static int reserve(struct buffer *b, size_t more) {
    if (more <= b->cap - b->len) {
        return 0;
    }
    size_t cap = b->cap ? b->cap : 4096;
    while (cap - b->len < more) {
        cap *= 2; // callers bound `len + more` far below SIZE_MAX
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        return -1;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

static int append(struct buffer *b, const void *data, size_t len) {
    if (reserve(b, len)) {
        return -1;
    }
    if (len) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    return 0;
}

static int append_text(struct buffer *b, const char *text) { return append(b, text, strlen(text)); }

// The length of the UTF-8 sequence at `s`, or 0 if there is none (RFC 3629: no surrogates, no overlong forms).
static size_t utf8_length(const unsigned char *s, size_t left) {
    static const struct {
        unsigned char first, last, low, high; // range of the first byte, range of the second
        size_t len;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) {
            continue;
        }
        if (forms[i].len > left || (forms[i].len > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((s[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

static int append_json(struct buffer *b, const char *text, size_t len) {
    if (append(b, "\"", 1)) {
        return -1;
    }
    for (size_t i = 0; i < len;) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t n = utf8_length(s, len - i);
        int failed;
        if (n == 0) {
            failed = append_text(b, "\\ufffd");
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            char pair[2] = {'\\', (char)*s};
            failed = append(b, pair, 2);
        } else if (*s < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", *s);
            failed = append_text(b, escape);
        } else {
            failed = append(b, s, n);
        }
        if (failed) {
            return -1;
        }
        i += n;
    }
    return append(b, "\"", 1);
}

// ------------------------------------------------------------------------------------------ the connection

static int connection_init(struct connection *c) {
    *c = (struct connection){.fd = -1};
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
    c->fd = -1;
    c->owed = 0;
    c->in.len = c->at = 0;
}

// In a sandbox the Runtime API is a Unix socket too, at a third of the cost. Another address than the sandbox's is
// somebody's proxy, and must be used.
static int connection_open_local(struct connection *c) {
    static const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/sluice/runtime.sock"};
    if (strcmp(c->address, "127.0.0.1:9001") != 0) {
        return 0;
    }
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (c->fd >= 0 && connect(c->fd, (const struct sockaddr *)&local, sizeof local) == 0) {
        return 1;
    }
    connection_close(c);
    return 0;
}

static int connection_open(struct connection *c) {
    connection_close(c);
    if (connection_open_local(c)) {
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

// ------------------------------------------------------------------------------------------ requests

static int append_next(struct buffer *b, const struct connection *c) {
    char text[256];
    int n = snprintf(text, sizeof text,
                     "GET " PREFIX "invocation/next HTTP/1.1\r\nHost: %s\r\nUser-Agent: " USER_AGENT "\r\n\r\n",
                     c->address);
    return append(b, text, (size_t)n);
}

static int send_next(struct connection *c) {
    struct buffer b = {0};
    int failed = append_next(&b, c) || send_all(c, b.data, b.len);
    free(b.data);
    return failed ? BROKEN : 0;
}

// A header value that nothing in an error type of the user's can break out of.
static void copy_printable(char *to, size_t cap, const char *from) {
    size_t n = 0;
    for (; from[n] && n + 1 < cap; n++) {
        to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
    }
    to[n] = '\0';
}

// Writes a post's head. `fields` are whole header lines. At most HEAD_ROOM bytes: every part is bounded.
static size_t post_head(char *to, const struct connection *c, const char *path, const char *type, const char *fields) {
    int n =
        snprintf(to, HEAD_ROOM,
                 "POST " PREFIX "%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: " USER_AGENT "\r\nContent-Type: %s\r\n%s\r\n",
                 path, c->address, type, fields);
    return n < 0 || (size_t)n >= HEAD_ROOM ? 0 : (size_t)n;
}

static void response_path(char *to, size_t cap, const struct sluice_response *r, const char *kind) {
    snprintf(to, cap, "invocation/%s/%s", r->request_id, kind);
}

// Sends a post from a buffer that has HEAD_ROOM bytes in front of its body, with the next request behind it.
static int post_and_next(struct sluice_response *r, struct buffer *b, const char *kind, const char *error_type) {
    char path[MAX_ID + 32], fields[256], head[HEAD_ROOM];
    size_t body_len = b->len - HEAD_ROOM;
    int n = snprintf(fields, sizeof fields, "Content-Length: %zu\r\n", body_len);
    if (error_type) {
        snprintf(fields + n, sizeof fields - (size_t)n, "Lambda-Runtime-Function-Error-Type: %s\r\n", error_type);
    }
    response_path(path, sizeof path, r, kind);
    const char *type = error_type ? "application/json" : r->content_type;
    size_t head_len = post_head(head, r->connection, path, type, fields);
    if (append_next(b, r->connection)) {
        return BROKEN;
    }
    char *start = b->data + HEAD_ROOM - head_len;
    memcpy(start, head, head_len);
    int failed = send_all(r->connection, start, head_len + b->len - HEAD_ROOM);
    r->connection->owed = 1;
    return failed;
}

// ------------------------------------------------------------------------------------------ the answer

static int begin_buffer(struct buffer *b) {
    b->len = 0;
    if (reserve(b, HEAD_ROOM)) {
        return -1;
    }
    b->len = HEAD_ROOM;
    return 0;
}

static int make_report(struct buffer *b, const char *type, const char *message) {
    return begin_buffer(b) || append_text(b, "{\"errorMessage\":") || append_json(b, message, strlen(message)) ||
           append_text(b, ",\"errorType\":") || append_json(b, type, strlen(type)) ||
           append_text(b, ",\"stackTrace\":[]}");
}

// Sends what has gathered as one chunk, followed by `tail` (the end of the body, and perhaps the next request).
static int send_chunk(struct sluice_response *r, const char *tail, size_t tail_len) {
    size_t len = r->out.len - HEAD_ROOM, line_len = 0;
    char line[CHUNK_ROOM];
    if (len) { // an empty chunk would end the body
        line_len = (size_t)snprintf(line, sizeof line, "%zx\r\n", len);
    }
    if ((len && append(&r->out, "\r\n", 2)) || append(&r->out, tail, tail_len)) {
        return -1;
    }
    char *start = r->out.data + HEAD_ROOM - line_len;
    memcpy(start, line, line_len);
    int failed = send_all(r->connection, start, (size_t)(r->out.data + r->out.len - start));
    r->out.len = HEAD_ROOM;
    return failed;
}

int sluice_flush(struct sluice_response *r) {
    if (r->streaming && !r->broken && r->out.len > HEAD_ROOM && send_chunk(r, "", 0)) {
        r->broken = true;
    }
    return r->broken ? -1 : 0;
}

// What every writer does last: notes failure, and keeps the limits.
static int written(struct sluice_response *r, int failed) {
    if (failed) {
        r->broken = true;
    }
    if (r->streaming) {
        return r->out.len - HEAD_ROOM >= CHUNK_SIZE ? sluice_flush(r) : (r->broken ? -1 : 0);
    }
    if (r->out.len - HEAD_ROOM > MAX_BODY) {
        r->too_large = true;
        r->out.len = HEAD_ROOM; // nothing of it will be sent
    }
    return r->broken || r->too_large ? -1 : 0;
}

int sluice_write(struct sluice_response *r, const void *data, size_t len) {
    const char *p = data;
    while (r->streaming && len > CHUNK_SIZE) { // so that `out` stays small
        if (written(r, append(&r->out, p, CHUNK_SIZE))) {
            return -1;
        }
        p += CHUNK_SIZE;
        len -= CHUNK_SIZE;
    }
    if (r->too_large || len > MAX_BODY) {
        r->too_large = true;
        return -1;
    }
    return written(r, append(&r->out, p, len));
}

int sluice_write_string(struct sluice_response *r, const char *text, size_t len) {
    if (r->too_large || len > MAX_BODY) {
        r->too_large = true;
        return -1;
    }
    return written(r, append_json(&r->out, text, len));
}

int sluice_printf(struct sluice_response *r, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result;
    if (n < 0 || (size_t)n > MAX_BODY || r->too_large) {
        r->too_large = true;
        result = -1;
    } else if (reserve(&r->out, (size_t)n + 1)) {
        result = written(r, -1);
    } else {
        vsnprintf(r->out.data + r->out.len, (size_t)n + 1, format, again);
        r->out.len += (size_t)n;
        result = written(r, 0);
    }
    va_end(again);
    return result;
}

void sluice_content_type(struct sluice_response *r, const char *type) {
    copy_printable(r->content_type, sizeof r->content_type, type);
}

int sluice_fail(struct sluice_response *r, const char *type, const char *message) {
    copy_printable(r->error_type, sizeof r->error_type, type);
    fprintf(stderr, "[ERROR] %s: %s\n", type, message);
    if (make_report(&r->error, type, message)) {
        r->broken = true;
    }
    return -1;
}

int sluice_stream(struct sluice_response *r) {
    if (r->streaming || r->broken || r->too_large) {
        return r->streaming && !r->broken ? 0 : -1;
    }
    char path[MAX_ID + 32], head[HEAD_ROOM];
    response_path(path, sizeof path, r, "response");
    size_t n = post_head(head, r->connection, path, r->content_type,
                         "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
                         "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n");
    r->streaming = true;
    r->broken = send_all(r->connection, head, n) != 0;
    return sluice_flush(r);
}

int sluice_stream_http(struct sluice_response *r, const char *json, size_t len) {
    static const char separator[8] = {0};
    if (r->streaming || r->out.len > HEAD_ROOM) {
        return -1;
    }
    sluice_content_type(r, "application/vnd.awslambda.http-integration-response");
    return sluice_write(r, json, len) || sluice_write(r, separator, sizeof separator) || sluice_stream(r) ? -1 : 0;
}

static int append_base64(struct buffer *b, const char *text, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t n = len - i;
        unsigned v = (unsigned)s[0] << 16 | (n > 1 ? (unsigned)s[1] << 8 : 0) | (n > 2 ? s[2] : 0u);
        char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                        n > 2 ? digits[v & 63] : '='};
        if (append(b, quad, 4)) {
            return -1;
        }
    }
    return 0;
}

static int finish_stream(struct sluice_response *r) {
    struct buffer tail = {0};
    int failed = append_text(&tail, "0\r\n");
    if (r->error.len) {
        failed |= append_text(&tail, "Lambda-Runtime-Function-Error-Type: ") || append_text(&tail, r->error_type) ||
                  append_text(&tail, "\r\nLambda-Runtime-Function-Error-Body: ") ||
                  append_base64(&tail, r->error.data + HEAD_ROOM, r->error.len - HEAD_ROOM) ||
                  append_text(&tail, "\r\n");
    }
    failed |= append_text(&tail, "\r\n") || append_next(&tail, r->connection);
    failed = failed || send_chunk(r, tail.data, tail.len);
    r->connection->owed = 1;
    free(tail.data);
    return failed ? BROKEN : 0;
}

static int finish(struct sluice_response *r, int handler_result) {
    fflush(stdout);
    if (r->too_large) {
        sluice_fail(r, "Function.ResponseSizeTooLarge",
                    "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
    } else if (r->broken && !r->streaming && !r->error.len) {
        sluice_fail(r, "Runtime.OutOfMemory", "Out of memory while the response was written.");
    } else if (handler_result != 0 && !r->error.len) {
        char message[64];
        snprintf(message, sizeof message, "The handler returned %d.", handler_result);
        sluice_fail(r, "Function.HandlerFailed", message);
    }
    if (r->streaming) {
        return r->broken ? BROKEN : finish_stream(r);
    }
    return r->error.len ? post_and_next(r, &r->error, "error", r->error_type)
                        : post_and_next(r, &r->out, "response", NULL);
}

// ------------------------------------------------------------------------------------------ events

// Reads up to the next event. Returns 0, BROKEN, or 1 if the server said that there will be none.
static int read_event(struct connection *c, struct http_response *event) {
    for (; c->owed > 0; c->owed--) {
        struct http_response answer;
        if (read_response(c, &answer)) {
            return BROKEN;
        }
        if (answer.status != 202) {
            fprintf(stderr, "[ERROR] Runtime API answered %d: %.*s\n", answer.status, (int)answer.body_len,
                    answer.body);
        }
        if (answer.status >= 500) {
            return 1;
        }
        if (answer.close) {
            return BROKEN;
        }
    }
    if (read_response(c, event)) {
        return BROKEN;
    }
    if (event->status != 200) {
        fprintf(stderr, "[ERROR] Runtime API answered %d to next: %.*s\n", event->status, (int)event->body_len,
                event->body);
        return 1;
    }
    return 0;
}

static int next_event(struct connection *c, struct http_response *event) {
    int failed = c->fd < 0 ? BROKEN : read_event(c, event);
    if (failed == BROKEN) {
        failed = connection_open(c) || send_next(c) ? BROKEN : read_event(c, event);
    }
    if (failed == BROKEN) {
        fprintf(stderr, "[ERROR] Runtime.LambdaRuntimeClientError: no answer from the Runtime API at %s\n", c->address);
    }
    return failed;
}

// Libraries for tracing read the environment. setenv() would leak a little at every invocation (glibc keeps all values
// it was ever given), so the variable is our own memory, changed in place.
static void publish_trace_id(const char *trace_id) {
    static char variable[1024] = "_X_AMZN_TRACE_ID=";
    if (!trace_id) {
        unsetenv("_X_AMZN_TRACE_ID");
        return;
    }
    copy_printable(strchr(variable, '=') + 1, sizeof variable - sizeof "_X_AMZN_TRACE_ID=" + 1, trace_id);
    putenv(variable);
}

static int handle(struct connection *c, struct sluice_response *r, struct http_response *event, sluice_handler handler,
                  void *arg) {
    const char *id = header(event, "Lambda-Runtime-Aws-Request-Id");
    const char *deadline = header(event, "Lambda-Runtime-Deadline-Ms");
    const char *arn = header(event, "Lambda-Runtime-Invoked-Function-Arn");
    if (!id || !*id || strlen(id) > MAX_ID || strpbrk(id, "\r\n /?#")) {
        fprintf(stderr, "[ERROR] Runtime API sent an event without a usable request id\n");
        return 1;
    }
    struct sluice_context context = {
        .request_id = r->request_id,
        .function_arn = arn ? arn : "",
        .trace_id = header(event, "Lambda-Runtime-Trace-Id"),
        .client_context = header(event, "Lambda-Runtime-Client-Context"),
        .cognito_identity = header(event, "Lambda-Runtime-Cognito-Identity"),
        .tenant_id = header(event, "Lambda-Runtime-Aws-Tenant-Id"),
        .deadline_ms = deadline ? strtoll(deadline, NULL, 10) : 0,
    };
    publish_trace_id(context.trace_id);
    memcpy(r->request_id, id, strlen(id) + 1);
    memcpy(r->content_type, "application/json", sizeof "application/json");
    r->connection = c;
    r->streaming = r->too_large = r->broken = false;
    r->error.len = 0;
    if (begin_buffer(&r->out)) {
        return 1;
    }
    event->body[event->body_len] = '\0'; // read_more() keeps room; nothing can follow an event
    struct sluice_event e = {event->body, event->body_len};
    if (finish(r, handler(&e, &context, r, arg))) {
        connection_close(c); // next_event() makes a new one
    }
    return 0;
}

int sluice_run(sluice_handler handler, void *arg) {
    static struct sluice_response response; // large, and there is only one
    struct connection c;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (connection_init(&c)) {
        return 1;
    }
    struct http_response event;
    while (next_event(&c, &event) == 0 && handle(&c, &response, &event, handler, arg) == 0) {}
    connection_close(&c);
    free(c.in.data);
    free(response.out.data);
    free(response.error.data);
    response = (struct sluice_response){0};
    return 1;
}

int sluice_init_error(const char *type, const char *message) {
    struct connection c;
    struct buffer report = {0};
    char clean[128], fields[256], head[HEAD_ROOM];
    fprintf(stderr, "[ERROR] %s: %s\n", type, message);
    copy_printable(clean, sizeof clean, type);
    if (connection_init(&c) == 0 && make_report(&report, type, message) == 0 && connection_open(&c) == 0) {
        // Ask for the answer now, as there is no next event to hold it back for; and do not insist on it.
        struct timeval wait = {.tv_sec = EXIT_WAIT_S};
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        snprintf(fields, sizeof fields,
                 "Connection: close\r\nLambda-Runtime-Function-Error-Type: %s\r\nContent-Length: %zu\r\n", clean,
                 report.len - HEAD_ROOM);
        size_t head_len = post_head(head, &c, "init/error", "application/json", fields);
        char *start = report.data + HEAD_ROOM - head_len;
        memcpy(start, head, head_len);
        struct http_response answer;
        if (send_all(&c, start, head_len + report.len - HEAD_ROOM) || read_response(&c, &answer)) {
            fprintf(stderr, "[ERROR] the init error could not be reported to %s\n", c.address);
        }
        connection_close(&c);
        free(c.in.data);
    }
    free(report.data);
    return 1;
}

int64_t sluice_remaining_ms(const struct sluice_context *context) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = context->deadline_ms - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return left > 0 ? left : 0;
}
