# SPDX-License-Identifier: Apache-2.0
"""SQS with boto3 and with forms as old clients send them: queues, messages, long polls, FIFO, dead letters, durability.

Texts and codes of errors are those that AWS was recorded with, where such a recording is public."""

import hashlib
import http.client
import json
import random
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path

import botocore.exceptions
import pytest

from support import PATIENCE, descendants, wait_for

NS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
ACCOUNT = "000000000000"


@pytest.fixture
def sqs(server):
    """A client whose queues are deleted after the test; connections enough for parked receives."""
    client = server.client("sqs", max_pool_connections=20)
    yield client
    for url in client.list_queues().get("QueueUrls", []):
        client.delete_queue(QueueUrl=url)


@pytest.fixture
def own(start_server):
    """A server of the test's own, whose clock can be moved."""
    return start_server("--test-clock")


def advance(server, seconds):
    assert server.http("POST", f"/_sluice/clock?advance_ms={int(seconds * 1000)}").status == 200


def make(client, name="queue", **attributes):
    return client.create_queue(QueueName=name, Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]


def make_fifo(client, name="queue.fifo", **attributes):
    return make(client, name, FifoQueue="true", **attributes)


def arn(client, url):
    return client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(client, url, most=10, **more):
    return client.receive_message(QueueUrl=url, MaxNumberOfMessages=most, **more).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def refusal(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def counts(client, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(answer[name]) for name in names)


# --- queues -------------------------------------------------------------------------------------------------------------


def test_a_queue_is_made_found_listed_and_deleted(server, sqs):
    url = make(sqs, "first")
    assert url == f"http://127.0.0.1:{server.port}/{ACCOUNT}/first"
    assert sqs.get_queue_url(QueueName="first")["QueueUrl"] == url
    make(sqs, "other")
    assert sqs.list_queues(QueueNamePrefix="fi")["QueueUrls"] == [url]
    pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
    assert [page["QueueUrls"][0].rsplit("/", 1)[1] for page in pages] == ["first", "other"]
    sqs.delete_queue(QueueUrl=url)
    gone = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 400)
    assert refusal(sqs.get_queue_url, QueueName="first") == gone
    assert refusal(sqs.send_message, QueueUrl=url, MessageBody="x") == gone


def test_accounts_and_regions_have_queues_of_their_own(server, sqs):
    make(sqs, "mine")
    for other in (server.client("sqs", region="eu-west-1"), server.client("sqs", account="111122223333")):
        assert refusal(other.get_queue_url, QueueName="mine")[0] == "AWS.SimpleQueueService.NonExistentQueue"
    # The URL names the account, and in its host or path form the region, whoever asks.
    url = f"http://sqs.us-east-1.localhost:{server.port}/{ACCOUNT}/mine"
    elsewhere = server.client("sqs", region="eu-west-1")
    assert elsewhere.send_message(QueueUrl=url, MessageBody="x")["MessageId"]
    url = f"http://localhost:{server.port}/queue/us-east-1/{ACCOUNT}/mine"
    assert bodies(receive(elsewhere, url)) == ["x"]


def test_creating_again_is_fine_with_equal_attributes_only(sqs):
    url = make(sqs, "same", DelaySeconds=1)
    assert make(sqs, "same", DelaySeconds=1) == url
    assert make(sqs, "same") == url
    code, message, status = refusal(sqs.create_queue, QueueName="same", Attributes={"DelaySeconds": "2"})
    assert (code, status) == ("QueueAlreadyExists", 400)
    assert message == "A queue already exists with the same name and a different value for attribute DelaySeconds"


def test_attributes_have_aws_defaults_and_ranges(sqs):
    url = make(sqs)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "69", "MaximumMessageSize": "2048"})
    have = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert have.pop("CreatedTimestamp") and have.pop("LastModifiedTimestamp")
    assert have == {
        "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "VisibilityTimeout": "69",
        "MaximumMessageSize": "2048",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])

    def set_(**attributes):
        return refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=attributes)[:2]

    assert set_(VisibilityTimeout="43201") == ("InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout.")
    assert set_(Nothing="1") == ("InvalidAttributeName", "Unknown Attribute Nothing.")
    assert set_(QueueArn="1") == ("InvalidAttributeName", "Unknown Attribute QueueArn.")
    assert set_(FifoThroughputLimit="perQueue")[1] == "You can specify the FifoThroughputLimit only when FifoQueue is set to true."
    assert set_(KmsMasterKeyId="k", SqsManagedSseEnabled="true")[0] == "InvalidAttributeName"
    asked = refusal(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Nothing"])
    assert asked[:2] == ("InvalidAttributeName", "Unknown Attribute Nothing.")


def test_names_and_urls_are_checked(sqs):
    plain = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    for name in ("no spaces", "x" * 81, "dot.ted", "plain.fifo"):
        assert refusal(sqs.create_queue, QueueName=name)[:2] == ("InvalidParameterValue", plain)
    code, message, _ = refusal(sqs.create_queue, QueueName="fifo", Attributes={"FifoQueue": "true"})
    assert (code, message[:27]) == ("InvalidParameterValue", "The name of a FIFO queue ca")
    assert refusal(sqs.create_queue, QueueName="a", Attributes={"FifoQueue": "false"})[1] == "Unknown Attribute FifoQueue."
    assert refusal(sqs.send_message, QueueUrl="http://localhost/x", MessageBody="b")[::2] == ("InvalidAddress", 404)
    assert refusal(sqs.send_message, MessageBody="b")[:2] == (
        "MissingParameter", "The request must contain the parameter QueueUrl.")


def test_tags_are_kept(sqs):
    url = sqs.create_queue(QueueName="tagged", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2", "c": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "1", "b": "2", "c": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "c"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


def test_permissions_are_statements_of_the_policy(sqs):
    url = make(sqs)
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=[ACCOUNT, "111122223333"], Actions=["ReceiveMessage"])
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
    assert policy == {
        "Version": "2008-10-17",
        "Id": f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "l",
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root", "arn:aws:iam::111122223333:root"]},
                "Action": "SQS:ReceiveMessage",
                "Resource": f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue",
            }
        ],
    }
    again = refusal(sqs.add_permission, QueueUrl=url, Label="l", AWSAccountIds=[ACCOUNT], Actions=["*"])
    assert again[:2] == ("InvalidParameterValue", "Value l for parameter Label is invalid. Reason: Already exists.")
    sqs.remove_permission(QueueUrl=url, Label="l")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    gone = refusal(sqs.remove_permission, QueueUrl=url, Label="l")
    assert gone[1] == "Value l for parameter Label is invalid. Reason: can't find label."


# --- messages -----------------------------------------------------------------------------------------------------------

ATTRIBUTES = {
    "Hello": {"DataType": "String", "StringValue": "There"},
    "General": {"DataType": "String", "StringValue": "Kenobi"},
    "Help.Me": {"DataType": "String", "StringValue": "Me"},
}


def test_a_message_comes_back_as_it_was_sent(sqs):
    url = make(sqs)
    body = "grüße & <b> \U0001f600\n"
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    (message,) = receive(sqs, url, MessageSystemAttributeNames=["All"])
    assert (message["Body"], message["MessageId"]) == (body, sent["MessageId"])
    shown = message["Attributes"]
    assert shown["ApproximateReceiveCount"] == "1" and shown["SenderId"]
    assert int(shown["ApproximateFirstReceiveTimestamp"]) >= int(shown["SentTimestamp"]) > 1e12
    assert set(shown) == {"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # idempotent


@pytest.mark.parametrize(
    "names, expected, digest",  # digests recorded from AWS
    [
        (["All"], {"Hello", "General", "Help.Me"}, "4c360f3fdafd970e05fae2f149d997f5"),
        ([".*"], {"Hello", "General", "Help.Me"}, "4c360f3fdafd970e05fae2f149d997f5"),
        (["Hello", "General"], {"Hello", "General"}, "fca026605781cb4126a1e9044df24232"),
        (["Hello", "Foo"], {"Hello"}, "a311262e065454b75da111d535b8dacd"),
        (["Hel.*"], {"Hello", "Help.Me"}, "83fee93c1bcd8b9a5a923ffacdc636c7"),
        (["Foo"], None, None),
        ([], None, None),
    ],
)
def test_message_attributes_are_filtered_by_name(sqs, names, expected, digest):
    url = make(sqs)
    sent = sqs.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=ATTRIBUTES)
    assert sent["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"
    (message,) = receive(sqs, url, MessageAttributeNames=names)
    assert set(message.get("MessageAttributes", {})) == (expected or set())
    assert message.get("MD5OfMessageAttributes") == digest


def test_binary_attributes_are_bytes(sqs):
    url = make(sqs)
    value = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
    sent = sqs.send_message(QueueUrl=url, MessageBody="test", MessageAttributes={"attr1": {"DataType": "Binary", "BinaryValue": value}})
    assert sent["MD5OfMessageAttributes"] == "8cbe4db156db8a94db8b801b7addb984"  # recorded
    (message,) = receive(sqs, url, MessageAttributeNames=["All"])
    assert message["MessageAttributes"]["attr1"]["BinaryValue"] == value


def test_messages_are_checked(sqs):
    url = make(sqs, MaximumMessageSize=1024)

    def send(**more):
        return refusal(sqs.send_message, **{"QueueUrl": url, "MessageBody": "b", **more})[:2]

    assert send(MessageBody="") == ("MissingParameter", "The request must contain the parameter MessageBody.")
    assert send(MessageBody="\x01")[0] == "InvalidMessageContents"
    assert send(MessageBody="x" * 1025) == (
        "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.")
    assert send(DelaySeconds=901)[1] == "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    assert send(MessageDeduplicationId="d")[0] == "InvalidParameterValue"
    assert send(MessageAttributes={"ErrorDetails": {"DataType": "String", "StringValue": ""}}) == (
        "InvalidParameterValue", "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.")
    many = {f"a{n}": {"DataType": "String", "StringValue": "v"} for n in range(11)}
    assert send(MessageAttributes=many)[1] == "Number of message attributes [11] exceeds the allowed maximum [10]."
    assert sqs.send_message(QueueUrl=url, MessageBody="x" * 1024)["MessageId"]


def test_delayed_messages_come_after_their_delay(own):
    sqs = own.client("sqs")
    url = make(sqs, DelaySeconds=60)
    sqs.send_message(QueueUrl=url, MessageBody="queue's delay")
    sqs.send_message(QueueUrl=url, MessageBody="own delay", DelaySeconds=30)
    sqs.send_message(QueueUrl=url, MessageBody="none", DelaySeconds=0)
    assert counts(sqs, url) == (1, 0, 2)
    assert bodies(receive(sqs, url)) == ["none"]
    advance(own, 30)
    assert "own delay" in bodies(receive(sqs, url))
    advance(own, 30)
    assert "queue's delay" in bodies(receive(sqs, url))


def test_a_received_message_is_invisible_for_a_time(own):
    sqs = own.client("sqs")
    url = make(sqs, VisibilityTimeout=30)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (first,) = receive(sqs, url)
    assert receive(sqs, url) == [] and counts(sqs, url) == (0, 1, 0)
    advance(own, 30)
    (second,) = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])  # an old handle is accepted and does nothing
    assert counts(sqs, url) == (0, 1, 0)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=100)
    advance(own, 99)
    assert receive(sqs, url) == []
    advance(own, 1)
    (third,) = receive(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(receive(sqs, url, VisibilityTimeout=0)) == ["m"]
    assert bodies(receive(sqs, url)) == ["m"]


def test_visibility_is_limited_to_twelve_hours(own):
    sqs = own.client("sqs")
    url = make(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url, VisibilityTimeout=100)
    advance(own, 10)

    def change(timeout, handle=message["ReceiptHandle"]):
        return refusal(sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=timeout)[:2]

    assert change(43201)[1] == "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."
    assert change(43200)[1].endswith("Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
    assert change(1, "nonsense") == (
        "ReceiptHandleIsInvalid", 'The input receipt handle "nonsense" is not a valid receipt handle.')
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert change(1)[1].endswith("Reason: Message does not exist or is not available for visibility timeout change.")
    # A handle of another queue is none of this one.
    other = make(sqs, "other")
    assert refusal(sqs.delete_message, QueueUrl=other, ReceiptHandle=message["ReceiptHandle"])[0] == "ReceiptHandleIsInvalid"


def test_messages_end_with_the_retention_period(own):
    sqs = own.client("sqs")
    url = make(sqs, MessageRetentionPeriod=60)
    sqs.send_message(QueueUrl=url, MessageBody="old")
    advance(own, 50)
    sqs.send_message(QueueUrl=url, MessageBody="new")
    advance(own, 11)
    assert bodies(receive(sqs, url)) == ["new"]
    assert counts(sqs, url) == (0, 1, 0)


def test_purging_empties_the_queue(sqs):
    url = make(sqs)
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), DelaySeconds=n)
    receive(sqs, url)
    sqs.purge_queue(QueueUrl=url)
    assert counts(sqs, url) == (0, 0, 0)


# --- batches ------------------------------------------------------------------------------------------------------------


def test_batches_answer_entry_by_entry(sqs):
    url = make(sqs, MaximumMessageSize=1024)
    answer = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "x" * 2000}, {"Id": "c", "MessageBody": "3"}]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a", "c"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("b", "InvalidParameterValue", True)
    messages = receive(sqs, url)
    assert sorted(bodies(messages)) == ["1", "3"]
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[{"Id": "x", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 0},
                 {"Id": "y", "ReceiptHandle": "bad", "VisibilityTimeout": 0}],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["x"]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [("y", "ReceiptHandleIsInvalid")]
    again = receive(sqs, url)
    entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate([*again, messages[1]])]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    assert counts(sqs, url) == (0, 0, 0)


def test_batches_are_checked_as_a_whole(sqs):
    url = make(sqs)

    def send(entries):
        return refusal(sqs.send_message_batch, QueueUrl=url, Entries=entries)[:2]

    prefix = "AWS.SimpleQueueService."
    entry = {"Id": "a", "MessageBody": "b"}
    assert send([])[0] == prefix + "EmptyBatchRequest"
    assert send([{**entry, "Id": str(n)} for n in range(11)]) == (
        prefix + "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent 11.")
    assert send([entry, entry]) == (prefix + "BatchEntryIdsNotDistinct", "Id a repeated.")
    assert send([{**entry, "Id": "in:valid"}]) == (
        prefix + "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
    half = "x" * (512 * 1024)
    assert send([{"Id": "1", "MessageBody": half}, {"Id": "2", "MessageBody": half + "y"}]) == (
        prefix + "BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")


# --- long polls ---------------------------------------------------------------------------------------------------------


class Parked:
    """A ReceiveMessage in a thread of its own."""

    def __init__(self, client, url, wait=20, **more):
        self.messages = None
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(client, url, wait), kwargs=more)
        self.started = time.monotonic()
        self.thread.start()

    def run(self, client, url, wait, **more):
        try:
            self.messages = receive(client, url, WaitTimeSeconds=wait, **more)
        except botocore.exceptions.ClientError as error:
            self.error = error.response["Error"]["Code"]
        self.took = time.monotonic() - self.started

    def join(self):
        self.thread.join(2 * PATIENCE)
        assert not self.thread.is_alive()
        return self.messages


def test_a_long_poll_ends_when_a_message_comes(sqs):
    url = make(sqs)
    parked = [Parked(sqs, url, most=1) for _ in range(3)]
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    assert sorted(body for one in parked for body in bodies(one.join())) == ["0", "1", "2"]


def test_a_long_poll_ends_when_its_time_is_over(sqs):
    url = make(sqs, ReceiveMessageWaitTimeSeconds=1)
    start = time.monotonic()
    assert receive(sqs, url) == []
    assert time.monotonic() - start >= 0.99
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    assert refusal(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=21)[1] == (
        "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.")
    assert refusal(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)[:2] == (
        "InvalidParameterValue", "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.")


def test_a_long_poll_sees_what_time_and_others_make_visible(sqs):
    url = make(sqs, VisibilityTimeout=1)
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=1)
    (message,) = Parked(sqs, url).join()
    (message,) = Parked(sqs, url, VisibilityTimeout=100).join()  # visible again by time
    assert message["Body"] == "delayed"
    parked = Parked(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(parked.join()) == ["delayed"]


def test_a_long_poll_of_a_deleted_queue_is_an_error(server, sqs):
    url = make(sqs)
    parked = Parked(sqs, url)
    # Other requests go on meanwhile: nothing waits for the poll.
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    sqs.delete_queue(QueueUrl=url)
    parked.join()
    assert parked.error == "AWS.SimpleQueueService.NonExistentQueue"


def test_parked_polls_cost_no_thread_and_end_with_the_server(start_server):
    server = start_server()
    sqs = server.client("sqs", max_pool_connections=60)
    url = make(sqs)

    def threads():
        """Names of the threads of the process that serves."""
        for pid in descendants(server.process.pid):
            names = [task.read_text().strip() for task in Path(f"/proc/{pid}/task").glob("*/comm")]
            if "loop-0" in names:
                return sorted(names)
        return []

    def connected():
        # Each poll has a connection of its own.
        return Path("/proc/net/tcp").read_text().count(f"0100007F:{server.port:04X} 0100007F") >= 50

    before = threads()
    parked = [Parked(sqs, url) for _ in range(50)]
    wait_for(connected, "all polls to be connected")
    sqs.get_queue_url(QueueName="queue")
    assert "loop-0" in before and threads() == before
    assert server.stop() == 0
    assert all(one.join() == [] for one in parked)


def test_a_client_that_leaves_takes_no_message(server, sqs):
    url = make(sqs)
    form = urllib.parse.urlencode({"Action": "ReceiveMessage", "WaitTimeSeconds": "20", "QueueUrl": url})
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", f"/{ACCOUNT}/queue", form, {"Content-Type": "application/x-www-form-urlencoded"})
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    connection.close()
    # The server sees the end of the connection soon; from then on messages are for others.
    wait_for(
        lambda: sqs.send_message(QueueUrl=url, MessageBody="m") and bodies(receive(sqs, url)) == ["m"], "a message for this client"
    )


# --- FIFO ---------------------------------------------------------------------------------------------------------------


def put(client, url, body, group="g", dedup=None, **more):
    return client.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=dedup or f"{group}-{body}", **more)


def test_a_group_is_received_in_order_and_one_reader_at_a_time(sqs):
    url = make_fifo(sqs)
    for n in range(4):
        put(sqs, url, f"a{n}", "a")
        put(sqs, url, f"b{n}", "b")
    first = receive(sqs, url, 2)
    assert bodies(first) == ["a0", "a1"]
    second = receive(sqs, url, 10)
    assert bodies(second) == ["b0", "b1", "b2", "b3"]  # group a is in flight
    assert receive(sqs, url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    assert receive(sqs, url) == []  # a1 is still in flight
    parked = Parked(sqs, url, most=10)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first[1]["ReceiptHandle"])
    assert bodies(parked.join()) == ["a2", "a3"]


def test_a_message_that_comes_back_keeps_its_place(own):
    sqs = own.client("sqs")
    url = make_fifo(sqs, VisibilityTimeout=30)
    for n in range(3):
        put(sqs, url, str(n))
    old = receive(sqs, url, 2)
    advance(own, 30)
    expired = refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle=old[0]["ReceiptHandle"])
    assert expired[:2] == (
        "InvalidParameterValue",
        f"Value {old[0]['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
    again = receive(sqs, url, 10, AttributeNames=["All"])
    assert bodies(again) == ["0", "1", "2"]
    shown = [message["Attributes"] for message in again]
    assert [one["ApproximateReceiveCount"] for one in shown] == ["2", "2", "1"]
    numbers = [one["SequenceNumber"] for one in shown]
    assert numbers == sorted(numbers) and all(len(number) == 20 for number in numbers)
    assert (shown[0]["MessageGroupId"], shown[0]["MessageDeduplicationId"]) == ("g", "g-0")


def test_what_was_sent_lately_is_not_stored_again(own):
    sqs = own.client("sqs")
    url = make_fifo(sqs)
    one = put(sqs, url, "first", dedup="d")
    two = put(sqs, url, "second", dedup="d", group="other")
    assert (one["MessageId"], one["SequenceNumber"]) == (two["MessageId"], two["SequenceNumber"])
    (message,) = receive(sqs, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    put(sqs, url, "third", dedup="d")
    assert receive(sqs, url) == []
    advance(own, 301)
    put(sqs, url, "fourth", dedup="d")
    assert bodies(receive(sqs, url)) == ["fourth"]


def test_contents_and_groups_may_decide_what_is_the_same(sqs):
    url = make_fifo(sqs, ContentBasedDeduplication="true")
    for body in ("x", "x", "y"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    messages = receive(sqs, url, AttributeNames=["All"])
    assert bodies(messages) == ["x", "y"]
    assert messages[0]["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"x").hexdigest()
    url = make_fifo(sqs, "scoped.fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in ("a", "b", "a"):
        put(sqs, url, group, group, dedup="same")
    assert sorted(bodies(receive(sqs, url))) == ["a", "b"]


def test_fifo_queues_ask_for_group_and_deduplication(sqs):
    url = make_fifo(sqs)

    def send(**more):
        return refusal(sqs.send_message, QueueUrl=url, MessageBody="b", **more)[:2]

    assert send(MessageDeduplicationId="d") == ("MissingParameter", "The request must contain the parameter MessageGroupId.")
    wanted = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    assert send(MessageGroupId="g") == ("InvalidParameterValue", wanted)
    assert send(MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=2)[1] == (
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.")
    batch = refusal(sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "b", "MessageDeduplicationId": "d"}])
    assert batch[:2] == ("InvalidParameterValue", "The request must contain the parameter MessageGroupId.")
    fixed = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "false"})
    assert fixed[:2] == (
        "InvalidAttributeValue", "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")


# --- dead letters -------------------------------------------------------------------------------------------------------


def with_dead_letters(client, suffix="", most=2, **attributes):
    fifo = {"FifoQueue": "true"} if suffix else {}
    dead = make(client, "dead" + suffix, **fifo)
    policy = json.dumps({"deadLetterTargetArn": arn(client, dead), "maxReceiveCount": str(most)})
    return make(client, "work" + suffix, RedrivePolicy=policy, **fifo, **attributes), dead


def test_a_message_received_too_often_becomes_a_dead_letter(sqs):
    url, dead = with_dead_letters(sqs)
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison", MessageAttributes=ATTRIBUTES)
    for _ in range(2):
        assert bodies(receive(sqs, url, VisibilityTimeout=0)) == ["poison"]
    parked = Parked(sqs, dead, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert receive(sqs, url) == []
    (letter,) = parked.join()
    assert (letter["Body"], letter["MessageId"]) == ("poison", sent["MessageId"])
    assert letter["MessageAttributes"] == ATTRIBUTES
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, url)
    assert counts(sqs, url) == (0, 0, 0)
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    assert json.loads(policy) == {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 2}
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]


def test_a_dead_letter_frees_its_group(sqs):
    url, dead = with_dead_letters(sqs, ".fifo", 1)
    for body in ("poison", "next"):
        put(sqs, url, body)
    assert bodies(receive(sqs, url, 1, VisibilityTimeout=0)) == ["poison"]
    assert bodies(receive(sqs, url, 1)) == ["next"]
    assert bodies(receive(sqs, dead)) == ["poison"]


def test_redrive_policies_are_checked(sqs):
    url = make(sqs)
    fifo = arn(sqs, make_fifo(sqs, "dead.fifo"))

    def set_(text):
        return refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": text})

    text = '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'
    assert set_(text) == (
        "InvalidParameterValue", f"Value {text} for parameter RedrivePolicy is invalid. Reason: Invalid value for deadLetterTargetArn.", 400)
    missing = arn(sqs, url) + "x"
    assert set_(json.dumps({"deadLetterTargetArn": missing, "maxReceiveCount": 1}))[1].endswith("Dead letter target does not exist.")
    assert "valid values are from 1 to 1000" in set_(json.dumps({"deadLetterTargetArn": missing, "maxReceiveCount": 0}))[1]
    assert "same type" in set_(json.dumps({"deadLetterTargetArn": fifo, "maxReceiveCount": 1}))[1]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})


def move_status(client, source):
    return client.list_message_move_tasks(SourceArn=source).get("Results", [{}])[0]


def test_dead_letters_can_be_moved_back(sqs):
    url, dead = with_dead_letters(sqs, most=1)
    for n in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    for _ in range(4):
        receive(sqs, url, VisibilityTimeout=0)
    wait_for(lambda: receive(sqs, url) == [] and counts(sqs, dead)[0] == 12, "all to be dead letters")
    handle = sqs.start_message_move_task(SourceArn=arn(sqs, dead))["TaskHandle"]
    wait_for(lambda: move_status(sqs, arn(sqs, dead)).get("Status") == "COMPLETED", "the task to complete")
    done = move_status(sqs, arn(sqs, dead))
    assert (done["ApproximateNumberOfMessagesMoved"], done["ApproximateNumberOfMessagesToMove"]) == (12, 12)
    assert counts(sqs, dead) == (0, 0, 0) and counts(sqs, url)[0] == 12
    (message,) = receive(sqs, url, 1, AttributeNames=["All"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]
    assert refusal(sqs.cancel_message_move_task, TaskHandle=handle)[::2] == ("ResourceNotFoundException", 404)


def test_moving_is_refused_limited_and_cancelled_as_aws_does(sqs):
    url, dead = with_dead_letters(sqs, most=1)
    source = arn(sqs, dead)
    start = sqs.start_message_move_task
    assert refusal(start, SourceArn=arn(sqs, url))[1] == "Source queue must be configured as a Dead Letter Queue."
    assert refusal(start, SourceArn=source + "x") == (
        "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.", 404)
    assert refusal(start, SourceArn=source, DestinationArn=source + "x")[1].startswith("The resource that you specified for the Dest")
    for n in range(10):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    handle = start(SourceArn=source, DestinationArn=arn(sqs, url), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    running = move_status(sqs, source)
    assert (running["Status"], running["TaskHandle"], running["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 1)
    assert refusal(start, SourceArn=source)[1].startswith("There is already a task running.")
    sqs.cancel_message_move_task(TaskHandle=handle)
    assert move_status(sqs, source)["Status"] == "CANCELLED"
    assert counts(sqs, dead)[0] + counts(sqs, url)[0] == 10
    assert refusal(sqs.cancel_message_move_task, TaskHandle="xyz")[1] == "Value for parameter TaskHandle is invalid."


# --- the query protocol -------------------------------------------------------------------------------------------------


def query(server, action, path="/", **parameters):
    form = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **parameters})
    answer = server.http("POST", path, form, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert answer.headers["content-type"] == "text/xml"
    return answer.status, ET.fromstring(answer.text)


def text(tree, name):
    return [element.text for element in tree.iter(NS + name)]


def test_old_clients_speak_forms_and_xml(server, sqs):
    status, tree = query(server, "CreateQueue", QueueName="old", **{
        "Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "20", "Tag.1.Key": "k", "Tag.1.Value": "v"})
    assert (status, tree.tag) == (200, NS + "CreateQueueResponse")
    (url,) = text(tree, "QueueUrl")
    assert text(query(server, "ListQueues")[1], "QueueUrl") == [url]
    path = urllib.parse.urlsplit(url).path
    _, tree = query(server, "GetQueueAttributes", path, **{"AttributeName.1": "VisibilityTimeout"})
    assert (text(tree, "Name"), text(tree, "Value")) == (["VisibilityTimeout"], ["20"])
    _, tree = query(server, "SendMessageBatch", path, **{
        "SendMessageBatchRequestEntry.1.Id": "one", "SendMessageBatchRequestEntry.1.MessageBody": "a & b",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Name": "n",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType": "String",
        "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue": "v",
        "SendMessageBatchRequestEntry.2.Id": "two", "SendMessageBatchRequestEntry.2.MessageBody": "\x02"})
    assert text(tree, "Id") == ["one", "two"]
    assert text(tree.find(f".//{NS}BatchResultErrorEntry"), "Code") == ["InvalidMessageContents"]
    _, tree = query(server, "ReceiveMessage", path, **{"MessageAttributeName.1": "All", "AttributeName.1": "SentTimestamp"})
    message = tree.find(f"{NS}ReceiveMessageResult/{NS}Message")
    assert message.find(NS + "Body").text == "a & b"
    assert message.find(f"{NS}MessageAttribute/{NS}Value/{NS}StringValue").text == "v"
    assert message.find(f"{NS}Attribute/{NS}Name").text == "SentTimestamp"
    (handle,) = text(message, "ReceiptHandle")
    status, tree = query(server, "DeleteMessage", path, ReceiptHandle=handle)
    assert (status, [child.tag for child in tree]) == (200, [NS + "ResponseMetadata"])
    assert counts(sqs, url) == (0, 0, 0)


def test_errors_of_the_query_protocol_are_xml(server, sqs):
    status, tree = query(server, "GetQueueUrl", QueueName="nothing")
    assert (status, text(tree, "Code"), text(tree, "Type")) == (400, ["AWS.SimpleQueueService.NonExistentQueue"], ["Sender"])
    assert text(tree, "Message") == ["The specified queue does not exist for this wsdl version."]
    status, tree = query(server, "SendMessage", f"/{ACCOUNT}/nothing", MessageBody="b")
    assert text(tree, "Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    status, tree = query(server, "SendMessage", f"/{ACCOUNT}/nothing")
    assert (status, text(tree, "Code")) == (400, ["MissingParameter"])


def test_the_json_protocol_on_the_wire(server, sqs):
    def call(operation, body):
        return server.http("POST", "/", body, {"X-Amz-Target": "AmazonSQS." + operation, "Content-Type": "application/x-amz-json-1.0"})

    answer = call("GetQueueUrl", '{"QueueName":"nothing"}')
    assert (answer.status, answer.headers["content-type"]) == (400, "application/x-amz-json-1.0")
    assert answer.json() == {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."}
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    answer = call("Nothing", "{}")
    assert (answer.status, answer.json()["__type"]) == (404, "com.amazon.coral.service#UnknownOperationException")
    answer = call("ListQueues", "[1")
    assert (answer.status, answer.json()["__type"]) == (400, "com.amazon.coral.service#SerializationException")
    url = make(sqs)
    answer = call("PurgeQueue", json.dumps({"QueueUrl": url}))
    assert (answer.status, answer.body) == (200, b"")


# --- durability ---------------------------------------------------------------------------------------------------------


def test_acknowledged_messages_survive_kill(start_server):
    server = start_server()
    url = make(server.client("sqs"), VisibilityTimeout=0)
    acknowledged, deleting, deleted = set(), set(), set()
    generator = random.Random(2012)

    def work(base):
        client = server.client("sqs", max_pool_connections=base + 2)
        mine = f"http://localhost/{ACCOUNT}/queue"
        for n in range(base, base + 1000):
            try:
                client.send_message(QueueUrl=mine, MessageBody=str(n))
                acknowledged.add(n)
                if n % 3 == 0:
                    for message in receive(client, mine, 1):
                        number = int(message["Body"])
                        deleting.add(number)
                        client.delete_message(QueueUrl=mine, ReceiptHandle=message["ReceiptHandle"])
                        deleted.add(number)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                return

    for round_number in range(5):
        target = len(acknowledged) + generator.randrange(3, 30)
        worker = threading.Thread(target=work, args=(round_number * 1000,))
        worker.start()
        wait_for(lambda: len(acknowledged) >= target, "some messages to be accepted")
        server.kill()
        worker.join()
        server.restart()
    client, found = server.client("sqs"), []
    while messages := receive(client, f"http://localhost/{ACCOUNT}/queue", VisibilityTimeout=600):
        found += [int(message["Body"]) for message in messages]
    assert len(found) == len(set(found))
    # A delete that was not acknowledged may have been done or not.
    assert acknowledged - deleting <= set(found)
    assert deleted and not deleted & set(found)
