// SPDX-License-Identifier: Apache-2.0
//
// logs: what functions print, what the platform says about their invocations, and what clients of CloudWatch Logs put:
// events with a time and a stream, kept per log group in bounded text files under logs/ of the data directory. Loop
// threads append to a buffer of their own; a writer thread takes full or old buffers, cuts them into lines and writes.
// Nothing here ever blocks a loop: over the bound, lines are dropped and counted, and the count is written.
//
// Threads: sl_logs_append and sl_logs_flush on loop threads; everything else on any thread. sl_logs_scan and what is
// below it read files: not on loop threads.
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

struct sl_log_group {
    struct sl_str account, region, name;
};

// Appends `text` (lines; each becomes an event of this moment) to the group's log. `loop` is the calling loop's index.
void sl_logs_append(struct sl_logs *logs, unsigned loop, const struct sl_log_group *group, struct sl_str stream,
                    struct sl_str text);
// Hands this loop's buffer to the writer; called by the daemon about ten times a second and when a buffer is large.
void sl_logs_flush(struct sl_logs *logs, unsigned loop);

// The text of a group's log from byte `*offset` of its file on (negative: that many bytes before the end, from the
// start of an event), reading at most `max` bytes, appended to `out`; *offset is moved. SL_E_NOT_FOUND when the group
// has no log yet. A file that was rotated starts again at 0.
int sl_logs_read(struct sl_logs *logs, const struct sl_log_group *group, int64_t *offset, size_t max,
                 struct sl_buf *out, struct sl_error *err);

// ---- events ---------------------------------------------------------------------------------------------------------

struct sl_log_event {
    int64_t time_ms, taken_ms; // as its maker says; when it came here
    int64_t position;          // ascending within the group, also over restarts; never given twice
    struct sl_str stream;
    struct sl_str text; // scanning: still escaped, see sl_log_unescape
};
// Hands events of one stream to the writer as they are. SL_E_UNAVAILABLE when it is too far behind.
int sl_logs_put(struct sl_logs *logs, const struct sl_log_group *group, struct sl_str stream,
                const struct sl_log_event *events, unsigned count, int64_t now_ms, struct sl_error *err);
// Waits until everything handed to the writer before is in the files.
void sl_logs_settle(struct sl_logs *logs);
// Every event of the group, in the order in which they came, until `each` says false. Views are valid during the call;
// nothing is called for a group without a log.
int sl_logs_scan(struct sl_logs *logs, const struct sl_log_group *group,
                 bool (*each)(void *user, const struct sl_log_event *event), void *user, struct sl_error *err);
// The same, but only events from *position on (sl_logs_stat's next_position: none yet), which is moved behind the last;
// costs as much as there is from there on.
int sl_logs_scan_from(struct sl_logs *logs, const struct sl_log_group *group, int64_t *position,
                      bool (*each)(void *user, const struct sl_log_event *event), void *user, struct sl_error *err);
// The real text: with line ends and backslashes. Appends to out.
void sl_log_unescape(struct sl_buf *out, struct sl_str text);

// ---- groups that have a log -----------------------------------------------------------------------------------------

struct sl_log_stat {
    int64_t created_ms, bytes;
    int64_t next_position; // of the next event that will be written
};
// False when there is none.
bool sl_logs_stat(struct sl_logs *logs, const struct sl_log_group *group, struct sl_log_stat *ret);
// Names of all groups of an account and region that have a log, in no order. Views are valid during the call.
void sl_logs_groups(struct sl_logs *logs, struct sl_str account, struct sl_str region,
                    void (*each)(void *user, struct sl_str name), void *user);
void sl_logs_remove(struct sl_logs *logs, const struct sl_log_group *group);

#endif
