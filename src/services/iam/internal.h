// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of iam/ share. Documents (IAM is global: no region):
//
//   iam.role             ""    role name     Role as the API shows it; AssumeRolePolicyDocument as the client sent it
//   (plain JSON text) iam.role_policy      role  policy name   {"PolicyDocument": text} iam.role_attachment  role
//   policy ARN    {"PolicyName", "PolicyArn"}
//
// Policy documents are percent-encoded in answers, as IAM does (API reference, GetRole); SDKs decode them.
#ifndef SL_SERVICES_IAM_INTERNAL_H
#define SL_SERVICES_IAM_INTERNAL_H

#include "aws/op.h"
#include "store/store.h"

struct sl_key sl_iam__role_key(struct sl_op *op, struct sl_str role);
struct sl_key sl_iam__policy_key(struct sl_op *op, struct sl_str role, struct sl_str policy);
struct sl_key sl_iam__attachment_key(struct sl_op *op, struct sl_str role, struct sl_str policy_arn);
// The role of the RoleName member; NoSuchEntity when there is none.
int sl_iam__load_role(struct sl_op *op, struct sl_json **ret, struct sl_error *err);
struct sl_str sl_iam__encoded(struct sl_op *op, struct sl_str document);
// Whether the text is a policy; trust policies must name a Principal and no Resource.
int sl_iam__policy_check(struct sl_op *op, struct sl_str document, bool trust, struct sl_error *err);
// NoSuchEntity for a policy that cannot exist here: only AWS managed policies do.
int sl_iam__managed_check(struct sl_str arn, struct sl_error *err);
// A listing's paging: reads Marker and MaxItems; writes IsTruncated and Marker.
int sl_iam__page_in(struct sl_op *op, struct sl_str scope, struct sl_str *ret_after, unsigned *ret_limit,
                    struct sl_error *err);
void sl_iam__page_out(struct sl_op *op, struct sl_str scope, struct sl_str last, bool more);

int sl_iam__create_role(struct sl_op *op, struct sl_error *err);
int sl_iam__get_role(struct sl_op *op, struct sl_error *err);
int sl_iam__list_roles(struct sl_op *op, struct sl_error *err);
int sl_iam__delete_role(struct sl_op *op, struct sl_error *err);
int sl_iam__update_trust(struct sl_op *op, struct sl_error *err);
int sl_iam__put_role_policy(struct sl_op *op, struct sl_error *err);
int sl_iam__get_role_policy(struct sl_op *op, struct sl_error *err);
int sl_iam__delete_role_policy(struct sl_op *op, struct sl_error *err);
int sl_iam__list_role_policies(struct sl_op *op, struct sl_error *err);
int sl_iam__attach(struct sl_op *op, struct sl_error *err);
int sl_iam__detach(struct sl_op *op, struct sl_error *err);
int sl_iam__list_attached(struct sl_op *op, struct sl_error *err);

#endif
