// SPDX-License-Identifier: Apache-2.0
//
// init: the init phase of an instance. It has a limit of its own (AWS: 10 s), not the function's time-out. An instance
// whose init ends badly (limit, exit, /init/error) is thrown away, and the init is run once more for the invocation
// that waits longest, this time inside of it: under the function's time-out and on its bill ("suppressed init", Lambda
// developer guide, "Failures during the Init phase"). Such an instance is `bound`: it serves that invocation from its
// start. What goes wrong the second time is the invocation's answer.
#include "invoke/waiting.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void sl_invoke__init_ready(struct sl_instance *instance) {
    struct sl_invoker *invoker = instance->invoker;
    if (instance->pool->snap && !instance->snapshotted) { // a runtime that has no part in snapshots
        sl_invoke__snap_reached(instance);
        return;
    }
    instance->seen_ready = true;
    instance->ready_ns = sl_clock_mono_ns();
    if (instance->snapshotted) {
        sl_invoke__snap_restored(instance);
    } else {
        instance->init_us = (instance->ready_ns - instance->started_ns) / 1000;
        sl_invoke__tell_init_done(instance);
        struct sl_error err;
        // A share that cannot be set is the spawner's end, which is noticed elsewhere.
        (void)sl_jail_set_cpu(invoker->config.jail, instance->id,
                              sl_jail_cpu_for_memory(instance->pool->spec.memory_mb), &err);
    }
    sl_invoke__room_adjust(instance, sl_jail_memory_peak(instance->memory_fd));
    if (instance->provisioned) {
        sl_timer_stop(&instance->timer);
        instance->first = false; // its init is no part of an invocation
        sl_invoke__provision_ready(instance);
        sl_invoke__pool_offer(instance);
    } else if (!instance->bound) {
        sl_timer_stop(&instance->timer);
        sl_invoke__pool_ready(instance);
    } else if (instance->invocation) {
        sl_invoke__send(instance);
    } else {
        sl_invoke__instance_stop(instance); // its caller left, and there was no memory to keep the event
    }
}

// ---- what went wrong ------------------------------------------------------------------------------------------------

struct failure {
    const char *type;   // "Runtime.ExitError"; may be empty (what /init/error said)
    const char *status; // "error" or "timeout"
    char text[256];     // after "RequestId: <id> Error: "
    bool refused;       // the machine's fault: no answer of the function's
    int kind;           // error kind, when refused
};

// Go's words for the errno of a failed execve, which AWS passes on.
const char *sl_invoke__go_error(int number) {
    switch (number) {
    case ENOENT:
        return "no such file or directory";
    case EACCES:
        return "permission denied";
    case ENOEXEC:
        return "exec format error";
    case ENOTDIR:
        return "not a directory";
    default:
        return strerrordesc_np(number) ? strerrordesc_np(number) : "failed";
    }
}

// The sandbox or its first program could not be made.
static void describe_not_started(const struct sl_instance *instance, struct failure *failure) {
    const struct sl_jail_event *ended = &instance->ended;
    static const char execute[] = "execute ";
    bool executing = strncmp(ended->step, execute, sizeof execute - 1) == 0;
    const char *path = ended->step + sizeof execute - 1;
    failure->type = "Runtime.InvalidEntrypoint";
    // The last place that is looked at: there is none in the code either.
    if (executing && ended->error == ENOENT && strcmp(path, "/opt/bootstrap") == 0) {
        snprintf(failure->text, sizeof failure->text,
                 "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
    } else if (executing) {
        snprintf(failure->text, sizeof failure->text, "fork/exec %s: %s", path, sl_invoke__go_error(ended->error));
    } else {
        failure->refused = true;
        failure->type = "Sandbox.Failure";
        failure->kind = ended->error == EAGAIN ? SL_E_THROTTLED : SL_E_SERVICE;
        snprintf(failure->text, sizeof failure->text, "%s",
                 ended->error == EAGAIN ? "Rate Exceeded." : "The sandbox could not be started.");
    }
    sl_log_warn("invoke", "instance of %.*s did not start: %s: %s", SL_FMT(instance->pool->spec.name), ended->step,
                sl_invoke__go_error(ended->error));
}

static void describe(const struct sl_instance *instance, struct failure *failure) {
    *failure = (struct failure){.status = "error"};
    if (instance->init_failed) {
        failure->type = instance->init_error_type;
    } else if (instance->ended.kind == SL_JAIL_FAILED) {
        describe_not_started(instance, failure);
    } else if (instance->timed_out) {
        failure->type = "Sandbox.Timedout";
        failure->status = "timeout";
        snprintf(failure->text, sizeof failure->text, "Task timed out after %.2f seconds",
                 (double)sl_invoke__init_limit_ms(instance) / 1000);
    } else {
        char text[96];
        failure->type = sl_invoke__exit_text(&instance->ended, text);
        snprintf(failure->text, sizeof failure->text, "%s", text);
    }
}

// The result for an invocation with this request id; the document lives in the loop's scratch buffer, `error` outside.
static struct sl_invocation_result result_of(const struct sl_instance *instance, const struct failure *failure,
                                             const char *request_id, struct sl_error *error) {
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_ERROR,
                                          .function_error = SL_STR("Unhandled"),
                                          .content_type = SL_STR("application/json"),
                                          .error_type = sl_str_of(failure->type),
                                          .executed_version = instance->pool->spec.version};
    if (failure->refused) {
        sl_fail(error, failure->kind, "%s", failure->text);
        result.outcome = SL_INVOCATION_REFUSED;
        result.error = error;
        if (failure->kind == SL_E_THROTTLED) result.throttle_reason = SL_STR("ConcurrentInvocationLimitExceeded");
        return result;
    }
    struct sl_buf *document = &sl_invoke__of(instance->invoker, instance->loop)->scratch;
    sl_buf_clear(document, 64 * 1024);
    if (instance->init_failed)
        sl_buf_str(document, sl_buf_view(&instance->init_error));
    else
        sl_invoke__error_document(document, failure->type, request_id, failure->text);
    result.payload = sl_buf_view(document);
    result.timed_out = instance->timed_out;
    result.init_us = (sl_clock_mono_ns() - instance->started_ns) / 1000;
    return result;
}

// ---- the end of an init --------------------------------------------------------------------------------------------

// The room that the failed instance is leaving is the new one's.
static int start_bound(struct sl_instance *instance, struct sl_invocation *waiting, struct sl_error *err) {
    const struct sl_invoke__start start = {
        .loop = instance->loop, .charge = sl_invoke__charge_of(instance->pool), .bound = waiting};
    atomic_fetch_add(&instance->invoker->instance_count, 1);
    atomic_fetch_add(&instance->invoker->memory_used, start.charge);
    (void)sl_invoke__start_take(instance->pool); // for the balance: its end gives it back
    return sl_invoke__instance_start(instance->pool, &start, err);
}

// Of an instance whose restore did not succeed. There is no second try: the snapshot would do the same again.
static void restore_ended(struct sl_instance *instance) {
    struct sl_error error;
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_REFUSED, .error = &error};
    if (instance->timed_out)
        sl_fail(&error, SL_E_SNAP_START_TIMEOUT, "Lambda couldn't restore the snapshot within the timeout limit.");
    else
        sl_fail(&error, SL_E_SNAP_START,
                "The afterRestore() runtime hook encountered an error. For more information, check the Amazon "
                "CloudWatch logs.");
    char text[96];
    const char *type = instance->timed_out        ? ""
                       : instance->restore_failed ? instance->init_error_type
                                                  : sl_invoke__exit_text(&instance->ended, text);
    sl_invoke__log_restore_report(instance, instance->timed_out ? "timeout" : "error", type);
    if (instance->bound) {
        sl_invoke__log_start(instance);
        sl_invoke__conclude(instance, &result, instance->timed_out ? "timeout" : "error");
        return;
    }
    sl_invoke__log_flush(instance);
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    sl_invoke__pool_start_over(instance->pool, loop);
    struct sl_invocation *waiting = sl_invoke__waiting_pop(&instance->pool->shards[loop]);
    if (waiting) sl_invoke__finish(instance->invoker, waiting, &result);
}

// The image is of no use (what it was made of has changed): the version is initialised again, for who waits.
static void image_failed(struct sl_instance *instance) {
    struct sl_error error;
    sl_log_warn("invoke", "the image of %.*s:%.*s cannot be restored", SL_FMT(instance->pool->spec.name),
                SL_FMT(instance->pool->spec.version));
    sl_invoke__snap_image_drop(instance->pool, true);
    sl_invoke__log_flush(instance);
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    sl_invoke__pool_start_over(instance->pool, loop);
    struct sl_invocation *waiting = sl_invoke__waiting_pop(&instance->pool->shards[loop]);
    if (!waiting || start_bound(instance, waiting, &error) == 0) return;
    struct sl_invocation_result result = {.outcome = SL_INVOCATION_REFUSED, .error = &error};
    sl_invoke__finish(instance->invoker, waiting, &result);
}

void sl_invoke__init_ended(struct sl_instance *instance) {
    struct failure failure;
    struct sl_error error;
    if (instance->from_image && !instance->resumed_ns && !instance->timed_out) {
        image_failed(instance);
        return;
    }
    if (instance->restore_ns) {
        restore_ended(instance);
        return;
    }
    if (instance->snapshotted) return; // it was kept, for nobody
    sl_invoke__snap_gone(instance);
    describe(instance, &failure);
    // That a blank could not be made its own is no concern of the function's.
    bool own_fault = !(instance->adopted && instance->ended.error);
    if (own_fault) sl_invoke__log_init_report(instance, failure.status, failure.type);
    if (instance->bound) {
        struct sl_invocation_result result = result_of(instance, &failure, instance->request_id, &error);
        sl_invoke__log_start(instance);
        if (failure.text[0]) sl_invoke__log_failure(instance, failure.type, failure.text);
        sl_invoke__conclude(instance, &result, failure.status);
        return;
    }
    sl_invoke__log_flush(instance);
    if (instance->snap_ended) {
        sl_invoke__snap_failed(instance, own_fault && !failure.refused ? failure.type : NULL, failure.text,
                               instance->timed_out);
        return;
    }
    if (instance->provisioned) {
        sl_invoke__provision_init_failed(instance);
        return;
    }
    unsigned loop = (unsigned)sl_loop_index(instance->loop);
    sl_invoke__pool_start_over(instance->pool, loop);
    struct sl_invocation *waiting = sl_invoke__waiting_pop(&instance->pool->shards[loop]);
    if (!waiting || start_bound(instance, waiting, &error) == 0) return;
    // Not even a second try could be made: the first one's failure is the answer.
    struct sl_invocation_result result = result_of(instance, &failure, waiting->request_id, &error);
    sl_invoke__finish(instance->invoker, waiting, &result);
}
