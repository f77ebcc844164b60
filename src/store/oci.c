// SPDX-License-Identifier: Apache-2.0
//
// oci: see oci.h. This file finds blobs, in a folder or in an archive, checks their digests and reads the documents;
// oci_layer.c lays the layers over each other.
//
// An archive is never unpacked as a whole: for each blob that is wanted its members are gone through until it comes
// (members of an uncompressed archive are skipped by seeking). Images have a dozen blobs.
#include "store/oci_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOCUMENT_MAX = 4 << 20, NESTING_MAX = 3, READ = 64 * 1024 };

struct sl_oci {
    char *path;
    bool archive;
    struct sl_arena *arena;
    struct sl_str digest;
    struct sl_json *manifest, *config;
};

// --- blobs
// -------------------------------------------------------------------------------------------------------------

static int damaged(struct sl_error *err, const char *what, const char *name) {
    return sl_fail(err, SL_E_INVALID_PARAMETER, "The image is damaged: %s %s.", name, what);
}

static int open_file(struct sl_oci *oci, const char *name, struct sl_oci__blob *blob, struct sl_error *err) {
    char path[8192];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", oci->path, name) >= sizeof(path))
        return damaged(err, "has too long a name", name);
    blob->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); // a named pipe would keep us waiting
    if (blob->fd < 0) return damaged(err, "is missing", name);
    struct stat info;
    return fstat(blob->fd, &info) == 0 && S_ISREG(info.st_mode) ? 0 : damaged(err, "is no file", name);
}

static int open_member(struct sl_oci *oci, const char *name, struct sl_oci__blob *blob, struct sl_error *err) {
    struct archive_entry *entry;
    if (sl_archive_load(err)) return err->kind;
    blob->outer = sl_archive.read_new();
    if (!blob->outer) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image");
    sl_archive.read_support_format_tar(blob->outer);
    // By name: among "all" are some for which libarchive starts a program of this machine.
    sl_archive.read_support_filter_gzip(blob->outer);
    sl_archive.read_support_filter_xz(blob->outer);
    sl_archive.read_support_filter_zstd(blob->outer);
    if (sl_archive.read_open_filename(blob->outer, oci->path, READ) != ARCHIVE_OK)
        return damaged(err, "is no archive", "the file");
    while (sl_archive.read_next_header(blob->outer, &entry) == ARCHIVE_OK) {
        const char *found = sl_archive.entry_pathname(entry);
        if (found && strncmp(found, "./", 2) == 0) found += 2;
        if (found && strcmp(found, name) == 0 && sl_archive.entry_filetype(entry) == AE_IFREG) return 0;
    }
    return damaged(err, "is missing", name);
}

void sl_oci__blob_close(struct sl_oci__blob *blob) {
    if (blob->outer) sl_archive.read_free(blob->outer);
    if (blob->fd >= 0) close(blob->fd);
    if (blob->hash) EVP_MD_CTX_free(blob->hash);
    *blob = (struct sl_oci__blob){.fd = -1};
}

static int open_name(struct sl_oci *oci, const char *name, struct sl_oci__blob *ret, struct sl_error *err) {
    *ret = (struct sl_oci__blob){.fd = -1, .hash = EVP_MD_CTX_new()};
    int result = ret->hash && EVP_DigestInit_ex(ret->hash, EVP_sha256(), NULL)
                     ? 0
                     : sl_fail(err, SL_E_INTERNAL, "libcrypto cannot make a SHA-256");
    if (result == 0) result = oci->archive ? open_member(oci, name, ret, err) : open_file(oci, name, ret, err);
    if (result != 0) sl_oci__blob_close(ret);
    return result;
}

int sl_oci__blob_open(struct sl_oci *oci, struct sl_str digest, struct sl_oci__blob *ret, struct sl_error *err) {
    const struct sl_str algorithm = SL_STR("sha256:");
    char name[128];
    bool good = sl_str_starts(digest, algorithm) && digest.len == algorithm.len + SL_OCI_DIGEST;
    for (size_t i = algorithm.len; good && i < digest.len; i++)
        good = (digest.ptr[i] >= '0' && digest.ptr[i] <= '9') || (digest.ptr[i] >= 'a' && digest.ptr[i] <= 'f');
    if (!good) return damaged(err, "has a digest that is no SHA-256", "a blob");
    snprintf(name, sizeof(name), "blobs/sha256/%.*s", SL_OCI_DIGEST, digest.ptr + algorithm.len);
    int result = open_name(oci, name, ret, err);
    if (result == 0) memcpy(ret->wanted, digest.ptr + algorithm.len, SL_OCI_DIGEST);
    return result;
}

ssize_t sl_oci__blob_read(struct sl_oci__blob *blob, void *into, size_t size) {
    ssize_t got = blob->outer ? sl_archive.read_data(blob->outer, into, size) : read(blob->fd, into, size);
    if (got > 0) EVP_DigestUpdate(blob->hash, into, (size_t)got);
    return got;
}

int sl_oci__blob_check(struct sl_oci__blob *blob, struct sl_error *err) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[SL_OCI_DIGEST + 1], rest[READ];
    unsigned len = 0;
    while (sl_oci__blob_read(blob, rest, sizeof(rest)) > 0) continue; // what follows a layer's end belongs to it
    EVP_DigestFinal_ex(blob->hash, digest, &len);
    for (unsigned i = 0; i < len && i < SL_OCI_DIGEST / 2; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return memcmp(hex, blob->wanted, SL_OCI_DIGEST) == 0 ? 0 : damaged(err, "is not what its digest says", "a blob");
}

// --- documents
// ---------------------------------------------------------------------------------------------------------

static int parse(struct sl_oci *oci, struct sl_oci__blob *blob, struct sl_json **ret, struct sl_error *err) {
    char *text = sl_arena_alloc(oci->arena, DOCUMENT_MAX);
    size_t len = 0;
    ssize_t got = 1;
    if (!text) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image");
    while (len < DOCUMENT_MAX && (got = sl_oci__blob_read(blob, text + len, DOCUMENT_MAX - len)) > 0)
        len += (size_t)got;
    if (got != 0) return damaged(err, "cannot be read, or is too large", "a document");
    if (sl_json_parse(oci->arena, sl_str_n(text, len), ret, err) != 0 || (*ret)->type != SL_JSON_OBJECT)
        return damaged(err, "is no JSON object", "a document");
    return 0;
}

static int read_document(struct sl_oci *oci, struct sl_str digest, struct sl_json **ret, struct sl_error *err) {
    struct sl_oci__blob blob;
    int result = sl_oci__blob_open(oci, digest, &blob, err);
    if (result != 0) return result;
    result = parse(oci, &blob, ret, err);
    if (result == 0) result = sl_oci__blob_check(&blob, err);
    sl_oci__blob_close(&blob);
    return result;
}

static const char *own_architecture(void) {
#if defined(__aarch64__)
    return "arm64";
#else
    return "amd64";
#endif
}

// Whether the descriptor is for this machine, as far as it says.
static bool fits(const struct sl_json *descriptor) {
    const struct sl_json *platform = sl_json_get(descriptor, "platform");
    if (!platform) return true;
    return sl_str_is(sl_json_string(platform, "os"), "linux") &&
           sl_str_is(sl_json_string(platform, "architecture"), own_architecture());
}

static bool is_tagged(const struct sl_json *descriptor, struct sl_str tag) {
    struct sl_str name = sl_json_string(sl_json_get(descriptor, "annotations"), "org.opencontainers.image.ref.name");
    return tag.len == 0 || sl_str_eq(name, tag);
}

// Goes down from an index to the manifest: indexes may name indexes.
static int find_manifest(struct sl_oci *oci, const struct sl_json *index, struct sl_str tag, unsigned depth,
                         struct sl_error *err) {
    const struct sl_json *list = sl_json_get(index, "manifests"), *chosen = NULL;
    for (const struct sl_json *one = list ? list->first : NULL; one && !chosen; one = one->next)
        if (fits(one) && is_tagged(one, tag)) chosen = one;
    if (!chosen)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The image has nothing for linux/%s%s%.*s.", own_architecture(),
                       tag.len > 0 ? " with the tag " : "", SL_FMT(tag));
    struct sl_json *document;
    struct sl_str digest = sl_json_string(chosen, "digest");
    int result = read_document(oci, digest, &document, err);
    if (result != 0) return result;
    if (sl_json_get(document, "manifests"))
        return depth < NESTING_MAX ? find_manifest(oci, document, SL_STR(""), depth + 1, err)
                                   : damaged(err, "is nested too deeply", "the index");
    oci->manifest = document;
    oci->digest = sl_str_sub(digest, strlen("sha256:"), digest.len);
    return 0;
}

static int read_documents(struct sl_oci *oci, struct sl_str tag, struct sl_error *err) {
    struct sl_oci__blob blob;
    struct sl_json *index, *whole;
    int result = open_name(oci, "index.json", &blob, err);
    if (result != 0) return result;
    result = parse(oci, &blob, &index, err);
    sl_oci__blob_close(&blob);
    if (result == 0) result = find_manifest(oci, index, tag, 0, err);
    if (result == 0)
        result = read_document(oci, sl_json_string(sl_json_get(oci->manifest, "config"), "digest"), &whole, err);
    if (result == 0) oci->config = sl_json_get(whole, "config");
    return result;
}

int sl_oci_open(struct sl_arena *arena, const char *path, struct sl_str tag, struct sl_oci **ret,
                struct sl_error *err) {
    struct stat info;
    struct sl_oci *oci = sl_arena_zalloc(arena, sizeof(*oci));
    if (!oci) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image");
    if (stat(path, &info) != 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "there is no readable file or folder %s", path);
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "%s is neither a file nor a folder", path);
    *oci = (struct sl_oci){.arena = arena, .archive = !S_ISDIR(info.st_mode)};
    oci->path = sl_arena_cstr(arena, sl_str_of(path));
    if (!oci->path) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image");
    int result = read_documents(oci, tag, err);
    if (result == 0) *ret = oci;
    return result;
}

struct sl_str sl_oci_digest(const struct sl_oci *oci) {
    return oci->digest;
}
const struct sl_json *sl_oci_config(const struct sl_oci *oci) { return oci->config; }

int sl_oci_unpack(struct sl_oci *oci, int dest_dirfd, const struct sl_oci_limits *limits, struct sl_error *err) {
    const struct sl_json *layers = sl_json_get(oci->manifest, "layers");
    struct sl_oci_limits left = *limits;
    int result = 0;
    for (const struct sl_json *layer = layers ? layers->first : NULL; layer && result == 0; layer = layer->next) {
        struct sl_oci__blob blob;
        result = sl_oci__blob_open(oci, sl_json_string(layer, "digest"), &blob, err);
        if (result != 0) break;
        result = sl_oci__layer_unpack(&blob, dest_dirfd, &left, err);
        if (result == 0) result = sl_oci__blob_check(&blob, err);
        sl_oci__blob_close(&blob);
    }
    return result == 0 ? sl_oci__make_places(dest_dirfd, err) : result;
}
