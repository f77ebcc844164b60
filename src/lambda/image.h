// SPDX-License-Identifier: Apache-2.0
//
// image: what the operations on functions ask of image.c.
#ifndef SL_LAMBDA_IMAGE_H
#define SL_LAMBDA_IMAGE_H

#include "lambda/internal.h"

// The `prepare` half of an operation that brings an image: finds and unpacks what ImageUri names. Worker thread.
int sl_lambda__image_take(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                          struct sl_error *err);
// Writes what the image is into the function's document; and what the request's ImageConfig sets. The latter fails when
// the request sets what a function of its package type does not have.
void sl_lambda__image_put(struct sl_op *op, struct sl_json *document, const struct sl_lambda__code *code);
int sl_lambda__image_configure(struct sl_op *op, struct sl_json *document, struct sl_error *err);
// GetFunction's Code.
void sl_lambda__image_show(struct sl_op *op, const struct sl_json *document, struct sl_json *code);
// What invoke/ runs: command, working directory, and the image's variables beside the function's.
int sl_lambda__image_build(struct sl_arena *arena, const struct sl_json *document, struct sl_function *function,
                           struct sl_error *err);

#endif
