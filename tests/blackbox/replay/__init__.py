# SPDX-License-Identifier: Apache-2.0
"""Replays of answers recorded from AWS: the calls of each recorded case, written down once (the other files of this folder), and the
comparison of what this server answers with what AWS answered. test_lambda_recorded.py runs them; tools/api/compatibility.py writes the
table of them into docs/compatibility.md.

    @case("test_alias_naming")                    # or "test_x[param]"; a recording of that name exists
    def _(r):
        r.create("create_response")               # a call whose answer was recorded under that name
        r.f("get", "get_function", Qualifier="1") # the same about the case's own function
        r.quiet("publish_version", FunctionName=r.name)  # a call whose answer was not recorded

The recordings (../shared/data/aws-recorded) are no part of this tree; without them the cases are listed and not run. They hold
placeholders for what changes. One with a number (<uuid:3>) is a reference: the same number stands for the same value throughout a
case, another number for another value; so it is checked that a RevisionId changes when it does on AWS, and only then."""

import json
import re

import botocore.exceptions

from support import zip_bytes

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambda-test"
ECHO = {"index.py": "def handler(event, context):\n    return event\n", "handler.py": "def handler(event, context):\n    return event\n"}

CASES = {}
REFERENCE = re.compile(r"<([A-Za-z0-9_-]+):(\d+)>")
PLACEHOLDER = re.compile(r"<[A-Za-z0-9_:-]+>")
ANYTHING = {"date", "datetime", "lambda-url"}  # recorded in place of a time, a URL
UNIQUE = {"uuid", "code-sha256"}


def case(*names, **settings):
    """Registers a replay for recorded cases; with settings they are given to it: case("a[x]", method="x")."""

    def register(function):
        for name in names:
            assert name not in CASES, name
            CASES[name] = lambda r: function(r, **settings)
        return function

    return register


def body(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def fill(text):
    """The recording's placeholders that have one possible value here."""
    text = text.replace("<partition>", "aws").replace("<region>", "us-east-1")
    return re.sub(r"<(.):len\((\d+)\)>", lambda match: match[1] * int(match[2]), text)


def filled(value):
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return fill(value) if isinstance(value, str) else value


class Replay:
    """One case in progress. `name` is a function name of its own."""

    count = 0

    def __init__(self, server, recorded):
        Replay.count += 1
        self.server = server
        self.recorded = filled(recorded)
        self.name = f"replay-{Replay.count}"
        self.arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self.name}"
        self.client = server.client("lambda", account=ACCOUNT)
        self.problems = []
        self.left = dict.fromkeys(self.recorded)
        self.bound, self.taken = {}, {}

    # -- calls

    def quiet(self, method, client=None, **arguments):
        return getattr(client or self.client, method)(**arguments)

    def __call__(self, step, method, client=None, **arguments):
        try:
            answer = self.quiet(method, client, **arguments)
        except botocore.exceptions.ClientError as error:
            answer = error.response
        self.see(step, answer)
        return answer

    def f(self, step, method, **arguments):
        return self(step, method, **{"FunctionName": self.name, **arguments})

    def create(self, step=None, settle=True, **more):
        """CreateFunction with the settings that the recorded answer shows. Then the function is Active."""
        shown = self.recorded.get(step) or {}
        shown = shown.get("CreateFunctionResponse", shown)
        arguments = {"FunctionName": self.name, "Role": ROLE, "Code": {"ZipFile": zip_bytes(ECHO)}}
        arguments |= {"Runtime": shown.get("Runtime", "python3.12"), "Handler": shown.get("Handler", "handler.handler")}
        defaults = {"Timeout": 3, "MemorySize": 128, "Description": ""}
        arguments |= {key: shown[key] for key in defaults if shown.get(key, defaults[key]) != defaults[key]}
        arguments |= {key: shown[key] for key in ("Environment",) if key in shown}
        arguments |= more
        arguments = {key: value for key, value in arguments.items() if value is not None}
        if step is None:
            answer = self.quiet("create_function", **arguments)
        else:
            answer = self(step, "create_function", **arguments)
        if settle:
            self.settle()
        return answer

    def settle(self):
        """The time passes that functions take to become Active, and updates to be in effect."""
        assert self.server.http("POST", "/_sluice/clock?advance_ms=700000").status == 200

    # -- what the case itself sends stands in the recording as a placeholder, or as another name

    def fix(self, step, placeholder, value):
        self.recorded[step] = json.loads(json.dumps(self.recorded[step]).replace(placeholder, value))

    def rename(self, old, new):
        for step in self.recorded:
            self.fix(step, old, new)

    # -- comparison

    def see(self, step, answer):
        """Compares an answer (or any value) with what was recorded under that name."""
        self.left.pop(step, None)
        if step not in self.recorded:
            self.problems.append(f"{step}: not in the recording")
            return
        expected = self.recorded[step]
        if isinstance(expected, dict) and "CreateFunctionResponse" in expected:
            expected = expected["CreateFunctionResponse"]
        if isinstance(expected, dict):
            wanted = expected.get("ResponseMetadata", {}).get("HTTPStatusCode")
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
            if wanted is not None and status is not None and status != wanted:
                self.problems.append(f"{step}: status {status}, recorded {wanted}")
            expected = body(expected)
        self.compare(expected, body(answer) if isinstance(answer, dict) else answer, step)

    def compare(self, expected, found, path):
        if isinstance(expected, (dict, list)) and isinstance(found, str):
            found = json.loads(found)  # policies were recorded as documents
        if isinstance(expected, dict) and isinstance(found, dict):
            for key in sorted(set(expected) ^ set(found)):
                self.problems.append(f"{path}.{key}: {'missing' if key in expected else 'not recorded'}")
            for key in expected:
                if key in found:
                    self.compare(expected[key], found[key], f"{path}.{key}")
        elif isinstance(expected, list) and isinstance(found, list):
            if len(expected) != len(found):
                self.problems.append(f"{path}: {len(found)} items, recorded {len(expected)}")
            for index, (one, other) in enumerate(zip(expected, found)):
                self.compare(one, other, f"{path}[{index}]")
        elif not (self.same_text(expected, str(found)) if isinstance(expected, str) else expected == found):
            self.problems.append(f"{path}: {found!r}, recorded {expected!r}")

    def same_text(self, expected, found):
        if expected in ANYTHING or expected == found:
            return True
        names, pattern, at = [], "", 0
        for match in PLACEHOLDER.finditer(expected):
            pattern += re.escape(expected[at : match.start()]) + "(.*)"
            names.append(match[0])
            at = match.end()
        match = re.fullmatch(pattern + re.escape(expected[at:]), found, re.DOTALL)
        return bool(match) and all([self.bind(name, value) for name, value in zip(names, match.groups())])

    def bind(self, name, value):
        reference = REFERENCE.fullmatch(name)
        if not reference:
            return True
        if self.bound.setdefault(name, value) != value:
            return False
        return reference[1] not in UNIQUE or self.taken.setdefault(value, name) == name

    def finish(self):
        self.problems += [f"{step}: not replayed" for step in self.left]
        return self.problems
