# SPDX-License-Identifier: Apache-2.0
"""Amazon S3 with boto3: buckets, objects, conditions, ranges, checksums, lists, copies, versions, tags.

Codes and sentences are those of the S3 API reference and of answers that are public."""

import base64
import datetime
import hashlib
import os
import time
import urllib.request

import pytest

from s3_support import STREAMING, UNSIGNED_TRAILER, Signer, clear, crc32, quote, refused
from support import wait_for

MD5_HELLO = '"5d41402abc4b2a76b9719d911017c592"'


@pytest.fixture
def s3(server):
    client = server.client("s3")
    yield client
    clear(client)


@pytest.fixture
def bucket(s3):
    s3.create_bucket(Bucket="bucket")
    return "bucket"


def put(client, key, body=b"hello", bucket="bucket", **more):
    return client.put_object(Bucket=bucket, Key=key, Body=body, **more)


def get(client, key, bucket="bucket", **more):
    answer = client.get_object(Bucket=bucket, Key=key, **more)
    answer["Text"] = answer["Body"].read()
    return answer


def keys(answer):
    return [row["Key"] for row in answer.get("Contents", [])]


def files(server):
    """How many files hold objects."""
    return sum(len(names) for _, _, names in os.walk(server.data / "blobs" / "objects"))


# --- buckets --------------------------------------------------------------------------------------------------------


def test_buckets_are_made_listed_located_and_removed(s3):
    assert s3.create_bucket(Bucket="one")["Location"] == "/one"
    s3.create_bucket(Bucket="two", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    answer = s3.list_buckets()
    assert [row["Name"] for row in answer["Buckets"]] == ["one", "two"]
    assert answer["Owner"]["ID"]
    assert s3.get_bucket_location(Bucket="one")["LocationConstraint"] is None
    assert s3.get_bucket_location(Bucket="two")["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket="two")["BucketRegion"] == "eu-west-1"
    page = s3.list_buckets(MaxBuckets=1)
    assert [row["Name"] for row in page["Buckets"]] == ["one"]
    page = s3.list_buckets(MaxBuckets=1, ContinuationToken=page["ContinuationToken"])
    assert [row["Name"] for row in page["Buckets"]] == ["two"] and "ContinuationToken" not in page
    assert [row["Name"] for row in s3.list_buckets(Prefix="t")["Buckets"]] == ["two"]
    s3.delete_bucket(Bucket="one")
    assert [row["Name"] for row in s3.list_buckets()["Buckets"]] == ["two"]


@pytest.mark.parametrize("name", ["ab", "Upper", "under_score", "-begin", "end-", "a..b", "192.168.1.1", "xn--x", "x" * 64, "x-s3alias"])
def test_names_of_buckets_follow_the_rules(server, s3, name):
    answer = Signer(server).request("PUT", f"/{name}")
    assert answer.status == 400
    assert b"<Code>InvalidBucketName</Code><Message>The specified bucket is not valid.</Message>" in answer.body
    assert f"<BucketName>{name}</BucketName>" in answer.text


def test_a_bucket_that_exists_is_told_apart_by_its_owner(server, s3, bucket):
    s3.create_bucket(Bucket=bucket)  # us-east-1 allows it
    other = server.client("s3", account="111111111111")
    with refused("BucketAlreadyExists", 409):
        other.create_bucket(Bucket=bucket)
    with refused("AccessDenied", 403):
        other.list_objects_v2(Bucket=bucket)
    west = server.client("s3", "eu-west-1")
    with refused("BucketAlreadyOwnedByYou", 409):
        west.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with refused("IllegalLocationConstraintException", 400):
        west.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})


def test_what_is_not_there_is_named_in_the_error(s3, bucket):
    with refused("NoSuchBucket", 404, "The specified bucket does not exist") as error:
        s3.get_object(Bucket="nothing", Key="x")
    assert error["BucketName"] == "nothing"
    with refused("NoSuchKey", 404, "The specified key does not exist.") as error:
        s3.get_object(Bucket=bucket, Key="some/key")
    assert error["Key"] == "some/key"
    for call in (lambda: s3.head_object(Bucket=bucket, Key="x"), lambda: s3.head_bucket(Bucket="nothing")):
        with refused("404", 404):
            call()


def test_only_an_empty_bucket_can_be_removed(s3, bucket):
    put(s3, "key")
    with refused("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="key")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_missing_setting_is_answered_and_one_without_meaning_refused(s3, bucket):
    for call, code in (
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
        (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
    ):
        with refused(code, 404):
            call(Bucket=bucket)
    rule = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"][0]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Grantee"]["Type"] == "CanonicalUser"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    s3.delete_public_access_block(Bucket=bucket)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        s3.get_public_access_block(Bucket=bucket)
    tags = [{"Key": "team", "Value": "a b"}, {"Key": "cost", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    with refused("NotImplemented", 501):
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "x"}})


def test_a_document_that_is_not_of_the_model_is_malformed(server, s3, bucket):
    signer = Signer(server)
    bodies = [
        b"<VersioningConfiguration><Status>Maybe</Status></VersioningConfiguration>",
        b"<Other><Status>Enabled</Status></Other>",
        b"<VersioningConfiguration><Status>Enabled</VersioningConfiguration>",
        b"<!DOCTYPE x [<!ENTITY e 'Enabled'>]><VersioningConfiguration><Status>&e;</Status></VersioningConfiguration>",
        b"",
    ]
    for body in bodies:
        answer = signer.request("PUT", f"/{bucket}?versioning=", body)
        assert (answer.status, b"MalformedXML" in answer.body) == (400, True), (body, answer.body)
    good = b"<?xml version='1.0'?><!-- x --><v:VersioningConfiguration xmlns:v='u'><v:Status>Ena<![CDATA[bled]]></v:Status></v:VersioningConfiguration>"
    assert signer.request("PUT", f"/{bucket}?versioning=", good).status == 200
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


# --- objects --------------------------------------------------------------------------------------------------------


def test_an_object_comes_back_with_everything_said_of_it(s3, bucket):
    answer = put(
        s3, "dir/näme + %2F.txt", ContentType="text/plain", CacheControl="no-cache", ContentDisposition="inline",
        ContentEncoding="identity", ContentLanguage="de", Expires=datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc),
        Metadata={"Color": "red", "x-y": "1"}, StorageClass="STANDARD_IA", WebsiteRedirectLocation="/else",
    )  # fmt: skip
    assert answer["ETag"] == MD5_HELLO
    for answer in (get(s3, "dir/näme + %2F.txt"), s3.head_object(Bucket=bucket, Key="dir/näme + %2F.txt")):
        assert answer.get("Text", b"hello") == b"hello"
        assert answer["ContentLength"] == 5 and answer["ETag"] == MD5_HELLO and answer["AcceptRanges"] == "bytes"
        assert answer["ContentType"] == "text/plain" and answer["CacheControl"] == "no-cache"
        assert answer["ContentDisposition"] == "inline" and answer["ContentEncoding"] == "identity"
        assert answer["ContentLanguage"] == "de" and answer["ExpiresString"] == "Wed, 02 Jan 2030 00:00:00 GMT"
        assert answer["Metadata"] == {"color": "red", "x-y": "1"}
        assert answer["StorageClass"] == "STANDARD_IA" and answer["WebsiteRedirectLocation"] == "/else"
        assert abs(answer["LastModified"].timestamp() - time.time()) < 3600
    assert get(s3, "dir/näme + %2F.txt", ResponseContentType="x/y", ResponseCacheControl="max-age=1")["ContentType"] == "x/y"


def test_objects_of_all_sizes_come_back(s3, bucket):
    for size in (0, 1, 16383, 16384, 262143, 262144, 262145, 600000, 3 << 20):
        body = os.urandom(size)
        assert put(s3, "sized", body)["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        answer = get(s3, "sized")
        assert answer["ContentLength"] == size and answer["Text"] == body
        assert answer.get("ContentType") == "binary/octet-stream"


def test_keys_are_bytes_and_never_paths(server, s3, bucket):
    odd = ["../../../etc/passwd", "/lead", "a//b", "trail/", "./x", "..", "?x=1&y", "#frag", "a b+c", "\\", "ü€😀", "'\"<>&", "%41", "x" * 1024]
    for key in odd:
        put(s3, key, key.encode())
    for key in odd:
        assert get(s3, key)["Text"] == key.encode()
    assert sorted(keys(s3.list_objects_v2(Bucket=bucket)), key=str.encode) == sorted(odd, key=str.encode)
    with refused("KeyTooLongError", 400, "Your key is too long") as error:
        put(s3, "x" * 1025)
    assert error["Size"] == "1025" and error["MaxSizeAllowed"] == "1024"
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in odd]})
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []


def test_what_is_replaced_or_removed_leaves_no_file(server, s3, bucket):
    before = files(server)
    for i in range(5):
        put(s3, "same", b"%d" % i)
    wait_for(lambda: files(server) == before + 1, "replaced files to go")
    s3.delete_object(Bucket=bucket, Key="same")
    s3.delete_object(Bucket=bucket, Key="same")  # gone already: no error
    wait_for(lambda: files(server) == before, "the removed file to go")


def test_headers_that_promise_what_is_not_there_are_refused(s3, bucket):
    with refused("InvalidStorageClass", 400, "The storage class you specified is not valid"):
        put(s3, "key", StorageClass="SHELF")
    with refused("AccessControlListNotSupported", 400, "The bucket does not allow ACLs"):
        put(s3, "key", ACL="public-read")
    with refused("MetadataTooLarge", 400):
        put(s3, "key", Metadata={"a": "x" * 2048})
    with refused("InvalidRequest", 400):
        put(s3, "key", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=datetime.datetime(2030, 1, 1))
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []


# --- integrity ------------------------------------------------------------------------------------------------------


def test_a_digest_that_does_not_fit_refuses_the_object(server, s3, bucket):
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    right = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    before = files(server)
    signer = Signer(server)
    for more, code in (
        ({"content-md5": wrong}, "BadDigest"),
        ({"content-md5": "xyz"}, "InvalidDigest"),
        ({"x-amz-checksum-crc32": crc32(b"other")}, "BadDigest"),
        ({"x-amz-checksum-crc32": "AA=="}, "InvalidRequest"),
        ({"x-amz-checksum-sha256": crc32(b"hello")}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": crc32(b"hello"), "x-amz-checksum-sha1": "AA=="}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC31"}, "InvalidRequest"),
    ):
        answer = signer.request("PUT", f"/{bucket}/bad", b"hello", more=more)
        assert (answer.status, f"<Code>{code}</Code>" in answer.text) == (400, True), (more, answer.text)
    answer = signer.request("PUT", f"/{bucket}/bad", b"hello", payload_hash=hashlib.sha256(b"other").hexdigest())
    assert answer.status == 400 and "XAmzContentSHA256Mismatch" in answer.text
    answer = signer.request("PUT", f"/{bucket}/bad", b"hello", payload_hash="whatever")
    assert answer.status == 400 and "x-amz-content-sha256 must be UNSIGNED-PAYLOAD" in answer.text
    assert signer.request("PUT", f"/{bucket}/good", b"hello", more={"content-md5": right}).status == 200
    assert keys(s3.list_objects_v2(Bucket=bucket)) == ["good"]
    wait_for(lambda: files(server) == before + 1, "files of refused objects to go")


# Of "hello", by independent implementations.
SUMS = {
    "CRC32": "NhCmhg==",
    "CRC32C": "mnG7TA==",
    "CRC64NVME": None,
    "SHA1": base64.b64encode(hashlib.sha1(b"hello").digest()).decode(),
    "SHA256": base64.b64encode(hashlib.sha256(b"hello").digest()).decode(),
}


@pytest.mark.parametrize("name", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_is_verified_kept_and_shown_when_asked_for(s3, bucket, name):
    member = "Checksum" + name
    answer = put(s3, "key", ChecksumAlgorithm=name)
    assert answer[member] == SUMS[name] and answer["ChecksumType"] == "FULL_OBJECT"
    assert s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")[member] == SUMS[name]
    assert member not in s3.head_object(Bucket=bucket, Key="key")
    shown = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ETag", "ObjectSize", "StorageClass"])
    assert shown["Checksum"] == {member: SUMS[name], "ChecksumType": "FULL_OBJECT"}
    assert (shown["ETag"], shown["ObjectSize"], shown["StorageClass"]) == (MD5_HELLO.strip('"'), 5, "STANDARD")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ChecksumAlgorithm"] == [name]


def test_without_a_checksum_one_is_computed(server, s3, bucket):
    answer = Signer(server).request("PUT", f"/{bucket}/key", b"123456789")
    expected = base64.b64encode(0xAE8B14860A799888.to_bytes(8, "big")).decode()
    assert answer.headers["x-amz-checksum-crc64nvme"] == expected
    answer = Signer(server).request("PUT", f"/{bucket}/key", b"123456789", more={"x-amz-checksum-crc32c": "4waSgw=="})
    assert (answer.status, answer.headers["x-amz-checksum-crc32c"]) == (200, "4waSgw==")


# --- aws-chunked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [UNSIGNED_TRAILER, STREAMING, STREAMING + "-TRAILER"])
def test_bodies_in_chunks_are_decoded(server, s3, bucket, form):
    chunks = [os.urandom(65536), b"x", os.urandom(300000)]
    whole = b"".join(chunks)
    trailers = {"x-amz-checksum-crc32": crc32(whole)} if form.endswith("TRAILER") else None
    answer = Signer(server).put_chunked(f"/{bucket}/key", chunks, form, trailers)
    assert answer.status == 200, answer.text
    shown = get(s3, "key")
    assert shown["Text"] == whole and "ContentEncoding" not in shown
    if trailers:
        assert answer.headers["x-amz-checksum-crc32"] == crc32(whole)


def test_a_body_in_chunks_that_is_not_whole_or_not_right_is_refused(server, s3, bucket):
    signer, path, form = Signer(server), f"/{bucket}/key", UNSIGNED_TRAILER
    wrong = signer.put_chunked(path, [b"hello"], form, {"x-amz-checksum-crc32": crc32(b"other")})
    assert wrong.status == 400 and "BadDigest" in wrong.text
    short = signer.put_chunked(path, [b"hello"], form, {"x-amz-checksum-crc32": crc32(b"hello")}, length=6)
    assert short.status == 400 and "IncompleteBody" in short.text
    no_trailer = signer.put_chunked(path, [b"hello"], form, None, {"x-amz-trailer": "x-amz-checksum-crc32"})
    assert no_trailer.status == 400 and "InvalidRequest" in no_trailer.text
    headers, _, _ = signer.headers("PUT", path, form, {"x-amz-decoded-content-length": "5"})
    assert "IncompleteBody" in server.http("PUT", path, b"5\r\nhello", headers).text
    assert "IncompleteBody" in server.http("PUT", path, b"zz\r\nhello\r\n0\r\n\r\n", headers).text
    headers, _, _ = signer.headers("PUT", path, form)
    assert server.http("PUT", path, b"0\r\n\r\n", headers).status == 411
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []


# --- conditions and ranges ------------------------------------------------------------------------------------------


def test_reading_obeys_conditions(s3, bucket):
    put(s3, "key")
    now = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    earlier, later = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
    for good in ({"IfMatch": MD5_HELLO}, {"IfMatch": "*"}, {"IfNoneMatch": '"x"'}, {"IfModifiedSince": earlier}, {"IfUnmodifiedSince": later},
                 {"IfMatch": MD5_HELLO, "IfUnmodifiedSince": earlier}, {"IfNoneMatch": '"x"', "IfModifiedSince": now}):  # fmt: skip
        assert get(s3, "key", **good)["Text"] == b"hello"
    for bad in ({"IfMatch": '"x"'}, {"IfUnmodifiedSince": earlier}):
        with refused("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"):
            get(s3, "key", **bad)
    for same in ({"IfNoneMatch": MD5_HELLO}, {"IfNoneMatch": f'"y", {MD5_HELLO}'}, {"IfModifiedSince": now}):
        with refused("304", 304):
            get(s3, "key", **same)
        with refused("304", 304):
            s3.head_object(Bucket=bucket, Key="key", **same)


def test_writing_obeys_conditions(s3, bucket):
    put(s3, "key", IfNoneMatch="*")
    with refused("PreconditionFailed", 412) as error:
        put(s3, "key", b"again", IfNoneMatch="*")
    assert error["Condition"] == "If-None-Match"
    with refused("PreconditionFailed", 412):
        put(s3, "key", b"again", IfMatch='"x"')
    with refused("NoSuchKey", 404):
        put(s3, "absent", IfMatch=MD5_HELLO)
    put(s3, "key", b"again", IfMatch=MD5_HELLO)
    assert get(s3, "key")["Text"] == b"again"


def test_ranges(s3, bucket):
    body = bytes(range(256)) * 2000
    put(s3, "key", body)
    size = len(body)
    for text, first, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-300000", 10, 300001),
        ("bytes=511000-", 511000, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=0-{size * 2}", 0, size),
        (f"bytes=-{size * 2}", 0, size),
    ):
        answer = get(s3, "key", Range=text)
        assert answer["Text"] == body[first:end] and answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["ContentRange"] == f"bytes {first}-{end - 1}/{size}"
    for ignored in ("bytes=5-1", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6"):
        answer = get(s3, "key", Range=ignored)
        assert answer["Text"] == body and answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    with refused("InvalidRange", 416, "The requested range is not satisfiable") as error:
        get(s3, "key", Range=f"bytes={size}-")
    assert error["ActualObjectSize"] == str(size) and error["RangeRequested"] == f"bytes={size}-"
    assert s3.head_object(Bucket=bucket, Key="key", Range="bytes=1-3")["ContentLength"] == 3


# --- lists ----------------------------------------------------------------------------------------------------------

TREE = ["a", "a/1", "a/2", "a/b/3", "b", "c/1", "c/2", "c/3", "d", "e é&<"]


def test_lists_page_by_page_and_rolled_up(s3, bucket):
    for key in TREE:
        put(s3, key, b"")
    everything = s3.list_objects_v2(Bucket=bucket)
    assert keys(everything) == TREE and everything["KeyCount"] == len(TREE) and not everything["IsTruncated"]
    for size in (1, 2, 3, 7, 100):
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}))
        assert [key for page in pages for key in keys(page)] == TREE
        assert all(page["IsTruncated"] for page in pages[:-1]) and all(page["KeyCount"] <= size for page in pages)
        pages = list(s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}))
        assert [key for page in pages for key in keys(page)] == TREE
        for name in ("list_objects_v2", "list_objects"):
            pages = list(s3.get_paginator(name).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}))
            assert [key for page in pages for key in keys(page)] == ["a", "b", "d", "e é&<"]
            assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a/", "c/"]
    below = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/")
    assert keys(below) == ["a/1", "a/2"] and below["CommonPrefixes"] == [{"Prefix": "a/b/"}]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="c/2")) == ["c/3", "d", "e é&<"]
    assert keys(s3.list_objects(Bucket=bucket, Marker="c/2")) == ["c/3", "d", "e é&<"]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="c/", StartAfter="a")) == ["c/1", "c/2", "c/3"]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="zz")) == []
    none = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert keys(none) == [] and none["IsTruncated"] is False and none["MaxKeys"] == 0
    assert "Owner" in s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]
    with refused("InvalidArgument", 400, "The continuation token provided is incorrect"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="nonsense")


def test_lists_are_in_the_order_of_bytes_and_encoded_on_request(server, s3, bucket):
    for key in ("b", "B", "ä", "a\u0001b", "a b", "\uffff", "\U0001f600"):
        put(s3, key, b"")
    assert keys(s3.list_objects_v2(Bucket=bucket)) == sorted(["b", "B", "ä", "a\u0001b", "a b", "\uffff", "\U0001f600"], key=str.encode)
    raw = Signer(server).request("GET", f"/{bucket}?encoding-type=url&list-type=2").text
    assert "<Key>a%01b</Key>" in raw and "<Key>a%20b</Key>" in raw and "<Key>%C3%A4</Key>" in raw
    assert raw.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">')
    s3.delete_object(Bucket=bucket, Key="a\u0001b")  # an XML document cannot name it
    answer = Signer(server).request("GET", f"/{bucket}?encoding-type=rot13&list-type=2")
    assert answer.status == 400 and "Invalid Encoding Method specified in Request" in answer.text
    answer = Signer(server).request("GET", f"/{bucket}?list-type=2&max-keys=many")
    assert answer.status == 400 and "Provided max-keys not an integer or within integer range" in answer.text


# --- removing many, copying -----------------------------------------------------------------------------------------


def test_many_objects_are_removed_at_once(s3, bucket):
    for key in "abc":
        put(s3, key)
    wanted = [{"Key": "a"}, {"Key": "b", "ETag": '"x"'}, {"Key": "never"}, {"Key": "y" * 1025}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [row["Key"] for row in answer["Deleted"]] == ["a", "never"]
    assert [(row["Key"], row["Code"]) for row in answer["Errors"]] == [("b", "PreconditionFailed"), ("y" * 1025, "KeyTooLongError")]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert keys(s3.list_objects_v2(Bucket=bucket)) == ["c"]
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(i)} for i in range(1001)]})


def test_copies_take_or_replace_what_is_said(s3, bucket):
    put(s3, "from ü", b"hello", ContentType="text/plain", Metadata={"a": "1"}, Tagging="t=1", StorageClass="STANDARD_IA")
    source = {"Bucket": bucket, "Key": "from ü"}
    answer = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)["CopyObjectResult"]
    assert answer["ETag"] == MD5_HELLO and answer["ChecksumCRC32"] == SUMS["CRC32"]
    copy = get(s3, "to")
    assert (copy["Text"], copy["ContentType"], copy["Metadata"], copy["TagCount"]) == (b"hello", "text/plain", {"a": "1"}, 1)
    assert "StorageClass" not in copy
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="x/y",
                   TaggingDirective="REPLACE", Tagging="u=2&v=3", ChecksumAlgorithm="SHA256")  # fmt: skip
    copy = get(s3, "to", ChecksumMode="ENABLED")
    assert (copy["ContentType"], copy["Metadata"], copy["TagCount"], copy["ChecksumSHA256"]) == ("x/y", {"b": "2"}, 2, SUMS["SHA256"])
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "to"})
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "to"}, MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert get(s3, "to")["Metadata"] == {"c": "3"}
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=bucket, Key="to", CopySource=source, CopySourceIfNoneMatch=MD5_HELLO)
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "absent"})
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": "absent", "Key": "absent"})
    with refused("InvalidArgument", 400):
        s3.copy_object(Bucket=bucket, Key="to", CopySource="nokey")


# --- tags -----------------------------------------------------------------------------------------------------------


def test_tags_of_objects(s3, bucket):
    put(s3, "key", Tagging="a=1&b=x%20y")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]
    assert get(s3, "key")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "c", "Value": "3"}]
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    for tags, code in (
        ([{"Key": str(i), "Value": ""} for i in range(11)], "BadRequest"),
        ([{"Key": "x" * 129, "Value": ""}], "InvalidTag"),
        ([{"Key": "a", "Value": "?"}], "InvalidTag"),
        ([{"Key": "a", "Value": ""}, {"Key": "a", "Value": "2"}], "InvalidTag"),
    ):
        with refused(code, 400):
            s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    assert get(s3, "key")["Text"] == b"hello"


# --- versions -------------------------------------------------------------------------------------------------------


def versions(client, **more):
    answer = client.list_object_versions(Bucket="bucket", **more)
    rows = [(r["Key"], r["VersionId"], r["IsLatest"]) for r in answer.get("Versions", [])]
    marks = [(r["Key"], r["VersionId"], r["IsLatest"]) for r in answer.get("DeleteMarkers", [])]
    return rows, marks


def enable(client, status="Enabled"):
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": status})


def test_versions_are_kept_marked_and_removed(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "VersionId" not in put(s3, "key", b"zero")
    enable(s3)
    one, two = put(s3, "key", b"one")["VersionId"], put(s3, "key", b"two")["VersionId"]
    assert versions(s3) == ([("key", two, True), ("key", one, False), ("key", "null", False)], [])
    for version, body in ((one, b"one"), (two, b"two"), ("null", b"zero")):
        answer = get(s3, "key", VersionId=version)
        assert (answer["Text"], answer["VersionId"]) == (body, version)
    mark = s3.delete_object(Bucket=bucket, Key="key")
    assert mark["DeleteMarker"] is True
    with refused("NoSuchKey", 404):
        get(s3, "key")
    with refused("MethodNotAllowed", 405):
        get(s3, "key", VersionId=mark["VersionId"])
    with refused("NoSuchVersion", 404, "The specified version does not exist."):
        get(s3, "key", VersionId="x" * 32)
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []
    assert versions(s3)[1] == [("key", mark["VersionId"], True)]
    gone = s3.delete_object(Bucket=bucket, Key="key", VersionId=mark["VersionId"])
    assert gone["DeleteMarker"] is True
    assert get(s3, "key")["Text"] == b"two" and versions(s3)[0][0] == ("key", two, True)
    s3.delete_object(Bucket=bucket, Key="key", VersionId=two)
    assert get(s3, "key")["Text"] == b"one"
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)


def test_suspended_versioning_replaces_the_null_version(s3, bucket):
    enable(s3)
    one = put(s3, "key", b"one")["VersionId"]
    enable(s3, "Suspended")
    assert put(s3, "key", b"two").get("VersionId", "null") == "null"
    put(s3, "key", b"three")
    assert versions(s3) == ([("key", "null", True), ("key", one, False)], [])
    assert s3.delete_object(Bucket=bucket, Key="key")["VersionId"] == "null"
    assert versions(s3) == ([("key", one, False)], [("key", "null", True)])
    enable(s3)
    four = put(s3, "key", b"four")["VersionId"]
    assert versions(s3) == ([("key", four, True), ("key", one, False)], [("key", "null", False)])
    s3.copy_object(Bucket=bucket, Key="old", CopySource={"Bucket": bucket, "Key": "key", "VersionId": one})
    assert get(s3, "old")["Text"] == b"one"


def test_lists_of_versions_page_by_page(s3, bucket):
    enable(s3)
    made = [("a", put(s3, "a")["VersionId"]) for _ in range(3)][::-1]
    made += [("b/x", put(s3, "b/x")["VersionId"]), ("c", put(s3, "c")["VersionId"])]
    for size in (1, 2, 10):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        assert [(r["Key"], r["VersionId"]) for page in pages for r in page.get("Versions", [])] == made
    rolled = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [r["Key"] for r in rolled["Versions"]] == ["a", "a", "a", "c"] and rolled["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert [r["Key"] for r in s3.list_object_versions(Bucket=bucket, KeyMarker="a")["Versions"]] == ["b/x", "c"]


# --- addresses and links --------------------------------------------------------------------------------------------


def test_buckets_are_found_in_host_names(server, s3, bucket):
    put(s3, "dir/key")
    port = server.port
    for host in (f"{bucket}.s3.localhost:{port}", f"{bucket}.s3.us-east-1.amazonaws.com", f"{bucket}.s3.localhost.localstack.cloud:{port}"):
        assert server.http("GET", "/dir/key", host=host).body == b"hello"
        assert "<ListBucketResult" in server.http("GET", "/", host=host).text
    for host in ("s3.localhost", f"s3.localhost.localstack.cloud:{port}", "s3.eu-west-1.amazonaws.com"):
        assert server.http("GET", f"/{bucket}/dir/key", host=host).body == b"hello"
        assert "<ListAllMyBucketsResult" in server.http("GET", "/", host=host).text
    link = server.client("s3", signature_version="s3v4").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "dir/key"})
    assert server.http("GET", f"/dir/key?{link.partition('?')[2]}", host=f"{bucket}.localhost:{port}").body == b"hello"
    # Without a signature and another host it is nobody's.
    assert server.http("GET", f"/{bucket}/dir/key").status in (403, 404)


def test_presigned_links_work_until_their_time(start_server):
    server = start_server("--test-clock")
    s3 = server.client("s3", signature_version="s3v4")
    s3.create_bucket(Bucket="bucket")
    upload = s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "a b", "Metadata": {"x": "1"}}, ExpiresIn=60)
    request = urllib.request.Request(upload, b"by link", {"x-amz-meta-x": "1"}, method="PUT")
    assert urllib.request.urlopen(request).status == 200
    link = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b", "ResponseContentType": "x/y"}, ExpiresIn=60)
    answer = urllib.request.urlopen(link)
    assert (answer.read(), answer.headers["content-type"], answer.headers["x-amz-meta-x"]) == (b"by link", "x/y", "1")
    assert server.http("POST", "/_sluice/clock?advance_ms=120000").status == 200
    late = server.http("GET", link.partition(str(server.port))[2])
    assert late.status == 403 and "<Code>AccessDenied</Code><Message>Request has expired</Message>" in late.text
    assert "<X-Amz-Expires>60</X-Amz-Expires>" in late.text


def test_old_signatures_are_refused(server, s3, bucket):
    text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
    answer = server.http("GET", f"/{bucket}/key?AWSAccessKeyId=a&Signature=b&Expires=9999999999")
    assert answer.status == 400 and text in answer.text
    answer = server.http("GET", f"/{bucket}/key", headers={"Authorization": "AWS key:signature", "Date": "now"})
    assert answer.status == 400 and text in answer.text


def test_what_no_operation_is_for_is_not_allowed(server, s3, bucket):
    answer = Signer(server).request("POST", f"/{bucket}/{quote('a b')}")
    assert answer.status == 405 and "MethodNotAllowed" in answer.text
    assert answer.headers["x-amz-request-id"] and answer.headers["x-amz-id-2"]
