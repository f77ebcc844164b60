#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Control-plane operations per second with few and with many functions: the cost of an operation must not grow with what is deployed.
The cost that is compared is processor time of the server's threads, which other programs on the machine change little. Each kind of operation is timed one after the other over one connection, durably (the floor beside it: the same number of SQLite
transactions of one row with a sync each, in the same folder), with 10 functions and then with 10,000 of them.

Usage: bench/control.py [FUNCTIONS] [OPERATIONS]        (default 10000 200; quick: bench/control.py 1000 50)"""

import base64
import contextlib
import http.client
import json
import os
import sqlite3
import sys
import time

import common

FEW = 10


class Client:
    """One connection that stays open, to which operations are sent one by one."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else None


def function(name, code):
    return {"FunctionName": name, "Runtime": "python3.11", "Handler": "index.handler", "Role": common.ROLE, "Code": {"ZipFile": code}}


def operations(client, code, other):
    """{name: what to do the n-th time}. What one makes the next ones use."""
    root = "/2015-03-31/functions"
    return {
        "CreateFunction": lambda n: client.call("POST", root, function(f"new{n}", code)),
        "GetFunction": lambda n: client.call("GET", f"{root}/new{n}"),
        "UpdateFunctionConfiguration": lambda n: client.call("PUT", f"{root}/new{n}/configuration", {"Description": str(n)}),
        "UpdateFunctionCode": lambda n: client.call("PUT", f"{root}/new{n}/code", {"ZipFile": other}),
        "PublishVersion": lambda n: client.call("POST", f"{root}/new{n}/versions", {}),
        "CreateAlias": lambda n: client.call("POST", f"{root}/new{n}/aliases", {"Name": "live", "FunctionVersion": "1"}),
        "PutFunctionConcurrency": lambda n: client.call(
            "PUT", f"/2017-10-31/functions/new{n}/concurrency", {"ReservedConcurrentExecutions": 0}
        ),
        "ListFunctions, one page": lambda n: client.call("GET", f"{root}?MaxItems=50"),
        "GetAccountSettings": lambda n: client.call("GET", "/2016-08-19/account-settings"),
        "DeleteFunction": lambda n: client.call("DELETE", f"{root}/new{n}"),
    }


def processor_seconds(root):
    """Of all threads of a process and of those below it."""
    total, found = 0, [root]
    while found:
        pid = found.pop()
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as f:
                    found += [int(child) for child in f.read().split()]
    return total / 1e9


def timed(what, count):
    start = time.monotonic()
    for n in range(count):
        what(n)
    return count / (time.monotonic() - start)


def measure(server, client, code, other, count):
    """{name: (operations per second, processor milliseconds of one)}"""
    result = {}
    for name, what in operations(client, code, other).items():
        before = processor_seconds(server.child.pid)
        rate = timed(what, count)
        result[name] = rate, (processor_seconds(server.child.pid) - before) * 1000 / count
    return result


def floor(folder, count):
    database = sqlite3.connect(os.path.join(folder, "floor.db"), isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)")
    rate = timed(lambda n: database.execute("INSERT INTO row (text) VALUES (?)", ("x" * 1000,)), count)
    database.close()
    return rate


def main():
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    code, other = (base64.b64encode(common.make_zip({"index.py": (f"def handler(e, c):\n    return {n}\n", 0o644)})).decode() for n in (1, 2))
    with common.scratch() as folder:
        common.row("control plane", "", "", "", "")
        common.row("one SQLite row, synced (floor)", f"{floor(folder, count):,.0f}/s")
        with common.Sluice(options=("--data", os.path.join(folder, "data")), memory=False) as server:
            client = Client(server.port)
            for n in range(FEW):
                client.call("POST", "/2015-03-31/functions", function(f"f{n}", code))
            few = measure(server, client, code, other, count)
            filling = timed(lambda n: client.call("POST", "/2015-03-31/functions", function(f"g{n}", code)), many - FEW)
            common.row(f"filling up to {many}", f"{filling:,.0f}/s")
            full = measure(server, client, code, other, count)
        common.row("operation", f"with {FEW}", f"with {many}", "", "processor time of one grew")
        for name in few:
            (rate, cost), (rate_full, cost_full) = few[name], full[name]
            costs = f"{cost_full / cost:.2f}x ({cost:.2f} to {cost_full:.2f} ms)"
            common.row(name, f"{rate:,.0f}/s", f"{rate_full:,.0f}/s", "", costs)


if __name__ == "__main__":
    main()
