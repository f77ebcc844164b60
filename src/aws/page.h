// SPDX-License-Identifier: Apache-2.0
//
// page: paging tokens (Marker, NextToken, position). A token holds the last id of a page, bound to the listing it came
// from, and a MAC: a client can neither read another listing with it nor forge one. Opaque base64; valid as long as the
// process's key.
#ifndef SL_AWS_PAGE_H
#define SL_AWS_PAGE_H

#include "base/arena.h"

enum { SL_PAGE_KEY = 32 };

// The MAC key; call once before threads start, with a secret kept in the store so that tokens outlive a restart.
// Without this call the key is random per process.
void sl_page_set_key(const unsigned char key[SL_PAGE_KEY]);

// `scope` names the listing: account, region, operation, parent (sl_page_scope makes one). Empty view if the arena is
// full.
struct sl_str sl_page_token(struct sl_arena *arena, struct sl_str scope, struct sl_str last_id);
// False if the token was not made for this scope by this key; *ret_last_id lives in the arena.
bool sl_page_open(struct sl_arena *arena, struct sl_str scope, struct sl_str token, struct sl_str *ret_last_id);

struct sl_op;
// The scope of an operation's listing under `parent` (may be empty).
struct sl_str sl_page_scope(const struct sl_op *op, struct sl_str parent);

#endif
