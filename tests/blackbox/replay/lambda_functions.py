# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about functions, versions, revisions and their settings."""

import io
import json
import zipfile

import botocore.exceptions
import pytest

from replay import ACCOUNT, ECHO, ROLE, case
from support import zip_bytes

OTHER = {**ECHO, "more.txt": "other"}


@case("test_function_lifecycle")
def _(r):
    r.create("create_response", Handler="handler.handler", MemorySize=256, Timeout=5)
    r.f("get_function_response", "get_function")
    r.f(
        "update_func_conf_response",
        "update_function_configuration",
        Description="Changed-Description",
        MemorySize=512,
        Timeout=10,
        Runtime="python3.11",
        Environment={"Variables": {"ENV_A": "a"}},
    )
    r.settle()
    r.f("get_function_response_postupdate", "get_function")
    r.f("update_code_response", "update_function_code", ZipFile=zip_bytes(OTHER))
    r.settle()
    r.f("get_function_response_postcodeupdate", "get_function")
    r.f("delete_response", "delete_function")
    r.f("delete_postdelete", "delete_function")


@case("test_redundant_updates")
def _(r):
    r.create("create_response", Description="Initial description")
    update = {"Description": "1st update description"}
    r.f("first_update_result", "update_function_configuration", **update)
    r.settle()
    r.f("get_fn_config_result", "get_function_configuration")
    r.f("get_fn_result", "get_function")
    r.f("redundant_update_result", "update_function_configuration", **update)
    r.settle()
    r.f("get_fn_result_after_redundant_update", "get_function")


for method in ("delete_function", "get_function", "get_function_configuration"):

    @case(f"test_ops_with_arn_qualifier_mismatch[{method}]", method=method)
    def _(r, method):
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:some-function:$LATEST"
        r("not_match_exception", method, FunctionName=arn, Qualifier="1")
        r("match_exception", method, FunctionName=arn, Qualifier="$LATEST")


for method in ("get_function", "get_function_configuration", "get_function_event_invoke_config"):

    @case(f"test_ops_on_nonexisting_version[{method}]", method=method)
    def _(r, method):
        r.create()
        r.f("version_not_found_exception", method, Qualifier="1221")


@case("test_delete_on_nonexisting_version")
def _(r):
    r.f("delete_function_response_non_existent", "delete_function")
    r.f("delete_function_response_non_existent_with_qualifier", "delete_function", Qualifier="1221")


for method in (
    "delete_function",
    "get_function",
    "get_function_configuration",
    "get_function_url_config",
    "get_function_code_signing_config",
    "get_function_event_invoke_config",
    "get_function_concurrency",
):

    @case(f"test_ops_on_nonexisting_fn[{method}]", method=method)
    def _(r, method):
        r.f("not_found_exception", method)


for method in (
    "get_function",
    "get_function_configuration",
    "get_function_url_config",
    "get_function_code_signing_config",
    "get_function_event_invoke_config",
    "get_function_concurrency",
    "delete_function",
    "invoke",
):

    @case(f"test_get_function_wrong_region[{method}]", method=method)
    def _(r, method):
        r.create()
        elsewhere = r.server.client("lambda", "us-west-2", ACCOUNT)
        r.fix("wrong_region_exception", "us-east-1", "us-west-2")
        r.fix("wrong_region_exception", "<wrong-region>", "us-east-1")
        r("wrong_region_exception", method, client=elsewhere, FunctionName=r.arn)


@case("test_lambda_code_location_zipfile")
def _(r):
    r.create("create-response-zip-file", Handler="index.handler")
    r.f("get-function-response", "get_function")
    r.f("update-function-response", "update_function_code", ZipFile=zip_bytes(OTHER))
    r.f("get-function-response-updated", "get_function")


def put_code(r, *files):
    """Objects with packages; their keys."""
    s3 = r.server.client("s3", account=ACCOUNT)
    s3.create_bucket(Bucket=r.name)
    for number, content in enumerate(files):
        s3.put_object(Bucket=r.name, Key=f"code{number}.zip", Body=zip_bytes(content))
    return [{"S3Bucket": r.name, "S3Key": f"code{number}.zip"} for number in range(len(files))]


@case("test_lambda_code_location_s3")
def _(r):
    first, second = put_code(r, ECHO, OTHER)
    r.create("create_response_s3", Handler="index.handler", Code=first)
    r.f("get-function-response", "get_function")
    r.f("update-function-response", "update_function_code", **second)
    r.f("get-function-response-updated", "get_function")


@case("test_lambda_code_location_s3_errors")
def _(r):
    (place,) = put_code(r, ECHO)
    wrong = (("bucket", {**place, "S3Bucket": r.name + "-nowhere"}), ("key", {**place, "S3Key": "nothing.zip"}))
    for step, code in wrong:
        r.create(f"create-error-wrong-{step}", settle=False, Code=code)
    r.create(Code=place)
    for step, code in wrong:
        r.f(f"update-error-wrong-{step}", "update_function_code", **code)


@case("test_create_lambda_exceptions")
def _(r):
    def refused(step, **more):
        arguments = {"FunctionName": r.name, "Handler": "index.handler", "Code": {"ZipFile": zip_bytes(ECHO)}, "PackageType": "Zip"}
        r(step, "create_function", **(arguments | {"Role": ROLE, "Runtime": "python3.12"} | more))

    refused("invalid_role_arn_exc", Role="r1")
    refused("invalid_runtime_exc", Runtime="non-existent-runtime")
    refused("uppercase_runtime_exc", Runtime="PYTHON3.9")
    with pytest.raises(botocore.exceptions.ParamValidationError) as caught:  # the client's own check
        checking = r.server.client("lambda", account=ACCOUNT, parameter_validation=True)
        r.quiet("create_function", client=checking, FunctionName=r.name, Role=ROLE, Code={"ZipFile": b"x"}, Architectures=[])
    r.see("empty_architectures", str(caught.value))
    refused("multiple_architectures", Architectures=["x86_64", "arm64"])
    refused("uppercase_architecture", Architectures=["X86_64"])
    refused("invalid_zip_exc", Code={"ZipFile": b"this is not a zipfile, just a random string"})


@case("test_update_lambda_exceptions")
def _(r):
    r.create()
    r.f("invalid_role_arn_exc", "update_function_configuration", Role="r1")
    r.f("invalid_runtime_exc", "update_function_configuration", Runtime="non-existent-runtime")
    r.f("uppercase_runtime_exc", "update_function_configuration", Runtime="PYTHON3.9")


@case("test_list_functions")
def _(r):
    first, second = r.name + "-1", r.name + "-2"
    r.create("create_response_1", FunctionName=first, Publish=True)
    r.create("create_response_2", FunctionName=second, Code={"ZipFile": zip_bytes(OTHER)})
    r("list_functions_invalid_functionversion", "list_functions", FunctionVersion="invalid")

    def mine(answer):
        return sorted((one for one in answer["Functions"] if one["FunctionName"].startswith(r.name)), key=lambda one: one["FunctionArn"])

    r.see("list_all", {"Functions": mine(r.quiet("list_functions", FunctionVersion="ALL"))})
    r.see("list_default", {"Functions": mine(r.quiet("list_functions"))})


@case("test_invalid_vpc_config_subnet")
def _(r):
    for step, number, subnet in (
        ("create-response-non-existent-subnet-id", 1, "subnet-0123456789abcdef0"),
        ("create-response-invalid-format-subnet-id", 2, "bad-format-lambda-subnet"),
    ):
        r.fix(step, f"<subnet_id_{number}>", subnet)
        r.create(step, settle=False, VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": []})


# On AWS the subnet is one that exists; there is none here, so the group stands alone.
@case("test_invalid_vpc_config_security_group")
def _(r):
    for step, number, group in (
        ("create-response-non-existent-security-group", 1, "sg-0123456789abcdef0"),
        ("create-response-invalid-format-security-group", 2, "bad-format-lambda-security-group"),
    ):
        r.fix(step, f"<security_group_id_{number}>", group)
        r.create(step, settle=False, VpcConfig={"SubnetIds": [], "SecurityGroupIds": [group]})


@case("test_invalid_invoke")
def _(r):
    r("invoke_function_name_pattern_exc", "invoke", FunctionName="arn:aws:lambda:us-east-1:123400000000@function:myfn")


@case("test_lambda_concurrent_code_updates")
def _(r):
    r.create("create-function-response")
    r.quiet("update_function_code", FunctionName=r.name, ZipFile=zip_bytes(OTHER))
    r.f("update-during-in-progress-update-exc", "update_function_code", ZipFile=zip_bytes(ECHO))


@case("test_lambda_concurrent_config_updates")
def _(r):
    r.create("create-function-response")
    r.quiet("update_function_configuration", FunctionName=r.name, MemorySize=256)
    r.f("update-during-in-progress-update-exc", "update_function_configuration", MemorySize=512)


@case("test_function_arns")
def _(r):
    r.create("create-function-arn-response", FunctionName=r.arn)
    other = {"ZipFile": zip_bytes(OTHER)}
    r.create("create-function-partial-arn-response", FunctionName=f"{ACCOUNT}:function:{r.name}-2", Code=other)
    base = {"Role": ROLE, "Runtime": "python3.12", "Handler": "handler.handler", "Code": {"ZipFile": zip_bytes(ECHO)}}
    r("invalid_function_name_exc", "create_function", FunctionName="invalid:function:name", **base)
    r("long_function_name_exc", "create_function", FunctionName="a" * 65, **base)
    long_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:" + "a" * 100
    r("long_function_arn_exc", "create_function", FunctionName=long_arn, **base)
    r("function_arn_other_region_exc", "create_function", FunctionName=r.arn.replace("us-east-1", "ap-southeast-1"), **base)
    r("function_arn_other_account_exc", "create_function", FunctionName=r.arn.replace(ACCOUNT, "123456789012"), **base)


# --- versions ---------------------------------------------------------------------------------------------------------


@case("test_publish_version_on_create")
def _(r):
    r.create("create_response", Publish=True)
    r.f("get_function_result", "get_function")
    r.f("get_function_version_result", "get_function", Qualifier="1")
    r.f("get_function_latest_result", "get_function", Qualifier="$LATEST")
    r.f("list_versions_result", "list_versions_by_function")
    r.f("repeated_publish_response", "publish_version")
    r.f("list_versions_result_after_publish", "list_versions_by_function")


@case("test_version_lifecycle")
def _(r):
    r.create("create_response", Description="No version :(")
    r.f("get_function_result", "get_function")
    r.f("list_versions_result", "list_versions_by_function")
    r.f("first_update_response", "update_function_configuration", Description="First version :)")
    r.settle()
    r.f("first_update_get_function", "get_function")
    r.f("first_publish_response", "publish_version", Description="First version description :)")
    r.f("first_publish_get_function", "get_function", Qualifier="1")
    r.f("first_publish_get_function_config", "get_function_configuration", Qualifier="1")
    r.f("second_update_response", "update_function_configuration", Description="Second version :))")
    r.settle()
    r.f("first_publish_get_function_after_update", "get_function", Qualifier="1")
    r.f("second_publish_response", "publish_version")
    r.f("third_publish_response", "publish_version")
    r.f("list_versions_result_after_third_publish", "list_versions_by_function")
    r.quiet("delete_function", FunctionName=r.name, Qualifier="1")
    r.f("list_versions_result_after_deletion_of_first_version", "list_versions_by_function")


@case("test_publish_with_wrong_revisionid")
def _(r):
    r.rename("python3.9", "python3.12")
    created = r.create("create_response")
    r.f("get_fn_response", "get_function")
    r.f("publish_wrong_revisionid_exc", "publish_version", RevisionId=created["RevisionId"])
    r.f("publish_result", "publish_version", RevisionId=r.quiet("get_function_configuration", FunctionName=r.name)["RevisionId"])


@case("test_publish_with_wrong_sha256")
def _(r):
    r.create("create_response")
    answer = r.f("get_fn_response", "get_function")
    r.f("publish_wrong_sha256_exc", "publish_version", CodeSha256="somenonexistentsha256")
    r.f("publish_result", "publish_version", CodeSha256=answer["Configuration"]["CodeSha256"])


@case("test_publish_with_update")
def _(r):
    r.create("create_response")
    r.f("get_function_result", "get_function")
    r.f("update_function_code_result", "update_function_code", ZipFile=zip_bytes(OTHER), Publish=True)
    r.f("get_function_version_result", "get_function", Qualifier="1")
    r.f("get_function_latest_result", "get_function", Qualifier="$LATEST")


# --- revisions --------------------------------------------------------------------------------------------------------


@case("test_function_revisions_basic")
def _(r):
    r.rename("python3.8", "python3.11")
    code = zip_bytes(ECHO)
    first = r.create("create_function_response_rev1", Code={"ZipFile": code})["RevisionId"]
    second = r.f("get_function_response_rev2", "get_function")["Configuration"]["RevisionId"]
    r.f("update_function_revision_exception", "update_function_code", ZipFile=code, RevisionId=first)
    third = r.f("update_function_code_response_rev3", "update_function_code", ZipFile=code, RevisionId=second)["RevisionId"]
    r.settle()
    fourth = r.f("get_function_response_rev4", "get_function")["Configuration"]["RevisionId"]
    r.f("update_function_configuration_revision_exception", "update_function_configuration", Runtime="python3.11", RevisionId=third)
    r.f("update_function_configuration_response_rev5", "update_function_configuration", Runtime="python3.11", RevisionId=fourth)
    r.settle()
    r.f("get_function_response_rev6", "get_function")


@case("test_function_revisions_version_and_alias")
def _(r):
    first = r.create("create_function_response_rev1")["RevisionId"]
    second = r.f("get_function_active_rev2", "get_function")["Configuration"]["RevisionId"]
    r.f("publish_version_revision_exception", "publish_version", RevisionId=first)
    r.f("publish_version_response_rev_v1", "publish_version", RevisionId=second)
    r.f("get_function_published_version_rev_v2", "get_function", Qualifier="1")
    r.f("get_function_latest_rev3", "get_function")
    alias = r.f("create_alias_response_rev_a1", "create_alias", Name="revision_alias", FunctionVersion="1")
    r.f("get_function_latest_rev4", "get_function")
    r.f("get_function_published_version_rev_v3", "get_function", Qualifier="1")
    update = {"Name": "revision_alias", "Description": "something changed"}
    r.f("update_alias_revision_exception", "update_alias", RevisionId="wrong", **update)
    r.f("update_alias_response_rev_a2", "update_alias", RevisionId=alias["RevisionId"], **update)


@case("test_function_revisions_permissions")
def _(r):
    r.create()
    grant = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::bucket"}
    r.quiet("add_permission", FunctionName=r.name, StatementId="s3", **grant)
    r.f("add_permission_revision_exception", "add_permission", StatementId="s3_2", RevisionId="wrong", **grant)


# --- settings ---------------------------------------------------------------------------------------------------------


def sent(r, step):
    """The environment that the recorded message repeats."""
    return json.loads(r.recorded[step]["message"].split("String measured: ")[1])


@case("test_large_environment_variables_fails")
def _(r):
    r.create("failed_create_fn_result", settle=False, Timeout=30, Environment={"Variables": sent(r, "failed_create_fn_result")})


@case("test_large_environment_fails_multiple_keys")
def _(r):
    variables = sent(r, "failured_create_fn_result_multi_key")
    r.create("failured_create_fn_result_multi_key", settle=False, Timeout=30, Environment={"Variables": variables})


@case("test_lambda_envvars_near_limit_succeeds")
def _(r):
    r.create("successful_create_fn_result")


@case("test_account_settings")
def _(r):
    answer = r.quiet("get_account_settings")
    r.see("acc_settings_modded", {key: sorted(answer[key]) for key in ("AccountLimit", "AccountUsage")})


RUNTIMES = "java8 go1.x provided ruby2.7 nodejs14.x python3.7 dotnetcore3.1 nodejs12.x".split()
for runtime in RUNTIMES:

    @case(f"test_create_deprecated_function_runtime_with_validation_enabled[{runtime}]", runtime=runtime)
    def _(r, runtime):
        r.create("deprecation_error", settle=False, Runtime=runtime)


def logging(r, updates, **created):
    more = {"LoggingConfig": created} if created else {}
    r.create("create_response", **more)
    r.f("get_function_response", "get_function")
    r.f("function_config", "get_function_configuration")
    for suffix, update in updates.items():
        r.f("updated_config" + suffix, "update_function_configuration", LoggingConfig=update)
        r.settle()
        r.f("received_config" + suffix, "get_function_configuration")


@case("test_function_advanced_logging_configuration")
def _(r):
    logging(r, {"": {"LogGroup": "cool_lambda"}}, LogFormat="JSON")


@case("test_advanced_logging_configuration_format_switch")
def _(r):
    logging(r, {"": {"LogFormat": "JSON"}, "_v2": {"LogFormat": "Text"}})


PARTIAL = [
    {"LogFormat": "JSON"},
    {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
    {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    {"LogGroup": "cool_lambda"},
]
for index, update in enumerate(PARTIAL):

    @case(f"test_function_partial_advanced_logging_configuration_update[partial_config{index}]", update=update)
    def _(r, update):
        logging(r, {"": update})


@case("test_put_function_recursion_config_allow")
def _(r):
    r.create()
    r.f("put_recursion_config_response", "put_function_recursion_config", RecursiveLoop="Allow")
    r.f("get_recursion_config_response", "get_function_recursion_config")


@case("test_put_function_recursion_config_default_terminate")
def _(r):
    r.create()
    r.f("get_recursion_default_terminate_response", "get_function_recursion_config")


@case("test_put_function_recursion_config_invalid_value")
def _(r):
    r.create()
    r.f("put_recursion_invalid_value_error", "put_function_recursion_config", RecursiveLoop="InvalidValue")


@case("test_snapstart_exceptions")
def _(r):
    r.create("create_function_invalid_snapstart_apply", settle=False, SnapStart={"ApplyOn": "invalidOption"})


SNAPPED = "java11 java17 java21 java25 python3.12 python3.13 dotnet8 dotnet10".split()
for runtime in SNAPPED:

    @case(f"test_snapstart_lifecycle[{runtime}]")
    def _(r):
        r.create("create_function_response")
        r.quiet("publish_version", FunctionName=r.name, Description="version1")
        r.settle()
        r.f("get_function_response_latest", "get_function")
        r.f("get_function_response_version_1", "get_function", Qualifier="1")

    @case(f"test_snapstart_update_function_configuration[{runtime}]")
    def _(r):
        r.create("create_function_response")
        r.f("update_function_response", "update_function_configuration", SnapStart={"ApplyOn": "PublishedVersions"})


# --- sizes ------------------------------------------------------------------------------------------------------------

UNZIPPED_MAX = 262144000


def sparse_zip(size):
    """A zip of zeros that unpacks to `size` bytes; it is small."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("handler.py", ECHO["handler.py"])
        with archive.open("zeros", "w", force_zip64=True) as file:
            for at in range(0, size, 1 << 20):
                file.write(bytes(min(1 << 20, size - at)))
    return out.getvalue()


@case("test_oversized_lambda", "test_oversized_unzipped_lambda")
def _(r):
    r.create("invalid_param_exc", settle=False, Code={"ZipFile": sparse_zip(UNZIPPED_MAX)})


@case("test_large_lambda")
def _(r):
    r.create("create_function_large_zip", Code={"ZipFile": sparse_zip(UNZIPPED_MAX - 4096)})


@case("test_oversized_zipped_create_lambda", size=52428800 + 1024)
@case("test_oversized_request_create_lambda", size=70167211 * 3 // 4)
def _(r, size):
    r.create("invalid_param_exc", settle=False, Code={"ZipFile": bytes(size)})


# --- accounts ---------------------------------------------------------------------------------------------------------


def total(r):
    return r.quiet("get_account_settings")["AccountUsage"]["TotalCodeSize"]


@case("test_account_settings_total_code_size")
def _(r):
    code, layer = r.recorded["total_code_size_diff_create_function"], r.recorded["total_code_size_diff_publish_layer"]

    def grown(step, method, **arguments):
        before = total(r)
        r.quiet(method, **arguments)
        r.see(step, total(r) - before)

    grown("total_code_size_diff_create_function", "create_function", FunctionName=r.name, Role=ROLE, Runtime="python3.12",
          Handler="handler.handler", Code={"ZipFile": zip_of(code)})
    r.settle()
    grown("total_code_size_diff_update_function", "update_function_code", FunctionName=r.name, ZipFile=zip_of(code), Publish=True)
    for step in ("total_code_size_diff_publish_layer", "total_code_size_diff_publish_layer_version"):
        grown(step, "publish_layer_version", LayerName=r.name, Content={"ZipFile": zip_of(layer)})


def zip_of(size):
    """A zip of just that many bytes."""
    for spare in range(size):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("handler.py", "#" * spare)
        if len(out.getvalue()) == size:
            return out.getvalue()
    raise AssertionError(f"no zip has {size} bytes")


@case("test_account_settings_total_code_size_config_update")
def _(r):
    before = total(r)
    r.create()
    created = total(r)
    r.see("is_total_code_size_diff_create_function_more_than_200", created - before > 200)
    r.quiet("update_function_configuration", FunctionName=r.name, Environment={"Variables": {"NAME": "value"}})
    r.settle()
    r.see("total_code_size_diff_update_function_configuration", total(r) - created)
    r.quiet("publish_version", FunctionName=r.name)
    r.see("is_total_code_size_diff_publish_version_after_config_update_more_than_200", total(r) - created > 200)


# Recorded without answers: what the calls find is the case.
@case("test_update_function_configuration_full_arn")
def _(r):
    r.create()
    answer = r.quiet("update_function_configuration", FunctionName=r.arn, Description="by its ARN")
    assert answer["Description"] == "by its ARN"


@case("test_cross_region_arn_function_access")
def _(r):
    r.create()
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        r.quiet("get_function", client=r.server.client("lambda", "us-west-2", ACCOUNT), FunctionName=r.arn)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
