# SPDX-License-Identifier: Apache-2.0
"""The Python bootstrap against a fake Runtime API: wire behaviour, handler forms, AWS's errors and log lines."""

import json
import os
import re
import sys

import pytest

from fake_runtime_api import RUNTIMES, Runtime, write_files
from wire import test_passes_six_megabytes_both_ways, test_reads_answers_however_they_are_framed_and_split, test_reconnects_when_the_server_closes_after_a_response  # noqa: F401

SYSTEM_PYTHON = "/usr/bin/python3"  # what functions run with; SLUICE_TEST_PYTHON names another one
PYTHON = os.environ.get("SLUICE_TEST_PYTHON") or (SYSTEM_PYTHON if os.path.exists(SYSTEM_PYTHON) else sys.executable)
BOOTSTRAP = RUNTIMES / "python" / "bootstrap.py"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def run(tmp_path, api, start_runtime):
    """Starts the bootstrap with files written into the task root."""
    def start(files, handler="app.handler", env=None, flags=("-S", "-s"), to=api):
        files = {"app.py": files} if isinstance(files, str) else files
        write_files(tmp_path, files)
        return start_runtime([PYTHON, *flags, BOOTSTRAP], to, tmp_path, handler, env)

    return start


ECHO = "def handler(event, context):\n    return event\n"


# ------------------------------------------------------------------------------------------ the wire


@pytest.fixture
def echo(run):
    return lambda to: run(ECHO, to=to)


def test_answers_events_one_after_another_and_pipelines_the_next_request(api, run):
    run(ECHO)
    for event in ({"n": 1}, [1, 2], "text", 3, None, True, 1.5, {}):
        outcome = api.invoke(event)
        assert (outcome.kind, outcome.json) == ("response", event)
        assert outcome.pipelined
        assert outcome.headers["content-type"] == "application/json"
    assert {r.headers["user-agent"] for r in api.requests} == {"sluice-python/1"}


def test_a_response_above_the_limit_is_logged_and_the_runtime_lives_on(api, run):
    runtime = run("def handler(event, context):\n    return 'x' * event\n")
    assert api.invoke(7 * 1024 * 1024).kind == "response"
    assert api.invoke(2).json == "xx"
    assert "Exceeded maximum allowed payload size" in runtime.stderr_line("413")


def test_exits_when_the_runtime_api_is_not_there(tmp_path):
    class Nowhere:
        address = "127.0.0.1:1"

    (tmp_path / "app.py").write_text(ECHO)
    with Runtime([PYTHON, "-S", BOOTSTRAP], Nowhere, tmp_path, "app.handler") as runtime:
        assert runtime.exit_code() == 1
        assert "cannot be reached" in runtime.stderr


# ------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize("execution_env, escaped", [("AWS_Lambda_python3.11", True), ("AWS_Lambda_python3.12", False)])
def test_unicode_survives_and_is_escaped_as_the_version_does(api, run, execution_env, escaped):
    run(ECHO, env={"AWS_EXECUTION_ENV": execution_env})
    text = "žluťoučký 😀 \u2028 \x00 \x7f \"quoted\" \\ /"
    outcome = api.invoke({"t": text})
    assert outcome.json == {"t": text}
    assert outcome.body.isascii() == escaped


def test_results_are_encoded_as_awss_encoder_does(api, run):
    run("""
import collections, decimal, enum
P = collections.namedtuple("P", "a b")
class Level(enum.IntEnum):
    HIGH = 3
VALUES = [
    (1, (2, 3)), {"p": P(1, {"q": P(2, 3)})}, {"b": b"abc"}, {b"k": 1}, {1: 1, None: 2, 1.5: 3}, Level.HIGH,
    decimal.Decimal("1.10"), {"a": [decimal.Decimal("-0.00100"), "x"]}, {"n": decimal.Decimal("NaN")},
    collections.OrderedDict(z=1, a=2), 10**30, -0.0, {"nan": float("nan")},
]
def handler(event, context):
    return VALUES[event]
""")
    expected = [
        "[1, [2, 3]]", '{"p": {"a": 1, "b": {"q": {"a": 2, "b": 3}}}}', '{"b": "abc"}', '{"k": 1}',
        '{"1": 1, "null": 2, "1.5": 3}', "3", "1.10", '{"a": [-0.00100, "x"]}', '{"n": NaN}', '{"z": 1, "a": 2}',
        "1" + "0" * 30, "-0.0", '{"nan": NaN}',
    ]
    assert [api.invoke(i).body.decode() for i in range(len(expected))] == expected


def test_bytes_go_out_as_they_are(api, run):
    run("def handler(event, context):\n    return b'\\x00\\xff raw'\n")
    outcome = api.invoke({})
    assert outcome.body == b"\x00\xff raw"
    assert outcome.headers["content-type"] == "application/unknown"


@pytest.mark.parametrize("expression, reason", [
    ("{1, 2}", "Object of type set is not JSON serializable"),
    ("{'a': [object()]}", "Object of type object is not JSON serializable"),
    ("{(1, 2): 3}", "keys must be str, int, float, bool or None, not tuple"),
    ("loop", "Circular reference detected"),
    ("{'b': b'\\xff'}", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
])
def test_a_result_that_is_not_json_is_a_marshal_error(api, run, expression, reason):
    run("loop = []\nloop.append(loop)\ndef handler(event, context):\n    return %s if event else 1\n" % expression)
    outcome = api.invoke(1)
    assert outcome.kind == "error"
    assert outcome.headers["lambda-runtime-function-error-type"] == "Runtime.MarshalError"
    assert outcome.json["errorMessage"] == "Unable to marshal response: " + reason
    assert outcome.json["errorType"] == "Runtime.MarshalError"
    assert outcome.json["stackTrace"] == []
    assert api.invoke(0).json == 1


@pytest.mark.parametrize("body, reason", [
    (b"", "Expecting value: line 1 column 1 (char 0)"),
    (b'{"a" 1}', "Expecting ':' delimiter: line 1 column 6 (char 5)"),
    (b'"\xff"', "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
    (b"[" * 100000, "maximum recursion depth exceeded"),
])
def test_an_event_that_is_not_json_is_an_unmarshal_error(api, run, body, reason):
    run(ECHO)
    outcome = api.invoke(body)
    assert outcome.json["errorType"] == "Runtime.UnmarshalError"
    assert outcome.json["errorMessage"].startswith("Unable to unmarshal input: " + reason)
    assert api.invoke(b" [1] \n").json == [1]


# ------------------------------------------------------------------------------------------ context


CONTEXT = """
import os
def handler(event, c):
    return {
        "names": [c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name, c.log_stream_name],
        "id": c.aws_request_id, "arn": c.invoked_function_arn, "tenant": c.tenant_id,
        "left": c.get_remaining_time_in_millis(), "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "client": c.client_context and [c.client_context.custom, c.client_context.env,
                                        c.client_context.client.app_title],
        "identity": [c.identity.cognito_identity_id, c.identity.cognito_identity_pool_id], "repr": repr(c),
        "w3c": c.w3c(),
    }
"""


def test_the_context_has_awss_attributes(api, run):
    run(CONTEXT)
    invocation = api.start({}, {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"},"env":{"e":1},"client":{"app_title":"t"},'
                                         '"w3c":{"traceparent":"00-1","x":"y"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        "Lambda-Runtime-Aws-Tenant-Id": "tenant-1",
    }, timeout_ms=20000)
    got = invocation.wait().json
    assert got["names"] == ["f", "$LATEST", "128", "/aws/lambda/f",
                            "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef"]
    assert got["id"] == invocation.request_id
    assert got["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert got["tenant"] == "tenant-1"
    assert 0 < got["left"] <= 20000
    assert got["trace"].startswith("Root=1-5bef4de7")
    assert got["client"] == [{"k": "é"}, {"e": 1}, "t"]
    assert got["identity"] == ["i", "p"]
    assert got["w3c"] == {"traceparent": "00-1"}
    assert got["repr"].startswith("LambdaContext([aws_request_id=8476a536-")


def test_the_context_without_optional_headers_has_nones_and_no_stale_trace(api, run):
    run(CONTEXT)
    api.invoke({})
    got = api.invoke({}, {"Lambda-Runtime-Trace-Id": None}, timeout_ms=-5000).json
    assert (got["client"], got["identity"], got["tenant"], got["trace"]) == (None, [None, None], None, None)
    assert got["left"] == 0


def test_a_client_context_that_is_not_json_is_awss_error(api, run):
    run(CONTEXT)
    outcome = api.invoke({}, {"Lambda-Runtime-Client-Context": "{nope"})
    assert outcome.json["errorType"] == "Runtime.LambdaContextUnmarshalError"
    assert outcome.json["errorMessage"].startswith("Unable to parse Client Context JSON: Expecting property name")


# ------------------------------------------------------------------------------------------ handlers


@pytest.mark.parametrize("handler, path", [
    ("app.handler", "app.py"), ("pkg.mod.run", "pkg/mod.py"), ("src/deep/mod.run", "src/deep/mod.py"),
])
def test_all_forms_of_handler_names_work(api, run, handler, path):
    function = handler.rpartition(".")[2]
    run({path: "def %s(event, context):\n    return __name__\n" % function}, handler)
    assert api.invoke({}).json == path[:-3].replace("/", ".")


def test_modules_see_awss_search_path_and_none_of_the_hosts_packages(api, run, tmp_path):
    run("import sys\ndef handler(event, context):\n    return [sys.path, sorted(sys.modules)]\n",
        env={"PYTHONPATH": "/given"}, flags=())
    path, modules = api.invoke({}).json
    layer = [p for p in path if p.startswith("/opt/")]
    assert path[0] == str(tmp_path)
    assert re.fullmatch(r"/opt/python/lib/python3\.\d+/site-packages", layer[0])
    assert layer[1:] == ["/opt/python"]
    assert path[3] == "/given"
    assert not any(p.endswith("-packages") for p in path[3:])
    assert str(RUNTIMES / "python") not in path


def test_the_hosts_packages_come_last_when_the_function_asks_for_them(api, run):
    run("import sys\ndef handler(event, context):\n    return sys.path\n", env={"SLUICE_HOST_PACKAGES": "1"})
    assert any(p.endswith("-packages") for p in api.invoke({}).json[3:])


def test_a_lean_function_starts_without_heavy_modules(api, run):
    run("import sys\ndef handler(event, context):\n    return sorted(sys.modules)\n")
    loaded = set(api.invoke({}).json)
    assert not loaded & {"json", "re", "socket", "ssl", "http", "logging", "traceback", "enum", "typing"}


def test_a_users_module_may_have_any_name_of_ours(api, run):
    run({"bootstrap.py": ECHO}, "bootstrap.handler")
    assert api.invoke({"a": 1}).json == {"a": 1}


INIT_ERRORS = {
    "missing module": ({}, "nosuch.handler", "Runtime.ImportModuleError",
                       "Unable to import module 'nosuch': No module named 'nosuch'"),
    "missing import": ({"app.py": "import nosuchthing\n"}, "app.handler", "Runtime.ImportModuleError",
                       "Unable to import module 'app': No module named 'nosuchthing'"),
    "no handler": ({"app.py": "x = 1\n"}, "app.handler", "Runtime.HandlerNotFound",
                   "Handler 'handler' missing on module 'app'"),
    "bad name": ({"app.py": "x = 1\n"}, "app", "Runtime.MalformedHandlerName",
                 "Bad handler 'app': not enough values to unpack (expected 2, got 1)"),
    "built-in": ({}, "time.sleep", "Runtime.BuiltInModuleConflict",
                 "Cannot use built-in module time as a handler module"),
    "syntax": ({"app.py": "def handler(:\n"}, "app.handler", "Runtime.UserCodeSyntaxError",
               "Syntax error in module 'app': invalid syntax (app.py, line 1)"),
    "raises": ({"app.py": "1 / 0\n"}, "app.handler", "ZeroDivisionError", "division by zero"),
}


@pytest.mark.parametrize("case", INIT_ERRORS)
def test_a_handler_that_cannot_be_loaded_is_an_init_error_of_awss_type(api, run, case):
    files, handler, error_type, message = INIT_ERRORS[case]
    runtime = run(files, handler)
    request = api.init_error()
    body = json.loads(request.body)
    assert list(body) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (body["errorType"], body["errorMessage"], body["requestId"]) == (error_type, message, "")
    assert request.headers["lambda-runtime-function-error-type"] == error_type
    assert runtime.exit_code() == 1
    assert runtime.stdout.startswith("[ERROR] %s: %s\rTraceback (most recent call last):" % (error_type, message))
    assert runtime.stdout.count("\n") == 1


def test_init_error_traces_name_the_users_lines_only(api, run, tmp_path):
    run({"app.py": "import lib\n", "lib.py": "def f():\n    raise KeyError('k')\nf()\n"})
    trace = json.loads(api.init_error().body)["stackTrace"]
    assert trace == [
        '  File "%s/app.py", line 1, in <module>\n    import lib\n' % tmp_path,
        '  File "%s/lib.py", line 3, in <module>\n    f()\n' % tmp_path,
        '  File "%s/lib.py", line 2, in f\n    raise KeyError(\'k\')\n' % tmp_path,
    ]


def test_the_syntax_error_trace_has_awss_form(api, run, tmp_path):
    run({"app.py": "x = 1\ndef handler(:\n"})
    trace = json.loads(api.init_error().body)["stackTrace"]
    assert trace == ['  File "%s/app.py" Line 2\n    def handler(:\n' % tmp_path]


# ------------------------------------------------------------------------------------------ failures


def test_an_exception_is_reported_and_logged_in_awss_shape(api, run, tmp_path):
    runtime = run("def handler(event, context):\n    check(event)\ndef check(x):\n    raise ValueError('no %s' % x)\n")
    invocation = api.start("é")
    outcome = invocation.wait()
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "ValueError"
    assert outcome.json == {
        "errorMessage": "no é", "errorType": "ValueError", "requestId": invocation.request_id,
        "stackTrace": [
            '  File "%s/app.py", line 2, in handler\n    check(event)\n' % tmp_path,
            '  File "%s/app.py", line 4, in check\n    raise ValueError(\'no %%s\' %% x)\n' % tmp_path,
        ],
    }
    line = runtime.stdout_line("[ERROR]")
    assert line.startswith("[ERROR] ValueError: no é\rTraceback (most recent call last):\r\u00a0\u00a0File ")
    assert api.invoke("again").kind == "error"


def test_an_exception_that_cannot_be_printed_does_not_end_the_runtime(api, run):
    run("""
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no")
def handler(event, context):
    raise Odd()
""")
    assert api.invoke(1).json["errorType"] == "Odd"
    assert api.invoke(2).json["errorMessage"] == "<unprintable Odd: RuntimeError>"


def test_error_types_cannot_smuggle_headers(api, run):
    run("def handler(event, context):\n    raise type('A\\r\\nX-Evil: 1', (Exception,), {})('m')\n")
    outcome = api.invoke(1)
    assert "x-evil" not in outcome.headers
    assert outcome.headers["lambda-runtime-function-error-type"] == "A??X-Evil: 1"


@pytest.mark.parametrize("code, status", [("sys.exit(3)", 3), ("sys.exit(0)", 0), ("exit(4)", 4), ("os._exit(5)", 5)])
def test_leaving_the_process_in_a_handler_ends_it_with_that_status(api, run, code, status):
    runtime = run("import os, sys\ndef handler(event, context):\n    %s\n" % code)
    assert api.invoke({}).kind == "crash"
    assert runtime.exit_code() == status


def test_signal_handlers_run_while_waiting_for_an_event(api, run):
    runtime = run("""
import signal, sys
signal.signal(signal.SIGTERM, lambda *a: (print("bye"), sys.exit(7)))
def handler(event, context):
    return 1
""")
    assert api.invoke({}).json == 1
    assert api.idle.wait(30)
    runtime.process.terminate()
    assert runtime.exit_code() == 7
    assert "bye\n" in runtime.stdout


# ------------------------------------------------------------------------------------------ logs


def test_prints_arrive_line_by_line_during_the_invocation(api, run):
    runtime = run("""
import sys
def handler(event, context):
    print("one", "é", 2)
    print("to stderr", file=sys.stderr)
    sys.stdout.write("partial")
    if event:
        sys.stdin.read()
        import threading
        threading.Event().wait()
""")
    api.start(1)
    assert runtime.stdout_line("one") == "one é 2\n"
    assert runtime.stderr_line("to stderr") == "to stderr\n"


def test_a_last_line_without_newline_belongs_to_its_invocation(api, run):
    runtime = run("def handler(event, context):\n    print('end', end='' if event else '\\n')\n")
    api.invoke(1)
    api.invoke(0)
    assert runtime.stdout_line("end") == "endend\n"


def test_logging_has_awss_text_format(api, run):
    runtime = run("""
import logging
logging.warning("at init")
logger = logging.getLogger("mine")
logger.setLevel("INFO")
def handler(event, context):
    logger.info("hello %s", "é")
    logger.debug("hidden")
    logging.getLogger("other").info("hidden too")
""")
    invocation = api.start({})
    invocation.wait()
    assert re.fullmatch(r"\[WARNING\]\t%s\t\tat init\n" % STAMP, runtime.stdout_line("at init"))
    line = runtime.stdout_line("hello")
    assert re.fullmatch(r"\[INFO\]\t%s\t%s\thello é\n" % (STAMP, invocation.request_id), line)
    assert "hidden" not in runtime.stdout


LOG_JSON = """
import logging
log = logging.getLogger()
def handler(event, context):
    log.debug("low")
    log.info("hi %d", 1, extra={"order": 7})
    log.warning({"k": [1]})
    try:
        1 / 0
    except Exception:
        log.exception("failed")
    raise RuntimeError("gone")
"""


def test_logging_has_awss_json_format_and_level(api, run):
    runtime = run(LOG_JSON, env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
    invocation = api.start({}, {"Lambda-Runtime-Aws-Tenant-Id": "t"})
    invocation.wait()
    runtime.stdout_line("gone")
    lines = [json.loads(line) for line in runtime.stdout.splitlines()]
    stamps = [line.pop("timestamp") for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", s) for s in stamps)
    common = {"logger": "root", "requestId": invocation.request_id, "tenantId": "t"}
    assert lines[0] == {"level": "INFO", "message": "hi 1", "order": 7, **common}
    assert lines[1] == {"level": "WARNING", "message": {"k": [1]}, **common}
    assert lines[2]["errorType"] == "ZeroDivisionError"
    assert lines[2]["errorMessage"] == "division by zero"
    assert lines[2]["location"].endswith("app.py:handler:11")
    assert lines[2]["stackTrace"][0].startswith("  File ")
    assert lines[3]["level"] == "ERROR"
    assert lines[3]["errorMessage"] == "gone"
    assert len(lines) == 4


def test_basic_config_does_not_double_log_lines(api, run):
    runtime = run("import logging\nlogging.basicConfig(level='INFO')\ndef handler(e, c):\n    logging.error('once')\n")
    api.invoke({})
    runtime.stdout_line("once")
    assert runtime.stdout.count("once") == 1
    assert "once" not in runtime.stderr
