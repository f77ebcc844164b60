# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged survives kill -9: functions, APIs, asynchronous events. And after the next start nothing of the killed
server is left: no process, mount or cgroup (the start_server fixture checks that)."""

import json
import random
import threading

import botocore.exceptions

from support import PATIENCE, processes, wait_for

WRITES = "def handler(event, context):\n    print('ran', event['n'], flush=True)\n    return event\n"


def ran(server, name):
    """Numbers that the function says it has seen, from its log."""
    text = server.http("GET", f"/_sluice/logs?function={name}").text
    return {int(line.split()[1]) for line in text.splitlines() if line.startswith("ran ")}


def test_functions_and_apis_survive_kill(start_server):
    server = start_server()
    server.create_function("kept", {"index.py": "def handler(e, c): return 'kept'\n"}, Description="ünï")
    before = server.client("lambda").get_function_configuration(FunctionName="kept")
    api = server.client("apigatewayv2").create_api(Name="kept", ProtocolType="HTTP", Target=before["FunctionArn"])
    server.client("lambda").add_permission(FunctionName="kept", StatementId="api", Action="lambda:InvokeFunction",
                                           Principal="apigateway.amazonaws.com")
    server.kill()
    server.restart()
    after = server.client("lambda").get_function_configuration(FunctionName="kept")
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert after == before
    assert server.invoke("kept")["Json"] == "kept"
    answer = server.http("GET", f"/_aws/execute-api/{api['ApiId']}/$default/")
    assert (answer.status, answer.text) == (200, "kept")


def test_an_update_that_was_acknowledged_is_the_one_that_runs_after_kill(start_server):
    server = start_server()
    server.create_function("v", {"index.py": "def handler(e, c): return 0\n"})
    for n in range(1, 4):
        from support import zip_bytes

        server.client("lambda").update_function_code(FunctionName="v", ZipFile=zip_bytes({"index.py": f"def handler(e, c): return {n}\n"}))
        server.kill()
        server.restart()
        assert server.invoke("v")["Json"] == n


def test_events_accepted_before_kill_are_executed_after_it(start_server):
    # While the kills happen nothing may run (concurrency 0): an event that ran just before a kill would have lost its log line, which is
    # all that tells us that it ran.
    server = start_server("--test-clock")
    server.create_function("events", {"index.py": WRITES})
    server.client("lambda").put_function_concurrency(FunctionName="events", ReservedConcurrentExecutions=0)
    acknowledged, seen = set(), set()
    generator = random.Random(4566)

    def send(base):
        client = server.client("lambda")
        for n in range(base, base + 1000):
            try:
                answer = client.invoke(FunctionName="events", InvocationType="Event", Payload=json.dumps({"n": n}))
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                return
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
            acknowledged.add(n)

    for round_number in range(6):
        target = len(acknowledged) + generator.randrange(2, 20)
        sender = threading.Thread(target=send, args=(round_number * 1000,))
        sender.start()
        wait_for(lambda: len(acknowledged) >= target, "some events to be accepted")
        server.kill()
        sender.join()
        server.restart()
    server.client("lambda").delete_function_concurrency(FunctionName="events")

    def all_ran():
        # With a concurrency of zero events are given up at once, and kept as dead ones.
        server.http("POST", "/_sluice/events/redrive")
        seen.update(ran(server, "events"))
        return acknowledged <= seen

    wait_for(all_ran, "every acknowledged event to be executed", timeout=2 * PATIENCE)


def test_the_server_process_alone_may_die(start_server):
    server = start_server()
    server.expect_error_log("starting it again")
    server.create_function("again", {"index.py": "def handler(e, c): return 'again'\n"})
    assert server.invoke("again")["Json"] == "again"
    # The child that runs as another user (as root) or simply has threads: the server.
    table = processes()
    children = [pid for pid, (parent, _) in table.items() if parent == server.process.pid]
    threads = {pid: len(__import__("os").listdir(f"/proc/{pid}/task")) for pid in children}
    victim = max(threads, key=threads.get)
    __import__("os").kill(victim, 9)

    def answers():
        try:
            return server.invoke("again")["Json"] == "again"
        except botocore.exceptions.BotoCoreError:
            return False

    wait_for(answers, "the restarted server to answer")
    server.base = server.footprint()


def test_memory_mode_keeps_nothing(tmp_path):
    import subprocess

    from support import BIN

    process = subprocess.Popen([BIN, "serve", "--memory", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert process.stdout.readline().startswith("ready ")
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_in_use_is_refused(start_server):
    import subprocess

    from support import BIN

    server = start_server()
    answer = subprocess.run([BIN, "serve", "--listen", "127.0.0.1:0", "--data", str(server.data)], capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 1
    assert "in use" in answer.stderr and "--data" in answer.stderr


def test_failing_events_are_retried_after_one_and_two_minutes(start_server):
    server = start_server("--test-clock")
    server.create_function("fails", {"index.py": "def handler(e, c):\n    print('ran', e['n'], c.aws_request_id, flush=True)\n    raise Exception('no')\n"})
    server.invoke("fails", {"n": 1}, InvocationType="Event")
    log = lambda: [line for line in server.http("GET", "/_sluice/logs?function=fails").text.splitlines() if line.startswith("ran ")]
    wait_for(lambda: len(log()) == 1)
    server.http("POST", "/_sluice/clock?advance_ms=61000")
    wait_for(lambda: len(log()) == 2)
    server.http("POST", "/_sluice/clock?advance_ms=121000")
    wait_for(lambda: len(log()) == 3)
    wait_for(lambda: "given up: RetriesExhausted" in server.log())
    assert len({line.split()[2] for line in log()}) == 1  # the same request id in every attempt


def test_a_retry_survives_kill(start_server):
    server = start_server("--test-clock")
    server.create_function("later", {"index.py": "def handler(e, c):\n    print('ran', e['n'], flush=True)\n    raise Exception('no')\n"})
    server.invoke("later", {"n": 7}, InvocationType="Event")
    count = lambda: server.http("GET", "/_sluice/logs?function=later").text.count("ran 7")
    wait_for(lambda: count() == 1)
    server.kill()
    server.restart()
    server.http("POST", "/_sluice/clock?advance_ms=61000")
    wait_for(lambda: count() >= 2, "the second attempt")


def test_sigterm_finishes_what_was_accepted(start_server):
    import concurrent.futures

    server = start_server()
    server.create_function("slow", {"index.py": "import time\ndef handler(e, c):\n    time.sleep(2)\n    return 'finished'\n"}, Timeout=20)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.invoke, "slow")
        wait_for(lambda: "sluice_invocations_in_flight 1" in server.http("GET", "/_sluice/metrics").text)
        assert server.stop() == 0
        assert answer.result()["Json"] == "finished"
