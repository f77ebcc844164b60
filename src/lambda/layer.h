// SPDX-License-Identifier: Apache-2.0
//
// layer: what layer.c, layer_policy.c and layer_use.c share.
#ifndef SL_LAMBDA_LAYER_H
#define SL_LAMBDA_LAYER_H

#include "lambda/function_internal.h"
#include "lambda/internal.h"

struct sl_lambda__layer {
    struct sl_str account, region, name;
    int64_t version; // 0: the layer as a whole
};

// From LayerName (a name or an ARN) and VersionNumber.
struct sl_lambda__layer sl_lambda__layer_named(struct sl_op *op);
// arn:aws:lambda:region:account:layer:name[:version]; false for anything else.
bool sl_lambda__layer_parse(struct sl_str arn, struct sl_lambda__layer *ret);
struct sl_str sl_lambda__layer_arn(struct sl_op *op, const struct sl_lambda__layer *layer);
// The counter of a layer; for listings when the name is empty.
struct sl_key sl_lambda__layer_key(struct sl_op *op, struct sl_str name);
// Of kind "lambda.layer_version" or "lambda.layer_policy"; for listings when the version is 0.
struct sl_key sl_lambda__layer_version_key(struct sl_op *op, const struct sl_lambda__layer *layer, const char *kind);
// Whether the caller's account may read the version: its own, or one that the version's policy grants.
int sl_lambda__layer_allowed(struct sl_op *op, struct sl_store_tx *tx, const struct sl_lambda__layer *layer,
                             struct sl_error *err);

#endif
