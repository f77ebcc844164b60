// SPDX-License-Identifier: Apache-2.0
//
// restore: the part of the Runtime API that SnapStart needs (restore/next, restore/error), and how a process hands over
// what it can be made of again. All on the owner loop's thread.
#include "runtime/internal.h"

static void restore_gone(struct sl_http_request *request) {
    struct sl_runtime *runtime = request->user;
    if (runtime->restoring == request) runtime->restoring = NULL; // its process is ending, which is reported
}

void sl_runtime__restore_next(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (runtime->state != SL_RUNTIME_STARTED) {
        sl_runtime__refuse_state(request, runtime->state, "RestoreReady");
        return;
    }
    runtime->state = SL_RUNTIME_RESTORE_READY;
    request->user = runtime;
    request->aborted = restore_gone;
    runtime->restoring = request;
    sl_runtime__check_ready(runtime);
}

void sl_runtime_restore(struct sl_runtime *runtime) {
    struct sl_http_request *request = runtime->restoring;
    if (!request) return;
    runtime->restoring = NULL;
    runtime->state = SL_RUNTIME_RESTORING;
    request->aborted = NULL;
    sl_http_respond(request, 200, SL_STR("application/json"), SL_STR(""));
}

void sl_runtime__restore_error(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (runtime->state != SL_RUNTIME_RESTORING) {
        sl_runtime__refuse_state(request, runtime->state, "RestoreError");
        return;
    }
    runtime->state = SL_RUNTIME_RESTORE_ERROR;
    runtime->handler->restore_error(runtime, request->body, sl_runtime__error_type(request));
    sl_runtime__accept(request);
}

// ---- image --------------------------------------------------------------------------------------------------------
//
// Ours only: a process that can be made again from its memory sends that (runtimes/snapshot).
static void image_gone(struct sl_http_request *request) {
    struct sl_runtime *runtime = request->user;
    if (runtime->imaging != request) return;
    runtime->imaging = NULL;
    (void)runtime->handler->image_end(runtime);
}

bool sl_runtime__image_begins(struct sl_runtime *runtime, struct sl_http_request *request, uint64_t length) {
    if (!runtime->snapshots || runtime->state != SL_RUNTIME_STARTED || runtime->imaging || !length) return false;
    if (!runtime->handler->image(runtime, length)) return false;
    runtime->imaging = request;
    request->user = runtime;
    request->aborted = image_gone;
    return true;
}

void sl_runtime__restore_image(struct sl_runtime *runtime, struct sl_http_request *request) {
    bool kept = false;
    if (runtime->imaging == request) {
        runtime->imaging = NULL;
        request->aborted = NULL;
        kept = runtime->handler->image_end(runtime);
    }
    if (kept)
        sl_runtime__accept(request);
    else
        sl_runtime__refuse(request, 403, "InvalidImage", SL_STR("No image is taken"));
}
