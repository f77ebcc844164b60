// SPDX-License-Identifier: Apache-2.0
//
// registry: published function versions in an RCU hash table. Readers (loop threads) take no lock; the writer (the
// storage thread) replaces whole entries, and the old one is freed after a grace period and its last reference.
#include "invoke/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_MAX = 1024 * 1024 };

// ---- copies -----------------------------------------------------------------------------------------------------

static struct sl_str *copy_texts(struct sl_arena *arena, const struct sl_str *from, unsigned *count) {
    struct sl_str *to = sl_arena_alloc(arena, *count * sizeof(struct sl_str) + 1);
    if (!to) *count = 0;
    for (unsigned i = 0; i < *count; i++) to[i] = sl_arena_dup(arena, from[i]);
    return to;
}

static bool same_texts(const struct sl_str *a, unsigned a_count, const struct sl_str *b, unsigned b_count) {
    bool same = a_count == b_count;
    for (unsigned i = 0; same && i < a_count; i++) same = sl_str_eq(a[i], b[i]);
    return same;
}

void sl_invoke__copy_function(struct sl_function *to, const struct sl_function *from, struct sl_arena *arena) {
    *to = *from;
    struct sl_str *const views[] = {
        &to->account,    &to->region,       &to->name,        &to->version,    &to->arn,        &to->runtime,
        &to->handler,    &to->role,         &to->code_sha256, &to->code_path,  &to->directory,  &to->layers_sha256,
        &to->log_format, &to->log_level,    &to->log_group,   &to->policy,     &to->url_id,     &to->url_auth,
        &to->url_cors,   &to->architecture, &to->on_success,  &to->on_failure, &to->dead_letter};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) *views[i] = sl_arena_dup(arena, *views[i]);
    to->environment = copy_texts(arena, from->environment, &to->environment_count);
    to->command = copy_texts(arena, from->command, &to->command_count);
}

// Whether an instance started from `a` may serve `b`: everything the sandbox or the bootstrap sees is equal.
static bool same_instance(const struct sl_function *a, const struct sl_function *b) {
    if (!sl_str_eq(a->runtime, b->runtime) || !sl_str_eq(a->handler, b->handler) || !sl_str_eq(a->role, b->role) ||
        !sl_str_eq(a->code_sha256, b->code_sha256) || !sl_str_eq(a->layers_sha256, b->layers_sha256) ||
        !sl_str_eq(a->code_path, b->code_path) || !sl_str_eq(a->log_format, b->log_format) ||
        !sl_str_eq(a->log_level, b->log_level) || !sl_str_eq(a->log_group, b->log_group) ||
        a->memory_mb != b->memory_mb || a->timeout_ms != b->timeout_ms || a->tmp_mb != b->tmp_mb ||
        a->single_use != b->single_use || a->snap_start != b->snap_start || a->per_tenant != b->per_tenant ||
        !sl_str_eq(a->architecture, b->architecture) || a->image != b->image ||
        !sl_str_eq(a->directory, b->directory)) {
        return false;
    }
    return same_texts(a->command, a->command_count, b->command, b->command_count) &&
           same_texts(a->environment, a->environment_count, b->environment, b->environment_count);
}

// ---- keys and the hash table ------------------------------------------------------------------------------------

static struct sl_str make_key(char *out, size_t cap, struct sl_str account, struct sl_str region, struct sl_str name,
                              struct sl_str version) {
    if (!version.len) version = SL_STR("$LATEST");
    int len = snprintf(out, cap, "%.*s:%.*s:%.*s:%.*s", SL_FMT(account), SL_FMT(region), SL_FMT(name), SL_FMT(version));
    return len < 0 || (size_t)len >= cap ? SL_STR("") : sl_str_n(out, (size_t)len);
}

unsigned long sl_invoke__hash(struct sl_str key) {
    uint64_t value = 1469598103934665603u;
    for (size_t i = 0; i < key.len; i++) value = (value ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return (unsigned long)(value ^ value >> 29);
}

static int match_key(struct cds_lfht_node *node, const void *key) {
    return sl_str_is(*(const struct sl_str *)key, SL_CONTAINER(node, struct sl_invoke__entry, node)->key);
}

static int match_url(struct cds_lfht_node *node, const void *key) {
    return sl_str_eq(*(const struct sl_str *)key,
                     SL_CONTAINER(node, struct sl_invoke__entry, url_node)->function.url_id);
}

static struct cds_lfht_node *lookup(struct cds_lfht *table, struct sl_str key, cds_lfht_match_fct match) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table, sl_invoke__hash(key), match, &key, &iter);
    return cds_lfht_iter_get_node(&iter);
}

struct sl_invoke__entry *sl_invoke__entry_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                               struct sl_str name, struct sl_str version) {
    char text[512];
    struct sl_str key = make_key(text, sizeof text, account, region, name, version);
    struct cds_lfht_node *node = lookup(invoker->functions, key, match_key);
    return node ? SL_CONTAINER(node, struct sl_invoke__entry, node) : NULL;
}

const struct sl_function *sl_function_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str version) {
    struct sl_invoke__entry *entry = sl_invoke__entry_find(invoker, account, region, name, version);
    return entry ? &entry->function : NULL;
}

const struct sl_function *sl_function_find_url(struct sl_invoker *invoker, struct sl_str url_id) {
    struct cds_lfht_node *node = url_id.len ? lookup(invoker->urls, url_id, match_url) : NULL;
    return node ? &SL_CONTAINER(node, struct sl_invoke__entry, url_node)->function : NULL;
}

// ---- entries ----------------------------------------------------------------------------------------------------

void sl_invoke__entry_unref(struct sl_invoke__entry *entry) {
    if (atomic_fetch_sub(&entry->references, 1) != 1) return;
    struct sl_invoker *invoker = entry->pool->invoker;
    sl_invoke__limit_unref(invoker, entry->limit);
    sl_invoke__pool_unref(entry->pool);
    sl_arena_free(&entry->arena);
    free(entry->key);
    free(entry);
}

static void entry_reclaim(struct rcu_head *head) {
    sl_invoke__entry_unref(SL_CONTAINER(head, struct sl_invoke__entry, rcu));
}

static struct sl_invoke__entry *entry_new(struct sl_invoker *invoker, const struct sl_function *function,
                                          struct sl_invoke__entry *old, struct sl_error *err) {
    struct sl_invoke__entry *entry = calloc(1, sizeof *entry);
    char key[512];
    struct sl_str key_view =
        make_key(key, sizeof key, function->account, function->region, function->name, function->version);
    if (!entry || !(entry->key = strndup(key_view.ptr, key_view.len))) {
        free(entry);
        sl_fail(err, SL_E_NO_MEMORY, "no memory for a function");
        return NULL;
    }
    sl_arena_init(&entry->arena, ENTRY_MAX);
    sl_invoke__copy_function(&entry->function, function, &entry->arena);
    atomic_init(&entry->references, 1);
    if (invoker->config.single_use) entry->function.single_use = true;
    cds_lfht_node_init(&entry->node);
    cds_lfht_node_init(&entry->url_node);
    entry->limit = sl_invoke__limit_of(invoker, function);
    bool share = old && !atomic_load(&old->pool->retired) && same_instance(&old->pool->spec, &entry->function);
    if (share) {
        entry->pool = old->pool;
        atomic_fetch_add(&entry->pool->references, 1);
    } else {
        entry->pool = sl_invoke__pool_new(invoker, &entry->function, entry->limit);
    }
    if (!share && entry->pool && function->snap_start) {
        // A version that was there before has shown that it can be initialised.
        entry->pool->spec.snap_fresh = function->snap_fresh && !old;
        sl_invoke__snap_open(entry->pool);
    }
    if (!entry->pool || !entry->limit || sl_arena_failed(&entry->arena)) {
        sl_fail(err, SL_E_NO_MEMORY, "no memory for function %s", entry->key);
        return NULL; // leaks a few bytes in a process that is out of memory; unwinding half an entry would need more
                     // code than it saves
    }
    sl_invoke__used(entry, share ? old : NULL);
    entry->function.policy_generation = ++invoker->generation;
    entry->function.generation = share ? old->function.generation : invoker->generation;
    return entry;
}

// What the version's publication changes for its function's concurrency, and for instances that live on.
static void set_limits(struct sl_invoker *invoker, struct sl_invoke__entry *entry, const struct sl_invoke__entry *old) {
    const struct sl_function *function = &entry->function;
    struct sl_invoke__limit *limit = entry->limit;
    int64_t provisioned = limit->provisioned + function->provisioned - (old ? old->function.provisioned : 0);
    sl_invoke__limit_set(invoker, limit, function->reserved_concurrency, provisioned);
    int64_t idle_ms = function->idle_s ? (int64_t)function->idle_s * 1000 : invoker->config.idle_ms;
    int64_t max_age_ms = function->max_age_s ? (int64_t)function->max_age_s * 1000 : invoker->config.max_age_ms;
    sl_invoke__provision_set(entry->pool, function->provisioned);
    atomic_store(&entry->pool->idle_ms, idle_ms);
    atomic_store(&entry->pool->max_age_ms, max_age_ms);
}

static void unlink_entry(struct sl_invoker *invoker, struct sl_invoke__entry *entry) {
    cds_lfht_del(invoker->functions, &entry->node);
    if (entry->function.url_id.len) cds_lfht_del(invoker->urls, &entry->url_node);
}

int sl_invoke__publish(struct sl_invoker *invoker, const struct sl_function *function, struct sl_error *err) {
    pthread_mutex_lock(&invoker->publish_lock);
    struct sl_invoke__entry *old =
        sl_invoke__entry_find(invoker, function->account, function->region, function->name, function->version);
    struct sl_invoke__entry *entry = entry_new(invoker, function, old, err);
    if (entry) {
        set_limits(invoker, entry, old);
        // The new one is added before the old one goes, and lookups return the first match of a bucket: a reader that
        // meets both sees either, never none.
        struct sl_str key = sl_str_of(entry->key);
        cds_lfht_add(invoker->functions, sl_invoke__hash(key), &entry->node);
        if (entry->function.url_id.len)
            cds_lfht_add(invoker->urls, sl_invoke__hash(entry->function.url_id), &entry->url_node);
        if (old) unlink_entry(invoker, old);
    }
    pthread_mutex_unlock(&invoker->publish_lock);
    if (entry && old) {
        if (old->pool != entry->pool) sl_invoke__pool_retire(old->pool);
        if (old->function.code_path.len && !entry->function.code_path.len) sl_invoke__hot_forget(invoker);
        call_rcu(&old->rcu, entry_reclaim);
    }
    return entry ? 0 : err->kind;
}

int sl_function_publish(struct sl_invoker *invoker, const struct sl_function *function, struct sl_error *err) {
    sl_rcu_begin();
    int kind = sl_invoke__publish(invoker, function, err);
    sl_rcu_end();
    return kind;
}

void sl_function_remove(struct sl_invoker *invoker, struct sl_str account, struct sl_str region, struct sl_str name,
                        struct sl_str version) {
    sl_rcu_begin();
    pthread_mutex_lock(&invoker->publish_lock);
    struct sl_invoke__entry *old = sl_invoke__entry_find(invoker, account, region, name, version);
    if (old) {
        unlink_entry(invoker, old);
        // The function itself goes with its $LATEST.
        struct sl_invoke__limit *limit = old->limit;
        int64_t reserved = sl_str_is(old->function.version, "$LATEST") ? -1 : atomic_load(&limit->reserved);
        sl_invoke__limit_set(invoker, limit, reserved, limit->provisioned - old->function.provisioned);
    }
    pthread_mutex_unlock(&invoker->publish_lock);
    if (old) {
        sl_invoke__pool_retire(old->pool);
        if (old->function.code_path.len) sl_invoke__hot_forget(invoker);
        call_rcu(&old->rcu, entry_reclaim);
    }
    sl_rcu_end();
}
