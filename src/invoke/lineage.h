// SPDX-License-Identifier: Apache-2.0
//
// lineage: which functions a chain of invocations has been through, and how often, as part of the trace header, the way
// AWS does it (Lambda developer guide, "Use Lambda recursive loop detection"; X-Ray developer guide, "Tracing header":
// "Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2"). AWS's SDKs pass the header on from _X_AMZN_TRACE_ID; SQS keeps it with
// the message; so a function that reaches itself again finds its own count.
//
// Pure functions, any thread.
#ifndef SL_INVOKE_LINEAGE_H
#define SL_INVOKE_LINEAGE_H

#include "base/str.h"

enum {
    SL_LINEAGE_LIMIT = 16, // "approximately 16 times"
    SL_TRACE_MAX = 512,
};

// How often the function (unqualified ARN) has been invoked in the chain that this header describes.
unsigned sl_lineage_count(struct sl_str trace, struct sl_str arn);
// The header as the function sees it: with one more invocation of it. Its length; out is not terminated. Functions that
// do not fit any more are forgotten, the oldest first.
size_t sl_lineage_enter(struct sl_str trace, struct sl_str arn, char out[static SL_TRACE_MAX]);

#endif
