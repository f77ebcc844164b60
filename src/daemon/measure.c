// SPDX-License-Identifier: Apache-2.0
//
// measure: what the server counts about functions and of their asynchronous events, as CloudWatch's metrics of them:
// names, units and dimensions of "Types of metrics for Lambda functions" (Lambda developer guide). On the storage
// thread.
//
//   FunctionName                      the function, all versions together
//   FunctionName, Resource            as it was called: "name", "name:3", "name:alias"
//   FunctionName, Resource, ExecutedVersion    by alias only
//   none                              all functions
#include "daemon/daemon.h"

#include <stdio.h>

#include "aws/arn.h"
#include "base/stat.h"
#include "events/queue.h"
#include "invoke/engine.h"
#include "observe/series.h"

enum { DIMENSIONS = 3, RESOURCE_MAX = 256 };

struct measuring {
    struct sl_series *series;
    struct sl_str account, region;
    int64_t at_ms;
    struct sl_dimension dimensions[DIMENSIONS];
    char resource[RESOURCE_MAX];
};

static const struct sl_str ms = SL_STR_INIT("Milliseconds"), count = SL_STR_INIT("Count");

// qualifier: as it was called, or empty. False when that is no name.
static bool name_function(struct measuring *m, struct sl_str name, struct sl_str qualifier) {
    if (sl_str_is(qualifier, "$LATEST")) qualifier = SL_STR("");
    int len = snprintf(m->resource, sizeof m->resource, "%.*s%s%.*s", SL_FMT(name), qualifier.len ? ":" : "",
                       SL_FMT(qualifier));
    m->dimensions[0] = (struct sl_dimension){SL_STR("FunctionName"), name};
    m->dimensions[1] = (struct sl_dimension){SL_STR("Resource"), sl_str_n(m->resource, (size_t)len)};
    return len > 0 && len < RESOURCE_MAX;
}

static void put(const struct measuring *m, const char *name, struct sl_str unit, unsigned dimensions,
                const struct sl_stat *stat) {
    const struct sl_metric metric = {.account = m->account,
                                     .region = m->region,
                                     .namespace = SL_STR("AWS/Lambda"),
                                     .name = sl_str_of(name),
                                     .dimensions = m->dimensions,
                                     .dimension_count = dimensions};
    if (stat->count > 0) sl_series_count(m->series, &metric, unit, m->at_ms, stat);
}

// Of so many invocations that many: the others count as 0, so that an average is a rate.
static void put_share(const struct measuring *m, const char *name, unsigned dimensions, double all, double those) {
    struct sl_stat_bucket buckets[2];
    struct sl_stat stat = SL_STAT_FIXED(buckets);
    sl_stat_add(&stat, 1, those);
    sl_stat_add(&stat, 0, all - those);
    put(m, name, count, dimensions, &stat);
}

static void put_set(const struct measuring *m, const struct sl_measured *measured, unsigned dimensions) {
    double invocations = measured->duration_ms->count;
    put_share(m, "Invocations", dimensions, invocations, invocations);
    put_share(m, "Errors", dimensions, invocations, measured->errors);
    put_share(m, "Throttles", dimensions, invocations + measured->throttles, measured->throttles);
    put_share(m, "RecursiveInvocationsDropped", dimensions, measured->recursions, measured->recursions);
    put(m, "Duration", ms, dimensions, measured->duration_ms);
    put(m, "PostRuntimeExtensionsDuration", ms, dimensions, measured->after_ms);
    put(m, "ConcurrentExecutions", count, dimensions,
        dimensions ? measured->concurrency : measured->account_concurrency);
    put_share(m, "ProvisionedConcurrencyInvocations", dimensions, measured->provisioned, measured->provisioned);
    put_share(m, "ProvisionedConcurrencySpilloverInvocations", dimensions, measured->spilled, measured->spilled);
    put(m, "ProvisionedConcurrentExecutions", count, dimensions, measured->provisioned_busy);
    put(m, "ProvisionedConcurrencyUtilization", count, dimensions, measured->utilization);
    put_share(m, "UrlRequestCount", dimensions, measured->url_latency_ms->count, measured->url_latency_ms->count);
    put_share(m, "Url4xxCount", dimensions, measured->url_latency_ms->count, measured->url_4xx);
    put_share(m, "Url5xxCount", dimensions, measured->url_latency_ms->count, measured->url_5xx);
    put(m, "UrlRequestLatency", ms, dimensions, measured->url_latency_ms);
}

void sl_measure_function(void *user, const struct sl_measured *measured) {
    struct measuring m = {
        .series = user, .account = measured->account, .region = measured->region, .at_ms = measured->at_ms};
    if (!name_function(&m, measured->name, measured->alias.len ? measured->alias : measured->version)) return;
    m.dimensions[2] = (struct sl_dimension){SL_STR("ExecutedVersion"), measured->version};
    put_set(&m, measured, 0);
    put_set(&m, measured, 1);
    put_set(&m, measured, 2);
    if (measured->alias.len) put_set(&m, measured, 3);
    put(&m, "UnreservedConcurrentExecutions", count, 0, measured->unreserved);
    put(&m, "ClaimedAccountConcurrency", count, 0, measured->account_concurrency);
}

static void put_one(const struct measuring *m, const char *name, struct sl_str unit, double value) {
    struct sl_stat_bucket buckets[2];
    struct sl_stat stat = SL_STAT_FIXED(buckets);
    sl_stat_add(&stat, value, 1);
    for (unsigned dimensions = 0; dimensions < 3; dimensions++) put(m, name, unit, dimensions, &stat);
}

void sl_measure_event(void *user, const struct sl_event_measured *measured) {
    struct sl_function_ref function;
    if (!sl_function_ref_parse(measured->function, &function)) return;
    struct measuring m = {
        .series = user, .account = function.account, .region = function.region, .at_ms = measured->at_ms};
    if (!name_function(&m, function.name, function.qualifier)) return;
    if (measured->received) put_one(&m, "AsyncEventsReceived", count, 1);
    if (measured->ran) put_one(&m, "AsyncEventAge", ms, (double)measured->age_ms);
    if (measured->dropped) put_one(&m, "AsyncEventsDropped", count, 1);
    if (measured->dead_letter_errors) put_one(&m, "DeadLetterErrors", count, measured->dead_letter_errors);
    if (measured->destination_errors) put_one(&m, "DestinationDeliveryFailures", count, measured->destination_errors);
}
