// SPDX-License-Identifier: Apache-2.0
//
// alias: published aliases in RCU hash tables, by name and by the id of their URL (see alias.h). The writer replaces
// whole objects; the old one is freed after a grace period.
#include "invoke/alias.h"

#include "base/id.h"
#include "invoke/internal.h"
#include "net/rcu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = 512, ALIAS_MAX = 256 * 1024 };

// Aliases count their generations apart from functions; callers that cache decisions by generation never mix them up.
#define FIRST_GENERATION (UINT64_C(1) << 60)

struct entry {
    struct sl_alias alias;
    struct sl_arena arena;
    struct sl_str key;
    struct cds_lfht_node by_name, by_url;
    struct rcu_head rcu;
};

static struct cds_lfht *names, *urls;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t generation = FIRST_GENERATION; // writer only

static void make_tables(void) {
    names = cds_lfht_new(64, 64, 0, CDS_LFHT_AUTO_RESIZE, NULL);
    urls = cds_lfht_new(64, 64, 0, CDS_LFHT_AUTO_RESIZE, NULL);
}

static bool ready(void) {
    pthread_once(&once, make_tables);
    return names && urls;
}

static struct sl_str make_key(char out[static KEY_MAX], struct sl_str account, struct sl_str region, struct sl_str name,
                              struct sl_str alias) {
    int len =
        snprintf(out, KEY_MAX, "%.*s:%.*s:%.*s:%.*s", SL_FMT(account), SL_FMT(region), SL_FMT(name), SL_FMT(alias));
    return len < 0 || len >= KEY_MAX ? SL_STR("") : sl_str_n(out, (size_t)len);
}

static int match_name(struct cds_lfht_node *node, const void *key) {
    return sl_str_eq(*(const struct sl_str *)key, SL_CONTAINER(node, struct entry, by_name)->key);
}

static int match_url(struct cds_lfht_node *node, const void *key) {
    return sl_str_eq(*(const struct sl_str *)key, SL_CONTAINER(node, struct entry, by_url)->alias.face.url_id);
}

static struct cds_lfht_node *lookup(struct cds_lfht *table, struct sl_str key, cds_lfht_match_fct match) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table, sl_invoke__hash(key), match, &key, &iter);
    return cds_lfht_iter_get_node(&iter);
}

static struct entry *find(struct sl_str account, struct sl_str region, struct sl_str name, struct sl_str alias) {
    char text[KEY_MAX];
    struct sl_str key = make_key(text, account, region, name, alias);
    struct cds_lfht_node *node = key.len > 0 && ready() ? lookup(names, key, match_name) : NULL;
    return node ? SL_CONTAINER(node, struct entry, by_name) : NULL;
}

const struct sl_alias *sl_alias_find(struct sl_str account, struct sl_str region, struct sl_str name,
                                     struct sl_str alias) {
    struct entry *entry = find(account, region, name, alias);
    return entry ? &entry->alias : NULL;
}

// --- writing
// ---------------------------------------------------------------------------------------------------------------------

static void free_entry(struct entry *entry) {
    sl_arena_free(&entry->arena);
    free(entry);
}

static void reclaim(struct rcu_head *head) { free_entry(SL_CONTAINER(head, struct entry, rcu)); }

static struct entry *new_entry(const struct sl_alias *from) {
    struct entry *entry = calloc(1, sizeof(*entry));
    char text[KEY_MAX];
    if (!entry) return NULL;
    struct sl_arena *arena = &entry->arena;
    struct sl_function *face = &entry->alias.face;
    sl_arena_init(arena, ALIAS_MAX);
    entry->alias = *from;
    struct sl_str *const views[] = {&face->account,
                                    &face->region,
                                    &face->name,
                                    &face->version,
                                    &face->arn,
                                    &face->policy,
                                    &face->url_id,
                                    &face->url_auth,
                                    &face->url_cors,
                                    &face->on_success,
                                    &face->on_failure,
                                    &entry->alias.versions[0],
                                    &entry->alias.versions[1]};
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) *views[i] = sl_arena_dup(arena, *views[i]);
    entry->key = sl_arena_dup(arena, make_key(text, face->account, face->region, face->name, face->version));
    face->policy_generation = ++generation;
    cds_lfht_node_init(&entry->by_name);
    cds_lfht_node_init(&entry->by_url);
    if (!sl_arena_failed(arena) && entry->key.len > 0) return entry;
    free_entry(entry);
    return NULL;
}

static void unlink_entry(struct entry *entry) {
    cds_lfht_del(names, &entry->by_name);
    if (entry->alias.face.url_id.len > 0) cds_lfht_del(urls, &entry->by_url);
    call_rcu(&entry->rcu, reclaim);
}

int sl_alias_publish(const struct sl_alias *alias, struct sl_error *err) {
    const struct sl_function *face = &alias->face;
    struct entry *entry = ready() ? new_entry(alias) : NULL;
    if (!entry) return sl_fail(err, SL_E_NO_MEMORY, "no memory for alias %.*s", SL_FMT(face->arn));
    sl_rcu_begin();
    struct entry *old = find(face->account, face->region, face->name, face->version);
    // Added before the old one goes: a reader that meets both sees either, never none.
    cds_lfht_add(names, sl_invoke__hash(entry->key), &entry->by_name);
    if (entry->alias.face.url_id.len > 0) cds_lfht_add(urls, sl_invoke__hash(entry->alias.face.url_id), &entry->by_url);
    if (old) unlink_entry(old);
    sl_rcu_end();
    return 0;
}

void sl_alias_remove(struct sl_str account, struct sl_str region, struct sl_str name, struct sl_str alias) {
    sl_rcu_begin();
    struct entry *old = find(account, region, name, alias);
    if (old) unlink_entry(old);
    sl_rcu_end();
}

// --- reading
// ---------------------------------------------------------------------------------------------------------------------

struct sl_str sl_alias_resolve(struct sl_arena *arena, struct sl_str account, struct sl_str region, struct sl_str name,
                               struct sl_str qualifier) {
    const struct sl_alias *alias = qualifier.len > 0 ? sl_alias_find(account, region, name, qualifier) : NULL;
    if (!alias) return qualifier;
    uint32_t random = 0;
    if (alias->versions[1].len > 0) sl_random_bytes(&random, sizeof(random));
    bool second = alias->versions[1].len > 0 && (double)random < alias->weight * 4294967296.0;
    return sl_arena_dup(arena, alias->versions[second ? 1 : 0]);
}

const struct sl_function *sl_callable_find(struct sl_invoker *invoker, struct sl_str account, struct sl_str region,
                                           struct sl_str name, struct sl_str qualifier) {
    const struct sl_function *function = sl_function_find(invoker, account, region, name, qualifier);
    if (function || qualifier.len == 0) return function;
    const struct sl_alias *alias = sl_alias_find(account, region, name, qualifier);
    return alias ? &alias->face : NULL;
}

const struct sl_function *sl_callable_find_url(struct sl_invoker *invoker, struct sl_str url_id) {
    const struct sl_function *function = sl_function_find_url(invoker, url_id);
    if (function || url_id.len == 0 || !ready()) return function;
    struct cds_lfht_node *node = lookup(urls, url_id, match_url);
    return node ? &SL_CONTAINER(node, struct entry, by_url)->alias.face : NULL;
}
