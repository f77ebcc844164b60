// SPDX-License-Identifier: Apache-2.0
//
// events: /_sluice/events, what the command `sluice events` speaks to. A request becomes one store job
// (events/admin.h); the answer is made on the storage thread and sent on the request's loop. The client may go away
// meanwhile.
//
//   GET  /_sluice/events[?state=dead][&function=NAME[&region=R][&account=A]][&after=ID]     a page
//   GET  /_sluice/events/ID                                                                 one, whole
//   POST /_sluice/events/redrive?id=ID | [function=...]                                     dead ones run again
//   POST /_sluice/events/purge?id=ID | [state=dead] [function=...]                          thrown away
#include "daemon/daemon.h"

#include "base/clock.h"
#include "events/admin.h"
#include "events/queue.h"

#include <stdlib.h>

// A page of events of the largest size there is, as the store reads them.
enum { ARENA_MAX = 256 * 1024 * 1024, OUT_MAX = 32 * 1024 * 1024 };

struct asking {
    struct sl_store_job job;
    struct sl_front *front;
    struct sl_http_request *request; // NULL when the client has gone
    struct sl_arena arena;
    struct sl_events_query query;
    struct sl_buf out;
};

static void answer(struct sl_http_request *request, int status, struct sl_str body) {
    sl_http_respond(request, status, SL_STR("application/json"), body);
}

static int ask_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct asking *asking = SL_CONTAINER(job, struct asking, job);
    struct sl_events_query *query = &asking->query;
    if (query->verb == SL_EVENTS_LIST) sl_buf_cstr(&asking->out, "{\"events\":[");
    int result = sl_events_query(tx, &asking->arena, query, sl_clock_ms(), &asking->out, err);
    if (result) return result;
    if (query->verb == SL_EVENTS_LIST) sl_buf_char(&asking->out, ']');
    if (query->verb == SL_EVENTS_REDRIVE || query->verb == SL_EVENTS_PURGE)
        sl_buf_printf(&asking->out, "{\"count\":%u", query->count);
    if (query->verb != SL_EVENTS_SHOW)
        sl_buf_printf(&asking->out, ",\"last\":%lld,\"more\":%s}", (long long)query->last,
                      query->more ? "true" : "false");
    return asking->out.failed ? sl_fail(err, SL_E_NO_MEMORY, "the answer is too large") : 0;
}

static void ask_committed(struct sl_store_job *job) {
    struct asking *asking = SL_CONTAINER(job, struct asking, job);
    if (asking->query.verb != SL_EVENTS_REDRIVE) return;
    for (unsigned i = 0; i < asking->query.count; i++)
        sl_event_queue_note(asking->front->events, asking->query.lanes[i]);
}

static void asking_free(struct asking *asking) {
    sl_buf_free(&asking->out);
    sl_arena_free(&asking->arena);
    free(asking);
}

static void ask_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct asking *asking = SL_CONTAINER(job, struct asking, job);
    struct sl_http_request *request = asking->request;
    if (request) {
        request->aborted = NULL;
        if (result == 0)
            answer(request, 200, sl_buf_view(&asking->out));
        else if (result == SL_E_NOT_FOUND)
            answer(request, 404, SL_STR("{\"message\":\"there is no such event\"}"));
        else
            answer(request, 503, sl_arena_printf(request->arena, "{\"message\":\"%.200s\"}", err->message));
    }
    asking_free(asking);
}

static void asker_gone(struct sl_http_request *request) { ((struct asking *)request->user)->request = NULL; }

static struct sl_str parameter(struct asking *asking, struct sl_http_request *request, struct sl_str name,
                               const char *fallback) {
    struct sl_str value = sl_http_query(request, name);
    return sl_arena_dup(&asking->arena, value.len ? value : sl_str_of(fallback));
}

// False: the request makes no sense.
static bool understand(struct asking *asking, struct sl_http_request *request) {
    struct sl_events_query *query = &asking->query;
    struct sl_str path = sl_str_sub(request->path, strlen("/_sluice/events"), request->path.len);
    struct sl_str id = sl_http_query(request, SL_STR("id")), after = sl_http_query(request, SL_STR("after"));
    bool get = request->method == SL_HTTP_GET, post = request->method == SL_HTTP_POST;
    query->dead = sl_str_is(sl_http_query(request, SL_STR("state")), "dead");
    query->function = parameter(asking, request, SL_STR("function"), "");
    query->region = parameter(asking, request, SL_STR("region"), "us-east-1");
    query->account = parameter(asking, request, SL_STR("account"), "000000000000");
    if (after.len && !sl_str_to_i64(after, &query->after)) return false;
    if (id.len && (!sl_str_to_i64(id, &query->id) || query->id <= 0)) return false;
    if (get && !path.len) return true; // LIST
    if (post && sl_str_is(path, "/redrive")) query->verb = SL_EVENTS_REDRIVE;
    if (post && sl_str_is(path, "/purge")) query->verb = SL_EVENTS_PURGE;
    if (get && sl_str_to_i64(sl_str_sub(path, 1, path.len), &query->id) && query->id > 0) query->verb = SL_EVENTS_SHOW;
    return query->verb != SL_EVENTS_LIST;
}

bool sl_daemon_events_owns(const struct sl_http_request *request) {
    struct sl_str prefix = SL_STR("/_sluice/events");
    return sl_str_starts(request->path, prefix) &&
           (request->path.len == prefix.len || request->path.ptr[prefix.len] == '/');
}

void sl_daemon_events_handle(struct sl_front *front, struct sl_http_request *request) {
    struct asking *asking = calloc(1, sizeof *asking);
    struct sl_error err;
    if (!asking) {
        answer(request, 503, SL_STR("{\"message\":\"no memory\"}"));
        return;
    }
    asking->front = front;
    asking->request = request;
    sl_arena_init(&asking->arena, ARENA_MAX);
    sl_buf_init(&asking->out, OUT_MAX);
    if (!understand(asking, request)) {
        answer(request, 400, SL_STR("{\"message\":\"not understood; see sluice events --help\"}"));
        asking_free(asking);
        return;
    }
    asking->job = (struct sl_store_job){.run = ask_run, .committed = ask_committed, .done = ask_done};
    asking->job.read_only = asking->query.verb == SL_EVENTS_LIST || asking->query.verb == SL_EVENTS_SHOW;
    request->user = asking;
    request->aborted = asker_gone;
    if (sl_store_submit(front->app.store, &asking->job, &err) == 0) return;
    request->aborted = NULL;
    answer(request, 503, SL_STR("{\"message\":\"too many storage jobs are waiting\"}"));
    asking_free(asking);
}
