#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes created and destroyed per second: a C function of which each invocation gets an environment of its own that is destroyed
after it (`sluice:single-use`), called by 16 connections; beside bare starts of a static program, two at a time, in the same run (the
floor).  Usage: bench/rate.py [SECONDS]"""

import os
import re
import subprocess
import sys
import threading
import time

import common

FLOOR = """#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
int main(int argc, char **argv) {
    long count = 0;
    char *none[] = {NULL}, *command[] = {argv[1], NULL};
    for (time_t end = time(NULL) + atoi(argv[2]); argc == 3 && time(NULL) < end; count++) {
        pid_t pid;
        if (posix_spawn(&pid, argv[1], NULL, NULL, command, none) != 0 || waitpid(pid, NULL, 0) != pid) return 1;
    }
    return printf("%ld\\n", count) < 0;
}
"""


def bare_starts(folder, seconds):
    for name, text in (("true", "int main(void) { return 0; }\n"), ("floor", FLOOR)):
        with open(os.path.join(folder, name + ".c"), "w") as file:
            file.write(text)
        common.compile_c([os.path.join(folder, name + ".c")], os.path.join(folder, name), "-static")
    command = [os.path.join(folder, "floor"), os.path.join(folder, "true"), str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    return sum(int(child.communicate()[0]) for child in running) / seconds


def calls(server, connections, seconds):
    """Calls answered per second."""
    end = time.monotonic() + seconds
    counts = [0] * connections

    def run(i):
        connection = common.Connection(server.port)
        while time.monotonic() < end:
            connection.post("/2015-03-31/functions/once/invocations", "once")
            counts[i] += 1

    threads = [threading.Thread(target=run, args=(i,)) for i in range(connections)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begin)


def started(server):
    return int(re.search(r"^sluice_cold_starts_total (\d+)$", server.call("GET", "/_sluice/metrics").decode(), re.M)[1])


def main():
    common.need("gcc")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    common.row("sandboxes, both cores", "per second", "", "", "ratio")
    with common.scratch() as folder, common.Sluice(options=("--blanks", "0")) as server:
        runtime, handler, files = common.language_functions(folder)["c"]
        server.function("once", runtime, handler, files, Tags={"sluice:single-use": "true"})
        calls(server, 16, 1)
        floor = bare_starts(folder, seconds)
        before = started(server)
        rate = calls(server, 16, seconds)
        if started(server) - before < rate * seconds * 0.9:
            sys.exit("bench: environments were used more than once")
        common.row("bare start and end (floor)", f"{floor:,.0f}")
        common.row("created, invoked, destroyed", f"{rate:,.0f}", "", "", f"{rate / floor:.2f}x floor")


if __name__ == "__main__":
    main()
