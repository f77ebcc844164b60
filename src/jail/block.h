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

enum { SL_JAIL__BLANK_BLOCK_MAX = 64 << 10 }; // texts; what a stream socket takes without waiting for its reader

// Sends the block of fd, after the same checks, to the blank at the other end of a stream socket, which has never been
// sent anything. 0 or -errno (-E2BIG: larger than SL_JAIL__BLANK_BLOCK_MAX).
int sl_jail__block_send(int fd, int socket);

#endif
