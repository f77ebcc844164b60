# SPDX-License-Identifier: Apache-2.0
"""SnapStart: versions whose environments are restored from a snapshot taken after their init ("Improving startup performance
with Lambda SnapStart", Lambda developer guide). Hooks by AWS's module snapshot_restore_py."""

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wait_for
from test_lambda_functions import refusal

SNAP = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
CODE = """
import hashlib, json, os, random, secrets, ssl, tempfile, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

steps = ["init"]
drawn_at_init = random.random()
open("/tmp/of-the-init", "w").write("there")
print("the init runs")

def note(step, *args, **kwargs):
    steps.append(step)
    print("hook", step)

register_before_snapshot(note, "before 1")
register_before_snapshot(note, "before 2")
register_after_restore(note, "after 1")

@register_after_restore
def after():
    note("after 2")

def handler(event, context):
    if event.get("sleep"):
        import time
        time.sleep(event["sleep"])
    marker = "/tmp/marker"
    fresh = not os.path.exists(marker)
    open(marker, "w").close()
    return {"steps": steps, "init": drawn_at_init, "tmp": fresh, "kept": os.path.exists("/tmp/of-the-init"),
            "type": os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE"), "group": os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME"),
            "random": [random.random(), str(uuid.uuid4()), str(uuid.uuid1()), secrets.token_hex(8), os.urandom(8).hex(),
                       ssl.RAND_bytes(8).hex(), next(tempfile._get_candidate_names())]}
"""


numbers = itertools.count()


@pytest.fixture(autouse=True)
def fresh_name():
    """Logs outlive their function: each test has a function of its own name."""
    global F
    F = f"snap-{next(numbers)}"


def publish(server, lambda_, code=CODE, **settings):
    """A function with SnapStart and its version 1, whose snapshot is there."""
    name = F
    server.create_function(name, {"index.py": code}, Timeout=60, **{**SNAP, **settings})
    version = lambda_.publish_version(FunctionName=name)["Version"]
    lambda_.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return version


def failed(lambda_, version="1"):
    """The configuration of a version that was published and could not be initialised."""
    shown = {}

    def state():
        shown.update(lambda_.get_function_configuration(FunctionName=F, Qualifier=version))
        return shown["State"] != "Pending"

    wait_for(state, "the end of the init")
    return shown


def call(lambda_, payload=None, qualifier="1"):
    answer = lambda_.invoke(FunctionName=F, Qualifier=qualifier, Payload=json.dumps(payload or {}))
    body = answer["Payload"].read()
    assert "FunctionError" not in answer, body
    return json.loads(body)


def log_of(server):
    return server.http("GET", f"/_sluice/logs?function={F}").text


def test_the_states_of_a_version(server, lambda_):
    server.create_function(F, {"index.py": CODE}, **SNAP)
    assert lambda_.get_function_configuration(FunctionName=F)["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    published = lambda_.publish_version(FunctionName=F)
    assert (published["State"], published["StateReasonCode"]) == ("Pending", "Creating")
    assert published["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    lambda_.get_waiter("published_version_active").wait(FunctionName=F, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    shown = lambda_.get_function(FunctionName=F, Qualifier="1")["Configuration"]
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    assert "StateReason" not in shown
    # The unpublished one has neither snapshot nor hooks.
    latest = call(lambda_, qualifier="$LATEST")
    assert (latest["steps"], latest["type"]) == (["init"], "on-demand")
    assert lambda_.get_function_configuration(FunctionName=F)["SnapStart"]["OptimizationStatus"] == "Off"


def test_hooks_and_what_is_logged(server, lambda_):
    publish(server, lambda_)
    wait_for(lambda: "INIT_REPORT" in log_of(server), "the report of the init")
    told = log_of(server)
    assert re.search(r"INIT_START Runtime Version: python\S+\n", told) and "the init runs" in told
    assert re.search(r"hook before 2\n.*hook before 1\n.*INIT_REPORT Init Duration: [0-9.]+ ms\tPhase: init\tStatus: success", told, re.S)
    assert "RESTORE_START" not in told and "START RequestId" not in told
    result = call(lambda_)
    assert result["steps"] == ["init", "before 2", "before 1", "after 1", "after 2"]
    assert result["type"] == "snap-start" and result["group"] is None and result["kept"]
    wait_for(lambda: "REPORT RequestId" in log_of(server), "the report")
    told = log_of(server)
    assert re.search(r"RESTORE_START Runtime Version: python\S+\n.*hook after 1\n.*hook after 2\n"
                     r".*RESTORE_REPORT Restore Duration: [0-9.]+ ms\n.*START RequestId", told, re.S)
    report = re.search(r"\nREPORT RequestId.*", told)[0]
    assert re.search(r"Restore Duration: [0-9.]+ ms\tBilled Restore Duration: \d+ ms\t", report) and "Init Duration" not in report
    # Restored once: the second invocation of the environment says nothing of it.
    assert call(lambda_)["steps"] == result["steps"]
    wait_for(lambda: log_of(server).count("\nREPORT RequestId") >= 2, "the second report")


def test_concurrent_environments_draw_differently(server, lambda_):
    publish(server, lambda_)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: call(lambda_, {"sleep": 1}), range(20)))
    # From one image, where this machine can make one: the init has run once.
    if re.search(r"^sluice_snapshot_bytes [1-9]", server.http("GET", "/_sluice/metrics").text, re.M):
        assert len({result["init"] for result in results}) == 1
        assert log_of(server).count("the init runs") == 1
    assert all(result["kept"] for result in results)
    first = [result for result in results if result["tmp"]]
    assert len(first) >= 2  # environments, each with its own /tmp
    for drawn in zip(*(result["random"] for result in results)):
        assert len(set(drawn)) == len(results), drawn


def test_what_an_init_opened(server, lambda_):
    """Files that were open are open again, connections are dead, what was allocated is there, and threads can be started."""
    code = """
import http.client, os, socket, threading
mine = open("/var/task/index.py")
mine.readline()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
much = {str(n): n for n in range(100000)}

def deep(n):
    return n and 1 + deep(n - 1)

def handler(event, context):
    try:
        client.sendall(b"x")
        server.settimeout(1)
        alive = server.recv(1) == b"x"
    except OSError:
        alive = False
    found = []
    thread = threading.Thread(target=found.append, args=(deep(500),))
    thread.start()
    thread.join()
    return {"line": mine.readline().strip(), "alive": alive, "sum": sum(much.values()), "found": found, "pid": os.getpid() > 1,
            "child": os.popen("echo child").read().strip(), "key": os.environ.get("AWS_ACCESS_KEY_ID", "")[:4]}
"""
    publish(server, lambda_, code, MemorySize=512)
    image = re.search(r"^sluice_snapshot_bytes [1-9]", server.http("GET", "/_sluice/metrics").text, re.M)
    answer = call(lambda_)
    assert answer == {"line": "import http.client, os, socket, threading", "alive": not image, "sum": 4999950000, "found": [500], "pid": True,
                      "child": "child", "key": "ASIA"}


def test_the_state_of_what_cannot_be_an_image(server, lambda_):
    """Threads of the init's go on to run after the restore: the process itself is kept."""
    code = """
import threading, time
ticks = []

def tick():
    while True:
        ticks.append(1)
        time.sleep(0.01)

threading.Thread(target=tick, daemon=True).start()

def handler(event, context):
    before = len(ticks)
    while len(ticks) == before:
        time.sleep(0.01)
    return "goes on"
"""
    publish(server, lambda_, code)
    assert [call(lambda_) for _ in range(2)] == ["goes on", "goes on"]


def test_an_image_cannot_be_sent_again(server, lambda_):
    """The way images are sent is closed once the version is initialised, and other functions have none."""
    code = """
import http.client

def handler(event, context):
    connection = http.client.HTTPConnection("127.0.0.1", 9001)
    connection.request("POST", "/2018-06-01/runtime/restore/image", b"x" * 4096)
    answer = connection.getresponse()
    return [answer.status, answer.read().decode()]
"""
    publish(server, lambda_, code)
    assert call(lambda_)[0] == 403
    assert call(lambda_, qualifier="$LATEST") == [404, "404 page not found\n"]


def test_an_image_of_a_hostile_init(server, lambda_):
    """An init that sends an image of its own making: its version is initialised again for the call, nobody else is concerned."""
    code = """
import http.client, os
connection = http.client.HTTPConnection("127.0.0.1", 9001)
connection.request("POST", "/2018-06-01/runtime/restore/image", os.urandom(100000))
status = connection.getresponse().status
connection.close()

def handler(event, context):
    return status
"""
    publish(server, lambda_, code)
    assert [call(lambda_) for _ in range(2)] == [413, 413]  # the second init's is not taken any more


def test_an_alias_and_a_url_of_the_version(server, lambda_):
    version = publish(server, lambda_)
    lambda_.create_alias(FunctionName=F, Name="live", FunctionVersion=version)
    assert call(lambda_, qualifier="live")["type"] == "snap-start"
    url = lambda_.create_function_url_config(FunctionName=F, Qualifier="live", AuthType="NONE")["FunctionUrl"]
    lambda_.add_permission(FunctionName=F, Qualifier="live", StatementId="u", Action="lambda:InvokeFunctionUrl", Principal="*",
                           FunctionUrlAuthType="NONE")
    lambda_.add_permission(FunctionName=F, Qualifier="live", StatementId="f", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    answer = server.http("GET", "/", headers={"Host": url.split("/")[2]})
    assert answer.status == 200 and answer.json()["type"] == "snap-start"


@pytest.mark.parametrize("code, type_name, status", [
    ("raise ValueError('no init')\ndef handler(event, context): pass", "ValueError", "no init"),
    ("import sys\nsys.exit(3)\ndef handler(event, context): pass", "Runtime.ExitError", "exit status 3"),
    ("from snapshot_restore_py import register_before_snapshot\n@register_before_snapshot\ndef hook(): raise KeyError('x')\n"
     "def handler(event, context): pass", "Runtime.BeforeSnapshotError", ""),
])
def test_an_init_that_fails(server, lambda_, code, type_name, status):
    server.create_function(F, {"index.py": code}, **SNAP)
    assert lambda_.publish_version(FunctionName=F)["State"] == "Pending"
    shown = failed(lambda_)
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "FunctionError")
    assert type_name in shown["StateReason"]
    wait_for(lambda: status in shown["StateReason"] + log_of(server), "the log of the failure")
    assert refusal(lambda_.invoke, FunctionName=F, Qualifier="1")[:2] == (409, "ResourceConflictException")
    wait_for(lambda: re.search(r"INIT_REPORT Init Duration: [0-9.]+ ms\tPhase: init\tStatus: error\tError Type: ", log_of(server)), "the log")


def test_a_restore_hook_that_fails(server, lambda_):
    publish(server, lambda_, "from snapshot_restore_py import register_after_restore\n@register_after_restore\ndef hook(): raise KeyError('x')\n"
            "def handler(event, context): pass")
    for _ in range(2):
        status, name, message = refusal(lambda_.invoke, FunctionName=F, Qualifier="1")[:3]
        assert (status, name) == (400, "SnapStartException") and "runtime hook encountered an error" in message
    wait_for(lambda: "RESTORE_REPORT" in log_of(server), "the report of the restore")
    told = log_of(server)
    assert "[ERROR] KeyError: 'x'" in told
    assert re.search(r"RESTORE_REPORT Restore Duration: [0-9.]+ ms\tStatus: error\tError Type: Runtime.AfterRestoreError", told)


def test_a_restore_hook_that_takes_too_long(server, lambda_):
    publish(server, lambda_, "import time\nfrom snapshot_restore_py import register_after_restore\nregister_after_restore(time.sleep, 3600)\n"
            "def handler(event, context): pass")
    status, name, message = refusal(lambda_.invoke, FunctionName=F, Qualifier="1")[:3]
    assert (status, name, message) == (408, "SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.")
    wait_for(lambda: re.search(r"RESTORE_REPORT Restore Duration: [0-9.]+ ms\tStatus: timeout", log_of(server)), "the report")


def test_a_version_that_is_initialised_cannot_be_called(server, lambda_):
    server.create_function(F, {"index.py": "import time\ntime.sleep(3600)\ndef handler(event, context): pass"}, **SNAP)
    lambda_.publish_version(FunctionName=F)
    status, name, message = refusal(lambda_.invoke, FunctionName=F, Qualifier="1")[:3]
    assert (status, name) == (409, "SnapStartNotReadyException") and message.startswith("Lambda is initializing your function.")


def test_what_does_not_go_with_it(server, lambda_):
    server.create_function(F, {"index.py": CODE})
    for settings in ({"EphemeralStorage": {"Size": 1024}}, {"Runtime": "provided.al2023"}):
        found = refusal(lambda_.update_function_configuration, FunctionName=F, **SNAP, **settings)
        assert found[:2] == (400, "InvalidParameterValueException"), found


def test_after_the_server_was_killed(start_server):
    """A version is Active at once; its first call makes the snapshot again, the following ones are restored from that."""
    server = start_server()
    publish(server, server.client("lambda"))
    first = call(server.client("lambda"))
    server.kill()
    server.restart()
    lambda_ = server.client("lambda")
    shown = lambda_.get_function_configuration(FunctionName=F, Qualifier="1")
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    again = call(lambda_)
    assert again["steps"] == first["steps"] and again["type"] == "snap-start" and again["tmp"]
    # What was drawn is that of another init.
    assert again["init"] != first["init"]
    lambda_.delete_function(FunctionName=F)
    wait_for(lambda: re.search(r"^sluice_snapshot_bytes 0$", server.http("GET", "/_sluice/metrics").text, re.M), "the end of its snapshot")


def test_the_records_of_a_json_log(server, lambda_):
    """The records of a log of format JSON, which are those of the Telemetry API."""
    publish(server, lambda_, LoggingConfig={"LogFormat": "JSON"})
    call(lambda_)

    def records():
        lines = [json.loads(line) for line in log_of(server).splitlines() if line.startswith("{")]
        return {line["type"]: line["record"] for line in lines if "record" in line}

    wait_for(lambda: "platform.report" in records(), "the report")
    told = records()
    assert told["platform.initStart"]["initializationType"] == "snap-start" and told["platform.initReport"]["status"] == "success"
    assert told["platform.restoreStart"]["functionVersion"] == "1" and told["platform.restoreReport"]["metrics"]["durationMs"] > 0
    assert {"restoreDurationMs", "billedRestoreDurationMs"} <= set(told["platform.report"]["metrics"])
    assert "initDurationMs" not in told["platform.report"]["metrics"]
    # Every environment is an instance of its own.
    assert told["platform.initStart"]["instanceId"] != told["platform.restoreStart"]["instanceId"]


def test_provisioned_concurrency_is_not_for_it(server, lambda_):
    publish(server, lambda_)
    found = refusal(lambda_.put_provisioned_concurrency_config, FunctionName=F, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert found[:2] == (400, "InvalidParameterValueException")
