// SPDX-License-Identifier: Apache-2.0
//
// supervise: the first process. It forks spawner and server, waits, and starts both again when one dies unasked; a
// server that cannot live is given up. One thread; signals are awaited, not caught.
#include "daemon/daemon.h"

#include "base/log.h"
#include "jail/jail.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CRASHES_MAX = 5,      // within a minute: then give up
    SPAWNER_SECONDS = 30, // a spawner has to end in, and then what it leaves: much, on a machine under load
};

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static pid_t start_spawner(const struct sl_daemon_config *config, const struct sl_jail_config *jail,
                           const int ends[2]) {
    pid_t pid = fork();
    if (pid) return pid;
    close(ends[0]);
    for (unsigned i = 0; i < config->threads; i++) close(config->listeners[i]);
    if (config->data_dir >= 0) close(config->data_dir);
    // A terminal's Ctrl-C goes to the whole group; the spawner ends when the server does.
    setpgid(0, 0);
    _exit(sl_spawner_begin(ends[1], jail));
}

static pid_t start_server(struct sl_daemon_config *config, const int ends[2]) {
    pid_t parent = getpid(), pid = fork();
    if (pid) return pid;
    close(ends[1]);
    setpgid(0, 0);
    reset_signals();
    config->spawner = ends[0];
    // The parent may have died between fork and here; the server checks again after it gave up its rights.
    if (getppid() != parent) _exit(1);
    exit(sl_daemon_server(config));
}

// Waits until `server` or `spawner` ended or a signal asks to end; returns the pid, or 0 for a signal.
static pid_t wait_event(const sigset_t *signals, int *ret_status) {
    for (;;) {
        pid_t pid = waitpid(-1, ret_status, WNOHANG);
        if (pid > 0) return pid;
        siginfo_t info;
        if (sigwaitinfo(signals, &info) < 0) continue;
        if (info.si_signo != SIGCHLD) return 0;
    }
}

// Reaps `pid`, or every child for -1, for so many seconds at most. Whether it is done: what is left neither ended nor
// was awaited long enough.
static bool reap(pid_t pid, const sigset_t *signals, time_t seconds) {
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        pid_t ended;
        while ((ended = waitpid(pid, NULL, WNOHANG)) > 0) {}
        if (ended < 0) return true;
        struct timespec wait = {.tv_nsec = 100 * 1000 * 1000};
        sigtimedwait(signals, NULL, &wait);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < seconds);
    return false;
}

// The spawner's end follows from the server's, but one that hangs must not keep the supervisor. After the spawner come
// the orphans that it leaves when it is killed: sandboxes, which die with it, and copies of templates, which must be
// reaped by somebody before the sandboxes that they are in can end (pid_namespaces(7)).
static void reap_spawner(pid_t spawner, const sigset_t *signals) {
    if (spawner > 0 && !reap(spawner, signals, SPAWNER_SECONDS)) {
        sl_log_warn("serve", "process %d does not end: killed", (int)spawner);
        kill(spawner, SIGKILL);
    }
    if (!reap(-1, signals, SPAWNER_SECONDS)) sl_log_warn("serve", "sandboxes do not end: left behind");
}

struct round {
    bool asked; // a signal asked to end
    int status; // wait status of the server
};

// One life of both children.
static int run_round(struct sl_daemon_config *config, const struct sl_jail_config *jail, const sigset_t *signals,
                     struct round *round) {
    int ends[2], status = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return -1;
    pid_t spawner = start_spawner(config, jail, ends);
    pid_t server = spawner > 0 ? start_server(config, ends) : -1;
    close(ends[0]);
    close(ends[1]);
    if (server < 0) return -1;
    for (;;) {
        pid_t ended = wait_event(signals, &status);
        if (ended == 0) {
            kill(server, round->asked ? SIGKILL : SIGTERM);
            round->asked = true;
        } else if (ended == server) {
            round->status = status;
            reap_spawner(spawner, signals);
            return 0;
        } else if (ended == spawner) {
            // The server notices and aborts; its end is what counts.
            spawner = -1;
            if (!round->asked) sl_log_error("serve", "the spawner ended unexpectedly");
        }
    }
}

int sl_daemon_supervise(struct sl_daemon_config *config, const struct sl_jail_config *jail) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    // Orphans of a killed spawner become our children: not every machine's first process reaps what comes to it.
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    time_t first_crash = 0;
    config->announce = true;
    for (int crashes = 0;;) {
        struct round round = {0};
        if (run_round(config, jail, &signals, &round)) {
            sl_log_error("serve", "cannot start processes: %s", strerrordesc_np(errno));
            return 1;
        }
        if (WIFEXITED(round.status) && (round.asked || WEXITSTATUS(round.status) == SL_EXIT_CANNOT_START)) {
            int exit_status = WEXITSTATUS(round.status);
            return exit_status == SL_EXIT_CANNOT_START ? 1 : exit_status == SL_EXIT_RESET ? 0 : exit_status;
        }
        if (round.asked) return 1;
        config->announce = false;
        if (WIFEXITED(round.status) && WEXITSTATUS(round.status) == SL_EXIT_RESET) continue;
        time_t now = time(NULL);
        if (now - first_crash > 60) {
            first_crash = now;
            crashes = 0;
        }
        if (++crashes > CRASHES_MAX) {
            sl_log_error("serve", "the server crashed %d times within a minute: giving up", crashes);
            return 1;
        }
        sl_log_error("serve", "the server ended by %s %d: starting it again",
                     WIFSIGNALED(round.status) ? "signal" : "status",
                     WIFSIGNALED(round.status) ? WTERMSIG(round.status) : WEXITSTATUS(round.status));
    }
}
