// SPDX-License-Identifier: Apache-2.0
//
// route_s3: see route_s3.h.
#include "aws/route_s3.h"

#include "base/encoding.h"
#include "http/http.h"

static struct sl_str without_port(struct sl_str host) {
    ptrdiff_t colon = sl_str_chr(host, ':', 0);
    return colon < 0 ? host : sl_str_sub(host, 0, (size_t)colon);
}

static bool is_endpoint(struct sl_str host) {
    return sl_str_starts(host, SL_STR("s3.")) || (sl_str_starts(host, SL_STR("s3-")) && sl_str_chr(host, '.', 0) > 0);
}

// Where ".s3." begins for the last time, or -1.
static ptrdiff_t find_mark(struct sl_str host) {
    const struct sl_str marks[] = {SL_STR(".s3."), SL_STR(".s3-")};
    ptrdiff_t last = -1;
    for (size_t i = 1; i + 4 <= host.len; i++) {
        struct sl_str here = sl_str_sub(host, i, i + 4);
        if (sl_str_eq(here, marks[0]) || sl_str_eq(here, marks[1])) last = (ptrdiff_t)i;
    }
    return last;
}

bool sl_s3_owns_host(struct sl_str host) {
    host = without_port(host);
    return is_endpoint(host) || find_mark(host) > 0;
}

bool sl_s3_is_form(const struct sl_aws_request *request) {
    struct sl_str type = sl_aws_request_header(request, SL_STR("Content-Type"));
    return sl_str_is(request->method, "POST") && sl_str_starts(type, SL_STR("multipart/form-data")) &&
           sl_str_chr(sl_str_sub(request->path, 1, request->path.len), '/', 0) < 0;
}

static bool has_key(struct sl_str query, struct sl_str wanted) {
    struct sl_str rest = query, pair;
    while (rest.ptr && sl_str_split(&rest, '&', &pair)) {
        struct sl_str key;
        sl_str_split(&pair, '=', &key);
        if (sl_str_eq(key, wanted)) return true;
    }
    return false;
}

bool sl_s3_is_old_signature(const struct sl_aws_request *request) {
    struct sl_str authorization = sl_aws_request_header(request, SL_STR("Authorization"));
    if (sl_str_starts(authorization, SL_STR("AWS ")) && sl_str_chr(authorization, ':', 0) > 0) return true;
    return has_key(request->query, SL_STR("AWSAccessKeyId")) && has_key(request->query, SL_STR("Signature")) &&
           has_key(request->query, SL_STR("Expires"));
}

// What stands before the name of this machine; ptr NULL if the host is another one.
static struct sl_str local_prefix(struct sl_str host) {
    const struct sl_str names[] = {SL_STR(".localhost"), SL_STR(".localhost.localstack.cloud")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (host.len > names[i].len && sl_str_ends(host, names[i])) return sl_str_sub(host, 0, host.len - names[i].len);
    }
    return (struct sl_str){0};
}

void sl_s3_address(const struct sl_aws_request *request, struct sl_s3_address *ret) {
    struct sl_str host = without_port(request->host), path = sl_str_sub(request->path, 1, request->path.len);
    ptrdiff_t mark = is_endpoint(host) ? -1 : find_mark(host);
    struct sl_str bucket = mark > 0 ? sl_str_sub(host, 0, (size_t)mark) : (struct sl_str){0};
    if (mark < 0 && !is_endpoint(host)) bucket = local_prefix(host);
    *ret = (struct sl_s3_address){.bucket = bucket, .key = path};
    if (bucket.ptr) return;
    sl_str_split(&path, '/', &ret->bucket);
    ret->key = path.ptr ? path : SL_STR("");
}

const struct sl_service *sl_s3_service(void) { return sl_service_find(SL_STR("s3")); }

// Parameters and headers that the operation requires, beside bucket and key. -1: one of them is missing.
static int requirements(const struct sl_operation *operation, const struct sl_aws_request *request) {
    int count = 0;
    for (unsigned i = 0; operation->input && i < operation->input->member_count; i++) {
        const struct sl_member *member = &operation->input->members[i];
        if (!member->required) continue;
        if (member->location == SL_IN_QUERY) {
            if (!has_key(request->query, member->wire)) return -1;
            count++;
        } else if (member->location == SL_IN_HEADER) {
            if (!sl_aws_request_header(request, member->wire).ptr && !has_key(request->query, member->wire)) return -1;
            count++;
        }
    }
    return count;
}

static bool has_discriminators(const struct sl_operation *operation, struct sl_str query) {
    for (unsigned i = 0; i < operation->discriminator_count; i++) {
        const struct sl_discriminator *wanted = &operation->discriminators[i];
        struct sl_str rest = query, pair;
        bool found = false;
        while (!found && rest.ptr && sl_str_split(&rest, '&', &pair)) {
            struct sl_str key, value = pair;
            sl_str_split(&value, '=', &key);
            found = sl_str_eq(key, wanted->key) && (wanted->value.len == 0 || sl_str_eq(value, wanted->value));
        }
        if (!found) return false;
    }
    return true;
}

bool sl_s3_route(const struct sl_aws_request *request, struct sl_route *ret) {
    const struct sl_service *service = sl_s3_service();
    struct sl_s3_address address;
    int best = -1;
    sl_s3_address(request, &address);
    unsigned parts = address.bucket.len == 0 ? 0 : address.key.len == 0 ? 1 : 2;
    for (unsigned i = 0; service && i < service->operation_count; i++) {
        const struct sl_operation *operation = &service->operations[i];
        if (operation->segment_count != parts || !sl_str_eq(operation->method, request->method) ||
            !has_discriminators(operation, request->query))
            continue;
        int required = requirements(operation, request);
        int score = operation->discriminator_count * 100 + required;
        if (required < 0 || score <= best) continue;
        best = score;
        *ret = (struct sl_route){.operation = operation, .labels = {address.bucket, address.key}};
    }
    return best >= 0;
}

unsigned sl_s3_hoisted(struct sl_arena *arena, struct sl_str query, struct sl_http_header *headers, unsigned room) {
    struct sl_str rest = query, pair;
    unsigned count = 0;
    while (count < room && rest.ptr && sl_str_split(&rest, '&', &pair)) {
        struct sl_str key, value = pair;
        sl_str_split(&value, '=', &key);
        if (!sl_str_starts(key, SL_STR("x-amz-")) || !value.ptr) continue; // those of the signature are "X-Amz-"
        if (!sl_percent_decode(arena, key, true, &headers[count].name) ||
            !sl_percent_decode(arena, value, true, &headers[count].value))
            continue;
        count++;
    }
    return count;
}
