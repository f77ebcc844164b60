// SPDX-License-Identifier: Apache-2.0
//
// request: see request.h.
#include "aws/request.h"

#include "http/http.h"

struct sl_str sl_aws_request_header(const struct sl_aws_request *request, struct sl_str name) {
    for (unsigned i = 0; i < request->header_count; i++) {
        if (sl_str_ieq(request->headers[i].name, name)) return request->headers[i].value;
    }
    return (struct sl_str){0};
}
