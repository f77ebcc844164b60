// SPDX-License-Identifier: Apache-2.0
//
// session: temporary credentials ("Temporary security credentials in IAM", IAM User Guide): what AssumeRole answers
// with, and what a function finds in its environment. Nothing is stored for them: the session token carries who it is
// and until when, authenticated by a secret that only this server has, and the secret access key follows from the
// token. So a session survives a restart, costs no row, and ends by itself.
//
//   token  = base64(content, HMAC(secret, "token" content))      content: version, number, times, texts
//   secret access key = base64(30 bytes of HMAC(secret, "key" HMAC of the token))
//
// Pure functions of their arguments but for the number of a new one; any thread. sl_session_open takes hostile input.
#ifndef SL_AWS_SESSION_H
#define SL_AWS_SESSION_H

#include "base/arena.h"
#include "base/error.h"

enum {
    SL_SESSION_SECRET = 32,     // bytes of the server's secret
    SL_SESSION_ACCESS_KEY = 20, // "ASIA" and 16 characters of A-Z2-7
    SL_SESSION_SECRET_KEY = 40,
    SL_SESSION_TEXT_MAX = 2048,   // of issuer and source, ARNs both
    SL_SESSION_NAME_MAX = 128,    // of issuer_id and name
    SL_SESSION_POLICY_MAX = 4096, // of policy
    SL_SESSION_TOKEN_MAX = 12288, // of a token's text
};

struct sl_session_secret {
    unsigned char bytes[SL_SESSION_SECRET];
};

// Whose session it is. Texts that do not apply are empty.
struct sl_session {
    struct sl_str account;       // 12 digits
    struct sl_str issuer;        // ARN of the role that was assumed, or of the user whose session it is
    struct sl_str issuer_id;     // "AROA...", "AIDA..."; empty when the issuer was never created
    struct sl_str name;          // of the role's session: "RoleSessionName", for a function its name; empty of a user's
    struct sl_str policy;        // session policies, which narrow what the issuer may do; for who evaluates them
    struct sl_str source;        // ARN of the function that it was made for (lambda:SourceFunctionArn)
    int64_t issued_s, expires_s; // since 1970
};

struct sl_session_keys {
    char access_key[SL_SESSION_ACCESS_KEY + 1];
    char secret_key[SL_SESSION_SECRET_KEY + 1];
    struct sl_str token; // in the arena
};

enum sl_session_result {
    SL_SESSION_GOOD,
    SL_SESSION_FORGED,  // not ours, or changed, or of another access key
    SL_SESSION_EXPIRED, // was good until *ret's expires_s, which is filled in
};

// The server's secret: read from the file "session.key" of the data directory, made (0600, durable) when there is none.
// data_dir -1: a random one, which ends with the process. SL_E_IO; SL_E_INVALID for a file that is no secret.
int sl_session_secret_open(int data_dir, struct sl_session_secret *ret, struct sl_error *err);

// New credentials. SL_E_INVALID when a text is longer than its bound or the account is none; SL_E_NO_MEMORY.
int sl_session_mint(struct sl_arena *arena, const struct sl_session_secret *secret, const struct sl_session *session,
                    struct sl_session_keys *ret, struct sl_error *err);

// Whether an access key id is one of a session (then the request must bring a token).
bool sl_session_is_key(struct sl_str access_key);

// The session of a token that came with that access key id. *ret's texts live in the arena. secret_key may be NULL; it
// is filled in when the session is GOOD.
enum sl_session_result sl_session_open(struct sl_arena *arena, const struct sl_session_secret *secret,
                                       struct sl_str access_key, struct sl_str token, int64_t now_s,
                                       struct sl_session *ret, char secret_key[SL_SESSION_SECRET_KEY + 1]);

// "arn:aws:sts::000000000000:assumed-role/ROLE/NAME" (the role's name without its path); of a user's session the user's
// ARN. Empty when the arena is full.
struct sl_str sl_session_arn(struct sl_arena *arena, const struct sl_session *session);

#endif
