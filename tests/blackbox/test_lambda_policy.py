# SPDX-License-Identifier: Apache-2.0
"""Resource policies: AddPermission, RemovePermission, GetPolicy. Statements and messages are AWS's (recorded)."""

import json

import pytest

from test_lambda_functions import ARN, ECHO, refusal

NO_RESOURCE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
STALE = (
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id",
)


def add(client, function="p", sid="s", action="lambda:InvokeFunction", principal="s3.amazonaws.com", **more):
    return client.add_permission(FunctionName=function, StatementId=sid, Action=action, Principal=principal, **more)


def policy(client, **more):
    return json.loads(client.get_policy(FunctionName="p", **more)["Policy"])


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"principal": "*", "SourceAccount": "000000000000"},
         {"Principal": "*", "Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}}}),
        ({"principal": "lambda.amazonaws.com"}, {"Principal": {"Service": "lambda.amazonaws.com"}}),
        ({"principal": "111111111111"}, {"Principal": {"AWS": "arn:aws:iam::111111111111:root"}}),
        ({"principal": "arn:aws:iam::111111111111:user/x"}, {"Principal": {"AWS": "arn:aws:iam::111111111111:user/x"}}),
        (
            {
                "principal": "*",
                "action": "lambda:InvokeFunctionUrl",
                "SourceArn": "arn:aws:s3:::bucket",
                "SourceAccount": "111111111111",
                "PrincipalOrgID": "o-1234567890",
                "FunctionUrlAuthType": "NONE",
            },
            {
                "Principal": "*",
                "Action": "lambda:InvokeFunctionUrl",
                "Condition": {
                    "StringEquals": {
                        "AWS:SourceAccount": "111111111111",
                        "lambda:FunctionUrlAuthType": "NONE",
                        "aws:PrincipalOrgID": "o-1234567890",
                    },
                    "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
                },
            },
        ),
        (
            {"principal": "*", "EventSourceToken": "amzn1.ask.skill.x"},
            {"Principal": "*", "Condition": {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.x"}}},
        ),
        (
            {"principal": "*", "InvokedViaFunctionUrl": True},
            {"Principal": "*", "Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}},
        ),
    ],
)
def test_statements_are_built_as_awss(server, lambda_, arguments, expected):
    server.create_function("p", ECHO)
    answer = add(lambda_, **arguments)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {"Sid": "s", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ARN + "p", **expected}
    order = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
    # The order of members too: clients compare the text.
    assert answer["Statement"] == json.dumps({k: statement[k] for k in order if k in statement}, separators=(",", ":"))
    assert policy(lambda_) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}


def test_statements_are_added_and_removed(server, lambda_):
    server.create_function("p", ECHO)
    add(lambda_, sid="one")
    first = lambda_.get_policy(FunctionName="p")["RevisionId"]
    add(lambda_, sid="two", principal="sqs.amazonaws.com")
    assert [s["Sid"] for s in policy(lambda_)["Statement"]] == ["one", "two"]
    assert refusal(lambda_.remove_permission, FunctionName="p", StatementId="non-existent") == (
        404,
        "ResourceNotFoundException",
        "Statement non-existent is not found in resource policy.",
    )
    answer = lambda_.remove_permission(FunctionName="p", StatementId="one")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert [s["Sid"] for s in policy(lambda_)["Statement"]] == ["two"]
    assert lambda_.get_policy(FunctionName="p")["RevisionId"] != first
    lambda_.remove_permission(FunctionName="p", StatementId="two")
    assert refusal(lambda_.get_policy, FunctionName="p") == NO_RESOURCE
    assert refusal(lambda_.remove_permission, FunctionName="p", StatementId="two") == (
        404,
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    )


def test_a_statement_id_is_used_once(server, lambda_):
    server.create_function("p", ECHO)
    add(lambda_)
    assert refusal(lambda_.add_permission, FunctionName="p", StatementId="s", Action="lambda:*", Principal="*") == (
        409,
        "ResourceConflictException",
        "The statement id (s) provided already exists. Please provide a new statement id, or remove the existing statement.",
    )


def test_revisions_guard_policies(server, lambda_):
    server.create_function("p", ECHO)
    arguments = {"FunctionName": "p", "StatementId": "x", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    assert refusal(lambda_.add_permission, **arguments, RevisionId="wrong") == STALE
    add(lambda_)
    revision = lambda_.get_policy(FunctionName="p")["RevisionId"]
    add(lambda_, sid="t", RevisionId=revision)
    assert refusal(lambda_.add_permission, **arguments, RevisionId=revision) == STALE
    assert refusal(lambda_.remove_permission, FunctionName="p", StatementId="s", RevisionId=revision) == STALE
    # Publishing changes the function's revision, not the policy's [AWS, November 2025].
    revision = lambda_.get_policy(FunctionName="p")["RevisionId"]
    lambda_.publish_version(FunctionName="p")
    assert lambda_.get_policy(FunctionName="p")["RevisionId"] == revision


def test_a_version_has_a_policy_of_its_own(server, lambda_):
    server.create_function("p", ECHO, Publish=True)
    add(lambda_)
    assert refusal(lambda_.get_policy, FunctionName="p", Qualifier="1") == NO_RESOURCE
    add(lambda_, Qualifier="1")
    assert policy(lambda_, Qualifier="1")["Statement"][0]["Resource"] == ARN + "p:1"
    assert policy(lambda_)["Statement"][0]["Resource"] == ARN + "p"


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"Principal": "invalid.nonaws.com"}, (400, "InvalidParameterValueException", "The provided principal was invalid. Please check the principal and try again.")),
        ({"Qualifier": "$LATEST"}, (400, "InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")),
        ({"Qualifier": "42"}, (404, "ResourceNotFoundException", f"Function not found: {ARN}p:42")),
        ({"Qualifier": "alias-doesnotexist"}, (404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}p:alias-doesnotexist")),
        ({"Qualifier": "valid-with-$-but"}, (404, "ResourceNotFoundException", f"Function not found: {ARN}p:valid-with-$-but")),
        ({"FunctionName": "doesnotexist"}, (404, "ResourceNotFoundException", f"Function not found: {ARN}doesnotexist")),
        (
            {"StatementId": "example.com"},
            (400, "ValidationException", "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"),
        ),
        (
            {"FunctionName": "p:1", "Qualifier": "2"},
            (400, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier."),
        ),
    ],
)
def test_add_refuses_as_aws_does(server, lambda_, change, expected):
    server.create_function("p", ECHO)
    arguments = {"FunctionName": "p", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", **change}
    assert refusal(lambda_.add_permission, **arguments) == expected


def test_policies_of_what_is_not_there(lambda_):
    assert refusal(lambda_.get_policy, FunctionName="doesnotexist") == NO_RESOURCE
    assert refusal(lambda_.remove_permission, FunctionName="doesnotexist", StatementId="s") == (
        404,
        "ResourceNotFoundException",
        f"No policy found for: {ARN}doesnotexist",
    )


def test_a_policy_may_have_20_kb(server, lambda_):
    server.create_function("p", ECHO)
    status, code, message = None, None, None
    for i in range(100):
        arguments = {"FunctionName": "p", "StatementId": f"{i:04}" + "x" * 90, "Action": "lambda:InvokeFunction"}
        try:
            lambda_.add_permission(**arguments, Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::" + "b" * 50)
        except lambda_.exceptions.PolicyLengthExceededException as error:
            status, message = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Message"]
            break
    assert status == 400
    assert message.startswith("The final policy size (") and message.endswith(") is bigger than the limit (20480).")
    assert len(lambda_.get_policy(FunctionName="p")["Policy"]) <= 20480
