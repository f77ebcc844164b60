// SPDX-License-Identifier: Apache-2.0
//
// begin: how the spawner becomes a program of its own. Every sandbox begins as two copies of the spawner, and a copy
// costs by the mapping, when it is made and when it ends: the server's program has eighty, most of them of libraries
// that no sandbox uses; this one has a dozen. It is linked statically, without the server's code, and travels inside
// the server's program as bytes. What it has to know it reads from a descriptor.
//
// sl_spawner_begin (begin.c) runs in the forked child, main (spawner_program.c) in the new program.
#ifndef SL_JAIL_BEGIN_H
#define SL_JAIL_BEGIN_H

#include "jail/jail.h"

#include <stddef.h>

// The program; of size 0 where none is built (with sanitizers, or for want of static libraries).
extern const unsigned char sl_jail__spawner_program[];
extern const size_t sl_jail__spawner_program_size;

// In the descriptor that its only argument names.
struct sl_jail__begin {
    int control;
    int log_level;
    struct sl_jail_config config;
};

#endif
