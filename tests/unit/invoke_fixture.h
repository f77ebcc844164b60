// SPDX-License-Identifier: Apache-2.0
//
// invoke_fixture: the invocation engine on real loops, with a fake jail below it and fake runtimes inside. The fake
// jail replaces jail/client.c (its functions are defined here, so the library's are not linked): a "sandbox" is a
// thread that speaks the Runtime API over a loopback socket and does what each event's payload says:
//
//   ok error   answers so                          exit   ends while it serves       hang  answers never
//   bye        answers, then ends                  twice  asks for the event again before it answers
//   hold       waits for world.release, then answers
//   slow       is given to fake_slow, then answers
//   drop       answers, then asks for the next on a connection that it closes, and once more on a new one
//
// A payload is "<word> <anything>" and the answer repeats it whole. How inits end is drawn from world.init_odds.
#ifndef SL_TESTS_INVOKE_FIXTURE_H
#define SL_TESTS_INVOKE_FIXTURE_H

#include "invoke/internal.h"
#include "jail/jail.h"
#include "net/rcu.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
// liburcu is not instrumented: ThreadSanitizer sees neither how its threads synchronise among themselves, nor that an
// entry is complete before readers find it and reclaimed after they have left it.
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "called_from_lib:liburcu-qsbr.so\ncalled_from_lib:liburcu-cds.so\n"
           "race:^cds_lfht_*\nrace:^urcu_*\nrace:^sl_function_publish$\nrace:^entry_reclaim$";
}
#endif

enum { WORLD_LOOPS = 2, WORLD_PATIENCE_S = 60, FAKES_MAX = 256, ANSWER_MAX = 4096, FREEZE_FD = 1 << 28 };

// A sandbox. Its thread owns everything but what the lock guards.
struct fake {
    uint64_t id;
    int port, log;
    unsigned draw;
    // Under world.lock:
    int conn; // -1: none
    bool stopped, used, frozen;
    bool blank, adopted; // waits to be adopted; has been
};

struct report {
    struct report *next;
    struct sl_jail_event event;
};

static struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake; // eventfd: reports wait
    struct report *first, **last;
    struct fake fakes[FAKES_MAX];
    unsigned live, most;              // sandboxes now, and at most at one time
    unsigned started;                 // since world_start
    unsigned blanks, copies, adopted; // of those: as blanks, from a template; blanks that got a function
    unsigned templates;               // that are up
    bool blanks_fail;                 // they end before they are ready
    unsigned holding;                 // sandboxes that wait for `release`
    bool release;
    unsigned seed;
    unsigned init_odds[4];            // per mille: ends, /init/error, hangs, cannot be executed
    atomic_int serving, most_serving; // events of the function "few" in fake hands
    struct sl_invoker *invoker;
    struct sl_loop *loops[WORLD_LOOPS];
    pthread_t threads[WORLD_LOOPS];
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline unsigned draw(unsigned *seed, unsigned below) {
    *seed = *seed * 1664525u + 1013904223u;
    return (unsigned)((uint64_t)(*seed >> 8) * below >> 24);
}

// Changes what the lock guards and wakes the test.
#define WORLD_CHANGE(statement)                                                                                        \
    do {                                                                                                               \
        pthread_mutex_lock(&world.lock);                                                                               \
        statement;                                                                                                     \
        pthread_cond_broadcast(&world.changed);                                                                        \
        pthread_mutex_unlock(&world.lock);                                                                             \
    } while (0)

#define WORLD_AWAIT(condition)                                                                                         \
    do {                                                                                                               \
        struct timespec limit_;                                                                                        \
        clock_gettime(CLOCK_REALTIME, &limit_);                                                                        \
        limit_.tv_sec += WORLD_PATIENCE_S;                                                                             \
        pthread_mutex_lock(&world.lock);                                                                               \
        int late_ = 0;                                                                                                 \
        while (!(condition) && !late_) late_ = pthread_cond_timedwait(&world.changed, &world.lock, &limit_);           \
        pthread_mutex_unlock(&world.lock);                                                                             \
        if (late_) fail_msg("waited in vain for %s", #condition);                                                      \
    } while (0)

// ---- the fake jail ------------------------------------------------------------------------------------------------

static inline void world_report(const struct sl_jail_event *event) {
    struct report *report = malloc(sizeof *report);
    *report = (struct report){.event = *event};
    pthread_mutex_lock(&world.lock);
    *world.last = report;
    world.last = &report->next;
    pthread_mutex_unlock(&world.lock);
    (void)!write(world.wake, &(uint64_t){1}, 8);
}

int sl_jail_client_fd(const struct sl_jail_client *client) {
    (void)client;
    return world.wake;
}

int sl_jail_poll(struct sl_jail_client *client, struct sl_jail_event *event) {
    (void)client;
    pthread_mutex_lock(&world.lock);
    struct report *report = world.first;
    if (report) world.first = report->next;
    if (!world.first) world.last = &world.first;
    pthread_mutex_unlock(&world.lock);
    if (!report) {
        uint64_t count;
        (void)!read(world.wake, &count, sizeof count);
        pthread_mutex_lock(&world.lock);
        bool more = world.first != NULL; // came between
        pthread_mutex_unlock(&world.lock);
        return more ? sl_jail_poll(client, event) : 0;
    }
    *event = report->event;
    free(report);
    return 1;
}

int sl_jail_set_cpu(struct sl_jail_client *client, uint64_t id, uint32_t cpu_milli, struct sl_error *err) {
    (void)client, (void)id, (void)cpu_milli, (void)err;
    return 0;
}

uint32_t sl_jail_cpu_for_memory(uint32_t memory_mb) { return memory_mb; }

// Descriptors of freezers are above any real one: closing them does nothing.
int sl_jail_freeze(int freeze_fd, bool frozen) {
    WORLD_CHANGE(world.fakes[freeze_fd - FREEZE_FD].frozen = frozen);
    return 0;
}

// No layers, hence no extensions: these are never called, but would bring the real client along if they were missing.
int sl_jail_extensions(int opt_dir_fd, char names[][SL_JAIL_EXTENSION_NAME], unsigned room, struct sl_error *err) {
    (void)opt_dir_fd, (void)names, (void)room, (void)err;
    return 0;
}

int sl_jail_exec(struct sl_jail_client *client, uint64_t id, uint32_t program, const struct sl_jail_program *what,
                 struct sl_error *err) {
    (void)client, (void)id, (void)program, (void)what;
    return sl_fail(err, SL_E_UNAVAILABLE, "no programs here");
}

int sl_jail_signal(struct sl_jail_client *client, uint64_t id, uint32_t program, int signal, struct sl_error *err) {
    (void)client, (void)id, (void)program, (void)signal, (void)err;
    return 0;
}

int sl_jail_connector(struct sl_jail_client *client, uint64_t id, struct sl_error *err) {
    (void)client, (void)id;
    return sl_fail(err, SL_E_UNAVAILABLE, "no sandboxes here");
}

int64_t sl_jail_memory_peak(int memory_fd) {
    (void)memory_fd;
    return -1;
}

int sl_jail_stop(struct sl_jail_client *client, uint64_t id, struct sl_error *err) {
    (void)client, (void)err;
    WORLD_CHANGE({
        for (unsigned i = 0; i < FAKES_MAX; i++) {
            struct fake *fake = &world.fakes[i];
            if (!fake->used || fake->id != id) continue;
            fake->stopped = true;
            if (fake->conn >= 0) shutdown(fake->conn, SHUT_RDWR);
        }
    });
    return 0;
}

int sl_jail_adopt(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err) {
    (void)client, (void)spec, (void)err;
    WORLD_CHANGE({
        for (unsigned i = 0; i < FAKES_MAX; i++) {
            struct fake *fake = &world.fakes[i];
            if (fake->used && fake->id == id) fake->adopted = true;
        }
        world.adopted++;
    });
    return 0;
}

int sl_jail_template_start(struct sl_jail_client *client, uint32_t template, int block_fd, uint32_t memory_mb,
                           struct sl_error *err) {
    (void)client, (void)block_fd, (void)memory_mb, (void)err;
    WORLD_CHANGE(world.templates++);
    world_report(&(struct sl_jail_event){.kind = SL_JAIL_TEMPLATE_READY, .id = template});
    return 0;
}

int sl_jail_template_stop(struct sl_jail_client *client, uint32_t template, struct sl_error *err) {
    (void)client, (void)err;
    WORLD_CHANGE(world.templates--);
    world_report(&(struct sl_jail_event){.kind = SL_JAIL_TEMPLATE_ENDED, .id = template});
    return 0;
}

static void *fake_main(void *argument);

static inline struct fake *fake_take(uint64_t id) {
    struct fake *fake = NULL;
    pthread_mutex_lock(&world.lock);
    for (unsigned i = 0; i < FAKES_MAX && !fake; i++)
        if (!world.fakes[i].used) fake = &world.fakes[i];
    if (fake) {
        *fake = (struct fake){.id = id, .conn = -1, .used = true, .draw = draw(&world.seed, 1000)};
        world.live++;
        world.started++;
        if (world.live > world.most) world.most = world.live;
        pthread_cond_broadcast(&world.changed);
    }
    pthread_mutex_unlock(&world.lock);
    return fake;
}

static inline void fake_give(struct fake *fake) {
    WORLD_CHANGE({
        fake->used = false;
        world.live--;
    });
}

int sl_jail_start(struct sl_jail_client *client, uint64_t id, const struct sl_jail_spec *spec, struct sl_error *err) {
    (void)client;
    struct fake *fake = fake_take(id);
    if (fake) {
        WORLD_CHANGE({
            fake->blank = spec->blank;
            world.blanks += spec->blank;
            world.copies += spec->template != 0;
        });
    }
    if (!fake) return sl_fail(err, SL_E_UNAVAILABLE, "the fake jail is full");
    if (fake->draw >= 1000 - world.init_odds[3]) {
        fake_give(fake);
        world_report(&(struct sl_jail_event){.kind = SL_JAIL_FAILED, .id = id, .error = ENOENT, .step = "execute /x"});
        return 0;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), pipe_ends[2];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 16) || pipe2(pipe_ends, O_CLOEXEC))
        abort();
    getsockname(listener, (struct sockaddr *)&address, &len);
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    fake->port = ntohs(address.sin_port);
    fake->log = pipe_ends[1];
    world_report(&(struct sl_jail_event){.kind = SL_JAIL_STARTED,
                                         .connector_fd = -1,
                                         .id = id,
                                         .listen_fd = {listener, -1, -1},
                                         .log_fd = pipe_ends[0],
                                         .memory_fd = -1,
                                         .freeze_fd = (int)(fake - world.fakes) + FREEZE_FD,
                                         .memory_peak = -1});
    pthread_t thread; // not in the fake, which may be another's by the time that create returns
    if (pthread_create(&thread, NULL, fake_main, fake)) abort();
    pthread_detach(thread);
    return 0;
}

// Code needs no directory here.
int sl_blob_open_dir(struct sl_store *store, struct sl_str sha256_hex, int *ret_fd, struct sl_error *err) {
    (void)store, (void)sha256_hex;
    *ret_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd >= 0 ? 0 : sl_fail_errno(err, "open /");
}

// ---- fake runtimes ------------------------------------------------------------------------------------------------

static inline void fake_disconnect(struct fake *fake) {
    pthread_mutex_lock(&world.lock);
    int conn = fake->conn;
    fake->conn = -1;
    pthread_mutex_unlock(&world.lock);
    if (conn >= 0) close(conn);
}

static inline bool fake_connect(struct fake *fake) {
    int conn = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)fake->port)};
    if (connect(conn, (struct sockaddr *)&address, sizeof address)) {
        close(conn);
        return false;
    }
    pthread_mutex_lock(&world.lock);
    bool stopped = fake->stopped;
    if (!stopped) fake->conn = conn;
    pthread_mutex_unlock(&world.lock);
    if (stopped) close(conn);
    return !stopped;
}

static inline bool fake_send(struct fake *fake, const char *text) {
    size_t len = strlen(text);
    return send(fake->conn, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

// One whole answer, NUL-terminated. False at the end of the connection.
static inline bool fake_receive(struct fake *fake, char answer[static ANSWER_MAX], char **ret_body) {
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fake->conn, answer + len, 1, 0); // to the byte: answers must not run into each other
        if (got <= 0 || ++len == ANSWER_MAX - 1) return false;
        answer[len] = '\0';
        if (len >= 4 && memcmp(answer + len - 4, "\r\n\r\n", 4) == 0) break;
    }
    const char *field = strcasestr(answer, "\r\ncontent-length: ");
    size_t more = field ? strtoul(field + 18, NULL, 10) : 0;
    *ret_body = answer + len;
    if (len + more >= ANSWER_MAX) return false;
    for (size_t at = 0; at < more;) {
        ssize_t got = recv(fake->conn, answer + len + at, more - at, 0);
        if (got <= 0) return false;
        at += (size_t)got;
    }
    answer[len + more] = '\0';
    return true;
}

static inline bool fake_ask(struct fake *fake) {
    return fake_send(fake, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: sandbox\r\n\r\n");
}

static inline bool fake_post(struct fake *fake, const char *path, const char *body) {
    char request[ANSWER_MAX], *ignored;
    snprintf(request, sizeof request,
             "POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: sandbox\r\nContent-Length: %zu\r\n\r\n%s", path,
             strlen(body), body);
    return fake_send(fake, request) && fake_receive(fake, request, &ignored);
}

// Waits for nothing until it is killed.
static inline void fake_hang(struct fake *fake) {
    char byte;
    while (fake->conn >= 0 && recv(fake->conn, &byte, 1, 0) > 0) {}
}

static inline void serving(const char *event, int change) {
    if (!strstr(event, "few")) return;
    int now = atomic_fetch_add(&world.serving, change) + change;
    int most = atomic_load(&world.most_serving);
    while (now > most && !atomic_compare_exchange_weak(&world.most_serving, &most, now)) {}
}

// Where a test wants to know of "slow" events; in a sandbox's thread.
extern void fake_slow(const char *event) __attribute__((weak));

static inline void fake_hold(void) {
    WORLD_CHANGE(world.holding++);
    WORLD_AWAIT(world.release);
    WORLD_CHANGE(world.holding--);
}

// Serves one event that has been received; false when the sandbox is to end.
static inline bool fake_serve(struct fake *fake, const char *head, const char *event) {
    char path[128], id[37] = "";
    const char *field = strcasestr(head, "\r\nlambda-runtime-aws-request-id: ");
    if (!field) return false;
    memcpy(id, field + 33, 36);
    bool error = strncmp(event, "error", 5) == 0;
    dprintf(fake->log, "log of %s\n", event);
    serving(event, 1);
    pthread_mutex_lock(&world.lock);
    if (fake->frozen) abort(); // a frozen one could not have answered
    pthread_mutex_unlock(&world.lock);
    if (strncmp(event, "hang", 4) == 0) fake_hang(fake);
    if (strncmp(event, "hold", 4) == 0) fake_hold();
    if (strncmp(event, "slow", 4) == 0 && fake_slow) fake_slow(event);
    serving(event, -1);
    if (strncmp(event, "exit", 4) == 0 || strncmp(event, "hang", 4) == 0) return false;
    snprintf(path, sizeof path, "invocation/%s/%s", id, error ? "error" : "response");
    return fake_post(fake, path, event) && strncmp(event, "bye", 3) != 0;
}

static inline bool fake_turn(struct fake *fake) {
    char answer[ANSWER_MAX], *event;
    if (!fake_ask(fake) || !fake_receive(fake, answer, &event)) return false;
    if (strncmp(event, "twice", 5) == 0) {
        char again[ANSWER_MAX], *same;
        if (!fake_ask(fake) || !fake_receive(fake, again, &same) || strcmp(same, event) != 0) return false;
    }
    bool drop = strncmp(event, "drop", 4) == 0;
    if (!fake_serve(fake, answer, event)) return false;
    if (!drop) return true;
    if (!fake_ask(fake)) return false;
    fake_disconnect(fake);
    return fake_connect(fake);
}

// A blank: until it is adopted. False when it is not to go on.
static inline bool fake_waits(struct fake *fake) {
    if (!fake->blank) return true;
    if (world.blanks_fail) return false;
    world_report(&(struct sl_jail_event){.kind = SL_JAIL_READY, .id = fake->id});
    pthread_mutex_lock(&world.lock);
    while (!fake->adopted && !fake->stopped) pthread_cond_wait(&world.changed, &world.lock);
    bool go_on = !fake->stopped;
    pthread_mutex_unlock(&world.lock);
    return go_on;
}

static void *fake_main(void *argument) {
    struct fake *fake = argument;
    uint64_t id = fake->id;
    int status = 0;
    unsigned ends = world.init_odds[0], errs = ends + world.init_odds[1], hangs = errs + world.init_odds[2];
    if (fake_waits(fake) && fake_connect(fake)) {
        if (fake->draw < ends) {
            status = 1 << 8;
        } else if (fake->draw < errs) {
            fake_post(fake, "init/error", "{\"errorMessage\":\"no\",\"errorType\":\"Runtime.No\"}");
            fake_hang(fake);
        } else if (fake->draw < hangs) {
            fake_hang(fake);
        } else {
            while (fake_turn(fake)) {}
        }
    }
    fake_disconnect(fake);
    close(fake->log);
    fake_give(fake);
    world_report(&(struct sl_jail_event){.kind = SL_JAIL_EXITED, .id = id, .status = status, .memory_peak = -1});
    return NULL;
}

// ---- the world ----------------------------------------------------------------------------------------------------

static inline void *world_thread(void *argument) {
    struct sl_loop *loop = argument;
    struct sl_error err;
    sl_rcu_reader_start();
    if (sl_invoker_attach(world.invoker, (unsigned)sl_loop_index(loop), &err)) abort();
    sl_loop_run(loop);
    sl_rcu_reader_stop();
    return NULL;
}

static inline void world_start(struct sl_invoker_config config) {
    struct sl_error err;
    world.last = &world.first;
    world.live = world.most = world.started = world.holding = 0;
    world.blanks = world.copies = world.adopted = world.templates = 0;
    world.blanks_fail = false;
    world.release = false;
    world.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < WORLD_LOOPS; i++) {
        struct sl_loop_config loop = {
            .index = i, .quiescent = sl_rcu_quiescent, .offline = sl_rcu_offline, .online = sl_rcu_online};
        assert_int_equal(sl_loop_new(&world.loops[i], &loop, &err), 0);
    }
    config.loops = world.loops;
    config.loop_count = WORLD_LOOPS;
    config.jail = (struct sl_jail_client *)&world;
    assert_int_equal(sl_invoker_new(&world.invoker, &config, &err), 0);
    for (int i = 0; i < WORLD_LOOPS; i++) pthread_create(&world.threads[i], NULL, world_thread, world.loops[i]);
}

// Everything has ended: no sandbox, no count, no memory (AddressSanitizer looks for the rest).
static inline void world_end(void) {
    sl_invoker_drain(world.invoker);
    WORLD_AWAIT(world.live == 0);
    for (int i = 0; i < WORLD_PATIENCE_S * 1000 && sl_invoker_instances(world.invoker); i++) usleep(1000);
    assert_int_equal(sl_invoker_instances(world.invoker), 0);
    assert_int_equal(sl_invoker_busy(world.invoker), 0);
    for (int i = 0; i < WORLD_LOOPS; i++) sl_loop_stop(world.loops[i]);
    for (int i = 0; i < WORLD_LOOPS; i++) pthread_join(world.threads[i], NULL);
    sl_invoker_free(world.invoker);
    for (int i = 0; i < WORLD_LOOPS; i++) sl_loop_free(world.loops[i]);
    close(world.wake);
}

// A function of the world's account, to be changed and published.
static inline struct sl_function world_function(const char *name) {
    return (struct sl_function){
        .account = SL_STR("000000000000"),
        .region = SL_STR("us-east-1"),
        .name = sl_str_of(name),
        .version = SL_STR("$LATEST"),
        .arn = SL_STR("arn:aws:lambda:us-east-1:000000000000:function:x"),
        .runtime = SL_STR("provided.al2023"),
        .handler = SL_STR("x"),
        .role = SL_STR("x"),
        .code_sha256 = SL_STR("x"),
        .memory_mb = 128,
        .timeout_ms = 60000,
        .tmp_mb = 512,
        .log_format = SL_STR("Text"),
        .log_group = SL_STR("/aws/lambda/x"),
        .reserved_concurrency = -1,
    };
}

static inline void world_publish_function(const struct sl_function *function) {
    struct sl_error err;
    assert_int_equal(sl_function_publish(world.invoker, function, &err), 0);
}

// `variant` makes another configuration, which retires the function's instances.
static inline void world_publish(const char *name, unsigned timeout_ms, int64_t reserved, unsigned variant) {
    char variable[32];
    snprintf(variable, sizeof variable, "VARIANT=%u", variant);
    struct sl_str environment[] = {sl_str_of(variable)};
    struct sl_function function = world_function(name);
    function.environment = environment;
    function.environment_count = 1;
    function.timeout_ms = timeout_ms;
    function.reserved_concurrency = reserved;
    world_publish_function(&function);
}

static inline void world_remove(const char *name) {
    sl_function_remove(world.invoker, SL_STR("000000000000"), SL_STR("us-east-1"), sl_str_of(name), SL_STR("$LATEST"));
}

// The engine knows it as idle: until then another invocation would start another instance.
static inline void world_await_idle(const char *name, unsigned count) {
    unsigned idle = 0;
    for (int i = 0; i < WORLD_PATIENCE_S * 1000; i++) {
        sl_rcu_begin();
        const struct sl_invoke__entry *entry = sl_invoke__entry_find(world.invoker, SL_STR("000000000000"),
                                                                     SL_STR("us-east-1"), sl_str_of(name), SL_STR(""));
        idle = 0;
        for (unsigned loop = 0; loop < WORLD_LOOPS; loop++) idle += atomic_load(&entry->pool->shards[loop].idle_count);
        sl_rcu_end();
        if (idle == count) return;
        usleep(1000);
    }
    fail_msg("%u instances of %s are idle, not %u", idle, name, count);
}

// Idle instances of all functions.
static inline unsigned world_idle(void) {
    int idle = 0;
    for (unsigned loop = 0; loop < WORLD_LOOPS; loop++) idle += atomic_load(&world.invoker->loops[loop].idle);
    return (unsigned)idle;
}

// Work on a loop's thread; returns when it has run.
struct world_call {
    struct sl_mail mail;
    void (*function)(void *argument);
    void *argument;
    bool done;
};

static inline void world_deliver(struct sl_mail *mail) {
    struct world_call *call = SL_CONTAINER(mail, struct world_call, mail);
    call->function(call->argument);
    WORLD_CHANGE(call->done = true);
}

static inline void world_call(unsigned loop, void (*function)(void *argument), void *argument) {
    struct world_call call = {.function = function, .argument = argument};
    sl_loop_post(world.loops[loop], &call.mail, world_deliver);
    WORLD_AWAIT(call.done);
}

#endif
