# SPDX-License-Identifier: Apache-2.0
"""Recorded cases about container images. On AWS they come from ECR; here from a layout on this machine."""

import tempfile
from pathlib import Path

from image_support import Image, layer, member
from replay import ECHO, case
from support import zip_bytes

VARIABLES = {"Environment": {"Variables": {"CUSTOM_ENV": "test"}}}


def images(run):
    """Gives the case the URIs of two images; they stand in the recording where it names its repository."""

    def with_images(r):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            made = Image(Path(folder) / "layout")
            for tag in ("latest", "other"):
                made.add([layer(member("word", (tag + r.name).encode()))], tag=tag, Cmd=["main"])
            r.rename("<repo_uri>:latest", made.uri + "#latest")
            r.rename("<repo_uri_2>:latest", made.uri + "#other")
            for name in ("<repo_uri>", "<repo_uri_2>"):
                r.rename(name, made.uri)
            run(r, made.uri + "#latest", made.uri + "#other")

    return with_images


def create(r, step, uri, **more):
    plain = {"Runtime": None, "Handler": None, "PackageType": "Image", "Code": {"ImageUri": uri}}
    return r.create(step, **{**plain, **VARIABLES, **more})


def look(r, suffix):
    r.f(f"get-function-code-{suffix}", "get_function")
    r.f(f"get-function-config-{suffix}", "get_function_configuration")


@case("test_lambda_image_crud")
@images
def _(r, latest, other):
    create(r, "create-image-response", latest)
    look(r, "response")
    r.f("image-to-zipfile-error", "update_function_code", ZipFile=zip_bytes(ECHO))
    r.f("update-function-code-response", "update_function_code", ImageUri=other)
    r.settle()
    look(r, "response-after-update")


@case("test_lambda_zip_file_to_image")
@images
def _(r, latest, other):
    r.create("create-image-response")
    look(r, "response")
    r.f("zipfile-to-image-error", "update_function_code", ImageUri=latest)
    look(r, "response-after-update")


@case("test_lambda_image_and_image_config_crud")
@images
def _(r, latest, other):
    config = {"EntryPoint": ["sh"], "Command": ["-c", "echo test"], "WorkingDirectory": "/app1"}
    create(r, "create-image-with-config-response", latest, ImageConfig=config)
    look(r, "with-config-response")
    config = {"Command": ["-c", "echo test1"], "WorkingDirectory": "/app1"}
    r.f("update-function-code-response", "update_function_configuration", ImageConfig=config)
    r.settle()
    look(r, "response-after-update")
    r.f("update-function-code-delete-imageconfig-response", "update_function_configuration", ImageConfig={})
    r.settle()
    look(r, "response-after-delete-imageconfig")


@case("test_lambda_image_versions")
@images
def _(r, latest, other):
    create(r, "create_image_response", latest, Publish=True)
    r.f("get_function_result", "get_function")
    r.f("list_versions_result", "list_versions_by_function")
    r.f("first_update_response", "update_function_configuration", Description="Second version :)")
    r.settle()
    answer = r.f("first_update_get_function", "get_function")
    r.f("invalid_sha_publish", "publish_version", CodeSha256="a" * 64)
    sha256 = answer["Configuration"]["CodeSha256"]
    r.f("first_publish_response", "publish_version", Description="Second version description :)", CodeSha256=sha256)
    r.f("second_update_response", "update_function_configuration", Description="Third version :)")
    r.settle()
    r.f("second_update_get_function", "get_function")
    r.f("second_publish_response", "publish_version", Description="Third version description :)")
