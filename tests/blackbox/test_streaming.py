# SPDX-License-Identifier: Apache-2.0
"""Streamed answers from the function to the caller: InvokeWithResponseStream as boto3 reads it, function URLs with RESPONSE_STREAM,
callers that want the answer whole, errors before, in and after the stream, callers that leave or read slowly.

STREAMER is a runtime whose events say what to stream: {"type": content type, "parts": [[text, times], ...], "wait": seconds after
each part, "error": [type, body], "end": "exit" | "hang" | "cut"}."""

import base64
import fcntl
import http.client
import itertools
import json
import socket
import struct
import termios
import time

import botocore.exceptions
import pytest

from support import PATIENCE, SANITIZED, descendants, wait_for

STREAMER = r'''#!/usr/bin/python3
import base64, json, os, socket, sys, time
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime/invocation/"

def connect():
    return socket.create_connection((HOST, int(PORT))).makefile("rwb")

def answer(f):
    status = int(f.readline().split()[1])
    headers = {}
    while (line := f.readline().strip()):
        k, v = line.decode("latin-1").split(":", 1)
        headers[k.lower()] = v.strip()
    return status, headers, f.read(int(headers.get("content-length", 0)))

def chunk(f, data):
    f.write(b"%%x\r\n%%s\r\n" %% (len(data), data)); f.flush()

while True:
    f = connect()
    f.write(f"GET {BASE}next HTTP/1.1\r\nHost: x\r\n\r\n".encode()); f.flush()
    status, headers, body = answer(f)
    event = json.loads(body)
    if "requestContext" in event: event = json.loads(event.get("body") or "{}")
    request = headers["lambda-runtime-aws-request-id"]
    mode = "" if event.get("buffered") else "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
    if event.get("before"):
        text = json.dumps({"errorType": "Early", "errorMessage": "m"}).encode()
        f.write(f"POST {BASE}{request}/error HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n"
                f"Lambda-Runtime-Function-Error-Type: Function.Early\r\n\r\n".encode() + text); f.flush()
        answer(f)
        continue
    f.write(f"POST {BASE}{request}/response HTTP/1.1\r\nHost: x\r\n{mode}Content-Type: {event.get('type', 'text/plain')}\r\n"
            "Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n".encode())
    f.flush()
    try:
        for text, times in event.get("parts", []):
            data = text.encode("latin-1") * times
            for at in range(0, len(data), 65536): chunk(f, data[at:at + 65536])
            print("sent", text[:20], flush=True)
            time.sleep(event.get("wait", 0))
        if event.get("end") == "exit": os._exit(3)
        if event.get("end") == "hang": time.sleep(1000)
        if event.get("end") == "cut":
            f.close()
            continue
        f.write(b"0\r\n")
        if event.get("error"):
            kind, text = event["error"]
            f.write(f"Lambda-Runtime-Function-Error-Type: {kind}\r\n"
                    f"Lambda-Runtime-Function-Error-Body: {base64.b64encode(text.encode()).decode()}\r\n".encode())
        f.write(b"\r\n"); f.flush()
        print("answered", answer(f)[0], flush=True)
    except OSError as error:
        print("broken", error, flush=True)
'''.replace("%%", "%")

INTEGRATION = "application/vnd.awslambda.http-integration-response"
numbers = itertools.count()


@pytest.fixture
def streamer(server):
    name = f"streamer-{next(numbers)}"
    server.create_function(name, {"bootstrap": STREAMER}, runtime="provided.al2023", handler="x", Timeout=30, MemorySize=256)
    return name


def url_of(server, name, mode="RESPONSE_STREAM"):
    client = server.client("lambda")
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE", InvokeMode=mode)["FunctionUrl"]
    client.add_permission(FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    client.add_permission(FunctionName=name, StatementId="url2", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    return url.split("//")[1].strip("/")


def stream(server, name, event, **more):
    """(response, payload bytes, InvokeComplete)"""
    answer = server.client("lambda").invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **more)
    payload, complete = b"", None
    for item in answer["EventStream"]:
        assert complete is None, "something after InvokeComplete"
        if "PayloadChunk" in item:
            payload += item["PayloadChunk"]["Payload"]
        else:
            complete = item["InvokeComplete"]
    return answer, payload, complete


def test_boto3_reads_a_stream(server, streamer):
    answer, payload, complete = stream(server, streamer, {"parts": [["one,", 1], ["two", 1]]}, LogType="Tail")
    assert payload == b"one,two"
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    assert "ErrorCode" not in complete
    log = base64.b64decode(complete["LogResult"]).decode()
    assert "sent one," in log and "REPORT RequestId" in log


def test_a_large_stream_arrives_whole(server, streamer):
    _, payload, complete = stream(server, streamer, {"parts": [["0123456789abcdef", 640 * 1024], ["\u00ff\0\r\n", 3]]})
    assert payload == b"0123456789abcdef" * 640 * 1024 + b"\xff\0\r\n" * 3 and complete == {}


def test_a_function_that_does_not_stream(server, streamer):
    _, payload, complete = stream(server, streamer, {"buffered": True, "parts": [["x", 300000]]})
    assert payload == b"x" * 300000 and complete == {}
    _, payload, complete = stream(server, streamer, {"parts": []})
    assert payload == b"" and complete == {}


def test_parts_arrive_while_the_function_still_runs(server, streamer):
    answer = server.client("lambda").invoke_with_response_stream(
        FunctionName=streamer, Payload=json.dumps({"parts": [["first", 1], ["last", 1]], "wait": 2}))
    events = iter(answer["EventStream"])
    assert next(events)["PayloadChunk"]["Payload"] == b"first"
    assert "sent last" not in server.cli("logs", streamer).stdout
    assert next(events)["PayloadChunk"]["Payload"] == b"last"


def test_errors_in_the_stream_come_at_its_end(server, streamer):
    _, payload, complete = stream(server, streamer, {"parts": [["some", 1]], "error": ["Function.Mine", '{"errorMessage":"late"}']})
    assert payload == b"some"
    assert complete["ErrorCode"] == "Function.Mine" and json.loads(complete["ErrorDetails"]) == {"errorMessage": "late"}


def test_an_error_before_the_stream(server, streamer):
    _, payload, complete = stream(server, streamer, {"before": True})
    assert payload == b"" and complete["ErrorCode"] == "Function.Early"
    assert json.loads(complete["ErrorDetails"])["errorType"] == "Early"


def test_a_crash_in_the_stream(server, streamer):
    _, payload, complete = stream(server, streamer, {"parts": [["some", 1]], "end": "exit"})
    assert payload in (b"some", b"") and complete["ErrorCode"] == "Runtime.ExitError"
    assert "exit status 3" in json.loads(complete["ErrorDetails"])["errorMessage"]


def test_a_connection_lost_in_the_stream(server, streamer):
    _, payload, complete = stream(server, streamer, {"parts": [["some", 1]], "end": "cut"})
    assert payload == b"some" and complete["ErrorCode"] == "Runtime.TruncatedResponse"


def test_a_time_out_in_the_stream(server, streamer):
    server.client("lambda").update_function_configuration(FunctionName=streamer, Timeout=1)
    wait_for(lambda: server.client("lambda").get_function_configuration(FunctionName=streamer)["LastUpdateStatus"] == "Successful")
    _, payload, complete = stream(server, streamer, {"parts": [["some", 1]], "end": "hang"})
    assert payload == b"some" and complete["ErrorCode"] == "Sandbox.Timedout"
    assert json.loads(complete["ErrorDetails"])["errorMessage"].endswith("Task timed out after 1.00 seconds")


def test_refusals_are_those_of_invoke(server, streamer):
    client = server.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_with_response_stream(FunctionName="nosuch", Payload="{}")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke_with_response_stream(FunctionName=streamer, Payload="{nonsense")
    with pytest.raises(botocore.exceptions.ClientError, match="ResponseStreamingInvocationType|InvocationType|enum"):
        client.invoke_with_response_stream(FunctionName=streamer, InvocationType="Event", Payload="{}")
    assert client.invoke_with_response_stream(FunctionName=streamer, InvocationType="DryRun", Payload="{}")["StatusCode"] == 204
    client.put_function_concurrency(FunctionName=streamer, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke_with_response_stream(FunctionName=streamer, Payload="{}")


def test_invoke_gets_the_concatenation(server, streamer):
    answer = server.invoke(streamer, {"parts": [["one,", 1], ["two", 1]]})
    assert answer["Text"] == b"one,two" and "FunctionError" not in answer
    answer = server.invoke(streamer, {"parts": [["some", 1]], "error": ["Function.Mine", '{"errorMessage":"late"}']})
    assert answer["FunctionError"] == "Unhandled" and answer["Json"] == {"errorMessage": "late"}
    answer = server.invoke(streamer, {"parts": [["x", 6291557]]})
    assert answer["Json"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_caller_that_leaves_does_not_disturb_the_function(server, streamer):
    answer = server.client("lambda").invoke_with_response_stream(
        FunctionName=streamer, Payload=json.dumps({"parts": [["first", 1], ["0123456789", 1 << 20], ["last", 1]]}))
    next(iter(answer["EventStream"]))
    answer["EventStream"].close()
    wait_for(lambda: "answered 202" in server.cli("logs", streamer).stdout, "the function to end")
    assert stream(server, streamer, {"parts": [["sound", 1]]})[1] == b"sound"


def queued(sock):
    """Bytes that wait in the socket."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"0000"))[0]


def server_memory(server):
    """Resident bytes of the largest of the server's processes."""
    sizes = []
    for pid in [server.process.pid, *descendants(server.process.pid)]:
        try:
            sizes += [int(line.split()[1]) * 1024 for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS")]
        except OSError:
            pass
    return max(sizes)


def test_a_slow_reader_holds_the_function_back(server, streamer):
    # 100 MB that nobody reads: the function must stop sending long before its end, and go on when there is a reader.
    total = 100 << 20
    host = url_of(server, streamer)
    before = server_memory(server)
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    body = json.dumps({"parts": [["0123456789abcdef", 1024]] + [["0123456789abcdef", 1 << 16]] * 100})
    sock.sendall(f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    last = 0
    while last == 0 or last != queued(sock):  # until the kernel's buffers are full
        last = queued(sock)
        time.sleep(0.3)
    assert last < total // 2 and "answered" not in server.cli("logs", streamer).stdout
    if not SANITIZED:  # which keeps what was freed
        assert server_memory(server) - before < 16 << 20
    response = http.client.HTTPResponse(sock)
    response.begin()
    assert len(response.read()) == (1 << 14) + total
    sock.close()


# --- function URLs ------------------------------------------------------------------------------------------------


def prelude(**members):
    return json.dumps(members) + "\0" * 8


def post(server, host, event):
    return server.http("POST", "/", json.dumps(event), {"Content-Type": "application/json"}, host=host)


def test_a_url_streams_with_a_prelude(server, streamer):
    host = url_of(server, streamer)
    head = prelude(statusCode=201, headers={"Content-Type": "text/html", "X-One": "1"}, cookies=["a=b", "c=d"],
                   multiValueHeaders={"X-Two": ["x", "y"]})
    answer = post(server, host, {"type": INTEGRATION, "parts": [[head[:10], 1], [head[10:] + "<p>", 1], ["more", 2]]})
    assert answer.status == 201 and answer.body == b"<p>moremore"
    assert answer.headers["content-type"] == "text/html" and answer.headers["x-one"] == "1"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert [v for k, v in answer.pairs if k.lower() == "set-cookie"] == ["a=b", "c=d"]
    assert [v for k, v in answer.pairs if k.lower() == "x-two"] == ["x", "y"]


def test_a_url_streams_without_a_prelude(server, streamer):
    answer = post(server, url_of(server, streamer), {"type": "text/event-stream", "parts": [["data: 1\n\n", 2]]})
    assert answer.status == 200 and answer.headers["content-type"] == "text/event-stream" and answer.text == "data: 1\n\n" * 2


def test_a_url_whose_answer_is_no_answer(server, streamer):
    host = url_of(server, streamer)
    for event in ({"type": INTEGRATION, "parts": [["x", 20000]]},           # no end of the prelude
                  {"type": INTEGRATION, "parts": [["nonsense" + "\0" * 8, 1]]},
                  {"type": INTEGRATION, "parts": [[prelude(statusCode="no"), 1]]},
                  {"before": True}):
        answer = post(server, host, event)
        assert (answer.status, answer.text) == (502, "Internal Server Error"), event


def test_a_url_whose_stream_breaks_off(server, streamer):
    host = url_of(server, streamer)
    with pytest.raises(http.client.IncompleteRead):
        post(server, host, {"parts": [["some", 1]], "error": ["Function.Mine", "{}"]})


def test_a_buffered_url_honours_the_prelude(server, streamer):
    host = url_of(server, streamer, "BUFFERED")
    answer = post(server, host, {"type": INTEGRATION, "parts": [[prelude(statusCode=202, headers={"X-One": "1"}) + "body", 1]]})
    assert answer.status == 202 and answer.headers["x-one"] == "1" and answer.body == b"body"
    assert answer.headers["content-length"] == "4"


def test_a_streaming_url_of_a_function_that_does_not_stream(server):
    server.create_function("plain-url", {"index.py": "def handler(e, c):\n    return {'statusCode': 418, 'body': 'tea'}\n"})
    answer = server.http("GET", "/", host=url_of(server, "plain-url"))
    assert answer.status == 418 and answer.text == "tea"


def test_nodejs_streamify_response(server):
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      stream = awslambda.HttpResponseStream.from(stream, {statusCode: 207, headers: {'X-From': 'node'}});
      stream.write('one,'); await new Promise(r => setTimeout(r, 10)); stream.write('two'); stream.end();
    });"""
    server.create_function("node-stream", {"index.js": source}, runtime="nodejs20.x", Timeout=10)
    answer = server.http("GET", "/", host=url_of(server, "node-stream"))
    assert answer.status == 207 and answer.headers["x-from"] == "node" and answer.text == "one,two"
