// SPDX-License-Identifier: Apache-2.0
//
// orders: sandboxes are built ahead of time or, when none waits, for an order; orders are given to them oldest first.
// See spawner.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "jail/spawner.h"

enum {
    BUILDERS = 4,    // built at a time when functions wait for them
    QUIET_MS = 15,   // after the last start, before the pool is refilled: refilling competes with what was just started
    SHORT_MS = 3,    // ... while less than half of it is left
    RETRY_MS = 1000, // after a failed build
    SWEEP_MS = 50,   // between attempts to remove what a killed spawner left, while its processes are dying
    SWEEPS = 200,
};

int sl_jail__order_find(const struct sl_jail__order *orders, unsigned count, uint64_t id) {
    for (unsigned i = 0; i < count; i++) {
        if (orders[i].request.id == id) return (int)i;
    }
    return -1;
}

void sl_jail__orders_add(struct sl_jail__order *orders, unsigned *count, const struct sl_jail__order *order) {
    orders[(*count)++] = *order;
}

void sl_jail__orders_remove(struct sl_jail__order *orders, unsigned *count, unsigned i) {
    sl_jail__order_close(&orders[i]);
    memmove(&orders[i], &orders[i + 1], sizeof orders[0] * (*count - i - 1));
    (*count)--;
}

bool sl_jail__order_wants_network(const struct sl_jail__spawner *s, const struct sl_jail__order *order) {
    return (order->request.flags & SL_JAIL__START_NETWORK) != 0 && s->shells.router.ns >= 0;
}

// A free slot, best one whose namespace can be recycled, of those the one free for longest.
static struct sl_jail__slot *free_slot(struct sl_jail__spawner *s, bool network) {
    struct sl_jail__slot *best = NULL;
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->state != SL_JAIL__FREE) continue;
        bool recycled = slot->netns[network] >= 0;
        if (best == NULL || (recycled && best->netns[network] < 0) ||
            (recycled == (best->netns[network] >= 0) && slot->freed < best->freed)) {
            best = slot;
        }
    }
    return best;
}

static unsigned count_slots(const struct sl_jail__spawner *s, enum sl_jail__state state, bool network) {
    unsigned count = 0;
    for (unsigned i = 0; i < s->shells.count; i++) {
        count += s->shells.slots[i].state == state && s->shells.slots[i].network == network;
    }
    return count;
}

static void order_failed(struct sl_jail__spawner *s, unsigned i, int error, const char *step) {
    uint64_t id = s->orders[i].request.id;
    int adoption = sl_jail__order_find(s->adoptions, s->adoption_count, id);
    sl_jail__reply_failed(s, SL_JAIL_FAILED, id, 0, error, step);
    sl_jail__orders_remove(s->orders, &s->order_count, i);
    if (adoption >= 0) sl_jail__orders_remove(s->adoptions, &s->adoption_count, (unsigned)adoption);
}

void sl_jail__build_failed(struct sl_jail__spawner *s, bool network, int error, const char *step) {
    s->retry_at = sl_jail__now_ms() + RETRY_MS;
    for (unsigned i = 0; i < s->order_count; i++) {
        if (sl_jail__order_wants_network(s, &s->orders[i]) != network) continue;
        order_failed(s, i, error, step);
        return;
    }
    sl_log_warn("jail", "prepare a sandbox: %s: %s", step, strerror(error));
}

static bool build(struct sl_jail__spawner *s, bool network) {
    struct sl_jail__slot *slot = free_slot(s, network);
    if (slot == NULL) return false;
    int rc = sl_jail__shell_build(&s->shells, slot, network);
    if (rc == 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = SL_JAIL__TAG_SLOTS + slot->index};
        (void)epoll_ctl(s->epoll, EPOLL_CTL_ADD, slot->control, &event);
        return true;
    }
    sl_jail__build_failed(s, network, -rc, "make a process");
    return false;
}

// The template to fork for this order, or NULL: execute.
static struct sl_jail__template *template_for(struct sl_jail__spawner *s, const struct sl_jail__request *request) {
    if ((request->flags & SL_JAIL__START_BLANK) == 0 || request->template == 0) return NULL;
    struct sl_jail__template *template = &s->templates[request->template];
    return sl_jail__template_can_fork(template) ? template : NULL;
}

void sl_jail__orders_give(struct sl_jail__spawner *s) {
    for (unsigned i = 0; i < s->order_count;) {
        struct sl_jail__order *order = &s->orders[i];
        bool network = sl_jail__order_wants_network(s, order);
        struct sl_jail__slot *slot = NULL;
        for (unsigned k = 0; k < s->shells.count && slot == NULL; k++) {
            struct sl_jail__slot *candidate = &s->shells.slots[k];
            if (candidate->state == SL_JAIL__WAITING && candidate->network == network) slot = candidate;
        }
        if (slot == NULL) {
            i++;
            continue;
        }
        const char *step = "";
        struct sl_jail__template *template = template_for(s, &order->request);
        int rc = sl_jail__shell_give(&s->shells, slot, order, template, &step);
        if (rc != 0) {
            order_failed(s, i, -rc, step);
            sl_jail__shell_kill(&s->shells, slot);
            slot->state = SL_JAIL__BUILDING; // nobody's; released when reaped
            slot->failed = true;
            continue;
        }
        if (template != NULL) slot->template = order->request.template;
        sl_jail__orders_remove(s->orders, &s->order_count, i);
    }
}

void sl_jail__orders_adopt(struct sl_jail__spawner *s, struct sl_jail__slot *slot) {
    int i = sl_jail__order_find(s->adoptions, s->adoption_count, slot->id);
    if (i < 0) return;
    const char *step = "";
    int rc = sl_jail__shell_adopt(&s->shells, slot, &s->adoptions[i], &step);
    if (rc != 0) {
        slot->failed = true;
        slot->failure = (struct sl_jail__note){.error = -rc};
        snprintf(slot->failure.step, sizeof slot->failure.step, "%s", step);
        sl_jail__shell_kill(&s->shells, slot);
    }
    sl_jail__orders_remove(s->adoptions, &s->adoption_count, (unsigned)i);
}

// Refills the waiting sandboxes of one kind. Returns as sl_jail__orders_refill.
static int refill(struct sl_jail__spawner *s, bool network, uint64_t now) {
    unsigned orders = 0;
    for (unsigned i = 0; i < s->order_count; i++) orders += sl_jail__order_wants_network(s, &s->orders[i]) == network;
    bool usual = s->shells.router.ns >= 0;
    unsigned building = count_slots(s, SL_JAIL__BUILDING, network);
    while (building < orders && building < BUILDERS && build(s, network)) building++;
    unsigned target = network == usual ? s->pool : s->pool > 0 && !network && s->seen_without_network ? 1 : 0;
    unsigned waiting = count_slots(s, SL_JAIL__WAITING, network);
    if (building > 0 || waiting >= target) return -1;
    uint64_t due = s->last_start + (waiting * 2 < target ? SHORT_MS : QUIET_MS);
    if (due < s->retry_at) due = s->retry_at;
    if (now < due) return (int)(due - now);
    return build(s, network) ? -1 : RETRY_MS;
}

static int sooner(int a, int b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

int sl_jail__orders_refill(struct sl_jail__spawner *s) {
    uint64_t now = sl_jail__now_ms();
    int sleep = sooner(refill(s, false, now), refill(s, true, now));
    for (unsigned i = 0; i < s->shells.count; i++) {
        struct sl_jail__slot *slot = &s->shells.slots[i];
        if (slot->state == SL_JAIL__CLEANING) sl_jail__shell_clean(&s->shells, slot, now);
        if (slot->state == SL_JAIL__CLEANING) sleep = sooner(sleep, SL_JAIL__DYING_MS);
        sleep = sooner(sleep, sl_jail__shell_hasten(&s->shells, slot, now));
    }
    for (unsigned i = 1; i <= SL_JAIL_TEMPLATES_MAX; i++) {
        if (sl_jail__template_clean(&s->templates[i], &s->shells)) sleep = sooner(sleep, SL_JAIL__DYING_MS);
    }
    if (s->shells.cgroups.leftovers > 0 && s->sweeps < SWEEPS) {
        s->sweeps++;
        sl_jail__cgroups_sweep(&s->shells.cgroups);
        sleep = sooner(sleep, SWEEP_MS);
    }
    return sleep;
}
