# SPDX-License-Identifier: Apache-2.0
"""Events that are sent to an instance which is busy still (src/invoke/ahead.c): nothing of it shows, whatever happens to the
one in front."""

import functools
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from support import ROOT, wait_for
from test_scaling import metric

# Tells which instance did it, and for which requests it was called before. What the event asks for happens then.
NODE = """
const me = require('node:crypto').randomUUID();
const seen = [];
exports.handler = async (event, context) => {
    seen.push(context.awsRequestId);
    if (event.print) console.log('mark ' + context.awsRequestId);
    if (event.write) process.stdout.write('mark ' + context.awsRequestId + '\\n');
    if (event.fail) throw new Error('as asked');
    if (event.die) process.kill(process.pid, 'SIGKILL');
    if (event.hang) for (;;) {}
    return {me, seen: [...seen], id: context.awsRequestId, n: event.n, left: context.getRemainingTimeInMillis()};
};
"""
PYTHON = """
import os, signal, sys, uuid
me, seen = str(uuid.uuid4()), []
def handler(event, context):
    seen.append(context.aws_request_id)
    if event.get("print"): print("mark " + context.aws_request_id)
    if event.get("write"): sys.stderr.write("mark " + context.aws_request_id + "\\n")
    if event.get("fail"): raise Exception("as asked")
    if event.get("die"): os.kill(os.getpid(), signal.SIGKILL)
    while event.get("hang"): pass
    return {"me": me, "seen": list(seen), "id": context.aws_request_id, "n": event["n"],
            "left": context.get_remaining_time_in_millis()}
"""
# The same; `print` by a system call that no library sees, and `stream` in addition.
C = r"""
#include "sluice_json.h"
#include "sluice_runtime.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static char (*seen)[40];
static size_t count;
static unsigned me[4];

static int handler(const struct sluice_event *event, const struct sluice_context *context, struct sluice_response *r, void *arg) {
    (void)arg;
    seen = realloc(seen, (count + 1) * sizeof *seen);
    snprintf(seen[count++], sizeof *seen, "%s", context->request_id);
    char mark[64];
    int len = snprintf(mark, sizeof mark, "mark %s\n", context->request_id);
    if (strstr(event->data, "print") && write(1, mark, (size_t)len) != len) abort();
    if (strstr(event->data, "write")) fputs(mark, stderr);
    if (strstr(event->data, "fail")) return sluice_fail(r, "AsAsked", "as asked");
    if (strstr(event->data, "die")) raise(SIGKILL);
    while (strstr(event->data, "hang")) {}
    if (strstr(event->data, "stream")) sluice_stream(r);
    struct sluice_json doc;
    int64_t n = -1;
    if (sluice_json_parse(&doc, event->data, event->len) || sluice_json_int64(&doc, sluice_json_get(&doc, 0, "n"), &n)) abort();
    sluice_json_free(&doc);
    sluice_printf(r, "{\"me\":\"%08x%08x%08x%08x\",\"id\":\"%s\",\"n\":%lld,\"left\":%lld,\"seen\":[", me[0], me[1], me[2], me[3],
                  context->request_id, (long long)n, (long long)sluice_remaining_ms(context));
    for (size_t i = 0; i < count; i++) sluice_printf(r, "%s\"%s\"", i ? "," : "", seen[i]);
    return sluice_printf(r, "]}");
}

int main(void) { return getrandom(me, sizeof me, 0) == sizeof me ? sluice_run(handler, NULL) : 1; }
"""
CALLERS = 16


@functools.cache
def compiled():
    with tempfile.TemporaryDirectory() as folder:
        source, program, library = Path(folder, "main.c"), Path(folder, "bootstrap"), ROOT / "runtimes/c"
        source.write_text(C)
        files = [source, library / "sluice_runtime.c", library / "sluice_json.c"]
        subprocess.run(["cc", "-O2", "-static", "-I", library, "-o", program, *files], check=True)
        return program.read_bytes()


SOURCES = {
    "nodejs": ("nodejs20.x", lambda: {"index.js": NODE}),
    "python": ("python3.11", lambda: {"index.py": PYTHON}),
    "c": ("provided.al2023", lambda: {"bootstrap": compiled()}),
}
LANGUAGES = pytest.mark.parametrize("language", SOURCES)


def create(server, language, **options):
    runtime, files = SOURCES[language]
    server.create_function("f", files(), runtime=runtime, MemorySize=256, **options)


@pytest.fixture
def ahead(start_server):
    return start_server("--send-ahead", "always", "--threads", "1")


def call_all(server, name, events):
    """Every event once, by many callers at the same time; gives [(event, function error or None, answer)]."""
    left, done, lock = list(enumerate(events)), [], threading.Lock()

    def caller():
        while True:
            with lock:
                if not left:
                    return
                n, event = left.pop(0)
            answer = server.http("POST", f"/2015-03-31/functions/{name}/invocations", body=json.dumps({**event, "n": n}))
            with lock:
                done.append((event, answer.headers.get("x-amz-function-error"), answer.json(), answer.status, n))

    callers = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert len(done) == len(events) and all(status == 200 for *_, status, _ in done), done
    return done


def assert_nothing_twice(done):
    """No request was begun by two instances, and each was answered by the one that says so."""
    latest = {}
    for _, error, answer, _, n in done:
        if error is None:
            assert answer["n"] == n and answer["seen"][-1] == answer["id"], answer
            if len(answer["seen"]) > len(latest.get(answer["me"], ())):
                latest[answer["me"]] = answer["seen"]
    begun = [request for seen in latest.values() for request in seen]
    assert len(begun) == len(set(begun))


def until_sent_ahead(server, name, events, name_of="events_sent_ahead_total"):
    """Calls again until it has happened: whether callers meet at an instance is the machine's choice."""
    done, before = [], metric(server, name_of)
    limit = time.monotonic() + 60
    while not done or metric(server, name_of) == before:
        assert time.monotonic() < limit, f"never counted in {name_of}"
        done += call_all(server, name, events)
    return done


@LANGUAGES
def test_what_waits_behind_one_that_dies_is_served_by_others(ahead, language):
    create(ahead, language, Timeout=60)
    events = [{"die": True} if n % 40 == 20 else {"fail": True} if n % 40 == 30 else {} for n in range(200)]
    done = until_sent_ahead(ahead, "f", events)
    for event, error, answer, _, _ in done:
        assert (error is not None) == bool(event), (event, answer)
        if event:
            assert answer["errorType"] == ("Runtime.ExitError" if "die" in event else answer["errorType"])
        else:
            assert 0 < answer["left"] <= 60000
    assert_nothing_twice(done)


@pytest.mark.parametrize("language", ["python", "c"])
def test_what_waits_behind_one_that_hangs_is_taken_back(ahead, language):
    create(ahead, language, Timeout=3)
    call_all(ahead, "f", [{}] * 50)
    done = until_sent_ahead(ahead, "f", [{"hang": True} if n in (20, 30, 40) else {} for n in range(60)], "events_taken_back_total")
    for event, error, answer, _, _ in done:
        assert (error is not None) == bool(event), (event, answer)
        assert not event or answer["errorType"] == "Sandbox.Timedout", answer
    assert_nothing_twice(done)


def log_with_marks(server):
    text = server.http("GET", "/_sluice/logs?function=f").text
    return text if "\nmark " in text else None


@LANGUAGES
def test_lines_and_time_are_those_of_their_invocation(ahead, language):
    create(ahead, language, Timeout=60)
    kinds = [{}, {}, {"print": True}, {}, {}, {}, {"write": True}]
    began = time.monotonic()
    done = until_sent_ahead(ahead, "f", [kinds[n % len(kinds)] for n in range(140)])
    took_ms = (time.monotonic() - began) * 1000
    instances = {answer["me"] for _, _, answer, _, _ in done}
    text = wait_for(lambda: log_with_marks(ahead), "the log, which is written a little later")
    marks, running = 0, "what is not kept any more"
    for line in text.splitlines():
        if found := re.search(r"START RequestId: (\S+)", line):
            running = found[1]
        elif re.search(r"END RequestId: ", line):
            running = None
        elif found := re.search(r"mark (\S+)", line):
            marks += 1
            assert running in (found[1], "what is not kept any more"), f"{line!r} is in the log of {running}"
    assert marks > 0
    durations = [float(ms) for ms in re.findall(r"\tDuration: ([\d.]+) ms", text)]
    assert len(durations) >= len(text.splitlines()) / 8
    # An instance does one at a time; who waited behind others is not charged for it.
    assert sum(durations) <= took_ms * len(instances)


def test_an_answer_that_streams_leaves_the_others_as_they_are(ahead):
    create(ahead, "c", Timeout=60)
    done = until_sent_ahead(ahead, "f", [{"stream": True} if n % 10 == 5 else {"fail": True} if n % 10 == 8 else {} for n in range(200)])
    for event, error, answer, _, _ in done:
        assert error == ("Unhandled" if "fail" in event else None), (event, answer)
    assert_nothing_twice(done)
