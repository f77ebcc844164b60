// SPDX-License-Identifier: Apache-2.0
//
// policy: see policy.h. A statement applies when its principal, action, resource and every condition match. Conditions
// are in condition.c, which policy.c reaches through sl_policy__conditions.
#include "aws/policy.h"

#include "aws/arn.h"
#include "aws/policy_internal.h"

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

// The usual two-pointer match: after a "*", remember where it stood and let it take one byte more on each mismatch.
bool sl_policy_glob(struct sl_str pattern, struct sl_str text, bool ignore_case) {
    size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;
    while (t < text.len) {
        char want = p < pattern.len ? pattern.ptr[p] : '\0', have = text.ptr[t];
        if (p < pattern.len && want == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.len && (want == '?' || want == have || (ignore_case && lower(want) == lower(have)))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}

bool sl_policy_arn_like(struct sl_str pattern, struct sl_str arn) {
    struct sl_arn want, have;
    if (sl_str_is(pattern, "*")) return true;
    if (!sl_arn_parse(pattern, &want) || !sl_arn_parse(arn, &have)) return false;
    return sl_policy_glob(want.partition, have.partition, false) && sl_policy_glob(want.service, have.service, false) &&
           sl_policy_glob(want.region, have.region, false) && sl_policy_glob(want.account, have.account, false) &&
           sl_policy_glob(want.resource, have.resource, false);
}

// "${aws:username}", "${aws:username, 'nobody'}", and the characters that would be special: "${*}", "${?}", "${$}" (IAM
// User Guide, "Policy variables"). The last three match nothing here:
// the characters themselves would be wildcards, which is more than the policy says.
static bool variable(struct sl_str name, const struct sl_policy_request *request, struct sl_str *ret) {
    struct sl_str rest = name, key;
    sl_str_split(&rest, ',', &key);
    for (unsigned i = 0; i < request->value_count; i++) {
        if (!sl_str_ieq(request->values[i].key, key)) continue;
        *ret = request->values[i].value;
        // What a caller chose must not become a wildcard.
        return sl_str_chr(*ret, '*', 0) < 0 && sl_str_chr(*ret, '?', 0) < 0;
    }
    if (!rest.ptr) return false;
    ptrdiff_t open = sl_str_chr(rest, '\'', 0);
    if (open < 0 || rest.len < (size_t)open + 2 || rest.ptr[rest.len - 1] != '\'') return false;
    *ret = sl_str_sub(rest, (size_t)open + 1, rest.len - 1);
    return true;
}

bool sl_policy__expand(struct sl_str *text, const struct sl_policy_request *request, char room[SL_POLICY__EXPANDED]) {
    struct sl_str rest = *text;
    size_t len = 0;
    for (ptrdiff_t start; (start = sl_str_find(rest, SL_STR("${"))) >= 0;) {
        ptrdiff_t end = sl_str_chr(rest, '}', (size_t)start);
        struct sl_str value;
        if (end < 0 || !variable(sl_str_sub(rest, (size_t)start + 2, (size_t)end), request, &value)) return false;
        if (len + (size_t)start + value.len > SL_POLICY__EXPANDED) return false;
        memcpy(room + len, rest.ptr, (size_t)start);
        memcpy(room + len + (size_t)start, value.ptr, value.len);
        len += (size_t)start + value.len;
        rest = sl_str_sub(rest, (size_t)end + 1, rest.len);
    }
    if (rest.ptr == text->ptr) return true; // the usual text: nothing to replace
    if (len + rest.len > SL_POLICY__EXPANDED) return false;
    memcpy(room + len, rest.ptr, rest.len);
    *text = sl_str_n(room, len + rest.len);
    return true;
}

// Calls `test` for a string, or for each string of an array; true if one passes.
static bool any_string(const struct sl_json *node, bool (*test)(struct sl_str, const struct sl_policy_request *),
                       const struct sl_policy_request *request) {
    if (!node) return false;
    if (node->type == SL_JSON_STRING) return test(node->text, request);
    if (node->type != SL_JSON_ARRAY) return false;
    for (const struct sl_json *at = node->first; at; at = at->next) {
        if (at->type == SL_JSON_STRING && test(at->text, request)) return true;
    }
    return false;
}

static bool action_matches(struct sl_str pattern, const struct sl_policy_request *request) {
    return sl_policy_glob(pattern, request->action, true);
}

static bool resource_matches(struct sl_str text, const struct sl_policy_request *request) {
    char room[SL_POLICY__EXPANDED];
    struct sl_arn parsed;
    struct sl_str pattern = text;
    if (!sl_policy__expand(&pattern, request, room)) return false;
    // "arn:aws:lambda:*" is short of parts; IAM lets the wildcard stand for the rest.
    if (!sl_arn_parse(pattern, &parsed)) return sl_policy_glob(pattern, request->resource, false);
    return sl_policy_arn_like(pattern, request->resource);
}

static bool service_matches(struct sl_str pattern, const struct sl_policy_request *request) {
    return request->service.ptr && (sl_str_is(pattern, "*") || sl_str_eq(pattern, request->service));
}

// "*", an account number, its root ARN (every principal of the account), or one principal's ARN. No wildcards inside
// ARNs here.
static bool aws_matches(struct sl_str pattern, const struct sl_policy_request *request) {
    struct sl_arn arn;
    if (sl_str_is(pattern, "*")) return !request->service.ptr;
    if (!request->account.ptr) return false;
    if (sl_str_eq(pattern, request->caller) || (request->role.len && sl_str_eq(pattern, request->role))) return true;
    if (request->directly) return false;
    if (sl_str_eq(pattern, request->account)) return true;
    return sl_arn_parse(pattern, &arn) && sl_str_is(arn.service, "iam") && sl_str_is(arn.resource, "root") &&
           sl_str_eq(arn.account, request->account);
}

static bool principal_matches(const struct sl_json *principal, const struct sl_policy_request *request) {
    if (!principal) return request->identity;
    if (principal->type == SL_JSON_STRING) return sl_str_is(principal->text, "*");
    if (principal->type != SL_JSON_OBJECT) return false;
    return any_string(sl_json_get(principal, "Service"), service_matches, request) ||
           any_string(sl_json_get(principal, "AWS"), aws_matches, request);
}

// An element and its "Not" form; exactly one of them stands in a statement. Neither: `absent`.
static bool element_matches(const struct sl_json *statement, const char *name, const char *not_name,
                            bool (*test)(struct sl_str, const struct sl_policy_request *),
                            const struct sl_policy_request *request, bool absent) {
    const struct sl_json *node = sl_json_get(statement, name), *not_node = sl_json_get(statement, not_name);
    if (node) return any_string(node, test, request);
    if (not_node) return !any_string(not_node, test, request);
    return absent;
}

static enum sl_policy_effect evaluate_statement(const struct sl_json *statement,
                                                const struct sl_policy_request *request) {
    struct sl_str effect = sl_json_string(statement, "Effect");
    bool deny = sl_str_is(effect, "Deny");
    if (!deny && !sl_str_is(effect, "Allow")) return SL_POLICY_SILENT;
    const struct sl_json *not_principal = sl_json_get(statement, "NotPrincipal");
    bool who = not_principal ? !principal_matches(not_principal, request)
                             : principal_matches(sl_json_get(statement, "Principal"), request);
    if (!who || !element_matches(statement, "Action", "NotAction", action_matches, request, false))
        return SL_POLICY_SILENT;
    // A resource policy may leave Resource out: it then means the resource it is attached to.
    if (!element_matches(statement, "Resource", "NotResource", resource_matches, request, !request->identity))
        return SL_POLICY_SILENT;
    const struct sl_json *condition = sl_json_get(statement, "Condition");
    if (condition) {
        enum sl_policy__truth truth = sl_policy__conditions(condition, request);
        if (truth == SL_POLICY__FALSE || (truth == SL_POLICY__UNKNOWN && !deny)) return SL_POLICY_SILENT;
    }
    return deny ? SL_POLICY_DENY : SL_POLICY_ALLOW;
}

enum sl_policy_effect sl_policy_evaluate(const struct sl_json *policy, const struct sl_policy_request *request) {
    const struct sl_json *statements = sl_json_get(policy, "Statement");
    enum sl_policy_effect result = SL_POLICY_SILENT;
    if (!statements) return result;
    if (statements->type == SL_JSON_OBJECT) return evaluate_statement(statements, request);
    if (statements->type != SL_JSON_ARRAY) return result;
    for (const struct sl_json *at = statements->first; at; at = at->next) {
        enum sl_policy_effect effect = evaluate_statement(at, request);
        if (effect == SL_POLICY_DENY) return effect;
        if (effect == SL_POLICY_ALLOW) result = effect;
    }
    return result;
}
