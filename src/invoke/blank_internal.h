// SPDX-License-Identifier: Apache-2.0
//
// blank_internal: the table behind blank.h, shared by blank.c (policy), template.c and blank_report.c.
#ifndef SL_INVOKE_BLANK_INTERNAL_H
#define SL_INVOKE_BLANK_INTERNAL_H

#include "invoke/blank.h"
#include "invoke/internal.h"

enum { SL_BLANK_KINDS_MAX = 32 };

enum sl_invoke__blank_state {
    SL_BLANK_NONE,
    SL_BLANK_BOOTING, // the spawner was asked
    SL_BLANK_STARTED, // runs, and is not ready
    SL_BLANK_READY,
    SL_BLANK_ENDING, // the spawner was told to stop it
};

enum sl_invoke__template_state { SL_TEMPLATE_NONE, SL_TEMPLATE_STARTING, SL_TEMPLATE_READY, SL_TEMPLATE_ENDING };

struct sl_invoke__kind {
    struct sl_invoke__blank_kind id;
    bool used;
    int block, template_block;     // what to execute; -1: none
    unsigned wish;                 // blanks to keep ready; 0: given up
    unsigned ready, booting;       // BOOTING and STARTED
    unsigned fewest;               // that were ready in this window
    int64_t window_ms;             // when it began
    int64_t last_use_ms, retry_ms; // retry_ms: not before then, after a failure
    unsigned failures;             // in a row
    int64_t bytes, boot_ms;        // of one: the most seen, the latest; 0: unknown
    enum sl_invoke__template_state template_state;
    uint32_t template;
    unsigned copies; // of this template
    int64_t template_ms, template_retry_ms;
    unsigned template_failures;
    uint64_t hits, forks, misses, refills, lost, yielded; // since the kind is known
};

struct sl_invoke__blank {
    enum sl_invoke__blank_state state;
    struct sl_invoke__kind *kind;
    unsigned slot;
    bool is_up; // has said so
    int64_t since_ms;
    struct sl_jail_event started; // its id from the beginning, the rest from STARTED on
};

struct sl_invoke__blanks {
    struct sl_invoker *invoker;
    pthread_mutex_t lock;
    struct sl_invoke__kind kinds[SL_BLANK_KINDS_MAX];
    struct sl_invoke__blank *blanks;
    unsigned count;
    bool templates;
    int64_t last_take_ms;
    int64_t due_ms; // when the refill should look again; 0: at the next tick
    struct sl_timer timer;
    struct sl_mail kick;
    atomic_bool kick_sent;
};

// What loop 0 does next, without the lock.
struct sl_invoke__order {
    enum { SL_ORDER_START, SL_ORDER_STOP, SL_ORDER_TEMPLATE_START, SL_ORDER_TEMPLATE_STOP } what;
    uint64_t id;
    uint32_t template;
    int block; // closed afterwards; -1: none
    unsigned memory_mb;
};

// --- blank.c: starts and stops what there is too little or too much of. On loop 0's thread.
void sl_invoke__blank_refill(struct sl_timer *timer);

// --- template.c. `order` under the lock, the others take it.
bool sl_invoke__template_order(struct sl_invoke__blanks *blanks, int64_t now, struct sl_invoke__order *ret);
void sl_invoke__template_start(struct sl_invoke__blanks *blanks, const struct sl_invoke__order *order);
void sl_invoke__template_report(struct sl_invoke__blanks *blanks, const struct sl_jail_event *event);

#endif
