// SPDX-License-Identifier: Apache-2.0
//
// internal: the form of a log file, shared by the writer (logs.c) and the readers (logs_read.c).
//
//   #1 <base> <created ms> <account> <region> <group>\n       its first line
//   <taken ms> <time ms, or "-" if the same> <stream> <text>\n
//
// Numbers are decimal; stream and group are percent-encoded, so that they hold no space; in the text a line end is
// "\n", a carriage return "\r", a backslash two. So a line is an event, a torn write spoils one line, and people can
// read it. `base` is what was written to the group's files before this one: base + offset is an event's position for
// ever.
#ifndef SL_OBSERVE_INTERNAL_H
#define SL_OBSERVE_INTERNAL_H

#include "observe/logs.h"

enum { SL_LOG_PATH = 256 };

// The group's file name below logs/: "account.region.group.log", NUL-terminated; returns its length.
size_t sl_log__path(const struct sl_log_group *group, char out[static SL_LOG_PATH]);
int sl_log__dir(const struct sl_logs *logs);

struct sl_log_head {
    int64_t base, created_ms;
    struct sl_str account, region, group; // percent-encoded, in the text given
    size_t len;                           // of the whole line
};
bool sl_log__parse_head(struct sl_str text, struct sl_log_head *ret);
void sl_log__put_encoded(struct sl_buf *out, struct sl_str text);

#endif
