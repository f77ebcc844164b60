// SPDX-License-Identifier: Apache-2.0
//
// event_source_publish: what the poller is told of event source mappings: after the commit of the operation that made,
// changed or deleted one, and of all of them at start. Only queues are polled; other sources are stored and answered.
#include "lambda/event_source.h"

#include "events/source.h"
#include "lambda/lambda.h"

static struct sl_str text_of(struct sl_arena *arena, const struct sl_json *node) {
    struct sl_buf text;
    if (!node) return SL_STR("");
    sl_buf_init(&text, 1u << 20);
    sl_json_write(&text, node);
    struct sl_str copy = text.failed ? SL_STR("") : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static void tell(struct sl_event_sources *sources, struct sl_arena *arena, const struct sl_json *document) {
    struct sl_function_ref function = {0};
    struct sl_str arn = sl_json_string(document, "FunctionArn");
    const struct sl_json *types = sl_json_get(document, "FunctionResponseTypes");
    if (sl_lambda__source_kind(document) != SL_LAMBDA_SOURCE_SQS || !sl_function_ref_parse(arn, &function)) return;
    const struct sl_event_source source = {
        .id = sl_json_string(document, "UUID"),
        .queue = sl_json_string(document, "EventSourceArn"),
        .account = function.account,
        .region = function.region,
        .name = function.name,
        .qualifier = function.qualifier,
        .function_arn = arn,
        .filters = text_of(arena, sl_json_get(document, "FilterCriteria")),
        .batch_size = (unsigned)sl_json_int(document, "BatchSize", 10),
        .window_s = (unsigned)sl_json_int(document, "MaximumBatchingWindowInSeconds", 0),
        .max_concurrency = (unsigned)sl_json_int(sl_json_get(document, "ScalingConfig"), "MaximumConcurrency", 0),
        .enabled = sl_str_is(sl_json_string(document, "State"), "Enabled"),
        .reports_failures = types && types->count > 0,
    };
    sl_event_sources_put(sources, &source);
}

// op->state: the document as it is stored.
void sl_lambda__source_publish(struct sl_op *op) {
    const struct sl_app *app = op->app;
    if (op->state) tell(app->sources, op->arena, op->state);
}

void sl_lambda__source_unpublish(struct sl_op *op) {
    const struct sl_app *app = op->app;
    if (op->state) sl_event_sources_remove(app->sources, sl_json_string(op->state, "UUID"));
}

struct load {
    struct sl_store_job job;
    struct sl_app *app;
};

static int load_one(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    struct load *load = user;
    struct sl_json *document;
    struct sl_arena arena;
    (void)key;
    sl_arena_init(&arena, 8u << 20);
    int result = sl_json_parse(&arena, text, &document, err);
    if (!result) tell(load->app->sources, &arena, document);
    sl_arena_free(&arena);
    return result;
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_store_each(tx, "lambda.event_source", load_one, SL_CONTAINER(job, struct load, job), err);
}

int sl_lambda_load_sources(struct sl_app *app, struct sl_error *err) {
    struct load load = {.job = {.run = load_run, .read_only = true}, .app = app};
    return sl_store_run(app->store, &load.job, err);
}
