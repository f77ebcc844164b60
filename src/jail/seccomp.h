// SPDX-License-Identifier: Apache-2.0
//
// seccomp: the system calls that a function may make. Compiled once by the spawner, loaded by every function process as
// its last step before exec (confine.h).
#ifndef SL_JAIL_SECCOMP_H
#define SL_JAIL_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>

struct sl_error;

// Builds the filter. charged: a control group counts the memory of sandboxes, whatever holds it. 0 or an error kind.
// *ret_program is allocated once and lives as long as the process.
int sl_jail__seccomp_compile(bool charged, struct sock_fprog *ret_program, struct sl_error *err);

#endif
