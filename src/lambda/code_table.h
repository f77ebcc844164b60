// SPDX-License-Identifier: Apache-2.0
//
// code_table: who uses which blob of code: what code.c asks (sl_lambda__code_use and _unuse are in internal.h). Any
// thread; every function holds one mutex for memory operations only.
#ifndef SL_LAMBDA_CODE_TABLE_H
#define SL_LAMBDA_CODE_TABLE_H

#include "lambda/internal.h"

// A pin keeps a blob that has no owner yet. False: out of memory.
bool sl_lambda__code_pin(struct sl_str sha256);
void sl_lambda__code_release(struct sl_str sha256);
// Whether the blob must stay: it has an owner or a pin, or lost the last one after `orphaned_before`.
bool sl_lambda__code_wanted(struct sl_str sha256, int64_t orphaned_before);
// Whether a sweep would find something that became an orphan before.
bool sl_lambda__code_due(int64_t orphaned_before);
// After a sweep: forgets what it deleted.
void sl_lambda__code_swept(int64_t orphaned_before);

#endif
