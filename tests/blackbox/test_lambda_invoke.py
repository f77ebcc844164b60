# SPDX-License-Identifier: Apache-2.0
"""Invoke: the three types, headers, logs, contexts, limits, errors."""

import base64
import json

import botocore.exceptions
import pytest

from support import wait_for, zip_bytes
from test_lambda_functions import ARN, refusal

ECHO = "def handler(event, context):\n    return event\n"


def header(answer, name):
    return answer["ResponseMetadata"]["HTTPHeaders"].get(name)


def test_a_payload_comes_back_unchanged(server):
    server.create_function("echo", {"index.py": ECHO})
    for value in ({"a": [1, 2.5, None, True, "ü\u2028"]}, [], "text", 0, None, {"deep": [[[[{}]]]]}):
        answer = server.invoke("echo", value)
        assert (answer["StatusCode"], answer["Json"], answer.get("FunctionError")) == (200, value, None)


def test_an_absent_payload_is_an_empty_object(server, lambda_):
    server.create_function("echo", {"index.py": ECHO})
    answer = lambda_.invoke(FunctionName="echo")
    assert json.loads(answer["Payload"].read()) == {}


def test_the_answers_headers_are_awss(server):
    server.create_function("echo", {"index.py": ECHO})
    trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
    answer = server.http(
        "POST", "/2015-03-31/functions/echo/invocations", b"{}", {"X-Amzn-Trace-Id": trace, "Content-Type": "application/json"}
    )
    assert answer.status == 200
    assert answer.headers["x-amz-executed-version"] == "$LATEST"
    assert answer.headers["x-amzn-remapped-content-length"] == "0"
    assert answer.headers["x-amzn-trace-id"] == trace
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["x-amzn-requestid"]) == 36
    assert "x-amz-function-error" not in answer.headers
    made = server.http("POST", "/2015-03-31/functions/echo/invocations", b"{}").headers["x-amzn-trace-id"]
    assert made.startswith("Root=1-")


def test_the_request_id_is_the_invocations(server):
    server.create_function("who", {"index.py": "def handler(event, context):\n    return context.aws_request_id\n"})
    answer = server.invoke("who")
    assert answer["Json"] == answer["ResponseMetadata"]["RequestId"]


def test_the_function_knows_the_arn_it_was_called_by(server):
    server.create_function("who", {"index.py": "def handler(event, context):\n    return context.invoked_function_arn\n"}, Publish=True)
    assert server.invoke("who")["Json"] == ARN + "who"
    assert server.invoke("who", Qualifier="$LATEST")["Json"] == ARN + "who:$LATEST"
    assert server.invoke(ARN + "who:1")["Json"] == ARN + "who:1"


def test_every_form_of_a_name_is_invoked(server):
    server.create_function("echo", {"index.py": ECHO}, Publish=True)
    for name in ("echo", "echo:$LATEST", "echo:1", "000000000000:function:echo", ARN + "echo", ARN + "echo:1"):
        answer = server.invoke(name, 5)
        assert answer["Json"] == 5
        assert answer["ExecutedVersion"] == ("1" if name.endswith(":1") else "$LATEST")


def test_dry_run_answers_204_and_runs_nothing(server, lambda_):
    server.create_function("boom", {"index.py": "raise SystemExit(1)\n"})
    answer = lambda_.invoke(FunctionName="boom", InvocationType="DryRun", Payload=b"{}")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    assert refusal(lambda_.invoke, FunctionName="nope", InvocationType="DryRun")[0] == 404


def test_the_tail_of_the_log_comes_with_the_answer(server, lambda_):
    server.create_function("loud", {"index.py": "def handler(event, context):\n    print('x' * 5000)\n    print('last words')\n"})
    answer = server.invoke("loud", LogType="Tail")
    log = base64.b64decode(answer["LogResult"])
    request_id = answer["ResponseMetadata"]["RequestId"].encode()
    assert len(log) <= 4096
    assert b"last words\n" in log
    assert b"END RequestId: " + request_id in log
    assert b"REPORT RequestId: " + request_id in log
    assert b"START" not in log, "more than the last 4 KB"
    assert "LogResult" not in server.invoke("loud", LogType="None")
    quiet = lambda_.invoke(FunctionName="loud", InvocationType="Event", LogType="Tail")
    assert "LogResult" not in quiet


def test_an_error_of_the_handler_is_a_200_with_the_error(server):
    server.create_function("broken", {"index.py": "def handler(event, context):\n    raise ValueError('no')\n"})
    answer = server.invoke("broken")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert answer["Json"]["errorType"] == "ValueError"
    assert answer["Json"]["errorMessage"] == "no"
    assert answer["Json"]["requestId"] == answer["ResponseMetadata"]["RequestId"]


def test_a_timeout_is_reported_in_awss_words(server):
    server.create_function("slow", {"index.py": "import time\ndef handler(event, context):\n    time.sleep(60)\n"}, Timeout=1)
    answer = server.invoke("slow")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Json"] == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }


# --- client context -------------------------------------------------------------------------------------------------


def test_the_client_context_reaches_the_function(server):
    code = "def handler(event, context):\n    return context.client_context.custom\n"
    server.create_function("app", {"index.py": code})
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert server.invoke("app", ClientContext=context)["Json"] == {"k": "v"}


@pytest.mark.parametrize("context", ["no base64!", base64.b64encode(b"no json").decode(), base64.b64encode(b"[1]").decode()])
def test_a_bad_client_context_is_refused(server, lambda_, context):
    server.create_function("echo", {"index.py": ECHO})
    assert refusal(lambda_.invoke, FunctionName="echo", ClientContext=context) == (
        400,
        "InvalidRequestContentException",
        "Client context must be a valid Base64-encoded JSON object.",
    )


def test_a_client_context_that_is_too_long_is_refused(server, lambda_):
    server.create_function("echo", {"index.py": ECHO})
    longest = base64.b64encode(json.dumps({"a": "x" * 2670}).encode()).decode()
    assert len(longest) <= 3583
    assert server.invoke("echo", ClientContext=longest)["StatusCode"] == 200
    too_long = base64.b64encode(json.dumps({"a": "x" * 2800}).encode()).decode()
    assert refusal(lambda_.invoke, FunctionName="echo", ClientContext=too_long)[:2] == (400, "InvalidRequestContentException")


# --- bad payloads ---------------------------------------------------------------------------------------------------

SOURCE = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: "
PARSE = "Could not parse request body into json: Could not parse payload into json: "
EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    "payload, message",
    [
        (b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt", f"Invalid UTF-8 start byte 0x87{SOURCE}3]"),
        (b"\x99\xeb,j\x07\xa1zYh", f"Unexpected character ((CTRL-CHAR, code 153)): expected a valid value {EXPECTED}{SOURCE}1]"),
        (b"hello", f"Unrecognized token 'hello': was expecting {EXPECTED}{SOURCE}6]"),
    ],
)
@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_payloads_that_are_no_json_are_refused(server, lambda_, payload, message, kind):
    server.create_function("echo", {"index.py": ECHO})
    expected = (400, "InvalidRequestContentException", PARSE + message)
    assert refusal(lambda_.invoke, FunctionName="echo", Payload=payload, InvocationType=kind) == expected


def test_json_of_100000_levels_is_refused(server, lambda_):
    server.create_function("echo", {"index.py": ECHO})
    status, code, message = refusal(lambda_.invoke, FunctionName="echo", Payload=b"[" * 100000 + b"]" * 100000)
    assert (status, code) == (400, "InvalidRequestContentException")
    assert "Document nesting depth (1001) exceeds the maximum allowed (1000" in message
    assert server.invoke("echo", b"[" * 500 + b"]" * 500)["Text"] == b"[" * 500 + b"]" * 500


def test_six_megabytes_pass_and_one_byte_more_does_not(server, lambda_):
    server.create_function("length", {"index.py": "def handler(event, context):\n    return len(event)\n"}, Timeout=30, MemorySize=512)
    limit = 6291456
    assert server.invoke("length", b'"' + b"x" * (limit - 2) + b'"')["Json"] == limit - 2
    assert refusal(lambda_.invoke, FunctionName="length", Payload=b'"' + b"x" * (limit - 1) + b'"') == (
        413,
        "RequestEntityTooLargeException",
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
    )
    assert server.invoke("length", [])["Json"] == 0


def test_an_event_may_have_one_megabyte(server, lambda_):
    server.create_function("echo", {"index.py": ECHO})
    limit = 1048576
    answer = lambda_.invoke(FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * (limit - 2) + b'"')
    assert answer["StatusCode"] == 202
    assert refusal(lambda_.invoke, FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * (limit - 1) + b'"')[0] == 413


def test_a_response_over_the_limit_is_the_functions_error(server):
    server.create_function("big", {"index.py": "def handler(event, context):\n    return 'x' * event\n"}, Timeout=30, MemorySize=512)
    assert len(server.invoke("big", 6291556 - 2)["Text"]) == 6291556
    answer = server.invoke("big", 6291557 - 2)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Json"] == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, qualifier, shown",
    [
        ("nope", None, "nope:$LATEST"),
        ("nope", "1", "nope:1"),
        ("nope", "alias", "nope:alias"),
        ("nope:$LATEST", None, "nope:$LATEST"),
        ("arn:aws:lambda:us-east-1:000000000000:function", None, "function:$LATEST"),
        ("a" * 65, None, "a" * 65 + ":$LATEST"),
    ],
)
def test_an_unknown_function_is_named_with_its_qualifier(lambda_, name, qualifier, shown):
    more = {"Qualifier": qualifier} if qualifier else {}
    assert refusal(lambda_.invoke, FunctionName=name, **more) == (404, "ResourceNotFoundException", f"Function not found: {ARN}{shown}")


def test_reserved_concurrency_of_zero_throttles(server, lambda_):
    server.create_function("closed", {"index.py": ECHO})
    lambda_.put_function_concurrency(FunctionName="closed", ReservedConcurrentExecutions=0)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        lambda_.invoke(FunctionName="closed")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    lambda_.delete_function_concurrency(FunctionName="closed")
    assert server.invoke("closed", 1)["Json"] == 1


def test_a_tenant_needs_a_function_with_tenants(server, lambda_):
    server.create_function("echo", {"index.py": ECHO})
    assert refusal(lambda_.invoke, FunctionName="echo", TenantId="blue")[:2] == (400, "InvalidParameterValueException")


# --- events ---------------------------------------------------------------------------------------------------------

KEEP = """
import urllib.request
def handler(event, context):
    print("ran with", event)
"""


def log_of(server, name):
    parts = [path.read_text(errors="replace") for path in (server.data / "logs").rglob("*") if path.is_file() and name in str(path)]
    return "\n".join(parts)


def test_an_event_is_accepted_and_executed(server, lambda_):
    server.create_function("later", {"index.py": KEEP})
    answer = lambda_.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"n": 7}')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert header(answer, "x-amzn-remapped-content-length") == "0"
    assert "ExecutedVersion" not in answer
    request_id = answer["ResponseMetadata"]["RequestId"]
    wait_for(lambda: f"START RequestId: {request_id}" in log_of(server, "later"), "the event to be executed")
    wait_for(lambda: "ran with {'n': 7}" in log_of(server, "later"), "its output")


def test_invoke_async_is_served(server, lambda_):
    server.create_function("older", {"index.py": KEEP})
    answer = lambda_.invoke_async(FunctionName="older", InvokeArgs=b'{"n": 8}')
    assert answer["Status"] == 202
    wait_for(lambda: "ran with {'n': 8}" in log_of(server, "older"), "the event to be executed")


def test_accepted_events_survive_kill_9(start_server):
    server = start_server()
    # The first event occupies the one instance that there may be, so that the second is in the queue until after the restart.
    slow = "import time\ndef handler(event, context):\n    print('ran with', event)\n    time.sleep(event.get('sleep', 0))\n"
    server.create_function("later", {"index.py": slow}, Timeout=10)
    client = server.client("lambda")
    client.put_function_concurrency(FunctionName="later", ReservedConcurrentExecutions=1)
    for payload in (b'{"sleep": 3}', b'{"n": 9}'):
        assert client.invoke(FunctionName="later", InvocationType="Event", Payload=payload)["StatusCode"] == 202
    server.kill()
    assert "ran with {'n': 9}" not in log_of(server, "later")
    server.restart()
    wait_for(lambda: "ran with {'n': 9}" in log_of(server, "later"), "the event to be executed after the restart")


def test_a_client_that_goes_away_leaves_the_server_well(server):
    import socket

    server.create_function("slow", {"index.py": "import time\ndef handler(event, context):\n    time.sleep(0.3)\n    return 1\n"})
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /2015-03-31/functions/slow/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    assert server.invoke("slow", {})["Json"] == 1


# --- code updates ---------------------------------------------------------------------------------------------------


def test_new_code_answers_after_the_update(server, lambda_):
    server.create_function("versioned", {"index.py": "def handler(e, c): return 'old'\n"})
    assert server.invoke("versioned")["Json"] == "old"
    lambda_.update_function_code(FunctionName="versioned", ZipFile=zip_bytes({"index.py": "def handler(e, c): return 'new'\n"}))
    assert server.invoke("versioned")["Json"] == "new"
    lambda_.update_function_configuration(FunctionName="versioned", Handler="index.other")
    assert server.invoke("versioned")["FunctionError"] == "Unhandled"


def test_environment_variables_reach_the_function_and_change(server, lambda_):
    code = "import os\ndef handler(event, context):\n    return os.environ.get('COLOUR')\n"
    server.create_function("env", {"index.py": code}, Environment={"Variables": {"COLOUR": "grün=1 'x'"}})
    assert server.invoke("env")["Json"] == "grün=1 'x'"
    lambda_.update_function_configuration(FunctionName="env", Environment={"Variables": {"COLOUR": "blau"}})
    assert server.invoke("env")["Json"] == "blau"
    lambda_.update_function_configuration(FunctionName="env", Environment={})
    assert server.invoke("env")["Json"] is None
