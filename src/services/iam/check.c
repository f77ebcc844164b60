// SPDX-License-Identifier: Apache-2.0
//
// check: whether a text is a policy document, in IAM's words (MalformedPolicyDocument). Pure.
#include "services/iam/internal.h"

static int malformed(struct sl_error *err, const char *text) { return sl_fail(err, SL_E_MALFORMED_POLICY, "%s", text); }

static bool is_texts(const struct sl_json *node) {
    if (!node || node->type == SL_JSON_STRING) return true;
    if (node->type != SL_JSON_ARRAY || node->count == 0) return false;
    for (const struct sl_json *at = node->first; at; at = at->next)
        if (at->type != SL_JSON_STRING) return false;
    return true;
}

// "service:Action" or "*".
static int check_actions(const struct sl_json *node, struct sl_error *err) {
    for (const struct sl_json *at = node && node->type == SL_JSON_ARRAY ? node->first : node; at;
         at = node->type == SL_JSON_ARRAY ? at->next : NULL) {
        if (sl_str_is(at->text, "*")) continue;
        ptrdiff_t colon = sl_str_chr(at->text, ':', 0);
        if (colon < 0)
            return malformed(err, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
        if (sl_str_chr(sl_str_sub(at->text, 0, (size_t)colon), '*', 0) >= 0 || colon == 0)
            return sl_fail(err, SL_E_MALFORMED_POLICY, "Vendor %.*s is not valid", (int)colon, at->text.ptr);
    }
    return 0;
}

static int check_resources(const struct sl_json *node, struct sl_error *err) {
    for (const struct sl_json *at = node && node->type == SL_JSON_ARRAY ? node->first : node; at;
         at = node->type == SL_JSON_ARRAY ? at->next : NULL) {
        if (sl_str_is(at->text, "*") || sl_str_starts(at->text, SL_STR("arn:"))) continue;
        return sl_fail(err, SL_E_MALFORMED_POLICY, "Resource %.*s must be in ARN format or \"*\".", SL_FMT(at->text));
    }
    return 0;
}

static int check_statement(const struct sl_json *statement, bool trust, struct sl_error *err) {
    const struct sl_json *action = sl_json_get(statement, "Action"), *not_action = sl_json_get(statement, "NotAction"),
                         *resource = sl_json_get(statement, "Resource"),
                         *not_resource = sl_json_get(statement, "NotResource"),
                         *condition = sl_json_get(statement, "Condition");
    struct sl_str effect = sl_json_string(statement, "Effect");
    bool principal = sl_json_get(statement, "Principal") || sl_json_get(statement, "NotPrincipal");
    bool bad = statement->type != SL_JSON_OBJECT || (!sl_str_is(effect, "Allow") && !sl_str_is(effect, "Deny")) ||
               (!action && !not_action) || (action && not_action) || (resource && not_resource) || !is_texts(action) ||
               !is_texts(not_action) || !is_texts(resource) || !is_texts(not_resource) ||
               (condition && condition->type != SL_JSON_OBJECT);
    if (bad) return malformed(err, "Syntax errors in policy.");
    if (trust && !principal) return malformed(err, "Missing required field Principal");
    if (trust && (resource || not_resource)) return malformed(err, "Has prohibited field Resource");
    if (!trust && principal) return malformed(err, "Policy document should not specify a principal.");
    if (!trust && !resource && !not_resource) return malformed(err, "Policy statement must contain resources.");
    int result = check_actions(action, err);
    if (!result) result = check_actions(not_action, err);
    if (!result) result = check_resources(resource, err);
    return result ? result : check_resources(not_resource, err);
}

int sl_iam__policy_check(struct sl_op *op, struct sl_str document, bool trust, struct sl_error *err) {
    struct sl_json *policy;
    if (sl_json_parse(op->arena, document, &policy, NULL) != 0 || policy->type != SL_JSON_OBJECT)
        return malformed(err, "This policy contains invalid Json");
    const struct sl_json *statement = sl_json_get(policy, "Statement");
    struct sl_str version = sl_json_string(policy, "Version");
    if (version.ptr && !sl_str_is(version, "2012-10-17") && !sl_str_is(version, "2008-10-17"))
        return malformed(err, "The policy must contain a valid version string");
    if (!statement || (statement->type != SL_JSON_ARRAY && statement->type != SL_JSON_OBJECT) || statement->count == 0)
        return malformed(err, "Syntax errors in policy.");
    if (statement->type == SL_JSON_OBJECT) return check_statement(statement, trust, err);
    int result = 0;
    for (const struct sl_json *one = statement->first; one && result == 0; one = one->next)
        result = check_statement(one, trust, err);
    return result;
}

size_t sl_iam__policy_size(struct sl_str document) {
    size_t size = 0;
    for (size_t i = 0; i < document.len; i++) size += (unsigned char)document.ptr[i] > ' ';
    return size;
}
