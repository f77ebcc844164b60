// SPDX-License-Identifier: Apache-2.0
//
// instance: the life of one sandbox, from asking the spawner to the report of its end. All on the owner loop's thread;
// the jail's reports come to loop 0, which passes them on as letters to the owner.
//
//   start ─► STARTING ─(started)─► INIT ─(first next)─► BUSY ⇄ IDLE ─► STOPPING ─(ended)─► freed
//
// An instance is freed in one place only, `ended`: whatever goes wrong, the sandbox is stopped and its end awaited.
// What the invocation in flight is answered depends on why it ended: time-out, exit, out of memory, failed init.
#include "invoke/blank.h"
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "runtime/telemetry.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INIT_ERROR_MAX = 1024 * 1024,
    LOG_READ = 16 * 1024,
    LOG_READS = 8,              // in one go: more than a pipe holds, so that nothing that was printed before is missed
    CREDENTIALS_SPARE_S = 3600, // more than an init and the longest invocation
    INIT_CPU_MILLI = 2000,      // the init phase is not held to the share that the memory size buys, as on AWS
};

// ---- logs ---------------------------------------------------------------------------------------------------------

static bool as_json(const struct sl_instance *instance) { return sl_str_is(instance->pool->spec.log_format, "JSON"); }

static void take_text(void *user, struct sl_str bytes) {
    struct sl_instance *instance = user;
    sl_runtime_telemetry_lines(&instance->runtime, SL_EVENT_FUNCTION, bytes, as_json(instance));
    sl_buf_str(&instance->log, bytes);
}

// A message stays one event of the log: its line ends become carriage returns, as AWS's clients write them where they
// have no frames.
static void take_message(void *user, struct sl_str message) {
    struct sl_instance *instance = user;
    sl_runtime_telemetry_message(&instance->runtime, message, as_json(instance));
    while (message.len && message.ptr[message.len - 1] == '\n') message.len--;
    sl_invoke__own_line(instance);
    if (instance->log.len + message.len > SL_LOG_LINE_MAX) sl_invoke__log_flush(instance);
    size_t from = instance->log.len;
    sl_buf_str(&instance->log, sl_str_sub(message, 0, SL_LOG_LINE_MAX));
    for (size_t i = from; i < instance->log.len; i++)
        if (instance->log.ptr[i] == '\n') instance->log.ptr[i] = '\r';
    sl_buf_char(&instance->log, '\n');
}

// What was read lies behind the log's end. Mostly it is text, and stays there.
static void take_output(struct sl_instance *instance, char *bytes, size_t len) {
    if (!instance->frames.frame.len && !memchr(bytes, SL_FRAME_FIRST, len)) {
        sl_runtime_telemetry_lines(&instance->runtime, SL_EVENT_FUNCTION, sl_str_n(bytes, len), as_json(instance));
        instance->log.len += len;
        return;
    }
    char copy[LOG_READ];
    memcpy(copy, bytes, len);
    sl_frames_feed(&instance->frames, sl_str_n(copy, len),
                   &(struct sl_frames_sink){.text = take_text, .message = take_message, .user = instance});
}

// While several events are under way, who printed is the one that was begun last: a bootstrap begins nothing behind an
// invocation that printed. It is known once the answers are read that were given before the output was, and so the
// order matters: output, answers, attribution. False: there was none.
static bool drain_ahead(struct sl_instance *instance) {
    char bytes[LOG_READ];
    ssize_t got = read(instance->log_watch.fd, bytes, sizeof bytes);
    if (got == 0) sl_watch_stop(&instance->log_watch);
    if (got <= 0) return false;
    sl_runtime_catch_up(&instance->runtime);
    instance->printed = true;
    char *room = sl_buf_reserve(&instance->log, LOG_READ);
    if (!room) return false;
    memcpy(room, bytes, (size_t)got);
    take_output(instance, room, (size_t)got);
    return (size_t)got == sizeof bytes;
}

void sl_invoke__drain_log(struct sl_instance *instance) {
    sl_invoke__extensions_drain(instance);
    if (instance->log_watch.fd < 0) return;
    for (int i = 0; i < LOG_READS; i++) {
        if (instance->ahead) {
            if (!drain_ahead(instance)) return;
            continue;
        }
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
        instance->printed = true;
        take_output(instance, room, (size_t)got);
        if (got < LOG_READ) return;
    }
}

static void log_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_instance *instance = SL_CONTAINER(watch, struct sl_instance, log_watch);
    sl_invoke__drain_log(instance);
    if (!instance->serving) sl_invoke__log_flush(instance);
}

// ---- start ----------------------------------------------------------------------------------------------------------

static uint32_t init_cpu(const struct sl_function *spec) {
    uint32_t share = sl_jail_cpu_for_memory(spec->memory_mb);
    return share > INIT_CPU_MILLI ? share : INIT_CPU_MILLI;
}

// By the way that was found (blank.h): give a blank that waits its function, or copy a template and do so, or start the
// function's program. Once there is a sandbox, what goes wrong ends it, and the report of that is awaited.
static int request_by_way(struct sl_instance *instance, const struct sl_invoke__blank_grant *grant,
                          const struct sl_jail_spec *spec, struct sl_error *err) {
    struct sl_jail_client *jail = instance->invoker->config.jail;
    if (grant->way == SL_BLANK_WAY_NONE) return sl_jail_start(jail, instance->id, spec, err);
    if (grant->way == SL_BLANK_WAY_FORK) {
        struct sl_jail_spec blank = {
            .memory_mb = grant->memory_mb,
            .cpu_milli = spec->cpu_milli,
            .network = spec->network,
            .code_dir_fd = -1,
            .opt_dir_fd = -1,
            .block_fd = grant->block,
            .blank = true,
            .template = grant->template,
        };
        if (sl_jail_start(jail, instance->id, &blank, err)) return err->kind;
    }
    if (sl_jail_adopt(jail, instance->id, spec, err)) {
        sl_log_error("invoke", "adopt a blank: %s", err->message);
        sl_invoke__instance_stop(instance);
    }
    return 0;
}

// What a start needs of the machine.
struct request {
    int code, layers, block, image; // descriptors; -1: none
};

static void request_close(struct request *request) {
    if (request->code >= 0) close(request->code);
    if (request->layers >= 0) close(request->layers);
    if (request->block >= 0) close(request->block);
    if (request->image >= 0) close(request->image);
}

// Good for as long as the instance may live, and its last invocation may take; one that lives on is replaced before.
static int give_credentials(struct sl_instance *instance, struct sl_error *err) {
    const struct sl_invoker_doors *doors = &instance->invoker->config.doors;
    int64_t age_s = sl_invoke__max_age_ms(instance) / 1000;
    if (!doors->credentials) return 0;
    if (age_s == 0 || age_s > SL_INVOKE__CREDENTIALS_AGE_S) age_s = SL_INVOKE__CREDENTIALS_AGE_S;
    // A client that was made before a snapshot goes on with the snapshot's, in every instance that is made from it.
    int64_t more_s = instance->pool->snap ? SL_INVOKE__CREDENTIALS_AGE_S : 0;
    instance->renew_ns = instance->started_ns + age_s * 1000000000;
    instance->credentials = malloc(sizeof *instance->credentials);
    if (!instance->credentials) return sl_fail(err, SL_E_NO_MEMORY, "no memory");
    return doors->credentials(doors->user, &instance->pool->spec, age_s + more_s + CREDENTIALS_SPARE_S,
                              instance->credentials, err);
}

// Once every program of the instance has them.
static void forget_credentials(struct sl_instance *instance) {
    if (instance->credentials) explicit_bzero(instance->credentials, sizeof *instance->credentials);
    free(instance->credentials);
    instance->credentials = NULL;
}

static void open_door(struct sl_instance *instance, int listen_fd) {
    const struct sl_invoker_doors *doors = &instance->invoker->config.doors;
    if (listen_fd < 0) return;
    if (doors->open)
        instance->door = doors->open(doors->user, instance->loop, listen_fd);
    else
        close(listen_fd);
}

static int request_prepare(struct sl_instance *instance, bool bound, struct request *ret, struct sl_error *err) {
    struct sl_store *store = instance->invoker->config.store;
    const struct sl_function *spec = &instance->pool->spec;
    *ret = (struct request){-1, -1, -1, -1};
    if (spec->code_path.len ? sl_invoke__hot_open(spec->code_path, &ret->code, err)
                            : sl_blob_open_dir(store, spec->code_sha256, &ret->code, err))
        return sl_wrap(err, "code of %.*s", SL_FMT(spec->name));
    if (spec->layers_sha256.len && sl_blob_open_dir(store, spec->layers_sha256, &ret->layers, err))
        return sl_wrap(err, "layers of %.*s", SL_FMT(spec->name));
    if (sl_invoke__extensions_find(instance, ret->layers, err)) return err->kind;
    if (give_credentials(instance, err)) return sl_wrap(err, "credentials of %.*s", SL_FMT(spec->name));
    if (!instance->snapping && !bound && !instance->extensions) ret->image = sl_invoke__snap_image_open(instance->pool);
    instance->from_image = ret->image >= 0;
    struct sl_invoke__launch launch = sl_invoke__launch_of(instance);
    return sl_invoke__launch_block(&launch, ret->code, &ret->block, err);
}

static int request_sandbox(struct sl_instance *instance, const struct request *request,
                           const struct sl_invoke__blank_grant *grant, struct sl_error *err) {
    const struct sl_function *spec = &instance->pool->spec;
    struct sl_jail_spec jail = {
        .memory_mb = spec->memory_mb,
        .cpu_milli = init_cpu(spec),
        .tmp_mb = spec->tmp_mb,
        .network = instance->invoker->config.network,
        .code_dir_fd = request->code,
        .opt_dir_fd = request->layers,
        .block_fd = request->block,
        .input_fd = request->image > 0 ? request->image : 0,
        .image = spec->image,
    };
    sl_invoke__extensions_spec(instance, &jail);
    return request_by_way(instance, grant, &jail, err);
}

void sl_invoke__close_started(const struct sl_jail_event *event) {
    const int files[] = {event->log_fd, event->memory_fd, event->freeze_fd};
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++)
        if (event->listen_fd[i] >= 0) close(event->listen_fd[i]);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] >= 0) close(files[i]);
    }
}

static void instance_free(struct sl_instance *instance) {
    sl_timer_stop(&instance->timer);
    if (instance->door) instance->invoker->config.doors.close(instance->door);
    forget_credentials(instance);
    sl_invoke__ahead_leave(instance);
    sl_runtime_close(&instance->runtime);
    if (instance->log_watch.fd >= 0) {
        sl_watch_stop(&instance->log_watch);
        close(instance->log_watch.fd);
    }
    if (instance->memory_fd >= 0) close(instance->memory_fd);
    if (instance->freeze_fd >= 0) close(instance->freeze_fd);
    if (instance->image_fd >= 0) close(instance->image_fd);
    sl_invoke__extensions_free(instance);
    sl_invoke__shutdown_free(instance);
    sl_frames_free(&instance->frames);
    sl_buf_free(&instance->log);
    sl_buf_free(&instance->init_error);
    if (instance->id) sl_invoke__slot_release(instance->invoker, instance->slot);
    sl_invoke__provision_gone(instance);
    sl_invoke__snap_gone(instance);
    sl_invoke__room_left(instance);
    sl_invoke__start_return(instance->pool);
    sl_invoke__pool_unref(instance->pool);
    free(instance);
}

void sl_invoke__log_stream_name(const struct sl_function *function, char out[static SL_LOG_STREAM]) {
    char day[SL_TIME_ISO_MS], random[33];
    sl_time_iso_ms(sl_clock_ms(), day);
    sl_random_hex(random, 32);
    snprintf(out, SL_LOG_STREAM, "%.4s/%.2s/%.2s/[%.*s]%s", day, day + 5, day + 8, SL_FMT(function->version), random);
}

static void instance_init(struct sl_instance *instance, struct sl_invoke__pool *pool,
                          const struct sl_invoke__start *start) {
    instance->invoker = pool->invoker;
    instance->pool = sl_invoke__pool_ref(pool);
    instance->charge = start->charge;
    instance->provisioned = start->provisioned;
    instance->snapping = start->snapping;
    if (instance->snapping) sl_invoke__snap_started(instance);
    atomic_init(&instance->loop, start->loop);
    if (instance->provisioned) sl_invoke__provision_started(instance);
    instance->state = SL_INSTANCE_STARTING;
    instance->memory_fd = instance->freeze_fd = instance->log_watch.fd = instance->image_fd = -1;
    instance->first = true;
    instance->started_ns = sl_clock_mono_ns();
    instance->identity =
        (struct sl_runtime_identity){pool->spec.name, pool->spec.version, pool->spec.handler, pool->spec.account};
    sl_buf_init(&instance->log, SL_LOG_LINE_MAX + 2 * LOG_READ);
    sl_buf_init(&instance->init_error, INIT_ERROR_MAX);
    sl_invoke__log_stream_name(&pool->spec, instance->log_stream);
}

// A blank, with its slot, or a slot for a new sandbox. False: there is none. The second try of an init that failed is
// as plain as can be.
static bool find_way(struct sl_instance *instance, const struct sl_invoke__start *start,
                     struct sl_invoke__blank_grant *ret) {
    // External extensions come before the runtime, which must not run yet then.
    if (!start->bound && !instance->extensions && !instance->from_image)
        sl_invoke__blank_take(instance, &instance->pool->spec, ret);
    instance->adopted = ret->way != SL_BLANK_WAY_NONE;
    if (ret->way == SL_BLANK_WAY_READY) return true;
    return sl_invoke__slot_take(instance->invoker, instance, &instance->slot, &instance->id);
}

static void started(struct sl_instance *instance);

int sl_invoke__instance_start(struct sl_invoke__pool *pool, const struct sl_invoke__start *start,
                              struct sl_error *err) {
    struct sl_invoker *invoker = pool->invoker;
    struct sl_instance *instance = calloc(1, sizeof *instance);
    if (!instance) {
        sl_invoke__room_return(invoker, start->charge);
        sl_invoke__start_return(pool);
        return sl_fail(err, SL_E_NO_MEMORY, "no memory for an instance");
    }
    instance_init(instance, pool, start);
    struct sl_invoke__blank_grant grant = {.way = SL_BLANK_WAY_NONE, .block = -1};
    struct request request;
    int failed = request_prepare(instance, start->bound != NULL, &request, err);
    if (!failed && !find_way(instance, start, &grant)) failed = sl_fail(err, SL_E_THROTTLED, "Rate Exceeded.");
    if (!failed) failed = request_sandbox(instance, &request, &grant, err);
    request_close(&request);
    if (grant.block >= 0) close(grant.block);
    if (failed) {
        instance_free(instance);
        return failed;
    }
    atomic_fetch_add_explicit(&sl_invoke__of(invoker, start->loop)->cold_starts, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->cold_starts, 1, memory_order_relaxed);
    if (start->bound) {
        instance->bound = true;
        instance->first = false; // its init is part of the invocation, and of its bill
        sl_invoke__begin(instance, start->bound);
    }
    if (grant.way == SL_BLANK_WAY_READY) started(instance); // it was, before it was an instance
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
    instance->freeze_fd = event->freeze_fd;
    bool stopped = instance->state == SL_INSTANCE_STOPPING;
    if (!stopped) instance->state = SL_INSTANCE_INIT;
    if (sl_watch_start(instance->loop, &instance->log_watch, event->log_fd, EPOLLIN, log_ready, &err)) {
        instance->log_watch.fd = event->log_fd;
        stopped = true;
    }
    if (sl_runtime_open(&instance->runtime, instance->loop, event->listen_fd, &sl_invoke__runtime_handler,
                        &instance->identity, instance, &err))
        stopped = true;
    open_door(instance, event->listen_fd[SL_JAIL_LISTEN_DOOR]);
    instance->runtime.snapshots = instance->pool->snap != NULL;
    if (!instance->from_image) sl_invoke__log_init_start(instance);
    if (stopped) {
        sl_invoke__instance_stop(instance);
        return;
    }
    sl_invoke__extensions_start(instance);
    forget_credentials(instance);
    if (instance->state == SL_INSTANCE_STOPPING) return;
    if (instance->from_image)
        sl_invoke__snap_begin(instance);
    else if (!instance->bound)
        sl_timer_start(instance->loop, &instance->timer, sl_invoke__init_limit_ms(instance), init_limit);
}

void sl_invoke__instance_kill(struct sl_instance *instance) {
    struct sl_error err;
    if (sl_jail_stop(instance->invoker->config.jail, instance->id, &err))
        sl_log_error("invoke", "stop instance: %s", err.message);
}

void sl_invoke__instance_stop(struct sl_instance *instance) {
    if (instance->state == SL_INSTANCE_STOPPING) return;
    instance->state = SL_INSTANCE_STOPPING;
    sl_invoke__pool_leave(instance);
    sl_invoke__provision_gone(instance);
    sl_invoke__snap_gone(instance);
    sl_invoke__room_leaving(instance);
    if (!sl_invoke__shutdown_begin(instance)) sl_invoke__instance_kill(instance);
}

// ---- the end -------------------------------------------------------------------------------------------------------

// What was in flight is answered according to why it will not be done.
void sl_invoke__settle(struct sl_instance *instance) {
    if (instance->settled) return;
    instance->settled = true;
    sl_invoke__pool_leave(instance);
    sl_runtime_recall(&instance->runtime); // what was answered before the end is answered
    sl_invoke__ahead_leave(instance);
    sl_invoke__drain_log(instance);
    if (instance->serving && instance->timed_out) {
        if (!instance->seen_ready) sl_invoke__log_init_report(instance, "timeout", "");
        char text[64];
        snprintf(text, sizeof text, "Task timed out after %.2f seconds",
                 (double)instance->pool->spec.timeout_ms / 1000);
        sl_invoke__conclude_error(instance, "Sandbox.Timedout", text, true);
    } else if (!instance->seen_ready) {
        sl_invoke__init_ended(instance);
    } else if (instance->serving) {
        char text[96];
        const char *type = sl_invoke__exit_text(&instance->ended, text);
        sl_invoke__conclude_error(instance, type, text, false);
    } else {
        if (instance->state == SL_INSTANCE_IDLE) sl_invoke__pool_leave_idle(instance);
        sl_invoke__finish_late(instance);
        sl_invoke__log_flush(instance);
    }
}

static void ended(struct sl_instance *instance) {
    sl_invoke__settle(instance);
    sl_invoke__drain_log(instance); // what was said while it was shut down
    sl_invoke__log_flush(instance);
    instance_free(instance);
}

// ---- the jail's reports --------------------------------------------------------------------------------------------

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
        sl_runtime_attach(&instance->runtime, instance->loop, &err) || sl_invoke__extensions_attach(instance, &err) ||
        sl_watch_start(instance->loop, &instance->log_watch, instance->log_watch.fd, EPOLLIN, log_ready, &err);
    if (!failed && instance->snapshotted && !instance->seen_ready) {
        sl_invoke__snap_arrived(instance);
        return;
    }
    // The runtime may have closed its connection meanwhile; its end will be reported, and nothing may be sent to it.
    if (failed || !sl_runtime_is_ready(&instance->runtime))
        sl_invoke__instance_stop(instance);
    else
        sl_invoke__pool_offer(instance);
}

void sl_invoke__instance_give(struct sl_instance *instance, struct sl_loop *to) {
    instance->state = SL_INSTANCE_BUSY;
    sl_invoke__pool_leave(instance);
    sl_invoke__ahead_leave(instance);
    sl_runtime_detach(&instance->runtime);
    sl_watch_stop(&instance->log_watch);
    sl_invoke__extensions_detach(instance);
    sl_timer_stop(&instance->timer);
    instance->given = true;
    instance->loop = to;
    sl_loop_post(to, &instance->given_mail, deliver_given);
}

static void jail_report(struct sl_invoker *invoker, const struct sl_jail_event *event) {
    if (sl_invoke__blank_report(invoker, event)) return;
    struct sl_instance *instance = sl_invoke__slot_find(invoker, event->id);
    if (!instance) {
        sl_invoke__close_program(event);
        return;
    }
    switch (event->kind) {
    case SL_JAIL_PROGRAM_STARTED:
    case SL_JAIL_PROGRAM_FAILED:
    case SL_JAIL_PROGRAM_EXITED:
    case SL_JAIL_CONNECTOR:
        sl_invoke__report_program(invoker, event);
        break;
    case SL_JAIL_STARTED:
        instance->started = *event;
        sl_loop_post(instance->loop, &instance->started_mail, deliver_started);
        break;
    case SL_JAIL_FAILED:
    case SL_JAIL_EXITED:
        instance->ended = *event;
        sl_loop_post(instance->loop, &instance->ended_mail, deliver_ended);
        break;
    default: // of a blank that became an instance: it shows by asking for an event
        break;
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
