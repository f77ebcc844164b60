// SPDX-License-Identifier: Apache-2.0
//
// init: the builder of a sandbox that becomes its pid 1.
#ifndef SL_JAIL_INIT_H
#define SL_JAIL_INIT_H

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

#include "jail/cgroup.h"
#include "jail/netns.h"

// All that a shell needs to know; filled by the spawner, inherited by fork.
struct sl_jail__shell_plan {
    int control;   // socket to the spawner
    int stem;      // mount namespace to copy
    int netns;     // recycled network namespace, or -1: make one
    bool network;  // with eth0
    uint64_t sent; // see sl_jail__netns_recycle; told with READY
    unsigned slot;
    const struct sl_jail__router *router;
    const struct sl_jail__cgroups *cgroups;
    const struct sl_jail__cgroup *cgroup;
    const struct sock_fprog *filter;
    bool change_ids;  // false: rootless with a single id
    uid_t uid;        // of the function
    uid_t init_uid;   // of pid 1 once it has given up root
    bool own_user_ns; // see struct sl_jail__confine
};

// Forks a process into new pid, ipc and uts namespaces that builds a shell and reports READY or FAILED on its control
// socket. Returns its pid or -errno. The child never returns from this.
pid_t sl_jail__shell_fork(const struct sl_jail__shell_plan *plan);

#endif
