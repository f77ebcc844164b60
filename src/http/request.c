// SPDX-License-Identifier: Apache-2.0
//
// request: a request's way through the phases of its connection: head, body, handler, what is left. See conn.h.
//
// Three ways of a body. One that fits into the input buffer behind its head stays there (no copy). A longer one with a
// Content-Length gets a buffer of its own, which grows as bytes arrive (never from the claim alone) and is read into
// directly. A chunked one is decoded into that buffer. A handler that wants parts gets views of the input buffer
// instead.
#include "base/clock.h"
#include "http/conn.h"

enum { MIN_ROOM = 4096 }; // behind a head, for the body's bytes

static bool stop(const struct sl_http_conn *conn, const struct sl_http_frame *frame) {
    return frame->gone || conn->dead;
}

static bool refuse(struct sl_http_conn *conn, int status, const char *reason) {
    sl_http__refuse(conn, (struct sl_http_refusal){status, reason});
    return true;
}

static size_t body_begin(const struct sl_http_exchange *exchange) { return exchange->start + exchange->scan.end; }

// ---- after the answer ---------------------------------------------------------------------------------------------

void sl_http__finish(struct sl_http_conn *conn) {
    struct sl_http_exchange *exchange = conn->exchange;
    bool body_open = conn->phase == SL_HTTP_PHASE_BODY;
    conn->in_request = false;
    if (!exchange->keep) {
        // Whatever the client still sends must not turn into a reset before it has read the answer.
        conn->linger = body_open || exchange->after < exchange->in_len || exchange->framing.keep_alive;
        conn->phase = SL_HTTP_PHASE_CLOSING;
    } else if (body_open) {
        conn->phase = SL_HTTP_PHASE_DISCARD; // sl_http_begin saw to it that this is short
        exchange->direct = false;
    } else {
        conn->phase = SL_HTTP_PHASE_HEAD;
        sl_http__exchange_next(exchange);
    }
}

// True when a handler's call has ended the request: the next step finishes it.
static bool answered(const struct sl_http_conn *conn) { return conn->exchange->answer == SL_HTTP_ANSWER_DONE; }

static bool step_discard(struct sl_http_conn *conn) {
    struct sl_http_exchange *exchange = conn->exchange;
    size_t here = exchange->in_len - exchange->after;
    size_t take = here < exchange->body_left ? here : (size_t)exchange->body_left;
    exchange->after += take;
    exchange->body_left -= take;
    if (exchange->body_left > 0) {
        exchange->after = exchange->in_len = body_begin(exchange);
        return false;
    }
    conn->phase = SL_HTTP_PHASE_HEAD;
    sl_http__exchange_next(exchange);
    return true;
}

// ---- head ---------------------------------------------------------------------------------------------------------

// The body's framing is known and the handler may speak.
static bool announce(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    const struct sl_http_handler *handler = conn->config.handler;
    struct sl_http_request *request = &exchange->request;
    if (handler->head) {
        int early = handler->head(request, &exchange->max_body, conn->user);
        if (stop(conn, frame) || answered(conn)) return true;
        if (early) return refuse(conn, 500, "the request was refused without an answer");
    }
    if (exchange->framing.has_length && exchange->framing.length > exchange->max_body)
        return refuse(conn, 413, "the body is too large");
    if (handler->wants_parts) {
        exchange->parts = handler->wants_parts(request, conn->user);
        if (stop(conn, frame) || answered(conn)) return true;
    }
    bool body = exchange->framing.chunked || exchange->framing.length > 0;
    if (exchange->framing.expect_continue && body && exchange->after == exchange->in_len) {
        sl_buf_cstr(&exchange->out, "HTTP/1.1 100 Continue\r\n\r\n"); // sent when the phases have run out of bytes
    }
    return true;
}

static bool begin_request(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    // The views of the head are made after the last possible move of the buffer.
    if (!sl_http__exchange_room(exchange, exchange->scan.end, MIN_ROOM))
        return refuse(conn, 503, "there is no memory for the request");
    struct sl_str head =
        sl_str_n(exchange->in + exchange->start + exchange->scan.begin, exchange->scan.end - exchange->scan.begin);
    struct sl_http_request *request = &exchange->request;
    *request = (struct sl_http_request){.conn = conn, .arena = &exchange->arena, .headers = exchange->headers};
    struct sl_http_refusal refusal;
    conn->timing = SL_HTTP_TIMING_OVER;
    if (sl_http__parse_head(head, conn->config.max_headers, request, &exchange->framing, &refusal) == SL_HTTP_BAD)
        return refuse(conn, refusal.status, refusal.reason);
    request->received_ms = sl_clock_ms();
    request->received_ns = sl_clock_mono_ns();
    exchange->answer = SL_HTTP_ANSWER_NONE;
    exchange->keep = exchange->framing.keep_alive;
    exchange->max_body = conn->config.max_body;
    exchange->body_left = exchange->framing.length;
    exchange->body_got = 0;
    exchange->after = body_begin(exchange);
    if (exchange->framing.chunked) sl_http__chunked_reset(&exchange->chunked);
    conn->phase = SL_HTTP_PHASE_BODY;
    conn->in_request = true;
    return announce(conn, frame);
}

static bool step_head(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (!exchange || exchange->start == exchange->in_len || sl_http__unsent(conn) >= SL_HTTP_OUT_HIGH) return false;
    struct sl_str bytes = sl_str_n(exchange->in + exchange->start, exchange->in_len - exchange->start);
    struct sl_http_refusal refusal;
    switch (sl_http__scan(&exchange->scan, bytes, conn->config.max_head, &refusal)) {
    case SL_HTTP_BAD:
        exchange->request = (struct sl_http_request){.conn = conn, .arena = &exchange->arena};
        return refuse(conn, refusal.status, refusal.reason);
    case SL_HTTP_DONE:
        return begin_request(conn, frame);
    case SL_HTTP_MORE:
        break;
    }
    if (exchange->scan.begin == bytes.len) { // empty lines only
        exchange->after = exchange->in_len;
        sl_http__exchange_next(exchange);
        return false;
    }
    // More must fit, or nothing would ever come. The scan bounds the size.
    if (exchange->in_len == exchange->in_cap && !sl_http__exchange_room(exchange, bytes.len, MIN_ROOM))
        return refuse(conn, 503, "there is no memory for the request");
    return false;
}

// ---- body ---------------------------------------------------------------------------------------------------------

static bool trailers_parsed(struct sl_http_exchange *exchange) {
    struct sl_http_request *request = &exchange->request;
    struct sl_str lines = sl_buf_view(&exchange->chunked.trailers);
    if (lines.len < 2) return true; // the CR of the last line
    request->trailers = sl_arena_alloc(&exchange->arena, SL_HTTP_MAX_TRAILERS * sizeof *request->trailers);
    if (!request->trailers) return false;
    return sl_http__parse_fields(lines, request->trailers, SL_HTTP_MAX_TRAILERS, &request->trailer_count);
}

static bool complete(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (exchange->framing.chunked && !trailers_parsed(exchange))
        return refuse(conn, 400, "a trailer field is not valid");
    conn->phase = SL_HTTP_PHASE_HANDLE;
    conn->config.handler->handle(&exchange->request, conn->user);
    return !stop(conn, frame);
}

static bool give_part(struct sl_http_conn *conn, struct sl_http_frame *frame, struct sl_str part) {
    conn->config.handler->body_part(&conn->exchange->request, part, conn->user);
    return !stop(conn, frame) && !answered(conn);
}

// All bytes behind the head were used: the space is free again.
static void rewind_input(struct sl_http_exchange *exchange) {
    if (exchange->after == exchange->in_len) exchange->after = exchange->in_len = body_begin(exchange);
}

static bool step_chunked(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    while (!exchange->paused && exchange->after < exchange->in_len) {
        struct sl_str in = sl_str_n(exchange->in + exchange->after, exchange->in_len - exchange->after), part;
        size_t used;
        enum sl_http_step step = sl_http__chunked_feed(&exchange->chunked, in, &used, &part);
        exchange->after += used;
        if (step == SL_HTTP_BAD) return refuse(conn, 400, "the chunked body is not valid");
        exchange->body_got += part.len;
        if (exchange->body_got > exchange->max_body) return refuse(conn, 413, "the body is too large");
        if (part.len && exchange->parts) {
            if (!give_part(conn, frame, part)) return true;
        } else if (part.len) {
            exchange->body.max = exchange->max_body;
            sl_buf_str(&exchange->body, part);
            if (exchange->body.failed) return refuse(conn, 503, "there is no memory for the body");
        }
        if (step == SL_HTTP_DONE) {
            if (!exchange->parts) exchange->request.body = sl_buf_view(&exchange->body);
            return complete(conn, frame);
        }
    }
    rewind_input(exchange);
    return false;
}

static bool step_parts(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    size_t here = exchange->in_len - exchange->after;
    if (!exchange->paused && here > 0 && exchange->body_left > 0) {
        size_t take = here < exchange->body_left ? here : (size_t)exchange->body_left;
        struct sl_str part = sl_str_n(exchange->in + exchange->after, take);
        exchange->after += take;
        exchange->body_left -= take;
        if (!give_part(conn, frame, part)) return true;
    }
    if (exchange->body_left == 0 && !exchange->paused) return complete(conn, frame);
    rewind_input(exchange);
    return false;
}

// Gives a Content-Length body that does not fit behind its head a buffer of its own.
static bool make_direct(struct sl_http_conn *conn) {
    struct sl_http_exchange *exchange = conn->exchange;
    struct sl_str here = sl_str_n(exchange->in + exchange->after, exchange->in_len - exchange->after);
    exchange->body.max = (size_t)exchange->framing.length;
    sl_buf_str(&exchange->body, here);
    if (exchange->body.failed) return refuse(conn, 503, "there is no memory for the body");
    exchange->in_len = exchange->after;
    exchange->body_left -= here.len;
    exchange->direct = true;
    return false;
}

static bool step_length(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (exchange->direct) {
        if (exchange->body_left > 0) return false;
        exchange->request.body = sl_buf_view(&exchange->body);
        return complete(conn, frame);
    }
    uint64_t length = exchange->framing.length;
    if (exchange->in_len - exchange->after >= length) {
        exchange->request.body = sl_str_n(exchange->in + exchange->after, (size_t)length);
        exchange->after += (size_t)length;
        exchange->body_left = 0;
        return complete(conn, frame);
    }
    return exchange->in_cap - exchange->after >= length ? false : make_direct(conn);
}

bool sl_http__step(struct sl_http_conn *conn, struct sl_http_frame *frame) {
    if (stop(conn, frame) || conn->broken) return false;
    if (conn->in_request && answered(conn)) {
        sl_http__finish(conn);
        return true;
    }
    switch (conn->phase) {
    case SL_HTTP_PHASE_HEAD:
        return step_head(conn, frame);
    case SL_HTTP_PHASE_DISCARD:
        return step_discard(conn);
    case SL_HTTP_PHASE_BODY:
        if (conn->exchange->framing.chunked) return step_chunked(conn, frame);
        return conn->exchange->parts ? step_parts(conn, frame) : step_length(conn, frame);
    default:
        return false;
    }
}
