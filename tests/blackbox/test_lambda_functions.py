# SPDX-License-Identifier: Apache-2.0
"""Functions: create, read, list, update, delete, as AWS's clients see them. Messages are AWS's (recorded)."""

import base64
import hashlib
import re
import urllib.request

import botocore.exceptions
import pytest

from support import ROLE, wait_for, zip_bytes

ECHO = {"index.py": "def handler(event, context):\n    return event\n"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
REVISION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def refusal(call, **arguments):
    """(status, code, message) of a call that must fail."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def minimal(name, **more):
    return {
        "FunctionName": name,
        "Runtime": "python3.11",
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": zip_bytes(ECHO)},
        **more,
    }


def body(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


# --- create ---------------------------------------------------------------------------------------------------------


def test_create_answers_pending_with_awss_defaults(lambda_):
    code = zip_bytes(ECHO)
    answer = lambda_.create_function(**minimal("defaults", Code={"ZipFile": code}))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    shown = body(answer)
    assert REVISION.fullmatch(shown.pop("RevisionId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", shown.pop("LastModified"))
    assert re.fullmatch(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", shown.pop("RuntimeVersionConfig")["RuntimeVersionArn"])
    assert shown == {
        "Architectures": ["x86_64"],
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        "CodeSize": len(code),
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": ARN + "defaults",
        "FunctionName": "defaults",
        "Handler": "index.handler",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/defaults"},
        "MemorySize": 128,
        "PackageType": "Zip",
        "Role": ROLE,
        "Runtime": "python3.11",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    }


def test_the_waiters_of_the_sdk_end(lambda_):
    lambda_.create_function(**minimal("waited"))
    lambda_.get_waiter("function_exists").wait(FunctionName="waited", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    lambda_.get_waiter("function_active_v2").wait(FunctionName="waited", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    lambda_.update_function_configuration(FunctionName="waited", Timeout=9)
    lambda_.get_waiter("function_updated_v2").wait(FunctionName="waited", WaiterConfig={"Delay": 1, "MaxAttempts": 5})


def test_activation_gives_the_function_another_revision(lambda_):
    created = lambda_.create_function(**minimal("revised"))
    read = lambda_.get_function(FunctionName="revised")["Configuration"]
    assert (read["State"], read["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in read
    assert read["RevisionId"] != created["RevisionId"]


def test_all_settings_are_kept(lambda_):
    settings = {
        "Description": "grüße",
        "Timeout": 900,
        "MemorySize": 10240,
        "EphemeralStorage": {"Size": 1024},
        "Architectures": ["arm64"],
        "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "LogGroup": "/mine"},
        "Environment": {"Variables": {"ONE": "1", "TWO": "zwei"}},
        "Tags": {"team": "x"},
    }
    lambda_.create_function(**minimal("all", **settings))
    read = lambda_.get_function(FunctionName="all")
    tags = settings.pop("Tags")
    settings["LoggingConfig"]["SystemLogLevel"] = "INFO"
    assert {key: read["Configuration"][key] for key in settings} == settings
    assert read["Tags"] == tags


def test_create_refuses_what_exists(lambda_):
    lambda_.create_function(**minimal("twice"))
    assert refusal(lambda_.create_function, **minimal("twice")) == (409, "ResourceConflictException", "Function already exist: twice")


@pytest.mark.parametrize("name", ["partial", "000000000000:function:partial", ARN + "partial", "function:partial"])
def test_create_accepts_every_form_of_a_name(lambda_, name):
    assert lambda_.create_function(**minimal(name))["FunctionArn"] == ARN + "partial"
    assert lambda_.get_function(FunctionName=name)["Configuration"]["FunctionName"] == "partial"


@pytest.mark.parametrize("name", ["*", "my function", "a/b", "..", "ü", "x:y:z", "a\tb", "%41", "a'b", "-" * 141, "$LATEST"])
def test_create_refuses_names_with_other_characters(lambda_, name):
    status, code, message = refusal(lambda_.create_function, **minimal(name))
    assert (status, code) == (400, "ValidationException")
    assert f"Value '{name}' at 'functionName' failed to satisfy constraint" in message


def test_a_name_may_have_64_characters(lambda_):
    lambda_.create_function(**minimal("n" * 64))
    assert refusal(lambda_.create_function, **minimal("n" * 65)) == (
        400,
        "InvalidParameterValueException",
        f"1 validation error detected: Value '{'n' * 65}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
    )


def test_names_with_dots_dashes_and_underscores_are_separate_functions(lambda_):
    for name in ("a-b", "a_b", "A-b", "a-b2"):
        lambda_.create_function(**minimal(name, Description=name))
    for name in ("a-b", "a_b", "A-b", "a-b2"):
        assert lambda_.get_function(FunctionName=name)["Configuration"]["Description"] == name


RUNTIMES = (
    "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, "
    "java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, "
    "provided.al2, java8.al2] or be a valid ARN"
)


@pytest.mark.parametrize("runtime", ["non-existent-runtime", "PYTHON3.9"])
def test_unknown_runtimes_are_refused_with_the_list(lambda_, runtime):
    message = f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: {RUNTIMES}"
    expected = (400, "InvalidParameterValueException", message)
    assert refusal(lambda_.create_function, **minimal("x", Runtime=runtime)) == expected
    lambda_.create_function(**minimal("x"))
    assert refusal(lambda_.update_function_configuration, FunctionName="x", Runtime=runtime) == expected


@pytest.mark.parametrize("runtime", ["java8", "go1.x", "provided", "ruby2.7", "nodejs14.x", "python3.7", "dotnetcore3.1", "nodejs12.x"])
def test_deprecated_runtimes_are_refused(lambda_, runtime):
    assert refusal(lambda_.create_function, **minimal("x", Runtime=runtime)) == (
        400,
        "InvalidParameterValueException",
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend "
        "you use a supported runtime while creating or updating functions.",
    )


def test_a_runtime_without_interpreter_says_what_is_missing(lambda_):
    status, code, message = refusal(lambda_.create_function, **minimal("x", Runtime="java21"))
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message.startswith("This machine cannot run java21")


MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."


@pytest.mark.parametrize(
    "change, code, message",
    [
        ({"Handler": None}, "InvalidParameterValueException", MANDATORY),
        ({"Runtime": None}, "InvalidParameterValueException", MANDATORY),
        ({"Code": {}}, "InvalidParameterValueException", "Please provide a source for function code."),
        (
            {"Code": {"S3Bucket": "nope", "S3Key": "k"}},
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
        (
            {"Code": {"ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/x:y"}, "PackageType": "Image", "Handler": None, "Runtime": None},
            "InvalidParameterValueException",
            "Source image 1.dkr.ecr.us-east-1.amazonaws.com/x:y does not exist. Provide a valid source image.",
        ),
        (
            {"Role": "r1"},
            "ValidationException",
            "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular "
            r"expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        ),
        (
            {"Architectures": ["X86_64"]},
            "ValidationException",
            "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy "
            "constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        ),
        (
            {"Timeout": 901},
            "ValidationException",
            "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than "
            "or equal to 900",
        ),
        (
            {"MemorySize": 10241},
            "ValidationException",
            "1 validation error detected: Value '10241' at 'memorySize' failed to satisfy constraint: Member must have value less "
            "than or equal to 10240",
        ),
        (
            {"SnapStart": {"ApplyOn": "invalidOption"}},
            "ValidationException",
            "1 validation error detected: Value 'invalidOption' at 'snapStart.applyOn' failed to satisfy constraint: Member must "
            "satisfy enum value set: [PublishedVersions, None]",
        ),
        (
            {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:doesnotexist:1"]},
            "InvalidParameterValueException",
            "Layer version arn:aws:lambda:us-east-1:000000000000:layer:doesnotexist:1 does not exist.",
        ),
        (
            {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:a:1", "arn:aws:lambda:us-east-1:000000000000:layer:a:2"]},
            "InvalidParameterValueException",
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            "arn:aws:lambda:us-east-1:000000000000:layer:a:1 and arn:aws:lambda:us-east-1:000000000000:layer:a:2 are versions of "
            "the same layer.",
        ),
        (
            {"Layers": [f"arn:aws:lambda:us-east-1:000000000000:layer:l{i}:1" for i in range(6)]},
            "InvalidParameterValueException",
            "Cannot reference more than 5 layers.",
        ),
        (
            {"Layers": ["arn:aws:lambda:eu-west-1:000000000000:layer:a:1"]},
            "InvalidParameterValueException",
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
        ),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
            "InvalidParameterValueException",
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID "
            "'subnet-1' does not exist",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}},
            "InvalidParameterValueException",
            "The provided execution role does not have permissions to call SendMessage on SQS",
        ),
        ({"Tags": {f"k{i}": "v" for i in range(51)}}, "InvalidParameterValueException", "Number of tags exceeds resource tag limit."),
        (
            {"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "INFO"}},
            "InvalidParameterValueException",
            'Log Level is not supported when LogFormat is set to "Text". Remove log level from your request or change the '
            'LogFormat to "JSON" and try again.',
        ),
    ],
)
def test_create_refuses_as_aws_does(lambda_, change, code, message):
    arguments = {key: value for key, value in minimal("x", **change).items() if value is not None}
    assert refusal(lambda_.create_function, **arguments) == (400, code, message)
    assert lambda_.list_functions()["Functions"] == []


@pytest.mark.parametrize(
    "change", [{"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}}, {"Layers": []}, {"DeadLetterConfig": {"TargetArn": ""}}]
)
def test_empty_settings_of_things_that_are_not_here_pass(lambda_, change):
    lambda_.create_function(**minimal("x", **change))


# --- read, list, delete ---------------------------------------------------------------------------------------------


def test_the_codes_location_serves_the_package(server, lambda_):
    code = zip_bytes(ECHO)
    lambda_.create_function(**minimal("packed", Code={"ZipFile": code}))
    place = lambda_.get_function(FunctionName="packed")["Code"]
    assert place["RepositoryType"] == "S3"
    with urllib.request.urlopen(place["Location"]) as answer:
        assert answer.read() == code
        assert answer.headers["Content-Type"] == "application/zip"
    path, token = place["Location"].removeprefix(server.url).split("?token=")
    last = "0" if token[-1] != "0" else "1"
    assert server.http("GET", f"{path}?token={token[:-1]}{last}").status == 403
    assert server.http("GET", path).status == 403
    expires, mac = token.split(".")
    assert server.http("GET", f"{path}?token={int(expires) + 1}.{mac}").status == 403
    other = path[:-1] + ("0" if path[-1] != "0" else "1")
    assert server.http("GET", f"{other}?token={token}").status == 403


def test_a_large_package_comes_back_whole(lambda_):
    code = zip_bytes({**ECHO, "big.bin": __import__("os").urandom(3_000_000)})
    lambda_.create_function(**minimal("big", Code={"ZipFile": code}))
    with urllib.request.urlopen(lambda_.get_function(FunctionName="big")["Code"]["Location"]) as answer:
        assert answer.read() == code


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "delete_function", "get_function_concurrency",
                                       "get_function_code_signing_config"])
def test_operations_on_a_function_that_is_not_there(lambda_, operation):
    assert refusal(getattr(lambda_, operation), FunctionName="nope") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}nope",
    )


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "delete_function", "invoke", "get_function_url_config"])
def test_functions_of_another_region_are_not_reachable(lambda_, operation):
    name = "arn:aws:lambda:eu-west-1:000000000000:function:x"
    assert refusal(getattr(lambda_, operation), FunctionName=name) == (
        404,
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )


def test_functions_of_another_account_are_closed(lambda_):
    status, code, _ = refusal(lambda_.get_function, FunctionName="arn:aws:lambda:us-east-1:111111111111:function:x")
    assert (status, code) == (403, "AccessDeniedException")


def test_accounts_and_regions_are_separate(server, lambda_):
    lambda_.create_function(**minimal("mine"))
    assert server.client("lambda", account="111111111111").list_functions()["Functions"] == []
    assert server.client("lambda", region="eu-west-1").list_functions()["Functions"] == []
    server.client("lambda", account="111111111111").create_function(**minimal("mine", Role="arn:aws:iam::111111111111:role/x"))
    server.client("lambda", account="111111111111").delete_function(FunctionName="mine")
    assert lambda_.get_function(FunctionName="mine")


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "delete_function", "invoke"])
def test_contradicting_qualifiers_are_refused(lambda_, operation):
    assert refusal(getattr(lambda_, operation), FunctionName="some:1", Qualifier="$LATEST") == (
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    )


def test_a_qualifier_that_names_nothing_is_in_the_message(lambda_):
    lambda_.create_function(**minimal("x"))
    for qualifier in ("1221", "prod", "$latest"):
        assert refusal(lambda_.get_function, FunctionName="x", Qualifier=qualifier) == (
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}x:{qualifier}",
        )
    assert lambda_.get_function(FunctionName="x", Qualifier="$LATEST")["Configuration"]["FunctionArn"] == ARN + "x:$LATEST"


def test_delete_answers_204_and_forgets(lambda_):
    lambda_.create_function(**minimal("gone"))
    assert lambda_.delete_function(FunctionName="gone")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(lambda_.get_function, FunctionName="gone")[0] == 404
    assert refusal(lambda_.invoke, FunctionName="gone")[0] == 404


@pytest.mark.parametrize(
    "qualifier, status, message",
    [
        ("$LATEST", 400, "$LATEST version cannot be deleted without deleting the function."),
        ("some-alias", 400, "Deletion of aliases is not currently supported."),
        ("$latest", 404, f"Function not found: {ARN}x"),
        ("7", 404, f"Function not found: {ARN}x"),
    ],
)
def test_delete_with_a_qualifier(lambda_, qualifier, status, message):
    assert refusal(lambda_.delete_function, FunctionName="x", Qualifier=qualifier)[::2] == (status, message)


def test_listing_pages_through_all_functions(lambda_):
    names = [f"f{i:02}" for i in range(7)]
    for name in reversed(names):
        lambda_.create_function(**minimal(name))
    first = lambda_.list_functions(MaxItems=3)
    assert [f["FunctionName"] for f in first["Functions"]] == names[:3]
    pages = lambda_.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    assert [f["FunctionName"] for page in pages for f in page["Functions"]] == names
    assert "NextMarker" not in lambda_.list_functions(MaxItems=7)
    shown = first["Functions"][0]
    assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & set(shown)
    assert {"CodeSha256", "RevisionId", "LoggingConfig", "SnapStart"} <= set(shown)
    assert refusal(lambda_.list_functions, Marker="forged")[1] == "InvalidParameterValueException"
    assert refusal(lambda_.list_functions, FunctionVersion="invalid")[2] == (
        "1 validation error detected: Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum "
        "value set: [ALL]"
    )


# --- tags, account, concurrency ---------------------------------------------------------------------------------------


def test_tags_are_added_overwritten_and_removed(lambda_):
    lambda_.create_function(**minimal("tagged"))
    arn = ARN + "tagged"

    def tags():
        return lambda_.list_tags(Resource=arn)["Tags"]

    assert tags() == {}
    assert lambda_.tag_resource(Resource=arn, Tags={"A": "a", "B": "b"})["ResponseMetadata"]["HTTPStatusCode"] == 204
    lambda_.tag_resource(Resource=arn, Tags={"B": "b2", "C": "c"})
    assert tags() == {"A": "a", "B": "b2", "C": "c"}
    assert lambda_.untag_resource(Resource=arn, TagKeys=["A", "nope"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags() == {"B": "b2", "C": "c"}
    assert lambda_.get_function(FunctionName="tagged")["Tags"] == tags()


def test_a_function_has_at_most_50_tags(lambda_):
    lambda_.create_function(**minimal("tagged"))
    arn = ARN + "tagged"
    expected = (400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit.")
    assert refusal(lambda_.tag_resource, Resource=arn, Tags={str(i): "v" for i in range(51)}) == expected
    lambda_.tag_resource(Resource=arn, Tags={str(i): "v" for i in range(50)})
    assert refusal(lambda_.tag_resource, Resource=arn, Tags={"one": "more"}) == expected
    assert len(lambda_.list_tags(Resource=arn)["Tags"]) == 50


def test_only_whole_functions_are_tagged(lambda_):
    for call, more in ((lambda_.tag_resource, {"Tags": {"a": "b"}}), (lambda_.untag_resource, {"TagKeys": ["a"]}), (lambda_.list_tags, {})):
        assert refusal(call, Resource=ARN + "nope", **more) == (404, "ResourceNotFoundException", f"Function not found: {ARN}nope")
        assert refusal(call, Resource=ARN + "nope:$LATEST", **more)[2] == (
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
        status, code, message = refusal(call, Resource="arn:aws:lambda:us-east-1:000000000000:foobar:x", **more)
        assert (status, code) == (400, "ValidationException")
        assert "at 'resource' failed to satisfy constraint" in message


def test_account_settings_count_what_is_there(lambda_):
    before = body(lambda_.get_account_settings())
    assert before["AccountLimit"] == {
        "TotalCodeSize": 80530636800,
        "CodeSizeUnzipped": 262144000,
        "CodeSizeZipped": 52428800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    size = lambda_.create_function(**minimal("one", Publish=True))["CodeSize"]
    lambda_.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=30)
    after = lambda_.get_account_settings()
    assert after["AccountUsage"] == {"FunctionCount": 1, "TotalCodeSize": 2 * size}
    assert after["AccountLimit"]["UnreservedConcurrentExecutions"] == 970


def test_reserved_concurrency_is_kept_and_limited(lambda_):
    lambda_.create_function(**minimal("busy"))
    assert "ReservedConcurrentExecutions" not in lambda_.get_function_concurrency(FunctionName="busy")
    for value in (0, 1, 900):
        answer = lambda_.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=value)
        assert answer["ReservedConcurrentExecutions"] == value
    assert lambda_.get_function(FunctionName="busy")["Concurrency"] == {"ReservedConcurrentExecutions": 900}
    too_much = (
        400,
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum "
        "value of [100].",
    )
    assert refusal(lambda_.put_function_concurrency, FunctionName="busy", ReservedConcurrentExecutions=901) == too_much
    lambda_.create_function(**minimal("other"))
    assert refusal(lambda_.put_function_concurrency, FunctionName="other", ReservedConcurrentExecutions=1) == too_much
    assert lambda_.delete_function_concurrency(FunctionName="busy")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "ReservedConcurrentExecutions" not in lambda_.get_function_concurrency(FunctionName="busy")
    assert refusal(lambda_.put_function_concurrency, FunctionName="nope", ReservedConcurrentExecutions=1)[2] == (
        f"Function not found: {ARN}nope:$LATEST"
    )
    assert refusal(lambda_.put_function_concurrency, FunctionName="busy:1", ReservedConcurrentExecutions=1)[2] == (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify "
        "either a function name or an unqualified function ARN."
    )


# --- durability -----------------------------------------------------------------------------------------------------


def test_functions_survive_kill_9(start_server):
    server = start_server()
    client = server.client("lambda")
    server.create_function("kept", ECHO, Tags={"a": "b"}, Environment={"Variables": {"XX": "1"}}, Publish=True)
    client.add_permission(FunctionName="kept", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    url = client.create_function_url_config(FunctionName="kept", AuthType="NONE")["FunctionUrl"]
    before = client.get_function(FunctionName="kept")
    server.kill()
    server.restart()
    client = server.client("lambda")
    after = client.get_function(FunctionName="kept")
    assert after["Configuration"] == before["Configuration"]
    assert after["Tags"] == {"a": "b"}
    assert client.get_policy(FunctionName="kept")["Policy"]
    assert client.get_function_url_config(FunctionName="kept")["FunctionUrl"] == url
    assert server.invoke("kept", {"n": 1})["Json"] == {"n": 1}
    assert server.invoke("kept", {"n": 2}, Qualifier="1")["Json"] == {"n": 2}


def test_code_that_nobody_uses_is_deleted_at_the_next_start(start_server):
    server = start_server()
    client = server.client("lambda")
    server.create_function("stays", ECHO)
    server.create_function("goes", {"index.py": "def handler(e, c): return 'other'\n"})

    def blobs():
        return sorted(path.name for kind in ("code", "zip") for path in (server.data / "blobs" / kind).iterdir())

    assert len(blobs()) == 4
    client.delete_function(FunctionName="goes")
    assert server.stop() == 0
    server.restart()
    wait_for(lambda: len(blobs()) == 2, "unused code to be deleted")
    assert server.invoke("stays", 1)["Json"] == 1
