// SPDX-License-Identifier: Apache-2.0
//
// crc: see crc.h. Both own sums are reflected (least significant bit first) with all bits set before and inverted
// after, so one width of 64 bits serves both: eight tables, eight bytes a step. Joining multiplies by a power of x
// modulo the polynomial: appending n zero bits to A is multiplying its remainder by x^n, and the inversions cancel out.
#include "services/s3/crc.h"

#include <endian.h>
#include <pthread.h>
#include <zlib.h>

static const uint64_t polynomial_32 = 0xEDB88320u;           // CRC-32, reflected
static const uint64_t polynomial_32c = 0x82F63B78u;          // CRC-32C, reflected
static const uint64_t polynomial_64 = 0x9A6C9329AC4BC9B5ull; // CRC-64/NVME, reflected

static uint64_t table_32c[8][256], table_64[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(uint64_t table[8][256], uint64_t polynomial) {
    for (unsigned i = 0; i < 256; i++) {
        uint64_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ polynomial : value >> 1;
        table[0][i] = value;
    }
    for (unsigned i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xFF];
}

static void make_tables(void) {
    make_table(table_32c, polynomial_32c);
    make_table(table_64, polynomial_64);
}

static uint64_t run(uint64_t table[8][256], uint64_t value, struct sl_str bytes) {
    const unsigned char *at = (const unsigned char *)bytes.ptr, *end = at + bytes.len;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word = le64toh(word) ^ value;
        value = 0;
        for (int k = 0; k < 8; k++) value ^= table[7 - k][word >> (8 * k) & 0xFF];
    }
    for (; at < end; at++) value = value >> 8 ^ table[0][(value ^ *at) & 0xFF];
    return value;
}

uint32_t sl_crc32(uint32_t crc, struct sl_str bytes) {
    return (uint32_t)crc32_z(crc, (const unsigned char *)bytes.ptr, bytes.len);
}

uint32_t sl_crc32c(uint32_t crc, struct sl_str bytes) {
    pthread_once(&once, make_tables);
    if (!bytes.len) return crc;
    return ~(uint32_t)run(table_32c, (uint32_t)~crc, bytes);
}

uint64_t sl_crc64nvme(uint64_t crc, struct sl_str bytes) {
    pthread_once(&once, make_tables);
    if (!bytes.len) return crc;
    return ~run(table_64, ~crc, bytes);
}

// ---- joining --------------------------------------------------------------------------------------------------------

struct field {
    uint64_t polynomial; // reflected
    uint64_t one;        // the highest bit: x^0
};

// a * b modulo the polynomial, both reflected.
static uint64_t multiply(const struct field *field, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (uint64_t bit = field->one; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? b >> 1 ^ field->polynomial : b >> 1;
    }
    return product;
}

// x^(8 * bytes)
static uint64_t power(const struct field *field, uint64_t bytes) {
    uint64_t result = field->one, square = field->one >> 8; // x^8
    for (; bytes; bytes >>= 1) {
        if (bytes & 1) result = multiply(field, result, square);
        square = multiply(field, square, square);
    }
    return result;
}

static uint64_t join(const struct field *field, uint64_t a, uint64_t b, uint64_t b_len) {
    return multiply(field, power(field, b_len), a) ^ b;
}

uint32_t sl_crc32_join(uint32_t a, uint32_t b, uint64_t b_len) {
    const struct field field = {polynomial_32, 1ull << 31};
    return (uint32_t)join(&field, a, b, b_len);
}

uint32_t sl_crc32c_join(uint32_t a, uint32_t b, uint64_t b_len) {
    const struct field field = {polynomial_32c, 1ull << 31};
    return (uint32_t)join(&field, a, b, b_len);
}

uint64_t sl_crc64nvme_join(uint64_t a, uint64_t b, uint64_t b_len) {
    const struct field field = {polynomial_64, 1ull << 63};
    return join(&field, a, b, b_len);
}
