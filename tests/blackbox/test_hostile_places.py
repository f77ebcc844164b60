# SPDX-License-Identifier: Apache-2.0
"""The attacks of test_hostile_walls.py from the other places in which a function's author has code run: an external extension, a wrapper
script, a library that is loaded before the runtime, a blank that was ready before the function came; and what such code leaves behind.

In each place all attacks are tried at once: `came_through` gives those that came to something.
"""

import contextlib
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from hostile_support import HOSTILE, words_of
from support import descendants, wait_for, zip_bytes
from test_blanks import await_blank, in_blank
from test_external_extensions import PYTHON, function, ok  # noqa: F401 (a fixture)
from test_hostile_walls import ATTACKS
from users import SECRET

ATTACK = (HOSTILE / "attack.py").read_text().partition('if __name__ == "__main__":')[0]
ROWS = [row[:2] for rows in ATTACKS.values() for row in rows]
# Runs attacks, one line of text each; gives what each came to.
ALL = """
def every(texts):
    results = {}
    for text in texts:
        verb, *words = text.split(" ")
        results[text] = globals()["c_" + verb](*words)
    return results
"""
DESCRIPTORS = {"0": "/dev/null", "1": "pipe", "2": "pipe"}
POWERLESS = {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": 0, "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 2}


def attacks(server):
    """{text: what it must come to}"""
    return {" ".join(words_of(text.format(data=server.data, secret=SECRET))): expected for text, expected in ROWS}


def came_through(expected, results):
    assert set(expected) == set(results) and len(results) > 150
    return {text: result for text, result in results.items() if result not in expected[text]}


def environments(server):
    """[(pid, environment)] of what runs in sandboxes, or waits there for a function."""
    found = []
    for pid, command in descendants(server.process.pid).items():
        with contextlib.suppress(OSError):  # it has ended
            if not command.startswith("sluice"):
                found.append((pid, Path(f"/proc/{pid}/environ").read_bytes()))
    return found


def inside(server, name):
    """The pids of what runs in the function's sandboxes."""
    variable = f"AWS_LAMBDA_FUNCTION_NAME={name}".encode()
    return {pid for pid, environ in environments(server) if variable in environ.split(b"\0")}


# --- extensions -----------------------------------------------------------------------------------------------------

# Does what the function writes to /tmp/todo, when it is told of the invocation.
EXTENSION = PYTHON + ATTACK + ALL + """
me = register()
while True:
    event = next_event(me)
    if event["eventType"] == "SHUTDOWN": break
    while not os.path.exists("/tmp/todo"): time.sleep(0.01)
    with open("/tmp/todo") as file: todo = json.load(file)
    os.unlink("/tmp/todo")
    results = {"fds": c_fds(), "ids": c_ids(), "results": every(todo["attacks"])}
    if todo.get("daemon"): results["daemon"] = c_daemon()
    with open("/tmp/done.new", "w") as file: json.dump(results, file)
    os.rename("/tmp/done.new", "/tmp/done")
"""
ASKING = """
import json, os, time
def handler(event, context):
    with open("/tmp/todo.new", "w") as file: json.dump(event, file)
    os.rename("/tmp/todo.new", "/tmp/todo")
    while not os.path.exists("/tmp/done"): time.sleep(0.01)
    with open("/tmp/done") as file: results = json.load(file)
    os.unlink("/tmp/done")
    results["own"] = f"{os.getuid()} {os.getgid()}"
    return results
"""


def test_an_external_extension_is_confined_as_its_function(server, lambda_, function):  # noqa: F811
    run = function({"hostile": EXTENSION}, code=ASKING, MemorySize=1769, Timeout=300)
    expected = attacks(server)
    answer = ok(run({"attacks": list(expected)}))
    assert came_through(expected, answer["results"]) == {}
    assert answer["ids"].startswith(answer["own"] + " ")
    found = dict(pair.split("=") for pair in answer["fds"].split())
    assert {fd: target for fd, target in found.items() if int(fd) < 3} == DESCRIPTORS
    assert {re.sub(r"\d+", "N", target) for fd, target in found.items() if int(fd) > 2} <= {"socket", "/proc/N/fd"}, found


def test_daemons_of_an_extension_end_with_its_sandbox(server, lambda_, function):  # noqa: F811
    run = function({"hostile": EXTENSION}, code=ASKING, MemorySize=1769, Timeout=300)
    ok(run({"attacks": []}))
    before = inside(server, run.name)
    assert ok(run({"attacks": [], "daemon": True}))["daemon"] == "ok"
    assert len(inside(server, run.name) - before) == 1
    lambda_.update_function_configuration(FunctionName=run.name, Description="another", Environment={"Variables": {"AB": "c"}})
    wait_for(lambda: not inside(server, run.name), "the sandbox and its daemon to end")


# --- what runs before the runtime -----------------------------------------------------------------------------------

WRAPPER = "#!/usr/bin/python3\n" + ATTACK + ALL + """
import json
with open(os.environ["LAMBDA_TASK_ROOT"] + "/attacks.json") as file: texts = json.load(file)
results = {"fds": c_fds(), "results": every(texts)}
with open("/tmp/results", "w") as file: json.dump(results, file)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_wrapper_is_confined_as_its_function(server):
    expected = attacks(server)
    code = {"wrap": (WRAPPER, 0o6755), "attacks.json": json.dumps(list(expected)),
            "index.py": "import json\ndef handler(event, context):\n    with open('/tmp/results') as file: return json.load(file)\n"}  # fmt: skip
    server.create_function("wrapped", code, MemorySize=1769, Timeout=300, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}})
    answer = ok(server.invoke("wrapped"))
    assert came_through(expected, answer["results"]) == {}
    found = dict(pair.split("=") for pair in answer["fds"].split())
    assert {fd: target for fd, target in found.items() if int(fd) < 3} == DESCRIPTORS
    assert {re.sub(r"\d+", "N", target) for fd, target in found.items() if int(fd) > 2} <= {"socket", "/proc/N/fd"}, found


@pytest.mark.parametrize("wrapper", ["/proc/1/exe", "/proc/1/root/usr/bin/env", "/etc/passwd", "/tmp", "/dev/zero", "{data}/wrap", "wrap", "../../usr/bin/none"])
def test_a_wrapper_that_is_none_costs_the_function_only(server, wrapper):
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": wrapper.format(data=server.data)}
    (server.data / "wrap").write_text("#!/bin/sh\nexec \"$@\"\n")
    (server.data / "wrap").chmod(0o755)
    server.create_function("wrapped", {"index.py": "def handler(event, context): return 1"}, Environment={"Variables": variables})
    assert server.invoke("wrapped")["FunctionError"] == "Unhandled"
    (server.data / "wrap").unlink()


# Writes down who runs it, in every process that loads it.
PRELOADED = r"""
#include <stdio.h>
#include <string.h>
__attribute__((constructor)) static void seen(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r"), *out = fopen("/tmp/seen", "a");
    if (!status || !out) return;
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "Pid:", 4) || !strncmp(line, "Uid:", 4) || !strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs:", 11) ||
            !strncmp(line, "Seccomp:", 8))
            fputs(line, out);
    fclose(out);
    fclose(status);
}
"""


def test_a_library_that_is_loaded_first_meets_no_privilege(server, tmp_path):
    (tmp_path / "seen.c").write_text(PRELOADED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "seen.so", tmp_path / "seen.c"], check=True)
    code = {"index.py": "import os\ndef handler(event, context):\n    return [open('/tmp/seen').read(), os.getuid()]\n",
            "seen.so": (tmp_path / "seen.so").read_bytes()}  # fmt: skip
    server.create_function("preloaded", code, Timeout=60, Environment={"Variables": {"LD_PRELOAD": "/var/task/seen.so"}})
    text, uid = ok(server.invoke("preloaded"))
    processes = [dict(line.split(":\t") for line in ("Pid:" + part).splitlines()) for part in text.split("Pid:")[1:]]
    assert processes
    for process in processes:
        assert process.pop("Pid") != "1"
        assert set(process.pop("Uid").split()) == {str(uid)}
        assert {name: int(value, 16) for name, value in process.items()} == POWERLESS


# --- blanks ---------------------------------------------------------------------------------------------------------

# Leaves its mark wherever a function can.
LEAVING = """
import builtins, json, os, random, sys, threading
MARK = os.environ["MARK"]
def handler(event, context):
    for folder in ("/tmp", "/dev/shm"):
        with open(folder + "/mark", "w") as file: file.write(MARK)
    os.environ["OTHER"] = MARK
    os.putenv("THIRD", MARK)
    builtins.MARK = json.MARK = random.MARK = sys.modules["MARK"] = MARK
    json.dumps = sys.settrace
    global kept
    kept = [os.open("/tmp/mark", os.O_RDONLY), MARK * 10000, threading.Thread(target=threading.Event().wait, daemon=True).start()]
    c_daemon()
    os.symlink("/var/task/index.py", "/tmp/sitecustomize.py")
    return c_ipc("make", "815")
"""
# What of it a function finds: in files, in variables, in modules, among its descriptors, in its memory. The pattern is not its own match.
FINDING = """
import builtins, json, os, random, re, sys
PATTERN = re.compile(rb"mark-of-the-(?:first|server)-[0-9a-f]{32}")
def memory():
    found = 0
    with open("/proc/self/maps") as file: regions = [line.split() for line in file]
    with open("/proc/self/mem", "rb", 0) as file:
        for place, mode, *_ in regions:
            begin, end = (int(side, 16) for side in place.split("-"))
            if not mode.startswith("rw"): continue
            while begin < end:
                try:
                    file.seek(begin)
                    part = file.read(min(1 << 20, end - begin))
                except (OSError, ValueError): break
                found += len(PATTERN.findall(part))
                begin += max(1, len(part))
    return found
def finding():
    folders = {folder: sorted(os.listdir(folder)) for folder in ("/tmp", "/dev/shm")}
    modules = [module.__name__ for module in (builtins, json, random) if hasattr(module, "MARK")] + [name for name in sys.modules if name == "MARK"]
    return {"folders": folders, "modules": modules, "fds": c_fds(), "ipc": c_ipc("look", "815"), "processes": c_processes(),
            "environ": [name for name, value in os.environ.items() if PATTERN.search(value.encode())], "memory": memory()}
"""
SECOND = ATTACK + ALL + FINDING + """
def handler(event, context):
    return {"finding": finding(), "results": every(event["attacks"])}
"""


def test_nothing_of_one_function_is_in_the_blank_of_the_next(start_server):
    server = start_server(env={"SERVER_SECRET": "mark-of-the-server-" + uuid.uuid4().hex})
    mark = "mark-of-the-first-" + uuid.uuid4().hex
    variables = {"Environment": {"Variables": {"MARK": mark}}}
    leaving = ATTACK + FINDING + LEAVING.replace("def handler", "def leave")
    first = {"index.py": leaving + "def handler(event, context): return finding() if event == 'find' else leave(event, context)\n"}
    server.create_function("first", first, Timeout=60, MemorySize=512, **variables)
    server.create_function("first-again", first, Timeout=60, MemorySize=512, **variables)
    expected = attacks(server)
    for name in ("second", "third"):
        server.create_function(name, {"attack.py": SECOND}, handler="attack.handler", Timeout=60, MemorySize=512)
    assert "shm" in ok(server.invoke("first"))  # in a process of its own: nobody had used the language
    assert "shm" in in_blank(server, "first-again")
    own = ok(server.invoke("first-again", "find"))  # what can be found
    assert own["memory"] > 0 and own["environ"] and own["modules"] and "mark" in own["folders"]["/tmp"] and own["processes"] != "0"
    await_blank(server)
    for _, environ in environments(server):  # of blanks, too, before they are anybody's
        assert b"mark-of-the-server" not in environ
        assert mark.encode() not in environ or b"AWS_LAMBDA_FUNCTION_NAME=first" in environ
    for name in ("second", "third"):
        answer = in_blank(server, name, {"attacks": list(expected)})
        fds = dict(pair.split("=") for pair in answer["finding"].pop("fds").split())
        assert {fd: target for fd, target in fds.items() if int(fd) < 3} == DESCRIPTORS
        assert {re.sub(r"\d+", "N", target) for fd, target in fds.items() if int(fd) > 2} <= {"socket", "/proc/N/fd"}, fds
        assert answer["finding"] == {"folders": {"/tmp": [], "/dev/shm": []}, "modules": [], "ipc": "none", "processes": "0", "environ": [], "memory": 0}
        assert came_through(expected, answer["results"]) == {}
