// SPDX-License-Identifier: Apache-2.0
//
// output: the sending side of a connection. Bytes queue in exchange->out and go out in as few system calls as possible:
// at the end of a batch of pipelined requests, or with the end of an answer given later. EPOLLOUT is asked for only
// after a short send. Nothing here calls a handler or frees anything, so it is safe inside any call of a handler.
#include "http/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void write_timed_out(struct sl_timer *timer) {
    sl_http__kill(SL_CONTAINER(timer, struct sl_http_conn, write_timer));
}

void sl_http__break(struct sl_http_conn *conn) {
    conn->broken = true;
    conn->blocked = false;
    if (conn->exchange) {
        sl_buf_clear(&conn->exchange->out, SL_HTTP_KEEP);
        conn->exchange->out_at = 0;
    }
    if (conn->loop) sl_timer_start(conn->loop, &conn->write_timer, 0, write_timed_out);
}

// What the kernel took, or -1 when the connection is lost.
static ssize_t send_now(struct sl_http_conn *conn, struct sl_str queued, struct sl_str body) {
    struct iovec parts[2] = {{(void *)(uintptr_t)queued.ptr, queued.len}, {(void *)(uintptr_t)body.ptr, body.len}};
    struct msghdr message = {.msg_iov = queued.len ? parts : parts + 1, .msg_iovlen = queued.len && body.len ? 2 : 1};
    for (;;) {
        ssize_t sent = body.len ? sendmsg(conn->watch.fd, &message, MSG_NOSIGNAL)
                                : send(conn->watch.fd, queued.ptr, queued.len, MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno != EINTR) return -1;
    }
}

static void took(struct sl_http_conn *conn, size_t sent) {
    struct sl_http_exchange *exchange = conn->exchange;
    exchange->out_at += sent;
    if (exchange->out_at == exchange->out.len) {
        sl_buf_clear(&exchange->out, SL_HTTP_KEEP);
        exchange->out_at = 0;
    } else if (exchange->out_at > exchange->out.len / 2) { // at most one byte is moved per byte sent
        sl_buf_consume(&exchange->out, exchange->out_at);
        exchange->out_at = 0;
    }
}

void sl_http__flush_with(struct sl_http_conn *conn, struct sl_str body) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (conn->dead || conn->broken || !conn->loop || !exchange) return;
    if (exchange->answer == SL_HTTP_ANSWER_DIRECT) return; // somebody writes into the queue right now
    if (exchange->out.failed) {
        sl_http__break(conn);
        return;
    }
    struct sl_str queued = sl_str_sub(sl_buf_view(&exchange->out), exchange->out_at, exchange->out.len);
    if (queued.len + body.len == 0) return;
    ssize_t sent = conn->blocked ? 0 : send_now(conn, queued, body);
    if (sent < 0) {
        sl_http__break(conn);
        return;
    }
    size_t of_queue = (size_t)sent < queued.len ? (size_t)sent : queued.len;
    if (of_queue) took(conn, of_queue);
    sl_buf_str(&exchange->out, sl_str_sub(body, (size_t)sent - of_queue, body.len));
    if (exchange->out.failed) {
        sl_http__break(conn);
        return;
    }
    bool blocked = sl_http__unsent(conn) > 0;
    if (!blocked)
        sl_timer_stop(&conn->write_timer);
    else if ((sent > 0 || !conn->blocked) && conn->config.write_timeout_ms)
        sl_timer_start(conn->loop, &conn->write_timer, conn->config.write_timeout_ms, write_timed_out);
    conn->blocked = blocked;
    sl_http__update_watch(conn);
}

void sl_http__flush(struct sl_http_conn *conn) { sl_http__flush_with(conn, (struct sl_str){NULL, 0}); }
