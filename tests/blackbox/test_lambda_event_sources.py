# SPDX-License-Identifier: Apache-2.0
"""Event source mappings: AWS's answers and refusals (recorded), and queues that are polled: batches, windows, filters, partial failures,
order, dead letters, loops."""

import json

import pytest

from support import wait_for
from test_lambda_functions import ARN, ECHO, refusal

SQS = "arn:aws:sqs:us-east-1:000000000000:q"
KINESIS = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
DYNAMODB = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
NULL_POSITION = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
KAFKA = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}}
SECRET = [{"Type": "BASIC_AUTH", "URI": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s"}]

# Prints what it gets; a body {"fail": N} fails while the message was received less than N times.
NOTES = {"index.py": """
import json
def handler(event, context):
    print('batch ' + json.dumps(event), flush=True)
    for record in event['Records']:
        body = record['body']
        if body.startswith('{"fail"') and int(record['attributes']['ApproximateReceiveCount']) <= json.loads(body)['fail']:
            raise ValueError('on purpose')
"""}
PARTIAL = {"index.py": """
import json
def handler(event, context):
    print('batch ' + json.dumps(event), flush=True)
    return {'batchItemFailures': [{'itemIdentifier': record['messageId']} for record in event['Records'] if 'bad' in record['body']]}
"""}


@pytest.fixture
def own(start_server):
    return start_server("--test-clock")


@pytest.fixture
def queue(server):
    """Makes queues on the shared server; mappings and queues are gone after the test."""
    sqs, lambda_ = server.client("sqs"), server.client("lambda")
    yield lambda name="q", **attributes: make_queue(server, name, **attributes)
    for mapping in lambda_.list_event_source_mappings()["EventSourceMappings"]:
        lambda_.delete_event_source_mapping(UUID=mapping["UUID"])
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)


def make_queue(server, name="q", **attributes):
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes={key: str(value) for key, value in attributes.items()})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def left(server, url):
    """(visible, in flight)"""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def batches(server, name="f"):
    text = server.http("GET", f"/_sluice/logs?function={name}").text
    return [json.loads(line[6:])["Records"] for line in text.splitlines() if line.startswith("batch ")]


def bodies(server, name="f"):
    return [record["body"] for batch in batches(server, name) for record in batch]


def advance(server, seconds):
    assert server.http("POST", f"/_sluice/clock?advance_ms={int(seconds * 1000)}").status == 200


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("f", {}, "Unrecognized event source."),
        ("nope", {"EventSourceArn": SQS}, "Function does not exist"),
        (
            "f",
            {"EventSourceArn": SQS, "DestinationConfig": {"OnFailure": {"Destination": SQS}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        ("f", {"EventSourceArn": KINESIS}, NULL_POSITION),
        ("f", {"EventSourceArn": DYNAMODB}, NULL_POSITION),
        (
            "f",
            {"EventSourceArn": DYNAMODB, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
            f"Unsupported starting position for arn type: {DYNAMODB}",
        ),
        (
            "f",
            {"SelfManagedEventSource": KAFKA, "Topics": ["topic"]},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
        ("f", {"EventSourceArn": SQS, "StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources."),
        (
            "f",
            {"EventSourceArn": SQS, "BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        *(
            ("f", {"EventSourceArn": SQS, "FilterCriteria": {"Filters": [{"Pattern": pattern}]}}, "Invalid filter pattern definition.")
            for pattern in ("null", '"simple string"', '{"eventSource": "aws:sqs"}', '{"eventSource": []}', "{not json")
        ),
        (
            "f",
            {"EventSourceArn": SQS},
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: "
            "The specified queue does not exist.",
        ),
    ],
)
def test_refusals_of_aws(server, lambda_, name, arguments, message):
    server.create_function("f", ECHO)
    found = refusal(lambda_.create_event_source_mapping, FunctionName=name, **arguments)
    assert found == (400, "InvalidParameterValueException", message)


def test_a_visibility_timeout_below_the_functions_is_refused(server, lambda_, queue):
    _, arn = queue(VisibilityTimeout=10)
    server.create_function("f", ECHO, Timeout=11)
    assert refusal(lambda_.create_event_source_mapping, FunctionName="f", EventSourceArn=arn) == (
        400,
        "InvalidParameterValueException",
        "Queue visibility timeout: 10 seconds is less than Function timeout: 11 seconds",
    )


def test_a_source_that_nothing_polls_is_refused(server, lambda_):
    server.create_function("f", ECHO)
    found = refusal(lambda_.create_event_source_mapping, FunctionName="f", EventSourceArn=KINESIS, StartingPosition="LATEST")
    assert found == (400, "InvalidParameterValueException", f"Stream not found: {KINESIS}")
    assert lambda_.list_event_source_mappings()["EventSourceMappings"] == []


def test_mappings_that_are_not_there(lambda_):
    gone = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
    uuid = "00000000-0000-4000-8000-000000000000"
    for call in (lambda_.get_event_source_mapping, lambda_.update_event_source_mapping, lambda_.delete_event_source_mapping):
        assert refusal(call, UUID=uuid) == gone


def test_the_life_of_a_mapping(server, lambda_, queue):
    server.create_function("f", ECHO)
    _, arn = queue()
    made = lambda_.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    uuid = made["UUID"]
    shown = {key: value for key, value in made.items() if key not in ("ResponseMetadata", "LastModified")}
    assert shown == {
        "UUID": uuid,
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "EventSourceArn": arn,
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid}",
        "FunctionArn": ARN + "f",
        "FunctionResponseTypes": [],
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
    }
    assert lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"
    assert refusal(lambda_.create_event_source_mapping, FunctionName="f", EventSourceArn=arn) == (
        409,
        "ResourceConflictException",
        f'An event source mapping with SQS arn (" {arn} ") and function (" f ") already exists. Please update or delete the existing '
        f"mapping with UUID {uuid}",
    )
    update = lambda_.update_event_source_mapping
    changed = update(UUID=uuid, BatchSize=5, ScalingConfig={"MaximumConcurrency": 3}, FunctionResponseTypes=["ReportBatchItemFailures"])
    assert (changed["State"], changed["BatchSize"], changed["ScalingConfig"]) == ("Updating", 5, {"MaximumConcurrency": 3})
    assert update(UUID=uuid, Enabled=False)["State"] == "Disabling"
    assert lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Disabled"
    assert update(UUID=uuid, Enabled=True)["State"] == "Enabling"
    for arguments in ({}, {"FunctionName": "f"}, {"EventSourceArn": arn}, {"FunctionName": ARN + "f", "EventSourceArn": arn}):
        assert [m["UUID"] for m in lambda_.list_event_source_mappings(**arguments)["EventSourceMappings"]] == [uuid]
    server.create_function("other", ECHO)
    assert lambda_.list_event_source_mappings(FunctionName="other")["EventSourceMappings"] == []
    assert lambda_.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert refusal(lambda_.get_event_source_mapping, UUID=uuid)[0] == 404


def test_a_kafka_mapping_is_kept_and_says_that_nothing_connects(server, lambda_, queue):
    server.create_function("f", ECHO)
    arguments = dict(FunctionName="f", SelfManagedEventSource=KAFKA, Topics=["topic"], SourceAccessConfigurations=SECRET,
                     StartingPosition="TRIM_HORIZON")
    made = lambda_.create_event_source_mapping(**arguments)
    assert made["SelfManagedKafkaEventSourceConfig"]["ConsumerGroupId"] == made["UUID"]
    assert (made["BatchSize"], made["LastProcessingResult"], made["State"]) == (100, "No records processed", "Creating")
    shown = lambda_.get_event_source_mapping(UUID=made["UUID"])
    assert shown["LastProcessingResult"].startswith("PROBLEM: Connection error.")
    assert refusal(lambda_.create_event_source_mapping, **arguments) == (
        409,
        "ResourceConflictException",
        f'An event source mapping with event source ("kafka:1000"), function ("{ARN}f"), topics ("topic") already exists. '
        f"Please update or delete the existing mapping with UUID {made['UUID']}",
    )


def test_a_message_arrives_as_aws_shows_it_and_is_deleted(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own)
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    sent = own.client("sqs").send_message(
        QueueUrl=url,
        MessageBody='{"ü": 1}',
        MessageAttributes={"Weeks": {"DataType": "Number", "StringValue": "6"}, "Raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}},
    )
    wait_for(lambda: batches(own))
    [[record]] = batches(own)
    for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp"):
        assert record["attributes"].pop(name).isdigit()
    assert record.pop("receiptHandle") and record["attributes"].pop("SenderId")
    assert record == {
        "messageId": sent["MessageId"],
        "body": '{"ü": 1}',
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "Weeks": {"stringValue": "6", "stringListValues": [], "binaryListValues": [], "dataType": "Number"},
            "Raw": {"binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
        },
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "us-east-1",
    }
    wait_for(lambda: left(own, url) == (0, 0), "the message to be deleted")


def test_every_message_is_handed_over_in_batches(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own)
    for base in range(0, 60, 10):
        own.client("sqs").send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(base + n)} for n in range(10)])
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, BatchSize=7)
    wait_for(lambda: len(bodies(own)) >= 60)
    assert sorted(map(int, bodies(own))) == list(range(60))
    assert max(map(len, batches(own))) == 7
    wait_for(lambda: left(own, url) == (0, 0))


def test_a_failed_batch_comes_again_after_the_visibility_timeout(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own)
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    own.client("sqs").send_message(QueueUrl=url, MessageBody='{"fail": 1}')
    wait_for(lambda: len(batches(own)) == 1)
    assert left(own, url) == (0, 1)
    advance(own, 31)
    wait_for(lambda: len(batches(own)) == 2)
    assert batches(own)[1][0]["attributes"]["ApproximateReceiveCount"] == "2"
    wait_for(lambda: left(own, url) == (0, 0))


def test_what_fails_too_often_goes_to_the_dead_letter_queue(own):
    own.create_function("f", NOTES)
    dead_url, dead = make_queue(own, "dead")
    url, arn = make_queue(own, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2}))
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    own.client("sqs").send_message(QueueUrl=url, MessageBody='{"fail": 9}')
    for count in (1, 2):
        wait_for(lambda: len(batches(own)) == count)
        advance(own, 31)
    wait_for(lambda: left(own, dead_url) == (1, 0), "the dead letter")
    assert left(own, url) == (0, 0)
    assert len(batches(own)) == 2


def test_reported_items_come_again_and_the_others_are_deleted(own):
    own.create_function("f", PARTIAL)
    url, arn = make_queue(own)
    own.client("sqs").send_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(("good", "bad", "fine"))])
    own.client("lambda").create_event_source_mapping(
        FunctionName="f", EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_for(lambda: len(bodies(own)) == 3)
    wait_for(lambda: left(own, url) == (0, 1), "two messages to be deleted")
    advance(own, 31)
    wait_for(lambda: bodies(own)[3:] == ["bad"])


@pytest.mark.parametrize(
    "answer, fails",
    [
        ("None", False),
        ("{}", False),
        ("''", False),
        ("{'batchItemFailures': None}", False),
        ("{'batchItemFailures': []}", False),
        ("{'batchItemFailures': [{'itemIdentifier': ''}]}", True),
        ("{'batchItemFailures': [{'itemIdentifier': None}]}", True),
        ("{'batchItemFailures': [{'foo': event['Records'][0]['messageId']}]}", True),
        ("{'batchItemFailures': [{'itemIdentifier': 'unknown'}]}", True),
    ],
)
def test_answers_about_a_batch_mean_what_they_mean_on_aws(own, answer, fails):
    own.create_function("f", {"index.py": f"def handler(event, context):\n    print('batch {{}}'.format('{{\"Records\":[]}}'), flush=True)\n    return {answer}\n"})
    url, arn = make_queue(own)
    own.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"])
    if fails:
        wait_for(lambda: batches(own))
        assert left(own, url) == (0, 1)
    else:
        wait_for(lambda: left(own, url) == (0, 0), "the message to be deleted")


def test_messages_that_no_filter_wants_are_deleted_unseen(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own)
    filters = [{"body": {"n": [{"numeric": [">", 2]}]}}, {"messageAttributes": {"kind": {"stringValue": [{"prefix": "w"}]}}}, {"body": ["plain"]}]
    own.client("lambda").create_event_source_mapping(
        FunctionName="f", EventSourceArn=arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(each)} for each in filters]})
    send = lambda body, **more: own.client("sqs").send_message(QueueUrl=url, MessageBody=body, **more)
    send('{"n": 2}')
    send("no json")
    send('{"n": 3}')
    send("x", MessageAttributes={"kind": {"DataType": "String", "StringValue": "wanted"}})
    send("plain")
    wait_for(lambda: sorted(bodies(own)) == ["plain", "x", '{"n": 3}'])
    wait_for(lambda: left(own, url) == (0, 0))


def test_a_window_gathers_a_batch(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own, VisibilityTimeout=300)
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, BatchSize=100, MaximumBatchingWindowInSeconds=60)
    for n in range(5):
        own.client("sqs").send_message(QueueUrl=url, MessageBody=str(n))
        wait_for(lambda: left(own, url) == (0, n + 1), "the message to be gathered")
    assert batches(own) == []
    advance(own, 61)
    wait_for(lambda: [len(batch) for batch in batches(own)] == [5])
    wait_for(lambda: left(own, url) == (0, 0))


def test_groups_of_a_fifo_queue_keep_their_order(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own, "q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, BatchSize=3)
    for n in range(12):
        for group in "abc":
            own.client("sqs").send_message(QueueUrl=url, MessageBody=f"{group}{n}", MessageGroupId=group)
    wait_for(lambda: len(bodies(own)) >= 36)
    for group in "abc":
        assert [body for body in bodies(own) if body[0] == group] == [f"{group}{n}" for n in range(12)]
    wait_for(lambda: left(own, url) == (0, 0))


def test_a_disabled_mapping_reads_nothing_until_it_is_enabled(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own)
    made = own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, Enabled=False)
    assert made["State"] == "Disabled"
    own.create_function("g", NOTES)
    _, other = make_queue(own, "other")
    own.client("sqs").send_message(QueueUrl=url, MessageBody="waits")
    own.client("lambda").create_event_source_mapping(FunctionName="g", EventSourceArn=other)
    own.client("sqs").send_message(QueueUrl=own.client("sqs").get_queue_url(QueueName="other")["QueueUrl"], MessageBody="goes")
    wait_for(lambda: bodies(own, "g") == ["goes"])
    assert left(own, url) == (1, 0)
    own.client("lambda").update_event_source_mapping(UUID=made["UUID"], Enabled=True)
    wait_for(lambda: bodies(own) == ["waits"])


def test_a_batch_for_an_alias_runs_its_version(own):
    own.create_function("f", {"index.py": "def handler(event, context):\n    print('by', context.invoked_function_arn, context.function_version, flush=True)\n"},
                           Publish=True)
    own.client("lambda").create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url, arn = make_queue(own)
    made = own.client("lambda").create_event_source_mapping(FunctionName="f:live", EventSourceArn=arn)
    assert made["FunctionArn"] == ARN + "f:live"
    own.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    wait_for(lambda: f"by {ARN}f:live 1" in own.http("GET", "/_sluice/logs?function=f").text)


def test_a_throttled_batch_is_tried_again_without_being_received_again(own):
    own.create_function("f", NOTES)
    lambda_ = own.client("lambda")
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    url, arn = make_queue(own, VisibilityTimeout=600)
    lambda_.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    own.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    wait_for(lambda: left(own, url) == (0, 1), "the message to be received")
    lambda_.delete_function_concurrency(FunctionName="f")

    def handled():
        advance(own, 2)
        return batches(own)

    wait_for(handled)
    assert batches(own)[0][0]["attributes"]["ApproximateReceiveCount"] == "1"
    wait_for(lambda: left(own, url) == (0, 0))


def test_mappings_go_on_after_a_kill(own):
    own.create_function("f", NOTES)
    url, arn = make_queue(own, VisibilityTimeout=30)
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn, FilterCriteria={"Filters": [{"Pattern": '{"body": ["a", "b"]}'}]})
    own.kill()
    own.restart()
    own.client("sqs").send_message(QueueUrl=url.replace(url.split("/")[2], own.url.split("/")[2]), MessageBody="a")
    wait_for(lambda: bodies(own) == ["a"])


def echo_trace(server, name="f"):
    return [line.split()[1] for line in server.http("GET", f"/_sluice/logs?function={name}").text.splitlines() if line.startswith("trace ")]


TRACE = {"index.py": "import os\ndef handler(event, context):\n    print('trace', os.environ['_X_AMZN_TRACE_ID'], flush=True)\n    return os.environ['_X_AMZN_TRACE_ID']\n"}


def invoke_with_trace(server, name, trace, kind="RequestResponse"):
    return server.http("POST", f"/2015-03-31/functions/{name}/invocations", b"{}",
                       {"X-Amzn-Trace-Id": trace, "X-Amz-Invocation-Type": kind})


def test_a_function_that_calls_itself_is_stopped(server, lambda_):
    server.create_function("f", TRACE)
    trace = "Root=1-5f-1;Parent=53;Sampled=0"
    for _ in range(16):
        answer = invoke_with_trace(server, "f", trace)
        assert answer.status == 200
        trace = answer.json()
    stopped = invoke_with_trace(server, "f", trace)
    assert (stopped.status, stopped.headers["x-amzn-errortype"]) == (400, "RecursiveInvocationException")
    server.create_function("g", TRACE)
    assert invoke_with_trace(server, "g", trace).status == 200  # another function is no loop yet
    lambda_.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    assert invoke_with_trace(server, "f", trace).status == 200


def test_an_event_in_a_loop_goes_to_the_failure_destination(own):
    own.create_function("f", TRACE)
    url, arn = make_queue(own)
    own.client("lambda").put_function_event_invoke_config(FunctionName="f", DestinationConfig={"OnFailure": {"Destination": arn}})
    trace = "Root=1-5f-1;Parent=53;Sampled=0"
    for _ in range(16):
        trace = invoke_with_trace(own, "f", trace).json()
    assert invoke_with_trace(own, "f", trace, "Event").status == 202
    wait_for(lambda: left(own, url) == (1, 0), "the record")
    [message] = own.client("sqs").receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["requestContext"]["condition"] == "RecursiveLoopDetected"


def test_a_loop_through_a_queue_ends_in_its_dead_letter_queue(own):
    own.create_function("f", TRACE)
    dead_url, dead = make_queue(own, "dead")
    url, arn = make_queue(own, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 5}))
    own.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    send = lambda trace: own.http(
        "POST", "/", json.dumps({"QueueUrl": url, "MessageBody": "again"}).encode(),
        {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0", "X-Amzn-Trace-Id": trace})
    trace = "Root=1-5f-1;Parent=53;Sampled=0"
    for count in range(1, 17):  # what a function with an SDK does in each round
        assert send(trace).status == 200
        wait_for(lambda: len(echo_trace(own)) == count, "the function to run")
        trace = echo_trace(own)[-1]
    assert send(trace).status == 200
    wait_for(lambda: left(own, dead_url) == (1, 0), "the message to be stopped")
    assert len(echo_trace(own)) == 16
