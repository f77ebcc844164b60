// SPDX-License-Identifier: Apache-2.0
//
// block: what to execute, as bytes in a sealed memfd: a header, then NUL-terminated texts: path, argv, envp. Written by
// the server, read by the function process inside the sandbox after it has given up every privilege; seals make sure
// that it cannot change between check and use.
#ifndef SL_JAIL_BLOCK_H
#define SL_JAIL_BLOCK_H

#include <stdint.h>

struct sl_jail__exec {
    const char *path;
    char **argv;
    char **envp;
};

// Maps and checks the block of fd. Returns 0 or -errno (-EINVAL for anything that is not a sealed, well-formed block).
// What it points to lives until exec.
int sl_jail__block_read(int fd, struct sl_jail__exec *ret_exec);

#endif
