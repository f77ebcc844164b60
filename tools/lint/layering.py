#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The layering law (tools/meson/layers.py), checked from the includes of src/.

A folder includes its own headers and those of the folders that the law grants it; where the law opens a door, that one
header only. Includes are written from src/ ("base/str.h"), so that a reader sees where a thing comes from.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "meson")]
import layers
import source


def judge(folder, include, path):
    """None, or why this include may not be."""
    target = layers.folder_of(include)
    if target is None:
        return f'write it from src/: "{folder}/{include}"'
    if target not in layers.LAW:
        beside = os.path.exists(os.path.join(source.ROOT, "src", include))
        return f"{target}/ has no place in the law" if beside else "no such header in src/"
    if not os.path.exists(os.path.join(source.ROOT, "src", include)):
        return "no such header in src/"
    if target == folder:
        return None
    door = layers.DOORS.get((folder, target))
    if door is not None:
        return None if include in door else f"{folder}/ may include of {target}/ only {', '.join(sorted(door))}"
    if target not in layers.LAW[folder]:
        return f"{folder}/ may use only {', '.join(layers.LAW[folder]) or 'libc'}"
    if os.path.basename(include) in ("internal.h", "private.h"):
        return f"that header is inside {target}/"
    return None


def main():
    bad = 0
    for path in source.files("src/*.c", "src/*.h"):
        folder = path.split("/")[1]
        if folder not in layers.LAW:
            print(f"{path}: src/{folder} has no row in tools/meson/layers.py")
            bad += 1
            continue
        text = source.read(path)
        for match in layers.INCLUDE.finditer(text):
            why = judge(folder, match.group(1), path)
            if why:
                print(f'{path}:{source.line_of(text, match.start(1))}: #include "{match.group(1)}": {why}')
                bad += 1
    # Symbols of a folder's inside (sl_module__verb) are not called from outside it.
    for path in source.files("src/*.c", "src/*.h"):
        text = source.code(source.read(path))
        for match in re.finditer(r"\bsl_([a-z0-9]+)__", text):
            if match.group(1) in layers.LAW and match.group(1) != path.split("/")[1]:
                print(f"{path}:{source.line_of(text, match.start())}: {match.group()}... belongs to the inside of {match.group(1)}/")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
