// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the decoder of aws-chunked. The first byte of the input chooses the form (unsigned, signed, signed and
// verified) and the size of the pieces. Checked beyond memory safety: whatever the pieces, the same bytes come out and
// the verdict is the same; a body that was never signed with the key is never accepted as verified.
#include <stdlib.h>

#include "aws/chunked_body.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool decode(const char *form, struct sl_str secret, struct sl_str text, size_t piece, struct sl_buf *out) {
    const struct sl_sigv4 signature = {.date = SL_STR("20130524"),
                                       .region = SL_STR("us-east-1"),
                                       .service = SL_STR("s3"),
                                       .amz_date = SL_STR("20130524T000000Z"),
                                       .signature =
                                           SL_STR("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
                                       .payload_hash = sl_str_of(form)};
    struct sl_chunked_body *body = NULL;
    struct sl_error err;
    if (sl_chunked_body_new(&body, &signature, secret, &err)) return false;
    int kind = SL_OK;
    for (size_t at = 0; at < text.len && !kind; at += piece) {
        struct sl_str in = sl_str_sub(text, at, at + piece), part;
        while (in.len && !kind) {
            size_t used = 0;
            kind = sl_chunked_body_feed(body, in, &used, &part, &err);
            if (kind) break;
            if (used == 0 || used > in.len) abort(); // no progress, or too much
            sl_buf_str(out, part);
            in = sl_str_sub(in, used, in.len);
        }
    }
    bool good = !kind && sl_chunked_body_complete(body);
    sl_chunked_body_free(body);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const forms[] = {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"};
    if (size == 0) return 0;
    const char *form = forms[data[0] % 3];
    struct sl_str text = sl_str_n((const char *)data + 1, size - 1), unverified = {0};
    struct sl_buf whole, pieces;
    sl_buf_init(&whole, size);
    sl_buf_init(&pieces, size);
    bool a = decode(form, unverified, text, text.len ? text.len : 1, &whole);
    bool b = decode(form, unverified, text, data[0] / 3 + 1u, &pieces);
    if (a != b || whole.failed || pieces.failed) abort();
    if (a && !sl_str_eq(sl_buf_view(&whole), sl_buf_view(&pieces))) abort();
    sl_buf_clear(&whole, size);
    // A key that nobody signed with: nothing may be accepted but where nothing is signed.
    if (decode(form, SL_STR("a key of this run"), text, 4096, &whole) && data[0] % 3 != 0) abort();
    sl_buf_free(&whole);
    sl_buf_free(&pieces);
    return 0;
}
