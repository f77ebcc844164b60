# SPDX-License-Identifier: Apache-2.0
"""What functions do, as CloudWatch's metrics of AWS/Lambda; and `sluice metrics`."""

import concurrent.futures
import datetime
import re
import urllib.parse

import botocore.exceptions
import pytest

from support import wait_for
from test_lambda_url import grant

CODE = """
import time

def handler(event, context):
    if event.get("fail"):
        raise ValueError("no")
    time.sleep(event.get("sleep", 0))
    return event
"""
FILES = {"index.py": CODE}


def metric(server, name, stat, *dimensions, period=3600, namespace="AWS/Lambda"):
    """The values of the last hours together; None when there is nothing."""
    now = datetime.datetime.now(datetime.timezone.utc)
    answer = server.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                    },
                    "Period": period,
                    "Stat": stat,
                },
            }
        ],
        StartTime=now - datetime.timedelta(minutes=50),
        EndTime=now + datetime.timedelta(minutes=5),
    )
    values = answer["MetricDataResults"][0]["Values"]
    return values[0] if values else None


def until(server, wanted, name, stat, *dimensions):
    wait_for(lambda: metric(server, name, stat, *dimensions) == wanted, f"{name} {stat} to be {wanted}")


def test_invocations_errors_and_durations(server):
    server.create_function("measured", FILES, Publish=True)
    server.client("lambda").create_alias(FunctionName="measured", Name="live", FunctionVersion="1")
    function = ("FunctionName", "measured")
    for _ in range(3):
        server.invoke("measured", {})
    server.invoke("measured", {"fail": True})
    server.invoke("measured", {"sleep": 0.2}, Qualifier="live")
    until(server, 5, "Invocations", "Sum", function)
    assert metric(server, "Errors", "Sum", function) == 1
    assert metric(server, "Errors", "Average", function) == 0.2
    assert metric(server, "Throttles", "Sum", function) == 0
    assert metric(server, "Duration", "Maximum", function) >= 200
    assert metric(server, "Duration", "SampleCount", function) == 5
    shortest, half, longest = (metric(server, "Duration", stat, function) for stat in ("Minimum", "p50", "Maximum"))
    assert shortest <= half <= longest
    assert metric(server, "ConcurrentExecutions", "Maximum", function) == 1
    # As it was called; and all functions of the account together, those of other tests too.
    assert metric(server, "Invocations", "Sum", function, ("Resource", "measured")) == 4
    live = (function, ("Resource", "measured:live"))
    assert metric(server, "Invocations", "Sum", *live) == 1
    assert metric(server, "Invocations", "Sum", *live, ("ExecutedVersion", "1")) == 1
    assert metric(server, "Invocations", "Sum") >= 5
    filters = [{"Name": "FunctionName", "Value": "measured"}]

    def listed():
        found = server.client("cloudwatch").list_metrics(Namespace="AWS/Lambda", MetricName="Duration", Dimensions=filters)
        return {len(one["Dimensions"]) for one in found["Metrics"]}

    wait_for(lambda: listed() == {1, 2, 3}, "the metrics to be listed")


def test_the_command_shows_them(server):
    server.create_function("shown", FILES)
    server.invoke("shown", {})
    server.invoke("shown", {"fail": True})

    def row():
        answer = server.cli("metrics", "shown")
        return answer.returncode == 0 and re.search(r"^shown +2 +1 +0 +[\d.]+ +[\d.]+ +1$", answer.stdout, re.M)

    wait_for(row, "the figures to be shown")
    assert "shown" in server.cli("metrics").stdout
    assert "did nothing" in server.cli("metrics", "none-such").stderr


def test_throttles_and_concurrency(server):
    server.create_function("narrow", FILES)
    lambda_ = server.client("lambda")
    function = ("FunctionName", "narrow")

    def three_at_once():
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: server.invoke("narrow", {"sleep": 1}), range(3)))
        return metric(server, "ConcurrentExecutions", "Maximum", function) == 3

    wait_for(three_at_once, "three invocations at once to be seen")  # how soon instances start is the machine's matter
    lambda_.put_function_concurrency(FunctionName="narrow", ReservedConcurrentExecutions=0)
    for _ in range(2):
        with pytest.raises(botocore.exceptions.ClientError):
            lambda_.invoke(FunctionName="narrow")
    until(server, 2, "Throttles", "Sum", function)
    assert metric(server, "Invocations", "Minimum", function) == 1


def test_metrics_of_functions_outlive_a_stop(start_server):
    server = start_server()
    server.create_function("kept", FILES)
    for _ in range(4):
        server.invoke("kept", {})
    server.stop()
    server.start()
    assert metric(server, "Invocations", "Sum", ("FunctionName", "kept")) == 4


def test_function_urls(server):
    code = "def handler(event, context):\n    return {'statusCode': int(event['rawPath'][1:])}\n"
    server.create_function("addressed", {"index.py": code})
    client, function = server.client("lambda"), ("FunctionName", "addressed")
    url = client.create_function_url_config(FunctionName="addressed", AuthType="NONE")["FunctionUrl"]
    grant(client, "addressed")

    def status(path):
        return server.http("GET", path, host=urllib.parse.urlsplit(url).netloc).status

    assert [status(path) for path in ("/200", "/201", "/404", "/none")] == [200, 201, 404, 502]
    client.update_function_url_config(FunctionName="addressed", AuthType="AWS_IAM")
    assert status("/200") == 403
    until(server, 5, "UrlRequestCount", "Sum", function)
    assert metric(server, "Url4xxCount", "Sum", function) == 2
    assert metric(server, "Url5xxCount", "Sum", function) == 1
    assert metric(server, "UrlRequestLatency", "SampleCount", function, ("Resource", "addressed")) == 5
    assert metric(server, "UrlRequestLatency", "Minimum", function) > 0
    assert metric(server, "Invocations", "Sum", function) == 4
