# SPDX-License-Identifier: Apache-2.0
"""What a hostile function does to the server through what it may say: the Runtime API (connections, requests, bodies), its log, its
answers. It costs the function its own invocation at most: the neighbour answers meanwhile, and the server's memory and descriptors stay
within bounds that do not depend on the function's will.

The function is the runtime of test_runtime_api: each event is Python code that it runs inside of the invocation.
"""

import contextlib
import json
import os
import re
from pathlib import Path

import pytest

from hostile_support import NEIGHBOUR, Pings, World, remove_program
from support import SANITIZED, descendants, descriptors, wait_for
from test_runtime_api import PROBE

__all__ = ["remove_program"]

HELPERS = r'''
import threading, resource
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
HEAD = "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n"
def tries(count, action):
    """Does it count times, whatever becomes of each; how often it worked."""
    worked = 0
    for _ in range(count):
        try:
            action()
            worked += 1
        except OSError:
            pass
    return worked
def pour(conn, size):
    """Sends that many bytes, or as many as are taken within a second or two."""
    conn.s.settimeout(2)
    sent = 0
    try:
        while sent < size:
            sent += conn.s.send(b"x" * min(65536, size - sent))
    except OSError:
        pass
    return sent
kept = []
'''
# KiB; thirty answers of 6 MB, if they were kept, are 180 MB. (AddressSanitizer keeps 256 MB of what was freed.)
GROWTH = (400 if SANITIZED else 48) << 10


@pytest.fixture(scope="module")
def world():
    made = World("root" if os.geteuid() == 0 else "self")
    made.server.create_function("probe", {"bootstrap": PROBE % HELPERS}, runtime="provided.al2023", handler="x", Timeout=20, MemorySize=1769)
    yield made
    problem = made.end()
    assert not problem, problem


def memory_of(world):
    """KiB of the server's processes, highest so far."""
    return sum(int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) for pid in (world.pid, *world.server_processes()))


def open_files(world):
    """(descriptors of the server's processes, sandboxes)"""
    sandboxes = sum(name == "sluice-init" for name in descendants(world.pid).values())
    return sum(descriptors(pid) for pid in (world.pid, *world.server_processes())), sandboxes


def as_before(world, before):
    """No more descriptors than before, but for those of sandboxes that have come since: a neighbour's second instance, a spare one."""
    files, sandboxes = open_files(world)
    return files <= before[0] + 16 + 16 * max(0, sandboxes - before[1])


def held_connections(world):
    """How many connections the server holds from inside of one sandbox, at most: those that the sandbox's own namespace lists."""
    held, most = set(), 0
    for pid in (world.pid, *world.server_processes()):
        for name in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held.add(os.readlink(name))
    for pid in world.instances():
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
            # 2329: port 9001 in hexadecimal; 0A: the listener. A set: a table that changes while it is read has rows twice.
            inside = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(":2329") and row[3] != "0A"}
            most = max(most, len(inside & held))
    return most


@pytest.fixture
def run(world):
    """run(code): lets the code loose while the neighbour answers; gives the answer to the invocation."""
    assert world.server.invoke("probe", {"run": "return 1"})["Json"] == 1
    world.server.close_clients()
    wait_for(lambda: open_files(world) == open_files(world), "a moment of rest")
    for pid in (world.pid, *world.server_processes()):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest so far is that of now
    memory, files = memory_of(world), open_files(world)

    def attack(code, **more):
        with Pings(world) as pings:
            answer = world.server.invoke("probe", {"run": code}, **more)
            pings.more(3)
        return answer

    yield attack
    assert memory_of(world) - memory < GROWTH, (memory, memory_of(world))
    world.server.close_clients()
    wait_for(lambda: as_before(world, files), f"no more descriptors than before: {files}")
    assert world.server.invoke("probe", {"run": "return 2"})["Json"] == 2
    world.check()


# --- connections ----------------------------------------------------------------------------------------------------------------


def test_a_thousand_connections(world, run):
    """The server holds SL_RUNTIME_CONNS of them, and closes the others in their face."""
    seen = []
    code = "kept[:] = []\nn = tries(900, lambda: kept.append(Conn().send('POST / HT')))\ntime.sleep(2)\nfor c in kept: c.s.close()\nkept[:] = []\nreturn n"
    with Pings(world) as pings:
        attack = pings.beside(lambda: seen.append(world.server.invoke("probe", {"run": code})["Json"]))
        most = 0
        while attack.is_alive():
            most = max(most, held_connections(world))
        pings.more(1)
    assert seen and isinstance(seen[0], int) and seen[0] > 100, seen
    assert 16 < most <= 40, most  # a connection more is accepted before it is closed


def test_a_storm_of_connections(run):
    """Four threads connect and leave as fast as they can."""
    code = """
end = time.monotonic() + 3
def storm():
    while time.monotonic() < end:
        tries(1, lambda: connect().close())
threads = [threading.Thread(target=storm) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
return "done"
"""
    assert run(code)["Json"] == "done"


@pytest.mark.parametrize("bytes_", ["b''", "b'GET'", "b'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n'",
                                    "(HEAD % ID + 'Content-Length: 1000\\r\\n\\r\\nx').encode()",
                                    "(HEAD % 'x' + 'Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nx').encode()"])  # fmt: skip
def test_requests_that_never_end(run, bytes_):
    assert run(f"for _ in range(20): kept.append(Conn().send({bytes_}))\nfor c in kept: c.s.close()\nkept[:] = []\nreturn 'done'")["Json"] == "done"


# --- requests -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["'GET /' + 'x' * 10_000_000", "'GET / HTTP/1.1\\r\\nHost: ' + 'x' * 10_000_000",
                                  "'GET / HTTP/1.1\\r\\nHost: x\\r\\n' + 'a: b\\r\\n' * 1_000_000", "'\\r\\n' * 5_000_000", "'\\0' * 5_000_000"])  # fmt: skip
def test_giant_heads(run, head):
    code = f"c = Conn()\nc.s.settimeout(5)\ntries(1, lambda: c.send({head}))\ntry: a = c.answer()[0]\nexcept OSError: a = 0\nreturn a"
    assert run(code)["Json"] in (0, 400, 414, 431)  # 0: the connection was closed in its face


@pytest.mark.parametrize("head", ["Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5\\r\\nContent-Length: 6",
                                  "Transfer-Encoding: chunked\\r\\nContent-Length: 3", "Transfer-Encoding: xchunked", "Content-Length: 0x10"])  # fmt: skip
def test_lengths_that_are_none(run, head):
    """What is refused as too long ends the invocation, as AWS does; what is no request, does not."""
    answer = run(f"return Conn().send(HEAD % ID + '{head}\\r\\n\\r\\nabc').answer()[0]")
    assert answer["Json"] in (400, 413, 501) or answer["Json"]["errorType"] == "Function.ResponseSizeTooLarge", answer["Json"]


@pytest.mark.parametrize("size", ["ffffffffffffffff", "-1", "fffffffff", "0" * 40 + "5", "5;" + "x" * 5000])
def test_chunks_that_are_none(run, size):
    code = f"c = Conn()\nc.s.settimeout(5)\ntry: return c.send(HEAD % 'other' + 'Transfer-Encoding: chunked\\r\\n\\r\\n{size}\\r\\nhello\\r\\n0\\r\\n\\r\\n').answer()[0]\nexcept OSError: return 0"
    assert run(code)["Json"] in (0, 400, 413)


def test_garbage_behind_a_request(run):
    code = "c = Conn()\nc.request('GET', BASE + 'nothing')\ntries(1, lambda: c.send(os.urandom(100000)))\nreturn c.answer()[0]"
    assert run(code)["Json"] == 404


def test_answers_that_nobody_reads(world, run):
    """Asking for the event again gives it again: 5 MB each, a hundred times in one go, and none is read."""
    code = "c = Conn()\nc.s.settimeout(2)\nn = tries(100, lambda: c.request('GET', BASE + 'invocation/next'))\nkept.append(c)\nreturn n"
    big = {"run": code, "ballast": "x" * 5_000_000}
    with Pings(world) as pings:
        assert world.server.invoke("probe", big)["Json"] > 0
        pings.more(3)
    run("for c in kept: c.s.close()\nkept[:] = []\nreturn 1")


# --- bodies ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["invocation/{ID}/response", "invocation/{ID}/error", "invocation/other/response", "init/error", "invocation/next",
                                    "nothing"])  # fmt: skip
def test_thirty_large_bodies_that_stay_unfinished(run, target):
    """Each announces 6 MB and sends all but the last byte."""
    code = f"""
def one():
    c = Conn()
    c.send(f"POST {{BASE}}{target} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 6000000\\r\\n\\r\\n")
    pour(c, 5_999_999)
    kept.append(c)
threads = [threading.Thread(target=one) for _ in range(30)]
for t in threads: t.start()
for t in threads: t.join()
for c in kept: c.s.close()
kept[:] = []
return "done"
"""
    answer = run(code)["Json"]
    assert answer == "done" or answer["errorType"], answer


def test_the_id_of_somebody_elses_invocation(world, run):
    """Each answer is taken only from the instance that has the event."""
    world.server.create_function("other", {"bootstrap": PROBE % ""}, runtime="provided.al2023", handler="x", Timeout=20)
    told = []
    with Pings(world) as pings:
        other = pings.beside(lambda: told.append(world.server.invoke("other", {"run": "print('ID', ID, flush=True)\ntime.sleep(3)\nreturn 'its own'"})["Json"]))

        def ids():
            return re.findall(r"^ID ([0-9a-f-]{36})", world.server.cli("logs", "other").stdout, re.M)

        # Told by the log, or, when that comes only with the end of the invocation, guessed too late: then it proves nothing.
        with contextlib.suppress(AssertionError):
            wait_for(lambda: ids() or not other.is_alive(), "the other's id")
        if other.is_alive() and ids():
            for verb in ("response", "error"):
                assert world.server.invoke("probe", {"run": f"return call('POST', 'invocation/{ids()[0]}/{verb}', '\"stolen\"')[0]"})["Json"] == 400
    assert told == ["its own"]


@pytest.mark.parametrize("kind", ["a\\r\\nX-Evil: 1", "\\x00", "x" * 10000, "<script>", "\\u00e9".encode().decode("unicode_escape")])
def test_names_of_errors(world, run, kind):
    code = f"s = Conn()\ns.s.settimeout(5)\ntry: return s.request('POST', BASE + f'invocation/{{ID}}/error', '{{}}', ['Lambda-Runtime-Function-Error-Type: {kind}']).answer()[0]\nexcept OSError: return 0"
    answer = run(code)
    assert "X-Evil" not in str(answer["ResponseMetadata"]["HTTPHeaders"])


# --- answers to HTTP clients ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(world):
    """GETs the function's URL with code to run; gives the response."""
    functions = world.server.client("lambda")
    def get(code):
        return world.server.http("POST", "/", code, host=host)

    # The event is then that of HTTP: its body holds the code.
    world.server.create_function("shim", {"bootstrap": PROBE.replace("body = json.loads(event)", "body = {'run': json.loads(event)['body']}") % HELPERS},
                                 runtime="provided.al2023", handler="x", Timeout=20, MemorySize=512)  # fmt: skip
    host = functions.create_function_url_config(FunctionName="shim", AuthType="NONE")["FunctionUrl"].split("/")[2]
    functions.add_permission(FunctionName="shim", StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    functions.add_permission(FunctionName="shim", StatementId="invoke", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    return get


HOSTILE_ANSWERS = {
    "a header with a line break": "{'statusCode': 200, 'headers': {'x': 'a\\r\\nset-cookie: evil=1\\r\\n\\r\\nbody'}}",
    "a header's name with a line break": "{'statusCode': 200, 'headers': {'x\\r\\nset-cookie: evil=1\\r\\ny': 'a'}}",
    "a cookie with a line break": "{'statusCode': 200, 'cookies': ['a=b\\r\\nset-cookie: evil=1'], 'body': ''}",
    "a status that is none": "{'statusCode': '200 OK\\r\\nset-cookie: evil=1'}",
    "a status out of range": "{'statusCode': 99999}",
    "a length of its own": "{'statusCode': 200, 'headers': {'content-length': '5', 'transfer-encoding': 'chunked', 'connection': 'close'}, 'body': 'hello world'}",
    "ten thousand headers": "{'statusCode': 200, 'headers': {f'x{i}': 'y' for i in range(10000)}}",
    "a base64 body that is none": "{'statusCode': 200, 'isBase64Encoded': True, 'body': '***'}",
    "headers that are no object": "{'statusCode': 200, 'headers': [1, 2], 'body': {'a': 1}}",
}


@pytest.mark.parametrize("what", HOSTILE_ANSWERS)
def test_answers_to_http_clients(world, url, what):
    answer = url("return " + HOSTILE_ANSWERS[what])
    assert "set-cookie" not in answer.headers or "evil" not in answer.headers["set-cookie"].split(";")[0].split("=")[0]
    assert ("set-cookie", "evil=1") not in [(k.lower(), v) for k, v in answer.pairs]
    assert answer.status in (200, 502), answer.status
    world.check()


def test_an_answer_that_is_nested_a_hundred_thousand_times(world, run):
    code = "call('POST', f'invocation/{ID}/response', '[' * 100000)\nanswered.append(1)"
    answer = world.server.http("POST", "/2015-03-31/functions/probe/invocations", json.dumps({"run": code}))
    assert (answer.status, answer.body) == (200, b"[" * 100000)  # handed on as it is: nobody parses it


def test_descriptors_in_the_mail(run):
    """Over the Unix socket of the Runtime API descriptors could be sent: the server takes none."""
    code = r"""
paths = [p for p in ("/run/sluice/" + n for n in os.listdir("/run/sluice"))] if os.path.isdir("/run/sluice") else []
sent = 0
for path in paths:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        sent += tries(200, lambda: socket.send_fds(s, [b"G"], [0] * 100))
return len(paths)
"""
    assert run(code)["Json"] in (0, 1)


# --- logs -----------------------------------------------------------------------------------------------------------------------


def test_a_log_of_zeroes_and_broken_text(world, run):
    code = "os.write(1, b'\\0' * 100000 + b'\\xff\\xfe\\n\\x1b[2J\\r\\n' * 1000)\nreturn 'done'"
    assert run(code, LogType="Tail")["Json"] == "done"
    assert world.server.http("GET", "/_sluice/logs?function=probe").status == 200


def test_a_function_that_plays_with_its_log_pipe(world, run):
    code = r"""
import fcntl
fcntl.fcntl(1, 1031, 4096)                              # as small as it gets
fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK)
reader = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)  # the other end: its own lines
tries(2000, lambda: os.write(1, b"x" * 4096))
tries(100, lambda: os.read(reader, 65536))
os.close(reader)
os.write(2, b"")
return "done"
"""
    assert run(code)["Json"] == "done"


def test_a_function_that_closes_its_log(world, run):
    assert run("os.close(1)\nos.close(2)\nreturn 'done'")["Json"] == "done"
    world.server.client("lambda").update_function_configuration(FunctionName="probe", Description="a new instance")
