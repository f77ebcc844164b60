// SPDX-License-Identifier: Apache-2.0
//
// The operation engine with a pretended HTTP connection, store and worker: which thread would run what, in which order,
// and that each request is answered once. The fakes below take the place of http/ and store/ at link time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aws/aws.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "http/http.h"
#include "store/store.h"

// --- fakes
// -------------------------------------------------------------------------------------------------------------

static struct {
    int answers, status;
    char headers[4096], body[8192];
} sent;

static struct sl_store_job *queued;
static struct {
    void (*run)(void *), (*done)(void *);
    void *argument;
} work;
static char trail[256]; // what happened, in order

static void note(const char *what) { strncat(trail, what, sizeof trail - strlen(trail) - 1); }

void sl_http_begin(struct sl_http_request *request, int status) {
    (void)request;
    memset(&sent.headers, 0, sizeof sent.headers);
    sent.status = status;
}

void sl_http_add(struct sl_http_request *request, struct sl_str name, struct sl_str value) {
    (void)request;
    size_t used = strlen(sent.headers);
    snprintf(sent.headers + used, sizeof sent.headers - used, "%.*s: %.*s\n", SL_FMT(name), SL_FMT(value));
}

void sl_http_body(struct sl_http_request *request, struct sl_str body) {
    (void)request;
    sent.answers++;
    snprintf(sent.body, sizeof sent.body, "%.*s", SL_FMT(body));
    note("answer ");
}

void sl_http_respond(struct sl_http_request *request, int status, struct sl_str content_type, struct sl_str body) {
    (void)content_type;
    sl_http_begin(request, status);
    sl_http_body(request, body);
}

void sl_http_stream_sized(struct sl_http_request *request, uint64_t length) {
    (void)request;
    (void)length;
}

void sl_http_stream(struct sl_http_request *request) { (void)request; }

void sl_http_part(struct sl_http_request *request, struct sl_str bytes) {
    (void)request;
    (void)bytes;
}

void sl_http_end(struct sl_http_request *request) { (void)request; }
void sl_http_abort(struct sl_http_request *request) { (void)request; }

void sl_http_pause(struct sl_http_request *request, bool paused) {
    (void)request;
    (void)paused;
}

size_t sl_http_unsent(const struct sl_http_request *request) {
    (void)request;
    return 0;
}

void sl_http_on_drained(struct sl_http_request *request, void (*drained)(struct sl_http_request *)) {
    (void)request;
    (void)drained;
}

struct sl_str sl_http_conn_peer(struct sl_http_conn *conn) {
    (void)conn;
    return SL_STR("127.0.0.1");
}

struct sl_loop *sl_http_conn_loop(const struct sl_http_conn *conn) {
    (void)conn;
    return NULL;
}

int sl_store_submit(struct sl_store *store, struct sl_store_job *job, struct sl_error *err) {
    (void)store;
    if (queued) return sl_fail(err, SL_E_UNAVAILABLE, "the store is busy");
    queued = job;
    return 0;
}

static void store_turn(int commit_result) {
    struct sl_error err = {0};
    struct sl_store_job *job = queued;
    assert_non_null(job);
    queued = NULL;
    int result = job->run(job, (struct sl_store_tx *)&queued, &err);
    if (!result && commit_result) result = sl_fail(&err, commit_result, "disk full");
    if (!result && job->committed) job->committed(job);
    job->done(job, result, &err);
}

static int offload(void *user, struct sl_loop *home, void (*run)(void *), void (*done)(void *), void *argument,
                   struct sl_error *err) {
    (void)user;
    (void)home;
    (void)err;
    work.run = run;
    work.done = done;
    work.argument = argument;
    return 0;
}

// --- handlers under test
// -----------------------------------------------------------------------------------------------

static int get_run(struct sl_op *op, struct sl_error *err) {
    note("run ");
    assert_non_null(op->tx);
    if (sl_str_is(sl_op_in(op, "FunctionName"), "missing"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function not found: %.*s", SL_FMT(op->account));
    sl_op_out(op, "FunctionName", sl_op_in(op, "FunctionName"));
    sl_op_out(op, "FunctionArn", sl_arena_printf(op->arena, "%.*s/%.*s", SL_FMT(op->region), SL_FMT(op->account)));
    return 0;
}

static int create_prepare(struct sl_op *op, struct sl_error *err) {
    note("prepare ");
    assert_null(op->tx);
    op->state = op;
    return sl_str_is(sl_op_in(op, "Handler"), "refuse") ? sl_fail(err, SL_E_INVALID_ZIP, "no zip") : 0;
}

static int create_run(struct sl_op *op, struct sl_error *err) {
    note("run ");
    assert_ptr_equal(op->state, op);
    return sl_str_is(sl_op_in(op, "Handler"), "fail") ? sl_fail(err, SL_E_RESOURCE_CONFLICT, "exists") : 0;
}

static void create_publish(struct sl_op *op) {
    assert_null(op->tx);
    note("publish ");
}

static void create_discard(struct sl_op *op) {
    assert_ptr_equal(op->state, op);
    note("discard ");
}

static struct sl_op *waiting;

static int invoke_run(struct sl_op *op, struct sl_error *err) {
    note("invoke ");
    assert_non_null(op->http);
    if (sl_str_is(sl_op_in(op, "FunctionName"), "busy")) return sl_fail(err, SL_E_THROTTLED, "Rate Exceeded.");
    waiting = op;
    return 0;
}

static void poll_gone(struct sl_op *op) {
    (void)op;
    note("gone ");
}

static int poll_run(struct sl_op *op, struct sl_error *err) {
    note("poll ");
    assert_null(op->http);
    if (sl_str_is(sl_op_in(op, "QueueUrl"), "bad")) return sl_fail(err, SL_E_INVALID_ADDRESS, "no such address");
    op->gone = poll_gone;
    waiting = op;
    return 0;
}

static void slow_run(struct sl_op *op) {
    (void)op;
    note("slow ");
}

static const struct sl_op_entry table[] = {
    {.service = "lambda", .operation = "GetFunctionConfiguration", .run = get_run},
    {.service = "lambda",
     .operation = "CreateFunction",
     .prepare = create_prepare,
     .run = create_run,
     .publish = create_publish,
     .discard = create_discard},
    {.service = "lambda", .operation = "Invoke", .mode = SL_OP_DATA, .run = invoke_run},
    {.service = "sqs", .operation = "ReceiveMessage", .mode = SL_OP_WAIT, .run = poll_run},
    {0},
};
static const struct sl_op_entry *const tables[] = {table, NULL};

// --- fixture
// -----------------------------------------------------------------------------------------------------------

static struct sl_aws *aws;
static struct sl_arena arena;
static struct sl_http_header headers[4];
static struct sl_http_request request;

#define SIGNED(key)                                                                                                    \
    "AWS4-HMAC-SHA256 Credential=" key "/20260102/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, "      \
    "Signature=00"

static void make_request(const char *method, const char *path, const char *body) {
    sl_arena_reset(&arena);
    memset(&sent, 0, sizeof sent);
    memset(&work, 0, sizeof work);
    trail[0] = '\0';
    waiting = NULL;
    headers[0] = (struct sl_http_header){SL_STR("Authorization"), SL_STR(SIGNED("AKID"))};
    headers[1] = (struct sl_http_header){SL_STR("X-Amz-Date"), SL_STR("20260102T030405Z")};
    request = (struct sl_http_request){.arena = &arena,
                                       .method_text = sl_str_of(method),
                                       .path = sl_str_of(path),
                                       .host = SL_STR("localhost:4566"),
                                       .headers = headers,
                                       .header_count = 2,
                                       .body = sl_str_of(body)};
}

static int group_setup(void **state) {
    (void)state;
    static const struct sl_aws_config config = {.tables = tables, .offload = offload};
    struct sl_error err;
    sl_arena_init(&arena, 16 << 20);
    return sl_aws_new(&aws, &config, &err);
}

static int group_teardown(void **state) {
    (void)state;
    sl_aws_free(aws);
    sl_arena_free(&arena);
    return 0;
}

// --- tests
// -------------------------------------------------------------------------------------------------------------

static void an_operation_runs_in_the_store_and_is_answered_after_it(void **state) {
    (void)state;
    make_request("GET", "/2015-03-31/functions/demo/configuration", "");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.answers, 0);
    assert_int_equal(sl_aws_busy(aws), 1);
    assert_true(queued->read_only);
    store_turn(0);
    assert_string_equal(trail, "run answer ");
    assert_int_equal(sent.status, 200);
    assert_string_equal(sent.body, "{\"FunctionName\":\"demo\",\"FunctionArn\":\"eu-west-1/000000000000\"}");
    assert_non_null(strstr(sent.headers, "x-amzn-RequestId: "));
    assert_non_null(strstr(sent.headers, "Content-Type: application/json\n"));
    assert_int_equal(sl_aws_busy(aws), 0);
}

static void a_key_of_twelve_digits_names_the_account(void **state) {
    (void)state;
    make_request("GET", "/2015-03-31/functions/missing/configuration", "");
    headers[0].value = SL_STR(SIGNED("111122223333"));
    sl_aws_handle(aws, &request);
    store_turn(0);
    assert_int_equal(sent.status, 404);
    assert_string_equal(sent.body, "{\"Type\":\"User\",\"Message\":\"Function not found: 111122223333\"}");
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: ResourceNotFoundException\n"));
}

static void unsigned_requests_are_taken_by_their_path(void **state) {
    (void)state;
    make_request("GET", "/2015-03-31/functions/demo/configuration", "");
    request.header_count = 0;
    assert_true(sl_aws_claims(&request));
    sl_aws_handle(aws, &request);
    store_turn(0);
    assert_non_null(strstr(sent.body, "us-east-1/000000000000"));
}

#define CREATE(handler)                                                                                                \
    "{\"FunctionName\":\"f\",\"Role\":\"arn:aws:iam::123456789012:role/r\",\"Code\":{\"ZipFile\":\"AAEC\"},"           \
    "\"Handler\":\"" handler "\"}"

static void prepare_runs_on_a_worker_and_publish_after_the_commit(void **state) {
    (void)state;
    make_request("POST", "/2015-03-31/functions", CREATE("ok"));
    sl_aws_handle(aws, &request);
    assert_null(queued);
    work.run(work.argument);
    work.done(work.argument);
    store_turn(0);
    assert_string_equal(trail, "prepare run publish answer ");
    assert_int_equal(sent.status, 201);
}

static void what_prepare_left_is_discarded_when_a_later_step_fails(void **state) {
    (void)state;
    make_request("POST", "/2015-03-31/functions", CREATE("fail"));
    sl_aws_handle(aws, &request);
    work.run(work.argument);
    work.done(work.argument);
    store_turn(0);
    assert_string_equal(trail, "prepare run discard answer ");
    assert_int_equal(sent.status, 409);
    make_request("POST", "/2015-03-31/functions", CREATE("ok"));
    sl_aws_handle(aws, &request);
    work.run(work.argument);
    work.done(work.argument);
    store_turn(SL_E_IO);
    assert_string_equal(trail, "prepare run discard answer ");
    assert_int_equal(sent.status, 500);
    make_request("POST", "/2015-03-31/functions", CREATE("refuse"));
    sl_aws_handle(aws, &request);
    work.run(work.argument);
    work.done(work.argument);
    assert_null(queued);
    assert_string_equal(trail, "prepare discard answer ");
    assert_int_equal(sent.status, 502);
}

static void invalid_input_reaches_neither_prepare_nor_the_store(void **state) {
    (void)state;
    make_request("POST", "/2015-03-31/functions", "{\"FunctionName\":\"f\"}");
    sl_aws_handle(aws, &request);
    work.run(work.argument);
    work.done(work.argument);
    assert_null(queued);
    assert_string_equal(trail, "answer ");
    assert_int_equal(sent.status, 400);
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: ValidationException\n"));
    assert_non_null(strstr(sent.body, "2 validation errors detected: "));
}

static void the_client_may_go_away_at_any_time(void **state) {
    (void)state;
    make_request("POST", "/2015-03-31/functions", CREATE("ok"));
    sl_aws_handle(aws, &request);
    work.run(work.argument);
    request.aborted(&request);
    sl_arena_reset(&arena); // the request is gone
    work.done(work.argument);
    store_turn(0);
    assert_string_equal(trail, "prepare run publish ");
    assert_int_equal(sl_aws_busy(aws), 0);
}

static void a_full_store_is_answered_503(void **state) {
    (void)state;
    struct sl_store_job other;
    queued = &other;
    make_request("GET", "/2015-03-31/functions/demo/configuration", "");
    sl_aws_handle(aws, &request);
    queued = NULL;
    assert_int_equal(sent.status, 503);
    assert_int_equal(sent.answers, 1);
}

static void data_operations_answer_later_by_themselves(void **state) {
    (void)state;
    make_request("POST", "/2015-03-31/functions/f/invocations", "{}");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.answers, 0);
    assert_null(queued);
    sl_json_put_int(waiting->arena, waiting->out, "StatusCode", 200);
    sl_op_out(waiting, "Payload", sl_op_in(waiting, "Payload"));
    sl_op_answer(waiting);
    assert_string_equal(trail, "invoke answer ");
    assert_string_equal(sent.body, "{}");
    make_request("POST", "/2015-03-31/functions/busy/invocations", "{}");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 429);
    assert_int_equal(sent.answers, 1);
}

static void make_poll(const char *body) {
    make_request("POST", "/", body);
    headers[2] = (struct sl_http_header){SL_STR("X-Amz-Target"), SL_STR("AmazonSQS.ReceiveMessage")};
    request.header_count = 3;
}

static void an_operation_that_waits_outlives_its_request_and_its_client(void **state) {
    (void)state;
    make_poll("{\"QueueUrl\":\"u\"}");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.answers, 0);
    assert_int_equal(sl_aws_busy(aws), 1);
    assert_non_null(request.aborted);
    // Work on another thread, then the answer.
    assert_int_equal(sl_op_work(waiting, slow_run, sl_op_answer, NULL), 0);
    work.run(work.argument);
    work.done(work.argument);
    assert_string_equal(trail, "poll slow answer ");
    assert_string_equal(sent.body, "{}");
    assert_int_equal(sl_aws_busy(aws), 0);
    assert_null(request.aborted);
    // The client goes: the handler hears of it, and ends without an answer.
    make_poll("{\"QueueUrl\":\"u\"}");
    sl_aws_handle(aws, &request);
    request.aborted(&request);
    sl_arena_reset(&arena); // the request is gone
    assert_string_equal(trail, "poll gone ");
    assert_int_equal(sl_aws_busy(aws), 1);
    assert_true(sl_str_is(sl_op_in(waiting, "QueueUrl"), "u"));
    sl_op_answer(waiting);
    assert_int_equal(sl_aws_busy(aws), 0);
    assert_int_equal(sent.answers, 0);
}

static void errors_of_waiting_operations_speak_the_clients_protocol(void **state) {
    (void)state;
    make_poll("{\"QueueUrl\":\"bad\"}");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 404);
    assert_string_equal(sent.body, "{\"__type\":\"com.amazonaws.sqs#InvalidAddress\",\"message\":\"no such address\"}");
    assert_non_null(strstr(sent.headers, "x-amzn-query-error: InvalidAddress;Sender\n"));
    // An old client, not signed: the address is the queue's path, the answer XML.
    make_request("POST", "/000000000000/bad", "Action=ReceiveMessage&QueueUrl=bad");
    headers[0] = (struct sl_http_header){SL_STR("Content-Type"), SL_STR("application/x-www-form-urlencoded")};
    request.header_count = 1;
    assert_true(sl_aws_claims(&request));
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 404);
    assert_non_null(strstr(sent.body, "<Code>InvalidAddress</Code>"));
    assert_int_equal(sl_aws_busy(aws), 0);
    // A path that is no queue's is somebody else's.
    request.path = SL_STR("/some/page");
    assert_false(sl_aws_claims(&request));
    make_poll("{}");
    headers[2].value = SL_STR("AmazonSQS.Nothing");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 404);
    assert_non_null(strstr(sent.body, "com.amazon.coral.service#UnknownOperationException"));
}

static void missing_handlers_and_unknown_operations_are_told_apart(void **state) {
    (void)state;
    make_request("GET", "/2018-10-31/layers", "");
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 501);
    assert_non_null(strstr(sent.body, "The API for service 'lambda' operation 'ListLayers' is not available"));
    make_request("GET", "/2018-10-31/nothing", "");
    assert_true(sl_aws_claims(&request)); // it is signed for lambda
    sl_aws_handle(aws, &request);
    assert_int_equal(sent.status, 404);
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: UnknownOperationException\n"));
    request.header_count = 0;
    assert_false(sl_aws_claims(&request));
}

static void bodies_over_the_operations_limit_are_refused_at_the_head(void **state) {
    (void)state;
    size_t max_body = 0;
    make_request("POST", "/2015-03-31/functions", "");
    headers[2] = (struct sl_http_header){SL_STR("Content-Length"), SL_STR("70167212")};
    request.header_count = 3;
    assert_int_not_equal(sl_aws_head(aws, &request, &max_body), 0);
    assert_int_equal(sent.status, 413);
    assert_non_null(strstr(sent.body, "Request must be smaller than 70167211 bytes for the CreateFunction operation"));
    make_request("POST", "/2015-03-31/functions/f/invocations", "");
    headers[2] = (struct sl_http_header){SL_STR("Content-Length"), SL_STR("6291456")};
    headers[3] = (struct sl_http_header){SL_STR("X-Amz-Invocation-Type"), SL_STR("Event")};
    request.header_count = 3;
    assert_int_equal(sl_aws_head(aws, &request, &max_body), 0);
    assert_int_equal(sent.answers, 0);
    request.header_count = 4;
    assert_int_not_equal(sl_aws_head(aws, &request, &max_body), 0);
    assert_non_null(strstr(sent.body, "Request must be smaller than 1048576 bytes for the InvokeFunction operation"));
}

static int identify(void *user, struct sl_arena *room, const struct sl_sigv4 *signature, int64_t now_ms,
                    struct sl_aws_identity *ret, struct sl_error *err) {
    (void)user;
    (void)room;
    assert_true(now_ms > 0);
    *ret = (struct sl_aws_identity){.anonymous = true};
    if (!signature->access_key.len) return 0;
    *ret = (struct sl_aws_identity){.secret = SL_STR("secret"), .account = SL_STR("123456789012")};
    return sl_str_is(signature->access_key, "AKID") ? 0 : sl_fail(err, SL_E_UNRECOGNIZED_CLIENT, "unknown");
}

static int authorize(void *user, struct sl_op *op, struct sl_error *err) {
    *(struct sl_str *)user = sl_arena_dup(&arena, op->caller); // the operation takes its own with it
    return sl_fail(err, SL_E_ACCESS_DENIED, "not this");
}

static void with_users_signatures_are_verified(void **state) {
    (void)state;
    static const struct sl_aws_config config = {.tables = tables, .identify = identify};
    struct sl_aws *strict = NULL;
    struct sl_error err;
    assert_int_equal(sl_aws_new(&strict, &config, &err), 0);
    const char *path = "/2015-03-31/functions/demo/configuration";
    make_request("GET", path, "");
    sl_aws_handle(strict, &request);
    assert_int_equal(sent.status, 403);
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: InvalidSignatureException\n"));
    make_request("GET", path, "");
    headers[0].value = SL_STR(SIGNED("OTHER"));
    sl_aws_handle(strict, &request);
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: UnrecognizedClientException\n"));
    make_request("GET", path, "");
    request.header_count = 0;
    sl_aws_handle(strict, &request);
    assert_non_null(strstr(sent.body, "Missing Authentication Token"));
    make_request("GET", path, "");
    char now[SL_TIME_AMZ];
    sl_time_amz(sl_clock_ms(), now);
    headers[1].value = sl_str_of(now);
    headers[2] = (struct sl_http_header){SL_STR("Host"), SL_STR("localhost:4566")};
    request.header_count = 3;
    struct sl_sigv4 scope = {.access_key = SL_STR("AKID"),
                             .date = sl_str_n(now, 8),
                             .region = SL_STR("eu-west-1"),
                             .service = SL_STR("lambda"),
                             .signed_headers = SL_STR("host;x-amz-date"),
                             .amz_date = sl_str_of(now)};
    struct sl_aws_request view = {
        .method = request.method_text, .path = request.path, .headers = headers, .header_count = 3};
    struct sl_str text = sl_sigv4_string_to_sign(&arena, sl_sigv4_canonical_request(&arena, &view, &scope), &scope);
    struct sl_str signature = sl_sigv4_signature(&arena, text, &scope, SL_STR("secret"));
    headers[0].value = sl_arena_printf(&arena,
                                       "AWS4-HMAC-SHA256 Credential=AKID/%.8s/eu-west-1/lambda/aws4_request, "
                                       "SignedHeaders=host;x-amz-date, Signature=%.*s",
                                       now, SL_FMT(signature));
    sl_aws_handle(strict, &request);
    store_turn(0);
    assert_int_equal(sent.status, 200);
    assert_non_null(strstr(sent.body, "eu-west-1/123456789012"));
    sl_aws_free(strict);
    struct sl_str caller = {0};
    struct sl_aws_config refusing = config;
    refusing.authorize = authorize;
    refusing.caller_user = &caller;
    assert_int_equal(sl_aws_new(&strict, &refusing, &err), 0);
    sl_aws_handle(strict, &request);
    assert_int_equal(sent.status, 403);
    assert_non_null(strstr(sent.headers, "x-amzn-ErrorType: AccessDeniedException\n"));
    assert_true(sl_str_is(caller, "arn:aws:iam::123456789012:root"));
    sl_aws_free(strict);
}

static void tables_that_name_no_operation_are_refused(void **state) {
    (void)state;
    static const struct sl_op_entry wrong[] = {{.service = "lambda", .operation = "Nothing", .run = get_run}, {0}};
    static const struct sl_op_entry twice[] = {{.service = "lambda", .operation = "Invoke", .run = get_run}, {0}};
    const struct sl_op_entry *const unknown[] = {wrong, NULL}, *const doubled[] = {table, twice, NULL};
    struct sl_aws *none = NULL;
    struct sl_error err;
    struct sl_aws_config config = {.tables = unknown};
    assert_int_equal(sl_aws_new(&none, &config, &err), SL_E_INVALID);
    config.tables = doubled;
    assert_int_equal(sl_aws_new(&none, &config, &err), SL_E_INVALID);
    assert_string_equal(err.message, "handler table: lambda.Invoke is given twice");
}

static void the_operations_can_be_listed(void **state) {
    (void)state;
    struct sl_buf out;
    struct sl_json *root = NULL;
    struct sl_error err;
    sl_buf_init(&out, 1 << 20);
    sl_aws_operations_print(tables, &out);
    sl_arena_reset(&arena);
    assert_int_equal(sl_json_parse(&arena, sl_buf_view(&out), &root, &err), 0);
    unsigned total = 0, handled = 0;
    for (struct sl_json *service = sl_json_get(root, "services")->first; service; service = service->next) {
        for (struct sl_json *op = sl_json_get(service, "operations")->first; op; op = op->next, total++) {
            handled += sl_json_string(op, "handler").ptr != NULL;
        }
    }
    assert_int_equal(total, sl_operation_total);
    assert_int_equal(handled, 4);
    sl_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_runs_in_the_store_and_is_answered_after_it),
        cmocka_unit_test(a_key_of_twelve_digits_names_the_account),
        cmocka_unit_test(unsigned_requests_are_taken_by_their_path),
        cmocka_unit_test(prepare_runs_on_a_worker_and_publish_after_the_commit),
        cmocka_unit_test(what_prepare_left_is_discarded_when_a_later_step_fails),
        cmocka_unit_test(invalid_input_reaches_neither_prepare_nor_the_store),
        cmocka_unit_test(the_client_may_go_away_at_any_time),
        cmocka_unit_test(a_full_store_is_answered_503),
        cmocka_unit_test(data_operations_answer_later_by_themselves),
        cmocka_unit_test(an_operation_that_waits_outlives_its_request_and_its_client),
        cmocka_unit_test(errors_of_waiting_operations_speak_the_clients_protocol),
        cmocka_unit_test(missing_handlers_and_unknown_operations_are_told_apart),
        cmocka_unit_test(bodies_over_the_operations_limit_are_refused_at_the_head),
        cmocka_unit_test(with_users_signatures_are_verified),
        cmocka_unit_test(tables_that_name_no_operation_are_refused),
        cmocka_unit_test(the_operations_can_be_listed),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
