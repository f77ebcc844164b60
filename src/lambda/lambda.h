// SPDX-License-Identifier: Apache-2.0
//
// lambda: the control plane of AWS Lambda (one file per resource) and the front doors that belong to it: function URLs
// and the download of a function's code. What runs functions is invoke/; this folder keeps what functions ARE and tells
// invoke/ about it.
//
// Data flow: operation ─► handler (aws/op.h) ─► documents in the store ─commit─► publish.c ─► invoke/'s registry ─►
// data plane. At start sl_lambda_load publishes what the store holds.
//
// Threads: handlers as aws/op.h says; the three functions below that take a request run on its loop thread.
#ifndef SL_LAMBDA_LAMBDA_H
#define SL_LAMBDA_LAMBDA_H

#include "aws/app.h"
#include "aws/op.h"

struct sl_http_request;

// Ends with an entry whose service is NULL.
extern const struct sl_op_entry sl_lambda_operations[];

// Publishes every stored function and deletes code that none uses. Blocks; call once at start, after the invoker exists
// and before anything is served. An error is the store's; a single function that cannot be published is logged and
// skipped.
int sl_lambda_load(struct sl_app *app, struct sl_error *err);
// Tells the poller of every stored event source mapping. Once at start, after sl_lambda_load.
int sl_lambda_load_sources(struct sl_app *app, struct sl_error *err);

// GetFunction's Code.Location, "/_sluice/code/<sha256>?token=...": true when the request was that (and has been
// answered): a token is good for ten minutes and one blob. Any other path is left alone.
bool sl_lambda_code_handle(struct sl_app *app, struct sl_http_request *request);

// Function URLs, "{id}.lambda-url.{region}.{anything}[:port]": whether the request's host has that form, and the answer
// to such a request (always answers, now or later on the same loop).
bool sl_lambda_url_owns(struct sl_app *app, const struct sl_http_request *request);
void sl_lambda_url_handle(struct sl_app *app, struct sl_http_request *request);

#endif
