# SPDX-License-Identifier: Apache-2.0
"""The promise of the README: `make run` leaves a service that answers, and unmodified AWS clients work with it.

With boto3 (the `aws` command is in test_aws_cli.py): a function from its zip to its end, an HTTP API in both
forms of its URL, permission, function URL.
"""

import base64
import os
import re
import socket
import subprocess
import urllib.parse

import pytest

from support import BIN, PATIENCE, ROLE, ROOT, processes, wait_for, zip_bytes

HELLO = """
def handler(event, context):
    print("hello log")
    return {"greeting": "hello " + event.get("name", "world")}
"""
PROXY = """
def handler(event, context):
    if event["version"] == "2.0":
        return {"v": "2.0", "path": event["rawPath"], "method": event["requestContext"]["http"]["method"]}
    return {"statusCode": 200, "body": "v1 " + event["httpMethod"] + " " + event["path"]}
"""


# --- make run -------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_make_run_starts_deploys_keeps_running_and_stops(tmp_path):
    port = free_port()
    env = {**os.environ, "SLUICE_PORT": str(port), "SLUICE_DATA": str(tmp_path / "data"), "SLUICE_RUN_DIR": str(tmp_path / "run"), "SLUICE_BIN": str(BIN)}

    def run(*arguments):
        return subprocess.run([ROOT / "tools" / "run", *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * PATIENCE)

    try:
        first = run()
        assert first.returncode == 0, first.stdout + first.stderr
        urls = re.findall(r"^    (http://\S+)$", first.stdout, re.M)
        assert len(urls) >= 5  # hello in four languages, the bot in at least one
        assert "setWebhook" in first.stdout and "make stop" in first.stdout
        for url in urls[:4]:
            host = urllib.parse.urlsplit(url).netloc
            answer = subprocess.run(["curl", "-sS", "-H", f"Host: {host}", f"http://127.0.0.1:{port}/"], capture_output=True, text=True)
            assert "hello" in answer.stdout.lower(), (url, answer)

        pid = (tmp_path / "run" / "pid").read_text()
        again = run()
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"is running at http://127.0.0.1:{port}" in again.stdout
        assert "created" not in again.stdout and "unchanged" in again.stdout
        assert re.findall(r"^    (http://\S+)$", again.stdout, re.M) == urls
        assert (tmp_path / "run" / "pid").read_text() == pid
    finally:
        stopped = run("--stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    # Its parent is whoever takes in orphans here, who may take a moment to collect it.
    wait_for(lambda: int(pid) not in processes(), "the server to be gone")
    assert "nothing to stop" in run("--stop").stdout


# --- the way, with boto3 --------------------------------------------------------------------------------------------


def test_a_function_from_zip_to_deletion_with_boto3(server, lambda_):
    made = server.create_function("quick", {"index.py": HELLO}, Timeout=5)
    assert made["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:quick"

    answer = server.invoke("quick", {"name": "Ada"}, LogType="Tail")
    assert (answer["StatusCode"], answer["Json"]) == (200, {"greeting": "hello Ada"})
    log = base64.b64decode(answer["LogResult"]).decode()
    assert re.search(r"^START RequestId: \S+ Version: \$LATEST$", log, re.M)
    assert "hello log" in log and re.search(r"^REPORT RequestId: .*Billed Duration: \d+ ms", log, re.M)
    assert server.invoke("quick", {}, InvocationType="Event")["StatusCode"] == 202

    lambda_.update_function_configuration(FunctionName="quick", MemorySize=256, Environment={"Variables": {"MODE": "b"}})
    wait_for(lambda: lambda_.get_function_configuration(FunctionName="quick")["LastUpdateStatus"] == "Successful", "the update")
    lambda_.update_function_code(FunctionName="quick", ZipFile=zip_bytes({"index.py": "def handler(e, c): return 'updated'"}))
    wait_for(lambda: lambda_.get_function_configuration(FunctionName="quick")["LastUpdateStatus"] == "Successful", "the update")
    assert server.invoke("quick")["Json"] == "updated"
    there = lambda_.get_function(FunctionName="quick")["Configuration"]
    assert (there["MemorySize"], there["Timeout"], there["Environment"]["Variables"]) == (256, 5, {"MODE": "b"})

    assert [f["FunctionName"] for f in lambda_.list_functions()["Functions"]] == ["quick"]
    lambda_.delete_function(FunctionName="quick")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function(FunctionName="quick")


def test_an_http_api_answers_at_both_forms_of_its_url(server, lambda_, apigatewayv2):
    arn = server.create_function("proxy", {"index.py": PROXY})["FunctionArn"]
    api = apigatewayv2.create_api(Name="full", ProtocolType="HTTP")["ApiId"]
    for version, key in (("2.0", "GET /two"), ("1.0", "GET /one")):
        integration = apigatewayv2.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion=version)
        apigatewayv2.create_route(ApiId=api, RouteKey=key, Target="integrations/" + integration["IntegrationId"])
    apigatewayv2.create_stage(ApiId=api, StageName="prod", AutoDeploy=True)
    host, path = f"{api}.execute-api.localhost:{server.port}", f"/_aws/execute-api/{api}/prod"

    refused = server.http("GET", "/prod/two", host=host)
    assert (refused.status, refused.json()) == (500, {"message": "Internal Server Error"})  # no permission yet
    lambda_.add_permission(FunctionName="proxy", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                           SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api}/*")  # fmt: skip
    for answer in (server.http("GET", "/prod/two", host=host), server.http("GET", path + "/two")):
        assert answer.status == 200
        assert (answer.json()["v"], answer.json()["method"]) == ("2.0", "GET")
    for answer in (server.http("GET", "/prod/one", host=host), server.http("GET", path + "/one")):
        assert (answer.status, answer.text[:7]) == (200, "v1 GET ")
    assert server.http("GET", "/prod/none", host=host).status == 404
    lambda_.remove_permission(FunctionName="proxy", StatementId="api")
    wait_for(lambda: server.http("GET", "/prod/two", host=host).status == 500, "the permission to be gone")


def test_quick_create_makes_an_api_in_one_call(server, lambda_, apigatewayv2):
    arn = server.create_function("quick", {"index.py": PROXY})["FunctionArn"]
    api = apigatewayv2.create_api(Name="quick", ProtocolType="HTTP", Target=arn)
    lambda_.add_permission(FunctionName="quick", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                           SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api['ApiId']}/*")  # fmt: skip
    host = urllib.parse.urlsplit(api["ApiEndpoint"]).netloc
    answer = server.http("POST", "/any/path", body="x", host=host)
    assert (answer.status, answer.json()) == (200, {"v": "2.0", "path": "/any/path", "method": "POST"})


def test_a_function_url_answers(server, lambda_):
    server.create_function("url", {"index.py": PROXY})
    url = lambda_.create_function_url_config(FunctionName="url", AuthType="NONE")["FunctionUrl"]
    # Since October 2025 AWS asks for both ("Control access to Lambda function URLs", Lambda Developer Guide).
    lambda_.add_permission(FunctionName="url", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    lambda_.add_permission(FunctionName="url", StatementId="run", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    answer = server.http("GET", "/some/where?x=1", host=urllib.parse.urlsplit(url).netloc)
    assert (answer.status, answer.json()) == (200, {"v": "2.0", "path": "/some/where", "method": "GET"})


def test_what_is_deployed_survives_a_restart(start_server):
    server = start_server()
    server.create_function("kept", {"index.py": HELLO})
    assert server.stop() == 0
    server.restart()
    assert server.invoke("kept", {"name": "again"})["Json"] == {"greeting": "hello again"}
