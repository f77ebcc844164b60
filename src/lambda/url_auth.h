// SPDX-License-Identifier: Apache-2.0
//
// url_auth: who may call a function through its URL, and what browsers may do with the answer. Used by url.c only.
#ifndef SL_LAMBDA_URL_AUTH_H
#define SL_LAMBDA_URL_AUTH_H

#include "aws/app.h"
#include "http/http.h"
#include "invoke/invoke.h"

// 0: the request may pass; *ret_authorizer is the JSON of requestContext.authorizer (empty for AuthType NONE) and
// *ret_account the caller's account ("anonymous" for NONE). SL_E_ACCESS_DENIED, or the kind and text of a signature
// that is wrong.
int sl_lambda__url_authorize(const struct sl_app *app, struct sl_http_request *request,
                             const struct sl_function *function, struct sl_str *ret_authorizer,
                             struct sl_str *ret_account, struct sl_error *err);

// The fields that the URL's Cors configuration adds to an answer; in the request's arena. on == false without a
// configuration.
struct sl_lambda__cors {
    bool on, credentials;
    struct sl_str origin; // empty: this origin is not allowed, no field is added
    struct sl_str expose, methods, headers, max_age;
};
void sl_lambda__url_cors(struct sl_http_request *request, const struct sl_function *function,
                         struct sl_lambda__cors *ret);
// Adds them; `preflight` adds what answers an OPTIONS request too. Between sl_http_begin and the body.
void sl_lambda__url_cors_add(struct sl_http_request *request, const struct sl_lambda__cors *cors, bool preflight);

#endif
