// SPDX-License-Identifier: Apache-2.0
//
// arena: memory of one request. Allocation moves a pointer; everything is released at once by sl_arena_reset (which
// keeps the first chunk, so that a warm request allocates nothing) or sl_arena_free. One owner thread at a time.
//
// Invariants: an arena never holds more than its `max` bytes; memory is zeroed by sl_arena_zalloc only; pointers stay
// valid until reset. Out of memory and over the maximum are the same failure: NULL, and sl_arena_failed() stays true.
#ifndef SL_BASE_ARENA_H
#define SL_BASE_ARENA_H

#include "base/str.h"

struct sl_arena_chunk;

// Public only so that it can be embedded; fields belong to arena.c.
struct sl_arena {
    struct sl_arena_chunk *chunk; // newest chunk, linked to older ones
    char *at, *end;
    size_t used, max;
    bool failed;
};

// `max` bounds the bytes held in total. No allocation happens before the first use.
void sl_arena_init(struct sl_arena *arena, size_t max);
// Forgets everything; keeps one chunk for the next use, unless it is larger than 64 KiB.
void sl_arena_reset(struct sl_arena *arena);
// Gives everything back. Accepts a zeroed arena.
void sl_arena_free(struct sl_arena *arena);

// 16-byte aligned; NULL when the maximum is reached (never for size 0). zalloc clears.
void *sl_arena_alloc(struct sl_arena *arena, size_t size);
void *sl_arena_zalloc(struct sl_arena *arena, size_t size);
static inline bool sl_arena_failed(const struct sl_arena *arena) { return arena->failed; }

// Copies. A failed copy is an empty view / NULL. sl_arena_cstr gives a NUL-terminated copy.
struct sl_str sl_arena_dup(struct sl_arena *arena, struct sl_str s);
char *sl_arena_cstr(struct sl_arena *arena, struct sl_str s);
struct sl_str sl_arena_printf(struct sl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
