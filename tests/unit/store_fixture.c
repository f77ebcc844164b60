// SPDX-License-Identifier: Apache-2.0
//
// store_fixture: see store_fixture.h.
#include "store_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

bool make_temporary(char path[static 64]) {
    snprintf(path, 64, "/tmp/test-store-XXXXXX");
    return mkdtemp(path) != NULL;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)type, (void)at;
    return remove(path);
}

bool remove_temporary(const char *path) { return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0; }

int open_store(struct fixture *f, unsigned max_jobs) {
    struct sl_store_config config = {.data_dir = f->dir, .max_jobs = max_jobs};
    return sl_store_open(&f->store, &config, &f->err);
}

void close_store(struct fixture *f) {
    sl_store_close(f->store);
    f->store = NULL;
}

int set_up_folder(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    if (!make_temporary(f->path)) return -1;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_arena_init(&f->arena, 64 << 20);
    *state = f;
    return f->dir < 0 ? -1 : 0;
}

int set_up(void **state) {
    if (set_up_folder(state)) return -1;
    return open_store(*state, 100);
}

int tear_down(void **state) {
    struct fixture *f = *state;
    close_store(f);
    close(f->dir);
    sl_arena_free(&f->arena);
    bool removed = remove_temporary(f->path);
    free(f);
    return removed ? 0 : -1;
}

static atomic_int order;

static int step_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct step *step = SL_CONTAINER(job, struct step, job);
    step->ran = atomic_fetch_add(&order, 1) + 1;
    return step->fn(step->fixture, tx, step->user, err);
}

static void step_committed(struct sl_store_job *job) {
    SL_CONTAINER(job, struct step, job)->committed = atomic_fetch_add(&order, 1) + 1;
}

void step_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct step *step = SL_CONTAINER(job, struct step, job);
    step->result = result;
    step->done = atomic_fetch_add(&order, 1) + 1;
    step->done_on = pthread_self();
    if (result && (!err || err->kind != result)) abort();
    if (!result && err) abort();
    sem_post(&step->answered);
}

void prepare(struct step *step, struct fixture *f, step_fn *fn, void *user) {
    *step = (struct step){
        .job = {.run = step_run, .committed = step_committed, .done = step_done}, .fixture = f, .fn = fn, .user = user};
    sem_init(&step->answered, 0, 0);
}

int run(struct fixture *f, step_fn *fn, void *user) {
    struct step step;
    prepare(&step, f, fn, user);
    f->err = (struct sl_error){0};
    int result = sl_store_run(f->store, &step.job, &f->err);
    assert_int_equal(result, step.result);
    assert_int_equal(step.committed != 0, result == 0);
    return result;
}

int run_read_only(struct fixture *f, step_fn *fn, void *user) {
    struct step step;
    prepare(&step, f, fn, user);
    step.job.read_only = true;
    return sl_store_run(f->store, &step.job, &f->err);
}

void submit(struct fixture *f, struct step *step) {
    assert_int_equal(sl_store_submit(f->store, &step->job, &f->err), 0);
}
