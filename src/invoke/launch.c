// SPDX-License-Identifier: Apache-2.0
//
// launch: what a sandbox executes: the program by the runtime's language (a table), and the environment as AWS sets it
// (names and values of the "Defined runtime environment variables" page of the Lambda developer guide), followed by the
// function's own variables.
#include "base/buf.h"
#include "invoke/internal.h"
#include "invoke/runtimes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { VARIABLES_MAX = 512, TEXT_MAX = 64 * 1024, ARGUMENTS_MAX = 16, WRAPPER_CAP = 4096 };

struct list {
    struct sl_buf text; // NUL-terminated strings, one after another
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

// A session of the function's role, and the way to where it counts: AWS's SDKs read this variable ("Service-specific
// endpoints", AWS SDKs and Tools Reference Guide). A function that sets it itself goes where it wants.
static void add_credentials(struct list *list, const struct sl_invoker_credentials *credentials) {
    if (!credentials) return;
    add(list, "AWS_ACCESS_KEY_ID", sl_str_of(credentials->access_key));
    add(list, "AWS_SECRET_ACCESS_KEY", sl_str_of(credentials->secret_key));
    add(list, "AWS_SESSION_TOKEN", sl_str_of(credentials->token));
    char endpoint[40];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", SL_JAIL_DOOR_PORT);
    add(list, "AWS_ENDPOINT_URL", sl_str_of(endpoint));
}

static void add_platform(struct list *list, const struct sl_invoke__launch *launch) {
    const struct sl_function *function = launch->function;
    char number[16];
    snprintf(number, sizeof number, "%u", function->memory_mb);
    add(list, "AWS_LAMBDA_RUNTIME_API", SL_STR("127.0.0.1:9001"));
    add(list, "AWS_LAMBDA_FUNCTION_NAME", function->name);
    add(list, "AWS_LAMBDA_FUNCTION_VERSION", function->version);
    add(list, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", sl_str_of(number));
    add(list, "AWS_LAMBDA_INITIALIZATION_TYPE", sl_str_of(launch->initialization));
    // "Not available in Lambda SnapStart functions": an instance may log to several streams.
    if (!function->snap_start) {
        add(list, "AWS_LAMBDA_LOG_GROUP_NAME", function->log_group);
        add(list, "AWS_LAMBDA_LOG_STREAM_NAME", sl_str_of(launch->log_stream));
    }
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
}

// What is the same for all functions, and what a program's start depends on: a blank is started with these.
static void add_system(struct list *list) {
    add(list, "LANG", SL_STR("en_US.UTF-8"));
    add(list, "TZ", SL_STR(":UTC"));
    add(list, "PATH", SL_STR("/usr/local/bin:/usr/bin:/bin:/opt/bin"));
    add(list, "LD_LIBRARY_PATH",
        SL_STR("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"));
    add(list, "HOME", SL_STR("/tmp"));
}

// ---- languages ----
//
// One row per language: the command line after the interpreter, and the variables that only managed runtimes of that
// language get (names and values as AWS sets them, for the paths that are ours). Bootstraps lie in /var/runtime; those
// of Java and .NET are built.

// A command line being put together. Strings with numbers in them live in `text`.
struct command {
    const char *argv[ARGUMENTS_MAX + 1];
    unsigned count;
    bool blank; // it starts before its function is known
    char text[160];
};

static void argument(struct command *command, const char *text) {
    if (command->count < ARGUMENTS_MAX) command->argv[command->count++] = text;
}

static void python_command(struct command *command, const struct sl_function *function,
                           const struct sl_runtime_info *info) {
    (void)function, (void)info;
    argument(command, "-S"); // the host's packages are not AWS's; the bootstrap arranges sys.path
    argument(command, "-s");
    argument(command, "/var/runtime/python/bootstrap.py");
}

static void python_variables(struct list *list, const struct sl_runtime_info *info) {
    (void)info;
    add(list, "PYTHONPATH", SL_STR("/var/runtime"));
}

static void nodejs_command(struct command *command, const struct sl_function *function,
                           const struct sl_runtime_info *info) {
    (void)function, (void)info;
    argument(command, "/var/runtime/nodejs/bootstrap.cjs"); // the .mjs starts the same, 8 ms later
}

static void nodejs_variables(struct list *list, const struct sl_runtime_info *info) {
    char value[160];
    snprintf(
        value, sizeof value,
        "/opt/nodejs/node%d/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
        info->major);
    add(list, "NODE_PATH", sl_str_of(value));
}

static void ruby_command(struct command *command, const struct sl_function *function,
                         const struct sl_runtime_info *info) {
    (void)function, (void)info;
    // RubyGems is loaded when it is needed. The other two would add suggestions to error messages, which AWS's versions
    // do not.
    argument(command, "--disable=gems,did_you_mean,error_highlight");
    argument(command, "/var/runtime/ruby/bootstrap.rb");
}

static void ruby_variables(struct list *list, const struct sl_runtime_info *info) {
    char value[160];
    snprintf(value, sizeof value,
             "/var/task/vendor/bundle/ruby/%1$d.%2$d.0:/opt/ruby/gems/%1$d.%2$d.0:/var/runtime/ruby/gems/%1$d.%2$d.0",
             info->major, info->minor);
    add(list, "GEM_HOME", SL_STR("/var/runtime"));
    add(list, "GEM_PATH", sl_str_of(value));
    add(list, "RUBYLIB", SL_STR("/var/task:/opt/ruby/lib"));
}

// The heap gets what AWS gives it, 85% of the memory, but leaves 48 MB to the virtual machine itself: a full heap
// should be an OutOfMemoryError of the function's and not the end of the instance.
static void java_command(struct command *command, const struct sl_function *function,
                         const struct sl_runtime_info *info) {
    (void)info;
    unsigned percent = function->memory_mb / 100 * 85 + function->memory_mb % 100 * 85 / 100;
    unsigned heap = percent + 48 <= function->memory_mb ? percent : function->memory_mb - 48;
    snprintf(command->text, sizeof command->text, "-Xmx%um", heap);
    argument(command, command->text);
    argument(command, "-XX:+UseSerialGC");        // the least to set up, and few processors
    argument(command, "-XX:TieredStopAtLevel=1"); // a cold start is over before the second compiler would pay
    argument(command, "-Xshare:auto");
    argument(command, "-XX:-UsePerfData"); // no file in /tmp that nobody reads
    argument(command, "-Djava.net.preferIPv4Stack=true");
    argument(command, "-cp");
    argument(command, "/var/runtime/java/build/sluice-runtime.jar");
    argument(command, command->blank ? "sluice.runtime.Blank" : "sluice.runtime.Main");
}

// The virtual machine sets all categories of the locale or none, and LANG's is not on every host.
static void java_variables(struct list *list, const struct sl_runtime_info *info) {
    (void)info;
    add(list, "LC_ALL", SL_STR("C.UTF-8"));
}

static bool is_mono(const struct sl_runtime_info *info) {
    return info->interpreter && strstr(info->interpreter, "/mono") != NULL;
}

static void dotnet_command(struct command *command, const struct sl_function *function,
                           const struct sl_runtime_info *info) {
    (void)function;
    if (!is_mono(info)) {
        argument(command, "exec");
        argument(command, "--runtimeconfig");
        argument(command, "/var/runtime/dotnet/sluice-runtime.runtimeconfig.json");
    }
    argument(command, "/var/runtime/dotnet/build/sluice-runtime.exe");
}

static void dotnet_variables(struct list *list, const struct sl_runtime_info *info) {
    if (is_mono(info)) return;
    struct sl_str path = sl_str_of(info->interpreter); // .../dotnet
    add(list, "DOTNET_ROOT", sl_str_sub(path, 0, path.len - strlen("/dotnet")));
    add(list, "DOTNET_EnableDiagnostics", SL_STR("0")); // no debugger's socket in /tmp
    add(list, "DOTNET_TieredPGO", SL_STR("0"));
}

static const struct launcher {
    void (*command)(struct command *command, const struct sl_function *function, const struct sl_runtime_info *info);
    void (*variables)(struct list *list, const struct sl_runtime_info *info);
} launchers[SL_LANGUAGES] = {
    [SL_LANGUAGE_PYTHON] = {python_command, python_variables},
    [SL_LANGUAGE_NODEJS] = {nodejs_command, nodejs_variables},
    [SL_LANGUAGE_RUBY] = {ruby_command, ruby_variables},
    [SL_LANGUAGE_JAVA] = {java_command, java_variables},
    [SL_LANGUAGE_DOTNET] = {dotnet_command, dotnet_variables},
};

// What only managed runtimes get: a character encoding that every host has (LANG names one that few have, and without
// either an interpreter takes text for ASCII), and the language's search paths.
static void add_language(struct list *list, const struct sl_runtime_info *info) {
    add(list, "LC_CTYPE", SL_STR("C.UTF-8"));
    if (launchers[info->language].variables) launchers[info->language].variables(list, info);
}

static void add_execution_environment(struct list *list, const struct sl_runtime_info *info) {
    char value[64];
    snprintf(value, sizeof value, "AWS_Lambda_%s", info->identifier);
    add(list, "AWS_EXECUTION_ENV", sl_str_of(value));
}

// ---- the program and its environment ----

// A function's own variables replace ours of the same name, except those AWS reserves (the control plane refuses them).
static bool overridden(const struct sl_function *function, const char *variable) {
    size_t name_len = strcspn(variable, "=") + 1;
    for (unsigned i = 0; i < function->environment_count; i++) {
        if (sl_str_starts(function->environment[i], sl_str_n(variable, name_len))) return true;
    }
    return false;
}

// function: NULL of a blank.
static int build_block(const struct sl_function *function, const char *const argv[], struct list *list, int *ret_block,
                       struct sl_error *err) {
    const char *environment[VARIABLES_MAX + 1];
    unsigned count = 0, own = function ? function->environment_count : 0;
    if (list->text.failed) return sl_fail(err, SL_E_LIMIT, "environment is too large");
    for (unsigned i = 0; i < list->count; i++) {
        const char *variable = list->text.ptr + list->at[i];
        if (!function || i >= list->count - own || !overridden(function, variable)) environment[count++] = variable;
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

// The value of one of the function's own variables; empty when it has none.
static struct sl_str own_variable(const struct sl_function *function, struct sl_str prefix) {
    for (unsigned i = 0; i < function->environment_count; i++) {
        struct sl_str variable = function->environment[i];
        if (sl_str_starts(variable, prefix)) return sl_str_sub(variable, prefix.len, variable.len);
    }
    return SL_STR("");
}

// AWS_LAMBDA_EXEC_WRAPPER is a program that gets the runtime's command line as arguments and is to execute it
// ("Modifying the runtime environment", Lambda developer guide). Custom runtimes read the variable themselves, or do
// not. A relative path is one from where runtimes start.
static void build_command(struct command *command, const struct sl_function *function,
                          const struct sl_runtime_info *info, int code_dir, char *wrapper, size_t wrapper_cap) {
    if (info->language == SL_LANGUAGE_CUSTOM) {
        argument(command, bootstrap_of(code_dir));
        return;
    }
    struct sl_str given = own_variable(function, SL_STR("AWS_LAMBDA_EXEC_WRAPPER="));
    const char *folder = sl_str_starts(given, SL_STR("/")) ? "" : "/var/task/";
    if (given.len > 0 && strlen(folder) + given.len < wrapper_cap) {
        snprintf(wrapper, wrapper_cap, "%s%.*s", folder, SL_FMT(given));
        argument(command, wrapper);
    }
    argument(command, info->interpreter);
    launchers[info->language].command(command, function, info);
}

// An image's own program (image.c), and the variables that every runtime gets; those of the image are among the
// function's own.
static int image_block(const struct sl_invoke__launch *launch, int root, int *ret_block, struct sl_error *err) {
    const struct sl_function *function = launch->function;
    struct sl_invoke__image_command *command = malloc(sizeof *command);
    struct list *list = calloc(1, sizeof *list);
    int kind = command && list ? sl_invoke__image_command(function, root, command, err)
                               : sl_fail(err, SL_E_NO_MEMORY, "no memory to start %.*s", SL_FMT(function->name));
    if (kind == 0) {
        sl_buf_init(&list->text, TEXT_MAX);
        add_credentials(list, launch->credentials);
        add_platform(list, launch);
        add_system(list);
        add(list, "PWD", function->directory.len > 0 ? function->directory : SL_STR("/"));
        for (unsigned i = 0; i < function->environment_count; i++) add(list, NULL, function->environment[i]);
        kind = build_block(function, command->argv, list, ret_block, err);
        sl_buf_free(&list->text);
    }
    free(list);
    free(command);
    return kind;
}

int sl_invoke__launch_block(const struct sl_invoke__launch *launch, int code_dir, int *ret_block,
                            struct sl_error *err) {
    const struct sl_function *function = launch->function;
    if (function->image) return image_block(launch, code_dir, ret_block, err);
    struct sl_runtime_info info = sl_runtimes_find(function->runtime);
    if (info.language != SL_LANGUAGE_CUSTOM && !info.interpreter) {
        return sl_fail(err, SL_E_INVALID_RUNTIME, "%.*s cannot run on this machine: %s", SL_FMT(function->runtime),
                       info.hint ? info.hint : "it is not a runtime");
    }
    struct command command = {.count = 0};
    char wrapper[WRAPPER_CAP];
    if (launch->restore)
        argument(&command, "/var/runtime/snapshot/build/restore");
    else
        build_command(&command, function, &info, code_dir, wrapper, sizeof wrapper);
    struct list *list = calloc(1, sizeof *list);
    if (!list) return sl_fail(err, SL_E_NO_MEMORY, "no memory to start %.*s", SL_FMT(function->name));
    sl_buf_init(&list->text, TEXT_MAX);
    add_credentials(list, launch->credentials);
    add_platform(list, launch);
    add_system(list);
    if (info.language != SL_LANGUAGE_CUSTOM) {
        add_execution_environment(list, &info);
        add_language(list, &info);
    } else {
        add(list, "_LAMBDA_TELEMETRY_LOG_FD", SL_STR("1")); // for AWS's interface clients, see runtime/frames.h
    }
    for (unsigned i = 0; i < function->environment_count; i++) add(list, NULL, function->environment[i]);
    int kind = build_block(function, command.argv, list, ret_block, err);
    sl_buf_free(&list->text);
    free(list);
    return kind;
}

int sl_invoke__launch_blank_block(const struct sl_function *function, bool template, int *ret_block,
                                  struct sl_error *err) {
    struct sl_runtime_info info = sl_runtimes_find(function->runtime);
    struct command command = {.blank = true};
    argument(&command, info.interpreter);
    launchers[info.language].command(&command, function, &info);
    struct list *list = calloc(1, sizeof *list);
    if (!list) return sl_fail(err, SL_E_NO_MEMORY, "no memory for a blank");
    sl_buf_init(&list->text, TEXT_MAX);
    add_system(list);
    add_language(list, &info);
    add(list, "SLUICE_BLANK", SL_STR("1"));
    if (template) add(list, "SLUICE_TEMPLATE", SL_STR("1"));
    int kind = build_block(NULL, command.argv, list, ret_block, err);
    sl_buf_free(&list->text);
    free(list);
    return kind;
}

// What extensions do not get ("Runtime environment variables for extensions", Lambda developer guide).
static bool kept_from_extensions(const char *variable) {
    static const char *const names[] = {
        "AWS_EXECUTION_ENV=",        "AWS_LAMBDA_LOG_GROUP_NAME=", "AWS_LAMBDA_LOG_STREAM_NAME=",
        "AWS_XRAY_CONTEXT_MISSING=", "AWS_XRAY_DAEMON_ADDRESS=",   "LAMBDA_RUNTIME_DIR=",
        "LAMBDA_TASK_ROOT="};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
    return variable[0] == '_';
}

// Takes them out of the list.
static void keep_from_extensions(struct list *list) {
    unsigned count = 0;
    for (unsigned i = 0; i < list->count && !list->text.failed; i++)
        if (!kept_from_extensions(list->text.ptr + list->at[i])) list->at[count++] = list->at[i];
    list->count = count;
}

struct sl_invoke__launch sl_invoke__launch_of(const struct sl_instance *instance) {
    return (struct sl_invoke__launch){.restore = instance->from_image,
                                      .function = &instance->pool->spec,
                                      .log_stream = instance->log_stream,
                                      .initialization = sl_invoke__initialization(instance),
                                      .credentials = instance->credentials};
}

int sl_invoke__launch_extension(const struct sl_invoke__launch *launch, const char *name, int *ret_block,
                                struct sl_error *err) {
    const struct sl_function *function = launch->function;
    char path[sizeof "/opt/extensions/" + SL_JAIL_EXTENSION_NAME];
    snprintf(path, sizeof path, "/opt/extensions/%s", name);
    const char *argv[] = {path, NULL};
    struct list *list = calloc(1, sizeof *list);
    if (!list) return sl_fail(err, SL_E_NO_MEMORY, "no memory to start %.*s", SL_FMT(function->name));
    sl_buf_init(&list->text, TEXT_MAX);
    add_credentials(list, launch->credentials);
    add_platform(list, launch);
    add_system(list);
    keep_from_extensions(list);
    for (unsigned i = 0; i < function->environment_count; i++) add(list, NULL, function->environment[i]);
    int kind = build_block(function, argv, list, ret_block, err);
    sl_buf_free(&list->text);
    free(list);
    return kind;
}
