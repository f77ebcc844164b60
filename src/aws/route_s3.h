// SPDX-License-Identifier: Apache-2.0
//
// route_s3: how requests to Amazon S3 are known and routed. Buckets and keys are names in the host and the path, a key
// is the rest of the path as it is (doubled and final slashes belong to it), and operations of the same method differ
// by parameters and headers that one of them requires.
//
// Forms, first match wins (any port):
//   s3.{anything}, s3-{anything}          /{bucket}/{key}
//   {bucket}.s3.{anything}                /{key}                      also unsigned; the last ".s3." counts
//   {bucket}.localhost[.localstack.cloud] /{key}                      signed for s3 only
//   any other host                        /{bucket}/{key}             signed for s3 only
#ifndef SL_AWS_ROUTE_S3_H
#define SL_AWS_ROUTE_S3_H

#include "aws/route.h"

struct sl_s3_address {
    struct sl_str bucket, key; // still percent-encoded; len 0: not named
};

// Whether that host is one of S3's whatever the request's signature says.
bool sl_s3_owns_host(struct sl_str host);
// A form with a file, as browsers post it to a bucket (or the field names of one that was not signed at all).
bool sl_s3_is_form(const struct sl_aws_request *request);
// Signature Version 2, in a header or in the query: not accepted any more, but known.
bool sl_s3_is_old_signature(const struct sl_aws_request *request);
void sl_s3_address(const struct sl_aws_request *request, struct sl_s3_address *ret);
// The service; NULL if the tables have no S3.
const struct sl_service *sl_s3_service(void);
// False if there is no operation of that method there.
bool sl_s3_route(const struct sl_aws_request *request, struct sl_route *ret);
// Parameters of a presigned URL that stand for headers ("x-amz-meta-color=red"), decoded: writes at most `room`.
unsigned sl_s3_hoisted(struct sl_arena *arena, struct sl_str query, struct sl_http_header *headers, unsigned room);

#endif
