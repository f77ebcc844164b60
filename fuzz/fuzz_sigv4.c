// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what unauthenticated clients reach first: SigV4 parsing and canonicalisation, routing, decoding, validation
// and the policy language. The input is a rough request: "METHOD target\nName: value\n...\n\nbody". Checked beyond
// memory safety: what was signed here with the parsed scope verifies, and the same with one bit of the signature
// changed does not.
#include <stdlib.h>

#include "aws/codec.h"
#include "aws/policy.h"
#include "aws/sigv4.h"
#include "http/http.h"

enum { HEADERS = 32, MEMORY = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool next_line(struct sl_str *rest, struct sl_str *ret) { return sl_str_split(rest, '\n', ret); }

static void read_request(struct sl_str text, struct sl_http_header *headers, struct sl_aws_request *ret) {
    struct sl_str rest = text, line, target = {0};
    *ret = (struct sl_aws_request){.headers = headers};
    if (next_line(&rest, &line)) {
        target = line;
        sl_str_split(&target, ' ', &ret->method);
        ret->query = target;
        sl_str_split(&ret->query, '?', &ret->path);
    }
    while (next_line(&rest, &line) && line.len) {
        struct sl_str value = line, name;
        if (ret->header_count == HEADERS) continue;
        sl_str_split(&value, ':', &name);
        headers[ret->header_count].name = name;
        headers[ret->header_count++].value = sl_str_trim(value);
    }
    if (rest.ptr) ret->body = rest;
}

static void fuzz_signature(struct sl_arena *arena, const struct sl_aws_request *request) {
    struct sl_sigv4 signature;
    struct sl_error err;
    const struct sl_str secret = SL_STR("secret");
    if (sl_sigv4_parse(arena, request, &signature, &err)) return;
    const int64_t now = 1440938160000; // the corpus is signed for 2015-08-30T12:36:00Z
    sl_sigv4_verify(arena, request, &signature, secret, now, &err);
    signature.payload_hash = (struct sl_str){0};
    struct sl_str canonical = sl_sigv4_canonical_request(arena, request, &signature);
    struct sl_str text = sl_sigv4_string_to_sign(arena, canonical, &signature);
    struct sl_str made = sl_sigv4_signature(arena, text, &signature, secret);
    if (!canonical.ptr || !text.ptr || !made.ptr) return;
    signature.signature = made;
    int kind = sl_sigv4_verify(arena, request, &signature, secret, now, &err);
    if (kind) return; // a clock, a host that is not signed: never to be accepted, whatever the signature
    char *wrong = sl_arena_cstr(arena, made);
    if (!wrong) return;
    wrong[made.len / 2] ^= 1;
    signature.signature = sl_str_n(wrong, made.len);
    if (sl_sigv4_verify(arena, request, &signature, secret, now, &err) == SL_OK) abort();
}

static void fuzz_operation(struct sl_arena *arena, const struct sl_aws_request *request) {
    struct sl_route route;
    struct sl_json *in = NULL;
    struct sl_str message, action;
    struct sl_error err;
    if (sl_route_any((struct sl_str){0}, request, &route)) {
        if (sl_rest_json_decode(arena, &route, request, &in, &err) == SL_OK)
            sl_validate(arena, route.operation, in, &message);
    }
    const struct sl_operation *query = sl_route_query(arena, (struct sl_str){0}, request, &action);
    if (query && sl_query_decode(arena, query, request, &in, &err) == SL_OK) sl_validate(arena, query, in, &message);
}

static void fuzz_policy(struct sl_arena *arena, struct sl_str text) {
    struct sl_json *policy = NULL;
    struct sl_error err;
    const struct sl_policy_value values[] = {{SL_STR("aws:SourceArn"), SL_STR("arn:aws:execute-api:r:1:a/b")},
                                             {SL_STR("aws:SourceIp"), SL_STR("10.0.0.1")}};
    const struct sl_policy_request request = {.account = SL_STR("123456789012"),
                                              .caller = SL_STR("arn:aws:iam::123456789012:root"),
                                              .action = SL_STR("lambda:InvokeFunction"),
                                              .resource = SL_STR("arn:aws:lambda:r:1:function:f"),
                                              .values = values,
                                              .value_count = 2};
    if (sl_json_parse(arena, text, &policy, &err) == SL_OK) sl_policy_evaluate(policy, &request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_http_header headers[HEADERS];
    struct sl_aws_request request;
    struct sl_arena arena;
    struct sl_str text = sl_str_n((const char *)data, size);
    sl_arena_init(&arena, MEMORY);
    read_request(text, headers, &request);
    fuzz_signature(&arena, &request);
    fuzz_operation(&arena, &request);
    fuzz_policy(&arena, request.body);
    sl_arena_free(&arena);
    return 0;
}
