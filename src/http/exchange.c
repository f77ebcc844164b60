// SPDX-License-Identifier: Apache-2.0
//
// exchange: memory of connections and requests, recycled per loop, so that the warm path never calls malloc. See
// conn.h. Under AddressSanitizer nothing is recycled, so that a use after the end of a request is found.
//
// A connection that moves to another loop takes its exchange along, so that one loop's list would run empty and the
// other's fill up to its limit, for ever; and so would every list after one burst. So each list is looked at now and
// then: exchanges that nobody has needed since the last look are given back to the C library.
#include "base/clock.h"
#include "http/conn.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
enum { KEEP_CONNS = 0, KEEP_EXCHANGES = 0 };
#else
enum { KEEP_CONNS = 1024, KEEP_EXCHANGES = 128 };
#endif
// Rare enough that a load whose concurrency goes up and down does not allocate at every turn of it.
enum { LOOK_EVERY = 1024 /* exchanges given back */, KEEP_ALWAYS = 16 };

// Per loop: free lists and the Date field of the running second.
struct local {
    struct sl_http_conn *conns;
    struct sl_http_exchange *exchanges;
    unsigned conn_count, exchange_count;
    unsigned exchange_low, given; // since the last look: the fewest exchanges in the list, those given back
    int64_t date_second;
    char date[sizeof "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n"];
};

static void exchange_free(struct sl_http_exchange *exchange) {
    sl_arena_free(&exchange->arena);
    sl_http__chunked_free(&exchange->chunked);
    sl_buf_free(&exchange->body);
    sl_buf_free(&exchange->out);
    free(exchange->headers);
    free(exchange->in);
    free(exchange);
}

static void release(void *value) {
    struct local *local = value;
    while (local->conns) {
        struct sl_http_conn *conn = local->conns;
        local->conns = conn->next;
        free(conn);
    }
    while (local->exchanges) {
        struct sl_http_exchange *exchange = local->exchanges;
        local->exchanges = exchange->next;
        exchange_free(exchange);
    }
    free(local);
}

// NULL without memory (or without a loop): then nothing is recycled.
static struct local *local_of(struct sl_loop *loop) {
    if (!loop) return NULL;
    struct sl_loop_local *slot = sl_loop_local(loop, SL_LOOP_LOCAL_HTTP);
    if (!slot->value) {
        slot->value = calloc(1, sizeof(struct local));
        slot->release = slot->value ? release : NULL;
    }
    return slot->value;
}

static struct sl_http_exchange *exchange_new(void) {
    struct sl_http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange) return NULL;
    sl_arena_init(&exchange->arena, SL_HTTP_ARENA_MAX);
    sl_buf_init(&exchange->out, SL_HTTP_OUT_MAX);
    sl_buf_init(&exchange->body, 0);
    sl_http__chunked_init(&exchange->chunked, SL_HTTP_TRAILER_MAX);
    exchange->in_cap = SL_HTTP_IN_SIZE;
    exchange->in = malloc(exchange->in_cap);
    if (exchange->in) return exchange;
    exchange_free(exchange);
    return NULL;
}

struct sl_http_exchange *sl_http__exchange_take(struct sl_loop *loop, unsigned max_headers) {
    struct local *local = local_of(loop);
    struct sl_http_exchange *exchange = local ? local->exchanges : NULL;
    if (exchange) {
        local->exchanges = exchange->next;
        local->exchange_count--;
        if (local->exchange_count < local->exchange_low) local->exchange_low = local->exchange_count;
    } else {
        if (local) local->exchange_low = 0;
        exchange = exchange_new();
    }
    if (exchange && exchange->header_room < max_headers) {
        struct sl_http_header *headers = realloc(exchange->headers, max_headers * sizeof *headers);
        if (!headers) {
            exchange_free(exchange);
            return NULL;
        }
        exchange->headers = headers;
        exchange->header_room = max_headers;
    }
    return exchange;
}

void sl_http__exchange_next(struct sl_http_exchange *exchange) {
    sl_arena_reset(&exchange->arena);
    if (exchange->arena.used > SL_HTTP_KEEP) sl_arena_free(&exchange->arena);
    sl_buf_clear(&exchange->body, SL_HTTP_KEEP);
    exchange->start = exchange->after;
    if (exchange->start == exchange->in_len) exchange->start = exchange->after = exchange->in_len = 0;
    exchange->scan = (struct sl_http_scan){0};
    exchange->direct = exchange->parts = exchange->paused = false;
    exchange->answer = SL_HTTP_ANSWER_NONE;
    exchange->drained = NULL;
}

// Frees what was in the list all the time since the last look.
static void free_unneeded(struct local *local) {
    for (; local->exchange_low > KEEP_ALWAYS; local->exchange_low--) {
        struct sl_http_exchange *exchange = local->exchanges;
        local->exchanges = exchange->next;
        local->exchange_count--;
        exchange_free(exchange);
    }
    local->exchange_low = local->exchange_count;
    local->given = 0;
}

void sl_http__exchange_give(struct sl_loop *loop, struct sl_http_exchange *exchange) {
    struct local *local = local_of(loop);
    if (local && ++local->given == LOOK_EVERY) free_unneeded(local);
    if (!local || local->exchange_count + 1 > KEEP_EXCHANGES) {
        exchange_free(exchange);
        return;
    }
    exchange->after = exchange->in_len = 0;
    sl_http__exchange_next(exchange);
    sl_buf_clear(&exchange->out, SL_HTTP_KEEP);
    exchange->out_at = 0;
    if (exchange->in_cap > SL_HTTP_IN_SIZE) {
        // Shrinking in place cannot fail usefully; if it does, the larger buffer stays.
        char *smaller = realloc(exchange->in, SL_HTTP_IN_SIZE);
        if (smaller) {
            exchange->in = smaller;
            exchange->in_cap = SL_HTTP_IN_SIZE;
        }
    }
    exchange->next = local->exchanges;
    local->exchanges = exchange;
    local->exchange_count++;
}

bool sl_http__exchange_room(struct sl_http_exchange *exchange, size_t head_len, size_t room) {
    if (exchange->in_cap - exchange->start - head_len >= room) return true;
    if (exchange->start) {
        memmove(exchange->in, exchange->in + exchange->start, exchange->in_len - exchange->start);
        exchange->in_len -= exchange->start;
        exchange->start = 0;
    }
    size_t want = head_len + room;
    if (exchange->in_cap >= want) return true;
    size_t cap = exchange->in_cap * 2 > want ? exchange->in_cap * 2 : want;
    char *grown = realloc(exchange->in, cap);
    if (!grown) return false;
    exchange->in = grown;
    exchange->in_cap = cap;
    return true;
}

struct sl_http_conn *sl_http__conn_take(struct sl_loop *loop) {
    struct local *local = local_of(loop);
    struct sl_http_conn *conn = local ? local->conns : NULL;
    if (!conn) return calloc(1, sizeof *conn);
    local->conns = conn->next;
    local->conn_count--;
    memset(conn, 0, sizeof *conn);
    return conn;
}

void sl_http__conn_give(struct sl_loop *loop, struct sl_http_conn *conn) {
    struct local *local = local_of(loop);
    if (!local || local->conn_count + 1 > KEEP_CONNS) {
        free(conn);
        return;
    }
    conn->next = local->conns;
    local->conns = conn;
    local->conn_count++;
}

struct sl_str sl_http__date(struct sl_loop *loop) {
    struct local *local = local_of(loop);
    if (!local)
        return SL_STR(""); // RFC 9110 section 6.6.1: an origin server SHOULD send it; without memory it does not
    int64_t now = sl_clock_ms();
    if (now / 1000 != local->date_second) {
        char text[SL_TIME_HTTP];
        sl_time_http(now, text);
        memcpy(local->date, "Date: ", 6);
        memcpy(local->date + 6, text, SL_TIME_HTTP - 1);
        memcpy(local->date + 6 + SL_TIME_HTTP - 1, "\r\n", 3);
        local->date_second = now / 1000;
    }
    return sl_str_n(local->date, sizeof local->date - 1);
}
