// SPDX-License-Identifier: Apache-2.0
//
// announce: see announce.h. One line of what there is, one warning for each thing that is weaker, in the words of
// docs/security.md. What sandboxes cannot do without (namespaces, the system call filter) is not weaker but missing:
// then they are not made at all.
#include "jail/announce.h"

#include "base/log.h"
#include "jail/landlock.h"
#include "jail/rootless.h"
#include "jail/shell.h"

static const char *version_of(const struct sl_jail__cgroups *cgroups, unsigned controller) {
    for (unsigned i = 0; i < cgroups->count; i++) {
        if (cgroups->at[i].controllers & controller) return cgroups->at[i].version == 1 ? "cgroup v1" : "cgroup v2";
    }
    return "none";
}

static void announce_limits(const struct sl_jail__shells *shells) {
    unsigned have = shells->cgroups.controllers;
    if (have != SL_JAIL__CONTROLLERS) {
        sl_log_warn("jail", "no control group for:%s%s%s; run `sluice doctor`", have & SL_JAIL__MEMORY ? "" : " memory",
                    have & SL_JAIL__CPU ? "" : " cpu", have & SL_JAIL__PIDS ? "" : " processes");
    }
    if ((have & SL_JAIL__MEMORY) == 0) {
        sl_log_warn("jail",
                    "weaker: the memory of functions is added up some times a second, without buffers of the kernel");
    }
    if ((have & SL_JAIL__CPU) == 0) sl_log_warn("jail", "weaker: a function can use every core");
    if ((have & SL_JAIL__PIDS) == 0) {
        bool nests = shells->change_ids || sl_jail__rootless_can_nest();
        sl_log_warn("jail", "weaker: processes are limited by user id%s",
                    nests ? "" : ", and all functions have the same one: each can use up the processes of all");
    }
}

void sl_jail__announce(const struct sl_jail__shells *shells) {
    bool landlock = sl_jail__landlock_is_there();
    sl_log_info("jail", "sandboxes: %s, memory limit: %s, cpu limit: %s, process limit: %s, %s network, %s",
                !shells->rootless    ? "made by root"
                : shells->change_ids ? "made by a user with ids of their own"
                                     : "made by a user",
                version_of(&shells->cgroups, SL_JAIL__MEMORY), version_of(&shells->cgroups, SL_JAIL__CPU),
                version_of(&shells->cgroups, SL_JAIL__PIDS), shells->router.ns >= 0 ? "filtered" : "no",
                landlock ? "Landlock" : "no Landlock");
    if (!shells->change_ids) {
        sl_log_warn("jail",
                    "weaker: all functions run with the user id of who started Sluice, in namespaces of their own");
    }
    announce_limits(shells);
    if (!landlock) {
        sl_log_warn("jail", "weaker: no Landlock in this kernel; only read-only mounts keep functions from writing");
    }
}
