// SPDX-License-Identifier: Apache-2.0
//
// callers: what verifying requests and deciding about them needs of the whole server (aws/identity.h): the directory of
// users and roles, the secret of session tokens, and the policies of functions, which lie with the functions.
#include "daemon/daemon.h"

#include "aws/arn.h"
#include "aws/aws.h"
#include "aws/op.h"
#include "aws/sigv4.h"
#include "base/clock.h"
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

int sl_daemon_callers_check(const struct sl_front *front, struct sl_error *err) {
    if (front->app.loopback || sl_directory_key_count(front->callers.directory) > 0) return 0;
    return sl_fail(err, SL_E_USAGE,
                   "--listen: refused, because nobody has an access key yet, so nobody could sign a request; start on "
                   "127.0.0.1, make a user and its key (docs/iam.md), and start again");
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
    int result = sl_identity_authorize(&front->callers, op, err);
    bool verified = op->identity && op->identity->kind != SL_IDENTITY_OWNER;
    // Another account's resources are for those whom its own policies name; the handlers behind this do not ask.
    if (!result && verified && !op->granted && sl_guest_names_foreigner(op))
        return sl_fail(err, SL_E_ACCESS_DENIED,
                       "User: %.*s is not authorized to use a resource of another account, because no resource-based "
                       "policy allows it",
                       SL_FMT(op->caller));
    return result;
}

// ---- what is no AWS API: logs, metrics, hooks -------------------------------------------------------------------

static bool needs_no_caller(const struct sl_http_request *request) {
    return sl_str_is(request->path, "/_sluice/health") || sl_str_starts(request->path, SL_STR("/_sluice/code/"));
}

bool sl_daemon_may_operate(struct sl_front *front, struct sl_http_request *request) {
    const struct sl_aws_request view = {.method = request->method_text,
                                        .path = request->path,
                                        .query = request->query,
                                        .host = request->host,
                                        .headers = request->headers,
                                        .header_count = request->header_count,
                                        .body = request->body};
    struct sl_identity identity;
    struct sl_sigv4 signature;
    struct sl_str secret;
    struct sl_error err;
    int64_t now_ms = sl_clock_ms();
    if (!front->callers.enforce || needs_no_caller(request)) return true;
    if (sl_sigv4_parse(request->arena, &view, &signature, &err) ||
        sl_identity_find(&front->callers, request->arena, signature.access_key, signature.session_token, now_ms,
                         &identity, &secret, &err) ||
        !secret.len || sl_sigv4_verify(request->arena, &view, &signature, secret, now_ms, &err))
        return false;
    const struct sl_decision decision = {.directory = front->callers.directory,
                                         .identity = &identity,
                                         .action = SL_STR("sluice:Operate"),
                                         .resource = SL_STR("*")};
    return sl_decide(request->arena, &decision) == SL_VERDICT_ALLOW;
}
