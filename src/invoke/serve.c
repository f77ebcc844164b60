// SPDX-License-Identifier: Apache-2.0
//
// serve: an invocation on an instance, from taking it up to its one answer: the event sent, the deadline, what the
// runtime inside calls, a streamed answer handed on as it arrives. All on the owner loop's thread.
//
//   begin ─► (an init of its own, see init.c) ─► send ─► parts of a stream ─► conclude
//
// Invariants: `serving` is true exactly between begin and conclude; `invocation` is NULL when nobody waits any more; an
// invocation's `done` is called from conclude only, once.
#include "invoke/internal.h"

#include "base/clock.h"
#include "runtime/telemetry.h"

#include <stdio.h>

static struct sl_instance *of(struct sl_runtime *runtime) { return runtime->user; }

// ---- the answer ---------------------------------------------------------------------------------------------------

static void finish_log(struct sl_instance *instance, struct sl_invocation_result *result) {
    sl_invoke__log_end(instance, result->duration_us);
    size_t len = instance->log.len < SL_LOG_TAIL_MAX ? instance->log.len : SL_LOG_TAIL_MAX;
    if (len) result->log_tail = sl_str_n(instance->log.ptr + instance->log.len - len, len);
}

static void count(struct sl_instance *instance, const struct sl_invocation_result *result) {
    struct sl_invoke__loop *here = sl_invoke__of(instance->invoker, instance->loop);
    atomic_fetch_add_explicit(&here->duration_us, (uint64_t)result->duration_us, memory_order_relaxed);
    sl_invoke__pool_took(instance, result->duration_us);
    if (result->outcome == SL_INVOCATION_ERROR) atomic_fetch_add_explicit(&here->errors, 1, memory_order_relaxed);
    sl_invoke__leave(here, instance->allotment);
    sl_invoke__gauge(&here->busy, -1);
    sl_invoke__meter_end(instance, result,
                         sl_invoke__billed_ms(instance, result->duration_us) + sl_invoke__billed_restore_ms(instance));
}

// The extensions have finished with the invocation, too, or never will: its time is known now.
void sl_invoke__finish_late(struct sl_instance *instance) {
    if (!instance->outcome.late) return;
    sl_invoke__drain_log(instance);
    int64_t duration_us = (sl_clock_mono_ns() - instance->dispatched_ns) / 1000;
    sl_invoke__log_end(instance, duration_us);
    sl_invoke__meter_late(instance,
                          sl_invoke__billed_ms(instance, duration_us) + sl_invoke__billed_restore_ms(instance),
                          duration_us - instance->answered_us);
    sl_invoke__meter_release(instance);
    instance->outcome.late = false;
    instance->first = false;
    sl_invoke__log_flush(instance);
}

// Neither the runtime nor its extensions came back in time.
static void give_up(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    if (instance->outcome.late) {
        instance->outcome.status = "timeout";
        sl_invoke__log_timeout(instance);
        instance->timed_out = true;
    }
    sl_invoke__instance_stop(instance);
}

// The error types that AWS keeps in its reports (fatalerror.go of its emulator).
static const char *known_error_type(const char *type) {
    static const char *const families[] = {"Runtime.", "Function."};
    for (int i = 0; i < 2; i++) {
        const char *found = strstr(type, families[i]);
        if (!found) continue;
        found += strlen(families[i]);
        bool capital = found[0] >= 'A' && found[0] <= 'Z';
        if (capital && ((found[1] >= 'a' && found[1] <= 'z') || (found[1] >= 'A' && found[1] <= 'Z'))) return type;
    }
    return strncmp(type, "Function.", 9) == 0 ? "Function.Unknown" : "Runtime.Unknown";
}

void sl_invoke__set_status(struct sl_instance *instance, const char *status, const char *error_type) {
    struct sl_outcome *outcome = &instance->outcome;
    bool platforms = strncmp(error_type, "Extension.", 10) == 0 || strncmp(error_type, "Sandbox.", 8) == 0;
    outcome->status = status;
    outcome->error_type[0] = '\0';
    if (strcmp(status, "error") == 0)
        snprintf(outcome->error_type, sizeof outcome->error_type, "%s",
                 platforms ? error_type : known_error_type(error_type));
}

void sl_invoke__conclude(struct sl_instance *instance, struct sl_invocation_result *result, const char *status) {
    struct sl_invocation *invocation = instance->invocation;
    struct sl_invoke__entry *entry = instance->entry;
    // By the clock of the answer, where it tells: it may have waited for others to be read with it.
    int64_t end_ns = instance->runtime.by_lane ? instance->outcome.answered_ns : sl_clock_mono_ns();
    result->duration_us = (end_ns - instance->dispatched_ns) / 1000;
    result->init_us = instance->first ? instance->init_us : 0;
    result->executed_version = entry->function.version;
    result->streamed = instance->streamed;
    if (result->outcome == SL_INVOCATION_ERROR) result->function_error = SL_STR("Unhandled");
    int64_t left_ms = sl_timer_armed(&instance->timer) ? instance->timer.at_ms - sl_loop_now_ms(instance->loop) : 0;
    sl_timer_stop(&instance->timer);
    sl_invoke__ahead_note(instance);
    count(instance, result);
    instance->serving = false;
    instance->invocation = NULL;
    instance->entry = NULL;
    // The caller is answered before the log is written, unless it wants the log's end. What extensions still do is part
    // of the invocation and of its bill: then the report waits for them.
    bool tail = invocation && invocation->tail_log;
    char type[SL_ERROR_TYPE_MAX];
    snprintf(type, sizeof type, "%.*s", (int)result->error_type.len,
             result->error_type.len ? result->error_type.ptr : "");
    sl_invoke__set_status(instance, status, type);
    bool late = !tail && instance->outcome.answered_ns && sl_runtime_extension_count(&instance->runtime) > 0 &&
                instance->state == SL_INSTANCE_BUSY;
    instance->outcome.late = late;
    if (tail) finish_log(instance, result);
    if (invocation) {
        invocation->instance = NULL;
        invocation->entry = NULL;
        invocation->done(invocation, result);
    }
    if (!tail && !late) finish_log(instance, result);
    if (!late) {
        instance->first = false;
        sl_invoke__meter_release(instance);
    }
    sl_invoke__entry_unref(entry);
    if (!late) sl_invoke__log_flush(instance);
    // Extensions may go on until the invocation's deadline; until then the instance is not free.
    if (left_ms > 0 && sl_runtime_extensions_busy(&instance->runtime))
        sl_timer_start(instance->loop, &instance->timer, left_ms, give_up);
    else if (instance->pool->spec.single_use)
        sl_invoke__instance_stop(instance);
}

void sl_invoke__conclude_error(struct sl_instance *instance, const char *type, const char *text, bool timed_out) {
    struct sl_buf *document = &sl_invoke__of(instance->invoker, instance->loop)->scratch;
    sl_buf_clear(document, 64 * 1024);
    sl_invoke__error_document(document, type, instance->request_id, text);
    struct sl_invocation_result result = {
        .outcome = SL_INVOCATION_ERROR,
        .payload = sl_buf_view(document),
        .content_type = SL_STR("application/json"),
        .error_type = sl_str_of(type),
        .timed_out = timed_out,
    };
    if (!instance->sent) sl_invoke__log_start(instance);
    if (timed_out)
        sl_invoke__log_timeout(instance);
    else
        sl_invoke__log_failure(instance, type, text);
    sl_invoke__conclude(instance, &result, timed_out ? "timeout" : "error");
}

// ---- taking up and sending ----------------------------------------------------------------------------------------

static void deadline(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    const char *current = instance->runtime.current;
    char id[37];
    memcpy(id, current, sizeof id);
    sl_runtime_recall(&instance->runtime); // what is behind it is not begun, unless it has been answered just now
    if (!instance->serving || strcmp(id, instance->runtime.current) != 0) return;
    instance->timed_out = true;
    sl_runtime_forget(&instance->runtime);
    sl_invoke__instance_stop(instance);
}

void sl_invoke__begin(struct sl_instance *instance, struct sl_invocation *invocation) {
    instance->invocation = invocation;
    instance->entry = invocation->entry;
    instance->allotment = invocation->allotment;
    sl_invoke__meter_begin(instance, invocation);
    instance->serving = instance->used = true;
    sl_invoke__gauge(&sl_invoke__of(instance->invoker, instance->loop)->busy, 1);
    instance->sent = instance->streamed = instance->printed = false;
    memcpy(instance->request_id, invocation->request_id, sizeof instance->request_id);
    invocation->instance = instance;
    instance->dispatched_ns = sl_clock_mono_ns();
    sl_timer_start(instance->loop, &instance->timer, instance->pool->spec.timeout_ms, deadline);
}

// What a new invocation starts with; its trace is told only where it is traced.
static void open_outcome(struct sl_instance *instance, struct sl_str trace) {
    struct sl_outcome *outcome = &instance->outcome;
    *outcome = (struct sl_outcome){.status = "success", .sent_ns = sl_clock_mono_ns()};
    if (!sl_runtime_telemetry_wanted(&instance->runtime, SL_EVENT_START)) return;
    if (sl_str_find(trace, SL_STR("Sampled=1")) >= 0 && trace.len < sizeof outcome->trace)
        memcpy(outcome->trace, trace.ptr, trace.len);
}

void sl_invoke__begin_sent(struct sl_instance *instance, struct sl_invocation *invocation, int64_t since_ns) {
    sl_invoke__begin(instance, invocation);
    instance->dispatched_ns = since_ns;
    int64_t left_ms = instance->pool->spec.timeout_ms - (sl_clock_mono_ns() - since_ns) / 1000000;
    sl_timer_start(instance->loop, &instance->timer, left_ms > 0 ? left_ms : 0, deadline);
    instance->sent = true;
    open_outcome(instance, invocation->trace_id);
    instance->outcome.sent_ns = since_ns;
    sl_invoke__log_start(instance);
}

static void send_event(struct sl_instance *instance, int64_t left_ms) {
    const struct sl_invocation *invocation = instance->invocation;
    struct sl_runtime_event event = {
        .request_id = sl_str_n(instance->request_id, 36),
        .deadline_ms = sl_clock_ms() + left_ms,
        .function_arn = invocation->invoked_arn,
        .trace_id = invocation->trace_id,
        .client_context = invocation->client_context,
        .tenant_id = invocation->tenant_id,
        .payload = invocation->payload,
        .more = instance->ahead,
    };
    sl_runtime_send(&instance->runtime, &event);
    if (instance->ahead) sl_invoke__ahead_opened(instance);
}

void sl_invoke__send(struct sl_instance *instance) {
    instance->state = SL_INSTANCE_BUSY;
    instance->sent = true;
    instance->ahead = sl_invoke__ahead_wanted(instance);
    open_outcome(instance, instance->invocation->trace_id);
    sl_invoke__log_start(instance);
    send_event(instance, instance->timer.at_ms - sl_loop_now_ms(instance->loop));
}

void sl_invoke__instance_dispatch(struct sl_instance *instance, struct sl_invocation *invocation) {
    sl_invoke__begin(instance, invocation);
    sl_invoke__send(instance);
}

// ---- the runtime's calls --------------------------------------------------------------------------------------------

static void ready(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (instance->state == SL_INSTANCE_STOPPING) return;
    if (!instance->seen_ready) {
        sl_invoke__init_ready(instance);
    } else if (!instance->serving) {
        sl_timer_stop(&instance->timer); // of one that was away, or whose extensions were busy
        sl_invoke__finish_late(instance);
        sl_invoke__pool_offer(instance);
    } else if (instance->invocation) {
        // Asked for another event without answering this one. The emulator hands out the same again; so do we, while
        // somebody waits.
        send_event(instance, instance->timer.at_ms - sl_loop_now_ms(instance->loop));
    }
}

// Mostly the process is dying, and the report of its end comes next. One that asks again on another connection is
// welcome, for as long as an init may take.
static void gone(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (instance->state != SL_INSTANCE_IDLE) return;
    sl_invoke__pool_leave_idle(instance);
    instance->state = SL_INSTANCE_AWAY;
    sl_timer_start(instance->loop, &instance->timer, instance->invoker->config.init_ms, give_up);
}

static bool stream(struct sl_runtime *runtime, struct sl_str content_type) {
    struct sl_instance *instance = of(runtime);
    struct sl_invocation *invocation = instance->invocation;
    if (!instance->serving || !invocation || !invocation->part) return false;
    instance->streamed = true;
    instance->outcome.first_byte_ns = sl_clock_mono_ns();
    if (invocation->begin) invocation->begin(invocation, content_type);
    return true;
}

static void part(struct sl_runtime *runtime, struct sl_str bytes) {
    of(runtime)->outcome.produced += (int64_t)bytes.len;
    struct sl_invocation *invocation = of(runtime)->invocation;
    if (invocation) invocation->part(invocation, bytes);
}

void sl_invoke_pause(struct sl_invocation *invocation, bool paused) {
    if (invocation->instance) sl_runtime_pause(&invocation->instance->runtime, paused);
}

// The runtime has answered, well or not.
static void note_answer(struct sl_instance *instance, size_t bytes) {
    struct sl_outcome *outcome = &instance->outcome;
    // A time that it tells is believed between its begin and now.
    int64_t now = sl_clock_mono_ns(), told = instance->runtime.answered_ns;
    outcome->answered_ns = told > instance->dispatched_ns && told < now ? told : now;
    if (!outcome->first_byte_ns) outcome->first_byte_ns = outcome->answered_ns;
    outcome->produced += (int64_t)bytes;
}

// What answers by the lane while others are behind it has printed nothing.
static void drain_unless_ahead(struct sl_instance *instance) {
    if (!instance->ahead || !instance->runtime.by_lane) sl_invoke__drain_log(instance);
}

static void response(struct sl_runtime *runtime, struct sl_str body, struct sl_str content_type) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    note_answer(instance, body.len);
    drain_unless_ahead(instance);
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_OK, .payload = body, .content_type = content_type};
    sl_invoke__conclude(instance, &result, "success");
}

static void error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    note_answer(instance, 0);
    drain_unless_ahead(instance);
    char kind[SL_ERROR_TYPE_MAX];
    snprintf(kind, sizeof kind, "%.*s", (int)(type.len < sizeof kind ? type.len : sizeof kind - 1),
             type.len ? type.ptr : "");
    struct sl_invocation_result result = {
        .outcome = SL_INVOCATION_ERROR,
        .payload = body,
        .content_type = SL_STR("application/json"),
        .error_type = sl_str_of(kind),
    };
    // A function's own error is an answer like others: to AWS's reports the runtime has done its work.
    sl_invoke__conclude(instance, &result, strncmp(kind, "Runtime.", 8) == 0 ? "error" : "success");
}

static void init_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    struct sl_instance *instance = of(runtime);
    if (instance->init_failed || instance->state == SL_INSTANCE_STOPPING) return;
    instance->init_failed = instance->failed = true;
    snprintf(instance->init_error_type, sizeof instance->init_error_type, "%.*s",
             (int)(type.len < SL_ERROR_TYPE_MAX ? type.len : SL_ERROR_TYPE_MAX - 1), type.len ? type.ptr : "");
    sl_buf_str(&instance->init_error, body);
    // It is expected to exit by itself; it is not waited for.
    sl_invoke__instance_stop(instance);
}

static void snapshot(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (instance->state != SL_INSTANCE_STOPPING) sl_invoke__snap_reached(instance);
}

static void restore_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    struct sl_instance *instance = of(runtime);
    (void)body; // the runtime has logged it
    if (instance->state == SL_INSTANCE_STOPPING) return;
    instance->restore_failed = instance->failed = true;
    snprintf(instance->init_error_type, sizeof instance->init_error_type, "%.*s",
             (int)(type.len < SL_ERROR_TYPE_MAX ? type.len : SL_ERROR_TYPE_MAX - 1), type.len ? type.ptr : "");
    sl_invoke__instance_stop(instance);
}

static void too_large(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    note_answer(instance, 0);
    sl_invoke__drain_log(instance);
    static const char document[] =
        "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size "
        "exceeded maximum allowed payload size (6291556 bytes).\"}";
    static const char streamed[] =
        "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size "
        "exceeded maximum allowed payload size (209715200 bytes).\"}";
    struct sl_invocation_result result = {
        .outcome = SL_INVOCATION_ERROR,
        .payload = sl_str_of(instance->streamed ? streamed : document),
        .content_type = SL_STR("application/json"),
        .error_type = SL_STR("Function.ResponseSizeTooLarge"),
    };
    sl_invoke__conclude(instance, &result, "success");
}

static void extension_failed(struct sl_runtime *runtime, const char *type, struct sl_str cause) {
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)(cause.len < sizeof text ? cause.len : sizeof text - 1), cause.ptr);
    sl_invoke__fail(of(runtime), type, text);
}

static void registered(struct sl_runtime *runtime) { sl_invoke__extensions_registered(of(runtime)); }

static void runtime_done(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (!instance->outcome.late) return;
    sl_invoke__drain_log(instance);
    sl_invoke__tell_runtime_done(instance);
}

static void begun(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    sl_invoke__ahead_begun(instance, instance->outcome.answered_ns);
}

static void untaken(struct sl_runtime *runtime) { sl_invoke__ahead_untaken(of(runtime)); }

static void subscribed(struct sl_runtime *runtime, struct sl_str extension, bool logs_api, unsigned kinds) {
    sl_invoke__tell_subscription(of(runtime), extension, logs_api, kinds);
}

static void connector(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    struct sl_error err;
    if (sl_jail_connector(instance->invoker->config.jail, instance->id, &err)) sl_runtime_telemetry_socket(runtime, -1);
}

const struct sl_runtime_handler sl_invoke__runtime_handler = {
    .ready = ready,
    .gone = gone,
    .stream = stream,
    .part = part,
    .response = response,
    .error = error,
    .init_error = init_error,
    .snapshot = snapshot,
    .image = sl_invoke__snap_image_begin,
    .image_part = sl_invoke__snap_image_part,
    .image_end = sl_invoke__snap_image_end,
    .restore_error = restore_error,
    .too_large = too_large,
    .extension_failed = extension_failed,
    .registered = registered,
    .runtime_done = runtime_done,
    .begun = begun,
    .untaken = untaken,
    .subscribed = subscribed,
    .socket = connector,
};
