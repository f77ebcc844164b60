// SPDX-License-Identifier: Apache-2.0
//
// pattern: filter patterns (CloudWatch Logs user guide, "Filter pattern syntax"): terms, and conditions on JSON events.
//
//   one two "a phrase" -not        all of the first, none of the last; ?this ?that: any of them (if there is no other)
//   { $.a.b[0] = "x*" && ($.n >= 3 || $.gone NOT EXISTS) || $.flag IS TRUE || $.x IS NULL }
//
// Compared as text with wildcards, or as numbers when both sides are. Space-delimited patterns ("[a, b]") and regular
// expressions ("%...%") are refused, not misunderstood. A JSON pattern is kept as text and walked for every event: it
// is short, and checked once before by walking it without an event.
#include "services/logs/internal.h"

#include <stdlib.h>

enum { TERMS_MAX = 128, DEPTH_MAX = 16, PATH_MAX_PARTS = 32 };

struct term {
    struct sl_str text;
    char mark; // 0, '-' or '?'
};

struct sl_logs__pattern {
    struct term terms[TERMS_MAX];
    unsigned count;
    bool required; // some term without mark
    struct sl_str json;
};

static int invalid(struct sl_error *err) { return sl_fail(err, SL_E_LOGS_PARAMETER, "Invalid filter pattern"); }

// ---- JSON conditions ------------------------------------------------------------------------------------------------

struct walk {
    struct sl_str text;
    size_t at;
    const struct sl_json *event; // NULL: only checking
    bool broken;
    unsigned depth;
};

static void blanks(struct walk *walk) {
    while (walk->at < walk->text.len && (walk->text.ptr[walk->at] == ' ' || walk->text.ptr[walk->at] == '\t'))
        walk->at++;
}

static bool accept(struct walk *walk, const char *word) {
    size_t length = strlen(word);
    blanks(walk);
    if (walk->text.len - walk->at < length ||
        !sl_str_ieq(sl_str_sub(walk->text, walk->at, walk->at + length), sl_str_of(word)))
        return false;
    walk->at += length;
    return true;
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '@' || c == '/' || c == '$';
}

// "$.a.b[0]": the node it leads to, or NULL.
static const struct sl_json *selector(struct walk *walk) {
    const struct sl_json *node = walk->event;
    bool any = false;
    if (!accept(walk, "$")) walk->broken = true;
    while (!walk->broken && walk->at < walk->text.len) {
        char c = walk->text.ptr[walk->at];
        size_t from = walk->at + 1, to = from;
        if (c == '.') {
            while (to < walk->text.len && is_name(walk->text.ptr[to])) to++;
            node = sl_json_get_str(node, sl_str_sub(walk->text, from, to));
            walk->broken = to == from;
        } else if (c == '[') {
            uint64_t index = 0;
            while (to < walk->text.len && walk->text.ptr[to] != ']') to++;
            walk->broken = !sl_str_to_u64(sl_str_sub(walk->text, from, to), &index) || to == walk->text.len;
            node = node && node->type == SL_JSON_ARRAY ? node->first : NULL;
            for (; node && index; index--) node = node->next;
            to++;
        } else {
            break;
        }
        any = true;
        walk->at = to;
    }
    if (!any) walk->broken = true;
    return node;
}

static struct sl_str value(struct walk *walk) {
    blanks(walk);
    size_t from = walk->at, to = from;
    if (from < walk->text.len && walk->text.ptr[from] == '"') {
        ptrdiff_t end = sl_str_chr(walk->text, '"', from + 1);
        walk->broken |= end < 0;
        walk->at = end < 0 ? walk->text.len : (size_t)end + 1;
        return sl_str_sub(walk->text, from + 1, end < 0 ? walk->text.len : (size_t)end);
    }
    while (to < walk->text.len && !strchr(" \t)&|", walk->text.ptr[to])) to++;
    walk->broken |= to == from;
    walk->at = to;
    return sl_str_sub(walk->text, from, to);
}

// '*' stands for any run of bytes. Greedy with one point to go back to: linear in practice, quadratic at worst.
static bool wild(struct sl_str pattern, struct sl_str text) {
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}

static bool number_in(struct sl_str text, double *ret) {
    char copy[64], *end;
    if (!text.len || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret = strtod(copy, &end);
    return *end == '\0';
}

static bool equal(const struct sl_json *node, struct sl_str wanted) {
    double left, right;
    if (sl_json_to_double(node, &left) && number_in(wanted, &right)) return left == right;
    if (node->type == SL_JSON_STRING || node->type == SL_JSON_NUMBER) return wild(wanted, node->text);
    if (node->type == SL_JSON_TRUE || node->type == SL_JSON_FALSE)
        return sl_str_ieq(wanted, node->type == SL_JSON_TRUE ? SL_STR("true") : SL_STR("false"));
    return false;
}

static bool compare(struct walk *walk, const struct sl_json *node) {
    static const char *const operators[] = {"!=", "<=", ">=", "=", "<", ">"};
    unsigned which = 0;
    while (which < 6 && !accept(walk, operators[which])) which++;
    walk->broken |= which == 6;
    struct sl_str wanted = value(walk);
    double left, right;
    if (!node) return false;
    if (which == 0) return !equal(node, wanted);
    if (which == 3) return equal(node, wanted);
    if (!sl_json_to_double(node, &left) || !number_in(wanted, &right)) return false;
    return which == 1 ? left <= right : which == 2 ? left >= right : which == 4 ? left < right : left > right;
}

static bool either(struct walk *walk);

static bool condition(struct walk *walk) {
    if (accept(walk, "(")) {
        walk->broken |= ++walk->depth > DEPTH_MAX;
        bool inner = !walk->broken && either(walk);
        walk->depth--;
        walk->broken |= !accept(walk, ")");
        return inner;
    }
    const struct sl_json *node = selector(walk);
    if (accept(walk, "NOT EXISTS")) return !node;
    if (accept(walk, "EXISTS")) return node != NULL;
    if (accept(walk, "IS NULL")) return node && node->type == SL_JSON_NULL;
    if (accept(walk, "IS TRUE")) return node && node->type == SL_JSON_TRUE;
    if (accept(walk, "IS FALSE")) return node && node->type == SL_JSON_FALSE;
    return compare(walk, node);
}

static bool all(struct walk *walk) {
    bool result = condition(walk);
    while (!walk->broken && accept(walk, "&&")) result &= condition(walk); // both sides are always read
    return result;
}

static bool either(struct walk *walk) {
    bool result = all(walk);
    while (!walk->broken && accept(walk, "||")) result |= all(walk);
    return result;
}

// ---- terms ----------------------------------------------------------------------------------------------------------

static bool next_term(struct sl_str *rest, struct term *ret, bool *ret_broken) {
    *rest = sl_str_trim(*rest);
    *ret = (struct term){{0}, 0};
    if (!rest->len) return false;
    if ((rest->ptr[0] == '-' || rest->ptr[0] == '?') && rest->len > 1) {
        ret->mark = rest->ptr[0];
        *rest = sl_str_sub(*rest, 1, rest->len);
    }
    bool quoted = rest->ptr[0] == '"';
    ptrdiff_t end = sl_str_chr(*rest, quoted ? '"' : ' ', quoted);
    *ret_broken = quoted && end < 0;
    size_t to = end < 0 ? rest->len : (size_t)end;
    ret->text = sl_str_sub(*rest, quoted, to);
    *rest = sl_str_sub(*rest, to + quoted, rest->len);
    return !*ret_broken;
}

static bool has_terms(const struct sl_logs__pattern *pattern, struct sl_str message) {
    bool optional = false, any = false;
    for (unsigned i = 0; i < pattern->count; i++) {
        const struct term *term = &pattern->terms[i];
        bool there = sl_str_find(message, term->text) >= 0;
        if (term->mark == '-' && there) return false;
        if (!term->mark && !there) return false;
        optional |= term->mark == '?';
        any |= term->mark == '?' && there;
    }
    return pattern->required || !optional || any;
}

// ---- both -----------------------------------------------------------------------------------------------------------

int sl_logs__pattern_parse(struct sl_arena *arena, struct sl_str text, struct sl_logs__pattern **ret,
                           struct sl_error *err) {
    struct sl_logs__pattern *pattern = sl_arena_zalloc(arena, sizeof *pattern);
    bool broken = false;
    if (!pattern) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    *ret = pattern;
    text = sl_str_trim(text);
    if (!text.len) return 0;
    if (text.ptr[0] == '[' || text.ptr[0] == '%') return invalid(err);
    if (text.ptr[0] == '{') {
        if (text.ptr[text.len - 1] != '}') return invalid(err);
        pattern->json = sl_str_trim(sl_str_sub(text, 1, text.len - 1));
        struct walk walk = {.text = pattern->json};
        either(&walk);
        blanks(&walk);
        return walk.broken || walk.at != walk.text.len ? invalid(err) : 0;
    }
    while (next_term(&text, &pattern->terms[pattern->count], &broken)) {
        pattern->required |= !pattern->terms[pattern->count].mark;
        if (++pattern->count == TERMS_MAX) return invalid(err);
    }
    return broken ? invalid(err) : 0;
}

bool sl_logs__pattern_matches(const struct sl_logs__pattern *pattern, struct sl_arena *scratch, struct sl_str message) {
    struct sl_json *event;
    if (!pattern->json.len) return has_terms(pattern, message);
    sl_arena_reset(scratch);
    if (sl_json_parse(scratch, message, &event, NULL) || event->type != SL_JSON_OBJECT) return false;
    struct walk walk = {.text = pattern->json, .event = event};
    return either(&walk);
}
