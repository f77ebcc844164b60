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

PLACEHOLDER = re.compile(r"date|lambda-url|.*<.*", re.DOTALL)


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
