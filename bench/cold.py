#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cold starts: from the client's request to its answer with no instance of the function, after 20 ms of idleness, beside a bare start of
the same program in the same run and beside `crun run` of it; with blanks (docs/blanks.md) and without.
Usage: bench/cold.py [COUNT [LANGUAGE...]]

Each sample calls a function of its own, created beforehand, so that no instance can be warm. "blanks" waits, as well as for the 20 ms,
until one is ready, as it would be for the cold start that comes alone; "burst" is a hundred calls at once of one function that was
never called, after the first cold start of its runtime: the time until all are answered."""

import concurrent.futures
import glob
import http.client
import json
import re
import os
import shutil
import subprocess
import sys
import time

import common


def bare_start(command):
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    child.stdout.read(1)
    spent = time.perf_counter() - begin
    child.communicate()
    return spent


def samples(count, take):
    values = []
    for i in range(count):
        time.sleep(0.02)
        values.append(take(i) * 1000)
    return values


def show(name, values, reference=None):
    p50, p99 = common.percentile(values, 0.5), common.percentile(values, 0.99)
    ratio = "" if reference is None else f"{p50 / common.percentile(reference, 0.5):.1f}x bare start"
    common.row(name, f"{len(values)}", f"{p50:.2f} ms", f"{p99:.2f} ms", ratio)


def crun_bundle(folder, command):
    """A bundle whose root is the host's /usr, read-only, as our sandboxes have it."""
    root = os.path.join(folder, "root")
    for name in ("usr", "proc", "dev", "tmp", "task"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    for name in ("bin", "lib", "lib64"):
        link = os.path.join(root, name)
        if not os.path.islink(link):
            os.symlink("usr/" + name, link)
    subprocess.run(["crun", "spec", "-b", folder], check=False, capture_output=True)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    config["process"].update(terminal=False, args=command)
    config["root"] = {"path": root, "readonly": True}
    config["mounts"] = [m for m in config["mounts"] if m["type"] in ("proc", "tmpfs")]
    config["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]})
    config["mounts"].append({"destination": "/task", "type": "bind", "source": common.FUNCTIONS, "options": ["rbind", "ro"]})
    config.get("linux", {}).pop("resources", None)
    json.dump(config, open(path, "w"))


def crun_samples(folder, name, command, count):
    """crun refuses machines with both cgroup versions, so it runs in a mount namespace of its own without the second one."""
    bundle = os.path.join(folder, "crun-" + name)
    os.makedirs(bundle)
    crun_bundle(bundle, command)
    inner = f"umount /sys/fs/cgroup/unified 2>/dev/null; exec {sys.executable} {os.path.abspath(__file__)} --crun {bundle} {count}"
    answer = subprocess.run(["unshare", "-m", "sh", "-c", inner], capture_output=True, text=True)
    if answer.returncode:
        common.row(f"crun run, {name}", "-", "-", "-", (answer.stderr.strip() or "fails here").splitlines()[-1][:70])
        return
    show(f"crun run, {name}", json.loads(answer.stdout))


def crun_loop(bundle, count):
    command = ["crun", "--root", bundle + "/state", "run", "-b", bundle]
    subprocess.run([*command, "probe"], check=True, stdout=subprocess.DEVNULL)
    print(json.dumps(samples(count, lambda i: bare_start([*command, f"s{i}"]))))


def ready_blanks(server):
    return sum(map(int, re.findall(r'^sluice_blanks{.*state="ready"} (\d+)$', server.call("GET", "/_sluice/metrics").decode(), re.M)))


def await_blank(server):
    """Until the language waits again, and what was started last has come to rest."""
    limit = time.monotonic() + 30
    while not ready_blanks(server):
        if time.monotonic() > limit:
            sys.exit("bench: no blank becomes ready")
        time.sleep(0.02)
    time.sleep(0.02)


def first_answers(server, name, function, count, blanks=False):
    runtime, handler, files = function
    for i in range(count + blanks):
        server.function(f"{name}-{i}", runtime, handler, files)
    if blanks:
        server.invoke(f"{name}-{count}")
    connection = common.Connection(server.port)

    def take(i):
        if blanks:
            await_blank(server)
        begin = time.perf_counter()
        connection.post(f"/2015-03-31/functions/{name}-{i}/invocations", name)
        return time.perf_counter() - begin

    return samples(count, take)


def burst(server, name, function, calls):
    """Seconds until `calls` calls at once of a function that was never called are answered, after a first one of the runtime."""
    runtime, handler, files = function
    for i in range(2):
        server.function(f"{name}-burst-{i}", runtime, handler, files)
    server.invoke(f"{name}-burst-0")
    await_blank(server)
    connections = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(calls)]
    for connection in connections:
        connection.connect()

    def call(connection):
        connection.request("POST", f"/2015-03-31/functions/{name}-burst-1/invocations", b"{}")
        return connection.getresponse().read()

    with concurrent.futures.ThreadPoolExecutor(calls) as pool:
        begin = time.perf_counter()
        list(pool.map(call, connections))
        return time.perf_counter() - begin


BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


def boto3_folder():
    """Where the tests' boto3 is, or None."""
    found = glob.glob(os.path.join(common.ROOT, "build", "venv", "lib", "python3*", "site-packages", "boto3"))
    return os.path.dirname(found[0]) if found else None


def snapshots(server, site, count):
    """First answers of a version with SnapStart whose function has loaded boto3 and made a client: each of an environment of its own."""
    files = {"app.py": (b"import boto3\nclient = boto3.client('s3', region_name='us-east-1')\ndef handler(event, context):\n    return 1\n", 0o644)}
    for base, _, names in os.walk(site):
        for name in names:
            path = os.path.relpath(os.path.join(base, name), site)
            data = re.match("botocore/data/(?!s3/).*/", path)  # other services' models
            if path.split("/")[0] in BOTO3 and not data:
                files[path] = (open(os.path.join(base, name), "rb").read(), 0o644)
    server.function("snap", "python3.11", "app.handler", files, memory=512, SnapStart={"ApplyOn": "PublishedVersions"},
                    Tags={"sluice:single-use": "true"})
    server.call("POST", "/2015-03-31/functions/snap/versions", b"{}")
    while b'"Pending"' in server.call("GET", "/2015-03-31/functions/snap/configuration?Qualifier=1"):
        time.sleep(0.1)
    connection = common.Connection(server.port)

    def take(_):
        begin = time.perf_counter()
        connection.post("/2015-03-31/functions/snap/invocations?Qualifier=1", "snapshots")
        return time.perf_counter() - begin

    return samples(count, take)


def language_rows(folder, wanted):
    """The functions to start and what to compare them with: those of common.py, and of the other languages if they are installed."""
    functions = common.language_functions(folder)
    hello = os.path.join(folder, "hello")
    with open(hello + ".c", "w") as file:
        file.write('#include <unistd.h>\nint main(void) { return write(1, "h", 1) != 1; }\n')
    common.compile_c([hello + ".c"], hello, "-static")
    bare = {
        "c": [hello],
        "python": ["/usr/bin/python3", "-I", "-S", "-c", "print(1)"],
        "nodejs": ["node", "-e", "console.log(1)"],
    }
    if shutil.which("ruby"):
        functions["ruby"] = ("ruby3.2", "app.handler", {"app.rb": (b"def handler(event:, context:)\n  {}\nend\n", 0o644)})
        bare["ruby"] = ["ruby", "--disable=gems", "-e", "puts 1"]
    if shutil.which("javac"):
        source = os.path.join(folder, "App.java")
        with open(source, "w") as file:
            file.write("public class App { public Object handle(java.util.Map<String, Object> event) { return event; }\n"
                       "public static void main(String[] a) { System.out.println(1); } }\n")
        subprocess.run(["javac", "--release", "8", "-Xlint:-options", "-d", folder, source], check=True)
        functions["java"] = ("java17", "App::handle", {"App.class": (common.read(folder, "App.class"), 0o644)})
        bare["java"] = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", folder, "App"]
    if shutil.which("mcs"):
        source = os.path.join(folder, "Net.cs")
        with open(source, "w") as file:
            file.write("public class Net { public object Handle(object e) { return e; } public static void Main() { System.Console.WriteLine(1); } }\n")
        subprocess.run(["mcs", "-out:" + os.path.join(folder, "Net.exe"), source], check=True)
        functions["dotnet"] = ("dotnet8", "Net::Net::Handle", {"Net.exe": (common.read(folder, "Net.exe"), 0o644)})
        bare["dotnet"] = ["mono", os.path.join(folder, "Net.exe")]
    return [(name, functions[name], bare[name]) for name in bare if not wanted or name in wanted]


def main():
    if sys.argv[1:2] == ["--crun"]:
        crun_loop(sys.argv[2], int(sys.argv[3]))
        return
    common.need("crun", "gcc", "unshare")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    common.row("cold start", "samples", "p50", "p99", "ratio")
    with common.scratch() as folder:
        rows = language_rows(folder, sys.argv[2:])
        reference = {}
        for name, _, command in rows:
            reference[name] = samples(min(count, 100), lambda _: bare_start(command))
            show(f"bare start, {name}", reference[name])
        for name, _, command in rows:
            if name in ("c", "python", "nodejs"):
                crun_samples(folder, name, command if name != "c" else ["/usr/bin/printf", "h"], min(count, 30))
        with common.Sluice(options=("--idle", "1", "--blanks", "0")) as server:
            for name, function, _ in rows:
                show(f"sluice, {name}", first_answers(server, name, function, count), reference[name])
        for name, function, _ in rows:
            if name == "c":
                continue
            with common.Sluice(options=("--idle", "1")) as server:
                show(f"sluice with blanks, {name}", first_answers(server, name, function, count, blanks=True), reference[name])
        for name, function, _ in rows:
            if name == "python":
                with common.Sluice() as server:
                    if boto3_folder():
                        show("sluice with SnapStart, python, boto3", snapshots(server, boto3_folder(), count), reference[name])
                with common.Sluice() as server:
                    common.row(f"burst of 100, {name}", "100", f"{burst(server, name, function, 100) * 1000:.0f} ms", "-", "all answered")


if __name__ == "__main__":
    main()
