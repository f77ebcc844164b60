// SPDX-License-Identifier: Apache-2.0
//
// shutdown: the end of an instance that has extensions. Without any, an instance is killed at once; with internal ones
// the runtime gets SIGTERM and 500 ms; with external ones there are two seconds in all, of which the runtime has at
// most 30 %, after which the extensions get the SHUTDOWN event ("Shutdown phase", Extensions API, Lambda developer
// guide; the shares are those of AWS's emulator). Whoever is there at the end is killed with the sandbox.
//
//   TERM to the runtime ─(it ends, or its time is over: KILL)─► SHUTDOWN to extensions ─(all end, or time is over)─►
//   kill
//
// What the invocation or the init in flight is answered does not wait for any of this.
#include "invoke/internal.h"

#include "base/clock.h"
#include "runtime/telemetry.h"

#include <signal.h>
#include <stdlib.h>

enum { INTERNAL_MS = 500, EXTERNAL_MS = 2000, RUNTIME_PERCENT = 30 };

struct sl_shutdown {
    const char *reason;
    int64_t deadline_ms; // of the loop's clock
    bool asked;          // extensions were told
};

static void kill_all(struct sl_instance *instance) {
    sl_timer_stop(&instance->timer);
    sl_invoke__instance_kill(instance);
}

static void out_of_time(struct sl_timer *timer) { kill_all(SL_CONTAINER(timer, struct sl_instance, timer)); }

static int64_t left_ms(const struct sl_instance *instance) {
    int64_t left = instance->shutdown->deadline_ms - sl_loop_now_ms(instance->loop);
    return left > 0 ? left : 0;
}

static void ask_extensions(struct sl_instance *instance) {
    struct sl_shutdown *shutdown = instance->shutdown;
    if (shutdown->asked) return;
    shutdown->asked = true;
    if (!sl_invoke__extensions_ask(instance)) {
        kill_all(instance);
        return;
    }
    sl_timer_start(instance->loop, &instance->timer, left_ms(instance), out_of_time);
    sl_runtime_shut_down(&instance->runtime, shutdown->reason, sl_clock_ms() + left_ms(instance));
}

static void runtime_out_of_time(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    struct sl_error err;
    (void)sl_jail_signal(instance->invoker->config.jail, instance->id, SL_JAIL_MAIN, SIGKILL, &err);
    ask_extensions(instance);
}

void sl_invoke__shutdown_progress(struct sl_instance *instance) {
    if (!instance->shutdown) return;
    if (!instance->shutdown->asked) {
        if (!sl_invoke__main_runs(instance)) ask_extensions(instance);
    } else if (!sl_invoke__extensions_left(instance)) {
        kill_all(instance);
    }
}

bool sl_invoke__shutdown_begin(struct sl_instance *instance) {
    bool external = sl_invoke__extensions_left(instance) > 0;
    struct sl_error err;
    if (!instance->runtime.loop || instance->shutdown) return false;
    if (!external && (!sl_runtime_extension_count(&instance->runtime) || !sl_invoke__main_runs(instance))) return false;
    struct sl_shutdown *shutdown = calloc(1, sizeof *shutdown);
    if (!shutdown) return false;
    int64_t budget = external ? EXTERNAL_MS : INTERNAL_MS;
    shutdown->reason = instance->timed_out ? "timeout" : instance->failed ? "failure" : "spindown";
    shutdown->deadline_ms = sl_loop_now_ms(instance->loop) + budget;
    instance->shutdown = shutdown;
    sl_invoke__settle(instance);
    sl_runtime_telemetry_flush(&instance->runtime);
    if (!sl_invoke__main_runs(instance)) {
        ask_extensions(instance);
        return true;
    }
    (void)sl_jail_signal(instance->invoker->config.jail, instance->id, SL_JAIL_MAIN, SIGTERM, &err);
    if (external)
        sl_timer_start(instance->loop, &instance->timer, budget * RUNTIME_PERCENT / 100, runtime_out_of_time);
    else
        sl_timer_start(instance->loop, &instance->timer, budget, out_of_time);
    return true;
}

void sl_invoke__shutdown_free(struct sl_instance *instance) {
    free(instance->shutdown);
    instance->shutdown = NULL;
}
