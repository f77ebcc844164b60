// SPDX-License-Identifier: Apache-2.0
//
// understand: the first half of a call, which needs no store: who asks (signature, key, account, region), what (input
// by protocol, constraints of the model), and the operation's own preparation. Failures are left in the call. Loop
// thread for SL_OP_DATA and small requests, a worker's for the others: never both at once.
#include "aws/call.h"

#include "aws/arn.h"
#include "aws/codec.h"
#include "base/clock.h"

static const struct sl_str default_account = SL_STR_INIT("000000000000");

static bool is_signed(struct sl_str signed_headers, struct sl_str name) {
    struct sl_str rest = signed_headers, one;
    while (sl_str_split(&rest, ';', &one))
        if (sl_str_ieq(one, name)) return true;
    return false;
}

// Headers change what S3's operations do (a source to copy from): whoever was given a presigned URL could add them.
static int verify(struct call *call, const struct sl_sigv4 *signature, struct sl_str secret, int64_t now_ms,
                  struct sl_error *err) {
    int kind = sl_call__is_xml(call) ? sl_aws__s3_check_clock(call, signature, now_ms, err) : 0;
    if (!kind) kind = sl_sigv4_verify(call->op.arena, &call->request, signature, secret, now_ms, err);
    for (unsigned i = 0; !kind && sl_call__is_xml(call) && i < call->own_headers; i++) {
        struct sl_str name = call->request.headers[i].name;
        if (name.len < 6 || !sl_str_ieq(sl_str_sub(name, 0, 6), SL_STR("x-amz-"))) continue;
        if (signature->presigned && sl_str_ieq(name, SL_STR("x-amz-content-sha256"))) continue;
        if (!is_signed(signature->signed_headers, name))
            kind =
                sl_fail(err, SL_E_S3_ACCESS_DENIED, "There were headers present in the request which were not signed");
    }
    return kind;
}

static int identify(struct call *call, struct sl_error *err) {
    struct sl_op *op = &call->op;
    struct sl_aws *aws = call->aws;
    struct sl_sigv4 signature = {0};
    struct sl_aws_identity identity = {.account = default_account};
    int kind = sl_sigv4_parse(op->arena, &call->request, &signature, err);
    signature.body_follows = op->body != NULL;
    if (sl_call__is_xml(call) && sl_aws__s3_check(call, &signature, err)) return err->kind;
    if (kind && kind != SL_E_MISSING_TOKEN) return kind;
    if (aws->config.identify) {
        // Functions do not see a clock that a test has moved.
        int64_t now_ms = aws->config.guests ? sl_clock_unmoved_ms() : op->now_ms;
        kind = aws->config.identify(aws->config.caller_user, op->arena, &signature, now_ms, &identity, err);
        if (kind) return kind;
        if (identity.anonymous && !sl_call__is_xml(call))
            return sl_fail(err, SL_E_MISSING_TOKEN, "Missing Authentication Token");
        if (identity.secret.ptr && verify(call, &signature, identity.secret, now_ms, err)) return err->kind;
    } else if (sl_is_account(signature.access_key)) {
        identity.account = signature.access_key;
    }
    const char *region = aws->config.default_region ? aws->config.default_region : "us-east-1";
    op->access_key = signature.access_key;
    op->guest = aws->config.guests;
    op->account = identity.account;
    op->identity = identity.identity;
    op->region = signature.region.len ? signature.region : sl_str_of(region);
    op->partition = sl_partition_of(op->region);
    op->caller = identity.anonymous    ? (struct sl_str){0}
                 : identity.caller.len ? identity.caller
                                       : sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:root", SL_FMT(op->partition),
                                                         SL_FMT(op->account));
    op->caller_id = identity.caller_id.len ? identity.caller_id : op->account;
    return op->body ? sl_aws__announce_body(call, &signature, identity.secret, err) : SL_OK;
}

static int decode(struct call *call, struct sl_error *err) {
    if (sl_call__is_query(call))
        return sl_query_decode(call->op.arena, call->op.model, &call->request, &call->op.in, err);
    if (sl_call__is_rpc(call))
        return sl_json_rpc_decode(call->op.arena, call->op.model, &call->request, &call->op.in, err);
    if (sl_call__is_cbor(call))
        return sl_cbor_decode(call->op.arena, call->op.model, &call->request, &call->op.in, err);
    if (sl_call__is_xml(call))
        return sl_rest_xml_decode(call->op.arena, &call->route, &call->request, &call->op.in, err);
    return sl_rest_json_decode(call->op.arena, &call->route, &call->request, &call->op.in, err);
}

void sl_call__understand(struct call *call) {
    struct sl_error *err = &call->error;
    if (identify(call, err) || decode(call, err)) {
        sl_call__fail_with(call, err);
        return;
    }
    struct sl_str message = {0};
    int kind = sl_call__is_xml(call) ? SL_OK : sl_validate(call->op.arena, call->op.model, call->op.in, &message);
    if (kind) {
        sl_call__fail(call, kind, message);
        return;
    }
    const struct sl_aws_config *config = &call->aws->config;
    if (config->authorize && config->authorize(config->caller_user, &call->op, err)) {
        sl_call__fail_with(call, err);
        return;
    }
    call->op.out = sl_json_new_object(call->op.arena);
    if (!call->op.out) {
        sl_call__fail(call, SL_E_NO_MEMORY, SL_STR("request too large"));
        return;
    }
    if (call->entry->mode == SL_OP_STORE && call->entry->prepare) {
        call->prepared = true;
        if (call->entry->prepare(&call->op, err)) sl_call__fail_with(call, err);
    }
}
