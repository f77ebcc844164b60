// SPDX-License-Identifier: Apache-2.0
//
// runtime: the server's side of the Lambda Runtime API (version 2018-06-01) for one instance. The listening socket
// lives inside the instance's own network namespace, so the connection is the identity: whoever speaks here is this
// instance and no other.
//
// Data flow: the runtime inside asks GET .../invocation/next, which is parked; sl_runtime_send answers it with an
// event; POST .../response or .../error for the same request id ends the invocation. A response may be streamed: then
// its bytes are handed on as they arrive. Every byte is hostile: paths, ids, states and sizes are checked here, and a
// wrong call gets the answer AWS's emulator gives.
//
// States (AWS's names, they appear in answers):
//
//   Started ─next─► Ready ─send─► Running ─response begins─► InvocationResponse ─complete─► ResponseSent ─next─► Ready
//      ├─init/error─► InitError
//      └─restore/next─► RestoreReady ─sl_runtime_restore─► Restoring ─next─► Ready
//                                                              └─restore/error─► RestoreError
//
// Threads: all calls and callbacks on the owning loop's thread. Callbacks must not close the runtime (stop the instance
// instead and close when its end is reported): the request that caused them is still being answered.
#ifndef SL_RUNTIME_RUNTIME_H
#define SL_RUNTIME_RUNTIME_H

#include "http/http.h"

struct sl_runtime;

enum { SL_RUNTIME_STREAM_MAX = 200 * 1024 * 1024 }; // bytes of a streamed answer (Lambda quotas page)

struct sl_runtime_handler {
    // GET next is parked, and no extension is busy with an earlier event: the runtime wants one. May call
    // sl_runtime_send at once.
    void (*ready)(struct sl_runtime *runtime);
    // The connection of the parked next was lost, so there is nowhere to send an event until `ready` comes again.
    // (Dying processes show it so before their end is reported.)
    void (*gone)(struct sl_runtime *runtime);
    // A streamed answer to the current invocation begins. True if it is to be handed over in parts; false to have it
    // collected, as a response that is not streamed, within the limit of those.
    bool (*stream)(struct sl_runtime *runtime, struct sl_str content_type);
    // Bytes of it, never empty; then `response` with an empty body, `error` or `too_large`, or the end of the instance.
    void (*part)(struct sl_runtime *runtime, struct sl_str bytes);
    // The current invocation's answer. Views are valid during the call.
    void (*response)(struct sl_runtime *runtime, struct sl_str body, struct sl_str content_type);
    // The current invocation failed in the function; `type` is Lambda-Runtime-Function-Error-Type or empty.
    void (*error)(struct sl_runtime *runtime, struct sl_str body, struct sl_str type);
    void (*init_error)(struct sl_runtime *runtime, struct sl_str body, struct sl_str type);
    // Where `snapshots` is set: GET restore/next is parked, and every extension is ready. The runtime has run what is
    // to be run before a snapshot, and goes on when sl_runtime_restore is called, at once or later.
    void (*snapshot)(struct sl_runtime *runtime);
    // POST restore/image, before restore/next: the runtime sends an image of itself, of so many bytes. False: refused.
    bool (*image)(struct sl_runtime *runtime, uint64_t length);
    void (*image_part)(struct sl_runtime *runtime, struct sl_str bytes);
    bool (*image_end)(struct sl_runtime *runtime); // it is complete, or (lost) it will never be. True: it is kept
    // What is to be run after a restore has failed.
    void (*restore_error)(struct sl_runtime *runtime, struct sl_str body, struct sl_str type);
    // The answer was larger than Lambda allows; the runtime got its 413.
    void (*too_large)(struct sl_runtime *runtime);
    // An extension said that it cannot go on: the environment is to be ended. `type` is "Extension.InitError" or
    // "Extension.ExitError", `cause` what the extension called it.
    void (*extension_failed)(struct sl_runtime *runtime, const char *type, struct sl_str cause);
    // Every extension that was announced (sl_runtime_expect) has registered: the runtime may be started.
    void (*registered)(struct sl_runtime *runtime);
    // The runtime asked again after its answer: its part of the invocation is over (extensions may be busy with it
    // still; then `ready` comes later). Only called where there are extensions.
    void (*runtime_done)(struct sl_runtime *runtime);
    // An extension subscribed to telemetry, by the Logs API or the Telemetry API; `kinds` are SL_TELEMETRY_*.
    void (*subscribed)(struct sl_runtime *runtime, struct sl_str extension, bool logs_api, unsigned kinds);
    // Of events sent ahead (see lane.c): the runtime has answered, and so has begun with the next one.
    void (*begun)(struct sl_runtime *runtime);
    // ... and those it has not begun will never reach it: the lane is lost, or was closed.
    void (*untaken)(struct sl_runtime *runtime);
    // Telemetry needs a socket: sl_runtime_telemetry_socket, now or later.
    void (*socket)(struct sl_runtime *runtime);
};

// What extensions are told when they register. The views live as long as the runtime.
struct sl_runtime_identity {
    struct sl_str function_name, function_version, handler, account;
};

enum { SL_RUNTIME_AHEAD_MAX = 16 }; // events behind the one in work
struct sl_lane;

enum { SL_RUNTIME_CONNS = 32 }; // runtime and up to ten extensions, some with more than one
struct sl_runtime_extensions;
struct sl_telemetry;

enum sl_runtime_state {
    SL_RUNTIME_STARTED,
    SL_RUNTIME_INIT_ERROR,
    SL_RUNTIME_WAITING, // AWS's "Ready"
    SL_RUNTIME_RUNNING,
    SL_RUNTIME_RESPONDING,
    SL_RUNTIME_SENT,
    SL_RUNTIME_RESTORE_READY,
    SL_RUNTIME_RESTORING,
    SL_RUNTIME_RESTORE_ERROR,
};

// Embedded in the instance; fields belong to the folder.
struct sl_runtime {
    const struct sl_runtime_handler *handler;
    void *user;
    struct sl_loop *loop;
    struct sl_watch tcp, local; // the listeners; local is a Unix socket
    struct sl_http_conn *conns[SL_RUNTIME_CONNS];
    unsigned conn_count;
    struct sl_http_request *parked;    // the next that waits
    struct sl_http_request *restoring; // the restore/next that waits
    bool snapshots;                    // there are endpoints for restoring; set by the owner after sl_runtime_open
    struct sl_lane *lane;              // NULL without; see lane.c
    bool by_lane;                      // the answer that is told came by the lane,
    int64_t answered_ns;               // ... and says that it was made at this time (monotonic); 0: unknown
    struct sl_http_request *imaging;   // the restore/image whose parts are handed over
    struct sl_http_request *streaming; // the response whose parts are handed over
    struct sl_http_conn *answering;    // on which the body of the current answer is arriving: one at a time
    enum sl_runtime_state state;
    char current[37]; // request id in flight, "" when none
    const struct sl_runtime_identity *identity;
    struct sl_runtime_extensions *extensions; // NULL without
    bool truncated;                           // the connection of a response was lost before its end
    bool initialised;                         // `ready` was called: runtime and extensions have finished their init
    struct sl_telemetry *telemetry;           // NULL: nobody listens (or nothing was said yet)
    bool telemetry_closed;                    // no subscription is taken any more
};

// Takes ownership of the listening sockets (non-blocking): TCP and Unix, of which the second may be -1. Which of them a
// connection came by makes no difference.
int sl_runtime_open(struct sl_runtime *runtime, struct sl_loop *loop, const int listen_fds[2],
                    const struct sl_runtime_handler *handler, const struct sl_runtime_identity *identity, void *user,
                    struct sl_error *err);
// Closes all connections and the listener. Accepts a runtime that was never opened (zeroed).
void sl_runtime_close(struct sl_runtime *runtime);
// Moving to another loop, in two steps: detach on the old owner's thread while a next is parked; attach on the new
// owner's thread.
void sl_runtime_detach(struct sl_runtime *runtime);
int sl_runtime_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err);

struct sl_runtime_event {
    struct sl_str request_id; // 36 characters
    int64_t deadline_ms;
    struct sl_str function_arn, trace_id, client_context, tenant_id; // the last two may be empty
    struct sl_str payload;
    int64_t timeout_ms; // of an event sent ahead: from its begin
    bool more; // others may be sent ahead, behind it: only with sl_runtime_has_lane. Leaves with sl_runtime_flush
};
bool sl_runtime_is_ready(const struct sl_runtime *runtime);
// Answers the parked next. Only when sl_runtime_is_ready.
void sl_runtime_send(struct sl_runtime *runtime, const struct sl_runtime_event *event);
// Answers the parked restore/next, if there is one: the runtime runs what is to be run after a restore, and asks for an
// event.
void sl_runtime_restore(struct sl_runtime *runtime);

// ---- sending ahead (lane.c)
// ------------------------------------------------------------------------------------------

bool sl_runtime_has_lane(const struct sl_runtime *runtime);
// Whether one more event may be sent behind the one in work.
bool sl_runtime_takes_ahead(const struct sl_runtime *runtime);
void sl_runtime_send_ahead(struct sl_runtime *runtime, const struct sl_runtime_event *event);
void sl_runtime_flush(struct sl_runtime *runtime);
// Takes the answers that are there. Not from a callback of the same runtime (then it does nothing).
void sl_runtime_catch_up(struct sl_runtime *runtime);
// Closes the lane: after this exactly those events are begun of which `begun` was told; `untaken` comes for the others.
// The runtime goes on over HTTP, also with the answer to the event in work.
void sl_runtime_recall(struct sl_runtime *runtime);
// Holds back the parts of a streamed answer, or lets them flow again: the runtime inside is held back by TCP.
void sl_runtime_pause(struct sl_runtime *runtime, bool paused);

// ---- extensions -----------------------------------------------------------------------------------------------------

// Announces an external extension, before its program is started. SL_E_LIMIT when there are ten.
int sl_runtime_expect(struct sl_runtime *runtime, struct sl_str name, struct sl_error *err);
unsigned sl_runtime_extension_count(const struct sl_runtime *runtime);
// Whether there are external ones (they have 2 s to shut down, internal ones 500 ms).
bool sl_runtime_has_external(const struct sl_runtime *runtime);
// The runtime has answered and extensions are still busy with the invocation (or the runtime has not asked again).
bool sl_runtime_extensions_busy(const struct sl_runtime *runtime);

enum sl_extension_end {
    SL_EXTENSION_LAUNCH_ERROR, // could not be executed
    SL_EXTENSION_EXITED,       // ended as it was asked to
    SL_EXTENSION_CRASHED,      // ended, or was killed
};
// The program of an external extension has ended; `error_type` for reports ("PermissionDenied"), may be NULL.
void sl_runtime_extension_ended(struct sl_runtime *runtime, struct sl_str name, enum sl_extension_end how,
                                const char *error_type);
// Sends SHUTDOWN to the external extensions that want it, now or when they ask for their next event. `reason` is
// "spindown", "timeout" or "failure". From now on nobody is asked for readiness.
void sl_runtime_shut_down(struct sl_runtime *runtime, const char *reason, int64_t deadline_ms);
// Whether the named external extension wants SHUTDOWN (others are killed at once).
bool sl_runtime_wants_shutdown(const struct sl_runtime *runtime, struct sl_str name);

struct sl_runtime_extension_info {
    const char *name, *state; // AWS's words: "Registered", "Ready", ...
    bool external, invoke, shutdown;
    const char *error_type; // "" when none
};
// The i-th of sl_runtime_extension_count. External ones first, in the order in which they were announced.
void sl_runtime_extension_info(const struct sl_runtime *runtime, unsigned i, struct sl_runtime_extension_info *ret);
// The current invocation is over for the caller (time-out): late answers get "Invalid request ID".
static inline void sl_runtime_forget(struct sl_runtime *runtime) { runtime->current[0] = '\0'; }

#endif
