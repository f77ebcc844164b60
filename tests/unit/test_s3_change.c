// SPDX-License-Identifier: Apache-2.0
//
// What is told of changes to objects: in the transaction, with what an event needs, and able to refuse; and that rows
// of versions are what lists walk. Operations are called as the engine calls them, in a store of the test's own.
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aws/app.h"
#include "aws/model.h"
#include "services/s3/s3.h"
#include "store/object.h"

static struct {
    unsigned count, committed;
    char last[256];
    bool refuse;
} seen;

static int changed(void *user, struct sl_store_tx *tx, const struct sl_s3_change *change, struct sl_error *err) {
    assert_ptr_equal(user, &seen);
    assert_non_null(tx);
    seen.count++;
    snprintf(seen.last, sizeof seen.last, "%s %.*s/%.*s %s", change->name, SL_FMT(change->bucket), SL_FMT(change->key),
             change->version.ptr ? "versioned" : "plain");
    return seen.refuse ? sl_fail(err, SL_E_S3_SLOW_DOWN, "no more of this") : 0;
}

static void committed(void *user) {
    assert_ptr_equal(user, &seen);
    seen.committed++;
}

// No workers: at once.
static int offload(void *user, struct sl_loop *home, void (*run_)(void *), void (*done)(void *), void *argument,
                   struct sl_error *err) {
    (void)user, (void)home, (void)err;
    run_(argument);
    done(argument);
    return 0;
}

static struct sl_s3 *s3;
static struct sl_app app;

struct call {
    const struct sl_op_entry *entry;
    struct sl_op op;
};

static int run_call(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct call *call = user;
    (void)f;
    call->op.tx = tx;
    return call->entry->run(&call->op, err);
}

// An operation with this input; the kind of its error.
static int call_s3(struct fixture *f, const char *name, const char *in) {
    struct call call = {.entry = sl_s3_operations};
    while (call.entry->service && !sl_str_is(sl_str_of(name), call.entry->operation)) call.entry++;
    assert_non_null(call.entry->service);
    call.op = (struct sl_op){.model = sl_operation_find(sl_service_find(SL_STR("s3")), sl_str_of(name)),
                             .arena = &f->arena,
                             .out = sl_json_new_object(&f->arena),
                             .account = SL_STR("000000000000"),
                             .region = SL_STR("us-east-1"),
                             .partition = SL_STR("aws"),
                             .now_ms = 1700000000000,
                             .store = f->store,
                             .app = &app};
    assert_int_equal(sl_json_parse(&f->arena, sl_str_of(in), &call.op.in, &f->err), 0);
    int result = run(f, run_call, &call);
    if (!result && call.entry->publish) call.entry->publish(&call.op);
    return result;
}

static int begin(void **state) {
    if (set_up(state)) return -1;
    struct fixture *f = *state;
    const struct sl_s3_config config = {.store = f->store, .offload = offload};
    struct sl_error err;
    memset(&seen, 0, sizeof seen);
    if (sl_s3_new(&s3, &config, &err)) return -1;
    sl_s3_on_change(s3, changed, committed, &seen);
    app.s3 = s3;
    return 0;
}

static int end(void **state) {
    assert_int_equal(sl_s3_busy(s3), 0);
    sl_s3_free(s3);
    return tear_down(state);
}

static void removals_are_told_in_their_transaction(void **state) {
    struct fixture *f = *state;
    assert_int_equal(call_s3(f, "CreateBucket", "{\"Bucket\":\"bucket\"}"), 0);
    assert_int_equal(call_s3(f, "DeleteObject", "{\"Bucket\":\"bucket\",\"Key\":\"a\"}"), 0);
    assert_int_equal(seen.count, 0); // nothing was there
    assert_int_equal(call_s3(f, "PutBucketVersioning",
                             "{\"Bucket\":\"bucket\",\"VersioningConfiguration\":{\"Status\":\"Enabled\"}}"),
                     0);
    assert_int_equal(call_s3(f, "DeleteObject", "{\"Bucket\":\"bucket\",\"Key\":\"a\"}"), 0);
    assert_string_equal(seen.last, "ObjectRemoved:DeleteMarkerCreated bucket/a versioned");
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.committed, 1);
}

static void who_is_told_can_refuse(void **state) {
    struct fixture *f = *state;
    assert_int_equal(call_s3(f, "CreateBucket", "{\"Bucket\":\"bucket\"}"), 0);
    assert_int_equal(call_s3(f, "PutBucketVersioning",
                             "{\"Bucket\":\"bucket\",\"VersioningConfiguration\":{\"Status\":\"Enabled\"}}"),
                     0);
    seen.refuse = true;
    assert_int_equal(call_s3(f, "DeleteObject", "{\"Bucket\":\"bucket\",\"Key\":\"a\"}"), SL_E_S3_SLOW_DOWN);
    assert_int_equal(seen.committed, 0);
    seen.refuse = false;
    assert_int_equal(call_s3(f, "DeleteBucket", "{\"Bucket\":\"bucket\"}"), 0); // it is still empty
}

static void an_object_that_is_not_there_is_not_fetched(void **state) {
    struct fixture *f = *state;
    struct sl_str bytes, account = SL_STR("000000000000"), none = {0};
    assert_int_equal(call_s3(f, "CreateBucket", "{\"Bucket\":\"bucket\"}"), 0);
    assert_int_equal(sl_s3_fetch(s3, &f->arena, account, SL_STR("absent"), SL_STR("k"), none, 100, &bytes, &f->err),
                     SL_E_S3_NO_SUCH_BUCKET);
    assert_int_equal(sl_s3_fetch(s3, &f->arena, account, SL_STR("bucket"), SL_STR("k"), none, 100, &bytes, &f->err),
                     SL_E_S3_NO_SUCH_KEY);
    assert_int_equal(
        sl_s3_fetch(s3, &f->arena, account, SL_STR("bucket"), SL_STR("k"), SL_STR("v"), 100, &bytes, &f->err),
        SL_E_S3_NO_SUCH_VERSION);
    assert_int_equal(
        sl_s3_fetch(s3, &f->arena, SL_STR("111111111111"), SL_STR("bucket"), SL_STR("k"), none, 100, &bytes, &f->err),
        SL_E_S3_ACCESS_DENIED);
}

// ---- the rows beneath -----------------------------------------------------------------------------------------------

static int put_many(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    // Three keys of two versions; the second key's newest is a marker.
    static const char *const keys[] = {"a", "b", "b/c"};
    for (int i = 0; i < 3; i++) {
        for (int version = 0; version < 2; version++) {
            struct sl_object object = {.bucket = *(const int64_t *)user,
                                       .key = sl_str_of(keys[i]),
                                       .seq = sl_object_number(tx),
                                       .latest = version == 1,
                                       .marker = version == 1 && i == 1,
                                       .version = version ? SL_STR("new") : SL_STR("old"),
                                       .etag = SL_STR(""),
                                       .doc = SL_STR("{}")};
            int result = sl_object_put(tx, &object, err);
            if (result) return result;
        }
    }
    return 0;
}

struct walked {
    char text[256];
    int64_t bucket;
    const char *from;
    bool versions;
};

static bool note(void *user, const struct sl_object *object) {
    struct walked *walked = user;
    size_t used = strlen(walked->text);
    snprintf(walked->text + used, sizeof walked->text - used, "%.*s=%.*s%s ", SL_FMT(object->key),
             SL_FMT(object->version), object->marker ? "!" : "");
    return true;
}

static int walk(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    struct walked *walked = user;
    (void)f;
    walked->text[0] = '\0';
    return walked->versions
               ? sl_object_walk_versions(tx, walked->bucket, sl_str_of(walked->from), INT64_MAX, note, walked, err)
               : sl_object_walk(tx, walked->bucket, sl_str_of(walked->from), note, walked, err);
}

static void walks_are_in_the_order_of_bytes_and_newest_first(void **state) {
    struct fixture *f = *state;
    struct walked walked = {.bucket = 7, .from = ""};
    int64_t other = 8;
    assert_int_equal(run(f, put_many, &walked.bucket), 0);
    assert_int_equal(run(f, put_many, &other), 0);
    assert_int_equal(run_read_only(f, walk, &walked), 0);
    assert_string_equal(walked.text, "a=new b/c=new ");
    walked.from = "b";
    assert_int_equal(run_read_only(f, walk, &walked), 0);
    assert_string_equal(walked.text, "b/c=new ");
    walked.versions = true;
    assert_int_equal(run_read_only(f, walk, &walked), 0);
    assert_string_equal(walked.text, "b=new! b=old b/c=new b/c=old ");
    walked.bucket = 9;
    assert_int_equal(run_read_only(f, walk, &walked), 0);
    assert_string_equal(walked.text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(removals_are_told_in_their_transaction, begin, end),
        cmocka_unit_test_setup_teardown(who_is_told_can_refuse, begin, end),
        cmocka_unit_test_setup_teardown(an_object_that_is_not_there_is_not_fetched, begin, end),
        cmocka_unit_test_setup_teardown(walks_are_in_the_order_of_bytes_and_newest_first, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
