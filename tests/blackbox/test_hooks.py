# SPDX-License-Identifier: Apache-2.0
"""What the set-ups of existing tests call on other emulators: their health and reset paths, and their names."""

import http.client

import pytest

from support import PATIENCE, wait_for
from test_lambda_functions import ECHO, minimal


def names(server):
    return [function["FunctionName"] for function in server.client("lambda").list_functions()["Functions"]]


def test_health_lists_the_services_that_run(server):
    answer = server.http("GET", "/_localstack/health")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    services = answer.json()["services"]
    assert {"lambda", "sqs", "logs", "iam", "sts"} <= set(services) and set(services.values()) == {"running"}
    assert server.http("POST", "/_localstack/health").status == 405


@pytest.fixture
def forgetful(start_server):
    """A server that keeps nothing."""
    return start_server("--memory")


def test_a_reset_forgets_everything_and_the_server_goes_on(forgetful):
    server = forgetful
    for round_number in range(7):  # more often than a server may crash
        server.create_function(f"f{round_number}", ECHO)
        server.client("sqs").create_queue(QueueName="q")
        assert server.invoke(f"f{round_number}", {"a": 1})["Json"] == {"a": 1}
        answer = server.http("POST", "/moto-api/reset")
        assert (answer.status, answer.json()) == (200, {"status": "ok"})
        # The very next request is the new server's.
        assert names(server) == []
        assert server.client("sqs").list_queues().get("QueueUrls", []) == []
        server.note_tree()
    assert server.running()


def test_a_reset_ends_connections_that_were_open(forgetful):
    server = forgetful
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    idle.request("GET", "/_sluice/health")
    idle.getresponse().read()
    assert server.http("POST", "/moto-api/reset").status == 200
    wait_for(lambda: server.http("GET", "/_sluice/health").status == 200, "the new server")
    assert idle.sock.recv(1) == b""
    idle.close()
    server.note_tree()


def test_a_server_that_keeps_its_state_is_not_reset(server, lambda_):
    lambda_.create_function(**minimal("kept"))
    assert server.http("POST", "/moto-api/reset").status == 403
    assert names(server) == ["kept"]


def test_names_of_other_emulators_lead_here(server, lambda_):
    server.create_function("named", ECHO)
    host = f"localhost.localstack.cloud:{server.port}"
    assert server.http("GET", "/2015-03-31/functions", host=host).json()["Functions"][0]["FunctionName"] == "named"
    lambda_.create_function_url_config(FunctionName="named", AuthType="NONE")
    for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
        more = {"FunctionUrlAuthType": "NONE"} if action.endswith("Url") else {"InvokedViaFunctionUrl": True}
        lambda_.add_permission(FunctionName="named", StatementId=action[7:], Action=action, Principal="*", **more)
    url = lambda_.get_function_url_config(FunctionName="named")["FunctionUrl"]
    name = url.split("//")[1].split(".")[0]
    answer = server.http("GET", "/here", host=f"{name}.lambda-url.us-east-1.{host}")
    assert answer.status == 200 and answer.json()["rawPath"] == "/here"
