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
// for which there is little to gain, and those whose average is more than turns on one core explain, unless the machine
// has more to run than processors: some of their invocations wait for something, and others must not wait behind them.
// (With too many busy at once, of which some are still compiling their code, a short invocation may take a hundred
// times its shortest; without that look at the machine nothing would ever end this.) A queue that does not move is not
// bound by the limit (see `impatient` in pool.c).
//
// Where many instances only get in one another's way, one is enough, if it never has to wait for its next event: then
// events are sent ahead to it (ahead.c), and a switch between two processes serves several invocations. That their
// durations grow with the number of busy instances is what shows that they compute: only then few are kept busy, and
// from time to time more are, to see whether they still do.
#include "invoke/internal.h"

enum {
    LIMIT_MIN = 6, // fewer, and the loop is woken for every answer alone
    LIMIT_START = 8,
    LIMIT_MAX = 4096,
    WINDOW = 32,       // invocations between two decisions
    LONG_US = 1000,    // shortest duration from which there is no limit
    UNEVEN = 8,        // compilers and collectors make computing uneven by so much; more is waiting
    FEW_TURNS = 16384, // invocations after which it is looked at anew
    // Invocations after sending ahead went wrong: more each time. A machine with too much to do shows the same as a
    // function that is slow at times, and passes.
    BARRED_FIRST = 32,
    BARRED_MAX = 1024,
    QUIET = 256, // invocations in a row that must have printed nothing
};

static unsigned busy_of(const struct sl_invoke__shard *shard) {
    unsigned live = atomic_load_explicit(&shard->live, memory_order_relaxed);
    unsigned idle = atomic_load_explicit(&shard->idle_count, memory_order_relaxed);
    return live - idle;
}

// Whether this average comes of invocations that are short and only compute, and share a processor with so many.
static bool computes(const struct sl_invoke__crowd *crowd, int64_t average, unsigned busy) {
    return crowd->floor_us < LONG_US && average <= UNEVEN * crowd->floor_us * (busy + 1);
}

bool sl_invoke__crowd_starved(const struct sl_invoke__shard *shard) {
    const struct sl_invoke__gate *gate = &shard->pool->invoker->gate;
    unsigned runnable = gate->runnable();
    return runnable > gate->processors + 1 && 2 * runnable > busy_of(shard);
}

// The limit after a window with this average.
static unsigned decide(const struct sl_invoke__shard *shard, int64_t average) {
    const struct sl_invoke__crowd *crowd = &shard->crowd;
    unsigned limit = crowd->limit ? crowd->limit : LIMIT_START;
    if (crowd->floor_us >= LONG_US) return LIMIT_MAX;
    if (!computes(crowd, average, busy_of(shard)) && !sl_invoke__crowd_starved(shard)) return LIMIT_MAX;
    if (limit == LIMIT_MAX) return LIMIT_START;
    if (2 * average < 3 * crowd->floor_us)
        return limit + limit / 4 + 1 < LIMIT_MAX ? limit + limit / 4 + 1 : LIMIT_MAX - 1;
    if (average <= 2 * crowd->floor_us) return limit;
    return limit * 3 / 4 > LIMIT_MIN ? limit * 3 / 4 : LIMIT_MIN;
}

// How many instances of this shard may be busy when each always has its next event: together with other loops', as many
// as there are processors.
static unsigned limit_ahead(const struct sl_invoke__pool *pool) {
    unsigned loops = 0;
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) loops += busy_of(&pool->shards[i]) > 0;
    unsigned limit = pool->invoker->processors / (loops ? loops : 1);
    return limit ? limit : 1;
}

bool sl_invoke__crowd_ahead(const struct sl_invoke__shard *shard) {
    const struct sl_invoke__pool *pool = shard->pool;
    enum sl_send_ahead when = pool->invoker->config.send_ahead;
    if (pool->spec.single_use || when == SL_SEND_AHEAD_NEVER) return false;
    if (when == SL_SEND_AHEAD_ALWAYS) return true;
    return !shard->crowd.barred && atomic_load_explicit(&pool->quiet, memory_order_relaxed) >= QUIET &&
           !atomic_load_explicit(&pool->loud, memory_order_relaxed) &&
           computes(&shard->crowd, atomic_load_explicit(&pool->average_us, memory_order_relaxed), busy_of(shard));
}

void sl_invoke__crowd_bar(struct sl_invoke__shard *shard) {
    struct sl_invoke__crowd *crowd = &shard->crowd;
    crowd->bar = crowd->bar ? crowd->bar * 2 : BARRED_FIRST;
    if (crowd->bar > BARRED_MAX) crowd->bar = BARRED_MAX;
    crowd->barred = crowd->bar;
}

static void window_begin(struct sl_invoke__crowd *crowd) {
    crowd->sum_us = 0;
    crowd->seen = 0;
}

// While few are busy, durations do not show what they showed before. The end: when events are not sent ahead any more,
// and now and then.
static void took_with_few(struct sl_invoke__shard *shard) {
    struct sl_invoke__crowd *crowd = &shard->crowd;
    window_begin(crowd);
    crowd->limit = limit_ahead(shard->pool);
    crowd->served += WINDOW;
    if (sl_invoke__crowd_ahead(shard) && crowd->served < FEW_TURNS) return;
    crowd->few = false;
    crowd->limit = LIMIT_START;
}

void sl_invoke__crowd_took(struct sl_invoke__shard *shard, int64_t duration_us) {
    struct sl_invoke__crowd *crowd = &shard->crowd;
    if (crowd->barred) crowd->barred--;
    if (++crowd->since % FEW_TURNS == 0) crowd->bar /= 2;
    if (!crowd->few && (!crowd->floor_us || duration_us < crowd->floor_us))
        crowd->floor_us = duration_us > 0 ? duration_us : 1;
    crowd->sum_us += duration_us;
    if (++crowd->seen < WINDOW) return;
    if (crowd->few) {
        took_with_few(shard);
        return;
    }
    crowd->limit = decide(shard, crowd->sum_us / WINDOW);
    crowd->floor_us += crowd->floor_us / 64 + 1; // forgets, since functions and their callers change
    window_begin(crowd);
    if (crowd->limit != LIMIT_MIN || !sl_invoke__crowd_ahead(shard)) return;
    crowd->few = true;
    crowd->limit = limit_ahead(shard->pool);
    crowd->served = 0;
}

bool sl_invoke__crowd_full(const struct sl_invoke__shard *shard) {
    return shard->crowd.limit && busy_of(shard) >= shard->crowd.limit;
}

bool sl_invoke__crowd_over(const struct sl_invoke__shard *shard) {
    return shard->crowd.limit && busy_of(shard) > shard->crowd.limit;
}
