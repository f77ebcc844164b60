// SPDX-License-Identifier: Apache-2.0
//
// lane: a leaner way than HTTP to the bootstraps that are Sluice's own, on which several events may be under way.
//
// A bootstrap offers it with the field `Sluice-Lane: 1` of its GET next, on the Unix socket. The server answers with an
// event over HTTP as ever, or with frames: then the connection is a lane from here on. Answers ask for the next event.
//
//   event   'E' flags 0 0, length of head, of body, milliseconds (each 32 bits, little endian), head, body
//           head: request id, deadline, function's ARN, trace id, client context, tenant id: lines
//           flags: 1 = others may be sent behind this one, 2 = sent behind another: its deadline is that many
//           milliseconds after its begin (else the one in the head)
//   answer  'A' kind, length of type (16 bits), of body, seconds, nanoseconds (32 bits each), type, body
//           kind 0: a response, type is its content type; 1: an error, type is the error's
//           the time: when the answer was made, by the monotonic clock
//
// Sending ahead. Behind the event in work others may be sent, which the bootstrap has not begun. It begins the next one
// when its answer to the one before was written whole, and only then; so the kernel decides what was begun:
// sl_runtime_recall shuts the receiving side down, after which every write of the bootstrap fails, and reads what had
// been written before. An event is begun exactly if the answer before it is among that; the others never will be, and
// are the owner's again. A bootstrap whose write fails (or that wants to begin nothing more, because the function
// printed) closes its side, and gives the answer over HTTP.
//
// The bell. On one processor, every answer would wake the server, which has one thing to do then, and switch back. So a
// bootstrap may open a second connection (GET .../invocation/bell) and send a byte there when it has answered all that
// is here, or has not for half a millisecond; from its first byte on the server does not listen to the lane while
// events are sent ahead. Only of a batch with an event that was sent ahead the bell is rung.
//
// What the function can do with this: lie about times (the owner bounds them), answer what it did not compute. It has
// been able to do both before. A frame that is none, or too long, closes the lane.
//
// Invariants: `behind` events are sent and not begun; answers are only read while an event is in work. After `ready` is
// told nothing here is touched: the owner may have given the runtime to another loop.
#include "runtime/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD = 16, // of both frames
    TYPE_MAX = 1024,
    READ = 32 * 1024,
    KEEP = 64 * 1024,
    OUT_MAX = 8 * 1024 * 1024,
    MORE = 1,
    AHEAD = 2,
};

struct sl_lane {
    struct sl_runtime *runtime;
    struct sl_watch watch; // the connection
    struct sl_watch bell;  // fd -1: none
    bool rung;             // the bell is in use
    bool silent;           // nothing is listened to but the bell
    struct sl_buf in, out;
    bool ready;   // waits for an event
    bool more;    // the event in work allows others behind it
    bool reading; // answers are being told
    bool closing; // is being closed: `ready` is not told any more
    bool eof;
    struct sl_timer late; // `ready` is told in the next turn
    unsigned behind, first;
    char ids[SL_RUNTIME_AHEAD_MAX][37]; // a ring: of the events behind
};

bool sl_runtime_has_lane(const struct sl_runtime *runtime) { return runtime->lane != NULL; }

bool sl_runtime__lane_ready(const struct sl_runtime *runtime) { return runtime->lane && runtime->lane->ready; }

// ---- sending --------------------------------------------------------------------------------------------------------

static void put_u32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (char)(value >> 8 * i);
}

static void put_line(struct sl_buf *out, struct sl_str value, char end) {
    size_t from = out->len;
    sl_buf_str(out, value);
    for (size_t i = from; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r') out->ptr[i] = ' ';
    if (end) sl_buf_char(out, end);
}

static void put_event(struct sl_lane *lane, const struct sl_runtime_event *event, int flags) {
    struct sl_buf *out = &lane->out;
    size_t from = out->len;
    char frame[HEAD] = {'E', (char)flags};
    sl_buf_put(out, frame, HEAD);
    put_line(out, event->request_id, '\n');
    sl_buf_u64(out, (uint64_t)event->deadline_ms);
    sl_buf_char(out, '\n');
    put_line(out, event->function_arn, '\n');
    put_line(out, event->trace_id, '\n');
    put_line(out, event->client_context, '\n');
    put_line(out, event->tenant_id, '\0');
    if (out->failed) return;
    put_u32(out->ptr + from + 4, (uint32_t)(out->len - from - HEAD));
    put_u32(out->ptr + from + 8, (uint32_t)event->payload.len);
    put_u32(out->ptr + from + 12, (uint32_t)event->timeout_ms);
    sl_buf_str(out, event->payload);
}

// What is waited for: always also the end.
static void listen_for(struct sl_lane *lane) {
    uint32_t events = lane->silent ? 0 : EPOLLIN;
    (void)sl_watch_change(&lane->watch, lane->out.len ? events | EPOLLOUT : events);
}

static void flush(struct sl_lane *lane) {
    while (lane->out.len) {
        ssize_t sent = send(lane->watch.fd, lane->out.ptr, lane->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            listen_for(lane);
            return;
        }
        if (sent < 0) break; // its end is reported as readable
        if ((size_t)sent < lane->out.len)
            sl_buf_consume(&lane->out, (size_t)sent);
        else
            break;
    }
    sl_buf_clear(&lane->out, KEEP);
    listen_for(lane);
}

void sl_runtime_flush(struct sl_runtime *runtime) {
    if (runtime->lane && runtime->lane->watch.loop) flush(runtime->lane);
}

bool sl_runtime__lane_send(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    struct sl_lane *lane = runtime->lane;
    if (!lane || !lane->ready) return false;
    lane->ready = lane->silent = false;
    lane->more = event->more;
    put_event(lane, event, event->more ? MORE : 0);
    if (!event->more) flush(lane);
    return true;
}

bool sl_runtime_takes_ahead(const struct sl_runtime *runtime) {
    const struct sl_lane *lane = runtime->lane;
    return lane && lane->more && !lane->closing && runtime->state == SL_RUNTIME_RUNNING &&
           lane->behind < SL_RUNTIME_AHEAD_MAX;
}

void sl_runtime_send_ahead(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    struct sl_lane *lane = runtime->lane;
    char *id = lane->ids[(lane->first + lane->behind++) % SL_RUNTIME_AHEAD_MAX];
    snprintf(id, sizeof lane->ids[0], "%.*s", SL_FMT(event->request_id));
    put_event(lane, event, MORE | AHEAD);
    lane->silent = lane->rung; // from the next flush on
}

// ---- answers --------------------------------------------------------------------------------------------------------

static uint32_t get_u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

// How long the answer at the beginning of these bytes is; 0: more of it is needed, or (*ret_bad) it is none.
static size_t whole(struct sl_str bytes, bool *ret_bad) {
    *ret_bad = bytes.len > 0 && bytes.ptr[0] != 'A';
    if (*ret_bad || bytes.len < HEAD) return 0;
    size_t type = get_u32(bytes.ptr) >> 16, body = get_u32(bytes.ptr + 4);
    size_t most = bytes.ptr[1] == 0 ? SL_RUNTIME__RESPONSE_MAX : SL_RUNTIME__ERROR_MAX;
    *ret_bad = type > TYPE_MAX || body > most;
    return !*ret_bad && bytes.len >= HEAD + type + body ? HEAD + type + body : 0;
}

static void tell_answer(struct sl_runtime *runtime, struct sl_str frame) {
    size_t type_len = get_u32(frame.ptr) >> 16;
    struct sl_str type = sl_str_sub(frame, HEAD, HEAD + type_len), body = sl_str_sub(frame, HEAD + type_len, frame.len);
    runtime->state = SL_RUNTIME_SENT;
    runtime->current[0] = '\0';
    runtime->answered_ns = (int64_t)get_u32(frame.ptr + 8) * 1000000000 + get_u32(frame.ptr + 12);
    runtime->by_lane = true;
    if (frame.ptr[1] == 0)
        runtime->handler->response(runtime, body, type);
    else
        runtime->handler->error(runtime, body, type);
    runtime->by_lane = false;
    runtime->answered_ns = 0;
}

static void begin_next(struct sl_runtime *runtime) {
    struct sl_lane *lane = runtime->lane;
    memcpy(runtime->current, lane->ids[lane->first], sizeof runtime->current);
    lane->first = (lane->first + 1) % SL_RUNTIME_AHEAD_MAX;
    lane->behind--;
    runtime->state = SL_RUNTIME_RUNNING;
    runtime->handler->begun(runtime);
}

// Tells the answers that are whole. False: what came is no answer. When *ret_ready, the last event was answered.
static bool feed(struct sl_lane *lane, bool *ret_ready) {
    struct sl_runtime *runtime = lane->runtime;
    size_t at = 0, len = 0;
    bool bad = false;
    *ret_ready = false;
    lane->reading = true;
    while (!*ret_ready && runtime->state == SL_RUNTIME_RUNNING && runtime->current[0] &&
           (len = whole(sl_str_sub(sl_buf_view(&lane->in), at, lane->in.len), &bad)) > 0) {
        tell_answer(runtime, sl_str_n(lane->in.ptr + at, len));
        at += len;
        if (lane->behind)
            begin_next(runtime);
        else
            *ret_ready = true;
    }
    lane->reading = false;
    if (at < lane->in.len)
        sl_buf_consume(&lane->in, at);
    else
        sl_buf_clear(&lane->in, KEEP);
    return !bad && !((*ret_ready || lane->ready) && lane->in.len); // nothing is to be said that was not asked for
}

static void receive(struct sl_lane *lane) {
    while (lane->in.len + READ <= lane->in.max) { // a full buffer holds an answer that is whole, or none
        char *room = sl_buf_reserve(&lane->in, READ);
        ssize_t got = room ? recv(lane->watch.fd, room, READ, MSG_DONTWAIT) : 0;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        lane->eof = got <= 0;
        if (lane->eof) return;
        lane->in.len += (size_t)got;
        if (got < READ && !lane->closing) return;
    }
}

void sl_runtime_recall(struct sl_runtime *runtime) {
    struct sl_lane *lane = runtime->lane;
    if (!lane || lane->reading) return;
    bool was_ready = lane->ready, ready;
    lane->closing = true;
    lane->ready = false;
    (void)shutdown(lane->watch.fd, SHUT_RD);
    bool more = runtime->state == SL_RUNTIME_RUNNING && runtime->current[0];
    while (more && !lane->eof) { // as often as a buffer's worth of answers makes room for another
        receive(lane);
        more = feed(lane, &ready) && !ready;
    }
    (void)shutdown(lane->watch.fd, SHUT_WR);
    sl_runtime__lane_free(runtime);
    if (runtime->state == SL_RUNTIME_SENT) runtime->state = SL_RUNTIME_WAITING; // each answer asked for an event
    runtime->handler->untaken(runtime);
    if (was_ready) runtime->handler->gone(runtime);
}

static void tell_ready(struct sl_timer *timer) {
    sl_runtime__check_ready(SL_CONTAINER(timer, struct sl_lane, late)->runtime);
}

// Takes in what is there. Unless `late`, the runtime may be another loop's afterwards.
static void work(struct sl_lane *lane, bool late) {
    struct sl_runtime *runtime = lane->runtime;
    bool ready;
    receive(lane);
    if (lane->eof || !feed(lane, &ready)) {
        sl_runtime_recall(runtime);
    } else if (ready) {
        lane->ready = true;
        lane->silent = false;
        listen_for(lane);
        runtime->state = SL_RUNTIME_WAITING;
        if (late)
            sl_timer_start(runtime->loop, &lane->late, 0, tell_ready);
        else
            sl_runtime__check_ready(runtime);
    }
}

void sl_runtime_catch_up(struct sl_runtime *runtime) {
    if (runtime->lane && !runtime->lane->reading) work(runtime->lane, true);
}

static void lane_ready(struct sl_watch *watch, uint32_t events) {
    struct sl_lane *lane = SL_CONTAINER(watch, struct sl_lane, watch);
    if (events & EPOLLOUT) flush(lane);
    if (events & ~(uint32_t)EPOLLOUT) work(lane, false);
}

static void bell_close(struct sl_lane *lane) {
    if (lane->bell.fd < 0) return;
    sl_watch_stop(&lane->bell);
    close(lane->bell.fd);
    lane->bell.fd = -1;
    lane->rung = lane->silent = false;
}

static void bell_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_lane *lane = SL_CONTAINER(watch, struct sl_lane, bell);
    char strokes[64];
    ssize_t got = recv(watch->fd, strokes, sizeof strokes, MSG_DONTWAIT);
    if (got > 0) {
        lane->rung = true;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        bell_close(lane);
        listen_for(lane);
        return;
    }
    work(lane, false);
}

bool sl_runtime__lane_bell(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_lane *lane = runtime->lane;
    struct sl_error err;
    if (!lane || lane->bell.fd >= 0) return false;
    struct sl_buf unsent; // answers to what it was asked before: nobody waits for them
    sl_buf_init(&unsent, OUT_MAX);
    int fd = sl_http_take(request, &unsent);
    sl_buf_free(&unsent);
    if (fd < 0) return false;
    if (sl_watch_start(runtime->loop, &lane->bell, fd, EPOLLIN, bell_ready, &err)) {
        close(fd);
        lane->bell.fd = -1;
    }
    return true;
}

// ---- life -----------------------------------------------------------------------------------------------------------

bool sl_runtime__lane_take(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (runtime->extensions || !sl_http_header(request, SL_STR("Sluice-Lane")).len) return false;
    struct sl_lane *lane = calloc(1, sizeof *lane);
    if (!lane) return false;
    struct sl_error err;
    lane->runtime = runtime;
    lane->bell.fd = -1;
    sl_buf_init(&lane->in, SL_RUNTIME__RESPONSE_MAX + HEAD + TYPE_MAX + READ);
    sl_buf_init(&lane->out, OUT_MAX);
    int fd = sl_http_take(request, &lane->out);
    if (fd < 0 || sl_watch_start(runtime->loop, &lane->watch, fd, EPOLLIN, lane_ready, &err)) {
        sl_buf_free(&lane->out);
        free(lane);
        if (fd >= 0) close(fd);
        return fd >= 0; // the bootstrap sees the end, and asks again
    }
    lane->ready = true;
    runtime->lane = lane;
    return true;
}

void sl_runtime__lane_free(struct sl_runtime *runtime) {
    struct sl_lane *lane = runtime->lane;
    if (!lane) return;
    runtime->lane = NULL;
    sl_watch_stop(&lane->watch);
    sl_timer_stop(&lane->late);
    bell_close(lane);
    close(lane->watch.fd);
    sl_buf_free(&lane->in);
    sl_buf_free(&lane->out);
    free(lane);
}

void sl_runtime__lane_detach(struct sl_runtime *runtime) {
    if (!runtime->lane) return;
    flush(runtime->lane);
    sl_watch_stop(&runtime->lane->watch);
    if (runtime->lane->bell.fd >= 0) sl_watch_stop(&runtime->lane->bell);
}

int sl_runtime__lane_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err) {
    struct sl_lane *lane = runtime->lane;
    if (!lane) return 0;
    uint32_t events = lane->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (lane->bell.fd >= 0 && sl_watch_start(loop, &lane->bell, lane->bell.fd, EPOLLIN, bell_ready, err))
        return err->kind;
    return sl_watch_start(loop, &lane->watch, lane->watch.fd, events, lane_ready, err);
}
