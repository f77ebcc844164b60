// SPDX-License-Identifier: Apache-2.0
//
// lane: which event is executed next. Every function with stored events has a lane; the store keeps each lane in order
// of due times (store/event.c). Here a lane is a few words: when to look at it next, what was taken from it, and how
// long it is held back.
//
//   accept ─► dirty ─► lane ─load─► taken, ready ─► running ─► settling ─► gone
//                        ▲                            │ refused: held, let go (nothing is written)
//                        └────── retry: due later ◄───┘
//
// Fairness. Active lanes take turns, one step each. A lane may run as many events at once as there are free places left
// after that, so one function alone gets half of the places, two a third each, and a newcomer always finds some free: a
// function that hangs for fifteen minutes cannot occupy them all.
//
// Bounds: lanes: one per function with stored events; events in memory: at most two loads per lane beyond those that
// run, and BYTES_MAX of payload over all.
//
// Wake-ups are hints. What is missed (a load that failed, a note that did not fit) is found by the scan over all lanes
// that runs every minute.
#include "events/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    BATCH = 32,
    BATCH_BYTES = 8 * 1024 * 1024,
    BYTES_MAX = 128 * 1024 * 1024,
    LOAD_ARENA = 80 * 1024 * 1024,
    TICK_MS = 100, // the clock may be moved by tests, so due times are compared at least this often
    SCAN_MS = 60 * 1000,
    SCAN_PAGE = 1024,
    EXPIRE_MS = 60 * 60 * 1000,
    AGAIN_MS = 1000, // after a load that failed
};
#define DEAD_KEPT_MS (INT64_C(14) * 24 * 60 * 60 * 1000)

// ---- lanes ----------------------------------------------------------------------------------------------------------

static struct sl_events__lane **bucket_of(struct sl_event_queue *queue, int64_t id) {
    return &queue->buckets[((uint64_t)id >> 8) % SL_EVENTS_BUCKETS]; // ids are hashes
}

static struct sl_events__lane *lane_get(struct sl_event_queue *queue, int64_t id) {
    struct sl_events__lane **bucket = bucket_of(queue, id), *lane = *bucket;
    while (lane && lane->id != id) lane = lane->next_in_bucket;
    if (lane) return lane;
    lane = calloc(1, sizeof *lane);
    if (!lane) return NULL; // the next scan finds it
    lane->queue = queue;
    lane->id = id;
    lane->next_ms = lane->news_ms = INT64_MAX;
    lane->ready_end = &lane->ready;
    lane->next_in_bucket = *bucket;
    *bucket = lane;
    return lane;
}

static void lane_free(struct sl_events__lane *lane) {
    struct sl_events__lane **at = bucket_of(lane->queue, lane->id);
    while (*at != lane) at = &(*at)->next_in_bucket;
    *at = lane->next_in_bucket;
    free(lane);
}

static void activate(struct sl_events__lane *lane) {
    struct sl_event_queue *queue = lane->queue;
    if (lane->active) return;
    lane->active = true;
    lane->next_active = NULL;
    *queue->active_end = lane;
    queue->active_end = &lane->next_active;
    queue->active_count++;
}

void sl_events__due(struct sl_event_queue *queue, int64_t id, int64_t due_ms) {
    struct sl_events__lane *lane = lane_get(queue, id);
    if (!lane) return;
    int64_t *at = lane->loading ? &lane->news_ms : &lane->next_ms;
    if (due_ms < *at) *at = due_ms;
    activate(lane);
}

void sl_events__release(struct sl_events__job *job) {
    struct sl_events__lane *lane = job->lane;
    struct sl_event_queue *queue = job->queue;
    *job->prev = job->next;
    if (job->next) job->next->prev = job->prev;
    lane->taken_count--;
    queue->bytes -= job->event.payload.len;
    if (job->running) {
        lane->running--;
        queue->running--;
    }
    atomic_fetch_sub(&queue->unsettled, 1);
    sl_arena_free(&job->arena);
    free(job);
    activate(lane);
}

static void let_go_of_ready(struct sl_events__lane *lane) {
    struct sl_events__job *job = lane->ready;
    lane->ready = NULL;
    lane->ready_end = &lane->ready;
    for (struct sl_events__job *next; job; job = next) {
        next = job->next_ready;
        sl_events__due(lane->queue, lane->id, job->event.due_ms);
        sl_events__release(job);
    }
}

void sl_events__hold(struct sl_events__lane *lane) {
    int64_t now = sl_clock_ms();
    // While something of the lane runs, its end is the best sign that there is room again.
    if (lane->running > 1) {
        lane->held_until_ms = now + SL_EVENT_HOLD_MIN_MS;
    } else if (lane->held_until_ms <= now) {
        lane->hold_ms = lane->hold_ms ? 2 * lane->hold_ms : SL_EVENT_HOLD_MIN_MS;
        if (lane->hold_ms > SL_EVENT_HOLD_MAX_MS) lane->hold_ms = SL_EVENT_HOLD_MAX_MS;
        lane->held_until_ms = now + lane->hold_ms;
    }
    atomic_fetch_add(&lane->queue->held, 1);
    let_go_of_ready(lane);
}

// ---- loading --------------------------------------------------------------------------------------------------------

struct load {
    struct sl_store_job job;
    struct sl_events__lane *lane;
    struct sl_event_due due;
    struct sl_arena arena;
};

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    return sl_event_due(tx, &load->arena, &load->due, err);
}

static bool take(struct sl_events__lane *lane, const struct sl_event *event) {
    struct sl_event_queue *queue = lane->queue;
    struct sl_events__job *job = calloc(1, sizeof *job);
    if (!job) return false;
    job->queue = queue;
    job->lane = lane;
    sl_arena_init(&job->arena, SL_EVENTS_ARENA);
    job->event = *event;
    job->event.function = sl_arena_dup(&job->arena, event->function);
    job->event.payload = sl_arena_dup(&job->arena, event->payload);
    job->event.context = sl_arena_dup(&job->arena, event->context);
    if (sl_arena_failed(&job->arena)) {
        sl_arena_free(&job->arena);
        free(job);
        return false;
    }
    job->next = lane->taken;
    job->prev = &lane->taken;
    if (job->next) job->next->prev = &job->next;
    lane->taken = job;
    lane->taken_count++;
    *lane->ready_end = job;
    lane->ready_end = &job->next_ready;
    queue->bytes += event->payload.len;
    atomic_fetch_add(&queue->unsettled, 1);
    return true;
}

static void load_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    struct sl_events__lane *lane = load->lane;
    struct sl_event_queue *queue = lane->queue;
    lane->loading = false;
    queue->loads--;
    if (result) {
        sl_log_error("events", "read events: %s", err->message);
        load->due.next_ms = sl_clock_ms() + AGAIN_MS;
    }
    for (unsigned i = 0; !result && !queue->draining && i < load->due.count; i++) {
        if (take(lane, &load->due.events[i])) continue;
        load->due.next_ms = sl_clock_ms() + AGAIN_MS;
        break;
    }
    lane->next_ms = load->due.next_ms < lane->news_ms ? load->due.next_ms : lane->news_ms;
    lane->news_ms = INT64_MAX;
    activate(lane);
    sl_arena_free(&load->arena);
    free(load);
    sl_events__pump(queue);
}

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool list_taken(const struct sl_events__lane *lane, struct load *load) {
    int64_t *ids = sl_arena_alloc(&load->arena, (lane->taken_count + 1) * sizeof *ids);
    unsigned count = 0;
    for (const struct sl_events__job *job = lane->taken; ids && job; job = job->next) ids[count++] = job->event.id;
    if (ids) qsort(ids, count, sizeof *ids, compare_ids);
    load->due.taken = ids;
    load->due.taken_count = count;
    return ids != NULL;
}

static void load_start(struct sl_events__lane *lane, int64_t now) {
    struct sl_event_queue *queue = lane->queue;
    struct load *load = calloc(1, sizeof *load);
    struct sl_error err;
    lane->next_ms = now + AGAIN_MS; // unless the load says better
    if (!load) return;
    sl_arena_init(&load->arena, LOAD_ARENA);
    load->job = (struct sl_store_job){.run = load_run, .done = load_done, .read_only = true};
    load->lane = lane;
    load->due = (struct sl_event_due){.lane = lane->id, .now_ms = now, .limit = BATCH, .bytes = BATCH_BYTES};
    lane->loading = true;
    lane->news_ms = INT64_MAX;
    queue->loads++;
    if (list_taken(lane, load) && sl_store_submit(queue->config.store, &load->job, &err) == 0) return;
    lane->loading = false;
    queue->loads--;
    sl_arena_free(&load->arena);
    free(load);
}

// ---- turns ----------------------------------------------------------------------------------------------------------

enum step { STEP_NONE, STEP_BLOCKED, STEP_DID };

static enum step run_one(struct sl_events__lane *lane) {
    struct sl_event_queue *queue = lane->queue;
    unsigned free_places = queue->config.max_running - queue->running;
    if (lane->running >= free_places) return STEP_BLOCKED;
    struct sl_events__job *job = lane->ready;
    lane->ready = job->next_ready;
    if (!lane->ready) lane->ready_end = &lane->ready;
    job->running = true;
    lane->running++;
    queue->running++;
    sl_events__execute(job);
    return STEP_DID;
}

static enum step step(struct sl_events__lane *lane) {
    struct sl_event_queue *queue = lane->queue;
    int64_t now = sl_clock_ms();
    if (queue->draining || lane->held_until_ms > now) return STEP_NONE;
    if (lane->ready) return run_one(lane);
    if (lane->loading || lane->next_ms > now) return STEP_NONE;
    if (queue->bytes > BYTES_MAX || lane->running >= queue->config.max_running - queue->running) return STEP_BLOCKED;
    load_start(lane, now);
    return STEP_DID;
}

static struct sl_events__lane *pop_active(struct sl_event_queue *queue) {
    struct sl_events__lane *lane = queue->active;
    queue->active = lane->next_active;
    if (!queue->active) queue->active_end = &queue->active;
    queue->active_count--;
    lane->active = false;
    return lane;
}

static void take_dirty(struct sl_event_queue *queue) {
    int64_t now = sl_clock_ms();
    pthread_mutex_lock(&queue->lock);
    unsigned count = queue->dirty_count;
    int64_t dirty[SL_EVENTS_DIRTY];
    memcpy(dirty, queue->dirty, count * sizeof *dirty);
    bool all = queue->dirty_all;
    queue->dirty_count = 0;
    queue->dirty_all = false;
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < count; i++) sl_events__due(queue, dirty[i], now);
    if (all) sl_events__scan(queue);
}

// An execution may end, and so call this again, before it returns: the outer call goes on then.
void sl_events__pump(struct sl_event_queue *queue) {
    if (queue->pumping) return;
    queue->pumping = true;
    take_dirty(queue);
    for (unsigned blocked = 0; queue->active && blocked < queue->active_count;) {
        struct sl_events__lane *lane = pop_active(queue);
        enum step did = step(lane);
        blocked = did == STEP_BLOCKED ? blocked + 1 : 0;
        if (did != STEP_NONE) {
            activate(lane);
        } else if (!lane->active && !lane->loading && !lane->taken && lane->next_ms == INT64_MAX) {
            lane_free(lane);
        }
    }
    queue->pumping = false;
}

// ---- scanning -------------------------------------------------------------------------------------------------------

struct scan {
    struct sl_store_job job;
    struct sl_event_queue *queue;
    int64_t after;
    int64_t lanes[SCAN_PAGE], due_ms[SCAN_PAGE];
    unsigned count;
};

static int scan_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct scan *scan = SL_CONTAINER(job, struct scan, job);
    int64_t after = scan->after;
    for (scan->count = 0; scan->count < SCAN_PAGE; scan->count++) {
        int result = sl_event_lane_after(tx, after, &scan->lanes[scan->count], &scan->due_ms[scan->count], err);
        if (result) return result == SL_E_NOT_FOUND ? 0 : result;
        after = scan->lanes[scan->count];
    }
    return 0;
}

static void scan_page(struct scan *scan);

static void scan_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct scan *scan = SL_CONTAINER(job, struct scan, job);
    struct sl_event_queue *queue = scan->queue;
    queue->loads--;
    if (result) sl_log_error("events", "look for events: %s", err->message);
    for (unsigned i = 0; !result && i < scan->count; i++) sl_events__due(queue, scan->lanes[i], scan->due_ms[i]);
    if (!result && scan->count == SCAN_PAGE && !queue->draining) {
        scan->after = scan->lanes[SCAN_PAGE - 1];
        scan_page(scan);
        return;
    }
    queue->scanning = false;
    free(scan);
    sl_events__pump(queue);
}

static void scan_page(struct scan *scan) {
    struct sl_event_queue *queue = scan->queue;
    struct sl_error err;
    scan->job = (struct sl_store_job){.run = scan_run, .done = scan_done, .read_only = true};
    queue->loads++;
    if (sl_store_submit(queue->config.store, &scan->job, &err) == 0) return;
    queue->loads--;
    queue->scanning = false;
    free(scan);
}

void sl_events__scan(struct sl_event_queue *queue) {
    if (queue->scanning || queue->draining) return;
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan) return;
    queue->scanning = true;
    queue->scan_at_ms = sl_clock_ms() + SCAN_MS;
    scan->queue = queue;
    scan_page(scan);
}

struct expire {
    struct sl_store_job job;
    struct sl_event_queue *queue;
    int64_t before_ms;
};

static int expire_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_dead_expire(tx, SL_CONTAINER(job, struct expire, job)->before_ms, err);
}

static void expire_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct expire *expire = SL_CONTAINER(job, struct expire, job);
    expire->queue->loads--;
    if (result) sl_log_warn("events", "forget old dead events: %s", err->message);
    free(expire);
}

static void expire_dead(struct sl_event_queue *queue, int64_t now) {
    struct expire *expire = calloc(1, sizeof *expire);
    struct sl_error err;
    queue->expire_at_ms = now + EXPIRE_MS;
    if (!expire) return;
    *expire = (struct expire){
        .job = {.run = expire_run, .done = expire_done}, .queue = queue, .before_ms = now - DEAD_KEPT_MS};
    queue->loads++;
    if (sl_store_submit(queue->config.store, &expire->job, &err) == 0) return;
    queue->loads--;
    free(expire);
}

void sl_events__tick(struct sl_timer *timer) {
    struct sl_event_queue *queue = SL_CONTAINER(timer, struct sl_event_queue, timer);
    int64_t now = sl_clock_ms();
    if (queue->draining) return;
    for (unsigned i = 0; i < SL_EVENTS_BUCKETS; i++) {
        for (struct sl_events__lane *lane = queue->buckets[i]; lane; lane = lane->next_in_bucket)
            if (lane->ready || lane->next_ms <= now) activate(lane);
    }
    if (now >= queue->scan_at_ms) sl_events__scan(queue);
    if (now >= queue->expire_at_ms) expire_dead(queue, now);
    sl_events__pump(queue);
    sl_timer_start(queue->config.loop, timer, TICK_MS, sl_events__tick);
}

void sl_events__free_lanes(struct sl_event_queue *queue) {
    for (unsigned i = 0; i < SL_EVENTS_BUCKETS; i++) {
        for (struct sl_events__lane *lane = queue->buckets[i], *after; lane; lane = after) {
            after = lane->next_in_bucket;
            for (struct sl_events__job *job = lane->taken, *next; job; job = next) {
                next = job->next;
                sl_events__release(job);
            }
            lane_free(lane);
        }
    }
}
