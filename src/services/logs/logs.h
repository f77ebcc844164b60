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

// Ends with an entry whose service is NULL. Their op->app is a struct sl_app with `logs` set.
extern const struct sl_op_entry sl_logs_operations[];

#endif
