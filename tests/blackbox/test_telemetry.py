# SPDX-License-Identifier: Apache-2.0
"""The Telemetry API and the Logs API: what extensions that subscribed are sent over HTTP and TCP, in AWS's records ("Lambda Telemetry
API Event schema reference", "Lambda Logs API", Lambda developer guide); subscribers that are slow, hostile or gone."""

import json
import re

import pytest

from support import wait_for
from test_external_extensions import FUNCTION, PYTHON, function, log_of, ok  # noqa: F401 (a fixture)

# Serves HTTP (or TCP) on a thread and prints each record it is sent.
HTTP = PYTHON + r'''
import http.server, threading
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for record in batch: print("RECORD", NAME, self.command, self.path, json.dumps(record), flush=True)
        self.send_response(200); self.end_headers()
    do_PUT = do_POST
    def log_message(self, *_): pass
def listen(port):
    threading.Thread(target=http.server.HTTPServer(("sandbox.localdomain", port), Sink).serve_forever, daemon=True).start()
def subscribe(me, body, path="/2022-07-01/telemetry"):
    body.setdefault("buffering", {"timeoutMs": 25})
    say("SUBSCRIBED", call("PUT", path, body, me)[:2])
def go_on(me):
    while True:
        if next_event(me)["eventType"] == "SHUTDOWN":
            time.sleep(0.3)
            break
'''
TO_HTTP = """
listen(8080)
me = register()
subscribe(me, {"schemaVersion": "2022-12-13", "types": %r, "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/in"}})
go_on(me)
"""


def settle(run, condition, what):
    """What comes after an invocation reaches an extension when the instance is next awake: at the latest with the next invocation."""

    def asked():
        return condition() or ("FunctionError" in run({}) and None) or condition()

    wait_for(asked, what, interval=0.3)


def records(server, run, extension=r"\S+", kind=None):
    found = [json.loads(text) for text in re.findall(rf"RECORD {extension} \S+ \S+ (.*)", log_of(server, run))]
    return [record for record in found if kind in (None, record["type"])]


def first_invocation(found):
    kinds = [record["type"] for record in found]
    return found[: kinds.index("platform.report") + 1]


def test_the_records_of_an_init_and_an_invocation(server, function):
    run = function({"sink": HTTP + TO_HTTP % (["platform", "function"],)}, MemorySize=256)
    assert ok(run({"run": "print('from the function')", "answer": "four"})) == "four"
    settle(run, lambda: records(server, run, kind="platform.report"), "the report")
    found = first_invocation(records(server, run))
    kinds = [record["type"] for record in found]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"]) for record in found)
    order = ["platform.initStart", "platform.telemetrySubscription", "platform.initRuntimeDone", "platform.extension", "platform.initReport",
             "platform.start", "function", "platform.runtimeDone", "platform.report"]
    assert [kind for kind in kinds if kind in order] == order
    record = {record["type"]: record["record"] for record in found}
    start = record["platform.initStart"]
    assert start["initializationType"] == "on-demand" and start["phase"] == "init" and start["runtimeVersion"] == "python3.11"
    assert start["functionName"] == run.name and start["functionVersion"] == "$LATEST" and start["instanceMaxMemory"] == 256
    assert record["platform.telemetrySubscription"] == {"name": "sink", "state": "Subscribed", "types": ["platform", "function"]}
    assert record["platform.initRuntimeDone"] == {"initializationType": "on-demand", "phase": "init", "status": "success"}
    assert record["platform.extension"] == {"name": "sink", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert record["platform.initReport"]["status"] == "success" and record["platform.initReport"]["metrics"]["durationMs"] > 0
    assert record["platform.start"]["version"] == "$LATEST"
    request = record["platform.start"]["requestId"]
    assert record["function"] == "from the function"
    done = record["platform.runtimeDone"]
    assert done["requestId"] == request and done["status"] == "success" and done["metrics"]["producedBytes"] == 6
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert all(set(span) == {"name", "start", "durationMs"} for span in done["spans"])
    report = record["platform.report"]
    assert report["requestId"] == request and report["status"] == "success"
    assert set(report["metrics"]) == {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}
    assert report["metrics"]["durationMs"] >= done["metrics"]["durationMs"] and report["spans"][0]["name"] == "extensionOverhead"
    assert "TELEMETRY\tName: sink\tState: Subscribed\tTypes: [Platform, Function]" in log_of(server, run)


def test_lines_of_extensions_and_of_the_init_are_sent(server, function):
    talker = PYTHON + "print('from an extension')\n" + "me = register()\nwhile True: next_event(me)"
    run = function({"a-talker": talker.replace("print('from an extension')", "print('from an extension', flush=True)"),
                    "sink": HTTP + TO_HTTP % (["function"],)},
                   code="print('while it starts', flush=True)\n" + FUNCTION)
    ok(run({}))
    settle(run, lambda: records(server, run, kind="function"), "the line")
    assert records(server, run, kind="function")[0]["record"] == "while it starts"
    assert not records(server, run, kind="extension")


def test_the_types_that_were_asked_for_only(server, function):
    # Who prints what it is sent of itself would never end: this one counts.
    counter = HTTP.replace('print("RECORD", NAME, self.command, self.path, json.dumps(record), flush=True)',
                           'seen.append(record)') + "seen = []\nprint('hello of mine', flush=True)\n"
    loop = TO_HTTP.replace("go_on(me)", """
while True:
    event = next_event(me)
    if event["eventType"] == "INVOKE":
        while not any(record["type"] == "extension" for record in seen): time.sleep(0.01)
        say("TYPES", sorted({record["type"] for record in seen}))
""")
    run = function({"counter": counter + loop % (["extension"],)})
    ok(run({"run": "print('not for it')"}))
    wait_for(lambda: "HEARD counter TYPES" in log_of(server, run), "its types")
    assert 'HEARD counter TYPES ["extension"]' in log_of(server, run)


def test_json_lines_are_sent_as_objects(server, function):
    run = function({"sink": HTTP + TO_HTTP % (["function"],)}, LoggingConfig={"LogFormat": "JSON"})
    ok(run({"run": "print('{\"level\": \"INFO\", \"message\": {\"a\": [1]}}'); print('plain')"}))
    settle(run, lambda: len(records(server, run, kind="function")) >= 2, "two lines")
    found = [record["record"] for record in records(server, run, kind="function")]
    assert {"level": "INFO", "message": {"a": [1]}} in found and "plain" in found


TCP = PYTHON + r'''
import socket, threading
server = socket.create_server(("127.0.0.1", 8090))
def serve():
    stream = server.accept()[0].makefile()
    for line in stream: print("RECORD", NAME, "TCP", "-", line.strip(), flush=True)
threading.Thread(target=serve, daemon=True).start()
me = register()
say("SUBSCRIBED", call("PUT", "/2022-07-01/telemetry", {"schemaVersion": "2025-01-29", "types": ["platform", "function"],
    "buffering": {"timeoutMs": 25}, "destination": {"protocol": "TCP", "port": 8090}}, me)[:2])
while True:
    if next_event(me)["eventType"] == "SHUTDOWN": break
'''


def test_over_tcp(server, function):
    run = function({"tcp": TCP})
    for i in range(3):
        assert ok(run({"run": f"print('line {i}')", "answer": i})) == i
    settle(run, lambda: len(records(server, run, kind="platform.report")) >= 3, "three reports")
    assert [record["record"] for record in records(server, run, kind="function")] == ["line 0", "line 1", "line 2"]


def test_the_logs_api(server, function):
    subscription = """
listen(8080)
me = register()
subscribe(me, {"schemaVersion": "2021-03-18", "types": ["platform", "function"], "destination": {"protocol": "HTTP", "URI": "http://sandbox:8080",
    "method": "PUT", "encoding": "JSON"}}, "/2020-08-15/logs")
go_on(me)
"""
    run = function({"old": HTTP + subscription})
    ok(run({"run": "print('hi')"}))
    settle(run, lambda: records(server, run, kind="platform.report"), "the report")
    kinds = [record["type"] for record in first_invocation(records(server, run))]
    assert [kind for kind in kinds if kind != "platform.extension"] == [
        "platform.logsSubscription", "platform.start", "function", "platform.runtimeDone", "platform.end", "platform.report"]
    assert "RECORD old PUT / " in log_of(server, run)
    assert "LOGS\tName: old\tState: Subscribed\tTypes: [Platform, Function]" in log_of(server, run)


@pytest.mark.parametrize("how, status, kind", [
    ("time.sleep(100)", "timeout", None), ("os._exit(3)", "error", "Runtime.ExitError"),
])
def test_failures_are_told_before_the_end(server, function, how, status, kind):
    run = function({"sink": HTTP + TO_HTTP % (["platform"],)}, Timeout=2)
    assert "FunctionError" in run({"run": how})
    wait_for(lambda: records(server, run, kind="platform.report"), "the report")
    done, report = records(server, run, kind="platform.runtimeDone")[0]["record"], records(server, run, kind="platform.report")[0]["record"]
    assert done["status"] == report["status"] == status
    assert done.get("errorType") == report.get("errorType") == kind


def test_a_functions_own_error_is_a_success_to_the_platform(server, function):
    # https://github.com/aws-samples/aws-lambda-extensions/issues/85
    run = function({"sink": HTTP + TO_HTTP % (["platform"],)})
    assert run({"run": "raise ValueError('mine')"})["Json"]["errorType"] == "ValueError"
    settle(run, lambda: records(server, run, kind="platform.report"), "the report")
    assert records(server, run, kind="platform.runtimeDone")[0]["record"]["status"] == "success"


def test_a_subscriber_that_never_answers_costs_itself_only(server, function):
    deaf = PYTHON + """
import socket
server = socket.create_server(("127.0.0.1", 8070))
me = register()
call("PUT", "/2022-07-01/telemetry", {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8070"}}, me)
while True: next_event(me)
"""
    counter = HTTP.replace('print("RECORD", NAME, self.command, self.path, json.dumps(record), flush=True)', """
            reports.append(record["type"] == "platform.report")
            if reports.count(True) == 5 and reports[-1]: say("FIVE", 5)""") + "reports = []\n"
    run = function({"deaf": deaf, "counter": counter + TO_HTTP % (["platform"],)})
    for i in range(5):
        assert ok(run({"run": "print('x' * 200000)\nprint('y' * 200000)", "answer": i})) == i
    settle(run, lambda: "HEARD counter FIVE" in log_of(server, run), "five reports")
