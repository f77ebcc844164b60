// SPDX-License-Identifier: Apache-2.0
//
// extension: the Extensions API (version 2020-01-01). External extensions are programs of their own: they are announced
// before they are started, register under the names of their files before the runtime is started, and may ask for
// SHUTDOWN. Internal ones live in the runtime's process and register during the init. Each one that wants INVOKE gets
// the event, and the next invocation begins when all of them have asked again. Answers, states and their names are
// those of AWS's emulator.
//
// States of an extension:
//
//   Started ─register─► Registered ─next─► Ready ─event─► Running ─next─► Ready
//      └─► LaunchError       └─init/error─► InitError          any of these ─exit/error─► ExitError
//   its program has ended: Exited, when it was told to shut down; Crashed, else (AWS's emulator leaves the state it
//   had)
//
// All on the owning loop's thread; the table is made by the first announcement or registration.
#include "runtime/internal.h"

#include "base/id.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXTENSIONS_MAX = 10, NAME_MAX_LEN = 128 };

enum state { STARTED, REGISTERED, READY, RUNNING, INIT_ERROR, EXIT_ERROR, LAUNCH_ERROR, EXITED, CRASHED };
static const char *const state_names[] = {"Started",   "Registered",  "Ready",  "Running", "InitError",
                                          "ExitError", "LaunchError", "Exited", "Crashed"};

enum { ERROR_TYPE_MAX = 64 };

struct extension {
    struct sl_runtime *runtime;
    char name[NAME_MAX_LEN + 1], id[SL_UUID];
    enum state state;
    bool external;
    bool invoke, shutdown; // what it wants
    bool pending;          // an event is due that could not be sent: it was busy, or its connection was lost
    char error_type[ERROR_TYPE_MAX];
    struct sl_http_request *parked;
};

struct sl_runtime_extensions {
    struct extension list[EXTENSIONS_MAX]; // external ones first
    unsigned count;
    struct sl_buf event; // the latest INVOKE, or SHUTDOWN
    bool shutting_down;
};

static const struct sl_str json_type = SL_STR_INIT("application/json");

static void refuse(struct sl_http_request *request, const char *type, struct sl_str message) {
    sl_runtime__refuse(request, 403, type, message);
}

static void refuse_state(struct sl_http_request *request, const struct extension *extension, const char *to) {
    refuse(request, "Extension.InvalidExtensionState",
           sl_arena_printf(
               request->arena,
               "State transition from %s to %s failed for extension %s. Error: State transition is not allowed",
               state_names[extension->state], to, extension->id));
}

// ---- registration ---------------------------------------------------------------------------------------------------

struct wishes {
    bool invoke, shutdown;
};

// {"events": ["INVOKE", "SHUTDOWN"]}; false when the request was refused.
static bool read_events(struct sl_http_request *request, bool external, struct wishes *ret) {
    struct sl_json *body, *events;
    const struct sl_json *keys;
    struct sl_error err;
    *ret = (struct wishes){.invoke = false};
    if (sl_json_parse(request->arena, request->body, &body, &err) || body->type != SL_JSON_OBJECT) {
        refuse(request, "InvalidRequestFormat", SL_STR("the body is not a JSON object"));
        return false;
    }
    events = sl_json_get(body, "events");
    if (events && events->type != SL_JSON_ARRAY && events->type != SL_JSON_NULL) {
        refuse(request, "InvalidRequestFormat", SL_STR("events is not a list"));
        return false;
    }
    keys = sl_json_get(body, "configurationKeys");
    if (keys && keys->count) {
        refuse(request, "InvalidRequestFormat",
               SL_STR("configurationKeys are deprecated; use environment variables instead"));
        return false;
    }
    for (const struct sl_json *event = events ? events->first : NULL; event; event = event->next) {
        bool shutdown = sl_str_is(event->text, "SHUTDOWN"), invoke = sl_str_is(event->text, "INVOKE");
        ret->invoke |= invoke;
        ret->shutdown |= shutdown;
        if (invoke || (shutdown && external)) continue;
        refuse(request, "Extension.InvalidEventType",
               sl_arena_printf(request->arena, "%.*s: %s", SL_FMT(event->text),
                               shutdown ? "ShutdownEventNotSupportedForInternalExtension" : "ErrorInvalidEventType"));
        return false;
    }
    return true;
}

static struct sl_runtime_extensions *table_of(struct sl_runtime *runtime) {
    if (!runtime->extensions && (runtime->extensions = calloc(1, sizeof *runtime->extensions)))
        sl_buf_init(&runtime->extensions->event, 64 * 1024);
    return runtime->extensions;
}

// A list, like "accountId, other": features that are not known are not minded.
static bool accepts_account(const struct sl_http_request *request) {
    struct sl_str rest = sl_http_header(request, SL_STR("Lambda-Extension-Accept-Feature")), part;
    while (rest.ptr && sl_str_split(&rest, ',', &part))
        if (sl_str_is(sl_str_trim(part), "accountId")) return true;
    return false;
}

static void answer_registered(struct sl_http_request *request, const struct extension *extension) {
    const struct sl_runtime_identity *identity = extension->runtime->identity;
    struct sl_buf body;
    sl_buf_init(&body, 8192);
    sl_buf_cstr(&body, "{\"functionName\":");
    sl_json_write_string(&body, identity->function_name);
    sl_buf_cstr(&body, ",\"functionVersion\":");
    sl_json_write_string(&body, identity->function_version);
    sl_buf_cstr(&body, ",\"handler\":");
    sl_json_write_string(&body, identity->handler);
    if (accepts_account(request)) {
        sl_buf_cstr(&body, ",\"accountId\":");
        sl_json_write_string(&body, identity->account);
    }
    sl_buf_cstr(&body, "}\n");
    sl_http_begin(request, 200);
    sl_http_add(request, SL_STR("Content-Type"), json_type);
    sl_http_add(request, SL_STR("Lambda-Extension-Identifier"), sl_str_of(extension->id));
    sl_http_body(request, sl_buf_view(&body));
    sl_buf_free(&body);
}

static struct extension *named(const struct sl_runtime *runtime, struct sl_str name) {
    struct sl_runtime_extensions *table = runtime->extensions;
    for (unsigned i = 0; table && i < table->count; i++)
        if (sl_str_is(name, table->list[i].name)) return &table->list[i];
    return NULL;
}

static struct extension *add(struct sl_runtime *runtime, struct sl_str name) {
    struct sl_runtime_extensions *table = table_of(runtime);
    if (!table || table->count == EXTENSIONS_MAX) return NULL;
    struct extension *extension = &table->list[table->count++];
    *extension = (struct extension){.runtime = runtime};
    memcpy(extension->name, name.ptr, name.len);
    sl_uuid(extension->id);
    return extension;
}

static void register_external(struct extension *extension, struct sl_http_request *request) {
    struct sl_runtime *runtime = extension->runtime;
    struct wishes wishes;
    if (!read_events(request, true, &wishes)) return;
    if (extension->state != STARTED) {
        refuse(request, "Extension.InvalidExtensionState",
               sl_arena_printf(request->arena,
                               "State transition from %s to Registered failed for extension %s. Error: State "
                               "transition is not allowed",
                               state_names[extension->state], extension->name));
        return;
    }
    extension->state = REGISTERED;
    extension->invoke = wishes.invoke;
    extension->shutdown = wishes.shutdown;
    answer_registered(request, extension);
    const struct sl_runtime_extensions *table = runtime->extensions;
    for (unsigned i = 0; i < table->count; i++)
        if (table->list[i].external && table->list[i].state == STARTED) return;
    runtime->handler->registered(runtime);
}

static void register_internal(struct sl_runtime *runtime, struct sl_http_request *request, struct sl_str name) {
    struct wishes wishes;
    if (!read_events(request, false, &wishes)) return;
    if (runtime->state != SL_RUNTIME_STARTED) {
        refuse(request, "Extension.RegistrationClosed", SL_STR("Extension registration closed already"));
        return;
    }
    if (named(runtime, name)) {
        refuse(request, "Extension.InvalidExtensionState", SL_STR("Extension with this name already registered"));
        return;
    }
    struct extension *extension = add(runtime, name);
    if (!extension) {
        refuse(request, "Extension.TooManyExtensions", SL_STR("Extension limit (10) reached"));
        return;
    }
    extension->state = REGISTERED;
    extension->invoke = wishes.invoke;
    answer_registered(request, extension);
}

static void handle_register(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_str name = sl_http_header(request, SL_STR("Lambda-Extension-Name"));
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        refuse(request, "Extension.InvalidExtensionName",
               name.len ? SL_STR("Extension name is too long") : SL_STR("Empty extension name"));
        return;
    }
    struct extension *extension = named(runtime, name);
    if (extension && extension->external)
        register_external(extension, request);
    else
        register_internal(runtime, request, name);
}

int sl_runtime_expect(struct sl_runtime *runtime, struct sl_str name, struct sl_error *err) {
    if (!name.len || name.len > NAME_MAX_LEN) return sl_fail(err, SL_E_INVALID, "the name of an extension is too long");
    struct extension *extension = add(runtime, name);
    if (!extension) return sl_fail(err, SL_E_LIMIT, "Extension limit (10) reached");
    extension->external = true;
    return 0;
}

// ---- events ---------------------------------------------------------------------------------------------------------

static void send_event(struct extension *extension, struct sl_http_request *request) {
    char id[SL_UUID];
    sl_uuid(id);
    extension->state = RUNNING;
    extension->pending = false;
    sl_http_begin(request, 200);
    sl_http_add(request, SL_STR("Content-Type"), json_type);
    sl_http_add(request, SL_STR("Lambda-Extension-Event-Identifier"), sl_str_of(id));
    sl_http_body(request, sl_buf_view(&extension->runtime->extensions->event));
}

static void write_event(struct sl_buf *out, const struct sl_runtime_event *event) {
    sl_buf_clear(out, 16 * 1024);
    sl_buf_printf(out, "{\"eventType\":\"INVOKE\",\"deadlineMs\":%lld,\"requestId\":", (long long)event->deadline_ms);
    sl_json_write_string(out, event->request_id);
    sl_buf_cstr(out, ",\"invokedFunctionArn\":");
    sl_json_write_string(out, event->function_arn);
    sl_buf_cstr(out, ",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":");
    sl_json_write_string(out, event->trace_id);
    sl_buf_cstr(out, "}}");
}

// The table's event, now or with its next poll.
static void notify(struct extension *extension) {
    struct sl_http_request *request = extension->parked;
    extension->parked = NULL;
    if (request) {
        request->aborted = NULL;
        send_event(extension, request);
    } else {
        extension->pending = true;
        extension->state = RUNNING;
    }
}

void sl_runtime__extensions_send(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    struct sl_runtime_extensions *table = runtime->extensions;
    if (!table) return;
    write_event(&table->event, event);
    for (unsigned i = 0; i < table->count; i++)
        if (table->list[i].invoke && table->list[i].state == READY) notify(&table->list[i]);
}

void sl_runtime_shut_down(struct sl_runtime *runtime, const char *reason, int64_t deadline_ms) {
    struct sl_runtime_extensions *table = runtime->extensions;
    if (!table) return;
    table->shutting_down = true;
    sl_buf_clear(&table->event, 16 * 1024);
    sl_buf_printf(&table->event, "{\"eventType\":\"SHUTDOWN\",\"deadlineMs\":%lld,\"shutdownReason\":\"%s\"}",
                  (long long)deadline_ms, reason);
    for (unsigned i = 0; i < table->count; i++) {
        struct extension *extension = &table->list[i];
        bool alive = extension->state == REGISTERED || extension->state == READY || extension->state == RUNNING;
        if (!extension->shutdown || !alive) continue;
        if (extension->state == READY)
            notify(extension);
        else
            extension->pending = true; // with its next poll
    }
}

static void poll_lost(struct sl_http_request *request) {
    struct extension *extension = request->user;
    if (extension->parked == request) extension->parked = NULL;
}

static void handle_next(struct extension *extension, struct sl_http_request *request) {
    const struct sl_runtime_extensions *table = extension->runtime->extensions;
    bool again = extension->state == READY && !extension->parked; // its connection was lost
    if (extension->state != REGISTERED && extension->state != RUNNING && !again) {
        refuse_state(request, extension, "Ready");
        return;
    }
    if (extension->pending) {
        send_event(extension, request);
        return;
    }
    extension->state = READY;
    extension->parked = request;
    request->user = extension;
    request->aborted = poll_lost;
    if (!table->shutting_down) sl_runtime__check_ready(extension->runtime);
}

bool sl_runtime__extensions_settled(const struct sl_runtime *runtime) {
    const struct sl_runtime_extensions *table = runtime->extensions;
    for (unsigned i = 0; table && i < table->count; i++)
        if (table->list[i].state != READY) return false;
    return true;
}

void sl_runtime__extensions_free(struct sl_runtime *runtime) {
    if (!runtime->extensions) return;
    sl_buf_free(&runtime->extensions->event);
    free(runtime->extensions);
    runtime->extensions = NULL;
}

// ---- for the instance ---------------------------------------------------------------------------------------------

unsigned sl_runtime_extension_count(const struct sl_runtime *runtime) {
    return runtime->extensions ? runtime->extensions->count : 0;
}

bool sl_runtime_has_external(const struct sl_runtime *runtime) {
    return runtime->extensions && runtime->extensions->count && runtime->extensions->list[0].external;
}

void sl_runtime_extension_ended(struct sl_runtime *runtime, struct sl_str name, enum sl_extension_end how,
                                const char *error_type) {
    static const enum state to[] = {
        [SL_EXTENSION_LAUNCH_ERROR] = LAUNCH_ERROR, [SL_EXTENSION_EXITED] = EXITED, [SL_EXTENSION_CRASHED] = CRASHED};
    struct extension *extension = named(runtime, name);
    // One that said why it ends keeps what it said.
    if (!extension || extension->state == INIT_ERROR || extension->state == EXIT_ERROR) return;
    extension->state = to[how];
    snprintf(extension->error_type, sizeof extension->error_type, "%s", error_type ? error_type : "");
}

bool sl_runtime_wants_shutdown(const struct sl_runtime *runtime, struct sl_str name) {
    const struct extension *extension = named(runtime, name);
    return extension && extension->shutdown && extension->state <= RUNNING;
}

void sl_runtime_extension_info(const struct sl_runtime *runtime, unsigned i, struct sl_runtime_extension_info *ret) {
    const struct extension *extension = &runtime->extensions->list[i];
    *ret = (struct sl_runtime_extension_info){.name = extension->name,
                                              .state = state_names[extension->state],
                                              .external = extension->external,
                                              .invoke = extension->invoke,
                                              .shutdown = extension->shutdown,
                                              .error_type = extension->error_type};
}

// ---- errors ---------------------------------------------------------------------------------------------------------

static void handle_error(struct extension *extension, struct sl_http_request *request, bool init) {
    struct sl_str type = sl_http_header(request, SL_STR("Lambda-Extension-Function-Error-Type"));
    enum state to = init ? INIT_ERROR : EXIT_ERROR;
    if (!type.len) {
        refuse(request, "Extension.MissingHeader", SL_STR("Lambda-Extension-Function-Error-Type not found"));
        return;
    }
    // A repeated report is accepted and changes nothing.
    enum state now = extension->state;
    bool allowed = now == REGISTERED || now == to || (!init && (now == READY || now == RUNNING));
    if (!allowed) {
        refuse_state(request, extension, state_names[to]);
        return;
    }
    bool first = extension->state != to;
    struct sl_runtime *runtime = extension->runtime;
    extension->state = to;
    if (first) {
        size_t len = type.len < ERROR_TYPE_MAX ? type.len : ERROR_TYPE_MAX - 1;
        snprintf(extension->error_type, sizeof extension->error_type, "%.*s", (int)len, type.ptr);
    }
    if (first) runtime->handler->extension_failed(runtime, init ? "Extension.InitError" : "Extension.ExitError", type);
    sl_runtime__accept(request);
}

// ---- routing --------------------------------------------------------------------------------------------------------

// The extension that the request's header names; NULL when it was refused.
static struct extension *identified(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_str id = sl_http_header(request, SL_STR("Lambda-Extension-Identifier"));
    const struct sl_runtime_extensions *table = runtime->extensions;
    if (!id.len) {
        refuse(request, "Extension.MissingExtensionIdentifier", SL_STR("Missing Lambda-Extension-Identifier header"));
        return NULL;
    }
    bool form = id.len == SL_UUID - 1;
    for (size_t i = 0; form && i < id.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        form = dash ? id.ptr[i] == '-' : strchr("0123456789abcdefABCDEF", id.ptr[i]) && id.ptr[i];
    }
    if (!form) {
        refuse(request, "Extension.InvalidExtensionIdentifier", SL_STR("Invalid Lambda-Extension-Identifier"));
        return NULL;
    }
    for (unsigned i = 0; table && i < table->count; i++)
        if (sl_str_ieq(id, sl_str_of(table->list[i].id))) return &runtime->extensions->list[i];
    refuse(request, "Extension.UnknownExtensionIdentifier",
           sl_arena_printf(request->arena, "Unknown extension %.*s", SL_FMT(id)));
    return NULL;
}

enum target { REGISTER, NEXT, INIT_FAILED, EXIT_FAILED, TELEMETRY, LOGS, TARGETS };

bool sl_runtime__extension_handle(struct sl_runtime *runtime, struct sl_http_request *request) {
    static const struct {
        const char *path;
        enum sl_http_method method;
        enum target target;
    } paths[] = {
        {"/2020-01-01/extension/register", SL_HTTP_POST, REGISTER},
        {"/2020-01-01/extension/event/next", SL_HTTP_GET, NEXT},
        {"/2020-01-01/extension/init/error", SL_HTTP_POST, INIT_FAILED},
        {"/2020-01-01/extension/exit/error", SL_HTTP_POST, EXIT_FAILED},
        {"/2022-07-01/telemetry", SL_HTTP_PUT, TELEMETRY},
        {"/2022-07-01/telemetry/", SL_HTTP_PUT, TELEMETRY}, // the developer guide writes it so, too
        {"/2020-08-15/logs", SL_HTTP_PUT, LOGS},
        {"/2020-08-15/logs/", SL_HTTP_PUT, LOGS},
    };
    const unsigned count = sizeof paths / sizeof paths[0];
    unsigned i = 0;
    while (i < count && !sl_str_is(request->path, paths[i].path)) i++;
    if (i == count) return false;
    if (request->method != paths[i].method) {
        sl_http_respond(request, 405, SL_STR(""), SL_STR(""));
        return true;
    }
    if (paths[i].target == REGISTER) {
        handle_register(runtime, request);
        return true;
    }
    struct extension *extension = identified(runtime, request);
    if (!extension) return true;
    switch (paths[i].target) {
    case NEXT:
        handle_next(extension, request);
        break;
    case TELEMETRY:
    case LOGS:
        sl_runtime__subscribe(runtime, request, extension->name, paths[i].target == LOGS);
        break;
    default:
        handle_error(extension, request, paths[i].target == INIT_FAILED);
    }
    return true;
}
