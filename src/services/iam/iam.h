// SPDX-License-Identifier: Apache-2.0
//
// iam: users, access keys, groups, roles, policies. They are kept here and published into the directory of callers
// (aws/identity.h), where requests are verified and decided.
#ifndef SL_SERVICES_IAM_IAM_H
#define SL_SERVICES_IAM_IAM_H

#include "aws/app.h"
#include "aws/op.h"

// Ends with an entry whose service is NULL.
extern const struct sl_op_entry sl_iam_operations[];

// Publishes what is stored, and AWS's managed policies, into app->callers' directory. At start, before requests.
int sl_iam_load(const struct sl_app *app, struct sl_error *err);

#endif
