// SPDX-License-Identifier: Apache-2.0
//
// bucket: buckets themselves. A name is one server's (as it is one partition's with AWS), whichever account has it; the
// number that objects are filed under is drawn anew for each bucket, so that a bucket made again has none of the old
// one's.
#include "services/s3/internal.h"

#include "base/clock.h"

static struct sl_key bucket_key(struct sl_str name) {
    return (struct sl_key){"s3.bucket", SL_STR(""), SL_STR(""), SL_STR(""), name};
}

static struct sl_key owned_key(struct sl_str account, struct sl_str name) {
    return (struct sl_key){"s3.owned", account, SL_STR(""), SL_STR(""), name};
}

void sl_s3__error_member(struct sl_op *op, const char *name, struct sl_str value) {
    if (!op->error_members) op->error_members = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, op->error_members, name, value);
}

int sl_s3__no_such_bucket(struct sl_op *op, struct sl_str name, struct sl_error *err) {
    sl_s3__error_member(op, "BucketName", name);
    return sl_fail(err, SL_E_S3_NO_SUCH_BUCKET, "The specified bucket does not exist");
}

struct sl_json *sl_s3__owner(struct sl_op *op, struct sl_str account) {
    struct sl_json *owner = sl_json_new_object(op->arena);
    // A canonical user id has 64 digits; here they are the account's, repeated.
    sl_json_put_string(op->arena, owner, "ID",
                       sl_arena_printf(op->arena, "%.*s%.*s%.*s%.*s%.*s%.4s", SL_FMT(account), SL_FMT(account),
                                       SL_FMT(account), SL_FMT(account), SL_FMT(account), account.ptr));
    return owner;
}

int sl_s3__find_bucket(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str name, struct sl_s3__bucket *ret,
                       struct sl_error *err) {
    const struct sl_key key = bucket_key(name);
    struct sl_json *doc;
    int result = sl_store_get(tx, arena, &key, &doc, err);
    if (result) return result;
    struct sl_str versioning = sl_json_string(doc, "versioning");
    *ret = (struct sl_s3__bucket){.name = name,
                                  .account = sl_json_string(doc, "account"),
                                  .region = sl_json_string(doc, "region"),
                                  .id = sl_json_int(doc, "id", 0),
                                  .doc = doc};
    if (sl_str_is(versioning, "Enabled")) ret->versioning = SL_S3_VERSIONED;
    if (sl_str_is(versioning, "Suspended")) ret->versioning = SL_S3_SUSPENDED;
    return 0;
}

int sl_s3__open(struct sl_op *op, struct sl_s3__bucket *ret, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "Bucket"), expected = sl_op_in(op, "ExpectedBucketOwner");
    int result = sl_s3__find_bucket(op->tx, op->arena, name, ret, err);
    if (result == SL_E_NOT_FOUND) return sl_s3__no_such_bucket(op, name, err);
    if (result) return result;
    bool foreign = !sl_str_eq(ret->account, op->account) && !op->granted;
    if (foreign || (expected.ptr && !sl_str_eq(expected, ret->account)))
        return sl_fail(err, SL_E_S3_ACCESS_DENIED, "Access Denied");
    return 0;
}

int sl_s3__save_bucket(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_error *err) {
    const struct sl_key key = bucket_key(bucket->name);
    return sl_store_put(op->tx, &key, bucket->doc, err);
}

// ---- names ----------------------------------------------------------------------------------------------------------

static bool name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_address(struct sl_str name) {
    struct sl_str rest = name, part;
    unsigned count = 0;
    uint64_t number;
    while (sl_str_split(&rest, '.', &part)) {
        if (!sl_str_to_u64(part, &number) || part.len > 3) return false;
        count++;
    }
    return count == 4;
}

// "General purpose bucket naming rules", S3 User Guide.
static bool name_good(struct sl_str name) {
    if (name.len < 3 || name.len > 63 || !name_char(name.ptr[0]) || !name_char(name.ptr[name.len - 1])) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], before = i ? name.ptr[i - 1] : 'a';
        if (!name_char(c) && c != '-' && c != '.') return false;
        if (c == '.' && before == '.') return false;
    }
    const struct sl_str prefixes[] = {SL_STR("xn--"), SL_STR("sthree-"), SL_STR("amzn-s3-demo-")};
    const struct sl_str suffixes[] = {SL_STR("-s3alias"), SL_STR("--ol-s3"), SL_STR(".mrap"), SL_STR("--x-s3"),
                                      SL_STR("--table-s3")};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (sl_str_starts(name, prefixes[i])) return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (sl_str_ends(name, suffixes[i])) return false;
    return !is_address(name);
}

static int check_name(struct sl_op *op, struct sl_str name, struct sl_error *err) {
    if (name_good(name)) return 0;
    sl_s3__error_member(op, "BucketName", name);
    return sl_fail(err, SL_E_S3_INVALID_BUCKET_NAME, "The specified bucket is not valid.");
}

// ---- operations -----------------------------------------------------------------------------------------------------

// The region that is asked for must be the endpoint's; us-east-1 serves every region.
static int check_location(struct sl_op *op, struct sl_str *ret_region, struct sl_error *err) {
    struct sl_str wanted = sl_json_string(sl_json_get(op->in, "CreateBucketConfiguration"), "LocationConstraint");
    bool home = sl_str_is(op->region, "us-east-1");
    if (sl_str_is(wanted, "EU")) wanted = SL_STR("eu-west-1");
    if (wanted.len && sl_str_is(wanted, "us-east-1") && home)
        return sl_fail(err, SL_E_S3_INVALID_LOCATION_NAME, "The specified location-constraint is not valid");
    if (!home && !sl_str_eq(wanted, op->region))
        return sl_fail(err, SL_E_S3_INVALID_LOCATION,
                       "The %.*s location constraint is incompatible for the region specific endpoint this request was "
                       "sent to.",
                       SL_FMT(wanted.len ? wanted : SL_STR("unspecified")));
    *ret_region = wanted.len ? wanted : op->region;
    return 0;
}

static int refuse_existing(struct sl_op *op, const struct sl_s3__bucket *existing, struct sl_error *err) {
    sl_s3__error_member(op, "BucketName", existing->name);
    if (!sl_str_eq(existing->account, op->account))
        return sl_fail(err, SL_E_S3_BUCKET_EXISTS,
                       "The requested bucket name is not available. The bucket namespace is shared by all users of the "
                       "system. Please select a different name and try again.");
    // us-east-1 keeps an old habit: making a bucket twice is no error there.
    if (sl_str_is(op->region, "us-east-1") && sl_str_is(existing->region, "us-east-1")) {
        op->error_members = NULL;
        return 0;
    }
    return sl_fail(err, SL_E_S3_BUCKET_OWNED,
                   "Your previous request to create the named bucket succeeded and you already own it.");
}

int sl_s3__create_bucket(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "Bucket"), region, acl = sl_op_in(op, "ACL");
    struct sl_s3__bucket existing;
    int result = check_name(op, name, err);
    if (!result) result = check_location(op, &region, err);
    if (result) return result;
    if (acl.ptr && !sl_str_is(acl, "private"))
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "Bucket cannot have ACLs set with ObjectOwnership's "
                       "BucketOwnerEnforced setting");
    if (sl_json_bool(op->in, "ObjectLockEnabledForBucket", false))
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    sl_op_out(op, "Location", sl_arena_printf(op->arena, "/%.*s", SL_FMT(name)));
    result = sl_s3__find_bucket(op->tx, op->arena, name, &existing, err);
    if (!result) return refuse_existing(op, &existing, err);
    if (result != SL_E_NOT_FOUND) return result;
    const struct sl_json *tags = sl_json_get(sl_json_get(op->in, "CreateBucketConfiguration"), "Tags");
    struct sl_json *doc = sl_json_new_object(op->arena);
    sl_json_put_int(op->arena, doc, "id", sl_object_number(op->tx));
    sl_json_put_string(op->arena, doc, "account", op->account);
    sl_json_put_string(op->arena, doc, "region", region);
    sl_json_put_int(op->arena, doc, "created_ms", op->now_ms);
    if (tags && tags->count) {
        result = sl_s3__check_tags(tags, 50, err);
        if (result) return result;
        sl_json_set(doc, SL_STR("tags"), sl_json_copy(op->arena, tags));
    }
    const struct sl_key key = bucket_key(name), owned = owned_key(op->account, name);
    result = sl_store_put(op->tx, &key, doc, err);
    return result ? result : sl_store_put(op->tx, &owned, sl_json_new_object(op->arena), err);
}

static bool stop_at_first(void *user, const struct sl_object *object) {
    (void)object;
    *(bool *)user = true;
    return false;
}

struct uploads {
    struct sl_op *op;
    struct sl_object_upload list[64];
    unsigned count;
};

static bool collect_upload(void *user, const struct sl_object_upload *upload) {
    struct uploads *uploads = user;
    struct sl_object_upload *copy = &uploads->list[uploads->count++];
    *copy = *upload;
    copy->key = sl_arena_dup(uploads->op->arena, upload->key);
    copy->id = sl_arena_dup(uploads->op->arena, upload->id);
    return uploads->count < sizeof uploads->list / sizeof uploads->list[0];
}

// Unfinished uploads do not keep a bucket: they go with it.
static int drop_uploads(struct sl_op *op, struct sl_s3__after *after, int64_t bucket, struct sl_error *err) {
    for (;;) {
        struct uploads uploads = {.op = op};
        int result = sl_object_upload_walk(op->tx, bucket, SL_STR(""), SL_STR(""), collect_upload, &uploads, err);
        if (result || !uploads.count) return result;
        for (unsigned i = 0; i < uploads.count; i++) {
            const struct sl_object_upload *upload = &uploads.list[i];
            result = sl_s3__drop_data(op, after, upload->data, err);
            if (!result) result = sl_object_upload_remove(op->tx, bucket, upload->key, upload->id, err);
            if (result) return result;
        }
    }
}

int sl_s3__delete_bucket(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    struct sl_s3__after *after = sl_s3__after(op);
    bool any = false;
    if (!after) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    int result = sl_s3__open(op, &bucket, err);
    if (!result) result = sl_object_walk_versions(op->tx, bucket.id, SL_STR(""), INT64_MAX, stop_at_first, &any, err);
    if (result) return result;
    if (any) {
        sl_s3__error_member(op, "BucketName", bucket.name);
        return sl_fail(
            err, SL_E_S3_BUCKET_NOT_EMPTY,
            bucket.versioning == SL_S3_UNVERSIONED
                ? "The bucket you tried to delete is not empty"
                : "The bucket you tried to delete is not empty. You must delete all versions in the bucket.");
    }
    result = drop_uploads(op, after, bucket.id, err);
    sl_json_remove(bucket.doc, "policy");
    if (!result) result = sl_s3__note_policy(op, &bucket, err);
    const struct sl_key key = bucket_key(bucket.name), owned = owned_key(bucket.account, bucket.name);
    if (!result) result = sl_store_delete(op->tx, &key, NULL, err);
    return result ? result : sl_store_delete(op->tx, &owned, NULL, err);
}

int sl_s3__head_bucket(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (result) return result;
    sl_op_out(op, "BucketRegion", bucket.region);
    sl_json_put_bool(op->arena, op->out, "AccessPointAlias", false);
    sl_op_out(op, "BucketArn",
              sl_arena_printf(op->arena, "arn:%.*s:s3:::%.*s", SL_FMT(op->partition), SL_FMT(bucket.name)));
    return 0;
}

int sl_s3__get_location(struct sl_op *op, struct sl_error *err) {
    struct sl_s3__bucket bucket;
    int result = sl_s3__open(op, &bucket, err);
    if (!result && !sl_str_is(bucket.region, "us-east-1")) sl_op_out(op, "LocationConstraint", bucket.region);
    return result;
}

int sl_s3__list_buckets(struct sl_op *op, struct sl_error *err) {
    struct sl_str prefix = sl_op_in(op, "Prefix"), wanted = sl_op_in(op, "BucketRegion");
    struct sl_str after = sl_op_in(op, "ContinuationToken");
    int64_t max = sl_json_int(op->in, "MaxBuckets", 10000);
    struct sl_json *names, *buckets = sl_json_new_array(op->arena);
    const struct sl_key key = owned_key(op->account, SL_STR(""));
    bool more = true, full = false;
    if (max < 1 || max > 10000)
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "Argument max-buckets must be an integer between 1 and 10000");
    while (more && !full) {
        int result =
            sl_store_list(op->tx, op->arena, &key, after.ptr ? after : SL_STR(""), SL_S3_PAGE, &names, &more, err);
        if (result) return result;
        for (const struct sl_json *at = names->first; at && !full; at = at->next) {
            struct sl_str name = sl_json_string(at, "id");
            struct sl_s3__bucket bucket;
            if (prefix.len && !sl_str_starts(name, prefix)) {
                after = name;
                continue;
            }
            if (buckets->count == (uint32_t)max) {
                full = true;
                break;
            }
            after = name;
            result = sl_s3__find_bucket(op->tx, op->arena, name, &bucket, err);
            if (result) return result;
            if (wanted.len && !sl_str_eq(wanted, bucket.region)) continue;
            struct sl_json *item = sl_json_push(buckets, sl_json_new_object(op->arena));
            sl_json_put_string(op->arena, item, "Name", name);
            sl_json_put_int(op->arena, item, "CreationDate", sl_json_int(bucket.doc, "created_ms", 0));
            bool paged = sl_json_get(op->in, "MaxBuckets") || prefix.ptr || wanted.ptr;
            if (paged) sl_json_put_string(op->arena, item, "BucketRegion", bucket.region);
        }
    }
    sl_json_set(op->out, SL_STR("Buckets"), buckets);
    sl_json_set(op->out, SL_STR("Owner"), sl_s3__owner(op, op->account));
    if (full) sl_op_out(op, "ContinuationToken", after);
    if (prefix.ptr) sl_op_out(op, "Prefix", prefix);
    return 0;
}
