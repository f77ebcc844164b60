// SPDX-License-Identifier: Apache-2.0
//
// lane: frames between the server and a bootstrap, as the server sees a bootstrap that cuts them anywhere, sends what
// is no answer, answers too much, or goes away half-way. What must hold: an event is begun exactly if the answer before
// it came whole; all others are the owner's again.
//
// The runtime under test lives on a loop thread and writes down what it tells its owner; the test is the bootstrap.
#include "runtime/runtime.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ID(n)     "0000000" #n "-2222-4333-8444-555555555555"
#define NEXT      "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n"
#define BODY_MAX  6291556u
#define ERROR_MAX (1024u * 1024)

enum { FRAME = 16, TYPE_MAX = 1024, RESPONSE = 0, ERROR = 1, MORE = 1, AHEAD = 2 };

static const char *const ids[] = {ID(0), ID(1), ID(2), ID(3), ID(4)};

static struct world {
    struct sl_loop *loop;
    struct sl_runtime runtime;
    pthread_t thread;
    struct sockaddr_un address;
    socklen_t address_len;
    int lane, bell; // the bootstrap's ends; -1: none
    char log[1024]; // what the owner was told
} world;

// ---- the owner
// --------------------------------------------------------------------------------------------------------

static void note(const char *format, ...) {
    size_t len = strlen(world.log);
    va_list args;
    va_start(args, format);
    vsnprintf(world.log + len, sizeof world.log - len, format, args);
    va_end(args);
}

static void on_ready(struct sl_runtime *runtime) { (void)runtime, note("ready "); }
static void on_gone(struct sl_runtime *runtime) { (void)runtime, note("gone "); }
static void on_begun(struct sl_runtime *runtime) { note("begun:%c ", runtime->current[7]); }
static void on_untaken(struct sl_runtime *runtime) { (void)runtime, note("untaken "); }

static void on_response(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    const char *way = runtime->by_lane ? "lane" : "http";
    if (body.len <= 16)
        note("%s:%.*s:%.*s ", way, SL_FMT(type), SL_FMT(body));
    else
        note("%s:%zu:%zu ", way, type.len, body.len);
    if (runtime->by_lane && runtime->answered_ns != 7000000009) note("at-another-time ");
}

static void on_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    (void)runtime;
    note("error:%.*s:%zu ", SL_FMT(type), body.len);
}

static const struct sl_runtime_handler handler = {.ready = on_ready,
                                                  .gone = on_gone,
                                                  .response = on_response,
                                                  .error = on_error,
                                                  .begun = on_begun,
                                                  .untaken = on_untaken};

static void *loop_main(void *user) {
    (void)user;
    sl_loop_run(world.loop);
    return NULL;
}

// Runs a function on the loop's thread and waits for it.
struct visit {
    struct sl_mail mail;
    void (*what)(void *user);
    void *user;
    sem_t done;
};

static void visit_deliver(struct sl_mail *mail) {
    struct visit *visit = SL_CONTAINER(mail, struct visit, mail);
    visit->what(visit->user);
    sem_post(&visit->done);
}

static void on_loop(void (*what)(void *user), void *user) {
    struct visit visit = {.what = what, .user = user};
    sem_init(&visit.done, 0, 0);
    sl_loop_post(world.loop, &visit.mail, visit_deliver);
    while (sem_wait(&visit.done)) assert_int_equal(errno, EINTR);
    sem_destroy(&visit.done);
}

// Takes what was told out of the log, when it is long enough.
struct told {
    size_t enough;
    char log[sizeof world.log];
};

static void take_log(void *user) {
    struct told *told = user;
    memcpy(told->log, world.log, sizeof told->log);
    if (strlen(told->log) >= told->enough) world.log[0] = '\0';
}

// Waits until the owner was told as much as this, which must be it.
static void expect_told(const char *expected) {
    struct told told = {.enough = strlen(expected)};
    for (int i = 0; i < 60000; i++) {
        on_loop(take_log, &told);
        if (strlen(told.log) >= told.enough) break;
        usleep(1000);
    }
    assert_string_equal(told.log, expected);
}

// Has the loop look ten times for what there is.
static void expect_nothing_told(void) {
    for (int i = 0; i < 10; i++) expect_told("");
}

// Sends events 1 to *user, the others behind the first.
static void send_events(void *user) {
    int count = *(int *)user;
    for (int n = 1; n <= count; n++) {
        struct sl_runtime_event event = {.request_id = sl_str_n(ids[n], strlen(ids[n])),
                                         .deadline_ms = 1234567890123,
                                         .function_arn = SL_STR("arn:f"),
                                         .trace_id = SL_STR("Root=1\nx"),
                                         .tenant_id = SL_STR("tenant"),
                                         .payload = SL_STR("{}"),
                                         .timeout_ms = 3000,
                                         .more = count > 1};
        if (n > 1 ? !sl_runtime_takes_ahead(&world.runtime) : !sl_runtime_is_ready(&world.runtime))
            note("takes-none ");
        else if (n > 1)
            sl_runtime_send_ahead(&world.runtime, &event);
        else
            sl_runtime_send(&world.runtime, &event);
    }
    sl_runtime_flush(&world.runtime);
}

static void recall(void *user) {
    (void)user;
    sl_runtime_recall(&world.runtime);
}

// ---- the bootstrap
// ----------------------------------------------------------------------------------------------------

static int dial(void) {
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&world.address, world.address_len), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

// False: the server does not take it.
static bool say(int fd, const char *bytes, size_t len) {
    while (len) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void hear(int fd, char *bytes, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t got = recv(fd, bytes + at, len - at, 0);
        if (got <= 0) fail_msg("the server said %zu of %zu bytes", at, len);
        at += (size_t)got;
    }
}

static void expect_end(int fd) {
    char rest[4096];
    ssize_t got;
    while ((got = recv(fd, rest, sizeof rest, 0)) > 0) {}
    assert_true(got == 0 || errno == ECONNRESET);
}

static void put_u32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (char)(value >> 8 * i);
}

static uint32_t get_u32(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)(unsigned char)at[i] << 8 * i;
    return value;
}

// The first bytes of an answer; those of its type and body follow.
static void put_frame(char *at, int kind, size_t type, size_t body) {
    put_u32(at, 'A' | (uint32_t)kind << 8 | (uint32_t)type << 16);
    put_u32(at + 4, (uint32_t)body);
    put_u32(at + 8, 7);
    put_u32(at + 12, 9);
}

static size_t put_answer(char *at, int kind, const char *type, const char *body) {
    put_frame(at, kind, strlen(type), strlen(body));
    memcpy(at + FRAME, type, strlen(type));
    memcpy(at + FRAME + strlen(type), body, strlen(body));
    return FRAME + strlen(type) + strlen(body);
}

// An answer of these lengths; the caller frees it.
static char *long_answer(int kind, size_t type, size_t body) {
    char *answer = malloc(FRAME + type + body);
    assert_non_null(answer);
    put_frame(answer, kind, type, body);
    memset(answer + FRAME, 'x', type + body);
    return answer;
}

// Reads an event, and checks all of it.
static void hear_event(int n, int flags) {
    char frame[FRAME], text[512], expected[512];
    hear(world.lane, frame, FRAME);
    snprintf(expected, sizeof expected, "%s\n1234567890123\narn:f\nRoot=1 x\n\ntenant{}", ids[n]);
    assert_true(frame[0] == 'E' && frame[1] == flags && frame[2] == 0 && frame[3] == 0);
    assert_int_equal(get_u32(frame + 4), strlen(expected) - 2);
    assert_int_equal(get_u32(frame + 8), 2);
    assert_int_equal(get_u32(frame + 12), 3000);
    hear(world.lane, text, strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
}

// Asks for an event by a lane; gets so many.
static void begin(int count) {
    static const char ask[] = NEXT "Sluice-Lane: 1\r\n\r\n";
    world.lane = dial();
    assert_true(say(world.lane, ask, sizeof ask - 1));
    expect_told("ready ");
    int sent = count;
    on_loop(send_events, &sent);
    hear_event(1, count > 1 ? MORE : 0);
    for (int n = 2; n <= count; n++) hear_event(n, MORE | AHEAD);
}

static bool answer(const char *body) {
    char bytes[256];
    return say(world.lane, bytes, put_answer(bytes, RESPONSE, "text", body));
}

// Posts an answer over HTTP, and asks for the next event.
static void post(const char *id, int status) {
    char text[512], got[13] = "";
    int fd = dial();
    int len = snprintf(text, sizeof text,
                       "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n"
                       "Content-Type: text\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
                       id);
    assert_true(say(fd, text, (size_t)len));
    hear(fd, got, sizeof got - 1);
    assert_int_equal(atoi(got + 9), status);
    close(fd);
}

// ---- life
// -------------------------------------------------------------------------------------------------------------

static void open_runtime(void *user) {
    static const struct sl_runtime_identity identity = {SL_STR_INIT("function"), SL_STR_INIT("$LATEST"),
                                                        SL_STR_INIT("the.handler"), SL_STR_INIT("000000000000")};
    struct sl_error err;
    assert_int_equal(sl_runtime_open(&world.runtime, world.loop, user, &handler, &identity, NULL, &err), 0);
}

static void close_runtime(void *user) {
    (void)user;
    sl_runtime_close(&world.runtime);
}

static int setup(void **state) {
    (void)state;
    struct sl_loop_config config = {.index = 0};
    struct sl_error err;
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memset(&world, 0, sizeof world);
    world.lane = world.bell = -1;
    int fds[2] = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                  socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    // A name of the kernel's choice: unix(7), autobind.
    world.address.sun_family = AF_UNIX;
    world.address_len = sizeof world.address;
    assert_int_equal(bind(fds[0], (struct sockaddr *)&tcp, sizeof tcp), 0);
    assert_int_equal(bind(fds[1], (struct sockaddr *)&world.address, sizeof world.address.sun_family), 0);
    assert_int_equal(getsockname(fds[1], (struct sockaddr *)&world.address, &world.address_len), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(listen(fds[i], 64), 0);
    assert_int_equal(sl_loop_new(&world.loop, &config, &err), 0);
    assert_int_equal(pthread_create(&world.thread, NULL, loop_main, NULL), 0);
    on_loop(open_runtime, fds);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    on_loop(close_runtime, NULL);
    sl_loop_stop(world.loop);
    pthread_join(world.thread, NULL);
    sl_loop_free(world.loop);
    if (world.lane >= 0) close(world.lane);
    if (world.bell >= 0) close(world.bell);
    return 0;
}

// ---- answers that are right
// -------------------------------------------------------------------------------------------

static void test_an_answer_may_come_in_pieces_of_any_size(void **state) {
    (void)state;
    char bytes[256];
    size_t len = put_answer(bytes, RESPONSE, "text/plain", "hello");
    begin(1);
    for (size_t at = 0; at < len; at++) {
        expect_told("");
        assert_true(say(world.lane, bytes + at, 1));
    }
    expect_told("lane:text/plain:hello ready "); // an answer asks for the next event
}

static void test_several_answers_may_come_at_once(void **state) {
    (void)state;
    char bytes[512];
    begin(3);
    size_t len = put_answer(bytes, RESPONSE, "t", "one");
    len += put_answer(bytes + len, ERROR, "Broken", "{}");
    len += put_answer(bytes + len, RESPONSE, "", "");
    assert_true(say(world.lane, bytes, len));
    expect_told("lane:t:one begun:2 error:Broken:2 begun:3 lane:: ready ");
}

static void test_an_answer_that_ends_within_another_piece_begins_the_next_event(void **state) {
    (void)state;
    char bytes[512];
    begin(2);
    size_t first = put_answer(bytes, RESPONSE, "t", "one");
    size_t len = first + put_answer(bytes + first, RESPONSE, "t", "two");
    assert_true(say(world.lane, bytes, first + FRAME + 2));
    expect_told("lane:t:one begun:2 ");
    assert_true(say(world.lane, bytes + first + FRAME + 2, len - first - FRAME - 2));
    expect_told("lane:t:two ready ");
}

static void test_the_longest_answers_are_taken(void **state) {
    (void)state;
    begin(2);
    char *response = long_answer(RESPONSE, TYPE_MAX, BODY_MAX), *error = long_answer(ERROR, 1, ERROR_MAX);
    assert_true(say(world.lane, response, FRAME + TYPE_MAX + BODY_MAX));
    assert_true(say(world.lane, error, FRAME + 1 + ERROR_MAX));
    free(response);
    free(error);
    expect_told("lane:1024:6291556 begun:2 error:x:1048576 ready ");
}

static void test_with_a_bell_answers_are_read_when_it_rings(void **state) {
    (void)state;
    static const char ask[] = "GET /2018-06-01/runtime/invocation/bell HTTP/1.1\r\nHost: x\r\n\r\n";
    int count = 2;
    begin(2);
    world.bell = dial();
    assert_true(say(world.bell, ask, sizeof ask - 1));
    expect_nothing_told(); // the loop has seen what was said
    assert_true(say(world.bell, "!", 1));
    expect_nothing_told();
    assert_true(answer("one"));
    expect_told("lane:text:one begun:2 ");
    assert_true(answer("two"));
    expect_told("lane:text:two ready ");
    on_loop(send_events, &count);
    hear_event(1, MORE);
    hear_event(2, MORE | AHEAD);
    assert_true(answer("three"));
    expect_nothing_told();
    assert_true(say(world.bell, "!", 1));
    expect_told("lane:text:three begun:2 ");
}

// ---- answers that are wrong
// -------------------------------------------------------------------------------------------

// After these bytes the lane is closed; the event in work can be answered over HTTP still.
static void check_refused(const char *bytes, size_t len) {
    begin(2);
    (void)say(world.lane, bytes, len); // it may be closed before it has taken all
    expect_told("untaken ");
    expect_end(world.lane);
    assert_false(answer("too late"));
    post(ids[2], 400);
    post(ids[1], 202);
    expect_told("http:text:ok ");
}

static void test_what_is_no_answer_closes_the_lane(void **state) {
    (void)state;
    check_refused("E", 1);
}

static void test_a_body_that_is_too_long_closes_the_lane_before_it_comes(void **state) {
    (void)state;
    char frame[FRAME];
    put_frame(frame, RESPONSE, 1, BODY_MAX + 1);
    check_refused(frame, sizeof frame);
}

static void test_an_error_that_is_too_long_closes_the_lane_before_it_comes(void **state) {
    (void)state;
    char frame[FRAME];
    put_frame(frame, ERROR, 1, ERROR_MAX + 1);
    check_refused(frame, sizeof frame);
}

static void test_a_type_that_is_too_long_closes_the_lane_before_it_comes(void **state) {
    (void)state;
    char frame[FRAME];
    put_frame(frame, RESPONSE, TYPE_MAX + 1, 0);
    check_refused(frame, sizeof frame);
}

static void test_the_greatest_lengths_close_the_lane(void **state) {
    (void)state;
    char frame[FRAME];
    memset(frame, 0xff, sizeof frame);
    frame[0] = 'A';
    check_refused(frame, sizeof frame);
}

static void test_more_answers_than_events_close_the_lane(void **state) {
    (void)state;
    char bytes[512];
    begin(1);
    size_t len = put_answer(bytes, RESPONSE, "t", "one");
    len += put_answer(bytes + len, RESPONSE, "t", "two");
    assert_true(say(world.lane, bytes, len));
    expect_told("lane:t:one untaken ");
    expect_end(world.lane);
}

static void test_an_answer_that_nobody_asked_for_closes_the_lane(void **state) {
    (void)state;
    begin(1);
    assert_true(answer("one"));
    expect_told("lane:text:one ready ");
    assert_true(answer("two"));
    expect_told("untaken gone ");
    expect_end(world.lane);
}

// ---- the end of the lane
// ----------------------------------------------------------------------------------------------

static void test_half_an_answer_is_none(void **state) {
    (void)state;
    char bytes[256];
    begin(3);
    size_t len = put_answer(bytes, RESPONSE, "t", "one");
    assert_true(say(world.lane, bytes, len - 1));
    close(world.lane);
    world.lane = -1;
    expect_told("untaken ");
    post(ids[1], 202);
    expect_told("http:text:ok ");
}

static void test_a_whole_answer_before_the_end_counts_and_half_of_the_next_does_not(void **state) {
    (void)state;
    char bytes[512];
    begin(3);
    size_t len = put_answer(bytes, RESPONSE, "t", "one");
    len += put_answer(bytes + len, RESPONSE, "t", "two") - 1;
    assert_true(say(world.lane, bytes, len));
    close(world.lane);
    world.lane = -1;
    expect_told("lane:t:one begun:2 untaken ");
    post(ids[3], 400);
    post(ids[2], 202);
    expect_told("http:text:ok ");
}

static void test_the_end_while_it_waits_is_told(void **state) {
    (void)state;
    begin(1);
    assert_true(answer("one"));
    expect_told("lane:text:one ready ");
    close(world.lane);
    world.lane = -1;
    expect_told("untaken gone ");
}

// On the loop's thread, which therefore cannot have read the answers before.
static void answer_and_recall(void *user) {
    if (!answer("one") || !answer("two")) note("not-taken ");
    recall(user);
}

static void test_what_was_answered_before_a_recall_counts_and_nothing_can_be_answered_after_it(void **state) {
    (void)state;
    begin(4);
    on_loop(answer_and_recall, NULL);
    expect_told("lane:text:one begun:2 lane:text:two begun:3 untaken ");
    assert_false(answer("three"));
    expect_end(world.lane);
    post(ids[3], 202);
    expect_told("http:text:ok ");
}

// Half of a long answer lies in the socket; the rest never comes, though its writer waits for room.
static void test_a_recall_does_not_wait_for_the_rest_of_an_answer(void **state) {
    (void)state;
    char frame[FRAME];
    begin(2);
    put_frame(frame, RESPONSE, 0, BODY_MAX);
    assert_true(say(world.lane, frame, sizeof frame));
    on_loop(recall, NULL);
    expect_told("untaken ");
    assert_false(answer("one"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_may_come_in_pieces_of_any_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_answers_may_come_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_that_ends_within_another_piece_begins_the_next_event, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_longest_answers_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_a_bell_answers_are_read_when_it_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_answer_closes_the_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_that_is_too_long_closes_the_lane_before_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_error_that_is_too_long_closes_the_lane_before_it_comes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_type_that_is_too_long_closes_the_lane_before_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_greatest_lengths_close_the_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_answers_than_events_close_the_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_that_nobody_asked_for_closes_the_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_an_answer_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_whole_answer_before_the_end_counts_and_half_of_the_next_does_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_end_while_it_waits_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_was_answered_before_a_recall_counts_and_nothing_can_be_answered_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_recall_does_not_wait_for_the_rest_of_an_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
