// SPDX-License-Identifier: Apache-2.0
//
// aws: the operation engine: HTTP requests in, answers of the AWS APIs out. The daemon makes one, gives it the handler
// tables, and calls it from its HTTP handler for the requests that sl_aws_claims.
//
// Data flow: op.h has the picture. Threads: sl_aws_head and sl_aws_handle on the request's loop; handlers where op.h
// says. Ownership: from sl_aws_handle on, request->user and request->aborted are the engine's.
#ifndef SL_AWS_AWS_H
#define SL_AWS_AWS_H

#include "aws/op.h"
#include "base/buf.h"

struct sl_aws;
struct sl_loop;
struct sl_sigv4;

enum {
    SL_AWS_INLINE_BODY = 256 * 1024, // larger bodies are decoded on a worker thread
    SL_AWS_CODE_BODY = 70167211,     // CreateFunction, UpdateFunctionCode, PublishLayerVersion (recorded)
    SL_AWS_BODY = 6 * 1024 * 1024,   // everything else (Lambda quota; API Gateway's limit for imports)
    SL_AWS_EVENT_BODY = 1024 * 1024, // Invoke with InvocationType Event (Lambda quota)
};
// Bodies that are passed on as they come: an object's 5 GiB and what framing may add to them.
#define SL_AWS_OBJECT_BODY ((size_t)6 << 30)

struct sl_aws_identity {
    struct sl_str secret;  // to verify the signature with
    struct sl_str account; // 12 digits
    struct sl_str caller, caller_id;
    const struct sl_identity *identity; // op->identity; may be NULL
    bool anonymous; // only operations that a resource's policy may give to everybody (S3's) are looked at further
};

struct sl_aws_config {
    struct sl_store *store;
    void *app;                               // op->app
    const struct sl_op_entry *const *tables; // NULL-terminated list of tables, each ended by an entry without service
    const char *default_region;              // for requests that are not signed; NULL: us-east-1
    // Who signed like that, so that the signature can be verified; texts live in the arena, or for ever. 0, or the kind
    // and words of AWS's refusal. A secret with ptr NULL: nothing to verify with, accepted as it is. An unsigned
    // request has an empty access key. Any thread. NULL: every key (and no signature at all) is accepted unverified,
    // and a key of 12 digits names the account: for loopback listeners only.
    int (*identify)(void *user, struct sl_arena *arena, const struct sl_sigv4 *signature, int64_t now_ms,
                    struct sl_aws_identity *ret, struct sl_error *err);
    // Whether the caller may do what was understood (op->in is valid). 0, or the refusal. Any thread; NULL: everything.
    int (*authorize)(void *user, struct sl_op *op, struct sl_error *err);
    void *caller_user; // of the two above
    bool guests;       // who calls are functions of this server: op->guest
    // Runs `run` on a worker thread and then `done` on `home`'s thread. 0, or an error (then neither is called). NULL:
    // no workers, all is done inline.
    int (*offload)(void *user, struct sl_loop *home, void (*run)(void *), void (*done)(void *), void *argument,
                   struct sl_error *err);
    void *user; // of offload
};

// Fails (SL_E_INVALID) if a table names an operation that the models do not have, or one twice.
int sl_aws_new(struct sl_aws **ret, const struct sl_aws_config *config, struct sl_error *err);
// No operation may be in progress.
void sl_aws_free(struct sl_aws *aws);

// Whether the request is one to the AWS APIs, as opposed to a deployed API or a page: it is signed for one of AWS's
// services, names an operation by X-Amz-Target or a form, or its path is that of an operation. The caller has looked at
// the host name before.
bool sl_aws_claims(const struct sl_http_request *request);
// When the head is complete: sets the body limit. Nonzero: the request was answered (too large).
int sl_aws_head(struct sl_aws *aws, struct sl_http_request *request, size_t *max_body);
// After sl_aws_head: whether the operation takes its body as it comes. It has begun then (and may even have answered),
// request->user is the engine's, each piece goes to sl_aws_body_part, and sl_aws_body_end takes the place of
// sl_aws_handle.
bool sl_aws_wants_parts(struct sl_aws *aws, struct sl_http_request *request);
void sl_aws_body_part(struct sl_http_request *request, struct sl_str bytes);
void sl_aws_body_end(struct sl_http_request *request);
// When the body is complete. Answers now or later.
void sl_aws_handle(struct sl_aws *aws, struct sl_http_request *request);

// Operations in progress on other threads; the daemon waits for 0 before it closes the store. Any thread.
unsigned sl_aws_busy(const struct sl_aws *aws);

// All operations of the tables and whether there is a handler, as JSON: what tools/api/compatibility.py reads.
void sl_aws_operations_print(const struct sl_op_entry *const *tables, struct sl_buf *out);

#endif
