// SPDX-License-Identifier: Apache-2.0
//
// error: what went wrong, as a value. A fallible function returns 0 or a kind (never negative) and takes a trailing
// `struct sl_error *`; the message lives inline so that out-of-memory can be reported too. Context is wrapped on the
// way up. One table gives kind, AWS error name (x-amzn-ErrorType, <Code>), HTTP status and who is to blame. Library
// code does not log; the boundary (http, daemon, cli) logs or answers once.
#ifndef SL_BASE_ERROR_H
#define SL_BASE_ERROR_H

#include "base/str.h"

// kind, AWS name, HTTP status. Kinds above the line are ours and surface as InternalFailure-like errors when they reach
// a client.
#define SL_ERROR_TABLE(X)                                                                                              \
    X(INTERNAL, "InternalFailure", 500)                                                                                \
    X(NO_MEMORY, "InternalFailure", 500)                                                                               \
    X(IO, "InternalFailure", 500)                                                                                      \
    X(LIMIT, "InternalFailure", 500)                                                                                   \
    X(INVALID, "InternalFailure", 500)                                                                                 \
    X(USAGE, "InternalFailure", 500)                                                                                   \
    X(UNAVAILABLE, "ServiceUnavailableException", 503)                                                                 \
    /* shared by several services */                                                                                   \
    X(VALIDATION, "ValidationException", 400)                                                                          \
    X(SERIALIZATION, "SerializationException", 400)                                                                    \
    X(ACCESS_DENIED, "AccessDeniedException", 403)                                                                     \
    X(UNKNOWN_OPERATION, "UnknownOperationException", 404)                                                             \
    X(NOT_IMPLEMENTED, "NotImplementedException", 501)                                                                 \
    X(MISSING_TOKEN, "MissingAuthenticationTokenException", 403)                                                       \
    X(INCOMPLETE_SIGNATURE, "IncompleteSignatureException", 403)                                                       \
    X(INVALID_SIGNATURE, "InvalidSignatureException", 403)                                                             \
    X(UNRECOGNIZED_CLIENT, "UnrecognizedClientException", 403)                                                         \
    X(EXPIRED_TOKEN, "ExpiredTokenException", 403)                                                                     \
    X(MALFORMED, "MalformedRequestException", 400)                                                                     \
    /* lambda */                                                                                                       \
    X(INVALID_PARAMETER, "InvalidParameterValueException", 400)                                                        \
    X(RESOURCE_NOT_FOUND, "ResourceNotFoundException", 404)                                                            \
    X(RESOURCE_CONFLICT, "ResourceConflictException", 409)                                                             \
    X(RESOURCE_IN_USE, "ResourceInUseException", 400)                                                                  \
    X(PRECONDITION_FAILED, "PreconditionFailedException", 412)                                                         \
    X(PROVISIONED_NOT_FOUND, "ProvisionedConcurrencyConfigNotFoundException", 404)                                     \
    X(CODE_SIGNING_NOT_FOUND, "CodeSigningConfigNotFoundException", 404)                                               \
    X(CODE_VERIFICATION, "CodeVerificationFailedException", 400)                                                       \
    X(POLICY_LENGTH, "PolicyLengthExceededException", 400)                                                             \
    X(CODE_STORAGE, "CodeStorageExceededException", 400)                                                               \
    X(REQUEST_TOO_LARGE, "RequestTooLargeException", 413)                                                              \
    X(REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLargeException", 413)                                                 \
    X(INVALID_REQUEST_CONTENT, "InvalidRequestContentException", 400)                                                  \
    X(UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", 415)                                                    \
    X(RECURSIVE_INVOCATION, "RecursiveInvocationException", 400)                                                       \
    X(SNAP_START, "SnapStartException", 400)                                                                           \
    X(SNAP_START_NOT_READY, "SnapStartNotReadyException", 409)                                                         \
    X(SNAP_START_TIMEOUT, "SnapStartTimeoutException", 408)                                                            \
    X(THROTTLED, "TooManyRequestsException", 429)                                                                      \
    X(SERVICE, "ServiceException", 500)                                                                                \
    X(INVALID_RUNTIME, "InvalidRuntimeException", 502)                                                                 \
    X(INVALID_ZIP, "InvalidZipFileException", 502)                                                                     \
    X(RESOURCE_NOT_READY, "ResourceNotReadyException", 502)                                                            \
    X(CODE_PENDING, "CodeArtifactUserPendingException", 500)                                                           \
    /* API Gateway v1 and v2 */                                                                                        \
    X(NOT_FOUND, "NotFoundException", 404)                                                                             \
    X(BAD_REQUEST, "BadRequestException", 400)                                                                         \
    X(CONFLICT, "ConflictException", 409)                                                                              \
    X(LIMIT_EXCEEDED, "LimitExceededException", 429)                                                                   \
    X(FORBIDDEN, "ForbiddenException", 403)                                                                            \
    X(GONE, "GoneException", 410)                                                                                      \
    X(PAYLOAD_TOO_LARGE, "PayloadTooLargeException", 413)                                                              \
    /* iam and sts (query protocol) */                                                                                 \
    X(ENTITY_EXISTS, "EntityAlreadyExists", 409)                                                                       \
    X(NO_SUCH_ENTITY, "NoSuchEntity", 404)                                                                             \
    X(DELETE_CONFLICT, "DeleteConflict", 409)                                                                          \
    X(MALFORMED_POLICY, "MalformedPolicyDocument", 400)                                                                \
    X(INVALID_ACTION, "InvalidAction", 400)                                                                            \
    X(INVALID_INPUT, "InvalidInput", 400)                                                                              \
    X(QUERY_VALIDATION, "ValidationError", 400)                                                                        \
    X(PACKED_POLICY, "PackedPolicyTooLarge", 400)                                                                      \
    X(INVALID_IDENTITY_TOKEN, "InvalidIdentityToken", 400)                                                             \
    X(INVALID_AUTHORIZATION_MESSAGE, "InvalidAuthorizationMessageException", 400)                                      \
    /* sqs: names as the JSON protocol has them; the query protocol's are in the tables */                             \
    X(MISSING_PARAMETER, "MissingRequiredParameterException", 400)                                                     \
    X(QUEUE_DOES_NOT_EXIST, "QueueDoesNotExist", 400)                                                                  \
    X(QUEUE_NAME_EXISTS, "QueueNameExists", 400)                                                                       \
    X(QUEUE_DELETED_RECENTLY, "QueueDeletedRecently", 400)                                                             \
    X(INVALID_ATTRIBUTE_NAME, "InvalidAttributeName", 400)                                                             \
    X(INVALID_ATTRIBUTE_VALUE, "InvalidAttributeValue", 400)                                                           \
    X(INVALID_ADDRESS, "InvalidAddress", 404)                                                                          \
    X(INVALID_RECEIPT_HANDLE, "ReceiptHandleIsInvalid", 404)                                                           \
    X(MESSAGE_NOT_INFLIGHT, "MessageNotInflight", 400)                                                                 \
    X(MESSAGE_CONTENTS, "InvalidMessageContents", 400)                                                                 \
    X(OVER_LIMIT, "OverLimit", 403)                                                                                    \
    X(PURGE_IN_PROGRESS, "PurgeQueueInProgress", 403)                                                                  \
    X(BATCH_EMPTY, "EmptyBatchRequest", 400)                                                                           \
    X(BATCH_TOO_MANY, "TooManyEntriesInBatchRequest", 400)                                                             \
    X(BATCH_TOO_LONG, "BatchRequestTooLong", 400)                                                                      \
    X(BATCH_NOT_DISTINCT, "BatchEntryIdsNotDistinct", 400)                                                             \
    X(BATCH_ENTRY_ID, "InvalidBatchEntryId", 400)                                                                      \
    X(UNSUPPORTED_OPERATION, "UnsupportedOperation", 400)                                                              \
    /* logs */                                                                                                         \
    X(ALREADY_EXISTS, "ResourceAlreadyExistsException", 400)                                                           \
    X(LOGS_PARAMETER, "InvalidParameterException", 400)                                                                \
    /* cloudwatch */                                                                                                   \
    X(PARAMETER_COMBINATION, "InvalidParameterCombinationException", 400)                                              \
    X(INVALID_NEXT_TOKEN, "InvalidNextToken", 400)                                                                     \
    /* s3 */                                                                                                           \
    X(MALFORMED_XML, "MalformedXML", 400)                                                                              \
    X(S3_NO_SUCH_BUCKET, "NoSuchBucket", 404)                                                                          \
    X(S3_NO_SUCH_KEY, "NoSuchKey", 404)                                                                                \
    X(S3_NO_SUCH_UPLOAD, "NoSuchUpload", 404)                                                                          \
    X(S3_NO_SUCH_VERSION, "NoSuchVersion", 404)                                                                        \
    X(S3_NO_SUCH_TAGS, "NoSuchTagSet", 404)                                                                            \
    X(S3_MALFORMED_POLICY, "MalformedPolicy", 400)                                                                     \
    X(S3_POLICY_TOO_LARGE, "PolicyTooLarge", 400)                                                                      \
    X(S3_NO_SUCH_POLICY, "NoSuchBucketPolicy", 404)                                                                    \
    X(S3_NO_SUCH_CORS, "NoSuchCORSConfiguration", 404)                                                                 \
    X(S3_NO_SUCH_LIFECYCLE, "NoSuchLifecycleConfiguration", 404)                                                       \
    X(S3_NO_SUCH_WEBSITE, "NoSuchWebsiteConfiguration", 404)                                                           \
    X(S3_NO_SUCH_ACCESS_BLOCK, "NoSuchPublicAccessBlockConfiguration", 404)                                            \
    X(S3_NO_OWNERSHIP, "OwnershipControlsNotFoundError", 404)                                                          \
    X(S3_NO_REPLICATION, "ReplicationConfigurationNotFoundError", 404)                                                 \
    X(S3_NO_OBJECT_LOCK, "ObjectLockConfigurationNotFoundError", 404)                                                  \
    X(S3_NO_CONFIGURATION, "NoSuchConfiguration", 404)                                                                 \
    X(S3_BUCKET_EXISTS, "BucketAlreadyExists", 409)                                                                    \
    X(S3_BUCKET_OWNED, "BucketAlreadyOwnedByYou", 409)                                                                 \
    X(S3_BUCKET_NOT_EMPTY, "BucketNotEmpty", 409)                                                                      \
    X(S3_TOO_MANY_BUCKETS, "TooManyBuckets", 400)                                                                      \
    X(S3_INVALID_BUCKET_NAME, "InvalidBucketName", 400)                                                                \
    X(S3_INVALID_LOCATION, "IllegalLocationConstraintException", 400)                                                  \
    X(S3_INVALID_LOCATION_NAME, "InvalidLocationConstraint", 400)                                                      \
    X(S3_INVALID_BUCKET_STATE, "InvalidBucketState", 409)                                                              \
    X(S3_ILLEGAL_VERSIONING, "IllegalVersioningConfigurationException", 400)                                           \
    X(S3_INVALID_ARGUMENT, "InvalidArgument", 400)                                                                     \
    X(S3_INVALID_REQUEST, "InvalidRequest", 400)                                                                       \
    X(S3_INVALID_TAG, "InvalidTag", 400)                                                                               \
    X(S3_INVALID_STORAGE_CLASS, "InvalidStorageClass", 400)                                                            \
    X(S3_INVALID_PART, "InvalidPart", 400)                                                                             \
    X(S3_INVALID_PART_ORDER, "InvalidPartOrder", 400)                                                                  \
    X(S3_INVALID_PART_NUMBER, "InvalidPartNumber", 416)                                                                \
    X(S3_TOO_SMALL, "EntityTooSmall", 400)                                                                             \
    X(S3_TOO_LARGE, "EntityTooLarge", 400)                                                                             \
    X(S3_BAD_DIGEST, "BadDigest", 400)                                                                                 \
    X(S3_INVALID_DIGEST, "InvalidDigest", 400)                                                                         \
    X(S3_SHA256_MISMATCH, "XAmzContentSHA256Mismatch", 400)                                                            \
    X(S3_INCOMPLETE_BODY, "IncompleteBody", 400)                                                                       \
    X(S3_MISSING_LENGTH, "MissingContentLength", 411)                                                                  \
    X(S3_INVALID_RANGE, "InvalidRange", 416)                                                                           \
    X(S3_PRECONDITION, "PreconditionFailed", 412)                                                                      \
    X(S3_NOT_MODIFIED, "NotModified", 304)                                                                             \
    X(S3_KEY_TOO_LONG, "KeyTooLongError", 400)                                                                         \
    X(S3_METADATA_TOO_LARGE, "MetadataTooLarge", 400)                                                                  \
    X(S3_METHOD_NOT_ALLOWED, "MethodNotAllowed", 405)                                                                  \
    X(S3_SLOW_DOWN, "SlowDown", 503)                                                                                   \
    X(S3_ACCESS_DENIED, "AccessDenied", 403)                                                                           \
    X(S3_TIME_SKEWED, "RequestTimeTooSkewed", 403)                                                                     \
    X(S3_NOT_IMPLEMENTED, "NotImplemented", 501)                                                                       \
    X(S3_NO_ACLS, "AccessControlListNotSupported", 400)                                                                \
    X(S3_BAD_REQUEST, "BadRequest", 400)                                                                               \
    X(S3_NO_ENCRYPTION, "ServerSideEncryptionConfigurationNotFoundError", 404)                                         \
    X(S3_MALFORMED_POST, "MalformedPOSTRequest", 400)

enum sl_error_kind {
    SL_OK = 0,
#define X(kind, name, status) SL_E_##kind,
    SL_ERROR_TABLE(X)
#undef X
        SL_E_COUNT
};

struct sl_error {
    int kind;
    char message[4000]; // NUL-terminated; long enough for AWS's enum listings
};

// Sets kind and message; returns kind, so that `return sl_fail(err, SL_E_..., ...)` reads well. err may be NULL.
int sl_fail(struct sl_error *err, int kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
// The same for a failed system call: appends ": <strerror(errno)>". Kind is SL_E_IO.
int sl_fail_errno(struct sl_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Puts context before the message: "open sluice.db: " + message. Returns err->kind.
int sl_wrap(struct sl_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The row of the table; an unknown kind gives INTERNAL's.
const char *sl_error_name(int kind);
int sl_error_status(int kind);

#endif
