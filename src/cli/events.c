// SPDX-License-Identifier: Apache-2.0
//
// events: `sluice events ls|show|redrive|purge`: the queue of asynchronous invocations as an operator sees it. Waiting
// events are those that are accepted and not settled (also the ones that run now); dead ones have failed for good and
// had no dead-letter queue or destination to go to. Speaks to /_sluice/events (daemon/events.c), in pages.
#include "cli/internal.h"

#include "base/encoding.h"

struct values {
    struct sl_cli_target target;
    const char *function, *account;
    bool dead, all;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

struct asking {
    struct sl_cli *cli;
    const struct values *values;
    struct sl_error *err;
};

static int call(const struct asking *asking, const char *method, struct sl_str path, struct sl_cli_answer *ret) {
    struct sl_cli_request request = {
        .target = &asking->values->target, .service = "lambda", .method = method, .path = path};
    if (!path.ptr) return sl_fail(asking->err, SL_E_NO_MEMORY, "out of memory");
    return sl_cli__call(asking->cli, &request, ret, asking->err);
}

static struct sl_str parameter(const struct asking *asking, const char *name, const char *value) {
    struct sl_buf text;
    if (!value) return SL_STR("");
    sl_buf_init(&text, 4096);
    sl_percent_encode(&text, sl_str_of(value), false);
    struct sl_str found = sl_arena_printf(asking->cli->arena, "&%s=%.*s", name, SL_FMT(sl_buf_view(&text)));
    sl_buf_free(&text);
    return found;
}

// "?after=N&state=...&function=...&region=...&account=..."
static struct sl_str query(const struct asking *asking, int64_t after) {
    const struct values *values = asking->values;
    struct sl_str function = parameter(asking, "function", values->function);
    struct sl_str region = parameter(asking, "region", values->target.region);
    struct sl_str account = parameter(asking, "account", values->account);
    return sl_arena_printf(asking->cli->arena, "?after=%lld%s%.*s%.*s%.*s", (long long)after,
                           values->dead ? "&state=dead" : "", SL_FMT(function), SL_FMT(region), SL_FMT(account));
}

static void print_event(const struct asking *asking, const struct sl_json *event) {
    struct sl_arena *arena = asking->cli->arena;
    struct sl_str function = sl_json_string(event, "function"), rest = function, part = function;
    for (unsigned i = 0; i < 7 && sl_str_split(&rest, ':', &part); i++) {}
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_arena_printf(arena, "%lld", (long long)sl_json_int(event, "id", 0)), 10);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, part, 26);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_arena_printf(arena, "%lld", (long long)sl_json_int(event, "attempts", 0)),
                   8);
    putchar(' ');
    sl_cli__column(stdout, SL_CLI_PLAIN, sl_json_string(event, asking->values->dead ? "diedAt" : "dueAt"), 25);
    putchar(' ');
    sl_cli__print(stdout, SL_CLI_PLAIN, sl_json_string(event, asking->values->dead ? "reason" : "requestId"));
    putchar('\n');
}

static int ls(struct asking *asking) {
    int64_t after = 0;
    unsigned count = 0;
    for (bool more = true; more;) {
        struct sl_cli_answer answer;
        struct sl_str path = sl_arena_printf(asking->cli->arena, "/_sluice/events%.*s", SL_FMT(query(asking, after)));
        int failed = call(asking, "GET", path, &answer);
        if (failed) return failed;
        const struct sl_json *events = sl_json_get(answer.json, "events");
        for (const struct sl_json *event = events ? events->first : NULL; event; event = event->next) {
            if (!count++)
                sl_cli__print(
                    stdout, SL_CLI_BOLD,
                    asking->values->dead
                        ? SL_STR("ID         FUNCTION                   ATTEMPTS DIED                      REASON\n")
                        : SL_STR("ID         FUNCTION                   ATTEMPTS DUE                       REQUEST\n"));
            print_event(asking, event);
        }
        after = sl_json_int(answer.json, "last", after);
        more = sl_json_bool(answer.json, "more", false);
    }
    if (!count) puts(asking->values->dead ? "no dead events" : "no events wait; --dead lists those that were given up");
    return 0;
}

static int show(struct asking *asking, const char *id) {
    struct sl_cli_answer answer;
    struct sl_str path = sl_arena_printf(asking->cli->arena, "/_sluice/events/%s", id);
    int failed = call(asking, "GET", path, &answer);
    if (failed) return failed;
    sl_cli__print(stdout, SL_CLI_PLAIN, answer.body);
    putchar('\n');
    return 0;
}

static int change_one(struct asking *asking, const char *verb, const char *id) {
    struct sl_cli_answer answer;
    int failed =
        call(asking, "POST", sl_arena_printf(asking->cli->arena, "/_sluice/events/%s?id=%s", verb, id), &answer);
    if (!failed) printf("%s   event %s\n", strcmp(verb, "purge") == 0 ? "purged" : "redriven", id);
    return failed;
}

static int change_all(struct asking *asking, const char *verb) {
    int64_t after = 0, changed = 0;
    for (bool more = true; more;) {
        struct sl_cli_answer answer;
        struct sl_str path =
            sl_arena_printf(asking->cli->arena, "/_sluice/events/%s%.*s", verb, SL_FMT(query(asking, after)));
        int failed = call(asking, "POST", path, &answer);
        if (failed) return failed;
        changed += sl_json_int(answer.json, "count", 0);
        after = sl_json_int(answer.json, "last", after);
        more = sl_json_bool(answer.json, "more", false);
    }
    printf("%s   %lld event%s\n", strcmp(verb, "purge") == 0 ? "purged" : "redriven", (long long)changed,
           changed == 1 ? "" : "s");
    return 0;
}

static bool is_number(const char *text) {
    uint64_t value;
    return sl_str_to_u64(sl_str_of(text), &value) && value > 0;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    struct asking asking = {.cli = cli, .values = values, .err = err};
    const char *verb = arguments->item[0], *id = arguments->count > 1 ? arguments->item[1] : NULL;
    bool redrives = strcmp(verb, "redrive") == 0, purges = strcmp(verb, "purge") == 0;
    if (id && !is_number(id))
        return sl_fail(err, SL_E_USAGE, "events: '%s' is no event's number; `sluice events ls`", id);
    if (strcmp(verb, "ls") == 0 && !id) return ls(&asking);
    if (strcmp(verb, "show") == 0 && id) return show(&asking, id);
    if ((redrives || purges) && id) return change_one(&asking, verb, id);
    if (!redrives && !purges)
        return sl_fail(err, SL_E_USAGE, "events: say ls, show ID, redrive or purge; `sluice events --help`");
    if (!values->all && !values->function && !(purges && values->dead))
        return sl_fail(err, SL_E_USAGE, "events %s: say which: an ID, --function NAME%s or --all", verb,
                       purges ? ", --dead" : "");
    return change_all(&asking, verb);
}

static const struct sl_option options[] = {
    {.name = "dead",
     .type = SL_OPTION_FLAG,
     .help = "events that were given up, instead of those that wait",
     SL_OPTION_AT(struct values, dead)},
    {.name = "function",
     .type = SL_OPTION_TEXT,
     .value = "NAME",
     .help = "only events for this function",
     SL_OPTION_AT(struct values, function)},
    {.name = "account",
     .type = SL_OPTION_TEXT,
     .value = "ID",
     .help = "of the function, default 000000000000",
     SL_OPTION_AT(struct values, account)},
    {.name = "all", .type = SL_OPTION_FLAG, .help = "redrive or purge all of them", SL_OPTION_AT(struct values, all)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__events = {
    .command = {.name = "events",
                .summary = "list, show, redrive or purge asynchronous events",
                .arguments = "ls|show|redrive|purge [ID]",
                .min_arguments = 1,
                .max_arguments = 2,
                .options = options,
                .text =
                    "An event that failed for good goes to its function's dead-letter queue or destination; without\n"
                    "one it is kept here, dead, for 14 days (at most 10000). `redrive` runs dead events again as if\n"
                    "they were new; `purge` throws events away, waiting ones or (--dead) dead ones.",
                .examples = "sluice events ls\nsluice events ls --dead --function worker\nsluice events show 42\n"
                            "sluice events redrive 42\nsluice events purge --dead\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
