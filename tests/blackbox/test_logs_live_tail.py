# SPDX-License-Identifier: Apache-2.0
"""StartLiveTail with boto3: what arrives is streamed, by groups, streams and pattern; sessions end with their client and the server."""

import contextlib
import socket
import time

import boto3
import botocore.exceptions
import pytest

from support import wait_for

ACCOUNT = "000000000000"


@pytest.fixture
def logs(server):
    """A client that calls the server by its own name, and a group of its own with two streams."""
    client = server.client("logs", inject_host_prefix=False)
    for name in ("/tail/a", "/tail/b"):
        client.create_log_group(logGroupName=name)
        for stream in ("one", "two"):
            client.create_log_stream(logGroupName=name, logStreamName=stream)
    yield client
    for name in ("/tail/a", "/tail/b"):
        client.delete_log_group(logGroupName=name)


def put(logs, text, group="/tail/a", stream="one"):
    texts = text if isinstance(text, list) else [text]
    now = int(time.time() * 1000)
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": now, "message": one} for one in texts])


class Session:
    """A session: its first event, and then what comes."""

    def __init__(self, logs, *groups, **more):
        self.stream = logs.start_live_tail(logGroupIdentifiers=list(groups), **more)["responseStream"]
        self.events = iter(self.stream)
        self.start = next(self.events)["sessionStart"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def update(self):
        return next(self.events)["sessionUpdate"]

    def results(self, count):
        """The next so many results."""
        found = []
        while len(found) < count:
            found += self.update()["sessionResults"]
        return found


def test_what_arrives_in_groups_is_streamed(logs):
    put(logs, "before")
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/tail/b"
    with Session(logs, "/tail/a", arn) as session:
        assert session.start["logGroupIdentifiers"] == ["/tail/a", arn]
        assert len(session.start["sessionId"]) == len(session.start["requestId"]) == 36
        put(logs, "first\n ü")
        put(logs, "second", "/tail/b", "two")
        found = session.results(2)
        assert [(row["logGroupIdentifier"], row["logStreamName"], row["message"]) for row in found] == [
            (f"{ACCOUNT}:/tail/a", "one", "first\n ü"),
            (f"{ACCOUNT}:/tail/b", "two", "second"),
        ]
        assert all(0 <= row["ingestionTime"] - row["timestamp"] < 60000 for row in found)
        assert session.update() == {"sessionMetadata": {"sampled": False}, "sessionResults": []}
        put(logs, "third")
        assert [row["message"] for row in session.results(1)] == ["third"]


def test_lines_of_functions_are_streamed(server, logs):
    server.create_function("talks", {"index.py": "def handler(event, context):\n    print('said', event)\n"})
    server.invoke("talks", 1)
    wait_for(lambda: "said 1" in server.http("GET", "/_sluice/logs?function=talks").text, "the first line")
    with Session(logs, "/aws/lambda/talks", logEventFilterPattern="said") as session:
        server.invoke("talks", 2)
        (row,) = session.results(1)
        assert row["message"].rstrip() == "said 2"


def test_streams_and_patterns_choose(logs):
    with Session(logs, "/tail/a", logStreamNamePrefixes=["tw"], logEventFilterPattern="good -bad") as session:
        assert session.start["logStreamNamePrefixes"] == ["tw"]
        assert session.start["logEventFilterPattern"] == "good -bad"
        put(logs, "good, but elsewhere")
        put(logs, ["bad", "good and bad", "good"], stream="two")
        assert [row["message"] for row in session.results(1)] == ["good"]
    with Session(logs, "/tail/a", logStreamNames=["one"]) as session:
        put(logs, "no", stream="two")
        put(logs, "yes")
        assert [row["message"] for row in session.results(1)] == ["yes"]


def test_what_is_too_much_for_an_update_is_sampled(logs):
    with Session(logs, "/tail/a") as session:
        put(logs, [f"line {i}" for i in range(2000)])
        updates = [session.update()]
        while sum(len(update["sessionResults"]) for update in updates) < 500:
            updates.append(session.update())
        assert any(update["sessionMetadata"]["sampled"] for update in updates)
        assert all(len(update["sessionResults"]) <= 500 for update in updates)


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"logGroupIdentifiers": ["/tail/none"]}, "ResourceNotFoundException"),
        ({"logGroupIdentifiers": ["arn:aws:logs:us-east-1:000000000000:log-group:/tail/a:*"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": ["/tail/a"], "logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": ["/tail/a", "/tail/b"], "logStreamNames": ["a"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [f"/tail/{i}" for i in range(11)]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": ["/tail/a"], "logEventFilterPattern": "{ broken"}, "InvalidParameterException"),
    ],
)  # fmt: skip
def test_what_is_refused(logs, arguments, error):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        logs.start_live_tail(**arguments)
    assert caught.value.response["Error"]["Code"] == error


def test_an_account_has_fifteen_sessions(logs):
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Session(logs, "/tail/a")) for _ in range(15)]
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            logs.start_live_tail(logGroupIdentifiers=["/tail/a"])
        assert caught.value.response["Error"]["Code"] == "LimitExceededException"
        sessions[0].stream.close()

        def another():
            with contextlib.suppress(botocore.exceptions.ClientError):
                return stack.enter_context(Session(logs, "/tail/a"))

        wait_for(another, "the place of the one that left")


def test_a_client_that_puts_the_prefix_before_the_servers_name(server, logs, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more: real("127.0.0.1" if host == "stream-localhost" else host, *more))
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("logs", endpoint_url=f"http://localhost:{server.port}", region_name="us-east-1", **keys)
    with Session(client, "/tail/a") as session:
        put(logs, "heard")
        assert [row["message"] for row in session.results(1)] == ["heard"]
    client.close()


def test_the_servers_end_ends_sessions(start_server):
    server = start_server()
    client = server.client("logs", inject_host_prefix=False)
    client.create_log_group(logGroupName="/tail/a")
    with Session(client, "/tail/a") as session:
        assert server.stop() == 0
        assert all(set(event) == {"sessionUpdate"} for event in session.events)
