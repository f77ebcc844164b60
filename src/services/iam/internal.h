// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of iam/ share. Users, roles and groups are "holders": each has inline policies and attached
// ones, under the same operations with other names, so these are written once. Documents (IAM is global: no region):
//
//   iam.user, iam.role, iam.group              ""      name         the entity as the API shows it; a role's
//                                                                   AssumeRolePolicyDocument as the client sent it
//   iam.user_policy, iam.role_policy, ...      holder  policy name  {"PolicyDocument": text}
//   iam.user_attachment, ...                   holder  policy ARN   {"PolicyName", "PolicyArn"}
//   iam.key                                    user    key id       {"AccessKeyId", "SecretAccessKey", "Status", ...};
//                                                                   user "": of the account itself
//   iam.group_member                           group   user         {}
//   iam.user_group                             user    group        {}
//   iam.policy                                 ""      ARN          Policy as the API shows it, and "NextVersion"
//   iam.policy_version                         ARN     number       {"Document": text, "CreateDate"}; the number with
//                                                                   leading zeros, so that they are in order
//   iam.policy_use                             ARN     kind/name    {}: who has it attached, for customer managed ones
//
// Policy documents are percent-encoded in answers, as IAM does (API reference, GetRole); SDKs decode them.
//
// Each operation that changes something notes in op->state what the directory (aws/identity.h) must know, and its
// publish puts it there after the commit.
#ifndef SL_SERVICES_IAM_INTERNAL_H
#define SL_SERVICES_IAM_INTERNAL_H

#include "aws/app.h"
#include "aws/identity.h"
#include "aws/op.h"
#include "store/store.h"

// --- entity.c: keys, what all entities have in common
enum sl_iam__kind { SL_IAM_USER, SL_IAM_ROLE, SL_IAM_GROUP };
struct sl_iam__holder {
    enum sl_iam__kind kind;
    struct sl_str name;
    struct sl_json *doc;
};
// "user", "role", "group".
const char *sl_iam__word(enum sl_iam__kind kind);
struct sl_key sl_iam__key(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id);
struct sl_key sl_iam__entity_key(struct sl_op *op, enum sl_iam__kind kind, struct sl_str name);
struct sl_key sl_iam__inline_key(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str policy);
struct sl_key sl_iam__attachment_key(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str policy_arn);
// Of the UserName, RoleName or GroupName member; NoSuchEntity when there is none.
int sl_iam__load(struct sl_op *op, enum sl_iam__kind kind, struct sl_iam__holder *ret, struct sl_error *err);
// The same for the kind that the operation's name speaks of ("PutRolePolicy").
int sl_iam__load_named(struct sl_op *op, struct sl_iam__holder *ret, struct sl_error *err);
int sl_iam__save(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err);
// A new entity's common members: Path, Arn, an id with that prefix ("AIDA"), CreateDate.
void sl_iam__fill(struct sl_op *op, struct sl_json *doc, const char *word, struct sl_str name, const char *id_member,
                  const char *prefix);
// Whether nothing hangs on it any more; DeleteConflict otherwise.
int sl_iam__check_bare(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err);
struct sl_str sl_iam__encoded(struct sl_op *op, struct sl_str document);
// A listing's paging: reads Marker and MaxItems; writes IsTruncated and Marker.
int sl_iam__page_in(struct sl_op *op, struct sl_str scope, struct sl_str *ret_after, unsigned *ret_limit,
                    struct sl_error *err);
void sl_iam__page_out(struct sl_op *op, struct sl_str scope, struct sl_str last, bool more);
// Documents under `key`'s kind and parent: what `shown` makes of each ({"id","doc"}; NULL: left out) goes to the list
// `member`, in pages.
int sl_iam__list(struct sl_op *op, const struct sl_key *key, const char *member,
                 struct sl_json *(*shown)(struct sl_op *op, const struct sl_json *item), struct sl_error *err);
// PermissionsBoundary as it is shown; checked before.
void sl_iam__set_boundary(struct sl_op *op, struct sl_json *doc, struct sl_str arn);
// Adds or replaces tags; LimitExceeded over 50.
int sl_iam__add_tags(struct sl_op *op, struct sl_json *doc, struct sl_error *err);

// --- check.c: policy documents
// Whether the text is a policy; trust policies must name a Principal and no Resource.
int sl_iam__policy_check(struct sl_op *op, struct sl_str document, bool trust, struct sl_error *err);
// Its characters without blanks, as IAM counts them.
size_t sl_iam__policy_size(struct sl_str document);

// --- managed.c: policies with an ARN
// NoSuchEntity for one that does not exist. Of AWS's own all names are accepted; those without a document here allow
// nothing.
int sl_iam__attachable(struct sl_op *op, struct sl_str arn, struct sl_error *err);
struct sl_str sl_iam__policy_name(struct sl_str arn);
struct sl_iam__aws_policy {
    struct sl_str path, name, document; // "/service-role/"
};
extern const struct sl_iam__aws_policy sl_iam__aws_policies[]; // aws_policies.c; ended by an empty name

// --- publish.c
// What is to become of a key of the directory after the commit; text with ptr NULL: it goes.
void sl_iam__note(struct sl_op *op, struct sl_str key, struct sl_str text);
// What the directory must know of a holder, from the store.
int sl_iam__note_holder(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err);
void sl_iam__note_gone(struct sl_op *op, const struct sl_iam__holder *holder);
void sl_iam__note_key(struct sl_op *op, struct sl_str user, const struct sl_json *key);
void sl_iam__publish(struct sl_op *op);

// --- operations
#define SL_IAM_OPERATIONS(X)                                                                                           \
    X(CreateUser, create_user)                                                                                         \
    X(GetUser, get_user)                                                                                               \
    X(ListUsers, list_users)                                                                                           \
    X(UpdateUser, update_user)                                                                                         \
    X(DeleteUser, delete_user)                                                                                         \
    X(TagUser, tag)                                                                                                    \
    X(UntagUser, untag)                                                                                                \
    X(ListUserTags, list_tags)                                                                                         \
    X(PutUserPermissionsBoundary, put_boundary)                                                                        \
    X(DeleteUserPermissionsBoundary, delete_boundary)                                                                  \
    X(CreateAccessKey, create_key)                                                                                     \
    X(ListAccessKeys, list_keys)                                                                                       \
    X(UpdateAccessKey, update_key)                                                                                     \
    X(DeleteAccessKey, delete_key)                                                                                     \
    X(GetAccessKeyLastUsed, key_last_used)                                                                             \
    X(CreateGroup, create_group)                                                                                       \
    X(GetGroup, get_group)                                                                                             \
    X(ListGroups, list_groups)                                                                                         \
    X(DeleteGroup, delete_group)                                                                                       \
    X(AddUserToGroup, add_to_group)                                                                                    \
    X(RemoveUserFromGroup, remove_from_group)                                                                          \
    X(ListGroupsForUser, groups_of_user)                                                                               \
    X(CreateRole, create_role)                                                                                         \
    X(GetRole, get_role)                                                                                               \
    X(ListRoles, list_roles)                                                                                           \
    X(UpdateRole, update_role)                                                                                         \
    X(UpdateRoleDescription, update_role)                                                                              \
    X(DeleteRole, delete_role)                                                                                         \
    X(UpdateAssumeRolePolicy, update_trust)                                                                            \
    X(TagRole, tag)                                                                                                    \
    X(UntagRole, untag)                                                                                                \
    X(ListRoleTags, list_tags)                                                                                         \
    X(PutRolePermissionsBoundary, put_boundary)                                                                        \
    X(DeleteRolePermissionsBoundary, delete_boundary)                                                                  \
    X(PutUserPolicy, put_inline)                                                                                       \
    X(PutRolePolicy, put_inline)                                                                                       \
    X(PutGroupPolicy, put_inline)                                                                                      \
    X(GetUserPolicy, get_inline)                                                                                       \
    X(GetRolePolicy, get_inline)                                                                                       \
    X(GetGroupPolicy, get_inline)                                                                                      \
    X(DeleteUserPolicy, delete_inline)                                                                                 \
    X(DeleteRolePolicy, delete_inline)                                                                                 \
    X(DeleteGroupPolicy, delete_inline)                                                                                \
    X(ListUserPolicies, list_inline)                                                                                   \
    X(ListRolePolicies, list_inline)                                                                                   \
    X(ListGroupPolicies, list_inline)                                                                                  \
    X(AttachUserPolicy, attach)                                                                                        \
    X(AttachRolePolicy, attach)                                                                                        \
    X(AttachGroupPolicy, attach)                                                                                       \
    X(DetachUserPolicy, detach)                                                                                        \
    X(DetachRolePolicy, detach)                                                                                        \
    X(DetachGroupPolicy, detach)                                                                                       \
    X(ListAttachedUserPolicies, list_attached)                                                                         \
    X(ListAttachedRolePolicies, list_attached)                                                                         \
    X(ListAttachedGroupPolicies, list_attached)                                                                        \
    X(CreatePolicy, create_policy)                                                                                     \
    X(GetPolicy, get_policy)                                                                                           \
    X(ListPolicies, list_policies)                                                                                     \
    X(DeletePolicy, delete_policy)                                                                                     \
    X(CreatePolicyVersion, create_version)                                                                             \
    X(GetPolicyVersion, get_version)                                                                                   \
    X(ListPolicyVersions, list_versions)                                                                               \
    X(SetDefaultPolicyVersion, set_default_version)                                                                    \
    X(DeletePolicyVersion, delete_version)                                                                             \
    X(ListEntitiesForPolicy, entities_of_policy)                                                                       \
    X(GetAccountSummary, account_summary)                                                                              \
    X(SimulatePrincipalPolicy, simulate)                                                                               \
    X(SimulateCustomPolicy, simulate)

#define X(operation, handler) int sl_iam__##handler(struct sl_op *op, struct sl_error *err);
SL_IAM_OPERATIONS(X)
#undef X

#endif
