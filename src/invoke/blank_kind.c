// SPDX-License-Identifier: Apache-2.0
//
// blank_kind: which functions may start in a blank, and which blanks are as good as one another.
//
// A blank is a program that has started already; so whatever that program reads from its environment before our
// bootstrap runs must be the same for all functions. What we set ourselves is (launch.c, add_system and add_language).
// A function that sets such a variable itself starts without a blank; the table below says which they are. Time zones
// and search paths that bootstraps arrange themselves are not among them.
//
// Blanks are of a kind: the same interpreter, and for Java the same memory size, which fixes the size of the heap.
// Copies of a template share hash seeds and the layout of their addresses, so each account has templates of its own.
#include "invoke/blank.h"

#include "invoke/internal.h"
#include "invoke/runtimes.h"

#include <stdio.h>

enum { BLANK_MEMORY_MB = 256 };

// A name, or with '*' its beginning.
static const char *const everywhere[] = {"LD_*",
                                         "LC_*",
                                         "LANG",
                                         "LANGUAGE",
                                         "LOCPATH",
                                         "NLSPATH",
                                         "MALLOC_*",
                                         "GLIBC_*",
                                         "GCONV_PATH",
                                         "TZDIR",
                                         "OPENSSL_*",
                                         "AWS_LAMBDA_EXEC_WRAPPER",
                                         "SLUICE_BLANK",
                                         "SLUICE_TEMPLATE",
                                         NULL};
static const char *const by_language[SL_LANGUAGES][8] = {
    [SL_LANGUAGE_PYTHON] = {"PYTHON*"},
    [SL_LANGUAGE_NODEJS] = {"NODE_*", "UV_*", "SSL_CERT_*"},
    [SL_LANGUAGE_RUBY] = {"RUBY*"},
    [SL_LANGUAGE_JAVA] = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"},
    [SL_LANGUAGE_DOTNET] = {"DOTNET_*", "COMPlus_*", "CORECLR_*", "MONO_*", "HOME"},
};
// Of NODE_*: what node or its users read when they need it.
static const char *const exceptions[] = {"NODE_ENV", "NODE_PATH", "NODE_TLS_REJECT_UNAUTHORIZED", NULL};

static const char *const names[SL_LANGUAGES] = {
    [SL_LANGUAGE_PYTHON] = "python", [SL_LANGUAGE_NODEJS] = "nodejs", [SL_LANGUAGE_RUBY] = "ruby",
    [SL_LANGUAGE_JAVA] = "java",     [SL_LANGUAGE_DOTNET] = "dotnet",
};

static bool listed(const char *const list[], struct sl_str name) {
    for (unsigned i = 0; list[i]; i++) {
        size_t len = strlen(list[i]);
        bool beginning = list[i][len - 1] == '*';
        if (beginning ? sl_str_starts(name, sl_str_n(list[i], len - 1)) : sl_str_is(name, list[i])) return true;
    }
    return false;
}

static bool needs_own_start(const struct sl_function *function, enum sl_language language) {
    for (unsigned i = 0; i < function->environment_count; i++) {
        struct sl_str variable = function->environment[i];
        ptrdiff_t equals = sl_str_find(variable, SL_STR("="));
        struct sl_str name = sl_str_sub(variable, 0, equals < 0 ? variable.len : (size_t)equals);
        if (listed(everywhere, name)) return true;
        if (listed(by_language[language], name) && !listed(exceptions, name)) return true;
    }
    return false;
}

bool sl_invoke__blank_kind_of(const struct sl_function *function, bool templates, struct sl_invoke__blank_kind *ret) {
    struct sl_runtime_info info = sl_runtimes_find(function->runtime);
    if (!names[info.language] || !info.interpreter || needs_own_start(function, info.language)) return false;
    bool by_memory = info.language == SL_LANGUAGE_JAVA;
    *ret = (struct sl_invoke__blank_kind){
        .forks = templates && (info.language == SL_LANGUAGE_PYTHON || info.language == SL_LANGUAGE_RUBY),
        .memory_mb = by_memory ? function->memory_mb : BLANK_MEMORY_MB,
    };
    int len = snprintf(ret->name, sizeof ret->name, "%s%s", names[info.language], info.found_version);
    if (by_memory) snprintf(ret->name + len, sizeof ret->name - (size_t)len, " %u MB", function->memory_mb);
    snprintf(ret->key, sizeof ret->key, "%.*s %u %s", ret->forks ? (int)function->account.len : 0,
             function->account.len ? function->account.ptr : "", ret->memory_mb, info.interpreter);
    return true;
}
