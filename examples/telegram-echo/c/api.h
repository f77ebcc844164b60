// SPDX-License-Identifier: Apache-2.0
//
// Calls of Telegram's Bot API.

#ifndef TELEGRAM_ECHO_API_H
#define TELEGRAM_ECHO_API_H

#include <stddef.h>
#include <stdint.h>

enum api_result {
    API_DONE,     // Telegram took the call, or refused it for good (which is logged)
    API_TRY_AGAIN // not reached, overloaded, or a token that can still be put right: deliver the update again
};

// Whether this program can call the API at all; if not, it was built without libcurl.
int api_available(void);

// POSTs `json` to a method, within `timeout_ms`. Token and base address come from the environment.
enum api_result api_call(const char *method, const char *json, size_t len, int64_t timeout_ms);

#endif
