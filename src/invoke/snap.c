// SPDX-License-Identifier: Apache-2.0
//
// snap: versions with SnapStart. When such a version is published its init runs at once, until the runtime has run what
// it is to run before a snapshot and asks for GET restore/next (runtime/runtime.h). There the instance is kept, frozen:
// it is the snapshot. Whoever needs an instance later resumes it: that is the restore, with a limit of its own, a log
// stream of its own, and what the function asked to be run after a restore. Its place is filled again behind it.
//
//   published ─► PENDING ─(init)─► ON        calls are refused with SnapStartNotReadyException until then
//                    └─(init fails)─► FAILED
//   a server's start ─► ON, nothing is kept until the version is called
//
// A call that finds none that is kept starts an instance that goes the same way, without a stop in the middle: hooks,
// restore and their reports are the same. One version keeps one instance, and more (up to WISH_MAX) after calls that
// found none.
//
// Owner: each version has a home loop. The list of what it keeps, and who makes more, are that loop's; other loops ask
// by letter (pool.c). What is kept counts in the budget of memory like every instance, and has a limit of its own
// (config.snapshots, shared by the loops): beyond it the version that was called longest ago gives up its instance.
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RESTORE_MS = 10000, // "runtime hooks must complete within 10 seconds" (SnapStart, Lambda developer guide)
    WISH_MAX = 4,
    RETRY_MIN_MS = 500,
    RETRY_MAX_MS = 60000,
    MS = 1000000,
};

struct sl_invoke__snap {
    struct sl_invoke__pool *pool;
    unsigned home;
    atomic_int state; // enum sl_snapshot_state
    atomic_uint kept, wish;
    _Atomic int64_t used_ns; // when it was called last
    // Written before the state becomes FAILED, and never again:
    char reason[256];
    const char *code;
    // The home loop's:
    bool listed;
    struct sl_invoke__snap *next;
    struct sl_instance *first, *making_first; // what is kept, newest first; what is to be
    unsigned making, failures;
    int64_t retry_ns;
};

static struct sl_invoke__loop *home_of(const struct sl_invoke__snap *snap) {
    return &snap->pool->invoker->loops[snap->home];
}

// ---- versions -------------------------------------------------------------------------------------------------------

struct letter {
    struct sl_mail mail;
    struct sl_invoke__pool *pool; // referenced
};

static void keep(struct sl_invoke__snap *snap);

static void post(struct sl_invoke__snap *snap, void (*deliver)(struct sl_mail *)) {
    struct letter *letter = malloc(sizeof *letter);
    if (!letter) return; // nothing is kept then: calls start instances of their own
    letter->pool = sl_invoke__pool_ref(snap->pool);
    sl_loop_post(home_of(snap)->loop, &letter->mail, deliver);
}

// The list holds the pool until it is retired.
static void opened(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__snap *snap = letter->pool->snap;
    struct sl_invoke__loop *home = home_of(snap);
    if (atomic_load(&letter->pool->retired)) {
        sl_invoke__pool_unref(letter->pool);
    } else {
        snap->listed = true;
        snap->next = home->snaps;
        home->snaps = snap;
        keep(snap);
    }
    free(letter);
}

void sl_invoke__snap_open(struct sl_invoke__pool *pool) {
    struct sl_invoker *invoker = pool->invoker;
    struct sl_invoke__snap *snap = calloc(1, sizeof *snap);
    if (!snap) return; // as if it had no SnapStart
    bool fresh = pool->spec.snap_fresh;
    snap->pool = pool;
    snap->home = atomic_fetch_add(&invoker->snap_home, 1) % invoker->config.loop_count;
    atomic_init(&snap->state, fresh ? SL_SNAPSHOT_PENDING : SL_SNAPSHOT_ON);
    atomic_init(&snap->wish, fresh ? 1 : 0);
    atomic_init(&snap->used_ns, sl_clock_mono_ns());
    pool->snap = snap;
    pool->snap_image = sl_invoke__snap_image_new();
    post(snap, opened);
}

void sl_invoke__snap_free(struct sl_invoke__pool *pool) {
    sl_invoke__snap_image_free(pool);
    free(pool->snap);
}

static void retired(struct sl_mail *mail) {
    struct letter *letter = SL_CONTAINER(mail, struct letter, mail);
    struct sl_invoke__snap *snap = letter->pool->snap;
    struct sl_invoke__snap **at = &home_of(snap)->snaps;
    bool listed = snap->listed;
    sl_invoke__snap_image_drop(letter->pool, true);
    while (snap->first) sl_invoke__instance_stop(snap->first);
    while (snap->making_first) sl_invoke__instance_stop(snap->making_first);
    if (listed) {
        while (*at != snap) at = &(*at)->next;
        *at = snap->next;
        snap->listed = false;
        sl_invoke__pool_unref(letter->pool);
    }
    sl_invoke__pool_unref(letter->pool);
    free(letter);
}

void sl_invoke__snap_retire(struct sl_invoke__pool *pool) {
    if (pool->snap) post(pool->snap, retired);
}

void sl_invoke__snaps_free(struct sl_invoke__loop *here) {
    while (here->snaps) {
        struct sl_invoke__snap *snap = here->snaps;
        here->snaps = snap->next;
        sl_invoke__pool_unref(snap->pool);
    }
}

bool sl_invoke__snap_refuses(const struct sl_invoke__pool *pool, struct sl_error *err) {
    if (!pool->snap) return false;
    int state = atomic_load_explicit(&pool->snap->state, memory_order_acquire);
    if (state == SL_SNAPSHOT_PENDING)
        sl_fail(err, SL_E_SNAP_START_NOT_READY,
                "Lambda is initializing your function. It will be ready to invoke once your function state becomes "
                "ACTIVE.");
    if (state == SL_SNAPSHOT_FAILED)
        sl_fail(err, SL_E_RESOURCE_CONFLICT,
                "The operation cannot be performed at this time. The function is currently in the following state: "
                "Failed");
    return state != SL_SNAPSHOT_ON;
}

// ---- keeping --------------------------------------------------------------------------------------------------------

static unsigned share_of(const struct sl_invoker *invoker) {
    unsigned share = invoker->config.snapshots / invoker->config.loop_count;
    return share || !invoker->config.snapshots ? share : 1;
}

static unsigned count_of(const struct sl_invoke__loop *here) {
    unsigned count = 0;
    for (const struct sl_invoke__snap *snap = here->snaps; snap; snap = snap->next)
        count += atomic_load_explicit(&snap->kept, memory_order_relaxed) + snap->making;
    return count;
}

// Of the version that was called longest ago, except this one and those called later than it.
static bool give_up(struct sl_invoke__loop *here, const struct sl_invoke__snap *except) {
    struct sl_invoke__snap *oldest = NULL;
    int64_t limit = except ? atomic_load(&except->used_ns) : INT64_MAX;
    for (struct sl_invoke__snap *snap = here->snaps; snap; snap = snap->next) {
        int64_t used = atomic_load(&snap->used_ns);
        if (snap == except || !snap->first || used > limit) continue;
        if (!oldest || used < atomic_load(&oldest->used_ns)) oldest = snap;
    }
    if (!oldest) return false;
    atomic_store(&oldest->wish, 0); // until it is called again
    sl_invoke__instance_stop(oldest->first);
    return true;
}

bool sl_invoke__snap_evict(struct sl_invoke__loop *here) { return give_up(here, NULL); }

static void note_failure(struct sl_invoke__snap *snap) {
    int64_t wait_ms = snap->failures < 8 ? (int64_t)RETRY_MIN_MS << snap->failures : RETRY_MAX_MS;
    if (wait_ms > RETRY_MAX_MS) wait_ms = RETRY_MAX_MS;
    snap->failures++;
    snap->retry_ns = sl_clock_mono_ns() + wait_ms * MS;
}

static bool start(struct sl_invoke__snap *snap) {
    struct sl_invoke__loop *home = home_of(snap);
    struct sl_invoke__pool *pool = snap->pool;
    struct sl_error err;
    const struct sl_invoke__start how = {.loop = home->loop, .charge = sl_invoke__charge_of(pool), .snapping = true};
    if (!sl_invoke__room_take(pool->invoker, how.charge)) {
        // Nobody waits for it: it makes no room, except when its version may not be called before.
        if (atomic_load(&snap->state) == SL_SNAPSHOT_PENDING) sl_invoke__room_make(home, how.charge);
        return false;
    }
    (void)sl_invoke__start_take(pool); // for the balance: its end gives it back
    if (sl_invoke__instance_start(pool, &how, &err) == 0) return true;
    sl_log_warn("invoke", "snapshot of %.*s:%.*s: %s", SL_FMT(pool->spec.name), SL_FMT(pool->spec.version),
                err.message);
    note_failure(snap);
    return false;
}

// Its credentials would not last, or it is older than instances may get.
static void stop_old(struct sl_invoke__snap *snap) {
    int64_t now_ns = sl_clock_mono_ns();
    sl_invoke__snap_image_expire(snap->pool, now_ns);
    for (struct sl_instance *instance = snap->first, *next; instance; instance = next) {
        next = instance->kept_next;
        if (sl_invoke__is_old(instance, now_ns)) sl_invoke__instance_stop(instance);
    }
}

static void keep(struct sl_invoke__snap *snap) {
    struct sl_invoker *invoker = snap->pool->invoker;
    struct sl_invoke__loop *home = home_of(snap);
    bool pending = atomic_load(&snap->state) == SL_SNAPSHOT_PENDING;
    if (atomic_load(&snap->state) == SL_SNAPSHOT_FAILED || atomic_load(&invoker->draining)) return;
    stop_old(snap);
    if (sl_invoke__snap_image_is(snap->pool)) return;
    while (atomic_load(&snap->kept) + snap->making < atomic_load(&snap->wish) && sl_clock_mono_ns() >= snap->retry_ns) {
        // The first one is made in any case: it shows whether the version can be called.
        while (!pending && count_of(home) >= share_of(invoker))
            if (!give_up(home, snap)) return;
        if (!start(snap)) return;
    }
}

void sl_invoke__snap_sweep(struct sl_invoke__loop *here) {
    for (struct sl_invoke__snap *snap = here->snaps; snap; snap = snap->next) keep(snap);
}

// ---- taking one -----------------------------------------------------------------------------------------------------

bool sl_invoke__snap_has(struct sl_invoke__pool *pool, unsigned *ret_home) {
    struct sl_invoke__snap *snap = pool->snap;
    if (!snap) return false;
    atomic_store_explicit(&snap->used_ns, sl_clock_mono_ns(), memory_order_relaxed);
    *ret_home = snap->home;
    if (atomic_load_explicit(&snap->kept, memory_order_relaxed)) return true;
    if (sl_invoke__snap_image_is(pool)) return false;
    // The next ones shall find some: the home loop's sweep sees to it.
    unsigned wish = atomic_load(&snap->wish);
    if (wish < WISH_MAX) atomic_store(&snap->wish, wish + 1);
    return false;
}

static void unlink(struct sl_instance **at, struct sl_instance *instance) {
    while (*at != instance) at = &(*at)->kept_next;
    *at = instance->kept_next;
    instance->kept_next = NULL;
}

static void unlink_kept(struct sl_invoke__snap *snap, struct sl_instance *instance) {
    unlink(&snap->first, instance);
    instance->snapping = false;
    atomic_fetch_sub(&snap->kept, 1);
    if (instance->frozen) (void)sl_jail_freeze(instance->freeze_fd, false);
    instance->frozen = false;
}

struct sl_instance *sl_invoke__snap_pop(struct sl_invoke__pool *pool) {
    struct sl_instance *instance = pool->snap->first;
    if (instance) {
        unlink_kept(pool->snap, instance);
        instance->restore_ns = sl_clock_mono_ns();
        instance->state = SL_INSTANCE_INIT;
    }
    return instance;
}

static void restore_limit(struct sl_timer *timer) {
    struct sl_instance *instance = SL_CONTAINER(timer, struct sl_instance, timer);
    instance->timed_out = true;
    sl_invoke__instance_stop(instance);
}

void sl_invoke__snap_restore(struct sl_instance *instance) {
    if (!instance->restore_ns) instance->restore_ns = sl_clock_mono_ns();
    instance->state = SL_INSTANCE_INIT;
    sl_invoke__log_flush(instance);
    sl_invoke__log_stream_name(&instance->pool->spec, instance->log_stream);
    sl_invoke__log_restore_start(instance);
    // A bound one has the invocation's deadline.
    if (!instance->bound) sl_timer_start(instance->loop, &instance->timer, RESTORE_MS, restore_limit);
    instance->resumed_ns = sl_clock_mono_ns();
    if (instance->runtime.restoring)
        sl_runtime_restore(&instance->runtime);
    else if (sl_runtime_is_ready(&instance->runtime)) // a runtime that has no part in it
        sl_invoke__init_ready(instance);
}

void sl_invoke__snap_begin(struct sl_instance *instance) {
    instance->snapshotted = true;
    instance->restore_ns = instance->started_ns;
    sl_invoke__log_restore_start(instance);
    sl_timer_start(instance->loop, &instance->timer, RESTORE_MS, restore_limit);
}

void sl_invoke__snap_arrived(struct sl_instance *instance) {
    sl_invoke__pool_start_begins(instance->pool, (unsigned)sl_loop_index(instance->loop));
    sl_invoke__snap_restore(instance);
}

// ---- the life of an instance
// ------------------------------------------------------------------------------------------

void sl_invoke__snap_started(struct sl_instance *instance) {
    struct sl_invoke__snap *snap = instance->pool->snap;
    instance->kept_next = snap->making_first;
    snap->making_first = instance;
    snap->making++;
}

static void keep_this(struct sl_instance *instance) {
    struct sl_invoke__snap *snap = instance->pool->snap;
    unlink(&snap->making_first, instance);
    snap->making--;
    atomic_fetch_add(&snap->kept, 1);
    instance->kept_next = snap->first;
    snap->first = instance;
    instance->state = SL_INSTANCE_KEPT;
    sl_invoke__log_flush(instance);
    instance->frozen = sl_jail_freeze(instance->freeze_fd, true) == 0;
}

// The process is there again, and has its own part of the restore before it.
static void resume_image(struct sl_instance *instance) {
    struct sl_error err;
    instance->resumed_ns = sl_clock_mono_ns();
    (void)sl_jail_set_cpu(instance->invoker->config.jail, instance->id,
                          sl_jail_cpu_for_memory(instance->pool->spec.memory_mb), &err);
    sl_runtime_restore(&instance->runtime);
}

void sl_invoke__snap_reached(struct sl_instance *instance) {
    struct sl_invoke__snap *snap = instance->pool->snap;
    struct sl_error err;
    if (instance->from_image) {
        resume_image(instance);
        return;
    }
    instance->snapshotted = true;
    sl_invoke__drain_log(instance);
    sl_invoke__log_init_report(instance, "success", "");
    if (!instance->bound) sl_timer_stop(&instance->timer);
    // A share that cannot be set is the spawner's end, which is noticed elsewhere.
    (void)sl_jail_set_cpu(instance->invoker->config.jail, instance->id,
                          sl_jail_cpu_for_memory(instance->pool->spec.memory_mb), &err);
    sl_invoke__room_adjust(instance, sl_jail_memory_peak(instance->memory_fd));
    bool unwanted = atomic_load(&instance->pool->retired) || atomic_load(&instance->invoker->draining) ||
                    sl_invoke__snap_image_is(instance->pool);
    if (instance->snapping) {
        snap->failures = 0;
        keep_this(instance);
        if (unwanted) sl_invoke__instance_stop(instance); // with an image nothing has to be kept
        int pending = SL_SNAPSHOT_PENDING;
        atomic_compare_exchange_strong(&snap->state, &pending, SL_SNAPSHOT_ON);
    } else {
        sl_invoke__snap_restore(instance);
    }
}

void sl_invoke__snap_restored(struct sl_instance *instance) {
    instance->restore_us = (instance->ready_ns - instance->restore_ns) / 1000;
    instance->resume_us = (instance->ready_ns - instance->resumed_ns) / 1000;
    instance->init_us = 0; // is no part of an invocation
    sl_invoke__drain_log(instance);
    sl_invoke__log_restore_report(instance, "success", "");
}

void sl_invoke__snap_failed(struct sl_instance *instance, const char *type, const char *text, bool timed_out) {
    struct sl_invoke__snap *snap = instance->pool->snap;
    // What the machine could not do is tried again, and says nothing of the version.
    if (!type || atomic_load(&snap->state) != SL_SNAPSHOT_PENDING) {
        note_failure(snap);
        return;
    }
    snap->code = timed_out                                        ? "FunctionError.InitTimeout"
                 : strcmp(type, "Runtime.OutOfMemory") == 0       ? "FunctionError.InitResourceExhausted"
                 : strcmp(type, "Runtime.InvalidEntrypoint") == 0 ? "FunctionError.InvalidEntryPoint"
                 : strncmp(type, "Extension.", 10) == 0           ? "FunctionError.ExtensionInitError"
                                                                  : "FunctionError";
    snprintf(snap->reason, sizeof snap->reason, "The function failed to initialize: %s%s%s", type, text[0] ? ": " : "",
             text);
    atomic_store_explicit(&snap->state, SL_SNAPSHOT_FAILED, memory_order_release);
}

void sl_invoke__snap_gone(struct sl_instance *instance) {
    if (!instance->snapping) return;
    if (instance->snapshotted) {
        unlink_kept(instance->pool->snap, instance);
    } else {
        instance->snapping = false;
        instance->snap_ended = true;
        unlink(&instance->pool->snap->making_first, instance);
        instance->pool->snap->making--;
    }
}

// ---- what is said about it ------------------------------------------------------------------------------------------

bool sl_invoker_snapshot(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                         struct sl_str version, struct sl_snapshot *ret) {
    bool found = false;
    sl_rcu_begin();
    const struct sl_invoke__entry *entry = sl_invoke__entry_find(invoker, account, region, name, version);
    const struct sl_invoke__snap *snap = entry ? entry->pool->snap : NULL;
    if (snap) {
        found = true;
        *ret = (struct sl_snapshot){
            .state = (enum sl_snapshot_state)atomic_load_explicit(&snap->state, memory_order_acquire)};
        if (ret->state == SL_SNAPSHOT_FAILED) {
            ret->code = snap->code;
            memcpy(ret->reason, snap->reason, sizeof ret->reason);
        }
    }
    sl_rcu_end();
    return found;
}

unsigned sl_invoke__snap_kept(const struct sl_invoke__pool *pool) {
    if (!pool->snap) return 0;
    return atomic_load_explicit(&pool->snap->kept, memory_order_relaxed) + sl_invoke__snap_image_is(pool);
}
