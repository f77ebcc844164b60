// SPDX-License-Identifier: Apache-2.0
//
// limit: who may run now. An account's concurrency (per region, as on AWS) is divided into allotments:
//
//   account limit = open + for each function: reserved, or (without a reservation) what its versions have provisioned
//   reserved      = own  + what the function's versions have provisioned
//
// An invocation takes one place of one allotment before anything else and gives it back when it is answered: its
// version's provisioned one while there is room (the rest spills over, as on AWS), else its function's own when it has
// a reservation, else the account's open one. As the allotments add up to the limit, the limit and every reservation
// hold, whatever other threads, versions and aliases do at the same time; and the warm path pays one atomic addition.
// A limit that is lowered below what runs takes effect as invocations end.
//
// Rates. Starts of instances per function: AWS's 1,000 every 10 seconds ("Lambda scaling behavior", developer guide),
// refilled continuously, never more than 1,000 saved up; an instance that ends gives its start back, since the rate is
// of growth. Requests per second: AWS allows ten for each unit of concurrency; here only when asked for
// (config.request_rate), because one machine's functions are much faster than that.
#include "invoke/internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCALING_WINDOW_S = 10, CHAINS_START = 64 };

// ---- buckets ----------------------------------------------------------------------------------------------------

// Takes one of at most `burst` that come back every `period_ns`. GCRA: the stored time runs ahead of the clock by one
// period for each that is taken.
static bool bucket_take(struct sl_invoke__bucket *bucket, int64_t now_ns, int64_t period_ns, int64_t burst) {
    int64_t empty = atomic_load_explicit(&bucket->empty_ns, memory_order_relaxed);
    for (;;) {
        int64_t next = (empty > now_ns ? empty : now_ns) + period_ns;
        if (next - now_ns > burst * period_ns) return false;
        if (atomic_compare_exchange_weak_explicit(&bucket->empty_ns, &empty, next, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
}

static int64_t start_period(const struct sl_invoker *invoker) {
    return (int64_t)SCALING_WINDOW_S * 1000000000 / invoker->config.scaling_rate;
}

bool sl_invoke__start_take(struct sl_invoke__pool *pool) {
    const struct sl_invoker *invoker = pool->invoker;
    if (!invoker->config.scaling_rate) return true;
    return bucket_take(&pool->limit->starts, sl_clock_mono_ns(), start_period(invoker), invoker->config.scaling_rate);
}

void sl_invoke__start_return(struct sl_invoke__pool *pool) {
    const struct sl_invoker *invoker = pool->invoker;
    if (!invoker->config.scaling_rate) return;
    atomic_fetch_sub_explicit(&pool->limit->starts.empty_ns, start_period(invoker), memory_order_relaxed);
}

// ---- allotments -------------------------------------------------------------------------------------------------

static bool take(struct sl_invoke__allotment *allotment) {
    int64_t capacity = atomic_load_explicit(&allotment->capacity, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&allotment->used, 1, memory_order_relaxed) < capacity) return true;
    atomic_fetch_sub_explicit(&allotment->used, 1, memory_order_relaxed);
    return false;
}

// The requests per second that this many places allow are not exceeded.
static bool rate_holds(const struct sl_invoker *invoker, struct sl_invoke__bucket *bucket, int64_t places) {
    int64_t rate = places * invoker->config.request_rate;
    return rate > 0 && bucket_take(bucket, sl_clock_mono_ns(), 1000000000 / rate, rate);
}

static enum sl_invoke__throttle check_rates(const struct sl_invoker *invoker, struct sl_invoke__limit *limit,
                                            int64_t reserved) {
    int64_t account = invoker->config.account_concurrency;
    if (reserved >= 0 && !rate_holds(invoker, &limit->requests, reserved)) return SL_THROTTLE_RESERVED_RATE;
    if (reserved < 0 && !rate_holds(invoker, &limit->requests, account)) return SL_THROTTLE_RATE;
    if (!rate_holds(invoker, &limit->account->requests, account)) return SL_THROTTLE_CALLER_RATE;
    return SL_THROTTLE_NONE;
}

enum sl_invoke__throttle sl_invoke__admit(struct sl_invoke__pool *pool, struct sl_invocation *invocation) {
    struct sl_invoke__limit *limit = pool->limit;
    int64_t reserved = atomic_load_explicit(&limit->reserved, memory_order_relaxed);
    if (pool->invoker->config.request_rate && reserved != 0) {
        enum sl_invoke__throttle reason = check_rates(pool->invoker, limit, reserved);
        if (reason != SL_THROTTLE_NONE) return reason;
    }
    struct sl_invoke__allotment *rest = reserved < 0 ? &limit->account->open : &limit->own;
    if (atomic_load_explicit(&pool->provisioned.capacity, memory_order_relaxed) && reserved && take(&pool->provisioned))
        invocation->allotment = &pool->provisioned;
    else if (take(rest))
        invocation->allotment = rest;
    else
        return reserved < 0 ? SL_THROTTLE_CONCURRENT : SL_THROTTLE_RESERVED;
    return SL_THROTTLE_NONE;
}

void sl_invoke__place_return(struct sl_invoke__allotment *allotment) {
    atomic_fetch_sub_explicit(&allotment->used, 1, memory_order_relaxed);
}

const char *const sl_invoke__throttle_names[SL_THROTTLES] = {
    [SL_THROTTLE_CONCURRENT] = "ConcurrentInvocationLimitExceeded",
    [SL_THROTTLE_RESERVED] = "ReservedFunctionConcurrentInvocationLimitExceeded",
    [SL_THROTTLE_RATE] = "FunctionInvocationRateLimitExceeded",
    [SL_THROTTLE_RESERVED_RATE] = "ReservedFunctionInvocationRateLimitExceeded",
    [SL_THROTTLE_CALLER_RATE] = "CallerRateLimitExceeded",
};

enum sl_invoke__throttle sl_invoke__rate_reason(const struct sl_invoke__pool *pool) {
    bool reserved = atomic_load_explicit(&pool->limit->reserved, memory_order_relaxed) >= 0;
    return reserved ? SL_THROTTLE_RESERVED_RATE : SL_THROTTLE_RATE;
}

// ---- the division (under publish_lock) ----------------------------------------------------------------------------

static int64_t at_least_0(int64_t value) { return value > 0 ? value : 0; }

void sl_invoke__limit_set(struct sl_invoker *invoker, struct sl_invoke__limit *limit, int64_t reserved,
                          int64_t provisioned) {
    int64_t committed = reserved >= 0 ? reserved : provisioned;
    struct sl_invoke__account *account = limit->account;
    account->committed += committed - limit->committed;
    limit->committed = committed;
    limit->provisioned = provisioned;
    atomic_store(&limit->own.capacity, at_least_0(reserved - provisioned));
    atomic_store(&limit->reserved, reserved);
    atomic_store(&account->open.capacity,
                 at_least_0((int64_t)invoker->config.account_concurrency - account->committed));
}

static struct sl_invoke__account *account_of(struct sl_invoker *invoker, const struct sl_function *function) {
    char key[256];
    int len = snprintf(key, sizeof key, "%.*s:%.*s", SL_FMT(function->account), SL_FMT(function->region));
    for (struct sl_invoke__account *account = invoker->accounts; account; account = account->next)
        if (strcmp(account->key, key) == 0) return account;
    struct sl_invoke__account *account = calloc(1, sizeof *account);
    if (!account || !(account->key = strndup(key, (size_t)len))) {
        free(account);
        return NULL;
    }
    atomic_init(&account->open.capacity, invoker->config.account_concurrency);
    account->next = invoker->accounts;
    invoker->accounts = account;
    return account;
}

// Where a limit of that key is, or would be put.
static struct sl_invoke__limit **place_of(const struct sl_invoker *invoker, struct sl_str key) {
    struct sl_invoke__limit **at = &invoker->limits[sl_invoke__hash(key) & (invoker->limit_chains - 1)];
    while (*at && !sl_str_is(key, (*at)->key)) at = &(*at)->next;
    return at;
}

// As many chains as limits at least, so that finding one costs the same however many functions there are.
static bool make_chains(struct sl_invoker *invoker) {
    if (invoker->limit_count < invoker->limit_chains) return true;
    size_t count = invoker->limit_chains ? 2 * invoker->limit_chains : CHAINS_START, old_count = invoker->limit_chains;
    struct sl_invoke__limit **old = invoker->limits, **chains = calloc(count, sizeof(struct sl_invoke__limit *));
    if (!chains) return old_count > 0; // longer chains will do
    invoker->limits = chains;
    invoker->limit_chains = count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct sl_invoke__limit *limit = old[i], *next; limit; limit = next) {
            next = limit->next;
            limit->next = NULL;
            *place_of(invoker, sl_str_of(limit->key)) = limit;
        }
    }
    free(old);
    return true;
}

struct sl_invoke__limit *sl_invoke__limit_of(struct sl_invoker *invoker, const struct sl_function *function) {
    char key[512];
    int len = snprintf(key, sizeof key, "%.*s:%.*s:%.*s", SL_FMT(function->account), SL_FMT(function->region),
                       SL_FMT(function->name));
    if (!make_chains(invoker)) return NULL;
    struct sl_invoke__limit **at = place_of(invoker, sl_str_of(key)), *limit = *at;
    if (limit) {
        atomic_fetch_add(&limit->references, 1);
        return limit;
    }
    limit = calloc(1, sizeof *limit);
    struct sl_invoke__account *account = limit ? account_of(invoker, function) : NULL;
    char *copy = account ? strndup(key, (size_t)len) : NULL;
    if (!copy) {
        free(limit);
        return NULL;
    }
    limit->key = copy;
    limit->account = account;
    atomic_init(&limit->references, 1);
    atomic_init(&limit->reserved, -1);
    *at = limit;
    invoker->limit_count++;
    return limit;
}

void sl_invoke__limit_unref(struct sl_invoker *invoker, struct sl_invoke__limit *limit) {
    if (!limit) return;
    pthread_mutex_lock(&invoker->publish_lock);
    if (atomic_fetch_sub(&limit->references, 1) == 1) {
        *place_of(invoker, sl_str_of(limit->key)) = limit->next;
        invoker->limit_count--;
        limit->account->committed -= limit->committed; // nothing, once its $LATEST is removed
        free(limit->key);
        free(limit);
    }
    pthread_mutex_unlock(&invoker->publish_lock);
}

void sl_invoke__limits_free(struct sl_invoker *invoker) {
    free(invoker->limits);
    for (struct sl_invoke__account *account = invoker->accounts, *next; account; account = next) {
        next = account->next;
        free(account->key);
        free(account);
    }
}
