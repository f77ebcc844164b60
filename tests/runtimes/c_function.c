// SPDX-License-Identifier: Apache-2.0
//
// The function that test_c_runtime.py runs: does what its event asks for, to exercise every call of the C library.

#include "sluice_json.h"
#include "sluice_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show_context(const struct sluice_context *c, struct sluice_response *r) {
    const char *trace = getenv("_X_AMZN_TRACE_ID");
    const char *fields[] = {c->request_id,       c->function_arn, c->trace_id, c->client_context,
                            c->cognito_identity, c->tenant_id,    trace};
    sluice_write(r, "[", 1);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i]) {
            sluice_write_string(r, fields[i], strlen(fields[i]));
        } else {
            sluice_printf(r, "null");
        }
        sluice_write(r, ",", 1);
    }
    return sluice_printf(r, "%lld]", (long long)sluice_remaining_ms(c));
}

static int repeat(struct sluice_response *r, int64_t bytes) {
    static char block[10000];
    memset(block, 'x', sizeof block);
    for (; bytes > 0; bytes -= (int64_t)sizeof block) {
        if (sluice_write(r, block, bytes < (int64_t)sizeof block ? (size_t)bytes : sizeof block)) {
            return -1;
        }
    }
    return 0;
}

static int stream(const struct sluice_json *doc, struct sluice_response *r, int64_t bytes) {
    static const char prelude[] = "{\"statusCode\":201}";
    if (sluice_json_get(doc, 0, "http") >= 0) {
        if (sluice_stream_http(r, prelude, sizeof prelude - 1)) {
            return -1;
        }
    } else {
        sluice_content_type(r, "text/plain");
        sluice_printf(r, "before ");
        sluice_stream(r);
    }
    sluice_printf(r, "one ");
    sluice_flush(r);
    repeat(r, bytes);
    return sluice_json_get(doc, 0, "fail") >= 0 ? sluice_fail(r, "Function.Cut", "cut \"short\"") : 0;
}

static int handler(const struct sluice_event *event, const struct sluice_context *context,
                   struct sluice_response *response, void *arg) {
    if (event->data[event->len] != '\0' || strcmp(arg, "arg") != 0) {
        abort();
    }
    struct sluice_json doc;
    if (sluice_json_parse(&doc, event->data, event->len)) {
        return sluice_fail(response, "Function.NotJson", "the event is not JSON");
    }
    char what[32] = "echo";
    int64_t number = 0;
    sluice_json_text(&doc, sluice_json_get(&doc, 0, "do"), what, sizeof what);
    sluice_json_int64(&doc, sluice_json_get(&doc, 0, "n"), &number);
    int result;
    if (strcmp(what, "context") == 0) {
        result = show_context(context, response);
    } else if (strcmp(what, "repeat") == 0) {
        result = repeat(response, number);
    } else if (strcmp(what, "stream") == 0) {
        result = stream(&doc, response, number);
    } else if (strcmp(what, "fail") == 0) {
        sluice_printf(response, "never seen");
        result = sluice_fail(response, "Function.Bad\r\nX-Evil: 1", "b\xc3\xa9 \xff \"q\" \n");
    } else if (strcmp(what, "return") == 0) {
        result = (int)number;
    } else if (strcmp(what, "exit") == 0) {
        exit((int)number);
    } else if (strcmp(what, "log") == 0) {
        printf("a line\npartial");
        result = sluice_printf(response, "null");
    } else {
        result = sluice_write(response, event->data, event->len);
    }
    sluice_json_free(&doc);
    return result;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        return sluice_init_error("Function.NoLuck", "cannot \"start\"");
    }
    return sluice_run(handler, "arg");
}
