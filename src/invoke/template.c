// SPDX-License-Identifier: Apache-2.0
//
// template: the processes that blanks of a forkable language are copied from (jail/jail.h, "Templates"). One per kind
// while the kind is wanted; started, renewed and given up by the same refill as blanks are. Copies of one template have
// hash seeds and address layout in common: it is replaced after so many copies or so long, which bounds what one
// function could learn about another of the same account. While there is none, blanks are started by exec.
#include "invoke/blank_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>

enum {
    MEMORY_MB = 256,
    COPIES_MAX = 2000,
    AGE_MAX_MS = 60 * 60 * 1000,
    START_LIMIT_MS = 30 * 1000,
    RETRY_MS = 1000, // after a failure, doubled with each further one
    RETRIES_MAX = 8,
};

static int64_t now_ms(void) { return sl_clock_mono_ns() / 1000000; }

static uint32_t free_number(const struct sl_invoke__blanks *blanks) {
    for (uint32_t number = 1; number <= SL_JAIL_TEMPLATES_MAX; number++) {
        bool taken = false;
        for (unsigned i = 0; i < SL_BLANK_KINDS_MAX && !taken; i++)
            taken = blanks->kinds[i].template_state != SL_TEMPLATE_NONE && blanks->kinds[i].template == number;
        if (!taken) return number;
    }
    return 0;
}

static bool is_worn(const struct sl_invoke__kind *kind, int64_t now) {
    if (kind->template_state == SL_TEMPLATE_STARTING) return now - kind->template_ms >= START_LIMIT_MS;
    bool old = kind->copies >= COPIES_MAX || now - kind->template_ms >= AGE_MAX_MS;
    return kind->template_state == SL_TEMPLATE_READY && (old || !kind->wish);
}

bool sl_invoke__template_order(struct sl_invoke__blanks *blanks, int64_t now, struct sl_invoke__order *ret) {
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (!kind->used || !kind->id.forks) continue;
        if (is_worn(kind, now)) {
            kind->template_state = SL_TEMPLATE_ENDING;
            *ret = (struct sl_invoke__order){.what = SL_ORDER_TEMPLATE_STOP, .template = kind->template, .block = -1};
            return true;
        }
        if (!kind->wish || kind->template_state != SL_TEMPLATE_NONE || now < kind->template_retry_ms) continue;
        uint32_t number = free_number(blanks);
        if (!number) continue;
        kind->template_state = SL_TEMPLATE_STARTING;
        kind->template = number;
        kind->template_ms = now;
        kind->copies = 0;
        // The kind stays as long as its template, and its block with it.
        *ret = (struct sl_invoke__order){.what = SL_ORDER_TEMPLATE_START,
                                         .template = number,
                                         .block = fcntl(kind->template_block, F_DUPFD_CLOEXEC, 3),
                                         .memory_mb = MEMORY_MB};
        return true;
    }
    return false;
}

static struct sl_invoke__kind *kind_of(struct sl_invoke__blanks *blanks, uint64_t template) {
    for (unsigned i = 0; i < SL_BLANK_KINDS_MAX; i++) {
        struct sl_invoke__kind *kind = &blanks->kinds[i];
        if (kind->template_state != SL_TEMPLATE_NONE && kind->template == template) return kind;
    }
    return NULL;
}

static void ended(struct sl_invoke__kind *kind, const char *why) {
    if (kind->template_state != SL_TEMPLATE_ENDING) {
        unsigned times = kind->template_failures < RETRIES_MAX ? kind->template_failures : RETRIES_MAX;
        kind->template_failures++;
        kind->template_retry_ms = now_ms() + ((int64_t)RETRY_MS << times);
        sl_log_warn("invoke", "the template of %s ended: %s; next try in %lld s", kind->id.name, why,
                    (long long)(((int64_t)RETRY_MS << times) / 1000));
    }
    kind->template_state = SL_TEMPLATE_NONE;
}

void sl_invoke__template_start(struct sl_invoke__blanks *blanks, const struct sl_invoke__order *order) {
    struct sl_error err;
    if (sl_jail_template_start(blanks->invoker->config.jail, order->template, order->block, order->memory_mb, &err) ==
        0)
        return;
    pthread_mutex_lock(&blanks->lock);
    struct sl_invoke__kind *kind = kind_of(blanks, order->template);
    if (kind) ended(kind, err.message);
    pthread_mutex_unlock(&blanks->lock);
}

void sl_invoke__template_report(struct sl_invoke__blanks *blanks, const struct sl_jail_event *event) {
    pthread_mutex_lock(&blanks->lock);
    struct sl_invoke__kind *kind = kind_of(blanks, event->id);
    if (kind && event->kind == SL_JAIL_TEMPLATE_ENDED) {
        ended(kind, event->step[0] ? event->step : "unasked");
    } else if (kind && kind->template_state == SL_TEMPLATE_STARTING) {
        kind->template_state = SL_TEMPLATE_READY;
        kind->template_failures = 0;
    }
    pthread_mutex_unlock(&blanks->lock);
}
