// SPDX-License-Identifier: Apache-2.0
//
// seccomp: an allow-list. What is not named answers ENOSYS, so that C libraries fall back from calls newer than this
// list; calls that exist to gain power answer EPERM, so that programs (and people) see a refusal rather than an old
// kernel. A foreign architecture (i386 entry, x32) is killed: its call numbers would be judged by the wrong table.
//
// Arguments are looked at where the call is needed but a use of it is not: socket families (AF_VSOCK is not confined by
// a network namespace, so only UNIX, INET, INET6 and routing NETLINK exist), namespace flags of clone, personality.
// clone3 passes its flags by pointer, which a filter cannot read: ENOSYS makes libc use clone. An argument is compared
// for equality only: the kernel looks at 32 of its 64 bits where it takes an int, so a value with more bits set would
// pass an inequality and mean something else behind it.
//
// What belongs to the whole machine is not for functions either: huge pages (a pool without an owner), the kernel's
// asynchronous input and output (65,536 requests for everybody), flushing every file system (sync and syncfs say that
// they did: everything that a function can write is in memory).
#include "jail/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

// Names unknown to this libseccomp or absent on this architecture are skipped.
static const char *const allowed[] = {
    // files
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "ioctl",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vmsplice",
    "write",
    "writev",
    "cachestat",
    // waiting
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_ctl_old",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "epoll_wait_old",
    "eventfd",
    "eventfd2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    // memory
    "brk",
    "madvise",
    "membarrier",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "process_madvise",
    "remap_file_pages",
    "get_mempolicy",
    "map_shadow_stack",
    // processes and threads
    "arch_prctl",
    "capget",
    "capset",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "tgkill",
    "tkill",
    "vfork",
    "wait4",
    "waitid",
    // signals and time
    "alarm",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "pause",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "setitimer",
    "sigaltstack",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "times",
    // communication
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    // the machine
    "getrandom",
    "sysinfo",
    "uname",
};

static const char *const refused[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "fanotify_mark",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "memfd_secret",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
};

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int call = seccomp_syscall_resolve_name(names[i]);
        if (call < 0) continue; // __NR_SCMP_ERROR: unknown; other negative numbers: not on this architecture
        int rc = seccomp_rule_add(filter, action, call, 0);
        if (rc != 0) return rc;
    }
    return 0;
}

// Streams and datagrams by TCP and UDP. Any other protocol would make the kernel look for a module, by running a
// program on the host: code that nobody has asked for (SCTP, RDS...), and work that is not counted as the sandbox's.
// Raw sockets need a capability; EPERM is what the kernel would say, too.
static int add_internet(scmp_filter_ctx filter, unsigned family) {
    static const struct {
        unsigned kind, protocol;
    } pairs[] = {{SOCK_STREAM, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, 0}, {SOCK_DGRAM, IPPROTO_UDP}};
    const unsigned mask = 0xf; // the rest of the argument are SOCK_NONBLOCK and SOCK_CLOEXEC
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2, SCMP_A0_32(SCMP_CMP_EQ, family),
                              SCMP_A1_32(SCMP_CMP_MASKED_EQ, mask, SOCK_RAW));
    for (size_t i = 0; rc == 0 && i < sizeof pairs / sizeof pairs[0]; i++) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, SCMP_A0_32(SCMP_CMP_EQ, family),
                              SCMP_A1_32(SCMP_CMP_MASKED_EQ, mask, pairs[i].kind),
                              SCMP_A2_32(SCMP_CMP_EQ, pairs[i].protocol));
    }
    return rc;
}

// Memory that no limit would count is not given: huge pages, and where there is no memory control group also files
// without a mapping (init's watch adds up what processes have mapped).
static int add_memory(scmp_filter_ctx filter, bool charged) {
    int rc =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, 0));
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
                              SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, MAP_HUGETLB));
    }
    if (rc == 0 && charged) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(memfd_create), 1,
                              SCMP_A1_32(SCMP_CMP_MASKED_EQ, MFD_HUGETLB, 0));
    }
    if (rc == 0) rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(sync), 0);
    if (rc == 0) rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(syncfs), 0);
    return rc;
}

static int add_arguments(scmp_filter_ctx filter) {
    // 0: ask; the others: Linux, 32-bit uname, ADDR_NO_RANDOMIZE-free variants that language runtimes set (as Docker
    // allows).
    static const unsigned personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    const scmp_datum_t namespaces =
        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
    if (rc == 0) rc = add_internet(filter, AF_INET);
    if (rc == 0) rc = add_internet(filter, AF_INET6);
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0_32(SCMP_CMP_EQ, AF_NETLINK),
                              SCMP_A2_32(SCMP_CMP_EQ, 0 /* NETLINK_ROUTE */));
    }
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
    }
    for (size_t i = 0; rc == 0 && i < sizeof personalities / sizeof personalities[0]; i++) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
                              SCMP_A0_32(SCMP_CMP_EQ, personalities[i]));
    }
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
    }
    return rc;
}

// The compiled program, by way of a memory file, because the library can only write it to a descriptor.
static int export_program(scmp_filter_ctx filter, struct sock_fprog *ret_program) {
    struct stat info;
    int fd = memfd_create("sluice-seccomp", MFD_CLOEXEC);
    if (fd < 0) return -errno;
    int rc = seccomp_export_bpf(filter, fd);
    if (rc == 0 && fstat(fd, &info) != 0) rc = -errno;
    if (rc == 0) {
        size_t size = (size_t)info.st_size;
        ret_program->filter = malloc(size);
        ret_program->len = (unsigned short)(size / sizeof(struct sock_filter));
        if (ret_program->filter == NULL)
            rc = -ENOMEM;
        else if (pread(fd, ret_program->filter, size, 0) != (ssize_t)size)
            rc = -EIO;
    }
    close(fd);
    return rc;
}

int sl_jail__seccomp_compile(bool charged, struct sock_fprog *ret_program, struct sl_error *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL) return sl_fail(err, SL_E_NO_MEMORY, "prepare the system call filter");
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    // 2 = a binary tree: about 9 comparisons for a call rather than up to 300. Older libraries lack it; the list works
    // too.
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0) rc = add_names(filter, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof allowed[0]);
    if (rc == 0) rc = add_names(filter, SCMP_ACT_ERRNO(EPERM), refused, sizeof refused / sizeof refused[0]);
    if (rc == 0) rc = add_arguments(filter);
    if (rc == 0) rc = add_memory(filter, charged);
    if (rc == 0) rc = export_program(filter, ret_program);
    seccomp_release(filter);
    if (rc != 0) return sl_fail(err, SL_E_INTERNAL, "compile the system call filter: %s", strerror(-rc));
    return SL_OK;
}
