// SPDX-License-Identifier: Apache-2.0
//
// store: the queue, the storage thread and group commit; see store.h.
//
//   any thread ── submit ──► queue ── all of it at once ──► run ─ run ─ run ─ COMMIT (one fsync) ──► committed ──►
//   done, by letter
//
// While one batch is being synced the next one gathers, so the batch grows with the load and no timer is needed. A
// batch:
//  - read-only jobs before the first write run outside any transaction and are answered at once;
//  - the first write begins the transaction; with more than one write in the batch each runs in a savepoint, so that a
//  failed job undoes
//    only itself;
//  - what ran inside the transaction, read-only jobs too, is answered after the commit: they may have seen what is not
//  durable yet;
//  - if the commit fails, all of these get SL_E_IO and nothing is published; the next batch starts anew.
// SQLite undoes the whole transaction by itself on some errors (disk full, I/O): then the jobs that ran in it so far
// fail likewise.
//
// Locks: `mutex` guards the queue only, never held while a job runs.
#include "store/internal.h"

#include "base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

// --- answering ---

static struct sl_error no_memory = {SL_E_NO_MEMORY, "no memory for the error's text"};

static void keep_error(struct sl_store_job *job, int result, const struct sl_error *err) {
    job->result = result;
    if (!result) return;
    job->error = malloc(sizeof *job->error);
    if (job->error)
        *job->error = *err;
    else
        job->error = &no_memory;
}

static void finish(struct sl_store_job *job) {
    struct sl_error *error = job->error;
    job->error = NULL;
    if (job->done) job->done(job, job->result, error); // the job may be gone after this
    if (error != &no_memory) free(error);
}

static void deliver(struct sl_mail *mail) { finish(SL_CONTAINER(mail, struct sl_store_job, mail)); }

static void answer(struct sl_store *store, struct sl_store_job *job) {
    if (job->waiting) {
        pthread_mutex_lock(&store->mutex);
        job->waiting = false;
        pthread_cond_broadcast(&store->answered);
        pthread_mutex_unlock(&store->mutex);
    } else if (job->home) {
        sl_loop_post(job->home, &job->mail, deliver);
    } else {
        finish(job);
    }
}

// --- one batch, on the storage thread ---

struct batch {
    struct sl_store *store;
    struct sl_store_job *first, **end; // ran inside the transaction, not answered yet
    bool begun;
    bool savepoints;
};

static void answer_all(struct batch *batch) {
    for (struct sl_store_job *job = batch->first, *next; job; job = next) {
        next = job->next;
        answer(batch->store, job);
    }
    batch->first = NULL;
    batch->end = &batch->first;
}

static void hold(struct batch *batch, struct sl_store_job *job) {
    job->next = NULL;
    *batch->end = job;
    batch->end = &job->next;
}

// The transaction is gone: none of the jobs that ran in it happened.
static void lose(struct batch *batch, const struct sl_error *why) {
    struct sl_error lost = {.kind = SL_E_IO};
    snprintf(lost.message, sizeof lost.message, "not stored: %.3900s", why->message);
    for (struct sl_store_job *job = batch->first; job; job = job->next) {
        if (!job->result) keep_error(job, SL_E_IO, &lost);
    }
    batch->begun = false;
    answer_all(batch);
}

static int run_job(struct sl_store_tx *tx, struct sl_store_job *job, struct sl_error *err) {
    err->kind = 0;
    err->message[0] = '\0';
    tx->read_only = job->read_only;
    tx->one_write = job->one_write;
    tx->writes = 0;
    tx->broken = 0;
    int result = job->run(job, tx, err);
    if (!result && tx->broken) result = sl_fail(err, tx->broken, "the store could not be read");
    if (result && !err->kind) err->kind = result;
    return result;
}

// A job that failed without a savepoint of its own. With others in the batch it promised one write (whose failure
// SQLite has undone itself); if the write is there all the same, only the whole transaction can be undone.
static void undo_alone(struct batch *batch, sqlite3_int64 changes_before) {
    struct sl_store_tx *tx = &batch->store->tx;
    if (batch->savepoints && sqlite3_total_changes64(tx->db) == changes_before) return;
    sl_store__exec(tx, SL_SQL_ROLLBACK, NULL);
}

// One job's part of the transaction: made or undone. Nonzero from the savepoint itself also fails the job.
static int run_write(struct batch *batch, struct sl_store_job *job, struct sl_error *err) {
    struct sl_store_tx *tx = &batch->store->tx;
    bool savepoint = batch->savepoints && !job->one_write;
    sqlite3_int64 changes_before = sqlite3_total_changes64(tx->db);
    int result = savepoint ? sl_store__exec(tx, SL_SQL_SAVEPOINT, err) : 0;
    if (result) return result;
    result = run_job(tx, job, err);
    if (sqlite3_get_autocommit(tx->db)) return result; // SQLite has undone everything
    if (!savepoint) {
        if (result) undo_alone(batch, changes_before);
        return result;
    }
    if (result) sl_store__exec(tx, SL_SQL_UNDO, NULL);
    int released = sl_store__exec(tx, SL_SQL_RELEASE, result ? NULL : err);
    return result ? result : released;
}

static void write_in_batch(struct batch *batch, struct sl_store_job *job) {
    struct sl_store_tx *tx = &batch->store->tx;
    struct sl_error err;
    int result = 0;
    if (!batch->begun) {
        result = sl_store__exec(tx, SL_SQL_BEGIN, &err);
        batch->begun = !result;
    }
    if (!result) {
        result = run_write(batch, job, &err);
        if (batch->begun && sqlite3_get_autocommit(tx->db)) {
            if (!result) result = sl_fail(&err, SL_E_IO, "the database undid the transaction");
            lose(batch, &err);
        }
    }
    keep_error(job, result, &err);
    if (batch->begun)
        hold(batch, job);
    else
        answer(batch->store, job);
}

static void read_in_batch(struct batch *batch, struct sl_store_job *job) {
    struct sl_error err;
    int result = run_job(&batch->store->tx, job, &err);
    keep_error(job, result, &err);
    if (batch->begun)
        hold(batch, job);
    else
        answer(batch->store, job);
}

static void commit(struct batch *batch) {
    struct sl_store_tx *tx = &batch->store->tx;
    struct sl_error err;
    if (sl_store__exec(tx, SL_SQL_COMMIT, &err)) {
        if (!sqlite3_get_autocommit(tx->db)) sl_store__exec(tx, SL_SQL_ROLLBACK, NULL);
        lose(batch, &err);
        return;
    }
    for (struct sl_store_job *job = batch->first; job; job = job->next) {
        if (!job->result && job->committed) job->committed(job);
    }
    answer_all(batch);
}

static void run_batch(struct sl_store *store, struct sl_store_job *jobs) {
    struct batch batch = {.store = store};
    batch.end = &batch.first;
    unsigned writes = 0;
    for (const struct sl_store_job *job = jobs; job; job = job->next) writes += !job->read_only;
    batch.savepoints = writes > 1;
    for (struct sl_store_job *job = jobs, *next; job; job = next) {
        next = job->next;
        if (job->read_only)
            read_in_batch(&batch, job);
        else
            write_in_batch(&batch, job);
    }
    if (batch.begun) commit(&batch);
}

// --- the storage thread ---

struct start {
    struct sl_store *store;
    struct sl_error *err;
    int result;
    bool opened; // guarded by the store's mutex
};

// A working directory and umask of this thread's own: names in the data directory are relative (see database.c), and
// the database holds secrets.
static int enter_directory(const struct sl_store *store, struct sl_error *err) {
    if (unshare(CLONE_FS) != 0) return sl_fail_errno(err, "give the storage thread a working directory of its own");
    umask(077);
    if (store->dir < 0) return 0;
    if (fchdir(store->dir) != 0) return sl_fail_errno(err, "enter the data directory");
    return 0;
}

static struct sl_store_job *take_jobs(struct sl_store *store) {
    pthread_mutex_lock(&store->mutex);
    while (!store->first && !store->closing) pthread_cond_wait(&store->wake, &store->mutex);
    struct sl_store_job *jobs = store->first;
    store->first = NULL;
    store->end = &store->first;
    store->queued = 0;
    pthread_mutex_unlock(&store->mutex);
    return jobs;
}

static void *storage_thread(void *user) {
    struct start *start = user;
    struct sl_store *store = start->store;
    prctl(PR_SET_NAME, "storage");
    int result = enter_directory(store, start->err);
    if (!result) result = sl_store__database_open(&store->tx, store->dir < 0, start->err);
    if (!result && store->dir >= 0 && fsync(store->dir) != 0) {
        result = sl_fail_errno(start->err, "sync the data directory");
    }
    pthread_mutex_lock(&store->mutex);
    start->result = result;
    start->opened = true; // `start` is gone once the lock is
    pthread_cond_broadcast(&store->answered);
    pthread_mutex_unlock(&store->mutex);
    struct sl_store_job *jobs;
    while (!result && (jobs = take_jobs(store))) run_batch(store, jobs);
    sl_store__database_close(&store->tx);
    return NULL;
}

static int start_thread(struct sl_store *store, struct sl_error *err) {
    struct start start = {.store = store, .err = err};
    // Signals are for the threads that expect them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&store->thread, NULL, storage_thread, &start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        errno = failed;
        return sl_fail_errno(err, "start the storage thread");
    }
    pthread_mutex_lock(&store->mutex);
    while (!start.opened) pthread_cond_wait(&store->answered, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    if (start.result) pthread_join(store->thread, NULL);
    return start.result;
}

// --- opening and closing ---

// The lock file holds the owner's process id, for the message only; what counts is the lock, which dies with the
// process.
static int lock_directory(struct sl_store *store, struct sl_error *err) {
    store->lock = openat(store->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (store->lock < 0) return sl_fail_errno(err, "cannot write the data directory (file lock)");
    char pid[24];
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return sl_fail_errno(err, "lock the data directory");
        ssize_t got = pread(store->lock, pid, sizeof pid - 1, 0);
        pid[got > 0 ? got : 0] = '\0';
        int digits = (int)strspn(pid, "0123456789");
        return sl_fail(err, SL_E_USAGE,
                       "the data directory is in use by process %.*s: stop it or choose another --data",
                       digits ? digits : 1, digits ? pid : "?");
    }
    int length = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(store->lock, 0) != 0 || pwrite(store->lock, pid, (size_t)length, 0) != length) {
        return sl_fail_errno(err, "write the file lock in the data directory");
    }
    return 0;
}

static int open_parts(struct sl_store *store, const struct sl_store_config *config, struct sl_error *err) {
    if (config->data_dir >= 0) {
        store->dir = fcntl(config->data_dir, F_DUPFD_CLOEXEC, 3);
        if (store->dir < 0) return sl_fail_errno(err, "the data directory");
        int result = lock_directory(store, err);
        if (result) return result;
    }
    int result = sl_store__blobs_open(store, err);
    return result ? result : start_thread(store, err);
}

static void free_store(struct sl_store *store) {
    sl_store__blobs_close(store);
    if (store->lock >= 0) close(store->lock); // gives the lock back
    if (store->dir >= 0) close(store->dir);
    pthread_cond_destroy(&store->answered);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

int sl_store_open(struct sl_store **ret, const struct sl_store_config *config, struct sl_error *err) {
    struct sl_store *store = calloc(1, sizeof *store);
    if (!store) return sl_fail(err, SL_E_NO_MEMORY, "open the store: no memory");
    store->max_jobs = config->max_jobs;
    store->dir = store->lock = store->blobs = store->code = store->zip = store->scratch = store->objects = -1;
    store->end = &store->first;
    sl_random_hex(store->instance, sizeof store->instance - 1);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->wake, NULL);
    pthread_cond_init(&store->answered, NULL);
    int result = open_parts(store, config, err);
    if (result) {
        free_store(store);
        return result;
    }
    *ret = store;
    return 0;
}

void sl_store_close(struct sl_store *store) {
    if (!store) return;
    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    free_store(store);
}

// --- the queue ---

static int enqueue(struct sl_store *store, struct sl_store_job *job, unsigned max, struct sl_error *err) {
    job->next = NULL;
    job->result = 0;
    job->error = NULL;
    pthread_mutex_lock(&store->mutex);
    const char *refusal = store->closing         ? "the store is closing"
                          : store->queued >= max ? "too many storage jobs are waiting"
                                                 : NULL;
    if (!refusal) {
        bool idle = store->first == NULL;
        *store->end = job;
        store->end = &job->next;
        store->queued++;
        if (idle) pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->mutex);
    return refusal ? sl_fail(err, SL_E_UNAVAILABLE, "%s", refusal) : 0;
}

int sl_store_submit(struct sl_store *store, struct sl_store_job *job, struct sl_error *err) {
    job->home = sl_loop_current();
    job->waiting = false;
    return enqueue(store, job, store->max_jobs, err);
}

int sl_store_run(struct sl_store *store, struct sl_store_job *job, struct sl_error *err) {
    job->home = NULL;
    job->waiting = true;
    // Not counted against the maximum: at most one per blocked thread.
    int result = enqueue(store, job, UINT32_MAX, err);
    if (result) return result;
    pthread_mutex_lock(&store->mutex);
    while (job->waiting) pthread_cond_wait(&store->answered, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    result = job->result;
    if (result) sl_fail(err, job->error->kind, "%s", job->error->message);
    finish(job);
    return result;
}
