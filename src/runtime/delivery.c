// SPDX-License-Identifier: Apache-2.0
//
// delivery: sends batches of telemetry to a port of the sandbox's loopback, see subscriber.h for the states. The socket
// is made inside the sandbox's network namespace and handed to us, so whatever is connected with it stays in there.
//
// The other side is hostile: it may refuse, never read, never answer, answer nonsense or for ever. Nothing here waits
// for it with more than one batch; what it says is read up to a bound, in all and in each turn of the loop, and thrown
// away.
#include "runtime/delivery.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ATTEMPTS = 5, // connections, with pauses of 100, 200, 400, 800 ms: a listener may start after its subscription
    PAUSE_MS = 100,
    DISCARD = 16 * 1024,    // read of an answer's body at a time
    BODY_MAX = 4 * DISCARD, // of an answer: from a longer one the connection is taken away
    INTERIM_MAX = 8,        // answers before the answer
};

static const char refused[] = "could not send events: the connection was refused";
static const char broken[] = "could not send events: the connection was closed before an answer";
static const char status_bad[] = "could not send events: the destination answered with an error";

static void ready(struct sl_watch *watch, uint32_t events);
static void write_more(struct sl_subscriber *subscriber);

void sl_delivery__close(struct sl_subscriber *subscriber) {
    sl_watch_stop(&subscriber->watch);
    if (subscriber->fd >= 0) close(subscriber->fd);
    subscriber->fd = subscriber->watch.fd = -1;
    subscriber->link = SL_LINK_NONE;
}

// Where another socket may be needed soon, the old one is emptied instead: asking for a new one costs others time.
static void disconnect(struct sl_subscriber *subscriber) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    sl_watch_stop(&subscriber->watch);
    subscriber->link = SL_LINK_NONE;
    if (connect(subscriber->fd, &none, sizeof none) != 0) sl_delivery__close(subscriber);
}

static void give_up(struct sl_subscriber *subscriber, const char *why) {
    if (subscriber->fd >= 0) disconnect(subscriber);
    sl_delivery__done(subscriber, why);
}

// ---- connecting ---------------------------------------------------------------------------------------------------

static void connect_now(struct sl_subscriber *subscriber);

static void try_again(struct sl_timer *timer) { connect_now(SL_CONTAINER(timer, struct sl_subscriber, timer)); }

static void not_connected(struct sl_subscriber *subscriber) {
    sl_watch_stop(&subscriber->watch);
    if (++subscriber->attempts >= ATTEMPTS) {
        give_up(subscriber, refused);
        return;
    }
    subscriber->link = SL_LINK_BACKOFF;
    sl_timer_start(subscriber->loop, &subscriber->timer, PAUSE_MS << (subscriber->attempts - 1), try_again);
}

static void connected(struct sl_subscriber *subscriber) {
    subscriber->link = SL_LINK_WRITING;
    write_more(subscriber);
}

static void connect_now(struct sl_subscriber *subscriber) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(subscriber->asked.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sl_error err;
    subscriber->link = SL_LINK_CONNECTING;
    subscriber->reused = false;
    int rc = connect(subscriber->fd, (struct sockaddr *)&address, sizeof address);
    if (rc != 0 && errno != EINPROGRESS) {
        not_connected(subscriber);
        return;
    }
    if (sl_watch_start(subscriber->loop, &subscriber->watch, subscriber->fd, rc == 0 ? 0 : EPOLLOUT, ready, &err)) {
        give_up(subscriber, refused);
        return;
    }
    if (rc == 0) connected(subscriber);
}

void sl_subscriber__socket(struct sl_subscriber *subscriber, int fd) {
    subscriber->fd = fd;
    subscriber->link = SL_LINK_NONE;
    if (fd < 0)
        sl_delivery__done(subscriber, refused);
    else
        connect_now(subscriber);
}

// ---- sending --------------------------------------------------------------------------------------------------------

static void begin(struct sl_subscriber *subscriber) {
    subscriber->sent = 0;
    subscriber->head_len = 0;
    subscriber->reply_len = 0;
    subscriber->interims = 0;
    subscriber->body_left = -1;
    if (!subscriber->asked.http) return;
    int len = snprintf(subscriber->head, sizeof subscriber->head,
                       "%s %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       subscriber->asked.put ? "PUT" : "POST", subscriber->asked.path, subscriber->asked.host,
                       subscriber->asked.port, subscriber->sending.len);
    subscriber->head_len = (size_t)len; // fits: path and host are bounded
}

void sl_delivery__start(struct sl_subscriber *subscriber) {
    begin(subscriber);
    if (subscriber->link == SL_LINK_CLOSING) disconnect(subscriber);
    if (subscriber->link == SL_LINK_OPEN) {
        subscriber->reused = true;
        connected(subscriber);
    } else if (subscriber->fd >= 0) {
        connect_now(subscriber);
    } else {
        subscriber->link = SL_LINK_ASKED;
        subscriber->need_socket(subscriber);
    }
}

// The connection failed. One that had served before may just have been closed for idleness: then the batch goes over a
// new one.
static void lost(struct sl_subscriber *subscriber) {
    if (!subscriber->reused || subscriber->reply_len) {
        give_up(subscriber, broken);
        return;
    }
    disconnect(subscriber);
    sl_delivery__start(subscriber);
}

static void write_more(struct sl_subscriber *subscriber) {
    size_t total = subscriber->head_len + subscriber->sending.len;
    while (subscriber->sent < total) {
        size_t head_sent = subscriber->sent < subscriber->head_len ? subscriber->sent : subscriber->head_len;
        size_t body_sent = subscriber->sent - head_sent;
        struct iovec parts[2] = {{subscriber->head + head_sent, subscriber->head_len - head_sent},
                                 {subscriber->sending.ptr + body_sent, subscriber->sending.len - body_sent}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(subscriber->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            (void)sl_watch_change(&subscriber->watch, EPOLLOUT);
            return;
        }
        if (sent < 0) {
            lost(subscriber);
            return;
        }
        subscriber->sent += (size_t)sent;
    }
    (void)sl_watch_change(&subscriber->watch, EPOLLIN);
    subscriber->link = subscriber->asked.http ? SL_LINK_READING : SL_LINK_OPEN;
    if (subscriber->asked.http) return;
    subscriber->body_left = BODY_MAX;
    sl_delivery__done(subscriber, NULL);
}

// ---- the answer -----------------------------------------------------------------------------------------------------

static bool field_is(const char *line, const char *end, const char *name, const char **ret_value) {
    size_t len = strlen(name);
    if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':') return false;
    line += len + 1;
    while (line < end && (*line == ' ' || *line == '\t')) line++;
    *ret_value = line;
    return true;
}

// -1: it is none, or longer than anybody wants to read.
static int64_t length_of(const char *value, const char *end) {
    int64_t length;
    if (end > value && end[-1] == '\r') end--;
    struct sl_str text = sl_str_trim(sl_str_n(value, (size_t)(end - value)));
    return sl_str_to_i64(text, &length) && length >= 0 && length <= BODY_MAX ? length : -1;
}

// What of the head matters: how long the body is, if that is said, and whether the connection stays.
static void read_fields(struct sl_subscriber *subscriber, const char *at, const char *end) {
    subscriber->close_after = subscriber->reply[7] == '0'; // HTTP/1.0
    subscriber->body_left = -1;
    for (const char *line_end; at < end; at = line_end + 1) {
        const char *value;
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) break;
        if (field_is(at, line_end, "Content-Length", &value)) subscriber->body_left = length_of(value, line_end);
        if (field_is(at, line_end, "Connection", &value) && strncasecmp(value, "close", 5) == 0)
            subscriber->close_after = true;
    }
    if (subscriber->status == 204 || subscriber->status == 304) subscriber->body_left = 0;
    if (subscriber->body_left < 0) { // chunked, until the end, endless: it has accepted, and the rest is not worth it
        subscriber->close_after = true;
        subscriber->body_left = 0;
    }
}

static void answered(struct sl_subscriber *subscriber) {
    subscriber->body_left = BODY_MAX; // that it may still say
    subscriber->link = subscriber->close_after ? SL_LINK_CLOSING : SL_LINK_OPEN;
    sl_delivery__done(subscriber, subscriber->status < 400 ? NULL : status_bad);
}

// Takes a complete head off the reply; false when there is none yet. An interim answer (1xx) is skipped.
static bool take_head(struct sl_subscriber *subscriber, bool *ret_bad) {
    char *reply = subscriber->reply;
    *ret_bad = false;
    for (;;) {
        char *end = memmem(reply, subscriber->reply_len, "\r\n\r\n", 4);
        if (!end) {
            *ret_bad = subscriber->reply_len == sizeof subscriber->reply;
            return false;
        }
        size_t head = (size_t)(end + 4 - reply);
        if (head < 16 || strncmp(reply, "HTTP/1.", 7) != 0 || reply[8] != ' ') {
            *ret_bad = true;
            return false;
        }
        int64_t status;
        subscriber->status = sl_str_to_i64(sl_str_n(reply + 9, 3), &status) ? (int)status : 0;
        bool interim = subscriber->status >= 100 && subscriber->status < 200;
        if (interim && ++subscriber->interims > INTERIM_MAX) {
            *ret_bad = true;
            return false;
        }
        if (!interim) read_fields(subscriber, reply, end + 2);
        memmove(reply, reply + head, subscriber->reply_len - head);
        subscriber->reply_len -= head;
        if (!interim) return true;
    }
}

static void read_reply(struct sl_subscriber *subscriber) {
    while (subscriber->body_left < 0) {
        size_t room = sizeof subscriber->reply - subscriber->reply_len;
        ssize_t got = recv(subscriber->fd, subscriber->reply + subscriber->reply_len, room, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            lost(subscriber);
            return;
        }
        subscriber->reply_len += (size_t)got;
        bool bad;
        if (!take_head(subscriber, &bad) && bad) {
            give_up(subscriber, broken);
            return;
        }
    }
    subscriber->body_left -= (int64_t)subscriber->reply_len; // what came with the head
    subscriber->reply_len = 0;
    while (subscriber->body_left > 0 && !subscriber->close_after) {
        char discard[DISCARD];
        ssize_t got = recv(subscriber->fd, discard, sizeof discard, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0)
            subscriber->close_after = true;
        else
            subscriber->body_left -= got;
    }
    if (subscriber->body_left < 0) subscriber->close_after = true; // more than it said
    answered(subscriber);
}

// Nothing is expected: a destination that talks is not listened to, and one that closes is left. Over HTTP so is one
// that talks on behind its answer. Over TCP it would lose what it has not read yet: it just is not heard until the next
// batch.
static void read_nothing(struct sl_subscriber *subscriber) {
    char discard[DISCARD];
    ssize_t got = recv(subscriber->fd, discard, sizeof discard, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) subscriber->body_left -= got;
    bool endless = subscriber->body_left < 0;
    if (got <= 0 || (endless && subscriber->asked.http))
        disconnect(subscriber);
    else if (endless)
        (void)sl_watch_change(&subscriber->watch, EPOLLRDHUP);
}

static void ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_subscriber *subscriber = SL_CONTAINER(watch, struct sl_subscriber, watch);
    if (subscriber->link == SL_LINK_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        (void)getsockopt(subscriber->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error)
            not_connected(subscriber);
        else
            connected(subscriber);
        return;
    }
    if (subscriber->link == SL_LINK_WRITING)
        write_more(subscriber);
    else if (subscriber->link == SL_LINK_READING)
        read_reply(subscriber);
    else
        read_nothing(subscriber);
}

int sl_delivery__attach(struct sl_subscriber *subscriber, struct sl_error *err) {
    if (subscriber->link < SL_LINK_CONNECTING) return 0;
    bool writes = subscriber->link == SL_LINK_CONNECTING || subscriber->link == SL_LINK_WRITING;
    uint32_t events = writes ? EPOLLOUT : EPOLLIN;
    return sl_watch_start(subscriber->loop, &subscriber->watch, subscriber->fd, events, ready, err);
}
