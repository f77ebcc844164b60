// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of logs/ share.
//
//   group.c    groups, retention, tags; the table of operations     stream.c   streams
//   put.c      PutLogEvents                                         read.c     GetLogEvents, FilterLogEvents
//   pattern.c  filter patterns                                      query.c    operations that read files
//   tail.c     StartLiveTail
//
// Documents: "logs.group" (account, region, "", group) {"creationTime", "retentionInDays", "_tags"}; "logs.stream"
// (account, region, group, stream) {"creationTime", "_from": events before this position are not the stream's,
// "_gone"}.
#ifndef SL_SERVICES_LOGS_INTERNAL_H
#define SL_SERVICES_LOGS_INTERNAL_H

#include "aws/app.h"
#include "observe/logs.h"
#include "services/logs/logs.h"
#include "store/store.h"

struct sl_logs *sl_logs__of(const struct sl_op *op);
struct sl_key sl_logs__group_key(const struct sl_op *op, struct sl_str group);
struct sl_key sl_logs__stream_key(const struct sl_op *op, struct sl_str group, struct sl_str stream);
struct sl_log_group sl_logs__group(const struct sl_op *op, struct sl_str name);
// The group of logGroupName, or of logGroupIdentifier (a name or an ARN).
struct sl_str sl_logs__group_name(const struct sl_op *op);
// The name in an identifier, which is one or an ARN.
struct sl_str sl_logs__name_in(struct sl_str text);
// The group's document; of a group that only has a log, an empty one. SL_E_RESOURCE_NOT_FOUND if there is neither.
int sl_logs__load_group(struct sl_op *op, struct sl_str name, struct sl_json **ret, struct sl_error *err);
int sl_logs__no_stream(struct sl_error *err);
// "arn:aws:logs:REGION:ACCOUNT:log-group:NAME", without ":*".
struct sl_str sl_logs__arn(struct sl_op *op, struct sl_str group);

// An operation that reads files: `load` in a read-only job on the storage thread, then `work` on a worker thread, then
// the answer. Both may fail. *sl_logs__state(op) is theirs, `state` at
// first.
int sl_logs__query(struct sl_op *op, int (*load)(struct sl_op *op, struct sl_error *err),
                   int (*work)(struct sl_op *op, struct sl_error *err), void *state, struct sl_error *err);

void **sl_logs__state(struct sl_op *op);

// Pages: the names of `names` (strings, sorted here bytewise) after the token of nextToken.
struct sl_logs__names {
    struct sl_str *list;
    unsigned count, cap;
};
bool sl_logs__add_name(struct sl_arena *arena, struct sl_logs__names *names, struct sl_str name);
void sl_logs__sort_names(struct sl_logs__names *names); // and takes doubles out
int sl_logs__bad_token(struct sl_error *err);

// ---- patterns
struct sl_logs__pattern;
// NULL text or "": everything. SL_E_LOGS_PARAMETER for one that cannot be understood.
int sl_logs__pattern_parse(struct sl_arena *arena, struct sl_str text, struct sl_logs__pattern **ret,
                           struct sl_error *err);
// `scratch` is reset.
bool sl_logs__pattern_matches(const struct sl_logs__pattern *pattern, struct sl_arena *scratch, struct sl_str message);

// ---- handlers
int sl_logs__create_stream(struct sl_op *op, struct sl_error *err);
int sl_logs__delete_stream(struct sl_op *op, struct sl_error *err);
int sl_logs__describe_streams(struct sl_op *op, struct sl_error *err);
int sl_logs__put_events(struct sl_op *op, struct sl_error *err);
int sl_logs__get_events(struct sl_op *op, struct sl_error *err);
int sl_logs__filter_events(struct sl_op *op, struct sl_error *err);
int sl_logs__start_live_tail(struct sl_op *op, struct sl_error *err);

#endif
