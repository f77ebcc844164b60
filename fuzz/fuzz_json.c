// SPDX-License-Identifier: Apache-2.0
//
// json: the parser and the check must agree, and what is written from a parsed text must parse to a tree that is
// written the same. Also copies, and reads every number as an integer and a double, which must not crash on any
// number's text.
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>

static void demand(bool condition) {
    if (!condition) abort();
}

static void read_numbers(const struct sl_json *node) {
    int64_t integer;
    double number;
    // An integer of less than 2^53 is that double, too.
    if (sl_json_to_i64(node, &integer) && integer > -(1LL << 53) && integer < 1LL << 53) {
        demand(sl_json_to_double(node, &number) && number == (double)integer);
    }
    for (const struct sl_json *child = node->first; child; child = child->next) read_numbers(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_arena arena;
    struct sl_buf once, twice;
    sl_arena_init(&arena, (size_t)64 << 20);
    sl_buf_init(&once, (size_t)16 << 20);
    sl_buf_init(&twice, (size_t)16 << 20);
    struct sl_json *tree = NULL, *again = NULL;
    struct sl_str text = sl_str_n((const char *)data, size);
    int result = sl_json_parse(&arena, text, &tree, NULL);
    demand(result == sl_json_validate(text, NULL));
    if (!result) {
        sl_json_write(&once, tree);
        demand(!once.failed && sl_json_parse(&arena, sl_buf_view(&once), &again, NULL) == 0);
        sl_json_write(&twice, sl_json_copy(&arena, again));
        demand(sl_str_eq(sl_buf_view(&once), sl_buf_view(&twice)));
        read_numbers(tree);
    }
    sl_buf_free(&once);
    sl_buf_free(&twice);
    sl_arena_free(&arena);
    return 0;
}
