#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/compatibility.md: which operations of the AWS APIs this build of Sluice has.

    tools/api/compatibility.py            # rewrite docs/compatibility.md from `build/sluice operations`
    tools/api/compatibility.py --check    # exit 1 if the file is stale

Never edited by hand: the operations come from the tables (api/*.json), the handlers from the program itself, and how
its answers compare with AWS's from the list that the replay of recorded answers checks (tests/blackbox/replay/*.json).
"""

import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAD = """<!-- Written by tools/api/compatibility.py from the operation tables and the program's handlers: do not edit. -->
# Compatibility

Which operations of the AWS APIs this version of Sluice has. Requests of every operation below are routed, and
answered by AWS's rules; one without a handler is answered with HTTP 501 `NotImplementedException` (for
operations that no model knows: 404 `UnknownOperationException`). The models are those of {sources}.

| Service | Operations | Implemented |
|---|---:|---:|
"""


# What has a handler because AWS has it, and can never be there: the answer is AWS's for a thing that does not exist.
ELSEWHERE = {
    "lambda": [
        ("CapacityProvider", "needs EC2 machines: no capacity provider ever exists"),
        ("FunctionScalingConfig", "is for functions with a capacity provider"),
        ("DurableExecution", "needs AWS's service of durable executions: none ever exists"),
    ],
}
REPLAY = """
### Recorded answers

`tests/blackbox/test_lambda_recorded.py` makes the calls of every case of `{source}`, recorded from AWS, and compares
the answers: members, their types, constants, status, error type and message, and when identifiers change.

| Cases | tried | equal | different | not tried |
|---:|---:|---:|---:|---:|
| {cases} | {tried} | {equal} ({share:.1f} % of those tried) | {different} | {elsewhere} |
"""
ERRORS = """
### Recorded error messages

Every error message of `{source}` (status, type, message, recorded from AWS) is produced by the situation that it
names, and compared to the letter: in the cases above, or in `tests/blackbox/test_lambda_error_messages.py`.

| Messages | produced by cases above | by situations of their own | differ | cannot occur |
|---:|---:|---:|---:|---:|
| {rows} | {replayed} | {situations} | 0 | {cannot} |
"""


def note(service, operation):
    return next((" " + text for part, text in ELSEWHERE.get(service, []) if part in operation), "")


def render_replay(service):
    path = os.path.join(ROOT, "tests", "blackbox", "replay", service + ".json")
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        listed = json.load(f)
    equal, different, elsewhere = len(listed["equal"]), listed["different"], listed["elsewhere"]
    tried = equal + len(different)
    out = [
        REPLAY.format(
            source=listed["source"],
            cases=tried + len(elsewhere),
            tried=tried,
            equal=equal,
            share=100 * equal / tried,
            different=len(different),
            elsewhere=len(elsewhere),
        )
    ]
    for title, head, rows in (("Different:", "Why", different), ("Not tried:", "What it needs, or why", elsewhere)):
        if rows:
            out.append(f"\n{title}\n\n| Case | {head} |\n|---|---|\n")
            out += [f"| {case} | {why} |\n" for case, why in sorted(rows.items())]
    return "".join(out)


def render_errors(service):
    path = os.path.join(ROOT, "tests", "blackbox", "replay", service + "_errors.json")
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        listed = json.load(f)
    out = [ERRORS.format(**{**listed, "cannot": len(listed["cannot"])}), "\n| Cannot occur | Why |\n|---|---|\n"]
    out += [f"| {message} | {why} |\n" for message, why in sorted(listed["cannot"].items())]
    return "".join(out)


def render(data):
    services = data["services"]
    out = [HEAD.format(sources=", ".join(sorted({s["source"] for s in services})))]
    for service in services:
        have = sum(1 for o in service["operations"] if o["handler"])
        total = f"{len(service['operations'])}{' (a part of the service)' if service['partial'] else ''}"
        out.append(f"| [{service['service']}](#{service['service']}) | {total} | {have} |\n")
    for service in services:
        out.append(f"\n## {service['service']}\n\nAPI version {service['apiVersion']}.\n")
        for title, wanted in (("Implemented", True), ("Missing", False)):
            rows = [o for o in service["operations"] if bool(o["handler"]) == wanted]
            if not rows:
                continue
            notes = wanted and service["service"] in ELSEWHERE
            out.append(f"\n{title}:\n\n| Operation | Request |{' |' if notes else ''}\n|---|---|{'---|' if notes else ''}\n")
            for o in rows:
                more = f"{note(service['service'], o['name'])} |" if notes else ""
                out.append(f"| {o['name']} | `{o['method']} {o['uri']}` |{more}\n")
        out.append(render_replay(service["service"]))
        out.append(render_errors(service["service"]))
    return "".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file is stale")
    parser.add_argument("--sluice", default=os.path.join(ROOT, "build", "sluice"), help="the program")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "compatibility.md"))
    args = parser.parse_args()
    try:
        result = subprocess.run([args.sluice, "operations"], check=True, stdout=subprocess.PIPE)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"compatibility: {args.sluice} did not list its operations ({error}); build it first: make")
    text = render(json.loads(result.stdout))
    old = ""
    if os.path.exists(args.out):
        with open(args.out, encoding="utf-8") as f:
            old = f.read()
    if args.check:
        if text != old:
            print(f"compatibility: {args.out} is stale: run tools/api/compatibility.py")
        return int(text != old)
    if text != old:
        with open(args.out, "w", encoding="utf-8") as f:
            f.write(text)
        print("wrote", args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
