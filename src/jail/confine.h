// SPDX-License-Identifier: Apache-2.0
//
// confine: how a process becomes one that may run a function's code: control groups, user id, no capabilities, no new
// ones, Landlock, the system call filter, in this order. Used by the processes of a sandbox (init.c) and by the copies
// of templates (preload.c, a shared library of its own: what is included here must not need more than libc).
#ifndef SL_JAIL_CONFINE_H
#define SL_JAIL_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct sl_jail__confine {
    const int *tasks_dirs; // version 1 control groups to enter
    unsigned tasks_count;
    bool change_ids;  // false: rootless with a single id
    uid_t uid;        // the function's user and group
    bool own_user_ns; // rootless with a single id: a user namespace for the function, so that its processes are counted
                      // alone
    const struct sock_fprog *filter;
};

// fork() into namespaces and a version 2 cgroup (-1: none). Raw, because libc offers no clone3; callers are
// single-threaded, and the child uses no libc function that depends on the cached thread id. A pid or -errno.
pid_t sl_jail__fork_into(uint64_t namespaces, int cgroup);

// All of it, in the process itself, inside the sandbox's mount namespace. 0 or -errno with *ret_step; a process that
// failed must end.
int sl_jail__confine(const struct sl_jail__confine *confine, const char **ret_step);

// For the calling process and what it executes: an event's arrival there does not interrupt the server while it hands
// out others. On a busy core that saves switching; best effort.
void sl_jail__give_way(void);

// The pieces that init needs for itself.
//
// Empties the bounding set (first of all: once it is empty, no exec can give a capability back) but for those in keep
// (a bit each), and sets no_new_privs.
int sl_jail__drop_bounding_set(uint64_t keep);
int sl_jail__become(bool change_ids, uid_t uid);
// Limits that all processes of sandboxes have.
void sl_jail__set_limits(void);
// Lowers one; a hard limit that is lower already stays.
void sl_jail__limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard);
void sl_jail__reset_signals(void);

#endif
