# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: starting Sluice and its peers, deploying functions, driving wrk, printing ratios.

Every figure is printed beside its floor or peer of the same run: absolute numbers drift with the machine, ratios hold. "One core"
means the whole serving side pinned to core 0 and the load generator to core 1.
"""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD_DIR", os.path.join(ROOT, "build"))
SLUICE = os.environ.get("SLUICE_BIN", os.path.join(BUILD, "sluice"))
FUNCTIONS = os.path.join(ROOT, "bench", "functions")
ACCOUNT, REGION = "000000000000", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/bench"
SERVING, LOADING = "0", "1"


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            sys.exit(f"bench: {program} is missing; run tools/install-deps --bench")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, seconds=10):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.01)
    sys.exit(f"bench: nothing listens on port {port}")


def pinned(command, core):
    return ["taskset", "-c", core, *command] if core is not None else command


@contextlib.contextmanager
def process(command, core=None, **options):
    child = subprocess.Popen(pinned(command, core), start_new_session=True, **options)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        child.wait(30)


class Sluice:
    """A server of its own, in memory unless told, on a free port."""

    def __init__(self, core=None, threads=None, options=(), memory=True):
        kept = ["--memory"] if memory else []
        command = [SLUICE, "serve", "--listen", "127.0.0.1:0", *kept, "--nearest-runtime", "--log-level", "error", *options]
        if threads:
            command += ["--threads", str(threads)]
        self.started = time.monotonic()
        self.child = subprocess.Popen(pinned(command, core), stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline()
        self.ready_seconds = time.monotonic() - self.started
        if not line.startswith("ready "):
            sys.exit("bench: the server did not start")
        self.url = line.split()[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(60)

    def call(self, method, path, body=None, headers=()):
        request = urllib.request.Request(self.url + path, method=method, headers=dict(headers))
        if body is not None:
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def function(self, name, runtime, handler, files, memory=128, **more):
        body = {"FunctionName": name, "Runtime": runtime, "Handler": handler, "Role": ROLE, "MemorySize": memory, "Timeout": 10,
                "Code": {"ZipFile": base64.b64encode(make_zip(files)).decode()}, **more}
        self.call("POST", "/2015-03-31/functions", body)
        limit = time.monotonic() + 30
        while json.loads(self.call("GET", f"/2015-03-31/functions/{name}/configuration"))["State"] != "Active":
            if time.monotonic() > limit:
                sys.exit(f"bench: {name} does not become active")
            time.sleep(0.02)

    def http_api(self, name):
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        api = json.loads(self.call("POST", "/v2/apis", {"name": name, "protocolType": "HTTP", "target": arn}))["apiId"]
        self.call("POST", f"/2015-03-31/functions/{name}/policy",
                  {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"})
        return f"{self.url}/_aws/execute-api/{api}/$default/"

    def invoke(self, name, payload=b"{}"):
        return self.call("POST", f"/2015-03-31/functions/{name}/invocations", payload)

    def processes(self):
        """Pids of supervisor, spawner and server, by role."""
        children = subprocess.run(["pgrep", "-P", str(self.child.pid)], capture_output=True, text=True).stdout.split()
        return [self.child.pid, *map(int, children)]


class Connection:
    """A kept connection with as little of a client as possible: Python's own takes half a millisecond for a call, which would be counted."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path, name, body=b"{}"):
        """The answer's body. Ends the program when it is an error."""
        self.socket.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\ncontent-length: *(\d+)", head)[1])
        while len(rest) < length:
            rest += self.receive()
        if b" 200 " not in head.split(b"\r\n")[0] or b"x-amz-function-error" in head.lower():
            sys.exit(f"bench: {name}: {rest[:200]}")
        return rest

    def receive(self):
        return self.socket.recv(65536) or sys.exit("bench: the server closed the connection")


def make_zip(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (data, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data)
    return out.getvalue()


def read(*parts):
    with open(os.path.join(*parts), "rb") as file:
        return file.read()


def compile_c(sources, out, *flags):
    subprocess.run(["gcc", "-O2", "-o", out, *sources, *flags], check=True)


def c_function(folder):
    out = os.path.join(folder, "bootstrap")
    runtime = os.path.join(ROOT, "runtimes", "c")
    compile_c([os.path.join(FUNCTIONS, "c", "hello.c"), os.path.join(runtime, "sluice_runtime.c")], out, "-static", "-I", runtime)
    return {"bootstrap": (read(out), 0o755)}


def language_functions(folder):
    """name -> (runtime, handler, files)"""
    return {
        "c": ("provided.al2023", "bootstrap", c_function(folder)),
        "python": ("python3.11", "app.handler", {"app.py": (read(FUNCTIONS, "python", "app.py"), 0o644)}),
        "nodejs": ("nodejs20.x", "index.handler", {"index.mjs": (read(FUNCTIONS, "nodejs", "index.mjs"), 0o644)}),
    }


def wrk(url, connections, seconds=4, core=LOADING):
    """Requests per second, p50 and p99 in milliseconds; every answer must be 2xx."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency", "--timeout", "20s", url]
    text = subprocess.run(pinned(command, core), capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"bench: {url} answered errors:\n{text}")
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    latency = {p: float(v) * unit[u] for p, v, u in re.findall(r"\s(50|99)%\s+([\d.]+)(us|ms|s)", text)}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), latency["50"], latency["99"]


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@contextlib.contextmanager
def scratch():
    folder = tempfile.mkdtemp(prefix="sluice-bench-")
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def epoll_floor(folder, *arguments, core=SERVING):
    out = os.path.join(folder, "epoll_floor")
    if not os.path.exists(out):
        compile_c([os.path.join(ROOT, "bench", "floor", "epoll_floor.c")], out)
    with process([out, *map(str, arguments)], core, stdout=subprocess.DEVNULL) as child:
        yield child


@contextlib.contextmanager
def nginx(folder, upstream, core=SERVING, workers=1):
    port = free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write(f"""daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user root;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000;
  upstream backend {{ server unix:{upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
""")
    with process(["nginx", "-c", config, "-p", folder], core, stderr=subprocess.DEVNULL):
        wait_port(port)
        yield f"http://127.0.0.1:{port}/"


@contextlib.contextmanager
def haproxy_return(folder, core=SERVING):
    port = free_port()
    config = os.path.join(folder, "haproxy.cfg")
    with open(config, "w") as file:
        file.write(f"""global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout connect 5s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "hello"
""")
    with process(["haproxy", "-f", config, "-db"], core, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        wait_port(port)
        yield f"http://127.0.0.1:{port}/"


def row(*cells, widths=(34, 14, 12, 12, 30)):
    print("".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width) for i, (cell, width) in enumerate(zip(cells, widths))),
          flush=True)
