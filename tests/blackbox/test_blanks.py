# SPDX-License-Identifier: Apache-2.0
"""Blanks and templates: functions that start in a process that was there before them notice nothing of it.

Every test has a server of its own; `await_blank` waits until one is ready, `starts` says by which way cold starts went.
"""

import io
import json
import re
import subprocess
import zipfile

import pytest

from support import wait_for

PYTHON, NODE, RUBY = ("python3.11", "index.handler"), ("nodejs20.x", "index.handler"), ("ruby3.2", "index.handler")

DESCRIBE_PYTHON = """
import ctypes, os, subprocess, sys, time
def handler(event, context):
    return {"environ": dict(os.environ), "child": subprocess.check_output(["/usr/bin/env", "-0"]).decode().split("\\0")[:-1],
            "cwd": os.getcwd(), "argv": sys.argv, "path": sys.path, "zone": time.strftime("%Z", time.localtime(0)),
            "stdin": os.readlink("/proc/self/fd/0"), "files": sorted(os.listdir("/proc/self/fd")), "uid": os.getuid(),
            "native": ctypes.CDLL(None).getenv is not None, "name": context.function_name, "stream": context.log_stream_name,
            "memory": context.memory_limit_in_mb, "locale": __import__("locale").setlocale(0), "flags": str(sys.flags),
            "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""
DESCRIBE_NODE = """
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
export const handler = async (event, context) => ({
    environ: process.env, child: execFileSync('/usr/bin/env', ['-0']).toString().split('\\0').slice(0, -1), cwd: process.cwd(),
    argv: process.argv, zone: new Intl.DateTimeFormat().resolvedOptions().timeZone, stdin: readlinkSync('/proc/self/fd/0'),
    name: context.functionName, uid: process.getuid(),
});
"""
DESCRIBE_RUBY = """
def handler(event:, context:)
  { environ: ENV.to_h, child: IO.popen(['/usr/bin/env', '-0'], &:read).split("\\0"), cwd: Dir.pwd, argv: [$0] + ARGV, path: $LOAD_PATH,
    zone: Time.at(0).zone, stdin: File.readlink('/proc/self/fd/0'), name: context.function_name, uid: Process.uid }
end
"""
FILES = {PYTHON: ("index.py", DESCRIBE_PYTHON), NODE: ("index.mjs", DESCRIBE_NODE), RUBY: ("index.rb", DESCRIBE_RUBY)}
# What differs between any two instances, blank or not.
OWN = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME",
       "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_FUNCTION_NAME", "_X_AMZN_TRACE_ID"}


def metric(server, pattern):
    return sum(float(value) for value in re.findall(rf"^sluice_{pattern} (\d+)$", server.http("GET", "/_sluice/metrics").text, re.M))


def starts(server, way):
    return metric(server, rf'blank_starts_total{{.*way="{way}"}}')


def await_blank(server, count=1):
    try:
        wait_for(lambda: metric(server, r'blanks{.*state="ready"}') >= count, "a blank to be ready")
    except AssertionError as error:
        raise AssertionError(f"{error}: {server.http('GET', '/_sluice/top').text}\n{server.log()[-2000:]}") from None


def create(server, name, kind, files=None, **more):
    file, text = FILES[kind]
    server.create_function(name, files or {file: text}, runtime=kind[0], handler=kind[1], **more)


def call(server, name, payload=None):
    answer = server.invoke(name, payload or {})
    assert "FunctionError" not in answer, answer["Text"]
    return answer["Json"]


def in_blank(server, name, payload=None):
    """Invokes a function for the first time, and makes sure that it ran in a blank or a copy of a template."""
    await_blank(server)
    ready, cold = starts(server, "ready"), metric(server, "cold_starts_total")
    answer = call(server, name, payload)
    assert starts(server, "ready") == ready + 1
    assert metric(server, "cold_starts_total") == cold + 1, server.http("GET", f"/_sluice/logs?function={name}").text
    return answer


@pytest.mark.parametrize("kind, templates", [(PYTHON, True), (RUBY, True), (PYTHON, False), (NODE, False), (RUBY, False)],
                         ids=["python-copied", "ruby-copied", "python-started", "nodejs-started", "ruby-started"])  # fmt: skip
def test_a_function_in_a_blank_sees_what_it_would_see_without(start_server, kind, templates):
    server = start_server("--nearest-runtime", *([] if templates else ["--no-templates"]))
    variables = {"Variables": {"TZ": "Europe/Berlin", "TEXT": "ümlaut = 1", "EMPTY": "", "NODE_ENV": "production"}}
    for name in ("plain", "blank"):
        create(server, name, kind, Environment=variables, MemorySize=192)
    plain = call(server, "plain")  # nothing was kept of a runtime that was never used
    blank = in_blank(server, "blank")
    assert starts(server, "none") == 1
    for view in (plain, blank):
        environ = view.pop("environ")
        child = dict(variable.split("=", 1) for variable in view.pop("child"))
        # A shell adds the first; the second is the invocation's, not the process's.
        unlike = {"PWD", "_X_AMZN_TRACE_ID"}
        assert {k: v for k, v in child.items() if k not in unlike} == {k: v for k, v in environ.items() if k not in unlike}
        view["environ"] = {k: v for k, v in environ.items() if k not in OWN}
        assert environ["TEXT"] == "ümlaut = 1" and environ["EMPTY"] == "" and "SLUICE_BLANK" not in environ
        assert view.pop("uid") >= 1000
        view.pop("stream", None)  # python only
    assert blank.pop("name") == "blank" and plain.pop("name") == "plain"
    assert blank == plain


def test_children_of_a_template_never_draw_the_same_numbers(start_server):
    draw = """
import hashlib, os, random, secrets, ssl, tempfile, uuid
def handler(event, context):
    return [random.random(), random.getrandbits(64), ssl.RAND_bytes(16).hex(), secrets.token_hex(), str(uuid.uuid1()), str(uuid.uuid4()),
            os.urandom(8).hex(), random.SystemRandom().random(), context.aws_request_id,
            next(tempfile._get_candidate_names()), os.environ["AWS_SESSION_TOKEN"]]
"""
    server = start_server()
    for i in range(6):
        create(server, f"draw-{i}", PYTHON, files={"index.py": draw})
    call(server, "draw-0")
    drawn = [in_blank(server, f"draw-{i}") for i in range(1, 6)]
    for column in zip(*drawn):
        assert len(set(column)) == len(column), column


def test_ruby_copies_never_draw_the_same_numbers(start_server):
    draw = """
require 'securerandom'
require 'openssl'
def handler(event:, context:)
  [rand, Random.rand(1 << 62), Random.new.rand, SecureRandom.hex, SecureRandom.uuid, OpenSSL::Random.random_bytes(8).unpack1('H*'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].shuffle.join]
end
"""
    server = start_server("--nearest-runtime")
    for i in range(5):
        create(server, f"draw-{i}", RUBY, files={"index.rb": draw})
    call(server, "draw-0")
    drawn = [in_blank(server, f"draw-{i}") for i in range(1, 5)]
    for column in zip(*drawn):
        assert len(set(column)) == len(column), column


def test_a_burst_is_served_by_copies_of_the_template(start_server):
    from concurrent.futures import ThreadPoolExecutor

    server = start_server()
    create(server, "sleeper", PYTHON, files={"index.py": "import time\ndef handler(event, context):\n    time.sleep(1)\n    return 1\n"})
    create(server, "first", PYTHON)
    call(server, "first")
    await_blank(server)
    client = server.client("lambda")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.invoke(FunctionName="sleeper")["Payload"].read(), range(12)))
    assert answers == [b"1"] * 12
    assert starts(server, "ready") + starts(server, "fork") >= 11


def test_modules_and_libraries_of_the_function_win_over_what_was_loaded_before(start_server, tmp_path):
    source = tmp_path / "own.c"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libown.so", source], check=True)
    files = {
        "index.py": "import ctypes, json, random, own_package\n"
        "def handler(event, context):\n"
        "    return [random.MINE, own_package.__name__, ctypes.CDLL('libown.so').answer(), json.__file__]\n",
        "random.py": "MINE = 'the function\\'s'\n",
        "own_package/__init__.py": "",
        "lib/libown.so": (tmp_path / "libown.so").read_bytes(),
    }
    server = start_server()
    create(server, "first", PYTHON)
    create(server, "own", PYTHON, files=files)
    call(server, "first")
    answer = in_blank(server, "own")
    assert answer[:3] == ["the function's", "own_package", 42]


def test_layers_and_the_size_of_tmp_are_the_functions_own(start_server):
    server = start_server()
    client = server.client("lambda")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/from_layer.py", "VALUE = 'layer'\n")
    layer = client.publish_layer_version(LayerName="l", Content={"ZipFile": buffer.getvalue()})["LayerVersionArn"]
    text = "import os, from_layer\ndef handler(e, c):\n    s = os.statvfs('/tmp')\n    return [from_layer.VALUE, s.f_frsize * s.f_blocks >> 20]\n"
    create(server, "first", PYTHON)
    create(server, "layered", PYTHON, files={"index.py": text}, Layers=[layer], EphemeralStorage={"Size": 700})
    call(server, "first")
    assert in_blank(server, "layered") == ["layer", 700]


def test_a_handler_that_fails_to_load_in_a_blank_is_reported_as_ever(start_server):
    server = start_server()
    create(server, "first", PYTHON)
    create(server, "broken", PYTHON, files={"index.py": "import nothing_of_this_name\n"})
    call(server, "first")
    await_blank(server)
    error = server.invoke("broken", {})["Json"]
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'nothing_of_this_name'" in error["errorMessage"]


def test_variables_that_a_language_reads_at_its_start_mean_a_start_of_its_own(start_server):
    server = start_server()
    create(server, "first", PYTHON)
    text = "import sys\ndef handler(event, context):\n    return [sys.flags.utf8_mode, hash('x')]\n"
    variables = {"Variables": {"PYTHONHASHSEED": "7", "PYTHONUTF8": "0"}}
    create(server, "own", PYTHON, files={"index.py": text}, Environment=variables)
    call(server, "first")
    await_blank(server)
    before = starts(server, "ready") + starts(server, "fork")
    first = call(server, "own")
    assert starts(server, "ready") + starts(server, "fork") == before
    server.client("lambda").update_function_configuration(FunctionName="own", MemorySize=256)
    assert call(server, "own") == first  # the seed was obeyed


def test_the_init_shows_in_the_log_of_a_function_in_a_blank(start_server):
    server = start_server()
    create(server, "first", PYTHON)
    create(server, "second", PYTHON)
    call(server, "first")
    await_blank(server)
    import base64

    log = base64.b64decode(server.invoke("second", {}, LogType="Tail")["LogResult"]).decode()
    assert "INIT_START Runtime Version: python3.11" in log
    assert re.search(r"Init Duration: \d+\.\d+ ms", log)


def test_blanks_of_a_runtime_that_is_not_used_are_given_up(start_server):
    server = start_server("--blank-idle", "1")
    create(server, "first", PYTHON)
    assert metric(server, r"blanks_wished{.*}") == 0
    call(server, "first")
    wait_for(lambda: metric(server, "blank_refills_total{.*}") >= 1, "a blank to be started")
    wait_for(lambda: metric(server, r'blanks{.*state="ready"}') == 0 and metric(server, r"blanks_wished{.*}") == 0, "blanks to go")


def test_top_shows_functions_instances_and_blanks(start_server):
    server = start_server()
    assert "0" in server.cli("top").stdout
    create(server, "watched", PYTHON)
    call(server, "watched")
    await_blank(server)
    text = server.cli("top").stdout
    assert re.search(r"^watched +python3\.11 +0 +1 +0 +1 ", text, re.M), text
    assert re.search(r"^python3\.11\S* +1 +0 +1 +ready +0 +0 +1 ", text, re.M), text
    assert "cold starts 1" in text and "\033" not in text
    assert server.cli("top", "--count", "2", "--interval", "1").stdout.count("FUNCTION") == 2


def test_none_are_kept_when_none_are_wanted(start_server):
    server = start_server("--blanks", "0")
    for name in ("a", "b"):
        create(server, name, PYTHON)
        call(server, name)
    assert "sluice_blanks" not in server.http("GET", "/_sluice/metrics").text


def test_blanks_are_given_up_when_functions_need_their_memory(start_server):
    """A function that never ran is thought to need a quarter of its memory: here all that there is but 5 MB, so a blank has to go."""
    server = start_server("--memory-budget", "400", "--no-templates")
    for name, size in (("small", 128), ("large", 1580)):
        server.create_function(name, {"index.py": "def handler(event, context): return event"}, MemorySize=size)
    assert server.invoke("small", 1)["Json"] == 1
    await_blank(server)
    assert metric(server, r"blanks_yielded_total{.*}") == 0
    assert server.invoke("large", 2)["Json"] == 2
    assert metric(server, r"blanks_yielded_total{.*}") >= 1
