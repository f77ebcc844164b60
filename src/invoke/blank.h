// SPDX-License-Identifier: Apache-2.0
//
// blank: sandboxes in which a language is up and waits for its function (jail/jail.h and runtimes/README.md have the
// mechanism): which functions may use one (blank_kind.c), how many of which kind are kept (blank.c), and templates that
// they are forked from (template.c). Inside this folder; what the daemon and `sluice top` see of them is in engine.h.
#ifndef SL_INVOKE_BLANK_H
#define SL_INVOKE_BLANK_H

#include "base/buf.h"
#include "invoke/invoke.h"
#include "jail/jail.h"

struct sl_invoke__blanks;

struct sl_invoke__blank_kind {
    char key[192]; // equal: as good as one another
    char name[48]; // "python3.11.2", "java17.0.15 512 MB"
    unsigned memory_mb;
    bool forks; // from a template
};

// False when this function must be started without a blank. Any thread.
bool sl_invoke__blank_kind_of(const struct sl_function *function, bool templates, struct sl_invoke__blank_kind *ret);

// NULL when the configuration wants none, or there is no memory for the table.
struct sl_invoke__blanks *sl_invoke__blanks_new(struct sl_invoker *invoker);
// The engine is draining: stops them all. Any thread. NULL is allowed.
void sl_invoke__blanks_drain(struct sl_invoke__blanks *blanks);
// After the loops have stopped. NULL is allowed.
void sl_invoke__blanks_free(struct sl_invoke__blanks *blanks);

enum sl_invoke__blank_way {
    SL_BLANK_WAY_NONE,  // start a program as if there were no blanks
    SL_BLANK_WAY_FORK,  // start a blank from *ret_template and adopt it at once
    SL_BLANK_WAY_READY, // the instance has got a blank's slot, id and STARTED event: adopt it
};
struct sl_invoke__blank_grant {
    enum sl_invoke__blank_way way;
    uint32_t template; // FORK
    int block;         // FORK: what to execute when the template is gone meanwhile; the caller's to close
    unsigned memory_mb;
};

// How an instance of this function may start. Counts the start and plans what replaces the blank. On a loop's thread;
// instance->loop must be set.
void sl_invoke__blank_take(struct sl_instance *instance, const struct sl_function *function,
                           struct sl_invoke__blank_grant *ret);

// Functions need this much of what waiting blanks have: gives up those of the kinds used longest ago, which loop 0
// stops soon. Whether there are any to give up. Any thread.
bool sl_invoke__blanks_yield(struct sl_invoker *invoker, int64_t bytes);

// A report of the jail's: true when it was about a blank or template, and has been dealt with. On loop 0's thread.
bool sl_invoke__blank_report(struct sl_invoker *invoker, const struct sl_jail_event *event);

// Any thread.
void sl_invoke__blank_metrics(struct sl_invoker *invoker, struct sl_buf *out);
// A JSON array, see docs/blanks.md.
void sl_invoke__blank_list(struct sl_invoker *invoker, struct sl_buf *out);

#endif
