// SPDX-License-Identifier: Apache-2.0
//
// table: which handler means which operation. Operations of the model that are not here answer that they are not
// implemented, and show so in docs/compatibility.md.
#include "lambda/internal.h"
#include "lambda/invocation.h"
#include "lambda/lambda.h"

// Nothing to publish: reads, and tags, which the data plane does not see.
#define QUIET(name, handler)                                                                                           \
    { "lambda", name, SL_OP_STORE, NULL, handler, NULL, NULL }
#define WRITE(name, prepare, handler)                                                                                  \
    { "lambda", name, SL_OP_STORE, prepare, handler, sl_lambda__publish, sl_lambda__discard }
#define DATA(name, handler)                                                                                            \
    { "lambda", name, SL_OP_DATA, NULL, handler, NULL, NULL }

const struct sl_op_entry sl_lambda_operations[] = {
    WRITE("CreateFunction", sl_lambda__create_prepare, sl_lambda__create),
    QUIET("GetFunction", sl_lambda__get),
    QUIET("GetFunctionConfiguration", sl_lambda__get_configuration),
    WRITE("UpdateFunctionCode", sl_lambda__update_code_prepare, sl_lambda__update_code),
    WRITE("UpdateFunctionConfiguration", sl_lambda__update_configuration_prepare, sl_lambda__update_configuration),
    QUIET("ListFunctions", sl_lambda__list),
    WRITE("DeleteFunction", NULL, sl_lambda__delete),
    QUIET("GetFunctionCodeSigningConfig", sl_lambda__get_code_signing),
    WRITE("PublishVersion", NULL, sl_lambda__publish_version),
    QUIET("ListVersionsByFunction", sl_lambda__list_versions),
    WRITE("PutFunctionEventInvokeConfig", NULL, sl_lambda__put_event_config),
    WRITE("UpdateFunctionEventInvokeConfig", NULL, sl_lambda__update_event_config),
    QUIET("GetFunctionEventInvokeConfig", sl_lambda__get_event_config),
    WRITE("DeleteFunctionEventInvokeConfig", NULL, sl_lambda__delete_event_config),
    QUIET("ListFunctionEventInvokeConfigs", sl_lambda__list_event_configs),
    QUIET("PutProvisionedConcurrencyConfig", sl_lambda__put_provisioned),
    QUIET("GetProvisionedConcurrencyConfig", sl_lambda__get_provisioned),
    QUIET("DeleteProvisionedConcurrencyConfig", sl_lambda__delete_provisioned),
    QUIET("ListProvisionedConcurrencyConfigs", sl_lambda__list_provisioned),
    QUIET("PutFunctionRecursionConfig", sl_lambda__put_recursion),
    QUIET("GetFunctionRecursionConfig", sl_lambda__get_recursion),
    QUIET("CreateEventSourceMapping", sl_lambda__create_event_source),
    QUIET("GetEventSourceMapping", sl_lambda__find_event_source),
    QUIET("UpdateEventSourceMapping", sl_lambda__find_event_source),
    QUIET("DeleteEventSourceMapping", sl_lambda__find_event_source),
    QUIET("ListEventSourceMappings", sl_lambda__list_event_sources),
    {"lambda", "PublishLayerVersion", SL_OP_STORE, sl_lambda__publish_layer_prepare, sl_lambda__publish_layer,
     sl_lambda__layer_published, sl_lambda__discard},
    QUIET("GetLayerVersion", sl_lambda__get_layer),
    QUIET("GetLayerVersionByArn", sl_lambda__get_layer_by_arn),
    QUIET("ListLayers", sl_lambda__list_layers),
    QUIET("ListLayerVersions", sl_lambda__list_layer_versions),
    {"lambda", "DeleteLayerVersion", SL_OP_STORE, NULL, sl_lambda__delete_layer, sl_lambda__layer_deleted, NULL},
    QUIET("AddLayerVersionPermission", sl_lambda__add_layer_permission),
    QUIET("RemoveLayerVersionPermission", sl_lambda__remove_layer_permission),
    QUIET("GetLayerVersionPolicy", sl_lambda__get_layer_policy),
    WRITE("CreateAlias", NULL, sl_lambda__create_alias),
    QUIET("GetAlias", sl_lambda__get_alias),
    WRITE("UpdateAlias", NULL, sl_lambda__update_alias),
    WRITE("DeleteAlias", NULL, sl_lambda__delete_alias),
    QUIET("ListAliases", sl_lambda__list_aliases),
    WRITE("AddPermission", NULL, sl_lambda__add_permission),
    WRITE("RemovePermission", NULL, sl_lambda__remove_permission),
    QUIET("GetPolicy", sl_lambda__get_policy),
    WRITE("CreateFunctionUrlConfig", NULL, sl_lambda__create_url),
    QUIET("GetFunctionUrlConfig", sl_lambda__get_url),
    WRITE("UpdateFunctionUrlConfig", NULL, sl_lambda__update_url),
    WRITE("DeleteFunctionUrlConfig", NULL, sl_lambda__delete_url),
    QUIET("ListFunctionUrlConfigs", sl_lambda__list_urls),
    QUIET("TagResource", sl_lambda__tag),
    QUIET("UntagResource", sl_lambda__untag),
    QUIET("ListTags", sl_lambda__list_tags),
    QUIET("GetAccountSettings", sl_lambda__get_account),
    QUIET("GetFunctionConcurrency", sl_lambda__get_concurrency),
    WRITE("PutFunctionConcurrency", NULL, sl_lambda__put_concurrency),
    WRITE("DeleteFunctionConcurrency", NULL, sl_lambda__delete_concurrency),
    DATA("Invoke", sl_lambda__invoke),
    DATA("InvokeAsync", sl_lambda__invoke_async),
    DATA("InvokeWithResponseStream", sl_lambda__invoke_stream),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
