// SPDX-License-Identifier: Apache-2.0
//
// Lambda functions in C: a client of the Lambda Runtime API with one public header, built from one source file.
//
// A function is a program named `bootstrap` for the runtime provided.al2023. Its main() calls sluice_run() with a
// handler, which is called once per event and writes its answer:
//
//     static int hello(const struct sluice_event *event, const struct sluice_context *context,
//                      struct sluice_response *response, void *arg) {
//         return sluice_printf(response, "{\"bytes\":%zu}", event->len);
//     }
//     int main(void) { return sluice_run(hello, NULL); }
//
//     cc -std=c11 -O2 -o bootstrap hello.c sluice_runtime.c
//
// C11 and Linux, no other dependency, links statically. One thread: an environment has one invocation at a time. The
// answer to an event and the request for the next one leave in one write, and in Sluice's sandbox further events may be
// here then (sluice_lane.h). Limits: events of 8 MiB, answers of Lambda's
// 6,291,556 bytes unless streamed; AWS_LAMBDA_RUNTIME_API must hold an IPv4 address (or localhost) and a port.

#ifndef SLUICE_RUNTIME_H
#define SLUICE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The event, a JSON text. `data` is followed by a NUL byte, which `len` does not count. Valid during the handler call.
struct sluice_event {
    const char *data;
    size_t len;
};

// What Lambda says about the invocation. Strings are valid during the handler call; those marked may be NULL.
struct sluice_context {
    const char *request_id;
    const char *function_arn;     // as invoked, with the alias or version if there was one
    const char *trace_id;         // may be NULL; also in the environment as _X_AMZN_TRACE_ID
    const char *client_context;   // JSON text; may be NULL
    const char *cognito_identity; // JSON text; may be NULL
    const char *tenant_id;        // may be NULL
    int64_t deadline_ms;          // milliseconds since 1970 at which the invocation times out
};

// The answer being written. Opaque; belongs to the library.
struct sluice_response;

// Returns 0 if the invocation went well. Anything else, without a call of sluice_fail(), is reported as the error
// Function.HandlerFailed.
typedef int (*sluice_handler)(const struct sluice_event *event, const struct sluice_context *context,
                              struct sluice_response *response, void *arg);

// Serves events until the Runtime API is gone; returns the process's exit status (1). Sets standard output to flush by
// lines, and flushes it before an answer is sent, so that log lines belong to their invocation.
int sluice_run(sluice_handler handler, void *arg);

// Reports that the function cannot start, instead of sluice_run(). `type` like "Function.NoDatabase". Returns 1.
int sluice_init_error(const char *type, const char *message);

// Milliseconds until the invocation times out; 0 if that moment has passed.
int64_t sluice_remaining_ms(const struct sluice_context *context);

// The writers append to the answer, which should be a JSON text. They return 0, or -1 if the answer became larger than
// Lambda allows, memory ran out, or (streaming) the connection broke; the invocation then fails whatever follows.
int sluice_write(struct sluice_response *response, const void *data, size_t len);
int sluice_printf(struct sluice_response *response, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
int sluice_write_string(struct sluice_response *response, const char *text, size_t len);

// The media type of the answer (default application/json). Copied, at most 127 bytes; before streaming begins.
void sluice_content_type(struct sluice_response *response, const char *type);

// Makes the invocation fail with this error instead of what was written. After streaming began, the error follows what
// has been sent. Returns -1, so that a handler can say `return sluice_fail(...)`.
int sluice_fail(struct sluice_response *response, const char *type, const char *message);

// From here on the answer is sent while it is written (function URLs with RESPONSE_STREAM, REST streaming). Pieces
// leave when 16 KiB have gathered, or at sluice_flush(). Returns 0 or -1.
int sluice_stream(struct sluice_response *response);
int sluice_flush(struct sluice_response *response);

// Starts a streamed HTTP answer: `json` is {"statusCode":..,"headers":{..},"cookies":[..]}; the body follows. Sets the
// content type Lambda expects and calls sluice_stream(). Nothing may have been written before. Returns 0 or -1.
int sluice_stream_http(struct sluice_response *response, const char *json, size_t len);

#ifdef __cplusplus
}
#endif

#endif
