// SPDX-License-Identifier: Apache-2.0
//
// source: see source.h. Which mappings there are, and when each one reads: as soon as its queue has changed, when a
// message becomes visible by time, or every POLL_MS in case both were missed.
//
// Concurrency. A mapping begins with five batches at a time, takes one more for each that succeeds (up to
// MaximumConcurrency, or CAP), and half when the function is throttled; it reads nothing that it could not hand on, so
// messages stay visible to others until there is room.
//
// A change of a mapping takes its place when nothing is being received; batches under way end as they began.
#include "events/source_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    FIRST_LIMIT = 5,
    CAP = 100,
    READERS = 4,
    TICK_MS = 100,
    POLL_MS = 20 * 1000,
    AGAIN_MS = 1000,
    ABSENT_MS = 5 * 1000, // the queue is not there
    BYTES_MAX = 128 * 1024 * 1024,
    SPEC_MAX = 1024 * 1024,
};

// ---- specifications -------------------------------------------------------------------------------------------------

static void spec_free(struct sl_source__spec *spec) {
    if (!spec) return;
    sl_arena_free(&spec->arena);
    free(spec);
}

// Checked when it was stored; what does not parse all the same lets everything through.
static struct sl_json *parse_filters(struct sl_arena *arena, struct sl_str text) {
    struct sl_json *document = NULL, *pattern, *list = sl_json_new_array(arena);
    if (!text.len || sl_json_parse(arena, text, &document, NULL)) return NULL;
    const struct sl_json *filters = sl_json_get(document, "Filters");
    for (const struct sl_json *each = filters ? filters->first : NULL; each; each = each->next) {
        if (sl_json_parse(arena, sl_json_string(each, "Pattern"), &pattern, NULL) == 0) sl_json_push(list, pattern);
    }
    return list && list->count ? list : NULL;
}

static struct sl_source__spec *spec_new(const struct sl_event_source *from) {
    struct sl_source__spec *spec = calloc(1, sizeof *spec);
    if (!spec) return NULL;
    struct sl_event_source *is = &spec->is;
    struct sl_str *const views[] = {&is->id,   &is->queue,     &is->account,      &is->region,
                                    &is->name, &is->qualifier, &is->function_arn, &is->filters};
    sl_arena_init(&spec->arena, SPEC_MAX);
    *is = *from;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) *views[i] = sl_arena_dup(&spec->arena, *views[i]);
    spec->filters = parse_filters(&spec->arena, is->filters);
    if (!sl_arena_failed(&spec->arena)) return spec;
    spec_free(spec);
    return NULL;
}

unsigned sl_source__cap(const struct sl_source__spec *spec) {
    return spec->is.max_concurrency ? spec->is.max_concurrency : CAP;
}

// ---- turns ----------------------------------------------------------------------------------------------------------

static bool ripe(const struct sl_source__mapping *mapping, int64_t now) {
    const struct sl_source__batch *batch = mapping->gather;
    const struct sl_event_source *spec = &mapping->spec->is;
    if (!batch || !batch->count) return false;
    return !spec->window_s || batch->full || batch->count >= batch->room ||
           now >= batch->started_ms + (int64_t)spec->window_s * 1000;
}

static void take_newer(struct sl_source__mapping *mapping) {
    if (!mapping->newer) return;
    bool moved = !sl_str_eq(mapping->newer->is.queue, mapping->spec->is.queue);
    spec_free(mapping->spec);
    mapping->spec = mapping->newer;
    mapping->newer = NULL;
    mapping->news = true;
    if (moved) mapping->queue = 0;
    unsigned cap = sl_source__cap(mapping->spec);
    mapping->limit = cap < FIRST_LIMIT ? cap : FIRST_LIMIT;
}

static void mapping_free(struct sl_source__mapping *mapping) {
    struct sl_source__mapping **at = &mapping->sources->mappings;
    while (*at != mapping) at = &(*at)->next;
    *at = mapping->next;
    spec_free(mapping->spec);
    spec_free(mapping->newer);
    free(mapping);
}

static void start(struct sl_source__batch *batch) {
    sl_buf_cstr(&batch->payload, "]}");
    batch->mapping->sources->bytes += batch->payload.len;
    sl_source__invoke(batch);
}

// Its messages are visible again at once.
static void give_back(struct sl_source__batch *batch) {
    batch->mapping->sources->bytes += batch->payload.len;
    sl_source__release(batch);
}

static bool may_read(const struct sl_source__mapping *mapping, int64_t now) {
    const struct sl_event_sources *sources = mapping->sources;
    unsigned most = mapping->spec->is.window_s ? 1 : mapping->readers_wanted;
    if (now < mapping->hold_until_ms || sources->bytes > BYTES_MAX || mapping->readers >= most) return false;
    if (!mapping->gather && mapping->in_flight >= mapping->limit) return false;
    return mapping->news || now >= mapping->next_ms;
}

// False: nothing was begun.
static bool read_more(struct sl_source__mapping *mapping, int64_t now) {
    struct sl_source__batch *batch = mapping->gather ? mapping->gather : sl_source__batch_new(mapping);
    mapping->next_ms = now + AGAIN_MS;
    if (!batch) return false;
    if (batch != mapping->gather) {
        mapping->in_flight++;
        atomic_fetch_add(&mapping->sources->busy, 1);
    }
    if (mapping->spec->is.window_s) mapping->gather = batch;
    mapping->readers++;
    // The others see what this one has left.
    mapping->news = mapping->readers < mapping->readers_wanted;
    if (sl_source__receive(batch)) return true;
    mapping->readers--;
    mapping->news = false;
    mapping->gather = NULL;
    sl_source__ended(batch);
    return false;
}

static bool idle(const struct sl_source__mapping *mapping) {
    return mapping->removed || mapping->sources->draining || !mapping->spec->is.enabled;
}

static void retry_waiting(struct sl_source__mapping *mapping, int64_t now) {
    struct sl_source__batch *batch = mapping->waiting;
    mapping->waiting = NULL;
    for (struct sl_source__batch *next; batch; batch = next) {
        next = batch->next;
        if (now >= batch->retry_ms || mapping->sources->draining) {
            sl_source__invoke(batch);
        } else {
            batch->next = mapping->waiting;
            mapping->waiting = batch;
        }
    }
}

static void turn(struct sl_source__mapping *mapping) {
    int64_t now = sl_clock_ms();
    if (mapping->waiting) retry_waiting(mapping, now);
    if (mapping->readers && (idle(mapping) || mapping->newer || mapping->spec->is.window_s)) return;
    if ((idle(mapping) || mapping->newer) && mapping->gather) {
        struct sl_source__batch *batch = mapping->gather;
        mapping->gather = NULL;
        give_back(batch);
    }
    take_newer(mapping);
    if (idle(mapping)) return;
    if (ripe(mapping, now)) {
        struct sl_source__batch *batch = mapping->gather;
        if (now < mapping->hold_until_ms) return;
        mapping->gather = NULL;
        start(batch);
    }
    while (may_read(mapping, now) && read_more(mapping, now)) {}
}

// What a turn begins may end at once and call this again: the outer call goes on then. It alone frees a mapping.
void sl_source__pump(struct sl_source__mapping *mapping) {
    mapping->again = true;
    if (mapping->pumping) return;
    mapping->pumping = true;
    while (mapping->again) {
        mapping->again = false;
        turn(mapping);
    }
    mapping->pumping = false;
    if (mapping->removed && !mapping->in_flight) mapping_free(mapping);
}

void sl_source__received(struct sl_source__mapping *mapping, struct sl_source__batch *batch, int result,
                         const struct sl_error *err) {
    int64_t now = sl_clock_ms();
    mapping->readers--;
    if (result) {
        if (result != SL_E_QUEUE_DOES_NOT_EXIST)
            sl_log_error("events", "read %.*s: %s", SL_FMT(batch->queue), err->message);
        mapping->next_ms = now + (result == SL_E_QUEUE_DOES_NOT_EXIST ? ABSENT_MS : AGAIN_MS);
        batch->count = 0; // undone: what the batch noted in this job was not received
    } else {
        mapping->queue = batch->got.queue;
        mapping->next_ms = batch->next_ms < now + POLL_MS ? batch->next_ms : now + POLL_MS;
        atomic_fetch_add(&mapping->sources->filtered, batch->passed);
        bool piled = batch->full || batch->count == batch->room;
        mapping->readers_wanted = !piled                              ? 1
                                  : mapping->readers_wanted < READERS ? mapping->readers_wanted + 1
                                                                      : READERS;
    }
    if (batch->count && !batch->started_ms) batch->started_ms = now;
    if (!batch->count) {
        mapping->gather = NULL;
        sl_source__ended(batch);
    } else if (batch == mapping->gather) {
        sl_source__pump(mapping);
    } else {
        if (idle(mapping))
            give_back(batch);
        else
            start(batch);
        sl_source__pump(mapping);
    }
}

void sl_source__ended(struct sl_source__batch *batch) {
    struct sl_source__mapping *mapping = batch->mapping;
    struct sl_event_sources *sources = mapping->sources;
    // Gathered batches are counted when they start or are given back.
    if (batch->invocation.user || batch->end == SL_SOURCE_SHOW) {
        sources->bytes -= batch->payload.len < sources->bytes ? batch->payload.len : sources->bytes;
        mapping->news = true;
    }
    mapping->in_flight--;
    atomic_fetch_sub(&sources->busy, 1);
    sl_source__batch_free(batch);
    sl_source__pump(mapping);
}

static void pump_all(struct sl_event_sources *sources) {
    for (struct sl_source__mapping *mapping = sources->mappings, *next; mapping; mapping = next) {
        next = mapping->next; // a removed one may go
        sl_source__pump(mapping);
    }
}

static void tick(struct sl_timer *timer) {
    struct sl_event_sources *sources = SL_CONTAINER(timer, struct sl_event_sources, timer);
    pump_all(sources);
    sl_timer_start(sources->config.loop, timer, TICK_MS, tick);
}

// ---- what others say ------------------------------------------------------------------------------------------------

static void woken(struct sl_mail *mail) {
    struct sl_event_sources *sources = SL_CONTAINER(mail, struct sl_event_sources, wake_mail);
    int64_t dirty[SL_SOURCE_DIRTY];
    pthread_mutex_lock(&sources->lock);
    unsigned count = sources->dirty_count;
    bool all = sources->dirty_all;
    memcpy(dirty, sources->dirty, count * sizeof *dirty);
    sources->dirty_count = 0;
    sources->dirty_all = sources->woken = false;
    pthread_mutex_unlock(&sources->lock);
    for (struct sl_source__mapping *mapping = sources->mappings, *next; mapping; mapping = next) {
        next = mapping->next;
        bool touched = all || !mapping->queue;
        for (unsigned i = 0; i < count && !touched; i++) touched = dirty[i] == mapping->queue;
        if (!touched) continue;
        mapping->news = true;
        sl_source__pump(mapping);
    }
}

void sl_event_sources_note(struct sl_event_sources *sources, int64_t queue) {
    if (!atomic_load_explicit(&sources->count, memory_order_relaxed)) return;
    pthread_mutex_lock(&sources->lock);
    bool known = false;
    for (unsigned i = 0; i < sources->dirty_count && !known; i++) known = sources->dirty[i] == queue;
    if (!known && sources->dirty_count == SL_SOURCE_DIRTY)
        sources->dirty_all = true;
    else if (!known)
        sources->dirty[sources->dirty_count++] = queue;
    bool post = !sources->woken;
    sources->woken = true;
    pthread_mutex_unlock(&sources->lock);
    if (post) sl_loop_post(sources->config.loop, &sources->wake_mail, woken);
}

// A new specification, or the end of one, on its way to loop 0.
struct order {
    struct sl_mail mail;
    struct sl_event_sources *sources;
    struct sl_source__spec *spec;
    bool remove;
};

static struct sl_source__mapping *find(struct sl_event_sources *sources, struct sl_str id) {
    struct sl_source__mapping *mapping = sources->mappings;
    while (mapping && (mapping->removed || !sl_str_eq(mapping->spec->is.id, id))) mapping = mapping->next;
    return mapping;
}

static void ordered(struct sl_mail *mail) {
    struct order *order = SL_CONTAINER(mail, struct order, mail);
    struct sl_event_sources *sources = order->sources;
    struct sl_source__mapping *mapping = find(sources, order->spec->is.id);
    if (order->remove) {
        spec_free(order->spec);
        if (mapping) mapping->removed = true;
        if (mapping) atomic_fetch_sub(&sources->count, 1);
    } else if (mapping) {
        spec_free(mapping->newer);
        mapping->newer = order->spec;
    } else if ((mapping = calloc(1, sizeof *mapping))) {
        mapping->sources = sources;
        mapping->spec = order->spec;
        mapping->news = true;
        mapping->readers_wanted = 1;
        mapping->limit = sl_source__cap(mapping->spec) < FIRST_LIMIT ? sl_source__cap(mapping->spec) : FIRST_LIMIT;
        mapping->next = sources->mappings;
        sources->mappings = mapping;
        atomic_fetch_add(&sources->count, 1);
    } else {
        spec_free(order->spec);
        sl_log_error("events", "no memory for an event source mapping");
    }
    free(order);
    if (mapping) sl_source__pump(mapping);
}

static void send_order(struct sl_event_sources *sources, const struct sl_event_source *source, bool remove) {
    struct order *order = calloc(1, sizeof *order);
    struct sl_source__spec *spec = order ? spec_new(source) : NULL;
    if (!spec) {
        free(order);
        sl_log_error("events", "no memory for event source mapping %.*s", SL_FMT(source->id));
        return;
    }
    *order = (struct order){.sources = sources, .spec = spec, .remove = remove};
    sl_loop_post(sources->config.loop, &order->mail, ordered);
}

void sl_event_sources_put(struct sl_event_sources *sources, const struct sl_event_source *source) {
    send_order(sources, source, false);
}

void sl_event_sources_remove(struct sl_event_sources *sources, struct sl_str id) {
    const struct sl_event_source source = {.id = id};
    send_order(sources, &source, true);
}

// ---- life -----------------------------------------------------------------------------------------------------------

int sl_event_sources_new(struct sl_event_sources **ret, const struct sl_event_sources_config *config,
                         struct sl_error *err) {
    struct sl_event_sources *sources = calloc(1, sizeof *sources);
    if (!sources) return sl_fail(err, SL_E_NO_MEMORY, "no memory for event sources");
    sources->config = *config;
    pthread_mutex_init(&sources->lock, NULL);
    *ret = sources;
    return 0;
}

void sl_event_sources_start(struct sl_event_sources *sources) {
    sl_timer_start(sources->config.loop, &sources->timer, TICK_MS, tick);
}

void sl_event_sources_drain(struct sl_event_sources *sources) {
    sources->draining = true;
    sl_timer_stop(&sources->timer);
    pump_all(sources);
}

unsigned sl_event_sources_busy(const struct sl_event_sources *sources) { return atomic_load(&sources->busy); }

void sl_event_sources_free(struct sl_event_sources *sources) {
    if (!sources) return;
    while (sources->mappings) {
        struct sl_source__mapping *mapping = sources->mappings;
        sources->mappings = mapping->next;
        sl_source__batch_free(mapping->gather);
        spec_free(mapping->spec);
        spec_free(mapping->newer);
        free(mapping);
    }
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

static void metric(struct sl_buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    sl_buf_printf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\nsluice_%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

void sl_event_sources_metrics(struct sl_event_sources *sources, struct sl_buf *out) {
    metric(out, "source_mappings", "gauge", "Event source mappings.", atomic_load(&sources->count));
    metric(out, "source_messages_total", "counter", "Messages handed to functions.", atomic_load(&sources->messages));
    metric(out, "source_batches_total", "counter", "Batches handed to functions.", atomic_load(&sources->batches));
    metric(out, "source_failed_total", "counter", "Batches that failed, whole or in part.",
           atomic_load(&sources->failed));
    metric(out, "source_filtered_total", "counter", "Messages that no filter wanted.", atomic_load(&sources->filtered));
}
