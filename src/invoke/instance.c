// SPDX-License-Identifier: Apache-2.0
//
// instance: the life of one sandbox, from asking the spawner to the report of its end. All on the owner loop's thread;
// the jail's reports come to loop 0, which passes them on as letters to the owner.
//
//   start ─► STARTING ─(started)─► INIT ─(first next)─► BUSY ⇄ IDLE ─► STOPPING ─(ended)─► freed
//
// An instance is freed in one place only, `ended`: whatever goes wrong, the sandbox is stopped and its end awaited.
// What the invocation in flight is answered depends on why it ended: time-out, exit, out of memory, failed init.
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INIT_ERROR_MAX = 1024 * 1024,
    LOG_READ = 16 * 1024,
    INIT_CPU_MILLI = 2000, // the init phase is not held to the share that the memory size buys, as on AWS
};

static const struct sl_runtime_handler runtime_handler;

static struct sl_instance *of(struct sl_runtime *runtime) { return runtime->user; }

// ---- slots: the jail's ids ----------------------------------------------------------------------------------------

// An id is (generation, slot), so that a late report of an earlier tenant of the slot cannot be mistaken.
static bool slot_take(struct sl_instance *instance) {
    struct sl_invoker *invoker = instance->invoker;
    bool found = false;
    pthread_mutex_lock(&invoker->slot_lock);
    for (unsigned i = 0; i < invoker->config.max_instances && !found; i++) {
        if (invoker->slots[i]) continue;
        found = true;
        invoker->slots[i] = instance;
        instance->slot = i;
        instance->id = (uint64_t)++invoker->slot_generation[i] << 32 | (i + 1);
    }
    pthread_mutex_unlock(&invoker->slot_lock);
    return found;
}

static void slot_release(struct sl_instance *instance) {
    pthread_mutex_lock(&instance->invoker->slot_lock);
    instance->invoker->slots[instance->slot] = NULL;
    pthread_mutex_unlock(&instance->invoker->slot_lock);
}

// ---- answers to the invocation in flight --------------------------------------------------------------------------

static int64_t duration_us(const struct sl_instance *instance) {
    return (sl_clock_mono_ns() - instance->dispatched_ns) / 1000;
}

static void finish_log(struct sl_instance *instance, struct sl_invocation_result *result, const char *status) {
    sl_invoke__log_end(instance, result->duration_us, status, result->error_type.len ? result->error_type.ptr : NULL);
    size_t len = instance->log.len < SL_LOG_TAIL_MAX ? instance->log.len : SL_LOG_TAIL_MAX;
    if (len) result->log_tail = sl_str_n(instance->log.ptr + instance->log.len - len, len);
}

// Ends the invocation in flight towards its caller and in the log; the instance itself may live on.
static void conclude(struct sl_instance *instance, struct sl_invocation_result *result, const char *status) {
    struct sl_invoker *invoker = instance->invoker;
    struct sl_invocation *invocation = instance->invocation;
    struct sl_invoke__entry *entry = instance->entry;
    struct sl_invoke__loop *here = sl_invoke__of(invoker, instance->loop);
    result->duration_us = duration_us(instance);
    result->init_us = instance->first ? instance->init_us : 0;
    result->executed_version = entry->function.version;
    if (result->outcome == SL_INVOCATION_ERROR) result->function_error = SL_STR("Unhandled");
    sl_timer_stop(&instance->timer);
    atomic_fetch_add_explicit(&here->duration_us, (uint64_t)result->duration_us, memory_order_relaxed);
    if (result->outcome == SL_INVOCATION_ERROR) atomic_fetch_add_explicit(&here->errors, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&entry->limit->in_flight, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&invoker->in_flight, 1, memory_order_relaxed);
    instance->serving = false;
    instance->invocation = NULL;
    instance->entry = NULL;
    // The caller is answered before the log is written, unless it wants the log's end.
    bool tail = invocation && invocation->tail_log;
    if (tail) finish_log(instance, result, status);
    if (invocation) {
        invocation->instance = NULL;
        invocation->entry = NULL;
        invocation->done(invocation, result);
    }
    if (!tail) finish_log(instance, result, status);
    instance->first = false;
    sl_invoke__entry_unref(entry);
    sl_invoke__log_flush(instance);
}

static void conclude_error(struct sl_instance *instance, const char *type, const char *text, bool timed_out) {
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
    conclude(instance, &result, timed_out ? "timeout" : "error");
}

// ---- logs ---------------------------------------------------------------------------------------------------------

static void drain_log(struct sl_instance *instance) {
    if (instance->log_watch.fd < 0) return;
    for (;;) {
        // A function that prints faster than it runs loses the overflow, not the server's memory.
        if (instance->log.len > SL_LOG_LINE_MAX) sl_invoke__log_flush(instance);
        char *room = sl_buf_reserve(&instance->log, LOG_READ);
        if (!room) return;
        ssize_t got = read(instance->log_watch.fd, room, LOG_READ);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            // End of file: no writer is left. The watch would report it for ever.
            if (got == 0) sl_watch_stop(&instance->log_watch);
            return;
        }
        instance->log.len += (size_t)got;
        if (got < LOG_READ) return;
    }
}

static void log_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_instance *instance = SL_CONTAINER(watch, struct sl_instance, log_watch);
    drain_log(instance);
    if (!instance->serving) sl_invoke__log_flush(instance);
}

// ---- the runtime's calls --------------------------------------------------------------------------------------------

static void runtime_ready(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (instance->state == SL_INSTANCE_STOPPING) return;
    if (!instance->seen_ready) {
        instance->seen_ready = true;
        instance->ready_ns = sl_clock_mono_ns();
        instance->init_us = (instance->ready_ns - instance->started_ns) / 1000;
        sl_timer_stop(&instance->timer);
        instance->pool->shards[sl_loop_index(instance->loop)].starting--;
        struct sl_error err;
        const struct sl_function *spec = &instance->pool->spec;
        // A share that cannot be set is the spawner's end, which is noticed elsewhere.
        (void)sl_jail_set_cpu(instance->invoker->config.jail, instance->id, sl_jail_cpu_for_memory(spec->memory_mb),
                              &err);
        sl_invoke__pool_offer(instance);
        return;
    }
    if (!instance->serving) {
        sl_timer_stop(&instance->timer); // of one that was away
        sl_invoke__pool_offer(instance);
        return;
    }
    // Asked for another event without answering this one. The emulator hands out the same again; so do we, while
    // somebody waits.
    if (instance->invocation) {
        struct sl_invocation *invocation = instance->invocation;
        struct sl_runtime_event event = {
            .request_id = sl_str_of(instance->request_id),
            .deadline_ms = sl_clock_ms() + instance->timer.at_ms - sl_loop_now_ms(instance->loop),
            .function_arn = invocation->invoked_arn,
            .trace_id = invocation->trace_id,
            .client_context = invocation->client_context,
            .payload = invocation->payload,
        };
        sl_runtime_send(runtime, &event);
    }
}

static void away_limit(struct sl_timer *timer) {
    sl_invoke__instance_stop(SL_CONTAINER(timer, struct sl_instance, timer));
}

// Mostly the process is dying, and the report of its end comes next. One that asks again on another connection is
// welcome, for as long as an init may take.
static void runtime_gone(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (instance->state != SL_INSTANCE_IDLE) return;
    sl_invoke__pool_leave_idle(instance);
    instance->state = SL_INSTANCE_AWAY;
    sl_timer_start(instance->loop, &instance->timer, instance->invoker->config.init_ms, away_limit);
}

static void runtime_response(struct sl_runtime *runtime, struct sl_str body, struct sl_str content_type) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    drain_log(instance);
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_OK, .payload = body, .content_type = content_type};
    conclude(instance, &result, "success");
}

static void runtime_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    drain_log(instance);
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)(type.len < 63 ? type.len : 63), type.len ? type.ptr : "");
    struct sl_invocation_result result = {
        .outcome = SL_INVOCATION_ERROR,
        .payload = body,
        .content_type = SL_STR("application/json"),
        .error_type = sl_str_of(kind),
    };
    conclude(instance, &result, "error");
}

static void runtime_init_error(struct sl_runtime *runtime, struct sl_str body, struct sl_str type) {
    (void)type;
    struct sl_instance *instance = of(runtime);
    if (instance->init_failed) return;
    instance->init_failed = true;
    sl_buf_str(&instance->init_error, body);
    // It is expected to exit by itself; it is not waited for.
    sl_invoke__instance_stop(instance);
}

static void runtime_too_large(struct sl_runtime *runtime) {
    struct sl_instance *instance = of(runtime);
    if (!instance->serving) return;
    drain_log(instance);
    static const char document[] =
        "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size "
        "exceeded maximum allowed payload size (6291556 bytes).\"}";
    struct sl_invocation_result result = {
        .outcome = SL_INVOCATION_ERROR,
        .payload = {document, sizeof document - 1},
        .content_type = SL_STR("application/json"),
        .error_type = SL_STR("Function.ResponseSizeTooLarge"),
    };
    conclude(instance, &result, "error");
}

static const struct sl_runtime_handler runtime_handler = {
    .ready = runtime_ready,
    .gone = runtime_gone,
    .response = runtime_response,
    .error = runtime_error,
    .init_error = runtime_init_error,
    .too_large = runtime_too_large,
};

// ---- start ----------------------------------------------------------------------------------------------------------

static uint32_t init_cpu(const struct sl_function *spec) {
    uint32_t share = sl_jail_cpu_for_memory(spec->memory_mb);
    return share > INIT_CPU_MILLI ? share : INIT_CPU_MILLI;
}

static int request_sandbox(struct sl_instance *instance, const char *log_stream, struct sl_error *err) {
    struct sl_invoker *invoker = instance->invoker;
    const struct sl_function *spec = &instance->pool->spec;
    int code = -1, layers = -1, block = -1;
    if (sl_blob_open_dir(invoker->config.store, spec->code_sha256, &code, err))
        return sl_wrap(err, "code of %.*s", SL_FMT(spec->name));
    if (spec->layers_sha256.len && sl_blob_open_dir(invoker->config.store, spec->layers_sha256, &layers, err)) {
        close(code);
        return sl_wrap(err, "layers of %.*s", SL_FMT(spec->name));
    }
    int kind = sl_invoke__launch_block(spec, code, log_stream, &block, err);
    if (kind == 0) {
        struct sl_jail_spec jail = {
            .memory_mb = spec->memory_mb,
            .cpu_milli = init_cpu(spec),
            .tmp_mb = spec->tmp_mb,
            .network = invoker->config.network,
            .code_dir_fd = code,
            .opt_dir_fd = layers,
            .block_fd = block,
        };
        kind = sl_jail_start(invoker->config.jail, instance->id, &jail, err);
        close(block);
    }
    if (layers >= 0) close(layers);
    close(code);
    return kind;
}

static void instance_free(struct sl_instance *instance) {
    struct sl_invoker *invoker = instance->invoker;
    sl_timer_stop(&instance->timer);
    sl_runtime_close(&instance->runtime);
    if (instance->log_watch.fd >= 0) {
        sl_watch_stop(&instance->log_watch);
        close(instance->log_watch.fd);
    }
    if (instance->memory_fd >= 0) close(instance->memory_fd);
    sl_buf_free(&instance->log);
    sl_buf_free(&instance->init_error);
    slot_release(instance);
    atomic_fetch_sub(&invoker->instance_count, 1);
    sl_invoke__pool_unref(instance->pool);
    free(instance);
}

// The log stream's name, as AWS makes it: date, version, 32 hexadecimal digits.
static void log_stream_name(const struct sl_function *function, char out[static 256]) {
    char day[SL_TIME_ISO_MS], random[33];
    sl_time_iso_ms(sl_clock_ms(), day);
    sl_random_hex(random, 32);
    snprintf(out, 256, "%.4s/%.2s/%.2s/[%.*s]%s", day, day + 5, day + 8, SL_FMT(function->version), random);
}

int sl_invoke__instance_start(struct sl_invoke__pool *pool, struct sl_loop *loop, struct sl_error *err) {
    struct sl_invoker *invoker = pool->invoker;
    struct sl_instance *instance = calloc(1, sizeof *instance);
    if (!instance) return sl_fail(err, SL_E_NO_MEMORY, "no memory for an instance");
    instance->invoker = invoker;
    if (!slot_take(instance)) {
        free(instance);
        return sl_fail(err, SL_E_THROTTLED, "Rate Exceeded.");
    }
    atomic_fetch_add(&invoker->instance_count, 1);
    atomic_fetch_add(&pool->references, 1);
    instance->pool = pool;
    atomic_init(&instance->loop, loop);
    instance->state = SL_INSTANCE_STARTING;
    instance->memory_fd = instance->log_watch.fd = -1;
    instance->first = true;
    instance->started_ns = sl_clock_mono_ns();
    sl_buf_init(&instance->log, SL_LOG_LINE_MAX + 2 * LOG_READ);
    sl_buf_init(&instance->init_error, INIT_ERROR_MAX);
    char log_stream[256];
    log_stream_name(&pool->spec, log_stream);
    if (request_sandbox(instance, log_stream, err)) {
        instance_free(instance);
        return err->kind;
    }
    atomic_fetch_add_explicit(&sl_invoke__of(invoker, loop)->cold_starts, 1, memory_order_relaxed);
    return 0;
}

static void init_limit(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    instance->timed_out = true;
    sl_invoke__instance_stop(instance);
}

static void started(struct sl_instance *instance) {
    struct sl_jail_event *event = &instance->started;
    struct sl_error err;
    instance->memory_fd = event->memory_fd;
    bool stopped = instance->state == SL_INSTANCE_STOPPING;
    if (!stopped) instance->state = SL_INSTANCE_INIT;
    sl_invoke__log_init_start(instance);
    if (sl_watch_start(instance->loop, &instance->log_watch, event->log_fd, EPOLLIN, log_ready, &err)) {
        instance->log_watch.fd = event->log_fd;
        stopped = true;
    }
    if (sl_runtime_open(&instance->runtime, instance->loop, event->listen_fd, &runtime_handler, instance, &err))
        stopped = true;
    if (stopped) {
        sl_invoke__instance_stop(instance);
        return;
    }
    sl_timer_start(instance->loop, &instance->timer, instance->invoker->config.init_ms, init_limit);
}

void sl_invoke__instance_stop(struct sl_instance *instance) {
    if (instance->state == SL_INSTANCE_STOPPING) return;
    instance->state = SL_INSTANCE_STOPPING;
    struct sl_error err;
    if (sl_jail_stop(instance->invoker->config.jail, instance->id, &err))
        sl_log_error("invoke", "stop instance: %s", err.message);
}

// ---- the end
// ----------------------------------------------------------------------------------------------------------

// Init ended without a runtime that asks for events: the invocation that waits longest gets the reason.
static void init_ended(struct sl_instance *instance) {
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    const struct sl_jail_event *ended = &instance->ended;
    struct sl_buf *document = &sl_invoke__of(instance->invoker, instance->loop)->scratch;
    char text[96];
    sl_buf_clear(document, 64 * 1024);
    instance->pool->shards[loop].starting--;
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_ERROR,
                                          .function_error = SL_STR("Unhandled"),
                                          .content_type = SL_STR("application/json"),
                                          .executed_version = instance->pool->spec.version};
    char request_id[37];
    sl_uuid(request_id);
    struct sl_invocation *waiting = instance->pool->shards[loop].waiting_first;
    if (waiting) memcpy(request_id, waiting->request_id, sizeof request_id);
    if (instance->init_failed) {
        result.error_type = SL_STR("Runtime.InitError");
        sl_buf_str(document, sl_buf_view(&instance->init_error));
    } else if (ended->kind == SL_JAIL_FAILED) {
        // The sandbox or its first program could not be made: AWS calls a bootstrap that cannot be executed an invalid
        // entry point.
        result.error_type = SL_STR("Runtime.InvalidEntrypoint");
        char why[256];
        snprintf(why, sizeof why, "%s: %s", ended->step,
                 strerrordesc_np(ended->error) ? strerrordesc_np(ended->error) : "failed");
        sl_invoke__error_document(document, "Runtime.InvalidEntrypoint", request_id, why);
        sl_log_warn("invoke", "instance of %.*s did not start: %s", SL_FMT(instance->pool->spec.name), why);
    } else if (instance->timed_out) {
        result.timed_out = true;
        result.error_type = SL_STR("Sandbox.Timedout");
        snprintf(text, sizeof text, "Task timed out after %.2f seconds",
                 (double)instance->invoker->config.init_ms / 1000);
        sl_invoke__error_document(document, "Sandbox.Timedout", request_id, text);
    } else {
        const char *type = sl_invoke__exit_text(ended, text);
        result.error_type = sl_str_of(type);
        sl_invoke__error_document(document, type, request_id, text);
    }
    result.payload = sl_buf_view(document);
    result.init_us = (sl_clock_mono_ns() - instance->started_ns) / 1000;
    sl_invoke__pool_start_failed(instance->pool, loop, &result);
}

static void ended(struct sl_instance *instance) {
    drain_log(instance);
    if (instance->serving && instance->timed_out) {
        char text[64];
        snprintf(text, sizeof text, "Task timed out after %.2f seconds",
                 (double)instance->pool->spec.timeout_ms / 1000);
        sl_invoke__log_timeout(instance);
        conclude_error(instance, "Sandbox.Timedout", text, true);
    } else if (instance->serving) {
        char text[96];
        const char *type = sl_invoke__exit_text(&instance->ended, text);
        conclude_error(instance, type, text, false);
    } else if (!instance->seen_ready) {
        sl_invoke__log_flush(instance);
        init_ended(instance);
    } else {
        if (instance->state == SL_INSTANCE_IDLE) sl_invoke__pool_leave_idle(instance);
        sl_invoke__log_flush(instance);
    }
    instance_free(instance);
}

// ---- the jail's reports
// -------------------------------------------------------------------------------------------------

// A letter reaches the loop that owned the instance when it was sent; if the instance has moved on since, so does the
// letter.
static bool forwarded(struct sl_instance *instance, struct sl_mail *mail, void (*deliver)(struct sl_mail *)) {
    struct sl_loop *owner = instance->loop;
    if (owner == sl_loop_current()) return false;
    sl_loop_post(owner, mail, deliver);
    return true;
}

static void deliver_started(struct sl_mail *mail) { started(SL_CONTAINER(mail, struct sl_instance, started_mail)); }

static void deliver_ended(struct sl_mail *mail) {
    struct sl_instance *instance = SL_CONTAINER(mail, struct sl_instance, ended_mail);
    if (forwarded(instance, mail, deliver_ended)) return;
    if (instance->given) {
        instance->end_seen = true; // the instance itself is still on its way here
        return;
    }
    ended(instance);
}

static void deliver_given(struct sl_mail *mail) {
    struct sl_instance *instance = SL_CONTAINER(mail, struct sl_instance, given_mail);
    struct sl_error err;
    instance->given = false;
    if (instance->end_seen) {
        instance->runtime.loop = instance->loop;
        ended(instance);
        return;
    }
    bool failed =
        sl_runtime_attach(&instance->runtime, instance->loop, &err) ||
        sl_watch_start(instance->loop, &instance->log_watch, instance->log_watch.fd, EPOLLIN, log_ready, &err);
    // The runtime may have closed its connection meanwhile; its end will be reported, and nothing may be sent to it.
    if (failed || !sl_runtime_is_ready(&instance->runtime))
        sl_invoke__instance_stop(instance);
    else
        sl_invoke__pool_offer(instance);
}

void sl_invoke__instance_give(struct sl_instance *instance, struct sl_loop *to) {
    instance->state = SL_INSTANCE_BUSY;
    sl_runtime_detach(&instance->runtime);
    sl_watch_stop(&instance->log_watch);
    sl_timer_stop(&instance->timer);
    instance->given = true;
    instance->loop = to;
    sl_loop_post(to, &instance->given_mail, deliver_given);
}

static void jail_report(struct sl_invoker *invoker, const struct sl_jail_event *event) {
    unsigned slot = (unsigned)(event->id & 0xffffffffu) - 1;
    struct sl_instance *instance = NULL;
    pthread_mutex_lock(&invoker->slot_lock);
    if (slot < invoker->config.max_instances) instance = invoker->slots[slot];
    pthread_mutex_unlock(&invoker->slot_lock);
    // The slot is released only after the last report, so an id that does not match would be a fault of the spawner's.
    if (!instance || instance->id != event->id) return;
    if (event->kind == SL_JAIL_STARTED) {
        instance->started = *event;
        sl_loop_post(instance->loop, &instance->started_mail, deliver_started);
    } else {
        instance->ended = *event;
        sl_loop_post(instance->loop, &instance->ended_mail, deliver_ended);
    }
}

static void jail_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_invoker *invoker = SL_CONTAINER(watch, struct sl_invoker, jail_watch);
    struct sl_jail_event event;
    int got;
    while ((got = sl_jail_poll(invoker->config.jail, &event)) > 0) jail_report(invoker, &event);
    if (got == 0) return;
    // Without the spawner nothing can run. The supervisor sees our end and starts both again.
    sl_log_error("invoke", "the spawner is gone: the server ends and is started again");
    sl_watch_stop(watch);
    abort();
}

int sl_invoke__watch_jail(struct sl_invoker *invoker, struct sl_error *err) {
    return sl_watch_start(invoker->loops[0].loop, &invoker->jail_watch, sl_jail_client_fd(invoker->config.jail),
                          EPOLLIN, jail_ready, err);
}

// ---- serving
// --------------------------------------------------------------------------------------------------------------

static void deadline(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    instance->timed_out = true;
    sl_runtime_forget(&instance->runtime);
    sl_invoke__instance_stop(instance);
}

void sl_invoke__instance_dispatch(struct sl_instance *instance, struct sl_invocation *invocation) {
    instance->state = SL_INSTANCE_BUSY;
    instance->invocation = invocation;
    instance->entry = invocation->entry;
    instance->serving = true;
    memcpy(instance->request_id, invocation->request_id, sizeof instance->request_id);
    invocation->instance = instance;
    instance->dispatched_ns = sl_clock_mono_ns();
    int64_t timeout_ms = instance->pool->spec.timeout_ms;
    sl_invoke__log_start(instance);
    sl_timer_start(instance->loop, &instance->timer, timeout_ms, deadline);
    struct sl_runtime_event event = {
        .request_id = sl_str_n(instance->request_id, 36),
        .deadline_ms = sl_clock_ms() + timeout_ms,
        .function_arn = invocation->invoked_arn,
        .trace_id = invocation->trace_id,
        .client_context = invocation->client_context,
        .payload = invocation->payload,
    };
    sl_runtime_send(&instance->runtime, &event);
}
