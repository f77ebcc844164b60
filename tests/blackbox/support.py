# SPDX-License-Identifier: Apache-2.0
"""What the black-box tests share: a Server (a running `sluice serve` and how to talk to it), zips, waiting.

    from support import wait_for, zip_bytes, zip_folder, ROLE

The fixtures that make servers are in conftest.py. The program is $SLUICE_BIN, else build/sluice, so the same tests run
against a sanitizer's build.
"""

import contextlib
import ctypes
import gc
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
import zipfile
from pathlib import Path

import boto3
import botocore.config

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice")).resolve()
SANITIZED = "asan" in str(BIN) or "tsan" in str(BIN)
# A sanitizer's build is several times slower; a shared machine too. Waits end as soon as their condition holds.
PATIENCE = 120 if SANITIZED else 60
ROLE = "arn:aws:iam::000000000000:role/test"
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")
ERROR_LINE = re.compile(r"^\S+Z error ")

# Orphans of a killed server become our children instead of init's, so that they can be found.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# --- helpers for tests ----------------------------------------------------------------------------------------------


def wait_for(condition, what="condition", timeout=None, interval=0.01):
    """Calls condition until it gives something true, which is returned. Never a plain sleep in a test."""
    end = time.monotonic() + (timeout or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(interval)


def zip_bytes(files):
    """A zip of {name: text or bytes, or (text or bytes, mode)}; the default mode is 0755 for bootstrap, else 0644."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o755 if name == "bootstrap" else 0o644)
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def zip_folder(folder):
    files = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[str(path.relative_to(folder))] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return zip_bytes(files)


class Response:
    """status, reason, headers (lower-case names, list of pairs in .pairs), body (bytes), text, json()."""

    def __init__(self, answer):
        self.status, self.reason = answer.status, answer.reason
        self.pairs = answer.getheaders()
        self.headers = {name.lower(): value for name, value in self.pairs}
        self.body = answer.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def processes():
    """{pid: (parent, command)} of every process that is not a zombie."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                text = Path("/proc", entry, "stat").read_text()
                command, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
                if rest[0] != "Z":
                    found[int(entry)] = (int(rest[1]), command)
    return found


def descendants(pid):
    """{pid: command} of the processes below pid."""
    table = processes()
    found, grown = {}, True
    while grown:
        grown = False
        for child, (parent, command) in table.items():
            if child not in found and (parent == pid or parent in found):
                found[child] = command
                grown = True
    return found


# Descriptors of bounded caches: log files of functions, recycled network namespaces. They may stay.
CACHED = re.compile(r"/logs/[^/]*\.log$|^net:\[")


def descriptors(pid):
    """Number of open descriptors of a process, without those of caches."""
    count = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                count += not CACHED.search(os.readlink(f"/proc/{pid}/fd/{name}"))
    return count


# --- the server -----------------------------------------------------------------------------------------------------


class Server:
    """A running `sluice serve`. Starts in the constructor, which returns when the ready line has come.

    command: the words that run sluice, when it is not BIN itself; the last of them must be executed in place (exec), not forked."""

    started = weakref.WeakSet()

    def __init__(self, *options, data=None, env=None, listen="127.0.0.1:0", command=None):
        self.options, self.env, self.listen, self.command = options, env or {}, listen, command or [str(BIN)]
        self.own_data = data is None
        self.data = Path(data or tempfile.mkdtemp(prefix="sluice-test-"))
        self.log_path = Path(tempfile.mkstemp(prefix="sluice-test-", suffix=".log")[1])
        self.expected_errors, self.clients, self.tree = [], {}, set()
        self.scopes = {("us-east-1", "test")}
        self.process = None
        Server.started.add(self)
        try:
            self.start()
        except BaseException:
            self.dispose()
            raise

    def start(self):
        data = [] if "--memory" in self.options else ["--data", str(self.data)]
        command = [*self.command, "serve", "--listen", self.listen, *data, *self.options]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **self.env}
            )
        line = self.process.stdout.readline().decode()
        ready = re.fullmatch(r"ready (http://127\.0\.0\.1:(\d+))\n", line)
        if not ready:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"no ready line but {line!r}; log:\n{self.log()}")
        self.url, self.port = ready[1], int(ready[2])
        self.clients.clear()
        self.note_tree()
        self.base = self.footprint()

    # -- talking to it

    def client(self, service, region="us-east-1", account=None, **config):
        """A boto3 client; `account` is a 12-digit access key, which names the account on a loopback listener."""
        key = (service, region, account, tuple(sorted(config.items())))
        if key not in self.clients:
            self.scopes.add((region, account or "test"))
            self.clients[key] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account or "test",
                aws_secret_access_key="test",
                config=botocore.config.Config(
                    **{"retries": {"total_max_attempts": 1}, "read_timeout": 2 * PATIENCE, "parameter_validation": False, **config}
                ),
            )
        return self.clients[key]

    def http(self, method, path, body=None, headers=None, host=None):
        """One request on a connection of its own; `host` sets the Host header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {**({"Host": host} if host else {}), **(headers or {})})
            return Response(connection.getresponse())
        finally:
            connection.close()

    def create_function(self, name, files, runtime="python3.11", handler="index.handler", wait=True, client=None, **more):
        """CreateFunction from {file name: content} or zip bytes; waits until it is Active unless wait=False."""
        client = client or self.client("lambda")
        code = files if isinstance(files, bytes) else zip_bytes(files)
        answer = client.create_function(
            **{"FunctionName": name, "Runtime": runtime, "Handler": handler, "Role": ROLE, "Code": {"ZipFile": code}, **more}
        )
        if wait:
            wait_for(lambda: client.get_function_configuration(FunctionName=name)["State"] == "Active", f"{name} to be Active")
        return answer

    def invoke(self, name, payload=None, client=None, **more):
        """Invokes; the answer gets Text (bytes) and Json (decoded payload, or None)."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        answer = (client or self.client("lambda")).invoke(FunctionName=name, Payload=body, **more)
        answer["Text"] = answer["Payload"].read()
        try:
            answer["Json"] = json.loads(answer["Text"])
        except ValueError:
            answer["Json"] = None
        return answer

    def cli(self, *arguments, env=None, stdin=None, timeout=None):
        """Runs the sluice command against this server; gives a CompletedProcess with text."""
        return subprocess.run(
            [str(BIN), *arguments],
            env={**os.environ, "SLUICE_ENDPOINT": self.url, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout or 2 * PATIENCE,
        )

    # -- its log

    def log(self):
        return self.log_path.read_text(errors="replace")

    def expect_error_log(self, text):
        """Announces that a line of level error which contains text is right in this test."""
        self.expected_errors.append(text)

    def bad_log_lines(self):
        return [
            line
            for line in self.log().splitlines()
            if REPORT.search(line) or (ERROR_LINE.match(line) and not any(text in line for text in self.expected_errors))
        ]

    def close_clients(self):
        """Closes the clients' idle connections; the clients stay usable."""
        gc.collect()  # an answer that was refused early holds its connection until its exception is gone
        for client in self.clients.values():
            # close() alone only forgets the pools: their connections stay open while an answer that the test keeps refers to them.
            for pool in list(client._endpoint.http_session._manager.pools._container.values()):
                pool.close()
            client.close()

    # -- ending it

    def running(self):
        return self.process is not None and self.process.poll() is None

    def note_tree(self):
        self.tree |= {self.process.pid, *descendants(self.process.pid)}

    def end(self, number, timeout=None):
        self.note_tree()
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout or PATIENCE)
        finally:
            self.process.stdout.close()

    def stop(self):
        """SIGTERM: finishes what it accepted; gives the exit status."""
        return self.end(signal.SIGTERM)

    def kill(self):
        """kill -9 of the main process only, as the out-of-memory killer would."""
        return self.end(signal.SIGKILL)

    def restart(self):
        """Starts again on the same data directory after stop or kill."""
        assert not self.running()
        self.start()

    def footprint(self):
        """(descriptors of the server's processes, number of processes): equal before and after means nothing leaked."""
        pids = {self.process.pid: "", **descendants(self.process.pid)}
        return sum(descriptors(pid) for pid in pids), len(pids)

    # -- what is left of it

    def cgroups(self):
        """Cgroup folders that processes of this server made (named sluice-PID-...)."""
        found = []
        for base, folders, _ in os.walk("/sys/fs/cgroup"):
            for name in list(folders):
                made = re.match(r"sluice-(\d+)-", name)
                if made:
                    folders.remove(name)
                    if int(made[1]) in self.tree:
                        found.append(os.path.join(base, name))
        return found

    def mounts(self):
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.data) in line]

    def leftovers(self, spared):
        """Waits until nothing remains; gives the list of what does, after killing it."""

        def remaining():
            # Another server that runs makes sandboxes meanwhile: they are below it, whereas what lost its parent is below us.
            others = {pid for server in Server.started if server.running() for pid in (server.process.pid, *descendants(server.process.pid))}
            lost = {pid: name for pid, name in descendants(os.getpid()).items() if pid in self.tree or pid not in spared | others}
            return [*(f"process {pid} {name}" for pid, name in lost.items()), *self.cgroups(), *self.mounts()]

        with contextlib.suppress(AssertionError):
            wait_for(lambda: not remaining())
        left = remaining()
        for line in left:
            if line.startswith("process "):
                with contextlib.suppress(OSError):
                    os.kill(int(line.split()[1]), signal.SIGKILL)
        return left

    def dispose(self):
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)
