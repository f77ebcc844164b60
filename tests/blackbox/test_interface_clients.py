# SPDX-License-Identifier: Apache-2.0
"""AWS's own runtime interface clients, as published (awslambdaric for Python, aws-lambda-ric for Node.js,
aws-lambda-java-runtime-interface-client for Java, the crate lambda_runtime for Rust), as functions.

They are what container images of functions use, they speak the Runtime API their own way (libcurl below C++, hyper), and they know
nothing of Sluice: what works with them works with a runtime that its author only tested on AWS. tests/runtimes/install_rics.sh makes
the zips' content, once for many runs; here a handler is added where it need not be compiled (tests/runtimes/clients has the others),
and the whole is deployed as provided.al2023.

Java and Rust take part where `tools/install-deps --test` could install them: it says when mvn, cargo or their registry is missing.
AWS's library for Go is in test_seven_languages.py; Ruby's aws_lambda_ric is not tested.
"""

import base64
import json
import os
import re
import subprocess

import pytest

from support import ROOT, wait_for, zip_bytes

INSTALL_SECONDS = 900  # a first run compiles the Node.js client: about a minute of computing

PYTHON = """
import os, time
count = 0

def fail(text):
    raise KeyError(text)

def handler(event, context):
    global count
    count += 1
    do = event.get("do") if isinstance(event, dict) else None
    if do == "fail":
        fail("n\\u00f6")
    if do == "sleep":
        time.sleep(60)
    if do == "exit":
        os._exit(3)
    if do == "log":
        print("written \\u00e9\\U0001f600")
    if do == "count":
        return {"count": count, "stream": context.log_stream_name, "pid": os.getpid()}
    if do == "context":
        return {"id": context.aws_request_id, "name": context.function_name, "arn": context.invoked_function_arn,
                "memory": int(context.memory_limit_in_mb), "left": context.get_remaining_time_in_millis(),
                "group": context.log_group_name, "version": context.function_version}
    return event
"""

NODE = """
let count = 0;
exports.handler = async (event, context) => {
    count += 1;
    const what = event && event.do;
    if (what === 'fail') throw new TypeError('n\\u00f6');
    if (what === 'sleep') await new Promise((done) => setTimeout(done, 60000));
    if (what === 'exit') process.exit(3);
    if (what === 'log') console.log('written \\u00e9\\u{1f600}');
    if (what === 'count') return { count, stream: context.logStreamName, pid: process.pid };
    if (what === 'context') return {
        id: context.awsRequestId, name: context.functionName, arn: context.invokedFunctionArn,
        memory: Number(context.memoryLimitInMB), left: context.getRemainingTimeInMillis(),
        group: context.logGroupName, version: context.functionVersion };
    return event;
};
"""

RICS = ROOT / "build" / "rics"
# Options of CreateFunction that make a language's function break before its first event.
BROKEN = {
    "python": {"source": "import nosuchmodule\n"},
    "nodejs": {"source": "require('nosuchmodule');\n"},
    "java": {"Handler": "nosuchmodule"},
    "rust": {"Environment": {"Variables": {"BROKEN": "1"}}},
}
# The handler's file and text, where it is not compiled into what the installer leaves.
FILES = {"python": ("app.py", PYTHON), "nodejs": ("index.js", NODE), "java": None, "rust": None}
HANDLERS = {"python": "app.handler", "nodejs": "index.handler", "java": "App", "rust": "unused"}
LANGUAGES = [name for name in sorted(FILES) if FILES[name] or (RICS / name / ".stamp").exists()]


@pytest.fixture(scope="session")
def clients():
    """The folder that has the clients, installed when they are not there yet. Those that may be left out are not tried again here."""
    folder = RICS
    folder.parent.mkdir(exist_ok=True)
    path = f"{ROOT / 'build' / 'venv' / 'bin'}:{os.environ['PATH']}"  # whose python3 has pip
    done = subprocess.run(
        [ROOT / "tests" / "runtimes" / "install_rics.sh", folder, *(name for name in LANGUAGES if FILES[name])],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def deploy(server, clients, language):
    """deploy(name, source=None, **options of CreateFunction)"""

    def make(name, source=None, **options):
        files = {}
        if FILES[language]:
            file, text = FILES[language]
            files[file] = source or text
        for path in sorted((clients / language).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != ".stamp":
                files[str(path.relative_to(clients / language))] = (path.read_bytes(), path.stat().st_mode & 0o777)
        memory = 256 if language == "java" else 128
        handler = options.pop("Handler", HANDLERS[language])
        return server.create_function(name, zip_bytes(files), "provided.al2023", handler, **{"Timeout": 20, "MemorySize": memory, **options})

    return make


def tail(answer):
    return base64.b64decode(answer["LogResult"]).decode()


def test_an_event_comes_back_as_it_was(server, deploy):
    deploy("ric")
    for event in ({"a": [1, 2.5, None, True, {"b": ""}]}, "é \U0001f600 \x00 \u2028 \"\\", [], 0, None, {"日本": "語" * 1000}):
        answer = server.invoke("ric", event)
        assert "FunctionError" not in answer, answer["Text"]
        assert answer["Json"] == event


def test_an_error_has_awss_shape(server, deploy, language):
    deploy("ric")
    answer = server.invoke("ric", {"do": "fail"}, LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = answer["Json"]
    if language == "python":
        assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'nö'")
        assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
        assert [re.search(r'in (\w+)', line)[1] for line in error["stackTrace"]] == ["handler", "fail"]
    elif language == "java":
        assert (error["errorType"], error["errorMessage"]) == ("java.lang.IllegalArgumentException", "nö")
        assert [line.split("(")[0] for line in error["stackTrace"][:2]] == ["App.fail", "App.handleRequest"]
    elif language == "rust":
        assert error == {"errorType": "BadValue", "errorMessage": "nö"}
    else:
        assert (error["errorType"], error["errorMessage"]) == ("TypeError", "nö")
        assert error["trace"][0] == "TypeError: nö" and "/var/task/index.js" in error["trace"][1]
    if language == "java":  # it writes its report after it has answered
        wait_for(lambda: "java.lang.IllegalArgumentException" in server.http("GET", "/_sluice/logs?function=ric").text, "the report in the log")
    elif language != "rust":  # which would write one to a subscriber of its tracing, and there is none
        assert error["errorType"] in tail(answer)
    assert server.invoke("ric", "goes on")["Json"] == "goes on"


def test_a_megabyte_goes_in_and_out(server, deploy):
    deploy("ric", MemorySize=512)
    event = {"text": "ö" * (512 * 1024), "end": True}
    body = json.dumps(event, ensure_ascii=False).encode()
    assert len(body) > 1 << 20
    assert server.invoke("ric", body)["Json"] == event


def test_a_megabyte_of_escapes_goes_in_and_out(server, deploy):
    deploy("ric", MemorySize=512)
    event = ["\n\"\\\x01é" * 1000] * 100
    assert len(json.dumps(event)) > 1 << 20
    assert server.invoke("ric", event)["Json"] == event


def test_warm_invocations_reach_the_same_instance(server, deploy):
    deploy("ric")
    answers = [server.invoke("ric", {"do": "count"}, LogType="Tail") for _ in range(4)]
    assert [a["Json"]["count"] for a in answers] == [1, 2, 3, 4]
    assert len({(a["Json"]["pid"], a["Json"]["stream"]) for a in answers}) == 1
    assert ["Init Duration" in tail(a) for a in answers] == [True, False, False, False]


def test_the_context_is_true(server, deploy):
    made = deploy("ric", MemorySize=256)
    answer = server.invoke("ric", {"do": "context"})
    context = answer["Json"]
    assert 15000 < context.pop("left") <= 20000
    assert context == {"id": answer["ResponseMetadata"]["RequestId"], "name": "ric", "arn": made["FunctionArn"], "memory": 256,
                       "group": "/aws/lambda/ric", "version": "$LATEST"}  # fmt: skip


def test_what_a_handler_prints_is_in_the_log(server, deploy):
    deploy("ric")
    answer = server.invoke("ric", {"do": "log"}, LogType="Tail")
    request = answer["ResponseMetadata"]["RequestId"]
    assert re.search(rf"^START RequestId: {request} .*written é\U0001f600.*^END RequestId: {request}$.*^REPORT RequestId: {request}\t", tail(answer), re.M | re.S)


def test_a_handler_that_does_not_end_is_timed_out_and_the_next_one_runs(server, deploy, language):
    seconds = 5 if language == "java" else 1  # the next one must fit in, with a new machine's start
    deploy("ric", Timeout=seconds)
    answer = server.invoke("ric", {"do": "sleep"})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Json"]["errorMessage"].endswith(f"Task timed out after {seconds}.00 seconds")
    assert server.invoke("ric", "after")["Json"] == "after"


def test_a_handler_that_ends_its_process_is_an_exit_error_and_the_next_one_runs(server, deploy):
    deploy("ric")
    answer = server.invoke("ric", {"do": "exit"})
    assert (answer["FunctionError"], answer["Json"]["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert server.invoke("ric", {"do": "count"})["Json"]["count"] == 1


def test_a_module_that_cannot_be_loaded_is_the_clients_own_init_error(server, deploy, language):
    deploy("ric", **BROKEN[language])
    answer = server.invoke("ric", {})
    assert answer["FunctionError"] == "Unhandled"
    if language == "rust":  # a program that ends by itself: its library reports no init errors
        assert answer["Json"]["errorType"] == "Runtime.ExitError"
        return
    assert answer["Json"]["errorType"] == ("java.lang.ClassNotFoundException" if language == "java" else "Runtime.ImportModuleError")
    assert "nosuchmodule" in answer["Json"]["errorMessage"]


def test_events_are_executed_too(server, deploy):
    deploy("ric")
    assert server.invoke("ric", {"do": "log"}, InvocationType="Event")["StatusCode"] == 202
    wait_for(lambda: "written é" in server.http("GET", "/_sluice/logs?function=ric").text, "the event to run")
