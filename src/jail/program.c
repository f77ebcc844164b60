// SPDX-License-Identifier: Apache-2.0
//
// program: see program.h. Between init and a program's process there is one socket: READY or FAILED comes from the
// process, then `go` with log, block and standard input to it, then either FAILED, or end-of-file, which is exec
// closing it. The function can kill or stop a waiting process (they are the same user), but not see into it (not
// dumpable) nor speak for it.
#include "jail/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/block.h"
#include "jail/confine.h"
#include "jail/file.h"

// ---- in the process ----

static int prepare(const struct sl_jail__shell_plan *plan, const char **ret_step) {
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int tasks[SL_JAIL__HIERARCHIES];
    struct sl_jail__confine confine = {
        .tasks_dirs = tasks,
        .tasks_count = sl_jail__cgroup_tasks(plan->cgroups, plan->cgroup, tasks),
        .change_ids = plan->change_ids,
        .uid = plan->uid,
        .own_user_ns = plan->own_user_ns,
        .filter = plan->filter,
    };
    return sl_jail__confine(&confine, ret_step);
}

// An image says in which directory it works (jail.h, `image`).
static const char *directory_of(const struct sl_jail__go *go, const struct sl_jail__exec *target) {
    for (char **variable = target->envp; go->flags & SL_JAIL__GO_IMAGE && *variable; variable++)
        if (strncmp(*variable, "PWD=/", 5) == 0) return *variable + 4;
    return "/var/task";
}

static int run(int socket, const char **ret_step) {
    struct sl_jail__go go;
    struct sl_jail__exec target;
    int fds[SL_JAIL__FDS];
    *ret_step = "wait for a program";
    int rc = sl_jail__receive(socket, &go, sizeof go, fds);
    if (rc <= 0) _exit(0); // never used
    if (!sl_jail__take_roles(fds, go.has)) return -EPROTO;
    *ret_step = "connect standard output";
    if (dup2(fds[SL_JAIL__LOG], 1) < 0 || dup2(fds[SL_JAIL__LOG], 2) < 0) return -errno;
    if (fds[SL_JAIL__INPUT] >= 0 && dup2(fds[SL_JAIL__INPUT], 0) < 0) return -errno;
    *ret_step = "read the arguments";
    rc = sl_jail__block_read(fds[SL_JAIL__BLOCK], &target);
    if (rc != 0) return rc;
    *ret_step = "enter the working directory";
    if (chdir(directory_of(&go, &target)) != 0) return -errno;
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return -errno;
    sl_jail__limit(RLIMIT_NOFILE, go.fds, go.fds);
    if (go.processes != 0) sl_jail__limit(RLIMIT_NPROC, go.processes, go.processes);
    *ret_step = target.path;
    sl_jail__give_way(); // not before: a cold start waits for this process to be woken
    execve(target.path, target.argv, target.envp);
    return -errno;
}

static _Noreturn void program_main(const struct sl_jail__shell_plan *plan, int socket) {
    struct sl_jail__note note = {.kind = SL_JAIL__READY};
    const char *step = "";
    int rc = prepare(plan, &step);
    sl_jail__close_except(&(int){socket}, 1);
    if (rc == 0) rc = sl_jail__send(socket, &note, sizeof note, NULL, 0);
    if (rc == 0) rc = run(socket, &step);
    note.kind = SL_JAIL__FAILED;
    note.error = -rc;
    snprintf(note.step, sizeof note.step, "%s%s", step[0] == '/' ? "execute " : "", step);
    (void)sl_jail__send(socket, &note, sizeof note, NULL, 0);
    _exit(1);
}

// ---- in init ----

int sl_jail__program_fork(const struct sl_jail__shell_plan *plan, struct sl_jail__program *program) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    pid_t pid = sl_jail__fork_into(0, sl_jail__cgroup_birth(plan->cgroups, plan->cgroup));
    if (pid == 0) {
        int mine[SL_JAIL__HIERARCHIES + 1] = {pair[1]};
        for (unsigned i = 0; i < SL_JAIL__HIERARCHIES; i++) mine[1 + i] = plan->cgroup->dir[i];
        sl_jail__close_except(mine, sizeof mine / sizeof mine[0]);
        program_main(plan, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    *program = (struct sl_jail__program){.state = SL_JAIL__PROGRAM_WAITING, .pid = pid, .socket = pair[0]};
    return 0;
}

int sl_jail__program_ready(struct sl_jail__program *program, struct sl_jail__note *ret_note) {
    int fds[SL_JAIL__FDS];
    int rc = sl_jail__receive(program->socket, ret_note, sizeof *ret_note, fds);
    if (rc == 1 && ret_note->kind == SL_JAIL__READY) return 0;
    if (rc != 1) {
        *ret_note = (struct sl_jail__note){
            .kind = SL_JAIL__FAILED, .error = rc == 0 ? EPIPE : -rc, .step = "prepare the program's process"};
    }
    return -ret_note->error;
}

int sl_jail__program_start(struct sl_jail__program *program, const struct sl_jail__go *go,
                           const int fds[SL_JAIL__ROLES]) {
    if (program->state != SL_JAIL__PROGRAM_WAITING) return -ESRCH;
    struct sl_jail__go message = *go;
    const int given[SL_JAIL__ROLES] = {
        [SL_JAIL__CODE] = -1,
        [SL_JAIL__OPT] = -1,
        [SL_JAIL__BLOCK] = fds[SL_JAIL__BLOCK],
        [SL_JAIL__LOG] = fds[SL_JAIL__LOG],
        [SL_JAIL__INPUT] = fds[SL_JAIL__INPUT],
        [SL_JAIL__PEER] = -1,
    };
    int rc = sl_jail__send_roles(program->socket, &message, sizeof message, &message.has, given);
    if (rc == 0) program->state = SL_JAIL__PROGRAM_STARTING;
    return rc;
}

void sl_jail__program_started(struct sl_jail__program *program, struct sl_jail__note *ret_note) {
    int fds[SL_JAIL__FDS];
    int rc = sl_jail__receive(program->socket, ret_note, sizeof *ret_note, fds);
    if (rc == 0) *ret_note = (struct sl_jail__note){.kind = SL_JAIL__EXECED};
    if (rc < 0) {
        *ret_note =
            (struct sl_jail__note){.kind = SL_JAIL__FAILED, .error = -rc, .step = "start the program's process"};
    }
    program->state = ret_note->kind == SL_JAIL__EXECED ? SL_JAIL__PROGRAM_RUNNING : SL_JAIL__PROGRAM_ENDED;
    sl_jail__close(&program->socket);
}
