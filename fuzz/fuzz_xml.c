// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the XML reader and the decoding of S3's documents by the model. The input is an operation's name, a line end,
// and a body. Checked beyond memory safety: text that was read, written and read again is the same; what decodes, and
// whatever is answered from it, encodes to a document that can be read.
#include <stdlib.h>

#include "aws/codec.h"
#include "aws/xml.h"

enum { MEMORY = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(struct sl_arena *arena, const struct sl_xml *element) {
    struct sl_buf out;
    struct sl_xml *again = NULL;
    struct sl_error err;
    sl_buf_init(&out, MEMORY);
    sl_buf_cstr(&out, "<x>");
    sl_xml_put_text(&out, element->text);
    sl_buf_cstr(&out, "</x>");
    int kind = out.failed ? SL_E_NO_MEMORY : sl_xml_parse(arena, sl_buf_view(&out), &again, &err);
    if (kind && kind != SL_E_NO_MEMORY) abort();
    if (!kind && !sl_str_eq(again->text, element->text)) abort();
    sl_buf_free(&out);
}

static void decode(struct sl_arena *arena, const struct sl_operation *operation, struct sl_str body) {
    const struct sl_aws_request request = {.method = operation->method, .path = SL_STR("/b/k"), .body = body};
    const struct sl_route route = {.operation = operation, .labels = {SL_STR("b"), SL_STR("k")}};
    struct sl_op op = {.arena = arena, .model = operation};
    struct sl_reply reply;
    struct sl_error err;
    struct sl_xml *root = NULL;
    if (sl_rest_xml_decode(arena, &route, &request, &op.out, &err) != SL_OK) return;
    if (sl_rest_xml_encode(&op, &reply, &err) != SL_OK || !sl_str_eq(reply.content_type, SL_STR("application/xml")))
        return;
    int kind = sl_xml_parse(arena, reply.body, &root, &err);
    if (kind && kind != SL_E_NO_MEMORY) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_str body = sl_str_n((const char *)data, size), name;
    struct sl_arena arena;
    struct sl_xml *root = NULL;
    struct sl_error err;
    sl_arena_init(&arena, MEMORY);
    sl_str_split(&body, '\n', &name);
    if (!body.ptr) body = SL_STR("");
    if (sl_xml_parse(&arena, body, &root, &err) == SL_OK) write_and_read(&arena, root);
    const struct sl_operation *operation = sl_operation_find(sl_service_find(SL_STR("s3")), name);
    if (operation) decode(&arena, operation, body);
    sl_arena_free(&arena);
    return 0;
}
