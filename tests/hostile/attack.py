# SPDX-License-Identifier: Apache-2.0
"""The hostile function in Python: the verbs of attack.c, with the same words and results (see attack.h)."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import mmap
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import threading

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
KEPT = []  # sockets and mappings that are to outlive the invocation
MIB = 1 << 20


def name(number):
    return errno.errorcode.get(number, "E?").replace("EOPNOTSUPP", "ENOTSUP")


def attempt(action):
    """ "ok", what the action says, or the name of the error."""
    try:
        said = action()
        return "ok" if said is None else said
    except socket.gaierror as error:
        return f"unresolved: {error.strerror}"
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return name(error.errno)


def judge(result):
    return "ok" if result >= 0 else name(ctypes.get_errno())


def c_call(number, *words):
    def argument(word):
        if word[0] == "s":
            return ctypes.c_char_p(word[1:].encode())
        if word[0] == "b":
            return ctypes.c_char_p(bytes(4096))
        value = int(word, 0) & (1 << 64) - 1
        return ctypes.c_long(value - (1 << 64) if value >> 63 else value)

    return judge(libc.syscall(ctypes.c_long(int(number)), *map(argument, words)))


def c_open(path, mode, offset="0"):
    def action():
        fd = os.open(path, {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}[mode] | os.O_NONBLOCK)
        try:
            if mode == "w":
                return None
            try:
                got = os.pread(fd, 64, int(offset, 0))
            except OSError as error:
                if error.errno != errno.ESPIPE:
                    raise
                got = os.read(fd, 64)
            return None if got else "empty"
        finally:
            os.close(fd)

    return attempt(action)


def c_write(path, text):
    def action():
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())

    return attempt(action)


def c_make(path):
    def action():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)

    return attempt(action)


def c_list(path):
    return attempt(lambda: None if os.listdir(path) else "empty")


def c_readlink(path):
    return attempt(lambda: os.readlink(path))


def c_device(path, kind, major, minor):
    def action():
        os.mknod(path, (stat.S_IFBLK if kind == "b" else stat.S_IFCHR) | 0o600, os.makedev(int(major), int(minor)))
        try:
            return "made:" + attempt(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
        finally:
            os.unlink(path)

    return attempt(action)


def c_fds():
    found = []
    for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
        with contextlib.suppress(OSError):
            found.append(f"{fd}={os.readlink(f'/proc/self/fd/{fd}').split(':')[0]} ")
    return "".join(found)


def c_processes():
    return str(sum(p.isdigit() and p not in ("1", str(os.getpid())) for p in os.listdir("/proc")))


def c_environs(secret):
    found = "none"
    for path in glob.glob("/proc/[0-9]*/environ"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if secret.encode() in file.read():
                found = "ok:" + path.split("/")[2]
    return found


def c_find(marker):
    for base, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(base, f) not in ("/usr", "/proc")]
        for entry in folders + files:
            if marker in entry:
                return "ok:" + os.path.join(base, entry)
    return "none"


def c_suid(path):
    # Standard input stays open, for which the program waits.
    child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with open(f"/proc/{child.pid}/status") as file:  # after the exec, of which Popen waits for the result
            effective = int(next(line for line in file if line.startswith("Uid:")).split()[2])
        return "powerless" if effective == os.geteuid() else f"ok:{effective}"
    finally:
        child.kill()
        child.communicate()


def end_of(child):
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "ok" if os.WEXITSTATUS(status) == 0 else name(os.WEXITSTATUS(status))


def c_foreign(table):
    child = os.fork()
    if child == 0:
        if table == "i386":  # mov $20, %eax; int $0x80; ret
            code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
            result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
        else:
            result = libc.syscall(ctypes.c_long(0x40000000 | 39))
            result = -ctypes.get_errno() if result < 0 else result
        os._exit(-result if result < 0 else 0)
    return end_of(child)


def c_clone(flags):
    child = libc.syscall(ctypes.c_long(56), ctypes.c_long(int(flags, 0) | signal.SIGCHLD), None, None, None, None)
    if child == 0:
        os._exit(0)
    return judge(child) if child < 0 else end_of(child)


def c_kill(pid, number):
    return attempt(lambda: os.kill(int(pid), int(number)))


def c_terminal():
    def push(fd):
        fcntl.ioctl(fd, termios.TIOCSTI, b"\n")

    with contextlib.suppress(OSError), open("/dev/tty", "r+b", buffering=0) as tty:
        push(tty)
        return "ok:/dev/tty"
    result = ""
    for fd in range(3):
        result = attempt(lambda fd=fd: push(fd))
        if result == "ok":
            return f"ok:{fd}"
    return result


def c_ipc(verb, key):
    key, create = int(key), 0o1000 | 0o666 if verb == "make" else 0
    open_flags = os.O_RDWR | (os.O_CREAT if create else 0)
    path = f"/sluice-{key}".encode()
    libc.mq_open.restype = ctypes.c_int
    found = ""
    if libc.shmget(key, ctypes.c_size_t(4096), create) >= 0:
        found += "shm "
    if libc.semget(key, 1, create) >= 0:
        found += "sem "
    if libc.msgget(key, create) >= 0:
        found += "msg "
    if libc.shm_open(path, open_flags, 0o666) >= 0:
        found += "posix-shm "
    if libc.mq_open(path, open_flags, 0o666, None) >= 0:
        found += "posix-mq "
    return found or "none"


def c_plant(target, path):
    def action():
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.symlink(target, path)

    return attempt(action)


def c_daemon():
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_IGN)
            while True:
                signal.pause()
        os._exit(0)
    os.waitpid(child, 0)
    return "ok"


def c_exe(path):
    def action():
        fd = os.open(path, os.O_RDONLY)
        try:
            os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY))
        finally:
            os.close(fd)

    return attempt(action)


def c_ids():
    return f"{os.getuid()} {os.getgid()} {os.getpid()}"


# --- network --------------------------------------------------------------------------------------------------------


def c_connect(host, port):
    def action():
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as s:
            s.settimeout(3)
            s.connect(address)

    return attempt(action)


def c_datagram(address, port):
    def action():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((address, int(port)))
            s.send(b"x")
            if not select.select([s], [], [], 1)[0]:
                return "silence"
            s.recv(1)
            return None

    return attempt(action)


def c_unix(path):
    def action():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("\0" + path[1:] if path.startswith("@") else path)

    return attempt(action)


def c_listen(port):
    def action():
        s = socket.create_server(("", int(port)))
        KEPT.append(s)
        for _, interface in socket.if_nameindex():
            if interface != "lo":
                packed = fcntl.ioctl(s, 0x8915, struct.pack("256s", interface.encode()))  # SIOCGIFADDR
                return socket.inet_ntoa(packed[20:24])
        return "none"

    return attempt(action)


def c_address(address):
    def action():
        body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton(address))
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
            s.send(struct.pack("=IHHII", 16 + len(body), 20, 0x605, 0, 0) + body)  # RTM_NEWADDR
            error = struct.unpack_from("=i", s.recv(4096), 16)[0]
            return None if error == 0 else name(-error)

    return attempt(action)


def c_link(interface):
    def action():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", interface.encode(), 0))  # SIOCSIFFLAGS

    return attempt(action)


# --- floods ---------------------------------------------------------------------------------------------------------


def c_bomb():
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def counted(action, most=100000):
    """Repeats until an error: "ERROR after COUNT"."""
    for count in range(most):
        result = attempt(action)
        if result != "ok":
            return f"{result} after {count}"
    return f"ok after {most}"


def c_forks():
    def action():
        if os.fork() == 0:
            while True:
                signal.pause()

    return counted(action)


def c_threads():
    threading.stack_size(32768)
    event = threading.Event()
    for count in range(100000):
        try:
            threading.Thread(target=event.wait, daemon=True).start()
        except (RuntimeError, MemoryError):
            return f"EAGAIN after {count}"
    return "ok"


def c_spin(processes):
    for _ in range(1, int(processes)):
        if os.fork() == 0:
            break
    while True:
        pass


def c_memory(kind, most):
    most, block = int(most), b"\x5a" * MIB

    def hold(m):
        m.write(block)
        KEPT.append(m)

    if kind == "anonymous":
        return counted(lambda: hold(mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)), most)
    if kind == "shared":
        return counted(lambda: hold(mmap.mmap(-1, MIB)), most)
    if kind in ("memfd", "tmp", "shm"):
        try:
            fd = os.memfd_create("x") if kind == "memfd" else os.open("/tmp/fill" if kind == "tmp" else "/dev/shm/fill", os.O_CREAT | os.O_WRONLY)
        except OSError as error:
            return name(error.errno) + " after 0"
        try:
            return counted(lambda: os.write(fd, block) == MIB and None, most)
        finally:
            os.close(fd)
            for path in ("/tmp/fill", "/dev/shm/fill"):
                with contextlib.suppress(OSError):
                    os.unlink(path)
    if kind == "pipes":
        while True:
            read, write = os.pipe()
            os.set_blocking(write, False)
            KEPT.append((read, write))
            with contextlib.suppress(OSError):
                os.write(write, block)
    raise ValueError(kind)


def c_inodes(folder):
    numbers = iter(range(1 << 62))
    return counted(lambda: os.close(os.open(f"{folder}/i{next(numbers)}", os.O_CREAT | os.O_WRONLY)), 10000000)


def c_held():
    held = []
    try:
        return counted(lambda: held.append(os.dup(0)))
    finally:
        for fd in held:
            os.close(fd)


def c_watches():
    held = []

    def action():
        fd = libc.inotify_init()
        if fd < 0:
            return name(ctypes.get_errno())
        held.append(fd)
        return None

    try:
        return counted(action)
    finally:
        for fd in held:
            os.close(fd)


def c_log(most, kind):
    block = (b"x" * 99 + b"\n") * (MIB // 100) if kind == "line" else b"x" * MIB
    for _ in range(int(most)):
        sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    return "ok"


def handler(event, context):
    verb, *words = event.split(" ")
    return globals()["c_" + verb](*words)


if __name__ == "__main__":
    print(handler(" ".join(sys.argv[1:]), None))
