// SPDX-License-Identifier: Apache-2.0
//
// payload: the check of a payload and, if it is no JSON, AWS's message. Lambda's front parses with Jackson, whose
// messages clients see:
//
//   Could not parse request body into json: Could not parse payload into json: <what>
//    at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: L, column: C]     [AWS]
//
// <what> for the common cases: a byte that is no UTF-8, an unexpected character, an unknown word, an early end, too
// much depth. Our parser says whether and where; this file finds the words, on the failing path only. Where Jackson
// would stop at another column than we do the message differs in that number.
#include "lambda/payload.h"

#include "base/json.h"

#include <stdio.h>

static const char source[] = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
static const char expected[] = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

struct place {
    size_t at;
    unsigned line, column;
};

static struct place place_of(struct sl_str text, size_t at) {
    struct place place = {.at = at, .line = 1, .column = 1};
    for (size_t i = 0; i < at && i < text.len; i++) {
        place.column++;
        if (text.ptr[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

// "... at line L column C" is how base/json.h ends its messages.
static size_t offset_of_error(struct sl_str text, const char *message) {
    const char *where = strstr(message, "at line ");
    unsigned line = 1, column = 1;
    if (!where || sscanf(where, "at line %u column %u", &line, &column) != 2) return text.len;
    size_t at = 0;
    for (unsigned l = 1; l < line && at < text.len; at++) l += text.ptr[at] == '\n';
    at += column > 0 ? column - 1 : 0;
    return at < text.len ? at : text.len;
}

static bool is_word(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

static int fail_at(struct sl_str text, size_t at, struct sl_error *err, const char *what) {
    struct place place = place_of(text, at);
    return sl_fail(
        err, SL_E_INVALID_REQUEST_CONTENT,
        "Could not parse request body into json: Could not parse payload into json: %s\n at %s; line: %u, column: %u]",
        what, source, place.line, place.column);
}

// First byte that begins no UTF-8 character outside of strings is a control character to Jackson; inside a string or
// word it is "Invalid UTF-8 start byte".
static int fail_byte(struct sl_str text, size_t at, struct sl_error *err) {
    unsigned char c = (unsigned char)text.ptr[at];
    char what[256];
    bool first = true;
    for (size_t i = 0; i < at && first; i++)
        first = text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\n' || text.ptr[i] == '\r';
    if (!first && c >= 0x80) {
        snprintf(what, sizeof(what), "Invalid UTF-8 start byte 0x%x", c);
        return fail_at(text, at + 1, err, what);
    }
    if (c < ' ' || c >= 0x7f)
        snprintf(what, sizeof(what), "Unexpected character ((CTRL-CHAR, code %u)): expected a valid value %s", c,
                 expected);
    else
        snprintf(what, sizeof(what), "Unexpected character ('%c' (code %u)): expected a valid value %s", c, c,
                 expected);
    return fail_at(text, at, err, what);
}

static int fail_word(struct sl_str text, size_t at, struct sl_error *err) {
    enum { WORD_MAX = 256 }; // Jackson cuts there, too
    size_t from = at, to = at;
    while (from > 0 && is_word((unsigned char)text.ptr[from - 1])) from--;
    while (to < text.len && to - from < WORD_MAX && is_word((unsigned char)text.ptr[to])) to++;
    char what[WORD_MAX + 160];
    // A word that breaks off in a byte that is no UTF-8 fails in that byte [AWS].
    if (to < text.len && (unsigned char)text.ptr[to] >= 0x80) return fail_byte(text, to, err);
    snprintf(what, sizeof(what), "Unrecognized token '%.*s': was expecting %s", (int)(to - from), text.ptr + from,
             expected);
    return fail_at(text, to, err, what);
}

// Nesting at which the text is deeper than the limit, or text.len. Strings are skipped, since brackets in them nest
// nothing.
static size_t too_deep(struct sl_str text) {
    unsigned depth = 0;
    bool string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
        } else if (c == '"') {
            string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > SL_JSON_DEPTH) return i;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return text.len;
}

int sl_lambda__payload_check(struct sl_str payload, struct sl_error *err) {
    struct sl_error found;
    if (sl_json_validate(payload, &found) == 0) return 0;
    size_t deep = too_deep(payload), at = offset_of_error(payload, found.message);
    if (deep < payload.len && deep <= at) {
        char what[160];
        snprintf(what, sizeof(what),
                 "Document nesting depth (%d) exceeds the maximum allowed (%d, from "
                 "`StreamReadConstraints.getMaxNestingDepth()`)",
                 SL_JSON_DEPTH + 1, SL_JSON_DEPTH);
        return fail_at(payload, deep + 1, err, what);
    }
    if (at >= payload.len) return fail_at(payload, payload.len, err, "Unexpected end-of-input");
    if (is_word((unsigned char)payload.ptr[at])) return fail_word(payload, at, err);
    return fail_byte(payload, at, err);
}
