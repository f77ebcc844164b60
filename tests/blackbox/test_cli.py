# SPDX-License-Identifier: Apache-2.0
"""The command line: each verb against a server, and what it says when something is wrong."""

import json
import os
import re
import socket
import subprocess

import pytest

from support import BIN, PATIENCE, ROOT, wait_for

VERBS = ["serve", "deploy", "invoke", "logs", "ls", "top", "metrics", "rm", "events", "bill", "doctor", "version"]
ECHO = "def handler(event, context):\n    print('seen', event)\n    return event\n"


def sluice(*arguments, env=None, cwd=None, stdin=None):
    """The command without a server of ours."""
    return subprocess.run(
        [str(BIN), *arguments],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def folder(tmp_path):
    """folder({key: value of sluice.json}, {file: text}) gives the path of a deployable folder."""

    def make(manifest, files=None, name="app"):
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        for file, text in {"index.py": ECHO, **(files or {})}.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(text)
        basics = {"name": "app", "runtime": "python3.11", "handler": "index.handler"}
        (path / "sluice.json").write_text(manifest if isinstance(manifest, str) else json.dumps({**basics, **manifest}))
        return str(path)

    return make


# --- help and wrong usage -------------------------------------------------------------------------------------------


def test_version_is_one_line():
    for arguments in (["version"], ["--version"]):
        answer = sluice(*arguments)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert re.fullmatch(r"sluice \d+\.\d+\.\d+\n", answer.stdout)


def test_help_lists_every_verb():
    answer = sluice("--help")
    assert answer.returncode == 0
    assert re.findall(r"^  ([a-z]+)  ", answer.stdout, re.M) == VERBS
    assert sluice().returncode == 2


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself_and_refuses_an_unknown_option(verb):
    for arguments in ([verb, "--help"], ["help", verb]):
        answer = sluice(*arguments)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.startswith(f"sluice {verb}: ")
        assert f"Usage: sluice {verb}" in answer.stdout
        assert "--help" in answer.stdout
    wrong = sluice(verb, "--hepl")
    assert wrong.returncode == 2
    assert "did you mean --help?" in wrong.stderr
    assert f"sluice {verb} --help" in wrong.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_man_page_has_every_verb_with_its_options(verb):
    page = (ROOT / "docs" / "sluice.1").read_text()
    assert f".B {verb}\n" in page
    if verb != "serve":  # whose options are in its help
        options = set(re.findall(r"--([a-z-]+)", sluice(verb, "--help").stdout.split("Options:")[1].split("Examples:")[0]))
        missing = {o for o in options if o.replace("-", "\\-") not in page} - {"help", "qualifier"}
        assert not missing


def test_an_unknown_verb_names_the_nearest():
    answer = sluice("depoly")
    assert answer.returncode == 2
    assert answer.stderr == "sluice: there is no verb 'depoly'; did you mean `sluice deploy`? `sluice --help` lists the verbs\n"
    assert sluice("qqqqqqqq").stderr == "sluice: there is no verb 'qqqqqqqq'; `sluice --help` lists the verbs\n"


def test_a_verb_without_server_says_how_to_start_one():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = sluice("ls", "--endpoint", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert answer.returncode == 1
    assert "no server answers at" in answer.stderr and "sluice serve" in answer.stderr and "--endpoint" in answer.stderr


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "http://[", "127.0.0.1:x"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint):
    answer = sluice("ls", "--endpoint", endpoint)
    assert answer.returncode in (1, 2)
    assert endpoint in answer.stderr


def test_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        answer = subprocess.run([str(BIN), "version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert answer.returncode == 1
    assert "cannot write to standard output: No space left on device" in answer.stderr


def test_completion_offers_verbs_and_options():
    script = f"""
        source {ROOT}/tools/completions/sluice.bash
        COMP_WORDS=({BIN} de); COMP_CWORD=1; _sluice; echo "${{COMPREPLY[@]}}"
        COMP_WORDS=({BIN} invoke --lo); COMP_CWORD=2; _sluice; echo "${{COMPREPLY[@]}}"
    """
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert answer.stdout.split("\n")[:2] == ["deploy", "--log"], answer.stderr


# --- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_tells_people_and_scripts_the_same():
    people, scripts = sluice("doctor"), sluice("doctor", "--json")
    assert people.returncode == scripts.returncode
    found = json.loads(scripts.stdout)["features"]
    assert {"sandbox", "runtimes"} == {item["section"] for item in found}
    for item in found:
        assert item["name"] in people.stdout
        # What is missing comes with what to do about it.
        assert item["available"] or item["advice"]
    assert any(item["name"] == "provided.al2023" and item["available"] for item in found)
    assert "\033" not in people.stdout  # not a terminal


# --- serve: what can be wrong ---------------------------------------------------------------------------------------


def test_a_taken_port_is_named(server):
    answer = sluice("serve", "--listen", f"127.0.0.1:{server.port}", "--memory")
    assert answer.returncode == 1
    assert str(server.port) in answer.stderr and "in use" in answer.stderr


def test_a_data_directory_in_use_is_named(server):
    answer = sluice("serve", "--listen", "127.0.0.1:0", "--data", str(server.data))
    assert answer.returncode != 0
    assert str(server.data) in answer.stderr or "in use" in answer.stderr
    assert server.client("lambda").list_functions()["Functions"] == []


def test_a_wrong_option_of_serve_is_told():
    answer = sluice("serve", "--lisen", "x")
    assert answer.returncode == 2
    assert "did you mean --listen?" in answer.stderr


# --- deploy, ls, rm -------------------------------------------------------------------------------------------------


def test_deploy_creates_then_leaves_alone_then_updates(server, folder):
    path = folder({"memory": 256, "timeout": 5, "description": "first", "routes": ["GET /hello", "$default"]})
    first = server.cli("deploy", path)
    assert first.returncode == 0, first.stderr
    assert re.match(r"app +created +python3.11\n", first.stdout)
    url = re.search(r"http://\S+", first.stdout)[0]
    made = server.client("lambda").get_function_configuration(FunctionName="app")
    assert (made["MemorySize"], made["Timeout"], made["Description"]) == (256, 5, "first")

    again = server.cli("deploy", path)
    assert again.returncode == 0, again.stderr
    assert "unchanged" in again.stdout and url in again.stdout
    same = server.client("lambda").get_function_configuration(FunctionName="app")
    assert same["RevisionId"] == made["RevisionId"]

    folder({"memory": 256, "timeout": 6, "routes": ["POST /other"]}, {"index.py": "def handler(e, c): return 'new'"})
    changed = server.cli("deploy", path)
    assert changed.returncode == 0, changed.stderr
    assert "updated" in changed.stdout and url in changed.stdout
    assert server.invoke("app")["Json"] == "new"
    assert server.client("lambda").get_function_configuration(FunctionName="app")["Timeout"] == 6
    apis = server.client("apigatewayv2").get_apis()["Items"]
    assert [api["Name"] for api in apis] == ["app"]
    routes = server.client("apigatewayv2").get_routes(ApiId=apis[0]["ApiId"])["Items"]
    assert [route["RouteKey"] for route in routes] == ["POST /other"]


def test_a_deployed_route_answers(server, folder):
    answer = server.cli("deploy", folder({"routes": ["POST /echo"]}, {"index.py": "def handler(e, c): return e['body']"}))
    assert answer.returncode == 0, answer.stderr
    host = re.search(r"http://([^/\s]+)", answer.stdout)[1]
    response = server.http("POST", "/echo", body="some text", headers={"Content-Type": "text/plain"}, host=host)
    assert (response.status, response.text) == (200, "some text")
    assert server.http("GET", "/echo", host=host).status == 404


def test_deploy_takes_values_from_the_environment(server, folder):
    path = folder({"environment": {"TOKEN": "${CLI_TEST_TOKEN}", "BASE": "${CLI_TEST_BASE:-https://example.org}", "MODE": "a$b"}})
    missing = server.cli("deploy", path)
    assert missing.returncode == 1
    assert "CLI_TEST_TOKEN, which is not set" in missing.stderr
    given = server.cli("deploy", path, env={"CLI_TEST_TOKEN": "s3cret"})
    assert given.returncode == 0, given.stderr
    variables = server.client("lambda").get_function_configuration(FunctionName="app")["Environment"]["Variables"]
    assert variables == {"TOKEN": "s3cret", "BASE": "https://example.org", "MODE": "a$b"}


def test_deploy_builds_first_and_packs_what_is_asked_for(server, folder):
    path = folder(
        {"build": "mkdir -p out && cp index.py out/ && echo made > out/data.txt && touch out/junk.tmp", "code": "out", "exclude": ["*.tmp"]},
        {"index.py": "import os\ndef handler(e, c): return sorted(os.listdir('/var/task'))"},
    )
    answer = server.cli("deploy", path)
    assert answer.returncode == 0, answer.stderr
    assert server.invoke("app")["Json"] == ["data.txt", "index.py"]


def test_a_failing_build_stops_the_deployment(server, folder):
    answer = server.cli("deploy", folder({"build": "echo why it fails; exit 3"}))
    assert answer.returncode == 1
    assert "why it fails" in answer.stderr and "the build command failed" in answer.stderr
    assert server.client("lambda").list_functions()["Functions"] == []


@pytest.mark.parametrize(
    "manifest, told",
    [
        ({"timout": 3}, 'unknown key "timout"; did you mean "timeout"?'),
        ({"memory": "128"}, '"memory" must be a whole number above 0'),
        ({"routes": "GET /"}, '"routes" must be a list of texts'),
        ({"environment": {"A": 1}}, '"environment" must be an object whose values are texts'),
        ('{"name": "x"}', '"runtime" is missing'),
        ("[]", "must be an object"),
        ("{", "sluice.json"),
        ({"code": "nowhere"}, "nowhere"),
        ({"environment": {"A": "${OPEN"}}, '"${" without "}"'),
    ],
)
def test_a_wrong_manifest_is_told_where_and_what(folder, manifest, told):
    answer = sluice("deploy", folder(manifest), "--endpoint", "http://127.0.0.1:1")
    assert answer.returncode == 1
    assert told in answer.stderr
    assert "app" in answer.stderr


def test_deploy_without_manifest_says_what_it_looks_for(tmp_path):
    answer = sluice("deploy", str(tmp_path))
    assert answer.returncode == 2
    assert "sluice.json" in answer.stderr


def test_the_servers_refusal_is_passed_on(server, folder):
    answer = server.cli("deploy", folder({"name": "no spaces allowed"}))
    assert answer.returncode == 1
    assert "ValidationException" in answer.stderr


def test_of_several_folders_those_whose_needs_are_not_installed_are_left_out(server, folder):
    needy = folder({"name": "needy", "needs": ["sh", "no-such-compiler"], "build": "exit 3"}, name="needy")
    plain = folder({"name": "plain", "needs": ["sh"]}, name="plain")
    for several in ([plain.rsplit("/", 1)[0]], [needy, plain]):
        answer = server.cli("deploy", *several)
        assert answer.returncode == 0, answer.stderr
        assert re.search(r"^needy +left out +no-such-compiler is not installed$", answer.stdout, re.M)
        assert re.search(r"^plain +(created|unchanged) ", answer.stdout, re.M)
    alone = server.cli("deploy", needy)
    assert alone.returncode == 1 and "the build command failed" in alone.stderr


def test_a_folder_of_folders_deploys_each_and_ls_and_rm_see_them(server, folder):
    folder({"name": "one", "routes": ["$default"]}, name="one")
    path = folder({"name": "two"}, name="two").rsplit("/", 1)[0]
    assert server.cli("ls").stdout.startswith("nothing is deployed")
    answer = server.cli("deploy", path)
    assert answer.returncode == 0, answer.stderr

    listing = server.cli("ls").stdout
    assert re.search(r"^one +python3.11 +128 MB +3 s +Active$", listing, re.M)
    assert re.search(r"^two +python3.11", listing, re.M)
    assert re.search(r"^one +[a-z0-9]{10} +http://", listing, re.M)

    removed = server.cli("rm", "one", "two")
    assert removed.returncode == 0, removed.stderr
    assert server.cli("ls").stdout.startswith("nothing is deployed")
    gone = server.cli("rm", "one")
    assert gone.returncode == 1
    assert "ResourceNotFoundException: Function not found" in gone.stderr


def test_rm_keeps_an_api_that_has_other_integrations(server, folder):
    server.cli("deploy", folder({"routes": ["$default"]}))
    other = server.create_function("other", {"index.py": ECHO})["FunctionArn"]
    apis = server.client("apigatewayv2")
    api = apis.get_apis()["Items"][0]["ApiId"]
    apis.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=other, PayloadFormatVersion="2.0")
    answer = server.cli("rm", "app")
    assert answer.returncode == 0, answer.stderr
    assert f"kept      HTTP API {api}" in answer.stdout
    assert len(apis.get_apis()["Items"]) == 1


# --- invoke, logs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def echo(server):
    server.create_function("echo", {"index.py": ECHO})
    return server


def test_invoke_sends_data_files_and_standard_input(echo, tmp_path):
    file = tmp_path / "event.json"
    file.write_text('{"from": "file"}')
    assert echo.cli("invoke", "echo").stdout == "{}\n"
    assert json.loads(echo.cli("invoke", "echo", "--data", '{"a": [1]}').stdout) == {"a": [1]}
    assert json.loads(echo.cli("invoke", "echo", "--payload", str(file)).stdout) == {"from": "file"}
    assert json.loads(echo.cli("invoke", "echo", "-p", "-", stdin='"text"').stdout) == "text"
    both = echo.cli("invoke", "echo", "-p", "-", "-d", "1")
    assert both.returncode == 2 and "exclude each other" in both.stderr


def test_invoke_keeps_answer_and_log_apart(echo):
    answer = echo.cli("invoke", "echo", "--data", '{"k": 1}', "--log")
    assert json.loads(answer.stdout) == {"k": 1}
    assert "START RequestId" in answer.stderr and "seen {'k': 1}" in answer.stderr and "REPORT RequestId" in answer.stderr


def test_invoke_of_a_failing_function_exits_with_1(server):
    server.create_function("broken", {"index.py": "def handler(e, c): raise ValueError('no luck')"})
    answer = server.cli("invoke", "broken")
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["errorMessage"] == "no luck"
    assert "the function failed (Unhandled)" in answer.stderr
    missing = server.cli("invoke", "absent")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent" in missing.stderr


def test_an_event_is_accepted_and_runs(echo):
    answer = echo.cli("invoke", "echo", "--event", "--data", '{"marker": "later"}')
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "accepted\n")
    wait_for(lambda: "later" in echo.cli("logs", "echo").stdout, "the event's log line")


def test_logs_prints_and_follows(echo):
    echo.invoke("echo", {"n": "first"})
    wait_for(lambda: "first" in echo.cli("logs", "echo").stdout, "the first log line")
    follow = subprocess.Popen(
        [str(BIN), "logs", "echo", "--follow", "--endpoint", echo.url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for line in follow.stdout:  # what is there already
            if "REPORT" in line:
                break
        echo.invoke("echo", {"n": "second"})
        for line in follow.stdout:
            if "second" in line:
                break
        assert "second" in line
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()


def test_what_a_server_says_cannot_steer_the_terminal(server, folder):
    server.create_function("noisy", {"index.py": "def handler(e, c): print('\\x1b[31mred\\x07')"})
    answer = server.cli("invoke", "noisy", "--log")
    assert "\x1b" not in answer.stderr and "\x07" not in answer.stderr
    assert "red" in answer.stderr


def test_region_and_account_choose_what_is_seen(server, folder):
    path = folder({})
    assert server.cli("deploy", path, "--region", "eu-central-1").returncode == 0
    server.scopes.add(("eu-central-1", "test"))
    assert server.cli("ls").stdout.startswith("nothing is deployed")
    assert "app" in server.cli("ls", env={"AWS_REGION": "eu-central-1"}).stdout
    assert server.cli("ls", "--region", "eu-central-1", env={"AWS_ACCESS_KEY_ID": "111122223333"}).stdout.startswith("nothing")
