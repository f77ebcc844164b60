// SPDX-License-Identifier: Apache-2.0
//
// sts: who am I, which every tool asks first, and temporary credentials.
#ifndef SL_SERVICES_STS_STS_H
#define SL_SERVICES_STS_STS_H

#include "aws/op.h"

// Ends with an entry whose service is NULL.
extern const struct sl_op_entry sl_sts_operations[];

#endif
