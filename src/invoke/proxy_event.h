// SPDX-License-Identifier: Apache-2.0
//
// proxy_event: an HTTP request as a Lambda event of payload format 2.0, and the function's answer as an HTTP response.
// Shared by function URLs (lambda/) and HTTP APIs (gateway/): AWS documents one format for both ("Working with AWS
// Lambda proxy integrations for HTTP APIs", "Invoking Lambda function URLs"). Where the two differ the caller says so
// in the inputs.
//
// Data flow: caller fills struct sl_proxy_request with views ─► sl_proxy_event_v2 writes JSON into a buffer ─►
// invocation
//            payload of the answer ─► sl_proxy_response_v2 ─► status, headers, cookies, body for the caller's response.
//
// Owner thread: any; pure functions. Nothing is allocated but in the arena given.
// Invariants: the event is valid JSON whatever bytes the request held (bytes that are not UTF-8 become U+FFFD in
// fields, and make a body base64); a parsed response never holds a field name that is not a token (RFC 9110
// section 5.6.2).
#ifndef SL_INVOKE_PROXY_EVENT_H
#define SL_INVOKE_PROXY_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

// Header field, path parameter, stage variable.
struct sl_proxy_field {
    struct sl_str name, value;
};

struct sl_proxy_request {
    struct sl_str route_key;              // "$default", "GET /pets/{id}"
    struct sl_str raw_path;               // as the format wants it (with the stage's prefix for HTTP APIs)
    struct sl_str raw_query;              // as received, without '?'; ptr NULL or empty without
    const struct sl_proxy_field *headers; // as received; names in any case, repeated ones are joined with ","
    unsigned header_count;
    bool keep_cookie_header; // function URLs leave "cookie" among the headers too; HTTP APIs move it to "cookies"
    // What the front adds as a proxy; each is left out when empty. forwarded_for is appended to a client's value.
    struct sl_str forwarded_for, forwarded_port, forwarded_proto, trace_id;
    const struct sl_proxy_field *path_parameters; // decoded; absent from the event when there are none
    unsigned path_parameter_count;
    const struct sl_proxy_field *stage_variables; // likewise
    unsigned stage_variable_count;
    struct sl_str account_id; // "anonymous" for function URLs without IAM
    struct sl_str api_id, domain_name, domain_prefix;
    struct sl_str authentication; // JSON text of requestContext.authentication; empty: absent
    struct sl_str authorizer;     // JSON text of requestContext.authorizer; empty: absent
    struct sl_str method, path, protocol, source_ip, user_agent; // requestContext.http
    struct sl_str request_id, stage;
    int64_t time_ms;            // when the request arrived, wall clock
    struct sl_str body;         // ptr NULL or empty: no body member
    struct sl_str content_type; // of the request; decides between text and base64 with sl_proxy_is_text
};

// Writes the event. scratch: where joined and decoded fields go (bounded by the request's own size, times a small
// factor). False when scratch or out is full.
bool sl_proxy_event_v2(struct sl_buf *out, struct sl_arena *scratch, const struct sl_proxy_request *request);

// Whether a body of this type travels as text: text/*, application/json, application/xml, application/javascript,
// +json, +xml, and the bytes are UTF-8. All else is base64 (multipart and form bodies too, as recorded from AWS).
bool sl_proxy_is_text(struct sl_str content_type, struct sl_str body);

// Splits and decodes a query string ('+' is a space; a broken escape stays as it is) in order of appearance, into the
// arena. False when the arena is full. Shared with payload format 1.0, which needs single and multi values.
bool sl_proxy_query(struct sl_arena *arena, struct sl_str raw_query, struct sl_proxy_field **ret, unsigned *ret_count);

// A token of RFC 9110 section 5.6.2: what a header name must be.
bool sl_proxy_is_token(struct sl_str name);

struct sl_proxy_response {
    int status;
    const struct sl_proxy_field *headers; // without Set-Cookie of `cookies`; with a content-type, always
    unsigned header_count;
    const struct sl_str *cookies; // one Set-Cookie field each
    unsigned cookie_count;
    struct sl_str body; // raw bytes: base64 is already decoded
    bool structured;    // the answer had a statusCode
};

struct sl_proxy_rules {
    struct sl_str default_type; // content-type of a structured answer that names none
    bool lenient; // function URLs: an answer that is not JSON is the body itself, a `body` that is no string is sent as
                  // JSON. HTTP APIs refuse both.
};

// Reads a function's answer. Without `statusCode` the whole value is the body: a string its text, all else compact
// JSON, 200, application/json. SL_E_INVALID for an answer that breaks the format (the caller answers 500 or 502),
// SL_E_NO_MEMORY. The response holds views of payload and arena.
int sl_proxy_response_v2(struct sl_arena *arena, struct sl_str payload, const struct sl_proxy_rules *rules,
                         struct sl_proxy_response *ret, struct sl_error *err);

// Content type of an answer that brings its status and headers with it ("HTTP integration", Lambda response streaming):
// a JSON document, SL_PROXY_PRELUDE_END zero bytes, then the body.
enum { SL_PROXY_PRELUDE_END = 8, SL_PROXY_PRELUDE_MAX = 16 * 1024 };
bool sl_proxy_has_prelude(struct sl_str content_type);
// Where the zero bytes begin, or -1.
ptrdiff_t sl_proxy_prelude_len(struct sl_str bytes);
// Reads {"statusCode","headers","multiValueHeaders","cookies"}, each of which may be missing (200, no fields, a
// content-type of application/octet-stream). Errors and memory as in sl_proxy_response_v2; `body` is left empty.
int sl_proxy_prelude(struct sl_arena *arena, struct sl_str document, struct sl_proxy_response *ret,
                     struct sl_error *err);

#endif
