#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streamed responses: from the request to the first byte that a Node.js function writes, while its last one comes 20 ms later, beside
its whole answer when it is not streamed and beside a round trip to a plain epoll server (the floor).  Usage: bench/stream.py [COUNT]"""

import sys
import time

import common

STREAMED = b"""export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write('<first>');
  await new Promise((done) => setTimeout(done, 20));
  stream.end('<last>');
});
"""


def until(connection, mark):
    seen = b""
    while mark not in seen:
        seen += connection.receive()
    return seen


def take_streamed(connection):
    head = b"POST /2021-11-15/functions/streamed/response-streaming-invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    begin = time.perf_counter()
    connection.socket.sendall(head)
    seen = until(connection, b"<first>")
    spent = time.perf_counter() - begin
    if b"<last>" in seen:
        sys.exit("bench: the response was not streamed")
    until(connection, b"0\r\n\r\n")
    return spent


def take_whole(connection):
    begin = time.perf_counter()
    connection.post("/2015-03-31/functions/whole/invocations", "whole")
    return time.perf_counter() - begin


def take_floor(connection):
    begin = time.perf_counter()
    connection.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(connection, b"\r\n\r\n")
    return time.perf_counter() - begin


def main():
    common.need("node", "gcc")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    common.row("first byte, one connection", "samples", "p50", "p99", "ratio")
    port = common.free_port()
    with common.scratch() as folder, common.epoll_floor(folder, port, core=None), common.Sluice() as server:
        common.wait_port(port)
        runtime, handler, files = common.language_functions(folder)["nodejs"]
        server.function("whole", runtime, handler, files, memory=1769)
        server.function("streamed", runtime, handler, {"index.mjs": (STREAMED, 0o644)}, memory=1769)
        rows = {"epoll floor": (take_floor, common.Connection(port)), "whole answer, nodejs": (take_whole, common.Connection(server.port)),
                "streamed, first byte, nodejs": (take_streamed, common.Connection(server.port))}
        values = {name: [] for name in rows}
        for i in range(count + 20):  # in turns: what else the machine does is shared alike
            for name, (take, connection) in rows.items():
                spent = take(connection) * 1000
                if i >= 20:
                    values[name].append(spent)
        floor = common.percentile(values["epoll floor"], 0.5)
        for name, taken in values.items():
            p50 = common.percentile(taken, 0.5)
            common.row(name, count, f"{p50:.2f} ms", f"{common.percentile(taken, 0.99):.2f} ms", f"{p50 / floor:.1f}x floor")


if __name__ == "__main__":
    main()
