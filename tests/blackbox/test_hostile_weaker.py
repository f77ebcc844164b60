# SPDX-License-Identifier: Apache-2.0
"""A machine that lacks something: Sluice refuses to run functions, or says in its log and in `sluice doctor` what is weaker, and never runs
them silently with a wall less. Absence is played: system calls answer ENOSYS (tests/hostile/without.c), files are hidden by mounts."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from hostile_support import HOSTILE, call_numbers, program, remove_program
from support import BIN, PATIENCE

__all__ = ["remove_program"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take things away from a server")

PYTHON = "import os\ndef handler(event, context):\n    return sorted(os.listdir('/sys/class/net')) if event == 'net' else 'ran'\n"


@pytest.fixture(scope="module")
def without_program():
    folder = Path(tempfile.mkdtemp(prefix="sluice-without-"))
    subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-o", folder / "without", HOSTILE / "without.c"], check=True)
    yield folder / "without"
    shutil.rmtree(folder)


@pytest.fixture
def without(without_program):
    """without(call...) gives the words that run a program without these system calls."""

    def words(*calls):
        return [str(without_program), *(call_numbers()[call] for call in calls), "--"]

    return words


def hidden(script):
    """Words that run a program in a mount namespace in which the script was run."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + '; exec "$@"', "sh"]


def doctor(command):
    answer = subprocess.run([*command, str(BIN), "doctor", "--json"], capture_output=True, text=True, timeout=PATIENCE)
    return {item["name"]: item for item in json.loads(answer.stdout)["features"]}


def lacks(command, feature):
    """doctor says that it is missing, and what that means."""
    item = doctor(command)[feature]
    return not item["available"] and item["how"] == "none" and len(item["advice"]) > 20


def starts(start_server, command, *options):
    server = start_server(*options, command=[*command, str(BIN)])
    server.create_function("python", {"index.py": PYTHON})
    server.create_function("c", {"bootstrap": program().read_bytes()}, "provided.al2023", "none", Timeout=20)
    return server


def refuses(server):
    """No code of a function is run, in whatever way it would be started."""
    server.expect_error_log("functions cannot run")
    server.expect_error_log("the spawner")
    server.expect_error_log("the server ended")
    for name, event in (("python", "x"), ("c", "ids")):
        try:
            answer = server.invoke(name, event)
        except Exception:  # the server may say that it cannot, in AWS's words
            continue
        assert "FunctionError" in answer and "ran" not in str(answer["Json"]), answer["Json"]
    return True


def test_nothing_is_missing_here_that_the_other_tests_take_away(features):
    for name in ("system call filter", "path restriction", "network namespaces"):
        assert features[name], name


def test_without_landlock(start_server, without):
    command = without("landlock_create_ruleset")
    assert lacks(command, "path restriction")
    server = starts(start_server, command)
    assert "weaker: no Landlock in this kernel" in server.log()
    assert server.invoke("python", "x")["Json"] == "ran"
    assert server.invoke("c", "make /usr/new")["Json"] == "EROFS"  # the other lock
    assert server.invoke("c", "make /dev/new")["Json"] in ("EROFS", "EACCES")


def test_without_control_groups(start_server):
    command = hidden("umount -R -l /sys/fs/cgroup")
    for feature in ("memory limit", "cpu limit", "process limit"):
        assert lacks(command, feature)
    server = starts(start_server, command)
    log = server.log()
    assert "no control group for: memory cpu processes" in log
    assert "weaker: the memory of functions" in log and "weaker: a function can use every core" in log and "weaker: processes" in log
    assert server.invoke("python", "x")["Json"] == "ran"
    assert server.invoke("c", "memory anonymous 4096")["Json"]["errorType"] == "Runtime.OutOfMemory"
    assert server.invoke("c", "forks")["Json"].startswith("EAGAIN")


def test_without_a_firewall(start_server):
    command = hidden("mount --bind /dev/null /usr/sbin/nft")
    assert lacks(command, "outgoing network")
    server = starts(start_server, command)
    assert "functions have no network" in server.log() and "nft" in server.log()
    assert server.invoke("c", "listen 7777")["Json"] == "none"  # loopback only


@pytest.mark.parametrize("call", ["seccomp", "mount_setattr", "move_mount", "pivot_root", "unshare", "setns", "close_range", "capset"])
def test_without_what_no_sandbox_can_do_without(start_server, without, call):
    """Each is a wall, or a step of building one: without it the server does not start, and says why, or no function is run."""
    try:
        server = starts(start_server, without(call))
    except AssertionError as failure:
        assert "no ready line" in str(failure) and "Function not implemented" in str(failure) or "functions cannot run" in str(failure)
        return
    assert refuses(server)


def test_doctor_says_that_no_function_can_run(without):
    assert lacks(without("seccomp"), "system call filter")
    assert lacks(without("unshare"), "network namespaces")
    answer = subprocess.run([*without("seccomp"), str(BIN), "doctor"], capture_output=True, text=True, timeout=PATIENCE)
    assert "No function can run" in answer.stdout and answer.returncode != 0
