// SPDX-License-Identifier: Apache-2.0
//
// Limits of the invocation engine, on two loops with fake sandboxes (invoke_fixture.h). Promises: an account's limit
// and every reservation are never exceeded, whatever loops, functions and versions do at once, and are used to the
// full; what is refused carries AWS's reason; the scaling rate, the budgets of instances and of memory hold, and the
// longest idle instance makes room for others; a single-use instance serves once.
#include "invoke_fixture.h"

#include "invoke/engine.h"

enum { FUNCTIONS = 4, STORM = 4000, OPEN_MAX = 40 };

// ---- a storm ------------------------------------------------------------------------------------------------------

// The functions of the storm: two share an account without a reservation, one has three reserved, one has none at all.
static const char *const storm_names[FUNCTIONS] = {"open-a", "open-b", "three", "zero"};
enum { ACCOUNT_LIMIT = 12, RESERVED = 3 };

static atomic_int running[FUNCTIONS], most[FUNCTIONS], all_running, most_running;
static atomic_uint storm_over;

struct storm;
struct drop {
    struct sl_invocation invocation;
    struct storm *storm;
    unsigned function;
};

struct storm {
    struct sl_loop *loop;
    struct sl_timer timer;
    unsigned seed, started, finished, open, answered, refused[FUNCTIONS];
    unsigned wrong_reasons;
};

static void note_most(atomic_int *most_of, int now) {
    int before = atomic_load(most_of);
    while (now > before && !atomic_compare_exchange_weak(most_of, &before, now)) {}
}

static void drop_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct drop *drop = invocation->user;
    struct storm *storm = drop->storm;
    if (result->outcome == SL_INVOCATION_REFUSED) {
        const char *reason = drop->function < 2 ? "ConcurrentInvocationLimitExceeded"
                                                : "ReservedFunctionConcurrentInvocationLimitExceeded";
        if (!sl_str_is(result->throttle_reason, reason)) storm->wrong_reasons++;
        storm->refused[drop->function]++;
    } else {
        storm->answered++;
    }
    storm->finished++;
    storm->open--;
    free(drop);
}

static void drop_start(struct storm *storm) {
    struct drop *drop = calloc(1, sizeof *drop);
    drop->storm = storm;
    drop->function = draw(&storm->seed, 2 * FUNCTIONS) % FUNCTIONS;
    static const char *const payloads[FUNCTIONS] = {"slow 0", "slow 1", "slow 2", "slow 3"};
    drop->invocation = (struct sl_invocation){
        .account = SL_STR("000000000000"),
        .region = SL_STR("us-east-1"),
        .name = sl_str_of(storm_names[drop->function]),
        .version = draw(&storm->seed, 2) ? SL_STR("1") : SL_STR("$LATEST"),
        .payload = sl_str_of(payloads[drop->function]),
        .done = drop_done,
        .user = drop,
    };
    storm->started++;
    storm->open++;
    sl_invoke(world.invoker, &drop->invocation);
}

static void storm_tick(struct sl_timer *timer) {
    struct storm *storm = SL_CONTAINER(timer, struct storm, timer);
    for (unsigned burst = draw(&storm->seed, 12); burst && storm->started < STORM && storm->open < OPEN_MAX; burst--)
        drop_start(storm);
    if (storm->finished < STORM)
        sl_timer_start(storm->loop, timer, 1, storm_tick);
    else
        WORLD_CHANGE(atomic_fetch_add(&storm_over, 1));
}

static void storm_begin(void *argument) {
    struct storm *storm = argument;
    sl_timer_start(storm->loop, &storm->timer, 0, storm_tick);
}

// What a fake sandbox does for "slow N": it is counted while it serves.
void fake_slow(const char *event) {
    unsigned function = (unsigned)(event[5] - '0');
    note_most(&most[function], atomic_fetch_add(&running[function], 1) + 1);
    note_most(&most_running, atomic_fetch_add(&all_running, 1) + 1);
    usleep(300);
    atomic_fetch_sub(&running[function], 1);
    atomic_fetch_sub(&all_running, 1);
}

static void publish_storm(int64_t reserved) {
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        for (unsigned version = 0; version < 2; version++) {
            struct sl_function function = world_function(storm_names[i]);
            function.version = version ? SL_STR("1") : SL_STR("$LATEST");
            function.reserved_concurrency = i == 2 ? reserved : i == 3 ? 0 : -1;
            world_publish_function(&function);
        }
    }
}

static void limits_hold_in_a_storm(void **state) {
    (void)state;
    static struct storm storms[WORLD_LOOPS];
    memset(world.init_odds, 0, sizeof world.init_odds);
    world_start((struct sl_invoker_config){
        .max_instances = 100, .account_concurrency = ACCOUNT_LIMIT, .idle_ms = 60000, .init_ms = 60000});
    publish_storm(RESERVED);
    for (int i = 0; i < WORLD_LOOPS; i++) {
        storms[i] = (struct storm){.loop = world.loops[i], .seed = 77 + (unsigned)i};
        world_call((unsigned)i, storm_begin, &storms[i]);
    }
    WORLD_AWAIT(atomic_load(&storm_over) == WORLD_LOOPS);
    unsigned answered = 0, refused[FUNCTIONS] = {0}, wrong = 0;
    for (int i = 0; i < WORLD_LOOPS; i++) {
        answered += storms[i].answered;
        wrong += storms[i].wrong_reasons;
        for (int f = 0; f < FUNCTIONS; f++) refused[f] += storms[i].refused[f];
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(refused[0] + refused[1] + refused[2] + refused[3] + answered, WORLD_LOOPS * STORM);
    // Never more than allowed, and all that is allowed was used.
    assert_int_equal(atomic_load(&most[2]), RESERVED);
    assert_int_equal(atomic_load(&most[3]), 0);
    assert_true(atomic_load(&most_running) <= ACCOUNT_LIMIT);
    assert_true(atomic_load(&most[0]) <= ACCOUNT_LIMIT - RESERVED);
    assert_true(atomic_load(&most[0]) + atomic_load(&most[1]) > ACCOUNT_LIMIT / 2);
    assert_true(refused[0] && refused[1] && refused[2] && refused[3]);
    world_end();
}

// ---- single cases -------------------------------------------------------------------------------------------------

struct call {
    struct sl_invocation invocation;
    const char *name, *payload, *tenant, *version;
    enum sl_invocation_outcome outcome;
    char reason[64];
    unsigned retry_after_s;
    bool done;
};

static void call_done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    call->outcome = result->outcome;
    call->retry_after_s = result->retry_after_s;
    snprintf(call->reason, sizeof call->reason, "%.*s", SL_FMT(result->throttle_reason));
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
    if (call->version) call->invocation.version = sl_str_of(call->version);
    if (call->tenant) call->invocation.tenant_id = sl_str_of(call->tenant);
    sl_invoke(world.invoker, &call->invocation);
}

static void begin_call(struct call *call, unsigned loop, const char *name, const char *payload) {
    *call = (struct call){.name = name, .payload = payload};
    world_call(loop, call_start, call);
}

static struct call *invoke(struct call *call, unsigned loop, const char *name, const char *payload) {
    begin_call(call, loop, name, payload);
    WORLD_AWAIT(call->done);
    return call;
}

static void start_world(struct sl_invoker_config config) {
    memset(world.init_odds, 0, sizeof world.init_odds);
    if (!config.account_concurrency) config.account_concurrency = 100;
    if (!config.max_instances) config.max_instances = 50;
    if (!config.idle_ms) config.idle_ms = 60000;
    config.init_ms = 60000;
    world_start(config);
}

static void the_scaling_rate_bounds_new_instances(void **state) {
    (void)state;
    struct call calls[4];
    start_world((struct sl_invoker_config){.scaling_rate = 1}); // the next one after ten seconds
    world_publish("f", 60000, -1, 0);
    world_publish("g", 60000, 50, 0);
    begin_call(&calls[0], 0, "f", "hold");
    WORLD_AWAIT(world.holding == 1);
    invoke(&calls[3], 0, "f", "ok");
    assert_int_equal(calls[3].outcome, SL_INVOCATION_REFUSED);
    assert_string_equal(calls[3].reason, "FunctionInvocationRateLimitExceeded");
    assert_int_equal(calls[3].retry_after_s, 1);
    WORLD_CHANGE(world.release = true);
    WORLD_AWAIT(calls[0].done);
    world_await_idle("f", 1);
    // It is per function, and instances that are there serve on.
    assert_int_equal(invoke(&calls[3], 0, "f", "ok")->outcome, SL_INVOCATION_OK);
    assert_int_equal(invoke(&calls[3], 1, "g", "ok")->outcome, SL_INVOCATION_OK);
    world_end();
}

static void the_request_rate_follows_concurrency(void **state) {
    (void)state;
    struct call call;
    start_world((struct sl_invoker_config){.request_rate = 1, .account_concurrency = 10});
    world_publish("f", 60000, 2, 0);
    // Two requests per second: a third within the same second is one too many.
    unsigned refused = 0;
    for (int i = 0; i < 200 && !refused; i++) refused += invoke(&call, 0, "f", "ok")->outcome == SL_INVOCATION_REFUSED;
    assert_int_equal(refused, 1);
    assert_string_equal(call.reason, "ReservedFunctionInvocationRateLimitExceeded");
    world_end();
}

static void the_longest_idle_instance_makes_room(void **state) {
    (void)state;
    struct call call;
    start_world((struct sl_invoker_config){.max_instances = 2});
    world_publish("a", 60000, -1, 0);
    world_publish("b", 60000, -1, 0);
    world_publish("c", 60000, -1, 0);
    assert_int_equal(invoke(&call, 0, "a", "ok")->outcome, SL_INVOCATION_OK);
    world_await_idle("a", 1);
    assert_int_equal(invoke(&call, 1, "b", "ok")->outcome, SL_INVOCATION_OK);
    world_await_idle("b", 1);
    assert_int_equal(invoke(&call, 1, "c", "ok")->outcome, SL_INVOCATION_OK);
    world_await_idle("c", 1);
    world_await_idle("b", 1);
    world_await_idle("a", 0);
    assert_int_equal(world.most, 2);
    world_end();
}

static void a_call_waits_for_room_and_is_refused_when_none_comes(void **state) {
    (void)state;
    struct call hold, late;
    start_world((struct sl_invoker_config){.max_instances = 1});
    world_publish("a", 60000, -1, 0);
    world_publish("b", 60000, -1, 0);
    begin_call(&hold, 0, "a", "hold");
    WORLD_AWAIT(world.holding == 1);
    invoke(&late, 1, "b", "ok");
    assert_int_equal(late.outcome, SL_INVOCATION_REFUSED);
    assert_string_equal(late.reason, "ConcurrentInvocationLimitExceeded");
    begin_call(&late, 1, "b", "ok");
    WORLD_CHANGE(world.release = true);
    WORLD_AWAIT(hold.done);
    WORLD_AWAIT(late.done);
    assert_int_equal(late.outcome, SL_INVOCATION_OK);
    assert_int_equal(world.most, 1);
    world_end();
}

static void the_budget_of_memory_holds(void **state) {
    (void)state;
    struct call calls[3];
    start_world((struct sl_invoker_config){.memory_bytes = 300 << 20}); // functions have 128 MB
    world_publish("a", 60000, -1, 0);
    world_publish("b", 60000, -1, 0);
    begin_call(&calls[0], 0, "a", "hold");
    begin_call(&calls[1], 1, "a", "hold");
    WORLD_AWAIT(world.holding == 2);
    begin_call(&calls[2], 0, "b", "ok");
    WORLD_CHANGE(world.release = true);
    for (int i = 0; i < 3; i++) {
        WORLD_AWAIT(calls[i].done);
        assert_int_equal(calls[i].outcome, SL_INVOCATION_OK);
    }
    assert_true(world.most <= 2);
    world_end();
}

static void a_single_use_instance_serves_once(void **state) {
    (void)state;
    struct call call;
    start_world((struct sl_invoker_config){0});
    struct sl_function function = world_function("once");
    function.single_use = true;
    world_publish_function(&function);
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(invoke(&call, i % 2, "once", "ok")->outcome, SL_INVOCATION_OK);
        WORLD_AWAIT(world.live == 0);
        assert_int_equal(world.started, i);
    }
    world_end();
}

static void an_old_instance_is_replaced(void **state) {
    (void)state;
    struct call call;
    start_world((struct sl_invoker_config){.max_age_ms = 1});
    world_publish("f", 60000, -1, 0);
    assert_int_equal(invoke(&call, 0, "f", "ok")->outcome, SL_INVOCATION_OK);
    WORLD_AWAIT(world.live == 0);
    world_end();
}

// ---- provisioned concurrency ----------------------------------------------------------------------------------------

static struct sl_provisioned provisioned(const char *name, const char *version) {
    struct sl_provisioned kept;
    assert_true(sl_invoker_provisioned(world.invoker, SL_STR("000000000000"), SL_STR("us-east-1"), sl_str_of(name),
                                       sl_str_of(version), &kept));
    return kept;
}

static void await_ready(const char *name, const char *version, unsigned count) {
    for (int i = 0; i < WORLD_PATIENCE_S * 1000; i++) {
        if (provisioned(name, version).ready == count) return;
        usleep(1000);
    }
    fail_msg("%u instances of %s:%s are ready, not %u", provisioned(name, version).ready, name, version, count);
}

static void publish_version(const char *name, const char *version, unsigned count) {
    struct sl_function function = world_function(name);
    function.version = sl_str_of(version);
    function.provisioned = count;
    world_publish_function(&function);
}

static void invoke_version(struct call *call, unsigned loop, const char *payload) {
    *call = (struct call){.name = "f", .payload = payload, .version = "1"};
    world_call(loop, call_start, call);
}

static void provisioned_instances_are_ready_before_the_first_call(void **state) {
    (void)state;
    struct call calls[5];
    start_world((struct sl_invoker_config){.idle_ms = 1});
    publish_version("f", "1", 3);
    await_ready("f", "1", 3);
    assert_int_equal(world.started, 3);
    for (int i = 0; i < 3; i++) invoke_version(&calls[i], (unsigned)i % 2, "hold");
    WORLD_AWAIT(world.holding == 3);
    assert_int_equal(world.started, 3);
    invoke_version(&calls[3], 0, "hold"); // spills over
    WORLD_AWAIT(world.holding == 4);
    assert_int_equal(world.started, 4);
    WORLD_CHANGE(world.release = true);
    for (int i = 0; i < 4; i++) WORLD_AWAIT(calls[i].done && calls[i].outcome == SL_INVOCATION_OK);
    WORLD_AWAIT(world.live == 3); // the one on demand was idle too long, the others stay
    assert_int_equal(provisioned("f", "1").ready, 3);
    world_end();
}

static void what_dies_is_replaced_and_what_is_too_much_goes(void **state) {
    (void)state;
    struct call call;
    start_world((struct sl_invoker_config){0});
    publish_version("f", "1", 2);
    await_ready("f", "1", 2);
    invoke_version(&call, 0, "exit");
    WORLD_AWAIT(call.done);
    WORLD_AWAIT(world.started == 3);
    await_ready("f", "1", 2);
    publish_version("f", "1", 0);
    publish_version("f", "2", 1); // as when an alias moves
    await_ready("f", "2", 1);
    await_ready("f", "1", 0);
    WORLD_AWAIT(world.live == 1);
    world_end();
}

static void a_failing_init_is_told_and_tried_again(void **state) {
    (void)state;
    start_world((struct sl_invoker_config){0});
    memcpy(world.init_odds, (unsigned[]){1000, 0, 0, 0}, sizeof world.init_odds);
    publish_version("f", "1", 1);
    WORLD_AWAIT(world.started >= 2);
    assert_string_equal(provisioned("f", "1").failure, "FUNCTION_ERROR_INIT_FAILURE");
    memset(world.init_odds, 0, sizeof world.init_odds);
    await_ready("f", "1", 1);
    assert_null(provisioned("f", "1").failure);
    world_end();
}

static void provisioned_concurrency_is_taken_from_the_rest(void **state) {
    (void)state;
    struct call calls[6];
    start_world((struct sl_invoker_config){.account_concurrency = 4});
    publish_version("f", "1", 2);
    await_ready("f", "1", 2);
    world_publish("g", 60000, -1, 0);
    for (int i = 0; i < 2; i++) begin_call(&calls[i], (unsigned)i, "g", "hold");
    WORLD_AWAIT(world.holding == 2);
    assert_string_equal(invoke(&calls[4], 0, "g", "ok")->reason, "ConcurrentInvocationLimitExceeded");
    for (int i = 2; i < 4; i++) invoke_version(&calls[i], (unsigned)i % 2, "hold");
    WORLD_AWAIT(world.holding == 4);
    invoke_version(&calls[4], 0, "ok");
    WORLD_AWAIT(calls[4].done);
    assert_string_equal(calls[4].reason, "ConcurrentInvocationLimitExceeded");
    WORLD_CHANGE(world.release = true);
    for (int i = 0; i < 4; i++) WORLD_AWAIT(calls[i].done);
    world_end();
}

// ---- tenants -------------------------------------------------------------------------------------------------------

// ---- freezing -----------------------------------------------------------------------------------------------------

static unsigned count_frozen(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < FAKES_MAX; i++) count += world.fakes[i].used && world.fakes[i].frozen;
    return count;
}

static void idle_instances_are_frozen_and_thawed_for_work(void **state) {
    (void)state;
    struct call calls[2];
    start_world((struct sl_invoker_config){.freeze_ms = 5});
    world_publish("f", 60000, -1, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) begin_call(&calls[i], (unsigned)i, "f", "hold");
        WORLD_AWAIT(world.holding == 2);
        assert_int_equal(count_frozen(), 0);
        WORLD_CHANGE(world.release = true);
        for (int i = 0; i < 2; i++) WORLD_AWAIT(calls[i].done && calls[i].outcome == SL_INVOCATION_OK);
        WORLD_AWAIT(count_frozen() == 2 && world.holding == 0);
        WORLD_CHANGE(world.release = false);
    }
    assert_int_equal(world.started, 2);
    world_end(); // frozen ones can be stopped
}

static enum sl_invocation_outcome invoke_tenant(unsigned loop, const char *name, const char *tenant) {
    static struct call call;
    call = (struct call){.name = name, .payload = "ok", .tenant = tenant};
    world_call(loop, call_start, &call);
    WORLD_AWAIT(call.done);
    return call.outcome;
}

static void tenants_never_share_an_instance(void **state) {
    (void)state;
    start_world((struct sl_invoker_config){0});
    struct sl_function function = world_function("apart");
    function.per_tenant = true;
    world_publish_function(&function);
    world_publish("plain", 60000, -1, 0);
    for (unsigned round = 0; round < 6; round++) {
        assert_int_equal(invoke_tenant(round % 2, "apart", "red"), SL_INVOCATION_OK);
        assert_int_equal(invoke_tenant(round % 2, "apart", "blue"), SL_INVOCATION_OK);
        for (int i = 0; i < WORLD_PATIENCE_S * 1000 && world_idle() < 2; i++) usleep(1000);
    }
    assert_int_equal(world.started, 2);
    assert_int_equal(invoke_tenant(0, "apart", NULL), SL_INVOCATION_REFUSED);
    assert_int_equal(invoke_tenant(0, "plain", "red"), SL_INVOCATION_REFUSED);
    assert_int_equal(world.started, 2);
    function.memory_mb++; // another configuration: all tenants' instances go
    world_publish_function(&function);
    WORLD_AWAIT(world.live == 0);
    world_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_in_a_storm),
        cmocka_unit_test(the_scaling_rate_bounds_new_instances),
        cmocka_unit_test(the_request_rate_follows_concurrency),
        cmocka_unit_test(the_longest_idle_instance_makes_room),
        cmocka_unit_test(a_call_waits_for_room_and_is_refused_when_none_comes),
        cmocka_unit_test(the_budget_of_memory_holds),
        cmocka_unit_test(a_single_use_instance_serves_once),
        cmocka_unit_test(an_old_instance_is_replaced),
        cmocka_unit_test(provisioned_instances_are_ready_before_the_first_call),
        cmocka_unit_test(what_dies_is_replaced_and_what_is_too_much_goes),
        cmocka_unit_test(a_failing_init_is_told_and_tried_again),
        cmocka_unit_test(provisioned_concurrency_is_taken_from_the_rest),
        cmocka_unit_test(idle_instances_are_frozen_and_thawed_for_work),
        cmocka_unit_test(tenants_never_share_an_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
