// SPDX-License-Identifier: Apache-2.0
//
// fuzz_http1: hostile bytes into the HTTP/1.1 front door. The first byte of an input says how the rest is cut into
// pieces.
//
//   1. Heads: the scan must find the same end, or the same refusal, in one piece and in many; what is parsed must lie
//   inside the input.
//   2. Chunked bodies: the same bytes and trailers come out whatever the cut.
//   3. A whole connection on a real loop: the pieces arrive over a socket pair, a handler echoes. Whatever was sent,
//   the connection ends,
//      every request it began ends exactly once, and what the client reads begins like an answer.
#include "http/http.h"
#include "http/parse.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_HEAD = 2048, MAX_HEADERS = 16, MAX_INPUT = 32 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

// ---- cutting ------------------------------------------------------------------------------------------------------

struct cutter {
    uint32_t random;
};

static size_t next_cut(struct cutter *cutter, size_t left) {
    cutter->random = cutter->random * 1664525u + 1013904223u;
    size_t cut = 1 + (cutter->random >> 24) % ((cutter->random >> 16 & 7) == 0 ? 200 : 7);
    return cut < left ? cut : left;
}

// A copy of exactly these bytes, so that AddressSanitizer sees a read past them.
static char *copy_of(struct sl_str s) {
    char *copy = malloc(s.len ? s.len : 1);
    CHECK(copy);
    if (s.len) memcpy(copy, s.ptr, s.len);
    return copy;
}

// ---- heads --------------------------------------------------------------------------------------------------------

static void check_inside(struct sl_str part, struct sl_str whole) {
    if (part.len == 0) return;
    if (part.len == 1 && part.ptr[0] == '/') return; // the path of "*" and of an absolute-form without one
    CHECK(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void parse_head(struct sl_str head) {
    struct sl_http_header headers[MAX_HEADERS];
    struct sl_http_request request = {.headers = headers};
    struct sl_http_framing framing;
    struct sl_http_refusal refusal = {0};
    if (sl_http__parse_head(head, MAX_HEADERS, &request, &framing, &refusal) == SL_HTTP_BAD) {
        CHECK(refusal.status >= 400 && refusal.status < 600 && refusal.reason);
        return;
    }
    CHECK(request.header_count <= MAX_HEADERS && request.path.len > 0 && request.path.ptr[0] == '/');
    CHECK(!(framing.chunked && framing.has_length));
    CHECK(request.minor == 0 || request.host.len > 0);
    check_inside(request.path, head);
    check_inside(request.query, head);
    check_inside(request.host, head);
    for (unsigned i = 0; i < request.header_count; i++) {
        check_inside(headers[i].name, head);
        check_inside(headers[i].value, head);
        CHECK(headers[i].name.len > 0 && !memchr(headers[i].value.ptr, '\n', headers[i].value.len));
    }
}

static void fuzz_head(struct sl_str input, struct cutter cutter) {
    struct sl_http_scan whole = {0}, cut = {0};
    struct sl_http_refusal refusal_whole = {0}, refusal_cut = {0};
    enum sl_http_step step_whole = sl_http__scan(&whole, input, MAX_HEAD, &refusal_whole), step_cut = SL_HTTP_MORE;
    for (size_t given = 0; given < input.len && step_cut == SL_HTTP_MORE;) {
        given += next_cut(&cutter, input.len - given);
        char *copy = copy_of(sl_str_sub(input, 0, given));
        step_cut = sl_http__scan(&cut, sl_str_n(copy, given), MAX_HEAD, &refusal_cut);
        free(copy);
    }
    CHECK(step_whole == step_cut);
    if (step_whole != SL_HTTP_DONE) return;
    CHECK(whole.end == cut.end && whole.begin == cut.begin && whole.end <= input.len);
    struct sl_str head = sl_str_sub(input, whole.begin, whole.end);
    char *copy = copy_of(head);
    parse_head(sl_str_n(copy, head.len));
    free(copy);
}

// ---- chunked ------------------------------------------------------------------------------------------------------

struct decoded {
    struct sl_buf body, trailers;
    size_t used;
    enum sl_http_step step;
};

static void decode(struct decoded *ret, struct sl_str input, struct cutter *cutter) {
    struct sl_http_chunked chunked;
    sl_http__chunked_init(&chunked, 1024);
    sl_buf_init(&ret->body, MAX_INPUT);
    sl_buf_init(&ret->trailers, MAX_INPUT);
    ret->used = 0;
    ret->step = SL_HTTP_MORE;
    while (ret->step == SL_HTTP_MORE && ret->used < input.len) {
        size_t left = input.len - ret->used, cut = cutter ? next_cut(cutter, left) : left, used = 0;
        struct sl_str piece = sl_str_n(input.ptr + ret->used, cut), part;
        char *copy = copy_of(piece);
        ret->step = sl_http__chunked_feed(&chunked, sl_str_n(copy, cut), &used, &part);
        CHECK(used > 0 && used <= cut);
        check_inside(part, sl_str_n(copy, cut));
        if (part.len) sl_buf_str(&ret->body, part);
        free(copy);
        ret->used += used;
    }
    sl_buf_str(&ret->trailers, sl_buf_view(&chunked.trailers));
    sl_http__chunked_free(&chunked);
}

static void fuzz_chunked(struct sl_str input, struct cutter cutter) {
    struct decoded whole, cut;
    decode(&whole, input, NULL);
    decode(&cut, input, &cutter);
    CHECK(whole.step == cut.step);
    CHECK(sl_str_eq(sl_buf_view(&whole.body), sl_buf_view(&cut.body)));
    if (whole.step == SL_HTTP_DONE) {
        CHECK(whole.used == cut.used);
        CHECK(sl_str_eq(sl_buf_view(&whole.trailers), sl_buf_view(&cut.trailers)));
        struct sl_http_header fields[8];
        unsigned count;
        sl_http__parse_fields(sl_buf_view(&whole.trailers), fields, 8, &count);
    }
    sl_buf_free(&whole.body);
    sl_buf_free(&whole.trailers);
    sl_buf_free(&cut.body);
    sl_buf_free(&cut.trailers);
}

// ---- connection ---------------------------------------------------------------------------------------------------

static struct sl_loop *loop;
static int running, closed; // requests that have begun and not ended; connections that were closed
static struct sl_http_request *parked;

static void on_aborted(struct sl_http_request *request) {
    if (parked == request) parked = NULL;
    running--;
}

static int on_head(struct sl_http_request *request, size_t *max_body, void *user) {
    (void)user;
    request->aborted = on_aborted;
    running++;
    if (request->method == SL_HTTP_PUT) *max_body = 100;
    if (request->method != SL_HTTP_DELETE) return 0;
    running--;
    sl_http_respond(request, 403, SL_STR("text/plain"), SL_STR("early"));
    return 1;
}

static bool wants_parts(struct sl_http_request *request, void *user) {
    (void)user;
    return request->method == SL_HTTP_PATCH;
}

static void on_part(struct sl_http_request *request, struct sl_str part, void *user) {
    (void)request;
    (void)user;
    CHECK(part.len > 0);
}

static void on_request(struct sl_http_request *request, void *user) {
    (void)user;
    if (request->method == SL_HTTP_OPTIONS && !parked) {
        parked = request;
        return;
    }
    running--;
    if (request->method == SL_HTTP_OTHER) {
        sl_http_begin(request, 200);
        sl_http_stream(request);
        sl_http_part(request, request->target);
        sl_http_end(request);
    } else {
        sl_http_respond(request, 200, SL_STR("text/plain"), request->body);
    }
}

static void on_closed(struct sl_http_conn *conn, void *user) {
    (void)conn;
    (void)user;
    closed++;
}

static void on_stop(struct sl_timer *timer) { sl_loop_stop(timer->loop); }

static void turn(void) {
    struct sl_timer timer = {0};
    sl_timer_start(loop, &timer, 0, on_stop);
    sl_loop_run(loop);
}

static size_t drain_client(int fd, char *first, size_t room) {
    char scratch[16384];
    size_t got_first = 0;
    ssize_t got;
    while ((got = recv(fd, scratch, sizeof scratch, MSG_DONTWAIT)) > 0) {
        size_t take = (size_t)got < room - got_first ? (size_t)got : room - got_first;
        memcpy(first + got_first, scratch, take);
        got_first += take;
    }
    return got_first;
}

static void feed(int fd, struct sl_str input, struct cutter cutter) {
    char first[16];
    size_t seen = 0;
    for (size_t at = 0; at < input.len && !closed;) {
        // Larger pieces than in the pure parts: a turn of the loop for each.
        size_t cut = next_cut(&cutter, input.len - at) * 16;
        if (cut > input.len - at) cut = input.len - at;
        if (send(fd, input.ptr + at, cut, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
        at += cut;
        turn();
        char some[sizeof first];
        size_t got = drain_client(fd, some, sizeof some);
        if (!seen && (seen = got)) memcpy(first, some, got);
        if (parked && at % 3 == 0) {
            struct sl_http_request *request = parked;
            parked = NULL;
            running--;
            sl_http_respond(request, 200, SL_STR(""), SL_STR("late"));
        }
    }
    CHECK(seen < 9 || memcmp(first, "HTTP/1.1 ", 9) == 0);
}

static void fuzz_connection(struct sl_str input, struct cutter cutter) {
    static const struct sl_http_handler handler = {
        .head = on_head, .wants_parts = wants_parts, .body_part = on_part, .handle = on_request, .closed = on_closed};
    static const struct sl_http_config config = {
        .handler = &handler, .max_head = MAX_HEAD, .max_headers = MAX_HEADERS, .max_body = 1 << 20};
    struct sl_error err;
    struct sl_loop_config loop_config = {0};
    int ends[2];
    if (!loop) CHECK(sl_loop_new(&loop, &loop_config, &err) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    running = closed = 0;
    parked = NULL;
    struct sl_http_conn *conn;
    CHECK(sl_http_conn_new(loop, ends[1], &config, &conn, &err) == 0);
    feed(ends[0], input, cutter);
    close(ends[0]);
    for (int i = 0; i < 1000 && !closed; i++) turn();
    CHECK(closed == 1);
    CHECK(running == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > MAX_INPUT) return 0;
    struct sl_str input = sl_str_n((const char *)data + 1, size - 1);
    struct cutter cutter = {.random = data[0] * 2654435761u};
    fuzz_head(input, cutter);
    fuzz_chunked(input, cutter);
    fuzz_connection(input, cutter);
    return 0;
}
