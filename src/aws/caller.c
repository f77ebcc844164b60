// SPDX-License-Identifier: Apache-2.0
//
// caller: whose access key that is. A long-term key is an entry of the directory; a temporary one ("ASIA...") comes
// with a token that says whose session it is (session.h). Whoever is found here has still to prove it by the signature.
#include "aws/identity.h"

#include "aws/arn.h"
#include "aws/aws.h"
#include "aws/sigv4.h"

#include <openssl/evp.h>

enum { ROLE_ID = 22 };

static int unknown(struct sl_error *err) {
    return sl_fail(err, SL_E_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
}

static struct sl_str root_arn(struct sl_arena *arena, struct sl_str account) {
    return sl_arena_printf(arena, "arn:aws:iam::%.*s:root", SL_FMT(account));
}

static int of_root(struct sl_arena *arena, struct sl_str account, struct sl_identity *ret) {
    ret->kind = SL_IDENTITY_ROOT;
    ret->account = ret->id = sl_arena_dup(arena, account);
    ret->arn = root_arn(arena, account);
    return 0;
}

static int of_user(struct sl_directory *directory, struct sl_arena *arena, struct sl_str account, struct sl_str name,
                   struct sl_identity *ret, struct sl_error *err) {
    const struct sl_json *user = sl_directory_get(directory, "user", account, name);
    if (!user) return unknown(err); // its keys go with it
    ret->kind = SL_IDENTITY_USER;
    ret->account = sl_arena_dup(arena, account);
    ret->name = sl_arena_dup(arena, name);
    ret->arn = sl_arena_dup(arena, sl_json_string(user, "Arn"));
    ret->id = sl_arena_dup(arena, sl_json_string(user, "Id"));
    return 0;
}

static int of_key(struct sl_directory *directory, struct sl_arena *arena, struct sl_str access_key,
                  struct sl_identity *ret, struct sl_str *ret_secret, struct sl_error *err) {
    const struct sl_json *key = sl_directory_get(directory, "key", access_key, (struct sl_str){0});
    if (!key || !sl_str_is(sl_json_string(key, "Status"), "Active")) return unknown(err);
    *ret_secret = sl_arena_dup(arena, sl_json_string(key, "Secret"));
    struct sl_str account = sl_json_string(key, "Account"), user = sl_json_string(key, "User");
    return user.len ? of_user(directory, arena, account, user, ret, err) : of_root(arena, account, ret);
}

// The last part of an ARN's resource: "role/team/name".
static struct sl_str last_part(struct sl_str arn) {
    size_t start = arn.len;
    while (start > 0 && arn.ptr[start - 1] != '/') start--;
    return sl_str_sub(arn, start, arn.len);
}

// An id of AWS's form for a role that was never created: always the same of the same ARN.
static void role_id(struct sl_str arn, char ret[static ROLE_ID]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    (void)EVP_Digest(arn.ptr, arn.len, hash, NULL, EVP_sha256(), NULL);
    memcpy(ret, "AROA", 4);
    for (unsigned i = 4; i < ROLE_ID - 1; i++) ret[i] = digits[hash[i] & 31];
    ret[ROLE_ID - 1] = '\0';
}

static int of_session(const struct sl_identity_config *config, struct sl_arena *arena, const struct sl_session *session,
                      struct sl_identity *ret, struct sl_error *err) {
    struct sl_arn issuer;
    ret->temporary = true;
    ret->session_policy = session->policy;
    ret->source = session->source;
    if (!sl_arn_parse(session->issuer, &issuer)) return unknown(err);
    if (sl_str_is(issuer.resource, "root")) return of_root(arena, session->account, ret);
    if (sl_str_starts(issuer.resource, SL_STR("user/")))
        return of_user(config->directory, arena, session->account, last_part(issuer.resource), ret, err);
    ret->kind = SL_IDENTITY_SESSION;
    ret->account = session->account;
    ret->name = last_part(issuer.resource);
    ret->issuer = session->issuer;
    ret->session_name = session->name;
    ret->arn = sl_session_arn(arena, session);
    const struct sl_json *role = sl_directory_get(config->directory, "role", ret->account, ret->name);
    if (!role && session->issuer_id.len) return unknown(err); // there was one
    // A role that was deleted and made again is another one: its old sessions end with it, as on AWS.
    // A function's were made for whatever role has its name.
    if (role && !session->source.len && session->issuer_id.len &&
        !sl_str_eq(sl_json_string(role, "Id"), session->issuer_id))
        return unknown(err);
    char never_created[ROLE_ID];
    role_id(session->issuer, never_created);
    struct sl_str id = role ? sl_json_string(role, "Id") : sl_str_of(never_created);
    ret->id = sl_arena_printf(arena, "%.*s:%.*s", SL_FMT(id), SL_FMT(session->name));
    return 0;
}

static int of_token(const struct sl_identity_config *config, struct sl_arena *arena, struct sl_str access_key,
                    struct sl_str token, int64_t now_ms, struct sl_identity *ret, struct sl_str *ret_secret,
                    struct sl_error *err) {
    struct sl_session session;
    char secret[SL_SESSION_SECRET_KEY + 1];
    switch (sl_session_open(arena, config->secret, access_key, token, now_ms / 1000, &session, secret)) {
    case SL_SESSION_GOOD:
        *ret_secret = sl_arena_dup(arena, sl_str_of(secret));
        return of_session(config, arena, &session, ret, err);
    case SL_SESSION_EXPIRED:
        return sl_fail(err, SL_E_EXPIRED_TOKEN, "The security token included in the request is expired");
    default:
        return unknown(err);
    }
}

// Whoever is on this machine: the account's owner; a key of 12 digits names the account.
static void of_owner(struct sl_arena *arena, struct sl_str access_key, struct sl_identity *ret) {
    struct sl_str account = sl_is_account(access_key) ? sl_arena_dup(arena, access_key) : SL_STR("000000000000");
    *ret = (struct sl_identity){
        .kind = SL_IDENTITY_OWNER, .account = account, .id = account, .arn = root_arn(arena, account)};
}

static bool is_known(const struct sl_identity_config *config, struct sl_arena *arena, struct sl_str access_key,
                     struct sl_str token) {
    struct sl_session session;
    if (sl_directory_get(config->directory, "key", access_key, (struct sl_str){0})) return true;
    return token.len && sl_session_is_key(access_key) &&
           sl_session_open(arena, config->secret, access_key, token, 0, &session, NULL) != SL_SESSION_FORGED;
}

static int find(const struct sl_identity_config *config, struct sl_arena *arena, struct sl_str access_key,
                struct sl_str token, int64_t now_ms, struct sl_identity *ret, struct sl_str *ret_secret,
                struct sl_error *err) {
    if (!config->enforce && !is_known(config, arena, access_key, token)) {
        of_owner(arena, access_key, ret);
        return 0;
    }
    if (!access_key.len) {
        *ret = (struct sl_identity){.kind = SL_IDENTITY_ANONYMOUS};
        return 0;
    }
    if (sl_session_is_key(access_key)) return of_token(config, arena, access_key, token, now_ms, ret, ret_secret, err);
    return of_key(config->directory, arena, access_key, ret, ret_secret, err);
}

int sl_identity_find(const struct sl_identity_config *config, struct sl_arena *arena, struct sl_str access_key,
                     struct sl_str token, int64_t now_ms, struct sl_identity *ret, struct sl_str *ret_secret,
                     struct sl_error *err) {
    *ret = (struct sl_identity){0};
    *ret_secret = (struct sl_str){0};
    sl_directory_enter();
    int result = find(config, arena, access_key, token, now_ms, ret, ret_secret, err);
    sl_directory_leave();
    if (!result && sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    return result;
}

int sl_identity_identify(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                         struct sl_aws_identity *ret, struct sl_error *err) {
    struct sl_identity *identity = sl_arena_zalloc(arena, sizeof *identity);
    struct sl_str secret;
    if (!identity) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result =
        sl_identity_find(user, arena, signature->access_key, signature->session_token, now_ms, identity, &secret, err);
    if (result) return result;
    bool owner = identity->kind == SL_IDENTITY_OWNER;
    *ret = (struct sl_aws_identity){.secret = secret,
                                    .account = identity->account,
                                    .caller = owner ? (struct sl_str){0} : identity->arn, // by the region's partition
                                    .caller_id = identity->id,
                                    .identity = identity,
                                    .anonymous = identity->kind == SL_IDENTITY_ANONYMOUS};
    return 0;
}
