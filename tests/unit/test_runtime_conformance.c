// SPDX-License-Identifier: Apache-2.0
//
// conformance: every endpoint of the Runtime, Extensions, Telemetry and Logs APIs, in every state of the runtime and of
// an extension, with the call that is right and those that are wrong. Tables of (state, call, answer); the answers are
// those of AWS's emulator (aws-lambda-runtime-interface-emulator, internal/lambda/rapi and core) and of the developer
// guide.
//
// The runtime under test lives on a loop thread; the test speaks to it over TCP and changes its state by letters.
#include "runtime/runtime.h"
#include "runtime/telemetry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CURRENT    "11111111-2222-4333-8444-555555555555"
#define OTHER      "99999999-2222-4333-8444-555555555555"
#define INVOCATION "/2018-06-01/runtime/invocation/"
#define EXTENSION  "/2020-01-01/extension/"
#define TELEMETRY  "/2022-07-01/telemetry"
#define LOGS       "/2020-08-15/logs"

// ---- the runtime under test
// -------------------------------------------------------------------------------------------

static struct world {
    struct sl_loop *loop;
    struct sl_runtime runtime;
    pthread_t thread;
    uint16_t port;
    int parked;       // the connection on which the runtime asked
    int parked_by[4]; // and those of extensions
    unsigned parked_count;
    int streaming;
    char id[37]; // of the extension "ext"
    atomic_int ready, init_errors, errors, responses, registered, failed;
} world;

static void on_ready(struct sl_runtime *runtime) { (void)runtime, atomic_fetch_add(&world.ready, 1); }
static void on_gone(struct sl_runtime *runtime) { (void)runtime; }
static bool on_stream(struct sl_runtime *runtime, struct sl_str type) {
    (void)runtime, (void)type;
    return true;
}
static void on_part(struct sl_runtime *runtime, struct sl_str bytes) { (void)runtime, (void)bytes; }
static void on_response(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    (void)runtime, (void)body, (void)type;
    atomic_fetch_add(&world.responses, 1);
}
static void on_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    (void)runtime, (void)body, (void)type;
    atomic_fetch_add(&world.errors, 1);
}
static void on_init_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    (void)runtime, (void)body, (void)type;
    atomic_fetch_add(&world.init_errors, 1);
}
static void on_too_large(struct sl_runtime *runtime) { (void)runtime; }
static void on_failed(struct sl_runtime *runtime, const char *type, struct sl_str cause) {
    (void)runtime, (void)type, (void)cause;
    atomic_fetch_add(&world.failed, 1);
}
static void on_registered(struct sl_runtime *runtime) { (void)runtime, atomic_fetch_add(&world.registered, 1); }
static void on_done(struct sl_runtime *runtime) { (void)runtime; }
static void on_subscribed(struct sl_runtime *runtime, struct sl_str name, bool logs, unsigned kinds) {
    (void)runtime, (void)name, (void)logs, (void)kinds;
}
static void on_socket(struct sl_runtime *runtime) { sl_runtime_telemetry_socket(runtime, -1); }

static const struct sl_runtime_handler handler = {.ready = on_ready,
                                                  .gone = on_gone,
                                                  .stream = on_stream,
                                                  .part = on_part,
                                                  .response = on_response,
                                                  .error = on_error,
                                                  .init_error = on_init_error,
                                                  .too_large = on_too_large,
                                                  .extension_failed = on_failed,
                                                  .registered = on_registered,
                                                  .runtime_done = on_done,
                                                  .subscribed = on_subscribed,
                                                  .socket = on_socket};

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
    sem_wait(&visit.done);
    sem_destroy(&visit.done);
}

static void get_state(void *user) { *(enum sl_runtime_state *)user = world.runtime.state; }
static void get_parked(void *user) { *(bool *)user = world.runtime.parked != NULL; }

static void await_state(enum sl_runtime_state wanted) {
    for (int i = 0; i < 60000; i++) {
        enum sl_runtime_state now;
        on_loop(get_state, &now);
        if (now == wanted) return;
        usleep(1000);
    }
    fail_msg("the runtime never came to state %d", (int)wanted);
}

static void await_parked(void) {
    for (int i = 0; i < 60000; i++) {
        bool parked;
        on_loop(get_parked, &parked);
        if (parked) return;
        usleep(1000);
    }
    fail_msg("the poll was never seen");
}

static void open_runtime(void *user) {
    static const struct sl_runtime_identity identity = {SL_STR_INIT("function"), SL_STR_INIT("$LATEST"),
                                                        SL_STR_INIT("the.handler"), SL_STR_INIT("000000000000")};
    struct sl_error err;
    int fds[2] = {*(int *)user, -1};
    assert_int_equal(sl_runtime_open(&world.runtime, world.loop, fds, &handler, &identity, NULL, &err), 0);
}

static void close_runtime(void *user) {
    (void)user;
    sl_runtime_close(&world.runtime);
}

static int setup(void **state) {
    (void)state;
    struct sl_loop_config config = {.index = 0};
    struct sl_error err;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(&world, 0, sizeof world);
    world.parked = world.streaming = -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    world.port = ntohs(address.sin_port);
    assert_int_equal(sl_loop_new(&world.loop, &config, &err), 0);
    assert_int_equal(pthread_create(&world.thread, NULL, loop_main, NULL), 0);
    on_loop(open_runtime, &fd);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    on_loop(close_runtime, NULL);
    sl_loop_stop(world.loop);
    pthread_join(world.thread, NULL);
    sl_loop_free(world.loop);
    if (world.parked >= 0) close(world.parked);
    if (world.streaming >= 0) close(world.streaming);
    for (unsigned i = 0; i < world.parked_count; i++) close(world.parked_by[i]);
    return 0;
}

// ---- calls
// ------------------------------------------------------------------------------------------------------------

struct answer {
    int status; // 0: the connection was closed without one
    char text[16384];
    const char *body;
};

static int dial(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(world.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void say(int fd, const char *text, size_t len) {
    while (len) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) return; // refused early
        text += sent;
        len -= (size_t)sent;
    }
}

static void hear(int fd, struct answer *answer) {
    size_t len = 0;
    *answer = (struct answer){.body = ""};
    for (;;) {
        ssize_t got = recv(fd, answer->text + len, sizeof answer->text - 1 - len, 0);
        if (got <= 0) break;
        len += (size_t)got;
        answer->text[len] = '\0';
        const char *end = strstr(answer->text, "\r\n\r\n");
        const char *length = end ? strcasestr(answer->text, "Content-Length: ") : NULL;
        if (!length) continue;
        size_t body = strtoul(length + 16, NULL, 10);
        if (len < (size_t)(end + 4 - answer->text) + body) continue;
        answer->status = atoi(answer->text + 9);
        answer->body = end + 4;
        return;
    }
}

// `headers`: lines, each ended by \r\n; may be NULL. Sends and leaves the answer unread.
static int begin_call(const char *method, const char *path, const char *headers, const char *body) {
    char head[2048];
    int fd = dial();
    int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", method, path,
                       headers ? headers : "", body ? strlen(body) : (size_t)0);
    say(fd, head, (size_t)len);
    if (body) say(fd, body, strlen(body));
    return fd;
}

static void call(const char *method, const char *path, const char *headers, const char *body, struct answer *answer) {
    int fd = begin_call(method, path, headers, body);
    hear(fd, answer);
    close(fd);
}

static void call_ok(const char *method, const char *path, const char *headers, const char *body, int status) {
    struct answer answer;
    call(method, path, headers, body, &answer);
    if (answer.status != status) fail_msg("%s %s: %d %s", method, path, answer.status, answer.body);
}

// ---- states of the runtime
// --------------------------------------------------------------------------------------------

enum state { STARTED, READY, RUNNING, RESPONDING, SENT, INIT_ERROR, STATES };
static const char *const state_names[] = {"Started",      "Ready",    "Running", "InvocationResponse",
                                          "ResponseSent", "InitError"};

static void send_event(void *user) {
    (void)user;
    struct sl_runtime_event event = {.request_id = SL_STR(CURRENT),
                                     .deadline_ms = 1234567890123,
                                     .function_arn = SL_STR("arn:aws:lambda:r:0:function:function"),
                                     .trace_id = SL_STR("Root=1-0-0"),
                                     .client_context = SL_STR("{\"a\":1}"),
                                     .tenant_id = SL_STR("tenant-1"),
                                     .payload = SL_STR("{}")};
    sl_runtime_send(&world.runtime, &event);
}

static void come_to(enum state state) {
    struct answer answer;
    if (state == STARTED) return;
    if (state == INIT_ERROR) {
        call_ok("POST", "/2018-06-01/runtime/init/error", NULL, "{}", 202);
        return;
    }
    world.parked = begin_call("GET", INVOCATION "next", NULL, NULL);
    await_parked();
    if (state == READY) return;
    on_loop(send_event, NULL);
    hear(world.parked, &answer);
    assert_int_equal(answer.status, 200);
    if (state == SENT) call_ok("POST", INVOCATION CURRENT "/response", NULL, "1", 202);
    if (state != RESPONDING) return;
    static const char head[] = "POST " INVOCATION CURRENT "/response HTTP/1.1\r\nHost: x\r\n"
                               "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    world.streaming = dial();
    say(world.streaming, head, sizeof head - 1);
    await_state(SL_RUNTIME_RESPONDING);
}

// ---- the Runtime API
// --------------------------------------------------------------------------------------------------

#define NO_STATE "%s to %s failed for runtime. Error: State transition is not allowed"

struct row {
    const char *method, *path, *headers, *body;
    int status[STATES]; // by state; 0: it waits
    const char *to;     // the state that a 403 names
};

// What a 202, 400, 403, 404, 405 must say.
static void check_answer(const struct row *row, enum state state, const struct answer *answer) {
    char expected[512] = "";
    int status = row->status[state];
    if (status == 202) snprintf(expected, sizeof expected, "{\"status\":\"OK\"}\n");
    if (status == 400)
        snprintf(expected, sizeof expected,
                 "{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n");
    if (status == 403)
        snprintf(expected, sizeof expected,
                 "{\"errorMessage\":\"State transition from " NO_STATE "\",\"errorType\":\"InvalidStateTransition\"}\n",
                 state_names[state], row->to);
    if (status == 404) snprintf(expected, sizeof expected, "404 page not found\n");
    if (status == 200) snprintf(expected, sizeof expected, "pong");
    if (answer->status != status || strcmp(answer->body, expected) != 0)
        fail_msg("%s %s in %s: %d %s, not %d %s", row->method, row->path, state_names[state], answer->status,
                 answer->body, status, expected);
}

static const struct row runtime_rows[] = {
    //                                                      Started Ready Running Responding Sent InitError
    {"GET", INVOCATION "next", NULL, NULL, {0, 0, 0, 403, 0, 403}, "Ready"},
    {"POST", INVOCATION CURRENT "/response", NULL, "1", {400, 400, 202, 403, 400, 400}, "InvocationResponse"},
    {"POST", INVOCATION CURRENT "/error", NULL, "{}", {400, 400, 202, 403, 400, 400}, "InvocationErrorResponse"},
    {"POST", INVOCATION OTHER "/response", NULL, "1", {400, 400, 400, 400, 400, 400}, NULL},
    {"POST", INVOCATION OTHER "/error", NULL, "{}", {400, 400, 400, 400, 400, 400}, NULL},
    {"POST", INVOCATION "nonsense/response", NULL, "1", {400, 400, 400, 400, 400, 400}, NULL},
    {"POST", INVOCATION "/response", NULL, "1", {400, 400, 400, 400, 400, 400}, NULL},
    {"POST", "/2018-06-01/runtime/init/error", NULL, "{}", {202, 403, 403, 403, 403, 403}, "InitError"},
    {"GET", "/2018-06-01/ping", NULL, NULL, {200, 200, 200, 200, 200, 200}, NULL},
    // What does not exist, or only where an instance is made from a snapshot.
    {"GET", "/2018-06-01/runtime/restore/next", NULL, NULL, {404, 404, 404, 404, 404, 404}, NULL},
    {"POST", "/2018-06-01/runtime/restore/error", NULL, "{}", {404, 404, 404, 404, 404, 404}, NULL},
    {"POST", INVOCATION CURRENT "/other", NULL, "1", {404, 404, 404, 404, 404, 404}, NULL},
    {"POST", INVOCATION CURRENT, NULL, "1", {404, 404, 404, 404, 404, 404}, NULL},
    {"GET", "/", NULL, NULL, {404, 404, 404, 404, 404, 404}, NULL},
    {"GET", "/2018-06-02/runtime/invocation/next", NULL, NULL, {404, 404, 404, 404, 404, 404}, NULL},
    {"GET", "/2020-01-01/extension", NULL, NULL, {404, 404, 404, 404, 404, 404}, NULL},
    // Wrong methods.
    {"POST", INVOCATION "next", NULL, "", {405, 405, 405, 405, 405, 405}, NULL},
    {"DELETE", INVOCATION "next", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", INVOCATION CURRENT "/response", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"PUT", INVOCATION CURRENT "/error", NULL, "{}", {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", "/2018-06-01/runtime/init/error", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"POST", "/2018-06-01/ping", NULL, "", {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", EXTENSION "register", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"POST", EXTENSION "event/next", NULL, "", {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", EXTENSION "init/error", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", EXTENSION "exit/error", NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"GET", TELEMETRY, NULL, NULL, {405, 405, 405, 405, 405, 405}, NULL},
    {"POST", LOGS, NULL, "{}", {405, 405, 405, 405, 405, 405}, NULL},
};

static void every_call_in_every_state_of_the_runtime(void **state) {
    for (size_t i = 0; i < sizeof runtime_rows / sizeof runtime_rows[0]; i++) {
        for (enum state in = STARTED; in < STATES; in++) {
            const struct row *row = &runtime_rows[i];
            struct answer answer;
            setup(state);
            come_to(in);
            if (row->status[in]) {
                call(row->method, row->path, row->headers, row->body, &answer);
                check_answer(row, in, &answer);
            } else { // it waits, and an earlier one that waited does no more
                int fd = begin_call(row->method, row->path, row->headers, row->body);
                if (in == READY) {
                    hear(world.parked, &answer);
                    assert_int_equal(answer.status, 403);
                    assert_non_null(strstr(answer.body, "State transition from Ready to Ready failed for runtime"));
                }
                await_parked();
                close(fd);
            }
            teardown(state);
        }
    }
}

static void an_event_has_all_its_headers(void **state) {
    (void)state;
    struct answer answer;
    world.parked = begin_call("GET", INVOCATION "next", NULL, NULL);
    await_parked();
    on_loop(send_event, NULL);
    hear(world.parked, &answer);
    static const char *const lines[] = {"Lambda-Runtime-Aws-Request-Id: " CURRENT "\r\n",
                                        "Lambda-Runtime-Deadline-Ms: 1234567890123\r\n",
                                        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:r:0:function:function\r\n",
                                        "Lambda-Runtime-Trace-Id: Root=1-0-0\r\n",
                                        "Lambda-Runtime-Client-Context: {\"a\":1}\r\n",
                                        "Lambda-Runtime-Aws-Tenant-Id: tenant-1\r\n",
                                        "Content-Type: application/json\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(answer.text, lines[i])) fail_msg("no %s in %s", lines[i], answer.text);
}

static void bodies_that_are_too_large_cut_short_or_of_no_mode(void **state) {
    static const struct {
        const char *request;
        bool half; // the client ends its side
        int status;
        const char *body;
    } rows[] = {
        {"POST " INVOCATION CURRENT "/response HTTP/1.1\r\nHost: x\r\nContent-Length: 6291557\r\n\r\n", false, 413,
         "{\"errorMessage\":\"Exceeded maximum allowed payload size (6291556 bytes).\",\"errorType\":"
         "\"RequestEntityTooLarge\"}\n"},
        {"POST " INVOCATION CURRENT "/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", true, 400,
         "{\"errorMessage\":\"HTTP request detected as truncated\",\"errorType\":\"TruncatedHTTPRequest\"}\n"},
        {"POST " INVOCATION CURRENT "/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
         true, 400,
         "{\"errorMessage\":\"HTTP request detected as truncated\",\"errorType\":\"TruncatedHTTPRequest\"}\n"},
        {"POST " INVOCATION CURRENT "/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
         "Lambda-Runtime-Function-Response-Mode: sideways\r\n\r\n1",
         false, 400,
         "{\"errorMessage\":\"Invalid function response mode\",\"errorType\":\"InvalidFunctionResponseMode\"}\n"},
        {"POST " INVOCATION CURRENT "/error HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", false, 413, NULL},
        {"POST " EXTENSION "register HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", false, 413, NULL},
        {"PUT " TELEMETRY " HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", false, 413, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer;
        setup(state);
        come_to(RUNNING);
        int fd = dial();
        say(fd, rows[i].request, strlen(rows[i].request));
        if (rows[i].half) shutdown(fd, SHUT_WR);
        hear(fd, &answer);
        close(fd);
        if (answer.status != rows[i].status || (rows[i].body && strcmp(answer.body, rows[i].body) != 0))
            fail_msg("row %zu: %d %s", i, answer.status, answer.body);
        teardown(state);
    }
}

// ---- extensions
// -------------------------------------------------------------------------------------------------------

enum extension_state {
    NOBODY,
    EXT_STARTED, // announced, an external one
    EXT_REGISTERED,
    EXT_READY,
    EXT_RUNNING,
    EXT_INIT_ERROR,
    EXT_EXIT_ERROR,
    EXT_CLOSED, // nobody has registered, and the init is over
    EXTENSION_STATES
};

#define NAME       "Lambda-Extension-Name: ext\r\n"
#define ERROR_TYPE "Lambda-Extension-Function-Error-Type: Extension.Mine\r\n"

static void expect(void *user) {
    struct sl_error err;
    assert_int_equal(sl_runtime_expect(&world.runtime, sl_str_of(user), &err), 0);
}

static void take_id(const struct answer *answer) {
    const char *at = strcasestr(answer->text, "Lambda-Extension-Identifier: ");
    assert_non_null(at);
    snprintf(world.id, sizeof world.id, "%.36s", at + strlen("Lambda-Extension-Identifier: "));
}

static void get_extension(void *user) {
    struct sl_runtime_extension_info info;
    sl_runtime_extension_info(&world.runtime, 0, &info);
    *(const char **)user = info.state;
}

static void await_extension(const char *wanted) {
    const char *now = "";
    for (int i = 0; i < 60000 && strcmp(now, wanted) != 0; i++) {
        on_loop(get_extension, &now);
        usleep(500);
    }
    assert_string_equal(now, wanted);
}

static const char *identified(const char *more) {
    static char text[512];
    snprintf(text, sizeof text, "Lambda-Extension-Identifier: %s\r\n%s", world.id[0] ? world.id : OTHER, more);
    return text;
}

static void extension_comes_to(enum extension_state state) {
    struct answer answer;
    if (state == NOBODY) return;
    if (state == EXT_CLOSED) {
        come_to(READY);
        return;
    }
    on_loop(expect, "ext");
    if (state == EXT_STARTED) return;
    call("POST", EXTENSION "register", NAME, "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}", &answer);
    assert_int_equal(answer.status, 200);
    take_id(&answer);
    if (state == EXT_INIT_ERROR) call_ok("POST", EXTENSION "init/error", identified(ERROR_TYPE), "{}", 202);
    if (state == EXT_EXIT_ERROR) call_ok("POST", EXTENSION "exit/error", identified(ERROR_TYPE), "{}", 202);
    if (state != EXT_READY && state != EXT_RUNNING) return;
    int fd = begin_call("GET", EXTENSION "event/next", identified(""), NULL);
    world.parked_by[world.parked_count++] = fd;
    await_extension("Ready");
    if (state == EXT_READY) return;
    come_to(RUNNING);
    hear(fd, &answer);
    assert_int_equal(answer.status, 200);
    await_extension("Running");
}

#define EXT_NO(from, to)                                                                                               \
    "State transition from " from " to " to " failed for extension %s. Error: State transition is not allowed"
#define REG_NO(from)                                                                                                   \
    "State transition from " from " to Registered failed for extension ext. Error: State transition is not allowed"

static const struct extension_row {
    enum extension_state state;
    const char *method, *path, *headers; // headers NULL: identified
    const char *body;
    int status; // 0: it waits
    const char *type, *message;
} extension_rows[] = {
    // register
    {NOBODY, "POST", EXTENSION "register", NAME, "{\"events\":[\"INVOKE\"]}", 200, NULL, NULL},
    {NOBODY, "POST", EXTENSION "register", NAME, "{}", 200, NULL, NULL},
    {NOBODY, "POST", EXTENSION "register", "", "{}", 403, "Extension.InvalidExtensionName", "Empty extension name"},
    {NOBODY, "POST", EXTENSION "register", NAME, "{\"events\":[\"SHUTDOWN\"]}", 403, "Extension.InvalidEventType",
     "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"},
    {NOBODY, "POST", EXTENSION "register", NAME, "{\"events\":[\"INVOKE\",\"OTHER\"]}", 403,
     "Extension.InvalidEventType", "OTHER: ErrorInvalidEventType"},
    {NOBODY, "POST", EXTENSION "register", NAME, "no json", 403, "InvalidRequestFormat",
     "the body is not a JSON object"},
    {NOBODY, "POST", EXTENSION "register", NAME, "", 403, "InvalidRequestFormat", "the body is not a JSON object"},
    {NOBODY, "POST", EXTENSION "register", NAME, "[]", 403, "InvalidRequestFormat", "the body is not a JSON object"},
    {NOBODY, "POST", EXTENSION "register", NAME, "{\"events\":\"INVOKE\"}", 403, "InvalidRequestFormat",
     "events is not a list"},
    {NOBODY, "POST", EXTENSION "register", NAME, "{\"configurationKeys\":[\"a\"]}", 403, "InvalidRequestFormat",
     "configurationKeys are deprecated; use environment variables instead"},
    {EXT_STARTED, "POST", EXTENSION "register", NAME, "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}", 200, NULL, NULL},
    {EXT_STARTED, "POST", EXTENSION "register", NAME, "{\"events\":[\"OTHER\"]}", 403, "Extension.InvalidEventType",
     "OTHER: ErrorInvalidEventType"},
    {EXT_REGISTERED, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.InvalidExtensionState",
     REG_NO("Registered")},
    {EXT_READY, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.InvalidExtensionState", REG_NO("Ready")},
    {EXT_RUNNING, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.InvalidExtensionState", REG_NO("Running")},
    {EXT_INIT_ERROR, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.InvalidExtensionState",
     REG_NO("InitError")},
    {EXT_EXIT_ERROR, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.InvalidExtensionState",
     REG_NO("ExitError")},
    {EXT_CLOSED, "POST", EXTENSION "register", NAME, "{}", 403, "Extension.RegistrationClosed",
     "Extension registration closed already"},
    // event/next
    {EXT_REGISTERED, "GET", EXTENSION "event/next", NULL, NULL, 0, NULL, NULL},
    {EXT_READY, "GET", EXTENSION "event/next", NULL, NULL, 403, "Extension.InvalidExtensionState",
     EXT_NO("Ready", "Ready")},
    {EXT_RUNNING, "GET", EXTENSION "event/next", NULL, NULL, 0, NULL, NULL},
    {EXT_INIT_ERROR, "GET", EXTENSION "event/next", NULL, NULL, 403, "Extension.InvalidExtensionState",
     EXT_NO("InitError", "Ready")},
    {EXT_EXIT_ERROR, "GET", EXTENSION "event/next", NULL, NULL, 403, "Extension.InvalidExtensionState",
     EXT_NO("ExitError", "Ready")},
    // init/error
    {EXT_REGISTERED, "POST", EXTENSION "init/error", NULL, "{}", 403, "Extension.MissingHeader",
     "Lambda-Extension-Function-Error-Type not found"},
    {EXT_REGISTERED, "POST", EXTENSION "init/error", ERROR_TYPE, "{}", 202, NULL, NULL},
    {EXT_READY, "POST", EXTENSION "init/error", ERROR_TYPE, "{}", 403, "Extension.InvalidExtensionState",
     EXT_NO("Ready", "InitError")},
    {EXT_RUNNING, "POST", EXTENSION "init/error", ERROR_TYPE, "{}", 403, "Extension.InvalidExtensionState",
     EXT_NO("Running", "InitError")},
    {EXT_INIT_ERROR, "POST", EXTENSION "init/error", ERROR_TYPE, "{}", 202, NULL, NULL},
    {EXT_EXIT_ERROR, "POST", EXTENSION "init/error", ERROR_TYPE, "{}", 403, "Extension.InvalidExtensionState",
     EXT_NO("ExitError", "InitError")},
    // exit/error
    {EXT_REGISTERED, "POST", EXTENSION "exit/error", NULL, "{}", 403, "Extension.MissingHeader",
     "Lambda-Extension-Function-Error-Type not found"},
    {EXT_REGISTERED, "POST", EXTENSION "exit/error", ERROR_TYPE, "{}", 202, NULL, NULL},
    {EXT_READY, "POST", EXTENSION "exit/error", ERROR_TYPE, "{}", 202, NULL, NULL},
    {EXT_RUNNING, "POST", EXTENSION "exit/error", ERROR_TYPE, "{}", 202, NULL, NULL},
    {EXT_INIT_ERROR, "POST", EXTENSION "exit/error", ERROR_TYPE, "{}", 403, "Extension.InvalidExtensionState",
     EXT_NO("InitError", "ExitError")},
    {EXT_EXIT_ERROR, "POST", EXTENSION "exit/error", ERROR_TYPE, "{}", 202, NULL, NULL},
};

static void check_extension_row(const struct extension_row *row) {
    struct answer answer;
    char message[512] = "", expected[768];
    extension_comes_to(row->state);
    bool needs_id = strstr(row->path, "register") == NULL;
    const char *headers = needs_id ? identified(row->headers ? row->headers : "") : row->headers;
    if (!row->status) {
        world.parked_by[world.parked_count++] = begin_call(row->method, row->path, headers, row->body);
        await_extension("Ready");
        return;
    }
    call(row->method, row->path, headers, row->body, &answer);
    if (row->type) {
        const char *hole = strstr(row->message, "%s");
        if (hole)
            snprintf(message, sizeof message, "%.*s%s%s", (int)(hole - row->message), row->message, world.id, hole + 2);
        else
            snprintf(message, sizeof message, "%s", row->message);
        snprintf(expected, sizeof expected, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n", message, row->type);
    } else if (row->status == 200) {
        snprintf(expected, sizeof expected,
                 "{\"functionName\":\"function\",\"functionVersion\":\"$LATEST\",\"handler\":\"the.handler\"}\n");
    } else {
        snprintf(expected, sizeof expected, "{\"status\":\"OK\"}\n");
    }
    if (answer.status != row->status || strcmp(answer.body, expected) != 0)
        fail_msg("row %zu: %d %s, not %d %s", (size_t)(row - extension_rows), answer.status, answer.body, row->status,
                 expected);
}

static void every_call_in_every_state_of_an_extension(void **state) {
    for (size_t i = 0; i < sizeof extension_rows / sizeof extension_rows[0]; i++) {
        setup(state);
        check_extension_row(&extension_rows[i]);
        teardown(state);
    }
}

static void whoever_does_not_name_itself_is_refused_everywhere(void **state) {
    (void)state;
    static const struct {
        const char *method, *path;
    } paths[] = {{"GET", EXTENSION "event/next"},
                 {"POST", EXTENSION "init/error"},
                 {"POST", EXTENSION "exit/error"},
                 {"PUT", TELEMETRY},
                 {"PUT", LOGS}};
    static const struct {
        const char *header, *type, *message;
    } names[] = {
        {"", "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"},
        {"Lambda-Extension-Identifier: nonsense\r\n", "Extension.InvalidExtensionIdentifier",
         "Invalid Lambda-Extension-Identifier"},
        {"Lambda-Extension-Identifier: " OTHER "x\r\n", "Extension.InvalidExtensionIdentifier",
         "Invalid Lambda-Extension-Identifier"},
        {"Lambda-Extension-Identifier: " OTHER "\r\n", "Extension.UnknownExtensionIdentifier",
         "Unknown extension " OTHER},
    };
    extension_comes_to(EXT_REGISTERED);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            struct answer answer;
            char expected[256];
            call(paths[i].method, paths[i].path, names[k].header, strcmp(paths[i].method, "GET") ? "{}" : NULL,
                 &answer);
            snprintf(expected, sizeof expected, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n", names[k].message,
                     names[k].type);
            assert_int_equal(answer.status, 403);
            assert_string_equal(answer.body, expected);
        }
    }
}

static void ten_extensions_and_no_more(void **state) {
    (void)state;
    struct answer answer;
    char name[64];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "Lambda-Extension-Name: ext-%d\r\n", i);
        call_ok("POST", EXTENSION "register", name, "{}", 200);
    }
    call("POST", EXTENSION "register", NAME, "{}", &answer);
    assert_int_equal(answer.status, 403);
    assert_string_equal(
        answer.body,
        "{\"errorMessage\":\"Extension limit (10) reached\",\"errorType\":\"Extension.TooManyExtensions\"}\n");
    call("POST", EXTENSION "register", "Lambda-Extension-Name: ext-3\r\n", "{}", &answer);
    assert_non_null(strstr(answer.body, "Extension with this name already registered"));
}

static void the_account_is_told_to_who_asks(void **state) {
    (void)state;
    struct answer answer;
    call("POST", EXTENSION "register", NAME "Lambda-Extension-Accept-Feature: other, accountId\r\n", "{}", &answer);
    assert_string_equal(answer.body, "{\"functionName\":\"function\",\"functionVersion\":\"$LATEST\",\"handler\":"
                                     "\"the.handler\",\"accountId\":\"000000000000\"}\n");
}

static void shut_down(void *user) { sl_runtime_shut_down(&world.runtime, user, 1234567890123); }

static void the_events_that_an_extension_gets(void **state) {
    (void)state;
    struct answer answer;
    extension_comes_to(EXT_READY);
    come_to(RUNNING);
    hear(world.parked_by[0], &answer);
    assert_string_equal(answer.body,
                        "{\"eventType\":\"INVOKE\",\"deadlineMs\":1234567890123,\"requestId\":\"" CURRENT
                        "\",\"invokedFunctionArn\":\"arn:aws:lambda:r:0:function:function\",\"tracing\":{\"type\":"
                        "\"X-Amzn-Trace-Id\",\"value\":\"Root=1-0-0\"}}");
    assert_non_null(strcasestr(answer.text, "\r\nLambda-Extension-Event-Identifier: "));
    // It is busy while the instance is told to end: it hears of that when it asks.
    on_loop(shut_down, "timeout");
    call("GET", EXTENSION "event/next", identified(""), NULL, &answer);
    assert_string_equal(answer.body,
                        "{\"eventType\":\"SHUTDOWN\",\"deadlineMs\":1234567890123,\"shutdownReason\":\"timeout\"}");
}

static void shutdown_reaches_one_that_waits(void **state) {
    (void)state;
    struct answer answer;
    extension_comes_to(EXT_READY);
    on_loop(shut_down, "spindown");
    hear(world.parked_by[0], &answer);
    assert_string_equal(answer.body,
                        "{\"eventType\":\"SHUTDOWN\",\"deadlineMs\":1234567890123,\"shutdownReason\":\"spindown\"}");
}

static void the_init_waits_for_all(void **state) {
    (void)state;
    extension_comes_to(EXT_REGISTERED);
    assert_int_equal(atomic_load(&world.registered), 1);
    come_to(READY);
    assert_int_equal(atomic_load(&world.ready), 0);
    world.parked_by[world.parked_count++] = begin_call("GET", EXTENSION "event/next", identified(""), NULL);
    await_extension("Ready");
    assert_int_equal(atomic_load(&world.ready), 1);
}

// ---- subscriptions
// ----------------------------------------------------------------------------------------------------

#define DESTINATION "\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox.localdomain:8080/x\"}"
#define ALL         "\"types\":[\"platform\",\"function\",\"extension\"]"
#define VERSION     "\"schemaVersion\":\"2022-12-13\""

static const struct {
    const char *path, *body;
    int status;
    const char *message; // of a 400
} subscription_rows[] = {
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION "}", 200, NULL},
    {TELEMETRY "/", "{" VERSION "," ALL "," DESTINATION "}", 200, NULL},
    {TELEMETRY, "{\"schemaVersion\":\"2022-07-01\"," ALL "," DESTINATION "}", 200, NULL},
    {TELEMETRY, "{\"schemaVersion\":\"2025-01-29\"," ALL "," DESTINATION "}", 200, NULL},
    {TELEMETRY,
     "{" VERSION ",\"types\":[\"platform\"],\"buffering\":{\"maxItems\":1000,\"maxBytes\":1048576,\"timeoutMs\":25},"
     "\"destination\":{\"protocol\":\"TCP\",\"port\":8080}}",
     200, NULL},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:1\"}}", 200,
     NULL},
    {LOGS, "{" ALL "," DESTINATION "}", 200, NULL},
    {LOGS, "{\"schemaVersion\":\"2020-08-15\"," ALL "," DESTINATION "}", 200, NULL},
    {LOGS, "{\"schemaVersion\":\"2021-03-18\"," ALL "," DESTINATION "}", 200, NULL},
    {LOGS,
     "{" ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:1\",\"method\":\"PUT\",\"encoding\":"
     "\"JSON\"}}",
     200, NULL},
    {TELEMETRY, "", 400, "request body is not a JSON object"},
    {TELEMETRY, "no json", 400, "request body is not a JSON object"},
    {TELEMETRY, "[]", 400, "request body is not a JSON object"},
    {TELEMETRY, "{" ALL "," DESTINATION "}", 400, "schemaVersion should not be empty"},
    {TELEMETRY, "{\"schemaVersion\":\"2020-08-15\"," ALL "," DESTINATION "}", 400,
     "schemaVersion 2020-08-15 is not supported"},
    {LOGS, "{" VERSION "," ALL "," DESTINATION "}", 400, "schemaVersion 2022-12-13 is not supported"},
    {TELEMETRY, "{" VERSION "," DESTINATION "}", 400, "types should not be empty"},
    {TELEMETRY, "{" VERSION ",\"types\":[]," DESTINATION "}", 400, "types should not be empty"},
    {TELEMETRY, "{" VERSION ",\"types\":\"platform\"," DESTINATION "}", 400, "types should not be empty"},
    {TELEMETRY, "{" VERSION ",\"types\":[\"platform\",\"other\"]," DESTINATION "}", 400, "type other is not supported"},
    {TELEMETRY, "{" VERSION ",\"types\":[7]," DESTINATION "}", 400, "type 7 is not supported"},
    {TELEMETRY, "{" VERSION "," ALL "}", 400, "destination should not be empty"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{}}", 400, "protocol should be HTTP or TCP"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"UDP\",\"port\":1}}", 400,
     "protocol should be HTTP or TCP"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\"}}", 400, "URI should not be empty"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"https://sandbox:1\"}}", 400,
     "URI scheme should be http"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox\"}}", 400,
     "URI port is not provided"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:0/\"}}", 400,
     "URI port is not valid"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:65536/\"}}", 400,
     "URI port is not valid"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://10.0.0.1:80/\"}}", 400,
     "URI host should be sandbox.localdomain"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:80/a\\r\\nb\"}}",
     400, "URI path is not valid"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"TCP\"}}", 400,
     "port should be between 1 and 65535"},
    {TELEMETRY, "{" VERSION "," ALL ",\"destination\":{\"protocol\":\"TCP\",\"port\":\"80\"}}", 400,
     "port should be between 1 and 65535"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"maxItems\":999}}", 400,
     "maxItems should be between 1000 and 10000"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"maxItems\":10001}}", 400,
     "maxItems should be between 1000 and 10000"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"maxBytes\":262143}}", 400,
     "maxBytes should be between 262144 and 1048576"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"maxBytes\":1048577}}", 400,
     "maxBytes should be between 262144 and 1048576"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"timeoutMs\":24}}", 400,
     "timeoutMs should be between 25 and 30000"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"timeoutMs\":30001}}", 400,
     "timeoutMs should be between 25 and 30000"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":{\"timeoutMs\":\"100\"}}", 400,
     "timeoutMs should be between 25 and 30000"},
    {TELEMETRY, "{" VERSION "," ALL "," DESTINATION ",\"buffering\":[]}", 400, "buffering should be an object"},
    {TELEMETRY, "{" VERSION ",\"types\":[],\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox\"}}", 400,
     "types should not be empty; URI port is not provided"},
    {LOGS, "{" ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:1\",\"method\":\"GET\"}}", 400,
     "method should be POST or PUT"},
    {LOGS, "{" ALL ",\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox:1\",\"encoding\":\"XML\"}}", 400,
     "encoding should be JSON"},
};

static void every_form_of_a_subscription(void **state) {
    for (size_t i = 0; i < sizeof subscription_rows / sizeof subscription_rows[0]; i++) {
        struct answer answer;
        char expected[512] = "\"OK\"";
        bool logs = strncmp(subscription_rows[i].path, LOGS, strlen(LOGS)) == 0;
        setup(state);
        extension_comes_to(EXT_REGISTERED);
        call("PUT", subscription_rows[i].path, identified(""), subscription_rows[i].body, &answer);
        if (subscription_rows[i].message)
            snprintf(expected, sizeof expected, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n",
                     subscription_rows[i].message, logs ? "Logs.ValidationError" : "ValidationError");
        if (answer.status != subscription_rows[i].status || strcmp(answer.body, expected) != 0)
            fail_msg("row %zu: %d %s, not %d %s", i, answer.status, answer.body, subscription_rows[i].status, expected);
        teardown(state);
    }
}

static void subscriptions_end_with_the_init(void **state) {
    (void)state;
    struct answer answer;
    extension_comes_to(EXT_READY);
    come_to(READY);
    call("PUT", TELEMETRY, identified(""), "{" VERSION "," ALL "," DESTINATION "}", &answer);
    assert_int_equal(answer.status, 403);
    assert_string_equal(answer.body, "{\"errorMessage\":\"Telemetry API subscription is closed\",\"errorType\":"
                                     "\"Telemetry.SubscriptionClosed\"}\n");
    call("PUT", LOGS, identified(""), "{" ALL "," DESTINATION "}", &answer);
    assert_int_equal(answer.status, 403);
    assert_string_equal(
        answer.body,
        "{\"errorMessage\":\"Logs API subscription is closed\",\"errorType\":\"Logs.SubscriptionClosed\"}\n");
}

static void one_extension_subscribes_by_one_of_the_apis(void **state) {
    (void)state;
    struct answer answer;
    extension_comes_to(EXT_REGISTERED);
    call_ok("PUT", TELEMETRY, identified(""), "{" VERSION "," ALL "," DESTINATION "}", 200);
    call_ok("PUT", TELEMETRY, identified(""), "{" VERSION "," ALL "," DESTINATION "}", 200);
    call("PUT", LOGS, identified(""), "{" ALL "," DESTINATION "}", &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.body,
                        "{\"errorMessage\":\"the extension has subscribed with the Telemetry API already\","
                        "\"errorType\":\"Logs.ValidationError\"}\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_in_every_state_of_the_runtime),
        cmocka_unit_test_setup_teardown(an_event_has_all_its_headers, setup, teardown),
        cmocka_unit_test(bodies_that_are_too_large_cut_short_or_of_no_mode),
        cmocka_unit_test(every_call_in_every_state_of_an_extension),
        cmocka_unit_test_setup_teardown(whoever_does_not_name_itself_is_refused_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(ten_extensions_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(the_account_is_told_to_who_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(the_events_that_an_extension_gets, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_reaches_one_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_init_waits_for_all, setup, teardown),
        cmocka_unit_test(every_form_of_a_subscription),
        cmocka_unit_test_setup_teardown(subscriptions_end_with_the_init, setup, teardown),
        cmocka_unit_test_setup_teardown(one_extension_subscribes_by_one_of_the_apis, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
