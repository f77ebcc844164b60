# SPDX-License-Identifier: Apache-2.0
"""The C library against a fake Runtime API, compiled with the address and undefined-behaviour sanitizers."""

import json
import os
import shutil
import subprocess

import pytest

from fake_runtime_api import REPO, RUNTIMES, Runtime
from wire import test_passes_six_megabytes_both_ways, test_reads_answers_however_they_are_framed_and_split, test_reconnects_when_the_server_closes_after_a_response  # noqa: F401

HERE = REPO / "tests" / "runtimes"
SUITE = REPO.parent / "shared" / "data" / "json-test-suite"
FLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LIMIT = 6291556

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


def compiled(folder, source, *library):
    program = folder / "bootstrap"
    files = [HERE / source, *(RUNTIMES / "c" / name for name in library)]
    subprocess.run(["cc", *FLAGS, "-I", RUNTIMES / "c", "-o", program, *files], check=True)
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("c"), "c_function.c", "sluice_runtime.c", "sluice_json.c")


@pytest.fixture
def run(tmp_path, program):
    started = []

    def start(to, *args):
        # The process is killed at the end of a test, so there is no moment at which leaks could be counted.
        runtime = Runtime([program, *args], to, tmp_path, "unused", {"ASAN_OPTIONS": "detect_leaks=0"})
        started.append(runtime)
        return runtime

    yield start
    for runtime in started:
        runtime.__exit__()
        assert "Sanitizer" not in runtime.stderr, runtime.stderr


@pytest.fixture
def echo(run):
    return run


def test_answers_events_one_after_another_and_pipelines_the_next_request(api, run):
    run(api)
    for event in ({"n": 1}, [1, "é"], "text", 3, None, {}):
        outcome = api.invoke(event)
        assert (outcome.kind, outcome.json) == ("response", event)
        assert outcome.pipelined
        assert outcome.headers["content-type"] == "application/json"
    assert {r.headers["user-agent"] for r in api.requests} == {"sluice-c/1"}


@pytest.mark.parametrize("size, kind", [(LIMIT, "response"), (LIMIT + 1, "error")])
def test_a_response_above_lambdas_limit_is_awss_error(api, run, size, kind):
    run(api)
    outcome = api.invoke({"do": "repeat", "n": size})
    assert outcome.kind == kind
    if kind == "response":
        assert outcome.body == b"x" * size
    else:
        assert outcome.json["errorType"] == "Function.ResponseSizeTooLarge"
        assert outcome.json["errorMessage"] == (
            "Response payload size exceeded maximum allowed payload size (6291556 bytes).")
    assert api.invoke(2).json == 2


def test_the_context_has_what_the_headers_say(api, run):
    run(api)
    headers = {"Lambda-Runtime-Client-Context": '{"custom":"é"}', "Lambda-Runtime-Cognito-Identity": '{"a":1}',
               "Lambda-Runtime-Aws-Tenant-Id": "t"}
    invocation = api.start({"do": "context"}, headers, timeout_ms=20000)
    got = invocation.wait().json
    assert got[0] == invocation.request_id
    assert got[1] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert got[2] == got[6] and got[2].startswith("Root=1-5bef4de7")
    assert got[3:6] == ['{"custom":"é"}', '{"a":1}', "t"]
    assert 0 < got[7] <= 20000
    plain = api.invoke({"do": "context"}, {"Lambda-Runtime-Trace-Id": None}, timeout_ms=-1).json
    assert plain[2:] == [None, None, None, None, None, 0]


def test_failing_reports_the_error_and_sends_nothing_of_the_answer(api, run):
    runtime = run(api)
    outcome = api.invoke({"do": "fail"})
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "Function.Bad??X-Evil: 1"
    assert "x-evil" not in outcome.headers
    assert outcome.json == {"errorMessage": 'bé \ufffd "q" \n', "errorType": "Function.Bad\r\nX-Evil: 1",
                            "stackTrace": []}
    assert "[ERROR] Function.Bad" in runtime.stderr_line("[ERROR]")
    assert api.invoke(1).json == 1


def test_a_handler_that_returns_non_zero_has_failed(api, run):
    run(api)
    outcome = api.invoke({"do": "return", "n": 7})
    assert outcome.json["errorType"] == "Function.HandlerFailed"
    assert outcome.json["errorMessage"] == "The handler returned 7."
    assert api.invoke({"do": "return", "n": 0}).body == b""


def test_leaving_the_process_in_a_handler_ends_it_with_that_status(api, run):
    runtime = run(api)
    assert api.invoke({"do": "exit", "n": 3}).kind == "crash"
    assert runtime.exit_code() == 3


def test_log_lines_arrive_before_the_answer(api, run):
    runtime = run(api)
    api.invoke({"do": "log"})
    api.invoke({"do": "log"})
    assert runtime.stdout_line("partiala line")


def test_a_streamed_response_leaves_while_it_is_written(api, run):
    run(api)
    for n in (0, 1, 16384, 1000000, 8000000):
        outcome = api.invoke({"do": "stream", "n": n})
        assert outcome.body == b"before one " + b"x" * n
        assert outcome.chunks[:2] == [b"before ", b"one "]
        assert max(map(len, outcome.chunks)) < 40000
        assert outcome.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert outcome.headers["content-type"] == "text/plain"
        assert outcome.pipelined
        assert outcome.trailers == {}
    assert api.invoke([1]).json == [1]


def test_a_streamed_http_response_begins_with_its_prelude(api, run):
    run(api)
    outcome = api.invoke({"do": "stream", "http": True})
    assert outcome.body == b'{"statusCode":201}' + b"\0" * 8 + b"one "
    assert outcome.headers["content-type"] == "application/vnd.awslambda.http-integration-response"


def test_a_stream_that_fails_says_so_in_trailers(api, run):
    run(api)
    outcome = api.invoke({"do": "stream", "fail": True, "n": 20000})
    assert outcome.body == b"before one " + b"x" * 20000
    assert outcome.trailers["lambda-runtime-function-error-type"] == "Function.Cut"
    assert outcome.trailer_error == {"errorMessage": 'cut "short"', "errorType": "Function.Cut", "stackTrace": []}
    assert api.invoke([1]).json == [1]


def test_an_init_error_is_reported_and_ends_the_process(api, run):
    runtime = run(api, "fail")
    request = api.init_error()
    assert json.loads(request.body) == {"errorMessage": 'cannot "start"', "errorType": "Function.NoLuck",
                                        "stackTrace": []}
    assert request.headers["lambda-runtime-function-error-type"] == "Function.NoLuck"
    assert runtime.exit_code() == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "host.example:80", "127.0.0.1:99999", ""])
def test_exits_when_the_runtime_api_is_not_there(tmp_path, program, address):
    class Nowhere:
        pass

    Nowhere.address = address
    with Runtime([program], Nowhere, tmp_path, "unused") as runtime:
        assert runtime.exit_code() == 1
        assert "[ERROR]" in runtime.stderr


# ------------------------------------------------------------------------------------------ JSON


@pytest.fixture(scope="module")
def json_tool(tmp_path_factory):
    program = compiled(tmp_path_factory.mktemp("json"), "c_json_tool.c", "sluice_json.c")

    def read(paths):
        done = subprocess.run([program, *paths], check=True, capture_output=True)
        return done.stdout.split(b"\n")[:-1]

    return read


def conformance(prefix):
    return sorted(p for p in SUITE.rglob(prefix + "*.json")) if SUITE.exists() else []


@pytest.mark.skipif(not SUITE.exists(), reason="the JSON conformance files are not on this machine")
def test_json_conformance_files_behave(json_tool):
    good, bad = conformance("y_"), conformance("n_")
    assert len(good) > 50 and len(bad) > 100
    for path, line in zip(good, json_tool(good)):
        assert line != b"bad", path
        assert json.loads(line) == json.loads(path.read_bytes()), path
    assert {path.name for path, line in zip(bad, json_tool(bad)) if line != b"bad"} == set()


@pytest.mark.parametrize("text, expected", [
    (b'"\\ud83d\\ude00 \\u00e9 \\ud800 \\udc00x"', "😀 é \ufffd \ufffdx".encode()),
    (b'{"a":{"b":[1,{"c":null}]},"a":2}', b'{"a":{"b":[1,{"c":null}]},"a":2}'),
    (b"[" * 128 + b"]" * 128, b"[" * 128 + b"]" * 128), (b"[" * 129 + b"]" * 129, b"bad"), (b"", b"bad"),
    (b"[1,]", b"bad"), (b'{"a":1,}', b"bad"), (b'{"a"}', b"bad"), (b"[1}", b"bad"), (b"1 2", b"bad"),
    (b'"\xed\xa0\x80"', b"bad"), (b'"\xc0\xaf"', b"bad"), (b'"\xf4\x90\x80\x80"', b"bad"), (b'"\xe2\x82', b"bad"),
])
def test_json_is_read_strictly(tmp_path, json_tool, text, expected):
    path = tmp_path / "text.json"
    path.write_bytes(text)
    assert json_tool([path])[0].strip(b'"') == expected
