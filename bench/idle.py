#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many idle instances of a C function at once, kept by provisioned concurrency: how long until all are ready, what one costs in memory and
descriptors, and whether each still answers.  Usage: bench/idle.py [INSTANCES] [options of serve]"""

import concurrent.futures
import json
import os
import re
import sys
import time

import common
from memory import descendants, pss


def gauge(server, pattern):
    return int(re.search(rf"^sluice_{pattern} (\d+)$", server.call("GET", "/_sluice/metrics").decode(), re.M).group(1))


def meminfo(name):
    return int(re.search(rf"^{name}:\s+(\d+)", open("/proc/meminfo").read(), re.M).group(1)) / 1024


def kept(server):
    path = "/2019-09-30/functions/idle/provisioned-concurrency?Qualifier=1"
    return json.loads(server.call("GET", path))


def wait_ready(server, count, limit_s=180):
    begun = time.monotonic()
    while True:
        answer = kept(server)
        if answer["AvailableProvisionedConcurrentExecutions"] >= count:
            return time.monotonic() - begun
        if time.monotonic() - begun > limit_s:
            print(answer)
            sys.exit(f"bench: only {answer['AvailableProvisionedConcurrentExecutions']} of {count} are ready")
        time.sleep(0.05)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    options = ["--account-concurrency", str(count + 200), "--max-instances", str(count + 10), *sys.argv[2:]]
    with common.scratch() as folder, common.Sluice(options=options) as server:
        server.function("idle", "provided.al2023", "bootstrap", common.c_function(folder))
        server.invoke("idle")
        server.call("POST", "/2015-03-31/functions/idle/versions", {})
        pids = server.processes()
        before, used_before = [pss(pid) for pid in pids], meminfo("MemTotal") - meminfo("MemAvailable")
        path = "/2019-09-30/functions/idle/provisioned-concurrency?Qualifier=1"
        server.call("PUT", path, {"ProvisionedConcurrentExecutions": count})
        common.row(f"{count} instances ready after", f"{wait_ready(server, count):.1f} s")
        while gauge(server, 'instances{state="frozen"}') < count and "--no-freeze" not in options:
            time.sleep(0.05)
        used = meminfo("MemTotal") - meminfo("MemAvailable") - used_before
        inside = sum(map(pss, [pid for pid in descendants(server.child.pid) if pid not in pids]))
        grown = sum(pss(pid) for pid in pids) - sum(before)
        common.row("memory of the machine, each", f"{used / count * 1024:.0f} KB")
        common.row("processes inside (PSS), each", f"{inside / count * 1024:.0f} KB")
        common.row("server and spawner (PSS), each", f"{grown / count * 1024:.0f} KB")
        for name, pid in zip(("supervisor", "spawner", "server"), pids):
            common.row(f"descriptors of the {name}", len(os.listdir(f"/proc/{pid}/fd")))
        ticks = [sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) for pid in pids]
        time.sleep(2)
        later = [sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) for pid in pids]
        common.row("processor time of all idling, 2 s", f"{sum(later) - sum(ticks)} ticks")
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            invoke = "/2015-03-31/functions/idle/invocations?Qualifier=1"
            list(pool.map(lambda _: server.call("POST", invoke, b"{}"), range(count)))
        common.row(f"{count} calls, 16 at a time", f"{time.monotonic() - begun:.1f} s")
        common.row("instances started in all", gauge(server, "cold_starts_total"))
        begun = time.monotonic()
    common.row("stopped after", f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
