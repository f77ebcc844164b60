# SPDX-License-Identifier: Apache-2.0
"""The unmodified `aws` command does everything that the first slice promises, told where Sluice is by --endpoint-url or by
AWS_ENDPOINT_URL, and `curl` calls what it made. Nearly all of the half a second that a run of the command costs is loading it, so all but
a few runs are forks of a process that has loaded it (LOADED); independent ones run side by side."""

import base64
import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from support import PATIENCE, ROLE, zip_bytes

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
LOGS = """
import os
def handler(event, context):
    print("seen", event)
    return {"hello": event.get("name"), "mode": os.environ.get("MODE")}
"""
PROXY = """
import json
def handler(event, context):
    kept = {k: event.get(k) for k in ("version", "routeKey", "rawPath", "httpMethod", "path", "resource", "body", "queryStringParameters",
                                      "multiValueQueryStringParameters", "pathParameters", "stageVariables", "cookies")}
    kept["stage"] = event["requestContext"]["stage"]
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(kept)}
"""


# Runs `python -m awscli` for each connection, as a fork: {"words", "env", "cwd"} in, {"status", "out", "err"} back.
LOADED = """
import json, os, signal, socket, sys, tempfile
import awscli.clidriver
awscli.clidriver.create_clidriver()
listener = socket.socket(fileno=int(sys.argv[1]))

def run(asked):
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    own = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}  # set by loading it
    os.environ.clear()
    os.environ.update({**asked["env"], **own})
    os.chdir(asked["cwd"])
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    sys.argv = ["aws", *asked["words"]]
    try:
        status = awscli.clidriver.main()
    except SystemExit as end:
        status = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    out.seek(0)
    err.seek(0)
    return {"status": status, "out": out.read().decode(), "err": err.read().decode()}

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks go without being waited for
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps(run(json.loads(stream.readline()))))
        os._exit(0)
    connection.close()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Address of a socket behind which the command is loaded."""
    path = str(tmp_path_factory.mktemp("aws") / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        command = [sys.executable, "-B", "-c", LOADED, str(listener.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()])
    yield path
    process.kill()
    process.wait()


class Aws:
    def __init__(self, server, folder, loaded):
        self.server, self.folder, self.loaded = server, folder, loaded
        self.url = f"http://localhost:{server.port}"
        self.options = ["--endpoint-url", self.url]
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}  # fmt: skip

    def run(self, command):
        """One line of shell words without quoting: words in {} of the caller's f-string must not hold spaces."""
        words = [*self.options, *(command.split() if isinstance(command, str) else command)]
        if not self.loaded:
            words = [sys.executable, "-B", "-m", "awscli", *words]
            return subprocess.run(words, env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * PATIENCE)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(4 * PATIENCE)
            connection.connect(self.loaded)
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps({"words": words, "env": self.env, "cwd": str(self.folder)}) + "\n")
                stream.flush()
                done = json.loads(stream.read())
        return subprocess.CompletedProcess(words, done["status"], done["out"], done["err"])

    def __call__(self, command):
        """Its JSON, or its text if it printed something else."""
        done = self.run(command)
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout

    def together(self, *commands):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            return list(pool.map(self, commands))

    def zip(self, name, source):
        (self.folder / name).write_bytes(zip_bytes({"index.py": source}))

    def create(self, name, source=PROXY):
        self.zip(f"{name}.zip", source)
        return self(f"lambda create-function --function-name {name} --runtime python3.11 --handler index.handler --role {ROLE} --zip-file fileb://{name}.zip")

    def curl(self, url, *options):
        """(status, body) as curl gets it; host names of our URLs are told to be here."""
        host = re.match(r"http://([^/:]+)", url)[1]
        command = ["curl", "-sS", "-w", "\n%{http_code}", "--resolve", f"{host}:{self.server.port}:127.0.0.1", *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


@pytest.fixture
def aws(server, tmp_path, loaded):
    return Aws(server, tmp_path, loaded)


def test_the_life_of_a_function(aws):
    made = aws.create("life", LOGS)
    assert (made["FunctionArn"], made["Runtime"], made["State"]) == (ARN + "life", "python3.11", "Pending")
    aws("lambda wait function-active-v2 --function-name life")

    answer, event, config, whole, listed = aws.together(
        ["lambda", "invoke", "--function-name", "life", "--payload", '{"name": "Grüße"}', "--log-type", "Tail", "out.json"],
        ["lambda", "invoke", "--function-name", "life", "--invocation-type", "Event", "--payload", '{"name": "later"}', "event.json"],
        "lambda get-function-configuration --function-name life",
        "lambda get-function --function-name life",
        "lambda list-functions",
    )
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads((aws.folder / "out.json").read_text()) == {"hello": "Grüße", "mode": None}
    log = base64.b64decode(answer["LogResult"]).decode()
    assert re.search(r"START RequestId: (\S+) Version: \$LATEST\n.*seen \{'name': 'Grüße'\}\n.*END RequestId: \1\nREPORT RequestId: \1\t", log, re.S)
    assert event["StatusCode"] == 202 and (aws.folder / "event.json").read_bytes() == b""
    assert (config["State"], config["LastUpdateStatus"], config["Handler"], config["Timeout"]) == ("Active", "Successful", "index.handler", 3)
    assert whole["Configuration"] == config and whole["Code"]["Location"].startswith("http")
    assert listed["Functions"][0]["FunctionArn"] == ARN + "life"

    aws("lambda update-function-configuration --function-name life --timeout 9 --memory-size 256 --environment Variables={MODE=quiet}")
    aws("lambda wait function-updated-v2 --function-name life")
    aws.zip("new.zip", LOGS.replace('"hello"', '"new"'))
    updated = aws("lambda update-function-code --function-name life --zip-file fileb://new.zip")
    assert (updated["Timeout"], updated["MemorySize"], updated["Environment"]["Variables"]) == (9, 256, {"MODE": "quiet"})
    assert updated["CodeSha256"] != made["CodeSha256"] and updated["RevisionId"] != made["RevisionId"]
    aws("lambda wait function-updated-v2 --function-name life")
    aws(["lambda", "invoke", "--function-name", "life", "--payload", '{"name": 1}', "new.json"])
    assert json.loads((aws.folder / "new.json").read_text()) == {"new": 1, "mode": "quiet"}

    assert aws("lambda delete-function --function-name life") == {"StatusCode": 204}
    missing, none = aws.run("lambda get-function --function-name life"), aws("lambda list-functions")
    assert missing.returncode in (254, 255)
    assert f"An error occurred (ResourceNotFoundException) when calling the GetFunction operation: Function not found: {ARN}life" in missing.stderr
    assert none["Functions"] == []


def test_permissions_tags_account_and_identity_by_the_environment_variable(aws):
    aws.options, aws.env["AWS_ENDPOINT_URL"] = [], aws.url
    aws.create("tagged", LOGS)
    add = "lambda add-permission --function-name tagged --action lambda:InvokeFunction"
    who, role, limits, added, _, _ = aws.together(
        "sts get-caller-identity",
        ["iam", "create-role", "--role-name", "aws-cli", "--assume-role-policy-document", json.dumps(TRUST)],
        "lambda get-account-settings",
        f"{add} --statement-id one --principal apigateway.amazonaws.com --source-arn arn:aws:execute-api:us-east-1:000000000000:abc/*",
        f"{add} --statement-id two --principal 111122223333",
        f"lambda tag-resource --resource {ARN}tagged --tags team=bots,stage=prod",
    )
    assert (who["Account"], role["Role"]["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:role/aws-cli")
    assert limits["AccountLimit"]["ConcurrentExecutions"] == 1000 and limits["AccountUsage"]["FunctionCount"] == 1
    assert json.loads(added["Statement"])["Resource"] == ARN + "tagged"
    policy, tags = aws.together("lambda get-policy --function-name tagged", f"lambda list-tags --resource {ARN}tagged")
    assert {s["Sid"]: s["Principal"] for s in json.loads(policy["Policy"])["Statement"]} == {
        "one": {"Service": "apigateway.amazonaws.com"}, "two": {"AWS": "arn:aws:iam::111122223333:root"}}  # fmt: skip
    assert tags["Tags"] == {"team": "bots", "stage": "prod"}

    aws.together(
        "lambda remove-permission --function-name tagged --statement-id one",
        "lambda remove-permission --function-name tagged --statement-id two",
        f"lambda untag-resource --resource {ARN}tagged --tag-keys stage",
        "iam delete-role --role-name aws-cli",
    )
    assert aws(f"lambda list-tags --resource {ARN}tagged --output text --query Tags.team") == "bots\n"
    gone = aws.run("lambda get-policy --function-name tagged")
    assert "(ResourceNotFoundException) when calling the GetPolicy operation: The resource you requested does not exist." in gone.stderr


def test_versions_dry_runs_and_concurrency(aws):
    aws.create("more", LOGS)
    aws("lambda wait function-active-v2 --function-name more")
    dry, version, reserved = aws.together(
        "lambda invoke --function-name more --invocation-type DryRun out.json",
        "lambda publish-version --function-name more",
        "lambda put-function-concurrency --function-name more --reserved-concurrent-executions 5",
    )
    assert dry == {"StatusCode": 204} and version["Version"] == "1" and reserved == {"ReservedConcurrentExecutions": 5}
    listed, kept, _ = aws.together(
        "lambda list-versions-by-function --function-name more",
        "lambda get-function-concurrency --function-name more",
        "lambda create-alias --function-name more --name live --function-version 1",
    )
    assert [one["Version"] for one in listed["Versions"]] == ["$LATEST", "1"] and kept == reserved
    answer = aws(["lambda", "invoke", "--function-name", "more:live", "--payload", "{}", "live.json"])
    assert answer["ExecutedVersion"] == "1"


def test_a_role_with_a_policy_is_not_deleted(aws):
    aws.loaded = None  # the command as a user runs it
    (aws.folder / "trust.json").write_text(json.dumps(TRUST))
    aws("iam create-role --role-name cli --assume-role-policy-document file://trust.json")
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    aws(f"iam attach-role-policy --role-name cli --policy-arn {basic}")
    refused = aws.run("iam delete-role --role-name cli")
    assert refused.returncode != 0 and "DeleteConflict" in refused.stderr
    aws(f"iam detach-role-policy --role-name cli --policy-arn {basic}")
    aws("iam delete-role --role-name cli")


def test_the_url_of_a_function(aws):
    aws.create("url")
    made = aws("lambda create-function-url-config --function-name url --auth-type NONE")
    url = made["FunctionUrl"]
    assert re.fullmatch(rf"http://[a-z0-9]+\.lambda-url\.us-east-1\.localhost:{aws.server.port}/", url)
    assert aws.curl(url)[0] == 403  # nobody was permitted yet
    add = "lambda add-permission --function-name url --principal * --statement-id"
    _, _, there, listed = aws.together(
        f"{add} url --action lambda:InvokeFunctionUrl --function-url-auth-type NONE",
        f"{add} run --action lambda:InvokeFunction --invoked-via-function-url",
        "lambda get-function-url-config --function-name url",
        "lambda list-function-url-configs --function-name url",
    )
    assert there["AuthType"] == "NONE" and [c["FunctionUrl"] for c in listed["FunctionUrlConfigs"]] == [url]
    status, body = aws.curl(url + "a/b?x=1", "-d", "text", "-H", "Content-Type: text/plain")
    assert status == 200, body
    event = json.loads(body)
    assert (event["version"], event["rawPath"], event["body"], event["queryStringParameters"]) == ("2.0", "/a/b", "text", {"x": "1"})

    changed = aws("lambda update-function-url-config --function-name url --auth-type AWS_IAM")
    assert (changed["AuthType"], changed["FunctionUrl"]) == ("AWS_IAM", url)
    assert aws.curl(url)[0] == 403
    aws("lambda delete-function-url-config --function-name url")
    assert aws.curl(url)[0] in (403, 404)
    assert aws("lambda list-function-url-configs --function-name url")["FunctionUrlConfigs"] == []


def test_an_http_api_in_one_command(aws):
    aws.create("quick")
    api = aws(f"apigatewayv2 create-api --name quick --protocol-type HTTP --target {ARN}quick")
    source = f"arn:aws:execute-api:us-east-1:000000000000:{api['ApiId']}/*"
    _, routes, stages, integrations = aws.together(
        f"lambda add-permission --function-name quick --statement-id api --action lambda:InvokeFunction --principal apigateway.amazonaws.com --source-arn {source}",
        f"apigatewayv2 get-routes --api-id {api['ApiId']}",
        f"apigatewayv2 get-stages --api-id {api['ApiId']}",
        f"apigatewayv2 get-integrations --api-id {api['ApiId']}",
    )
    assert [r["RouteKey"] for r in routes["Items"]] == ["$default"]
    assert [(s["StageName"], s["AutoDeploy"]) for s in stages["Items"]] == [("$default", True)]
    assert [(i["IntegrationType"], i["PayloadFormatVersion"]) for i in integrations["Items"]] == [("AWS_PROXY", "2.0")]

    assert re.fullmatch(rf"http://{api['ApiId']}\.execute-api\.[a-z0-9.-]*localhost:{aws.server.port}", api["ApiEndpoint"])
    for url in (api["ApiEndpoint"], f"{aws.url}/_aws/execute-api/{api['ApiId']}/$default"):
        status, body = aws.curl(url + "/some/path?a=1&a=2", "-b", "k=v; l=w")
        assert status == 200, (url, body)
        event = json.loads(body)
        assert (event["version"], event["routeKey"], event["rawPath"], event["stage"]) == ("2.0", "$default", "/some/path", "$default")
        assert event["queryStringParameters"] == {"a": "1,2"} and event["cookies"] == ["k=v", "l=w"]
    aws(f"apigatewayv2 delete-api --api-id {api['ApiId']}")
    assert aws.curl(api["ApiEndpoint"] + "/")[0] in (403, 404)
    assert aws("apigatewayv2 get-apis")["Items"] == []


def test_an_http_api_in_parts_with_both_payload_formats(aws):
    aws.create("parts")
    api = aws("apigatewayv2 create-api --name parts --protocol-type HTTP --description first")["ApiId"]
    of = f"--api-id {api}"
    integrate = f"apigatewayv2 create-integration {of} --integration-type AWS_PROXY --integration-uri {ARN}parts --payload-format-version"
    one, two, _, stage = aws.together(
        f"{integrate} 1.0",
        f"{integrate} 2.0",
        "lambda add-permission --function-name parts --statement-id api --action lambda:InvokeFunction --principal apigateway.amazonaws.com",
        f"apigatewayv2 create-stage {of} --stage-name dev --auto-deploy --stage-variables color=red",
    )
    assert (stage["StageName"], stage["AutoDeploy"], stage["StageVariables"]) == ("dev", True, {"color": "red"})
    old, new = aws.together(
        ["apigatewayv2", "create-route", "--api-id", api, "--route-key", "GET /old/{id}", "--target", "integrations/" + one["IntegrationId"]],
        ["apigatewayv2", "create-route", "--api-id", api, "--route-key", "POST /new/{rest+}", "--target", "integrations/" + two["IntegrationId"]],
    )
    host, path = f"http://{api}.execute-api.localhost:{aws.server.port}/dev", f"{aws.url}/_aws/execute-api/{api}/dev"
    for url in (host, path):
        status, body = aws.curl(url + "/old/7?a=1&a=2")
        event = json.loads(body)
        assert (status, event["version"], event["httpMethod"], event["resource"]) == (200, "1.0", "GET", "/old/{id}"), body
        assert event["pathParameters"] == {"id": "7"} and event["stageVariables"] == {"color": "red"}
        assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
        status, body = aws.curl(url + "/new/x/y", "-d", "text", "-H", "Content-Type: text/plain")
        event = json.loads(body)
        assert (status, event["version"], event["routeKey"], event["rawPath"]) == (200, "2.0", "POST /new/{rest+}", "/dev/new/x/y"), body
        assert event["pathParameters"] == {"rest": "x/y"} and event["body"] == "text"
        assert aws.curl(url + "/none")[0] == 404

    got, deployments, stage = aws.together(
        f"apigatewayv2 get-api {of}",
        f"apigatewayv2 get-deployments {of}",
        f"apigatewayv2 update-stage {of} --stage-name dev --stage-variables color=blue",
    )
    assert (got["Description"], deployments["Items"][0]["DeploymentStatus"], stage["StageVariables"]) == ("first", "DEPLOYED", {"color": "blue"})
    moved = aws(["apigatewayv2", "update-route", "--api-id", api, "--route-id", new["RouteId"], "--route-key", "POST /moved"])
    assert moved["RouteKey"] == "POST /moved"
    assert aws.curl(host + "/moved", "-d", "x")[0] == 200 and aws.curl(host + "/new/x", "-d", "x")[0] == 404
    assert json.loads(aws.curl(host + "/old/7")[1])["stageVariables"] == {"color": "blue"}

    refused = aws.run(f"apigatewayv2 delete-integration {of} --integration-id {one['IntegrationId']}")
    assert "(ConflictException) when calling the DeleteIntegration operation" in refused.stderr
    aws(f"apigatewayv2 delete-api {of}")
