// SPDX-License-Identifier: Apache-2.0
//
// manifest: sluice.json, the small declaration beside a function's code. The keys are a table; an unknown key or a
// wrong type is an error, because a misspelt "timout" that is ignored costs an evening.
#include "cli/deploy.h"

#include <errno.h>
#include <stdlib.h>

enum key_type { TEXT, NUMBER, STRINGS, MAP };

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    bool required;
};

static const struct key keys[] = {
    {"name", TEXT, offsetof(struct sl_cli_manifest, name), true},
    {"runtime", TEXT, offsetof(struct sl_cli_manifest, runtime), true},
    {"handler", TEXT, offsetof(struct sl_cli_manifest, handler), true},
    {"description", TEXT, offsetof(struct sl_cli_manifest, description), false},
    {"role", TEXT, offsetof(struct sl_cli_manifest, role), false},
    {"build", TEXT, offsetof(struct sl_cli_manifest, build), false},
    {"code", TEXT, offsetof(struct sl_cli_manifest, code), false},
    {"memory", NUMBER, offsetof(struct sl_cli_manifest, memory), false},
    {"timeout", NUMBER, offsetof(struct sl_cli_manifest, timeout), false},
    {"environment", MAP, offsetof(struct sl_cli_manifest, environment), false},
    {"exclude", STRINGS, offsetof(struct sl_cli_manifest, exclude), false},
    {"needs", STRINGS, offsetof(struct sl_cli_manifest, needs), false},
    {"routes", STRINGS, offsetof(struct sl_cli_manifest, routes), false},
    {"hints", STRINGS, offsetof(struct sl_cli_manifest, hints), false},
};
enum { KEYS = sizeof keys / sizeof *keys };

static const struct key *find_key(struct sl_str name) {
    for (unsigned i = 0; i < KEYS; i++) {
        if (sl_str_is(name, keys[i].name)) return &keys[i];
    }
    return NULL;
}

static int unknown_key(struct sl_cli *cli, struct sl_str name, struct sl_error *err) {
    const char *names[KEYS];
    for (unsigned i = 0; i < KEYS; i++) names[i] = keys[i].name;
    const char *word = sl_arena_cstr(cli->arena, name);
    const char *nearest = word ? sl_options_nearest(word, names, KEYS) : NULL;
    if (nearest) return sl_fail(err, SL_E_INVALID, "unknown key \"%.*s\"; did you mean \"%s\"?", SL_FMT(name), nearest);
    return sl_fail(err, SL_E_INVALID, "unknown key \"%.*s\"; docs/cli.md lists the keys", SL_FMT(name));
}

static bool all_strings(const struct sl_json *node) {
    for (const struct sl_json *child = node->first; child; child = child->next) {
        if (child->type != SL_JSON_STRING) return false;
    }
    return true;
}

static int read_key(const struct key *key, struct sl_json *node, struct sl_cli_manifest *manifest,
                    struct sl_error *err) {
    void *at = (char *)manifest + key->offset;
    switch (key->type) {
    case TEXT:
        if (node->type != SL_JSON_STRING || !node->text.len)
            return sl_fail(err, SL_E_INVALID, "\"%s\" must be a text", key->name);
        *(struct sl_str *)at = node->text;
        return 0;
    case NUMBER:
        if (!sl_json_to_i64(node, at) || *(int64_t *)at < 1)
            return sl_fail(err, SL_E_INVALID, "\"%s\" must be a whole number above 0", key->name);
        return 0;
    case STRINGS:
        if (node->type != SL_JSON_ARRAY || !all_strings(node))
            return sl_fail(err, SL_E_INVALID, "\"%s\" must be a list of texts", key->name);
        break;
    case MAP:
        if (node->type != SL_JSON_OBJECT || !all_strings(node)) {
            return sl_fail(err, SL_E_INVALID, "\"%s\" must be an object whose values are texts", key->name);
        }
        break;
    }
    *(struct sl_json **)at = node;
    return 0;
}

// One ${...}: `inside` is what stands between the braces.
static int substitute(struct sl_cli *cli, struct sl_str inside, struct sl_buf *out, struct sl_error *err) {
    ptrdiff_t dash = sl_str_find(inside, SL_STR(":-"));
    struct sl_str name = dash < 0 ? inside : sl_str_sub(inside, 0, (size_t)dash);
    const char *variable = sl_arena_cstr(cli->arena, name);
    const char *value = variable ? getenv(variable) : NULL;
    if (value && (*value || dash < 0)) {
        sl_buf_cstr(out, value);
    } else if (dash >= 0) {
        sl_buf_str(out, sl_str_sub(inside, (size_t)dash + 2, inside.len));
    } else {
        return sl_fail(err, SL_E_INVALID,
                       "it wants the environment variable %.*s, which is not set; `export %.*s=...` and deploy again",
                       SL_FMT(name), SL_FMT(name));
    }
    return 0;
}

// Replaces ${VAR} and ${VAR:-default} in a value of "environment", so that secrets stay out of the file.
static int expand(struct sl_cli *cli, struct sl_str *text, struct sl_error *err) {
    if (sl_str_find(*text, SL_STR("${")) < 0) return 0;
    struct sl_buf out;
    sl_buf_init(&out, 65536);
    struct sl_str rest = *text;
    int failed = 0;
    for (ptrdiff_t at; !failed && (at = sl_str_find(rest, SL_STR("${"))) >= 0;) {
        sl_buf_str(&out, sl_str_sub(rest, 0, (size_t)at));
        rest = sl_str_sub(rest, (size_t)at + 2, rest.len);
        ptrdiff_t close = sl_str_chr(rest, '}', 0);
        if (close < 0) {
            failed = sl_fail(err, SL_E_INVALID, "\"${\" without \"}\"");
        } else {
            failed = substitute(cli, sl_str_sub(rest, 0, (size_t)close), &out, err);
            rest = sl_str_sub(rest, (size_t)close + 1, rest.len);
        }
    }
    sl_buf_str(&out, rest);
    if (!failed && out.failed) failed = sl_fail(err, SL_E_LIMIT, "the value is too long");
    if (!failed) *text = out.len ? sl_arena_dup(cli->arena, sl_buf_view(&out)) : SL_STR("");
    sl_buf_free(&out);
    return failed;
}

static int fill(struct sl_cli *cli, struct sl_str text, struct sl_cli_manifest *ret, struct sl_error *err) {
    struct sl_json *root;
    int failed = sl_json_parse(cli->arena, text, &root, err);
    if (failed) return failed;
    if (root->type != SL_JSON_OBJECT)
        return sl_fail(err, SL_E_INVALID, "must be an object: {\"name\": ..., \"runtime\": ..., \"handler\": ...}");
    for (struct sl_json *node = root->first; node; node = node->next) {
        const struct key *key = find_key(node->key);
        failed = key ? read_key(key, node, ret, err) : unknown_key(cli, node->key, err);
        if (failed) return failed;
    }
    for (unsigned i = 0; i < KEYS; i++) {
        if (keys[i].required && !sl_json_get(root, keys[i].name))
            return sl_fail(err, SL_E_INVALID, "\"%s\" is missing", keys[i].name);
    }
    for (struct sl_json *value = ret->environment ? ret->environment->first : NULL; value; value = value->next) {
        failed = expand(cli, &value->text, err);
        if (failed) return sl_wrap(err, "environment %.*s", SL_FMT(value->key));
    }
    return 0;
}

int sl_cli__manifest_read(struct sl_cli *cli, const char *dir, struct sl_cli_manifest *ret, struct sl_error *err) {
    *ret = (struct sl_cli_manifest){.dir = dir, .code = SL_STR(".")};
    char *path = sl_arena_cstr(cli->arena, sl_arena_printf(cli->arena, "%s/sluice.json", dir));
    if (!path) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    struct sl_str text;
    int failed = sl_cli__read(cli, path, SL_CLI_MANIFEST_MAX, &text, err);
    if (failed) return failed;
    failed = fill(cli, text, ret, err);
    return failed ? sl_wrap(err, "%s", path) : 0;
}
