// SPDX-License-Identifier: Apache-2.0
//
// decide: see decide.h. Conditions are AWS's names where it has one: RetriesExhausted, EventAgeExceeded (also when the
// next attempt would come after the maximum age), ZeroReservedConcurrency.
#include "events/decide.h"

static struct sl_event_decision dead(unsigned attempts, const char *condition) {
    return (struct sl_event_decision){.verdict = SL_EVENT_DEAD, .attempts = attempts, .condition = condition};
}

struct sl_event_decision sl_event_admit(const struct sl_event_standing *standing, const struct sl_event_limits *limits,
                                        int64_t now_ms) {
    if (standing->attempts >= limits->max_attempts) return dead(standing->attempts, "RetriesExhausted");
    if (limits->never) return dead(standing->attempts, "ZeroReservedConcurrency");
    if (now_ms - standing->accepted_ms > limits->max_age_ms) return dead(standing->attempts, "EventAgeExceeded");
    return (struct sl_event_decision){.verdict = SL_EVENT_RUN, .attempts = standing->attempts};
}

static struct sl_event_decision after_failure(const struct sl_event_standing *standing,
                                              const struct sl_event_limits *limits, int64_t now_ms) {
    unsigned attempts = standing->attempts + 1;
    int64_t due_ms = now_ms + (attempts == 1 ? SL_EVENT_RETRY_1_MS : SL_EVENT_RETRY_2_MS);
    if (attempts >= limits->max_attempts) return dead(attempts, "RetriesExhausted");
    if (due_ms - standing->accepted_ms > limits->max_age_ms) return dead(attempts, "EventAgeExceeded");
    return (struct sl_event_decision){.verdict = SL_EVENT_RETRY, .attempts = attempts, .due_ms = due_ms};
}

struct sl_event_decision sl_event_decide(const struct sl_event_standing *standing, const struct sl_event_limits *limits,
                                         enum sl_event_outcome outcome, int64_t now_ms) {
    switch (outcome) {
    case SL_EVENT_SUCCEEDED:
        return (struct sl_event_decision){.verdict = SL_EVENT_DONE, .attempts = standing->attempts + 1};
    case SL_EVENT_FAILED:
        return after_failure(standing, limits, now_ms);
    case SL_EVENT_GONE:
        return dead(standing->attempts, "FunctionNotFound");
    case SL_EVENT_LOOP:
        return dead(standing->attempts, "RecursiveLoopDetected");
    case SL_EVENT_REFUSED:
        break;
    }
    if (now_ms - standing->accepted_ms > limits->max_age_ms) return dead(standing->attempts, "EventAgeExceeded");
    return (struct sl_event_decision){.verdict = SL_EVENT_HOLD, .attempts = standing->attempts};
}
