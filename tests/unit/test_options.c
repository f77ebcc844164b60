// SPDX-License-Identifier: Apache-2.0
//
// Tests of cli/options.h: what a command line means, and that a wrong one is told what to do.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/options.h"

#include <stdlib.h>

struct values {
    const char *data;
    int64_t port;
    bool memory;
    struct sl_option_list listen;
};

static const struct sl_option options[] = {
    {.name = "data",
     .letter = 'd',
     .type = SL_OPTION_TEXT,
     .value = "DIR",
     .environment = "SLUICE_TEST_DATA",
     SL_OPTION_AT(struct values, data)},
    {.name = "port",
     .type = SL_OPTION_NUMBER,
     .value = "PORT",
     .min = 0,
     .max = 65535,
     SL_OPTION_AT(struct values, port)},
    {.name = "memory",
     .letter = 'm',
     .type = SL_OPTION_FLAG,
     .help = "keep nothing",
     SL_OPTION_AT(struct values, memory)},
    {.name = "listen", .type = SL_OPTION_LIST, .value = "ADDRESS", SL_OPTION_AT(struct values, listen)},
    {0},
};
static const struct sl_command command = {.name = "serve",
                                          .summary = "serve",
                                          .arguments = "[NAME]",
                                          .max_arguments = 1,
                                          .options = options,
                                          .examples = "  sluice serve\n"};

// Parses up to eleven words after the verb.
static int parse(struct values *values, struct sl_arguments *arguments, struct sl_error *err,
                 const char *const words[]) {
    static char copies[12][64];
    static char *argv[13];
    int argc = 1;
    argv[0] = copies[0];
    for (; words[argc - 1]; argc++) {
        assert_in_range(argc, 1, 11);
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    *values = (struct values){.data = "default", .port = 4566};
    return sl_options_parse(&command, argc, argv, values, arguments, err);
}
#define PARSE(...) parse(&values, &arguments, &err, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void all_forms_of_options_and_arguments_are_read(void **state) {
    (void)state;
    struct values values;
    struct sl_arguments arguments;
    struct sl_error err;
    assert_int_equal(PARSE("--data", "a", "x", "--port=0", "-m", "--listen", "l1", "--listen=l2"), 0);
    assert_string_equal(values.data, "a");
    assert_int_equal(values.port, 0);
    assert_true(values.memory);
    assert_int_equal(values.listen.count, 2);
    assert_string_equal(values.listen.item[1], "l2");
    assert_int_equal(arguments.count, 1);
    assert_string_equal(arguments.item[0], "x");
    assert_int_equal(PARSE("-d", "b", "--", "-m"), 0);
    assert_string_equal(values.data, "b");
    assert_false(values.memory);
    assert_string_equal(arguments.item[0], "-m");
}

static void defaults_and_the_environment_stand_where_no_option_is_given(void **state) {
    (void)state;
    struct values values;
    struct sl_arguments arguments;
    struct sl_error err;
    assert_int_equal(PARSE("-"), 0);
    assert_string_equal(values.data, "default");
    assert_int_equal(values.port, 4566);
    assert_string_equal(arguments.item[0], "-");
    setenv("SLUICE_TEST_DATA", "from-environment", 1);
    assert_int_equal(PARSE("-m"), 0);
    assert_string_equal(values.data, "from-environment");
    assert_int_equal(PARSE("--data", "given"), 0);
    assert_string_equal(values.data, "given");
    unsetenv("SLUICE_TEST_DATA");
}

static void a_wrong_command_line_is_told_what_to_do(void **state) {
    (void)state;
    struct values values;
    struct sl_arguments arguments;
    struct sl_error err;
    assert_int_equal(PARSE("--lisen", "x"), SL_E_USAGE);
    assert_string_equal(err.message,
                        "serve: unknown option --lisen; did you mean --listen? `sluice serve --help` lists them");
    assert_int_equal(PARSE("--qqqqqqqq=1"), SL_E_USAGE);
    assert_string_equal(err.message, "serve: unknown option --qqqqqqqq; `sluice serve --help` lists those there are");
    assert_int_equal(PARSE("--port", "70000"), SL_E_USAGE);
    assert_string_equal(err.message, "serve: --port takes a whole number from 0 to 65535, not '70000'");
    assert_int_equal(PARSE("--port=12x"), SL_E_USAGE);
    assert_int_equal(PARSE("--data"), SL_E_USAGE);
    assert_string_equal(err.message, "serve: --data needs a value: --data DIR");
    assert_int_equal(PARSE("--data="), SL_E_USAGE);
    assert_int_equal(PARSE("--memory=yes"), SL_E_USAGE);
    assert_string_equal(err.message, "serve: --memory takes no value");
    assert_int_equal(PARSE("a", "b"), SL_E_USAGE);
    assert_string_equal(err.message, "serve: unexpected argument 'b'; usage: sluice serve [options] [NAME]");
}

static void help_wins_over_what_is_wrong_after_it(void **state) {
    (void)state;
    struct values values;
    struct sl_arguments arguments;
    struct sl_error err;
    assert_int_equal(PARSE("a", "--help", "b", "--nonsense"), 0);
    assert_true(arguments.help);
}

static void a_list_has_a_bound(void **state) {
    (void)state;
    static char word[] = "--listen=x";
    char *argv[SL_OPTION_LIST_MAX + 3];
    for (int i = 0; i < SL_OPTION_LIST_MAX + 2; i++) argv[i] = word;
    struct values values = {0};
    struct sl_arguments arguments;
    struct sl_error err;
    assert_int_equal(sl_options_parse(&command, SL_OPTION_LIST_MAX + 1, argv, &values, &arguments, &err), 0);
    assert_int_equal(values.listen.count, SL_OPTION_LIST_MAX);
    values.listen.count = 0;
    assert_int_equal(sl_options_parse(&command, SL_OPTION_LIST_MAX + 2, argv, &values, &arguments, &err), SL_E_USAGE);
}

static void the_nearest_name_is_found_and_a_far_one_is_not(void **state) {
    (void)state;
    const char *const names[] = {"deploy", "doctor", "invoke", "logs", "ls", "rm", NULL};
    assert_string_equal(sl_options_nearest("depoly", names, 7), "deploy");
    assert_string_equal(sl_options_nearest("invok", names, 7), "invoke");
    assert_string_equal(sl_options_nearest("doc", names, 7), "doctor");
    assert_string_equal(sl_options_nearest("log", names, 7), "logs");
    assert_null(sl_options_nearest("bill", names, 7));
    assert_null(sl_options_nearest("", names, 7));
    assert_null(sl_options_nearest("a-word-that-is-much-longer-than-any-name-could-ever-be-in-this-table", names, 7));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_of_options_and_arguments_are_read),
        cmocka_unit_test(defaults_and_the_environment_stand_where_no_option_is_given),
        cmocka_unit_test(a_wrong_command_line_is_told_what_to_do),
        cmocka_unit_test(help_wins_over_what_is_wrong_after_it),
        cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(the_nearest_name_is_found_and_a_far_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
