// SPDX-License-Identifier: Apache-2.0
//
// store: messages of queues. The rule of ordered queues is checked against a plain model over a random schedule: a
// group may be read exactly when it has messages and none of them is in flight or delayed in front.
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { GROUPS = 5, MOST = 60, STEPS = 4000, QUEUE = 77 };

static struct sl_message plain(int64_t queue, int64_t visible_ms, struct sl_str group) {
    return (struct sl_message){.queue = queue,
                               .visible_ms = visible_ms,
                               .sent_ms = 1,
                               .id = SL_STR("id"),
                               .group = group,
                               .doc = SL_STR("{}"),
                               .body = SL_STR("body")};
}

// --- a standard queue

static int keep_and_read(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    struct sl_message first = plain(1, 30, SL_STR("")), second = plain(1, 10, SL_STR("")),
                      other = plain(2, 5, SL_STR(""));
    struct sl_message *list, again;
    struct sl_message_counts counts;
    unsigned count;
    int64_t next;
    assert_int_equal(sl_message_append(tx, &first, err), 0);
    assert_int_equal(sl_message_append(tx, &second, err), 0);
    assert_int_equal(sl_message_append(tx, &other, err), 0);
    assert_true(first.seq < second.seq && second.seq < other.seq);
    assert_int_equal(sl_message_visible(tx, &f->arena, 1, 20, 10, &list, &count, err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].seq, second.seq);
    assert_true(sl_str_is(list[0].body, "body"));
    assert_int_equal(sl_message_visible(tx, &f->arena, 1, 30, 10, &list, &count, err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].seq, second.seq); // visible for longer
    assert_int_equal(sl_message_visible(tx, &f->arena, 1, 30, 1, &list, &count, err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(sl_message_next(tx, 1, false, 20, &next, err), 0);
    assert_int_equal(next, 30);
    assert_int_equal(sl_message_next(tx, 1, false, 30, &next, err), 0);
    assert_true(next == INT64_MAX);
    second.visible_ms = 100;
    second.receives = 1;
    second.receipt = 9;
    assert_int_equal(sl_message_update(tx, &second, err), 0);
    assert_int_equal(sl_message_count(tx, 1, 20, &counts, err), 0);
    assert_true(counts.visible == 0 && counts.in_flight == 1 && counts.delayed == 1);
    assert_int_equal(sl_message_get(tx, &f->arena, 1, second.seq, &again, err), 0);
    assert_int_equal(again.receipt, 9);
    assert_int_equal(sl_message_get(tx, &f->arena, 2, second.seq, &again, err), SL_E_NOT_FOUND); // of another queue
    assert_int_equal(sl_message_move(tx, &second, 2, err), 0);
    assert_true(second.seq > other.seq);
    assert_int_equal(sl_message_expire(tx, 1, 2, 10, &count, err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(sl_message_clear(tx, 2, true, err), 0);
    return sl_message_count(tx, 2, 1000, &counts, err) || counts.visible;
}

static void messages_are_read_when_they_are_visible(void **state) {
    assert_int_equal(run(*state, keep_and_read, NULL), 0);
}

static int note_seq(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    struct sl_message message = plain(1, 1, SL_STR(""));
    int result = sl_message_append(tx, &message, err);
    *(int64_t *)user = message.seq;
    return result ? result : sl_message_remove(tx, message.seq, err);
}

static void numbers_ascend_past_removed_messages_over_a_restart(void **state) {
    struct fixture *f = *state;
    int64_t before = 0, after = 0;
    assert_int_equal(run(f, note_seq, &before), 0);
    close_store(f);
    assert_int_equal(open_store(f, 16), 0);
    assert_int_equal(run(f, note_seq, &after), 0);
    assert_true(after > before);
}

// --- deduplication

static int remember(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)user;
    int64_t seq = 0;
    struct sl_str id;
    assert_int_equal(sl_dedup_find(tx, &f->arena, 1, SL_STR("k"), 0, &seq, &id, err), SL_E_NOT_FOUND);
    assert_int_equal(sl_dedup_put(tx, 1, SL_STR("k"), 5, SL_STR("five"), 100, err), 0);
    assert_int_equal(sl_dedup_find(tx, &f->arena, 1, SL_STR("k"), 99, &seq, &id, err), 0);
    assert_int_equal(seq, 5);
    assert_true(sl_str_is(id, "five"));
    assert_int_equal(sl_dedup_find(tx, &f->arena, 1, SL_STR("k"), 100, &seq, &id, err), SL_E_NOT_FOUND);
    assert_int_equal(sl_dedup_find(tx, &f->arena, 2, SL_STR("k"), 50, &seq, &id, err), SL_E_NOT_FOUND);
    assert_int_equal(sl_dedup_put(tx, 1, SL_STR("k"), 6, SL_STR("six"), 200, err), 0);
    assert_int_equal(sl_dedup_expire(tx, 150, 10, err), 0);
    return sl_dedup_find(tx, &f->arena, 1, SL_STR("k"), 150, &seq, &id, err) || seq != 6;
}

static void what_was_sent_is_remembered_until_its_time_is_over(void **state) {
    assert_int_equal(run(*state, remember, NULL), 0);
}

// --- groups against a model

struct model {
    struct sl_message messages[MOST]; // in order of seq
    unsigned count;
    int64_t now;
    uint32_t random;
};

static uint32_t draw(struct model *model, uint32_t below) {
    model->random = model->random * 1664525u + 1013904223u;
    return (model->random >> 8) % below;
}

static struct sl_str group_name(unsigned group) {
    static const char names[GROUPS][2] = {"a", "b", "c", "d", "e"};
    return sl_str_of(names[group]);
}

static bool may_be_read(const struct model *model, struct sl_str group) {
    const struct sl_message *head = NULL;
    for (unsigned i = 0; i < model->count; i++) {
        const struct sl_message *message = &model->messages[i];
        if (!sl_str_eq(message->group, group)) continue;
        if (message->receives && message->visible_ms > model->now) return false;
        if (!head) head = message;
    }
    return head && head->visible_ms <= model->now;
}

static void check_groups(struct model *model, struct fixture *f, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_str *ready;
    unsigned count, expected = 0;
    assert_int_equal(sl_group_ready(tx, &f->arena, QUEUE, model->now, GROUPS, &ready, &count, err), 0);
    for (unsigned i = 0; i < GROUPS; i++) expected += may_be_read(model, group_name(i));
    assert_int_equal(count, expected);
    for (unsigned i = 0; i < count; i++) assert_true(may_be_read(model, ready[i]));
}

static void send(struct model *model, struct sl_store_tx *tx, struct sl_error *err) {
    if (model->count == MOST) return;
    struct sl_str group = group_name(draw(model, GROUPS));
    // Without delay: a queue's delay keeps the order of a group, so it would add nothing.
    struct sl_message *message = &model->messages[model->count++];
    *message = plain(QUEUE, model->now, group);
    assert_int_equal(sl_message_append(tx, message, err), 0);
    assert_int_equal(sl_group_add(tx, QUEUE, group, message->visible_ms, err), 0);
}

// The first messages of a group that may be read, in order.
static void take(struct model *model, struct fixture *f, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_str group = group_name(draw(model, GROUPS));
    unsigned most = 1 + draw(model, 3), taken = 0, count;
    struct sl_message *list;
    if (!may_be_read(model, group)) return;
    assert_int_equal(sl_message_of_group(tx, &f->arena, QUEUE, group, most, &list, &count, err), 0);
    for (unsigned i = 0; i < model->count && taken < most; i++) {
        struct sl_message *message = &model->messages[i];
        if (!sl_str_eq(message->group, group)) continue;
        assert_true(taken < count && list[taken].seq == message->seq);
        message->receives++;
        message->visible_ms = model->now + draw(model, 20);
        assert_int_equal(sl_message_update(tx, message, err), 0);
        taken++;
    }
    assert_int_equal(sl_group_settle(tx, QUEUE, group, model->now, err), 0);
}

// Deletes or changes one that is in flight.
static void settle(struct model *model, struct sl_store_tx *tx, struct sl_error *err) {
    unsigned at = model->count ? draw(model, model->count) : 0;
    if (!model->count || !model->messages[at].receives || model->messages[at].visible_ms <= model->now) return;
    struct sl_message *message = &model->messages[at];
    struct sl_str group = message->group;
    if (draw(model, 3)) {
        assert_int_equal(sl_message_remove(tx, message->seq, err), 0);
        memmove(message, message + 1, (model->count - at - 1) * sizeof *message);
        model->count--;
    } else {
        message->visible_ms = model->now + draw(model, 10);
        assert_int_equal(sl_message_update(tx, message, err), 0);
    }
    assert_int_equal(sl_group_settle(tx, QUEUE, group, model->now, err), 0);
}

static int random_schedule(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct model *model = user;
    for (unsigned i = 0; i < STEPS; i++) {
        sl_arena_reset(&f->arena);
        switch (draw(model, 4)) {
        case 0:
            send(model, tx, err);
            break;
        case 1:
            take(model, f, tx, err);
            break;
        case 2:
            settle(model, tx, err);
            break;
        default:
            model->now += draw(model, 6);
        }
        check_groups(model, f, tx, err);
    }
    return 0;
}

static void a_group_may_be_read_when_none_of_its_messages_is_in_flight(void **state) {
    for (uint32_t seed = 1; seed <= 4; seed++) {
        struct model model = {.now = 1000, .random = seed};
        assert_int_equal(set_up(state), 0);
        assert_int_equal(run(*state, random_schedule, &model), 0);
        tear_down(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_are_read_when_they_are_visible, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_ascend_past_removed_messages_over_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_sent_is_remembered_until_its_time_is_over, set_up, tear_down),
        cmocka_unit_test(a_group_may_be_read_when_none_of_its_messages_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
