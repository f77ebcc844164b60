// SPDX-License-Identifier: Apache-2.0
//
// invocation: what Invoke and InvokeWithResponseStream share (inside lambda/). See invoke_op.c.
#ifndef SL_LAMBDA_INVOCATION_H
#define SL_LAMBDA_INVOCATION_H

#include "lambda/internal.h"

// Reads what the request asks for: function, version, context, trace id, payload (checked to be JSON; {} when empty).
// The views live as long as the op; `done` and `user` are the caller's to set.
int sl_lambda__invocation(struct sl_op *op, struct sl_str payload, struct sl_invocation *ret, struct sl_error *err);
// sl_op_begin plus the fields that AWS adds to every answer of Invoke. trace_id may be empty.
void sl_lambda__invocation_begin(struct sl_op *op, int status, struct sl_str trace_id);
// The answer to an invocation that did not run.
void sl_lambda__invocation_refuse(struct sl_op *op, const struct sl_invocation_result *result);
// The log's end as the caller gets it.
struct sl_str sl_lambda__log_result(struct sl_arena *arena, struct sl_str tail);

int sl_lambda__invoke_stream(struct sl_op *op, struct sl_error *err);

#endif
