# SPDX-License-Identifier: Apache-2.0
"""External extensions: programs in a layer's extensions/ folder, in Python, shell and C. When they start, what they are told, what
their failures do, how an instance with them ends ("Using the Lambda Extensions API", Lambda developer guide)."""

import itertools
import json
import re
import subprocess

import pytest

from support import wait_for, zip_bytes

# An extension as AWS's examples are made: register, then ask for events for ever. What it hears it prints, so the log has it.
PYTHON = r'''#!/usr/bin/env python3
import json, os, signal, sys, time, urllib.error, urllib.request
BASE = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]
NAME = os.path.basename(__file__)
def call(method, path, body=None, headers={}):
    request = urllib.request.Request(BASE + path, method=method, headers=headers, data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as answer: return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error: return error.code, error.read().decode(), dict(error.headers)
def say(what, value): print("HEARD", NAME, what, json.dumps(value), flush=True)
def register(events=("INVOKE", "SHUTDOWN")):
    status, text, headers = call("POST", "/2020-01-01/extension/register", {"events": list(events)}, {"Lambda-Extension-Name": NAME})
    assert status == 200, text
    return {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
def next_event(me):
    status, text, headers = call("GET", "/2020-01-01/extension/event/next", None, me)
    assert status == 200, text
    return json.loads(text)
def fail(me, phase, kind):
    return call("POST", f"/2020-01-01/extension/{phase}/error", {}, {**me, "Lambda-Extension-Function-Error-Type": kind})[0]
'''
LOOP = """
me = register()
while True:
    event = next_event(me)
    say(event["eventType"], event)
    if event["eventType"] == "SHUTDOWN": break
"""
FUNCTION = """
import os, signal, sys, time
def handler(event, context):
    exec(event.get("run", ""), globals())
    return event.get("answer")
"""
numbers = itertools.count()


@pytest.fixture
def function(server, lambda_):
    """function(extensions, **more) makes a function with a layer of those extensions, and gives it as a callable."""
    layers = []

    def make(extensions, code=FUNCTION, **more):
        name = f"with-extensions-{next(numbers)}"
        files = {f"extensions/{file}": (text, 0o755) if isinstance(text, (str, bytes)) else text for file, text in extensions.items()}
        version = lambda_.publish_layer_version(LayerName=name, Content={"ZipFile": zip_bytes(files)})
        layers.append((name, version["Version"]))
        server.create_function(name, {"index.py": code}, Layers=[version["LayerVersionArn"]], **{"Timeout": 30, **more})

        def run(payload=None, **invoke):
            return server.invoke(name, payload or {}, **invoke)

        run.name = name
        return run

    yield make
    for name, version in layers:
        lambda_.delete_layer_version(LayerName=name, VersionNumber=version)


def log_of(server, run):
    return server.cli("logs", run.name).stdout


def heard(server, run, extension=r"\S+", what=r"\S+"):
    return [json.loads(text) for text in re.findall(rf"HEARD {extension} {what} (.*)", log_of(server, run))]


def ok(answer):
    assert "FunctionError" not in answer, answer["Text"]
    return answer["Json"]


# --- events ---------------------------------------------------------------------------------------------------------


def test_an_extension_hears_of_each_invocation_and_of_the_end(server, lambda_, function):
    run = function({"python-one": PYTHON + LOOP})
    assert ok(run({"answer": 1})) == 1 and ok(run({"answer": 2})) == 2
    wait_for(lambda: len(heard(server, run, "python-one", "INVOKE")) == 2, "two events")
    for event in heard(server, run, "python-one", "INVOKE"):
        assert set(event) == {"eventType", "deadlineMs", "requestId", "invokedFunctionArn", "tracing"}
        assert event["invokedFunctionArn"].endswith(":function:" + run.name)
        assert f"START RequestId: {event['requestId']} " in log_of(server, run)
    assert "EXTENSION\tName: python-one\tState: Ready\tEvents: [INVOKE,SHUTDOWN]" in log_of(server, run)
    # A change of its configuration retires the instance.
    lambda_.update_function_configuration(FunctionName=run.name, Description="new", Environment={"Variables": {"AB": "c"}})
    wait_for(lambda: heard(server, run, "python-one", "SHUTDOWN"), "the end")
    event = heard(server, run, "python-one", "SHUTDOWN")[0]
    assert set(event) == {"eventType", "deadlineMs", "shutdownReason"} and event["shutdownReason"] == "spindown"


SHELL = r"""#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension
id=$(curl -sS -D- -o /dev/null -X POST "$api/register" -H "Lambda-Extension-Name: $(basename "$0")" -d '{"events":["INVOKE","SHUTDOWN"]}' |
    tr -d '\r' | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
while event=$(curl -sS "$api/event/next" -H "Lambda-Extension-Identifier: $id"); do
    echo "HEARD shell $event"
    case $event in *SHUTDOWN*) exit 0 ;; esac
done
"""

C = r"""#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
static char answer[65536];
static char *call(const char *request) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9001), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t len = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) || write(fd, request, strlen(request)) < 0) exit(2);
    for (;;) {
        ssize_t got = read(fd, answer + len, sizeof answer - 1 - len);
        if (got <= 0) break;
        len += (size_t)got;
        answer[len] = 0;
        char *end = strstr(answer, "\r\n\r\n"), *size = strcasestr(answer, "content-length: ");
        if (end && size && len >= (size_t)(end + 4 - answer) + strtoul(size + 16, NULL, 10)) break;
    }
    close(fd);
    char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : answer;
}
int main(void) {
    char next[512], id[37];
    setvbuf(stdout, NULL, _IOLBF, 0);
    call("POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nLambda-Extension-Name: in-c\r\n"
         "Content-Length: 32\r\n\r\n{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}");
    char *at = strcasestr(answer, "lambda-extension-identifier: ");
    if (!at) return 3;
    snprintf(id, sizeof id, "%.36s", at + 29);
    snprintf(next, sizeof next, "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\nLambda-Extension-Identifier: %s\r\n\r\n", id);
    for (;;) {
        char *event = call(next);
        printf("HEARD c %s\n", event);
        if (strstr(event, "SHUTDOWN")) return 0;
    }
}
"""


def test_extensions_in_shell_and_c_beside_one_another(server, lambda_, function, tmp_path):
    source, program = tmp_path / "extension.c", tmp_path / "in-c"
    source.write_text(C)
    subprocess.run(["cc", "-O1", "-static", "-o", program, source], check=True)
    run = function({"in-c": program.read_bytes(), "in-shell": SHELL})
    assert ok(run({"answer": 1})) == 1
    wait_for(lambda: "HEARD c {\"eventType\":\"INVOKE\"" in log_of(server, run) and
             "HEARD shell {\"eventType\":\"INVOKE\"" in log_of(server, run), "both")
    lambda_.update_function_configuration(FunctionName=run.name, Environment={"Variables": {"AB": "c"}})
    wait_for(lambda: "HEARD c {\"eventType\":\"SHUTDOWN\"" in log_of(server, run) and
             "HEARD shell {\"eventType\":\"SHUTDOWN\"" in log_of(server, run), "both ends")


# --- the init -------------------------------------------------------------------------------------------------------


def test_the_runtime_starts_when_all_extensions_have_registered(server, function):
    slow = PYTHON + "time.sleep(0.5)\nopen('/tmp/slow-was-here', 'w').close()\n" + LOOP
    run = function({"quick": PYTHON + LOOP, "slow": slow}, code="import os\nfound = os.path.exists('/tmp/slow-was-here')\n" + FUNCTION)
    assert ok(run({"run": "assert found", "answer": "seen"})) == "seen"


def test_the_environment_of_an_extension(server, function):
    run = function({"env": PYTHON + "say('ENV', dict(os.environ))\n" + LOOP}, Environment={"Variables": {"MINE": "yes"}})
    ok(run({}))
    wait_for(lambda: heard(server, run, "env", "ENV"), "its environment")
    env = heard(server, run, "env", "ENV")[0]
    assert env["MINE"] == "yes" and env["AWS_LAMBDA_FUNCTION_NAME"] == run.name and env["AWS_LAMBDA_RUNTIME_API"]
    assert env["AWS_ACCESS_KEY_ID"] and env["AWS_REGION"] == "us-east-1" and env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    kept = {"_HANDLER", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
            "AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"}
    assert not kept & set(env)


@pytest.mark.parametrize("end, words", [
    ("sys.exit(0)", "exit code 0"), ("sys.exit(7)", "exit status 7"), ("os.kill(os.getpid(), signal.SIGKILL)", "signal: killed"),
])
def test_an_extension_that_ends_in_the_init(function, end, words):
    error = function({"ends": PYTHON + "me = register()\n" + end})({})
    assert error["FunctionError"] == "Unhandled"
    assert error["Json"]["errorType"] == "Extension.Crash"
    assert re.fullmatch(rf"RequestId: [0-9a-f-]{{36}} Error: {re.escape(words)}", error["Json"]["errorMessage"])


def test_an_extension_that_ends_before_it_registers(function):
    assert function({"ends": "#!/bin/sh\nexit 3\n"})({})["Json"]["errorType"] == "Extension.Crash"


def test_extensions_that_cannot_be_executed(server, function):
    denied = function({"denied": ("#!/bin/sh\n", 0o644)})
    error = denied({})["Json"]
    assert error["errorType"] == "Extension.LaunchError"
    assert error["errorMessage"].endswith("Error: fork/exec /opt/extensions/denied: permission denied")
    wait_for(lambda: "EXTENSION\tName: denied\tState: LaunchError\tEvents: []\tError Type: PermissionDenied" in log_of(server, denied), "its state")
    error = function({"format": b"\x01\x02 no program"})({})["Json"]
    assert error["errorType"] == "Extension.LaunchError" and error["errorMessage"].endswith("exec format error")


def test_eleven_extensions_are_too_many(function):
    error = function({f"e{i}": PYTHON + LOOP for i in range(11)})({})["Json"]
    assert error["errorType"] == "Extension.LaunchError"


def test_a_folder_among_the_extensions_is_no_extension(function):
    run = function({"folder/inside": PYTHON + LOOP, "one": PYTHON + LOOP})
    assert ok(run({"answer": "ok"})) == "ok"


@pytest.mark.parametrize("phase", ["init", "exit"])
def test_an_extension_that_says_that_its_init_failed(function, phase):
    error = function({"fails": PYTHON + f"me = register()\nfail(me, '{phase}', 'Extension.Mine')\ntime.sleep(1000)"})({})["Json"]
    assert error["errorType"] == ("Extension.InitError" if phase == "init" else "Extension.ExitError")
    assert error["errorMessage"].endswith("Error: Extension.Mine")


def test_an_extension_that_never_registers_takes_the_inits_time(start_server):
    # Ten seconds for the first init; the second is inside of the invocation and has its time.
    server = start_server()
    layer = server.client("lambda").publish_layer_version(
        LayerName="never", Content={"ZipFile": zip_bytes({"extensions/never": ("#!/bin/sh\nsleep 1000\n", 0o755)})})
    server.create_function("never", {"index.py": FUNCTION}, Layers=[layer["LayerVersionArn"]], Timeout=1)
    assert server.invoke("never", {})["Json"]["errorType"] == "Sandbox.Timedout"


# --- invocations ----------------------------------------------------------------------------------------------------


def test_what_an_extension_does_after_the_answer_is_billed(server, function):
    run = function({"busy": PYTHON + "me = register()\nwhile True:\n    event = next_event(me)\n    time.sleep(1)\n    say('DONE', 1)"})
    assert ok(run({"answer": 1})) == 1
    wait_for(lambda: "REPORT RequestId" in log_of(server, run), "the report")
    text = log_of(server, run)
    assert float(re.search(r"REPORT RequestId: \S+\tDuration: ([\d.]+) ms", text)[1]) >= 1000
    # The report comes after what the extension did.
    assert text.index("HEARD busy DONE") < text.index("REPORT RequestId")


def test_an_extension_that_takes_the_functions_time_costs_the_instance(server, function):
    stuck = PYTHON + "me = register()\nwhile True:\n    event = next_event(me)\n    say(event['eventType'], event)\n    if event['eventType'] == 'INVOKE': time.sleep(1000)"
    run = function({"stuck": stuck}, Timeout=1)
    assert ok(run({"answer": 1})) == 1
    wait_for(lambda: "Task timed out after 1.00 seconds" in log_of(server, run), "the time-out")
    wait_for(lambda: "Status: timeout" in log_of(server, run), "the report")


def test_an_extension_that_crashes_in_an_invocation(server, function):
    run = function({"crash": PYTHON + "me = register()\nnext_event(me)\nsys.exit(9)"})
    error = run({"run": "time.sleep(20)"})
    assert error["Json"]["errorType"] == "Extension.Crash" and error["Json"]["errorMessage"].endswith("Error: exit status 9")
    wait_for(lambda: "Error Type: Extension.Crash" in log_of(server, run), "the report")


# --- the end --------------------------------------------------------------------------------------------------------


def test_a_time_out_is_answered_at_once_and_told_to_extensions(server, function):
    run = function({"one": PYTHON + LOOP}, Timeout=1)
    answer = run({"run": "time.sleep(100)"})
    assert answer["Json"]["errorType"] == "Sandbox.Timedout"
    wait_for(lambda: heard(server, run, "one", "SHUTDOWN"), "the end")
    assert heard(server, run, "one", "SHUTDOWN")[0]["shutdownReason"] == "timeout"


def test_a_runtime_that_exits_is_told_to_extensions(server, function):
    run = function({"one": PYTHON + LOOP})
    error = run({"run": "os._exit(4)"})["Json"]
    assert error["errorType"] == "Runtime.ExitError" and error["errorMessage"].endswith("Runtime exited with error: exit status 4")
    wait_for(lambda: heard(server, run, "one", "SHUTDOWN"), "the end")
    assert heard(server, run, "one", "SHUTDOWN")[0]["shutdownReason"] == "failure"


def end_until(lambda_, name, invoke, condition):
    """Has instances of the function end, one after another, until the condition is true."""

    def ended():
        invoke()
        lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": f"round-{next(numbers)}"}})
        try:
            return wait_for(condition, timeout=5)
        except AssertionError:
            return None

    wait_for(ended, "what an instance says at its end")


def test_the_runtime_is_asked_before_the_extensions(server, lambda_, function):
    code = FUNCTION + "\ndef end(*_):\n    print('HEARD runtime TERM 1', flush=True)\n    os._exit(0)\nsignal.signal(signal.SIGTERM, end)\n"
    run = function({"one": PYTHON + LOOP}, code=code, MemorySize=1769)
    # The runtime has 600 ms, in which a busy machine may not come to it: then the next one is asked.
    end_until(lambda_, run.name, lambda: ok(run({})), lambda: "HEARD runtime TERM" in log_of(server, run))
    wait_for(lambda: re.search(r"HEARD runtime TERM(?s:.*)HEARD one SHUTDOWN", log_of(server, run)), "the event after the signal")


def test_whoever_does_not_end_is_killed(server, lambda_, function):
    # The fixture of the server checks that no process stays.
    deaf = PYTHON + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nme = register()\nwhile True:\n    say('EVENT', next_event(me)['eventType'])\n    open('/tmp/x', 'w')"
    run = function({"deaf": deaf, "no-shutdown": PYTHON + "me = register(['INVOKE'])\nwhile True: next_event(me)"},
                   code=FUNCTION + "\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n")
    ok(run({}))
    lambda_.update_function_configuration(FunctionName=run.name, Environment={"Variables": {"AB": "c"}})
    wait_for(lambda: '"SHUTDOWN"' in log_of(server, run), "the event")


def test_the_sigterm_of_a_function_with_an_internal_extension(server, lambda_, function):
    # No external one: the runtime has 500 ms.
    code = FUNCTION + r'''
import json, threading, urllib.request
API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
request = urllib.request.Request(API + "register", b'{"events":["INVOKE"]}', {"Lambda-Extension-Name": "inside"})
ME = {"Lambda-Extension-Identifier": urllib.request.urlopen(request).headers["Lambda-Extension-Identifier"]}
def loop():
    while True: urllib.request.urlopen(urllib.request.Request(API + "event/next", headers=ME)).read()
threading.Thread(target=loop, daemon=True).start()
def end(*_):
    print("HEARD runtime TERM 1", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
'''
    name = f"internal-{next(numbers)}"
    server.create_function(name, {"index.py": code}, MemorySize=1769)
    end_until(lambda_, name, lambda: server.invoke(name, {"answer": 5}), lambda: "HEARD runtime TERM" in server.cli("logs", name).stdout)
