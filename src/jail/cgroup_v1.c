// SPDX-License-Identifier: Apache-2.0
//
// cgroup_v1: the files of version 1. Source: the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and
// Documentation/scheduler/sched-bwc.rst. The period stays at the kernel's 100 ms.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "jail/cgroup.h"
#include "jail/file.h"

enum { PERIOD_US = 100000, QUOTA_MIN_US = 1000 };

int sl_jail__v1_limit(int dir, unsigned controllers, const struct sl_jail__limits *limits) {
    int rc = 0;
    if (controllers & SL_JAIL__MEMORY) {
        int64_t bytes = (int64_t)limits->memory_mb << 20;
        // Memory plus swap must never be below memory, so the order depends on whether there is a limit to be raised.
        // Absent when the kernel does not account swap.
        rc = sl_jail__write_number(dir, "memory.limit_in_bytes", bytes);
        if (rc == -EINVAL) {
            rc = sl_jail__write_number(dir, "memory.memsw.limit_in_bytes", bytes);
            if (rc == 0) rc = sl_jail__write_number(dir, "memory.limit_in_bytes", bytes);
        } else if (rc == 0) {
            rc = sl_jail__write_number(dir, "memory.memsw.limit_in_bytes", bytes);
        }
        if (rc != 0 && rc != -ENOENT) return rc;
        // Buffers of sockets count apart here, and without a limit not at all: a sandbox could fill those of the whole
        // machine (net.ipv4.tcp_mem). Beyond it senders wait and datagrams are dropped.
        rc = sl_jail__write_number(dir, "memory.kmem.tcp.limit_in_bytes", bytes / 4);
        if (rc != 0 && rc != -ENOENT) return rc;
        rc = 0;
    }
    if (controllers & SL_JAIL__PIDS) rc = sl_jail__write_number(dir, "pids.max", limits->pids);
    if (rc == 0 && (controllers & SL_JAIL__CPU) && limits->cpu_milli != 0)
        rc = sl_jail__v1_limit_cpu(dir, limits->cpu_milli);
    return rc;
}

int sl_jail__v1_limit_cpu(int dir, uint32_t cpu_milli) {
    int64_t quota = (int64_t)cpu_milli * PERIOD_US / 1000;
    return sl_jail__write_number(dir, "cpu.cfs_quota_us",
                                 cpu_milli == 0         ? -1
                                 : quota < QUOTA_MIN_US ? QUOTA_MIN_US
                                                        : quota);
}

int sl_jail__v1_enter(int dir) { return sl_jail__write(dir, "tasks", "0"); }

int sl_jail__v1_memory_fd(int dir) { return openat(dir, "memory.max_usage_in_bytes", O_RDONLY | O_CLOEXEC); }

bool sl_jail__v1_oom(int dir) { return sl_jail__read_keyed(dir, "memory.oom_control", "oom_kill") > 0; }
