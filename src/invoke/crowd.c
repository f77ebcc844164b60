// SPDX-License-Identifier: Apache-2.0
//
// crowd: how many instances of a shard are busy at once before the next invocation waits for one of them, although idle
// ones are there. All on the shard's loop's thread.
//
// Invocations that only compute gain nothing from sharing a core: sixteen instances take turns, each finds its data
// gone from the caches, and all are slower than three would be. Invocations that wait for something gain everything.
// Which is the case shows in their duration: with more instances busy it grows for the first kind, and stays for the
// second. So the limit follows the ratio of the recent average to the shortest seen, as TCP Vegas follows round-trip
// times (Brakmo and Peterson, 1995). Left alone are functions whose shortest invocation takes a millisecond or more,
// for which there is little to gain, and those whose average is more than turns on one core explain: some of their
// invocations wait for something, and others must not wait behind them. A queue that does not move is not bound by the
// limit (see `impatient` in pool.c).
#include "invoke/internal.h"

enum {
    LIMIT_MIN = 6, // fewer, and the loop is woken for every answer alone
    LIMIT_START = 8,
    LIMIT_MAX = 4096,
    WINDOW = 32,    // invocations between two decisions
    LONG_US = 1000, // shortest duration from which there is no limit
    UNEVEN = 8,     // compilers and collectors make computing uneven by so much; more is waiting
};

static unsigned busy_of(const struct sl_invoke__shard *shard) {
    unsigned live = atomic_load_explicit(&shard->live, memory_order_relaxed);
    unsigned idle = atomic_load_explicit(&shard->idle_count, memory_order_relaxed);
    return live - idle;
}

// The limit after a window with this average.
static unsigned decide(const struct sl_invoke__crowd *crowd, int64_t average, unsigned busy) {
    unsigned limit = crowd->limit ? crowd->limit : LIMIT_START;
    if (crowd->floor_us >= LONG_US || average > UNEVEN * crowd->floor_us * (busy + 1)) return LIMIT_MAX;
    if (limit == LIMIT_MAX) return LIMIT_START;
    if (2 * average < 3 * crowd->floor_us)
        return limit + limit / 4 + 1 < LIMIT_MAX ? limit + limit / 4 + 1 : LIMIT_MAX - 1;
    if (average <= 2 * crowd->floor_us) return limit;
    return limit * 3 / 4 > LIMIT_MIN ? limit * 3 / 4 : LIMIT_MIN;
}

void sl_invoke__crowd_took(struct sl_invoke__shard *shard, int64_t duration_us) {
    struct sl_invoke__crowd *crowd = &shard->crowd;
    if (!crowd->floor_us || duration_us < crowd->floor_us) crowd->floor_us = duration_us > 0 ? duration_us : 1;
    crowd->sum_us += duration_us;
    if (++crowd->seen < WINDOW) return;
    crowd->limit = decide(crowd, crowd->sum_us / WINDOW, busy_of(shard));
    crowd->floor_us += crowd->floor_us / 64 + 1; // forgets, since functions and their callers change
    crowd->sum_us = 0;
    crowd->seen = 0;
}

bool sl_invoke__crowd_full(const struct sl_invoke__shard *shard) {
    return shard->crowd.limit && busy_of(shard) >= shard->crowd.limit;
}
