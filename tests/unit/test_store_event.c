// SPDX-License-Identifier: Apache-2.0
//
// store: the durable queue of events.
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int append_at(struct sl_store_tx *tx, int64_t due_ms, int64_t *ret_id, struct sl_error *err) {
    struct sl_event event = {
        .function = SL_STR("arn:aws:lambda:eu-west-1:000000000000:function:f"),
        .request_id = "01234567-89ab-4cde-8f01-23456789abcd",
        .accepted_ms = 5,
        .due_ms = due_ms,
        .attempts = 1,
        .payload = SL_STR("{\"a\":\"\xff\"}"),
    };
    int result = sl_event_append(tx, &event, err);
    if (ret_id) *ret_id = event.id;
    return result;
}

static int append_five(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    static const int64_t due[] = {30, 10, 50, 20, 40};
    int result = 0;
    for (int i = 0; i < 5 && !result; i++) result = append_at(tx, due[i], user ? &((int64_t *)user)[i] : NULL, err);
    return result;
}

static int append_and_fail(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    int result = append_at(tx, 1, user, err);
    return result ? result : sl_fail(err, SL_E_CONFLICT, "on purpose");
}

struct page {
    int64_t now, after;
    unsigned limit, count;
    const int64_t *taken; // of a lane
    unsigned taken_count;
    size_t bytes;
    int64_t next_ms;
    struct sl_event *events;
};

static int load(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct page *page = user;
    if (page->now == INT64_MAX)
        return sl_event_load(tx, &f->arena, page->after, page->limit, &page->events, &page->count, err);
    struct sl_event_due due = {.lane = sl_event_lane(SL_STR("arn:aws:lambda:eu-west-1:000000000000:function:f:live")),
                               .now_ms = page->now,
                               .taken = page->taken,
                               .taken_count = page->taken_count,
                               .limit = page->limit,
                               .bytes = page->bytes ? page->bytes : SIZE_MAX};
    int result = sl_event_due(tx, &f->arena, &due, err);
    page->events = due.events;
    page->count = due.count;
    page->next_ms = due.next_ms;
    return result;
}

static void events_are_loaded_as_they_were_appended(void **state) {
    struct fixture *f = *state;
    int64_t ids[5] = {0};
    assert_int_equal(run(f, append_five, ids), 0);
    struct page page = {.now = INT64_MAX, .limit = 10};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 5);
    for (int i = 0; i < 5; i++) assert_int_equal(page.events[i].id, ids[i]);
    const struct sl_event *event = &page.events[2];
    assert_true(sl_str_is(event->function, "arn:aws:lambda:eu-west-1:000000000000:function:f"));
    assert_string_equal(event->request_id, "01234567-89ab-4cde-8f01-23456789abcd");
    assert_int_equal(event->accepted_ms, 5);
    assert_int_equal(event->due_ms, 50);
    assert_int_equal(event->attempts, 1);
    assert_true(sl_str_is(event->payload, "{\"a\":\"\xff\"}"));
    assert_int_equal(event->context.len, 0);
}

static void a_lane_gives_what_is_due_earliest_first(void **state) {
    struct fixture *f = *state;
    int64_t ids[5]; // due at 30, 10, 50, 20, 40
    assert_int_equal(run(f, append_five, ids), 0);
    struct page page = {.now = 30, .limit = 2};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.events[0].id, ids[1]);
    assert_int_equal(page.events[1].id, ids[3]);
    assert_int_equal(page.next_ms, 30); // more is due now
    const int64_t taken[] = {ids[1], ids[3]};
    page.taken = taken;
    page.taken_count = 2;
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.events[0].id, ids[0]);
    assert_int_equal(page.next_ms, 40);
    page = (struct page){.now = 9, .limit = 2};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next_ms, 10);
    page = (struct page){.now = 60, .limit = 10, .bytes = 1}; // the first payload is larger
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.next_ms, 60);
}

static int append_for_g(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    (void)user;
    struct sl_event event = {.function = SL_STR("arn:aws:lambda:eu-west-1:000000000000:function:g:1"), .due_ms = 7};
    return sl_event_append(tx, &event, err);
}

struct lanes {
    int64_t lane[3], due_ms[3];
    int count, last;
};

static int read_lanes(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    struct lanes *lanes = user;
    for (lanes->count = 0; lanes->count < 3; lanes->count++) {
        lanes->last = sl_event_lane_after(tx, lanes->count ? lanes->lane[lanes->count - 1] : 0,
                                          &lanes->lane[lanes->count], &lanes->due_ms[lanes->count], err);
        if (lanes->last) break;
    }
    return 0;
}

static void lanes_with_events_are_found(void **state) {
    struct fixture *f = *state;
    struct lanes lanes;
    assert_int_equal(run_read_only(f, read_lanes, &lanes), 0);
    assert_int_equal(lanes.count, 0);
    assert_int_equal(run(f, append_five, NULL), 0);
    assert_int_equal(run(f, append_for_g, NULL), 0);
    assert_int_equal(run_read_only(f, read_lanes, &lanes), 0);
    assert_int_equal(lanes.count, 2);
    assert_int_equal(lanes.last, SL_E_NOT_FOUND);
    bool f_first = lanes.lane[0] == sl_event_lane(SL_STR("arn:aws:lambda:eu-west-1:000000000000:function:f"));
    assert_int_equal(lanes.due_ms[f_first ? 0 : 1], 10);
    assert_int_equal(lanes.due_ms[f_first ? 1 : 0], 7);
}

static int bury(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct sl_dead_event dead = {.died_ms = 99, .reason = SL_STR("RetriesExhausted")};
    int result = sl_event_get(tx, &f->arena, *(int64_t *)user, &dead.event, err);
    if (!result) result = sl_event_remove(tx, dead.event.id, dead.event.attempts, err);
    return result ? result : sl_dead_put(tx, &dead, err);
}

struct dead_page {
    struct sl_dead_event *events, one;
    unsigned count;
    int64_t id;
};

static int load_dead(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct dead_page *page = user;
    int result = sl_dead_load(tx, &f->arena, 0, 100, &page->events, &page->count, err);
    return result || !page->id ? result : sl_dead_get(tx, &f->arena, page->id, &page->one, err);
}

static int expire_dead(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    return sl_dead_expire(tx, *(int64_t *)user, err);
}

static void a_dead_event_is_kept_whole_until_its_time_is_over(void **state) {
    struct fixture *f = *state;
    int64_t ids[5], next[5];
    assert_int_equal(run(f, append_five, ids), 0);
    assert_int_equal(run(f, bury, &ids[4]), 0);
    close_store(f);
    assert_int_equal(open_store(f, 100), 0);
    struct dead_page page = {.id = ids[4]};
    assert_int_equal(run_read_only(f, load_dead, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.one.event.id, ids[4]);
    assert_int_equal(page.one.event.attempts, 1);
    assert_int_equal(page.one.died_ms, 99);
    assert_true(sl_str_is(page.one.reason, "RetriesExhausted"));
    assert_true(sl_str_is(page.one.event.payload, "{\"a\":\"\xff\"}"));
    assert_int_equal(run(f, append_five, next), 0);
    assert_true(next[0] > ids[4]); // its id is not given again
    int64_t before = 99;
    assert_int_equal(run(f, expire_dead, &before), 0);
    page.id = 0;
    assert_int_equal(run_read_only(f, load_dead, &page), 0);
    assert_int_equal(page.count, 1);
    before = 100;
    assert_int_equal(run(f, expire_dead, &before), 0);
    assert_int_equal(run_read_only(f, load_dead, &page), 0);
    assert_int_equal(page.count, 0);
}

static int bury_many(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    int result = 0;
    for (int64_t i = 1; i <= *(int64_t *)user && !result; i++)
        result = sl_dead_put(tx, &(struct sl_dead_event){.event = {.id = i}}, err);
    return result;
}

static void the_oldest_dead_events_make_room(void **state) {
    struct fixture *f = *state;
    int64_t many = SL_DEAD_EVENTS_MAX + 5;
    assert_int_equal(run(f, bury_many, &many), 0);
    struct dead_page page = {.id = many};
    assert_int_equal(run_read_only(f, load_dead, &page), 0);
    assert_true(page.events[0].event.id > 5);
    page.id = 1;
    assert_int_equal(run_read_only(f, load_dead, &page), SL_E_NOT_FOUND);
}

static int reschedule(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    return sl_event_reschedule(tx, *(int64_t *)user, 1, 7, 2, err);
}

static int remove_event(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    return sl_event_remove(tx, *(int64_t *)user, 2, err);
}

static void an_event_is_rescheduled_and_removed_once(void **state) {
    struct fixture *f = *state;
    int64_t ids[5];
    assert_int_equal(run(f, append_five, ids), 0);
    assert_int_equal(run(f, remove_event, &ids[2]), SL_E_NOT_FOUND); // it has one attempt, not two
    assert_int_equal(run(f, reschedule, &ids[2]), 0);
    assert_int_equal(run(f, reschedule, &ids[2]), SL_E_NOT_FOUND); // of an attempt that is settled
    struct page page = {.now = 7, .limit = 10};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.events[0].id, ids[2]);
    assert_int_equal(page.events[0].attempts, 2);
    assert_true(sl_str_is(page.events[0].payload, "{\"a\":\"\xff\"}"));
    assert_int_equal(run(f, remove_event, &ids[2]), 0);
    assert_int_equal(run(f, remove_event, &ids[2]), SL_E_NOT_FOUND);
    assert_int_equal(run(f, reschedule, &ids[2]), SL_E_NOT_FOUND);
}

static void an_event_id_is_never_given_twice(void **state) {
    struct fixture *f = *state;
    int64_t ids[5], undone = 0, next[5];
    assert_int_equal(run(f, append_five, ids), 0);
    assert_int_equal(run(f, append_and_fail, &undone), SL_E_CONFLICT);
    assert_int_equal(run(f, bury, &ids[4]), 0);
    assert_int_equal(run(f, append_five, next), 0);
    assert_true(undone > ids[4] && next[0] > undone);
}

static void events_survive_reopening_and_ids_go_on(void **state) {
    struct fixture *f = *state;
    int64_t ids[5], next[5];
    assert_int_equal(run(f, append_five, ids), 0);
    close_store(f);
    assert_int_equal(open_store(f, 100), 0);
    struct page page = {.now = INT64_MAX, .limit = 10};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 5);
    assert_int_equal(run(f, append_five, next), 0);
    assert_true(next[0] > ids[4]);
}

static void events_that_do_not_fit_the_arena_are_an_error(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, append_five, NULL), 0);
    sl_arena_free(&f->arena);
    sl_arena_init(&f->arena, 600);
    struct page page = {.now = INT64_MAX, .limit = 4};
    assert_int_equal(run_read_only(f, load, &page), SL_E_NO_MEMORY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(events_are_loaded_as_they_were_appended),
        TEST(a_lane_gives_what_is_due_earliest_first),
        TEST(lanes_with_events_are_found),
        TEST(a_dead_event_is_kept_whole_until_its_time_is_over),
        TEST(the_oldest_dead_events_make_room),
        TEST(an_event_is_rescheduled_and_removed_once),
        TEST(an_event_id_is_never_given_twice),
        TEST(events_survive_reopening_and_ids_go_on),
        TEST(events_that_do_not_fit_the_arena_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
