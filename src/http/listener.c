// SPDX-License-Identifier: Apache-2.0
//
// listener: accepts connections for one loop, keeps the list of them, and drains them when the server stops.
//
// Limits: at most max_connections at a time; at the limit the listener stops accepting (the kernel's backlog holds the
// newcomers) until one has closed. When the process has no file descriptor left, a reserve is spent to accept and close
// the newcomer, because a pending connection that cannot be accepted would keep the loop awake.
#include "base/log.h"
#include "http/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_EVENT = 64, WARN_EVERY_MS = 10000 };

struct sl_http_listener {
    struct sl_watch watch;
    struct sl_loop *loop;
    struct sl_http_config config;
    struct sl_http_conn *conns;
    unsigned count, max;
    int reserve_fd;
    bool paused, draining;
    int64_t warned_ms;      // when a warning was logged last: a crowd must not fill the log
    struct sl_timer report; // calls `drained` outside of any connection's callback
    void (*drained)(void *user);
    void *drained_user;
};

static int open_reserve(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static void add(struct sl_http_listener *listener, struct sl_http_conn *conn) {
    conn->listener = listener;
    conn->next = listener->conns;
    conn->prev = &listener->conns;
    if (conn->next) conn->next->prev = &conn->next;
    listener->conns = conn;
    listener->count++;
}

static bool may_warn(struct sl_http_listener *listener) {
    int64_t now = sl_loop_now_ms(listener->loop);
    if (listener->warned_ms && now - listener->warned_ms < WARN_EVERY_MS) return false;
    listener->warned_ms = now;
    return true;
}

static void out_of_files(struct sl_http_listener *listener) {
    if (may_warn(listener))
        sl_log_warn("http", "no file descriptor left for a new connection: raise the limit (ulimit -n)");
    if (listener->reserve_fd < 0) return;
    close(listener->reserve_fd);
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    listener->reserve_fd = open_reserve();
}

// False when nothing more can be accepted now.
static bool accept_one(struct sl_http_listener *listener) {
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE) out_of_files(listener);
        return error == ECONNABORTED || error == EINTR || error == EPROTO;
    }
    struct sl_http_conn *conn;
    struct sl_error err;
    int kind = sl_http_conn_new(listener->loop, fd, &listener->config, &conn, &err);
    if (kind) {
        if (may_warn(listener)) sl_log_warn("http", "a connection was refused: %s", err.message);
        return false;
    }
    add(listener, conn);
    return true;
}

static void accept_some(struct sl_http_listener *listener, unsigned limit) {
    while (limit-- > 0 && listener->count < listener->max)
        if (!accept_one(listener)) return;
    if (listener->count < listener->max || listener->paused || !listener->watch.loop) return;
    listener->paused = true;
    sl_watch_change(&listener->watch, 0);
    if (may_warn(listener))
        sl_log_warn("http", "%u connections are open: no more are accepted until one closes", listener->count);
}

static void on_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    accept_some(SL_CONTAINER(watch, struct sl_http_listener, watch), ACCEPTS_PER_EVENT);
}

int sl_http_listen(struct sl_loop *loop, int listen_fd, const struct sl_http_config *config, unsigned max_connections,
                   struct sl_http_listener **ret, struct sl_error *err) {
    struct sl_http_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        close(listen_fd);
        return sl_fail(err, SL_E_NO_MEMORY, "no memory for a listener");
    }
    listener->loop = loop;
    listener->config = *config;
    listener->max = max_connections;
    listener->reserve_fd = open_reserve();
    // Accepted sockets inherit it; on a Unix socket it fails and is not needed.
    int on = 1;
    setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int kind = sl_watch_start(loop, &listener->watch, listen_fd, EPOLLIN, on_ready, err);
    if (kind) {
        close(listen_fd);
        if (listener->reserve_fd >= 0) close(listener->reserve_fd);
        free(listener);
        return kind;
    }
    *ret = listener;
    return 0;
}

static void stop_accepting(struct sl_http_listener *listener) {
    if (!listener->watch.loop) return;
    sl_watch_stop(&listener->watch);
    close(listener->watch.fd);
    if (listener->reserve_fd >= 0) close(listener->reserve_fd);
    listener->reserve_fd = -1;
}

static void report(struct sl_timer *timer) {
    struct sl_http_listener *listener = SL_CONTAINER(timer, struct sl_http_listener, report);
    listener->drained(listener->drained_user);
}

static void report_drained(struct sl_http_listener *listener) {
    if (listener->draining && listener->count == 0) sl_timer_start(listener->loop, &listener->report, 0, report);
}

void sl_http__listener_lost(struct sl_http_listener *listener, struct sl_http_conn *conn) {
    *conn->prev = conn->next;
    if (conn->next) conn->next->prev = conn->prev;
    conn->listener = NULL;
    listener->count--;
    if (listener->paused && listener->watch.loop) {
        listener->paused = false;
        sl_watch_change(&listener->watch, EPOLLIN);
    }
    report_drained(listener);
}

void sl_http_listener_drain(struct sl_http_listener *listener, void (*drained)(void *), void *user) {
    if (listener->draining) return;
    listener->drained = drained;
    listener->drained_user = user;
    // Connections that wait in the backlog may already have sent a request: closing the listening socket would reset
    // them.
    if (listener->watch.loop) accept_some(listener, listener->max);
    stop_accepting(listener);
    listener->draining = true;
    struct sl_http_conn *next;
    for (struct sl_http_conn *conn = listener->conns; conn; conn = next) {
        next = conn->next;
        sl_http_conn_drain(conn);
    }
    report_drained(listener);
}

void sl_http_listener_free(struct sl_http_listener *listener) {
    if (!listener) return;
    stop_accepting(listener);
    while (listener->conns) sl_http__kill(listener->conns);
    sl_timer_stop(&listener->report);
    free(listener);
}

unsigned sl_http_listener_connections(const struct sl_http_listener *listener) { return listener->count; }
