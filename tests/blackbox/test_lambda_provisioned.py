# SPDX-License-Identifier: Apache-2.0
"""Provisioned concurrency and recursion settings, as recorded from AWS."""

import pytest

from support import wait_for
from test_lambda_functions import ARN, ECHO, body, refusal

NOTHING = (404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")


@pytest.fixture
def alias(server, lambda_):
    server.create_function("f", ECHO, Publish=True)
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")


def put(lambda_, qualifier, count=1, name="f"):
    return lambda_.put_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count)


def until_ready(lambda_, qualifier, name="f"):
    def ready():
        answer = lambda_.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        return answer["Status"] != "IN_PROGRESS" and answer

    return wait_for(ready, "provisioned concurrency to be ready")


def counts(answer):
    kinds = ("Requested", "Allocated", "Available")
    return [answer[f"{kind}ProvisionedConcurrentExecutions"] for kind in kinds] + [answer["Status"]]


def test_the_life_of_a_configuration(alias, lambda_):
    answer = put(lambda_, "1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert counts(answer) == [1, 0, 0, "IN_PROGRESS"]
    read = until_ready(lambda_, "1")
    assert counts(read) == [1, 1, 1, "READY"]
    assert read["LastModified"] == answer["LastModified"]
    listed = lambda_.list_provisioned_concurrency_configs(FunctionName="f")["ProvisionedConcurrencyConfigs"]
    assert [one["FunctionArn"] for one in listed] == [ARN + "f:1"]
    assert refusal(put, lambda_=lambda_, qualifier="live") == (
        409,
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    )
    for _ in range(2):
        deleted = lambda_.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(lambda_.get_provisioned_concurrency_config, FunctionName="f", Qualifier="1") == NOTHING
    put(lambda_, "live")
    conflict = (409, "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias")
    assert refusal(put, lambda_=lambda_, qualifier="1") == conflict
    lambda_.delete_alias(FunctionName="f", Name="live")
    missing = (404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}f:live")
    assert refusal(lambda_.get_provisioned_concurrency_config, FunctionName="f", Qualifier="live") == missing
    assert lambda_.list_provisioned_concurrency_configs(FunctionName="f")["ProvisionedConcurrencyConfigs"] == []


@pytest.mark.parametrize(
    "name, qualifier, message",
    [
        ("nope", "noalias", f"Cannot find alias arn: {ARN}nope:noalias"),
        ("nope", "1", f"Function not found: {ARN}nope:1"),
        ("f", "noalias", f"Cannot find alias arn: {ARN}f:noalias"),
        ("f", "10", f"Function not found: {ARN}f:10"),
    ],
)
def test_what_is_not_there(alias, lambda_, name, qualifier, message):
    missing = (404, "ResourceNotFoundException", message)
    assert refusal(put, lambda_=lambda_, name=name, qualifier=qualifier) == missing
    assert refusal(lambda_.get_provisioned_concurrency_config, FunctionName=name, Qualifier=qualifier) == missing
    assert refusal(lambda_.delete_provisioned_concurrency_config, FunctionName=name, Qualifier=qualifier) == missing


def test_limits(alias, lambda_, server):
    invalid = (400, "InvalidParameterValueException")
    unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    assert refusal(put, lambda_=lambda_, qualifier="$LATEST") == (*invalid, unpublished)
    published = "The function resource provided must be an alias or a published version."
    assert refusal(lambda_.get_provisioned_concurrency_config, FunctionName="f", Qualifier="$LATEST") == (*invalid, published)
    greater = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."
    assert refusal(put, lambda_=lambda_, qualifier="1", count=1001) == (*invalid, greater)
    below = "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    assert refusal(put, lambda_=lambda_, qualifier="1", count=901) == (*invalid, below)
    assert counts(put(lambda_, "1", 900))[0] == 900
    lambda_.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    reserved = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    assert refusal(put, lambda_=lambda_, qualifier="1", count=2) == (*invalid, reserved)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    put(lambda_, "1", 2)
    # What one function has provisioned is not there for another.
    server.create_function("g", ECHO, Publish=True)
    lambda_.delete_function_concurrency(FunctionName="f")
    left = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [998]."
    assert refusal(put, lambda_=lambda_, name="g", qualifier="1", count=999) == (*invalid, left)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    lower = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    assert refusal(lambda_.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1) == (*invalid, lower)
    nothing = (404, "ResourceNotFoundException", f"Function not found: {ARN}nope")
    assert refusal(lambda_.list_provisioned_concurrency_configs, FunctionName="nope") == nothing


TYPE = {"index.py": "import os\nstart = os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n\ndef handler(event, context):\n    return start\n"}


def test_instances_are_warm_and_follow_their_alias(server, lambda_):
    server.create_function("f", TYPE, Publish=True)
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    put(lambda_, "live", 2)
    assert counts(until_ready(lambda_, "live")) == [2, 2, 2, "READY"]
    assert server.invoke("f", Qualifier="live")["Json"] == "provisioned-concurrency"
    assert server.invoke("f")["Json"] == "on-demand"
    lambda_.update_function_configuration(FunctionName="f", Description="another")
    lambda_.publish_version(FunctionName="f")
    lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert counts(until_ready(lambda_, "live")) == [2, 2, 2, "READY"]
    answer = server.invoke("f", Qualifier="live")
    assert (answer["Json"], answer["ExecutedVersion"]) == ("provisioned-concurrency", "2")
    assert server.invoke("f", Qualifier="1")["Json"] == "on-demand"
    lambda_.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="live")


def test_an_init_that_fails_is_the_reason(server, lambda_):
    server.create_function("f", {"index.py": "raise RuntimeError('no')\n"}, Publish=True)
    put(lambda_, "1")
    answer = until_ready(lambda_, "1")
    assert counts(answer) == [1, 0, 0, "FAILED"]
    assert answer["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    lambda_.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")


def test_it_survives_a_restart(start_server):
    own_server = start_server()
    lambda_ = own_server.client("lambda")
    own_server.create_function("f", TYPE, Publish=True)
    put(lambda_, "1")
    until_ready(lambda_, "1")
    own_server.stop()
    own_server.restart()
    lambda_ = own_server.client("lambda")
    assert counts(until_ready(lambda_, "1")) == [1, 1, 1, "READY"]
    assert own_server.invoke("f", Qualifier="1")["Json"] == "provisioned-concurrency"


def recursion(server, method, body=""):
    """By hand: the clients of this machine's age may not know the operation."""
    return server.http(method, "/2024-08-31/functions/f/recursion-config", body=body, headers={"Content-Type": "application/json"})


def test_recursion(alias, server):
    assert recursion(server, "GET").json() == {"RecursiveLoop": "Terminate"}
    assert recursion(server, "PUT", '{"RecursiveLoop":"Allow"}').json() == {"RecursiveLoop": "Allow"}
    assert recursion(server, "GET").json() == {"RecursiveLoop": "Allow"}
    refused = recursion(server, "PUT", '{"RecursiveLoop":"InvalidValue"}')
    assert refused.status == 400
    assert "Member must satisfy enum value set: [Terminate, Allow]" in refused.text
