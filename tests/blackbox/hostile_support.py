# SPDX-License-Identifier: Apache-2.0
"""What the hostile suite shares: a World (a server with a hostile function in C, one in Python, and a neighbour), made once per module
and kind of server, and the attack program outside of any jail, which shows that an attack works where nothing stops it.

An attack is a verb with words (tests/hostile/attack.h); its result is "ok" (perhaps ":detail") when it got what it wanted, else the name
of an errno or a word for how it ended.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from support import BIN, PATIENCE, ROOT, Server, descendants, wait_for
from users import SECRET, User

HOSTILE = ROOT / "tests" / "hostile"
KINDS = ("root", "plain", "ranges") if os.geteuid() == 0 else ("self",)
LANGUAGES = ("c", "python")

NEIGHBOUR = """
import uuid
ID = str(uuid.uuid4())
def handler(event, context):
    if event == "store":
        open("/tmp/secret-of-the-neighbour", "w").write("x")
    return ID
"""


@functools.cache
def program():
    """The attack program, compiled once for the run; any user may execute it."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-hostile-"))
    folder.chmod(0o755)
    path = folder / "attack"
    sources = [*sorted(HOSTILE.glob("attack*.c")), ROOT / "runtimes/c/sluice_runtime.c", ROOT / "runtimes/c/sluice_json.c"]
    subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{ROOT}/runtimes/c", "-o", path, *sources], check=True)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session", autouse=True)
def remove_program():
    yield
    if program.cache_info().currsize:
        shutil.rmtree(program().parent, ignore_errors=True)  # each module that uses it has a fixture of its own


@functools.cache
def call_numbers():
    """{name: number} of this architecture's system calls, as the C compiler knows them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-xc", "/dev/null"], capture_output=True, text=True, check=True).stdout
    return {name: number for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def words_of(text):
    """The words of an attack, with the names of system calls ("call mount ...") replaced by their numbers."""
    words = text.split(" ")
    if words[0] == "call":
        words[1] = call_numbers().get(words[1], words[1])
    return words


def outside(text, user=None):
    """The attack where there is no jail, in namespaces of its own, so that whatever succeeds ends with it; as root, or as a user."""
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    if os.geteuid() == 0:
        become = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--mount-proc", "--ipc", "--uts", "--net", "--cgroup", *become]
    answer = subprocess.run([*become, str(program()), *words_of(text)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    return answer.stdout.rstrip("\n")


class World:
    """server, kind ("root" or a kind of user), attack(language, text), check()."""

    def __init__(self, kind, *options, command=None, **functions):
        """command: words that run the server, before its own (root's only); functions: settings of the hostile ones."""
        self.kind, self.folder, self.restarts = kind, None, 0
        environment = {"SERVER_SECRET": SECRET}
        # Without blanks a process shows in its first environment whose it is, which tells the tests' functions apart.
        options = ("--blanks", "0", *options)
        if kind == "root":
            self.server = Server(*options, env=environment, command=[*(command or []), str(BIN)])
            answer = subprocess.run([str(BIN), "doctor", "--json"], capture_output=True, text=True, timeout=PATIENCE)
            self.features = {item["name"]: item for item in json.loads(answer.stdout)["features"]}
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="sluice-user-"))
            user = User(kind, self.folder)
            self.features = user.features()
            if not self.features["privilege"]["available"]:
                shutil.rmtree(self.folder)
                pytest.skip("this kernel or user lacks: privilege")
            self.server = Server(*options, data=user.data(), env={**user.env, **environment}, command=user.command)
        more = {"Timeout": 30, "MemorySize": 256, **functions}
        self.server.create_function("c", {"bootstrap": program().read_bytes()}, "provided.al2023", "none", **more)
        self.server.create_function("python", {"attack.py": (HOSTILE / "attack.py").read_text()}, handler="attack.handler", **more)
        self.server.create_function("neighbour", {"index.py": NEIGHBOUR, "secret-of-the-neighbour": "code"},
                                    Environment={"Variables": {"NEIGHBOUR_SECRET": SECRET}})  # fmt: skip
        assert self.is_answer(self.server.invoke("neighbour", "store")["Json"])
        self.pid = self.server.process.pid
        self.spawner = self.process("sluice-spawner")
        (self.neighbour,) = self.instances_of("neighbour")

    @staticmethod
    def is_answer(value):
        return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None

    def process(self, name):
        return next(pid for pid, command in descendants(self.pid).items() if command == name)

    def attack(self, language, text, **more):
        """What the attack came to; for one that did not live to tell, the type of the error."""
        answer = self.server.invoke(language, " ".join(words_of(text)), **more)
        return answer["Json"] if "FunctionError" not in answer else answer["Json"]["errorType"]

    def check(self):
        """The neighbour answers, its first instance is still there; the server is well and the same; nothing was reported."""
        assert self.is_answer(self.server.invoke("neighbour", "")["Json"])
        assert self.neighbour in self.instances_of("neighbour")
        assert self.server.http("GET", "/_sluice/health").status == 200
        assert self.server.running() and self.process("sluice-spawner") == self.spawner
        assert self.server.bad_log_lines() == []

    def instances(self):
        """pids of what runs in sandboxes: everything below the spawner but inits and what waits for a function."""
        return {pid: name for pid, name in descendants(self.spawner).items() if not name.startswith("sluice")}

    def server_processes(self):
        """{pid: name} of the server and the spawner."""
        return {pid: name for pid, name in descendants(self.pid).items() if name.startswith("sluice") and name != "sluice-init"}

    def instances_of(self, language):
        return [pid for pid, name in self.instances().items() if name.startswith("bootstrap" if language == "c" else "python")
                and self.environment(pid, "AWS_LAMBDA_FUNCTION_NAME") == language]  # fmt: skip

    def environment(self, pid, name):
        with contextlib.suppress(OSError):
            for entry in Path("/proc", str(pid), "environ").read_bytes().split(b"\0"):
                if entry.startswith(name.encode() + b"="):
                    return entry.decode().partition("=")[2]
        return None

    def restart(self, language):
        """Ends the function's instances, by a change of its configuration, and waits until they are gone."""
        functions = self.server.client("lambda")
        self.restarts += 1
        functions.update_function_configuration(FunctionName=language, Description=str(self.restarts),
                                                Environment={"Variables": {"RESTARTS": str(self.restarts)}})  # fmt: skip
        wait_for(lambda: functions.get_function_configuration(FunctionName=language)["LastUpdateStatus"] == "Successful", "the update")
        wait_for(lambda: not self.instances_of(language), "its instances to end")

    def one_id(self):
        """Whether all sandboxes have the user id of who started the server."""
        return not self.features["user id per sandbox"]["available"]

    def end(self):
        """Stops the server; gives what was wrong and what is left of it."""
        spared = {os.getpid(), *descendants(os.getpid())} - set(descendants(self.pid)) - {self.pid}
        self.server.close_clients()
        problems = []
        status = self.server.stop() if self.server.running() else "none: it had ended"
        if status != 0:
            problems.append(f"SIGTERM: exit status {status}")
        problems += self.server.leftovers(spared) + self.server.bad_log_lines()
        text = self.server.log()[-4000:] if problems else ""
        self.server.dispose()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        return "\n".join([*problems, text]) if problems else ""


class Pings:
    """Calls the neighbour again and again beside an attack: `with Pings(world) as pings: ...`; pings.count is how often it answered."""

    def __init__(self, world):
        self.world, self.count, self.failure, self.done = world, 0, None, threading.Event()
        self.thread, self.others = threading.Thread(target=self.run), []

    def run(self):
        # A client of its own: boto3's is not to be shared between threads while a long call runs.
        while not self.done.is_set():
            try:
                answer = self.world.server.http("POST", "/2015-03-31/functions/neighbour/invocations", json.dumps(""))
                assert self.world.is_answer(answer.json()), answer.text
                self.count += 1
            except Exception as failure:
                self.failure = failure
                return

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.count or self.failure, "the neighbour's first answer")
        return self

    def beside(self, action):
        """Runs the action in a thread, which is returned; the end of the block waits for it."""
        thread = threading.Thread(target=action)
        thread.start()
        self.others.append(thread)
        return thread

    def more(self, answers):
        """Waits until the neighbour has answered that many times more."""
        target = self.count + answers
        wait_for(lambda: self.count >= target or self.failure, f"{answers} answers of the neighbour")
        assert self.failure is None, self.failure

    def __exit__(self, *_):
        for other in self.others:
            other.join()
        self.done.set()
        self.thread.join()
        assert self.failure is None, self.failure


@pytest.fixture(scope="module", params=KINDS)
def world(request):
    made = World(request.param)
    yield made
    problem = made.end()
    assert not problem, problem
