# SPDX-License-Identifier: Apache-2.0
"""What bootstraps do alike on the wire. A language's tests import these, and give the fixture `echo`: echo(api) starts a function that
answers its event."""

import pytest

from fake_runtime_api import FakeRuntimeApi


@pytest.mark.parametrize("mode", [{"hold_accept": False}, {"chunked": True}, {"drip": 7}, {"chunked": True, "drip": 1}])
def test_reads_answers_however_they_are_framed_and_split(echo, mode):
    with FakeRuntimeApi(**mode) as api:
        echo(api)
        for event in ({"text": "é" * 3000}, {"n": 2}):
            assert api.invoke(event).json == event


def test_reconnects_when_the_server_closes_after_a_response(echo):
    with FakeRuntimeApi(close_after_response=True) as api:
        echo(api)
        assert [api.invoke(n).json for n in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("chunked", [False, True])
def test_passes_six_megabytes_both_ways(echo, chunked):
    with FakeRuntimeApi(chunked=chunked) as api:
        echo(api)
        event = {"data": "x" * (6 * 1024 * 1024 - 12)}
        assert api.invoke(event).json == event
        assert api.invoke({"t": "žluť 😀 \u2028 \x00"}).json == {"t": "žluť 😀 \u2028 \x00"}
