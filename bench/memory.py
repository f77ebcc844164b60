#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory: the server idle (proportional set size of its processes), its program file, the time from start to ready, and what one
more warm instance of each language costs.  Usage: bench/memory.py [INSTANCES]"""

import concurrent.futures
import glob
import os
import re
import sys

import common

SLOW = {
    "c": None,
    "python": "import time\n\ndef handler(event, context):\n    time.sleep(0.5)\n    return {}\n",
    "nodejs": "export const handler = () => new Promise((done) => setTimeout(() => done({}), 500));\n",
}


def pss(pid):
    try:
        return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1)) / 1024
    except (OSError, AttributeError):
        return 0.0


def descendants(pid):
    found, queue = [], [pid]
    while queue:
        at = queue.pop()
        for path in glob.glob(f"/proc/{at}/task/*/children"):
            children = [int(word) for word in open(path).read().split()]
            found += children
            queue += children
    return found


def instances_cost(server, name, function, count):
    runtime, handler, files = function
    file = "app.py" if name == "python" else "index.mjs"
    server.function(name, runtime, handler, {file: (SLOW[name].encode(), 0o644)})
    server.invoke(name)
    before = sum(map(pss, descendants(server.child.pid)))
    with concurrent.futures.ThreadPoolExecutor(count + 1) as pool:
        list(pool.map(lambda _: server.invoke(name), range(count + 1)))
    return (sum(map(pss, descendants(server.child.pid))) - before) / count


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    common.row("memory", "figure", "", "", "")
    with common.scratch() as folder, common.Sluice() as server:
        common.row("start to ready", f"{server.ready_seconds * 1000:.0f} ms")
        common.row("program file", f"{os.path.getsize(common.SLUICE) / 1e6:.1f} MB")
        common.row("server processes, idle (PSS)", f"{sum(map(pss, server.processes())):.1f} MB")
        functions = common.language_functions(folder)
        for name in ("python", "nodejs"):
            common.row(f"each further idle {name} instance", f"{instances_cost(server, name, functions[name], count):.1f} MB")


if __name__ == "__main__":
    main()
