#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write api/<service>.json from the service models that botocore publishes.

Purpose: the operation engine (src/aws/) is driven by data: for every operation its method, URI, status, members,
constraints and errors. Those facts are taken from the models installed with botocore; nothing else is (no
descriptions, no examples). The files are committed, so building Sluice needs no botocore; this tool is only run to
move to a newer model:

    tools/api/import_model.py            # rewrite api/*.json from the installed botocore
    tools/api/import_model.py --check    # exit 1 if api/*.json differ from it (skips when the version is another one)

The format (one operation or shape per line, so that a diff of two models can be read):

    operations  name -> method, uri, status, in (shape), out (shape), errors (shapes), and what is special:
                streaming bodies
    shapes      name -> t (type) and, by type:
                structure: m = members in the model's order, each [name, shape, {flags}]; payload; err = the error's
                           HTTP status, fault and (query protocol) code
                list: of = shape of the elements (+ flags)      map: key, of
                strings and numbers: enum, min, max, pattern, ts (timestamp format), sensitive (the value is left out
                of messages)
    flags       loc = uri|querystring|header|headers|statusCode, w = name on the wire if it differs from the member's,
                req, jsonvalue, streaming, idempotency, ts, flat (query lists), attr (an attribute in XML)
"""

import argparse
import gzip
import json
import os
import sys

# Services whose every operation is a target, and those of which clients need only a part.
WHOLE = ["lambda", "apigateway", "apigatewayv2", "apigatewaymanagementapi", "cloudwatch", "s3", "sqs"]
PART = {
    "logs": [
        "CreateLogGroup",
        "CreateLogStream",
        "DeleteLogGroup",
        "DeleteLogStream",
        "DeleteRetentionPolicy",
        "DescribeLogGroups",
        "DescribeLogStreams",
        "FilterLogEvents",
        "GetLogEvents",
        "ListTagsForResource",
        "ListTagsLogGroup",
        "PutLogEvents",
        "PutRetentionPolicy",
        "StartLiveTail",
        "TagLogGroup",
        "TagResource",
        "UntagLogGroup",
        "UntagResource",
    ],
    "sts": [
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "DecodeAuthorizationMessage",
        "GetAccessKeyInfo",
        "GetCallerIdentity",
        "GetSessionToken",
    ],
    "iam": [
        "AddUserToGroup",
        "AttachGroupPolicy",
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreateAccessKey",
        "CreateGroup",
        "CreatePolicy",
        "CreatePolicyVersion",
        "CreateRole",
        "CreateUser",
        "DeleteAccessKey",
        "DeleteGroup",
        "DeleteGroupPolicy",
        "DeletePolicy",
        "DeletePolicyVersion",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DeleteUser",
        "DeleteUserPermissionsBoundary",
        "DeleteUserPolicy",
        "DetachGroupPolicy",
        "DetachRolePolicy",
        "DetachUserPolicy",
        "GetAccessKeyLastUsed",
        "GetAccountSummary",
        "GetGroup",
        "GetGroupPolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "GetUserPolicy",
        "ListAccessKeys",
        "ListAttachedGroupPolicies",
        "ListAttachedRolePolicies",
        "ListAttachedUserPolicies",
        "ListEntitiesForPolicy",
        "ListGroupPolicies",
        "ListGroups",
        "ListGroupsForUser",
        "ListPolicies",
        "ListPolicyTags",
        "ListPolicyVersions",
        "ListRolePolicies",
        "ListRoleTags",
        "ListRoles",
        "ListUserPolicies",
        "ListUserTags",
        "ListUsers",
        "PutGroupPolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "PutUserPermissionsBoundary",
        "PutUserPolicy",
        "RemoveUserFromGroup",
        "SetDefaultPolicyVersion",
        "SimulateCustomPolicy",
        "SimulatePrincipalPolicy",
        "TagPolicy",
        "TagRole",
        "TagUser",
        "UntagPolicy",
        "UntagRole",
        "UntagUser",
        "UpdateAccessKey",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
        "UpdateUser",
    ],
}
# Of a service whose other operations are all targets: what newer operations of the same request replace, and what is
# asked of hosts that are no S3 endpoints (directory buckets, Object Lambda).
EXCEPT = {
    "s3": [
        "CreateSession",
        "GetBucketLifecycle",
        "GetBucketNotification",
        "ListDirectoryBuckets",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "WriteGetObjectResponse",
    ],
}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load_model(service):
    """The newest service-2 model of a service, as botocore ships it (plain or gzipped)."""
    import botocore

    base = os.path.join(os.path.dirname(botocore.__file__), "data", service)
    folder = os.path.join(base, sorted(os.listdir(base))[-1])
    plain = os.path.join(folder, "service-2.json")
    if os.path.exists(plain):
        with open(plain, encoding="utf-8") as f:
            return json.load(f)
    with gzip.open(plain + ".gz", "rt", encoding="utf-8") as f:
        return json.load(f)


def member_flags(name, ref, required):
    flags = {}
    if "location" in ref:
        flags["loc"] = ref["location"]
    if ref.get("locationName", name) != name:
        flags["w"] = ref["locationName"]
    if name in required:
        flags["req"] = True
    for key, short in (
        ("jsonvalue", "jsonvalue"),
        ("streaming", "streaming"),
        ("idempotencyToken", "idempotency"),
        ("timestampFormat", "ts"),
        ("flattened", "flat"),
        ("eventpayload", "eventpayload"),
        ("xmlAttribute", "attr"),
    ):
        if ref.get(key):
            flags[short] = ref[key]
    return flags


def shape_facts(shape):
    out = {"t": shape["type"]}
    if shape["type"] == "structure":
        required = shape.get("required", [])
        out["m"] = [
            [n, r["shape"]] + ([f] if (f := member_flags(n, r, required)) else []) for n, r in shape["members"].items()
        ]
        if "payload" in shape:
            out["payload"] = shape["payload"]
        if shape.get("exception"):
            error = shape.get("error", {})
            out["err"] = {"status": error.get("httpStatusCode", 500 if shape.get("fault") else 400)}
            if shape.get("fault") or error.get("fault"):
                out["err"]["fault"] = True
            if "code" in error:
                out["err"]["code"] = error["code"]
        for key in ("eventstream", "event"):
            if shape.get(key):
                out[key] = True
    elif shape["type"] == "list":
        out["of"] = shape["member"]["shape"]
        if "locationName" in shape["member"]:
            out["w"] = shape["member"]["locationName"]
        if shape.get("flattened"):
            out["flat"] = True
    elif shape["type"] == "map":
        out["key"] = shape["key"]["shape"]
        out["of"] = shape["value"]["shape"]
        if shape.get("flattened"):
            out["flat"] = True
    if "enum" in shape:
        out["enum"] = shape["enum"]
    for key in ("min", "max", "pattern"):
        if key in shape:
            out[key] = shape[key]
    if "timestampFormat" in shape:
        out["ts"] = shape["timestampFormat"]
    for key in ("sensitive", "streaming"):
        if shape.get(key):
            out[key] = True
    return out


def reachable(model, names):
    """Names of every shape that the chosen operations use."""
    todo, seen = [], set()
    for name in names:
        op = model["operations"][name]
        todo += [op[k]["shape"] for k in ("input", "output") if k in op] + [e["shape"] for e in op.get("errors", [])]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        shape = model["shapes"][name]
        todo += [r["shape"] for r in shape.get("members", {}).values()]
        todo += [shape[k]["shape"] for k in ("member", "key", "value") if k in shape]
    return seen


def operation_facts(op):
    out = {"method": op["http"]["method"], "uri": op["http"]["requestUri"]}
    out["status"] = op["http"].get("responseCode", 200)
    if "input" in op:
        out["in"] = op["input"]["shape"]
    if "output" in op:
        out["out"] = op["output"]["shape"]
        if "resultWrapper" in op["output"]:
            out["wrapper"] = op["output"]["resultWrapper"]
    if op.get("errors"):
        out["errors"] = [e["shape"] for e in op["errors"]]
    return out


def render(service, version):
    model = load_model(service)
    meta = model["metadata"]
    names = sorted(set(PART.get(service, model["operations"])) - set(EXCEPT.get(service, [])))
    header = {
        "service": service,
        "source": "botocore " + version,
        "apiVersion": meta["apiVersion"],
        "protocol": meta["protocol"],
        "endpointPrefix": meta["endpointPrefix"],
        "signingName": meta.get("signingName", meta["endpointPrefix"]),
        "serviceId": meta["serviceId"],
    }
    for key in ("targetPrefix", "jsonVersion", "xmlNamespace", "globalEndpoint"):
        if key in meta:
            header[key] = meta[key]
    if "awsQueryCompatible" in meta:
        header["queryCompatible"] = True  # old clients speak the query protocol; its names are in recorded.json
    if service in PART or service in EXCEPT:
        header["partial"] = True  # the model has more operations than are imported here

    def line(value):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)

    rows = ["{"]
    rows += [f"{json.dumps(k)}: {line(v)}," for k, v in header.items()]
    ops = [f"{json.dumps(n)}: {line(operation_facts(model['operations'][n]))}" for n in names]
    rows += ['"operations": {', ",\n".join(ops), "},"]
    shapes = sorted(reachable(model, names))
    rows += ['"shapes": {', ",\n".join(f"{json.dumps(n)}: {line(shape_facts(model['shapes'][n]))}" for n in shapes)]
    rows += ["}", "}"]
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the files are stale")
    parser.add_argument("--out", default=os.path.join(ROOT, "api"), help="folder of the JSON files")
    args = parser.parse_args()
    try:
        import botocore
    except ImportError:
        if args.check:
            print("import_model: botocore is not installed; nothing to compare with")
            return 0
        sys.exit("import_model: botocore is needed: python3 -m pip install botocore")
    stale = []
    for service in WHOLE + sorted(PART):
        path = os.path.join(args.out, service + ".json")
        old = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                old = f.read()
        if args.check:
            pinned = json.loads(old)["source"].split()[1] if old else ""
            if pinned and pinned != botocore.__version__:
                print(f"import_model: {path} was made from botocore {pinned}, installed is {botocore.__version__}: skipped")
                continue
        new = render(service, botocore.__version__)
        if args.check and new != old:
            stale.append(path)
        elif new != old:
            with open(path, "w", encoding="utf-8") as f:
                f.write(new)
            print("wrote", path)
    for path in stale:
        print(f"import_model: {path} is stale: run tools/api/import_model.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
