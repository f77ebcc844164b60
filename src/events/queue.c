// SPDX-License-Identifier: Apache-2.0
//
// queue: see queue.h. Here are accepting, the life of the queue, and what it says of itself. Memory is bounded whatever
// the store holds (lane.c).
#include "events/internal.h"

#include "base/clock.h"

#include <stdlib.h>

// ---- accepting ----------------------------------------------------------------------------------------------------

struct accept {
    struct sl_store_job job;
    struct sl_event_queue *queue;
    struct sl_event event;
    void (*accepted)(void *, int, const struct sl_error *);
    void *user;
};

// Only here may the letter be sent again: until now it stood in the mailbox.
static void woken(struct sl_mail *mail) {
    struct sl_event_queue *queue = SL_CONTAINER(mail, struct sl_event_queue, wake_mail);
    pthread_mutex_lock(&queue->lock);
    queue->woken = false;
    pthread_mutex_unlock(&queue->lock);
    sl_events__pump(queue);
}

void sl_event_queue_note(struct sl_event_queue *queue, int64_t lane) {
    pthread_mutex_lock(&queue->lock);
    bool known = queue->dirty_count && queue->dirty[queue->dirty_count - 1] == lane;
    if (!known && queue->dirty_count == SL_EVENTS_DIRTY)
        queue->dirty_all = true;
    else if (!known)
        queue->dirty[queue->dirty_count++] = lane;
    bool post = !queue->woken;
    queue->woken = true;
    pthread_mutex_unlock(&queue->lock);
    if (post) sl_loop_post(queue->config.loop, &queue->wake_mail, woken);
}

static int accept_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_event_append(tx, &SL_CONTAINER(job, struct accept, job)->event, err);
}

void sl_events__measure(const struct sl_event_queue *queue, const struct sl_event_measured *measured) {
    if (queue->config.measured) queue->config.measured(queue->config.measured_user, measured);
}

static void accept_committed(struct sl_store_job *job) {
    struct accept *accept = SL_CONTAINER(job, struct accept, job);
    const struct sl_event *event = &accept->event;
    const struct sl_event_measured measured = {
        .function = event->function, .at_ms = event->accepted_ms, .received = true};
    atomic_fetch_add(&accept->queue->accepted, 1);
    sl_events__measure(accept->queue, &measured);
    sl_event_queue_note(accept->queue, sl_event_lane(accept->event.function));
}

static void accept_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct accept *accept = SL_CONTAINER(job, struct accept, job);
    accept->accepted(accept->user, result, err);
    free(accept);
}

int sl_event_accept(struct sl_event_queue *queue, const struct sl_event *event,
                    void (*accepted)(void *user, int result, const struct sl_error *err), void *user,
                    struct sl_error *err) {
    struct accept *accept = calloc(1, sizeof *accept);
    if (!accept) return sl_fail(err, SL_E_NO_MEMORY, "no memory for an event");
    *accept = (struct accept){
        .job = {.run = accept_run, .committed = accept_committed, .done = accept_done, .one_write = true},
        .queue = queue,
        .event = *event,
        .accepted = accepted,
        .user = user};
    accept->event.accepted_ms = accept->event.due_ms = sl_clock_ms();
    if (sl_store_submit(queue->config.store, &accept->job, err) == 0) return 0;
    free(accept);
    return err->kind;
}

// ---- life -----------------------------------------------------------------------------------------------------------

int sl_event_queue_new(struct sl_event_queue **ret, const struct sl_event_queue_config *config, struct sl_error *err) {
    struct sl_event_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return sl_fail(err, SL_E_NO_MEMORY, "no memory for the event queue");
    queue->config = *config;
    queue->active_end = &queue->active;
    pthread_mutex_init(&queue->lock, NULL);
    *ret = queue;
    return 0;
}

void sl_event_queue_start(struct sl_event_queue *queue) {
    sl_events__scan(queue);
    sl_timer_start(queue->config.loop, &queue->timer, 0, sl_events__tick);
}

// What was taken and has not begun stays stored.
void sl_event_queue_drain(struct sl_event_queue *queue) {
    queue->draining = true;
    sl_timer_stop(&queue->timer);
    for (unsigned i = 0; i < SL_EVENTS_BUCKETS; i++) {
        for (struct sl_events__lane *lane = queue->buckets[i]; lane; lane = lane->next_in_bucket) {
            lane->ready = NULL;
            lane->ready_end = &lane->ready;
            for (struct sl_events__job *job = lane->taken, *next; job; job = next) {
                next = job->next;
                if (!job->running) sl_events__release(job);
            }
        }
    }
}

unsigned sl_event_queue_busy(const struct sl_event_queue *queue) {
    return atomic_load(&queue->unsettled) + atomic_load(&queue->loads);
}

void sl_event_queue_free(struct sl_event_queue *queue) {
    if (!queue) return;
    sl_events__free_lanes(queue);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static void metric(struct sl_buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    sl_buf_printf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\nsluice_%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

void sl_event_queue_metrics(struct sl_event_queue *queue, struct sl_buf *out) {
    metric(out, "events_accepted_total", "counter", "Asynchronous events stored.", atomic_load(&queue->accepted));
    metric(out, "events_executed_total", "counter", "Attempts that ran.", atomic_load(&queue->executed));
    metric(out, "events_failed_total", "counter", "Attempts that failed.", atomic_load(&queue->failed));
    metric(out, "events_held_total", "counter", "Attempts put off by a throttle or fault.", atomic_load(&queue->held));
    metric(out, "events_dead_total", "counter", "Events given up.", atomic_load(&queue->dead));
    metric(out, "events_in_memory", "gauge", "Events taken and not settled.", sl_event_queue_busy(queue));
}
