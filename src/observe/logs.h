// SPDX-License-Identifier: Apache-2.0
//
// logs: what functions print and what the platform says about their invocations, kept per log group as bounded text
// files under logs/ of the data directory. Loop threads append to a buffer of their own; a writer thread takes full or
// old buffers and writes. Nothing here ever blocks a loop: over the bound, lines are dropped and counted, and the count
// is written.
//
// Threads: sl_logs_append and sl_logs_flush on loop threads; sl_logs_read_tail on any thread.
#ifndef SL_OBSERVE_LOGS_H
#define SL_OBSERVE_LOGS_H

#include "base/buf.h"
#include "base/error.h"

struct sl_logs;

// data_dir: directory fd (kept: duplicated), -1: in a temporary directory that is removed at close. `loops`: number of
// loop threads.
int sl_logs_open(struct sl_logs **ret, int data_dir, unsigned loops, struct sl_error *err);
// Writes what is buffered. NULL is allowed.
void sl_logs_close(struct sl_logs *logs);

// Appends `text` (whole lines) to the group's log. `loop` is the calling loop's index.
void sl_logs_append(struct sl_logs *logs, unsigned loop, struct sl_str account, struct sl_str region,
                    struct sl_str group, struct sl_str text);
// Hands this loop's buffer to the writer; called by the daemon about ten times a second and when a buffer is large.
void sl_logs_flush(struct sl_logs *logs, unsigned loop);

// Reads from byte `*offset` of the group's file on (negative: that many bytes before the end, from the start of a
// line), at most `max` bytes, appending to `out`; *offset is moved. SL_E_NOT_FOUND when the group has no log yet. A
// file that was rotated starts again at 0.
int sl_logs_read(struct sl_logs *logs, struct sl_str account, struct sl_str region, struct sl_str group,
                 int64_t *offset, size_t max, struct sl_buf *out, struct sl_error *err);

#endif
