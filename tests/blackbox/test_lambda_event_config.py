# SPDX-License-Identifier: Apache-2.0
"""EventInvokeConfig as recorded from AWS, and what the event queue makes of it."""

import datetime

import pytest

from support import wait_for
from test_lambda_functions import ARN, ECHO, refusal

NONE = {"OnSuccess": {}, "OnFailure": {}}
NO_FUNCTION = (404, "ResourceNotFoundException", "The function doesn't exist.")


def shown(answer):
    assert isinstance(answer["LastModified"], datetime.datetime)
    return {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "LastModified")}


def no_config(arn):
    return 404, "ResourceNotFoundException", f"The function {arn} doesn't have an EventInvokeConfig"


def test_the_life_of_a_configuration(server, lambda_):
    server.create_function("f", ECHO, Publish=True)
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    latest = {"DestinationConfig": NONE, "FunctionArn": ARN + "f:$LATEST"}
    put = lambda_.put_function_event_invoke_config
    assert shown(put(FunctionName="f", MaximumRetryAttempts=0)) == {**latest, "MaximumRetryAttempts": 0}
    assert shown(put(FunctionName="f", MaximumEventAgeInSeconds=60)) == {**latest, "MaximumEventAgeInSeconds": 60}
    both = {**latest, "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1}
    assert shown(lambda_.update_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)) == both
    assert shown(lambda_.get_function_event_invoke_config(FunctionName="f", Qualifier="$LATEST")) == both
    for qualifier in ("1", "live"):
        assert refusal(lambda_.get_function_event_invoke_config, FunctionName="f", Qualifier=qualifier) == no_config(f"{ARN}f:{qualifier}")
        assert shown(put(FunctionName=f"f:{qualifier}", MaximumRetryAttempts=2))["FunctionArn"] == f"{ARN}f:{qualifier}"
    for size in (1, 50):
        pages = lambda_.get_paginator("list_function_event_invoke_configs").paginate(FunctionName="f", PaginationConfig={"PageSize": size})
        found = [config["FunctionArn"] for page in pages for config in page["FunctionEventInvokeConfigs"]]
        assert found == [ARN + "f:$LATEST", ARN + "f:1", ARN + "f:live"]
    lambda_.delete_function_event_invoke_config(FunctionName="f")
    assert refusal(lambda_.delete_function_event_invoke_config, FunctionName="f") == no_config(ARN + "f:$LATEST")
    assert refusal(lambda_.update_function_event_invoke_config, FunctionName="f", MaximumRetryAttempts=0) == no_config(ARN + "f:$LATEST")
    lambda_.delete_alias(FunctionName="f", Name="live")
    assert len(lambda_.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]) == 1


@pytest.mark.parametrize("name", ["nope", ARN + "nope", "nope:alias"])
def test_functions_that_are_not_there(lambda_, name):
    qualified = ARN + "nope:" + ("alias" if name.endswith("alias") else "$LATEST")
    assert refusal(lambda_.put_function_event_invoke_config, FunctionName=name, MaximumRetryAttempts=0) == NO_FUNCTION
    assert refusal(lambda_.update_function_event_invoke_config, FunctionName=name, MaximumRetryAttempts=0) == NO_FUNCTION
    assert refusal(lambda_.get_function_event_invoke_config, FunctionName=name) == no_config(qualified)
    assert refusal(lambda_.delete_function_event_invoke_config, FunctionName=name) == no_config(qualified)


def test_destinations_are_checked(server, lambda_):
    server.create_function("f", ECHO)
    server.create_function("other", ECHO)

    def put(**destinations):
        config = {side: {"Destination": arn} for side, arn in destinations.items()}
        return lambda_.put_function_event_invoke_config(FunctionName="f", DestinationConfig=config)

    def refused(**destinations):
        status, code, message = refusal(put, **destinations)
        assert (status, code) == (400, "InvalidParameterValueException")
        return message

    assert shown(put(OnSuccess=ARN + "other"))["DestinationConfig"] == {"OnSuccess": {"Destination": ARN + "other"}, "OnFailure": {}}
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    queue = "arn:aws:sqs:us-east-1:000000000000:told"
    assert put(OnFailure=queue)["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": queue}}
    sqs.delete_queue(QueueUrl=url)
    assert refused(OnFailure=queue) == f"The destination ARN {queue} is invalid."
    assert refused(OnSuccess=ARN + "f") == "You can't specify the function as a destination for itself."
    assert refused(OnSuccess=ARN + "doesnotexist") == f"The destination ARN {ARN}doesnotexist is invalid."
    wrong = ARN.replace("lambda", "iam") + "f"
    assert refused(OnSuccess=wrong) == (
        f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={wrong}), onFailure=null) is invalid."
    )
    assert refusal(lambda_.put_function_event_invoke_config, FunctionName="f") == (
        400,
        "InvalidParameterValueException",
        "You must specify at least one of error handling or destination setting.",
    )


@pytest.mark.parametrize(
    "limit, why",
    [
        ({"MaximumRetryAttempts": 0}, "RetriesExhausted"),
        ({"MaximumEventAgeInSeconds": 60}, "EventAgeExceeded"),
    ],
)
@pytest.mark.parametrize("qualifier", ["$LATEST", "live"])
def test_an_event_is_retried_as_its_function_allows(server, lambda_, limit, why, qualifier):
    server.create_function("f", {"index.py": "def handler(event, context):\n    raise ValueError\n"}, Publish=True)
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambda_.put_function_event_invoke_config(FunctionName="f", Qualifier=qualifier, **limit)
    answer = lambda_.invoke(FunctionName="f", Qualifier=qualifier, InvocationType="Event")
    request_id = answer["ResponseMetadata"]["RequestId"]
    wait_for(lambda: f"event {request_id} for {ARN}f:{qualifier} given up: {why}" in server.log(), "the event to be given up")
