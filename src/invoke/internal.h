// SPDX-License-Identifier: Apache-2.0
//
// internal: the objects behind invoke.h and who may touch what.
//
//   entry     a published function version. Immutable, found through an RCU hash table, reference-counted.
//   pool      the instances of one (code, configuration). Several entries may share a pool over time (a change of the
//   policy
//             makes a new entry with the same pool). Split into shards, one per loop: a shard belongs to its loop's
//             thread and needs no lock; what other threads may read of it is atomic.
//   instance  a sandbox. Owned by one loop at a time (`loop`, atomic because the jail's reports are addressed by it).
//   Given to
//             another loop only by its owner, on the owner's thread (sl_invoke__instance_give): detached here, attached
//             there.
//
// Ways of an invocation: idle instance of the own shard -> else ask a loop that has an idle one -> else a new instance;
// whatever is ready first serves the oldest waiting invocation.
#ifndef SL_INVOKE_INTERNAL_H
#define SL_INVOKE_INTERNAL_H

#include "base/id.h"
#include "invoke/engine.h"
#include "jail/jail.h"
#include "net/rcu.h"
#include "runtime/runtime.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SL_LOOPS_MAX = 64, SL_LOG_LINE_MAX = 256 * 1024, SL_LOG_STREAM = 96, SL_ERROR_TYPE_MAX = 64 };

struct sl_invoke__pool;

// Concurrency of one function over all its versions.
struct sl_invoke__limit {
    struct sl_invoke__limit *next;
    char *key; // "account:region:name"
    atomic_uint references;
    atomic_int in_flight;
    _Atomic int64_t reserved; // -1: none
};

struct sl_invoke__entry {
    struct sl_function function; // first: sl_function_find returns a pointer to it
    struct sl_arena arena;       // of function's strings
    char *key;                   // "account:region:name:version"
    struct sl_invoke__pool *pool;
    struct sl_invoke__limit *limit;
    atomic_uint references;
    struct cds_lfht_node node, url_node;
    struct rcu_head rcu;
};

enum sl_instance_state {
    SL_INSTANCE_STARTING, // the spawner was asked
    SL_INSTANCE_INIT,     // runs, has not asked for an event yet
    SL_INSTANCE_IDLE,
    SL_INSTANCE_AWAY, // was idle, and its runtime has left the connection on which it asked for an event
    SL_INSTANCE_BUSY,
    SL_INSTANCE_STOPPING, // the spawner was told to kill it
};

struct sl_instance {
    struct sl_invoker *invoker;
    struct sl_invoke__pool *pool;
    struct sl_loop *_Atomic loop;
    enum sl_instance_state state;
    unsigned slot;
    uint64_t id;                             // the jail's
    struct sl_instance *next, *prev;         // in the shard's idle list
    struct sl_instance *lru_next, *lru_prev; // in the loop's list of idle instances, oldest first
    struct sl_runtime runtime;
    struct sl_runtime_identity identity; // for its extensions; views of the pool's spec
    struct sl_watch log_watch;
    int memory_fd;
    struct sl_timer timer;            // init limit, then the invocation's deadline
    struct sl_invocation *invocation; // being served; NULL when abandoned
    struct sl_invoke__entry *entry;   // of the invocation being served
    bool serving;                     // an invocation is in flight (also an abandoned one)
    bool bound;                       // started for one invocation, whose time its init takes
    bool sent;                        // the event of the invocation in flight went out
    bool streamed;                    // a streamed answer to it has begun
    bool init_failed;                 // answered /init/error
    char init_error_type[SL_ERROR_TYPE_MAX];
    bool live;       // counted in the shard's `live`
    bool seen_ready; // asked for an event at least once
    bool first;      // the next invocation is this instance's first (its REPORT shows the init)
    bool timed_out;
    char request_id[37];
    int64_t started_ns, ready_ns, dispatched_ns, idle_since_ns;
    int64_t init_us;
    struct sl_buf log; // lines of the invocation (or init) in flight
    char log_stream[SL_LOG_STREAM];
    struct sl_buf init_error; // body of /init/error
    // Reports of the jail: one of each kind at most.
    struct sl_mail started_mail, ended_mail;
    struct sl_jail_event started, ended;
    struct sl_mail given_mail; // on its way to another loop:
    _Atomic bool given;        // set by the giver, cleared on arrival
    bool end_seen;             // `ended` arrived before the instance itself did
};

struct sl_invoke__shard {
    struct sl_instance *idle; // newest first
    atomic_uint idle_count, waiting_count;
    struct sl_invocation *waiting_first, *waiting_last;
    unsigned starting, asked;     // instances on their way to this shard: new ones, and those asked of other loops
    atomic_uint live;             // instances here that have served or can: busy and idle ones
    struct sl_timer patience;     // while invocations wait for busy instances instead of starting new ones
    uint64_t turns, turns_seen;   // invocations that had their turn; how many when it was armed
    int64_t last_turn_ns;         // of the queue that has not been empty since; 0: it was
    _Atomic int64_t between_ns;   // average time between turns; 0: unknown. Other loops read it
    struct sl_invoke__pool *pool; // that it is a shard of
};

struct sl_invoke__pool {
    struct sl_invoker *invoker;
    struct sl_function spec; // what instances are started from
    struct sl_arena arena;
    atomic_uint references;
    atomic_bool retired;
    _Atomic int64_t average_us, start_us; // of the latest invocations, of the latest starts; 0: none yet
    struct sl_invoke__shard shards[];     // invoker->loop_count
};

struct sl_invoke__loop {
    struct sl_invoker *invoker;
    struct sl_loop *loop;
    struct sl_instance *lru_first, *lru_last;
    struct sl_timer sweep;
    struct sl_mail drain_mail;
    struct sl_buf scratch; // building of log lines and documents
    // counters of this loop, read by others without order
    _Atomic uint64_t invocations, errors, throttles, cold_starts, duration_us;
};

struct sl_invoker {
    struct sl_invoker_config config;
    struct sl_invoke__loop loops[SL_LOOPS_MAX];
    struct cds_lfht *functions, *urls;
    pthread_mutex_t publish_lock; // writers of the tables and of `limits`
    struct sl_invoke__limit *limits;
    uint64_t generation;
    atomic_int in_flight; // invocations, all functions
    atomic_uint instance_count;
    atomic_bool draining;
    struct sl_watch jail_watch;
    pthread_mutex_t slot_lock;  // slots, slot_generation
    struct sl_instance **slots; // max_instances
    uint32_t *slot_generation;
};

// --- registry.c
void sl_invoke__entry_unref(struct sl_invoke__entry *entry);
struct sl_invoke__entry *sl_invoke__entry_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                               struct sl_str name, struct sl_str version);
void sl_invoke__copy_function(struct sl_function *to, const struct sl_function *from, struct sl_arena *arena);

// --- pool.c (owner loop's thread, except new/unref)
struct sl_invoke__pool *sl_invoke__pool_new(struct sl_invoker *invoker, const struct sl_function *function);
void sl_invoke__pool_unref(struct sl_invoke__pool *pool);
// From any thread: no new work for its instances; idle ones stop.
void sl_invoke__pool_retire(struct sl_invoke__pool *pool);
void sl_invoke__pool_enter(struct sl_invoke__pool *pool, struct sl_invocation *invocation);
// The instance wants an event: give it a waiting invocation, or to a loop that waits, or keep it idle.
void sl_invoke__pool_offer(struct sl_instance *instance);
void sl_invoke__pool_leave_idle(struct sl_instance *instance);
// The instance serves here no more: it stops, has ended, or goes to another loop. May be called again.
void sl_invoke__pool_leave(struct sl_instance *instance);
// What an invocation and an instance's start took, for deciding whether the next ones wait for busy instances.
void sl_invoke__pool_took(struct sl_invoke__pool *pool, int64_t duration_us);
void sl_invoke__pool_started(struct sl_invoke__pool *pool, int64_t init_us);
// Takes the oldest waiting invocation of that loop out of the queue; NULL when none waits.
struct sl_invocation *sl_invoke__pool_next_waiting(struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__sweep(struct sl_timer *timer);
void sl_invoke__stop_all_idle(struct sl_mail *mail); // the loop's drain_mail
void sl_invoke__finish(struct sl_invoker *invoker, struct sl_invocation *invocation,
                       const struct sl_invocation_result *result);
void sl_invoke__refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, const struct sl_error *error,
                       const char *reason);

// --- instance.c
// bound: the invocation that the instance is to serve from its start, taken up when this succeeds; or NULL.
int sl_invoke__instance_start(struct sl_invoke__pool *pool, struct sl_loop *loop, struct sl_invocation *bound,
                              struct sl_error *err);
void sl_invoke__instance_stop(struct sl_instance *instance);
// Hands an instance with a parked next to another loop, where it is offered. The caller must not touch it any more.
void sl_invoke__instance_give(struct sl_instance *instance, struct sl_loop *to);
int sl_invoke__watch_jail(struct sl_invoker *invoker, struct sl_error *err);
// Takes what the function has printed so far.
void sl_invoke__drain_log(struct sl_instance *instance);

// --- init.c
void sl_invoke__init_ready(struct sl_instance *instance); // asked for an event for the first time
void sl_invoke__init_ended(struct sl_instance *instance); // ended without having asked for one

// --- serve.c
extern const struct sl_runtime_handler sl_invoke__runtime_handler;
// An instance that waits for an event serves this invocation: begin and send.
void sl_invoke__instance_dispatch(struct sl_instance *instance, struct sl_invocation *invocation);
void sl_invoke__begin(struct sl_instance *instance, struct sl_invocation *invocation);
void sl_invoke__send(struct sl_instance *instance);
// Ends the invocation in flight towards its caller and in the log; the instance itself may live on. Completes *result.
void sl_invoke__conclude(struct sl_instance *instance, struct sl_invocation_result *result, const char *status);
// The same with an error document that the platform makes.
void sl_invoke__conclude_error(struct sl_instance *instance, const char *type, const char *text, bool timed_out);

// --- launch.c: what a sandbox executes. The block is the caller's to close.
int sl_invoke__launch_block(const struct sl_function *function, int code_dir, const char *log_stream, int *ret_block,
                            struct sl_error *err);

// --- report.c: log lines and error documents
void sl_invoke__log_init_start(struct sl_instance *instance);
void sl_invoke__log_start(struct sl_instance *instance);
void sl_invoke__log_end(struct sl_instance *instance, int64_t duration_us, const char *status, const char *error_type);
void sl_invoke__log_timeout(struct sl_instance *instance);
// What the platform says when the function could not answer itself.
void sl_invoke__log_failure(struct sl_instance *instance, const char *type, const char *text);
// Of an init that did not succeed; error_type may be empty.
void sl_invoke__log_init_report(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__log_flush(struct sl_instance *instance);
// {"errorType":..., "errorMessage":"RequestId: <id> Error: <text>"} into `out`.
void sl_invoke__error_document(struct sl_buf *out, const char *type, const char *request_id, const char *text);
// What AWS says of a main process that ended with this wait status: error type and text.
const char *sl_invoke__exit_text(const struct sl_jail_event *ended, char text[static 96]);

static inline struct sl_invoke__loop *sl_invoke__of(struct sl_invoker *invoker, const struct sl_loop *loop) {
    return &invoker->loops[sl_loop_index(loop)];
}

#endif
