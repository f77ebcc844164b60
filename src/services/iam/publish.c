// SPDX-License-Identifier: Apache-2.0
//
// publish: what the rest of the server knows of users, roles, groups, keys and policies (aws/identity.h): noted while
// an operation runs, put into the directory after its commit, and all of it at start.
//
// Storage thread; sl_iam_load on the main thread before requests.
#include "services/iam/iam.h"
#include "services/iam/internal.h"

#include "base/log.h"

#include <stdio.h>

enum { CHILDREN_MAX = 1000, DOCUMENT_MAX = 1 << 20 };

struct note {
    struct sl_str key, text;
    struct note *next;
};

void sl_iam__note(struct sl_op *op, struct sl_str key, struct sl_str text) {
    struct note *note = sl_arena_zalloc(op->arena, sizeof *note), *last = op->state;
    if (!note) return; // the arena is full, and the operation fails for it
    *note = (struct note){.key = key, .text = text};
    while (last && last->next) last = last->next;
    if (last)
        last->next = note;
    else
        op->state = note;
}

void sl_iam__publish(struct sl_op *op) {
    const struct sl_app *app = op->app;
    struct sl_error err;
    for (const struct note *note = op->state; note; note = note->next) {
        if (!note->text.ptr)
            sl_directory_remove(app->callers->directory, note->key);
        else if (sl_directory_put(app->callers->directory, note->key, note->text, &err)) {
            // Better nobody than somebody with the rights of before.
            sl_directory_remove(app->callers->directory, note->key);
            sl_log_error("iam", "%.*s is not known until the next start: %s", SL_FMT(note->key), err.message);
        }
    }
}

static struct sl_str key_of(struct sl_op *op, const struct sl_iam__holder *holder) {
    return sl_arena_printf(op->arena, "%s/%.*s/%.*s", sl_iam__word(holder->kind), SL_FMT(op->account),
                           SL_FMT(holder->name));
}

void sl_iam__note_gone(struct sl_op *op, const struct sl_iam__holder *holder) {
    sl_iam__note(op, key_of(op, holder), (struct sl_str){0});
}

void sl_iam__note_key(struct sl_op *op, struct sl_str user, const struct sl_json *key) {
    struct sl_json *entry = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, entry, "Account", op->account);
    if (user.len) sl_json_put_string(op->arena, entry, "User", user);
    sl_json_put_string(op->arena, entry, "Secret", sl_json_string(key, "SecretAccessKey"));
    sl_json_put_string(op->arena, entry, "Status", sl_json_string(key, "Status"));
    sl_iam__note(op, sl_arena_printf(op->arena, "key/%.*s", SL_FMT(sl_json_string(key, "AccessKeyId"))),
                 sl_json_text(op->arena, entry, DOCUMENT_MAX));
}

// --- a holder
// --------------------------------------------------------------------------------------------------------------------------

// Parsed, so that it is parsed once; what was stored was checked.
static void push_document(struct sl_op *op, struct sl_json *list, struct sl_str text) {
    struct sl_json *policy;
    if (sl_json_parse(op->arena, text, &policy, NULL) == 0) sl_json_push(list, policy);
}

// Children of `key`: their ids, or the policies that they hold.
static int gather(struct sl_op *op, const struct sl_key *key, const char *member, bool documents, struct sl_json *entry,
                  struct sl_error *err) {
    struct sl_json *page, *list = sl_json_new_array(op->arena);
    bool more;
    int result = sl_store_list(op->tx, op->arena, key, SL_STR(""), CHILDREN_MAX, &page, &more, err);
    for (const struct sl_json *item = result ? NULL : page->first; item; item = item->next) {
        if (documents)
            push_document(op, list, sl_json_string(sl_json_get(item, "doc"), "PolicyDocument"));
        else
            sl_json_push(list, sl_json_new_string(op->arena, sl_json_string(item, "id")));
    }
    sl_json_set(entry, sl_str_of(member), list);
    return result;
}

int sl_iam__note_holder(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err) {
    const struct sl_json *doc = holder->doc, *tags = sl_json_get(doc, "Tags");
    const struct sl_key inlined = sl_iam__inline_key(op, holder, SL_STR("")),
                        attached = sl_iam__attachment_key(op, holder, SL_STR("")),
                        groups = sl_iam__key(op, "iam.user_group", holder->name, SL_STR(""));
    struct sl_json *entry = sl_json_new_object(op->arena), *trust;
    static const char *const ids[] = {[SL_IAM_USER] = "UserId", [SL_IAM_ROLE] = "RoleId", [SL_IAM_GROUP] = "GroupId"};
    sl_json_put_string(op->arena, entry, "Arn", sl_json_string(doc, "Arn"));
    sl_json_put_string(op->arena, entry, "Id", sl_json_string(doc, ids[holder->kind]));
    struct sl_str boundary = sl_json_string(sl_json_get(doc, "PermissionsBoundary"), "PermissionsBoundaryArn");
    if (boundary.len) sl_json_put_string(op->arena, entry, "Boundary", boundary);
    if (tags) sl_json_set(entry, SL_STR("Tags"), sl_json_copy(op->arena, tags));
    if (holder->kind == SL_IAM_ROLE) {
        if (sl_json_parse(op->arena, sl_json_string(doc, "AssumeRolePolicyDocument"), &trust, NULL) == 0)
            sl_json_set(entry, SL_STR("Trust"), trust);
        sl_json_put_int(op->arena, entry, "MaxSessionDuration", sl_json_int(doc, "MaxSessionDuration", 3600));
    }
    int result = gather(op, &inlined, "Documents", true, entry, err);
    if (!result) result = gather(op, &attached, "Attached", false, entry, err);
    if (!result && holder->kind == SL_IAM_USER) result = gather(op, &groups, "Groups", false, entry, err);
    struct sl_str text = sl_json_text(op->arena, entry, DOCUMENT_MAX);
    if (!result && !text.ptr) return sl_fail(err, SL_E_NO_MEMORY, "too many policies");
    if (!result) sl_iam__note(op, key_of(op, holder), text);
    return result;
}

// --- at start
// --------------------------------------------------------------------------------------------------------------------------

struct loading {
    struct sl_store_job job;
    const struct sl_app *app;
    struct sl_op op; // what the functions above need of one
    struct sl_arena arena;
    struct sl_json *found; // of one kind: [{"account","parent","id","doc"}]
};

static int keep(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct loading *loading = user;
    struct sl_json *item = sl_json_push(loading->found, sl_json_new_object(&loading->arena)), *doc = NULL;
    (void)sl_json_parse(&loading->arena, sl_arena_dup(&loading->arena, document), &doc, NULL);
    sl_json_put_string(&loading->arena, item, "account", sl_arena_dup(&loading->arena, key->account));
    sl_json_put_string(&loading->arena, item, "parent", sl_arena_dup(&loading->arena, key->parent));
    sl_json_put_string(&loading->arena, item, "id", sl_arena_dup(&loading->arena, key->id));
    if (doc) sl_json_set(item, SL_STR("doc"), doc);
    return sl_arena_failed(&loading->arena) ? sl_fail(err, SL_E_NO_MEMORY, "too many users to load") : 0;
}

static int note_version(struct sl_op *op, const struct sl_json *item, struct sl_error *err) {
    struct sl_json *version;
    struct sl_str arn = sl_json_string(item, "id"),
                  number = sl_json_string(sl_json_get(item, "doc"), "DefaultVersionId");
    uint64_t value;
    if (!sl_str_to_u64(sl_str_sub(number, 1, number.len), &value)) return 0;
    const struct sl_key key =
        sl_iam__key(op, "iam.policy_version", arn, sl_arena_printf(op->arena, "%06llu", (unsigned long long)value));
    int result = sl_store_get(op->tx, op->arena, &key, &version, err);
    if (!result)
        sl_iam__note(op, sl_arena_printf(op->arena, "policy/%.*s", SL_FMT(arn)), sl_json_string(version, "Document"));
    return result;
}

static int load_kind(struct loading *loading, const char *kind, struct sl_error *err) {
    struct sl_op *op = &loading->op;
    loading->found = sl_json_new_array(&loading->arena);
    int result = sl_store_each(op->tx, kind, keep, loading, err);
    for (const struct sl_json *item = result ? NULL : loading->found->first; item && !result; item = item->next) {
        struct sl_iam__holder holder = {.name = sl_json_string(item, "id"), .doc = sl_json_get(item, "doc")};
        op->account = sl_json_string(item, "account");
        if (strcmp(kind, "iam.key") == 0)
            sl_iam__note_key(op, sl_json_string(item, "parent"), holder.doc);
        else if (strcmp(kind, "iam.policy") == 0)
            result = note_version(op, item, err);
        else {
            holder.kind = strcmp(kind, "iam.user") == 0   ? SL_IAM_USER
                          : strcmp(kind, "iam.role") == 0 ? SL_IAM_ROLE
                                                          : SL_IAM_GROUP;
            result = sl_iam__note_holder(op, &holder, err);
        }
    }
    return result;
}

static int load_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    static const char *const kinds[] = {"iam.user", "iam.role", "iam.group", "iam.policy", "iam.key"};
    struct loading *loading = (struct loading *)((char *)job - offsetof(struct loading, job));
    loading->op.tx = tx;
    int result = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !result; i++) result = load_kind(loading, kinds[i], err);
    return result;
}

int sl_iam_load(const struct sl_app *app, struct sl_error *err) {
    struct loading loading = {.job = {.run = load_run, .read_only = true}, .app = app};
    char key[SL_DIRECTORY_KEY_MAX];
    for (const struct sl_iam__aws_policy *policy = sl_iam__aws_policies; policy->name.len; policy++) {
        snprintf(key, sizeof key, "policy/arn:aws:iam::aws:policy%.*s%.*s", SL_FMT(policy->path), SL_FMT(policy->name));
        if (sl_directory_put(app->callers->directory, sl_str_of(key), policy->document, err)) return err->kind;
    }
    sl_arena_init(&loading.arena, (size_t)1 << 30);
    loading.op = (struct sl_op){.arena = &loading.arena, .app = (void *)(uintptr_t)app};
    int result = sl_store_run(app->store, &loading.job, err);
    if (!result) sl_iam__publish(&loading.op);
    sl_arena_free(&loading.arena);
    return result;
}
