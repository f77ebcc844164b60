# SPDX-License-Identifier: Apache-2.0
"""Ordinary users to run servers as: `plain` has nothing but its id, `ranges` is in /etc/subuid and may open /dev/net/tun. Run as root, tests
become them; the second one exists only in a mount namespace of its own, in copies of /etc/passwd and its like. Run by an ordinary user,
that user (`self`) is the only one.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import BIN, PATIENCE, ROOT

USER = 64123  # of nobody
RANGE = 3_000_000
SECRET = "only-the-server-knows"
KINDS = ("plain", "ranges") if os.geteuid() == 0 else ("self",)


class User:
    """An ordinary user with a copy of the program and the runtimes that it can read: the tree itself may be closed to it."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.program = folder / "bin" / "sluice"
        self.program.parent.mkdir()
        shutil.copy(BIN, self.program)
        shutil.copytree(os.environ.get("SLUICE_RUNTIMES", ROOT / "runtimes"), folder / "runtimes", ignore=shutil.ignore_patterns("__pycache__"))
        folder.chmod(0o755)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        self.command = [str(self.program)]
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        if kind == "plain":
            self.command = [*become, *self.command]
        elif kind == "ranges":
            mounts = []
            for name, line in (("passwd", f"sluicetest:x:{USER}:{USER}::/:/bin/sh"), ("group", f"sluicetest:x:{USER}:"),
                               ("subuid", f"sluicetest:{RANGE}:65536"), ("subgid", f"sluicetest:{RANGE}:65536")):  # fmt: skip
                there = Path("/etc", name)
                (folder / name).write_text((there.read_text() if there.exists() else "") + line + "\n")
                if not there.exists():
                    there.touch()
                mounts.append(f"mount --bind {folder / name} {there}")
            if os.path.exists("/dev/net/tun"):
                (folder / "dev").mkdir()
                mounts += [f"mount -t tmpfs none {folder}/dev", f"mknod -m 666 {folder}/dev/tun c 10 200", f"mount --bind {folder}/dev/tun /dev/net/tun"]
            script = " && ".join(mounts) + ' && exec "$@"'
            self.command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *become, *self.command]
        self.env = {"HOME": str(folder), "SLUICE_RUNTIMES": str(folder / "runtimes"), "SERVER_SECRET": SECRET}

    def features(self):
        """{name: what doctor says} for this user."""
        return {item["name"]: item for item in json.loads(self.run("doctor", "--json").stdout)["features"]}

    def data(self):
        """A new data directory of this user."""
        path = Path(tempfile.mkdtemp(dir=self.folder))
        if self.kind != "self":
            os.chown(path, USER, USER)
        return path

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              cwd="/", timeout=PATIENCE)  # fmt: skip
