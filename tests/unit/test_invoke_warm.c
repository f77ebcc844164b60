// SPDX-License-Identifier: Apache-2.0
//
// "Nothing is allocated on the warm path, and a test counts it" (ARCHITECTURE.md): requests on an HTTP connection
// become invocations of a warm instance and are answered, while malloc, calloc and realloc of the loop's thread are
// counted. A sanitizer's build has an allocator of its own and recycles nothing, so there the requests are only made.
#include "invoke_fixture.h"

#include "http/http.h"

enum { WARM_UP = 32, COUNTED = 200 };

static _Thread_local bool counting;
static atomic_uint allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Instead of the C library's; free is left alone, because these are the library's own under other names.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size) {
    if (counting) atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (counting) atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    if (counting) atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}
enum { COUNTS = 1 };
#else
enum { COUNTS = 0 };
#endif

// ---- a front: the request's body is the event, the answer's payload the response's body ---------------------------

struct exchange {
    struct sl_invocation invocation;
    struct sl_http_request *request;
};

static void answer(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct exchange *exchange = invocation->user;
    int status = result->outcome == SL_INVOCATION_OK ? 200 : 500;
    sl_http_respond(exchange->request, status, SL_STR("application/json"), result->payload);
}

static void handle(struct sl_http_request *request, void *user) {
    (void)user;
    struct exchange *exchange = sl_arena_zalloc(request->arena, sizeof *exchange);
    exchange->request = request;
    exchange->invocation = (struct sl_invocation){
        .account = SL_STR("000000000000"),
        .region = SL_STR("us-east-1"),
        .name = SL_STR("f"),
        .payload = request->body,
        .tail_log = sl_str_is(request->path, "/tail"),
        .done = answer,
        .user = exchange,
    };
    sl_invoke(world.invoker, &exchange->invocation);
}

static const struct sl_http_handler front = {.handle = handle};

static void adopt(void *argument) {
    static const struct sl_http_config config = {.handler = &front,
                                                 .max_head = 8192,
                                                 .max_headers = 16,
                                                 .max_body = 1 << 20,
                                                 .head_timeout_ms = 60000,
                                                 .body_timeout_ms = 60000,
                                                 .idle_timeout_ms = 60000,
                                                 .write_timeout_ms = 60000};
    struct sl_http_conn *conn;
    struct sl_error err;
    if (sl_http_conn_new(world.loops[0], *(int *)argument, &config, &conn, &err)) abort();
}

static void set_counting(void *argument) { counting = *(bool *)argument; }

// ---- the client ---------------------------------------------------------------------------------------------------

static void call(int client, const char *path, const char *event) {
    char text[1024];
    int len = snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path,
                       strlen(event), event);
    assert_int_equal(send(client, text, (size_t)len, MSG_NOSIGNAL), len);
    size_t got = 0;
    const char *body = NULL;
    do {
        ssize_t more = recv(client, text + got, sizeof text - 1 - got, 0);
        assert_true(more > 0);
        text[got += (size_t)more] = '\0';
        body = strstr(text, "\r\n\r\n");
    } while (!body || strlen(body + 4) < strlen(event));
    assert_int_equal(strncmp(text, "HTTP/1.1 200 ", 13), 0);
    assert_string_equal(body + 4, event);
    world_await_idle("f", 1); // else the next would be a cold start
}

static void log_nowhere(void *user, unsigned loop, const struct sl_function *function, const char *stream,
                        struct sl_str lines) {
    (void)loop, (void)function, (void)stream;
    atomic_fetch_add((atomic_size_t *)user, lines.len);
}

static void requests_on_a_warm_instance_allocate_nothing(void **state) {
    (void)state;
    atomic_size_t logged = 0;
    memset(world.init_odds, 0, sizeof world.init_odds);
    world_start((struct sl_invoker_config){.max_instances = 8,
                                           .account_concurrency = 8,
                                           .idle_ms = 600000,
                                           .init_ms = 60000,
                                           .log = log_nowhere,
                                           .log_user = &logged});
    world_publish("f", 60000, -1, 0);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    world_call(0, adopt, &ends[1]);
    for (int i = 0; i < WARM_UP; i++) call(ends[0], i % 2 ? "/tail" : "/", "ok \"and some text\"");
    world_call(0, set_counting, &(bool){true});
    for (int i = 0; i < COUNTED; i++) call(ends[0], i % 2 ? "/tail" : "/", "ok \"and some text\"");
    world_call(0, set_counting, &(bool){false});
    assert_int_equal(atomic_load(&allocations), 0);
    assert_true(atomic_load(&logged) > 0);
    close(ends[0]);
    world_end();
}

// The counter counts: a first invocation starts an instance, which takes memory.
static void a_cold_start_is_counted(void **state) {
    (void)state;
    atomic_store(&allocations, 0);
    world_start(
        (struct sl_invoker_config){.max_instances = 8, .account_concurrency = 8, .idle_ms = 600000, .init_ms = 60000});
    world_publish("f", 60000, -1, 0);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    world_call(0, adopt, &ends[1]);
    world_call(0, set_counting, &(bool){true});
    call(ends[0], "/", "ok");
    world_call(0, set_counting, &(bool){false});
    if (COUNTS) assert_true(atomic_load(&allocations) > 0);
    close(ends[0]);
    world_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_on_a_warm_instance_allocate_nothing),
        cmocka_unit_test(a_cold_start_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
