# SPDX-License-Identifier: Apache-2.0
"""examples/telegram-echo in Python and C: the whole loop from a fake Telegram through a bridge that makes HTTP API
events (payload format 2.0), into the real runtimes, and back by API calls or in the webhook's answer."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fake_runtime_api import REPO, RUNTIMES, FakeRuntimeApi, Runtime

sys.path.insert(0, str(REPO / "tests" / "blackbox"))
from telegram_fake import TelegramFake  # noqa: E402

EXAMPLE = REPO / "examples" / "telegram-echo"
SYSTEM_PYTHON = "/usr/bin/python3"
PYTHON = os.environ.get("SLUICE_TEST_PYTHON") or (SYSTEM_PYTHON if os.path.exists(SYSTEM_PYTHON) else sys.executable)
SECRET = "s3cret_-Token"
FLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_bot(folder, *options):
    sources = [EXAMPLE / "c" / "bot.c", EXAMPLE / "c" / "api.c", RUNTIMES / "c" / "sluice_runtime.c",
               RUNTIMES / "c" / "sluice_json.c"]
    program = folder / "bootstrap"
    subprocess.run(["cc", *FLAGS, "-I", RUNTIMES / "c", "-o", program, *sources, *options], check=True)
    return program


@pytest.fixture(scope="session")
def c_bot(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    probe = subprocess.run(["cc", "-E", "-"], input=b"#include <curl/curl.h>\n", capture_output=True)
    if probe.returncode:
        pytest.skip("libcurl's headers are not installed")
    return compile_bot(tmp_path_factory.mktemp("bot"), "-lcurl")


@pytest.fixture
def telegram():
    with TelegramFake(retry_delay=0.01) as fake:
        yield fake


class Bridge:
    """What an HTTP API does: one request becomes one invocation with an event of payload format 2.0."""

    def __init__(self, api, base64_bodies=False):
        bridge = self
        self.lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = bridge.invoke(self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.api, self.base64_bodies = api, base64_bodies
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d/bot" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def event(self, headers, body):
        text = base64.b64encode(body).decode() if self.base64_bodies else body.decode("utf-8")
        return {"version": "2.0", "routeKey": "$default", "rawPath": "/bot", "rawQueryString": "",
                "headers": {k.lower(): v for k, v in headers.items()},
                "requestContext": {"http": {"method": "POST", "path": "/bot"}, "requestId": str(uuid.uuid4())},
                "body": text, "isBase64Encoded": self.base64_bodies}

    def invoke(self, headers, body):
        with self.lock:
            outcome = self.api.invoke(self.event(headers, body))
        if outcome.kind != "response":
            return 500, {"content-type": "application/json"}, b'{"message":"Internal Server Error"}'
        result = outcome.json
        return result["statusCode"], result.get("headers", {}), result.get("body", "").encode()

    def post(self, body, secret=SECRET, headers=()):
        """A request as anyone could make it; returns the status."""
        given = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        return self.invoke({**given, **dict(headers)}, body if isinstance(body, bytes) else json.dumps(body).encode())

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(params=["python", "c"])
def start(request, tmp_path, telegram):
    """Starts the bot in the given language with this environment; returns (bridge, runtime)."""
    cleanups = []
    command = [PYTHON, "-S", "-s", RUNTIMES / "python" / "bootstrap.py"]
    if request.param == "c":
        command = [request.getfixturevalue("c_bot")]

    def begin(webhook=True, base64_bodies=False, **env):
        api = FakeRuntimeApi()
        environ = {"TELEGRAM_SECRET": SECRET, "TELEGRAM_TOKEN": telegram.token, "TELEGRAM_API_BASE": telegram.base,
                   "TELEGRAM_SEEN_FILE": str(tmp_path / "seen"), "ASAN_OPTIONS": "detect_leaks=0", **env}
        environ = {k: v for k, v in environ.items() if v is not None}
        runtime = Runtime(command, api, EXAMPLE / "python", "app.handler", environ)
        bridge = Bridge(api, base64_bodies)
        cleanups.append((runtime, bridge, api))
        if webhook:
            telegram.set_webhook(bridge.url, SECRET)
        return bridge, runtime

    yield begin
    for runtime, bridge, api in cleanups:
        bridge.close()
        runtime.__exit__()
        api.__exit__()
        assert "Sanitizer" not in runtime.stderr, runtime.stderr


def send_and_wait(telegram, text, **message):
    before = len(telegram.called("sendMessage"))
    telegram.wait_delivered(telegram.send_text(text, **message))
    return telegram.wait_calls(before + 1, "sendMessage")[-1].params


BOTH_WAYS = pytest.mark.parametrize("how", ["api", "webhook"])


@BOTH_WAYS
@pytest.mark.parametrize("base64_bodies", [False, True])
def test_start_greets_and_any_text_is_echoed(start, telegram, how, base64_bodies):
    start(TELEGRAM_REPLY=how, base64_bodies=base64_bodies)
    assert send_and_wait(telegram, "/start")["text"].startswith("Hello!")
    assert send_and_wait(telegram, "/start@sluice_bot now")["text"].startswith("Hello!")
    for text in ("hi", "žluťoučký 😀 \u2028 \"q\" \\ \n /menu", "/starting", "/unknown", "x" * 4096):
        assert send_and_wait(telegram, text) == {"chat_id": 1111, "text": text}
    assert {c.via for c in telegram.called()} == {how}
    assert all(c.ok for c in telegram.called())


@BOTH_WAYS
def test_the_menu_has_buttons_and_a_pressed_one_is_answered(start, telegram, how):
    start(TELEGRAM_REPLY=how)
    menu = send_and_wait(telegram, "/menu")
    buttons = [b for row in menu["reply_markup"]["inline_keyboard"] for b in row]
    assert [b["callback_data"] for b in buttons] == ["tea", "coffee", "nothing"]
    telegram.wait_delivered(telegram.press("tea"))
    answer = telegram.wait_calls(1, "answerCallbackQuery")[0]
    assert answer.ok and answer.params["text"] == "Tea it is."
    messages = telegram.called("sendMessage")[1:]
    assert [m.params for m in messages] == ([{"chat_id": 1111, "text": "Tea it is."}] if how == "api" else [])
    telegram.wait_delivered(telegram.press("something else"))
    assert telegram.wait_calls(2, "answerCallbackQuery")[1].params["text"] == "I do not know that button."


@BOTH_WAYS
def test_a_repeated_update_is_answered_once(start, telegram, how):
    start(TELEGRAM_REPLY=how)
    first = telegram.send_text("once")
    telegram.wait_delivered(first)
    for _ in range(3):
        telegram.redeliver(first)
        assert telegram.wait_delivered(first).status == 200
    assert send_and_wait(telegram, "next")["text"] == "next"
    assert [c.params["text"] for c in telegram.called()] == ["once", "next"]


@BOTH_WAYS
def test_updates_are_remembered_when_the_process_was_started_again(start, telegram, how):
    _, runtime = start(TELEGRAM_REPLY=how)
    first = telegram.send_text("once")
    telegram.wait_delivered(first)
    runtime.process.kill()
    start(TELEGRAM_REPLY=how)
    telegram.redeliver(first)
    assert telegram.wait_delivered(first).status == 200
    assert [c.params["text"] for c in telegram.called()] == ["once"]


def test_without_tmp_updates_are_remembered_in_memory(start, telegram):
    start(TELEGRAM_SEEN_FILE="/nonexistent/seen")
    first = telegram.send_text("once")
    telegram.wait_delivered(first)
    telegram.redeliver(first)
    telegram.wait_delivered(first)
    assert len(telegram.called()) == 1


@pytest.mark.parametrize("given", [None, "", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "é"])
def test_a_wrong_secret_is_refused_and_nothing_is_answered(start, telegram, given):
    bridge, _ = start(webhook=False)
    update = {"update_id": 5, "message": {"chat": {"id": 1111}, "text": "let me in"}}
    assert bridge.post(update, secret=given)[0] == 401
    assert telegram.called() == []


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_configured_secret_everything_is_refused(start, telegram, secret):
    bridge, runtime = start(webhook=False, TELEGRAM_SECRET=secret)
    update = {"update_id": 5, "message": {"chat": {"id": 1111}, "text": "let me in"}}
    assert bridge.post(update, secret="")[0] == 401
    assert bridge.post(update, secret=None)[0] == 401
    assert bridge.post(update)[0] == 401
    assert runtime.stdout_line("TELEGRAM_SECRET is not set")


BAD_BODIES = [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"update_id":"5"}', b'{"update_id":0}', b'{"update_id":-1}',
              b'{"update_id":1.5}', b'{"update_id":9223372036854775808}', b'{"update_id":true}',
              b'{"update_id":5,"message":{}}', b'{"update_id":5,"message":{"chat":{"id":1},"text":7}}',
              b'{"update_id":5,"callback_query":{}}', b'{"update_id":5,"callback_query":{"id":"1","message":{}}}']


@pytest.mark.parametrize("base64_bodies", [False, True])
def test_bodies_that_are_no_updates_are_refused(start, telegram, base64_bodies):
    bridge, _ = start(webhook=False, TELEGRAM_REPLY="webhook", base64_bodies=base64_bodies)
    assert {body: bridge.post(body)[0] for body in BAD_BODIES} == dict.fromkeys(BAD_BODIES, 400)


def test_a_body_that_is_not_base64_is_refused(start):
    bridge, _ = start(webhook=False)
    event = bridge.event({"X-Telegram-Bot-Api-Secret-Token": SECRET}, b"")
    for body in ("not base64!", "abc", "YQ=", "Y=Q=", "===="):
        assert bridge.api.invoke({**event, "body": body, "isBase64Encoded": True}).json["statusCode"] == 400


def test_updates_of_other_kinds_are_taken_and_ignored(start, telegram):
    start()
    chat = {"chat": {"id": 1111}, "message_id": 1, "date": 0}
    for update in ({"edited_message": {**chat, "text": "x"}}, {"poll": {"id": "1"}}, {"inline_query": {"from": {"id": 1}}}):
        assert telegram.wait_delivered(telegram.post_update(update)).status == 200
    assert telegram.called() == []
    telegram.wait_delivered(telegram.post_update({"message": {**chat, "photo": []}}))
    assert telegram.called()[0].params["text"] == "I can only echo text."


@pytest.mark.parametrize("code, description", [(429, "Too Many Requests: retry after 1"), (500, "Internal Server Error"),
                                               (401, "Unauthorized")])
def test_a_failure_that_may_pass_makes_telegram_try_again(start, telegram, code, description):
    start()
    telegram.fail_next("sendMessage", code, description, times=2)
    update = telegram.send_text("patience")
    telegram.wait_delivered(update)
    assert [d.status for d in telegram.wait_attempts(update, 3)] == [502, 502, 200]
    assert [(c.params["text"], c.ok) for c in telegram.called()] == [("patience", i == 2) for i in range(3)]


def test_a_refusal_for_good_is_logged_and_not_tried_again(start, telegram):
    _, runtime = start()
    telegram.fail_next("sendMessage", 403, "Forbidden: bot was blocked by the user")
    update = telegram.send_text("hello?")
    assert telegram.wait_delivered(update).status == 200
    assert len(telegram.called()) == 1
    assert "403" in runtime.stdout_line("bot was blocked by the user")


def test_an_expired_query_still_gets_its_message(start, telegram):
    start()
    telegram.fail_next("answerCallbackQuery", 400, "Bad Request: query is too old and response timeout expired")
    telegram.wait_delivered(telegram.press("coffee"))
    assert telegram.wait_calls(1, "sendMessage")[0].params["text"] == "Coffee it is."


def test_an_api_that_cannot_be_reached_asks_for_the_update_again_and_keeps_the_token_out_of_the_log(start, telegram):
    bridge, runtime = start(TELEGRAM_API_BASE="http://127.0.0.1:1/")
    update = telegram.send_text("anyone there?")
    assert {d.status for d in telegram.wait_attempts(update, 2)} == {502}
    assert runtime.stdout_line("sendMessage failed")
    assert telegram.token not in runtime.stdout + runtime.stderr


def test_without_a_token_nothing_is_called_and_the_log_says_why(start, telegram):
    _, runtime = start(TELEGRAM_TOKEN=None)
    update = telegram.send_text("hi")
    assert telegram.wait_attempts(update, 1)[0].status == 502
    assert runtime.stdout_line("TELEGRAM_TOKEN is not set")
    assert telegram.called() == []


def test_the_c_bot_without_libcurl_refuses_to_start_unless_it_answers_in_the_webhook(tmp_path, telegram):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    program = compile_bot(tmp_path, "-DWEBHOOK_ONLY")
    env = {"TELEGRAM_SECRET": SECRET, "TELEGRAM_SEEN_FILE": str(tmp_path / "seen"), "ASAN_OPTIONS": "detect_leaks=0"}
    with FakeRuntimeApi() as api, Runtime([program], api, tmp_path, "unused", env) as runtime:
        assert json.loads(api.init_error().body)["errorType"] == "Function.NoApi"
        assert runtime.exit_code() == 1
    with FakeRuntimeApi() as api, Runtime([program], api, tmp_path, "unused", {**env, "TELEGRAM_REPLY": "webhook"}):
        bridge = Bridge(api)
        telegram.set_webhook(bridge.url, SECRET)
        assert send_and_wait(telegram, "hi")["text"] == "hi"
        bridge.close()
