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
    const struct sl_cli_target *target;
    unsigned functions, apis; // printed so far
};

static struct sl_str or_dash(struct sl_str s) { return s.len ? s : SL_STR("-"); }

// What the function says of itself now; ListFunctions has no states, as on AWS. An update that failed or still lasts
// is told beside the state. "-": it went away meanwhile.
static struct sl_str state_of(struct listing *listing, struct sl_str name) {
    struct sl_cli *cli = listing->cli;
    struct sl_cli_answer answer;
    struct sl_error ignored;
    struct sl_str path = sl_cli__function_path(cli, name, "/configuration");
    if (sl_cli__json(cli, listing->target, "lambda", "GET", path, NULL, &answer, &ignored)) return SL_STR("-");
    struct sl_str state = or_dash(sl_json_string(answer.json, "State"));
    struct sl_str update = sl_json_string(answer.json, "LastUpdateStatus");
    if (!update.len || sl_str_is(update, "Successful")) return state;
    bool failed = sl_str_is(update, "Failed");
    return sl_arena_printf(cli->arena, "%.*s, %s", SL_FMT(state), failed ? "update failed" : "updating");
}

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
    sl_cli__print(stdout, SL_CLI_PLAIN, state_of(listing, sl_json_string(item, "FunctionName")));
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
    struct listing listing = {.cli = cli, .target = &values->target};
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
