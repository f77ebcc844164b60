# SPDX-License-Identifier: Apache-2.0
"""Servers for the black-box tests, and the check after each test that nothing is left over.

    server         one server for the whole run, emptied after each test: for tests that only talk to it
    start_server   a factory of servers of this test's own: for restarts, options, signals, kill -9
    lambda_, apigatewayv2, sts, iam    boto3 clients of `server`

Both give support.Server: url, port, process, log(), client("lambda"), http("GET", path), stop(), kill(), restart().

What must hold after each test (a violation is an error of the test, and what was left is killed):
  - shared server: once its functions and APIs are deleted, as many descriptors and processes as before the test;
  - own server: SIGTERM ends it with status 0 (unless the test ended it), and no process, cgroup or mount of it remains;
  - no sanitizer report and no line of level "error" that the test did not announce with server.expect_error_log(text).
"""

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from support import BIN, PATIENCE, Server, descendants, wait_for


def empty(server):
    """Deletes every function and HTTP API that the tests may have made."""
    for region, account in server.scopes:
        account = None if account == "test" else account
        functions = server.client("lambda", region, account)
        for page in functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                functions.delete_function(FunctionName=function["FunctionName"])
        apis = server.client("apigatewayv2", region, account)
        for page in apis.get_paginator("get_apis").paginate():
            for api in page["Items"]:
                apis.delete_api(ApiId=api["ApiId"])
    server.close_clients()


# --- fixtures -------------------------------------------------------------------------------------------------------

SHARED = {}


def settled(server):
    """The footprint once two looks agree: spare sandboxes are still being made when the ready line comes."""
    seen = [server.footprint()]

    def same():
        seen.append(server.footprint())
        return seen[-1] == seen[-2]

    wait_for(same, "the server to settle", interval=0.2)
    return seen[-1]


def shared_server():
    server = SHARED.get("server")
    if server is None or not server.running():
        # Without blanks: processes that come and go by themselves would hide what a test leaves behind.
        server = SHARED["server"] = Server("--blanks", "0")
        # The first requests open what stays open (database pages, a log file), so the base is taken after one round.
        empty(server)
        server.base = settled(server)
    return server


@pytest.fixture
def server(request):
    server = shared_server()
    log_start = len(server.log())
    server.expected_errors = []
    request.node.sluice_servers = [server]
    yield server

    problems = []
    if not server.running():
        problems.append(f"the server ended with status {server.process.returncode}")
    else:
        try:
            empty(server)
            wait_for(lambda: server.footprint() <= server.base, "descriptors and processes back to base")
        except Exception as error:  # whatever the clean-up met, the next test must get a sound server
            problems.append(f"{error}: base {server.base}, now {server.footprint()}, {descendants(server.process.pid)}")
    problems += [line for line in server.bad_log_lines() if line in server.log()[log_start:]]
    if problems:
        close_shared()
        pytest.fail("left over: " + "\n".join(problems), pytrace=False)


def close_shared():
    """Ends the shared server; gives what was wrong with its end."""
    server = SHARED.pop("server", None)
    if server is None:
        return []
    problems = []
    if server.running():
        status = server.stop()
        if status != 0:
            problems.append(f"SIGTERM ended the shared server with status {status}:\n{server.log()[-4000:]}")
    problems += server.leftovers(spared=set(descendants(os.getpid())) - server.tree)
    server.dispose()
    return problems


@pytest.fixture(scope="session", autouse=True)
def end_of_shared_server():
    yield
    problems = close_shared()
    assert not problems, "\n".join(problems)


@pytest.fixture
def start_server(request):
    """start_server(*options, data=None, env=None) gives a Server; ended and checked after the test."""
    made = []
    spared = {os.getpid(), *descendants(os.getpid())}
    request.node.sluice_servers = made

    def start(*options, **more):
        server = Server(*options, **more)
        made.append(server)
        return server

    yield start

    problems = []
    for server in made:
        if server.running():
            try:
                status = server.stop()
            except subprocess.TimeoutExpired:
                server.process.kill()
                status = "none: it did not end"
            if status != 0:
                problems.append(f"SIGTERM: exit status {status}")
    for server in made:
        problems += server.leftovers(spared)
        problems += server.bad_log_lines()
    text = "".join(server.log() for server in made) if problems else ""
    for server in made:
        server.dispose()
    if problems:
        pytest.fail("left over: " + "\n".join(problems) + "\n--- log\n" + text[-6000:], pytrace=False)


@pytest.fixture
def lambda_(server):
    return server.client("lambda")


@pytest.fixture
def apigatewayv2(server):
    return server.client("apigatewayv2")


@pytest.fixture
def sts(server):
    return server.client("sts")


@pytest.fixture
def iam(server):
    return server.client("iam")


@pytest.fixture(scope="session")
def address():
    """A private address of this machine, for this run only: closed to functions, but for what --allow opens. (Loopback always is.)
    Only root may add one; ask for it by request.getfixturevalue in a test that needs a feature, which is looked at first."""
    if os.geteuid() != 0:
        pytest.skip("this user may not give the machine an address")
    own = f"10.213.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    subprocess.run(["ip", "address", "add", own + "/32", "dev", "lo"], check=True)
    yield own
    subprocess.run(["ip", "address", "del", own + "/32", "dev", "lo"], check=True)


@pytest.fixture
def open_folder():
    """A folder that every user may read, all the way up: pytest's own are its user's."""
    with tempfile.TemporaryDirectory(prefix="sluice-open-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


# --- skips and reports ----------------------------------------------------------------------------------------------


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(feature, ...): skipped where `sluice doctor` says that the feature is missing")


@pytest.fixture(scope="session")
def features():
    """{feature: available} as `sluice doctor --json` gives it."""
    answer = subprocess.run([str(BIN), "doctor", "--json"], capture_output=True, text=True, timeout=PATIENCE)
    return {item["name"]: item["available"] for item in json.loads(answer.stdout)["features"]}


@pytest.fixture(autouse=True)
def skip_without_feature(request):
    marker = request.node.get_closest_marker("needs")
    if marker:
        features = request.getfixturevalue("features")
        missing = [name for name in marker.args if not features[name]]
        if missing:
            pytest.skip("this kernel or user lacks: " + ", ".join(missing))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its servers' logs."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for server in getattr(item, "sluice_servers", []):
            with contextlib.suppress(OSError):
                report.sections.append((f"log of the server at {server.url}", server.log()[-6000:]))
