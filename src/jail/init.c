// SPDX-License-Identifier: Apache-2.0
//
// init: see init.h. A sandbox is built ahead of time ("a shell"), with two processes that wait:
//
//   pid 1, init: root until the sandbox is given its function. It then mounts the code, forks a waiting process for
//   every
//     further program that may come, gives up every privilege, and only then lets the main program start. From there on
//     it waits for children and for orders to start further programs. When the main program ends it reports the status
//     and exits (unless the sandbox is to be kept), with which the kernel kills all that is left in the pid namespace.
//   pid 2: the process that becomes the main program (program.h).
//
// So when the first untrusted instruction runs, no process in the sandbox has a privilege left, and none comes in
// later. A blank is trusted code (ours and the language's): init stays root beside it until it is adopted. A blank that
// is a template's copy comes in as a further process, whose parent is the spawner; pid 2 is not needed then.
//
// Data flow: orders (struct sl_jail__go) from the spawner's socket; what the programs' sockets, SIGCHLD and a blank's
// socket tell becomes notes to the spawner. One loop, which waits for nobody: the function may stop or kill any process
// but this one. Death: init dies with the spawner (parent-death signal, or end-of-file on its socket), everything else
// dies with init.
#include "jail/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/block.h"
#include "jail/confine.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/program.h"
#include "jail/proto.h"
#include "jail/root.h"
#include "jail/watch.h"

struct init {
    struct sl_jail__shell_plan *plan;
    int signals;
    int peer; // socket to a blank's standard input, or -1
    int log;  // write end, while a program may still come that shares it, or -1
    bool peer_ready;
    bool main_at_start; // the main program was part of START: its failure is the sandbox's
    bool keep;
    struct sl_jail__watch watch;
    unsigned count; // programs that there can be, the main one included
    struct sl_jail__program programs[1 + SL_JAIL_PROGRAMS_MAX];
};

static void tell(const struct init *init, const struct sl_jail__note *note, const int *fds, unsigned count) {
    // The spawner reads; if it does not, it is dead, and so are we soon.
    (void)sl_jail__send(init->plan->control, note, sizeof *note, fds, count);
}

static _Noreturn void fail(int socket, const char *step, int error) {
    struct sl_jail__note note = {.kind = SL_JAIL__FAILED, .error = error, .memory_peak = -1};
    snprintf(note.step, sizeof note.step, "%s", step);
    (void)sl_jail__send(socket, &note, sizeof note, NULL, 0);
    _exit(1);
}

// ---- building ----

static int build(struct sl_jail__shell_plan *plan, int ret_listen[SL_JAIL_LISTENERS], bool *ret_new_netns,
                 const char **ret_step) {
    *ret_step = "prepare the network";
    *ret_new_netns = plan->netns < 0;
    int rc = 0;
    if (plan->netns < 0) {
        rc = sl_jail__netns_make(plan->router, plan->slot, plan->network, &plan->netns, ret_step);
    } else {
        rc = sl_jail__netns_recycle(plan->router, plan->slot, plan->network, plan->netns, &plan->sent);
    }
    if (rc != 0) return rc;
    *ret_step = "listen on 127.0.0.1:9001";
    ret_listen[SL_JAIL_LISTEN_TCP] = sl_jail__netns_listen(SL_JAIL_PORT);
    if (ret_listen[SL_JAIL_LISTEN_TCP] < 0) return ret_listen[SL_JAIL_LISTEN_TCP];
    *ret_step = "listen on 127.0.0.1:4566";
    ret_listen[SL_JAIL_LISTEN_DOOR] = sl_jail__netns_listen(SL_JAIL_DOOR_PORT);
    if (ret_listen[SL_JAIL_LISTEN_DOOR] < 0) return ret_listen[SL_JAIL_LISTEN_DOOR];
    *ret_step = "set the host name";
    if (sethostname("sandbox", 7) != 0) return -errno;
    rc = sl_jail__root_enter(plan->stem, plan->change_ids ? plan->init_uid : 0, ret_step);
    if (rc != 0) return rc;
    *ret_step = "listen on " SL_JAIL_SOCKET;
    ret_listen[SL_JAIL_LISTEN_UNIX] = sl_jail__netns_listen_unix();
    if (ret_listen[SL_JAIL_LISTEN_UNIX] < 0) return ret_listen[SL_JAIL_LISTEN_UNIX];
    *ret_step = "connect standard input";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) return -errno;
    if (null > 2) close(null);
    umask(022);
    sl_jail__set_limits();
    *ret_step = "empty the bounding set";
    return sl_jail__drop_bounding_set(0);
}

// Says that the sandbox is built, and keeps only what is needed to give it to a function: a namespace descriptor in a
// sandbox would be a way out of it. The control groups' go as soon as no process is made any more (activate).
static void say_ready(struct init *init, const int listener[SL_JAIL_LISTENERS], bool new_netns) {
    struct sl_jail__shell_plan *plan = init->plan;
    struct sl_jail__note note = {.kind = SL_JAIL__READY, .sent = plan->sent};
    int process = (int)syscall(SYS_pidfd_open, init->programs[0].pid, 0);
    if (process < 0) fail(plan->control, "name the program's process", errno);
    int fds[SL_JAIL_LISTENERS + 2];
    unsigned count = 0;
    while (count < SL_JAIL_LISTENERS) fds[count] = listener[count], count++;
    fds[count++] = process;
    if (new_netns) fds[count++] = plan->netns;
    if (sl_jail__send(plan->control, &note, sizeof note, fds, count) != 0) _exit(1);
    int rest[SL_JAIL__HIERARCHIES + 3] = {plan->control, init->programs[0].socket, init->signals};
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) rest[3 + i] = plan->cgroup->dir[i];
    sl_jail__close_except(rest, sizeof rest / sizeof rest[0]);
    if (sl_jail__program_ready(&init->programs[0], &note) != 0) fail(plan->control, note.step, note.error);
}

// ---- giving it to a function ----

// One waiting process for each further program.
static int make_programs(struct init *init, uint32_t programs, const char **ret_step) {
    for (unsigned i = 1; i <= programs && i <= SL_JAIL_PROGRAMS_MAX; i++) {
        struct sl_jail__note note;
        *ret_step = "make the programs' processes";
        int rc = sl_jail__program_fork(init->plan, &init->programs[i]);
        if (rc != 0) return rc;
        init->count = i + 1;
        if (sl_jail__program_ready(&init->programs[i], &note) != 0) return -note.error;
        int process = (int)syscall(SYS_pidfd_open, init->programs[i].pid, 0);
        if (process < 0) return -errno;
        tell(init, &(struct sl_jail__note){.kind = SL_JAIL__SEATED, .program = i, .memory_peak = -1}, &process, 1);
        close(process);
    }
    return 0;
}

// Mounts what the function brings and gives up root.
static int activate(struct init *init, const struct sl_jail__go *go, const int *fds, const char **ret_step) {
    const struct sl_jail__shell_plan *plan = init->plan;
    *ret_step = "mount the code";
    int rc = fds[SL_JAIL__CODE] >= 0 ? sl_jail__mount_attach(fds[SL_JAIL__CODE], "/var/task") : 0;
    if (rc == 0 && fds[SL_JAIL__OPT] >= 0) {
        *ret_step = "mount the layers";
        rc = sl_jail__mount_attach(fds[SL_JAIL__OPT], "/opt");
    }
    if (rc == 0 && go->flags & SL_JAIL__GO_IMAGE) rc = sl_jail__root_change("/var/task", ret_step);
    if (rc == 0 && go->tmp_mb != SL_JAIL__TMP_MB) *ret_step = "size /tmp", rc = sl_jail__tmp_resize(go->tmp_mb);
    if (rc == 0) rc = make_programs(init, go->programs, ret_step);
    if (rc != 0) return rc;
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) {
        if (plan->cgroup->dir[i] >= 0) close(plan->cgroup->dir[i]);
    }
    *ret_step = "give up privileges";
    rc = sl_jail__become(plan->change_ids, plan->init_uid);
    if (rc != 0) return rc;
    // A change of credentials clears the parent-death signal. If the spawner died in between, its socket tells.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return -errno;
    return sl_jail__is_closed(plan->control) ? -EPIPE : 0;
}

static void tell_failed(const struct init *init, unsigned program, int error, const char *step) {
    struct sl_jail__note note = {.kind = SL_JAIL__FAILED, .program = program, .error = error, .memory_peak = -1};
    snprintf(note.step, sizeof note.step, "%s", step);
    tell(init, &note, NULL, 0);
}

static void tell_active(struct init *init) {
    struct sl_jail__note note = {.kind = SL_JAIL__ACTIVE, .memory_peak = -1};
    tell(init, &note, &init->watch.file, init->watch.file >= 0 ? 1 : 0);
}

static void go_start(struct init *init, const struct sl_jail__go *go, int *fds) {
    const char *step = "";
    struct sl_jail__program *main = &init->programs[0];
    init->keep = (go->flags & SL_JAIL__GO_KEEP) != 0;
    sl_jail__watch_init(&init->watch, go->watch_mb);
    int rc = go->flags & SL_JAIL__GO_BLANK ? 0 : activate(init, go, fds, &step);
    if (rc != 0) fail(init->plan->control, step, -rc);
    init->peer = fds[SL_JAIL__PEER];
    fds[SL_JAIL__PEER] = -1;
    if (go->flags & SL_JAIL__GO_FORKED) {
        if (main->pid > 0) (void)kill(main->pid, SIGKILL); // 0: somebody has ended it already
        sl_jail__close(&main->socket);
        main->state = SL_JAIL__PROGRAM_ENDED;
    }
    init->main_at_start = fds[SL_JAIL__BLOCK] >= 0;
    rc = init->main_at_start ? sl_jail__program_start(main, go, fds) : 0;
    if (rc != 0) fail(init->plan->control, "start the function process", -rc);
    if (!init->main_at_start) tell_active(init);
    if (!init->main_at_start || go->programs > 0 || (go->flags & SL_JAIL__GO_BLANK)) {
        init->log = fds[SL_JAIL__LOG];
        fds[SL_JAIL__LOG] = -1;
    }
}

static void go_adopt(struct init *init, const struct sl_jail__go *go, const int *fds) {
    const char *step = "";
    init->keep = (go->flags & SL_JAIL__GO_KEEP) != 0;
    sl_jail__watch_limit(&init->watch, go->watch_mb);
    int rc = activate(init, go, fds, &step);
    if (rc == 0) step = "tell the blank its function", rc = sl_jail__block_send(fds[SL_JAIL__BLOCK], init->peer);
    if (rc != 0) fail(init->plan->control, step, -rc);
    // Open until the end, since the blank may not have written its byte yet; but nothing more is said or listened to.
    (void)shutdown(init->peer, SHUT_WR);
    init->peer_ready = true;
    if (go->programs == 0) sl_jail__close(&init->log);
    tell_active(init);
}

static void go_exec(struct init *init, const struct sl_jail__go *go, int *fds) {
    bool shares = fds[SL_JAIL__LOG] < 0;
    if (shares) fds[SL_JAIL__LOG] = init->log;
    int rc = go->program < init->count ? sl_jail__program_start(&init->programs[go->program], go, fds) : -EINVAL;
    if (shares) fds[SL_JAIL__LOG] = -1;
    if (rc != 0) tell_failed(init, go->program, -rc, "start the program's process");
    bool more = false;
    for (unsigned i = 0; i < init->count; i++) more = more || init->programs[i].state == SL_JAIL__PROGRAM_WAITING;
    if (!more) sl_jail__close(&init->log);
}

// A socket belongs to the network namespace that it was made in, whoever holds it.
static void go_connector(const struct init *init) {
    struct sl_jail__note note = {.kind = SL_JAIL__CONNECTOR, .memory_peak = -1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    tell(init, &note, &fd, fd >= 0 ? 1 : 0);
    sl_jail__close(&fd);
}

// ---- the loop ----

static void read_order(struct init *init) {
    struct sl_jail__go go;
    int fds[SL_JAIL__FDS];
    int rc = sl_jail__receive(init->plan->control, &go, sizeof go, fds);
    if (rc <= 0 || !sl_jail__take_roles(fds, go.has)) _exit(0); // the spawner is gone, or does not need this one
    if (go.op == SL_JAIL__GO_START) go_start(init, &go, fds);
    if (go.op == SL_JAIL__GO_ADOPT) go_adopt(init, &go, fds);
    if (go.op == SL_JAIL__GO_EXEC) go_exec(init, &go, fds);
    if (go.op == SL_JAIL__GO_CONNECTOR) go_connector(init);
    sl_jail__close_all(fds, SL_JAIL__FDS);
}

static void read_started(struct init *init, unsigned i) {
    struct sl_jail__note note;
    sl_jail__program_started(&init->programs[i], &note);
    note.program = i;
    bool main = i == 0 && init->main_at_start;
    tell(init, &note, &init->watch.file, main && init->watch.file >= 0 ? 1 : 0);
    if (main && note.kind == SL_JAIL__FAILED) _exit(1);
}

// Reports the end of the main program and ends the sandbox with it.
static _Noreturn void finish(const struct init *init, int status, bool oom) {
    struct sl_jail__note note = {
        .kind = SL_JAIL__EXITED, .status = status, .oom = oom, .memory_peak = init->watch.peak};
    tell(init, &note, NULL, 0);
    _exit(0);
}

static void ended(struct init *init, unsigned i, int status, const struct rusage *usage) {
    struct sl_jail__program *program = &init->programs[i];
    int64_t size = (int64_t)usage->ru_maxrss * 1024;
    if (init->watch.peak >= 0 && size > init->watch.peak) init->watch.peak = size;
    if (program->state == SL_JAIL__PROGRAM_STARTING) read_started(init, i); // first things first
    bool ran = program->state == SL_JAIL__PROGRAM_RUNNING;
    sl_jail__close(&program->socket);
    program->state = SL_JAIL__PROGRAM_ENDED;
    program->pid = 0;
    if (!ran) return;
    if (i == 0 && !init->keep) finish(init, status, false);
    struct sl_jail__note note = {.kind = SL_JAIL__EXITED, .program = i, .status = status, .memory_peak = -1};
    tell(init, &note, NULL, 0);
}

static void reap(struct init *init) {
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    struct rusage usage;
    while (read(init->signals, &info, sizeof info) > 0) {}
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        for (unsigned i = 0; i < init->count; i++) {
            if (init->programs[i].pid == pid) ended(init, i, status, &usage);
        }
    }
}

static void read_peer(struct init *init) {
    char byte;
    init->peer_ready = true; // or gone, which SIGCHLD tells
    if (recv(init->peer, &byte, 1, MSG_DONTWAIT) == 1) {
        tell(init, &(struct sl_jail__note){.kind = SL_JAIL__WAITS, .memory_peak = -1}, NULL, 0);
    }
}

static _Noreturn void loop(struct init *init) {
    enum { CONTROL, SIGNALS, PEER, PROGRAMS };
    for (;;) {
        struct pollfd wait[PROGRAMS + 1 + SL_JAIL_PROGRAMS_MAX] = {
            [CONTROL] = {.fd = init->plan->control, .events = POLLIN},
            [SIGNALS] = {.fd = init->signals, .events = POLLIN},
            [PEER] = {.fd = init->peer_ready ? -1 : init->peer, .events = POLLIN},
        };
        for (unsigned i = 0; i < init->count; i++) {
            bool starting = init->programs[i].state == SL_JAIL__PROGRAM_STARTING;
            wait[PROGRAMS + i] = (struct pollfd){.fd = starting ? init->programs[i].socket : -1, .events = POLLIN};
        }
        int ready = poll(wait, PROGRAMS + init->count, sl_jail__watch_pause(&init->watch));
        if (ready < 0 && errno != EINTR) _exit(1);
        // SIGKILL: the status that the kernel's own out-of-memory killer would leave.
        if (sl_jail__watch_look(&init->watch)) finish(init, SIGKILL, true);
        if (ready <= 0) continue;
        unsigned count = init->count;
        for (unsigned i = 0; i < count; i++) {
            if (wait[PROGRAMS + i].revents != 0) read_started(init, i);
        }
        if (wait[SIGNALS].revents != 0) reap(init);
        if (wait[PEER].revents != 0) read_peer(init);
        if (wait[CONTROL].revents != 0) read_order(init);
    }
}

static _Noreturn void init_main(struct sl_jail__shell_plan *plan) {
    const char *step = "";
    struct init init = {.plan = plan, .peer = -1, .log = -1, .count = 1, .watch = {.peak = -1, .file = -1}};
    sigset_t child;
    sl_jail__reset_signals();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    // Set too late if the spawner has just died: then its socket tells, below and before every wait.
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)setsid(); // not the spawner's group: nothing that is sent to ours may reach it
    (void)prctl(PR_SET_NAME, "sluice-init", 0, 0, 0);
    int keep[SL_JAIL__HIERARCHIES + 5] = {plan->control, plan->stem, plan->netns, plan->router->ns,
                                          plan->router->host_ns};
    for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) keep[5 + i] = plan->cgroup->dir[i];
    sl_jail__close_except(keep, sizeof keep / sizeof keep[0]); // the spawner's end of our socket, too
    if (sl_jail__is_closed(plan->control)) _exit(0);

    int listener[SL_JAIL_LISTENERS] = {-1, -1, -1};
    bool new_netns = false;
    int rc = build(plan, listener, &new_netns, &step);
    if (rc != 0) fail(plan->control, step, -rc);
    init.signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    if (init.signals < 0) fail(plan->control, "watch the processes", errno);
    rc = sl_jail__program_fork(plan, &init.programs[0]);
    if (rc != 0) fail(plan->control, "make the function process", -rc);
    say_ready(&init, listener, new_netns);
    loop(&init);
}

pid_t sl_jail__shell_fork(const struct sl_jail__shell_plan *plan) {
    struct sl_jail__shell_plan copy = *plan;
    pid_t pid = sl_jail__fork_into(CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, -1);
    if (pid == 0) init_main(&copy);
    return pid;
}
