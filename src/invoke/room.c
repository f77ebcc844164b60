// SPDX-License-Identifier: Apache-2.0
//
// room: whether this machine has room for one more instance, and making it.
//
// Every instance is charged to one budget of memory (config.memory_bytes): with what an instance of its function was
// seen to use at most, or, before any was seen, with a quarter of the function's memory size (which is often chosen for
// the share of the processor that comes with it). So a thousand small instances may be kept on a machine that could not
// hold a thousand times their limit; a function that suddenly needs more than ever is met by its own cgroup, by the
// kernel's report of what is available, which is looked at before each start, and at last by the kernel, which ends the
// largest sandbox first. The number of instances has a limit as well.
//
// Blanks (blank.c) and what they are copied from count as well, with what they were seen to use. They are a
// convenience: when memory is short they go first. (A start that would take one needs room beside it for a moment, and
// may have to give it up: then it is a start without a blank.)
//
// A start for which there is no room makes some: the instance on demand that was idle longest, on whatever loop, is
// stopped (instances of provisioned concurrency never). It waits for that, or for whatever else ends, in its loop's
// queue, oldest first, WAIT_MS at most: what AWS's callers expect of a service without capacity is a throttle soon, and
// of a burst that it is served a little later. Its invocation stays in its function's queue meanwhile and may be served
// by another instance.
#include "invoke/blank.h"
#include "invoke/internal.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WAIT_MS = 3000,
    RETRY_MS = 5,           // an instance that is stopped is gone in about this time
    AVAILABLE_AGE_MS = 100, // how old the kernel's report may be
    MB = 1024 * 1024,
    GUESS_MIN_MB = 128,
};

// ---- what there is ----------------------------------------------------------------------------------------------

int64_t sl_invoke__memory_available(void) {
    char text[256];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1; // MemAvailable is its third line
    if (fd >= 0) close(fd);
    if (got <= 0) return -1;
    text[got] = '\0';
    const char *line = strstr(text, "MemAvailable:");
    return line ? strtoll(line + 13, NULL, 10) * 1024 : -1;
}

// The kernel has so little left that nothing more may be started. Unknown: it has enough.
static bool machine_is_full(struct sl_invoker *invoker, int64_t charge) {
    if (!invoker->config.memory_bytes) return false;
    int64_t now = sl_clock_mono_ns(), read_at = atomic_load_explicit(&invoker->memory_read_ns, memory_order_relaxed);
    if (!read_at || now - read_at > (int64_t)AVAILABLE_AGE_MS * 1000000) {
        atomic_store_explicit(&invoker->memory_read_ns, now, memory_order_relaxed);
        atomic_store_explicit(&invoker->memory_available, sl_invoke__memory_available(), memory_order_relaxed);
    }
    int64_t available = atomic_load_explicit(&invoker->memory_available, memory_order_relaxed);
    int64_t reserve = invoker->config.memory_bytes / 20;
    return available >= 0 && available < charge + (reserve < 256LL * MB ? reserve : 256LL * MB);
}

int64_t sl_invoke__charge_of(const struct sl_invoke__pool *pool) {
    if (pool->parent) pool = pool->parent; // what the function needs, not what a tenant of it did
    int64_t whole = (int64_t)pool->spec.memory_mb * MB, guess = whole / 4;
    int64_t peak = atomic_load_explicit(&pool->peak, memory_order_relaxed);
    if (peak) return peak < whole ? peak : whole;
    if (guess < GUESS_MIN_MB * MB) guess = GUESS_MIN_MB * MB;
    return guess < whole ? guess : whole;
}

static int64_t blank_bytes(const struct sl_invoker *invoker) {
    return atomic_load_explicit(&invoker->memory_blank, memory_order_relaxed);
}

bool sl_invoke__room_for_blank(struct sl_invoker *invoker, int64_t bytes) {
    int64_t budget = invoker->config.memory_bytes, used = atomic_load(&invoker->memory_used);
    return !budget || (!atomic_load(&invoker->want_count) && used + blank_bytes(invoker) + bytes <= budget);
}

bool sl_invoke__room_take(struct sl_invoker *invoker, int64_t charge) {
    unsigned count = atomic_fetch_add(&invoker->instance_count, 1);
    int64_t used = atomic_fetch_add(&invoker->memory_used, charge);
    int64_t budget = invoker->config.memory_bytes;
    // One instance may always be, however large: else it could never run.
    bool fits =
        count < invoker->config.max_instances &&
        (!used || !budget || (used + blank_bytes(invoker) + charge <= budget && !machine_is_full(invoker, charge)));
    if (fits) return true;
    sl_invoke__room_return(invoker, charge);
    return false;
}

void sl_invoke__room_return(struct sl_invoker *invoker, int64_t charge) {
    atomic_fetch_sub(&invoker->memory_used, charge);
    atomic_fetch_sub(&invoker->instance_count, 1);
}

void sl_invoke__room_adjust(struct sl_instance *instance, int64_t peak) {
    struct sl_invoke__pool *pool = instance->pool->parent ? instance->pool->parent : instance->pool;
    if (peak <= 0) return;
    if (peak > atomic_load_explicit(&pool->peak, memory_order_relaxed))
        atomic_store_explicit(&pool->peak, peak, memory_order_relaxed);
    if (instance->leaving) return;
    atomic_fetch_add(&instance->invoker->memory_used, peak - instance->charge);
    instance->charge = peak;
}

void sl_invoke__room_leaving(struct sl_instance *instance) {
    instance->leaving = true;
    atomic_fetch_add(&instance->invoker->memory_leaving, instance->charge);
    atomic_fetch_add(&instance->invoker->leaving_count, 1);
}

void sl_invoke__room_left(struct sl_instance *instance) {
    struct sl_invoker *invoker = instance->invoker;
    if (instance->leaving) {
        atomic_fetch_sub(&invoker->memory_leaving, instance->charge);
        atomic_fetch_sub(&invoker->leaving_count, 1);
    }
    sl_invoke__room_return(invoker, instance->charge);
}

// ---- making room --------------------------------------------------------------------------------------------------

// Whether there will be room when everything that is being stopped has ended.
static bool room_is_coming(const struct sl_invoker *invoker, int64_t charge) {
    int64_t used = atomic_load(&invoker->memory_used) - atomic_load(&invoker->memory_leaving);
    unsigned count = atomic_load(&invoker->instance_count) - atomic_load(&invoker->leaving_count);
    bool leaving = atomic_load(&invoker->leaving_count) > 0;
    int64_t budget = invoker->config.memory_bytes;
    // The machine itself is full for reasons that are not counted: one goes at a time until it is not.
    bool fits = !budget || used <= 0 || used + blank_bytes(invoker) + charge <= budget;
    return count < invoker->config.max_instances && fits && leaving;
}

static void evict_oldest(struct sl_invoke__loop *here) {
    struct sl_instance *oldest = here->lru[SL_ON_DEMAND].first;
    if (!oldest) {
        (void)sl_invoke__snap_evict(here);
        return;
    }
    sl_invoke__pool_leave_idle(oldest);
    sl_invoke__instance_stop(oldest);
    atomic_fetch_add_explicit(&here->evictions, 1, memory_order_relaxed);
}

static void evict_asked(struct sl_mail *mail) {
    struct sl_invoke__loop *here = SL_CONTAINER(mail, struct sl_invoke__loop, evict_mail);
    atomic_store(&here->evict_sent, false);
    evict_oldest(here);
}

// Stops the instance that was idle longest; on another loop, it asks for that.
static void evict_one(struct sl_invoke__loop *here) {
    struct sl_invoker *invoker = here->invoker;
    struct sl_invoke__loop *oldest = here;
    for (unsigned i = 0; i < invoker->config.loop_count; i++) {
        struct sl_invoke__loop *loop = &invoker->loops[i];
        if (atomic_load_explicit(&loop->oldest_idle_ns, memory_order_relaxed) <
            atomic_load_explicit(&oldest->oldest_idle_ns, memory_order_relaxed))
            oldest = loop;
    }
    if (oldest == here)
        evict_oldest(here);
    else if (!atomic_exchange(&oldest->evict_sent, true))
        sl_loop_post(oldest->loop, &oldest->evict_mail, evict_asked);
}

// Memory that is missing, as far as it is known.
static int64_t lack(struct sl_invoker *invoker, int64_t charge) {
    int64_t budget = invoker->config.memory_bytes;
    if (!budget) return 0;
    if (machine_is_full(invoker, charge)) return charge;
    return atomic_load(&invoker->memory_used) - atomic_load(&invoker->memory_leaving) + blank_bytes(invoker) + charge -
           budget;
}

void sl_invoke__room_make(struct sl_invoke__loop *here, int64_t charge) {
    struct sl_invoker *invoker = here->invoker;
    int64_t missing = lack(invoker, charge);
    if (missing > 0 && blank_bytes(invoker) > 0 && sl_invoke__blanks_yield(invoker, missing)) return;
    for (unsigned i = 0; i < invoker->config.max_instances && !room_is_coming(invoker, charge); i++) {
        unsigned leaving = atomic_load(&invoker->leaving_count);
        evict_one(here);
        if (atomic_load(&invoker->leaving_count) <= leaving) break; // nothing to stop, or another loop was asked
    }
}

// ---- starts that wait ---------------------------------------------------------------------------------------------

static void retry(struct sl_timer *timer);

bool sl_invoke__room_or_wait(struct sl_invoke__pool *pool, unsigned loop, bool *ret_waits) {
    struct sl_invoke__loop *here = &pool->invoker->loops[loop];
    *ret_waits = false;
    if (!here->want_first && sl_invoke__room_take(pool->invoker, sl_invoke__charge_of(pool))) return true;
    struct sl_invoke__want *want = calloc(1, sizeof *want);
    if (!want) return false;
    *want = (struct sl_invoke__want){.pool = sl_invoke__pool_ref(pool), //
                                     .deadline_ms = sl_loop_now_ms(here->loop) + WAIT_MS};
    if (here->want_last)
        here->want_last->next = want;
    else
        here->want_first = want;
    here->want_last = want;
    atomic_fetch_add(&pool->invoker->want_count, 1);
    *ret_waits = true;
    if (here->want_first == want) sl_invoke__room_make(here, sl_invoke__charge_of(pool));
    if (!sl_timer_armed(&here->want_timer)) sl_timer_start(here->loop, &here->want_timer, RETRY_MS, retry);
    return false;
}

static void want_drop(struct sl_invoke__loop *here) {
    struct sl_invoke__want *want = here->want_first;
    if (!(here->want_first = want->next)) here->want_last = NULL;
    atomic_fetch_sub(&here->invoker->want_count, 1);
    sl_invoke__pool_unref(want->pool);
    free(want);
}

void sl_invoke__room_free(struct sl_invoke__loop *here) {
    while (here->want_first) want_drop(here);
}

// Serves the first start that waits; false when it must go on waiting.
static bool serve_first(struct sl_invoke__loop *here) {
    struct sl_invoke__want *want = here->want_first;
    struct sl_invoke__pool *pool = want->pool;
    unsigned loop = (unsigned)sl_loop_index(here->loop);
    int64_t charge = sl_invoke__charge_of(pool);
    if (!sl_invoke__pool_needs_start(pool, loop)) {
        sl_invoke__pool_start_dropped(pool, loop);
    } else if (sl_invoke__room_take(here->invoker, charge)) {
        sl_invoke__pool_start_now(pool, loop, charge);
    } else if (sl_loop_now_ms(here->loop) >= want->deadline_ms) {
        sl_invoke__pool_start_refused(pool, loop);
    } else {
        sl_invoke__room_make(here, charge);
        return false;
    }
    want_drop(here);
    return true;
}

static void retry(struct sl_timer *timer) {
    struct sl_invoke__loop *here = SL_CONTAINER(timer, struct sl_invoke__loop, want_timer);
    while (here->want_first && serve_first(here)) {}
    if (here->want_first) sl_timer_start(here->loop, timer, RETRY_MS, retry);
}
