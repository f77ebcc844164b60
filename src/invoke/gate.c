// SPDX-License-Identifier: Apache-2.0
//
// gate: see gate.h. The width grows from what is under way, so that one tick lets in a few and no more; it falls back
// when the starts have become few. Owner thread: none, atomics only.
#include "invoke/gate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDTH = 4,     // for each processor
    TICK_MS = 5,   // between two times that the gate is widened while processors are idle
    BUSY_MS = 250, // and while they are not; for n times the least, n * n times as long
};

static unsigned least(const struct sl_invoke__gate *gate) { return WIDTH * gate->processors; }

void sl_invoke__gate_init(struct sl_invoke__gate *gate, unsigned processors, unsigned (*runnable)(void)) {
    gate->processors = processors ? processors : 1;
    gate->runnable = runnable;
    atomic_init(&gate->under_way, 0);
    atomic_init(&gate->width, least(gate));
    atomic_init(&gate->widened_ns, 0);
}

void sl_invoke__gate_enter(struct sl_invoke__gate *gate) {
    atomic_fetch_add_explicit(&gate->under_way, 1, memory_order_relaxed);
}

void sl_invoke__gate_leave(struct sl_invoke__gate *gate) {
    atomic_fetch_sub_explicit(&gate->under_way, 1, memory_order_relaxed);
}

// The asking thread runs as well.
static bool is_busy(const struct sl_invoke__gate *gate) { return gate->runnable() > gate->processors + 1; }

bool sl_invoke__gate_open(struct sl_invoke__gate *gate, int64_t now_ns) {
    unsigned under_way = atomic_load_explicit(&gate->under_way, memory_order_relaxed);
    if (under_way < least(gate)) {
        atomic_store_explicit(&gate->width, least(gate), memory_order_relaxed);
        return true;
    }
    if (under_way < atomic_load_explicit(&gate->width, memory_order_relaxed)) return true;
    int64_t before = atomic_load_explicit(&gate->widened_ns, memory_order_relaxed), passed = now_ns - before;
    if (passed < (int64_t)TICK_MS * 1000000) return false;
    int64_t times = under_way / least(gate);
    if (passed < times * times * BUSY_MS * 1000000 && is_busy(gate)) return false;
    if (!atomic_compare_exchange_strong(&gate->widened_ns, &before, now_ns)) return false;
    atomic_store_explicit(&gate->width, under_way + least(gate), memory_order_relaxed);
    return true;
}

unsigned sl_invoke__gate_runnable(void) {
    char text[128]; // "0.20 0.18 0.12 1/80 11206": the fourth, before the slash (proc_loadavg(5))
    int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    if (got <= 0) return 0;
    text[got] = '\0';
    const char *slash = strchr(text, '/');
    while (slash && slash > text && slash[-1] != ' ') slash--;
    return slash ? (unsigned)strtoul(slash, NULL, 10) : 0;
}
