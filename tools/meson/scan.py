#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""List what there is to build, one line per target: meson has no globs, and nobody should edit a list to add a file.

    lib   <folder>  <files of src/<folder>, daemon without its main.c>
    main  sluice    src/daemon/main.c
    test  <name>    <folders to link>:<file>
    help  tests     <C files shared by unit tests>
    fuzz  <name>    <folders to link>:<file>
    bench <name>    <file>
    api   table     <file of api/>

meson.build reads this at configure time; tools/meson/configure runs meson again when the output has changed.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import layers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def linked(path, seen=None):
    """Folders that a test or fuzz target includes, also through headers of its own folder."""
    seen = seen if seen is not None else set()
    folders = set()
    for include in layers.includes(path):
        beside = os.path.join(os.path.dirname(path), include)
        if layers.folder_of(include) in layers.LAW:
            folders.add(layers.folder_of(include))
        elif os.path.exists(beside) and beside not in seen:
            seen.add(beside)
            folders |= linked(beside, seen)
    return folders


def emit(kind, name, rest):
    print(kind, name, rest)


def main():
    for folder in layers.LAW:
        files = [f for f in layers.sources(ROOT, "src/" + folder) if f != "src/daemon/main.c"]
        if files:
            emit("lib", folder, " ".join(files))
    if os.path.exists(os.path.join(ROOT, "src/daemon/main.c")):
        emit("main", "sluice", "src/daemon/main.c")
    for kind, folder, prefix in (("test", "tests/unit", "test_"), ("fuzz", "fuzz", "fuzz_")):
        helpers = []
        for path in layers.sources(ROOT, folder):
            name = os.path.basename(path)[:-2]
            if name.startswith(prefix):
                libs = layers.closure(linked(os.path.join(ROOT, path)) | {"base"})
                emit(kind, name, ",".join(libs) + ":" + path)
            elif kind == "test":
                helpers.append(path)
        if helpers:
            emit("help", "tests", " ".join(helpers))
    for path in layers.sources(ROOT, "api", (".json",)):
        emit("api", "table", path)
    for path in layers.sources(ROOT, "bench"):
        if os.path.dirname(path) == "bench":
            emit("bench", os.path.basename(path)[:-2], path)


if __name__ == "__main__":
    main()
