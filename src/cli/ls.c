// SPDX-License-Identifier: Apache-2.0
//
// ls: `sluice ls`, the functions and HTTP APIs of a server.
#include "cli/internal.h"

struct values {
    struct sl_cli_target target;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

struct listing {
    struct sl_cli *cli;
    unsigned functions, apis; // printed so far
};

static struct sl_str or_dash(struct sl_str s) { return s.len ? s : SL_STR("-"); }

static int print_function(void *user, struct sl_json *item) {
    struct listing *listing = user;
    struct sl_arena *arena = listing->cli->arena;
    if (listing->functions++ == 0) {
        sl_cli__print(stdout, SL_CLI_BOLD,
                      SL_STR("FUNCTION                          RUNTIME          MEMORY   TIMEOUT  STATE\n"));
    }
    struct sl_str memory = sl_arena_printf(arena, "%lld MB", (long long)sl_json_int(item, "MemorySize", 0));
    struct sl_str timeout = sl_arena_printf(arena, "%lld s", (long long)sl_json_int(item, "Timeout", 0));
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_json_string(item, "FunctionName"), 33);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, or_dash(sl_json_string(item, "Runtime")), 16);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, memory, 8);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, timeout, 8);
    putchar(' ');
    sl_cli__print(stdout, SL_CLI_PLAIN, or_dash(sl_json_string(item, "State")));
    putchar('\n');
    return 0;
}

static int print_api(void *user, struct sl_json *item) {
    struct listing *listing = user;
    if (listing->apis++ == 0) {
        if (listing->functions) putchar('\n');
        sl_cli__print(stdout, SL_CLI_BOLD, SL_STR("API                               ID           URL\n"));
    }
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_json_string(item, "name"), 33);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_json_string(item, "apiId"), 12);
    putchar(' ');
    sl_cli__print(stdout, SL_CLI_PLAIN, or_dash(sl_json_string(item, "apiEndpoint")));
    putchar('\n');
    return 0;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    (void)arguments;
    struct listing listing = {.cli = cli};
    int failed = sl_cli__each_function(cli, &values->target, print_function, &listing, err);
    if (!failed) failed = sl_cli__each_item(cli, &values->target, SL_STR("/v2/apis"), print_api, &listing, err);
    if (!failed && !listing.functions && !listing.apis)
        puts("nothing is deployed; `sluice deploy DIR` deploys a folder with a sluice.json");
    return failed;
}

static const struct sl_option options[] = {SL_CLI_TARGET_OPTIONS(struct values), {0}};

const struct sl_cli_verb sl_cli__ls = {
    .command = {.name = "ls",
                .summary = "list the functions and HTTP APIs",
                .arguments = "",
                .options = options,
                .examples = "sluice ls\nsluice ls --region eu-central-1\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
