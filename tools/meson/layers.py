# SPDX-License-Identifier: Apache-2.0
"""The layering law: which folder of src/ may include which. One table, read by the build and by the lint.

The build links a unit test with the folders that its includes name and what those may use; the lint refuses every
other include. The order of the rows is the order of the layers, lowest first.
"""

import os
import re

LAW = {
    "base": [],
    "net": ["base"],
    "http": ["base", "net"],
    "store": ["base", "net"],  # net: only net/loop.h, answers come back as letters
    "jail": ["base"],
    "runtime": ["base", "net", "http"],
    "invoke": ["base", "net", "store", "jail", "runtime", "http"],
    "aws": ["base", "net", "http", "store"],
    "events": ["base", "net", "store", "invoke"],
    "lambda": ["base", "net", "http", "aws", "store", "invoke", "events"],
    "gateway": ["base", "net", "http", "aws", "store", "invoke"],
    "observe": ["base", "store"],
    "services": ["base", "net", "aws", "store", "events", "observe"],
    "cli": ["base", "http", "store"],
}
LAW["daemon"] = list(LAW)

# Doors: where the law opens one header of a folder only. (from, to) -> allowed headers.
DOORS = {
    ("invoke", "jail"): {"jail/jail.h"},
    ("daemon", "jail"): {"jail/jail.h"},
    ("store", "net"): {"net/loop.h"},
    ("aws", "net"): {"net/loop.h", "net/rcu.h"},
    ("lambda", "net"): {"net/loop.h", "net/pool.h"},
    ("lambda", "http"): {"http/http.h"},  # the Invoke operation answers with the function's bytes
    ("lambda", "events"): {"events/queue.h", "events/pattern.h", "events/source.h"},
    ("services", "net"): {"net/loop.h"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def includes(path):
    """The quoted includes of a file, as written."""
    with open(path, encoding="utf-8", errors="replace") as source:
        return INCLUDE.findall(source.read())


def folder_of(include):
    """src/ folder that an include names, or None for a header beside the file."""
    return include.split("/", 1)[0] if "/" in include else None


def closure(folders):
    """The folders and everything they may use, lowest layer first."""
    wanted, todo = set(), list(folders)
    while todo:
        name = todo.pop()
        if name not in wanted and name in LAW:
            wanted.add(name)
            todo += LAW[name]
    return [name for name in LAW if name in wanted]


def sources(root, folder, suffixes=(".c",)):
    """Files under a folder, sorted, relative to root."""
    found = []
    for base, dirs, files in os.walk(os.path.join(root, folder)):
        dirs.sort()
        found += [os.path.relpath(os.path.join(base, f), root) for f in files if f.endswith(suffixes)]
    return sorted(found)
