// SPDX-License-Identifier: Apache-2.0
//
// telemetry: what an instance's extensions are told about it, by the Telemetry API (version 2022-07-01) and the Logs
// API (2020-08-15): platform events, lines of the function's log, lines of the extensions' own.
//
// Data flow: invoke/ reports events and lines here as they happen; each subscriber (an extension that PUT a
// subscription during the init) gets those of its types in batches, over HTTP or TCP, at a port of the sandbox's
// loopback. Until the init is over everything is kept, so that who subscribes late in it misses nothing.
//
// Costs: nothing without extensions but the events of the init, kept in a bounded backlog. What subscribers hold is
// bounded by their own buffering and by SL_TELEMETRY_HELD_MAX for all of an instance together; what does not fit is
// dropped and told as platform.logsDropped. A subscriber that never reads costs itself only.
//
// Threads: all on the owning loop's thread.
#ifndef SL_RUNTIME_TELEMETRY_H
#define SL_RUNTIME_TELEMETRY_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct sl_runtime;

enum {
    SL_TELEMETRY_HELD_MAX = 4 * 1024 * 1024, // bytes in subscribers' buffers of one instance
    SL_TELEMETRY_BACKLOG_MAX = 256 * 1024,   // bytes of events kept during an init
    SL_TELEMETRY_RECORD_MAX = 1024 * 1024,   // one event as JSON text
    SL_TELEMETRY_LINE_MAX = 256 * 1024,      // a longer line of a log becomes several records
};

// The types that an extension subscribes to.
enum { SL_TELEMETRY_PLATFORM = 1, SL_TELEMETRY_FUNCTION = 2, SL_TELEMETRY_EXTENSION = 4 };

enum sl_telemetry_event {
    SL_EVENT_INIT_START,
    SL_EVENT_INIT_RUNTIME_DONE,
    SL_EVENT_INIT_REPORT,
    SL_EVENT_RESTORE_START,
    SL_EVENT_RESTORE_RUNTIME_DONE,
    SL_EVENT_RESTORE_REPORT,
    SL_EVENT_START,
    SL_EVENT_RUNTIME_DONE,
    SL_EVENT_END, // Logs API only
    SL_EVENT_REPORT,
    SL_EVENT_FAULT, // Logs API only
    SL_EVENT_EXTENSION,
    SL_EVENT_TELEMETRY_SUBSCRIPTION, // Telemetry API only
    SL_EVENT_LOGS_SUBSCRIPTION,      // Logs API only
    SL_EVENT_LOGS_DROPPED,
    SL_EVENT_FUNCTION,       // a line of the function's
    SL_EVENT_EXTENSION_LINE, // a line of an extension's
    SL_EVENT_COUNT
};

// The event's name in AWS's records, e.g. "platform.start".
const char *sl_telemetry_name(enum sl_telemetry_event event);

// Whether anybody would hear it: so that records need not be written for nobody.
bool sl_runtime_telemetry_wanted(const struct sl_runtime *runtime, enum sl_telemetry_event event);
// `record` is the JSON text of the event's record.
void sl_runtime_telemetry(struct sl_runtime *runtime, enum sl_telemetry_event event, struct sl_str record);
// Bytes that the function (or an extension) printed, in any pieces. Each complete line becomes a record: a string, or
// with `json` (the function's log format) the object itself where a line is one.
void sl_runtime_telemetry_lines(struct sl_runtime *runtime, enum sl_telemetry_event event, struct sl_str bytes,
                                bool json);
// A message of the function's that is one record although it may have several lines.
void sl_runtime_telemetry_message(struct sl_runtime *runtime, struct sl_str message, bool json);
// Sends what is buffered now: the instance is about to end.
void sl_runtime_telemetry_flush(struct sl_runtime *runtime);
// The answer to the handler's `socket`: an unconnected, non-blocking TCP socket of the sandbox's network namespace
// (taken over), or -1 when none can be had.
void sl_runtime_telemetry_socket(struct sl_runtime *runtime, int fd);

#endif
