# SPDX-License-Identifier: Apache-2.0
"""HTTP APIs, control plane: what boto3 creates, reads, changes and deletes, and AWS's errors for what is wrong."""

import re

import botocore.exceptions
import pytest

from http_api_support import Api, function_arn

ROUTE_KEY_FORMAT = (
    "The provided route key is not formatted properly for HTTP protocol. "
    'Format should be "[HTTP METHOD] /[RESOURCE PATH]" or "$default"'
)


def plain(answer):
    answer.pop("ResponseMetadata", None)
    return answer


class refused:
    """with refused("NotFoundException", 404, "text"): the call in the block is answered by that error."""

    def __init__(self, code, status, message=None):
        self.expected = (code, status)
        self.message = message

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind and issubclass(kind, botocore.exceptions.ClientError), f"not refused: {error}"
        got = error.response
        assert (got["Error"]["Code"], got["ResponseMetadata"]["HTTPStatusCode"]) == self.expected, got
        assert self.message is None or self.message in got["Error"]["Message"], got["Error"]["Message"]
        return True


def integration_of(client, api_id, **more):
    return client.create_integration(
        ApiId=api_id,
        **{"IntegrationType": "AWS_PROXY", "IntegrationUri": function_arn("f"), "PayloadFormatVersion": "2.0", **more},
    )["IntegrationId"]


@pytest.fixture
def api_id(apigatewayv2):
    return apigatewayv2.create_api(Name="test", ProtocolType="HTTP")["ApiId"]


# --- APIs -------------------------------------------------------------------------------------------------------------


def test_an_api_is_created_with_the_defaults_of_aws(server, apigatewayv2):
    answer = plain(apigatewayv2.create_api(Name="test", ProtocolType="HTTP"))
    assert re.fullmatch("[a-z0-9]{10}", answer["ApiId"])
    assert answer.pop("CreatedDate").tzinfo
    api_id = answer.pop("ApiId")
    assert answer == {
        "ApiEndpoint": f"http://{api_id}.execute-api.localhost:{server.port}",
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "DisableExecuteApiEndpoint": False,
        "IpAddressType": "ipv4",
        "Name": "test",
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": "$request.method $request.path",
        "Tags": {},
    }
    assert plain(apigatewayv2.get_api(ApiId=api_id))["ApiId"] == api_id


def test_an_api_is_updated_and_deleted(apigatewayv2, api_id):
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 5, "AllowCredentials": True}
    answer = apigatewayv2.update_api(ApiId=api_id, Name="other", Description="d", CorsConfiguration=cors)
    assert (answer["Name"], answer["Description"], answer["CorsConfiguration"]) == ("other", "d", cors)
    apigatewayv2.delete_cors_configuration(ApiId=api_id)
    answer = apigatewayv2.get_api(ApiId=api_id)
    assert answer["Name"] == "other" and "CorsConfiguration" not in answer
    apigatewayv2.delete_api(ApiId=api_id)
    with refused("NotFoundException", 404, f"Invalid API identifier specified 000000000000:{api_id}"):
        apigatewayv2.get_api(ApiId=api_id)
    with refused("NotFoundException", 404):
        apigatewayv2.delete_api(ApiId=api_id)


def test_apis_are_listed_in_pages(apigatewayv2):
    made = {apigatewayv2.create_api(Name=f"n{i}", ProtocolType="HTTP")["ApiId"] for i in range(5)}
    page = apigatewayv2.get_apis(MaxResults="2")
    seen = [api["ApiId"] for api in page["Items"]]
    while "NextToken" in page:
        assert len(page["Items"]) == 2
        page = apigatewayv2.get_apis(MaxResults="2", NextToken=page["NextToken"])
        seen += [api["ApiId"] for api in page["Items"]]
    assert sorted(seen) == sorted(made)
    with refused("BadRequestException", 400):
        apigatewayv2.get_apis(NextToken="no token")
    with refused("BadRequestException", 400):
        apigatewayv2.get_apis(MaxResults="0")


def test_accounts_and_regions_do_not_see_each_others_apis(server, apigatewayv2, api_id):
    for client in (server.client("apigatewayv2", "eu-west-1"), server.client("apigatewayv2", account="111111111111")):
        assert client.get_apis()["Items"] == []
        with refused("NotFoundException", 404):
            client.get_api(ApiId=api_id)


def test_a_tag_chooses_the_api_id(server, apigatewayv2):
    answer = apigatewayv2.create_api(Name="x", ProtocolType="HTTP", Tags={"_custom_id_": "my-api", "a": "b"})
    assert (answer["ApiId"], answer["Tags"]["a"]) == ("my-api", "b")
    with refused("ConflictException", 409):
        server.client("apigatewayv2", "eu-west-1").create_api(Name="y", ProtocolType="HTTP", Tags={"_custom_id_": "my-api"})
    with refused("BadRequestException", 400):
        apigatewayv2.create_api(Name="y", ProtocolType="HTTP", Tags={"_custom_id_": "My.Api"})


@pytest.mark.parametrize(
    "input, message",
    [
        ({"ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}, "WebSocket"),
        ({"RouteSelectionExpression": "$request.body.action"}, "${request.method} ${request.path}"),
        ({"DisableSchemaValidation": True}, "WebSocket"),
        ({"RouteKey": "GET /"}, "quick create"),
        ({"CorsConfiguration": {"AllowOrigins": ["*"], "AllowCredentials": True}}, "allow-credentials is not supported if 'allow-origin' is *"),
        ({"CorsConfiguration": {"AllowOrigins": ["nonsense"]}}, "AllowOrigins"),
        ({"CorsConfiguration": {"AllowMethods": ["FETCH"]}}, "AllowMethods"),
        ({"Tags": {"aws:x": "y"}}, "aws:"),
    ],
)
def test_wrong_apis_are_refused(apigatewayv2, input, message):
    with refused("BadRequestException", 400, message):
        apigatewayv2.create_api(**{"Name": "x", "ProtocolType": "HTTP", **input})
    assert apigatewayv2.get_apis()["Items"] == []


def test_quick_create_makes_integration_route_and_stage(apigatewayv2):
    api_id = apigatewayv2.create_api(Name="q", ProtocolType="HTTP", Target=function_arn("f"), RouteKey="GET /x")["ApiId"]
    (integration,) = apigatewayv2.get_integrations(ApiId=api_id)["Items"]
    (route,) = apigatewayv2.get_routes(ApiId=api_id)["Items"]
    (stage,) = apigatewayv2.get_stages(ApiId=api_id)["Items"]
    assert integration["ApiGatewayManaged"] and route["ApiGatewayManaged"] and stage["ApiGatewayManaged"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    assert (route["RouteKey"], route["Target"]) == ("GET /x", f"integrations/{integration['IntegrationId']}")
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    apigatewayv2.update_api(ApiId=api_id, RouteKey="POST /y", Target=function_arn("g"))
    assert apigatewayv2.get_routes(ApiId=api_id)["Items"][0]["RouteKey"] == "POST /y"
    assert apigatewayv2.get_integrations(ApiId=api_id)["Items"][0]["IntegrationUri"] == function_arn("g")
    with refused("BadRequestException", 400, "managed"):
        apigatewayv2.delete_integration(ApiId=api_id, IntegrationId=integration["IntegrationId"])
    with refused("BadRequestException", 400, "managed"):
        apigatewayv2.update_route(ApiId=api_id, RouteId=route["RouteId"], RouteKey="GET /z")
    with refused("BadRequestException", 400, "managed"):
        apigatewayv2.update_stage(ApiId=api_id, StageName="$default", Description="d")


# --- routes -----------------------------------------------------------------------------------------------------------


def test_a_route_is_created_read_updated_and_deleted(apigatewayv2, api_id):
    integration = integration_of(apigatewayv2, api_id)
    target = f"integrations/{integration}"
    route = plain(apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /a/{id}", Target=target, OperationName="get"))
    assert re.fullmatch("[a-z0-9]{7}", route["RouteId"])
    assert route == {
        "ApiKeyRequired": False,
        "AuthorizationType": "NONE",
        "OperationName": "get",
        "RouteId": route["RouteId"],
        "RouteKey": "GET /a/{id}",
        "Target": target,
    }
    named = {"ApiId": api_id, "RouteId": route["RouteId"]}
    assert plain(apigatewayv2.get_route(**named)) == route
    assert apigatewayv2.update_route(**named, RouteKey="ANY /b")["RouteKey"] == "ANY /b"
    assert [r["RouteKey"] for r in apigatewayv2.get_routes(ApiId=api_id)["Items"]] == ["ANY /b"]
    apigatewayv2.delete_route(**named)
    with refused("NotFoundException", 404, "Invalid Route identifier specified"):
        apigatewayv2.get_route(**named)


@pytest.mark.parametrize("key", ["GET", "GET a", "FETCH /a", "get /a", "GET /{a", "GET /x{a}", "$connect"])
def test_malformed_route_keys_are_refused(apigatewayv2, api_id, key):
    with refused("BadRequestException", 400, ROUTE_KEY_FORMAT):
        apigatewayv2.create_route(ApiId=api_id, RouteKey=key)


def test_a_greedy_variable_must_be_last(apigatewayv2, api_id):
    with refused("BadRequestException", 400):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /{proxy+}/x")


def test_route_keys_are_unique(apigatewayv2, api_id):
    apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /a/{id}")
    other = apigatewayv2.create_route(ApiId=api_id, RouteKey="POST /a/{name}")["RouteId"]
    with refused("ConflictException", 409, "Route with key GET /a/{id} already exists for this API"):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /a/{id}")
    message = 'The provided route key "GET /a/{x}" has a conflicting variable on the same hierarchical level as "GET /a/{id}"'
    with refused("ConflictException", 409, message):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /a/{x}")
    with refused("ConflictException", 409):
        apigatewayv2.update_route(ApiId=api_id, RouteId=other, RouteKey="GET /a/{id}")


@pytest.mark.parametrize(
    "input",
    [
        {"AuthorizationType": "JWT", "AuthorizerId": "abc"},
        {"AuthorizationType": "CUSTOM", "AuthorizerId": "abc"},
        {"AuthorizationType": "AWS_IAM"},
        {"AuthorizationScopes": ["a"]},
        {"ApiKeyRequired": True},
        {"RequestModels": {"a": "b"}},
        {"Target": "nonsense"},
    ],
)
def test_routes_that_cannot_be_served_as_asked_are_refused(apigatewayv2, api_id, input):
    with refused("BadRequestException", 400):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /", **input)
    route = apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /")["RouteId"]
    with refused("BadRequestException", 400):
        apigatewayv2.update_route(ApiId=api_id, RouteId=route, **input)


def test_a_routes_integration_must_exist(apigatewayv2, api_id):
    with refused("NotFoundException", 404, "Invalid Integration identifier specified"):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /", Target="integrations/nothing")


def test_the_three_hundred_and_first_route_is_refused(apigatewayv2, api_id):
    for i in range(300):
        apigatewayv2.create_route(ApiId=api_id, RouteKey=f"GET /r{i}")
    with refused("ConflictException", 409, "Maximum number of Routes for this API has been reached."):
        apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /one-more")
    assert len(apigatewayv2.get_routes(ApiId=api_id)["Items"]) == 300


# --- integrations -----------------------------------------------------------------------------------------------------


def test_an_integration_is_created_read_updated_and_deleted(apigatewayv2, api_id):
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function_arn('f')}/invocations"
    answer = plain(
        apigatewayv2.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="1.0", Description="d"
        )
    )
    assert answer == {
        "ConnectionType": "INTERNET",
        "Description": "d",
        "IntegrationId": answer["IntegrationId"],
        "IntegrationMethod": "POST",
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": uri,
        "PayloadFormatVersion": "1.0",
        "TimeoutInMillis": 30000,
    }
    named = {"ApiId": api_id, "IntegrationId": answer["IntegrationId"]}
    assert plain(apigatewayv2.get_integration(**named)) == answer
    answer = apigatewayv2.update_integration(**named, PayloadFormatVersion="2.0", TimeoutInMillis=50)
    assert (answer["PayloadFormatVersion"], answer["TimeoutInMillis"]) == ("2.0", 50)
    route = apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /", Target=f"integrations/{named['IntegrationId']}")["RouteId"]
    message = f"Cannot delete Integration because it is referenced by the following Routes with Ids: [{route}]"
    with refused("ConflictException", 409, message):
        apigatewayv2.delete_integration(**named)
    apigatewayv2.delete_route(ApiId=api_id, RouteId=route)
    apigatewayv2.delete_integration(**named)
    with refused("NotFoundException", 404, "Invalid Integration identifier specified"):
        apigatewayv2.get_integration(**named)


def test_parameter_mappings_are_merged_by_updates(apigatewayv2, api_id):
    given = {"append:header.a": "1", "overwrite:path": "/x"}
    named = {"ApiId": api_id, "IntegrationId": integration_of(apigatewayv2, api_id, RequestParameters=given)}
    answer = apigatewayv2.update_integration(
        **named, RequestParameters={"append:header.a": "", "remove:header.b": "''"}, ResponseParameters={"200": {"append:header.c": "2"}}
    )
    assert answer["RequestParameters"] == {"overwrite:path": "/x", "remove:header.b": "''"}
    assert answer["ResponseParameters"] == {"200": {"append:header.c": "2"}}
    answer = apigatewayv2.update_integration(**named, ResponseParameters={"200": {}})
    assert "ResponseParameters" not in answer


@pytest.mark.parametrize(
    "input, message",
    [
        ({"IntegrationType": "AWS"}, "may only be associated with proxy integrations (AWS_PROXY, HTTP_PROXY)"),
        ({"IntegrationType": "MOCK"}, "may only be associated with proxy integrations (AWS_PROXY, HTTP_PROXY)"),
        ({"IntegrationType": "HTTP_PROXY", "IntegrationUri": "http://localhost", "IntegrationMethod": "GET"}, "HTTP_PROXY"),
        ({"IntegrationSubtype": "SQS-SendMessage"}, "SQS-SendMessage"),
        ({"ConnectionType": "VPC_LINK", "ConnectionId": "x"}, "VPC_LINK"),
        ({"PayloadFormatVersion": None}, "PayloadFormatVersion is a required parameter for integration"),
        ({"PayloadFormatVersion": "3.0"}, "PayloadFormatVersion"),
        ({"IntegrationUri": None}, "IntegrationUri"),
        ({"IntegrationUri": "f"}, "Invalid integration URI"),
        ({"IntegrationMethod": "FETCH"}, "Invalid HTTP method"),
        ({"RequestParameters": {"append:header.authorization": "x"}}, "Operations on header authorization are restricted"),
        ({"RequestParameters": {"append:header.x": "$nonsense"}}, "Invalid mapping expression specified"),
        ({"ResponseParameters": {"200": {"overwrite:path": "x"}}}, "Invalid mapping expression specified"),
        ({"PassthroughBehavior": "NEVER"}, "WebSocket"),
    ],
)
def test_integrations_that_cannot_be_served_are_refused(apigatewayv2, api_id, input, message):
    given = {"IntegrationType": "AWS_PROXY", "IntegrationUri": function_arn("f"), "PayloadFormatVersion": "2.0", **input}
    with refused("BadRequestException", 400, message):
        apigatewayv2.create_integration(ApiId=api_id, **{key: value for key, value in given.items() if value is not None})
    assert apigatewayv2.get_integrations(ApiId=api_id)["Items"] == []


@pytest.mark.parametrize("timeout", [49, 30001])
def test_the_timeout_is_50_to_30000_milliseconds(apigatewayv2, api_id, timeout):
    with refused("BadRequestException", 400, "'timeoutInMillis' failed to satisfy constraint"):
        integration_of(apigatewayv2, api_id, TimeoutInMillis=timeout)


# --- stages and deployments ---------------------------------------------------------------------------------------------


def test_a_stage_is_created_read_updated_and_deleted(apigatewayv2, api_id):
    named = {"ApiId": api_id, "StageName": "dev"}
    stage = plain(apigatewayv2.create_stage(**named, StageVariables={"a": "b"}, Description="d", Tags={"t": "u"}))
    created = stage.pop("CreatedDate")
    assert stage.pop("LastUpdatedDate") == created
    assert stage == {
        "DefaultRouteSettings": {"DetailedMetricsEnabled": False},
        "Description": "d",
        "RouteSettings": {},
        "StageName": "dev",
        "StageVariables": {"a": "b"},
        "Tags": {"t": "u"},
    }
    with refused("ConflictException", 409, "Stage already exists"):
        apigatewayv2.create_stage(**named)
    settings = {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 2.5}
    answer = apigatewayv2.update_stage(**named, StageVariables={"c": "d"}, DefaultRouteSettings=settings)
    assert answer["StageVariables"] == {"c": "d"}
    assert answer["DefaultRouteSettings"] == {"DetailedMetricsEnabled": False, **settings}
    assert [s["StageName"] for s in apigatewayv2.get_stages(ApiId=api_id)["Items"]] == ["dev"]
    apigatewayv2.delete_stage(**named)
    with refused("NotFoundException", 404, "Invalid stage identifier specified"):
        apigatewayv2.get_stage(**named)


@pytest.mark.parametrize(
    "input, code, message",
    [
        ({"StageName": "a.b"}, "BadRequestException", "Stage name only allows"),
        ({"AccessLogSettings": {"Format": "x", "DestinationArn": "y"}}, "BadRequestException", "AccessLogSettings"),
        ({"ClientCertificateId": "x"}, "BadRequestException", "ClientCertificateId"),
        ({"DefaultRouteSettings": {"LoggingLevel": "INFO"}}, "BadRequestException", "Execution logs are not supported on protocolType HTTP"),
        ({"DefaultRouteSettings": {"DataTraceEnabled": True}}, "BadRequestException", "Execution logs are not supported on protocolType HTTP"),
        ({"StageVariables": {"a b": "c"}}, "BadRequestException", "Stage variable names"),
        ({"StageVariables": {"a": "b c"}}, "BadRequestException", "Stage variable value"),
        ({"RouteSettings": {"GET /x": {}}}, "NotFoundException", "Unable to find Route by key GET /x within the provided RouteSettings"),
        ({"DeploymentId": "nothing"}, "NotFoundException", "Invalid Deployment identifier specified"),
        ({"AutoDeploy": True, "DeploymentId": "x"}, "BadRequestException", "AutoDeploy is enabled"),
    ],
)
def test_wrong_stages_are_refused(apigatewayv2, api_id, input, code, message):
    with refused(code, 404 if code == "NotFoundException" else 400, message):
        apigatewayv2.create_stage(**{"ApiId": api_id, "StageName": "dev", **input})
    assert apigatewayv2.get_stages(ApiId=api_id)["Items"] == []


def test_the_eleventh_stage_is_refused(apigatewayv2, api_id):
    for i in range(10):
        apigatewayv2.create_stage(ApiId=api_id, StageName=f"s{i}")
    with refused("ConflictException", 409, "Maximum number of Stages for this API has been reached."):
        apigatewayv2.create_stage(ApiId=api_id, StageName="one-more")


def test_route_settings_follow_their_route(server):
    api = Api(server, "GET /a", function="f")
    named = {"ApiId": api.id, "StageName": "$default"}
    (route,) = api.client.get_routes(ApiId=api.id)["Items"]
    api.client.update_stage(**named, RouteSettings={"GET /a": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}})
    api.client.update_route(ApiId=api.id, RouteId=route["RouteId"], RouteKey="GET /b")
    assert list(api.client.get_stage(**named)["RouteSettings"]) == ["GET /b"]
    api.client.delete_route_settings(**named, RouteKey="GET /b")
    assert api.client.get_stage(**named)["RouteSettings"] == {}
    with refused("NotFoundException", 404):
        api.client.delete_route_settings(**named, RouteKey="GET /b")


def test_a_deployment_needs_a_route_with_an_integration(apigatewayv2, api_id):
    message = "Unable to deploy API because no valid routes exist in this API"
    with refused("BadRequestException", 400, message):
        apigatewayv2.create_deployment(ApiId=api_id)
    stage = apigatewayv2.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    assert stage["LastDeploymentStatusMessage"] == f"Deployment attempt failed: {message}"
    assert "DeploymentId" not in stage
    assert apigatewayv2.get_deployments(ApiId=api_id)["Items"] == []


def test_a_deployment_is_created_read_updated_and_deleted(apigatewayv2, api_id):
    integration = integration_of(apigatewayv2, api_id)
    apigatewayv2.create_route(ApiId=api_id, RouteKey="GET /", Target=f"integrations/{integration}")
    apigatewayv2.create_stage(ApiId=api_id, StageName="dev")
    made = plain(apigatewayv2.create_deployment(ApiId=api_id, StageName="dev", Description="first"))
    assert made.pop("CreatedDate")
    named = {"ApiId": api_id, "DeploymentId": made["DeploymentId"]}
    assert made == {"AutoDeployed": False, "DeploymentId": named["DeploymentId"], "DeploymentStatus": "DEPLOYED", "Description": "first"}
    assert apigatewayv2.get_stage(ApiId=api_id, StageName="dev")["DeploymentId"] == made["DeploymentId"]
    assert apigatewayv2.update_deployment(**named, Description="other")["Description"] == "other"
    assert apigatewayv2.get_deployment(**named)["Description"] == "other"
    with refused("BadRequestException", 400, "Active stages pointing to this deployment must be moved or deleted"):
        apigatewayv2.delete_deployment(**named)
    apigatewayv2.delete_stage(ApiId=api_id, StageName="dev")
    apigatewayv2.delete_deployment(**named)
    with refused("NotFoundException", 404, "Invalid Deployment identifier specified"):
        apigatewayv2.get_deployment(**named)
    with refused("NotFoundException", 404, "Invalid stage identifier specified"):
        apigatewayv2.create_deployment(ApiId=api_id, StageName="dev")


def test_every_change_is_deployed_to_a_stage_with_auto_deploy(server):
    api = Api(server, "GET /a", function="f")
    first = api.client.get_stage(ApiId=api.id, StageName="$default")
    api.route("GET /b")
    second = api.client.get_stage(ApiId=api.id, StageName="$default")
    assert second["DeploymentId"] != first["DeploymentId"]
    assert second["LastDeploymentStatusMessage"] == f"Successfully deployed stage with deployment ID '{second['DeploymentId']}'"
    deployments = api.client.get_deployments(ApiId=api.id)["Items"]
    assert {d["DeploymentId"] for d in deployments} == {first["DeploymentId"], second["DeploymentId"]}
    assert all(d["AutoDeployed"] for d in deployments)


def test_automatic_deployments_do_not_pile_up(server):
    api = Api(server, function="f")
    for i in range(30):
        api.route(f"GET /r{i}")
    deployments = api.client.get_deployments(ApiId=api.id)["Items"]
    assert len(deployments) == 21
    assert api.client.get_stage(ApiId=api.id, StageName="$default")["DeploymentId"] in {d["DeploymentId"] for d in deployments}


# --- tags -------------------------------------------------------------------------------------------------------------


def test_apis_and_stages_are_tagged(apigatewayv2, api_id):
    apigatewayv2.create_stage(ApiId=api_id, StageName="dev")
    for arn in (f"arn:aws:apigateway:us-east-1::/apis/{api_id}", f"arn:aws:apigateway:us-east-1::/apis/{api_id}/stages/dev"):
        apigatewayv2.tag_resource(ResourceArn=arn, Tags={"a": "1", "b": "2"})
        apigatewayv2.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert apigatewayv2.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    assert apigatewayv2.get_api(ApiId=api_id)["Tags"] == {"b": "2"}
    with refused("NotFoundException", 404):
        apigatewayv2.get_tags(ResourceArn="arn:aws:apigateway:us-east-1::/apis/nothing")
    with refused("BadRequestException", 400):
        apigatewayv2.get_tags(ResourceArn="arn:aws:s3:::bucket")


# --- durability -------------------------------------------------------------------------------------------------------


def test_apis_are_served_again_after_kill_9(start_server):
    server = start_server()
    api = Api(server, "GET /a", function="f")
    assert api.call("GET", "/b").status == 404
    assert api.call("GET", "/a").status == 500  # there is no function f: the route is found
    server.kill()
    server.restart()
    assert api.call("GET", "/b").status == 404
    assert api.call("GET", "/a").status == 500
