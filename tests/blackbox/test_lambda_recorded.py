# SPDX-License-Identifier: Apache-2.0
"""Answers recorded from AWS (../shared/data/aws-recorded), replayed: which members an answer has, which of them are constant, and
how bad names are refused. The recordings hold placeholders for what changes; they are no part of this tree."""

import json
import re

import botocore.exceptions
import pytest

from support import ROOT, zip_bytes
from test_lambda_functions import ECHO, body, minimal

FILE = ROOT.parent / "shared" / "data" / "aws-recorded" / "test_lambda_api.snapshot.json"
ACCOUNT = "111111111111"
RECORDED = json.loads(FILE.read_text()) if FILE.exists() else {}
pytestmark = pytest.mark.skipif(not RECORDED, reason=f"the recordings are not at {FILE}")


def recorded(case):
    return next((entry["recorded-content"] for name, entry in RECORDED.items() if name.endswith("::" + case)), {})


def fill(text):
    """The recording's placeholders that have one possible value here."""
    text = text.replace("<partition>", "aws").replace("<region>", "us-east-1")
    return re.sub(r"<(.):len\((\d+)\)>", lambda match: match[1] * int(match[2]), text)


# --- names -------------------------------------------------------------------------------------------------------------


def name_cases():
    for name, entry in RECORDED.items():
        case = re.search(r"function_name_and_qualifier_validation\[(.*)-(get_function|delete_function|invoke|create_function)\]$", name)
        if not case:
            continue
        for answer in entry["recorded-content"].values():
            errors = answer.get("Errors", [])
            value = re.match(r"Value '(.*)' at '(functionName|qualifier)' failed", errors[0]) if len(errors) == 1 else None
            if value:
                yield pytest.param(case[2], value[2], fill(value[1]), answer["Code"], fill(errors[0]), id=f"{case[1]}-{case[2]}")


@pytest.mark.parametrize("operation, member, value, code, message", list(name_cases()))
def test_bad_names_are_refused_in_the_recorded_words(server, operation, member, value, code, message):
    client = server.client("lambda", account=ACCOUNT)
    arguments = {"FunctionName": value} if member == "functionName" else {"FunctionName": "my-function", "Qualifier": value}
    if operation == "create_function":
        arguments = {**minimal("x", Role=f"arn:aws:iam::{ACCOUNT}:role/x"), **arguments}
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(client, operation)(**arguments)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, f"1 validation error detected: {message}")


# --- shapes --------------------------------------------------------------------------------------------------------------

PLACEHOLDER = re.compile(r"date|datetime|lambda-url|.*<.*", re.DOTALL)


def compare(expected, found, path, problems):
    """Same members; same values where the recording has no placeholder."""
    if isinstance(expected, dict):
        for key in sorted(set(expected) ^ set(found)):
            problems.append(f"{path}.{key}: {'missing' if key in expected else 'not recorded'}")
        for key in set(expected) & set(found):
            compare(expected[key], found[key], f"{path}.{key}", problems)
    elif isinstance(expected, list):
        if len(expected) != len(found):
            problems.append(f"{path}: {len(found)} items, recorded {len(expected)}")
        for i, (one, other) in enumerate(zip(expected, found)):
            compare(one, other, f"{path}[{i}]", problems)
    elif expected != found and not (isinstance(expected, str) and PLACEHOLDER.fullmatch(expected)):
        problems.append(f"{path}: {found!r}, recorded {expected!r}")


def assert_as_recorded(expected, answer, path):
    expected = {key: value for key, value in expected.items() if key != "ResponseMetadata"}
    problems = []
    compare(expected, body(answer), path, problems)
    assert not problems, "\n".join(problems)


def test_the_life_of_a_function_has_the_recorded_shapes(server, lambda_):
    steps = recorded("test_function_lifecycle")
    # Recorded with python3.12, then 3.11; this machine has one Python.
    plain = json.loads(json.dumps(steps).replace("python3.12", "python3.11"))
    name = "lifecycle"
    arguments = minimal(name, Handler="handler.handler", MemorySize=256, Timeout=5, Environment={"Variables": {}})
    created = lambda_.create_function(**arguments)
    assert_as_recorded(plain["create_response"]["CreateFunctionResponse"], created, "create")
    assert_as_recorded(plain["get_function_response"], lambda_.get_function(FunctionName=name), "get")
    updated = lambda_.update_function_configuration(
        FunctionName=name, Description="Changed-Description", MemorySize=512, Timeout=10, Environment={"Variables": {"ENV_A": "a"}}
    )
    assert_as_recorded(plain["update_func_conf_response"], updated, "update configuration")
    assert_as_recorded(plain["get_function_response_postupdate"], lambda_.get_function(FunctionName=name), "get after update")
    code = lambda_.update_function_code(FunctionName=name, ZipFile=zip_bytes({**ECHO, "x": "y"}))
    assert_as_recorded(plain["update_code_response"], code, "update code")
    assert_as_recorded(plain["get_function_response_postcodeupdate"], lambda_.get_function(FunctionName=name), "get after code")
    deleted = lambda_.delete_function(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == plain["delete_response"]["ResponseMetadata"]["HTTPStatusCode"]
    assert deleted["StatusCode"] == plain["delete_response"]["StatusCode"]


def test_publishing_with_an_update_has_the_recorded_shapes(server, lambda_):
    steps = json.loads(json.dumps(recorded("test_publish_with_update")).replace("python3.12", "python3.11"))
    name = "published"
    assert_as_recorded(steps["create_response"], lambda_.create_function(**minimal(name)), "create")
    assert_as_recorded(steps["get_function_result"], lambda_.get_function(FunctionName=name), "get")
    updated = lambda_.update_function_code(FunctionName=name, ZipFile=zip_bytes({**ECHO, "x": "y"}), Publish=True)
    assert_as_recorded(steps["update_function_code_result"], updated, "update")


def test_account_settings_have_the_recorded_members(lambda_):
    expected = recorded("test_account_settings")["acc_settings_modded"]
    answer = body(lambda_.get_account_settings())
    assert {key: sorted(value) for key, value in answer.items()} == {key: expected[key] for key in ("AccountLimit", "AccountUsage")}


def test_a_url_configuration_has_the_recorded_shapes(server, lambda_):
    steps = recorded("test_url_config_lifecycle")
    server.create_function("url", ECHO)
    assert_as_recorded(steps["url_creation"], lambda_.create_function_url_config(FunctionName="url", AuthType="NONE"), "create")
    assert_as_recorded(steps["get_url_config"], lambda_.get_function_url_config(FunctionName="url"), "get")
    updated = lambda_.update_function_url_config(FunctionName="url", AuthType="AWS_IAM")
    assert_as_recorded(steps["updated_url_config"], updated, "update")


# --- the replay ----------------------------------------------------------------------------------------------------------
#
# One table for what needs no test of its own: the calls of a case in order, with the recording's name for each answer. "f" is a
# function with the versions 1 and 2.


def answer_of(call, arguments):
    """A call's answer or refusal, in the recording's form: members, and the status."""
    try:
        answer = call(**arguments)
    except botocore.exceptions.ClientError as error:
        answer = error.response
    return body(answer), answer["ResponseMetadata"]["HTTPStatusCode"]


def alias(name, version, **more):
    return {"FunctionName": "f", "Name": name, "FunctionVersion": version, **more}


def routed(name, version, weights):
    return alias(name, version, RoutingConfig={"AdditionalVersionWeights": weights})


F, NOPE, ONE = {"FunctionName": "f"}, {"FunctionName": "doesnotexist"}, {"ProvisionedConcurrentExecutions": 1}
NAMED = F | {"Name": "aliasname1_1"}
REPLAYS = {
    "test_alias_lifecycle": [
        ("create_alias_1_1", "create_alias", routed("aliasname1_1", "1", {"2": 0.2}) | {"Description": "custom-alias"}),
        ("get_alias_1_1", "get_alias", NAMED),
        ("get_function_alias_notfound_exc", "get_function", {"FunctionName": "f", "Qualifier": "aliasdoesnotexist"}),
        ("create_alias_1_2", "create_alias", alias("aliasname1_2", "1", Description="custom-alias")),
        ("create_alias_1_3", "create_alias", alias("aliasname1_3", "1")),
        ("create_alias_2", "create_alias", alias("aliasname2", "2", Description="custom-alias")),
        ("list_aliases_for_fnname", "list_aliases", {"FunctionName": "f"}),
        ("update_alias_1_1", "update_alias", NAMED | {"RoutingConfig": {"AdditionalVersionWeights": {}}}),
        ("get_alias_1_1_after_update", "get_alias", NAMED),
        ("list_aliases_for_version", "list_aliases", {"FunctionName": "f", "FunctionVersion": "1"}),
        ("delete_alias_response", "delete_alias", NAMED),
        ("list_aliases_for_fnname_afterdelete", "list_aliases", {"FunctionName": "f"}),
    ],
    "test_notfound_and_invalid_routingconfigs": [
        ("routing_config_exc_toomany", "create_alias", routed("custom", "1", {"1": 0.5, "2": 0.5})),
        ("routing_config_exc_toohigh", "create_alias", routed("custom", "1", {"2": 2.0})),
        ("routing_config_exc_subzero", "create_alias", routed("custom", "1", {"2": -1.0})),
        ("routing_config_exc_sameversion", "create_alias", routed("custom", "1", {"1": 0.5})),
        ("target_version_doesnotexist", "create_alias", routed("custom", "10", {"2": 0.5})),
        ("routing_config_exc_version_doesnotexist", "create_alias", routed("custom", "1", {"10": 0.5})),
        ("routing_config_exc_version_latest", "create_alias", routed("custom", "1", {"$LATEST": 0.5})),
        ("create-alias-latest", "create_alias", alias("custom-latest", "$LATEST")),
        ("create_alias_empty_routingconfig", "create_alias", alias("custom-empty-routingconfig", "1", RoutingConfig={})),
        ("create_alias_response", "create_alias", routed("custom", "1", {"2": 0.5})),
        ("routing_config_exc_already_exist", "create_alias", routed("custom", "1", {"2": 0.5})),
        ("alias_does_not_exist_esc", "get_alias", {"FunctionName": "f", "Name": "non-existent"}),
    ],
    "test_lambda_eventinvokeconfig_lifecycle": [
        ("put_invokeconfig_retries_0", "put_function_event_invoke_config", F | {"MaximumRetryAttempts": 0}),
        ("put_invokeconfig_eventage_60", "put_function_event_invoke_config", F | {"MaximumEventAgeInSeconds": 60}),
        ("update_invokeconfig_eventage_nochange", "update_function_event_invoke_config", F | {"MaximumEventAgeInSeconds": 60}),
        ("update_invokeconfig_retries", "update_function_event_invoke_config", F | {"MaximumRetryAttempts": 1}),
        ("get_invokeconfig", "get_function_event_invoke_config", F),
        ("get_invokeconfig_latest", "get_function_event_invoke_config", F | {"Qualifier": "$LATEST"}),
        ("list_single_invokeconfig", "list_function_event_invoke_configs", F),
        ("get_invokeconfig_postpublish", "get_function_event_invoke_config", F | {"Qualifier": "1"}),
        ("put_published_invokeconfig", "put_function_event_invoke_config", F | {"Qualifier": "1", "MaximumEventAgeInSeconds": 120}),
        ("get_published_invokeconfig", "get_function_event_invoke_config", F | {"Qualifier": "1"}),
    ],
    "test_provisioned_concurrency_exceptions": [
        ("get_provisioned_config_doesnotexist", "get_provisioned_concurrency_config", F | {"Qualifier": "1"}),
        ("get_provisioned_functionname_doesnotexist", "get_provisioned_concurrency_config", NOPE | {"Qualifier": "noalias"}),
        ("get_provisioned_qualifier_doesnotexist", "get_provisioned_concurrency_config", F | {"Qualifier": "noalias"}),
        ("get_provisioned_version_doesnotexist", "get_provisioned_concurrency_config", F | {"Qualifier": "10"}),
        ("get_provisioned_latest", "get_provisioned_concurrency_config", F | {"Qualifier": "$LATEST"}),
        ("list_provisioned_noconfigs", "list_provisioned_concurrency_configs", F),
        ("list_provisioned_functionname_doesnotexist", "list_provisioned_concurrency_configs", NOPE),
        ("delete_provisioned_functionname_doesnotexist", "delete_provisioned_concurrency_config", NOPE | {"Qualifier": "1"}),
        ("delete_provisioned_latest", "delete_provisioned_concurrency_config", F | {"Qualifier": "$LATEST"}),
        ("delete_provisioned_config_doesnotexist", "delete_provisioned_concurrency_config", F | {"Qualifier": "1"}),
        ("put_provisioned_version_doesnotexist", "put_provisioned_concurrency_config", F | {"Qualifier": "10"} | ONE),
        ("put_provisioned_latest", "put_provisioned_concurrency_config", F | {"Qualifier": "$LATEST"} | ONE),
    ],
    "test_non_existent_alias_deletion": [("delete_alias_response", "delete_alias", NAMED)],
    "test_non_existent_alias_update": [
        ("update_alias_response", "update_alias", {"FunctionName": "f", "Name": "non-existent", "Description": "x"})
    ],
}


def same_account(expected):
    """The recording with this test's names instead of its placeholders."""
    text = json.dumps(expected).replace("<function-name:1>", "f")
    return json.loads(fill(text).replace("111111111111", "000000000000"))


@pytest.mark.parametrize("case", REPLAYS)
def test_recorded_calls_have_the_recorded_answers(server, lambda_, case):
    server.create_function("f", ECHO, Publish=True)
    lambda_.update_function_code(FunctionName="f", ZipFile=zip_bytes({**ECHO, "x": "y"}), Publish=True)
    problems = []
    steps = recorded(case)
    for step, method, arguments in REPLAYS[case]:
        expected = same_account(steps[step])
        found, status = answer_of(getattr(lambda_, method), arguments)
        wanted = expected.get("ResponseMetadata", {}).get("HTTPStatusCode", status)  # lists were recorded without
        if status != wanted:
            problems.append(f"{step}: status {status}, recorded {wanted}")
        compare({key: value for key, value in expected.items() if key != "ResponseMetadata"}, found, step, problems)
    print(f"{case}: {len(REPLAYS[case])} calls tried, {len({problem.split(':')[0].split('.')[0] for problem in problems})} different")
    assert not problems, "\n".join(problems)
