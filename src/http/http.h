// SPDX-License-Identifier: Apache-2.0
//
// http: HTTP/1.1 server connections (RFC 9110, RFC 9112), strict. Used twice: for the public listener and, inside, for
// the Runtime API connections of instances. A connection belongs to one loop; it reads a request head, asks its
// handler, collects the body (identity or chunked) up to the limit the handler set, calls the handler, and writes the
// response; pipelined requests wait in the input buffer and are answered in order, one at a time. Keep-alive, Expect:
// 100-continue, HEAD, time-outs for slow clients, and refusal of every request-smuggling form (RFC 9112 section 6.3:
// both lengths, obs-fold, bare CR, bad chunk sizes, ...).
//
// Ownership: the connection owns everything; a request and all views in it live until its response has ended. A handler
// may keep the request and answer later, on the same loop thread. If the client goes away first, `aborted` is called
// (once) and the request is gone when it returns.
#ifndef SL_HTTP_HTTP_H
#define SL_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "net/listen.h"
#include "net/loop.h"

enum sl_http_method {
    SL_HTTP_GET,
    SL_HTTP_HEAD,
    SL_HTTP_POST,
    SL_HTTP_PUT,
    SL_HTTP_DELETE,
    SL_HTTP_OPTIONS,
    SL_HTTP_PATCH,
    SL_HTTP_OTHER
};

struct sl_http_header {
    struct sl_str name;  // as the client wrote it
    struct sl_str value; // trimmed
};

struct sl_http_conn;

struct sl_http_request {
    struct sl_http_conn *conn;
    struct sl_arena *arena; // the request's own; reset when the response has ended
    enum sl_http_method method;
    struct sl_str method_text;
    struct sl_str target; // as received, origin-form or absolute-form or "*"
    struct sl_str path;   // target's path, still percent-encoded, always begins with '/'
    struct sl_str query;  // after '?', still encoded; ptr NULL without '?'
    struct sl_str host;   // Host field (or the absolute-form's authority), with port
    int minor;            // HTTP/1.<minor>
    struct sl_http_header *headers;
    unsigned header_count;
    struct sl_str body;              // complete when `handle` is called
    struct sl_http_header *trailers; // of a chunked body; NULL without
    unsigned trailer_count;
    int64_t received_ms;                              // wall clock (sl_clock_ms) when the head was complete
    int64_t received_ns;                              // monotonic
    void *user;                                       // the handler's
    void (*aborted)(struct sl_http_request *request); // set by a handler that answers later
};

// What a server does with requests. One per listener kind.
struct sl_http_handler {
    // Head is complete. Decide the body limit in bytes (*max_body, preset to the config's). Return 0 to go on, or
    // answer at once (sl_http_respond...) and return nonzero: the body is then discarded within bounds, or the
    // connection closed. May be NULL.
    int (*head)(struct sl_http_request *request, size_t *max_body, void *user);
    // Streaming of a request body as it arrives instead of collecting it: if not NULL and it returns true after `head`,
    // `body_part` is called for each piece (request->body stays empty) and `handle` at the end (trailers set). Used by
    // the Runtime API's streamed responses.
    bool (*wants_parts)(struct sl_http_request *request, void *user);
    void (*body_part)(struct sl_http_request *request, struct sl_str part, void *user);
    // The request is complete. Must answer now or later.
    void (*handle)(struct sl_http_request *request, void *user);
    // A request that could not be parsed or timed out is answered by http itself; this lets the owner shape the body
    // (status, reason known). May be NULL: plain text. Called before the connection closes.
    void (*refused)(struct sl_http_conn *conn, int status, const char *reason, struct sl_buf *ret_headers,
                    struct sl_buf *ret_body, void *user);
    // The connection is closed and about to be freed. May be NULL.
    void (*closed)(struct sl_http_conn *conn, void *user);
};

struct sl_http_config {
    const struct sl_http_handler *handler;
    void *user;      // passed to the handler's functions
    size_t max_head; // bytes of request line and fields: over it 431 (414 for the line alone)
    unsigned max_headers;
    size_t max_body;          // default limit: over it 413
    int64_t head_timeout_ms;  // from the first byte of a head to its end: 408
    int64_t body_timeout_ms;  // without progress
    int64_t idle_timeout_ms;  // between requests: silent close; 0 = never (Runtime API)
    int64_t write_timeout_ms; // without progress of the peer reading
    bool lazy_ack;            // see sl_http_respond_lazy
    bool answer_truncated;    // a peer that ends its side within a body gets a 400 (else the connection just closes)
};
// The reason of that refusal.
extern const char sl_http_truncated[];

// Takes over an accepted non-blocking socket; `config` is copied, what it points to must stay. SL_E_LIMIT /
// SL_E_NO_MEMORY on failure (the fd is closed).
int sl_http_conn_new(struct sl_loop *loop, int fd, const struct sl_http_config *config, struct sl_http_conn **ret,
                     struct sl_error *err);
// Closes at once (drops what is unsent; a request in progress is `aborted` first) / after the response in progress
// (graceful shutdown). Inside a callback of the same connection both are allowed; answering calls on the closed
// connection then do nothing until the callback returns.
void sl_http_conn_close(struct sl_http_conn *conn);
void sl_http_conn_drain(struct sl_http_conn *conn);
// Moving a connection whose only request is parked (a Runtime API long poll) to another loop, in two steps: detach on
// the old owner's thread (no event of this connection is delivered any more, no timer is armed, conn_loop is NULL),
// then attach on the new owner's thread. Between the two nobody may touch it, but conn_close is allowed on the new
// owner's thread. (This replaces an earlier sl_http_conn_move.)
void sl_http_conn_detach(struct sl_http_conn *conn);
int sl_http_conn_attach(struct sl_http_conn *conn, struct sl_loop *loop, struct sl_error *err);
// Takes the peer over for another protocol: ends the connection object (`closed` is called, `aborted` is not) and
// returns a descriptor of the same socket, the caller's; what was not sent yet is appended to *unsent, what was
// received behind the request is lost. -1: no descriptor is left, and nothing has changed.
int sl_http_take(struct sl_http_request *request, struct sl_buf *unsent);
void *sl_http_conn_user(struct sl_http_conn *conn);
void sl_http_conn_set_user(struct sl_http_conn *conn,
                           void *user); // per connection, overrides config->user in handler calls
struct sl_loop *sl_http_conn_loop(const struct sl_http_conn *conn);
// Peer's address as text ("127.0.0.1"), without port; "" for a socket that has none.
struct sl_str sl_http_conn_peer(struct sl_http_conn *conn);
bool sl_http_conn_busy(const struct sl_http_conn *conn); // a request is in progress or output is unsent

// First field of that name (case-insensitive), or ptr NULL.
struct sl_str sl_http_header(const struct sl_http_request *request, struct sl_str name);
// Value of the first query parameter of that name, percent- and plus-decoded in the request's arena; ptr NULL if
// absent.
struct sl_str sl_http_query(const struct sl_http_request *request, struct sl_str name);

// Answering. In this order: begin, header*, then body (whole) or stream/part*/end. Date and Content-Length or
// Transfer-Encoding and Connection are added here; a header the caller gives by those names is an error of the caller
// (asserted in debug, dropped in release). HEAD requests and 204/304 send no body. After body or end the request is
// gone.
void sl_http_begin(struct sl_http_request *request, int status);
void sl_http_add(struct sl_http_request *request, struct sl_str name,
                 struct sl_str value); // CR, LF, NUL in a value are replaced by a space
void sl_http_body(struct sl_http_request *request,
                  struct sl_str body);                // the bytes are copied or sent before it returns
void sl_http_stream(struct sl_http_request *request); // chunked (or close-delimited for HTTP/1.0)
// A stream whose length is known: Content-Length instead. Parts must add up to it: what is too much or missing at
// sl_http_end costs the client its connection. With HEAD no part is needed.
void sl_http_stream_sized(struct sl_http_request *request, uint64_t length);
void sl_http_part(struct sl_http_request *request, struct sl_str bytes);
size_t sl_http_unsent(
    const struct sl_http_request *request); // bytes queued and not yet taken by the kernel: for back-pressure.
                                            // Huge on a connection that is lost (aborted comes soon).
// Called when the unsent bytes of a streamed response have fallen below 64 KiB again.
void sl_http_on_drained(struct sl_http_request *request, void (*drained)(struct sl_http_request *));
void sl_http_end(struct sl_http_request *request);
// For a handler that wants parts: no more body_part until paused is false again. The peer is held back by TCP.
void sl_http_pause(struct sl_http_request *request, bool paused);
// Closes without a proper end, so that the client sees a broken body: a stream whose source failed.
void sl_http_abort(struct sl_http_request *request);
// The whole answer in one call.
void sl_http_respond(struct sl_http_request *request, int status, struct sl_str content_type, struct sl_str body);
// Like respond, but (when config.lazy_ack and another complete request already waits in the buffer) the bytes are kept
// and go out in one write with the next response: the acknowledgement of a pipelined Runtime API response.
void sl_http_respond_lazy(struct sl_http_request *request, int status, struct sl_str content_type, struct sl_str body);

// Direct writing for the warm path: begin + add, then body parts are written straight into the connection's output
// buffer. `sl_http_body_begin` needs the exact length; the caller appends exactly that many bytes to the returned
// buffer and calls sl_http_body_end.
struct sl_buf *sl_http_body_begin(struct sl_http_request *request, size_t length);
void sl_http_body_end(struct sl_http_request *request);

// Listening. SO_REUSEPORT (sl_net_listen_group) so that each loop has a listener of its own. The listener takes over
// the socket, also when it fails; `config` is copied, what it points to must stay.
struct sl_http_listener;
int sl_http_listen(struct sl_loop *loop, int listen_fd, const struct sl_http_config *config, unsigned max_connections,
                   struct sl_http_listener **ret, struct sl_error *err);
// Stops accepting; connections drain (idle ones close now, busy ones after their response). `drained` is called on the
// loop when none is left.
void sl_http_listener_drain(struct sl_http_listener *listener, void (*drained)(void *), void *user);
void sl_http_listener_free(struct sl_http_listener *listener);
unsigned sl_http_listener_connections(const struct sl_http_listener *listener);
// Standard reason phrase of a status.
const char *sl_http_reason(int status);

#endif
