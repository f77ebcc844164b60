// SPDX-License-Identifier: Apache-2.0
//
// subscriber: the buffer of a telemetry subscription, see subscriber.h. delivery.c sends the batches.
#include "runtime/delivery.h"

#include "base/clock.h"
#include "runtime/telemetry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEEP = 16 * 1024 }; // of a buffer's memory between batches

void sl_subscriber__init(struct sl_subscriber *subscriber, struct sl_loop *loop, const struct sl_subscription *asked,
                         void *owner, void (*need_socket)(struct sl_subscriber *subscriber)) {
    *subscriber = (struct sl_subscriber){
        .asked = *asked, .loop = loop, .owner = owner, .need_socket = need_socket, .fd = -1, .timer_left_ms = -1};
    subscriber->watch.fd = -1;
    // A batch may be one event larger than what was asked for.
    sl_buf_init(&subscriber->filling, asked->max_bytes + SL_TELEMETRY_RECORD_MAX + KEEP);
    sl_buf_init(&subscriber->sending, asked->max_bytes + SL_TELEMETRY_RECORD_MAX + KEEP);
}

void sl_subscriber__free(struct sl_subscriber *subscriber) {
    sl_timer_stop(&subscriber->timer);
    sl_delivery__close(subscriber);
    sl_buf_free(&subscriber->filling);
    sl_buf_free(&subscriber->sending);
}

static bool is_sending(const struct sl_subscriber *subscriber) { return subscriber->sending_items > 0; }

static void batch_due(struct sl_timer *timer) {
    sl_subscriber__flush(SL_CONTAINER(timer, struct sl_subscriber, timer));
}

static void append(struct sl_subscriber *subscriber, struct sl_str event) {
    struct sl_buf *batch = &subscriber->filling;
    if (subscriber->asked.http) sl_buf_char(batch, subscriber->filling_items ? ',' : '[');
    sl_buf_str(batch, event);
    if (!subscriber->asked.http) sl_buf_char(batch, '\n');
    subscriber->filling_items++;
    if (subscriber->filling_items == 1 && !is_sending(subscriber))
        sl_timer_start(subscriber->loop, &subscriber->timer, subscriber->asked.timeout_ms, batch_due);
}

static void drop(struct sl_subscriber *subscriber, uint64_t items, uint64_t bytes, const char *why) {
    subscriber->dropped_items += items;
    subscriber->dropped_bytes += bytes;
    subscriber->dropped_why = why;
}

// {"time", "type": "platform.logsDropped", "record": {"reason", "droppedRecords", "droppedBytes"}}
static void tell_dropped(struct sl_subscriber *subscriber) {
    if (!subscriber->dropped_items || !(subscriber->asked.kinds & SL_TELEMETRY_PLATFORM)) return;
    char now[SL_TIME_ISO_MS], text[384];
    sl_time_iso_ms(sl_clock_ms(), now);
    int len = snprintf(text, sizeof text,
                       "{\"time\":\"%s\",\"type\":\"platform.logsDropped\",\"record\":{\"droppedBytes\":%llu,"
                       "\"droppedRecords\":%llu,\"reason\":\"%s\"}}",
                       now, (unsigned long long)subscriber->dropped_bytes,
                       (unsigned long long)subscriber->dropped_items, subscriber->dropped_why);
    subscriber->dropped_items = subscriber->dropped_bytes = 0;
    append(subscriber, sl_str_n(text, (size_t)len));
}

void sl_subscriber__put(struct sl_subscriber *subscriber, struct sl_str event, size_t room) {
    bool full = subscriber->filling_items >= subscriber->asked.max_items ||
                (subscriber->filling_items && subscriber->filling.len + event.len > subscriber->asked.max_bytes);
    if (full && !is_sending(subscriber)) {
        sl_subscriber__flush(subscriber);
        full = subscriber->filling_items > 0;
    }
    if (full || event.len + 2 > room || event.len > SL_TELEMETRY_RECORD_MAX) {
        drop(subscriber, 1, event.len,
             "Some logs were dropped because the downstream consumer is slower than the logs production rate");
        return;
    }
    append(subscriber, event);
    bool complete = subscriber->filling_items >= subscriber->asked.max_items ||
                    subscriber->filling.len >= subscriber->asked.max_bytes;
    if (complete && !is_sending(subscriber)) sl_subscriber__flush(subscriber);
}

void sl_subscriber__flush(struct sl_subscriber *subscriber) {
    if (is_sending(subscriber)) return; // what fills goes next
    tell_dropped(subscriber);
    if (!subscriber->filling_items) return;
    sl_timer_stop(&subscriber->timer);
    if (subscriber->asked.http) sl_buf_char(&subscriber->filling, ']');
    struct sl_buf batch = subscriber->filling;
    subscriber->filling = subscriber->sending;
    subscriber->sending = batch;
    subscriber->sending_items = subscriber->filling_items;
    subscriber->filling_items = 0;
    if (batch.failed) { // no memory
        sl_delivery__done(subscriber, "Some logs were dropped because there was no memory for them");
        return;
    }
    subscriber->attempts = 0;
    sl_delivery__start(subscriber);
}

void sl_delivery__done(struct sl_subscriber *subscriber, const char *failure) {
    if (failure) drop(subscriber, subscriber->sending_items, subscriber->sending.len, failure);
    sl_buf_clear(&subscriber->sending, KEEP);
    subscriber->sending.failed = false;
    subscriber->sending_items = 0;
    if (subscriber->filling_items || subscriber->dropped_items)
        sl_timer_start(subscriber->loop, &subscriber->timer, subscriber->asked.timeout_ms, batch_due);
}

void sl_subscriber__detach(struct sl_subscriber *subscriber) {
    bool armed = sl_timer_armed(&subscriber->timer);
    int64_t left = armed ? subscriber->timer.at_ms - sl_loop_now_ms(subscriber->loop) : -1;
    subscriber->timer_left_ms = armed && left < 0 ? 0 : left;
    sl_timer_stop(&subscriber->timer);
    sl_watch_stop(&subscriber->watch);
    subscriber->loop = NULL;
}

int sl_subscriber__attach(struct sl_subscriber *subscriber, struct sl_loop *loop, struct sl_error *err) {
    subscriber->loop = loop;
    if (subscriber->timer_left_ms >= 0)
        sl_timer_start(loop, &subscriber->timer, subscriber->timer_left_ms, subscriber->timer.fire);
    return sl_delivery__attach(subscriber, err);
}
