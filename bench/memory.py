#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory: the server idle (proportional set size of its processes), its program file as `make install` strips it, the time from start to
ready, and what one more warm instance of each language costs, as a copy of a template or of a blank and as a process of its own.
Blanks that wait are not counted: docs/blanks.md has their budget.  Usage: bench/memory.py [INSTANCES]"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

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


def stand(server):
    """Proportional set size of everything inside, once no more than the one blank that may wait is there and ready."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        text = server.call("GET", "/_sluice/metrics").decode()
        waiting = sum(map(int, re.findall(r'^sluice_blanks{.*state="\w+"} (\d+)$', text, re.M)))
        ready = sum(map(int, re.findall(r'^sluice_blanks{.*state="ready"} (\d+)$', text, re.M)))
        if waiting == ready == (1 if "sluice_blanks{" in text else 0):
            break
        time.sleep(0.1)
    return sum(map(pss, descendants(server.child.pid)))


def instances_cost(server, name, function, count):
    """Of `count` further ones, with as many blanks waiting before as after."""
    runtime, handler, files = function
    file = "app.py" if name == "python" else "index.mjs"
    server.function(name, runtime, handler, {file: (SLOW[name].encode(), 0o644)})
    server.invoke(name)
    before = stand(server)
    with concurrent.futures.ThreadPoolExecutor(count + 1) as pool:
        list(pool.map(lambda _: server.invoke(name), range(count + 1)))
    return (stand(server) - before) / count


def stripped_size(folder):
    """What `make install` installs."""
    out = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", out, common.SLUICE], check=True)
    return os.path.getsize(out)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    common.need("strip", "node", "gcc")
    common.row("memory", "figure", "", "", "")
    with common.scratch() as folder:
        functions = common.language_functions(folder)
        with common.Sluice() as server:
            common.row("start to ready", f"{server.ready_seconds * 1000:.0f} ms")
            common.row("program file, as installed", f"{stripped_size(folder) / 1e6:.1f} MB")
            common.row("server processes, idle (PSS)", f"{sum(map(pss, server.processes())):.1f} MB")
        for name in ("python", "nodejs"):
            for kind, options in (("", ("--blanks", "1")), (", without blanks", ("--blanks", "0"))):
                with common.Sluice(options=options) as server:
                    cost = instances_cost(server, name, functions[name], count)
                    common.row(f"each idle {name} instance{kind}", f"{cost:.1f} MB")


if __name__ == "__main__":
    main()
