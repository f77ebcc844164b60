// SPDX-License-Identifier: Apache-2.0
//
// arena: chunks of 16 KiB, larger ones for larger requests. See arena.h.
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 16 * 1024, KEEP = 4 * CHUNK, ALIGN = 16 };

struct sl_arena_chunk {
    struct sl_arena_chunk *older;
    size_t size;
};

static char *chunk_start(struct sl_arena_chunk *chunk) {
    size_t head = (sizeof *chunk + ALIGN - 1) / ALIGN * ALIGN;
    return (char *)chunk + head;
}

void sl_arena_init(struct sl_arena *arena, size_t max) { *arena = (struct sl_arena){.max = max}; }

void sl_arena_reset(struct sl_arena *arena) {
    arena->failed = false;
    if (!arena->chunk) return;
    while (arena->chunk->older) {
        struct sl_arena_chunk *older = arena->chunk->older;
        free(arena->chunk);
        arena->chunk = older;
    }
    // One large request must not keep its memory for as long as the connection lives.
    if (arena->chunk->size > KEEP) {
        sl_arena_free(arena);
        return;
    }
    arena->used = arena->chunk->size;
    arena->at = chunk_start(arena->chunk);
    arena->end = (char *)arena->chunk + arena->chunk->size;
}

void sl_arena_free(struct sl_arena *arena) {
    while (arena->chunk) {
        struct sl_arena_chunk *older = arena->chunk->older;
        free(arena->chunk);
        arena->chunk = older;
    }
    sl_arena_init(arena, arena->max);
}

static bool grow(struct sl_arena *arena, size_t size) {
    size_t want = size + sizeof(struct sl_arena_chunk) + ALIGN;
    if (want < size) return false;
    size_t left = arena->max - arena->used;
    if (want > left) return false;
    // A whole chunk where the maximum allows it, else what is left.
    if (want < CHUNK) want = left < CHUNK ? left : CHUNK;
    struct sl_arena_chunk *chunk = malloc(want);
    if (!chunk) return false;
    chunk->older = arena->chunk;
    chunk->size = want;
    arena->chunk = chunk;
    arena->used += want;
    arena->at = chunk_start(chunk);
    arena->end = (char *)chunk + want;
    return true;
}

void *sl_arena_alloc(struct sl_arena *arena, size_t size) {
    size_t rounded = size ? (size + ALIGN - 1) / ALIGN * ALIGN : ALIGN; // NULL means failure only
    if (rounded < size || ((size_t)(arena->end - arena->at) < rounded && !grow(arena, rounded))) {
        arena->failed = true;
        return NULL;
    }
    void *memory = arena->at;
    arena->at += rounded;
    return memory;
}

void *sl_arena_zalloc(struct sl_arena *arena, size_t size) {
    void *memory = sl_arena_alloc(arena, size);
    return memory ? memset(memory, 0, size) : NULL;
}

char *sl_arena_cstr(struct sl_arena *arena, struct sl_str s) {
    char *copy = sl_arena_alloc(arena, s.len + 1);
    if (!copy) return NULL;
    if (s.len) memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct sl_str sl_arena_dup(struct sl_arena *arena, struct sl_str s) {
    char *copy = sl_arena_cstr(arena, s);
    return copy ? sl_str_n(copy, s.len) : sl_str_n("", 0);
}

struct sl_str sl_arena_printf(struct sl_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : sl_arena_alloc(arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text ? sl_str_n(text, (size_t)length) : sl_str_n("", 0);
}
