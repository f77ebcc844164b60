// SPDX-License-Identifier: Apache-2.0
//
// json_write: a tree to compact JSON text; see json.h. What is written can always be parsed again: strings are made
// well-formed UTF-8, and a tree deeper than SL_JSON_DEPTH marks the buffer as failed. Numbers are written as their
// text.
//
// Pure functions, any thread.
#include "base/json.h"

#include "base/encoding.h"

// Length of the run at the start that is written as it is.
static size_t plain_run(struct sl_str s) {
    size_t i = 0;
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == '"' || c == '\\') break;
        if (c < 0x80) {
            i++;
            continue;
        }
        bool valid;
        size_t step = sl_utf8_step(sl_str_sub(s, i, s.len), &valid);
        if (!valid) break;
        i += step;
    }
    return i;
}

static void write_control(struct sl_buf *out, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "\bb\ff\nn\rr\tt"; // the character, then its escape's letter
    const char *name = c ? strchr(names, c) : NULL;
    char escape[6] = {'\\', name ? name[1] : 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    sl_buf_put(out, escape, name ? 2 : sizeof escape);
}

void sl_json_write_string(struct sl_buf *out, struct sl_str s) {
    sl_buf_char(out, '"');
    while (s.len) {
        size_t run = plain_run(s);
        sl_buf_put(out, s.ptr, run);
        s = sl_str_sub(s, run, s.len);
        if (!s.len) break;
        unsigned char c = (unsigned char)s.ptr[0];
        size_t step = 1;
        if (c == '"' || c == '\\') {
            char escape[2] = {'\\', (char)c};
            sl_buf_put(out, escape, sizeof escape);
        } else if (c < 0x20) {
            write_control(out, c);
        } else {
            bool valid;
            step = sl_utf8_step(s, &valid);
            sl_buf_cstr(out, "\xef\xbf\xbd");
        }
        s = sl_str_sub(s, step, s.len);
    }
    sl_buf_char(out, '"');
}

// Recursive: the depth is bounded, a frame has some hundred bytes.
static void write_node(struct sl_buf *out, const struct sl_json *node, unsigned depth) {
    switch (node->type) {
    case SL_JSON_NULL:
        sl_buf_cstr(out, "null");
        return;
    case SL_JSON_FALSE:
        sl_buf_cstr(out, "false");
        return;
    case SL_JSON_TRUE:
        sl_buf_cstr(out, "true");
        return;
    case SL_JSON_NUMBER:
        sl_buf_str(out, node->text);
        return;
    case SL_JSON_STRING:
        sl_json_write_string(out, node->text);
        return;
    case SL_JSON_ARRAY:
    case SL_JSON_OBJECT:
        break;
    }
    if (depth == SL_JSON_DEPTH) {
        out->failed = true;
        return;
    }
    bool object = node->type == SL_JSON_OBJECT;
    sl_buf_char(out, object ? '{' : '[');
    for (const struct sl_json *child = node->first; child && !out->failed; child = child->next) {
        if (child != node->first) sl_buf_char(out, ',');
        if (object) {
            sl_json_write_string(out, child->key);
            sl_buf_char(out, ':');
        }
        write_node(out, child, depth + 1);
    }
    sl_buf_char(out, object ? '}' : ']');
}

void sl_json_write(struct sl_buf *out, const struct sl_json *node) {
    // A NULL tree is one that did not fit its arena: nothing must be sent in its place.
    if (!node)
        out->failed = true;
    else
        write_node(out, node, 0);
}

struct sl_str sl_json_text(struct sl_arena *arena, const struct sl_json *node, size_t most) {
    struct sl_buf text;
    sl_buf_init(&text, most);
    sl_json_write(&text, node);
    struct sl_str copy = text.failed ? (struct sl_str){NULL, 0} : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}
