// SPDX-License-Identifier: Apache-2.0
//
// message: what a message may be (API reference, SendMessage; developer guide, "Message quotas"), its MD5 digests
// ("Calculating the MD5 message digest for message attributes"), the document stored beside its body, and how a
// receiver sees it.
#include "services/sqs/internal.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "base/encoding.h"

enum { ATTRIBUTES_MAX = 10, NAME_MAX_BYTES = 255, ID_MAX = 128, DELAY_MAX_S = 900 };

// ---- checking -------------------------------------------------------------------------------------------------------

// #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF; well-formed UTF-8 has no surrogates.
static bool good_characters(struct sl_str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
        if (c == 0xEF && i + 2 < text.len && (unsigned char)text.ptr[i + 1] == 0xBF &&
            (unsigned char)text.ptr[i + 2] >= 0xBE)
            return false; // U+FFFE, U+FFFF
    }
    return true;
}

static bool name_is_good(struct sl_str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '_' && c != '-' && c != '.') return false;
    }
    return name.len > 0;
}

static bool name_is_reserved(struct sl_str name) {
    struct sl_str five = sl_str_sub(name, 0, 4), seven = sl_str_sub(name, 0, 7);
    return sl_str_ieq(five, SL_STR("aws.")) || sl_str_ieq(seven, SL_STR("amazon.")) || name.ptr[0] == '.' ||
           name.ptr[name.len - 1] == '.';
}

static bool is_type(struct sl_str type, const char *of) {
    struct sl_str base = sl_str_of(of);
    return sl_str_starts(type, base) && (type.len == base.len || type.ptr[base.len] == '.');
}

static int check_attribute(const struct sl_json *attribute, struct sl_error *err) {
    struct sl_str name = attribute->key, type = sl_json_string(attribute, "DataType");
    if (name.len > NAME_MAX_BYTES)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Message (user) attribute names must be shorter than 256 Bytes");
    if (!name_is_good(name))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Message (user) attributes name can only contain upper and lower score characters, digits, "
                       "periods, hyphens and underscores. ");
    if (name_is_reserved(name))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are "
                       "reserved for internal use. Additionally, they cannot start or end with '.'.");
    if (!type.len) return sl_fail(err, SL_E_INVALID_PARAMETER, "Missing required parameter DataType");
    if (type.len > NAME_MAX_BYTES)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Message (user) attribute types must be shorter than 256 Bytes");
    bool binary = is_type(type, "Binary");
    if (!binary && !is_type(type, "String") && !is_type(type, "Number"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The message attribute '%.*s' has an invalid message attribute type, the set of supported type "
                       "prefixes is Binary, Number, and String.",
                       SL_FMT(name));
    if (!sl_json_string(attribute, binary ? "BinaryValue" : "StringValue").len)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Message (user) attribute '%.*s' must contain a non-empty value of type '%s'.", SL_FMT(name),
                       binary ? "Binary" : "String");
    return 0;
}

// Group and deduplication ids (API reference, SendMessage).
static int check_id(struct sl_str id, const char *name, struct sl_error *err) {
    bool good = id.len <= ID_MAX;
    for (size_t i = 0; good && i < id.len; i++) good = id.ptr[i] > 0x20 && id.ptr[i] < 0x7F;
    if (good) return 0;
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "Value %.*s for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation "
                   "characters. 1 to 128 in length.",
                   SL_FMT(id), name, name);
}

static int check_order(const struct sl_sqs_queue *queue, const struct sl_sqs__draft *draft, struct sl_error *err) {
    int result = check_id(draft->group, "MessageGroupId", err);
    if (!result) result = check_id(draft->dedup, "MessageDeduplicationId", err);
    if (result) return result;
    if (!queue->fifo && draft->dedup.len)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %.*s for parameter MessageDeduplicationId is invalid. Reason: The request includes a "
                       "parameter that is not valid for this queue type.",
                       SL_FMT(draft->dedup));
    if (draft->delay_s > DELAY_MAX_S)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %" PRId64 " for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and "
                       "<= 900.",
                       draft->delay_s);
    if (!queue->fifo) return 0;
    if (draft->delay_s > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %" PRId64 " for parameter DelaySeconds is invalid. Reason: The request include parameter "
                       "that is not valid for this queue type.",
                       draft->delay_s);
    if (!draft->group.len)
        return sl_fail(err, SL_E_MISSING_PARAMETER, "The request must contain the parameter MessageGroupId.");
    if (!draft->dedup.len && !sl_sqs__flag(queue, "ContentBasedDeduplication"))
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
            "explicitly");
    return 0;
}

size_t sl_sqs__size(const struct sl_sqs__draft *draft) {
    size_t size = draft->body.len;
    for (const struct sl_json *at = draft->attributes ? draft->attributes->first : NULL; at; at = at->next) {
        size += at->key.len;
        for (const struct sl_json *part = at->first; part; part = part->next)
            if (part->type == SL_JSON_STRING) size += part->text.len;
    }
    return size;
}

int sl_sqs__check(struct sl_arena *arena, const struct sl_sqs_queue *queue, const struct sl_sqs__draft *draft,
                  struct sl_error *err) {
    (void)arena;
    int64_t most = sl_sqs__setting(queue, "MaximumMessageSize");
    if (!draft->body.len)
        return sl_fail(err, SL_E_MISSING_PARAMETER, "The request must contain the parameter MessageBody.");
    if (!good_characters(draft->body))
        return sl_fail(
            err, SL_E_MESSAGE_CONTENTS,
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 "
            "to #xFFFD | #x10000 to #x10FFFF");
    if ((int64_t)sl_sqs__size(draft) > most)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "One or more parameters are invalid. Reason: Message must be shorter than %" PRId64 " bytes.",
                       most);
    if (draft->attributes && draft->attributes->count > ATTRIBUTES_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Number of message attributes [%u] exceeds the allowed maximum [10].", draft->attributes->count);
    for (const struct sl_json *at = draft->attributes ? draft->attributes->first : NULL; at; at = at->next) {
        int result = check_attribute(at, err);
        if (result) return result;
    }
    return check_order(queue, draft, err);
}

// ---- digests --------------------------------------------------------------------------------------------------------

static struct sl_str hex_of(struct sl_arena *arena, const unsigned char digest[16]) {
    struct sl_buf text;
    sl_buf_init(&text, 64);
    sl_hex_encode(&text, sl_str_n((const char *)digest, 16));
    struct sl_str copy = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

struct sl_str sl_sqs__md5(struct sl_arena *arena, struct sl_str bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(bytes.ptr, bytes.len, digest, NULL, EVP_md5(), NULL)) return (struct sl_str){0};
    return hex_of(arena, digest);
}

static void put_sized(struct sl_buf *out, struct sl_str text) {
    const unsigned char size[4] = {(unsigned char)(text.len >> 24), (unsigned char)(text.len >> 16),
                                   (unsigned char)(text.len >> 8), (unsigned char)text.len};
    sl_buf_put(out, size, sizeof size);
    sl_buf_str(out, text);
}

// The next attribute after `name` in order; NULL at the end. At most ten are there.
static const struct sl_json *after(const struct sl_json *attributes, const struct sl_json *last) {
    const struct sl_json *best = NULL;
    for (const struct sl_json *at = attributes->first; at; at = at->next) {
        if (last && sl_str_cmp(at->key, last->key) <= 0) continue;
        if (!best || sl_str_cmp(at->key, best->key) < 0) best = at;
    }
    return best;
}

struct sl_str sl_sqs__md5_attributes(struct sl_arena *arena, const struct sl_json *attributes) {
    if (!attributes || !attributes->count) return (struct sl_str){0};
    struct sl_buf text;
    sl_buf_init(&text, 4 * SL_SQS_SIZE_MAX);
    for (const struct sl_json *at = after(attributes, NULL); at; at = after(attributes, at)) {
        struct sl_str type = sl_json_string(at, "DataType");
        bool binary = is_type(type, "Binary");
        put_sized(&text, at->key);
        put_sized(&text, type);
        sl_buf_char(&text, binary ? 2 : 1);
        put_sized(&text, sl_json_string(at, binary ? "BinaryValue" : "StringValue"));
    }
    struct sl_str digest = text.failed ? (struct sl_str){0} : sl_sqs__md5(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return digest;
}

// ---- stored and shown -----------------------------------------------------------------------------------------------

// A copy of attributes with their bytes as base64 (to store them) or from it (to show them).
static struct sl_json *recode(struct sl_arena *arena, const struct sl_json *attributes, bool encode) {
    struct sl_json *copy = sl_json_copy(arena, attributes);
    for (struct sl_json *at = copy ? copy->first : NULL; at; at = at->next) {
        struct sl_json *bytes = sl_json_get(at, "BinaryValue");
        struct sl_str decoded;
        if (!bytes) continue;
        if (!encode) {
            if (sl_base64_decode(arena, bytes->text, &decoded)) bytes->text = decoded;
            continue;
        }
        struct sl_buf text;
        sl_buf_init(&text, 2 * SL_SQS_SIZE_MAX);
        sl_base64_encode(&text, bytes->text);
        bytes->text = sl_arena_dup(arena, sl_buf_view(&text));
        sl_buf_free(&text);
    }
    return copy;
}

struct sl_str sl_sqs__message_doc(struct sl_arena *arena, const struct sl_sqs__draft *draft, struct sl_str source) {
    struct sl_json *doc = sl_json_new_object(arena);
    struct sl_buf text;
    if (draft->attributes && draft->attributes->count)
        sl_json_set(doc, SL_STR("attributes"), recode(arena, draft->attributes, true));
    if (draft->sender.len) sl_json_put_string(arena, doc, "sender", draft->sender);
    if (draft->dedup.len) sl_json_put_string(arena, doc, "dedup", draft->dedup);
    if (draft->trace.len) sl_json_put_string(arena, doc, "trace", draft->trace);
    if (source.len) sl_json_put_string(arena, doc, "source", source);
    sl_buf_init(&text, 8 * SL_SQS_SIZE_MAX);
    sl_json_write(&text, doc);
    struct sl_str copy = text.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

// AWS's numbers have twenty digits.
struct sl_str sl_sqs__sequence(struct sl_arena *arena, int64_t seq) {
    return sl_arena_printf(arena, "188%017" PRId64, seq);
}

static bool wants_system(const struct sl_json *names, const char *name, bool all) {
    for (const struct sl_json *at = names ? names->first : NULL; at && !all; at = at->next)
        all = sl_str_is(at->text, "All") || sl_str_is(at->text, name);
    return all;
}

// "All", ".*", "prefix.*" or the name itself.
static bool wants_attribute(const struct sl_json *names, struct sl_str name, bool all) {
    for (const struct sl_json *at = names ? names->first : NULL; at && !all; at = at->next) {
        struct sl_str want = at->text;
        all = sl_str_is(want, "All") || sl_str_eq(want, name) ||
              (sl_str_ends(want, SL_STR(".*")) && sl_str_starts(name, sl_str_sub(want, 0, want.len - 2)));
    }
    return all;
}

static struct sl_json *system_attributes(struct sl_arena *arena, const struct sl_sqs_queue *queue,
                                         const struct sl_message *message, const struct sl_json *doc,
                                         const struct sl_json *names, bool all) {
    const struct {
        const char *name;
        struct sl_str value;
    } rows[] = {
        {"SenderId", sl_json_string(doc, "sender")},
        {"SentTimestamp", sl_arena_printf(arena, "%" PRId64, message->sent_ms)},
        {"ApproximateReceiveCount", sl_arena_printf(arena, "%u", message->receives)},
        {"ApproximateFirstReceiveTimestamp", sl_arena_printf(arena, "%" PRId64, message->first_ms)},
        {"SequenceNumber", queue->fifo ? sl_sqs__sequence(arena, message->seq) : (struct sl_str){0}},
        {"MessageDeduplicationId", sl_json_string(doc, "dedup")},
        {"MessageGroupId", message->group},
        {"AWSTraceHeader", sl_json_string(doc, "trace")},
        {"DeadLetterQueueSourceArn", sl_json_string(doc, "source")},
    };
    struct sl_json *shown = sl_json_new_object(arena);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].value.len && wants_system(names, rows[i].name, all))
            sl_json_put_string(arena, shown, rows[i].name, rows[i].value);
    }
    return shown;
}

struct sl_json *sl_sqs__shown(struct sl_arena *arena, const struct sl_sqs_queue *queue,
                              const struct sl_message *message, const struct sl_json *wanted_system,
                              const struct sl_json *wanted_attributes, bool all) {
    struct sl_json *shown = sl_json_new_object(arena), *doc = NULL, *chosen = sl_json_new_object(arena);
    if (sl_json_parse(arena, message->doc, &doc, NULL)) doc = NULL;
    const struct sl_json *stored = sl_json_get(doc, "attributes");
    struct sl_json *attributes = stored ? recode(arena, stored, false) : NULL;
    for (struct sl_json *at = attributes ? attributes->first : NULL, *next; at; at = next) {
        next = at->next; // moving it to the other object changes its link
        if (wants_attribute(wanted_attributes, at->key, all)) sl_json_push(chosen, at);
    }
    struct sl_json *system = system_attributes(arena, queue, message, doc, wanted_system, all);
    sl_json_put_string(arena, shown, "MessageId", message->id);
    sl_json_put_string(arena, shown, "ReceiptHandle", sl_sqs__handle(arena, message));
    sl_json_put_string(arena, shown, "MD5OfBody", sl_sqs__md5(arena, message->body));
    sl_json_put_string(arena, shown, "Body", message->body);
    if (system && system->count) sl_json_set(shown, SL_STR("Attributes"), system);
    if (chosen && chosen->count) {
        sl_json_put_string(arena, shown, "MD5OfMessageAttributes", sl_sqs__md5_attributes(arena, chosen));
        sl_json_set(shown, SL_STR("MessageAttributes"), chosen);
    }
    return shown;
}
