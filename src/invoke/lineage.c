// SPDX-License-Identifier: Apache-2.0
//
// lineage: see lineage.h. What stands before Lineage is left as it is; Lineage comes last.
#include "invoke/lineage.h"

#include <stdio.h>

enum { FUNCTIONS_MAX = 16, HASH = 8, COUNT_MAX = 255 };

struct line {
    char hash[HASH + 1];
    unsigned count;
};

struct lineage {
    struct sl_str before; // the header without the part
    struct line lines[FUNCTIONS_MAX];
    unsigned count;
};

static void hash_of(struct sl_str arn, char out[static HASH + 1]) {
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < arn.len; i++) value = (value ^ (unsigned char)arn.ptr[i]) * 16777619u;
    snprintf(out, HASH + 1, "%08x", value);
}

// What is no "hash:count" is not ours; it is dropped.
static void read_lines(struct sl_str text, struct lineage *ret) {
    struct sl_str part;
    while (ret->count < FUNCTIONS_MAX && sl_str_split(&text, '|', &part)) {
        uint64_t count;
        ptrdiff_t colon = sl_str_chr(part, ':', 0);
        if (colon != HASH || !sl_str_to_u64(sl_str_sub(part, HASH + 1, part.len), &count)) continue;
        struct line *line = &ret->lines[ret->count++];
        memcpy(line->hash, part.ptr, HASH);
        line->hash[HASH] = '\0';
        line->count = count > COUNT_MAX ? COUNT_MAX : (unsigned)count;
    }
}

// The part is the last one when it is ours; what follows it is not kept.
static void parse(struct sl_str trace, struct lineage *ret) {
    struct sl_str rest = trace, part;
    *ret = (struct lineage){.before = trace};
    while (sl_str_split(&rest, ';', &part)) {
        if (!sl_str_starts(part, SL_STR("Lineage="))) continue;
        size_t at = (size_t)(part.ptr - trace.ptr);
        read_lines(sl_str_sub(part, 8, part.len), ret);
        ret->before = sl_str_sub(trace, 0, at > 0 ? at - 1 : 0);
        return;
    }
}

unsigned sl_lineage_count(struct sl_str trace, struct sl_str arn) {
    struct lineage lineage;
    char hash[HASH + 1];
    parse(trace, &lineage);
    hash_of(arn, hash);
    for (unsigned i = 0; i < lineage.count; i++)
        if (memcmp(lineage.lines[i].hash, hash, HASH) == 0) return lineage.lines[i].count;
    return 0;
}

size_t sl_lineage_enter(struct sl_str trace, struct sl_str arn, char out[static SL_TRACE_MAX]) {
    struct lineage lineage;
    char hash[HASH + 1];
    unsigned own = 0;
    parse(trace, &lineage);
    hash_of(arn, hash);
    while (own < lineage.count && memcmp(lineage.lines[own].hash, hash, HASH) != 0) own++;
    if (own == FUNCTIONS_MAX) {
        memmove(&lineage.lines[0], &lineage.lines[1], (FUNCTIONS_MAX - 1) * sizeof lineage.lines[0]);
        own = --lineage.count;
    }
    if (own == lineage.count) {
        memcpy(lineage.lines[own].hash, hash, sizeof hash);
        lineage.lines[own].count = 0;
        lineage.count++;
    }
    if (lineage.lines[own].count < COUNT_MAX) lineage.lines[own].count++;
    // 16 lines of at most 13 bytes leave this much for the rest.
    size_t room = SL_TRACE_MAX - 16 - FUNCTIONS_MAX * 13,
           before = lineage.before.len < room ? lineage.before.len : room;
    int length = snprintf(out, SL_TRACE_MAX, "%.*s%sLineage=", (int)before,
                          lineage.before.ptr ? lineage.before.ptr : "", before ? ";" : "");
    for (unsigned i = 0; i < lineage.count; i++)
        length += snprintf(out + length, SL_TRACE_MAX - (size_t)length, "%s%s:%u", i ? "|" : "", lineage.lines[i].hash,
                           lineage.lines[i].count);
    return (size_t)length;
}
