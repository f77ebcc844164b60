// SPDX-License-Identifier: Apache-2.0
//
// json: what is accepted, what is refused, and that a text survives parsing and writing. The conformance files are read
// from the folder that lies beside the checkout; where it is absent that test is skipped and the cases below remain.
#include "base/json.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONFORMANCE SL_SOURCE_ROOT "/../shared/data/json-test-suite"

struct fixture {
    struct sl_arena arena;
    struct sl_buf out;
    struct sl_error err;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    sl_arena_init(&f->arena, (size_t)256 << 20);
    sl_buf_init(&f->out, (size_t)64 << 20);
    *state = f;
    return f ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    sl_arena_free(&f->arena);
    sl_buf_free(&f->out);
    free(f);
    return 0;
}

// A copy in memory of exactly that size, so that a sanitizer sees a read past the end. To be freed.
static struct sl_str exact(struct sl_str s) {
    char *copy = malloc(s.len ? s.len : 1);
    assert_non_null(copy);
    if (s.len) memcpy(copy, s.ptr, s.len);
    return sl_str_n(copy, s.len);
}

// Parses and validates; both must say the same.
static int parse(struct fixture *f, struct sl_str text, struct sl_json **ret) {
    struct sl_error err = {0};
    int parsed = sl_json_parse(&f->arena, text, ret, &f->err);
    int checked = sl_json_validate(text, &err);
    assert_int_equal(parsed, checked);
    if (parsed) assert_string_equal(f->err.message, err.message);
    return parsed;
}

static void refuses(struct fixture *f, const char *text, const char *message) {
    struct sl_json *tree;
    struct sl_str copy = exact(sl_str_of(text));
    assert_int_equal(parse(f, copy, &tree), SL_E_SERIALIZATION);
    assert_string_equal(f->err.message, message);
    free((void *)copy.ptr);
}

static struct sl_json *accepts(struct fixture *f, const char *text) {
    struct sl_json *tree = NULL;
    if (parse(f, sl_str_of(text), &tree)) fail_msg("refused %s: %s", text, f->err.message);
    return tree;
}

static void writes(struct fixture *f, const struct sl_json *tree, const char *text) {
    sl_buf_clear(&f->out, SIZE_MAX);
    sl_json_write(&f->out, tree);
    assert_false(f->out.failed);
    sl_buf_char(&f->out, '\0');
    assert_string_equal(f->out.ptr, text);
}

static void survives(struct fixture *f, const char *text) { writes(f, accepts(f, text), text); }

static struct sl_str read_file(const char *folder, const char *name, char *out, size_t size) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(out, 1, size, file);
    fclose(file);
    assert_true(length < size);
    return sl_str_n(out, length);
}

// The choices that json.h documents for the i_ files.
static bool is_accepted_choice(const char *name) {
    static const char *const refused[] = {
        "i_string_UTF-16LE_with_BOM.json",
        "i_string_UTF-8_invalid_sequence.json",
        "i_string_UTF8_surrogate_U+D800.json",
        "i_string_invalid_utf-8.json",
        "i_string_iso_latin_1.json",
        "i_string_lone_utf8_continuation_byte.json",
        "i_string_not_in_unicode_range.json",
        "i_string_overlong_sequence_2_bytes.json",
        "i_string_overlong_sequence_6_bytes.json",
        "i_string_overlong_sequence_6_bytes_null.json",
        "i_string_truncated-utf-8.json",
        "i_string_utf16BE_no_BOM.json",
        "i_string_utf16LE_no_BOM.json",
        "i_structure_UTF-8_BOM_empty_object.json",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcmp(name, refused[i]) == 0) return false;
    }
    return true;
}

static void every_conformance_file_behaves(void **state) {
    struct fixture *f = *state;
    DIR *dir = opendir(CONFORMANCE);
    if (!dir) {
        print_message("skipped: no conformance files beside the checkout (shared/data/json-test-suite)\n");
        skip();
    }
    static char buffer[1 << 20];
    int files = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (name[0] == '.' || !sl_str_ends(sl_str_of(name), SL_STR(".json"))) continue;
        struct sl_str text = exact(read_file(CONFORMANCE, name, buffer, sizeof buffer));
        struct sl_json *tree;
        bool accepted = parse(f, text, &tree) == 0;
        bool expected = name[0] == 'y' || (name[0] == 'i' && is_accepted_choice(name));
        if (accepted != expected) fail_msg("%s: %s", name, accepted ? "accepted" : f->err.message);
        free((void *)text.ptr);
        sl_arena_reset(&f->arena);
        files++;
    }
    closedir(dir);
    assert_true(files > 300);
}

static void text_survives_parsing_and_writing(void **state) {
    struct fixture *f = *state;
    survives(f, "null");
    survives(f, "[]");
    survives(f, "{}");
    survives(f, "[[],{},[[]],{\"a\":{}}]");
    survives(f, "{\"z\":1,\"a\":[true,false,null],\"m\":\"x\"}");
    survives(f, "\"\"");
    survives(f, "{\"\":\"\"}");
    survives(f, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    survives(f, "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
    writes(f, accepts(f, " \t\r\n{ \"a\" : [ 1 , 2 ] } \n"), "{\"a\":[1,2]}");
}

static void numbers_keep_their_text(void **state) {
    struct fixture *f = *state;
    survives(f, "[0,-0,1.0,1.10,1e5,1E+05,-1.5e-300,1e400,123456789012345678901234567890.000]");
}

static void order_and_repeated_keys_are_kept_and_the_last_counts(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"a\":1,\"b\":2,\"a\":3}");
    assert_int_equal(tree->count, 3);
    assert_int_equal(sl_json_int(tree, "a", 0), 3);
    writes(f, tree, "{\"a\":1,\"b\":2,\"a\":3}");
}

static void plain_strings_are_views_into_the_text(void **state) {
    struct fixture *f = *state;
    const char *text = "{\"key\":\"value\"}";
    struct sl_json *tree = accepts(f, text);
    assert_ptr_equal(tree->first->key.ptr, text + 2);
    assert_ptr_equal(tree->first->text.ptr, text + 8);
}

static void escapes_are_decoded(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"k\\u0065y\":\"a\\u0000b\\/\\u00e9\\u20AC\\ud83d\\ude00\"}");
    struct sl_str value = sl_json_string(tree, "key");
    assert_true(sl_str_eq(value, SL_STR("a\0b/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    writes(f, tree, "{\"key\":\"a\\u0000b/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}");
}

static void a_lone_surrogate_becomes_the_replacement_character(void **state) {
    struct fixture *f = *state;
    writes(f, accepts(f, "\"\\ud800\""), "\"\xef\xbf\xbd\"");
    writes(f, accepts(f, "\"\\udc00x\""), "\"\xef\xbf\xbdx\"");
    writes(f, accepts(f, "\"\\ud800\\u0041\""), "\"\xef\xbf\xbd\x41\"");
    writes(f, accepts(f, "\"\\ud800\\ud83d\\ude00\""), "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
    writes(f, accepts(f, "\"\\ude00\\ud83d\""), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void refusals_say_what_and_where(void **state) {
    struct fixture *f = *state;
    refuses(f, "", "unexpected end, expected a value at line 1 column 1");
    refuses(f, "{\n  \"a\": nul\n}", "unexpected character, expected a value at line 2 column 8");
    refuses(f, "[1,]", "unexpected character, expected a value at line 1 column 4");
    refuses(f, "{\"a\":1,}", "expected a member's name in quotes at line 1 column 8");
    refuses(f, "{\"a\" 1}", "expected ':' at line 1 column 6");
    refuses(f, "[1 2]", "expected ',' or ']' at line 1 column 4");
    refuses(f, "[1}", "expected ',' or ']' at line 1 column 3");
    refuses(f, "{\"a\":1", "unexpected end of an object at line 1 column 7");
    refuses(f, "[", "unexpected end, expected a value at line 1 column 2");
    refuses(f, "1 1", "unexpected text after the value at line 1 column 3");
    refuses(f, "01", "a number has a leading zero at line 1 column 2");
    refuses(f, "-", "expected a digit at line 1 column 2");
    refuses(f, "1.", "expected a digit at line 1 column 3");
    refuses(f, "1e+", "expected a digit at line 1 column 4");
    refuses(f, "\"a", "unterminated string at line 1 column 3");
    refuses(f, "\"\\", "unterminated string at line 1 column 3");
    refuses(f, "\"\\u12", "unterminated string at line 1 column 6");
    refuses(f, "\"\\u12g4\"", "expected four hexadecimal digits after \\u at line 1 column 6");
    refuses(f, "\"\\x\"", "unknown escape at line 1 column 3");
    refuses(f, "\"a\nb\"", "control character in a string at line 1 column 3");
    refuses(f, "\"12345678\x01\"", "control character in a string at line 1 column 10");
    refuses(f, "\"\xc3\"", "invalid UTF-8 at line 1 column 2");
    refuses(f, "\"\xed\xa0\x80\"", "invalid UTF-8 at line 1 column 2");
    refuses(f, "\xef\xbb\xbf{}", "unexpected byte order mark at line 1 column 1");
}

static struct sl_str nested(size_t levels) {
    char *text = malloc(levels * 2);
    assert_non_null(text);
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    return sl_str_n(text, levels * 2);
}

static void depth_is_bounded(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree;
    struct sl_str deepest = nested(SL_JSON_DEPTH), deeper = nested(SL_JSON_DEPTH + 1), absurd = nested(100000);
    assert_int_equal(parse(f, deepest, &tree), 0);
    sl_json_write(&f->out, tree);
    assert_true(sl_str_eq(sl_buf_view(&f->out), deepest));
    assert_int_equal(parse(f, deeper, &tree), SL_E_SERIALIZATION);
    assert_int_equal(parse(f, absurd, &tree), SL_E_SERIALIZATION);
    assert_string_equal(f->err.message, "nested too deeply at line 1 column 1001");
    free((void *)deepest.ptr);
    free((void *)deeper.ptr);
    free((void *)absurd.ptr);
}

static void a_tree_that_could_not_be_read_again_is_not_written(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = sl_json_new_null(&f->arena);
    for (int i = 0; i <= SL_JSON_DEPTH; i++) {
        struct sl_json *outer = sl_json_new_array(&f->arena);
        sl_json_push(outer, tree);
        tree = outer;
    }
    sl_json_write(&f->out, tree);
    assert_true(f->out.failed);
    sl_buf_clear(&f->out, 0);
    sl_json_write(&f->out, NULL);
    assert_true(f->out.failed);
}

static void a_string_of_six_megabytes_passes(void **state) {
    struct fixture *f = *state;
    size_t length = (size_t)6 << 20;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    text[0] = text[length - 1] = '"';
    struct sl_json *tree;
    assert_int_equal(parse(f, sl_str_n(text, length), &tree), 0);
    assert_int_equal(tree->text.len, length - 2);
    memcpy(text + length / 2, "\\u00e9", 6); // and one that has to be copied
    assert_int_equal(parse(f, sl_str_n(text, length), &tree), 0);
    assert_int_equal(tree->text.len, length - 2 - 4);
    free(text);
}

static void a_full_arena_is_reported(void **state) {
    struct fixture *f = *state;
    struct sl_arena small;
    sl_arena_init(&small, 200);
    struct sl_json *tree = NULL;
    assert_int_equal(sl_json_parse(&small, SL_STR("[1,2,3,4]"), &tree, &f->err), SL_E_NO_MEMORY);
    assert_null(tree);
    assert_int_equal(sl_json_parse(&small, SL_STR("\"\\n                               \""), &tree, &f->err),
                     SL_E_NO_MEMORY);
    assert_null(sl_json_copy(&small, accepts(f, "[1,2,3,4]")));
    // Builders accept what could not be made.
    struct sl_json *object = sl_json_new_object(&small);
    assert_null(object);
    sl_json_put_int(&small, object, "a", 1);
    assert_null(sl_json_set(object, SL_STR("a"), NULL));
    sl_arena_free(&small);
}

static void integer_is(struct fixture *f, const char *text, int64_t expected) {
    int64_t value = 0;
    if (!sl_json_to_i64(accepts(f, text), &value)) fail_msg("%s is no integer", text);
    assert_int_equal(value, expected);
}

static void no_integer(struct fixture *f, const char *text) {
    int64_t value = 42;
    if (sl_json_to_i64(accepts(f, text), &value)) fail_msg("%s is %lld", text, (long long)value);
    assert_int_equal(value, 42);
}

static void whole_numbers_become_integers(void **state) {
    struct fixture *f = *state;
    integer_is(f, "0", 0);
    integer_is(f, "-0", 0);
    integer_is(f, "9223372036854775807", INT64_MAX);
    integer_is(f, "-9223372036854775808", INT64_MIN);
    integer_is(f, "1.0", 1);
    integer_is(f, "-12e2", -1200);
    integer_is(f, "2500e-2", 25);
    integer_is(f, "100.500e1", 1005);
    integer_is(f, "0.0e999999999999999999999", 0);
    integer_is(f, "0.00012e5", 12);
    integer_is(f, "9.223372036854775807e18", INT64_MAX);
    integer_is(f, "-922337203685477580.80e1", INT64_MIN);
    no_integer(f, "9223372036854775808");
    no_integer(f, "-9223372036854775809");
    no_integer(f, "1.5");
    no_integer(f, "1e-1");
    no_integer(f, "1e19");
    no_integer(f, "1e99999999999999999999");
    no_integer(f, "1e-99999999999999999999");
    no_integer(f, "10000000000000000000000000.0");
    no_integer(f, "\"1\"");
    no_integer(f, "true");
}

static void numbers_become_doubles(void **state) {
    struct fixture *f = *state;
    double value = 0;
    assert_true(sl_json_to_double(accepts(f, "-1.5e3"), &value));
    assert_true(value == -1500);
    assert_true(sl_json_to_double(
        accepts(f, "0.1000000000000000000000000000000000000000000000000000000000000000000000000000"), &value));
    assert_true(value == 0.1);
    assert_false(sl_json_to_double(accepts(f, "1e400"), &value));
    assert_false(sl_json_to_double(accepts(f, "null"), &value));
    writes(f, sl_json_new_double(&f->arena, 0.1), "0.1");
    writes(f, sl_json_new_double(&f->arena, 1.0 / 3), "0.3333333333333333");
    writes(f, sl_json_new_double(&f->arena, 1e21), "1e+21");
    writes(f, sl_json_new_double(&f->arena, 0.0 / 0.0), "null");
}

static void members_are_read_by_type(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"s\":\"x\",\"e\":\"\",\"n\":7,\"h\":7.5,\"t\":true,\"f\":false,\"z\":null}");
    assert_true(sl_str_is(sl_json_string(tree, "s"), "x"));
    assert_non_null(sl_json_string(tree, "e").ptr);
    assert_null(sl_json_string(tree, "n").ptr);
    assert_null(sl_json_string(tree, "absent").ptr);
    assert_int_equal(sl_json_int(tree, "n", -1), 7);
    assert_int_equal(sl_json_int(tree, "h", -1), -1);
    assert_int_equal(sl_json_int(tree, "s", -1), -1);
    assert_true(sl_json_bool(tree, "t", false));
    assert_false(sl_json_bool(tree, "f", true));
    assert_true(sl_json_bool(tree, "z", true));
    assert_null(sl_json_get(NULL, "s"));
    assert_null(sl_json_get(tree->first, "s"));
}

static void trees_are_built(void **state) {
    struct fixture *f = *state;
    struct sl_arena *a = &f->arena;
    struct sl_json *object = sl_json_new_object(a);
    sl_json_put_string(a, object, "s", SL_STR("\"\n\x01"));
    sl_json_put_int(a, object, "i", INT64_MIN);
    sl_json_put_bool(a, object, "b", true);
    struct sl_json *array = sl_json_set(object, SL_STR("l"), sl_json_new_array(a));
    sl_json_push(array, sl_json_new_null(a));
    sl_json_push(array, sl_json_new_string(a, (struct sl_str){NULL, 0}));
    writes(f, object, "{\"s\":\"\\\"\\n\\u0001\",\"i\":-9223372036854775808,\"b\":true,\"l\":[null,\"\"]}");
    assert_int_equal(object->count, 4);
}

static void setting_replaces_in_place(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"a\":1,\"b\":2,\"c\":3}");
    sl_json_put_int(&f->arena, tree, "b", 20);
    sl_json_put_int(&f->arena, tree, "c", 30);
    sl_json_put_int(&f->arena, tree, "a", 10);
    sl_json_put_int(&f->arena, tree, "d", 40);
    writes(f, tree, "{\"a\":10,\"b\":20,\"c\":30,\"d\":40}");
    assert_int_equal(tree->count, 4);
}

static void setting_and_removing_leave_no_repeated_key(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"a\":1,\"b\":2,\"a\":3,\"c\":4,\"a\":5}");
    sl_json_put_int(&f->arena, tree, "a", 9);
    writes(f, tree, "{\"b\":2,\"c\":4,\"a\":9}");
    tree = accepts(f, "{\"a\":1,\"a\":3}");
    assert_true(sl_json_remove(tree, "a"));
    assert_false(sl_json_remove(tree, "a"));
    writes(f, tree, "{}");
    sl_json_put_int(&f->arena, tree, "x", 1);
    writes(f, tree, "{\"x\":1}");
}

static void removing_the_last_member_keeps_the_list_whole(void **state) {
    struct fixture *f = *state;
    struct sl_json *tree = accepts(f, "{\"a\":1,\"b\":2}");
    assert_true(sl_json_remove(tree, "b"));
    sl_json_put_int(&f->arena, tree, "c", 3);
    writes(f, tree, "{\"a\":1,\"c\":3}");
}

static void a_copy_lives_without_its_source(void **state) {
    struct fixture *f = *state;
    struct sl_arena source;
    sl_arena_init(&source, 1 << 20);
    struct sl_str text = exact(SL_STR("{\"k\":[\"v\",1.50,{\"\":null}]}"));
    struct sl_json *tree;
    assert_int_equal(sl_json_parse(&source, text, &tree, &f->err), 0);
    struct sl_json *copy = sl_json_copy(&f->arena, tree);
    free((void *)text.ptr);
    sl_arena_free(&source);
    writes(f, copy, "{\"k\":[\"v\",1.50,{\"\":null}]}");
}

static void invalid_utf8_is_written_as_replacement_characters(void **state) {
    struct fixture *f = *state;
    writes(f, sl_json_new_string(&f->arena, SL_STR("a\xff\xc3(\xe2\x82")),
           "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\"");
    writes(f, sl_json_new_string(&f->arena, SL_STR("\xed\xa0\x80")), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_conformance_file_behaves),
        TEST(text_survives_parsing_and_writing),
        TEST(numbers_keep_their_text),
        TEST(order_and_repeated_keys_are_kept_and_the_last_counts),
        TEST(plain_strings_are_views_into_the_text),
        TEST(escapes_are_decoded),
        TEST(a_lone_surrogate_becomes_the_replacement_character),
        TEST(refusals_say_what_and_where),
        TEST(depth_is_bounded),
        TEST(a_tree_that_could_not_be_read_again_is_not_written),
        TEST(a_string_of_six_megabytes_passes),
        TEST(a_full_arena_is_reported),
        TEST(whole_numbers_become_integers),
        TEST(numbers_become_doubles),
        TEST(members_are_read_by_type),
        TEST(trees_are_built),
        TEST(setting_replaces_in_place),
        TEST(setting_and_removing_leave_no_repeated_key),
        TEST(removing_the_last_member_keeps_the_list_whole),
        TEST(a_copy_lives_without_its_source),
        TEST(invalid_utf8_is_written_as_replacement_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
