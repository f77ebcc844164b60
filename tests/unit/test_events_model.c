// SPDX-License-Identifier: Apache-2.0
//
// events: the state machine of the asynchronous queue, explored exhaustively: one event with everything that may
// happen, and two that compete for one place. Every order of: accept, take, execute (success, failure, refusal),
// settle, settle that fails, crash, a settle of before the crash that arrives after it, purge by an operator, a change
// of the settings, and time passing. The decisions are the queue's own (decide.c); the model stands for the store, the
// memory and the concurrency limit around them.
//
// In every state that can be reached I1 to I4 of decide.h hold, and where nothing is left to do no event is left.
#include "events/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    EVENTS = 2,
    UNIT_MS = 60 * 1000,
    RESERVED = 1,
};

// How far one exploration goes.
static struct scope {
    unsigned events, end; // time goes no further than `end` units
    unsigned age;         // maximum age of events, in units
    unsigned crashes, faults;
    bool changes; // settings change, operators purge
} scope;

enum place { NOWHERE, STORED, DONE, DEAD, PURGED };
enum stage { IDLE, TAKEN, RUNNING, SETTLING };

struct settling {
    unsigned char on; // there is one
    unsigned char verdict, taken, attempts, due;
};

struct event {
    unsigned char place, attempts, accepted, due; // the store's; times in units
    unsigned char stage, taken;                   // the memory's: attempts when it was taken
    struct settling settle, zombie;               // zombie: submitted before a crash, arrives after it
    unsigned char executions, settled;            // settled: a bit per number of attempts
};

struct state {
    struct event events[EVENTS];
    unsigned char now, running, crashes, faults, lowered; // lowered: MaximumRetryAttempts became 0
};

// ---- the set of states that were seen -------------------------------------------------------------------------------

enum { SLOTS = 1 << 23 };
static struct state *seen;
static unsigned char *used;
static size_t seen_count;

static bool remember(const struct state *state) {
    uint64_t hash = 1469598103934665603u;
    const unsigned char *bytes = (const unsigned char *)state;
    for (size_t i = 0; i < sizeof *state; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    for (size_t at = (size_t)(hash ^ hash >> 29) % SLOTS;; at = (at + 1) % SLOTS) {
        if (used[at] && memcmp(&seen[at], state, sizeof *state) == 0) return false;
        if (used[at]) continue;
        assert_true(seen_count++ < SLOTS / 2);
        used[at] = 1;
        seen[at] = *state;
        return true;
    }
}

// States to go on from.
static struct state *stack;
static size_t stack_count, stack_room;

static void visit(const struct state *state) {
    if (!remember(state)) return;
    if (stack_count == stack_room) {
        stack_room = stack_room ? 2 * stack_room : 1024;
        stack = realloc(stack, stack_room * sizeof *stack);
        assert_non_null(stack);
    }
    stack[stack_count++] = *state;
}

// ---- what can happen ------------------------------------------------------------------------------------------------

static struct sl_event_limits limits_of(const struct state *state) {
    return (struct sl_event_limits){.max_attempts = state->lowered ? 1 : 3, .max_age_ms = (int64_t)scope.age * UNIT_MS};
}

static struct sl_event_standing standing_of(const struct event *event) {
    return (struct sl_event_standing){(int64_t)event->accepted * UNIT_MS, event->taken};
}

static void begin_settling(struct event *event, const struct sl_event_decision *decision) {
    event->stage = SETTLING;
    event->settle = (struct settling){.on = 1,
                                      .verdict = (unsigned char)decision->verdict,
                                      .taken = event->taken,
                                      .attempts = (unsigned char)decision->attempts,
                                      .due = (unsigned char)(decision->due_ms / UNIT_MS)};
}

// What a settle does to the store: nothing when the event is not, or no longer, at the attempt it was taken at.
static void commit(struct event *event, const struct settling *settle) {
    if (event->place != STORED || event->attempts != settle->taken) return;
    assert_false(event->settled >> settle->taken & 1); // I2: each attempt is settled once
    event->settled |= (unsigned char)(1u << settle->taken);
    if (settle->verdict == SL_EVENT_RETRY) {
        event->attempts = settle->attempts;
        event->due = settle->due;
    } else {
        event->place = settle->verdict == SL_EVENT_DONE ? DONE : DEAD;
    }
}

static void admit(struct state next, unsigned i) {
    struct event *event = &next.events[i];
    const struct sl_event_limits limits = limits_of(&next);
    const struct sl_event_standing standing = standing_of(event);
    int64_t now_ms = (int64_t)next.now * UNIT_MS;
    struct sl_event_decision decision = sl_event_admit(&standing, &limits, now_ms);
    if (decision.verdict == SL_EVENT_RUN && next.running < RESERVED) {
        event->stage = RUNNING;
        event->executions++;
        next.running++;
    } else {
        if (decision.verdict == SL_EVENT_RUN) decision = sl_event_decide(&standing, &limits, SL_EVENT_REFUSED, now_ms);
        if (decision.verdict == SL_EVENT_HOLD)
            event->stage = IDLE;
        else
            begin_settling(event, &decision);
    }
    visit(&next);
}

static void finish(struct state next, unsigned i, enum sl_event_outcome outcome) {
    struct event *event = &next.events[i];
    const struct sl_event_limits limits = limits_of(&next);
    const struct sl_event_standing standing = standing_of(event);
    struct sl_event_decision decision = sl_event_decide(&standing, &limits, outcome, (int64_t)next.now * UNIT_MS);
    next.running--;
    begin_settling(event, &decision);
    visit(&next);
}

static void settle(struct state next, unsigned i) {
    struct event *event = &next.events[i];
    commit(event, &event->settle);
    event->settle = (struct settling){0};
    event->stage = IDLE;
    visit(&next);
}

static void settle_late(struct state next, unsigned i) {
    struct event *event = &next.events[i];
    commit(event, &event->zombie);
    event->zombie = (struct settling){0};
    visit(&next);
}

static void settle_fails(struct state next, unsigned i) {
    struct event *event = &next.events[i];
    next.faults++;
    event->settle = (struct settling){0};
    event->stage = IDLE;
    visit(&next);
}

static void crash(struct state next, bool late) {
    next.crashes++;
    next.running = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        struct event *event = &next.events[i];
        if (late && event->settle.on) event->zombie = event->settle;
        event->settle = (struct settling){0};
        event->stage = IDLE;
        event->taken = 0;
    }
    visit(&next);
}

// Whether the queue itself (not time, a fault or an operator) has something to do with the event.
static bool step_event(const struct state *state, unsigned i) {
    const struct event *event = &state->events[i];
    struct state next = *state;
    struct event *after = &next.events[i];
    if (event->zombie.on) settle_late(*state, i);
    if (scope.changes && event->place == STORED) {
        after->place = PURGED;
        visit(&next);
        next = *state;
    }
    switch ((enum stage)event->stage) {
    case IDLE:
        if (event->place == NOWHERE && state->now < 2) {
            after->place = STORED;
            after->accepted = after->due = state->now;
            visit(&next);
        } else if (event->place == STORED && event->due <= state->now) {
            after->stage = TAKEN;
            after->taken = event->attempts;
            visit(&next);
            return true;
        }
        return false;
    case TAKEN:
        admit(*state, i);
        return true;
    case RUNNING:
        finish(*state, i, SL_EVENT_SUCCEEDED);
        finish(*state, i, SL_EVENT_FAILED);
        return true;
    case SETTLING:
        settle(*state, i);
        if (state->faults < scope.faults) settle_fails(*state, i);
        return true;
    }
    return false;
}

static void check(const struct state *state) {
    unsigned running = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        const struct event *event = &state->events[i];
        running += event->stage == RUNNING;
        assert_true(event->place <= PURGED); // I1: in exactly one place (by construction), and below: in none never
        assert_true(event->attempts <= 3);   // I3
        assert_true(event->executions <= 3u + state->crashes + state->faults);
    }
    assert_int_equal(running, state->running);
    assert_true(running <= RESERVED); // I4
}

static void explore(void) {
    while (stack_count) {
        struct state state = stack[--stack_count], next = state;
        bool busy = false;
        check(&state);
        for (unsigned i = 0; i < scope.events; i++) busy |= step_event(&state, i);
        if (state.crashes < scope.crashes) {
            crash(state, false);
            crash(state, true);
        }
        if (scope.changes && !state.lowered) {
            next.lowered = 1;
            visit(&next);
            next = state;
        }
        if (state.now < scope.end) {
            next.now++;
            visit(&next);
        } else if (!busy) {
            // I1: nothing that was accepted is left over when time is over and nothing is left to do.
            for (unsigned i = 0; i < EVENTS; i++) assert_int_not_equal(state.events[i].place, STORED);
        }
    }
}

static void explore_all(struct scope wanted) {
    struct state start;
    memset(&start, 0, sizeof start);
    scope = wanted;
    seen_count = stack_count = stack_room = 0;
    stack = NULL;
    seen = calloc(SLOTS, sizeof *seen);
    used = calloc(SLOTS, 1);
    assert_true(seen && used);
    visit(&start);
    explore();
    print_message("%zu states\n", seen_count);
    assert_true(seen_count > 10000);
    free(seen);
    free(used);
    free(stack);
}

static void the_invariants_hold_for_an_event_in_every_state_there_is(void **unused) {
    (void)unused;
    explore_all((struct scope){.events = 1, .end = 8, .age = 5, .crashes = 2, .faults = 2, .changes = true});
}

static void the_invariants_hold_for_two_events_that_compete(void **unused) {
    (void)unused;
    explore_all((struct scope){.events = 2, .end = 4, .age = 2, .crashes = 1});
}

// ---- the rules themselves -------------------------------------------------------------------------------------------

static void the_rules_are_those_of_aws(void **unused) {
    (void)unused;
    const struct sl_event_limits limits = {.max_attempts = 3, .max_age_ms = SL_EVENT_AGE_MS};
    struct sl_event_standing standing = {.accepted_ms = 1000};
    struct sl_event_decision decision = sl_event_decide(&standing, &limits, SL_EVENT_FAILED, 2000);
    assert_int_equal(decision.verdict, SL_EVENT_RETRY);
    assert_int_equal(decision.due_ms, 2000 + 60 * 1000);
    standing.attempts = 1;
    decision = sl_event_decide(&standing, &limits, SL_EVENT_FAILED, 2000);
    assert_int_equal(decision.due_ms, 2000 + 120 * 1000);
    standing.attempts = 2;
    decision = sl_event_decide(&standing, &limits, SL_EVENT_FAILED, 2000);
    assert_string_equal(decision.condition, "RetriesExhausted");
    assert_int_equal(decision.attempts, 3);
    decision = sl_event_decide(&standing, &limits, SL_EVENT_REFUSED, 2000);
    assert_int_equal(decision.verdict, SL_EVENT_HOLD);
    assert_int_equal(decision.attempts, 2);
    decision = sl_event_decide(&standing, &limits, SL_EVENT_REFUSED, 1001 + SL_EVENT_AGE_MS);
    assert_string_equal(decision.condition, "EventAgeExceeded");
    const struct sl_event_limits never = {.max_attempts = 3, .max_age_ms = SL_EVENT_AGE_MS, .never = true};
    assert_string_equal(sl_event_admit(&standing, &never, 2000).condition, "ZeroReservedConcurrency");
    assert_int_equal(sl_event_admit(&standing, &limits, 2000).verdict, SL_EVENT_RUN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_are_those_of_aws),
        cmocka_unit_test(the_invariants_hold_for_an_event_in_every_state_there_is),
        cmocka_unit_test(the_invariants_hold_for_two_events_that_compete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
