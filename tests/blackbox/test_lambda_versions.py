# SPDX-License-Identifier: Apache-2.0
"""Published versions, revisions, updates of code and configuration."""

import pytest

from support import zip_bytes
from test_lambda_functions import ARN, ECHO, body, minimal, refusal

STALE = (
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
)


def code(text):
    return zip_bytes({"index.py": f"def handler(event, context):\n    return {text!r}\n"})


def test_a_version_stays_as_it_was(server, lambda_):
    server.create_function("v", code("one"), Description="first")
    first = lambda_.publish_version(FunctionName="v", Description="described")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["Version"], first["FunctionArn"], first["Description"]) == ("1", ARN + "v:1", "described")
    assert (first["State"], first["LastUpdateStatus"]) == ("Active", "Successful")
    lambda_.update_function_code(FunctionName="v", ZipFile=code("two"))
    second = lambda_.publish_version(FunctionName="v")
    assert (second["Version"], second["Description"]) == ("2", "first")
    assert [server.invoke("v", Qualifier=q)["Json"] for q in ("1", "2", "$LATEST")] == ["one", "two", "two"]
    read = lambda_.get_function(FunctionName="v", Qualifier="1")["Configuration"]
    assert read == body(first)
    assert lambda_.get_function_configuration(FunctionName="v:1")["RevisionId"] == first["RevisionId"]


def test_publishing_without_a_change_answers_with_the_last_version(server, lambda_):
    server.create_function("v", ECHO)
    first = lambda_.publish_version(FunctionName="v")
    again = lambda_.publish_version(FunctionName="v", Description="ignored")
    assert body(again) == body(first)
    lambda_.update_function_configuration(FunctionName="v", Description="changed")
    assert lambda_.publish_version(FunctionName="v")["Version"] == "2"


def test_numbers_are_never_given_twice(server, lambda_):
    server.create_function("v", ECHO)
    lambda_.publish_version(FunctionName="v")
    assert lambda_.delete_function(FunctionName="v", Qualifier="1")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(lambda_.get_function, FunctionName="v", Qualifier="1")[2] == f"Function not found: {ARN}v:1"
    assert refusal(lambda_.invoke, FunctionName="v", Qualifier="1")[0] == 404
    assert lambda_.publish_version(FunctionName="v")["Version"] == "2"
    assert lambda_.delete_function(FunctionName="v", Qualifier="77")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_versions_are_listed_with_latest_first(server, lambda_):
    server.create_function("v", ECHO)
    for i in range(1, 12):
        lambda_.update_function_configuration(FunctionName="v", Description=str(i))
        lambda_.publish_version(FunctionName="v")
    expected = ["$LATEST", *(str(i) for i in range(1, 12))]
    for size in (1, 3, 50):
        pages = lambda_.get_paginator("list_versions_by_function").paginate(FunctionName="v", PaginationConfig={"PageSize": size})
        found = [version for page in pages for version in page["Versions"]]
        assert [version["Version"] for version in found] == expected
        assert [version["FunctionArn"] for version in found] == [f"{ARN}v:{version}" for version in expected]
    pages = lambda_.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 5})
    assert [f["Version"] for page in pages for f in page["Functions"]] == expected


def test_all_versions_of_all_functions_are_listed_in_pages(server, lambda_):
    for name in ("a", "b", "c"):
        server.create_function(name, ECHO, Publish=name != "b")
    expected = [ARN + "a:$LATEST", ARN + "a:1", ARN + "b:$LATEST", ARN + "c:$LATEST", ARN + "c:1"]
    for size in (1, 2, 3, 5):
        pages = lambda_.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": size})
        assert [f["FunctionArn"] for page in pages for f in page["Functions"]] == expected


def test_publish_at_creation(server, lambda_):
    answer = lambda_.create_function(**minimal("v", Publish=True))
    assert (answer["Version"], answer["FunctionArn"], answer["State"]) == ("1", ARN + "v", "Pending")
    latest = lambda_.get_function(FunctionName="v")["Configuration"]
    assert latest["Version"] == "$LATEST"
    version = lambda_.get_function(FunctionName="v", Qualifier="1")["Configuration"]
    assert len({answer["RevisionId"], latest["RevisionId"], version["RevisionId"]}) == 3
    assert lambda_.publish_version(FunctionName="v")["Version"] == "1"


def test_publish_with_new_code(server, lambda_):
    server.create_function("v", code("one"))
    answer = lambda_.update_function_code(FunctionName="v", ZipFile=code("two"), Publish=True)
    assert (answer["Version"], answer["FunctionArn"], answer["State"]) == ("1", ARN + "v:1", "Pending")
    assert "LastUpdateStatus" not in answer
    assert server.invoke("v", Qualifier="1")["Json"] == "two"


def test_publish_checks_code_and_revision(server, lambda_):
    server.create_function("v", ECHO)
    latest = lambda_.get_function_configuration(FunctionName="v")
    assert refusal(lambda_.publish_version, FunctionName="v", RevisionId="wrong") == STALE
    assert refusal(lambda_.publish_version, FunctionName="v", CodeSha256="wrong") == (
        400,
        "InvalidParameterValueException",
        f"CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST ({latest['CodeSha256']}). Please try again with the "
        "CodeSHA256 in $LATEST.",
    )
    published = lambda_.publish_version(FunctionName="v", CodeSha256=latest["CodeSha256"], RevisionId=latest["RevisionId"])
    assert published["Version"] == "1"
    assert lambda_.get_function_configuration(FunctionName="v")["RevisionId"] != latest["RevisionId"]


def test_deleting_a_function_deletes_its_versions(server, lambda_):
    server.create_function("v", ECHO, Publish=True)
    lambda_.delete_function(FunctionName="v")
    assert refusal(lambda_.invoke, FunctionName="v", Qualifier="1")[0] == 404
    server.create_function("v", ECHO)
    assert [v["Version"] for v in lambda_.list_versions_by_function(FunctionName="v")["Versions"]] == ["$LATEST"]
    assert lambda_.publish_version(FunctionName="v")["Version"] == "1"


# --- updates ----------------------------------------------------------------------------------------------------------


def test_updates_name_the_revision_they_are_based_on(server, lambda_):
    created = server.create_function("r", ECHO)
    active = lambda_.get_function_configuration(FunctionName="r")["RevisionId"]
    # Activation has changed it since [AWS, test_function_revisions_basic].
    assert refusal(lambda_.update_function_code, FunctionName="r", ZipFile=code("x"), RevisionId=created["RevisionId"]) == STALE
    updated = lambda_.update_function_code(FunctionName="r", ZipFile=code("x"), RevisionId=active)
    assert (updated["LastUpdateStatus"], updated["LastUpdateStatusReasonCode"]) == ("InProgress", "Creating")
    assert refusal(lambda_.update_function_configuration, FunctionName="r", Timeout=9, RevisionId=updated["RevisionId"]) == STALE
    now = lambda_.get_function_configuration(FunctionName="r")
    assert now["LastUpdateStatus"] == "Successful"
    assert "LastUpdateStatusReason" not in now
    lambda_.update_function_configuration(FunctionName="r", Timeout=9, RevisionId=now["RevisionId"])


def test_a_redundant_update_still_changes_the_revision(server, lambda_):
    server.create_function("r", ECHO, Description="same")
    before = lambda_.get_function_configuration(FunctionName="r")
    lambda_.update_function_configuration(FunctionName="r", Description="same")
    after = lambda_.get_function_configuration(FunctionName="r")
    assert before["RevisionId"] != after["RevisionId"]


def test_an_update_leaves_what_it_does_not_name(server, lambda_):
    server.create_function("u", ECHO, Timeout=7, MemorySize=256, Environment={"Variables": {"ONE": "1"}})
    lambda_.update_function_configuration(FunctionName="u", Description="new")
    read = lambda_.get_function_configuration(FunctionName="u")
    assert (read["Timeout"], read["MemorySize"], read["Environment"]["Variables"]) == (7, 256, {"ONE": "1"})
    assert read["Description"] == "new"


def test_a_dry_run_changes_nothing(server, lambda_):
    server.create_function("d", code("one"))
    before = lambda_.get_function_configuration(FunctionName="d")
    answer = lambda_.update_function_code(FunctionName="d", ZipFile=code("two"), DryRun=True)
    assert answer["CodeSha256"] != before["CodeSha256"]
    assert body(lambda_.get_function_configuration(FunctionName="d")) == body(before)
    assert server.invoke("d")["Json"] == "one"
    assert refusal(lambda_.update_function_code, FunctionName="d", ZipFile=b"no zip", DryRun=True)[0] == 400


@pytest.mark.parametrize(
    "source, message",
    [
        ({}, "Please provide a source for function code."),
        ({"ImageUri": "x"}, "Please don't provide ImageUri when updating a function with packageType Zip."),
        (
            {"S3Bucket": "nope", "S3Key": "k"},
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
    ],
)
def test_updates_of_code_refuse_other_sources(server, lambda_, source, message):
    server.create_function("s", ECHO)
    assert refusal(lambda_.update_function_code, FunctionName="s", **source) == (400, "InvalidParameterValueException", message)


def test_updates_of_what_is_not_there(lambda_):
    expected = (404, "ResourceNotFoundException", f"Function not found: {ARN}nope")
    assert refusal(lambda_.update_function_code, FunctionName="nope", ZipFile=zip_bytes(ECHO)) == expected
    assert refusal(lambda_.update_function_configuration, FunctionName="nope", Timeout=5) == expected
    assert refusal(lambda_.publish_version, FunctionName="nope") == expected


# --- environment and logging -----------------------------------------------------------------------------------------


def test_reserved_variables_are_refused_by_name(server, lambda_):
    server.create_function("e", ECHO)
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided contains "
        "reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION, "
        "AWS_SESSION_TOKEN"
    )
    variables = {"AWS_REGION": "x", "MINE": "y", "AWS_SESSION_TOKEN": "z"}
    assert refusal(lambda_.update_function_configuration, FunctionName="e", Environment={"Variables": variables}) == (
        400,
        "InvalidParameterValueException",
        message,
    )
    lambda_.update_function_configuration(FunctionName="e", Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "", "TZ": "UTC"}})


def test_variables_may_have_4_kb_together(server, lambda_):
    server.create_function("e", ECHO)
    name = "LARGE_VAR"
    most = 4096 - len('{"LARGE_VAR":""}')
    lambda_.update_function_configuration(FunctionName="e", Environment={"Variables": {name: "x" * most}})
    assert refusal(lambda_.update_function_configuration, FunctionName="e", Environment={"Variables": {name: "x" * (most + 1)}}) == (
        400,
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the "
        '4KB limit. String measured: {"LARGE_VAR":"' + "x" * (most + 1) + '"}',
    )
    assert lambda_.get_function_configuration(FunctionName="e")["Environment"]["Variables"][name] == "x" * most


def test_logging_merges_and_forgets_levels_with_text(server, lambda_):
    server.create_function("l", ECHO)

    def update(**config):
        lambda_.update_function_configuration(FunctionName="l", LoggingConfig=config)
        return lambda_.get_function_configuration(FunctionName="l")["LoggingConfig"]

    group = {"LogGroup": "/aws/lambda/l"}
    assert update(LogFormat="JSON") == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **group}
    assert update(ApplicationLogLevel="DEBUG")["ApplicationLogLevel"] == "DEBUG"
    assert update(LogGroup="other") == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "DEBUG",
        "SystemLogLevel": "INFO",
        "LogGroup": "other",
    }
    assert update(LogFormat="Text") == {"LogFormat": "Text", "LogGroup": "other"}
