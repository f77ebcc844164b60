// SPDX-License-Identifier: Apache-2.0
//
// identity: the directory of identity.h: an RCU hash table of immutable documents. A writer builds the new entry with
// an arena of its own, swaps it in, and leaves the old one to liburcu, which frees it when no reader can have it.
#include "aws/identity.h"

#include "net/loop.h"
#include "net/rcu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_MAX = 16 * 1024 * 1024, BUCKETS = 64 };

struct sl_directory {
    struct cds_lfht *table;
    pthread_mutex_t writer; // writers are few, and none is a loop thread
    atomic_uint keys;
};

struct entry {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    struct sl_str key;
    struct sl_json *document;
    struct sl_arena arena;
};

// FNV-1a: keys are made by who administers the server.
static unsigned long hash(struct sl_str key) {
    uint64_t value = 1469598103934665603u;
    for (size_t i = 0; i < key.len; i++) value = (value ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return (unsigned long)(value ^ value >> 29);
}

static int match(struct cds_lfht_node *node, const void *key) {
    return sl_str_eq(*(const struct sl_str *)key, SL_CONTAINER(node, struct entry, node)->key);
}

static void entry_free(struct rcu_head *head) {
    struct entry *entry = SL_CONTAINER(head, struct entry, rcu);
    sl_arena_free(&entry->arena);
    free(entry);
}

int sl_directory_new(struct sl_directory **ret, struct sl_error *err) {
    struct sl_directory *directory = calloc(1, sizeof *directory);
    if (directory) directory->table = cds_lfht_new(BUCKETS, BUCKETS, 0, CDS_LFHT_AUTO_RESIZE, NULL);
    if (!directory || !directory->table) {
        free(directory);
        return sl_fail(err, SL_E_NO_MEMORY, "no memory for the directory of callers");
    }
    pthread_mutex_init(&directory->writer, NULL);
    *ret = directory;
    return 0;
}

void sl_directory_free(struct sl_directory *directory) {
    if (!directory) return;
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    sl_rcu_begin();
    cds_lfht_for_each(directory->table, &iter, node) {
        cds_lfht_del(directory->table, node);
        call_rcu(&SL_CONTAINER(node, struct entry, node)->rcu, entry_free);
    }
    sl_rcu_end();
    rcu_barrier();
    cds_lfht_destroy(directory->table, NULL);
    pthread_mutex_destroy(&directory->writer);
    free(directory);
}

static bool is_key(struct sl_str key) { return sl_str_starts(key, SL_STR("key/")); }

int sl_directory_put(struct sl_directory *directory, struct sl_str key, struct sl_str document, struct sl_error *err) {
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry) return sl_fail(err, SL_E_NO_MEMORY, "no memory for the directory of callers");
    sl_arena_init(&entry->arena, ENTRY_MAX);
    cds_lfht_node_init(&entry->node);
    entry->key = sl_arena_dup(&entry->arena, key);
    struct sl_str text = sl_arena_dup(&entry->arena, document);
    int result = sl_arena_failed(&entry->arena) ? sl_fail(err, SL_E_NO_MEMORY, "no memory for the directory of callers")
                                                : sl_json_parse(&entry->arena, text, &entry->document, err);
    if (result) {
        entry_free(&entry->rcu);
        return result;
    }
    pthread_mutex_lock(&directory->writer);
    sl_rcu_begin();
    struct cds_lfht_node *old =
        cds_lfht_add_replace(directory->table, hash(entry->key), match, &entry->key, &entry->node);
    if (old)
        call_rcu(&SL_CONTAINER(old, struct entry, node)->rcu, entry_free);
    else if (is_key(key))
        atomic_fetch_add(&directory->keys, 1);
    sl_rcu_end();
    pthread_mutex_unlock(&directory->writer);
    return 0;
}

static struct cds_lfht_node *lookup(struct sl_directory *directory, struct sl_str key) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(directory->table, hash(key), match, &key, &iter);
    return cds_lfht_iter_get_node(&iter);
}

void sl_directory_remove(struct sl_directory *directory, struct sl_str key) {
    pthread_mutex_lock(&directory->writer);
    sl_rcu_begin();
    struct cds_lfht_node *node = lookup(directory, key);
    if (node && cds_lfht_del(directory->table, node) == 0) {
        call_rcu(&SL_CONTAINER(node, struct entry, node)->rcu, entry_free);
        if (is_key(key)) atomic_fetch_sub(&directory->keys, 1);
    }
    sl_rcu_end();
    pthread_mutex_unlock(&directory->writer);
}

const struct sl_json *sl_directory_find(struct sl_directory *directory, struct sl_str key) {
    struct cds_lfht_node *node = lookup(directory, key);
    return node ? SL_CONTAINER(node, struct entry, node)->document : NULL;
}

const struct sl_json *sl_directory_get(struct sl_directory *directory, const char *kind, struct sl_str account,
                                       struct sl_str name) {
    char key[SL_DIRECTORY_KEY_MAX];
    int len = name.ptr ? snprintf(key, sizeof key, "%s/%.*s/%.*s", kind, SL_FMT(account), SL_FMT(name))
                       : snprintf(key, sizeof key, "%s/%.*s", kind, SL_FMT(account));
    if (len < 0 || (size_t)len >= sizeof key) return NULL;
    return sl_directory_find(directory, sl_str_n(key, (size_t)len));
}

unsigned sl_directory_key_count(const struct sl_directory *directory) { return atomic_load(&directory->keys); }

// A turn of a loop is a read section already.
void sl_directory_enter(void) {
    if (!sl_loop_current()) sl_rcu_begin();
}

void sl_directory_leave(void) {
    if (!sl_loop_current()) sl_rcu_end();
}
