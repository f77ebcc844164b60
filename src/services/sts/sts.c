// SPDX-License-Identifier: Apache-2.0
//
// sts: who am I, and temporary credentials. Sessions are not stored (aws/session.h): AssumeRole and GetSessionToken
// mint a token that says whose session it is. AssumeRole's permission is decided here, with the role's trust policy, by
// the same decision as everything else (aws/identity.h).
//
// What a local tool without real keys may do: the account's owner on a loopback listener assumes every role of its
// account that exists, whomever the role trusts, so that scripts written for AWS run without users.
#include "services/sts/sts.h"

#include "aws/app.h"
#include "aws/arn.h"
#include "aws/identity.h"
#include "base/clock.h"

enum { CHAINED_MAX_S = 3600, DEFAULT_S = 3600, TOKEN_DEFAULT_S = 43200, ROOT_MAX_S = 3600, POLICY_ARNS_MAX = 10 };

static const struct sl_identity_config *callers(const struct sl_op *op) {
    return ((const struct sl_app *)op->app)->callers;
}

static int get_caller_identity(struct sl_op *op, struct sl_error *err) {
    (void)err;
    sl_op_out(op, "UserId", op->caller_id);
    sl_op_out(op, "Account", op->account);
    sl_op_out(op, "Arn", op->caller);
    return 0;
}

static int mint(struct sl_op *op, const struct sl_session *session, struct sl_error *err) {
    struct sl_session_keys keys;
    struct sl_json *credentials = sl_json_new_object(op->arena);
    int result = sl_session_mint(op->arena, callers(op)->secret, session, &keys, err);
    if (result) return result;
    sl_json_put_string(op->arena, credentials, "AccessKeyId", sl_arena_dup(op->arena, sl_str_of(keys.access_key)));
    sl_json_put_string(op->arena, credentials, "SecretAccessKey", sl_arena_dup(op->arena, sl_str_of(keys.secret_key)));
    sl_json_put_string(op->arena, credentials, "SessionToken", keys.token);
    sl_json_put_int(op->arena, credentials, "Expiration", session->expires_s * 1000);
    sl_json_set(op->out, SL_STR("Credentials"), credentials);
    explicit_bzero(&keys, sizeof keys);
    return 0;
}

// --- AssumeRole
// ------------------------------------------------------------------------------------------------------------------------

struct role {
    struct sl_str arn, id, account, name;
    const struct sl_json *trust; // valid between enter and leave
    int64_t longest_s;
};

static int denied(const struct sl_op *op, struct sl_error *err) {
    return sl_fail(err, SL_E_ACCESS_DENIED, "User: %.*s is not authorized to perform: sts:AssumeRole on resource: %.*s",
                   SL_FMT(op->caller), SL_FMT(sl_op_in(op, "RoleArn")));
}

// A role that is not there is answered as one that does not trust the caller (nobody learns which roles exist).
static int find_role(struct sl_op *op, struct role *ret, struct sl_error *err) {
    struct sl_arn arn;
    struct sl_str text = sl_op_in(op, "RoleArn");
    if (!sl_arn_parse(text, &arn) || !sl_str_is(arn.service, "iam") || !sl_str_starts(arn.resource, SL_STR("role/")))
        return sl_fail(err, SL_E_QUERY_VALIDATION, "%.*s is invalid", SL_FMT(text));
    size_t start = arn.resource.len;
    while (start > 0 && arn.resource.ptr[start - 1] != '/') start--;
    ret->name = sl_str_sub(arn.resource, start, arn.resource.len);
    ret->account = arn.account;
    const struct sl_json *role = sl_directory_get(callers(op)->directory, "role", arn.account, ret->name);
    if (!role || !sl_str_eq(sl_json_string(role, "Arn"), text)) return denied(op, err);
    ret->arn = sl_arena_dup(op->arena, text);
    ret->id = sl_arena_dup(op->arena, sl_json_string(role, "Id"));
    ret->trust = sl_json_get(role, "Trust");
    ret->longest_s = sl_json_int(role, "MaxSessionDuration", DEFAULT_S);
    return 0;
}

static int check_trust(struct sl_op *op, const struct role *role, struct sl_error *err) {
    const struct sl_policy_value values[] = {
        {SL_STR("sts:ExternalId"), sl_op_in(op, "ExternalId")},
        {SL_STR("sts:RoleSessionName"), sl_op_in(op, "RoleSessionName")},
        {SL_STR("sts:SourceIdentity"), sl_op_in(op, "SourceIdentity")},
    };
    struct sl_policy_value given[3];
    unsigned count = 0;
    for (size_t i = 0; i < 3; i++)
        if (values[i].value.len) given[count++] = values[i];
    struct sl_decision decision = {.directory = callers(op)->directory,
                                   .identity = op->identity,
                                   .action = SL_STR("sts:AssumeRole"),
                                   .resource = role->arn,
                                   .owner = role->account,
                                   .resource_policy = role->trust,
                                   .must_be_trusted = true,
                                   .values = given,
                                   .value_count = count};
    bool owner = !op->identity || op->identity->kind == SL_IDENTITY_OWNER;
    if (owner && sl_str_eq(op->account, role->account)) return 0;
    return op->identity ? sl_decide_or_fail(op->arena, &decision, err) : denied(op, err);
}

static int check_times(struct sl_op *op, const struct role *role, int64_t seconds, struct sl_error *err) {
    bool chained = op->identity && op->identity->kind == SL_IDENTITY_SESSION;
    if (chained && seconds > CHAINED_MAX_S)
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
                       "chaining.");
    if (seconds > role->longest_s)
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    return 0;
}

// Policy and PolicyArns together, as one list: documents, and ARNs of managed policies.
static int session_policy(struct sl_op *op, struct sl_str *ret, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "Policy");
    const struct sl_json *arns = sl_json_get(op->in, "PolicyArns");
    struct sl_json *policy, *list = sl_json_new_array(op->arena);
    *ret = (struct sl_str){0};
    if (text.len) {
        if (sl_json_parse(op->arena, text, &policy, NULL) || !sl_json_get(policy, "Statement"))
            return sl_fail(err, SL_E_MALFORMED_POLICY, "This policy contains invalid Json");
        sl_json_push(list, policy);
    }
    if (arns && arns->count > POLICY_ARNS_MAX)
        return sl_fail(err, SL_E_QUERY_VALIDATION, "At most %d session policy ARNs are allowed.", POLICY_ARNS_MAX);
    for (const struct sl_json *at = arns ? arns->first : NULL; at; at = at->next) {
        struct sl_str arn = sl_json_string(at, "arn");
        if (!sl_directory_get(callers(op)->directory, "policy", arn, (struct sl_str){0}))
            return sl_fail(err, SL_E_QUERY_VALIDATION, "Policy %.*s does not exist.", SL_FMT(arn));
        sl_json_push(list, sl_json_new_string(op->arena, arn));
    }
    if (!list || list->count == 0) return 0;
    *ret = sl_json_text(op->arena, list, SL_SESSION_POLICY_MAX);
    if (ret->ptr) return 0;
    return sl_fail(err, SL_E_PACKED_POLICY, "Packed size of session tags consumes 100%% of allotted space.");
}

static int find_and_check(struct sl_op *op, struct role *role, struct sl_str *ret_policy, int64_t seconds,
                          struct sl_error *err) {
    int result = find_role(op, role, err);
    if (!result) result = check_trust(op, role, err);
    if (!result) result = check_times(op, role, seconds, err);
    return result ? result : session_policy(op, ret_policy, err);
}

static int assume_role(struct sl_op *op, struct sl_error *err) {
    int64_t seconds = sl_json_int(op->in, "DurationSeconds", DEFAULT_S), now_s = op->now_ms / 1000;
    struct sl_str name = sl_op_in(op, "RoleSessionName"), policy = {0};
    struct role role = {0};
    sl_directory_enter();
    int result = find_and_check(op, &role, &policy, seconds, err);
    sl_directory_leave();
    if (result) return result;
    const struct sl_session session = {.account = role.account,
                                       .issuer = role.arn,
                                       .issuer_id = role.id,
                                       .name = name,
                                       .policy = policy,
                                       .issued_s = now_s,
                                       .expires_s = now_s + seconds};
    struct sl_json *user = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, user, "AssumedRoleId",
                       sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(role.id), SL_FMT(name)));
    sl_json_put_string(op->arena, user, "Arn", sl_session_arn(op->arena, &session));
    sl_json_set(op->out, SL_STR("AssumedRoleUser"), user);
    if (policy.len)
        sl_json_put_int(op->arena, op->out, "PackedPolicySize", 1 + (int64_t)policy.len * 99 / SL_SESSION_POLICY_MAX);
    if (sl_op_in(op, "SourceIdentity").len) sl_op_out(op, "SourceIdentity", sl_op_in(op, "SourceIdentity"));
    return mint(op, &session, err);
}

// --- the others
// ------------------------------------------------------------------------------------------------------------------------

static int get_session_token(struct sl_op *op, struct sl_error *err) {
    const struct sl_identity *identity = op->identity;
    bool root = !identity || identity->kind == SL_IDENTITY_ROOT || identity->kind == SL_IDENTITY_OWNER;
    int64_t seconds = sl_json_int(op->in, "DurationSeconds", TOKEN_DEFAULT_S), now_s = op->now_ms / 1000;
    if (identity && identity->temporary)
        return sl_fail(err, SL_E_ACCESS_DENIED, "Cannot call GetSessionToken with session credentials");
    if (root && seconds > ROOT_MAX_S) seconds = ROOT_MAX_S;
    const struct sl_session session = {.account = op->account,
                                       .issuer = op->caller,
                                       .issuer_id =
                                           identity && identity->kind == SL_IDENTITY_USER ? op->caller_id : SL_STR(""),
                                       .issued_s = now_s,
                                       .expires_s = now_s + seconds};
    return mint(op, &session, err);
}

static int get_access_key_info(struct sl_op *op, struct sl_error *err) {
    struct sl_str id = sl_op_in(op, "AccessKeyId");
    sl_directory_enter();
    const struct sl_json *key = sl_directory_get(callers(op)->directory, "key", id, (struct sl_str){0});
    struct sl_str account = sl_arena_dup(op->arena, sl_json_string(key, "Account"));
    sl_directory_leave();
    // The account of a session stands in its token, which is not asked for here.
    if (!account.len && sl_session_is_key(id)) account = op->account;
    if (!account.len) return sl_fail(err, SL_E_QUERY_VALIDATION, "Invalid access key: %.*s", SL_FMT(id));
    sl_op_out(op, "Account", account);
    return 0;
}

// Nobody's tokens are trusted here: there are no identity providers.
static int assume_with_web_identity(struct sl_op *op, struct sl_error *err) {
    (void)op;
    return sl_fail(err, SL_E_INVALID_IDENTITY_TOKEN, "No OpenIDConnect provider found in your account for this token");
}

static int decode_message(struct sl_op *op, struct sl_error *err) {
    (void)op;
    return sl_fail(err, SL_E_INVALID_AUTHORIZATION_MESSAGE, "Message is not valid");
}

const struct sl_op_entry sl_sts_operations[] = {
    {"sts", "GetCallerIdentity", SL_OP_STORE, NULL, get_caller_identity, NULL, NULL},
    {"sts", "AssumeRole", SL_OP_STORE, NULL, assume_role, NULL, NULL},
    {"sts", "GetSessionToken", SL_OP_STORE, NULL, get_session_token, NULL, NULL},
    {"sts", "GetAccessKeyInfo", SL_OP_STORE, NULL, get_access_key_info, NULL, NULL},
    {"sts", "AssumeRoleWithWebIdentity", SL_OP_STORE, NULL, assume_with_web_identity, NULL, NULL},
    {"sts", "DecodeAuthorizationMessage", SL_OP_STORE, NULL, decode_message, NULL, NULL},
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
