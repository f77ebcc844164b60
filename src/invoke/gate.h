// SPDX-License-Identifier: Apache-2.0
//
// gate: how many instances may be in their start at once, of all functions together. Starts of programs need
// processors. With more of them under way than processors can serve, none is ready sooner, those that are ready already
// get no turn, and invocations that wait for both ask for more starts: a storm, in which a server answers nobody for
// seconds. So WIDTH for each processor may always be under way; more when those do not keep the machine busy (an init
// that waits for a database), a few at a time; and a few more, ever more seldom, even if it is busy, so that slow ones
// cannot lock others out for ever.
//
// Any thread; nothing is locked: two threads that look at the same time may let in one too many.
#ifndef SL_INVOKE_GATE_H
#define SL_INVOKE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sl_invoke__gate {
    unsigned processors;        // at least 1
    unsigned (*runnable)(void); // threads of this machine that run or could; 0: unknown
    atomic_uint under_way, width;
    _Atomic int64_t widened_ns;
};

void sl_invoke__gate_init(struct sl_invoke__gate *gate, unsigned processors, unsigned (*runnable)(void));
// A start is under way until _leave.
void sl_invoke__gate_enter(struct sl_invoke__gate *gate);
void sl_invoke__gate_leave(struct sl_invoke__gate *gate);
// Whether one more start may begin. If not, ask again in a few milliseconds, or when one was over.
bool sl_invoke__gate_open(struct sl_invoke__gate *gate, int64_t now_ns);
// As /proc/loadavg says.
unsigned sl_invoke__gate_runnable(void);

#endif
