// SPDX-License-Identifier: Apache-2.0
//
// The Runtime API client behind sluice_runtime.h.
//
// Data flow: read_event() gives an event out of the connection's `in` (sluice_wire.h: HTTP; sluice_lane.h: frames),
// which is handed to the handler in place. The handler writes into `out`, which keeps room for the HTTP head or the
// frame in front of the body, so that head, body and the request for the next event are contiguous and leave in one
// send().
//
// Invariants: one thread, one event in work. While the handler runs `in` holds its event, and on a lane perhaps others
// behind it, which are not looked at. `out`'s body never exceeds MAX_BODY unless streaming, where it is emptied as it
// fills. Memory grows to what the largest event and answer needed, and stays.
//
// Errors: a connection that ends where an answer is due is made anew once per event (a server closes after refusing a
// body); if that fails too, sluice_run() ends and the environment with it.

#define _XOPEN_SOURCE 700

#include "sluice_runtime.h"

#include "sluice_lane.h"
#include "sluice_text.h"
#include "sluice_wire.h"

#include <stdarg.h>
#include <sys/time.h>

#define MAX_BODY    ((size_t)6291556) // Lambda's limit of a buffered answer: 6 MiB and 100 bytes
#define HEAD_ROOM   ((size_t)1024)    // more than the longest head post_head() can make, and than a frame's
#define CHUNK_ROOM  ((size_t)16)      // room for a chunk's size line in front of it
#define CHUNK_SIZE  ((size_t)16384)
#define EXIT_WAIT_S 2 // how long a post that ends the process waits for its answer
#define MAX_ID      ((size_t)128)

// An event, by HTTP or by a lane. It leads into the connection's `in`.
struct incoming {
    struct sluice_context context;
    char *body;
    size_t body_len;
};

struct sluice_response {
    struct connection *connection;
    char request_id[MAX_ID + 1];
    char content_type[128];
    char error_type[128];
    struct buffer out;   // HEAD_ROOM bytes, then the body (or the chunk being gathered)
    struct buffer error; // the error report, once there is one
    bool streaming;      // the head has been sent
    bool too_large;
    bool broken; // out of memory, or the connection failed while streaming
};

// ------------------------------------------------------------------------------------------ requests

static int append_next(struct buffer *b, const struct connection *c) {
    char text[256];
    int n = snprintf(text, sizeof text,
                     "GET " PREFIX "invocation/next HTTP/1.1\r\nHost: %s\r\nUser-Agent: " USER_AGENT "\r\n%s\r\n",
                     c->address, c->lane.local && c->output.epoll >= 0 ? "Sluice-Lane: 1\r\n" : "");
    return append(b, text, (size_t)n);
}

static int send_next(struct connection *c) {
    struct buffer b = {0};
    int failed = append_next(&b, c) || send_all(c, b.data, b.len);
    free(b.data);
    return failed ? BROKEN : 0;
}

// Writes a post's head. `fields` are whole header lines. At most HEAD_ROOM bytes: every part is bounded.
static size_t post_head(char *to, const struct connection *c, const char *path, const char *type, const char *fields) {
    int n =
        snprintf(to, HEAD_ROOM,
                 "POST " PREFIX "%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: " USER_AGENT "\r\nContent-Type: %s\r\n%s\r\n",
                 path, c->address, type, fields);
    return n < 0 || (size_t)n >= HEAD_ROOM ? 0 : (size_t)n;
}

static void response_path(char *to, size_t cap, const struct sluice_response *r, const char *kind) {
    snprintf(to, cap, "invocation/%s/%s", r->request_id, kind);
}

// Leaves the lane for a connection that speaks HTTP. The server takes in what was answered before by itself.
static int leave_lane(struct connection *c) {
    c->output.stale = true;
    return c->lane.on ? connection_open(c) : 0;
}

// Sends a post from a buffer that has HEAD_ROOM bytes in front of its body, with the next request behind it.
static int post_and_next(struct sluice_response *r, struct buffer *b, const char *kind, const char *error_type) {
    char path[MAX_ID + 32], fields[256], head[HEAD_ROOM];
    size_t body_len = b->len - HEAD_ROOM;
    int n = snprintf(fields, sizeof fields, "Content-Length: %zu\r\n", body_len);
    if (error_type) {
        snprintf(fields + n, sizeof fields - (size_t)n, "Lambda-Runtime-Function-Error-Type: %s\r\n", error_type);
    }
    response_path(path, sizeof path, r, kind);
    const char *type = error_type ? "application/json" : r->content_type;
    size_t head_len = post_head(head, r->connection, path, type, fields);
    if (append_next(b, r->connection)) {
        return BROKEN;
    }
    char *start = b->data + HEAD_ROOM - head_len;
    memcpy(start, head, head_len);
    int failed = send_all(r->connection, start, head_len + b->len - HEAD_ROOM);
    r->connection->owed = 1;
    return failed;
}

// ------------------------------------------------------------------------------------------ the answer

static int begin_buffer(struct buffer *b) {
    b->len = 0;
    if (reserve(b, HEAD_ROOM)) {
        return -1;
    }
    b->len = HEAD_ROOM;
    return 0;
}

static int make_report(struct buffer *b, const char *type, const char *message) {
    return begin_buffer(b) || append_text(b, "{\"errorMessage\":") || append_json(b, message, strlen(message)) ||
           append_text(b, ",\"errorType\":") || append_json(b, type, strlen(type)) ||
           append_text(b, ",\"stackTrace\":[]}");
}

// Sends what has gathered as one chunk, followed by `tail` (the end of the body, and perhaps the next request).
static int send_chunk(struct sluice_response *r, const char *tail, size_t tail_len) {
    size_t len = r->out.len - HEAD_ROOM, line_len = 0;
    char line[CHUNK_ROOM];
    if (len) { // an empty chunk would end the body
        line_len = (size_t)snprintf(line, sizeof line, "%zx\r\n", len);
    }
    if ((len && append(&r->out, "\r\n", 2)) || append(&r->out, tail, tail_len)) {
        return -1;
    }
    char *start = r->out.data + HEAD_ROOM - line_len;
    memcpy(start, line, line_len);
    int failed = send_all(r->connection, start, (size_t)(r->out.data + r->out.len - start));
    r->out.len = HEAD_ROOM;
    return failed;
}

int sluice_flush(struct sluice_response *r) {
    if (r->streaming && !r->broken && r->out.len > HEAD_ROOM && send_chunk(r, "", 0)) {
        r->broken = true;
    }
    return r->broken ? -1 : 0;
}

// What every writer does last: notes failure, and keeps the limits.
static int written(struct sluice_response *r, int failed) {
    if (failed) {
        r->broken = true;
    }
    if (r->streaming) {
        return r->out.len - HEAD_ROOM >= CHUNK_SIZE ? sluice_flush(r) : (r->broken ? -1 : 0);
    }
    if (r->out.len - HEAD_ROOM > MAX_BODY) {
        r->too_large = true;
        r->out.len = HEAD_ROOM; // nothing of it will be sent
    }
    return r->broken || r->too_large ? -1 : 0;
}

int sluice_write(struct sluice_response *r, const void *data, size_t len) {
    const char *p = data;
    while (r->streaming && len > CHUNK_SIZE) { // so that `out` stays small
        if (written(r, append(&r->out, p, CHUNK_SIZE))) {
            return -1;
        }
        p += CHUNK_SIZE;
        len -= CHUNK_SIZE;
    }
    if (r->too_large || len > MAX_BODY) {
        r->too_large = true;
        return -1;
    }
    return written(r, append(&r->out, p, len));
}

int sluice_write_string(struct sluice_response *r, const char *text, size_t len) {
    if (r->too_large || len > MAX_BODY) {
        r->too_large = true;
        return -1;
    }
    return written(r, append_json(&r->out, text, len));
}

int sluice_printf(struct sluice_response *r, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result;
    if (n < 0 || (size_t)n > MAX_BODY || r->too_large) {
        r->too_large = true;
        result = -1;
    } else if (reserve(&r->out, (size_t)n + 1)) {
        result = written(r, -1);
    } else {
        vsnprintf(r->out.data + r->out.len, (size_t)n + 1, format, again);
        r->out.len += (size_t)n;
        result = written(r, 0);
    }
    va_end(again);
    return result;
}

void sluice_content_type(struct sluice_response *r, const char *type) {
    copy_printable(r->content_type, sizeof r->content_type, type);
}

int sluice_fail(struct sluice_response *r, const char *type, const char *message) {
    copy_printable(r->error_type, sizeof r->error_type, type);
    fprintf(stderr, "[ERROR] %s: %s\n", type, message);
    if (make_report(&r->error, type, message)) {
        r->broken = true;
    }
    return -1;
}

int sluice_stream(struct sluice_response *r) {
    if (r->streaming || r->broken || r->too_large) {
        return r->streaming && !r->broken ? 0 : -1;
    }
    char path[MAX_ID + 32], head[HEAD_ROOM];
    r->streaming = true;
    if (leave_lane(r->connection)) { // a stream is HTTP's
        r->broken = true;
        return -1;
    }
    response_path(path, sizeof path, r, "response");
    size_t n = post_head(head, r->connection, path, r->content_type,
                         "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
                         "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n");
    r->broken = send_all(r->connection, head, n) != 0;
    return sluice_flush(r);
}

int sluice_stream_http(struct sluice_response *r, const char *json, size_t len) {
    static const char separator[8] = {0};
    if (r->streaming || r->out.len > HEAD_ROOM) {
        return -1;
    }
    sluice_content_type(r, "application/vnd.awslambda.http-integration-response");
    return sluice_write(r, json, len) || sluice_write(r, separator, sizeof separator) || sluice_stream(r) ? -1 : 0;
}

static int finish_stream(struct sluice_response *r) {
    struct buffer tail = {0};
    int failed = append_text(&tail, "0\r\n");
    if (r->error.len) {
        failed |= append_text(&tail, "Lambda-Runtime-Function-Error-Type: ") || append_text(&tail, r->error_type) ||
                  append_text(&tail, "\r\nLambda-Runtime-Function-Error-Body: ") ||
                  append_base64(&tail, r->error.data + HEAD_ROOM, r->error.len - HEAD_ROOM) ||
                  append_text(&tail, "\r\n");
    }
    failed |= append_text(&tail, "\r\n") || append_next(&tail, r->connection);
    failed = failed || send_chunk(r, tail.data, tail.len);
    r->connection->owed = 1;
    free(tail.data);
    return failed ? BROKEN : 0;
}

// By the lane if there is one, and it can be.
static int settle(struct sluice_response *r, struct buffer *b, const char *kind, const char *error_type) {
    struct connection *c = r->connection;
    const char *type = error_type ? error_type : r->content_type;
    if (c->lane.on && lane_answer(c, b, HEAD_ROOM, type, error_type != NULL)) {
        return 0;
    }
    return leave_lane(c) ? BROKEN : post_and_next(r, b, kind, error_type);
}

static int finish(struct sluice_response *r, int handler_result) {
    fflush(stdout);
    if (r->too_large) {
        sluice_fail(r, "Function.ResponseSizeTooLarge",
                    "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
    } else if (r->broken && !r->streaming && !r->error.len) {
        sluice_fail(r, "Runtime.OutOfMemory", "Out of memory while the response was written.");
    } else if (handler_result != 0 && !r->error.len) {
        char message[64];
        snprintf(message, sizeof message, "The handler returned %d.", handler_result);
        sluice_fail(r, "Function.HandlerFailed", message);
    }
    if (r->streaming) {
        return r->broken ? BROKEN : finish_stream(r);
    }
    return r->error.len ? settle(r, &r->error, "error", r->error_type) : settle(r, &r->out, "response", NULL);
}

// ------------------------------------------------------------------------------------------ events

// Reads the answers to posts that come before an event. 0, BROKEN, or 1 if the server said that there will be none.
static int read_owed(struct connection *c) {
    for (; c->owed > 0; c->owed--) {
        struct http_response answer;
        if (read_response(c, &answer)) {
            return BROKEN;
        }
        if (answer.status != 202) {
            fprintf(stderr, "[ERROR] Runtime API answered %d: %.*s\n", answer.status, (int)answer.body_len,
                    answer.body);
        }
        if (answer.status >= 500) {
            return 1;
        }
        if (answer.close) {
            return BROKEN;
        }
    }
    return 0;
}

static int64_t number(const char *text) { return text ? strtoll(text, NULL, 10) : 0; }

static int read_http_event(struct connection *c, struct incoming *event) {
    struct http_response got;
    if (read_response(c, &got)) {
        return BROKEN;
    }
    if (got.status != 200) {
        fprintf(stderr, "[ERROR] Runtime API answered %d to next: %.*s\n", got.status, (int)got.body_len, got.body);
        return 1;
    }
    *event = (struct incoming){
        .context = {.request_id = header(&got, "Lambda-Runtime-Aws-Request-Id"),
                    .function_arn = header(&got, "Lambda-Runtime-Invoked-Function-Arn"),
                    .trace_id = header(&got, "Lambda-Runtime-Trace-Id"),
                    .client_context = header(&got, "Lambda-Runtime-Client-Context"),
                    .cognito_identity = header(&got, "Lambda-Runtime-Cognito-Identity"),
                    .tenant_id = header(&got, "Lambda-Runtime-Aws-Tenant-Id"),
                    .deadline_ms = number(header(&got, "Lambda-Runtime-Deadline-Ms"))},
        .body = got.body,
        .body_len = got.body_len,
    };
    c->output.stale = true;
    return 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *unless_empty(const char *text) { return *text ? text : NULL; }

static int read_lane_event(struct connection *c, struct incoming *event) {
    struct lane_event got;
    if (lane_event(c, &got)) {
        return BROKEN;
    }
    *event = (struct incoming){
        .context = {.request_id = got.fields[0],
                    .function_arn = got.fields[2],
                    .trace_id = unless_empty(got.fields[3]),
                    .client_context = unless_empty(got.fields[4]),
                    .tenant_id = unless_empty(got.fields[5]),
                    .deadline_ms = got.timeout_ms < 0 ? number(got.fields[1]) : now_ms() + got.timeout_ms},
        .body = got.body,
        .body_len = got.body_len,
    };
    return 0;
}

// Reads up to the next event. Returns 0, BROKEN, or 1 if the server said that there will be none.
static int read_event(struct connection *c, struct incoming *event) {
    int failed = read_owed(c);
    if (failed) {
        return failed;
    }
    if (!c->lane.on && c->lane.local) { // the first byte says what it is
        if (c->at == c->in.len && read_more(c, 0)) {
            return BROKEN;
        }
        c->lane.on = c->output.epoll >= 0 && c->in.data[c->at] == 'E';
    }
    return c->lane.on ? read_lane_event(c, event) : read_http_event(c, event);
}

static int next_event(struct connection *c, struct incoming *event) {
    int failed = c->fd < 0 ? BROKEN : read_event(c, event);
    if (failed == BROKEN) {
        failed = connection_open(c) || send_next(c) ? BROKEN : read_event(c, event);
    }
    if (failed == BROKEN) {
        fprintf(stderr, "[ERROR] Runtime.LambdaRuntimeClientError: no answer from the Runtime API at %s\n", c->address);
    }
    return failed;
}

// Libraries for tracing read the environment. setenv() would leak a little at every invocation (glibc keeps all values
// it was ever given), so the variable is our own memory, changed in place.
static void publish_trace_id(const char *trace_id) {
    static char variable[1024] = "_X_AMZN_TRACE_ID=";
    if (!trace_id) {
        unsetenv("_X_AMZN_TRACE_ID");
        return;
    }
    copy_printable(strchr(variable, '=') + 1, sizeof variable - sizeof "_X_AMZN_TRACE_ID=" + 1, trace_id);
    putenv(variable);
}

static int handle(struct connection *c, struct sluice_response *r, struct incoming *event, sluice_handler handler,
                  void *arg) {
    struct sluice_context *context = &event->context;
    const char *id = context->request_id;
    if (!id || !*id || strlen(id) > MAX_ID || strpbrk(id, "\r\n /?#")) {
        fprintf(stderr, "[ERROR] Runtime API sent an event without a usable request id\n");
        return 1;
    }
    memcpy(r->request_id, id, strlen(id) + 1);
    context->request_id = r->request_id;
    context->function_arn = context->function_arn ? context->function_arn : "";
    publish_trace_id(context->trace_id);
    memcpy(r->content_type, "application/json", sizeof "application/json");
    r->connection = c;
    r->streaming = r->too_large = r->broken = false;
    r->error.len = 0;
    if (begin_buffer(&r->out)) {
        return 1;
    }
    char *end = event->body + event->body_len; // there is room for a byte, or another event behind this one on a lane
    char next = *end;
    *end = '\0';
    struct sluice_event e = {event->body, event->body_len};
    int result = handler(&e, context, r, arg);
    *end = next;
    if (finish(r, result)) {
        connection_close(c); // next_event() makes a new one
    }
    return 0;
}

int sluice_run(sluice_handler handler, void *arg) {
    static struct sluice_response response; // large, and there is only one
    struct connection c;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (connection_init(&c)) {
        return 1;
    }
    output_open(&c.output);
    struct incoming event;
    while (next_event(&c, &event) == 0 && handle(&c, &response, &event, handler, arg) == 0) {}
    connection_close(&c);
    output_close(&c.output);
    free(c.in.data);
    free(response.out.data);
    free(response.error.data);
    response = (struct sluice_response){0};
    return 1;
}

int sluice_init_error(const char *type, const char *message) {
    struct connection c;
    struct buffer report = {0};
    char clean[128], fields[256], head[HEAD_ROOM];
    fprintf(stderr, "[ERROR] %s: %s\n", type, message);
    copy_printable(clean, sizeof clean, type);
    if (connection_init(&c) == 0 && make_report(&report, type, message) == 0 && connection_open(&c) == 0) {
        // Ask for the answer now, as there is no next event to hold it back for; and do not insist on it.
        struct timeval wait = {.tv_sec = EXIT_WAIT_S};
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        snprintf(fields, sizeof fields,
                 "Connection: close\r\nLambda-Runtime-Function-Error-Type: %s\r\nContent-Length: %zu\r\n", clean,
                 report.len - HEAD_ROOM);
        size_t head_len = post_head(head, &c, "init/error", "application/json", fields);
        char *start = report.data + HEAD_ROOM - head_len;
        memcpy(start, head, head_len);
        struct http_response answer;
        if (send_all(&c, start, head_len + report.len - HEAD_ROOM) || read_response(&c, &answer)) {
            fprintf(stderr, "[ERROR] the init error could not be reported to %s\n", c.address);
        }
        connection_close(&c);
        free(c.in.data);
    }
    free(report.data);
    return 1;
}

int64_t sluice_remaining_ms(const struct sluice_context *context) {
    int64_t left = context->deadline_ms - now_ms();
    return left > 0 ? left : 0;
}
