# SPDX-License-Identifier: Apache-2.0
"""A Telegram bot, the whole loop: an update of (a fake) Telegram comes in by HTTP, passes the API and the jail, reaches the bot of
examples/telegram-echo, and the bot's answer reaches Telegram: in the reply to the webhook, or by a call out of the jail.

Python's is deployed with `sluice deploy`, and the line it prints for setWebhook is run as it stands; C's is deployed with boto3 and is
reached by the host name of its API. Each of them answers in both ways, which makes the four cases of `bot`.
"""

import concurrent.futures
import json
import re
import subprocess
import urllib.parse

import pytest

from support import PATIENCE, ROOT, wait_for
from telegram_fake import TOKEN, TelegramFake

EXAMPLE = ROOT / "examples" / "telegram-echo"
SECRET = "s3cret_-Token"
GREETING = "Hello! Send me a text and I send it back. /menu shows some buttons."
OUT = pytest.mark.needs("outgoing network")


@pytest.fixture(scope="session")
def c_zip(tmp_path_factory):
    path = tmp_path_factory.mktemp("bot") / "bot.zip"
    subprocess.run([EXAMPLE / "c" / "build.sh", path], check=True, capture_output=True)
    return path.read_bytes()


class Bot:
    """A deployed bot whose webhook is set: server, telegram, name of the function, url (of the webhook), host."""

    def __init__(self, server, telegram, reply):
        self.server, self.telegram, self.reply, self.host = server, telegram, reply, None
        self.environment = {"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "TELEGRAM_REPLY": reply, "TELEGRAM_API_BASE": telegram.base}

    def deploy_python(self):
        """With the command, and then what it says."""
        self.name = "telegram-echo"
        said = self.server.cli("deploy", str(EXAMPLE / "python"), env=self.environment)
        assert said.returncode == 0, said.stderr
        line = re.search(r"^ *(curl .*/setWebhook.*)$", said.stdout, re.M)[1]
        assert "https://<your address>/" in line
        # The public address that a proxy would have is the server's own here.
        line = line.replace("https://<your address>", self.server.url)
        done = subprocess.run(["sh", "-c", line + " -sS"], capture_output=True, text=True, timeout=PATIENCE)
        assert json.loads(done.stdout) == {"ok": True, "result": True, "description": "Webhook was set"}, done
        self.url = self.telegram.webhook["url"]
        return self

    def deploy_c(self, code):
        self.name = "telegram-echo-c"
        functions = self.server.client("lambda")
        made = self.server.create_function(self.name, code, "provided.al2023", "bootstrap", Timeout=30, Environment={"Variables": self.environment})
        api = self.server.client("apigatewayv2").create_api(Name=self.name, ProtocolType="HTTP", Target=made["FunctionArn"], RouteKey="POST /")
        functions.add_permission(FunctionName=self.name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                                 SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api['ApiId']}/*")  # fmt: skip
        self.url = api["ApiEndpoint"] + "/"
        self.host = urllib.parse.urlsplit(self.url).netloc
        self.telegram.set_webhook(self.url, SECRET, ip_address="127.0.0.1")
        return self

    def post(self, body, headers=None):
        """A request to the webhook as anyone could make it."""
        path = urllib.parse.urlsplit(self.url).path
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.server.http("POST", path, body, {"Content-Type": "application/json", **(headers or {})}, host=self.host)

    def log(self):
        return self.server.http("GET", f"/_sluice/logs?function={self.name}").text

    def texts(self, chat=None):
        """What the bot sent so far."""
        return [c.params["text"] for c in self.telegram.called("sendMessage") if chat in (None, int(c.params["chat_id"]))]


LANGUAGES = ("python", "c")
CASES = [pytest.param((l, r), id=f"{l}-{r}", marks=[OUT] if r == "api" else []) for l in LANGUAGES for r in ("webhook", "api")]


@pytest.fixture
def deployed(request):
    """deployed(server, telegram, language, reply) gives a Bot."""

    def deploy(server, telegram, language, reply):
        bot = Bot(server, telegram, reply)
        return bot.deploy_python() if language == "python" else bot.deploy_c(request.getfixturevalue("c_zip"))

    return deploy


@pytest.fixture
def bot(request, deployed):
    """The bot in a language, answering in a way; for its calls functions may reach one address of this machine."""
    language, reply = request.param
    if reply == "webhook":
        with TelegramFake(retry_delay=0.02) as telegram:
            yield deployed(request.getfixturevalue("server"), telegram, language, reply)
        return
    with TelegramFake(retry_delay=0.02, address=request.getfixturevalue("address")) as telegram:
        server = request.getfixturevalue("start_server")("--allow", telegram.base.removeprefix("http://"))
        yield deployed(server, telegram, language, reply)


every_way = pytest.mark.parametrize("bot", CASES, indirect=True)
either_language = pytest.mark.parametrize("bot", CASES[::2], indirect=True)


# --- the conversation -----------------------------------------------------------------------------------------------


@every_way
def test_a_conversation_from_start_to_button(bot):
    telegram = bot.telegram
    for text, answer in (("/start", GREETING), ("/start@sluice_bot again", GREETING), ("hello there", "hello there"), ("/unknown x", "/unknown x")):
        telegram.wait_delivered(telegram.send_text(text, chat_id=7))
        assert telegram.wait_calls(1, "sendMessage")[-1].params["text"] == answer
    telegram.wait_delivered(telegram.send_text("/menu", chat_id=7))
    telegram.wait_calls(5, "sendMessage")
    menu = telegram.called("sendMessage")[4]
    markup = menu.params["reply_markup"]
    markup = json.loads(markup) if isinstance(markup, str) else markup
    buttons = [button["callback_data"] for row in markup["inline_keyboard"] for button in row]
    assert buttons == ["tea", "coffee", "nothing"]

    telegram.wait_delivered(telegram.press(buttons[1], chat_id=7, message=menu.result))
    answers = telegram.wait_calls(1, "answerCallbackQuery")
    assert [a.params["text"] for a in answers] == ["Coffee it is."]
    if bot.reply == "api":  # one call is all that fits into the reply to a webhook
        assert telegram.wait_calls(6, "sendMessage")[5].params["text"] == "Coffee it is."
    assert all(call.ok for call in telegram.called()), telegram.called()
    assert {call.via for call in telegram.called()} == {bot.reply}
    assert [d.status for d in telegram.deliveries] == [200] * 6


@every_way
def test_text_of_every_kind_comes_back_as_it_was(bot):
    texts = [
        "Grüße, Zoë – „ja“",
        "\U0001f44b\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea",
        "\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c \u0645\u0631\u062d\u0628\u0627",
        "日本語 and 한국어",
        'quote " back\\slash /slash\nnew line\ttab \x7f',
        "\U0001f600" * 2048,  # Telegram's limit, in its way of counting
        "</script>&amp;%00%s${HOME}",
    ]
    for text in texts:
        bot.telegram.send_text(text)
    bot.telegram.wait_calls(len(texts), "sendMessage")
    assert bot.texts() == texts


@either_language
def test_raw_utf_8_and_escapes_are_the_same_text(bot):
    update = {"update_id": 5, "message": {"message_id": 1, "date": 0, "chat": {"id": 9, "type": "private"}, "text": "é😀"}}
    secret = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    for number, body in enumerate((json.dumps(update), json.dumps({**update, "update_id": 6}, ensure_ascii=False))):
        answer = bot.post(body.encode(), secret)
        assert (answer.status, answer.json()["text"]) == (200, "é😀"), number


@every_way
def test_many_chats_at_once_get_each_their_own_answers(bot):
    chats = {chat: [f"{chat}: message {n}" for n in range(4)] for chat in range(100, 108)}
    for n in range(4):
        for chat, texts in chats.items():
            bot.telegram.send_text(texts[n], chat_id=chat)
    bot.telegram.wait_calls(32, "sendMessage")
    for chat, texts in chats.items():
        assert bot.texts(chat) == texts  # in the order in which they were sent, each once


# --- what Telegram repeats ------------------------------------------------------------------------------------------


@every_way
def test_a_repeated_update_is_answered_once(bot):
    update = bot.telegram.send_text("only once")
    bot.telegram.wait_delivered(update)
    for _ in range(3):
        bot.telegram.redeliver(update)
    bot.telegram.wait_attempts(update, 4)
    bot.telegram.wait_delivered(bot.telegram.send_text("the next"))
    bot.telegram.wait_calls(2, "sendMessage")
    assert bot.texts() == ["only once", "the next"]
    assert [d.status for d in bot.telegram.deliveries] == [200] * 5


@either_language
def test_what_happens_while_the_bot_is_away_is_made_up_for(bot):
    functions = bot.server.client("lambda")
    functions.put_function_concurrency(FunctionName=bot.name, ReservedConcurrentExecutions=0)
    update = bot.telegram.send_text("are you there?")
    assert {d.status for d in bot.telegram.wait_attempts(update, 3)} <= {500, 503}
    assert bot.texts() == []
    functions.delete_function_concurrency(FunctionName=bot.name)
    bot.telegram.wait_delivered(update)
    bot.telegram.wait_calls(1, "sendMessage")
    assert bot.texts() == ["are you there?"]


@pytest.mark.parametrize("bot", CASES[1::2], indirect=True)
def test_an_overloaded_telegram_gets_the_answer_later(bot):
    bot.telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 1", times=2, retry_after=1)
    update = bot.telegram.send_text("patience")
    bot.telegram.wait_delivered(update)
    assert [d.status for d in bot.telegram.wait_attempts(update, 3)] == [502, 502, 200]
    assert [(c.ok, c.params["text"]) for c in bot.telegram.called()] == [(False, "patience")] * 2 + [(True, "patience")]


# --- who is not Telegram --------------------------------------------------------------------------------------------


@every_way
def test_a_wrong_or_missing_secret_has_no_effect(bot):
    bot.telegram.wait_delivered(bot.telegram.send_text("before"))
    update = {"update_id": 4711, "message": {"message_id": 1, "date": 0, "chat": {"id": 1111, "type": "private"}, "text": "forged"}}
    name = "X-Telegram-Bot-Api-Secret-Token"
    for headers in ({}, {name: ""}, {name: "wrong"}, {name: SECRET + "x"}, {name: SECRET[:-1]}, {name: SECRET.upper()}, {"X-Secret": SECRET}):
        answer = bot.post(update, headers)
        assert (answer.status, answer.json()) == (401, {"message": "Unauthorized"}), headers
    # Nor is the update's number remembered: Telegram's own update of that number is answered.
    bot.telegram.wait_delivered(bot.telegram.post_update({**update, "message": {**update["message"], "text": "genuine"}}))
    bot.telegram.wait_calls(2, "sendMessage")
    assert bot.texts() == ["before", "genuine"]
    assert SECRET not in bot.log() and TOKEN not in bot.log()


@either_language
def test_what_is_no_update_is_refused_and_the_bot_goes_on(bot):
    secret = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    for body in (b"", b"{", b"[]", b"null", b'{"update_id": "1"}', b'{"update_id": -1}', b"\xff\xfe", b"[" * 10000, b'{"message": {}}'):
        assert bot.post(body, secret).status == 400, body[:20]
    path = urllib.parse.urlsplit(bot.url).path
    assert bot.server.http("GET", path, headers=secret, host=bot.host).status == 404  # the route is POST only
    bot.telegram.wait_delivered(bot.telegram.send_text("still here"))
    assert bot.texts() == ["still here"]


@pytest.mark.parametrize("language", LANGUAGES)
@OUT
def test_without_allow_no_function_reaches_this_machine(request, server, deployed, language):
    with TelegramFake(retry_delay=0.02, address=request.getfixturevalue("address")) as telegram:
        bot = deployed(server, telegram, language, "api")
        update = telegram.send_text("hello?")
        assert [d.status for d in telegram.wait_attempts(update, 1)][:1] == [502]
        assert telegram.called() == []
        assert TOKEN not in bot.log()


# --- one bot, many at a time ----------------------------------------------------------------------------------------


@either_language
def test_a_changed_secret_counts_from_the_next_update_on(bot):
    bot.telegram.wait_delivered(bot.telegram.send_text("old"))
    functions = bot.server.client("lambda")
    functions.update_function_configuration(FunctionName=bot.name, Environment={"Variables": {**bot.environment, "TELEGRAM_SECRET": "another"}})
    wait_for(lambda: functions.get_function_configuration(FunctionName=bot.name)["LastUpdateStatus"] == "Successful", "the update")
    update = bot.telegram.send_text("new")
    assert {d.status for d in bot.telegram.wait_attempts(update, 2)} == {401}
    bot.telegram.set_webhook(bot.url, "another", **({"ip_address": "127.0.0.1"} if bot.host else {}))
    bot.telegram.wait_delivered(update)
    bot.telegram.wait_calls(2, "sendMessage")
    assert bot.texts() == ["old", "new"]


@either_language
def test_updates_and_forgeries_at_the_same_time_do_not_mix(bot):
    forged = {"update_id": 99, "message": {"message_id": 1, "date": 0, "chat": {"id": 1111, "type": "private"}, "text": "forged"}}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        refused = [pool.submit(bot.post, forged, {"X-Telegram-Bot-Api-Secret-Token": "guess%d" % n}) for n in range(24)]
        for n in range(10):
            bot.telegram.send_text("message %d" % n)
        bot.telegram.wait_calls(10, "sendMessage")
        assert {f.result().status for f in refused} == {401}
    assert bot.texts() == ["message %d" % n for n in range(10)]
