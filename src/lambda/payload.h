// SPDX-License-Identifier: Apache-2.0
//
// payload: whether an invocation's payload is JSON, in AWS's words.
#ifndef SL_LAMBDA_PAYLOAD_H
#define SL_LAMBDA_PAYLOAD_H

#include "base/error.h"

// 0, or SL_E_INVALID_REQUEST_CONTENT. Reads the payload once; any thread.
int sl_lambda__payload_check(struct sl_str payload, struct sl_error *err);

#endif
