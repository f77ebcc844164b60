// SPDX-License-Identifier: Apache-2.0
//
// listen and pool: addresses and their errors; work on other threads.
#include "net/listen.h"
#include "net/pool.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static void a_port_is_chosen_and_told(void **state) {
    (void)state;
    const char *texts[] = {"127.0.0.1:0", "localhost:0", "0", ":0", "[::1]:0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd = -1, port = 0;
        struct sl_error err;
        int kind = sl_net_listen(sl_str_of(texts[i]), false, &fd, &port, &err);
        if (kind && i == 4) continue; // a machine without IPv6
        assert_int_equal(kind, 0);
        assert_true(port > 0);
        close(fd);
    }
}

static void a_bad_address_is_refused_with_an_example(void **state) {
    (void)state;
    const char *texts[] = {"",
                           "x",
                           "1.2.3:80",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "host.example:80",
                           "[::1]",
                           "[::1",
                           "::1:80",
                           "[127.0.0.1]:80",
                           "127.0.0.1:80:",
                           "127.0.0.1: 80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd, port;
        struct sl_error err;
        assert_int_equal(sl_net_listen(sl_str_of(texts[i]), false, &fd, &port, &err), SL_E_USAGE);
        assert_non_null(strstr(err.message, "127.0.0.1:4566"));
    }
}

static void a_taken_port_is_refused_also_by_a_group(void **state) {
    (void)state;
    int fd, port, fds[3];
    struct sl_error err;
    assert_int_equal(sl_net_listen(SL_STR("127.0.0.1:0"), true, &fd, &port, &err), 0); // it would share
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%d", port);
    assert_int_equal(sl_net_listen_group(sl_str_of(text), 3, fds, &port, &err), SL_E_IO);
    assert_non_null(strstr(err.message, "is in use"));
    close(fd);
}

static void a_group_shares_one_port_and_keeps_others_out(void **state) {
    (void)state;
    int fds[3], port, fd, other;
    struct sl_error err;
    assert_int_equal(sl_net_listen_group(SL_STR("127.0.0.1:0"), 3, fds, &port, &err), 0);
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%d", port);
    assert_int_equal(sl_net_listen(sl_str_of(text), false, &fd, &other, &err), SL_E_IO);
    assert_int_equal(sl_net_listen_group(sl_str_of(text), 1, &fd, &other, &err), SL_E_IO);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static void an_address_of_another_machine_is_named(void **state) {
    (void)state;
    int fd, port;
    struct sl_error err;
    assert_int_equal(sl_net_listen(SL_STR("192.0.2.1:0"), false, &fd, &port, &err), SL_E_IO); // RFC 5737: nobody's
    assert_non_null(strstr(err.message, "not an address of this machine"));
}

// ---- pool ---------------------------------------------------------------------------------------------------------

enum { WORKS = 200 };
static struct sl_work works[WORKS];
static atomic_int ran;
static int done_at_home;
static struct sl_loop *loop;
static pthread_t home_thread;

static void on_run(struct sl_work *work) {
    (void)work;
    atomic_fetch_add(&ran, 1);
}

static void on_done_home(struct sl_work *work) {
    (void)work;
    assert_true(pthread_equal(pthread_self(), home_thread));
    if (++done_at_home == WORKS) sl_loop_stop(loop);
}

static void results_come_home(void **state) {
    (void)state;
    struct sl_loop_config config = {0};
    struct sl_error err;
    struct sl_pool *pool;
    home_thread = pthread_self();
    atomic_store(&ran, 0);
    assert_int_equal(sl_loop_new(&loop, &config, &err), 0);
    assert_int_equal(sl_pool_new(&pool, 3, WORKS, &err), 0);
    for (int i = 0; i < WORKS; i++)
        assert_int_equal(sl_pool_submit(pool, &works[i], loop, on_run, on_done_home, &err), 0);
    sl_loop_run(loop);
    assert_int_equal(atomic_load(&ran), WORKS);
    sl_pool_free(pool);
    sl_loop_free(loop);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int entered, finished;

static void on_gate(struct sl_work *work) {
    (void)work;
    atomic_store(&entered, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}
static void on_finished(struct sl_work *work) {
    (void)work;
    atomic_fetch_add(&finished, 1);
}

static void a_full_queue_refuses_and_free_finishes_what_was_taken(void **state) {
    (void)state;
    struct sl_error err;
    struct sl_pool *pool;
    atomic_store(&entered, 0);
    atomic_store(&finished, 0);
    assert_int_equal(sl_pool_new(&pool, 1, 2, &err), 0);
    pthread_mutex_lock(&gate);
    assert_int_equal(sl_pool_submit(pool, &works[0], NULL, on_gate, on_finished, &err), 0);
    while (!atomic_load(&entered)) sched_yield();
    assert_int_equal(sl_pool_submit(pool, &works[1], NULL, on_gate, on_finished, &err), 0);
    assert_int_equal(sl_pool_submit(pool, &works[2], NULL, on_gate, on_finished, &err), 0);
    assert_int_equal(sl_pool_submit(pool, &works[3], NULL, on_gate, on_finished, &err), SL_E_UNAVAILABLE);
    pthread_mutex_unlock(&gate);
    sl_pool_free(pool);
    assert_int_equal(atomic_load(&finished), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_chosen_and_told),
        cmocka_unit_test(a_bad_address_is_refused_with_an_example),
        cmocka_unit_test(a_taken_port_is_refused_also_by_a_group),
        cmocka_unit_test(a_group_shares_one_port_and_keeps_others_out),
        cmocka_unit_test(an_address_of_another_machine_is_named),
        cmocka_unit_test(results_come_home),
        cmocka_unit_test(a_full_queue_refuses_and_free_finishes_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
