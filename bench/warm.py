#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Warm invocations through the HTTP API at 1, 16, 64 and 256 connections, one core, beside a plain epoll server that answers the same
bytes (the floor) and beside nginx that proxies to a backend on a Unix socket (the peer).  Usage: bench/warm.py [SECONDS]"""

import os
import sys

import common

CONNECTIONS = (1, 16, 64, 256)


def measure(name, url, seconds, reference):
    for connections in CONNECTIONS:
        common.wrk(url, connections, 1)
        rate, p50, p99 = common.wrk(url, connections, seconds)
        ratio = "" if name not in ("c", "python", "nodejs") else \
            f"{rate / reference['epoll floor', connections]:.2f}x floor {rate / reference['nginx', connections]:.2f}x nginx"
        reference[name, connections] = rate
        common.row(f"{name}, {connections} connections", f"{rate:,.0f}/s", f"{p50:.2f} ms", f"{p99:.2f} ms", ratio)


def main():
    common.need("wrk", "nginx", "taskset", "gcc")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    reference = {}
    common.row("warm, one core", "requests", "p50", "p99", "ratio")
    with common.scratch() as folder:
        port = common.free_port()
        with common.epoll_floor(folder, port):
            common.wait_port(port)
            measure("epoll floor", f"http://127.0.0.1:{port}/", seconds, reference)
        backend = os.path.join(folder, "backend.sock")
        with common.epoll_floor(folder, "--proxy-unix", backend), common.nginx(folder, backend) as url:
            measure("nginx", url, seconds, reference)
        with common.Sluice(core=common.SERVING, threads=1) as server:
            for name, (runtime, handler, files) in common.language_functions(folder).items():
                # One vCPU each: below 1769 MB a function has only a share of one, and its throttling would be measured.
                server.function(name, runtime, handler, files, memory=1769)
                measure(name, server.http_api(name), seconds, reference)


if __name__ == "__main__":
    main()
