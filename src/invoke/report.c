// SPDX-License-Identifier: Apache-2.0
//
// report: the platform's lines in a function's log (INIT_START, START, END, REPORT, the time-out line) in AWS's form,
// text or JSON, and the error documents AWS makes when the function itself cannot.
#include "base/clock.h"
#include "invoke/internal.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { PEAK_AGE_NS = 2 * 1000 * 1000 };

static bool as_json(const struct sl_instance *instance) { return sl_str_is(instance->pool->spec.log_format, "JSON"); }

// A function may print half a line; the platform's lines start on lines of their own.
void sl_invoke__own_line(struct sl_instance *instance) {
    if (instance->log.len && instance->log.ptr[instance->log.len - 1] != '\n') sl_buf_char(&instance->log, '\n');
}

void sl_invoke__log_init_start(struct sl_instance *instance) {
    const struct sl_function *function = &instance->pool->spec;
    sl_invoke__tell_init_start(instance);
    if (as_json(instance) || instance->bound) return;
    sl_buf_cstr(&instance->log, "INIT_START Runtime Version: ");
    sl_buf_str(&instance->log, function->runtime);
    sl_buf_char(&instance->log, '\n');
}

void sl_invoke__log_restore_start(struct sl_instance *instance) {
    sl_invoke__tell_restore_start(instance);
    if (as_json(instance)) return;
    sl_buf_cstr(&instance->log, "RESTORE_START Runtime Version: ");
    sl_buf_str(&instance->log, instance->pool->spec.runtime);
    sl_buf_char(&instance->log, '\n');
}

static void put_ms(struct sl_buf *out, int64_t us);

void sl_invoke__log_restore_report(struct sl_instance *instance, const char *status, const char *error_type) {
    struct sl_buf *log = &instance->log;
    if (!instance->restore_us) instance->restore_us = (sl_clock_mono_ns() - instance->restore_ns) / 1000;
    sl_invoke__own_line(instance);
    sl_invoke__tell_restore_done(instance, status, error_type);
    if (as_json(instance)) return;
    sl_buf_cstr(log, "RESTORE_REPORT Restore Duration: ");
    put_ms(log, instance->restore_us);
    sl_buf_cstr(log, " ms");
    if (strcmp(status, "success") != 0) sl_buf_printf(log, "\tStatus: %s", status);
    if (error_type[0]) sl_buf_printf(log, "\tError Type: %s", error_type);
    sl_buf_char(log, '\n');
}

void sl_invoke__log_start(struct sl_instance *instance) {
    struct sl_buf *log = &instance->log;
    sl_invoke__tell_start(instance);
    if (as_json(instance)) return;
    sl_buf_cstr(log, "START RequestId: ");
    sl_buf_put(log, instance->request_id, 36);
    sl_buf_cstr(log, " Version: ");
    sl_buf_str(log, instance->pool->spec.version);
    sl_buf_char(log, '\n');
}

// Thousandths as "12.34": AWS prints two decimals of a millisecond.
static void put_ms(struct sl_buf *out, int64_t us) {
    int64_t hundredths = (us + 5) / 10;
    sl_buf_u64(out, (uint64_t)(hundredths / 100));
    char decimals[3] = {'.', (char)('0' + hundredths / 10 % 10), (char)('0' + hundredths % 10)};
    sl_buf_put(out, decimals, sizeof decimals);
}

static void end_text(struct sl_instance *instance, const struct sl_invoke__bill *bill) {
    struct sl_buf *log = &instance->log;
    const char *status = instance->outcome.status, *error_type = instance->outcome.error_type;
    sl_buf_cstr(log, "END RequestId: ");
    sl_buf_put(log, instance->request_id, 36);
    sl_buf_cstr(log, "\nREPORT RequestId: ");
    sl_buf_put(log, instance->request_id, 36);
    sl_buf_cstr(log, "\tDuration: ");
    put_ms(log, bill->duration_us);
    sl_buf_cstr(log, " ms\tBilled Duration: ");
    sl_buf_u64(log, bill->billed_ms);
    sl_buf_cstr(log, " ms\tMemory Size: ");
    sl_buf_u64(log, instance->pool->spec.memory_mb);
    sl_buf_cstr(log, " MB\tMax Memory Used: ");
    sl_buf_u64(log, bill->peak_mb);
    sl_buf_cstr(log, " MB\t");
    if (bill->init_us) {
        sl_buf_cstr(log, "Init Duration: ");
        put_ms(log, bill->init_us);
        sl_buf_cstr(log, " ms\t");
    }
    if (bill->restore_us) {
        sl_buf_cstr(log, "Restore Duration: ");
        put_ms(log, bill->restore_us);
        sl_buf_cstr(log, " ms\tBilled Restore Duration: ");
        sl_buf_u64(log, bill->billed_restore_ms);
        sl_buf_cstr(log, " ms\t");
    }
    if (strcmp(status, "success") != 0) {
        sl_buf_printf(log, "Status: %s\t", status);
        if (error_type[0]) sl_buf_printf(log, "Error Type: %s\t", error_type);
    }
    sl_buf_char(log, '\n');
}

int64_t sl_invoke__billed_restore_ms(const struct sl_instance *instance) {
    return instance->first && instance->restore_us ? (instance->resume_us + 999) / 1000 : 0;
}

int64_t sl_invoke__billed_ms(const struct sl_instance *instance, int64_t duration_us) {
    // Initialisation is billed with the first invocation (since August 2025).
    int64_t billed = (duration_us + (instance->first ? instance->init_us : 0) + 999) / 1000;
    return billed ? billed : 1;
}

// Asking the kernel costs as much as formatting the line. In a millisecond or two a process can touch a few megabytes
// at most, so that a figure this old is still true in megabytes, give or take those.
static int64_t memory_peak(struct sl_instance *instance) {
    if (instance->ended.memory_peak > 0) return instance->ended.memory_peak;
    int64_t now = sl_clock_mono_ns();
    if (now - instance->peak_ns >= PEAK_AGE_NS) {
        instance->peak = sl_jail_memory_peak(instance->memory_fd);
        instance->peak_ns = now;
    }
    return instance->peak;
}

void sl_invoke__log_end(struct sl_instance *instance, int64_t duration_us) {
    struct sl_invoke__bill bill = {.duration_us = duration_us,
                                   .init_us = instance->first ? instance->init_us : 0,
                                   .restore_us = instance->first ? instance->restore_us : 0,
                                   .billed_restore_ms = (uint64_t)sl_invoke__billed_restore_ms(instance),
                                   .billed_ms = (uint64_t)sl_invoke__billed_ms(instance, duration_us)};
    int64_t peak = memory_peak(instance);
    bill.peak_mb = peak > 0 ? (uint64_t)(peak + 1048575) / 1048576 : 0;
    // The kernel's high-water mark includes pages it was about to give back; a report above the limit would be
    // nonsense.
    if (bill.peak_mb > instance->pool->spec.memory_mb) bill.peak_mb = instance->pool->spec.memory_mb;
    sl_invoke__own_line(instance);
    sl_invoke__tell_runtime_done(instance);
    sl_invoke__tell_report(instance, &bill);
    if (!as_json(instance)) end_text(instance, &bill);
}

void sl_invoke__log_failure(struct sl_instance *instance, const char *type, const char *text) {
    sl_invoke__tell_fault(instance, type, text);
    if (as_json(instance)) return; // the report says it
    sl_invoke__own_line(instance);
    sl_buf_printf(&instance->log, "RequestId: %s Error: %s\n%s\n", instance->request_id, text, type);
}

void sl_invoke__log_init_report(struct sl_instance *instance, const char *status, const char *error_type) {
    struct sl_buf *log = &instance->log;
    const char *phase = instance->bound ? "invoke" : "init";
    int64_t us = (sl_clock_mono_ns() - instance->started_ns) / 1000;
    sl_invoke__own_line(instance);
    sl_invoke__tell_init_runtime_done(instance, status, error_type);
    sl_invoke__tell_init_report(instance, status, error_type);
    sl_invoke__tell_extensions(instance);
    if (as_json(instance)) return;
    sl_buf_cstr(log, "INIT_REPORT Init Duration: ");
    put_ms(log, us);
    sl_buf_printf(log, " ms\tPhase: %s\tStatus: %s", phase, status);
    if (error_type[0]) sl_buf_printf(log, "\tError Type: %s", error_type);
    sl_buf_char(log, '\n');
}

void sl_invoke__log_timeout(struct sl_instance *instance) {
    if (as_json(instance)) return; // the report's status says it
    char now[SL_TIME_ISO_MS];
    sl_time_iso_ms(sl_clock_ms(), now);
    sl_invoke__own_line(instance);
    sl_buf_printf(&instance->log, "%s %s Task timed out after %.2f seconds\n\n", now, instance->request_id,
                  (double)instance->pool->spec.timeout_ms / 1000);
}

void sl_invoke__log_flush(struct sl_instance *instance) {
    struct sl_invoker *invoker = instance->invoker;
    if (!instance->log.len) return;
    if (invoker->config.log) {
        invoker->config.log(invoker->config.log_user, (unsigned)sl_loop_index(instance->loop), &instance->pool->spec,
                            instance->log_stream, sl_buf_view(&instance->log));
    }
    sl_buf_clear(&instance->log, 64 * 1024);
}

void sl_invoke__error_document(struct sl_buf *out, const char *type, const char *request_id, const char *text) {
    sl_buf_cstr(out, "{\"errorType\":");
    sl_json_write_string(out, sl_str_of(type));
    sl_buf_printf(out, ",\"errorMessage\":\"RequestId: %s Error: ", request_id);
    struct sl_buf quoted;
    sl_buf_init(&quoted, 4096);
    sl_json_write_string(&quoted, sl_str_of(text));
    // The message is one JSON string: without the quotes that write_string put around its second part.
    if (quoted.len > 2) sl_buf_put(out, quoted.ptr + 1, quoted.len - 2);
    sl_buf_free(&quoted);
    sl_buf_cstr(out, "\"}");
}

// Names as AWS prints them ("signal: killed").
static const char *signal_text(int number) {
    switch (number) {
    case SIGKILL:
        return "killed";
    case SIGSEGV:
        return "segmentation fault";
    case SIGABRT:
        return "aborted";
    case SIGBUS:
        return "bus error";
    case SIGFPE:
        return "floating point exception";
    case SIGILL:
        return "illegal instruction";
    case SIGTERM:
        return "terminated";
    case SIGSYS:
        return "bad system call";
    default:
        return sigdescr_np(number) ? sigdescr_np(number) : "unknown";
    }
}

const char *sl_invoke__exit_text(const struct sl_jail_event *ended, char text[static 96]) {
    // Memory may have run out for a child only, while the runtime ended for a reason of its own.
    if (ended->oom_killed && WIFSIGNALED(ended->status) && WTERMSIG(ended->status) == SIGKILL) {
        snprintf(text, 96, "Runtime exited with error: signal: killed");
        return "Runtime.OutOfMemory";
    }
    if (WIFSIGNALED(ended->status)) {
        snprintf(text, 96, "Runtime exited with error: signal: %s", signal_text(WTERMSIG(ended->status)));
    } else if (WEXITSTATUS(ended->status) == 0) {
        snprintf(text, 96, "Runtime exited without providing a reason");
    } else {
        snprintf(text, 96, "Runtime exited with error: exit status %d", WEXITSTATUS(ended->status));
    }
    return "Runtime.ExitError";
}
