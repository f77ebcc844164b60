# SPDX-License-Identifier: Apache-2.0
"""Nothing leaks, and what is killed from outside (by the out-of-memory killer, say) costs itself: the short form of tests/soak/leaks."""

import os
import signal
import subprocess

from support import PATIENCE, ROOT, SANITIZED, descendants, wait_for


def test_a_few_hundred_bad_ends_leave_nothing():
    starts = "100" if SANITIZED else "200"
    run = subprocess.run([ROOT / "tests/soak/leaks", "--starts", starts, "--warm", "150"], capture_output=True, text=True, timeout=10 * PATIENCE)
    assert run.returncode == 0 and run.stdout.endswith("nothing leaked\n"), run.stdout[-4000:] + run.stderr[-2000:]


def test_the_death_of_spare_sandboxes_costs_nobody(start_server):
    """Everything that waits for a function is killed, again and again: the spawner goes on, and so do functions."""
    server = start_server("--memory")
    server.create_function("python", {"index.py": "def handler(event, context): return event"})
    spawner = next(pid for pid, name in descendants(server.process.pid).items() if name == "sluice-spawner")
    for n in range(5):
        for pid in descendants(spawner):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

        def answers(n=n):
            try:
                return server.invoke("python", n)["Json"] == n
            except server.client("lambda").exceptions.ServiceException:
                return False  # the sandbox that it was to have has just been killed

        wait_for(answers, "an answer", timeout=2 * PATIENCE)
        assert spawner in descendants(server.process.pid)
