// SPDX-License-Identifier: Apache-2.0
//
// event_source: what the files about event source mappings share (inside lambda/). A mapping is one document
// "lambda.event_source" (id: its UUID): EventSourceMappingConfiguration as the API answers it, plus "_tags".
//
// States. A change is true for the poller as soon as it is committed, so what is stored is the state at rest (Enabled,
// Disabled); Creating, Updating, Enabling, Disabling and Deleting exist in the answer of the operation that began the
// transition, as with functions (internal.h).
#ifndef SL_LAMBDA_EVENT_SOURCE_H
#define SL_LAMBDA_EVENT_SOURCE_H

#include "lambda/internal.h"

enum sl_lambda__source_kind {
    SL_LAMBDA_SOURCE_NONE, // not recognized
    SL_LAMBDA_SOURCE_SQS,
    SL_LAMBDA_SOURCE_STREAM,       // Kinesis, DynamoDB
    SL_LAMBDA_SOURCE_KAFKA,        // MSK
    SL_LAMBDA_SOURCE_SELF_MANAGED, // Kafka by its addresses
    SL_LAMBDA_SOURCE_MQ,
    SL_LAMBDA_SOURCE_DOCUMENTS,
};

// Of a mapping (a request's members or a document).
enum sl_lambda__source_kind sl_lambda__source_kind(const struct sl_json *mapping);

// event_source_check.c: everything AWS refuses about the settings of a request, before or beside its resources.
// `document` is the mapping that is updated, NULL when one is created.
int sl_lambda__source_check(struct sl_op *op, enum sl_lambda__source_kind kind, const struct sl_json *document,
                            struct sl_error *err);

// event_source_publish.c: from documents to the poller (events/source.h).
void sl_lambda__source_publish(struct sl_op *op);
void sl_lambda__source_unpublish(struct sl_op *op);

#endif
