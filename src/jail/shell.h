// SPDX-License-Identifier: Apache-2.0
//
// shell: one sandbox from the spawner's side: a slot, which has a number (hence a user id, an address and network
// namespaces that outlive sandboxes), and, in turns, a sandbox in it.
//
//   FREE ─build─► BUILDING ─READY─► WAITING ─give─► STARTING ─it runs─► RUNNING ─(blank: adopt)─► RUNNING
//     ▲                │               │              │                                            │
//     └── CLEANING ◄───┴── its init was reaped: the whole tree is gone ────────────────────────────┘
//
// Every sandbox is used once. CLEANING lasts while the kernel refuses to remove its control groups.
#ifndef SL_JAIL_SHELL_H
#define SL_JAIL_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jail/init.h"
#include "jail/jail.h"
#include "jail/program.h"
#include "jail/proto.h"

struct sl_jail__template;

enum sl_jail__state {
    SL_JAIL__FREE,
    SL_JAIL__BUILDING,
    SL_JAIL__WAITING, // built, for a function to be given
    SL_JAIL__STARTING,
    SL_JAIL__RUNNING,
    SL_JAIL__CLEANING,
};

// A start or an adoption that has been accepted: what was asked, and the descriptors, directories already turned into
// mounts.
struct sl_jail__order {
    struct sl_jail__request request;
    int fds[SL_JAIL__ROLES];
};

// One program of a sandbox, as the spawner sees it. The main one is number 0.
struct sl_jail__run {
    enum sl_jail__program_state state;
    int process; // pidfd, or -1
    int log;     // read end of its own log, until it is sent with PROGRAM_STARTED, or -1
};

struct sl_jail__slot {
    enum sl_jail__state state;
    unsigned index;
    uint64_t id;                     // the server's, 0 while unused
    pid_t pid;                       // of its init
    pid_t main;                      // of a main program that is our own child, a template's copy; else 0
    int control;                     // socket to init
    int listener[SL_JAIL_LISTENERS]; // our copies of the listening sockets, to shut them when the sandbox ends
    int log;                         // read end, until it is sent with STARTED
    int memory;                      // for sl_jail_memory_peak, until it is sent with STARTED, or -1
    int freeze;                      // for sl_jail_freeze, the same
    int netns[2];                    // without and with network; kept for ever once made
    uint64_t sent;                   // by the one with network, see sl_jail__netns_recycle
    bool network;                    // of the present sandbox
    bool stopped;                    // by request
    bool keep;                       // spec.keep
    bool blank;                      // not adopted yet
    bool waits;         // ... and ready; a copy of a template may say so before it is known to have started
    bool adopting;      // init has the order
    bool killed;        // on its way out
    bool routed;        // and all but its init with it, see sl_jail__shell_hasten; due at
    uint64_t rout_at;   // (0: not known yet)
    bool active;        // init is done with START
    bool confined;      // the template's copy is in place
    uint32_t fds;       // RLIMIT_NOFILE and
    uint32_t processes; // RLIMIT_NPROC of its programs
    unsigned template;  // that it is forked from, 0: none
    bool has_status;    // the function's main process ended by itself, with this status
    int status;
    bool failed; // init reported this
    struct sl_jail__note failure;
    int64_t watched_peak;
    bool watched_oom;
    uint64_t generation; // number of the present sandbox, for names
    uint64_t freed;      // when it became FREE, for reuse in order
    struct sl_jail__run runs[1 + SL_JAIL_PROGRAMS_MAX];
    struct sl_jail__cgroup cgroup;
    struct sl_jail__limits limits; // that were written to it
};

enum { SL_JAIL__DYING_MS = 5 }; // between looks at what is dying

// What all slots share.
struct sl_jail__shells {
    struct sl_jail__slot *slots;
    unsigned count;
    int stem;
    struct sl_jail__router router;
    struct sl_jail__cgroups cgroups;
    struct sl_jail__limits usual; // the last order's, without cpu
    unsigned cores;
    struct sock_fprog filter;
    bool change_ids;
    bool rootless;
    uid_t first_uid;
    uint64_t generation;
};

void sl_jail__order_init(struct sl_jail__order *order, const struct sl_jail__request *request);
void sl_jail__order_close(struct sl_jail__order *order);
void sl_jail__slot_init(struct sl_jail__slot *slot, unsigned index);

// The user and group that its programs have.
uid_t sl_jail__slot_uid(const struct sl_jail__shells *shells, const struct sl_jail__slot *slot);

// Starts to build a sandbox in a FREE slot. 0 or -errno (the slot stays FREE).
int sl_jail__shell_build(struct sl_jail__shells *shells, struct sl_jail__slot *slot, bool network);
// Gives the order (still the caller's to close) to a WAITING sandbox. With a template, its copy becomes the main
// program. 0 or -errno with *ret_step.
int sl_jail__shell_give(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                        struct sl_jail__template *template, const char **ret_step);
// Makes a RUNNING blank the function's of the order (still the caller's to close). 0 or -errno with *ret_step.
int sl_jail__shell_adopt(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                         const char **ret_step);
// Runs a program whose process waits. 0 or -errno with *ret_step.
int sl_jail__shell_exec(struct sl_jail__shells *shells, struct sl_jail__slot *slot,
                        const struct sl_jail__request *request, int block, const char **ret_step);
// 0 = no limit. 0 or -errno.
int sl_jail__shell_set_cpu(const struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint32_t cpu_milli);
// Asks init for a socket. One that does not listen any more is dying.
void sl_jail__shell_connector(const struct sl_jail__slot *slot);
void sl_jail__shell_signal(const struct sl_jail__slot *slot, unsigned program, int number);
// Takes what READY says, and its descriptors.
void sl_jail__shell_ready(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__note *note,
                          int fds[SL_JAIL__FDS]);
// A version 1 freezer may have to be told more than once (sl_jail__shell_hasten).
void sl_jail__shell_kill(const struct sl_jail__shells *shells, struct sl_jail__slot *slot);
// Lets a killed sandbox die: thaws it, and when its init, which takes the others along, is not gone soon, kills the
// others. Init gives its memory back first, and for that it waits for the locks of the C library's mappings behind a
// thousand processes that fork: minutes, in which the machine waits as well. Milliseconds until it is to be called
// again, or -1.
int sl_jail__shell_hasten(const struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now);
// After init was reaped: closes what the sandbox had and removes its control groups: FREE, or CLEANING (then call
// sl_jail__shell_clean from time to time).
void sl_jail__shell_release(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now);
void sl_jail__shell_clean(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now);

#endif
