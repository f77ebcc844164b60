// SPDX-License-Identifier: Apache-2.0
//
// admin: see admin.h. A dead event that is redriven begins anew: attempts 0, accepted now, a new id, the same
// request id for whoever looks at logs. Purging an event that is being executed lets the execution end; its settling
// then finds nothing (I2 of decide.h).
#include "events/admin.h"

#include "base/clock.h"

static bool fits(const struct sl_events_query *query, struct sl_str arn) {
    struct sl_str rest = arn, part[8] = {{NULL, 0}};
    if (!query->function.len) return true;
    for (unsigned i = 0; i < 8 && sl_str_split(&rest, ':', &part[i]); i++) {}
    return sl_str_eq(part[6], query->function) && sl_str_eq(part[3], query->region) &&
           sl_str_eq(part[4], query->account);
}

static void put_time(struct sl_buf *out, const char *name, int64_t ms) {
    char text[SL_TIME_ISO_MS];
    sl_time_iso_ms(ms, text);
    sl_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_event(struct sl_buf *out, const struct sl_event *event, const struct sl_dead_event *dead, bool whole) {
    sl_buf_printf(out, "{\"id\":%lld,\"state\":\"%s\",\"requestId\":\"%s\",\"function\":", (long long)event->id,
                  dead ? "dead" : "waiting", event->request_id);
    sl_json_write_string(out, event->function);
    put_time(out, "acceptedAt", event->accepted_ms);
    put_time(out, dead ? "diedAt" : "dueAt", dead ? dead->died_ms : event->due_ms);
    sl_buf_printf(out, ",\"attempts\":%u,\"bytes\":%zu", event->attempts, event->payload.len);
    if (dead) {
        sl_buf_cstr(out, ",\"reason\":");
        sl_json_write_string(out, dead->reason);
    }
    if (whole) {
        sl_buf_cstr(out, ",\"payload\":");
        if (sl_json_validate(event->payload, NULL) == 0)
            sl_buf_str(out, event->payload);
        else
            sl_json_write_string(out, event->payload);
    }
    sl_buf_char(out, '}');
}

static int redrive(struct sl_store_tx *tx, struct sl_events_query *query, const struct sl_dead_event *dead,
                   int64_t now_ms, struct sl_error *err) {
    struct sl_event event = dead->event;
    event.attempts = 0;
    event.accepted_ms = event.due_ms = now_ms;
    int result = sl_dead_remove(tx, event.id, NULL, err);
    if (!result) result = sl_event_append(tx, &event, err);
    if (!result) query->lanes[query->count] = sl_event_lane(event.function);
    return result;
}

static int act(struct sl_store_tx *tx, struct sl_events_query *query, const struct sl_event *event,
               const struct sl_dead_event *dead, int64_t now_ms, struct sl_buf *out, struct sl_error *err) {
    int result = 0;
    switch (query->verb) {
    case SL_EVENTS_LIST:
        if (query->count) sl_buf_char(out, ',');
        put_event(out, event, dead, false);
        break;
    case SL_EVENTS_SHOW:
        put_event(out, event, dead, true);
        break;
    case SL_EVENTS_REDRIVE:
        result = redrive(tx, query, dead, now_ms, err);
        break;
    case SL_EVENTS_PURGE:
        result = dead ? sl_dead_remove(tx, event->id, NULL, err) : sl_event_drop(tx, event->id, NULL, err);
        break;
    }
    query->count++;
    return result;
}

// By id an event is found wherever it is; redriving is for dead ones only.
static int one(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_events_query *query, int64_t now_ms,
               struct sl_buf *out, struct sl_error *err) {
    struct sl_dead_event dead;
    struct sl_event event;
    int result = sl_dead_get(tx, arena, query->id, &dead, err);
    if (!result) return act(tx, query, &dead.event, &dead, now_ms, out, err);
    if (result != SL_E_NOT_FOUND || query->verb == SL_EVENTS_REDRIVE) return result;
    result = sl_event_get(tx, arena, query->id, &event, err);
    return result ? result : act(tx, query, &event, NULL, now_ms, out, err);
}

int sl_events_query(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_events_query *query, int64_t now_ms,
                    struct sl_buf *out, struct sl_error *err) {
    struct sl_event *events = NULL;
    struct sl_dead_event *dead = NULL;
    unsigned count = 0;
    query->count = 0;
    query->more = false;
    if (query->id) return one(tx, arena, query, now_ms, out, err);
    bool buried = query->dead || query->verb == SL_EVENTS_REDRIVE;
    int result = buried ? sl_dead_load(tx, arena, query->after, SL_EVENTS_STEP, &dead, &count, err)
                        : sl_event_load(tx, arena, query->after, SL_EVENTS_STEP, &events, &count, err);
    for (unsigned i = 0; !result && i < count; i++) {
        const struct sl_event *event = buried ? &dead[i].event : &events[i];
        query->last = event->id;
        if (fits(query, event->function)) result = act(tx, query, event, buried ? &dead[i] : NULL, now_ms, out, err);
    }
    query->more = !result && count == SL_EVENTS_STEP;
    return result;
}
