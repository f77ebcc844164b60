// SPDX-License-Identifier: Apache-2.0
//
// image: functions whose package is a container image. There is no ECR here; ImageUri names an OCI image on this
// machine,
//
//   file:///home/me/image.tar          an archive of an image layout
//   file:///home/me/layout#latest      a layout's folder, and the tag where it holds several images
//
// which is unpacked when the function is made (store/oci.h) and is the root of its sandboxes. Like hot-reload it opens
// files of this machine, so it is taken on loopback listeners only, and not from functions; elsewhere, and for every
// other URI, the answer is AWS's for an image that does not exist.
//
// The image itself is looked up at once; layers that cannot be unpacked fail the function (state.c, InvalidImage).
//
// The document: PackageType Image, CodeSha256 the manifest's digest in hexadecimal [AWS], CodeSize 0,
// ImageConfigResponse if the request has an ImageConfig; "_image": {"uri", "config": the image's own}; no Runtime and
// no Handler.
#include "lambda/image.h"

#include "store/oci.h"

enum { PATH_BYTES = 4096 };

static int no_image(struct sl_str uri, const char *why, struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Source image %.*s does not exist. Provide a valid source image.%s%s",
                   SL_FMT(uri), why[0] ? " " : "", why);
}

static int fill(void *user, int dir, struct sl_error *err) {
    const struct sl_oci_limits limits = SL_OCI_LAMBDA;
    return sl_oci_unpack(user, dir, &limits, err);
}

int sl_lambda__image_take(struct sl_op *op, const struct sl_json *code, struct sl_lambda__code *ret,
                          struct sl_error *err) {
    const struct sl_app *app = op->app;
    const struct sl_str scheme = SL_STR("file://");
    struct sl_str uri = sl_json_string(code, "ImageUri"), tag = SL_STR("");
    struct sl_oci *oci;
    struct sl_error why = {0};
    char path[PATH_BYTES];
    if (!app->loopback || op->guest || !sl_str_starts(uri, scheme)) return no_image(uri, "", err);
    struct sl_str file = sl_str_sub(uri, scheme.len, uri.len);
    ptrdiff_t hash = sl_str_chr(file, '#', 0);
    if (hash >= 0) {
        tag = sl_str_sub(file, (size_t)hash + 1, file.len);
        file = sl_str_sub(file, 0, (size_t)hash);
    }
    if (file.len == 0 || file.len >= sizeof(path) || file.ptr[0] != '/' || memchr(file.ptr, '\0', file.len))
        return no_image(uri, "After file:// comes an absolute path.", err);
    memcpy(path, file.ptr, file.len);
    path[file.len] = '\0';
    int result = sl_oci_open(op->arena, path, tag, &oci, &why);
    if (result == SL_E_INVALID_PARAMETER) return no_image(uri, why.message, err);
    if (result != 0) return sl_fail(err, result, "%s", why.message);
    *ret = (struct sl_lambda__code){.image_uri = uri, .image_config = sl_oci_config(oci)};
    struct sl_str digest = sl_oci_digest(oci);
    memcpy(ret->sha256, digest.ptr, SL_LAMBDA_SHA_HEX);
    ret->sha256_base64 = digest;
    result = sl_lambda__code_make(op, fill, oci, ret, &why);
    if (result != SL_E_INVALID_PARAMETER) return result == 0 ? 0 : sl_fail(err, result, "%s", why.message);
    ret->failure = sl_arena_dup(op->arena, sl_str_of(why.message));
    return 0;
}

void sl_lambda__image_put(struct sl_op *op, struct sl_json *document, const struct sl_lambda__code *code) {
    struct sl_json *image = sl_lambda__object1(op, "uri", code->image_uri);
    if (code->image_config) sl_json_set(image, SL_STR("config"), sl_json_copy(op->arena, code->image_config));
    sl_json_set(document, SL_STR("_image"), image);
    sl_lambda__put(op, document, "PackageType", SL_STR("Image"));
}

// The request's ImageConfig replaces what was set before; an empty one takes it away [AWS, test_lambda_image_and_
// image_config_crud].
int sl_lambda__image_configure(struct sl_op *op, struct sl_json *document, struct sl_error *err) {
    const struct sl_json *config = sl_json_get(op->in, "ImageConfig");
    bool image = sl_str_is(sl_json_string(document, "PackageType"), "Image");
    if (image && (sl_op_in(op, "Runtime").len > 0 || sl_op_in(op, "Handler").len > 0 || sl_json_get(op->in, "Layers")))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Please don't provide Handler or Runtime or Layer when the intended function PackageType is "
                       "Image.");
    if (!config) return 0;
    if (!image)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "ImageConfig is not supported for functions created with deployment packages.");
    sl_json_remove(document, "ImageConfigResponse");
    if (config->count == 0) return 0;
    struct sl_json *response = sl_json_new_object(op->arena);
    sl_json_set(response, SL_STR("ImageConfig"), sl_json_copy(op->arena, config));
    sl_json_set(document, SL_STR("ImageConfigResponse"), response);
    return 0;
}

void sl_lambda__image_show(struct sl_op *op, const struct sl_json *document, struct sl_json *code) {
    struct sl_str uri = sl_json_string(sl_json_get(document, "_image"), "uri");
    ptrdiff_t hash = sl_str_chr(uri, '#', 0);
    struct sl_str place = hash >= 0 ? sl_str_sub(uri, 0, (size_t)hash) : uri;
    sl_lambda__put(op, code, "RepositoryType", SL_STR("ECR"));
    sl_lambda__put(op, code, "ImageUri", uri);
    sl_lambda__put(
        op, code, "ResolvedImageUri",
        sl_arena_printf(op->arena, "%.*s@sha256:%.*s", SL_FMT(place), SL_FMT(sl_json_string(document, "CodeSha256"))));
}

// --- for the data plane
// -----------------------------------------------------------------------------------------------

static const struct sl_json *either(const struct sl_json *over, const char *name, const struct sl_json *image,
                                    const char *image_name) {
    const struct sl_json *value = sl_json_get(over, name);
    return value && value->count > 0 ? value : sl_json_get(image, image_name);
}

static unsigned count_of(const struct sl_json *list) { return list && list->type == SL_JSON_ARRAY ? list->count : 0; }

static void append(struct sl_str *to, unsigned *count, const struct sl_json *list) {
    for (const struct sl_json *one = count_of(list) > 0 ? list->first : NULL; one; one = one->next)
        to[(*count)++] = one->text;
}

// The image's variables come first: those of the function replace them (launch.c takes the last).
static bool is_set(const struct sl_function *function, struct sl_str variable) {
    ptrdiff_t equals = sl_str_chr(variable, '=', 0);
    struct sl_str name = equals < 0 ? variable : sl_str_sub(variable, 0, (size_t)equals + 1);
    for (unsigned i = 0; i < function->environment_count; i++)
        if (sl_str_starts(function->environment[i], name)) return true;
    return false;
}

int sl_lambda__image_build(struct sl_arena *arena, const struct sl_json *document, struct sl_function *function,
                           struct sl_error *err) {
    const struct sl_json *image = sl_json_get(sl_json_get(document, "_image"), "config");
    const struct sl_json *over = sl_json_get(sl_json_get(document, "ImageConfigResponse"), "ImageConfig");
    const struct sl_json *program = either(over, "EntryPoint", image, "Entrypoint");
    const struct sl_json *arguments = either(over, "Command", image, "Cmd"), *variables = sl_json_get(image, "Env");
    struct sl_str directory = sl_json_string(over, "WorkingDirectory");
    if (directory.len == 0) directory = sl_json_string(image, "WorkingDir");
    unsigned words = count_of(program) + count_of(arguments);
    unsigned most = function->environment_count + count_of(variables);
    struct sl_str *command = sl_arena_alloc(arena, sizeof(*command) * (words + 1));
    struct sl_str *environment = sl_arena_alloc(arena, sizeof(*environment) * (most + 1));
    if (!command || !environment) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image's command");
    unsigned count = 0;
    for (const struct sl_json *one = count_of(variables) > 0 ? variables->first : NULL; one; one = one->next)
        if (one->type == SL_JSON_STRING && !is_set(function, one->text)) environment[count++] = one->text;
    for (unsigned i = 0; i < function->environment_count; i++) environment[count++] = function->environment[i];
    function->environment = environment;
    function->environment_count = count;
    function->image = true;
    function->command = command;
    append(command, &function->command_count, program);
    append(command, &function->command_count, arguments);
    function->directory = directory.len > 0 ? directory : SL_STR("/");
    return 0;
}
