// SPDX-License-Identifier: Apache-2.0
//
// A Telegram bot as a function behind an HTTP API (payload format 2.0): greets, echoes, shows a menu. The same as
// ../python/app.py, for the runtime provided.al2023.
//
// Way of an update: check the secret header, decode the body, drop what was answered before, turn the update into Bot
// API method calls, and either make the calls or, with TELEGRAM_REPLY=webhook, put the first one into the webhook's
// answer. Texts, chat ids and query ids are copied from the update as the JSON they are there, so nothing has to be
// unescaped and escaped again.
//
// Status codes matter: Telegram sends an update again until it gets 2xx. So 2xx means "done, or never will be", 401 and
// 400 are for requests that are not Telegram's, and 502 asks for the update again.

#define _XOPEN_SOURCE 700

#include "api.h"
#include "sluice_json.h"
#include "sluice_runtime.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS     1024 // update ids are consecutive, so the last 1024 updates are remembered
#define MAX_CALLS 2
#define ANSWER_MS 250 // what calls of the API leave of the invocation's time for answering Telegram

static const char MENU[] = "{\"inline_keyboard\":[[{\"text\":\"Tea\",\"callback_data\":\"tea\"},"
                           "{\"text\":\"Coffee\",\"callback_data\":\"coffee\"}],"
                           "[{\"text\":\"Nothing, thanks\",\"callback_data\":\"nothing\"}]]}";
static const char GREETING[] = "Hello! Send me a text and I send it back. /menu shows some buttons.";
static const char ONLY_TEXT[] = "I can only echo text.";

static const struct {
    const char *data, *text;
} CHOICES[] = {{"tea", "Tea it is."}, {"coffee", "Coffee it is."}, {"nothing", "As you like."}};

struct bot {
    const char *secret; // NULL or empty: refuse everything
    bool webhook_reply;
    int64_t seen[SLOTS]; // ids of answered updates, at id mod SLOTS
    int file;            // the same in /tmp, which outlives a crash of this process; -1 if that cannot be
};

struct call {
    const char *method;
    char *params; // a JSON object
};

struct calls {
    struct call list[MAX_CALLS];
    int count;
};

// ------------------------------------------------------------------------------------------ the request

// Compares in a time that depends on the length of `given` only, which its sender knows.
static bool equal_secret(const char *given, size_t given_len, const char *secret) {
    size_t secret_len = strlen(secret);
    volatile unsigned char difference = given_len != secret_len;
    for (size_t i = 0; i < given_len; i++) {
        difference |= (unsigned char)(given[i] ^ secret[i % secret_len]);
    }
    return difference == 0;
}

static bool is_telegram(const struct bot *bot, const struct sluice_json *event) {
    if (!bot->secret || !*bot->secret) {
        printf("TELEGRAM_SECRET is not set: refusing all requests\n");
        return false;
    }
    size_t len;
    int node = sluice_json_path(event, 0, "headers", "x-telegram-bot-api-secret-token", (char *)NULL);
    char *given = sluice_json_text_dup(event, node, &len);
    bool same = given && equal_secret(given, len, bot->secret);
    free(given);
    return same;
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

// Decodes in place; returns -1 if the text is not base64 with its padding.
static int decode_base64(char *text, size_t *len) {
    size_t n = *len, out = 0, padding = 0;
    if (n % 4) {
        return -1;
    }
    while (padding < 2 && n > 0 && text[n - 1] == '=') {
        n--;
        padding++;
    }
    unsigned bits = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) {
            return -1;
        }
        bits = bits << 6 | (unsigned)digit;
        if (i % 4) {
            text[out++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
        }
    }
    *len = out;
    return 0;
}

// The request's body as text; the caller frees it. NULL if there is none or it cannot be decoded.
static char *request_body(const struct sluice_json *event, size_t *len) {
    char *body = sluice_json_text_dup(event, sluice_json_get(event, 0, "body"), len);
    if (body && sluice_json_kind(event, sluice_json_get(event, 0, "isBase64Encoded")) == SLUICE_JSON_TRUE &&
        decode_base64(body, len)) {
        free(body);
        return NULL;
    }
    return body;
}

// ------------------------------------------------------------------------------------------ updates answered before

static void open_seen(struct bot *bot) {
    const char *path = getenv("TELEGRAM_SEEN_FILE");
    bot->file = open(path ? path : "/tmp/telegram-echo.seen", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (bot->file < 0 || pread(bot->file, bot->seen, sizeof bot->seen, 0) < 0) {
        perror("remembering updates in memory only");
    }
}

static void remember(struct bot *bot, int64_t id) {
    size_t slot = (size_t)(id % SLOTS);
    bot->seen[slot] = id;
    if (bot->file >= 0 && pwrite(bot->file, &bot->seen[slot], sizeof(int64_t), (off_t)(slot * sizeof(int64_t))) < 0) {
        perror("remembering an update");
    }
}

// ------------------------------------------------------------------------------------------ answers

struct span {
    const char *at;
    int len;
};

// A value as it stands in the update, if it is of that kind.
static bool value(const struct sluice_json *doc, int node, enum sluice_json_kind kind, struct span *out) {
    if (sluice_json_kind(doc, node) != kind) {
        return false;
    }
    uint32_t len = doc->nodes[node].end - doc->nodes[node].start;
    *out = (struct span){doc->text + doc->nodes[node].start, (int)len};
    return len < 1 << 20;
}

static int add_call(struct calls *calls, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int add_call(struct calls *calls, const char *method, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *params = n < 0 ? NULL : malloc((size_t)n + 1);
    if (params) {
        vsnprintf(params, (size_t)n + 1, format, again);
        calls->list[calls->count++] = (struct call){method, params};
    }
    va_end(again);
    return params ? 0 : -1;
}

// The notification that ends the button's waiting animation, and a message if the chat is known.
static int answer_query(const struct sluice_json *update, int query, struct calls *calls) {
    struct span id, chat;
    const char *text = "I do not know that button.";
    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++) {
        if (sluice_json_is(update, sluice_json_get(update, query, "data"), CHOICES[i].data)) {
            text = CHOICES[i].text;
        }
    }
    if (!value(update, sluice_json_get(update, query, "id"), SLUICE_JSON_STRING, &id)) {
        return -1;
    }
    if (add_call(calls, "answerCallbackQuery", "{\"callback_query_id\":%.*s,\"text\":\"%s\"}", id.len, id.at, text)) {
        return -1;
    }
    if (sluice_json_get(update, query, "message") < 0) {
        return 0; // too old, or the button was in an inline message
    }
    int node = sluice_json_path(update, query, "message", "chat", "id", (char *)NULL);
    return value(update, node, SLUICE_JSON_NUMBER, &chat)
               ? add_call(calls, "sendMessage", "{\"chat_id\":%.*s,\"text\":\"%s\"}", chat.len, chat.at, text)
               : -1;
}

// Whether a text is this command, alone, with arguments, or addressed to a bot by name.
static bool is_command(const char *text, const char *command) {
    size_t n = strlen(command);
    return strncmp(text, command, n) == 0 && (text[n] == '\0' || strchr(" \t\r\n@", text[n]));
}

static int answer_message(const struct sluice_json *update, int message, struct calls *calls) {
    struct span chat, echo;
    if (!value(update, sluice_json_path(update, message, "chat", "id", (char *)NULL), SLUICE_JSON_NUMBER, &chat)) {
        return -1;
    }
    int node = sluice_json_get(update, message, "text");
    if (node < 0) {
        return add_call(calls, "sendMessage", "{\"chat_id\":%.*s,\"text\":\"%s\"}", chat.len, chat.at, ONLY_TEXT);
    }
    size_t len;
    char *text = sluice_json_text_dup(update, node, &len);
    if (!text || !value(update, node, SLUICE_JSON_STRING, &echo)) {
        free(text);
        return -1;
    }
    int failed;
    if (is_command(text, "/start")) {
        failed = add_call(calls, "sendMessage", "{\"chat_id\":%.*s,\"text\":\"%s\"}", chat.len, chat.at, GREETING);
    } else if (is_command(text, "/menu")) {
        failed =
            add_call(calls, "sendMessage", "{\"chat_id\":%.*s,\"text\":\"What would you like?\",\"reply_markup\":%s}",
                     chat.len, chat.at, MENU);
    } else {
        failed =
            add_call(calls, "sendMessage", "{\"chat_id\":%.*s,\"text\":%.*s}", chat.len, chat.at, echo.len, echo.at);
    }
    free(text);
    return failed;
}

static int find_answers(const struct sluice_json *update, struct calls *calls) {
    int query = sluice_json_get(update, 0, "callback_query"), message = sluice_json_get(update, 0, "message");
    if (sluice_json_kind(update, query) == SLUICE_JSON_OBJECT) {
        return answer_query(update, query, calls);
    }
    if (sluice_json_kind(update, message) == SLUICE_JSON_OBJECT) {
        return answer_message(update, message, calls);
    }
    return 0; // edited messages, polls and so on are no concern of an echo
}

// ------------------------------------------------------------------------------------------ the handler

static int reply(struct sluice_response *response, int status, const char *body) {
    sluice_printf(response, "{\"statusCode\":%d", status);
    if (body) {
        sluice_printf(response, ",\"headers\":{\"content-type\":\"application/json\"},\"body\":");
        sluice_write_string(response, body, strlen(body));
    }
    return sluice_write(response, "}", 1);
}

// The first call as {"method":..., and its parameters. The caller frees it.
static char *method_call(const struct call *call) {
    size_t cap = strlen(call->params) + strlen(call->method) + 32;
    char *text = malloc(cap);
    if (text) {
        snprintf(text, cap, "{\"method\":\"%s\",%s", call->method, call->params + 1);
    }
    return text;
}

static int deliver(struct bot *bot, struct calls *calls, int64_t id, const struct sluice_context *context,
                   struct sluice_response *response) {
    if (bot->webhook_reply) {
        char *body = calls->count ? method_call(&calls->list[0]) : NULL;
        remember(bot, id);
        int result = reply(response, 200, body);
        free(body);
        return result;
    }
    for (int i = 0; i < calls->count; i++) {
        const struct call *call = &calls->list[i];
        int64_t left = sluice_remaining_ms(context) - ANSWER_MS;
        if (api_call(call->method, call->params, strlen(call->params), left) == API_TRY_AGAIN) {
            return reply(response, 502, "{\"message\":\"Bad Gateway\"}");
        }
    }
    remember(bot, id);
    return reply(response, 200, NULL);
}

static int answer_update(struct bot *bot, const struct sluice_json *update, const struct sluice_context *context,
                         struct sluice_response *response) {
    struct calls calls = {.count = 0};
    int64_t id;
    int result;
    if (sluice_json_int64(update, sluice_json_get(update, 0, "update_id"), &id) || id < 1) {
        printf("not an update\n");
        return reply(response, 400, "{\"message\":\"Bad Request\"}");
    }
    if (bot->seen[id % SLOTS] == id) {
        printf("update %lld was answered before\n", (long long)id);
        return reply(response, 200, NULL);
    }
    if (find_answers(update, &calls)) {
        printf("not an update\n");
        result = reply(response, 400, "{\"message\":\"Bad Request\"}");
    } else {
        result = deliver(bot, &calls, id, context, response);
    }
    for (int i = 0; i < calls.count; i++) {
        free(calls.list[i].params);
    }
    return result;
}

static int handler(const struct sluice_event *raw, const struct sluice_context *context,
                   struct sluice_response *response, void *arg) {
    struct bot *bot = arg;
    struct sluice_json event, update;
    if (sluice_json_parse(&event, raw->data, raw->len)) {
        return sluice_fail(response, "Function.BadEvent", "The event is not JSON.");
    }
    int result;
    if (!is_telegram(bot, &event)) {
        result = reply(response, 401, "{\"message\":\"Unauthorized\"}");
    } else {
        size_t len = 0;
        char *body = request_body(&event, &len);
        if (!body || sluice_json_parse(&update, body, len)) {
            printf("the body is not JSON\n");
            result = reply(response, 400, "{\"message\":\"Bad Request\"}");
        } else {
            result = answer_update(bot, &update, context, response);
            sluice_json_free(&update);
        }
        free(body);
    }
    sluice_json_free(&event);
    return result;
}

int main(void) {
    static struct bot bot;
    const char *how = getenv("TELEGRAM_REPLY");
    bot.secret = getenv("TELEGRAM_SECRET");
    bot.webhook_reply = how && strcmp(how, "webhook") == 0;
    if (!bot.webhook_reply && !api_available()) {
        return sluice_init_error("Function.NoApi", "Built without libcurl: set TELEGRAM_REPLY=webhook.");
    }
    open_seen(&bot);
    return sluice_run(handler, &bot);
}
