# SPDX-License-Identifier: Apache-2.0
"""Tenant isolation: TenancyConfig PER_TENANT and X-Amz-Tenant-Id ("Tenant isolation", Lambda developer guide)."""

import json

import pytest

from support import wait_for
from test_lambda_functions import refusal

# What an instance remembers, and who it says its caller is.
CODE = {
    "index.py": "seen = []\n\ndef handler(event, context):\n    seen.append(event)\n    print('hello')\n"
    "    return {'seen': list(seen), 'tenant': context.tenant_id}\n"
}
PER_TENANT = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}
MISSING = "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."


def call(server, tenant=None, payload="1", headers=None):
    """By hand: the clients of this machine's age may not know the member."""
    headers = {**({"X-Amz-Tenant-Id": tenant} if tenant else {}), **(headers or {})}
    return server.http("POST", "/2015-03-31/functions/f/invocations", body=payload, headers=headers)


@pytest.fixture
def function(server):
    server.create_function("f", CODE, Publish=True, LoggingConfig={"LogFormat": "JSON"}, **PER_TENANT)


def test_instances_belong_to_one_tenant(function, server):
    for n in (1, 2, 3):
        for tenant in ("red", "blue/2 @x"):
            answer = call(server, tenant, json.dumps(f"{tenant}-{n}"))
            assert answer.status == 200, answer.text
            seen = answer.json()
            assert seen["tenant"] == tenant
            # An instance may have been busy or slow to come back; another tenant's events it never saw.
            assert all(one.startswith(tenant + "-") for one in seen["seen"])


def test_the_configuration_is_shown_and_needs_a_tenant(function, server, lambda_):
    shown = server.http("GET", "/2015-03-31/functions/f/configuration").json()
    assert shown["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    for headers in ({}, {"X-Amz-Invocation-Type": "Event"}):
        answer = call(server, headers=headers)
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "InvalidParameterValueException")
        assert answer.json()["message"] == MISSING
    wrong = call(server, "no;semicolons")
    assert wrong.status == 400 and "failed to satisfy constraint" in wrong.text


def test_other_functions_refuse_a_tenant(server):
    server.create_function("f", CODE)
    answer = call(server, "red")
    assert answer.status == 400
    assert answer.json()["message"] == (
        "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again."
    )


def test_events_keep_their_tenant_and_logs_name_it(function, server):
    assert call(server, "red", headers={"X-Amz-Invocation-Type": "Event"}).status == 202

    def told():
        lines = [json.loads(line) for line in server.http("GET", "/_sluice/logs?function=f").text.splitlines() if line.startswith("{")]
        found = {line["type"]: line["record"].get("tenantId") for line in lines if "record" in line}
        return found.get("platform.start") == "red" and found.get("platform.report") == "red"

    wait_for(told, "the log of the event")
    metrics = server.http("GET", "/_sluice/metrics").text
    assert 'sluice_tenant_invocations_total{function="f",version="$LATEST",alias="",tenant="red"' in metrics


def test_what_does_not_go_with_tenants(function, server, lambda_):
    snap = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    assert refusal(lambda_.update_function_configuration, FunctionName="f", **snap)[:2] == (400, "InvalidParameterValueException")
    refused = (400, "InvalidParameterValueException")
    assert refusal(lambda_.create_function_url_config, FunctionName="f", AuthType="NONE")[:2] == refused
    assert (
        refusal(lambda_.put_provisioned_concurrency_config, FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)[:2]
        == refused
    )
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="tenants")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    map_ = lambda_.create_event_source_mapping
    assert refusal(map_, FunctionName="f", EventSourceArn=arn)[:2] == refused
    server.create_function("plain", CODE)
    uuid = map_(FunctionName="plain", EventSourceArn=arn)["UUID"]
    assert refusal(lambda_.update_event_source_mapping, UUID=uuid, FunctionName="f")[:2] == refused
    lambda_.delete_event_source_mapping(UUID=uuid)
    sqs.delete_queue(QueueUrl=url)
