# SPDX-License-Identifier: Apache-2.0
"""What a hostile function cannot use up: while it takes all it can of processes, memory, disk, descriptors, the processor or the log, the
neighbour's answers go on, and afterwards nothing is left. As C and as Python, with each kind of server.

Where an ordinary user has no control group some limits are others, or weaker; the tests say which (docs/security.md has the table).
"""

import os
import re
from pathlib import Path

import pytest

from hostile_support import LANGUAGES, Pings, program, remove_program, world
from support import wait_for

__all__ = ["remove_program", "world"]

DIED = {"Runtime.OutOfMemory", "Runtime.ExitError", "Sandbox.Timedout"}
MB = 256  # of memory that the hostile functions have


def has(world, feature):
    return world.features[feature]["available"]


@pytest.fixture(autouse=True)
def aftermath(world):
    """The neighbour and the server are well, and what the attack made ends with its sandbox."""
    yield
    for language in LANGUAGES:
        world.restart(language)
    wait_for(lambda: world.attack("c", "processes") == "0", "a new sandbox")
    assert world.attack("python", "processes") == "0"
    wait_for(lambda: [len(world.instances_of(language)) for language in LANGUAGES] == [1, 1], "the attack's processes to end")
    world.check()


def flood(world, language, text, **more):
    """The attack's result, while the neighbour answers."""
    with Pings(world) as pings:
        result = world.attack(language, text, **more)
        pings.more(3)
    return result


def count_of(result):
    return int(re.fullmatch(r"\w+ after (\d+)", result)[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_processes(world, language):
    result = flood(world, language, "forks")
    assert result in DIED or result.startswith("EAGAIN after") and count_of(result) <= 1024, result


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bomb_of_processes_that_fork_for_ever(world, language):
    if not has(world, "cpu limit"):
        pytest.skip("this kernel or user lacks: cpu limit (docs/security.md says what holds then)")
    world.server.client("lambda").update_function_configuration(FunctionName=language, Timeout=3)
    assert flood(world, language, "bomb") in DIED
    wait_for(lambda: not world.instances_of(language), "the bomb to be gone")


@pytest.mark.parametrize("language", LANGUAGES)
def test_threads(world, language):
    result = flood(world, language, "threads")
    assert result in DIED or result.startswith("EAGAIN after") and count_of(result) <= 1024, result


@pytest.mark.parametrize("language, kind", [
    *(("c", kind) for kind in ("anonymous", "shared", "memfd", "sysv", "pipes", "unix", "tcp", "udp")),
    *(("python", kind) for kind in ("anonymous", "shared", "memfd", "pipes")),
])  # fmt: skip
def test_memory(world, language, kind):
    """512 MB are asked for: twice what the function may have. (In Python those kinds that it has.)"""
    if kind in ("pipes", "unix", "tcp", "udp"):
        world.server.client("lambda").update_function_configuration(FunctionName=language, Timeout=5)
    result = flood(world, language, f"memory {kind} {2 * MB}")
    if kind == "sysv":
        assert result == "ENOSPC after 64"
    elif kind == "memfd" and not has(world, "memory limit"):
        assert result.startswith(("ENOSYS", "EBADF")), result
    elif kind in ("anonymous", "shared", "memfd"):
        assert result == "Runtime.OutOfMemory" or re.match("ENOMEM after", result), result
    else:
        assert result in DIED, result


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_buffers_of_sockets_do_not_use_up_those_of_the_machine(world, kind):
    """They count for the whole machine (net.ipv4.tcp_mem): the kernel's own figure stays far below its limit."""
    if not has(world, "memory limit"):
        pytest.skip("this kernel or user lacks: memory limit (docs/security.md says what holds then)")
    world.server.client("lambda").update_function_configuration(FunctionName="c", Timeout=5)
    before, most = pages(kind), 0
    with Pings(world) as pings:
        attack = pings.beside(lambda: world.attack("c", f"memory {kind} 0"))
        while attack.is_alive():
            most = max(most, pages(kind))
        pings.more(3)
    assert most - before < MB * 256 // 2, (before, most)  # half its memory, in pages of 4 KiB; a quarter is the limit


def pages(kind):
    """Pages of buffers of the whole machine."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith(kind.upper() + ":"))
    return int(re.search(r"mem (\d+)", line)[1])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("place, limit", [("tmp", 512), ("shm", 64)])
def test_disk(world, language, place, limit):
    world.server.client("lambda").update_function_configuration(FunctionName=language, MemorySize=1024)
    result = flood(world, language, f"memory {place} 4096")
    # Rootless, what lies in /tmp is seen some times a second, as all memory.
    assert result in ("ENOSPC after %d" % limit, "ENOSPC after %d" % (limit - 1)), result


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_inodes(world, language, folder):
    free = free_inodes()
    result = flood(world, language, f"inodes {folder}")
    most = 512 * 128 if folder == "/tmp" else 16384
    assert result.startswith("ENOSPC after") and most // 2 < count_of(result) < most, result
    assert free - free_inodes() < 1000  # none of it was the machine's


def free_inodes():
    return os.statvfs("/").f_ffree


@pytest.mark.parametrize("language", LANGUAGES)
def test_descriptors(world, language):
    result = flood(world, language, "held")
    assert result.startswith("EMFILE after") and count_of(result) < 1024, result
    result = flood(world, language, "watches")  # of changes to files: counted per user
    assert result.startswith("EMFILE after") and count_of(result) < 1024, result


def test_requests_of_the_whole_machine(world):
    assert flood(world, "c", "aio") == "ENOSYS after 0"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_processor(world, language):
    world.server.client("lambda").update_function_configuration(FunctionName=language, Timeout=2)
    assert flood(world, language, "spin 16") == "Sandbox.Timedout"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["line", "block"])
def test_the_log(world, language, kind):
    """Lines, and one line that never ends: the server keeps pace or drops, and its memory does not grow with either."""
    before = memory_of(world)
    assert flood(world, language, f"log 64 {kind}") in {"ok", "Sandbox.Timedout"}
    assert memory_of(world) - before < 64 << 10, (before, memory_of(world))


def memory_of(world):
    """KiB of the server's processes, without sandboxes."""
    total = 0
    for pid in (world.pid, *(p for p, name in world.server_processes().items())):
        total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
    return total


@pytest.mark.skipif(os.geteuid() != 0, reason="the limit of all sandboxes together is root's")
def test_all_sandboxes_together_leave_process_numbers(world):
    if not has(world, "process limit"):
        pytest.skip("this kernel or user lacks: process limit")
    limits = [int(path.read_text()) for path in Path("/sys/fs/cgroup").rglob(f"sluice-{world.spawner}-*/pids.max") if path.read_text().strip() != "max"]
    assert limits and max(limits) < int(Path("/proc/sys/kernel/pid_max").read_text())
