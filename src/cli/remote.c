// SPDX-License-Identifier: Apache-2.0
//
// remote: the command line as a client of a server, through libcurl. Every request is signed (SigV4, by libcurl) with
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else with test/test, which a server on loopback accepts; the region and
// the account come from there.
#include "cli/internal.h"

#include "base/encoding.h"
#include "cli/curl.h"

#include <stdlib.h>

enum { CONNECT_SECONDS = 5 };

// One transfer, while libcurl calls back.
struct transfer {
    const struct sl_cli_request *request;
    struct sl_cli *cli;
    const struct sl_cli__curl *lib;
    CURL *curl;
    struct sl_buf body;
    struct sl_cli_answer *answer;
    bool stopped; // by the receiver of the parts
};

static size_t on_body(char *bytes, size_t one, size_t len, void *user) {
    struct transfer *t = user;
    len *= one;
    long status = 0;
    t->lib->getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->part && status < 400) {
        t->stopped = !t->request->part(t->request->user, sl_str_n(bytes, len));
        return t->stopped ? 0 : len;
    }
    sl_buf_put(&t->body, bytes, len);
    return t->body.failed ? 0 : len;
}

static size_t on_header(char *bytes, size_t one, size_t len, void *user) {
    struct transfer *t = user;
    len *= one;
    const struct {
        const char *name;
        struct sl_str *value;
    } wanted[] = {{"x-amz-function-error", &t->answer->function_error},
                  {"x-amz-log-result", &t->answer->log_result},
                  {"x-amzn-errortype", &t->answer->error_type}};
    struct sl_str line = sl_str_n(bytes, len);
    ptrdiff_t colon = sl_str_chr(line, ':', 0);
    if (colon < 0) return len;
    while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r')) line.len--;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (sl_str_ieq(sl_str_sub(line, 0, (size_t)colon), sl_str_of(wanted[i].name))) {
            *wanted[i].value = sl_arena_dup(t->cli->arena, sl_str_trim(sl_str_sub(line, (size_t)colon + 1, line.len)));
        }
    }
    return len;
}

static const char *environment(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static void set_up(struct transfer *t, char *url, char *scope, char *user, struct curl_slist *headers) {
    const struct sl_cli_request *request = t->request;
    CURL *curl = t->curl;
    __typeof__(curl_easy_setopt) *setopt = t->lib->setopt;
    setopt(curl, CURLOPT_URL, url);
    setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body.ptr) {
        setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        setopt(curl, CURLOPT_POSTFIELDS, request->body.ptr);
    }
    setopt(curl, CURLOPT_HTTPHEADER, headers);
    setopt(curl, CURLOPT_AWS_SIGV4, scope);
    setopt(curl, CURLOPT_USERPWD, user);
    setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    setopt(curl, CURLOPT_WRITEDATA, t);
    setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    setopt(curl, CURLOPT_HEADERDATA, t);
    setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    setopt(curl, CURLOPT_NOPROXY,
           "localhost,127.0.0.1,::1"); // a proxy of the environment must not get in between
    setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

static int no_answer(const struct transfer *t, CURLcode code, struct sl_error *err) {
    const struct sl_cli_target *target = t->request->target;
    if (code == CURLE_COULDNT_CONNECT) {
        return sl_fail(err, SL_E_UNAVAILABLE,
                       "no server answers at %s. Start one with `sluice serve` (or `make run`), or name another with "
                       "--endpoint or SLUICE_ENDPOINT",
                       target->endpoint);
    }
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        return sl_fail(err, SL_E_USAGE, "'%s' is not the address of a server; it looks like http://127.0.0.1:4566",
                       target->endpoint);
    }
    return sl_fail(err, SL_E_IO, "asking %s: %s", target->endpoint, t->lib->strerror(code));
}

// Strings libcurl needs; false when the arena is full.
static bool prepare(struct transfer *t, char **url, char **scope, char **user, struct curl_slist **headers) {
    struct sl_arena *arena = t->cli->arena;
    const struct sl_cli_request *request = t->request;
    struct sl_str base = sl_str_of(request->target->endpoint);
    while (sl_str_ends(base, SL_STR("/"))) base.len--;
    *url = sl_arena_cstr(arena, sl_arena_printf(arena, "%.*s%.*s", SL_FMT(base), SL_FMT(request->path)));
    *scope = sl_arena_cstr(arena, sl_arena_printf(arena, "aws:amz:%s:%s", request->target->region, request->service));
    *user = sl_arena_cstr(arena, sl_arena_printf(arena, "%s:%s", environment("AWS_ACCESS_KEY_ID", "test"),
                                                 environment("AWS_SECRET_ACCESS_KEY", "test")));
    // "Expect:" alone keeps libcurl from waiting for 100 Continue; the body's type is JSON unless the caller says
    // otherwise.
    *headers = t->lib->append(t->lib->append(NULL, "Expect:"), "Content-Type: application/json");
    for (const char *const *header = request->headers; header && *header; header++)
        *headers = t->lib->append(*headers, *header);
    return *url && *scope && *user && *headers;
}

int sl_cli__send(struct sl_cli *cli, const struct sl_cli_request *request, struct sl_cli_answer *ret,
                 struct sl_error *err) {
    *ret = (struct sl_cli_answer){0};
    struct transfer t = {.request = request, .cli = cli, .answer = ret};
    if (sl_cli__curl_load(&t.lib, err)) return err->kind;
    t.curl = t.lib->init();
    sl_buf_init(&t.body, SL_CLI_ANSWER_MAX);
    char *url, *scope, *user;
    struct curl_slist *headers = NULL;
    int failed = 0;
    if (!t.curl || !prepare(&t, &url, &scope, &user, &headers)) {
        failed = sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    } else {
        set_up(&t, url, scope, user, headers);
        CURLcode code = t.lib->perform(t.curl);
        if (code != CURLE_OK && !t.stopped) failed = no_answer(&t, code, err);
        t.lib->getinfo(t.curl, CURLINFO_RESPONSE_CODE, &ret->status);
    }
    if (!failed && t.body.len) {
        ret->body = sl_arena_dup(cli->arena, sl_buf_view(&t.body));
        struct sl_error ignored;
        if (sl_json_parse(cli->arena, ret->body, &ret->json, &ignored) != 0) ret->json = NULL;
    }
    t.lib->free_all(headers);
    t.lib->cleanup(t.curl);
    sl_buf_free(&t.body);
    return failed;
}

int sl_cli__answer_error(const struct sl_cli_answer *answer, struct sl_error *err) {
    // "ResourceNotFoundException:http://internal..." in the header; the message is "message" or "Message".
    struct sl_str type = answer->error_type;
    ptrdiff_t colon = sl_str_chr(type, ':', 0);
    if (colon >= 0) type = sl_str_sub(type, 0, (size_t)colon);
    struct sl_str message = sl_json_string(answer->json, "message");
    if (!message.ptr) message = sl_json_string(answer->json, "Message");
    if (!message.ptr) message = sl_str_sub(answer->body, 0, 400);
    if (!type.len) return sl_fail(err, SL_E_IO, "the server answered %ld: %.*s", answer->status, SL_FMT(message));
    return sl_fail(err, SL_E_IO, "%.*s: %.*s", SL_FMT(type), SL_FMT(message));
}

int sl_cli__call(struct sl_cli *cli, const struct sl_cli_request *request, struct sl_cli_answer *ret,
                 struct sl_error *err) {
    int failed = sl_cli__send(cli, request, ret, err);
    if (failed) return failed;
    return ret->status >= 400 ? sl_cli__answer_error(ret, err) : 0;
}

int sl_cli__json(struct sl_cli *cli, const struct sl_cli_target *target, const char *service, const char *method,
                 struct sl_str path, const struct sl_json *body, struct sl_cli_answer *ret, struct sl_error *err) {
    struct sl_buf text;
    sl_buf_init(&text, SL_CLI_BODY_MAX);
    if (body) sl_json_write(&text, body);
    struct sl_cli_request request = {.target = target, .service = service, .method = method, .path = path};
    if (body) request.body = sl_buf_view(&text);
    int failed = text.failed ? sl_fail(err, SL_E_LIMIT, "the request is larger than %d bytes", SL_CLI_BODY_MAX)
                             : sl_cli__call(cli, &request, ret, err);
    sl_buf_free(&text);
    return failed;
}

static struct sl_str encoded(struct sl_cli *cli, struct sl_str text) {
    struct sl_buf buf;
    sl_buf_init(&buf, 65536);
    sl_percent_encode(&buf, text, false);
    struct sl_str copy = sl_arena_dup(cli->arena, sl_buf_view(&buf));
    sl_buf_free(&buf);
    return copy;
}

struct sl_str sl_cli__function_path(struct sl_cli *cli, struct sl_str name, const char *rest) {
    return sl_arena_printf(cli->arena, "/2015-03-31/functions/%.*s%s", SL_FMT(encoded(cli, name)), rest);
}

// One page after the other: `list` names the array, `next` the token's member, `query` the token's parameter.
static int each(struct sl_cli *cli, const struct sl_cli_target *target, const char *service, struct sl_str path,
                const char *list, const char *next, const char *query, int (*call)(void *user, struct sl_json *item),
                void *user, struct sl_error *err) {
    struct sl_str at = path;
    for (;;) {
        struct sl_cli_answer answer;
        int failed = sl_cli__json(cli, target, service, "GET", at, NULL, &answer, err);
        if (failed) return failed;
        struct sl_json *items = sl_json_get(answer.json, list);
        for (struct sl_json *item = items ? items->first : NULL, *next_item; item; item = next_item) {
            next_item = item->next; // the receiver may take the node
            int stop = call(user, item);
            if (stop) return stop;
        }
        struct sl_str token = sl_json_string(answer.json, next);
        if (!token.len) return 0;
        at = sl_arena_printf(cli->arena, "%.*s?%s=%.*s", SL_FMT(path), query, SL_FMT(encoded(cli, token)));
        if (!at.ptr) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    }
}

int sl_cli__each_item(struct sl_cli *cli, const struct sl_cli_target *target, struct sl_str path,
                      int (*call)(void *, struct sl_json *), void *user, struct sl_error *err) {
    return each(cli, target, "apigateway", path, "items", "nextToken", "nextToken", call, user, err);
}

int sl_cli__each_function(struct sl_cli *cli, const struct sl_cli_target *target, int (*call)(void *, struct sl_json *),
                          void *user, struct sl_error *err) {
    return each(cli, target, "lambda", SL_STR("/2015-03-31/functions/"), "Functions", "NextMarker", "Marker", call,
                user, err);
}
