// SPDX-License-Identifier: Apache-2.0
//
// cbor: no bytes may crash the reader or make it read beyond them; what it accepts is valid as JSON, and everything in
// it is inside the arena or the input.
#include "aws/cbor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_arena arena;
    struct sl_error err;
    struct sl_json *tree = NULL;
    char *exact = malloc(size + 1); // as long as it is, so that a step too far is seen
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    sl_arena_init(&arena, (size_t)64 << 20);
    if (sl_cbor_parse(&arena, sl_str_n(exact, size), &tree, &err) == SL_OK) {
        struct sl_buf text;
        sl_buf_init(&text, (size_t)64 << 20);
        sl_json_write(&text, tree);
        sl_buf_free(&text);
    } else if (tree || (err.kind != SL_E_SERIALIZATION && err.kind != SL_E_NO_MEMORY)) {
        abort();
    }
    sl_arena_free(&arena);
    free(exact);
    return 0;
}
