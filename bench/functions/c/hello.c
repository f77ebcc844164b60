// SPDX-License-Identifier: Apache-2.0
//
// The C function that the benchmarks call: answers the same few bytes whatever the event.
#include "sluice_runtime.h"

static int hello(const struct sluice_event *event, const struct sluice_context *context,
                 struct sluice_response *response, void *arg) {
    (void)event, (void)context, (void)arg;
    static const char answer[] =
        "{\"statusCode\":200,\"headers\":{\"content-type\":\"text/plain\"},\"body\":\"hello\\n\"}";
    return sluice_write(response, answer, sizeof answer - 1);
}

int main(void) { return sluice_run(hello, NULL); }
