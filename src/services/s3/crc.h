// SPDX-License-Identifier: Apache-2.0
//
// crc: the cyclic redundancy checks that S3 knows, beside zlib's CRC-32: CRC-32C (Castagnoli, RFC 3720 appendix B.4)
// and CRC-64/NVME (NVM Express command set 1.0), and how to join the sums of two pieces without their bytes. Sums are
// values as they are shown: begin with 0, give the last result back in. Pure functions, any thread.
#ifndef SL_SERVICES_S3_CRC_H
#define SL_SERVICES_S3_CRC_H

#include "base/str.h"

uint32_t sl_crc32(uint32_t crc, struct sl_str bytes);
uint32_t sl_crc32c(uint32_t crc, struct sl_str bytes);
uint64_t sl_crc64nvme(uint64_t crc, struct sl_str bytes);

// The sum of A followed by B from the sums of both and B's length.
uint32_t sl_crc32_join(uint32_t a, uint32_t b, uint64_t b_len);
uint32_t sl_crc32c_join(uint32_t a, uint32_t b, uint64_t b_len);
uint64_t sl_crc64nvme_join(uint64_t a, uint64_t b, uint64_t b_len);

#endif
