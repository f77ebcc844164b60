# SPDX-License-Identifier: Apache-2.0
"""Function URLs: the configuration, and what a URL does with requests."""

import base64
import re
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from test_lambda_functions import ARN, ECHO, body, refusal

FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
NO_RESOURCE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")


def grant(client, name, auth="NONE", principal="*"):
    client.add_permission(
        FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal=principal, FunctionUrlAuthType=auth
    )
    client.add_permission(
        FunctionName=name, StatementId="invoke", Action="lambda:InvokeFunction", Principal=principal, InvokedViaFunctionUrl=True
    )


class Url:
    """A function with a URL, and how to call it."""

    def __init__(self, server, code, granted=True, runtime="python3.11", **config):
        self.server, client = server, server.client("lambda")
        server.create_function("u", {"index.py": code}, runtime=runtime)
        self.config = client.create_function_url_config(FunctionName="u", **{"AuthType": "NONE", **config})
        self.host = urllib.parse.urlsplit(self.config["FunctionUrl"]).netloc
        if granted:
            grant(client, "u", self.config["AuthType"])

    def __call__(self, method="GET", path="/", body=None, headers=None):
        return self.server.http(method, path, body, headers, host=self.host)


EVENT = "def handler(event, context):\n    return event\n"


# --- the configuration --------------------------------------------------------------------------------------------------


def test_the_life_of_a_configuration(server, lambda_):
    server.create_function("u", ECHO)
    created = lambda_.create_function_url_config(FunctionName="u", AuthType="NONE")
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert set(body(created)) == {"AuthType", "CreationTime", "FunctionArn", "FunctionUrl"}
    assert re.fullmatch(r"http://[a-z0-9]{32}\.lambda-url\.us-east-1\.localhost:\d+/", created["FunctionUrl"])
    assert created["FunctionArn"] == ARN + "u"
    assert refusal(lambda_.create_function_url_config, FunctionName="u", AuthType="NONE") == (
        409,
        "ResourceConflictException",
        f"Failed to create function url config for [functionArn = {ARN}u]. Error message:  FunctionUrlConfig exists for this "
        "Lambda function",
    )
    read = body(lambda_.get_function_url_config(FunctionName="u"))
    assert read == {**body(created), "InvokeMode": "BUFFERED", "LastModifiedTime": created["CreationTime"]}
    updated = lambda_.update_function_url_config(FunctionName="u", AuthType="AWS_IAM", Cors={"AllowOrigins": ["https://x.test"]})
    assert (updated["AuthType"], updated["Cors"]) == ("AWS_IAM", {"AllowOrigins": ["https://x.test"]})
    assert updated["FunctionUrl"] == created["FunctionUrl"]
    listed = lambda_.list_function_url_configs(FunctionName="u")["FunctionUrlConfigs"]
    assert [item["AuthType"] for item in listed] == ["AWS_IAM"]
    assert lambda_.delete_function_url_config(FunctionName="u")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(lambda_.get_function_url_config, FunctionName="u") == NO_RESOURCE
    assert lambda_.list_function_url_configs(FunctionName="u")["FunctionUrlConfigs"] == []


def test_configurations_of_what_is_not_there(server, lambda_):
    missing = (404, "ResourceNotFoundException", "Function does not exist")
    assert refusal(lambda_.create_function_url_config, FunctionName="nope", AuthType="NONE") == missing
    assert refusal(lambda_.list_function_url_configs, FunctionName="nope") == missing
    server.create_function("u", ECHO)
    assert refusal(lambda_.create_function_url_config, FunctionName="u", AuthType="NONE", Qualifier="alias") == missing
    for call in (lambda_.get_function_url_config, lambda_.update_function_url_config, lambda_.delete_function_url_config):
        assert refusal(call, FunctionName="nope") == (missing if call == lambda_.update_function_url_config else NO_RESOURCE)
        assert refusal(call, FunctionName="u") == NO_RESOURCE
        for qualifier in ("1", "$LATEST"):
            assert refusal(call, FunctionName="u", Qualifier=qualifier) == (
                400,
                "ValidationException",
                f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: Member must satisfy "
                r"regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)",
            )


def test_invalid_modes_are_refused(server, lambda_):
    server.create_function("u", ECHO)
    assert refusal(lambda_.create_function_url_config, FunctionName="u", AuthType="NONE", InvokeMode="UNKNOWN") == (
        400,
        "ValidationException",
        "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value "
        "set: [RESPONSE_STREAM, BUFFERED]",
    )


# --- the event -----------------------------------------------------------------------------------------------------------


def test_the_event_is_payload_format_2(server):
    url = Url(server, EVENT)
    answer = url(
        "POST",
        "/pa2%2Fth/1/?x=1&y=a+b&x=2&empty",
        b'{"k": "v"}',
        {"Content-Type": "application/json", "X-Two": "b", "Cookie": "a=1; b=2", "User-Agent": "test/1"},
    )
    assert answer.status == 200
    event = answer.json()
    identity = url.host.split(".")[0]
    context = event.pop("requestContext")
    assert {key: event[key] for key in ("version", "routeKey", "rawPath", "rawQueryString", "cookies", "body", "isBase64Encoded")} == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/pa2%2Fth/1/",
        "rawQueryString": "x=1&y=a+b&x=2&empty",
        "cookies": ["a=1", "b=2"],
        "body": '{"k": "v"}',
        "isBase64Encoded": False,
    }
    assert event["queryStringParameters"] == {"x": "1,2", "y": "a b", "empty": ""}
    assert event["headers"]["x-two"] == "b"
    assert event["headers"]["cookie"] == "a=1; b=2"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["headers"]["x-forwarded-proto"] == "http"
    # The answer's has the lineage of this pass through Lambda too.
    assert answer.headers["x-amzn-trace-id"].startswith(event["headers"]["x-amzn-trace-id"])
    assert context.pop("requestId") == answer.headers["x-amzn-requestid"]
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert context.pop("timeEpoch") > 1_700_000_000_000
    assert context == {
        "accountId": "anonymous",
        "apiId": identity,
        "domainName": url.host.split(":")[0],
        "domainPrefix": identity,
        "http": {"method": "POST", "path": "/pa2%2Fth/1/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test/1"},
        "routeKey": "$default",
        "stage": "$default",
    }


def test_what_a_request_has_not_is_absent(server):
    event = Url(server, EVENT)().json()
    assert not {"body", "cookies", "queryStringParameters", "pathParameters", "stageVariables"} & set(event)
    assert "authorizer" not in event["requestContext"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"])
def test_other_bodies_arrive_base64(server, kind):
    raw = bytes(range(256))
    event = Url(server, EVENT)("PUT", "/", raw, {"Content-Type": kind}).json()
    assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, raw)


# --- the answer ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, text",
    [("'hello'", b"hello"), ("3", b"3"), ("['a', 1]", b'["a",1]'), ("{'a': 'b'}", b'{"a":"b"}'), ("None", b"null"), ("True", b"true")],
)
def test_a_value_without_status_is_the_body(server, value, text):
    answer = Url(server, f"def handler(event, context):\n    return {value}\n")()
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, text, "application/json")


def test_a_structured_answer(server):
    code = """
def handler(event, context):
    return {"statusCode": 201, "headers": {"Content-Type": "image/x", "X-N": 5, "X-B": True, "Content-Length": "99"},
            "cookies": ["a=1; Path=/", "b=2"], "body": "AAECgA==", "isBase64Encoded": True}
"""
    answer = Url(server, code)()
    assert (answer.status, answer.body) == (201, b"\x00\x01\x02\x80")
    assert answer.headers["content-type"] == "image/x"
    assert (answer.headers["x-n"], answer.headers["x-b"]) == ("5", "true")
    assert [value for name, value in answer.pairs if name == "Set-Cookie"] == ["a=1; Path=/", "b=2"]


@pytest.mark.parametrize(
    "value", ['{"statusCode": "abc"}', '{"statusCode": 200, "headers": {"a b": "x"}}', '{"statusCode": 99}', "1 / 0"]
)
def test_an_answer_that_is_none_is_a_bad_gateway(server, value):
    answer = Url(server, f"def handler(event, context):\n    return {value}\n")()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_head_requests_have_no_body(server):
    url = Url(server, "def handler(event, context):\n    return event['requestContext']['http']['method']\n")
    answer = url("HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert url("PATCH").text == "PATCH"


def test_streaming_mode_is_answered_buffered(server):
    url = Url(server, "def handler(event, context):\n    return {'statusCode': 200, 'body': 'x' * 100000}\n", InvokeMode="RESPONSE_STREAM")
    assert url.config["InvokeMode"] == "RESPONSE_STREAM"
    assert url().body == b"x" * 100000


def test_a_throttled_function_answers_429(server, lambda_):
    url = Url(server, EVENT)
    lambda_.put_function_concurrency(FunctionName="u", ReservedConcurrentExecutions=0)
    assert url().status == 429
    lambda_.delete_function_concurrency(FunctionName="u")
    assert url().status == 200


# --- who may call ------------------------------------------------------------------------------------------------------------


def test_an_unknown_url_is_denied(server):
    answer = server.http("GET", "/", host=f"{'a' * 32}.lambda-url.us-east-1.localhost:{server.port}")
    assert (answer.status, answer.json()) == (403, {"Message": None})
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert answer.headers["content-type"] == "application/json"


def test_a_public_url_needs_both_grants(server, lambda_):
    url = Url(server, EVENT, granted=False)
    answer = url()
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"
    lambda_.add_permission(
        FunctionName="u", StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    assert url().status == 403
    lambda_.add_permission(
        FunctionName="u", StatementId="invoke", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    assert url().status == 200
    lambda_.remove_permission(FunctionName="u", StatementId="url")
    assert url().status == 403


def test_grants_for_others_do_not_open_a_public_url(server, lambda_):
    url = Url(server, EVENT, granted=False)
    grant(lambda_, "u", principal="111111111111")
    assert url().status == 403


def test_a_grant_for_another_auth_type_does_not_count(server, lambda_):
    url = Url(server, EVENT, granted=False)
    grant(lambda_, "u", auth="AWS_IAM")
    assert url().status == 403


def signed(url, key="test", secret="test", region="us-east-1", service="lambda", method="GET", path="/", body=b""):
    request = botocore.awsrequest.AWSRequest(method, f"http://{url.host}{path}", data=body, headers={"Host": url.host})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), service, region).add_auth(request)
    return url(method, path, body, dict(request.headers))


def test_an_iam_url_verifies_signatures(server):
    url = Url(server, EVENT, granted=False, AuthType="AWS_IAM")
    assert (url().status, url().json()) == (403, FORBIDDEN)
    answer = signed(url, path="/x?b=2&a=1", method="POST", body=b"hello")
    assert answer.status == 200
    event = answer.json()
    assert event["requestContext"]["accountId"] == "000000000000"
    assert event["requestContext"]["authorizer"]["iam"] == {
        "accessKey": "test",
        "accountId": "000000000000",
        "callerId": "000000000000",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": "arn:aws:iam::000000000000:root",
        "userId": "000000000000",
    }
    for wrong in ({"secret": "other"}, {"region": "eu-west-1"}, {"service": "s3"}, {"key": "AKIAIOSFODNN7EXAMPLE"}):
        answer = signed(url, **wrong)
        assert answer.status == 403, wrong
        assert "Message" in answer.json()


def test_an_iam_url_is_open_to_another_account_by_policy_only(server, lambda_):
    url = Url(server, EVENT, granted=False, AuthType="AWS_IAM")
    assert signed(url, key="111111111111").status == 403
    grant(lambda_, "u", auth="AWS_IAM", principal="111111111111")
    answer = signed(url, key="111111111111")
    assert answer.status == 200
    assert answer.json()["requestContext"]["authorizer"]["iam"]["accountId"] == "111111111111"


def test_a_deleted_url_is_gone(server, lambda_):
    url = Url(server, EVENT)
    assert url().status == 200
    lambda_.delete_function_url_config(FunctionName="u")
    assert url().status == 403


# --- CORS --------------------------------------------------------------------------------------------------------------------

CORS = {
    "AllowOrigins": ["https://one.test", "http://*"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["x-custom"],
    "ExposeHeaders": ["x-out"],
    "MaxAge": 600,
    "AllowCredentials": True,
}


def test_preflight_is_answered_without_the_function(server):
    url = Url(server, "raise SystemExit(1)\n", Cors=CORS, granted=False)
    ask = {"Origin": "https://one.test", "Access-Control-Request-Method": "GET"}
    answer = url("OPTIONS", headers=ask)
    assert (answer.status, answer.body) == (200, b"")
    assert {name: value for name, value in answer.headers.items() if name.startswith("access-control-")} == {
        "access-control-allow-origin": "https://one.test",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "x-custom",
        "access-control-max-age": "600",
        "access-control-allow-credentials": "true",
    }
    assert "access-control-allow-origin" not in url("OPTIONS", headers={**ask, "Origin": "https://two.test"}).headers


def test_answers_carry_the_configured_fields_only(server):
    code = 'def handler(event, context):\n    return {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}, "body": ""}\n'
    url = Url(server, code, Cors=CORS)
    answer = url(headers={"Origin": "http://any.test"})
    assert [value for name, value in answer.pairs if name.lower() == "access-control-allow-origin"] == ["http://any.test"]
    assert answer.headers["access-control-expose-headers"] == "x-out"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in url(headers={"Origin": "https://two.test"}).headers


def test_without_configuration_the_functions_own_fields_go_out(server):
    code = 'def handler(event, context):\n    return {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}\n'
    url = Url(server, code)
    assert url(headers={"Origin": "https://x.test"}).headers["access-control-allow-origin"] == "*"
    assert url("OPTIONS", headers={"Origin": "https://x.test", "Access-Control-Request-Method": "GET"}).status == 200


# --- bad input -----------------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused(server):
    url = Url(server, "def handler(event, context):\n    return 1\n")
    assert url("POST", "/", b"x" * (6 * 1024 * 1024 + 1), {"Content-Type": "text/plain"}).status == 413
    # 6 MB that grow by base64 do not fit an invocation either.
    assert url("POST", "/", b"\xff" * (6 * 1024 * 1024 - 1000), {"Content-Type": "image/png"}).status == 413
    assert url().status == 200


def test_hosts_in_other_forms_find_the_function(server):
    url = Url(server, "def handler(event, context):\n    return 1\n")
    identity = url.host.split(".")[0]
    for host in (identity.upper() + ".LAMBDA-URL.us-east-1.on.aws", identity + ".lambda-url.eu-west-1.example.com:80"):
        assert server.http("GET", "/", host=host).text == "1"


