// SPDX-License-Identifier: Apache-2.0
//
// The invocation engine under a random schedule on two loops: invocations of every kind, crashes, time-outs, failed
// inits, clients that go away, new configurations and removals, all at once. Promises (invoke.h): exactly one `done`
// per invocation that was not abandoned, with the answer to its own event; reserved concurrency is never exceeded; when
// all is over no instance and no count is left. AddressSanitizer and ThreadSanitizer watch the rest.
#include "invoke_fixture.h"

enum { ROUNDS = 400, BURST = 4, OPEN_MAX = 24 };

static const char *const words[] = {"ok", "ok", "ok", "error", "exit", "bye", "drop", "twice", "hang"};
static const char *const names[] = {"many", "few", "none"};

struct driver;

struct job {
    struct sl_invocation invocation;
    struct driver *driver;
    struct job *next, **prev;
    char payload[64];
    const char *word;
};

// Of one loop, touched by its thread only; counters are read after the end.
struct driver {
    struct sl_timer timer;
    struct sl_loop *loop;
    unsigned seed, started, finished, abandoned, answered, failed, refused, open;
    struct job *jobs;
    bool over;
};

static struct driver drivers[WORLD_LOOPS];
static atomic_uint drivers_over;

static void check_over(struct driver *driver) {
    if (driver->over || driver->started < ROUNDS || driver->open) return;
    driver->over = true;
    WORLD_CHANGE(atomic_fetch_add(&drivers_over, 1));
}

static void job_free(struct job *job) {
    if ((*job->prev = job->next)) job->next->prev = job->prev;
    job->driver->open--;
    memset(job, 0xdd, sizeof *job); // whoever still looks at it sees nonsense
    free(job);
}

static bool starts(struct sl_str text, const char *with) { return sl_str_starts(text, sl_str_of(with)); }

static void done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct job *job = invocation->user;
    struct driver *driver = job->driver;
    if (sl_loop_current() != driver->loop) fail_msg("done on another thread");
    driver->finished++;
    switch (result->outcome) {
    case SL_INVOCATION_OK:
        driver->answered++;
        assert_true(sl_str_is(result->payload, job->payload)); // the answer to this event and no other
        assert_true(strcmp(job->word, "hang") && strcmp(job->word, "exit") && strcmp(job->word, "error"));
        break;
    case SL_INVOCATION_ERROR:
        driver->failed++;
        if (sl_str_is(result->payload, job->payload))
            assert_string_equal(job->word, "error");
        else
            assert_true(starts(result->payload, "{\"error"));
        break;
    case SL_INVOCATION_REFUSED:
        driver->refused++;
        assert_non_null(result->error);
        break;
    }
    job_free(job);
    check_over(driver);
}

static void start_job(struct driver *driver) {
    struct job *job = calloc(1, sizeof *job);
    unsigned odds = draw(&driver->seed, 100);
    const char *name = names[odds < 60 ? 0 : odds < 95 ? 1 : 2];
    job->word = words[draw(&driver->seed, odds % 4 ? 3 : sizeof words / sizeof words[0])];
    snprintf(job->payload, sizeof job->payload, "%s %s %d.%u", job->word, name, sl_loop_index(driver->loop),
             driver->started);
    job->driver = driver;
    if ((job->next = driver->jobs)) job->next->prev = &job->next;
    driver->jobs = job;
    job->prev = &driver->jobs;
    driver->started++;
    driver->open++;
    job->invocation = (struct sl_invocation){
        .account = SL_STR("000000000000"),
        .region = SL_STR("us-east-1"),
        .name = sl_str_of(name),
        .payload = sl_str_of(job->payload),
        .tail_log = odds % 8 == 0,
        .done = done,
        .user = job,
    };
    sl_invoke(world.invoker, &job->invocation);
}

static void abandon_one(struct driver *driver) {
    struct job *job = driver->jobs;
    for (unsigned skip = job ? draw(&driver->seed, driver->open) : 0; skip && job->next; skip--) job = job->next;
    if (!job) return;
    sl_invoke_abandon(world.invoker, &job->invocation);
    driver->abandoned++;
    job_free(job);
}

static void tick(struct sl_timer *timer) {
    struct driver *driver = SL_CONTAINER(timer, struct driver, timer);
    unsigned burst = draw(&driver->seed, BURST + 1);
    while (burst-- && driver->started < ROUNDS && driver->open < OPEN_MAX) start_job(driver);
    if (draw(&driver->seed, 12) == 0) abandon_one(driver);
    check_over(driver);
    if (!driver->over) sl_timer_start(driver->loop, timer, 1 + draw(&driver->seed, 3), tick);
}

static void begin(void *argument) {
    struct driver *driver = argument;
    sl_timer_start(driver->loop, &driver->timer, 0, tick);
}

static void run_schedule(unsigned seed) {
    world.seed = seed;
    memcpy(world.init_odds, (unsigned[]){40, 40, 20, 40}, sizeof world.init_odds);
    atomic_store(&world.most_serving, 0);
    atomic_store(&drivers_over, 0);
    world_start((struct sl_invoker_config){
        .max_instances = 48, .account_concurrency = 64, .idle_ms = 60, .freeze_ms = 1, .init_ms = 40});
    unsigned variant = 0;
    world_publish("many", 60, -1, variant);
    world_publish("few", 60, 3, variant);
    for (int i = 0; i < WORLD_LOOPS; i++) {
        drivers[i] = (struct driver){.loop = world.loops[i], .seed = seed + (unsigned)i};
        world_call((unsigned)i, begin, &drivers[i]);
    }
    // This thread is the control plane meanwhile.
    while (atomic_load(&drivers_over) < WORLD_LOOPS) {
        usleep(2000 + draw(&seed, 8000));
        unsigned what = draw(&seed, 10);
        if (what == 0) world_remove("many");
        world_publish(what % 2 ? "many" : "few", 60, what % 2 ? -1 : 3, what < 4 ? ++variant : variant);
    }
    unsigned answered = 0;
    for (int i = 0; i < WORLD_LOOPS; i++) {
        const struct driver *driver = &drivers[i];
        assert_int_equal(driver->started, ROUNDS);
        assert_int_equal(driver->started, driver->finished + driver->abandoned);
        assert_int_equal(driver->finished, driver->answered + driver->failed + driver->refused);
        answered += driver->answered;
    }
    assert_true(answered > ROUNDS / 4);
    assert_true(atomic_load(&world.most_serving) <= 3);
    world_end();
    assert_int_equal(atomic_load(&world.serving), 0);
}

static void every_invocation_is_answered_once_whatever_happens(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++) run_schedule(seed * 7919);
}

// ---- single cases -------------------------------------------------------------------------------------------------

struct single {
    struct sl_invocation invocation;
    const char *name, *payload;
    enum sl_invocation_outcome outcome;
    char answer[256];
    bool timed_out, done;
};

static void single_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct single *single = invocation->user;
    single->outcome = result->outcome;
    single->timed_out = result->timed_out;
    snprintf(single->answer, sizeof single->answer, "%.*s", (int)result->payload.len,
             result->payload.len ? result->payload.ptr : "");
    WORLD_CHANGE(single->done = true);
}

static void single_start(void *argument) {
    struct single *single = argument;
    single->invocation = (struct sl_invocation){
        .account = SL_STR("000000000000"),
        .region = SL_STR("us-east-1"),
        .name = sl_str_of(single->name),
        .payload = sl_str_of(single->payload),
        .done = single_done,
        .user = single,
    };
    sl_invoke(world.invoker, &single->invocation);
}

static struct single invoke(unsigned loop, const char *name, const char *payload) {
    static struct single single;
    single = (struct single){.name = name, .payload = payload};
    world_call(loop, single_start, &single);
    WORLD_AWAIT(single.done);
    return single;
}

static void calm_world(void) {
    memset(world.init_odds, 0, sizeof world.init_odds);
    world_start(
        (struct sl_invoker_config){.max_instances = 8, .account_concurrency = 8, .idle_ms = 60000, .init_ms = 60000});
    world_publish("f", 60000, -1, 0);
}

static void an_idle_instance_serves_the_other_loop_too(void **state) {
    (void)state;
    calm_world();
    for (unsigned i = 0; i < 10; i++) {
        assert_string_equal(invoke(i % 2, "f", "ok").answer, "ok");
        world_await_idle("f", 1);
    }
    assert_int_equal(world.most, 1);
    world_end();
}

static void an_instance_that_leaves_while_idle_is_replaced(void **state) {
    (void)state;
    calm_world();
    assert_string_equal(invoke(0, "f", "bye").answer, "bye");
    assert_string_equal(invoke(0, "f", "ok").answer, "ok");
    world_end();
}

static void an_instance_that_asks_anew_on_another_connection_serves_on(void **state) {
    (void)state;
    calm_world();
    for (unsigned i = 0; i < 6; i++) assert_string_equal(invoke(i % 2, "f", "drop").answer, "drop");
    world_end();
}

static void a_crash_is_the_callers_error_and_the_next_is_served(void **state) {
    (void)state;
    calm_world();
    struct single single = invoke(0, "f", "exit");
    assert_int_equal(single.outcome, SL_INVOCATION_ERROR);
    assert_non_null(strstr(single.answer, "Runtime.ExitError"));
    assert_string_equal(invoke(0, "f", "ok").answer, "ok");
    world_end();
}

static void a_time_out_ends_the_instance(void **state) {
    (void)state;
    calm_world();
    world_publish("f", 20, -1, 1);
    struct single single = invoke(0, "f", "hang");
    assert_true(single.timed_out);
    assert_non_null(strstr(single.answer, "Sandbox.Timedout"));
    world_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_instance_serves_the_other_loop_too),
        cmocka_unit_test(an_instance_that_leaves_while_idle_is_replaced),
        cmocka_unit_test(an_instance_that_asks_anew_on_another_connection_serves_on),
        cmocka_unit_test(a_crash_is_the_callers_error_and_the_next_is_served),
        cmocka_unit_test(a_time_out_ends_the_instance),
        cmocka_unit_test(every_invocation_is_answered_once_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
