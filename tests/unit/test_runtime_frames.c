// SPDX-License-Identifier: Apache-2.0
//
// frames: messages of AWS's interface clients in a stream of plain text, cut into any pieces.
#include "runtime/frames.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>

static struct sl_buf text, messages;

static void on_text(void *user, struct sl_str bytes) {
    (void)user;
    assert_true(bytes.len > 0);
    sl_buf_str(&text, bytes);
}

static void on_message(void *user, struct sl_str message) {
    (void)user;
    sl_buf_char(&messages, '<');
    sl_buf_str(&messages, message);
    sl_buf_char(&messages, '>');
}

static const struct sl_frames_sink sink = {.text = on_text, .message = on_message};

static int setup(void **state) {
    (void)state;
    sl_buf_init(&text, 8 << 20);
    sl_buf_init(&messages, 8 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    sl_buf_free(&text);
    sl_buf_free(&messages);
    return 0;
}

#define TIME "\0\0\0\0\0\0\0\1"

// Feeds the stream in pieces of that size; 0: whole.
static void feed(struct sl_str stream, size_t piece) {
    struct sl_frames frames = {0};
    sl_buf_clear(&text, 0);
    sl_buf_clear(&messages, 0);
    for (size_t at = 0; at < stream.len; at += piece ? piece : stream.len)
        sl_frames_feed(&frames, sl_str_sub(stream, at, piece ? at + piece : stream.len), &sink);
    sl_frames_end(&frames, &sink);
    sl_buf_char(&text, '\0');
    sl_buf_char(&messages, '\0');
}

static void frames_and_text_are_told_apart_however_they_are_cut(void **state) {
    (void)state;
    static const char stream[] = "before\n"
                                 "\xa5\x5a\x00\x03\0\0\0\x05" TIME "a\nb\nc"
                                 "\xa5\x5a\x00\x17\0\0\0\x00" TIME "between"
                                 "\xa5\x5a\x00\x01\0\0\0\x03"
                                 "old"
                                 "\xa5\x5a\x00\x0e\0\0\0\x02" TIME "{}"
                                 "after\n";
    for (size_t piece = 0; piece < 40; piece++) {
        feed(sl_str_n(stream, sizeof stream - 1), piece);
        assert_string_equal(text.ptr, "before\nbetweenafter\n");
        assert_string_equal(messages.ptr, "<a\nb\nc><><old><{}>");
    }
}

static void what_only_looks_like_a_frame_is_text(void **state) {
    (void)state;
    static const struct {
        struct sl_str stream;
        size_t text;
    } rows[] = {{SL_STR_INIT("\xa5"), 1},
                {SL_STR_INIT("\xa5\x5a text"), 7},
                {SL_STR_INIT("\xa5\xa5\x5a\x01 text"), 9},
                {SL_STR_INIT("\xa5\x5a\x00\x03\xff\xff\xff\xff and so on"), 18},
                {SL_STR_INIT("\xa5\x5a\x00\x03\0\0\0\x05" TIME "abc"), 19}}; // cut short
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 0; piece < 5; piece++) {
            feed(rows[i].stream, piece);
            assert_int_equal(text.len - 1, rows[i].text);
            assert_memory_equal(text.ptr, rows[i].stream.ptr, rows[i].text);
            assert_string_equal(messages.ptr, "");
        }
    }
}

static void a_frame_may_follow_what_looked_like_one(void **state) {
    (void)state;
    static const char stream[] = "\xa5\x5a\xa5\x5a\x00\x03\0\0\0\x02" TIME "ok";
    for (size_t piece = 0; piece < 5; piece++) {
        feed(sl_str_n(stream, sizeof stream - 1), piece);
        assert_string_equal(text.ptr, "\xa5\x5a");
        assert_string_equal(messages.ptr, "<ok>");
    }
}

static void any_bytes_lose_none(void **state) {
    (void)state;
    unsigned seed = 7;
    char *bytes = malloc(4096);
    for (unsigned round = 0; round < 2000; round++) {
        // Bytes of frames more often than others, so that headers come about.
        static const char likely[] = "\xa5\x5a\x00\x01\x03\x00\x00\x02";
        for (size_t i = 0; i < 200; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = likely[seed >> 16 & 7];
        }
        feed(sl_str_n(bytes, 200), round % 17);
        assert_true(text.len + messages.len <= 204 + 2 * 200);
        size_t framed = 0; // each message stands for a header of 8 or 16 bytes
        for (size_t i = 0; i + 1 < messages.len; i++) framed += messages.ptr[i] == '<';
        if (!framed) assert_int_equal(text.len, 201);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_and_text_are_told_apart_however_they_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(what_only_looks_like_a_frame_is_text, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frame_may_follow_what_looked_like_one, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_lose_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
