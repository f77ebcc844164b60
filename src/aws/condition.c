// SPDX-License-Identifier: Apache-2.0
//
// condition: the Condition block of a policy statement (IAM User Guide, "IAM JSON policy elements: Condition
// operators").
//
//   {"ArnLike": {"aws:SourceArn": ["a", "b"]}, "StringEquals": {...}}
//
// All operators and all keys must hold; of one key's values any may match (for the negated operators: none may). A key
// that the request does not have fails the positive operators and passes the negated ones and ...IfExists.
// ForAllValues/ForAnyValue are for keys with several values.
#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>

#include "aws/policy_internal.h"

typedef enum sl_policy__truth compare_fn(struct sl_str policy, struct sl_str request);

static enum sl_policy__truth truth(bool value) { return value ? SL_POLICY__TRUE : SL_POLICY__FALSE; }

static enum sl_policy__truth string_equals(struct sl_str a, struct sl_str b) { return truth(sl_str_eq(a, b)); }
static enum sl_policy__truth string_equals_fold(struct sl_str a, struct sl_str b) { return truth(sl_str_ieq(a, b)); }
static enum sl_policy__truth string_like(struct sl_str a, struct sl_str b) {
    return truth(sl_policy_glob(a, b, false));
}
// ArnEquals and ArnLike behave alike, both with wildcards (IAM User Guide, "Amazon Resource Name (ARN) condition
// operators").
static enum sl_policy__truth arn_like(struct sl_str a, struct sl_str b) { return truth(sl_policy_arn_like(a, b)); }
static enum sl_policy__truth bool_equals(struct sl_str a, struct sl_str b) { return truth(sl_str_ieq(a, b)); }

static bool to_number(struct sl_str text, double *ret) {
    char copy[64], *end;
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret = strtod(copy, &end);
    return *end == '\0';
}

// ISO 8601 ("2026-01-02T03:04:05Z", "2026-01-02") or seconds since 1970.
static bool to_date(struct sl_str text, double *ret) {
    char copy[64];
    struct tm tm = {0};
    if (to_number(text, ret)) return true;
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *end = strptime(copy, "%Y-%m-%d", &tm);
    if (end && *end == 'T') end = strptime(end, "T%H:%M:%S", &tm);
    if (end && *end == '.') end += 1 + strspn(end + 1, "0123456789");
    if (!end || (*end != '\0' && strcmp(end, "Z") != 0)) return false;
    *ret = (double)timegm(&tm);
    return true;
}

enum order { LESS = 1, SAME = 2, MORE = 4 };

static enum sl_policy__truth ordered(bool (*convert)(struct sl_str, double *), struct sl_str policy,
                                     struct sl_str request, int accepted) {
    double limit, value;
    if (!convert(policy, &limit)) return SL_POLICY__UNKNOWN;
    if (!convert(request, &value)) return SL_POLICY__FALSE;
    int order = value < limit ? LESS : value > limit ? MORE : SAME;
    return truth((order & accepted) != 0);
}

#define ORDERED(name, convert, accepted)                                                                               \
    static enum sl_policy__truth name(struct sl_str a, struct sl_str b) { return ordered(convert, a, b, accepted); }
ORDERED(numeric_equals, to_number, SAME)
ORDERED(numeric_less, to_number, LESS)
ORDERED(numeric_less_equals, to_number, LESS | SAME)
ORDERED(numeric_more, to_number, MORE)
ORDERED(numeric_more_equals, to_number, MORE | SAME)
ORDERED(date_equals, to_date, SAME)
ORDERED(date_less, to_date, LESS)
ORDERED(date_less_equals, to_date, LESS | SAME)
ORDERED(date_more, to_date, MORE)
ORDERED(date_more_equals, to_date, MORE | SAME)

// "10.0.0.0/8", "2001:db8::/32", or a single address.
static enum sl_policy__truth ip_address(struct sl_str policy, struct sl_str request) {
    unsigned char net[16], address[16];
    char text[INET6_ADDRSTRLEN];
    struct sl_str bits_text = policy, head;
    sl_str_split(&bits_text, '/', &head);
    int family = sl_str_chr(head, ':', 0) >= 0 ? AF_INET6 : AF_INET;
    uint64_t most = family == AF_INET6 ? 128 : 32, bits = most;
    if (head.len >= sizeof text || (bits_text.ptr && (!sl_str_to_u64(bits_text, &bits) || bits > most)))
        return SL_POLICY__UNKNOWN;
    memcpy(text, head.ptr, head.len);
    text[head.len] = '\0';
    if (inet_pton(family, text, net) != 1) return SL_POLICY__UNKNOWN;
    if (request.len >= sizeof text) return SL_POLICY__FALSE;
    memcpy(text, request.ptr, request.len);
    text[request.len] = '\0';
    if (inet_pton(family, text, address) != 1) return SL_POLICY__FALSE;
    for (uint64_t bit = 0; bit < bits; bit++) {
        unsigned mask = 0x80u >> (bit % 8);
        if ((net[bit / 8] & mask) != (address[bit / 8] & mask)) return SL_POLICY__FALSE;
    }
    return SL_POLICY__TRUE;
}

static const struct {
    struct sl_str name;
    compare_fn *compare;
    bool negated;
} operators[] = {
    {SL_STR_INIT("StringEquals"), string_equals, false},
    {SL_STR_INIT("StringNotEquals"), string_equals, true},
    {SL_STR_INIT("StringEqualsIgnoreCase"), string_equals_fold, false},
    {SL_STR_INIT("StringNotEqualsIgnoreCase"), string_equals_fold, true},
    {SL_STR_INIT("StringLike"), string_like, false},
    {SL_STR_INIT("StringNotLike"), string_like, true},
    {SL_STR_INIT("ArnEquals"), arn_like, false},
    {SL_STR_INIT("ArnLike"), arn_like, false},
    {SL_STR_INIT("ArnNotEquals"), arn_like, true},
    {SL_STR_INIT("ArnNotLike"), arn_like, true},
    {SL_STR_INIT("Bool"), bool_equals, false},
    {SL_STR_INIT("NumericEquals"), numeric_equals, false},
    {SL_STR_INIT("NumericNotEquals"), numeric_equals, true},
    {SL_STR_INIT("NumericLessThan"), numeric_less, false},
    {SL_STR_INIT("NumericLessThanEquals"), numeric_less_equals, false},
    {SL_STR_INIT("NumericGreaterThan"), numeric_more, false},
    {SL_STR_INIT("NumericGreaterThanEquals"), numeric_more_equals, false},
    {SL_STR_INIT("DateEquals"), date_equals, false},
    {SL_STR_INIT("DateNotEquals"), date_equals, true},
    {SL_STR_INIT("DateLessThan"), date_less, false},
    {SL_STR_INIT("DateLessThanEquals"), date_less_equals, false},
    {SL_STR_INIT("DateGreaterThan"), date_more, false},
    {SL_STR_INIT("DateGreaterThanEquals"), date_more_equals, false},
    {SL_STR_INIT("IpAddress"), ip_address, false},
    {SL_STR_INIT("NotIpAddress"), ip_address, true},
};

// One value of the request against the policy's value or list of values.
static enum sl_policy__truth matches_any(const struct sl_json *wanted, struct sl_str have, compare_fn *compare,
                                         const struct sl_policy_request *request) {
    enum sl_policy__truth result = SL_POLICY__FALSE;
    bool list = wanted->type == SL_JSON_ARRAY;
    for (const struct sl_json *at = list ? wanted->first : wanted; at; at = list ? at->next : NULL) {
        char room[SL_POLICY__EXPANDED];
        struct sl_str text;
        enum sl_policy__truth one = SL_POLICY__UNKNOWN;
        if (sl_json_scalar(at, &text))
            one = sl_policy__expand(&text, request, room) ? compare(text, have) : SL_POLICY__FALSE;
        if (one == SL_POLICY__TRUE) return one;
        if (one == SL_POLICY__UNKNOWN) result = one;
    }
    return result;
}

static enum sl_policy__truth negate(enum sl_policy__truth value, bool negated) {
    if (!negated || value == SL_POLICY__UNKNOWN) return value;
    return value == SL_POLICY__TRUE ? SL_POLICY__FALSE : SL_POLICY__TRUE;
}

struct operator{
    compare_fn *compare;
    bool negated, if_exists, for_all, for_any;
};

static enum sl_policy__truth test_key(const struct operator* op, const struct sl_json *wanted,
                                      const struct sl_policy_request *request) {
    unsigned seen = 0, passed = 0, unknown = 0;
    for (unsigned i = 0; i < request->value_count; i++) {
        if (!sl_str_ieq(request->values[i].key, wanted->key)) continue;
        enum sl_policy__truth one =
            negate(matches_any(wanted, request->values[i].value, op->compare, request), op->negated);
        seen++;
        passed += one == SL_POLICY__TRUE;
        unknown += one == SL_POLICY__UNKNOWN;
    }
    if (seen == 0) return truth(op->if_exists || op->for_all || (op->negated && !op->for_any));
    if (unknown > 0 && passed == 0) return SL_POLICY__UNKNOWN;
    // A negated operator without qualifier: no value may match; a positive one: any may.
    bool all = op->for_all || (op->negated && !op->for_any);
    return truth(all ? passed == seen : passed > 0);
}

// "Null": "true" = the key must be absent.
static enum sl_policy__truth test_null(const struct sl_json *wanted, const struct sl_policy_request *request) {
    struct sl_str text;
    bool present = false;
    for (unsigned i = 0; i < request->value_count && !present; i++)
        present = sl_str_ieq(request->values[i].key, wanted->key);
    if (!sl_json_scalar(wanted, &text)) return SL_POLICY__UNKNOWN;
    if (sl_str_ieq(text, SL_STR("true"))) return truth(!present);
    return sl_str_ieq(text, SL_STR("false")) ? truth(present) : SL_POLICY__UNKNOWN;
}

static bool find_operator(struct sl_str name, struct operator* ret) {
    *ret = (struct operator){0};
    if (sl_str_starts(name, SL_STR("ForAllValues:"))) {
        ret->for_all = true;
        name = sl_str_sub(name, strlen("ForAllValues:"), name.len);
    } else if (sl_str_starts(name, SL_STR("ForAnyValue:"))) {
        ret->for_any = true;
        name = sl_str_sub(name, strlen("ForAnyValue:"), name.len);
    }
    if (sl_str_ends(name, SL_STR("IfExists"))) {
        ret->if_exists = true;
        name = sl_str_sub(name, 0, name.len - strlen("IfExists"));
    }
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!sl_str_eq(operators[i].name, name)) continue;
        ret->compare = operators[i].compare;
        ret->negated = operators[i].negated;
        return true;
    }
    return false;
}

enum sl_policy__truth sl_policy__conditions(const struct sl_json *condition, const struct sl_policy_request *request) {
    enum sl_policy__truth result = SL_POLICY__TRUE;
    if (condition->type != SL_JSON_OBJECT) return SL_POLICY__UNKNOWN;
    for (const struct sl_json *block = condition->first; block; block = block->next) {
        struct operator op;
        bool null = sl_str_is(block->key, "Null");
        if (block->type != SL_JSON_OBJECT || (!null && !find_operator(block->key, &op))) {
            result = SL_POLICY__UNKNOWN;
            continue;
        }
        for (const struct sl_json *key = block->first; key; key = key->next) {
            enum sl_policy__truth one = null ? test_null(key, request) : test_key(&op, key, request);
            if (one == SL_POLICY__FALSE) return one;
            if (one == SL_POLICY__UNKNOWN) result = one;
        }
    }
    return result;
}
