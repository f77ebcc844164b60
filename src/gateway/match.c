// SPDX-License-Identifier: Apache-2.0
//
// match: the trie of a stage's routes. One level per path segment; a node's literal children are in a small hash table,
// so the cost of a match depends on the length of the path and not on the number of routes.
//
// What wins ("Create routes for HTTP APIs", routing API requests): a full match before a greedy one before $default;
// segment by segment a literal before {name} before {name+}; then the method before ANY. A route is the pair of path
// and method: when the best path does not serve the method, a less specific one that does is taken. The search goes
// back for that, but a node is visited at most once, because it has one parent and one depth.
//
// Details that are AWS's: "/a/" is not "/a" (a trailing slash is an empty last segment, which only a literal or a
// greedy variable matches); "/{proxy+}" matches "/" with an empty value (recorded events show it), but "/a/{proxy+}"
// does not match "/a". Literals are compared and parameters given decoded; the path is split before decoding, so "%2F"
// never separates.
#include "base/encoding.h"
#include "gateway/routekey.h"
#include "gateway/table.h"

static uint32_t hash_segment(struct sl_str s) {
    uint32_t h = 2166136261u; // FNV-1a: the keys in the table are the operator's, a client only looks up
    for (size_t i = 0; i < s.len; i++) h = (h ^ (unsigned char)s.ptr[i]) * 16777619u;
    return h;
}

static struct sl_str decode(struct sl_arena *arena, struct sl_str segment) {
    struct sl_str decoded;
    return sl_percent_decode(arena, segment, false, &decoded) ? decoded : segment; // a broken escape stands for itself
}

bool sl_gateway__path_split(struct sl_arena *arena, struct sl_str path, struct sl_gw_path *ret) {
    struct sl_str rest = sl_str_sub(path, 1, path.len);
    ret->count = 0;
    while (ret->count < SL_GW_SEGMENTS) {
        ret->rest[ret->count] = rest;
        ptrdiff_t slash = ret->count + 1 < SL_GW_SEGMENTS ? sl_str_chr(rest, '/', 0) : -1;
        struct sl_str segment = slash < 0 ? rest : sl_str_sub(rest, 0, (size_t)slash);
        // The last place may hold several segments; left encoded it contains '/' and can match nothing but a greedy
        // variable.
        ret->segments[ret->count] = ret->count + 1 < SL_GW_SEGMENTS ? decode(arena, segment) : segment;
        ret->count++;
        if (slash < 0) break;
        rest = sl_str_sub(rest, (size_t)slash + 1, rest.len);
    }
    return !sl_arena_failed(arena);
}

// --- lookup
// ----------------------------------------------------------------------------------------------------------------------

static struct sl_gw_node *child(const struct sl_gw_node *node, struct sl_str segment) {
    if (node->used == 0) return NULL;
    uint32_t hash = hash_segment(segment);
    for (uint32_t at = hash & node->mask; node->table[at]; at = (at + 1) & node->mask) {
        if (node->table[at]->hash == hash && sl_str_eq(node->table[at]->segment, segment)) return node->table[at];
    }
    return NULL;
}

static struct sl_gw_route *method_route(const struct sl_gw_node *node, int method) {
    if (method >= 0 && method < SL_GW_METHODS && node->routes[method]) return node->routes[method];
    return node->routes[SL_GW_ANY];
}

// Recursion is as deep as the trie, which route_key_parse bounds by SL_GW_SEGMENTS.
static struct sl_gw_route *walk(const struct sl_gw_node *node, const struct sl_gw_path *path, unsigned at, int method) {
    if (at == path->count) return method_route(node, method);
    struct sl_str segment = path->segments[at];
    struct sl_gw_route *route = NULL;
    bool whole = at + 1 < SL_GW_SEGMENTS || sl_str_chr(segment, '/', 0) < 0;
    const struct sl_gw_node *next = whole ? child(node, segment) : NULL;
    if (next) route = walk(next, path, at + 1, method);
    if (!route && node->param && segment.len > 0 && whole) route = walk(node->param, path, at + 1, method);
    if (!route && node->greedy) route = method_route(node->greedy, method);
    return route;
}

struct sl_gw_route *sl_gateway__match(const struct sl_gw_stage *stage, const struct sl_gw_path *path, int method) {
    struct sl_gw_route *route = stage->root ? walk(stage->root, path, 0, method) : NULL;
    return route ? route : stage->fallback;
}

const struct sl_proxy_field *sl_gateway__path_params(struct sl_arena *arena, const struct sl_gw_route *route,
                                                     const struct sl_gw_path *path) {
    if (route->param_count == 0) return NULL;
    struct sl_proxy_field *fields = sl_arena_alloc(arena, sizeof(*fields) * route->param_count);
    for (unsigned i = 0; fields && i < route->param_count; i++) {
        bool greedy = route->greedy && i + 1u == route->param_count;
        unsigned at = route->param_at[i];
        fields[i] =
            (struct sl_proxy_field){route->params[i], greedy ? decode(arena, path->rest[at]) : path->segments[at]};
    }
    return fields;
}

// --- building
// --------------------------------------------------------------------------------------------------------------------

static void table_put(struct sl_gw_node **table, uint32_t mask, struct sl_gw_node *node) {
    uint32_t at = node->hash & mask;
    while (table[at]) at = (at + 1) & mask;
    table[at] = node;
}

// Doubles at half full, so that a lookup always meets an empty place.
static bool table_grow(struct sl_arena *arena, struct sl_gw_node *node) {
    uint32_t size = node->mask ? (node->mask + 1) * 2 : 4;
    struct sl_gw_node **table = sl_arena_zalloc(arena, size * sizeof(struct sl_gw_node *));
    if (!table) return false;
    for (uint32_t i = 0; node->mask && i <= node->mask; i++) {
        if (node->table[i]) table_put(table, size - 1, node->table[i]);
    }
    node->table = table;
    node->mask = size - 1;
    return true;
}

static struct sl_gw_node *child_add(struct sl_arena *arena, struct sl_gw_node *node, struct sl_str literal) {
    literal = decode(arena, literal);
    struct sl_gw_node *found = child(node, literal);
    if (found) return found;
    if ((node->used + 1) * 2 > (node->mask ? node->mask + 1 : 0) && !table_grow(arena, node)) return NULL;
    struct sl_gw_node *made = sl_arena_zalloc(arena, sizeof(*made));
    if (!made) return NULL;
    made->segment = literal;
    made->hash = hash_segment(literal);
    table_put(node->table, node->mask, made);
    node->used++;
    return made;
}

static struct sl_gw_node *slot_add(struct sl_arena *arena, struct sl_gw_node **slot) {
    if (!*slot) *slot = sl_arena_zalloc(arena, sizeof(**slot));
    return *slot;
}

bool sl_gateway__trie_add(struct sl_arena *arena, struct sl_gw_stage *stage, struct sl_gw_route *route) {
    struct sl_gw_route_key key;
    if (sl_gateway__route_key_parse(route->key, &key, NULL))
        return true; // from an older version's store: it can never match
    if (key.is_default) {
        stage->fallback = route;
        return true;
    }
    struct sl_gw_node *node = slot_add(arena, &stage->root);
    route->params = sl_arena_alloc(arena, sizeof(struct sl_str) * SL_GW_SEGMENTS);
    route->param_at = sl_arena_alloc(arena, sizeof(uint16_t) * SL_GW_SEGMENTS);
    if (!node || !route->params || !route->param_at) return false;
    struct sl_str rest = sl_str_sub(key.path, 1, key.path.len), segment, name;
    for (uint16_t at = 0; node && sl_str_split(&rest, '/', &segment); at++) {
        enum sl_gw_segment_kind kind = sl_gateway__segment_kind(segment, &name);
        if (kind == SL_GW_LITERAL) {
            node = child_add(arena, node, segment);
            continue;
        }
        route->params[route->param_count] = name;
        route->param_at[route->param_count++] = at;
        route->greedy = kind == SL_GW_GREEDY;
        node = slot_add(arena, kind == SL_GW_GREEDY ? &node->greedy : &node->param);
    }
    if (node) node->routes[key.method] = route;
    return node != NULL;
}
