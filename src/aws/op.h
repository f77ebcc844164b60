// SPDX-License-Identifier: Apache-2.0
//
// op: the contract between the operation engine and the handlers (lambda/, gateway/, services/). A handler is what an
// operation MEANS; everything around it (routing, signature, decoding, validation, encoding, errors, ids) is the
// engine's.
//
// Data flow of SL_OP_STORE (nearly everything):
//   loop thread     route, decode, validate                                    (bodies above SL_AWS_INLINE_BODY: on a
//   worker thread) worker thread   prepare(op, err)          optional, slow pure work such as unpacking; no transaction
//   storage thread  run(op, err)              inside a transaction, read-check-write; undone when it fails
//   storage thread  publish(op)               after the commit: update the memory of the data plane (GET operations
//   have none) loop thread     answer is encoded from op->out, or from the error
// Data flow of SL_OP_DATA (Invoke): run(op, err) on the loop thread, right after validation. Nonzero: the engine
// answers the error.
//   0: the handler has answered or will, exactly once, on the same loop: sl_op_answer, sl_op_answer_error, or op->http
//   itself. It must set op->http->aborted if it answers later.
// Data flow of SL_OP_WAIT (a long poll): as SL_OP_DATA, but the request is copied, so that op outlives its client and
// may be used by store jobs of the handler's own; op->http is NULL. The handler ends it exactly once, on the same loop,
// with sl_op_answer or sl_op_answer_error, also when the client has gone (nothing is sent then). op->gone, if set, is
// called when that happens, for handlers that need not go on. While it waits it costs its memory, and no thread.
//
// Ownership: op, its arena, in and out live until the answer is encoded. For SL_OP_STORE and SL_OP_WAIT they are the
// engine's own (the client may go away at any time without harm); for SL_OP_DATA they are the HTTP request's.
//
// Values in op->in and op->out:
//   members by their API names (UpperCamel where the model's are: "FunctionName", "ApiId"; apigateway's are lowerCamel:
//   "restApiId"); absent members are absent (a JSON null of the client counts as absent); everything in op->in is of
//   the model's type and satisfies its constraints; blobs are strings of raw bytes (base64 is done by the engine);
//   timestamps are numbers, milliseconds since 1970 (in op->out also strings, which are sent as they are); members of
//   op->out that the output shape does not have are dropped, so a stored document may be put there as a whole.
#ifndef SL_AWS_OP_H
#define SL_AWS_OP_H

#include "aws/model.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

struct sl_chunked_body;
struct sl_http_request;
struct sl_identity;
struct sl_loop;
struct sl_op;
struct sl_store;
struct sl_store_tx;

// A body that is passed on as it comes: of SL_OP_WAIT operations whose model says that it streams (S3's PutObject and
// UploadPart). `run` is called when the head is complete, and must set part and end (unless it fails).
struct sl_op_body {
    struct sl_chunked_body *chunked; // its coding, to be decoded by the handler; NULL: it comes as it is
    int64_t length;                  // that was announced, without the coding; -1: unknown
    struct sl_str sha256;            // in hexadecimal, that it must have; ptr NULL: none was announced
    void (*part)(struct sl_op *op, struct sl_str bytes); // the bytes are valid during the call
    void (*end)(struct sl_op *op);                       // all has come (with its coding)
    void *user;                                          // the handler's
};

struct sl_op {
    const struct sl_operation *model;
    struct sl_arena *arena;
    struct sl_json *in;            // object, never NULL
    struct sl_json *out;           // object, empty at first
    struct sl_json *error_members; // NULL; an object of further members for the error's body ("Reason",
                                   // "resourceType"), by API name; a null leaves out one of the model's
    int status;                    // 0 = the model's; a handler may set another 2xx

    struct sl_str account;              // 12 digits
    struct sl_str region;               // "us-east-1"
    struct sl_str partition;            // "aws", "aws-cn", "aws-us-gov"
    struct sl_str caller;               // ARN
    struct sl_str caller_id;            // UserId as GetCallerIdentity answers it
    struct sl_str access_key;           // empty when the request was not signed
    bool granted;                       // the resource is another account's, whose policy allows this to the caller
    bool guest;                         // the caller is a function: this machine is not its own, nor what lies on it
    const struct sl_identity *identity; // who calls (aws/identity.h); NULL: whoever is on this machine
    struct sl_str trace;                // X-Amzn-Trace-Id, not in SL_OP_DATA; empty when the client sent none
    struct sl_str host;                 // authority the client used ("localhost:4566"): for URLs in answers
    struct sl_str prefix; // path before the routed part, e.g. "/prod" of "/prod/@connections/{id}"; empty otherwise
    char request_id[SL_UUID];
    int64_t now_ms; // wall clock when the request was complete

    enum sl_protocol protocol; // that the client speaks: SQS knows two

    struct sl_store *store;
    struct sl_store_tx *tx;         // in `run` of SL_OP_STORE only
    struct sl_http_request *http;   // in SL_OP_DATA only
    void *app;                      // the daemon's context
    void *state;                    // the handler's own, from prepare to run to publish
    void (*gone)(struct sl_op *op); // SL_OP_WAIT: the client has gone; still to be ended by the handler, now or soon
    struct sl_op_body *body;        // see there; NULL for all others
};

typedef int sl_op_fn(struct sl_op *op, struct sl_error *err); // 0 or the error's kind

enum sl_op_mode { SL_OP_STORE, SL_OP_DATA, SL_OP_WAIT };

struct sl_op_entry {
    const char *service, *operation; // "lambda", "CreateFunction"
    enum sl_op_mode mode;
    sl_op_fn *prepare; // optional, SL_OP_STORE only
    sl_op_fn *run;
    void (*publish)(struct sl_op *op); // optional, SL_OP_STORE only
    // Optional. Called on the loop thread when the operation has ended without publish (it failed in run or after
    // prepare): gives back what prepare left in op->state (descriptors, scratch directories). Memory in op->arena needs
    // none.
    void (*discard)(struct sl_op *op);
};

// Answers of SL_OP_DATA and SL_OP_WAIT handlers; op (and its arena) is gone when they return.
void sl_op_answer(struct sl_op *op); // from op->out
void sl_op_answer_error(struct sl_op *op, const struct sl_error *err);

// SL_OP_WAIT only: `run` on a worker thread (at once, if there are no workers), then `done` on op's loop. The client
// may have gone meanwhile. Nonzero: neither is called.
int sl_op_work(struct sl_op *op, void (*run)(struct sl_op *op), void (*done)(struct sl_op *op), struct sl_error *err);
// The loop that op lives on. Any thread.
struct sl_loop *sl_op_loop(const struct sl_op *op);

// SL_OP_WAIT, on op's loop; without effect once the client has gone.
// No more of op->body->part until paused is false again: the client is held back.
void sl_op_pause(struct sl_op *op, bool paused);
// An answer whose body is passed on piece by piece: begin (head by op->out and op->status, and the length), send*, then
// sl_op_answer; or sl_op_answer_error, which cuts the connection, so that the client sees that something is missing.
void sl_op_send_begin(struct sl_op *op, uint64_t length);
// The same without a length; the body is of that type.
void sl_op_stream_begin(struct sl_op *op, struct sl_str content_type);
void sl_op_send(struct sl_op *op, struct sl_str bytes);
// Whether the client has taken nearly all that was sent; if not, `drained` is called when it has.
bool sl_op_drained(struct sl_op *op, void (*drained)(struct sl_op *op));
bool sl_op_is_gone(const struct sl_op *op);
// A header of the request as it came; ptr NULL if absent. Any mode.
struct sl_str sl_op_header(const struct sl_op *op, struct sl_str name);

// What `sl_op_answer` would send, for handlers that write the body themselves (streams): "x-amzn-RequestId" and the
// like are added by sl_op_begin, which calls sl_http_begin; the members of op->out that travel in headers are added
// too.
void sl_op_begin(struct sl_op *op, int status);

// --- shorthands
// ------------------------------------------------------------------------------------------------------------------
// Input member as a string; ptr NULL when absent.
static inline struct sl_str sl_op_in(const struct sl_op *op, const char *member) {
    return sl_json_string(op->in, member);
}
static inline void sl_op_out(struct sl_op *op, const char *member, struct sl_str value) {
    sl_json_put_string(op->arena, op->out, member, value);
}

#endif
