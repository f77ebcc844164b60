// SPDX-License-Identifier: Apache-2.0
//
// log: see log.h.
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_int threshold = SL_LOG_INFO;

void sl_log_set_level(enum sl_log_level level) { atomic_store(&threshold, (int)level); }

enum sl_log_level sl_log_level(void) { return (enum sl_log_level)atomic_load(&threshold); }

void sl_log(enum sl_log_level level, const char *area, const char *format, ...) {
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed)) return;
    static const char *const names[] = {"error", "warn ", "info ", "debug"};
    char line[4096];
    char stamp[SL_TIME_ISO_MS];
    sl_time_iso_ms(sl_clock_ms(), stamp);
    int head = snprintf(line, sizeof line, "%s %s %s: ", stamp, names[level], area);
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    va_end(args);
    size_t length = body < 0 ? (size_t)head : (size_t)head + (size_t)body;
    if (length > sizeof line - 2) length = sizeof line - 2;
    for (size_t i = (size_t)head; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    }
    line[length++] = '\n';
    // A log that cannot be written must not stop the server; there is nobody left to tell.
    (void)!write(STDERR_FILENO, line, length);
}
