// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of lambda/ share. Documents (sl_store_put) of this folder:
//
//   kind               parent      id                what
//   lambda.function    ""          name              FunctionConfiguration of $LATEST + "_code" (SHA-256 in hex)
//                                                    or "_hot" (see hot.c), "_tags",
//                                                    "_concurrency", "_last_version", "_published" (fingerprint, see
//                                                    version.c)
//   lambda.version     name        %010d of number   FunctionConfiguration of that version + "_code"
//   lambda.alias       name        name of it        AliasConfiguration
//   lambda.policy      name        qualifier         {"Policy": {...}, "RevisionId": ...}; "$LATEST" for the
//   unqualified function lambda.url         name        qualifier         FunctionUrlConfig + "_id"
//
//   lambda.event_config name        qualifier         FunctionEventInvokeConfig
//   lambda.provisioned  name        qualifier         ProvisionedConcurrencyConfig
//   lambda.recursion    name        "$LATEST"         {"RecursiveLoop"}
//   lambda.runtime_management name  qualifier         what GetRuntimeManagementConfig answers
//   lambda.code_signing ""          id                CodeSigningConfig + "_tags" (see code_signing.c)
//   lambda.layer        ""          name              {"_last": number of its newest version, "_tags"}
//   lambda.layer_version name       counts down       LayerVersion as GetLayerVersion answers it + "_code"
//   lambda.layer_policy  name       as its version    as lambda.policy
//
// All `run` helpers need op->tx. Texts in comments marked [AWS] are recorded answers.
#ifndef SL_LAMBDA_INTERNAL_H
#define SL_LAMBDA_INTERNAL_H

#include "aws/app.h"
#include "aws/arn.h"
#include "aws/op.h"
#include "invoke/invoke.h"
#include "store/store.h"

enum {
    SL_LAMBDA_NAME_MAX = 64,
    SL_LAMBDA_ZIP_MAX = 52428800,       // "Zipped size must be smaller than 52428800 bytes" [AWS]
    SL_LAMBDA_UNZIPPED_MAX = 262144000, // GetAccountSettings; sl_unzip enforces it
    SL_LAMBDA_ENVIRONMENT_MAX = 4096,   // Lambda quotas page: 4 KB, aggregate
    SL_LAMBDA_POLICY_MAX = 20480,       // Lambda quotas page: 20 KB
    SL_LAMBDA_TAGS_MAX = 50,
    SL_LAMBDA_LAYERS_MAX = 5,
    SL_LAMBDA_LIST_MAX = 50,        // ListFunctions returns at most 50 whatever MaxItems says (API reference)
    SL_LAMBDA_UNRESERVED_MIN = 100, // must stay unreserved
    SL_LAMBDA_SHA_HEX = 64,
};
#define SL_LAMBDA_TOTAL_CODE_MAX                                                                                       \
    80530636800LL // 75 GiB per region (Lambda quotas page; GetAccountSettings answers this number)

// --- target.c: which function an operation is about
// -------------------------------------------------------------------------------
struct sl_lambda__target {
    struct sl_str name;
    struct sl_str qualifier; // from the name or the Qualifier member; ptr NULL when neither has one
    struct sl_str arn;       // unqualified
};
// Reads FunctionName and, if the operation has it, Qualifier. Refuses other regions and accounts, and contradicting
// qualifiers.
int sl_lambda__target(struct sl_op *op, struct sl_lambda__target *ret, struct sl_error *err);
// The same for operations that AWS allows on whole functions only.
int sl_lambda__target_unqualified(struct sl_op *op, struct sl_lambda__target *ret, struct sl_error *err);
struct sl_str sl_lambda__qualified_arn(struct sl_op *op, const struct sl_lambda__target *target,
                                       struct sl_str qualifier);
// 404 "Function not found: <arn>[:<qualifier>]"; an empty qualifier is left out.
int sl_lambda__not_found(struct sl_op *op, const struct sl_lambda__target *target, struct sl_str qualifier,
                         struct sl_error *err);
bool sl_lambda__is_number(struct sl_str qualifier);
bool sl_lambda__is_latest(struct sl_str qualifier); // absent or "$LATEST"
bool sl_lambda__is_alias(struct sl_str qualifier);  // has the form of an alias's name

// The refusals that AWS answers without its member "Type" [AWS].
int sl_lambda__fail_untyped(struct sl_op *op, struct sl_error *err, int kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// --- keys and documents (document.c)
// ----------------------------------------------------------------------------------------------
struct sl_key sl_lambda__function_key(struct sl_op *op, struct sl_str name);
struct sl_key sl_lambda__version_key(struct sl_op *op, struct sl_str name, struct sl_str version); // "" for listings
struct sl_key sl_lambda__alias_key(struct sl_op *op, struct sl_str name, struct sl_str alias);     // "" for listings
struct sl_key sl_lambda__event_config_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier);
struct sl_key sl_lambda__provisioned_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier);
struct sl_key sl_lambda__recursion_key(struct sl_op *op, struct sl_str name);
struct sl_key sl_lambda__event_source_key(struct sl_op *op, struct sl_str id);
struct sl_key sl_lambda__runtime_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier);
struct sl_key sl_lambda__policy_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier);
struct sl_key sl_lambda__url_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier);
// $LATEST's document, 404 without a qualifier in the text when there is none.
int sl_lambda__load(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                    struct sl_error *err);
// The document the qualifier names; 404 with the qualifier in the text. FunctionArn is qualified iff the target is, as
// AWS does.
int sl_lambda__load_qualified(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                              struct sl_error *err);
void sl_lambda__new_revision(struct sl_op *op, struct sl_json *document);
// Sets LastModified and a new RevisionId.
void sl_lambda__touch(struct sl_op *op, struct sl_json *document);
// 400 when the function serves tenants apart: AWS has no provisioned concurrency, URLs, mappings of event sources for
// them.
int sl_lambda__refuse_tenancy(const struct sl_json *document, const char *feature, struct sl_error *err);
// 412 unless the RevisionId member is absent or the document's.
int sl_lambda__check_revision(struct sl_op *op, const struct sl_json *document, struct sl_error *err);
// A copy as lists show it: without State, LastUpdateStatus, RuntimeVersionConfig [AWS].
struct sl_json *sl_lambda__listed(struct sl_op *op, const struct sl_json *document);
void sl_lambda__put(struct sl_op *op, struct sl_json *object, const char *key, struct sl_str value);
// {"a": text, ...}; the shorthand for the small constant objects of a configuration.
struct sl_json *sl_lambda__object1(struct sl_op *op, const char *key, struct sl_str value);
// Lower-case hexadecimal SHA-256.
void sl_lambda__sha256_hex(struct sl_str bytes, char ret[static SL_LAMBDA_SHA_HEX + 1]);

// --- state.c: Pending, InProgress, Failed, Inactive
// -------------------------------------------------------------------------------------------------------------------
enum sl_lambda__change_kind { SL_LAMBDA_CREATE, SL_LAMBDA_UPDATE };
// Before the document is stored: marks it as changing, if that shall be seen. Returns a copy for the answer.
struct sl_json *sl_lambda__begin_change(struct sl_op *op, struct sl_json *document, enum sl_lambda__change_kind kind);
// After it: the change will not come through. `code` is one of AWS's StateReasonCode.
void sl_lambda__fail_change(struct sl_op *op, struct sl_json *document, enum sl_lambda__change_kind kind,
                            struct sl_str code, struct sl_str reason);
void sl_lambda__forget_change(struct sl_op *op, struct sl_json *document);
// When a function that is being created becomes Active, in milliseconds; 0: it is.
int64_t sl_lambda__pending_until(const struct sl_json *document);
// The document as it is now: itself, or a copy with the state and RevisionId of a change that is not over.
// A published version whose instances are restored from a snapshot.
bool sl_lambda__snap_starts(const struct sl_json *document);
const struct sl_json *sl_lambda__seen(struct sl_op *op, const struct sl_json *document);
// 409 while a change is not over.
int sl_lambda__check_settled(struct sl_op *op, const struct sl_json *document, struct sl_error *err);

// --- code.c: blobs, their life, their download
// ----------------------------------------------------------------------------------
struct sl_lambda__code {
    char sha256[SL_LAMBDA_SHA_HEX + 1]; // hex; empty: the operation brought no code
    struct sl_str sha256_base64;        // as CodeSha256 shows it
    int64_t size;                       // of the zip
    struct sl_str hot_path;             // a folder instead of a package (hot.c); empty: none
    struct sl_str image_uri;            // of a container image (image.c); empty: none
    const struct sl_json *image_config;
    struct sl_str failure; // why the image cannot be unpacked; empty: it is
    bool pinned;
};
// Fills sha256 and sha256_base64.
int sl_lambda__code_hash(struct sl_op *op, struct sl_str bytes, struct sl_lambda__code *ret, struct sl_error *err);
// `prepare` half of an operation that brings code: checks, unpacks, keeps the bytes, pins the blob. Worker thread.
int sl_lambda__code_take(struct sl_op *op, struct sl_str zip, struct sl_lambda__code *ret, struct sl_error *err);
// A directory blob that is not a package: `fill` writes it when there is none named ret->sha256 yet. Pinned likewise.
int sl_lambda__code_make(struct sl_op *op, int (*fill)(void *user, int dir, struct sl_error *err), void *user,
                         struct sl_lambda__code *ret, struct sl_error *err);
void sl_lambda__code_unpin(struct sl_lambda__code *code);
// Which published function uses which blob. `owner` is "account/region/name/version". Any thread.
void sl_lambda__code_use(struct sl_str owner, struct sl_str sha256);
void sl_lambda__code_unuse(struct sl_str owner);
// Deletes blobs without an owner: at start all (`grace_ms` 0), later those that lost theirs longer ago than any
// invocation can last.
void sl_lambda__code_sweep(struct sl_store *store, int64_t grace_ms);
// http://host/_sluice/code/<sha>?token=..., valid for ten minutes.
struct sl_str sl_lambda__code_location(struct sl_op *op, struct sl_str sha256);

// --- hot.c
// Whether the code is to be a folder; then the other half of `prepare` for it.
bool sl_lambda__hot_wanted(struct sl_op *op, const struct sl_json *code);
int sl_lambda__hot_take(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                        struct sl_error *err);

// --- settings.c: the part of a configuration that CreateFunction and UpdateFunctionConfiguration share
// ---------------------------- Checks that need no document and no transaction; any thread.
int sl_lambda__settings_check(struct sl_op *op, struct sl_error *err);
// Writes the members that the request has into the document; op->tx is needed (the role's trust policy).
int sl_lambda__settings_apply(struct sl_op *op, struct sl_json *document, struct sl_error *err);
int sl_lambda__environment_check(struct sl_op *op, const struct sl_json *variables, struct sl_error *err);
int sl_lambda__layers_check(struct sl_op *op, const struct sl_json *layers, struct sl_error *err);
// layer_use.c, the `prepare` half: finds the layers of the request and merges them. Worker thread.
int sl_lambda__layers_take(struct sl_op *op, struct sl_error *err);
// Whether new code fits beside the merged layers (a blob, or empty) that the function has. Worker thread.
int sl_lambda__layers_fit(struct sl_op *op, struct sl_str layers, const struct sl_lambda__code *code,
                          struct sl_error *err);
int sl_lambda__runtime_check(struct sl_op *op, struct sl_str runtime, struct sl_error *err);
int sl_lambda__role_check(struct sl_op *op, struct sl_str role, struct sl_error *err);
// Features that name resources this server has not: AWS's error for a resource that does not exist
// (docs/compatibility-notes.md).
int sl_lambda__foreign_check(struct sl_op *op, struct sl_error *err);
// The same for a VpcConfig alone; NULL passes.
int sl_lambda__vpc_check(const struct sl_json *vpc, struct sl_error *err);

// --- queue_ref.c: queues that functions name
struct sl_lambda__queue {
    bool exists, fifo;
    int64_t visibility_s;
    struct sl_str name, region;
};
// What is no queue's ARN does not exist.
int sl_lambda__queue_find(struct sl_op *op, struct sl_str arn, struct sl_lambda__queue *ret, struct sl_error *err);
// DeadLetterConfig of the request into the function's document.
int sl_lambda__put_dead_letter(struct sl_op *op, struct sl_json *document, struct sl_error *err);

// --- publish.c
// -------------------------------------------------------------------------------------------------------------------
// What an operation carries from prepare through run to publish, in op->state.
struct sl_lambda__change;
struct sl_lambda__work {
    struct sl_lambda__code code;
    struct sl_lambda__code layers; // the merged layers; pinned only when the request has some
    struct sl_json *layer_list;    // and how the configuration shows them
    struct sl_str layer_owner;     // PublishLayerVersion: the new version's ARN
    struct sl_lambda__change *changes, **tail;
};
struct sl_lambda__work *sl_lambda__work(struct sl_op *op); // makes it at first use; NULL when the arena is full
// In run, after all puts: remembers what publish has to tell invoke/. `document` is a function's or version's document.
int sl_lambda__stage(struct sl_op *op, const struct sl_json *document, struct sl_error *err);
// The same for an alias, from its document, policy and URL; and for one that went away.
int sl_lambda__stage_alias(struct sl_op *op, struct sl_str name, struct sl_str alias, struct sl_error *err);
void sl_lambda__stage_alias_removal(struct sl_op *op, struct sl_str name, struct sl_str alias);
void sl_lambda__stage_removal(struct sl_op *op, struct sl_str name, struct sl_str version);
// Stages $LATEST and every version again: after a change of what they share (concurrency), or of policies and URLs.
int sl_lambda__stage_all(struct sl_op *op, const struct sl_json *latest, struct sl_error *err);
// Of `count` provisioned instances for an alias, those of that version.
int64_t sl_lambda__alias_share(const struct sl_json *alias, struct sl_str version, int64_t count);
// The `publish` and `discard` hooks.
void sl_lambda__publish(struct sl_op *op);
void sl_lambda__discard(struct sl_op *op);

// --- version.c
// -------------------------------------------------------------------------------------------------------------------
// Makes a version of `latest` (and stores both), or finds the one that is the same; *ret is the version's document.
int sl_lambda__version_publish(struct sl_op *op, struct sl_json *latest, struct sl_str description,
                               struct sl_json **ret, struct sl_error *err);
// Of a version just published with new code: it is Pending first. *ret_answer is how it is answered.
int sl_lambda__version_pend(struct sl_op *op, struct sl_json *version, struct sl_json **ret_answer,
                            struct sl_error *err);
// Versions of a function with id > after, at most limit, as an array of {"id","doc"}.
int sl_lambda__version_list(struct sl_op *op, struct sl_str name, struct sl_str after, unsigned limit,
                            struct sl_json **ret, bool *ret_more, struct sl_error *err);
// PublishTo names Lambda Managed Instances, which are not here.
int sl_lambda__publish_to_check(struct sl_op *op, struct sl_error *err);

// --- alias.c
// -------------------------------------------------------------------------------------------------------------------
// *ret is NULL when there is no such alias.
int sl_lambda__load_alias(struct sl_op *op, struct sl_str name, struct sl_str alias, struct sl_json **ret,
                          struct sl_error *err);
// 409 if an alias leads to the version.
int sl_lambda__check_unaliased(struct sl_op *op, struct sl_str name, struct sl_str version, struct sl_error *err);

// --- totals.c; the limit is account.c's
// -------------------------------------------------------------------------------------------------------------------
struct sl_lambda__totals {
    int64_t functions, code_size, reserved;
};
// The account's limit per region.
int64_t sl_lambda__concurrency(const struct sl_op *op);
// Sums over the account's functions and layers in the region; `except` is left out of `reserved` (empty: none).
int sl_lambda__totals(struct sl_op *op, struct sl_str except, struct sl_lambda__totals *ret, struct sl_error *err);
// Adds to (or, with negative numbers, takes from) the sums. The caller changes what they are of in the same
// transaction.
int sl_lambda__totals_add(struct sl_op *op, const struct sl_lambda__totals *more, struct sl_error *err);
// At start: makes the sums agree with the documents.
int sl_lambda__totals_load(struct sl_store_tx *tx, struct sl_error *err);
// What the account's functions but `except` take of its concurrency: reserved, else provisioned.
int sl_lambda__committed(struct sl_op *op, struct sl_str except, int64_t *ret, struct sl_error *err);
// Fails with CodeStorageExceededException if `more` bytes of code do not fit the account's limit.
int sl_lambda__check_room(struct sl_op *op, int64_t more, struct sl_error *err);

// --- provisioned.c
// -------------------------------------------------------------------------------------------------------------------
// What a function's configurations request together, without that of the qualifier `except`.
int sl_lambda__provisioned_total(struct sl_op *op, struct sl_str name, struct sl_str except, int64_t *ret,
                                 struct sl_error *err);

// --- handlers, listed in table.c
// ---------------------------------------------------------------------------------------------------
int sl_lambda__create_prepare(struct sl_op *op, struct sl_error *err);
int sl_lambda__create(struct sl_op *op, struct sl_error *err);
int sl_lambda__get(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_configuration(struct sl_op *op, struct sl_error *err);
int sl_lambda__list(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete(struct sl_op *op, struct sl_error *err);
int sl_lambda__create_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_signings(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_signing_functions(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_function_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_function_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_function_signing(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_runtime_management(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_runtime_management(struct sl_op *op, struct sl_error *err);
int sl_lambda__create_provider(struct sl_op *op, struct sl_error *err);
int sl_lambda__find_provider(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_providers(struct sl_op *op, struct sl_error *err);
int sl_lambda__scaling(struct sl_op *op, struct sl_error *err);
int sl_lambda__find_execution(struct sl_op *op, struct sl_error *err);
int sl_lambda__own_execution(struct sl_op *op, struct sl_error *err);
int sl_lambda__find_callback(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_executions(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_code_prepare(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_code(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_configuration_prepare(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_configuration(struct sl_op *op, struct sl_error *err);
int sl_lambda__publish_version(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_versions(struct sl_op *op, struct sl_error *err);
int sl_lambda__publish_layer_prepare(struct sl_op *op, struct sl_error *err);
int sl_lambda__publish_layer(struct sl_op *op, struct sl_error *err);
void sl_lambda__layer_published(struct sl_op *op);
int sl_lambda__get_layer(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_layer_by_arn(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_layers(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_layer_versions(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_layer(struct sl_op *op, struct sl_error *err);
void sl_lambda__layer_deleted(struct sl_op *op);
int sl_lambda__add_layer_permission(struct sl_op *op, struct sl_error *err);
int sl_lambda__remove_layer_permission(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_layer_policy(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_event_config(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_event_config(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_event_config(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_event_config(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_event_configs(struct sl_op *op, struct sl_error *err);
int sl_lambda__create_event_source(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_event_source(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_event_source(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_event_source(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_event_sources(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_provisioned(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_provisioned(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_provisioned(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_provisioned(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_recursion(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_recursion(struct sl_op *op, struct sl_error *err);
int sl_lambda__create_alias(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_alias(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_alias(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_alias(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_aliases(struct sl_op *op, struct sl_error *err);
int sl_lambda__add_permission(struct sl_op *op, struct sl_error *err);
int sl_lambda__remove_permission(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_policy(struct sl_op *op, struct sl_error *err);
int sl_lambda__create_url(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_url(struct sl_op *op, struct sl_error *err);
int sl_lambda__update_url(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_url(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_urls(struct sl_op *op, struct sl_error *err);
int sl_lambda__tag(struct sl_op *op, struct sl_error *err);
int sl_lambda__untag(struct sl_op *op, struct sl_error *err);
int sl_lambda__list_tags(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_account(struct sl_op *op, struct sl_error *err);
int sl_lambda__get_concurrency(struct sl_op *op, struct sl_error *err);
int sl_lambda__put_concurrency(struct sl_op *op, struct sl_error *err);
int sl_lambda__delete_concurrency(struct sl_op *op, struct sl_error *err);
int sl_lambda__invoke(struct sl_op *op, struct sl_error *err);
int sl_lambda__invoke_async(struct sl_op *op, struct sl_error *err);

#endif
