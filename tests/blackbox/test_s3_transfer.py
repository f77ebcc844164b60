# SPDX-License-Identifier: Apache-2.0
"""Amazon S3 where bytes move: uploads in parts, transfers of boto3, the `aws s3` commands, interrupted clients, crashes, code of functions."""

import base64
import concurrent.futures
import hashlib
import http.client
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import boto3.s3.transfer
import pytest

from s3_support import Signer, clear, crc32, refused
from support import PATIENCE, ROLE, wait_for, zip_bytes

PART = 5 << 20


@pytest.fixture
def s3(server):
    client = server.client("s3", max_pool_connections=20)
    yield client
    clear(client)


@pytest.fixture
def bucket(s3):
    s3.create_bucket(Bucket="bucket")
    return "bucket"


def files(server):
    return sum(len(names) for _, _, names in os.walk(server.data / "blobs" / "objects"))


def upload_parts(client, key, bodies, **more):
    upload = client.create_multipart_upload(Bucket="bucket", Key=key, **more)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        same = {"ChecksumAlgorithm": more["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in more else {}
        answer = client.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=body, **same)
        parts.append({"PartNumber": number, **{k: v for k, v in answer.items() if k == "ETag" or k.startswith("Checksum")}})
    return upload, parts


def complete(client, key, upload, parts, **more):
    return client.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)


def etag(bodies):
    digest = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
    return f'"{digest}-{len(bodies)}"'


# --- uploads in parts -----------------------------------------------------------------------------------------------


def test_an_upload_in_parts_becomes_one_object(server, s3, bucket):
    bodies = [os.urandom(PART), os.urandom(PART), b"end"]
    upload, parts = upload_parts(s3, "key", bodies, ContentType="x/y", Metadata={"a": "1"}, ChecksumAlgorithm="SHA256")
    listed = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload, MaxParts=2)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, PART), (2, PART)] and listed["IsTruncated"]
    assert listed["ChecksumAlgorithm"] == "SHA256" and listed["Parts"][0]["ChecksumSHA256"] == parts[0]["ChecksumSHA256"]
    rest = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [p["PartNumber"] for p in rest["Parts"]] == [3] and not rest["IsTruncated"]
    answer = complete(s3, "key", upload, parts)
    assert answer["ETag"] == etag(bodies) and answer["Bucket"] == bucket and answer["Key"] == "key"
    sums = hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in bodies)).digest()
    assert answer["ChecksumSHA256"] == base64.b64encode(sums).decode() + "-3" and answer["ChecksumType"] == "COMPOSITE"
    whole = s3.get_object(Bucket=bucket, Key="key")
    assert whole["Body"].read() == b"".join(bodies) and (whole["ContentType"], whole["Metadata"]) == ("x/y", {"a": "1"})
    across = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={PART - 3}-{2 * PART + 1}")["Body"].read()
    assert across == b"".join(bodies)[PART - 3 : 2 * PART + 2]
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert second["Body"].read() == bodies[1] and second["PartsCount"] == 3
    with refused("InvalidPartNumber", 416):
        s3.get_object(Bucket=bucket, Key="key", PartNumber=4)
    shown = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts", "Checksum"])["ObjectParts"]
    assert shown["TotalPartsCount"] == 3 and [p["Size"] for p in shown["Parts"]] == [PART, PART, 3]
    with refused("NoSuchUpload", 404):
        s3.list_parts(Bucket=bucket, Key="key", UploadId=upload)


@pytest.mark.parametrize("name", ["CRC32", None])
def test_the_checksum_of_the_whole_is_joined_from_the_parts(server, s3, bucket, name):
    bodies = [os.urandom(PART), os.urandom(12345)]
    more = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"} if name else {}
    signer = Signer(server)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", **more)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        headers = {"x-amz-checksum-crc32": crc32(body)} if name else {}
        answer = signer.request("PUT", f"/{bucket}/key?partNumber={number}&uploadId={upload}", body, more=headers)
        parts.append({"PartNumber": number, "ETag": answer.headers["etag"]})
    answer = complete(s3, "key", upload, parts)
    assert answer["ChecksumType"] == "FULL_OBJECT"
    if name:
        assert answer["ChecksumCRC32"] == crc32(b"".join(bodies))
    else:
        signer.request("PUT", f"/{bucket}/single", b"".join(bodies))
        single = s3.head_object(Bucket=bucket, Key="single", ChecksumMode="ENABLED")
        assert answer["ChecksumCRC64NVME"] == single["ChecksumCRC64NVME"]


def test_completing_is_refused_when_the_list_is_wrong(server, s3, bucket):
    before = files(server)
    upload, parts = upload_parts(s3, "key", [b"x" * PART, b"small", b"end"])
    plain = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]
    with refused("InvalidPartOrder", 400):
        complete(s3, "key", upload, plain[::-1])
    with refused("InvalidPart", 400) as error:
        complete(s3, "key", upload, [plain[0], {"PartNumber": 7, "ETag": '"x"'}])
    assert error["PartNumber"] == "7"
    with refused("InvalidPart", 400):
        complete(s3, "key", upload, [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}])
    with refused("EntityTooSmall", 400) as error:
        complete(s3, "key", upload, plain)
    assert (error["MinSizeAllowed"], error["PartNumber"], error["ProposedSize"]) == (str(PART), "2", "5")
    with refused("MalformedXML", 400):
        complete(s3, "key", upload, [])
    with refused("NoSuchUpload", 404):
        complete(s3, "key", "unknown", plain)
    with refused("InvalidRequest", 400):
        complete(s3, "key", upload, [plain[0], plain[2]], MpuObjectSize=7)
    complete(s3, "key", upload, [plain[0], plain[2]], MpuObjectSize=PART + 3)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read()[-4:] == b"xend"
    wait_for(lambda: files(server) == before + 2, "the part that was not listed to go")


def test_uploads_are_listed_and_given_up(server, s3, bucket):
    before = files(server)
    ids = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("a", "a", "b/1", "b/2", "c")]
    everything = s3.list_multipart_uploads(Bucket=bucket)
    assert [u["UploadId"] for u in everything["Uploads"]] == ids and not everything["IsTruncated"]
    pages = list(s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1}))
    assert [u["UploadId"] for page in pages for u in page.get("Uploads", [])] == ids
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in rolled["Uploads"]] == ["a", "a", "c"] and rolled["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")["Uploads"]] == ["b/1", "b/2"]
    s3.upload_part(Bucket=bucket, Key="a", UploadId=ids[0], PartNumber=1, Body=b"one")
    s3.upload_part(Bucket=bucket, Key="a", UploadId=ids[0], PartNumber=1, Body=b"two")
    wait_for(lambda: files(server) == before + 1, "the replaced part to go")
    for key, upload in zip(("a", "a", "b/1", "b/2", "c"), ids):
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    with refused("NoSuchUpload", 404):
        s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=ids[0])
    with refused("NoSuchUpload", 404):
        s3.upload_part(Bucket=bucket, Key="a", UploadId=ids[0], PartNumber=1, Body=b"late")
    with refused("InvalidArgument", 400):
        s3.upload_part(Bucket=bucket, Key="a", UploadId=ids[0], PartNumber=10001, Body=b"x")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    wait_for(lambda: files(server) == before, "parts to go")


def test_parts_are_copied_from_objects(s3, bucket):
    body = os.urandom(PART + 1000)
    s3.put_object(Bucket=bucket, Key="from", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    source = {"Bucket": bucket, "Key": "from"}
    first = s3.upload_part_copy(Bucket=bucket, Key="to", UploadId=upload, PartNumber=1, CopySource=source)
    second = s3.upload_part_copy(Bucket=bucket, Key="to", UploadId=upload, PartNumber=2, CopySource=source, CopySourceRange="bytes=10-19")
    parts = [{"PartNumber": n, "ETag": a["CopyPartResult"]["ETag"]} for n, a in ((1, first), (2, second))]
    complete(s3, "to", upload, parts)
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == body + body[10:20]


def test_boto3_transfers_in_parts_both_ways(s3, bucket, tmp_path):
    body = os.urandom(12 << 20)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    (tmp_path / "from").write_bytes(body)
    s3.upload_file(str(tmp_path / "from"), bucket, "key", Config=config, ExtraArgs={"Metadata": {"a": "1"}})
    assert s3.head_object(Bucket=bucket, Key="key")["ETag"].endswith('-3"')
    s3.download_file(bucket, "key", str(tmp_path / "to"), Config=config)
    assert (tmp_path / "to").read_bytes() == body
    s3.copy({"Bucket": bucket, "Key": "key"}, bucket, "copy", Config=config)
    out = io.BytesIO()
    s3.download_fileobj(bucket, "copy", out)
    assert out.getvalue() == body


# --- the aws command ------------------------------------------------------------------------------------------------


def test_the_aws_s3_commands(server, s3, tmp_path):
    def aws(*words, status=0):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
               "AWS_CONFIG_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}  # fmt: skip
        command = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", server.url, "s3", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=4 * PATIENCE)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    tree, back = tmp_path / "tree", tmp_path / "back"
    (tree / "dir").mkdir(parents=True)
    (tree / "a.txt").write_text("a")
    (tree / "dir" / "b b.txt").write_text("bb")
    (tree / "large").write_bytes(os.urandom(9 << 20))
    assert "make_bucket: cli" in aws("mb", "s3://cli")
    aws("cp", str(tree / "a.txt"), "s3://cli/copied.txt")
    aws("sync", str(tree), "s3://cli/tree")
    listed = aws("ls", "s3://cli", "--recursive")
    assert re.findall(r"^\S+ \S+ +(\d+) (.*)$", listed, re.M) == [
        ("1", "copied.txt"), ("1", "tree/a.txt"), ("2", "tree/dir/b b.txt"), (str(9 << 20), "tree/large")]  # fmt: skip
    assert "PRE tree/" in aws("ls", "s3://cli")
    assert aws("sync", str(tree), "s3://cli/tree") == ""  # nothing has changed
    aws("sync", "s3://cli/tree", str(back))
    assert (back / "large").read_bytes() == (tree / "large").read_bytes() and (back / "dir" / "b b.txt").read_text() == "bb"
    aws("mv", "s3://cli/copied.txt", "s3://cli/moved.txt")
    assert aws("cp", "s3://cli/moved.txt", "-") == "a"
    aws("rb", "s3://cli", status=1)
    aws("rm", "s3://cli", "--recursive")
    assert "remove_bucket: cli" in aws("rb", "s3://cli")


# --- clients and servers that stop ----------------------------------------------------------------------------------


def half_a_put(server, path, sent, length):
    headers, _, _ = Signer(server).headers("PUT", path, "UNSIGNED-PAYLOAD", {"content-length": str(length)})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest("PUT", path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(sent)
    return connection


def test_a_client_that_goes_away_leaves_nothing(server, s3, bucket):
    before = files(server)
    connection = half_a_put(server, f"/{bucket}/key", os.urandom(2 << 20), 4 << 20)
    wait_for(lambda: files(server) == before + 1, "the upload to begin")
    connection.close()
    wait_for(lambda: files(server) == before, "the half file to go")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="key")
    s3.put_object(Bucket=bucket, Key="key", Body=os.urandom(20 << 20))
    reader = s3.get_object(Bucket=bucket, Key="key")["Body"]
    reader.read(1000)
    reader.close()


def test_a_reader_keeps_what_was_replaced_meanwhile(server, s3, bucket):
    before = files(server)
    body = os.urandom(40 << 20)
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    reader = s3.get_object(Bucket=bucket, Key="key")["Body"]
    start = reader.read(1000)
    s3.put_object(Bucket=bucket, Key="key", Body=b"new")
    assert start + reader.read() == body
    wait_for(lambda: files(server) == before + 1, "the replaced file to go after its reader")


def test_only_one_of_many_puts_if_absent_wins(s3, bucket):
    def attempt(i):
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=str(i), IfNoneMatch="*")
            return i
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        winners = [i for i in pool.map(attempt, range(16)) if i is not None]
    assert len(winners) == 1
    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == str(winners[0]).encode()


def test_memory_does_not_grow_with_the_object(start_server):
    # A sanitizer keeps what was freed, up to a size that can be set.
    server = start_server(env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"})
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bucket")

    def peak():
        pids = [p for p in server.tree | {server.process.pid} if Path(f"/proc/{p}/status").exists()]
        return max(int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{p}/status").read_text())[1]) for p in pids) >> 10

    before = peak()
    size, piece = 256 << 20, os.urandom(1 << 20)
    connection = half_a_put(server, "/bucket/large", b"", size)
    digest = hashlib.md5()
    for _ in range(size // len(piece)):
        connection.send(piece)
        digest.update(piece)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    connection.close()
    again = hashlib.md5()
    for chunk in s3.get_object(Bucket="bucket", Key="large")["Body"].iter_chunks(1 << 20):
        again.update(chunk)
    assert again.digest() == digest.digest()
    assert peak() - before < 64, "megabytes of the server's memory"


def test_an_acknowledged_put_survives_kill_9(start_server):
    server = start_server()
    s3 = server.client("s3", max_pool_connections=8)
    s3.create_bucket(Bucket="bucket")
    acknowledged, deleted = {}, set()

    def work(worker):
        for i in range(1000):
            key, body = f"{worker}/{i}", os.urandom(1000 + i)
            try:
                s3.put_object(Bucket="bucket", Key=key, Body=body)
                acknowledged[key] = hashlib.md5(body).hexdigest()
                if i % 5 == 0:
                    deleted.add(key)
                    s3.delete_object(Bucket="bucket", Key=key)
            except Exception:  # whatever a client sees of a server that was killed
                return

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, worker) for worker in range(4)]
        wait_for(lambda: len(acknowledged) >= 40, "puts to be acknowledged")
        server.kill()
        concurrent.futures.wait(futures)
    server.restart()
    s3 = server.client("s3")
    for key, digest in acknowledged.items():
        if key not in deleted:
            assert hashlib.md5(s3.get_object(Bucket="bucket", Key=key)["Body"].read()).hexdigest() == digest
    present = sum(len(page.get("Contents", [])) for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket"))
    wait_for(lambda: files(server) == present, "files without an object to be swept away")


def test_objects_survive_a_restart_and_memory_keeps_none(start_server, tmp_path):
    server = start_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"kept", Metadata={"a": "1"})
    upload, parts = upload_parts(s3, "parts", [b"x" * PART, b"end"])
    assert server.stop() == 0
    server.restart()
    s3 = server.client("s3")
    complete(s3, "parts", upload, parts)
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == b"x" * PART + b"end"
    answer = s3.get_object(Bucket="bucket", Key="key")
    assert (answer["Body"].read(), answer["Metadata"]) == (b"kept", {"a": "1"})


# --- functions ------------------------------------------------------------------------------------------------------


def test_code_of_functions_comes_from_objects(server, s3, bucket):
    lambda_ = server.client("lambda")
    code = {n: zip_bytes({"index.py": f"def handler(event, context):\n    return {n}\n"}) for n in (1, 2)}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = {n: s3.put_object(Bucket=bucket, Key="dir/code.zip", Body=code[n])["VersionId"] for n in (1, 2)}
    settings = {"FunctionName": "from-s3", "Runtime": "python3.11", "Handler": "index.handler", "Role": ROLE}
    for location, code_, text in (
        ({"S3Bucket": "absent", "S3Key": "x"}, "NoSuchBucket", "The specified bucket does not exist"),
        ({"S3Bucket": bucket, "S3Key": "absent"}, "NoSuchKey", "The specified key does not exist."),
        ({"S3Bucket": bucket, "S3Key": "dir/code.zip", "S3ObjectVersion": "x"}, "NoSuchVersion", "The specified version does not exist."),
    ):
        message = f"Error occurred while GetObject. S3 Error Code: {code_}. S3 Error Message: {text}"
        with refused("InvalidParameterValueException", 400, message):
            lambda_.create_function(**settings, Code=location)
    made = lambda_.create_function(**settings, Code={"S3Bucket": bucket, "S3Key": "dir/code.zip"})
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(code[2]).digest()).decode()
    lambda_.get_waiter("function_active_v2").wait(FunctionName="from-s3", WaiterConfig={"Delay": 1})
    assert server.invoke("from-s3")["Json"] == 2
    old = {"S3Bucket": bucket, "S3Key": "dir/code.zip", "S3ObjectVersion": versions[1]}
    made = lambda_.update_function_code(FunctionName="from-s3", **old)
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(code[1]).digest()).decode()
    lambda_.get_waiter("function_updated_v2").wait(FunctionName="from-s3", WaiterConfig={"Delay": 1})
    wait_for(lambda: server.invoke("from-s3")["Json"] == 1, "the old code")
    layer = lambda_.publish_layer_version(LayerName="layer", Content=old)
    assert layer["Content"]["CodeSize"] == len(code[1])
    lambda_.delete_layer_version(LayerName="layer", VersionNumber=layer["Version"])
