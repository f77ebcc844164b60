// SPDX-License-Identifier: Apache-2.0
//
// pattern: the event pattern language of EventBridge ("Creating Amazon EventBridge event patterns", "Comparison
// operators"), which filters of event source mappings speak too (Lambda developer guide, "Filter rule syntax").
//
// A pattern is an object. Each of its fields must match the event's field of that name: an object by its own fields, an
// array if any of its elements matches. "$or" holds patterns of which one must match. Elements: a string, number, true,
// false or null that the value equals, or one of {"prefix"}, {"suffix"}, {"equals-ignore-case"}, {"wildcard"},
// {"numeric"}, {"cidr"}, {"exists"}, {"anything-but"}. Where the event has an array, one of its elements must match.
//
// Pure functions, any thread. A pattern that was checked costs at most its size times the event's.
#ifndef SL_EVENTS_PATTERN_H
#define SL_EVENTS_PATTERN_H

#include "base/json.h"

// 0, or SL_E_INVALID with what is wrong with it.
int sl_event_pattern_check(const struct sl_json *pattern, struct sl_error *err);
// The pattern must have been checked.
bool sl_event_pattern_matches(const struct sl_json *pattern, const struct sl_json *event);

#endif
