// SPDX-License-Identifier: Apache-2.0
//
// rm: `sluice rm NAME...`, the opposite of deploy: the function, and the HTTP APIs of the same name whose every
// integration is that function. Another API that uses the function stays, and is named.
#include "cli/internal.h"

enum { APIS_MAX = 100 };

struct values {
    struct sl_cli_target target;
    bool keep_api;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

// An API of the function's name, and what its integrations say.
struct search {
    struct sl_cli *cli;
    struct sl_str name;
    struct sl_str api[APIS_MAX];
    unsigned apis;
    unsigned others; // integrations of the API in question that are not the function
};

static int note_api(void *user, struct sl_json *item) {
    struct search *search = user;
    if (sl_str_eq(sl_json_string(item, "name"), search->name) && search->apis < APIS_MAX) {
        search->api[search->apis++] = sl_json_string(item, "apiId");
    }
    return 0;
}

static int note_integration(void *user, struct sl_json *item) {
    struct search *search = user;
    struct sl_str ending = sl_arena_printf(search->cli->arena, ":function:%.*s", SL_FMT(search->name));
    if (!sl_str_ends(sl_json_string(item, "integrationUri"), ending)) search->others++;
    return 0;
}

static int remove_apis(struct sl_cli *cli, const struct sl_cli_target *target, struct sl_str name,
                       struct sl_error *err) {
    struct search search = {.cli = cli, .name = name};
    int failed = sl_cli__each_item(cli, target, SL_STR("/v2/apis"), note_api, &search, err);
    for (unsigned i = 0; !failed && i < search.apis; i++) {
        search.others = 0;
        struct sl_str path = sl_arena_printf(cli->arena, "/v2/apis/%.*s", SL_FMT(search.api[i]));
        struct sl_str integrations = sl_arena_printf(cli->arena, "%.*s/integrations", SL_FMT(path));
        failed = sl_cli__each_item(cli, target, integrations, note_integration, &search, err);
        if (failed) break;
        if (search.others) {
            printf("kept      HTTP API %.*s: it has other integrations\n", SL_FMT(search.api[i]));
            continue;
        }
        struct sl_cli_answer answer;
        failed = sl_cli__json(cli, target, "apigateway", "DELETE", path, NULL, &answer, err);
        if (!failed) printf("removed   HTTP API %.*s\n", SL_FMT(search.api[i]));
    }
    return failed;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    int failed = 0;
    for (unsigned i = 0; !failed && i < arguments->count; i++) {
        struct sl_str name = sl_str_of(arguments->item[i]);
        struct sl_cli_answer answer;
        failed = sl_cli__json(cli, &values->target, "lambda", "DELETE", sl_cli__function_path(cli, name, ""), NULL,
                              &answer, err);
        if (failed) return failed;
        printf("removed   function %s\n", arguments->item[i]);
        if (!values->keep_api) failed = remove_apis(cli, &values->target, name, err);
    }
    return failed;
}

static const struct sl_option options[] = {
    {.name = "keep-api",
     .type = SL_OPTION_FLAG,
     .help = "leave HTTP APIs alone",
     SL_OPTION_AT(struct values, keep_api)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__rm = {
    .command = {.name = "rm",
                .summary = "remove functions and the HTTP APIs that deploy made for them",
                .arguments = "NAME...",
                .min_arguments = 1,
                .max_arguments = 1000,
                .options = options,
                .examples = "sluice rm hello-python\nsluice rm worker --keep-api\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
