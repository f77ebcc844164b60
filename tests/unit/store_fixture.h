// SPDX-License-Identifier: Apache-2.0
//
// store_fixture: a store in a temporary data directory, and jobs that run one function and note the order of what
// happened.
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include "store/store.h"

#include <pthread.h>
#include <semaphore.h>

struct fixture {
    char path[64]; // the data directory
    int dir;
    struct sl_store *store;
    struct sl_arena arena;
    struct sl_error err;
};

// For cmocka: with a store that is open, and without one.
int set_up(void **state);
int set_up_folder(void **state);
int tear_down(void **state);

int open_store(struct fixture *f, unsigned max_jobs);
void close_store(struct fixture *f);

typedef int step_fn(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err);

struct step {
    struct sl_store_job job;
    struct fixture *fixture;
    step_fn *fn;
    void *user;
    int ran, committed, done; // places in the order of all that happened; 0 = did not
    int result;
    pthread_t done_on;
    sem_t answered;
};

void prepare(struct step *step, struct fixture *f, step_fn *fn, void *user);
void step_done(struct sl_store_job *job, int result, const struct sl_error *err);
// Through sl_store_run; the result, and the error in f->err.
int run(struct fixture *f, step_fn *fn, void *user);
int run_read_only(struct fixture *f, step_fn *fn, void *user);
// Through sl_store_submit, which must accept it.
void submit(struct fixture *f, struct step *step);

// A fresh directory; its path is written to `path`. False when it cannot be made.
bool make_temporary(char path[static 64]);
// With all that is below it.
bool remove_temporary(const char *path);

#endif
