# SPDX-License-Identifier: Apache-2.0
"""CloudWatch metrics: putting, listing and reading them with boto3, in all three protocols that AWS's SDKs speak."""

import datetime
import functools
import json
import math
import xml.etree.ElementTree as ElementTree

import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support import wait_for

UTC = datetime.timezone.utc
XML = "{http://monitoring.amazonaws.com/doc/2010-08-01/}"
PROTOCOLS = ["smithy-rpc-v2-cbor", "json", "query"]


@functools.cache
def session(protocol):
    """A session whose model of CloudWatch has that one protocol: SDKs differ in which of the model's they prefer."""
    made = botocore.session.get_session()
    loader = made.get_component("data_loader")
    model = loader.load_service_model("cloudwatch", "service-2", None)
    model = {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}
    load = loader.load_service_model

    def patched(service, kind, api_version=None):
        return model if (service, kind) == ("cloudwatch", "service-2") else load(service, kind, api_version)

    loader.load_service_model = patched
    return made


def client(server, protocol="json"):
    return session(protocol).create_client(
        "cloudwatch",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def metrics(server):
    made = client(server)
    yield made
    made.close()


@pytest.fixture(params=PROTOCOLS)
def every(request, server):
    """A client of each protocol in turn."""
    made = client(server, request.param)
    made.chosen = request.param
    yield made
    made.close()


def minute(back=0):
    """The start of the minute that was `back` minutes ago."""
    now = datetime.datetime.now(UTC).replace(second=0, microsecond=0)
    return now - datetime.timedelta(minutes=back)


def put(metrics, namespace, name, *values, at=None, **more):
    datum = {"MetricName": name, "Timestamp": at or minute(1), "Values": list(values), **more}
    metrics.put_metric_data(Namespace=namespace, MetricData=[datum])


def query(name, stat, namespace, ident="m1", period=60, **more):
    metric = {"Namespace": namespace, "MetricName": name, **more}
    return {"Id": ident, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}


def data(metrics, *queries, back=30, **more):
    answer = metrics.get_metric_data(MetricDataQueries=list(queries), StartTime=minute(back), EndTime=minute(-2), **more)
    return {one["Id"]: one for one in answer["MetricDataResults"]}


def refusal(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return answer["Error"]["Code"], answer["Error"]["Message"]


# --- putting and reading ------------------------------------------------------------------------------------------


def test_statistics_of_values_that_were_put(every):
    space = "Shop/" + every.chosen
    put(every, space, "Took", *range(1, 101), at=minute(3))
    wanted = {"Sum": 5050, "Average": 50.5, "Minimum": 1, "Maximum": 100, "SampleCount": 100}
    for stat, value in wanted.items():
        assert data(every, query("Took", stat, space))["m1"]["Values"] == [value]
    for stat, value in {"p50": 50, "p90": 90, "p99.9": 100, "tm90": 45.5, "IQM": 50.5, "TC(10%:90%)": 80}.items():
        got = data(every, query("Took", stat, space))["m1"]["Values"]
        assert len(got) == 1 and math.isclose(got[0], value, rel_tol=0.05), (stat, got)


def test_equal_values_have_exact_percentiles(metrics):
    put(metrics, "Shop", "Same", 7.3, Counts=[1000])
    assert data(metrics, query("Same", "p99", "Shop"))["m1"]["Values"] == [7.3]


def test_periods_add_minutes_up(metrics):
    base = minute(0)

    def at(back):
        return base - datetime.timedelta(minutes=back)

    for back, value in ((9, 1), (8, 2), (3, 40), (2, 50)):
        put(metrics, "Periods", "N", value, at=at(back))
    by_minute = data(metrics, query("N", "Sum", "Periods"), ScanBy="TimestampAscending")["m1"]
    assert by_minute["Values"] == [1, 2, 40, 50]
    assert by_minute["StatusCode"] == "Complete" and by_minute["Label"] == "N"
    assert by_minute["Timestamps"] == [at(9), at(8), at(3), at(2)]
    assert data(metrics, query("N", "Sum", "Periods"))["m1"]["Values"] == [50, 40, 2, 1]  # newest first
    assert data(metrics, query("N", "Sum", "Periods", period=3600))["m1"]["Values"] == [93]


def test_dimensions_make_metrics_of_their_own(metrics):
    red, blue = [{"Name": "Colour", "Value": "red"}], [{"Name": "Colour", "Value": "blue"}]
    put(metrics, "Dims", "N", 1, Dimensions=red)
    put(metrics, "Dims", "N", 2, Dimensions=blue)
    both = data(
        metrics,
        query("N", "Sum", "Dims", "r", Dimensions=red),
        query("N", "Sum", "Dims", "b", Dimensions=blue),
        query("N", "Sum", "Dims", "none"),
    )
    assert [both[i]["Values"] for i in ("r", "b", "none")] == [[1], [2], []]


def test_statistic_sets_and_units(every):
    space = "Sets/" + every.chosen
    statistics = {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}
    for unit in ("Seconds", "Count"):
        datum = {"MetricName": "S", "Timestamp": minute(1), "StatisticValues": statistics, "Unit": unit}
        every.put_metric_data(Namespace=space, MetricData=[datum])
    asked = {"Namespace": space, "MetricName": "S", "StartTime": minute(10), "EndTime": minute(-2), "Period": 600}
    answer = every.get_metric_statistics(Statistics=["Average", "Sum"], **asked)
    assert answer["Label"] == "S"
    found = sorted((point["Unit"], point["Average"], point["Sum"]) for point in answer["Datapoints"])
    assert found == [("Count", 2.5, 10), ("Seconds", 2.5, 10)]
    one = every.get_metric_statistics(Unit="Count", ExtendedStatistics=["p50"], **asked)
    # What is hidden in a set has no percentiles.
    assert [(point["Unit"], point.get("ExtendedStatistics")) for point in one["Datapoints"]] == [("Count", None)]


def test_a_large_put_is_compressed_and_understood(every):
    space = "Many/" + every.chosen
    rows = [{"MetricName": f"metric-{i:04}", "Value": i, "Timestamp": minute(1)} for i in range(600)]
    every.put_metric_data(Namespace=space, MetricData=rows)  # above 10 KB botocore sends gzip
    pages = list(every.get_paginator("list_metrics").paginate(Namespace=space))
    assert [len(page["Metrics"]) for page in pages] == [500, 100]
    assert [metric["MetricName"] for page in pages for metric in page["Metrics"]] == [row["MetricName"] for row in rows]


# --- listing ------------------------------------------------------------------------------------------------------


def test_metrics_are_listed_by_namespace_name_and_dimension(metrics):
    dims = [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    put(metrics, "List/One", "X", 1, Dimensions=dims)
    put(metrics, "List/One", "Y", 1)
    put(metrics, "List/Two", "X", 1, at=minute(60 * 5))

    def names(**filters):
        found = metrics.list_metrics(**filters)["Metrics"]
        return [(m["Namespace"], m["MetricName"]) for m in found if m["Namespace"].startswith("List/")]

    assert names(MetricName="X") == [("List/One", "X"), ("List/Two", "X")]
    assert names(Namespace="List/One") == [("List/One", "X"), ("List/One", "Y")]
    assert names(MetricName="X", RecentlyActive="PT3H") == [("List/One", "X")]
    assert names(Dimensions=[{"Name": "B"}]) == [("List/One", "X")]
    assert names(Dimensions=[{"Name": "B", "Value": "3"}]) == []
    assert metrics.list_metrics(Namespace="List/One", MetricName="X")["Metrics"][0]["Dimensions"] == dims


# --- expressions and pages ----------------------------------------------------------------------------------------


def math_of(metrics, expression, **more):
    return data(
        metrics,
        {**query("Errors", "Sum", "Math", "e"), "ReturnData": False},
        {**query("Calls", "Sum", "Math", "c"), "ReturnData": False},
        {"Id": "out", "Expression": expression, **more},
        ScanBy="TimestampAscending",
    )["out"]


def test_expressions_work_on_the_series_of_other_queries(metrics):
    base = minute(0)
    for back, errors, calls in ((5, 1, 10), (4, 3, 4), (3, 0, 0)):
        at = base - datetime.timedelta(minutes=back)
        put(metrics, "Math", "Errors", errors, at=at)
        put(metrics, "Math", "Calls", calls, at=at)
    assert math_of(metrics, "e / c * 100")["Values"] == [10, 75]  # a division by zero is missing
    assert math_of(metrics, "SUM([e, c])")["Values"] == [11, 7, 0]
    assert math_of(metrics, "SUM(METRICS())")["Values"] == [11, 7, 0]
    assert math_of(metrics, "c - (e + 1) * 2")["Values"] == [6, -4, -2]
    assert math_of(metrics, "IF(c > 5, 1, 0)")["Values"] == [1, 0, 0]
    assert math_of(metrics, "e * 0 + MAX(c)")["Values"] == [10, 10, 10]
    assert math_of(metrics, "DIFF(c)")["Values"] == [-6, -4]
    assert len(math_of(metrics, "FILL(e, 9)")["Values"]) > 20
    assert math_of(metrics, "e/PERIOD(e)", Label="rate")["Label"] == "rate"


@pytest.mark.parametrize(
    "expression",
    ["x + 1", "e +", "e c", "(e", "1 + 1", "ANOMALY_DETECTION_BAND(e)", "out * 2", "SELECT AVG(X) FROM Y", "[e, c]"]
    + ["-" * 1000 + "e"],
)
def test_expressions_that_are_not_understood(metrics, expression):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        math_of(metrics, expression)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError" and error["Message"].startswith("Error in expression")


def test_pages_of_data_points(metrics):
    base = minute(0)
    for back in range(1, 8):
        put(metrics, "Pages", "N", back, at=base - datetime.timedelta(minutes=back))
    pages = list(
        metrics.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[query("N", "Sum", "Pages", "a"), query("N", "Maximum", "Pages", "b")],
            StartTime=base - datetime.timedelta(minutes=30),
            EndTime=base,
            MaxDatapoints=4,
        )
    )
    assert len(pages) == 4
    got = {"a": [], "b": []}
    for page in pages:
        assert sum(len(one["Values"]) for one in page["MetricDataResults"]) <= 4
        for one in page["MetricDataResults"]:
            got[one["Id"]] += one["Values"]
    assert got == {"a": [1, 2, 3, 4, 5, 6, 7], "b": [1, 2, 3, 4, 5, 6, 7]}
    asked = {"MetricDataQueries": [query("N", "Sum", "Pages")], "StartTime": minute(30), "EndTime": minute(0)}
    assert refusal(metrics.get_metric_data, NextToken="forged", **asked)[0] == "InvalidNextToken"


# --- refusals -----------------------------------------------------------------------------------------------------


def datum(**more):
    return {"Namespace": "Bad", "MetricData": [{"MetricName": "M", **more}]}


MEMBER = "MetricData.member.1."


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (
            datum(Value=1, Values=[1.0]),
            "InvalidParameterCombination",
            f"The parameters {MEMBER}Value and {MEMBER}Values are mutually exclusive and you have specified both.",
        ),
        (
            datum(Values=[1.0], Counts=[1.0, 2.0]),
            "InvalidParameterValue",
            f"The parameters {MEMBER}Values and {MEMBER}Counts must be of the same size.",
        ),
        (
            datum(Value=1, Timestamp=datetime.datetime(2001, 1, 1, tzinfo=UTC)),
            "InvalidParameterValue",
            f"The parameter {MEMBER}Timestamp must specify a time within the past two weeks.",
        ),
        (
            {**datum(Value=1), "Namespace": "AWS/Lambda"},
            "InvalidParameterValue",
            "The value AWS/ for parameter Namespace is invalid.",
        ),
        (datum(Value=1, Unit="Hats"), "ValidationError", None),
    ],
)
def test_data_that_is_refused(metrics, arguments, code, message):
    got = refusal(metrics.put_metric_data, **arguments)
    assert got[0] == code and (message is None or got[1] == message)
    assert metrics.list_metrics(Namespace="Bad")["Metrics"] == []


def test_values_that_are_no_numbers(every):
    for value, name in ((math.nan, "NaN"), (math.inf, "Infinity")):
        assert refusal(every.put_metric_data, **datum(Value=value)) == (
            "InvalidParameterValue",
            f"The value {name} for parameter {MEMBER}Value is invalid.",
        )


def test_nothing_is_kept_of_a_put_that_is_refused(metrics):
    rows = [{"MetricName": "Good", "Value": 1}, {"MetricName": "Bad", "Value": 1, "Values": [1.0]}]
    assert refusal(metrics.put_metric_data, Namespace="Half", MetricData=rows)[0] == "InvalidParameterCombination"
    assert metrics.list_metrics(Namespace="Half")["Metrics"] == []


def test_statistics_that_are_refused(metrics):
    base = minute(0)
    wide = {"Namespace": "N", "MetricName": "M", "StartTime": base - datetime.timedelta(days=2), "EndTime": base}
    assert refusal(metrics.get_metric_statistics, Statistics=["Sum"], Period=60, **wide) == (
        "InvalidParameterCombination",
        "You have requested up to 2880 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
        "requested by increasing Period, or decreasing the time range.",
    )
    turned = {**wide, "StartTime": base, "EndTime": minute(1)}
    assert refusal(metrics.get_metric_statistics, Statistics=["Sum"], Period=60, **turned) == (
        "InvalidParameterValue",
        "The parameter StartTime must be less than the parameter EndTime.",
    )
    assert refusal(metrics.get_metric_statistics, Statistics=["Sum"], Period=61, **wide)[0] == "InvalidParameterValue"


def test_queries_that_are_refused(metrics):
    def refused(*queries):
        return refusal(metrics.get_metric_data, MetricDataQueries=list(queries), StartTime=minute(9), EndTime=minute(0))

    good = query("M", "Sum", "N")
    assert refused(good, good) == ("ValidationError", "The values for parameter id in MetricDataQueries are not unique.")
    assert refused({**good, "Id": "M1"})[0] == "ValidationError"
    assert refused(query("M", "p101", "N"))[0] == "ValidationError"
    assert refused({**good, "Expression": "1"}) == (
        "ValidationError",
        "The parameters MetricDataQueries.member.1.Expression and MetricDataQueries.member.1.MetricStat are mutually "
        "exclusive and you have specified both.",
    )
    assert refused({**good, "Period": 60})[1].startswith("The parameters MetricDataQueries.member.1.Period and ")
    assert refused({"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"})[0] == "ValidationError"


def test_alarms_are_not_there(metrics):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        metrics.describe_alarms()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


# --- protocols ----------------------------------------------------------------------------------------------------


def signed(server, headers, body, path="/"):
    request = AWSRequest("POST", server.url + path, data=body, headers=headers)
    SigV4Auth(Credentials("test", "test"), "monitoring", "us-east-1").add_auth(request)
    return server.http("POST", path, body=body, headers=dict(request.headers))


def test_each_protocol_is_the_one_that_is_meant(every):
    seen = {}
    every.meta.events.register("before-send.cloudwatch", lambda request, **_: seen.update(request.headers))
    assert every.list_metrics(Namespace="none")["Metrics"] == []
    kind = seen["Content-Type"]
    kind = kind.decode() if isinstance(kind, bytes) else kind
    assert kind.split(";")[0] == {
        "smithy-rpc-v2-cbor": "application/cbor",
        "json": "application/x-amz-json-1.0",
        "query": "application/x-www-form-urlencoded",
    }[every.chosen]


def test_errors_of_the_json_protocol_have_their_old_codes_beside_them(server):
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
    }
    refused = signed(server, headers, json.dumps({"Namespace": "AWS/X"}).encode())
    assert refused.status == 400 and refused.headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"
    assert json.loads(refused.body)["__type"] == "com.amazonaws.cloudwatch#InvalidParameterValueException"


def test_the_query_protocol_on_the_wire(server):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    form = "Action={}&Version=2010-08-01&Namespace={}"
    answer = signed(server, headers, (form + "&MetricData.member.1.MetricName=F&MetricData.member.1.Value=4.5").format(
        "PutMetricData", "WireQuery").encode())
    assert answer.status == 200 and b"<PutMetricDataResponse" in answer.body
    tree = ElementTree.fromstring(signed(server, headers, form.format("ListMetrics", "WireQuery").encode()).body)
    assert [node.text for node in tree.iter(XML + "MetricName")] == ["F"]
    answer = signed(server, headers, form.format("PutMetricData", "AWS/X").encode())
    assert answer.status == 400
    assert ElementTree.fromstring(answer.body).find(f"{XML}Error/{XML}Code").text == "InvalidParameterValue"


@pytest.mark.parametrize("body", [b"", b"\xbf", b"\x9f\xff", b"\xa1\x61\x61", b"\xff", b"\x81" * 500, b"\x5f\x5f"])
def test_cbor_that_is_none(server, body):
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    answer = signed(server, headers, body, "/service/GraniteServiceVersion20100801/operation/PutMetricData")
    assert answer.status == 400 and answer.headers["smithy-protocol"] == "rpc-v2-cbor"


@pytest.mark.parametrize("body", [b"", b"no gzip", b"\x1f\x8b\x08\x00"])
def test_gzip_that_is_none(server, body):
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Encoding": "gzip",
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
    }
    assert signed(server, headers, body).status == 400


# --- durability and age -------------------------------------------------------------------------------------------


def test_metrics_outlive_a_crash_and_grow_coarse_with_age(start_server):
    server = start_server("--test-clock")
    hour = minute(0).replace(minute=0) - datetime.timedelta(days=3)
    for n in range(10):
        put(client(server), "Old", "N", n + 1, at=hour + datetime.timedelta(minutes=n))
    server.kill()
    server.restart()
    metrics = client(server)

    def points(period):
        answer = metrics.get_metric_statistics(
            Namespace="Old",
            MetricName="N",
            StartTime=hour,
            EndTime=hour + datetime.timedelta(hours=1),
            Period=period,
            Statistics=["Sum", "Maximum"],
        )
        found = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return [(point["Sum"], point["Maximum"]) for point in found]

    def after(days):
        assert server.http("POST", f"/_sluice/clock?advance_ms={days * 86400000}").status == 200

    assert points(60) == [(n + 1, n + 1) for n in range(10)]
    after(13)  # 16 days old: five minutes
    wait_for(lambda: points(60) == [(15, 5), (40, 10)], "minutes to become five minutes")
    after(50)  # 66 days old: an hour
    wait_for(lambda: points(60) == [(55, 10)], "five minutes to become an hour")
    after(400)  # 466 days old: gone
    wait_for(lambda: points(3600) == [], "the hour to be forgotten")
    metrics.close()
