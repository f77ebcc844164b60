// SPDX-License-Identifier: Apache-2.0
//
// pool: see pool.h. One queue behind one mutex: the work is blocking work of milliseconds, the lock is not what counts.
#include "net/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct sl_pool {
    pthread_mutex_t lock;
    pthread_cond_t filled; // work was queued, or closing was set
    struct sl_work *first, **last;
    unsigned queued, max_queued;
    bool closing;
    unsigned thread_count;
    pthread_t threads[];
};

static void deliver_done(struct sl_mail *mail) {
    struct sl_work *work = SL_CONTAINER(mail, struct sl_work, mail);
    if (work->done) work->done(work);
}

static struct sl_work *take(struct sl_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->closing) pthread_cond_wait(&pool->filled, &pool->lock);
    struct sl_work *work = pool->first; // what is queued is done also when closing
    if (work) {
        pool->first = work->next;
        if (!pool->first) pool->last = &pool->first;
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->lock);
    return work;
}

static void *thread_main(void *argument) {
    struct sl_pool *pool = argument;
    struct sl_work *work;
    while ((work = take(pool))) {
        work->run(work);
        if (work->home)
            sl_loop_post(work->home, &work->mail, deliver_done);
        else if (work->done)
            work->done(work);
    }
    return NULL;
}

int sl_pool_new(struct sl_pool **ret, unsigned threads, unsigned max_queued, struct sl_error *err) {
    struct sl_pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    if (!pool) return sl_fail(err, SL_E_NO_MEMORY, "no memory for a thread pool");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->last = &pool->first;
    pool->max_queued = max_queued;
    // Signals are the main thread's business: the new threads inherit a full mask.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (pool->thread_count < threads && !failed) {
        failed = pthread_create(&pool->threads[pool->thread_count], NULL, thread_main, pool);
        if (!failed) pool->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        sl_pool_free(pool);
        return sl_fail(err, SL_E_LIMIT, "start a worker thread: %s", strerror(failed));
    }
    *ret = pool;
    return 0;
}

void sl_pool_free(struct sl_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int sl_pool_submit(struct sl_pool *pool, struct sl_work *work, struct sl_loop *home, void (*run)(struct sl_work *),
                   void (*done)(struct sl_work *), struct sl_error *err) {
    *work = (struct sl_work){.home = home, .run = run, .done = done};
    pthread_mutex_lock(&pool->lock);
    bool full = pool->queued >= pool->max_queued || pool->closing;
    if (!full) {
        *pool->last = work;
        pool->last = &work->next;
        pool->queued++;
        pthread_cond_signal(&pool->filled);
    }
    pthread_mutex_unlock(&pool->lock);
    return full ? sl_fail(err, SL_E_UNAVAILABLE, "too much work is waiting") : 0;
}
