// SPDX-License-Identifier: Apache-2.0
//
// deploy: `sluice deploy DIR...`: builds, packs and uploads what a folder's sluice.json declares, waits until it is
// ready, gives it an HTTP API if it names routes, and says where it answers. Deploying again updates; what has not
// changed is not uploaded.
#include "cli/deploy.h"

#include "base/clock.h"
#include "base/encoding.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 50, READY_MS = 60000, FOLDERS_MAX = 64 };

struct values {
    struct sl_cli_target target;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

struct work {
    struct sl_cli *cli;
    const struct sl_cli_target *target;
    const struct sl_cli_manifest *manifest;
    struct sl_str zip, sha256; // base64, as CodeSha256 has it
    struct sl_str arn;
    const char *what; // "created", "updated", "unchanged"
};

static struct sl_str base64(struct sl_cli *cli, struct sl_str bytes) {
    struct sl_buf buf;
    sl_buf_init(&buf, sl_base64_encoded_len(bytes.len) + 1);
    sl_base64_encode(&buf, bytes);
    struct sl_str copy = buf.failed ? (struct sl_str){0} : sl_arena_dup(cli->arena, sl_buf_view(&buf));
    sl_buf_free(&buf);
    return copy;
}

static int pack(struct work *work, struct sl_error *err) {
    int failed = sl_cli__package_build(work->cli, work->manifest, err);
    if (!failed) failed = sl_cli__package_zip(work->cli, work->manifest, &work->zip, err);
    if (failed) return failed;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(work->zip.ptr, work->zip.len, digest, &length, EVP_sha256(), NULL) != 1) {
        return sl_fail(err, SL_E_INTERNAL, "SHA-256 is not available");
    }
    work->sha256 = base64(work->cli, sl_str_n((const char *)digest, length));
    return work->sha256.ptr ? 0 : sl_fail(err, SL_E_NO_MEMORY, "out of memory");
}

static int call(struct work *work, const char *method, struct sl_str path, const struct sl_json *body,
                struct sl_cli_answer *ret, struct sl_error *err) {
    return sl_cli__json(work->cli, work->target, "lambda", method, path, body, ret, err);
}

static struct sl_str function_path(struct work *work, const char *rest) {
    return sl_cli__function_path(work->cli, work->manifest->name, rest);
}

// What CreateFunction and UpdateFunctionConfiguration share.
static struct sl_json *configuration(struct work *work) {
    struct sl_arena *arena = work->cli->arena;
    const struct sl_cli_manifest *manifest = work->manifest;
    struct sl_json *body = sl_json_new_object(arena);
    sl_json_put_string(arena, body, "Runtime", manifest->runtime);
    sl_json_put_string(arena, body, "Handler", manifest->handler);
    sl_json_put_string(arena, body, "Role",
                       manifest->role.len ? manifest->role : SL_STR("arn:aws:iam::000000000000:role/sluice"));
    sl_json_put_string(arena, body, "Description", manifest->description.ptr ? manifest->description : SL_STR(""));
    sl_json_put_int(arena, body, "MemorySize", manifest->memory ? manifest->memory : 128);
    sl_json_put_int(arena, body, "Timeout", manifest->timeout ? manifest->timeout : 3);
    struct sl_json *environment = sl_json_set(body, SL_STR("Environment"), sl_json_new_object(arena));
    sl_json_set(environment, SL_STR("Variables"),
                manifest->environment ? sl_json_copy(arena, manifest->environment) : sl_json_new_object(arena));
    return body;
}

static void pause_ms(long ms) {
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

// Until the last create or update has come through.
static int wait_ready(struct work *work, struct sl_error *err) {
    int64_t end = sl_clock_mono_ns() + (int64_t)READY_MS * 1000000;
    for (;;) {
        struct sl_cli_answer answer;
        int failed = call(work, "GET", function_path(work, "/configuration"), NULL, &answer, err);
        if (failed) return failed;
        struct sl_str state = sl_json_string(answer.json, "State");
        struct sl_str update = sl_json_string(answer.json, "LastUpdateStatus");
        if (sl_str_is(state, "Failed"))
            return sl_fail(err, SL_E_IO, "the function failed: %.*s",
                           SL_FMT(sl_json_string(answer.json, "StateReason")));
        if (sl_str_is(update, "Failed")) {
            return sl_fail(err, SL_E_IO, "the update failed: %.*s",
                           SL_FMT(sl_json_string(answer.json, "LastUpdateStatusReason")));
        }
        if (sl_str_is(state, "Active") && !sl_str_is(update, "InProgress")) return 0;
        if (sl_clock_mono_ns() > end)
            return sl_fail(err, SL_E_IO, "the function is still %.*s after a minute", SL_FMT(state));
        pause_ms(POLL_MS);
    }
}

static int create(struct work *work, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    struct sl_json *body = configuration(work);
    sl_json_put_string(arena, body, "FunctionName", work->manifest->name);
    struct sl_json *code = sl_json_set(body, SL_STR("Code"), sl_json_new_object(arena));
    sl_json_put_string(arena, code, "ZipFile", base64(work->cli, work->zip));
    struct sl_cli_answer answer;
    int failed = call(work, "POST", SL_STR("/2015-03-31/functions"), body, &answer, err);
    work->arn = sl_json_string(answer.json, "FunctionArn");
    work->what = "created";
    return failed;
}

// True when `there` has every member of `wanted` with the same text.
static bool same_texts(const struct sl_json *wanted, const struct sl_json *there) {
    for (const struct sl_json *member = wanted ? wanted->first : NULL; member; member = member->next) {
        const struct sl_json *other = sl_json_get_str(there, member->key);
        if (member->type == SL_JSON_OBJECT) continue;
        if (!other || other->type != member->type || !sl_str_eq(other->text, member->text)) return false;
    }
    return true;
}

// True when the function there is set up as the manifest says. Without variables the answer has no Environment.
static bool same_configuration(const struct sl_json *wanted, const struct sl_json *there) {
    const struct sl_json *mine = sl_json_get(sl_json_get(wanted, "Environment"), "Variables");
    const struct sl_json *theirs = sl_json_get(sl_json_get(there, "Environment"), "Variables");
    return (mine ? mine->count : 0) == (theirs ? theirs->count : 0) && same_texts(mine, theirs) &&
           same_texts(wanted, there);
}

static int update(struct work *work, const struct sl_json *there, struct sl_error *err) {
    struct sl_arena *arena = work->cli->arena;
    struct sl_cli_answer answer;
    work->arn = sl_json_string(there, "FunctionArn");
    work->what = "unchanged";
    int failed = 0;
    struct sl_json *settings = configuration(work);
    if (!same_configuration(settings, there)) {
        work->what = "updated";
        failed = call(work, "PUT", function_path(work, "/configuration"), settings, &answer, err);
        if (!failed) failed = wait_ready(work, err);
    }
    if (!failed && !sl_str_eq(sl_json_string(there, "CodeSha256"), work->sha256)) {
        work->what = "updated";
        struct sl_json *body = sl_json_new_object(arena);
        sl_json_put_string(arena, body, "ZipFile", base64(work->cli, work->zip));
        failed = call(work, "PUT", function_path(work, "/code"), body, &answer, err);
    }
    return failed;
}

static int deploy_function(struct work *work, struct sl_error *err) {
    struct sl_cli_request request = {
        .target = work->target, .service = "lambda", .method = "GET", .path = function_path(work, "/configuration")};
    struct sl_cli_answer answer;
    int failed = sl_cli__send(work->cli, &request, &answer, err);
    if (failed) return failed;
    if (answer.status == 404) {
        failed = create(work, err);
    } else if (answer.status >= 400 || !answer.json) {
        failed = sl_cli__answer_error(&answer, err);
    } else {
        failed = update(work, answer.json, err);
    }
    return failed ? failed : wait_ready(work, err);
}

// Value of a placeholder of the hints: {url} and {path} (the path form of it, for use behind a proxy) of the API, or a
// variable of the function's environment; "<NAME>" for an empty one, a view without ptr for what is no placeholder.
static struct sl_str hint_value(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_str name,
                                const struct sl_cli_api *api) {
    if (sl_str_is(name, "url")) return api->url;
    if (sl_str_is(name, "path")) return sl_arena_printf(cli->arena, "/_aws/execute-api/%.*s/$default", SL_FMT(api->id));
    struct sl_json *variable = sl_json_get_str(manifest->environment, name);
    if (!variable) return (struct sl_str){0};
    return variable->text.len ? variable->text : sl_arena_printf(cli->arena, "<%.*s>", SL_FMT(name));
}

static void print_hint(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_str hint,
                       const struct sl_cli_api *api) {
    printf("    ");
    for (ptrdiff_t open; (open = sl_str_chr(hint, '{', 0)) >= 0;) {
        ptrdiff_t close = sl_str_chr(hint, '}', (size_t)open);
        struct sl_str name = close < 0 ? (struct sl_str){0} : sl_str_sub(hint, (size_t)open + 1, (size_t)close);
        struct sl_str value = hint_value(cli, manifest, name, api);
        sl_cli__print(stdout, SL_CLI_PLAIN,
                      sl_str_sub(hint, 0, (size_t)open + !value.ptr)); // the brace itself when it means nothing
        sl_cli__print(stdout, SL_CLI_PLAIN, value);
        hint = sl_str_sub(hint, value.ptr ? (size_t)close + 1 : (size_t)open + 1, hint.len);
    }
    sl_cli__print(stdout, SL_CLI_PLAIN, hint);
    putchar('\n');
}

static int deploy(struct sl_cli *cli, const struct sl_cli_target *target, const char *dir, struct sl_error *err) {
    struct sl_cli_manifest manifest;
    int failed = sl_cli__manifest_read(cli, dir, &manifest, err);
    if (failed) return failed;
    struct work work = {.cli = cli, .target = target, .manifest = &manifest};
    struct sl_cli_api api = {0};
    failed = pack(&work, err);
    if (!failed) failed = deploy_function(&work, err);
    if (!failed && manifest.routes && manifest.routes->count)
        failed = sl_cli__deploy_api(cli, target, &manifest, work.arn, &api, err);
    if (failed) return sl_wrap(err, "%s", dir);

    sl_cli__column(stdout, SL_CLI_BOLD, manifest.name, 24);
    printf(" %-10s %.*s\n", work.what, SL_FMT(manifest.runtime));
    if (api.url.len) {
        printf("    ");
        sl_cli__print(stdout, SL_CLI_GREEN, api.url);
        putchar('\n');
    }
    for (struct sl_json *hint = manifest.hints ? manifest.hints->first : NULL; hint; hint = hint->next) {
        print_hint(cli, &manifest, hint->text, &api);
    }
    fflush(stdout);
    return 0;
}

static bool has_manifest(struct sl_cli *cli, const char *dir) {
    char *path = sl_arena_cstr(cli->arena, sl_arena_printf(cli->arena, "%s/sluice.json", dir));
    return path && access(path, F_OK) == 0;
}

static bool in_path(struct sl_str program) {
    char path[4096];
    struct sl_str rest = sl_str_of(getenv("PATH"));
    while (rest.len) {
        ptrdiff_t colon = sl_str_chr(rest, ':', 0);
        struct sl_str folder = colon < 0 ? rest : sl_str_sub(rest, 0, (size_t)colon);
        rest = sl_str_sub(rest, colon < 0 ? rest.len : (size_t)colon + 1, rest.len);
        int len = snprintf(path, sizeof path, "%.*s/%.*s", SL_FMT(folder), SL_FMT(program));
        if (len > 0 && (size_t)len < sizeof path && access(path, X_OK) == 0) return true;
    }
    return false;
}

// Deploys one of several, or says that it is left out because a program that its manifest needs is not on this machine.
static int deploy_one(struct sl_cli *cli, const struct sl_cli_target *target, const char *dir, struct sl_error *err) {
    struct sl_cli_manifest manifest;
    int failed = sl_cli__manifest_read(cli, dir, &manifest, err);
    for (struct sl_json *need = !failed && manifest.needs ? manifest.needs->first : NULL; need; need = need->next) {
        if (in_path(need->text)) continue;
        sl_cli__column(stdout, SL_CLI_BOLD, manifest.name, 24);
        printf(" %-10s %.*s is not installed\n", "left out", SL_FMT(need->text));
        return 0;
    }
    return failed ? failed : deploy(cli, target, dir, err);
}

// A folder without a sluice.json stands for those of its folders that have one.
static int deploy_below(struct sl_cli *cli, const struct sl_cli_target *target, const char *dir, struct sl_error *err) {
    struct dirent **names;
    int count = scandir(dir, &names, NULL, alphasort);
    if (count < 0) return sl_fail_errno(err, "cannot read %s", dir);
    int failed = 0;
    unsigned deployed = 0;
    for (int i = 0; i < count; i++) {
        char *below = sl_arena_cstr(cli->arena, sl_arena_printf(cli->arena, "%s/%s", dir, names[i]->d_name));
        if (!failed && names[i]->d_name[0] != '.' && below && has_manifest(cli, below)) {
            failed = deployed++ < FOLDERS_MAX
                         ? deploy_one(cli, target, below, err)
                         : sl_fail(err, SL_E_LIMIT, "more than %d functions below %s", FOLDERS_MAX, dir);
        }
        free(names[i]);
    }
    free(names);
    if (!failed && !deployed)
        return sl_fail(err, SL_E_USAGE,
                       "deploy: neither %s nor a folder in it has a sluice.json; docs/cli.md shows one", dir);
    return failed;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    int failed = 0;
    for (unsigned i = 0; !failed && (i < arguments->count || i == 0); i++) {
        const char *dir = arguments->count ? arguments->item[i] : ".";
        bool several = arguments->count > 1;
        failed = !has_manifest(cli, dir) ? deploy_below(cli, &values->target, dir, err)
                 : several               ? deploy_one(cli, &values->target, dir, err)
                                         : deploy(cli, &values->target, dir, err);
    }
    return failed;
}

static const struct sl_option options[] = {SL_CLI_TARGET_OPTIONS(struct values), {0}};

const struct sl_cli_verb sl_cli__deploy = {
    .command = {.name = "deploy",
                .summary = "create or update what a folder's sluice.json declares, and print its URL",
                .arguments = "[DIR...]",
                .max_arguments = 1000,
                .options = options,
                .text = "Builds, packs and uploads the function, waits until it is ready and, if sluice.json names "
                        "routes, gives it an\n"
                        "HTTP API. Deploying again updates what has changed and keeps the URL. A folder without a "
                        "sluice.json stands\n"
                        "for those of its folders that have one. DIR defaults to the current folder.\n\n"
                        "  {\"name\": \"hello\", \"runtime\": \"python3.11\", \"handler\": \"index.handler\", "
                        "\"routes\": [\"GET /hello\"]}\n",
                .examples =
                    "sluice deploy examples/hello\nTELEGRAM_TOKEN=... sluice deploy examples/telegram-echo/python\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
