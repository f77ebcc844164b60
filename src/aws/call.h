// SPDX-License-Identifier: Apache-2.0
//
// call: one request in progress, as the engine's files share it (internal to aws/).
#ifndef SL_AWS_CALL_H
#define SL_AWS_CALL_H

#include "aws/aws.h"

#include <stdatomic.h>

#include "aws/chunked_body.h"
#include "aws/codec.h"
#include "aws/sigv4.h"
#include "http/http.h"
#include "store/store.h"

enum { SL_HOST_ID = 77 };

struct sl_aws {
    struct sl_aws_config config;
    const struct sl_op_entry **handlers; // by operation index
    atomic_uint busy;
};

struct call {
    struct sl_op op; // first: handlers' pointers are ours
    struct sl_aws *aws;
    struct sl_http_request *http; // NULL once the client has gone
    struct sl_str peer;           // its address
    struct sl_loop *home;
    struct sl_aws_request request;
    unsigned own_headers; // of the request's; those behind them were parameters of a presigned URL
    struct sl_route route;
    const struct sl_service *service; // as far as known
    const struct sl_op_entry *entry;
    struct sl_arena arena; // SL_OP_STORE, SL_OP_WAIT
    struct sl_store_job job;
    int kind;              // 0, or what went wrong
    struct sl_str message; // of the failure, unbounded
    bool prepared, published;
    void (*work_run)(struct sl_op *op), (*work_done)(struct sl_op *op); // sl_op_work
    // A body or an answer that is passed on as it comes (stream.c)
    struct sl_op_body body; // op.body, if the request's is passed on
    bool received;          // all of it has come
    bool sending;           // the answer's head is out
    void (*drained)(struct sl_op *op);
    char host_id[SL_HOST_ID]; // S3: x-amz-id-2
    struct sl_error error;
};

static inline bool sl_call__is_query(const struct call *call) { return call->op.protocol == SL_PROTOCOL_QUERY; }
static inline bool sl_call__is_rpc(const struct call *call) { return call->op.protocol == SL_PROTOCOL_JSON; }
static inline bool sl_call__is_cbor(const struct call *call) { return call->op.protocol == SL_PROTOCOL_CBOR; }
static inline bool sl_call__is_xml(const struct call *call) { return call->op.protocol == SL_PROTOCOL_REST_XML; }

// understand.c. Signature, input, constraints and preparation; sets call->kind on failure. Worker or loop thread.
void sl_call__understand(struct call *call);
// answer.c. Marks the call as failed; the message is the caller's (fail) or copied (fail_with).
void sl_call__fail(struct call *call, int kind, struct sl_str message);
void sl_call__fail_with(struct call *call, const struct sl_error *err);
// Encodes and sends; the request (and an arena of its own) is gone afterwards. Loop thread.
void sl_call__send(struct call *call);
// Head and body of an answer by the call's protocol, from op->out. 0, or the kind with call->error.
int sl_aws__encode(struct call *call, struct sl_reply *ret);
// Sends the head; what follows is the caller's.
void sl_aws__begin(struct call *call, const struct sl_reply *reply);
// call_s3.c. Whether it is a request to S3, by its signature's service, host or form.
bool sl_aws__is_s3(const struct sl_aws_request *request, struct sl_str signing_name);
// Finds the operation (sets call->kind if there is none), and makes the call one of S3's.
void sl_aws__s3_route(struct call *call);
// Refuses old signatures, and links after their time.
int sl_aws__s3_check(struct call *call, const struct sl_sigv4 *signature, struct sl_error *err);
// Refuses signatures made by another clock, in S3's words.
int sl_aws__s3_check_clock(struct call *call, const struct sl_sigv4 *signature, int64_t now_ms, struct sl_error *err);
// stream.c. What the request says about its body.
int sl_aws__announce_body(struct call *call, const struct sl_sigv4 *signature, struct sl_str secret,
                          struct sl_error *err);

#endif
