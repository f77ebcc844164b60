# SPDX-License-Identifier: Apache-2.0
"""The .NET runtime against a fake Runtime API: wire behaviour, handler forms, the JSON mapper, AWS's errors and log lines.

The functions are tests/runtimes/dotnet, compiled once for all tests, with a stand-in for the library Amazon.Lambda.Core. They run
under Mono and under .NET.
"""

import base64
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fake_runtime_api import REPO, RUNTIMES, FakeRuntimeApi, Runtime

SOURCES = REPO / "tests" / "runtimes" / "dotnet"
EXE = RUNTIMES / "dotnet" / "build" / "sluice-runtime.exe"
CONFIG = RUNTIMES / "dotnet" / "sluice-runtime.runtimeconfig.json"
MONO = shutil.which("mono")


def dotnet_command(folder):
    """How .NET runs the runtime: the installed one, else that of the package dotnetcore2, which is older and lacks ICU; or None."""
    if shutil.which("dotnet"):
        return ["dotnet", "exec", "--runtimeconfig", CONFIG, EXE]
    package = importlib.util.find_spec("dotnetcore2")
    if not package:
        return None
    program = Path(package.submodule_search_locations[0]) / "bin" / "dotnet"
    program.chmod(0o755)  # which a wheel does not keep
    config = json.loads(CONFIG.read_text())
    config["runtimeOptions"]["framework"]["version"] = "3.1.0"
    path = folder / "sluice-runtime.runtimeconfig.json"
    path.write_text(json.dumps(config))
    return ["env", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1", program, "exec", "--runtimeconfig", path, EXE]


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

pytestmark = pytest.mark.skipif(shutil.which("mcs") is None, reason="Mono's compiler is not installed: apt-get install mono-mcs")


@pytest.fixture(scope="session", params=["mono", "dotnet"])
def command(request, tmp_path_factory):
    found = MONO and [MONO, EXE] if request.param == "mono" else dotnet_command(tmp_path_factory.mktemp("config"))
    return found or pytest.skip(f"{request.param} is not installed")


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory):
    subprocess.run([RUNTIMES / "build.sh"], check=True)
    folder = tmp_path_factory.mktemp("dotnet")

    def compile(kind, source, name, *more):
        subprocess.run(["mcs", "-target:" + kind, "-nowarn:414,649", *more, "-out:%s/%s" % (folder, name), str(SOURCES / source)], check=True)

    compile("library", "Core.cs", "Amazon.Lambda.Core.dll")
    compile("library", "Functions.cs", "Functions.dll", "-r:%s/Amazon.Lambda.Core.dll" % folder)
    compile("exe", "Program.cs", "Program.exe")
    return folder


@pytest.fixture
def run(api, assemblies, command, start_runtime):
    def start(handler, env=None, to=api, root=assemblies):
        return start_runtime(command, to, root, handler, env)

    return start


FORMS = "Functions::Tests.Forms::"
DOING = "Functions::Tests.Doing::Handle"


# ------------------------------------------------------------------------------------------ wire


@pytest.mark.parametrize("options", [{}, {"hold_accept": False}, {"chunked": True}, {"drip": 997}, {"close_after_response": True}])
def test_events_of_all_kinds_come_back_unchanged(run, options):
    with FakeRuntimeApi(**options) as api:
        run(FORMS + "Echo", to=api)
        big = {"big": "x" * 200000, "deep": [[[{}]]], "n": [0, -1, 9223372036854775807, 2.5, 1e300]}
        for event in ({"a": [1, 2.5, None, True, "é 😀 \u0001\"\\/"]}, [], "text", 7, None, big):
            outcome = api.invoke(event)
            assert (outcome.kind, outcome.json) == ("response", event)


def test_the_response_and_the_next_request_leave_in_one_write(api, run):
    run(FORMS + "Echo")
    outcomes = [api.invoke(i) for i in range(3)]
    assert all(o.pipelined for o in outcomes)
    assert outcomes[0].headers["user-agent"] == "sluice-dotnet/1"
    assert outcomes[0].headers["content-type"] == "application/json"


def test_a_response_that_is_too_large_does_not_end_the_runtime(api, run):
    runtime = run(DOING)
    assert api.invoke({"do": "big", "size": str(6291556 + 200)}).kind == "response"
    assert api.invoke({"do": "big", "size": "3"}).json == "xxx"
    assert runtime.stderr_line("413")


# ------------------------------------------------------------------------------------------ handlers


GOOD = {
    "Echo": ({"k": [1]}, b'{"k":[1]}'),
    "Streams": ({"k": 1}, b'{"k": 1}'),
    "StreamLater": ({"k": 1}, b'{"k": 1}'),
    "Fixed": (1, b'"fixed"'),
    "Nothing": (1, b""),
    "NothingLater": (1, b""),
    "Later": (41, b"42"),
    "Both": ("é", '"é/f"'.encode()),
    "OnlyContext": (1, b'"f"'),
    "Hidden": ("a", b'"a hidden"'),
    "Inherited": ("a", b'"a!"'),
    "System.String Overloaded(Int32)": (1, b'"another"'),
    "WithOwn": ("a", b'<String>own "a"'),
}


@pytest.mark.parametrize("method", GOOD)
def test_all_forms_of_handlers_work(api, run, method):
    run(FORMS + method)
    event, answer = GOOD[method]
    assert [api.invoke(event).body, api.invoke(event).body] == [answer, answer]


BAD = {
    "": "Empty lambda function handler. The valid format is 'ASSEMBLY::TYPE::METHOD'.",
    "Functions::Tests.Forms": "Invalid lambda function handler: 'Functions::Tests.Forms'. The valid format is 'ASSEMBLY::TYPE::METHOD'.",
    "Functions:: ::Echo": "Invalid lambda function handler: 'Functions:: ::Echo', the type is missing. The valid format is 'ASSEMBLY::TYPE::METHOD'.",
    "Nothing::A::B": "Could not find the specified handler assembly with the file name 'Nothing'. "
                     "The assembly should be located in the root of your uploaded .zip file.",
    "Functions::Tests.None::B": "Unable to load type 'Tests.None' from assembly 'Functions'.",
    FORMS + "None": "Unable to find method 'None' in type 'Tests.Forms' from assembly 'Functions': Found no methods matching method name 'None'.",
    FORMS + "Many": "Method 'Many' of type 'Tests.Forms' is not supported: the method has more than 2 parameters.",
    FORMS + "Second": "Method 'Second' of type 'Tests.Forms' is not supported: the method has 2 parameters, but the second parameter is not "
                      "of type 'Amazon.Lambda.Core.ILambdaContext'.",
    FORMS + "Overloaded": "The method 'Overloaded' in type 'Tests.Forms' appears to have a number of overloads. To call this method please "
                          "specify a complete method signature. Possible candidates are:\nSystem.String Overloaded(System.String)\n"
                          "System.String Overloaded(Int32).",
    FORMS + "Generic": "The method 'T Generic[T](T)' cannot be used as a Lambda Handler because it is a generic method.",
    FORMS + "Params": "The method 'System.String Params(System.String[])' cannot be used as a Lambda Handler because it is a 'params' method.",
    FORMS + "Void": "The method 'Void Void(System.String)' cannot be used as a Lambda Handler because it is an 'async void' method.",
    "Functions::Tests.Generic`1::Handle": "The type 'Tests.Generic`1' cannot be used as a Lambda Handler type because it is generic.",
    "Functions::Tests.Base::Inherited": "The instance method 'System.String Inherited(System.String)' cannot be used as a Lambda Handler because "
                                        "its type 'Tests.Base' is abstract.",
    "Functions::Tests.Base::Abstract": "The method 'System.String Abstract(System.String)' cannot be used as a Lambda Handler because it is an abstract method.",
}  # fmt: skip


@pytest.mark.parametrize("handler", BAD)
def test_a_handler_that_is_none_is_an_init_error_with_awss_message(api, run, handler):
    runtime = run(handler)
    request = api.init_error()
    body = json.loads(request.body)
    assert body["errorType"] == "LambdaValidationException"
    # Type names inside signatures are written with or without their namespace, by Mono or .NET.
    assert body["errorMessage"].replace("System.", "").startswith(BAD[handler].replace("System.", ""))
    assert "stackTrace" not in body
    assert request.headers["lambda-runtime-function-error-type"] == "LambdaValidationException"
    assert runtime.exit_code() == 1


@pytest.mark.parametrize("handler, error_type, cause", [
    ("Functions::Tests.ConstructorThrows::Handle", "InvalidOperationException", None),
    ("Functions::Tests.StaticThrows::Handle", "TypeInitializationException", "FormatException"),
])  # fmt: skip
def test_what_the_users_code_throws_at_start_is_an_init_error(api, run, handler, error_type, cause):
    runtime = run(handler)
    body = json.loads(api.init_error().body)
    assert body["errorType"] == error_type
    assert body.get("cause", {}).get("errorType") == cause
    assert runtime.exit_code() == 1
    assert runtime.stderr_line(error_type)


def test_a_program_without_a_handler_in_it_runs_by_itself(api, run):
    runtime = run("Program")
    assert runtime.exit_code() == 7
    assert runtime.stdout == "the program speaks with %d\n" % len(api.address)


# ------------------------------------------------------------------------------------------ JSON


EVERYTHING = {
    "Text": "é", "Yes": True, "Maybe": False, "Small": 7, "Big": 9007199254740993, "Bigger": 18446744073709551615, "Real": 2.5, "Single": 1.25,
    "Exact": 0.1, "Letter": "c", "Color": 1, "Point": {"X": 1, "Y": 2}, "Points": [{"X": 3, "Y": 4}], "List": [{"X": 5, "Y": 6}], "Items": [1, 2],
    "Set": [3, 1], "Map": {"k": [1, 2]}, "Numbers": {"7": {"X": 7, "Y": 8}}, "Bytes": "AP8=", "Memory": "AQI=", "Grid": [[1], [2, 3]],
    "Pair": {"Name": "n", "Value": {"X": 9, "Y": 10}}, "Size": {"Width": 1.5}, "Time": "2026-01-02T03:04:05.678Z", "Moment": "2026-01-02T03:04:05+01:00",
    "Span": "01:02:03", "Id": "8476a536-e9f4-11e8-9739-000000000001", "Link": "http://a/b?c", "Any": {"a": [1, 2.5, {"b": None}]}, "re-named": "r",
}  # fmt: skip


def test_a_value_goes_through_every_kind_of_property_and_back(api, run):
    run(FORMS + "Value")
    got = api.invoke(EVERYTHING).json
    assert got.pop("ReadOnly") == "fixed"
    assert got == EVERYTHING


@pytest.mark.parametrize("event, answer", [
    ({"text": "x", "UNKNOWN": 1, "ignored": "y", "field": "z", "READONLY": "w"}, {"Text": "x"}),
    ({"Color": "green", "NoColor": "Red"}, {"Color": 1, "NoColor": 0}),
    ({"Text": None, "Maybe": None, "List": None}, {}),
    ({"RE-NAMED": "r", "Renamed": "s"}, {"re-named": "r"}),
    ({"Pair": {"name": "n"}}, {"Pair": {"Name": "n"}}),
    ({"Time": 1700000000}, {"Time": "2023-11-14T22:13:20Z"}),
])  # fmt: skip
def test_members_are_matched_and_left_out_as_by_awss_serializer(api, run, event, answer):
    run(FORMS + "Value")
    got = api.invoke(event).json
    assert {k: got.get(k) for k in answer} == answer
    assert not {"Ignored", "Renamed", "field", "Maybe", "List"} & set(got)


@pytest.mark.parametrize("body, message", [
    (b"", "The input ends too early: expected a value."),
    (b'{"a" 1}', "'1' is invalid at position 5: expected ':'."),
    (b"[" * 1000, "The maximum configured depth of 64 has been exceeded."),
    (b'{"Big": "x"}', "The JSON value could not be converted to System.Int64. Path: $.Big."),
    (b'{"Small": 256}', "The JSON value could not be converted to System.Byte. Path: $.Small."),
    (b'{"Points": [{"X": 1}, {"X": true}]}', "The JSON value could not be converted to System.Int32. Path: $.Points[1].X."),
    (b'{"Yes": null}', "The JSON value could not be converted to System.Boolean. Path: $.Yes."),
    (b"[1]", "The JSON value could not be converted to Tests.Everything. Path: $."),
])  # fmt: skip
def test_an_event_that_does_not_fit_fails_its_invocation_only(api, run, body, message):
    run(FORMS + "Value")
    got = api.invoke(body).json
    assert got == {"errorType": "JsonException", "errorMessage": message}
    assert api.invoke({"Text": "x"}).json["Text"] == "x"


@pytest.mark.parametrize("do, error_type", [("loop", "JsonException"), ("nan", "ArgumentException")])
def test_a_result_that_is_not_json_is_an_error_of_the_function(api, run, do, error_type):
    run(DOING)
    assert api.invoke({"do": do}).json["errorType"] == error_type


# ------------------------------------------------------------------------------------------ context


def test_the_context_has_awss_members(api, run):
    run(DOING)
    invocation = api.start({"do": "context"}, {"Lambda-Runtime-Aws-Tenant-Id": "tenant-1"}, timeout_ms=20000)
    got = invocation.wait().json
    assert got[:5] == ["f", "$LATEST", 128, "/aws/lambda/f", "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef"]
    assert got[5:8] == [invocation.request_id, "arn:aws:lambda:us-east-1:000000000000:function:f", "tenant-1"]
    assert 0 < got[8] <= 20000
    assert got[9:11] == [None, 0]
    assert got[11].startswith("Root=1-5bef4de7")
    bare = api.invoke({"do": "context"}, {"Lambda-Runtime-Trace-Id": None}, timeout_ms=-5000).json
    assert (bare[7], bare[8], bare[11]) == (None, 0, None)


def test_identity_and_client_context_come_from_their_headers(api, run):
    run(DOING)
    assert api.invoke({"do": "client"}).json == [None, None]
    got = api.invoke({"do": "client"}, {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"},"env":{"e":1},"client":{"app_title":"t"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
    }).json  # fmt: skip
    assert got == ["i", "p", {"k": "é"}, {"e": "1"}, "t"]


def test_the_environment_is_read_as_utf8(api, run):
    run(DOING, env={"MINE": "ünï"})
    assert api.invoke({"do": "env", "name": "MINE"}).json == "ünï"


# ------------------------------------------------------------------------------------------ failures


def test_an_exception_is_reported_and_logged_in_awss_shape(api, run):
    runtime = run(DOING)
    invocation = api.start({"do": "throw", "message": "no é"})
    outcome = invocation.wait()
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "ArgumentException"
    assert list(outcome.json) == ["errorType", "errorMessage", "stackTrace"]
    assert (outcome.json["errorType"], outcome.json["errorMessage"]) == ("ArgumentException", "no é")
    assert [re.match(r"at ([\w.]+)", line)[1] for line in outcome.json["stackTrace"]] == ["Tests.Doing.Fail", "Tests.Doing.Handle"]
    line = runtime.stderr_line("no é")
    assert re.fullmatch(r"%s\t%s\tfail\tSystem.ArgumentException: no é\n" % (STAMP, invocation.request_id), line)
    assert runtime.stderr_line("Tests.Doing.Fail").startswith("   at Tests.Doing.Fail")
    assert api.invoke({"do": "throw", "message": "again"}).kind == "error"


def test_an_exception_of_a_task_is_itself(api, run):
    run("Functions::Tests.Doing::FailLater")
    got = api.invoke("late").json
    assert (got["errorType"], got["errorMessage"]) == ("ArgumentException", "late")
    assert "FailLater" in got["stackTrace"][0]


def test_causes_are_reported_too(api, run):
    run(DOING)
    got = api.invoke({"do": "cause"}).json
    assert (got["errorType"], got["errorMessage"]) == ("InvalidOperationException", "outer")
    assert (got["cause"]["errorType"], got["cause"]["errorMessage"]) == ("ArgumentException", "inner")
    several = api.invoke({"do": "aggregate"}).json
    assert [one["errorMessage"] for one in several["causes"]] == ["one", "two"]
    assert several["cause"]["errorMessage"] == "one"


def test_an_exception_that_cannot_be_printed_does_not_end_the_runtime(api, run):
    run(DOING)
    assert [api.invoke({"do": "odd"}).json["errorMessage"] for _ in range(2)] == ["<unprintable Odd: InvalidOperationException>"] * 2


def test_leaving_the_process_in_a_handler_ends_it_with_that_status(api, run):
    runtime = run(DOING)
    assert api.invoke({"do": "exit"}).kind == "crash"
    assert runtime.exit_code() == 3
    assert runtime.stdout == "last words"


# ------------------------------------------------------------------------------------------ logs


def test_console_lines_have_awss_format_and_arrive_during_the_invocation(api, run):
    runtime = run(DOING)
    invocation = api.start({"do": "print"})
    invocation.wait()
    head = r"%s\t%s\t" % (STAMP, invocation.request_id)
    assert re.fullmatch(head + "info\tone é\n", runtime.stdout_line("one"))
    assert re.fullmatch(head + "info\t2 and 3.5\n", runtime.stdout_line("2 and"))
    assert runtime.stdout_line("raw") == "raw\n"
    assert re.fullmatch(head + "fail\tto stderr\n", runtime.stderr_line("to stderr"))
    api.start({"do": "wait"})
    runtime.stdout_line("waiting")


def test_the_logger_has_awss_text_format_and_levels(api, run):
    runtime = run(DOING)
    invocation = api.start({"do": "log"})
    invocation.wait()
    runtime.stdout_line("InvalidOperationException")
    lines = [re.sub(STAMP + "\t" + invocation.request_id, "", line) for line in runtime.stdout.splitlines()]
    assert [line for line in lines if line] == ["\tbare", "\tinfo\tline", "\twarn\twith a level", "\tfail\tby enum", "\twarn\tbought 3 of 3",
                                                "\tcrit\twith an exception", "System.InvalidOperationException: why"]  # fmt: skip


def test_lines_may_be_left_unformatted(api, run):
    runtime = run(DOING, env={"AWS_LAMBDA_HANDLER_LOG_FORMAT": "Unformatted", "AWS_LAMBDA_HANDLER_LOG_LEVEL": "Error"})
    api.invoke({"do": "log"})
    runtime.stdout_line("InvalidOperationException")
    assert runtime.stdout == "bare\nby enum\nwith an exception\nSystem.InvalidOperationException: why\n"


def test_the_logger_has_awss_json_format(api, run):
    runtime = run(DOING, env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"})
    invocation = api.start({"do": "log"})
    invocation.wait()
    api.invoke({"do": "throw", "message": "gone"})
    runtime.stdout_line("with an exception")
    records = [json.loads(line) for line in runtime.stdout.splitlines()]
    assert all(re.fullmatch(STAMP, record.pop("timestamp")) for record in records)
    common = {"requestId": invocation.request_id}
    assert records[:2] == [{"level": "Warning", "message": "with a level", **common}, {"level": "Error", "message": "by enum", **common}]
    assert (records[3]["level"], records[3]["errorType"], records[3]["errorMessage"]) == ("Critical", "System.InvalidOperationException", "why")
    failed = json.loads(runtime.stderr_line("gone"))
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == ("Error", "System.ArgumentException", "gone")
    assert any("Tests.Doing.Fail" in line for line in failed["stackTrace"])


def test_bytes_may_be_any(api, run):
    run(FORMS + "Streams")
    assert api.invoke(base64.b64decode("AP/+gQ==")).body == b"\x00\xff\xfe\x81"
