// SPDX-License-Identifier: Apache-2.0
//
// invoke: functions as the data plane sees them, and the one way to run them. The control plane (lambda/) publishes an
// immutable description per function version; callers (the Invoke operation, HTTP APIs, function URLs, the event queue)
// hand over an invocation and get exactly one `done`. Inside: pools of instances, concurrency, scaling, deadlines,
// billing.
//
// Threads: sl_invoke_* and sl_function_find are called on loop threads; publish and remove on the storage thread (after
// the commit). Published functions are protected by RCU (QSBR: a loop turn is a read section): a pointer from
// sl_function_find is good until the callback returns; sl_function_ref keeps it longer.
#ifndef SL_INVOKE_INVOKE_H
#define SL_INVOKE_INVOKE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "invoke/lineage.h"
#include "net/loop.h"

struct sl_invoker;
struct sl_invoke__entry;
struct sl_invoke__pool;
struct sl_invoke__allotment;
struct sl_instance;

enum {
    SL_PAYLOAD_SYNC_MAX = 6291456,     // request payload of a synchronous invocation (Lambda quotas page)
    SL_PAYLOAD_RESPONSE_MAX = 6291556, // response: AWS's message names this number
    SL_PAYLOAD_ASYNC_MAX = 1048576,
    SL_LOG_TAIL_MAX = 4096,
};

// What runs: one version of one function. All views belong to the function object.
struct sl_function {
    struct sl_str account, region, name;
    struct sl_str version; // "$LATEST", "1", ...
    struct sl_str arn;     // unqualified: arn:aws:lambda:REGION:ACCOUNT:function:NAME
    struct sl_str runtime; // "python3.11", "provided.al2023", ...
    struct sl_str handler;
    struct sl_str role;
    struct sl_str code_sha256; // hex: the blob directory
    struct sl_str code_path;   // a folder instead of a blob, for hot reload; code_sha256 then is hot.c's. Empty: none
    bool image;                // code_sha256 is a container image's root; `command` is what it runs, in `directory`
    struct sl_str *command;    // arguments, the program first
    unsigned command_count;
    struct sl_str directory;     // of an image; empty: "/"
    struct sl_str layers_sha256; // hex: the blob directory of the merged layers, for /opt; empty: none
    struct sl_str *environment;  // "KEY=value"
    unsigned environment_count;
    unsigned memory_mb, timeout_ms, tmp_mb;
    struct sl_str log_format;             // "Text" or "JSON"
    struct sl_str log_level;              // "" unless JSON
    struct sl_str log_group;              // "/aws/lambda/NAME"
    struct sl_str policy;                 // resource policy document (JSON text), empty when there is none
    struct sl_str url_id;                 // function URL's id, empty when there is none
    struct sl_str url_auth;               // "NONE" or "AWS_IAM"
    struct sl_str url_cors;               // JSON text of the Cors member, empty when there is none
    bool url_streams;                     // the URL's InvokeMode is RESPONSE_STREAM
    struct sl_str architecture;           // "x86_64" or "arm64": for the bill
    int64_t reserved_concurrency;         // -1: none
    unsigned provisioned;                 // instances kept ready for this version
    bool single_use;                      // every invocation gets an instance of its own, which ends after it
    bool per_tenant;                      // TenantIsolationMode PER_TENANT: an instance serves one tenant
    bool snap_start;                      // instances are restored from a snapshot taken after the init (snap.c)
    bool snap_fresh;                      // just published: what its snapshot comes to decides whether it may be called
    unsigned idle_s, max_age_s;           // of its instances; 0: the server's
    unsigned event_attempts;              // of an asynchronous invocation, with the first: 1 to 3; 0: the default, 3
    unsigned event_age_s;                 // how long its retries may take; 0: the default, 6 hours
    struct sl_str on_success, on_failure; // destinations of asynchronous invocations: ARNs or empty
    struct sl_str dead_letter;            // DeadLetterConfig: ARN or empty
    bool loops_allowed;                   // RecursiveLoop is "Allow"
    bool failed;                          // State Failed: there is no code that could run
    int64_t ready_ms;                     // State Pending until this time of sl_clock_ms
    uint64_t generation;                  // set by publish; another number means other code or configuration
    uint64_t
        policy_generation; // set by publish; changes whenever anything above changed (for callers' caches of decisions)
};

// Publishes (or replaces) a version. Everything is copied. If nothing that an instance depends on changed (only policy,
// URL, role text...) warm instances stay; else they are retired: busy ones finish, idle ones are stopped.
int sl_function_publish(struct sl_invoker *invoker, const struct sl_function *function, struct sl_error *err);
void sl_function_remove(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                        struct sl_str version);

// NULL when there is none. `version` empty means $LATEST.
const struct sl_function *sl_function_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str version);
// By the id of its URL.
const struct sl_function *sl_function_find_url(struct sl_invoker *invoker, struct sl_str url_id);

enum sl_invocation_outcome {
    SL_INVOCATION_OK,    // payload is the function's answer
    SL_INVOCATION_ERROR, // X-Amz-Function-Error: payload is the error document ({"errorType":...}); function_error says
                         // "Unhandled"
    SL_INVOCATION_REFUSED, // the function did not run: `error` (throttled, not found, not ready, too large, shutting
                           // down)
};

struct sl_invocation_result {
    enum sl_invocation_outcome outcome;
    struct sl_str payload;        // valid during done; empty after a streamed answer that succeeded
    bool streamed;                // `begin` was called
    struct sl_str content_type;   // what the runtime posted, may be empty
    struct sl_str function_error; // "Unhandled" / "Handled" / empty
    struct sl_str error_type;     // of an error: "Sandbox.Timedout", "Runtime.ExitError", ... (for gateways' decisions)
    bool timed_out;
    struct sl_str executed_version;
    struct sl_str log_tail;        // last 4 KB of the invocation's log when asked for
    const struct sl_error *error;  // REFUSED
    struct sl_str throttle_reason; // of SL_E_THROTTLED: "ReservedFunctionConcurrentInvocationLimitExceeded", ...
    unsigned retry_after_s;        // of a throttle that is known to pass: when; else 0
    int64_t duration_us, init_us;
};

// One invocation. Belongs to the caller (embedded in the request's object), must stay until `done`, which runs once, on
// the loop thread that started it, possibly before sl_invoke returns. Views must stay valid until then.
struct sl_invocation {
    // in
    struct sl_str account, region, name, version; // version empty: $LATEST
    struct sl_str invoked_arn;                    // as invoked, with qualifier: the runtime sees it
    struct sl_str payload;
    struct sl_str client_context; // JSON text (decoded from base64), may be empty
    struct sl_str trace_id;       // X-Amzn-Trace-Id; made when empty, and told of this invocation (lineage.h)
    struct sl_str tenant_id;      // X-Amz-Tenant-Id, may be empty
    char request_id[37];          // made when empty
    bool tail_log;
    // For a caller that forwards a streamed answer while it is made (NULL: it comes whole, in done). A function that
    // does not stream calls neither. `begin` (may be NULL) has the content type, `part` the bytes, never none; an error
    // after that is the result's. Both may call sl_invoke_pause and sl_invoke_abandon.
    void (*begin)(struct sl_invocation *invocation, struct sl_str content_type);
    void (*part)(struct sl_invocation *invocation, struct sl_str bytes);
    void (*done)(struct sl_invocation *invocation, const struct sl_invocation_result *result);
    void *user;
    // internal
    struct sl_invocation *next, *prev;
    struct sl_loop *loop;
    struct sl_invoke__entry *entry;
    struct sl_invoke__pool *pool;
    struct sl_invoke__allotment *allotment;
    struct sl_instance *instance;
    int64_t waiting_since_ms;
    struct sl_instance *behind; // that it was sent ahead to (ahead.c)
    int64_t ahead_ns;           // ... and when
    char trace_text[SL_TRACE_MAX];
};

// What a version of a container image is that nobody called for long (ready.c). `name`: its account, region, name and
// version; others are SL_FUNCTION_ACTIVE. Threads as for sl_function_publish.
enum sl_function_state { SL_FUNCTION_ACTIVE, SL_FUNCTION_INACTIVE, SL_FUNCTION_PENDING };
enum sl_function_state sl_function_state(struct sl_invoker *invoker, const struct sl_function *name);
// 0 when the function is in a state to be invoked, and this tenant id (may be empty) may be given to it; sl_invoke
// checks it as well.
int sl_invoke_check(const struct sl_function *function, struct sl_str tenant_id, struct sl_error *err);
void sl_invoke(struct sl_invoker *invoker, struct sl_invocation *invocation);
// The caller no longer wants the answer (its client went away, or it gave up waiting). The function runs all the same,
// as on AWS; `done` will not be called and the invocation object may be freed after this returns: what is still needed
// is copied.
void sl_invoke_abandon(struct sl_invoker *invoker, struct sl_invocation *invocation);
// A request to a function's URL has its answer, or lost its client (status 0). arn: what the URL is of; of function are
// read: account, region, name, version, architecture. On the request's loop.
void sl_invoke_measure_url(struct sl_invoker *invoker, const struct sl_function *function, struct sl_str arn,
                           int status, double latency_ms);

// Back-pressure on a streamed answer: no more parts until it is false again. The function is held back by TCP.
void sl_invoke_pause(struct sl_invocation *invocation, bool paused);

// A synthetic "Root=1-5f..-..." trace id into the arena.
struct sl_str sl_trace_id_new(struct sl_arena *arena);

#endif
