// SPDX-License-Identifier: Apache-2.0
//
// loop: watches, timers and letters, on a real loop. The wheel is also driven with a made-up clock against a plain
// list.
#include "base/clock.h"
#include "net/loop.h"
#include "net/wheel.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sl_loop *loop;

static int setup(void **state) {
    (void)state;
    struct sl_loop_config config = {.index = 3};
    struct sl_error err;
    return sl_loop_new(&loop, &config, &err);
}

static int teardown(void **state) {
    (void)state;
    sl_loop_free(loop);
    return 0;
}

static void give_up(struct sl_timer *timer) {
    (void)timer;
    fail_msg("the loop waited in vain");
}

// Runs until something calls sl_loop_stop; fails after a long while.
static void run(void) {
    struct sl_timer patience = {0};
    sl_timer_start(loop, &patience, 20000, give_up);
    sl_loop_run(loop);
    sl_timer_stop(&patience);
}

// ---- watches ------------------------------------------------------------------------------------------------------

struct pair {
    struct sl_watch watch;
    int fds[2];
    unsigned calls;
    struct pair *victim;
};

static void pair_open(struct pair *pair) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
}

static void pair_close(struct pair *pair) {
    sl_watch_stop(&pair->watch);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static void on_pair(struct sl_watch *watch, uint32_t events) {
    struct pair *pair = SL_CONTAINER(watch, struct pair, watch);
    assert_true(events & EPOLLIN);
    assert_ptr_equal(sl_loop_current(), loop);
    pair->calls++;
    char byte;
    assert_int_equal(read(pair->fds[0], &byte, 1), 1);
    if (pair->victim) {
        sl_watch_stop(&pair->victim->watch);
        memset(&pair->victim->watch, 0xA5, sizeof pair->victim->watch); // its memory is somebody else's now
    }
    sl_loop_stop(loop);
}

static void a_readable_descriptor_is_reported(void **state) {
    (void)state;
    struct pair pair = {0};
    struct sl_error err;
    pair_open(&pair);
    assert_int_equal(sl_watch_start(loop, &pair.watch, pair.fds[0], EPOLLIN, on_pair, &err), 0);
    assert_int_equal(write(pair.fds[1], "x", 1), 1);
    run();
    assert_int_equal(pair.calls, 1);
    assert_int_equal(sl_loop_index(loop), 3);
    assert_null(sl_loop_current());
    pair_close(&pair);
}

static void two_ready(struct pair pairs[2]) {
    struct sl_error err;
    for (int i = 0; i < 2; i++) {
        pair_open(&pairs[i]);
        assert_int_equal(sl_watch_start(loop, &pairs[i].watch, pairs[i].fds[0], EPOLLIN, on_pair, &err), 0);
        assert_int_equal(write(pairs[i].fds[1], "x", 1), 1);
    }
}

static void a_watch_that_was_stopped_in_the_running_batch_is_not_called(void **state) {
    (void)state;
    struct pair pairs[2] = {0};
    two_ready(pairs);
    pairs[0].victim = &pairs[1];
    pairs[1].victim = &pairs[0];
    run();
    assert_int_equal(pairs[0].calls + pairs[1].calls, 1);
    struct pair *called = pairs[0].calls ? &pairs[0] : &pairs[1];
    called->victim->watch = (struct sl_watch){0};
    pair_close(called);
    pair_close(called->victim);
}

static struct pair reborn;

static void on_replace(struct sl_watch *watch, uint32_t events) {
    struct pair *pair = SL_CONTAINER(watch, struct pair, watch);
    struct sl_error err;
    on_pair(watch, events);
    if (pair->victim->calls) return;
    // Takes the slot that the victim has just left; nothing was written to it.
    assert_int_equal(sl_watch_start(loop, &reborn.watch, reborn.fds[0], EPOLLIN, on_pair, &err), 0);
}

static void an_event_of_a_stopped_watch_does_not_reach_the_next_user_of_its_slot(void **state) {
    (void)state;
    struct pair pairs[2] = {0};
    reborn = (struct pair){0};
    pair_open(&reborn);
    two_ready(pairs);
    pairs[0].watch.ready = pairs[1].watch.ready = on_replace;
    pairs[0].victim = &pairs[1];
    pairs[1].victim = &pairs[0];
    run();
    assert_int_equal(pairs[0].calls + pairs[1].calls, 1);
    assert_int_equal(reborn.calls, 0);
    struct pair *called = pairs[0].calls ? &pairs[0] : &pairs[1];
    called->victim->watch = (struct sl_watch){0};
    pair_close(called);
    pair_close(called->victim);
    pair_close(&reborn);
}

static void on_writable(struct sl_watch *watch, uint32_t events) {
    struct pair *pair = SL_CONTAINER(watch, struct pair, watch);
    assert_true(events & EPOLLOUT);
    pair->calls++;
    sl_loop_stop(loop);
}

static void changed_events_are_watched(void **state) {
    (void)state;
    struct pair pair = {0};
    struct sl_error err;
    pair_open(&pair);
    assert_int_equal(sl_watch_start(loop, &pair.watch, pair.fds[0], EPOLLIN, on_writable, &err), 0);
    assert_int_equal(sl_watch_change(&pair.watch, EPOLLOUT), 0);
    run();
    assert_int_equal(pair.calls, 1);
    sl_watch_stop(&pair.watch);
    sl_watch_stop(&pair.watch); // accepts a stopped one
    pair_close(&pair);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state) {
    (void)state;
    struct sl_watch watch;
    struct sl_error err;
    assert_int_equal(sl_watch_start(loop, &watch, -1, EPOLLIN, on_pair, &err), SL_E_IO);
    assert_null(watch.loop);
    sl_watch_stop(&watch);
}

// ---- timers -------------------------------------------------------------------------------------------------------

struct alarm {
    struct sl_timer timer;
    int number;
    struct alarm *stops;
};
static int fired[16], fired_count;

static void on_alarm(struct sl_timer *timer) {
    struct alarm *alarm = SL_CONTAINER(timer, struct alarm, timer);
    assert_false(sl_timer_armed(timer));
    fired[fired_count++] = alarm->number;
    if (alarm->stops) sl_timer_stop(&alarm->stops->timer);
    if (alarm->number == 9) sl_loop_stop(loop);
}

static void timers_fire_in_the_order_of_their_times_and_never_early(void **state) {
    (void)state;
    struct alarm alarms[] = {{.number = 9}, {.number = 1}, {.number = 2}, {.number = 3}};
    int64_t delays[] = {130, 0, 5, 70};
    fired_count = 0;
    int64_t before = sl_clock_mono_ns();
    for (int i = 0; i < 4; i++) sl_timer_start(loop, &alarms[i].timer, delays[i], on_alarm);
    run();
    assert_true(sl_clock_mono_ns() - before >= 129 * INT64_C(1000000)); // the loop's clock is cut to milliseconds
    int expected[] = {1, 2, 3, 9};
    assert_int_equal(fired_count, 4);
    assert_memory_equal(fired, expected, sizeof expected);
}

static void a_timer_that_another_one_stops_in_the_same_turn_does_not_fire(void **state) {
    (void)state;
    struct alarm alarms[] = {{.number = 1}, {.number = 2}, {.number = 9}};
    alarms[0].stops = &alarms[1];
    alarms[1].stops = &alarms[0];
    fired_count = 0;
    for (int i = 0; i < 2; i++) sl_timer_start(loop, &alarms[i].timer, 0, on_alarm);
    sl_timer_start(loop, &alarms[2].timer, 3, on_alarm);
    run();
    assert_int_equal(fired_count, 2);
    assert_int_equal(fired[1], 9);
}

static void an_armed_timer_is_rearmed(void **state) {
    (void)state;
    struct alarm once = {.number = 1}, last = {.number = 9};
    fired_count = 0;
    sl_timer_start(loop, &once.timer, 1, on_alarm);
    sl_timer_start(loop, &once.timer, 1000000, on_alarm);
    sl_timer_start(loop, &last.timer, 20, on_alarm);
    run();
    assert_int_equal(fired_count, 1);
    assert_true(sl_timer_armed(&once.timer));
    sl_timer_stop(&once.timer);
    sl_timer_stop(&once.timer);
    assert_false(sl_timer_armed(&once.timer));
}

static int64_t wheel_now;
static unsigned wheel_fired;

static void on_wheel(struct sl_timer *timer) {
    // Due, and not overdue: the wheel was turned to every deadline it named.
    assert_int_equal(timer->at_ms, wheel_now);
    wheel_fired++;
}

static void the_wheel_fires_every_timer_at_its_millisecond(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static struct sl_wheel wheel;
    struct sl_timer *timers = calloc(COUNT, sizeof *timers);
    uint64_t random = 88172645463325252u;
    wheel_now = 123456789;
    wheel_fired = 0;
    sl_wheel__init(&wheel, wheel_now);
    unsigned stopped = 0;
    for (int i = 0; i < COUNT; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        // All magnitudes up to 2^40 ms.
        timers[i].at_ms = wheel_now + 1 + (int64_t)((random >> 8) & ((UINT64_C(1) << (random % 41)) - 1));
        timers[i].fire = on_wheel;
        sl_wheel__add(&wheel, &timers[i]);
    }
    for (int i = 0; i < COUNT; i += 7, stopped++) sl_wheel__remove(&wheel, &timers[i]);
    int64_t wait;
    while ((wait = sl_wheel__wait(&wheel)) >= 0) {
        wheel_now += wait;
        sl_wheel__turn(&wheel, wheel_now);
        sl_wheel__fire(&wheel);
    }
    assert_int_equal(wheel_fired, COUNT - stopped);
    free(timers);
}

static void a_wheel_whose_timers_were_stopped_asks_for_no_wake_up(void **state) {
    (void)state;
    static struct sl_wheel wheel;
    struct sl_timer near = {.at_ms = 1010}, far = {.at_ms = 1000000};
    sl_wheel__init(&wheel, 1000);
    sl_wheel__add(&wheel, &near);
    sl_wheel__add(&wheel, &far);
    assert_true(sl_wheel__wait(&wheel) <= 10);
    sl_wheel__remove(&wheel, &near);
    sl_wheel__remove(&wheel, &far);
    assert_int_equal(sl_wheel__wait(&wheel), -1);
}

// ---- letters ------------------------------------------------------------------------------------------------------

enum { SENDERS = 3, LETTERS = 20000 };
struct letter {
    struct sl_mail mail;
    int sender, number;
};
static int expected_number[SENDERS], delivered;

static void on_letter(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    assert_int_equal(letter->number, expected_number[letter->sender]);
    expected_number[letter->sender]++;
    if (++delivered == SENDERS * LETTERS) sl_loop_stop(loop);
}

static void *send_letters(void *argument) {
    struct letter *letters = argument;
    for (int i = 0; i < LETTERS; i++) sl_loop_post(loop, &letters[i].mail, on_letter);
    return NULL;
}

static void letters_of_several_threads_all_arrive_in_each_sender_s_order(void **state) {
    (void)state;
    static struct letter letters[SENDERS][LETTERS];
    pthread_t threads[SENDERS];
    delivered = 0;
    for (int s = 0; s < SENDERS; s++) {
        expected_number[s] = 0;
        for (int i = 0; i < LETTERS; i++) letters[s][i] = (struct letter){.sender = s, .number = i};
        assert_int_equal(pthread_create(&threads[s], NULL, send_letters, letters[s]), 0);
    }
    run();
    for (int s = 0; s < SENDERS; s++) pthread_join(threads[s], NULL);
    assert_int_equal(delivered, SENDERS * LETTERS);
}

static int depth, deepest, rounds;

static void on_again(struct sl_mail *mail) {
    if (++depth > deepest) deepest = depth;
    if (++rounds == 1000)
        sl_loop_stop(loop);
    else
        sl_loop_post(loop, mail, on_again);
    depth--;
}

static void a_letter_posted_by_the_loop_itself_comes_in_the_next_turn(void **state) {
    (void)state;
    struct sl_mail mail;
    depth = deepest = rounds = 0;
    sl_loop_post(loop, &mail, on_again);
    run();
    assert_int_equal(rounds, 1000);
    assert_int_equal(deepest, 1);
}

static atomic_int echoes;
static struct sl_loop *peer_loop;
static struct sl_mail ping;

static void on_pong(struct sl_mail *mail);
static void on_ping(struct sl_mail *mail) { // on the other loop
    if (atomic_fetch_add(&echoes, 1) == 5000) {
        sl_loop_stop(loop);
        sl_loop_stop(peer_loop);
        return;
    }
    sl_loop_post(loop, mail, on_pong);
}
static void on_pong(struct sl_mail *mail) { sl_loop_post(peer_loop, mail, on_ping); }

static void *run_peer(void *argument) {
    sl_loop_run(argument);
    return NULL;
}

// Either loop goes to sleep after each letter: no wake-up may be lost.
static void two_loops_wake_each_other(void **state) {
    (void)state;
    struct sl_loop_config config = {0};
    struct sl_error err;
    pthread_t thread;
    assert_int_equal(sl_loop_new(&peer_loop, &config, &err), 0);
    atomic_store(&echoes, 0);
    pthread_create(&thread, NULL, run_peer, peer_loop);
    sl_loop_post(peer_loop, &ping, on_ping);
    run();
    pthread_join(thread, NULL);
    sl_loop_free(peer_loop);
    assert_int_equal(atomic_load(&echoes), 5001);
}

// ---- the turn -----------------------------------------------------------------------------------------------------

static int quiet, offline, online;
static bool away;
static void on_quiescent(void *user) {
    assert_false(away);
    quiet++;
    (void)user;
}
static void on_offline(void *user) {
    assert_false(away);
    away = true;
    offline++;
    (void)user;
}
static void on_online(void *user) {
    assert_true(away);
    away = false;
    online++;
    (void)user;
}

static void the_hooks_frame_every_turn_and_every_sleep(void **state) {
    (void)state;
    struct sl_loop_config config = {.quiescent = on_quiescent, .offline = on_offline, .online = on_online};
    struct sl_error err;
    struct sl_loop *plain = loop;
    assert_int_equal(sl_loop_new(&loop, &config, &err), 0);
    quiet = offline = online = 0;
    struct alarm first = {.number = 1}, last = {.number = 9};
    fired_count = 0;
    sl_timer_start(loop, &first.timer, 2, on_alarm);
    sl_timer_start(loop, &last.timer, 8, on_alarm);
    run();
    assert_true(quiet >= 2);
    assert_true(offline >= 2);
    assert_int_equal(offline, online);
    sl_loop_free(loop);
    loop = plain;
}

static void a_stop_before_run_makes_run_return(void **state) {
    (void)state;
    sl_loop_stop(loop);
    run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_readable_descriptor_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_that_was_stopped_in_the_running_batch_is_not_called, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_of_a_stopped_watch_does_not_reach_the_next_user_of_its_slot, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(changed_events_are_watched, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_that_cannot_be_watched_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(timers_fire_in_the_order_of_their_times_and_never_early, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_that_another_one_stops_in_the_same_turn_does_not_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(an_armed_timer_is_rearmed, setup, teardown),
        cmocka_unit_test(the_wheel_fires_every_timer_at_its_millisecond),
        cmocka_unit_test(a_wheel_whose_timers_were_stopped_asks_for_no_wake_up),
        cmocka_unit_test_setup_teardown(letters_of_several_threads_all_arrive_in_each_sender_s_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_letter_posted_by_the_loop_itself_comes_in_the_next_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(two_loops_wake_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(the_hooks_frame_every_turn_and_every_sleep, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_before_run_makes_run_return, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
