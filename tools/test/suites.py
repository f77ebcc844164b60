# SPDX-License-Identifier: Apache-2.0
"""How each kind of test is run and counted. Used by tools/test/all and tools/test/unit."""

import glob
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST_TIMEOUT = 300  # seconds one C program may take; a sanitizer's build on a busy machine included
PYTEST_TIMEOUT = 2400
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT}/tools/test/tsan.supp",
}


class Count:
    """Passed, failed and skipped cases, and the names of those that did not pass."""

    def __init__(self):
        self.passed, self.failures, self.skips = 0, [], []

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips

    def line(self):
        skipped = f", {len(self.skips)} skipped" if self.skips else ""
        return f"{self.passed} passed, {len(self.failures)} failed{skipped}"


def say(text):
    print(text, flush=True)


def make(*arguments):
    """Runs make; false when it failed (its output has been shown)."""
    return subprocess.run(["make", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def build_tests(build):
    """Builds every unit test and replayer, going on past those that do not compile."""
    jobs = str(os.cpu_count() or 1)
    command = ["flock", f"{build}/.lock", "ninja", "-C", build, "-j", jobs, "-k", "0", "--quiet", "meson-test-prereq"]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def run_program(command, env=None):
    """(exit status or None after the time limit, output)"""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**SANITIZER_ENV, **os.environ, **(env or {})},
            timeout=TEST_TIMEOUT,
        )
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


def cases(kind, output):
    """Names of cases in one state. The closing summary names failed and skipped ones again, after a line with their number."""
    names = re.findall(rf"^\[ *{kind} *\] ([A-Za-z_]\w*)$", output, re.M)
    return list(dict.fromkeys(names))


def unit_case(name, status, output, count):
    """Counts the cases of one cmocka program from its standard output."""
    count.passed += len(cases("OK", output))
    count.skips += [f"{name}: {case}" for case in cases("SKIPPED", output)]
    failed = cases("(?:FAILED|ERROR)", output)
    if status != 0 and not failed:
        failed = ["no end after %d s" % TEST_TIMEOUT if status is None else "the program ended with status %d" % status]
    if status == 0 and not re.search(r"^\[  PASSED  \]", output, re.M):
        failed = ["ran no test"]
    count.failures += [f"{name}: {case}" for case in failed]
    return bool(failed)


def run_unit(build):
    """Every tests/unit/test_*.c, one process each."""
    count = Count()
    # The spawner has no threads, and one that ThreadSanitizer adds keeps it from making a user namespace.
    without = "test_jail" if "tsan" in build else None
    for source in sorted(glob.glob(os.path.join(ROOT, "tests/unit/test_*.c"))):
        name = os.path.basename(source)[:-2]
        if without and name.startswith(without):
            continue
        program = os.path.join(ROOT, build, "tests/unit", name)
        if not os.path.exists(program):
            count.failures.append(f"{name}: was not built")
            continue
        status, output = run_program([program], {"CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
        if unit_case(name, status, output, count):
            say(f"--- {name}\n{output[-8000:]}")
    return count


def run_replays(build):
    """Every fuzz target over its corpus; one corpus counts as one test."""
    count = Count()
    for source in sorted(glob.glob(os.path.join(ROOT, "fuzz/fuzz_*.c"))):
        name = os.path.basename(source)[len("fuzz_") : -2]
        program = os.path.join(ROOT, build, "fuzz", "replay_" + name)
        if not os.path.exists(program):
            count.failures.append(f"replay_{name}: was not built")
            continue
        status, output = run_program([program, os.path.join(ROOT, "fuzz/corpus", name)])
        if status == 0:
            count.passed += 1
        else:
            count.failures.append(f"replay_{name}: status {status}")
            say(f"--- replay_{name}\n{output[-8000:]}")
    return count


def run_pytest(folder, build, without=()):
    """One folder of pytest tests, but for the files named, against the program of a build folder; counted from its JUnit file."""
    count = Count()
    if not glob.glob(os.path.join(ROOT, folder, "test_*.py")):
        return count
    report = os.path.join(ROOT, build, f"pytest-{os.path.basename(folder)}.xml")
    if os.path.exists(report):
        os.unlink(report)
    command = [os.path.join(ROOT, "build/venv/bin/python"), "-B", "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--no-header", "--timeout", "400"]
    # A file's tests stay together: they share what the first of them made. Most of a test is waiting, for two at a time on two cores.
    command += ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", "--durations", "15", "--junitxml", report, folder]
    command += [f"--ignore={folder}/{name}" for name in without]
    env = {**SANITIZER_ENV, **os.environ, "SLUICE_BIN": os.path.join(ROOT, build, "sluice")}
    try:
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=env, timeout=PYTEST_TIMEOUT)
    except subprocess.TimeoutExpired:
        count.failures.append(f"{folder}: no end after {PYTEST_TIMEOUT} s")
    if not os.path.exists(report):
        count.failures.append(f"{folder}: pytest made no report")
        return count
    for case in xml.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            count.failures.append(name)
        elif "skipped" in kinds:
            count.skips.append(f"{name}: {kinds['skipped'].get('message')}")
        else:
            count.passed += 1
    return count


def step(title, run, total):
    """Runs one suite, says how it went, adds it to the total."""
    start = time.monotonic()
    say(f"== {title}")
    count = run()
    say(f"== {title}: {count.line()} ({time.monotonic() - start:.0f} s)")
    total.add(count)


def end(total):
    """The sum; the last line is the promise of `make test`."""
    for name in total.skips:
        say(f"skipped: {name}")
    for name in total.failures:
        say(f"FAILED: {name}")
    say(f"{total.passed} passed, {len(total.failures)} failed")
    sys.exit(1 if total.failures or not total.passed else 0)
