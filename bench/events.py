#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asynchronous events and queues on a durable store: accepts per second, the time from accept to execution, messages per second through
SQS, and what an event source hands over. The floor of the accepts is bench/store/run: raw group-committed appends on the same disk.

Everything but the floor goes through HTTP, the server on core 0, the load on core 1."""

import http.client
import json
import os
import subprocess
import sys
import time

import common

CONNECTIONS = 64
SECONDS = 4
EVENTS = 2000
FUNCTION = {"app.py": (b"import time\ndef handler(event, context):\n    print('at', event['t'], time.time(), flush=True)\n", 0o644)}
SINK = {"app.py": (b"def handler(event, context):\n    return None\n", 0o644)}


class Durable(common.Sluice):
    """A server with a data directory in the folder."""

    def __init__(self, folder, core):
        command = [common.SLUICE, "serve", "--listen", "127.0.0.1:0", "--data", os.path.join(folder, "data"), "--nearest-runtime",
                   "--log-level", "error"]
        self.child = subprocess.Popen(common.pinned(command, core), stdout=subprocess.PIPE, text=True)
        self.url = self.child.stdout.readline().split()[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def sqs(self, operation, **members):
        headers = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        return json.loads(self.call("POST", "/", members, headers) or b"{}")

    def metric(self, name):
        for line in self.call("GET", "/_sluice/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise KeyError(name)


def load(folder, url, headers, body):
    """Requests per second with a body, by wrk."""
    script = os.path.join(folder, "load.lua")
    with open(script, "w") as file:
        file.write('wrk.method = "POST"\nwrk.body = [[%s]]\n' % body)
        for name, value in headers.items():
            file.write(f'wrk.headers["{name}"] = "{value}"\n')
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--timeout", "20s", "-s", script, url]
    text = subprocess.run(common.pinned(command, common.LOADING), capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"bench: {url} answered errors:\n{text}")
    return float(text.split("Requests/sec:")[1].split()[0])


def accepts(server, folder):
    server.function("sink", "python3.11", "app.handler", SINK)
    server.call("PUT", "/2017-10-31/functions/sink/concurrency", {"ReservedConcurrentExecutions": 1})
    url = f"{server.url}/2015-03-31/functions/sink/invocations"
    rate = load(folder, url, {"X-Amz-Invocation-Type": "Event"}, '{"n": 1}')
    server.call("POST", "/_sluice/events/purge?function=sink")
    print(f"durable accepts through HTTP, {CONNECTIONS} connections: {rate:,.0f}/s")
    server.call("DELETE", "/2015-03-31/functions/sink")


def latency(server):
    """From sending the event to the handler's first line, one event at a time."""
    server.function("at", "python3.11", "app.handler", FUNCTION)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(300):
        body = json.dumps({"t": time.time()})
        connection.request("POST", "/2015-03-31/functions/at/invocations", body, {"X-Amz-Invocation-Type": "Event"})
        connection.getresponse().read()
        time.sleep(0.01)
    limit = time.monotonic() + 20
    while True:
        text = server.call("GET", "/_sluice/logs?function=at").decode()
        found = [line.split() for line in text.splitlines() if line.startswith("at ")]
        if len(found) >= 300 or time.monotonic() > limit:
            break
        time.sleep(0.1)
    waits = [(float(end) - float(begin)) * 1000 for _, begin, end in found[20:]]
    print(f"accept to execution, warm Python, durable: p50 {common.percentile(waits, 0.5):.1f} ms, p99 {common.percentile(waits, 0.99):.1f} ms")


def queues(server, folder):
    target = lambda operation: {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    url = server.sqs("CreateQueue", QueueName="bench")["QueueUrl"]
    sent = load(folder, server.url, target("SendMessage"), json.dumps({"QueueUrl": url, "MessageBody": "x" * 256}))
    batch = [{"Id": str(n), "MessageBody": "x" * 256} for n in range(10)]
    batched = 10 * load(folder, server.url, target("SendMessageBatch"), json.dumps({"QueueUrl": url, "Entries": batch}))
    received = 10 * load(folder, server.url, target("ReceiveMessage"), json.dumps({"QueueUrl": url, "MaxNumberOfMessages": 10}))
    print(f"SQS, 256 bytes: SendMessage {sent:,.0f}/s; messages by SendMessageBatch {batched:,.0f}/s; received, ten at a time, {received:,.0f}/s")


def source(server):
    """A queue that is full when its mapping is made."""
    url = server.sqs("CreateQueue", QueueName="source")["QueueUrl"]
    arn = f"arn:aws:sqs:{common.REGION}:{common.ACCOUNT}:source"
    batch = [{"Id": str(n), "MessageBody": "x" * 256} for n in range(10)]
    for _ in range(EVENTS):
        server.sqs("SendMessageBatch", QueueUrl=url, Entries=batch)
    server.function("handed", "python3.11", "app.handler", SINK)
    server.invoke("handed")
    before, start = server.metric("sluice_source_messages_total"), time.monotonic()
    server.call("POST", "/2015-03-31/event-source-mappings", {"FunctionName": "handed", "EventSourceArn": arn})
    while server.metric("sluice_source_messages_total") - before < 10 * EVENTS and time.monotonic() - start < 60:
        time.sleep(0.02)
    took = time.monotonic() - start
    count = server.metric("sluice_source_messages_total") - before
    print(f"event source, batches of ten, Python: {count / took:,.0f} messages/s")


def main():
    common.need("wrk")
    with common.scratch() as folder, Durable(folder, common.SERVING) as server:
        accepts(server, folder)
        latency(server)
        queues(server, folder)
        source(server)


if __name__ == "__main__":
    main()
