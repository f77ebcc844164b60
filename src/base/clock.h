// SPDX-License-Identifier: Apache-2.0
//
// clock: wall and monotonic time, and the three text forms AWS uses. Tests may move the wall clock forward
// (sl_clock_advance), which is how retries after minutes are tested without waiting.
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include <stdint.h>

enum {
    SL_TIME_ISO_MS = 25, // "2026-01-02T03:04:05.678Z" + NUL
    SL_TIME_ISO_S = 21,  // "2026-01-02T03:04:05Z" + NUL
    SL_TIME_LAMBDA = 29, // "2026-01-02T03:04:05.678+0000" + NUL
    SL_TIME_CLF = 27,    // "02/Jan/2026:03:04:05 +0000" + NUL, API Gateway's requestTime
    SL_TIME_AMZ = 17,    // "20260102T030405Z" + NUL, SigV4
    SL_TIME_HTTP = 30,   // "Fri, 02 Jan 2026 03:04:05 GMT" + NUL, RFC 9110 section 5.6.7
};

// Milliseconds since 1970 (UTC), including what tests advanced.
int64_t sl_clock_ms(void);
// The same without what tests advanced: what others see who read this machine's clock.
int64_t sl_clock_unmoved_ms(void);
// Nanoseconds of a clock that never goes back; for durations and timers. Not moved by sl_clock_advance.
int64_t sl_clock_mono_ns(void);
// Adds to the offset of sl_clock_ms in this process. For tests and the daemon's test hook only.
void sl_clock_advance(int64_t ms);

void sl_time_iso_ms(int64_t ms, char out[static SL_TIME_ISO_MS]);
void sl_time_iso_s(int64_t ms, char out[static SL_TIME_ISO_S]);
void sl_time_lambda(int64_t ms, char out[static SL_TIME_LAMBDA]);
void sl_time_clf(int64_t ms, char out[static SL_TIME_CLF]);
void sl_time_amz(int64_t ms, char out[static SL_TIME_AMZ]);
void sl_time_http(int64_t ms, char out[static SL_TIME_HTTP]);

#endif
