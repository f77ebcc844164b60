// SPDX-License-Identifier: Apache-2.0
//
// codec: between the wire and op->in / op->out, by the tables. Per protocol (rest-json, rest-xml, json 1.0/1.1, CBOR,
// query) the same functions.
//
//   decode    request -> object keyed by the API's member names, types checked (SerializationException)
//   validate  the object against the constraints, with AWS's sentences (protocol-independent)
//   encode    op->out -> status, headers, body
//   error     kind and message -> status, headers, body
//
// Everything lives in the arena given. Pure functions, any thread.
#ifndef SL_AWS_CODEC_H
#define SL_AWS_CODEC_H

#include "aws/op.h"
#include "aws/route.h"

// --- input
// ------------------------------------------------------------------------------------------------------------------------
int sl_rest_json_decode(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                        struct sl_json **ret, struct sl_error *err);
// Checks the body against the model too (SL_E_MALFORMED_XML). A payload that is streamed is not decoded.
int sl_rest_xml_decode(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                       struct sl_json **ret, struct sl_error *err);
int sl_json_rpc_decode(struct sl_arena *arena, const struct sl_operation *operation,
                       const struct sl_aws_request *request, struct sl_json **ret, struct sl_error *err);
int sl_cbor_decode(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_aws_request *request,
                   struct sl_json **ret, struct sl_error *err);
int sl_query_decode(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_aws_request *request,
                    struct sl_json **ret, struct sl_error *err);

// Text of a label, parameter, header or form value as a node of the shape's type (scalars only).
int sl_codec_scalar(struct sl_arena *arena, const struct sl_shape *shape, struct sl_str text, struct sl_json **ret,
                    struct sl_error *err);

// 0, or the kind (SL_E_VALIDATION, SL_E_BAD_REQUEST, SL_E_QUERY_VALIDATION by service) with the whole text in
// *ret_message: it may be longer than an sl_error holds.
int sl_validate(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_json *in,
                struct sl_str *ret_message);

// --- output
// -----------------------------------------------------------------------------------------------------------------------
enum { SL_REPLY_HEADERS = 32 };

struct sl_reply {
    int status;
    struct sl_str content_type; // ptr NULL: no body
    struct sl_str body;
    struct {
        struct sl_str name, value;
    } headers[SL_REPLY_HEADERS];
    unsigned header_count;
    const struct sl_json *map; // further headers: an object of strings, the names without this prefix; NULL for none
    struct sl_str map_prefix;
};

int sl_rest_json_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err);
int sl_rest_xml_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err);
int sl_json_rpc_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err);
int sl_cbor_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err);
int sl_query_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err);

// `service` or `operation` may be NULL (the request was not routed); `more` are further members (op->error_members), or
// NULL.
void sl_rest_json_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                        int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret);
// S3's error document. The framework's kinds go by S3's names for them.
void sl_rest_xml_error(struct sl_arena *arena, int kind, struct sl_str message, const struct sl_json *more,
                       struct sl_str request_id, struct sl_str host_id, struct sl_reply *ret);
void sl_json_rpc_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                       int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret);
void sl_cbor_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                   int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret);
void sl_query_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                    int kind, struct sl_str message, struct sl_str request_id, struct sl_reply *ret);

// --- shared by the protocols
// ------------------------------------------------------------------------------------------------------

// The operation's own error of that name or query code, else any of the service's: the models do not list every error
// with every operation. NULL if there is none; both may be NULL.
const struct sl_shape *sl_codec_error(const struct sl_service *service, const struct sl_operation *operation,
                                      struct sl_str name);
// What the query protocol calls an error of the framework (no modelled one): "AccessDenied".
struct sl_str sl_codec_query_code(int kind, struct sl_str name);
// A member that travels outside of the body: label, parameter, header. *ret stays as it is (NULL) when it is absent.
int sl_codec_outside(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                     const struct sl_member *member, struct sl_json **ret, struct sl_error *err);
// Headers and status from op->out; says whether the shape has body members at all.
bool sl_codec_encode_outside(struct sl_op *op, const struct sl_shape *shape, struct sl_reply *ret);
// An error's type as the RPC protocols' "__type" has it, its status in
// ret->status; adds x-amzn-query-error for a service that once spoke the query protocol.
struct sl_str sl_codec_error_type(struct sl_arena *arena, const struct sl_service *service,
                                  const struct sl_operation *operation, int kind, struct sl_reply *ret);
// "NaN", "Infinity", "-Infinity": what a floating number may be in every protocol (Smithy, "Float and Double"). Such a
// member is a NUMBER with that text, which sl_json_to_double does not take.
bool sl_codec_not_finite(struct sl_str text);
// A tree as a parser gave it, by the operation's input: `body` NULL is an empty one.
int sl_codec_decode_body(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_json *body,
                         struct sl_json **ret, struct sl_error *err);
// Adds a header; dropped beyond SL_REPLY_HEADERS.
void sl_reply_header(struct sl_reply *reply, struct sl_str name, struct sl_str value);
// A date or time: ISO 8601 with zone, or an HTTP date. Milliseconds since 1970.
bool sl_time_parse(struct sl_str text, int64_t *ret_ms);
// A value of op->out as text for a header, a form of XML or the like (no quotes). ptr NULL if the value is not a
// scalar.
struct sl_str sl_codec_text(struct sl_arena *arena, const struct sl_shape *shape, enum sl_time_format time,
                            const struct sl_json *value);

#endif
