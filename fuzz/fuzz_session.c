// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes session tokens: "ACCESS_KEY\nTOKEN" as a client may send them, which must never open; and the same bytes as
// the texts of a session that is minted here, which must open and give them back.
#include <stdlib.h>

#include "aws/session.h"

enum { MEMORY = 1 << 20, NOW = 1500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_session_secret secret = {"the secret of this fuzzer, no es"};

static void open_hostile(struct sl_arena *arena, struct sl_str access_key, struct sl_str token) {
    struct sl_session session;
    char secret_key[SL_SESSION_SECRET_KEY + 1];
    if (sl_session_open(arena, &secret, access_key, token, NOW, &session, secret_key) != SL_SESSION_FORGED) abort();
}

static void round_trip(struct sl_arena *arena, struct sl_str one, struct sl_str other) {
    struct sl_session opened, session = {.account = SL_STR("000000000000"),
                                         .issuer = other,
                                         .name = one,
                                         .policy = other,
                                         .source = one,
                                         .expires_s = NOW + 1};
    struct sl_session_keys keys;
    struct sl_error err;
    if (sl_session_mint(arena, &secret, &session, &keys, &err) != SL_OK) return;
    if (sl_session_open(arena, &secret, sl_str_of(keys.access_key), keys.token, NOW, &opened, NULL) != SL_SESSION_GOOD)
        abort();
    if (!sl_str_eq(opened.name, one) || !sl_str_eq(opened.policy, other)) abort();
    sl_session_arn(arena, &opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_arena arena;
    struct sl_str rest = sl_str_n((const char *)data, size), access_key = {0};
    sl_arena_init(&arena, MEMORY);
    if (sl_str_split(&rest, '\n', &access_key)) {
        open_hostile(&arena, access_key, rest);
        round_trip(&arena, access_key, rest);
    }
    sl_arena_free(&arena);
    return 0;
}
