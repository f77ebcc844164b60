# SPDX-License-Identifier: Apache-2.0
"""What a hostile function cannot get: each row of ATTACKS is tried from inside, by a function in C and one in Python, with a server of
root's and one of each kind of ordinary user. After each the neighbour answers and the server is well.

A row: the attack and what it must come to inside, by the name of an errno: the right one shows which wall stopped it. That the attack is
a real one is shown by the same program where there is no jail, as root in namespaces of its own: it must come to something else, if only
to a complaint about arguments, behind the check of rights. (A third column, None: not there, since it would harm the machine or needs
more than a line; then a test of its own below shows it.)
"""

import os
import pty
import re
import socket
import subprocess

import pytest

from hostile_support import LANGUAGES, outside, program, remove_program, world
from support import ROOT, wait_for
from users import SECRET, USER

__all__ = ["remove_program", "world"]

FILTERED = {"EPERM"}  # by name, in the system call filter
UNKNOWN = {"ENOSYS"}  # by default, in the system call filter
CLOSED = {"ENOENT", "EACCES", "EPERM"}
READ_ONLY = {"EROFS", "EACCES", "EPERM"}

# Numbers of the kernel's headers.
NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80
PACKET, NETLINK, ALG, VSOCK, XDP, BLUETOOTH, TIPC, KEY = 17, 16, 38, 40, 44, 31, 30, 15
HUGETLB = 0x40000

ATTACKS = {
    # files of the host
    "host files": [
        ("open /etc/shadow r", {"ENOENT"}),
        ("open /root/.bashrc r", CLOSED),
        ("list /root", CLOSED | {"empty"}),
        ("list /home", CLOSED | {"empty"}),
        ("list /boot", {"ENOENT"}),
        ("list /srv", {"ENOENT"}),
        ("list /var/lib/dpkg", {"ENOENT"}),
        ("list /etc/ssl/private", {"ENOENT"}),
        ("list {data}", {"ENOENT"}, None),
        ("find secret-of-the-neighbour", {"none"}, None),
        ("make /new", READ_ONLY),
        ("make /usr/new", READ_ONLY),
        ("make /etc/new", READ_ONLY),
        ("make /var/task/new", READ_ONLY, None),
        ("make /var/runtime/new", READ_ONLY, None),
        ("make /opt/new", READ_ONLY),
        ("make /dev/new", READ_ONLY),
        ("open /usr/bin/env w", READ_ONLY),
        ("open /var/task/bootstrap w", READ_ONLY | {"ENOENT", "ETXTBSY"}, None),
        ("open /etc/passwd w", READ_ONLY),
    ],
    "/proc and /sys": [
        ("open /proc/sysrq-trigger w", READ_ONLY | {"ENOENT"}),
        ("open /proc/kcore r", {"empty", "ENOENT"}),
        ("open /proc/kmsg r", {"empty"}),
        ("open /proc/kallsyms r", {"empty"}),
        ("open /proc/keys r", {"empty"}),
        ("open /proc/timer_list r", {"empty"}),
        ("open /proc/sys/kernel/core_pattern w", READ_ONLY),
        ("open /proc/sys/kernel/modprobe w", READ_ONLY | {"ENOENT"}),
        ("open /proc/sys/kernel/hostname w", READ_ONLY),
        ("open /proc/sys/vm/overcommit_memory w", READ_ONLY),
        ("open /proc/sys/net/ipv4/ip_forward w", READ_ONLY),
        ("open /proc/sys/net/ipv4/ping_group_range w", READ_ONLY),
        ("open /proc/sys/fs/binfmt_misc/register w", READ_ONLY | {"ENOENT"}),
        ("open /proc/irq/default_smp_affinity w", READ_ONLY | {"ENOENT"}),
        ("list /sys/kernel", {"ENOENT"}),
        ("list /sys/fs/cgroup", {"ENOENT"}),
        ("list /sys/class/net", {"ENOENT"}),
        ("open /sys/kernel/uevent_helper w", {"ENOENT"}),
        ("list /sys/kernel/debug", {"ENOENT"}),
        ("write /proc/self/oom_score_adj -1000", {"EACCES", "EPERM"}, None),
        ("write /proc/self/uid_map 0", READ_ONLY, None),
        ("write /proc/self/setgroups allow", READ_ONLY),
    ],
    "devices": [
        ("open /dev/mem r", {"ENOENT"}),
        ("open /dev/kmem r", {"ENOENT"}),
        ("open /dev/port r", {"ENOENT"}),
        ("open /dev/vda r", {"ENOENT"}),
        ("open /dev/sda r", {"ENOENT"}),
        ("open /dev/kvm rw", {"ENOENT"}),
        ("open /dev/fuse rw", {"ENOENT"}),
        ("open /dev/net/tun rw", {"ENOENT"}),
        ("open /dev/kmsg r", {"ENOENT"}),
        ("open /dev/console w", {"ENOENT"}),
        ("open /dev/ptmx rw", {"ENOENT"}),
        ("open /dev/userfaultfd rw", {"ENOENT"}),
        ("open /dev/vsock rw", {"ENOENT"}),
        ("open /dev/loop-control rw", {"ENOENT"}),
        ("device /tmp/node c 1 1", {"EPERM", "EACCES"}),
        ("device /tmp/node b 254 0", {"EPERM", "EACCES"}),
        ("device /dev/shm/node c 1 11", {"EPERM", "EACCES"}),
        ("device /dev/node c 1 11", {"EPERM", "EACCES", "EROFS"}),
        ("terminal", {"ENXIO", "ENOTTY"}, None),
    ],
    "processes": [
        ("processes", {"0"}, None),
        ("environs {secret}", {"none"}, None),
        ("open /proc/1/environ r", {"EACCES", "EPERM", "ENOENT"}),
        ("open /proc/1/mem rw", {"EACCES", "EPERM", "ENOENT"}),
        ("open /proc/1/maps r", {"EACCES", "EPERM", "ENOENT"}),
        ("list /proc/1/root", {"EACCES", "EPERM", "ENOENT"}),
        ("list /proc/1/cwd", {"EACCES", "EPERM", "ENOENT"}),
        ("list /proc/1/fd", {"EACCES", "EPERM", "ENOENT"}),
        ("exe /proc/1/exe", {"EACCES", "EPERM", "ENOENT"}),
        ("exe /proc/self/exe", {"EROFS", "EACCES", "EPERM", "ETXTBSY"}, None),
        ("call ptrace 0 0 0 0", FILTERED),
        ("call ptrace 16 1 0 0", FILTERED, None),
        ("call ptrace 0x4206 1 0 0", FILTERED, None),
        ("call process_vm_readv 1 b 1 b 1 0", FILTERED),
        ("call process_vm_writev 1 b 1 b 1 0", FILTERED),
        ("call pidfd_getfd 0 0 0", FILTERED),
        ("call kcmp 1 1 0 0 0", FILTERED),
    ],
    "privileges": [
        ("call setuid 0", {"EPERM", "EINVAL"}),
        ("call setgid 0", {"EPERM", "EINVAL"}),
        ("call setresuid 0 0 0", {"EPERM", "EINVAL"}),
        ("call setgroups 0 0", {"EPERM"}),
        ("suid /usr/bin/su", {"powerless", "EACCES"}, None),
        ("call chroot s/tmp", FILTERED),
        ("call pivot_root s/tmp s/tmp", FILTERED),
        ("call mount snone s/tmp stmpfs 0 0", FILTERED),
        ("call mount scgroup s/tmp scgroup 0 0", FILTERED, None),
        ("call mount 0 s/ 0 0x1020 0", FILTERED),
        ("call umount2 s/proc 2", FILTERED),
        ("call open_tree -100 s/ 1", FILTERED),
        ("call move_mount -100 s/tmp -100 s/mnt 0", FILTERED),
        ("call fsopen stmpfs 0", FILTERED),
        ("call fsmount -1 0 0", FILTERED),
        ("call mount_setattr -100 s/proc 0 b 32", FILTERED),
        *[(f"call unshare {flag:#x}", FILTERED) for flag in (NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET, NEWTIME)],
        (f"call unshare {NEWUSER:#x}", FILTERED),
        *[(f"clone {flag:#x}", UNKNOWN) for flag in (NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET)],
        ("call clone3 b 64", UNKNOWN),
        ("call setns 0 0", FILTERED),
        ("call name_to_handle_at -100 s/etc b b 0", FILTERED),
        ("call open_by_handle_at -100 b 0", FILTERED),
        ("call personality 0x0040000", UNKNOWN),
        ("call personality 0x0400000", UNKNOWN),
        ("foreign i386", {"SIGSYS"}),
        ("foreign x32", {"SIGSYS"}, None),
        ("call setpriority 0 0 -20", {"EACCES", "EPERM"}),
        ("call sched_setscheduler 0 1 b", {"EINVAL", "EPERM"}, None),
        ("call ioprio_set 1 0 0x2000", {"EPERM"}),
    ],
    "the kernel": [
        ("call kexec_load 0 99999 0 0", FILTERED),
        ("call kexec_file_load -1 -1 0 0 0", FILTERED),
        ("call init_module b 16 s", FILTERED),
        ("call finit_module -1 s 0", FILTERED),
        ("call delete_module snone 0", FILTERED),
        ("call bpf 0 b 72", FILTERED),
        ("call bpf 5 b 72", FILTERED),
        ("call perf_event_open b 0 -1 -1 0", FILTERED),
        ("call userfaultfd 1", FILTERED),
        ("call io_uring_setup 4 b", FILTERED),
        ("call io_uring_enter -1 0 0 0 0 0", FILTERED),
        ("call io_uring_register -1 0 0 0", FILTERED),
        ("call keyctl 0 -3 1", FILTERED),
        ("call add_key suser sname sx 1 -3", FILTERED),
        ("call request_key suser sname 0 -3", FILTERED),
        ("call reboot 0 0 0 0", FILTERED),
        ("call swapon s/none 0", FILTERED),
        ("call swapoff s/none", FILTERED),
        ("call sethostname sx 1", FILTERED),
        ("call setdomainname sx 1", FILTERED),
        ("call settimeofday -1 0", FILTERED),
        ("call clock_settime 0 0", FILTERED),
        ("call adjtimex 0", FILTERED),
        ("call clock_adjtime 0 0", FILTERED),
        ("call acct s/none", FILTERED),
        ("call syslog 10 0 0", FILTERED),
        ("call syslog 3 b 4096", FILTERED),
        ("call iopl 3", FILTERED),
        ("call ioperm 0x80 1 1", FILTERED),
        ("call modify_ldt 0 b 4096", FILTERED),
        ("call quotactl 0 0 0 0", FILTERED),
        ("call fanotify_init 0 0", FILTERED),
        ("call memfd_secret 0", FILTERED),
        ("call move_pages 0 0 0 0 0 0", FILTERED),
        ("call migrate_pages 0 0 0 0", FILTERED),
        ("call mbind 0 0 0 0 0 0", FILTERED),
        ("call set_mempolicy 0 0 0", FILTERED),
        ("call vhangup", FILTERED, None),
        ("call lookup_dcookie 0 0 0", FILTERED),
        ("call ustat 0 b", FILTERED),
        ("call sysfs 3", FILTERED),
        ("call uselib s/none", FILTERED),
        ("call 457 b b 4096 0", UNKNOWN),
        ("call 458 b b 1 0", UNKNOWN),
        ("call 467 -100 s/ 1 b 32", UNKNOWN),
        ("call 461 b b 0", UNKNOWN),
        ("call io_setup 1 b", UNKNOWN),
        (f"call mmap 0 0x200000 3 {0x22 | HUGETLB:#x} -1 0", FILTERED),
        ("call memfd_create sx 4", UNKNOWN),
    ],
    "sockets": [
        ("call socket 2 3 1", {"EPERM"}),
        ("call socket 2 3 255", {"EPERM"}),
        ("call socket 10 3 58", {"EPERM"}),
        ("call socket 2 2 1", {"EACCES", "ENOSYS"}, None),
        ("call socket 2 10 0", UNKNOWN),
        ("call socket 2 1 132", UNKNOWN),
        ("call socket 2 5 132", UNKNOWN),
        (f"call socket {PACKET} 3 0x300", UNKNOWN),
        (f"call socket {PACKET} 2 0", UNKNOWN),
        (f"call socket {VSOCK} 1 0", UNKNOWN),
        (f"call socket {ALG} 5 0", UNKNOWN),
        (f"call socket {XDP} 3 0", UNKNOWN),
        (f"call socket {BLUETOOTH} 3 1", UNKNOWN),
        (f"call socket {TIPC} 1 0", UNKNOWN),
        (f"call socket {KEY} 3 2", UNKNOWN),
        (f"call socket {0x100000000 | VSOCK:#x} 1 0", UNKNOWN),
        *[(f"call socket {NETLINK} 3 {protocol}", UNKNOWN) for protocol in (4, 6, 9, 11, 12, 15, 16)],
        ("address 198.19.0.99", {"EPERM"}),
        ("link lo", {"EPERM"}),
        ("unix @secret-of-the-host", {"ECONNREFUSED"}, None),
        ("unix /run/secret-of-the-host", {"ENOENT"}, None),
    ],
}  # fmt: skip

ROWS = [pytest.param(row[0], row[1], id=f"{group}: {row[0]}") for group, rows in ATTACKS.items() for row in rows]
FREE = [pytest.param(row[0], row[1], id=f"{group}: {row[0]}") for group, rows in ATTACKS.items() for row in rows if len(row) == 2]
LACKING = {"ENOENT", "ENOSYS", "EAFNOSUPPORT"}  # answers of a machine that has not what the attack is after


def fill(world, text):
    return text.format(data=world.server.data, secret=SECRET)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text, expected", ROWS)
def test_an_attack_comes_to_nothing(world, language, text, expected):
    assert world.attack(language, fill(world, text)) in expected
    world.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is free enough")
@pytest.mark.parametrize("text, expected", FREE)
def test_without_a_jail_it_comes_to_something_else(text, expected):
    result = outside(text)
    if result in LACKING and result in expected:
        pytest.skip(f"this kernel lacks what the attack is after: {text} ({result})")
    assert result not in expected


# --- attacks of more than one line, and the proofs of rows without --------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_without_a_jail_a_set_user_id_program_gets_power():
    assert outside("suid /usr/bin/su", user=USER) == "ok:0"


@pytest.mark.skipif(os.geteuid() != 0, reason="a kernel may leave this to root")
def test_without_a_jail_a_key_gets_into_the_terminal():
    child, fd = pty.fork()
    if child == 0:
        os.execv(program(), ["attack", "terminal"])
    said = b""
    while b"ok:/dev/tty" not in said:
        said += os.read(fd, 100)  # an error ends the loop: the program has ended without having said it
    os.waitpid(child, 0)
    os.close(fd)


@pytest.mark.parametrize("language", LANGUAGES)
def test_searches_find_what_is_the_functions_own(world, language):
    """So `find`, `environs` and `processes` would have found the rest."""
    assert world.attack(language, "find bootstrap" if language == "c" else "find attack.py").startswith("ok:/var/")
    assert re.fullmatch(r"ok:\d+", world.attack(language, "environs AWS_LAMBDA_FUNCTION_NAME"))
    assert world.attack(language, "daemon") == "ok"
    assert world.attack(language, "processes") == "1"
    world.restart(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sockets_of_the_host_cannot_be_found_by_name(world, language):
    name = "secret-of-the-host-too"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        run = subprocess.run([program(), "unix", "@" + name], capture_output=True, text=True)
        assert run.stdout == "ok\n"
        assert world.attack(language, "unix @" + name) == "ECONNREFUSED"
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_the_kernel_are_the_sandboxes_own(world, language):
    """Each namespace is neither the host's nor the neighbour's."""
    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        path = f"/proc/self/ns/{kind}"
        ours = world.attack(language, "readlink " + path)
        assert re.fullmatch(kind + r":\[\d+\]", ours)
        assert ours not in (os.readlink(path), world.attack("python" if language == "c" else "c", "readlink " + path))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_descriptor_of_anybody_else_is_open(world, language):
    world.restart(language)  # before it has opened anything itself
    found = dict(pair.split("=") for pair in world.attack(language, "fds").split())
    own = {"0": "/dev/null", "1": "pipe", "2": "pipe"}
    assert {fd: target for fd, target in found.items() if int(fd) < 3} == own
    # Above: its connections to the Runtime API, and the folder of this very list; what the C library watches its own log with.
    above = {"socket", "/proc/2/fd"} | ({"log", "anon_inode:[eventpoll]"} if language == "c" else set())
    assert {target for fd, target in found.items() if int(fd) > 2} <= above, found


@pytest.mark.parametrize("language", LANGUAGES)
def test_init_hears_no_signal(world, language):
    before = world.attack(language, "ids")
    for number in range(1, 65):
        if number not in (32, 33):  # the C library's own
            assert world.attack(language, f"kill 1 {number}") in ("ok", "EPERM")
    assert world.attack(language, "ids") == before
    world.check()


@pytest.mark.parametrize("attack", ["call prlimit64 1 7 b 0", "call sched_setscheduler 1 5 b", "call setpriority 0 1 19"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_inits_own_limits_are_out_of_reach(world, language, attack):
    """The function has init's user id only where an ordinary user has but one: then it can, and its sandbox ends for it."""
    world.restart(language)
    result = world.attack(language, attack)
    if world.one_id():
        wait_for(lambda: not world.instances_of(language), "the sandbox to be ended")
    else:
        assert result == "EPERM"
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_shared_memory_of_one_function_is_not_anothers(world, language):
    other = "python" if language == "c" else "c"
    all_kinds = "shm sem msg posix-shm "  # mq_open is stopped by Landlock: the queues are files of nowhere
    assert world.attack(language, "ipc make 4711") == all_kinds
    assert world.attack(language, "ipc look 4711") == all_kinds
    assert world.attack(other, "ipc look 4711") == "none"
    world.restart(language)
    assert world.attack(language, "ipc look 4711") == "none"


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_in_tmp_meet_nobody_else(world, language):
    other = "python" if language == "c" else "c"
    for target in ("/etc/passwd", str(world.server.data), "/proc/1/mem"):
        assert world.attack(language, f"plant {target} /tmp/planted") == "ok"
        assert world.attack(language, "readlink /tmp/planted") == target  # its own, at its next invocation, as on AWS
        assert world.attack(language, "open /tmp/planted w") in READ_ONLY | {"ENOENT"}
        assert world.attack(other, "readlink /tmp/planted") == "ENOENT"
        world.check()
    world.restart(language)
    assert world.attack(language, "readlink /tmp/planted") == "ENOENT"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_daemon_ends_with_its_sandbox(world, language):
    world.restart(language)
    for _ in range(3):
        assert world.attack(language, "daemon") == "ok"
    assert len(world.instances_of(language)) == 1 + 3
    world.restart(language)  # waits until none of them is left
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_flushing_every_disk_is_only_said_to_be_done(world, language):
    for name in ("sync", "syncfs"):
        assert world.attack(language, f"call {name} -1") == "ok"  # with a descriptor that is none, syncfs would fail


def test_every_attack_is_documented():
    """docs/security.md names each file and each system call of ATTACKS, and what defends it."""
    text = (ROOT / "docs" / "security.md").read_text()
    names = {"457": "statmount", "458": "listmount", "461": "lsm_list_modules", "467": "open_tree_attr"}
    for rows in ATTACKS.values():
        for row in rows:
            verb, *words = row[0].split(" ")
            if verb == "call" and words[0] != "socket":
                assert f"`{names.get(words[0], words[0])}`" in text, row[0]
            elif verb in ("open", "list", "exe", "device", "write") and words[0].startswith("/"):
                assert f"`{words[0]}`" in text or os.path.dirname(words[0]) in ("/root", "/var/task"), row[0]
            elif verb == "make":
                assert f"`{os.path.dirname(words[0])}`" in text, row[0]
