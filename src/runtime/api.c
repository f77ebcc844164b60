// SPDX-License-Identifier: Apache-2.0
//
// api: the endpoints of the Runtime API. See runtime.h. Answers and error bodies follow AWS's Runtime Interface
// Emulator.
#include "runtime/runtime.h"

#include "base/encoding.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RESPONSE_MAX = 6291556,  // the number AWS's message names
    ERROR_MAX = 1024 * 1024, // error bodies and causes: AWS drops larger ones
    HEAD_MAX = 64 * 1024,    // X-Ray causes travel in a header
    BODY_TIMEOUT_MS = 60000,
};

static const struct sl_str invocation_path = SL_STR_INIT("/2018-06-01/runtime/invocation/");
static const struct sl_str json_type = SL_STR_INIT("application/json");

static const struct sl_http_config *config(void);

// ---- answers ----------------------------------------------------------------------------------------------------

static void refuse(struct sl_http_request *request, int status, const char *type, const char *message) {
    struct sl_str body =
        sl_arena_printf(request->arena, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n", message, type);
    sl_http_respond(request, status, json_type, body);
}

static void refuse_state(struct sl_http_request *request, const char *from, const char *to) {
    struct sl_str message =
        sl_arena_printf(request->arena,
                        "State transition from %s to %s failed for runtime. Error: State transition is "
                        "not allowed",
                        from, to);
    refuse(request, 403, "InvalidStateTransition", message.ptr);
}

static void accept_answer(struct sl_http_request *request) {
    sl_http_respond_lazy(request, 202, json_type, SL_STR("{\"status\":\"OK\"}\n"));
}

static const char *state_name(const struct sl_runtime *runtime) {
    if (!runtime->initialised) return "Started";
    return runtime->current[0] ? "Running" : "Ready";
}

// ---- endpoints --------------------------------------------------------------------------------------------------

static void next_gone(struct sl_http_request *request) {
    struct sl_runtime *runtime = request->user;
    if (runtime->parked != request) return;
    runtime->parked = NULL;
    runtime->handler->gone(runtime);
}

static void handle_next(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_http_request *before = runtime->parked;
    if (before) {
        // The newest wins: whoever asks again has most likely lost the connection of the first, which we have not heard
        // yet.
        request->user = runtime;
        request->aborted = next_gone;
        runtime->parked = request;
        before->aborted = NULL;
        refuse_state(before, "Ready", "Ready");
        return;
    }
    request->user = runtime;
    request->aborted = next_gone;
    runtime->parked = request;
    runtime->initialised = true;
    runtime->handler->ready(runtime);
}

// Error details of a streamed answer come in trailers: the type as it is, the body in base64.
static bool streamed_error(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_str type = {NULL, 0}, body = SL_STR("");
    for (unsigned i = 0; i < request->trailer_count; i++) {
        const struct sl_http_header *trailer = &request->trailers[i];
        if (sl_str_ieq(trailer->name, SL_STR("Lambda-Runtime-Function-Error-Type"))) type = trailer->value;
        if (sl_str_ieq(trailer->name, SL_STR("Lambda-Runtime-Function-Error-Body")) &&
            !sl_base64_decode(request->arena, trailer->value, &body)) {
            body = trailer->value;
        }
    }
    if (!type.len) return false;
    runtime->handler->error(runtime, body, type);
    return true;
}

static void handle_answer(struct sl_runtime *runtime, struct sl_http_request *request, bool failed) {
    runtime->current[0] = '\0';
    if (failed) {
        runtime->handler->error(runtime, request->body,
                                sl_http_header(request, SL_STR("Lambda-Runtime-Function-Error-Type")));
    } else if (!request->trailer_count || !streamed_error(runtime, request)) {
        runtime->handler->response(runtime, request->body, sl_http_header(request, SL_STR("Content-Type")));
    }
    accept_answer(request);
}

static void handle_init_error(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (runtime->initialised) {
        refuse_state(request, state_name(runtime), "InitError");
        return;
    }
    runtime->handler->init_error(runtime, request->body,
                                 sl_http_header(request, SL_STR("Lambda-Runtime-Function-Error-Type")));
    accept_answer(request);
}

// Splits ".../invocation/{id}/{verb}"; false when the path has another form.
static bool parse_invocation(struct sl_str path, struct sl_str *ret_id, struct sl_str *ret_verb) {
    if (!sl_str_starts(path, invocation_path)) return false;
    struct sl_str rest = sl_str_sub(path, invocation_path.len, path.len);
    ptrdiff_t slash = sl_str_chr(rest, '/', 0);
    if (slash < 0) return false;
    *ret_id = sl_str_sub(rest, 0, (size_t)slash);
    *ret_verb = sl_str_sub(rest, (size_t)slash + 1, rest.len);
    return true;
}

static bool is_current(const struct sl_runtime *runtime, struct sl_str id) {
    return runtime->current[0] && sl_str_is(id, runtime->current);
}

static void handle(struct sl_http_request *request, void *user) {
    struct sl_runtime *runtime = user;
    bool get = request->method == SL_HTTP_GET, post = request->method == SL_HTTP_POST;
    struct sl_str id, verb;
    if (get && sl_str_is(request->path, "/2018-06-01/runtime/invocation/next")) {
        handle_next(runtime, request);
    } else if (post && sl_str_is(request->path, "/2018-06-01/runtime/init/error")) {
        handle_init_error(runtime, request);
    } else if (post && parse_invocation(request->path, &id, &verb) &&
               (sl_str_is(verb, "response") || sl_str_is(verb, "error"))) {
        if (is_current(runtime, id))
            handle_answer(runtime, request, sl_str_is(verb, "error"));
        else
            refuse(request, 400, "InvalidRequestID", "Invalid request ID");
    } else if (get && sl_str_is(request->path, "/2018-06-01/ping")) {
        sl_http_respond(request, 200, SL_STR("text/plain"), SL_STR("pong"));
    } else {
        sl_http_respond(request, 404, SL_STR("text/plain; charset=utf-8"), SL_STR("404 page not found\n"));
    }
}

// ---- limits -----------------------------------------------------------------------------------------------------

static const char too_large_text[] = "Exceeded maximum allowed payload size (6291556 bytes).";

// A response that announces too many bytes is refused before they are read; one that is chunked is refused by http when
// it passes the limit (see `refused`).
static int head(struct sl_http_request *request, size_t *max_body, void *user) {
    struct sl_runtime *runtime = user;
    struct sl_str id, verb;
    bool response = parse_invocation(request->path, &id, &verb) && sl_str_is(verb, "response");
    *max_body = response ? RESPONSE_MAX : ERROR_MAX;
    uint64_t length;
    if (!response || !sl_str_to_u64(sl_http_header(request, SL_STR("Content-Length")), &length) ||
        length <= RESPONSE_MAX) {
        return 0;
    }
    if (is_current(runtime, id)) {
        runtime->current[0] = '\0';
        runtime->handler->too_large(runtime);
    }
    refuse(request, 413, "RequestEntityTooLarge", too_large_text);
    return 1;
}

static void refused(struct sl_http_conn *conn, int status, const char *reason, struct sl_buf *headers,
                    struct sl_buf *body, void *user) {
    (void)conn;
    struct sl_runtime *runtime = user;
    sl_buf_cstr(headers, "Content-Type: application/json\r\n");
    if (status == 413) {
        if (runtime->current[0]) {
            runtime->current[0] = '\0';
            runtime->handler->too_large(runtime);
        }
        sl_buf_printf(body, "{\"errorMessage\":\"%s\",\"errorType\":\"RequestEntityTooLarge\"}\n", too_large_text);
    } else {
        sl_buf_printf(body, "{\"errorMessage\":\"%s\",\"errorType\":\"InvalidRequest\"}\n", reason);
    }
}

// ---- connections ------------------------------------------------------------------------------------------------

static void closed(struct sl_http_conn *conn, void *user) {
    struct sl_runtime *runtime = user;
    if (!runtime) return; // closed by sl_runtime_close
    for (unsigned i = 0; i < runtime->conn_count; i++) {
        if (runtime->conns[i] != conn) continue;
        runtime->conns[i] = runtime->conns[--runtime->conn_count];
        break;
    }
}

static void accept_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_runtime *runtime = SL_CONTAINER(watch, struct sl_runtime, listener);
    for (;;) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        // A function that opens more connections than any runtime needs only harms itself.
        if (runtime->conn_count == SL_RUNTIME_CONNS) {
            close(fd);
            continue;
        }
        struct sl_http_conn *conn;
        struct sl_error err;
        if (sl_http_conn_new(runtime->loop, fd, config(), &conn, &err)) {
            sl_log_warn("runtime", "connection of an instance refused: %s", err.message);
            continue;
        }
        sl_http_conn_set_user(conn, runtime);
        runtime->conns[runtime->conn_count++] = conn;
    }
}

static const struct sl_http_config *config(void) {
    static const struct sl_http_handler handler = {
        .head = head, .handle = handle, .refused = refused, .closed = closed};
    static const struct sl_http_config value = {
        .handler = &handler,
        .max_head = HEAD_MAX,
        .max_headers = 64,
        .max_body = RESPONSE_MAX,
        .head_timeout_ms = BODY_TIMEOUT_MS,
        .body_timeout_ms = BODY_TIMEOUT_MS,
        .idle_timeout_ms = 0,
        .write_timeout_ms = BODY_TIMEOUT_MS,
        .lazy_ack = true,
    };
    return &value;
}

int sl_runtime_open(struct sl_runtime *runtime, struct sl_loop *loop, int listen_fd,
                    const struct sl_runtime_handler *handler, void *user, struct sl_error *err) {
    *runtime = (struct sl_runtime){.handler = handler, .user = user, .loop = loop, .listener.fd = -1};
    if (sl_watch_start(loop, &runtime->listener, listen_fd, EPOLLIN, accept_ready, err)) {
        close(listen_fd);
        return err->kind;
    }
    return 0;
}

void sl_runtime_close(struct sl_runtime *runtime) {
    if (!runtime->loop) return;
    runtime->parked = NULL; // next_gone has nothing to report
    while (runtime->conn_count) {
        struct sl_http_conn *conn = runtime->conns[--runtime->conn_count];
        sl_http_conn_set_user(conn, NULL);
        sl_http_conn_close(conn);
    }
    if (runtime->listener.fd >= 0) {
        sl_watch_stop(&runtime->listener);
        close(runtime->listener.fd);
        runtime->listener.fd = -1;
    }
    runtime->loop = NULL;
}

void sl_runtime_detach(struct sl_runtime *runtime) {
    sl_watch_stop(&runtime->listener);
    for (unsigned i = 0; i < runtime->conn_count; i++) sl_http_conn_detach(runtime->conns[i]);
}

int sl_runtime_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err) {
    runtime->loop = loop;
    for (unsigned i = 0; i < runtime->conn_count; i++) {
        if (sl_http_conn_attach(runtime->conns[i], loop, err)) return err->kind;
    }
    return sl_watch_start(loop, &runtime->listener, runtime->listener.fd, EPOLLIN, accept_ready, err);
}

void sl_runtime_send(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    struct sl_http_request *request = runtime->parked;
    runtime->parked = NULL;
    request->aborted = NULL;
    memcpy(runtime->current, event->request_id.ptr, event->request_id.len);
    runtime->current[event->request_id.len] = '\0';
    char deadline[24];
    int digits = snprintf(deadline, sizeof deadline, "%lld", (long long)event->deadline_ms);
    sl_http_begin(request, 200);
    sl_http_add(request, SL_STR("Content-Type"), json_type);
    sl_http_add(request, SL_STR("Lambda-Runtime-Aws-Request-Id"), event->request_id);
    sl_http_add(request, SL_STR("Lambda-Runtime-Deadline-Ms"), sl_str_n(deadline, (size_t)digits));
    sl_http_add(request, SL_STR("Lambda-Runtime-Invoked-Function-Arn"), event->function_arn);
    sl_http_add(request, SL_STR("Lambda-Runtime-Trace-Id"), event->trace_id);
    if (event->client_context.len) {
        sl_http_add(request, SL_STR("Lambda-Runtime-Client-Context"), event->client_context);
    }
    if (event->tenant_id.len) sl_http_add(request, SL_STR("Lambda-Runtime-Aws-Tenant-Id"), event->tenant_id);
    sl_http_body(request, event->payload);
}
