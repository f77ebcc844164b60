// SPDX-License-Identifier: Apache-2.0
//
// cgroup: memory, cpu and process limits of sandboxes behind one interface, on version 1 (a hierarchy per controller),
// version 2 (one tree) and machines that mix them; each controller is used where it is found.
//
// Names. Below the place we may use, every spawner makes one directory "sluice-<pid>-<start time>", and in it one
// directory "s<slot>.<generation>" per sandbox, made with the sandbox and removed with it, so that counters start at
// zero. Its owner holds a lock on it. A directory that nobody holds and whose owner (pid and start time) does not live
// is a leftover of a killed spawner and is removed by the next start of any.
//
// Entering. Writing a pid to `cgroup.procs` waits for an RCU grace period (5-15 ms on an idle machine). Version 2
// directories are entered at birth (CLONE_INTO_CGROUP); version 1 by the process itself writing "0" to `tasks`, which
// takes no lock.
//
// Owner: the spawner, single-threaded. Results: 0 or -errno.
#ifndef SL_JAIL_CGROUP_H
#define SL_JAIL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_JAIL__MEMORY = 1, SL_JAIL__CPU = 2, SL_JAIL__PIDS = 4, SL_JAIL__CONTROLLERS = 7 };
enum { SL_JAIL__FREEZER = 8 }; // version 1 only, used where there is no version 2 tree, which can always freeze
enum { SL_JAIL__HIERARCHIES = 5 };

// One mounted hierarchy that we use.
struct sl_jail__hierarchy {
    int version;
    unsigned controllers;
    char mount[256]; // mount point, for messages
    char own[512];   // the directory of this process in it, as a path
    char base[600];  // the directory in which ours lies
    int parent;      // descriptor of sluice-<pid>-<start time>, -1 until made
};

struct sl_jail__cgroups {
    struct sl_jail__hierarchy at[SL_JAIL__HIERARCHIES];
    unsigned count;
    unsigned controllers; // that really work
    unsigned leftovers;   // directories of dead spawners that could not be removed yet: their processes are still dying
    char name[64];
};

// One sandbox: a directory per hierarchy.
struct sl_jail__cgroup {
    int dir[SL_JAIL__HIERARCHIES];
    char name[32];
    bool made;
};

struct sl_jail__limits {
    uint32_t memory_mb;
    uint32_t cpu_milli; // 0 = none
    uint32_t pids;
};

// Looks for hierarchies and controllers; makes nothing. Never fails: finding none gives count 0.
void sl_jail__cgroups_find(struct sl_jail__cgroups *cgroups);
// What cgroups_open would get, without making or changing anything: fills controllers of cgroups and of each hierarchy.
void sl_jail__cgroups_look(struct sl_jail__cgroups *cgroups);
// Removes leftovers of dead spawners, then makes our directories. Hierarchies in which that is not allowed are left
// out.
void sl_jail__cgroups_open(struct sl_jail__cgroups *cgroups);
// Tries again to remove leftovers.
void sl_jail__cgroups_sweep(struct sl_jail__cgroups *cgroups);
// Removes everything that cgroups_open and cgroup_make made. All sandboxes must be dead; waits up to a second for the
// kernel.
void sl_jail__cgroups_close(struct sl_jail__cgroups *cgroups);

void sl_jail__cgroup_init(struct sl_jail__cgroup *cgroup);
int sl_jail__cgroup_make(struct sl_jail__cgroups *cgroups, struct sl_jail__cgroup *cgroup, unsigned slot,
                         uint64_t generation);
int sl_jail__cgroup_limit(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                          const struct sl_jail__limits *limits);
int sl_jail__cgroup_limit_cpu(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                              uint32_t cpu_milli);
// The directory to pass to CLONE_INTO_CGROUP, or -1.
int sl_jail__cgroup_birth(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup);
// The version 1 directories, which the process that is to be limited enters itself. Returns how many.
unsigned sl_jail__cgroup_tasks(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup,
                               int ret_dirs[SL_JAIL__HIERARCHIES]);
// A new read-only descriptor for sl_jail_memory_peak, or -1.
int sl_jail__cgroup_memory_fd(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup);
// A new descriptor for sl_jail_freeze, or -1.
int sl_jail__cgroup_freeze_fd(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup);
// With a version 1 freezer: lets the group go on, so that what has been killed can die (version 2 kills frozen
// processes). True when there is one, and it may have to be done again, as the server can freeze at any time.
bool sl_jail__cgroup_thaw(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup);
// True when the kernel killed a process of the group for want of memory.
bool sl_jail__cgroup_oom(const struct sl_jail__cgroups *cgroups, const struct sl_jail__cgroup *cgroup);
// Closes and removes the directories. -EBUSY while the kernel still counts a dying process: call again later.
int sl_jail__cgroup_remove(const struct sl_jail__cgroups *cgroups, struct sl_jail__cgroup *cgroup);

// Version-specific halves (cgroup_v1.c, cgroup_v2.c); dir is the sandbox's directory in a hierarchy with these
// controllers.
int sl_jail__v1_limit(int dir, unsigned controllers, const struct sl_jail__limits *limits);
int sl_jail__v1_limit_cpu(int dir, uint32_t cpu_milli);
int sl_jail__v1_enter(int dir);
int sl_jail__v1_memory_fd(int dir);
bool sl_jail__v1_oom(int dir);
int sl_jail__v2_limit(int dir, unsigned controllers, const struct sl_jail__limits *limits);
int sl_jail__v2_limit_cpu(int dir, uint32_t cpu_milli);
int sl_jail__v2_memory_fd(int dir);
bool sl_jail__v2_oom(int dir);
bool sl_jail__v2_freezes(int dir);
// Chooses the directory below which a version 2 tree may be made; fills base (empty: none). Returns the controllers
// offered there.
unsigned sl_jail__v2_choose(struct sl_jail__hierarchy *hierarchy);
// Chooses and prepares the directory below which a version 2 tree may be made; fills base. Returns the controllers
// usable there.
unsigned sl_jail__v2_prepare(struct sl_jail__hierarchy *hierarchy);
// Enables controllers for the children of dir. Returns those that are enabled.
unsigned sl_jail__v2_enable(int dir, unsigned wanted);

#endif
