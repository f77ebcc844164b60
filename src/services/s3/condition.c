// SPDX-License-Identifier: Apache-2.0
//
// condition: conditional requests (RFC 9110 section 13, in S3's reading) and ranges (section 14, one range only: S3
// answers several with the whole object).
#include "services/s3/internal.h"

const struct sl_s3__conditions sl_s3__read_conditions = {"IfMatch", "IfNoneMatch", "IfModifiedSince",
                                                         "IfUnmodifiedSince"};
const struct sl_s3__conditions sl_s3__copy_conditions = {"CopySourceIfMatch", "CopySourceIfNoneMatch",
                                                         "CopySourceIfModifiedSince", "CopySourceIfUnmodifiedSince"};

// "*", or one of a list of ETags, weak or not, with or without quotes.
static bool matches(struct sl_str list, struct sl_str etag) {
    struct sl_str part;
    while (list.ptr && sl_str_split(&list, ',', &part)) {
        part = sl_str_trim(part);
        if (sl_str_is(part, "*")) return true;
        if (sl_str_starts(part, SL_STR("W/"))) part = sl_str_sub(part, 2, part.len);
        if (sl_str_eq(sl_s3__unquoted(part), etag)) return true;
    }
    return false;
}

static int failed(struct sl_op *op, const char *condition, struct sl_error *err) {
    sl_s3__error_member(op, "Condition", sl_str_of(condition));
    return sl_fail(err, SL_E_S3_PRECONDITION, "At least one of the pre-conditions you specified did not hold");
}

int sl_s3__check(struct sl_op *op, const struct sl_s3__conditions *names, const struct sl_object *object,
                 bool *ret_not_modified, struct sl_error *err) {
    struct sl_str match = sl_op_in(op, names->match), none = sl_op_in(op, names->none_match);
    int64_t since = sl_json_int(op->in, names->modified_since, -1);
    int64_t until = sl_json_int(op->in, names->unmodified_since, -1);
    int64_t modified = object->modified_ms / 1000 * 1000; // as Last-Modified shows it
    *ret_not_modified = false;
    if (match.ptr && !matches(match, object->etag)) return failed(op, "If-Match", err);
    if (!match.ptr && until >= 0 && modified > until) return failed(op, "If-Unmodified-Since", err);
    if (none.ptr)
        *ret_not_modified = matches(none, object->etag);
    else if (since >= 0 && since <= op->now_ms)
        *ret_not_modified = modified <= since;
    return 0;
}

int sl_s3__check_write(struct sl_op *op, const struct sl_object *existing, struct sl_error *err) {
    struct sl_str match = sl_op_in(op, "IfMatch"), none = sl_op_in(op, "IfNoneMatch");
    if (none.ptr && !sl_str_is(sl_str_trim(none), "*"))
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    if (none.ptr && existing) return failed(op, "If-None-Match", err);
    if (match.ptr && !existing) {
        sl_s3__error_member(op, "Key", sl_op_in(op, "Key"));
        return sl_fail(err, SL_E_S3_NO_SUCH_KEY, "The specified key does not exist.");
    }
    if (match.ptr && !matches(match, existing->etag)) return failed(op, "If-Match", err);
    return 0;
}

bool sl_s3__range(struct sl_str text, int64_t size, int64_t *ret_from, int64_t *ret_length, bool *ret_unsatisfiable) {
    const struct sl_str unit = SL_STR("bytes=");
    int64_t from = 0, to = 0;
    *ret_unsatisfiable = false;
    if (!sl_str_starts(text, unit)) return false;
    struct sl_str last = sl_str_trim(sl_str_sub(text, unit.len, text.len)), first;
    if (sl_str_chr(last, ',', 0) >= 0 || !sl_str_split(&last, '-', &first) || !last.ptr) return false;
    bool has_first = first.len > 0, has_last = last.len > 0;
    if ((!has_first && !has_last) || (has_first && !sl_str_to_i64(first, &from)) ||
        (has_last && !sl_str_to_i64(last, &to)) || from < 0 || to < 0 || (has_first && has_last && to < from))
        return false;
    if (!has_first) { // the last so many
        from = to < size ? size - to : 0;
        *ret_unsatisfiable = to == 0 || size == 0;
        to = size - 1;
    } else {
        *ret_unsatisfiable = from >= size;
        if (!has_last || to >= size) to = size - 1;
    }
    *ret_from = from;
    *ret_length = to - from + 1;
    return true;
}
