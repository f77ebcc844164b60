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
    struct sl_event *events;
};

static int load(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct page *page = user;
    return sl_event_load(tx, &f->arena, page->now, page->after, page->limit, &page->events, &page->count, err);
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

static void only_due_events_are_loaded_in_pages_by_id(void **state) {
    struct fixture *f = *state;
    int64_t ids[5];
    assert_int_equal(run(f, append_five, ids), 0);
    struct page page = {.now = 30, .limit = 2};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.events[0].id, ids[0]);
    assert_int_equal(page.events[1].id, ids[1]);
    page.after = ids[1];
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.events[0].id, ids[3]);
    page = (struct page){.now = 9, .limit = 2};
    assert_int_equal(run_read_only(f, load, &page), 0);
    assert_int_equal(page.count, 0);
}

static int reschedule(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    return sl_event_reschedule(tx, *(int64_t *)user, 7, 2, err);
}

static int remove_event(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    return sl_event_remove(tx, *(int64_t *)user, err);
}

static void an_event_is_rescheduled_and_removed_once(void **state) {
    struct fixture *f = *state;
    int64_t ids[5];
    assert_int_equal(run(f, append_five, ids), 0);
    assert_int_equal(run(f, reschedule, &ids[2]), 0);
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
    assert_int_equal(run(f, remove_event, &ids[4]), 0);
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
        TEST(events_are_loaded_as_they_were_appended),  TEST(only_due_events_are_loaded_in_pages_by_id),
        TEST(an_event_is_rescheduled_and_removed_once), TEST(an_event_id_is_never_given_twice),
        TEST(events_survive_reopening_and_ids_go_on),   TEST(events_that_do_not_fit_the_arena_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
