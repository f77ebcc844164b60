// SPDX-License-Identifier: Apache-2.0
//
// The function of test_seven_languages.py, in C with runtimes/c: does what its event says.
#include "sluice_json.h"
#include "sluice_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int count;

// The text of "value", which comes last.
static int echo(const struct sluice_event *event, struct sluice_response *response) {
    const char *value = strstr(event->data, "\"value\":");
    if (!value) return sluice_fail(response, "Function.BadEvent", "no value");
    value += strlen("\"value\":");
    return sluice_write(response, value, (size_t)(event->data + event->len - 1 - value));
}

static int answer(const char *what, const char *text, struct sluice_response *response) {
    if (strcmp(what, "env") == 0) {
        const char *variable = getenv(text);
        return variable ? sluice_write_string(response, variable, strlen(variable)) : sluice_printf(response, "null");
    }
    if (strcmp(what, "count") == 0) return sluice_printf(response, "%d", count);
    if (strcmp(what, "sleep") == 0) return (int)sleep(1000);
    return sluice_fail(response, "Function.BadValue", text);
}

static int handle(const struct sluice_event *event, const struct sluice_context *context,
                  struct sluice_response *response, void *arg) {
    (void)context, (void)arg;
    struct sluice_json doc;
    if (sluice_json_parse(&doc, event->data, event->len)) return sluice_fail(response, "Function.BadEvent", "not JSON");
    count++;
    size_t len = 0;
    char *what = sluice_json_text_dup(&doc, sluice_json_get(&doc, 0, "do"), &len);
    int value = sluice_json_get(&doc, 0, "value");
    printf("doing %s\n", what);
    int failed;
    if (strcmp(what, "echo") == 0) {
        failed = echo(event, response);
    } else {
        char *text = sluice_json_text_dup(&doc, value, &len);
        failed = answer(what, text ? text : "", response);
        free(text);
    }
    free(what);
    sluice_json_free(&doc);
    return failed;
}

int main(void) { return sluice_run(handle, NULL); }
