# SPDX-License-Identifier: Apache-2.0
"""Layers: their life and permissions as recorded from AWS, and what functions find under /opt."""

import base64
import hashlib
import json
import urllib.request

import pytest

from support import zip_bytes
from test_lambda_functions import ARN, body, refusal

LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:"
GONE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
LIST = """
import os
def handler(event, context):
    found = {}
    for root, _, files in os.walk("/opt"):
        for name in files:
            path = os.path.join(root, name)
            found[path] = open(path).read()
    return found
"""


@pytest.fixture(autouse=True)
def no_layers_stay(lambda_):
    yield
    for layer in lambda_.list_layers()["Layers"]:
        for version in lambda_.list_layer_versions(LayerName=layer["LayerName"])["LayerVersions"]:
            lambda_.delete_layer_version(LayerName=layer["LayerName"], VersionNumber=version["Version"])


def publish(lambda_, name, files, **more):
    return lambda_.publish_layer_version(LayerName=name, Content={"ZipFile": zip_bytes(files)}, **more)


def test_the_life_of_a_layer(lambda_):
    code = zip_bytes({"a": "1"})
    start = lambda_.publish_layer_version(LayerName="life", Content={"ZipFile": code})["Version"] - 1
    more = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"], "LicenseInfo": "MIT", "Description": "d"}
    answer = lambda_.publish_layer_version(LayerName="life", Content={"ZipFile": code}, **more)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    shown = body(answer)
    with urllib.request.urlopen(shown["Content"].pop("Location")) as download:
        assert download.read() == code
    assert shown.pop("CreatedDate")
    assert shown == {
        "Content": {"CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(), "CodeSize": len(code)},
        "LayerArn": LAYER + "life",
        "LayerVersionArn": f"{LAYER}life:{start + 2}",
        "Version": start + 2,
        **more,
    }
    for read in (
        lambda_.get_layer_version(LayerName="life", VersionNumber=start + 2),
        lambda_.get_layer_version(LayerName=LAYER + "life", VersionNumber=start + 2),
        lambda_.get_layer_version_by_arn(Arn=f"{LAYER}life:{start + 2}"),
    ):
        read = body(read)
        assert read.pop("CreatedDate")
        assert read["Content"].pop("Location")
        assert read == shown
    listed = lambda_.list_layer_versions(LayerName="life")["LayerVersions"]
    assert [version["Version"] for version in listed] == [start + 2, start + 1]
    assert set(listed[0]) == set(shown) - {"Content", "LayerArn"} | {"CreatedDate"}
    assert [layer["LatestMatchingVersion"]["Version"] for layer in lambda_.list_layers()["Layers"]] == [start + 2]
    assert lambda_.list_layers(CompatibleRuntime="python3.11")["Layers"] == []
    for number in (start + 1, start + 2, start + 2):
        deleted = lambda_.delete_layer_version(LayerName="life", VersionNumber=number)
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert lambda_.list_layer_versions(LayerName="life")["LayerVersions"] == []
    assert lambda_.list_layers()["Layers"] == []
    assert refusal(lambda_.get_layer_version, LayerName="life", VersionNumber=start + 2) == GONE
    assert refusal(lambda_.get_layer_version_by_arn, Arn=f"{LAYER}life:{start + 2}") == GONE
    assert publish(lambda_, "life", {"a": "1"})["Version"] == start + 3


def test_layers_are_listed_in_pages(lambda_):
    first = [publish(lambda_, name, {"f": name})["Version"] for name in ("a", "b", "b", "b", "c")]
    for size in (1, 2, 50):
        pages = lambda_.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": size})
        assert [layer["LayerName"] for page in pages for layer in page["Layers"]] == ["a", "b", "c"]
        pages = lambda_.get_paginator("list_layer_versions").paginate(LayerName="b", PaginationConfig={"PageSize": size})
        assert [v["Version"] for page in pages for v in page["LayerVersions"]] == first[3:0:-1]


def test_what_is_not_there(lambda_):
    assert lambda_.list_layer_versions(LayerName="nope")["LayerVersions"] == []
    assert refusal(lambda_.get_layer_version, LayerName="nope", VersionNumber=1) == GONE
    for number in (0, -1):
        less = (400, "InvalidParameterValueException", "Layer Version Cannot be less than 1")
        assert refusal(lambda_.get_layer_version, LayerName="nope", VersionNumber=number) == less
        assert refusal(lambda_.delete_layer_version, LayerName="nope", VersionNumber=number) == less
    assert lambda_.delete_layer_version(LayerName="nope", VersionNumber=1)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_permissions(lambda_):
    version = publish(lambda_, "p", {"a": "1"})["Version"]
    layer = {"LayerName": "p", "VersionNumber": version}
    grant = {"Action": "lambda:GetLayerVersion", "Principal": "*"}
    nothing = (404, "ResourceNotFoundException", "No policy is associated with the given resource.")
    assert refusal(lambda_.get_layer_version_policy, **layer) == nothing
    added = lambda_.add_layer_version_permission(**layer, **grant, StatementId="s1")
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {"Sid": "s1", "Effect": "Allow", "Principal": "*", "Action": grant["Action"], "Resource": f"{LAYER}p:{version}"}
    assert json.loads(added["Statement"]) == statement
    policy = lambda_.get_layer_version_policy(**layer)
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    assert policy["RevisionId"] == added["RevisionId"]
    conflict = "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement."
    assert refusal(lambda_.add_layer_version_permission, **layer, **grant, StatementId="s1") == (409, "ResourceConflictException", conflict)
    stale = (
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id",
    )
    assert refusal(lambda_.add_layer_version_permission, **layer, **grant, StatementId="s2", RevisionId="wrong") == stale
    assert refusal(lambda_.remove_layer_version_permission, **layer, StatementId="s1", RevisionId="wrong") == stale
    missing = (404, "ResourceNotFoundException", "Statement nope is not found in resource policy.")
    assert refusal(lambda_.remove_layer_version_permission, **layer, StatementId="nope") == missing
    for name, number in (("nope", 1), ("p", version + 1)):
        missing = (404, "ResourceNotFoundException", f"Layer version {LAYER}{name}:{number} does not exist.")
        assert refusal(lambda_.get_layer_version_policy, LayerName=name, VersionNumber=number) == missing
    lambda_.remove_layer_version_permission(**layer, StatementId="s1")
    assert refusal(lambda_.get_layer_version_policy, **layer) == nothing


def test_another_account_needs_a_grant(server, lambda_):
    arn = publish(lambda_, "shared", {"a": "theirs"})["LayerVersionArn"]
    other = server.client("lambda", account="111111111111")
    assert refusal(other.get_layer_version_by_arn, Arn=arn)[:2] == (403, "AccessDeniedException")
    lambda_.add_layer_version_permission(
        LayerName="shared",
        VersionNumber=int(arn.rsplit(":", 1)[1]),
        StatementId="s",
        Action="lambda:GetLayerVersion",
        Principal="111111111111",
    )
    assert other.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn


# --- functions ---------------------------------------------------------------------------------------------------------


def test_later_layers_win_and_all_are_under_opt(server, lambda_):
    below = publish(lambda_, "below", {"python/mine.py": "VALUE = 'below'", "only/below": "1", "clash": "a file"})
    above = publish(lambda_, "above", {"python/mine.py": "VALUE = 'above'", "clash/inside": "a folder"})
    arns = [below["LayerVersionArn"], above["LayerVersionArn"]]
    server.create_function("f", {"index.py": LIST}, Layers=arns)
    shown = lambda_.get_function_configuration(FunctionName="f")["Layers"]
    assert shown == [{"Arn": arn, "CodeSize": one["Content"]["CodeSize"]} for arn, one in zip(arns, (below, above))]
    expected = {"/opt/python/mine.py": "VALUE = 'above'", "/opt/only/below": "1", "/opt/clash/inside": "a folder"}
    assert server.invoke("f")["Json"] == expected
    lambda_.update_function_configuration(FunctionName="f", Layers=arns[::-1])
    assert server.invoke("f")["Json"] == {"/opt/python/mine.py": "VALUE = 'below'", "/opt/only/below": "1", "/opt/clash": "a file"}
    lambda_.update_function_configuration(FunctionName="f", Layers=arns[:1])
    assert server.invoke("f")["Json"]["/opt/python/mine.py"] == "VALUE = 'below'"
    lambda_.update_function_configuration(FunctionName="f", Layers=[])
    assert server.invoke("f")["Json"] == {}
    assert "Layers" not in lambda_.get_function_configuration(FunctionName="f")


def test_a_function_keeps_a_deleted_layer(start_server):
    server = start_server()
    lambda_ = server.client("lambda")
    layers = [publish(lambda_, name, {f"python/{name}.py": f"VALUE = {name!r}"})["LayerVersionArn"] for name in ("one", "two")]
    source = {"index.py": "import one, two\ndef handler(event, context):\n    return [one.VALUE, two.VALUE]\n"}
    server.create_function("f", source, Layers=layers, Publish=True)
    for name in ("one", "two"):
        lambda_.delete_layer_version(LayerName=name, VersionNumber=1)
    server.stop()
    server.restart()
    assert [server.invoke("f", Qualifier=q)["Json"] for q in ("$LATEST", "1")] == [["one", "two"]] * 2
    lambda_ = server.client("lambda")
    assert [one["Arn"] for one in lambda_.get_function_configuration(FunctionName="f")["Layers"]] == layers
    refused = (400, "InvalidParameterValueException", f"Layer version {layers[0]} does not exist.")
    assert refusal(lambda_.update_function_configuration, FunctionName="f", Layers=layers) == refused


def test_layers_that_a_function_cannot_have(server, lambda_):
    first, second = (publish(lambda_, "twice", {"a": text})["LayerVersionArn"] for text in ("1", "2"))
    server.create_function("f", {"index.py": LIST})

    def refused(*layers):
        status, code, message = refusal(lambda_.update_function_configuration, FunctionName="f", Layers=list(layers))
        assert (status, code) == (400, "InvalidParameterValueException")
        return message

    same = "Two different versions of the same layer are not allowed to be referenced in the same function. "
    assert refused(first, second) == f"{same}{first} and {second} are versions of the same layer."
    assert refused(first, first) == f"{same}{first} and {first} are versions of the same layer."
    assert refused(LAYER + "nope:1") == f"Layer version {LAYER}nope:1 does not exist."
    assert refused(*(f"{LAYER}l{i}:1" for i in range(6))) == "Cannot reference more than 5 layers."
    assert lambda_.get_function(FunctionName="f")["Configuration"]["FunctionArn"] == ARN + "f"
