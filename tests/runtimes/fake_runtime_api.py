# SPDX-License-Identifier: Apache-2.0
"""A small Lambda Runtime API (2018-06-01) for testing runtime bootstraps without the C server.

Purpose: play the server side of the wire, honestly and a little maliciously. It accepts pipelined requests, holds the
`202` of a response back until the next event is there (as Sluice does for its own bootstraps), can send events chunked
or a few bytes at a time, and records every request a runtime makes, with trailers, for the tests to look at.

Data flow: a test calls `invoke()`, which queues an event and waits for the runtime's answer; one thread per connection
reads requests in order and answers them in order. An invocation ends with `response`, `error`, or the runtime's end of
connection (`crash`). Nothing here sleeps; every wait has a limit and fails loudly.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
RUNTIMES = REPO / "runtimes"
WAIT = 30.0
MAX_PAYLOAD = 6 * 1024 * 1024 + 100


@dataclass
class Request:
    """One request as the runtime sent it. `pipelined` says that bytes of a following request came along with it."""

    method: str
    path: str
    headers: dict
    body: bytes
    trailers: dict = field(default_factory=dict)
    pipelined: bool = False
    chunks: list = field(default_factory=list)


@dataclass
class Outcome:
    """How an invocation ended: kind is response, error or crash."""

    kind: str
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    trailers: dict = field(default_factory=dict)
    pipelined: bool = False
    chunks: list = field(default_factory=list)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def trailer_error(self):
        return json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))


class Invocation:
    def __init__(self, request_id, event, headers):
        self.request_id, self.event, self.headers = request_id, event, headers
        self.outcome: queue.Queue = queue.Queue()

    def wait(self, timeout=WAIT) -> Outcome:
        return self.outcome.get(timeout=timeout)


class Reader:
    """Reads HTTP/1.1 requests from a socket, keeping what was read too far for the next one."""

    def __init__(self, sock):
        self.sock, self.buf = sock, bytearray()

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buf += data

    def line(self) -> bytes:
        while (end := self.buf.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self.buf[:end])
        del self.buf[: end + 2]
        return line

    def exactly(self, n) -> bytes:
        while len(self.buf) < n:
            self._more()
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def fields(self) -> dict:
        out = {}
        while line := self.line():
            name, _, value = line.decode("latin-1").partition(":")
            out[name.strip().lower()] = value.strip()
        return out

    def request(self) -> Request:
        method, path, version = self.line().decode("latin-1").split(" ")
        assert version == "HTTP/1.1", version
        headers = self.fields()
        assert "host" in headers, "HTTP/1.1 needs a Host header"
        request = Request(method, path, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            assert "content-length" not in headers
            while size := int(self.line().split(b";")[0], 16):
                request.chunks.append(self.exactly(size))
                assert self.line() == b""
            request.trailers = self.fields()
            request.body = b"".join(request.chunks)
        elif "content-length" in headers:
            request.body = self.exactly(int(headers["content-length"]))
        request.pipelined = bool(self.buf)
        return request


class FakeRuntimeApi:
    """hold_accept: the 202 goes out together with the next event. chunked: events are sent with chunked coding.
    drip: send answers in pieces of so many bytes. close_after_response: hang up after each post. one_connection: the
    end of a connection during an invocation is the runtime's crash; False for clients that connect for each call."""

    def __init__(self, hold_accept=True, chunked=False, drip=0, close_after_response=False, one_connection=True):
        self.hold_accept, self.chunked, self.drip = hold_accept, chunked, drip
        self.close_after_response, self.one_connection = close_after_response, one_connection
        self.requests: list[Request] = []
        self.init_errors: queue.Queue = queue.Queue()
        self.idle = threading.Event()
        self.events: queue.Queue = queue.Queue()
        self.current: Invocation | None = None
        self._ids = itertools.count(1)
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._stopping = True
        self._listener.close()
        self.events.put(None)

    def start(self, event, headers=None, timeout_ms=30000) -> Invocation:
        """Queues an event; its bytes are sent as they are, anything else as JSON."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        request_id = "8476a536-e9f4-11e8-9739-%012x" % next(self._ids)
        base = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + timeout_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
            "Content-Type": "application/json",
        }
        base.update(headers or {})
        invocation = Invocation(request_id, body, {k: v for k, v in base.items() if v is not None})
        self.events.put(invocation)
        return invocation

    def invoke(self, event, headers=None, timeout_ms=30000, wait=WAIT) -> Outcome:
        return self.start(event, headers, timeout_ms).wait(wait)

    def init_error(self, wait=WAIT) -> Request:
        return self.init_errors.get(timeout=wait)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _send(self, sock, data: bytes):
        if not self.drip:
            return sock.sendall(data)
        for at in range(0, len(data), self.drip):
            sock.sendall(data[at : at + self.drip])

    @staticmethod
    def _answer(status, body=b'{"status":"OK"}\n', headers=()):
        reason = {200: "OK", 202: "Accepted", 400: "Bad Request", 413: "Request Entity Too Large"}[status]
        lines = ["HTTP/1.1 %d %s" % (status, reason), "Content-Type: application/json"]
        lines += ["%s: %s" % h for h in headers] + ["Content-Length: %d" % len(body), "", ""]
        return "\r\n".join(lines).encode() + body

    def _event(self, invocation) -> bytes:
        head = "HTTP/1.1 200 OK\r\n" + "".join("%s: %s\r\n" % kv for kv in invocation.headers.items())
        body = invocation.event
        if not self.chunked:
            return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
        parts = [body[i : i + 4093] for i in range(0, len(body), 4093)]
        coded = b"".join(b"%x;note=x\r\n%s\r\n" % (len(p), p) for p in parts)
        return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\nX-Trailer: y\r\n\r\n"

    def _serve(self, sock):
        reader, held = Reader(sock), b""
        try:
            while True:
                request = reader.request()
                self.requests.append(request)
                if request.path.endswith("/invocation/next"):
                    held = self._next(sock, held)
                    continue
                answer = self._settle(request)
                if self.close_after_response:
                    self._send(sock, answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    return
                closing = request.headers.get("connection", "").lower() == "close"
                if self.hold_accept and not closing:
                    held += answer
                else:
                    self._send(sock, answer)
        except (EOFError, OSError):
            if self.one_connection and self.current is not None and not self._stopping:
                current, self.current = self.current, None
                current.outcome.put(Outcome("crash"))
        finally:
            sock.close()

    def _next(self, sock, held) -> bytes:
        self.idle.set()
        invocation = self.events.get()
        self.idle.clear()
        if invocation is None:
            raise EOFError
        self.current = invocation
        self._send(sock, held + self._event(invocation))
        return b""

    def _settle(self, request) -> bytes:
        if request.path == "/2018-06-01/runtime/init/error":
            self.init_errors.put(request)
            return self._answer(202)
        parts = request.path.split("/")
        kind, request_id = parts[-1], parts[-2]
        if self.current is None or request_id != self.current.request_id:
            return self._answer(400, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')
        current, self.current = self.current, None
        current.outcome.put(
            Outcome(kind, request.body, request.headers, request.trailers, request.pipelined, request.chunks)
        )
        if len(request.body) > MAX_PAYLOAD and "chunked" not in request.headers.get("transfer-encoding", ""):
            return self._answer(413, b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
                                b'"errorType":"RequestEntityTooLarge"}')
        return self._answer(202)


class Runtime:
    """A runtime process under test, with its output collected. Ends with the `with` block."""

    def __init__(self, argv, api, task_root, handler, env=None, cwd=None):
        environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": handler,
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "LC_CTYPE": "C.UTF-8",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef",
        }
        environ.update(env or {})
        self.process = subprocess.Popen(
            [str(a) for a in argv], env=environ, cwd=str(cwd or task_root),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        self._lines: dict = {"stdout": [], "stderr": []}
        self._arrived = threading.Condition()
        self._readers = [
            threading.Thread(target=self._collect, args=(name, getattr(self.process, name)), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def _collect(self, name, pipe):
        for line in pipe:
            with self._arrived:
                self._lines[name].append(line.decode("utf-8", "replace"))
                self._arrived.notify_all()

    def stdout_line(self, part, wait=WAIT) -> str:
        """The first line of standard output that holds `part`, waiting for it."""
        return self._line("stdout", part, wait)

    def stderr_line(self, part, wait=WAIT) -> str:
        return self._line("stderr", part, wait)

    def _line(self, name, part, wait):
        found = []

        def look():
            found[:] = [line for line in self._lines[name] if part in line]
            return bool(found)

        with self._arrived:
            if not self._arrived.wait_for(look, wait):
                raise AssertionError("no line with %r in %s: %r" % (part, name, self._lines))
        return found[0]

    @property
    def stdout(self) -> str:
        return "".join(self._lines["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._lines["stderr"])

    def exit_code(self, wait=WAIT) -> int:
        code = self.process.wait(wait)
        for reader in self._readers:
            reader.join(wait)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        # With all it started: a shell's curl would keep the pipes open, and their readers waiting.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT)
        for reader in self._readers:
            reader.join(WAIT)
        self.process.stdout.close()
        self.process.stderr.close()


def write_files(root, files):
    """Writes {name: text} below the task root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
