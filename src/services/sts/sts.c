// SPDX-License-Identifier: Apache-2.0
//
// sts: GetCallerIdentity, from what the engine knows of the caller. No store.
#include "services/sts/sts.h"

static int get_caller_identity(struct sl_op *op, struct sl_error *err) {
    (void)err;
    sl_op_out(op, "UserId", op->caller_id);
    sl_op_out(op, "Account", op->account);
    sl_op_out(op, "Arn", op->caller);
    return 0;
}

const struct sl_op_entry sl_sts_operations[] = {
    {"sts", "GetCallerIdentity", SL_OP_STORE, NULL, get_caller_identity, NULL, NULL},
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
