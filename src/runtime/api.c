// SPDX-License-Identifier: Apache-2.0
//
// api: the endpoints of the Runtime API. See runtime.h. Answers and error bodies follow AWS's Runtime Interface
// Emulator.
#include "runtime/internal.h"

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RESPONSE_MAX = SL_RUNTIME__RESPONSE_MAX,
    ERROR_MAX = SL_RUNTIME__ERROR_MAX, // and of causes
    HEAD_MAX = 64 * 1024,              // X-Ray causes travel in a header
    OTHER_MAX = 64 * 1024,             // bodies that are no answer to an event
    ACCEPTS = 64,                      // connections taken per turn: an instance may connect as fast as they are
    STALL_TIMEOUT_MS = 60000,
};

static const struct sl_str invocation_path = SL_STR_INIT("/2018-06-01/runtime/invocation/");
static const struct sl_str json_type = SL_STR_INIT("application/json");

static const struct sl_http_config *config(void);

// ---- answers ----------------------------------------------------------------------------------------------------

void sl_runtime__refuse(struct sl_http_request *request, int status, const char *type, struct sl_str message) {
    struct sl_buf body;
    sl_buf_init(&body, 128 * 1024);
    sl_buf_cstr(&body, "{\"errorMessage\":");
    sl_json_write_string(&body, message);
    sl_buf_printf(&body, ",\"errorType\":\"%s\"}\n", type);
    sl_http_respond(request, status, json_type, sl_buf_view(&body));
    sl_buf_free(&body);
}

static void refuse(struct sl_http_request *request, int status, const char *type, const char *message) {
    sl_runtime__refuse(request, status, type, sl_str_of(message));
}

static const char *const state_names[] = {
    [SL_RUNTIME_STARTED] = "Started",
    [SL_RUNTIME_INIT_ERROR] = "InitError",
    [SL_RUNTIME_WAITING] = "Ready",
    [SL_RUNTIME_RUNNING] = "Running",
    [SL_RUNTIME_SENT] = "ResponseSent",
    [SL_RUNTIME_RESPONDING] = "InvocationResponse",
    [SL_RUNTIME_RESTORE_READY] = "RestoreReady",
    [SL_RUNTIME_RESTORING] = "Restoring",
    [SL_RUNTIME_RESTORE_ERROR] = "RestoreError",
};

void sl_runtime__refuse_state(struct sl_http_request *request, enum sl_runtime_state from, const char *to) {
    struct sl_str message =
        sl_arena_printf(request->arena,
                        "State transition from %s to %s failed for runtime. Error: State transition "
                        "is not allowed",
                        state_names[from], to);
    refuse(request, 403, "InvalidStateTransition", message.ptr ? message.ptr : "");
}

void sl_runtime__accept(struct sl_http_request *request) {
    sl_http_respond_lazy(request, 202, json_type, SL_STR("{\"status\":\"OK\"}\n"));
}

struct sl_str sl_runtime__error_type(const struct sl_http_request *request) {
    return sl_http_header(request, SL_STR("Lambda-Runtime-Function-Error-Type"));
}

// ---- next ---------------------------------------------------------------------------------------------------------

static void next_gone(struct sl_http_request *request) {
    struct sl_runtime *runtime = request->user;
    if (runtime->parked != request) return;
    runtime->parked = NULL;
    runtime->handler->gone(runtime);
}

static void park(struct sl_runtime *runtime, struct sl_http_request *request) {
    request->user = runtime;
    request->aborted = next_gone;
    runtime->parked = request;
}

// The connection of the answer was lost half-way, and the runtime goes on as if it had answered.
static void end_truncated(struct sl_runtime *runtime) {
    runtime->truncated = false;
    runtime->state = SL_RUNTIME_SENT;
    runtime->current[0] = '\0';
    runtime->handler->error(
        runtime,
        SL_STR("{\"errorType\":\"Runtime.TruncatedResponse\",\"errorMessage\":\"HTTP request detected as "
               "truncated\"}"),
        SL_STR("Runtime.TruncatedResponse"));
}

static void handle_next(struct sl_runtime *runtime, struct sl_http_request *request) {
    sl_runtime_recall(runtime); // who asks here has left the lane
    if (runtime->truncated) end_truncated(runtime);
    if (runtime->state == SL_RUNTIME_INIT_ERROR || runtime->state == SL_RUNTIME_RESPONDING ||
        runtime->state == SL_RUNTIME_RESTORE_READY || runtime->state == SL_RUNTIME_RESTORE_ERROR) {
        sl_runtime__refuse_state(request, runtime->state, "Ready");
        return;
    }
    struct sl_http_request *before = runtime->parked;
    bool lane = runtime->state != SL_RUNTIME_RUNNING && sl_runtime__lane_take(runtime, request);
    if (lane)
        runtime->parked = NULL;
    else
        park(runtime, request);
    if (before) {
        // The newest wins: whoever asks again has most likely lost the connection of the first, which we have not
        // heard yet.
        before->aborted = NULL;
        sl_runtime__refuse_state(before, SL_RUNTIME_WAITING, "Ready");
        return;
    }
    if (runtime->state == SL_RUNTIME_RUNNING) {
        runtime->handler->ready(runtime);
        return;
    }
    bool answered = runtime->state == SL_RUNTIME_SENT;
    runtime->state = SL_RUNTIME_WAITING;
    runtime->current[0] = '\0';
    if (answered && runtime->extensions) runtime->handler->runtime_done(runtime);
    sl_runtime__check_ready(runtime);
}

void sl_runtime__check_ready(struct sl_runtime *runtime) {
    if (runtime->restoring && runtime->state == SL_RUNTIME_RESTORE_READY && !runtime->initialised &&
        sl_runtime__extensions_settled(runtime)) {
        runtime->initialised = true;
        sl_runtime__telemetry_close(runtime);
        runtime->handler->snapshot(runtime);
        return;
    }
    if (!sl_runtime_is_ready(runtime) || runtime->state != SL_RUNTIME_WAITING) return;
    if (!sl_runtime__extensions_settled(runtime)) return;
    if (!runtime->initialised) {
        runtime->initialised = true;
        sl_runtime__telemetry_close(runtime);
    }
    runtime->handler->ready(runtime);
}

bool sl_runtime_extensions_busy(const struct sl_runtime *runtime) {
    return runtime->extensions && !sl_runtime__extensions_settled(runtime);
}

// ---- response and error ---------------------------------------------------------------------------------------------

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

enum response_mode { MODE_BUFFERED, MODE_STREAMING, MODE_INVALID };

static enum response_mode mode_of(const struct sl_http_request *request) {
    struct sl_str mode = sl_http_header(request, SL_STR("Lambda-Runtime-Function-Response-Mode"));
    if (!mode.len) return MODE_BUFFERED;
    return sl_str_is(mode, "streaming") ? MODE_STREAMING : MODE_INVALID;
}

static void handle_response(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (mode_of(request) == MODE_INVALID) {
        runtime->handler->error(runtime, SL_STR(""), SL_STR("Runtime.InvalidResponseModeHeader"));
        refuse(request, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
        return;
    }
    if (!request->trailer_count || !streamed_error(runtime, request)) {
        runtime->handler->response(runtime, request->body, sl_http_header(request, SL_STR("Content-Type")));
    }
    sl_runtime__accept(request);
}

// {"errorMessage":..., "errorType":..., "stackTrace":[...], "errorCause":...}: the cause is for X-Ray, the rest for the
// invoker. What is no such document becomes this text, as in the emulator.
static struct sl_str without_cause(struct sl_http_request *request) {
    struct sl_json *document, *trace;
    if (sl_json_parse(request->arena, request->body, &document, NULL) || document->type != SL_JSON_OBJECT) {
        return SL_STR("\"Invalid error body\"");
    }
    trace = sl_json_get(document, "stackTrace");
    struct sl_buf text;
    sl_buf_init(&text, 2 * ERROR_MAX);
    sl_buf_cstr(&text, "{\"errorMessage\":");
    sl_json_write_string(&text, sl_json_string(document, "errorMessage"));
    sl_buf_cstr(&text, ",\"errorType\":");
    sl_json_write_string(&text, sl_json_string(document, "errorType"));
    sl_buf_cstr(&text, ",\"stackTrace\":");
    if (trace)
        sl_json_write(&text, trace);
    else
        sl_buf_cstr(&text, "null");
    sl_buf_char(&text, '}');
    struct sl_str copy =
        text.failed ? SL_STR("\"Invalid error body\"") : sl_arena_dup(request->arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static void handle_error(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_str body = request->body;
    if (sl_str_is(sl_http_header(request, SL_STR("Content-Type")), "application/vnd.aws.lambda.error.cause+json")) {
        body = without_cause(request);
    }
    runtime->handler->error(runtime, body, sl_runtime__error_type(request));
    sl_runtime__accept(request);
}

static void handle_answer(struct sl_runtime *runtime, struct sl_http_request *request, bool failed) {
    request->aborted = NULL;
    bool streamed = runtime->streaming == request;
    if (!streamed && runtime->state != SL_RUNTIME_RUNNING) {
        sl_runtime__refuse_state(request, runtime->state, failed ? "InvocationErrorResponse" : "InvocationResponse");
        return;
    }
    runtime->streaming = NULL;
    runtime->truncated = false;
    runtime->state = SL_RUNTIME_SENT;
    runtime->current[0] = '\0';
    if (failed)
        handle_error(runtime, request);
    else
        handle_response(runtime, request);
}

static void handle_init_error(struct sl_runtime *runtime, struct sl_http_request *request) {
    if (runtime->state != SL_RUNTIME_STARTED) {
        sl_runtime__refuse_state(request, runtime->state, "InitError");
        return;
    }
    runtime->state = SL_RUNTIME_INIT_ERROR;
    runtime->handler->init_error(runtime, request->body, sl_runtime__error_type(request));
    sl_runtime__accept(request);
}

// ---- routing ------------------------------------------------------------------------------------------------------

enum target {
    TARGET_NONE,
    TARGET_NEXT,
    TARGET_BELL,
    TARGET_RESPONSE,
    TARGET_ERROR,
    TARGET_INIT_ERROR,
    TARGET_RESTORE_NEXT,
    TARGET_RESTORE_IMAGE,
    TARGET_RESTORE_ERROR,
    TARGET_PING
};

static enum target target_of(struct sl_str path, struct sl_str *ret_id) {
    *ret_id = SL_STR("");
    if (sl_str_starts(path, invocation_path)) {
        struct sl_str rest = sl_str_sub(path, invocation_path.len, path.len);
        if (sl_str_is(rest, "next")) return TARGET_NEXT;
        if (sl_str_is(rest, "bell")) return TARGET_BELL;
        ptrdiff_t slash = sl_str_chr(rest, '/', 0);
        if (slash < 0) return TARGET_NONE;
        *ret_id = sl_str_sub(rest, 0, (size_t)slash);
        struct sl_str verb = sl_str_sub(rest, (size_t)slash + 1, rest.len);
        if (sl_str_is(verb, "response")) return TARGET_RESPONSE;
        return sl_str_is(verb, "error") ? TARGET_ERROR : TARGET_NONE;
    }
    if (sl_str_is(path, "/2018-06-01/runtime/init/error")) return TARGET_INIT_ERROR;
    if (sl_str_is(path, "/2018-06-01/runtime/restore/next")) return TARGET_RESTORE_NEXT;
    if (sl_str_is(path, "/2018-06-01/runtime/restore/image")) return TARGET_RESTORE_IMAGE;
    if (sl_str_is(path, "/2018-06-01/runtime/restore/error")) return TARGET_RESTORE_ERROR;
    return sl_str_is(path, "/2018-06-01/ping") ? TARGET_PING : TARGET_NONE;
}

static bool is_current(const struct sl_runtime *runtime, struct sl_str id) {
    return runtime->current[0] && sl_str_is(id, runtime->current);
}

static void handle(struct sl_http_request *request, void *user) {
    struct sl_runtime *runtime = user;
    if (runtime->answering == request->conn) runtime->answering = NULL; // it has arrived
    struct sl_str id;
    enum target target = target_of(request->path, &id);
    // The restore endpoints exist only where an instance is made for a snapshot.
    bool restores = target == TARGET_RESTORE_NEXT || target == TARGET_RESTORE_ERROR || target == TARGET_RESTORE_IMAGE;
    if (restores && !runtime->snapshots) target = TARGET_NONE;
    bool reads = target == TARGET_NEXT || target == TARGET_RESTORE_NEXT || target == TARGET_PING;
    enum sl_http_method method = reads ? SL_HTTP_GET : SL_HTTP_POST;
    if (target == TARGET_BELL && sl_runtime__lane_bell(runtime, request)) return;
    if (target == TARGET_BELL) target = TARGET_NONE;
    if (target == TARGET_NONE && sl_runtime__extension_handle(runtime, request)) return;
    if (target == TARGET_NONE) {
        sl_http_respond(request, 404, SL_STR("text/plain; charset=utf-8"), SL_STR("404 page not found\n"));
    } else if (request->method != method) {
        sl_http_respond(request, 405, SL_STR(""), SL_STR(""));
    } else if (target == TARGET_NEXT) {
        handle_next(runtime, request);
    } else if (target == TARGET_INIT_ERROR) {
        handle_init_error(runtime, request);
    } else if (target == TARGET_RESTORE_NEXT) {
        sl_runtime__restore_next(runtime, request);
    } else if (target == TARGET_RESTORE_IMAGE) {
        sl_runtime__restore_image(runtime, request);
    } else if (target == TARGET_RESTORE_ERROR) {
        sl_runtime__restore_error(runtime, request);
    } else if (target == TARGET_PING) {
        sl_http_respond(request, 200, SL_STR("text/plain"), SL_STR("pong"));
    } else if (!is_current(runtime, id)) {
        request->aborted = NULL;
        runtime->streaming = runtime->streaming == request ? NULL : runtime->streaming;
        refuse(request, 400, "InvalidRequestID", "Invalid request ID");
    } else {
        handle_answer(runtime, request, target == TARGET_ERROR);
    }
}

// ---- bodies -------------------------------------------------------------------------------------------------------

static const char too_large_text[] = "Exceeded maximum allowed payload size (6291556 bytes).";

static void too_large(struct sl_runtime *runtime) {
    if (runtime->state != SL_RUNTIME_RUNNING && runtime->state != SL_RUNTIME_RESPONDING) return;
    runtime->streaming = NULL;
    runtime->state = SL_RUNTIME_SENT;
    runtime->current[0] = '\0';
    runtime->handler->too_large(runtime);
}

static void answer_lost(struct sl_http_request *request) {
    struct sl_runtime *runtime = request->user;
    if (runtime->answering == request->conn) runtime->answering = NULL;
    if (runtime->streaming == request) runtime->streaming = NULL;
    if (runtime->state == SL_RUNTIME_RUNNING || runtime->state == SL_RUNTIME_RESPONDING) runtime->truncated = true;
}

// The request brings what the runtime is expected to say now: the answer to the event, or that it cannot start.
static bool is_answer(const struct sl_runtime *runtime, enum target target, struct sl_str id) {
    if (target == TARGET_INIT_ERROR) return runtime->state == SL_RUNTIME_STARTED;
    if (target == TARGET_RESTORE_ERROR) return runtime->state == SL_RUNTIME_RESTORING;
    return (target == TARGET_RESPONSE || target == TARGET_ERROR) && is_current(runtime, id) &&
           runtime->state == SL_RUNTIME_RUNNING;
}

// Everything else is short. An answer to another event than the current one need not be read to be refused.
static int head_of_other(struct sl_http_request *request, size_t *max_body, bool foreign, uint64_t length) {
    *max_body = OTHER_MAX;
    if (!foreign || length <= OTHER_MAX) return 0;
    refuse(request, 400, "InvalidRequestID", "Invalid request ID");
    return 1;
}

// How much of the body will be kept: a large one once at a time, or an instance could have the server keep as many as
// it has connections. A response that announces too many bytes is refused before they are read; one that is chunked is
// refused by http when it passes the limit (see `refused`).
static int head(struct sl_http_request *request, size_t *max_body, void *user) {
    struct sl_runtime *runtime = user;
    struct sl_str id = SL_STR("");
    uint64_t length;
    enum target target = request->method == SL_HTTP_POST ? target_of(request->path, &id) : TARGET_NONE;
    // An answer that does not come by the lane: it was left, and what it still holds came before.
    if (target == TARGET_RESPONSE || target == TARGET_ERROR) sl_runtime_recall(runtime);
    if (!sl_str_to_u64(sl_http_header(request, SL_STR("Content-Length")), &length)) length = 0;
    if (target == TARGET_RESTORE_IMAGE && sl_runtime__image_begins(runtime, request, length)) {
        *max_body = (size_t)length;
        return 0;
    }
    if (!is_answer(runtime, target, id)) {
        bool foreign = (target == TARGET_RESPONSE || target == TARGET_ERROR) && !is_current(runtime, id);
        return head_of_other(request, max_body, foreign, length);
    }
    // The latest counts: a runtime that lost its connection may be back before the loss is seen.
    if (runtime->answering) sl_http_conn_close(runtime->answering);
    runtime->answering = request->conn;
    *max_body = target == TARGET_RESPONSE ? RESPONSE_MAX : ERROR_MAX;
    if (target != TARGET_RESPONSE) return 0;
    request->user = runtime;
    request->aborted = answer_lost;
    if (mode_of(request) == MODE_STREAMING &&
        runtime->handler->stream(runtime, sl_http_header(request, SL_STR("Content-Type")))) {
        *max_body = SL_RUNTIME_STREAM_MAX;
        runtime->streaming = request;
        runtime->state = SL_RUNTIME_RESPONDING;
        return 0;
    }
    if (length <= RESPONSE_MAX) return 0;
    request->aborted = NULL;
    runtime->answering = NULL;
    too_large(runtime);
    refuse(request, 413, "RequestEntityTooLarge", too_large_text);
    return 1;
}

static bool wants_parts(struct sl_http_request *request, void *user) {
    const struct sl_runtime *runtime = user;
    return runtime->streaming == request || runtime->imaging == request;
}

static void body_part(struct sl_http_request *request, struct sl_str part, void *user) {
    struct sl_runtime *runtime = user;
    if (runtime->imaging == request) runtime->handler->image_part(runtime, part);
    // After a time-out there is nobody to hand it to.
    if (runtime->streaming == request && runtime->current[0]) runtime->handler->part(runtime, part);
}

static void refused(struct sl_http_conn *conn, int status, const char *reason, struct sl_buf *headers,
                    struct sl_buf *body, void *user) {
    struct sl_runtime *runtime = user;
    bool answer = runtime->answering == conn;
    if (answer) runtime->answering = NULL;
    sl_buf_cstr(headers, "Content-Type: application/json\r\n");
    if (status == 413) {
        if (answer) too_large(runtime);
        sl_buf_printf(body, "{\"errorMessage\":\"%s\",\"errorType\":\"RequestEntityTooLarge\"}\n", too_large_text);
    } else if (reason == sl_http_truncated) {
        sl_buf_cstr(body, "{\"errorMessage\":\"HTTP request detected as truncated\",\"errorType\":"
                          "\"TruncatedHTTPRequest\"}\n");
    } else {
        sl_buf_printf(body, "{\"errorMessage\":\"%s\",\"errorType\":\"InvalidRequest\"}\n", reason);
    }
}

// ---- connections ------------------------------------------------------------------------------------------------

static void closed(struct sl_http_conn *conn, void *user) {
    struct sl_runtime *runtime = user;
    if (!runtime) return; // closed by sl_runtime_close
    if (runtime->answering == conn) runtime->answering = NULL;
    for (unsigned i = 0; i < runtime->conn_count; i++) {
        if (runtime->conns[i] != conn) continue;
        runtime->conns[i] = runtime->conns[--runtime->conn_count];
        break;
    }
}

static void accept_from(struct sl_runtime *runtime, int listen_fd) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
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

static void tcp_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    accept_from(SL_CONTAINER(watch, struct sl_runtime, tcp), watch->fd);
}

static void local_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    accept_from(SL_CONTAINER(watch, struct sl_runtime, local), watch->fd);
}

static const struct sl_http_config *config(void) {
    static const struct sl_http_handler handler = {.head = head,
                                                   .wants_parts = wants_parts,
                                                   .body_part = body_part,
                                                   .handle = handle,
                                                   .refused = refused,
                                                   .closed = closed};
    static const struct sl_http_config value = {
        .handler = &handler,
        .max_head = HEAD_MAX,
        .max_headers = 64,
        .max_body = RESPONSE_MAX,
        .head_timeout_ms = STALL_TIMEOUT_MS,
        .body_timeout_ms = 0, // a stream may pause for as long as the function may run
        .idle_timeout_ms = 0,
        .write_timeout_ms = STALL_TIMEOUT_MS,
        .lazy_ack = true,
        .answer_truncated = true,
    };
    return &value;
}

static int listen_on(struct sl_runtime *runtime, struct sl_error *err) {
    if (sl_watch_start(runtime->loop, &runtime->tcp, runtime->tcp.fd, EPOLLIN, tcp_ready, err)) return err->kind;
    if (runtime->local.fd < 0) return 0;
    return sl_watch_start(runtime->loop, &runtime->local, runtime->local.fd, EPOLLIN, local_ready, err);
}

static void listener_close(struct sl_watch *watch) {
    if (watch->fd < 0) return;
    sl_watch_stop(watch);
    close(watch->fd);
    watch->fd = -1;
}

int sl_runtime_open(struct sl_runtime *runtime, struct sl_loop *loop, const int listen_fds[2],
                    const struct sl_runtime_handler *handler, const struct sl_runtime_identity *identity, void *user,
                    struct sl_error *err) {
    *runtime = (struct sl_runtime){.handler = handler,
                                   .identity = identity,
                                   .user = user,
                                   .loop = loop,
                                   .tcp.fd = listen_fds[0],
                                   .local.fd = listen_fds[1]};
    return listen_on(runtime, err);
}

void sl_runtime_close(struct sl_runtime *runtime) {
    if (!runtime->loop) return;
    runtime->parked = runtime->restoring = runtime->imaging = NULL; // next_gone has nothing to report
    while (runtime->conn_count) {
        struct sl_http_conn *conn = runtime->conns[--runtime->conn_count];
        sl_http_conn_set_user(conn, NULL);
        sl_http_conn_close(conn);
    }
    listener_close(&runtime->tcp);
    listener_close(&runtime->local);
    sl_runtime__lane_free(runtime);
    sl_runtime__extensions_free(runtime);
    sl_runtime__telemetry_free(runtime);
    runtime->loop = NULL;
}

void sl_runtime_detach(struct sl_runtime *runtime) {
    sl_watch_stop(&runtime->tcp);
    sl_watch_stop(&runtime->local);
    for (unsigned i = 0; i < runtime->conn_count; i++) sl_http_conn_detach(runtime->conns[i]);
    sl_runtime__lane_detach(runtime);
    sl_runtime__telemetry_detach(runtime);
}

int sl_runtime_attach(struct sl_runtime *runtime, struct sl_loop *loop, struct sl_error *err) {
    runtime->loop = loop;
    for (unsigned i = 0; i < runtime->conn_count; i++) {
        if (sl_http_conn_attach(runtime->conns[i], loop, err)) return err->kind;
    }
    if (sl_runtime__lane_attach(runtime, loop, err)) return err->kind;
    if (sl_runtime__telemetry_attach(runtime, loop, err)) return err->kind;
    return listen_on(runtime, err);
}

void sl_runtime_send(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    runtime->state = SL_RUNTIME_RUNNING;
    memcpy(runtime->current, event->request_id.ptr, event->request_id.len);
    runtime->current[event->request_id.len] = '\0';
    if (sl_runtime__lane_send(runtime, event)) return;
    struct sl_http_request *request = runtime->parked;
    runtime->parked = NULL;
    request->aborted = NULL;
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
    sl_runtime__extensions_send(runtime, event);
}

bool sl_runtime_is_ready(const struct sl_runtime *runtime) {
    return runtime->parked != NULL || sl_runtime__lane_ready(runtime);
}

void sl_runtime_pause(struct sl_runtime *runtime, bool paused) {
    if (runtime->streaming) sl_http_pause(runtime->streaming, paused);
}
