# SPDX-License-Identifier: Apache-2.0
"""Images that want to write where they must not, or to bring what a sandbox must not have. What unpacking such a thing does is the same for every user,
so these run with the server of the session; fuzz/corpus/oci has more of them for the reader alone."""

import os
import stat
import tarfile

import pytest

from image_support import Image, layer, link, member
from test_lambda_images import base, create, image, program, refusal  # noqa: F401  fixtures


def unpacked(server, mark):
    """The folder that the image with a file of this name was unpacked to."""
    return next(base for base, _, files in os.walk(server.data) if mark in files)


def test_devices_and_set_user_ids_of_an_image_are_not_there(server, lambda_, image, program):
    bad = layer(
        member("only-of-this-image", b"x"),
        member("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666),
        member("memory", type=tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666),
        member("pipe", type=tarfile.FIFOTYPE, mode=0o666),
        member("app/su", program, 0o6755),
        member("app/twice", b"first", 0o4755),
        member("app/twice", b"second", 0o6711),
        member("shared/", type=tarfile.DIRTYPE, mode=0o7777),
        member("closed", b"of nobody", 0),
    )
    image.add([base(program), bad], Cmd=["/app/su"])
    create(lambda_, "bits", image.uri)
    # It runs with the function's own user id, and what is no file, folder or link was left out.
    read = {path: server.invoke("bits", path)["Json"]["file"] for path in ("/disk", "/memory", "/pipe", "/app/twice", "/closed")}
    assert read == {"/disk": "(none)", "/memory": "(none)", "/pipe": "(none)", "/app/twice": "second", "/closed": "of nobody"}
    status = server.invoke("bits", "/proc/self/status")["Text"].decode()
    assert "Uid:\t" in status and "Uid:\t0\t" not in status
    for folder, folders, files in os.walk(unpacked(server, "only-of-this-image")):
        for name in [*folders, *files]:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), name
            assert stat.S_ISLNK(mode) or not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH), name


def test_places_that_a_sandbox_mounts_on_cannot_be_links(server, lambda_, image, program, open_folder):
    outside = open_folder / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    names = ("proc", "dev", "tmp", "run", "etc", "opt", "var")
    image.add([base(program), layer(*[link(name, str(outside)) for name in names])], Cmd=["/app/main"])
    create(lambda_, "places", image.uri)
    assert b'"file":"main' in server.invoke("places", "/proc/self/comm")["Text"]  # a real /proc
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "entries",
    [
        [member("self", type=tarfile.LNKTYPE, linkname="self")],
        [member("d/", type=tarfile.DIRTYPE, mode=0o755), member("hard", type=tarfile.LNKTYPE, linkname="d")],
        [link("host", "/etc"), member("hard", type=tarfile.LNKTYPE, linkname="host/hostname-of-this-machine")],
        [link("loop", "pool"), link("pool", "loop"), member("loop/x", b"x")],
        [link("long", "t" * 5000)],
        [member("n" * 300, b"x")],
        [member("d/" * 200 + "x", b"x")],
    ],
    ids=["link-to-itself", "link-to-a-folder", "link-out", "loop", "long-link", "long-name", "deep"],
)
def test_what_cannot_be_is_the_images_fault(lambda_, image, program, entries):
    image.add([base(program), layer(*entries)], Cmd=["/app/main"])
    create(lambda_, "impossible", image.uri)
    shown = lambda_.get_function_configuration(FunctionName="impossible")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "InvalidImage") and "damaged" in shown["StateReason"]


def test_what_is_no_file_keeps_nobody_waiting(lambda_, image, program, open_folder):
    """A named pipe without a writer, as the image and as a part of one; a device that never ends."""
    os.mkfifo(open_folder / "pipe")
    for uri in (f"file://{open_folder}/pipe", "file:///dev/zero"):
        assert "is neither a file nor a folder" in refusal(create, client=lambda_, name="pipe", uri=uri)[1]
    image.add([base(program)], Cmd=["main"])
    (image.folder / "index.json").unlink()
    os.mkfifo(image.folder / "index.json")
    assert "index.json is no file" in refusal(create, client=lambda_, name="pipe", uri=image.uri)[1]
    other = Image(open_folder / "linked")
    other.add([base(program)], Cmd=["main"])
    (other.folder / "index.json").unlink()
    (other.folder / "index.json").symlink_to("/etc/passwd")
    assert "index.json is missing" in refusal(create, client=lambda_, name="pipe", uri=other.uri)[1]
