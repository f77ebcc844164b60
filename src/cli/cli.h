// SPDX-License-Identifier: Apache-2.0
//
// cli: the `sluice` command. One verb is one row of the table in cli.c and one file of this folder; a verb talks to a
// running server over HTTP like any AWS client would, so it needs nothing of the server's insides. What only the
// program as a whole can do (be the server, look at this machine) comes in through struct sl_cli_hooks, because cli/
// may not use daemon/, jail/ or invoke/.
//
// One thread, one verb per process. Exit status: 0 done, 1 failed, 2 wrong usage.
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include <stdbool.h>

// One line of `sluice doctor`. Texts need to live only during the call.
struct sl_cli_finding {
    const char *section; // "sandbox", "runtimes": findings of a section come one after the other
    const char *name;    // "memory limit", "python3.11"; scripts rely on it (--json)
    bool available;
    bool required;      // without it Sluice cannot run functions at all: doctor exits 1
    const char *how;    // "cgroup v1", "/usr/bin/python3.11 (3.11.2)"; may be ""
    const char *advice; // when not available: what is weaker and what to do; else ""
};

typedef void sl_cli_add_finding(void *report, const struct sl_cli_finding *finding);

struct sl_cli_hooks {
    // `sluice serve ...`: argv[0] is "serve". Its options are best parsed with cli/options.h. Returns the exit status.
    int (*serve)(int argc, char **argv);
    // Looks at this machine and calls add(report, ...) for each finding. Before any thread exists.
    void (*probe)(sl_cli_add_finding *add, void *report);
};

// The whole command: picks the verb, parses its options, runs it, prints its error. Returns the exit status.
int sl_cli_main(int argc, char **argv, const struct sl_cli_hooks *hooks);

#endif
