// SPDX-License-Identifier: Apache-2.0
//
// runtimes: which runtime identifiers this machine can serve, and how a sandbox of each starts. A table of identifiers AWS knows
// (current and deprecated) and a probe of the interpreters that are installed in /usr.
#ifndef SL_INVOKE_RUNTIMES_H
#define SL_INVOKE_RUNTIMES_H

#include "base/error.h"

enum sl_runtime_support {
    SL_RUNTIME_UNKNOWN,     // not an identifier of AWS's
    SL_RUNTIME_DEPRECATED,  // AWS refuses to create it
    SL_RUNTIME_MISSING,     // known, but no interpreter of that version here
    SL_RUNTIME_NEAREST,     // another version of the language is installed
    SL_RUNTIME_READY,
};

struct sl_runtime_info {
    const char *identifier;     // "python3.11"
    enum sl_runtime_support support;
    const char *interpreter;    // "/usr/bin/python3.11"; NULL for provided.*
    const char *found_version;  // "3.11.2", "v20.20.2"
    const char *hint;           // what to install when missing
};

// Probes once at start (runs `--version` of what it finds in /usr; called before threads exist).
void sl_runtimes_probe(void);
// NULL-safe; never NULL: unknown identifiers give an entry with SL_RUNTIME_UNKNOWN.
struct sl_runtime_info sl_runtimes_find(struct sl_str identifier);
// Row i of the table, for doctor; false past the end.
bool sl_runtimes_row(unsigned i, struct sl_runtime_info *ret);

#endif
