// SPDX-License-Identifier: Apache-2.0
//
// internal: what the verbs share: the context of this run, calls to the server, output.
#ifndef SL_CLI_INTERNAL_H
#define SL_CLI_INTERNAL_H

#include "base/json.h"
#include "cli/cli.h"
#include "cli/options.h"

enum {
    // A zip of 50 MB (Lambda's limit for a direct upload) in base64 inside JSON, beside what was read to make it.
    SL_CLI_ARENA_MAX = 256 << 20,
    SL_CLI_BODY_MAX = 72 << 20,
    SL_CLI_ANSWER_MAX = 64 << 20,
};

// Where the server is; the first member of every verb's values that talks to one.
struct sl_cli_target {
    const char *endpoint; // "http://127.0.0.1:4566"
    const char *region;
};
#define SL_CLI_TARGET_DEFAULT                                                                                          \
    { "http://127.0.0.1:4566", "us-east-1" }
#define SL_CLI_TARGET_OPTIONS(owner)                                                                                   \
    {.name = "endpoint",                                                                                               \
     .type = SL_OPTION_TEXT,                                                                                           \
     .value = "URL",                                                                                                   \
     .environment = "SLUICE_ENDPOINT",                                                                                 \
     .help = "the server, default http://127.0.0.1:4566",                                                              \
     SL_OPTION_AT(owner, target.endpoint)},                                                                            \
    {                                                                                                                  \
        .name = "region", .type = SL_OPTION_TEXT, .value = "REGION", .environment = "AWS_REGION",                      \
        .help = "default us-east-1", SL_OPTION_AT(owner, target.region)                                                \
    }

struct sl_cli {
    struct sl_arena *arena; // lives as long as the process
    const struct sl_cli_hooks *hooks;
    int exit_code; // a verb that did its work but has bad news (a function's error) sets it to 1
};

struct sl_cli_verb {
    struct sl_command command;
    const void *defaults; // values_size bytes that values begin as; NULL = zero
    size_t values_size;
    // Returns 0 or an error's kind, with err set. `values` is a struct of values_size bytes.
    int (*run)(struct sl_cli *cli, const struct sl_arguments *arguments, void *values, struct sl_error *err);
};

extern const struct sl_cli_verb sl_cli__version, sl_cli__doctor, sl_cli__invoke, sl_cli__ls, sl_cli__rm, sl_cli__top,
    sl_cli__logs, sl_cli__deploy, sl_cli__bill, sl_cli__events, sl_cli__metrics;

// ---- calls to the server (remote.c) ----

struct sl_cli_request {
    const struct sl_cli_target *target;
    const char *service; // name in the signature's scope: "lambda", "apigateway"
    const char *method;
    struct sl_str path;         // "/2015-03-31/functions/", encoded, with query
    struct sl_str body;         // ptr NULL: none
    const char *const *headers; // "Name: value", NULL-terminated; NULL: none
    // When set, parts of a successful answer go here as they arrive instead of into the answer's body. False stops the
    // transfer.
    bool (*part)(void *user, struct sl_str bytes);
    void *user;
};

struct sl_cli_answer {
    long status;
    struct sl_str body;                                   // in the arena
    struct sl_json *json;                                 // parsed body; NULL when it is empty or not JSON
    struct sl_str function_error, log_result, error_type; // headers, empty when absent
};

// Sends one signed request. An error only if there was no answer at all; an answer of 400 or more is the caller's to
// judge.
int sl_cli__send(struct sl_cli *cli, const struct sl_cli_request *request, struct sl_cli_answer *ret,
                 struct sl_error *err);
// The same, but a status of 400 or more is an error: "ResourceNotFoundException: Function not found: ...".
int sl_cli__call(struct sl_cli *cli, const struct sl_cli_request *request, struct sl_cli_answer *ret,
                 struct sl_error *err);
// The error of an answer with a bad status, in the server's words.
int sl_cli__answer_error(const struct sl_cli_answer *answer, struct sl_error *err);
// Shorthand: JSON in (may be NULL), JSON out.
int sl_cli__json(struct sl_cli *cli, const struct sl_cli_target *target, const char *service, const char *method,
                 struct sl_str path, const struct sl_json *body, struct sl_cli_answer *ret, struct sl_error *err);

// "/2015-03-31/functions/NAME" + rest, name encoded.
struct sl_str sl_cli__function_path(struct sl_cli *cli, struct sl_str name, const char *rest);

// Calls `each` for every item of a paged listing of API Gateway ("items", "nextToken"). Stops at the first nonzero, and
// returns it.
int sl_cli__each_item(struct sl_cli *cli, const struct sl_cli_target *target, struct sl_str path,
                      int (*each)(void *user, struct sl_json *item), void *user, struct sl_error *err);
// The same for Lambda's ListFunctions ("Functions", "NextMarker").
int sl_cli__each_function(struct sl_cli *cli, const struct sl_cli_target *target,
                          int (*each)(void *user, struct sl_json *item), void *user, struct sl_error *err);

// ---- files (file.c) ----

// Reads a whole file ("-": standard input) of at most max bytes into the arena.
int sl_cli__read(struct sl_cli *cli, const char *path, size_t max, struct sl_str *ret, struct sl_error *err);

// ---- output (output.c) ----

enum sl_cli_style { SL_CLI_PLAIN, SL_CLI_BOLD, SL_CLI_GREEN, SL_CLI_YELLOW, SL_CLI_RED, SL_CLI_FAINT };
// Text from elsewhere for a terminal: control characters (escape sequences!) become '?'. Coloured only on a terminal
// without NO_COLOR.
void sl_cli__print(FILE *out, enum sl_cli_style style, struct sl_str text);
// The same, padded with blanks to `width` columns.
void sl_cli__column(FILE *out, enum sl_cli_style style, struct sl_str text, unsigned width);

#endif
