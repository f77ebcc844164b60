# SPDX-License-Identifier: Apache-2.0
"""The fake Telegram itself: a test double that answers wrongly would make every bot test worthless."""

import http.client
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from telegram_fake import TelegramFake  # noqa: E402


@pytest.fixture
def telegram():
    with TelegramFake(retry_delay=0.01, attempts=5) as fake:
        yield fake


@pytest.fixture
def webhook():
    """A webhook that records requests and answers what `answers` says (the last one again and again)."""

    class Webhook:
        requests, answers = [], [(200, "", b"")]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.requests.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
            status, kind, answer = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    hook = Webhook()
    hook.requests, hook.answers = [], [(200, "", b"")]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hook.url = "http://127.0.0.1:%d/hook?x=1" % server.server_address[1]
    yield hook
    server.shutdown()
    server.server_close()


def raw(telegram, method, path, body=None, content_type=None):
    connection = http.client.HTTPConnection(telegram.base.partition("//")[2])
    connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
    answer = connection.getresponse()
    result = answer.status, json.loads(answer.read())
    connection.close()
    return result


def test_a_wrong_token_or_method_is_refused_as_telegram_does(telegram):
    assert raw(telegram, "GET", "/bot123:wrong/getMe") == (
        401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
    not_found = (404, {"ok": False, "error_code": 404, "description": "Not Found"})
    assert raw(telegram, "GET", "/bot%s/noSuchMethod" % telegram.token) == not_found
    assert raw(telegram, "GET", "/") == not_found
    status, answer = raw(telegram, "GET", "/bot%s/getme" % telegram.token)
    assert status == 200 and answer["result"]["is_bot"] is True


def test_parameters_come_in_the_query_as_form_as_json_or_multipart(telegram):
    telegram.send_text("hi", chat_id=7)
    path = "/bot%s/sendMessage" % telegram.token
    boundary = b"--x\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"
    multipart = boundary % (b"chat_id", b"7") + boundary % (b"text", b"hello") + b"--x--\r\n"
    for answer in (
        raw(telegram, "GET", path + "?chat_id=7&text=hello"),
        raw(telegram, "POST", path, "chat_id=7&text=hello", "application/x-www-form-urlencoded"),
        raw(telegram, "POST", path, '{"chat_id":7,"text":"hello"}', "application/json"),
        raw(telegram, "POST", path, multipart, "multipart/form-data; boundary=x"),
    ):
        assert answer[0] == 200, answer
        assert answer[1]["result"]["text"] == "hello"


def test_set_webhook_works_with_the_curl_line_of_the_documentation(telegram):
    done = subprocess.run(["curl", "-sS", telegram.base + "/bot%s/setWebhook" % telegram.token, "-F",
                           "url=https://example.com/", "-F", "secret_token=abc"], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"ok": True, "result": True, "description": "Webhook was set"}
    assert telegram.webhook["secret_token"] == "abc"


@pytest.mark.parametrize("params, description", [
    ({"url": "https://example.com/", "secret_token": "a b"}, "secret token contains unallowed characters"),
    ({"url": "https://example.com/", "secret_token": "a" * 257}, "secret token is too long"),
    ({"url": "ftp://example.com/"}, "bad webhook: Failed to parse URL"),
])
def test_a_bad_webhook_is_refused(telegram, params, description):
    assert telegram.call("setWebhook", **params) == {
        "ok": False, "error_code": 400, "description": "Bad Request: " + description}


def test_plain_http_and_odd_ports_are_refused_when_asked_for():
    with TelegramFake(https_only=True) as telegram:
        assert telegram.call("setWebhook", url="http://example.com/")["description"] == (
            "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        assert "ports 80, 88, 443 or 8443" in telegram.call("setWebhook", url="https://example.com:81/")["description"]


def test_the_webhook_is_described_and_deleted(telegram):
    assert telegram.call("getWebhookInfo")["result"] == {
        "url": "", "has_custom_certificate": False, "pending_update_count": 0}
    telegram.set_webhook("https://example.com/", "s", max_connections=5)
    assert telegram.set_webhook("https://example.com/", "s")["description"] == "Webhook is already set"
    info = telegram.call("getWebhookInfo")["result"]
    assert (info["url"], info["max_connections"]) == ("https://example.com/", 40)
    assert telegram.call("deleteWebhook")["description"] == "Webhook was deleted"
    assert telegram.call("deleteWebhook")["description"] == "Webhook is already deleted"


def test_updates_arrive_in_order_with_the_secret(telegram, webhook):
    telegram.set_webhook(webhook.url, "s3cret")
    ids = [telegram.send_text("/start a"), telegram.press("tea"), telegram.send_text("b")]
    telegram.wait_delivered(ids[-1])
    assert [body["update_id"] for _, body in webhook.requests] == ids == sorted(ids)
    headers, body = webhook.requests[0]
    assert headers["x-telegram-bot-api-secret-token"] == "s3cret"
    assert headers["content-type"] == "application/json"
    assert body["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert webhook.requests[1][1]["callback_query"]["data"] == "tea"


def test_the_host_of_the_url_is_asked_for_at_the_fixed_address(telegram, webhook):
    port = webhook.url.rpartition(":")[2].partition("/")[0]
    telegram.set_webhook("http://bot.invalid:%s/hook" % port, ip_address="127.0.0.1")
    telegram.wait_delivered(telegram.send_text("a"))
    assert webhook.requests[0][0]["host"] == "bot.invalid:%s" % port
    assert telegram.call("getWebhookInfo")["result"]["ip_address"] == "127.0.0.1"
    refused = telegram.call("setWebhook", url="http://bot.invalid/", ip_address="localhost")
    assert refused["description"] == "Bad Request: bad webhook: invalid IP address specified"


def test_an_update_is_repeated_until_it_is_taken_and_holds_back_its_followers(telegram, webhook):
    webhook.answers = [(500, "", b""), (302, "", b""), (200, "", b"")]
    telegram.set_webhook(webhook.url)
    first, second = telegram.send_text("a"), telegram.send_text("b")
    telegram.wait_delivered(second)
    assert [(d.update_id, d.status) for d in telegram.deliveries] == [
        (first, 500), (first, 302), (first, 200), (second, 200)]
    assert "x-telegram-bot-api-secret-token" not in webhook.requests[0][0]
    assert telegram.call("getWebhookInfo")["result"]["last_error_message"] == (
        "Wrong response from the webhook: 302 Found")


def test_an_update_nobody_takes_is_dropped_at_last(telegram, webhook):
    webhook.answers = [(401, "", b"")]
    telegram.set_webhook(webhook.url)
    update = telegram.send_text("a")
    telegram.wait_for(lambda: update in telegram.dropped)
    assert len(webhook.requests) == 5


def test_method_calls_in_the_answer_are_executed_but_for_the_excluded_ones(telegram, webhook):
    as_json = "application/json"
    webhook.answers = [
        (200, as_json, b'{"method":"sendMessage","chat_id":1111,"text":"json"}'),
        (200, "application/x-www-form-urlencoded", b"method=sendMessage&chat_id=1111&text=form"),
        (200, as_json, b'{"method":"deleteWebhook"}'), (200, as_json, b'{"method":"getMe"}'),
        (200, as_json, b"not json"), (200, "text/plain", b'{"method":"sendMessage","chat_id":1111,"text":"plain"}'),
        (200, "", b""),
    ]
    telegram.set_webhook(webhook.url)
    for _ in range(6):
        last = telegram.send_text("x")
    telegram.wait_delivered(last)
    assert [(c.method, c.params["text"], c.via) for c in telegram.called()] == [
        ("sendMessage", "json", "webhook"), ("sendMessage", "form", "webhook")]
    assert telegram.webhook["url"] == webhook.url


@pytest.mark.parametrize("params, description", [
    ({"text": "x"}, "chat_id is empty"), ({"chat_id": 5, "text": "x"}, "chat not found"),
    ({"chat_id": 1111}, "message text is empty"), ({"chat_id": 1111, "text": " "}, "message text is empty"),
    ({"chat_id": 1111, "text": "x" * 4097}, "message is too long"),
    ({"chat_id": 1111, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "t", "callback_data": ""}]]}},
     "BUTTON_DATA_INVALID"),
])
def test_a_bad_message_is_refused(telegram, params, description):
    telegram.send_text("hi")
    answer = telegram.call("sendMessage", **params)
    assert (answer["error_code"], answer["description"]) == (400, "Bad Request: " + description)


def test_only_known_queries_can_be_answered(telegram):
    update = telegram.press("x")
    query = telegram._updates[update]["callback_query"]["id"]
    assert telegram.call("answerCallbackQuery", callback_query_id=query)["result"] is True
    assert telegram.call("answerCallbackQuery", callback_query_id="1")["description"] == (
        "Bad Request: query is too old and response timeout expired or query ID is invalid")
