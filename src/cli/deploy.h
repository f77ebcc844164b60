// SPDX-License-Identifier: Apache-2.0
//
// deploy: the parts of `sluice deploy`. manifest.c reads sluice.json, package.c makes the zip, deploy_api.c the HTTP
// API; deploy.c is the verb and the function. Everything they hand over lives in the run's arena.
#ifndef SL_CLI_DEPLOY_H
#define SL_CLI_DEPLOY_H

#include "cli/internal.h"

enum {
    SL_CLI_MANIFEST_MAX = 1 << 20,
    SL_CLI_ZIP_MAX = 52428800, // "50 MB (zipped, for direct upload)", Lambda quotas
};

// sluice.json. Absent texts are empty (ptr NULL), absent numbers 0, absent lists and maps NULL.
struct sl_cli_manifest {
    const char *dir;       // folder of the file
    struct sl_str name;    // of the function, and of its API
    struct sl_str runtime; // "python3.11"
    struct sl_str handler; // "index.handler"
    struct sl_str description;
    struct sl_str role;          // ARN
    struct sl_str build;         // shell command, run in the folder before packing
    struct sl_str code;          // folder, file or .zip to upload, relative to the folder; default "."
    int64_t memory, timeout;     // MB, seconds
    struct sl_json *environment; // {"NAME": "value"}, ${VAR} and ${VAR:-default} replaced
    struct sl_json *exclude;     // ["*.c"]: shell patterns, of names or of paths below code
    struct sl_json *needs;       // ["javac"]: programs of its build or runtime; see deploy_below
    struct sl_json *routes;      // ["GET /hello", "$default"]: makes an HTTP API
    struct sl_json *hints;       // lines to print in the end; {url}, {path}, {VARIABLE} replaced
};

// Reads DIR/sluice.json. Errors name the file, the key, and what it should be.
int sl_cli__manifest_read(struct sl_cli *cli, const char *dir, struct sl_cli_manifest *ret, struct sl_error *err);

// Runs the build command (if any) with /bin/sh in the folder; its output goes to standard error.
int sl_cli__package_build(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_error *err);
// The zip of what `code` names. The same files give the same bytes, whenever and wherever they were written.
int sl_cli__package_zip(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_str *ret_zip,
                        struct sl_error *err);

struct sl_cli_api {
    struct sl_str id;
    struct sl_str url; // where it answers
};

// Creates or updates the HTTP API of the manifest: integration, routes, $default stage, permission to invoke. Doing it
// again changes nothing.
int sl_cli__deploy_api(struct sl_cli *cli, const struct sl_cli_target *target, const struct sl_cli_manifest *manifest,
                       struct sl_str function_arn, struct sl_cli_api *ret, struct sl_error *err);

#endif
