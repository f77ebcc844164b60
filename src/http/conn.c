// SPDX-License-Identifier: Apache-2.0
//
// conn: the life of a connection: events in, phases, time-outs, close. See conn.h for the phases, memory and frames;
// request.c takes a request through its phases.
//
// Every entry from the loop (readiness, timer) is a frame: read once, run the phases as far as the bytes go, then
// settle: send, arm the one timer that the phase needs, change the watched events if need be (rarely), give the buffers
// back when idle.
#include "http/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,      // how long a refused client may go on sending before the close
    DRAIN_FRESH_MS = 1000, // how long a connection that was accepted while draining may wait with its first byte
    MIN_READ = 64 * 1024,  // of a body that has its own buffer
};

static void timed_out(struct sl_timer *timer);

static bool idle(const struct sl_http_conn *conn) {
    const struct sl_http_exchange *exchange = conn->exchange;
    return conn->phase == SL_HTTP_PHASE_HEAD && (!exchange || exchange->start == exchange->in_len);
}

static bool has_input(const struct sl_http_conn *conn) {
    return conn->phase == SL_HTTP_PHASE_HEAD && conn->exchange && conn->exchange->start < conn->exchange->in_len;
}

// ---- what the loop watches and times ------------------------------------------------------------------------------

static uint32_t interest(const struct sl_http_conn *conn) {
    const struct sl_http_exchange *exchange = conn->exchange;
    uint32_t in = conn->eof ? 0 : EPOLLIN | EPOLLRDHUP, out = conn->blocked ? EPOLLOUT : 0;
    switch (conn->phase) {
    case SL_HTTP_PHASE_HEAD:
        return (sl_http__unsent(conn) < SL_HTTP_OUT_HIGH ? in : 0) | out;
    case SL_HTTP_PHASE_BODY:
    case SL_HTTP_PHASE_DISCARD:
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): in these phases there is an exchange
        return (exchange->paused ? 0 : in) | out;
    // Pipelined bytes are taken while there is room; after that only the peer's close is of interest.
    case SL_HTTP_PHASE_HANDLE:
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        return (exchange->in_len < exchange->in_cap ? in : in & EPOLLRDHUP) | out;
    case SL_HTTP_PHASE_CLOSING:
        return out;
    case SL_HTTP_PHASE_LINGER:
        break;
    }
    return in;
}

void sl_http__update_watch(struct sl_http_conn *conn) {
    if (conn->watch.loop && !conn->dead && sl_watch_change(&conn->watch, interest(conn)) != 0) sl_http__break(conn);
}

static enum sl_http_timing timing_of(const struct sl_http_conn *conn) {
    switch (conn->phase) {
    case SL_HTTP_PHASE_HEAD:
        // While the client still reads the last answer it is neither idle nor late: the write timer watches it.
        if (sl_http__unsent(conn) > 0) return SL_HTTP_TIMING_NONE;
        return idle(conn) ? SL_HTTP_TIMING_IDLE : SL_HTTP_TIMING_HEAD;
    case SL_HTTP_PHASE_BODY:
        return conn->exchange->paused ? SL_HTTP_TIMING_NONE : SL_HTTP_TIMING_BODY;
    case SL_HTTP_PHASE_DISCARD:
        return SL_HTTP_TIMING_BODY;
    case SL_HTTP_PHASE_LINGER:
        return SL_HTTP_TIMING_LINGER;
    default:
        return SL_HTTP_TIMING_NONE;
    }
}

static int64_t limit_of(const struct sl_http_conn *conn, enum sl_http_timing timing) {
    const struct sl_http_config *config = &conn->config;
    int64_t limit = timing == SL_HTTP_TIMING_HEAD   ? config->head_timeout_ms
                    : timing == SL_HTTP_TIMING_BODY ? config->body_timeout_ms
                    : timing == SL_HTTP_TIMING_IDLE ? config->idle_timeout_ms
                                                    : LINGER_MS;
    if (timing == SL_HTTP_TIMING_IDLE && conn->draining && (limit == 0 || limit > DRAIN_FRESH_MS))
        limit = DRAIN_FRESH_MS;
    return limit;
}

// A head and a lingering close have one limit from their begin; the others count from the last progress.
static void update_timer(struct sl_http_conn *conn, bool progress) {
    enum sl_http_timing timing = timing_of(conn);
    bool restart = timing != conn->timing || (timing == SL_HTTP_TIMING_BODY && progress);
    if (!restart) return;
    conn->timing = timing;
    int64_t limit = timing == SL_HTTP_TIMING_NONE ? 0 : limit_of(conn, timing);
    if (limit)
        sl_timer_start(conn->loop, &conn->timer, limit, timed_out);
    else
        sl_timer_stop(&conn->timer);
}

void sl_http__resume(struct sl_http_conn *conn) {
    conn->timing = SL_HTTP_TIMING_RESUME;
    sl_timer_start(conn->loop, &conn->timer, 0, timed_out);
}

// ---- death --------------------------------------------------------------------------------------------------------

static void release(struct sl_http_conn *conn) {
    if (conn->exchange) sl_http__exchange_give(conn->loop, conn->exchange);
    sl_http__conn_give(conn->loop, conn);
}

void sl_http__kill(struct sl_http_conn *conn) {
    if (conn->dead) return;
    conn->dead = true;
    sl_watch_stop(&conn->watch);
    sl_timer_stop(&conn->timer);
    sl_timer_stop(&conn->write_timer);
    if (conn->reset) {
        struct linger hard = {.l_onoff = 1};
        setsockopt(conn->watch.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    close(conn->watch.fd);
    if (conn->in_request) {
        conn->in_request = false;
        if (conn->exchange->request.aborted) conn->exchange->request.aborted(&conn->exchange->request);
    }
    if (conn->config.handler->closed) conn->config.handler->closed(conn, conn->user);
    if (conn->listener) sl_http__listener_lost(conn->listener, conn);
    if (!conn->frame) release(conn);
}

// Not inlined: gcc 12 would warn about the address of the frame, not seeing that leave or detach take it back.
static __attribute__((noinline)) void enter(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    frame->gone = false;
    conn->frame = frame;
}

static void leave(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    if (frame->gone) return;
    conn->frame = NULL;
    if (conn->dead) release(conn);
}

// ---- settling: after everything that could be done with the bytes at hand ----------------------------------------

// Everything was said. `now` is false inside a handler's call, where nothing may be freed.
static void close_when_sent(struct sl_http_conn *conn, bool now) {
    if (sl_http__unsent(conn) > 0) return;
    if (conn->linger && !conn->eof && !conn->reset && shutdown(conn->watch.fd, SHUT_WR) == 0) {
        conn->phase = SL_HTTP_PHASE_LINGER;
    } else if (now) {
        sl_http__kill(conn);
    } else {
        sl_http__break(conn);
    }
}

// True if the phases can go on (the flush made room).
static bool settle_once(struct sl_http_conn *conn, bool now) {
    bool crowded = sl_http__unsent(conn) >= SL_HTTP_OUT_HIGH;
    bool hold = conn->lazy && (conn->phase == SL_HTTP_PHASE_HANDLE || (!now && has_input(conn)));
    if (!hold) {
        conn->lazy = false;
        if (sl_http__unsent(conn) > 0) sl_http__flush(conn);
    }
    if (conn->broken) return false;
    if (idle(conn) && (conn->eof || (conn->draining && !conn->fresh))) conn->phase = SL_HTTP_PHASE_CLOSING;
    if (conn->phase == SL_HTTP_PHASE_CLOSING) close_when_sent(conn, now);
    return !conn->dead && has_input(conn) && crowded && sl_http__unsent(conn) < SL_HTTP_OUT_HIGH;
}

static void settle_rest(struct sl_http_conn *conn, bool progress) {
    if (conn->dead || conn->broken) return;
    update_timer(conn, progress);
    if (conn->exchange && idle(conn) && sl_http__unsent(conn) == 0) {
        sl_http__exchange_give(conn->loop, conn->exchange);
        conn->exchange = NULL;
    }
    sl_http__update_watch(conn);
}

// Runs the phases and settles; from the loop only.
static void run(struct sl_http_conn *conn, struct sl_http_frame *frame, bool progress) {
    do {
        while (sl_http__step(conn, frame)) {}
        if (frame->gone || conn->dead) return;
    } while (settle_once(conn, true));
    if (!conn->dead && conn->eof && conn->phase == SL_HTTP_PHASE_BODY && conn->config.answer_truncated) {
        sl_http__refuse(conn, (struct sl_http_refusal){400, sl_http_truncated});
        if (!conn->dead) settle_once(conn, true);
    }
    // The peer will send no more: a part of a request is never going to be whole, and nobody waits for an answer.
    if (!conn->dead && conn->eof &&
        (conn->phase == SL_HTTP_PHASE_BODY || conn->phase == SL_HTTP_PHASE_HANDLE ||
         (has_input(conn) && sl_http__unsent(conn) == 0)))
        sl_http__kill(conn);
    settle_rest(conn, progress);
}

// An answer was completed outside of a frame: the next request must not run inside the handler's call.
void sl_http__answered(struct sl_http_conn *conn) {
    if (conn->frame) return;
    sl_http__finish(conn);
    settle_once(conn, false);
    if (has_input(conn) && !conn->broken && sl_http__unsent(conn) < SL_HTTP_OUT_HIGH) {
        sl_http__resume(conn);
        sl_http__update_watch(conn);
    } else {
        settle_rest(conn, false);
    }
}

// ---- reading ------------------------------------------------------------------------------------------------------

static ssize_t receive(struct sl_http_conn *conn, void *to, size_t room) {
    for (;;) {
        ssize_t got = recv(conn->watch.fd, to, room, 0);
        if (got >= 0 || errno != EINTR) return got;
    }
}

// Where the next bytes go and how many; NULL when there is no room (then reading pauses) or no memory (then `failed` is
// set).
static char *room_for_input(struct sl_http_conn *conn, size_t *ret_room) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (conn->phase == SL_HTTP_PHASE_BODY && exchange->direct) {
        size_t more = exchange->body.len > MIN_READ ? exchange->body.len : MIN_READ;
        if (more > exchange->body_left) more = (size_t)exchange->body_left;
        char *at = sl_buf_reserve(&exchange->body, more);
        size_t room = exchange->body.cap - exchange->body.len;
        *ret_room = room < exchange->body_left ? room : (size_t)exchange->body_left;
        return at;
    }
    *ret_room = exchange->in_cap - exchange->in_len;
    return *ret_room ? exchange->in + exchange->in_len : NULL;
}

static void discard_input(struct sl_http_conn *conn) {
    char scratch[16 * 1024];
    ssize_t got = receive(conn, scratch, sizeof scratch);
    if (got == 0 || (got < 0 && errno != EAGAIN)) sl_http__kill(conn);
}

// One read per event; what is left is reported again. True on progress.
static bool read_some(struct sl_http_conn *conn) {
    if (!conn->exchange) conn->exchange = sl_http__exchange_take(conn->loop, conn->config.max_headers);
    if (!conn->exchange) {
        sl_http__kill(conn);
        return false;
    }
    struct sl_http_exchange *exchange = conn->exchange;
    size_t room;
    char *at = room_for_input(conn, &room);
    if (!at) {
        if (exchange->body.failed)
            sl_http__refuse(conn, (struct sl_http_refusal){503, "there is no memory for the body"});
        return false;
    }
    ssize_t got = receive(conn, at, room);
    if (got == 0) conn->eof = true;
    if (got < 0 && errno != EAGAIN) sl_http__kill(conn);
    if (got <= 0) return false;
    conn->fresh = false;
    if (exchange->direct && conn->phase == SL_HTTP_PHASE_BODY) {
        exchange->body.len += (size_t)got;
        exchange->body_left -= (size_t)got;
    } else {
        exchange->in_len += (size_t)got;
    }
    return true;
}

static void on_writable(struct sl_http_conn *conn) {
    struct sl_http_exchange *exchange = conn->exchange;
    bool crowded = sl_http__unsent(conn) >= SL_HTTP_OUT_HIGH;
    conn->blocked = false;
    sl_http__flush(conn);
    bool drained = crowded && conn->in_request && sl_http__unsent(conn) < SL_HTTP_OUT_HIGH;
    if (drained && !conn->broken && exchange->drained) exchange->drained(&exchange->request);
}

static void on_ready(struct sl_watch *watch, uint32_t events) {
    struct sl_http_conn *conn = SL_CONTAINER(watch, struct sl_http_conn, watch);
    struct sl_http_frame frame;
    enter(conn, &frame);
    bool progress = false;
    if (events & EPOLLOUT) on_writable(conn);
    if (!frame.gone && !conn->dead && (events & EPOLLIN)) {
        if (conn->phase == SL_HTTP_PHASE_LINGER)
            discard_input(conn);
        else
            progress = read_some(conn);
    }
    if (!frame.gone && !conn->dead) run(conn, &frame, progress);
    if (!frame.gone && !conn->dead) {
        // Bytes that came before the close were looked at above; a request that waits for its answer has lost its
        // client.
        bool lost = (events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN);
        if (lost || ((events & (EPOLLRDHUP | EPOLLHUP)) && conn->phase == SL_HTTP_PHASE_HANDLE)) sl_http__kill(conn);
    }
    leave(conn, &frame);
}

// ---- time-outs ----------------------------------------------------------------------------------------------------

static void timed_out(struct sl_timer *timer) {
    struct sl_http_conn *conn = SL_CONTAINER(timer, struct sl_http_conn, timer);
    struct sl_http_frame frame;
    enum sl_http_timing timing = conn->timing;
    enter(conn, &frame);
    conn->timing = SL_HTTP_TIMING_NONE;
    if (timing == SL_HTTP_TIMING_IDLE || timing == SL_HTTP_TIMING_LINGER || conn->phase == SL_HTTP_PHASE_DISCARD)
        sl_http__kill(conn);
    else if (timing == SL_HTTP_TIMING_HEAD)
        sl_http__refuse(conn, (struct sl_http_refusal){408, "the header section did not arrive in time"});
    else if (timing == SL_HTTP_TIMING_BODY)
        sl_http__refuse(conn, (struct sl_http_refusal){408, "the body did not arrive in time"});
    if (!frame.gone && !conn->dead) run(conn, &frame, false);
    leave(conn, &frame);
}

// ---- public -------------------------------------------------------------------------------------------------------

int sl_http_conn_new(struct sl_loop *loop, int fd, const struct sl_http_config *config, struct sl_http_conn **ret,
                     struct sl_error *err) {
    struct sl_http_conn *conn = sl_http__conn_take(loop);
    if (!conn) {
        close(fd);
        return sl_fail(err, SL_E_NO_MEMORY, "no memory for a connection");
    }
    conn->loop = loop;
    conn->config = *config;
    conn->user = config->user;
    conn->fresh = true;
    int kind = sl_watch_start(loop, &conn->watch, fd, EPOLLIN | EPOLLRDHUP, on_ready, err);
    if (kind) {
        close(fd);
        sl_http__conn_give(loop, conn);
        return kind;
    }
    update_timer(conn, false);
    *ret = conn;
    return 0;
}

void sl_http_conn_close(struct sl_http_conn *conn) { sl_http__kill(conn); }

int sl_http_take(struct sl_http_request *request, struct sl_buf *unsent) {
    struct sl_http_conn *conn = request->conn;
    const struct sl_http_exchange *exchange = conn->exchange;
    int fd = fcntl(conn->watch.fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return -1;
    sl_buf_str(unsent, sl_str_sub(sl_buf_view(&exchange->out), exchange->out_at, exchange->out.len));
    request->aborted = NULL;
    sl_http__kill(conn);
    return fd;
}

void sl_http_conn_drain(struct sl_http_conn *conn) {
    if (conn->draining || conn->dead) return;
    conn->draining = true;
    if (!idle(conn) || conn->frame) return; // settle_once sees the flag
    char byte;
    bool waiting = recv(conn->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    if (waiting) return; // a request that we have not read yet
    if (!conn->fresh && sl_http__unsent(conn) == 0) {
        sl_http__kill(conn);
        return;
    }
    conn->timing = SL_HTTP_TIMING_NONE; // a new limit
    update_timer(conn, false);
}

void sl_http_conn_detach(struct sl_http_conn *conn) {
    if (!conn->loop || conn->dead) return;
    bool hold = conn->lazy && conn->phase == SL_HTTP_PHASE_HANDLE;
    if (!hold && sl_http__unsent(conn) > 0) sl_http__flush(conn);
    sl_watch_stop(&conn->watch);
    sl_timer_stop(&conn->timer);
    sl_timer_stop(&conn->write_timer);
    conn->timing = SL_HTTP_TIMING_NONE;
    conn->loop = NULL;
    if (!conn->frame) return;
    conn->frame->gone = true;
    conn->frame = NULL;
}

int sl_http_conn_attach(struct sl_http_conn *conn, struct sl_loop *loop, struct sl_error *err) {
    int kind = sl_watch_start(loop, &conn->watch, conn->watch.fd, interest(conn), on_ready, err);
    if (kind) return kind;
    conn->loop = loop;
    if (conn->broken) {
        sl_http__break(conn);
    } else {
        if (conn->blocked) {
            conn->blocked = false;
            sl_http__flush(conn); // arms the write timer again if need be
        }
        // Whatever the phases can do with the bytes at hand is done in the next turn.
        sl_http__resume(conn);
    }
    return 0;
}

void *sl_http_conn_user(struct sl_http_conn *conn) { return conn->user; }
void sl_http_conn_set_user(struct sl_http_conn *conn, void *user) { conn->user = user; }
struct sl_loop *sl_http_conn_loop(const struct sl_http_conn *conn) {
    return conn->loop;
}

bool sl_http_conn_busy(const struct sl_http_conn *conn) { return !idle(conn) || sl_http__unsent(conn) > 0; }

struct sl_str sl_http_conn_peer(struct sl_http_conn *conn) {
    if (conn->peer[0] == '\0') {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        if (getpeername(conn->watch.fd, (struct sockaddr *)&address, &len) != 0) return SL_STR("");
        const void *bytes = address.ss_family == AF_INET    ? (void *)&((struct sockaddr_in *)&address)->sin_addr
                            : address.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&address)->sin6_addr
                                                            : NULL;
        if (!bytes || !inet_ntop(address.ss_family, bytes, conn->peer, sizeof conn->peer)) return SL_STR("");
    }
    return sl_str_of(conn->peer);
}
