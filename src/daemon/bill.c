// SPDX-License-Identifier: Apache-2.0
//
// bill: GET /_sluice/bill[?month=2026-11], what functions used in a month: the rows that invoke/meter.c describes, as
// JSON, and the instances that are idle now, which use nothing. Prices are the client's (`sluice bill`). The rows are
// read on the storage thread; the answer is given on the request's loop. What was used in the last seconds may be
// missing.
#include "daemon/daemon.h"

#include "base/clock.h"
#include "invoke/engine.h"
#include "store/store.h"

#include <stdlib.h>

enum { ANSWER_MAX = 64 * 1024 * 1024 };

struct reading {
    struct sl_store_job job;
    struct sl_http_request *request; // NULL: its client has gone
    struct sl_invoker *invoker;
    char month[8];
    struct sl_buf answer;
};

static int read_rows(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct reading *reading = SL_CONTAINER(job, struct reading, job);
    sl_buf_printf(&reading->answer, "{\"month\":\"%s\",\"idle_instances\":%u,\"rows\":", reading->month,
                  sl_invoker_idle(reading->invoker));
    int result = sl_invoke_meters_write(tx, sl_str_of(reading->month), &reading->answer, err);
    sl_buf_char(&reading->answer, '}');
    if (result == 0 && reading->answer.failed) return sl_fail(err, SL_E_LIMIT, "the bill is too long");
    return result;
}

static void have_rows(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct reading *reading = SL_CONTAINER(job, struct reading, job);
    (void)err;
    if (reading->request) {
        reading->request->aborted = NULL;
        struct sl_str body =
            result ? SL_STR("{\"message\":\"the bill could not be read\"}") : sl_buf_view(&reading->answer);
        sl_http_respond(reading->request, result ? 500 : 200, SL_STR("application/json"), body);
    }
    sl_buf_free(&reading->answer);
    free(reading);
}

static void gone(struct sl_http_request *request) { ((struct reading *)request->user)->request = NULL; }

// "2026-11"; nothing stands for the present month.
static bool understand(struct sl_str text, char month[static 8]) {
    char now[SL_TIME_ISO_MS];
    sl_time_iso_ms(sl_clock_ms(), now);
    memcpy(month, now, 7);
    month[7] = '\0';
    if (!text.len) return true;
    if (text.len != 7 || text.ptr[4] != '-') return false;
    for (unsigned i = 0; i < 7; i++)
        if (i != 4 && (text.ptr[i] < '0' || text.ptr[i] > '9')) return false;
    memcpy(month, text.ptr, 7);
    return true;
}

void sl_daemon_bill(struct sl_front *front, struct sl_http_request *request) {
    struct reading *reading = calloc(1, sizeof *reading);
    struct sl_error err;
    bool good = reading && understand(sl_http_query(request, SL_STR("month")), reading->month);
    if (!good) {
        free(reading);
        sl_http_respond(request, 400, SL_STR("application/json"),
                        SL_STR("{\"message\":\"month must have the form 2026-11\"}"));
        return;
    }
    reading->job = (struct sl_store_job){.run = read_rows, .done = have_rows, .read_only = true};
    reading->request = request;
    reading->invoker = front->app.invoker;
    sl_buf_init(&reading->answer, ANSWER_MAX);
    request->user = reading;
    request->aborted = gone;
    if (sl_store_submit(front->app.store, &reading->job, &err)) have_rows(&reading->job, err.kind, &err);
}
