// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of this folder offer one another, by file. The objects are in objects.h.
#ifndef SL_INVOKE_INTERNAL_H
#define SL_INVOKE_INTERNAL_H

#include "invoke/objects.h"

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
int64_t sl_invoke__billed_ms(const struct sl_instance *instance, int64_t duration_us);
int64_t sl_invoke__billed_restore_ms(const struct sl_instance *instance); // beside it, with the first invocation
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
