// SPDX-License-Identifier: Apache-2.0
//
// curl: libcurl, loaded when it is first used. Linked, its thirty libraries were in every process of `sluice serve`,
// which never uses them, and every sandbox begins as a copy of one of those.
#ifndef SL_CLI_CURL_H
#define SL_CLI_CURL_H

#include "base/error.h"

// Without the macros that check the types of options: they call functions that are not linked.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

struct sl_cli__curl {
    __typeof__(curl_easy_init) *init;
    __typeof__(curl_easy_setopt) *setopt;
    __typeof__(curl_easy_perform) *perform;
    __typeof__(curl_easy_getinfo) *getinfo;
    __typeof__(curl_easy_strerror) *strerror;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_slist_append) *append;
    __typeof__(curl_slist_free_all) *free_all;
};

// Any number of times, one thread. Stays for the life of the process. SL_E_UNAVAILABLE: it is not installed.
int sl_cli__curl_load(const struct sl_cli__curl **ret, struct sl_error *err);

#endif
