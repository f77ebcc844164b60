// SPDX-License-Identifier: Apache-2.0
//
// sources: how event source mappings read queues: events/ does not know the services, so the daemon hands it these
// functions (events/source.h). On the storage thread, inside jobs; `changed` on any thread.
#include "daemon/daemon.h"

#include "events/source.h"
#include "services/sqs/sqs.h"

static int receive(void *user, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue, unsigned max,
                   int64_t now_ms, struct sl_source_received *ret, struct sl_error *err) {
    (void)user;
    struct sl_sqs_received got;
    int result = sl_sqs_receive(tx, arena, queue, max, now_ms, &got, err);
    if (!result)
        *ret = (struct sl_source_received){.messages = got.messages,
                                           .queue = got.queue,
                                           .visible_ms = got.visible_ms,
                                           .dead_queue = got.dead ? got.dead_queue : 0};
    return result;
}

static int settle(void *user, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue,
                  const struct sl_str *handles, unsigned count, enum sl_source_end end, int64_t now_ms,
                  struct sl_source_received *ret, struct sl_error *err) {
    (void)user;
    static const enum sl_sqs_end ends[] = {
        [SL_SOURCE_DELETE] = SL_SQS_DELETE, [SL_SOURCE_SHOW] = SL_SQS_SHOW, [SL_SOURCE_BURY] = SL_SQS_BURY};
    struct sl_sqs_received got;
    int result = sl_sqs_settle(tx, arena, queue, handles, count, ends[end], now_ms, &got, err);
    if (!result) *ret = (struct sl_source_received){.queue = got.queue, .dead_queue = got.dead ? got.dead_queue : 0};
    return result;
}

static void changed(void *user, int64_t queue) {
    const struct sl_front *front = user;
    sl_sqs_wake(front->app.sqs, queue, UINT32_MAX);
}

static void noted(void *user, int64_t queue) {
    const struct sl_front *front = user;
    sl_event_sources_note(front->app.sources, queue);
}

int sl_daemon_sources_new(struct sl_front *front, struct sl_loop *loop, struct sl_error *err) {
    const struct sl_event_sources_config config = {
        .store = front->app.store,
        .invoker = front->app.invoker,
        .loop = loop,
        .queue = {.receive = receive, .settle = settle, .changed = changed, .user = front}};
    int result = sl_event_sources_new(&front->app.sources, &config, err);
    if (!result) sl_sqs_watch(front->app.sqs, noted, front);
    return result;
}
