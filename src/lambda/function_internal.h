// SPDX-License-Identifier: Apache-2.0
//
// function_internal: what function.c and function_code.c share about a function's code.
#ifndef SL_LAMBDA_FUNCTION_INTERNAL_H
#define SL_LAMBDA_FUNCTION_INTERNAL_H

#include "lambda/internal.h"

// `code`: the Code member of CreateFunction, or UpdateFunctionCode's input. Finds the package, or fails with AWS's
// error.
int sl_lambda__code_source(struct sl_op *op, const struct sl_json *code, struct sl_str *ret_zip, struct sl_error *err);
// The `prepare` half of an operation that brings a function's code, whatever it is: a package or a folder.
int sl_lambda__code_intake(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                           struct sl_error *err);
// Writes CodeSha256, CodeSize and "_code".
void sl_lambda__code_put(struct sl_op *op, struct sl_json *document, const struct sl_lambda__code *code);

#endif
