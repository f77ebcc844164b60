// SPDX-License-Identifier: Apache-2.0
//
// policy: bucket policies ("Bucket policies for Amazon S3", User Guide). Checked here in S3's words, kept as text in
// the bucket's document, and published after the commit for whoever decides what callers with keys of this server may
// do (aws/identity.h). On the storage thread.
//
// Public access. A bucket's block is on until it is taken away (config.c), as for new buckets with AWS: a policy that
// gives something to everybody is refused then; and where RestrictPublicBuckets is set later, what such a policy gives
// does not count.
#include "services/s3/internal.h"

#include "aws/arn.h"
#include "aws/identity.h"
#include "base/log.h"

enum { POLICY_MAX = 20 * 1024 };

// ---- checking
// ---------------------------------------------------------------------------------------------------------

static int malformed(struct sl_error *err, const char *text) {
    return sl_fail(err, SL_E_S3_MALFORMED_POLICY, "%s", text);
}

// A text or a list of texts: the next one after `at`, which is NULL at first.
static const struct sl_json *next_text(const struct sl_json *node, const struct sl_json *at) {
    if (!node) return NULL;
    if (node->type == SL_JSON_ARRAY) return at ? at->next : node->first;
    return at ? NULL : node;
}

static bool is_texts(const struct sl_json *node) {
    for (const struct sl_json *at = next_text(node, NULL); at; at = next_text(node, at))
        if (at->type != SL_JSON_STRING) return false;
    return node->type == SL_JSON_STRING || (node->type == SL_JSON_ARRAY && node->count > 0);
}

static bool is_everybody(const struct sl_json *principal) {
    if (principal && principal->type == SL_JSON_STRING) return sl_str_is(principal->text, "*");
    const struct sl_json *aws = sl_json_get(principal, "AWS");
    for (const struct sl_json *at = next_text(aws, NULL); at; at = next_text(aws, at))
        if (sl_str_is(at->text, "*")) return true;
    return false;
}

// "AWS": "*", an account, its root, a user, a role or a session of one.
static bool is_aws_principal(struct sl_str text) {
    struct sl_arn arn;
    if (sl_str_is(text, "*") || sl_is_account(text)) return true;
    return sl_arn_parse(text, &arn) && sl_is_account(arn.account) &&
           (sl_str_is(arn.service, "iam") || sl_str_is(arn.service, "sts"));
}

static bool is_principal(const struct sl_json *principal) {
    static const char *const kinds[] = {"AWS", "Service", "Federated", "CanonicalUser"};
    if (principal->type == SL_JSON_STRING) return sl_str_is(principal->text, "*");
    if (principal->type != SL_JSON_OBJECT || !principal->count) return false;
    for (const struct sl_json *kind = principal->first; kind; kind = kind->next) {
        bool known = false;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) known = known || sl_str_is(kind->key, kinds[i]);
        if (!known || !is_texts(kind)) return false;
        for (const struct sl_json *at = next_text(kind, NULL); at; at = next_text(kind, at))
            if (sl_str_is(kind->key, "AWS") && !is_aws_principal(at->text)) return false;
    }
    return true;
}

static bool are_actions(const struct sl_json *actions) {
    if (!is_texts(actions)) return false;
    for (const struct sl_json *at = next_text(actions, NULL); at; at = next_text(actions, at))
        if (!sl_str_is(at->text, "*") && !sl_str_ieq(sl_str_sub(at->text, 0, 3), SL_STR("s3:"))) return false;
    return true;
}

// All of this bucket: "arn:aws:s3:::name", or below it.
static bool are_resources(const struct sl_json *resources, struct sl_str bucket_arn) {
    if (!is_texts(resources)) return false;
    for (const struct sl_json *at = next_text(resources, NULL); at; at = next_text(resources, at)) {
        struct sl_str rest = sl_str_sub(at->text, bucket_arn.len, at->text.len);
        if (!sl_str_starts(at->text, bucket_arn) || (rest.len && rest.ptr[0] != '/' && rest.ptr[0] != '*'))
            return false;
    }
    return true;
}

static int check_statement(const struct sl_json *statement, struct sl_str bucket_arn, struct sl_error *err) {
    const struct sl_json *principal = sl_json_get(statement, "Principal"), *action = sl_json_get(statement, "Action"),
                         *resource = sl_json_get(statement, "Resource"),
                         *condition = sl_json_get(statement, "Condition");
    struct sl_str effect = sl_json_string(statement, "Effect");
    bool twice = (principal && sl_json_get(statement, "NotPrincipal")) ||
                 (action && sl_json_get(statement, "NotAction")) || (resource && sl_json_get(statement, "NotResource"));
    if (!principal) principal = sl_json_get(statement, "NotPrincipal");
    if (!action) action = sl_json_get(statement, "NotAction");
    if (!resource) resource = sl_json_get(statement, "NotResource");
    if (statement->type != SL_JSON_OBJECT || twice) return malformed(err, "Statement is not valid");
    if (!effect.ptr) return malformed(err, "Missing required field Effect");
    if (!sl_str_is(effect, "Allow") && !sl_str_is(effect, "Deny"))
        return sl_fail(err, SL_E_S3_MALFORMED_POLICY, "Invalid effect: %.*s", SL_FMT(effect));
    if (!principal) return malformed(err, "Missing required field Principal");
    if (!is_principal(principal)) return malformed(err, "Invalid principal in policy");
    if (!action) return malformed(err, "Missing required field Action");
    if (!are_actions(action)) return malformed(err, "Policy has invalid action");
    if (!resource) return malformed(err, "Missing required field Resource");
    if (!are_resources(resource, bucket_arn)) return malformed(err, "Policy has invalid resource");
    if (condition && condition->type != SL_JSON_OBJECT) return malformed(err, "Policy has an invalid condition");
    return 0;
}

static int check(struct sl_op *op, struct sl_str text, struct sl_str bucket_arn, struct sl_json **ret,
                 struct sl_error *err) {
    if (text.len > POLICY_MAX)
        return sl_fail(err, SL_E_S3_POLICY_TOO_LARGE, "Policy exceeds the maximum allowed document size.");
    if (!sl_str_starts(text, SL_STR("{")) || sl_json_parse(op->arena, text, ret, NULL) != 0)
        return malformed(err, "Policies must be valid JSON and the first byte must be '{'");
    struct sl_str version = sl_json_string(*ret, "Version");
    if (version.ptr && !sl_str_is(version, "2012-10-17") && !sl_str_is(version, "2008-10-17"))
        return malformed(err, "The policy must contain a valid version string");
    const struct sl_json *statements = sl_json_get(*ret, "Statement");
    if (!statements || !statements->count) return malformed(err, "Missing required field Statement");
    int result = 0;
    if (statements->type == SL_JSON_OBJECT) return check_statement(statements, bucket_arn, err);
    for (const struct sl_json *at = statements->first; at && !result; at = at->next)
        result = check_statement(at, bucket_arn, err);
    return result;
}

// ---- public
// -----------------------------------------------------------------------------------------------------------

// "10.0.0.0/8", "2001:db8::/32": not more addresses than one organisation has ("The meaning of public", User Guide).
static bool is_narrow_range(struct sl_str range) {
    bool six = sl_str_chr(range, ':', 0) >= 0;
    ptrdiff_t slash = sl_str_chr(range, '/', 0);
    uint64_t bits;
    if (slash < 0) return range.len > 0;
    return sl_str_to_u64(sl_str_sub(range, (size_t)slash + 1, range.len), &bits) && bits >= (six ? 32 : 8);
}

static bool is_fixed(struct sl_str value) {
    return value.len && sl_str_chr(value, '*', 0) < 0 && sl_str_chr(value, '?', 0) < 0 &&
           sl_str_find(value, SL_STR("${")) < 0;
}

// Whether every value of the test means somebody in particular.
static bool are_narrow(struct sl_str test, const struct sl_json *values) {
    bool address = sl_str_is(test, "IpAddress");
    bool equal = sl_str_is(test, "StringEquals") || sl_str_is(test, "StringLike") || sl_str_is(test, "ArnEquals") ||
                 sl_str_is(test, "ArnLike");
    if (!is_texts(values)) return false;
    for (const struct sl_json *at = next_text(values, NULL); at; at = next_text(values, at))
        if (!(address ? is_narrow_range(at->text) : equal && is_fixed(at->text))) return false;
    return true;
}

// Conditions that bound who is meant: one is enough, since all of them must hold.
static bool is_bounded(const struct sl_json *condition) {
    static const char *const keys[] = {"aws:SourceIp",         "aws:SourceArn",     "aws:SourceVpc",
                                       "aws:SourceVpce",       "aws:SourceAccount", "aws:PrincipalOrgID",
                                       "aws:PrincipalAccount", "aws:userid"};
    for (const struct sl_json *test = condition ? condition->first : NULL; test; test = test->next)
        for (const struct sl_json *key = test->first; key; key = key->next)
            for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
                if (sl_str_ieq(key->key, sl_str_of(keys[i])) && are_narrow(test->key, key)) return true;
    return false;
}

// Allowing all but some is allowing everybody.
static bool is_public_statement(const struct sl_json *statement) {
    bool everybody = sl_json_get(statement, "NotPrincipal") || is_everybody(sl_json_get(statement, "Principal"));
    return sl_str_is(sl_json_string(statement, "Effect"), "Allow") && everybody &&
           !is_bounded(sl_json_get(statement, "Condition"));
}

static bool is_public(const struct sl_json *policy) {
    const struct sl_json *statements = sl_json_get(policy, "Statement");
    if (!statements) return false;
    if (statements->type == SL_JSON_OBJECT) return is_public_statement(statements);
    for (const struct sl_json *at = statements->first; at; at = at->next)
        if (is_public_statement(at)) return true;
    return false;
}

// Whether the bucket's block of public access has this set. Absent: all of a new bucket's is; null: it was taken away.
static bool blocks(const struct sl_s3__bucket *bucket, const char *what) {
    const struct sl_json *block = sl_json_get(bucket->doc, "accessBlock");
    return !block || (block->type == SL_JSON_OBJECT && sl_json_bool(block, what, false));
}

// ---- publishing
// -------------------------------------------------------------------------------------------------------

static struct sl_str arn_of(struct sl_arena *arena, const struct sl_s3__bucket *bucket) {
    return sl_arena_printf(arena, "arn:%.*s:s3:::%.*s", SL_FMT(sl_partition_of(bucket->region)), SL_FMT(bucket->name));
}

// What of the policy counts.
static struct sl_json *effective(struct sl_arena *arena, const struct sl_s3__bucket *bucket, struct sl_json *policy) {
    const struct sl_json *statements = sl_json_get(policy, "Statement");
    if (!blocks(bucket, "RestrictPublicBuckets") || !is_public(policy)) return policy;
    struct sl_json *kept = sl_json_new_array(arena);
    if (statements->type == SL_JSON_ARRAY)
        for (const struct sl_json *at = statements->first; at; at = at->next)
            if (!is_public_statement(at)) sl_json_push(kept, sl_json_copy(arena, at));
    sl_json_set(policy, SL_STR("Statement"), kept);
    return policy;
}

// {"Owner","Policy"} under "resource/<arn>"; a bucket without a policy has none: *ret is empty.
static struct sl_str entry_of(struct sl_arena *arena, const struct sl_s3__bucket *bucket, struct sl_str *ret) {
    struct sl_json *policy;
    struct sl_str text = sl_json_string(bucket->doc, "policy");
    *ret = (struct sl_str){0};
    if (text.len && sl_json_parse(arena, text, &policy, NULL) == 0) {
        struct sl_json *entry = sl_json_new_object(arena);
        sl_json_put_string(arena, entry, "Owner", bucket->account);
        sl_json_set(entry, SL_STR("Policy"), effective(arena, bucket, policy));
        *ret = sl_json_text(arena, entry, 1 << 20);
    }
    return sl_arena_printf(arena, "resource/%.*s", SL_FMT(arn_of(arena, bucket)));
}

int sl_s3__note_policy(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_error *err) {
    struct sl_s3__after *after = sl_s3__after(op);
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    after->policy_key = entry_of(op->arena, bucket, &after->policy);
    return 0;
}

void sl_s3__publish_policy(struct sl_op *op, const struct sl_s3__after *after) {
    const struct sl_app *app = op->app;
    struct sl_error err;
    if (!after->policy_key.len || !app->callers) return;
    if (!after->policy.len)
        sl_directory_remove(app->callers->directory, after->policy_key);
    else if (sl_directory_put(app->callers->directory, after->policy_key, after->policy, &err))
        sl_log_error("s3", "until the next start the policy before counts: %s", err.message);
}

struct load {
    struct sl_store_job job;
    struct sl_directory *directory;
};

static int load_one(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    struct load *load = user;
    struct sl_s3__bucket bucket = {.name = key->id};
    struct sl_str entry;
    struct sl_arena arena;
    sl_arena_init(&arena, 8 << 20);
    int result = sl_json_parse(&arena, document, &bucket.doc, err);
    if (!result) {
        bucket.account = sl_json_string(bucket.doc, "account");
        bucket.region = sl_json_string(bucket.doc, "region");
        struct sl_str name = entry_of(&arena, &bucket, &entry);
        if (entry.len) result = sl_directory_put(load->directory, name, entry, err);
    }
    sl_arena_free(&arena);
    return result;
}

static int load_all(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    return sl_store_each(tx, "s3.bucket", load_one, SL_CONTAINER(job, struct load, job), err);
}

int sl_s3_load(const struct sl_app *app, struct sl_error *err) {
    struct load load = {.job = {.run = load_all, .read_only = true}, .directory = app->callers->directory};
    return sl_store_run(app->store, &load.job, err);
}

// ---- operations
// -------------------------------------------------------------------------------------------------------

static int no_policy(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_error *err) {
    sl_s3__error_member(op, "BucketName", bucket->name);
    return sl_fail(err, SL_E_S3_NO_SUCH_POLICY, "The bucket policy does not exist");
}

int sl_s3__put_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "Policy");
    struct sl_s3__bucket bucket;
    struct sl_json *policy;
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = check(op, text, arn_of(op->arena, &bucket), &policy, err);
    if (result) return result;
    if (is_public(policy) && blocks(&bucket, "BlockPublicPolicy"))
        return sl_fail(err, SL_E_S3_ACCESS_DENIED,
                       "User: %.*s is not authorized to perform: s3:PutBucketPolicy on resource: \"%.*s\" because "
                       "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
                       SL_FMT(op->caller), SL_FMT(arn_of(op->arena, &bucket)));
    sl_json_put_string(op->arena, bucket.doc, "policy", text);
    result = sl_s3__save_bucket(op, &bucket, err);
    return result ? result : sl_s3__note_policy(op, &bucket, err);
}

int sl_s3__get_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    struct sl_str text = sl_json_string(bucket.doc, "policy");
    if (!text.len) return no_policy(op, &bucket, err);
    sl_op_out(op, "Policy", text);
    return 0;
}

int sl_s3__get_policy_status(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_json *policy, *status = sl_json_new_object(op->arena);
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    struct sl_str text = sl_json_string(bucket.doc, "policy");
    if (!text.len) return no_policy(op, &bucket, err);
    bool open = sl_json_parse(op->arena, text, &policy, NULL) == 0 && is_public(policy);
    sl_json_put_bool(op->arena, status, "IsPublic", open && !blocks(&bucket, "RestrictPublicBuckets"));
    sl_json_set(op->out, SL_STR("PolicyStatus"), status);
    return 0;
}

int sl_s3__delete_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    sl_json_remove(bucket.doc, "policy");
    result = sl_s3__save_bucket(op, &bucket, err);
    return result ? result : sl_s3__note_policy(op, &bucket, err);
}
