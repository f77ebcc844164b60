# SPDX-License-Identifier: Apache-2.0
"""AWS's own interface clients beside our bootstraps: the same functions, the same events, the same answers.

Needs the folder that install_rics.sh makes: SLUICE_RICS names it, else build/rics. Skipped where it is not there.
"""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from fake_runtime_api import REPO, RUNTIMES, FakeRuntimeApi, Runtime

RICS = Path(os.environ.get("SLUICE_RICS", REPO / "build" / "rics"))
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(
    not RICS.exists(), reason="AWS's interface clients are not installed: tests/runtimes/install_rics.sh %s" % RICS)

PYTHON_APP = """
import collections, decimal, logging, sys
P = collections.namedtuple("P", "a b")
log = logging.getLogger()
log.setLevel("INFO")
loop = []
loop.append(loop)
def fail(x):
    raise KeyError(x)
def handler(event, context):
    do = event.get("do")
    if do == "fail":
        fail("é")
    if do == "log":
        log.info("hello %s", "é", extra={"order": 1})
        try:
            fail(1)
        except KeyError:
            log.exception("caught")
    if do == "context":
        return repr(context)
    return eval(event["value"]) if "value" in event else event
"""
PYTHON_EVENTS = [
    {"plain": [1, 2.5, None, True, "é"]}, {"do": "fail"}, {"do": "log"}, {"do": "context"},
    *({"value": v} for v in (
        "P(1, (2, 3))", "{'p': [P(1, P(2, 3))]}", "{'b': b'abc'}", "{b'k': 1}", "b'raw'", "{1: 1, None: 2, 1.5: 3}",
        "decimal.Decimal('1.10')", "[decimal.Decimal('NaN'), decimal.Decimal('Infinity')]", "{1, 2}", "loop",
        "{(1, 2): 3}", "{'b': b'\\xff'}", "float('nan')", "'\\ud800'", "10**30", "{'a': object}", "range(3)",
    )),
]
NODE_APP = """
exports.handler = (event, context, callback) => {
    if (event.do === 'fail') throw new TypeError('no é');
    if (event.do === 'reject') return Promise.reject(new RangeError('far'));
    if (event.do === 'string') return callback('text');
    if (event.do === 'null') return context.fail(null);
    if (event.do === 'never') return undefined;
    if (event.do === 'bigint') return Promise.resolve(10n);
    if (event.do === 'context') return Promise.resolve({ ...context, awsRequestId: 0, keys: Object.keys(context) });
    if (event.do === 'log') {
        console.log('a %s', 1, { b: [2] });
        console.warn('x\\ny');
        console.error(new Error('e').message);
    }
    setTimeout(() => callback(null, event), 1);
};
"""
NODE_EVENTS = [{"plain": [1, "é", None]}, *({"do": d} for d in (
    "fail", "reject", "string", "null", "never", "bigint", "context", "log"))]


def pair(language, app, handler, tmp_path, env):
    """Runs a function under AWS's client and under ours; yields (api, runtime) of each."""
    name = {"python": "app.py", "nodejs": "index.js"}[language]
    folders = {"aws": tmp_path / "aws", "ours": tmp_path / "ours"}
    shutil.copytree(RICS / language, folders["aws"])
    folders["ours"].mkdir()
    for folder in folders.values():
        (folder / name).write_text(app)
    ours = {"python": [PYTHON, "-S", "-s", RUNTIMES / "python" / "bootstrap.py"],
            "nodejs": ["node", RUNTIMES / "nodejs" / "bootstrap.cjs"]}[language]
    bootstrap = folders["aws"] / "bootstrap"
    bootstrap.write_text(bootstrap.read_text().replace("/var/task", str(folders["aws"])))
    for who, command in (("aws", [bootstrap]), ("ours", ours)):
        with FakeRuntimeApi(hold_accept=False, one_connection=False) as api:
            with Runtime(command, api, folders[who], handler, env) as runtime:
                yield api, runtime, str(folders[who])


def logged(runtime, folder):
    """The log with everything that differs from run to run taken out."""
    text = runtime.stdout.replace(folder, "/var/task")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", "<time>", text)
    text = re.sub(r"8476a536-[0-9a-f-]{27}", "<id>", text)
    # The client's start message, and its remark on updates of AWS's runtimes, which ours leaves out.
    lines = [line for line in text.split("\n") if not line.startswith("Executing ") and "LAMBDA_WARNING" not in line]
    return [re.sub(r'"stack":\[.*|(at .*\\r)+.*', "<stack>", line) for line in lines]


@pytest.mark.parametrize("env", [{}, {"AWS_LAMBDA_LOG_FORMAT": "JSON"}, {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}])
def test_python_functions_answer_and_log_as_under_awss_client(tmp_path, env):
    results = []
    for api, runtime, folder in pair("python", PYTHON_APP, "app.handler", tmp_path, env):
        answers = []
        for event in PYTHON_EVENTS:
            if env.get("AWS_EXECUTION_ENV") and "ud800" in event.get("value", ""):
                continue  # AWS's client ends the process there; ours reports Runtime.MarshalError
            outcome = api.invoke(event)
            kind = outcome.headers["content-type"] if outcome.kind == "response" else ""
            answers.append((event, outcome.kind, kind, outcome.body.decode().replace(folder, "/var/task")))
        runtime.process.kill()
        runtime.exit_code()
        results.append((answers, logged(runtime, folder)))
    (aws, aws_log), (ours, our_log) = results
    assert ours == aws
    assert our_log == aws_log
    assert any("hello" in line for line in our_log)


PYTHON_INIT = {
    "missing": ("import nosuch", "app.handler"), "no handler": ("x = 1", "app.handler"), "no dot": ("x = 1", "app"),
    "syntax": ("def handler(:", "app.handler"), "built-in": ("", "sys.exit"), "no module": ("", "other.handler"),
}


@pytest.mark.parametrize("case", PYTHON_INIT)
def test_python_functions_fail_to_start_as_under_awss_client(tmp_path, case):
    app, handler = PYTHON_INIT[case]
    results = []
    for api, runtime, folder in pair("python", app + "\n", handler, tmp_path, {}):
        request = api.init_error()
        results.append((request.body.decode().replace(folder, "/var/task"),
                        request.headers["lambda-runtime-function-error-type"], runtime.exit_code(),
                        logged(runtime, folder)))
    assert results[1] == results[0]


@pytest.mark.parametrize("env", [{}, {"AWS_LAMBDA_LOG_FORMAT": "JSON"}])
def test_nodejs_functions_answer_and_log_as_under_awss_client(tmp_path, env):
    results = []
    for api, runtime, folder in pair("nodejs", NODE_APP, "index.handler", tmp_path, env):
        answers = []
        for event in NODE_EVENTS:
            outcome = api.invoke(event)
            answer = outcome.json
            if outcome.kind == "error" and answer["trace"]:
                answer["trace"] = answer["trace"][:1]  # the frames below are the clients' own
            answers.append((event, outcome.kind, answer))
        runtime.process.kill()
        runtime.exit_code()
        results.append((answers, logged(runtime, folder)))
    (aws, aws_log), (ours, our_log) = results
    assert ours == aws
    assert [line for line in our_log if "stackTrace" not in line] == [
        line for line in aws_log if "stackTrace" not in line]
    assert any("a 1" in line for line in our_log)


NODE_INIT = {"missing": ("require('nosuch')", "index.handler"), "no export": ("exports.x = 1", "index.handler"),
             "no function": ("exports.handler = 1", "index.handler"), "no dot": ("", "index"),
             "syntax": ("exports.handler = (", "index.handler"), "dots": ("", "../index.handler"),
             "throws": ("throw new RangeError('far')", "index.handler")}


@pytest.mark.parametrize("case", NODE_INIT)
def test_nodejs_functions_fail_to_start_as_under_awss_client(tmp_path, case):
    app, handler = NODE_INIT[case]
    results = []
    for api, runtime, folder in pair("nodejs", app + "\n", handler, tmp_path, {}):
        request = api.init_error()
        report = json.loads(request.body)
        results.append((report["errorType"], report["errorMessage"].partition("\n")[0],
                        request.headers["lambda-runtime-function-error-type"], runtime.exit_code()))
    assert results[1] == results[0]
