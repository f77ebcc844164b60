# SPDX-License-Identifier: Apache-2.0
"""`sluice bill`: what functions used, kept durably, and what it would cost (docs/billing.md)."""

import json
import re

from support import wait_for, zip_bytes
from test_metrics_lambda import metric

CODE = {"index.py": "def handler(event, context):\n    return event\n"}
BILLED = re.compile(rb"Billed Duration: (\d+) ms")


def bill(server, *options):
    answer = server.cli("bill", "--json", *options)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def until(server, requests, *options):
    """Use is written every few seconds."""
    return wait_for(lambda: (found := bill(server, *options))["total"]["requests"] == requests and found, f"{requests} requests")


def billed(answer):
    import base64

    return int(BILLED.search(base64.b64decode(answer["LogResult"]))[1])


def test_the_bill_is_the_sum_of_the_reports(start_server):
    server = start_server()
    lambda_ = server.client("lambda")
    server.create_function("f", CODE, MemorySize=512, Publish=True)
    server.create_function("g", CODE, MemorySize=128, Architectures=["arm64"])
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    f = [billed(server.invoke("f", 1, Qualifier="live", LogType="Tail")) for _ in range(3)]
    f.append(billed(server.invoke("f", 1, LogType="Tail")))
    g = [billed(server.invoke("g", 1, LogType="Tail"))]
    found = until(server, 5)
    lines = {line["name"]: line for line in found["lines"]}
    assert abs(lines["f"]["gb_seconds"] - sum(f) * 0.5 / 1000) < 1e-9
    assert abs(lines["g"]["gb_seconds"] - sum(g) * 0.125 / 1000) < 1e-9
    x86, arm = 0.0000166667, 0.0000133334
    assert abs(lines["f"]["cost"] - (4 * 0.2e-6 + lines["f"]["gb_seconds"] * x86)) < 1e-12
    assert abs(lines["g"]["cost"] - (0.2e-6 + lines["g"]["gb_seconds"] * arm)) < 1e-12
    assert abs(found["total"]["cost"] - lines["f"]["cost"] - lines["g"]["cost"]) < 1e-12
    assert {line["name"]: line["requests"] for line in bill(server, "--by", "alias")["lines"]} == {"f": 1, "f:live": 3, "g": 1}
    assert {line["name"]: line["requests"] for line in bill(server, "--by", "version")["lines"]} == {
        "f:$LATEST": 1,
        "f:1": 3,
        "g:$LATEST": 1,
    }
    assert bill(server, "--free-tier")["total"]["cost"] == 0
    assert found["idle"]["cost"] == 0
    assert "idle instances" in server.cli("bill").stdout


def test_an_operators_prices(start_server, tmp_path):
    server = start_server()
    server.create_function("f", CODE, MemorySize=1024)
    duration = billed(server.invoke("f", 1, LogType="Tail")) / 1000
    until(server, 1)
    tiers = [[duration / 2, 2], [None, 1]]  # half of it at two, the rest at one
    prices = {"currency": "EUR", "requests_per_million": 1e6, "x86_64": {"tiers": tiers}, "arm64": {"tiers": [[None, 0]]}}
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    found = bill(server, "--prices", str(tmp_path / "prices.json"))
    assert found["currency"] == "EUR"
    assert abs(found["total"]["cost"] - (1 + duration * 1.5)) < 1e-6
    (tmp_path / "wrong.json").write_text('{"x86_64": {}}')
    wrong = server.cli("bill", "--prices", str(tmp_path / "wrong.json"))
    assert wrong.returncode == 2 and "tiers" in wrong.stderr


def test_use_outlives_stops_and_crashes(start_server):
    server = start_server()
    server.create_function("f", CODE)
    server.invoke("f")
    server.stop()  # at once: what was not written yet is written now
    server.restart()
    assert bill(server)["total"]["requests"] == 1
    server.invoke("f")
    until(server, 2)
    server.kill()
    server.restart()
    assert bill(server)["total"]["requests"] == 2
    assert bill(server, "--month", "2020-01")["total"]["requests"] == 0
    assert server.cli("bill", "--month", "soon").returncode != 0


def test_tenants_and_regions_have_lines_of_their_own(start_server):
    server = start_server()
    server.create_function("f", CODE, TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    server.create_function("f", CODE, client=server.client("lambda", region="eu-west-1"))
    for tenant in ("red", "red", "blue"):
        answer = server.http("POST", "/2015-03-31/functions/f/invocations", body="1", headers={"X-Amz-Tenant-Id": tenant})
        assert answer.status == 200
    server.invoke("f", client=server.client("lambda", region="eu-west-1"))
    until(server, 3)
    until(server, 1, "--region", "eu-west-1")
    assert {line["name"]: line["requests"] for line in bill(server, "--by", "tenant")["lines"]} == {"f blue": 1, "f red": 2}


SLOW = r"""#!/usr/bin/env python3
import json, os, time, urllib.request
BASE = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
head = {"Lambda-Extension-Name": os.path.basename(__file__)}
with urllib.request.urlopen(urllib.request.Request(BASE + "register", b'{"events": ["INVOKE"]}', head)) as answer:
    me = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}
while True:
    with urllib.request.urlopen(urllib.request.Request(BASE + "event/next", headers=me)) as answer:
        answer.read()
    time.sleep(0.5)
"""


def test_what_extensions_do_after_the_answer_is_billed(start_server):
    server = start_server()
    lambda_ = server.client("lambda")
    layer = lambda_.publish_layer_version(
        LayerName="slow", Content={"ZipFile": zip_bytes({"extensions/slow": (SLOW, 0o755)})}
    )
    server.create_function("f", CODE, MemorySize=1024, Timeout=30, Layers=[layer["LayerVersionArn"]])
    for _ in range(3):
        server.invoke("f", 1)

    def reports():
        found = [int(text) for text in BILLED.findall(server.cli("logs", "f").stdout.encode())]
        return found if len(found) == 3 else None

    billed = wait_for(reports, "three reports")
    assert min(billed) >= 500
    wait_for(lambda: abs(bill(server)["total"]["gb_seconds"] - sum(billed) / 1000) < 1e-9, "the bill to be the sum of the reports")
    assert metric(server, "PostRuntimeExtensionsDuration", "Maximum", ("FunctionName", "f")) > 0
