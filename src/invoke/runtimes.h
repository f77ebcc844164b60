// SPDX-License-Identifier: Apache-2.0
//
// runtimes: which runtime identifiers this machine can serve, and with which program. A table of identifiers AWS knows
// (current and deprecated), and a probe of the interpreters that are installed in /usr. How a sandbox of each is
// started is launch.c's.
#ifndef SL_INVOKE_RUNTIMES_H
#define SL_INVOKE_RUNTIMES_H

#include "base/error.h"

enum sl_runtime_support {
    SL_RUNTIME_UNKNOWN,    // not an identifier of AWS's
    SL_RUNTIME_DEPRECATED, // AWS refuses to create it
    SL_RUNTIME_MISSING,    // known, but no interpreter of that language here
    SL_RUNTIME_NEAREST,    // another version of the language is installed
    SL_RUNTIME_READY,
};

enum sl_language {
    SL_LANGUAGE_NONE,   // nothing runs it (go1.x was a runtime of its own; today Go programs are provided.*)
    SL_LANGUAGE_CUSTOM, // provided.*: the function brings its bootstrap
    SL_LANGUAGE_PYTHON,
    SL_LANGUAGE_NODEJS,
    SL_LANGUAGE_RUBY,
    SL_LANGUAGE_JAVA,
    SL_LANGUAGE_DOTNET, // the interpreter is `dotnet`, or `mono` where there is no dotnet
    SL_LANGUAGES
};

struct sl_runtime_info {
    const char *identifier; // "python3.11"
    enum sl_runtime_support support;
    enum sl_language language;
    int major, minor;          // what the identifier names; minor is 0 where it names a major version only
    const char *interpreter;   // "/usr/bin/python3.11"; NULL for provided.* and where none is installed
    const char *found_version; // "3.11.2", "20.20.2"
    const char *hint;          // what to do when not ready
};

// Probes once at start (runs `--version` of what it finds in /usr; called before threads exist). `runtimes_dir` is the
// folder of the bootstraps, looked into for those that are built from source; -1 takes them as built.
void sl_runtimes_probe(int runtimes_dir);
// Unknown identifiers give an entry with SL_RUNTIME_UNKNOWN. The pointers inside stay valid.
struct sl_runtime_info sl_runtimes_find(struct sl_str identifier);
// Row i of the table, for doctor; false past the end.
bool sl_runtimes_row(unsigned i, struct sl_runtime_info *ret);

#endif
