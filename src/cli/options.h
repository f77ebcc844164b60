// SPDX-License-Identifier: Apache-2.0
//
// options: command lines as tables. A command lists its options as rows that say where in the command's values struct
// the result goes; parsing, --help, "did you mean" and the checks of numbers and counts are written once, here. Also
// used by the daemon's `serve`.
//
//     struct values { const char *data; int64_t port; bool memory; };
//     static const struct sl_option options[] = {
//         {.name = "data", .type = SL_OPTION_TEXT, .value = "DIR", .help = "where state lives", SL_OPTION_AT(struct
//         values, data)},
//         {.name = "port", .type = SL_OPTION_NUMBER, .min = 0, .max = 65535, .value = "PORT", SL_OPTION_AT(struct
//         values, port)},
//         {.name = "memory", .type = SL_OPTION_FLAG, .help = "keep nothing", SL_OPTION_AT(struct values, memory)},
//         {0}};
//
// Accepted forms: --name value, --name=value, -x value, a lone "-" as an argument, and "--" after which everything is
// an argument.
#ifndef SL_CLI_OPTIONS_H
#define SL_CLI_OPTIONS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum sl_option_type {
    SL_OPTION_FLAG,   // bool
    SL_OPTION_TEXT,   // const char *, not empty
    SL_OPTION_NUMBER, // int64_t within min..max
    SL_OPTION_LIST,   // struct sl_option_list; may be given several times
};

enum { SL_OPTION_LIST_MAX = 32 };
struct sl_option_list {
    unsigned count;
    const char *item[SL_OPTION_LIST_MAX];
};

struct sl_option {
    const char *name; // without "--"; NULL ends the table
    char letter;      // short form, or 0
    enum sl_option_type type;
    const char *value;       // what stands for the value in the help text: "DIR"
    const char *environment; // variable that gives the value when the option is absent (TEXT only); NULL = none
    const char *help;
    int64_t min, max; // NUMBER
    size_t offset;    // into the values struct: SL_OPTION_AT
};
#define SL_OPTION_AT(type, member) .offset = offsetof(type, member)

struct sl_command {
    const char *name;      // "invoke"
    const char *summary;   // one line, for the list of verbs: "run a function and print its answer"
    const char *arguments; // as usage shows them: "NAME", "DIR..."; "" for none
    unsigned min_arguments, max_arguments;
    const struct sl_option *options;
    const char *text;     // further paragraphs of the help, or NULL
    const char *examples; // command lines, one per line, or NULL
};

struct sl_arguments {
    char **item; // positional arguments, in order: the front of argv is rearranged for it
    unsigned count;
    bool help; // --help was given: nothing else was checked
};

// Parses argv[1..]. *values (the struct that the offsets mean) must hold the defaults. Returns 0 or SL_E_USAGE with a
// message that names what is wrong, the nearest option there is, and the next step. Texts in values point into argv or
// the environment.
int sl_options_parse(const struct sl_command *command, int argc, char **argv, void *values, struct sl_arguments *ret,
                     struct sl_error *err);

// The text of `sluice VERB --help`.
void sl_options_help(const struct sl_command *command, FILE *out);

// The nearest of `count` names (NULLs are skipped) within a third of its length in edits, or NULL. For "did you mean".
const char *sl_options_nearest(const char *word, const char *const *names, unsigned count);

#endif
