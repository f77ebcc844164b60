// SPDX-License-Identifier: Apache-2.0
//
// decide: what becomes of an event, as a pure function of what is known about it. The queue acts on it; the model
// (tests/unit/test_events_model.c) and the property test explore it. Nothing here has a clock, memory or a store.
//
// The four invariants of the queue (design section 7), and where each is kept:
//   I1 kept       an accepted event is executed to success, or in a dead-letter place (queue, destination, the table of
//                 dead events), or still stored: it leaves the table only in the transaction that writes the other
//                 place (settle.c).
//   I2 owner      only the current owner settles: a settle names the number of attempts under which the event was
//                 taken, and does nothing when it is another by now (sl_event_remove, sl_event_reschedule).
//   I3 attempts   finished attempts never exceed the setting: sl_event_admit refuses an event that has had them, and
//                 every finished attempt is counted in the transaction that settles it. A crash may repeat an attempt
//                 that had not been settled: delivery is at least once.
//   I4 reserved   reserved concurrency is never exceeded: events are executed through sl_invoke only, whose admission
//                 counts before it lets anything run; a refusal holds the whole lane and counts as no attempt.
#ifndef SL_EVENTS_DECIDE_H
#define SL_EVENTS_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SL_EVENT_ATTEMPTS = 3, // defaults (developer guide, "Error handling for asynchronous invocation")
    SL_EVENT_RETRY_1_MS = 60 * 1000,
    SL_EVENT_RETRY_2_MS = 120 * 1000,
    SL_EVENT_AGE_MS = 6 * 60 * 60 * 1000,
    SL_EVENT_HOLD_MIN_MS = 1000,
    SL_EVENT_HOLD_MAX_MS = 5 * 60 * 1000,
};

struct sl_event_limits {
    unsigned max_attempts;
    int64_t max_age_ms;
    bool never; // reserved concurrency 0: what waits is given up at once
};

struct sl_event_standing {
    int64_t accepted_ms;
    unsigned attempts; // finished ones
};

enum sl_event_outcome {
    SL_EVENT_SUCCEEDED,
    SL_EVENT_FAILED,  // the function ran and failed: an attempt
    SL_EVENT_REFUSED, // it did not run: throttled, or the system's fault
    SL_EVENT_GONE,    // there is no such function any more
    SL_EVENT_LOOP,    // stopped as part of a recursive loop
};

enum sl_event_verdict {
    SL_EVENT_RUN,   // of admit only
    SL_EVENT_DONE,  // remove it; tell the destination on success
    SL_EVENT_RETRY, // store the attempt and the time of the next
    SL_EVENT_HOLD,  // nothing is stored; try again later
    SL_EVENT_DEAD,  // remove it; tell whoever is told of failures
};

struct sl_event_decision {
    enum sl_event_verdict verdict;
    unsigned attempts;     // after it
    int64_t due_ms;        // RETRY
    const char *condition; // DEAD: as destination records name it
};

// Before an attempt: RUN, or DEAD.
struct sl_event_decision sl_event_admit(const struct sl_event_standing *standing, const struct sl_event_limits *limits,
                                        int64_t now_ms);
// After one.
struct sl_event_decision sl_event_decide(const struct sl_event_standing *standing, const struct sl_event_limits *limits,
                                         enum sl_event_outcome outcome, int64_t now_ms);

#endif
