// SPDX-License-Identifier: Apache-2.0
//
// url_auth: authorization and CORS of function URLs (see url_auth.h).
//
// AuthType NONE checks no identity, yet the function's policy must allow everybody ("Control access to Lambda function
// URLs", Lambda developer guide): lambda:InvokeFunctionUrl under the condition key lambda:FunctionUrlAuthType, and, for
// URLs made since October 2025 as all are here, lambda:InvokeFunction under lambda:InvokedViaFunctionUrl. The decision
// is the same for every request of a URL, so each loop thread remembers it by the function's policy_generation, which
// changes with any of its documents.
//
// AuthType AWS_IAM verifies the signature (SigV4, service "lambda", the function's region). Keys of users and of
// sessions are verified, and both actions are decided by their policies and the function's (aws/identity.h). Where
// nothing is enforced, so are the credentials that local tools use by habit: access key "test" or a 12-digit number
// (which then names the account), both with the secret "test"; they are the account's owner. Any other key is refused:
// what cannot be verified is not let in. Other accounts need both grants in the policy; a Deny always wins.
#include "lambda/url_auth.h"

#include "aws/arn.h"
#include "aws/identity.h"
#include "aws/policy.h"
#include "aws/request.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/json.h"

enum { REMEMBERED = 64 };

static const struct sl_str forbidden = SL_STR_INIT("Forbidden. For troubleshooting Function URL authorization issues, "
                                                   "see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html");

// --- the policy
// ------------------------------------------------------------------------------------------------------------------------

// SL_POLICY_DENY if either action is denied, ALLOW if both are allowed.
static enum sl_policy_effect evaluate(struct sl_http_request *request, const struct sl_function *function,
                                      struct sl_str account, struct sl_str caller) {
    struct sl_json *policy;
    if (function->policy.len == 0 || sl_json_parse(request->arena, function->policy, &policy, NULL) != 0)
        return SL_POLICY_SILENT;
    const struct sl_policy_value values[] = {
        {SL_STR("lambda:FunctionUrlAuthType"), function->url_auth},
        {SL_STR("lambda:InvokedViaFunctionUrl"), SL_STR("true")},
    };
    struct sl_policy_request ask = {.account = account,
                                    .caller = caller,
                                    .action = SL_STR("lambda:InvokeFunctionUrl"),
                                    .resource = function->arn,
                                    .values = values,
                                    .value_count = sizeof(values) / sizeof(values[0])};
    enum sl_policy_effect url = sl_policy_evaluate(policy, &ask);
    ask.action = SL_STR("lambda:InvokeFunction");
    enum sl_policy_effect invoke = sl_policy_evaluate(policy, &ask);
    if (url == SL_POLICY_DENY || invoke == SL_POLICY_DENY) return SL_POLICY_DENY;
    return url == SL_POLICY_ALLOW && invoke == SL_POLICY_ALLOW ? SL_POLICY_ALLOW : SL_POLICY_SILENT;
}

static bool public_access(struct sl_http_request *request, const struct sl_function *function) {
    static _Thread_local struct {
        uint64_t generation; // 0: empty
        char url_id[33];
        bool allowed;
    } remembered[REMEMBERED];
    size_t slot = (size_t)(function->policy_generation % REMEMBERED);
    if (remembered[slot].generation != function->policy_generation ||
        !sl_str_is(function->url_id, remembered[slot].url_id)) {
        const struct sl_str nobody = {NULL, 0};
        size_t len = function->url_id.len < sizeof(remembered[slot].url_id) ? function->url_id.len : 0;
        remembered[slot].generation = function->policy_generation;
        memcpy(remembered[slot].url_id, function->url_id.ptr, len);
        remembered[slot].url_id[len] = '\0';
        remembered[slot].allowed = evaluate(request, function, nobody, nobody) == SL_POLICY_ALLOW;
    }
    return remembered[slot].allowed;
}

// --- signatures
// --------------------------------------------------------------------------------------------------------------------------

static int verify(const struct sl_app *app, struct sl_http_request *request, const struct sl_function *function,
                  struct sl_sigv4 *signature, struct sl_identity *ret, struct sl_error *err) {
    const struct sl_aws_request signed_request = {
        .method = request->method_text,
        .path = request->path,
        .query = request->query,
        .headers = request->headers,
        .header_count = request->header_count,
        .body = request->body,
    };
    if (sl_sigv4_parse(request->arena, &signed_request, signature, err) != 0)
        return sl_fail(err, SL_E_ACCESS_DENIED, "%.*s", SL_FMT(forbidden));
    if (!sl_str_is(signature->service, "lambda"))
        return sl_fail(err, SL_E_INVALID_SIGNATURE, "Credential should be scoped to correct service: 'lambda'.");
    if (!sl_str_eq(signature->region, function->region))
        return sl_fail(err, SL_E_INVALID_SIGNATURE, "Credential should be scoped to a valid region.");
    struct sl_str secret;
    int result = sl_identity_find(app->callers, request->arena, signature->access_key, signature->session_token,
                                  sl_clock_ms(), ret, &secret, err);
    if (result) return result;
    if (ret->kind == SL_IDENTITY_OWNER) {
        if (!sl_str_is(signature->access_key, "test") && !sl_is_account(signature->access_key))
            return sl_fail(err, SL_E_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
        secret = SL_STR("test");
    }
    return sl_sigv4_verify(request->arena, &signed_request, signature, secret, sl_clock_ms(), err);
}

// Names of sessions and users are letters, digits and "+=,.@-_/": nothing to escape. Members as in "Invoking Lambda
// function URLs".
static struct sl_str iam_authorizer(struct sl_arena *arena, struct sl_str access_key, const struct sl_identity *caller,
                                    struct sl_str arn) {
    return sl_arena_printf(
        arena,
        "{\"iam\":{\"accessKey\":\"%.*s\",\"accountId\":\"%.*s\",\"callerId\":\"%.*s\",\"cognitoIdentity\":null,"
        "\"principalOrgId\":null,\"userArn\":\"%.*s\",\"userId\":\"%.*s\"}}",
        SL_FMT(access_key), SL_FMT(caller->account), SL_FMT(caller->id), SL_FMT(arn), SL_FMT(caller->id));
}

// Both actions, by everything that the caller's and the function's policies say.
static bool may_call(const struct sl_app *app, struct sl_http_request *request, const struct sl_function *function,
                     const struct sl_identity *caller) {
    static const char *const actions[] = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"};
    const struct sl_policy_value values[] = {
        {SL_STR("lambda:FunctionUrlAuthType"), function->url_auth},
        {SL_STR("lambda:InvokedViaFunctionUrl"), SL_STR("true")},
        {SL_STR("aws:SourceIp"), sl_http_conn_peer(request->conn)},
    };
    struct sl_json *policy = NULL;
    if (function->policy.len && sl_json_parse(request->arena, function->policy, &policy, NULL)) return false;
    struct sl_decision decision = {.directory = app->callers->directory,
                                   .identity = caller,
                                   .resource = function->arn,
                                   .owner = function->account,
                                   .resource_policy = policy,
                                   .values = values,
                                   .value_count = sizeof(values) / sizeof(values[0])};
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        decision.action = sl_str_of(actions[i]);
        if (sl_decide(request->arena, &decision) != SL_VERDICT_ALLOW) return false;
    }
    return true;
}

static int authorize_iam(const struct sl_app *app, struct sl_http_request *request, const struct sl_function *function,
                         struct sl_str *ret_authorizer, struct sl_str *ret_account, struct sl_error *err) {
    struct sl_sigv4 signature;
    struct sl_identity caller;
    int result = verify(app, request, function, &signature, &caller, err);
    if (result != 0) return result;
    struct sl_str arn = caller.arn, partition = sl_partition_of(function->region);
    if (caller.kind == SL_IDENTITY_OWNER)
        arn = sl_arena_printf(request->arena, "arn:%.*s:iam::%.*s:root", SL_FMT(partition), SL_FMT(caller.account));
    caller.arn = arn;
    if (!may_call(app, request, function, &caller)) return sl_fail(err, SL_E_ACCESS_DENIED, "%.*s", SL_FMT(forbidden));
    *ret_authorizer = iam_authorizer(request->arena, signature.access_key, &caller, arn);
    *ret_account = caller.account;
    return 0;
}

int sl_lambda__url_authorize(const struct sl_app *app, struct sl_http_request *request,
                             const struct sl_function *function, struct sl_str *ret_authorizer,
                             struct sl_str *ret_account, struct sl_error *err) {
    if (!sl_str_is(function->url_auth, "NONE"))
        return authorize_iam(app, request, function, ret_authorizer, ret_account, err);
    *ret_authorizer = SL_STR("");
    *ret_account = SL_STR("anonymous");
    return public_access(request, function) ? 0 : sl_fail(err, SL_E_ACCESS_DENIED, "%.*s", SL_FMT(forbidden));
}

// --- CORS
// ----------------------------------------------------------------------------------------------------------------------------------

static struct sl_str joined(struct sl_arena *arena, const struct sl_json *list) {
    struct sl_str text = SL_STR("");
    for (const struct sl_json *one = list ? list->first : NULL; one; one = one->next)
        text = text.len == 0 ? one->text : sl_arena_printf(arena, "%.*s,%.*s", SL_FMT(text), SL_FMT(one->text));
    return text;
}

// The value of Access-Control-Allow-Origin: "*", the origin itself, or empty. "https://*" allows every origin of the
// scheme.
static struct sl_str allowed_origin(const struct sl_json *origins, struct sl_str origin) {
    for (const struct sl_json *one = origins ? origins->first : NULL; one; one = one->next) {
        if (sl_str_is(one->text, "*")) return SL_STR("*");
        struct sl_str scheme = sl_str_sub(one->text, 0, one->text.len > 0 ? one->text.len - 1 : 0);
        if (sl_str_ieq(one->text, origin) || (sl_str_ends(one->text, SL_STR("://*")) && sl_str_starts(origin, scheme)))
            return origin;
    }
    return SL_STR("");
}

void sl_lambda__url_cors(struct sl_http_request *request, const struct sl_function *function,
                         struct sl_lambda__cors *ret) {
    struct sl_arena *arena = request->arena;
    struct sl_str origin = sl_http_header(request, SL_STR("Origin"));
    struct sl_json *cors;
    *ret = (struct sl_lambda__cors){0};
    if (function->url_cors.len == 0 || sl_json_parse(arena, sl_arena_dup(arena, function->url_cors), &cors, NULL) != 0)
        return;
    ret->on = true;
    if (origin.len == 0) return;
    ret->origin = allowed_origin(sl_json_get(cors, "AllowOrigins"), origin);
    ret->credentials = sl_json_bool(cors, "AllowCredentials", false);
    ret->expose = joined(arena, sl_json_get(cors, "ExposeHeaders"));
    ret->methods = joined(arena, sl_json_get(cors, "AllowMethods"));
    ret->headers = joined(arena, sl_json_get(cors, "AllowHeaders"));
    const struct sl_json *age = sl_json_get(cors, "MaxAge");
    ret->max_age = age ? age->text : SL_STR("");
}

static void add(struct sl_http_request *request, struct sl_str name, struct sl_str value) {
    if (value.len > 0) sl_http_add(request, name, value);
}

void sl_lambda__url_cors_add(struct sl_http_request *request, const struct sl_lambda__cors *cors, bool preflight) {
    if (cors->origin.len == 0) return;
    sl_http_add(request, SL_STR("Access-Control-Allow-Origin"), cors->origin);
    if (!sl_str_is(cors->origin, "*")) sl_http_add(request, SL_STR("Vary"), SL_STR("Origin"));
    if (cors->credentials) sl_http_add(request, SL_STR("Access-Control-Allow-Credentials"), SL_STR("true"));
    if (!preflight) {
        add(request, SL_STR("Access-Control-Expose-Headers"), cors->expose);
        return;
    }
    add(request, SL_STR("Access-Control-Allow-Methods"), cors->methods);
    add(request, SL_STR("Access-Control-Allow-Headers"), cors->headers);
    add(request, SL_STR("Access-Control-Max-Age"), cors->max_age);
}
