// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the reader of container images. The first byte of an input says what the rest is: 'a' an archive of an image,
// whose documents are read and which is unpacked if they hold together (digests are checked, so few inputs get there);
// anything else one layer, which is laid over a small tree. Checked beyond memory safety: nothing is written outside of
// the tree, and in it there are only files, folders and links, without set-user-id bits.
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/oci_internal.h"

enum { MEMORY = 64 << 20, OPEN_MAX_DIRECTORIES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)path, (void)kind, (void)at;
    if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode) && !S_ISLNK(info->st_mode)) abort();
    if (!S_ISLNK(info->st_mode) && (info->st_mode & (S_ISUID | S_ISGID)) != 0) abort();
    return 0;
}

static int delete (const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

// Only the tree is there: whatever was unpacked stayed in it.
static void check_beside(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) abort();
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "root") != 0) abort();
    closedir(dir);
}

static void read_archive(int file, int root, const struct sl_oci_limits *limits) {
    char path[64];
    struct sl_arena arena;
    struct sl_oci *oci;
    struct sl_error err;
    sl_arena_init(&arena, MEMORY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (sl_oci_open(&arena, path, SL_STR(""), &oci, &err) == 0) {
        if (sl_oci_digest(oci).len != SL_OCI_DIGEST) abort();
        (void)sl_oci_unpack(oci, root, limits, &err);
    }
    sl_arena_free(&arena);
}

static void read_layer(int file, int root, struct sl_oci_limits *limits) {
    struct sl_error err;
    struct sl_oci__blob blob = {.fd = dup(file), .hash = EVP_MD_CTX_new()};
    if (blob.fd < 0 || !blob.hash || !EVP_DigestInit_ex(blob.hash, EVP_sha256(), NULL)) abort();
    if (mkdirat(root, "usr", 0755) || symlinkat("usr", root, "lib") || symlinkat("/", root, "all") ||
        symlinkat("../..", root, "up"))
        abort();
    (void)sl_oci__layer_unpack(&blob, root, limits, &err);
    (void)sl_oci__make_places(root, &err);
    sl_oci__blob_close(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char folder[] = "/tmp/sluice-fuzz-oci-XXXXXX", path[64];
    struct sl_oci_limits limits = {.max_bytes = 1 << 20, .max_entries = 256};
    if (size == 0) return 0;
    int file = memfd_create("image", MFD_CLOEXEC);
    if (file < 0 || !mkdtemp(folder)) abort();
    snprintf(path, sizeof path, "%s/root", folder);
    if (mkdir(path, 0755) || pwrite(file, data + 1, size - 1, 0) != (ssize_t)size - 1) abort();
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) abort();
    if (data[0] == 'a')
        read_archive(file, root, &limits);
    else
        read_layer(file, root, &limits);
    check_beside(folder);
    if (nftw(path, check, OPEN_MAX_DIRECTORIES, FTW_PHYS)) abort();
    if (nftw(folder, delete, OPEN_MAX_DIRECTORIES, FTW_PHYS | FTW_DEPTH)) abort();
    close(root);
    close(file);
    return 0;
}
