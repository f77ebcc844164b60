# SPDX-License-Identifier: Apache-2.0
"""What a caller is told when a function fails: AWS's error types and messages (the Runtime API's emulator and recorded answers), and
that the instance concerned is gone and the next one is sound."""

import base64
import json
import re
import time

import pytest

from support import PATIENCE, wait_for

SHELL = r"""#!/bin/sh
# A runtime in a few lines; the body runs per event with $ID and $EVENT.
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
  head=$(mktemp)
  EVENT=$(curl -sS -D "$head" "$api/invocation/next")
  ID=$(sed -n 's/^lambda-runtime-aws-request-id: *\([0-9a-f-]*\).*/\1/Ip' "$head")
  rm -f "$head"
  {body}
done
"""


def python(server, name, source, **more):
    server.create_function(name, {"index.py": source}, **more)


def shell(server, name, body, **more):
    files = {"bootstrap": SHELL.replace("{body}", body)}
    server.create_function(name, files, runtime="provided.al2023", handler="unused", **more)


def failure(answer):
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled", answer
    return answer["Json"]


def test_handler_error_has_type_message_and_trace(server):
    python(server, "raises", "def handler(event, context):\n    raise ValueError('bad thing')\n")
    error = failure(server.invoke("raises"))
    assert error["errorType"] == "ValueError" and error["errorMessage"] == "bad thing"
    assert error["stackTrace"] == ['  File "/var/task/index.py", line 2, in handler\n    raise ValueError(\'bad thing\')\n']
    assert re.fullmatch(r"[0-9a-f-]{36}", error["requestId"])


@pytest.mark.parametrize(
    "name, source, handler, kind, message",
    [
        ("noimport", "import nosuchmodule", "index.handler", "Runtime.ImportModuleError",
         "Unable to import module 'index': No module named 'nosuchmodule'"),
        ("nohandler", "x = 1", "index.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        ("nomodule", "x = 1", "other.handler", "Runtime.ImportModuleError", "Unable to import module 'other': No module named 'other'"),
        ("malformed", "x = 1", "index", "Runtime.MalformedHandlerName",
         "Bad handler 'index': not enough values to unpack (expected 2, got 1)"),
    ],
)
def test_python_init_errors(server, name, source, handler, kind, message):
    python(server, name, source, handler=handler)
    error = failure(server.invoke(name))
    assert (error["errorType"], error["errorMessage"]) == (kind, message)


def test_time_out_names_the_limit_and_kills_the_tree(server):
    python(server, "sleeps", "import subprocess, time\ndef handler(e, c):\n    subprocess.Popen(['sleep', '1000'])\n    time.sleep(1000)\n",
           Timeout=1)
    error = failure(server.invoke("sleeps", LogType="Tail"))
    assert error["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(r"RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds", error["errorMessage"])


def test_time_out_shows_in_the_log(server):
    python(server, "sleeps", "import time\ndef handler(e, c):\n    print('before')\n    time.sleep(1000)\n", Timeout=1)
    tail = base64.b64decode(server.invoke("sleeps", LogType="Tail")["LogResult"]).decode()
    assert "before\n" in tail
    assert re.search(r"^\S+Z [0-9a-f-]{36} Task timed out after 1\.00 seconds$", tail, re.M)
    assert re.search(r"^REPORT RequestId: .*\tStatus: timeout", tail, re.M)


@pytest.mark.parametrize(
    "name, statement, text",
    [
        ("exits3", "os._exit(3)", "Runtime exited with error: exit status 3"),
        ("exits0", "os._exit(0)", "Runtime exited without providing a reason"),
        ("sysexit", "sys.exit(1)", "Runtime exited with error: exit status 1"),
        ("segfault", "os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
        ("killed", "os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_runtime_that_ends(server, name, statement, text):
    python(server, name, f"import os, sys\ndef handler(e, c):\n    if e: {statement}\n    return 'alive'\n")
    error = failure(server.invoke(name, {"end": True}))
    assert error["errorType"] == "Runtime.ExitError"
    assert re.sub(r"^RequestId: [0-9a-f-]{36} Error: ", "", error["errorMessage"]) == text
    assert server.invoke(name, {})["Json"] == "alive"


@pytest.mark.needs("memory limit")
def test_out_of_memory(server):
    python(server, "eats", "def handler(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n", Timeout=30)
    error = failure(server.invoke("eats", LogType="Tail"))
    assert error["errorType"] == "Runtime.OutOfMemory"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")


def test_a_response_one_byte_too_large_and_one_that_just_fits(server):
    # Quotes count: 6,291,556 bytes of JSON text is the most.
    python(server, "big", "def handler(e, c):\n    return 'x' * e\n", MemorySize=512)
    answer = server.invoke("big", 6291556 - 2)
    assert "FunctionError" not in answer and len(answer["Text"]) == 6291556
    error = failure(server.invoke("big", 6291556 - 1))
    assert error == {"errorType": "Function.ResponseSizeTooLarge",
                     "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}


def test_no_bootstrap_and_one_that_cannot_be_executed(server):
    server.create_function("empty", {"other": "x"}, runtime="provided.al2023", handler="x")
    assert failure(server.invoke("empty"))["errorType"] == "Runtime.InvalidEntrypoint"
    server.create_function("plain", {"bootstrap": ("#!/bin/sh\n", 0o644)}, runtime="provided.al2023", handler="x")
    assert failure(server.invoke("plain"))["errorType"] == "Runtime.InvalidEntrypoint"


def test_a_bootstrap_that_exits_at_once(server):
    server.create_function("quits", {"bootstrap": "#!/bin/sh\necho leaving\nexit 7\n"}, runtime="provided.al2023", handler="x")
    error = failure(server.invoke("quits"))
    assert error["errorType"] == "Runtime.ExitError" and error["errorMessage"].endswith("exit status 7")


def test_a_bootstrap_that_answers_twice(server):
    body = """curl -sS -o /dev/null "$api/invocation/$ID/response" -d first
  SECOND=$(curl -sS "$api/invocation/$ID/response" -d second)
  echo "second: $SECOND" """
    shell(server, "twice", body)
    assert server.invoke("twice", {})["Text"] == b"first"
    assert server.invoke("twice", {})["Text"] == b"first"
    log = wait_for(lambda: (lambda text: text if "second:" in text else "")(server.http("GET", "/_sluice/logs?function=twice").text))
    assert '"errorType":"InvalidRequestID"' in log


def test_a_bootstrap_that_answers_for_another_request(server):
    body = """WRONG=$(curl -sS -w '%{http_code}' "$api/invocation/00000000-0000-0000-0000-000000000000/response" -d stolen)
  curl -sS -o /dev/null "$api/invocation/$ID/response" -d "\\"$(echo $WRONG | tail -c 4)\\"" """
    shell(server, "wrong", body)
    assert server.invoke("wrong", {})["Json"] == "400"


def test_a_bootstrap_that_closes_the_connection_half_way(server):
    source = """
import http.client, os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
while True:
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = connection.getresponse()
    request_id = answer.getheader("Lambda-Runtime-Aws-Request-Id")
    answer.read()
    raw = socket.create_connection((host, int(port)))
    raw.sendall(f"POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\n\\r\\nhalf".encode())
    raw.close()
    connection.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", b"whole")
    connection.getresponse().read()
"""
    files = {"bootstrap": "#!/bin/sh\nexec /usr/bin/python3 /var/task/main.py\n", "main.py": source}
    server.create_function("half", files, runtime="provided.al2023", handler="x")
    assert server.invoke("half", {})["Text"] == b"whole"
    assert server.invoke("half", {})["Text"] == b"whole"


def test_an_answer_after_the_deadline_is_not_taken(server):
    # The runtime survives the time-out only if the kill fails; either way the caller has the time-out, and the next event a new instance.
    shell(server, "late", 'case "$EVENT" in *slow*) sleep 3;; esac\n  curl -sS -o /dev/null "$api/invocation/$ID/response" -d "$EVENT"', Timeout=1)
    assert failure(server.invoke("late", {"slow": 1}))["errorType"] == "Sandbox.Timedout"
    assert server.invoke("late", {"n": 2})["Json"] == {"n": 2}


@pytest.mark.needs("process limit")
def test_a_fork_bomb_is_contained(server):
    source = """
import os, time
def handler(event, context):
    made = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(1000)
                os._exit(0)
            made += 1
    except OSError:
        pass
    if event: raise SystemExit(1)
    return made
"""
    python(server, "bomb", source, Timeout=60, MemorySize=1769)
    made = server.invoke("bomb", {})["Json"]
    assert 0 < made <= 1024
    python(server, "neighbour", "def handler(e, c): return 'fine'\n")
    assert server.invoke("neighbour")["Json"] == "fine"


def test_filling_the_disk_hurts_only_the_function(server):
    source = """
def handler(event, context):
    try:
        with open("/tmp/full", "wb") as file:
            for _ in range(2048):
                file.write(b"x" * (1 << 20))
    except OSError as error:
        return error.strerror
    return "endless"
"""
    python(server, "fills", source, Timeout=60, MemorySize=1024)
    assert server.invoke("fills")["Json"] == "No space left on device"
    python(server, "neighbour", "def handler(e, c): return 'fine'\n")
    assert server.invoke("neighbour")["Json"] == "fine"


def test_a_flood_of_log_lines_does_not_stop_the_server(server):
    python(server, "floods", "def handler(e, c):\n    for _ in range(100000): print('x' * 100)\n    return 'done'\n", Timeout=60, MemorySize=1769)
    answer = server.invoke("floods", LogType="Tail")
    assert answer["Json"] == "done"
    tail = base64.b64decode(answer["LogResult"])
    assert len(tail) <= 4096 and b"REPORT RequestId" in tail


def test_report_line_is_true(server):
    source = "import time\nkeep = []\ndef handler(e, c):\n    keep.append(bytearray(64 << 20))\n    time.sleep(0.2)\n"
    python(server, "reports", source, MemorySize=256)
    text = base64.b64decode(server.invoke("reports", LogType="Tail")["LogResult"]).decode()
    request_id = re.search(r"^START RequestId: (\S+) Version: \$LATEST$", text, re.M)[1]
    assert f"\nEND RequestId: {request_id}\n" in text
    report = re.search(r"^REPORT RequestId: (\S+)\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\tMemory Size: 256 MB\t"
                       r"Max Memory Used: (\d+) MB\tInit Duration: ([\d.]+) ms\t$", text, re.M)
    assert report and report[1] == request_id
    duration, billed, used, init = float(report[2]), int(report[3]), int(report[4]), float(report[5])
    assert duration >= 200
    assert abs(billed - (duration + init)) <= 1.01
    assert 64 <= used <= 256
    again = base64.b64decode(server.invoke("reports", LogType="Tail")["LogResult"]).decode()
    assert "Init Duration" not in again and "INIT_START" not in again
    assert int(re.search(r"Max Memory Used: (\d+) MB", again)[1]) >= 128


def test_a_warm_instance_keeps_its_memory_and_its_tmp(server):
    source = "import os\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    open('/tmp/mark', 'a').write('x')\n    return [n, os.path.getsize('/tmp/mark')]\n"
    python(server, "counts", source)
    assert [server.invoke("counts")["Json"] for _ in range(3)] == [[1, 1], [2, 2], [3, 3]]


def test_new_code_and_new_configuration_start_new_instances(server):
    python(server, "changes", "import os\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return [n, os.environ.get('SETTING')]\n")
    client = server.client("lambda")
    assert server.invoke("changes")["Json"] == [1, None]
    client.update_function_configuration(FunctionName="changes", Environment={"Variables": {"SETTING": "y"}})
    wait_for(lambda: client.get_function_configuration(FunctionName="changes")["LastUpdateStatus"] == "Successful")
    assert server.invoke("changes")["Json"] == [1, "y"]
    assert server.invoke("changes")["Json"] == [2, "y"]


def test_concurrent_invocations_run_side_by_side(server):
    import concurrent.futures

    # Every invocation waits until all run: with fewer instances than callers this would never end.
    source = "import time\ndef handler(e, c):\n    time.sleep(1)\n    return c.log_stream_name\n"
    python(server, "parallel", source, Timeout=30)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(lambda _: server.invoke("parallel")["Json"], range(8)))
    assert len(set(streams)) == 8


def test_reserved_concurrency_refuses_the_next_one(server):
    import concurrent.futures

    client = server.client("lambda")
    python(server, "one", "import time\ndef handler(e, c):\n    time.sleep(e)\n", Timeout=PATIENCE)
    client.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=1)
    server.invoke("one", 0)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        busy = pool.submit(server.invoke, "one", 3)
        metrics = lambda: re.search(r"sluice_invocations_in_flight (\d+)", server.http("GET", "/_sluice/metrics").text)[1]
        wait_for(lambda: metrics() == "1")
        with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
            server.invoke("one", 0)
        assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert caught.value.response["Error"]["Message"] == "Rate Exceeded."
        busy.result()
    client.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        server.invoke("one", 0)


def test_the_environment_is_lambdas(server):
    python(server, "env", "import os\ndef handler(e, c): return dict(os.environ)\n", Environment={"Variables": {"MINE": "ünïcode", "TZ2": "x"}})
    env = server.invoke("env")["Json"]
    assert env["MINE"] == "ünïcode"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "env" and env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128" and env["AWS_REGION"] == "us-east-1"
    assert env["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11" and env["LAMBDA_TASK_ROOT"] == "/var/task"
    assert env["_HANDLER"] == "index.handler" and env["TZ"] == ":UTC" and env["AWS_LAMBDA_RUNTIME_API"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", env["AWS_LAMBDA_LOG_STREAM_NAME"])
    assert not [name for name in env if name.startswith("SLUICE")]


def test_json_log_format(server):
    python(server, "jsonlog", "def handler(e, c): print('plain')\n", LoggingConfig={"LogFormat": "JSON"})
    tail = base64.b64decode(server.invoke("jsonlog", LogType="Tail")["LogResult"]).decode()
    records = [json.loads(line) for line in tail.splitlines() if line.startswith("{")]
    kinds = [record.get("type") for record in records]
    assert "platform.start" in kinds and "platform.report" in kinds
    report = next(record for record in records if record.get("type") == "platform.report")
    assert report["record"]["metrics"]["memorySizeMB"] == 128 and report["record"]["status"] == "success"


def test_payload_text_passes_through_unchanged(server):
    # Numbers and key order must reach the function as they were sent; a runtime that echoes bytes shows it.
    shell(server, "echo", 'printf %s "$EVENT" | curl -sS -o /dev/null "$api/invocation/$ID/response" --data-binary @-')
    text = b'{"z": 1.0, "a": 12345678901234567890.123, "e": 1E400, "u": "\\u00e9 \xc3\xa9"}'
    assert server.invoke("echo", text)["Text"] == text


def test_time_is_left_as_the_context_says(server):
    python(server, "left", "def handler(e, c): return c.get_remaining_time_in_millis()\n", Timeout=10)
    begin = time.monotonic()
    left = server.invoke("left")["Json"]
    assert 10000 - (time.monotonic() - begin) * 1000 - 50 <= left <= 10000
