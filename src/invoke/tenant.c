// SPDX-License-Identifier: Apache-2.0
//
// tenant: the life of pools, and the pools of tenants. A function with TenantIsolationMode PER_TENANT has, under the
// pool of each version, one pool for each tenant that has an instance or a waiting invocation; what is in one pool
// never serves another's invocations, so nothing else has to know of tenants. A tenant's pool is made by its first
// invocation and goes with its last instance: nothing is kept for tenants that are not there.
//
// The table of a parent refers to its children without holding them; a child holds its parent. A child whose last
// reference is gone may still be found: then it is as if it were not there.
#include "invoke/internal.h"

#include <stdlib.h>

enum { POOL_MAX = 1024 * 1024, BUCKETS = 512 };

struct sl_invoke__tenants {
    pthread_mutex_t lock;
    struct sl_invoke__pool *buckets[BUCKETS]; // linked by tenant_next
};

// ---- pools ------------------------------------------------------------------------------------------------------

static struct sl_invoke__pool *new_pool(struct sl_invoker *invoker, struct sl_invoke__limit *limit) {
    struct sl_invoke__pool *pool =
        calloc(1, sizeof *pool + invoker->config.loop_count * sizeof(struct sl_invoke__shard));
    if (!pool) return NULL;
    pool->invoker = invoker;
    atomic_init(&pool->references, 1);
    for (unsigned i = 0; i < invoker->config.loop_count; i++) pool->shards[i].pool = pool;
    sl_arena_init(&pool->arena, POOL_MAX);
    pool->limit = limit;
    atomic_fetch_add(&limit->references, 1);
    return pool;
}

static struct sl_invoke__tenants *new_tenants(void) {
    struct sl_invoke__tenants *tenants = calloc(1, sizeof *tenants);
    if (tenants) pthread_mutex_init(&tenants->lock, NULL);
    return tenants;
}

struct sl_invoke__pool *sl_invoke__pool_new(struct sl_invoker *invoker, const struct sl_function *function,
                                            struct sl_invoke__limit *limit) {
    struct sl_invoke__pool *pool = new_pool(invoker, limit);
    if (!pool) return NULL;
    sl_invoke__copy_function(&pool->spec, function, &pool->arena);
    pool->tenants = function->per_tenant ? new_tenants() : NULL;
    if (!sl_arena_failed(&pool->arena) && (pool->tenants || !function->per_tenant)) return pool;
    atomic_fetch_sub(&limit->references, 1); // not the last one: the caller has its own, and may hold publish_lock
    sl_arena_free(&pool->arena);
    free(pool->tenants);
    free(pool);
    return NULL;
}

struct sl_invoke__pool *sl_invoke__pool_ref(struct sl_invoke__pool *pool) {
    atomic_fetch_add(&pool->references, 1);
    return pool;
}

// FNV-1a. Who may choose tenant ids may choose colliding ones: their own function's table gets slow.
static unsigned bucket_of(struct sl_str tenant) {
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < tenant.len; i++) value = (value ^ (unsigned char)tenant.ptr[i]) * 16777619u;
    return (value ^ value >> 16) % BUCKETS;
}

static void leave_parent(struct sl_invoke__pool *pool) {
    struct sl_invoke__tenants *tenants = pool->parent->tenants;
    pthread_mutex_lock(&tenants->lock);
    struct sl_invoke__pool **at = &tenants->buckets[bucket_of(pool->tenant)];
    while (*at != pool) at = &(*at)->tenant_next;
    *at = pool->tenant_next;
    pthread_mutex_unlock(&tenants->lock);
}

void sl_invoke__pool_unref(struct sl_invoke__pool *pool) {
    if (atomic_fetch_sub(&pool->references, 1) != 1) return;
    struct sl_invoke__pool *parent = pool->parent;
    if (parent) leave_parent(pool);
    for (unsigned i = 0; i < pool->invoker->config.loop_count; i++) sl_invoke__meter_drop(&pool->shards[i]);
    sl_invoke__limit_unref(pool->invoker, pool->limit);
    sl_invoke__snap_free(pool);
    if (pool->tenants) pthread_mutex_destroy(&pool->tenants->lock);
    free(pool->tenants);
    sl_arena_free(&pool->arena);
    free(pool);
    if (parent) sl_invoke__pool_unref(parent);
}

// ---- tenants ----------------------------------------------------------------------------------------------------

// A reference, unless the last one is gone already.
static bool ref_living(struct sl_invoke__pool *pool) {
    unsigned count = atomic_load(&pool->references);
    while (count && !atomic_compare_exchange_weak(&pool->references, &count, count + 1)) {}
    return count > 0;
}

static struct sl_invoke__pool *new_child(struct sl_invoke__pool *parent, struct sl_str tenant) {
    struct sl_invoke__pool *pool = new_pool(parent->invoker, parent->limit);
    if (!pool) return NULL;
    pool->spec = parent->spec; // its strings are the parent's
    pool->tenant = sl_arena_dup(&pool->arena, tenant);
    atomic_init(&pool->retired, atomic_load(&parent->retired));
    pool->parent = sl_invoke__pool_ref(parent);
    return pool;
}

struct sl_invoke__pool *sl_invoke__tenant_pool(struct sl_invoke__pool *parent, struct sl_str tenant) {
    struct sl_invoke__tenants *tenants = parent->tenants;
    pthread_mutex_lock(&tenants->lock);
    struct sl_invoke__pool **first = &tenants->buckets[bucket_of(tenant)], *pool = *first;
    while (pool && !(sl_str_eq(pool->tenant, tenant) && ref_living(pool))) pool = pool->tenant_next;
    if (!pool && (pool = new_child(parent, tenant))) {
        pool->tenant_next = *first;
        *first = pool;
    }
    pthread_mutex_unlock(&tenants->lock);
    return pool;
}

static struct sl_invoke__pool *next_living(struct sl_invoke__tenants *tenants, unsigned bucket) {
    pthread_mutex_lock(&tenants->lock);
    struct sl_invoke__pool *pool = tenants->buckets[bucket];
    while (pool && (atomic_load(&pool->retired) || !ref_living(pool))) pool = pool->tenant_next;
    pthread_mutex_unlock(&tenants->lock);
    return pool;
}

void sl_invoke__tenants_retire(struct sl_invoke__pool *parent) {
    struct sl_invoke__pool *pool;
    if (!parent->tenants) return;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        while ((pool = next_living(parent->tenants, bucket))) {
            sl_invoke__pool_retire(pool);
            sl_invoke__pool_unref(pool);
        }
    }
}
