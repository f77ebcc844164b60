# SPDX-License-Identifier: Apache-2.0
"""Event source mappings: AWS's refusals (recorded); nothing is accepted that nobody polls."""

import pytest

from test_lambda_functions import ECHO, refusal

SQS = "arn:aws:sqs:us-east-1:000000000000:q"
KINESIS = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
DYNAMODB = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
NULL_POSITION = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."


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
            {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}}, "Topics": ["topic"]},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
    ],
)
def test_refusals_of_aws(server, lambda_, name, arguments, message):
    server.create_function("f", ECHO)
    found = refusal(lambda_.create_event_source_mapping, FunctionName=name, **arguments)
    assert found == (400, "InvalidParameterValueException", message)


def test_a_source_that_nothing_polls_is_refused(server, lambda_):
    server.create_function("f", ECHO)
    for arguments in ({"EventSourceArn": SQS}, {"EventSourceArn": KINESIS, "StartingPosition": "LATEST"}):
        found = refusal(lambda_.create_event_source_mapping, FunctionName="f", **arguments)
        assert found[:2] == (400, "InvalidParameterValueException")
    assert lambda_.list_event_source_mappings()["EventSourceMappings"] == []


def test_mappings_that_are_not_there(lambda_):
    gone = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
    uuid = "00000000-0000-4000-8000-000000000000"
    for call in (lambda_.get_event_source_mapping, lambda_.update_event_source_mapping, lambda_.delete_event_source_mapping):
        assert refusal(call, UUID=uuid) == gone
