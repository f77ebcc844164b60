# SPDX-License-Identifier: Apache-2.0
"""What a hostile destination of telemetry does to the server, which connects to it: it never reads, never answers, answers garbage, for
ever, by the gigabyte or with a redirection; it names other places than its own sandbox. It costs the function its own records at most.

The function is its own destination: listeners are threads of it, subscribed by internal extensions (EXTENSIONS, by name).
"""

import json
import socket

import pytest

from hostile_support import NEIGHBOUR, Pings, World
from support import wait_for

LIBRARY = r'''
import json, os, socket, threading, urllib.error, urllib.request
BASE = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]
def call(method, path, body=None, headers={}):
    request = urllib.request.Request(BASE + path, method=method, headers=headers, data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as answer: return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error: return error.code, error.read().decode(), error.headers
def register(name):
    status, text, headers = call("POST", "/2020-01-01/extension/register", {"events": ["INVOKE"]}, {"Lambda-Extension-Name": name})
    assert status == 200, text
    return {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
def subscribe(me, destination, types=("platform", "function")):
    return call("PUT", "/2022-07-01/telemetry", {"schemaVersion": "2022-12-13", "types": list(types), "buffering": {"timeoutMs": 25},
                                                 "destination": destination}, me)[:2]
def uri(port, path="/"):
    return {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}{path}"}
def attend(me):
    """Asks for events for ever, so that the extension holds up no invocation."""
    def run():
        while True: call("GET", "/2020-01-01/extension/event/next", None, me)
    threading.Thread(target=run, daemon=True).start()
def read_request(conn):
    """The whole request; its body. None at the end of the connection."""
    text = b""
    while b"\r\n\r\n" not in text:
        got = conn.recv(65536)
        if not got: return None
        text += got
    head, _, body = text.partition(b"\r\n\r\n")
    length = int(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")).split(b":")[1])
    while len(body) < length:
        got = conn.recv(65536)
        if not got: return None
        body += got
    return body
def listen(port, serve):
    """serve(connection), in a thread, for each connection."""
    server = socket.create_server(("127.0.0.1", port))
    def run():
        while True: threading.Thread(target=guarded, args=(serve, server.accept()[0]), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
def guarded(serve, conn):
    try:
        with conn: serve(conn)
    except OSError: pass
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
'''

# Each serves one connection after another; what it could pour into the server is counted, up to MOST.
FUNCTION = LIBRARY + r'''
MOST = 256 << 20
poured, over, seen = {}, {}, []
def closer(conn): pass
def mute(conn):
    read_request(conn)
    kept.append(conn.dup())
def pour(name, head, block):
    """Answers the first batch with the head, and blocks for as long as they are taken."""
    def serve(conn):
        read_request(conn)
        if name in poured:  # it has, before: now it is good
            conn.sendall(OK)
            return
        poured[name] = 0
        conn.settimeout(1)
        try:
            conn.sendall(head)
            while poured[name] < MOST: poured[name] += conn.send(block)
        except OSError: pass
        over[name].set()
    return serve
def redirect(conn):
    while True:
        body = read_request(conn)
        if body is None: break
        conn.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://sandbox.localdomain:8099/elsewhere\r\nContent-Length: 0\r\n\r\n")
def elsewhere(conn): seen.append("the redirection was followed")
def honest(conn):
    while True:
        body = read_request(conn)
        if body is None: break
        seen.extend(record["type"] for record in json.loads(body))
        conn.sendall(OK)
kept = []
POURS = {"interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
         "giant": (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", b"x" * 65536),
         "endless": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
         "behind": (OK, b"x" * 65536),
         "garbage": (b"", bytes(range(256)) * 256)}
KINDS = {"closer": closer, "mute": mute, "redirect": redirect, **{name: pour(name, *what) for name, what in POURS.items()}}
for name in POURS: over[name] = threading.Event()
listen(8099, elsewhere)
def talker(conn):
    """Over TCP: never stops talking, and never reads."""
    if "talker" in poured: return
    poured["talker"] = 0
    conn.settimeout(1)
    try:
        while poured["talker"] < MOST: poured["talker"] += conn.send(b"x" * 65536)
    except OSError: pass
    over["talker"].set()
over["talker"] = threading.Event()
listen(8098, talker)
me = register("talker")
assert subscribe(me, {"protocol": "TCP", "port": 8098})[0] == 200
attend(me)
for place, (name, serve) in enumerate({**KINDS, "honest": honest}.items()):
    listen(8100 + place, serve)
    me = register(name)
    assert subscribe(me, uri(8100 + place))[0] == 200
    attend(me)
def handler(event, context):
    for event in over.values(): event.wait()
    return {"poured": poured, "reports": seen.count("platform.report"), "redirected": "the redirection was followed" in seen}
'''


class Neighbourhood:
    """The neighbour on the shared server, in the shape that Pings asks for."""

    is_answer = staticmethod(World.is_answer)

    def __init__(self, server):
        self.server = server
        server.create_function("neighbour", {"index.py": NEIGHBOUR})


@pytest.fixture
def neighbours(server):
    return Neighbourhood(server)


def answer_of(server, name, payload=None):
    answer = server.invoke(name, payload or {})
    assert "FunctionError" not in answer, answer["Text"]
    return answer["Json"]


def test_destinations_that_say_too_much_or_nothing_cost_themselves_only(server, neighbours):
    server.create_function("hostile", {"index.py": FUNCTION}, Timeout=300, MemorySize=1769)
    with Pings(neighbours) as pings:
        first = answer_of(server, "hostile")
        pings.more(10)
        # Of the quarter of a gigabyte that each wanted to say, what sockets hold was taken, and a little more.
        assert set(first["poured"]) == {"interim", "giant", "endless", "behind", "garbage", "talker"}
        assert all(count < 64 << 20 for count in first["poured"].values()), first
        # The honest one among them is told what happens, all the same, when the instance is next awake.
        wait_for(lambda: answer_of(server, "hostile")["reports"] >= 2, "reports")
    assert not answer_of(server, "hostile")["redirected"]


ELSEWHERE = [
    "http://127.0.0.1:{port}/", "http://192.0.2.7:{port}/", "http://169.254.169.254:80/latest/meta-data", "http://localhost:{port}/",
    "http://[::1]:{port}/", "http://sandbox.localdomain.example.com:80/", "http://sandbox.localdomain@127.0.0.1:{port}/",
    "http://sandbox.localdomain:80@127.0.0.1:{port}/", "http://sandbox.localdomain", "http://sandbox.localdomain:0/",
    "http://sandbox.localdomain:65536/", "http://sandbox.localdomain:-1/", "https://sandbox.localdomain:{port}/", "file:///etc/passwd",
    "unix:///run/x", "http://sandbox.localdomain:{port}/a\r\nHost: other\r\n\r\nGET /", "http://sandbox.localdomain:{port}/" + "a" * 5000,
]  # fmt: skip

NAMES = LIBRARY + r'''
me = register("names")
refusals = {place: subscribe(me, {"protocol": "HTTP", "URI": place}) for place in json.loads(os.environ["ELSEWHERE"])}
refusals["UDP"] = subscribe(me, {"protocol": "UDP", "port": 53, "host": "127.0.0.1"})
# Of a destination over TCP only the port counts, and the port is the sandbox's.
port = int(os.environ["PORT"])
assert subscribe(me, {"protocol": "TCP", "port": port, "host": os.environ["ADDRESS"]})[0] == 200
came = threading.Event()
def serve(conn):
    if conn.recv(1): came.set()
attend(me)
# The server's own listeners in the sandbox: it hears itself, unsigned and without a runtime's part.
for name, place in (("itself", uri(9001, "/2018-06-01/runtime/invocation/none/response")), ("door", uri(4566)), ("raw", {"protocol": "TCP", "port": 9001})):
    other = register(name)
    assert subscribe(other, place)[0] == 200
    attend(other)
# Again and again, with more to catch up on than a batch holds: each asks for a socket.
many = register("many")
for _ in range(40): print("x" * 9000, flush=True)
for _ in range(150): assert subscribe(many, uri(8300))[0] == 200
attend(many)
def handler(event, context):
    if event.get("listen"):
        listen(port, serve)
        print("to be told")
        came.wait()
    return refusals
'''


def test_a_destination_is_in_its_own_sandbox_only(server, neighbours):
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        places = [place.replace("{port}", str(port)) for place in ELSEWHERE]
        variables = {"ELSEWHERE": json.dumps([place for place in places if len(place) < 1000]), "PORT": str(port), "ADDRESS": "127.0.0.1"}
        server.create_function("names", {"index.py": NAMES}, Timeout=300, MemorySize=1769, Environment={"Variables": variables})
        with Pings(neighbours) as pings:
            refusals = answer_of(server, "names")
            pings.more(3)
        accepted = [place for place, (status, text) in refusals.items() if status != 400 or "ValidationError" not in text]
        assert not accepted, {place: refusals[place] for place in accepted}
        answer_of(server, "names", {"listen": True})  # ends when the sandbox's own listener at that port was told
        with pytest.raises(BlockingIOError):
            listener.accept()
