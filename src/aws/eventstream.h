// SPDX-License-Identifier: Apache-2.0
//
// eventstream: frames of application/vnd.amazon.eventstream, AWS's framing of streamed answers ("Event stream
// encoding", Amazon Transcribe developer guide): total length, length of the headers, CRC-32 of these; headers;
// payload; CRC-32 of everything. Numbers are big-endian. Pure functions.
#ifndef SL_AWS_EVENTSTREAM_H
#define SL_AWS_EVENTSTREAM_H

#include "base/buf.h"

// What a frame adds to its payload, at most, for event and content type names of up to 64 bytes.
enum { SL_EVENTSTREAM_OVERHEAD = 256 };

// Appends one event: headers :event-type, :content-type and :message-type "event". Fails by out->failed.
void sl_eventstream_event(struct sl_buf *out, struct sl_str event_type, struct sl_str content_type,
                          struct sl_str payload);
// Appends an exception: :exception-type, :content-type and :message-type "exception".
void sl_eventstream_exception(struct sl_buf *out, struct sl_str exception_type, struct sl_str content_type,
                              struct sl_str payload);

#endif
