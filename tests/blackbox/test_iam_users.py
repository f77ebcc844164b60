# SPDX-License-Identifier: Apache-2.0
"""Users, keys, groups, managed policies and sessions: what they may do, and what is said to those who may not."""

import json
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from test_iam_sts import trust
from test_lambda_functions import minimal

ACCOUNT = "000000000000"
USER = f"arn:aws:iam::{ACCOUNT}:user/"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def connect(server, keys, service, **config):
    """A client with keys as CreateAccessKey or AssumeRole answer them; closed with the server's others."""
    client = boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
        config=botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config),
    )
    server.clients[id(client)] = client
    return client


def refusal(call, **parameters):
    """Code and message of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def wipe(iam):
    """Takes away all users, groups, and the managed policies, with what hangs on them."""
    for user in iam.list_users()["Users"]:
        name = {"UserName": user["UserName"]}
        for key in iam.list_access_keys(**name)["AccessKeyMetadata"]:
            iam.delete_access_key(**name, AccessKeyId=key["AccessKeyId"])
        for group in iam.list_groups_for_user(**name)["Groups"]:
            iam.remove_user_from_group(**name, GroupName=group["GroupName"])
        for policy in iam.list_user_policies(**name)["PolicyNames"]:
            iam.delete_user_policy(**name, PolicyName=policy)
        for policy in iam.list_attached_user_policies(**name)["AttachedPolicies"]:
            iam.detach_user_policy(**name, PolicyArn=policy["PolicyArn"])
        iam.delete_user(**name)
    for group in iam.list_groups()["Groups"]:
        name = {"GroupName": group["GroupName"]}
        for policy in iam.list_group_policies(**name)["PolicyNames"]:
            iam.delete_group_policy(**name, PolicyName=policy)
        for policy in iam.list_attached_group_policies(**name)["AttachedPolicies"]:
            iam.detach_group_policy(**name, PolicyArn=policy["PolicyArn"])
        iam.delete_group(**name)
    for role in iam.list_roles()["Roles"]:
        name = {"RoleName": role["RoleName"]}
        for policy in iam.list_role_policies(**name)["PolicyNames"]:
            iam.delete_role_policy(**name, PolicyName=policy)
        for policy in iam.list_attached_role_policies(**name)["AttachedPolicies"]:
            iam.detach_role_policy(**name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(**name)
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        for version in iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=policy["Arn"], VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=policy["Arn"])


@pytest.fixture
def clean(iam):
    yield iam
    wipe(iam)


@pytest.fixture
def user(clean):
    """Makes a user with these statements as an inline policy; gives its key."""

    def make(*statements, name="ann", **more):
        clean.create_user(UserName=name, **more)
        if statements:
            clean.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        return clean.create_access_key(UserName=name)["AccessKey"]

    return make


# --- resources ------------------------------------------------------------------------------------------------------


def test_a_user_is_made_found_renamed_and_deleted(clean):
    made = clean.create_user(UserName="ann", Path="/team/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == f"{USER}team/ann" and made["UserId"].startswith("AIDA")
    assert clean.get_user(UserName="ann")["User"] == made
    assert [u["UserName"] for u in clean.list_users(PathPrefix="/team/")["Users"]] == ["ann"]
    assert clean.list_users(PathPrefix="/other/")["Users"] == []
    assert refusal(clean.create_user, UserName="ann") == ("EntityAlreadyExists", "User with name ann already exists.")
    clean.update_user(UserName="ann", NewUserName="eve")
    assert refusal(clean.get_user, UserName="ann") == ("NoSuchEntity", "The user with name ann cannot be found.")
    assert clean.get_user(UserName="eve")["User"]["Arn"] == f"{USER}team/eve"
    key = clean.create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
    assert refusal(clean.delete_user, UserName="eve") == (
        "DeleteConflict",
        "Cannot delete entity, must delete access keys first.",
    )
    clean.delete_access_key(UserName="eve", AccessKeyId=key)
    clean.delete_user(UserName="eve")
    assert clean.list_users()["Users"] == []


def test_a_user_has_two_keys_at_most_and_shows_no_secret_again(clean):
    clean.create_user(UserName="ann")
    ids = {clean.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"] for _ in range(2)}
    assert refusal(clean.create_access_key, UserName="ann") == (
        "LimitExceeded",
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    listed = clean.list_access_keys(UserName="ann")["AccessKeyMetadata"]
    assert {k["AccessKeyId"] for k in listed} == ids and all("SecretAccessKey" not in k for k in listed)
    name, text = refusal(clean.delete_access_key, UserName="ann", AccessKeyId="AKIAQQQQQQQQQQQQQQQQ")
    assert (name, text) == ("NoSuchEntity", "The Access Key with id AKIAQQQQQQQQQQQQQQQQ cannot be found.")


def test_a_managed_policy_has_five_versions_and_one_of_them_counts(clean):
    arn = clean.create_policy(PolicyName="p", PolicyDocument=document(allow("s3:*")))["Policy"]["Arn"]
    for _ in range(4):
        clean.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("sqs:*")))
    assert refusal(clean.create_policy_version, PolicyArn=arn, PolicyDocument=document(allow("sqs:*")))[0] == "LimitExceeded"
    clean.set_default_policy_version(PolicyArn=arn, VersionId="v3")
    assert clean.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
    shown = clean.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert shown == json.loads(document(allow("s3:*")))
    assert refusal(clean.delete_policy_version, PolicyArn=arn, VersionId="v3")[0] == "DeleteConflict"
    assert refusal(clean.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    clean.create_user(UserName="ann")
    clean.attach_user_policy(UserName="ann", PolicyArn=arn)
    assert clean.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert [u["UserName"] for u in clean.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == ["ann"]


def test_policies_that_are_none_are_refused_in_iams_words(clean):
    def create(text):
        return refusal(clean.create_policy, PolicyName="p", PolicyDocument=text)

    assert create("{") == ("MalformedPolicyDocument", "This policy contains invalid Json")
    assert create(document({"Effect": "Allow", "Action": "s3:*"}))[1] == "Policy statement must contain resources."
    assert create(document(allow("nothing")))[0] == "MalformedPolicyDocument"
    assert create(document(allow("s3:*", Principal="*")))[1] == "Policy document should not specify a principal."
    assert create(document(allow("s3:" + "a" * 6144)))[1] == "Cannot exceed quota for PolicySize: 6144"
    assert refusal(clean.get_policy, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/none")[0] == "NoSuchEntity"


def test_aws_managed_policies_have_their_documents(iam):
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy["PolicyName"], policy["Path"]) == ("AWSLambdaSQSQueueExecutionRole", "/service-role/")
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert "sqs:ReceiveMessage" in shown["Statement"][0]["Action"]
    assert "AdministratorAccess" in [p["PolicyName"] for p in iam.list_policies(Scope="AWS")["Policies"]]


# --- callers --------------------------------------------------------------------------------------------------------


def test_a_user_may_call_one_function_and_nothing_else(server, user, lambda_):
    for name in ("mine", "other"):
        lambda_.create_function(**minimal(name))
    key = user(allow("lambda:InvokeFunction", "arn:aws:lambda:*:*:function:mine"))
    functions = connect(server, key, "lambda")
    assert functions.invoke(FunctionName="mine", InvocationType="DryRun")["StatusCode"] == 204
    assert refusal(functions.invoke, FunctionName="other", InvocationType="DryRun") == (
        "AccessDeniedException",
        f"User: {USER}ann is not authorized to perform: lambda:InvokeFunction on resource: "
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:other because no identity-based policy allows the "
        "lambda:InvokeFunction action",
    )
    assert refusal(functions.delete_function, FunctionName="mine")[0] == "AccessDeniedException"
    assert connect(server, key, "sts").get_caller_identity()["Arn"] == f"{USER}ann"


def test_each_service_refuses_in_its_own_form(server, user):
    key = user()
    wrong = {**key, "SecretAccessKey": "x" * 40}
    calls = {
        "lambda": ("list_functions", "AccessDeniedException", "InvalidSignatureException", 403),
        "apigatewayv2": ("get_apis", "AccessDeniedException", "InvalidSignatureException", 403),
        "logs": ("describe_log_groups", "AccessDeniedException", "InvalidSignatureException", 400),
        "sqs": ("list_queues", "AccessDenied", "SignatureDoesNotMatch", 403),
        "iam": ("list_users", "AccessDenied", "SignatureDoesNotMatch", 403),
        "s3": ("list_buckets", "AccessDenied", "SignatureDoesNotMatch", 403),
    }
    for service, (operation, denied, mismatch, status) in calls.items():
        for keys, expected in ((key, denied), (wrong, mismatch)):
            with pytest.raises(ClientError) as caught:
                getattr(connect(server, keys, service), operation)()
            error = caught.value.response
            assert (service, error["Error"]["Code"]) == (service, expected)
            assert (service, error["ResponseMetadata"]["HTTPStatusCode"]) == (service, status)


def test_a_deny_wins_and_a_boundary_limits(server, user, clean):
    key = user(allow("sqs:*"), deny("sqs:DeleteQueue"))
    queues = connect(server, key, "sqs")
    url = queues.create_queue(QueueName="iam-users")["QueueUrl"]
    try:
        name, text = refusal(queues.delete_queue, QueueUrl=url)
        assert name == "AccessDenied" and text.endswith("with an explicit deny in an identity-based policy")
        limit = clean.create_policy(PolicyName="limit", PolicyDocument=document(allow("sqs:Get*")))["Policy"]["Arn"]
        clean.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=limit)
        assert queues.get_queue_url(QueueName="iam-users")["QueueUrl"] == url
        name, text = refusal(queues.send_message, QueueUrl=url, MessageBody="a")
        assert text.endswith("because no permissions boundary allows the sqs:sendmessage action")
        clean.delete_user_permissions_boundary(UserName="ann")
        queues.send_message(QueueUrl=url, MessageBody="a")
    finally:
        server.client("sqs").delete_queue(QueueUrl=url)


def test_what_a_group_may_its_users_may_until_they_leave(server, user, clean):
    key = user()
    clean.create_group(GroupName="readers")
    clean.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    assert refusal(connect(server, key, "iam").list_users)[0] == "AccessDenied"
    clean.add_user_to_group(GroupName="readers", UserName="ann")
    assert [u["UserName"] for u in connect(server, key, "iam").list_users()["Users"]] == ["ann"]
    assert [u["UserName"] for u in clean.get_group(GroupName="readers")["Users"]] == ["ann"]
    assert refusal(clean.delete_group, GroupName="readers")[0] == "DeleteConflict"
    clean.remove_user_from_group(GroupName="readers", UserName="ann")
    assert refusal(connect(server, key, "iam").list_users)[0] == "AccessDenied"


def test_policy_variables_stand_for_the_caller(server, user):
    own = "arn:aws:iam::*:user/${aws:username}"
    key = user(allow("iam:*AccessKey*", own), allow("iam:GetUser", own))
    me = connect(server, key, "iam")
    assert me.get_user()["User"]["UserName"] == "ann"
    assert len(me.list_access_keys()["AccessKeyMetadata"]) == 1
    assert refusal(me.list_access_keys, UserName="bob")[0] == "AccessDenied"


def test_creating_a_function_asks_whether_the_role_may_be_passed(server, user, clean):
    key = user(allow("lambda:*"))
    functions = connect(server, key, "lambda")
    name, text = refusal(functions.create_function, **minimal("passed"))
    assert name == "AccessDeniedException" and "iam:PassRole" in text
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    clean.put_user_policy(UserName="ann", PolicyName="q", PolicyDocument=document(allow("iam:PassRole", Condition=condition)))
    assert functions.create_function(**minimal("passed"))["FunctionName"] == "passed"


def test_a_key_ends_when_it_is_switched_off_or_deleted(server, user, clean):
    key = user()
    identity = connect(server, key, "sts").get_caller_identity
    clean.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refusal(identity)[0] == "InvalidClientTokenId"
    clean.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Active")
    assert identity()["Arn"] == f"{USER}ann"


def test_a_function_policy_lets_a_user_in_that_has_none(server, user, lambda_):
    key = user()
    lambda_.create_function(**minimal("shared"))
    lambda_.add_permission(FunctionName="shared", StatementId="s", Action="lambda:InvokeFunction", Principal=f"{USER}ann")
    functions = connect(server, key, "lambda")
    assert functions.invoke(FunctionName="shared", InvocationType="DryRun")["StatusCode"] == 204
    lambda_.remove_permission(FunctionName="shared", StatementId="s")
    assert refusal(functions.invoke, FunctionName="shared", InvocationType="DryRun")[0] == "AccessDeniedException"


def test_a_queue_policy_allows_and_denies(server, user):
    key = user(allow("sqs:SendMessage"))
    owner = server.client("sqs")
    url = owner.create_queue(QueueName="iam-policy")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:iam-policy"
    who = {"Principal": {"AWS": f"{USER}ann"}}
    try:
        rules = document(allow("sqs:ReceiveMessage", arn, **who), deny("sqs:SendMessage", arn, **who))
        owner.set_queue_attributes(QueueUrl=url, Attributes={"Policy": rules})
        queues = connect(server, key, "sqs")
        assert "Messages" not in queues.receive_message(QueueUrl=url)
        text = refusal(queues.send_message, QueueUrl=url, MessageBody="a")[1]
        assert text.endswith("with an explicit deny in a resource-based policy")
        owner.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        assert refusal(queues.receive_message, QueueUrl=url)[0] == "AccessDenied"
        queues.send_message(QueueUrl=url, MessageBody="a")
    finally:
        owner.delete_queue(QueueUrl=url)


BUCKET = "iam-bucket"


def bucket_rule(effect, action, below="/*", principal="*", **more):
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": f"arn:aws:s3:::{BUCKET}{below}", **more}


@pytest.fixture
def bucket(server):
    """A bucket that may be made public, with one object."""
    owner = server.client("s3")
    owner.create_bucket(Bucket=BUCKET)
    owner.put_object(Bucket=BUCKET, Key="a", Body=b"text")
    yield owner
    for key in ("a", "b"):
        owner.delete_object(Bucket=BUCKET, Key=key)
    owner.delete_bucket(Bucket=BUCKET)


def test_a_bucket_policy_allows_and_denies(server, user, bucket):
    objects = connect(server, user(allow("s3:PutObject")), "s3")
    assert refusal(objects.get_object, Bucket=BUCKET, Key="a")[0] == "AccessDenied"
    ann = {"AWS": f"{USER}ann"}
    text = document(bucket_rule("Allow", "s3:GetObject", principal=ann), bucket_rule("Deny", "s3:PutObject", principal=ann),
                    bucket_rule("Allow", "s3:ListBucket", "", principal=ann))  # fmt: skip
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=text)
    assert bucket.get_bucket_policy(Bucket=BUCKET)["Policy"] == text
    assert bucket.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": False}
    assert objects.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"text"
    assert [item["Key"] for item in objects.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["a"]
    assert "explicit deny in a resource-based policy" in refusal(objects.put_object, Bucket=BUCKET, Key="b", Body=b"")[1]
    assert refusal(objects.delete_object, Bucket=BUCKET, Key="a")[0] == "AccessDenied"
    bucket.delete_bucket_policy(Bucket=BUCKET)
    assert refusal(bucket.get_bucket_policy, Bucket=BUCKET) == ("NoSuchBucketPolicy", "The bucket policy does not exist")
    assert refusal(objects.get_object, Bucket=BUCKET, Key="a")[0] == "AccessDenied"
    objects.put_object(Bucket=BUCKET, Key="b", Body=b"")


def test_a_bucket_policy_does_not_lock_its_account_out(server, clean, bucket):
    key = clean.create_access_key()["AccessKey"]
    try:
        root = connect(server, key, "s3")
        bucket.put_bucket_policy(Bucket=BUCKET, Policy=document(bucket_rule("Deny", "s3:*"), bucket_rule("Deny", "s3:*", "")))
        assert refusal(root.get_object, Bucket=BUCKET, Key="a")[0] == "AccessDenied"
        assert refusal(root.list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"
        assert "Deny" in root.get_bucket_policy(Bucket=BUCKET)["Policy"]
        root.delete_bucket_policy(Bucket=BUCKET)
        assert root.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"text"
    finally:
        clean.delete_access_key(AccessKeyId=key["AccessKeyId"])


def test_a_public_policy_needs_the_block_taken_away(server, bucket):
    public = document(bucket_rule("Allow", "s3:GetObject"))
    code, text = refusal(bucket.put_bucket_policy, Bucket=BUCKET, Policy=public)
    assert code == "AccessDenied" and "BlockPublicPolicy" in text
    all_but_ann = bucket_rule("Allow", "s3:GetObject")
    all_but_ann["NotPrincipal"] = {"AWS": all_but_ann.pop("Principal") and f"{USER}ann"}
    nearly = [{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}, {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
              {"StringLike": {"aws:SourceAccount": "*"}}, {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}]  # fmt: skip
    for rule in (all_but_ann, *(bucket_rule("Allow", "s3:GetObject", Condition=test) for test in nearly)):
        assert refusal(bucket.put_bucket_policy, Bucket=BUCKET, Policy=document(rule))[0] == "AccessDenied", rule
    bounded = document(bucket_rule("Allow", "s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=bounded)
    assert bucket.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": False}
    bucket.delete_public_access_block(Bucket=BUCKET)
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=public)
    assert bucket.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": True}
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": True}
    bucket.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)
    assert bucket.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": False}


@pytest.mark.parametrize("text, message", [
    ("no JSON", "Policies must be valid JSON and the first byte must be '{'"),
    (json.dumps({"Version": "2012-10-17"}), "Missing required field Statement"),
    (json.dumps({"Version": "2011-01-01", "Statement": [bucket_rule("Allow", "s3:GetObject")]}), "The policy must contain a valid version string"),
    (document(bucket_rule("Maybe", "s3:GetObject")), "Invalid effect: Maybe"),
    (document({**bucket_rule("Allow", "s3:GetObject"), "Principal": {"AWS": "nobody"}}), "Invalid principal in policy"),
    (document(allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")), "Missing required field Principal"),
    (document({**bucket_rule("Allow", "s3:GetObject"), "NotPrincipal": "*"}), "Statement is not valid"),
    (document(bucket_rule("Allow", "sqs:SendMessage")), "Policy has invalid action"),
    (document(bucket_rule("Allow", "s3:GetObject", "-other/*")), "Policy has invalid resource"),
])  # fmt: skip
def test_bucket_policies_that_are_none_are_refused_in_s3s_words(bucket, text, message):
    assert refusal(bucket.put_bucket_policy, Bucket=BUCKET, Policy=text) == ("MalformedPolicy", message)
    assert refusal(bucket.get_bucket_policy, Bucket=BUCKET)[0] == "NoSuchBucketPolicy"


# --- sessions -------------------------------------------------------------------------------------------------------


def role_for(iam, principal, *statements, **more):
    document_ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]}
    role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(document_))["Role"]
    iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=document(*statements))
    return role


def test_a_session_has_its_roles_rights_within_its_own_policy(server, user, clean):
    key = user()
    role = role_for(clean, {"AWS": f"{USER}ann"}, allow("iam:List*"))
    sts = connect(server, key, "sts")
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ses", Policy=document(allow("iam:ListUsers")))
    who = connect(server, session["Credentials"], "sts").get_caller_identity()
    assert who["Arn"] == session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/ses"
    assert who["UserId"] == session["AssumedRoleUser"]["AssumedRoleId"] == f"{role['RoleId']}:ses"
    me = connect(server, session["Credentials"], "iam")
    assert len(me.list_users()["Users"]) == 1
    name, text = refusal(me.list_roles)
    assert name == "AccessDenied" and text.endswith("because no session policy allows the iam:ListRoles action")
    clean.delete_role_policy(RoleName="worker", PolicyName="p")
    assert refusal(me.list_users)[1].endswith("because no identity-based policy allows the iam:ListUsers action")


def test_who_may_assume_a_role_is_said_by_its_trust_policy(server, user, clean):
    key = user()
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    role = role_for(clean, {"AWS": f"{USER}ann"}, allow("iam:List*"), Condition=condition)
    sts = connect(server, key, "sts")
    assert refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="ses") == (
        "AccessDenied",
        f"User: {USER}ann is not authorized to perform: sts:AssumeRole on resource: {role['Arn']}",
    )
    assert "Credentials" in sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ses", ExternalId="secret")
    name, text = refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="ses", ExternalId="secret", DurationSeconds=7200)
    assert name == "ValidationError" and "MaxSessionDuration" in text
    clean.update_assume_role_policy(RoleName="worker", PolicyDocument=json.dumps(trust()))
    assert refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="ses", ExternalId="secret")[0] == "AccessDenied"


def test_tokens_of_others_and_forged_ones_are_nobodys(server, start_server, user, clean):
    key = user(allow("*"))
    sts = connect(server, key, "sts")
    mine, second = sts.get_session_token()["Credentials"], sts.get_session_token()["Credentials"]
    assert connect(server, mine, "sts").get_caller_identity()["Arn"] == f"{USER}ann"
    assert refusal(connect(server, mine, "sts").get_session_token)[0] == "AccessDenied"
    strict = start_server("--iam", "enforce", "--memory")
    crossed = {**mine, "AccessKeyId": second["AccessKeyId"]}
    changed = {**mine, "SessionToken": mine["SessionToken"][:-8] + "AAAAAAA="}
    for place, keys in ((strict, mine), (strict, crossed), (strict, changed), (strict, {**mine, "SessionToken": None})):
        assert refusal(connect(place, keys, "sts").get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(connect(server, {**mine, "SecretAccessKey": key["SecretAccessKey"]}, "sts").get_caller_identity)[0] == (
        "SignatureDoesNotMatch"
    )


def signed(server, key, body, sent):
    """One request to SQS with the signature of another body; its status and answer."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ListQueues"}
    request = botocore.awsrequest.AWSRequest(method="POST", url=server.url + "/", data=body, headers=headers)
    credentials = botocore.credentials.Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    botocore.auth.SigV4Auth(credentials, "sqs", "us-east-1").add_auth(request)
    prepared = urllib.request.Request(server.url + "/", data=sent.encode(), headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(prepared, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_signature_is_good_for_its_own_body_only(server, user):
    key = user(allow("sqs:*"))
    assert signed(server, key, "{}", "{}")[0] == 200
    status, text = signed(server, key, "{}", '{"MaxResults":1}')
    assert status == 403 and "does not match the signature you provided" in text


# --- a server that lets nobody in unknown ---------------------------------------------------------------------------


@pytest.fixture
def strict(start_server):
    """A server with --iam enforce and the key of an administrator, which was made before."""
    server = start_server()
    iam = server.client("iam")
    iam.create_user(UserName="admin")
    iam.attach_user_policy(UserName="admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    server.stop()
    server.options = (*server.options, "--iam", "enforce")
    server.start()
    return server, key


def test_enforced_nobody_unknown_comes_in_and_what_was_made_before_counts(strict):
    server, key = strict
    unknown = {
        "sts": ("get_caller_identity", "InvalidClientTokenId"),
        "lambda": ("list_functions", "UnrecognizedClientException"),
        "s3": ("list_buckets", "InvalidAccessKeyId"),
        "sqs": ("list_queues", "InvalidClientTokenId"),
        "logs": ("describe_log_groups", "UnrecognizedClientException"),
    }
    for service, (operation, code) in unknown.items():
        assert (service, refusal(getattr(server.client(service), operation))[0]) == (service, code)
    assert server.http("GET", "/2015-03-31/functions/").status == 403
    assert server.http("GET", "/_sluice/metrics").status == 403
    assert server.http("POST", "/moto-api/reset").status == 403
    assert server.http("GET", "/_sluice/health").status == 200
    assert connect(server, key, "sts").get_caller_identity()["Arn"] == f"{USER}admin"

    # objects: streamed bodies, presigned links, and what may not be added to them
    objects = connect(server, key, "s3", signature_version="s3v4")
    objects.create_bucket(Bucket="iam-strict")
    objects.put_object(Bucket="iam-strict", Key="a", Body=b"x" * 500000)
    link = objects.generate_presigned_url("get_object", Params={"Bucket": "iam-strict", "Key": "a"})
    with urllib.request.urlopen(link) as answer:
        assert len(answer.read()) == 500000
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link.replace("/a?", "/b?"))
    assert caught.value.code == 403 and b"SignatureDoesNotMatch" in caught.value.read()
    put = objects.generate_presigned_url("put_object", Params={"Bucket": "iam-strict", "Key": "b"})
    request = urllib.request.Request(put, data=b"", method="PUT", headers={"x-amz-copy-source": "/iam-strict/a"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403 and b"were not signed" in caught.value.read()

    # a bucket for everybody, also after a start of the server
    objects.delete_public_access_block(Bucket="iam-strict")
    everybody = {**allow("s3:GetObject", "arn:aws:s3:::iam-strict/a"), "Principal": "*"}
    objects.put_bucket_policy(Bucket="iam-strict", Policy=document(everybody))
    for _ in range(2):
        assert server.http("GET", "/a", host="iam-strict.s3.localhost").status == 200
        assert server.http("GET", "/iam-strict/a", host="s3.localhost").status == 200
        assert server.http("GET", "/iam-strict/b", host="s3.localhost").status == 403
        server.stop()
        server.start()
        objects = connect(server, key, "s3", signature_version="s3v4")
    objects.delete_bucket_policy(Bucket="iam-strict")
    assert server.http("GET", "/iam-strict/a", host="s3.localhost").status == 403

    # sessions
    iam = connect(server, key, "iam")
    role = role_for(iam, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, allow("sqs:*"))
    session = connect(server, key, "sts").assume_role(RoleArn=role["Arn"], RoleSessionName="ses")["Credentials"]
    assert "QueueUrl" in connect(server, session, "sqs").create_queue(QueueName="q")
    assert refusal(connect(server, session, "s3").list_buckets)[0] == "AccessDenied"


def test_an_address_of_other_machines_needs_enforcement_and_a_key(start_server):
    import subprocess

    from support import BIN

    for options, word in (([], "--iam enforce"), (["--iam", "enforce"], "nobody has an access key yet"), (["--iam", "some"], "choose enforce or off")):
        run = subprocess.run(
            [str(BIN), "serve", "--memory", "--listen", "0.0.0.0:0", *options], capture_output=True, text=True, timeout=120
        )
        assert run.returncode != 0 and word in run.stderr
