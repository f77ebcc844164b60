// SPDX-License-Identifier: Apache-2.0
//
// guest: functions as callers of the AWS APIs: the credentials that an instance starts with, who signed a request that
// came by a door (door.c), and what that one may do.
//
// A function's credentials are a session of its execution role, named after the function, as on AWS:
// arn:aws:sts::ACCOUNT:assumed-role/ROLE/FUNCTION. The only keys that count here are those of this server's users and
// sessions; what local tools use by habit ("test", a number of 12 digits) is nobody.
#include "daemon/daemon.h"

#include "aws/arn.h"
#include "aws/aws.h"
#include "aws/session.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "invoke/engine.h"

#include <stdio.h>
#include <string.h>

// The id of the function's role; empty when it was never created. On a loop's turn.
static struct sl_str role_id_of(const struct sl_front *front, const struct sl_function *function) {
    size_t start = function->role.len; // after the path
    while (start > 0 && function->role.ptr[start - 1] != '/') start--;
    struct sl_str name = sl_str_sub(function->role, start, function->role.len);
    const struct sl_json *role = sl_directory_get(front->callers.directory, "role", function->account, name);
    return role ? sl_json_string(role, "Id") : SL_STR("");
}

int sl_guest_credentials(void *user, const struct sl_function *function, int64_t seconds,
                         struct sl_invoker_credentials *ret, struct sl_error *err) {
    const struct sl_front *front = user;
    int64_t now_s = sl_clock_unmoved_ms() / 1000;
    struct sl_session session = {.account = function->account,
                                 .issuer = function->role,
                                 .issuer_id = role_id_of(front, function),
                                 .name = function->name,
                                 .source = function->arn,
                                 .issued_s = now_s,
                                 .expires_s = now_s + seconds};
    struct sl_session_keys keys;
    struct sl_arena arena;
    sl_arena_init(&arena, 64 * 1024);
    int kind = sl_session_mint(&arena, &front->secret, &session, &keys, err);
    if (kind == SL_OK && keys.token.len >= sizeof ret->token)
        kind = sl_fail(err, SL_E_LIMIT, "the role's name is too long for a session");
    if (kind == SL_OK) {
        snprintf(ret->access_key, sizeof ret->access_key, "%s", keys.access_key);
        snprintf(ret->secret_key, sizeof ret->secret_key, "%s", keys.secret_key);
        snprintf(ret->token, sizeof ret->token, "%.*s", SL_FMT(keys.token));
    }
    explicit_bzero(&keys, sizeof keys);
    sl_arena_free(&arena);
    return kind;
}

int sl_guest_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                      struct sl_aws_identity *ret, struct sl_error *err) {
    const struct sl_front *front = user;
    struct sl_identity_config strict = front->callers;
    strict.enforce = true;
    return sl_identity_identify(&strict, arena, signature, now_ms, ret, err);
}

// ---- what a role that was never created may do ------------------------------------------------------------------
//
// Local tools pass any name for a role and create none; a function must be of use all the same. Such a role has the
// data of its account: queues, objects, logs, metrics, invocations. Functions (whose variables hold secrets), APIs,
// users and roles take a role that was created and whose policies say so.

static const struct rule {
    const char *service;
    const char *operations[8]; // beginnings of names; none: every one
} rules[] = {
    {"sqs", {NULL}},
    {"s3", {NULL}},
    {"logs", {NULL}},
    {"cloudwatch", {NULL}},
    {"sts", {"GetCallerIdentity", NULL}},
    {"lambda", {"Invoke", NULL}},
};

static bool has_by_default(struct sl_str service, struct sl_str operation) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!sl_str_is(service, rules[i].service)) continue;
        if (!rules[i].operations[0]) return true;
        for (const char *const *at = rules[i].operations; *at; at++)
            if (sl_str_starts(operation, sl_str_of(*at))) return true;
    }
    return false;
}

// Another account's resources are for those that its own policies name; no handler behind this asks them.
static bool is_foreign(struct sl_str account, const struct sl_json *member) {
    static const char *const names[] = {"QueueUrl",    "QueueOwnerAWSAccountId", "SourceArn", "DestinationArn",
                                        "Destination", "EventSourceArn",         "TargetArn", "Role"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!sl_str_is(member->key, names[i])) continue;
        struct sl_str rest = member->text, part;
        char separator = sl_str_starts(rest, SL_STR("arn:")) ? ':' : '/'; // of an ARN, or of a queue's address
        while (sl_str_split(&rest, separator, &part))
            if (sl_is_account(part)) return !sl_str_eq(part, account);
    }
    return false;
}

static bool names_foreigner(struct sl_str account, const struct sl_json *tree) {
    for (const struct sl_json *at = tree ? tree->first : NULL; at; at = at->next) {
        if (at->type == SL_JSON_STRING && is_foreign(account, at)) return true;
        if ((at->type == SL_JSON_OBJECT || at->type == SL_JSON_ARRAY) && names_foreigner(account, at)) return true;
    }
    return false;
}

bool sl_guest_names_foreigner(const struct sl_op *op) {
    // A statement of a function's policy may name whomever it likes.
    if (sl_str_is(op->model->name, "AddPermission")) return false;
    return names_foreigner(op->account, op->in);
}

int sl_guest_authorize(struct sl_op *op, struct sl_error *err) {
    struct sl_str service = op->model->service->name, operation = op->model->name;
    bool s3 = op->protocol == SL_PROTOCOL_REST_XML;
    if (has_by_default(service, operation) && !names_foreigner(op->account, op->in)) return SL_OK;
    if (s3) return sl_fail(err, SL_E_S3_ACCESS_DENIED, "Access Denied");
    return sl_fail(err, SL_E_ACCESS_DENIED,
                   "User: %.*s is not authorized to perform: %.*s:%.*s because no identity-based policy allows the "
                   "%.*s:%.*s action",
                   SL_FMT(op->caller), SL_FMT(service), SL_FMT(operation), SL_FMT(service), SL_FMT(operation));
}
