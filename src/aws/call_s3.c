// SPDX-License-Identifier: Apache-2.0
//
// call_s3: what the engine does otherwise for S3: whose a request is, which operation, ids of its own form, and what is
// refused before a signature is looked at. Loop thread (check: also a worker's).
#include "aws/call.h"

#include "aws/route_s3.h"
#include "base/clock.h"
#include "base/encoding.h"

bool sl_aws__is_s3(const struct sl_aws_request *request, struct sl_str signing_name) {
    if (!sl_s3_service()) return false;
    if (signing_name.len) return sl_str_is(signing_name, "s3");
    return sl_s3_owns_host(request->host) || sl_s3_is_form(request) || sl_s3_is_old_signature(request);
}

void sl_aws__s3_route(struct call *call) {
    unsigned char noise[48];
    struct sl_buf text;
    call->op.protocol = SL_PROTOCOL_REST_XML;
    call->service = sl_s3_service();
    // S3's ids have forms of their own.
    sl_random_hex(call->op.request_id, 16);
    for (char *at = call->op.request_id; *at; at++)
        if (*at >= 'a') *at = (char)(*at - 'a' + 'A');
    sl_random_bytes(noise, sizeof noise);
    sl_buf_init(&text, SL_HOST_ID);
    sl_base64_encode(&text, sl_str_n((const char *)noise, sizeof noise));
    if (!text.failed) memcpy(call->host_id, text.ptr, text.len);
    sl_buf_free(&text);
    if (sl_s3_route(&call->request, &call->route))
        call->op.model = call->route.operation;
    else
        call->kind = SL_E_UNKNOWN_OPERATION;
}

// What S3 refuses before it looks at a signature: old ones, and links after their time.
int sl_aws__s3_check(struct call *call, const struct sl_sigv4 *signature, struct sl_error *err) {
    struct sl_op *op = &call->op;
    char end[SL_TIME_ISO_S], now[SL_TIME_ISO_S];
    int64_t end_ms;
    if (sl_s3_is_old_signature(&call->request))
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");
    if (!sl_sigv4_expired(signature, op->now_ms, &end_ms)) return SL_OK;
    sl_time_iso_s(end_ms, end);
    sl_time_iso_s(op->now_ms, now);
    op->error_members = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, op->error_members, "X-Amz-Expires",
                       sl_arena_printf(op->arena, "%lld", (long long)signature->expires_s));
    sl_json_put_string(op->arena, op->error_members, "Expires", sl_arena_dup(op->arena, sl_str_of(end)));
    sl_json_put_string(op->arena, op->error_members, "ServerTime", sl_arena_dup(op->arena, sl_str_of(now)));
    return sl_fail(err, SL_E_S3_ACCESS_DENIED, "Request has expired");
}

int sl_aws__s3_check_clock(struct call *call, const struct sl_sigv4 *signature, int64_t now_ms, struct sl_error *err) {
    struct sl_op *op = &call->op;
    char now[SL_TIME_ISO_S];
    if (!sl_sigv4_skewed(signature, now_ms)) return SL_OK;
    sl_time_iso_s(now_ms, now);
    op->error_members = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, op->error_members, "RequestTime", signature->amz_date);
    sl_json_put_string(op->arena, op->error_members, "ServerTime", sl_arena_dup(op->arena, sl_str_of(now)));
    sl_json_put_string(op->arena, op->error_members, "MaxAllowedSkewMilliseconds",
                       sl_arena_printf(op->arena, "%d", SL_SIGV4_SKEW_S * 1000));
    return sl_fail(err, SL_E_S3_TIME_SKEWED,
                   "The difference between the request time and the current time is too large.");
}
