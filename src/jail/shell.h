// SPDX-License-Identifier: Apache-2.0
//
// shell: one sandbox from the spawner's side: a slot, which has a number (hence a user id, an address and network
// namespaces that outlive sandboxes), and, in turns, a sandbox in it.
//
//   FREE ─build─► BUILDING ─READY─► WAITING ─give─► STARTING ─EXECED─► RUNNING
//     ▲                │               │              │                 │
//     └── CLEANING ◄───┴── its init was reaped: the whole tree is gone ─┘
//
// Every sandbox is used once. CLEANING lasts while the kernel refuses to remove its control groups.
#ifndef SL_JAIL_SHELL_H
#define SL_JAIL_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jail/init.h"
#include "jail/proto.h"

enum sl_jail__state {
    SL_JAIL__FREE,
    SL_JAIL__BUILDING,
    SL_JAIL__WAITING, // built, for a function to be given
    SL_JAIL__STARTING,
    SL_JAIL__RUNNING,
    SL_JAIL__CLEANING,
};

struct sl_jail__slot {
    enum sl_jail__state state;
    unsigned index;
    uint64_t id;     // the server's, 0 while unused
    pid_t pid;       // of its init
    int control;     // socket to init
    int listener[2]; // our copies of the listening sockets, to shut them when the sandbox ends
    int log;         // read end, until it is sent with STARTED
    int netns[2];    // without and with network; kept for ever once made
    bool network;    // of the present sandbox
    bool stopped;    // by request
    bool has_status; // the function's main process ended by itself, with this status
    int status;
    bool failed; // init reported this
    struct sl_jail__note failure;
    int memory; // file of init's watch, until it is sent with STARTED, or -1
    int64_t watched_peak;
    bool watched_oom;
    uint64_t generation; // number of the present sandbox, for names
    uint64_t freed;      // when it became FREE, for reuse in order
    struct sl_jail__cgroup cgroup;
};

// What all slots share.
struct sl_jail__shells {
    struct sl_jail__slot *slots;
    unsigned count;
    int stem;
    struct sl_jail__router router;
    struct sl_jail__cgroups cgroups;
    struct sock_fprog filter;
    bool change_ids;
    bool rootless;
    uid_t first_uid;
    uint64_t generation;
};

// A start that has been accepted: what was asked, and the descriptors, already turned into mounts.
struct sl_jail__order {
    struct sl_jail__request request;
    int code;
    int opt;
    int block;
};

void sl_jail__order_close(struct sl_jail__order *order);

// Starts to build a sandbox in a FREE slot. 0 or -errno (the slot stays FREE).
int sl_jail__shell_build(struct sl_jail__shells *shells, struct sl_jail__slot *slot, bool network);
// Gives the order (still the caller's to close) to a WAITING sandbox. 0 or -errno with *ret_step.
int sl_jail__shell_give(struct sl_jail__shells *shells, struct sl_jail__slot *slot, const struct sl_jail__order *order,
                        const char **ret_step);
// Takes READY's descriptors.
void sl_jail__shell_ready(struct sl_jail__slot *slot, int fds[SL_JAIL__FDS]);
void sl_jail__shell_kill(const struct sl_jail__shells *shells, struct sl_jail__slot *slot);
// After init was reaped: closes what the sandbox had and removes its control groups: FREE, or CLEANING (then call
// sl_jail__shell_clean from time to time).
void sl_jail__shell_release(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now);
void sl_jail__shell_clean(struct sl_jail__shells *shells, struct sl_jail__slot *slot, uint64_t now);

#endif
