// SPDX-License-Identifier: Apache-2.0
//
// notes: what inits and templates say, and which children have died, becomes states of slots and replies to the server.
// See spawner.h for the invariants that are kept here.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "jail/spawner.h"

static int take(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

static void set_failure(struct sl_jail__slot *slot, int error, const char *step) {
    if (slot->failed) return; // the first reason is the one that counts
    slot->failed = true;
    slot->failure = (struct sl_jail__note){.error = error};
    snprintf(slot->failure.step, sizeof slot->failure.step, "%s", step);
}

// ---- replies about a sandbox ----

static void reply_plain(struct sl_jail__spawner *s, enum sl_jail_event_kind kind, uint64_t id) {
    struct sl_jail__reply plain = {.kind = kind, .id = id, .memory_peak = -1};
    sl_jail__reply(s, &plain, NULL, 0);
}

static void reply_started(struct sl_jail__spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__reply started = {.kind = SL_JAIL_STARTED, .id = slot->id, .pid = slot->pid, .memory_peak = -1};
    int fds[SL_JAIL__REPLY_FDS];
    unsigned count = 0;
    bool whole = true;
    for (; count < SL_JAIL_LISTENERS; count++) {
        fds[count] = fcntl(slot->listener[count], F_DUPFD_CLOEXEC, 3);
        whole = whole && fds[count] >= 0;
    }
    fds[count++] = take(&slot->log);
    if (!whole) { // out of descriptors: a sandbox that nobody can talk to is of no use
        sl_jail__close_all(fds, count);
        set_failure(slot, EMFILE, "copy the listening socket");
        sl_jail__shell_kill(&s->shells, slot);
        return;
    }
    started.flags = SL_JAIL__REPLY_LISTEN | SL_JAIL__REPLY_LOG | (slot->network ? SL_JAIL__REPLY_NETWORK : 0u);
    if (slot->memory >= 0) {
        started.flags |= SL_JAIL__REPLY_MEMORY;
        fds[count++] = take(&slot->memory);
    }
    if (slot->freeze >= 0) {
        started.flags |= SL_JAIL__REPLY_FREEZE;
        fds[count++] = take(&slot->freeze);
    }
    slot->state = SL_JAIL__RUNNING;
    sl_jail__reply(s, &started, fds, count);
    if (slot->blank && slot->waits) reply_plain(s, SL_JAIL_READY, slot->id);
    if (slot->blank) sl_jail__orders_adopt(s, slot);
}

static void reply_exited(struct sl_jail__spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__reply exited = {
        .kind = SL_JAIL_EXITED, .id = slot->id, .status = slot->has_status ? slot->status : SIGKILL};
    int memory = sl_jail__cgroup_memory_fd(&s->shells.cgroups, &slot->cgroup);
    exited.memory_peak = memory >= 0 ? sl_jail_memory_peak(memory) : slot->watched_peak;
    sl_jail__close(&memory);
    if (slot->watched_oom || sl_jail__cgroup_oom(&s->shells.cgroups, &slot->cgroup)) exited.flags |= SL_JAIL__REPLY_OOM;
    if (slot->failed) {
        exited.error = slot->failure.error;
        memcpy(exited.step, slot->failure.step, sizeof exited.step);
    }
    sl_jail__reply(s, &exited, NULL, 0);
}

static void reply_program_exited(struct sl_jail__spawner *s, const struct sl_jail__slot *slot, unsigned program,
                                 int status) {
    struct sl_jail__reply exited = {
        .kind = SL_JAIL_PROGRAM_EXITED, .id = slot->id, .program = program, .status = status, .memory_peak = -1};
    sl_jail__reply(s, &exited, NULL, 0);
}

static void reply_connector(struct sl_jail__spawner *s, const struct sl_jail__slot *slot, int fd) {
    struct sl_jail__reply made = {.kind = SL_JAIL_CONNECTOR, .id = slot->id, .memory_peak = -1};
    if (fd >= 0) made.flags = SL_JAIL__REPLY_CONNECTOR;
    sl_jail__reply(s, &made, &fd, fd >= 0 ? 1 : 0);
}

// ---- what an init says ----

static void program_started(struct sl_jail__spawner *s, struct sl_jail__slot *slot, unsigned program, int *memory) {
    struct sl_jail__run *run = &slot->runs[program];
    run->state = SL_JAIL__PROGRAM_RUNNING;
    if (slot->state == SL_JAIL__STARTING && !slot->failed) {
        if (*memory >= 0 && slot->memory < 0) slot->memory = take(memory);
        reply_started(s, slot);
    } else if (slot->state == SL_JAIL__RUNNING) {
        struct sl_jail__reply started = {.kind = SL_JAIL_PROGRAM_STARTED,
                                         .id = slot->id,
                                         .program = program,
                                         .memory_peak = -1,
                                         .flags = run->log >= 0 ? SL_JAIL__REPLY_LOG : 0u};
        int log = take(&run->log);
        sl_jail__reply(s, &started, &log, log >= 0 ? 1 : 0);
    }
}

static void note_failed(struct sl_jail__spawner *s, struct sl_jail__slot *slot, const struct sl_jail__note *note) {
    struct sl_jail__run *run = &slot->runs[note->program];
    bool program = slot->state == SL_JAIL__RUNNING && run->state == SL_JAIL__PROGRAM_STARTING;
    if (!program) {
        set_failure(slot, note->error, note->step);
        return;
    }
    run->state = SL_JAIL__PROGRAM_ENDED;
    sl_jail__close(&run->log);
    sl_jail__reply_failed(s, SL_JAIL_PROGRAM_FAILED, slot->id, note->program, note->error, note->step);
}

// START without a program, START of a template's copy, or ADOPT is done.
static void note_active(struct sl_jail__spawner *s, struct sl_jail__slot *slot, int *memory) {
    slot->active = true;
    if (slot->state == SL_JAIL__RUNNING && slot->adopting) {
        slot->adopting = slot->blank = false;
        reply_plain(s, SL_JAIL_ADOPTED, slot->id);
        return;
    }
    if (slot->state != SL_JAIL__STARTING || slot->failed) return;
    if (*memory >= 0 && slot->memory < 0) slot->memory = take(memory);
    if (slot->template == 0 || slot->confined) reply_started(s, slot);
}

static void main_ended(struct sl_jail__spawner *s, struct sl_jail__slot *slot, int status) {
    slot->has_status = true;
    slot->status = status;
    slot->runs[0].state = SL_JAIL__PROGRAM_ENDED;
    if (slot->keep && slot->state == SL_JAIL__RUNNING) reply_program_exited(s, slot, SL_JAIL_MAIN, status);
}

static void note_exited(struct sl_jail__spawner *s, struct sl_jail__slot *slot, const struct sl_jail__note *note) {
    bool whole = note->oom != 0 || (note->program == SL_JAIL_MAIN && !slot->keep);
    if (whole) {
        (void)sl_jail__cgroup_limit_cpu(&s->shells.cgroups, &slot->cgroup, 0); // what it left behind dies quickly
        slot->has_status = true;
        slot->status = note->status;
        slot->watched_peak = note->memory_peak;
        slot->watched_oom = note->oom != 0;
        slot->killed = true; // by its init, which is about to exit
    } else if (note->program == SL_JAIL_MAIN) {
        main_ended(s, slot, note->status);
    } else {
        slot->runs[note->program].state = SL_JAIL__PROGRAM_ENDED;
        if (slot->state == SL_JAIL__RUNNING) reply_program_exited(s, slot, note->program, note->status);
    }
}

static void handle(struct sl_jail__spawner *s, struct sl_jail__slot *slot, struct sl_jail__note *note, int *fds) {
    switch (note->kind) {
    case SL_JAIL__READY:
        if (slot->state == SL_JAIL__BUILDING && !slot->failed) sl_jail__shell_ready(&s->shells, slot, note, fds);
        break;
    case SL_JAIL__SEATED:
        slot->runs[note->program].state = SL_JAIL__PROGRAM_WAITING;
        slot->runs[note->program].process = take(&fds[0]);
        break;
    case SL_JAIL__ACTIVE:
        note_active(s, slot, &fds[0]);
        break;
    case SL_JAIL__EXECED:
        program_started(s, slot, note->program, &fds[0]);
        break;
    case SL_JAIL__FAILED:
        note_failed(s, slot, note);
        break;
    case SL_JAIL__WAITS:
        slot->waits = true;
        if (slot->state == SL_JAIL__RUNNING && slot->blank) reply_plain(s, SL_JAIL_READY, slot->id);
        break;
    case SL_JAIL__EXITED:
        note_exited(s, slot, note);
        break;
    case SL_JAIL__CONNECTOR:
        if (slot->state == SL_JAIL__RUNNING) reply_connector(s, slot, take(&fds[0]));
        break;
    default:
        break;
    }
}

void sl_jail__notes_read(struct sl_jail__spawner *s, struct sl_jail__slot *slot) {
    struct sl_jail__note note;
    int fds[SL_JAIL__FDS];
    int rc;
    while (slot->control >= 0 && (rc = sl_jail__receive(slot->control, &note, sizeof note, fds)) != -EAGAIN) {
        if (rc <= 0) { // end-of-file: its death is reported by SIGCHLD
            (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, slot->control, NULL);
            sl_jail__close(&slot->control);
            return;
        }
        note.step[sizeof note.step - 1] = '\0';
        if (note.program <= SL_JAIL_PROGRAMS_MAX) handle(s, slot, &note, fds);
        sl_jail__close_all(fds, SL_JAIL__FDS);
    }
}

// ---- what a template says ----

// Its sandbox, while that is still the one the copy was ordered for.
static struct sl_jail__slot *slot_of_note(struct sl_jail__spawner *s, const struct sl_jail__fork_note *note) {
    struct sl_jail__slot *slot = note->slot < s->shells.count ? &s->shells.slots[note->slot] : NULL;
    bool same = slot != NULL && slot->generation == note->generation && slot->pid > 0 && slot->template != 0;
    return same ? slot : NULL;
}

// A template's copy has ended. Its sandbox goes with it, as with any main program.
static void copy_ended(struct sl_jail__spawner *s, struct sl_jail__slot *slot, int status) {
    slot->main = 0;
    if (slot->state == SL_JAIL__STARTING)
        set_failure(slot, EIO, "its process died while starting");
    else
        main_ended(s, slot, status);
    if (!slot->keep || slot->state == SL_JAIL__STARTING) sl_jail__shell_kill(&s->shells, slot);
}

static void copy_made(struct sl_jail__spawner *s, struct sl_jail__slot *slot, pid_t pid) {
    slot->main = pid;
    for (unsigned i = 0; i < SL_JAIL__STRAYS; i++) {
        if (s->strays[i].pid != pid) continue;
        s->strays[i].pid = 0;
        if (kill(pid, 0) == 0) break; // somebody of the same number, long ago
        copy_ended(s, slot, s->strays[i].status);
        return;
    }
    // Ours and not reaped yet, so the pid is still its own.
    sl_jail__close(&slot->runs[0].process);
    slot->runs[0].process = (int)syscall(SYS_pidfd_open, pid, 0);
}

static void handle_copy(struct sl_jail__spawner *s, struct sl_jail__template *template,
                        const struct sl_jail__fork_note *note) {
    struct sl_jail__slot *slot = slot_of_note(s, note);
    if (note->kind == SL_JAIL__FORKED && template->forks > 0) template->forks--;
    // Without a slot its sandbox is dying, and takes the copy along, which is reaped like every child.
    if (note->kind == SL_JAIL__FORKED && slot != NULL) copy_made(s, slot, note->pid);
    if (slot == NULL || slot->state != SL_JAIL__STARTING) return;
    if (note->kind == SL_JAIL__CONFINED) {
        slot->confined = true;
        slot->runs[0].state = SL_JAIL__PROGRAM_RUNNING;
        if (slot->active && !slot->failed) reply_started(s, slot);
    } else if (note->kind == SL_JAIL__FORK_FAILED) {
        if (slot->main == 0 && template->forks > 0) template->forks--; // no copy was made
        set_failure(slot, note->error, note->step);
        sl_jail__shell_kill(&s->shells, slot);
    }
}

void sl_jail__template_notes_read(struct sl_jail__spawner *s, unsigned number) {
    struct sl_jail__template *template = &s->templates[number];
    struct sl_jail__fork_note note;
    int fds[SL_JAIL__FDS];
    int rc;
    while (template->control >= 0 && (rc = sl_jail__receive(template->control, &note, sizeof note, fds)) != -EAGAIN) {
        if (rc <= 0) {
            (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, template->control, NULL);
            sl_jail__close(&template->control);
            return;
        }
        sl_jail__close_all(fds, SL_JAIL__FDS);
        note.step[sizeof note.step - 1] = '\0';
        if (note.kind == SL_JAIL__BOOTED && template->state == SL_JAIL__TEMPLATE_BOOTING) {
            template->state = SL_JAIL__TEMPLATE_READY;
            reply_plain(s, SL_JAIL_TEMPLATE_READY, number);
        } else if (note.kind == SL_JAIL__FORK_FAILED && note.generation == 0) {
            template->failed = true;
            template->error = note.error;
            memcpy(template->step, note.step, sizeof template->step);
        } else {
            handle_copy(s, template, &note);
        }
    }
}

// ---- deaths ----

static void bury(struct sl_jail__spawner *s, struct sl_jail__slot *slot) {
    sl_jail__notes_read(s, slot);
    // Before the server is told. It may keep its copies of the listening TCP sockets for a while; shut, they no longer
    // hold the ports in this network namespace, which is used again.
    static const int tcp[] = {SL_JAIL_LISTEN_TCP, SL_JAIL_LISTEN_DOOR};
    for (unsigned i = 0; i < sizeof tcp / sizeof tcp[0]; i++)
        if (slot->listener[tcp[i]] >= 0) (void)shutdown(slot->listener[tcp[i]], SHUT_RDWR);
    const struct sl_jail__note *failure = &slot->failure;
    int adoption = slot->id == 0 ? -1 : sl_jail__order_find(s->adoptions, s->adoption_count, slot->id);
    if (adoption >= 0) sl_jail__orders_remove(s->adoptions, &s->adoption_count, (unsigned)adoption);
    switch (slot->state) {
    case SL_JAIL__BUILDING:
        // A sandbox whose order was already answered (see sl_jail__orders_give) has failed without a text.
        if (!slot->failed || failure->step[0] != '\0') {
            sl_jail__build_failed(s, slot->network, slot->failed ? failure->error : EIO,
                                  slot->failed ? failure->step : "its process died");
        }
        break;
    case SL_JAIL__STARTING:
        if (slot->failed)
            sl_jail__reply_failed(s, SL_JAIL_FAILED, slot->id, 0, failure->error, failure->step);
        else if (slot->stopped)
            sl_jail__reply_failed(s, SL_JAIL_FAILED, slot->id, 0, ECANCELED, "stopped before it was started");
        else
            sl_jail__reply_failed(s, SL_JAIL_FAILED, slot->id, 0, EIO, "its process died while starting");
        break;
    case SL_JAIL__RUNNING:
        reply_exited(s, slot);
        break;
    default:
        break;
    }
    slot->failure.step[0] = '\0';
    sl_jail__shell_release(&s->shells, slot, sl_jail__now_ms());
}

static void bury_template(struct sl_jail__spawner *s, unsigned number) {
    struct sl_jail__template *template = &s->templates[number];
    sl_jail__template_notes_read(s, number);
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->template != number || slot->state != SL_JAIL__STARTING || slot->confined) continue;
        set_failure(slot, EIO, "fork the template: it died");
        sl_jail__shell_kill(&s->shells, slot);
    }
    struct sl_jail__reply end = {.kind = SL_JAIL_TEMPLATE_ENDED, .id = number, .memory_peak = -1};
    end.error = template->failed ? template->error : template->killed ? ECANCELED : EIO;
    snprintf(end.step, sizeof end.step, "%s",
             template->failed   ? template->step
             : template->killed ? "stopped"
                                : "its process died");
    sl_jail__template_release(template, &s->shells);
    sl_jail__reply(s, &end, NULL, 0);
}

static void child_ended(struct sl_jail__spawner *s, pid_t pid, int status) {
    if (pid == s->shells.router.helper) {
        sl_log_warn("jail", "the network helper ended; functions have no network until Sluice is started again");
        s->shells.router.helper = 0;
        return;
    }
    for (unsigned i = 1; i <= SL_JAIL_TEMPLATES_MAX; i++) {
        if (s->templates[i].pid != pid) continue;
        bury_template(s, i);
        return;
    }
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->pid != pid && slot->main != pid) continue;
        if (slot->pid == pid)
            bury(s, slot);
        else
            copy_ended(s, slot, status);
        return;
    }
    s->strays[s->stray_next] = (struct sl_jail__stray){.pid = pid, .status = status};
    s->stray_next = (s->stray_next + 1) % SL_JAIL__STRAYS;
}

void sl_jail__notes_reap(struct sl_jail__spawner *s) {
    struct signalfd_siginfo info[8];
    int status;
    while (read(s->signals, info, sizeof info) > 0) {}
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) child_ended(s, pid, status);
}
