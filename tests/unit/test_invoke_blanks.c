// SPDX-License-Identifier: Apache-2.0
//
// Blanks of the invocation engine, on two loops with fake sandboxes (invoke_fixture.h). Promises: a runtime that was
// used has blanks, a cold start takes one, and another comes in its place; copies of a template stand in when none is
// ready; a function that sets what a language reads at its start gets none; blanks that do not come up harm nobody;
// their number is bounded, surplus and unused ones go, and nothing is left at the end.
#include "invoke_fixture.h"

#include "invoke/blank.h"
#include "invoke/engine.h"
#include "invoke/runtimes.h"

enum { STORM = 600 };

struct call {
    struct sl_invocation invocation;
    const char *name, *payload;
    enum sl_invocation_outcome outcome;
    bool done;
};

static void call_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    call->outcome = result->outcome;
    WORLD_CHANGE(call->done = true);
}

static void call_start(void *argument) {
    struct call *call = argument;
    call->invocation = (struct sl_invocation){.account = SL_STR("000000000000"),
                                              .region = SL_STR("us-east-1"),
                                              .name = sl_str_of(call->name),
                                              .payload = sl_str_of(call->payload),
                                              .done = call_done,
                                              .user = call};
    sl_invoke(world.invoker, &call->invocation);
}

static void begin_call(struct call *call, unsigned loop, const char *name, const char *payload) {
    *call = (struct call){.name = name, .payload = payload};
    world_call(loop, call_start, call);
}

static void invoke(unsigned loop, const char *name, const char *payload) {
    struct call call;
    begin_call(&call, loop, name, payload);
    WORLD_AWAIT(call.done);
    assert_int_equal(call.outcome, SL_INVOCATION_OK);
}

// An identifier of this language that an interpreter of this machine serves; NULL: there is none.
static const char *runtime_of(enum sl_language language) {
    struct sl_runtime_info info;
    for (unsigned i = 0; sl_runtimes_row(i, &info); i++) {
        if (info.language == language && info.interpreter) return info.identifier;
    }
    return NULL;
}

static void publish(const char *name, const char *runtime, const char *variable) {
    struct sl_str environment[] = {sl_str_of(variable)};
    struct sl_function function = world_function(name);
    function.runtime = sl_str_of(runtime);
    function.environment = environment;
    function.environment_count = 1;
    world_publish_function(&function);
}

static void start_world(struct sl_invoker_config config) {
    memset(world.init_odds, 0, sizeof world.init_odds);
    config.account_concurrency = 200;
    config.max_instances = 100;
    config.idle_ms = config.init_ms = 60000;
    if (!config.blank_idle_ms) config.blank_idle_ms = 600000;
    config.blank_bytes = 1LL << 40;
    world_start(config);
}

static bool says(const char *text) {
    struct sl_buf out;
    sl_buf_init(&out, 64 * 1024);
    sl_invoke__blank_list(world.invoker, &out);
    sl_buf_char(&out, '\0');
    bool found = strstr(out.ptr, text) != NULL;
    sl_buf_free(&out);
    return found;
}

static void await_list(const char *text) {
    for (int i = 0; i < WORLD_PATIENCE_S * 1000; i++) {
        if (says(text)) return;
        usleep(1000);
    }
    struct sl_buf out;
    sl_buf_init(&out, 64 * 1024);
    sl_invoke__blank_list(world.invoker, &out);
    fail_msg("the list of blanks never said %s, but %.*s", text, (int)out.len, out.ptr);
}

#define NEED(runtime, language)                                                                                        \
    const char *runtime = runtime_of(language);                                                                        \
    if (!runtime) skip()

static void a_cold_start_takes_a_blank_and_another_replaces_it(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 4});
    const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) publish(names[i], python, "X=1");
    invoke(0, "a", "ok");
    assert_int_equal(world.adopted, 0); // nothing is kept of what was never used
    for (unsigned i = 1; i < 4; i++) {
        await_list("\"ready\":1");
        invoke(i % 2, names[i], "ok");
        assert_int_equal(world.adopted, i);
    }
    await_list("\"ready\":1");
    assert_true(says("\"hits\":3"));
    assert_true(says("\"misses\":1"));
    assert_int_equal(world.blanks, 4);
    // They are no instances: three of those were blanks, one never was.
    assert_int_equal(sl_invoker_instances(world.invoker), 4);
    world_end();
}

static void an_adopted_blank_serves_like_any_instance(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 4});
    publish("a", python, "X=1");
    publish("b", python, "X=1");
    invoke(0, "a", "ok");
    await_list("\"ready\":1");
    invoke(0, "b", "ok 1");
    world_await_idle("b", 1);
    invoke(1, "b", "ok 2"); // given from loop to loop
    struct call call;
    begin_call(&call, 1, "b", "exit");
    WORLD_AWAIT(call.done);
    assert_int_equal(call.outcome, SL_INVOCATION_ERROR);
    world_end();
}

static void copies_of_a_template_stand_in(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 1, .templates = true});
    publish("a", python, "X=1");
    invoke(0, "a", "ok");
    await_list("\"template\":\"ready\"");
    await_list("\"ready\":1");
    assert_int_equal(world.templates, 1);
    // Several starts at once: one blank, and copies.
    struct call calls[6];
    for (unsigned i = 0; i < 6; i++) begin_call(&calls[i], i % 2, "a", "hold");
    WORLD_AWAIT(world.holding == 6);
    WORLD_CHANGE(world.release = true);
    for (unsigned i = 0; i < 6; i++) {
        WORLD_AWAIT(calls[i].done);
        assert_int_equal(calls[i].outcome, SL_INVOCATION_OK);
    }
    assert_true(world.copies >= 4);
    assert_true(world.adopted >= 5);
    world_end();
    assert_int_equal(world.templates, 0);
}

static void without_blanks_nothing_is_kept(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 0, .templates = true});
    publish("a", python, "X=1");
    invoke(0, "a", "ok");
    assert_int_equal(world.blanks + world.adopted + world.templates, 0);
    assert_true(says("[]"));
    world_end();
}

static void blanks_that_do_not_come_up_harm_nobody(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 4});
    WORLD_CHANGE(world.blanks_fail = true);
    publish("a", python, "X=1");
    publish("b", python, "X=1");
    invoke(0, "a", "ok");
    WORLD_AWAIT(world.blanks == 1);
    await_list("\"booting\":0");
    invoke(1, "b", "ok");
    assert_int_equal(world.adopted, 0);
    WORLD_CHANGE(world.blanks_fail = false);
    await_list("\"ready\":1"); // it is tried again
    world_end();
}

static void a_kind_that_is_not_used_is_given_up(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    start_world((struct sl_invoker_config){.blanks = 4, .templates = true, .blank_idle_ms = 300});
    publish("a", python, "X=1");
    invoke(0, "a", "ok");
    await_list("\"wish\":0");
    await_list("\"ready\":0,\"booting\":0,\"wish\":0,\"template\":\"none\"");
    WORLD_AWAIT(world.live == 1); // the instance itself
    assert_int_equal(world.templates, 0);
    world_end();
}

// ---- which functions
// --------------------------------------------------------------------------------------------------

static bool may_use(enum sl_language language, const char *variable) {
    const char *runtime = runtime_of(language);
    struct sl_str environment[] = {sl_str_of(variable)};
    struct sl_function function = world_function("f");
    struct sl_invoke__blank_kind kind;
    function.runtime = sl_str_of(runtime ? runtime : "provided.al2023");
    function.environment = environment;
    function.environment_count = 1;
    return sl_invoke__blank_kind_of(&function, false, &kind);
}

static void what_a_language_reads_at_its_start_excludes(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    (void)python;
    static const char *const excluded[] = {"LD_PRELOAD=x",       "LC_ALL=C",        "LANG=C",
                                           "PYTHONHASHSEED=0",   "PYTHONPATH=/opt", "AWS_LAMBDA_EXEC_WRAPPER=/opt/w",
                                           "MALLOC_ARENA_MAX=1", "SLUICE_BLANK=1"};
    static const char *const allowed[] = {
        "TZ=Europe/Berlin", "NODE_OPTIONS=x", "X=", "LANGUAGES=x", "MY_LD_PRELOAD=x", "JAVA_TOOL_OPTIONS=x"};
    for (size_t i = 0; i < sizeof excluded / sizeof excluded[0]; i++)
        assert_false(may_use(SL_LANGUAGE_PYTHON, excluded[i]));
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        assert_true(may_use(SL_LANGUAGE_PYTHON, allowed[i]));
    assert_false(may_use(SL_LANGUAGE_CUSTOM, "X=1"));
}

static void node_options_exclude_and_node_env_does_not(void **state) {
    (void)state;
    NEED(node, SL_LANGUAGE_NODEJS);
    (void)node;
    assert_false(may_use(SL_LANGUAGE_NODEJS, "NODE_OPTIONS=--no-warnings"));
    assert_false(may_use(SL_LANGUAGE_NODEJS, "NODE_EXTRA_CA_CERTS=/x"));
    assert_false(may_use(SL_LANGUAGE_NODEJS, "UV_THREADPOOL_SIZE=8"));
    assert_true(may_use(SL_LANGUAGE_NODEJS, "NODE_ENV=production"));
    assert_true(may_use(SL_LANGUAGE_NODEJS, "NODE_PATH=/opt"));
}

static void kinds_differ_where_starts_do(void **state) {
    (void)state;
    NEED(java, SL_LANGUAGE_JAVA);
    NEED(python, SL_LANGUAGE_PYTHON);
    struct sl_invoke__blank_kind one, other;
    struct sl_function function = world_function("f");
    function.runtime = sl_str_of(java);
    assert_true(sl_invoke__blank_kind_of(&function, true, &one));
    function.memory_mb = 256; // another heap
    assert_true(sl_invoke__blank_kind_of(&function, true, &other));
    assert_string_not_equal(one.key, other.key);
    assert_false(one.forks);
    function.runtime = sl_str_of(python);
    assert_true(sl_invoke__blank_kind_of(&function, true, &one));
    function.memory_mb = 1024;
    assert_true(sl_invoke__blank_kind_of(&function, true, &other));
    assert_string_equal(one.key, other.key);
    function.account = SL_STR("111111111111"); // copies of a template have secrets in common
    assert_true(sl_invoke__blank_kind_of(&function, true, &other));
    assert_string_not_equal(one.key, other.key);
    assert_true(sl_invoke__blank_kind_of(&function, false, &one));
    function.account = SL_STR("222222222222");
    assert_true(sl_invoke__blank_kind_of(&function, false, &other));
    assert_string_equal(one.key, other.key);
}

// ---- a storm ------------------------------------------------------------------------------------------------------

struct storm {
    struct sl_loop *loop;
    struct sl_timer timer;
    unsigned seed, started, finished, answered;
};
static atomic_uint storm_over;

struct drop {
    struct sl_invocation invocation;
    struct storm *storm;
    char name[8], payload[16];
};

static void drop_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct drop *drop = invocation->user;
    drop->storm->finished++;
    if (result->outcome != SL_INVOCATION_REFUSED) drop->storm->answered++;
    free(drop);
}

static void storm_tick(struct sl_timer *timer) {
    struct storm *storm = SL_CONTAINER(timer, struct storm, timer);
    static const char *const words[] = {"ok", "ok", "ok", "bye", "exit", "error", "drop"};
    for (unsigned burst = draw(&storm->seed, 8); burst && storm->started < STORM; burst--, storm->started++) {
        struct drop *drop = calloc(1, sizeof *drop);
        drop->storm = storm;
        snprintf(drop->name, sizeof drop->name, "s%u", draw(&storm->seed, 10));
        snprintf(drop->payload, sizeof drop->payload, "%s", words[draw(&storm->seed, 7)]);
        drop->invocation = (struct sl_invocation){.account = SL_STR("000000000000"),
                                                  .region = SL_STR("us-east-1"),
                                                  .name = sl_str_of(drop->name),
                                                  .payload = sl_str_of(drop->payload),
                                                  .done = drop_done,
                                                  .user = drop};
        sl_invoke(world.invoker, &drop->invocation);
    }
    if (storm->finished < STORM)
        sl_timer_start(storm->loop, timer, 2, storm_tick);
    else
        WORLD_CHANGE(atomic_fetch_add(&storm_over, 1));
}

static void storm_begin(void *argument) {
    struct storm *storm = argument;
    sl_timer_start(storm->loop, &storm->timer, 0, storm_tick);
}

// Both loops take blanks, functions change (their instances retire), inits fail, blanks come and go.
static void every_call_is_answered_in_a_storm(void **state) {
    (void)state;
    NEED(python, SL_LANGUAGE_PYTHON);
    NEED(node, SL_LANGUAGE_NODEJS);
    static struct storm storms[WORLD_LOOPS];
    start_world((struct sl_invoker_config){.blanks = 6, .templates = true});
    world.init_odds[0] = world.init_odds[1] = 30;
    char name[8], variable[16];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s%u", i);
        publish(name, i % 2 ? python : node, "X=0");
    }
    for (int i = 0; i < WORLD_LOOPS; i++) {
        storms[i] = (struct storm){.loop = world.loops[i], .seed = 5 + (unsigned)i};
        world_call((unsigned)i, storm_begin, &storms[i]);
    }
    for (unsigned round = 1; atomic_load(&storm_over) < WORLD_LOOPS; round++) {
        snprintf(name, sizeof name, "s%u", round % 10);
        snprintf(variable, sizeof variable, "X=%u", round);
        publish(name, round % 2 ? python : node, variable);
        usleep(3000);
    }
    assert_int_equal(storms[0].answered + storms[1].answered, WORLD_LOOPS * STORM);
    assert_true(world.adopted > 0);
    world_end();
}

int main(void) {
    sl_runtimes_probe(-1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cold_start_takes_a_blank_and_another_replaces_it),
        cmocka_unit_test(an_adopted_blank_serves_like_any_instance),
        cmocka_unit_test(copies_of_a_template_stand_in),
        cmocka_unit_test(without_blanks_nothing_is_kept),
        cmocka_unit_test(blanks_that_do_not_come_up_harm_nobody),
        cmocka_unit_test(a_kind_that_is_not_used_is_given_up),
        cmocka_unit_test(what_a_language_reads_at_its_start_excludes),
        cmocka_unit_test(node_options_exclude_and_node_env_does_not),
        cmocka_unit_test(kinds_differ_where_starts_do),
        cmocka_unit_test(every_call_is_answered_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
