// SPDX-License-Identifier: Apache-2.0
//
// code_signing: what the operations on functions ask of code_signing.c.
#ifndef SL_LAMBDA_CODE_SIGNING_H
#define SL_LAMBDA_CODE_SIGNING_H

#include "lambda/internal.h"

// A configuration by its ARN, and its key; 404 in the words of its own operations.
int sl_lambda__signing_load(struct sl_op *op, struct sl_str arn, struct sl_key *ret_key, struct sl_json **ret,
                            struct sl_error *err);
// Gives the function (its $LATEST document, which the caller stores) the configuration; an empty ARN does nothing. 404
// if there is no such configuration.
int sl_lambda__signing_attach(struct sl_op *op, struct sl_json *latest, struct sl_str arn, struct sl_error *err);
// Forgets that the function uses its configuration; the document is left alone.
int sl_lambda__signing_detach(struct sl_op *op, const struct sl_json *latest, struct sl_error *err);
// Whether code may be deployed to the function.
int sl_lambda__signing_check(struct sl_op *op, const struct sl_json *latest, struct sl_error *err);

#endif
