// SPDX-License-Identifier: Apache-2.0
//
// extension: the Extensions API (version 2020-01-01) for extensions inside of the runtime's process ("internal" ones),
// which register during the init and take part in every invocation: each one that wants INVOKE gets the event, and the
// next invocation begins when all of them have asked again. Answers, states and their names are those of AWS's
// emulator.
//
// States of an extension:
//
//   Registered ─next─► Ready ─event─► Running ─next─► Ready      Registered ─init/error─► InitError
//                                                                 any ─exit/error─► ExitError
//
// Telemetry and Logs subscriptions are answered as unsupported, which AWS's clients have to accept (the emulator does
// the same). All on the owning loop's thread; the table is made by the first registration.
#include "runtime/internal.h"

#include "base/id.h"
#include "base/json.h"

#include <stdlib.h>

enum { EXTENSIONS_MAX = 10, NAME_MAX_LEN = 128 };

enum state { REGISTERED, READY, RUNNING, INIT_ERROR, EXIT_ERROR };
static const char *const state_names[] = {"Registered", "Ready", "Running", "InitError", "ExitError"};

struct extension {
    struct sl_runtime *runtime;
    char name[NAME_MAX_LEN + 1], id[SL_UUID];
    enum state state;
    bool invoke;  // wants INVOKE
    bool pending; // an event is due that could not be sent: its connection was lost
    struct sl_http_request *parked;
};

struct sl_runtime_extensions {
    struct extension list[EXTENSIONS_MAX];
    unsigned count;
    struct sl_buf event; // the latest INVOKE
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

// {"events": ["INVOKE"]}; false when the request was refused.
static bool read_events(struct sl_http_request *request, bool *ret_invoke) {
    struct sl_json *body, *events;
    struct sl_error err;
    *ret_invoke = false;
    if (sl_json_parse(request->arena, request->body, &body, &err) || body->type != SL_JSON_OBJECT) {
        refuse(request, "InvalidRequestFormat", SL_STR("the body is not a JSON object"));
        return false;
    }
    events = sl_json_get(body, "events");
    if (events && events->type != SL_JSON_ARRAY && events->type != SL_JSON_NULL) {
        refuse(request, "InvalidRequestFormat", SL_STR("events is not a list"));
        return false;
    }
    for (const struct sl_json *event = events ? events->first : NULL; event; event = event->next) {
        bool shutdown = sl_str_is(event->text, "SHUTDOWN");
        if (sl_str_is(event->text, "INVOKE")) {
            *ret_invoke = true;
            continue;
        }
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

static void answer_registered(struct sl_http_request *request, const struct extension *extension) {
    const struct sl_runtime_identity *identity = extension->runtime->identity;
    bool account =
        sl_str_find(sl_http_header(request, SL_STR("Lambda-Extension-Accept-Feature")), SL_STR("accountId")) >= 0;
    struct sl_buf body;
    sl_buf_init(&body, 8192);
    sl_buf_cstr(&body, "{\"functionName\":");
    sl_json_write_string(&body, identity->function_name);
    sl_buf_cstr(&body, ",\"functionVersion\":");
    sl_json_write_string(&body, identity->function_version);
    sl_buf_cstr(&body, ",\"handler\":");
    sl_json_write_string(&body, identity->handler);
    if (account) {
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

static void handle_register(struct sl_runtime *runtime, struct sl_http_request *request) {
    struct sl_str name = sl_http_header(request, SL_STR("Lambda-Extension-Name"));
    bool invoke;
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        refuse(request, "Extension.InvalidExtensionName",
               name.len ? SL_STR("Extension name is too long") : SL_STR("Empty extension name"));
        return;
    }
    if (!read_events(request, &invoke)) return;
    if (runtime->state != SL_RUNTIME_STARTED) {
        refuse(request, "Extension.RegistrationClosed", SL_STR("Extension registration closed already"));
        return;
    }
    struct sl_runtime_extensions *table = table_of(runtime);
    for (unsigned i = 0; table && i < table->count; i++) {
        if (!sl_str_is(name, table->list[i].name)) continue;
        refuse(request, "Extension.InvalidExtensionState", SL_STR("Extension with this name already registered"));
        return;
    }
    if (!table || table->count == EXTENSIONS_MAX) {
        refuse(request, "Extension.TooManyExtensions", SL_STR("Extension limit (10) reached"));
        return;
    }
    struct extension *extension = &table->list[table->count++];
    *extension = (struct extension){.runtime = runtime, .invoke = invoke};
    memcpy(extension->name, name.ptr, name.len);
    sl_uuid(extension->id);
    answer_registered(request, extension);
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

void sl_runtime__extensions_send(struct sl_runtime *runtime, const struct sl_runtime_event *event) {
    struct sl_runtime_extensions *table = runtime->extensions;
    if (!table) return;
    write_event(&table->event, event);
    for (unsigned i = 0; i < table->count; i++) {
        struct extension *extension = &table->list[i];
        if (!extension->invoke || extension->state != READY) continue;
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
}

static void poll_lost(struct sl_http_request *request) {
    struct extension *extension = request->user;
    if (extension->parked == request) extension->parked = NULL;
}

static void handle_next(struct extension *extension, struct sl_http_request *request) {
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
    sl_runtime__check_ready(extension->runtime);
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

// ---- errors ---------------------------------------------------------------------------------------------------------

static void handle_error(struct extension *extension, struct sl_http_request *request, bool init) {
    struct sl_str type = sl_http_header(request, SL_STR("Lambda-Extension-Function-Error-Type"));
    enum state to = init ? INIT_ERROR : EXIT_ERROR;
    if (!type.len) {
        refuse(request, "Extension.MissingHeader", SL_STR("Lambda-Extension-Function-Error-Type not found"));
        return;
    }
    // A repeated report is accepted and changes nothing.
    bool allowed =
        init ? extension->state == REGISTERED || extension->state == INIT_ERROR : extension->state != INIT_ERROR;
    if (!allowed) {
        refuse_state(request, extension, state_names[to]);
        return;
    }
    bool first = extension->state != to;
    struct sl_runtime *runtime = extension->runtime;
    extension->state = to;
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

static void unsupported(struct sl_http_request *request, const char *type, const char *name) {
    sl_runtime__refuse(request, 202, type, sl_arena_printf(request->arena, "%s API is not supported", name));
}

bool sl_runtime__extension_handle(struct sl_runtime *runtime, struct sl_http_request *request) {
    static const struct {
        const char *path;
        enum sl_http_method method;
    } targets[] = {
        {"/2020-01-01/extension/register", SL_HTTP_POST},
        {"/2020-01-01/extension/event/next", SL_HTTP_GET},
        {"/2020-01-01/extension/init/error", SL_HTTP_POST},
        {"/2020-01-01/extension/exit/error", SL_HTTP_POST},
        {"/2022-07-01/telemetry", SL_HTTP_PUT},
        {"/2020-08-15/logs", SL_HTTP_PUT},
    };
    unsigned target = 0;
    while (target < 6 && !sl_str_is(request->path, targets[target].path)) target++;
    if (target == 6) return false;
    if (request->method != targets[target].method) {
        sl_http_respond(request, 405, SL_STR(""), SL_STR(""));
        return true;
    }
    if (target == 0) handle_register(runtime, request);
    if (target == 4) unsupported(request, "Telemetry.NotSupported", "Telemetry");
    if (target == 5) unsupported(request, "Logs.NotSupported", "Logs");
    if (target == 0 || target >= 4) return true;
    struct extension *extension = identified(runtime, request);
    if (!extension) return true;
    if (target == 1)
        handle_next(extension, request);
    else
        handle_error(extension, request, target == 2);
    return true;
}
