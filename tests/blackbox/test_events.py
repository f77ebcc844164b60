# SPDX-License-Identifier: Apache-2.0
"""What becomes of asynchronous events: destinations and dead-letter queues (records as AWS was recorded with), throttles, ages, and
functions that must not delay one another. Clocks are moved, never waited for."""

import json
import re

import pytest

from support import wait_for, zip_bytes

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
FAILS = {"index.py": "def handler(event, context):\n    print('ran', event.get('n'), flush=True)\n    raise ValueError('on purpose')\n"}
ECHO = {"index.py": "def handler(event, context):\n    print('ran', event.get('n'), flush=True)\n    return {'echo': event}\n"}
NOTES = {"index.py": "import json\ndef handler(event, context):\n    print('got ' + json.dumps(event), flush=True)\n"}


@pytest.fixture
def own(start_server):
    return start_server("--test-clock")


def advance(server, seconds):
    assert server.http("POST", f"/_sluice/clock?advance_ms={int(seconds * 1000)}").status == 200


def make_queue(server, name="q", **attributes):
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def take(server, url):
    """One message, which is deleted."""
    found = []

    def received():
        found.extend(server.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"],
                                                          AttributeNames=["All"]).get("Messages", []))
        return found

    wait_for(received, "a message")
    server.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
    return found[0]


def send(server, name, payload, **more):
    return server.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload), **more)[
        "ResponseMetadata"]["RequestId"]


def ran(server, name):
    return [line.split()[1] for line in server.http("GET", f"/_sluice/logs?function={name}").text.splitlines() if line.startswith("ran ")]


def settled(server):
    """What ran has been written down, so the clock may move."""
    wait_for(lambda: "sluice_events_in_memory 0" in server.http("GET", "/_sluice/metrics").text, "events to be settled")


def configure(server, name, **config):
    destinations = {side: {"Destination": config.pop(side)} for side in ("OnSuccess", "OnFailure") if side in config}
    server.client("lambda").put_function_event_invoke_config(FunctionName=name, **({"DestinationConfig": destinations} if destinations else {}),
                                                             **config)


def test_a_success_is_recorded_at_its_destination(own):
    url, arn = make_queue(own)
    own.create_function("f", ECHO)
    configure(own, "f", OnSuccess=arn, OnFailure=arn)
    request_id = send(own, "f", {"n": 1, "big": 12345678901234567890123})
    record = json.loads(take(own, url)["Body"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record == {
        "version": "1.0",
        "requestContext": {"requestId": request_id, "functionArn": ARN + "f:$LATEST", "condition": "Success", "approximateInvokeCount": 1},
        "requestPayload": {"n": 1, "big": 12345678901234567890123},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"echo": {"n": 1, "big": 12345678901234567890123}},
    }


def test_a_failure_is_recorded_after_the_last_attempt(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS)
    configure(own, "f", OnFailure=arn)
    request_id = send(own, "f", {"n": 1})
    for count, pause in ((1, 61), (2, 121)):
        wait_for(lambda: len(ran(own, "f")) == count)
        settled(own)
        advance(own, pause)
    record = json.loads(take(own, url)["Body"])
    assert record["requestContext"] == {
        "requestId": request_id, "functionArn": ARN + "f:$LATEST", "condition": "RetriesExhausted", "approximateInvokeCount": 3}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "on purpose"
    assert record["requestPayload"] == {"n": 1}
    wait_for(lambda: len(ran(own, "f")) == 3)


def test_an_age_that_ends_before_the_next_attempt_is_recorded(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS)
    configure(own, "f", OnFailure=arn, MaximumEventAgeInSeconds=60)
    send(own, "f", {"n": 1})
    context = json.loads(take(own, url)["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 1)


def test_a_dead_letter_is_the_event_with_three_attributes(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS, DeadLetterConfig={"TargetArn": arn})
    assert own.client("lambda").get_function_configuration(FunctionName="f")["DeadLetterConfig"] == {"TargetArn": arn}
    configure(own, "f", MaximumRetryAttempts=0)
    request_id = send(own, "f", {"n": 1})
    message = take(own, url)
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"] == {
        "RequestID": {"StringValue": request_id, "DataType": "String"},
        "ErrorCode": {"StringValue": "200", "DataType": "Number"},
        "ErrorMessage": {"StringValue": "on purpose", "DataType": "String"},
    }
    own.client("lambda").update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in own.client("lambda").get_function_configuration(FunctionName="f")


def test_both_places_are_told_when_both_are_configured(own):
    dead_url, dead = make_queue(own, "dead")
    url, arn = make_queue(own, "told")
    own.create_function("f", FAILS, DeadLetterConfig={"TargetArn": dead})
    configure(own, "f", OnFailure=arn, MaximumRetryAttempts=0)
    send(own, "f", {"n": 2})
    assert json.loads(take(own, dead_url)["Body"]) == {"n": 2}
    assert json.loads(take(own, url)["Body"])["requestPayload"] == {"n": 2}


def test_a_function_as_destination_gets_the_record(own):
    own.create_function("f", ECHO)
    own.create_function("next", NOTES)
    configure(own, "f", OnSuccess=ARN + "next")
    request_id = send(own, "f", {"n": 3})
    got = lambda: [json.loads(line[4:]) for line in own.http("GET", "/_sluice/logs?function=next").text.splitlines() if line.startswith("got ")]
    wait_for(got, "the next function to run")
    assert got()[0]["requestContext"]["requestId"] == request_id
    assert got()[0]["responsePayload"] == {"echo": {"n": 3}}


def test_settings_are_those_of_the_qualifier(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS, Publish=True)
    own.client("lambda").create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    own.client("lambda").put_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumRetryAttempts=0,
                                                          DestinationConfig={"OnFailure": {"Destination": arn}})
    send(own, "f", {"n": 4}, Qualifier="live")
    record = json.loads(take(own, url)["Body"])
    assert record["requestContext"]["functionArn"] == ARN + "f:live"
    assert record["responseContext"]["executedVersion"] == "1"
    send(own, "f", {"n": 5})
    wait_for(lambda: "5" in ran(own, "f"))
    settled(own)
    assert "Messages" not in own.client("sqs").receive_message(QueueUrl=url)


def test_reserved_concurrency_of_zero_gives_events_up_at_once(own):
    url, arn = make_queue(own)
    own.create_function("f", ECHO, DeadLetterConfig={"TargetArn": arn})
    own.client("lambda").put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    send(own, "f", {"n": 6})
    message = take(own, url)
    assert json.loads(message["Body"]) == {"n": 6}
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"
    assert ran(own, "f") == []


def test_a_throttled_function_runs_all_its_events_within_its_limit(own):
    own.create_function("f", {"index.py": "import time\ndef handler(event, context):\n    time.sleep(0.05)\n    print('ran', event['n'], flush=True)\n"})
    own.client("lambda").put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    for n in range(12):
        send(own, "f", {"n": n})

    def all_ran():
        advance(own, 2)
        return set(ran(own, "f")) >= {str(n) for n in range(12)}

    wait_for(all_ran, "all events to run one after the other")


def test_a_function_that_hangs_does_not_hold_up_others(own):
    own.create_function("slow", {"index.py": "import time\ndef handler(event, context):\n    time.sleep(600)\n"}, Timeout=900)
    own.client("lambda").put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=2)
    own.create_function("quick", ECHO)
    for n in range(300):  # more than may run at once
        send(own, "slow", {"n": n})
    send(own, "quick", {"n": 7})
    wait_for(lambda: ran(own, "quick") == ["7"], "the quick function to run")
    for name in ("slow", "quick"):
        own.client("lambda").delete_function(FunctionName=name)
    own.kill()  # rather than wait for what hangs
    own.restart()


def test_a_destination_that_is_gone_does_not_lose_the_event(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS)
    configure(own, "f", OnFailure=arn, MaximumRetryAttempts=0)
    own.client("sqs").delete_queue(QueueUrl=url)
    request_id = send(own, "f", {"n": 8})
    wait_for(lambda: f"event {request_id} for {ARN}f given up: RetriesExhausted (kept" in own.log())
    listed = own.cli("events", "ls", "--dead").stdout
    assert f"RetriesExhausted; not delivered to {arn}" in listed
    assert f"not delivered to {arn}: The specified queue does not exist." in own.log()


def test_a_record_is_delivered_once_however_often_the_server_dies(own):
    url, arn = make_queue(own)
    own.create_function("f", FAILS)
    configure(own, "f", OnFailure=arn, MaximumRetryAttempts=1)
    request_id = send(own, "f", {"n": 9})
    wait_for(lambda: len(ran(own, "f")) == 1)
    settled(own)
    own.kill()
    own.restart()
    advance(own, 61)
    context = json.loads(take(own, url)["Body"])["requestContext"]
    assert (context["requestId"], context["approximateInvokeCount"]) == (request_id, 2)
    own.kill()
    own.restart()
    advance(own, 300)
    assert "Messages" not in own.client("sqs").receive_message(QueueUrl=url)


def test_dead_events_are_listed_shown_redriven_and_purged(own):
    own.create_function("f", FAILS)
    configure(own, "f", MaximumRetryAttempts=0)
    assert own.cli("events", "ls").stdout.startswith("no events wait")
    for n in (10, 11):
        send(own, "f", {"n": n})
    dead = lambda: own.http("GET", "/_sluice/events?state=dead").json()["events"]
    wait_for(lambda: len(dead()) == 2, "both events to die")
    ids = [str(event["id"]) for event in dead()]
    listed = own.cli("events", "ls", "--dead").stdout
    assert listed.count("RetriesExhausted") == 2 and " f " in listed
    shown = json.loads(own.cli("events", "show", ids[0]).stdout)
    assert (shown["payload"], shown["attempts"], shown["state"], shown["function"]) == ({"n": 10}, 1, "dead", ARN + "f")
    assert own.cli("events", "redrive", ids[0]).stdout.split() == ["redriven", "event", ids[0]]
    wait_for(lambda: ran(own, "f").count("10") == 2, "the event to run again")
    wait_for(lambda: len(dead()) == 2, "the event to die again")
    assert own.cli("events", "purge", "--dead", "--function", "other").stdout.split() == ["purged", "0", "events"]
    assert own.cli("events", "purge", "--dead").stdout.split() == ["purged", "2", "events"]
    assert dead() == []
    assert own.cli("events", "show", ids[1]).returncode == 1
    assert own.cli("events", "redrive").returncode == 2


def test_a_waiting_event_is_listed_and_purged(own):
    own.create_function("f", FAILS)
    request_id = send(own, "f", {"n": 12})
    waiting = lambda: own.http("GET", "/_sluice/events?function=f").json()["events"]
    wait_for(lambda: [event["attempts"] for event in waiting()] == [1], "the first attempt")
    assert request_id in own.cli("events", "ls").stdout
    assert own.cli("events", "purge", "--function", "f").stdout.split() == ["purged", "1", "event"]
    assert waiting() == []
    settled(own)
    advance(own, 3600)
    own.client("lambda").update_function_code(FunctionName="f", ZipFile=zip_bytes(ECHO))
    send(own, "f", {"n": 13})
    wait_for(lambda: ran(own, "f")[-1:] == ["13"])
    assert ran(own, "f").count("12") == 1
