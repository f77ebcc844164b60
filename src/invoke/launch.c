// SPDX-License-Identifier: Apache-2.0
//
// launch: what a sandbox executes: the program by runtime identifier, and the environment as AWS sets it (names and values
// of the "Defined runtime environment variables" page of the Lambda developer guide), followed by the function's own variables.
#include "base/buf.h"
#include "invoke/internal.h"
#include "invoke/runtimes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { VARIABLES_MAX = 512, TEXT_MAX = 64 * 1024 };

struct list {
    struct sl_buf text;             // NUL-terminated strings, one after another
    size_t at[VARIABLES_MAX + 1];
    unsigned count;
};

static void add(struct list *list, const char *name, struct sl_str value) {
    if (list->count == VARIABLES_MAX) {
        list->text.failed = true;
        return;
    }
    list->at[list->count++] = list->text.len;
    if (name) sl_buf_printf(&list->text, "%s=", name);
    sl_buf_str(&list->text, value);
    sl_buf_char(&list->text, '\0');
}

static void add_random(struct list *list, const char *name, const char *prefix, size_t digits) {
    char value[64];
    int used = snprintf(value, sizeof value, "%s", prefix);
    sl_random_hex(value + used, digits);
    add(list, name, sl_str_of(value));
}

// Credentials that identify the function inside this server; no other use of them is possible.
static void add_credentials(struct list *list) {
    add_random(list, "AWS_ACCESS_KEY_ID", "ASIA", 16);
    add_random(list, "AWS_SECRET_ACCESS_KEY", "", 40);
    add_random(list, "AWS_SESSION_TOKEN", "sluice", 48);
}

static void add_platform(struct list *list, const struct sl_function *function, const char *log_stream) {
    char number[16];
    snprintf(number, sizeof number, "%u", function->memory_mb);
    add(list, "AWS_LAMBDA_RUNTIME_API", SL_STR("127.0.0.1:9001"));
    add(list, "AWS_LAMBDA_FUNCTION_NAME", function->name);
    add(list, "AWS_LAMBDA_FUNCTION_VERSION", function->version);
    add(list, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", sl_str_of(number));
    add(list, "AWS_LAMBDA_INITIALIZATION_TYPE", SL_STR("on-demand"));
    add(list, "AWS_LAMBDA_LOG_GROUP_NAME", function->log_group);
    add(list, "AWS_LAMBDA_LOG_STREAM_NAME", sl_str_of(log_stream));
    if (sl_str_is(function->log_format, "JSON")) {
        add(list, "AWS_LAMBDA_LOG_FORMAT", SL_STR("JSON"));
        if (function->log_level.len) add(list, "AWS_LAMBDA_LOG_LEVEL", function->log_level);
    }
    add(list, "AWS_REGION", function->region);
    add(list, "AWS_DEFAULT_REGION", function->region);
    add(list, "AWS_XRAY_CONTEXT_MISSING", SL_STR("LOG_ERROR"));
    add(list, "AWS_XRAY_DAEMON_ADDRESS", SL_STR("169.254.79.129:2000"));
    add(list, "_HANDLER", function->handler);
    add(list, "LAMBDA_TASK_ROOT", SL_STR("/var/task"));
    add(list, "LAMBDA_RUNTIME_DIR", SL_STR("/var/runtime"));
    add(list, "LANG", SL_STR("en_US.UTF-8"));
    add(list, "TZ", SL_STR(":UTC"));
    add(list, "PATH", SL_STR("/usr/local/bin:/usr/bin:/bin:/opt/bin"));
    add(list, "LD_LIBRARY_PATH", SL_STR("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"));
    add(list, "HOME", SL_STR("/tmp"));
}

// What only managed runtimes get: the execution environment's name and the language's search paths.
static void add_language(struct list *list, struct sl_str runtime) {
    char value[160];
    snprintf(value, sizeof value, "AWS_Lambda_%.*s", SL_FMT(runtime));
    add(list, "AWS_EXECUTION_ENV", sl_str_of(value));
    if (sl_str_starts(runtime, SL_STR("python"))) {
        add(list, "PYTHONPATH", SL_STR("/var/runtime"));
        add(list, "LC_CTYPE", SL_STR("C.UTF-8"));
    } else if (sl_str_starts(runtime, SL_STR("nodejs"))) {
        struct sl_str digits = sl_str_sub(runtime, 6, runtime.len);
        ptrdiff_t dot = sl_str_chr(digits, '.', 0);
        if (dot > 0) digits.len = (size_t)dot;
        snprintf(value, sizeof value,
                 "/opt/nodejs/node%.*s/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
                 SL_FMT(digits));
        add(list, "NODE_PATH", sl_str_of(value));
    }
}

// A function's own variables replace ours of the same name, except those AWS reserves (the control plane refuses them).
static bool overridden(const struct sl_function *function, const char *variable) {
    size_t name_len = strcspn(variable, "=") + 1;
    for (unsigned i = 0; i < function->environment_count; i++) {
        if (sl_str_starts(function->environment[i], sl_str_n(variable, name_len))) return true;
    }
    return false;
}

static int build_block(const struct sl_function *function, const char *const argv[], struct list *list, int *ret_block,
                       struct sl_error *err) {
    const char *environment[VARIABLES_MAX + 1];
    unsigned count = 0, own = function->environment_count;
    if (list->text.failed) return sl_fail(err, SL_E_LIMIT, "environment is too large");
    for (unsigned i = 0; i < list->count; i++) {
        const char *variable = list->text.ptr + list->at[i];
        if (i >= list->count - own || !overridden(function, variable)) environment[count++] = variable;
    }
    environment[count] = NULL;
    *ret_block = sl_jail_block_new(argv[0], argv, environment, err);
    return *ret_block < 0 ? err->kind : 0;
}

// The custom runtimes' search: /var/task/bootstrap, then /opt/bootstrap.
static const char *bootstrap_of(int code_dir) {
    struct stat status;
    return fstatat(code_dir, "bootstrap", &status, 0) == 0 ? "/var/task/bootstrap" : "/opt/bootstrap";
}

int sl_invoke__launch_block(const struct sl_function *function, int code_dir, const char *log_stream, int *ret_block,
                            struct sl_error *err) {
    struct sl_runtime_info info = sl_runtimes_find(function->runtime);
    bool custom = sl_str_starts(function->runtime, SL_STR("provided"));
    const char *script = sl_str_starts(function->runtime, SL_STR("python")) ? "/var/runtime/python/bootstrap.py"
                                                                           : "/var/runtime/nodejs/bootstrap.mjs";
    const char *managed[] = {info.interpreter, script, NULL};
    const char *own[] = {custom ? bootstrap_of(code_dir) : NULL, NULL};
    if (!custom && !info.interpreter) {
        return sl_fail(err, SL_E_INVALID_RUNTIME, "%.*s cannot run on this machine: %s", SL_FMT(function->runtime),
                       info.hint ? info.hint : "it is not a runtime");
    }
    struct list *list = calloc(1, sizeof *list);
    if (!list) return sl_fail(err, SL_E_NO_MEMORY, "no memory to start %.*s", SL_FMT(function->name));
    sl_buf_init(&list->text, TEXT_MAX);
    add_credentials(list);
    add_platform(list, function, log_stream);
    if (!custom) add_language(list, function->runtime);
    for (unsigned i = 0; i < function->environment_count; i++) add(list, NULL, function->environment[i]);
    int kind = build_block(function, custom ? own : managed, list, ret_block, err);
    sl_buf_free(&list->text);
    free(list);
    return kind;
}
