# SPDX-License-Identifier: Apache-2.0
"""S3Bucket "hot-reload": a function whose code is a folder that is being edited."""

import botocore.exceptions
import pytest

from support import ROLE, zip_bytes
from test_lambda_functions import ECHO

SAYS = "import words\n\ndef handler(event, context):\n    return [words.WORD, context.aws_request_id]\n"


@pytest.fixture
def folder(open_folder):
    code = open_folder / "code"
    code.mkdir(mode=0o755)
    write(code, "index.py", SAYS)
    write(code, "words.py", "WORD = 'first'\n")
    return code


def write(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o644)


def create(client, name, folder, **more):
    return client.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="index.handler",
        Role=ROLE,
        Code={"S3Bucket": "hot-reload", "S3Key": str(folder)},
        **more,
    )


def word(server, name):
    answer = server.invoke(name, {})
    assert "FunctionError" not in answer, answer["Text"]
    return answer["Json"][0]


def test_an_edit_is_live_at_the_next_invocation(server, lambda_, folder):
    create(lambda_, "hot", folder)
    assert word(server, "hot") == "first"
    for number in range(5):
        write(folder, "words.py", f"WORD = 'edit {number} {'x' * number}'\n")
        assert word(server, "hot") == f"edit {number} {'x' * number}"


def test_edits_are_seen_in_folders_made_later(server, lambda_, folder):
    create(lambda_, "deep", folder)
    assert word(server, "deep") == "first"
    package = folder / "inner"
    package.mkdir(mode=0o755)
    write(package, "__init__.py", "WORD = 'from inside'\n")
    write(folder, "index.py", SAYS.replace("import words", "import inner as words"))
    assert word(server, "deep") == "from inside"
    write(package, "__init__.py", "WORD = 'edited inside'\n")
    assert word(server, "deep") == "edited inside"


def test_a_folder_that_is_made_anew_is_seen(server, lambda_, folder):
    create(lambda_, "rebuilt", folder)
    assert word(server, "rebuilt") == "first"
    folder.rename(folder.with_name("old"))
    folder.mkdir(mode=0o755)
    write(folder, "index.py", SAYS)
    write(folder, "words.py", "WORD = 'rebuilt'\n")
    assert word(server, "rebuilt") == "rebuilt"
    write(folder, "words.py", "WORD = 'and edited'\n")
    assert word(server, "rebuilt") == "and edited"


def test_without_an_edit_the_instance_stays(server, lambda_, folder):
    write(folder, "index.py", "import uuid\nME = str(uuid.uuid4())\n\ndef handler(event, context):\n    return [ME]\n")
    create(lambda_, "stays", folder)
    first = word(server, "stays")
    assert {word(server, "stays") for _ in range(5)} == {first}


def test_the_folder_cannot_be_written_by_the_function(server, lambda_, folder):
    folder.chmod(0o777)
    write(
        folder,
        "index.py",
        "def handler(event, context):\n    try:\n        open('/var/task/made', 'w')\n    except OSError as error:\n        return [error.strerror]\n",
    )
    create(lambda_, "reads", folder)
    assert word(server, "reads") == "Read-only file system"
    assert not (folder / "made").exists()


def test_a_function_changes_between_folder_and_package(server, lambda_, folder):
    create(lambda_, "both", folder)
    assert lambda_.get_function(FunctionName="both")["Code"]["Location"] == f"file://{folder}"
    assert word(server, "both") == "first"
    lambda_.update_function_code(FunctionName="both", ZipFile=zip_bytes(ECHO))
    assert server.invoke("both", {"a": 1})["Json"] == {"a": 1}
    assert lambda_.get_function(FunctionName="both")["Code"]["Location"].startswith("http://")
    lambda_.update_function_code(FunctionName="both", S3Bucket="hot-reload", S3Key=str(folder))
    assert word(server, "both") == "first"


@pytest.mark.parametrize("key", ["relative/path", "/no/such/folder", "/etc/passwd"])
def test_what_is_no_folder_is_refused(lambda_, key):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        create(lambda_, "wrong", key)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_restart_keeps_the_folder(start_server, folder):
    server = start_server()
    create(server.client("lambda"), "kept", folder)
    server.stop()
    server.restart()
    assert word(server, "kept") == "first"
    write(folder, "words.py", "WORD = 'after'\n")
    assert word(server, "kept") == "after"
