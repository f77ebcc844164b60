// SPDX-License-Identifier: Apache-2.0
//
// settings: the part of a function's configuration that CreateFunction and UpdateFunctionConfiguration share: what is
// checked beyond the model's constraints, the defaults, and the merge into the document.
//
// The role. AWS refuses a role whose trust policy does not let Lambda assume it. Here a role that exists in this server
// is held to that; a role that was never created is accepted, because local clients and tutorials pass
// "arn:aws:iam::000000000000:role/x" or "arn:aws:iam::123456789012:role/x" without creating it (LocalStack's habit),
// and nothing here depends on the role's permissions yet.
#include "lambda/internal.h"

#include "aws/policy.h"
#include "invoke/runtimes.h"

// --- checks
// ------------------------------------------------------------------------------------------------------------------------

// Names Lambda keeps for itself ("Defined runtime environment variables", Lambda developer guide).
static const char *const reserved[] = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
};

static bool is_reserved(struct sl_str name) {
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (sl_str_is(name, reserved[i])) return true;
    return false;
}

// AWS repeats the whole environment in the message, which is longer than an error object holds: the body's member is
// given apart.
static int check_environment_size(struct sl_op *op, const struct sl_json *variables, struct sl_error *err) {
    struct sl_buf text;
    sl_buf_init(&text, 64u << 20);
    sl_json_write(&text, variables);
    int result = 0;
    if (text.failed) {
        result = sl_fail(err, SL_E_NO_MEMORY, "out of memory for environment variables");
    } else if (text.len > SL_LAMBDA_ENVIRONMENT_MAX) {
        struct sl_str message =
            sl_arena_printf(op->arena,
                            "Lambda was unable to configure your environment variables because the environment "
                            "variables you have provided exceeded the 4KB limit. String measured: %.*s",
                            SL_FMT(sl_buf_view(&text)));
        op->error_members = sl_lambda__object1(op, "message", message);
        result = sl_fail(err, SL_E_INVALID_PARAMETER, "%.*s", SL_FMT(message));
    }
    sl_buf_free(&text);
    return result;
}

int sl_lambda__environment_check(struct sl_op *op, const struct sl_json *variables, struct sl_error *err) {
    struct sl_str found = {NULL, 0};
    for (const struct sl_json *node = variables ? variables->first : NULL; node; node = node->next) {
        // A NUL cannot be in a process's environment; XML and JSON clients can send one all the same.
        if (memchr(node->text.ptr ? node->text.ptr : "", '\0', node->text.len))
            return sl_fail(err, SL_E_INVALID_PARAMETER, "The value of environment variable %.*s holds a NUL character.",
                           SL_FMT(node->key));
        if (!is_reserved(node->key)) continue;
        found = found.len == 0 ? node->key : sl_arena_printf(op->arena, "%.*s, %.*s", SL_FMT(found), SL_FMT(node->key));
    }
    if (found.len > 0)
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            "this request: %.*s",
            SL_FMT(found));
    return variables ? check_environment_size(op, variables, err) : 0;
}

// arn:aws:lambda:region:account:layer:name:version: the part before the version.
static struct sl_str layer_of(struct sl_str arn) {
    size_t end = arn.len;
    while (end > 0 && arn.ptr[end - 1] != ':') end--;
    return sl_str_sub(arn, 0, end > 0 ? end - 1 : 0);
}

// The checks AWS makes before it looks for the layers (layer_use.c).
int sl_lambda__layers_check(struct sl_op *op, const struct sl_json *layers, struct sl_error *err) {
    if (!layers || layers->count == 0) return 0;
    if (layers->count > SL_LAMBDA_LAYERS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Cannot reference more than %d layers.", SL_LAMBDA_LAYERS_MAX);
    for (const struct sl_json *one = layers->first; one; one = one->next) {
        struct sl_arn arn;
        if (sl_arn_parse(one->text, &arn) && !sl_str_eq(arn.region, op->region))
            return sl_fail(
                err, SL_E_INVALID_PARAMETER,
                "Layers are not in the same region as the function. Layers are expected to be in region %.*s.",
                SL_FMT(op->region));
        for (const struct sl_json *other = one->next; other; other = other->next)
            if (sl_str_eq(layer_of(one->text), layer_of(other->text)))
                return sl_fail(
                    err, SL_E_INVALID_PARAMETER,
                    "Two different versions of the same layer are not allowed to be referenced in the same function. "
                    "%.*s and %.*s are versions of the same layer.",
                    SL_FMT(one->text), SL_FMT(other->text));
    }
    return 0;
}

int sl_lambda__runtime_check(struct sl_op *op, struct sl_str runtime, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct sl_runtime_info info = sl_runtimes_find(runtime);
    switch (info.support) {
    case SL_RUNTIME_READY:
        return 0;
    case SL_RUNTIME_DEPRECATED:
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "The runtime parameter of %.*s is no longer supported for creating or updating AWS Lambda functions. We "
            "recommend you use a supported runtime while creating or updating functions.",
            SL_FMT(runtime));
    case SL_RUNTIME_NEAREST:
        if (app->nearest_runtime) return 0;
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "This machine cannot run %.*s: the nearest interpreter installed is %s. %s", SL_FMT(runtime),
                       info.found_version ? info.found_version : "of another version", info.hint ? info.hint : "");
    case SL_RUNTIME_MISSING:
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "This machine cannot run %.*s: no interpreter for it is installed. %s", SL_FMT(runtime),
                       info.hint ? info.hint : "");
    case SL_RUNTIME_UNKNOWN:
        break;
    }
    // In AWS's order [AWS, November 2025].
    return sl_fail(
        err, SL_E_INVALID_PARAMETER,
        "Value %.*s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, "
        "python3.14, "
        "provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, "
        "ruby3.3, "
        "ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, "
        "provided.al2, java8.al2] or be a valid ARN",
        SL_FMT(sl_str_sub(runtime, 0, 256)));
}

// "role/path/name" of an ARN: the name.
static struct sl_str role_name(struct sl_str resource) {
    size_t start = resource.len;
    while (start > 0 && resource.ptr[start - 1] != '/') start--;
    return sl_str_sub(resource, start, resource.len);
}

int sl_lambda__role_check(struct sl_op *op, struct sl_str role, struct sl_error *err) {
    struct sl_arn arn;
    if (!sl_arn_parse(role, &arn))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The role defined for the function cannot be assumed by Lambda.");
    const struct sl_key key = {.kind = "iam.role",
                               .account = arn.account,
                               .region = SL_STR(""),
                               .parent = SL_STR(""),
                               .id = role_name(arn.resource)};
    struct sl_json *document, *trust;
    int result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND) return 0; // see the essay above
    if (result == 0 && !sl_str_eq(arn.account, op->account))
        result = sl_fail(err, SL_E_ACCESS_DENIED, "Cross-account pass role is not allowed.");
    if (result == 0)
        result = sl_json_parse(op->arena, sl_json_string(document, "AssumeRolePolicyDocument"), &trust, err);
    if (result != 0) return result;
    const struct sl_policy_request request = {
        .service = SL_STR("lambda.amazonaws.com"), .action = SL_STR("sts:AssumeRole"), .resource = role};
    // A trust policy has no Resource element: it is about the role it is attached to.
    return sl_policy_allows(trust, &request)
               ? 0
               : sl_fail(err, SL_E_INVALID_PARAMETER, "The role defined for the function cannot be assumed by Lambda.");
}

static int check_ranges(struct sl_op *op, struct sl_error *err) {
    // The model's bounds include Lambda Managed Instances; these are the standard functions' (Lambda quotas page).
    int64_t timeout = sl_json_int(op->in, "Timeout", 3), memory = sl_json_int(op->in, "MemorySize", 128);
    if (timeout > 900)
        return sl_fail(err, SL_E_VALIDATION,
                       "1 validation error detected: Value '%lld' at 'timeout' failed to satisfy constraint: Member "
                       "must have value "
                       "less than or equal to 900",
                       (long long)timeout);
    if (memory > 10240)
        return sl_fail(err, SL_E_VALIDATION,
                       "1 validation error detected: Value '%lld' at 'memorySize' failed to satisfy constraint: Member "
                       "must have value "
                       "less than or equal to 10240",
                       (long long)memory);
    return 0;
}

int sl_lambda__settings_check(struct sl_op *op, struct sl_error *err) {
    struct sl_str runtime = sl_op_in(op, "Runtime");
    int result = check_ranges(op, err);
    if (result == 0 && runtime.ptr) result = sl_lambda__runtime_check(op, runtime, err);
    if (result == 0)
        result = sl_lambda__environment_check(op, sl_json_get(sl_json_get(op->in, "Environment"), "Variables"), err);
    if (result == 0) result = sl_lambda__layers_check(op, sl_json_get(op->in, "Layers"), err);
    if (result == 0) result = sl_lambda__foreign_check(op, err);
    return result;
}

// --- the merge
// -----------------------------------------------------------------------------------------------------------------------

static void copy_member(struct sl_op *op, struct sl_json *document, const char *key) {
    const struct sl_json *value = sl_json_get(op->in, key);
    if (value) sl_json_set(document, sl_str_of(key), sl_json_copy(op->arena, value));
}

// Identifies the interpreter that runs the function as AWS identifies a patch release of its own: by a hash.
static void put_runtime(struct sl_op *op, struct sl_json *document, struct sl_str runtime) {
    struct sl_runtime_info info = sl_runtimes_find(runtime);
    struct sl_str name =
        sl_arena_printf(op->arena, "%.*s/%s", SL_FMT(runtime), info.found_version ? info.found_version : "");
    char hash[SL_LAMBDA_SHA_HEX + 1];
    sl_lambda__sha256_hex(name, hash);
    struct sl_str arn =
        sl_arena_printf(op->arena, "arn:%.*s:lambda:%.*s::runtime:%s", SL_FMT(op->partition), SL_FMT(op->region), hash);
    sl_lambda__put(op, document, "Runtime", runtime);
    sl_json_set(document, SL_STR("RuntimeVersionConfig"), sl_lambda__object1(op, "RuntimeVersionArn", arn));
}

// Partial updates merge; going back to Text forgets the levels; JSON has INFO for both unless told [AWS].
static int merge_logging(struct sl_op *op, struct sl_json *document, const struct sl_json *in, struct sl_error *err) {
    struct sl_json *merged = sl_json_copy(op->arena, sl_json_get(document, "LoggingConfig"));
    struct sl_str format = sl_json_string(in, "LogFormat"), group = sl_json_string(in, "LogGroup");
    static const char *const levels[] = {"ApplicationLogLevel", "SystemLogLevel"};
    if (format.len > 0) sl_lambda__put(op, merged, "LogFormat", format);
    if (group.len > 0) sl_lambda__put(op, merged, "LogGroup", group);
    bool json = sl_str_is(sl_json_string(merged, "LogFormat"), "JSON");
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        struct sl_str level = sl_json_string(in, levels[i]);
        if (level.len > 0 && !json)
            return sl_fail(
                err, SL_E_INVALID_PARAMETER,
                "Log Level is not supported when LogFormat is set to \"Text\". Remove log level from your request or "
                "change the LogFormat to \"JSON\" and try again.");
        if (!json)
            sl_json_remove(merged, levels[i]);
        else if (level.len > 0 || !sl_json_get(merged, levels[i]))
            sl_lambda__put(op, merged, levels[i], level.len > 0 ? level : SL_STR("INFO"));
    }
    sl_json_set(document, SL_STR("LoggingConfig"), merged);
    return 0;
}

// Only empty ones come this far (foreign.c): an update that detaches, or a template that always writes the member.
static void put_foreign(struct sl_op *op, struct sl_json *document) {
    if (sl_json_get(op->in, "VpcConfig")) {
        struct sl_json *vpc = sl_json_new_object(op->arena);
        sl_json_set(vpc, SL_STR("SubnetIds"), sl_json_new_array(op->arena));
        sl_json_set(vpc, SL_STR("SecurityGroupIds"), sl_json_new_array(op->arena));
        sl_lambda__put(op, vpc, "VpcId", SL_STR(""));
        sl_json_put_bool(op->arena, vpc, "Ipv6AllowedForDualStack", false);
        sl_json_set(document, SL_STR("VpcConfig"), vpc);
    }
}

// An empty list takes the layers away.
static void put_layers(struct sl_op *op, struct sl_json *document) {
    const struct sl_lambda__work *work = op->state;
    if (!sl_json_get(op->in, "Layers")) return;
    sl_json_remove(document, "Layers");
    sl_json_remove(document, "_layers");
    if (!work || !work->layer_list) return;
    sl_json_set(document, SL_STR("Layers"), work->layer_list);
    sl_lambda__put(op, document, "_layers", sl_arena_dup(op->arena, sl_str_of(work->layers.sha256)));
}

// What SnapStart does not go with ("Supported features and limitations", Lambda developer guide).
static int check_snap_start(const struct sl_json *document, struct sl_error *err) {
    static const enum sl_language languages[] = {SL_LANGUAGE_PYTHON, SL_LANGUAGE_JAVA, SL_LANGUAGE_DOTNET};
    struct sl_str runtime = sl_json_string(document, "Runtime");
    if (!sl_str_is(sl_json_string(sl_json_get(document, "SnapStart"), "ApplyOn"), "PublishedVersions")) return 0;
    if (runtime.len == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "SnapStart is not supported for functions with PackageType Image.");
    enum sl_language language = sl_runtimes_find(runtime).language;
    bool supported = false;
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
        supported = supported || language == languages[i];
    if (!supported || sl_str_is(runtime, "java8.al2"))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "%.*s is not supported for SnapStart enabled functions.",
                       SL_FMT(runtime));
    if (sl_json_int(sl_json_get(document, "EphemeralStorage"), "Size", 512) > 512)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "SnapStart is not supported for functions with more than 512 MB of ephemeral storage.");
    const struct sl_json *files = sl_json_get(document, "FileSystemConfigs");
    if (files && files->count > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "SnapStart is not supported for functions with file systems.");
    return 0;
}

int sl_lambda__settings_apply(struct sl_op *op, struct sl_json *document, struct sl_error *err) {
    static const char *const plain[] = {"Role", "Handler", "Description", "Timeout", "MemorySize", "EphemeralStorage"};
    struct sl_str role = sl_op_in(op, "Role"), runtime = sl_op_in(op, "Runtime");
    int result = role.ptr ? sl_lambda__role_check(op, role, err) : 0;
    if (result != 0) return result;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) copy_member(op, document, plain[i]);
    if (runtime.ptr) put_runtime(op, document, runtime);
    const struct sl_json *environment = sl_json_get(op->in, "Environment");
    if (environment) {
        const struct sl_json *variables = sl_json_get(environment, "Variables");
        struct sl_json *shown = sl_json_new_object(op->arena);
        sl_json_set(shown, SL_STR("Variables"),
                    variables ? sl_json_copy(op->arena, variables) : sl_json_new_object(op->arena));
        sl_json_set(document, SL_STR("Environment"), shown);
    }
    const struct sl_json *tracing = sl_json_get(op->in, "TracingConfig"), *snap = sl_json_get(op->in, "SnapStart");
    if (sl_json_string(tracing, "Mode").len > 0)
        sl_json_set(document, SL_STR("TracingConfig"), sl_lambda__object1(op, "Mode", sl_json_string(tracing, "Mode")));
    if (sl_str_is(sl_json_string(snap, "ApplyOn"), "PublishedVersions") &&
        sl_lambda__refuse_tenancy(document, "SnapStart is", err))
        return err->kind;
    if (sl_json_string(snap, "ApplyOn").len > 0) {
        struct sl_json *shown = sl_lambda__object1(op, "ApplyOn", sl_json_string(snap, "ApplyOn"));
        sl_lambda__put(op, shown, "OptimizationStatus", SL_STR("Off"));
        sl_json_set(document, SL_STR("SnapStart"), shown);
    }
    put_foreign(op, document);
    if (check_snap_start(document, err)) return err->kind;
    result = sl_lambda__put_dead_letter(op, document, err);
    if (result != 0) return result;
    put_layers(op, document);
    const struct sl_json *logging = sl_json_get(op->in, "LoggingConfig");
    return logging ? merge_logging(op, document, logging, err) : 0;
}
