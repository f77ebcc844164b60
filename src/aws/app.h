// SPDX-License-Identifier: Apache-2.0
//
// app: the parts of the running server that operation handlers reach (sl_op.app). Made by the daemon at start, never
// changed after. A bag of pointers on purpose: handlers stay testable with the few parts they use.
#ifndef SL_AWS_APP_H
#define SL_AWS_APP_H

#include "base/str.h"

struct sl_app;
struct sl_arena;
struct sl_error;
struct sl_store;
struct sl_invoker;
struct sl_gateway;
struct sl_event_queue;
struct sl_event_sources;
struct sl_sqs;
struct sl_logs;
struct sl_log_tails;
struct sl_s3;
struct sl_series;
struct sl_identity_config;

struct sl_app {
    struct sl_store *store;
    struct sl_invoker *invoker;
    struct sl_gateway *gateway;
    struct sl_event_queue *events;
    struct sl_event_sources *sources;
    struct sl_sqs *sqs;
    struct sl_logs *logs;
    struct sl_log_tails *tails;
    struct sl_s3 *s3;
    struct sl_series *series;
    const struct sl_identity_config *callers; // aws/identity.h: the directory, and what sessions are made with
    // Reads an object of that account as a whole, at most `max` bytes, into the arena; version with ptr NULL: the
    // newest. On a worker thread: it waits. SL_E_S3_... with S3's words; NULL where there are no objects.
    int (*fetch_object)(const struct sl_app *app, struct sl_arena *arena, struct sl_str account, struct sl_str bucket,
                        struct sl_str key, struct sl_str version, size_t max, struct sl_str *ret, struct sl_error *err);
    // "localhost:4566": what URLs that clients get are made of, e.g. http://{api}.execute-api.localhost:4566 and
    // http://{id}.lambda-url.{region}.localhost:4566/.
    struct sl_str public_host;
    // How long a function stays Pending after its creation, and InProgress after an update; 0: not at all.
    int64_t activation_ms;
    // Every listener is on a loopback address: who reaches the server is on this machine.
    bool loopback;
    // Whether CreateFunction accepts a runtime identifier whose exact version is not installed (served by the nearest).
    bool nearest_runtime;
    unsigned account_concurrency; // AWS: 1000
};

#endif
