// SPDX-License-Identifier: Apache-2.0
//
// http_fixture: a server connection on a real loop in a thread of its own, and a client's end of the socket pair in the
// test's thread. The handler answers by path; the test waits for conditions (counters under a mutex) and talks plain
// bytes.
//
//   /echo     the body               /inspect  what was parsed, as text        /park   kept until the test answers
//   /stream   three parts and an end /direct   through sl_http_body_begin      /size/N N bytes of body
//   /close    closes its connection and answers nevertheless                   /lazy   answers lazily
//   /early    answered from `head`   /parts    body taken in parts             /none   204
#ifndef SL_TESTS_HTTP_FIXTURE_H
#define SL_TESTS_HTTP_FIXTURE_H

#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { FIXTURE_PATIENCE_S = 60 };

struct fixture {
    struct sl_loop *loop;
    pthread_t thread;
    struct sl_http_config config;
    struct sl_http_conn *conn;
    int client;
    struct sl_buf received; // what the client got, without Date lines
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Under the lock:
    _Atomic unsigned handled, aborted, closed, drained; // also read without it
    size_t max_unsent;
    struct sl_http_request *parked;
    // Of the loop's thread:
    struct sl_buf parts;
    void (*on_handle)(struct fixture *fixture, struct sl_http_request *request); // replaces the table
    void (*on_part)(struct fixture *fixture, struct sl_http_request *request);
};

// Changes a counter and wakes the test.
#define FIXTURE_CHANGE(fixture, statement)                                                                             \
    do {                                                                                                               \
        pthread_mutex_lock(&(fixture)->lock);                                                                          \
        statement;                                                                                                     \
        pthread_cond_broadcast(&(fixture)->changed);                                                                   \
        pthread_mutex_unlock(&(fixture)->lock);                                                                        \
    } while (0)

// Waits until the condition (over fixture's counters) holds.
#define FIXTURE_AWAIT(fixture, condition)                                                                              \
    do {                                                                                                               \
        struct timespec limit_;                                                                                        \
        clock_gettime(CLOCK_REALTIME, &limit_);                                                                        \
        limit_.tv_sec += FIXTURE_PATIENCE_S;                                                                           \
        pthread_mutex_lock(&(fixture)->lock);                                                                          \
        int late_ = 0;                                                                                                 \
        while (!(condition) && !late_) late_ = pthread_cond_timedwait(&(fixture)->changed, &(fixture)->lock, &limit_); \
        pthread_mutex_unlock(&(fixture)->lock);                                                                        \
        if (late_) fail_msg("waited in vain for %s", #condition);                                                      \
    } while (0)

static inline void fixture_aborted(struct sl_http_request *request) {
    struct fixture *fixture = request->user;
    FIXTURE_CHANGE(fixture, {
        fixture->aborted++;
        fixture->parked = NULL;
    });
}

static inline void fixture_inspect(struct sl_http_request *request) {
    struct sl_buf text;
    sl_buf_init(&text, 1 << 20);
    sl_buf_printf(&text, "%.*s(%d) target=%.*s path=%.*s query=%s%.*s host=%.*s minor=%d", SL_FMT(request->method_text),
                  request->method, SL_FMT(request->target), SL_FMT(request->path), request->query.ptr ? "" : "NULL",
                  (int)request->query.len, request->query.ptr ? request->query.ptr : "", SL_FMT(request->host),
                  request->minor);
    for (unsigned i = 0; i < request->header_count; i++)
        sl_buf_printf(&text, " [%.*s=%.*s]", SL_FMT(request->headers[i].name), SL_FMT(request->headers[i].value));
    sl_buf_printf(&text, " body=%.*s", (int)request->body.len, request->body.len ? request->body.ptr : "");
    for (unsigned i = 0; i < request->trailer_count; i++)
        sl_buf_printf(&text, " {%.*s=%.*s}", SL_FMT(request->trailers[i].name), SL_FMT(request->trailers[i].value));
    sl_http_respond(request, 200, SL_STR("text/plain"), sl_buf_view(&text));
    sl_buf_free(&text);
}

static inline void fixture_answer_size(struct sl_http_request *request, struct sl_str digits) {
    uint64_t size = 0;
    sl_str_to_u64(digits, &size);
    char *body = malloc(size + 1);
    memset(body, 'x', size);
    sl_http_respond(request, 200, SL_STR(""), sl_str_n(body, size));
    free(body);
}

static inline void fixture_handle(struct sl_http_request *request, void *user) {
    struct fixture *fixture = user;
    struct sl_str path = request->path;
    request->user = fixture;
    size_t unsent = sl_http_unsent(request);
    FIXTURE_CHANGE(fixture, {
        fixture->handled++;
        fixture->max_unsent = unsent > fixture->max_unsent ? unsent : fixture->max_unsent;
    });
    if (fixture->on_handle) {
        fixture->on_handle(fixture, request);
    } else if (sl_str_is(path, "/inspect")) {
        fixture_inspect(request);
    } else if (sl_str_is(path, "/park")) {
        request->aborted = fixture_aborted;
        FIXTURE_CHANGE(fixture, fixture->parked = request);
    } else if (sl_str_is(path, "/stream")) {
        sl_http_begin(request, 200);
        sl_http_add(request, SL_STR("X-Kind"), SL_STR("stream"));
        sl_http_stream(request);
        sl_http_part(request, SL_STR("one,"));
        sl_http_part(request, SL_STR(""));
        sl_http_part(request, SL_STR("twotwotwotwotwotwo,"));
        sl_http_part(request, SL_STR("three"));
        sl_http_end(request);
    } else if (sl_str_is(path, "/direct")) {
        sl_http_begin(request, 200);
        struct sl_buf *out = sl_http_body_begin(request, 11);
        sl_buf_cstr(out, "direct ");
        sl_buf_cstr(out, "body");
        sl_http_body_end(request);
    } else if (sl_str_is(path, "/close")) {
        sl_http_conn_close(request->conn);
        sl_http_respond(request, 200, SL_STR("text/plain"), SL_STR("never seen"));
    } else if (sl_str_is(path, "/lazy")) {
        sl_http_respond_lazy(request, 202, SL_STR(""), SL_STR("lazy"));
    } else if (sl_str_is(path, "/none")) {
        sl_http_respond(request, 204, SL_STR(""), SL_STR(""));
    } else if (sl_str_is(path, "/parts")) {
        sl_http_respond(request, 200, SL_STR(""), sl_buf_view(&fixture->parts));
        sl_buf_clear(&fixture->parts, 0);
    } else if (sl_str_starts(path, SL_STR("/size/"))) {
        fixture_answer_size(request, sl_str_sub(path, 6, path.len));
    } else {
        sl_http_respond(request, 200, SL_STR(""), request->body);
    }
}

static inline int fixture_head(struct sl_http_request *request, size_t *max_body, void *user) {
    (void)user;
    if (sl_str_is(request->path, "/small")) *max_body = 10;
    if (!sl_str_is(request->path, "/early")) return 0;
    sl_http_respond(request, 403, SL_STR(""), SL_STR("early"));
    return 1;
}

static inline bool fixture_wants_parts(struct sl_http_request *request, void *user) {
    request->user = user;
    if (!sl_str_is(request->path, "/parts")) return false;
    request->aborted = fixture_aborted;
    return true;
}

static inline void fixture_part(struct sl_http_request *request, struct sl_str part, void *user) {
    struct fixture *fixture = user;
    sl_buf_str(&fixture->parts, part);
    if (fixture->on_part) fixture->on_part(fixture, request);
}

static inline void fixture_closed(struct sl_http_conn *conn, void *user) {
    struct fixture *fixture = user;
    FIXTURE_CHANGE(fixture, {
        fixture->closed++;
        fixture->conn = fixture->conn == conn ? NULL : fixture->conn;
    });
}

static const struct sl_http_handler fixture_handler = {.head = fixture_head,
                                                       .wants_parts = fixture_wants_parts,
                                                       .body_part = fixture_part,
                                                       .handle = fixture_handle,
                                                       .closed = fixture_closed};

static inline void *fixture_thread(void *argument) {
    sl_loop_run(((struct fixture *)argument)->loop);
    return NULL;
}

// ---- work on the loop's thread ------------------------------------------------------------------------------------

struct fixture_call {
    struct sl_mail mail;
    struct fixture *fixture;
    void (*function)(struct fixture *fixture);
    bool done;
};

static inline void fixture_deliver(struct sl_mail *mail) {
    struct fixture_call *call = SL_CONTAINER(mail, struct fixture_call, mail);
    struct fixture *fixture = call->fixture;
    call->function(fixture);
    FIXTURE_CHANGE(fixture, call->done = true);
}

static inline void fixture_call(struct fixture *fixture, struct sl_loop *loop, void (*function)(struct fixture *)) {
    struct fixture_call call = {.fixture = fixture, .function = function};
    sl_loop_post(loop, &call.mail, fixture_deliver);
    FIXTURE_AWAIT(fixture, call.done);
}

// ---- set-up -------------------------------------------------------------------------------------------------------

static inline struct fixture *fixture_new(void) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct sl_error err;
    struct sl_loop_config loop = {0};
    assert_int_equal(sl_loop_new(&fixture->loop, &loop, &err), 0);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    sl_buf_init(&fixture->received, 1 << 30);
    sl_buf_init(&fixture->parts, 1 << 30);
    fixture->client = -1;
    fixture->config = (struct sl_http_config){.handler = &fixture_handler,
                                              .user = fixture,
                                              .max_head = 8192,
                                              .max_headers = 20,
                                              .max_body = 64 << 20,
                                              .head_timeout_ms = 60000,
                                              .body_timeout_ms = 60000,
                                              .idle_timeout_ms = 60000,
                                              .write_timeout_ms = 60000};
    assert_int_equal(pthread_create(&fixture->thread, NULL, fixture_thread, fixture), 0);
    return fixture;
}

static inline void fixture_set_patience(int fd) {
    struct timeval patience = {.tv_sec = FIXTURE_PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static int fixture_server_end;

static inline void fixture_adopt(struct fixture *fixture) {
    struct sl_error err;
    assert_int_equal(sl_http_conn_new(fixture->loop, fixture_server_end, &fixture->config, &fixture->conn, &err), 0);
}

// A new connection; the one before is closed by the client.
static inline void fixture_connect(struct fixture *fixture) {
    if (fixture->client >= 0) close(fixture->client);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fixture->client = ends[0];
    fixture_set_patience(fixture->client);
    fixture_server_end = ends[1];
    assert_int_equal(fcntl(fixture_server_end, F_SETFL, O_NONBLOCK), 0);
    fixture_call(fixture, fixture->loop, fixture_adopt);
    sl_buf_clear(&fixture->received, 1 << 20);
}

static inline void fixture_close_conn(struct fixture *fixture) {
    if (fixture->conn) sl_http_conn_close(fixture->conn);
}

static inline void fixture_free(struct fixture *fixture) {
    fixture_call(fixture, fixture->loop, fixture_close_conn);
    sl_loop_stop(fixture->loop);
    pthread_join(fixture->thread, NULL);
    sl_loop_free(fixture->loop);
    if (fixture->client >= 0) close(fixture->client);
    sl_buf_free(&fixture->received);
    sl_buf_free(&fixture->parts);
    pthread_mutex_destroy(&fixture->lock);
    pthread_cond_destroy(&fixture->changed);
    free(fixture);
}

// ---- the client ---------------------------------------------------------------------------------------------------

static inline void fixture_send_n(struct fixture *fixture, const char *bytes, size_t len) {
    while (len) {
        ssize_t sent = send(fixture->client, bytes, len, MSG_NOSIGNAL);
        if (sent < 0) fail_msg("send: %s", strerror(errno));
        bytes += sent;
        len -= (size_t)sent;
    }
}

static inline void fixture_send(struct fixture *fixture, const char *text) {
    fixture_send_n(fixture, text, strlen(text));
}

// Removes complete Date lines, which no test can foresee.
static inline void fixture_strip(struct sl_buf *buf) {
    for (;;) {
        ptrdiff_t at = sl_str_find(sl_buf_view(buf), SL_STR("\r\nDate: "));
        if (at < 0) return;
        size_t line = sizeof "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n" - 1;
        if (buf->len - (size_t)at - 2 < line) return;
        memmove(buf->ptr + at + 2, buf->ptr + at + 2 + line, buf->len - (size_t)at - 2 - line);
        buf->len -= line;
    }
}

// More bytes into `received`; false at the end of the connection.
static inline bool fixture_receive(struct fixture *fixture) {
    char *at = sl_buf_reserve(&fixture->received, 65536);
    assert_non_null(at);
    ssize_t got = recv(fixture->client, at, 65536, 0);
    if (got < 0 && errno != ECONNRESET) fail_msg("recv: %s", strerror(errno));
    if (got <= 0) return false;
    fixture->received.len += (size_t)got;
    fixture_strip(&fixture->received);
    return true;
}

// The next bytes are exactly these.
static inline void fixture_expect(struct fixture *fixture, const char *expected) {
    size_t len = strlen(expected);
    while (fixture->received.len < len ||
           (fixture->received.len > len && sl_str_find(sl_buf_view(&fixture->received), SL_STR("\r\nDate: ")) >= 0 &&
            (size_t)sl_str_find(sl_buf_view(&fixture->received), SL_STR("\r\nDate: ")) < len))
        if (!fixture_receive(fixture)) break;
    char *text = strndup(fixture->received.ptr ? fixture->received.ptr : "",
                         fixture->received.len < len ? fixture->received.len : len);
    assert_string_equal(text, expected);
    free(text);
    sl_buf_consume(&fixture->received, len);
}

// Nothing more comes, and the server has closed.
static inline void fixture_expect_end(struct fixture *fixture) {
    while (fixture_receive(fixture)) {}
    if (fixture->received.len) fail_msg("unexpected: %.*s", (int)fixture->received.len, fixture->received.ptr);
}

// Reads to the end of the connection; the view lives until the next connect.
static inline struct sl_str fixture_read_all(struct fixture *fixture) {
    while (fixture_receive(fixture)) {}
    return sl_buf_view(&fixture->received);
}

static inline void fixture_read_until(struct fixture *fixture, size_t len) {
    while (fixture->received.len < len)
        if (!fixture_receive(fixture)) fail_msg("the connection ended after %zu bytes", fixture->received.len);
}

// Answers the request that /park keeps; on the loop's thread.
static inline void fixture_answer_parked(struct fixture *fixture) {
    struct sl_http_request *request = fixture->parked;
    FIXTURE_CHANGE(fixture, fixture->parked = NULL);
    sl_http_respond(request, 200, SL_STR(""), SL_STR("late"));
}

#endif
