# SPDX-License-Identifier: Apache-2.0
"""SnapStart: what happens between the function's init and its first event (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start).

`take()` runs what the function registered with snapshot_restore_py, as AWS's interface client for Python does: before
the snapshot, newest first; after the restore, oldest first. A failure is logged, reported, and ends the process.

Whatever was drawn at random before the snapshot may be in other environments too; so every generator that has a state
is given a new one before the function's own hooks are run.
"""

import sys

from . import blank, faults

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


def take(api):
    try:
        _run_before()
    except Exception:
        faults.fail(api, sys.exc_info(), *_BEFORE)
    sys.stdout.flush()
    api.restore()
    blank.renew_randomness()
    try:
        _run_after()
    except Exception:
        faults.fail(api, sys.exc_info(), *_AFTER)
    sys.stdout.flush()
    api.ask()
