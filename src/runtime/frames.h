// SPDX-License-Identifier: Apache-2.0
//
// frames: the framed messages that AWS's interface clients write to the descriptor in _LAMBDA_TELEMETRY_LOG_FD, so that
// a message of several lines stays one record (awslambdaric, "FramedTelemetryLogSink"; aws-lambda-nodejs-runtime-
// interface-client, "LogPatch"). That descriptor is the function's standard output, so frames and plain text come mixed
// in one stream, and are told apart by the frames' first bytes, which no UTF-8 text has.
//
//   type 4 bytes: a5 5a 00 xx (xx: format and level) | length 4 bytes | microseconds since 1970 8 bytes | message
//
// All numbers big-endian. Clients of before 2022 write type a55a0001, which has no time.
//
// Hostile input: a function may write any bytes. A length beyond SL_FRAME_MAX makes the header plain text; what is kept
// of a message that has begun is bounded by that.
#ifndef SL_RUNTIME_FRAMES_H
#define SL_RUNTIME_FRAMES_H

#include "base/buf.h"

enum {
    SL_FRAME_MAX = 1024 * 1024, // bytes of a message
    SL_FRAME_FIRST = 0xa5,      // the byte that a frame begins with: where there is none, there is no frame
};

// A stream that is being taken apart. Zeroed at first.
struct sl_frames {
    struct sl_buf frame; // header and message that have come so far
};

struct sl_frames_sink {
    void (*text)(void *user, struct sl_str bytes);      // plain bytes, in any pieces, not empty
    void (*message)(void *user, struct sl_str message); // a whole one
    void *user;
};

void sl_frames_feed(struct sl_frames *frames, struct sl_str bytes, const struct sl_frames_sink *sink);
// Nothing more comes: what has begun is text after all.
void sl_frames_end(struct sl_frames *frames, const struct sl_frames_sink *sink);
void sl_frames_free(struct sl_frames *frames);

#endif
