// SPDX-License-Identifier: Apache-2.0
//
// callers: what verifying requests and deciding about them needs of the whole server (aws/identity.h): the directory of
// users and roles, the secret of session tokens, and the policies of functions, which lie with the functions.
#include "daemon/daemon.h"

#include "aws/arn.h"
#include "aws/op.h"
#include "invoke/engine.h"

// arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]. On a loop's turn: the function is the registry's.
static struct sl_str function_policy(void *user, struct sl_arena *arena, struct sl_str arn) {
    const struct sl_front *front = user;
    struct sl_function_ref ref;
    if (!sl_function_ref_parse(arn, &ref)) return (struct sl_str){0};
    const struct sl_function *function =
        sl_function_find(front->app.invoker, ref.account, ref.region, ref.name, ref.qualifier);
    return function ? sl_arena_dup(arena, function->policy) : (struct sl_str){0};
}

int sl_daemon_callers_new(struct sl_front *front, const struct sl_daemon_config *config, struct sl_error *err) {
    struct sl_identity_config *callers = &front->callers;
    if (sl_directory_new(&callers->directory, err)) return err->kind;
    callers->secret = &front->secret;
    callers->enforce = config->enforce;
    callers->function_policy = function_policy;
    callers->user = front;
    front->app.callers = callers;
    return 0;
}

void sl_daemon_callers_free(struct sl_front *front) {
    sl_directory_free(front->callers.directory);
    front->callers.directory = NULL;
}

int sl_daemon_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                       struct sl_aws_identity *ret, struct sl_error *err) {
    struct sl_front *front = user;
    return sl_identity_identify(&front->callers, arena, signature, now_ms, ret, err);
}

// Functions name roles that nobody created, in local use: such a session has no policies to be decided by.
static bool has_no_role(const struct sl_front *front, const struct sl_identity *caller) {
    if (front->callers.enforce || !caller || caller->kind != SL_IDENTITY_SESSION) return false;
    sl_directory_enter();
    bool exists = sl_directory_get(front->callers.directory, "role", caller->account, caller->name) != NULL;
    sl_directory_leave();
    return !exists;
}

int sl_daemon_authorize(void *user, struct sl_op *op, struct sl_error *err) {
    struct sl_front *front = user;
    if (has_no_role(front, op->identity)) return sl_guest_authorize(op, err);
    return sl_identity_authorize(&front->callers, op, err);
}
