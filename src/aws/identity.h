// SPDX-License-Identifier: Apache-2.0
//
// identity: who is calling and what may they do. Three parts:
//
//   directory  what is needed of users, roles, groups, policies and access keys, in memory: immutable JSON documents
//              under text keys, in an RCU hash table. services/ publish into it after each commit; whoever verifies or
//              decides reads it without a lock.
//   caller     the identity behind an access key (and a session token), with the secret to verify its signature
//   decision   AWS's evaluation logic ("Policy evaluation logic", IAM User Guide) over identity policies, boundary,
//              session policy and resource policy
//
// Keys of the directory and their documents:
//   key/<access key id>         {"Account","User" (absent: the account's root),"Secret","Status"}
//   user/<account>/<name> {"Arn","Id","Documents":[policy...],"Attached":[arn...],"Boundary":arn,"Groups":[name..],
//                                "Tags":[{"Key","Value"}]}
//   role/<account>/<name>       the same, and {"Trust":policy,"MaxSessionDuration":n}
//   group/<account>/<name>      {"Documents","Attached"}
//   policy/<arn>                a managed policy's default version
//   resource/<arn>              {"Owner":account,"Policy":policy}, of buckets and queues that have a policy
//
// Threads: readers are loop threads within a turn, or others between sl_directory_enter and sl_directory_leave; put and
// remove on any thread that is not a loop's. What a reader finds is valid until its turn ends or it leaves.
#ifndef SL_AWS_IDENTITY_H
#define SL_AWS_IDENTITY_H

#include "aws/policy.h"
#include "aws/session.h"

struct sl_aws_identity;
struct sl_directory;
struct sl_op;
struct sl_sigv4;

// --- directory
enum { SL_DIRECTORY_KEY_MAX = 2304 };

int sl_directory_new(struct sl_directory **ret, struct sl_error *err);
// No reader may be left. NULL is accepted.
void sl_directory_free(struct sl_directory *directory);
// Publishes a document under a key, in the place of the one that was there. The text is copied. SL_E_NO_MEMORY; texts
// that are no JSON are refused (SL_E_SERIALIZATION).
int sl_directory_put(struct sl_directory *directory, struct sl_str key, struct sl_str document, struct sl_error *err);
void sl_directory_remove(struct sl_directory *directory, struct sl_str key);
// NULL: nothing is there.
const struct sl_json *sl_directory_find(struct sl_directory *directory, struct sl_str key);
// The same with the key in parts: "user", account, name; name with ptr NULL: two parts.
const struct sl_json *sl_directory_get(struct sl_directory *directory, const char *kind, struct sl_str account,
                                       struct sl_str name);
// Access keys that are known: a server without any can let nobody in.
unsigned sl_directory_key_count(const struct sl_directory *directory);
// Around reading on threads that may be no loop's.
void sl_directory_enter(void);
void sl_directory_leave(void);

// --- caller
enum sl_identity_kind {
    SL_IDENTITY_OWNER,     // unverified on a loopback listener: whoever is on this machine
    SL_IDENTITY_ROOT,      // signed with a key of the account itself
    SL_IDENTITY_USER,      // or a session of one
    SL_IDENTITY_SESSION,   // of a role
    SL_IDENTITY_ANONYMOUS, // unsigned, where everything is enforced: what a resource's policy gives to everybody
};

// Texts live in the arena of the request.
struct sl_identity {
    enum sl_identity_kind kind;
    bool temporary;        // by a session token
    struct sl_str account; // 12 digits
    struct sl_str arn;    // "arn:aws:iam::000000000000:user/ann", "arn:aws:sts::000000000000:assumed-role/role/session"
    struct sl_str id;     // "AIDA...", "AROA...:session", an account's number
    struct sl_str name;   // of the user or role, without its path; empty for owner and root
    struct sl_str issuer; // ARN of the role; empty for others
    struct sl_str session_name;
    struct sl_str session_policy; // JSON; empty: none
    struct sl_str source;         // ARN of the function whose session it is; empty otherwise
};

// What the two callbacks of struct sl_aws_config are given as caller_user. Constant.
struct sl_identity_config {
    struct sl_directory *directory;
    const struct sl_session_secret *secret;
    bool enforce; // unknown callers are refused, and everything is decided by policies
    // The policy of a function, as text; empty: none. In the request's turn or between enter and leave. May be NULL.
    struct sl_str (*function_policy)(void *user, struct sl_arena *arena, struct sl_str arn);
    void *user;
};

// The secret of an access key: of a long-term one from the directory, of a session by its token. 0; or the refusal in
// AWS's words: SL_E_UNRECOGNIZED_CLIENT, SL_E_EXPIRED_TOKEN. An unsigned request has an empty key: ANONYMOUS.
// Where nothing is enforced, keys that are not known give an OWNER whose secret has ptr NULL: nothing to verify with.
int sl_identity_find(const struct sl_identity_config *config, struct sl_arena *arena, struct sl_str access_key,
                     struct sl_str token, int64_t now_ms, struct sl_identity *ret, struct sl_str *ret_secret,
                     struct sl_error *err);
// As struct sl_aws_config's identify.
int sl_identity_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                         struct sl_aws_identity *ret, struct sl_error *err);
// As struct sl_aws_config's authorize: the operation's action on its resource (action.c), and further ones that it
// implies (iam:PassRole). SL_E_ACCESS_DENIED with AWS's message.
int sl_identity_authorize(void *user, struct sl_op *op, struct sl_error *err);

// --- decision
struct sl_decision {
    struct sl_directory *directory;
    const struct sl_identity *identity; // NULL: anonymous
    const struct sl_json *principal;    // in the place of the directory's document of the caller (simulations); NULL
    struct sl_str action, resource;
    struct sl_str owner;                   // account of the resource; empty: the caller's
    const struct sl_json *resource_policy; // NULL: none
    bool must_be_trusted;                  // it must allow also within an account: a role's trust policy
    const struct sl_policy_value *values;  // of the service; what concerns the caller is added
    unsigned value_count;
};

enum sl_verdict {
    SL_VERDICT_ALLOW,
    SL_VERDICT_NO_IDENTITY_POLICY, // nothing allows it
    SL_VERDICT_NO_BOUNDARY,
    SL_VERDICT_NO_SESSION_POLICY,
    SL_VERDICT_NO_RESOURCE_POLICY, // of another account's resource
    SL_VERDICT_DENY_IDENTITY,      // explicit
    SL_VERDICT_DENY_BOUNDARY,
    SL_VERDICT_DENY_SESSION,
    SL_VERDICT_DENY_RESOURCE,
};

// Fails closed: a principal that has gone, or policies that do not parse, allow nothing.
enum sl_verdict sl_decide(struct sl_arena *arena, const struct sl_decision *decision);
// 0, or SL_E_ACCESS_DENIED with "User: ... is not authorized to perform: ... on resource: ... because ...".
int sl_decide_or_fail(struct sl_arena *arena, const struct sl_decision *decision, struct sl_error *err);

// Of an operation whose input is complete: "lambda:InvokeFunction" and the ARN it is asked for ("*" where the action
// knows no resources). What needs no permission (sts:GetCallerIdentity) gives an empty action.
void sl_action_of(const struct sl_op *op, struct sl_str *ret_action, struct sl_str *ret_resource);

#endif
