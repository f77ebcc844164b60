# SPDX-License-Identifier: Apache-2.0
"""IAM roles and STS, as far as functions and deploy tools need them."""

import json

import pytest

from test_lambda_functions import minimal, refusal

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def trust(service="lambda.amazonaws.com"):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def role(iam):
    """Makes roles and deletes them with all that hangs on them."""
    names = []

    def make(name="role", document=None, **more):
        answer = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document or trust()), **more)["Role"]
        names.append(name)
        return answer

    yield make
    for name in names:
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


def test_the_caller_is_the_account_of_the_key(server, sts):
    answer = sts.get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    other = server.client("sts", account="123456789012").get_caller_identity()
    assert other["Account"] == "123456789012"


def test_a_role_is_kept_and_read(iam, role):
    made = role(Description="for tests", Path="/team/", MaxSessionDuration=7200, Tags=[{"Key": "a", "Value": "b"}])
    assert made["Arn"] == "arn:aws:iam::000000000000:role/team/role"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    read = iam.get_role(RoleName="role")["Role"]
    assert read == made
    assert read["AssumeRolePolicyDocument"] == trust()
    assert (read["Path"], read["MaxSessionDuration"], read["Description"]) == ("/team/", 7200, "for tests")
    assert read["Tags"] == [{"Key": "a", "Value": "b"}]
    changed = trust("apigateway.amazonaws.com")
    iam.update_assume_role_policy(RoleName="role", PolicyDocument=json.dumps(changed))
    assert iam.get_role(RoleName="role")["Role"]["AssumeRolePolicyDocument"] == changed


def test_roles_are_listed_in_pages(iam, role):
    for i in range(5):
        role(f"r{i}", Path="/a/" if i % 2 else "/b/")
    pages = iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2})
    assert [r["RoleName"] for page in pages for r in page["Roles"]] == [f"r{i}" for i in range(5)]
    pages = iam.get_paginator("list_roles").paginate(PathPrefix="/a/", PaginationConfig={"PageSize": 1})
    assert [r["RoleName"] for page in pages for r in page["Roles"]] == ["r1", "r3"]


def test_roles_are_the_same_in_every_region(server, role):
    role()
    assert server.client("iam", region="eu-west-1").get_role(RoleName="role")


def test_refusals_are_iams(iam, role):
    role()
    missing = (404, "NoSuchEntity", "The role with name nope cannot be found.")
    assert refusal(iam.get_role, RoleName="nope") == missing
    assert refusal(iam.delete_role, RoleName="nope") == missing
    assert refusal(iam.put_role_policy, RoleName="nope", PolicyName="p", PolicyDocument=json.dumps(ALLOW)) == missing
    assert refusal(iam.create_role, RoleName="role", AssumeRolePolicyDocument=json.dumps(trust())) == (
        409,
        "EntityAlreadyExists",
        "Role with name role already exists.",
    )
    assert refusal(iam.get_role_policy, RoleName="role", PolicyName="nope") == (
        404,
        "NoSuchEntity",
        "The role policy with name nope cannot be found.",
    )
    assert refusal(iam.attach_role_policy, RoleName="role", PolicyArn="arn:aws:iam::000000000000:policy/mine")[:2] == (404, "NoSuchEntity")
    assert refusal(iam.detach_role_policy, RoleName="role", PolicyArn=BASIC) == (404, "NoSuchEntity", f"Policy {BASIC} was not found.")


@pytest.mark.parametrize(
    "document, message",
    [
        ("no json", "This policy contains invalid Json"),
        ("[]", "This policy contains invalid Json"),
        ("{}", "Syntax errors in policy."),
        (json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}), "Missing required field Principal"),
        (
            json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"}}),
            "Has prohibited field Resource",
        ),
    ],
)
def test_malformed_trust_policies_are_refused(iam, document, message):
    assert refusal(iam.create_role, RoleName="bad", AssumeRolePolicyDocument=document) == (400, "MalformedPolicyDocument", message)


def test_policies_of_a_role(iam, role):
    role()
    document = {**ALLOW, "Id": "50% + <ü> & more"}
    iam.put_role_policy(RoleName="role", PolicyName="inline", PolicyDocument=json.dumps(document, ensure_ascii=False))
    assert iam.get_role_policy(RoleName="role", PolicyName="inline")["PolicyDocument"] == document
    assert iam.list_role_policies(RoleName="role")["PolicyNames"] == ["inline"]
    iam.attach_role_policy(RoleName="role", PolicyArn=BASIC)
    iam.attach_role_policy(RoleName="role", PolicyArn=BASIC)
    assert iam.list_attached_role_policies(RoleName="role")["AttachedPolicies"] == [
        {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}
    ]
    assert refusal(iam.delete_role, RoleName="role") == (409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
    iam.detach_role_policy(RoleName="role", PolicyArn=BASIC)
    assert refusal(iam.delete_role, RoleName="role") == (409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
    iam.delete_role_policy(RoleName="role", PolicyName="inline")


# --- roles of functions -----------------------------------------------------------------------------------------------------

CANNOT = (400, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")


def test_a_role_that_does_not_trust_lambda_is_refused(lambda_, role):
    arn = role("wrong", trust("ec2.amazonaws.com"))["Arn"]
    assert refusal(lambda_.create_function, **minimal("x", Role=arn)) == CANNOT
    right = role("right", Path="/service/")["Arn"]
    lambda_.create_function(**minimal("x", Role=right))
    assert refusal(lambda_.update_function_configuration, FunctionName="x", Role=arn) == CANNOT
    assert lambda_.get_function_configuration(FunctionName="x")["Role"] == right


def test_a_role_of_another_account_is_refused(server, lambda_):
    other = server.client("iam", account="111111111111")
    arn = other.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trust()))["Role"]["Arn"]
    try:
        expected = (403, "AccessDeniedException", "Cross-account pass role is not allowed.")
        assert refusal(lambda_.create_function, **minimal("x", Role=arn)) == expected
    finally:
        other.delete_role(RoleName="theirs")


def test_a_role_that_was_never_made_is_accepted(lambda_):
    for i, account in enumerate(("000000000000", "123456789012")):
        lambda_.create_function(**minimal(f"x{i}", Role=f"arn:aws:iam::{account}:role/irrelevant"))


def test_roles_survive_a_restart(start_server):
    server = start_server()
    server.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(trust()))
    server.kill()
    server.restart()
    assert server.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
