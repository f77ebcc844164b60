// SPDX-License-Identifier: Apache-2.0
//
// provision: instances kept ready for a version's provisioned concurrency. Publication sets how many
// (sl_invoke__provision_set, storage thread); each loop keeps a share of them: it starts what is missing, a few at a
// time, and stops what is too much, when a letter says that something changed and with each of its sweeps. So what
// dies, crashes or grows old is replaced, and a failed init is tried again, later and later.
//
// Such an instance is started with AWS_LAMBDA_INITIALIZATION_TYPE=provisioned-concurrency, has AWS's longer limit for
// its init, is never evicted and not stopped for being idle. Calls take it before one on demand; when all are busy they
// spill over to instances on demand.
//
// Who counts: shard->provisioned and provisioned_ready belong to the shard that started the instance (instance->home),
// wherever the instance is by now.
#include "invoke/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    STARTING_MAX = 8, // per version and loop, at a time
    INIT_MS = 130000, // "130 seconds or the configured function timeout, whichever is higher" (developer guide)
    RETRY_MIN_MS = 500,
    RETRY_MAX_MS = 60000,
};

// ---- the list of versions that have some ----------------------------------------------------------------------------

static void wake_loops(struct sl_invoker *invoker);

static bool list_add(struct sl_invoker *invoker, struct sl_invoke__pool *pool) {
    for (unsigned i = 0; i < invoker->provisioned_count; i++)
        if (invoker->provisioned_pools[i] == pool) return true;
    if (invoker->provisioned_count == invoker->provisioned_room) {
        unsigned room = invoker->provisioned_room ? 2 * invoker->provisioned_room : 16;
        void *grown = realloc(invoker->provisioned_pools, room * sizeof(struct sl_invoke__pool *));
        if (!grown) return false;
        invoker->provisioned_pools = grown;
        invoker->provisioned_room = room;
    }
    invoker->provisioned_pools[invoker->provisioned_count++] = sl_invoke__pool_ref(pool);
    return true;
}

void sl_invoke__provision_set(struct sl_invoke__pool *pool, unsigned wanted) {
    struct sl_invoker *invoker = pool->invoker;
    int64_t old = atomic_exchange(&pool->provisioned.capacity, (int64_t)wanted);
    if (old == (int64_t)wanted) return;
    if (old < (int64_t)wanted) atomic_store(&pool->provision_retry_ns, 0);
    pthread_mutex_lock(&invoker->provision_lock);
    bool listed = list_add(invoker, pool);
    pthread_mutex_unlock(&invoker->provision_lock);
    if (!listed) sl_log_error("invoke", "no memory to provision %.*s", SL_FMT(pool->spec.name));
    wake_loops(invoker);
}

// One that has none any more leaves the list.
static void list_clean(struct sl_invoker *invoker) {
    for (unsigned i = 0; i < invoker->provisioned_count;) {
        struct sl_invoke__pool *pool = invoker->provisioned_pools[i];
        unsigned left = 0;
        for (unsigned loop = 0; loop < invoker->config.loop_count; loop++)
            left += atomic_load(&pool->shards[loop].provisioned);
        if (left || (atomic_load(&pool->provisioned.capacity) && !atomic_load(&pool->retired))) {
            i++;
            continue;
        }
        invoker->provisioned_pools[i] = invoker->provisioned_pools[--invoker->provisioned_count];
        sl_invoke__pool_unref(pool);
    }
}

static struct sl_invoke__pool *list_at(struct sl_invoker *invoker, unsigned index) {
    pthread_mutex_lock(&invoker->provision_lock);
    struct sl_invoke__pool *pool =
        index < invoker->provisioned_count ? sl_invoke__pool_ref(invoker->provisioned_pools[index]) : NULL;
    pthread_mutex_unlock(&invoker->provision_lock);
    return pool;
}

void sl_invoke__provision_free(struct sl_invoker *invoker) {
    for (unsigned i = 0; i < invoker->provisioned_count; i++) sl_invoke__pool_unref(invoker->provisioned_pools[i]);
    free(invoker->provisioned_pools);
    invoker->provisioned_count = 0;
}

// ---- keeping the share ---------------------------------------------------------------------------------------------

static unsigned share_of(struct sl_invoke__pool *pool, unsigned loop) {
    unsigned count = pool->invoker->config.loop_count;
    unsigned wanted = (unsigned)atomic_load(&pool->provisioned.capacity);
    if (atomic_load(&pool->retired) || atomic_load(&pool->invoker->draining)) return 0;
    return wanted / count + (loop < wanted % count);
}

static void failed(struct sl_invoke__pool *pool, const char *reason) {
    unsigned failures = atomic_fetch_add(&pool->provision_failures, 1);
    int64_t wait_ms = failures < 8 ? (int64_t)RETRY_MIN_MS << failures : RETRY_MAX_MS;
    if (wait_ms > RETRY_MAX_MS) wait_ms = RETRY_MAX_MS;
    atomic_store(&pool->provision_reason, reason);
    atomic_store(&pool->provision_retry_ns, sl_clock_mono_ns() + wait_ms * 1000000);
}

static bool start(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__loop *here = &pool->invoker->loops[loop];
    struct sl_error err;
    const struct sl_invoke__start how = {.loop = here->loop, .charge = sl_invoke__charge_of(pool), .provisioned = true};
    if (!sl_invoke__room_take(pool->invoker, how.charge)) {
        sl_invoke__room_make(here, how.charge);
        atomic_store(&pool->provision_reason, "INSUFFICIENT_CAPACITY");
        return false; // the next sweep tries again
    }
    (void)sl_invoke__start_take(pool); // for the balance: provisioning has a rate of its own
    if (sl_invoke__instance_start(pool, &how, &err) == 0) return true;
    sl_log_warn("invoke", "provision %.*s: %s", SL_FMT(pool->spec.name), err.message);
    failed(pool, "INTERNAL_ERROR");
    return false;
}

static void keep_share(struct sl_invoke__pool *pool, unsigned loop) {
    struct sl_invoke__shard *shard = &pool->shards[loop];
    unsigned share = share_of(pool, loop);
    for (struct sl_instance *instance = shard->idle[SL_PROVISIONED], *next; instance; instance = next) {
        next = instance->next;
        if (!sl_invoke__provision_surplus(instance)) continue;
        sl_invoke__pool_leave_idle(instance);
        sl_invoke__instance_stop(instance);
    }
    while (atomic_load(&shard->provisioned) < share &&
           atomic_load(&shard->provisioned) - atomic_load(&shard->provisioned_ready) < STARTING_MAX &&
           sl_clock_mono_ns() >= atomic_load(&pool->provision_retry_ns)) {
        if (!start(pool, loop)) return;
    }
}

void sl_invoke__provision(struct sl_invoke__loop *here) {
    struct sl_invoker *invoker = here->invoker;
    struct sl_invoke__pool *pool;
    if (!atomic_load(&invoker->provisioned_count)) return; // a letter follows each addition
    for (unsigned i = 0; (pool = list_at(invoker, i)); i++) {
        keep_share(pool, (unsigned)sl_loop_index(here->loop));
        sl_invoke__pool_unref(pool);
    }
    pthread_mutex_lock(&invoker->provision_lock);
    list_clean(invoker);
    pthread_mutex_unlock(&invoker->provision_lock);
}

void sl_invoke__provision_meter(struct sl_invoke__loop *here, int64_t ms) {
    struct sl_invoke__pool *pool;
    for (unsigned i = 0; (pool = list_at(here->invoker, i)); i++) {
        unsigned ready = atomic_load(&pool->shards[sl_loop_index(here->loop)].provisioned_ready);
        sl_invoke__meter_kept(here, pool, ready, ms);
        sl_invoke__pool_unref(pool);
    }
}

static void woken(struct sl_mail *mail) {
    struct sl_invoke__loop *here = SL_CONTAINER(mail, struct sl_invoke__loop, provision_mail);
    atomic_store(&here->provision_sent, false);
    sl_invoke__provision(here);
}

static void wake(struct sl_invoke__loop *loop) {
    if (!atomic_exchange(&loop->provision_sent, true)) sl_loop_post(loop->loop, &loop->provision_mail, woken);
}

static void wake_loops(struct sl_invoker *invoker) {
    for (unsigned i = 0; i < invoker->config.loop_count; i++) wake(&invoker->loops[i]);
}

// ---- the instances -------------------------------------------------------------------------------------------------

int64_t sl_invoke__init_limit_ms(const struct sl_instance *instance) {
    if (!instance->provisioned && !instance->pool->snap) return instance->invoker->config.init_ms;
    return instance->pool->spec.timeout_ms > INIT_MS ? instance->pool->spec.timeout_ms : INIT_MS;
}

bool sl_invoke__provision_surplus(const struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    return instance->provisioned && !instance->surplus &&
           atomic_load(&pool->shards[instance->home].provisioned) > share_of(pool, instance->home);
}

void sl_invoke__provision_started(struct sl_instance *instance) {
    instance->home = (unsigned)sl_loop_index(instance->loop);
    atomic_fetch_add(&instance->pool->shards[instance->home].provisioned, 1);
}

void sl_invoke__provision_ready(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    atomic_fetch_add(&pool->shards[instance->home].provisioned_ready, 1);
    atomic_store(&pool->provision_failures, 0);
    atomic_store(&pool->provision_reason, NULL);
    wake(&pool->invoker->loops[instance->home]); // the next ones
}

void sl_invoke__provision_init_failed(struct sl_instance *instance) {
    failed(instance->pool, "FUNCTION_ERROR_INIT_FAILURE");
}

// It stops, or has ended by itself: another one takes its place.
void sl_invoke__provision_gone(struct sl_instance *instance) {
    struct sl_invoke__pool *pool = instance->pool;
    struct sl_invoke__shard *home = &pool->shards[instance->home];
    if (!instance->provisioned || instance->surplus) return;
    instance->surplus = true;
    if (instance->seen_ready) atomic_fetch_sub(&home->provisioned_ready, 1);
    atomic_fetch_sub(&home->provisioned, 1);
    wake(&pool->invoker->loops[instance->home]);
}

// ---- what is said about it -----------------------------------------------------------------------------------------

bool sl_invoker_provisioned(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                            struct sl_str version, struct sl_provisioned *ret) {
    *ret = (struct sl_provisioned){0};
    sl_rcu_begin();
    const struct sl_invoke__entry *entry = sl_invoke__entry_find(invoker, account, region, name, version);
    if (entry) {
        struct sl_invoke__pool *pool = entry->pool;
        ret->wanted = (unsigned)atomic_load(&pool->provisioned.capacity);
        for (unsigned i = 0; i < invoker->config.loop_count; i++)
            ret->ready += atomic_load(&pool->shards[i].provisioned_ready);
        if (ret->ready < ret->wanted) ret->failure = atomic_load(&pool->provision_reason);
    }
    sl_rcu_end();
    return entry != NULL;
}
