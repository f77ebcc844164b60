// SPDX-License-Identifier: Apache-2.0
//
// mapping: parameter mapping of HTTP APIs ("Transform API requests and responses for HTTP APIs", API Gateway developer
// guide). A mapping is a list of changes (append, overwrite, remove) to headers, query string, path or status code;
// values are literals, selection expressions ($request.header.x) or text with ${...} inside. Parsed when an API is
// compiled (and once at CreateIntegration, to refuse what is wrong), evaluated per request with a resolver.
#ifndef SL_GATEWAY_MAPPING_H
#define SL_GATEWAY_MAPPING_H

#include "base/error.h"
#include "base/json.h"

enum sl_gw_change { SL_GW_APPEND, SL_GW_OVERWRITE, SL_GW_REMOVE };
enum sl_gw_target { SL_GW_TO_HEADER, SL_GW_TO_QUERY, SL_GW_TO_PATH, SL_GW_TO_STATUS };
enum sl_gw_source {
    SL_GW_FROM_TEXT,
    SL_GW_FROM_HEADER, // of the request, or of the response in a response mapping's $response.header
    SL_GW_FROM_QUERY,
    SL_GW_FROM_BODY,
    SL_GW_FROM_PATH, // name empty: the whole path, without the stage
    SL_GW_FROM_CONTEXT,
    SL_GW_FROM_STAGE_VARIABLE,
    SL_GW_FROM_RESPONSE_HEADER,
    SL_GW_FROM_RESPONSE_BODY,
};

struct sl_gw_part {
    struct sl_gw_part *next;
    enum sl_gw_source source;
    struct sl_str text; // literal, or the name
};

struct sl_gw_item {
    struct sl_gw_item *next;
    enum sl_gw_change change;
    enum sl_gw_target target;
    struct sl_str name; // header (lower case) or query parameter
    struct sl_gw_part *parts;
};

struct sl_gw_mapping {
    struct sl_gw_item *items; // linked, in the order of the document; NULL: nothing to do
    bool body;                // some value reads the request's (or response's) body
};

struct sl_gw_status_mapping {
    struct sl_gw_status_mapping *next;
    int status;
    struct sl_gw_mapping mapping;
};

// RequestParameters, an object of strings (NULL: empty). SL_E_BAD_REQUEST with AWS's kind of text.
int sl_gateway__mapping_request(struct sl_arena *arena, const struct sl_json *parameters, struct sl_gw_mapping *ret,
                                struct sl_error *err);
// ResponseParameters: status -> object of strings.
int sl_gateway__mapping_response(struct sl_arena *arena, const struct sl_json *parameters,
                                 struct sl_gw_status_mapping **ret, struct sl_error *err);

// Value of a variable; ptr NULL when it has none (a literal's other parts then stand alone).
typedef struct sl_str sl_gw_resolve_fn(void *user, enum sl_gw_source source, struct sl_str name);
// The item's value, in the arena; ptr NULL when it consists of one variable that has no value: the change is then not
// made.
struct sl_str sl_gateway__mapping_value(struct sl_arena *arena, const struct sl_gw_item *item,
                                        sl_gw_resolve_fn *resolve, void *user);

// "a.b[0].c" of a document, as text (strings bare, the rest as JSON); ptr NULL when absent.
struct sl_str sl_gateway__json_path(struct sl_arena *arena, const struct sl_json *document, struct sl_str path);

#endif
