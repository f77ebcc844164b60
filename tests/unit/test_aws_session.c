// SPDX-License-Identifier: Apache-2.0
//
// Session credentials: what was minted opens, and nothing else does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/session.h"

static struct sl_arena arena;
static const struct sl_session_secret secret = {"0123456789abcdefghijklmnopqrstu"};

static const struct sl_session example = {.account = SL_STR_INIT("111122223333"),
                                          .issuer = SL_STR_INIT("arn:aws:iam::111122223333:role/service-role/reader"),
                                          .issuer_id = SL_STR_INIT("AROAEXAMPLEEXAMPLEEX"),
                                          .name = SL_STR_INIT("a-function"),
                                          .issued_s = 1000,
                                          .expires_s = 2000};

static struct sl_session_keys mint(const struct sl_session *session) {
    struct sl_session_keys keys;
    struct sl_error err;
    assert_int_equal(sl_session_mint(&arena, &secret, session, &keys, &err), SL_OK);
    return keys;
}

static enum sl_session_result open_with(const char *access_key, struct sl_str token, int64_t now_s) {
    struct sl_session session;
    return sl_session_open(&arena, &secret, sl_str_of(access_key), token, now_s, &session, NULL);
}

static void credentials_have_the_form_of_awss(void **state) {
    (void)state;
    struct sl_session_keys keys = mint(&example);
    assert_true(sl_session_is_key(sl_str_of(keys.access_key)));
    assert_int_equal(strspn(keys.access_key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 20);
    assert_int_equal(strlen(keys.secret_key), 40);
    assert_true(keys.token.len > 100 && keys.token.len <= SL_SESSION_TOKEN_MAX);
    assert_false(sl_session_is_key(SL_STR("AKIAIOSFODNN7EXAMPLE")));
    assert_false(sl_session_is_key(SL_STR("ASIA")));
}

static void what_was_minted_opens(void **state) {
    (void)state;
    struct sl_session full = example, session;
    full.policy = SL_STR("{\"Version\":\"2012-10-17\"}");
    full.source = SL_STR("arn:aws:lambda:us-east-1:111122223333:function:a-function");
    struct sl_session_keys keys = mint(&full);
    char secret_key[SL_SESSION_SECRET_KEY + 1];
    assert_int_equal(
        sl_session_open(&arena, &secret, sl_str_of(keys.access_key), keys.token, 1999, &session, secret_key),
        SL_SESSION_GOOD);
    assert_string_equal(secret_key, keys.secret_key);
    assert_true(sl_str_eq(session.account, full.account) && sl_str_eq(session.issuer, full.issuer));
    assert_true(sl_str_eq(session.issuer_id, full.issuer_id) && sl_str_eq(session.name, full.name));
    assert_true(sl_str_eq(session.policy, full.policy) && sl_str_eq(session.source, full.source));
    assert_int_equal(session.issued_s, 1000);
    assert_int_equal(session.expires_s, 2000);
}

static void a_session_ends_when_it_said(void **state) {
    (void)state;
    struct sl_session_keys keys = mint(&example);
    assert_int_equal(open_with(keys.access_key, keys.token, 1999), SL_SESSION_GOOD);
    assert_int_equal(open_with(keys.access_key, keys.token, 2000), SL_SESSION_EXPIRED);
}

static void two_sessions_have_nothing_in_common(void **state) {
    (void)state;
    struct sl_session_keys one = mint(&example), other = mint(&example);
    assert_string_not_equal(one.access_key, other.access_key);
    assert_string_not_equal(one.secret_key, other.secret_key);
    assert_int_equal(open_with(one.access_key, other.token, 1500), SL_SESSION_FORGED);
}

// Also those of base64's last digit that decode to the same bytes.
static void every_changed_character_is_noticed(void **state) {
    (void)state;
    struct sl_session longer = example;
    for (unsigned extra = 0; extra < 3; extra++) { // each of the three paddings
        longer.name = sl_str_sub(SL_STR("a-function-xyz"), 0, 10 + extra);
        struct sl_session_keys keys = mint(&longer);
        for (size_t i = 0; i < keys.token.len; i++) {
            char *changed = sl_arena_cstr(&arena, keys.token);
            assert_non_null(changed);
            changed[i] = changed[i] == '/' ? '0' : changed[i] == '9' ? '+' : (char)(changed[i] + 1);
            assert_int_equal(open_with(keys.access_key, sl_str_of(changed), 1500), SL_SESSION_FORGED);
            assert_int_equal(open_with(keys.access_key, sl_str_sub(keys.token, 0, i), 1500), SL_SESSION_FORGED);
        }
    }
}

static void another_servers_session_is_none_here(void **state) {
    (void)state;
    struct sl_session_secret other = secret;
    struct sl_session_keys keys = mint(&example);
    struct sl_session session;
    other.bytes[31] ^= 1;
    assert_int_equal(sl_session_open(&arena, &other, sl_str_of(keys.access_key), keys.token, 1500, &session, NULL),
                     SL_SESSION_FORGED);
}

static void what_does_not_fit_is_not_minted(void **state) {
    (void)state;
    static char text[SL_SESSION_POLICY_MAX + 1];
    struct sl_session_keys keys;
    struct sl_error err;
    memset(text, 'x', sizeof text);
    struct sl_session session = example;
    session.policy = sl_str_n(text, SL_SESSION_POLICY_MAX);
    session.source = session.issuer = sl_str_n(text, SL_SESSION_TEXT_MAX);
    session.name = session.issuer_id = sl_str_n(text, SL_SESSION_NAME_MAX);
    keys = mint(&session);
    assert_int_equal(open_with(keys.access_key, keys.token, 1500), SL_SESSION_GOOD);
    session.policy.len++;
    assert_int_equal(sl_session_mint(&arena, &secret, &session, &keys, &err), SL_E_INVALID);
    session = example;
    session.account = SL_STR("12345");
    assert_int_equal(sl_session_mint(&arena, &secret, &session, &keys, &err), SL_E_INVALID);
}

static void the_arn_names_role_and_session(void **state) {
    (void)state;
    assert_true(
        sl_str_is(sl_session_arn(&arena, &example), "arn:aws:sts::111122223333:assumed-role/reader/a-function"));
    struct sl_session session = example;
    session.issuer = SL_STR("arn:aws-cn:iam::111122223333:role/x");
    assert_true(sl_str_is(sl_session_arn(&arena, &session), "arn:aws-cn:sts::111122223333:assumed-role/x/a-function"));
    session.issuer = SL_STR("arn:aws:iam::111122223333:user/alice");
    assert_true(sl_str_eq(sl_session_arn(&arena, &session), session.issuer));
}

static void the_secret_is_made_once(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-session-XXXXXX";
    struct sl_session_secret first, second;
    struct sl_error err;
    struct stat status;
    assert_non_null(mkdtemp(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sl_session_secret_open(dir, &first, &err), SL_OK);
    assert_int_equal(sl_session_secret_open(dir, &second, &err), SL_OK);
    assert_memory_equal(first.bytes, second.bytes, SL_SESSION_SECRET);
    assert_int_equal(fstatat(dir, "session.key", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(sl_session_secret_open(-1, &second, &err), SL_OK);
    assert_memory_not_equal(first.bytes, second.bytes, SL_SESSION_SECRET);
    int file = openat(dir, "session.key", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(file, "short", 5), 5);
    close(file);
    assert_int_equal(sl_session_secret_open(dir, &second, &err), SL_E_INVALID);
    assert_int_equal(unlinkat(dir, "session.key", 0), 0);
    close(dir);
    assert_int_equal(rmdir(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_have_the_form_of_awss),
        cmocka_unit_test(what_was_minted_opens),
        cmocka_unit_test(a_session_ends_when_it_said),
        cmocka_unit_test(two_sessions_have_nothing_in_common),
        cmocka_unit_test(every_changed_character_is_noticed),
        cmocka_unit_test(another_servers_session_is_none_here),
        cmocka_unit_test(what_does_not_fit_is_not_minted),
        cmocka_unit_test(the_arn_names_role_and_session),
        cmocka_unit_test(the_secret_is_made_once),
    };
    sl_arena_init(&arena, 16 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
