// SPDX-License-Identifier: Apache-2.0
//
// subscriber: one extension's subscription to telemetry: its buffer and its connection. Internal to runtime/.
//
//   put ─► filling ─(full, or timeoutMs after its first event)─► sending ─► socket
//
// One batch is under way at a time. While it is, the next one fills; what does not fit then is dropped and counted, and
// the count is told in the batch after. States of the link:
//
//   NONE ─(a batch is due)─► ASKED ─(socket given)─► CONNECTING ─► WRITING ─► [READING, HTTP] ─► OPEN ─► WRITING ...
//     ▲                                                  └─(refused)─► BACKOFF ─► CONNECTING, a few times
//     └── nothing could be sent: the batch is dropped. CLOSING instead of OPEN where the other side will close
//
// HTTP: POST (the Logs API may ask for PUT) of a JSON array; any answer below 400 is success. TCP: JSON texts, each
// ended by a newline, on one connection.
#ifndef SL_RUNTIME_SUBSCRIBER_H
#define SL_RUNTIME_SUBSCRIBER_H

#include "base/buf.h"
#include "net/loop.h"

enum { SL_SUBSCRIBER_NAME = 129, SL_SUBSCRIBER_PATH = 1025, SL_SUBSCRIBER_HEAD = 1536 };

enum sl_subscriber_dialect { SL_DIALECT_TELEMETRY = 1, SL_DIALECT_LOGS_2020 = 2, SL_DIALECT_LOGS_2021 = 4 };

enum sl_subscriber_link {
    SL_LINK_NONE,
    SL_LINK_ASKED,
    SL_LINK_BACKOFF,
    SL_LINK_CONNECTING, // from here on the socket is watched
    SL_LINK_WRITING,
    SL_LINK_READING,
    SL_LINK_OPEN,
    SL_LINK_CLOSING, // it will close
};

// What was asked for.
struct sl_subscription {
    char name[SL_SUBSCRIBER_NAME]; // of the extension
    enum sl_subscriber_dialect dialect;
    unsigned kinds; // SL_TELEMETRY_*
    unsigned max_items, max_bytes, timeout_ms;
    bool http, put;
    uint16_t port;
    char host[32];
    char path[SL_SUBSCRIBER_PATH];
};

struct sl_subscriber {
    struct sl_subscription asked;
    struct sl_loop *loop; // NULL while detached
    void *owner;
    void (*need_socket)(struct sl_subscriber *subscriber);
    struct sl_buf filling, sending;
    unsigned filling_items, sending_items;
    uint64_t dropped_items, dropped_bytes;
    const char *dropped_why;
    enum sl_subscriber_link link;
    int fd; // -1: none
    struct sl_watch watch;
    struct sl_timer timer; // the batch's time, or the back-off's
    int64_t timer_left_ms; // detached: what was left of it, -1: it was not armed
    unsigned attempts;     // connections refused for the batch under way
    bool reused;           // the batch goes over a connection that served another before
    char head[SL_SUBSCRIBER_HEAD];
    size_t head_len, sent; // sent: of head and batch together
    // The answer being read.
    char reply[2048];
    size_t reply_len;
    int status;
    unsigned interims; // answers with a status below 200
    int64_t body_left; // -1: the head is not complete
    bool close_after;
};

// The loop is where it lives. `owner` and `need_socket` stay.
void sl_subscriber__init(struct sl_subscriber *subscriber, struct sl_loop *loop, const struct sl_subscription *asked,
                         void *owner, void (*need_socket)(struct sl_subscriber *subscriber));
void sl_subscriber__free(struct sl_subscriber *subscriber);
// One event as JSON text. `room`: what may be held beyond what is held now; over it the event is dropped.
void sl_subscriber__put(struct sl_subscriber *subscriber, struct sl_str event, size_t room);
void sl_subscriber__flush(struct sl_subscriber *subscriber);
// See sl_runtime_telemetry_socket. Only while link is ASKED.
void sl_subscriber__socket(struct sl_subscriber *subscriber, int fd);
static inline size_t sl_subscriber__held(const struct sl_subscriber *subscriber) {
    return subscriber->filling.len + subscriber->sending.len;
}
void sl_subscriber__detach(struct sl_subscriber *subscriber);
int sl_subscriber__attach(struct sl_subscriber *subscriber, struct sl_loop *loop, struct sl_error *err);

#endif
