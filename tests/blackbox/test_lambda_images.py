# SPDX-License-Identifier: Apache-2.0
"""Functions from container images: OCI layouts and archives, made here by hand, unpacked without a daemon."""

import shutil
import subprocess
import tarfile

import botocore.exceptions
import pytest

from image_support import Image, layer, link, member
from support import ROLE, zip_bytes
from test_lambda_functions import ECHO, body, minimal

# A program that needs nothing but the kernel: it answers every event with its arguments, directory, some variables, and what a file
# given as the event's text holds.
PROGRAM = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[65536], out[65536], answer[60000];

static void call(const char *request) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9001), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t used = 0;
    ssize_t got;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) || write(fd, request, strlen(request)) < 0) exit(3);
    memset(in, 0, sizeof in);
    while (used < sizeof in - 1 && (got = read(fd, in + used, sizeof in - 1 - used)) > 0) {
        used += (size_t)got;
        char *body = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "content-length:");
        if (body && length && used >= (size_t)(body + 4 - in) + strtoul(length + 15, NULL, 10)) break;
    }
    close(fd);
}

int main(int argc, char **argv) {
    for (;;) {
        char id[64] = "", cwd[1024], file[4096] = "";
        call("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n");
        char *at = strcasestr(in, "lambda-runtime-aws-request-id:"), *body = strstr(in, "\r\n\r\n") + 4;
        if (at) sscanf(at + 30, " %63s", id);
        if (body[0] == '"') {
            body[strlen(body) - 1] = 0;
            int fd = open(body + 1, O_RDONLY);
            ssize_t got = fd < 0 ? -1 : read(fd, file, sizeof file - 1);
            if (got < 0) strcpy(file, "(none)");
            if (fd >= 0) close(fd);
        }
        int len = snprintf(answer, sizeof answer, "{\"directory\":\"%s\",\"file\":\"%s\",\"image\":\"%s\",\"own\":\"%s\",\"arguments\":[",
                           getcwd(cwd, sizeof cwd), file, getenv("FROM_IMAGE"), getenv("OWN") ? getenv("OWN") : "");
        for (int i = 1; i < argc; i++) len += snprintf(answer + len, sizeof answer - len, "%s\"%s\"", i > 1 ? "," : "", argv[i]);
        len += snprintf(answer + len, sizeof answer - len, "]}");
        snprintf(out, sizeof out, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", id, len, answer);
        call(out);
    }
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if not shutil.which("gcc"):
        pytest.skip("there is no gcc to build an image's program with")
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.c").write_text("#define _GNU_SOURCE\n" + PROGRAM)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", folder / "main", folder / "main.c"], check=True)
    return (folder / "main").read_bytes()


@pytest.fixture
def image(open_folder):
    return Image(open_folder / "layout")


def create(client, name, uri, **more):
    return client.create_function(FunctionName=name, Role=ROLE, PackageType="Image", Code={"ImageUri": uri}, **more)


def base(program):
    return layer(member("app/", type=tarfile.DIRTYPE, mode=0o755), member("app/main", program, 0o755), member("app/word", b"word"))


def refusal(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_an_image_runs_with_its_own_root_command_and_variables(server, lambda_, image, program):
    digest = image.add([base(program)], Entrypoint=["main", "one"], Cmd=["two"], WorkingDir="/app")
    created = body(create(lambda_, "image", image.uri, Environment={"Variables": {"OWN": "mine"}}))
    assert created["PackageType"] == "Image" and created["CodeSha256"] == digest
    assert not {"Runtime", "Handler", "RuntimeVersionConfig"} & set(created)
    answer = server.invoke("image", "word")
    assert answer["Json"] == {"directory": "/app", "file": "word", "image": "yes", "own": "mine", "arguments": ["one", "two"]}
    assert server.invoke("image", "/etc/passwd")["Json"]["file"] == "(none)"  # nothing of this machine is there
    assert server.invoke("image", "/usr/bin/env")["Json"]["file"] == "(none)"
    code = lambda_.get_function(FunctionName="image")["Code"]
    assert code == {"RepositoryType": "ECR", "ImageUri": image.uri, "ResolvedImageUri": f"{image.uri}@sha256:{digest}"}


def test_an_archive_is_as_good_as_a_folder_and_image_config_overrides(server, lambda_, image, program, open_folder):
    image.add([base(program)], Entrypoint=["nothing"], WorkingDir="/app")
    uri = image.archive(open_folder / "image.tar")
    config = {"EntryPoint": ["/app/main"], "Command": ["a", "b"], "WorkingDirectory": "/tmp"}
    created = create(lambda_, "archived", uri, ImageConfig=config)
    assert created["ImageConfigResponse"] == {"ImageConfig": config}
    answer = server.invoke("archived", {})["Json"]
    assert (answer["directory"], answer["arguments"]) == ("/tmp", ["a", "b"])
    lambda_.update_function_configuration(FunctionName="archived", ImageConfig={"EntryPoint": ["main", "c"]})
    answer = server.invoke("archived", {})["Json"]
    assert (answer["directory"], answer["arguments"]) == ("/app", ["c"])


def test_layers_lie_over_each_other_with_whiteouts(server, lambda_, image, program):
    image.add(
        [
            base(program),
            layer(member("app/gone", b"x"), member("full/a", b"x"), member("full/b", b"x"), link("short", "app")),
            layer(member("app/.wh.gone"), member("full/.wh..wh..opq"), member("full/c", b"new"), member("short/word", b"over"), compress=False),
        ],
        Cmd=["main"],
    )
    create(lambda_, "layered", image.uri)

    def read(path):
        return server.invoke("layered", path)["Json"]["file"]

    assert [read(path) for path in ("/app/gone", "/full/a", "/full/c", "/app/word", "/short/word")] == ["(none)", "(none)", "new", "over", "over"]


def test_an_update_brings_another_image_or_another_tag(server, lambda_, image, program):
    image.add([base(program)], tag="first", Cmd=["main"])
    image.add([base(program), layer(member("app/word", b"second"))], tag="second", Cmd=["main"])
    create(lambda_, "tags", image.uri + "#first")
    assert server.invoke("tags", "/app/word")["Json"]["file"] == "word"
    lambda_.update_function_code(FunctionName="tags", ImageUri=image.uri + "#second")
    assert server.invoke("tags", "/app/word")["Json"]["file"] == "second"
    code, message = refusal(lambda_.update_function_code, FunctionName="tags", ImageUri=image.uri + "#third")
    assert code == "InvalidParameterValueException" and message.startswith(f"Source image {image.uri}#third does not exist.")


def test_the_image_for_this_machine_is_chosen(server, lambda_, image, program):
    image.add([layer(member("x", b"x"))], platform={"os": "windows", "architecture": "amd64"})
    image.add([base(program)], platform={"os": "linux", "architecture": "amd64"}, Cmd=["main"])
    create(lambda_, "chosen", image.uri)
    assert server.invoke("chosen", "/app/word")["Json"]["file"] == "word"


@pytest.mark.parametrize(
    "entry",
    [
        member("../outside", b"x"),
        member("a/../../outside", b"x"),
        member("etc/.wh..."),
        member("hard", type=tarfile.LNKTYPE, linkname="../../../../etc/passwd"),
    ],
    ids=["parent", "deep-parent", "whiteout-of-parent", "hard-link"],
)
def test_names_that_lead_out_are_refused(lambda_, image, program, entry):
    image.add([base(program), layer(entry)], Cmd=["main"])
    create(lambda_, "hostile", image.uri)
    shown = lambda_.get_function_configuration(FunctionName="hostile")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "InvalidImage") and "damaged" in shown["StateReason"]


def test_links_that_lead_out_stay_inside(server, lambda_, image, program, open_folder):
    outside = open_folder / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    same = [member(f"{name}/", type=tarfile.DIRTYPE, mode=0o755) for name in (str(outside)[1:], "srv/place")]
    links = layer(*same, link("way", str(outside)), link("up", "../../../../../.."), link("over", "/srv/place"))
    files = [member(name, b"inside") for name in ("way/made", "up/made", "over/made")]
    image.add([base(program), links, layer(*files)], Cmd=["main"])
    create(lambda_, "links", image.uri)
    assert list(outside.iterdir()) == []
    for path in ("/made", "/srv/place/made"):  # the third is under the sandbox's own /tmp
        assert server.invoke("links", path)["Json"]["file"] == "inside"


def spoil(image):
    """The largest blob is not what its digest says any more."""
    largest = max((image.folder / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[9] ^= 1  # the system byte of a gzip head: the content stays the same
    largest.write_bytes(content)


@pytest.mark.parametrize("publish", [False, True])
def test_an_image_that_cannot_be_unpacked_fails_the_function(lambda_, image, program, publish):
    image.add([base(program), layer(link("way", "/no/where")), layer(member("way/made", b"x"))], Cmd=["main"])
    made = create(lambda_, "nowhere", image.uri, Publish=publish)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    shown = lambda_.get_function_configuration(FunctionName="nowhere")
    assert (shown["State"], shown["StateReasonCode"], shown["LastUpdateStatus"]) == ("Failed", "InvalidImage", "Failed")
    assert "damaged" in shown["StateReason"]
    for waiter in ("function_active_v2", "function_updated_v2"):
        with pytest.raises(botocore.exceptions.WaiterError, match="terminal failure"):
            lambda_.get_waiter(waiter).wait(FunctionName="nowhere")
    refused = (
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Failed",
    )
    for kind in ("RequestResponse", "Event", "DryRun"):
        assert refusal(lambda_.invoke, FunctionName="nowhere", InvocationType=kind) == refused
    assert refusal(lambda_.update_function_configuration, FunctionName="nowhere", Timeout=5) == refused
    assert refusal(lambda_.update_function_code, FunctionName="nowhere", ImageUri=image.uri) == refused
    assert refusal(lambda_.publish_version, FunctionName="nowhere") == refused
    if publish:
        assert refusal(lambda_.invoke, FunctionName="nowhere", Qualifier="1") == refused
    lambda_.delete_function(FunctionName="nowhere")


def test_a_blob_that_is_not_what_its_digest_says_fails_the_function(lambda_, image, program):
    image.add([base(program)], Cmd=["main", "an image that no other test unpacks"])
    spoil(image)
    create(lambda_, "changed", image.uri)
    shown = lambda_.get_function_configuration(FunctionName="changed")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "InvalidImage") and "digest" in shown["StateReason"]


def test_an_update_that_cannot_be_unpacked_leaves_what_was_there(server, lambda_, image, program, open_folder):
    image.add([base(program)], Entrypoint=["/app/main", "first"])
    before = create(lambda_, "f", image.uri)
    worse = Image(open_folder / "worse")
    worse.add([base(program)], Entrypoint=["/app/main", "second, that no other test unpacks"])
    spoil(worse)
    answer = lambda_.update_function_code(FunctionName="f", ImageUri=worse.uri)
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    shown = lambda_.get_function_configuration(FunctionName="f")
    assert (shown["State"], shown["LastUpdateStatus"], shown["LastUpdateStatusReasonCode"]) == ("Active", "Failed", "InvalidImage")
    assert shown["CodeSha256"] == before["CodeSha256"] and shown["RevisionId"] != answer["RevisionId"]
    assert "digest" in refusal(lambda_.update_function_code, FunctionName="f", ImageUri=worse.uri, DryRun=True)[1]
    with pytest.raises(botocore.exceptions.WaiterError):
        lambda_.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert server.invoke("f", {})["Json"]["arguments"] == ["first"]
    version = lambda_.publish_version(FunctionName="f")["Version"]
    told = lambda_.get_function_configuration(FunctionName="f", Qualifier=version)
    assert (told["LastUpdateStatus"], "LastUpdateStatusReason" in told) == ("Successful", False)
    lambda_.update_function_configuration(FunctionName="f", Timeout=9)
    shown = lambda_.get_function_configuration(FunctionName="f")
    assert (shown["LastUpdateStatus"], "LastUpdateStatusReasonCode" in shown) == ("Successful", False)


def test_an_image_that_nobody_invokes_becomes_inactive_and_wakes(start_server, image, program):
    server = start_server("--test-clock", "--activation", "600000", "--inactive", "1000000")
    client = server.client("lambda")
    later = lambda ms: server.http("POST", f"/_sluice/clock?advance_ms={ms}")
    state = lambda name: [client.get_function_configuration(FunctionName=name).get(key) for key in ("State", "StateReasonCode")]
    conflict = "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    image.add([base(program)], Entrypoint=["/app/main"])
    create(client, "f", image.uri)
    client.create_function(**minimal("package"))
    assert state("f") == ["Pending", "Creating"]
    assert refusal(client.invoke, FunctionName="f") == ("ResourceConflictException", conflict)
    later(600000)
    assert state("f") == ["Active", None]
    assert client.invoke(FunctionName="f", Payload=b"{}")["StatusCode"] == 200
    later(1000000 * 1000)
    assert (state("f"), state("package")) == (["Inactive", "Idle"], ["Active", None])
    woken = ("CodeArtifactUserPendingException", "Lambda is initializing your function. It will be ready to invoke shortly.")
    assert refusal(client.invoke, FunctionName="f", Payload=b"{}") == woken
    assert state("f") == ["Pending", "Restoring"]
    assert refusal(client.invoke, FunctionName="f") == ("ResourceConflictException", conflict)
    later(600000)
    assert state("f") == ["Active", None]
    assert client.invoke(FunctionName="f", Payload=b"{}")["StatusCode"] == 200


def test_images_and_packages_are_not_mixed(lambda_, image, program):
    image.add([base(program)], Cmd=["main"])
    create(lambda_, "image", image.uri)
    lambda_.create_function(**minimal("package"))
    assert refusal(lambda_.update_function_code, FunctionName="package", ImageUri=image.uri) == (
        "InvalidParameterValueException",
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    )
    assert refusal(lambda_.update_function_code, FunctionName="image", ZipFile=zip_bytes(ECHO)) == (
        "InvalidParameterValueException",
        "Please provide ImageUri when updating a function with packageType Image.",
    )
    for wrong in ({"Runtime": "python3.11"}, {"Handler": "x.y"}):
        assert refusal(lambda_.update_function_configuration, FunctionName="image", **wrong)[0] == "InvalidParameterValueException"
    for uri in ("123456789012.dkr.ecr.us-east-1.amazonaws.com/app:latest", "file://relative", "file:///no/such/image"):
        code, message = refusal(create, client=lambda_, name="nowhere", uri=uri)
        assert code == "InvalidParameterValueException" and message.startswith(f"Source image {uri} does not exist.")


def test_a_version_of_an_image_survives_a_restart_and_the_image_itself(start_server, image, program):
    server = start_server()
    image.add([base(program)], Cmd=["main"])
    create(server.client("lambda"), "kept", image.uri, Publish=True)
    shutil.rmtree(image.folder)
    server.stop()
    server.restart()
    assert server.invoke("kept", "/app/word", Qualifier="1")["Json"]["file"] == "word"
