# SPDX-License-Identifier: Apache-2.0
"""CloudWatch Logs with boto3 and `aws logs tail`: groups, streams, events put and read, filter patterns; and functions' lines."""

import re
import time

import botocore.exceptions
import pytest

from support import PATIENCE, wait_for

ACCOUNT = "000000000000"


@pytest.fixture
def logs(server):
    """A client without groups, whose groups are deleted after the test, those of functions too."""
    client = server.client("logs")

    def delete_all():
        for page in client.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                client.delete_log_group(logGroupName=group["logGroupName"])

    delete_all()  # functions of other tests wrote theirs
    yield client
    delete_all()


@pytest.fixture
def group(logs):
    logs.create_log_group(logGroupName="/test/group")
    logs.create_log_stream(logGroupName="/test/group", logStreamName="one")
    return "/test/group"


def refusal(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return answer["Error"]["Code"], answer["Error"]["Message"]


NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = ("ResourceNotFoundException", "The specified log stream does not exist.")


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, *messages, at=None, step=0):
    at = at or now()
    events = [{"timestamp": at + n * step, "message": message} for n, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def texts(answer):
    return [event["message"] for event in answer["events"]]


# --- groups -------------------------------------------------------------------------------------------------------------


def test_groups_are_made_listed_and_deleted(logs):
    for name in ("b/two", "a/one", "b/one"):
        logs.create_log_group(logGroupName=name)
    assert refusal(logs.create_log_group, logGroupName="a/one") == (
        "ResourceAlreadyExistsException", "The specified log group already exists")
    pages = list(logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2}))
    assert [[one["logGroupName"] for one in page["logGroups"]] for page in pages] == [["a/one", "b/one"], ["b/two"]]
    (found,) = logs.describe_log_groups(logGroupNamePrefix="b/t")["logGroups"]
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:b/two"
    assert (found["arn"], found["logGroupArn"], found["storedBytes"], found["metricFilterCount"]) == (arn + ":*", arn, 0, 0)
    assert abs(found["creationTime"] - now()) < 60000 and "retentionInDays" not in found
    found = logs.describe_log_groups(logGroupNamePattern="one")["logGroups"]
    assert [one["logGroupName"] for one in found] == ["a/one", "b/one"]
    logs.delete_log_group(logGroupName="a/one")
    assert refusal(logs.delete_log_group, logGroupName="a/one") == NO_GROUP
    code, message = refusal(logs.create_log_group, logGroupName="a b")
    assert code == "InvalidParameterException"
    assert message.startswith("1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: ")


def test_retention_hides_what_is_older(logs, group):
    day = 86400000
    put(logs, group, "one", "old", at=now() - 4 * day)
    put(logs, group, "one", "new")
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 3
    assert texts(logs.get_log_events(logGroupName=group, logStreamName="one")) == ["new"]
    assert put(logs, group, "one", "old", at=now() - 4 * day)["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName=group)
    assert texts(logs.get_log_events(logGroupName=group, logStreamName="one")) == ["old", "new"]
    assert refusal(logs.put_retention_policy, logGroupName=group, retentionInDays=4)[0] == "InvalidParameterException"
    assert refusal(logs.put_retention_policy, logGroupName="none", retentionInDays=3) == NO_GROUP


def test_groups_have_tags(logs):
    logs.create_log_group(logGroupName="tagged", tags={"a": "1"})
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:tagged"
    logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    logs.tag_log_group(logGroupName="tagged", tags={"c": "3"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1", "b": "2", "c": "3"}
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    logs.untag_log_group(logGroupName="tagged", tags=["b"])
    assert logs.list_tags_log_group(logGroupName="tagged")["tags"] == {"c": "3"}


# --- streams ------------------------------------------------------------------------------------------------------------


def test_streams_are_made_listed_and_deleted(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="two [x]%20 y")
    assert refusal(logs.create_log_stream, logGroupName=group, logStreamName="one") == (
        "ResourceAlreadyExistsException", "The specified log stream already exists")
    assert refusal(logs.create_log_stream, logGroupName="none", logStreamName="one") == NO_GROUP
    put(logs, group, "two [x]%20 y", "first", "last", at=now() - 5000, step=1000)
    one, two = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert (one["logStreamName"], two["logStreamName"]) == ("one", "two [x]%20 y")
    assert "lastEventTimestamp" not in one and two["lastEventTimestamp"] - two["firstEventTimestamp"] == 1000
    assert two["arn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}:log-stream:two [x]%20 y"
    latest = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
    assert [stream["logStreamName"] for stream in latest["logStreams"]] == ["two [x]%20 y"]
    more = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, nextToken=latest["nextToken"])
    assert [stream["logStreamName"] for stream in more["logStreams"]] == ["one"]
    logs.delete_log_stream(logGroupName=group, logStreamName="two [x]%20 y")
    assert [stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]] == ["one"]
    one_event = [{"timestamp": now(), "message": "m"}]
    gone = {"logGroupName": group, "logStreamName": "two [x]%20 y"}
    assert refusal(logs.put_log_events, logEvents=one_event, **gone) == NO_STREAM
    assert refusal(logs.get_log_events, **gone) == NO_STREAM
    # Made again it is empty.
    logs.create_log_stream(logGroupName=group, logStreamName="two [x]%20 y")
    assert texts(logs.get_log_events(logGroupName=group, logStreamName="two [x]%20 y")) == []
    put(logs, group, "two [x]%20 y", "fresh")
    assert texts(logs.filter_log_events(logGroupName=group)) == ["fresh"]


# --- events -------------------------------------------------------------------------------------------------------------


def test_events_come_back_as_they_were_put(logs, group):
    messages = ["plain", "two\nlines", "back\\slash \\n", " blanks ", "grüße \U0001f600", "carriage\r\nreturn", "%41"]
    at = now() - 1000
    answer = put(logs, group, "one", *messages, at=at, step=1)
    assert answer["nextSequenceToken"] and "rejectedLogEventsInfo" not in answer
    events = logs.get_log_events(logGroupName=group, logStreamName="one", startFromHead=True)["events"]
    assert [event["message"] for event in events] == messages
    assert [event["timestamp"] for event in events] == [at + n for n in range(len(messages))]
    assert all(event["ingestionTime"] >= event["timestamp"] for event in events)


def test_a_stream_is_read_in_pages_both_ways(logs, group):
    at = now() - 10000
    put(logs, group, "one", *(str(n) for n in range(10)), at=at, step=1000)

    def get(**more):
        return logs.get_log_events(logGroupName=group, logStreamName="one", limit=4, **more)

    tail = get()
    assert texts(tail) == ["6", "7", "8", "9"]
    before = get(nextToken=tail["nextBackwardToken"])
    assert texts(before) == ["2", "3", "4", "5"]
    assert texts(get(nextToken=before["nextForwardToken"])) == ["6", "7", "8", "9"]
    end = get(nextToken=tail["nextForwardToken"])
    assert texts(end) == [] and end["nextForwardToken"] == tail["nextForwardToken"]
    put(logs, group, "one", "10")
    assert texts(get(nextToken=end["nextForwardToken"])) == ["10"]
    assert texts(get(startFromHead=True)) == ["0", "1", "2", "3"]
    # The start is inclusive, the end is not.
    assert texts(get(startFromHead=True, startTime=at + 2000, endTime=at + 4000)) == ["2", "3"]
    assert refusal(get, nextToken="x") == ("InvalidParameterException", "The specified nextToken is invalid.")


def test_batches_are_checked(logs, group):
    hour = 3600000
    late = put(logs, group, "one", "future", at=now() + 3 * hour)
    assert late["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    old = put(logs, group, "one", "past", at=now() - 15 * 24 * hour)
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    code, message = refusal(logs.put_log_events, logGroupName=group, logStreamName="one", logEvents=[])
    assert (code, "at 'logEvents'" in message) == ("InvalidParameterException", True)

    def put_at(*times, stream="one", name=group):
        events = [{"timestamp": one, "message": "m"} for one in times]
        return refusal(logs.put_log_events, logGroupName=name, logStreamName=stream, logEvents=events)

    at = now()
    assert put_at(at, at - 1)[1] == "Log events in a single PutLogEvents request must be in chronological order."
    assert put_at(at - 25 * hour, at)[1] == (
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    assert put_at(at, stream="none") == NO_STREAM
    assert put_at(at, name="none") == NO_GROUP
    assert texts(logs.filter_log_events(logGroupName=group)) == []


# --- filtering ----------------------------------------------------------------------------------------------------------


def test_a_group_is_filtered_by_time_and_stream_in_pages(logs, group):
    at = now() - 10000
    for stream in ("two", "three"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    for n, stream in enumerate(["one", "two", "three", "two", "one", "three"]):
        put(logs, group, stream, f"{stream} {n}", at=at + n * 1000)

    def filtered(**more):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 2}, **more)
        events = [event for page in pages for event in page["events"]]
        assert len({event["eventId"] for event in events}) == len(events)
        return [event["message"] for event in events]

    assert filtered() == ["one 0", "two 1", "three 2", "two 3", "one 4", "three 5"]
    assert filtered(logStreamNames=["one", "two"]) == ["one 0", "two 1", "two 3", "one 4"]
    assert filtered(logStreamNamePrefix="t") == ["two 1", "three 2", "two 3", "three 5"]
    assert filtered(startTime=at + 1000, endTime=at + 3000) == ["two 1", "three 2", "two 3"]  # both inclusive
    (event,) = logs.filter_log_events(logGroupName=group, filterPattern="4")["events"]
    assert (event["logStreamName"], event["timestamp"]) == ("one", at + 4000)
    assert refusal(logs.filter_log_events, logGroupName="none") == NO_GROUP


LINES = [
    "[ERROR 400] BAD REQUEST",
    "[WARN] request took long",
    "[INFO] all well",
    '{"level":"error","n":3,"deep":{"list":["a","b"],"flag":true},"gone":null}',
    '{"level":"warning","n":30,"ip":"10.0.1.5"}',
]


@pytest.mark.parametrize(
    "pattern, wanted",
    [
        ("", [0, 1, 2, 3, 4]),
        ("ERROR", [0]),
        ("error", [3]),
        ("BAD REQUEST", [0]),
        ('"took long"', [1]),
        ('"long took"', []),
        ("request -took", []),
        ("-level", [0, 1, 2]),
        ("?ERROR ?WARN", [0, 1]),
        ('{ $.level = "error" }', [3]),
        ("{ $.level = error }", [3]),
        ("{ $.level != error }", [4]),
        ('{ $.level = "*r*n*" }', [4]),
        ("{ $.n > 3 }", [4]),
        ("{ $.n >= 3 && $.n < 30 }", [3]),
        ('{ ($.n = 3 || $.n = 30) && $.ip = "10.0.*" }', [4]),
        ("{ $.n = 3 || $.n = 30 && $.ip = 11* }", [3]),
        ('{ $.deep.list[1] = "b" }', [3]),
        ("{ $.deep.flag IS TRUE }", [3]),
        ("{ $.gone IS NULL }", [3]),
        ("{ $.gone NOT EXISTS }", [4]),
        ("{ $.missing = x }", []),
    ],
)
def test_filter_patterns(logs, group, pattern, wanted):
    put(logs, group, "one", *LINES)
    assert texts(logs.filter_log_events(logGroupName=group, filterPattern=pattern)) == [LINES[n] for n in wanted]


@pytest.mark.parametrize("pattern", ["{ $.a", "{ a = 1 }", "{ $.a = 1 && }", "{ ($.a = 1 }", "[a, b]", '"open', "{ $.a ~ 1 }"])
def test_patterns_that_cannot_be_understood_are_refused(logs, group, pattern):
    assert refusal(logs.filter_log_events, logGroupName=group, filterPattern=pattern) == (
        "InvalidParameterException", "Invalid filter pattern")


# --- functions ----------------------------------------------------------------------------------------------------------

SAYS = "def handler(event, context):\n    print(f\"said {event['n']}\")\n    return context.log_stream_name\n"


def lines_of(logs, name, **more):
    try:
        return logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", **more)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_a_functions_lines_are_in_its_group_and_stream(server, logs):
    server.create_function("says", {"index.py": SAYS})
    stream = server.invoke("says", {"n": 1})["Json"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    wait_for(lambda: lines_of(logs, "says", filterPattern="REPORT"), "the log to be written")
    events = logs.get_log_events(logGroupName="/aws/lambda/says", logStreamName=stream, startFromHead=True)["events"]
    kinds = [event["message"].split()[0] for event in events]
    assert kinds == ["INIT_START", "START", "said", "END", "REPORT"]
    assert events[2]["message"] == "said 1\n"
    assert all(abs(event["timestamp"] - now()) < 2000 * PATIENCE for event in events)
    (found,) = logs.describe_log_streams(logGroupName="/aws/lambda/says")["logStreams"]
    assert found["logStreamName"] == stream
    (found,) = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/says")["logGroups"]
    assert found["storedBytes"] > 0
    # The group can be given a retention, and be deleted; the next line makes it again.
    logs.put_retention_policy(logGroupName="/aws/lambda/says", retentionInDays=1)
    logs.delete_log_group(logGroupName="/aws/lambda/says")
    assert lines_of(logs, "says") == []
    server.invoke("says", {"n": 2})
    wait_for(lambda: lines_of(logs, "says", filterPattern='"said 2"'), "the log to be written again")
    assert not lines_of(logs, "says", filterPattern='"said 1"')


def test_logs_survive_a_restart(start_server):
    server = start_server()
    logs = server.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    put(logs, "g", "s", "before")
    token = logs.get_log_events(logGroupName="g", logStreamName="s")["nextForwardToken"]
    server.stop()
    server.restart()
    logs = server.client("logs")
    put(logs, "g", "s", "after")
    assert texts(logs.filter_log_events(logGroupName="g")) == ["before", "after"]
    assert texts(logs.get_log_events(logGroupName="g", logStreamName="s", nextToken=token)) == ["after"]


def test_a_tail_sees_each_line_once(server, logs):
    # What `aws logs tail --follow` does (version 2 of the aws command): it asks again from the latest time seen on, and leaves out
    # events whose ids it has had.
    server.create_function("tailed", {"index.py": SAYS})
    seen, start = {}, now() - 600000

    def follow(text):
        nonlocal start
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/lambda/tailed", startTime=start, interleaved=True
        ):
            for event in page["events"]:
                seen[event["eventId"]] = event["message"]
                start = max(start, event["timestamp"])
        return f"said {text}\n" in seen.values()

    for n in range(3):
        server.invoke("tailed", {"n": n})
        wait_for(lambda: lines_of(logs, "tailed") and follow(n), f"line {n}")
    said = [message for message in seen.values() if message.startswith("said")]
    assert said == ["said 0\n", "said 1\n", "said 2\n"]
