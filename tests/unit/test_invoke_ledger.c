// SPDX-License-Identifier: Apache-2.0
//
// The rows that keep what functions used (ledger.c): batches add up, tenants with colons are told apart, months of long
// ago go when a month begins.
#include "store_fixture.h"

#include "invoke/engine.h"
#include "invoke/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sl_invoke__meter *meter_of(const char *name, const char *tenant) {
    struct sl_invoke__meter *meter = calloc(1, sizeof *meter);
    meter->account = SL_STR("000000000000");
    meter->region = SL_STR("us-east-1");
    meter->name = sl_str_of(name);
    meter->version = SL_STR("$LATEST");
    meter->alias = SL_STR("live");
    meter->architecture = SL_STR("arm64");
    meter->tenant = sl_str_of(tenant);
    return meter;
}

static void store_one(struct fixture *f, const char *month, struct sl_invoke__meter *meter, int64_t requests,
                      int64_t mb_ms) {
    static struct sl_invoke__meters meters;
    meters = (struct sl_invoke__meters){.job = {.run = sl_ledger.run}, .row_count = 1};
    snprintf(meters.month, sizeof meters.month, "%s", month);
    meters.rows[0].meter = meter;
    meters.rows[0].counts[SL_METER_REQUESTS] = requests;
    meters.rows[0].counts[SL_METER_MB_MS] = mb_ms;
    assert_int_equal(sl_ledger.wait(f->store, &meters.job, &f->err), 0);
}

static int write_month(struct fixture *f, struct sl_store_tx *tx, void *user, struct sl_error *err) {
    (void)f;
    struct sl_buf *out = user;
    struct sl_str month = sl_str_n(out->ptr, 7); // asked for in the buffer itself
    char copy[8] = "";
    memcpy(copy, month.ptr, 7);
    sl_buf_clear(out, 1024);
    return sl_invoke_meters_write(tx, sl_str_of(copy), out, err);
}

static struct sl_json *rows_of(struct fixture *f, const char *month) {
    struct sl_buf out;
    struct sl_json *rows;
    sl_buf_init(&out, 1 << 20);
    sl_buf_cstr(&out, month);
    assert_int_equal(run_read_only(f, write_month, &out), 0);
    assert_int_equal(sl_json_parse(&f->arena, sl_arena_dup(&f->arena, sl_buf_view(&out)), &rows, &f->err), 0);
    sl_buf_free(&out);
    return rows;
}

static void batches_add_up(void **state) {
    struct fixture *f = *state;
    struct sl_invoke__meter *plain = meter_of("f", ""), *colons = meter_of("f", "a:b:c");
    store_one(f, "2026-11", plain, 2, 100);
    store_one(f, "2026-11", colons, 1, 7);
    store_one(f, "2026-11", plain, 3, 50);
    store_one(f, "2026-12", plain, 1, 1);
    const struct sl_json *rows = rows_of(f, "2026-11");
    assert_int_equal(rows->count, 2);
    for (const struct sl_json *row = rows->first; row; row = row->next) {
        bool tenant = sl_str_is(sl_json_string(row, "tenant"), "a:b:c");
        assert_true(tenant || sl_json_string(row, "tenant").len == 0);
        assert_int_equal(sl_json_int(row, "requests", 0), tenant ? 1 : 5);
        assert_int_equal(sl_json_int(row, "mb_ms", 0), tenant ? 7 : 150);
        assert_true(sl_str_is(sl_json_string(row, "function"), "f"));
        assert_true(sl_str_is(sl_json_string(row, "version"), "$LATEST"));
        assert_true(sl_str_is(sl_json_string(row, "alias"), "live"));
        assert_true(sl_str_is(sl_json_string(row, "architecture"), "arm64"));
    }
    free(plain);
    free(colons);
}

static void old_months_go_when_a_month_begins(void **state) {
    struct fixture *f = *state;
    struct sl_invoke__meter *meter = meter_of("f", "");
    store_one(f, "2024-10", meter, 1, 1);
    store_one(f, "2024-11", meter, 1, 1);
    store_one(f, "2026-11", meter, 1, 1); // two years are kept
    assert_int_equal(rows_of(f, "2024-10")->count, 0);
    assert_int_equal(rows_of(f, "2024-11")->count, 1);
    assert_int_equal(rows_of(f, "2026-11")->count, 1);
    free(meter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_months_go_when_a_month_begins, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
