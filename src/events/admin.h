// SPDX-License-Identifier: Apache-2.0
//
// admin: what an operator asks of the queue: which events wait, which are dead, one of them whole, run dead ones again,
// throw some away. Each verb is one step inside a store job, over at most SL_EVENTS_STEP events; the caller goes on
// with the next step while `more` says so.
#ifndef SL_EVENTS_ADMIN_H
#define SL_EVENTS_ADMIN_H

#include "store/store.h"

enum { SL_EVENTS_STEP = 100 };

enum sl_events_verb { SL_EVENTS_LIST, SL_EVENTS_SHOW, SL_EVENTS_REDRIVE, SL_EVENTS_PURGE };

struct sl_events_query {
    enum sl_events_verb verb;
    bool dead;                               // of LIST and PURGE: the dead ones instead of those that wait
    int64_t id;                              // one event; 0: all that fit the filter
    struct sl_str account, region, function; // filter by function; empty: any
    int64_t after;                           // ids above
    // out
    int64_t last;                  // id of the last event that was looked at
    bool more;                     // there may be others behind it
    unsigned count;                // events listed or changed
    int64_t lanes[SL_EVENTS_STEP]; // of redriven events: for sl_event_queue_note after the commit
};

// Appends JSON to `out`: of LIST the elements of an array, of SHOW one object. Memory is taken from the arena.
// SL_E_NOT_FOUND: there is no event `id`.
int sl_events_query(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_events_query *query, int64_t now_ms,
                    struct sl_buf *out, struct sl_error *err);

#endif
