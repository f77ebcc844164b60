// SPDX-License-Identifier: Apache-2.0
//
// wait: who waits for a queue to change, by queue in a table of lists under one lock, held for a few instructions; and
// the janitor, which removes what is too old and moves messages between queues.
//
// Invariants: a waiter is in a list exactly while its `prev` is set; whoever takes it out posts its letter or owns it.
// Nobody is forgotten: a receiver that finds nothing is put into the list by the storage thread, in the same job, and
// whoever sends is woken for after a later job's commit (see receive.c).
#include "services/sqs/internal.h"

#include "aws/identity.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum { BUCKETS = 1024, TICK_MS = 1000, SWEEP_TICKS = 30, SWEEP_MAX = 1000, DEDUP_SWEEP_MAX = 10000 };

struct sl_sqs {
    struct sl_store *store;
    pthread_mutex_t lock;
    struct sl_sqs_waiter *buckets[BUCKETS];
    bool stopping;
    void (*changed)(void *user, int64_t queue); // constant once anything runs
    void *changed_user;

    // The janitor, on one loop.
    struct sl_loop *loop;
    struct sl_timer timer;
    struct sl_store_job job;
    unsigned ticks;
    bool job_running, stopped, sweep;
    int64_t now_ms;
    atomic_bool moving; // some task may be under way
    atomic_uint busy;
};

static struct sl_sqs_waiter **bucket_of(struct sl_sqs *sqs, int64_t queue) {
    return &sqs->buckets[((uint64_t)queue >> 7) % BUCKETS]; // ids are random
}

static void unlink_waiter(struct sl_sqs_waiter *waiter) {
    *waiter->prev = waiter->next;
    if (waiter->next) waiter->next->prev = waiter->prev;
    waiter->prev = NULL;
}

bool sl_sqs_wait(struct sl_sqs *sqs, struct sl_sqs_waiter *waiter, int64_t queue) {
    pthread_mutex_lock(&sqs->lock);
    bool waits = !sqs->stopping;
    if (waits) {
        waiter->queue = queue;
        // At the end: who came first is woken first.
        struct sl_sqs_waiter **end = bucket_of(sqs, queue);
        while (*end) end = &(*end)->next;
        waiter->next = NULL;
        waiter->prev = end;
        *end = waiter;
    }
    pthread_mutex_unlock(&sqs->lock);
    return waits;
}

bool sl_sqs_unwait(struct sl_sqs *sqs, struct sl_sqs_waiter *waiter) {
    pthread_mutex_lock(&sqs->lock);
    bool waited = waiter->prev != NULL;
    if (waited) unlink_waiter(waiter);
    pthread_mutex_unlock(&sqs->lock);
    return waited;
}

void sl_sqs_watch(struct sl_sqs *sqs, void (*changed)(void *user, int64_t queue), void *user) {
    sqs->changed = changed;
    sqs->changed_user = user;
}

void sl_sqs_wake(struct sl_sqs *sqs, int64_t queue, unsigned count) {
    if (sqs->changed) sqs->changed(sqs->changed_user, queue);
    pthread_mutex_lock(&sqs->lock);
    for (struct sl_sqs_waiter *waiter = *bucket_of(sqs, queue), *next; waiter && count; waiter = next) {
        next = waiter->next;
        if (waiter->queue != queue) continue;
        unlink_waiter(waiter);
        sl_loop_post(waiter->loop, &waiter->mail, waiter->woken);
        count--;
    }
    pthread_mutex_unlock(&sqs->lock);
}

void sl_sqs_stop(struct sl_sqs *sqs) {
    pthread_mutex_lock(&sqs->lock);
    sqs->stopping = true;
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (sqs->buckets[i]) {
            struct sl_sqs_waiter *waiter = sqs->buckets[i];
            unlink_waiter(waiter);
            sl_loop_post(waiter->loop, &waiter->mail, waiter->woken);
        }
    }
    pthread_mutex_unlock(&sqs->lock);
}

// ---- notes of an operation: whom to wake after its commit -----------------------------------------------------------

struct note {
    int64_t queue;
    unsigned count;
    struct sl_str key, policy; // of the directory of callers: what the queue's policy is now; key empty: as before
};

// {"Owner","Policy"} under "resource/<arn>" (aws/identity.h); a queue without a policy has none.
void sl_sqs__note_policy(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_str policy) {
    struct note *note = op->state;
    struct sl_json *entry = sl_json_new_object(op->arena), *parsed;
    if (!note) note = op->state = sl_arena_zalloc(op->arena, sizeof *note);
    if (!note) return; // the operation fails for want of memory
    note->key = sl_arena_printf(op->arena, "resource/%.*s", SL_FMT(sl_sqs__arn(op->arena, queue)));
    note->policy = (struct sl_str){0};
    if (!policy.len || sl_json_parse(op->arena, policy, &parsed, NULL)) return;
    sl_json_put_string(op->arena, entry, "Owner", queue->account);
    sl_json_set(entry, SL_STR("Policy"), parsed);
    note->policy = sl_json_text(op->arena, entry, 1 << 20);
}

static void publish_policy(struct sl_op *op, const struct note *note) {
    const struct sl_app *app = op->app;
    struct sl_error err;
    if (!note->key.len || !app->callers) return;
    if (!note->policy.len || sl_directory_put(app->callers->directory, note->key, note->policy, &err))
        sl_directory_remove(app->callers->directory, note->key);
}

void sl_sqs__note(struct sl_op *op, int64_t queue, unsigned count) {
    struct note *note = op->state;
    if (!note) note = op->state = sl_arena_zalloc(op->arena, sizeof *note);
    if (!note) return; // the operation fails for want of memory
    note->queue = queue;
    note->count = count > UINT32_MAX - note->count ? UINT32_MAX : note->count + count;
}

void sl_sqs__publish(struct sl_op *op) {
    const struct note *note = op->state;
    if (!note) return;
    publish_policy(op, note);
    if (note->count) sl_sqs_wake(sl_sqs__of(op), note->queue, note->count);
}

// ---- the janitor ----------------------------------------------------------------------------------------------------

static int sweep_queue(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct sl_store_tx *tx = ((void **)user)[0];
    const int64_t *now = ((void **)user)[1];
    struct sl_arena arena;
    struct sl_sqs_queue queue = {.name = key->id};
    unsigned removed;
    sl_arena_init(&arena, 8 << 20);
    int result = sl_json_parse(&arena, document, &queue.doc, err);
    if (!result) {
        queue.attributes = sl_json_get(queue.doc, "Attributes");
        int64_t before = *now - sl_sqs__setting(&queue, "MessageRetentionPeriod") * 1000;
        result = sl_message_expire(tx, sl_json_int(queue.doc, "_id", 0), before, SWEEP_MAX, &removed, err);
    }
    sl_arena_free(&arena);
    return result;
}

static int janitor_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_sqs *sqs = SL_CONTAINER(job, struct sl_sqs, job);
    void *user[] = {tx, &sqs->now_ms};
    int result = 0;
    if (sqs->sweep) {
        result = sl_dedup_expire(tx, sqs->now_ms, DEDUP_SWEEP_MAX, err);
        if (!result) result = sl_store_each(tx, "sqs.queue", sweep_queue, user, err);
    }
    if (!result && atomic_exchange(&sqs->moving, false)) result = sl_sqs__move_run(sqs, tx, sqs->now_ms, err);
    return result;
}

static void janitor_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_sqs *sqs = SL_CONTAINER(job, struct sl_sqs, job);
    sqs->job_running = false;
    atomic_fetch_sub(&sqs->busy, 1);
    if (result) sl_log_warn("sqs", "janitor: %s", err->message);
}

static void tick(struct sl_timer *timer) {
    struct sl_sqs *sqs = SL_CONTAINER(timer, struct sl_sqs, timer);
    struct sl_error err;
    if (sqs->stopped) return;
    sqs->ticks++;
    if (!sqs->job_running && (sqs->ticks % SWEEP_TICKS == 0 || atomic_load(&sqs->moving))) {
        sqs->sweep = sqs->ticks % SWEEP_TICKS == 0;
        sqs->now_ms = sl_clock_ms();
        sqs->job = (struct sl_store_job){.run = janitor_run, .done = janitor_done};
        atomic_fetch_add(&sqs->busy, 1);
        sqs->job_running = sl_store_submit(sqs->store, &sqs->job, &err) == 0;
        if (!sqs->job_running) atomic_fetch_sub(&sqs->busy, 1);
    }
    sl_timer_start(sqs->loop, &sqs->timer, TICK_MS, tick);
}

void sl_sqs__move_tick(struct sl_sqs *sqs) { atomic_store(&sqs->moving, true); }

// ---- life -----------------------------------------------------------------------------------------------------------

struct policies {
    struct sl_store_job job;
    struct sl_directory *directory;
};

static int load_policy(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct policies *policies = user;
    struct sl_op op = {.account = key->account};
    struct sl_sqs_queue queue = {.account = key->account, .region = key->region, .name = key->id};
    struct sl_arena arena;
    sl_arena_init(&arena, 8 << 20);
    op.arena = &arena;
    int result = sl_json_parse(&arena, document, &queue.doc, err);
    struct sl_str policy = result ? (struct sl_str){0} : sl_json_string(sl_json_get(queue.doc, "Attributes"), "Policy");
    if (policy.len) sl_sqs__note_policy(&op, &queue, policy);
    const struct note *note = op.state;
    if (note && note->policy.len) result = sl_directory_put(policies->directory, note->key, note->policy, err);
    sl_arena_free(&arena);
    return result;
}

static int load_policies(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_store_each(tx, "sqs.queue", load_policy, SL_CONTAINER(job, struct policies, job), err);
}

int sl_sqs_load(const struct sl_app *app, struct sl_error *err) {
    struct policies policies = {.job = {.run = load_policies, .read_only = true}, .directory = app->callers->directory};
    return sl_store_run(app->store, &policies.job, err);
}

int sl_sqs_new(struct sl_sqs **ret, struct sl_store *store, struct sl_error *err) {
    struct sl_sqs *sqs = calloc(1, sizeof *sqs);
    if (!sqs) return sl_fail(err, SL_E_NO_MEMORY, "no memory for queues");
    sqs->store = store;
    pthread_mutex_init(&sqs->lock, NULL);
    *ret = sqs;
    return 0;
}

void sl_sqs_start(struct sl_sqs *sqs, struct sl_loop *loop) {
    sqs->loop = loop;
    sl_sqs__move_tick(sqs); // what an earlier run left
    sl_timer_start(loop, &sqs->timer, TICK_MS, tick);
}

void sl_sqs_stop_timers(struct sl_sqs *sqs) {
    sqs->stopped = true;
    sl_timer_stop(&sqs->timer);
}

unsigned sl_sqs_busy(const struct sl_sqs *sqs) { return atomic_load(&sqs->busy); }

void sl_sqs_free(struct sl_sqs *sqs) {
    if (!sqs) return;
    pthread_mutex_destroy(&sqs->lock);
    free(sqs);
}
