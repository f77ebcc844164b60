// SPDX-License-Identifier: Apache-2.0
//
// program: the processes of a sandbox that become its programs, the function's main one and external extensions. Each
// is forked by init while that is still privileged, confines itself, and waits to be told what to execute; so a program
// can be started in a sandbox that runs a function's code already, without any privilege being left in it or brought to
// it.
#ifndef SL_JAIL_PROGRAM_H
#define SL_JAIL_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "jail/init.h"
#include "jail/proto.h"

enum sl_jail__program_state {
    SL_JAIL__PROGRAM_NONE,
    SL_JAIL__PROGRAM_WAITING,
    SL_JAIL__PROGRAM_STARTING, // has been told what to execute
    SL_JAIL__PROGRAM_RUNNING,
    SL_JAIL__PROGRAM_ENDED,
};

// init's side of one.
struct sl_jail__program {
    enum sl_jail__program_state state;
    pid_t pid;
    int socket; // closed by exec
};

// Forks one, which does not return. 0 or -errno.
int sl_jail__program_fork(const struct sl_jail__shell_plan *plan, struct sl_jail__program *program);
// Waits until it is confined. 0, or -errno with *ret_note filled in.
int sl_jail__program_ready(struct sl_jail__program *program, struct sl_jail__note *ret_note);
// Tells it to execute the block of fds, with these standard descriptors; of go, fds and processes count. 0 or -errno.
int sl_jail__program_start(struct sl_jail__program *program, const struct sl_jail__go *go,
                           const int fds[SL_JAIL__ROLES]);
// When its socket is readable: EXECED or FAILED, into *ret_note. The socket is closed then.
void sl_jail__program_started(struct sl_jail__program *program, struct sl_jail__note *ret_note);

#endif
