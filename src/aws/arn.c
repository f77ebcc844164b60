// SPDX-License-Identifier: Apache-2.0
//
// arn: see arn.h.
#include "aws/arn.h"

bool sl_arn_parse(struct sl_str text, struct sl_arn *ret) {
    struct sl_str rest = text, head;
    struct sl_arn arn;
    struct sl_str *const parts[4] = {&arn.partition, &arn.service, &arn.region, &arn.account};
    if (!sl_str_split(&rest, ':', &head) || !sl_str_is(head, "arn")) return false;
    for (size_t i = 0; i < 4; i++) {
        if (!sl_str_split(&rest, ':', parts[i])) return false;
    }
    if (!rest.ptr || rest.len == 0 || arn.partition.len == 0 || arn.service.len == 0) return false;
    arn.resource = rest;
    *ret = arn;
    return true;
}

struct sl_str sl_arn_format(struct sl_arena *arena, const struct sl_arn *arn) {
    return sl_arena_printf(arena, "arn:%.*s:%.*s:%.*s:%.*s:%.*s", SL_FMT(arn->partition), SL_FMT(arn->service),
                           SL_FMT(arn->region), SL_FMT(arn->account), SL_FMT(arn->resource));
}

bool sl_is_account(struct sl_str text) {
    if (text.len != 12) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    }
    return true;
}

// "us-east-1", "us-gov-west-1", "eusc-de-east-1": letters and dashes, and a digit at the end.
static bool looks_like_region(struct sl_str text) {
    unsigned dashes = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-') {
            dashes++;
        } else if (c >= '0' && c <= '9') {
            if (i + 1 != text.len) return false;
        } else if (c < 'a' || c > 'z') {
            return false;
        }
    }
    return dashes >= 2 && text.len > 0 && text.ptr[text.len - 1] >= '0' && text.ptr[text.len - 1] <= '9';
}

enum { REF_PARTS = 8 };

bool sl_function_ref_parse(struct sl_str text, struct sl_function_ref *ret) {
    struct sl_str parts[REF_PARTS], rest = text, part;
    size_t count = 0, at = 0;
    while (sl_str_split(&rest, ':', &part)) {
        if (count == REF_PARTS) return false;
        parts[count++] = part;
    }
    struct sl_function_ref ref = {0};
    // Each prefix is optional, and is one only if a name can still follow (a function may be called "function").
    if (count >= 4 && sl_str_is(parts[0], "arn") && sl_str_is(parts[2], "lambda")) at = 3;
    if (count - at >= 2 && looks_like_region(parts[at]) && (at > 0 || sl_is_account(parts[at + 1])))
        ref.region = parts[at++];
    if (count - at >= 2 && sl_is_account(parts[at])) ref.account = parts[at++];
    if (count - at >= 2 && sl_str_is(parts[at], "function")) at++;
    if (count == at || count - at > 2 || parts[at].len == 0) return false;
    ref.name = parts[at];
    if (count - at == 2) {
        if (parts[at + 1].len == 0) return false;
        ref.qualifier = parts[at + 1];
    }
    *ret = ref;
    return true;
}

struct sl_str sl_arn_function(struct sl_arena *arena, struct sl_str partition, struct sl_str region,
                              struct sl_str account, struct sl_str name, struct sl_str qualifier) {
    return sl_arena_printf(arena, "arn:%.*s:lambda:%.*s:%.*s:function:%.*s%s%.*s", SL_FMT(partition), SL_FMT(region),
                           SL_FMT(account), SL_FMT(name), qualifier.len ? ":" : "", SL_FMT(qualifier));
}

struct sl_str sl_partition_of(struct sl_str region) {
    if (sl_str_starts(region, SL_STR("cn-"))) return SL_STR("aws-cn");
    if (sl_str_starts(region, SL_STR("us-gov-"))) return SL_STR("aws-us-gov");
    return SL_STR("aws");
}
