// SPDX-License-Identifier: Apache-2.0
//
// doctor: `sluice doctor`, what this machine and this user offer, and what to do about the rest. The looking itself is
// done by the parts that know (the jail, the runtimes), through the probe hook; here it is laid out, for people or as
// JSON for scripts.
#include "cli/internal.h"

struct values {
    bool json;
};

struct report {
    struct sl_cli *cli;
    struct sl_json *list; // with --json
    char section[64];     // of the finding before
    unsigned missing;     // required ones
};

static void add_json(struct report *report, const struct sl_cli_finding *finding) {
    struct sl_arena *arena = report->cli->arena;
    struct sl_json *item = sl_json_push(report->list, sl_json_new_object(arena));
    sl_json_put_string(arena, item, "section", sl_arena_dup(arena, sl_str_of(finding->section)));
    sl_json_put_string(arena, item, "name", sl_arena_dup(arena, sl_str_of(finding->name)));
    sl_json_put_bool(arena, item, "available", finding->available);
    sl_json_put_bool(arena, item, "required", finding->required);
    sl_json_put_string(arena, item, "how", sl_arena_dup(arena, sl_str_of(finding->how ? finding->how : "")));
    sl_json_put_string(arena, item, "advice", sl_arena_dup(arena, sl_str_of(finding->advice ? finding->advice : "")));
}

static void add(void *user, const struct sl_cli_finding *finding) {
    struct report *report = user;
    if (!finding->available && finding->required) report->missing++;
    if (report->list) {
        add_json(report, finding);
        return;
    }
    if (strcmp(report->section, finding->section) != 0) {
        printf("%s", *report->section ? "\n" : "");
        snprintf(report->section, sizeof report->section, "%s", finding->section);
        sl_cli__print(stdout, SL_CLI_BOLD, sl_str_of(finding->section));
        putchar('\n');
    }
    enum sl_cli_style bad = finding->required ? SL_CLI_RED : SL_CLI_YELLOW;
    printf("  ");
    sl_cli__column(stdout, finding->available ? SL_CLI_GREEN : bad, finding->available ? SL_STR("yes") : SL_STR("no"),
                   5);
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_str_of(finding->name), 20);
    printf(" ");
    sl_cli__print(stdout, SL_CLI_PLAIN, sl_str_of(finding->how));
    putchar('\n');
    if (finding->advice && *finding->advice) {
        printf("       ");
        sl_cli__print(stdout, SL_CLI_FAINT, sl_str_of(finding->advice));
        putchar('\n');
    }
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    (void)arguments;
    struct report report = {.cli = cli, .list = values->json ? sl_json_new_array(cli->arena) : NULL};
    cli->hooks->probe(add, &report);
    cli->exit_code = report.missing ? 1 : 0;
    if (!values->json) {
        if (report.missing) printf("\nFunctions cannot run here until what is marked with a red \"no\" is there.\n");
        return 0;
    }

    struct sl_json *document = sl_json_new_object(cli->arena);
    sl_json_put_string(cli->arena, document, "version", SL_STR(SL_VERSION));
    sl_json_set(document, SL_STR("features"), report.list);
    struct sl_buf text;
    sl_buf_init(&text, 1 << 20);
    sl_json_write(&text, document);
    int failed = text.failed || sl_arena_failed(cli->arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory") : 0;
    if (!failed) printf("%.*s\n", SL_FMT(sl_buf_view(&text)));
    sl_buf_free(&text);
    return failed;
}

static const struct sl_option options[] = {
    {.name = "json",
     .type = SL_OPTION_FLAG,
     .help = "for scripts: {\"features\": [{\"name\", \"available\", ...}]}",
     SL_OPTION_AT(struct values, json)},
    {0},
};

const struct sl_cli_verb sl_cli__doctor = {
    .command = {.name = "doctor",
                .summary = "say what this machine offers to functions, and what is missing",
                .arguments = "",
                .options = options,
                .text = "Looks at the kernel, this user's rights and the installed languages. Changes nothing. Exit "
                        "status 1 when\n"
                        "functions cannot run here at all.\n",
                .examples = "sluice doctor\nsluice doctor --json\n"},
    .values_size = sizeof(struct values),
    .run = run,
};
