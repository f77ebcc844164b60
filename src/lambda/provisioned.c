// SPDX-License-Identifier: Apache-2.0
//
// provisioned: Put-, Get-, Delete- and ListProvisionedConcurrencyConfig(s). What is asked for is a document; a change
// of it publishes the function's versions anew, each with the number of instances that it is to keep ready (publish.c),
// and invoke/ keeps them. Counts and status are the engine's, asked for when they are read.
#include "lambda/internal.h"

#include "aws/page.h"
#include "base/clock.h"
#include "invoke/engine.h"

// The alias or version that the request names; *ret_alias is NULL for a version.
static int load_subject(struct sl_op *op, struct sl_lambda__target *target, const char *latest_refused,
                        struct sl_json **ret_alias, struct sl_error *err) {
    int result = sl_lambda__target(op, target, err);
    *ret_alias = NULL;
    if (result != 0) return result;
    if (sl_lambda__is_latest(target->qualifier)) return sl_fail(err, SL_E_INVALID_PARAMETER, "%s", latest_refused);
    struct sl_str arn = sl_lambda__qualified_arn(op, target, target->qualifier);
    if (sl_lambda__is_alias(target->qualifier)) {
        result = sl_lambda__load_alias(op, target->name, target->qualifier, ret_alias, err);
        if (result == 0 && !*ret_alias)
            return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Cannot find alias arn: %.*s", SL_FMT(arn));
        return result;
    }
    const struct sl_key key = sl_lambda__version_key(op, target->name, target->qualifier);
    return sl_store_has(op->tx, &key) ? 0 : sl_lambda__not_found(op, target, target->qualifier, err);
}

#define MUST_BE_PUBLISHED "The function resource provided must be an alias or a published version."

// An alias and the version that it leads to cannot both have a configuration.
static int check_conflict(struct sl_op *op, const struct sl_lambda__target *target, const struct sl_json *alias,
                          struct sl_error *err) {
    struct sl_json *page;
    struct sl_str after = SL_STR("");
    int result = 0;
    if (alias) {
        const struct sl_key version =
            sl_lambda__provisioned_key(op, target->name, sl_json_string(alias, "FunctionVersion"));
        if (!sl_store_has(op->tx, &version)) return 0;
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
                       "version");
    }
    const struct sl_key all = sl_lambda__provisioned_key(op, target->name, SL_STR(""));
    for (bool more = true; more && result == 0;) {
        result = sl_store_list(op->tx, op->arena, &all, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
            struct sl_json *other = NULL;
            after = sl_json_string(item, "id");
            if (sl_lambda__is_alias(after)) result = sl_lambda__load_alias(op, target->name, after, &other, err);
            if (result == 0 && other && sl_str_eq(sl_json_string(other, "FunctionVersion"), target->qualifier))
                result = sl_fail(err, SL_E_RESOURCE_CONFLICT, "Version is pointed by a Provisioned Concurrency alias");
        }
    }
    return result;
}

int sl_lambda__provisioned_total(struct sl_op *op, struct sl_str name, struct sl_str except, int64_t *ret,
                                 struct sl_error *err) {
    const struct sl_key all = sl_lambda__provisioned_key(op, name, SL_STR(""));
    struct sl_json *page;
    struct sl_str after = SL_STR("");
    int result = 0;
    *ret = 0;
    for (bool more = true; more && result == 0;) {
        result = sl_store_list(op->tx, op->arena, &all, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            after = sl_json_string(item, "id");
            if (!sl_str_eq(after, except))
                *ret += sl_json_int(sl_json_get(item, "doc"), "RequestedProvisionedConcurrentExecutions", 0);
        }
    }
    return result;
}

// The provisioned configurations of an account's functions in a region, but of one function.
struct others {
    struct sl_op *op;
    struct sl_str except;
    struct other {
        struct other *next;
        struct sl_str function;
        int64_t count;
    } * first;
};

static int note_other(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    struct others *others = user;
    struct sl_op *op = others->op;
    struct sl_json *document;
    if (!sl_str_eq(key->account, op->account) || !sl_str_eq(key->region, op->region) ||
        sl_str_eq(key->parent, others->except))
        return 0;
    struct other *other = sl_arena_zalloc(op->arena, sizeof(*other));
    if (!other) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for provisioned concurrency");
    int result = sl_json_parse(op->arena, text, &document, err);
    if (result != 0) return result;
    other->function = sl_arena_dup(op->arena, key->parent);
    other->count = sl_json_int(document, "RequestedProvisionedConcurrentExecutions", 0);
    other->next = others->first;
    others->first = other;
    return 0;
}

// A reservation holds what its function provisions: that of the others comes on top.
int sl_lambda__committed(struct sl_op *op, struct sl_str except, int64_t *ret, struct sl_error *err) {
    struct others others = {.op = op, .except = except};
    struct sl_lambda__totals totals;
    int result = sl_lambda__totals(op, except, &totals, err);
    if (result == 0) result = sl_store_each(op->tx, "lambda.provisioned", note_other, &others, err);
    *ret = result == 0 ? totals.reserved : 0;
    for (const struct other *other = others.first; other && result == 0; other = other->next) {
        const struct sl_key key = sl_lambda__function_key(op, other->function);
        struct sl_json *function;
        result = sl_store_get(op->tx, op->arena, &key, &function, err);
        if (result == 0 && !sl_json_get(function, "_concurrency")) *ret += other->count;
    }
    return result;
}

// A function with a reservation provisions out of it, others out of what the account has left.
static int check_limits(struct sl_op *op, const struct sl_lambda__target *target, int64_t wanted,
                        struct sl_error *err) {
    struct sl_json *latest;
    int64_t others, reserved, committed;
    int result = sl_lambda__load(op, target, &latest, err);
    if (result == 0) result = sl_lambda__refuse_tenancy(latest, "Provisioned concurrency is", err);
    if (result == 0 && sl_str_is(sl_json_string(sl_json_get(latest, "SnapStart"), "ApplyOn"), "PublishedVersions"))
        result = sl_fail(err, SL_E_INVALID_PARAMETER,
                         "Provisioned Concurrency is not supported for functions with SnapStart enabled.");
    if (result == 0) result = sl_lambda__provisioned_total(op, target->name, target->qualifier, &others, err);
    if (result != 0) return result;
    reserved = sl_json_int(latest, "_concurrency", -1);
    if (reserved >= 0 && wanted + others > reserved)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Requested Provisioned Concurrency should not be greater than the "
                       "reservedConcurrentExecution for function");
    if (reserved >= 0) return 0;
    result = sl_lambda__committed(op, target->name, &committed, err);
    int64_t unreserved = sl_lambda__concurrency(op) - committed - others;
    if (result != 0) return result;
    if (wanted > unreserved)
        return sl_lambda__fail_untyped(
            op, err, SL_E_INVALID_PARAMETER,
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
            "[%lld].",
            (long long)unreserved);
    if (wanted > unreserved - SL_LAMBDA_UNRESERVED_MIN)
        return sl_lambda__fail_untyped(
            op, err, SL_E_INVALID_PARAMETER,
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            "below its minimum value of [%d].",
            SL_LAMBDA_UNRESERVED_MIN);
    return 0;
}

// What the engine keeps of one version, of so many that are wanted of it.
static void add_kept(struct sl_op *op, struct sl_str name, struct sl_str version, int64_t wanted, int64_t *ready,
                     const char **failure) {
    const struct sl_app *app = op->app;
    struct sl_provisioned kept;
    if (!sl_invoker_provisioned(app->invoker, op->account, op->region, name, version, &kept)) return;
    *ready += kept.ready < wanted ? kept.ready : wanted;
    if (kept.failure) *failure = kept.failure;
}

// The counts as they are now. A configuration of two weighted versions counts both.
static int put_counts(struct sl_op *op, struct sl_str name, struct sl_str qualifier, struct sl_json *document,
                      struct sl_error *err) {
    int64_t wanted = sl_json_int(document, "RequestedProvisionedConcurrentExecutions", 0), ready = 0;
    const char *failure = NULL;
    struct sl_json *alias = NULL;
    int result = 0;
    if (sl_lambda__is_alias(qualifier)) result = sl_lambda__load_alias(op, name, qualifier, &alias, err);
    if (result != 0) return result;
    const struct sl_json *weights = sl_json_get(sl_json_get(alias, "RoutingConfig"), "AdditionalVersionWeights");
    struct sl_str versions[2] = {alias ? sl_json_string(alias, "FunctionVersion") : qualifier, SL_STR("")};
    if (weights && weights->count > 0) versions[1] = weights->first->key;
    for (unsigned i = 0; i < 2 && versions[i].len > 0; i++) {
        int64_t share = alias ? sl_lambda__alias_share(alias, versions[i], wanted) : wanted;
        add_kept(op, name, versions[i], share, &ready, &failure);
    }
    const char *status = ready >= wanted ? "READY" : failure ? "FAILED" : "IN_PROGRESS";
    sl_json_put_int(op->arena, document, "AllocatedProvisionedConcurrentExecutions", ready);
    sl_json_put_int(op->arena, document, "AvailableProvisionedConcurrentExecutions", ready);
    sl_lambda__put(op, document, "Status", sl_str_of(status));
    if (ready < wanted && failure) sl_lambda__put(op, document, "StatusReason", sl_str_of(failure));
    return 0;
}

// The function's versions are published with what they are to keep now.
static int stage(struct sl_op *op, const struct sl_lambda__target *target, struct sl_error *err) {
    struct sl_json *latest;
    int result = sl_lambda__load(op, target, &latest, err);
    return result == 0 ? sl_lambda__stage_all(op, latest, err) : result;
}

int sl_lambda__put_provisioned(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias;
    int64_t wanted = sl_json_int(op->in, "ProvisionedConcurrentExecutions", 0);
    int result =
        load_subject(op, &target, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
                     &alias, err);
    if (result == 0) result = check_conflict(op, &target, alias, err);
    if (result == 0) result = check_limits(op, &target, wanted, err);
    if (result != 0) return result;
    char time[SL_TIME_LAMBDA];
    sl_time_lambda(op->now_ms, time);
    struct sl_json *document = sl_json_new_object(op->arena);
    sl_lambda__put(op, document, "FunctionArn", sl_lambda__qualified_arn(op, &target, target.qualifier));
    sl_lambda__put(op, document, "LastModified", sl_arena_dup(op->arena, sl_str_of(time)));
    sl_json_put_int(op->arena, document, "RequestedProvisionedConcurrentExecutions", wanted);
    const struct sl_key key = sl_lambda__provisioned_key(op, target.name, target.qualifier);
    result = sl_store_put(op->tx, &key, document, err);
    if (result == 0) result = stage(op, &target, err);
    if (result != 0) return result;
    op->out = sl_json_copy(op->arena, document);
    sl_json_put_int(op->arena, op->out, "AllocatedProvisionedConcurrentExecutions", 0);
    sl_json_put_int(op->arena, op->out, "AvailableProvisionedConcurrentExecutions", 0);
    sl_lambda__put(op, op->out, "Status", SL_STR("IN_PROGRESS"));
    return 0;
}

int sl_lambda__get_provisioned(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias, *document;
    int result = load_subject(op, &target, MUST_BE_PUBLISHED, &alias, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__provisioned_key(op, target.name, target.qualifier);
    result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_PROVISIONED_NOT_FOUND, "No Provisioned Concurrency Config found for this function");
    if (result == 0) op->out = document;
    return result == 0 ? put_counts(op, target.name, target.qualifier, document, err) : result;
}

// One that is not there is already deleted [AWS].
int sl_lambda__delete_provisioned(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias;
    int result = load_subject(op, &target, MUST_BE_PUBLISHED, &alias, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__provisioned_key(op, target.name, target.qualifier);
    bool existed = false;
    result = sl_store_delete(op->tx, &key, &existed, err);
    return result == 0 && existed ? stage(op, &target, err) : result;
}

int sl_lambda__list_provisioned(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *page, *configs = sl_json_new_array(op->arena);
    struct sl_str marker = sl_op_in(op, "Marker"), after = SL_STR("");
    bool more = false;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    struct sl_str scope = sl_page_scope(op, target.name);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    const struct sl_key key = sl_lambda__provisioned_key(op, target.name, SL_STR(""));
    result = sl_store_list(op->tx, op->arena, &key, after,
                           (unsigned)sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX), &page, &more, err);
    for (const struct sl_json *item = result == 0 ? page->first : NULL; item && result == 0; item = item->next) {
        struct sl_json *config = sl_json_copy(op->arena, sl_json_get(item, "doc"));
        after = sl_json_string(item, "id");
        result = put_counts(op, target.name, after, config, err);
        sl_json_push(configs, config);
    }
    sl_json_set(op->out, SL_STR("ProvisionedConcurrencyConfigs"), configs);
    if (result == 0 && more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return result;
}
