// SPDX-License-Identifier: Apache-2.0
//
// publish: from stored documents to what the data plane runs. A description of a version (struct sl_function) is made
// of four documents: the version's, the function's ($LATEST: concurrency), and its policy and URL. It is built inside
// the operation's transaction, where the documents are at hand and consistent, into the operation's arena, and given to
// invoke/ after the commit.
//
// Threads: stage in `run` (storage thread), publish on the storage thread after the commit, discard on a loop thread,
// sl_lambda_load at start, before any of them.
#include "lambda/internal.h"

#include "base/log.h"
#include "invoke/alias.h"
#include "lambda/image.h"
#include "lambda/lambda.h"

struct sl_lambda__change {
    struct sl_lambda__change *next;
    bool remove;
    bool is_alias;
    struct sl_alias alias;       // is_alias; of a removal: the face's account, region, name, version
    struct sl_function function; // of a removal: account, region, name, version
};

struct sl_lambda__work *sl_lambda__work(struct sl_op *op) {
    if (!op->state) {
        struct sl_lambda__work *work = sl_arena_zalloc(op->arena, sizeof(*work));
        if (work) work->tail = &work->changes;
        op->state = work;
    }
    return op->state;
}

// --- building
// ------------------------------------------------------------------------------------------------------------------------

// What building needs, in an operation and at start alike.
struct source {
    struct sl_store_tx *tx;
    struct sl_arena *arena;
    struct sl_str account, region;
};

static struct sl_str text_of(struct sl_arena *arena, const struct sl_json *node) {
    return node ? sl_json_text(arena, node, 1u << 20) : SL_STR("");
}

// A child document of the function, or NULL when there is none.
static int child(const struct source *source, const char *kind, struct sl_str name, struct sl_str qualifier,
                 struct sl_json **ret, struct sl_error *err) {
    const struct sl_key key = {
        .kind = kind, .account = source->account, .region = source->region, .parent = name, .id = qualifier};
    *ret = NULL;
    int result = sl_store_get(source->tx, source->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

static int put_environment(struct sl_arena *arena, const struct sl_json *document, struct sl_function *function,
                           struct sl_error *err) {
    const struct sl_json *variables = sl_json_get(sl_json_get(document, "Environment"), "Variables");
    if (!variables || variables->count == 0) return 0;
    function->environment = sl_arena_alloc(arena, sizeof(*function->environment) * variables->count);
    if (!function->environment) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a function's environment");
    for (const struct sl_json *node = variables->first; node; node = node->next)
        function->environment[function->environment_count++] =
            sl_arena_printf(arena, "%.*s=%.*s", SL_FMT(node->key), SL_FMT(node->text));
    return 0;
}

static struct sl_str string_or(const struct sl_json *object, const char *key, struct sl_str fallback) {
    struct sl_str value = sl_json_string(object, key);
    return value.ptr ? value : fallback;
}

// ARN without a version: a version's document has its own.
static struct sl_str unqualified(struct sl_str arn) {
    unsigned colons = 0;
    for (size_t i = 0; i < arn.len; i++)
        if (arn.ptr[i] == ':' && ++colons == 7) return sl_str_sub(arn, 0, i);
    return arn;
}

static int put_event_limits(const struct source *source, struct sl_function *function, struct sl_error *err) {
    struct sl_json *events;
    int result = child(source, "lambda.event_config", function->name, function->version, &events, err);
    int64_t retries = sl_json_int(events, "MaximumRetryAttempts", -1);
    function->event_attempts = retries < 0 ? 0 : (unsigned)retries + 1;
    function->event_age_s = (unsigned)sl_json_int(events, "MaximumEventAgeInSeconds", 0);
    const struct sl_json *destinations = sl_json_get(events, "DestinationConfig");
    function->on_success = string_or(sl_json_get(destinations, "OnSuccess"), "Destination", SL_STR(""));
    function->on_failure = string_or(sl_json_get(destinations, "OnFailure"), "Destination", SL_STR(""));
    return result;
}

// Settings that AWS has no member for are tags of the function: sluice:single-use, sluice:idle-seconds and
// sluice:max-age-seconds (docs/scaling.md). Values that make no sense are as if they were not there.
static unsigned seconds_tag(const struct sl_json *tags, const char *name) {
    int64_t value;
    bool good = sl_str_to_i64(sl_json_string(tags, name), &value) && value > 0 && value <= 30 * 86400;
    return good ? (unsigned)value : 0;
}

static void put_tags(const struct sl_json *latest, struct sl_function *function) {
    const struct sl_json *tags = sl_json_get(latest, "_tags");
    function->single_use = sl_str_is(sl_json_string(tags, "sluice:single-use"), "true");
    function->idle_s = seconds_tag(tags, "sluice:idle-seconds");
    function->max_age_s = seconds_tag(tags, "sluice:max-age-seconds");
}

// ---- provisioned concurrency

// Of so many for an alias, those of one of its versions: the second one's share is rounded up, the first has the rest.
int64_t sl_lambda__alias_share(const struct sl_json *alias, struct sl_str version, int64_t count) {
    const struct sl_json *weights = sl_json_get(sl_json_get(alias, "RoutingConfig"), "AdditionalVersionWeights");
    double weight = 0;
    bool routed = weights && weights->count > 0 && sl_json_to_double(weights->first, &weight);
    int64_t second = (int64_t)((double)count * weight);
    if ((double)second < (double)count * weight) second++;
    if (routed && sl_str_eq(weights->first->key, version)) return second;
    return sl_str_eq(sl_json_string(alias, "FunctionVersion"), version) ? count - second : 0;
}

static int add_provisioned(const struct source *source, const struct sl_json *item, struct sl_function *function,
                           struct sl_error *err) {
    struct sl_str qualifier = sl_json_string(item, "id");
    int64_t count = sl_json_int(sl_json_get(item, "doc"), "RequestedProvisionedConcurrentExecutions", 0);
    struct sl_json *alias = NULL;
    if (!sl_str_eq(qualifier, function->version)) {
        int result = child(source, "lambda.alias", function->name, qualifier, &alias, err);
        if (result != 0) return result;
        count = alias ? sl_lambda__alias_share(alias, function->version, count) : 0;
    }
    function->provisioned += (unsigned)count;
    return 0;
}

// A version keeps what its own configuration asks for, and what those of its aliases do.
static int put_provisioned(const struct source *source, struct sl_function *function, struct sl_error *err) {
    const struct sl_key all = {
        .kind = "lambda.provisioned", .account = source->account, .region = source->region, .parent = function->name};
    struct sl_str after = SL_STR("");
    int result = 0;
    if (sl_lambda__is_latest(function->version)) return 0;
    for (bool more = true; more && result == 0;) {
        struct sl_json *page;
        result = sl_store_list(source->tx, source->arena, &all, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
            after = sl_json_string(item, "id");
            result = add_provisioned(source, item, function, err);
        }
    }
    return result;
}

static struct sl_str architecture_of(const struct sl_json *document) {
    const struct sl_json *list = sl_json_get(document, "Architectures");
    return list && list->count ? list->first->text : SL_STR("x86_64");
}

static int put_recursion(const struct source *source, struct sl_function *function, struct sl_error *err) {
    struct sl_json *document;
    int result = child(source, "lambda.recursion", function->name, SL_STR("$LATEST"), &document, err);
    function->loops_allowed = sl_str_is(sl_json_string(document, "RecursiveLoop"), "Allow");
    return result;
}

static int build(const struct source *source, const struct sl_json *latest, const struct sl_json *document,
                 struct sl_function *ret, struct sl_error *err) {
    struct sl_str name = sl_json_string(document, "FunctionName"), version = sl_json_string(document, "Version");
    struct sl_json *policy, *url;
    int result = child(source, "lambda.policy", name, version, &policy, err);
    if (result == 0) result = child(source, "lambda.url", name, version, &url, err);
    if (result != 0) return result;
    const struct sl_json *logging = sl_json_get(document, "LoggingConfig");
    struct sl_function function = {
        .account = source->account,
        .region = source->region,
        .name = name,
        .version = version,
        .arn = unqualified(sl_json_string(document, "FunctionArn")),
        .runtime = sl_json_string(document, "Runtime"),
        .handler = string_or(document, "Handler", SL_STR("")),
        .role = sl_json_string(document, "Role"),
        .code_sha256 = sl_json_string(document, "_code"),
        .code_path = string_or(document, "_hot", SL_STR("")),
        .layers_sha256 = string_or(document, "_layers", SL_STR("")),
        .memory_mb = (unsigned)sl_json_int(document, "MemorySize", 128),
        .timeout_ms = (unsigned)sl_json_int(document, "Timeout", 3) * 1000,
        .tmp_mb = (unsigned)sl_json_int(sl_json_get(document, "EphemeralStorage"), "Size", 512),
        .log_format = string_or(logging, "LogFormat", SL_STR("Text")),
        .log_level = string_or(logging, "ApplicationLogLevel", SL_STR("")),
        .log_group = string_or(logging, "LogGroup", SL_STR("")),
        .policy = text_of(source->arena, sl_json_get(policy, "Policy")),
        .url_id = string_or(url, "_id", SL_STR("")),
        .url_auth = string_or(url, "AuthType", SL_STR("")),
        .url_cors = text_of(source->arena, sl_json_get(url, "Cors")),
        .url_streams = sl_str_is(sl_json_string(url, "InvokeMode"), "RESPONSE_STREAM"),
        .reserved_concurrency = sl_json_int(latest, "_concurrency", -1),
        .architecture = architecture_of(document),
        .failed = sl_str_is(sl_json_string(document, "State"), "Failed"),
        .ready_ms = sl_lambda__pending_until(document),
        .per_tenant = sl_json_get(document, "TenancyConfig") != NULL,
        .snap_start = sl_lambda__snap_starts(document),
        .dead_letter = string_or(sl_json_get(document, "DeadLetterConfig"), "TargetArn", SL_STR("")),
    };
    put_tags(latest, &function);
    result = put_environment(source->arena, document, &function, err);
    if (result == 0 && sl_json_get(document, "_image"))
        result = sl_lambda__image_build(source->arena, document, &function, err);
    if (result == 0) result = put_event_limits(source, &function, err);
    if (result == 0) result = put_recursion(source, &function, err);
    if (result == 0) result = put_provisioned(source, &function, err);
    if (result == 0 && sl_arena_failed(source->arena))
        result = sl_fail(err, SL_E_NO_MEMORY, "out of memory for a function's description");
    if (result == 0) *ret = function;
    return result;
}

static int build_alias(const struct source *source, struct sl_str name, const struct sl_json *document,
                       struct sl_alias *ret, struct sl_error *err) {
    struct sl_str alias = sl_json_string(document, "Name");
    struct sl_json *policy, *url;
    int result = child(source, "lambda.policy", name, alias, &policy, err);
    if (result == 0) result = child(source, "lambda.url", name, alias, &url, err);
    if (result != 0) return result;
    const struct sl_json *weights = sl_json_get(sl_json_get(document, "RoutingConfig"), "AdditionalVersionWeights");
    *ret = (struct sl_alias){
        .face =
            {
                .account = source->account,
                .region = source->region,
                .name = name,
                .version = alias,
                .arn = sl_json_string(document, "AliasArn"),
                .policy = text_of(source->arena, sl_json_get(policy, "Policy")),
                .url_id = string_or(url, "_id", SL_STR("")),
                .url_auth = string_or(url, "AuthType", SL_STR("")),
                .url_cors = text_of(source->arena, sl_json_get(url, "Cors")),
                .url_streams = sl_str_is(sl_json_string(url, "InvokeMode"), "RESPONSE_STREAM"),
            },
        .versions = {sl_json_string(document, "FunctionVersion"), SL_STR("")},
    };
    if (weights && weights->count > 0 && sl_json_to_double(weights->first, &ret->weight))
        ret->versions[1] = weights->first->key;
    return put_event_limits(source, &ret->face, err);
}

// --- staging and publishing
// ------------------------------------------------------------------------------------------------------------

static struct sl_lambda__change *add_change(struct sl_op *op) {
    struct sl_lambda__work *work = sl_lambda__work(op);
    struct sl_lambda__change *change = work ? sl_arena_zalloc(op->arena, sizeof(*change)) : NULL;
    if (change) {
        *work->tail = change;
        work->tail = &change->next;
    }
    return change;
}

static int stage_with(struct sl_op *op, const struct sl_json *latest, const struct sl_json *document,
                      struct sl_error *err) {
    struct source source = {.tx = op->tx, .arena = op->arena, .account = op->account, .region = op->region};
    struct sl_function function;
    int result = build(&source, latest, document, &function, err);
    if (result != 0) return result;
    struct sl_lambda__change *change = add_change(op);
    if (!change) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a change of a function");
    function.snap_fresh = function.snap_start;
    change->function = function;
    return 0;
}

int sl_lambda__stage(struct sl_op *op, const struct sl_json *document, struct sl_error *err) {
    struct sl_json *latest;
    const struct sl_key key = sl_lambda__function_key(op, sl_json_string(document, "FunctionName"));
    int result = sl_store_get(op->tx, op->arena, &key, &latest, err);
    return result == 0 ? stage_with(op, latest, document, err) : result;
}

int sl_lambda__stage_all(struct sl_op *op, const struct sl_json *latest, struct sl_error *err) {
    struct sl_str after = SL_STR("");
    int result = stage_with(op, latest, latest, err);
    for (bool more = true; result == 0 && more;) {
        struct sl_json *page;
        result = sl_lambda__version_list(op, sl_json_string(latest, "FunctionName"), after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
            result = stage_with(op, latest, sl_json_get(item, "doc"), err);
            after = sl_json_string(item, "id");
        }
    }
    return result;
}

int sl_lambda__stage_alias(struct sl_op *op, struct sl_str name, struct sl_str alias, struct sl_error *err) {
    struct source source = {.tx = op->tx, .arena = op->arena, .account = op->account, .region = op->region};
    struct sl_json *document;
    struct sl_alias built;
    const struct sl_key key = sl_lambda__alias_key(op, name, alias);
    int result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == 0) result = build_alias(&source, name, document, &built, err);
    if (result != 0) return result;
    struct sl_lambda__change *change = add_change(op);
    if (!change) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a change of an alias");
    change->is_alias = true;
    change->alias = built;
    return 0;
}

void sl_lambda__stage_alias_removal(struct sl_op *op, struct sl_str name, struct sl_str alias) {
    struct sl_lambda__change *change = add_change(op);
    if (!change) return; // as below
    change->remove = change->is_alias = true;
    change->alias.face =
        (struct sl_function){.account = op->account, .region = op->region, .name = name, .version = alias};
}

void sl_lambda__stage_removal(struct sl_op *op, struct sl_str name, struct sl_str version) {
    struct sl_lambda__change *change = add_change(op);
    if (!change) return; // the arena is full: the operation fails when its answer is made
    change->remove = true;
    change->function =
        (struct sl_function){.account = op->account, .region = op->region, .name = name, .version = version};
}

static struct sl_str owner_of(struct sl_arena *arena, const struct sl_function *function) {
    return sl_arena_printf(arena, "%.*s/%.*s/%.*s/%.*s", SL_FMT(function->account), SL_FMT(function->region),
                           SL_FMT(function->name), SL_FMT(function->version));
}

static struct sl_str layers_owner_of(struct sl_arena *arena, const struct sl_function *function) {
    return sl_arena_printf(arena, "%.*s/layers", SL_FMT(owner_of(arena, function)));
}

static void publish_one(struct sl_invoker *invoker, struct sl_arena *arena, const struct sl_function *function) {
    struct sl_error err = {0};
    if (function->code_path.len == 0)
        sl_lambda__code_use(owner_of(arena, function), function->code_sha256);
    else
        sl_lambda__code_unuse(owner_of(arena, function));
    struct sl_str layers = layers_owner_of(arena, function);
    if (function->layers_sha256.len > 0)
        sl_lambda__code_use(layers, function->layers_sha256);
    else
        sl_lambda__code_unuse(layers);
    // The document is committed: a restart publishes it. Until then calls get the version that was there before.
    if (sl_function_publish(invoker, function, &err) != 0)
        sl_log_error("lambda", "%.*s:%.*s is stored but could not be published: %s", SL_FMT(function->arn),
                     SL_FMT(function->version), err.message);
}

static void publish_alias(const struct sl_alias *alias) {
    struct sl_error err = {0};
    if (sl_alias_publish(alias, &err) != 0)
        sl_log_error("lambda", "%.*s is stored but could not be published: %s", SL_FMT(alias->face.arn), err.message);
}

void sl_lambda__publish(struct sl_op *op) {
    struct sl_lambda__work *work = op->state;
    struct sl_app *app = op->app;
    if (!work) return;
    for (const struct sl_lambda__change *change = work->changes; change; change = change->next) {
        const struct sl_function *function = change->is_alias ? &change->alias.face : &change->function;
        if (change->is_alias) {
            if (change->remove)
                sl_alias_remove(function->account, function->region, function->name, function->version);
            else
                publish_alias(&change->alias);
            continue;
        }
        if (!change->remove) {
            publish_one(app->invoker, op->arena, function);
            continue;
        }
        sl_function_remove(app->invoker, function->account, function->region, function->name, function->version);
        sl_lambda__code_unuse(owner_of(op->arena, function));
        sl_lambda__code_unuse(layers_owner_of(op->arena, function));
    }
    sl_lambda__code_unpin(&work->code);
    sl_lambda__code_unpin(&work->layers);
}

void sl_lambda__discard(struct sl_op *op) {
    struct sl_lambda__work *work = op->state;
    if (!work) return;
    sl_lambda__code_unpin(&work->code);
    sl_lambda__code_unpin(&work->layers);
}

// --- at start
// ----------------------------------------------------------------------------------------------------------------------------

// Keys first, documents one by one: a listing holds a statement open, and all documents at once would be a lot of
// memory.
struct load {
    struct sl_store_job job;
    struct sl_app *app;
    struct sl_arena keys;
    struct loaded {
        struct loaded *next;
        struct sl_key key;
    } * first, **tail;
    unsigned published;
};

static int note_key(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    (void)document;
    struct load *load = user;
    struct loaded *loaded = sl_arena_zalloc(&load->keys, sizeof(*loaded));
    if (!loaded) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for the list of functions");
    loaded->key = (struct sl_key){
        .kind = key->kind,
        .account = sl_arena_dup(&load->keys, key->account),
        .region = sl_arena_dup(&load->keys, key->region),
        .parent = sl_arena_dup(&load->keys, key->parent),
        .id = sl_arena_dup(&load->keys, key->id),
    };
    *load->tail = loaded;
    load->tail = &loaded->next;
    return 0;
}

static int load_one(struct load *load, struct sl_store_tx *tx, const char *kind, const struct sl_key *noted,
                    struct sl_arena *arena, struct sl_error *err) {
    struct sl_key key = *noted, latest_key = *noted;
    struct sl_json *document, *latest;
    key.kind = kind;
    latest_key.kind = "lambda.function";
    latest_key.parent = SL_STR("");
    latest_key.id = key.parent.len > 0 ? key.parent : key.id;
    struct source source = {.tx = tx, .arena = arena, .account = key.account, .region = key.region};
    struct sl_function function;
    struct sl_alias alias;
    int result = sl_store_get(tx, arena, &key, &document, err);
    if (result == 0 && strcmp(kind, "lambda.alias") == 0) {
        result = build_alias(&source, key.parent, document, &alias, err);
        if (result == 0) publish_alias(&alias);
        return result;
    }
    if (result == 0) result = sl_store_get(tx, arena, &latest_key, &latest, err);
    if (result == 0) result = build(&source, latest, document, &function, err);
    if (result == 0) {
        publish_one(load->app->invoker, arena, &function);
        load->published++;
    }
    return result;
}

static int own_layer(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    (void)key;
    struct sl_arena *arena = user;
    struct sl_json *document;
    int result = sl_json_parse(arena, text, &document, err);
    if (result == 0)
        sl_lambda__code_use(sl_json_string(document, "LayerVersionArn"), sl_json_string(document, "_code"));
    sl_arena_reset(arena);
    return result;
}

// Layers own their blobs, as versions of functions do.
static int load_layers(struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_arena arena;
    sl_arena_init(&arena, 16u << 20);
    int result = sl_store_each(tx, "lambda.layer_version", own_layer, &arena, err);
    sl_arena_free(&arena);
    return result;
}

static int load_kind(struct load *load, struct sl_store_tx *tx, const char *kind, struct sl_error *err) {
    load->first = NULL;
    load->tail = &load->first;
    int result = sl_store_each(tx, kind, note_key, load, err);
    struct sl_arena arena;
    sl_arena_init(&arena, 16u << 20);
    for (const struct loaded *loaded = load->first; loaded && result == 0; loaded = loaded->next) {
        struct sl_error one = {0};
        if (load_one(load, tx, kind, &loaded->key, &arena, &one) != 0)
            sl_log_error("lambda", "cannot load %s %.*s/%.*s: %s", kind, SL_FMT(loaded->key.parent),
                         SL_FMT(loaded->key.id), one.message);
        sl_arena_reset(&arena);
    }
    sl_arena_free(&arena);
    return result;
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct load *load = SL_CONTAINER(job, struct load, job);
    int result = load_kind(load, tx, "lambda.function", err);
    if (result == 0) result = load_kind(load, tx, "lambda.version", err);
    if (result == 0) result = load_kind(load, tx, "lambda.alias", err);
    if (result == 0) result = load_layers(tx, err);
    return result == 0 ? sl_lambda__totals_load(tx, err) : result;
}

int sl_lambda_load(struct sl_app *app, struct sl_error *err) {
    struct load load = {.job = {.run = load_run}, .app = app};
    sl_arena_init(&load.keys, 256u << 20);
    int result = sl_store_run(app->store, &load.job, err);
    sl_arena_free(&load.keys);
    if (result != 0) return result;
    sl_lambda__code_sweep(app->store, 0);
    if (load.published > 0) sl_log_info("lambda", "%u function versions are ready", load.published);
    return 0;
}
