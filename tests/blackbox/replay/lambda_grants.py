# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about permissions, function URLs, tags and code signing."""

from replay import ACCOUNT, case

S3 = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
BUCKET = {"SourceArn": "arn:aws:s3:::some-bucket"}
PLAIN = {"Environment": {"Variables": {}}, "Timeout": 30}


@case("test_add_lambda_permission_aws")
def _(r):
    r.create("create_lambda")
    r.f("add_permission", "add_permission", StatementId="s3", **S3, **BUCKET)
    r.f("get_policy", "get_policy")


@case("test_remove_multi_permissions")
def _(r):
    r.create()
    r.f("add_permission_1", "add_permission", StatementId="s3", **S3)
    r.f("add_permission_2", "add_permission", StatementId="sqs", **{**S3, "Principal": "sqs.amazonaws.com"}, **BUCKET)
    r.f("policy_after_2_add", "get_policy")
    r.f("remove_permission_exception_nonexisting_sid", "remove_permission", StatementId="non-existent")
    r.quiet("remove_permission", FunctionName=r.name, StatementId="sqs")
    r.f("policy_after_removal", "get_policy")
    r.f("policy_after_removal_attempt", "get_policy")
    r.quiet("remove_permission", FunctionName=r.name, StatementId="s3")
    r.f("get_policy_exception_removed_all", "get_policy")


@case("test_create_multiple_lambda_permissions")
def _(r):
    r.create()
    for number, name in ((1, "logs"), (2, "kinesis")):
        r.f(f"add_permission_response_{number}", "add_permission", StatementId=name, **{**S3, "Principal": f"{name}.amazonaws.com"})
    r.f("policy_after_2_add", "get_policy")


@case("test_permission_exceptions")
def _(r):
    r.create()
    add = "add_permission"
    r.f("add_permission_invalid_statement_id", add, StatementId="example.com", **S3)
    r("add_permission_fn_qualifier_mismatch", add, FunctionName=r.arn + ":alias-not-42", Qualifier="42", StatementId="s3", **S3)
    r.f("add_permission_fn_qualifier_latest", add, Qualifier="$LATEST", StatementId="s3", **S3)
    r.f("add_permission_principal_invalid", add, StatementId="lambda", Action=S3["Action"], Principal="invalid.nonaws.com")
    r("get_policy_fn_doesnotexist", "get_policy", FunctionName="doesnotexist")
    r.f("get_policy_fn_version_doesnotexist", "get_policy", Qualifier="42")
    r("add_permission_fn_doesnotexist", add, FunctionName="doesnotexist", StatementId="s3", **S3)
    r.f("remove_permission_policy_doesnotexist", "remove_permission", StatementId="s3")
    r.f("add_permission_fn_alias_doesnotexist", add, Qualifier="alias-doesnotexist", StatementId="s3", **S3)
    r.f("add_permission_fn_version_doesnotexist", add, Qualifier="42", StatementId="s3", **S3)
    r.f("add_permission_fn_qualifier_invalid", add, Qualifier="invalid-qualifier-with-?-char", StatementId="s3", **S3)
    r.f("add_permission_fn_qualifier_valid_doesnotexist", add, Qualifier="valid-with-$-but-doesnotexist", StatementId="s3", **S3)
    r.quiet(add, FunctionName=r.name, StatementId="s3", **S3)
    r.f("add_permission_conflicting_statement_id", add, StatementId="s3", **S3)
    r("remove_permission_fn_doesnotexist", "remove_permission", FunctionName="doesnotexist", StatementId="s3")
    r.f("remove_permission_fn_alias_doesnotexist", "remove_permission", Qualifier="alias-doesnotexist", StatementId="s3")


@case("test_add_lambda_permission_fields")
def _(r):
    r.create()
    invoke, source = {"Action": "lambda:InvokeFunction"}, {"SourceAccount": ACCOUNT}
    user = f"arn:aws:iam::{ACCOUNT}:user/someone"
    r.f("add_permission_principal_wildcard", "add_permission", StatementId="wilcard", Principal="*", **invoke, **source)
    r.f("add_permission_principal_service", "add_permission", StatementId="lambda", Principal="lambda.amazonaws.com", **invoke, **source)
    r.f("add_permission_principal_account", "add_permission", StatementId="account-id", Principal=ACCOUNT, **invoke)
    r.f("add_permission_principal_arn", "add_permission", StatementId="user-arn", Principal=user, **invoke, **source)
    r.f(
        "add_permission_optional_fields",
        "add_permission",
        StatementId="urlPermission",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        PrincipalOrgID="o-1234567890",
        FunctionUrlAuthType="NONE",
        **source,
        **BUCKET,
    )
    token = "amzn1.ask.skill.xxxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
    r.f("add_permission_alexa_skill", "add_permission", StatementId="alexaSkill", Principal="*", EventSourceToken=token, **invoke)


@case("test_lambda_permission_fn_versioning")
def _(r):
    r.create(**PLAIN)
    r.f("add_permission", "add_permission", StatementId="s3", **S3, **BUCKET)
    r.f("get_policy", "get_policy")
    r.f("publish_version_result", "publish_version")
    r.f("get_function_result_after_publishing", "get_function")
    r.f("get_policy_after_publishing_latest", "get_policy")
    r.f("get_policy_after_publishing_new_version", "get_policy", Qualifier="1")
    r.quiet("add_permission", FunctionName=r.name, Qualifier="1", StatementId="s3", **S3, **BUCKET)
    r.f("get_policy_version", "get_policy", Qualifier="1")
    alias = "permission-alias"
    r.f("create_alias_response", "create_alias", Name=alias, FunctionVersion="1")
    r.f("get_alias", "get_alias", Name=alias)
    grant = {"Qualifier": alias, "StatementId": "s3", **S3, **BUCKET}
    r.f("add_permission_alias_revision_exception", "add_permission", RevisionId="wrong", **grant)
    r.quiet("add_permission", FunctionName=r.name, **grant)
    r.f("get_policy_alias", "get_policy", Qualifier=alias)
    r.f("get_policy_after_adding_to_new_version", "get_policy")
    r.quiet("add_permission", FunctionName=r.name, StatementId="s3_2", **S3, **BUCKET)
    r.f("get_policy_after_adding_2", "get_policy")


# --- function URLs ----------------------------------------------------------------------------------------------------


@case("test_url_config_lifecycle")
def _(r):
    r.create()
    r.f("url_creation", "create_function_url_config", AuthType="NONE")
    r.f("failed_duplication", "create_function_url_config", AuthType="NONE")
    r.f("get_url_config", "get_function_url_config")
    r.f("updated_url_config", "update_function_url_config", AuthType="AWS_IAM")
    r.quiet("delete_function_url_config", FunctionName=r.name)
    r.f("failed_getter", "get_function_url_config")


def with_alias(r):
    r.rename("nodejs20.x", "python3.12")
    r.create(Handler="lambda_handler.handler", **PLAIN)
    r.f("fn_version_result", "publish_version")
    r.f("create_alias_result", "create_alias", Name="urlalias", FunctionVersion="1")


@case("test_url_config_list_paging")
def _(r):
    with_alias(r)
    r("list_function_notfound", "list_function_url_configs", FunctionName="doesnotexist")
    r.f("list_all_empty", "list_function_url_configs")
    r.f("url_config_fn", "create_function_url_config", AuthType="NONE")
    r.f("url_config_alias", "create_function_url_config", AuthType="NONE", Qualifier="urlalias")
    r.f("list_all", "list_function_url_configs")


@case("test_url_config_exceptions")
def _(r):
    with_alias(r)
    arn = r.arn.replace(r.name, "doesnotexist")
    for verb in ("create", "get", "delete", "update"):
        step = method = f"{verb}_function_url_config"
        more = {"AuthType": "NONE"} if verb in ("create", "update") else {}
        r(f"{step}_name_doesnotexist", method, FunctionName="doesnotexist", **more)
        r(f"{step}_arn_doesnotexist", method, FunctionName=arn, **more)
        r(f"{step}_name_doesnotexist_qualifier", method, FunctionName="doesnotexist", Qualifier="1", **more)
        r.f(f"{step}_qualifier_version", method, Qualifier="1", **more)
        r.f(f"{step}_qualifier_version_doesnotexist", method, Qualifier="2", **more)
        r.f(f"{step}_qualifier_alias_doesnotexist", method, Qualifier="doesnotexist", **more)
        if verb != "delete":  # AWS failed there with an internal error
            r(f"{step}_qualifier_alias_doesnotmatch_arn", method, FunctionName=r.arn + ":urlalias", Qualifier="urlalias-doesnotmatch", **more)
        r.f(f"{step}_qualifier_latest", method, Qualifier="$LATEST", **more)
        if verb != "create":
            r.f(f"{step}_config_doesnotexist", method, **more)
    r.left.pop("delete_function_url_config_qualifier_alias_doesnotmatch_arn")


@case("test_url_config_deletion_without_qualifier")
def _(r):
    r.create(Publish=True)
    alias = "test-alias"
    r.quiet("create_alias", FunctionName=r.name, Name=alias, FunctionVersion="1")
    r.f("url_creation", "create_function_url_config", AuthType="NONE")
    r.f("url_with_alias_creation", "create_function_url_config", AuthType="NONE", Qualifier=alias)
    r.f("get_url_config", "get_function_url_config")
    r.f("get_url_config_with_alias", "get_function_url_config", Qualifier=alias)
    r.f("delete_function_url_config", "delete_function_url_config")
    r.f("get_url_config_after_deletion", "get_function_url_config")
    r.f("get_url_config_with_alias_after_deletion", "get_function_url_config", Qualifier=alias)


# --- tags -------------------------------------------------------------------------------------------------------------


@case("test_create_tag_on_fn_create")
def _(r):
    r.create(Tags={"testtag": "some-tag"}, **PLAIN)
    r.f("get_function_result", "get_function")
    r("list_tags_result", "list_tags", Resource=r.arn)


def tag_life(r, arn):
    for step, method, arguments in (
        ("tag_single_response", "tag_resource", {"Tags": {"A": "tag-a"}}),
        ("tag_multiple_response", "tag_resource", {"Tags": {"B": "tag-b", "C": "tag-c"}}),
        ("tag_overlap_response", "tag_resource", {"Tags": {"C": "tag-c-newsuffix", "D": "tag-d"}}),
        ("untag_single_response", "untag_resource", {"TagKeys": ["A"]}),
        ("untag_multiple_response", "untag_resource", {"TagKeys": ["B", "C"]}),
        ("untag_nonexisting_response", "untag_resource", {"TagKeys": ["F"]}),
        ("untag_existing_and_nonexisting_response", "untag_resource", {"TagKeys": ["D", "F"]}),
    ):
        r(step, method, Resource=arn, **arguments)
        r(f"{step}_listtags", "list_tags", Resource=arn)


@case("TestLambdaTag::test_tag_lifecycle", "TestLambdaTag::test_tag_lifecycle[lambda_function]")
def _(r):
    r.create()
    tag_life(r, r.arn)


@case("TestLambdaTag::test_tag_nonexisting_resource")
def _(r):
    r.create(**PLAIN)
    r.f("pre_delete_get_function", "get_function")
    r.quiet("delete_function", FunctionName=r.name)
    r("not_found_exception_tag", "tag_resource", Resource=r.arn, Tags={"A": "B"})
    r("not_found_exception_untag", "untag_resource", Resource=r.arn, TagKeys=["A"])
    r("not_found_exception_list", "list_tags", Resource=r.arn)


@case("TestLambdaTag::test_tag_exceptions[lambda_function]", kind="function", name="missing-function")
@case("TestLambdaTag::test_tag_exceptions[event_source_mapping]", kind="event-source-mapping", name="12345678-1234-1234-1234-123456789012")
@case("TestLambdaTag::test_tag_exceptions[capacity_provider]", kind="capacity-provider", name="missing-provider")
def _(r, kind, name):
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:{kind}:{name}"
    r("not_found_exception_tag", "tag_resource", Resource=arn, Tags={"A": "B"})
    r("not_found_exception_untag", "untag_resource", Resource=arn, TagKeys=["A"])
    r("not_found_exception_list", "list_tags", Resource=arn)
    r("aliased_arn_exception", "tag_resource", Resource=arn + ":alias", Tags={"A": "B"})
    r("invalid_arn_exception", "tag_resource", Resource=arn.replace(f":{kind}:", ":foobar:"), Tags={"A": "B"})


@case("TestLambdaTags::test_tag_exceptions")
def _(r):
    r.create()
    r("tag_lambda_invalidarn", "tag_resource", Resource="arn:aws:something", Tags={"key_a": "value_a"})
    r("tag_lambda_doesnotexist", "tag_resource", Resource=r.arn.replace(r.name, "doesnotexist"), Tags={"key_a": "value_a"})
    r("tag_lambda_qualifier_doesnotexist", "tag_resource", Resource=r.arn + ":v1", Tags={"key_a": "value_a"})
    r("list_tag_lambda_empty", "list_tags", Resource=r.arn)
    r("untag_nomatch", "untag_resource", Resource=r.arn, TagKeys=["somekey"])
    r("untag_empty_keys", "untag_resource", Resource=r.arn, TagKeys=[])
    r("tag_empty_tags", "tag_resource", Resource=r.arn, Tags={})


@case("test_tag_limits")
def _(r):
    r.create(**PLAIN)
    many = {f"{number}_key": f"{number}_value" for number in range(51)}
    r("tag_lambda_too_many_tags", "tag_resource", Resource=r.arn, Tags=many)
    r("tag_response", "tag_resource", Resource=r.arn, Tags={key: value for key, value in many.items() if key != "50_key"})
    r("list_tags_response", "list_tags", Resource=r.arn)
    r.f("get_fn_response", "get_function")
    r("tag_lambda_too_many_tags_additional", "tag_resource", Resource=r.arn, Tags={"a_key": "a_value"})
    r.create("create_function_invalid_tags", FunctionName=r.name + "-2", Tags=many)


@case("test_tag_versions")
def _(r):
    r.create(Publish=True)
    r("tag_resource_exception", "tag_resource", Resource=r.arn + ":1", Tags={"key_a": "value_a"})
    r("tag_resource_latest_exception", "tag_resource", Resource=r.arn + ":$LATEST", Tags={"key_a": "value_a"})


@case("TestLambdaTags::test_tag_lifecycle")
def _(r):
    r.create(Tags={"key_a": "value_a"}, **PLAIN)

    def look(suffix):
        r(f"list_tags_response_{suffix}", "list_tags", Resource=r.arn)
        r.f(f"get_fn_response_{suffix}", "get_function")

    look("postfncreate")
    more = {f"key_{letter}": f"value_{letter}" for letter in "bcde"}
    r("tag_resource_response", "tag_resource", Resource=r.arn, Tags=more)
    look("postaddtags")
    r("tag_resource_overwrite", "tag_resource", Resource=r.arn, Tags={"key_b": "value_b", "key_c": "value_x"})
    look("overwrite")
    r.quiet("untag_resource", Resource=r.arn, TagKeys=["key_c", "key_d"])
    look("postuntag")
    r.quiet("untag_resource", Resource=r.arn, TagKeys=["key_a", "key_b", "key_e"])
    look("postuntagall")
    r.quiet("delete_function", FunctionName=r.name)
    r("list_tags_postdelete", "list_tags", Resource=r.arn)


# --- code signing -----------------------------------------------------------------------------------------------------


def new_signing(r):
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/test"]}
    answer = r(
        "create_code_signing_config",
        "create_code_signing_config",
        Description="Testing CodeSigning Config",
        AllowedPublishers=publishers,
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
    )
    return answer["CodeSigningConfig"]["CodeSigningConfigArn"]


@case("test_function_code_signing_config")
def _(r):
    r.create()
    arn = new_signing(r)
    warn = {"UntrustedArtifactOnDeployment": "Warn"}
    r("update_code_signing_config", "update_code_signing_config", CodeSigningConfigArn=arn, CodeSigningPolicies=warn)
    r("get_code_signing_config", "get_code_signing_config", CodeSigningConfigArn=arn)
    r.f("put_function_code_signing_config", "put_function_code_signing_config", CodeSigningConfigArn=arn)
    r.f("get_function_code_signing_config", "get_function_code_signing_config")
    listed = r.quiet("list_code_signing_configs")["CodeSigningConfigs"]
    r.see("list_code_signing_configs", next(one for one in listed if one["CodeSigningConfigArn"] == arn))
    r("list_functions_by_code_signing_config", "list_functions_by_code_signing_config", CodeSigningConfigArn=arn)
    r.f("delete_function_code_signing_config", "delete_function_code_signing_config")
    r("delete_code_signing_config", "delete_code_signing_config", CodeSigningConfigArn=arn)


@case("test_code_signing_not_found_excs")
def _(r):
    r.create()
    arn, missing = new_signing(r), {"FunctionName": "csc-test-doesnotexist"}
    wrong = {"CodeSigningConfigArn": arn[:-3] + "zzz"}
    r("delete_csc_notfound", "delete_code_signing_config", **wrong)
    r.f("nothing_to_delete_response", "delete_function_code_signing_config")
    r("delete_function_csc_fnnotfound", "delete_function_code_signing_config", **missing)
    r("put_function_csc_invalid_fnname", "put_function_code_signing_config", **missing, CodeSigningConfigArn=arn)
    r.f("put_function_csc_invalid_csc_arn", "put_function_code_signing_config", **wrong)
    r("put_function_csc_invalid_both", "put_function_code_signing_config", **missing, **wrong)
    r("update_csc_invalid_csc_arn", "update_code_signing_config", Description="new-description", **wrong)
    r("update_csc_noupdates", "update_code_signing_config", **wrong)
    r("update_csc_noupdate_response", "update_code_signing_config", CodeSigningConfigArn=arn)
    r("get_csc_invalid", "get_code_signing_config", **wrong)
    r.f("get_function_csc_fnwithoutcsc", "get_function_code_signing_config")
    r("get_function_csc_nonexistingfn", "get_function_code_signing_config", **missing)
    r("list_functions_by_csc_fnwithoutcsc", "list_functions_by_code_signing_config", CodeSigningConfigArn=arn)
    r("list_functions_by_csc_invalid_cscarn", "list_functions_by_code_signing_config", **wrong)
    r.quiet("delete_code_signing_config", CodeSigningConfigArn=arn)
