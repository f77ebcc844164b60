# SPDX-License-Identifier: Apache-2.0
"""Nothing leaks, and what is killed from outside (by the out-of-memory killer, say) costs itself: the short form of tests/soak/leaks."""

import os
import random
import re
import signal
import subprocess
import threading

from support import PATIENCE, ROOT, SANITIZED, descendants, processes, wait_for


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


def test_a_spawner_killed_at_any_moment_takes_its_sandboxes_along_and_is_replaced(start_server):
    """kill -9 while sandboxes are built, wait, run and are copies of a template: no process and no control group of its stays."""
    server = start_server("--memory")
    server.expect_error_log("the spawner ended unexpectedly")
    server.expect_error_log("starting it again")
    server.expect_error_log("spawner")
    chooser = random.Random(7)

    def spawner():
        return next((pid for pid, name in descendants(server.process.pid).items() if name == "sluice-spawner"), None)

    def is_copied(pid):
        """Whether it has a template and a copy: children that are no sandbox's first process."""
        return sum(parent == pid and name != "sluice-init" for parent, name in processes().values()) >= 2

    for n in range(3):
        old = wait_for(spawner, "a spawner")
        name = f"killed-{n}"
        wait_for(lambda: _answers(lambda: server.create_function(name, {"index.py": "def handler(event, context): return event"})), "a function")
        assert server.invoke(name, n)["Json"] == n
        wait_for(lambda: is_copied(old), "a template and its copy")
        threads = [threading.Thread(target=_answers, args=(lambda: server.invoke(name, 1),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        enough = chooser.randrange(3, 16)
        wait_for(lambda: len(descendants(old)) >= enough, "sandboxes")
        server.note_tree()
        below = {old, *descendants(old)}
        os.kill(old, signal.SIGKILL)
        for thread in threads:
            thread.join()
        wait_for(lambda: not below & set(processes()), "the end of what was below the spawner")
        wait_for(lambda: spawner() not in (None, old), "another spawner")
        groups = re.compile(rf"/sluice-{old}-[^/]*$")
        wait_for(lambda: not [base for base, _, _ in os.walk("/sys/fs/cgroup") if groups.search(base)], "its control groups to be removed")


def _answers(call):
    try:
        call()
        return True
    except Exception:  # noqa: BLE001  between two lives of the server there is nobody to answer, in whatever way the client says so
        return False
