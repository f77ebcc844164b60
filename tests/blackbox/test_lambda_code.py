# SPDX-License-Identifier: Apache-2.0
"""Deployment packages: what is a zip, what is not, and what a hostile one cannot do."""

import base64
import io
import json
import stat
import struct
import zipfile

import pytest

from support import ROLE, wait_for, zip_bytes
from test_lambda_functions import ECHO, minimal, refusal

NO_ZIP = (
    400,
    "InvalidParameterValueException",
    "Could not unzip uploaded file. Please check your file, then try to upload again.",
)


def entry(name, content=b"x", mode=0o100644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info, content


def archive(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for info, content in entries:
            writer.writestr(info, content)
    return out.getvalue()


GOOD = zip_bytes({**ECHO, "more.txt": "text " * 1000})


@pytest.mark.parametrize(
    "name, package",
    [
        ("text", b"this is no zip"),
        ("truncated", GOOD[: len(GOOD) // 2]),
        ("without its directory", GOOD[:-22]),
        ("damaged", GOOD[:60] + b"\xff\xff\xff\xff" + GOOD[64:]),
        ("tar", b"\0" * 1024),
        ("dots", archive(entry("../evil.py"))),
        ("dots inside", archive(entry("a/../../evil.py"))),
        ("absolute", archive(entry("/etc/passwd"))),
        ("backslashes", archive(entry("a\\..\\b"))),
        ("link out", archive(entry("link", b"/etc/passwd", stat.S_IFLNK | 0o777))),
        ("relative link out", archive(entry("a/link", b"../../etc", stat.S_IFLNK | 0o777))),
        ("below a link", archive(entry("dir", b".", stat.S_IFLNK | 0o777), entry("dir/index.py"))),
        ("device", archive(entry("null", b"", stat.S_IFCHR | 0o666))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_packages_that_are_refused(server, lambda_, name, package):
    assert refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": package})) == NO_ZIP
    assert lambda_.list_functions()["Functions"] == []
    blobs = server.data / "blobs"
    assert not any((blobs / "tmp").iterdir()), "a scratch directory was left"


def test_an_empty_package_is_refused(lambda_):
    message = "Uploaded file must be a non-empty zip"
    assert refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": archive()}))[2] == message
    assert refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": b""}))[2] == message


def bomb(size):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as writer:
        with writer.open("zeros", "w") as file:
            block = bytes(1 << 20)
            for _ in range(size // len(block)):
                file.write(block)
    return out.getvalue()


def test_a_bomb_is_refused_at_the_limit(server, lambda_):
    package = bomb(300 << 20)
    assert len(package) < 1 << 20
    assert refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": package})) == (
        400,
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
    )


def test_a_bomb_that_lies_about_its_size_is_refused(lambda_):
    package = bytearray(bomb(300 << 20))
    central = package.rindex(b"PK\x01\x02")
    package[central + 24 : central + 28] = struct.pack("<I", 10)
    status, code, _ = refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": bytes(package)}))
    assert (status, code) == (400, "InvalidParameterValueException")


def test_a_package_over_50_mb_is_refused(lambda_):
    assert refusal(lambda_.create_function, **minimal("x", Code={"ZipFile": b"P" * 52428801})) == (
        413,
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
    )


def test_a_request_over_the_limit_is_refused(server):
    body = json.dumps({"FunctionName": "x", "Role": ROLE, "Code": {"ZipFile": "A" * 70167211}}).encode()
    answer = server.http("POST", "/2015-03-31/functions", body)
    assert answer.status == 413
    assert answer.json()["message"] == "Request must be smaller than 70167211 bytes for the CreateFunction operation"


def test_links_inside_the_package_and_executables_work(server):
    package = archive(
        entry("index.py", b"import subprocess\ndef handler(e, c):\n    return subprocess.check_output(['/var/task/tool']).decode()\n"),
        entry("bin/real", b"#!/bin/sh\necho from the link\n", 0o100755),
        entry("tool", b"bin/real", stat.S_IFLNK | 0o777),
    )
    server.create_function("linked", package)
    assert server.invoke("linked")["Json"] == "from the link\n"


def test_the_code_is_read_only_for_the_function(server):
    code = """
import os
def handler(event, context):
    try:
        open("/var/task/new", "w")
    except OSError as error:
        return [error.errno, sorted(os.listdir("/var/task"))]
"""
    server.create_function("guarded", {"index.py": code, "data/a.txt": "a"})
    number, names = server.invoke("guarded")["Json"]
    assert number == 30  # EROFS
    assert "new" not in names and {"data", "index.py"} <= set(names)


def test_equal_packages_are_kept_once(server, lambda_):
    for name in ("one", "two"):
        lambda_.create_function(**minimal(name, Code={"ZipFile": GOOD}))
    shas = {lambda_.get_function(FunctionName=n)["Configuration"]["CodeSha256"] for n in ("one", "two")}
    assert len(shas) == 1
    name = base64.b64decode(shas.pop()).hex()
    assert (server.data / "blobs" / "code" / name).is_dir()
    lambda_.delete_function(FunctionName="one")
    assert server.invoke("two", {"still": "here"})["Json"] == {"still": "here"}


def test_a_handler_that_does_not_exist_is_the_functions_error(server):
    for handler, kind in (("nothere.handler", "Runtime.ImportModuleError"), ("index.nothere", "Runtime.HandlerNotFound")):
        server.create_function("lost", ECHO, handler=handler)
        answer = server.invoke("lost")
        assert (answer["FunctionError"], answer["Json"]["errorType"]) == ("Unhandled", kind)
        server.client("lambda").delete_function(FunctionName="lost")


def test_creating_the_same_function_at_once_makes_one(server):
    from concurrent.futures import ThreadPoolExecutor

    client = server.client("lambda")

    def create(i):
        try:
            client.create_function(**minimal("race", Description=str(i)))
            return 201
        except client.exceptions.ResourceConflictException:
            return 409

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [201] + [409] * 7
    wait_for(lambda: client.get_function_configuration(FunctionName="race")["State"] == "Active", "it to be Active")


def test_bodies_that_are_no_requests_are_refused(server):
    path = "/2015-03-31/functions"
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"[" * 100000, b'{"FunctionName": 5}', b"\xff\xfe"):
        answer = server.http("POST", path, body)
        assert answer.status == 400, body
        assert answer.headers["x-amzn-errortype"].split(":")[0] in ("SerializationException", "ValidationException"), body
