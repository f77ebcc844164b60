// SPDX-License-Identifier: Apache-2.0
//
// rcu: see rcu.h.
#include "net/rcu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static _Thread_local bool registered;

// A thread that ends while registered would leave a dangling entry in liburcu's list of readers.
static void at_exit(void *value) {
    (void)value;
    rcu_unregister_thread();
}

static void make_key(void) {
    if (pthread_key_create(&exit_key, at_exit)) abort();
}

void sl_rcu_reader_start(void) { rcu_register_thread(); }
void sl_rcu_reader_stop(void) { rcu_unregister_thread(); }

void sl_rcu_quiescent(void *user) {
    (void)user;
    rcu_quiescent_state();
}

void sl_rcu_offline(void *user) {
    (void)user;
    rcu_thread_offline();
}

void sl_rcu_online(void *user) {
    (void)user;
    rcu_thread_online();
}

void sl_rcu_begin(void) {
    if (registered) {
        rcu_thread_online();
        return;
    }
    pthread_once(&exit_once, make_key);
    pthread_setspecific(exit_key, &registered);
    registered = true;
    rcu_register_thread(); // comes back online
}

void sl_rcu_end(void) { rcu_thread_offline(); }
