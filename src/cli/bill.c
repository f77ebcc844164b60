// SPDX-License-Identifier: Apache-2.0
//
// bill: `sluice bill`, what a month's use would cost at AWS's prices, or at the operator's (--prices FILE). The server
// says what was used (GET /_sluice/bill); what it costs is computed here.
//
// Tiers are per architecture over everything that was used in the month, as on AWS; each line is priced at the average
// of its architecture, so that the lines add up to the total. An idle instance on demand uses nothing and costs
// nothing, which the bill says.
#include "cli/internal.h"

#include <stdlib.h>

enum { PRICES_MAX = 64 * 1024, TIERS_MAX = 8 };

struct values {
    struct sl_cli_target target;
    const char *month, *prices, *by;
    bool json, free_tier;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT, .by = "function"};

// AWS's public prices of us-east-1, from its Lambda pricing page: a price per GB-second up to so many GB-seconds a
// month.
static const char aws_prices[] =
    "{\"currency\":\"USD\",\"requests_per_million\":0.20,\"tmp_gb_second\":0.0000000309,"
    "\"free_requests\":1000000,\"free_gb_seconds\":400000,"
    "\"x86_64\":{\"tiers\":[[6000000000,0.0000166667],[15000000000,0.0000150000],[null,0.0000133334]],"
    "\"provisioned_gb_second\":0.0000097222,\"kept_gb_second\":0.0000041667},"
    "\"arm64\":{\"tiers\":[[7500000000,0.0000133334],[18750000000,0.0000120001],[null,0.0000106667]],"
    "\"provisioned_gb_second\":0.0000077778,\"kept_gb_second\":0.0000033334}}";

enum { X86, ARM, ARCHITECTURES };
static const char *const architecture_names[ARCHITECTURES] = {"x86_64", "arm64"};

struct prices {
    struct sl_str currency;
    double request, tmp, free_requests, free_gb_seconds;
    struct architecture {
        struct tier {
            double up_to, price;
        } tiers[TIERS_MAX];
        unsigned tier_count;
        double provisioned, kept;
        double average; // of what this month's use on demand costs
    } architectures[ARCHITECTURES];
};

// What a row, or several, used. In GB-seconds, but requests.
struct use {
    double requests, on_demand[ARCHITECTURES], provisioned[ARCHITECTURES], kept[ARCHITECTURES], tmp;
};

struct line {
    struct line *next;
    struct sl_str name;
    struct use use;
};

// ---- prices -----------------------------------------------------------------------------------------------------

static double number(const struct sl_json *object, const char *name) {
    double value = 0;
    const struct sl_json *node = sl_json_get(object, name);
    return node && sl_json_to_double(node, &value) && value >= 0 ? value : 0;
}

static int read_tiers(const struct sl_json *object, struct architecture *ret, struct sl_error *err) {
    const struct sl_json *tiers = sl_json_get(object, "tiers");
    for (const struct sl_json *tier = tiers ? tiers->first : NULL; tier; tier = tier->next) {
        struct tier *at = &ret->tiers[ret->tier_count];
        const struct sl_json *price = tier->first ? tier->first->next : NULL;
        bool last = tier->first && tier->first->type == SL_JSON_NULL;
        if (ret->tier_count++ == TIERS_MAX || !price || !sl_json_to_double(price, &at->price) ||
            (!last && !sl_json_to_double(tier->first, &at->up_to)))
            return sl_fail(err, SL_E_USAGE,
                           "--prices: tiers must be at most %d pairs [GB-seconds or null, price], for example "
                           "[[6000000000, 0.0000166667], [null, 0.000015]]",
                           TIERS_MAX);
        if (last) at->up_to = 1e300;
    }
    ret->provisioned = number(object, "provisioned_gb_second");
    ret->kept = number(object, "kept_gb_second");
    if (ret->tier_count) return 0;
    return sl_fail(err, SL_E_USAGE, "--prices: each of x86_64 and arm64 needs \"tiers\"");
}

static int read_prices(struct sl_cli *cli, const struct values *values, struct prices *ret, struct sl_error *err) {
    struct sl_str text = sl_str_of(aws_prices);
    struct sl_json *json;
    *ret = (struct prices){0};
    if (values->prices && sl_cli__read(cli, values->prices, PRICES_MAX, &text, err)) return err->kind;
    if (sl_json_parse(cli->arena, text, &json, err)) return sl_wrap(err, "--prices %s", values->prices);
    ret->currency = sl_json_string(json, "currency");
    if (!ret->currency.len) ret->currency = SL_STR("USD");
    ret->request = number(json, "requests_per_million") / 1e6;
    ret->tmp = number(json, "tmp_gb_second");
    ret->free_requests = number(json, "free_requests");
    ret->free_gb_seconds = number(json, "free_gb_seconds");
    for (unsigned i = 0; i < ARCHITECTURES; i++)
        if (read_tiers(sl_json_get(json, architecture_names[i]), &ret->architectures[i], err)) return err->kind;
    return 0;
}

static double tiered(const struct architecture *prices, double used) {
    double cost = 0, from = 0;
    for (unsigned i = 0; i < prices->tier_count && used > from; i++) {
        double to = used < prices->tiers[i].up_to ? used : prices->tiers[i].up_to;
        cost += (to - from) * prices->tiers[i].price;
        from = to;
    }
    return cost;
}

// What is free goes to the dearer architecture first, which is what is best for who pays.
static void average(struct prices *prices, const struct use *total, bool free_tier) {
    double left = free_tier ? prices->free_gb_seconds : 0;
    for (unsigned i = 0; i < ARCHITECTURES; i++) {
        double used = total->on_demand[i], paid = used > left ? used - left : 0;
        left -= used - paid;
        prices->architectures[i].average = used > 0 ? tiered(&prices->architectures[i], paid) / used : 0;
    }
    double paid = total->requests > prices->free_requests ? total->requests - prices->free_requests : 0;
    if (free_tier && total->requests > 0) prices->request *= paid / total->requests;
}

// ---- what was used ------------------------------------------------------------------------------------------------

// Megabyte-milliseconds as GB-seconds.
static double gb_seconds(const struct sl_json *row, const char *name) { return number(row, name) / 1024 / 1000; }

static void add_row(struct use *use, const struct sl_json *row) {
    unsigned architecture = sl_str_is(sl_json_string(row, "architecture"), "arm64") ? ARM : X86;
    use->requests += number(row, "requests");
    use->on_demand[architecture] += gb_seconds(row, "mb_ms");
    use->provisioned[architecture] += gb_seconds(row, "provisioned_mb_ms");
    use->kept[architecture] += gb_seconds(row, "kept_mb_ms");
    use->tmp += gb_seconds(row, "tmp_mb_ms");
}

static double seconds_of(const struct use *use) {
    return use->on_demand[X86] + use->on_demand[ARM] + use->provisioned[X86] + use->provisioned[ARM];
}

static double cost_of(const struct prices *prices, const struct use *use) {
    double cost = use->requests * prices->request + use->tmp * prices->tmp;
    for (unsigned i = 0; i < ARCHITECTURES; i++) {
        const struct architecture *of = &prices->architectures[i];
        cost += use->on_demand[i] * of->average + use->provisioned[i] * of->provisioned + use->kept[i] * of->kept;
    }
    return cost;
}

static struct sl_str name_of(struct sl_arena *arena, const struct sl_json *row, const char *by) {
    struct sl_str function = sl_json_string(row, "function"), alias = sl_json_string(row, "alias");
    struct sl_str version = sl_json_string(row, "version"), tenant = sl_json_string(row, "tenant");
    if (strcmp(by, "version") == 0) return sl_arena_printf(arena, "%.*s:%.*s", SL_FMT(function), SL_FMT(version));
    if (strcmp(by, "alias") == 0 && alias.len)
        return sl_arena_printf(arena, "%.*s:%.*s", SL_FMT(function), SL_FMT(alias));
    if (strcmp(by, "tenant") == 0 && tenant.len)
        return sl_arena_printf(arena, "%.*s %.*s", SL_FMT(function), SL_FMT(tenant));
    return sl_arena_dup(arena, function);
}

// In order of name; a month has few lines, as one account reads it.
static struct line *line_of(struct sl_arena *arena, struct line **lines, struct sl_str name) {
    struct line **at = lines;
    int order = 1;
    while (*at && (order = sl_str_cmp((*at)->name, name)) < 0) at = &(*at)->next;
    if (*at && order == 0) return *at;
    struct line *line = sl_arena_zalloc(arena, sizeof *line);
    if (!line) return NULL;
    line->name = name;
    line->next = *at;
    return *at = line;
}

static int collect(struct sl_cli *cli, const struct sl_json *rows, const struct values *values, struct line **ret_lines,
                   struct use *total, struct sl_error *err) {
    for (const struct sl_json *row = rows ? rows->first : NULL; row; row = row->next) {
        if (!sl_str_is(sl_json_string(row, "region"), values->target.region)) continue;
        struct line *line = line_of(cli->arena, ret_lines, name_of(cli->arena, row, values->by));
        if (!line) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
        add_row(&line->use, row);
        add_row(total, row);
    }
    return 0;
}

// ---- printing -------------------------------------------------------------------------------------------------------

static struct sl_json *use_json(struct sl_arena *arena, const struct prices *prices, const struct use *use) {
    struct sl_json *json = sl_json_new_object(arena);
    sl_json_put_int(arena, json, "requests", (int64_t)use->requests);
    sl_json_set(json, SL_STR("gb_seconds"), sl_json_new_double(arena, seconds_of(use)));
    sl_json_set(json, SL_STR("provisioned_gb_seconds"), sl_json_new_double(arena, use->kept[X86] + use->kept[ARM]));
    sl_json_set(json, SL_STR("cost"), sl_json_new_double(arena, cost_of(prices, use)));
    return json;
}

static void print_json(struct sl_cli *cli, const struct sl_json *bill, const struct prices *prices,
                       const struct line *lines, const struct use *total) {
    struct sl_arena *arena = cli->arena;
    struct sl_json *out = sl_json_new_object(arena), *list = sl_json_new_array(arena);
    struct sl_json *idle = sl_json_new_object(arena);
    sl_json_put_string(arena, out, "month", sl_json_string(bill, "month"));
    sl_json_put_string(arena, out, "currency", prices->currency);
    for (; lines; lines = lines->next) {
        struct sl_json *line = use_json(arena, prices, &lines->use);
        sl_json_put_string(arena, line, "name", lines->name);
        sl_json_push(list, line);
    }
    sl_json_put_int(arena, idle, "instances", sl_json_int(bill, "idle_instances", 0));
    sl_json_set(idle, SL_STR("gb_seconds"), sl_json_new_int(arena, 0));
    sl_json_set(idle, SL_STR("cost"), sl_json_new_int(arena, 0));
    sl_json_set(out, SL_STR("lines"), list);
    sl_json_set(out, SL_STR("idle"), idle);
    sl_json_set(out, SL_STR("total"), use_json(arena, prices, total));
    struct sl_buf text;
    sl_buf_init(&text, SL_CLI_ANSWER_MAX);
    sl_json_write(&text, out);
    sl_buf_char(&text, '\n');
    fwrite(text.ptr, 1, text.len, stdout);
    sl_buf_free(&text);
}

static void print_line(struct sl_arena *arena, enum sl_cli_style style, struct sl_str name, const struct prices *prices,
                       const struct use *use) {
    sl_cli__column(stdout, style, name, 33);
    struct sl_str rest = sl_arena_printf(arena, " %14.0f %16.3f %16.3f %14.6f\n", use->requests, seconds_of(use),
                                         use->kept[X86] + use->kept[ARM], cost_of(prices, use));
    sl_cli__print(stdout, style, rest);
}

static void print_text(struct sl_cli *cli, const struct sl_json *bill, const struct prices *prices,
                       const struct line *lines, const struct use *total) {
    struct sl_arena *arena = cli->arena;
    struct sl_str head = sl_arena_printf(arena, "%-33s %14s %16s %16s %14.*s\n", "FUNCTION", "REQUESTS", "GB-SECONDS",
                                         "PROVISIONED", SL_FMT(prices->currency));
    sl_cli__print(stdout, SL_CLI_BOLD, head);
    for (; lines; lines = lines->next) print_line(arena, SL_CLI_PLAIN, lines->name, prices, &lines->use);
    struct sl_str idle =
        sl_arena_printf(arena, "(%lld idle instances)", (long long)sl_json_int(bill, "idle_instances", 0));
    print_line(arena, SL_CLI_FAINT, idle, prices, &(struct use){0});
    struct sl_str name = sl_arena_printf(arena, "total of %.*s", SL_FMT(sl_json_string(bill, "month")));
    print_line(arena, SL_CLI_BOLD, name, prices, total);
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    (void)arguments;
    struct prices prices;
    struct line *lines = NULL;
    struct use total = {0};
    struct sl_cli_answer answer;
    static const char *const kinds[] = {"function", "version", "alias", "tenant"};
    bool known = false;
    for (unsigned i = 0; i < 4; i++) known = known || strcmp(values->by, kinds[i]) == 0;
    if (!known) return sl_fail(err, SL_E_USAGE, "--by %s: choose function, version, alias or tenant", values->by);
    if (read_prices(cli, values, &prices, err)) return err->kind;
    struct sl_str path = sl_arena_printf(cli->arena, "/_sluice/bill%s%s", values->month ? "?month=" : "",
                                         values->month ? values->month : "");
    if (sl_cli__json(cli, &values->target, "lambda", "GET", path, NULL, &answer, err)) return err->kind;
    if (collect(cli, sl_json_get(answer.json, "rows"), values, &lines, &total, err)) return err->kind;
    average(&prices, &total, values->free_tier);
    (values->json ? print_json : print_text)(cli, answer.json, &prices, lines, &total);
    return 0;
}

static const struct sl_option options[] = {
    {.name = "month",
     .type = SL_OPTION_TEXT,
     .value = "YYYY-MM",
     .help = "the month, in UTC (default: this one)",
     SL_OPTION_AT(struct values, month)},
    {.name = "by",
     .type = SL_OPTION_TEXT,
     .value = "WHAT",
     .help = "one line for each function (default), version, alias or tenant",
     SL_OPTION_AT(struct values, by)},
    {.name = "prices",
     .type = SL_OPTION_TEXT,
     .value = "FILE",
     .environment = "SLUICE_PRICES",
     .help = "JSON with your prices (default: AWS's of us-east-1; see docs/billing.md)",
     SL_OPTION_AT(struct values, prices)},
    {.name = "free-tier",
     .type = SL_OPTION_FLAG,
     .help = "leave out what AWS gives each account for nothing",
     SL_OPTION_AT(struct values, free_tier)},
    {.name = "json", .type = SL_OPTION_FLAG, .help = "print JSON", SL_OPTION_AT(struct values, json)},
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__bill = {
    .command = {.name = "bill",
                .summary = "what a month's use would cost",
                .arguments = "",
                .options = options,
                .text =
                    "GB-seconds are billed milliseconds times memory, as in REPORT lines. What was used in the last "
                    "five seconds\nmay be missing.",
                .examples =
                    "sluice bill\nsluice bill --month 2026-10 --by tenant\nsluice bill --prices ours.json --json\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
