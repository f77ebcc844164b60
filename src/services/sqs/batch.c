// SPDX-License-Identifier: Apache-2.0
//
// batch: what SendMessageBatch, DeleteMessageBatch and ChangeMessageVisibilityBatch have in common: one to ten entries
// with distinct ids, each done or failed for itself, the answer 200 all the same (API reference, SendMessageBatch).
#include "services/sqs/internal.h"

#include "aws/codec.h"

enum { ID_MAX = 80 };

static bool good_id(struct sl_str id) {
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '_') return false;
    }
    return id.len > 0 && id.len <= ID_MAX;
}

static int check(const struct sl_op *op, const struct sl_json *entries, struct sl_error *err) {
    if (entries->count == 0)
        return sl_fail(err, SL_E_BATCH_EMPTY, "There should be at least one %.*sRequestEntry in the request.",
                       SL_FMT(op->model->name));
    if (entries->count > SL_SQS_BATCH)
        return sl_fail(err, SL_E_BATCH_TOO_MANY, "Maximum number of entries per request are 10. You have sent %u.",
                       entries->count);
    for (const struct sl_json *at = entries->first; at; at = at->next) {
        struct sl_str id = sl_json_string(at, "Id");
        if (!good_id(id))
            return sl_fail(
                err, SL_E_BATCH_ENTRY_ID,
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be "
                "at most 80 letters long.");
        for (const struct sl_json *before = entries->first; before != at; before = before->next) {
            if (sl_str_eq(id, sl_json_string(before, "Id")))
                return sl_fail(err, SL_E_BATCH_NOT_DISTINCT, "Id %.*s repeated.", SL_FMT(id));
        }
    }
    return 0;
}

// The name by which an entry's failure goes: the query protocol's, whatever the client speaks.
static struct sl_str code_of(const struct sl_op *op, int kind) {
    struct sl_str name = sl_str_of(sl_error_name(kind));
    const struct sl_shape *shape = sl_codec_error(op->model->service, op->model, name);
    return shape && shape->error_code.ptr ? shape->error_code : name;
}

int sl_sqs__batch(struct sl_op *op, const struct sl_sqs_queue *queue,
                  int (*each)(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *entry,
                              struct sl_json *result, struct sl_error *err),
                  struct sl_error *err) {
    const struct sl_json *entries = sl_json_get(op->in, "Entries");
    struct sl_json *done = sl_json_new_array(op->arena), *failed = sl_json_new_array(op->arena);
    int result = check(op, entries, err);
    if (result) return result;
    for (const struct sl_json *at = entries->first; at; at = at->next) {
        struct sl_json *row = sl_json_new_object(op->arena);
        sl_json_put_string(op->arena, row, "Id", sl_json_string(at, "Id"));
        result = each(op, queue, at, row, err);
        if (result && result <= SL_E_UNAVAILABLE) return result;
        if (result) {
            sl_json_put_bool(op->arena, row, "SenderFault", true);
            sl_json_put_string(op->arena, row, "Code", code_of(op, result));
            sl_json_put_string(op->arena, row, "Message", sl_arena_dup(op->arena, sl_str_of(err->message)));
        }
        sl_json_push(result ? failed : done, row);
    }
    if (done && done->count) sl_json_set(op->out, SL_STR("Successful"), done);
    if (failed && failed->count) sl_json_set(op->out, SL_STR("Failed"), failed);
    return 0;
}
