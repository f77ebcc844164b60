// SPDX-License-Identifier: Apache-2.0
//
// options: the parser behind the tables of options.h.
#include "cli/options.h"

#include <stdlib.h>

enum { NAMES_MAX = 64, WORD_MAX = 48 };

// Edits (insert, delete, replace, swap of neighbours) that turn a into b: optimal string alignment, three rows.
static unsigned edits(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX) return WORD_MAX;
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= lb; j++) above[j] = j;
    for (unsigned i = 1; i <= la; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            row[j] = best;
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[lb];
}

const char *sl_options_nearest(const char *word, const char *const *names, unsigned count) {
    const char *nearest = NULL;
    unsigned least = WORD_MAX;
    for (unsigned i = 0; i < count; i++) {
        if (!names[i]) continue;
        // A beginning of the name is always near: "--foll" means "--follow".
        size_t length = strlen(word);
        unsigned distance = length >= 2 && strncmp(names[i], word, length) == 0 ? 1 : edits(word, names[i]);
        unsigned allowed = (unsigned)(strlen(names[i]) / 3 > 1 ? strlen(names[i]) / 3 : 1);
        if (distance <= allowed && distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

static int unknown_option(const struct sl_command *command, const char *word, struct sl_error *err) {
    const char *names[NAMES_MAX] = {"help"};
    unsigned count = 1;
    for (const struct sl_option *o = command->options; o && o->name && count < NAMES_MAX; o++) names[count++] = o->name;
    const char *nearest = sl_options_nearest(word, names, count);
    if (nearest) {
        return sl_fail(err, SL_E_USAGE, "%s: unknown option --%s; did you mean --%s? `sluice %s --help` lists them",
                       command->name, word, nearest, command->name);
    }
    return sl_fail(err, SL_E_USAGE, "%s: unknown option --%s; `sluice %s --help` lists those there are", command->name,
                   word, command->name);
}

static int store(const struct sl_command *command, const struct sl_option *option, const char *text, void *values,
                 struct sl_error *err) {
    void *at = (char *)values + option->offset;
    switch (option->type) {
    case SL_OPTION_FLAG:
        *(bool *)at = true;
        return 0;
    case SL_OPTION_TEXT:
        if (!*text)
            return sl_fail(err, SL_E_USAGE, "%s: --%s needs a value (%s), not an empty one", command->name,
                           option->name, option->value);
        *(const char **)at = text;
        return 0;
    case SL_OPTION_NUMBER: {
        int64_t number;
        if (!sl_str_to_i64(sl_str_of(text), &number) || number < option->min || number > option->max) {
            return sl_fail(err, SL_E_USAGE, "%s: --%s takes a whole number from %lld to %lld, not '%s'", command->name,
                           option->name, (long long)option->min, (long long)option->max, text);
        }
        *(int64_t *)at = number;
        return 0;
    }
    case SL_OPTION_LIST: {
        struct sl_option_list *list = at;
        if (list->count == SL_OPTION_LIST_MAX) {
            return sl_fail(err, SL_E_USAGE, "%s: --%s may be given %d times at most", command->name, option->name,
                           SL_OPTION_LIST_MAX);
        }
        list->item[list->count++] = text;
        return 0;
    }
    }
    return sl_fail(err, SL_E_INTERNAL, "%s: --%s has no type", command->name, option->name);
}

// Row for "--name[=value]" or "-x"; *ret_value is what follows '=', or NULL.
static const struct sl_option *find(const struct sl_command *command, const char *word, const char **ret_value) {
    *ret_value = NULL;
    for (const struct sl_option *o = command->options; o && o->name; o++) {
        if (word[1] != '-') {
            if (o->letter && word[1] == o->letter && !word[2]) return o;
            continue;
        }
        size_t length = strlen(o->name);
        if (strncmp(word + 2, o->name, length) != 0) continue;
        if (word[2 + length] == '=') *ret_value = word + 2 + length + 1;
        if (word[2 + length] == '=' || !word[2 + length]) return o;
    }
    return NULL;
}

// One option at argv[*at]; moves *at past its value.
static int parse_one(const struct sl_command *command, int argc, char **argv, int *at, void *values,
                     struct sl_error *err) {
    const char *value;
    const struct sl_option *option = find(command, argv[*at], &value);
    if (!option) {
        char word[WORD_MAX + 1];
        const char *from = argv[*at] + (argv[*at][1] == '-' ? 2 : 1);
        snprintf(word, sizeof word, "%.*s", (int)strcspn(from, "="), from);
        return unknown_option(command, word, err);
    }
    if (option->type == SL_OPTION_FLAG) {
        if (value) return sl_fail(err, SL_E_USAGE, "%s: --%s takes no value", command->name, option->name);
    } else if (!value) {
        if (*at + 1 >= argc) {
            return sl_fail(err, SL_E_USAGE, "%s: --%s needs a value: --%s %s", command->name, option->name,
                           option->name, option->value);
        }
        value = argv[++*at];
    }
    return store(command, option, value, values, err);
}

static int from_environment(const struct sl_command *command, void *values, struct sl_error *err) {
    for (const struct sl_option *o = command->options; o && o->name; o++) {
        const char *text = o->environment ? getenv(o->environment) : NULL;
        if (!text || !*text) continue;
        int failed = store(command, o, text, values, err);
        if (failed) return failed;
    }
    return 0;
}

int sl_options_parse(const struct sl_command *command, int argc, char **argv, void *values, struct sl_arguments *ret,
                     struct sl_error *err) {
    int failed = from_environment(command, values, err);
    if (failed) return failed;

    // Arguments are gathered at the front of argv, over options that were already read.
    *ret = (struct sl_arguments){.item = argv + 1};
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (only_arguments || word[0] != '-' || !word[1]) {
            ret->item[ret->count++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            ret->help = true;
            return 0;
        } else if ((failed = parse_one(command, argc, argv, &i, values, err)) != 0) {
            return failed;
        }
    }
    if (ret->count < command->min_arguments) {
        return sl_fail(err, SL_E_USAGE, "%s: what is missing: sluice %s %s", command->name, command->name,
                       command->arguments);
    }
    if (ret->count > command->max_arguments) {
        return sl_fail(err, SL_E_USAGE, "%s: unexpected argument '%s'; usage: sluice %s [options] %s", command->name,
                       ret->item[command->max_arguments], command->name, command->arguments);
    }
    return 0;
}

static void help_row(const struct sl_option *option, FILE *out) {
    char left[80];
    char letter[8] = "    ";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->type == SL_OPTION_FLAG ? "" : " ",
             option->type == SL_OPTION_FLAG ? "" : option->value);
    fprintf(out, "  %-28s %s", left, option->help ? option->help : "");
    if (option->environment) fprintf(out, " [$%s]", option->environment);
    fputc('\n', out);
}

// Lines of a text, each with `indent` before it and a line end after it.
static void help_lines(const char *text, const char *indent, FILE *out) {
    struct sl_str rest = sl_str_of(text), line;
    if (sl_str_ends(rest, SL_STR("\n"))) rest.len--;
    while (sl_str_split(&rest, '\n', &line)) fprintf(out, "%s%.*s\n", line.len ? indent : "", SL_FMT(line));
}

void sl_options_help(const struct sl_command *command, FILE *out) {
    fprintf(out, "sluice %s: %s\n\nUsage: sluice %s [options]%s%s\n", command->name, command->summary, command->name,
            *command->arguments ? " " : "", command->arguments);
    if (command->text) {
        fputc('\n', out);
        help_lines(command->text, "", out);
    }
    fprintf(out, "\nOptions:\n");
    for (const struct sl_option *o = command->options; o && o->name; o++) help_row(o, out);
    help_row(&(struct sl_option){.name = "help", .letter = 'h', .type = SL_OPTION_FLAG, .help = "this text"}, out);
    if (command->examples) {
        fprintf(out, "\nExamples:\n");
        help_lines(command->examples, "  ", out);
    }
}
