# SPDX-License-Identifier: Apache-2.0
"""Signatures and sessions of another time, and sessions whose role has gone: what each protocol says. The clock is moved, never waited for."""

import pytest

from test_events import advance
from test_iam_users import ACCOUNT, USER, allow, connect, document, refusal, role_for

ASK = {  # by protocol: REST JSON, JSON, query, REST XML
    "lambda": "list_functions",
    "logs": "describe_log_groups",
    "sts": "get_caller_identity",
    "s3": "list_buckets",
}


@pytest.fixture
def own(start_server):
    return start_server("--test-clock")


@pytest.fixture
def keys(own):
    iam = own.client("iam")
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="all", PolicyDocument=document(allow("*")))
    return iam.create_access_key(UserName="ann")["AccessKey"]


def answers(server, keys):
    """{service: (code, message)} of a request each; None where it was answered."""
    found = {}
    for service, operation in ASK.items():
        call = getattr(connect(server, keys, service), operation)
        try:
            found[service] = call() and None
        except call.__self__.exceptions.ClientError as failure:
            found[service] = (failure.response["Error"]["Code"], failure.response["Error"]["Message"])
    return found


def test_requests_signed_by_another_clock(own, keys):
    assert set(answers(own, keys).values()) == {None}
    advance(own, 14 * 60)
    assert set(answers(own, keys).values()) == {None}
    advance(own, 2 * 60)
    found = answers(own, keys)
    assert found.pop("s3") == ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
    assert {service: code for service, (code, _) in found.items()} == {
        "lambda": "InvalidSignatureException", "logs": "InvalidSignatureException", "sts": "SignatureDoesNotMatch"}  # fmt: skip
    for _, message in found.values():
        assert message.startswith("Signature expired: ") and message.endswith(" - 15 min.)"), message


def test_a_session_ends_with_its_time(own, keys):
    role = role_for(own.client("iam"), {"AWS": f"{USER}ann"}, allow("*"))["Arn"]
    session = connect(own, keys, "sts").assume_role(RoleArn=role, RoleSessionName="session", DurationSeconds=900)["Credentials"]
    assert set(answers(own, session).values()) == {None}
    advance(own, 901)
    assert {service: code for service, (code, _) in answers(own, session).items()} == {
        "lambda": "ExpiredTokenException", "logs": "ExpiredTokenException", "sts": "ExpiredToken", "s3": "ExpiredToken"}  # fmt: skip


def test_a_session_ends_with_its_role(own, keys):
    iam = own.client("iam")
    role = role_for(iam, {"AWS": f"{USER}ann"}, allow("*"))["Arn"]
    session = connect(own, keys, "sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    assert connect(own, session, "sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/session"
    iam.delete_role_policy(RoleName="worker", PolicyName="p")
    iam.delete_role(RoleName="worker")
    assert refusal(connect(own, session, "sts").get_caller_identity)[0] == "InvalidClientTokenId"
