// SPDX-License-Identifier: Apache-2.0
//
// cli: the table of verbs, and the one place where a verb's error is printed and becomes an exit status.
#include "cli/internal.h"

#include <stdlib.h>

// `serve` is the daemon's: only its summary is here.
static const struct sl_cli_verb serve = {.command = {.name = "serve", .summary = "run the server in the foreground"}};

static const struct sl_cli_verb *const verbs[] = {
    &serve,           &sl_cli__deploy, &sl_cli__invoke, &sl_cli__logs, &sl_cli__ls,     &sl_cli__top,
    &sl_cli__metrics, &sl_cli__rm,     &sl_cli__events, &sl_cli__bill, &sl_cli__doctor, &sl_cli__version,
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct sl_cli_verb *find(const char *name) {
    for (unsigned i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i]->command.name, name) == 0) return verbs[i];
    }
    return NULL;
}

static void overview(FILE *out) {
    fputs("Sluice is Amazon API Gateway and AWS Lambda on your own machine.\n\nUsage: sluice VERB [options]\n\n", out);
    for (unsigned i = 0; i < VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->command.name, verbs[i]->command.summary);
    fputs("\n`sluice VERB --help` explains one of them. The server is found at --endpoint, SLUICE_ENDPOINT or\n"
          "http://127.0.0.1:4566; every AWS client works with it too:\n\n"
          "  aws --endpoint-url http://localhost:4566 lambda list-functions\n",
          out);
}

// Exit status of an error, after it has been printed.
static int report(const struct sl_error *err) {
    sl_cli__print(stderr, SL_CLI_RED, SL_STR("sluice: "));
    sl_cli__print(stderr, SL_CLI_PLAIN, sl_str_of(err->message));
    fputc('\n', stderr);
    return err->kind == SL_E_USAGE ? 2 : 1;
}

static int unknown_verb(const char *word) {
    const char *names[VERBS];
    for (unsigned i = 0; i < VERBS; i++) names[i] = verbs[i]->command.name;
    const char *nearest = sl_options_nearest(word, names, VERBS);
    struct sl_error err;
    if (nearest) {
        sl_fail(&err, SL_E_USAGE, "there is no verb '%s'; did you mean `sluice %s`? `sluice --help` lists the verbs",
                word, nearest);
    } else {
        sl_fail(&err, SL_E_USAGE, "there is no verb '%s'; `sluice --help` lists the verbs", word);
    }
    return report(&err);
}

static int run_verb(const struct sl_cli_verb *verb, int argc, char **argv, const struct sl_cli_hooks *hooks) {
    struct sl_error err = {0};
    struct sl_arena arena;
    sl_arena_init(&arena, SL_CLI_ARENA_MAX);
    struct sl_cli cli = {.arena = &arena, .hooks = hooks};
    void *values = sl_arena_zalloc(&arena, verb->values_size + 1);
    struct sl_arguments arguments;
    int failed;
    if (!values) {
        failed = sl_fail(&err, SL_E_NO_MEMORY, "out of memory");
    } else {
        if (verb->defaults) memcpy(values, verb->defaults, verb->values_size);
        failed = sl_options_parse(&verb->command, argc, argv, values, &arguments, &err);
        if (!failed && arguments.help) {
            sl_options_help(&verb->command, stdout);
        } else if (!failed) {
            failed = verb->run(&cli, &arguments, values, &err);
        }
    }
    // A full disk or a closed pipe must not look like success to a script.
    if (!failed && (fflush(stdout) != 0 || ferror(stdout)))
        failed = sl_fail_errno(&err, "cannot write to standard output");
    int status = failed ? report(&err) : cli.exit_code;
    sl_arena_free(&arena);
    return status;
}

int sl_cli_main(int argc, char **argv, const struct sl_cli_hooks *hooks) {
    const char *word = argc > 1 ? argv[1] : "";
    if (!*word) {
        overview(stderr);
        return 2;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (strcmp(word, "help") == 0 && argc == 2)) {
        overview(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0) word = "version";
    if (strcmp(word, "help") == 0) { // "sluice help invoke" is "sluice invoke --help"
        word = argv[2];
        static char option[] = "--help";
        argv[2] = option;
    }
    const struct sl_cli_verb *verb = find(word);
    if (!verb) return unknown_verb(word);
    return verb == &serve ? hooks->serve(argc - 1, argv + 1) : run_verb(verb, argc - 1, argv + 1, hooks);
}
