// SPDX-License-Identifier: Apache-2.0
//
// action: which permission an operation needs, and on which resource ("Actions, resources, and condition keys for AWS
// services", Service Authorization Reference). Most actions are named like their operation; the tables have the others.
// sl_identity_authorize puts it together: the operation's own action, and those that it implies (reading a copy's
// source, passing a role).
#include "aws/call.h"

#include "aws/app.h"
#include "aws/arn.h"
#include "aws/identity.h"
#include "base/encoding.h"

enum { VALUES_MAX = 40 };

struct renamed {
    const char *operation, *action;
};

static struct sl_str rename_in(const struct renamed *rows, struct sl_str operation) {
    for (; rows->operation; rows++)
        if (sl_str_is(operation, rows->operation)) return sl_str_of(rows->action);
    return operation;
}

static struct sl_str arn_of(const struct sl_op *op, const char *service, struct sl_str region, struct sl_str account,
                            struct sl_str resource) {
    return sl_arena_printf(op->arena, "arn:%.*s:%s:%.*s:%.*s:%.*s", SL_FMT(op->partition), service, SL_FMT(region),
                           SL_FMT(account), SL_FMT(resource));
}

static struct sl_str joined(const struct sl_op *op, const char *prefix, struct sl_str name) {
    return sl_arena_printf(op->arena, "%s%.*s", prefix, SL_FMT(name));
}

// --- lambda
// ----------------------------------------------------------------------------------------------------------------------------

static const struct renamed lambda_names[] = {{"Invoke", "InvokeFunction"},
                                              {"InvokeAsync", "InvokeFunction"},
                                              {"InvokeWithResponseStream", "InvokeFunction"},
                                              {"GetLayerVersionByArn", "GetLayerVersion"},
                                              {NULL, NULL}};

static struct sl_str lambda_function(const struct sl_op *op, struct sl_str text) {
    struct sl_function_ref ref;
    if (!sl_function_ref_parse(text, &ref)) return SL_STR("*");
    struct sl_str qualifier = sl_op_in(op, "Qualifier");
    if (!qualifier.len) qualifier = ref.qualifier;
    return sl_arn_function(op->arena, op->partition, ref.region.len ? ref.region : op->region,
                           ref.account.len ? ref.account : op->account, ref.name, qualifier);
}

static struct sl_str lambda_layer(const struct sl_op *op) {
    struct sl_str name = sl_op_in(op, "LayerName");
    int64_t version = sl_json_int(op->in, "VersionNumber", 0);
    if (!sl_str_starts(name, SL_STR("arn:")))
        name = arn_of(op, "lambda", op->region, op->account, joined(op, "layer:", name));
    return version ? sl_arena_printf(op->arena, "%.*s:%lld", SL_FMT(name), (long long)version) : name;
}

static struct sl_str lambda_resource(const struct sl_op *op) {
    static const char *const whole[] = {"CodeSigningConfigArn", "ResourceArn", "Resource", "Arn"};
    struct sl_str function = sl_op_in(op, "FunctionName"), uuid = sl_op_in(op, "UUID");
    bool listing =
        sl_str_is(op->model->name, "ListEventSourceMappings") || sl_str_is(op->model->name, "CreateEventSourceMapping");
    if (uuid.len) return arn_of(op, "lambda", op->region, op->account, joined(op, "event-source-mapping:", uuid));
    if (function.len && !listing) return lambda_function(op, function);
    if (sl_op_in(op, "LayerName").len) return lambda_layer(op);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (sl_op_in(op, whole[i]).len) return sl_op_in(op, whole[i]);
    return SL_STR("*");
}

// --- sqs
// -------------------------------------------------------------------------------------------------------------------------------

static const struct renamed sqs_names[] = {{"SendMessageBatch", "SendMessage"},
                                           {"DeleteMessageBatch", "DeleteMessage"},
                                           {"ChangeMessageVisibilityBatch", "ChangeMessageVisibility"},
                                           {NULL, NULL}};

// ".../ACCOUNT/NAME"; a region may stand in the host's name or in the path, as queues' addresses have it.
static struct sl_str sqs_resource(const struct sl_op *op) {
    struct sl_str url = sl_op_in(op, "QueueUrl"), name = sl_op_in(op, "QueueName"), last[3] = {{0}, {0}, {0}}, part;
    struct sl_str region = op->region, account = sl_op_in(op, "QueueOwnerAWSAccountId");
    if (sl_op_in(op, "SourceArn").len) return sl_op_in(op, "SourceArn");
    if (name.len) return arn_of(op, "sqs", region, account.len ? account : op->account, name);
    if (!url.len) return SL_STR("*");
    ptrdiff_t host = sl_str_find(url, SL_STR("://sqs."));
    bool in_path = sl_str_find(url, SL_STR("/queue/")) >= 0;
    if (host >= 0) {
        struct sl_str rest = sl_str_sub(url, (size_t)host + 7, url.len), named;
        if (sl_str_split(&rest, '.', &named) && sl_str_chr(named, '-', 0) > 0) region = named;
    }
    for (struct sl_str rest = url; sl_str_split(&rest, '/', &part);) {
        if (!part.len) continue;
        last[0] = last[1];
        last[1] = last[2];
        last[2] = part;
    }
    if (in_path && last[0].len) region = last[0];
    return arn_of(op, "sqs", region, last[1], last[2]);
}

// --- s3
// --------------------------------------------------------------------------------------------------------------------------------

static const struct renamed s3_names[] = {{"CompleteMultipartUpload", "PutObject"},
                                          {"CreateMultipartUpload", "PutObject"},
                                          {"UploadPart", "PutObject"},
                                          {"UploadPartCopy", "PutObject"},
                                          {"CopyObject", "PutObject"},
                                          {"RenameObject", "PutObject"},
                                          {"HeadObject", "GetObject"},
                                          {"SelectObjectContent", "GetObject"},
                                          {"DeleteObjects", "DeleteObject"},
                                          {"HeadBucket", "ListBucket"},
                                          {"ListObjects", "ListBucket"},
                                          {"ListObjectsV2", "ListBucket"},
                                          {"ListObjectVersions", "ListBucketVersions"},
                                          {"ListMultipartUploads", "ListBucketMultipartUploads"},
                                          {"ListParts", "ListMultipartUploadParts"},
                                          {"ListBuckets", "ListAllMyBuckets"},
                                          {"GetBucketCors", "GetBucketCORS"},
                                          {"PutBucketCors", "PutBucketCORS"},
                                          {"DeleteBucketCors", "PutBucketCORS"},
                                          {"GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"},
                                          {"PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"},
                                          {"DeleteBucketLifecycle", "PutLifecycleConfiguration"},
                                          {"GetBucketEncryption", "GetEncryptionConfiguration"},
                                          {"PutBucketEncryption", "PutEncryptionConfiguration"},
                                          {"DeleteBucketEncryption", "PutEncryptionConfiguration"},
                                          {"GetBucketNotificationConfiguration", "GetBucketNotification"},
                                          {"PutBucketNotificationConfiguration", "PutBucketNotification"},
                                          {"GetBucketReplication", "GetReplicationConfiguration"},
                                          {"PutBucketReplication", "PutReplicationConfiguration"},
                                          {"DeleteBucketReplication", "PutReplicationConfiguration"},
                                          {"DeleteBucketTagging", "PutBucketTagging"},
                                          {"GetPublicAccessBlock", "GetBucketPublicAccessBlock"},
                                          {"PutPublicAccessBlock", "PutBucketPublicAccessBlock"},
                                          {"DeletePublicAccessBlock", "PutBucketPublicAccessBlock"},
                                          {"DeleteBucketOwnershipControls", "PutBucketOwnershipControls"},
                                          {"GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"},
                                          {"PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"},
                                          {"GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"},
                                          {"PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"},
                                          {NULL, NULL}};

// Naming a version asks for another permission.
static struct sl_str s3_name(const struct sl_op *op) {
    struct sl_str name = rename_in(s3_names, op->model->name);
    bool versioned = sl_op_in(op, "VersionId").len > 0;
    if (!versioned) return name;
    if (sl_str_is(name, "GetObject")) return SL_STR("GetObjectVersion");
    if (sl_str_is(name, "DeleteObject")) return SL_STR("DeleteObjectVersion");
    if (sl_str_is(name, "GetObjectTagging")) return SL_STR("GetObjectVersionTagging");
    if (sl_str_is(name, "PutObjectTagging")) return SL_STR("PutObjectVersionTagging");
    return sl_str_is(name, "DeleteObjectTagging") ? SL_STR("DeleteObjectVersionTagging") : name;
}

static struct sl_str s3_object(const struct sl_op *op, struct sl_str bucket, struct sl_str key) {
    return sl_arena_printf(op->arena, "arn:%.*s:s3:::%.*s%s%.*s", SL_FMT(op->partition), SL_FMT(bucket),
                           key.len ? "/" : "", SL_FMT(key));
}

static struct sl_str s3_resource(const struct sl_op *op) {
    struct sl_str bucket = sl_op_in(op, "Bucket");
    return bucket.len ? s3_object(op, bucket, sl_op_in(op, "Key")) : SL_STR("*");
}

// --- logs, iam, sts, API Gateway
// ---------------------------------------------------------------------------------------------------------------

static struct sl_str logs_resource(const struct sl_op *op) {
    struct sl_str group = sl_op_in(op, "logGroupName"), stream = sl_op_in(op, "logStreamName"),
                  arn = sl_op_in(op, "resourceArn");
    if (!group.len) group = sl_op_in(op, "logGroupIdentifier");
    if (arn.len) return arn;
    if (sl_str_starts(group, SL_STR("arn:"))) return group;
    if (!group.len) return arn_of(op, "logs", op->region, op->account, SL_STR("log-group::log-stream:"));
    struct sl_str resource =
        stream.len ? sl_arena_printf(op->arena, "log-group:%.*s:log-stream:%.*s", SL_FMT(group), SL_FMT(stream))
                   : sl_arena_printf(op->arena, "log-group:%.*s:log-stream:", SL_FMT(group));
    return arn_of(op, "logs", op->region, op->account, resource);
}

// IAM's entities have paths, which only the entity itself knows.
static struct sl_str iam_entity(const struct sl_op *op, const char *kind, struct sl_str name) {
    const struct sl_identity_config *config = ((const struct sl_app *)op->app)->callers;
    struct sl_str path = sl_op_in(op, "Path");
    if (config) {
        const struct sl_json *known = sl_directory_get(config->directory, kind, op->account, name);
        struct sl_str arn = sl_json_string(known, "Arn");
        if (arn.len) return sl_arena_dup(op->arena, arn);
    }
    if (!path.len) path = SL_STR("/");
    return arn_of(op, "iam", SL_STR(""), op->account,
                  sl_arena_printf(op->arena, "%s%.*s%.*s", kind, SL_FMT(path), SL_FMT(name)));
}

static struct sl_str iam_resource(const struct sl_op *op) {
    static const char *const kinds[][2] = {{"RoleName", "role"}, {"GroupName", "group"}, {"UserName", "user"}};
    struct sl_str policy = sl_op_in(op, "PolicyArn");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (sl_op_in(op, kinds[i][0]).len) return iam_entity(op, kinds[i][1], sl_op_in(op, kinds[i][0]));
    if (policy.len) return policy;
    if (sl_str_is(op->model->name, "CreatePolicy")) return iam_entity(op, "policy", sl_op_in(op, "PolicyName"));
    // Without a name these are about the caller.
    bool own = sl_str_ends(op->model->name, SL_STR("AccessKey")) || sl_str_is(op->model->name, "ListAccessKeys") ||
               sl_str_is(op->model->name, "GetUser");
    return own ? op->caller : SL_STR("*");
}

static struct sl_str gateway_resource(const struct sl_op *op) {
    struct sl_str path = ((const struct call *)op)->request.path;
    if (sl_str_starts(path, SL_STR("/v2/"))) path = sl_str_sub(path, 3, path.len);
    return arn_of(op, "apigateway", op->region, SL_STR(""), path);
}

// --- all
// -------------------------------------------------------------------------------------------------------------------------------

static bool needs_nothing(const struct sl_op *op) {
    return sl_str_is(op->model->service->name, "sts") &&
           (sl_str_is(op->model->name, "GetCallerIdentity") || sl_str_is(op->model->name, "GetSessionToken") ||
            sl_str_is(op->model->name, "AssumeRole")); // decided with the role's trust policy (services/sts)
}

void sl_action_of(const struct sl_op *op, struct sl_str *ret_action, struct sl_str *ret_resource) {
    struct sl_str service = op->model->service->name, name = op->model->name;
    *ret_action = (struct sl_str){0};
    *ret_resource = SL_STR("*");
    if (needs_nothing(op)) return;
    if (sl_str_is(service, "lambda")) {
        *ret_action = joined(op, "lambda:", rename_in(lambda_names, name));
        *ret_resource = lambda_resource(op);
    } else if (sl_str_is(service, "sqs")) {
        *ret_action = joined(op, "sqs:", rename_in(sqs_names, name));
        *ret_resource = sqs_resource(op);
    } else if (sl_str_is(service, "s3")) {
        *ret_action = joined(op, "s3:", s3_name(op));
        *ret_resource = s3_resource(op);
    } else if (sl_str_is(service, "logs")) {
        *ret_action = joined(op, "logs:", name);
        *ret_resource = logs_resource(op);
    } else if (sl_str_is(service, "iam")) {
        *ret_action = joined(op, "iam:", name);
        *ret_resource = iam_resource(op);
    } else if (sl_str_is(service, "apigateway") || sl_str_is(service, "apigatewayv2")) {
        *ret_action = joined(op, "apigateway:", ((const struct call *)op)->request.method);
        *ret_resource = gateway_resource(op);
    } else if (sl_str_is(service, "apigatewaymanagementapi")) {
        *ret_action = SL_STR("execute-api:ManageConnections");
        *ret_resource = arn_of(op, "execute-api", op->region, op->account, SL_STR("*"));
    } else {
        bool metrics = sl_str_is(op->model->service->signing_name, "monitoring");
        *ret_action =
            sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(metrics ? SL_STR("cloudwatch") : service), SL_FMT(name));
    }
}

// --- values that conditions ask for
// ------------------------------------------------------------------------------------------------------------

static void add(struct sl_policy_value *values, unsigned *count, const char *key, struct sl_str value) {
    if (value.len && *count < VALUES_MAX) values[(*count)++] = (struct sl_policy_value){sl_str_of(key), value};
}

static void add_tags(const struct sl_op *op, const struct sl_json *tags, struct sl_policy_value *values,
                     unsigned *count) {
    for (const struct sl_json *at = tags ? tags->first : NULL; at && *count + 2 <= VALUES_MAX; at = at->next) {
        bool map = at->type == SL_JSON_STRING; // "Tags": {"key": "value"}, or a list of keys and values
        struct sl_str key = map ? at->key : sl_json_string(at, "Key"),
                      value = map ? at->text : sl_json_string(at, "Value");
        values[(*count)++] = (struct sl_policy_value){joined(op, "aws:RequestTag/", key), value};
        values[(*count)++] = (struct sl_policy_value){SL_STR("aws:TagKeys"), key};
    }
}

static unsigned values_of(const struct sl_op *op, struct sl_policy_value values[VALUES_MAX]) {
    const struct call *call = (const struct call *)op;
    struct sl_str function = sl_op_in(op, "FunctionName");
    unsigned count = 0;
    add(values, &count, "aws:SourceIp", call->peer);
    add(values, &count, "aws:RequestedRegion", op->region);
    add(values, &count, "aws:SecureTransport", SL_STR("false"));
    add(values, &count, "aws:UserAgent", sl_op_header(op, SL_STR("User-Agent")));
    add(values, &count, "aws:Referer", sl_op_header(op, SL_STR("Referer")));
    if (sl_str_is(op->model->service->name, "s3")) {
        add(values, &count, "s3:prefix", sl_op_in(op, "Prefix"));
        add(values, &count, "s3:delimiter", sl_op_in(op, "Delimiter"));
        add(values, &count, "s3:VersionId", sl_op_in(op, "VersionId"));
    } else if (sl_str_is(op->model->service->name, "lambda")) {
        add(values, &count, "lambda:Principal", sl_op_in(op, "Principal"));
        add(values, &count, "lambda:FunctionUrlAuthType", sl_op_in(op, "AuthType"));
        // Mappings are not functions: the permission names theirs by a condition.
        if (function.len) add(values, &count, "lambda:FunctionArn", lambda_function(op, function));
    } else if (sl_str_is(op->model->service->name, "iam")) {
        add(values, &count, "iam:PolicyARN", sl_op_in(op, "PolicyArn"));
        add(values, &count, "iam:PermissionsBoundary", sl_op_in(op, "PermissionsBoundary"));
    }
    const struct sl_json *tags = sl_json_get(op->in, "Tags");
    add_tags(op, tags ? tags : sl_json_get(op->in, "tags"), values, &count);
    return count;
}

// --- the decision
// ------------------------------------------------------------------------------------------------------------------------

static const struct sl_json *resource_policy(const struct sl_identity_config *config, struct sl_op *op,
                                             struct sl_str resource, struct sl_str *ret_owner) {
    struct sl_arn arn;
    struct sl_json *policy = NULL;
    *ret_owner = (struct sl_str){0};
    if (!sl_arn_parse(resource, &arn)) return NULL;
    if (sl_is_account(arn.account)) *ret_owner = arn.account;
    if (sl_str_is(arn.service, "lambda")) {
        struct sl_str text = {0};
        if (config->function_policy && sl_str_starts(arn.resource, SL_STR("function:")))
            text = config->function_policy(config->user, op->arena, resource);
        return text.len && !sl_json_parse(op->arena, text, &policy, NULL) ? policy : NULL;
    }
    ptrdiff_t slash = sl_str_is(arn.service, "s3") ? sl_str_chr(resource, '/', 0) : -1;
    if (slash >= 0) resource = sl_str_sub(resource, 0, (size_t)slash);
    const struct sl_json *entry = sl_directory_get(config->directory, "resource", resource, (struct sl_str){0});
    *ret_owner = sl_json_string(entry, "Owner");
    return sl_json_get(entry, "Policy");
}

// A bucket's policy cannot take itself out of the hands of its account ("Bucket policies", User Guide).
static bool is_above_policy(const struct sl_op *op, struct sl_str action, struct sl_str owner) {
    return op->identity->kind == SL_IDENTITY_ROOT && sl_str_eq(owner, op->account) &&
           (sl_str_is(action, "s3:GetBucketPolicy") || sl_str_is(action, "s3:PutBucketPolicy") ||
            sl_str_is(action, "s3:DeleteBucketPolicy"));
}

static int check(const struct sl_identity_config *config, struct sl_op *op, struct sl_decision *decision,
                 struct sl_str action, struct sl_str resource, struct sl_error *err) {
    decision->action = action;
    decision->resource = resource;
    decision->resource_policy = resource_policy(config, op, resource, &decision->owner);
    if (is_above_policy(op, action, decision->owner)) decision->resource_policy = NULL;
    int result = sl_decide_or_fail(op->arena, decision, err);
    op->granted = !result && decision->owner.len && !sl_str_eq(decision->owner, op->account);
    return result;
}

// A role that is handed to a service: whoever could pass any role could become it.
static int check_passed(const struct sl_identity_config *config, struct sl_op *op, struct sl_decision *decision,
                        struct sl_error *err) {
    struct sl_str service = op->model->service->name, role = {0}, to = {0};
    if (sl_str_is(service, "lambda")) {
        role = sl_op_in(op, "Role");
        to = SL_STR("lambda.amazonaws.com");
    } else if (sl_str_starts(service, SL_STR("apigateway"))) {
        role = sl_op_in(op, sl_str_is(service, "apigateway") ? "credentials" : "CredentialsArn");
        to = SL_STR("apigateway.amazonaws.com");
    }
    if (!sl_str_starts(role, SL_STR("arn:")) || sl_str_find(role, SL_STR(":role/")) < 0) return 0;
    struct sl_policy_value values[VALUES_MAX + 1];
    memcpy(values, decision->values, decision->value_count * sizeof *values);
    struct sl_decision passed = *decision;
    values[passed.value_count++] = (struct sl_policy_value){SL_STR("iam:PassedToService"), to};
    passed.values = values;
    return check(config, op, &passed, SL_STR("iam:PassRole"), role, err);
}

// What else S3's operations touch: the source of a copy, each of many objects.
static int check_objects(const struct sl_identity_config *config, struct sl_op *op, struct sl_decision *decision,
                         struct sl_error *err) {
    struct sl_str source = sl_op_in(op, "CopySource"), decoded, path;
    const struct sl_json *objects = sl_json_get(sl_json_get(op->in, "Delete"), "Objects");
    int result = 0;
    if (source.len && sl_percent_decode(op->arena, source, false, &decoded)) {
        struct sl_str rest = sl_str_starts(decoded, SL_STR("/")) ? sl_str_sub(decoded, 1, decoded.len) : decoded;
        bool version = sl_str_find(source, SL_STR("?versionId=")) >= 0;
        path = rest;
        ptrdiff_t query = version ? sl_str_find(rest, SL_STR("?versionId=")) : -1;
        if (query >= 0) path = sl_str_sub(rest, 0, (size_t)query);
        struct sl_str resource = sl_arena_printf(op->arena, "arn:%.*s:s3:::%.*s", SL_FMT(op->partition), SL_FMT(path));
        result = check(config, op, decision, version ? SL_STR("s3:GetObjectVersion") : SL_STR("s3:GetObject"), resource,
                       err);
    }
    for (const struct sl_json *at = objects ? objects->first : NULL; at && !result; at = at->next) {
        bool version = sl_json_string(at, "VersionId").len > 0;
        result = check(config, op, decision, version ? SL_STR("s3:DeleteObjectVersion") : SL_STR("s3:DeleteObject"),
                       s3_object(op, sl_op_in(op, "Bucket"), sl_json_string(at, "Key")), err);
    }
    return result;
}

static int authorize(const struct sl_identity_config *config, struct sl_op *op, struct sl_error *err) {
    struct sl_policy_value values[VALUES_MAX];
    struct sl_str action, resource;
    sl_action_of(op, &action, &resource);
    if (!action.len) return 0;
    bool many = sl_str_is(op->model->name, "DeleteObjects");
    struct sl_decision decision = {.directory = config->directory,
                                   .identity = op->identity->kind == SL_IDENTITY_ANONYMOUS ? NULL : op->identity,
                                   .values = values,
                                   .value_count = values_of(op, values)};
    int result = many ? 0 : check(config, op, &decision, action, resource, err);
    if (!result) result = check_passed(config, op, &decision, err);
    if (!result && sl_call__is_xml((const struct call *)op)) result = check_objects(config, op, &decision, err);
    return result;
}

int sl_identity_authorize(void *user, struct sl_op *op, struct sl_error *err) {
    const struct sl_identity_config *config = user;
    if (!op->identity) return config->enforce ? sl_fail(err, SL_E_ACCESS_DENIED, "Access Denied") : 0;
    if (op->identity->kind == SL_IDENTITY_OWNER) return 0;
    sl_directory_enter();
    int result = authorize(config, op, err);
    sl_directory_leave();
    return result;
}
