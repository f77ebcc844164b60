// SPDX-License-Identifier: Apache-2.0
//
// events: the pattern language, by the examples of AWS's pages ("Comparison operators for use in event patterns in
// Amazon EventBridge", "Event pattern syntax") and what they leave open.
#include "events/pattern.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct sl_json *parse(struct sl_arena *arena, const char *text) {
    struct sl_json *node = NULL;
    struct sl_error err;
    if (sl_json_parse(arena, sl_str_of(text), &node, &err)) fail_msg("%s: %s", text, err.message);
    return node;
}

static bool matches(const char *pattern, const char *event) {
    struct sl_arena arena;
    struct sl_error err;
    sl_arena_init(&arena, 1 << 20);
    struct sl_json *parsed = parse(&arena, pattern);
    if (sl_event_pattern_check(parsed, &err)) fail_msg("%s: %s", pattern, err.message);
    bool result = sl_event_pattern_matches(parsed, parse(&arena, event));
    sl_arena_free(&arena);
    return result;
}

static void expect(const char *pattern, const char *yes, const char *no) {
    if (!matches(pattern, yes)) fail_msg("%s does not match %s", pattern, yes);
    if (matches(pattern, no)) fail_msg("%s matches %s", pattern, no);
}

static void values_are_equal_as_what_they_are(void **state) {
    (void)state;
    expect("{\"a\":[\"x\",\"y\"]}", "{\"a\":\"y\",\"b\":1}", "{\"a\":\"z\"}");
    expect("{\"a\":[300]}", "{\"a\":3.0e2}", "{\"a\":\"300\"}");
    expect("{\"a\":[null]}", "{\"a\":null}", "{\"b\":null}");
    expect("{\"a\":[true]}", "{\"a\":true}", "{\"a\":false}");
    expect("{\"a\":[\"\"]}", "{\"a\":\"\"}", "{\"a\":null}");
    expect("{\"a\":{\"b\":[1]},\"c\":[2]}", "{\"a\":{\"b\":1},\"c\":2}", "{\"a\":{\"b\":1},\"c\":3}");
    expect("{\"a\":[1]}", "{\"a\":[3,[1]]}", "{\"a\":{\"b\":1}}");
    expect("{\"a\":{\"b\":[1]}}", "{\"a\":[{\"b\":0},{\"b\":1}]}", "{\"a\":[{\"b\":0},1]}");
}

static void strings_match_by_their_ends(void **state) {
    (void)state;
    expect("{\"a\":[{\"prefix\":\"us-\"}]}", "{\"a\":\"us-east-1\"}", "{\"a\":\"eu-\"}");
    expect("{\"a\":[{\"prefix\":\"\"}]}", "{\"a\":\"\"}", "{\"a\":3}");
    expect("{\"a\":[{\"suffix\":\".png\"}]}", "{\"a\":\"x.png\"}", "{\"a\":\"png\"}");
    expect("{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"Us-\"}}]}", "{\"a\":\"US-x\"}", "{\"a\":\"eu-x\"}");
    expect("{\"a\":[{\"suffix\":{\"equals-ignore-case\":\".PNG\"}}]}", "{\"a\":\"a.Png\"}", "{\"a\":\"a.jpg\"}");
    expect("{\"a\":[{\"equals-ignore-case\":\"alice\"}]}", "{\"a\":\"ALICE\"}", "{\"a\":\"alic\"}");
}

static void wildcards_match_any_run(void **state) {
    (void)state;
    expect("{\"a\":[{\"wildcard\":\"dir/*.png\"}]}", "{\"a\":\"dir/a.png.png\"}", "{\"a\":\"dir/a.png.\"}");
    expect("{\"a\":[{\"wildcard\":\"*ab*ab\"}]}", "{\"a\":\"ababxab\"}", "{\"a\":\"abab x\"}");
    expect("{\"a\":[{\"wildcard\":\"a\\\\*b\"}]}", "{\"a\":\"a*b\"}", "{\"a\":\"axb\"}");
    expect("{\"a\":[{\"wildcard\":\"*\"}]}", "{\"a\":\"\"}", "{\"a\":1}");
    expect("{\"a\":[{\"wildcard\":\"a\\\\\\\\b\"}]}", "{\"a\":\"a\\\\b\"}", "{\"a\":\"ab\"}");
}

static void numbers_are_compared(void **state) {
    (void)state;
    expect("{\"a\":[{\"numeric\":[\">\",0,\"<=\",5]}]}", "{\"a\":5}", "{\"a\":5.01}");
    expect("{\"a\":[{\"numeric\":[\"=\",3.018e2]}]}", "{\"a\":301.8}", "{\"a\":\"301.8\"}");
    expect("{\"a\":[{\"numeric\":[\">=\",-1]}]}", "{\"a\":-1}", "{\"a\":-1.5}");
    expect("{\"a\":[{\"numeric\":[\"<\",10]}]}", "{\"a\":9}", "{\"a\":10}");
}

static void addresses_belong_to_networks(void **state) {
    (void)state;
    expect("{\"a\":[{\"cidr\":\"10.0.0.0/24\"}]}", "{\"a\":\"10.0.0.255\"}", "{\"a\":\"10.0.1.0\"}");
    expect("{\"a\":[{\"cidr\":\"10.0.0.0/9\"}]}", "{\"a\":\"10.127.0.1\"}", "{\"a\":\"10.128.0.1\"}");
    expect("{\"a\":[{\"cidr\":\"2001:db8::/32\"}]}", "{\"a\":\"2001:db8:1::1\"}", "{\"a\":\"10.0.0.1\"}");
}

static void fields_exist_or_not(void **state) {
    (void)state;
    expect("{\"a\":[{\"exists\":true}]}", "{\"a\":null}", "{\"b\":1}");
    expect("{\"a\":[{\"exists\":false}]}", "{\"b\":1}", "{\"a\":1}");
    expect("{\"a\":{\"b\":[{\"exists\":false}]}}", "{}", "{\"a\":{\"b\":1}}");
    expect("{\"a\":[\"x\",{\"exists\":false}]}", "{\"a\":\"x\"}", "{\"a\":\"y\"}");
    expect("{\"a\":[{\"exists\":true}]}", "{\"a\":[1]}", "{\"a\":{\"b\":1}}");
}

static void anything_but_negates(void **state) {
    (void)state;
    expect("{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":\"y\"}", "{\"a\":\"x\"}");
    expect("{\"a\":[{\"anything-but\":[1,\"x\"]}]}", "{\"a\":2}", "{\"a\":1.0}");
    expect("{\"a\":[{\"anything-but\":{\"prefix\":\"init\"}}]}", "{\"a\":\"run\"}", "{\"a\":\"initial\"}");
    expect("{\"a\":[{\"anything-but\":{\"suffix\":[\".a\",\".b\"]}}]}", "{\"a\":\"x.c\"}", "{\"a\":\"x.b\"}");
    expect("{\"a\":[{\"anything-but\":{\"wildcard\":\"*/lib/*\"}}]}", "{\"a\":\"/bin/x\"}", "{\"a\":\"/lib/x\"}");
    expect("{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[\"A\",\"B\"]}}]}", "{\"a\":\"c\"}", "{\"a\":\"b\"}");
    expect("{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":null}", "{\"b\":1}"); // an absent field is no value
}

static void one_of_several_patterns_is_enough(void **state) {
    (void)state;
    const char *pattern = "{\"s\":[\"m\"],\"$or\":[{\"a\":[{\"numeric\":[\"<\",1]}]},{\"b\":{\"c\":[true]}}]}";
    expect(pattern, "{\"s\":\"m\",\"a\":0}", "{\"s\":\"m\",\"a\":1}");
    expect(pattern, "{\"s\":\"m\",\"b\":{\"c\":true}}", "{\"s\":\"n\",\"a\":0}");
}

static void nonsense_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"null",
                                        "\"text\"",
                                        "{}",
                                        "{\"a\":\"x\"}",
                                        "{\"a\":[]}",
                                        "{\"a\":{}}",
                                        "{\"a\":[[1]]}",
                                        "{\"a\":[{\"like\":\"x\"}]}",
                                        "{\"a\":[{\"prefix\":1}]}",
                                        "{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}",
                                        "{\"a\":[{\"numeric\":[\">\"]}]}",
                                        "{\"a\":[{\"numeric\":[\"!\",1]}]}",
                                        "{\"a\":[{\"exists\":\"true\"}]}",
                                        "{\"a\":[{\"cidr\":\"10.0.0.1\"}]}",
                                        "{\"a\":[{\"cidr\":\"10.0.0.1/33\"}]}",
                                        "{\"a\":[{\"wildcard\":\"a**b\"}]}",
                                        "{\"a\":[{\"wildcard\":\"a\\\\b\"}]}",
                                        "{\"a\":[{\"anything-but\":[]}]}",
                                        "{\"a\":[{\"anything-but\":{\"numeric\":[\"<\",1]}}]}",
                                        "{\"$or\":[{\"a\":[1]}]}",
                                        "{\"$or\":{\"a\":[1]}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sl_arena arena;
        struct sl_error err;
        sl_arena_init(&arena, 1 << 20);
        if (sl_event_pattern_check(parse(&arena, wrong[i]), &err) != SL_E_INVALID) fail_msg("accepted: %s", wrong[i]);
        sl_arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_equal_as_what_they_are),
        cmocka_unit_test(strings_match_by_their_ends),
        cmocka_unit_test(wildcards_match_any_run),
        cmocka_unit_test(numbers_are_compared),
        cmocka_unit_test(addresses_belong_to_networks),
        cmocka_unit_test(fields_exist_or_not),
        cmocka_unit_test(anything_but_negates),
        cmocka_unit_test(one_of_several_patterns_is_enough),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
