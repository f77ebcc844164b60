# SPDX-License-Identifier: Apache-2.0
"""A small server that plays Telegram's Bot API for one bot, so that webhook functions can be tested without network.

Purpose: answer setWebhook, deleteWebhook, getWebhookInfo, getMe, sendMessage, answerCallbackQuery and editMessageText
as the Bot API does (parameters in the query, as form, JSON or multipart; the documented errors), and deliver updates to
the webhook as Telegram's own Bot API server does: one after another per chat, POST with JSON and the
X-Telegram-Bot-Api-Secret-Token header, again and again until a 2xx answer, and with a method call in the answer
executed (except the methods it excludes: get..., setWebhook, deleteWebhook, close, logOut).

Data flow: tests call `send_text`, `press` or `post_update`; a thread per chat delivers; whatever the bot calls, by API
or in a webhook's answer, is recorded in `calls`. Tests wait with `wait_for` and its friends, never by sleeping.

Unlike Telegram: plain http is allowed for webhooks unless `https_only` (a Bot API server in local mode does the same),
retries come after `retry_delay` without growing, and after `attempts` the update is dropped.
"""

from __future__ import annotations

import email.parser
import email.policy
import http.client
import itertools
import json
import queue
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

WAIT = 30.0
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-fake"
UPDATE_TYPES = ("message", "edited_message", "channel_post", "callback_query", "inline_query", "my_chat_member")


class ApiError(Exception):
    def __init__(self, code, description, **parameters):
        self.code, self.description, self.parameters = code, description, parameters


@dataclass
class Call:
    """A Bot API method the bot called. `via` is "api", or "webhook" for one in a webhook's answer."""

    method: str
    params: dict
    via: str
    ok: bool = True
    result: object = None
    description: str = ""


@dataclass
class Delivery:
    """One attempt to deliver an update: the webhook's status (0: no answer), headers and body."""

    update_id: int
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""


def bad(text):
    return ApiError(400, "Bad Request: " + text)


class TelegramFake:
    def __init__(self, token=TOKEN, https_only=False, retry_delay=0.05, attempts=100, address="127.0.0.1", port=0):
        self.token, self.https_only = token, https_only
        self.retry_delay, self.attempts = retry_delay, attempts
        self.calls: list[Call] = []
        self.deliveries: list[Delivery] = []
        self.dropped: list[int] = []
        self.webhook = self._no_webhook()
        self._changed = threading.Condition()
        self._ids = itertools.count(873000001)
        self._message_ids = itertools.count(1)
        self._query_ids = itertools.count(4382100917352301)
        self._updates: dict[int, dict] = {}
        self._done: set[int] = set()
        self._pending = 0
        self._chats: dict[int, queue.Queue] = {}
        self._open_queries: set[str] = set()
        self._failures: list[tuple] = []
        self._stopping = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake._serve(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        # A caller may be gone between the look for a connection and its accept, which would then wait for ever, and shutdown() with it.
        self._server.socket.setblocking(False)
        self.base = "http://%s:%d" % (address, self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        self._stopping.set()
        for chat in list(self._chats.values()):
            chat.put(None)
        self._server.shutdown()
        self._server.server_close()

    # -------------------------------------------------------------------------------- what tests do

    def call(self, method, **params):
        """Calls a method as the bot's owner would with curl; returns the decoded answer, raising nothing."""
        connection = http.client.HTTPConnection(*self._server.server_address[:2], timeout=WAIT)
        connection.request("POST", "/bot%s/%s" % (self.token, method), json.dumps(params),
                           {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def set_webhook(self, url, secret_token=None, **params):
        if secret_token is not None:
            params["secret_token"] = secret_token
        answer = self.call("setWebhook", url=url, **params)
        assert answer["ok"], answer
        return answer

    def send_text(self, text, chat_id=1111, **message):
        """A user writes to the bot. Returns the update's id."""
        entities = []
        if text.startswith("/"):
            length = len(re.match(r"/[\w@]*", text)[0])
            entities = [{"type": "bot_command", "offset": 0, "length": length}]
        body = self._message(chat_id, text, from_bot=False)
        if entities:
            body["entities"] = entities
        return self.post_update({"message": {**body, **message}})

    def press(self, data, chat_id=1111, message=None):
        """A user presses a button of an inline keyboard. Returns the update's id."""
        query_id = str(next(self._query_ids))
        self._open_queries.add(query_id)
        return self.post_update({"callback_query": {
            "id": query_id, "from": self._user(chat_id), "chat_instance": "-3012345678901234567", "data": data,
            "message": message or self._message(chat_id, "menu", from_bot=True),
        }})

    def post_update(self, update):
        """Queues an update for delivery; gives it an id if it has none. Returns the id."""
        update = {"update_id": update.get("update_id") or next(self._ids), **update}
        self._updates[update["update_id"]] = update
        self._enqueue(update)
        return update["update_id"]

    def redeliver(self, update_id):
        """Delivers a known update again, as after an answer that was lost on its way."""
        self._done.discard(update_id)
        self._enqueue(self._updates[update_id])

    def fail_next(self, method, code, description, times=1, **parameters):
        """Lets the next calls of a method fail, e.g. (429, "Too Many Requests: retry after 1", retry_after=1)."""
        self._failures += [(method.lower(), ApiError(code, description, **parameters))] * times

    def wait_for(self, predicate, what="the condition", wait=WAIT):
        with self._changed:
            if not self._changed.wait_for(predicate, wait):
                raise AssertionError("timed out waiting for %s; calls: %r; deliveries: %r" %
                                     (what, self.calls, self.deliveries[-5:]))

    def wait_delivered(self, update_id, wait=WAIT) -> Delivery:
        """Waits until the webhook has taken an update (2xx); returns that delivery."""
        self.wait_for(lambda: update_id in self._done, "delivery of update %d" % update_id, wait)
        return [d for d in self.deliveries if d.update_id == update_id][-1]

    def wait_attempts(self, update_id, count, wait=WAIT):
        """Waits until an update has been tried `count` times; returns the attempts."""
        def attempts():
            return [d for d in self.deliveries if d.update_id == update_id]

        self.wait_for(lambda: len(attempts()) >= count, "%d attempts of update %d" % (count, update_id), wait)
        return attempts()

    def wait_calls(self, count, method=None, wait=WAIT) -> list[Call]:
        """Waits until there are `count` calls of the bot (of one method, if given); returns them."""
        self.wait_for(lambda: len(self.called(method)) >= count, "%d calls of %s" % (count, method or "the bot"), wait)
        return self.called(method)

    def called(self, method=None) -> list[Call]:
        """The calls a bot made so far; setWebhook and its like, which owners make, are left out."""
        owners = ("setWebhook", "deleteWebhook", "getWebhookInfo", "getMe")
        return [c for c in list(self.calls) if (c.method == method if method else c.method not in owners)]

    # -------------------------------------------------------------------------------- the Bot API

    def _serve(self, request):
        url = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = url.path.split("/")
        try:
            if len(parts) != 3 or not parts[1].startswith("bot"):
                raise ApiError(404, "Not Found")
            if parts[1] != "bot" + self.token:
                raise ApiError(401, "Unauthorized")
            params = dict(parse_qsl(url.query, keep_blank_values=True))
            params.update(self._parameters(request.headers.get("Content-Type", ""), body))
            answer = self._execute(parts[2], params, "api")
            code = 200
        except ApiError as error:
            code = error.code
            answer = {"ok": False, "error_code": error.code, "description": error.description}
            if error.parameters:
                answer["parameters"] = error.parameters
        data = json.dumps(answer).encode()
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    @staticmethod
    def _parameters(content_type, body) -> dict:
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/json":
            try:
                params = json.loads(body)
            except ValueError:
                params = None
            if not isinstance(params, dict):
                raise bad("can't parse JSON object")
            return params
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if kind == "multipart/form-data":
            head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
            form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
            return {part.get_param("name", header="content-disposition"): part.get_content().rstrip("\r\n")
                    for part in form.iter_parts()}
        return {}

    def _execute(self, method, params, via):
        known = {name.lower(): name for name in ("getMe", "setWebhook", "deleteWebhook", "getWebhookInfo",
                                                  "sendMessage", "answerCallbackQuery", "editMessageText",
                                                  "sendChatAction")}
        name = known.get(method.lower())
        if name is None:
            raise ApiError(404, "Not Found")
        call = Call(name, {k: v for k, v in params.items() if k != "method"}, via)
        try:
            for i, (failing, error) in enumerate(self._failures):
                if failing == method.lower():
                    del self._failures[i]
                    raise error
            result = getattr(self, "_do_" + name)(call.params)
        except ApiError as error:
            call.ok, call.description = False, error.description
            raise
        finally:
            with self._changed:
                self.calls.append(call)
                self._changed.notify_all()
        answer = {"ok": True, "result": result}
        if isinstance(result, tuple):
            answer = {"ok": True, "result": result[0], "description": result[1]}
        call.result = answer["result"]
        return answer

    @staticmethod
    def _no_webhook():
        return {"url": "", "secret_token": "", "max_connections": 40, "allowed_updates": None, "ip_address": None,
                "error": None}

    def _do_getMe(self, params):
        return {"id": int(self.token.partition(":")[0]), "is_bot": True, "first_name": "Sluice",
                "username": "sluice_bot", "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    def _do_setWebhook(self, params):
        url = str(params.get("url", ""))
        if not url:
            return self._do_deleteWebhook(params)
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise bad("bad webhook: Failed to parse URL")
        if split.scheme == "http" and self.https_only:
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        if self.https_only and (split.port or 443) not in (443, 80, 88, 8443):
            raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        secret = str(params.get("secret_token", ""))
        if len(secret) > 256:
            raise bad("secret token is too long")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
            raise bad("secret token contains unallowed characters")
        allowed = params.get("allowed_updates")
        if isinstance(allowed, str):
            try:
                allowed = json.loads(allowed)
            except ValueError:
                raise bad("can't parse allowed updates JSON object") from None
        same = self.webhook["url"] == url and self.webhook["secret_token"] == secret
        limit = min(100, max(1, int(params.get("max_connections", 40))))
        address = str(params.get("ip_address", "")) or None
        if address and not re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", address):
            raise bad("bad webhook: invalid IP address specified")
        with self._changed:
            self.webhook = {"url": url, "secret_token": secret, "max_connections": limit, "ip_address": address, "error": None,
                            "allowed_updates": allowed if allowed is not None else self.webhook["allowed_updates"]}
            if str(params.get("drop_pending_updates", "")).lower() == "true":
                self._drop_pending()
            self._changed.notify_all()
        return True, "Webhook is already set" if same else "Webhook was set"

    def _do_deleteWebhook(self, params):
        with self._changed:
            had = bool(self.webhook["url"])
            self.webhook = self._no_webhook()
            if str(params.get("drop_pending_updates", "")).lower() == "true":
                self._drop_pending()
        return True, "Webhook was deleted" if had else "Webhook is already deleted"

    def _drop_pending(self):
        for chat in self._chats.values():
            with chat.mutex:
                self._pending -= sum(1 for update in chat.queue if update is not None)
                chat.queue.clear()

    def _do_getWebhookInfo(self, params):
        info = {"url": self.webhook["url"], "has_custom_certificate": False, "pending_update_count": self._pending}
        if self.webhook["url"]:
            info["max_connections"] = self.webhook["max_connections"]
            if self.webhook["ip_address"]:
                info["ip_address"] = self.webhook["ip_address"]
        if self.webhook["allowed_updates"]:
            info["allowed_updates"] = self.webhook["allowed_updates"]
        if self.webhook["error"]:
            info["last_error_date"], info["last_error_message"] = self.webhook["error"]
        return info

    @staticmethod
    def _keyboard(params):
        markup = params.get("reply_markup")
        if isinstance(markup, str):
            try:
                markup = json.loads(markup)
            except ValueError:
                raise bad("can't parse reply keyboard markup JSON object") from None
        if markup is None:
            return None
        if not isinstance(markup, dict):
            raise bad("object expected as reply markup")
        for row in markup.get("inline_keyboard", []):
            for button in row:
                if not button.get("text"):
                    raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
                if "callback_data" in button and not 1 <= len(button["callback_data"].encode()) <= 64:
                    raise bad("BUTTON_DATA_INVALID")
        return markup

    def _chat(self, params):
        if params.get("chat_id") in (None, ""):
            raise bad("chat_id is empty")
        try:
            chat_id = int(params["chat_id"])
        except ValueError:
            raise bad("chat not found") from None
        if chat_id not in self._chats:
            raise bad("chat not found")
        return chat_id

    @staticmethod
    def _text(params):
        text = params.get("text")
        if not isinstance(text, str) or not text.strip():
            raise bad("message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise bad("message is too long")
        return text

    def _do_sendMessage(self, params):
        chat_id = self._chat(params)
        message = self._message(chat_id, self._text(params), from_bot=True)
        markup = self._keyboard(params)
        if markup and "inline_keyboard" in markup:
            message["reply_markup"] = markup
        return message

    def _do_editMessageText(self, params):
        message = self._message(self._chat(params), self._text(params), from_bot=True)
        self._keyboard(params)
        return {**message, "message_id": int(params.get("message_id", 0)), "edit_date": int(time.time())}

    def _do_sendChatAction(self, params):
        self._chat(params)
        return True

    def _do_answerCallbackQuery(self, params):
        if str(params.get("callback_query_id", "")) not in self._open_queries:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        return True

    # -------------------------------------------------------------------------------- updates

    @staticmethod
    def _user(chat_id):
        return {"id": chat_id, "is_bot": False, "first_name": "Zoë", "language_code": "en"}

    def _message(self, chat_id, text, from_bot):
        sender = {"id": int(self.token.partition(":")[0]), "is_bot": True, "first_name": "Sluice",
                  "username": "sluice_bot"} if from_bot else self._user(chat_id)
        return {"message_id": next(self._message_ids), "from": sender, "date": int(time.time()),
                "chat": {"id": chat_id, "first_name": "Zoë", "type": "private"}, "text": text}

    @staticmethod
    def _chat_of(update):
        for kind in UPDATE_TYPES:
            part = update.get(kind)
            if isinstance(part, dict):
                chat = part.get("chat") or part.get("message", {}).get("chat") or part.get("from") or {}
                return chat.get("id", 0)
        return 0

    def _enqueue(self, update):
        chat_id = self._chat_of(update)
        with self._changed:
            if chat_id not in self._chats:
                self._chats[chat_id] = queue.Queue()
                threading.Thread(target=self._deliver_chat, args=(self._chats[chat_id],), daemon=True).start()
            self._pending += 1
            self._chats[chat_id].put(update)

    def _deliver_chat(self, updates):
        """Delivers a chat's updates one after another: the next one waits until this one was taken or dropped."""
        connection = None
        while (update := updates.get()) is not None:
            for _ in range(self.attempts):
                with self._changed:
                    self._changed.wait_for(lambda: self.webhook["url"] or self._stopping.is_set())
                    webhook = dict(self.webhook)
                if self._stopping.is_set():
                    return
                allowed = webhook["allowed_updates"]
                if allowed and not any(kind in update for kind in allowed):
                    break
                connection, delivery = self._deliver(connection, webhook, update)
                taken = 200 <= delivery.status <= 299
                if taken:
                    self._execute_reply(delivery)
                elif delivery.status:
                    reason = http.client.responses.get(delivery.status, "")
                    self.webhook["error"] = (int(time.time()), ("Wrong response from the webhook: %d %s" % (
                        delivery.status, reason)).strip())
                else:
                    self.webhook["error"] = (int(time.time()), "Connection refused")
                with self._changed:
                    self.deliveries.append(delivery)
                    if taken:
                        self._done.add(update["update_id"])
                    self._changed.notify_all()
                if taken or self._stopping.wait(self.retry_delay):
                    break
            else:
                self.dropped.append(update["update_id"])
            with self._changed:
                self._pending -= 1
                self._changed.notify_all()

    def _deliver(self, connection, webhook, update):
        url = urlsplit(webhook["url"])
        body = json.dumps(update).encode()
        headers = {"Host": url.netloc.rpartition("@")[2], "Content-Type": "application/json",
                   "Connection": "keep-alive", "Accept-Encoding": "gzip, deflate"}
        if webhook["secret_token"]:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook["secret_token"]
        path = url.path or "/"
        if url.query:
            path += "?" + url.query
        try:
            target = webhook["ip_address"] or url.hostname, url.port or (443 if url.scheme == "https" else 80)
            if connection is None or (connection.host, connection.port) != target:
                connection = self._connect(url.scheme, *target)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            return connection, Delivery(update["update_id"], answer.status,
                                        {k.lower(): v for k, v in answer.getheaders()}, data)
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            return None, Delivery(update["update_id"], 0)

    @staticmethod
    def _connect(scheme, host, port):
        if scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # tests use self-made certificates
            return http.client.HTTPSConnection(host, port, timeout=WAIT, context=context)
        return http.client.HTTPConnection(host, port, timeout=WAIT)

    def _execute_reply(self, delivery):
        """Executes the method call in a webhook's answer. Telegram tells nobody how that went."""
        try:
            params = self._parameters(delivery.headers.get("content-type", ""), delivery.body)
        except ApiError:
            return
        method = str(params.get("method", "")).lower()
        if not method or method.startswith("get") or method in ("setwebhook", "deletewebhook", "close", "logout"):
            return
        try:
            self._execute(method, params, "webhook")
        except ApiError:
            pass
