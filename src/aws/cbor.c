// SPDX-License-Identifier: Apache-2.0
//
// cbor: see cbor.h. One recursive reader over a cursor that never passes the end; one writer per kind of item. Pure
// functions, any thread.
#include "aws/cbor.h"

#include <inttypes.h>
#include <math.h>

#include "base/encoding.h"

enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE }; // RFC 8949 section 3.1

enum { INDEFINITE = 31, BREAK = 0xff, TAG_TIME = 1, TAG_BIG = 2, TAG_BIG_NEGATIVE = 3, BIG_MAX = 8 };

struct reader {
    struct sl_arena *arena;
    struct sl_error *err;
    const unsigned char *at, *end;
    unsigned depth;
};

struct head {
    enum major major;
    unsigned info;
    uint64_t value;
};

static int bad(struct reader *r, const char *what) { return sl_fail(r->err, SL_E_SERIALIZATION, "CBOR: %s", what); }
static int no_memory(struct reader *r) { return sl_fail(r->err, SL_E_NO_MEMORY, "request too large"); }

// The first byte and the argument that follows it.
static int read_head(struct reader *r, struct head *ret) {
    if (r->at == r->end) return bad(r, "the input ends within an item");
    unsigned first = *r->at++;
    *ret = (struct head){.major = first >> 5, .info = first & 31, .value = first & 31};
    if (ret->info < 24) return SL_OK;
    if (ret->info == INDEFINITE) return SL_OK;
    if (ret->info > 27) return bad(r, "a reserved length");
    size_t bytes = (size_t)1 << (ret->info - 24);
    if ((size_t)(r->end - r->at) < bytes) return bad(r, "the input ends within a number");
    ret->value = 0;
    while (bytes--) ret->value = ret->value << 8 | *r->at++;
    return SL_OK;
}

static bool take_break(struct reader *r) {
    if (r->at == r->end || *r->at != BREAK) return false;
    r->at++;
    return true;
}

static int take_bytes(struct reader *r, uint64_t len, struct sl_str *ret) {
    if (len > (uint64_t)(r->end - r->at)) return bad(r, "a string is longer than the input");
    *ret = sl_str_n((const char *)r->at, (size_t)len);
    r->at += len;
    return SL_OK;
}

// A string of either kind; one of indefinite length is joined from its chunks, which must be definite and of its kind.
static int read_string(struct reader *r, const struct head *head, struct sl_str *ret) {
    if (head->info != INDEFINITE) return take_bytes(r, head->value, ret);
    struct sl_buf joined;
    sl_buf_init(&joined, (size_t)(r->end - r->at) + 1);
    int kind = SL_OK;
    while (!kind && !take_break(r)) {
        struct head chunk;
        struct sl_str part = {0};
        kind = read_head(r, &chunk);
        if (!kind && (chunk.major != head->major || chunk.info == INDEFINITE)) kind = bad(r, "a chunk of another kind");
        if (!kind) kind = take_bytes(r, chunk.value, &part);
        if (!kind) sl_buf_str(&joined, part);
    }
    *ret = joined.len ? sl_arena_dup(r->arena, sl_buf_view(&joined)) : SL_STR("");
    bool failed = joined.failed || !ret->ptr;
    sl_buf_free(&joined);
    return kind ? kind : failed ? no_memory(r) : SL_OK;
}

static struct sl_json *number(struct reader *r, struct sl_str text) {
    struct sl_json *node = text.ptr ? sl_json_new_int(r->arena, 0) : NULL;
    if (node) node->text = text;
    return node;
}

static struct sl_json *real(struct reader *r, double value) {
    if (isnan(value)) return number(r, SL_STR("NaN"));
    if (isinf(value)) return number(r, value < 0 ? SL_STR("-Infinity") : SL_STR("Infinity"));
    return sl_json_new_double(r->arena, value);
}

// RFC 8949 appendix D.
static double half(unsigned bits) {
    int exponent = (int)(bits >> 10 & 31);
    double fraction = bits & 1023;
    double value = exponent == 0    ? ldexp(fraction, -24)
                   : exponent != 31 ? ldexp(fraction + 1024, exponent - 25)
                   : fraction > 0   ? (double)NAN
                                    : (double)INFINITY;
    return bits & 0x8000 ? -value : value;
}

static int read_simple(struct reader *r, const struct head *head, struct sl_json **ret) {
    uint32_t narrow = (uint32_t)head->value;
    float single;
    double wide;
    switch (head->info) {
    case 20:
    case 21:
        *ret = sl_json_new_bool(r->arena, head->info == 21);
        return SL_OK;
    case 22:
    case 23:
        *ret = sl_json_new_null(r->arena);
        return SL_OK;
    case 25:
        *ret = real(r, half(narrow));
        return SL_OK;
    case 26:
        memcpy(&single, &narrow, sizeof single);
        *ret = real(r, (double)single);
        return SL_OK;
    case 27:
        memcpy(&wide, &head->value, sizeof wide);
        *ret = real(r, wide);
        return SL_OK;
    default:
        return bad(r, "an unknown simple value");
    }
}

static int read_integer(struct reader *r, const struct head *head, struct sl_json **ret) {
    if (head->info == INDEFINITE) return bad(r, "a number of indefinite length");
    if (head->major == UNSIGNED) {
        *ret = number(r, sl_arena_printf(r->arena, "%" PRIu64, head->value));
    } else { // -1 - value
        *ret = head->value == UINT64_MAX ? number(r, SL_STR("-18446744073709551616"))
                                         : number(r, sl_arena_printf(r->arena, "-%" PRIu64, head->value + 1));
    }
    return SL_OK;
}

static int read_item(struct reader *r, struct sl_json **ret);

static int read_children(struct reader *r, const struct head *head, struct sl_json *into) {
    bool open = head->info == INDEFINITE;
    // An item takes a byte at least, so a length that cannot be is refused before it costs anything.
    if (!open && head->value > (uint64_t)(r->end - r->at)) return bad(r, "a collection is longer than the input");
    for (uint64_t n = 0; open ? !take_break(r) : n < head->value; n++) {
        struct sl_json *key = NULL, *value = NULL;
        int kind = head->major == MAP ? read_item(r, &key) : SL_OK;
        if (!kind && head->major == MAP && key->type != SL_JSON_STRING) kind = bad(r, "a key that is no text");
        if (!kind) kind = read_item(r, &value);
        if (kind) return kind;
        sl_json_push(into, value);
        if (key) value->key = key->text;
    }
    return SL_OK;
}

static int read_collection(struct reader *r, const struct head *head, struct sl_json **ret) {
    *ret = head->major == MAP ? sl_json_new_object(r->arena) : sl_json_new_array(r->arena);
    if (!*ret) return no_memory(r);
    if (++r->depth > SL_CBOR_DEPTH) return bad(r, "nested too deeply");
    int kind = read_children(r, head, *ret);
    r->depth--;
    return kind;
}

// Time, and integers that are written as bytes though 64 bits hold them.
static int read_tagged(struct reader *r, const struct head *head, struct sl_json **ret) {
    struct head inner;
    struct sl_str bytes = {0};
    if (head->info == INDEFINITE) return bad(r, "a tag of indefinite length");
    if (head->value == TAG_TIME) {
        if (++r->depth > SL_CBOR_DEPTH) return bad(r, "nested too deeply");
        int kind = read_item(r, ret);
        r->depth--;
        return kind ? kind : (*ret)->type == SL_JSON_NUMBER ? SL_OK : bad(r, "a time that is no number");
    }
    if (head->value != TAG_BIG && head->value != TAG_BIG_NEGATIVE) return bad(r, "an unknown tag");
    int kind = read_head(r, &inner);
    if (!kind && inner.major != BYTES) kind = bad(r, "a big number that is no bytes");
    if (!kind) kind = read_string(r, &inner, &bytes);
    if (!kind && bytes.len > BIG_MAX) kind = bad(r, "a number of more than 64 bits");
    if (kind) return kind;
    struct head whole = {.major = head->value == TAG_BIG ? UNSIGNED : NEGATIVE};
    for (size_t i = 0; i < bytes.len; i++) whole.value = whole.value << 8 | (unsigned char)bytes.ptr[i];
    return read_integer(r, &whole, ret);
}

static int read_text(struct reader *r, const struct head *head, struct sl_json **ret) {
    struct sl_str text = {0};
    int kind = read_string(r, head, &text);
    if (kind) return kind;
    if (head->major == TEXT) {
        if (!sl_utf8_valid(text)) return bad(r, "a text is not UTF-8");
    } else {
        struct sl_buf encoded;
        sl_buf_init(&encoded, sl_base64_encoded_len(text.len) + 1);
        sl_base64_encode(&encoded, text);
        text = encoded.len ? sl_arena_dup(r->arena, sl_buf_view(&encoded)) : SL_STR("");
        sl_buf_free(&encoded);
    }
    *ret = sl_json_new_string(r->arena, text);
    return SL_OK;
}

static int read_item(struct reader *r, struct sl_json **ret) {
    struct head head;
    int kind = read_head(r, &head);
    if (kind) return kind;
    switch (head.major) {
    case UNSIGNED:
    case NEGATIVE:
        kind = read_integer(r, &head, ret);
        break;
    case BYTES:
    case TEXT:
        kind = read_text(r, &head, ret);
        break;
    case ARRAY:
    case MAP:
        kind = read_collection(r, &head, ret);
        break;
    case TAG:
        kind = read_tagged(r, &head, ret);
        break;
    default:
        kind = read_simple(r, &head, ret);
    }
    return kind ? kind : *ret ? SL_OK : no_memory(r);
}

int sl_cbor_parse(struct sl_arena *arena, struct sl_str bytes, struct sl_json **ret, struct sl_error *err) {
    const unsigned char *start = (const unsigned char *)bytes.ptr;
    struct reader r = {.arena = arena, .err = err, .at = start, .end = start ? start + bytes.len : start};
    struct sl_json *node = NULL;
    int kind = read_item(&r, &node);
    if (!kind && r.at != r.end) kind = bad(&r, "more than one item");
    if (!kind) *ret = node;
    return kind;
}

// --- writing
// -------------------------------------------------------------------------------------------------------------

static void put_big_endian(struct sl_buf *out, uint64_t value, unsigned bytes) {
    while (bytes--) sl_buf_char(out, (char)(value >> (8 * bytes) & 0xff));
}

static void put_head(struct sl_buf *out, enum major major, uint64_t value) {
    unsigned top = (unsigned)major << 5;
    if (value < 24) {
        sl_buf_char(out, (char)(top | (unsigned)value));
        return;
    }
    unsigned size = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
    sl_buf_char(out, (char)(top | (24 + size)));
    put_big_endian(out, value, 1u << size);
}

void sl_cbor_open_map(struct sl_buf *out) { sl_buf_char(out, (char)(MAP << 5 | INDEFINITE)); }
void sl_cbor_open_array(struct sl_buf *out) { sl_buf_char(out, (char)(ARRAY << 5 | INDEFINITE)); }
void sl_cbor_end(struct sl_buf *out) { sl_buf_char(out, (char)BREAK); }
void sl_cbor_bool(struct sl_buf *out, bool value) { put_head(out, SIMPLE, value ? 21 : 20); }
void sl_cbor_null(struct sl_buf *out) { put_head(out, SIMPLE, 22); }

void sl_cbor_text(struct sl_buf *out, struct sl_str text) {
    put_head(out, TEXT, text.len);
    sl_buf_str(out, text);
}

void sl_cbor_bytes(struct sl_buf *out, struct sl_str bytes) {
    put_head(out, BYTES, bytes.len);
    sl_buf_str(out, bytes);
}

void sl_cbor_int(struct sl_buf *out, int64_t value) {
    put_head(out, value < 0 ? NEGATIVE : UNSIGNED, value < 0 ? (uint64_t)(-1 - value) : (uint64_t)value);
}

void sl_cbor_double(struct sl_buf *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    sl_buf_char(out, (char)(SIMPLE << 5 | 27));
    put_big_endian(out, bits, 8);
}

void sl_cbor_time(struct sl_buf *out, int64_t ms) {
    put_head(out, TAG, TAG_TIME);
    if (ms % 1000 == 0) {
        sl_cbor_int(out, ms / 1000);
    } else {
        sl_cbor_double(out, (double)ms / 1000);
    }
}
