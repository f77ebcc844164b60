# SPDX-License-Identifier: Apache-2.0
"""A Telegram bot as a function behind an HTTP API (payload format 2.0): greets, echoes, shows a menu.

Way of an update: check the secret header, decode the body, drop what was answered before, turn the update into Bot API
method calls (`answers`), and either make the calls or, with TELEGRAM_REPLY=webhook, put one of them into the webhook's
answer, which needs no outgoing network. See ../README.md for the environment variables and for what "once" means here.

Status codes matter: Telegram sends an update again until it gets 2xx. So 2xx means "done, or never will be", 401 and
400 are for requests that are not Telegram's, and 502 asks for the update again.
"""

import base64
import hmac
import json
import os
import struct

MENU = {
    "inline_keyboard": [
        [{"text": "Tea", "callback_data": "tea"}, {"text": "Coffee", "callback_data": "coffee"}],
        [{"text": "Nothing, thanks", "callback_data": "nothing"}],
    ]
}
GREETING = "Hello! Send me a text and I send it back. /menu shows some buttons."
ONLY_TEXT = "I can only echo text."
CHOICES = {"tea": "Tea it is.", "coffee": "Coffee it is.", "nothing": "As you like."}

SEEN_FILE = os.environ.get("TELEGRAM_SEEN_FILE", "/tmp/telegram-echo.seen")
SLOTS = 1024  # update ids are consecutive, so the last 1024 updates are remembered
TIMEOUT = 10.0  # seconds for one call of the Bot API, if the invocation has that much left


class Seen:
    """The ids of answered updates: slot (id mod 1024) of a file in /tmp, which outlives a crash of this process."""

    def __init__(self, path):
        self.ids = [0] * SLOTS
        try:
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            data = os.pread(self.file, 8 * SLOTS, 0)
            for i in range(len(data) // 8):
                self.ids[i] = struct.unpack_from("<q", data, 8 * i)[0]
        except OSError as e:
            self.file = None
            print("remembering updates in memory only: %s" % e)

    def __contains__(self, update_id):
        return self.ids[update_id % SLOTS] == update_id

    def add(self, update_id):
        self.ids[update_id % SLOTS] = update_id
        if self.file is not None:
            os.pwrite(self.file, struct.pack("<q", update_id), 8 * (update_id % SLOTS))


class TryAgain(Exception):
    """The Bot API could not be reached or was overloaded; the update should be delivered again."""


seen = Seen(SEEN_FILE)


def answers(update):
    """The method calls that answer an update, most important first."""
    query = update.get("callback_query")
    if isinstance(query, dict):
        text = CHOICES.get(query.get("data"), "I do not know that button.")
        calls = [("answerCallbackQuery", {"callback_query_id": query["id"], "text": text})]
        if "message" in query:  # missing if the message is too old, or the button was in an inline message
            calls.append(("sendMessage", {"chat_id": query["message"]["chat"]["id"], "text": text}))
        return calls
    message = update.get("message")
    if not isinstance(message, dict):
        return []  # edited messages, polls and so on are no concern of an echo
    text = message.get("text", "")
    command = text.split(None, 1)[0].partition("@")[0] if text.startswith("/") else ""
    reply = {"chat_id": message["chat"]["id"]}
    if command == "/start":
        reply["text"] = GREETING
    elif command == "/menu":
        reply.update(text="What would you like?", reply_markup=MENU)
    else:
        reply["text"] = text or ONLY_TEXT
    return [("sendMessage", reply)]


def call(method, params, context):
    """Calls the Bot API. A refusal for good (the user blocked the bot, a query is too old) is logged, not raised."""
    import urllib.error  # here, because it brings ssl with it, which a webhook reply does not need
    import urllib.request

    token = os.environ.get("TELEGRAM_TOKEN", "")
    if not token:
        print("TELEGRAM_TOKEN is not set: cannot call the Bot API")
        raise TryAgain
    base = os.environ.get("TELEGRAM_API_BASE", "https://api.telegram.org").rstrip("/")
    request = urllib.request.Request(
        "%s/bot%s/%s" % (base, token, method), json.dumps(params).encode(), {"Content-Type": "application/json"}
    )
    left = context.get_remaining_time_in_millis() / 1000 - 0.25  # keep enough to answer Telegram ourselves
    try:
        with urllib.request.urlopen(request, timeout=max(0.05, min(TIMEOUT, left))) as response:
            response.read()
    except urllib.error.HTTPError as e:
        reason = e.read(1000).decode("utf-8", "replace")
        print("%s answered %d: %s" % (method, e.code, reason))
        if e.code == 429 or e.code >= 500 or e.code in (401, 404):  # 401, 404: a wrong token, which can be put right
            raise TryAgain from None
    except OSError as e:
        print("%s failed: %s" % (method, getattr(e, "reason", e)))  # never the URL: it holds the token
        raise TryAgain from None


def reply(status, body=None):
    if body is None:
        return {"statusCode": status}
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def is_telegram(event):
    """Whether the request carries our secret. Without one configured nobody does."""
    secret = os.environ.get("TELEGRAM_SECRET", "")
    if not secret:
        print("TELEGRAM_SECRET is not set: refusing all requests")
        return False
    given = (event.get("headers") or {}).get("x-telegram-bot-api-secret-token", "")
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def parse(event):
    body = event.get("body", "")
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body, validate=True)
    update = json.loads(body)
    update_id = update["update_id"]
    if type(update_id) is not int or not 0 < update_id < 2**63:
        raise ValueError("update_id")
    return update


def handler(event, context):
    if not is_telegram(event):
        return reply(401, {"message": "Unauthorized"})
    try:
        update = parse(event)
        update_id = update["update_id"]
        if update_id in seen:
            print("update %d was answered before" % update_id)
            return reply(200)
        calls = answers(update)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        print("not an update: %s" % type(e).__name__)
        return reply(400, {"message": "Bad Request"})
    try:
        if os.environ.get("TELEGRAM_REPLY", "api") == "webhook":
            body = {"method": calls[0][0], **calls[0][1]} if calls else None
        else:
            body = None
            for method, params in calls:
                call(method, params, context)
    except TryAgain:
        return reply(502, {"message": "Bad Gateway"})
    seen.add(update_id)
    return reply(200, body)
