#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP front alone: an answer without a function, one core, 16 connections, beside haproxy's `http-request return` and the
plain epoll server.  Usage: bench/front.py [SECONDS]"""

import sys

import common


def main():
    common.need("wrk", "haproxy", "taskset", "gcc")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    common.row("front, one core, 16 connections", "requests", "p50", "p99", "ratio")
    with common.scratch() as folder:
        port = common.free_port()
        with common.epoll_floor(folder, port):
            common.wait_port(port)
            floor, p50, p99 = common.wrk(f"http://127.0.0.1:{port}/", 16, seconds)
        common.row("epoll floor", f"{floor:,.0f}/s", f"{p50:.2f} ms", f"{p99:.2f} ms", "")
        with common.haproxy_return(folder) as url:
            peer, p50, p99 = common.wrk(url, 16, seconds)
        common.row("haproxy return", f"{peer:,.0f}/s", f"{p50:.2f} ms", f"{p99:.2f} ms", "")
        with common.Sluice(core=common.SERVING, threads=1) as server:
            rate, p50, p99 = common.wrk(server.url + "/_sluice/health", 16, seconds)
        common.row("sluice", f"{rate:,.0f}/s", f"{p50:.2f} ms", f"{p99:.2f} ms", f"{rate / peer:.2f}x haproxy {rate / floor:.2f}x floor")


if __name__ == "__main__":
    main()
