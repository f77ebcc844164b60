// SPDX-License-Identifier: Apache-2.0
//
// main: the program. Verbs are cli/'s; what needs the whole program (the server, a look at this machine) is handed in
// as hooks.
#include "aws/aws.h"
#include "cli/cli.h"
#include "daemon/daemon.h"
#include "invoke/runtimes.h"
#include "jail/jail.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void report_sandbox(sl_cli_add_finding *add, void *report) {
    struct sl_jail_features features;
    sl_jail_probe(&features);
    for (int i = 0; i < SL_JAIL_FEATURE_COUNT; i++) {
        const struct sl_jail_feature *feature = &features.item[i];
        struct sl_cli_finding finding = {
            .section = "sandbox",
            .name = feature->name,
            .available = feature->available,
            .required = i == SL_JAIL_FEATURE_PRIVILEGE || i == SL_JAIL_FEATURE_NETNS || i == SL_JAIL_FEATURE_SECCOMP,
            .how = feature->how,
            .advice = feature->advice,
        };
        add(report, &finding);
    }
}

static void report_runtimes(sl_cli_add_finding *add, void *report) {
    struct sl_runtime_info info;
    int runtimes = sl_daemon_open_runtimes(getenv("SLUICE_RUNTIMES"));
    sl_runtimes_probe(runtimes);
    if (runtimes >= 0) close(runtimes);
    for (unsigned i = 0; sl_runtimes_row(i, &info); i++) {
        if (info.support == SL_RUNTIME_DEPRECATED) continue;
        char how[160] = "";
        if (info.support == SL_RUNTIME_READY && info.interpreter) {
            snprintf(how, sizeof how, "%s (%s)", info.interpreter, info.found_version);
        } else if (info.support == SL_RUNTIME_NEAREST) {
            snprintf(how, sizeof how, "with --nearest-runtime: %s (%s)", info.interpreter, info.found_version);
        } else if (info.support == SL_RUNTIME_READY) {
            snprintf(how, sizeof how, "your bootstrap");
        }
        struct sl_cli_finding finding = {
            .section = "runtimes",
            .name = info.identifier,
            .available = info.support == SL_RUNTIME_READY,
            .how = how,
            .advice = info.support == SL_RUNTIME_READY ? "" : info.hint,
        };
        add(report, &finding);
    }
}

static void probe(sl_cli_add_finding *add, void *report) {
    report_sandbox(add, report);
    report_runtimes(add, report);
}

// What docs/compatibility.md is generated from; for maintainers, so not among the verbs.
static int print_operations(void) {
    struct sl_buf out;
    sl_buf_init(&out, 16 * 1024 * 1024);
    sl_aws_operations_print(sl_daemon_tables, &out);
    bool failed = out.failed || fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout);
    sl_buf_free(&out);
    return failed;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "operations") == 0) return print_operations();
    static const struct sl_cli_hooks hooks = {.serve = sl_daemon_serve, .probe = probe};
    return sl_cli_main(argc, argv, &hooks);
}
