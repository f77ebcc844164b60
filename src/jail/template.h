// SPDX-License-Identifier: Apache-2.0
//
// template: the spawner's side of a template (jail.h): a trusted process, started by the spawner, that puts copies of
// itself into sandboxes. It sees the same files as a sandbox, has network, ipc and host name of its own (nothing), a
// control group of its own, and of root's capabilities only those that entering a sandbox needs. It shares the
// spawner's pid namespace, because a copy can be made only into a namespace below one's own. Copies are made with
// CLONE_PARENT: they are the spawner's children, as init is.
//
//   NONE ─start─► BOOTING ─BOOTED─► READY ─kill, or its end─► (reaped) NONE
//
// The other side is preload.c, a shared library that is part of this program (template_library) and is loaded into the
// bootstrap before the C library.
#ifndef SL_JAIL_TEMPLATE_H
#define SL_JAIL_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jail/cgroup.h"
#include "jail/proto.h"

struct sl_jail__shells;
struct sl_jail__slot;

enum sl_jail__template_state { SL_JAIL__TEMPLATE_NONE, SL_JAIL__TEMPLATE_BOOTING, SL_JAIL__TEMPLATE_READY };

enum {
    SL_JAIL__TEMPLATE_FORKS = 16, // under way at a time; beyond them blanks are executed
    // Descriptors of the template, known to preload.c.
    SL_JAIL__TEMPLATE_CONTROL = 3,
    SL_JAIL__TEMPLATE_FILTER = 4, // the system call filter's program
};

struct sl_jail__template {
    enum sl_jail__template_state state;
    pid_t pid;
    int control;
    unsigned forks; // under way
    bool killed;
    bool failed; // it said why
    int error;
    char step[SL_JAIL__STEP];
    struct sl_jail__cgroup cgroup;
    struct sl_jail__cgroup former; // of the one before, while a copy that was just made is still in it
};

// The shared library, as bytes (made by the build).
extern const unsigned char sl_jail__template_library[];
extern const size_t sl_jail__template_library_size;

void sl_jail__template_init(struct sl_jail__template *template);
// Starts one that is NONE, and watches its socket with epoll under tag. 0 or -errno with *ret_step.
int sl_jail__template_start(struct sl_jail__template *template, struct sl_jail__shells *shells, int epoll, uint64_t tag,
                            int block, uint32_t memory_mb, const char **ret_step);
bool sl_jail__template_can_fork(const struct sl_jail__template *template);
// Asks for a copy in the slot's sandbox. 0 or -errno.
int sl_jail__template_fork(struct sl_jail__template *template, struct sl_jail__shells *shells,
                           const struct sl_jail__slot *slot, const struct sl_jail__go *go, int log, int input);
void sl_jail__template_kill(struct sl_jail__template *template);
// After it was reaped.
void sl_jail__template_release(struct sl_jail__template *template, const struct sl_jail__shells *shells);
// Removes what could not be removed then. Whether something stays: again, later.
bool sl_jail__template_clean(struct sl_jail__template *template, const struct sl_jail__shells *shells);

#endif
