// SPDX-License-Identifier: Apache-2.0
//
// hooks: what the set-ups of existing tests call on other emulators, at the paths where they expect it:
//
//   GET  /_localstack/health   which services run (LocalStack's form)
//   POST /moto-api/reset       forgets everything (moto's); with --memory only
//
// A reset is a new server: the process drains and ends with a status of its own, and the supervisor, which keeps the
// listening sockets, starts the next one on an empty store. So nothing can be forgotten to be forgotten. The answer is
// held until no loop accepts connections any more: what the client sends after it waits in the sockets' queue for the
// new server. Order: handler (loop) ─ signal to the main thread ─ every listener stops ─ letter back ─ answer ─ drain.
//
// Threads: requests on their loops; sl_hooks_answer on the main thread. `pending` belongs to the loop that `loop`
// names.
#include "daemon/daemon.h"

#include "aws/aws.h"

#include <signal.h>
#include <unistd.h>

static const struct sl_str json_type = SL_STR_INIT("application/json");
static const struct sl_str health_path = SL_STR_INIT("/_localstack/health");
static const struct sl_str reset_path = SL_STR_INIT("/moto-api/reset");

bool sl_hooks_own(const struct sl_http_request *request) {
    return sl_str_eq(request->path, health_path) || sl_str_eq(request->path, reset_path);
}

static bool listed_before(const struct sl_op_entry *const *tables, const struct sl_op_entry *wanted) {
    for (; *tables; tables++)
        for (const struct sl_op_entry *entry = *tables; entry->service; entry++) {
            if (entry == wanted) return false;
            if (strcmp(entry->service, wanted->service) == 0) return true;
        }
    return false;
}

static void health(struct sl_http_request *request) {
    struct sl_buf out;
    const char *separator = "";
    sl_buf_init(&out, 64 * 1024);
    sl_buf_cstr(&out, "{\"services\": {");
    for (const struct sl_op_entry *const *table = sl_daemon_tables; *table; table++)
        for (const struct sl_op_entry *entry = *table; entry->service; entry++) {
            if (listed_before(sl_daemon_tables, entry)) continue;
            sl_buf_printf(&out, "%s\"%s\": \"running\"", separator, entry->service);
            separator = ", ";
        }
    sl_buf_cstr(&out, "}, \"edition\": \"sluice\", \"version\": \"" SL_VERSION "\"}");
    sl_http_respond(request, 200, json_type, sl_buf_view(&out));
    sl_buf_free(&out);
}

// --- reset
// ----------------------------------------------------------------------------------------------------------

static void gone(struct sl_http_request *request) {
    struct sl_front *front = request->user;
    front->reset.pending = NULL;
}

static void reset(struct sl_front *front, struct sl_http_request *request) {
    if (!front->throw_away) {
        sl_http_respond(
            request, 403, json_type,
            SL_STR("{\"message\": \"This server keeps its state: only one started with --memory is reset.\"}"));
        return;
    }
    if (atomic_exchange(&front->resetting, true)) {
        sl_http_respond(request, 503, json_type, SL_STR("{\"message\": \"A reset is under way.\"}"));
        return;
    }
    front->reset.pending = request;
    front->reset.loop = sl_http_conn_loop(request->conn);
    request->user = front;
    request->aborted = gone;
    kill(getpid(), SIGUSR1); // sigwait in the main thread; every other thread blocks it
}

static void answer(struct sl_mail *mail) {
    struct sl_front *front = SL_CONTAINER(mail, struct sl_front, reset.mail);
    struct sl_http_request *request = front->reset.pending;
    if (!request) return;
    front->reset.pending = NULL;
    request->aborted = NULL;
    sl_http_respond(request, 200, json_type, SL_STR("{\"status\": \"ok\"}"));
}

void sl_hooks_answer(struct sl_front *front) { sl_loop_post(front->reset.loop, &front->reset.mail, answer); }

void sl_hooks_handle(struct sl_front *front, struct sl_http_request *request) {
    if (sl_str_eq(request->path, health_path) && request->method == SL_HTTP_GET)
        health(request);
    else if (sl_str_eq(request->path, reset_path) && request->method == SL_HTTP_POST)
        reset(front, request);
    else
        sl_http_respond(request, 405, json_type, SL_STR("{\"message\": \"Method Not Allowed\"}"));
}
