// SPDX-License-Identifier: Apache-2.0
//
// eventstream: see eventstream.h. A frame is written in one go; both checksums are taken from the buffer afterwards.
#include "aws/eventstream.h"

#include <zlib.h>

enum { TYPE_STRING = 7, PRELUDE = 12, TRAILER = 4 };

static void put_u32(char *at, uint32_t value) {
    at[0] = (char)(value >> 24);
    at[1] = (char)(value >> 16);
    at[2] = (char)(value >> 8);
    at[3] = (char)value;
}

// One byte of name length, name, type, two bytes of value length, value.
static size_t header_len(struct sl_str name, struct sl_str value) { return 1 + name.len + 3 + value.len; }

static char *put_header(char *at, struct sl_str name, struct sl_str value) {
    *at++ = (char)name.len;
    memcpy(at, name.ptr, name.len);
    at += name.len;
    *at++ = TYPE_STRING;
    *at++ = (char)(value.len >> 8);
    *at++ = (char)value.len;
    memcpy(at, value.ptr, value.len);
    return at + value.len;
}

static void put_frame(struct sl_buf *out, const struct sl_str names[3], const struct sl_str values[3],
                      struct sl_str payload) {
    size_t headers = 0;
    for (unsigned i = 0; i < 3; i++) headers += header_len(names[i], values[i]);
    size_t total = PRELUDE + headers + payload.len + TRAILER;
    char *frame = total <= UINT32_MAX ? sl_buf_reserve(out, total) : NULL;
    if (!frame) {
        out->failed = true;
        return;
    }
    put_u32(frame, (uint32_t)total);
    put_u32(frame + 4, (uint32_t)headers);
    put_u32(frame + 8, (uint32_t)crc32(0, (const Bytef *)frame, 8));
    char *at = frame + PRELUDE;
    for (unsigned i = 0; i < 3; i++) at = put_header(at, names[i], values[i]);
    if (payload.len) memcpy(at, payload.ptr, payload.len);
    put_u32(frame + total - TRAILER, (uint32_t)crc32(0, (const Bytef *)frame, (uInt)(total - TRAILER)));
    out->len += total;
}

void sl_eventstream_event(struct sl_buf *out, struct sl_str event_type, struct sl_str content_type,
                          struct sl_str payload) {
    const struct sl_str names[] = {SL_STR(":event-type"), SL_STR(":content-type"), SL_STR(":message-type")};
    const struct sl_str values[] = {event_type, content_type, SL_STR("event")};
    put_frame(out, names, values, payload);
}

void sl_eventstream_exception(struct sl_buf *out, struct sl_str exception_type, struct sl_str content_type,
                              struct sl_str payload) {
    const struct sl_str names[] = {SL_STR(":exception-type"), SL_STR(":content-type"), SL_STR(":message-type")};
    const struct sl_str values[] = {exception_type, content_type, SL_STR("exception")};
    put_frame(out, names, values, payload);
}
