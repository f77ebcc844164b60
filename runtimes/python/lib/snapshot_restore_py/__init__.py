# SPDX-License-Identifier: Apache-2.0
"""What a function of a version with SnapStart asks to be run: before the snapshot of its environment is taken, in the
reverse order of registration, and after an environment was restored from it, in the order of registration. The names
are those of the module that AWS's Python runtimes have. Both functions can be used as decorators."""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
