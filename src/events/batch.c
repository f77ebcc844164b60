// SPDX-License-Identifier: Apache-2.0
//
// batch: one batch of messages: received (and filtered) inside one transaction, handed to the function, and deleted
// when it has processed them.
//
//   receive ─► gather ─► invoke ─┬ success            ─► delete (all, or all but the reported failures)
//      ▲          │              ├ function error     ─► forgotten: visible again after the queue's timeout
//      └──────────┘              ├ throttled          ─► tried again until that time is near
//                                └ recursive loop     ─► dead-letter queue of the queue
//
// What a filter drops is deleted in the transaction that received it, and what has been round a loop too often goes to
// the dead-letter queue in it. A message whose lineage says so is found before it costs an invocation.
#include "events/source_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "invoke/alias.h"

#include <stdlib.h>

enum {
    ARENA_MAX = 64 * 1024 * 1024,
    SCRATCH_MAX = 256 * 1024 * 1024, // ten messages of 1 MiB, as trees
    SOFT_MAX = 4 * 1024 * 1024,      // a batch this large takes messages one by one
    SETTLE_STEP = 500,
    MARGIN_MS = 1000,
};

struct sl_source__batch *sl_source__batch_new(struct sl_source__mapping *mapping) {
    struct sl_source__batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    const struct sl_event_source *spec = &mapping->spec->is;
    batch->mapping = mapping;
    sl_arena_init(&batch->arena, ARENA_MAX);
    sl_buf_init(&batch->payload, 4 * SL_SOURCE_PAYLOAD);
    batch->room = spec->batch_size;
    batch->handles = sl_arena_alloc(&batch->arena, spec->batch_size * sizeof *batch->handles);
    batch->ids = sl_arena_alloc(&batch->arena, spec->batch_size * sizeof *batch->ids);
    batch->queue = sl_arena_dup(&batch->arena, spec->queue);
    sl_buf_cstr(&batch->payload, "{\"Records\":[");
    if (!sl_arena_failed(&batch->arena)) return batch;
    sl_source__batch_free(batch);
    return NULL;
}

void sl_source__batch_free(struct sl_source__batch *batch) {
    if (!batch) return;
    sl_buf_free(&batch->payload);
    sl_arena_free(&batch->arena);
    free(batch);
}

// ---- receiving, on the storage thread -------------------------------------------------------------------------------

static int pass(struct sl_source__batch *batch, struct sl_store_tx *tx, struct sl_arena *scratch, struct sl_str handle,
                enum sl_source_end end, int64_t now, struct sl_error *err) {
    const struct sl_source_queue *queue = &batch->mapping->sources->config.queue;
    struct sl_source_received got = {0};
    int result = queue->settle(queue->user, tx, scratch, batch->queue, &handle, 1, end, now, &got, err);
    if (got.dead_queue) batch->got.dead_queue = got.dead_queue;
    batch->passed += end != SL_SOURCE_SHOW;
    return result;
}

static int add(struct sl_source__batch *batch, struct sl_store_tx *tx, struct sl_arena *scratch,
               const struct sl_json *message, int64_t now, struct sl_error *err) {
    const struct sl_source__spec *spec = batch->mapping->spec;
    struct sl_str handle = sl_json_string(message, "ReceiptHandle");
    struct sl_str trace = sl_json_string(sl_json_get(message, "Attributes"), "AWSTraceHeader");
    struct sl_str arn =
        sl_str_sub(spec->is.function_arn, 0,
                   spec->is.function_arn.len - (spec->is.qualifier.len ? spec->is.qualifier.len + 1 : 0));
    unsigned rounds = sl_lineage_count(trace, arn);
    size_t before = batch->payload.len;
    if (!sl_source__wanted(scratch, spec, message)) return pass(batch, tx, scratch, handle, SL_SOURCE_DELETE, now, err);
    if (rounds >= SL_LINEAGE_LIMIT && !batch->loops_allowed) {
        sl_log_warn("events", "a message of %.*s stopped: %.*s has handled its chain %u times", SL_FMT(batch->queue),
                    SL_FMT(arn), rounds);
        return pass(batch, tx, scratch, handle, SL_SOURCE_BURY, now, err);
    }
    if (batch->full) return pass(batch, tx, scratch, handle, SL_SOURCE_SHOW, now, err);
    if (batch->count) sl_buf_char(&batch->payload, ',');
    sl_source__put_record(&batch->payload, spec, message);
    if (batch->payload.failed) return sl_fail(err, SL_E_NO_MEMORY, "no memory for a batch");
    if (batch->payload.len + 2 > SL_SOURCE_PAYLOAD && batch->count) {
        batch->payload.len = before;
        batch->full = true;
        return pass(batch, tx, scratch, handle, SL_SOURCE_SHOW, now, err);
    }
    if (rounds >= batch->rounds && trace.len) {
        batch->rounds = rounds;
        batch->trace = sl_arena_dup(&batch->arena, trace);
    }
    batch->handles[batch->count] = sl_arena_dup(&batch->arena, handle);
    batch->ids[batch->count] = sl_arena_dup(&batch->arena, sl_json_string(message, "MessageId"));
    batch->count++;
    return sl_arena_failed(&batch->arena) ? sl_fail(err, SL_E_NO_MEMORY, "no memory for a batch") : 0;
}

static int receive_some(struct sl_source__batch *batch, struct sl_store_tx *tx, struct sl_arena *scratch, int64_t now,
                        unsigned *ret_count, struct sl_error *err) {
    const struct sl_source_queue *queue = &batch->mapping->sources->config.queue;
    struct sl_source_received got = {0};
    unsigned want = batch->room - batch->count;
    if (want > 10) want = 10;
    if (batch->payload.len > SOFT_MAX) want = 1;
    int result = queue->receive(queue->user, tx, scratch, batch->queue, want, now, &got, err);
    if (result) return result;
    batch->got.queue = got.queue;
    if (got.dead_queue) batch->got.dead_queue = got.dead_queue;
    *ret_count = got.messages->count;
    if (got.messages->count && !batch->count) batch->visible_ms = got.visible_ms;
    for (const struct sl_json *message = got.messages->first; message && !result; message = message->next)
        result = add(batch, tx, scratch, message, now, err);
    return result;
}

static int receive_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    int64_t now = sl_clock_ms();
    struct sl_arena scratch;
    unsigned count = 1;
    int result = 0;
    sl_arena_init(&scratch, SCRATCH_MAX);
    batch->passed = 0;
    batch->next_ms = now;
    while (!result && count && !batch->full && batch->count < batch->room && batch->passed < SETTLE_STEP) {
        result = receive_some(batch, tx, &scratch, now, &count, err);
        sl_arena_reset(&scratch);
    }
    sl_arena_free(&scratch);
    if (result || count) return result;
    bool ordered = sl_str_ends(batch->queue, SL_STR(".fifo"));
    return sl_message_next(tx, batch->got.queue, ordered, now, &batch->next_ms, err);
}

static void receive_committed(struct sl_store_job *job) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    const struct sl_source_queue *queue = &batch->mapping->sources->config.queue;
    if (batch->got.dead_queue) queue->changed(queue->user, batch->got.dead_queue);
    batch->got.dead_queue = 0;
}

static void receive_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    struct sl_event_sources *sources = batch->mapping->sources;
    atomic_fetch_sub(&sources->busy, 1);
    sl_source__received(batch->mapping, batch, result, err);
}

bool sl_source__receive(struct sl_source__batch *batch) {
    struct sl_source__mapping *mapping = batch->mapping;
    struct sl_event_sources *sources = mapping->sources;
    const struct sl_event_source *spec = &mapping->spec->is;
    struct sl_error err;
    const struct sl_function *function =
        sl_function_find(sources->config.invoker, spec->account, spec->region, spec->name, SL_STR(""));
    batch->loops_allowed = function && function->loops_allowed;
    batch->job = (struct sl_store_job){.run = receive_run, .committed = receive_committed, .done = receive_done};
    atomic_fetch_add(&sources->busy, 1);
    if (sl_store_submit(sources->config.store, &batch->job, &err) == 0) return true;
    atomic_fetch_sub(&sources->busy, 1);
    return false;
}

// ---- settling -------------------------------------------------------------------------------------------------------

static void settle_next(struct sl_source__batch *batch);

static int settle_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    const struct sl_source_queue *queue = &batch->mapping->sources->config.queue;
    unsigned left = batch->count - batch->done, step = left < SETTLE_STEP ? left : SETTLE_STEP;
    struct sl_arena scratch;
    sl_arena_init(&scratch, SCRATCH_MAX);
    int result = queue->settle(queue->user, tx, &scratch, batch->queue, batch->handles + batch->done, step, batch->end,
                               sl_clock_ms(), &batch->got, err);
    sl_arena_free(&scratch);
    return result;
}

static void settle_committed(struct sl_store_job *job) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    const struct sl_source_queue *queue = &batch->mapping->sources->config.queue;
    bool ordered = sl_str_ends(batch->queue, SL_STR(".fifo"));
    // Groups may go on; what is shown again may be received.
    if (ordered || batch->end == SL_SOURCE_SHOW) queue->changed(queue->user, batch->got.queue);
    if (batch->got.dead_queue) queue->changed(queue->user, batch->got.dead_queue);
}

static void settle_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_source__batch *batch = SL_CONTAINER(job, struct sl_source__batch, job);
    // What could not be settled becomes visible again: late and once more, but not lost.
    if (result && result != SL_E_QUEUE_DOES_NOT_EXIST) sl_log_error("events", "settle a batch: %s", err->message);
    batch->done += SETTLE_STEP;
    if (result || batch->done >= batch->count)
        sl_source__ended(batch);
    else
        settle_next(batch);
}

static void settle_next(struct sl_source__batch *batch) {
    struct sl_error err;
    batch->job = (struct sl_store_job){.run = settle_run, .committed = settle_committed, .done = settle_done};
    if (sl_store_submit(batch->mapping->sources->config.store, &batch->job, &err))
        settle_done(&batch->job, err.kind, &err);
}

static void settle(struct sl_source__batch *batch, enum sl_source_end end) {
    batch->end = end;
    batch->done = 0;
    if (batch->count)
        settle_next(batch);
    else
        sl_source__ended(batch);
}

void sl_source__release(struct sl_source__batch *batch) { settle(batch, SL_SOURCE_SHOW); }

// Deletes what was not reported as failed; the rest becomes visible again by itself.
static void delete_processed(struct sl_source__batch *batch, struct sl_str answer) {
    struct sl_event_sources *sources = batch->mapping->sources;
    bool *failed = sl_arena_zalloc(&batch->arena, batch->count * sizeof *failed);
    bool understood = failed && sl_source__failures(&batch->arena, answer, batch->ids, batch->count, failed);
    unsigned kept = 0, count = batch->count;
    for (unsigned i = 0; i < count; i++) {
        if (understood && !failed[i]) batch->handles[kept++] = batch->handles[i];
    }
    batch->count = kept;
    if (kept < count) atomic_fetch_add(&sources->failed, 1);
    settle(batch, SL_SOURCE_DELETE);
}

// ---- invoking -------------------------------------------------------------------------------------------------------

static void put_off(struct sl_source__batch *batch, const struct sl_error *why) {
    struct sl_source__mapping *mapping = batch->mapping;
    int64_t now = sl_clock_ms();
    mapping->hold_ms = mapping->hold_ms ? 2 * mapping->hold_ms : 1000;
    if (mapping->hold_ms > 60 * 1000) mapping->hold_ms = 60 * 1000;
    mapping->hold_until_ms = now + mapping->hold_ms;
    if (mapping->limit > 1) mapping->limit /= 2;
    batch->retry_ms = mapping->hold_until_ms;
    if (batch->retry_ms + MARGIN_MS >= batch->visible_ms || mapping->sources->draining || mapping->removed) {
        sl_log_info("events", "a batch of %.*s is left to its queue: %.200s", SL_FMT(batch->queue), why->message);
        sl_source__ended(batch); // visible again soon
        return;
    }
    batch->next = mapping->waiting;
    mapping->waiting = batch;
}

static void invoked(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct sl_source__batch *batch = invocation->user;
    struct sl_source__mapping *mapping = batch->mapping;
    struct sl_event_sources *sources = mapping->sources;
    if (result->outcome == SL_INVOCATION_REFUSED && result->error->kind != SL_E_RECURSIVE_INVOCATION) {
        put_off(batch, result->error);
        return;
    }
    mapping->hold_ms = mapping->hold_until_ms = 0;
    atomic_fetch_add(&sources->batches, 1);
    atomic_fetch_add(&sources->messages, batch->count);
    if (result->outcome == SL_INVOCATION_REFUSED) {
        settle(batch, SL_SOURCE_BURY);
    } else if (result->outcome == SL_INVOCATION_ERROR) {
        atomic_fetch_add(&sources->failed, 1);
        sl_source__ended(batch);
    } else {
        if (mapping->limit < sl_source__cap(mapping->spec)) mapping->limit++;
        if (mapping->spec->is.reports_failures)
            delete_processed(batch, result->payload);
        else
            settle(batch, SL_SOURCE_DELETE);
    }
}

void sl_source__invoke(struct sl_source__batch *batch) {
    const struct sl_event_source *spec = &batch->mapping->spec->is;
    struct sl_arena *arena = &batch->arena;
    batch->invocation = (struct sl_invocation){
        .account = sl_arena_dup(arena, spec->account),
        .region = sl_arena_dup(arena, spec->region),
        .name = sl_arena_dup(arena, spec->name),
        .version =
            sl_alias_resolve(arena, spec->account, spec->region, spec->name, sl_arena_dup(arena, spec->qualifier)),
        .invoked_arn = sl_arena_dup(arena, spec->function_arn),
        .payload = sl_buf_view(&batch->payload),
        .trace_id = batch->trace,
        .done = invoked,
        .user = batch,
    };
    sl_invoke(batch->mapping->sources->config.invoker, &batch->invocation);
}
