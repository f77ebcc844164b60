// SPDX-License-Identifier: Apache-2.0
//
// logs: Amazon CloudWatch Logs over observe/logs.h, where functions' lines are: groups, streams, putting, reading and
// filtering events, retention, tags. A function's group exists from its first line on, as at AWS, its streams too.
//
// What is kept where: events in the log files; what clients said about groups and streams in the store. Events are not
// synced to disk before they are acknowledged, as little as functions' lines are: the last moment before a power loss
// may be missing.
#ifndef SL_SERVICES_LOGS_LOGS_H
#define SL_SERVICES_LOGS_LOGS_H

#include "aws/op.h"

// Sessions of StartLiveTail.
struct sl_log_tails;
int sl_log_tails_new(struct sl_log_tails **ret, struct sl_error *err);
// They end now, and none begins any more. Any thread, while the loops run.
void sl_log_tails_stop(struct sl_log_tails *tails);
// After the last operation has ended. NULL is allowed.
void sl_log_tails_free(struct sl_log_tails *tails);

// Ends with an entry whose service is NULL. Their op->app is a struct sl_app with `logs` and `tails` set.
extern const struct sl_op_entry sl_logs_operations[];

#endif
