// SPDX-License-Identifier: Apache-2.0
//
// conn: what the files of http/ share about a connection (internal). conn.c drives it (events, time-outs, life and
// death), request.c takes a request through its phases, response.c composes answers, output.c sends, exchange.c keeps
// the memory, listener.c accepts.
//
// Phases of a connection, one request at a time:
//
//   HEAD --head complete--> BODY --complete--> HANDLE --answered--> HEAD
//                             \--answered early--> DISCARD --rest read--> HEAD
//   any --refused, or answered with "Connection: close"--> CLOSING --all sent--> LINGER --peer closed or time--> dead
//
// Memory. What is needed only while something is going on (buffers, arena, the request itself) is an `exchange`, which
// an idle connection gives back to its loop's free list: thousands of idle keep-alive connections cost a few hundred
// bytes each, and the buffers of the next request are the ones that are in the processor's cache. On the warm path
// nothing is allocated.
//
// The input buffer holds the head of the running request at `start`, and everything else from `next` on (body bytes,
// pipelined requests). While a request runs the buffer does not move, because the request's views point into it.
//
// Frames. A handler may close, detach or answer from within a callback. The outermost entry point puts a frame on its
// stack; a connection that dies meanwhile is freed when that frame ends; one that is detached (it may already run on
// another thread) sets `gone`, and the unwinding code does not touch it again.
#ifndef SL_HTTP_CONN_H
#define SL_HTTP_CONN_H

#include "http/http.h"
#include "http/parse.h"

enum {
    SL_HTTP_IN_SIZE = 16 * 1024,  // of an input buffer; grows for a longer head only
    SL_HTTP_OUT_HIGH = 64 * 1024, // unsent bytes above which no further request is begun, and where `drained` is called
    SL_HTTP_OUT_MAX = 512 * 1024 * 1024,
    SL_HTTP_KEEP = 64 * 1024, // buffers up to this size are kept for the next request
    SL_HTTP_ARENA_MAX = 256 * 1024 * 1024,
    SL_HTTP_TRAILER_MAX = 64 * 1024,
    SL_HTTP_MAX_TRAILERS = 32,
    SL_HTTP_DISCARD_MAX = 256 * 1024, // of a body nobody wants; a longer one costs the client its connection
};

enum sl_http_phase {
    SL_HTTP_PHASE_HEAD,
    SL_HTTP_PHASE_BODY,
    SL_HTTP_PHASE_HANDLE,
    SL_HTTP_PHASE_DISCARD,
    SL_HTTP_PHASE_CLOSING,
    SL_HTTP_PHASE_LINGER,
};

// What `timer` is armed for.
enum sl_http_timing {
    SL_HTTP_TIMING_NONE,
    SL_HTTP_TIMING_IDLE,
    SL_HTTP_TIMING_HEAD,
    SL_HTTP_TIMING_BODY,
    SL_HTTP_TIMING_LINGER,
    SL_HTTP_TIMING_OVER,   // whatever it is armed for is no longer meant
    SL_HTTP_TIMING_RESUME, // 0 ms: there is work in the buffer, to be done outside of the handler's call
};

// Where the answer of the running request is.
enum sl_http_answer {
    SL_HTTP_ANSWER_NONE,
    SL_HTTP_ANSWER_HEAD,   // begin was called, fields may follow
    SL_HTTP_ANSWER_STREAM, // parts may follow
    SL_HTTP_ANSWER_DIRECT, // between body_begin and body_end
    SL_HTTP_ANSWER_DONE,
};

struct sl_http_exchange {
    struct sl_http_exchange *next; // in the free list
    struct sl_http_request request;
    struct sl_arena arena;
    struct sl_http_header *headers;
    unsigned header_room;
    char *in;
    size_t in_len, in_cap;
    size_t start,
        after; // running request: its head's first byte, the first byte that is not its own (or not yet decoded)
    struct sl_http_scan scan;
    struct sl_http_framing framing;
    struct sl_http_chunked chunked;
    struct sl_buf body;
    uint64_t body_left; // of a Content-Length body: not yet taken
    uint64_t body_got;  // of a chunked body: decoded so far
    size_t max_body;
    bool direct; // the body is read into `body`, not into `in`
    bool parts;  // the handler takes it piece by piece
    bool paused; // ... and wants no more now
    struct sl_buf out;
    size_t out_at; // sent up to here
    enum sl_http_answer answer;
    int status;
    bool keep;               // the connection stays open after this answer
    bool chunk_out, no_body; // how the answer's body is written
    bool sized;              // a stream that promised its length,
    uint64_t sized_left;     // ... of which this is not given yet
    size_t direct_at, direct_len;
    void (*drained)(struct sl_http_request *request);
};

struct sl_http_frame {
    bool gone; // detached during a callback
};

struct sl_http_conn {
    struct sl_watch watch;
    struct sl_timer timer;             // of the phase: idle, head, body, linger
    struct sl_timer write_timer;       // the peer does not read; or 0 ms: the connection is broken
    struct sl_loop *loop;              // NULL while detached
    struct sl_http_exchange *exchange; // NULL when idle
    struct sl_http_frame *frame;       // of the outermost entry, or NULL
    enum sl_http_phase phase;
    bool dead;       // closed; freed when the frame ends
    bool broken;     // sending failed: closed from the loop, not from inside a handler's call
    bool draining;   // closes after the running request and those already in the buffer
    bool fresh;      // nothing was received yet
    bool eof;        // the peer sends no more
    bool blocked;    // the socket is full; waiting for EPOLLOUT
    bool linger;     // the peer may still be sending: close so that it can read the answer (RFC 9112 section 9.6)
    bool lazy;       // what is queued may wait for the next answer
    bool reset;      // close with RST: a close-delimited body must not look complete
    bool in_request; // between the end of a head and the end of its answer
    enum sl_http_timing timing;
    void *user;
    struct sl_http_config config;
    struct sl_http_listener *listener; // NULL for a connection of its own
    struct sl_http_conn *next, **prev; // in the listener's list; next also in the free list
    char peer[48];
};

// conn.c. Ends the connection: `aborted` if a request is running, `closed`, then the memory now or at the end of the
// frame.
void sl_http__kill(struct sl_http_conn *conn);
// The answer is complete (answer == DONE): goes on with the connection, unless a frame does. Calls no handler.
void sl_http__answered(struct sl_http_conn *conn);
// Goes on in the next turn with what is in the buffer.
void sl_http__resume(struct sl_http_conn *conn);
// Brings the events that are watched in line with the phase; a system call only if they change.
void sl_http__update_watch(struct sl_http_conn *conn);

// request.c. One step of the phases; true if another may follow. Handlers are called from here.
bool sl_http__step(struct sl_http_conn *conn, struct sl_http_frame *frame);
// The running request's answer is done: what comes next (next head, rest of the body, close). Calls no handler.
void sl_http__finish(struct sl_http_conn *conn);

// exchange.c
struct sl_http_exchange *sl_http__exchange_take(struct sl_loop *loop, unsigned max_headers);
// To the loop's free list; loop may be NULL.
void sl_http__exchange_give(struct sl_loop *loop, struct sl_http_exchange *exchange);
// The running request's memory is forgotten; what follows it in the input becomes the next one's.
void sl_http__exchange_next(struct sl_http_exchange *exchange);
// Room in the input buffer behind the head that begins at `start`, so that the buffer need not move while a request
// runs.
bool sl_http__exchange_room(struct sl_http_exchange *exchange, size_t head_len, size_t room);
struct sl_http_conn *sl_http__conn_take(struct sl_loop *loop);
void sl_http__conn_give(struct sl_loop *loop, struct sl_http_conn *conn);
struct sl_str sl_http__date(struct sl_loop *loop);

// output.c.
static inline size_t sl_http__unsent(const struct sl_http_conn *conn) {
    return conn->exchange ? conn->exchange->out.len - conn->exchange->out_at : 0;
}
// Sends what is queued; keeps the rest and asks for EPOLLOUT. Never kills: a failure sets `broken` and arms the write
// timer.
void sl_http__flush(struct sl_http_conn *conn);
// The same with `body` after the queue; what the kernel does not take of it is copied.
void sl_http__flush_with(struct sl_http_conn *conn, struct sl_str body);
void sl_http__break(struct sl_http_conn *conn);

// response.c: the answer of http itself; begins the close.
void sl_http__refuse(struct sl_http_conn *conn, struct sl_http_refusal refusal);

// listener.c
void sl_http__listener_lost(struct sl_http_listener *listener, struct sl_http_conn *conn);

#endif
