// SPDX-License-Identifier: Apache-2.0
//
// hot: S3Bucket "hot-reload" with a folder's absolute path as the key: the function's code is that folder, not a copy
// of it (LocalStack's habit; what then happens is in invoke/hot.c). A name of this kind gives whoever may create a
// function the folder's content, so it is taken only where everybody who reaches the server is its owner: on loopback
// listeners, and not from functions. Elsewhere the bucket is one like any other.
//
// Such a function has no package: "_hot" holds the path, "_code" is empty, CodeSize 0, and CodeSha256 the path's.
#include "lambda/internal.h"

#include <fcntl.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

bool sl_lambda__hot_wanted(struct sl_op *op, const struct sl_json *code) {
    const struct sl_app *app = op->app;
    return app->loopback && !op->guest && sl_str_is(sl_json_string(code, "S3Bucket"), "hot-reload");
}

int sl_lambda__hot_take(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                        struct sl_error *err) {
    struct sl_str path = sl_json_string(code, "S3Key");
    char text[PATH_BYTES];
    if (path.len == 0 || path.len >= sizeof(text) || path.ptr[0] != '/' || memchr(path.ptr, '\0', path.len))
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "S3Bucket hot-reload takes the absolute path of a folder as S3Key, for example /home/me/project.");
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    int folder = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The folder %s cannot be used for hot-reload: it must exist, and the server must be allowed to "
                       "read it.",
                       text);
    close(folder);
    int result = sl_lambda__code_hash(op, path, ret, err);
    ret->sha256[0] = '\0'; // there is no blob
    ret->hot_path = path;
    return result;
}
