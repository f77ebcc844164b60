// SPDX-License-Identifier: Apache-2.0
//
// receive: ReceiveMessage, with long polling: a request that finds nothing is parked until its time is over, the queue
// changes, or a message of it becomes visible by time.
//
//   loop      run ─ store job ──────────────────────────────► done ─ answer
//   storage            take; nothing: enter the waiters' list ──┘ └ parked: timer, or woken ─ store job again
//
// Nothing is lost between looking and parking: both happen in one job, and jobs are serial; whoever sends later wakes
// the list after its commit. The letter may overtake the job's own answer (`woken` before `done`): it is remembered.
//
// Threads: the job on the storage thread, all else on the request's loop. `gone` is read on the storage thread, so that
// messages are not handed to a client that has left.
#include "services/sqs/internal.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/clock.h"

enum { ARENA_MAX = 128 << 20 };

struct receive {
    struct sl_store_job job;
    struct sl_sqs_waiter waiter;
    struct sl_timer timer;
    struct sl_op *op;
    struct sl_sqs *sqs;
    int64_t deadline_ms; // 0: not known yet (the queue's own)
    int64_t next_ms;     // when time alone may bring a message
    unsigned max;
    int64_t visibility_s;
    struct sl_sqs__take take;
    bool parked; // set by the job: it is in the waiters' list, or was woken since
    bool looking, again;
    atomic_bool gone;
};

static void look(struct receive *receive);

static int check_range(struct sl_op *op, const char *name, int64_t low, int64_t high, const char *reason,
                       struct sl_error *err) {
    int64_t value;
    const struct sl_json *node = sl_json_get(op->in, name);
    if (!node || (sl_json_to_i64(node, &value) && value >= low && value <= high)) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Value %.*s for parameter %s is invalid. Reason: %s",
                   SL_FMT(node->text), name, reason);
}

static int answer_with(struct receive *receive, const struct sl_sqs_queue *queue, struct sl_arena *arena,
                       struct sl_error *err) {
    struct sl_op *op = receive->op;
    const struct sl_json *system = sl_json_get(op->in, "MessageSystemAttributeNames");
    if (!system) system = sl_json_get(op->in, "AttributeNames"); // its older name
    struct sl_json *list = sl_json_new_array(arena);
    for (unsigned i = 0; i < receive->take.count; i++) {
        sl_json_push(list, sl_sqs__shown(arena, queue, &receive->take.messages[i], system,
                                         sl_json_get(op->in, "MessageAttributeNames"), false));
    }
    sl_json_set(op->out, SL_STR("Messages"), sl_json_copy(op->arena, list));
    return sl_arena_failed(op->arena) || sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "messages too large")
                                                                : 0;
}

// One look. What it reads goes to an arena of its own: a long poll may look many times.
static int look_at(struct receive *receive, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_error *err) {
    struct sl_op *op = receive->op;
    struct sl_sqs_queue queue;
    int64_t now = sl_clock_ms();
    struct sl_arena *own = op->arena;
    op->tx = tx;
    op->arena = arena;
    int result = sl_sqs__open(op, &queue, err);
    op->arena = own;
    op->tx = NULL;
    if (result) return result;
    if (!receive->deadline_ms)
        receive->deadline_ms = op->now_ms + sl_sqs__setting(&queue, "ReceiveMessageWaitTimeSeconds") * 1000;
    receive->take = (struct sl_sqs__take){.max = receive->max, .visibility_s = receive->visibility_s, .now_ms = now};
    result = sl_sqs__take(tx, arena, &queue, &receive->take, err);
    if (result) return result;
    if (receive->take.count) return answer_with(receive, &queue, arena, err);
    if (now >= receive->deadline_ms) return 0;
    result = sl_message_next(tx, queue.id, queue.fifo, now, &receive->next_ms, err);
    if (!result) receive->parked = sl_sqs_wait(receive->sqs, &receive->waiter, queue.id);
    return result;
}

static int look_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct receive *receive = SL_CONTAINER(job, struct receive, job);
    struct sl_arena arena;
    if (atomic_load(&receive->gone)) return 0;
    sl_arena_init(&arena, ARENA_MAX);
    int result = look_at(receive, tx, &arena, err);
    sl_arena_free(&arena);
    return result;
}

static void look_committed(struct sl_store_job *job) {
    struct receive *receive = SL_CONTAINER(job, struct receive, job);
    if (receive->take.dead) sl_sqs_wake(receive->sqs, receive->take.dead_queue, receive->take.dead);
    // Several messages may have come at once, and one waiter been woken for each sender: let the next one look too.
    if (receive->take.count == receive->max) sl_sqs_wake(receive->sqs, receive->take.messages[0].queue, 1);
}

static void timed(struct sl_timer *timer) {
    struct receive *receive = SL_CONTAINER(timer, struct receive, timer);
    if (!sl_sqs_unwait(receive->sqs, &receive->waiter)) return; // a letter is on its way
    look(receive);                                              // the last look, or one at what time brought
}

static void park(struct receive *receive) {
    int64_t until = receive->next_ms < receive->deadline_ms ? receive->next_ms : receive->deadline_ms;
    int64_t rest = until - sl_clock_ms();
    sl_timer_start(sl_op_loop(receive->op), &receive->timer, rest > 0 ? rest : 0, timed);
}

static void look_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct receive *receive = SL_CONTAINER(job, struct receive, job);
    bool again = receive->again;
    receive->looking = receive->again = false;
    if (receive->parked && result) {
        // The commit failed after the waiter was entered.
        receive->parked = !again && !sl_sqs_unwait(receive->sqs, &receive->waiter);
    }
    if (receive->parked && atomic_load(&receive->gone) && (again || sl_sqs_unwait(receive->sqs, &receive->waiter)))
        receive->parked = false;
    if (receive->parked && again) {
        look(receive);
    } else if (receive->parked) {
        if (!atomic_load(&receive->gone)) park(receive); // else the letter on its way ends it
    } else if (result) {
        sl_op_answer_error(receive->op, err);
    } else {
        sl_op_answer(receive->op);
    }
}

static void woken(struct sl_mail *mail) {
    struct receive *receive = SL_CONTAINER(mail, struct receive, waiter.mail);
    sl_timer_stop(&receive->timer);
    if (receive->looking) {
        receive->again = true;
    } else if (atomic_load(&receive->gone)) {
        sl_op_answer(receive->op);
    } else {
        look(receive);
    }
}

static void look(struct receive *receive) {
    struct sl_error err;
    receive->looking = true;
    receive->parked = false;
    receive->job = (struct sl_store_job){.run = look_run, .committed = look_committed, .done = look_done};
    if (sl_store_submit(receive->op->store, &receive->job, &err)) sl_op_answer_error(receive->op, &err);
}

// The client has gone: a job that runs ends it, a letter that is on its way too; else it ends here.
static void gone(struct sl_op *op) {
    struct receive *receive = op->state;
    atomic_store(&receive->gone, true);
    if (receive->looking) return;
    sl_timer_stop(&receive->timer);
    if (sl_sqs_unwait(receive->sqs, &receive->waiter)) sl_op_answer(op);
}

int sl_sqs__receive_message(struct sl_op *op, struct sl_error *err) {
    int result = check_range(op, "MaxNumberOfMessages", 1, SL_SQS_BATCH, "Must be between 1 and 10, if provided.", err);
    if (!result) result = check_range(op, "WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20, if provided.", err);
    if (!result)
        result = check_range(op, "VisibilityTimeout", 0, SL_SQS_VISIBILITY_MAX_S, "Must be between 0 and 43200.", err);
    if (result) return result;
    struct receive *receive = sl_arena_zalloc(op->arena, sizeof *receive);
    if (!receive) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int64_t wait_s = sl_json_int(op->in, "WaitTimeSeconds", -1);
    receive->op = op;
    receive->sqs = sl_sqs__of(op);
    receive->deadline_ms = wait_s < 0 ? 0 : op->now_ms + wait_s * 1000;
    receive->max = (unsigned)sl_json_int(op->in, "MaxNumberOfMessages", 1);
    receive->visibility_s = sl_json_int(op->in, "VisibilityTimeout", -1);
    receive->waiter.loop = sl_op_loop(op);
    receive->waiter.woken = woken;
    op->state = receive;
    op->gone = gone;
    look(receive);
    return 0;
}
