// SPDX-License-Identifier: Apache-2.0
//
// table: an API as the data plane sees it, compiled from its documents: stages, each with a trie of routes,
// integrations with everything resolved that does not depend on the request. Immutable once published, except for what
// is marked atomic.
//
// Ownership: everything below struct sl_gw_api lives in its arena. The object is freed after a grace period (nobody
// finds it any more) and when no request in flight refers to it (refs, one cell per loop thread, so that requests of
// different threads do not share a cache line).
#ifndef SL_GATEWAY_TABLE_H
#define SL_GATEWAY_TABLE_H

#include "base/arena.h"
#include "base/json.h"
#include "gateway/mapping.h"
#include "invoke/proxy_event.h"

#include "net/rcu.h"

#include <stdatomic.h>

struct sl_gw_counters;
struct sl_store_tx;

enum {
    SL_GW_METHODS = 7,    // GET HEAD POST PUT DELETE OPTIONS PATCH, as in enum sl_http_method
    SL_GW_ANY = 7,        // index of "ANY"; other methods can only match it
    SL_GW_SEGMENTS = 128, // path segments looked at one by one; what follows counts as one
    SL_GW_CACHE_LINE = 64,
};

// Token bucket as one number (generic cell rate algorithm): the time at which the bucket would be full again.
struct sl_gw_throttle {
    bool limited;
    int64_t interval_ns; // between two tokens; INT64_MAX: never
    int64_t burst_ns;    // how far full_ns may be ahead of now
    _Atomic int64_t full_ns;
};

struct sl_gw_integration {
    struct sl_str id;
    // The Lambda function; name is empty when the URI names none (a stage variable that is not set): every request is a
    // 500.
    struct sl_str account, region, name, qualifier;
    struct sl_str invoked_arn; // with qualifier
    bool format_v2;
    bool role; // CredentialsArn is set: the function's resource policy is not asked
    int timeout_ms;
    struct sl_gw_mapping request;
    struct sl_gw_status_mapping *responses; // linked
};

struct sl_gw_route {
    struct sl_gw_route *next; // of the stage
    struct sl_str key;        // "GET /pets/{id}", "$default"
    struct sl_str id;
    struct sl_str resource; // "/pets/{id}", "$default"
    const struct sl_gw_integration *integration;
    struct sl_str *params; // names, in order of the path
    uint16_t *param_at;    // which segment each is
    uint16_t param_count;
    bool greedy; // the last one takes the rest
    struct sl_gw_throttle throttle;
    struct sl_gw_counters *counters;
    // Per method: what the function's policy said: (policy_generation << 1 | allowed) + 1; 0 = not asked yet. Written
    // by any thread.
    _Atomic uint64_t permission[SL_GW_METHODS + 1];
};

struct sl_gw_node {
    struct sl_str segment; // decoded literal
    uint32_t hash;
    uint32_t mask, used; // of `table`, open addressing; mask 0 = no children
    struct sl_gw_node **table;
    struct sl_gw_node *param, *greedy;
    struct sl_gw_route *routes[SL_GW_METHODS + 1];
};

struct sl_gw_cors {
    bool on;
    bool any_origin, credentials;
    const struct sl_str *origins; // exact ones and "https://*", "http://*"
    unsigned origin_count;
    struct sl_str methods, headers, expose, max_age; // ready header values, empty when not configured
};

struct sl_gw_stage {
    struct sl_str name;
    bool deployed; // has a deployment
    bool disabled; // DisableExecuteApiEndpoint in the deployment
    struct sl_gw_cors cors;
    struct sl_gw_node *root;
    struct sl_gw_route *fallback; // $default
    struct sl_gw_route *routes;   // all, linked
    const struct sl_proxy_field *variables;
    unsigned variable_count;
    struct sl_gw_counters *counters; // requests that matched no route
};

struct sl_gw_cell {
    _Atomic int64_t count;
    char pad[SL_GW_CACHE_LINE - sizeof(_Atomic int64_t)];
};

struct sl_gateway;

struct sl_gw_api {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    struct sl_gw_api *next_retired;
    struct sl_gateway *gateway;
    struct sl_arena arena;
    struct sl_str id, account, region, partition;
    struct sl_gw_stage *stages;
    unsigned stage_count;
    struct sl_gw_stage *default_stage; // "$default", or NULL
    unsigned threads;
    struct sl_gw_cell *refs; // threads
};

// --- compile.c
// -------------------------------------------------------------------------------------------------------------------
// Reads API, stages and their deployments. *ret is the caller's until published or freed.
int sl_gateway__compile(struct sl_gateway *gateway, struct sl_store_tx *tx, struct sl_str account, struct sl_str region,
                        struct sl_str api_id, struct sl_gw_api **ret, struct sl_error *err);
// The same from documents: `stages` is an array of stage documents, each with "_snapshot", the deployment's content (or
// without).
int sl_gateway__compile_documents(struct sl_gateway *gateway, struct sl_str account, struct sl_str region,
                                  struct sl_str api_id, const struct sl_json *stages, struct sl_gw_api **ret,
                                  struct sl_error *err);
void sl_gateway__api_free(struct sl_gw_api *api); // accepts NULL

// --- match.c
// ---------------------------------------------------------------------------------------------------------------------
struct sl_gw_path {
    struct sl_str segments[SL_GW_SEGMENTS]; // decoded; a last one that holds the rest of a very long path stays encoded
    struct sl_str rest[SL_GW_SEGMENTS];     // from that segment to the end, encoded
    unsigned count;
};
// Splits at '/', decodes into the arena. False when the arena is full.
bool sl_gateway__path_split(struct sl_arena *arena, struct sl_str path, struct sl_gw_path *ret);
// Most specific route or NULL. `method` is enum sl_http_method.
struct sl_gw_route *sl_gateway__match(const struct sl_gw_stage *stage, const struct sl_gw_path *path, int method);
// Values of the route's parameters, param_count of them.
const struct sl_proxy_field *sl_gateway__path_params(struct sl_arena *arena, const struct sl_gw_route *route,
                                                     const struct sl_gw_path *path);
// Adds a route while compiling: "GET /a/{b}". The key has been validated. False when the arena is full.
bool sl_gateway__trie_add(struct sl_arena *arena, struct sl_gw_stage *stage, struct sl_gw_route *route);

// --- throttle.c
// ------------------------------------------------------------------------------------------------------------------
void sl_gateway__throttle_init(struct sl_gw_throttle *throttle, double rate, int64_t burst);
bool sl_gateway__throttle_take(struct sl_gw_throttle *throttle, int64_t now_ns);

// --- finish.c: counters
// ----------------------------------------------------------------------------------------------------------
struct sl_gw_counters *sl_gateway__counters(struct sl_gateway *gateway, struct sl_str api, struct sl_str stage,
                                            struct sl_str route);
void sl_gateway__counters_release(struct sl_gateway *gateway, struct sl_gw_counters *counters);

#endif
