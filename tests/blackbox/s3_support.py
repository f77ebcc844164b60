# SPDX-License-Identifier: Apache-2.0
"""What the S3 tests share: emptying a server's buckets, signed requests by hand, bodies in aws-chunked."""

import base64
import binascii
import contextlib
import datetime
import hashlib
import hmac
import urllib.parse

import botocore.exceptions

STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY = hashlib.sha256(b"").hexdigest()


def clear(client):
    """Deletes every bucket with all that is in it."""
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            rows = [{"Key": r["Key"], "VersionId": r["VersionId"]} for r in page.get("Versions", []) + page.get("DeleteMarkers", [])]
            if rows:
                client.delete_objects(Bucket=name, Delete={"Objects": rows, "Quiet": True})
        client.delete_bucket(Bucket=name)


@contextlib.contextmanager
def refused(code, status=None, message=None):
    """The block must fail with that error; gives a dict that has the Error document afterwards."""
    seen = {}
    try:
        yield seen
    except botocore.exceptions.ClientError as error:
        seen.update(error.response["Error"])
        assert seen["Code"] == code, error.response
        assert status is None or error.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert message is None or seen["Message"] == message
    else:
        raise AssertionError(f"not refused with {code}")


def crc32(data):
    return base64.b64encode(binascii.crc32(data).to_bytes(4, "big")).decode()


class Signer:
    """Signature Version 4 for S3, by hand: what a client library does not let a test spoil."""

    def __init__(self, server, key="test", secret="test", region="us-east-1"):
        self.server, self.key, self.secret, self.region = server, key, secret, region

    def scope(self, date):
        return f"{date[:8]}/{self.region}/s3/aws4_request"

    def signing_key(self, date):
        key = ("AWS4" + self.secret).encode()
        for part in (date[:8], self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key

    def sign(self, date, text):
        return hmac.new(self.signing_key(date), text.encode(), hashlib.sha256).hexdigest()

    def headers(self, method, path, payload_hash, more=None):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": f"127.0.0.1:{self.server.port}", "x-amz-date": date, "x-amz-content-sha256": payload_hash, **(more or {})}
        names = sorted(headers)
        path, _, query = path.partition("?")
        canonical = "\n".join(
            [method, path, query, *(f"{n}:{headers[n]}" for n in names), "", ";".join(names), payload_hash]
        )
        text = "\n".join(["AWS4-HMAC-SHA256", date, self.scope(date), hashlib.sha256(canonical.encode()).hexdigest()])
        signature = self.sign(date, text)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{self.scope(date)}, SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return headers, date, signature

    def request(self, method, path, body=b"", payload_hash=None, more=None):
        headers, _, _ = self.headers(method, path, payload_hash or hashlib.sha256(body).hexdigest(), more)
        return self.server.http(method, path, body, headers)

    def put_chunked(self, path, chunks, payload_hash, trailers=None, more=None, length=None):
        """A PUT in aws-chunked: the chunks' bytes, trailers {name: value}; STREAMING signs every chunk."""
        length = sum(map(len, chunks)) if length is None else length
        extra = {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked", **(more or {})}
        if trailers:
            extra["x-amz-trailer"] = ",".join(trailers)
        headers, date, previous = self.headers("PUT", path, payload_hash, extra)
        body = b""
        for chunk in [*chunks, b""]:
            mark = ""
            if payload_hash.startswith(STREAMING):
                text = ["AWS4-HMAC-SHA256-PAYLOAD", date, self.scope(date), previous, EMPTY, hashlib.sha256(chunk).hexdigest()]
                previous = self.sign(date, "\n".join(text))
                mark = ";chunk-signature=" + previous
            body += f"{len(chunk):x}{mark}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
        for name, value in (trailers or {}).items():
            body += f"{name}:{value}\r\n".encode()
        if trailers and payload_hash.startswith(STREAMING):
            lines = "".join(f"{n}:{v}\n" for n, v in trailers.items())
            text = ["AWS4-HMAC-SHA256-TRAILER", date, self.scope(date), previous, hashlib.sha256(lines.encode()).hexdigest()]
            body += f"x-amz-trailer-signature:{self.sign(date, chr(10).join(text))}\r\n".encode()
        return self.server.http("PUT", path, body + b"\r\n", headers)


def quote(key):
    return urllib.parse.quote(key, safe="/~")
