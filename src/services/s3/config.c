// SPDX-License-Identifier: Apache-2.0
//
// config: what a bucket can be set to. Versioning has its meaning in object.c. The settings in the table below are kept
// and shown; those of which Sluice does not do what they say (CORS, lifecycles, ...) cannot be set (501), and
// reading them says that they are not set, in S3's words.
#include "services/s3/internal.h"

struct setting {
    const char *get, *put, *remove; // operations
    const char *key;                // in the bucket's document; NULL: never set
    const char *in, *out;           // the members that hold it; NULL: op->out is empty, or `fill` fills it
    int kind;                       // of the error when it is not set; 0: `fill` answers
    const char *message;
    void (*fill)(struct sl_op *op);
};

static struct sl_json *rules(struct sl_op *op, const char *member, struct sl_json **ret_rule) {
    struct sl_json *root = sl_json_new_object(op->arena), *list = sl_json_new_array(op->arena);
    *ret_rule = sl_json_push(list, sl_json_new_object(op->arena));
    sl_json_set(root, SL_STR("Rules"), list);
    sl_json_set(op->out, sl_str_of(member), root);
    return root;
}

// Objects belong to the bucket's owner and there are no ACLs: what new buckets have with AWS.
static void fill_ownership(struct sl_op *op) {
    struct sl_json *rule;
    rules(op, "OwnershipControls", &rule);
    sl_json_put_string(op->arena, rule, "ObjectOwnership", SL_STR("BucketOwnerEnforced"));
}

static void fill_access_block(struct sl_op *op) {
    static const char *const names[] = {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy",
                                        "RestrictPublicBuckets"};
    struct sl_json *block = sl_json_new_object(op->arena);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) sl_json_put_bool(op->arena, block, names[i], true);
    sl_json_set(op->out, SL_STR("PublicAccessBlockConfiguration"), block);
}

static void fill_payer(struct sl_op *op) { sl_op_out(op, "Payer", SL_STR("BucketOwner")); }
static void fill_nothing(struct sl_op *op) { (void)op; }

static const struct setting settings[] = {
    {"GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging", "tags", "Tagging", "TagSet", SL_E_S3_NO_SUCH_TAGS,
     "The TagSet does not exist", NULL},
    {"GetBucketCors", NULL, "DeleteBucketCors", NULL, NULL, NULL, SL_E_S3_NO_SUCH_CORS,
     "The CORS configuration does not exist", NULL},
    {"GetBucketLifecycleConfiguration", NULL, "DeleteBucketLifecycle", NULL, NULL, NULL, SL_E_S3_NO_SUCH_LIFECYCLE,
     "The lifecycle configuration does not exist", NULL},
    {"GetBucketWebsite", NULL, "DeleteBucketWebsite", NULL, NULL, NULL, SL_E_S3_NO_SUCH_WEBSITE,
     "The specified bucket does not have a website configuration", NULL},
    {"GetBucketReplication", NULL, "DeleteBucketReplication", NULL, NULL, NULL, SL_E_S3_NO_REPLICATION,
     "The replication configuration was not found", NULL},
    {"GetObjectLockConfiguration", NULL, NULL, NULL, NULL, NULL, SL_E_S3_NO_OBJECT_LOCK,
     "Object Lock configuration does not exist for this bucket", NULL},
    {"GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption", "encryption",
     "ServerSideEncryptionConfiguration", "ServerSideEncryptionConfiguration", SL_E_S3_NO_ENCRYPTION,
     "The server side encryption configuration was not found", NULL},
    {"GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls", "ownership",
     "OwnershipControls", "OwnershipControls", 0, NULL, fill_ownership},
    {"GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", "accessBlock",
     "PublicAccessBlockConfiguration", "PublicAccessBlockConfiguration", 0, NULL, fill_access_block},
    {"GetBucketLogging", NULL, NULL, NULL, NULL, NULL, 0, NULL, fill_nothing},
    {"GetBucketNotificationConfiguration", NULL, NULL, NULL, NULL, NULL, 0, NULL, fill_nothing},
    {"GetBucketAccelerateConfiguration", NULL, NULL, NULL, NULL, NULL, 0, NULL, fill_nothing},
    {"GetBucketRequestPayment", NULL, NULL, NULL, NULL, NULL, 0, NULL, fill_payer},
};

static const struct setting *setting_of(const struct sl_op *op) {
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct setting *row = &settings[i];
        const char *const names[] = {row->get, row->put, row->remove};
        for (size_t n = 0; n < 3; n++)
            if (names[n] && sl_str_is(op->model->name, names[n])) return row;
    }
    return NULL; // the operations' table names only these
}

int sl_s3__get_setting(struct sl_op *op, struct sl_error *err) {
    const struct setting *setting = setting_of(op);
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result || !setting) return result;
    struct sl_json *value = setting->key ? sl_json_get(bucket.doc, setting->key) : NULL;
    if (value && value->type != SL_JSON_NULL) {
        sl_json_set(op->out, sl_str_of(setting->out), sl_json_copy(op->arena, value));
    } else if (setting->fill && !value) {
        setting->fill(op);
    } else { // null: taken away
        sl_s3__error_member(op, "BucketName", bucket.name);
        if (sl_str_is(op->model->name, "GetPublicAccessBlock"))
            return sl_fail(err, SL_E_S3_NO_SUCH_ACCESS_BLOCK, "The public access block configuration was not found");
        if (sl_str_is(op->model->name, "GetBucketOwnershipControls"))
            return sl_fail(err, SL_E_S3_NO_OWNERSHIP, "The bucket ownership controls were not found");
        return sl_fail(err, setting->kind, "%s", setting->message);
    }
    return 0;
}

// Of what can be set, the values that mean something else than what is always done.
static int check(struct sl_op *op, const struct setting *setting, const struct sl_json *value, struct sl_error *err) {
    if (sl_str_is(op->model->name, "PutBucketTagging")) return sl_s3__check_tags(sl_json_get(value, "TagSet"), 50, err);
    if (!sl_str_is(sl_str_of(setting->key), "ownership")) return 0;
    const struct sl_json *list = sl_json_get(value, "Rules");
    for (const struct sl_json *at = list ? list->first : NULL; at; at = at->next) {
        if (!sl_str_is(sl_json_string(at, "ObjectOwnership"), "BucketOwnerEnforced"))
            return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED, "Buckets with ACLs are not implemented");
    }
    return 0;
}

int sl_s3__put_setting(struct sl_op *op, struct sl_error *err) {
    const struct setting *setting = setting_of(op);
    struct sl_s3__bucket bucket;
    if (!setting) return sl_fail(err, SL_E_INTERNAL, "no such setting");
    struct sl_json *value = sl_json_get(op->in, setting->in);
    int result = check(op, setting, value, err);
    if (!result) result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    if (sl_str_is(sl_str_of(setting->key), "tags")) value = sl_json_get(value, "TagSet");
    sl_json_set(bucket.doc, sl_str_of(setting->key), sl_json_copy(op->arena, value));
    result = sl_s3__save_bucket(op, &bucket, err);
    return result ? result : sl_s3__note_policy(op, &bucket, err); // what of it counts
}

int sl_s3__delete_setting(struct sl_op *op, struct sl_error *err) {
    const struct setting *setting = setting_of(op);
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result || !setting || !setting->key) return result;
    sl_json_remove(bucket.doc, setting->key);
    if (setting->fill) sl_json_set(bucket.doc, sl_str_of(setting->key), sl_json_new_null(op->arena));
    result = sl_s3__save_bucket(op, &bucket, err);
    return result ? result : sl_s3__note_policy(op, &bucket, err);
}

// ---- versioning -----------------------------------------------------------------------------------------------------

int sl_s3__get_versioning(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    struct sl_str status = result ? (struct sl_str){0} : sl_json_string(bucket.doc, "versioning");
    if (status.len) sl_op_out(op, "Status", status);
    return result;
}

int sl_s3__put_versioning(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *wanted = sl_json_get(op->in, "VersioningConfiguration");
    struct sl_str status = sl_json_string(wanted, "Status");
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    if (!status.len)
        return sl_fail(err, SL_E_S3_ILLEGAL_VERSIONING,
                       "The Versioning element must be specified and contain a valid value");
    if (sl_str_is(sl_json_string(wanted, "MFADelete"), "Enabled"))
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    sl_json_put_string(op->arena, bucket.doc, "versioning", status);
    return sl_s3__save_bucket(op, &bucket, err);
}

// ---- access control lists: there is one, and it never changes -------------------------------------------------------

static void show_acl(struct sl_op *op, const struct sl_s3__bucket *bucket) {
    struct sl_json *owner = sl_s3__owner(op, bucket->account), *grantee = sl_s3__owner(op, bucket->account);
    struct sl_json *grants = sl_json_new_array(op->arena);
    struct sl_json *grant = sl_json_push(grants, sl_json_new_object(op->arena));
    sl_json_put_string(op->arena, grantee, "Type", SL_STR("CanonicalUser"));
    sl_json_set(grant, SL_STR("Grantee"), grantee);
    sl_json_put_string(op->arena, grant, "Permission", SL_STR("FULL_CONTROL"));
    sl_json_set(op->out, SL_STR("Owner"), owner);
    sl_json_set(op->out, SL_STR("Grants"), grants);
}

int sl_s3__get_acl(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (!result) show_acl(op, &bucket);
    return result;
}

int sl_s3__get_object_acl(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_object object;
    struct sl_json *doc;
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_s3__find(op, &bucket, sl_op_in(op, "Key"), sl_op_in(op, "VersionId"), &object, &doc, err);
    if (!result) show_acl(op, &bucket);
    return result;
}
