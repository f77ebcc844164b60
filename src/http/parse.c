// SPDX-License-Identifier: Apache-2.0
//
// parse: heads. See parse.h. The chunked decoder is in chunked.c.
#include "http/parse.h"

enum { MAX_METHOD = 32 };

// Generated from the grammars: token (RFC 9110 section 5.6.2); field-value bytes; path = pchar "/" of RFC 3986 and "[",
// "]", "|", which browsers send raw (WHATWG URL); query = that and "?", "{", "}", "^", "`", "\"; host. Control bytes,
// SP, DEL, '"', "#", "<", ">" and bytes above 127 are never part of a target.
const unsigned char sl_http__class[256] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 31, 2, 3, 31, 31, 31, 31, 30, 30, 31, 31, 30, 31, 31, 14,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 30, 2, 30, 2, 10,
    14, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 10, 14, 11, 31,
    11, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 10, 15, 10, 31, 0,
    [128 ... 255] = SL_HTTP_VALUE,
    // clang-format on
};

static bool all_of(struct sl_str s, unsigned class) {
    for (size_t i = 0; i < s.len; i++)
        if (!(sl_http__class[(unsigned char)s.ptr[i]] & class)) return false;
    return true;
}

static enum sl_http_step bad(struct sl_http_refusal *ret, int status, const char *reason) {
    *ret = (struct sl_http_refusal){status, reason};
    return SL_HTTP_BAD;
}

// ---- the end of the head ------------------------------------------------------------------------------------------

enum sl_http_step sl_http__scan(struct sl_http_scan *scan, struct sl_str bytes, size_t max_head,
                                struct sl_http_refusal *ret_refusal) {
    while (scan->at < bytes.len) {
        if (scan->at == scan->begin && bytes.ptr[scan->at] != '\r' &&
            !(sl_http__class[(unsigned char)bytes.ptr[scan->at]] & SL_HTTP_TOKEN))
            return bad(ret_refusal, 400, "the request does not begin with a method");
        const char *lf = memchr(bytes.ptr + scan->at, '\n', bytes.len - scan->at);
        size_t next = lf ? (size_t)(lf - bytes.ptr) + 1 : bytes.len;
        scan->at = next;
        if (next - scan->begin > max_head) {
            bool request_line = scan->line == scan->begin;
            return request_line ? bad(ret_refusal, 414, "the request line is too long")
                                : bad(ret_refusal, 431, "the header section is too large");
        }
        if (!lf) return SL_HTTP_MORE;
        if (next - scan->line < 2 || bytes.ptr[next - 2] != '\r')
            return bad(ret_refusal, 400, "a line ends without CR LF");
        bool empty = next - scan->line == 2;
        if (empty && scan->line != scan->begin) {
            scan->end = next;
            return SL_HTTP_DONE;
        }
        scan->line = next;
        if (empty) scan->begin = next;
    }
    return SL_HTTP_MORE;
}

// ---- request line -------------------------------------------------------------------------------------------------

static enum sl_http_method method_of(struct sl_str text) {
    static const struct sl_str names[] = {
        [SL_HTTP_GET] = SL_STR_INIT("GET"),       [SL_HTTP_HEAD] = SL_STR_INIT("HEAD"),
        [SL_HTTP_POST] = SL_STR_INIT("POST"),     [SL_HTTP_PUT] = SL_STR_INIT("PUT"),
        [SL_HTTP_DELETE] = SL_STR_INIT("DELETE"), [SL_HTTP_OPTIONS] = SL_STR_INIT("OPTIONS"),
        [SL_HTTP_PATCH] = SL_STR_INIT("PATCH"),
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sl_str_eq(text, names[i])) return (enum sl_http_method)i;
    return SL_HTTP_OTHER;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static bool valid_path(struct sl_str path) {
    for (size_t i = 0; i < path.len; i++) {
        if (!(sl_http__class[(unsigned char)path.ptr[i]] & SL_HTTP_PATH)) return false;
        if (path.ptr[i] == '%' && (path.len - i < 3 || !is_hex(path.ptr[i + 1]) || !is_hex(path.ptr[i + 2])))
            return false;
    }
    return true;
}

static bool all_within(struct sl_str s, const char *bytes) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\0' || !strchr(bytes, s.ptr[i])) return false;
    return true;
}

// uri-host [":" port], RFC 9110 section 7.2. Empty is refused: there is no http URI without a host (RFC 9110
// section 4.2.1).
static bool valid_host(struct sl_str host) {
    ptrdiff_t name_end;
    if (host.len && host.ptr[0] == '[') { // IPv6
        ptrdiff_t close = sl_str_chr(host, ']', 0);
        if (close < 3 || !all_within(sl_str_sub(host, 1, (size_t)close), "0123456789abcdefABCDEF:.")) return false;
        name_end = close + 1;
    } else {
        name_end = sl_str_chr(host, ':', 0);
        if (name_end < 0) name_end = (ptrdiff_t)host.len;
        if (name_end == 0 || !all_of(sl_str_sub(host, 0, (size_t)name_end), SL_HTTP_HOST)) return false;
    }
    if ((size_t)name_end == host.len) return true;
    struct sl_str port = sl_str_sub(host, (size_t)name_end + 1, host.len);
    return host.ptr[name_end] == ':' && port.len <= 5 && all_within(port, "0123456789");
}

// Splits the path off the query. `rest` is what follows the authority, or the whole origin-form.
static bool split_target(struct sl_http_request *request, struct sl_str rest) {
    const char *mark = memchr(rest.ptr, '?', rest.len);
    request->path = mark ? sl_str_n(rest.ptr, (size_t)(mark - rest.ptr)) : rest;
    request->query = mark ? sl_str_n(mark + 1, rest.len - request->path.len - 1) : (struct sl_str){NULL, 0};
    if (request->path.len == 0) request->path = SL_STR("/");
    return valid_path(request->path) && all_of(request->query, SL_HTTP_QUERY);
}

// The four forms of RFC 9112 section 3.2, without authority-form (CONNECT is answered 501).
static bool parse_target(struct sl_http_request *request, struct sl_str target) {
    request->target = target;
    if (target.len == 0) return false;
    if (target.ptr[0] == '/') return split_target(request, target);
    if (target.len == 1 && target.ptr[0] == '*') {
        request->path = SL_STR("/");
        return request->method == SL_HTTP_OPTIONS;
    }
    ptrdiff_t colon = sl_str_chr(target, ':', 0);
    if (colon < 0) return false;
    struct sl_str scheme = sl_str_sub(target, 0, (size_t)colon), rest = sl_str_sub(target, (size_t)colon, target.len);
    bool known = sl_str_ieq(scheme, SL_STR("http")) || sl_str_ieq(scheme, SL_STR("https"));
    if (!known || !sl_str_starts(rest, SL_STR("://"))) return false;
    rest = sl_str_sub(rest, 3, rest.len);
    size_t authority = 0;
    while (authority < rest.len && rest.ptr[authority] != '/' && rest.ptr[authority] != '?') authority++;
    request->host = sl_str_sub(rest, 0, authority); // wins over the Host field (RFC 9112 section 3.2.2)
    return valid_host(request->host) && split_target(request, sl_str_sub(rest, authority, rest.len));
}

static enum sl_http_step parse_version(struct sl_http_request *request, struct sl_str version,
                                       struct sl_http_refusal *ret_refusal) {
    bool form = version.len == 8 && memcmp(version.ptr, "HTTP/", 5) == 0 && version.ptr[6] == '.' &&
                version.ptr[5] >= '0' && version.ptr[5] <= '9' && version.ptr[7] >= '0' && version.ptr[7] <= '9';
    if (!form) return bad(ret_refusal, 400, "the request line does not end with an HTTP version");
    if (version.ptr[5] != '1') return bad(ret_refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    request->minor = version.ptr[7] == '0' ? 0 : 1; // a higher minor version is answered as 1.1 (RFC 9110 section 2.5)
    return SL_HTTP_DONE;
}

static enum sl_http_step parse_request_line(struct sl_http_request *request, struct sl_str line,
                                            struct sl_http_refusal *ret_refusal) {
    const char *space = memchr(line.ptr, ' ', line.len);
    size_t method_len = space ? (size_t)(space - line.ptr) : line.len;
    request->method_text = sl_str_n(line.ptr, method_len);
    if (!space || method_len == 0 || !all_of(request->method_text, SL_HTTP_TOKEN))
        return bad(ret_refusal, 400, "the request line has no valid method");
    const char *target = space + 1, *end = line.ptr + line.len;
    const char *second = memchr(target, ' ', (size_t)(end - target));
    if (!second) return bad(ret_refusal, 400, "the request line has no HTTP version");
    // The version before the method, so that an HTTP/2 preface hears 505.
    enum sl_http_step step = parse_version(request, sl_str_n(second + 1, (size_t)(end - second) - 1), ret_refusal);
    if (step == SL_HTTP_BAD) return step;
    if (method_len > MAX_METHOD || sl_str_eq(request->method_text, SL_STR("CONNECT")))
        return bad(ret_refusal, 501, "the method is not implemented");
    request->method = method_of(request->method_text);
    if (!parse_target(request, sl_str_n(target, (size_t)(second - target))))
        return bad(ret_refusal, 400, "the request target is not valid");
    return SL_HTTP_DONE;
}

// ---- fields -------------------------------------------------------------------------------------------------------

// One line without its CR LF. RFC 9112 section 5: no space before the colon, no obs-fold.
static bool parse_field(struct sl_str line, struct sl_http_header *ret) {
    size_t name = 0;
    while (name < line.len && (sl_http__class[(unsigned char)line.ptr[name]] & SL_HTTP_TOKEN)) name++;
    if (name == 0 || name == line.len || line.ptr[name] != ':') return false;
    size_t from = name + 1, to = line.len;
    while (from < to && (line.ptr[from] == ' ' || line.ptr[from] == '\t')) from++;
    while (to > from && (line.ptr[to - 1] == ' ' || line.ptr[to - 1] == '\t')) to--;
    *ret = (struct sl_http_header){{line.ptr, name}, {line.ptr + from, to - from}};
    return all_of(ret->value, SL_HTTP_VALUE);
}

// Takes the next line (without CR LF) off `rest`; false at the end or at the empty line.
static bool next_line(struct sl_str *rest, struct sl_str *ret_line) {
    const char *lf = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!lf || lf - rest->ptr < 2) return false;
    size_t len = (size_t)(lf - rest->ptr);
    *ret_line = sl_str_n(rest->ptr, len - 1);
    *rest = sl_str_n(lf + 1, rest->len - len - 1);
    return true;
}

bool sl_http__parse_fields(struct sl_str lines, struct sl_http_header *fields, unsigned max, unsigned *ret_count) {
    struct sl_str line;
    for (*ret_count = 0; next_line(&lines, &line); ++*ret_count)
        if (*ret_count == max || !parse_field(line, &fields[*ret_count])) return false;
    return true;
}

// What the fields that http itself understands said.
struct meaning {
    struct sl_http_request *request;
    struct sl_http_framing *framing;
    struct sl_http_refusal *refusal;
    bool host, coding, close, keep_alive;
};

static enum sl_http_step on_host(struct meaning *meaning, struct sl_str value) {
    if (meaning->host) return bad(meaning->refusal, 400, "there is more than one Host field");
    if (!valid_host(value)) return bad(meaning->refusal, 400, "the Host field is not valid");
    meaning->host = true;
    if (!meaning->request->host.ptr) meaning->request->host = value;
    return SL_HTTP_DONE;
}

// One field with digits only: lists and repetitions are refused even if all members agree (RFC 9112 section 6.3 allows
// that).
static enum sl_http_step on_length(struct meaning *meaning, struct sl_str value) {
    struct sl_http_framing *framing = meaning->framing;
    if (framing->has_length) return bad(meaning->refusal, 400, "there is more than one Content-Length field");
    if (value.len == 0) return bad(meaning->refusal, 400, "Content-Length is not a number");
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return bad(meaning->refusal, 400, "Content-Length is not a number");
    framing->has_length = true;
    if (!sl_str_to_u64(value, &framing->length) || framing->length > INT64_MAX)
        return bad(meaning->refusal, 413, "Content-Length is too large");
    return SL_HTTP_DONE;
}

// RFC 9112 section 6.1: chunked must be there once and last; another coding before it is one we do not know (501).
static enum sl_http_step on_coding(struct meaning *meaning, struct sl_str value) {
    if (meaning->coding) return bad(meaning->refusal, 400, "there is more than one Transfer-Encoding field");
    meaning->coding = true;
    struct sl_str rest = value, part;
    bool chunked = false, other = false;
    while (sl_str_split(&rest, ',', &part)) {
        part = sl_str_trim(part);
        if (part.len == 0 || chunked)
            return bad(meaning->refusal, 400, "Transfer-Encoding does not end with one chunked");
        if (sl_str_ieq(part, SL_STR("chunked")))
            chunked = true;
        else
            other = true;
    }
    if (!chunked) return bad(meaning->refusal, 400, "Transfer-Encoding does not end with chunked");
    if (other) return bad(meaning->refusal, 501, "only the chunked transfer coding is implemented");
    meaning->framing->chunked = true;
    return SL_HTTP_DONE;
}

static enum sl_http_step on_connection(struct meaning *meaning, struct sl_str value) {
    struct sl_str rest = value, part;
    while (sl_str_split(&rest, ',', &part)) {
        part = sl_str_trim(part);
        if (sl_str_ieq(part, SL_STR("close")))
            meaning->close = true;
        else if (sl_str_ieq(part, SL_STR("keep-alive")))
            meaning->keep_alive = true;
    }
    return SL_HTTP_DONE;
}

static enum sl_http_step on_expect(struct meaning *meaning, struct sl_str value) {
    if (!sl_str_ieq(value, SL_STR("100-continue")))
        return bad(meaning->refusal, 417, "only the expectation 100-continue can be met");
    meaning->framing->expect_continue = true;
    return SL_HTTP_DONE;
}

static enum sl_http_step understand(struct meaning *meaning, const struct sl_http_header *field) {
    static const struct {
        struct sl_str name;
        enum sl_http_step (*on)(struct meaning *meaning, struct sl_str value);
    } known[] = {
        {SL_STR_INIT("host"), on_host},
        {SL_STR_INIT("content-length"), on_length},
        {SL_STR_INIT("transfer-encoding"), on_coding},
        {SL_STR_INIT("connection"), on_connection},
        {SL_STR_INIT("expect"), on_expect},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (field->name.len == known[i].name.len && sl_str_ieq(field->name, known[i].name))
            return known[i].on(meaning, field->value);
    return SL_HTTP_DONE;
}

// Rules between fields: RFC 9112 sections 3.2, 6.1, 6.3, 9.3.
static enum sl_http_step settle(struct meaning *meaning) {
    struct sl_http_framing *framing = meaning->framing;
    int minor = meaning->request->minor;
    if (minor >= 1 && !meaning->host) return bad(meaning->refusal, 400, "the Host field is missing");
    if (framing->chunked && framing->has_length)
        return bad(meaning->refusal, 400, "Content-Length and Transfer-Encoding are both there");
    if (framing->chunked && minor == 0) return bad(meaning->refusal, 400, "HTTP/1.0 has no Transfer-Encoding");
    framing->keep_alive = !meaning->close && (minor >= 1 || meaning->keep_alive);
    if (minor == 0) framing->expect_continue = false; // RFC 9110 section 10.1.1
    return SL_HTTP_DONE;
}

enum sl_http_step sl_http__parse_head(struct sl_str head, unsigned max_headers, struct sl_http_request *request,
                                      struct sl_http_framing *framing, struct sl_http_refusal *ret_refusal) {
    *framing = (struct sl_http_framing){0};
    request->header_count = 0;
    struct sl_str line, rest = head;
    if (!next_line(&rest, &line)) return bad(ret_refusal, 400, "there is no request line");
    enum sl_http_step step = parse_request_line(request, line, ret_refusal);
    struct meaning meaning = {.request = request, .framing = framing, .refusal = ret_refusal};
    while (step == SL_HTTP_DONE && next_line(&rest, &line)) {
        if (request->header_count == max_headers) return bad(ret_refusal, 431, "there are too many header fields");
        struct sl_http_header *field = &request->headers[request->header_count];
        if (!parse_field(line, field)) return bad(ret_refusal, 400, "a header field is not valid");
        request->header_count++;
        step = understand(&meaning, field);
    }
    return step == SL_HTTP_DONE ? settle(&meaning) : step;
}
