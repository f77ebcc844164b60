// SPDX-License-Identifier: Apache-2.0
//
// frames: see frames.h.
#include "runtime/frames.h"

enum { TYPE = 4, OLD_HEADER = 8, HEADER = 16, KEEP = 4096, OLD_TYPE = 1 };

static const unsigned char magic[3] = {0xa5, 0x5a, 0x00};

static uint32_t number(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

// How many bytes the frame that begins here needs in all, as far as it is known: at least the next step of it. 0: it is
// no frame.
static size_t needed(const struct sl_buf *frame) {
    size_t check = frame->len < sizeof magic ? frame->len : sizeof magic;
    if (memcmp(frame->ptr, magic, check) != 0) return 0;
    if (frame->len < OLD_HEADER) return OLD_HEADER;
    size_t header = frame->ptr[TYPE - 1] == OLD_TYPE ? OLD_HEADER : HEADER;
    uint32_t length = number(frame->ptr + TYPE);
    return length > SL_FRAME_MAX ? 0 : header + length;
}

static void give_up(struct sl_frames *frames, const struct sl_frames_sink *sink) {
    struct sl_buf text = frames->frame;
    sl_buf_init(&frames->frame, SL_FRAME_MAX + HEADER);
    sink->text(sink->user, sl_str_n(text.ptr, 1)); // the byte that looked like a beginning; the rest is looked at again
    if (text.len > 1) sl_frames_feed(frames, sl_str_n(text.ptr + 1, text.len - 1), sink);
    sl_buf_free(&text);
}

// Adds to the frame that has begun; returns how many of the bytes were taken.
static size_t add(struct sl_frames *frames, struct sl_str bytes, const struct sl_frames_sink *sink) {
    struct sl_buf *frame = &frames->frame;
    size_t need = needed(frame), taken = 0;
    while (need > frame->len && taken < bytes.len) {
        size_t more = need - frame->len < bytes.len - taken ? need - frame->len : bytes.len - taken;
        if (frame->len < sizeof magic) more = 1; // looked at one by one, until they are sure
        sl_buf_put(frame, bytes.ptr + taken, more);
        taken += more;
        need = needed(frame);
    }
    if (need == 0 || frame->failed) {
        frame->failed = false;
        give_up(frames, sink);
    } else if (need == frame->len) {
        size_t header = frame->ptr[TYPE - 1] == OLD_TYPE ? OLD_HEADER : HEADER;
        sink->message(sink->user, sl_str_n(frame->ptr + header, frame->len - header));
        sl_buf_clear(frame, KEEP);
    }
    return taken;
}

void sl_frames_feed(struct sl_frames *frames, struct sl_str bytes, const struct sl_frames_sink *sink) {
    while (bytes.len) {
        if (frames->frame.len) {
            size_t taken = add(frames, bytes, sink);
            bytes = sl_str_sub(bytes, taken, bytes.len);
            continue;
        }
        ptrdiff_t at = sl_str_chr(bytes, (char)magic[0], 0);
        size_t plain = at < 0 ? bytes.len : (size_t)at;
        if (plain) sink->text(sink->user, sl_str_sub(bytes, 0, plain));
        if (at < 0) return;
        if (!frames->frame.max) sl_buf_init(&frames->frame, SL_FRAME_MAX + HEADER);
        sl_buf_char(&frames->frame, (char)magic[0]);
        bytes = sl_str_sub(bytes, plain + 1, bytes.len);
    }
}

void sl_frames_end(struct sl_frames *frames, const struct sl_frames_sink *sink) {
    if (frames->frame.len) sink->text(sink->user, sl_buf_view(&frames->frame));
    sl_frames_free(frames);
}

void sl_frames_free(struct sl_frames *frames) {
    sl_buf_free(&frames->frame);
    *frames = (struct sl_frames){.frame.ptr = NULL};
}
