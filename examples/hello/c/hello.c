// SPDX-License-Identifier: Apache-2.0
//
// Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada).

#include "sluice_json.h"
#include "sluice_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hello(const struct sluice_event *event, const struct sluice_context *context,
                 struct sluice_response *response, void *arg) {
    (void)context, (void)arg;
    struct sluice_json doc;
    if (sluice_json_parse(&doc, event->data, event->len)) {
        return sluice_fail(response, "Function.BadEvent", "The event is not JSON.");
    }
    int query = sluice_json_get(&doc, 0, "queryStringParameters"); // there if the URL had a query
    size_t len;
    char *name = sluice_json_text_dup(&doc, sluice_json_get(&doc, query >= 0 ? query : 0, "name"), &len);
    char text[256]; // a longer name is cut off
    snprintf(text, sizeof text, "Hello, %s!", name ? name : "world");
    sluice_printf(response, "{\"message\":");
    sluice_write_string(response, text, strlen(text));
    sluice_printf(response, ",\"runtime\":\"c\"}");
    free(name);
    sluice_json_free(&doc);
    return 0;
}

int main(void) { return sluice_run(hello, NULL); }
