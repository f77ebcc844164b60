// SPDX-License-Identifier: Apache-2.0
//
// wheel: the hierarchical timer wheel inside a loop (internal to net/). Seven levels of 64 slots; a slot of level n is
// 64^n ms wide. A timer sits at the level of the highest base-64 digit in which its time differs from the wheel's, so
// everything on a lower level is due before anything on a higher one, and slots never wrap. Starting and stopping are
// O(1); a timer cascades at most six times in its life. One owner thread, the loop's.
//
// The wheel spans 2^42 ms since boot (139 years); sl_timer_start keeps times below that.
//
// Invariant: every timer in slots[l][s] has digit s at level l, equals `now` in all higher digits, and s > digit l of
// `now`.
#ifndef SL_NET_WHEEL_H
#define SL_NET_WHEEL_H

#include "net/loop.h"

#define SL_WHEEL_MAX_AFTER_MS (INT64_C(1) << 40) // 34 years
enum { SL_WHEEL_BITS = 6, SL_WHEEL_SLOTS = 1 << SL_WHEEL_BITS, SL_WHEEL_LEVELS = 7 };

struct sl_wheel {
    int64_t now;
    uint64_t used[SL_WHEEL_LEVELS]; // bit s: slots[l][s] is not empty
    struct sl_timer *slots[SL_WHEEL_LEVELS][SL_WHEEL_SLOTS];
    struct sl_timer *due;    // time has come; fire at the next sl_wheel__fire
    struct sl_timer *firing; // the rest of what the running sl_wheel__fire took from `due`
};

void sl_wheel__init(struct sl_wheel *wheel, int64_t now);
// timer->at_ms is set; the timer is not armed.
void sl_wheel__add(struct sl_wheel *wheel, struct sl_timer *timer);
void sl_wheel__remove(struct sl_wheel *wheel, struct sl_timer *timer);
// Milliseconds until something may be due (a cascade counts), 0 when something is, -1 when there is no timer.
int64_t sl_wheel__wait(const struct sl_wheel *wheel);
// Turns the wheel to `now` (not backwards) and collects what is due.
void sl_wheel__turn(struct sl_wheel *wheel, int64_t now);
// Calls what was due when it was called; a timer started meanwhile with 0 ms waits for the next call.
void sl_wheel__fire(struct sl_wheel *wheel);

#endif
