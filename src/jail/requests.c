// SPDX-License-Identifier: Apache-2.0
//
// requests: what the server asks for. Every integer is checked here, and every descriptor that a request brings is
// closed here or has gone into an order. See spawner.h.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "jail/proto.h"
#include "jail/root.h"
#include "jail/rootless.h"
#include "jail/spawner.h"

enum { REQUESTS = 64 /* read in one go */, CPU_MAX = 1000000 };

static const char CHECK[] = "check the request";

static bool is_valid(const struct sl_jail__request *r) {
    return r->id != 0 && r->memory_mb >= SL_JAIL_MEMORY_MB_MIN && r->memory_mb <= SL_JAIL_MEMORY_MB_MAX &&
           r->cpu_milli <= CPU_MAX && r->pids >= 1 && r->pids <= SL_JAIL_PIDS_MAX && r->fds >= 16 &&
           r->fds <= SL_JAIL_FDS_MAX && r->tmp_mb >= SL_JAIL_TMP_MB_MIN && r->tmp_mb <= SL_JAIL_TMP_MB_MAX &&
           r->programs <= SL_JAIL_PROGRAMS_MAX && r->template <= SL_JAIL_TEMPLATES_MAX;
}

int sl_jail__clone_directory(const struct sl_jail__spawner *s, int fd) {
    if (!s->reopen) return sl_jail__mount_clone(fd, false);
    int again = sl_jail__rootless_reopen(fd);
    int mount = again < 0 ? again : sl_jail__mount_clone(again, false);
    sl_jail__close(&again);
    return mount;
}

// Moves the descriptors of a start or an adoption into an order, directories as mounts. 0 or -errno with *ret_step.
static int take_fds(struct sl_jail__spawner *s, struct sl_jail__order *order, int fds[SL_JAIL__ROLES],
                    const char **ret_step) {
    static const char *const steps[] = {
        [SL_JAIL__CODE] = "take the code directory", [SL_JAIL__OPT] = "take the layers directory"};
    for (unsigned role = SL_JAIL__CODE; role <= SL_JAIL__OPT; role++) {
        if (fds[role] < 0) continue;
        int mount = sl_jail__clone_directory(s, fds[role]);
        *ret_step = steps[role];
        if (mount < 0) return mount;
        order->fds[role] = mount;
    }
    order->fds[SL_JAIL__BLOCK] = fds[SL_JAIL__BLOCK];
    order->fds[SL_JAIL__INPUT] = fds[SL_JAIL__INPUT];
    fds[SL_JAIL__BLOCK] = fds[SL_JAIL__INPUT] = -1;
    return 0;
}

static void start(struct sl_jail__spawner *s, const struct sl_jail__request *request, int fds[SL_JAIL__FDS]) {
    bool blank = (request->flags & SL_JAIL__START_BLANK) != 0;
    bool whole =
        blank ? fds[SL_JAIL__CODE] < 0 && fds[SL_JAIL__OPT] < 0 && fds[SL_JAIL__BLOCK] >= 0 && fds[SL_JAIL__INPUT] < 0
              : fds[SL_JAIL__CODE] >= 0;
    unsigned active = s->order_count;
    for (unsigned i = 0; i < s->shells.count; i++) active += s->shells.slots[i].id != 0;
    const char *step = CHECK;
    int error = 0;
    struct sl_jail__order order;
    sl_jail__order_init(&order, request);
    if (!is_valid(request))
        error = EINVAL;
    else if (!whole)
        error = EBADF;
    else if (sl_jail__slot_of(s, request->id) != NULL ||
             sl_jail__order_find(s->orders, s->order_count, request->id) >= 0)
        error = EEXIST;
    else if (active >= s->limit)
        error = EAGAIN, step = "find a free slot";
    else
        error = -take_fds(s, &order, fds, &step);
    if (error != 0) {
        sl_jail__order_close(&order);
        sl_jail__reply_failed(s, SL_JAIL_FAILED, request->id, 0, error, step);
        return;
    }
    if (!sl_jail__order_wants_network(s, &order)) s->seen_without_network = true;
    s->last_start = sl_jail__now_ms();
    sl_jail__orders_add(s->orders, &s->order_count, &order);
}

static void stop(struct sl_jail__spawner *s, uint64_t id) {
    struct sl_jail__slot *slot = sl_jail__slot_of(s, id);
    int order = sl_jail__order_find(s->orders, s->order_count, id);
    int adoption = sl_jail__order_find(s->adoptions, s->adoption_count, id);
    if (adoption >= 0) sl_jail__orders_remove(s->adoptions, &s->adoption_count, (unsigned)adoption);
    if (order >= 0) {
        sl_jail__orders_remove(s->orders, &s->order_count, (unsigned)order);
        sl_jail__reply_failed(s, SL_JAIL_FAILED, id, 0, ECANCELED, "stopped before it was started");
    } else if (slot != NULL) {
        slot->stopped = true;
        sl_jail__shell_kill(&s->shells, slot);
    }
}

// What is wrong with an adoption: 0 or an errno value.
static int adoption_error(struct sl_jail__spawner *s, const struct sl_jail__request *request, const int *fds,
                          const struct sl_jail__slot *slot, const struct sl_jail__order *waiting) {
    bool network = slot != NULL ? slot->network : sl_jail__order_wants_network(s, waiting);
    bool wants = (request->flags & SL_JAIL__START_NETWORK) != 0 && s->shells.router.ns >= 0;
    uint32_t processes = slot != NULL ? slot->processes : waiting->request.pids;
    bool counted = (s->shells.cgroups.controllers & SL_JAIL__PIDS) != 0;
    bool whole = fds[SL_JAIL__CODE] >= 0 && fds[SL_JAIL__BLOCK] >= 0;
    return is_valid(request) && whole && network == wants && (counted || processes == request->pids) ? 0 : EINVAL;
}

static void adopt(struct sl_jail__spawner *s, const struct sl_jail__request *request, int fds[SL_JAIL__FDS]) {
    struct sl_jail__slot *slot = sl_jail__slot_of(s, request->id);
    int i = sl_jail__order_find(s->orders, s->order_count, request->id);
    bool blank = slot != NULL ? slot->blank && !slot->adopting && !slot->killed
                              : i >= 0 && (s->orders[i].request.flags & SL_JAIL__START_BLANK) != 0;
    if (!blank || sl_jail__order_find(s->adoptions, s->adoption_count, request->id) >= 0) return;
    struct sl_jail__order order;
    const char *step = CHECK;
    sl_jail__order_init(&order, request);
    int error = adoption_error(s, request, fds, slot, i >= 0 ? &s->orders[i] : NULL);
    if (error == 0) error = -take_fds(s, &order, fds, &step);
    if (error == 0) {
        sl_jail__orders_add(s->adoptions, &s->adoption_count, &order);
        if (slot != NULL && slot->state == SL_JAIL__RUNNING) sl_jail__orders_adopt(s, slot);
        return;
    }
    sl_jail__order_close(&order);
    if (slot == NULL) {
        sl_jail__orders_remove(s->orders, &s->order_count, (unsigned)i);
        sl_jail__reply_failed(s, SL_JAIL_FAILED, request->id, 0, error, step);
        return;
    }
    slot->failed = true;
    slot->failure = (struct sl_jail__note){.error = error};
    snprintf(slot->failure.step, sizeof slot->failure.step, "%s", step);
    sl_jail__shell_kill(&s->shells, slot);
}

static void exec_program(struct sl_jail__spawner *s, const struct sl_jail__request *request, const int *fds) {
    struct sl_jail__slot *slot = sl_jail__slot_of(s, request->id);
    if (slot == NULL || slot->killed) return;
    const char *step = CHECK;
    int rc = -EINVAL;
    if (slot->state != SL_JAIL__RUNNING || slot->blank)
        rc = -EAGAIN, step = "wait until the sandbox has started";
    else if (request->program <= SL_JAIL_PROGRAMS_MAX && fds[SL_JAIL__BLOCK] >= 0 &&
             slot->runs[request->program].state == SL_JAIL__PROGRAM_WAITING)
        rc = sl_jail__shell_exec(&s->shells, slot, request, fds[SL_JAIL__BLOCK], &step);
    if (rc != 0) sl_jail__reply_failed(s, SL_JAIL_PROGRAM_FAILED, request->id, request->program, -rc, step);
}

static void start_template(struct sl_jail__spawner *s, const struct sl_jail__request *r, const int *fds) {
    if (r->template <1 || r->template > SL_JAIL_TEMPLATES_MAX) return;
    bool valid =
        r->memory_mb >= SL_JAIL_MEMORY_MB_MIN && r->memory_mb <= SL_JAIL_MEMORY_MB_MAX && fds[SL_JAIL__BLOCK] >= 0;
    const char *step = CHECK;
    int rc = -EINVAL;
    if (valid && s->templates[r->template].state != SL_JAIL__TEMPLATE_NONE)
        rc = -EEXIST;
    else if (valid)
        rc = sl_jail__template_start(&s->templates[r->template], &s->shells, s->epoll,
                                     SL_JAIL__TAG_TEMPLATES + r->template, fds[SL_JAIL__BLOCK], r->memory_mb, &step);
    // One that is in use is told about by its own end.
    if (rc != 0 && rc != -EEXIST) {
        sl_jail__reply_failed(s, SL_JAIL_TEMPLATE_ENDED, r->template, 0, -rc, step);
    }
}

static void handle(struct sl_jail__spawner *s, const struct sl_jail__request *request, int fds[SL_JAIL__FDS]) {
    struct sl_jail__slot *slot = request->id == 0 ? NULL : sl_jail__slot_of(s, request->id);
    switch (request->op) {
    case SL_JAIL__START:
        start(s, request, fds);
        break;
    case SL_JAIL__STOP:
        if (request->id != 0) stop(s, request->id);
        break;
    case SL_JAIL__SET_CPU:
        if (slot != NULL && !slot->killed && request->cpu_milli <= CPU_MAX) {
            (void)sl_jail__shell_set_cpu(&s->shells, slot, request->cpu_milli);
        }
        break;
    case SL_JAIL__ADOPT:
        if (request->id != 0) adopt(s, request, fds);
        break;
    case SL_JAIL__EXEC:
        if (request->id != 0) exec_program(s, request, fds);
        break;
    case SL_JAIL__SIGNAL:
        if (slot != NULL && request->signal > 0 && request->signal < NSIG) {
            sl_jail__shell_signal(slot, request->program, request->signal);
        }
        break;
    case SL_JAIL__CONNECT:
        if (slot != NULL && slot->state == SL_JAIL__RUNNING) sl_jail__shell_connector(slot);
        break;
    case SL_JAIL__TEMPLATE_START:
        start_template(s, request, fds);
        break;
    case SL_JAIL__TEMPLATE_STOP:
        if (request->template >= 1 && request->template <= SL_JAIL_TEMPLATES_MAX) {
            sl_jail__template_kill(&s->templates[request->template]);
        }
        break;
    default:
        break;
    }
}

bool sl_jail__requests_read(struct sl_jail__spawner *s) {
    for (int i = 0; i < REQUESTS && sl_jail__replies_calm(s->replies); i++) {
        struct sl_jail__request request;
        int fds[SL_JAIL__FDS];
        int rc = sl_jail__receive(s->control, &request, sizeof request, fds);
        if (rc == -EAGAIN) return true;
        if (rc == -EMFILE) {
            enum sl_jail_event_kind kind = request.op == SL_JAIL__START            ? SL_JAIL_FAILED
                                           : request.op == SL_JAIL__EXEC           ? SL_JAIL_PROGRAM_FAILED
                                           : request.op == SL_JAIL__TEMPLATE_START ? SL_JAIL_TEMPLATE_ENDED
                                                                                   : 0;
            uint64_t id = kind == SL_JAIL_TEMPLATE_ENDED ? request.template : request.id;
            if (kind != 0) sl_jail__reply_failed(s, kind, id, request.program, EMFILE, "receive descriptors");
            if (request.op == SL_JAIL__ADOPT) adopt(s, &request, fds); // without descriptors: refused
            continue;
        }
        if (rc <= 0) return false;
        (void)sl_jail__take_roles(fds, request.has); // else there are none, which is refused where some are needed
        handle(s, &request, fds);
        sl_jail__close_all(fds, SL_JAIL__FDS);
    }
    return true;
}
