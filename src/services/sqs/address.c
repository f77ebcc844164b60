// SPDX-License-Identifier: Apache-2.0
//
// address: how a queue is named. Its URL is made of the host that the client used
// ("http://localhost:4566/ACCOUNT/NAME", "http://sqs.REGION.localhost:4566/ACCOUNT/NAME"), so that it leads back here
// whatever names resolve where the client runs; read are the last two parts of the path, and the region where the URL
// names one. A receipt handle is the number of the message and the number drawn when it was received, for this queue
// only.
#include "services/sqs/internal.h"

#include "base/encoding.h"

struct sl_sqs *sl_sqs__of(const struct sl_op *op) {
    return ((const struct sl_app *)op->app)->sqs;
}

struct sl_key sl_sqs__key(struct sl_str account, struct sl_str region, struct sl_str name) {
    return (struct sl_key){.kind = "sqs.queue", .account = account, .region = region, .parent = SL_STR(""), .id = name};
}

int sl_sqs__load(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str account, struct sl_str region,
                 struct sl_str name, struct sl_sqs_queue *ret, struct sl_error *err) {
    const struct sl_key key = sl_sqs__key(account, region, name);
    *ret = (struct sl_sqs_queue){.account = account, .region = region, .name = name};
    int result = sl_store_get(tx, arena, &key, &ret->doc, err);
    if (result == SL_E_NOT_FOUND) return sl_fail(err, SL_E_QUEUE_DOES_NOT_EXIST, "The specified queue does not exist.");
    if (result) return result;
    ret->id = sl_json_int(ret->doc, "_id", 0);
    ret->attributes = sl_json_get(ret->doc, "Attributes");
    ret->fifo = sl_str_is(sl_json_string(ret->attributes, "FifoQueue"), "true");
    return ret->id && ret->attributes ? 0 : sl_fail(err, SL_E_IO, "stored queue %.*s is damaged", SL_FMT(name));
}

int sl_sqs__load_arn(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str arn, struct sl_sqs_queue *ret,
                     struct sl_error *err) {
    struct sl_arn parsed;
    if (!sl_arn_parse(arn, &parsed) || !sl_str_is(parsed.service, "sqs"))
        return sl_fail(err, SL_E_QUEUE_DOES_NOT_EXIST, "The specified queue does not exist.");
    return sl_sqs__load(tx, arena, parsed.account, parsed.region, parsed.resource, ret, err);
}

int sl_sqs__no_queue(const struct sl_op *op, struct sl_error *err) {
    return sl_fail(err, SL_E_QUEUE_DOES_NOT_EXIST, "The specified queue does not exist%s.",
                   op->protocol == SL_PROTOCOL_QUERY ? " for this wsdl version" : "");
}

// "sqs.eu-west-1.localhost:4566" names a region; so does "/queue/eu-west-1/ACCOUNT/NAME".
static struct sl_str region_of(struct sl_str host, struct sl_str path) {
    struct sl_str rest = host, part = {0};
    if (sl_str_starts(host, SL_STR("sqs."))) {
        rest = sl_str_sub(host, 4, host.len);
        sl_str_split(&rest, '.', &part);
    } else if (sl_str_starts(path, SL_STR("/queue/"))) {
        rest = sl_str_sub(path, 7, path.len);
        sl_str_split(&rest, '/', &part);
    }
    return sl_str_chr(part, '-', 0) > 0 ? part : (struct sl_str){0};
}

static bool parse_url(struct sl_str url, struct sl_str *ret_region, struct sl_str *ret_account,
                      struct sl_str *ret_name) {
    ptrdiff_t scheme = sl_str_find(url, SL_STR("://"));
    struct sl_str rest = scheme < 0 ? url : sl_str_sub(url, (size_t)scheme + 3, url.len);
    ptrdiff_t slash = sl_str_chr(rest, '/', 0);
    if (slash < 0) return false;
    struct sl_str host = sl_str_sub(rest, 0, (size_t)slash), path = sl_str_sub(rest, (size_t)slash, rest.len), part;
    *ret_region = region_of(host, path);
    struct sl_str last[2] = {{0}, {0}};
    for (rest = path; sl_str_split(&rest, '/', &part);) {
        if (!part.len) continue;
        last[0] = last[1];
        last[1] = part;
    }
    *ret_account = last[0];
    *ret_name = last[1];
    return sl_is_account(last[0]) && last[1].len;
}

int sl_sqs__open(struct sl_op *op, struct sl_sqs_queue *ret, struct sl_error *err) {
    struct sl_str url = sl_op_in(op, "QueueUrl"), region, account, name;
    if (!parse_url(url, &region, &account, &name))
        return sl_fail(err, SL_E_INVALID_ADDRESS, "The address %.*s is not valid for this endpoint.", SL_FMT(url));
    int result = sl_sqs__load(op->tx, op->arena, account, region.len ? region : op->region, name, ret, err);
    return result == SL_E_QUEUE_DOES_NOT_EXIST ? sl_sqs__no_queue(op, err) : result;
}

int sl_sqs__save(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_error *err) {
    const struct sl_key key = sl_sqs__key(queue->account, queue->region, queue->name);
    sl_sqs__note_policy(op, queue, sl_json_string(queue->attributes, "Policy"));
    return sl_store_put(op->tx, &key, queue->doc, err);
}

struct sl_str sl_sqs__url(struct sl_op *op, struct sl_str account, struct sl_str name) {
    struct sl_str host = op->host.len ? op->host : ((const struct sl_app *)op->app)->public_host;
    return sl_arena_printf(op->arena, "http://%.*s/%.*s/%.*s", SL_FMT(host), SL_FMT(account), SL_FMT(name));
}

struct sl_str sl_sqs__arn(struct sl_arena *arena, const struct sl_sqs_queue *queue) {
    return sl_arena_printf(arena, "arn:%.*s:sqs:%.*s:%.*s:%.*s", SL_FMT(sl_partition_of(queue->region)),
                           SL_FMT(queue->region), SL_FMT(queue->account), SL_FMT(queue->name));
}

// ---- receipt handles ------------------------------------------------------------------------------------------------

struct handle {
    int64_t version, queue, seq, receipt;
};

struct sl_str sl_sqs__handle(struct sl_arena *arena, const struct sl_message *message) {
    const struct handle handle = {1, message->queue, message->seq, message->receipt};
    struct sl_buf text;
    sl_buf_init(&text, 256);
    sl_base64_encode(&text, sl_str_n((const char *)&handle, sizeof handle));
    struct sl_str copy = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

int sl_sqs__open_handle(struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str text, int64_t *ret_seq,
                        int64_t *ret_receipt, struct sl_error *err) {
    struct handle handle;
    struct sl_str bytes = {0};
    bool read = sl_base64_decode(arena, text, &bytes) && bytes.len == sizeof handle;
    if (read) memcpy(&handle, bytes.ptr, sizeof handle);
    if (!read || handle.version != 1 || handle.queue != queue->id) {
        return sl_fail(err, SL_E_INVALID_RECEIPT_HANDLE,
                       "The input receipt handle \"%.*s\" is not a valid receipt handle.", SL_FMT(text));
    }
    *ret_seq = handle.seq;
    *ret_receipt = handle.receipt;
    return 0;
}
