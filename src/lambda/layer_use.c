// SPDX-License-Identifier: Apache-2.0
//
// layer_use: a function's layers become one directory, mounted at /opt. It is made once, before the operation's
// transaction, on a worker thread: the layers' directories are laid over each other by hard links (no byte is copied),
// later layers first, so that what is already there wins. The directory is a blob like any code, named by the hash of
// its layers' names, and kept as long as a version of a function uses it; a deleted layer takes nothing away from them.
// One layer alone needs no merging: its own directory is used.
#include "lambda/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 80 }; // sl_unzip lets 64 levels pass

// --- laying directories over each other
// ---------------------------------------------------------------------------------------------------------------------

struct lay {
    int64_t bytes; // of all files seen
    struct sl_error *err;
};

static int lay_dir(struct lay *lay, int from, int to, unsigned depth);

static int lay_subdir(struct lay *lay, int from, int to, const char *name, unsigned depth) {
    int result = 0, inner = -1, made = -1;
    if (to >= 0 && mkdirat(to, name, 0755) != 0 && errno != EEXIST) return sl_fail_errno(lay->err, "merge layers");
    inner = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to >= 0) made = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    // A later layer may have a file or link of that name: it hides the whole directory.
    bool hidden = to >= 0 && made < 0 && (errno == ENOTDIR || errno == ELOOP);
    if (inner < 0 || (to >= 0 && made < 0 && !hidden))
        result = sl_fail_errno(lay->err, "merge layers");
    else
        result = lay_dir(lay, inner, made, depth + 1);
    if (inner >= 0) close(inner);
    if (made >= 0) close(made);
    return result;
}

static int lay_entry(struct lay *lay, int from, int to, const char *name, unsigned depth) {
    struct stat info;
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return sl_fail_errno(lay->err, "merge layers");
    if (S_ISDIR(info.st_mode)) return lay_subdir(lay, from, to, name, depth);
    lay->bytes += info.st_size;
    if (to >= 0 && linkat(from, name, to, name, 0) != 0 && errno != EEXIST)
        return sl_fail_errno(lay->err, "merge layers");
    return 0;
}

// Everything below `from` into `to`, unless it is there; to < 0 only counts.
static int lay_dir(struct lay *lay, int from, int to, unsigned depth) {
    int copy = depth < MAX_DEPTH ? openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (!dir) {
        if (copy >= 0) close(copy);
        return sl_fail_errno(lay->err, "merge layers");
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = lay_entry(lay, dirfd(dir), to, entry->d_name, depth);
    closedir(dir);
    return result;
}

static int lay_blob(struct sl_op *op, struct lay *lay, struct sl_str sha256, int to) {
    int from;
    int result = sl_blob_open_dir(op->store, sha256, &from, lay->err);
    if (result != 0) return result;
    result = lay_dir(lay, from, to, 0);
    close(from);
    return result;
}

// --- what the function asks for
// ---------------------------------------------------------------------------------------------------------------------

struct lookup {
    struct sl_store_job job;
    struct sl_op *op;
    struct sl_json *shown;                     // Layers as the function's configuration shows them
    struct sl_str blobs[SL_LAMBDA_LAYERS_MAX]; // in the request's order
    size_t count;
    struct sl_str code; // of the function that is updated; empty: it is being created
};

static int look_up_layer(struct lookup *lookup, struct sl_store_tx *tx, struct sl_str arn, struct sl_error *err) {
    struct sl_op *op = lookup->op;
    struct sl_lambda__layer layer;
    struct sl_json *document;
    int result = SL_E_NOT_FOUND;
    if (sl_lambda__layer_parse(arn, &layer)) {
        result = sl_lambda__layer_allowed(op, tx, &layer, err);
        if (result != 0) return result;
        const struct sl_key key = sl_lambda__layer_version_key(op, &layer, "lambda.layer_version");
        result = sl_store_get(tx, op->arena, &key, &document, err);
    }
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Layer version %.*s does not exist.", SL_FMT(arn));
    if (result != 0) return result;
    struct sl_json *one = sl_lambda__object1(op, "Arn", arn);
    sl_json_put_int(op->arena, one, "CodeSize", sl_json_int(sl_json_get(document, "Content"), "CodeSize", 0));
    sl_json_push(lookup->shown, one);
    lookup->blobs[lookup->count++] = sl_json_string(document, "_code");
    return 0;
}

static int look_up(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct lookup *lookup = SL_CONTAINER(job, struct lookup, job);
    struct sl_op *op = lookup->op;
    struct sl_lambda__target target;
    struct sl_json *function = NULL;
    int result = sl_lambda__target(op, &target, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__function_key(op, target.name);
    (void)sl_store_get(tx, op->arena, &key, &function, NULL); // whether it must exist is the operation's own question
    lookup->code = sl_json_string(function, "_code");
    for (const struct sl_json *one = sl_json_get(op->in, "Layers")->first; one && result == 0; one = one->next)
        result = look_up_layer(lookup, tx, one->text, err);
    return result;
}

// --- the merged directory
// ---------------------------------------------------------------------------------------------------------------------

static int check_sum(int64_t bytes, struct sl_error *err) {
    if (bytes <= SL_LAMBDA_UNZIPPED_MAX) return 0;
    return sl_fail(
        err, SL_E_INVALID_PARAMETER,
        "Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is "
        "%lld bytes.",
        SL_LAMBDA_UNZIPPED_MAX, (long long)bytes);
}

static int check_size(struct sl_op *op, const struct lookup *lookup, struct sl_str code, struct sl_error *err) {
    struct lay sum = {.err = err};
    int result = code.len > 0 ? lay_blob(op, &sum, code, -1) : 0;
    for (size_t i = 0; i < lookup->count && result == 0; i++) result = lay_blob(op, &sum, lookup->blobs[i], -1);
    return result == 0 ? check_sum(sum.bytes, err) : result;
}

int sl_lambda__layers_fit(struct sl_op *op, struct sl_str layers, const struct sl_lambda__code *code,
                          struct sl_error *err) {
    struct lay sum = {.err = err};
    if (!code->pinned || layers.len == 0) return 0; // a folder has no size
    int result = lay_blob(op, &sum, layers, -1);
    if (result == 0) result = lay_blob(op, &sum, sl_str_of(code->sha256), -1);
    return result == 0 ? check_sum(sum.bytes, err) : result;
}

struct merge {
    struct sl_op *op;
    const struct lookup *lookup;
};

static int fill(void *user, int dir, struct sl_error *err) {
    const struct merge *merge = user;
    struct lay lay = {.err = err};
    int result = 0;
    for (size_t i = merge->lookup->count; i-- > 0 && result == 0;)
        result = lay_blob(merge->op, &lay, merge->lookup->blobs[i], dir);
    return result;
}

static void name_of(struct sl_op *op, const struct lookup *lookup, char ret[static SL_LAMBDA_SHA_HEX + 1]) {
    struct sl_str text = SL_STR("layers");
    for (size_t i = 0; i < lookup->count; i++)
        text = sl_arena_printf(op->arena, "%.*s/%.*s", SL_FMT(text), SL_FMT(lookup->blobs[i]));
    if (lookup->count == 1)
        memcpy(ret, lookup->blobs[0].ptr, SL_LAMBDA_SHA_HEX);
    else
        sl_lambda__sha256_hex(text, ret);
    ret[SL_LAMBDA_SHA_HEX] = '\0';
}

int sl_lambda__layers_take(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *layers = sl_json_get(op->in, "Layers");
    struct sl_lambda__work *work = sl_lambda__work(op);
    if (!layers || layers->count == 0) return 0;
    if (!work) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for layers");
    struct lookup lookup = {
        .job = {.run = look_up, .read_only = true}, .op = op, .shown = sl_json_new_array(op->arena)};
    // This worker waits for the storage thread; nothing there waits for workers.
    int result = sl_store_run(op->store, &lookup.job, err);
    if (result == 0)
        result = check_size(op, &lookup, work->code.pinned ? sl_str_of(work->code.sha256) : lookup.code, err);
    if (result != 0) return result;
    struct merge merge = {.op = op, .lookup = &lookup};
    name_of(op, &lookup, work->layers.sha256);
    work->layer_list = lookup.shown;
    return sl_lambda__code_make(op, fill, &merge, &work->layers, err);
}
