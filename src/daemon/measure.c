// SPDX-License-Identifier: Apache-2.0
//
// measure: what the server counts about functions, as CloudWatch's metrics of them: names, units and dimensions of
// "Types of metrics for Lambda functions" (Lambda developer guide). On the storage thread.
//
//   FunctionName                      the function, all versions together
//   FunctionName, Resource            as it was called: "name", "name:3", "name:alias"
//   FunctionName, Resource, ExecutedVersion    by alias only
//   none                              all functions
#include "daemon/daemon.h"

#include <stdio.h>

#include "base/stat.h"
#include "invoke/engine.h"
#include "observe/series.h"

enum { DIMENSIONS = 3, RESOURCE_MAX = 256 };

struct measuring {
    struct sl_series *series;
    const struct sl_measured *measured;
    struct sl_dimension dimensions[DIMENSIONS];
};

static void put(const struct measuring *m, const char *name, struct sl_str unit, unsigned dimensions,
                const struct sl_stat *stat) {
    const struct sl_metric metric = {.account = m->measured->account,
                                     .region = m->measured->region,
                                     .namespace = SL_STR("AWS/Lambda"),
                                     .name = sl_str_of(name),
                                     .dimensions = m->dimensions,
                                     .dimension_count = dimensions};
    if (stat->count > 0) sl_series_count(m->series, &metric, unit, m->measured->at_ms, stat);
}

// Of so many invocations that many: the others count as 0, so that an average is a rate.
static void put_share(const struct measuring *m, const char *name, unsigned dimensions, double all, double those) {
    struct sl_stat_bucket buckets[2];
    struct sl_stat stat = SL_STAT_FIXED(buckets);
    sl_stat_add(&stat, 1, those);
    sl_stat_add(&stat, 0, all - those);
    put(m, name, SL_STR("Count"), dimensions, &stat);
}

static void put_set(const struct measuring *m, unsigned dimensions) {
    static const struct sl_str ms = SL_STR_INIT("Milliseconds"), count = SL_STR_INIT("Count");
    const struct sl_measured *measured = m->measured;
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
}

void sl_measure_function(void *user, const struct sl_measured *measured) {
    struct measuring m = {.series = user, .measured = measured};
    char resource[RESOURCE_MAX];
    bool latest = sl_str_is(measured->version, "$LATEST");
    struct sl_str qualifier = measured->alias.len ? measured->alias : latest ? SL_STR("") : measured->version;
    int len = snprintf(resource, sizeof resource, "%.*s%s%.*s", SL_FMT(measured->name), qualifier.len ? ":" : "",
                       SL_FMT(qualifier));
    if (len < 0 || len >= RESOURCE_MAX) return;
    m.dimensions[0] = (struct sl_dimension){SL_STR("FunctionName"), measured->name};
    m.dimensions[1] = (struct sl_dimension){SL_STR("Resource"), sl_str_n(resource, (size_t)len)};
    m.dimensions[2] = (struct sl_dimension){SL_STR("ExecutedVersion"), measured->version};
    put_set(&m, 0);
    put_set(&m, 1);
    put_set(&m, 2);
    if (measured->alias.len) put_set(&m, 3);
    put(&m, "UnreservedConcurrentExecutions", SL_STR("Count"), 0, measured->unreserved);
    put(&m, "ClaimedAccountConcurrency", SL_STR("Count"), 0, measured->account_concurrency);
}
