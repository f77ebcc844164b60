// SPDX-License-Identifier: Apache-2.0
//
// logs: `sluice logs NAME`, a function's log lines as the server keeps them (GET /_sluice/logs).
#include "cli/internal.h"

#include "base/encoding.h"

#include <errno.h>

struct values {
    struct sl_cli_target target;
    bool follow;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

static bool print_part(void *user, struct sl_str bytes) {
    (void)user;
    sl_cli__print(stdout, SL_CLI_PLAIN, bytes);
    return fflush(stdout) == 0;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    struct sl_buf path;
    sl_buf_init(&path, 4096);
    sl_buf_cstr(&path, "/_sluice/logs?function=");
    sl_percent_encode(&path, sl_str_of(arguments->item[0]), false);
    if (values->follow) sl_buf_cstr(&path, "&follow=1");
    struct sl_cli_request request = {.target = &values->target,
                                     .service = "lambda",
                                     .method = "GET",
                                     .path = path.failed ? (struct sl_str){0} : sl_buf_view(&path),
                                     .part = print_part};
    struct sl_cli_answer answer;
    int failed = path.failed ? sl_fail(err, SL_E_USAGE, "logs: that name is too long for a function")
                             : sl_cli__call(cli, &request, &answer, err);
    sl_buf_free(&path);
    return failed;
}

static const struct sl_option options[] = {
    {.name = "follow",
     .letter = 'f',
     .type = SL_OPTION_FLAG,
     .help = "go on with new lines until interrupted",
     SL_OPTION_AT(struct values, follow)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__logs = {
    .command = {.name = "logs",
                .summary = "print a function's log",
                .arguments = "NAME",
                .min_arguments = 1,
                .max_arguments = 1,
                .options = options,
                .examples = "sluice logs hello-python\nsluice logs telegram-echo --follow\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
