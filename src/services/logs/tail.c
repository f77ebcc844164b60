// SPDX-License-Identifier: Apache-2.0
//
// tail: StartLiveTail, a session that streams what arrives in up to ten groups (CloudWatch Logs API reference,
// "StartLiveTail"; the frames are aws/eventstream.h's):
//
//   loop: run ─► storage thread: are the groups there? ─► worker: where do they end now? ─► loop: sessionStart
//   then, once a second:  loop: tick ─► worker: what has come since ─► loop: sessionUpdate
//
// A session keeps a position per group, so a second costs what has come in it, not what is stored. It keeps one update
// at most: while the client has not read enough, no further one is made, and the next has the first of what came
// meanwhile, "sampled". It ends when its client goes, after three hours, and when the server stops; each by itself, on
// its loop.
//
// Sessions are listed under a lock, for sl_log_tails_stop. Whoever takes one out of the list owns its end, or posts the
// letter after whose delivery its loop does.
#include "services/logs/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/eventstream.h"
#include "base/clock.h"
#include "base/id.h"
#include "net/loop.h"

enum {
    TICK_MS = 1000,
    RESULTS_MAX = 500,            // of an update (LiveTailSessionUpdate)
    UPDATE_MAX = 1 << 20,         // bytes of their texts
    TEXT_MAX = 4 << 20,           // of one event, with its escapes
    SESSIONS_MAX = 15,            // of an account ("CloudWatch Logs quotas", concurrent Live Tail sessions)
    GROUPS_MAX = 10,              // the model's limit
    LIFE_MS = 3 * 60 * 60 * 1000, // SessionTimeoutException
    FRAME_KEEP = 64 * 1024,
};

struct session {
    struct session *next, **prev; // prev: listed
    struct sl_log_tails *tails;
    struct sl_op *op;
    struct sl_timer timer;
    struct sl_mail mail;
    struct sl_store_job job;
    struct sl_str groups[GROUPS_MAX], labels[GROUPS_MAX]; // names; "ACCOUNT:NAME", as results have them
    int64_t positions[GROUPS_MAX];                        // of what has not been seen
    unsigned group_count;
    const struct sl_json *streams, *prefixes; // lists of names, or NULL
    struct sl_logs__pattern *pattern;
    int64_t begun_ms;
    bool working; // the storage thread or a worker has it
    bool leaving; // it ends when that is over
    bool told;    // sl_log_tails_stop's letter has come
    bool over;    // it has ended but for that letter
    int result;
    struct sl_error error;
    // of the update under way
    struct sl_str label;
    struct sl_arena scratch;
    struct sl_buf text, rows, frame;
    unsigned row_count;
    bool sampled;
};

struct sl_log_tails {
    pthread_mutex_t lock;
    struct session *first;
    bool stopping;
};

// ---- the list -------------------------------------------------------------------------------------------------------

int sl_log_tails_new(struct sl_log_tails **ret, struct sl_error *err) {
    struct sl_log_tails *tails = calloc(1, sizeof *tails);
    if (!tails) return sl_fail(err, SL_E_NO_MEMORY, "logs: out of memory");
    pthread_mutex_init(&tails->lock, NULL);
    *ret = tails;
    return 0;
}

void sl_log_tails_free(struct sl_log_tails *tails) {
    if (!tails) return;
    pthread_mutex_destroy(&tails->lock);
    free(tails);
}

static void unlist(struct session *session) {
    *session->prev = session->next;
    if (session->next) session->next->prev = session->prev;
    session->prev = NULL;
}

static int enlist(struct session *session, struct sl_error *err) {
    struct sl_log_tails *tails = session->tails;
    unsigned count = 0;
    pthread_mutex_lock(&tails->lock);
    for (const struct session *at = tails->first; at; at = at->next)
        count += sl_str_eq(at->op->account, session->op->account);
    bool stopping = tails->stopping;
    if (!stopping && count < SESSIONS_MAX) {
        session->next = tails->first;
        session->prev = &tails->first;
        if (tails->first) tails->first->prev = &session->next;
        tails->first = session;
    }
    pthread_mutex_unlock(&tails->lock);
    if (stopping) return sl_fail(err, SL_E_UNAVAILABLE, "the server is stopping");
    if (count >= SESSIONS_MAX)
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Maximum number of concurrent Live Tail sessions (%d) reached.",
                       SESSIONS_MAX);
    return 0;
}

// ---- the end --------------------------------------------------------------------------------------------------------

static void dispose(struct session *session) {
    struct sl_op *op = session->op;
    sl_arena_free(&session->scratch);
    sl_buf_free(&session->text);
    sl_buf_free(&session->rows);
    sl_buf_free(&session->frame);
    if (session->result)
        sl_op_answer_error(op, &session->error);
    else
        sl_op_answer(op);
}

// On the loop, while no worker has it.
static void end(struct session *session) {
    struct sl_log_tails *tails = session->tails;
    sl_timer_stop(&session->timer);
    pthread_mutex_lock(&tails->lock);
    bool mine = session->prev != NULL;
    if (mine) unlist(session);
    pthread_mutex_unlock(&tails->lock);
    session->over = !mine && !session->told;
    if (!session->over) dispose(session);
}

static void leave(struct session *session) {
    session->leaving = true;
    if (!session->working) end(session);
}

static void gone(struct sl_op *op) { leave(op->state); }

static void stopped(struct sl_mail *mail) {
    struct session *session = SL_CONTAINER(mail, struct session, mail);
    session->told = true;
    if (session->over)
        dispose(session);
    else
        leave(session);
}

void sl_log_tails_stop(struct sl_log_tails *tails) {
    pthread_mutex_lock(&tails->lock);
    tails->stopping = true;
    while (tails->first) {
        struct session *session = tails->first;
        unlist(session);
        sl_loop_post(sl_op_loop(session->op), &session->mail, stopped);
    }
    pthread_mutex_unlock(&tails->lock);
}

// ---- frames ---------------------------------------------------------------------------------------------------------

static void send_frame(struct session *session) {
    if (!session->frame.failed) sl_op_send(session->op, sl_buf_view(&session->frame));
}

static void send_event(struct session *session, struct sl_str type, struct sl_str payload) {
    sl_buf_clear(&session->frame, FRAME_KEEP);
    sl_eventstream_event(&session->frame, type, SL_STR("application/json"), payload);
    send_frame(session);
}

static void send_exception(struct session *session, struct sl_str type, const char *message) {
    char payload[128];
    int len = snprintf(payload, sizeof payload, "{\"message\":\"%s\"}", message);
    sl_buf_clear(&session->frame, FRAME_KEEP);
    sl_eventstream_exception(&session->frame, type, SL_STR("application/json"), sl_str_n(payload, (size_t)len));
    send_frame(session);
}

static void put_list(struct sl_buf *out, const char *name, const struct sl_json *list) {
    if (!list) return;
    sl_buf_printf(out, ",\"%s\":", name);
    sl_json_write(out, list);
}

static void send_start(struct session *session) {
    const struct sl_op *op = session->op;
    char id[SL_UUID];
    struct sl_buf *out = &session->rows;
    sl_uuid(id);
    sl_buf_clear(out, FRAME_KEEP);
    sl_buf_printf(out, "{\"requestId\":\"%s\",\"sessionId\":\"%s\"", op->request_id, id);
    put_list(out, "logGroupIdentifiers", sl_json_get(op->in, "logGroupIdentifiers"));
    put_list(out, "logStreamNames", session->streams);
    put_list(out, "logStreamNamePrefixes", session->prefixes);
    sl_buf_cstr(out, ",\"logEventFilterPattern\":");
    sl_json_write_string(out, session->pattern ? sl_op_in(op, "logEventFilterPattern") : SL_STR(""));
    sl_buf_char(out, '}');
    sl_op_stream_begin(session->op, SL_STR("application/vnd.amazon.eventstream"));
    send_event(session, SL_STR("initial-response"), SL_STR("{}"));
    send_event(session, SL_STR("sessionStart"), sl_buf_view(out));
}

static void send_update(struct session *session) {
    struct sl_buf *out = &session->text; // free between two updates
    sl_buf_clear(out, FRAME_KEEP);
    sl_buf_printf(out, "{\"sessionMetadata\":{\"sampled\":%s},\"sessionResults\":[",
                  session->sampled ? "true" : "false");
    sl_buf_str(out, sl_buf_view(&session->rows));
    sl_buf_cstr(out, "]}");
    if (!out->failed) send_event(session, SL_STR("sessionUpdate"), sl_buf_view(out));
}

// ---- once a second --------------------------------------------------------------------------------------------------

static bool named(const struct sl_json *names, struct sl_str stream, bool prefixes) {
    for (const struct sl_json *at = names->first; at; at = at->next)
        if (prefixes ? sl_str_starts(stream, at->text) : sl_str_eq(stream, at->text)) return true;
    return false;
}

static bool collect_event(void *user, const struct sl_log_event *event) {
    struct session *session = user;
    struct sl_buf *rows = &session->rows;
    if (session->streams && !named(session->streams, event->stream, false)) return true;
    if (session->prefixes && !named(session->prefixes, event->stream, true)) return true;
    sl_buf_clear(&session->text, TEXT_MAX);
    sl_log_unescape(&session->text, event->text);
    struct sl_str text = sl_buf_view(&session->text);
    if (session->text.failed ||
        (session->pattern && !sl_logs__pattern_matches(session->pattern, &session->scratch, text)))
        return true;
    if (session->row_count == RESULTS_MAX || rows->len + text.len > UPDATE_MAX) {
        session->sampled = true;
        return true;
    }
    size_t before = rows->len;
    if (session->row_count++) sl_buf_char(rows, ',');
    sl_buf_cstr(rows, "{\"logStreamName\":");
    sl_json_write_string(rows, event->stream);
    sl_buf_cstr(rows, ",\"logGroupIdentifier\":");
    sl_json_write_string(rows, session->label);
    sl_buf_cstr(rows, ",\"message\":");
    sl_json_write_string(rows, text);
    sl_buf_printf(rows, ",\"timestamp\":%lld,\"ingestionTime\":%lld}", (long long)event->time_ms,
                  (long long)event->taken_ms);
    if (rows->failed) { // escapes made it six times as long
        rows->failed = false;
        rows->len = before;
        session->row_count--;
        session->sampled = true;
    }
    return true;
}

static void collect(struct sl_op *op) {
    struct session *session = op->state;
    sl_buf_clear(&session->rows, UPDATE_MAX);
    session->row_count = 0;
    session->sampled = false;
    for (unsigned i = 0; i < session->group_count && !session->result; i++) {
        const struct sl_log_group group = sl_logs__group(op, session->groups[i]);
        sl_arena_reset(&session->scratch);
        session->label = session->labels[i];
        session->result =
            sl_logs_scan_from(sl_logs__of(op), &group, &session->positions[i], collect_event, session, &session->error);
    }
}

static void tick(struct sl_timer *timer);

static void wait_again(struct session *session) {
    sl_timer_start(sl_op_loop(session->op), &session->timer, TICK_MS, tick);
}

static void collected(struct sl_op *op) {
    struct session *session = op->state;
    session->working = false;
    if (session->result) {
        send_exception(session, SL_STR("SessionStreamingException"), "The log could not be read.");
        session->result = 0;
        session->leaving = true;
    }
    if (session->leaving) {
        end(session);
        return;
    }
    send_update(session);
    wait_again(session);
}

static void drained(struct sl_op *op) { (void)op; } // the next tick asks again

static void tick(struct sl_timer *timer) {
    struct session *session = SL_CONTAINER(timer, struct session, timer);
    if (sl_clock_unmoved_ms() - session->begun_ms >= LIFE_MS) {
        send_exception(session, SL_STR("SessionTimeoutException"), "The session has timed out.");
        end(session);
        return;
    }
    session->working =
        sl_op_drained(session->op, drained) && sl_op_work(session->op, collect, collected, &session->error) == 0;
    if (!session->working) wait_again(session);
}

// ---- the begin ------------------------------------------------------------------------------------------------------

static void find_ends(struct sl_op *op) {
    struct session *session = op->state;
    sl_logs_settle(sl_logs__of(op));
    for (unsigned i = 0; i < session->group_count; i++) {
        const struct sl_log_group group = sl_logs__group(op, session->groups[i]);
        struct sl_log_stat stat;
        if (sl_logs_stat(sl_logs__of(op), &group, &stat)) session->positions[i] = stat.next_position;
    }
}

// Before its stream has begun: by an error, of its own or because the server stops, which a client that has gone does
// not see.
static void end_early(struct session *session) {
    if (!session->result) session->result = sl_fail(&session->error, SL_E_UNAVAILABLE, "the server is stopping");
    end(session);
}

static void begin(struct sl_op *op) {
    struct session *session = op->state;
    session->working = false;
    if (session->leaving) {
        end_early(session);
        return;
    }
    session->begun_ms = sl_clock_unmoved_ms();
    send_start(session);
    wait_again(session);
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct session *session = SL_CONTAINER(job, struct session, job);
    struct sl_json *group;
    int result = 0;
    session->op->tx = tx;
    for (unsigned i = 0; i < session->group_count && !result; i++)
        result = sl_logs__load_group(session->op, session->groups[i], &group, err);
    session->op->tx = NULL;
    return result;
}

static void load_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct session *session = SL_CONTAINER(job, struct session, job);
    session->result = result;
    if (result) session->error = *err;
    if (!result && !session->leaving && sl_op_work(session->op, find_ends, begin, &session->error) == 0) return;
    if (!result && !session->leaving) session->result = session->error.kind;
    session->working = false;
    end_early(session);
}

static int check(struct session *session, struct sl_error *err) {
    const struct sl_op *op = session->op;
    const struct sl_json *groups = sl_json_get(op->in, "logGroupIdentifiers");
    struct sl_str text = sl_op_in(op, "logEventFilterPattern");
    session->streams = sl_json_get(op->in, "logStreamNames");
    session->prefixes = sl_json_get(op->in, "logStreamNamePrefixes");
    if (session->streams && session->prefixes)
        return sl_fail(err, SL_E_LOGS_PARAMETER,
                       "logStreamNamePrefixes and logStreamNames can not be specified together.");
    if ((session->streams || session->prefixes) && groups->count > 1)
        return sl_fail(err, SL_E_LOGS_PARAMETER,
                       "logStreamNames and logStreamNamePrefixes can only be specified with one log group.");
    for (const struct sl_json *at = groups->first; at && session->group_count < GROUPS_MAX; at = at->next) {
        if (sl_str_ends(at->text, SL_STR("*")))
            return sl_fail(err, SL_E_LOGS_PARAMETER, "The log group ARN can not end with an asterisk.");
        struct sl_str name = sl_logs__name_in(at->text);
        session->groups[session->group_count] = name;
        session->labels[session->group_count++] =
            sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(op->account), SL_FMT(name));
    }
    return sl_str_trim(text).len ? sl_logs__pattern_parse(op->arena, text, &session->pattern, err) : 0;
}

int sl_logs__start_live_tail(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct session *session = sl_arena_zalloc(op->arena, sizeof *session);
    if (!session) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    session->op = op;
    session->tails = app->tails;
    int result = check(session, err);
    if (!result) result = enlist(session, err);
    if (result) return result;
    sl_arena_init(&session->scratch, 64 << 20);
    sl_buf_init(&session->text, 2 * TEXT_MAX);
    sl_buf_init(&session->rows, 2 * UPDATE_MAX + TEXT_MAX);
    sl_buf_init(&session->frame, 4 * UPDATE_MAX + TEXT_MAX);
    op->state = session;
    op->gone = gone;
    session->working = true;
    session->job = (struct sl_store_job){.run = load_run, .done = load_done, .read_only = true};
    if (sl_store_submit(op->store, &session->job, &session->error) == 0) return 0;
    session->result = session->error.kind;
    session->working = false;
    end(session);
    return 0;
}
