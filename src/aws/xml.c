// SPDX-License-Identifier: Apache-2.0
//
// xml: see xml.h. A recursive descent over the bytes; its depth is bounded before it recurses. Names are not checked
// character by character: what is not one of the names that the models know is ignored by whoever reads the tree.
#include "aws/xml.h"

#include "base/encoding.h"

struct reader {
    struct sl_arena *arena;
    struct sl_error *err;
    struct sl_str in;
    size_t at;
};

int sl_xml_malformed(struct sl_error *err) {
    return sl_fail(err, SL_E_MALFORMED_XML,
                   "The XML you provided was not well-formed or did not validate against our published schema");
}

static int no_memory(struct reader *r) { return sl_fail(r->err, SL_E_NO_MEMORY, "request too large"); }

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool at_end(const struct reader *r) { return r->at >= r->in.len; }

static void skip_space(struct reader *r) {
    while (!at_end(r) && is_space(r->in.ptr[r->at])) r->at++;
}

static bool take(struct reader *r, struct sl_str what) {
    if (!sl_str_starts(sl_str_sub(r->in, r->at, r->in.len), what)) return false;
    r->at += what.len;
    return true;
}

// What stands before `end`, which is consumed too.
static bool take_until(struct reader *r, struct sl_str end, struct sl_str *ret) {
    struct sl_str rest = sl_str_sub(r->in, r->at, r->in.len);
    ptrdiff_t found = sl_str_find(rest, end);
    if (found < 0) return false;
    *ret = sl_str_sub(rest, 0, (size_t)found);
    r->at += (size_t)found + end.len;
    return true;
}

static bool name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':' ||
           c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool take_name(struct reader *r, struct sl_str *ret) {
    size_t from = r->at;
    while (!at_end(r) && name_byte(r->in.ptr[r->at])) r->at++;
    *ret = sl_str_sub(r->in, from, r->at);
    char c = ret->len ? ret->ptr[0] : '-';
    return !(c == '-' || c == '.' || (c >= '0' && c <= '9'));
}

static struct sl_str local_name(struct sl_str name) {
    ptrdiff_t colon = sl_str_chr(name, ':', 0);
    return colon < 0 ? name : sl_str_sub(name, (size_t)colon + 1, name.len);
}

// ---- text -----------------------------------------------------------------------------------------------------------

// XML 1.0 section 2.2.
static bool is_char(uint32_t code) {
    return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code <= 0xD7FF) ||
           (code >= 0xE000 && code <= 0xFFFD) || (code >= 0x10000 && code <= 0x10FFFF);
}

// The number in "&#10;" or "&#xA;", without & and ;.
static bool char_number(struct sl_str text, uint32_t *ret) {
    bool hex = text.len > 1 && text.ptr[1] == 'x';
    text = sl_str_sub(text, hex ? 2 : 1, text.len);
    uint32_t code = 0;
    if (text.len == 0 || text.len > 8) return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = sl_hex_value(text.ptr[i]);
        if (digit < 0 || (!hex && digit > 9)) return false;
        code = code * (hex ? 16 : 10) + (uint32_t)digit;
    }
    *ret = code;
    return is_char(code);
}

static size_t put_entity(struct sl_str name, char *out) {
    static const struct {
        const char *name;
        char value;
    } known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!sl_str_is(name, known[i].name)) continue;
        *out = known[i].value;
        return 1;
    }
    uint32_t code;
    char bytes[4];
    if (name.len < 2 || name.ptr[0] != '#' || !char_number(name, &code)) return 0;
    size_t len = sl_utf8_encode(code, bytes);
    memcpy(out, bytes, len);
    return len;
}

// References resolved, line ends as XML has them (section 2.11). The result is never longer than the text.
static int decode_text(struct reader *r, struct sl_str text, struct sl_str *ret) {
    if (sl_str_chr(text, '&', 0) < 0 && sl_str_chr(text, '\r', 0) < 0) {
        *ret = text;
        return SL_OK;
    }
    char *out = sl_arena_alloc(r->arena, text.len + 1);
    size_t len = 0;
    if (!out) return no_memory(r);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\r') {
            if (i + 1 < text.len && text.ptr[i + 1] == '\n') continue;
            c = '\n';
        }
        if (c != '&') {
            out[len++] = c;
            continue;
        }
        ptrdiff_t end = sl_str_chr(text, ';', i);
        size_t put = end < 0 ? 0 : put_entity(sl_str_sub(text, i + 1, (size_t)end), out + len);
        if (!put) return sl_xml_malformed(r->err);
        len += put;
        i = (size_t)end;
    }
    *ret = sl_str_n(out, len);
    return SL_OK;
}

// Pieces are collected in a list and joined once, so that a document of many comments costs no more than its length.
struct piece {
    struct piece *next;
    struct sl_str text;
};

struct pieces {
    struct piece *first, **end;
    size_t len;
};

static int add_piece(struct reader *r, struct pieces *pieces, struct sl_str text) {
    if (text.len == 0) return SL_OK;
    struct piece *piece = sl_arena_alloc(r->arena, sizeof *piece);
    if (!piece) return no_memory(r);
    *piece = (struct piece){.text = text};
    *pieces->end = piece;
    pieces->end = &piece->next;
    pieces->len += text.len;
    return SL_OK;
}

static int join(struct reader *r, const struct pieces *pieces, struct sl_str *ret) {
    *ret = SL_STR("");
    if (!pieces->first) return SL_OK;
    *ret = pieces->first->text;
    if (!pieces->first->next) return SL_OK;
    char *out = sl_arena_alloc(r->arena, pieces->len);
    if (!out) return no_memory(r);
    size_t len = 0;
    for (const struct piece *at = pieces->first; at; at = at->next) {
        memcpy(out + len, at->text.ptr, at->text.len);
        len += at->text.len;
    }
    *ret = sl_str_n(out, len);
    return SL_OK;
}

// ---- elements -------------------------------------------------------------------------------------------------------

static int read_attributes(struct reader *r, struct sl_xml *element) {
    struct sl_xml_attribute **end = &element->attributes;
    for (;;) {
        size_t before = r->at;
        skip_space(r);
        if (at_end(r)) return sl_xml_malformed(r->err);
        if (r->in.ptr[r->at] == '>' || r->in.ptr[r->at] == '/') return SL_OK;
        struct sl_str name, value;
        if (r->at == before || !take_name(r, &name)) return sl_xml_malformed(r->err);
        skip_space(r);
        if (!take(r, SL_STR("="))) return sl_xml_malformed(r->err);
        skip_space(r);
        struct sl_str quote = take(r, SL_STR("\"")) ? SL_STR("\"") : take(r, SL_STR("'")) ? SL_STR("'") : SL_STR("");
        if (!quote.len || !take_until(r, quote, &value) || sl_str_chr(value, '<', 0) >= 0)
            return sl_xml_malformed(r->err);
        if (sl_str_is(name, "xmlns") || sl_str_starts(name, SL_STR("xmlns:"))) continue;
        struct sl_xml_attribute *attribute = sl_arena_zalloc(r->arena, sizeof *attribute);
        if (!attribute) return no_memory(r);
        attribute->name = name;
        int kind = decode_text(r, value, &attribute->value);
        if (kind) return kind;
        *end = attribute;
        end = &attribute->next;
    }
}

static int read_element(struct reader *r, unsigned depth, struct sl_xml **ret);

static int read_child(struct reader *r, unsigned depth, struct sl_xml *element) {
    struct sl_xml *child = NULL;
    int kind = read_element(r, depth + 1, &child);
    if (kind) return kind;
    if (element->last)
        element->last->next = child;
    else
        element->first = child;
    element->last = child;
    return SL_OK;
}

// From behind the start tag to behind the end tag.
static int read_content(struct reader *r, unsigned depth, struct sl_str tag, struct sl_xml *element) {
    struct pieces pieces = {.end = &pieces.first};
    struct sl_str text;
    for (;;) {
        struct sl_str rest = sl_str_sub(r->in, r->at, r->in.len);
        ptrdiff_t angle = sl_str_chr(rest, '<', 0);
        if (angle < 0) return sl_xml_malformed(r->err);
        r->at += (size_t)angle;
        int kind = decode_text(r, sl_str_sub(rest, 0, (size_t)angle), &text);
        if (!kind) kind = add_piece(r, &pieces, text);
        if (kind) return kind;
        if (take(r, SL_STR("</"))) {
            struct sl_str name;
            if (!take_name(r, &name) || !sl_str_eq(name, tag)) return sl_xml_malformed(r->err);
            skip_space(r);
            if (!take(r, SL_STR(">"))) return sl_xml_malformed(r->err);
            return join(r, &pieces, &element->text);
        }
        if (take(r, SL_STR("<!--"))) {
            if (!take_until(r, SL_STR("-->"), &text)) kind = sl_xml_malformed(r->err);
        } else if (take(r, SL_STR("<![CDATA["))) {
            kind = take_until(r, SL_STR("]]>"), &text) ? add_piece(r, &pieces, text) : sl_xml_malformed(r->err);
        } else if (take(r, SL_STR("<?"))) {
            if (!take_until(r, SL_STR("?>"), &text)) kind = sl_xml_malformed(r->err);
        } else {
            kind = read_child(r, depth, element);
        }
        if (kind) return kind;
    }
}

static int read_element(struct reader *r, unsigned depth, struct sl_xml **ret) {
    struct sl_str tag;
    if (depth > SL_XML_DEPTH || !take(r, SL_STR("<")) || !take_name(r, &tag)) return sl_xml_malformed(r->err);
    struct sl_xml *element = sl_arena_zalloc(r->arena, sizeof *element);
    if (!element) return no_memory(r);
    element->name = local_name(tag);
    int kind = read_attributes(r, element);
    if (kind) return kind;
    *ret = element;
    if (take(r, SL_STR("/>"))) {
        element->text = SL_STR("");
        return SL_OK;
    }
    if (!take(r, SL_STR(">"))) return sl_xml_malformed(r->err);
    return read_content(r, depth, tag, element);
}

// Comments and processing instructions around the root; no document type.
static int skip_misc(struct reader *r) {
    struct sl_str text;
    for (;;) {
        skip_space(r);
        bool closed = true;
        if (take(r, SL_STR("<!--")))
            closed = take_until(r, SL_STR("-->"), &text);
        else if (take(r, SL_STR("<?")))
            closed = take_until(r, SL_STR("?>"), &text);
        else
            return SL_OK;
        if (!closed) return sl_xml_malformed(r->err);
    }
}

static bool has_only_chars(struct sl_str text) {
    if (!sl_utf8_valid(text)) return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 && !is_char(c)) return false;
    }
    return true;
}

int sl_xml_parse(struct sl_arena *arena, struct sl_str text, struct sl_xml **ret, struct sl_error *err) {
    struct reader r = {.arena = arena, .err = err, .in = text};
    struct sl_xml *root = NULL;
    if (!has_only_chars(text)) return sl_xml_malformed(err);
    take(&r, SL_STR("\xEF\xBB\xBF")); // a byte order mark
    int kind = skip_misc(&r);
    if (!kind) kind = read_element(&r, 1, &root);
    if (!kind) kind = skip_misc(&r);
    if (kind) return kind;
    if (!at_end(&r)) return sl_xml_malformed(err);
    *ret = root;
    return SL_OK;
}

const struct sl_xml *sl_xml_child(const struct sl_xml *element, struct sl_str name) {
    for (const struct sl_xml *at = element ? element->first : NULL; at; at = at->next) {
        if (sl_str_eq(at->name, name)) return at;
    }
    return NULL;
}

// ---- writing --------------------------------------------------------------------------------------------------------

void sl_xml_put_text(struct sl_buf *out, struct sl_str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        switch (c) {
        case '&':
            sl_buf_cstr(out, "&amp;");
            break;
        case '<':
            sl_buf_cstr(out, "&lt;");
            break;
        case '>':
            sl_buf_cstr(out, "&gt;");
            break;
        case '"':
            sl_buf_cstr(out, "&quot;");
            break;
        case '\r':
            sl_buf_cstr(out, "&#xD;");
            break;
        default:
            if ((unsigned char)c < 0x20 && c != '\t' && c != '\n') {
                sl_buf_cstr(out, "\xEF\xBF\xBD");
            } else {
                sl_buf_char(out, c);
            }
        }
    }
}
