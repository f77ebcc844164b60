# SPDX-License-Identifier: Apache-2.0
"""What a function can do with the AWS APIs, by an SDK that was told nothing: no endpoint, no keys, no region. And what it cannot."""

import json

import pytest

from sdk_support import code
from support import ROLE

ACCOUNT = "000000000000"


@pytest.fixture
def function(server):
    """make(name, more source, **options) -> call(what) of a function with the SDK in it."""

    def make(name, more="", **options):
        server.create_function(name, code(more), "python3.11", **{"Timeout": 60, "MemorySize": 1769, **options})

        def ask(do, **event):
            answer = server.invoke(name, {"do": do, **event})
            assert "FunctionError" not in answer, answer["Json"]
            return answer["Json"]

        return ask

    return make


def calls(ask, *each):
    return ask("calls", calls=each)


# --- what works ---------------------------------------------------------------------------------------------------------


def test_a_function_is_its_role_by_name(function):
    ask = function("who")
    (identity,) = calls(ask, ("sts", "get_caller_identity"))
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/test/who"
    assert identity["Account"] == ACCOUNT
    assert identity["UserId"].endswith(":who")


def test_what_a_function_is_given(function):
    variables = function("given")("variables")
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA") and len(variables["AWS_ACCESS_KEY_ID"]) == 20
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) == 40
    assert len(variables["AWS_SESSION_TOKEN"]) > 100
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"


def test_a_function_uses_a_queue(function, server):
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="from-inside")["QueueUrl"]
    try:
        ask = function("sender")
        sent, found, made = calls(
            ask,
            ("sqs", "send_message", {"QueueUrl": url, "MessageBody": "hello"}),
            ("sqs", "get_queue_url", {"QueueName": "from-inside"}),
            ("sqs", "create_queue", {"QueueName": "made-inside"}),
        )
        assert sent["MessageId"]
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        assert message["Body"] == "hello" and message["MessageId"] == sent["MessageId"]
        # The addresses that the function gets are good inside.
        back, gone = calls(
            ask,
            ("sqs", "send_message", {"QueueUrl": found["QueueUrl"], "MessageBody": "again"}),
            ("sqs", "delete_queue", {"QueueUrl": made["QueueUrl"]}),
        )
        assert back["MessageId"] and "error" not in gone
    finally:
        sqs.delete_queue(QueueUrl=url)


BUCKETS = """
def big(bucket):
    s3 = boto3.client("s3")
    body = os.urandom(9 << 20)
    s3.create_bucket(Bucket=bucket)
    s3.upload_fileobj(__import__("io").BytesIO(body), bucket, "parts")  # several parts at a time
    s3.put_object(Bucket=bucket, Key="whole", Body=body)
    same = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body for key in ("parts", "whole")]
    import botocore.config, urllib.error, urllib.request
    signer = boto3.client("s3", config=botocore.config.Config(signature_version="s3v4"))
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "whole"})
    same.append(urllib.request.urlopen(url).read() == body)
    try:
        urllib.request.urlopen(url.replace("whole", "parts"))
    except urllib.error.HTTPError as error:
        same.append(error.code)
    for key in ("parts", "whole"):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
    return same
"""


def test_a_function_keeps_objects(function):
    ask = function("keeper", BUCKETS)
    assert ask("big", bucket="bucket-from-inside") == [True, True, True, 403]


def test_a_function_invokes_another(function, server):
    server.create_function("other", {"index.py": "def handler(event, context):\n    return {'got': event}"})
    ask = function("caller")
    answer, missing = calls(
        ask,
        ("lambda", "invoke", {"FunctionName": "other", "Payload": '{"a": 1}'}),
        ("lambda", "invoke", {"FunctionName": "nobody", "Payload": "{}"}),
    )
    assert json.loads(answer["Payload"]) == {"got": {"a": 1}}
    assert missing["error"] == "ResourceNotFoundException" and missing["status"] == 404


CROWDS = """
def crowd(count):
    kept = [socket.create_connection(("127.0.0.1", 4566), timeout=60) for _ in range(count)]
    for one in kept:
        with __import__("contextlib").suppress(OSError):
            one.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    answers = []
    for one in kept:
        try:
            answers.append(one.recv(12).decode())
        except OSError as error:
            answers.append(type(error).__name__)
    return answers

def idlers(count):
    kept = [socket.create_connection(("127.0.0.1", 4566)) for _ in range(count)]
    return request("GET", "/")["status"]

def bodies(count):
    import select
    waiting = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", 4566), timeout=60)
        one.sendall(b"POST /2015-03-31/functions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 60000000\\r\\n\\r\\nx")
        waiting.append(one)
    globals()["held"], answers = list(waiting), []
    while len(waiting) > 1:
        for one in select.select(waiting, [], [], 60)[0] or [waiting[0]]:
            waiting.remove(one)
            answers.append(one.recv(12).decode())
    return answers

def slow(count):
    kept = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", 4566))
        one.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nX-")
        kept.append(one)
    globals().setdefault("held", []).append(kept)
    return len(kept)
"""


def test_more_connections_than_a_door_has_wait_for_one_another(function):
    ask = function("crowd", CROWDS)
    assert ask("idlers", count=90) == 403
    answers = ask("crowd", count=90)
    # Whoever was sent away for a newcomer before its request came sees that, and tries again.
    assert set(answers) <= {"HTTP/1.1 403", "", "ConnectionResetError"} and answers.count("HTTP/1.1 403") >= 32, answers


def test_slow_heads_and_bodies_hold_up_their_own_function_only(function, server):
    ask = function("slow", CROWDS)
    assert ask("bodies", count=3) == ["HTTP/1.1 503", "HTTP/1.1 503"]  # one fits
    assert ask("slow", count=40) == 40
    (identity,) = calls(function("quick"), ("sts", "get_caller_identity"))
    assert identity["Arn"].endswith("/quick")
    assert server.client("sts").get_caller_identity()["Account"] == ACCOUNT


# --- what does not ------------------------------------------------------------------------------------------------------

FORGERIES = """
import botocore.session, botocore.credentials

def changed(text, at):
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]

def forge():
    own = botocore.session.get_session().get_credentials()
    key, secret, token = own.access_key, own.secret_key, own.token
    others = {
        "habit": ("test", "test", None),
        "account": ("111122223333", "test", None),
        "another key": (changed(key, 10), secret, token),
        "another secret": (key, changed(secret, 5), token),
        "no token": (key, secret, None),
        "half a token": (key, secret, token[: len(token) // 2]),
        **{f"token changed at {at}": (key, secret, changed(token, at)) for at in (0, 3, 40, len(token) // 2, len(token) - 3)},
    }
    return {name: [call(service, operation, {}, {"aws_access_key_id": one, "aws_secret_access_key": two, "aws_session_token": three,
                                                 "config": __import__("botocore.config").config.Config(retries={"total_max_attempts": 1})})
                   for service, operation in (("sts", "get_caller_identity"), ("sqs", "list_queues"), ("s3", "list_buckets"))]
            for name, (one, two, three) in others.items()}
"""


def test_only_our_own_sessions_count(function):
    answers = function("forger", FORGERIES)("forge")
    assert len(answers) == 11
    for name, (sts, sqs, s3) in answers.items():
        assert sts.get("status") == 403, (name, sts)
        assert sqs.get("status") == 403, (name, sqs)
        assert s3.get("status") == 403, (name, s3)


def test_unsigned_requests_are_refused(function, server):
    ask = function("stranger")
    target = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    requests = [
        {"method": "GET", "path": "/2015-03-31/functions/"},
        {"method": "DELETE", "path": "/2015-03-31/functions/stranger"},
        {"method": "POST", "path": "/2015-03-31/functions/stranger/invocations", "body": "{}"},
        {"method": "POST", "path": "/", "body": "{}", "headers": target},
        {"method": "POST", "path": "/", "body": "Action=ListQueues&Version=2012-11-05", "headers": form},
        {"method": "POST", "path": "/", "body": "Action=GetCallerIdentity&Version=2011-06-15", "headers": form},
        {"method": "POST", "path": "/", "body": "Action=ListRoles&Version=2010-05-08", "headers": form},
        {"method": "GET", "path": "/v2/apis"},
        {"method": "GET", "path": "/000000000000/some-queue?Action=ReceiveMessage"},
        {"method": "GET", "path": "/bucket/key", "headers": {"Host": "s3.us-east-1.amazonaws.com"}},
        {"method": "PUT", "path": "/key", "headers": {"Host": "bucket.s3.localhost.localstack.cloud"}, "body": "x"},
        {"method": "GET", "path": "/"},
    ]
    for asked, answer in zip(requests, ask("requests", requests=requests)):
        assert answer["status"] == 403, (asked, answer)
    assert server.client("lambda").get_function(FunctionName="stranger")


def test_nothing_but_the_apis_is_behind_the_door(function, server):
    """Hooks, pages, deployed APIs and function URLs are not, whatever path or host name is asked for."""
    server.create_function("public", {"index.py": "def handler(event, context):\n    return 'reached'"})
    lambda_ = server.client("lambda")
    for action, more in (("InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}), ("InvokeFunction", {"InvokedViaFunctionUrl": True})):
        lambda_.add_permission(FunctionName="public", StatementId=action, Action=f"lambda:{action}", Principal="*", **more)
    url = lambda_.create_function_url_config(FunctionName="public", AuthType="NONE")["FunctionUrl"]
    host = url.split("/")[2]
    assert server.http("GET", "/", host=host).text == "reached"
    requests = [
        {"method": "POST", "path": "/moto-api/reset"},
        {"method": "GET", "path": "/_localstack/health"},
        {"method": "GET", "path": "/_sluice/health"},
        {"method": "GET", "path": "/_sluice/top"},
        {"method": "POST", "path": "/_sluice/clock", "body": "{}"},
        {"method": "GET", "path": "/_sluice/events"},
        {"method": "GET", "path": "/_aws/execute-api/abc/prod/"},
        {"method": "GET", "path": "/", "headers": {"Host": host}},
        {"method": "GET", "path": "/", "headers": {"Host": "abc.execute-api.localhost:4566"}},
        {"method": "GET", "path": "http://" + host + "/"},
        {"method": "GET", "path": "/2018-06-01/runtime/invocation/next"},
    ]
    for asked, answer in zip(requests, function("curious")("requests", requests=requests)):
        assert answer["status"] in (403, 404), (asked, answer)
        assert "reached" not in answer["body"], (asked, answer)


def test_a_role_that_nobody_created_has_data_only(function, server, tmp_path):
    """Functions, users and the files of this machine take a role whose policies say so."""
    (tmp_path / "index.py").write_text("def handler(event, context):\n    return 'read'")
    ask = function("modest")
    new = {"Runtime": "python3.11", "Role": ROLE, "Handler": "index.handler"}
    hot = {"S3Bucket": "hot-reload", "S3Key": str(tmp_path)}
    answers = calls(
        ask,
        ("lambda", "delete_function", {"FunctionName": "modest"}),
        ("lambda", "get_function", {"FunctionName": "modest"}),
        ("lambda", "list_functions"),
        ("lambda", "create_function", {"FunctionName": "made", "Code": hot, **new}),
        ("iam", "create_role", {"RoleName": "mine", "AssumeRolePolicyDocument": "{}"}),
        ("iam", "put_role_policy", {"RoleName": "test", "PolicyName": "all", "PolicyDocument": "{}"}),
        ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1:4566/111122223333/theirs", "MessageBody": "x"}),
    )
    for answer in answers:
        assert answer["status"] == 403, answer
        assert answer["error"] in ("AccessDenied", "AccessDeniedException"), answer
    assert "assumed-role/test/modest is not authorized to perform: lambda:DeleteFunction" in answers[0]["message"]
    assert server.client("lambda").get_function(FunctionName="modest")


# --- roles ------------------------------------------------------------------------------------------------------------

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture
def role(server):
    """make(name, *statements) -> ARN of a role with these as its policy; also changes the policy of one that is there."""
    iam, made = server.client("iam"), []

    def make(name, *statements):
        if name not in made:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
            made.append(name)
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def remove(name):
        made.remove(name)
        iam.delete_role_policy(RoleName=name, PolicyName="only")
        iam.delete_role(RoleName=name)

    make.remove = remove
    yield make
    for name in list(made):
        remove(name)


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def test_a_role_that_was_created_decides(function, server, role):
    sqs = server.client("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"].replace(str(server.port), "4566") for name in ("one", "two")}
    try:
        may_send = allow("sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:one")
        ask = function("ruled", Role=role("clerk", may_send))
        ask_for = [
            ("sqs", "send_message", {"QueueUrl": urls["one"], "MessageBody": "x"}),
            ("sqs", "send_message", {"QueueUrl": urls["two"], "MessageBody": "x"}),
            ("sqs", "receive_message", {"QueueUrl": urls["one"]}),
            ("s3", "list_buckets"),
            ("lambda", "invoke", {"FunctionName": "ruled", "Payload": "{}"}),
            ("sts", "get_caller_identity"),
        ]
        sent, *refused, identity = calls(ask, *ask_for)
        assert sent["MessageId"]
        for answer in refused:
            assert answer["error"] in ("AccessDenied", "AccessDeniedException"), answer
        assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/clerk/ruled"
        assert identity["UserId"].startswith("AROA") and identity["UserId"].endswith(":ruled")
        # What the policy says now counts, for the same instance and its same credentials.
        role("clerk", {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}, allow("sqs:*"))
        answers = calls(ask, *ask_for[:3])
        assert [answer.get("error") for answer in answers] == ["AccessDenied", "AccessDenied", None], answers
        assert answers[2]["Messages"][0]["Body"] == "x"
        # A role that is gone leaves nothing, not what a role has that never was.
        role.remove("clerk")
        (answer,) = calls(ask, ask_for[2])
        assert answer["status"] == 403, answer
    finally:
        for name in urls:
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def test_a_role_may_give_a_function_its_own_end_but_not_this_machine(function, server, role, tmp_path):
    (tmp_path / "index.py").write_text("def handler(event, context):\n    return 'read'")
    mighty = role("mighty", allow(["lambda:*", "iam:PassRole"]))
    ask = function("suicidal", Role=mighty)
    hot = {"S3Bucket": "hot-reload", "S3Key": str(tmp_path)}
    more = {"FunctionName": "made", "Role": mighty}
    code_of_the_host, image_of_the_host, gone = calls(
        ask,
        ("lambda", "create_function", {**more, "Runtime": "python3.11", "Handler": "index.handler", "Code": hot}),
        ("lambda", "create_function", {**more, "PackageType": "Image", "Code": {"ImageUri": f"file://{tmp_path}/image.tar"}}),
        ("lambda", "delete_function", {"FunctionName": "suicidal"}),
    )
    assert code_of_the_host["status"] == 400 and "hot-reload" not in code_of_the_host["message"], code_of_the_host
    assert "does not exist. Provide a valid source image" in image_of_the_host["message"], image_of_the_host
    assert "error" not in gone, gone
    assert [each["FunctionName"] for each in server.client("lambda").list_functions()["Functions"]] == []
