// SPDX-License-Identifier: Apache-2.0
//
// response: composing answers. The status line and fields are written straight into the connection's output queue;
// framing fields (Content-Length, Transfer-Encoding, Connection, Date) are added here and nowhere else.
//
// A call that comes at the wrong time (the connection died meanwhile, the answer was ended) does nothing: a handler
// that closes its own connection inside a callback may still run to its end.
#include "http/conn.h"

#include <stdio.h>

enum { COPY_MAX = 16 * 1024 }; // a longer body is sent from where it is

static bool at(const struct sl_http_request *request, enum sl_http_answer answer) {
    const struct sl_http_conn *conn = request->conn;
    return !conn->dead && conn->in_request && conn->exchange->answer == answer;
}

static void put_u64(struct sl_buf *out, const char *name, uint64_t value) {
    sl_buf_cstr(out, name);
    sl_buf_u64(out, value);
    sl_buf_put(out, "\r\n", 2);
}

static void put_status(struct sl_buf *out, int status) {
    const char *reason = sl_http_reason(status);
    size_t len = strlen(reason);
    char *line = sl_buf_reserve(out, 16 + len);
    if (!line) return;
    memcpy(line, "HTTP/1.1 ", 9);
    line[9] = (char)('0' + status / 100);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    line[12] = ' ';
    memcpy(line + 13, reason, len);
    memcpy(line + 13 + len, "\r\n", 2);
    out->len += 15 + len;
}

// Whether the connection can stay open after this answer.
static bool can_keep(const struct sl_http_conn *conn) {
    const struct sl_http_exchange *exchange = conn->exchange;
    if (!exchange->framing.keep_alive || conn->eof || conn->broken) return false;
    if (conn->phase == SL_HTTP_PHASE_BODY) {
        // Answered before the body was read. A client that waits for 100 may or may not send it: nobody can tell what
        // comes next.
        bool waits = exchange->framing.expect_continue;
        return !exchange->framing.chunked && !waits && exchange->body_left <= SL_HTTP_DISCARD_MAX && !conn->draining;
    }
    // While draining, requests that have arrived are still answered; the last of them says close.
    return !conn->draining || exchange->after < exchange->in_len;
}

void sl_http_begin(struct sl_http_request *request, int status) {
    if (!at(request, SL_HTTP_ANSWER_NONE)) return;
    struct sl_http_conn *conn = request->conn;
    struct sl_http_exchange *exchange = conn->exchange;
    if (status < 200 || status > 999) status = 500; // not a final status
    exchange->answer = SL_HTTP_ANSWER_HEAD;
    exchange->status = status;
    exchange->keep = can_keep(conn);
    exchange->no_body = request->method == SL_HTTP_HEAD || status == 204 || status == 304;
    exchange->sized = false;
    conn->lazy = false;
    put_status(&exchange->out, status);
    sl_buf_str(&exchange->out, sl_http__date(conn->loop));
}

static bool is_framing(struct sl_str name) {
    switch (name.len) {
    case 4:
        return sl_str_ieq(name, SL_STR("date"));
    case 10:
        return sl_str_ieq(name, SL_STR("connection"));
    case 14:
        return sl_str_ieq(name, SL_STR("content-length"));
    case 17:
        return sl_str_ieq(name, SL_STR("transfer-encoding"));
    default:
        return false;
    }
}

void sl_http_add(struct sl_http_request *request, struct sl_str name, struct sl_str value) {
    if (!at(request, SL_HTTP_ANSWER_HEAD) || name.len == 0 || is_framing(name)) return;
    for (size_t i = 0; i < name.len; i++)
        if (!(sl_http__class[(unsigned char)name.ptr[i]] & SL_HTTP_TOKEN)) return;
    struct sl_buf *out = &request->conn->exchange->out;
    char *line = sl_buf_reserve(out, name.len + value.len + 4);
    if (!line) return;
    memcpy(line, name.ptr, name.len);
    line += name.len;
    *line++ = ':';
    *line++ = ' ';
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        *line++ = c == '\r' || c == '\n' || c == '\0' ? ' ' : c; // no answer can be split by a value
    }
    memcpy(line, "\r\n", 2);
    out->len += name.len + value.len + 4;
}

// Ends the head. 204 and 304 have no Content-Length (RFC 9110 section 8.6); for HEAD it says what GET would have had.
static void end_head(struct sl_http_exchange *exchange, bool sized, uint64_t length) {
    struct sl_buf *out = &exchange->out;
    if (sized && exchange->status != 204 && exchange->status != 304) put_u64(out, "Content-Length: ", length);
    if (!sized && exchange->chunk_out) sl_buf_cstr(out, "Transfer-Encoding: chunked\r\n");
    if (!exchange->keep)
        sl_buf_cstr(out, "Connection: close\r\n");
    else if (exchange->request.minor == 0)
        sl_buf_cstr(out, "Connection: keep-alive\r\n");
    sl_buf_put(out, "\r\n", 2);
}

void sl_http_body(struct sl_http_request *request, struct sl_str body) {
    if (!at(request, SL_HTTP_ANSWER_HEAD)) return;
    struct sl_http_conn *conn = request->conn;
    struct sl_http_exchange *exchange = conn->exchange;
    end_head(exchange, true, body.len);
    exchange->answer = SL_HTTP_ANSWER_DONE;
    if (exchange->no_body) body.len = 0;
    if (body.len > COPY_MAX)
        sl_http__flush_with(conn, body);
    else
        sl_buf_str(&exchange->out, body);
    sl_http__answered(conn);
}

struct sl_buf *sl_http_body_begin(struct sl_http_request *request, size_t length) {
    struct sl_http_exchange *exchange = request->conn->exchange;
    if (!at(request, SL_HTTP_ANSWER_HEAD)) {
        // The caller writes anyway: into a buffer that takes nothing.
        static _Thread_local struct sl_buf nowhere;
        sl_buf_init(&nowhere, 0);
        return &nowhere;
    }
    end_head(exchange, true, length);
    exchange->answer = SL_HTTP_ANSWER_DIRECT;
    exchange->direct_at = exchange->out.len;
    exchange->direct_len = length;
    sl_buf_reserve(&exchange->out, length);
    return &exchange->out;
}

void sl_http_body_end(struct sl_http_request *request) {
    if (!at(request, SL_HTTP_ANSWER_DIRECT)) return;
    struct sl_http_exchange *exchange = request->conn->exchange;
    bool honest = exchange->out.len - exchange->direct_at == exchange->direct_len;
    if (exchange->no_body) exchange->out.len = exchange->direct_at;
    exchange->answer = SL_HTTP_ANSWER_DONE;
    if (!honest) sl_http__break(request->conn); // the length that was promised is wrong: no way to go on
    sl_http__answered(request->conn);
}

void sl_http_stream(struct sl_http_request *request) {
    if (!at(request, SL_HTTP_ANSWER_HEAD)) return;
    struct sl_http_conn *conn = request->conn;
    struct sl_http_exchange *exchange = conn->exchange;
    exchange->chunk_out = request->minor >= 1 && exchange->status != 204 && exchange->status != 304;
    if (!exchange->chunk_out && !exchange->no_body) exchange->keep = false; // the end of the connection ends the body
    end_head(exchange, false, 0);
    exchange->answer = SL_HTTP_ANSWER_STREAM;
    if (!conn->frame) sl_http__flush(conn);
}

void sl_http_stream_sized(struct sl_http_request *request, uint64_t length) {
    if (!at(request, SL_HTTP_ANSWER_HEAD)) return;
    struct sl_http_conn *conn = request->conn;
    struct sl_http_exchange *exchange = conn->exchange;
    end_head(exchange, true, length);
    exchange->chunk_out = false;
    exchange->sized = true;
    exchange->sized_left = exchange->no_body ? 0 : length;
    exchange->answer = SL_HTTP_ANSWER_STREAM;
    if (!conn->frame) sl_http__flush(conn);
}

void sl_http_part(struct sl_http_request *request, struct sl_str bytes) {
    if (!at(request, SL_HTTP_ANSWER_STREAM) || bytes.len == 0) return; // an empty chunk would end the body
    struct sl_http_conn *conn = request->conn;
    struct sl_http_exchange *exchange = conn->exchange;
    if (exchange->no_body || conn->broken) return;
    if (exchange->sized && bytes.len > exchange->sized_left) {
        sl_http__break(conn); // the length that was promised is wrong: no way to go on
        return;
    }
    if (exchange->sized) exchange->sized_left -= bytes.len;
    if (exchange->chunk_out) {
        char size[20];
        int digits = snprintf(size, sizeof size, "%zx\r\n", bytes.len);
        sl_buf_put(&exchange->out, size, (size_t)digits);
    }
    sl_buf_str(&exchange->out, bytes);
    if (exchange->chunk_out) sl_buf_put(&exchange->out, "\r\n", 2);
    // In a frame the bytes go out when it settles, unless there are many.
    if (!conn->frame || sl_http__unsent(conn) >= SL_HTTP_OUT_HIGH) sl_http__flush(conn);
}

size_t sl_http_unsent(const struct sl_http_request *request) {
    const struct sl_http_conn *conn = request->conn;
    // A lost connection takes nothing: somebody who writes until the queue is full must come to an end.
    return conn->dead || conn->broken ? SL_HTTP_OUT_MAX : sl_http__unsent(conn);
}

void sl_http_on_drained(struct sl_http_request *request, void (*drained)(struct sl_http_request *)) {
    if (!request->conn->dead) request->conn->exchange->drained = drained;
}

void sl_http_pause(struct sl_http_request *request, bool paused) {
    struct sl_http_conn *conn = request->conn;
    if (conn->dead || !conn->in_request || conn->exchange->paused == paused) return;
    conn->exchange->paused = paused;
    if (!conn->frame) sl_http__resume(conn);
}

void sl_http_end(struct sl_http_request *request) {
    if (!at(request, SL_HTTP_ANSWER_STREAM)) return;
    struct sl_http_exchange *exchange = request->conn->exchange;
    if (exchange->chunk_out && !exchange->no_body) sl_buf_cstr(&exchange->out, "0\r\n\r\n");
    exchange->answer = SL_HTTP_ANSWER_DONE;
    if (exchange->sized && exchange->sized_left) sl_http__break(request->conn);
    sl_http__answered(request->conn);
}

void sl_http_abort(struct sl_http_request *request) {
    struct sl_http_conn *conn = request->conn;
    if (conn->dead || !conn->in_request || conn->exchange->answer == SL_HTTP_ANSWER_DONE) return;
    struct sl_http_exchange *exchange = conn->exchange;
    // A chunked body without its last chunk is seen to be broken; anything else needs a reset.
    conn->reset = exchange->answer != SL_HTTP_ANSWER_STREAM || !exchange->chunk_out;
    exchange->keep = false;
    exchange->answer = SL_HTTP_ANSWER_DONE;
    sl_http__answered(conn);
}

void sl_http_respond(struct sl_http_request *request, int status, struct sl_str content_type, struct sl_str body) {
    sl_http_begin(request, status);
    if (content_type.len) sl_http_add(request, SL_STR("Content-Type"), content_type);
    sl_http_body(request, body);
}

void sl_http_respond_lazy(struct sl_http_request *request, int status, struct sl_str content_type, struct sl_str body) {
    struct sl_http_conn *conn = request->conn;
    sl_http_begin(request, status);
    if (content_type.len) sl_http_add(request, SL_STR("Content-Type"), content_type);
    if (!conn->dead) conn->lazy = conn->config.lazy_ack;
    sl_http_body(request, body);
}

// ---- answers of http itself ---------------------------------------------------------------------------------------

static void compose_refusal(struct sl_http_conn *conn, struct sl_http_refusal refusal, struct sl_buf *headers,
                            struct sl_buf *body) {
    struct sl_buf *out = &conn->exchange->out;
    const struct sl_http_handler *handler = conn->config.handler;
    if (handler->refused) handler->refused(conn, refusal.status, refusal.reason, headers, body, conn->user);
    if (conn->dead) return;
    if (!handler->refused) {
        sl_buf_cstr(headers, "Content-Type: text/plain\r\n");
        sl_buf_printf(body, "%d %s: %s\n", refusal.status, sl_http_reason(refusal.status), refusal.reason);
    }
    put_status(out, refusal.status);
    sl_buf_str(out, sl_http__date(conn->loop));
    sl_buf_str(out, sl_buf_view(headers));
    put_u64(out, "Content-Length: ", body->len);
    sl_buf_cstr(out, "Connection: close\r\n\r\n");
    if (conn->exchange->request.method != SL_HTTP_HEAD) sl_buf_str(out, sl_buf_view(body));
}

const char sl_http_truncated[] = "the body was cut short";

void sl_http__refuse(struct sl_http_conn *conn, struct sl_http_refusal refusal) {
    struct sl_http_exchange *exchange = conn->exchange;
    if (conn->dead) return;
    bool begun = conn->in_request && exchange->answer != SL_HTTP_ANSWER_NONE;
    if (!begun) {
        struct sl_buf headers, body;
        sl_buf_init(&headers, 8192);
        sl_buf_init(&body, 64 * 1024);
        compose_refusal(conn, refusal, &headers, &body);
        sl_buf_free(&headers);
        sl_buf_free(&body);
    }
    if (conn->dead) return;
    if (conn->in_request) {
        conn->in_request = false;
        if (exchange->request.aborted) exchange->request.aborted(&exchange->request);
        if (conn->dead) return;
    }
    exchange->answer = SL_HTTP_ANSWER_DONE;
    exchange->keep = false;
    conn->phase = SL_HTTP_PHASE_CLOSING;
    conn->linger = true;
    if (begun) sl_http__break(conn); // half an answer is out
}
