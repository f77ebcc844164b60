// SPDX-License-Identifier: Apache-2.0
//
// Part of sluice_runtime.c, which includes it so that a function is built from one source file: the lane, frames
// instead of HTTP, on which further events may be here while one is in work. The frames and the server's side:
// src/runtime/lane.c.
//
// Data flow: lane_event() cuts an event out of the connection's `in`; the handler works; lane_answer() writes the
// answer in one piece. The next event may be begun exactly when that was written whole: the server takes back what is
// not begun by shutting down its receiving side, and a write that fails says so. Then, and when the function printed
// while others may be behind its event, the lane is left: the answer goes over HTTP, and events that are here and not
// begun are forgotten, for the server gives them to somebody else.
//
// Whether the function printed: by whatever way, stdio, write(), a thread or a child process. Every write to a pipe
// wakes who waits for one to read from it, so an edge-triggered epoll on the log's pipe, open for reading too (the
// sandbox's pipe belongs to the function's user), tells of writes since it was asked last, though the server has read
// them already. Asked for room as well, which there is, or it would tell only of what can still be read. Without this
// (another kernel; output that goes elsewhere) no lane is asked for.
//
// Invariants: no lane without `output`. `more` is false when events are over HTTP.

#ifndef SLUICE_LANE_H
#define SLUICE_LANE_H

#include "sluice_wire.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#define MAX_REPORT ((size_t)1 << 20) // of an error, on a lane

enum {
    FRAME = 16, // bytes before an event's head and an answer's type
    MORE = 1,   // flags of an event: others may follow,
    AHEAD = 2,  // and it followed another itself
    FIELDS = 6,
    BELL_NS = 500000 // the longest that answers are kept from the server while others are worked on
};

// The fields of an event's head; those that were not said are empty.
struct lane_event {
    const char *fields[FIELDS]; // request id, deadline, function's ARN, trace id, client context, tenant id
    int64_t timeout_ms;         // from now on; -1: the deadline is the one in the head
    char *body;
    size_t body_len;
};

// ------------------------------------------------------------------------------------------ output

static void output_close(struct output *o) {
    if (o->pipe >= 0) {
        close(o->pipe);
    }
    if (o->epoll >= 0) {
        close(o->epoll);
    }
    *o = (struct output){.pipe = -1, .epoll = -1};
}

// Where standard output and error are not one pipe, or it cannot be watched, `epoll` stays -1.
static void output_open(struct output *o) {
    struct stat out, err;
    struct epoll_event writes = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    if (fstat(STDOUT_FILENO, &out) || fstat(STDERR_FILENO, &err) || !S_ISFIFO(out.st_mode) ||
        out.st_dev != err.st_dev || out.st_ino != err.st_ino) {
        return;
    }
    o->pipe = open("/proc/self/fd/1", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    o->epoll = o->pipe < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (o->epoll < 0 || epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->pipe, &writes)) {
        output_close(o);
    }
    o->stale = true;
}

// Whether something was printed since this was asked last.
static bool output_printed(const struct output *o) {
    struct epoll_event writes;
    return epoll_wait(o->epoll, &writes, 1, 0) != 0;
}

// ------------------------------------------------------------------------------------------ events

static uint32_t get_u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_u32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (char)(value >> 8 * i);
    }
}

// Reads on until `len` bytes are there behind `at`.
static int lane_need(struct connection *c, size_t len) {
    size_t have = c->in.len - c->at;
    if (have < len && c->at > 0) { // or the events of a busy day would move it on and on
        memmove(c->in.data, c->in.data + c->at, have);
        c->in.len = have;
        c->at = 0;
    }
    while (c->in.len - c->at < len) {
        if (read_more(c, len - (c->in.len - c->at))) {
            return BROKEN;
        }
    }
    return 0;
}

// Cuts the head into its fields. It is moved one byte to the front, for a NUL byte behind its last line.
static void lane_fields(struct lane_event *event, char *head, size_t len) {
    char *line = head - 1;
    memmove(line, head, len);
    line[len] = '\0';
    for (int i = 0; i < FIELDS; i++) {
        event->fields[i] = line;
        line += strcspn(line, "\n");
        if (*line) {
            *line++ = '\0';
        }
    }
}

// Reads the next event. Its pointers lead into `in` and hold until the next call. 0 or BROKEN.
static int lane_event(struct connection *c, struct lane_event *event) {
    if (lane_need(c, FRAME)) {
        return BROKEN;
    }
    const char *frame = c->in.data + c->at;
    size_t head = get_u32(frame + 4), body = get_u32(frame + 8);
    if (frame[0] != 'E' || head > MAX_HEAD || body > MAX_EVENT || lane_need(c, FRAME + head + body)) {
        return BROKEN;
    }
    char *start = c->in.data + c->at; // `in` may have moved
    event->timeout_ms = start[1] & AHEAD ? (int64_t)get_u32(start + 12) : -1;
    c->lane.on = true;
    c->lane.more = start[1] & MORE;
    c->lane.ringing = c->lane.ringing || start[1] & AHEAD;
    lane_fields(event, start + FRAME, head);
    event->body = start + FRAME + head;
    event->body_len = body;
    c->at += FRAME + head + body;
    if (c->lane.more && c->output.stale) { // what was printed when it did not matter
        (void)output_printed(&c->output);
    }
    c->output.stale = !c->lane.more;
    return 0;
}

// ------------------------------------------------------------------------------------------ answers

static bool lane_event_is_here(const struct connection *c) {
    const char *frame = c->in.data + c->at;
    size_t have = c->in.len - c->at;
    return have >= FRAME && have - FRAME >= (size_t)get_u32(frame + 4) + get_u32(frame + 8);
}

static int bell_ring(struct connection *c) {
    if (c->lane.bell >= 0) {
        ssize_t n = send(c->lane.bell, "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n == 1 || errno == EAGAIN || errno == EINTR ? 0 : BROKEN; // full: it rings
    }
    char text[256];
    int n = snprintf(text, sizeof text,
                     "GET " PREFIX "invocation/bell HTTP/1.1\r\nHost: %s\r\nUser-Agent: " USER_AGENT "\r\n\r\n",
                     c->address);
    c->lane.bell = open_local(c);
    return c->lane.bell >= 0 && send(c->lane.bell, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : BROKEN;
}

static void lane_batch_answered(struct connection *c, int64_t now_ns) {
    struct lane *lane = &c->lane;
    bool here = lane_event_is_here(c);
    if (here && (!lane->unrung || now_ns - lane->unrung < BELL_NS)) {
        lane->unrung = lane->unrung ? lane->unrung : now_ns;
        return;
    }
    lane->ringing = here;
    lane->unrung = 0;
    if (bell_ring(c)) {
        // What is answered is answered. The end of the lane tells the server, and us when we wait for the next event.
        shutdown(c->fd, SHUT_WR);
    }
}

// Answers the event in work by the lane; `answer` has `room` bytes, more than a frame's, in front of its body. False:
// it is to be done over HTTP, on another connection.
static bool lane_answer(struct connection *c, const struct buffer *answer, size_t room, const char *type, bool error) {
    size_t body_len = answer->len - room, type_len = strlen(type);
    if ((error && body_len > MAX_REPORT) || (c->lane.more && output_printed(&c->output))) {
        return false;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char *start = answer->data + room - type_len - FRAME;
    put_u32(start, 'A' | (error ? 0x100u : 0) | (uint32_t)type_len << 16);
    put_u32(start + 4, (uint32_t)body_len);
    put_u32(start + 8, (uint32_t)now.tv_sec);
    put_u32(start + 12, (uint32_t)now.tv_nsec);
    memcpy(start + FRAME, type, type_len);
    if (send_all(c, start, FRAME + type_len + body_len)) {
        return false;
    }
    if (c->lane.ringing) {
        lane_batch_answered(c, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    }
    return true;
}

#endif
