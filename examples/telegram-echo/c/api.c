// SPDX-License-Identifier: Apache-2.0
//
// Calls of Telegram's Bot API with libcurl, which brings TLS. One handle for the life of the process, so that the
// connection stays open between updates; libcurl makes a new one when an idle connection has died meanwhile.
//
// The URL holds the bot's token and is therefore never printed.

#include "api.h"

#include <stdio.h>

#ifdef WEBHOOK_ONLY

int api_available(void) { return 0; }

enum api_result api_call(const char *method, const char *json, size_t len, int64_t timeout_ms) {
    (void)json, (void)len, (void)timeout_ms;
    printf("%s failed: built without libcurl\n", method);
    return API_TRY_AGAIN;
}

#else

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 10000L
#define MAX_LOGGED      1000 // of an error's text; answers that are fine are not looked at

struct answer {
    char text[MAX_LOGGED + 1];
    size_t len;
};

static size_t keep(char *data, size_t size, size_t count, void *arg) {
    struct answer *answer = arg;
    size_t len = size * count, room = MAX_LOGGED - answer->len;
    size_t n = len < room ? len : room;
    memcpy(answer->text + answer->len, data, n);
    answer->len += n;
    return len;
}

int api_available(void) { return 1; }

// Fills `url`; returns -1 if there is no token or it all is too long.
static int make_url(char *url, size_t cap, const char *method) {
    const char *token = getenv("TELEGRAM_TOKEN"), *base = getenv("TELEGRAM_API_BASE");
    if (!token || !*token) {
        printf("TELEGRAM_TOKEN is not set: cannot call the Bot API\n");
        return -1;
    }
    if (!base) {
        base = "https://api.telegram.org";
    }
    size_t base_len = strlen(base);
    while (base_len > 0 && base[base_len - 1] == '/') {
        base_len--;
    }
    int n = snprintf(url, cap, "%.*s/bot%s/%s", (int)base_len, base, token, method);
    if (n < 0 || (size_t)n >= cap) {
        printf("the address of the Bot API is too long\n");
        return -1;
    }
    return 0;
}

enum api_result api_call(const char *method, const char *json, size_t len, int64_t timeout_ms) {
    static CURL *curl;
    static struct curl_slist *headers;
    char url[1024];
    struct answer answer = {.len = 0};
    long status = 0;
    if (!curl) {
        curl = curl_easy_init();
        headers = curl_slist_append(headers, "Content-Type: application/json");
    }
    if (!curl || !headers || make_url(url, sizeof url, method)) {
        return API_TRY_AGAIN;
    }
    long timeout = timeout_ms < CALL_TIMEOUT_MS ? (long)timeout_ms : CALL_TIMEOUT_MS;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout > 50 ? timeout : 50L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    CURLcode failed = curl_easy_perform(curl);
    if (failed) {
        printf("%s failed: %s\n", method, curl_easy_strerror(failed));
        return API_TRY_AGAIN;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) {
        return API_DONE;
    }
    answer.text[answer.len] = '\0';
    printf("%s answered %ld: %s\n", method, status, answer.text);
    return status == 429 || status >= 500 || status == 401 || status == 404 ? API_TRY_AGAIN : API_DONE;
}

#endif
