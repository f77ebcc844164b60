// SPDX-License-Identifier: Apache-2.0
//
// invoke: `sluice invoke NAME`. The answer goes to standard output as it came, everything else to standard error, so
// that the output can be piped. Exit status 1 when the function itself failed.
#include "cli/internal.h"

#include "base/encoding.h"

struct values {
    struct sl_cli_target target;
    const char *payload, *data, *qualifier;
    bool event, log;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

enum { PAYLOAD_MAX = 6291456 + 1 }; // one over Lambda's limit, so that it is the server that refuses, in AWS's words

static int read_payload(struct sl_cli *cli, const struct values *values, struct sl_str *ret, struct sl_error *err) {
    if (values->payload && values->data)
        return sl_fail(err, SL_E_USAGE, "invoke: --payload and --data exclude each other");
    *ret = sl_str_of(values->data ? values->data : "{}");
    return values->payload ? sl_cli__read(cli, values->payload, PAYLOAD_MAX, ret, err) : 0;
}

static void print_log(struct sl_cli *cli, struct sl_str base64) {
    struct sl_str text;
    if (base64.len && sl_base64_decode(cli->arena, base64, &text)) sl_cli__print(stderr, SL_CLI_FAINT, text);
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    struct sl_str payload;
    int failed = read_payload(cli, values, &payload, err);
    if (failed) return failed;

    struct sl_str path = sl_cli__function_path(cli, sl_str_of(arguments->item[0]), "/invocations");
    if (values->qualifier) path = sl_arena_printf(cli->arena, "%.*s?Qualifier=%s", SL_FMT(path), values->qualifier);
    const char *headers[3] = {values->event ? "X-Amz-Invocation-Type: Event" : "X-Amz-Invocation-Type: RequestResponse",
                              values->log && !values->event ? "X-Amz-Log-Type: Tail" : NULL};
    struct sl_cli_request request = {.target = &values->target,
                                     .service = "lambda",
                                     .method = "POST",
                                     .path = path,
                                     .body = payload,
                                     .headers = headers};
    struct sl_cli_answer answer;
    if ((failed = sl_cli__call(cli, &request, &answer, err)) != 0) return failed;

    print_log(cli, answer.log_result);
    if (values->event) {
        fputs("accepted\n", stderr);
        return 0;
    }
    fwrite(answer.body.ptr, 1, answer.body.len, stdout);
    if (answer.body.len) putchar('\n');
    if (answer.function_error.len) {
        fprintf(stderr, "sluice: the function failed (%.*s)\n", SL_FMT(answer.function_error));
        cli->exit_code = 1;
    }
    return 0;
}

static const struct sl_option options[] = {
    {.name = "payload",
     .letter = 'p',
     .type = SL_OPTION_TEXT,
     .value = "FILE",
     .help = "event to send, - is standard input; default {}",
     SL_OPTION_AT(struct values, payload)},
    {.name = "data",
     .letter = 'd',
     .type = SL_OPTION_TEXT,
     .value = "JSON",
     .help = "the same, written out",
     SL_OPTION_AT(struct values, data)},
    {.name = "log",
     .letter = 'l',
     .type = SL_OPTION_FLAG,
     .help = "show the end of the invocation's log",
     SL_OPTION_AT(struct values, log)},
    {.name = "event",
     .letter = 'e',
     .type = SL_OPTION_FLAG,
     .help = "queue it and do not wait",
     SL_OPTION_AT(struct values, event)},
    {.name = "qualifier",
     .type = SL_OPTION_TEXT,
     .value = "VERSION",
     .help = "version to run",
     SL_OPTION_AT(struct values, qualifier)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__invoke = {
    .command =
        {.name = "invoke",
         .summary = "run a function and print its answer",
         .arguments = "NAME",
         .min_arguments = 1,
         .max_arguments = 1,
         .options = options,
         .text =
             "The answer goes to standard output, the log to standard error. Exit status 1 when the function failed.\n",
         .examples = "sluice invoke hello-python --data '{\"name\": \"Ada\"}' --log\n"
                     "generate-event | sluice invoke worker --payload - --event\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
