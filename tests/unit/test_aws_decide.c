// SPDX-License-Identifier: Apache-2.0
//
// The decision about a caller: identity policies, groups, boundary, session policy, resource policy, other accounts, as
// a table of cases; and that the directory answers what was put there last.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/identity.h"

#define STATEMENT(effect, rest) "{\"Statement\":[{\"Effect\":\"" effect "\"," rest "}]}"
#define ON(action)              "\"Action\":\"" action "\",\"Resource\":\"*\""
#define ALLOW(action)           STATEMENT("Allow", ON(action))
#define DENY(action)            STATEMENT("Deny", ON(action))
#define BY(effect, who, action)                                                                                        \
    "{\"Statement\":[{\"Effect\":\"" effect "\",\"Principal\":{\"AWS\":\"" who "\"},\"Action\":\"" action "\"}]}"
#define ANN     "arn:aws:iam::111111111111:user/ann"
#define ROLE    "arn:aws:iam::111111111111:role/r"
#define SESSION "arn:aws:sts::111111111111:assumed-role/r/s"
#define ACCOUNT "arn:aws:iam::111111111111:root"

static struct sl_arena arena;

struct wanted {
    const char *what;
    enum sl_identity_kind kind;
    const char *inlined, *group, *boundary, *session, *resource; // policies; NULL: none
    bool foreign;                                                // the resource is another account's
    enum sl_verdict verdict;
};

static const struct wanted cases[] = {
    {"nothing allows", SL_IDENTITY_USER, .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"an inline policy allows", SL_IDENTITY_USER, .inlined = ALLOW("sqs:Send*"), .verdict = SL_VERDICT_ALLOW},
    {"another action", SL_IDENTITY_USER, .inlined = ALLOW("sqs:Get*"), .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"a group allows", SL_IDENTITY_USER, .group = ALLOW("sqs:*"), .verdict = SL_VERDICT_ALLOW},
    {"a deny wins", SL_IDENTITY_USER, .inlined = DENY("sqs:*"), .group = ALLOW("*"),
     .verdict = SL_VERDICT_DENY_IDENTITY},
    {"within the boundary", SL_IDENTITY_USER, .inlined = ALLOW("*"), .boundary = ALLOW("sqs:*"),
     .verdict = SL_VERDICT_ALLOW},
    {"outside of it", SL_IDENTITY_USER, .inlined = ALLOW("*"), .boundary = ALLOW("s3:*"),
     .verdict = SL_VERDICT_NO_BOUNDARY},
    {"a boundary gives nothing", SL_IDENTITY_USER, .boundary = ALLOW("*"), .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"a boundary denies", SL_IDENTITY_USER, .inlined = ALLOW("*"), .boundary = DENY("sqs:*"),
     .verdict = SL_VERDICT_DENY_BOUNDARY},
    {"a boundary that is gone", SL_IDENTITY_USER, .inlined = ALLOW("*"), .boundary = "",
     .verdict = SL_VERDICT_NO_BOUNDARY},
    {"a session policy narrows", SL_IDENTITY_SESSION, .inlined = ALLOW("*"), .session = ALLOW("s3:*"),
     .verdict = SL_VERDICT_NO_SESSION_POLICY},
    {"a session policy that allows", SL_IDENTITY_SESSION, .inlined = ALLOW("*"), .session = ALLOW("sqs:*"),
     .verdict = SL_VERDICT_ALLOW},
    {"a damaged session policy", SL_IDENTITY_SESSION, .inlined = ALLOW("*"), .session = "{",
     .verdict = SL_VERDICT_NO_SESSION_POLICY},
    {"the resource names the user", SL_IDENTITY_USER, .resource = BY("Allow", ANN, "sqs:*"),
     .verdict = SL_VERDICT_ALLOW},
    {"the resource names the account only", SL_IDENTITY_USER, .resource = BY("Allow", ACCOUNT, "sqs:*"),
     .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"the resource denies the account", SL_IDENTITY_USER, .inlined = ALLOW("*"),
     .resource = BY("Deny", ACCOUNT, "sqs:*"), .verdict = SL_VERDICT_DENY_RESOURCE},
    {"the resource names the role", SL_IDENTITY_SESSION, .resource = BY("Allow", ROLE, "sqs:*"),
     .verdict = SL_VERDICT_ALLOW},
    {"the resource names the session", SL_IDENTITY_SESSION, .resource = BY("Allow", SESSION, "sqs:*"),
     .verdict = SL_VERDICT_ALLOW},
    {"a named role stays within its session", SL_IDENTITY_SESSION, .session = ALLOW("s3:*"),
     .resource = BY("Allow", ROLE, "sqs:*"), .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"another account must allow too", SL_IDENTITY_USER, .inlined = ALLOW("*"), .foreign = true,
     .verdict = SL_VERDICT_NO_RESOURCE_POLICY},
    {"another account trusts ours", SL_IDENTITY_USER, .inlined = ALLOW("*"), .foreign = true,
     .resource = BY("Allow", ACCOUNT, "sqs:*"), .verdict = SL_VERDICT_ALLOW},
    {"another account's trust is not enough", SL_IDENTITY_USER, .foreign = true, .resource = BY("Allow", ANN, "sqs:*"),
     .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"the account itself", SL_IDENTITY_ROOT, .verdict = SL_VERDICT_ALLOW},
    {"the account itself, denied by a resource", SL_IDENTITY_ROOT, .resource = BY("Deny", "*", "sqs:*"),
     .verdict = SL_VERDICT_DENY_RESOURCE},
    {"a variable", SL_IDENTITY_USER,
     .inlined = STATEMENT("Allow", "\"Action\":\"*\",\"Resource\":\"arn:aws:sqs:*:*:${aws:username}\""),
     .verdict = SL_VERDICT_ALLOW},
    {"a variable without value", SL_IDENTITY_USER,
     .inlined = STATEMENT("Allow", "\"Action\":\"*\",\"Resource\":\"arn:aws:sqs:*:*:${aws:nothing}\""),
     .verdict = SL_VERDICT_NO_IDENTITY_POLICY},
    {"a tag of the caller", SL_IDENTITY_USER,
     .inlined = STATEMENT("Allow", ON("*") ",\"Condition\":{\"StringEquals\":{\"aws:PrincipalTag/team\":\"a\"}}"),
     .verdict = SL_VERDICT_ALLOW},
};

static void put(struct sl_directory *directory, const char *key, struct sl_str text) {
    struct sl_error err;
    assert_int_equal(sl_directory_put(directory, sl_str_of(key), text, &err), 0);
}

static void prepare(struct sl_directory *directory, const struct wanted *wanted) {
    bool user = wanted->kind == SL_IDENTITY_USER;
    struct sl_str entry = sl_arena_printf(
        &arena, "{\"Arn\":\"%s\",\"Documents\":[%s],\"Groups\":[%s],\"Tags\":[{\"Key\":\"team\",\"Value\":\"a\"}]%s}",
        user ? ANN : ROLE, wanted->inlined ? wanted->inlined : "", wanted->group ? "\"g\"" : "",
        wanted->boundary ? ",\"Boundary\":\"arn:limit\"" : "");
    put(directory, user ? "user/111111111111/ann" : "role/111111111111/r", entry);
    if (wanted->group)
        put(directory, "group/111111111111/g", sl_arena_printf(&arena, "{\"Documents\":[%s]}", wanted->group));
    if (wanted->boundary && wanted->boundary[0])
        put(directory, "policy/arn:limit", sl_str_of(wanted->boundary));
    else
        sl_directory_remove(directory, SL_STR("policy/arn:limit"));
}

static enum sl_verdict decide(struct sl_directory *directory, const struct wanted *wanted) {
    struct sl_json *resource = NULL;
    struct sl_error err;
    bool user = wanted->kind == SL_IDENTITY_USER, session = wanted->kind == SL_IDENTITY_SESSION;
    const struct sl_identity identity = {.kind = wanted->kind,
                                         .account = SL_STR("111111111111"),
                                         .arn = sl_str_of(user      ? ANN
                                                          : session ? SESSION
                                                                    : ACCOUNT),
                                         .name = user ? SL_STR("ann") : SL_STR("r"),
                                         .issuer = session ? SL_STR(ROLE) : (struct sl_str){0},
                                         .session_policy = sl_str_of(wanted->session ? wanted->session : "")};
    if (wanted->resource) assert_int_equal(sl_json_parse(&arena, sl_str_of(wanted->resource), &resource, &err), 0);
    const struct sl_decision decision = {.directory = directory,
                                         .identity = &identity,
                                         .action = SL_STR("sqs:SendMessage"),
                                         .resource = SL_STR("arn:aws:sqs:us-east-1:111111111111:ann"),
                                         .owner = wanted->foreign ? SL_STR("222222222222") : SL_STR("111111111111"),
                                         .resource_policy = resource};
    sl_directory_enter();
    enum sl_verdict verdict = sl_decide(&arena, &decision);
    sl_directory_leave();
    return verdict;
}

static void each_case_has_the_verdict_of_the_evaluation_logic(void **state) {
    (void)state;
    struct sl_directory *directory;
    struct sl_error err;
    assert_int_equal(sl_directory_new(&directory, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prepare(directory, &cases[i]);
        enum sl_verdict verdict = decide(directory, &cases[i]);
        if (verdict != cases[i].verdict)
            fail_msg("%s: verdict %d instead of %d", cases[i].what, (int)verdict, (int)cases[i].verdict);
    }
    sl_directory_free(directory);
    sl_arena_free(&arena);
}

static void the_directory_has_what_was_put_last(void **state) {
    (void)state;
    struct sl_directory *directory;
    struct sl_error err;
    assert_int_equal(sl_directory_new(&directory, &err), 0);
    put(directory, "key/A", SL_STR("{\"Secret\":\"one\"}"));
    put(directory, "key/A", SL_STR("{\"Secret\":\"two\"}"));
    assert_int_equal(sl_directory_key_count(directory), 1);
    assert_int_not_equal(sl_directory_put(directory, SL_STR("key/B"), SL_STR("{"), &err), 0);
    sl_directory_enter();
    const struct sl_json *key = sl_directory_get(directory, "key", SL_STR("A"), (struct sl_str){0});
    assert_true(sl_str_is(sl_json_string(key, "Secret"), "two"));
    assert_null(sl_directory_find(directory, SL_STR("key/B")));
    sl_directory_leave();
    sl_directory_remove(directory, SL_STR("key/A"));
    assert_int_equal(sl_directory_key_count(directory), 0);
    sl_directory_free(directory);
}

int main(void) {
    sl_arena_init(&arena, 8 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_has_the_verdict_of_the_evaluation_logic),
        cmocka_unit_test(the_directory_has_what_was_put_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
