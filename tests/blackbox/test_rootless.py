# SPDX-License-Identifier: Apache-2.0
"""Privilege: the whole slice as an ordinary user, what `sluice doctor` says is weaker then, and who may do what when root starts it.

Two ordinary users: `plain` has nothing but its id (every sandbox runs under that one id, kept apart by namespaces, seccomp and Landlock);
`ranges` is in /etc/subuid, so that newuidmap gives each sandbox an id of its own, and may open /dev/net/tun, so that slirp4netns gives
them a network. Run as root, the tests become these users; the second one exists only in a mount namespace of the test's, in copies of
/etc/passwd and its like. Run by an ordinary user, that user is the only one.
"""

import base64
import contextlib
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from sdk_support import code
from support import BIN, descendants, wait_for
from users import KINDS, RANGE, SECRET, USER, User

@pytest.fixture(scope="module", params=KINDS)
def user(request):
    folder = Path(tempfile.mkdtemp(prefix="sluice-user-"))
    user = User(request.param, folder)
    if not user.features()["privilege"]["available"]:
        pytest.skip("this kernel or user lacks: privilege")
    yield user
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_user_server(start_server, user):
    return lambda *options: start_server(*options, data=user.data(), env=user.env, command=user.command)


NO_BLANKS = ("--blanks", "0")  # for tests that count processes: blanks are processes of the language too


def status(pid):
    """/proc/PID/status as {name: text}."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def statuses(server):
    """{pid: fields} of the processes below the server that have not ended meanwhile."""
    found = {}
    for pid in descendants(server.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = status(pid)
    return found


def capabilities(fields):
    """The capability sets that hold anything."""
    return {name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(fields[name], 16)}


def instances(server, comm):
    """pids of the functions' own processes below the server."""
    return [pid for pid, name in descendants(server.process.pid).items() if name.startswith(comm)]


# --- the slice ------------------------------------------------------------------------------------------------------

PYTHON = "import os\ndef handler(event, context):\n    print('seen', event)\n    return {'event': event, 'pid': os.getpid(), 'uid': os.getuid()}\n"
NODE = "exports.handler = async (event) => ({ event, pid: process.pid });\n"
SHELL = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
    event=$(curl -sS -D /tmp/head "$api/invocation/next")
    id=$(sed -n 's/\\r$//; s/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p' /tmp/head)
    curl -sS -o /dev/null "$api/invocation/$id/response" -d "{\\"event\\": $event}"
done
"""
PROXY = "def handler(event, context): return {'statusCode': 201, 'body': event['rawPath'] + ' ' + event.get('body', '')}\n"


def test_the_slice_works_for_an_ordinary_user(start_user_server):
    server = start_user_server("--nearest-runtime")  # Debian 12's own Node.js is older than any that AWS still takes
    functions, apis = server.client("lambda"), server.client("apigatewayv2")
    server.create_function("python", {"index.py": PYTHON})
    server.create_function("node", {"index.js": NODE}, "nodejs20.x")
    server.create_function("shell", {"bootstrap": SHELL}, "provided.al2023", "none")
    for name in ("python", "node", "shell"):
        for n in range(2):
            answer = server.invoke(name, {"n": n}, LogType="Tail")
            assert "FunctionError" not in answer, answer["Text"]
            assert answer["Json"]["event"] == {"n": n}
    assert "REPORT RequestId" in base64.b64decode(answer["LogResult"]).decode()

    server.invoke("python", {"n": "async"}, InvocationType="Event")
    wait_for(lambda: "seen {'n': 'async'}" in server.http("GET", "/_sluice/logs?function=python").text, "the event to run")

    proxy = server.create_function("proxy", {"index.py": PROXY})["FunctionArn"]
    api = apis.create_api(Name="proxy", ProtocolType="HTTP", Target=proxy)["ApiId"]
    functions.add_permission(FunctionName="proxy", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com")
    answer = server.http("POST", "/some/path", body="text", headers={"Content-Type": "text/plain"}, host=f"{api}.execute-api.localhost:{server.port}")
    assert (answer.status, answer.text) == (201, "/some/path text")
    functions.update_function_configuration(FunctionName="python", MemorySize=256)
    wait_for(lambda: functions.get_function_configuration(FunctionName="python")["LastUpdateStatus"] == "Successful", "the update")
    assert server.invoke("python", 1)["Json"]["event"] == 1
    server.create_function("sdk", code(), Timeout=60, MemorySize=1769)
    (identity,) = server.invoke("sdk", {"do": "calls", "calls": [["sts", "get_caller_identity"]]})["Json"]
    assert identity["Arn"] == "arn:aws:sts::000000000000:assumed-role/test/sdk"

    assert server.stop() == 0
    server.restart()
    assert server.invoke("python", "again")["Json"]["event"] == "again"


FAILS = """
import os, signal, subprocess, time
def handler(event, context):
    # A child that leaves the session and would go on for ever.
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    if event == "sleep":
        time.sleep(100)
    if event == "exit":
        os._exit(7)
    if event == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if event == "fork":
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(1000)
        except OSError as error:
            os._exit(8)
    if event == "memory":
        hold = []
        while True:
            hold.append(b"x" * (8 << 20))
            time.sleep(0.01)
    return "fine"
"""


def test_failures_are_awss_and_the_whole_tree_is_killed(start_user_server):
    server = start_user_server(*NO_BLANKS)
    server.create_function("fails", {"index.py": FAILS}, Timeout=2)
    server.create_function("eats", {"index.py": FAILS}, Timeout=20, MemorySize=128)
    for event, kind, text in (("sleep", "Sandbox.Timedout", r"RequestId: \S+ Error: Task timed out after 2\.00 seconds"), ("exit", "Runtime.ExitError", r"RequestId: \S+ Error: Runtime exited with error: exit status 7"),
                              ("signal", "Runtime.ExitError", r"RequestId: \S+ Error: Runtime exited with error: signal: segmentation fault")):  # fmt: skip
        answer = server.invoke("fails", event)
        assert answer["FunctionError"] == "Unhandled"
        assert answer["Json"]["errorType"] == kind
        assert re.fullmatch(text, answer["Json"]["errorMessage"])
        wait_for(lambda: not instances(server, "sleep"), f"the tree to be killed after {event}")
    answer = server.invoke("eats", "memory")
    assert (answer["FunctionError"], answer["Json"]["errorType"]) == ("Unhandled", "Runtime.OutOfMemory"), answer["Json"]
    answer = server.invoke("eats", "fork")  # ends at the limit of processes or at that of memory
    assert answer["FunctionError"] == "Unhandled" and answer["Json"]["errorType"] in ("Runtime.OutOfMemory", "Runtime.ExitError"), answer["Json"]
    wait_for(lambda: not instances(server, "sleep") and not instances(server, "python"), "the trees to be killed")
    assert server.invoke("fails", "")["Json"] == "fine"


def test_kill_9_leaves_nothing_and_loses_nothing(start_user_server):
    server = start_user_server()
    server.create_function("kept", {"index.py": FAILS})
    for _ in range(2):
        assert server.invoke("kept", "")["Json"] == "fine"
        assert instances(server, "sleep")
        server.note_tree()
        ours = server.tree
        server.kill()
        wait_for(lambda: not ours & set(descendants(os.getpid())), "every process to end with the server")
        server.restart()


# --- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_says_what_is_weaker_for_an_ordinary_user(user):
    found = user.features()
    assert (found["privilege"]["available"], found["privilege"]["how"]) == (True, "user namespace")
    assert found["system call filter"]["available"] and found["network namespaces"]["available"]
    if user.kind == "plain":
        assert not found["user id per sandbox"]["available"] and "/etc/subuid" in found["user id per sandbox"]["advice"]
    elif user.kind == "ranges":
        assert found["user id per sandbox"]["how"] == "newuidmap"
    if user.kind != "self":  # who has been given no control group
        for limit in ("memory limit", "cpu limit", "process limit"):
            assert not found[limit]["available"] and "root" in found[limit]["advice"]
    network = found["outgoing network"]
    assert network["available"] or "loopback only" in network["advice"]
    people = user.run("doctor").stdout
    for item in found.values():
        assert item["name"] in people and item["advice"] in people


# --- hostile functions ----------------------------------------------------------------------------------------------

HOSTILE = '''
import ctypes, errno, glob, os, socket

libc = ctypes.CDLL(None, use_errno=True)

def attempt(action):
    """What it gave, or the name of the error."""
    try:
        return action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def system(result):
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]

def read(path):
    with open(path, "rb") as file:
        return file.read(100000).decode("latin-1")

def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)
        return "connected"

def find(marker):
    """Every path whose name holds marker, outside of the machine's /usr."""
    found = []
    for base, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(base, f) not in ("/usr", "/proc")]
        found += [os.path.join(base, n) for n in folders + files if marker in n]
    return found

def handler(event, context):
    def writes(path):
        with open(path, "w") as file:
            file.write("x")
        return "written"

    def visible():
        return sorted(int(p) for p in os.listdir("/proc") if p.isdigit())

    return {
        "data": attempt(lambda: os.listdir(event["data"])),
        "folder": attempt(lambda: os.listdir(event["folder"])),
        "found": find(event["marker"]),
        "root_of_init": attempt(lambda: os.listdir("/proc/1/root/tmp") and "listed"),
        "environ": [p for p in glob.glob("/proc/*/environ") if event["secret"] in str(attempt(lambda: read(p)))],
        "memory_of_init": attempt(lambda: bool(open("/proc/1/mem", "rb"))),
        "processes": visible(),
        "descriptors": sorted({os.readlink("/proc/self/fd/" + n).split(":")[0] for n in os.listdir("/proc/self/fd")
                               if os.path.lexists("/proc/self/fd/" + n)}),
        "shadow": attempt(lambda: read("/etc/shadow")),
        "passwd": attempt(lambda: read("/etc/passwd")),
        "loopback": attempt(lambda: connect(socket.AF_INET, ("127.0.0.1", event["port"]))),
        "loopback6": attempt(lambda: connect(socket.AF_INET6, ("::1", event["port"]))),
        "gateways": [attempt(lambda: connect(socket.AF_INET, (socket.inet_ntoa(bytes.fromhex(g)[::-1]), event["port"])))
                     for line in open("/proc/net/route").readlines()[1:] for g in line.split()[1:3] if g != "00000000"],
        "helpers": [attempt(lambda: connect(socket.AF_INET, (a, event["port"]))) for a in ("10.0.2.2", "198.18.0.1", "198.18.0.2", "198.18.0.3")],
        "addresses": [attempt(lambda: connect(socket.AF_INET, (a, event["port"]))) for a in event["addresses"]],
        "abstract": attempt(lambda: connect(socket.AF_UNIX, "\\0" + event["marker"])),
        "raw": attempt(lambda: bool(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))),
        "packet": attempt(lambda: bool(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))),
        "vsock": attempt(lambda: bool(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))),
        "write": [attempt(lambda: writes(p)) for p in ("/x", "/usr/x", "/etc/x", "/var/task/x", "/var/runtime/x", "/opt/x", "/dev/x", "/proc/sys/kernel/hostname")],
        "tmp": attempt(lambda: writes("/tmp/x")),
        "setuid": attempt(lambda: os.setuid(0)),
        "setgroups": attempt(lambda: os.setgroups([0])),
        "chroot": attempt(lambda: os.chroot("/tmp")),
        "mount": system(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        "unshare": [system(libc.unshare(flag)) for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000)],
        "ptrace_init": system(libc.ptrace(16, 1, None, None)),
        "kill_init": attempt(lambda: os.kill(1, 9)),  # ignored or refused: without init nobody would answer
        "status": {name: value.strip() for name, _, value in (line.partition(":") for line in open("/proc/self/status"))},
    }
'''
CONNECTS = """
def handler(event, context):
    return attempt(lambda: connect(socket.AF_INET, (event["address"], event["port"])))
"""
REFUSED = {"EPERM", "EACCES", "ENOENT", "ENOSYS", "EROFS", "EINVAL"}
UNREACHABLE = {"ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES", "timed out"}


def attack(server, data):
    """Runs the hostile function beside a victim; checks what holds for every kind of server and gives the rest."""
    marker = f"secret-file-of-the-victim-{os.getpid()}"  # also the name of a socket of the machine's
    server.create_function("victim", {"index.py": "def handler(e, c):\n    open('/tmp/' + e, 'w').write('x')\n    return 'stored'\n", marker: "code"})
    assert server.invoke("victim", marker)["Json"] == "stored"
    server.create_function("hostile", {"index.py": HOSTILE}, Timeout=30, MemorySize=512)
    text = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout
    addresses = [a for a in text.split() if "." in a]
    event = {"data": str(data), "folder": str(data.parent), "marker": marker, "secret": SECRET, "port": server.port, "addresses": addresses}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + marker)
        listener.listen()
        answer = server.invoke("hostile", event)
    assert "FunctionError" not in answer, answer["Json"]
    got = answer["Json"]
    for name in ("data", "shadow", "memory_of_init", "root_of_init", "raw", "packet", "setuid", "setgroups", "chroot", "mount", "ptrace_init"):
        assert got[name] in REFUSED, (name, got[name])
    assert set(got["write"]) <= REFUSED and got["tmp"] == "written", got["write"]
    assert set(got["unshare"]) <= REFUSED, got["unshare"]
    assert got["found"] == [] and got["environ"] == []
    for reached in (got["loopback"], got["loopback6"], got["abstract"], *got["addresses"], *got["gateways"], *got["helpers"]):
        assert reached in UNREACHABLE, got
    assert got["vsock"] in REFUSED | UNREACHABLE
    assert got["kill_init"] in (None, *REFUSED) and len(got["processes"]) <= 2, got["processes"]
    assert "sluice" not in got["passwd"]
    assert set(got["descriptors"]) <= {"/dev/null", "pipe", "socket", "/proc/" + str(max(got["processes"])) + "/fd"}, got["descriptors"]
    assert capabilities(got["status"]) == set() and got["status"]["NoNewPrivs"] == "1" and got["status"]["Seccomp"] == "2"
    assert server.invoke("victim", marker)["Json"] == "stored"
    return got


def test_a_hostile_function_finds_nothing_with_a_users_server(start_user_server):
    server = start_user_server()
    attack(server, server.data)


@pytest.mark.skipif(os.geteuid() != 0, reason="this is about a server that root started")
def test_a_hostile_function_finds_nothing_with_roots_server(start_server):
    server = start_server(env={"SERVER_SECRET": SECRET})
    attack(server, server.data)


def test_functions_of_a_users_server_reach_what_is_allowed_and_nothing_else_of_this_machine(request, start_user_server, user):
    if not user.features()["outgoing network"]["available"]:
        pytest.skip("this kernel or user lacks: outgoing network")
    address = request.getfixturevalue("address")
    with socket.create_server((address, 0)) as open_one, socket.create_server((address, 0)) as closed_one:
        server = start_user_server("--allow", f"{address}:{open_one.getsockname()[1]}")
        server.create_function("connects", {"index.py": HOSTILE.replace("def handler(", "def other(") + CONNECTS})
        for listener, expected in ((open_one, {"connected"}), (closed_one, UNREACHABLE)):
            assert server.invoke("connects", {"address": address, "port": listener.getsockname()[1]})["Json"] in expected


def test_the_processes_of_a_users_server_hold_nothing(start_user_server, user):
    server = start_user_server(*NO_BLANKS)
    for name in ("one", "two"):
        server.create_function(name, {"index.py": PYTHON})
        server.invoke(name)
    running = [status(pid) for pid in instances(server, "python")]
    assert len(running) == 2
    for fields in running:
        assert capabilities(fields) == set()
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    uids = {fields["Uid"].split()[0] for fields in running}
    if user.kind == "ranges":
        assert len(uids) == 2 and all(RANGE <= int(uid) < RANGE + 65536 for uid in uids)
    elif user.kind == "plain":
        assert uids == {str(USER)}
    assert "0" not in {fields["Uid"].split()[0] for fields in (status(server.process.pid), *statuses(server).values())}


# --- root's server --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="this is about a server that root started")
def test_roots_server_gives_its_rights_away(start_server):
    server = start_server(*NO_BLANKS)
    for name in ("one", "two"):
        server.create_function(name, {"index.py": PYTHON})
        server.invoke(name)

    below = statuses(server)
    serving = [fields for fields in below.values() if fields["Name"] == BIN.name[:15]]
    assert len(serving) == 1
    assert set(serving[0]["Uid"].split()) == set(serving[0]["Gid"].split()) and "0" not in serving[0]["Uid"].split()
    assert serving[0]["Groups"] == "" and serving[0]["NoNewPrivs"] == "1"
    assert capabilities(serving[0]) == set()

    running = [status(pid) for pid in instances(server, "python")]
    assert len(running) == 2
    for fields in running:
        assert capabilities(fields) == set() and fields["Groups"] == ""
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        assert len(set(fields["Uid"].split())) == 1
    uids = {fields["Uid"].split()[0] for fields in running}
    assert len(uids) == 2 and not uids & {"0", serving[0]["Uid"].split()[0]}
    known = {str(entry.pw_uid) for entry in pwd.getpwall()}
    assert not uids & known

    # What runs as root besides the supervisor and the spawner: each sandbox's init, in which no new right can be gained.
    # (One that is being prepared for the next function begins as a copy of the spawner.)
    def bound(fields):
        return fields["Name"] == "sluice-init" and fields["NoNewPrivs"] == "1" and int(fields["CapBnd"], 16) == 0

    def all_bound():
        of_root = [fields for fields in statuses(server).values() if fields["Uid"].split()[0] == "0"]
        spawners = [fields for fields in of_root if fields["Name"] == "sluice-spawner"]
        return [fields["Threads"] for fields in spawners] == ["1"] and all(bound(fields) for fields in of_root if fields not in spawners)

    wait_for(all_bound, "nothing of root's but the spawner and bound inits")
