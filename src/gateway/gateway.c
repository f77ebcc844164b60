// SPDX-License-Identifier: Apache-2.0
//
// gateway: the object of the data plane: APIs by id in an RCU hash table, published by the storage thread, found by
// loop threads without a lock; event buffers per thread; what becomes of an API that was replaced.
//
// A replaced API is first waited for with call_rcu (no loop turn that could find it is left), then put on the retired
// list and freed once no request in flight refers to it: after the grace period its reference counts only fall. The
// list is looked at whenever an API is retired or published, so an API lives on for at most one integration timeout and
// the next change.
#include "gateway/control.h"
#include "gateway/internal.h"

#include <stdlib.h>

static unsigned long hash(struct sl_str key) {
    uint64_t value = 1469598103934665603u; // FNV-1a: the keys are the operators'
    for (size_t i = 0; i < key.len; i++) value = (value ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return (unsigned long)(value ^ value >> 29);
}

static int match(struct cds_lfht_node *node, const void *key) {
    return sl_str_eq(SL_CONTAINER(node, struct sl_gw_api, node)->id, *(const struct sl_str *)key);
}

struct sl_gw_api *sl_gateway__find(struct sl_gateway *gateway, struct sl_str api_id) {
    struct cds_lfht_iter iter;
    cds_lfht_lookup(gateway->apis, hash(api_id), match, &api_id, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node ? SL_CONTAINER(node, struct sl_gw_api, node) : NULL;
}

// --- retiring
// --------------------------------------------------------------------------------------------------------------------

static bool referred(const struct sl_gw_api *api) {
    int64_t sum = 0;
    for (unsigned i = 0; i < api->threads; i++) sum += atomic_load_explicit(&api->refs[i].count, memory_order_acquire);
    return sum != 0;
}

static void sweep(struct sl_gateway *gateway, struct sl_gw_api *retired) {
    struct sl_gw_api *gone = NULL;
    pthread_mutex_lock(&gateway->lock);
    if (retired) {
        retired->next_retired = gateway->retired;
        gateway->retired = retired;
    }
    for (struct sl_gw_api **at = &gateway->retired; *at;) {
        struct sl_gw_api *api = *at;
        if (referred(api)) {
            at = &api->next_retired;
            continue;
        }
        *at = api->next_retired;
        api->next_retired = gone;
        gone = api;
    }
    pthread_mutex_unlock(&gateway->lock);
    while (gone) {
        struct sl_gw_api *next = gone->next_retired;
        sl_gateway__api_free(gone);
        gone = next;
    }
}

static void retire(struct rcu_head *head) {
    struct sl_gw_api *api = SL_CONTAINER(head, struct sl_gw_api, rcu);
    sweep(api->gateway, api);
}

void sl_gateway__publish(struct sl_gateway *gateway, struct sl_gw_api *api) {
    cds_lfht_node_init(&api->node);
    sl_rcu_begin();
    struct cds_lfht_node *old = cds_lfht_add_replace(gateway->apis, hash(api->id), match, &api->id, &api->node);
    if (old) call_rcu(&SL_CONTAINER(old, struct sl_gw_api, node)->rcu, retire);
    sl_rcu_end();
    sweep(gateway, NULL);
}

void sl_gateway__remove(struct sl_gateway *gateway, struct sl_str api_id) {
    sl_rcu_begin();
    struct sl_gw_api *api = sl_gateway__find(gateway, api_id);
    if (api && cds_lfht_del(gateway->apis, &api->node) == 0) call_rcu(&api->rcu, retire);
    sl_rcu_end();
}

// --- life
// ------------------------------------------------------------------------------------------------------------------------

int sl_gateway_new(struct sl_gateway **ret, const struct sl_gateway_config *config, struct sl_error *err) {
    if (config->threads == 0 || config->threads > SL_GATEWAY_THREADS)
        return sl_fail(err, SL_E_INVALID, "gateway: %u threads", config->threads);
    struct sl_gateway *gateway = calloc(1, sizeof(*gateway));
    if (!gateway) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the gateway");
    gateway->invoker = config->invoker;
    gateway->threads = config->threads;
    gateway->thread = calloc(config->threads, sizeof(*gateway->thread));
    gateway->apis = cds_lfht_new(64, 64, 0, CDS_LFHT_AUTO_RESIZE, NULL);
    pthread_mutex_init(&gateway->lock, NULL);
    if (!gateway->thread || !gateway->apis) {
        sl_gateway_free(gateway);
        return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the gateway");
    }
    *ret = gateway;
    return 0;
}

void sl_gateway_free(struct sl_gateway *gateway) {
    if (!gateway) return;
    struct cds_lfht_iter iter;
    struct sl_gw_api *api;
    if (gateway->apis) {
        sl_rcu_begin();
        struct cds_lfht_node *node;
        cds_lfht_for_each(gateway->apis, &iter, node) { // not _entry: it makes an entry of the NULL at the end
            api = SL_CONTAINER(node, struct sl_gw_api, node);
            if (cds_lfht_del(gateway->apis, &api->node) == 0) call_rcu(&api->rcu, retire);
        }
        sl_rcu_end();
        rcu_barrier();
        cds_lfht_destroy(gateway->apis, NULL);
    }
    while ((api = gateway->retired)) { // the loops have stopped: nothing refers to them
        gateway->retired = api->next_retired;
        sl_gateway__api_free(api);
    }
    for (unsigned i = 0; gateway->thread && i < gateway->threads; i++) {
        for (struct sl_gw_buffer *buffer; (buffer = gateway->thread[i].idle);) {
            gateway->thread[i].idle = buffer->next;
            sl_buf_free(&buffer->buf);
            free(buffer);
        }
    }
    free(gateway->thread);
    pthread_mutex_destroy(&gateway->lock);
    free(gateway);
}

struct load {
    struct sl_store_job job;
    struct sl_gateway *gateway;
    struct sl_store_tx *tx;
};

static int load_one(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    (void)document;
    struct load *load = user;
    struct sl_gw_api *api;
    if (sl_gateway__compile(load->gateway, load->tx, key->account, key->region, key->id, &api, err))
        return sl_wrap(err, "load API %.*s", SL_FMT(key->id));
    sl_gateway__publish(load->gateway, api);
    return 0;
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    load->tx = tx;
    return sl_store_each(tx, SL_GW_API, load_one, load, err);
}

int sl_gateway_load(struct sl_app *app, struct sl_error *err) {
    struct load load = {.job = {.run = load_run, .read_only = true}, .gateway = app->gateway};
    return sl_store_run(app->store, &load.job, err);
}

// --- buffers
// ---------------------------------------------------------------------------------------------------------------------

struct sl_gw_buffer *sl_gateway__buffer_take(struct sl_gateway *gateway, unsigned thread) {
    struct sl_gw_thread *own = &gateway->thread[thread];
    struct sl_gw_buffer *buffer = own->idle;
    if (buffer) {
        own->idle = buffer->next;
        own->idle_count--;
        return buffer;
    }
    buffer = calloc(1, sizeof(*buffer));
    if (buffer) sl_buf_init(&buffer->buf, SL_GW_EVENT_MAX);
    return buffer;
}

void sl_gateway__buffer_give(struct sl_gateway *gateway, unsigned thread, struct sl_gw_buffer *buffer) {
    struct sl_gw_thread *own = &gateway->thread[thread];
    if (!buffer) return;
    if (own->idle_count >= SL_GW_BUFFERS_KEPT) {
        sl_buf_free(&buffer->buf);
        free(buffer);
        return;
    }
    sl_buf_clear(&buffer->buf, SL_GW_BUFFER_KEEP);
    buffer->next = own->idle;
    own->idle = buffer;
    own->idle_count++;
}

// --- whose request
// ---------------------------------------------------------------------------------------------------------------

struct sl_str sl_gateway__host_api(struct sl_str host) {
    ptrdiff_t dot = sl_str_chr(host, '.', 0);
    static const struct sl_str label = SL_STR_INIT("execute-api.");
    if (dot <= 0 || !sl_str_ieq(sl_str_sub(host, (size_t)dot + 1, (size_t)dot + 1 + label.len), label))
        return (struct sl_str){0};
    return sl_str_sub(host, 0, (size_t)dot);
}

bool sl_gateway_owns(struct sl_gateway *gateway, const struct sl_http_request *request) {
    (void)gateway;
    return sl_str_starts(request->path, SL_STR("/_aws/execute-api/")) || sl_gateway__host_api(request->host).len > 0;
}

size_t sl_gateway_max_body(const struct sl_gateway *gateway) {
    (void)gateway;
    return SL_GATEWAY_MAX_BODY;
}
