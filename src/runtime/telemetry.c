// SPDX-License-Identifier: Apache-2.0
//
// telemetry: who of an instance's subscribers hears what. See telemetry.h for the data flow; subscription.c reads the
// PUT requests, subscriber.c and delivery.c send.
//
// Life: made by the first event; after the init it stays only where somebody has subscribed.
#include "runtime/telemetry.h"

#include "base/clock.h"
#include "base/json.h"
#include "runtime/internal.h"
#include "runtime/subscriber.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    SUBSCRIBERS = 10, // extensions
    KEEP = 4 * 1024,  // of a buffer's memory between uses
    LINE_ARENA = 64 * 1024 * 1024,
    EVENT_MAX = 2 * SL_TELEMETRY_RECORD_MAX,
    EVERYBODY = SL_DIALECT_TELEMETRY | SL_DIALECT_LOGS_2020 | SL_DIALECT_LOGS_2021,
    LOGS = SL_DIALECT_LOGS_2020 | SL_DIALECT_LOGS_2021,
};

struct sl_telemetry {
    struct sl_subscriber *subscribers[SUBSCRIBERS];
    unsigned count;
    bool open; // the init is not over: subscriptions are taken, events are kept
    struct sl_buf backlog;
    uint64_t backlog_dropped;
    struct sl_buf event;                         // being written
    struct sl_buf function_line, extension_line; // the halves of lines that have come so far
};

// Which dialect knows the event, and of which type it is.
static const struct {
    const char *name;
    unsigned kind, dialects;
} events[SL_EVENT_COUNT] = {
    [SL_EVENT_INIT_START] = {"platform.initStart", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_INIT_RUNTIME_DONE] = {"platform.initRuntimeDone", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_INIT_REPORT] = {"platform.initReport", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_RESTORE_START] = {"platform.restoreStart", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_RESTORE_RUNTIME_DONE] = {"platform.restoreRuntimeDone", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_RESTORE_REPORT] = {"platform.restoreReport", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_START] = {"platform.start", SL_TELEMETRY_PLATFORM, EVERYBODY},
    [SL_EVENT_RUNTIME_DONE] = {"platform.runtimeDone", SL_TELEMETRY_PLATFORM,
                               SL_DIALECT_TELEMETRY | SL_DIALECT_LOGS_2021},
    [SL_EVENT_END] = {"platform.end", SL_TELEMETRY_PLATFORM, LOGS},
    [SL_EVENT_REPORT] = {"platform.report", SL_TELEMETRY_PLATFORM, EVERYBODY},
    [SL_EVENT_FAULT] = {"platform.fault", SL_TELEMETRY_PLATFORM, LOGS},
    [SL_EVENT_EXTENSION] = {"platform.extension", SL_TELEMETRY_PLATFORM, EVERYBODY},
    [SL_EVENT_TELEMETRY_SUBSCRIPTION] = {"platform.telemetrySubscription", SL_TELEMETRY_PLATFORM, SL_DIALECT_TELEMETRY},
    [SL_EVENT_LOGS_SUBSCRIPTION] = {"platform.logsSubscription", SL_TELEMETRY_PLATFORM, LOGS},
    [SL_EVENT_LOGS_DROPPED] = {"platform.logsDropped", SL_TELEMETRY_PLATFORM, EVERYBODY},
    [SL_EVENT_FUNCTION] = {"function", SL_TELEMETRY_FUNCTION, EVERYBODY},
    [SL_EVENT_EXTENSION_LINE] = {"extension", SL_TELEMETRY_EXTENSION, EVERYBODY},
};

const char *sl_telemetry_name(enum sl_telemetry_event event) { return events[event].name; }

// ---- life -----------------------------------------------------------------------------------------------------------

static struct sl_telemetry *table_of(struct sl_runtime *runtime) {
    if (runtime->telemetry || runtime->telemetry_closed) return runtime->telemetry;
    struct sl_telemetry *telemetry = calloc(1, sizeof *telemetry);
    if (!telemetry) return NULL;
    telemetry->open = true;
    sl_buf_init(&telemetry->backlog, SL_TELEMETRY_BACKLOG_MAX);
    sl_buf_init(&telemetry->event, EVENT_MAX);
    sl_buf_init(&telemetry->function_line, SL_TELEMETRY_LINE_MAX);
    sl_buf_init(&telemetry->extension_line, SL_TELEMETRY_LINE_MAX);
    return runtime->telemetry = telemetry;
}

void sl_runtime__telemetry_free(struct sl_runtime *runtime) {
    struct sl_telemetry *telemetry = runtime->telemetry;
    if (!telemetry) return;
    for (unsigned i = 0; i < telemetry->count; i++) {
        sl_subscriber__free(telemetry->subscribers[i]);
        free(telemetry->subscribers[i]);
    }
    sl_buf_free(&telemetry->backlog);
    sl_buf_free(&telemetry->event);
    sl_buf_free(&telemetry->function_line);
    sl_buf_free(&telemetry->extension_line);
    free(telemetry);
    runtime->telemetry = NULL;
}

void sl_runtime__telemetry_close(struct sl_runtime *runtime) {
    runtime->telemetry_closed = true;
    if (!runtime->telemetry) return;
    if (!runtime->telemetry->count) {
        sl_runtime__telemetry_free(runtime);
        return;
    }
    runtime->telemetry->open = false;
    sl_buf_free(&runtime->telemetry->backlog);
}

void sl_runtime__telemetry_detach(struct sl_runtime *runtime) {
    struct sl_telemetry *telemetry = runtime->telemetry;
    for (unsigned i = 0; telemetry && i < telemetry->count; i++) sl_subscriber__detach(telemetry->subscribers[i]);
}

int sl_runtime__telemetry_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err) {
    struct sl_telemetry *telemetry = runtime->telemetry;
    for (unsigned i = 0; telemetry && i < telemetry->count; i++)
        if (sl_subscriber__attach(telemetry->subscribers[i], loop, err)) return err->kind;
    return 0;
}

// ---- events ---------------------------------------------------------------------------------------------------------

static bool wants(const struct sl_subscriber *subscriber, enum sl_telemetry_event event) {
    return (subscriber->asked.kinds & events[event].kind) && (subscriber->asked.dialect & events[event].dialects);
}

bool sl_runtime_telemetry_wanted(const struct sl_runtime *runtime, enum sl_telemetry_event event) {
    const struct sl_telemetry *telemetry = runtime->telemetry;
    if (!telemetry) return !runtime->telemetry_closed && runtime->loop;
    if (telemetry->open) return true;
    for (unsigned i = 0; i < telemetry->count; i++)
        if (wants(telemetry->subscribers[i], event)) return true;
    return false;
}

static void hand_over(struct sl_telemetry *telemetry, struct sl_subscriber *to, struct sl_str event) {
    size_t held = 0;
    for (unsigned i = 0; i < telemetry->count; i++) held += sl_subscriber__held(telemetry->subscribers[i]);
    sl_subscriber__put(to, event, held < SL_TELEMETRY_HELD_MAX ? SL_TELEMETRY_HELD_MAX - held : 0);
}

// The backlog is a row of: event number (1 byte), length (4 bytes), text.
static void keep(struct sl_telemetry *telemetry, enum sl_telemetry_event event, struct sl_str text) {
    struct sl_buf *backlog = &telemetry->backlog;
    uint32_t len = (uint32_t)text.len;
    if (backlog->len + 5 + text.len > SL_TELEMETRY_BACKLOG_MAX) {
        telemetry->backlog_dropped++;
        return;
    }
    sl_buf_char(backlog, (char)event);
    sl_buf_put(backlog, &len, sizeof len);
    sl_buf_str(backlog, text);
}

void sl_runtime_telemetry(struct sl_runtime *runtime, enum sl_telemetry_event event, struct sl_str record) {
    struct sl_telemetry *telemetry = runtime->loop ? table_of(runtime) : NULL;
    if (!telemetry) return;
    char now[SL_TIME_ISO_MS];
    sl_time_iso_ms(sl_clock_ms(), now);
    struct sl_buf *text = &telemetry->event;
    sl_buf_clear(text, KEEP);
    text->failed = false;
    sl_buf_printf(text, "{\"time\":\"%s\",\"type\":\"%s\",\"record\":", now, events[event].name);
    sl_buf_str(text, record);
    sl_buf_char(text, '}');
    if (text->failed) return;
    if (telemetry->open) keep(telemetry, event, sl_buf_view(text));
    for (unsigned i = 0; i < telemetry->count; i++)
        if (wants(telemetry->subscribers[i], event)) hand_over(telemetry, telemetry->subscribers[i], sl_buf_view(text));
}

void sl_runtime_telemetry_flush(struct sl_runtime *runtime) {
    struct sl_telemetry *telemetry = runtime->telemetry;
    for (unsigned i = 0; telemetry && i < telemetry->count; i++) sl_subscriber__flush(telemetry->subscribers[i]);
}

// ---- lines ----------------------------------------------------------------------------------------------------------

static bool is_object(struct sl_str line) {
    struct sl_error err;
    line = sl_str_trim(line);
    return line.len && line.ptr[0] == '{' && sl_json_validate(line, &err) == 0;
}

static void tell_line(struct sl_runtime *runtime, enum sl_telemetry_event event, struct sl_str line, bool json) {
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    if (!line.len) return;
    if (json && is_object(line)) {
        sl_runtime_telemetry(runtime, event, sl_str_trim(line));
        return;
    }
    struct sl_buf record;
    sl_buf_init(&record, SL_TELEMETRY_RECORD_MAX);
    sl_json_write_string(&record, line);
    if (!record.failed) sl_runtime_telemetry(runtime, event, sl_buf_view(&record));
    sl_buf_free(&record);
}

void sl_runtime_telemetry_lines(struct sl_runtime *runtime, enum sl_telemetry_event event, struct sl_str bytes,
                                bool json) {
    if (!sl_runtime_telemetry_wanted(runtime, event)) return;
    struct sl_telemetry *telemetry = table_of(runtime);
    if (!telemetry) return;
    struct sl_buf *half = event == SL_EVENT_FUNCTION ? &telemetry->function_line : &telemetry->extension_line;
    while (bytes.len) {
        ptrdiff_t end = sl_str_chr(bytes, '\n', 0);
        struct sl_str part = sl_str_sub(bytes, 0, end < 0 ? bytes.len : (size_t)end);
        if (half->len + part.len > SL_TELEMETRY_LINE_MAX) { // cut, as AWS cuts what is longer
            part = sl_str_sub(part, 0, SL_TELEMETRY_LINE_MAX - half->len);
            sl_buf_str(half, part);
            tell_line(runtime, event, sl_buf_view(half), false);
            sl_buf_clear(half, KEEP);
            bytes = sl_str_sub(bytes, part.len, bytes.len);
            continue;
        }
        bytes = sl_str_sub(bytes, part.len + (end < 0 ? 0 : 1), bytes.len);
        if (end >= 0 && !half->len) {
            tell_line(runtime, event, part, json);
            continue;
        }
        sl_buf_str(half, part);
        if (end < 0) break;
        tell_line(runtime, event, sl_buf_view(half), json);
        sl_buf_clear(half, KEEP);
    }
}

void sl_runtime_telemetry_message(struct sl_runtime *runtime, struct sl_str message, bool json) {
    if (sl_runtime_telemetry_wanted(runtime, SL_EVENT_FUNCTION))
        tell_line(runtime, SL_EVENT_FUNCTION, sl_str_sub(message, 0, SL_TELEMETRY_LINE_MAX), json);
}

// ---- subscribers ----------------------------------------------------------------------------------------------------

static void need_socket(struct sl_subscriber *subscriber) {
    struct sl_runtime *runtime = subscriber->owner;
    runtime->handler->socket(runtime);
}

void sl_runtime_telemetry_socket(struct sl_runtime *runtime, int fd) {
    struct sl_telemetry *telemetry = runtime->telemetry;
    for (unsigned i = 0; telemetry && i < telemetry->count; i++) {
        if (telemetry->subscribers[i]->link != SL_LINK_ASKED) continue;
        sl_subscriber__socket(telemetry->subscribers[i], fd);
        return;
    }
    if (fd >= 0) close(fd);
}

bool sl_runtime__telemetry_is_closed(const struct sl_runtime *runtime) { return runtime->telemetry_closed; }

// Whether the extension has subscribed by the other API.
bool sl_runtime__telemetry_conflict(const struct sl_runtime *runtime, const struct sl_subscription *asked) {
    const struct sl_telemetry *telemetry = runtime->telemetry;
    for (unsigned i = 0; telemetry && i < telemetry->count; i++) {
        const struct sl_subscription *other = &telemetry->subscribers[i]->asked;
        bool same_api = (other->dialect == SL_DIALECT_TELEMETRY) == (asked->dialect == SL_DIALECT_TELEMETRY);
        if (!same_api && strcmp(other->name, asked->name) == 0) return true;
    }
    return false;
}

// What it has missed.
static void catch_up(struct sl_telemetry *telemetry, struct sl_subscriber *subscriber) {
    struct sl_str rest = sl_buf_view(&telemetry->backlog);
    while (rest.len) {
        enum sl_telemetry_event event = (enum sl_telemetry_event)rest.ptr[0];
        uint32_t len;
        memcpy(&len, rest.ptr + 1, sizeof len);
        if (wants(subscriber, event)) hand_over(telemetry, subscriber, sl_str_sub(rest, 5, 5 + len));
        rest = sl_str_sub(rest, 5 + (size_t)len, rest.len);
    }
    if (!telemetry->backlog_dropped) return;
    subscriber->dropped_items += telemetry->backlog_dropped;
    subscriber->dropped_why = "Some logs were dropped because they came before the subscription";
}

bool sl_runtime__telemetry_subscribe(struct sl_runtime *runtime, const struct sl_subscription *asked) {
    struct sl_telemetry *telemetry = table_of(runtime);
    if (!telemetry) return false;
    // Who subscribes again replaces what it asked for before.
    unsigned place = 0;
    while (place < telemetry->count && strcmp(telemetry->subscribers[place]->asked.name, asked->name) != 0) place++;
    if (place == SUBSCRIBERS) return false;
    struct sl_subscriber *subscriber = malloc(sizeof *subscriber);
    if (!subscriber) return false;
    sl_subscriber__init(subscriber, runtime->loop, asked, runtime, need_socket);
    if (place < telemetry->count) {
        sl_subscriber__free(telemetry->subscribers[place]);
        free(telemetry->subscribers[place]);
    } else {
        telemetry->count++;
    }
    telemetry->subscribers[place] = subscriber;
    catch_up(telemetry, subscriber);
    return true;
}
