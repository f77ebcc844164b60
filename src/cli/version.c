// SPDX-License-Identifier: Apache-2.0
//
// version: `sluice version`.
#include "cli/internal.h"

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *values, struct sl_error *err) {
    (void)cli, (void)arguments, (void)values, (void)err;
    puts("sluice " SL_VERSION);
    return 0;
}

static const struct sl_option options[] = {{0}};

const struct sl_cli_verb sl_cli__version = {
    .command = {.name = "version", .summary = "print the version", .arguments = "", .options = options},
    .run = run,
};
