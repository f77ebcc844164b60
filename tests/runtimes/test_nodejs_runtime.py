# SPDX-License-Identifier: Apache-2.0
"""The Node.js bootstrap against a fake Runtime API: wire behaviour, handler forms, streaming, AWS's errors and logs."""

import json
import re
import shutil

import pytest

from fake_runtime_api import RUNTIMES, Runtime, write_files
from wire import test_passes_six_megabytes_both_ways, test_reads_answers_however_they_are_framed_and_split, test_reconnects_when_the_server_closes_after_a_response  # noqa: F401

NODE = shutil.which("node")
BOOTSTRAP = RUNTIMES / "nodejs" / "bootstrap.cjs"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.fixture
def run(tmp_path, api, start_runtime):
    """Starts the bootstrap with files written into the task root; a plain text becomes index.js."""
    def start(files, handler="index.handler", env=None, to=api, bootstrap=BOOTSTRAP):
        files = {"index.js": files} if isinstance(files, str) else files
        write_files(tmp_path, files)
        return start_runtime([NODE, bootstrap], to, tmp_path, handler, env)

    return start


ECHO = "exports.handler = async (event) => event;\n"


# ------------------------------------------------------------------------------------------ the wire


@pytest.fixture
def echo(run):
    return lambda to: run(ECHO, to=to)


def test_answers_events_one_after_another_and_pipelines_the_next_request(api, run):
    run(ECHO)
    for event in ({"n": 1}, [1, 2], "text", 3, None, True, {}):
        outcome = api.invoke(event)
        assert (outcome.kind, outcome.json) == ("response", event)
        assert outcome.pipelined
        assert outcome.headers["content-type"] == "application/json"
    assert {r.headers["user-agent"] for r in api.requests} == {"sluice-nodejs/1"}


def test_starts_as_an_es_module_as_well(api, run):
    run(ECHO, bootstrap=BOOTSTRAP.with_suffix(".mjs"))
    assert api.invoke({"n": 1}).json == {"n": 1}


def test_a_response_above_the_limit_is_logged_and_the_runtime_lives_on(api, run):
    runtime = run("exports.handler = async (n) => 'x'.repeat(n);\n")
    assert api.invoke(7 * 1024 * 1024).kind == "response"
    assert api.invoke(2).json == "xx"
    assert "Exceeded maximum allowed payload size" in runtime.stderr_line("413")


def test_exits_when_the_runtime_api_is_not_there(tmp_path):
    class Nowhere:
        address = "127.0.0.1:1"

    (tmp_path / "index.js").write_text(ECHO)
    with Runtime([NODE, BOOTSTRAP], Nowhere, tmp_path, "index.handler") as runtime:
        assert runtime.exit_code() == 1
        assert "ECONNREFUSED" in runtime.stderr


# ------------------------------------------------------------------------------------------ handler forms


FORMS = {
    "commonjs": ({"index.js": "exports.handler = async () => 'ok';"}, "index.handler"),
    "cjs": ({"index.cjs": "exports.handler = async () => 'ok';"}, "index.handler"),
    "mjs": ({"index.mjs": "export const handler = async () => 'ok';"}, "index.handler"),
    "type module": ({"package.json": '{"type":"module"}', "index.js": "export const handler = async () => 'ok';"},
                    "index.handler"),
    "folder": ({"src/fn/index.js": "exports.run = async () => 'ok';"}, "src/fn/index.run"),
    "nested export": ({"index.js": "exports.a = { b: { c: async () => 'ok' } };"}, "index.a.b.c"),
    "package": ({"node_modules/fn/index.js": "exports.run = async () => 'ok';"}, "fn.run"),
    "top-level await": ({"index.mjs": "const v = await Promise.resolve('ok'); export const handler = async () => v;"},
                        "index.handler"),
    "plain promise": ({"index.js": "exports.handler = () => Promise.resolve('ok');"}, "index.handler"),
    "thenable": ({"index.js": "exports.handler = () => ({ then: (f) => f('ok') });"}, "index.handler"),
    "callback": ({"index.js": "exports.handler = (e, c, cb) => setTimeout(() => cb(null, 'ok'), 1);"}, "index.handler"),
    "sync callback": ({"index.js": "exports.handler = (e, c, cb) => cb(null, 'ok');"}, "index.handler"),
    "succeed": ({"index.js": "exports.handler = (e, c) => setTimeout(() => c.succeed('ok'), 1);"}, "index.handler"),
    "done": ({"index.js": "exports.handler = (e, c) => c.done(null, 'ok');"}, "index.handler"),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_handlers_work_again_and_again(api, run, form):
    run(*FORMS[form])
    for _ in range(3):
        outcome = api.invoke({})
        assert (outcome.kind, outcome.json) == ("response", "ok")


def test_a_callbacks_result_waits_for_the_event_loop_to_be_empty(api, run):
    runtime = run("""
exports.handler = (event, context, callback) => {
    context.callbackWaitsForEmptyEventLoop = event.wait;
    setTimeout(() => console.log('late work'), 200);
    callback(null, 'first');
    callback(null, 'second');
};
""")
    outcome = api.invoke({"wait": True})
    assert outcome.json == "first"
    assert "late work" in runtime.stdout_line("late work")
    assert api.invoke({"wait": False}).json == "first"


def test_a_callback_that_does_not_wait_answers_while_work_is_pending(api, run):
    run("""
exports.handler = (event, context, callback) => {
    context.callbackWaitsForEmptyEventLoop = false;
    setInterval(() => {}, 1000);
    callback(null, 'now');
};
""")
    assert api.invoke({}).json == "now"
    assert api.invoke({}).json == "now"


@pytest.mark.parametrize("body", ["exports.handler = () => {};", "exports.handler = () => new Promise(() => {});",
                                  "exports.handler = async () => {};", "exports.handler = () => 5;"])
def test_a_handler_that_never_answers_gives_null(api, run, body):
    run(body)
    assert api.invoke({}).body == b"null"
    assert api.invoke({}).body == b"null"


def test_the_context_has_awss_attributes(api, run):
    run("""
exports.handler = async (event, c) => ({ ...c, left: c.getRemainingTimeInMillis(),
    waits: c.callbackWaitsForEmptyEventLoop, trace: process.env._X_AMZN_TRACE_ID ?? null,
    functions: ['succeed', 'fail', 'done'].map((n) => typeof c[n]) });
""")
    invocation = api.start({}, {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}', "Lambda-Runtime-Aws-Tenant-Id": "t",
    }, timeout_ms=20000)
    got = invocation.wait().json
    assert 0 < got.pop("left") <= 20000
    assert got.pop("trace").startswith("Root=1-5bef4de7")
    assert got == {
        "functionVersion": "$LATEST", "functionName": "f", "memoryLimitInMB": "128", "logGroupName": "/aws/lambda/f",
        "logStreamName": "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef",
        "clientContext": {"custom": {"k": "é"}}, "identity": {"cognitoIdentityId": "i"}, "tenantId": "t",
        "invokedFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "awsRequestId": invocation.request_id, "callbackWaitsForEmptyEventLoop": True, "waits": True,
        "functions": ["function"] * 3,
    }
    again = api.invoke({}, {"Lambda-Runtime-Trace-Id": None}).json
    assert again["trace"] is None
    assert "clientContext" not in again


def test_node_path_is_awss_unless_the_function_sets_it(api, run, tmp_path):
    run({"index.js": "exports.handler = async () => [process.env.NODE_PATH, require('lib')];",
         "mods/lib/index.js": "module.exports = 'found';"}, env={"NODE_PATH": str(tmp_path / "mods")})
    assert api.invoke({}).json == [str(tmp_path / "mods"), "found"]


def test_node_path_defaults_to_awss(api, run):
    run("exports.handler = async () => [process.env.NODE_PATH, require('module').globalPaths];")
    path, used = api.invoke({}).json
    assert re.fullmatch(r"/opt/nodejs/node\d+/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:"
                        r"/var/runtime:/var/task", path)
    assert used[-5:] == path.split(":") or set(path.split(":")) <= set(used)


# ------------------------------------------------------------------------------------------ failures


FAILURES = {
    "rejects": "exports.handler = async () => { throw new TypeError('no é'); };",
    "throws": "exports.handler = () => { throw new TypeError('no é'); };",
    "callback": "exports.handler = (e, c, cb) => cb(new TypeError('no é'));",
    "fail": "exports.handler = (e, c) => c.fail(new TypeError('no é'));",
}


@pytest.mark.parametrize("case", FAILURES)
def test_an_error_is_reported_and_logged_in_awss_shape(api, run, case):
    runtime = run(FAILURES[case])
    invocation = api.start({})
    outcome = invocation.wait()
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "TypeError"
    report = outcome.json
    assert list(report) == ["errorType", "errorMessage", "trace"]
    assert (report["errorType"], report["errorMessage"]) == ("TypeError", "no é")
    assert report["trace"][0] == "TypeError: no é"
    assert "index.js:1:" in report["trace"][1]
    line = runtime.stdout_line("Invoke Error")
    match = re.fullmatch(r"%s\t%s\tERROR\tInvoke Error \t(\{.*\})\n" % (STAMP, invocation.request_id), line)
    assert json.loads(match[1])["errorType"] == "TypeError"
    assert api.invoke({}).kind == "error"


@pytest.mark.parametrize("thrown, error_type, message", [
    ("'text'", "string", "text"), ("{ toString: () => 'odd' }", "object", "odd"),
    ("null", "string", "handled"), ("{ get name() { throw 1; } }", "handled", "callback called with Error argument"),
])
def test_things_thrown_that_are_no_errors_are_reported_as_aws_does(api, run, thrown, error_type, message):
    run("exports.handler = async () => { throw %s; };" % thrown)
    report = api.invoke({}).json
    assert report["errorType"] == error_type
    assert report["errorMessage"].startswith(message)


@pytest.mark.parametrize("value", ["10n", "(() => { const a = {}; a.a = a; return a; })()"])
@pytest.mark.parametrize("form", ["async () => %s", "(e, c, cb) => cb(null, %s)"])
def test_a_result_that_is_not_json_is_an_error(api, run, form, value):
    run("exports.handler = %s;" % (form % value))
    assert api.invoke({}).json["errorMessage"] == "Unable to stringify response body"
    assert api.invoke({}).kind == "error"


@pytest.mark.parametrize("code, error_type, message, status", [
    ("Promise.reject(new Error('lost')); return new Promise(() => setTimeout(() => {}, 60000));",
     "Runtime.UnhandledPromiseRejection", "Error: lost", 128),
    ("setTimeout(() => { throw new RangeError('far'); }, 1); return new Promise(() => setTimeout(() => {}, 60000));",
     "RangeError", "far", 129),
])
def test_errors_outside_the_handlers_promise_end_the_process(api, run, code, error_type, message, status):
    runtime = run("exports.handler = () => { %s };" % code)
    outcome = api.invoke({})
    assert outcome.kind == "error"
    assert (outcome.json["errorType"], outcome.json["errorMessage"]) == (error_type, message)
    assert runtime.exit_code() == status


def test_process_exit_in_a_handler_ends_it_with_that_status(api, run):
    runtime = run("exports.handler = async () => process.exit(3);")
    assert api.invoke({}).kind == "crash"
    assert runtime.exit_code() == 3


INIT_ERRORS = {
    "missing file": ({}, "nosuch.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nosuch'"),
    "missing import": ({"index.js": "require('nosuch');"}, "index.handler", "Runtime.ImportModuleError",
                       "Error: Cannot find module 'nosuch'"),
    "missing ES import": ({"index.mjs": "import 'nosuch';"}, "index.handler", "Error", "Cannot find package 'nosuch'"),
    "no export": ({"index.js": "exports.x = 1;"}, "index.handler", "Runtime.HandlerNotFound",
                  "index.handler is undefined or not exported"),
    "not a function": ({"index.js": "exports.handler = 1;"}, "index.handler", "Runtime.HandlerNotFound",
                       "index.handler is not a function"),
    "bad name": ({}, "index", "Runtime.MalformedHandlerName", "Bad handler"),
    "dots": ({}, "../index.handler", "Runtime.MalformedHandlerName", "'../index.handler' is not a valid handler name."),
    "syntax": ({"index.js": "exports.handler = ("}, "index.handler", "Runtime.UserCodeSyntaxError",
               "SyntaxError: Unexpected"),
    "ES syntax": ({"index.mjs": "export const handler = ("}, "index.handler", "Runtime.UserCodeSyntaxError",
                  "SyntaxError: Unexpected"),
    "throws": ({"index.js": "throw new RangeError('far');"}, "index.handler", "RangeError", "far"),
    "rejects": ({"index.js": "Promise.reject(new Error('lost')); exports.handler = async () => new Promise(() => {});"},
                "index.handler", "Runtime.UnhandledPromiseRejection", "Error: lost"),
}


@pytest.mark.parametrize("case", INIT_ERRORS)
def test_a_handler_that_cannot_be_loaded_is_an_init_error_of_awss_type(api, run, case):
    files, handler, error_type, message = INIT_ERRORS[case]
    runtime = run(files, handler)
    request = api.init_error()
    report = json.loads(request.body)
    assert report["errorType"] == error_type
    assert report["errorMessage"].startswith(message)
    assert request.headers["lambda-runtime-function-error-type"] == error_type
    assert runtime.exit_code() == (128 if error_type.endswith("Rejection") else 129)
    what = "Unhandled Promise Rejection" if error_type.endswith("Rejection") else "Uncaught Exception"
    assert re.match(r"%s\tundefined\tERROR\t%s \t\{" % (STAMP, what), runtime.stdout_line(what))


def test_error_types_cannot_smuggle_headers(api, run):
    run("exports.handler = async () => { const e = new Error('m'); e.name = 'A\\r\\nX-Evil: 1'; throw e; };")
    outcome = api.invoke({})
    assert "x-evil" not in outcome.headers
    assert outcome.headers["lambda-runtime-function-error-type"] == "A??X-Evil: 1"


# ------------------------------------------------------------------------------------------ streaming


def streaming(body, options=""):
    return "exports.handler = awslambda.streamifyResponse(async (event, stream) => { %s }%s);" % (body, options)


def test_a_streamed_response_leaves_in_chunks_as_it_is_written(api, run):
    run(streaming("""
stream.setContentType('text/plain');
stream.write('one ');
await new Promise((resolve) => setTimeout(resolve, 20));
stream.write(Buffer.from('two é '));
stream.write({ three: 3 });
stream.end();
"""))
    for _ in range(3):
        outcome = api.invoke({})
        assert outcome.kind == "response"
        assert outcome.body.decode() == 'one two é {"three":3}'
        assert outcome.chunks[0] == b"one "
        assert outcome.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert outcome.headers["content-type"] == "text/plain"
        assert outcome.headers["trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
        assert outcome.trailers == {}


def test_an_http_prelude_goes_before_the_first_write(api, run):
    run(streaming("""
stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'x-a': 'b' }, cookies: ['c=1'] });
if (event.body) stream.write('body');
stream.end();
"""))
    outcome = api.invoke({"body": True})
    prelude, body = outcome.body.split(b"\0" * 8)
    assert json.loads(prelude) == {"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["c=1"]}
    assert body == b"body"
    assert outcome.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert api.invoke({}).body.endswith(b"\0" * 8)


def test_large_streams_respect_back_pressure_and_arrive_whole(api, run):
    run("const { pipeline } = require('stream/promises');\nconst { Readable } = require('stream');\n" + streaming("""
async function* source() { for (let i = 0; i < 320; i++) yield Buffer.alloc(65536, i); }
await pipeline(Readable.from(source()), stream);
""", ", { highWaterMark: 1024 }"))
    for _ in range(2):
        body = api.invoke({}).body
        assert body == b"".join(bytes([i % 256]) * 65536 for i in range(320))


STREAM_FAILURES = {
    "before": ("throw new RangeError('early');", b"", "RangeError", "early"),
    "after": ("stream.write('part'); throw new RangeError('late');", b"part", "RangeError", "late"),
    "unfinished": ("stream.write('part');", b"part", "Error", "Response stream is not finished."),
    "destroyed": ("stream.write('part'); stream.destroy(new RangeError('cut'));", b"part", "RangeError", "cut"),
    "hangs": ("await new Promise(() => {});", b"", "Error", "Response stream is not finished."),
}


@pytest.mark.parametrize("case", STREAM_FAILURES)
def test_a_failing_stream_says_so_in_trailers(api, run, case):
    code, body, error_type, message = STREAM_FAILURES[case]
    run(streaming("if (event.good) { stream.end('good'); return; } " + code))
    outcome = api.invoke({})
    assert outcome.kind == "response"
    assert outcome.body == body
    assert outcome.trailers["lambda-runtime-function-error-type"] in (error_type, "string")
    assert outcome.trailer_error["errorMessage"] == message
    assert api.invoke({"good": True}).body == b"good"


def test_a_streaming_handler_that_is_not_async_fails(api, run):
    run("exports.handler = awslambda.streamifyResponse((event, stream) => { stream.write('x'); });")
    assert api.invoke({}).trailer_error["errorMessage"] == "Streaming does not support non-async handlers."


def test_an_uncaught_exception_ends_a_stream_with_trailers_and_the_process(api, run):
    runtime = run(streaming("stream.write('part'); setTimeout(() => { throw new RangeError('far'); }, 1); "
                            "await new Promise((r) => setTimeout(r, 60000));"))
    outcome = api.invoke({})
    assert outcome.body == b"part"
    assert outcome.trailers["lambda-runtime-function-error-type"] == "RangeError"
    assert runtime.exit_code() == 129


def test_content_type_cannot_be_set_after_the_first_write(api, run):
    run(streaming("stream.write('x'); try { stream.setContentType('a/b'); } catch (e) { stream.end(e.name); }"))
    assert api.invoke({}).body == b"xRuntime.InvalidStreamingOperation"


# ------------------------------------------------------------------------------------------ logs


def test_console_has_awss_text_format(api, run):
    runtime = run("""
console.log('at init');
exports.handler = async () => {
    console.log('hello %s', 'é', { a: 1 });
    console.debug('low');
    console.warn('two\\nlines');
    console.error('bad');
    console.trace('traced');
};
""")
    invocation = api.start({})
    invocation.wait()
    runtime.stdout_line("traced")
    assert re.fullmatch(r"%s\tundefined\tINFO\tat init\n" % STAMP, runtime.stdout_line("at init"))
    texts = [line.split("\t", 2) for line in runtime.stdout.split("\n")[1:-1]]
    assert {t[1] for t in texts} == {invocation.request_id}
    assert [t[2] for t in texts] == ["INFO\thello é { a: 1 }", "DEBUG\tlow", "WARN\ttwo\rlines", "ERROR\tbad",
                                    "TRACE\ttraced"]


def test_console_has_awss_json_format_and_level(api, run):
    runtime = run("""
exports.handler = async () => {
    console.debug('low');
    console.log('hi %d', 1);
    console.info({ k: [1] });
    console.warn('with', new RangeError('far'));
    const loop = {}; loop.loop = loop;
    console.error(loop);
    throw new TypeError('gone');
};
""", env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "info"})
    invocation = api.start({}, {"Lambda-Runtime-Aws-Tenant-Id": "t"})
    invocation.wait()
    runtime.stdout_line("gone")
    records = [json.loads(line) for line in runtime.stdout.split("\n")[:-1]]
    assert all(re.fullmatch(STAMP, r.pop("timestamp")) for r in records)
    assert {r.pop("requestId") for r in records} == {invocation.request_id}
    assert {r.pop("tenantId") for r in records} == {"t"}
    assert records[0] == {"level": "INFO", "message": "hi 1"}
    assert records[1] == {"level": "INFO", "message": {"k": [1]}}
    assert (records[2]["level"], records[2]["errorType"], records[2]["errorMessage"]) == ("WARN", "RangeError", "far")
    assert records[3]["message"].startswith("<ref *1>")
    assert records[4]["message"]["errorType"] == "TypeError"
    assert len(records) == 5
