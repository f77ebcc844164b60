// SPDX-License-Identifier: Apache-2.0
//
// policy: evaluation of IAM policy documents: resource policies of functions and APIs, and the policies that Lambda
// authorizers return. Follows the IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements": an explicit
// deny wins over any allow, and without an allow the answer is no. Fails closed: a statement that cannot be understood
// never allows, and a Deny with a condition that cannot be understood denies. Policy variables (${aws:username}) in
// resources and conditions stand for the request's values; one without a value matches nothing. Pure functions, any
// thread.
#ifndef SL_AWS_POLICY_H
#define SL_AWS_POLICY_H

#include "base/json.h"

// One value of a condition key ("aws:SourceArn", "lambda:FunctionUrlAuthType"); a key with several values is given
// several times.
struct sl_policy_value {
    struct sl_str key, value;
};

// Who asks for what. Strings that do not apply have ptr NULL.
struct sl_policy_request {
    struct sl_str service;  // calling service: "apigateway.amazonaws.com"
    struct sl_str account;  // of a calling AWS principal; NULL for a service or an anonymous caller
    struct sl_str caller;   // its ARN
    struct sl_str role;     // of a role's session: the role's ARN, by which policies name all its sessions
    bool directly;          // naming the caller's whole account does not mean the caller (it leaves it to that account)
    struct sl_str action;   // "lambda:InvokeFunction"
    struct sl_str resource; // ARN
    const struct sl_policy_value *values;
    unsigned value_count;
    bool identity; // the policy belongs to the caller (no Principal element), as an authorizer's does
};

enum sl_policy_effect { SL_POLICY_SILENT, SL_POLICY_ALLOW, SL_POLICY_DENY };

// Of a parsed document (NULL or not an object: SILENT).
enum sl_policy_effect sl_policy_evaluate(const struct sl_json *policy, const struct sl_policy_request *request);

static inline bool sl_policy_allows(const struct sl_json *policy, const struct sl_policy_request *request) {
    return sl_policy_evaluate(policy, request) == SL_POLICY_ALLOW;
}

// "*" and "?" wildcards over the whole text; linear in practice, quadratic at worst.
bool sl_policy_glob(struct sl_str pattern, struct sl_str text, bool ignore_case);
// The same for ARNs: the first five parts are compared one by one, so that a "*" does not reach into the next part.
bool sl_policy_arn_like(struct sl_str pattern, struct sl_str arn);

#endif
