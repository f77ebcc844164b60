// SPDX-License-Identifier: Apache-2.0
//
// sigv4: AWS Signature Version 4 ("Create a signed AWS API request", IAM User Guide), the verifying side: header form
// and presigned query form. Parsing is separate from verifying, because a loopback server reads region and account from
// a signature without checking it. Everything here is a pure function of its arguments and takes hostile input; results
// are views into the request or the arena.
#ifndef SL_AWS_SIGV4_H
#define SL_AWS_SIGV4_H

#include "aws/request.h"
#include "base/error.h"

struct sl_sigv4 {
    struct sl_str access_key, date, region, service; // of the credential scope
    struct sl_str signed_headers, signature, amz_date, session_token;
    struct sl_str payload_hash; // x-amz-content-sha256 as sent; ptr NULL without
    bool presigned;
    bool body_follows; // set by who verifies before the body is there: its hash is compared by who reads it
    int64_t expires_s; // presigned only
};

enum {
    SL_SIGV4_SKEW_S = 15 * 60,
    SL_SIGV4_EXPIRES_MAX_S = 7 * 24 * 3600,
};

// Reads the Authorization header or X-Amz-* query parameters. SL_E_MISSING_TOKEN when the request is not signed at all,
// SL_E_INCOMPLETE_SIGNATURE when parts are missing or malformed.
int sl_sigv4_parse(struct sl_arena *arena, const struct sl_aws_request *request, struct sl_sigv4 *ret,
                   struct sl_error *err);

// Recomputes the signature with the secret and compares in constant time. Also checks the clock (15 minutes; presigned:
// the expiry), that Host is signed, and that a payload hash in a header is the body's. SL_E_INVALID_SIGNATURE with
// AWS's text.
int sl_sigv4_verify(struct sl_arena *arena, const struct sl_aws_request *request, const struct sl_sigv4 *signature,
                    struct sl_str secret, int64_t now_ms, struct sl_error *err);

// Whether a presigned request came after its time; *ret_end_ms: when that was. Also where signatures are not verified:
// a link that has expired must not work.
bool sl_sigv4_expired(const struct sl_sigv4 *signature, int64_t now_ms, int64_t *ret_end_ms);
// Whether a request that is not presigned was signed by another clock, more than SL_SIGV4_SKEW_S away.
bool sl_sigv4_skewed(const struct sl_sigv4 *signature, int64_t now_ms);
// The signing key of the scope (SHA-256's 32 bytes).
bool sl_sigv4_key(const struct sl_sigv4 *signature, struct sl_str secret, unsigned char ret[static 32]);

// The steps, public for tests against the published examples. Empty view if the arena is full.
struct sl_str sl_sigv4_canonical_request(struct sl_arena *arena, const struct sl_aws_request *request,
                                         const struct sl_sigv4 *signature);
struct sl_str sl_sigv4_string_to_sign(struct sl_arena *arena, struct sl_str canonical_request,
                                      const struct sl_sigv4 *signature);
struct sl_str sl_sigv4_signature(struct sl_arena *arena, struct sl_str string_to_sign, const struct sl_sigv4 *signature,
                                 struct sl_str secret);

#endif
