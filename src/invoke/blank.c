// SPDX-License-Identifier: Apache-2.0
//
// blank: how many blanks of which kind are kept ready, and who gets one.
//
//   take (any loop) ─► wish of the kind grows ─► refill (loop 0) ─► BOOTING ─READY─► READY ─take─► an instance's
//                                                                      └─ its end is reported: forgotten, a failure
//
// The policy. A kind is kept once one of its functions had a cold start; nothing is booted for runtimes that are not
// used. Its wish begins with one blank, doubles with each start that found none ready, and falls by half of those that
// nobody needed for half a minute. After blank_idle_ms without a cold start the kind is given up. All kinds together
// keep within a number and a budget of memory, each blank counted with the most that one of its kind was seen to use;
// where the number is used up, the kind that was used longest ago gives way. What they take is part of the memory that
// instances may have (room.c): when that is short they are given up first, and none is booted.
//
// Replacing a blank must not slow down the start that took it. So booting waits until starts have been quiet for a
// moment, happens one at a time, and with a small share of a processor. A kind whose blanks do not come up is left
// alone for a while, longer each time.
//
// Threads: everything under `lock`, except that only loop 0 starts and stops sandboxes (outside of the lock) and hears
// the jail's reports, and that the timer is its. A blank that is taken leaves the table and becomes the instance's in
// the same critical section, so a report finds either the one or the other.
#include "invoke/blank_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    QUIET_MS = 10,         // without a start
    TICK_MS = 250,         // housekeeping while there is anything to keep
    WINDOW_MS = 30 * 1000, // over which surplus is found
    BOOT_LIMIT_MS = 30 * 1000,
    SLOW_MS = 2000,       // a boot of which the others need not wait for the end
    YIELD_MS = 60 * 1000, // a kind that was used so much longer ago gives way
    RETRY_MS = 1000,      // after a failure, doubled with each further one
    RETRIES_MAX = 8,
    BOOT_CPU_MILLI = 500,
    GUESS_BYTES = 40 << 20, // of a blank of which none was seen yet
};

static int64_t now_ms(void) { return sl_clock_mono_ns() / 1000000; }

// ---- kinds ------------------------------------------------------------------------------------------------------

static void kind_clear(struct sl_invoke__kind *kind) {
    if (kind->block >= 0) close(kind->block);
    if (kind->template_block >= 0) close(kind->template_block);
    *kind = (struct sl_invoke__kind){.block = -1, .template_block = -1};
}

// An entry for a new kind: a free one, or that of the kind which was given up longest ago. NULL: all are in use.
static struct sl_invoke__kind *kind_room(struct sl_invoke__blanks *blanks) {
    struct sl_invoke__kind *room = NULL;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (!kind->used) return kind;
        bool empty = !kind->wish && !kind->ready && !kind->booting && kind->template_state == SL_TEMPLATE_NONE;
        if (empty && (!room || kind->last_use_ms < room->last_use_ms)) room = kind;
    }
    if (room) kind_clear(room);
    return room;
}

static struct sl_invoke__kind *kind_of(struct sl_invoke__blanks *blanks, const struct sl_function *function) {
    struct sl_invoke__blank_kind id;
    if (!sl_invoke__blank_kind_of(function, blanks->templates, &id)) return NULL;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        if (blanks->kinds[i].used && strcmp(blanks->kinds[i].id.key, id.key) == 0) return &blanks->kinds[i];
    }
    struct sl_invoke__kind *kind = kind_room(blanks);
    if (!kind) return NULL;
    struct sl_error err;
    if (sl_invoke__launch_blank_block(function, false, &kind->block, &err) ||
        (id.forks && sl_invoke__launch_blank_block(function, true, &kind->template_block, &err))) {
        sl_log_warn("invoke", "prepare blanks of %s: %s", id.name, err.message);
        kind_clear(kind);
        return NULL;
    }
    kind->used = true;
    kind->id = id;
    kind->window_ms = now_ms();
    return kind;
}

static void kind_failed(struct sl_invoke__kind *kind, const char *what) {
    unsigned times = kind->failures < RETRIES_MAX ? kind->failures : RETRIES_MAX;
    kind->failures++;
    kind->retry_ms = now_ms() + ((int64_t)RETRY_MS << times);
    sl_log_warn("invoke", "a blank of %s %s; next try in %lld s", kind->id.name, what,
                (long long)(((int64_t)RETRY_MS << times) / 1000));
}

// ---- what they take
// --------------------------------------------------------------------------------------------------

static int64_t bytes_of(const struct sl_invoke__kind *kind) { return kind->bytes ? kind->bytes : GUESS_BYTES; }

static int64_t bytes_used(const struct sl_invoke__blanks *blanks) {
    int64_t bytes = 0;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        const struct sl_invoke__kind *kind = &blanks->kinds[i];
        bytes += bytes_of(kind) * (kind->ready + kind->booting);
        if (kind->template_state != SL_TEMPLATE_NONE) bytes += GUESS_BYTES;
    }
    return bytes;
}

// Whoever looks for room (room.c) does so without our lock.
static void unlock(struct sl_invoke__blanks *blanks) {
    atomic_store_explicit(&blanks->invoker->memory_blank, bytes_used(blanks), memory_order_relaxed);
    pthread_mutex_unlock(&blanks->lock);
}

// ---- taking -----------------------------------------------------------------------------------------------------

static void kicked(struct sl_mail *mail) {
    struct sl_invoke__blanks *blanks = SL_CONTAINER(mail, struct sl_invoke__blanks, kick);
    atomic_store(&blanks->kick_sent, false);
    sl_invoke__blank_refill(&blanks->timer);
}

static void kick(struct sl_invoke__blanks *blanks) {
    if (!atomic_exchange(&blanks->kick_sent, true)) sl_loop_post(blanks->invoker->loops[0].loop, &blanks->kick, kicked);
}

static void give(struct sl_invoke__blanks *blanks, struct sl_invoke__blank *blank, struct sl_instance *instance) {
    instance->slot = blank->slot;
    instance->id = blank->started.id;
    instance->started = blank->started;
    sl_invoke__slot_give(blanks->invoker, blank->slot, instance);
    blank->kind->ready--;
    if (blank->kind->ready < blank->kind->fewest) blank->kind->fewest = blank->kind->ready;
    *blank = (struct sl_invoke__blank){0};
}

static struct sl_invoke__blank *find_ready(struct sl_invoke__blanks *blanks, const struct sl_invoke__kind *kind) {
    for (unsigned i = 0; i < blanks->count; i++) {
        if (blanks->blanks[i].state == SL_BLANK_READY && blanks->blanks[i].kind == kind) return &blanks->blanks[i];
    }
    return NULL;
}

static void take(struct sl_invoke__blanks *blanks, struct sl_invoke__kind *kind, struct sl_instance *instance,
                 struct sl_invoke__blank_grant *ret) {
    struct sl_invoke__blank *blank = find_ready(blanks, kind);
    kind->last_use_ms = blanks->last_take_ms = now_ms();
    ret->memory_mb = kind->id.memory_mb;
    if (blank) {
        give(blanks, blank, instance);
        ret->way = SL_BLANK_WAY_READY;
        kind->hits++;
        return;
    }
    kind->wish = kind->wish ? kind->wish * 2 : 1;
    if (kind->wish > blanks->count) kind->wish = blanks->count;
    kind->fewest = 0;
    if (kind->template_state == SL_TEMPLATE_READY && (ret->block = dup(kind->block)) >= 0) {
        ret->way = SL_BLANK_WAY_FORK;
        ret->template = kind->template;
        kind->forks++;
        kind->copies++;
        return;
    }
    kind->misses++;
}

void sl_invoke__blank_take(struct sl_instance *instance, const struct sl_function *function,
                           struct sl_invoke__blank_grant *ret) {
    struct sl_invoke__blanks *blanks = instance->invoker->blanks;
    *ret = (struct sl_invoke__blank_grant){.way = SL_BLANK_WAY_NONE, .block = -1};
    if (!blanks || atomic_load_explicit(&blanks->invoker->draining, memory_order_relaxed)) return;
    pthread_mutex_lock(&blanks->lock);
    struct sl_invoke__kind *kind = kind_of(blanks, function);
    if (kind) take(blanks, kind, instance, ret);
    unlock(blanks);
    if (kind) kick(blanks);
}

static struct sl_invoke__kind *find_oldest(struct sl_invoke__blanks *blanks) {
    struct sl_invoke__kind *oldest = NULL;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (!kind->ready || !kind->wish) continue;
        if (!oldest || kind->last_use_ms < oldest->last_use_ms) oldest = kind;
    }
    return oldest;
}

bool sl_invoke__blanks_yield(struct sl_invoker *invoker, int64_t bytes) {
    struct sl_invoke__blanks *blanks = invoker->blanks;
    if (!blanks) return false;
    pthread_mutex_lock(&blanks->lock);
    // Those that are too many already are about to be stopped.
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        const struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (kind->ready > kind->wish) bytes -= bytes_of(kind) * (kind->ready - kind->wish);
    }
    struct sl_invoke__kind *kind;
    while (bytes > 0 && (kind = find_oldest(blanks)) != NULL) {
        if (kind->wish > kind->ready) kind->wish = kind->ready;
        kind->wish--;
        kind->yielded++;
        bytes -= bytes_of(kind);
    }
    bool some = false;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) some = some || blanks->kinds[i].ready > blanks->kinds[i].wish;
    unlock(blanks);
    if (some) kick(blanks);
    return some;
}

void sl_invoke__blanks_drain(struct sl_invoke__blanks *blanks) {
    if (blanks) kick(blanks);
}

// ---- what to do next (loop 0, under the lock) -------------------------------------------------------------------

// What nobody needed for a while is too much; what nobody used for long is given up.
static void review(struct sl_invoke__blanks *blanks, int64_t now) {
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (!kind->wish) continue;
        bool draining = atomic_load_explicit(&blanks->invoker->draining, memory_order_relaxed);
        if (draining || now - kind->last_use_ms >= blanks->invoker->config.blank_idle_ms) {
            kind->wish = 0;
        } else if (now - kind->window_ms >= WINDOW_MS) {
            unsigned surplus = kind->fewest > kind->wish ? kind->wish : kind->fewest;
            kind->wish -= surplus / 2;
            kind->fewest = kind->ready;
            kind->window_ms = now;
        }
    }
}

static bool is_late(const struct sl_invoke__blank *blank, int64_t now) {
    return (blank->state == SL_BLANK_BOOTING || blank->state == SL_BLANK_STARTED) &&
           now - blank->since_ms >= BOOT_LIMIT_MS;
}

// A blank to be stopped: one that does not come up, or one too many.
static struct sl_invoke__blank *find_surplus(struct sl_invoke__blanks *blanks, int64_t now) {
    for (unsigned i = 0; i < blanks->count; i++) {
        struct sl_invoke__blank *blank = &blanks->blanks[i];
        if (is_late(blank, now)) return blank;
        if (blank->state == SL_BLANK_READY && blank->kind->ready > blank->kind->wish) return blank;
    }
    return NULL;
}

// The kind that lacks a blank and was used last.
static struct sl_invoke__kind *find_lack(struct sl_invoke__blanks *blanks, int64_t now) {
    struct sl_invoke__kind *lack = NULL;
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        bool soon = kind->template_state == SL_TEMPLATE_STARTING; // then they are cheaper
        if (kind->ready + kind->booting >= kind->wish || now < kind->retry_ms || soon) continue;
        if (!lack || kind->last_use_ms > lack->last_use_ms) lack = kind;
    }
    return lack;
}

// Where everything is used up: a blank of the kind used longest ago, if that is much longer than `kind`.
static struct sl_invoke__blank *find_yielding(struct sl_invoke__blanks *blanks, const struct sl_invoke__kind *kind) {
    struct sl_invoke__blank *yielding = NULL;
    int64_t before = kind->last_use_ms - YIELD_MS;
    for (unsigned i = 0; i < blanks->count; i++) {
        struct sl_invoke__blank *blank = &blanks->blanks[i];
        if (blank->state != SL_BLANK_READY || blank->kind->last_use_ms >= before) continue;
        before = blank->kind->last_use_ms;
        yielding = blank;
    }
    if (yielding) yielding->kind->wish = yielding->kind->ready - 1;
    return yielding;
}

static struct sl_invoke__blank *find_free(struct sl_invoke__blanks *blanks) {
    for (unsigned i = 0; i < blanks->count; i++) {
        if (blanks->blanks[i].state == SL_BLANK_NONE) return &blanks->blanks[i];
    }
    return NULL;
}

// One at a time; but one that takes long must not keep all others waiting.
static bool is_booting(const struct sl_invoke__blanks *blanks, int64_t now) {
    for (unsigned i = 0; i < blanks->count; i++) {
        const struct sl_invoke__blank *blank = &blanks->blanks[i];
        bool booting = blank->state == SL_BLANK_BOOTING || blank->state == SL_BLANK_STARTED;
        if (booting && now - blank->since_ms < SLOW_MS) return true;
    }
    return false;
}

static void mark_ending(struct sl_invoke__blank *blank, struct sl_invoke__order *ret) {
    if (blank->state == SL_BLANK_READY)
        blank->kind->ready--;
    else
        kind_failed(blank->kind, "did not come up"), blank->kind->booting--;
    blank->state = SL_BLANK_ENDING;
    *ret = (struct sl_invoke__order){.what = SL_ORDER_STOP, .id = blank->started.id, .block = -1};
}

static bool order_blank(struct sl_invoke__blanks *blanks, int64_t now, struct sl_invoke__order *ret) {
    struct sl_invoke__kind *kind = find_lack(blanks, now);
    if (!kind || is_booting(blanks, now)) return false;
    if (now - blanks->last_take_ms < QUIET_MS) {
        blanks->due_ms = blanks->last_take_ms + QUIET_MS;
        return false;
    }
    if (!sl_invoke__room_for_blank(blanks->invoker, bytes_of(kind))) return false; // functions first
    struct sl_invoke__blank *blank = find_free(blanks);
    bool fits = bytes_used(blanks) + bytes_of(kind) <= blanks->invoker->config.blank_bytes;
    if (!blank || !fits) {
        blank = find_yielding(blanks, kind);
        if (blank) mark_ending(blank, ret);
        return blank != NULL;
    }
    *blank = (struct sl_invoke__blank){.state = SL_BLANK_BOOTING, .kind = kind, .since_ms = now};
    if (!sl_invoke__slot_take(blanks->invoker, NULL, &blank->slot, &blank->started.id)) {
        *blank = (struct sl_invoke__blank){0};
        return false;
    }
    kind->booting++;
    kind->refills++;
    *ret = (struct sl_invoke__order){
        .what = SL_ORDER_START, .id = blank->started.id, .block = dup(kind->block), .memory_mb = kind->id.memory_mb};
    if (kind->template_state == SL_TEMPLATE_READY) {
        ret->template = kind->template;
        kind->copies++;
    }
    return true;
}

static bool next_order(struct sl_invoke__blanks *blanks, struct sl_invoke__order *ret) {
    int64_t now = now_ms();
    review(blanks, now);
    struct sl_invoke__blank *surplus = find_surplus(blanks, now);
    if (surplus) {
        mark_ending(surplus, ret);
        return true;
    }
    return sl_invoke__template_order(blanks, now, ret) || order_blank(blanks, now, ret);
}

// ---- doing it (loop 0, without the lock) ------------------------------------------------------------------------

static struct sl_invoke__blank *find_id(struct sl_invoke__blanks *blanks, uint64_t id) {
    for (unsigned i = 0; i < blanks->count; i++) {
        if (blanks->blanks[i].state != SL_BLANK_NONE && blanks->blanks[i].started.id == id) return &blanks->blanks[i];
    }
    return NULL;
}

static void forget(struct sl_invoke__blanks *blanks, struct sl_invoke__blank *blank) {
    if (blank->state == SL_BLANK_READY) blank->kind->ready--;
    if (blank->state == SL_BLANK_BOOTING || blank->state == SL_BLANK_STARTED) blank->kind->booting--;
    if (blank->started.kind == SL_JAIL_STARTED) sl_invoke__close_started(&blank->started);
    sl_invoke__slot_release(blanks->invoker, blank->slot);
    *blank = (struct sl_invoke__blank){0};
}

static void start_blank(struct sl_invoke__blanks *blanks, const struct sl_invoke__order *order) {
    struct sl_jail_spec spec = {
        .memory_mb = order->memory_mb,
        .cpu_milli = BOOT_CPU_MILLI,
        .network = blanks->invoker->config.network,
        .code_dir_fd = -1,
        .opt_dir_fd = -1,
        .block_fd = order->block,
        .blank = true,
        .template = order->template,
    };
    struct sl_error err;
    if (sl_jail_start(blanks->invoker->config.jail, order->id, &spec, &err) == 0) return;
    pthread_mutex_lock(&blanks->lock);
    struct sl_invoke__blank *blank = find_id(blanks, order->id);
    if (blank) {
        kind_failed(blank->kind, err.message);
        forget(blanks, blank);
    }
    unlock(blanks);
}

static void carry_out(struct sl_invoke__blanks *blanks, struct sl_invoke__order *order) {
    struct sl_jail_client *jail = blanks->invoker->config.jail;
    struct sl_error err;
    switch (order->what) {
    case SL_ORDER_START:
        start_blank(blanks, order);
        break;
    case SL_ORDER_STOP:
        (void)sl_jail_stop(jail, order->id, &err); // fails when the spawner is gone, and everything with it
        break;
    case SL_ORDER_TEMPLATE_START:
        sl_invoke__template_start(blanks, order);
        break;
    case SL_ORDER_TEMPLATE_STOP:
        (void)sl_jail_template_stop(jail, order->template, &err);
        break;
    }
    if (order->block >= 0) close(order->block);
}

static bool is_empty(const struct sl_invoke__blanks *blanks) {
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        const struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (kind->wish || kind->ready || kind->booting || kind->template_state != SL_TEMPLATE_NONE) return false;
    }
    return true;
}

void sl_invoke__blank_refill(struct sl_timer *timer) {
    struct sl_invoke__blanks *blanks = SL_CONTAINER(timer, struct sl_invoke__blanks, timer);
    struct sl_loop *loop = blanks->invoker->loops[0].loop;
    for (;;) {
        struct sl_invoke__order order = {.block = -1};
        pthread_mutex_lock(&blanks->lock);
        blanks->due_ms = 0;
        bool more = next_order(blanks, &order);
        int64_t due = blanks->due_ms;
        bool empty = is_empty(blanks);
        unlock(blanks);
        if (!more) {
            int64_t wait = due ? due - now_ms() : TICK_MS;
            if (!empty)
                sl_timer_start(loop, timer, wait < 1 ? 1 : wait < TICK_MS ? wait : TICK_MS, sl_invoke__blank_refill);
            return;
        }
        carry_out(blanks, &order);
    }
}

// ---- the jail's reports -----------------------------------------------------------------------------------------

static void came_up(struct sl_invoke__blank *blank) {
    struct sl_invoke__kind *kind = blank->kind;
    int64_t bytes = sl_jail_memory_peak(blank->started.memory_fd);
    blank->state = SL_BLANK_READY;
    kind->booting--;
    kind->ready++;
    kind->failures = 0;
    kind->boot_ms = now_ms() - blank->since_ms;
    if (bytes > kind->bytes) kind->bytes = bytes;
}

static void went_down(struct sl_invoke__blanks *blanks, struct sl_invoke__blank *blank,
                      const struct sl_jail_event *event) {
    struct sl_invoke__kind *kind = blank->kind;
    if (blank->state == SL_BLANK_BOOTING || blank->state == SL_BLANK_STARTED)
        kind_failed(kind, event->step[0] ? event->step : "did not come up");
    else if (blank->state == SL_BLANK_READY)
        kind->lost++;
    forget(blanks, blank);
}

bool sl_invoke__blank_report(struct sl_invoker *invoker, const struct sl_jail_event *event) {
    struct sl_invoke__blanks *blanks = invoker->blanks;
    if (!blanks) return false;
    if (event->kind == SL_JAIL_TEMPLATE_READY || event->kind == SL_JAIL_TEMPLATE_ENDED) {
        sl_invoke__template_report(blanks, event);
        sl_invoke__blank_refill(&blanks->timer);
        return true;
    }
    pthread_mutex_lock(&blanks->lock);
    struct sl_invoke__blank *blank = find_id(blanks, event->id);
    if (blank && event->kind == SL_JAIL_STARTED) {
        blank->started = *event;
        if (blank->state == SL_BLANK_BOOTING) blank->state = SL_BLANK_STARTED;
    } else if (blank && event->kind == SL_JAIL_READY) {
        blank->is_up = true;
    } else if (blank && (event->kind == SL_JAIL_FAILED || event->kind == SL_JAIL_EXITED)) {
        went_down(blanks, blank, event);
    }
    // In either order: they come by different ways.
    if (blank && blank->state == SL_BLANK_STARTED && blank->is_up) came_up(blank);
    unlock(blanks);
    if (blank) sl_invoke__blank_refill(&blanks->timer);
    return blank != NULL;
}

// ---- life -------------------------------------------------------------------------------------------------------

struct sl_invoke__blanks *sl_invoke__blanks_new(struct sl_invoker *invoker) {
    unsigned count = invoker->config.blanks;
    if (!count) return NULL;
    struct sl_invoke__blanks *blanks = calloc(1, sizeof *blanks);
    if (blanks) blanks->blanks = calloc(count, sizeof *blanks->blanks);
    if (!blanks || !blanks->blanks) {
        free(blanks);
        return NULL;
    }
    blanks->invoker = invoker;
    blanks->count = count;
    blanks->templates = invoker->config.templates;
    pthread_mutex_init(&blanks->lock, NULL);
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) blanks->kinds[i].block = blanks->kinds[i].template_block = -1;
    return blanks;
}

void sl_invoke__blanks_free(struct sl_invoke__blanks *blanks) {
    if (!blanks) return;
    for (unsigned i = 0; i < blanks->count; i++) {
        struct sl_invoke__blank *blank = &blanks->blanks[i];
        if (blank->state != SL_BLANK_NONE && blank->started.kind == SL_JAIL_STARTED)
            sl_invoke__close_started(&blank->started);
    }
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) kind_clear(&blanks->kinds[i]);
    pthread_mutex_destroy(&blanks->lock);
    free(blanks->blanks);
    free(blanks);
}
