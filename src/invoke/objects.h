// SPDX-License-Identifier: Apache-2.0
//
// objects: what is behind invoke.h, and who may touch what.
//
//   entry     a published function version. Immutable, found through an RCU hash table, reference-counted.
//   pool      the instances of one (code, configuration). Several entries may share a pool over time (a change of the
//             policy makes a new entry with the same pool). Split into shards, one per loop: a shard belongs to its
//             loop's thread and needs no lock; what other threads may read of it is atomic.
//   instance  a sandbox. Owned by one loop at a time (`loop`, atomic because the jail's reports are addressed by it).
//             Given to another loop only by its owner, on the owner's thread (sl_invoke__instance_give): detached here,
//             attached there.
//
// Ways of an invocation: idle instance of the own shard -> else ask a loop that has an idle one -> else a new instance;
// whatever is ready first serves the oldest waiting invocation.
#ifndef SL_INVOKE_OBJECTS_H
#define SL_INVOKE_OBJECTS_H

#include "base/id.h"
#include "invoke/engine.h"
#include "invoke/gate.h"
#include "jail/jail.h"
#include "net/rcu.h"
#include "runtime/frames.h"
#include "runtime/runtime.h"

#include <pthread.h>
#include <stdatomic.h>

// The longest life of an instance that --max-age can ask for, and of an image.
enum { SL_INVOKE__CREDENTIALS_AGE_S = 30 * 86400 };
enum { SL_LOOPS_MAX = 64, SL_LOG_LINE_MAX = 256 * 1024, SL_LOG_STREAM = 96, SL_ERROR_TYPE_MAX = 64 };

struct sl_invoke__pool;

// A part of an account's concurrency. Every admitted invocation holds one place of exactly one allotment (limit.c).
struct sl_invoke__allotment {
    atomic_int used;
    _Atomic int64_t capacity;
};

// A leaky bucket (GCRA): the time at which it would be empty again. Any thread, no lock.
struct sl_invoke__bucket {
    _Atomic int64_t empty_ns;
};

// Concurrency of one account in one region. Lives as long as the invoker.
struct sl_invoke__account {
    struct sl_invoke__account *next;
    char *key;                        // "account:region"
    struct sl_invoke__allotment open; // what no function has reserved and no version provisioned
    int64_t committed;                // the rest; under publish_lock
    struct sl_invoke__bucket requests;
    _Atomic int64_t running; // on instances, of all functions
};

// Concurrency of one function over all its versions.
struct sl_invoke__limit {
    struct sl_invoke__limit *next;
    char *key; // "account:region:name"
    atomic_uint references;
    struct sl_invoke__account *account;
    _Atomic int64_t reserved;        // -1: none
    struct sl_invoke__allotment own; // what is reserved and not provisioned
    int64_t provisioned, committed;  // of all versions; of the account's. Under publish_lock
    struct sl_invoke__bucket starts, requests;
    _Atomic int64_t running; // on instances, of all versions
};

struct sl_invoke__entry {
    struct sl_function function; // first: sl_function_find returns a pointer to it
    struct sl_arena arena;       // of function's strings
    char *key;                   // "account:region:name:version"
    struct sl_invoke__pool *pool;
    struct sl_invoke__limit *limit;
    atomic_uint references;
    _Atomic int64_t used_ms, awake_ms; // ready.c
    struct cds_lfht_node node, url_node;
    struct rcu_head rcu;
};

enum sl_instance_state {
    SL_INSTANCE_STARTING, // the spawner was asked
    SL_INSTANCE_INIT,     // runs, has not asked for an event yet
    SL_INSTANCE_KEPT,     // waits at its snapshot, frozen (snap.c)
    SL_INSTANCE_IDLE,
    SL_INSTANCE_AWAY, // was idle, and its runtime has left the connection on which it asked for an event
    SL_INSTANCE_BUSY,
    SL_INSTANCE_STOPPING, // the spawner was told to kill it
};

// What is told of an invocation when it is over (times are monotonic, 0: not yet).
struct sl_outcome {
    int64_t sent_ns, first_byte_ns, answered_ns, runtime_done_ns, produced;
    const char *status; // "success", "error", "timeout", "failure"
    char error_type[SL_ERROR_TYPE_MAX];
    char trace[128];   // of a traced one; else ""
    bool runtime_told; // platform.runtimeDone was
    bool late;         // the report waits for the extensions
};

struct sl_instance {
    struct sl_invoker *invoker;
    struct sl_invoke__pool *pool;
    struct sl_loop *_Atomic loop;
    enum sl_instance_state state;
    unsigned slot;
    uint64_t id;                             // the jail's
    struct sl_instance *next, *prev;         // in the shard's idle list
    struct sl_instance *lru_next, *lru_prev; // in one of the loop's lists of idle instances, oldest first
    bool provisioned;                        // kept although idle, for the version's provisioned concurrency
    bool used;                               // has served an invocation
    bool frozen;
    bool surplus;                           // was provisioned, and is counted no more
    unsigned home;                          // index of the shard that counts it, when provisioned
    int64_t charge;                         // bytes that it counts for in the budget of memory
    bool leaving;                           // stopping, its charge is about to be free
    struct sl_invoke__allotment *allotment; // where the invocation in flight is counted
    struct sl_invoke__meter *meter;         // that it is billed by
    int64_t metered_ms, answered_us;        // what it was billed with when it was answered, and how long that took
    struct sl_runtime runtime;
    struct sl_runtime_identity identity; // for its extensions; views of the pool's spec
    struct sl_watch log_watch;
    int memory_fd, freeze_fd;
    struct sl_door *door;                       // its way to the AWS APIs; NULL: none
    struct sl_invoker_credentials *credentials; // with which it goes there, until its programs were started
    int64_t renew_ns;                           // when it is too old for its credentials; 0: never
    int64_t peak, peak_ns;                      // bytes, and when they were read
    struct sl_timer timer;                      // init limit, then the invocation's deadline
    struct sl_invocation *invocation;           // being served; NULL when abandoned
    struct sl_invoke__entry *entry;             // of the invocation being served
    bool serving;                               // an invocation is in flight (also an abandoned one)
    bool bound;                                 // started for one invocation, whose time its init takes
    bool sent;                                  // the event of the invocation in flight went out
    bool streamed;                              // a streamed answer to it has begun
    bool init_failed;                           // answered /init/error
    bool from_image;                            // started from the image of its version (snap_image.c)
    int image_fd;                               // that it is sending; -1: none
    int64_t image_left;                         // bytes of it that are to come
    bool snapping;                              // started to be kept at its snapshot, for no invocation; kept there
    bool snap_ended;                            // was to be, and did not get there
    bool snapshotted;                           // has been at its snapshot: what it does next is a restore
    bool restore_failed;                        // answered /restore/error
    struct sl_instance *kept_next;              // in the list of those that are kept
    int64_t restore_ns, resumed_ns; // when the restore began, and when the function's part of it did; 0: not yet
    int64_t restore_us, resume_us;  // what they took
    // Sending ahead, see ahead.c.
    bool ahead;      // others may wait inside behind the invocation in work
    bool listed;     // in the shard's `ahead`
    bool unsent;     // in the loop's `unsent`
    bool printed;    // something was, in the invocation in work
    unsigned behind; // invocations sent ahead, not begun: oldest first
    struct sl_invocation *behind_first, *behind_last;
    struct sl_instance *ahead_next, *ahead_prev, *unsent_next;
    struct sl_timer stuck;
    char init_error_type[SL_ERROR_TYPE_MAX];
    bool adopted;    // was a blank
    bool live;       // counted in the shard's `live`
    bool seen_ready; // asked for an event at least once
    bool first;      // the next invocation is this instance's first (its REPORT shows the init)
    bool timed_out;
    char request_id[37];
    int64_t started_ns, ready_ns, dispatched_ns, idle_since_ns;
    int64_t init_us;
    struct sl_outcome outcome;        // of the invocation in flight, or the last one
    struct sl_extensions *extensions; // external ones, NULL without
    struct sl_shutdown *shutdown;     // while it is asked to end, NULL else
    bool failed;                      // it ends because something in it went wrong
    bool settled;                     // what was in flight has been answered for good
    struct sl_buf log;                // lines of the invocation (or init) in flight
    struct sl_frames frames;
    char log_stream[SL_LOG_STREAM];
    struct sl_buf init_error; // body of /init/error
    // Reports of the jail: one of each kind at most.
    struct sl_mail started_mail, ended_mail;
    struct sl_jail_event started, ended;
    struct sl_mail given_mail; // on its way to another loop:
    _Atomic bool given;        // set by the giver, cleared on arrival
    bool end_seen;             // `ended` arrived before the instance itself did
};

// Idle instances of a loop, oldest first; those before `thawed` are frozen.
struct sl_invoke__lru {
    struct sl_instance *first, *last, *thawed;
};

// Instances on demand, and those kept for provisioned concurrency: apart in every list.
enum { SL_ON_DEMAND, SL_PROVISIONED, SL_KINDS };

// See crowd.c. Zeroed: not known yet, no limit.
struct sl_invoke__crowd {
    unsigned limit; // of busy instances
    unsigned seen;  // invocations in this window
    int64_t sum_us, floor_us;
    bool few;            // few instances are to be busy, since events are sent ahead to them
    unsigned served;     // invocations since that began
    unsigned since, bar; // invocations; for how many sending ahead was barred the last time
    unsigned barred;     // how many are to come before events may be sent ahead again
};

struct sl_invoke__shard {
    struct sl_instance *idle[SL_KINDS]; // newest first
    atomic_uint idle_count, waiting_count;
    struct sl_invocation *waiting_first, *waiting_last;
    unsigned starting, asked; // instances on their way to this shard: new ones, and those asked of other loops
    atomic_uint live;         // instances here that have served or can: busy and idle ones
    struct sl_invoke__crowd crowd;
    struct sl_instance *ahead;    // busy ones to which more may be sent
    struct sl_timer patience;     // while invocations wait for busy instances instead of starting new ones
    uint64_t turns, turns_seen;   // invocations that had their turn; how many when it was armed
    unsigned stuck;               // how often in a row it ended without a turn
    int64_t last_turn_ns;         // of the queue that has not been empty since; 0: it was
    _Atomic int64_t between_ns;   // average time between turns; 0: unknown. Other loops read it
    struct sl_invoke__pool *pool; // that it is a shard of
    struct sl_invoke__shard *queue_next, *queue_prev; // in the loop's list of shards where somebody waits
    bool queued;
    atomic_uint provisioned, provisioned_ready; // started by this shard: all, and those that can serve
    struct sl_invoke__meter *meter;             // the last one used; referenced
};

struct sl_invoke__pool {
    struct sl_invoker *invoker;
    struct sl_function spec; // what instances are started from
    struct sl_arena arena;
    atomic_uint references;
    atomic_bool retired;
    _Atomic int64_t average_us, start_us; // of the latest invocations, of the latest starts; 0: none yet
    _Atomic int64_t idle_ms, max_age_ms;  // of its instances; 0: no limit of age
    _Atomic uint64_t cold_starts;
    _Atomic int64_t peak;           // bytes: the most that an instance of it was seen to use; 0: not seen yet
    atomic_uint quiet;              // invocations since the last that printed something, up to a limit
    atomic_bool loud;               // prints so that it cannot be told for which of the invocations under way
    struct sl_invoke__limit *limit; // referenced
    struct sl_invoke__allotment provisioned;
    const char *_Atomic provision_reason;     // why some are missing; NULL: none are, or it is not known yet. A literal
    _Atomic int64_t provision_retry_ns;       // none is started before
    atomic_uint provision_failures;           // inits that failed in a row
    struct sl_invoke__snap_image *snap_image; // of a version with SnapStart
    struct sl_invoke__snap *snap;             // of a version with SnapStart
    struct sl_invoke__tenants *tenants;       // of a pool whose instances belong to tenants: it has none of its own
    struct sl_invoke__pool *parent;           // of a tenant's pool; referenced
    struct sl_str tenant;
    struct sl_invoke__pool *tenant_next; // in the parent's table
    struct sl_invoke__shard shards[];    // invoker->loop_count
};

// A start that waits for room, see room.c.
struct sl_invoke__want {
    struct sl_invoke__want *next;
    struct sl_invoke__pool *pool; // referenced
    int64_t deadline_ms;
};

// Why an invocation was refused; the order of sl_invoke__throttle_names.
enum sl_invoke__throttle {
    SL_THROTTLE_CONCURRENT,
    SL_THROTTLE_RESERVED,
    SL_THROTTLE_RATE,
    SL_THROTTLE_RESERVED_RATE,
    SL_THROTTLE_CALLER_RATE,
    SL_THROTTLES,
    SL_THROTTLE_NONE = SL_THROTTLES,
};

struct sl_invoke__loop {
    struct sl_invoker *invoker;
    struct sl_loop *loop;
    struct sl_invoke__lru lru[SL_KINDS];
    _Atomic int64_t oldest_idle_ns; // of the instances on demand; INT64_MAX: none. For other loops' evictions
    struct sl_timer sweep, freeze, want_timer;
    struct sl_invoke__want *want_first, *want_last;
    struct sl_invoke__shard *queue_first; // shards where somebody waits
    struct sl_mail drain_mail, evict_mail, provision_mail, unsent_mail;
    struct sl_instance *unsent;               // with events that leave at the end of the turn,
    bool unsent_posted;                       // ... for which the letter is under way
    atomic_bool evict_sent, provision_sent;   // those letters are on their way
    struct sl_invoke__snap *snaps;            // versions with SnapStart that have their home here
    struct sl_buf scratch;                    // building of log lines and documents
    struct sl_invoke__meters *_Atomic meters; // made by this loop; read by who asks for metrics
    // counters of this loop, read by others without order
    _Atomic uint64_t invocations, errors, throttles[SL_THROTTLES], cold_starts, duration_us, evictions, expired;
    _Atomic uint64_t ahead, untaken;          // events sent ahead; of those, taken back
    atomic_int in_flight, idle, frozen, busy; // invocations that wait or run here; instances. Only this loop writes
};

// A sandbox's number. One that is taken by no instance is a blank's.
struct sl_invoke__slot {
    struct sl_instance *instance;
    bool taken;
    uint32_t generation;
};

struct sl_invoker {
    struct sl_invoker_config config;
    struct sl_invoke__loop loops[SL_LOOPS_MAX];
    struct cds_lfht *functions, *urls;
    pthread_mutex_t publish_lock;     // writers of the tables, and everybody who wants a limit by name
    struct sl_invoke__limit **limits; // chains by the key's hash
    size_t limit_count, limit_chains; // the second a power of two
    struct sl_invoke__account *accounts;
    struct sl_invoke__pool **provisioned_pools; // referenced, under provision_lock
    atomic_uint provisioned_count;              // changed under the lock
    unsigned provisioned_room;
    pthread_mutex_t provision_lock;
    atomic_uint snap_home; // the loop whose turn it is to be the home of a version with SnapStart
    uint64_t generation;
    atomic_uint instance_count;
    unsigned processors; // that this server may use
    struct sl_invoke__gate gate;
    // The budget of memory, see room.c. In bytes, but the last two.
    _Atomic int64_t memory_used, memory_leaving, memory_available, memory_read_ns;
    _Atomic int64_t memory_blank; // of blanks and templates; room is made of them first
    atomic_uint leaving_count, want_count;
    atomic_bool draining;
    struct sl_watch jail_watch;
    pthread_mutex_t slot_lock; // slots
    unsigned slot_count;
    struct sl_invoke__slot *slots;    // slot_count
    struct sl_invoke__blanks *blanks; // NULL: none are kept
};

#endif
