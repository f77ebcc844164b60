# SPDX-License-Identifier: Apache-2.0
"""The Java runtime against a fake Runtime API: wire behaviour, handler forms, the JSON mapper, AWS's errors and log lines.

The functions are tests/runtimes/java, compiled once for all tests, with stand-ins for AWS's interfaces of the same names.
"""

import json
import os
import re
import shutil
import subprocess

import pytest

from fake_runtime_api import REPO, RUNTIMES, FakeRuntimeApi, Runtime

SOURCES = REPO / "tests" / "runtimes" / "java"
JAR = RUNTIMES / "java" / "build" / "sluice-runtime.jar"
JAVA = os.environ.get("SLUICE_TEST_JAVA") or shutil.which("java")
FLAGS = ["-Xmx80m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData"]

pytestmark = pytest.mark.skipif(JAVA is None or shutil.which("javac") is None, reason="no JDK is installed: apt-get install default-jdk-headless")


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    subprocess.run([RUNTIMES / "build.sh"], check=True)
    folder = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-nowarn", "-d", folder, *map(str, SOURCES.rglob("*.java"))], check=True)
    return folder


@pytest.fixture
def run(api, classes, start_runtime):
    def start(handler, env=None, to=api, root=classes, flags=()):
        return start_runtime([JAVA, *FLAGS, *flags, "-cp", JAR, "sluice.runtime.Main"], to, root, handler, env)

    return start


# ------------------------------------------------------------------------------------------ wire


@pytest.mark.parametrize("options", [{}, {"hold_accept": False}, {"chunked": True}, {"drip": 997}, {"close_after_response": True}])
def test_events_of_all_kinds_come_back_unchanged(run, options):
    with FakeRuntimeApi(**options) as api:
        run("functions.Forms$Methods::echo", to=api)
        big = {"big": "x" * 200000, "deep": [[[{}]]], "n": [0, -1, 2147483648, 2.5, 1e300, 12345678901234567890]}
        for event in ({"a": [1, 2.5, None, True, "é 😀 \u0001\"\\/"]}, [], "text", 7, None, big):
            outcome = api.invoke(event)
            assert (outcome.kind, outcome.json) == ("response", event)


def test_the_response_and_the_next_request_leave_in_one_write(api, run):
    run("functions.Forms")
    outcomes = [api.invoke({"n": i}) for i in range(3)]
    assert all(o.pipelined for o in outcomes)
    assert outcomes[0].headers["user-agent"] == "sluice-java/1"
    assert outcomes[0].headers["content-type"] == "application/json"


def test_a_response_that_is_too_large_does_not_end_the_runtime(api, run):
    runtime = run("functions.Doing")
    assert api.invoke({"do": "big", "size": 6291556 + 200}).kind == "response"
    assert api.invoke({"do": "big", "size": 3}).json == "xxx"
    assert runtime.stderr_line("413")


# ------------------------------------------------------------------------------------------ handlers


FORMS = {
    "functions.Forms": ({"k": [1]}, b'{"k":[1]}'),
    "functions.Forms::handleRequest": ({"k": [1]}, b'{"k":[1]}'),
    "functions.Forms$Stream": ({"k": 1}, b'{"k": 1}'),
    "functions.Forms$Derived": ([{"x": 2, "y": 3}, {"x": 4, "y": 5}], b"26"),
    "functions.Forms$Methods::fixed": (1, b'"fixed"'),
    "functions.Forms$Methods::nothing": (1, b"null"),
    "functions.Forms$Methods::onlyContext": (1, b'"f"'),
    "functions.Forms$Methods::text": ("é", '"é/f"'.encode()),
    "functions.Forms$Methods::number": (41, b"42"),
    "functions.Forms$Methods::streams": ({"k": 1}, b'{"k": 1}'),
    "functions.Forms$Methods::allStreams": ([1], b"[1]f"),
    "functions.Forms$Methods::input": (1, b"null"),
    "functions.Forms$Methods::output": (1, b"\x00\xffraw"),
    "functions.Forms$Methods::overloaded": ("x", b'"one and a context"'),
}


@pytest.mark.parametrize("handler", FORMS)
def test_all_forms_of_handlers_work(api, run, handler):
    run(handler)
    event, answer = FORMS[handler]
    assert [api.invoke(event).body, api.invoke(event).body] == [answer, answer]


NO_HANDLER = {
    "functions.None": ("Class not found: functions.None", "java.lang.ClassNotFoundException"),
    "functions.Forms::none": ("No public method named none with appropriate method signature found on class functions.Forms", None),
    "functions.Forms$Methods::wrong": ("No public method named wrong with appropriate method signature found on class functions.Forms$Methods", None),
    "functions.Forms$Methods::hidden": ("No public method named hidden with appropriate method signature found on class functions.Forms$Methods", None),
    "functions.Forms$NoInterface": ("Class does not implement an appropriate handler interface: functions.Forms$NoInterface", None),
    "functions.Forms$Raw": ("Class functions.Forms$Raw does not implement RequestHandler with concrete type parameters: parameter T has no upper bound.", None),
    "functions.Forms$Inner::handle": ("Class functions.Forms$Inner cannot be instantiated because it is a non-static inner class", "java.lang.Exception"),
    "functions.Forms$NeedsArgument::handle": ("Class functions.Forms$NeedsArgument has no public zero-argument constructor", "java.lang.Exception"),
    "::handle": ("Invalid handler: `::handle'", None),
}


@pytest.mark.parametrize("handler", NO_HANDLER)
def test_a_handler_that_is_none_is_told_at_each_event(api, run, handler):
    run(handler)
    message, error_type = NO_HANDLER[handler]
    outcome = api.invoke({})
    assert outcome.kind == "error"
    assert outcome.json == {"errorMessage": message, **({"errorType": error_type} if error_type else {})}
    assert outcome.headers["lambda-runtime-function-error-type"] == "Runtime.BadFunctionCode"
    assert api.invoke({}).json["errorMessage"] == message


@pytest.mark.parametrize("handler, message, error_type", [
    ("functions.Forms$ConstructorThrows::handle", "no é", "java.lang.IllegalStateException"),
    ("functions.Forms$StaticThrows::handle", "Error loading class functions.Forms$StaticThrows", "java.lang.ExceptionInInitializerError"),
])  # fmt: skip
def test_what_the_users_code_throws_at_start_is_an_init_error(api, run, handler, message, error_type):
    runtime = run(handler)
    request = api.init_error()
    assert json.loads(request.body) == {"errorMessage": message, "errorType": error_type}
    assert request.headers["lambda-runtime-function-error-type"] == "Runtime.BadFunctionCode"
    assert runtime.exit_code() == 1
    assert runtime.stdout.startswith("%s: %s\n" % (message, error_type))


def test_jars_in_lib_are_found_and_the_function_comes_first(api, run, classes, tmp_path):
    inside = tmp_path / "in"
    for name in ("Library", "Main"):
        source = tmp_path / ("%s.java" % name)
        source.write_text({
            "Library": "package lib; public class Library { public static String where() { return \"%s\"; } }",
            "Main": "public class Main { public String handle() { return lib.Library.where() + getClass().getResource(\"/note.txt\"); } }",
        }[name].replace("%s", "jar"))  # fmt: skip
    subprocess.run(["javac", "-d", inside, tmp_path / "Library.java", tmp_path / "Main.java"], check=True)
    (inside / "note.txt").write_text("x")
    root = tmp_path / "task"
    (root / "lib").mkdir(parents=True)
    subprocess.run(["jar", "cf", root / "lib" / "all.jar", "-C", inside, "."], check=True)
    run("Main::handle", root=root)
    assert api.invoke({}).json == "jarjar:file:%s/lib/all.jar!/note.txt" % root


def test_the_context_class_loader_is_the_functions(api, run):
    run("functions.Doing")
    assert api.invoke({"do": "loader"}).json is True


# ------------------------------------------------------------------------------------------ JSON


EVERYTHING = {
    "text": "é", "yes": True, "maybe": False, "small": -7, "big": 9007199254740993, "real": 2.5, "single": 1.25, "letter": "c",
    "exact": 0.10000000000000000000001, "huge": 123456789012345678901234567890, "color": "GREEN", "point": {"x": 1, "y": 2},
    "points": [{"x": 3, "y": 4}], "list": [{"x": 5, "y": 6}], "set": [3, 1], "map": {"k": [1, 2]}, "colors": {"RED": {"x": 7, "y": 8}},
    "bytes": "AP8=", "grid": [[1], [2, 3]], "pair": {"name": "n", "value": {"x": 9, "y": 10}}, "texts": {"name": "t", "value": ["a"]},
    "option": "there", "time": "2026-01-02T03:04:05.678Z", "uuid": "8476a536-e9f4-11e8-9739-000000000001",
    "any": {"a": [1, 2.5, {"b": None}]}, "anything": [1, "x"], "URL": "u", "done": True,
}  # fmt: skip


def test_a_value_goes_through_every_kind_of_property_and_back(api, run):
    run("functions.Values::echo")
    text = json.dumps(EVERYTHING).replace("1.0000000000000001e-23", "x").replace("0.1,", "0.10000000000000000000001,")
    answer = api.invoke(text.encode())
    assert b'"exact":0.10000000000000000000001' in answer.body
    got = answer.json
    assert {k: got[k] for k in EVERYTHING} == EVERYTHING
    assert set(got) - set(EVERYTHING) == set()  # neither transient nor private ones


@pytest.mark.parametrize("event, answer", [
    ({"unknown": 1, "hidden": 2, "text": "x"}, {"text": "x"}),
    ({"text": 5, "big": "12", "yes": "true", "real": "1.5", "small": "", "maybe": ""}, {"text": "5", "big": 12, "yes": True, "real": 1.5, "maybe": False}),
    ({"text": None, "big": None, "list": None}, {}),
    ({"list": {"x": 1, "y": 2}, "point": [{"x": 3, "y": 4}]}, {"list": [{"x": 1, "y": 2}], "point": {"x": 3, "y": 4}}),
    ({"color": "BLUE", "point": ""}, {}),
    ({"color": 1}, {"color": "GREEN"}),
    ({"time": 1700000000.5}, {"time": "2023-11-14T22:13:20.500Z"}),
    ({"point": {"x": 1.9}}, {"point": {"x": 1, "y": 0}}),
])  # fmt: skip
def test_odd_values_are_taken_as_awss_jackson_takes_them(api, run, event, answer):
    run("functions.Values::echo")
    got = api.invoke(event).json
    blank = {"yes": False, "small": 0, "big": 0, "real": 0.0, "letter": "\u0000", "done": False}
    assert {k: v for k, v in got.items() if k not in blank or v != blank[k]} == {k: v for k, v in answer.items() if k not in blank or v != blank[k]}


def test_records_and_type_arguments_are_understood(api, run):
    run("functions.Values::pair")
    assert api.invoke({"name": "n", "value": {"x": 1, "y": 2}}).json == {"name": "n!", "value": {"x": 1, "y": 2}}


def test_plain_values_have_jacksons_classes(api, run):
    run("functions.Values::classes")
    event = {"a": 1, "b": 2147483648, "c": 12345678901234567890, "d": 1.5, "e": "x", "f": True, "g": None, "h": [], "i": {}}
    assert api.invoke(event).json == ["Integer", "Long", "BigInteger", "Double", "String", "Boolean", "null", "ArrayList", "LinkedHashMap"]


def test_classes_of_awss_events_are_matched_without_regard_to_case(api, run):
    run("functions.Forms$Events")
    assert api.invoke({"Records": [{"eventSourceARN": "arn", "size": 3}, {}]}).json == {"records": [{"eventSourceArn": "arn", "size": 3}, {}]}


def test_classes_of_awss_events_are_made_as_they_must_be(api, run):
    run("functions.Forms$Store::handle")
    event = {"Items": [{"eventTime": "2026-01-02T03:04:05Z", "detail": {"detail-type": "t", "Created": 1700000000.5, "BOOL": True}}]}
    assert api.invoke(event).json == {"items": [{"eventTime": "2026-01-02T03:04:05Z",
                                                 "detail": {"detailType": "t", "created": 1700000000500, "BOOL": True}}]}  # fmt: skip


def test_unusual_results_are_written(api, run):
    run("functions.Values::odd")
    assert api.invoke(1).json == ["NaN", 1.0, "c", "RED", {}, None, '\u0001"\\é😀']


@pytest.mark.parametrize("handler, event, cause", [
    ("functions.Values::loop", 1, "Infinite recursion, or a result nested too deep"), ("functions.Values::failing", 1, "no getter"),
])  # fmt: skip
def test_a_result_that_cannot_be_written_is_awss_error(api, run, handler, event, cause):
    run(handler)
    got = api.invoke(event).json
    assert (got["errorMessage"], got["errorType"]) == ("An error occurred during JSON serialization of response", "java.lang.RuntimeException")
    assert got["cause"]["errorMessage"] == cause


@pytest.mark.parametrize("handler, body, cause", [
    ("functions.Forms", b"", "Unexpected end of input: expected a value"),
    ("functions.Forms", b'{"a" 1}', "Unexpected character '1' at 5: expected ':'"),
    ("functions.Forms", b"[" * 100000, "the document is nested deeper than 1000"),
    ("functions.Forms", b"[01]", "a number must not begin with 0"),
    ("functions.Forms", b'"\\x"', "Unexpected character 'x' at 2: expected an escape"),
    ("functions.Forms", b"7", "Cannot make java.util.Map of a number"),
    ("functions.Values::echo", b'{"point": {"x": "abc"}}', "Cannot make int of a string"),
    ("functions.Values::echo", b'{"point": {"x": 4294967296}}', "the number 4294967296 is out of range of int"),
    ("functions.Values::echo", b'{"huge": 1e999999999}', "the number is out of range: 1E+999999999"),
    ("functions.Values::echo", b'{"time": "yesterday"}', 'Cannot make java.time.Instant of "yesterday"'),
])  # fmt: skip
def test_an_event_that_does_not_fit_is_awss_error(api, run, handler, body, cause):
    run(handler)
    got = api.invoke(body).json
    assert (got["errorMessage"], got["errorType"]) == ("An error occurred during JSON parsing", "java.lang.RuntimeException")
    assert got["stackTrace"] == []
    assert got["cause"]["errorMessage"] == cause
    assert api.invoke(b" null \n").kind == "response"


def test_a_functions_own_serializer_is_used(api, run, classes, tmp_path):
    root = tmp_path / "task"
    shutil.copytree(classes, root)
    services = root / "META-INF" / "services"
    services.mkdir(parents=True)
    (services / "com.amazonaws.services.lambda.runtime.CustomPojoSerializer").write_text("functions.Doing$Own\n")
    run("functions.Forms", root=root)
    assert api.invoke("anything").body == b"own class java.lang.Object {do=env}"


# ------------------------------------------------------------------------------------------ context


def test_the_context_has_awss_methods(api, run):
    run("functions.Doing")
    invocation = api.start({"do": "context"}, {"Lambda-Runtime-Aws-Tenant-Id": "tenant-1"}, timeout_ms=20000)
    got = invocation.wait().json
    assert got[:5] == ["f", "$LATEST", 128, "/aws/lambda/f", "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef"]
    assert got[5:8] == [invocation.request_id, "arn:aws:lambda:us-east-1:000000000000:function:f", "tenant-1"]
    assert 0 < got[8] <= 20000
    assert got[9] is None
    assert got[10].startswith("Root=1-5bef4de7")
    assert got[11:] == [True, "Context"]
    bare = api.invoke({"do": "context"}, {"Lambda-Runtime-Trace-Id": None}, timeout_ms=-5000).json
    assert (bare[7], bare[8], bare[10]) == (None, 0, None)


def test_identity_and_client_context_come_from_their_headers(api, run):
    run("functions.Doing")
    assert api.invoke({"do": "client"}).json == [None] * 5
    got = api.invoke({"do": "client"}, {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"},"env":{"e":"1"},"client":{"app_title":"t"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
    }).json  # fmt: skip
    assert got == ["i", "p", {"k": "é"}, {"e": "1"}, "t"]


def test_the_environment_is_read_as_utf8(api, run):
    run("functions.Doing", env={"MINE": "ünï", "LC_ALL": "C.UTF-8"})
    assert api.invoke({"do": "env", "name": "MINE"}).json == "ünï"


def test_java_tool_options_are_obeyed(api, run):
    runtime = run("functions.Doing", env={"JAVA_TOOL_OPTIONS": "-Dcom.amazonaws.none=1 -Xmx64m"})
    assert api.invoke({"do": "context"}).kind == "response"
    assert runtime.stderr_line("Picked up JAVA_TOOL_OPTIONS")


# ------------------------------------------------------------------------------------------ failures


def test_an_exception_is_reported_and_logged_in_awss_shape(api, run):
    runtime = run("functions.Doing")
    outcome = api.invoke({"do": "throw", "message": "no é"})
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "Runtime.UserException"
    assert list(outcome.json) == ["errorMessage", "errorType", "stackTrace"]
    assert outcome.json["errorMessage"] == "no é"
    assert outcome.json["errorType"] == "java.lang.IllegalArgumentException"
    # The last frame is the method that the compiler makes between the interface's and ours.
    assert [re.sub(r":\d+", "", line) for line in outcome.json["stackTrace"]] == [
        "functions.Doing.fail(Doing.java)", "functions.Doing.handleRequest(Doing.java)", "functions.Doing.handleRequest(Doing.java)"]
    runtime.stdout_line("\tat functions.Doing.handleRequest")
    assert runtime.stdout.startswith("no é: java.lang.IllegalArgumentException\njava.lang.IllegalArgumentException: no é\n\tat functions.Doing.fail(")
    assert "sluice.runtime" not in runtime.stdout
    assert api.invoke({"do": "throw", "message": "again"}).kind == "error"


def test_causes_are_reported_too(api, run):
    runtime = run("functions.Doing")
    got = api.invoke({"do": "cause"}).json
    assert (got["errorMessage"], got["errorType"]) == ("outer", "java.lang.RuntimeException")
    assert (got["cause"]["errorMessage"], got["cause"]["errorType"]) == ("inner", "java.lang.IllegalArgumentException")
    assert got["cause"]["stackTrace"][0].startswith("functions.Doing.fail(")
    runtime.stdout_line("Caused by: java.lang.IllegalArgumentException: inner")


def test_an_exception_that_cannot_be_printed_does_not_end_the_runtime(api, run):
    run("functions.Doing")
    assert [api.invoke({"do": "odd"}).json["errorType"] for _ in range(2)] == ["functions.Doing$Odd"] * 2


@pytest.mark.parametrize("do, error_type", [("memory", "java.lang.OutOfMemoryError"), ("stack", "java.lang.StackOverflowError")])
def test_after_an_error_of_the_virtual_machine_the_process_ends(api, run, do, error_type):
    runtime = run("functions.Doing")
    outcome = api.invoke({"do": do})
    assert outcome.json["errorType"] == error_type
    assert not outcome.pipelined
    assert runtime.exit_code() == 1


def test_leaving_the_process_in_a_handler_ends_it_with_that_status(api, run):
    runtime = run("functions.Doing")
    assert api.invoke({"do": "exit"}).kind == "crash"
    assert runtime.exit_code() == 3
    assert runtime.stdout == "last words"


def test_an_interrupted_thread_is_no_matter_for_the_next_event(api, run):
    run("functions.Doing")
    assert [api.invoke({"do": "interrupt"}).json for _ in range(3)] == ["interrupted"] * 3


# ------------------------------------------------------------------------------------------ logs


def test_output_arrives_line_by_line_during_the_invocation(api, run):
    runtime = run("functions.Doing")
    api.invoke({"do": "print"})
    assert runtime.stdout_line("one") == "one é\n"
    assert runtime.stderr_line("to stderr") == "to stderr\n"
    api.start({"do": "wait"})
    assert runtime.stdout_line("waiting") == "partwaiting\n"


def test_the_logger_has_awss_text_format(api, run):
    runtime = run("functions.Doing")
    api.invoke({"do": "log"})
    runtime.stdout_line("by the runtime")
    assert runtime.stdout == "plain é\nbytes\n[DEBUG] detail\n[WARN] careful\n[ERROR] two\nlines\nby the runtime\n"


def test_the_logger_has_awss_json_format_and_level(api, run):
    runtime = run("functions.Doing", env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"})
    invocation = api.start({"do": "log"}, {"Lambda-Runtime-Aws-Tenant-Id": "t"})
    invocation.wait()
    api.invoke({"do": "throw", "message": "gone"})
    runtime.stdout_line("gone")
    lines = runtime.stdout.splitlines()
    assert lines[1] == "bytes"
    records = [json.loads(line) for line in lines if line != "bytes"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp")) for record in records)
    common = {"AWSRequestId": invocation.request_id, "tenantId": "t"}
    assert records[0] == {"message": "plain é", "level": "UNDEFINED", **common}
    assert records[1] == {"message": "careful", "level": "WARN", **common}
    assert records[2] == {"message": "two\nlines\n", "level": "ERROR", **common}
    assert records[4]["level"] == "ERROR"
    assert records[4]["message"].startswith("gone: java.lang.IllegalArgumentException\njava.lang.IllegalArgumentException: gone\n\tat ")
