// SPDX-License-Identifier: Apache-2.0
//
// preload: a template's fork(). Built as a shared library of its own, of this file and the few others that it needs,
// and loaded into a bootstrap before the C library (template.c), whose fork() it replaces. Runs in the template, which
// is trusted: no user's code has ever run in it. Not part of any other program.
//
// The bootstrap calls fork() once. That call stays here for good, waits for orders (struct sl_jail__fork), and for each
// makes a copy of the process, which enters the sandbox, confines itself like every program of a sandbox (confine.h),
// and returns 0 to the bootstrap. So the language does before and after what it does around every fork, and the copy
// believes in nothing else.
//
// The system call is raw, because the copy is to be the spawner's child (CLONE_PARENT) and in its control group at
// birth, which libc's fork() cannot do. What libc does besides is done here: the thread's id in libc's own memory
// (CLONE_CHILD_SETTID where libc has told the kernel that it lies), the robust list, the handlers of pthread_atfork
// (which is why __register_atfork is here as well).
//
// Copies must differ in what they draw at random. The kernel's generator and those that ask it are safe; languages
// renew their own after fork; OpenSSL knows a copy by its process id, which may be the same number in another
// namespace, so its generator is told in any case.
//
// Descriptors: what the language holds open (pipes and event descriptors of its own) is shared by all copies, which
// must not share anything. They are replaced by /dev/null under the same numbers, so that closing them goes well.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/confine.h"
#include "jail/file.h"
#include "jail/proto.h"
#include "jail/template.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    HANDLERS = 64,
    STRANGE = 64,        // descriptors of the language
    LOOKED_AT = 1024,    // highest descriptor that it may have
    LOW = 300,           // processes of a sandbox start below this
    GET_TID_ADDRESS = 40 // PR_GET_TID_ADDRESS
};

static struct {
    bool active;
    pid_t self;
    pid_t *thread_id; // libc's own
    void *robust_list;
    size_t robust_size;
    struct sock_fprog filter;
    void (*rand_add)(const void *bytes, int size, double entropy);
    int strange[STRANGE];
    unsigned strange_count;
} template;

static struct {
    void (*prepare)(void);
    void (*child)(void);
} handlers[HANDLERS];
static unsigned handler_count;

// What pthread_atfork() is in every program. Two more than the table takes would be forgotten: refused at boot.
EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library) {
    int (*next)(void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&next = dlsym(RTLD_NEXT, "__register_atfork");
    if (handler_count < HANDLERS) {
        handlers[handler_count].prepare = prepare;
        handlers[handler_count].child = child;
    }
    handler_count++;
    return next == NULL ? ENOSYS : next(prepare, parent, child, library);
}

__attribute__((constructor)) static void begin(void) {
    template.active = getenv("SLUICE_TEMPLATE") != NULL;
    // A program that the bootstrap starts while it boots is no template.
    (void)unsetenv("LD_PRELOAD");
    (void)fcntl(SL_JAIL__TEMPLATE_CONTROL, F_SETFD, FD_CLOEXEC);
    (void)fcntl(SL_JAIL__TEMPLATE_FILTER, F_SETFD, FD_CLOEXEC);
}

static void say(enum sl_jail__fork_kind kind, const struct sl_jail__fork *order, pid_t pid, int error,
                const char *step) {
    struct sl_jail__fork_note note = {.kind = kind, .pid = pid, .error = error};
    if (order != NULL) {
        note.slot = order->slot;
        note.generation = order->generation;
    }
    snprintf(note.step, sizeof note.step, "%s", step);
    (void)sl_jail__send(SL_JAIL__TEMPLATE_CONTROL, &note, sizeof note, NULL, 0);
}

// ---- once, when the bootstrap has booted ----

static bool has_threads(void) {
    struct stat info;
    return stat("/proc/self/task", &info) == 0 && info.st_nlink != 3; // ".", "..", and one
}

static int read_filter(void) {
    struct stat info;
    if (fstat(SL_JAIL__TEMPLATE_FILTER, &info) != 0) return -errno;
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, SL_JAIL__TEMPLATE_FILTER, 0);
    if (map == MAP_FAILED) return -errno;
    template.filter.filter = map;
    template.filter.len = (unsigned short)((size_t)info.st_size / sizeof(struct sock_filter));
    return close(SL_JAIL__TEMPLATE_FILTER) == 0 ? 0 : -errno;
}

static void find_openssl(void) {
    static const char *const names[] = {"libcrypto.so.3", "libcrypto.so.1.1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0] && template.rand_add == NULL; i++) {
        void *library = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
        if (library != NULL) *(void **)&template.rand_add = dlsym(library, "RAND_add");
    }
}

static int boot(const char **ret_step) {
    *ret_step = "find a single thread";
    if (has_threads()) return -EBUSY;
    *ret_step = "run what pthread_atfork() asked for";
    if (handler_count > HANDLERS) return -E2BIG;
    *ret_step = "find libc's thread id (a kernel with CONFIG_CHECKPOINT_RESTORE)";
    if (prctl(GET_TID_ADDRESS, &template.thread_id, 0, 0, 0) != 0 || template.thread_id == NULL) return -ENOSYS;
    if (*template.thread_id != (pid_t)syscall(SYS_gettid)) return -ENOSYS;
    *ret_step = "find libc's robust list";
    if (syscall(SYS_get_robust_list, 0, &template.robust_list, &template.robust_size) != 0) return -errno;
    *ret_step = "read the system call filter";
    int rc = read_filter();
    if (rc != 0) return rc;
    *ret_step = "look at open descriptors";
    for (int fd = 0; fd < LOOKED_AT; fd++) {
        if (fd <= SL_JAIL__TEMPLATE_CONTROL || fcntl(fd, F_GETFD) < 0) continue;
        if (template.strange_count == STRANGE) return -EMFILE;
        template.strange[template.strange_count++] = fd;
    }
    find_openssl();
    template.self = getpid();
    return 0;
}

// ---- a copy ----

static int clone_into(int cgroup) {
    pid_t high = LOW;
    struct clone_args args = {
        .flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
        .child_tid = (__u64)(uintptr_t) template.thread_id,
    };
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (__u64)cgroup;
    }
    // A language that knows copies by their process id must see another one.
    if (template.self < LOW) {
        args.set_tid = (__u64)(uintptr_t)&high;
        args.set_tid_size = 1;
    }
    long rc = syscall(SYS_clone3, &args, sizeof args);
    return rc < 0 ? -errno : (int)rc;
}

static int connect_output(const int *fds, const char **ret_step) {
    *ret_step = "connect standard input and output";
    if (dup2(fds[2], 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0) return -errno;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return -errno;
    for (unsigned i = 0; i < template.strange_count; i++) {
        if (dup3(null, template.strange[i], O_CLOEXEC) < 0) return -errno;
    }
    return 0;
}

static int enter(const struct sl_jail__fork *order, const int *fds, const char **ret_step) {
    (void)syscall(SYS_set_robust_list, template.robust_list, template.robust_size);
    *ret_step = "enter the sandbox";
    if (setns(fds[0], CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0 || chdir("/") != 0) return -errno;
    int rc = connect_output(fds, ret_step);
    if (rc != 0) return rc;
    sl_jail__limit(RLIMIT_NOFILE, order->fds, order->fds);
    if (order->processes != 0) sl_jail__limit(RLIMIT_NPROC, order->processes, order->processes);
    struct sl_jail__confine confine = {
        .tasks_dirs = fds + 3,
        .tasks_count = order->version_1,
        .change_ids = order->change_ids != 0,
        .uid = order->uid,
        .own_user_ns = order->own_user_ns != 0,
        .filter = &template.filter,
    };
    sl_jail__give_way();
    rc = sl_jail__confine(&confine, ret_step);
    if (rc != 0) return rc;
    unsigned char seed[48];
    *ret_step = "draw randomness";
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) return -EIO;
    if (template.rand_add != NULL) template.rand_add(seed, sizeof seed, sizeof seed);
    explicit_bzero(seed, sizeof seed);
    return 0;
}

static void become_copy(const struct sl_jail__fork *order, const int *fds) {
    const char *step = "";
    template.active = false;
    int rc = enter(order, fds, &step);
    if (rc != 0) {
        say(SL_JAIL__FORK_FAILED, order, 0, -rc, step);
        _exit(1);
    }
    say(SL_JAIL__CONFINED, order, 0, 0, "");
    int keep[STRANGE];
    memcpy(keep, template.strange, sizeof keep);
    sl_jail__close_except(keep, template.strange_count);
    // Only now, when nothing is left in this process that is not the sandbox's. Exec would have done it.
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    for (unsigned i = 0; i < handler_count; i++) {
        if (handlers[i].child != NULL) handlers[i].child();
    }
}

// Waits for orders. Returns in copies only.
static void serve(void) {
    int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    for (;;) {
        struct sl_jail__fork order;
        int fds[SL_JAIL__FDS];
        int rc = sl_jail__receive(SL_JAIL__TEMPLATE_CONTROL, &order, sizeof order, fds);
        if (rc <= 0) _exit(0); // the spawner is gone
        const char *step = "enter the sandbox's processes";
        pid_t pid = setns(fds[0], CLONE_NEWPID) != 0 ? -errno : 0;
        if (pid == 0) {
            step = "make a copy";
            pid = clone_into(order.version_2 != 0 ? fds[3 + order.version_1] : -1);
            if (pid == 0) {
                become_copy(&order, fds);
                return;
            }
        }
        say(pid > 0 ? SL_JAIL__FORKED : SL_JAIL__FORK_FAILED, &order, pid, pid < 0 ? -pid : 0, step);
        sl_jail__close_all(fds, SL_JAIL__FDS);
        if (own >= 0) (void)setns(own, CLONE_NEWPID); // not to hold on to a sandbox that may end
    }
}

EXPORT pid_t fork(void);
pid_t fork(void) {
    if (!template.active) {
        pid_t (*next)(void);
        *(void **)&next = dlsym(RTLD_NEXT, "fork");
        return next();
    }
    const char *step = "";
    int rc = boot(&step);
    if (rc != 0) {
        say(SL_JAIL__FORK_FAILED, NULL, 0, -rc, step);
        _exit(1);
    }
    for (unsigned i = handler_count; i > 0; i--) {
        if (handlers[i - 1].prepare != NULL) handlers[i - 1].prepare();
    }
    say(SL_JAIL__BOOTED, NULL, 0, 0, "");
    serve();
    return 0;
}
