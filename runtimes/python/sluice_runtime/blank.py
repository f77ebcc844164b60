# SPDX-License-Identifier: Apache-2.0
"""A Python that was started before it was known for which function (../../README.md, "Blanks").

`wait()` loads what most functions use, says that it is ready, and returns when this process has become a function's:
with that function's environment, in `os.environ` and in the C library, and nothing on standard input. What was loaded
early must make no difference to the user's code. So a module of the user's that has the name of one of these is not
hidden by it: such names are forgotten again (`forget_shadowed`), as if they had never been loaded.
"""

import os
import struct
import sys
import time

MAGIC = 0x534C424B
MAX_BLOCK = 1 << 20
# Part of the standard library only. What of it is loaded costs each blank memory, so: what AWS's client loads (json,
# logging, http.client, traceback, decimal, concurrent.futures), what boto3 and requests load, and small things.
PRELOAD = (
    "json", "logging", "http.client", "traceback", "decimal", "concurrent.futures", "datetime", "urllib.request",
    "urllib.parse", "uuid", "random", "hashlib", "hmac", "base64", "secrets", "ssl", "copy", "string", "typing",
    "dataclasses", "functools", "contextlib", "itertools", "collections.abc", "pathlib", "tempfile", "inspect", "shutil",
    "encodings.idna", "sluice_runtime.logs", "sluice_runtime.faults", "sluice_runtime.encoding",
)  # fmt: skip


def preload():
    """Imports PRELOAD; returns the names of top-level modules that were not loaded before."""
    before = {name.partition(".")[0] for name in sys.modules}
    for name in PRELOAD:
        try:
            __import__(name)
        except ImportError:
            pass  # a Python without OpenSSL, say: its users will be told
    return {name.partition(".")[0] for name in sys.modules} - before


def forget_shadowed(early, folders):
    """Unloads those early modules whose names the user's folders have too."""
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in {entry.partition(".")[0] for entry in names} & early:
            for loaded in [key for key in sys.modules if key == name or key.startswith(name + ".")]:
                del sys.modules[loaded]


def _exactly(count):
    parts = []
    while count:
        part = os.read(0, count)
        if not part:
            if parts:
                sys.stderr.write("[ERROR] a block ended early\n")
                os._exit(1)
            os._exit(0)  # not needed any more
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_block():
    """The variables of the block on standard input, as bytes NAME=value."""
    magic, argc, envc, size = struct.unpack("=IIII", _exactly(16))
    texts = _exactly(size).split(b"\0") if magic == MAGIC and 0 < size <= MAX_BLOCK else []
    if len(texts) != 1 + argc + envc + 1:
        sys.stderr.write("[ERROR] what arrived is no block\n")
        os._exit(1)
    return texts[1 + argc : -1]


def _renew_streams():
    """What Python found out about these descriptors when it started (that one can be sought in, say) is not true of what
    they are now."""
    for name, number, mode, errors in (
        ("stdin", 0, "r", "surrogateescape"),
        ("stdout", 1, "w", "surrogateescape"),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)
        stream.buffer.raw.name = "<%s>" % name
        stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def _replace_environment(variables):
    environ = os.environ
    environ.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        environ[os.fsdecode(name)] = os.fsdecode(value)
    time.tzset()


def _renew_clocks():
    """logging counts `relativeCreated` from when it was loaded, which should be now."""
    logging = sys.modules.get("logging")
    start = getattr(logging, "_startTime", None)
    if isinstance(start, float):
        logging._startTime = time.time()
    elif isinstance(start, int):  # from 3.13 on
        logging._startTime = time.time_ns()


def _forget_folders():
    """What was not there may be there now, with the function mounted. The language's own folder is what it was, and the
    names of its files are half a megabyte that a copy would have to itself as soon as it lets them go."""
    own = os.path.dirname(os.__file__)
    cache = sys.path_importer_cache
    for folder in [folder for folder, finder in cache.items() if finder is None or not folder.startswith(own)]:
        del cache[folder]


def become(early):
    """Reads the block and becomes the function it names."""
    variables = read_block()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _renew_streams()
    _replace_environment(variables)
    _renew_clocks()
    _forget_folders()
    root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    packages = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry and entry != "/var/runtime"]
    forget_shadowed(early, [root, packages, "/opt/python", *given])


def _fork():
    """In a template: returns in each of its copies (../../README.md, "Templates"), which share what was loaded so far."""
    import gc

    if "ssl" in sys.modules:
        sys.modules["ssl"].RAND_bytes(1)  # made here once, OpenSSL's generators are half a megabyte that copies share
    gc.collect()
    gc.freeze()  # a collection in a copy then leaves the pages of what is here alone
    if os.fork() != 0:
        os._exit(1)
    renew_randomness()


def renew_randomness():
    """No two copies may draw the same numbers. Their process ids inside their sandboxes are the same, and with them what
    libraries take for a sign of having been forked; so every generator that may have a state is given a new one."""
    for name, renew in (
        ("random", lambda random: random.seed()),
        ("ssl", lambda ssl: ssl.RAND_add(os.urandom(48), 48.0)),
        ("tempfile", lambda tempfile: setattr(tempfile, "_name_sequence", None)),
        ("uuid", lambda uuid: (setattr(uuid, "_node", None), setattr(uuid, "_last_timestamp", None))),
    ):
        if name in sys.modules:
            renew(sys.modules[name])


def wait():
    early = preload()
    if "SLUICE_TEMPLATE" in os.environ:
        _fork()
    try:
        os.write(0, b"R")
    except OSError:
        pass
    become(early)
