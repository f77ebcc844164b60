// SPDX-License-Identifier: Apache-2.0
//
// deliver: where the event queue's letters go (destinations, dead-letter queues): it does not know the services, so the
// daemon hands it these two functions. Called on the storage thread, inside the transaction that settles the event and
// right after its commit.
//
// A service that is not here yet cannot take letters: the event is kept as a dead one then (events/settle.c).
#include "daemon/daemon.h"

#include "aws/arn.h"
#include "events/queue.h"
#include "services/sqs/sqs.h"

static void put_attribute(struct sl_arena *arena, struct sl_json *attributes, const char *name, const char *type,
                          struct sl_str value) {
    struct sl_json *attribute = sl_json_new_object(arena);
    sl_json_put_string(arena, attribute, "DataType", sl_str_of(type));
    sl_json_put_string(arena, attribute, "StringValue", value);
    sl_json_set(attributes, sl_str_of(name), attribute);
}

static int deliver_to_queue(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                            int64_t now_ms, int64_t *ret_token, struct sl_error *err) {
    struct sl_json *attributes = letter->dead_letter ? sl_json_new_object(arena) : NULL;
    struct sl_arn function = {0};
    sl_arn_parse(letter->function, &function);
    if (attributes) {
        put_attribute(arena, attributes, "RequestID", "String", letter->request_id);
        put_attribute(arena, attributes, "ErrorCode", "Number", letter->error_code);
        put_attribute(arena, attributes, "ErrorMessage", "String", letter->error_message);
    }
    const struct sl_sqs_letter message = {
        .body = letter->body, .attributes = attributes, .sender = function.account, .trace = letter->trace};
    return sl_sqs_send(tx, arena, letter->target, &message, now_ms, ret_token, err);
}

int sl_daemon_deliver(void *user, struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                      int64_t now_ms, int64_t *ret_token, struct sl_error *err) {
    (void)user;
    struct sl_arn arn = {0};
    bool known = sl_arn_parse(letter->target, &arn);
    if (known && sl_str_is(arn.service, "sqs")) return deliver_to_queue(tx, arena, letter, now_ms, ret_token, err);
    return sl_fail(err, SL_E_NOT_IMPLEMENTED, "nothing is delivered to service %.*s yet", SL_FMT(arn.service));
}

void sl_daemon_delivered(void *user, struct sl_str target, int64_t token) {
    const struct sl_front *front = user;
    struct sl_arn arn = {0};
    if (sl_arn_parse(target, &arn) && sl_str_is(arn.service, "sqs")) sl_sqs_wake(front->app.sqs, token, 1);
}
