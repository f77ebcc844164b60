# SPDX-License-Identifier: Apache-2.0
"""Every error message of AWS Lambda that was recorded (../shared/data/aws-errors.tsv: status, type, message, a case that shows it) is
produced here by the situation that it names, to the letter. A row is produced either by a replayed case whose recording holds it
(test_lambda_recorded.py compares that answer), or by a situation of this file, or it is listed with the reason why it cannot occur.
replay/lambda_errors.json has the counts for docs/compatibility.md; that they are true, and that no row is without one of the three, is
checked here. Only the check against the rows needs the data, which is no part of this tree."""

import ast
import json

import pytest

from replay import ACCOUNT, ECHO, ROLE, fill
from replay import CASES, PLACEHOLDER, lambda_aliases, lambda_functions, lambda_grants, lambda_images, lambda_layers, lambda_names  # noqa: F401
from support import ROOT, zip_bytes
from test_lambda_functions import refusal
from test_lambda_recorded import LISTED, RECORDED, needs_recordings

FILE = ROOT.parent / "shared" / "data" / "aws-errors.tsv"
COUNTS = json.loads((ROOT / "tests" / "blackbox" / "replay" / "lambda_errors.json").read_text())
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:"
DYNAMODB = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/test-table-4a53f4e8/stream/2025-02-22T03:03:25.490"
KINESIS = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/test-foobar-81ded7e8"
SECRET = [{"Type": "BASIC_AUTH", "URI": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s"}]
CANNOT = COUNTS["cannot"]
SITUATIONS = {}


class Lab:
    """A function `f` of the account of the recordings, and what a situation makes beside it."""

    def __init__(self, server):
        self.lambda_ = server.client("lambda", account=ACCOUNT)
        self.sqs = server.client("sqs", account=ACCOUNT)
        self.queues, self.mappings = [], []
        self.lambda_.create_function(
            FunctionName="f", Role=ROLE, Runtime="python3.11", Handler="index.handler", Code={"ZipFile": zip_bytes(ECHO)}, Publish=True
        )
        self.lambda_.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})

    def queue(self):
        self.queues.append(self.sqs.create_queue(QueueName="q")["QueueUrl"])
        return self.arn("q")

    @staticmethod
    def arn(queue):
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"

    def map(self, **arguments):
        self.mappings.append(self.lambda_.create_event_source_mapping(FunctionName="f", **arguments)["UUID"])
        return self.mappings[-1]

    def refused_map(self, **arguments):
        return refusal(self.lambda_.create_event_source_mapping, FunctionName="f", **arguments)

    def clean(self):
        for uuid in self.mappings:
            self.lambda_.delete_event_source_mapping(UUID=uuid)
        for url in self.queues:
            self.sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def lab(server):
    lab = Lab(server)
    yield lab
    lab.clean()


def situation(status, code, message):
    """Registers what produces a row; it returns (status, type, message) as this server answered, and the values of placeholders in
    the order in which the message names them, if it knows them."""

    def register(function):
        assert (status, code, message) not in SITUATIONS, message
        SITUATIONS[status, code, message] = function
        return function

    return register


# --- situations -----------------------------------------------------------------------------------------------------

INVALID = (400, "InvalidParameterValueException")


@situation(*INVALID, " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].")
def fewer_reserved_than_provisioned(lab):
    lab.lambda_.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2)
    return refusal(lab.lambda_.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1), []


@situation(*INVALID, "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
def more_provisioned_than_reserved(lab):
    lab.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    put = lab.lambda_.put_provisioned_concurrency_config
    return refusal(put, FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2), []


@situation(
    *INVALID,
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified "
    "queue does not exist.",
)
def mapping_of_a_queue_that_is_not_there(lab):
    return lab.refused_map(EventSourceArn=lab.arn("not-there")), []


@situation(*INVALID, "Invalid filter pattern definition.")
def filter_that_is_a_string(lab):
    return lab.refused_map(EventSourceArn=lab.queue(), FilterCriteria={"Filters": [{"Pattern": '"simple string"'}]}), []


@situation(*INVALID, "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
def large_batch_without_a_window(lab):
    return lab.refused_map(EventSourceArn=lab.queue(), BatchSize=15), []


@situation(*INVALID, "Required 'sourceAccessConfigurations' parameter is missing.")
def kafka_without_credentials(lab):
    kafka = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}}
    return lab.refused_map(SelfManagedEventSource=kafka, Topics=["topic"]), []


@situation(*INVALID, f"Stream not found: {DYNAMODB}")
def mapping_of_a_table_stream_that_is_not_there(lab):
    return lab.refused_map(EventSourceArn=DYNAMODB, StartingPosition="LATEST"), []


@situation(*INVALID, f"Stream not found: {KINESIS}")
def mapping_of_a_data_stream_that_is_not_there(lab):
    return lab.refused_map(EventSourceArn=KINESIS, StartingPosition="LATEST"), []


CONTENT = (400, "InvalidRequestContentException")
PARSE = "Could not parse request body into json: Could not parse payload into json: "
SOURCE = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: "


@situation(*CONTENT, f"{PARSE}Invalid UTF-8 start byte 0x87{SOURCE}3]")
def payload_with_a_stray_byte(lab):
    return refusal(lab.lambda_.invoke, FunctionName="f", Payload=b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt"), []


@situation(
    *CONTENT,
    f"{PARSE}Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or token 'null', "
    f"'true' or 'false'){SOURCE}1]",
)
def payload_that_begins_with_a_stray_byte(lab):
    return refusal(lab.lambda_.invoke, FunctionName="f", Payload=b"\x99\xeb,j\x07\xa1zYh"), []


@situation(
    409,
    "ResourceConflictException",
    f'An event source mapping with SQS arn (" arn:aws:sqs:us-east-1:{ACCOUNT}:<resource:1> ") and function (" <resource:2> ") already '
    "exists. Please update or delete the existing mapping with UUID <uuid:1>",
)
def second_mapping_of_a_queue(lab):
    uuid = lab.map(EventSourceArn=lab.queue())
    return lab.refused_map(EventSourceArn=lab.arn("q")), ["q", "f", uuid]


def second_mapping_of_a_cluster(lab, *servers):
    def kafka(*names):
        endpoints = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": names}}
        return {"SelfManagedEventSource": endpoints, "Topics": ["topic"], "SourceAccessConfigurations": SECRET}

    uuid = lab.map(**kafka("kafka:1000"))
    return lab.refused_map(**kafka(*servers)), ["f", uuid]


KAFKA = (
    f'An event source mapping with event source ("{{}}"), function ("{ARN}function:<resource:1>"), topics ("topic") already exists. '
    "Please update or delete the existing mapping with UUID <uuid:1>"
)


@situation(409, "ResourceConflictException", KAFKA.format("kafka:1000"))
def second_mapping_of_the_same_cluster(lab):
    return second_mapping_of_a_cluster(lab, "kafka:1000")


@situation(409, "ResourceConflictException", KAFKA.format("kafka:1000,kafka:2000"))
def second_mapping_of_a_cluster_by_one_more_server(lab):
    return second_mapping_of_a_cluster(lab, "kafka:1000", "kafka:2000")


@situation(404, "ResourceNotFoundException", f"Function not found: {ARN}function:<function-name:1>:non-existent-alias")
def invocation_of_an_alias_that_is_not_there(lab):
    return refusal(lab.lambda_.invoke, FunctionName="f", Qualifier="non-existent-alias", Payload=b"{}"), ["f"]


@situation(429, "TooManyRequestsException", "Rate Exceeded.")
def invocation_of_a_function_without_concurrency(lab):
    lab.lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    return refusal(lab.lambda_.invoke, FunctionName="f", Payload=b"{}"), []


@situation(
    400,
    "ValidationException",
    "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value set: "
    "[RESPONSE_STREAM, BUFFERED]",
)
def url_with_a_mode_that_is_none(lab):
    return refusal(lab.lambda_.create_function_url_config, FunctionName="f", AuthType="NONE", InvokeMode="UNKNOWN"), []


# --- tests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SITUATIONS, ids=[function.__name__ for function in SITUATIONS.values()])
def test_a_situation_is_answered_to_the_letter(lab, row):
    (status, code, message), values = SITUATIONS[row](lab)
    expected = row[2]
    for value in values:
        expected = PLACEHOLDER.sub(lambda _: value, expected, count=1)
    assert (status, code, message) == (row[0], row[1], expected)


def recorded_rows():
    """{(status, type, message): ...} of the file's part about Lambda."""
    part, rows = None, set()
    for line in FILE.read_text().splitlines():
        if line.startswith("## "):
            part = line.split()[1]
        elif part == "lambda_":
            status, code, message, _ = line.split("\t")
            rows.add((int(status), code, fill(ast.literal_eval(message) or "")))
    return rows


def errors_of(value):
    if isinstance(value, dict):
        if "Error" in value and "ResponseMetadata" in value:
            error = value["Error"]
            yield value["ResponseMetadata"]["HTTPStatusCode"], error["Code"], fill(error.get("Message") or "")
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from errors_of(item)


def replayed_rows():
    """What the replayed cases that are equal to their recordings answered."""
    rows = set()
    for name, entry in RECORDED.items():
        if any(name.endswith("::" + case) for case in LISTED["equal"]):
            rows |= set(errors_of(entry["recorded-content"]))
    return rows


@needs_recordings
def test_every_recorded_message_has_a_situation_or_a_reason():
    rows, replayed, made = recorded_rows(), replayed_rows(), set(SITUATIONS)
    cannot = {row for row in rows if row[2] in CANNOT}
    assert not made - rows, "situations of messages that nobody recorded"
    assert len(cannot) == len(CANNOT), "reasons for messages that nobody recorded"
    assert not cannot & (made | replayed), "produced, and listed as impossible"
    assert not rows - made - cannot - replayed, "neither produced nor explained"
    assert COUNTS["rows"] == len(rows)
    assert COUNTS["replayed"] == len((rows & replayed) - made)
    assert COUNTS["situations"] == len(made)


def test_the_counts_are_those_of_this_file():
    assert COUNTS["situations"] == len(SITUATIONS)
    assert COUNTS["rows"] == COUNTS["replayed"] + COUNTS["situations"] + len(CANNOT)
