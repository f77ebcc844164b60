// SPDX-License-Identifier: Apache-2.0
//
// oci: container images as files, without a daemon: an OCI image layout (a folder with index.json and blobs/), or an
// archive of one (what `skopeo copy ... oci-archive:`, `podman save --format oci-archive` and `docker buildx --output
// type=oci` write). Image specification 1.1. Everything in them is hostile; every blob is checked against its digest.
// Any thread, but slow: use the pool.
#ifndef SL_STORE_OCI_H
#define SL_STORE_OCI_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

enum { SL_OCI_DIGEST = 64 }; // hexadecimal digits of a SHA-256

struct sl_oci;

struct sl_oci_limits {
    uint64_t max_bytes;   // of all files as written, layer over layer
    uint32_t max_entries; // of all layers
};
// Lambda's: "maximum uncompressed image size, including all layers: 10 GB"; the number of entries is ours.
#define SL_OCI_LAMBDA ((struct sl_oci_limits){.max_bytes = 10ull << 30, .max_entries = 1000000})

// Opens the image at an absolute path and reads its manifest and configuration, for this machine's architecture where
// there are several. `tag` (may be empty) chooses by the annotation org.opencontainers.image.ref.name among several
// images. It lives in the arena and holds nothing open. SL_E_INVALID_PARAMETER with what is wrong.
int sl_oci_open(struct sl_arena *arena, const char *path, struct sl_str tag, struct sl_oci **ret, struct sl_error *err);
// Of the manifest: what "@sha256:" names.
struct sl_str sl_oci_digest(const struct sl_oci *oci);
// The configuration's "config" object (Env, Entrypoint, Cmd, WorkingDir ...); may be NULL.
const struct sl_json *sl_oci_config(const struct sl_oci *oci);
// Unpacks all layers below dest_dirfd (a fresh directory of ours), with whiteouts. Names are resolved as if the
// directory were the root, so nothing outside is reached whatever links the image has. Files are readable and
// directories searchable for all, set-user-id bits and owners go, devices are left out. What a sandbox mounts on
// (proc, dev, tmp, run, etc/resolv.conf ...) is made at the end.
int sl_oci_unpack(struct sl_oci *oci, int dest_dirfd, const struct sl_oci_limits *limits, struct sl_error *err);

#endif
