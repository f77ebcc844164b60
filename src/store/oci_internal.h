// SPDX-License-Identifier: Apache-2.0
//
// oci_internal: what oci.c and oci_layer.c share.
#ifndef SL_STORE_OCI_INTERNAL_H
#define SL_STORE_OCI_INTERNAL_H

#include "store/archive.h"
#include "store/oci.h"

#include <openssl/evp.h>
#include <sys/types.h>

struct archive;

// A blob being read: a file, or a member of an archive.
struct sl_oci__blob {
    int fd; // -1: a member
    struct archive *outer;
    EVP_MD_CTX *hash;
    char wanted[SL_OCI_DIGEST];
};
int sl_oci__blob_open(struct sl_oci *oci, struct sl_str digest, struct sl_oci__blob *ret, struct sl_error *err);
// Bytes read, 0 at the end, less on failure.
ssize_t sl_oci__blob_read(struct sl_oci__blob *blob, void *into, size_t size);
// Reads the rest and compares with the digest.
int sl_oci__blob_check(struct sl_oci__blob *blob, struct sl_error *err);
void sl_oci__blob_close(struct sl_oci__blob *blob);

// Lays one layer over what is below `root`; takes what it writes off the limits.
int sl_oci__layer_unpack(struct sl_oci__blob *blob, int root, struct sl_oci_limits *left, struct sl_error *err);
int sl_oci__make_places(int root, struct sl_error *err);

#endif
