# SPDX-License-Identifier: Apache-2.0
"""Makes the helpers of this folder importable, whatever directory pytest is started from, and gives the tests of every language a fake
Runtime API and runtimes that end with the test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fake_runtime_api import FakeRuntimeApi, Runtime  # noqa: E402


@pytest.fixture
def api():
    with FakeRuntimeApi() as fake:
        yield fake


@pytest.fixture
def start_runtime():
    """start_runtime(command, api, task root, handler, environment) gives a Runtime."""
    started = []

    def start(*words):
        runtime = Runtime(*words)
        started.append(runtime)
        return runtime

    yield start
    for runtime in started:
        runtime.__exit__()
