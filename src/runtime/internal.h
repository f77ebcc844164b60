// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of runtime/ share. api.c serves the connections and the Runtime API, restore.c its part for
// SnapStart, extension.c the Extensions API, subscription.c, telemetry.c, subscriber.c and delivery.c the Telemetry and
// Logs APIs.
#ifndef SL_RUNTIME_INTERNAL_H
#define SL_RUNTIME_INTERNAL_H

#include "runtime/runtime.h"

enum {
    SL_RUNTIME__RESPONSE_MAX = 6291556,  // bytes; the number AWS's message names
    SL_RUNTIME__ERROR_MAX = 1024 * 1024, // of an error body: AWS drops larger ones
};

// {"errorMessage","errorType"}. The message is written as JSON.
void sl_runtime__refuse(struct sl_http_request *request, int status, const char *type, struct sl_str message);
void sl_runtime__accept(struct sl_http_request *request);
void sl_runtime__refuse_state(struct sl_http_request *request, enum sl_runtime_state from, const char *to);
struct sl_str sl_runtime__error_type(const struct sl_http_request *request); // a header; may be empty
// The runtime or an extension waits for an event: if nobody is busy any more, tells the owner.
void sl_runtime__check_ready(struct sl_runtime *runtime);

// --- restore.c
void sl_runtime__restore_next(struct sl_runtime *runtime, struct sl_http_request *request);
void sl_runtime__restore_error(struct sl_runtime *runtime, struct sl_http_request *request);
// Whether the body of that length that is about to come is taken as an image; restore_image answers at its end.
bool sl_runtime__image_begins(struct sl_runtime *runtime, struct sl_http_request *request, uint64_t length);
void sl_runtime__restore_image(struct sl_runtime *runtime, struct sl_http_request *request);

// --- lane.c
// A `next` that offers a lane: true when it was made one, and the request is gone.
bool sl_runtime__lane_take(struct sl_runtime *runtime, struct sl_http_request *request);
bool sl_runtime__lane_send(struct sl_runtime *runtime, const struct sl_runtime_event *event); // false: it is not ready
// The second connection of a lane; false: there is none, or it has one.
bool sl_runtime__lane_bell(struct sl_runtime *runtime, struct sl_http_request *request);
bool sl_runtime__lane_ready(const struct sl_runtime *runtime); // it waits for an event
void sl_runtime__lane_free(struct sl_runtime *runtime);
void sl_runtime__lane_detach(struct sl_runtime *runtime);
int sl_runtime__lane_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err);

// Whether the path is of the Extensions, Telemetry or Logs API; then the request is answered or parked.
bool sl_runtime__extension_handle(struct sl_runtime *runtime, struct sl_http_request *request);
// Whether every extension that has to has asked for its next event.
bool sl_runtime__extensions_settled(const struct sl_runtime *runtime);
void sl_runtime__extensions_send(struct sl_runtime *runtime, const struct sl_runtime_event *event);
void sl_runtime__extensions_free(struct sl_runtime *runtime);

// PUT /2022-07-01/telemetry or (logs) /2020-08-15/logs by the extension of that name. Answers.
void sl_runtime__subscribe(struct sl_runtime *runtime, struct sl_http_request *request, const char *extension,
                           bool logs);

struct sl_subscription;
bool sl_runtime__telemetry_is_closed(const struct sl_runtime *runtime);
bool sl_runtime__telemetry_conflict(const struct sl_runtime *runtime, const struct sl_subscription *asked);
// False without memory.
bool sl_runtime__telemetry_subscribe(struct sl_runtime *runtime, const struct sl_subscription *asked);
// The init is over: no more subscriptions.
void sl_runtime__telemetry_close(struct sl_runtime *runtime);
void sl_runtime__telemetry_free(struct sl_runtime *runtime);
void sl_runtime__telemetry_detach(struct sl_runtime *runtime);
int sl_runtime__telemetry_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err);

#endif
