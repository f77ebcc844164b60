// SPDX-License-Identifier: Apache-2.0
//
// move: ListDeadLetterSourceQueues, and the tasks that move messages from a dead-letter queue back to where they came
// from, or elsewhere (StartMessageMoveTask). A task is a document; the janitor takes one step of each a second, inside
// one transaction, so a task survives a restart, and no message is lost or doubled by one. A moved message is a new
// one: its receives are counted from zero.
#include "services/sqs/internal.h"

#include <inttypes.h>

#include "base/encoding.h"

enum { STEP_MAX = 500, CHUNK = 10, RATE_MAX = 500, KEPT_MAX = 10, ARENA_MAX = 256 << 20 };

// ---- dead-letter queues ---------------------------------------------------------------------------------------------

// Calls `each` for every queue of the account and region that names `arn` as its dead-letter queue, until it says stop.
static int each_source(struct sl_op *op, struct sl_str account, struct sl_str region, struct sl_str arn,
                       struct sl_str after, bool (*each)(void *user, struct sl_str name), void *user,
                       struct sl_error *err) {
    const struct sl_key key = sl_sqs__key(account, region, SL_STR(""));
    struct sl_json *page;
    bool more = true;
    while (more) {
        int result = sl_store_list(op->tx, op->arena, &key, after, 100, &page, &more, err);
        if (result) return result;
        for (const struct sl_json *item = page->first; item; item = item->next) {
            after = sl_json_string(item, "id");
            struct sl_sqs_queue queue = {.attributes = sl_json_get(sl_json_get(item, "doc"), "Attributes")};
            struct sl_str target;
            int64_t receives;
            if (!sl_sqs__redrive(op->arena, &queue, &target, &receives) || !sl_str_eq(target, arn)) continue;
            if (!each(user, after)) return 0;
        }
    }
    return 0;
}

struct listing {
    struct sl_op *op;
    struct sl_json *urls;
    struct sl_str account;
};

static bool add_url(void *user, struct sl_str name) {
    struct listing *listing = user;
    struct sl_op *op = listing->op;
    sl_json_push(listing->urls, sl_json_new_string(op->arena, sl_sqs__url(op, listing->account, name)));
    return true;
}

int sl_sqs__list_sources(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    struct listing listing = {op, sl_json_new_array(op->arena), queue.account};
    result = each_source(op, queue.account, queue.region, sl_sqs__arn(op->arena, &queue), SL_STR(""), add_url, &listing,
                         err);
    sl_json_set(op->out, SL_STR("queueUrls"), listing.urls);
    return result;
}

// ---- tasks ----------------------------------------------------------------------------------------------------------

static struct sl_key task_key(const struct sl_sqs_queue *source, struct sl_str id) {
    return (struct sl_key){
        .kind = "sqs.move", .account = source->account, .region = source->region, .parent = source->name, .id = id};
}

// A task's handle: "<id> <source's ARN>" in base64.
static struct sl_str handle_of(struct sl_arena *arena, struct sl_str id, struct sl_str arn) {
    struct sl_buf text;
    sl_buf_init(&text, 1024);
    sl_base64_encode(&text, sl_arena_printf(arena, "%.*s %.*s", SL_FMT(id), SL_FMT(arn)));
    struct sl_str copy = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static int open_end(struct sl_op *op, const char *member, struct sl_str arn, struct sl_sqs_queue *ret,
                    struct sl_error *err) {
    struct sl_arn parsed;
    if (!sl_arn_parse(arn, &parsed))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "You must use this format to specify the %s: "
                       "arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
                       member);
    int result = sl_sqs__load_arn(op->tx, op->arena, arn, ret, err);
    if (result != SL_E_QUEUE_DOES_NOT_EXIST) return result;
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource that you specified for the %s parameter doesn't exist.",
                   member);
}

static bool is_running(const struct sl_json *task) {
    struct sl_str status = sl_json_string(task, "Status");
    return sl_str_is(status, "RUNNING") || sl_str_is(status, "CANCELLING");
}

static bool found_one(void *user, struct sl_str name) {
    (void)name;
    *(bool *)user = true;
    return false;
}

// At most one task runs per source; of the ended ones the last few are kept.
static int check_tasks(struct sl_op *op, const struct sl_sqs_queue *source, struct sl_error *err) {
    struct sl_json *list;
    const struct sl_key key = task_key(source, SL_STR(""));
    int result = sl_store_list(op->tx, op->arena, &key, SL_STR(""), 2 * KEPT_MAX, &list, NULL, err);
    unsigned surplus = !result && list->count >= KEPT_MAX ? list->count - KEPT_MAX + 1 : 0;
    for (const struct sl_json *item = result ? NULL : list->first; item && !result; item = item->next) {
        if (is_running(sl_json_get(item, "doc")))
            return sl_fail(
                err, SL_E_INVALID_PARAMETER,
                "There is already a task running. Only one active task is allowed for a source queue arn at a "
                "given time.");
        const struct sl_key old = task_key(source, sl_json_string(item, "id"));
        if (surplus) result = sl_store_delete(op->tx, &old, NULL, err);
        if (surplus) surplus--;
    }
    return result;
}

int sl_sqs__start_move(struct sl_op *op, struct sl_error *err) {
    struct sl_str from = sl_op_in(op, "SourceArn"), to = sl_op_in(op, "DestinationArn");
    int64_t rate = sl_json_int(op->in, "MaxNumberOfMessagesPerSecond", 0);
    struct sl_sqs_queue source, target;
    struct sl_message_counts counts;
    bool dead = false;
    int result = open_end(op, "SourceArn", from, &source, err);
    if (!result) result = each_source(op, source.account, source.region, from, SL_STR(""), found_one, &dead, err);
    if (!result && !dead)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Source queue must be configured as a Dead Letter Queue.");
    if (!result && to.len) result = open_end(op, "DestinationArn", to, &target, err);
    if (!result && (rate < 0 || rate > RATE_MAX))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %" PRId64
                       " for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 "
                       "and 500, if provided.",
                       rate);
    if (!result) result = check_tasks(op, &source, err);
    if (!result) result = sl_message_count(op->tx, source.id, op->now_ms, &counts, err);
    if (result) return result;
    struct sl_str id = sl_arena_printf(op->arena, "%013" PRId64 "-%s", op->now_ms, op->request_id);
    struct sl_json *task = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, task, "Status", SL_STR("RUNNING"));
    sl_json_put_string(op->arena, task, "SourceArn", from);
    if (to.len) sl_json_put_string(op->arena, task, "DestinationArn", to);
    if (rate) sl_json_put_int(op->arena, task, "MaxNumberOfMessagesPerSecond", rate);
    sl_json_put_int(op->arena, task, "ApproximateNumberOfMessagesMoved", 0);
    sl_json_put_int(op->arena, task, "ApproximateNumberOfMessagesToMove", counts.visible);
    sl_json_put_int(op->arena, task, "StartedTimestamp", op->now_ms);
    sl_op_out(op, "TaskHandle", handle_of(op->arena, id, from));
    const struct sl_key key = task_key(&source, id);
    sl_sqs__move_tick(sl_sqs__of(op));
    return sl_store_put(op->tx, &key, task, err);
}

int sl_sqs__cancel_move(struct sl_op *op, struct sl_error *err) {
    struct sl_str text, id, arn;
    struct sl_sqs_queue source;
    struct sl_json *task;
    if (!sl_base64_decode(op->arena, sl_op_in(op, "TaskHandle"), &text) || !sl_utf8_valid(text) ||
        sl_str_chr(text, ' ', 0) < 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Value for parameter TaskHandle is invalid.");
    arn = text;
    sl_str_split(&arn, ' ', &id);
    int result = open_end(op, "SourceArn", arn, &source, err);
    if (result) return result;
    const struct sl_key key = task_key(&source, id);
    result = sl_store_get(op->tx, op->arena, &key, &task, err);
    if (result == SL_E_NOT_FOUND || (!result && !is_running(task)))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Task does not exist.");
    if (result) return result;
    sl_json_put_string(op->arena, task, "Status", SL_STR("CANCELLED"));
    sl_json_put_int(op->arena, op->out, "ApproximateNumberOfMessagesMoved",
                    sl_json_int(task, "ApproximateNumberOfMessagesMoved", 0));
    return sl_store_put(op->tx, &key, task, err);
}

int sl_sqs__list_moves(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue source;
    struct sl_str arn = sl_op_in(op, "SourceArn");
    int64_t most = sl_json_int(op->in, "MaxResults", 1);
    struct sl_json *list, *results = sl_json_new_array(op->arena);
    int result = open_end(op, "SourceArn", arn, &source, err);
    const struct sl_key key = task_key(&source, SL_STR(""));
    if (!result) result = sl_store_list(op->tx, op->arena, &key, SL_STR(""), 2 * KEPT_MAX, &list, NULL, err);
    if (result) return result;
    // Latest first; the list is in the order of time.
    for (int64_t skip = (int64_t)list->count - 1; skip >= 0 && results && results->count < most; skip--) {
        const struct sl_json *item = list->first;
        for (int64_t i = 0; i < skip; i++) item = item->next;
        struct sl_json *row = sl_json_copy(op->arena, sl_json_get(item, "doc"));
        if (is_running(row))
            sl_json_put_string(op->arena, row, "TaskHandle", handle_of(op->arena, sl_json_string(item, "id"), arn));
        sl_json_push(results, row);
    }
    if (results && results->count) sl_json_set(op->out, SL_STR("Results"), results);
    return 0;
}

// ---- a step ---------------------------------------------------------------------------------------------------------

struct mover {
    struct sl_sqs *sqs;
    struct sl_store_tx *tx;
    struct sl_arena *arena;
    struct sl_json *task;
    struct sl_sqs_queue source;
    int64_t now_ms;
};

// Where a message goes: the destination, else the queue in which it died.
static int target_of(struct mover *mover, const struct sl_message *message, struct sl_sqs_queue *ret,
                     struct sl_error *err) {
    struct sl_json *doc;
    struct sl_str arn = sl_json_string(mover->task, "DestinationArn");
    if (!arn.len && sl_json_parse(mover->arena, message->doc, &doc, NULL) == 0) arn = sl_json_string(doc, "source");
    return sl_sqs__load_arn(mover->tx, mover->arena, arn, ret, err);
}

static int move_one(struct mover *mover, struct sl_message *message, struct sl_error *err) {
    struct sl_sqs_queue target;
    struct sl_json *doc;
    struct sl_str group = message->group;
    int result = target_of(mover, message, &target, err);
    if (result) return result;
    char id[SL_UUID];
    sl_uuid(id);
    message->id = sl_arena_dup(mover->arena, sl_str_of(id));
    message->sent_ms = mover->now_ms;
    message->receives = 0;
    message->first_ms = message->received_ms = 0;
    if (sl_json_parse(mover->arena, message->doc, &doc, NULL) == 0 && sl_json_remove(doc, "source")) {
        struct sl_buf text;
        sl_buf_init(&text, 8 * SL_SQS_SIZE_MAX);
        sl_json_write(&text, doc);
        if (!text.failed) message->doc = sl_arena_dup(mover->arena, sl_buf_view(&text));
        sl_buf_free(&text);
    }
    result = sl_sqs__move(mover->tx, &target, message, mover->now_ms, err);
    if (!result && mover->source.fifo) result = sl_group_settle(mover->tx, mover->source.id, group, mover->now_ms, err);
    if (!result) sl_sqs_wake(mover->sqs, target.id, 1);
    return result;
}

static void end_task(struct mover *mover, const char *status, const char *reason) {
    sl_json_put_string(mover->arena, mover->task, "Status", sl_str_of(status));
    if (reason) sl_json_put_string(mover->arena, mover->task, "FailureReason", sl_str_of(reason));
}

static int step(struct mover *mover, struct sl_error *err) {
    int64_t rate = sl_json_int(mover->task, "MaxNumberOfMessagesPerSecond", 0);
    int64_t most = rate ? rate : STEP_MAX, moved = 0;
    int result = 0;
    while (!result && moved < most) {
        struct sl_message *list;
        unsigned count, limit = most - moved < CHUNK ? (unsigned)(most - moved) : CHUNK;
        result =
            sl_message_visible(mover->tx, mover->arena, mover->source.id, mover->now_ms, limit, &list, &count, err);
        for (unsigned i = 0; !result && i < count; i++, moved += !result) result = move_one(mover, &list[i], err);
        if (!result && count < limit) {
            end_task(mover, "COMPLETED", NULL);
            break;
        }
    }
    if (result == SL_E_QUEUE_DOES_NOT_EXIST) {
        end_task(mover, "FAILED", "AWS.SimpleQueueService.NonExistentQueue");
        result = 0;
    }
    sl_json_put_int(mover->arena, mover->task, "ApproximateNumberOfMessagesMoved",
                    sl_json_int(mover->task, "ApproximateNumberOfMessagesMoved", 0) + moved);
    return result;
}

struct running {
    struct sl_arena *arena;
    struct sl_json *keys; // objects {account, region, parent, id}
};

// Only the keys are kept: documents must not change while they are read one after the other.
static int collect(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct running *running = user;
    struct sl_json *task;
    int result = sl_json_parse(running->arena, sl_arena_dup(running->arena, document), &task, err);
    if (result || !is_running(task)) return result;
    struct sl_json *row = sl_json_push(running->keys, sl_json_new_object(running->arena));
    sl_json_put_string(running->arena, row, "account", sl_arena_dup(running->arena, key->account));
    sl_json_put_string(running->arena, row, "region", sl_arena_dup(running->arena, key->region));
    sl_json_put_string(running->arena, row, "parent", sl_arena_dup(running->arena, key->parent));
    sl_json_put_string(running->arena, row, "id", sl_arena_dup(running->arena, key->id));
    return 0;
}

static int run_task(struct mover *mover, const struct sl_json *row, struct sl_error *err) {
    const struct sl_key key = {.kind = "sqs.move",
                               .account = sl_json_string(row, "account"),
                               .region = sl_json_string(row, "region"),
                               .parent = sl_json_string(row, "parent"),
                               .id = sl_json_string(row, "id")};
    int result = sl_store_get(mover->tx, mover->arena, &key, &mover->task, err);
    if (!result)
        result = sl_sqs__load(mover->tx, mover->arena, key.account, key.region, key.parent, &mover->source, err);
    if (!result) result = step(mover, err);
    if (result) return result;
    if (is_running(mover->task)) sl_sqs__move_tick(mover->sqs);
    return sl_store_put(mover->tx, &key, mover->task, err);
}

int sl_sqs__move_run(struct sl_sqs *sqs, struct sl_store_tx *tx, int64_t now_ms, struct sl_error *err) {
    struct sl_arena arena;
    sl_arena_init(&arena, ARENA_MAX);
    struct running running = {&arena, sl_json_new_array(&arena)};
    int result = sl_store_each(tx, "sqs.move", collect, &running, err);
    for (const struct sl_json *row = result || !running.keys ? NULL : running.keys->first; row && !result;
         row = row->next) {
        struct mover mover = {.sqs = sqs, .tx = tx, .arena = &arena, .now_ms = now_ms};
        result = run_task(&mover, row, err);
    }
    sl_arena_free(&arena);
    return result;
}
