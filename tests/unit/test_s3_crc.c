// SPDX-License-Identifier: Apache-2.0
//
// The checksums of S3: published check values, pieces of every length, and joining against summing the whole.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/s3/crc.h"

static const struct sl_str digits = SL_STR_INIT("123456789");

// The check values of the catalogue of parametrised CRC algorithms.
static void the_check_values_are_the_published_ones(void **state) {
    (void)state;
    assert_int_equal(sl_crc32(0, digits), 0xCBF43926u);
    assert_int_equal(sl_crc32c(0, digits), 0xE3069283u);
    assert_true(sl_crc64nvme(0, digits) == 0xAE8B14860A799888ull);
}

static void fill(char *bytes, size_t len) {
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (char)(seed >> 24);
    }
}

static void pieces_sum_up_to_the_whole_and_join(void **state) {
    (void)state;
    char bytes[600];
    fill(bytes, sizeof bytes);
    struct sl_str whole = sl_str_n(bytes, sizeof bytes);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct sl_str a = sl_str_sub(whole, 0, cut), b = sl_str_sub(whole, cut, whole.len);
        assert_int_equal(sl_crc32c(sl_crc32c(0, a), b), sl_crc32c(0, whole));
        assert_true(sl_crc64nvme(sl_crc64nvme(0, a), b) == sl_crc64nvme(0, whole));
        assert_int_equal(sl_crc32_join(sl_crc32(0, a), sl_crc32(0, b), b.len), sl_crc32(0, whole));
        assert_int_equal(sl_crc32c_join(sl_crc32c(0, a), sl_crc32c(0, b), b.len), sl_crc32c(0, whole));
        assert_true(sl_crc64nvme_join(sl_crc64nvme(0, a), sl_crc64nvme(0, b), b.len) == sl_crc64nvme(0, whole));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_values_are_the_published_ones),
        cmocka_unit_test(pieces_sum_up_to_the_whole_and_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
