// SPDX-License-Identifier: Apache-2.0
//
// routekey: the grammar of HTTP API route keys: "$default" or "METHOD /path", where a path segment is a literal,
// {name}, or, last only, {name+} ("Create routes for HTTP APIs", API Gateway developer guide). Pure functions.
#ifndef SL_GATEWAY_ROUTEKEY_H
#define SL_GATEWAY_ROUTEKEY_H

#include "base/error.h"

struct sl_gw_route_key {
    bool is_default;
    int method;         // enum sl_http_method, or SL_GW_ANY
    struct sl_str path; // begins with '/'
};

// SL_E_BAD_REQUEST with AWS's text.
int sl_gateway__route_key_parse(struct sl_str key, struct sl_gw_route_key *ret, struct sl_error *err);

enum sl_gw_segment_kind { SL_GW_LITERAL, SL_GW_PARAM, SL_GW_GREEDY };
// Kind of one segment of a valid key; *ret_name is the variable's name or the literal.
enum sl_gw_segment_kind sl_gateway__segment_kind(struct sl_str segment, struct sl_str *ret_name);

// Whether two valid keys can never be told apart: same method, and the same path but for the names of variables.
bool sl_gateway__route_keys_collide(struct sl_str a, struct sl_str b);

#endif
