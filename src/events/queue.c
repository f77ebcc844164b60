// SPDX-License-Identifier: Apache-2.0
//
// queue: see queue.h. New events are read from the store once, in order of their ids (`cursor`); an event that must run
// again is kept in memory as (id, due) only and read again when it is due. So memory is bounded whatever the store
// holds.
#include "events/queue.h"

#include "base/clock.h"
#include "base/log.h"
#include "invoke/alias.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_ATTEMPTS = 3, // defaults; a function's EventInvokeConfig may ask for less
    RETRY_1_MS = 60 * 1000,
    RETRY_2_MS = 120 * 1000,
    BACKOFF_MIN_MS = 1000,
    BACKOFF_MAX_MS = 5 * 60 * 1000,
    MAX_AGE_MS = 6 * 60 * 60 * 1000,
    BATCH = 32,
    WAITING_MAX = 4096, // events waiting for a retry; with more, new ones are not read until some are settled
    POLL_MS = 250,      // the clock may be moved by tests, so due times are compared at least this often
    ARENA_MAX = 64 * 1024 * 1024,
};

struct waiting {
    int64_t id, due_ms;
};

struct sl_event_queue {
    struct sl_event_queue_config config;
    struct sl_timer timer;
    int64_t cursor; // every event up to this id has been read once
    bool loading, draining, more;
    atomic_bool woken;
    unsigned running;
    atomic_uint unsettled;
    struct waiting *waiting;
    unsigned waiting_count;
    struct sl_mail wake_mail;
};

// An event in execution.
struct job {
    struct sl_invocation invocation;
    struct sl_event_queue *queue;
    struct sl_event event;
    struct sl_arena arena;
    struct sl_store_job settle;
    int64_t next_due_ms;   // of a reschedule; 0: remove
    unsigned max_attempts; // the function's, when this attempt began
    int64_t max_age_ms;
    unsigned backoff;
};

static void pump(struct sl_event_queue *queue);

// ---- accepting ----------------------------------------------------------------------------------------------------

struct accept {
    struct sl_store_job job;
    struct sl_event_queue *queue;
    struct sl_event event;
    void (*accepted)(void *, int, const struct sl_error *);
    void *user;
};

static void woken(struct sl_mail *mail) {
    struct sl_event_queue *queue = SL_CONTAINER(mail, struct sl_event_queue, wake_mail);
    atomic_store(&queue->woken, false);
    queue->more = true;
    pump(queue);
}

static void wake(struct sl_event_queue *queue) {
    if (!atomic_exchange(&queue->woken, true)) sl_loop_post(queue->config.loop, &queue->wake_mail, woken);
}

static int accept_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_event_append(tx, &SL_CONTAINER(job, struct accept, job)->event, err);
}

static void accept_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct accept *accept = SL_CONTAINER(job, struct accept, job);
    if (result == 0) wake(accept->queue);
    accept->accepted(accept->user, result, err);
    free(accept);
}

int sl_event_accept(struct sl_event_queue *queue, const struct sl_event *event,
                    void (*accepted)(void *user, int result, const struct sl_error *err), void *user,
                    struct sl_error *err) {
    struct accept *accept = calloc(1, sizeof *accept);
    if (!accept) return sl_fail(err, SL_E_NO_MEMORY, "no memory for an event");
    *accept = (struct accept){.job = {.run = accept_run, .done = accept_done, .one_write = true},
                              .queue = queue,
                              .event = *event,
                              .accepted = accepted,
                              .user = user};
    accept->event.accepted_ms = accept->event.due_ms = sl_clock_ms();
    if (sl_store_submit(queue->config.store, &accept->job, err) == 0) return 0;
    free(accept);
    return err->kind;
}

// ---- settling -------------------------------------------------------------------------------------------------------

static void wait_for(struct sl_event_queue *queue, int64_t id, int64_t due_ms) {
    // The bound is kept by `may_load`: room for every running event is always left.
    queue->waiting[queue->waiting_count++] = (struct waiting){id, due_ms};
}

static int settle_run(struct sl_store_job *settle, struct sl_store_tx *tx, struct sl_error *err) {
    struct job *job = SL_CONTAINER(settle, struct job, settle);
    if (job->next_due_ms) return sl_event_reschedule(tx, job->event.id, job->next_due_ms, job->event.attempts, err);
    return sl_event_remove(tx, job->event.id, err);
}

static void settle_done(struct sl_store_job *settle, int result, const struct sl_error *err) {
    struct job *job = SL_CONTAINER(settle, struct job, settle);
    struct sl_event_queue *queue = job->queue;
    if (result) {
        // It stays stored as it was, so it runs again: late, but not lost.
        sl_log_error("events", "settle event %lld: %s", (long long)job->event.id, err->message);
        job->next_due_ms = sl_clock_ms() + BACKOFF_MAX_MS;
    }
    if (job->next_due_ms) wait_for(queue, job->event.id, job->next_due_ms);
    queue->running--;
    atomic_fetch_sub(&queue->unsettled, 1);
    sl_arena_free(&job->arena);
    free(job);
    pump(queue);
}

static void settle(struct job *job) {
    struct sl_error err;
    job->settle = (struct sl_store_job){.run = settle_run, .done = settle_done, .one_write = true};
    if (sl_store_submit(job->queue->config.store, &job->settle, &err)) settle_done(&job->settle, err.kind, &err);
}

static void discard(struct job *job, const char *why) {
    sl_log_warn("events", "event %s for %.*s discarded: %s", job->event.request_id, SL_FMT(job->event.function), why);
    job->next_due_ms = 0;
    settle(job);
}

static int64_t backoff_ms(const struct job *job) {
    // The age tells how often it was tried: double the wait each time, as AWS does, without storing a second counter.
    int64_t age = sl_clock_ms() - job->event.accepted_ms;
    if (age < BACKOFF_MIN_MS) return BACKOFF_MIN_MS;
    return age > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : age;
}

static void executed(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct job *job = invocation->user;
    int64_t now = sl_clock_ms();
    if (result->outcome == SL_INVOCATION_OK) {
        job->next_due_ms = 0;
        settle(job);
    } else if (result->outcome == SL_INVOCATION_ERROR) {
        job->event.attempts++;
        job->next_due_ms = now + (job->event.attempts == 1 ? RETRY_1_MS : RETRY_2_MS);
        if (job->event.attempts >= job->max_attempts) {
            discard(job, "it failed in every attempt");
            return;
        }
        if (job->next_due_ms - job->event.accepted_ms > job->max_age_ms) {
            discard(job, "its maximum age comes before the next attempt");
            return;
        }
        settle(job);
    } else if (result->error->kind == SL_E_RESOURCE_NOT_FOUND) {
        discard(job, "the function no longer exists");
    } else if (now - job->event.accepted_ms > job->max_age_ms) {
        discard(job, "it is older than its maximum age");
    } else {
        job->next_due_ms = now + backoff_ms(job);
        settle(job);
    }
}

// ---- executing ------------------------------------------------------------------------------------------------------

// "arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]", as the Invoke operation stored it.
static bool name_function(struct sl_str arn, struct sl_invocation *invocation) {
    struct sl_str rest = arn, part[8] = {{NULL, 0}};
    for (unsigned i = 0; i < 8 && sl_str_split(&rest, ':', &part[i]); i++) {}
    invocation->region = part[3];
    invocation->account = part[4];
    invocation->name = part[6];
    invocation->version = part[7];
    invocation->invoked_arn = arn;
    return part[6].len != 0;
}

// As configured for the qualifier that was invoked; read for each attempt, as a change holds for events already queued.
static void read_limits(struct job *job) {
    const struct sl_invocation *invocation = &job->invocation;
    const struct sl_function *function = sl_callable_find(job->queue->config.invoker, invocation->account,
                                                          invocation->region, invocation->name, invocation->version);
    job->max_attempts = function && function->event_attempts ? function->event_attempts : MAX_ATTEMPTS;
    job->max_age_ms = function && function->event_age_s ? (int64_t)function->event_age_s * 1000 : MAX_AGE_MS;
}

static void execute(struct sl_event_queue *queue, const struct sl_event *event) {
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        wait_for(queue, event->id, sl_clock_ms() + BACKOFF_MIN_MS);
        return;
    }
    queue->running++;
    atomic_fetch_add(&queue->unsettled, 1);
    job->queue = queue;
    sl_arena_init(&job->arena, ARENA_MAX);
    job->event = *event;
    job->event.function = sl_arena_dup(&job->arena, event->function);
    job->event.payload = sl_arena_dup(&job->arena, event->payload);
    job->event.context = sl_arena_dup(&job->arena, event->context);
    struct sl_invocation *invocation = &job->invocation;
    if (!name_function(job->event.function, invocation) || sl_arena_failed(&job->arena)) {
        discard(job, "it cannot be read");
        return;
    }
    invocation->payload = job->event.payload;
    struct sl_json *context = NULL;
    if (job->event.context.len && sl_json_parse(&job->arena, job->event.context, &context, NULL) == 0) {
        invocation->client_context = sl_json_string(context, "client");
        invocation->trace_id = sl_json_string(context, "trace");
    }
    read_limits(job);
    invocation->version =
        sl_alias_resolve(&job->arena, invocation->account, invocation->region, invocation->name, invocation->version);
    memcpy(invocation->request_id, job->event.request_id, sizeof invocation->request_id);
    invocation->done = executed;
    invocation->user = job;
    sl_invoke(queue->config.invoker, invocation);
}

// ---- reading --------------------------------------------------------------------------------------------------------

struct load {
    struct sl_store_job job;
    struct sl_event_queue *queue;
    struct sl_arena arena;
    int64_t after;
    unsigned limit;
    bool again; // one event that is due again, not the next new ones
    struct sl_event *events;
    unsigned count;
};

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    return sl_event_load(tx, &load->arena, INT64_MAX, load->after, load->limit, &load->events, &load->count, err);
}

static void load_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    struct sl_event_queue *queue = load->queue;
    queue->loading = false;
    if (result) sl_log_error("events", "read events: %s", err->message);
    int64_t now = sl_clock_ms();
    for (unsigned i = 0; result == 0 && i < load->count; i++) {
        const struct sl_event *event = &load->events[i];
        if (load->again && event->id != load->after + 1) continue; // settled by somebody else meanwhile
        if (!load->again) queue->cursor = event->id;
        if (event->due_ms > now)
            wait_for(queue, event->id, event->due_ms);
        else
            execute(queue, event);
    }
    if (!load->again) queue->more = result == 0 && load->count == load->limit;
    sl_arena_free(&load->arena);
    free(load);
    pump(queue);
}

static void load(struct sl_event_queue *queue, int64_t after, unsigned limit, bool again) {
    struct load *load = calloc(1, sizeof *load);
    struct sl_error err;
    if (!load) return;
    *load = (struct load){.job = {.run = load_run, .done = load_done, .read_only = true},
                          .queue = queue,
                          .after = after,
                          .limit = limit,
                          .again = again};
    sl_arena_init(&load->arena, ARENA_MAX);
    queue->loading = true;
    if (sl_store_submit(queue->config.store, &load->job, &err)) {
        queue->loading = false;
        free(load);
    }
}

// Reads what can be executed now; called whenever something changed and from the timer.
static void pump(struct sl_event_queue *queue) {
    if (queue->loading || queue->draining || queue->running >= queue->config.max_running) return;
    int64_t now = sl_clock_ms();
    for (unsigned i = 0; i < queue->waiting_count; i++) {
        if (queue->waiting[i].due_ms > now) continue;
        int64_t id = queue->waiting[i].id;
        queue->waiting[i] = queue->waiting[--queue->waiting_count];
        load(queue, id - 1, 1, true);
        return;
    }
    unsigned room = queue->config.max_running - queue->running;
    if (queue->more && queue->waiting_count + queue->config.max_running + BATCH < WAITING_MAX) {
        load(queue, queue->cursor, room < BATCH ? room : BATCH, false);
    }
}

static void tick(struct sl_timer *timer) {
    struct sl_event_queue *queue = SL_CONTAINER(timer, struct sl_event_queue, timer);
    pump(queue);
    sl_timer_start(queue->config.loop, timer, POLL_MS, tick);
}

// ---- life -----------------------------------------------------------------------------------------------------------

int sl_event_queue_new(struct sl_event_queue **ret, const struct sl_event_queue_config *config, struct sl_error *err) {
    struct sl_event_queue *queue = calloc(1, sizeof *queue);
    if (queue) queue->waiting = calloc(WAITING_MAX + config->max_running, sizeof *queue->waiting);
    if (!queue || !queue->waiting) {
        free(queue);
        return sl_fail(err, SL_E_NO_MEMORY, "no memory for the event queue");
    }
    queue->config = *config;
    queue->more = true;
    *ret = queue;
    return 0;
}

void sl_event_queue_start(struct sl_event_queue *queue) {
    pump(queue);
    sl_timer_start(queue->config.loop, &queue->timer, POLL_MS, tick);
}

void sl_event_queue_drain(struct sl_event_queue *queue) { queue->draining = true; }

unsigned sl_event_queue_busy(const struct sl_event_queue *queue) { return atomic_load(&queue->unsettled); }

void sl_event_queue_free(struct sl_event_queue *queue) {
    if (!queue) return;
    free(queue->waiting);
    free(queue);
}
