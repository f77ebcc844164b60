// SPDX-License-Identifier: Apache-2.0
//
// state: what a function says of itself while it changes: Pending after its creation, LastUpdateStatus InProgress after
// an update, until the change is in effect. As on AWS the end of a change gives the document a new RevisionId, so that
// an update which names the one in the answer fails with 412 [AWS, test_function_revisions_basic].
//
// Here code is unpacked before the operation and published right after its commit, so a change is in effect as soon as
// it is answered: without --activation only that answer shows it. With it the document keeps until when the change
// lasts, and what it says meanwhile is made when it is read; nothing has to be written when the time is over:
//
//   "_changing": "create" or "update"    "_changing_until": milliseconds    "_changing_revision": RevisionId till then
//
// Invariant: the three are there together. A later change overwrites them; copies for versions leave them out.
//
// A change may end badly: a container image is looked up at once, but that its layers cannot be unpacked is the
// function's state. After a creation State is Failed, and nothing but deletion is possible; after an update
// LastUpdateStatus is, and what was there before runs on. A container image that nobody invokes becomes Inactive; that
// is known to invoke/ready.c and made when it is read.
#include "lambda/internal.h"

#include "invoke/engine.h"

static void forget_update(struct sl_json *document) {
    sl_json_remove(document, "LastUpdateStatus");
    sl_json_remove(document, "LastUpdateStatusReason");
    sl_json_remove(document, "LastUpdateStatusReasonCode");
}

static struct sl_json *shown(struct sl_op *op, const struct sl_json *document, bool create, struct sl_str revision) {
    struct sl_json *copy = sl_json_copy(op->arena, document);
    sl_lambda__put(op, copy, "RevisionId", revision);
    if (create) {
        sl_lambda__put(op, copy, "State", SL_STR("Pending"));
        sl_lambda__put(op, copy, "StateReason", SL_STR("The function is being created."));
        sl_lambda__put(op, copy, "StateReasonCode", SL_STR("Creating"));
        forget_update(copy);
    } else {
        sl_lambda__put(op, copy, "LastUpdateStatus", SL_STR("InProgress"));
        sl_lambda__put(op, copy, "LastUpdateStatusReason", SL_STR("The function is being created."));
        sl_lambda__put(op, copy, "LastUpdateStatusReasonCode", SL_STR("Creating"));
    }
    return copy;
}

// Of a function that is not Failed itself.
static void forget_failed_update(struct sl_op *op, struct sl_json *document) {
    if (!sl_str_is(sl_json_string(document, "LastUpdateStatus"), "Failed") ||
        sl_str_is(sl_json_string(document, "State"), "Failed"))
        return;
    forget_update(document);
    sl_lambda__put(op, document, "LastUpdateStatus", SL_STR("Successful"));
}

struct sl_json *sl_lambda__begin_change(struct sl_op *op, struct sl_json *document, enum sl_lambda__change_kind kind) {
    const struct sl_app *app = op->app;
    char uuid[SL_UUID];
    forget_failed_update(op, document);
    sl_uuid(uuid);
    struct sl_str revision = sl_arena_dup(op->arena, sl_str_of(uuid));
    if (app->activation_ms > 0) {
        sl_lambda__put(op, document, "_changing", kind == SL_LAMBDA_CREATE ? SL_STR("create") : SL_STR("update"));
        sl_json_put_int(op->arena, document, "_changing_until", op->now_ms + app->activation_ms);
        sl_lambda__put(op, document, "_changing_revision", revision);
    }
    return shown(op, document, kind == SL_LAMBDA_CREATE, revision);
}

void sl_lambda__fail_change(struct sl_op *op, struct sl_json *document, enum sl_lambda__change_kind kind,
                            struct sl_str code, struct sl_str reason) {
    if (kind == SL_LAMBDA_CREATE) {
        sl_lambda__put(op, document, "State", SL_STR("Failed"));
        sl_lambda__put(op, document, "StateReason", reason);
        sl_lambda__put(op, document, "StateReasonCode", code);
    }
    sl_lambda__put(op, document, "LastUpdateStatus", SL_STR("Failed"));
    sl_lambda__put(op, document, "LastUpdateStatusReason", reason);
    sl_lambda__put(op, document, "LastUpdateStatusReasonCode", code);
}

void sl_lambda__forget_change(struct sl_op *op, struct sl_json *document) {
    forget_failed_update(op, document);
    sl_json_remove(document, "_changing");
    sl_json_remove(document, "_changing_until");
    sl_json_remove(document, "_changing_revision");
}

static bool is_changing(struct sl_op *op, const struct sl_json *document) {
    return op->now_ms < sl_json_int(document, "_changing_until", 0);
}

int64_t sl_lambda__pending_until(const struct sl_json *document) {
    bool create = sl_str_is(sl_json_string(document, "_changing"), "create");
    return create ? sl_json_int(document, "_changing_until", 0) : 0;
}

// ---- SnapStart
//
// A version with SnapStart is Pending until its snapshot is there, and Failed when its init did not get that far. The
// engine knows, and nothing of it is stored: after a server's start such a version is Active, and its snapshot is made
// anew by its first call.

bool sl_lambda__snap_starts(const struct sl_json *document) {
    return !sl_lambda__is_latest(sl_json_string(document, "Version")) &&
           sl_str_is(sl_json_string(sl_json_get(document, "SnapStart"), "ApplyOn"), "PublishedVersions");
}

static const struct sl_json *with_snapshot(struct sl_op *op, const struct sl_json *document) {
    const struct sl_app *app = op->app;
    // One that the engine does not have is being published by this very operation.
    struct sl_snapshot snapshot = {.state = SL_SNAPSHOT_PENDING};
    if (!sl_lambda__snap_starts(document)) return document;
    (void)sl_invoker_snapshot(app->invoker, op->account, op->region, sl_json_string(document, "FunctionName"),
                              sl_json_string(document, "Version"), &snapshot);
    struct sl_json *copy = sl_json_copy(op->arena, document);
    struct sl_json *snap = sl_lambda__object1(op, "ApplyOn", SL_STR("PublishedVersions"));
    bool on = snapshot.state == SL_SNAPSHOT_ON;
    sl_lambda__put(op, snap, "OptimizationStatus", on ? SL_STR("On") : SL_STR("Off"));
    sl_json_set(copy, SL_STR("SnapStart"), snap);
    if (snapshot.state == SL_SNAPSHOT_PENDING) {
        sl_lambda__put(op, copy, "State", SL_STR("Pending"));
        sl_lambda__put(op, copy, "StateReason", SL_STR("The function is being created."));
        sl_lambda__put(op, copy, "StateReasonCode", SL_STR("Creating"));
    } else if (!on) {
        sl_lambda__put(op, copy, "State", SL_STR("Failed"));
        sl_lambda__put(op, copy, "StateReason", sl_arena_dup(op->arena, sl_str_of(snapshot.reason)));
        sl_lambda__put(op, copy, "StateReasonCode", sl_str_of(snapshot.code));
    }
    return copy;
}

// ---- images

// The document of a container image as its use makes it: Inactive, or awake again soon.
static const struct sl_json *rested(struct sl_op *op, const struct sl_json *document) {
    const struct sl_app *app = op->app;
    const struct sl_function name = {.account = op->account,
                                     .region = op->region,
                                     .name = sl_json_string(document, "FunctionName"),
                                     .version = sl_json_string(document, "Version")};
    enum sl_function_state state = sl_function_state(app->invoker, &name);
    if (state == SL_FUNCTION_ACTIVE) return document;
    bool inactive = state == SL_FUNCTION_INACTIVE;
    struct sl_json *copy = sl_json_copy(op->arena, document);
    sl_lambda__put(op, copy, "State", inactive ? SL_STR("Inactive") : SL_STR("Pending"));
    sl_lambda__put(op, copy, "StateReason",
                   inactive ? SL_STR("The function is idle.") : SL_STR("The function is being restored."));
    sl_lambda__put(op, copy, "StateReasonCode", inactive ? SL_STR("Idle") : SL_STR("Restoring"));
    return copy;
}

// ---- as it is seen

const struct sl_json *sl_lambda__seen(struct sl_op *op, const struct sl_json *document) {
    if (!is_changing(op, document))
        return sl_json_get(document, "_image") ? rested(op, document) : with_snapshot(op, document);
    bool create = sl_str_is(sl_json_string(document, "_changing"), "create");
    return shown(op, document, create, sl_json_string(document, "_changing_revision"));
}

int sl_lambda__check_settled(struct sl_op *op, const struct sl_json *document, struct sl_error *err) {
    if (!is_changing(op, document)) {
        if (!sl_str_is(sl_json_string(document, "State"), "Failed")) return 0;
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "The operation cannot be performed at this time. The function is currently in the following "
                       "state: Failed");
    }
    if (sl_str_is(sl_json_string(document, "_changing"), "create"))
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "The operation cannot be performed at this time. The function is currently in the following "
                       "state: Pending");
    return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                   "The operation cannot be performed at this time. An update is in progress for resource: %.*s",
                   SL_FMT(sl_json_string(document, "FunctionArn")));
}
