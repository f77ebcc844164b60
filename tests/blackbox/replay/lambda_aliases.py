# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about aliases, settings of asynchronous invocations, and concurrency."""

from replay import ACCOUNT, ECHO, case
from support import zip_bytes


def two_versions(r, step="create_response", **more):
    r.create(step, **more)
    r.f("publish_v1", "publish_version")
    r.quiet("update_function_configuration", FunctionName=r.name, Environment={"Variables": {"testenv": "prod"}})
    r.settle()
    r.f("publish_v2", "publish_version")


def routed(name, version, weights, **more):
    return {"Name": name, "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}, **more}


@case("test_alias_lifecycle")
def _(r):
    two_versions(r)
    name = "aliasname1_1"
    r.f("create_alias_1_1", "create_alias", **routed(name, "1", {"2": 0.2}, Description="custom-alias"))
    r.f("get_alias_1_1", "get_alias", Name=name)
    r.f("get_function_alias_1_1", "get_function", Qualifier=name)
    r("get_function_byarn_alias_1_1", "get_function", FunctionName=f"{r.arn}:{name}")
    r.f("get_function_alias_notfound_exc", "get_function", Qualifier="aliasdoesnotexist")
    r("get_function_alias_byarn_notfound_exc", "get_function", FunctionName=f"{r.arn}:aliasdoesnotexist")
    for step, version, more in (("1_2", "1", {"Description": "custom-alias"}), ("1_3", "1", {}), ("2", "2", {"Description": "custom-alias"})):
        r.f(f"create_alias_{step}", "create_alias", Name=f"aliasname{step}", FunctionVersion=version, **more)
        r.f(f"get_alias_{step}", "get_alias", Name=f"aliasname{step}")
    r.f("list_aliases_for_fnname", "list_aliases")
    r.f("update_alias_1_1", "update_alias", Name=name, RoutingConfig={"AdditionalVersionWeights": {}})
    r.f("get_alias_1_1_after_update", "get_alias", Name=name)
    r.f("list_aliases_for_fnname_after_update", "list_aliases")
    r.f("update_alias_1_2", "update_alias", Name="aliasname1_2")
    r.f("get_alias_1_2_after_update", "get_alias", Name="aliasname1_2")
    r.f("list_aliases_for_fnname_after_update_2", "list_aliases")
    r.f("list_aliases_for_version", "list_aliases", FunctionVersion="1")
    r.f("delete_alias_response", "delete_alias", Name=name)
    r.f("list_aliases_for_fnname_afterdelete", "list_aliases")


@case("test_notfound_and_invalid_routingconfigs")
def _(r):
    two_versions(r, Publish=True)
    r.f("routing_config_exc_toomany", "create_alias", **routed("custom", "1", {"1": 0.5, "2": 0.5}))
    r.f("routing_config_exc_toohigh", "create_alias", **routed("custom", "1", {"2": 2.0}))
    r.f("routing_config_exc_subzero", "create_alias", **routed("custom", "1", {"2": -1.0}))
    r.f("routing_config_exc_sameversion", "create_alias", **routed("custom", "1", {"1": 0.5}))
    r.f("target_version_doesnotexist", "create_alias", **routed("custom", "10", {"2": 0.5}))
    r.f("routing_config_exc_version_doesnotexist", "create_alias", **routed("custom", "1", {"10": 0.5}))
    r.f("target_version_exc_version_latest", "create_alias", **routed("custom", "$LATEST", {"1": 0.5}))
    r.f("routing_config_exc_version_latest", "create_alias", **routed("custom", "1", {"$LATEST": 0.5}))
    r.f("create-alias-latest", "create_alias", Name="custom-latest", FunctionVersion="$LATEST")
    r("routing_config_exc_fn_doesnotexist", "create_alias", FunctionName=f"{r.name}-unknown", **routed("custom", "1", {"2": 0.5}))
    r.f("create_alias_empty_routingconfig", "create_alias", Name="custom-empty-routingconfig", FunctionVersion="1", RoutingConfig={})
    r.f("create_alias_response", "create_alias", **routed("custom", "1", {"2": 0.5}))
    r.f("routing_config_exc_already_exist", "create_alias", **routed("custom", "1", {"2": 0.5}))
    r.f("alias_does_not_exist_esc", "get_alias", Name="non-existent")


@case("test_alias_naming")
def _(r):
    r.create("create_response")
    r.f("publish_v1", "publish_version")
    r.f("create_alias_date", "create_alias", Name="2024-01-02", FunctionVersion="1", Description="custom-alias")
    r.f("get_alias_date", "get_alias", Name="2024-01-02")
    r.f("create_alias_number_exception", "create_alias", Name="2024", FunctionVersion="1", Description="custom-alias")


@case("test_non_existent_alias_deletion")
def _(r):
    r.create("create_response")
    r.f("delete_alias_response", "delete_alias", Name="non-existent")


@case("test_non_existent_alias_update")
def _(r):
    r.create("create_response")
    r.f("update_alias_response", "update_alias", Name="non-existent", Description="x")


# --- asynchronous invocations -----------------------------------------------------------------------------------------

PUT, GET = "put_function_event_invoke_config", "get_function_event_invoke_config"
UPDATE, LIST, DELETE = "update_function_event_invoke_config", "list_function_event_invoke_configs", "delete_function_event_invoke_config"


@case("test_lambda_eventinvokeconfig_lifecycle")
def _(r):
    r.create(Environment={"Variables": {}}, Timeout=30)
    r.f("put_invokeconfig_retries_0", PUT, MaximumRetryAttempts=0)
    r.f("put_invokeconfig_eventage_60", PUT, MaximumEventAgeInSeconds=60)
    r.f("update_invokeconfig_eventage_nochange", UPDATE, MaximumEventAgeInSeconds=60)
    r.f("update_invokeconfig_retries", UPDATE, MaximumRetryAttempts=1)
    r.f("get_invokeconfig", GET)
    r.f("get_invokeconfig_latest", GET, Qualifier="$LATEST")
    r.f("list_single_invokeconfig", LIST)
    r.f("publish_version_result", "publish_version")
    r.f("get_invokeconfig_postpublish", GET, Qualifier="1")
    r.f("put_published_invokeconfig", PUT, Qualifier="1", MaximumEventAgeInSeconds=120)
    r.f("get_published_invokeconfig", GET, Qualifier="1")
    r.quiet(DELETE, FunctionName=r.name)
    r.f("list_paging_nolimit_postdelete", LIST)


@case("test_lambda_eventinvokeconfig_exceptions")
def _(r):
    r.create(Environment={"Variables": {}}, Timeout=30)
    other = r.name + "-other"
    r.create(FunctionName=other)
    r.f("fn_version_result", "publish_version")
    alias = "eventinvokealias"
    r.f("fn_alias_result", "create_alias", Name=alias, FunctionVersion="1")
    arn = r.arn.replace(r.name, "doesnotexist")

    def success(arn):
        return {"DestinationConfig": {"OnSuccess": {"Destination": arn}}}

    r("put_functionname_name_notfound", PUT, FunctionName="doesnotexist", MaximumRetryAttempts=1)
    r("put_functionname_arn_notfound", PUT, FunctionName=arn, MaximumRetryAttempts=1)
    r.f("put_functionname_nootherargs", PUT)
    r.f("put_destination_lambda_doesntexist", PUT, **success(arn))
    r.f("put_destination_recursive", PUT, **success(r.arn))
    r.f("put_destination_other_lambda", PUT, **success(r.arn.replace(r.name, other)))
    r.f("put_destination_invalid_service_arn", PUT, **success(r.arn.replace(":lambda:", ":iam:")))
    r.f("put_destination_success_no_destination_arn", PUT, DestinationConfig={"OnSuccess": {}})
    r.f("put_destination_failure_no_destination_arn", PUT, DestinationConfig={"OnFailure": {}})
    invalid = {"DestinationConfig": {"OnFailure": {"Destination": r.arn.replace(":lambda:", ":_-/!lambda:")}}}
    r.f("put_destination_invalid_arn_pattern", PUT, **invalid)

    retries = {"MaximumRetryAttempts": 1}
    short = f"{ACCOUNT}:function:{r.name}"
    r.f("put_destination_latest", PUT, **retries)
    r.f("put_destination_latest_explicit_qualifier", PUT, Qualifier="$LATEST", **retries)
    r.f("put_destination_version", PUT, Qualifier="1", **retries)
    r.f("put_alias_functionname_qualifier", PUT, Qualifier=alias, **retries)
    r.f("put_alias_doesnotexist", PUT, Qualifier="doesnotexist", **retries)
    r("put_alias_qualifiedarn", PUT, FunctionName=f"{r.arn}:{alias}", **retries)
    r("put_alias_qualifiedarn_qualifier", PUT, FunctionName=f"{r.arn}:{alias}", Qualifier=alias, **retries)
    r("put_alias_qualifiedarn_qualifierconflict", PUT, FunctionName=f"{r.arn}:{alias}", Qualifier="doesnotexist", **retries)
    r("put_alias_shorthand", PUT, FunctionName=f"{r.name}:{alias}", **retries)
    r("put_alias_shorthand_qualifier", PUT, FunctionName=f"{r.name}:{alias}", Qualifier=alias, **retries)
    r("put_alias_shorthand_qualifierconflict", PUT, FunctionName=f"{r.name}:{alias}", Qualifier="doesnotexist", **retries)
    r("put_version_shorthand", PUT, FunctionName=f"{r.name}:1", **retries)
    r("put_shorthand_qualifier_match", PUT, FunctionName=f"{short}:$LATEST", Qualifier="$LATEST", **retries)
    r("put_shorthand_qualifier_mismatch_1", PUT, FunctionName=f"{r.name}:$LATEST", Qualifier=alias, **retries)
    r("put_shorthand_qualifier_mismatch_2", PUT, FunctionName=f"{r.name}:{alias}", Qualifier="$LATEST", **retries)
    r("put_shorthand_qualifier_mismatch_3", PUT, FunctionName=f"{r.name}:1", Qualifier=alias, **retries)
    r.f("put_maxevent_maxvalue_result", PUT, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=21600)
    r.f("put_pre_overwrite", PUT, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
    r.f("put_post_overwrite", PUT, MaximumRetryAttempts=0)
    r.f("second_overwrite_existing_response", PUT, MaximumRetryAttempts=0)
    r.f("get_post_overwrite", GET)
    r.f("pre_update_response", PUT, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
    r.f("update_response", UPDATE, MaximumRetryAttempts=0)
    r.f("update_response_existing", UPDATE, MaximumRetryAttempts=0)
    r.f("list_configs", LIST)
    r.f("delete_latest", DELETE, Qualifier="$LATEST")
    r.f("delete_version", DELETE, Qualifier="1")
    r.f("delete_alias", DELETE, Qualifier=alias)
    r.f("list_configs_postdelete", LIST)
    r.f("delete_function_not_found", DELETE)
    r("delete_function_doesnotexist", DELETE, FunctionName="doesnotexist")
    r("list_function_doesnotexist", LIST, FunctionName="doesnotexist")
    r("get_function_doesnotexist", GET, FunctionName="doesnotexist")
    r.f("get_qualifier_doesnotexist", GET, Qualifier="doesnotexist")
    r("update_eventinvokeconfig_function_doesnotexist", UPDATE, FunctionName="doesnotexist", **retries)
    r.f("get_eventinvokeconfig_doesnotexist", GET, Qualifier=alias)
    r.f("update_eventinvokeconfig_config_doesnotexist_with_qualifier", UPDATE, Qualifier=alias, **retries)
    r.f("update_eventinvokeconfig_config_doesnotexist_without_qualifier", UPDATE, **retries)


# --- concurrency ------------------------------------------------------------------------------------------------------


@case("test_function_concurrency_exceptions")
def _(r):
    method, missing = "put_function_concurrency", "put_function_concurrency_with_function_name_doesnotexist"
    r(missing, method, FunctionName="doesnotexist", ReservedConcurrentExecutions=1)
    r(missing + "_and_invalid_concurrency", method, FunctionName="doesnotexist", ReservedConcurrentExecutions=10_000_000)
    r.create(Publish=True)
    r("put_function_concurrency_with_qualified_arn", method, FunctionName=r.arn + ":1", ReservedConcurrentExecutions=1)


@case("test_function_concurrency")
def _(r):
    r.create()
    for count in (0, 1):
        r.f(f"put_function_concurrency_with_reserved_{count}", "put_function_concurrency", ReservedConcurrentExecutions=count)
    r.f("get_function_concurrency", "get_function_concurrency")
    r.f("delete_response", "delete_function_concurrency")
    r.f("get_function_concurrency_after_delete", "get_function_concurrency")


@case("test_function_concurrency_limits")
def _(r):
    r.create()
    limit = r.quiet("get_account_settings")["AccountLimit"]["ConcurrentExecutions"]
    method, free = "put_function_concurrency", limit - 100 + 1
    r.f("put_function_concurrency_account_limit_exceeded", method, ReservedConcurrentExecutions=limit + 1)
    r.f("put_function_concurrency_below_unreserved_min_value", method, ReservedConcurrentExecutions=free)


PROVISION = "put_provisioned_concurrency_config"


@case("test_provisioned_concurrency_exceptions")
def _(r):
    r.create(Environment={"Variables": {}}, Timeout=30)
    r.f("publish_version_result", "publish_version")
    get, delete, one = "get_provisioned_concurrency_config", "delete_provisioned_concurrency_config", {"ProvisionedConcurrentExecutions": 1}
    r.f("get_provisioned_config_doesnotexist", get, Qualifier="1")
    r("get_provisioned_functionname_doesnotexist", get, FunctionName="doesnotexist", Qualifier="noalias")
    r.f("get_provisioned_qualifier_doesnotexist", get, Qualifier="noalias")
    r.f("get_provisioned_version_doesnotexist", get, Qualifier="10")
    r.f("get_provisioned_latest", get, Qualifier="$LATEST")
    r.f("list_provisioned_noconfigs", "list_provisioned_concurrency_configs")
    r("list_provisioned_functionname_doesnotexist", "list_provisioned_concurrency_configs", FunctionName="doesnotexist")
    r("delete_provisioned_functionname_doesnotexist", delete, FunctionName="doesnotexist", Qualifier="1")
    r.f("delete_provisioned_qualifier_doesnotexist", delete, Qualifier="noalias")
    r.f("delete_provisioned_version_doesnotexist", delete, Qualifier="10")
    r.f("delete_provisioned_latest", delete, Qualifier="$LATEST")
    r.f("delete_provisioned_config_doesnotexist", delete, Qualifier="1")
    r.f("put_provisioned_invalid_param_0", PROVISION, Qualifier="1", ProvisionedConcurrentExecutions=0)
    r("put_provisioned_functionname_doesnotexist_alias", PROVISION, FunctionName="doesnotexist", Qualifier="noalias", **one)
    r("put_provisioned_functionname_doesnotexist_version", PROVISION, FunctionName="doesnotexist", Qualifier="1", **one)
    r.f("put_provisioned_qualifier_doesnotexist", PROVISION, Qualifier="doesnotexist", **one)
    r.f("put_provisioned_version_doesnotexist", PROVISION, Qualifier="10", **one)
    r.f("put_provisioned_latest", PROVISION, Qualifier="$LATEST", **one)


@case("test_lambda_provisioned_lifecycle")
def _(r):
    r.create(Environment={"Variables": {}}, Timeout=30)
    get, delete, one = "get_provisioned_concurrency_config", "delete_provisioned_concurrency_config", {"ProvisionedConcurrentExecutions": 1}
    r.f("publish_version_result", "publish_version")
    r.f("create_alias_result", "create_alias", Name="myalias", FunctionVersion="1")
    r.f("put_provisioned_on_version", PROVISION, Qualifier="1", **one)
    r.f("put_provisioned_on_alias_versionconflict", PROVISION, Qualifier="myalias", **one)
    r.f("delete_provisioned_version", delete, Qualifier="1")
    r.f("get_provisioned_version_postdelete", get, Qualifier="1")
    r.f("put_provisioned_on_alias", PROVISION, Qualifier="myalias", **one)
    r.f("put_provisioned_on_version_conflict", PROVISION, Qualifier="1", **one)
    r.f("delete_alias_result", "delete_alias", Name="myalias")
    r.f("get_provisioned_alias_postaliasdelete", get, Qualifier="myalias")
    r.f("list_response_postdeletes", "list_provisioned_concurrency_configs")


@case("test_provisioned_concurrency_limits")
def _(r):
    r.create(Publish=True)
    limit = r.quiet("get_account_settings")["AccountLimit"]["ConcurrentExecutions"]
    r.f("put_provisioned_concurrency_account_limit_exceeded", PROVISION, Qualifier="1", ProvisionedConcurrentExecutions=limit + 1)
    r.f("put_provisioned_concurrency_below_unreserved_min_value", PROVISION, Qualifier="1", ProvisionedConcurrentExecutions=limit - 100 + 1)
