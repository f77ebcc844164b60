// SPDX-License-Identifier: Apache-2.0
//
// log: one line per record on standard error: "2026-01-02T03:04:05.678Z info  area: message". Any thread; a record is
// one write(2), so lines never interleave. Never on the warm path (that is the access log's and the metrics' place).
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

// Records above this level are dropped. Default: info.
void sl_log_set_level(enum sl_log_level level);
enum sl_log_level sl_log_level(void);
// Control characters in the message are replaced by '?', so that a hostile name cannot forge a line. Truncated at 4
// KiB.
void sl_log(enum sl_log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define sl_log_error(area, ...) sl_log(SL_LOG_ERROR, area, __VA_ARGS__)
#define sl_log_warn(area, ...)  sl_log(SL_LOG_WARN, area, __VA_ARGS__)
#define sl_log_info(area, ...)  sl_log(SL_LOG_INFO, area, __VA_ARGS__)
#define sl_log_debug(area, ...) sl_log(SL_LOG_DEBUG, area, __VA_ARGS__)

#endif
