// SPDX-License-Identifier: Apache-2.0
//
// settle: one event from the moment its turn has come: limits are read, it is executed, the rules decide (decide.h),
// and one transaction makes it true: the event leaves its table and, in the same commit, its letters are written to
// where they go (a queue, another function's lane) or the event to the table of dead events. A crash before the commit
// leaves the event as it was, so it runs again; a crash after it leaves nothing to do. That is I1 and I2 of decide.h.
//
// A letter that its target cannot take (no such queue, too large) must not undo the settling for ever: the job is
// submitted again without it, and a failed event is buried, where `sluice events` finds it.
#include "events/internal.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "invoke/alias.h"

#include <stdio.h>

// ---- the transaction ------------------------------------------------------------------------------------------------

static bool is_function(struct sl_str arn) { return sl_str_find(arn, SL_STR(":lambda:")) > 0; }

// A destination that is a function gets the record as an event of its own.
static int deliver_to_function(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                               struct sl_error *err) {
    struct sl_buf context;
    struct sl_event event = {.function = letter->target, .payload = letter->body};
    if (letter->body.len > SL_PAYLOAD_ASYNC_MAX)
        return sl_fail(err, SL_E_REQUEST_TOO_LARGE, "the record has %zu bytes, a function takes %d", letter->body.len,
                       SL_PAYLOAD_ASYNC_MAX);
    sl_buf_init(&context, 64 * 1024);
    sl_buf_cstr(&context, "{\"trace\":");
    sl_json_write_string(&context, letter->trace);
    sl_buf_char(&context, '}');
    event.context = context.failed ? SL_STR("") : sl_arena_dup(arena, sl_buf_view(&context));
    sl_buf_free(&context);
    sl_uuid(event.request_id);
    event.accepted_ms = event.due_ms = sl_clock_ms();
    return sl_event_append(tx, &event, err);
}

static bool passing(int kind) { return kind == SL_E_IO || kind == SL_E_NO_MEMORY || kind == SL_E_UNAVAILABLE; }

static int deliver(struct sl_events__job *job, struct sl_store_tx *tx, unsigned at, struct sl_error *err) {
    const struct sl_event_queue_config *config = &job->queue->config;
    struct sl_event_letter *letter = &job->letters[at];
    int result;
    if (!letter->body.ptr)
        result = sl_fail(err, SL_E_REQUEST_TOO_LARGE, "its record is too large");
    else if (is_function(letter->target))
        result = deliver_to_function(tx, &job->arena, letter, err);
    else if (config->deliver)
        result = config->deliver(config->user, tx, &job->arena, letter, sl_clock_ms(), &job->tokens[at], err);
    else
        result = sl_fail(err, SL_E_NOT_IMPLEMENTED, "nothing delivers there");
    if (!result || passing(result)) return result;
    snprintf(job->trouble, sizeof job->trouble, "%.*s: %.300s",
             (int)(letter->target.len < 200 ? letter->target.len : 200), letter->target.ptr, err->message);
    if (letter->dead_letter)
        job->dead_letter_errors++;
    else
        job->destination_errors++;
    // Resubmitted without this one.
    for (unsigned i = at + 1; i < job->letter_count; i++) job->letters[i - 1] = job->letters[i];
    job->letter_count--;
    return result;
}

static int bury(struct sl_events__job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_dead_event dead = {.event = job->event, .died_ms = sl_clock_ms()};
    const char *condition = job->decision.condition;
    dead.event.attempts = job->decision.attempts;
    dead.reason = !job->trouble[0] ? sl_str_of(condition)
                                   : sl_arena_printf(&job->arena, "%s; not delivered to %s", condition, job->trouble);
    return sl_dead_put(tx, &dead, err);
}

static int settle_run(struct sl_store_job *settle, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_events__job *job = SL_CONTAINER(settle, struct sl_events__job, settle);
    const struct sl_event *event = &job->event;
    if (job->decision.verdict == SL_EVENT_RETRY)
        return sl_event_reschedule(tx, event->id, event->attempts, job->decision.due_ms, job->decision.attempts, err);
    int result = sl_event_remove(tx, event->id, event->attempts, err);
    for (unsigned i = 0; !result && i < job->letter_count; i++) result = deliver(job, tx, i, err);
    return result || !job->bury ? result : bury(job, tx, err);
}

static void settle_committed(struct sl_store_job *settle) {
    struct sl_events__job *job = SL_CONTAINER(settle, struct sl_events__job, settle);
    const struct sl_event_queue_config *config = &job->queue->config;
    const struct sl_event_measured measured = {.function = job->event.function,
                                               .at_ms = sl_clock_ms(),
                                               .ran = job->ran,
                                               .age_ms = job->begun_ms - job->event.accepted_ms,
                                               .dropped = job->decision.verdict == SL_EVENT_DEAD,
                                               .dead_letter_errors = job->dead_letter_errors,
                                               .destination_errors = job->destination_errors};
    sl_events__measure(job->queue, &measured);
    for (unsigned i = 0; i < job->letter_count; i++) {
        struct sl_str target = job->letters[i].target;
        if (is_function(target)) {
            const struct sl_event_measured received = {.function = target, .at_ms = measured.at_ms, .received = true};
            sl_events__measure(job->queue, &received);
            sl_event_queue_note(job->queue, sl_event_lane(target));
        } else if (config->delivered) {
            config->delivered(config->user, target, job->tokens[i]);
        }
    }
}

static void settle(struct sl_events__job *job);

static void settled(struct sl_events__job *job) {
    if (job->decision.verdict == SL_EVENT_RETRY) {
        sl_events__due(job->queue, job->lane->id, job->decision.due_ms);
    } else if (job->decision.verdict == SL_EVENT_DEAD) {
        atomic_fetch_add(&job->queue->dead, 1);
        sl_log_warn("events", "event %s for %.*s given up: %s%s", job->event.request_id, SL_FMT(job->event.function),
                    job->decision.condition, job->bury ? " (kept: see sluice events ls --dead)" : "");
    }
}

static void settle_done(struct sl_store_job *settle_job, int result, const struct sl_error *err) {
    struct sl_events__job *job = SL_CONTAINER(settle_job, struct sl_events__job, settle);
    struct sl_event_queue *queue = job->queue;
    if (result && !passing(result) && result != SL_E_NOT_FOUND && job->trouble[0] && !job->bury) {
        sl_log_warn("events", "event %s for %.*s: not delivered to %s", job->event.request_id,
                    SL_FMT(job->event.function), job->trouble);
        job->bury = job->decision.verdict == SL_EVENT_DEAD && !job->letter_count;
        settle(job);
        return;
    }
    if (result == 0) {
        settled(job);
    } else if (result == SL_E_NOT_FOUND) {
        // Purged, or settled by another owner: nothing was written.
        sl_log_info("events", "event %s was settled by somebody else", job->event.request_id);
    } else {
        // It stays stored as it was, so it runs again: late, but not lost.
        sl_log_error("events", "settle event %lld: %s", (long long)job->event.id, err->message);
        sl_events__hold(job->lane);
        sl_events__due(queue, job->lane->id, job->event.due_ms);
    }
    sl_events__release(job);
    sl_events__pump(queue);
}

static void settle(struct sl_events__job *job) {
    struct sl_error err;
    bool plain = !job->letter_count && !job->bury;
    job->settle = (struct sl_store_job){
        .run = settle_run, .committed = settle_committed, .done = settle_done, .one_write = plain};
    if (sl_store_submit(job->queue->config.store, &job->settle, &err)) settle_done(&job->settle, err.kind, &err);
}

// ---- deciding -------------------------------------------------------------------------------------------------------

static void act(struct sl_events__job *job, const struct sl_invocation_result *result) {
    struct sl_event_queue *queue = job->queue;
    if (job->decision.verdict == SL_EVENT_HOLD) {
        sl_events__hold(job->lane);
        sl_events__due(queue, job->lane->id, job->event.due_ms);
        sl_events__release(job);
        sl_events__pump(queue);
        return;
    }
    if (job->decision.verdict != SL_EVENT_RETRY) sl_events__letters(job, result, sl_clock_ms());
    job->bury = job->decision.verdict == SL_EVENT_DEAD && !job->letter_count;
    settle(job);
}

static enum sl_event_outcome outcome_of(const struct sl_invocation_result *result) {
    if (result->outcome == SL_INVOCATION_OK) return SL_EVENT_SUCCEEDED;
    if (result->outcome == SL_INVOCATION_ERROR) return SL_EVENT_FAILED;
    if (result->error->kind == SL_E_RESOURCE_NOT_FOUND) return SL_EVENT_GONE;
    return result->error->kind == SL_E_RECURSIVE_INVOCATION ? SL_EVENT_LOOP : SL_EVENT_REFUSED;
}

static void executed(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct sl_events__job *job = invocation->user;
    const struct sl_event_standing standing = {job->event.accepted_ms, job->event.attempts};
    enum sl_event_outcome outcome = outcome_of(result);
    bool ran = outcome == SL_EVENT_SUCCEEDED || outcome == SL_EVENT_FAILED;
    job->ran = ran;
    if (ran) {
        job->lane->hold_ms = job->lane->held_until_ms = 0;
        atomic_fetch_add(&job->queue->executed, 1);
    }
    if (outcome == SL_EVENT_FAILED) atomic_fetch_add(&job->queue->failed, 1);
    job->decision = sl_event_decide(&standing, &job->limits, outcome, sl_clock_ms());
    act(job, ran ? result : NULL);
}

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

// As configured for the qualifier that was invoked (its destinations, its limits) and for the version that runs (its
// dead-letter queue); read for each attempt, as a change holds for events already queued.
static void read_settings(struct sl_events__job *job) {
    struct sl_invocation *invocation = &job->invocation;
    struct sl_invoker *invoker = job->queue->config.invoker;
    const struct sl_function *face =
        sl_callable_find(invoker, invocation->account, invocation->region, invocation->name, invocation->version);
    job->limits.max_attempts = face && face->event_attempts ? face->event_attempts : SL_EVENT_ATTEMPTS;
    job->limits.max_age_ms = face && face->event_age_s ? (int64_t)face->event_age_s * 1000 : SL_EVENT_AGE_MS;
    if (face) {
        job->on_success = sl_arena_dup(&job->arena, face->on_success);
        job->on_failure = sl_arena_dup(&job->arena, face->on_failure);
    }
    invocation->version =
        sl_alias_resolve(&job->arena, invocation->account, invocation->region, invocation->name, invocation->version);
    const struct sl_function *version =
        sl_function_find(invoker, invocation->account, invocation->region, invocation->name, invocation->version);
    if (version) job->dead_letter = sl_arena_dup(&job->arena, version->dead_letter);
    job->limits.never = version && version->reserved_concurrency == 0;
}

void sl_events__execute(struct sl_events__job *job) {
    struct sl_invocation *invocation = &job->invocation;
    struct sl_json *context = NULL;
    const struct sl_event_standing standing = {job->event.accepted_ms, job->event.attempts};
    if (!name_function(job->event.function, invocation)) {
        job->decision = sl_event_decide(&standing, &job->limits, SL_EVENT_GONE, sl_clock_ms());
        act(job, NULL);
        return;
    }
    invocation->payload = job->event.payload;
    if (job->event.context.len && sl_json_parse(&job->arena, job->event.context, &context, NULL) == 0) {
        invocation->client_context = sl_json_string(context, "client");
        invocation->tenant_id = sl_json_string(context, "tenant");
        invocation->trace_id = sl_json_string(context, "trace");
    }
    memcpy(invocation->request_id, job->event.request_id, sizeof invocation->request_id);
    invocation->done = executed;
    invocation->user = job;
    read_settings(job);
    job->begun_ms = sl_clock_ms();
    job->decision = sl_event_admit(&standing, &job->limits, job->begun_ms);
    if (job->decision.verdict == SL_EVENT_RUN)
        sl_invoke(job->queue->config.invoker, invocation);
    else
        act(job, NULL);
}
