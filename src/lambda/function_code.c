// SPDX-License-Identifier: Apache-2.0
//
// function_code: where a function's code comes from (shared with CreateFunction), and UpdateFunctionCode.
//
// A package is in the request, or an object of this server's S3, which the daemon reads for us (sl_app.fetch_object).
// On a worker thread.
#include "lambda/internal.h"

#include "lambda/code_signing.h"
#include "lambda/function_internal.h"
#include "lambda/image.h"

// What S3 says is wrong, in Lambda's words [AWS].
static int fetch_failed(int kind, const struct sl_error *why, struct sl_error *err) {
    if (kind == SL_E_S3_TOO_LARGE)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Unzipped size must be smaller than 262144000 bytes");
    if (kind <= SL_E_UNAVAILABLE) return sl_fail(err, kind, "%s", why->message);
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", sl_error_name(kind),
                   why->message);
}

static int fetch(struct sl_op *op, const struct sl_json *code, struct sl_str *ret_zip, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct sl_str bucket = sl_json_string(code, "S3Bucket"), key = sl_json_string(code, "S3Key");
    struct sl_str version = sl_json_string(code, "S3ObjectVersion");
    struct sl_error why = {.kind = SL_E_S3_NO_SUCH_BUCKET, .message = "The specified bucket does not exist"};
    int kind = app->fetch_object ? app->fetch_object(app, op->arena, op->account, bucket, key, version,
                                                     SL_LAMBDA_ZIP_MAX, ret_zip, &why)
                                 : why.kind;
    return kind ? fetch_failed(kind, &why, err) : 0;
}

int sl_lambda__code_source(struct sl_op *op, const struct sl_json *code, struct sl_str *ret_zip, struct sl_error *err) {
    struct sl_str zip = sl_json_string(code, "ZipFile"), bucket = sl_json_string(code, "S3Bucket"),
                  key = sl_json_string(code, "S3Key");
    if (zip.ptr && (bucket.ptr || key.ptr))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Please do not provide other FunctionCode parameters when providing a ZipFile.");
    if (bucket.ptr && key.ptr) return fetch(op, code, ret_zip, err);
    if (!zip.ptr) return sl_fail(err, SL_E_INVALID_PARAMETER, "Please provide a source for function code.");
    *ret_zip = zip;
    return 0;
}

int sl_lambda__code_intake(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                           struct sl_error *err) {
    struct sl_str zip;
    if (sl_json_get(code, "ImageUri")) return sl_lambda__image_take(op, code, ret, err);
    if (sl_lambda__hot_wanted(op, code)) return sl_lambda__hot_take(op, code, ret, err);
    int result = sl_lambda__code_source(op, code, &zip, err);
    return result == 0 ? sl_lambda__code_take(op, zip, ret, err) : result;
}

void sl_lambda__code_put(struct sl_op *op, struct sl_json *document, const struct sl_lambda__code *code) {
    sl_lambda__put(op, document, "CodeSha256", code->sha256_base64);
    sl_lambda__put(op, document, "_code", sl_arena_dup(op->arena, sl_str_of(code->sha256)));
    sl_json_remove(document, "_hot");
    if (code->hot_path.len > 0) sl_lambda__put(op, document, "_hot", code->hot_path);
    if (code->image_uri.len > 0) sl_lambda__image_put(op, document, code);
    sl_json_put_int(op->arena, document, "CodeSize", code->size);
}

// What the function is before the update, which `prepare` needs: its kind of package cannot change, and its layers
// count with the new code.
struct current {
    struct sl_store_job job;
    struct sl_op *op;
    bool image;
    struct sl_str layers;
};

static int look(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct current *current = SL_CONTAINER(job, struct current, job);
    struct sl_op *op = current->op;
    struct sl_lambda__target target;
    struct sl_json *function = NULL;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    (void)sl_store_get(tx, op->arena, &key, &function, NULL); // whether it must exist is asked in `run`
    current->image = sl_str_is(sl_json_string(function, "PackageType"), "Image");
    current->layers = sl_json_string(function, "_layers");
    return 0;
}

static int check_kind(struct sl_op *op, const struct current *current, struct sl_error *err) {
    bool given = sl_op_in(op, "ImageUri").ptr != NULL;
    if (given && !current->image)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Please don't provide ImageUri when updating a function with packageType Zip.");
    if (!given && current->image)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Please provide ImageUri when updating a function with packageType Image.");
    return 0;
}

int sl_lambda__update_code_prepare(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_lambda__work *work = sl_lambda__work(op);
    if (!work) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for a deployment package");
    struct current current = {.job = {.run = look, .read_only = true}, .op = op};
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_store_run(op->store, &current.job, err);
    if (result == 0) result = check_kind(op, &current, err);
    if (result == 0 && sl_op_in(op, "SourceKMSKeyArn").len > 0)
        result = sl_fail(err, SL_E_INVALID_PARAMETER, "The KMS key '%.*s' does not exist",
                         SL_FMT(sl_op_in(op, "SourceKMSKeyArn")));
    if (result == 0) result = sl_lambda__publish_to_check(op, err);
    if (result == 0) result = sl_lambda__code_intake(op, op->in, &work->code, err);
    return result == 0 ? sl_lambda__layers_fit(op, current.layers, &work->code, err) : result;
}

// The new code cannot be had: the function says so, and goes on with what it has.
static int keep_code(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json *latest,
                     struct sl_error *err) {
    struct sl_lambda__work *work = op->state;
    const struct sl_key key = sl_lambda__function_key(op, target->name);
    if (sl_json_bool(op->in, "DryRun", false))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "%.*s", SL_FMT(work->code.failure));
    sl_lambda__touch(op, latest);
    op->out = sl_lambda__begin_change(op, latest, SL_LAMBDA_UPDATE);
    sl_lambda__fail_change(op, latest, SL_LAMBDA_UPDATE, SL_STR("InvalidImage"), work->code.failure);
    return sl_store_put(op->tx, &key, latest, err);
}

int sl_lambda__update_code(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__work *work = op->state;
    struct sl_lambda__target target;
    struct sl_json *latest, *version;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0) result = sl_lambda__check_settled(op, latest, err);
    if (result == 0) result = sl_lambda__check_revision(op, latest, err);
    if (result == 0) result = sl_lambda__signing_check(op, latest, err);
    if (result != 0) return result;
    const struct sl_json *architectures = sl_json_get(op->in, "Architectures");
    if (work->code.failure.len > 0) return keep_code(op, &target, latest, err);
    int64_t more = work->code.size - sl_json_int(latest, "CodeSize", 0);
    sl_lambda__code_put(op, latest, &work->code);
    if (architectures && architectures->count > 0)
        sl_json_set(latest, SL_STR("Architectures"), sl_json_copy(op->arena, architectures));
    if (sl_json_bool(op->in, "DryRun", false)) {
        op->out = latest;
        return 0;
    }
    sl_lambda__touch(op, latest);
    op->out = sl_lambda__begin_change(op, latest, SL_LAMBDA_UPDATE);
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    result = sl_lambda__check_room(op, more, err);
    if (result == 0) result = sl_lambda__totals_add(op, &(struct sl_lambda__totals){.code_size = more}, err);
    if (result == 0) result = sl_store_put(op->tx, &key, latest, err);
    if (result == 0 && sl_json_bool(op->in, "Publish", false)) {
        result = sl_lambda__version_publish(op, latest, (struct sl_str){NULL, 0}, &version, err);
        // The version is what is being created [AWS].
        if (result == 0) result = sl_lambda__version_pend(op, version, &op->out, err);
    }
    return result == 0 ? sl_lambda__stage(op, latest, err) : result;
}
