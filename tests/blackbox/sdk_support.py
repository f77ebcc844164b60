# SPDX-License-Identifier: Apache-2.0
"""Functions with AWS's SDK for Python in them: the one that the tests use themselves, zipped with a handler that calls what it is told."""

import functools
from pathlib import Path

import boto3

from support import zip_bytes

SERVICES = ("sqs", "s3", "sts", "lambda", "logs", "iam")

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
