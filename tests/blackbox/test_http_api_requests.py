# SPDX-License-Identifier: Apache-2.0
"""HTTP APIs, data plane: routing, stages, events, answers, errors, CORS, throttling, parameter mapping."""

import base64
import http.client
import json
import re
import socket
import threading
import urllib.parse

import pytest

from http_api_support import ACCOUNT, REGION, Api, allow, echo_function, function_arn
from support import PATIENCE, wait_for

NOT_FOUND, ERROR, UNAVAILABLE = b'{"message":"Not Found"}', b'{"message":"Internal Server Error"}', b'{"message":"Service Unavailable"}'


def answering(value):
    """A query string that makes the echo function answer this value."""
    return "?answer=" + urllib.parse.quote(json.dumps(value))


@pytest.fixture
def echo(server):
    return echo_function(server)


# --- which route ------------------------------------------------------------------------------------------------------


def test_the_most_specific_route_is_chosen(server, echo):
    api = Api(server, "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default")
    cases = [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", None),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("GET", "/", "ANY /{proxy+}", {"proxy": ""}),
    ]
    for method, path, key, parameters in cases:
        event = api.event(method, path)
        assert (event["routeKey"], event.get("pathParameters")) == (key, parameters)


def test_an_unknown_route_stage_or_api_is_not_found(server, echo):
    api = Api(server, "GET /a", stage="dev")
    for answer in (
        api.call("GET", "/dev/b"),
        api.call("POST", "/dev/a"),
        api.call("GET", "/a"),
        api.call("GET", "/dev/a/"),
        server.http("GET", "/", host=f"nothing.execute-api.localhost:{server.port}"),
        server.http("GET", "/_aws/execute-api/nothing/dev/a"),
        server.http("GET", "/_aws/execute-api/"),
    ):
        assert (answer.status, answer.body) == (404, NOT_FOUND)
        assert answer.headers["content-type"] == "application/json"
        assert re.fullmatch("[A-Za-z0-9_-]{15}=", answer.headers["apigw-requestid"])


def test_both_forms_of_the_address_reach_every_stage(server, echo):
    api = Api(server, "GET /a", stage="dev")
    api.client.create_stage(ApiId=api.id, StageName="$default", AutoDeploy=True)
    by_host = {path: api.event("GET", path) for path in ("/a", "/dev/a")}
    by_path = {
        "/a": server.http("GET", f"/_aws/execute-api/{api.id}/$default/a").json(),
        "/dev/a": server.http("GET", f"/_aws/execute-api/{api.id}/dev/a").json(),
    }
    for path, stage in (("/a", "$default"), ("/dev/a", "dev")):
        for event in (by_host[path], by_path[path]):
            assert (event["rawPath"], event["requestContext"]["http"]["path"]) == (path, path)
            assert event["requestContext"]["stage"] == stage
            assert event["requestContext"]["domainPrefix"] == api.id
    assert by_host["/a"]["requestContext"]["domainName"] == f"{api.id}.execute-api.localhost"
    assert server.http("GET", f"/_aws/execute-api/{api.id}/%24default/a").status == 200


def test_host_names_are_compared_without_case(server, echo):
    api = Api(server, "$default")
    assert server.http("GET", "/", host=f"{api.id.upper()}.Execute-API.eu-west-1.amazonaws.com").status == 200


def test_a_deployment_is_a_snapshot(server, echo):
    api = Api(server, "GET /a", stage=None)
    api.client.create_stage(ApiId=api.id, StageName="dev")
    assert api.call("GET", "/dev/a").status == 404  # nothing is deployed
    first = api.client.create_deployment(ApiId=api.id, StageName="dev")["DeploymentId"]
    assert api.call("GET", "/dev/a").status == 200
    api.route("GET /b")
    (route,) = [r["RouteId"] for r in api.client.get_routes(ApiId=api.id)["Items"] if r["RouteKey"] == "GET /a"]
    api.client.delete_route(ApiId=api.id, RouteId=route)
    assert [api.call("GET", path).status for path in ("/dev/a", "/dev/b")] == [200, 404]
    api.client.create_deployment(ApiId=api.id, StageName="dev")
    assert [api.call("GET", path).status for path in ("/dev/a", "/dev/b")] == [404, 200]
    api.client.update_stage(ApiId=api.id, StageName="dev", DeploymentId=first)
    assert [api.call("GET", path).status for path in ("/dev/a", "/dev/b")] == [200, 404]


def test_the_endpoint_can_be_disabled(server, echo):
    api = Api(server, "$default")
    api.client.update_api(ApiId=api.id, DisableExecuteApiEndpoint=True)
    assert api.call("GET", "/").body == NOT_FOUND
    api.client.update_api(ApiId=api.id, DisableExecuteApiEndpoint=False)
    assert api.call("GET", "/").status == 200


def test_a_deleted_api_is_gone_at_once(server, echo):
    api = Api(server, "$default")
    assert api.call("GET", "/").status == 200
    api.client.delete_api(ApiId=api.id)
    assert api.call("GET", "/").body == NOT_FOUND


# --- events -----------------------------------------------------------------------------------------------------------


def test_an_event_of_format_2_is_what_aws_documents(server, echo):
    api = Api(server, "POST /a/{id}", stage="dev")
    api.client.update_stage(ApiId=api.id, StageName="dev", StageVariables={"env": "test"})
    headers = {"Cookie": "a=1; b=2", "X-Twice": "1", "User-Agent": "tests", "Content-Type": "text/plain"}
    event = api.event("POST", "/dev/a/b%20c?x=1&y=%2B&x=2", body="héllo".encode(), headers=headers)
    context = event["requestContext"]
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", event["headers"].pop("x-amzn-trace-id"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{15}=", context.pop("requestId"))
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert context.pop("timeEpoch") > 1_600_000_000_000
    assert event == {
        "version": "2.0",
        "routeKey": "POST /a/{id}",
        "rawPath": "/dev/a/b c",
        "rawQueryString": "x=1&y=%2B&x=2",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "accept-encoding": "identity",
            "content-length": "6",
            "content-type": "text/plain",
            "host": api.host,
            "user-agent": "tests",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(server.port),
            "x-forwarded-proto": "http",
            "x-twice": "1",
        },
        "queryStringParameters": {"x": "1,2", "y": "+"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api.id,
            "domainName": f"{api.id}.execute-api.localhost",
            "domainPrefix": api.id,
            "http": {
                "method": "POST",
                "path": "/dev/a/b c",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "tests",
            },
            "routeKey": "POST /a/{id}",
            "stage": "dev",
        },
        "pathParameters": {"id": "b c"},
        "stageVariables": {"env": "test"},
        "body": "héllo",
        "isBase64Encoded": False,
    }


def test_an_event_of_format_1_is_what_aws_documents(server, echo):
    api = Api(server, "GET /a", version="1.0")
    event = api.event("GET", "/a?x=1&x=2", headers={"Cookie": "a=1", "User-Agent": "tests", "X-Amzn-Trace-Id": "Root=1-2-3"})
    context = event["requestContext"]
    request_id = context.pop("requestId")
    assert context.pop("extendedRequestId") == request_id
    context.pop("requestTime"), context.pop("requestTimeEpoch")
    headers = {
        "Content-Length": "0",
        "Host": api.host,
        "User-Agent": "tests",
        "X-Amzn-Trace-Id": "Root=1-2-3",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Port": str(server.port),
        "X-Forwarded-Proto": "http",
        "accept-encoding": "identity",
        "cookie": "a=1",
    }
    nulls = "accessKey accountId caller cognitoAmr cognitoAuthenticationProvider cognitoAuthenticationType cognitoIdentityId"
    nulls += " cognitoIdentityPoolId principalOrgId user userArn"
    assert event == {
        "version": "1.0",
        "resource": "/a",
        "path": "/a",
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {"x": "2"},
        "multiValueQueryStringParameters": {"x": ["1", "2"]},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api.id,
            "domainName": f"{api.id}.execute-api.localhost",
            "domainPrefix": api.id,
            "httpMethod": "GET",
            "identity": {**{name: None for name in nulls.split()}, "sourceIp": "127.0.0.1", "userAgent": "tests"},
            "path": "/a",
            "protocol": "HTTP/1.1",
            "resourceId": "GET /a",
            "resourcePath": "/a",
            "stage": "$default",
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("kind, binary", [("application/json", False), ("text/html; charset=utf-8", False), ("application/octet-stream", True), (None, True)])
def test_bodies_are_text_or_base64_by_their_type(server, echo, version, kind, binary):
    api = Api(server, "POST /", version=version)
    event = api.event("POST", "/", body=b'{"a": 1}', headers={"Content-Type": kind} if kind else {})
    assert event["isBase64Encoded"] is binary
    assert event["body"] == ('{"a": 1}' if not binary else base64.b64encode(b'{"a": 1}').decode())


def test_unicode_paths_and_queries_arrive_decoded(server, echo):
    api = Api(server, "GET /über/{name}")
    event = api.event("GET", "/%C3%BCber/%E2%98%83?%C3%A4=%F0%9F%98%80")
    assert (event["rawPath"], event["pathParameters"]) == ("/über/☃", {"name": "☃"})
    assert event["queryStringParameters"] == {"ä": "😀"}
    assert event["rawQueryString"] == "%C3%A4=%F0%9F%98%80"


def test_a_megabyte_and_more_passes_both_ways(server, echo):
    api = Api(server, "POST /")
    body = ("0123456789abcdef" * 65536 * 2).encode()
    event = api.event("POST", "/", body=body, headers={"Content-Type": "text/plain"})
    assert event["body"].encode() == body


def test_an_event_above_lambdas_limit_is_too_large(server, echo):
    api = Api(server, "POST /")
    answer = api.call("POST", "/", body=b"x" * (7 * 1024 * 1024), headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.body) == (413, b'{"message":"Request Entity Too Large"}')


def test_a_body_above_ten_megabytes_is_refused_unread(server, echo):
    api = Api(server, "POST /")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {api.host}\r\nContent-Length: {10 * 1024 * 1024 + 1}\r\n\r\n"
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (413, b'{"message":"Request Entity Too Large"}')


def test_a_head_above_10240_bytes_is_refused(server, echo):
    api = Api(server, "$default")
    assert api.call("GET", "/", headers={"X-Long": "x" * 9000}).status == 200
    answer = api.call("GET", "/", headers={"X-Long": "x" * 10240})
    assert (answer.status, answer.body) == (431, b'{"message":"Request Header Fields Too Large"}')


# --- answers ----------------------------------------------------------------------------------------------------------


def test_format_2_without_status_code_sends_the_whole_value(server, echo):
    api = Api(server, "GET /")
    for value, body in (({"a": [1, None]}, b'{"a":[1,null]}'), ("text", b"text"), ([1], b"[1]"), (7, b"7"), (None, b"null")):
        answer = api.call("GET", "/" + answering(value))
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", body)


def test_format_2_with_status_code_is_taken_apart(server, echo):
    api = Api(server, "GET /")
    value = {
        "statusCode": 201,
        "headers": {"X-Custom": "v", "X-Number": 5, "Connection": "close", "Content-Length": "9999", "Transfer-Encoding": "chunked"},
        "cookies": ["a=1; Secure", "b=2"],
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    answer = api.call("GET", "/" + answering(value))
    assert (answer.status, answer.body) == (201, b"\x00\xff")
    assert (answer.headers["x-custom"], answer.headers["x-number"]) == ("v", "5")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == "2"
    assert "connection" not in answer.headers and "transfer-encoding" not in answer.headers
    assert [value for name, value in answer.pairs if name.lower() == "set-cookie"] == ["a=1; Secure", "b=2"]


def test_format_1_with_both_kinds_of_headers(server, echo):
    api = Api(server, "GET /", version="1.0")
    value = {"statusCode": 200, "headers": {"X-A": "1"}, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": "hi"}
    answer = api.call("GET", "/" + answering(value))
    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"hi", "1")
    assert [value for name, value in answer.pairs if name.lower() == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "version, value",
    [
        ("1.0", {"body": "no status"}),
        ("1.0", "text"),
        ("1.0", {"statusCode": "many"}),
        ("1.0", {"statusCode": 200, "body": {}}),
        ("1.0", {"statusCode": 200, "multiValueHeaders": {"a": "b"}}),
        ("2.0", {"statusCode": "many"}),
        ("2.0", {"statusCode": 200, "headers": []}),
        ("2.0", {"statusCode": 200, "body": "*", "isBase64Encoded": True}),
        ("2.0", {"statusCode": 42}),
    ],
)
def test_a_malformed_answer_is_an_internal_server_error(server, echo, version, value):
    api = Api(server, "GET /", version=version)
    answer = api.call("GET", "/" + answering(value))
    assert (answer.status, answer.body, answer.headers["content-type"]) == (500, ERROR, "application/json")


def test_a_function_that_fails_is_an_internal_server_error(server, echo):
    api = Api(server, "GET /")
    answer = api.call("GET", "/?raise=1")
    assert (answer.status, answer.body) == (500, ERROR)


def test_head_is_answered_without_a_body(server, echo):
    api = Api(server, "ANY /")
    answer = api.call("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 100
    assert api.call("PROPFIND", "/").json()["requestContext"]["http"]["method"] == "PROPFIND"


def test_the_integrations_timeout_is_service_unavailable(server, echo):
    api = Api(server, "GET /", integration={"TimeoutInMillis": 300})
    answer = api.call("GET", "/?sleep=2")
    assert (answer.status, answer.body) == (503, UNAVAILABLE)


def test_a_throttled_function_is_service_unavailable(server, echo):
    api = Api(server, "GET /")
    server.client("lambda").put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
    answer = api.call("GET", "/")
    assert (answer.status, answer.body) == (503, UNAVAILABLE)


def test_a_client_that_goes_away_harms_nothing(server, echo):
    api = Api(server, "GET /")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(f"GET /?sleep=0.2 HTTP/1.1\r\nHost: {api.host}\r\n\r\n".encode())
    assert api.call("GET", "/").status == 200


def test_requests_in_flight_survive_the_deletion_of_their_api(server, echo):
    api = Api(server, "GET /")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", "/?sleep=0.5", headers={"Host": api.host})
    running = lambda: "sluice_http_api" in server.http("GET", "/_sluice/metrics").text  # noqa: E731
    assert wait_for(running)
    api.client.delete_api(ApiId=api.id)
    assert api.call("GET", "/").status == 404
    assert connection.getresponse().status == 200
    connection.close()


def test_requests_are_answered_while_routes_are_deployed(server, echo):
    api = Api(server, "GET /a")
    statuses, stop = [], threading.Event()

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        while not stop.is_set():
            connection.request("GET", "/a", headers={"Host": api.host})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(40):
        api.route(f"GET /r{i}")
    assert wait_for(lambda: len(statuses) > 100)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert api.call("GET", "/r39").status == 200


# --- permission -------------------------------------------------------------------------------------------------------


def test_without_permission_the_function_is_not_invoked(server):
    server.create_function("echo", {"index.py": "def handler(event, context): return 'invoked'"})
    api = Api(server, "GET /")
    assert (api.call("GET", "/").status, api.call("GET", "/").body) == (500, ERROR)
    allow(server, "echo")
    assert api.call("GET", "/").body == b"invoked"
    server.client("lambda").remove_permission(FunctionName="echo", StatementId="gateway")
    assert api.call("GET", "/").status == 500


@pytest.mark.parametrize(
    "pattern, allowed",
    [
        ("{api}/*/*", ["GET /pets/1", "POST /any", "GET /other"]),
        ("{api}/*/GET/pets/*", ["GET /pets/1"]),
        ("{api}/*/*/pets/{{id}}", ["GET /pets/1"]),
        ("{api}/*/POST/any", ["POST /any"]),
        ("{api}/*/$default", ["GET /other"]),
        ("{api}/prod/*", []),
        ("other/*/*", []),
    ],
)
def test_the_permissions_source_arn_names_the_route(server, pattern, allowed):
    server.create_function("echo", {"index.py": "def handler(event, context): return 'invoked'"})
    api = Api(server, "GET /pets/{id}", "ANY /any", "$default")
    allow(server, "echo", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:" + pattern.format(api=api.id))
    for request in ("GET /pets/1", "POST /any", "GET /other"):
        method, path = request.split()
        assert api.call(method, path).status == (200 if request in allowed else 500), request


def test_a_function_that_is_not_there_is_an_internal_server_error(server):
    api = Api(server, "GET /")
    assert (api.call("GET", "/").status, api.call("GET", "/").body) == (500, ERROR)


def test_stage_variables_choose_the_function(server):
    for name in ("blue", "green"):
        server.create_function(name, {"index.py": f"def handler(event, context): return '{name}'"})
        allow(server, name)
    api = Api(server, "GET /", stage=None)
    uri = function_arn("${stageVariables.color}")
    api.client.update_integration(ApiId=api.id, IntegrationId=api.integration, IntegrationUri=uri)
    for name in ("blue", "green"):
        api.client.create_stage(ApiId=api.id, StageName=name, AutoDeploy=True, StageVariables={"color": name})
    api.client.create_stage(ApiId=api.id, StageName="none", AutoDeploy=True)
    assert [api.call("GET", f"/{name}/").body for name in ("blue", "green", "none")] == [b"blue", b"green", ERROR]


# --- CORS -------------------------------------------------------------------------------------------------------------

CORS = {
    "AllowOrigins": ["https://a.example", "http://*"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["content-type", "x-token"],
    "ExposeHeaders": ["x-result"],
    "AllowCredentials": True,
    "MaxAge": 300,
}


def cors_of(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def test_a_preflight_is_answered_by_the_gateway(server):
    api = Api(server, "$default", CorsConfiguration=CORS)  # there is no function: nothing else could answer
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = api.call("OPTIONS", "/any/path", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert cors_of(answer) == {
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "content-type,x-token",
        "access-control-expose-headers": "x-result",
        "access-control-max-age": "300",
    }
    answer = api.call("OPTIONS", "/any/path", headers={**headers, "Origin": "https://evil.example"})
    assert (answer.status, cors_of(answer)) == (204, {})
    answer = api.call("OPTIONS", "/any/path", headers={**headers, "Origin": "http://localhost:3000"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_the_functions_own_cors_headers_are_replaced(server, echo):
    api = Api(server, "GET /", CorsConfiguration=CORS)
    path = "/" + answering({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://of.function", "access-control-max-age": "1"}})
    answer = api.call("GET", path, headers={"Origin": "https://a.example"})
    assert cors_of(answer) == {
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-result",
    }
    assert cors_of(api.call("GET", path)) == {}
    assert cors_of(api.call("GET", path, headers={"Origin": "https://evil.example"})) == {}


def test_without_cors_configuration_options_and_headers_are_the_functions(server, echo):
    api = Api(server, "ANY /")
    path = "/" + answering({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}})
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    answer = api.call("OPTIONS", path, headers=headers)
    assert (answer.status, cors_of(answer)) == (200, {"access-control-allow-origin": "*"})


def test_errors_have_cors_headers_too(server, echo):
    api = Api(server, "GET /", CorsConfiguration={"AllowOrigins": ["*"]})
    answer = api.call("GET", "/nothing", headers={"Origin": "https://a.example"})
    assert (answer.status, cors_of(answer)) == (404, {"access-control-allow-origin": "*"})


def test_options_without_a_route_is_answered_when_cors_is_configured(server, echo):
    api = Api(server, "GET /", CorsConfiguration={"AllowOrigins": ["*"]})
    assert api.call("OPTIONS", "/").status == 204


# --- throttling, mapping, metrics -------------------------------------------------------------------------------------


def test_a_routes_limit_is_too_many_requests(server, echo):
    api = Api(server, "GET /slow", "GET /free")
    settings = {"GET /slow": {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2}}
    api.client.update_stage(ApiId=api.id, StageName="$default", RouteSettings=settings)
    assert [api.call("GET", "/slow").status for _ in range(4)] == [200, 200, 429, 429]
    assert api.call("GET", "/slow").body == b'{"message":"Too Many Requests"}'
    assert api.call("GET", "/free").status == 200
    api.client.delete_route_settings(ApiId=api.id, StageName="$default", RouteKey="GET /slow")
    assert api.call("GET", "/slow").status == 200


def test_request_parameters_change_the_event(server, echo):
    mapping = {
        "append:header.x-new": "id-${request.path.id}-${stageVariables.env}",
        "overwrite:header.x-old": "$request.querystring.q",
        "remove:header.x-secret": "''",
        "append:header.x-body": "$request.body.a[0].b",
        "append:header.x-none": "$request.header.nothing",
        "overwrite:querystring.stage": "$context.stage",
        "remove:querystring.q": "''",
        "overwrite:path": "/changed",
    }
    api = Api(server, "POST /a/{id}", integration={"RequestParameters": mapping})
    api.client.update_stage(ApiId=api.id, StageName="$default", StageVariables={"env": "test"})
    headers = {"X-Old": "1", "X-Secret": "2", "X-New": "client", "Content-Type": "application/json"}
    event = api.event("POST", "/a/7?q=v%201&r=s", body=b'{"a":[{"b":"deep"}]}', headers=headers)
    assert event["headers"]["x-new"] == "client,id-7-test"
    assert event["headers"]["x-old"] == "v 1"
    assert event["headers"]["x-body"] == "deep"
    assert "x-secret" not in event["headers"] and "x-none" not in event["headers"]
    assert event["queryStringParameters"] == {"r": "s", "stage": "$default"}
    assert event["rawPath"] == "/changed"


def test_response_parameters_change_the_answer(server, echo):
    mapping = {
        "500": {"overwrite:statuscode": "403", "append:header.x-why": "$response.body.why"},
        "200": {"remove:header.x-gone": "''", "overwrite:header.x-set": "$response.header.x-old", "append:header.x-id": "$context.requestId"},
    }
    api = Api(server, "GET /", integration={"ResponseParameters": mapping})
    answer = api.call("GET", "/" + answering({"statusCode": 500, "body": '{"why": "because"}'}))
    assert (answer.status, answer.headers["x-why"]) == (403, "because")
    answer = api.call("GET", "/" + answering({"statusCode": 200, "headers": {"X-Gone": "1", "X-Old": "2", "X-Set": "3"}}))
    assert "x-gone" not in answer.headers
    assert (answer.headers["x-set"], answer.headers["x-id"]) == ("2", answer.headers["apigw-requestid"])


def test_requests_are_counted_by_route(server, echo):
    api = Api(server, "GET /a")
    api.call("GET", "/a"), api.call("GET", "/a?raise=1"), api.call("GET", "/b")
    metrics = server.http("GET", "/_sluice/metrics").text.splitlines()
    label = f'{{api="{api.id}",stage="$default",route='
    assert f'sluice_http_api_requests_total{label}"GET /a"}} 2' in metrics
    assert f'sluice_http_api_5xx_total{label}"GET /a"}} 1' in metrics
    assert f'sluice_http_api_4xx_total{label}""}} 1' in metrics
