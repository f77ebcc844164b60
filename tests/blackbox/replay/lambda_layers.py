# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about layers and event source mappings."""

from replay import ACCOUNT, case
from support import zip_bytes

CONTENT = {"Content": {"ZipFile": zip_bytes({"python/layer.py": "VALUE = 1\n"})}}
PLAIN = {"Environment": {"Variables": {}}, "Timeout": 30}


def publish(r, step, name=None, **more):
    return r(step, "publish_layer_version", LayerName=name or r.name, **CONTENT, **more)


COMPATIBLE = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"]}


@case("test_layer_exceptions")
def _(r):
    arn = publish(r, "publish_result", **COMPATIBLE)["LayerArn"]
    empty = r.name + "-2"
    r("list_layers_exc_compatibleruntime_invalid", "list_layers", CompatibleRuntime="runtimedoesnotexist")
    r("list_layers_exc_compatiblearchitecture_invalid", "list_layers", CompatibleArchitecture="archdoesnotexist")
    r("list_nonexistent_layer", "list_layer_versions", LayerName="layerdoesnotexist")
    get, layer = "get_layer_version", {"LayerName": r.name}
    r("get_layer_version_exc_layer_doesnotexist", get, LayerName="layerdoesnotexist", VersionNumber=1)
    r("get_layer_version_exc_layer_version_doesnotexist_negative", get, VersionNumber=-1, **layer)
    r("get_layer_version_exc_layer_version_doesnotexist_zero", get, VersionNumber=0, **layer)
    r("get_layer_version_exc_layer_version_doesnotexist_2", get, VersionNumber=2, **layer)
    r("get_layer_version_by_arn_exc_invalidarn", "get_layer_version_by_arn", Arn=arn)
    r("get_layer_version_by_arn_exc_nonexistentversion", "get_layer_version_by_arn", Arn=arn + ":2")
    delete = "delete_layer_version"
    r("delete_nonexistent_response", delete, LayerName="layerdoesnotexist", VersionNumber=1)
    r("delete_nonexistent_version_response", delete, VersionNumber=2, **layer)
    r("delete_layer_response", delete, VersionNumber=1, **layer)
    r("delete_layer_again_response", delete, VersionNumber=1, **layer)
    r("delete_layer_version_exc_layerversion_invalid_version", delete, VersionNumber=-1, **layer)
    publish(r, "publish_empty_result", empty, CompatibleRuntimes=[], CompatibleArchitectures=[])
    wrong = {"CompatibleRuntimes": ["invalidruntime"], "CompatibleArchitectures": ["invalidarch"]}
    publish(r, "publish_layer_version_exc_invalid_runtime_arch", empty, **wrong)
    partly = {
        "CompatibleRuntimes": ["invalidruntime", "invalidruntime2", "nodejs20.x"],
        "CompatibleArchitectures": ["invalidarch", "x86_64"],
    }
    publish(r, "publish_layer_version_exc_partially_invalid_values", empty, **partly)


@case("test_layer_lifecycle")
def _(r):
    r.create(**PLAIN)
    r.f("get_fn_result", "get_function")
    r.f("get_fn_config_result", "get_function_configuration")
    more = {"Description": "about it", "LicenseInfo": "MIT", **COMPATIBLE}
    arn = publish(r, "publish_result", **more)["LayerVersionArn"]
    publish(r, "publish_result_2", **more)
    r.f("update_fn_config", "update_function_configuration", Layers=[arn])
    r.settle()
    r.f("get_fn_config", "get_function_configuration")
    layer = {"LayerName": r.name}
    r("get_layer_ver_result", "get_layer_version", VersionNumber=1, **layer)
    r("get_layer_by_arn_version", "get_layer_version_by_arn", Arn=arn)
    r("list_layer_versions_predelete", "list_layer_versions", **layer)
    r("delete_layer_1", "delete_layer_version", VersionNumber=1, **layer)
    r.f("get_fn_config_postdelete", "get_function_configuration")
    r("delete_layer_2", "delete_layer_version", VersionNumber=2, **layer)
    r("list_layer_versions_postdelete", "list_layer_versions", **layer)
    publish(r, "publish_result_3", **more)


@case("test_layer_policy_exceptions")
def _(r):
    publish(r, "publish_result", **COMPATIBLE)
    grant = {"StatementId": "s1", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    one, add, remove = {"LayerName": r.name, "VersionNumber": 1}, "add_layer_version_permission", "remove_layer_version_permission"
    r("layer_permission_nopolicy_get", "get_layer_version_policy", **one)
    r("add_layer_permission_result", add, **one, **grant)
    r("layer_permission_action_invalid", add, **one, **{**grant, "Action": "*", "StatementId": "s2"})
    r("layer_permission_duplicate_statement", add, **one, **grant)
    r("layer_permission_wrong_revision", add, RevisionId="wrong", **one, **{**grant, "StatementId": "s2"})
    for step, place in (
        ("layername", {"LayerName": r.name + "-doesnotexist", "VersionNumber": 1}),
        ("layerversion", {"LayerName": r.name, "VersionNumber": 2}),
    ):
        r(f"layer_permission_{step}_doesnotexist_add", add, **place, **{**grant, "StatementId": "s2"})
        r(f"layer_permission_{step}_doesnotexist_get", "get_layer_version_policy", **place)
        r(f"layer_permission_{step}_doesnotexist_remove", remove, StatementId="s1", **place)
    r("layer_permission_statementid_doesnotexist_remove", remove, StatementId="doesnotexist", **one)
    r("layer_permission_wrong_revision_remove", remove, StatementId="s1", RevisionId="wrong", **one)


@case("test_layer_policy_lifecycle")
def _(r):
    publish(r, "publish_result", **COMPATIBLE)
    one = {"LayerName": r.name, "VersionNumber": 1}
    grant = {"Action": "lambda:GetLayerVersion", "Principal": "*", **one}
    first = r("add_policy_s1", "add_layer_version_permission", StatementId="s1", **grant)
    r("get_layer_version_policy", "get_layer_version_policy", **one)
    r("add_policy_s2", "add_layer_version_permission", StatementId="s2", RevisionId=first["RevisionId"], **grant)
    second = r("get_layer_version_policy_postadd2", "get_layer_version_policy", **one)
    r("remove_s2", "remove_layer_version_permission", StatementId="s2", RevisionId=second["RevisionId"], **one)
    r("get_layer_version_policy_postdeletes2", "get_layer_version_policy", **one)


@case("test_layer_s3_content")
def _(r):
    from replay.lambda_functions import put_code

    (place,) = put_code(r, {"python/layer.py": "VALUE = 1\n"})
    r("publish_layer_result", "publish_layer_version", LayerName=r.name, Content=place)


@case("test_layer_function_exceptions")
def _(r):
    steps = ("publish_result", "publish_result_2", "publish_result_3")
    arns = [publish(r, step, CompatibleRuntimes=[], CompatibleArchitectures=["x86_64"])["LayerVersionArn"] for step in steps]
    # The recording's function has other code than the layers.
    r.create(**PLAIN)
    r.f("get_fn_result", "get_function")
    update = "update_function_configuration"
    r.f("two_layer_versions_single_function_exc", update, Layers=arns[:2])
    r.f("three_layer_versions_single_function_exc", update, Layers=arns)
    r.f("two_identical_layer_versions_single_function_exc", update, Layers=[arns[0], arns[0]])
    nowhere = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:doesnotexist:1"
    r.f("add_nonexistent_layer_exc", update, Layers=[nowhere])
    r.f("add_nonexistent_layer_version_exc", update, Layers=[arns[0][:-1] + "9"])
    r.f("add_layer_arn_without_version_exc", update, Layers=[arns[0][:-2]])
    elsewhere = nowhere.replace("us-east-1", "us-west-2")
    r.create("create_function_with_layer_in_different_region", FunctionName=r.name + "-2", Layers=[elsewhere])


@case("test_layer_function_quota_exception")
def _(r):
    arns = [r.quiet("publish_layer_version", LayerName=f"{r.name}-{number}", **CONTENT)["LayerVersionArn"] for number in range(6)]
    r.create("create_function_with_six_layers", settle=False, Layers=arns)


for index in range(3):

    @case(f"test_layer_compatibilities[runtimes{index}]")
    def _(r):
        shown = r.recorded["publish_result"]
        publish(r, "publish_result", CompatibleRuntimes=shown["CompatibleRuntimes"], CompatibleArchitectures=shown["CompatibleArchitectures"])


# --- event source mappings --------------------------------------------------------------------------------------------

STREAM = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/a-table/stream/2025-02-22T03:03:25.490"


@case("test_event_source_mapping_exceptions")
def _(r):
    unknown = "12345678-1234-1234-1234-123456789012"
    for verb in ("get", "delete", "update"):
        more = {"Enabled": False} if verb == "update" else {}
        r(f"{verb}_unknown_uuid", f"{verb}_event_source_mapping", UUID=unknown, **more)
    r("create_no_event_source_arn", "create_event_source_mapping", FunctionName="doesnotexist")
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:somequeue"
    r("create_unknown_params", "create_event_source_mapping", FunctionName="doesnotexist", EventSourceArn=queue)
    r.create()
    r.server.client("sqs", account=ACCOUNT).create_queue(QueueName="somequeue")
    destination = {"OnSuccess": {"Destination": queue}}
    r.f("destination_config_failure", "create_event_source_mapping", EventSourceArn=queue, DestinationConfig=destination)


@case("test_create_event_source_validation", source=STREAM)
@case("test_create_event_source_validation_kinesis", source=f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a-stream")
def _(r, source):
    r.create()
    create = "create_event_source_mapping"
    r.f("no_starting_position", create, EventSourceArn=source)
    r.f("invalid_starting_position", create, EventSourceArn=source, StartingPosition="invalid")
    if "dynamodb" in source:
        r.f("incompatible_starting_position", create, EventSourceArn=source, StartingPosition="AT_TIMESTAMP")


@case("test_function_name_variations")
def _(r):
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{r.name}"
    r.server.client("sqs", account=ACCOUNT).create_queue(QueueName=r.name)
    r.create(Publish=True)
    r.quiet("create_alias", FunctionName=r.name, Name="myalias", FunctionVersion="1")
    partial = f"{ACCOUNT}:function:{r.name}"
    for step, name in (
        ("name_only", r.name),
        ("partial_arn_latest", partial + ":$LATEST"),
        ("partial_arn_version", partial + ":1"),
        ("partial_arn_alias", partial + ":myalias"),
        ("full_arn_latest", r.arn),
        ("full_arn_version", r.arn + ":1"),
        ("full_arn_alias", r.arn + ":myalias"),
    ):
        made = r(f"{step}_create_esm", "create_event_source_mapping", FunctionName=name, EventSourceArn=queue)
        r.quiet("delete_event_source_mapping", UUID=made.get("UUID", "none"))


def mapping(r, **more):
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{r.name}"
    r.server.client("sqs", account=ACCOUNT).create_queue(QueueName=r.name)
    r.create()
    return r.quiet("create_event_source_mapping", FunctionName=r.name, EventSourceArn=queue, **more)


@case("TestLambdaTag::test_tag_lifecycle[event_source_mapping]")
def _(r):
    from replay.lambda_grants import tag_life

    tag_life(r, mapping(r)["EventSourceMappingArn"])


@case("test_create_tag_on_esm_create")
def _(r):
    made = mapping(r, Tags={"testtag": "some-tag"})
    r.see("get_event_source_mapping_with_tag", "Tags" not in made)
    r("list_tags_result", "list_tags", Resource=made["EventSourceMappingArn"])


@case("test_create_event_source_self_managed")
def _(r):
    def create(step, servers, **more):
        source = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": servers}}
        return r.f(step, "create_event_source_mapping", SelfManagedEventSource=source, **more).get("UUID")

    secret = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:kafka"  # its text is not read before somebody connects
    access = {"SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": secret}]}
    first = {"Topics": ["topic"], "StartingPosition": "TRIM_HORIZON", **access}
    group = {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "random_id"}}
    second = {"Topics": ["topic_2"], "StartingPosition": "LATEST", "BatchSize": 1, **access, **group}
    r.create()
    create("missing-source-access-configuration", ["kafka:1000"], Topics=["topic"], StartingPosition="TRIM_HORIZON")
    made = [create("event-source-mapping-default", ["kafka:1000"], **first)]
    create("duplicate-source", ["kafka:1000"], **first)
    made.append(create("event-source-mapping-values", ["kafka:1000"], **second))
    create("multiple-duplicate-source", ["kafka:1000", "kafka:2000"], **first)
    for uuid in made:
        r.quiet("delete_event_source_mapping", UUID=uuid)
