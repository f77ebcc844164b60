# SPDX-License-Identifier: Apache-2.0
"""Aliases: their life as recorded from AWS, what they lead to, and what hangs on them."""

import json

import pytest

from support import wait_for, zip_bytes
from test_lambda_functions import ARN, REVISION, body, refusal
from test_lambda_invoke import KEEP, log_of
from test_lambda_versions import STALE


def code(text):
    return zip_bytes({"index.py": f"def handler(event, context):\n    return [{text!r}, context.invoked_function_arn]\n"})


@pytest.fixture
def versions(server, lambda_):
    """The function "f" with versions 1 ("one") and 2 ("two")."""
    server.create_function("f", code("one"))
    lambda_.publish_version(FunctionName="f")
    lambda_.update_function_code(FunctionName="f", ZipFile=code("two"), Publish=True)


def create(lambda_, name="live", version="1", **more):
    return lambda_.create_alias(FunctionName="f", Name=name, FunctionVersion=version, **more)


def test_the_life_of_an_alias(versions, lambda_):
    answer = create(lambda_, Description="d", RoutingConfig={"AdditionalVersionWeights": {"2": 0.2}})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = body(answer)
    assert REVISION.fullmatch(created["RevisionId"])
    assert created == {
        "AliasArn": ARN + "f:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "d",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        "RevisionId": created["RevisionId"],
    }
    assert body(lambda_.get_alias(FunctionName="f", Name="live")) == created
    updated = body(lambda_.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {}}))
    assert "RoutingConfig" not in updated
    assert updated["RevisionId"] != created["RevisionId"]
    assert refusal(lambda_.update_alias, FunctionName="f", Name="live", RevisionId=created["RevisionId"]) == STALE
    again = body(lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="2", RevisionId=updated["RevisionId"]))
    assert (again["FunctionVersion"], again["Description"]) == ("2", "d")
    for _ in range(2):
        assert lambda_.delete_alias(FunctionName="f", Name="live")["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = (404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}f:live")
    assert refusal(lambda_.get_alias, FunctionName="f", Name="live") == missing
    missing = (404, "ResourceNotFoundException", f"Alias not found: {ARN}f:live")
    assert refusal(lambda_.update_alias, FunctionName="f", Name="live", Description="x") == missing


def test_aliases_are_listed_in_pages_and_by_version(versions, lambda_):
    for i in range(5):
        create(lambda_, f"a{i}", "1" if i % 2 else "2")
    for size in (1, 2, 50):
        pages = lambda_.get_paginator("list_aliases").paginate(FunctionName="f", PaginationConfig={"PageSize": size})
        assert [alias["Name"] for page in pages for alias in page["Aliases"]] == [f"a{i}" for i in range(5)]
    listed = lambda_.list_aliases(FunctionName="f", FunctionVersion="1")["Aliases"]
    assert [alias["Name"] for alias in listed] == ["a1", "a3"]
    assert refusal(lambda_.list_aliases, FunctionName="nope") == (404, "ResourceNotFoundException", f"Function not found: {ARN}nope")


WEIGHTS = "1 validation error detected: Value '{%s}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
MAP_VALUE = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or "
    "equal to 0.0, Member must not be null]"
)


@pytest.mark.parametrize(
    "version, weights, expected",
    [
        ("1", {"1": 0.8, "2": 0.2}, (400, "InvalidParameterValueException", "Number of items in AdditionalVersionWeights cannot be greater than 1")),
        ("1", {"2": 2.0}, (400, "ValidationException", WEIGHTS % "2=2.0" + MAP_VALUE)),
        ("1", {"2": -1.0}, (400, "ValidationException", WEIGHTS % "2=-1.0" + MAP_VALUE)),
        (
            "1",
            {"1": 0.5},
            (
                400,
                "InvalidParameterValueException",
                "Invalid function version 1. Function version 1 is already included in routing configuration.",
            ),
        ),
        ("10", {"2": 0.5}, (404, "ResourceNotFoundException", f"Function not found: {ARN}f:10")),
        ("1", {"10": 0.5}, (404, "ResourceNotFoundException", f"Function not found: {ARN}f:10")),
        (
            "$LATEST",
            {"1": 0.5},
            (400, "InvalidParameterValueException", "$LATEST is not supported for an alias pointing to more than 1 version"),
        ),
        (
            "1",
            {"$LATEST": 0.5},
            (
                400,
                "ValidationException",
                WEIGHTS % "$LATEST=0.5"
                + "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
                "greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]",
            ),
        ),
    ],
)
def test_routing_that_makes_no_sense_is_refused(versions, lambda_, version, weights, expected):
    assert refusal(create, lambda_=lambda_, version=version, RoutingConfig={"AdditionalVersionWeights": weights}) == expected
    assert lambda_.list_aliases(FunctionName="f")["Aliases"] == []


def test_names_of_aliases(versions, lambda_):
    assert create(lambda_, "2024-01-02")["Name"] == "2024-01-02"
    assert refusal(create, lambda_=lambda_, name="2024")[1:] == (
        "ValidationException",
        "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression "
        "pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    )
    exists = (409, "ResourceConflictException", f"Alias already exists: {ARN}f:2024-01-02")
    assert refusal(create, lambda_=lambda_, name="2024-01-02") == exists
    missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}nope:1")
    assert refusal(lambda_.create_alias, FunctionName="nope", Name="x", FunctionVersion="1") == missing


def test_a_function_is_read_and_invoked_through_its_alias(versions, server, lambda_):
    create(lambda_)
    read = lambda_.get_function(FunctionName="f", Qualifier="live")["Configuration"]
    assert (read["FunctionArn"], read["Version"]) == (ARN + "f:live", "1")
    for arguments in ({"FunctionName": "f", "Qualifier": "live"}, {"FunctionName": ARN + "f:live"}):
        answer = lambda_.invoke(**arguments)
        assert json.loads(answer["Payload"].read()) == ["one", ARN + "f:live"]
        assert answer["ExecutedVersion"] == "1"
    lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert server.invoke("f", Qualifier="live")["Json"][0] == "two"
    create(lambda_, "latest", "$LATEST")
    assert server.invoke("f", Qualifier="latest")["ExecutedVersion"] == "$LATEST"
    lambda_.delete_alias(FunctionName="f", Name="live")
    missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}f:live")
    assert refusal(lambda_.invoke, FunctionName="f", Qualifier="live") == missing


def test_weights_choose_anew_for_every_invocation(versions, server, lambda_):
    def executed():
        return lambda_.invoke(FunctionName="f", Qualifier="live")["ExecutedVersion"]

    create(lambda_, RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    seen = set()
    wait_for(lambda: seen.add(executed()) or seen == {"1", "2"}, "both versions")
    for weight, only in ((1.0, "2"), (0.0, "1")):
        lambda_.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": weight}})
        assert {executed() for _ in range(10)} == {only}


def test_a_version_with_aliases_stays(versions, lambda_):
    create(lambda_, "a", "1")
    create(lambda_, "b", "2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.1}})
    assert refusal(lambda_.delete_function, FunctionName="f", Qualifier="1") == (
        409,
        "ResourceConflictException",
        "Unable to delete version because the following aliases reference it: [a, b]",
    )
    lambda_.delete_alias(FunctionName="f", Name="a")
    lambda_.delete_alias(FunctionName="f", Name="b")
    lambda_.delete_function(FunctionName="f", Qualifier="1")


def test_an_alias_has_a_policy_of_its_own(versions, lambda_):
    create(lambda_)
    grant = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com"}
    added = lambda_.add_permission(FunctionName="f", Qualifier="live", **grant)
    assert json.loads(added["Statement"])["Resource"] == ARN + "f:live"
    assert "s" in lambda_.get_policy(FunctionName="f", Qualifier="live")["Policy"]
    assert refusal(lambda_.get_policy, FunctionName="f")[0] == 404
    lambda_.remove_permission(FunctionName="f", Qualifier="live", StatementId="s")
    assert refusal(lambda_.get_policy, FunctionName="f", Qualifier="live")[0] == 404


def allow_public(lambda_, qualifier):
    grant = {"FunctionName": "f", "Qualifier": qualifier, "Principal": "*"}
    lambda_.add_permission(**grant, StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    # Clients of this age do not know the member; the condition is part of the statement that AWS makes of it.
    lambda_.add_permission(**grant, StatementId="invoke", Action="lambda:InvokeFunction")


def test_an_alias_has_a_url_of_its_own(versions, server, lambda_):
    create(lambda_)
    url = lambda_.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")
    assert url["FunctionArn"] == ARN + "f:live"
    host = url["FunctionUrl"].removeprefix("http://").rstrip("/")
    assert server.http("GET", "/", host=host).status == 403
    allow_public(lambda_, "live")
    assert server.http("GET", "/", host=host).json() == ["one", ARN + "f:live"]
    lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert server.http("GET", "/", host=host).json()[0] == "two"
    assert [c["FunctionArn"] for c in lambda_.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]] == [ARN + "f:live"]
    lambda_.delete_alias(FunctionName="f", Name="live")
    assert server.http("GET", "/", host=host).status == 403
    assert lambda_.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"] == []


def test_an_event_runs_through_an_alias(server, lambda_):
    server.create_function("f", {"index.py": KEEP}, Publish=True)
    create(lambda_)
    answer = lambda_.invoke(FunctionName="f", Qualifier="live", InvocationType="Event", Payload=b'{"n": 1}')
    start = f"START RequestId: {answer['ResponseMetadata']['RequestId']} Version: 1"
    wait_for(lambda: start in log_of(server, "f"), "the event to be executed")


def test_an_api_integrates_an_alias(versions, server, lambda_):
    create(lambda_)
    apis = server.client("apigatewayv2")
    api = apis.create_api(Name="a", ProtocolType="HTTP", Target=ARN + "f:live")
    host = api["ApiEndpoint"].removeprefix("http://").rstrip("/")
    assert server.http("GET", "/", host=host).status == 500
    lambda_.add_permission(
        FunctionName="f", Qualifier="live", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    assert server.http("GET", "/", host=host).json() == ["one", ARN + "f:live"]


def test_aliases_survive_a_restart(start_server):
    server = start_server()
    lambda_ = server.client("lambda")
    server.create_function("f", code("one"), Publish=True)
    create(lambda_)
    server.stop()
    server.restart()
    assert server.invoke("f", Qualifier="live")["Json"][0] == "one"
    server.client("lambda").delete_function(FunctionName="f")
    server.create_function("f", code("one"), Publish=True)
    assert server.client("lambda").list_aliases(FunctionName="f")["Aliases"] == []
