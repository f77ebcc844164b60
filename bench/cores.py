#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a second core gives: warm invocations at 64 connections with everything (server, functions, load generator) on one core, and with
everything on two, beside nginx in the same two places. The generator's share is the same in both, so the ratio is that of the whole.
Usage: bench/cores.py [SECONDS]"""

import os
import sys

import common

CONNECTIONS = 64
PLACES = (("one core", common.SERVING, 1), ("two cores", f"{common.SERVING},{common.LOADING}", 2))


def rate_of(url, seconds, cores):
    common.wrk(url, CONNECTIONS, 1, cores)
    return common.wrk(url, CONNECTIONS, seconds, cores)[0]


def measure(seconds, cores, threads, rates):
    with common.scratch() as folder:
        backend = os.path.join(folder, "backend.sock")
        with common.epoll_floor(folder, "--proxy-unix", backend, core=cores), common.nginx(folder, backend, cores, threads) as url:
            rates.setdefault("nginx", []).append(rate_of(url, seconds, cores))
        with common.Sluice(core=cores, threads=threads) as server:
            for name, (runtime, handler, files) in common.language_functions(folder).items():
                server.function(name, runtime, handler, files, memory=1769)
                rates.setdefault(name, []).append(rate_of(server.http_api(name), seconds, cores))


def main():
    common.need("wrk", "nginx", "taskset", "gcc")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rates = {}
    for _, cores, threads in PLACES:
        measure(seconds, cores, threads, rates)
    common.row("everything on", *(name for name, _, _ in PLACES), "ratio")
    for name, (one, two) in rates.items():
        common.row(name, f"{one:,.0f}/s", f"{two:,.0f}/s", f"{two / one:.2f}x")


if __name__ == "__main__":
    main()
