# SPDX-License-Identifier: Apache-2.0
"""examples/hello in every language: built and zipped as its README says, unpacked, and run."""

import os
import shutil
import subprocess
import sys

import pytest

from fake_runtime_api import REPO, RUNTIMES, FakeRuntimeApi, Runtime

EXAMPLES = REPO / "examples" / "hello"
SYSTEM_PYTHON = "/usr/bin/python3"
PYTHON = os.environ.get("SLUICE_TEST_PYTHON") or (SYSTEM_PYTHON if os.path.exists(SYSTEM_PYTHON) else sys.executable)

CASES = {
    "python": ([PYTHON, "-S", "-s", RUNTIMES / "python" / "bootstrap.py"], "app.handler", PYTHON),
    "nodejs": (["node", RUNTIMES / "nodejs" / "bootstrap.cjs"], "index.handler", "node"),
    "ruby": (["ruby", "--disable=gems,did_you_mean,error_highlight", RUNTIMES / "ruby" / "bootstrap.rb"], "app.handler", "ruby"),
    "java": (["java", "-Xmx80m", "-cp", RUNTIMES / "java" / "build" / "sluice-runtime.jar", "sluice.runtime.Main"], "hello.Hello::handle", "javac"),
    "csharp": (["mono", RUNTIMES / "dotnet" / "build" / "sluice-runtime.exe"], "Hello::Hello.Function::Handle", "mcs"),
    "go": (["./bootstrap"], "unused", "go"),
    "c": (["./bootstrap"], "unused", "cc"),
    "shell": (["./bootstrap"], "unused", "curl"),
}


@pytest.mark.parametrize("language", CASES)
def test_hello_answers_direct_and_http_invocations(tmp_path, language):
    command, handler, needs = CASES[language]
    if shutil.which(needs) is None:
        pytest.skip("%s is not installed" % needs)
    readme = (EXAMPLES / language / "README.md").read_text()
    if language == "go":
        fetched = subprocess.run(["go", "mod", "download"], cwd=EXAMPLES / "go", capture_output=True, text=True)
        if fetched.returncode != 0:
            pytest.skip("AWS's library for Go cannot be fetched: " + fetched.stderr.strip())
    build = readme.split("```\n")[1].rpartition(" &&\naws ")[0]
    archive = tmp_path / "hello.zip"
    # Its files belong into this test's folder, the results as well as what lies between.
    subprocess.run(build.replace("/tmp/hello-%s.zip" % language, str(archive)).replace("/tmp/hello-", "%s/" % tmp_path), shell=True, check=True, cwd=REPO)
    task = tmp_path / "task"
    shutil.unpack_archive(archive, task)
    if command == ["./bootstrap"]:
        (task / "bootstrap").chmod(0o755)  # shutil forgets modes; Lambda keeps them
    http = {"version": "2.0", "queryStringParameters": {"name": "Zoë"}}
    events = [({"name": "Ada"}, "Ada"), ({}, "world"), (http, "Zoë")]
    curl = {"hold_accept": False, "one_connection": False} if language in ("go", "shell") else {}
    with FakeRuntimeApi(**curl) as api, Runtime(command, api, task, handler) as runtime:
        for event, name in events:
            invocation = api.start(event)
            answer = invocation.wait().json
            assert answer["runtime"] == language
            assert answer["message"] == "Hello, %s!" % ("world" if language == "shell" else name)
        if language == "shell":
            assert "bytes" in runtime.stdout_line(invocation.request_id)


@pytest.mark.parametrize("language", ["c", "shell"])
def test_a_bootstrap_is_executable_in_its_zip(tmp_path, language):
    if shutil.which(CASES[language][2]) is None:
        pytest.skip("%s is not installed" % CASES[language][2])
    from zipfile import ZipFile

    archive = tmp_path / "hello.zip"
    readme = (EXAMPLES / language / "README.md").read_text()
    build = readme.split("```\n")[1].partition(" &&\naws ")[0].replace("/tmp/hello-%s.zip" % language, str(archive))
    subprocess.run(build, shell=True, check=True, cwd=REPO)
    assert ZipFile(archive).getinfo("bootstrap").external_attr >> 16 & 0o111
