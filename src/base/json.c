// SPDX-License-Identifier: Apache-2.0
//
// json: the parser (RFC 8259). One iterative machine serves sl_json_parse, which builds a tree, and sl_json_validate,
// which only looks: with no arena it makes no nodes and touches nothing but the text. It is iterative, with the open
// arrays and objects on a fixed stack of SL_JSON_DEPTH places, so that no input can exhaust the thread's stack.
//
// Two passes: UTF-8 is checked over the whole text first (ASCII eight bytes at a time), so that the second pass has to
// stop in a string only for a quote, a backslash or a control character. A string without escapes is never copied.
//
// Pure functions, any thread; the arena belongs to the caller.
#include "base/json.h"

#include "base/encoding.h"

struct parser {
    const char *start, *at, *end;
    struct sl_arena *arena; // NULL: validate only
    const char *problem;    // what is wrong, said of the byte at `at`
    bool no_memory;
    unsigned depth;
    bool in_object[SL_JSON_DEPTH];
    struct sl_json *open[SL_JSON_DEPTH]; // only with an arena
};

static bool refuse(struct parser *p, const char *problem) {
    p->problem = problem;
    return false;
}

static bool out_of_memory(struct parser *p) {
    p->no_memory = true;
    return false;
}

static void skip_blanks(struct parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')) p->at++;
}

static bool is_digit(const struct parser *p) { return p->at < p->end && *p->at >= '0' && *p->at <= '9'; }

static const char *literal_text(enum sl_json_type type) {
    return type == SL_JSON_TRUE ? "true" : type == SL_JSON_FALSE ? "false" : "null";
}

static bool scan_literal(struct parser *p, enum sl_json_type type) {
    struct sl_str text = sl_str_of(literal_text(type));
    if (!sl_str_starts(sl_str_n(p->at, (size_t)(p->end - p->at)), text)) {
        return refuse(p, "unexpected character, expected a value");
    }
    p->at += text.len;
    return true;
}

static bool scan_digits(struct parser *p) {
    if (!is_digit(p)) return refuse(p, "expected a digit");
    while (is_digit(p)) p->at++;
    return true;
}

// RFC 8259 section 6.
static bool scan_number(struct parser *p) {
    if (*p->at == '-') p->at++;
    if (p->at < p->end && *p->at == '0') {
        p->at++;
        if (is_digit(p)) return refuse(p, "a number has a leading zero");
    } else if (!scan_digits(p)) {
        return false;
    }
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!scan_digits(p)) return false;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!scan_digits(p)) return false;
    }
    return true;
}

static bool scan_escape(struct parser *p) {
    p->at++;
    if (p->at == p->end) return refuse(p, "unterminated string");
    if (*p->at != 'u') {
        if (!strchr("\"\\/bfnrt", *p->at) || *p->at == '\0') return refuse(p, "unknown escape");
        p->at++;
        return true;
    }
    p->at++;
    for (int i = 0; i < 4; i++, p->at++) {
        if (p->at == p->end) return refuse(p, "unterminated string");
        if (sl_hex_value(*p->at) < 0) return refuse(p, "expected four hexadecimal digits after \\u");
    }
    return true;
}

// Moves over bytes that mean nothing special in a string. Eight at a time: (w - 0x20..) & ~w has a high bit where a
// byte is below 0x20, and likewise for the quote and the backslash made zero by xor; a borrow can only disturb bytes
// above a true hit, and the hit itself is then found byte by byte, so that byte order does not matter.
static const char *skip_plain(const char *at, const char *end) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t w;
        memcpy(&w, at, sizeof w);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        if ((((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & highs) break;
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\') at++;
    return at;
}

// From the opening quote to after the closing one; *ret_raw is what lies between, still escaped.
static bool scan_string(struct parser *p, struct sl_str *ret_raw, bool *ret_escaped) {
    const char *from = ++p->at;
    *ret_escaped = false;
    for (;;) {
        p->at = skip_plain(p->at, p->end);
        if (p->at == p->end) return refuse(p, "unterminated string");
        if (*p->at == '"') break;
        if (*p->at != '\\') return refuse(p, "control character in a string");
        *ret_escaped = true;
        if (!scan_escape(p)) return false;
    }
    *ret_raw = sl_str_n(from, (size_t)(p->at - from));
    p->at++;
    return true;
}

static unsigned hex4(const char *at) {
    return (unsigned)sl_hex_value(at[0]) << 12 | (unsigned)sl_hex_value(at[1]) << 8 |
           (unsigned)sl_hex_value(at[2]) << 4 | (unsigned)sl_hex_value(at[3]);
}

// `*at` is after "\u". Surrogates that do not form a pair become U+FFFD (Unicode standard, section 3.9).
static char *decode_unicode(const char **at, const char *end, char *out) {
    unsigned code = hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code <= 0xdbff && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        unsigned low = hex4(*at + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *at += 6;
            return out + sl_utf8_encode(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
        }
    }
    return out + sl_utf8_encode(code, out);
}

// The escapes were checked by scan_string. The decoded text is never longer than the raw one: a short escape has two
// bytes for one, \uXXXX six for at most three, a pair twelve for four.
static bool unescape(struct sl_arena *arena, struct sl_str raw, struct sl_str *ret) {
    char *start = sl_arena_alloc(arena, raw.len + 1);
    if (!start) return false;
    char *out = start;
    const char *at = raw.ptr, *end = raw.ptr + raw.len;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash ? slash : end) - at);
        memcpy(out, at, plain);
        out += plain;
        if (!slash) break;
        at = slash + 2;
        switch (slash[1]) {
        case 'b':
            *out++ = '\b';
            break;
        case 'f':
            *out++ = '\f';
            break;
        case 'n':
            *out++ = '\n';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case 't':
            *out++ = '\t';
            break;
        case 'u':
            out = decode_unicode(&at, end, out);
            break;
        default:
            *out++ = slash[1];
            break;
        }
    }
    *out = '\0';
    *ret = sl_str_n(start, (size_t)(out - start));
    return true;
}

static bool read_string(struct parser *p, struct sl_str *ret) {
    bool escaped;
    struct sl_str raw = {NULL, 0};
    if (!scan_string(p, &raw, &escaped)) return false;
    *ret = raw;
    if (escaped && p->arena && !unescape(p->arena, raw, ret)) return out_of_memory(p);
    return true;
}

static void append(struct sl_json *parent, struct sl_json *child) {
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

static enum sl_json_type type_of(char first) {
    switch (first) {
    case '{':
        return SL_JSON_OBJECT;
    case '[':
        return SL_JSON_ARRAY;
    case '"':
        return SL_JSON_STRING;
    case 't':
        return SL_JSON_TRUE;
    case 'f':
        return SL_JSON_FALSE;
    case 'n':
        return SL_JSON_NULL;
    default:
        return SL_JSON_NUMBER;
    }
}

// Reads a value's text, or for an array or object its opening bracket, which makes it the innermost open one.
static bool read_value(struct parser *p, struct sl_str key, struct sl_json **root) {
    if (p->at == p->end) return refuse(p, "unexpected end, expected a value");
    enum sl_json_type type = type_of(*p->at);
    struct sl_str text = {NULL, 0};
    const char *from = p->at;
    switch (type) {
    case SL_JSON_OBJECT:
    case SL_JSON_ARRAY:
        if (p->depth == SL_JSON_DEPTH) return refuse(p, "nested too deeply");
        p->at++;
        break;
    case SL_JSON_STRING:
        if (!read_string(p, &text)) return false;
        break;
    case SL_JSON_NUMBER:
        if (*from != '-' && !is_digit(p)) return refuse(p, "unexpected character, expected a value");
        if (!scan_number(p)) return false;
        text = sl_str_n(from, (size_t)(p->at - from));
        break;
    default:
        if (!scan_literal(p, type)) return false;
        break;
    }
    struct sl_json *node = NULL;
    if (p->arena) {
        node = sl_arena_alloc(p->arena, sizeof *node);
        if (!node) return out_of_memory(p);
        *node = (struct sl_json){.type = type, .key = key, .text = text};
        if (p->depth)
            append(p->open[p->depth - 1], node);
        else
            *root = node;
    }
    if (type == SL_JSON_OBJECT || type == SL_JSON_ARRAY) {
        p->in_object[p->depth] = type == SL_JSON_OBJECT;
        p->open[p->depth++] = node;
    }
    return true;
}

static bool read_key(struct parser *p, struct sl_str *ret) {
    if (p->at == p->end || *p->at != '"') return refuse(p, "expected a member's name in quotes");
    if (!read_string(p, ret)) return false;
    skip_blanks(p);
    if (p->at == p->end || *p->at != ':') return refuse(p, "expected ':'");
    p->at++;
    skip_blanks(p);
    return true;
}

static bool read_member(struct parser *p, struct sl_json **root) {
    struct sl_str key = {NULL, 0};
    if (p->in_object[p->depth - 1] && !read_key(p, &key)) return false;
    return read_value(p, key, root);
}

// After a value: closes what ends here, and stops after a comma (there is a next value) or when nothing is open.
static bool close_or_continue(struct parser *p, bool *ret_more) {
    *ret_more = false;
    while (p->depth) {
        skip_blanks(p);
        bool object = p->in_object[p->depth - 1];
        if (p->at == p->end) return refuse(p, object ? "unexpected end of an object" : "unexpected end of an array");
        char c = *p->at;
        if (c == ',') {
            p->at++;
            skip_blanks(p);
            *ret_more = true;
            return true;
        }
        if (c != (object ? '}' : ']')) return refuse(p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        p->at++;
        p->depth--;
    }
    return true;
}

// True when the array or object that was just opened has no members.
static bool is_empty(struct parser *p) {
    skip_blanks(p);
    return p->at < p->end && *p->at == (p->in_object[p->depth - 1] ? '}' : ']');
}

static bool read_text(struct parser *p, struct sl_json **root) {
    skip_blanks(p);
    if (!read_value(p, (struct sl_str){NULL, 0}, root)) return false;
    bool opened = p->depth > 0;
    for (;;) {
        bool more = opened && !is_empty(p);
        if (!more && !close_or_continue(p, &more)) return false;
        if (!more) break;
        unsigned depth = p->depth;
        if (!read_member(p, root)) return false;
        opened = p->depth > depth;
    }
    skip_blanks(p);
    return p->at == p->end || refuse(p, "unexpected text after the value");
}

static int explain(const struct parser *p, struct sl_error *err) {
    if (p->no_memory) return sl_fail(err, SL_E_NO_MEMORY, "the JSON text needs more memory than it may use");
    size_t line = 1;
    const char *line_start = p->start;
    for (const char *at = p->start; at < p->at; at++) {
        if (*at == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    return sl_fail(err, SL_E_SERIALIZATION, "%s at line %zu column %zu", p->problem, line,
                   (size_t)(p->at - line_start) + 1);
}

static int run(struct sl_arena *arena, struct sl_str text, struct sl_json **ret, struct sl_error *err) {
    static const char none[] = "";
    if (text.len == 0) text.ptr = none;
    struct parser p; // not cleared: the stacks have 9 KB
    p.start = p.at = text.ptr;
    p.end = text.ptr + text.len;
    p.arena = arena;
    p.problem = NULL;
    p.no_memory = false;
    p.depth = 0;
    struct sl_json *root = NULL;
    size_t valid = sl_utf8_valid_prefix(text);
    bool ok;
    if (valid < text.len) {
        p.at += valid;
        ok = refuse(&p, "invalid UTF-8");
    } else if (sl_str_starts(text, SL_STR("\xef\xbb\xbf"))) {
        ok = refuse(&p, "unexpected byte order mark");
    } else {
        ok = read_text(&p, &root);
    }
    if (!ok) return explain(&p, err);
    if (ret) *ret = root;
    return 0;
}

int sl_json_parse(struct sl_arena *arena, struct sl_str text, struct sl_json **ret, struct sl_error *err) {
    return run(arena, text, ret, err);
}

int sl_json_validate(struct sl_str text, struct sl_error *err) { return run(NULL, text, NULL, err); }
