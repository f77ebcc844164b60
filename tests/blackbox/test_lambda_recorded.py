# SPDX-License-Identifier: Apache-2.0
"""Answers recorded from AWS (../shared/data/aws-recorded), replayed: every case's calls are made here and their answers compared with
AWS's, member by member (replay/). What is equal, what differs and why, and what is not tried, is in replay/lambda.json, from which
docs/compatibility.md is written; here it is checked that this list is true. Without the recordings there is nothing to compare with:
then these tests say so and are skipped."""

import json
import os

import botocore.exceptions
import pytest

from replay import CASES, Replay, lambda_aliases, lambda_functions, lambda_grants, lambda_images, lambda_layers, lambda_names  # noqa: F401
from support import ROOT, Server, descendants

FILE = ROOT.parent / "shared" / "data" / "aws-recorded" / "test_lambda_api.snapshot.json"
RECORDED = json.loads(FILE.read_text()) if FILE.exists() else {}
LISTED = json.loads((ROOT / "tests" / "blackbox" / "replay" / "lambda.json").read_text())
needs_recordings = pytest.mark.skipif(not RECORDED, reason=f"the recordings are not at {FILE}")


def recording(case):
    """A case is named by its test, or by class and test where two classes have one of that name."""
    found = [entry["recorded-content"] for name, entry in RECORDED.items() if name.endswith("::" + case)]
    assert len(found) == 1, f"{len(found)} recordings of {case}"
    return found[0]


@pytest.fixture(scope="module")
def replaying():
    """Functions stay Pending until the clock is moved, as the recorded ones did while nobody waited."""
    server = Server("--nearest-runtime", "--test-clock", "--activation", "600000")
    yield server
    server.close_clients()
    assert server.stop() == 0
    bad = [*server.leftovers(spared=set(descendants(os.getpid())) - server.tree), *server.bad_log_lines()]
    server.dispose()
    assert not bad, "\n".join(bad)


@needs_recordings
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_case_is_answered_as_listed(replaying, case):
    replay = Replay(replaying, recording(case))
    try:
        CASES[case](replay)
        problems = replay.finish()
    except botocore.exceptions.ClientError as error:  # of a call whose answer was not recorded
        problems = [str(error)]
    finally:
        for page in replay.client.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                replay.quiet("delete_function", FunctionName=function["FunctionName"])
    if case in LISTED["different"]:
        assert problems, f"{case} is equal to the recording now: take it out of replay/lambda.json"
    else:
        assert not problems, "\n".join(problems)


@needs_recordings
def test_every_recorded_case_is_replayed_or_has_a_reason():
    tried = {id(recording(case)) for case in CASES}
    for name, entry in RECORDED.items():
        reason = [case for case in LISTED["elsewhere"] if name.endswith("::" + case)]
        if id(entry["recorded-content"]) in tried:
            assert not reason, f"{name} is replayed"
        else:
            assert reason, f"{name} is neither replayed nor listed"


def test_the_list_of_cases_is_that_of_the_replays():
    assert LISTED["equal"] == sorted(set(CASES) - set(LISTED["different"]))
    assert set(LISTED["different"]) <= set(CASES)
