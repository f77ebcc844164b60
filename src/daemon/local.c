// SPDX-License-Identifier: Apache-2.0
//
// local: what the server says about itself, under /_sluice/: health, metrics, a function's log (optionally followed),
// and in test runs the clock. Not part of any AWS API. On the request's loop thread.
#include "daemon/daemon.h"

#include "base/clock.h"
#include "events/queue.h"
#include "events/source.h"
#include "gateway/gateway.h"
#include "invoke/engine.h"
#include "lambda/lambda.h"
#include "observe/logs.h"

#include <stdlib.h>

enum {
    FOLLOW_MS = 100,
    READ_MAX = 256 * 1024,
    TAIL_BYTES = 128 * 1024, // of the file, whose lines say more than is shown
    UNSENT_MAX = 1024 * 1024,
};

static const struct sl_str text_type = SL_STR_INIT("text/plain; charset=utf-8");
static const struct sl_str json_type = SL_STR_INIT("application/json");

bool sl_local_owns(const struct sl_http_request *request) { return sl_str_starts(request->path, SL_STR("/_sluice/")); }

static void answer(struct sl_http_request *request, int status, const char *body) {
    sl_http_respond(request, status, json_type, sl_str_of(body));
}

// ---- metrics ----------------------------------------------------------------------------------------------------

static void metrics(struct sl_front *front, struct sl_http_request *request) {
    struct sl_buf out;
    sl_buf_init(&out, 16 * 1024 * 1024);
    sl_invoker_metrics(front->app.invoker, &out);
    sl_gateway_metrics(front->app.gateway, &out);
    sl_event_queue_metrics(front->events, &out);
    sl_event_sources_metrics(front->app.sources, &out);
    sl_http_respond(request, 200, SL_STR("text/plain; version=0.0.4"), sl_buf_view(&out));
    sl_buf_free(&out);
}

static void top(struct sl_front *front, struct sl_http_request *request) {
    struct sl_buf out;
    sl_buf_init(&out, 16 * 1024 * 1024);
    sl_invoker_top(front->app.invoker, &out);
    sl_http_respond(request, 200, json_type, sl_buf_view(&out));
    sl_buf_free(&out);
}

// ---- logs -------------------------------------------------------------------------------------------------------

struct follower {
    struct sl_front *front;
    struct sl_http_request *request;
    struct sl_timer timer;
    struct sl_log_group group; // in the request's arena
    int64_t offset;
    struct sl_buf bytes;
};

static void follow_free(struct follower *follower) {
    sl_timer_stop(&follower->timer);
    sl_buf_free(&follower->bytes);
    free(follower);
}

static void follow_gone(struct sl_http_request *request) { follow_free(request->user); }

static void follow(struct sl_timer *timer) {
    struct follower *follower = SL_CONTAINER(timer, struct follower, timer);
    struct sl_http_request *request = follower->request;
    struct sl_error err;
    if (atomic_load(&follower->front->ending)) {
        request->aborted = NULL;
        follow_free(follower);
        sl_http_end(request);
        return;
    }
    sl_buf_clear(&follower->bytes, READ_MAX);
    // A reader that does not read is not fed: the file keeps what it has not seen.
    bool room = sl_http_unsent(request) < UNSENT_MAX;
    if (room &&
        sl_logs_read(follower->front->logs, &follower->group, &follower->offset, READ_MAX, &follower->bytes, &err) ==
            0 &&
        follower->bytes.len) {
        sl_http_part(request, sl_buf_view(&follower->bytes));
    }
    sl_timer_start(sl_http_conn_loop(request->conn), timer, FOLLOW_MS, follow);
}

static void start_following(struct sl_front *front, struct sl_http_request *request, const struct sl_log_group *group) {
    struct follower *follower = calloc(1, sizeof *follower);
    if (!follower) {
        answer(request, 503, "{\"message\":\"no memory\"}");
        return;
    }
    *follower = (struct follower){.front = front, .request = request, .group = *group, .offset = -TAIL_BYTES};
    sl_buf_init(&follower->bytes, 2 * READ_MAX);
    request->user = follower;
    request->aborted = follow_gone;
    sl_http_begin(request, 200);
    sl_http_add(request, SL_STR("Content-Type"), text_type);
    sl_http_stream(request);
    follow(&follower->timer);
}

// GET /_sluice/logs?function=NAME[&region=R][&account=A][&follow=1]
static void logs(struct sl_front *front, struct sl_http_request *request) {
    struct sl_str name = sl_http_query(request, SL_STR("function"));
    struct sl_str region = sl_http_query(request, SL_STR("region")),
                  account = sl_http_query(request, SL_STR("account"));
    if (!region.len) region = SL_STR("us-east-1");
    if (!account.len) account = SL_STR("000000000000");
    const struct sl_function *function = sl_function_find(front->app.invoker, account, region, name, SL_STR("$LATEST"));
    if (!function) {
        answer(request, 404, "{\"message\":\"no such function in this region and account\"}");
        return;
    }
    const struct sl_log_group group = {account, region, sl_arena_dup(request->arena, function->log_group)};
    if (sl_str_is(sl_http_query(request, SL_STR("follow")), "1")) {
        start_following(front, request, &group);
        return;
    }
    struct sl_buf out;
    struct sl_error err;
    int64_t offset = -TAIL_BYTES;
    sl_buf_init(&out, 2 * READ_MAX);
    // No log yet is an empty log: the function exists.
    (void)sl_logs_read(front->logs, &group, &offset, READ_MAX, &out, &err);
    sl_http_respond(request, 200, text_type, sl_buf_view(&out));
    sl_buf_free(&out);
}

// ---- clock ------------------------------------------------------------------------------------------------------

static void move_clock(struct sl_http_request *request) {
    int64_t ms;
    if (!sl_str_to_i64(sl_http_query(request, SL_STR("advance_ms")), &ms) || ms < 0) {
        answer(request, 400, "{\"message\":\"advance_ms must be a number of milliseconds\"}");
        return;
    }
    sl_clock_advance(ms);
    answer(request, 200, "{}");
}

void sl_local_handle(struct sl_front *front, struct sl_http_request *request) {
    bool get = request->method == SL_HTTP_GET;
    if (get && sl_str_is(request->path, "/_sluice/health")) {
        answer(request, 200, "{\"status\":\"ok\",\"version\":\"" SL_VERSION "\"}");
    } else if (get && sl_str_is(request->path, "/_sluice/metrics")) {
        metrics(front, request);
    } else if (get && sl_str_is(request->path, "/_sluice/bill")) {
        sl_daemon_bill(front, request);
    } else if (get && sl_str_is(request->path, "/_sluice/top")) {
        top(front, request);
    } else if (get && sl_str_is(request->path, "/_sluice/logs")) {
        logs(front, request);
    } else if (front->test_clock && request->method == SL_HTTP_POST && sl_str_is(request->path, "/_sluice/clock")) {
        move_clock(request);
    } else if (sl_daemon_events_owns(request)) {
        sl_daemon_events_handle(front, request);
    } else if (!sl_lambda_code_handle(&front->app, request)) {
        answer(request, 404, "{\"message\":\"Not Found\"}");
    }
}
