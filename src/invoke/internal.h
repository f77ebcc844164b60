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

// --- registry.c
// FNV-1a. Names are bounded and made by authenticated operators; a flood of collisions would only slow their own
// server.
unsigned long sl_invoke__hash(struct sl_str key);
void sl_invoke__entry_unref(struct sl_invoke__entry *entry);
struct sl_invoke__entry *sl_invoke__entry_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                               struct sl_str name, struct sl_str version);
// sl_function_publish for threads that are RCU readers already: loops.
int sl_invoke__publish(struct sl_invoker *invoker, const struct sl_function *function, struct sl_error *err);
void sl_invoke__copy_function(struct sl_function *to, const struct sl_function *from, struct sl_arena *arena);

// --- ready.c
// A new entry's times: those of the one before, if its code is the same.
void sl_invoke__used(struct sl_invoke__entry *entry, const struct sl_invoke__entry *before);
// An invocation comes: 0, or it is refused because the version rests, and wakes.
int sl_invoke__stir(struct sl_invoker *invoker, struct sl_invoke__entry *entry, struct sl_error *err);

// --- image.c: what a container image runs
enum { SL_INVOKE__IMAGE_ARGUMENTS = 1024, SL_INVOKE__IMAGE_TEXT = 64 * 1024 };
struct sl_invoke__image_command {
    const char *argv[SL_INVOKE__IMAGE_ARGUMENTS + 1]; // argv[0]: the program's path inside the image
    char text[SL_INVOKE__IMAGE_TEXT];
};
int sl_invoke__image_command(const struct sl_function *function, int root, struct sl_invoke__image_command *ret,
                             struct sl_error *err);

// --- hot.c: functions whose code is a folder
// The folder, for a sandbox; the caller closes it.
int sl_invoke__hot_open(struct sl_str path, int *ret_fd, struct sl_error *err);
// The entry of the same version as the folder is now: the given one, or one published because something changed. NULL
// when the version was removed meanwhile. Any loop thread, inside its turn.
struct sl_invoke__entry *sl_invoke__hot_current(struct sl_invoker *invoker, struct sl_invoke__entry *entry);
// A version that had a folder has gone, or has none any more: ends the watches that no version needs. RCU readers only.
void sl_invoke__hot_forget(struct sl_invoker *invoker);

// --- engine.c
// The end of an invocation that was admitted, for the counts.
void sl_invoke__leave(struct sl_invoke__loop *here, struct sl_invoke__allotment *allotment);

// --- limit.c
extern const char *const sl_invoke__throttle_names[SL_THROTTLES];
// Counts the invocation in (invocation->allotment), or says why not.
enum sl_invoke__throttle sl_invoke__admit(struct sl_invoke__pool *pool, struct sl_invocation *invocation);
void sl_invoke__place_return(struct sl_invoke__allotment *allotment);
// One start of AWS's scaling rate; given back when it was not used, or when the instance has ended.
bool sl_invoke__start_take(struct sl_invoke__pool *pool);
void sl_invoke__start_return(struct sl_invoke__pool *pool);
// The reason to give when the rate of the pool's function does not allow more.
enum sl_invoke__throttle sl_invoke__rate_reason(const struct sl_invoke__pool *pool);
// Under publish_lock. Finds or makes; the caller gets a reference.
struct sl_invoke__limit *sl_invoke__limit_of(struct sl_invoker *invoker, const struct sl_function *function);
void sl_invoke__limit_set(struct sl_invoker *invoker, struct sl_invoke__limit *limit, int64_t reserved,
                          int64_t provisioned);
void sl_invoke__limit_unref(struct sl_invoker *invoker, struct sl_invoke__limit *limit); // takes publish_lock
void sl_invoke__limits_free(struct sl_invoker *invoker);

// --- room.c: memory and number of instances
int64_t sl_invoke__memory_available(void); // what the kernel says, in bytes; -1: unknown
int64_t sl_invoke__charge_of(const struct sl_invoke__pool *pool);
bool sl_invoke__room_take(struct sl_invoker *invoker, int64_t charge);
void sl_invoke__room_return(struct sl_invoker *invoker, int64_t charge);
// Room for one more of this pool: true = taken. Else a start waits for it in the loop's queue (pool_start_* follows),
// or, when *ret_waits is false, nothing does.
bool sl_invoke__room_or_wait(struct sl_invoke__pool *pool, unsigned loop, bool *ret_waits);
// Whether one more blank would leave functions what they need now.
bool sl_invoke__room_for_blank(struct sl_invoker *invoker, int64_t bytes);
// Gives up blanks, or stops idle instances, for a start that needs this much, if that helps.
void sl_invoke__room_make(struct sl_invoke__loop *here, int64_t charge);
void sl_invoke__room_free(struct sl_invoke__loop *here); // forgets starts that wait; no loop runs any more
// The instance was seen to use this much at most (<= 0: unknown).
void sl_invoke__room_adjust(struct sl_instance *instance, int64_t peak);
void sl_invoke__room_leaving(struct sl_instance *instance); // was told to stop
void sl_invoke__room_left(struct sl_instance *instance);    // is gone

// --- idle.c
void sl_invoke__idle_enter(struct sl_instance *instance);
struct sl_instance *sl_invoke__idle_pick(const struct sl_invoke__shard *shard); // NULL: none
void sl_invoke__idle_stop_all(struct sl_invoke__shard *shard);
// The limit of its age; 0: none.
int64_t sl_invoke__max_age_ms(const struct sl_instance *instance);
bool sl_invoke__is_old(const struct sl_instance *instance, int64_t now_ns);

// --- provision.c
// From any thread: so many instances are to be kept ready.
void sl_invoke__provision_set(struct sl_invoke__pool *pool, unsigned wanted);
void sl_invoke__provision(struct sl_invoke__loop *here); // keeps this loop's share
void sl_invoke__provision_free(struct sl_invoker *invoker);
bool sl_invoke__provision_surplus(const struct sl_instance *instance); // is one too many
// The life of a provisioned instance; `gone` accepts any, and several times.
void sl_invoke__provision_started(struct sl_instance *instance);
void sl_invoke__provision_ready(struct sl_instance *instance);
void sl_invoke__provision_init_failed(struct sl_instance *instance);
void sl_invoke__provision_gone(struct sl_instance *instance);
void sl_invoke__provision_meter(struct sl_invoke__loop *here, int64_t ms); // they were there for so long
int64_t sl_invoke__init_limit_ms(const struct sl_instance *instance);

// --- snap.c: versions with SnapStart
void sl_invoke__snap_open(struct sl_invoke__pool *pool);   // a new one; its spec says whether it was just published
void sl_invoke__snap_free(struct sl_invoke__pool *pool);   // accepts any
void sl_invoke__snap_retire(struct sl_invoke__pool *pool); // accepts any
void sl_invoke__snaps_free(struct sl_invoke__loop *here);  // no loop runs any more
// Whether the version may not be called now; then err says why.
bool sl_invoke__snap_refuses(const struct sl_invoke__pool *pool, struct sl_error *err);
void sl_invoke__snap_sweep(struct sl_invoke__loop *here); // starts what is to be kept
// Somebody needs an instance: whether one is kept, on which loop. Any loop.
bool sl_invoke__snap_has(struct sl_invoke__pool *pool, unsigned *ret_home);
struct sl_instance *sl_invoke__snap_pop(struct sl_invoke__pool *pool); // on the home loop; NULL: none is left
void sl_invoke__snap_restore(struct sl_instance *instance);            // for who waits on this loop
void sl_invoke__snap_begin(struct sl_instance *instance);              // of one that was started from an image
void sl_invoke__snap_arrived(struct sl_instance *instance);            // of one that was given to this loop
// The life of an instance of such a version.
void sl_invoke__snap_started(struct sl_instance *instance);  // to be kept
void sl_invoke__snap_reached(struct sl_instance *instance);  // has run what comes before a snapshot
void sl_invoke__snap_restored(struct sl_instance *instance); // asked for an event
// type: NULL when it is no fault of the function's.
void sl_invoke__snap_failed(struct sl_instance *instance, const char *type, const char *text, bool timed_out);
// One that is kept, or was to be, stops or has ended; accepts any, and several times.
void sl_invoke__snap_gone(struct sl_instance *instance);
bool sl_invoke__snap_evict(struct sl_invoke__loop *here); // gives one up that is kept here. False: there is none
// --- snap_image.c: snapshots that are the memory of a process (of the runtime's handler)
bool sl_invoke__snap_image_begin(struct sl_runtime *runtime, uint64_t length);
void sl_invoke__snap_image_part(struct sl_runtime *runtime, struct sl_str bytes);
bool sl_invoke__snap_image_end(struct sl_runtime *runtime);
// The image of the pool's version, for a start: a descriptor of the caller's, or -1. Any thread; accepts any.
int sl_invoke__snap_image_open(struct sl_invoke__pool *pool);
bool sl_invoke__snap_image_is(const struct sl_invoke__pool *pool);            // there is one; accepts any
void sl_invoke__snap_image_drop(struct sl_invoke__pool *pool, bool for_good); // accepts any
// What its init made with its credentials would not last: drops one that is too old.
void sl_invoke__snap_image_expire(struct sl_invoke__pool *pool, int64_t now_ns);
uint64_t sl_invoke__snap_image_bytes(void);                        // of all together. Any thread
struct sl_invoke__snap_image *sl_invoke__snap_image_new(void);     // NULL without memory: then no image is taken
void sl_invoke__snap_image_free(struct sl_invoke__pool *pool);     // accepts any
unsigned sl_invoke__snap_kept(const struct sl_invoke__pool *pool); // instances and images; accepts any

// --- meter.c: what is used, for the bill. On the owner loop's thread
void sl_invoke__meter_begin(struct sl_instance *instance, const struct sl_invocation *invocation);
// The invocation is answered; what it used so far is counted. The meter stays the instance's until meter_release.
void sl_invoke__meter_end(struct sl_instance *instance, const struct sl_invocation_result *result, int64_t billed_ms);
// Its extensions went on after the answer: the whole of what is billed for it, and how long that was.
void sl_invoke__meter_late(struct sl_instance *instance, int64_t billed_ms, int64_t after_us);
void sl_invoke__meter_release(struct sl_instance *instance);
// An invocation that no instance took: refused, ended by the lineage's limit, or failed while it waited.
enum sl_invoke__missed { SL_MISSED_THROTTLED, SL_MISSED_RECURSION, SL_MISSED_FAILED };
void sl_invoke__meter_missed(struct sl_invoke__pool *pool, const struct sl_invocation *invocation,
                             enum sl_invoke__missed how);
void sl_invoke__meter_kept(struct sl_invoke__loop *here, struct sl_invoke__pool *pool, unsigned count, int64_t ms);
void sl_invoke__meter_drop(struct sl_invoke__shard *shard); // the shard goes; any thread
void sl_invoke__meter_flush(struct sl_invoke__loop *here);  // when it is time to
void sl_invoke__meters_free(struct sl_invoke__loop *here);
void sl_invoke__tenant_metrics(struct sl_invoker *invoker, struct sl_buf *out); // any thread

// --- tenant.c: the life of pools, and those of tenants. Any thread
// Takes a reference of its own to the limit.
struct sl_invoke__pool *sl_invoke__pool_new(struct sl_invoker *invoker, const struct sl_function *function,
                                            struct sl_invoke__limit *limit);
struct sl_invoke__pool *sl_invoke__pool_ref(struct sl_invoke__pool *pool); // returns it
void sl_invoke__pool_unref(struct sl_invoke__pool *pool);
// The pool of that tenant, referenced; NULL without memory. `parent` is the pool of a per_tenant version.
struct sl_invoke__pool *sl_invoke__tenant_pool(struct sl_invoke__pool *parent, struct sl_str tenant);
void sl_invoke__tenants_retire(struct sl_invoke__pool *parent); // all of them, if it has any

// --- pool.c (owner loop's thread)
// From any thread: no new work for its instances; idle ones stop.
void sl_invoke__pool_retire(struct sl_invoke__pool *pool);
void sl_invoke__pool_enter(struct sl_invoke__pool *pool, struct sl_invocation *invocation);
// The instance wants an event: give it a waiting invocation, or to a loop that waits, or keep it idle.
void sl_invoke__pool_offer(struct sl_instance *instance);
void sl_invoke__pool_leave_idle(struct sl_instance *instance);
// The instance serves here no more: it stops, has ended, or goes to another loop. May be called again.
void sl_invoke__pool_leave(struct sl_instance *instance);
// What an invocation took, for deciding whether the next ones wait for busy instances.
void sl_invoke__pool_took(struct sl_instance *instance, int64_t duration_us);
// The instance that a start was for can serve: it does, or is idle.
void sl_invoke__pool_ready(struct sl_instance *instance);
// Sends ahead to this busy instance what waits and would go on waiting.
void sl_invoke__pool_fill(struct sl_instance *instance);
// Puts them before those who wait, in this order, and sees to it that they are served.
void sl_invoke__pool_requeue(struct sl_invoke__pool *pool, unsigned loop, struct sl_invocation *first);
// A start that waited for room: is it still needed; then exactly one of the others ends its wait.
bool sl_invoke__pool_needs_start(const struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__pool_start_now(struct sl_invoke__pool *pool, unsigned loop, int64_t charge); // the room was taken
// Every start of this loop's, from the decision until the instance is ready or is none.
void sl_invoke__pool_start_begins(struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__pool_start_over(struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__pool_start_dropped(struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__pool_start_refused(struct sl_invoke__pool *pool, unsigned loop);
void sl_invoke__sweep(struct sl_timer *timer);
void sl_invoke__stop_all_idle(struct sl_mail *mail); // the loop's drain_mail
void sl_invoke__finish(struct sl_invoker *invoker, struct sl_invocation *invocation,
                       const struct sl_invocation_result *result);
void sl_invoke__refuse(struct sl_invoker *invoker, struct sl_invocation *invocation, const struct sl_error *error,
                       enum sl_invoke__throttle reason);

// --- crowd.c
// An invocation took so long on an instance of the shard.
void sl_invoke__crowd_took(struct sl_invoke__shard *shard, int64_t duration_us);
// Whether the next invocation should wait for a busy instance rather than take an idle one.
bool sl_invoke__crowd_full(const struct sl_invoke__shard *shard);
// Those that are busy wait for processors, as far as can be told: the machine has more to run than it can.
bool sl_invoke__crowd_starved(const struct sl_invoke__shard *shard);
// Whether one of the busy ones is too many: the others serve what waits sooner without it.
bool sl_invoke__crowd_over(const struct sl_invoke__shard *shard);
// Whether events may be sent to busy instances of the shard.
bool sl_invoke__crowd_ahead(const struct sl_invoke__shard *shard);
// Sending ahead went wrong: not again for a while.
void sl_invoke__crowd_bar(struct sl_invoke__shard *shard);

// --- ahead.c: several events under way to one instance
bool sl_invoke__ahead_wanted(const struct sl_instance *instance); // for the invocation that it is given now
void sl_invoke__ahead_opened(struct sl_instance *instance);       // it was sent, so that others may follow
// Sends the invocation behind the one in work of a busy instance of the shard. False: there is none that takes it.
bool sl_invoke__ahead_take(struct sl_invoke__shard *shard, struct sl_invocation *invocation);
void sl_invoke__ahead_fill(struct sl_instance *instance);                    // with those that wait
void sl_invoke__ahead_spread(struct sl_invoke__pool *pool, unsigned loop);   // those that wait, to all that take them
void sl_invoke__ahead_begun(struct sl_instance *instance, int64_t since_ns); // the next one is in work since then
void sl_invoke__ahead_untaken(struct sl_instance *instance);                 // those behind go to others
// An invocation behind another has lost its caller: `copy` (or nobody) takes its place.
void sl_invoke__ahead_replace(struct sl_invocation *invocation, struct sl_invocation *copy);
void sl_invoke__ahead_leave(struct sl_instance *instance); // nothing more is sent ahead to it
// An invocation is over: whether it printed, and whether it said so.
void sl_invoke__ahead_note(struct sl_instance *instance);

// --- slot.c: the jail's ids. An id is (generation, slot), so that a late report of an earlier tenant of the slot
// cannot be mistaken. Any thread. For an instance, or (NULL) for a blank. False: all are taken.
bool sl_invoke__slot_take(struct sl_invoker *invoker, struct sl_instance *instance, unsigned *ret_slot,
                          uint64_t *ret_id);
void sl_invoke__slot_give(struct sl_invoker *invoker, unsigned slot, struct sl_instance *instance); // a blank's
void sl_invoke__slot_release(struct sl_invoker *invoker, unsigned slot);
// The instance that the jail knows under this id, or NULL.
struct sl_instance *sl_invoke__slot_find(struct sl_invoker *invoker, uint64_t id);
// The same, with its loop as it is now and whether it is on its way there: an instance may be freed by its loop at any
// time, but on that loop it stays until the callback returns.
struct sl_instance *sl_invoke__slot_owner(struct sl_invoker *invoker, uint64_t id, struct sl_loop **ret_loop,
                                          bool *ret_moving);

// --- instance.c
// The descriptors of a STARTED report that nobody took.
void sl_invoke__close_started(const struct sl_jail_event *event);
struct sl_invoke__start {
    struct sl_loop *loop;
    int64_t charge;              // room that was taken for it
    struct sl_invocation *bound; // that it is to serve from its start, taken up when this succeeds; or NULL
    bool provisioned;
    bool snapping; // to be kept at its snapshot
};
// When it fails, the room and the start of the scaling rate that were taken for it are given back.
int sl_invoke__instance_start(struct sl_invoke__pool *pool, const struct sl_invoke__start *start, struct sl_error *err);
// Ends it: at once, or when those in it who want to be told have been (see shutdown.c). May be called again.
void sl_invoke__instance_stop(struct sl_instance *instance);
// Kills it; only of one that is stopping.
void sl_invoke__instance_kill(struct sl_instance *instance);
// Answers what is in flight, once, by what is known of the instance's end.
void sl_invoke__settle(struct sl_instance *instance);
// Hands an instance with a parked next to another loop, where it is offered. The caller must not touch it any more.
void sl_invoke__instance_give(struct sl_instance *instance, struct sl_loop *to);
// The log stream's name, as AWS makes it: date, version, 32 hexadecimal digits.
void sl_invoke__log_stream_name(const struct sl_function *function, char out[static SL_LOG_STREAM]);
int sl_invoke__watch_jail(struct sl_invoker *invoker, struct sl_error *err);
// Takes what the function has printed so far.
void sl_invoke__drain_log(struct sl_instance *instance);

// --- shutdown.c
// Whether the instance, which is stopping, is asked to end by itself; else it is to be killed.
bool sl_invoke__shutdown_begin(struct sl_instance *instance);
void sl_invoke__shutdown_progress(struct sl_instance *instance); // a program of it has ended
void sl_invoke__shutdown_free(struct sl_instance *instance);

// --- extensions.c: external extensions. All but find and spec do nothing without.
int sl_invoke__extensions_find(struct sl_instance *instance, int layers, struct sl_error *err);
void sl_invoke__extensions_spec(struct sl_instance *instance, struct sl_jail_spec *spec);
void sl_invoke__extensions_free(struct sl_instance *instance);
void sl_invoke__extensions_start(struct sl_instance *instance); // the sandbox is there
void sl_invoke__extensions_registered(struct sl_instance *instance);
void sl_invoke__extensions_drain(struct sl_instance *instance);
void sl_invoke__extensions_detach(struct sl_instance *instance);
int sl_invoke__extensions_attach(struct sl_instance *instance, struct sl_error *err);
unsigned sl_invoke__extensions_ask(struct sl_instance *instance); // how many have SHUTDOWN to handle; kills the others
unsigned sl_invoke__extensions_left(const struct sl_instance *instance); // how many run
bool sl_invoke__main_runs(const struct sl_instance *instance);
// Something in the instance has failed so that it cannot go on: answers, and ends it.
void sl_invoke__fail(struct sl_instance *instance, const char *type, const char *text);
// Of a program, or a connector. On loop 0's thread.
void sl_invoke__report_program(struct sl_invoker *invoker, const struct sl_jail_event *event);
// The descriptors of such a report that nobody took.
void sl_invoke__close_program(const struct sl_jail_event *event);

// --- init.c
const char *sl_invoke__go_error(int number);              // Go's words for an errno
void sl_invoke__init_ready(struct sl_instance *instance); // asked for an event for the first time
void sl_invoke__init_ended(struct sl_instance *instance); // ended without having asked for one

// --- serve.c
extern const struct sl_runtime_handler sl_invoke__runtime_handler;
// An instance that waits for an event serves this invocation: begin and send.
void sl_invoke__instance_dispatch(struct sl_instance *instance, struct sl_invocation *invocation);
void sl_invoke__begin(struct sl_instance *instance, struct sl_invocation *invocation);
// It is in work since then, without being sent: it was before.
void sl_invoke__begin_sent(struct sl_instance *instance, struct sl_invocation *invocation, int64_t since_ns);
void sl_invoke__send(struct sl_instance *instance);
// Ends the invocation in flight towards its caller and in the log; the instance itself may live on. Completes *result.
void sl_invoke__conclude(struct sl_instance *instance, struct sl_invocation_result *result, const char *status);
// Of the invocation in flight, for its report. Empty error_type where it is not an error.
void sl_invoke__set_status(struct sl_instance *instance, const char *status, const char *error_type);
// The report of an invocation that waited for extensions, if one does.
void sl_invoke__finish_late(struct sl_instance *instance);
// The same with an error document that the platform makes.
void sl_invoke__conclude_error(struct sl_instance *instance, const char *type, const char *text, bool timed_out);

// --- launch.c: what a sandbox executes. The block is the caller's to close.
struct sl_invoke__launch {
    bool restore; // from an image, which is the standard input
    const struct sl_function *function;
    const char *log_stream;
    const char *initialization;                       // the value of AWS_LAMBDA_INITIALIZATION_TYPE
    const struct sl_invoker_credentials *credentials; // NULL: there are no AWS APIs to sign requests for
};
int sl_invoke__launch_block(const struct sl_invoke__launch *launch, int code_dir, int *ret_block, struct sl_error *err);
// The same for a blank that will do for this function, or for a template of such blanks.
int sl_invoke__launch_blank_block(const struct sl_function *function, bool template, int *ret_block,
                                  struct sl_error *err);
// What an external extension executes: /opt/extensions/<name>.
int sl_invoke__launch_extension(const struct sl_invoke__launch *launch, const char *name, int *ret_block,
                                struct sl_error *err);
// What both are told of an instance.
struct sl_invoke__launch sl_invoke__launch_of(const struct sl_instance *instance);

// --- tell.c: the platform's records, for telemetry and logs of format JSON
struct sl_invoke__bill {
    int64_t duration_us, init_us, restore_us;
    uint64_t billed_ms, billed_restore_ms, peak_mb;
};
void sl_invoke__tell_init_start(struct sl_instance *instance);
void sl_invoke__tell_init_runtime_done(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__tell_init_report(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__tell_init_done(struct sl_instance *instance);  // it went well
void sl_invoke__tell_extensions(struct sl_instance *instance); // and in a log of format text
void sl_invoke__tell_subscription(struct sl_instance *instance, struct sl_str extension, bool logs_api, unsigned kinds);
void sl_invoke__tell_restore_start(struct sl_instance *instance);
void sl_invoke__tell_restore_done(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__tell_start(struct sl_instance *instance);
void sl_invoke__tell_runtime_done(struct sl_instance *instance); // once per invocation
void sl_invoke__tell_report(struct sl_instance *instance, const struct sl_invoke__bill *bill);
void sl_invoke__tell_fault(struct sl_instance *instance, const char *type, const char *text);

// --- report.c: log lines and error documents
void sl_invoke__own_line(struct sl_instance *instance);
void sl_invoke__log_init_start(struct sl_instance *instance);
void sl_invoke__log_restore_start(struct sl_instance *instance);
void sl_invoke__log_restore_report(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__log_start(struct sl_instance *instance);
// Of the invocation that instance->outcome is about.
void sl_invoke__log_end(struct sl_instance *instance, int64_t duration_us);
void sl_invoke__log_timeout(struct sl_instance *instance);
// What the platform says when the function could not answer itself.
void sl_invoke__log_failure(struct sl_instance *instance, const char *type, const char *text);
// Milliseconds that AWS would bill for an invocation of this duration.
int64_t sl_invoke__billed_restore_ms(const struct sl_instance *instance); // beside it, with the first invocation
int64_t sl_invoke__billed_ms(const struct sl_instance *instance, int64_t duration_us);
// Of an init that did not succeed; error_type may be empty.
void sl_invoke__log_init_report(struct sl_instance *instance, const char *status, const char *error_type);
void sl_invoke__log_flush(struct sl_instance *instance);
// {"errorType":..., "errorMessage":"RequestId: <id> Error: <text>"} into `out`.
void sl_invoke__error_document(struct sl_buf *out, const char *type, const char *request_id, const char *text);
// What AWS says of a main process that ended with this wait status: error type and text.
const char *sl_invoke__exit_text(const struct sl_jail_event *ended, char text[static 96]);

// Of a counter that one thread writes and all may read: needs no locked instruction.
static inline void sl_invoke__gauge(atomic_int *gauge, int change) {
    int old = atomic_load_explicit(gauge, memory_order_relaxed);
    atomic_store_explicit(gauge, old + change, memory_order_relaxed);
}

static inline const char *sl_invoke__initialization(const struct sl_instance *instance) {
    if (instance->pool->snap) return "snap-start";
    return instance->provisioned ? "provisioned-concurrency" : "on-demand";
}

static inline struct sl_invoke__loop *sl_invoke__of(struct sl_invoker *invoker, const struct sl_loop *loop) {
    return &invoker->loops[sl_loop_index(loop)];
}

#endif
