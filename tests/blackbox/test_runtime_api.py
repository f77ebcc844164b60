# SPDX-License-Identifier: Apache-2.0
"""The Runtime API from inside a function, driven with raw sockets: every endpoint with right and wrong calls, wrong states, sizes and
forms of bodies. The answers are those of AWS's emulator. The function is a runtime of its own (PROBE); each event is a Python
expression that it runs between taking the event and answering it, so a test reads like a transcript."""

import base64
import itertools
import json
import re

import pytest

from support import wait_for

# A runtime in raw HTTP. `run` is a function body that sees: event id, `call(method, path, body, headers)` -> [status, text], `send` and
# `receive` on connections of its own, `answer(value)`. Without an answer by the body the value it returns is the answer.
PROBE = r'''#!/usr/bin/python3
import json, os, socket, sys, time
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime/"

def connect():
    return socket.create_connection((HOST, int(PORT)))

class Conn:
    def __init__(self):
        self.s, self.buffer = connect(), b""
    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())
        return self
    def read(self, n):
        while len(self.buffer) < n:
            more = self.s.recv(65536)
            if not more: break
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out
    def answer(self):
        """One response: [status, text, headers]; [0, "", {}] at the end of the connection."""
        while b"\r\n\r\n" not in self.buffer:
            more = self.s.recv(65536)
            if not more: return [0, "", {}]
            self.buffer += more
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        if lines[0].split()[1] == "100": return [100, "", headers]
        return [int(lines[0].split()[1]), self.read(int(headers.get("content-length", 0))).decode("utf-8", "replace"), headers]
    def request(self, method, path, body=b"", headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
        if method != "GET": lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines) + "\r\n\r\n").send(body) if body else self.send("\r\n".join(lines) + "\r\n\r\n")

def call(method, path, body=b"", headers=()):
    return Conn().request(method, path if path.startswith("/") else BASE + path, body, headers).answer()[:2]

def note(value):
    print("NOTE", json.dumps(value), flush=True)

INIT = %r
exec(INIT)
main = Conn()
while True:
    status, event, headers = main.request("GET", BASE + "invocation/next").answer()
    ID = headers["lambda-runtime-aws-request-id"]
    answered = []
    def answer(value):
        answered.append(True)
        return call("POST", f"invocation/{ID}/response", json.dumps(value))
    scope = dict(globals(), ID=ID, headers=headers)
    body = json.loads(event)
    exec("def run():\n" + "\n".join("    " + line for line in body["run"].split("\n")), scope)
    value = scope["run"]()
    if not answered and value is not None: answer(value)
'''


numbers = itertools.count()


@pytest.fixture
def probe(server):
    """probe(code): runs the code inside of the function's invocation; its return value is the answer."""

    def make(init="", **more):
        name = f"probe-{next(numbers)}"  # logs outlive functions
        server.create_function(name, {"bootstrap": PROBE % init}, runtime="provided.al2023", handler="x", **more)

        def run(code, **invoke):
            return server.invoke(name, {"run": code}, **invoke)

        run.name = name
        return run

    return make


def value(answer):
    assert "FunctionError" not in answer, answer["Text"]
    return answer["Json"]


def noted(server, run, count):
    """What the function noted after its answer: the next invocation may go to another instance, so it is told by the log."""

    def found():
        return [json.loads(line[5:]) for line in server.cli("logs", run.name).stdout.splitlines() if line.startswith("NOTE ")]

    wait_for(lambda: len(found()) >= count, f"{count} notes of {run.name}")
    return found()


def refusal(kind, message):
    return json.dumps({"errorMessage": message, "errorType": kind}, separators=(",", ":")) + "\n"


def wrong_state(source, target):
    return refusal("InvalidStateTransition",
                   f"State transition from {source} to {target} failed for runtime. Error: State transition is not allowed")


INVALID_ID = [400, refusal("InvalidRequestID", "Invalid request ID")]
OK = [202, '{"status":"OK"}\n']


def test_headers_of_an_event(server, probe):
    run = probe()
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    headers = value(run("return headers", ClientContext=context))
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["lambda-runtime-aws-request-id"])
    assert headers["content-type"] == "application/json"
    assert headers["lambda-runtime-client-context"] == '{"custom":{"a":"b"}}'
    assert headers["lambda-runtime-invoked-function-arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{run.name}"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}.*", headers["lambda-runtime-trace-id"])
    assert "lambda-runtime-aws-tenant-id" not in headers
    left = value(run("import time\nreturn int(headers['lambda-runtime-deadline-ms']) - time.time() * 1000"))
    assert 0 < left <= 3000


@pytest.mark.parametrize("verb", ["response", "error"])
def test_an_id_that_is_not_the_events(probe, verb):
    run = probe()
    assert value(run(f"return call('POST', 'invocation/not-an-id/{verb}', 'x')")) == INVALID_ID
    assert value(run(f"return call('POST', 'invocation/00000000-0000-0000-0000-000000000000/{verb}', 'x')")) == INVALID_ID
    assert value(run(f"return call('POST', 'invocation//{verb}', 'x')")) == INVALID_ID


def test_an_answer_to_an_earlier_event(probe):
    run = probe(init="first = []")
    assert value(run("first.append(ID)\nreturn 1")) == 1
    assert value(run("return call('POST', f'invocation/{first[0]}/response', '\"late\"')")) == INVALID_ID


def test_a_second_answer_to_the_same_event(server, probe):
    run = probe()
    assert value(run("answer('first')\nnote(call('POST', f'invocation/{ID}/response', '2'))\n"
                     "note(call('POST', f'invocation/{ID}/error', '{}'))")) == "first"
    assert noted(server, run, 2) == [INVALID_ID, INVALID_ID]


def test_an_init_error_after_the_init(server, probe):
    run = probe()
    assert value(run("return call('POST', 'init/error', '{}')")) == [403, wrong_state("Running", "InitError")]
    run("answer(1)\nnote(call('POST', 'init/error', '{}'))")
    assert noted(server, run, 1) == [[403, wrong_state("ResponseSent", "InitError")]]


def test_asking_again_without_an_answer_gives_the_same_event(probe):
    run = probe()
    again = value(run("c = Conn().request('GET', BASE + 'invocation/next').answer()\nreturn [c[0], json.loads(c[1]), c[2][\n"
                      "    'lambda-runtime-aws-request-id'] == ID]"))
    assert again[0] == 200 and "run" in again[1] and again[2] is True


def test_of_two_polls_the_newer_gets_the_event(server, probe):
    run = probe()
    # Nobody may invoke between the two polls.
    assert value(run("answer('ok')\nold = Conn().request('GET', BASE + 'invocation/next')\nglobals()['new'] = Conn().request('GET', BASE + 'invocation/next')\n"
                     "note(old.answer()[:2])")) == "ok"
    assert noted(server, run, 1) == [[403, wrong_state("Ready", "Ready")]]


@pytest.mark.parametrize("method, path", [
    ("GET", "/"), ("GET", "/2018-06-01/runtime/invocation/"), ("POST", "/2018-06-01/runtime/invocation/x/other"),
    ("GET", "/2018-06-01/runtime/restore/next"), ("POST", "/2018-06-01/runtime/restore/error"),
    ("GET", "/2019-01-01/runtime/invocation/next"), ("POST", "/2015-03-31/functions/probe/invocations"),
])
def test_unknown_paths_and_restore_without_snapstart(probe, method, path):
    assert value(probe()(f"return call({method!r}, {path!r}, 'x' if {method == 'POST'} else '')")) == [404, "404 page not found\n"]


@pytest.mark.parametrize("method, path", [
    ("POST", "invocation/next"), ("GET", "init/error"), ("PUT", "init/error"), ("DELETE", "invocation/next"), ("POST", "/2018-06-01/ping"),
])
def test_wrong_methods(probe, method, path):
    assert value(probe()(f"return call({method!r}, {path!r})")) == [405, ""]


def test_ping(probe):
    assert value(probe()("return call('GET', '/2018-06-01/ping')")) == [200, "pong"]


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_chunked_with_trailers_and_expect(probe):
    run = probe()
    head = "POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n"
    assert value(run(f"Conn().send(f'{head}Trailer: X-Any\\r\\n\\r\\n3\\r\\n\"ab\\r\\n3;x=y\\r\\ncd\"\\r\\n0\\r\\nX-Any: 1\\r\\n\\r\\n').answer()")) == "abcd"
    assert value(run(f"c = Conn().send(f'{head}Expect: 100-continue\\r\\n\\r\\n')\nassert c.answer()[0] == 100\n"
                     "c.send('4\\r\\n\"ok\"\\r\\n0\\r\\n\\r\\n').answer()")) == "ok"


def test_byte_by_byte(probe):
    assert value(probe()("c = Conn()\nfor b in f'POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n42':\n"
                         "    c.send(b)\nassert c.answer()[0] == 202")) == 42


def test_answer_and_next_in_one_write(probe):
    run = probe()
    # The acknowledgement and the next event come in order on the same connection.
    assert value(run("two = []\nmain.send(f'POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1\\r\\n\\r\\n1'\n"
                     "    f'GET {BASE}invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\ntwo.append(main.answer()[:2])\n"
                     "s, e, h = main.answer()\ntwo.append(s)\n"
                     "call('POST', 'invocation/' + h['lambda-runtime-aws-request-id'] + '/response', json.dumps(two))\n")) == 1
    assert value(run("unused")) == [OK, 200]


def test_an_announced_answer_that_is_too_large(server, probe):
    run = probe()
    error = run("note(call('POST', f'invocation/{ID}/response', b'x' * 6291557))")["Json"]
    assert error == {"errorType": "Function.ResponseSizeTooLarge",
                     "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}
    too_large = refusal("RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
    assert noted(server, run, 1) == [[413, too_large]]


def test_a_chunked_answer_that_is_too_large(server, probe):
    run = probe()
    error = run("c = Conn().send(f'POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n')\n"
                "try:\n    for i in range(7): c.send(b'100000\\r\\n' + b'x' * 0x100000 + b'\\r\\n')\nexcept OSError: pass\n"
                "note(c.answer()[0])")["Json"]
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert noted(server, run, 1) == [413]


def test_an_answer_cut_short(probe):
    run = probe()
    # The connection ends half-way, and the runtime goes on as if it had answered.
    error = run("c = Conn().send(f'POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\n\\r\\nhalf')\nc.s.close()")
    assert error["FunctionError"] == "Unhandled" and error["Json"]["errorType"] == "Runtime.TruncatedResponse"
    assert value(run("return 'sound'")) == "sound"


def test_an_answer_cut_short_may_be_repeated(probe):
    assert value(probe()("c = Conn().send(f'POST {BASE}invocation/{ID}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\n\\r\\nhalf')\n"
                         "c.s.close()\nreturn 'whole'")) == "whole"


def test_bad_response_mode(server, probe):
    run = probe()
    error = run("note(call('POST', f'invocation/{ID}/response', '1', ['Lambda-Runtime-Function-Response-Mode: sideways']))")
    assert error["FunctionError"] == "Unhandled" and error["Text"] == b""
    assert noted(server, run, 1) == [[400, refusal("InvalidFunctionResponseMode", "Invalid function response mode")]]


@pytest.mark.parametrize("bytes_", [
    "GET /x HTTP/1.1\\r\\n\\r\\n", "nonsense\\r\\n\\r\\n", "POST /x HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n",
    "POST /x HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n",
])
def test_what_is_no_http_is_refused_and_the_instance_serves_on(probe, bytes_):
    run = probe()
    assert value(run(f"return Conn().send('{bytes_}').answer()[0]")) == 400
    assert value(run("return 1")) == 1


def test_more_connections_than_allowed_are_closed_and_the_instance_serves_on(probe):
    run = probe()
    states = value(run("many = [Conn() for i in range(80)]\nout = []\nfor c in many:\n    try: out.append(c.request('GET', '/2018-06-01/ping').answer()[0])\n"
                       "    except OSError: out.append(0)\nreturn out"))
    assert set(states) == {200, 0} and states[:10] == [200] * 10
    assert value(run("return len(many) if 'many' in dir() else 1")) == 1


# --- errors -----------------------------------------------------------------------------------------------------------


def test_an_error_is_passed_through(probe):
    body = '{"errorMessage":"m","errorType":"My.Error","stackTrace":[],"more":1}'
    answer = probe()(f"assert call('POST', f'invocation/{{ID}}/error', {body!r}, ['Lambda-Runtime-Function-Error-Type: Function.Mine']) == {OK!r}")
    assert answer["FunctionError"] == "Unhandled" and answer["Text"].decode() == body


def test_an_error_with_its_cause_loses_the_cause(probe):
    run = probe()
    kind = "['Content-Type: application/vnd.aws.lambda.error.cause+json']"
    body = '{"errorMessage":"m","errorType":"E","stackTrace":["a"],"errorCause":{"x":1}}'
    assert run(f"call('POST', f'invocation/{{ID}}/error', {body!r}, {kind})")["Json"] == {"errorMessage": "m", "errorType": "E", "stackTrace": ["a"]}
    assert run(f"call('POST', f'invocation/{{ID}}/error', 'no json', {kind})")["Json"] == "Invalid error body"


# --- init -------------------------------------------------------------------------------------------------------------


def test_a_failed_init_is_run_again_inside_of_the_invocation(server, probe):
    # /tmp does not outlive the sandbox, so every init is a first one: both fail, and the second is the answer.
    run = probe(init="print('init runs', flush=True)\nsys.exit(7)")
    answer = run("return 1", LogType="Tail")
    assert answer["Json"]["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: exit status 7", answer["Json"]["errorMessage"])
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert re.search(r"^INIT_REPORT Init Duration: [\d.]+ ms\tPhase: invoke\tStatus: error\tError Type: Runtime\.ExitError$", tail, re.M)
    assert tail.count("init runs") == 1 and tail.count("START RequestId") == 1
    assert re.search(r"^RequestId: [0-9a-f-]{36} Error: Runtime exited with error: exit status 7\nRuntime\.ExitError$", tail, re.M)


def test_an_init_error_is_the_answer(probe):
    body = '{"errorMessage":"cannot","errorType":"My.InitError","stackTrace":[]}'
    run = probe(init=f"call('POST', 'init/error', {body!r}, ['Lambda-Runtime-Function-Error-Type: Runtime.Mine'])\ntime.sleep(100)")
    answer = run("return 1", LogType="Tail")
    assert answer["FunctionError"] == "Unhandled" and answer["Text"].decode() == body
    assert "Phase: invoke\tStatus: error\tError Type: Runtime.Mine" in base64.b64decode(answer["LogResult"]).decode()


def test_next_after_an_init_error(probe):
    run = probe(init="call('POST', 'init/error', '{}')\n"
                     "a = Conn().request('GET', BASE + 'invocation/next').answer()\nprint(json.dumps(a[:2]), flush=True)\ntime.sleep(100)")
    tail = base64.b64decode(run("return 1", LogType="Tail")["LogResult"]).decode()
    # The instance is stopped at once, so the call may not come to its answer; if it does, it is a refusal.
    assert "200" not in "".join(line for line in tail.splitlines() if line.startswith("["))


def test_an_answer_before_the_first_event(probe):
    run = probe(init="early = call('POST', 'invocation/x/response', '1')")
    assert value(run("return early")) == INVALID_ID


def test_an_init_that_takes_longer_than_its_limit(start_server):
    # Ten seconds for the first try; the second counts as the invocation's time.
    server = start_server()
    server.create_function("slow", {"bootstrap": PROBE % "time.sleep(1000)"}, runtime="provided.al2023", handler="x", Timeout=1)
    answer = server.invoke("slow", {}, LogType="Tail")
    assert answer["Json"]["errorType"] == "Sandbox.Timedout"
    assert answer["Json"]["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Phase: invoke\tStatus: timeout" in base64.b64decode(answer["LogResult"]).decode()


def test_entrypoints_that_cannot_be_executed(server):
    def failure(name, files):
        server.create_function(name, files, runtime="provided.al2023", handler="x")
        error = server.invoke(name, {})["Json"]
        assert error["errorType"] == "Runtime.InvalidEntrypoint", error
        return re.sub(r"^RequestId: [0-9a-f-]{36} Error: ", "", error["errorMessage"])

    assert failure("none", {"x": ""}) == "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    assert failure("denied", {"bootstrap": ("#!/bin/sh\n", 0o644)}) == "fork/exec /var/task/bootstrap: permission denied"
    assert failure("format", {"bootstrap": "not a program"}) == "fork/exec /var/task/bootstrap: exec format error"
    assert failure("interpreter", {"bootstrap": "#!/no/such\n"}) == "fork/exec /var/task/bootstrap: no such file or directory"


def test_an_instance_that_leaves_between_two_events_is_replaced(server, probe):
    run = probe()
    pid = "open('/proc/sys/kernel/random/uuid').read()"
    for _ in range(5):
        assert value(run("answer('bye')\nos._exit(0)")) == "bye"
    assert value(run(f"return len({pid})")) == 37


def test_the_deadline_is_the_servers(server, probe):
    run = probe(Timeout=1)
    answer = run("answered.append(1)\nwhile True: time.sleep(1)" if False else "while True: time.sleep(1)")
    assert answer["Json"]["errorType"] == "Sandbox.Timedout"
    wait_for(lambda: value(run("return 'new'")) == "new", "a new instance")


def test_a_framed_message_stays_one_event_of_the_log(server, probe):
    # What AWS's interface clients do with the descriptor that they are told; text around it is text.
    run = probe()
    frame = "import struct\nmessage = b'first\\nsecond\\nthird'\n" \
            "frame = struct.pack('>IIQ', 0xa55a0003, len(message), 1) + message\n" \
            "os.write(int(os.environ['_LAMBDA_TELEMETRY_LOG_FD']), b'before\\n' + frame + b'after\\n')\nreturn 1"
    assert value(run(frame)) == 1
    wait_for(lambda: "after" in server.cli("logs", run.name).stdout, "the log")
    events = server.client("logs").filter_log_events

    def messages():
        return [event["message"] for event in events(logGroupName=f"/aws/lambda/{run.name}")["events"]]

    wait_for(lambda: "after" in [message.strip() for message in messages()], "the lines")
    found = [message.rstrip("\n") for message in messages()]
    assert found[found.index("before") + 1 : found.index("after")] == ["first\rsecond\rthird"]
