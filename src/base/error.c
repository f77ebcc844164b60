// SPDX-License-Identifier: Apache-2.0
//
// error: see error.h.
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    int status;
} rows[SL_E_COUNT] = {[SL_OK] = {"", 200},
#define X(kind, name, status) [SL_E_##kind] = {name, status},
                      SL_ERROR_TABLE(X)
#undef X
};

int sl_fail(struct sl_error *err, int kind, const char *format, ...) {
    if (!err) return kind;
    // Formatted beside the message, which the arguments may quote.
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err->kind = kind;
    size_t used = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    memcpy(err->message, text, used);
    err->message[used] = '\0';
    return kind;
}

int sl_fail_errno(struct sl_error *err, const char *format, ...) {
    int number = errno;
    if (!err) return SL_E_IO;
    err->kind = SL_E_IO;
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->message) {
        char text[128];
        snprintf(err->message + used, sizeof err->message - (size_t)used, ": %s",
                 strerror_r(number, text, sizeof text));
    }
    errno = number;
    return SL_E_IO;
}

int sl_wrap(struct sl_error *err, const char *format, ...) {
    if (!err) return SL_E_INTERNAL;
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->message) {
        snprintf(err->message + used, sizeof err->message - (size_t)used, ": %.*s",
                 (int)(sizeof inner - (size_t)used - 3), inner);
    }
    return err->kind;
}

const char *sl_error_name(int kind) {
    return kind > 0 && kind < SL_E_COUNT ? rows[kind].name : rows[SL_E_INTERNAL].name;
}

int sl_error_status(int kind) { return kind > 0 && kind < SL_E_COUNT ? rows[kind].status : rows[SL_E_INTERNAL].status; }
