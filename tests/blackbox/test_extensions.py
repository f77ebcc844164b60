# SPDX-License-Identifier: Apache-2.0
"""The Extensions API for internal extensions, from inside a function: registration and its refusals, INVOKE events, that the next
invocation waits for all extensions, errors that end the environment. Answers and texts are those of AWS's emulator."""

import itertools
import json
import re

import pytest

from support import wait_for
from test_runtime_api import PROBE, noted, value

# Registers an extension over a raw connection; `next_event` blocks.
EXTENSION = r"""
API = '/2020-01-01/extension/'
def register(name, events=('INVOKE',), extra=()):
    return Conn().request('POST', API + 'register', json.dumps({'events': list(events)}), [f'Lambda-Extension-Name: {name}', *extra]).answer()
def as_extension(id, method, path, body='', extra=()):
    return Conn().request(method, path if path.startswith('/') else API + path, body, [f'Lambda-Extension-Identifier: {id}', *extra]).answer()
def next_event(id):
    return as_extension(id, 'GET', 'event/next')
"""
numbers = itertools.count()


@pytest.fixture
def probe(server):
    def make(init="", **more):
        name = f"extended-{next(numbers)}"
        server.create_function(name, {"bootstrap": PROBE % (EXTENSION + init)}, runtime="provided.al2023", handler="the.handler", **more)

        def run(code, **invoke):
            return server.invoke(name, {"run": code}, **invoke)

        run.name = name
        return run

    return make


def refused(kind, message):
    return [403, json.dumps({"errorMessage": message, "errorType": kind}, separators=(",", ":")) + "\n"]


THREAD = """
import threading
def extension():
    while True:
        note(next_event(me)[:2])
threading.Thread(target=extension, daemon=True).start()
"""


def test_an_extension_registers_and_gets_each_event(server, probe):
    run = probe("s, body, h = register('ext', extra=['Lambda-Extension-Accept-Feature: accountId'])\nme = h['lambda-extension-identifier']\n"
                "note([s, json.loads(body)])\n" + THREAD)
    assert value(run("return 'first'")) == "first"
    registered, (status, event) = noted(server, run, 2)[:2]
    assert registered == [200, {"functionName": run.name, "functionVersion": "$LATEST", "handler": "the.handler", "accountId": "000000000000"}]
    event = json.loads(event)
    assert status == 200 and event["eventType"] == "INVOKE" and re.fullmatch(r"[0-9a-f-]{36}", event["requestId"])
    assert event["invokedFunctionArn"].endswith(f":function:{run.name}") and event["tracing"]["type"] == "X-Amzn-Trace-Id"
    assert isinstance(event["deadlineMs"], int)
    assert value(run("return 'second'")) == "second"
    assert len(noted(server, run, 3)) == 3


def test_the_instance_is_free_when_every_extension_has_asked_again(server, probe):
    # The extension stays busy for a while after the answer; an invocation in that time is served by another instance.
    run = probe("me = register('ext')[2]['lambda-extension-identifier']\nimport threading\ndef extension():\n    while True:\n"
                "        next_event(me)\n        time.sleep(3)\n        note('asks again')\nthreading.Thread(target=extension, daemon=True).start()", Timeout=30)
    first = value(run("return open('/proc/sys/kernel/hostname').read() + str(os.stat('/tmp').st_ino) + str(id(me)) + str(time.monotonic())"))
    assert value(run("return 'other'")) == "other" and first
    assert noted(server, run, 1)


def test_an_extension_that_never_asks_again_costs_the_instance(server, probe):
    run = probe("me = register('ext')[2]['lambda-extension-identifier']\nimport threading\n"
                "threading.Thread(target=lambda: (next_event(me), time.sleep(1000)), daemon=True).start()", Timeout=1)
    assert value(run("return 'answered'")) == "answered"
    wait_for(lambda: value(run("return 'new'")) == "new", "a new instance")


def test_refusals_of_registration(server, probe):
    run = probe("note(register('')[:2])\nnote(register('a', ['SHUTDOWN'])[:2])\nnote(register('a', ['OTHER'])[:2])\n"
                "note(Conn().request('POST', API + 'register', 'no', ['Lambda-Extension-Name: a']).answer()[0])\n"
                "note(register('a', [])[0])\nnote(register('a')[:2])\n"
                "ids = [register('a')] and [register(f'x{i}', []) for i in range(10)]\nnote([i[0] for i in ids])\nnote(ids[9][1])\n"
                "import threading\nfor i in ids[:9]: threading.Thread(target=next_event, args=[i[2]['lambda-extension-identifier']], daemon=True).start()\n"
                "os._exit(0)")
    run("return 1")
    notes = noted(server, run, 8)
    assert notes[0] == refused("Extension.InvalidExtensionName", "Empty extension name")
    assert notes[1] == refused("Extension.InvalidEventType", "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension")
    assert notes[2] == refused("Extension.InvalidEventType", "OTHER: ErrorInvalidEventType")
    assert notes[3] == 403 and notes[4] == 200
    assert notes[5] == refused("Extension.InvalidExtensionState", "Extension with this name already registered")
    assert notes[6] == [200] * 9 + [403]
    assert notes[7] == refused("Extension.TooManyExtensions", "Extension limit (10) reached")[1]


def test_registration_is_closed_after_the_init(probe):
    assert value(probe()("return register('late')[:2]")) == refused("Extension.RegistrationClosed", "Extension registration closed already")


def test_identifiers(probe):
    run = probe()
    unknown = "00000000-0000-4000-8000-000000000000"
    assert value(run("return call('GET', API + 'event/next')")) == refused(
        "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
    assert value(run("return next_event('nonsense')[:2]")) == refused(
        "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
    assert value(run(f"return next_event('{unknown}')[:2]")) == refused("Extension.UnknownExtensionIdentifier", f"Unknown extension {unknown}")


def test_subscriptions_of_an_internal_extension(server, probe):
    # It is told of what happened before it subscribed, too. Nobody listens at the port.
    run = probe("me = register('ext')[2]['lambda-extension-identifier']\n"
                "wish = json.dumps({'schemaVersion': '2022-12-13', 'types': ['platform'], 'destination': {'protocol': 'TCP', 'port': 9}})\n"
                "note(as_extension(me, 'PUT', '/2022-07-01/telemetry', wish)[:2])\n" + THREAD)
    assert value(run("return 1")) == 1
    assert noted(server, run, 1)[0] == [200, '"OK"']
    assert value(run("return as_extension(me, 'PUT', '/2022-07-01/telemetry', wish)[:2]")) == refused(
        "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed")


def test_a_poll_while_one_is_parked(server, probe):
    run = probe("me = register('ext')[2]['lambda-extension-identifier']\nparked = Conn().request('GET', API + 'event/next', '', "
                "[f'Lambda-Extension-Identifier: {me}'])\nnote(next_event(me)[:2])")
    assert value(run("return parked.answer()[0]")) == 200
    status, text = noted(server, run, 1)[0]
    assert status == 403 and "State transition from Ready to Ready failed for extension" in text


@pytest.mark.parametrize("phase", ["init", "exit"])
def test_an_extension_that_fails_in_the_init(server, probe, phase):
    run = probe(f"me = register('ext')[2]['lambda-extension-identifier']\nnote(as_extension(me, 'POST', '{phase}/error')[0])\n"
                f"note(as_extension(me, 'POST', '{phase}/error', '{{}}', ['Lambda-Extension-Function-Error-Type: Extension.Mine'])[0])\ntime.sleep(100)")
    error = run("return 1")
    assert error["FunctionError"] == "Unhandled"
    assert error["Json"]["errorType"] == ("Extension.InitError" if phase == "init" else "Extension.ExitError")
    assert noted(server, run, 1)[0] == 403  # without the header


def test_an_extension_that_gives_up_during_an_invocation(probe):
    run = probe("me = register('ext')[2]['lambda-extension-identifier']\nimport threading\n"
                "threading.Thread(target=lambda: note(next_event(me)[0]), daemon=True).start()")
    error = run("as_extension(me, 'POST', 'exit/error', '{}', ['Lambda-Extension-Function-Error-Type: Extension.Mine'])\ntime.sleep(100)")
    assert error["Json"]["errorType"] == "Extension.ExitError" and error["Json"]["errorMessage"].endswith("Error: Extension.Mine")
