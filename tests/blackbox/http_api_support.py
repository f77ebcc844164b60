# SPDX-License-Identifier: Apache-2.0
"""What the tests of HTTP APIs share: functions that echo, and an Api that is quick to write."""

import json

ACCOUNT, REGION = "000000000000", "us-east-1"

# Answers the event, unless the query string or body says what to answer instead.
ECHO = """
import json, time

def handler(event, context):
    query = event.get("queryStringParameters") or {}
    if "answer" in query:
        return json.loads(query["answer"])
    if "raise" in query:
        raise ValueError("as asked")
    if "sleep" in query:
        time.sleep(float(query["sleep"]))
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""


def function_arn(name, qualifier=""):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


def allow(server, name, source_arn=None):
    """Lets API Gateway invoke the function."""
    more = {"SourceArn": source_arn} if source_arn else {}
    server.client("lambda").add_permission(
        FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com", **more
    )


def echo_function(server, name="echo", source=ECHO):
    server.create_function(name, {"index.py": source})
    allow(server, name)
    return function_arn(name)


class Api:
    """An HTTP API with one integration and a stage with AutoDeploy."""

    def __init__(self, server, *routes, stage="$default", version="2.0", function="echo", integration=None, **more):
        self.server, self.stage, self.client = server, stage, server.client("apigatewayv2")
        self.id = self.client.create_api(Name="test", ProtocolType="HTTP", **more)["ApiId"]
        self.integration = self.client.create_integration(
            ApiId=self.id,
            IntegrationType="AWS_PROXY",
            IntegrationUri=function_arn(function),
            PayloadFormatVersion=version,
            **(integration or {}),
        )["IntegrationId"]
        for key in routes:
            self.route(key)
        if stage:
            self.client.create_stage(ApiId=self.id, StageName=stage, AutoDeploy=True)

    def route(self, key, **more):
        target = f"integrations/{self.integration}"
        return self.client.create_route(ApiId=self.id, RouteKey=key, Target=target, **more)["RouteId"]

    @property
    def host(self):
        return f"{self.id}.execute-api.localhost:{self.server.port}"

    def call(self, method, path, body=None, headers=None):
        return self.server.http(method, path, body, headers, host=self.host)

    def event(self, method, path, body=None, headers=None):
        answer = self.call(method, path, body, headers)
        assert answer.status == 200, (answer.status, answer.body)
        return json.loads(answer.body)
