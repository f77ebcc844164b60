// SPDX-License-Identifier: Apache-2.0
//
// decide: AWS's evaluation logic (IAM User Guide, "Policy evaluation logic"), the one place where it is decided whether
// a caller may do something. In its order:
//
//   1. an explicit deny in any policy that applies: no
//   2. the resource's own policy allows this very caller, and both are of one account: yes (a session of a role stays
//      within its boundary and session policy)
//   3. otherwise identity policies, boundary (if there is one) and session policy (if there is one) must each allow
//   4. another account's resource: its policy must allow too, and there naming the caller's account suffices
//
// Pure functions of the directory's documents; inside a read section (identity.h).
#include "aws/identity.h"

#include "aws/arn.h"
#include "base/clock.h"

enum { VALUES_MAX = 96, GROUPS_MAX = 100 };

struct evaluation {
    const struct sl_decision *decision;
    struct sl_arena *arena;
    struct sl_policy_request request;
    const struct sl_json *principal; // NULL: root, owner, anonymous, or gone
    bool unlimited;                  // the account itself
};

// --- what is known of the caller
// -------------------------------------------------------------------------------------------------------

static void add_value(struct sl_policy_value *values, unsigned *count, const char *key, struct sl_str value) {
    if (value.len && *count < VALUES_MAX) values[(*count)++] = (struct sl_policy_value){sl_str_of(key), value};
}

static const char *type_of(const struct sl_identity *identity) {
    static const char *const types[] = {[SL_IDENTITY_OWNER] = "Account",
                                        [SL_IDENTITY_ROOT] = "Account",
                                        [SL_IDENTITY_USER] = "User",
                                        [SL_IDENTITY_SESSION] = "AssumedRole"};
    return types[identity->kind];
}

// The global condition keys ("AWS global condition context keys") that follow from the caller and the time.
static void add_caller(struct evaluation *at, struct sl_policy_value *values, unsigned *count) {
    const struct sl_identity *identity = at->decision->identity;
    char now[SL_TIME_ISO_S];
    sl_time_iso_s(sl_clock_ms(), now);
    add_value(values, count, "aws:CurrentTime", sl_arena_dup(at->arena, sl_str_of(now)));
    add_value(values, count, "aws:EpochTime", sl_arena_printf(at->arena, "%lld", (long long)(sl_clock_ms() / 1000)));
    if (!identity) {
        add_value(values, count, "aws:PrincipalType", SL_STR("Anonymous"));
        return;
    }
    bool session = identity->kind == SL_IDENTITY_SESSION;
    add_value(values, count, "aws:PrincipalArn", session ? identity->issuer : identity->arn);
    add_value(values, count, "aws:PrincipalAccount", identity->account);
    add_value(values, count, "aws:PrincipalType", sl_str_of(type_of(identity)));
    add_value(values, count, "aws:userid", identity->id);
    if (identity->kind == SL_IDENTITY_USER) add_value(values, count, "aws:username", identity->name);
    add_value(values, count, "lambda:SourceFunctionArn", identity->source);
    const struct sl_json *tags = sl_json_get(at->principal, "Tags");
    for (const struct sl_json *tag = tags ? tags->first : NULL; tag && *count < VALUES_MAX; tag = tag->next) {
        struct sl_str key = sl_arena_printf(at->arena, "aws:PrincipalTag/%.*s", SL_FMT(sl_json_string(tag, "Key")));
        values[(*count)++] = (struct sl_policy_value){key, sl_json_string(tag, "Value")};
    }
}

static void begin(struct evaluation *at, struct sl_arena *arena, const struct sl_decision *decision,
                  struct sl_policy_value *values) {
    const struct sl_identity *identity = decision->identity;
    unsigned count = 0;
    *at = (struct evaluation){.decision = decision, .arena = arena};
    if (identity) {
        at->unlimited = identity->kind == SL_IDENTITY_OWNER || identity->kind == SL_IDENTITY_ROOT;
        at->principal = decision->principal;
        if (!at->unlimited && !at->principal)
            at->principal = sl_directory_get(decision->directory, identity->kind == SL_IDENTITY_USER ? "user" : "role",
                                             identity->account, identity->name);
        at->request.account = identity->account;
        at->request.caller = identity->arn;
        at->request.role = identity->issuer;
    }
    for (unsigned i = 0; i < decision->value_count && count < VALUES_MAX / 2; i++)
        values[count++] = decision->values[i];
    add_caller(at, values, &count);
    at->request.action = decision->action;
    at->request.resource = decision->resource;
    at->request.values = values;
    at->request.value_count = count;
}

// --- policies of the caller
// ------------------------------------------------------------------------------------------------------------

static enum sl_policy_effect merge(enum sl_policy_effect a, enum sl_policy_effect b) {
    if (a == SL_POLICY_DENY || b == SL_POLICY_DENY) return SL_POLICY_DENY;
    return a == SL_POLICY_ALLOW || b == SL_POLICY_ALLOW ? SL_POLICY_ALLOW : SL_POLICY_SILENT;
}

static enum sl_policy_effect one(const struct evaluation *at, const struct sl_json *policy) {
    struct sl_policy_request request = at->request;
    request.identity = true;
    return sl_policy_evaluate(policy, &request);
}

static enum sl_policy_effect managed(const struct evaluation *at, struct sl_str arn) {
    return one(at, sl_directory_get(at->decision->directory, "policy", arn, (struct sl_str){0}));
}

// Inline and attached policies of a user, role or group.
static enum sl_policy_effect own(const struct evaluation *at, const struct sl_json *holder) {
    const struct sl_json *inlined = sl_json_get(holder, "Documents"), *attached = sl_json_get(holder, "Attached");
    enum sl_policy_effect result = SL_POLICY_SILENT;
    for (const struct sl_json *policy = inlined ? inlined->first : NULL; policy; policy = policy->next)
        result = merge(result, one(at, policy));
    for (const struct sl_json *arn = attached ? attached->first : NULL; arn; arn = arn->next)
        result = merge(result, managed(at, arn->text));
    return result;
}

static enum sl_policy_effect identity_effect(const struct evaluation *at) {
    const struct sl_json *groups = sl_json_get(at->principal, "Groups");
    enum sl_policy_effect result = own(at, at->principal);
    if (at->unlimited) return SL_POLICY_ALLOW;
    for (const struct sl_json *group = groups ? groups->first : NULL; group; group = group->next)
        result = merge(result, own(at, sl_directory_get(at->decision->directory, "group",
                                                        at->decision->identity->account, group->text)));
    return result;
}

// Limits allow what they do not speak of only where there are none.
static enum sl_policy_effect boundary_effect(const struct evaluation *at) {
    struct sl_str arn = sl_json_string(at->principal, "Boundary");
    return arn.len ? managed(at, arn) : SL_POLICY_ALLOW;
}

// A session's policies: one document, or a list of documents.
static enum sl_policy_effect session_effect(const struct evaluation *at) {
    const struct sl_identity *identity = at->decision->identity;
    struct sl_json *policy;
    if (!identity || !identity->session_policy.len) return SL_POLICY_ALLOW;
    if (sl_json_parse(at->arena, identity->session_policy, &policy, NULL)) return SL_POLICY_SILENT;
    if (policy->type != SL_JSON_ARRAY) return one(at, policy);
    enum sl_policy_effect result = SL_POLICY_SILENT;
    for (const struct sl_json *item = policy->first; item; item = item->next)
        result = merge(result, item->type == SL_JSON_STRING ? managed(at, item->text) : one(at, item));
    return result;
}

// --- the whole
// -------------------------------------------------------------------------------------------------------------------------

struct effects {
    enum sl_policy_effect identity, boundary, session, resource, direct;
};

static enum sl_verdict weigh(const struct sl_decision *decision, const struct effects *of) {
    const struct sl_identity *identity = decision->identity;
    bool same = !identity ? false : !decision->owner.len || sl_str_eq(decision->owner, identity->account);
    if (of->identity == SL_POLICY_DENY) return SL_VERDICT_DENY_IDENTITY;
    if (of->boundary == SL_POLICY_DENY) return SL_VERDICT_DENY_BOUNDARY;
    if (of->session == SL_POLICY_DENY) return SL_VERDICT_DENY_SESSION;
    if (of->resource == SL_POLICY_DENY) return SL_VERDICT_DENY_RESOURCE;
    bool limits = of->boundary == SL_POLICY_ALLOW && of->session == SL_POLICY_ALLOW;
    bool named = of->direct == SL_POLICY_ALLOW;
    if (!identity) return named ? SL_VERDICT_ALLOW : SL_VERDICT_NO_RESOURCE_POLICY;
    if (same && named && (identity->kind == SL_IDENTITY_USER || limits)) return SL_VERDICT_ALLOW;
    if ((!same || decision->must_be_trusted) && of->resource != SL_POLICY_ALLOW) return SL_VERDICT_NO_RESOURCE_POLICY;
    if (of->identity != SL_POLICY_ALLOW) return SL_VERDICT_NO_IDENTITY_POLICY;
    if (of->boundary != SL_POLICY_ALLOW) return SL_VERDICT_NO_BOUNDARY;
    return of->session == SL_POLICY_ALLOW ? SL_VERDICT_ALLOW : SL_VERDICT_NO_SESSION_POLICY;
}

enum sl_verdict sl_decide(struct sl_arena *arena, const struct sl_decision *decision) {
    struct sl_policy_value values[VALUES_MAX];
    struct evaluation at;
    begin(&at, arena, decision, values);
    struct sl_policy_request direct = at.request;
    direct.directly = true;
    const struct effects effects = {.identity = identity_effect(&at),
                                    .boundary = boundary_effect(&at),
                                    .session = session_effect(&at),
                                    .resource = sl_policy_evaluate(decision->resource_policy, &at.request),
                                    .direct = sl_policy_evaluate(decision->resource_policy, &direct)};
    if (sl_arena_failed(arena)) return SL_VERDICT_NO_IDENTITY_POLICY;
    return weigh(decision, &effects);
}

// The words of "Troubleshoot access denied error messages" (IAM User Guide).
static struct sl_str reason(struct sl_arena *arena, enum sl_verdict verdict, struct sl_str action) {
    static const char *const kinds[] = {
        [SL_VERDICT_NO_IDENTITY_POLICY] = "identity-based policy",
        [SL_VERDICT_NO_BOUNDARY] = "permissions boundary",
        [SL_VERDICT_NO_SESSION_POLICY] = "session policy",
        [SL_VERDICT_NO_RESOURCE_POLICY] = "resource-based policy",
        [SL_VERDICT_DENY_IDENTITY] = "an identity-based policy",
        [SL_VERDICT_DENY_BOUNDARY] = "a permissions boundary",
        [SL_VERDICT_DENY_SESSION] = "a session policy",
        [SL_VERDICT_DENY_RESOURCE] = "a resource-based policy",
    };
    if (verdict >= SL_VERDICT_DENY_IDENTITY)
        return sl_arena_printf(arena, "with an explicit deny in %s", kinds[verdict]);
    return sl_arena_printf(arena, "because no %s allows the %.*s action", kinds[verdict], SL_FMT(action));
}

// How each service writes them: SQS in small letters, S3 with the resource in quotes.
static struct sl_str spelled(struct sl_arena *arena, struct sl_str action) {
    struct sl_str copy = sl_arena_dup(arena, action);
    if (!sl_str_starts(action, SL_STR("sqs:")) || !copy.ptr) return copy;
    char *text = sl_arena_cstr(arena, copy);
    for (char *at = text; at && *at; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at + 32);
    return text ? sl_str_of(text) : copy;
}

int sl_decide_or_fail(struct sl_arena *arena, const struct sl_decision *decision, struct sl_error *err) {
    enum sl_verdict verdict = sl_decide(arena, decision);
    if (verdict == SL_VERDICT_ALLOW) return 0;
    bool s3 = sl_str_starts(decision->action, SL_STR("s3:"));
    if (!decision->identity) return sl_fail(err, SL_E_ACCESS_DENIED, "Access Denied");
    struct sl_str action = spelled(arena, decision->action);
    const char *quote = s3 ? "\"" : "";
    if (decision->must_be_trusted)
        return sl_fail(err, SL_E_ACCESS_DENIED, "User: %.*s is not authorized to perform: %.*s on resource: %.*s",
                       SL_FMT(decision->identity->arn), SL_FMT(action), SL_FMT(decision->resource));
    return sl_fail(err, SL_E_ACCESS_DENIED, "User: %.*s is not authorized to perform: %.*s on resource: %s%.*s%s %.*s",
                   SL_FMT(decision->identity->arn), SL_FMT(action), quote, SL_FMT(decision->resource), quote,
                   SL_FMT(reason(arena, verdict, action)));
}
