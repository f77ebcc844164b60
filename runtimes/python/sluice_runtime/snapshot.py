# SPDX-License-Identifier: Apache-2.0
"""SnapStart: what happens between the function's init and its first event (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start).

`take()` runs what the function registered with snapshot_restore_py, as AWS's interface client for Python does: before
the snapshot, newest first; after the restore, oldest first. A failure is logged, reported, and ends the process.

Whatever was drawn at random before the snapshot may be in other environments too; so every generator that has a state
is given a new one before the function's own hooks are run.
"""

import os
import sys

import _socket

from . import SANDBOX_API, SANDBOX_SOCKET, blank, faults

# The exit statuses and types of AWS's client.
_BEFORE = ("init/error", "Runtime.BeforeSnapshotError", 64)
_AFTER = ("restore/error", "Runtime.AfterRestoreError", 65)


def _hooks():
    return sys.modules.get("snapshot_restore_py")


def _run_before():
    registered = _hooks().get_before_snapshot() if _hooks() else []
    while registered:
        func, args, kwargs = registered.pop()
        func(*args, **kwargs)


def _run_after():
    for func, args, kwargs in _hooks().get_after_restore() if _hooks() else []:
        func(*args, **kwargs)


# ---------------------------------------------------------------------------------------------- the image
#
# Where it can, the process sends an image of itself (../../snapshot), and environments are made from that; where it cannot,
# this very process waits until it is needed. Files of /tmp are part of the snapshot.

_LIBRARY = "/var/runtime/snapshot/build/photograph.so"
_FILES_MAX = 64 << 20  # bytes of files in /tmp
_OF_THE_PLATFORM = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _files():
    """What lies in /tmp: [(path, mode, contents, a link's target, or None of a folder)]; None when it is too much."""
    found, size = [], 0
    for folder, folders, names in os.walk("/tmp"):
        for name in folders + names:
            path = folder + "/" + name
            info = os.lstat(path)
            kind = info.st_mode & 0o170000
            if kind == 0o120000:
                found.append((path, 0, os.readlink(path)))
            elif kind == 0o040000:
                found.append((path, info.st_mode & 0o7777, None))
            elif kind == 0o100000 and size + info.st_size <= _FILES_MAX:
                with open(path, "rb") as file:
                    contents = file.read()
                size += len(contents)
                found.append((path, info.st_mode & 0o7777, contents))
            else:
                return None
    return found


def _put_files(found):
    for path, mode, contents in found:
        if contents is None:
            os.mkdir(path)
        elif isinstance(contents, str):
            os.symlink(contents, path)
            continue
        else:
            with open(path, "wb") as file:
                file.write(contents)
        os.chmod(path, mode)


def _take_variables(text):
    """An environment's own credentials. The rest is that of the snapshot, which the function's init may have changed."""
    for variable in text.split(b"\0"):
        name, _, value = variable.partition(b"=")
        if os.fsdecode(name) in _OF_THE_PLATFORM:
            os.environ[os.fsdecode(name)] = os.fsdecode(value)


def _photograph():
    """Sends the image. Returns here, and in every environment that is made from it."""
    if os.environ["AWS_LAMBDA_RUNTIME_API"] != SANDBOX_API or not os.path.exists(_LIBRARY):
        return
    try:
        import ctypes

        files = _files()
        library = ctypes.PyDLL(_LIBRARY)
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        connection.connect(SANDBOX_SOCKET)
    except (ImportError, OSError):
        return
    if files is None:
        connection.close()
        return
    import gc

    library.photograph_environment.restype = ctypes.c_void_p
    gc.collect()
    gc.freeze()  # a collection then leaves the pages of what is here alone
    restored = library.photograph(connection.fileno()) == 1
    if restored:
        connection.detach()  # it is the other process's
    else:
        connection.close()
    if not restored:
        gc.unfreeze()
        return
    at, text = library.photograph_environment(), b""
    while True:
        variable = ctypes.string_at(at)
        if not variable:
            break
        text += variable + b"\0"
        at += len(variable) + 1
    library.photograph_end()
    _take_variables(text)
    _put_files(files)


def take(api):
    try:
        _run_before()
    except Exception:
        faults.fail(api, sys.exc_info(), *_BEFORE)
    sys.stdout.flush()
    api.leave()
    _photograph()
    api.restore()
    blank.renew_randomness()
    try:
        _run_after()
    except Exception:
        faults.fail(api, sys.exc_info(), *_AFTER)
    sys.stdout.flush()
    api.ask()
