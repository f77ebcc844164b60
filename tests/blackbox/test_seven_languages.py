# SPDX-License-Identifier: Apache-2.0
"""Every kind of code end to end: a zip with the same small function (tests/blackbox/seven) in Python, Node.js, Ruby, Java, C#, Go with
AWS's library, C with ours, and shell, created and invoked over the API.

One server for the whole file, started with --nearest-runtime, because the machine's versions are what they are. A kind whose language
is not installed is skipped, with the package to install.
"""

import base64
import concurrent.futures
import json
import os
import re
import shutil
import subprocess

import pytest

from support import PATIENCE, ROOT, Server, descendants, wait_for, zip_folder

CODE = ROOT / "tests" / "blackbox" / "seven"
GO = shutil.which("go") or ("/usr/local/go/bin/go" if os.path.exists("/usr/local/go/bin/go") else None)

# How a folder becomes the content of a zip: {source} and {out} are folders. What must be there; runtime; handler.
KINDS = {
    "python": ("cp {source}/app.py {out}", "python3", "python3", "python3.11", "app.handler"),
    "nodejs": ("cp {source}/index.mjs {out}", "node", "nodejs", "nodejs20.x", "index.handler"),
    "ruby": ("cp {source}/app.rb {out}", "ruby", "ruby", "ruby3.3", "app.handler"),
    "java": ("javac -nowarn -d {out} {source}/Function.java", "javac", "default-jdk-headless", "java17", "seven.Function::handle"),
    "csharp": ("mcs -target:library -out:{out}/Seven.dll {source}/Function.cs", "mcs", "mono-mcs mono-runtime", "dotnet8", "Seven::Seven.Function::Handle"),
    "go": ("cd {source} && CGO_ENABLED=0 {go} build -tags lambda.norpc -trimpath -o {out}/bootstrap .", GO or "go", "golang-go", "provided.al2023", "unused"),
    "c": ("cc -std=c11 -O1 -I{root}/runtimes/c -o {out}/bootstrap {source}/function.c {root}/runtimes/c/sluice_*.c", "cc", "gcc", "provided.al2023", "unused"),
    "shell": ("cp {source}/bootstrap {out} && chmod 755 {out}/bootstrap", "curl", "curl", "provided.al2023", "unused"),
}  # fmt: skip
MANAGED = ["python", "nodejs", "ruby", "java", "csharp"]
ERRORS = {
    "python": {"errorType": "ValueError"},
    "nodejs": {"errorType": "RangeError"},
    "ruby": {"errorType": "Function<ArgumentError>"},
    "java": {"errorType": "java.lang.IllegalArgumentException"},
    "csharp": {"errorType": "InvalidOperationException"},
    "go": {"errorType": "badValue"},
    "c": {"errorType": "Function.BadValue"},
    "shell": {"errorType": "Function.BadValue"},
}
# The first line of each language's trace; the others have none for an error that is returned.
TRACES = {
    "python": ("stackTrace", '  File "/var/task/app.py", line 27, in handler\n'),
    "nodejs": ("trace", "RangeError: no é 😀"),
    "ruby": ("stackTrace", "/var/task/app.rb:9:in "),
    "java": ("stackTrace", "seven.Function.fail(Function.java:12)"),
    "csharp": ("stackTrace", "at Seven.Function.Fail "),
}
UNICODE = {"é": ["😀", "\u0001\t\"\\/", "名前", 1, -2.5, True, None, {}, []], "long": "ü" * 10000}


class Suite:
    """The server, and what has been built and created in it so far."""

    def __init__(self, folder):
        self.folder, self.zips, self.created = folder, {}, set()
        self.server = Server("--nearest-runtime")
        self.late = None

    def build(self, kind):
        command, program, package, _, _ = KINDS[kind]
        if not (shutil.which(program) or os.path.exists(program)):
            pytest.skip(f"{program} is not installed: apt-get install {package}")
        if kind == "go":
            fetched = subprocess.run([GO, "mod", "download"], cwd=CODE / "go", capture_output=True, text=True)
            if fetched.returncode != 0:
                pytest.skip("AWS's library for Go cannot be fetched: " + fetched.stderr.strip())
        if kind not in self.zips:
            out = self.folder / kind
            out.mkdir()
            command = command.format(source=CODE / kind, out=out, root=ROOT, go=GO)
            subprocess.run(command, shell=True, check=True)
            self.zips[kind] = zip_folder(out)
        return self.zips[kind]

    def function(self, kind, name=None, **more):
        """Name of a function of that kind, created when it is first asked for."""
        name = name or kind
        code = self.build(kind)
        if name not in self.created:
            _, _, _, runtime, handler = KINDS[kind]
            more = {"MemorySize": 256, "Timeout": PATIENCE, "Environment": {"Variables": {"MINE": "ünï ☃"}}, **more}
            self.server.create_function(name, code, runtime=runtime, handler=handler, **more)
            self.created.add(name)
        return name

    def invoke(self, name, do, value=None, **more):
        payload = json.dumps({"do": do, "value": value}, separators=(",", ":"), ensure_ascii=False).encode()
        return self.server.invoke(name, payload, **more)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    made = Suite(tmp_path_factory.mktemp("seven"))
    yield made
    made.server.close_clients()
    status = made.server.stop()
    # The shared server may be running beside this one.
    left = made.server.leftovers(spared=set(descendants(os.getpid())) - made.server.tree)
    lines = made.server.bad_log_lines()
    made.server.dispose()
    assert (status, left, lines) == (0, [], [])


@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_unchanged(suite, kind):
    name = suite.function(kind)
    for value in (UNICODE, "é 😀", 7, True, None, []):
        answer = suite.invoke(name, "echo", value)
        assert "FunctionError" not in answer, answer
        assert answer["Json"] == value


@pytest.mark.parametrize("kind", KINDS)
def test_output_is_in_the_log_of_its_invocation(suite, kind):
    tail = base64.b64decode(suite.invoke(suite.function(kind), "count", LogType="Tail")["LogResult"]).decode()
    assert re.search(r"^(.*\t)?doing count$", tail, re.M), tail
    assert re.search(r"^REPORT RequestId: ", tail, re.M)


@pytest.mark.parametrize("kind", ["java", "csharp"])
def test_a_version_with_snapstart_is_kept_at_its_snapshot(suite, kind):
    name = suite.function(kind, kind + "-snap", SnapStart={"ApplyOn": "PublishedVersions"})
    functions = suite.server.client("lambda")
    functions.publish_version(FunctionName=name)
    wait_for(lambda: functions.get_function_configuration(FunctionName=name, Qualifier="1")["State"] != "Pending", "the end of the init", 120)
    assert functions.get_function_configuration(FunctionName=name, Qualifier="1")["SnapStart"]["OptimizationStatus"] == "On"
    for _ in range(3):
        assert suite.invoke(name, "env", "AWS_LAMBDA_INITIALIZATION_TYPE", Qualifier="1")["Json"] == "snap-start"

    def log():
        return suite.server.http("GET", f"/_sluice/logs?function={name}").text

    wait_for(lambda: "INIT_REPORT" in log() and "RESTORE_REPORT Restore Duration: " in log(), "the reports")


# How functions with SnapStart's hooks are made: Java's with org.crac, C#'s with Amazon.Lambda.Core (stand-ins of their shape). Handler;
# the type of a failure before the snapshot; what the log has of one.
HOOKS = {
    "java": ("javac -nowarn -d {out} {source}/crac/Hooks.java {source}/crac/org/crac/*.java", "seven.Hooks::handle",
             "Runtime.BeforeCheckpointError", "Suppressed: java.lang.IllegalStateException: before 1 fails"),
    "csharp": ("mcs -target:library -out:{out}/Amazon.Lambda.Core.dll {source}/snapshot/Core.cs && "
               "mcs -target:library -r:{out}/Amazon.Lambda.Core.dll -out:{out}/Hooks.dll {source}/snapshot/Hooks.cs", "Hooks::Seven.Hooks::Handle",
               "Runtime.BeforeSnapshotError", "before 1 fails"),
}  # fmt: skip


@pytest.fixture(scope="module", params=HOOKS)
def hooks(suite, request, tmp_path_factory):
    """A language of HOOKS, and make(name, fails=""): a function with hooks, and its version 1 at the end of its init."""
    kind = request.param
    suite.build(kind)  # a compiler is there
    out = tmp_path_factory.mktemp("hooks")
    command, handler, _, _ = HOOKS[kind]
    subprocess.run(command.format(source=CODE, out=out), shell=True, check=True)
    functions = suite.server.client("lambda")

    def make(name, fails=""):
        suite.server.create_function(name, zip_folder(out), KINDS[kind][3], handler, MemorySize=256, Timeout=PATIENCE,
                                     SnapStart={"ApplyOn": "PublishedVersions"}, Environment={"Variables": {"FAILS": fails}})  # fmt: skip
        functions.publish_version(FunctionName=name)
        shown = {}

        def state():
            shown.update(functions.get_function_configuration(FunctionName=name, Qualifier="1"))
            return shown["State"] != "Pending"

        wait_for(state, "the end of the init", 120)
        return shown

    return kind, make


def log_of(suite, name):
    return suite.server.http("GET", f"/_sluice/logs?function={name}").text


def test_hooks_run_around_the_snapshot(suite, hooks):
    kind, make = hooks
    name = kind + "-hooks"
    assert make(name)["State"] == "Active"
    for _ in range(2):
        assert suite.invoke(name, "steps", Qualifier="1")["Json"] == ["init", "before 2", "before 1", "after 1", "after 2"]


def test_a_hook_that_fails_before_the_snapshot_fails_the_version(suite, hooks):
    kind, make = hooks
    name = kind + "-before"
    _, _, type_name, text = HOOKS[kind]
    shown = make(name, "before 1")
    assert (shown["State"], shown["StateReason"]) == ("Failed", "The function failed to initialize: " + type_name)
    wait_for(lambda: "Status: error\tError Type: " + type_name in log_of(suite, name), "the report")
    assert text in log_of(suite, name)


def test_a_hook_that_fails_after_a_restore_fails_the_call(suite, hooks):
    kind, make = hooks
    name = kind + "-after"
    assert make(name, "after 1")["State"] == "Active"
    with pytest.raises(suite.server.client("lambda").exceptions.SnapStartException, match="afterRestore"):
        suite.invoke(name, "steps", Qualifier="1")
    wait_for(lambda: "Status: error\tError Type: Runtime.AfterRestoreError" in log_of(suite, name), "the report")


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_is_the_functions(suite, kind):
    name = suite.function(kind)
    assert suite.invoke(name, "env", "MINE")["Json"] == "ünï ☃"
    assert suite.invoke(name, "env", "AWS_LAMBDA_FUNCTION_NAME")["Json"] == name
    if kind in MANAGED:
        assert suite.invoke(name, "env", "AWS_EXECUTION_ENV")["Json"] == "AWS_Lambda_" + KINDS[kind][3]
        assert suite.invoke(name, "env", "_X_AMZN_TRACE_ID" if kind != "java" else "_HANDLER")["Json"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_instance_is_used_again(suite, kind):
    name = suite.function(kind)
    # A runtime that asks for the next event a moment after its answer may be found busy, and another instance then be started.
    wait_for(lambda: suite.invoke(name, "count")["Json"] >= 3, f"an instance of {name} to answer for the third time")


@pytest.mark.parametrize("kind", KINDS)
def test_errors_have_their_languages_shape(suite, kind):
    name = suite.function(kind)
    answer = suite.invoke(name, "fail", "no é 😀")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = answer["Json"]
    assert error["errorMessage"] == "no é 😀"
    assert {key: error[key] for key in ERRORS[kind]} == ERRORS[kind]
    if kind in TRACES:
        key, line = TRACES[kind]
        assert error[key][0].startswith(line)
    assert suite.invoke(name, "echo", 1)["Json"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_time_out_ends_the_instance_and_the_next_one_is_sound(suite, kind):
    name = suite.function(kind, kind + "-late", Timeout=1)
    if suite.late is None:  # all at once: each takes its second
        present = []
        for one in KINDS:
            try:
                present.append(suite.function(one, one + "-late", Timeout=1))
            except pytest.skip.Exception:
                continue
        with concurrent.futures.ThreadPoolExecutor(len(present)) as pool:
            suite.late = dict(zip(present, pool.map(lambda one: suite.invoke(one, "sleep"), present)))
    answer = suite.late[name]
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Json"]["errorType"] == "Sandbox.Timedout"
    assert answer["Json"]["errorMessage"].endswith("Task timed out after 1.00 seconds")
    count = wait_for(lambda: suite.invoke(name, "count"), f"{name} to answer again")["Json"]
    assert count == 1


@pytest.mark.parametrize("kind", MANAGED)
def test_a_wrapper_gets_the_runtimes_command_line(suite, kind):
    files = suite.build(kind)
    wrapper = '#!/bin/sh\nexport WRAPPED="$1"\nexec "$@"\n'
    out = suite.folder / (kind + "-wrapped")
    out.mkdir()
    (out / "in.zip").write_bytes(files)
    shutil.unpack_archive(out / "in.zip", out)
    (out / "in.zip").unlink()
    (out / "wrap").write_text(wrapper)
    (out / "wrap").chmod(0o755)
    name = kind + "-wrapped"
    _, _, _, runtime, handler = KINDS[kind]
    variables = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}}
    suite.server.create_function(name, zip_folder(out), runtime=runtime, handler=handler, MemorySize=256, Timeout=PATIENCE, Environment=variables)
    program = suite.invoke(name, "env", "WRAPPED")["Json"]
    assert re.search("python|node|ruby|java|mono|dotnet", program) and program.startswith("/usr/")
