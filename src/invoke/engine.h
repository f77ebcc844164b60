// SPDX-License-Identifier: Apache-2.0
//
// engine: making and ending the invocation engine. For the daemon; everyone else needs only invoke.h.
#ifndef SL_INVOKE_ENGINE_H
#define SL_INVOKE_ENGINE_H

#include "invoke/invoke.h"

struct sl_jail_client;
struct sl_logs;
struct sl_store;

// Where what functions used is kept: ledger.c's, or none in tests.
struct sl_store_job;
struct sl_store_tx;
struct sl_ledger {
    int (*run)(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err);
    int (*submit)(struct sl_store *store, struct sl_store_job *job, struct sl_error *err);
    int (*wait)(struct sl_store *store, struct sl_store_job *job, struct sl_error *err);
    void (*committed)(struct sl_store_job *job);
};
extern const struct sl_ledger sl_ledger;

// What one loop measured of a function's version within a few seconds of one minute (docs/monitoring.md). Views are
// valid during the call.
struct sl_stat;
struct sl_measured {
    struct sl_str account, region, name, version, alias; // alias: empty without
    int64_t at_ms;
    double errors, throttles, recursions, provisioned, spilled;           // invocations
    const struct sl_stat *duration_ms;                                    // of each invocation
    const struct sl_stat *after_ms;                                       // of extensions, after the answer
    const struct sl_stat *concurrency, *account_concurrency, *unreserved; // when each invocation began
    const struct sl_stat *provisioned_busy, *utilization; // likewise, of a version with provisioned ones
    double url_4xx, url_5xx;                              // answers to requests to its URL
    const struct sl_stat *url_latency_ms;                 // of each
};

// What a function signs its requests to the AWS APIs with: credentials of a session of its role.
struct sl_invoker_credentials {
    char access_key[32], secret_key[64];
    char token[4096];
};

// A function's way to the AWS APIs, of which invoke/ knows no more than this (daemon/door.c has the rest). All NULL:
// there is none.
struct sl_door;
struct sl_invoker_doors {
    void *user;
    // New credentials for an instance of that function, which are good for so long. Loop threads.
    int (*credentials)(void *user, const struct sl_function *function, int64_t seconds,
                       struct sl_invoker_credentials *ret, struct sl_error *err);
    // An instance runs; what comes by that listening socket is served from now on, on the calling loop's thread. The
    // socket is the door's. NULL: not possible.
    struct sl_door *(*open)(void *user, struct sl_loop *loop, int listen_fd);
    // The instance has ended: so does everything that came by its door. Any loop's thread.
    void (*close)(struct sl_door *door);
};

// Whether events are sent to instances that are busy still: where it helps; wherever it can be; nowhere.
enum sl_send_ahead { SL_SEND_AHEAD_AUTO, SL_SEND_AHEAD_ALWAYS, SL_SEND_AHEAD_NEVER };

struct sl_invoker_config {
    struct sl_loop **loops;
    unsigned loop_count;
    struct sl_jail_client *jail; // watched on loops[0]
    struct sl_store *store;      // for code directories, and the ledger's
    const struct sl_ledger *ledger;
    // Where the ledger tells what was measured; may be NULL. On the storage thread.
    void (*measured)(void *user, const struct sl_measured *measured);
    void *measured_user;
    // Where finished invocations' log lines go; a function so that invoke/ does not know observe/. On loop threads.
    void (*log)(void *user, unsigned loop, const struct sl_function *function, const char *stream, struct sl_str lines);
    void *log_user;
    struct sl_invoker_doors doors;
    unsigned max_instances;       // on this machine
    int64_t memory_bytes;         // budget for all instances; 0: no limit
    unsigned account_concurrency; // per account and region. AWS: 1000
    unsigned scaling_rate;        // starts per function in 10 seconds. AWS: 1000; 0: no limit
    unsigned request_rate;        // requests per second for each unit of concurrency. AWS: 10; 0: no limit
    int64_t idle_ms;              // an idle instance is stopped after this
    int64_t inactive_ms;          // a container image that nobody invoked for this long is Inactive; 0: never
    int64_t activation_ms;        // how long it is Pending then
    int64_t max_age_ms;           // an instance is replaced after this; 0: never
    int64_t freeze_ms;            // an instance is frozen when it was idle for this long; 0: never
    enum sl_send_ahead send_ahead;
    bool single_use;       // every function's instances serve one invocation each
    int64_t init_ms;       // limit of the init phase (AWS: 10 s)
    unsigned snapshots;    // most instances kept at their snapshot, of all versions together; 0: none are
    bool network;          // functions may reach out
    unsigned blanks;       // most to keep ready, of all kinds together; 0: none are used
    bool templates;        // fork blanks where the language can
    int64_t blank_bytes;   // budget of memory for those that are kept
    int64_t blank_idle_ms; // a kind is given up this long after its last cold start
};

int sl_invoker_new(struct sl_invoker **ret, const struct sl_invoker_config *config, struct sl_error *err);
// On loop `index`'s own thread, before it takes requests: arms its timers; loop 0 also watches the jail.
int sl_invoker_attach(struct sl_invoker *invoker, unsigned index, struct sl_error *err);
// Once, from any thread: refuses new invocations, stops every idle instance, lets busy ones finish. `sl_invoker_busy`
// counts what still runs, `sl_invoker_instances` the sandboxes that exist.
void sl_invoker_drain(struct sl_invoker *invoker);
unsigned sl_invoker_busy(struct sl_invoker *invoker);
unsigned sl_invoker_idle(struct sl_invoker *invoker); // instances
unsigned sl_invoker_instances(const struct sl_invoker *invoker);
// After the loops have stopped: frees everything. The jail client is the caller's.
void sl_invoker_free(struct sl_invoker *invoker);
// Calling threads that publish or find and are not loop threads must be registered for RCU; loop threads are by the
// daemon. Prometheus text: instances by state, invocations, errors, throttles, cold starts, durations.
void sl_invoker_metrics(struct sl_invoker *invoker, struct sl_buf *out);

// At the end, when no loop runs any more: stores what is not on the bill yet.
void sl_invoker_settle(struct sl_invoker *invoker);
// What functions used in a month ("2026-11"), as a JSON array of rows (see meter.c). In a job of the store.
int sl_invoke_meters_write(struct sl_store_tx *tx, struct sl_str month, struct sl_buf *out, struct sl_error *err);
// What is kept ready of a version's provisioned concurrency. False when there is no such version.
struct sl_provisioned {
    unsigned wanted, ready;
    const char *failure; // why some are missing, in AWS's style; NULL: they are on their way
};
bool sl_invoker_provisioned(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                            struct sl_str version, struct sl_provisioned *ret);
// How far a version with SnapStart is. False when there is no such version, or it has no SnapStart.
enum sl_snapshot_state { SL_SNAPSHOT_PENDING, SL_SNAPSHOT_ON, SL_SNAPSHOT_FAILED };
struct sl_snapshot {
    enum sl_snapshot_state state;
    char reason[256]; // of a failure, for people
    const char *code; // of a failure: AWS's StateReasonCode
};
bool sl_invoker_snapshot(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                         struct sl_str version, struct sl_snapshot *ret);
// What runs now, as a JSON object (docs/blanks.md). On a loop's thread.
void sl_invoker_top(struct sl_invoker *invoker, struct sl_buf *out);

#endif
