// SPDX-License-Identifier: Apache-2.0
//
// http: what handlers look up in a request, and reason phrases.
#include "http/http.h"
#include "base/encoding.h"

struct sl_str sl_http_header(const struct sl_http_request *request, struct sl_str name) {
    for (unsigned i = 0; i < request->header_count; i++) {
        const struct sl_http_header *header = &request->headers[i];
        if (header->name.len == name.len && sl_str_ieq(header->name, name)) return header->value;
    }
    return (struct sl_str){NULL, 0};
}

struct sl_str sl_http_query(const struct sl_http_request *request, struct sl_str name) {
    struct sl_str rest = request->query, pair, key, value;
    while (rest.ptr && sl_str_split(&rest, '&', &pair)) {
        ptrdiff_t equals = sl_str_chr(pair, '=', 0);
        struct sl_str raw_key = equals < 0 ? pair : sl_str_sub(pair, 0, (size_t)equals);
        struct sl_str raw_value = equals < 0 ? SL_STR("") : sl_str_sub(pair, (size_t)equals + 1, pair.len);
        // A broken escape is taken as it stands.
        if (!sl_percent_decode(request->arena, raw_key, true, &key)) key = raw_key;
        if (!sl_str_eq(key, name)) continue;
        return sl_percent_decode(request->arena, raw_value, true, &value) ? value : raw_value;
    }
    return (struct sl_str){NULL, 0};
}

// RFC 9110 section 15, RFC 6585.
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {511, "Network Authentication Required"},
};

const char *sl_http_reason(int status) {
    if (status == 200) return "OK";
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}
