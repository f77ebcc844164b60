// SPDX-License-Identifier: Apache-2.0
//
// pattern: see pattern.h. One slot per pattern of the tables (sl_shape.pattern_id), filled by the first thread that
// needs it: a loser of the race frees its copy. Slots are never emptied: there are as many as the models have patterns.
//
// Java's syntax is PCRE2's except for \uXXXX, which PCRE2_ALT_BSUX and PCRE2_EXTRA_ALT_BSUX allow. The match limit
// bounds backtracking, so that a hostile value cannot hold a thread.
#include "aws/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"

enum { MAX_PATTERNS = 512, MATCH_LIMIT = 200000 };

static _Atomic(pcre2_code *) compiled[MAX_PATTERNS];
static char broken; // its address marks a pattern that does not compile

static pcre2_code *compile(const struct sl_shape *shape) {
    int code;
    PCRE2_SIZE offset;
    uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY;
    pcre2_code *made = pcre2_compile((PCRE2_SPTR)shape->pattern.ptr, shape->pattern.len, options, &code, &offset, NULL);
    if (made) return made;
    sl_log_warn("aws", "pattern of %.*s is not understood at %zu: %.*s", SL_FMT(shape->name), (size_t)offset,
                SL_FMT(shape->pattern));
    return (pcre2_code *)(void *)&broken;
}

static pcre2_code *pattern_of(const struct sl_shape *shape) {
    if (shape->pattern_id == 0 || shape->pattern_id > MAX_PATTERNS) return (pcre2_code *)(void *)&broken;
    _Atomic(pcre2_code *) *slot = &compiled[shape->pattern_id - 1];
    pcre2_code *code = atomic_load_explicit(slot, memory_order_acquire);
    if (code) return code;
    pcre2_code *mine = compile(shape), *none = NULL;
    if (atomic_compare_exchange_strong_explicit(slot, &none, mine, memory_order_acq_rel, memory_order_acquire))
        return mine;
    if (mine != (pcre2_code *)(void *)&broken) pcre2_code_free(mine);
    return none;
}

// Made once per thread: matching is on the path of Invoke, which allocates nothing.
struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void free_scratch(void *ending) {
    struct scratch *scratch = ending;
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
}

static void make_key(void) { pthread_key_create(&scratch_key, free_scratch); }

static struct scratch *thread_scratch(void) {
    static _Thread_local struct scratch scratch;
    if (!scratch.data) {
        scratch.data = pcre2_match_data_create(1, NULL);
        pthread_once(&scratch_once, make_key);
        pthread_setspecific(scratch_key, &scratch); // only so that free_scratch runs when the thread ends
    }
    if (!scratch.context) {
        scratch.context = pcre2_match_context_create(NULL);
        if (scratch.context) pcre2_set_match_limit(scratch.context, MATCH_LIMIT);
    }
    return &scratch;
}

bool sl_pattern_matches(const struct sl_shape *shape, struct sl_str text) {
    pcre2_code *code = pattern_of(shape);
    if (code == (pcre2_code *)(void *)&broken) return true;
    struct scratch *scratch = thread_scratch();
    if (!scratch->data || !scratch->context) return false;
    int found =
        pcre2_match(code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0, 0, scratch->data, scratch->context);
    return found >= 0;
}

bool sl_pattern_compiles(const struct sl_shape *shape) { return pattern_of(shape) != (pcre2_code *)(void *)&broken; }
