# SPDX-License-Identifier: Apache-2.0
"""Lambda's quotas ("Lambda quotas" and the API reference): what is just allowed, and what is one too much."""

import botocore.exceptions
import pytest

from replay import ECHO as PACKED
from replay.lambda_functions import sparse_zip
from support import zip_bytes
from test_lambda_functions import ECHO, minimal

UNZIPPED_MAX = 262144000
HANDLER = len(PACKED["handler.py"])


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def environment(size):
    """Variables whose JSON text has just that many bytes."""
    return {"Environment": {"Variables": {"NAME": "x" * (size - len('{"NAME":""}'))}}}


@pytest.mark.parametrize(
    "allowed, too_much, code",
    [
        ({"Timeout": 900}, {"Timeout": 901}, "ValidationException"),
        ({"Timeout": 1}, {"Timeout": 0}, "ValidationException"),
        ({"MemorySize": 10240}, {"MemorySize": 10241}, "ValidationException"),
        ({"MemorySize": 128}, {"MemorySize": 127}, "ValidationException"),
        ({"EphemeralStorage": {"Size": 10240}}, {"EphemeralStorage": {"Size": 10241}}, "ValidationException"),
        ({"EphemeralStorage": {"Size": 512}}, {"EphemeralStorage": {"Size": 511}}, "ValidationException"),
        ({"Description": "x" * 256}, {"Description": "x" * 257}, "ValidationException"),
        (environment(4096), environment(4097), "InvalidParameterValueException"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_of_functions(lambda_, allowed, too_much, code):
    lambda_.create_function(**minimal("f", **allowed))
    assert refused(lambda_.create_function, **minimal("g", **too_much)) == code
    assert refused(lambda_.update_function_configuration, FunctionName="f", **too_much) == code


def test_names_of_functions_and_aliases(lambda_):
    lambda_.create_function(**minimal("n" * 64, Publish=True))
    assert refused(lambda_.create_function, **minimal("n" * 65)) == "InvalidParameterValueException"
    lambda_.create_alias(FunctionName="n" * 64, Name="a" * 128, FunctionVersion="1")
    assert refused(lambda_.create_alias, FunctionName="n" * 64, Name="a" * 129, FunctionVersion="1") == "ValidationException"


def test_size_of_a_package(lambda_):
    lambda_.create_function(**minimal("fits", Handler="handler.handler", Code={"ZipFile": sparse_zip(UNZIPPED_MAX - HANDLER - 1)}))
    too_large = sparse_zip(UNZIPPED_MAX - HANDLER)  # "must be smaller than"
    assert refused(lambda_.create_function, **minimal("g", Code={"ZipFile": too_large})) == "InvalidParameterValueException"
    assert refused(lambda_.update_function_code, FunctionName="fits", ZipFile=too_large) == "InvalidParameterValueException"


def test_size_of_a_package_with_its_layers(lambda_):
    half = UNZIPPED_MAX // 2
    layer = lambda_.publish_layer_version(LayerName="half", Content={"ZipFile": sparse_zip(half - HANDLER)})["LayerVersionArn"]
    fits, too_large = sparse_zip(half - HANDLER), sparse_zip(half - HANDLER + 1)
    lambda_.create_function(**minimal("f", Code={"ZipFile": fits}, Layers=[layer]))
    assert refused(lambda_.create_function, **minimal("g", Code={"ZipFile": too_large}, Layers=[layer])) == "InvalidParameterValueException"
    assert refused(lambda_.update_function_code, FunctionName="f", ZipFile=too_large) == "InvalidParameterValueException"
    lambda_.update_function_code(FunctionName="f", ZipFile=fits)
    lambda_.update_function_configuration(FunctionName="f", Layers=[])
    lambda_.update_function_code(FunctionName="f", ZipFile=too_large)
    assert refused(lambda_.update_function_configuration, FunctionName="f", Layers=[layer]) == "InvalidParameterValueException"
    lambda_.delete_layer_version(LayerName="half", VersionNumber=int(layer.rsplit(":", 1)[1]))


def test_number_of_layers(lambda_):
    arns = []
    for number in range(6):
        content = {"ZipFile": zip_bytes({f"{number}.txt": "x"})}
        arns.append(lambda_.publish_layer_version(LayerName=f"layer{number}", Content=content)["LayerVersionArn"])
    lambda_.create_function(**minimal("f", Layers=arns[:5]))
    assert refused(lambda_.update_function_configuration, FunctionName="f", Layers=arns) == "InvalidParameterValueException"
    for arn in arns:
        lambda_.delete_layer_version(LayerName=arn.split(":")[6], VersionNumber=int(arn.split(":")[7]))


def test_size_of_a_policy(lambda_):
    lambda_.create_function(**minimal("f"))

    def grant(number, sid):
        return lambda_.add_permission(
            FunctionName="f", StatementId=sid, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
            SourceArn=f"arn:aws:s3:::{number:03}" + "b" * 40,
        )

    policy = ""
    for number in range(1000):
        # Room for one more of the same size, and a comma?
        statement = len(policy) // max(number, 1)
        if number and len(policy) + statement + 1 > 20480:
            break
        grant(number, f"{number:03}")
        policy = lambda_.get_policy(FunctionName="f")["Policy"]
    assert refused(lambda **more: grant(999, "s" * 100)) == "PolicyLengthExceededException"
    assert lambda_.get_policy(FunctionName="f")["Policy"] == policy and len(policy) <= 20480


def test_code_storage_is_given_back(lambda_):
    before = lambda_.get_account_settings()["AccountUsage"]
    lambda_.create_function(**minimal("f", Publish=True))
    lambda_.update_function_code(FunctionName="f", ZipFile=zip_bytes({**ECHO, "more": "x" * 100}), Publish=True)
    lambda_.delete_function(FunctionName="f", Qualifier="1")
    version = lambda_.publish_layer_version(LayerName="counted", Content={"ZipFile": zip_bytes(ECHO)})["Version"]
    during = lambda_.get_account_settings()["AccountUsage"]
    assert during["FunctionCount"] == before["FunctionCount"] + 1 and during["TotalCodeSize"] > before["TotalCodeSize"]
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=7)
    limits = lambda_.get_account_settings()["AccountLimit"]
    assert limits["UnreservedConcurrentExecutions"] == limits["ConcurrentExecutions"] - 7
    lambda_.delete_function(FunctionName="f")
    lambda_.delete_layer_version(LayerName="counted", VersionNumber=version)
    after = lambda_.get_account_settings()
    assert after["AccountUsage"] == before
    assert after["AccountLimit"]["UnreservedConcurrentExecutions"] == limits["ConcurrentExecutions"]


def test_sums_survive_a_restart(start_server):
    server = start_server()
    client = server.client("lambda")
    client.create_function(**minimal("f", Publish=True))
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    client.publish_layer_version(LayerName="l", Content={"ZipFile": zip_bytes(ECHO)})
    before = {key: value for key, value in client.get_account_settings().items() if key != "ResponseMetadata"}
    server.stop()
    server.restart()
    after = {key: value for key, value in server.client("lambda").get_account_settings().items() if key != "ResponseMetadata"}
    assert after == before
    assert "made anew" not in server.log()
