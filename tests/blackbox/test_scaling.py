# SPDX-License-Identifier: Apache-2.0
"""Limits and life of instances from the outside (docs/scaling.md)."""

import json
import re
import threading
import time

import pytest

from support import wait_for
from test_lambda_functions import ARN, refusal

# Holds its place until its client's file system says so; tells which instance it is.
CODE = {"index.py": "import os, uuid\nme = str(uuid.uuid4())\n\ndef handler(event, context):\n    return me\n"}


def metric(server, name, **labels):
    wanted = "".join(f'{key}="{value}"' for key, value in labels.items())
    text = server.http("GET", "/_sluice/metrics").text
    found = re.search(rf"^sluice_{name}{re.escape('{' + wanted + '}') if labels else ''} (\d+)$", text, re.M)
    assert found, f"no sluice_{name} {labels} in\n{text}"
    return int(found[1])


def at_rest(server):
    """How many instances wait for work."""
    return metric(server, "instances", state="idle") + metric(server, "instances", state="frozen")


def test_a_function_without_concurrency_is_throttled(server, lambda_):
    server.create_function("f", CODE)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    before = metric(server, "throttles_total", reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    with pytest.raises(lambda_.exceptions.TooManyRequestsException) as caught:
        lambda_.invoke(FunctionName="f")
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert "retryAfterSeconds" not in caught.value.response
    assert metric(server, "throttles_total", reason="ReservedFunctionConcurrentInvocationLimitExceeded") == before + 1
    lambda_.delete_function_concurrency(FunctionName="f")
    assert server.invoke("f")["StatusCode"] == 200


def test_every_function_of_many_keeps_its_own_limit(server, lambda_):
    """More functions than the table of limits has room for at first; some go, and their names come back."""
    names = [f"many{n}" for n in range(150)]
    for name in names:
        server.create_function(name, CODE)
    lambda_.put_function_concurrency(FunctionName="many0", ReservedConcurrentExecutions=0)
    lambda_.put_function_concurrency(FunctionName="many149", ReservedConcurrentExecutions=7)
    for name in names[1:149]:
        lambda_.delete_function(FunctionName=name)
    server.create_function("many1", CODE)
    assert server.invoke("many1")["StatusCode"] == 200
    with pytest.raises(lambda_.exceptions.TooManyRequestsException):
        lambda_.invoke(FunctionName="many0")
    assert lambda_.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 993
    lambda_.delete_function(FunctionName="many0")
    server.create_function("many0", CODE)
    assert server.invoke("many0")["StatusCode"] == 200


def test_a_reservation_holds_over_versions_and_aliases(start_server):
    """Callers of $LATEST, a version and an alias at once; the function itself notes how many run together."""
    server = start_server()
    lambda_ = server.client("lambda")
    slow = {"index.py": "import time\n\ndef handler(event, context):\n    start = time.time()\n    time.sleep(0.05)\n    return [start, time.time()]\n"}
    server.create_function("f", slow, Publish=True, Timeout=30)
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    spans, throttled = [], []

    def caller(qualifier):
        for _ in range(12):
            answer = server.http("POST", f"/2015-03-31/functions/f/invocations?Qualifier={qualifier}", body="1")
            if answer.status == 200:
                spans.append(answer.json())
            else:
                throttled.append((answer.status, answer.json()["Reason"]))

    threads = [threading.Thread(target=caller, args=(qualifier,)) for qualifier in ("$LATEST", "1", "live") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans) + len(throttled) == 9 * 12
    assert set(throttled) == {(429, "ReservedFunctionConcurrentInvocationLimitExceeded")}
    edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in edges:
        running += change
        most = max(most, running)
    assert most <= 3


def test_the_accounts_limit_is_an_option(start_server):
    server = start_server("--account-concurrency", "150")
    lambda_ = server.client("lambda")
    assert lambda_.get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 150
    server.create_function("f", CODE)
    message = "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    assert refusal(lambda_.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=51) == (
        400,
        "InvalidParameterValueException",
        message,
    )
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=50)
    assert lambda_.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 100


def test_a_rate_says_when_to_come_back(start_server):
    server = start_server("--request-rate", "1")
    server.create_function("f", CODE)
    server.client("lambda").put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)

    def throttled():
        answer = server.http("POST", "/2015-03-31/functions/f/invocations", body="1")
        return answer.status == 429 and answer

    answer = wait_for(throttled, "a throttle")
    assert answer.json()["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
    assert answer.headers["retry-after"] == "1"


def test_single_use_by_tag(server, lambda_):
    server.create_function("f", CODE)
    wait_for(lambda: server.invoke("f")["Json"] == server.invoke("f")["Json"], "an instance to be used again")
    lambda_.tag_resource(Resource=ARN + "f", Tags={"sluice:single-use": "true"})
    seen = [server.invoke("f")["Json"] for _ in range(5)]
    assert len(set(seen)) == 5
    lambda_.untag_resource(Resource=ARN + "f", TagKeys=["sluice:single-use"])
    wait_for(lambda: server.invoke("f")["Json"] == server.invoke("f")["Json"], "an instance to be used again")


def test_idle_lifetime_by_tag(server, lambda_):
    server.create_function("f", CODE, Tags={"sluice:idle-seconds": "1"})
    before = metric(server, "expirations_total")
    server.invoke("f")
    wait_for(lambda: metric(server, "expirations_total") == before + 1, "the instance to be stopped")


def test_the_longest_idle_makes_room(start_server):
    server = start_server("--max-instances", "2")
    first = {}
    for number, name in enumerate(("a", "b", "c"), 1):
        server.create_function(name, CODE)
        first[name] = server.invoke(name)["Json"]
        wait_for(lambda number=number: at_rest(server) == min(number, 2), "the instances to be idle")
    assert metric(server, "evictions_total") == 1
    for name in ("c", "b"):
        assert server.invoke(name)["Json"] == first[name]
        wait_for(lambda: at_rest(server) == 2, "the instances to be idle")
    assert server.invoke("a")["Json"] != first["a"]


def test_idle_instances_are_frozen_and_wake_up_whole(server):
    """A thread that goes on between invocations stands still; nothing of it runs between what we see as frozen and the next call."""
    ticker = (
        "import threading, time\nticks = []\n\ndef tick():\n    while True:\n        ticks.append(time.time())\n        time.sleep(0.002)\n\n"
        "threading.Thread(target=tick, daemon=True).start()\n\ndef handler(event, context):\n    return ticks\n"
    )
    server.create_function("f", {"index.py": ticker}, Timeout=30)
    server.invoke("f")
    wait_for(lambda: metric(server, "instances", state="frozen") == 1, "the instance to be frozen")
    frozen = time.time()
    for _ in range(30):
        assert metric(server, "instances", state="frozen") == 1
    thawed = time.time()
    ticks = server.invoke("f")["Json"]
    # The kernel may take a moment to stop a thread that runs.
    assert [tick for tick in ticks if frozen + (thawed - frozen) / 2 < tick < thawed] == []
    wait_for(lambda: any(tick > thawed for tick in server.invoke("f")["Json"]), "the thread to go on")
    assert json.dumps(ticks)
