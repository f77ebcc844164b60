// SPDX-License-Identifier: Apache-2.0
//
// policy_document: what policy.c and layer_policy.c share about the documents that they keep.
#ifndef SL_LAMBDA_POLICY_DOCUMENT_H
#define SL_LAMBDA_POLICY_DOCUMENT_H

#include "lambda/internal.h"

// The list of a policy's statements; NULL for a NULL document.
struct sl_json *sl_lambda__policy_statements(const struct sl_json *document);
bool sl_lambda__policy_has(const struct sl_json *document, struct sl_str sid);
// 409 if the policy has such a statement already.
int sl_lambda__policy_check_new(const struct sl_json *document, struct sl_str sid, struct sl_error *err);
// Puts the statement at the end, answers it (member Statement), and checks the size. *document NULL: a new policy.
int sl_lambda__policy_add(struct sl_op *op, struct sl_json **document, struct sl_json *statement, struct sl_error *err);
// Takes the statement out; false when none is left.
bool sl_lambda__policy_drop(struct sl_op *op, struct sl_json *document, struct sl_str sid);
struct sl_str sl_lambda__policy_text(struct sl_op *op, const struct sl_json *document);

#endif
