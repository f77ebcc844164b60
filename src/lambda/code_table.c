// SPDX-License-Identifier: Apache-2.0
//
// code_table: who uses which blob of code. Two hash tables: blobs by SHA-256, with the number of their owners and pins;
// owners (a version of a function, a version of a layer) by name, each with its blob. Control-plane operations look
// here, so nothing is searched; both tables grow with what is published.
//
// A blob without owners and pins is an orphan from that moment on. Orphans are kept in the table until the sweep that
// deletes their files (code.c), because busy instances may still read them.
//
// Threads: worker threads, the storage thread, loop threads; one mutex. If a row cannot be made for want of memory, a
// used blob would look unused: then nothing is deleted any more in this process (`blind`).
#include "lambda/code_table.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 256 };

struct node {
    struct node *next;
    char *key; // malloc'ed
};

struct table {
    struct node **buckets;
    size_t count, size; // size: a power of two, or 0
};

struct blob {
    struct node node; // key: SHA-256
    unsigned owners, pins;
    int64_t since_ms; // of an orphan
};

struct owner {
    struct node node; // key: its name
    struct blob *blob;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct table blobs, owners;
static int64_t oldest_ms = INT64_MAX; // no orphan is older
static bool blind;

// --- a table (with `lock` held)
// ---------------------------------------------------------------------------------------

// FNV-1a. Names are those of operators' own functions.
static size_t hash(struct sl_str key) {
    uint64_t value = 1469598103934665603u;
    for (size_t i = 0; i < key.len; i++) value = (value ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return (size_t)(value ^ value >> 29);
}

static struct node **place_of(const struct table *table, struct sl_str key) {
    struct node **at = &table->buckets[hash(key) & (table->size - 1)];
    while (*at && !sl_str_is(key, (*at)->key)) at = &(*at)->next;
    return at;
}

static struct node *find(const struct table *table, struct sl_str key) {
    return table->size > 0 ? *place_of(table, key) : NULL;
}

static bool grow(struct table *table) {
    size_t size = table->size > 0 ? table->size * 2 : BUCKETS_FIRST;
    struct table grown = {.buckets = calloc(size, sizeof(*grown.buckets)), .count = table->count, .size = size};
    if (!grown.buckets) return table->size > 0; // a full table is slower, not wrong
    for (size_t i = 0; i < table->size; i++)
        for (struct node *node = table->buckets[i], *next; node; node = next) {
            next = node->next;
            node->next = NULL;
            *place_of(&grown, sl_str_of(node->key)) = node;
        }
    free(table->buckets);
    *table = grown;
    return true;
}

// A zeroed node of `bytes` under the key; NULL when memory is short.
static void *add(struct table *table, struct sl_str key, size_t bytes) {
    if (table->count >= table->size && !grow(table)) return NULL;
    struct node *node = calloc(1, bytes);
    char *copy = node ? strndup(key.ptr, key.len) : NULL;
    if (!copy) {
        free(node);
        return NULL;
    }
    node->key = copy;
    *place_of(table, key) = node;
    table->count++;
    return node;
}

static void drop(struct table *table, struct node *node) {
    struct node **at = place_of(table, sl_str_of(node->key));
    *at = node->next;
    table->count--;
    free(node->key);
    free(node);
}

// --- blobs (with `lock` held)
// -----------------------------------------------------------------------------------------

static struct blob *blob_of(struct sl_str sha256) {
    struct blob *blob = (struct blob *)find(&blobs, sha256);
    return blob ? blob : add(&blobs, sha256, sizeof(struct blob));
}

static void left(struct blob *blob) {
    if (blob->owners > 0 || blob->pins > 0) return;
    blob->since_ms = sl_clock_ms();
    if (blob->since_ms < oldest_ms) oldest_ms = blob->since_ms;
}

static bool is_wanted(const struct blob *blob, int64_t orphaned_before) {
    return blob->owners > 0 || blob->pins > 0 || blob->since_ms > orphaned_before;
}

// --- what the others ask
// ----------------------------------------------------------------------------------------------

void sl_lambda__code_use(struct sl_str name, struct sl_str sha256) {
    pthread_mutex_lock(&lock);
    struct owner *owner = (struct owner *)find(&owners, name);
    struct blob *blob = blob_of(sha256);
    if (!owner) owner = add(&owners, name, sizeof(*owner));
    if (!owner || !blob) {
        blind = true;
    } else if (owner->blob != blob) {
        struct blob *old = owner->blob;
        owner->blob = blob;
        blob->owners++;
        if (old) {
            old->owners--;
            left(old);
        }
    }
    pthread_mutex_unlock(&lock);
}

void sl_lambda__code_unuse(struct sl_str name) {
    pthread_mutex_lock(&lock);
    struct owner *owner = (struct owner *)find(&owners, name);
    if (owner) {
        struct blob *blob = owner->blob;
        drop(&owners, &owner->node);
        if (blob) {
            blob->owners--;
            left(blob);
        }
    }
    pthread_mutex_unlock(&lock);
}

bool sl_lambda__code_pin(struct sl_str sha256) {
    pthread_mutex_lock(&lock);
    struct blob *blob = blob_of(sha256);
    if (blob) blob->pins++;
    pthread_mutex_unlock(&lock);
    return blob != NULL;
}

void sl_lambda__code_release(struct sl_str sha256) {
    pthread_mutex_lock(&lock);
    struct blob *blob = (struct blob *)find(&blobs, sha256);
    if (blob && blob->pins > 0) {
        blob->pins--;
        left(blob);
    }
    pthread_mutex_unlock(&lock);
}

bool sl_lambda__code_wanted(struct sl_str sha256, int64_t orphaned_before) {
    pthread_mutex_lock(&lock);
    const struct blob *blob = (const struct blob *)find(&blobs, sha256);
    bool wanted = blob && is_wanted(blob, orphaned_before);
    pthread_mutex_unlock(&lock);
    return wanted;
}

bool sl_lambda__code_due(int64_t orphaned_before) {
    pthread_mutex_lock(&lock);
    bool due = !blind && oldest_ms <= orphaned_before;
    pthread_mutex_unlock(&lock);
    return due;
}

void sl_lambda__code_swept(int64_t orphaned_before) {
    pthread_mutex_lock(&lock);
    oldest_ms = INT64_MAX;
    for (size_t i = 0; i < blobs.size; i++)
        for (struct node *node = blobs.buckets[i], *next; node; node = next) {
            struct blob *blob = (struct blob *)node;
            next = node->next;
            if (blob->owners > 0 || blob->pins > 0) continue;
            if (!is_wanted(blob, orphaned_before))
                drop(&blobs, node);
            else if (blob->since_ms < oldest_ms)
                oldest_ms = blob->since_ms;
        }
    pthread_mutex_unlock(&lock);
}
