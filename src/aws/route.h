// SPDX-License-Identifier: Apache-2.0
//
// route: from method, path and query to an operation, by the tables. AWS tells services apart by host name; one port
// cannot, so the service is taken from the signature's credential scope, and without a signature from the path, the
// query or X-Amz-Target.
//
// Rules: a trailing slash is ignored (old and new clients disagree about it); of several operations with the same path
// the one with more matching query discriminators wins ("?List=ALL", "?find=LayerVersion", "?mode=import"); labels are
// percent-decoded once, after the path was split at its slashes, so that a label may hold an encoded ARN with slashes;
// an empty label matches nothing.
#ifndef SL_AWS_ROUTE_H
#define SL_AWS_ROUTE_H

#include "aws/model.h"
#include "aws/request.h"

enum { SL_ROUTE_SEGMENTS = 16 };

struct sl_route {
    const struct sl_operation *operation;
    struct sl_str labels[SL_ROUTE_SEGMENTS]; // raw, by segment of the operation's URI; ptr NULL for literals
    struct sl_str prefix; // path before the routed part ("/prod" of "/prod/@connections/x"); empty otherwise
};

// REST operation of one service; false if none matches.
bool sl_route_rest(const struct sl_service *service, const struct sl_aws_request *request, struct sl_route *ret);

// REST operation of any service whose signing name is `signing_name` (empty: of any service at all).
bool sl_route_any(struct sl_str signing_name, const struct sl_aws_request *request, struct sl_route *ret);

// Operation of the json 1.0/1.1 protocols, by X-Amz-Target ("AmazonSQS.SendMessage"). NULL if there is none;
// *ret_service gets the service if its prefix is known.
const struct sl_operation *sl_route_target(const struct sl_aws_request *request, const struct sl_service **ret_service);

// Smithy's RPC v2 CBOR: "POST .../service/GraniteServiceVersion20100801/operation/ListMetrics" with the header
// "Smithy-Protocol: rpc-v2-cbor". *ret_service as above.
bool sl_route_is_cbor(const struct sl_aws_request *request);
const struct sl_operation *sl_route_cbor(const struct sl_aws_request *request, const struct sl_service **ret_service);

// Query-protocol operation: Action and Version in the form body (POST) or the query (GET). NULL if Action is absent or
// unknown; *ret_action gets the action if there is one.
const struct sl_operation *sl_route_query(struct sl_arena *arena, struct sl_str signing_name,
                                          const struct sl_aws_request *request, struct sl_str *ret_action);

// The service of that signing name that speaks the query protocol, also if only for its old clients. NULL if none does.
const struct sl_service *sl_route_query_service(struct sl_str signing_name);

// "/123456789012/name", "/queue/us-east-1/123456789012/name": the address of a queue, to which old clients post.
bool sl_route_queue_path(struct sl_str path);

// Whether some service with that signing name exists in the tables.
bool sl_route_knows(struct sl_str signing_name);

#endif
