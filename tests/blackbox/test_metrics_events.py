# SPDX-License-Identifier: Apache-2.0
"""What becomes of asynchronous events, as CloudWatch's metrics of AWS/Lambda."""

import pytest

from support import wait_for
from test_events import ECHO, FAILS, advance, configure, make_queue, ran, send, settled
from test_metrics_lambda import metric, until


@pytest.fixture
def own(start_server):
    return start_server("--test-clock")


def test_an_event_is_received_once_and_grows_older_with_each_attempt(own):
    own.create_function("tried", FAILS)
    function = ("FunctionName", "tried")
    send(own, "tried", {"n": 1})
    for attempt, seconds in ((1, 61), (2, 121), (3, 0)):
        wait_for(lambda: len(ran(own, "tried")) == attempt, f"attempt {attempt}")
        settled(own)
        advance(own, seconds)
    until(own, 1, "AsyncEventsDropped", "Sum", function)
    assert metric(own, "AsyncEventsReceived", "Sum", function) == 1
    assert metric(own, "AsyncEventAge", "SampleCount", function) == 3
    assert 182000 <= metric(own, "AsyncEventAge", "Maximum", function) < 1000000
    assert metric(own, "AsyncEventAge", "Minimum", function) < 61000
    assert metric(own, "AsyncEventsDropped", "Sum", function, ("Resource", "tried")) == 1
    assert metric(own, "AsyncEventsReceived", "Sum") == 1
    assert metric(own, "DeadLetterErrors", "Sum", function) is None


def test_letters_that_cannot_be_delivered(own):
    sqs = own.client("sqs")
    (dead_url, dead), (told_url, told) = make_queue(own, "dead"), make_queue(own, "told")
    own.create_function("told", FAILS, DeadLetterConfig={"TargetArn": dead})
    own.create_function("next", ECHO)
    own.create_function("chained", ECHO, Publish=True)
    configure(own, "told", OnFailure=told, MaximumRetryAttempts=0)
    configure(own, "chained", OnSuccess="arn:aws:lambda:us-east-1:000000000000:function:next", Qualifier="1")
    for url in (dead_url, told_url):
        sqs.delete_queue(QueueUrl=url)
    send(own, "told", {"n": 1})
    send(own, "chained", {"n": 2}, Qualifier="1")
    function = ("FunctionName", "told")
    until(own, 1, "DestinationDeliveryFailures", "Sum", function)
    until(own, 1, "DeadLetterErrors", "Sum", function)
    until(own, 1, "AsyncEventsDropped", "Sum", function)
    # What a destination is told is an event of its own.
    until(own, 1, "AsyncEventsReceived", "Sum", ("FunctionName", "next"))
    assert metric(own, "AsyncEventsReceived", "Sum", ("FunctionName", "chained"), ("Resource", "chained:1")) == 1
    assert metric(own, "AsyncEventsDropped", "Sum", ("FunctionName", "chained")) is None
