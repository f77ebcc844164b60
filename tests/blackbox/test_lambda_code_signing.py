# SPDX-License-Identifier: Apache-2.0
"""Code signing configurations, runtime management, and the resources that only AWS has."""

import botocore.exceptions
import pytest

from support import zip_bytes
from test_lambda_functions import ECHO, body, minimal

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test"
PUBLISHERS = {"SigningProfileVersionArns": [PROFILE]}


def error_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def make_signing(lambda_):
    made = []

    def make(policy="Warn", **more):
        answer = lambda_.create_code_signing_config(
            AllowedPublishers=PUBLISHERS, CodeSigningPolicies={"UntrustedArtifactOnDeployment": policy}, **more
        )["CodeSigningConfig"]
        made.append(answer["CodeSigningConfigArn"])
        return answer["CodeSigningConfigArn"]

    yield make
    for arn in made:
        for page in lambda_.get_paginator("list_functions_by_code_signing_config").paginate(CodeSigningConfigArn=arn):
            for function in page["FunctionArns"]:
                lambda_.delete_function_code_signing_config(FunctionName=function)
        lambda_.delete_code_signing_config(CodeSigningConfigArn=arn)


def test_enforced_signing_refuses_unsigned_code_wherever_code_comes_in(lambda_, make_signing):
    strict = make_signing("Enforce")
    wanted = (
        "CodeVerificationFailedException",
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is not "
        "configured to accept. Check the provided signature for signed.",
    )
    assert error_of(lambda_.create_function, **minimal("signed", CodeSigningConfigArn=strict)) == wanted
    assert error_of(lambda_.get_function, FunctionName="signed")[0] == "ResourceNotFoundException"
    lambda_.create_function(**minimal("signed"))
    lambda_.put_function_code_signing_config(FunctionName="signed", CodeSigningConfigArn=strict)
    assert error_of(lambda_.update_function_code, FunctionName="signed", ZipFile=zip_bytes(ECHO)) == wanted
    layer = lambda_.publish_layer_version(LayerName="unsigned", Content={"ZipFile": zip_bytes({"x": "1"})})["LayerVersionArn"]
    assert error_of(lambda_.update_function_configuration, FunctionName="signed", Layers=[layer]) == wanted
    lambda_.update_function_configuration(FunctionName="signed", Description="settings are no code")
    lambda_.delete_layer_version(LayerName="unsigned", VersionNumber=int(layer.rsplit(":", 1)[1]))


def test_a_warning_policy_lets_unsigned_code_pass(lambda_, make_signing):
    lenient = make_signing()
    lambda_.create_function(**minimal("warned", CodeSigningConfigArn=lenient))
    assert body(lambda_.get_function_code_signing_config(FunctionName="warned")) == {
        "CodeSigningConfigArn": lenient,
        "FunctionName": "warned",
    }
    lambda_.update_function_code(FunctionName="warned", ZipFile=zip_bytes({**ECHO, "x": "y"}))
    version = lambda_.publish_version(FunctionName="warned")
    assert "CodeSigningConfigArn" not in version


def test_a_configuration_in_use_cannot_be_deleted(lambda_, make_signing):
    arn = make_signing()
    lambda_.create_function(**minimal("user", CodeSigningConfigArn=arn))
    assert error_of(lambda_.delete_code_signing_config, CodeSigningConfigArn=arn)[0] == "ResourceConflictException"
    lambda_.delete_function(FunctionName="user")
    assert lambda_.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"] == []


def test_a_function_moves_from_one_configuration_to_another(lambda_, make_signing):
    one, other = make_signing(), make_signing()
    lambda_.create_function(**minimal("mover", CodeSigningConfigArn=one))
    lambda_.put_function_code_signing_config(FunctionName="mover", CodeSigningConfigArn=other)
    assert lambda_.list_functions_by_code_signing_config(CodeSigningConfigArn=one)["FunctionArns"] == []
    assert [arn.rsplit(":", 1)[1] for arn in lambda_.list_functions_by_code_signing_config(CodeSigningConfigArn=other)["FunctionArns"]] == ["mover"]
    lambda_.delete_function_code_signing_config(FunctionName="mover")
    assert body(lambda_.get_function_code_signing_config(FunctionName="mover")) == {}


def test_configurations_are_listed_in_pages_and_carry_tags(lambda_, make_signing):
    arns = {make_signing(Tags={"a": "1"}), make_signing(), make_signing()}
    listed = []
    for page in lambda_.get_paginator("list_code_signing_configs").paginate(PaginationConfig={"PageSize": 2}):
        assert len(page["CodeSigningConfigs"]) <= 2
        listed += [item["CodeSigningConfigArn"] for item in page["CodeSigningConfigs"]]
    assert arns <= set(listed) and len(listed) == len(set(listed))
    assert sorted(lambda_.list_tags(Resource=arn)["Tags"] for arn in arns if lambda_.list_tags(Resource=arn)["Tags"]) == [{"a": "1"}]
    arn = arns.pop()
    lambda_.tag_resource(Resource=arn, Tags={"b": "2"})
    lambda_.untag_resource(Resource=arn, TagKeys=["a"])
    assert lambda_.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def test_layers_carry_tags_over_their_versions(lambda_):
    version = lambda_.publish_layer_version(LayerName="tagged", Content={"ZipFile": zip_bytes({"x": "1"})})
    lambda_.tag_resource(Resource=version["LayerArn"], Tags={"a": "1"})
    later = lambda_.publish_layer_version(LayerName="tagged", Content={"ZipFile": zip_bytes({"x": "2"})})
    assert lambda_.list_tags(Resource=later["LayerArn"])["Tags"] == {"a": "1"}
    for one in (version, later):
        lambda_.delete_layer_version(LayerName="tagged", VersionNumber=one["Version"])


# --- runtime management -----------------------------------------------------------------------------------------------


def test_runtime_management_is_automatic_unless_set(lambda_):
    arn = lambda_.create_function(**minimal("managed", Publish=True))["FunctionArn"]
    assert body(lambda_.get_runtime_management_config(FunctionName="managed")) == {"UpdateRuntimeOn": "Auto", "FunctionArn": arn}
    put = lambda_.put_runtime_management_config(FunctionName="managed", Qualifier="1", UpdateRuntimeOn="FunctionUpdate")
    assert body(put) == {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": arn + ":1"}
    assert lambda_.get_runtime_management_config(FunctionName="managed", Qualifier="1")["UpdateRuntimeOn"] == "FunctionUpdate"
    assert lambda_.get_runtime_management_config(FunctionName="managed")["UpdateRuntimeOn"] == "Auto"


def test_a_function_is_pinned_to_the_release_that_it_has(lambda_):
    lambda_.create_function(**minimal("pinned"))
    release = lambda_.get_function_configuration(FunctionName="pinned")["RuntimeVersionConfig"]["RuntimeVersionArn"]
    put = lambda_.put_runtime_management_config(FunctionName="pinned", UpdateRuntimeOn="Manual", RuntimeVersionArn=release)
    assert put["RuntimeVersionArn"] == release
    for wrong in (
        {"UpdateRuntimeOn": "Manual"},
        {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": release},
        {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": release[:-1] + "x"},
    ):
        assert error_of(lambda_.put_runtime_management_config, FunctionName="pinned", **wrong)[0] == "InvalidParameterValueException"
    assert lambda_.get_runtime_management_config(FunctionName="pinned")["RuntimeVersionArn"] == release
    lambda_.delete_function(FunctionName="pinned")
    lambda_.create_function(**minimal("pinned"))
    assert lambda_.get_runtime_management_config(FunctionName="pinned")["UpdateRuntimeOn"] == "Auto"


# --- what only AWS has ------------------------------------------------------------------------------------------------

EXECUTION = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST/durable-execution/name/id"
PROVIDER = "arn:aws:lambda:us-east-1:000000000000:capacity-provider:nope"


@pytest.mark.parametrize(
    "method, arguments, code",
    [
        ("get_capacity_provider", {"CapacityProviderName": "nope"}, "ResourceNotFoundException"),
        ("update_capacity_provider", {"CapacityProviderName": "nope"}, "ResourceNotFoundException"),
        ("delete_capacity_provider", {"CapacityProviderName": "nope"}, "ResourceNotFoundException"),
        ("list_function_versions_by_capacity_provider", {"CapacityProviderName": "nope"}, "ResourceNotFoundException"),
        ("get_durable_execution", {"DurableExecutionArn": EXECUTION}, "ResourceNotFoundException"),
        ("get_durable_execution_history", {"DurableExecutionArn": EXECUTION}, "ResourceNotFoundException"),
        ("stop_durable_execution", {"DurableExecutionArn": EXECUTION}, "ResourceNotFoundException"),
        ("send_durable_execution_callback_success", {"CallbackId": "bm9wZQ=="}, "ResourceNotFoundException"),
        ("send_durable_execution_callback_failure", {"CallbackId": "bm9wZQ=="}, "ResourceNotFoundException"),
        ("send_durable_execution_callback_heartbeat", {"CallbackId": "bm9wZQ=="}, "ResourceNotFoundException"),
        ("get_durable_execution_state", {"DurableExecutionArn": EXECUTION, "CheckpointToken": "dG9rZW4="}, "InvalidParameterValueException"),
        ("checkpoint_durable_execution", {"DurableExecutionArn": EXECUTION, "CheckpointToken": "dG9rZW4="}, "InvalidParameterValueException"),
        ("list_durable_executions_by_function", {"FunctionName": "nope"}, "ResourceNotFoundException"),
        ("get_function_scaling_config", {"FunctionName": "nope", "Qualifier": "1"}, "ResourceNotFoundException"),
    ],
)
def test_what_only_aws_has_is_not_there(lambda_, method, arguments, code):
    assert error_of(getattr(lambda_, method), **arguments)[0] == code


def test_nothing_is_made_that_only_aws_has(lambda_):
    lambda_.create_function(**minimal("plain", Publish=True))
    assert lambda_.list_capacity_providers()["CapacityProviders"] == []
    assert lambda_.list_durable_executions_by_function(FunctionName="plain")["DurableExecutions"] == []
    refused = error_of(
        lambda_.create_capacity_provider,
        CapacityProviderName="mine",
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        PermissionsConfig={"CapacityProviderOperatorRoleArn": "arn:aws:iam::000000000000:role/x"},
    )
    assert refused[0] == "InvalidParameterValueException" and "InvalidSubnetID.NotFound" in refused[1]
    scaling = error_of(lambda_.put_function_scaling_config, FunctionName="plain", Qualifier="1", FunctionScalingConfig={"MinExecutionEnvironments": 1})
    assert scaling[0] == "InvalidParameterValueException"
    assert error_of(lambda_.tag_resource, Resource=PROVIDER, Tags={"a": "b"}) == ("ResourceNotFoundException", f"Capacity provider not found: {PROVIDER}")
