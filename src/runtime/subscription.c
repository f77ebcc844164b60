// SPDX-License-Identifier: Apache-2.0
//
// subscription: PUT /2022-07-01/telemetry and PUT /2020-08-15/logs: reading and checking what an extension asks for.
//
//   {"schemaVersion": "2022-12-13", "types": ["platform", "function", "extension"],
//    "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 100},
//    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/path"}}
//
// Sources: "Lambda Telemetry API reference" and "Lambda Logs API", Lambda developer guide: the members, their ranges
// and defaults, the form of the error ("URI port is not provided; types should not be empty": all that is wrong, in one
// sentence).
#include "base/json.h"
#include "runtime/internal.h"
#include "runtime/subscriber.h"
#include "runtime/telemetry.h"

#include <stdarg.h>
#include <stdio.h>

static const struct sl_str json_type = SL_STR_INIT("application/json");

struct problems {
    char text[1024];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct problems *problems, const char *format, ...) {
    va_list arguments;
    size_t room = sizeof problems->text - problems->len;
    if (problems->len) {
        int used = snprintf(problems->text + problems->len, room, "; ");
        problems->len += (size_t)used < room ? (size_t)used : 0;
        room = sizeof problems->text - problems->len;
    }
    va_start(arguments, format);
    int used = vsnprintf(problems->text + problems->len, room, format, arguments);
    va_end(arguments);
    if (used > 0) problems->len += (size_t)used < room ? (size_t)used : room - 1;
}

// ---- members
// ----------------------------------------------------------------------------------------------------------

static const struct {
    const char *text;
    bool logs;
    enum sl_subscriber_dialect dialect;
} versions[] = {
    {"2022-07-01", false, SL_DIALECT_TELEMETRY}, {"2022-12-13", false, SL_DIALECT_TELEMETRY},
    {"2025-01-29", false, SL_DIALECT_TELEMETRY}, {"2020-08-15", true, SL_DIALECT_LOGS_2020},
    {"2021-03-18", true, SL_DIALECT_LOGS_2021},
};

static void read_version(const struct sl_json *body, bool logs, struct sl_subscription *asked,
                         struct problems *problems) {
    const struct sl_json *version = sl_json_get(body, "schemaVersion");
    // The Logs API's first version had no such member.
    asked->dialect = logs ? SL_DIALECT_LOGS_2020 : SL_DIALECT_TELEMETRY;
    if (!version && logs) return;
    if (!version || version->type != SL_JSON_STRING) {
        wrong(problems, "schemaVersion should not be empty");
        return;
    }
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (versions[i].logs != logs || !sl_str_is(version->text, versions[i].text)) continue;
        asked->dialect = versions[i].dialect;
        return;
    }
    wrong(problems, "schemaVersion %.*s is not supported", (int)(version->text.len < 40 ? version->text.len : 40),
          version->text.len ? version->text.ptr : "");
}

static void read_types(const struct sl_json *body, struct sl_subscription *asked, struct problems *problems) {
    static const struct {
        const char *name;
        unsigned kind;
    } kinds[] = {{"platform", SL_TELEMETRY_PLATFORM},
                 {"function", SL_TELEMETRY_FUNCTION},
                 {"extension", SL_TELEMETRY_EXTENSION}};
    const struct sl_json *types = sl_json_get(body, "types");
    if (!types || types->type != SL_JSON_ARRAY || !types->count) {
        wrong(problems, "types should not be empty");
        return;
    }
    for (const struct sl_json *type = types->first; type; type = type->next) {
        unsigned kind = 0;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            if (type->type == SL_JSON_STRING && sl_str_is(type->text, kinds[i].name)) kind = kinds[i].kind;
        asked->kinds |= kind;
        if (!kind)
            wrong(problems, "type %.*s is not supported", (int)(type->text.len < 40 ? type->text.len : 40),
                  type->text.len ? type->text.ptr : "");
    }
}

static unsigned read_number(const struct sl_json *buffering, const char *name, unsigned fallback, unsigned low,
                            unsigned high, struct problems *problems) {
    const struct sl_json *member = sl_json_get(buffering, name);
    int64_t value;
    if (!member || member->type == SL_JSON_NULL) return fallback;
    if (member->type == SL_JSON_NUMBER && sl_json_to_i64(member, &value) && value >= low && value <= high)
        return (unsigned)value;
    wrong(problems, "%s should be between %u and %u", name, low, high);
    return fallback;
}

static void read_buffering(const struct sl_json *body, struct sl_subscription *asked, struct problems *problems) {
    const struct sl_json *buffering = sl_json_get(body, "buffering");
    if (buffering && buffering->type != SL_JSON_OBJECT && buffering->type != SL_JSON_NULL)
        wrong(problems, "buffering should be an object");
    asked->max_items = read_number(buffering, "maxItems", 10000, 1000, 10000, problems);
    asked->max_bytes = read_number(buffering, "maxBytes", 262144, 262144, 1048576, problems);
    asked->timeout_ms = read_number(buffering, "timeoutMs", 1000, 25, 30000, problems);
}

static void read_port(const struct sl_json *destination, struct sl_subscription *asked, struct problems *problems) {
    int64_t port;
    const struct sl_json *member = sl_json_get(destination, "port");
    if (!member || member->type != SL_JSON_NUMBER || !sl_json_to_i64(member, &port) || port < 1 || port > 65535)
        wrong(problems, "port should be between 1 and 65535");
    else
        asked->port = (uint16_t)port;
}

// http://sandbox.localdomain:PORT[/path]. No other host can be reached from where it is sent.
static void read_uri(const struct sl_json *destination, struct sl_subscription *asked, struct problems *problems) {
    struct sl_str uri = sl_json_string(destination, "URI"), scheme = SL_STR("http://");
    if (!uri.len) {
        wrong(problems, "URI should not be empty");
        return;
    }
    if (!sl_str_starts(uri, scheme)) {
        wrong(problems, "URI scheme should be http");
        return;
    }
    uri = sl_str_sub(uri, scheme.len, uri.len);
    size_t end = 0;
    while (end < uri.len && uri.ptr[end] != '/' && uri.ptr[end] != '?' && uri.ptr[end] != '#') end++;
    struct sl_str authority = sl_str_sub(uri, 0, end), path = sl_str_sub(uri, end, uri.len);
    ptrdiff_t colon = sl_str_chr(authority, ':', 0);
    struct sl_str host = sl_str_sub(authority, 0, colon < 0 ? authority.len : (size_t)colon);
    uint64_t port = 0;
    if (!sl_str_is(host, "sandbox") && !sl_str_is(host, "sandbox.localdomain"))
        wrong(problems, "URI host should be sandbox.localdomain");
    else
        snprintf(asked->host, sizeof asked->host, "%.*s", SL_FMT(host));
    if (colon < 0 || (size_t)colon + 1 == authority.len)
        wrong(problems, "URI port is not provided");
    else if (!sl_str_to_u64(sl_str_sub(authority, (size_t)colon + 1, authority.len), &port) || !port || port > 65535)
        wrong(problems, "URI port is not valid");
    asked->port = (uint16_t)port;
    bool plain = path.len + 2 < sizeof asked->path;
    for (size_t i = 0; i < path.len; i++) plain = plain && path.ptr[i] > ' ' && path.ptr[i] < 0x7f;
    if (!plain)
        wrong(problems, "URI path is not valid");
    else
        snprintf(asked->path, sizeof asked->path, "%s%.*s", path.len && path.ptr[0] == '/' ? "" : "/", SL_FMT(path));
}

static void read_destination(const struct sl_json *body, bool logs, struct sl_subscription *asked,
                             struct problems *problems) {
    const struct sl_json *destination = sl_json_get(body, "destination");
    if (!destination || destination->type != SL_JSON_OBJECT) {
        wrong(problems, "destination should not be empty");
        return;
    }
    struct sl_str protocol = sl_json_string(destination, "protocol");
    asked->http = sl_str_ieq(protocol, SL_STR("HTTP"));
    if (asked->http)
        read_uri(destination, asked, problems);
    else if (sl_str_ieq(protocol, SL_STR("TCP")))
        read_port(destination, asked, problems);
    else
        wrong(problems, "protocol should be HTTP or TCP");
    struct sl_str method = sl_json_string(destination, "method"), encoding = sl_json_string(destination, "encoding");
    asked->put = logs && sl_str_ieq(method, SL_STR("PUT"));
    if (logs && method.len && !asked->put && !sl_str_ieq(method, SL_STR("POST")))
        wrong(problems, "method should be POST or PUT");
    if (logs && encoding.len && !sl_str_ieq(encoding, SL_STR("JSON"))) wrong(problems, "encoding should be JSON");
}

// ---- the request
// ------------------------------------------------------------------------------------------------------

static void read_request(struct sl_http_request *request, bool logs, struct sl_subscription *asked,
                         struct problems *problems) {
    struct sl_json *body;
    struct sl_error err;
    if (sl_json_parse(request->arena, request->body, &body, &err) || body->type != SL_JSON_OBJECT) {
        wrong(problems, "request body is not a JSON object");
        return;
    }
    read_version(body, logs, asked, problems);
    read_types(body, asked, problems);
    read_buffering(body, asked, problems);
    read_destination(body, logs, asked, problems);
}

void sl_runtime__subscribe(struct sl_runtime *runtime, struct sl_http_request *request, const char *extension,
                           bool logs) {
    struct problems problems = {.len = 0};
    struct sl_subscription asked = {.http = false};
    const char *invalid = logs ? "Logs.ValidationError" : "ValidationError";
    snprintf(asked.name, sizeof asked.name, "%s", extension);
    read_request(request, logs, &asked, &problems);
    if (!problems.len && sl_runtime__telemetry_conflict(runtime, &asked))
        wrong(&problems, "the extension has subscribed with the %s API already", logs ? "Telemetry" : "Logs");
    if (problems.len) {
        sl_runtime__refuse(request, 400, invalid, sl_str_n(problems.text, problems.len));
    } else if (sl_runtime__telemetry_is_closed(runtime)) {
        sl_runtime__refuse(request, 403, logs ? "Logs.SubscriptionClosed" : "Telemetry.SubscriptionClosed",
                           logs ? SL_STR("Logs API subscription is closed")
                                : SL_STR("Telemetry API subscription is closed"));
    } else if (!sl_runtime__telemetry_subscribe(runtime, &asked)) {
        sl_runtime__refuse(request, 500, "InternalServerError", SL_STR("Internal Server Error"));
    } else {
        sl_http_respond(request, 200, json_type, SL_STR("\"OK\""));
        runtime->handler->subscribed(runtime, sl_str_of(asked.name), logs, asked.kinds);
    }
}
