// SPDX-License-Identifier: Apache-2.0
//
// door: the way of a function to the AWS APIs. In each sandbox there is a listening socket on 127.0.0.1:4566
// (SL_JAIL_DOOR_PORT), which was made there and handed to this server; what comes by it comes from that instance, and
// goes to an operation engine of its own (front->inside), which verifies every signature and asks of every operation
// whether the caller may do it. Nothing else of the server is behind the door: no deployed API, no function URL, no
// page, no hook, whatever host name or path a request has.
//
// Threads: a door lives on the loop on which its instance started, also when the instance moves on to another: a
// connection with a request in progress cannot move. So it is closed by a letter.
//
// Bounds, so that a hostile function costs itself only: CONNECTIONS of an instance, TOTAL of all instances; beyond them
// newcomers wait in the kernel, and idle connections are closed for them. Bodies that are on their way,
// of more than FREE_BODY each: OWN_BODIES bytes of an instance, BODIES of all (objects are passed on and do not count).
// RATE requests in a second.
#include "daemon/daemon.h"

#include "aws/aws.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "lambda/lambda.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS = 32,
    TOTAL = 16384,
    ACCEPTS = 32, // in one turn
    PATIENCE_MS = 50,
    FREE_BODY = 64 * 1024,
    OWN_BODIES = 80 * 1024 * 1024, // a function's code fits
    BODIES = 512 * 1024 * 1024,
    RATE = 2000, // requests per second
    BURST = 2000,
};

struct sl_door {
    struct sl_front *front;
    struct sl_loop *loop;
    struct sl_watch watch;
    struct sl_timer timer; // while it accepts nothing
    struct sl_mail mail;
    struct sl_http_conn *conns[CONNECTIONS]; // oldest first
    uint32_t held[CONNECTIONS];              // bytes that each has of BODIES
    unsigned count;
    bool rested;      // has let newcomers wait already
    uint32_t bodies;  // sum of held
    int64_t empty_ns; // when the bucket of requests is empty again
    struct sl_door *next, **prev;
};

static atomic_uint total, bodies;

// ---- requests ---------------------------------------------------------------------------------------------------

static void refuse(struct sl_http_request *request, int status, const char *type, const char *message) {
    struct sl_buf body;
    sl_buf_init(&body, 1024);
    sl_buf_printf(&body, "{\"__type\":\"%s\",\"message\":\"%s\"}", type, message);
    sl_http_begin(request, status);
    sl_http_add(request, SL_STR("Content-Type"), SL_STR("application/json"));
    sl_http_add(request, SL_STR("x-amzn-ErrorType"), sl_str_of(type));
    sl_http_body(request, sl_buf_view(&body));
    sl_buf_free(&body);
}

static bool too_fast(struct sl_door *door) {
    const int64_t each_ns = 1000000000 / RATE;
    int64_t now_ns = sl_clock_mono_ns();
    if (door->empty_ns < now_ns) door->empty_ns = now_ns;
    if (door->empty_ns - now_ns > each_ns * BURST) return true;
    door->empty_ns += each_ns;
    return false;
}

// What the front gives to other parts of the server is not for functions.
static bool is_for_others(struct sl_front *front, const struct sl_http_request *request) {
    return sl_gateway_owns(front->app.gateway, request) || sl_lambda_url_owns(&front->app, request) ||
           sl_local_owns(request) || sl_hooks_own(request);
}

// While the server ends, what is accepted is finished; an event that a running function sends would begin another run.
static bool is_event(const struct sl_http_request *request) {
    return sl_str_is(sl_http_header(request, SL_STR("X-Amz-Invocation-Type")), "Event") ||
           sl_str_find(request->path, SL_STR("/invoke-async")) >= 0;
}

static unsigned index_of(const struct sl_door *door, const struct sl_http_conn *conn) {
    unsigned i = 0;
    while (i < door->count && door->conns[i] != conn) i++;
    return i;
}

// What the connection had for a body, which has come or comes no more.
static void give_back(struct sl_door *door, unsigned i) {
    door->bodies -= door->held[i];
    atomic_fetch_sub(&bodies, door->held[i]);
    door->held[i] = 0;
}

// A body that is kept until it is whole needs room.
static int admit_body(struct sl_door *door, struct sl_http_request *request, size_t *max_body) {
    struct sl_str text = sl_http_header(request, SL_STR("Content-Length"));
    uint64_t length = 0;
    unsigned i = index_of(door, request->conn);
    if (*max_body > SL_AWS_CODE_BODY + 1) return 0; // passed on as it comes
    if (!text.ptr && *max_body > FREE_BODY) *max_body = FREE_BODY;
    if (!sl_str_to_u64(text, &length) || length <= FREE_BODY || i == door->count) return 0;
    // It is no longer than max_body: sl_aws_head has seen to it.
    if (door->bodies + length > OWN_BODIES || atomic_load(&bodies) + length > BODIES) {
        refuse(request, 503, "SlowDown", "Please reduce your request rate.");
        return 1;
    }
    door->held[i] = (uint32_t)length;
    door->bodies += (uint32_t)length;
    atomic_fetch_add(&bodies, (unsigned)length);
    return 0;
}

static int head(struct sl_http_request *request, size_t *max_body, void *user) {
    struct sl_door *door = user;
    struct sl_front *front = door->front;
    if (too_fast(door)) {
        refuse(request, 503, "ThrottlingException", "Rate exceeded");
        return 1;
    }
    if (atomic_load(&front->doors_shut) || (atomic_load(&front->ending) && is_event(request))) {
        refuse(request, 503, "ServiceUnavailableException", "The server is shutting down.");
        return 1;
    }
    if (is_for_others(front, request)) {
        refuse(request, 403, "AccessDeniedException", "A function reaches the AWS APIs here and nothing else.");
        return 1;
    }
    if (!sl_aws_claims(request)) {
        refuse(request, 403, "MissingAuthenticationTokenException", "Missing Authentication Token");
        return 1;
    }
    if (sl_aws_head(front->inside, request, max_body) || admit_body(door, request, max_body)) return 1;
    request->user = NULL;
    return 0;
}

static bool wants_parts(struct sl_http_request *request, void *user) {
    struct sl_door *door = user;
    return sl_aws_wants_parts(door->front->inside, request);
}

static void body_part(struct sl_http_request *request, struct sl_str part, void *user) {
    (void)user;
    sl_aws_body_part(request, part);
}

static void handle(struct sl_http_request *request, void *user) {
    struct sl_door *door = user;
    unsigned i = index_of(door, request->conn);
    if (i < door->count) give_back(door, i);
    if (request->user)
        sl_aws_body_end(request);
    else
        sl_aws_handle(door->front->inside, request);
}

// ---- connections ------------------------------------------------------------------------------------------------

static void closed(struct sl_http_conn *conn, void *user) {
    struct sl_door *door = user;
    unsigned i = index_of(door, conn);
    if (i == door->count) return;
    give_back(door, i);
    door->count--;
    memmove(door->conns + i, door->conns + i + 1, (door->count - i) * sizeof(door->conns[0]));
    memmove(door->held + i, door->held + i + 1, (door->count - i) * sizeof(door->held[0]));
    atomic_fetch_sub(&total, 1);
}

static const struct sl_http_config *config(struct sl_front *front) {
    static _Thread_local struct sl_http_handler handler = {
        .head = head, .wants_parts = wants_parts, .body_part = body_part, .handle = handle, .closed = closed};
    static _Thread_local struct sl_http_config value;
    if (value.handler) return &value;
    handler.refused = sl_front_handler.refused;
    value = *front->http;
    value.handler = &handler;
    return &value;
}

static void on_ready(struct sl_watch *watch, uint32_t events);

static void look_again(struct sl_timer *timer) {
    struct sl_door *door = SL_CONTAINER(timer, struct sl_door, timer);
    sl_watch_change(&door->watch, EPOLLIN);
}

static void rest(struct sl_door *door) {
    door->rested = true;
    sl_watch_change(&door->watch, 0);
    sl_timer_start(door->loop, &door->timer, PATIENCE_MS, look_again);
}

// Room for a newcomer: a connection on which nothing happens goes, the oldest first. One that was never used gets a
// little time, since its first request may be on the way.
static bool make_room(struct sl_door *door) {
    if (door->count < CONNECTIONS && atomic_load(&total) < TOTAL) return true;
    struct sl_http_conn *unused = NULL;
    for (unsigned i = 0; i < door->count; i++) {
        struct sl_http_conn *conn = door->conns[i];
        unsigned before = door->count;
        if (sl_http_conn_busy(conn)) continue;
        sl_http_conn_drain(conn);
        if (door->count < before) return true;
        if (!unused) unused = conn;
    }
    if (!unused || !door->rested) return false;
    sl_http_conn_close(unused);
    return true;
}

static void on_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_door *door = SL_CONTAINER(watch, struct sl_door, watch);
    for (unsigned i = 0; i < ACCEPTS; i++) {
        if (!make_room(door)) {
            rest(door);
            return;
        }
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EAGAIN) rest(door); // no descriptor is left; or the sandbox is gone, and its report comes
            door->rested = errno != EAGAIN;
            return;
        }
        struct sl_http_conn *conn;
        struct sl_error err;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (sl_http_conn_new(door->loop, fd, config(door->front), &conn, &err)) {
            sl_log_warn("door", "connection of an instance refused: %s", err.message);
            rest(door);
            return;
        }
        sl_http_conn_set_user(conn, door);
        door->held[door->count] = 0;
        door->conns[door->count++] = conn;
        atomic_fetch_add(&total, 1);
    }
}

// ---- life -------------------------------------------------------------------------------------------------------

struct sl_door *sl_door_open(void *user, struct sl_loop *loop, int listen_fd) {
    struct sl_front *front = user;
    struct sl_error err;
    struct sl_door *door = calloc(1, sizeof *door);
    if (!door || sl_watch_start(loop, &door->watch, listen_fd, EPOLLIN, on_ready, &err)) {
        close(listen_fd);
        free(door);
        return NULL;
    }
    door->front = front;
    door->loop = loop;
    struct sl_door **list = &front->doors[sl_loop_index(loop)];
    door->next = *list;
    door->prev = list;
    if (door->next) door->next->prev = &door->next;
    *list = door;
    return door;
}

static void end(struct sl_door *door) {
    while (door->count) sl_http_conn_close(door->conns[door->count - 1]);
    sl_timer_stop(&door->timer);
    sl_watch_stop(&door->watch);
    close(door->watch.fd);
    *door->prev = door->next;
    if (door->next) door->next->prev = door->prev;
    free(door);
}

static void deliver_close(struct sl_mail *mail) { end(SL_CONTAINER(mail, struct sl_door, mail)); }

void sl_door_close(struct sl_door *door) { sl_loop_post(door->loop, &door->mail, deliver_close); }

void sl_doors_end(struct sl_front *front, unsigned loop) {
    while (front->doors[loop]) end(front->doors[loop]);
}
