// SPDX-License-Identifier: Apache-2.0
//
// model: the AWS APIs as data. tools/api/generate.py writes api/<service>.json (facts of the published service models)
// as the constant tables declared here, at build time. Everything the engine does (routing, decoding, validating,
// encoding, errors, the compatibility list) reads these tables; no operation has parsing code of its own.
//
// Invariants: all tables are static const and shared by all threads; every pointer in them is valid or NULL as stated;
// members stand in the order of the published model (AWS reports constraint failures in that order).
#ifndef SL_AWS_MODEL_H
#define SL_AWS_MODEL_H

#include "base/str.h"

// SL_PROTOCOL_JSON is awsJson1.0 and 1.1 (sl_service.json_version).
// SL_PROTOCOL_CBOR is Smithy's RPC v2 CBOR; a service of it may speak awsJson too (target_prefix).
enum sl_protocol { SL_PROTOCOL_REST_JSON, SL_PROTOCOL_QUERY, SL_PROTOCOL_JSON, SL_PROTOCOL_REST_XML, SL_PROTOCOL_CBOR };

enum sl_shape_type {
    SL_SHAPE_STRUCTURE,
    SL_SHAPE_LIST,
    SL_SHAPE_MAP,
    SL_SHAPE_STRING,
    SL_SHAPE_INTEGER,
    SL_SHAPE_LONG,
    SL_SHAPE_FLOAT,
    SL_SHAPE_DOUBLE,
    SL_SHAPE_BOOLEAN,
    SL_SHAPE_BLOB,
    SL_SHAPE_TIMESTAMP,
};

// Where a member travels. SL_IN_PAYLOAD is the one member that is the whole body.
enum sl_location { SL_IN_BODY, SL_IN_URI, SL_IN_QUERY, SL_IN_HEADER, SL_IN_HEADERS, SL_IN_STATUS, SL_IN_PAYLOAD };

enum sl_time_format { SL_TIME_FORMAT_DEFAULT, SL_TIME_FORMAT_EPOCH, SL_TIME_FORMAT_ISO8601, SL_TIME_FORMAT_RFC822 };

struct sl_shape;

struct sl_member {
    struct sl_str name;  // as the API documents it; the key in op->in and op->out
    struct sl_str wire;  // as it is sent: JSON key, query key, header name (or prefix), URI label
    struct sl_str shown; // as validation messages write it (lowerCamel)
    struct sl_str query; // its name in the query protocol where that is another one; ptr NULL otherwise
    const struct sl_shape *shape;
    enum sl_location location;
    enum sl_time_format time; // overrides the shape's
    bool required;
    bool jsonvalue; // a header that holds base64 JSON
    bool flat;      // query protocol: list without ".member"
    bool attribute; // XML: an attribute of its structure's element
    bool streaming; // of a payload: passed on as it comes, never held as a whole
};

struct sl_shape {
    struct sl_str name;
    enum sl_shape_type type;
    enum sl_time_format time;
    const struct sl_member *members; // structure
    uint16_t member_count;
    int16_t payload;                 // index of the member that is the body, or -1
    const struct sl_shape *of, *key; // list element, map value; map key
    struct sl_str of_wire;           // query protocol: element name instead of "member" (a map: instead of "value");
    struct sl_str key_wire;          // a map's instead of "key"; both ptr NULL if unnamed
    const struct sl_str *enums;      // allowed values, NULL if free
    uint16_t enum_count;
    uint16_t pattern_id;     // 1 + index among all patterns, 0 without: the slot of the compiled pattern
    struct sl_str enum_text; // "[a, b]" in the order in which AWS prints it
    struct sl_str pattern;   // as AWS prints it; ptr NULL without
    double min, max;         // of a number, or of the length
    bool has_min, has_max;
    bool sensitive; // the value is left out of messages
    bool streaming, flat, eventstream;
    bool of_null_text;    // AWS lists "Member must not be null" among the element's constraints
    bool of_bare;         // AWS prints the element's only constraint without "Member must satisfy constraint: [...]"
    int16_t error_status; // of an error shape, else 0
    bool error_fault;     // the server's fault: "Type" is "Service"
    bool error_framework; // not of the model: the service framework's, under its own name space
    struct sl_str error_code; // query protocol's code if it is not the shape's name; ptr NULL otherwise
};

// One part of a URI between slashes.
struct sl_segment {
    struct sl_str text; // literal, or the label's name
    bool label, greedy;
};

// "?List=ALL", "?mode=import": a query parameter that belongs to the URI. An empty value means that its presence
// suffices.
struct sl_discriminator {
    struct sl_str key, value;
};

struct sl_service;

struct sl_operation {
    struct sl_str name;
    const struct sl_service *service;
    struct sl_str method, uri;
    const struct sl_segment *segments;
    const struct sl_discriminator *discriminators;
    uint8_t segment_count, discriminator_count;
    int16_t status;                        // of success
    const struct sl_shape *input, *output; // structure, or NULL
    struct sl_str wrapper; // query protocol: element around the result; rest-xml: the document's; ptr NULL without
    const struct sl_shape *const *errors; // NULL-terminated
    uint16_t index;                       // among all operations: the slot of the handler
};

enum { SL_PATH_GREEDY = 0x80, SL_PATH_COUNT = 0x7f }; // the last segment takes the rest of the path
// Different for the methods that operations have.
#define SL_PATH_METHOD(first, length) ((2 * (unsigned char)(first) + (length)) % 256 << 8)

struct sl_service {
    struct sl_str name; // "lambda"
    struct sl_str id;   // "Lambda", "API Gateway"
    struct sl_str api_version, endpoint_prefix, signing_name;
    struct sl_str xml_namespace; // ptr NULL without
    struct sl_str target_prefix; // of X-Amz-Target, "AmazonSQS"; ptr NULL without
    struct sl_str json_version;  // "1.0", "1.1"; ptr NULL without
    struct sl_str error_prefix;  // before the names of modelled errors in "__type": "com.amazonaws.sqs#"; may be empty
    struct sl_str source;        // "botocore 1.43.11"
    enum sl_protocol protocol;
    bool query_compatible;                 // also speaks the query protocol, as its old clients do
    bool partial;                          // the published model has more operations than the table
    const struct sl_operation *operations; // sorted by name
    uint16_t operation_count;
    const uint16_t *paths; // of each operation, close together: segment_count, SL_PATH_GREEDY, SL_PATH_METHOD
};

extern const struct sl_service *const sl_services[]; // NULL-terminated
extern const uint16_t sl_operation_total;
extern const uint16_t sl_pattern_total;

// By name ("lambda", "CreateFunction"); NULL if there is none.
const struct sl_service *sl_service_find(struct sl_str name);
const struct sl_operation *sl_operation_find(const struct sl_service *service, struct sl_str name);
// Structure member by its API name; NULL if there is none.
const struct sl_member *sl_member_find(const struct sl_shape *structure, struct sl_str name);

#endif
