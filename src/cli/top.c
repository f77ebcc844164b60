// SPDX-License-Identifier: Apache-2.0
//
// top: `sluice top`, what a server runs now (GET /_sluice/top): instances by state, the functions they belong to, and
// blanks by kind. On a terminal the table is drawn again and again in place; elsewhere it is printed once, or as often
// as was asked.
#include "cli/internal.h"

#include <time.h>
#include <unistd.h>

struct values {
    struct sl_cli_target target;
    int64_t seconds, count;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT, .seconds = 2};

enum { MB = 1024 * 1024 };

static struct sl_str number(struct sl_cli *cli, const struct sl_json *object, const char *key) {
    return sl_arena_printf(cli->arena, "%lld", (long long)sl_json_int(object, key, 0));
}

static struct sl_str megabytes(struct sl_cli *cli, const struct sl_json *object, const char *key) {
    return sl_arena_printf(cli->arena, "%.1f", (double)sl_json_int(object, key, 0) / MB);
}

static struct sl_str milliseconds(struct sl_cli *cli, const struct sl_json *object, const char *key) {
    return sl_arena_printf(cli->arena, "%.1f", (double)sl_json_int(object, key, 0) / 1000);
}

static void cell(struct sl_str text, unsigned width) {
    sl_cli__column(stdout, SL_CLI_PLAIN, text, width);
    putchar(' ');
}

static void draw_totals(struct sl_cli *cli, const struct sl_json *top) {
    const struct sl_json *instances = sl_json_get(top, "instances");
    static const char *const states[] = {"starting", "busy", "idle", "frozen", "stopping"};
    fputs("instances ", stdout);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        printf("  %s %lld", states[i], (long long)sl_json_int(instances, states[i], 0));
    printf("\nmemory     %.*s MB of %.*s   invocations %lld   errors %lld   cold starts %lld\n",
           SL_FMT(megabytes(cli, top, "memoryBytes")), SL_FMT(megabytes(cli, top, "memoryBudgetBytes")),
           (long long)sl_json_int(top, "invocations", 0), (long long)sl_json_int(top, "errors", 0),
           (long long)sl_json_int(top, "coldStarts", 0));
}

static void draw_functions(struct sl_cli *cli, const struct sl_json *functions) {
    sl_cli__print(
        stdout, SL_CLI_BOLD,
        SL_STR("\nFUNCTION                          RUNTIME          BUSY  IDLE  WAIT  COLD    MS      START   MB\n"));
    for (const struct sl_json *row = functions ? functions->first : NULL; row; row = row->next) {
        struct sl_str name = sl_json_string(row, "name"), version = sl_json_string(row, "version");
        cell(sl_str_is(version, "$LATEST") ? name
                                           : sl_arena_printf(cli->arena, "%.*s:%.*s", SL_FMT(name), SL_FMT(version)),
             33);
        cell(sl_json_string(row, "runtime"), 16);
        cell(number(cli, row, "busy"), 5);
        cell(number(cli, row, "idle"), 5);
        cell(number(cli, row, "waiting"), 5);
        cell(number(cli, row, "coldStarts"), 7);
        cell(milliseconds(cli, row, "averageUs"), 7);
        cell(milliseconds(cli, row, "startUs"), 7);
        sl_cli__print(stdout, SL_CLI_PLAIN, megabytes(cli, row, "peakBytes"));
        putchar('\n');
    }
}

static void draw_blanks(struct sl_cli *cli, const struct sl_json *blanks) {
    sl_cli__print(
        stdout, SL_CLI_BOLD,
        SL_STR("\nBLANKS                   READY BOOT  WISH  TEMPLATE  TAKEN   FORKED  MISSED  REFILLS BOOT MS MB\n"));
    for (const struct sl_json *row = blanks ? blanks->first : NULL; row; row = row->next) {
        cell(sl_json_string(row, "kind"), 24);
        cell(number(cli, row, "ready"), 5);
        cell(number(cli, row, "booting"), 5);
        cell(number(cli, row, "wish"), 5);
        cell(sl_json_string(row, "template"), 9);
        cell(number(cli, row, "hits"), 7);
        cell(number(cli, row, "forks"), 7);
        cell(number(cli, row, "misses"), 7);
        cell(number(cli, row, "refills"), 7);
        cell(number(cli, row, "bootMs"), 7);
        sl_cli__print(stdout, SL_CLI_PLAIN, megabytes(cli, row, "bytes"));
        putchar('\n');
    }
}

static int draw(struct sl_cli *cli, const struct values *values, bool in_place, struct sl_error *err) {
    struct sl_cli_answer answer;
    int failed = sl_cli__json(cli, &values->target, "lambda", "GET", SL_STR("/_sluice/top"), NULL, &answer, err);
    if (failed) return failed;
    if (in_place) fputs("\033[H\033[2J", stdout);
    draw_totals(cli, answer.json);
    draw_functions(cli, sl_json_get(answer.json, "functions"));
    draw_blanks(cli, sl_json_get(answer.json, "blanks"));
    return fflush(stdout) == 0 ? 0 : sl_fail_errno(err, "write");
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    (void)arguments;
    bool in_place = isatty(STDOUT_FILENO) == 1;
    int64_t left = values->count ? values->count : in_place ? INT64_MAX : 1;
    while (left-- > 0) {
        // Each picture has its memory, or hours of watching would fill this process.
        struct sl_arena arena, *outer = cli->arena;
        sl_arena_init(&arena, 64 * MB);
        cli->arena = &arena;
        int failed = draw(cli, values, in_place, err);
        cli->arena = outer;
        sl_arena_free(&arena);
        if (failed) return failed;
        if (left) nanosleep(&(struct timespec){.tv_sec = values->seconds}, NULL);
    }
    return 0;
}

static const struct sl_option options[] = {
    {.name = "interval",
     .letter = 'i',
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = 3600,
     .value = "SECONDS",
     .help = "look again after so long (default 2)",
     SL_OPTION_AT(struct values, seconds)},
    {.name = "count",
     .letter = 'n',
     .type = SL_OPTION_NUMBER,
     .min = 1,
     .max = 1000000,
     .value = "N",
     .help = "end after N looks (default: on a terminal never, else after one)",
     SL_OPTION_AT(struct values, count)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__top = {
    .command =
        {.name = "top",
         .summary = "show what runs now: instances, functions, blanks",
         .arguments = "",
         .options = options,
         .text =
             "MS is the average time of an invocation, START of a cold start, both in milliseconds; MB is the most\n"
             "memory an instance used. BLANKS are languages that wait for the next cold start.\n",
         .examples = "sluice top\nsluice top -n 1 | grep -v '^$'\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
