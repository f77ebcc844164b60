// SPDX-License-Identifier: Apache-2.0
//
// clock: see clock.h.
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static atomic_llong offset_ms;

int64_t sl_clock_unmoved_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sl_clock_ms(void) { return sl_clock_unmoved_ms() + atomic_load_explicit(&offset_ms, memory_order_relaxed); }

int64_t sl_clock_mono_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void sl_clock_advance(int64_t ms) { atomic_fetch_add(&offset_ms, ms); }

static struct tm parts(int64_t ms, int *ret_ms) {
    // Years beyond 9999 would not fit the fixed formats; no clock of ours gets there.
    if (ms < 0) ms = 0;
    if (ms > 253402300799999) ms = 253402300799999;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    *ret_ms = (int)(ms % 1000);
    return tm;
}

// The compiler cannot see that tm's fields are small; this keeps its truncation check satisfied and us safe.
#define DIGITS(value, modulus) ((unsigned)(value) % (modulus))

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

void sl_time_iso_ms(int64_t ms, char out[static SL_TIME_ISO_MS]) {
    int milli;
    struct tm tm = parts(ms, &milli);
    snprintf(out, SL_TIME_ISO_MS, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", DIGITS(tm.tm_year + 1900, 10000),
             DIGITS(tm.tm_mon + 1, 100), DIGITS(tm.tm_mday, 100), DIGITS(tm.tm_hour, 100), DIGITS(tm.tm_min, 100),
             DIGITS(tm.tm_sec, 100), DIGITS(milli, 1000));
}

void sl_time_iso_s(int64_t ms, char out[static SL_TIME_ISO_S]) {
    char full[SL_TIME_ISO_MS];
    sl_time_iso_ms(ms, full);
    snprintf(out, SL_TIME_ISO_S, "%.19sZ", full);
}

void sl_time_lambda(int64_t ms, char out[static SL_TIME_LAMBDA]) {
    char full[SL_TIME_ISO_MS];
    sl_time_iso_ms(ms, full);
    snprintf(out, SL_TIME_LAMBDA, "%.23s+0000", full);
}

void sl_time_clf(int64_t ms, char out[static SL_TIME_CLF]) {
    int milli;
    struct tm tm = parts(ms, &milli);
    snprintf(out, SL_TIME_CLF, "%02u/%s/%04u:%02u:%02u:%02u +0000", DIGITS(tm.tm_mday, 100),
             months[DIGITS(tm.tm_mon, 12)], DIGITS(tm.tm_year + 1900, 10000), DIGITS(tm.tm_hour, 100),
             DIGITS(tm.tm_min, 100), DIGITS(tm.tm_sec, 100));
}

void sl_time_amz(int64_t ms, char out[static SL_TIME_AMZ]) {
    int milli;
    struct tm tm = parts(ms, &milli);
    snprintf(out, SL_TIME_AMZ, "%04u%02u%02uT%02u%02u%02uZ", DIGITS(tm.tm_year + 1900, 10000),
             DIGITS(tm.tm_mon + 1, 100), DIGITS(tm.tm_mday, 100), DIGITS(tm.tm_hour, 100), DIGITS(tm.tm_min, 100),
             DIGITS(tm.tm_sec, 100));
}

void sl_time_http(int64_t ms, char out[static SL_TIME_HTTP]) {
    int milli;
    struct tm tm = parts(ms, &milli);
    snprintf(out, SL_TIME_HTTP, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[DIGITS(tm.tm_wday, 7)],
             DIGITS(tm.tm_mday, 100), months[DIGITS(tm.tm_mon, 12)], DIGITS(tm.tm_year + 1900, 10000),
             DIGITS(tm.tm_hour, 100), DIGITS(tm.tm_min, 100), DIGITS(tm.tm_sec, 100));
}
