# SPDX-License-Identifier: Apache-2.0
"""What a function can do with the AWS APIs, by SDKs that were told nothing: no endpoint, no keys, no region. And what it cannot.

The SDK for Python is the one that the tests use themselves, zipped with the function.
"""

import functools
import json
from pathlib import Path

import boto3
import pytest

from support import ROLE, wait_for, zip_bytes

SERVICES = ("sqs", "s3", "sts", "lambda", "logs", "iam")
ACCOUNT = "000000000000"

HANDLER = """
import http.client, json, os, socket
import boto3, botocore.exceptions

def plain(value):
    return value if isinstance(value, (str, int, float, bool, type(None))) else (
        {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else
        [plain(item) for item in value] if isinstance(value, (list, tuple)) else
        value.read().decode() if hasattr(value, "read") else str(value))

def call(service, operation, more=None, client=None):
    try:
        return plain(getattr(boto3.client(service, **(client or {})), operation)(**(more or {})))
    except botocore.exceptions.ClientError as error:
        return {"error": error.response["Error"]["Code"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
                "message": error.response["Error"].get("Message", "")}

def request(method, path, headers=None, body=None, port=4566):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return {"status": answer.status, "body": answer.read().decode(errors="replace"), "type": answer.getheader("x-amzn-ErrorType")}

def handler(event, context):
    do = event.pop("do")
    if do == "calls":
        return [call(*each) for each in event["calls"]]
    if do == "requests":
        return [request(**each) for each in event["requests"]]
    if do == "variables":
        return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return globals()[do](**event)
"""


@functools.cache
def package():
    """The SDK as {name: bytes}, with the services that are used here."""
    site, found = Path(boto3.__file__).parents[1], {}
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six.py"):
        for path in [site / name, *sorted((site / name).rglob("*"))]:
            inside = path.relative_to(site).parts
            if not path.is_file() or "__pycache__" in inside or inside[:2] == ("boto3", "examples"):
                continue
            if inside[:2] == ("botocore", "data") and len(inside) > 3 and inside[2] not in SERVICES:
                continue
            found["/".join(inside)] = path.read_bytes()
    return found


@functools.cache
def code(more=""):
    return zip_bytes({**package(), "index.py": HANDLER + more})


@pytest.fixture
def function(server):
    """make(name, more source, **options) -> call(what) of a function with the SDK in it."""

    def make(name, more="", **options):
        server.create_function(name, code(more), "python3.11", **{"Timeout": 60, "MemorySize": 256, **options})

        def ask(do, **event):
            answer = server.invoke(name, {"do": do, **event})
            assert "FunctionError" not in answer, answer["Json"]
            return answer["Json"]

        return ask

    return make


def calls(ask, *each):
    return ask("calls", calls=each)


# --- what works ---------------------------------------------------------------------------------------------------------


def test_a_function_is_its_role_by_name(function):
    ask = function("who")
    (identity,) = calls(ask, ("sts", "get_caller_identity"))
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/test/who"
    assert identity["Account"] == ACCOUNT
    assert identity["UserId"].endswith(":who")


def test_what_a_function_is_given(function):
    variables = function("given")("variables")
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA") and len(variables["AWS_ACCESS_KEY_ID"]) == 20
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) == 40
    assert len(variables["AWS_SESSION_TOKEN"]) > 100
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"
