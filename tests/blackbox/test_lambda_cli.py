# SPDX-License-Identifier: Apache-2.0
"""The unmodified `aws` command: the daily path through every operation of the slice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import PATIENCE, ROLE, zip_bytes

AWS = shutil.which("aws", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])


@pytest.fixture
def aws(server, tmp_path):
    assert AWS, "the aws command is not installed; `make deps-test` installs it"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*arguments, fails=None):
        answer = subprocess.run(
            [AWS, "--endpoint-url", server.url, "--output", "json", *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE,
        )
        if fails:
            assert answer.returncode != 0
            assert fails in answer.stderr
            return answer.stderr
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout) if answer.stdout.strip() else None

    run.folder = Path(tmp_path)
    return run


def test_the_life_of_a_function(aws):
    def write(text):
        (aws.folder / "code.zip").write_bytes(zip_bytes({"index.py": f"def handler(event, context):\n    print('called')\n    return [{text!r}, event]\n"}))

    write("one")
    created = aws(
        "lambda", "create-function", "--function-name", "hello", "--runtime", "python3.11", "--handler", "index.handler",
        "--role", ROLE, "--zip-file", "fileb://code.zip", "--environment", "Variables={GREETING=hi}", "--tags", "team=a",
    )
    assert created["State"] == "Pending"
    aws("lambda", "wait", "function-active-v2", "--function-name", "hello")

    def invoke(*more):
        answer = aws("lambda", "invoke", "--function-name", "hello", "--payload", '{"n": 1}', *more, "out.json")
        return answer, (aws.folder / "out.json").read_text()

    answer, out = invoke("--log-type", "Tail")
    assert json.loads(out) == ["one", {"n": 1}]
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["LogResult"]
    assert invoke("--invocation-type", "Event")[0] == {"StatusCode": 202}
    assert invoke("--invocation-type", "DryRun")[0] == {"StatusCode": 204}

    assert aws("lambda", "get-function-configuration", "--function-name", "hello")["Environment"]["Variables"] == {"GREETING": "hi"}
    write("two")
    aws("lambda", "update-function-code", "--function-name", "hello", "--zip-file", "fileb://code.zip")
    aws("lambda", "wait", "function-updated-v2", "--function-name", "hello")
    assert json.loads(invoke()[1])[0] == "two"
    aws("lambda", "update-function-configuration", "--function-name", "hello", "--timeout", "10", "--memory-size", "256")
    function = aws("lambda", "get-function", "--function-name", "hello")
    assert (function["Configuration"]["Timeout"], function["Configuration"]["MemorySize"]) == (10, 256)
    assert function["Tags"] == {"team": "a"}
    assert [f["FunctionName"] for f in aws("lambda", "list-functions")["Functions"]] == ["hello"]
    assert aws("lambda", "publish-version", "--function-name", "hello")["Version"] == "1"
    assert len(aws("lambda", "list-versions-by-function", "--function-name", "hello")["Versions"]) == 2
    assert aws("lambda", "get-account-settings")["AccountUsage"]["FunctionCount"] == 1
    aws("lambda", "delete-function", "--function-name", "hello")
    aws("lambda", "get-function", "--function-name", "hello", fails="ResourceNotFoundException")


def test_permissions_urls_tags_and_concurrency(aws, server):
    (aws.folder / "code.zip").write_bytes(zip_bytes({"index.py": "def handler(event, context):\n    return event['rawPath']\n"}))
    arn = aws(
        "lambda", "create-function", "--function-name", "web", "--runtime", "python3.11", "--handler", "index.handler",
        "--role", ROLE, "--zip-file", "fileb://code.zip",
    )["FunctionArn"]
    url = aws("lambda", "create-function-url-config", "--function-name", "web", "--auth-type", "NONE")["FunctionUrl"]
    aws(
        "lambda", "add-permission", "--function-name", "web", "--statement-id", "a", "--action", "lambda:InvokeFunctionUrl",
        "--principal", "*", "--function-url-auth-type", "NONE",
    )
    aws(
        "lambda", "add-permission", "--function-name", "web", "--statement-id", "b", "--action", "lambda:InvokeFunction",
        "--principal", "*", "--invoked-via-function-url",
    )
    assert len(json.loads(aws("lambda", "get-policy", "--function-name", "web")["Policy"])["Statement"]) == 2
    host = url.removeprefix("http://").rstrip("/")
    assert server.http("GET", "/there", host=host).text == "/there"
    aws("lambda", "remove-permission", "--function-name", "web", "--statement-id", "b")
    assert server.http("GET", "/there", host=host).status == 403
    aws("lambda", "update-function-url-config", "--function-name", "web", "--cors", "AllowOrigins=*")
    assert aws("lambda", "get-function-url-config", "--function-name", "web")["Cors"] == {"AllowOrigins": ["*"]}
    assert len(aws("lambda", "list-function-url-configs", "--function-name", "web")["FunctionUrlConfigs"]) == 1
    aws("lambda", "delete-function-url-config", "--function-name", "web")
    aws("lambda", "tag-resource", "--resource", arn, "--tags", "a=1,b=2")
    aws("lambda", "untag-resource", "--resource", arn, "--tag-keys", "a")
    assert aws("lambda", "list-tags", "--resource", arn)["Tags"] == {"b": "2"}
    aws("lambda", "put-function-concurrency", "--function-name", "web", "--reserved-concurrent-executions", "5")
    assert aws("lambda", "get-function-concurrency", "--function-name", "web") == {"ReservedConcurrentExecutions": 5}
    aws("lambda", "delete-function-concurrency", "--function-name", "web")


def test_identity_and_roles(aws):
    assert aws("sts", "get-caller-identity") == {
        "UserId": "000000000000",
        "Account": "000000000000",
        "Arn": "arn:aws:iam::000000000000:root",
    }
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    (aws.folder / "trust.json").write_text(json.dumps(trust))
    role = aws("iam", "create-role", "--role-name", "cli", "--assume-role-policy-document", "file://trust.json")["Role"]
    assert role["Arn"] == "arn:aws:iam::000000000000:role/cli"
    assert aws("iam", "get-role", "--role-name", "cli")["Role"]["AssumeRolePolicyDocument"] == trust
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    aws("iam", "attach-role-policy", "--role-name", "cli", "--policy-arn", basic)
    aws("iam", "delete-role", "--role-name", "cli", fails="DeleteConflict")
    aws("iam", "detach-role-policy", "--role-name", "cli", "--policy-arn", basic)
    aws("iam", "delete-role", "--role-name", "cli")
    aws("iam", "get-role", "--role-name", "cli", fails="NoSuchEntity")
