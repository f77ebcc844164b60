// SPDX-License-Identifier: Apache-2.0
//
// tell: the platform's events about an instance and its invocations, as AWS's records ("Lambda Telemetry API Event
// schema reference", Lambda developer guide). One record serves both who hears them: extensions that subscribed to
// telemetry, and the function's log where its format is JSON. (The text form of the log is report.c's.)
//
// Which records a JSON log has follows AWS's default system log level, INFO: those of DEBUG (what went well in between)
// are for subscribers only.
#include "base/clock.h"
#include "invoke/internal.h"
#include "runtime/telemetry.h"

enum { RECORD_MAX = 64 * 1024, NS_PER_MS = 1000000 };

static bool as_json(const struct sl_instance *instance) { return sl_str_is(instance->pool->spec.log_format, "JSON"); }

// Whether to write the record at all; then it is begun.
static bool begin(const struct sl_instance *instance, enum sl_telemetry_event event, bool logged, struct sl_buf *out) {
    if (!(logged && as_json(instance)) && !sl_runtime_telemetry_wanted(&instance->runtime, event)) return false;
    sl_buf_init(out, RECORD_MAX);
    sl_buf_char(out, '{');
    return true;
}

static void end(struct sl_instance *instance, enum sl_telemetry_event event, bool logged, struct sl_buf *record) {
    sl_buf_char(record, '}');
    if (!record->failed) {
        struct sl_str text = sl_buf_view(record);
        sl_runtime_telemetry(&instance->runtime, event, text);
        if (logged && as_json(instance)) {
            char now[SL_TIME_ISO_MS];
            sl_time_iso_ms(sl_clock_ms(), now);
            sl_invoke__own_line(instance);
            sl_buf_printf(&instance->log, "{\"time\":\"%s\",\"type\":\"%s\",\"record\":%.*s}\n", now,
                          sl_telemetry_name(event), SL_FMT(text));
        }
    }
    sl_buf_free(record);
}

// ---- members --------------------------------------------------------------------------------------------------------

static void comma(struct sl_buf *out) {
    char last = out->len ? out->ptr[out->len - 1] : '{';
    if (last != '{' && last != '[') sl_buf_char(out, ',');
}

static void put_str(struct sl_buf *out, const char *name, struct sl_str value) {
    comma(out);
    sl_buf_printf(out, "\"%s\":", name);
    sl_json_write_string(out, value);
}

static void put_text(struct sl_buf *out, const char *name, const char *value) { put_str(out, name, sl_str_of(value)); }

static void put_number(struct sl_buf *out, const char *name, uint64_t value) {
    comma(out);
    sl_buf_printf(out, "\"%s\":%llu", name, (unsigned long long)value);
}

// Milliseconds with up to three decimals, at least one: 5000.0, 98.5, 3923.569.
static void put_ms(struct sl_buf *out, const char *name, int64_t us) {
    comma(out);
    if (us < 0) us = 0;
    sl_buf_printf(out, "\"%s\":%lld.%03lld", name, (long long)(us / 1000), (long long)(us % 1000));
    for (int i = 0; i < 2 && !out->failed && out->ptr[out->len - 1] == '0'; i++) out->len--;
}

// Members written between open and close; the name of a list's element is NULL.
static void open_object(struct sl_buf *out, const char *name) {
    comma(out);
    if (name) sl_buf_printf(out, "\"%s\":", name);
    sl_buf_char(out, '{');
}

static void put_phase(struct sl_buf *out, const struct sl_instance *instance) {
    put_text(out, "initializationType", sl_invoke__initialization(instance));
    put_text(out, "phase", instance->bound ? "invoke" : "init");
}

static void put_status(struct sl_buf *out, const char *status, const char *error_type) {
    put_text(out, "status", status);
    if (error_type && error_type[0]) put_text(out, "errorType", error_type);
}

static void put_tenant(struct sl_buf *out, const struct sl_instance *instance) {
    if (instance->pool->tenant.len) put_str(out, "tenantId", instance->pool->tenant);
}

static void put_tracing(struct sl_buf *out, const struct sl_instance *instance) {
    if (!instance->outcome.trace[0]) return;
    open_object(out, "tracing");
    put_text(out, "type", "X-Amzn-Trace-Id");
    put_text(out, "value", instance->outcome.trace);
    sl_buf_char(out, '}');
}

// A span of monotonic time, told in wall time.
static void put_span(struct sl_buf *out, const char *name, int64_t from_ns, int64_t to_ns) {
    char start[SL_TIME_ISO_MS];
    if (!from_ns || to_ns < from_ns) return;
    sl_time_iso_ms(sl_clock_ms() - (sl_clock_mono_ns() - from_ns) / NS_PER_MS, start);
    open_object(out, NULL);
    put_text(out, "name", name);
    put_text(out, "start", start);
    put_ms(out, "durationMs", (to_ns - from_ns) / 1000);
    sl_buf_char(out, '}');
}

// ---- init
// -------------------------------------------------------------------------------------------------------------

void sl_invoke__tell_init_start(struct sl_instance *instance) {
    const struct sl_function *function = &instance->pool->spec;
    struct sl_buf record;
    if (!begin(instance, SL_EVENT_INIT_START, !instance->bound, &record)) return;
    put_phase(&record, instance);
    put_str(&record, "runtimeVersion", function->runtime);
    put_str(&record, "functionName", function->name);
    put_str(&record, "functionVersion", function->version);
    put_text(&record, "instanceId", instance->log_stream + strlen(instance->log_stream) - 32);
    put_number(&record, "instanceMaxMemory", function->memory_mb);
    end(instance, SL_EVENT_INIT_START, !instance->bound, &record);
}

void sl_invoke__tell_init_runtime_done(struct sl_instance *instance, const char *status, const char *error_type) {
    bool logged = strcmp(status, "success") != 0;
    struct sl_buf record;
    if (!begin(instance, SL_EVENT_INIT_RUNTIME_DONE, logged, &record)) return;
    put_phase(&record, instance);
    put_status(&record, status, error_type);
    end(instance, SL_EVENT_INIT_RUNTIME_DONE, logged, &record);
}

void sl_invoke__tell_init_report(struct sl_instance *instance, const char *status, const char *error_type) {
    bool logged = strcmp(status, "success") != 0 || instance->pool->snap; // no REPORT has its init
    struct sl_buf record;
    if (!begin(instance, SL_EVENT_INIT_REPORT, logged, &record)) return;
    put_phase(&record, instance);
    put_status(&record, status, error_type);
    open_object(&record, "metrics");
    put_ms(&record, "durationMs", (sl_clock_mono_ns() - instance->started_ns) / 1000);
    sl_buf_char(&record, '}');
    end(instance, SL_EVENT_INIT_REPORT, logged, &record);
}

void sl_invoke__tell_init_done(struct sl_instance *instance) {
    sl_invoke__tell_init_runtime_done(instance, "success", "");
    sl_invoke__tell_extensions(instance);
    sl_invoke__tell_init_report(instance, "success", "");
}

// ---- restore
// ----------------------------------------------------------------------------------------------------------

void sl_invoke__tell_restore_start(struct sl_instance *instance) {
    const struct sl_function *function = &instance->pool->spec;
    struct sl_buf record;
    if (!begin(instance, SL_EVENT_RESTORE_START, true, &record)) return;
    put_str(&record, "runtimeVersion", function->runtime);
    put_str(&record, "functionName", function->name);
    put_str(&record, "functionVersion", function->version);
    put_text(&record, "instanceId", instance->log_stream + strlen(instance->log_stream) - 32);
    put_number(&record, "instanceMaxMemory", function->memory_mb);
    end(instance, SL_EVENT_RESTORE_START, true, &record);
}

void sl_invoke__tell_restore_done(struct sl_instance *instance, const char *status, const char *error_type) {
    bool logged = strcmp(status, "success") != 0;
    struct sl_buf record;
    if (begin(instance, SL_EVENT_RESTORE_RUNTIME_DONE, logged, &record)) {
        put_status(&record, status, error_type);
        end(instance, SL_EVENT_RESTORE_RUNTIME_DONE, logged, &record);
    }
    if (!begin(instance, SL_EVENT_RESTORE_REPORT, true, &record)) return;
    put_status(&record, status, error_type);
    open_object(&record, "metrics");
    put_ms(&record, "durationMs", instance->restore_us);
    sl_buf_char(&record, '}');
    end(instance, SL_EVENT_RESTORE_REPORT, true, &record);
}

static void tell_extension(struct sl_instance *instance, const struct sl_runtime_extension_info *info) {
    struct sl_buf record;
    if (!as_json(instance)) {
        sl_invoke__own_line(instance);
        sl_buf_printf(&instance->log, "EXTENSION\tName: %s\tState: %s\tEvents: [%s%s%s]", info->name, info->state,
                      info->invoke ? "INVOKE" : "", info->invoke && info->shutdown ? "," : "",
                      info->shutdown ? "SHUTDOWN" : "");
        if (info->error_type[0]) sl_buf_printf(&instance->log, "\tError Type: %s", info->error_type);
        sl_buf_char(&instance->log, '\n');
    }
    if (!begin(instance, SL_EVENT_EXTENSION, true, &record)) return;
    put_text(&record, "name", info->name);
    put_text(&record, "state", info->state);
    sl_buf_printf(&record, ",\"events\":[%s%s%s]", info->invoke ? "\"INVOKE\"" : "",
                  info->invoke && info->shutdown ? "," : "", info->shutdown ? "\"SHUTDOWN\"" : "");
    if (info->error_type[0]) put_text(&record, "errorType", info->error_type);
    end(instance, SL_EVENT_EXTENSION, true, &record);
}

void sl_invoke__tell_extensions(struct sl_instance *instance) {
    for (unsigned i = 0; i < sl_runtime_extension_count(&instance->runtime); i++) {
        struct sl_runtime_extension_info info;
        sl_runtime_extension_info(&instance->runtime, i, &info);
        tell_extension(instance, &info);
    }
}

void sl_invoke__tell_subscription(struct sl_instance *instance, struct sl_str extension, bool logs_api,
                                  unsigned kinds) {
    static const struct {
        unsigned kind;
        const char *name, *title;
    } types[] = {{SL_TELEMETRY_PLATFORM, "platform", "Platform"},
                 {SL_TELEMETRY_FUNCTION, "function", "Function"},
                 {SL_TELEMETRY_EXTENSION, "extension", "Extension"}};
    enum sl_telemetry_event event = logs_api ? SL_EVENT_LOGS_SUBSCRIPTION : SL_EVENT_TELEMETRY_SUBSCRIPTION;
    struct sl_buf record;
    if (!as_json(instance)) {
        const char *separator = "";
        sl_invoke__own_line(instance);
        sl_buf_printf(&instance->log, "%s\tName: %.*s\tState: Subscribed\tTypes: [", logs_api ? "LOGS" : "TELEMETRY",
                      SL_FMT(extension));
        for (unsigned i = 0; i < 3; i++) {
            if (!(kinds & types[i].kind)) continue;
            sl_buf_printf(&instance->log, "%s%s", separator, types[i].title);
            separator = ", ";
        }
        sl_buf_cstr(&instance->log, "]\n");
    }
    if (!begin(instance, event, true, &record)) return;
    put_str(&record, "name", extension);
    put_text(&record, "state", "Subscribed");
    sl_buf_cstr(&record, ",\"types\":[");
    for (unsigned i = 0; i < 3; i++) {
        if (!(kinds & types[i].kind)) continue;
        comma(&record);
        sl_buf_printf(&record, "\"%s\"", types[i].name);
    }
    sl_buf_char(&record, ']');
    end(instance, event, true, &record);
}

// ---- invocation
// -------------------------------------------------------------------------------------------------------

void sl_invoke__tell_start(struct sl_instance *instance) {
    struct sl_buf record;
    if (!begin(instance, SL_EVENT_START, true, &record)) return;
    put_text(&record, "requestId", instance->request_id);
    put_str(&record, "version", instance->pool->spec.version);
    put_tenant(&record, instance);
    put_tracing(&record, instance);
    end(instance, SL_EVENT_START, true, &record);
}

void sl_invoke__tell_runtime_done(struct sl_instance *instance) {
    struct sl_outcome *outcome = &instance->outcome;
    bool logged = strcmp(outcome->status, "success") != 0;
    int64_t now = sl_clock_mono_ns();
    struct sl_buf record;
    if (outcome->runtime_told) return;
    outcome->runtime_told = true;
    outcome->runtime_done_ns = now;
    if (!begin(instance, SL_EVENT_RUNTIME_DONE, logged, &record)) return;
    put_text(&record, "requestId", instance->request_id);
    put_tenant(&record, instance);
    put_status(&record, outcome->status, outcome->error_type);
    put_tracing(&record, instance);
    if (outcome->answered_ns) {
        sl_buf_cstr(&record, ",\"spans\":[");
        put_span(&record, "responseLatency", outcome->sent_ns, outcome->first_byte_ns);
        put_span(&record, "responseDuration", outcome->first_byte_ns, outcome->answered_ns);
        put_span(&record, "runtimeOverhead", outcome->answered_ns, now);
        sl_buf_char(&record, ']');
    }
    open_object(&record, "metrics");
    put_ms(&record, "durationMs", (now - instance->dispatched_ns) / 1000);
    put_number(&record, "producedBytes", (uint64_t)outcome->produced);
    sl_buf_char(&record, '}');
    end(instance, SL_EVENT_RUNTIME_DONE, logged, &record);
}

void sl_invoke__tell_report(struct sl_instance *instance, const struct sl_invoke__bill *bill) {
    const struct sl_outcome *outcome = &instance->outcome;
    struct sl_buf record;
    if (sl_runtime_telemetry_wanted(&instance->runtime, SL_EVENT_END) &&
        begin(instance, SL_EVENT_END, false, &record)) {
        put_text(&record, "requestId", instance->request_id);
        end(instance, SL_EVENT_END, false, &record);
    }
    if (!begin(instance, SL_EVENT_REPORT, true, &record)) return;
    put_text(&record, "requestId", instance->request_id);
    put_tenant(&record, instance);
    open_object(&record, "metrics");
    put_ms(&record, "durationMs", bill->duration_us);
    put_number(&record, "billedDurationMs", bill->billed_ms);
    put_number(&record, "memorySizeMB", instance->pool->spec.memory_mb);
    put_number(&record, "maxMemoryUsedMB", bill->peak_mb);
    if (bill->init_us) put_ms(&record, "initDurationMs", bill->init_us);
    if (bill->restore_us) {
        put_ms(&record, "restoreDurationMs", bill->restore_us);
        put_number(&record, "billedRestoreDurationMs", bill->billed_restore_ms);
    }
    sl_buf_char(&record, '}');
    put_tracing(&record, instance);
    if (outcome->late) {
        sl_buf_cstr(&record, ",\"spans\":[");
        put_span(&record, "extensionOverhead", outcome->runtime_done_ns, sl_clock_mono_ns());
        sl_buf_char(&record, ']');
    }
    put_status(&record, outcome->status, outcome->error_type);
    end(instance, SL_EVENT_REPORT, true, &record);
}

// "RequestId: <id> Error: <text>\n<type>", as the log has it; for the Logs API only.
void sl_invoke__tell_fault(struct sl_instance *instance, const char *type, const char *text) {
    struct sl_buf line, record;
    if (!sl_runtime_telemetry_wanted(&instance->runtime, SL_EVENT_FAULT)) return;
    sl_buf_init(&line, 4096);
    sl_buf_init(&record, RECORD_MAX);
    sl_buf_printf(&line, "RequestId: %s Error: %s\n%s\n", instance->request_id, text, type);
    sl_json_write_string(&record, sl_buf_view(&line));
    if (!record.failed) sl_runtime_telemetry(&instance->runtime, SL_EVENT_FAULT, sl_buf_view(&record));
    sl_buf_free(&line);
    sl_buf_free(&record);
}
