// SPDX-License-Identifier: Apache-2.0
//
// unzip: unpacks an uploaded deployment package. The bytes are hostile; the destination is a fresh directory of ours
// (sl_blob_scratch). Any thread, but slow: use the pool.
#ifndef SL_STORE_UNZIP_H
#define SL_STORE_UNZIP_H

#include "base/error.h"

struct sl_unzip_limits {
    uint64_t max_bytes;   // of all files, counted while they are written; the declared sizes are not believed
    uint32_t max_entries; // files, directories and links
};

// Lambda's: "250 MB for the contents of all files"; the number of entries is ours, a bound on inodes.
#define SL_UNZIP_LAMBDA ((struct sl_unzip_limits){.max_bytes = 262144000, .max_entries = 200000})

// Unpacks a zip (nothing else) below dest_dirfd, which stays the caller's. On success *ret_unzipped_bytes, if not NULL,
// is the sum of the files' sizes; on failure some of the files may be there: discard the directory.
//
// Refused with SL_E_INVALID_PARAMETER and Lambda's text "Could not unzip uploaded file. Please check your file, then
// try to upload again.": what is no zip, truncated, damaged (checksums) or encrypted; names that are absolute, contain
// "..", or a backslash beside slashes (libarchive takes a backslash alone for the separator of some Windows tools), or
// are too long or too deep; two entries of one name, a file where a directory is, or anything below a file or link;
// devices and sockets (a FIFO becomes an empty file: libarchive reads it so, because Info-ZIP marks what it read from a
// pipe as one); hard links; and symbolic links that are absolute or lead out of the package (AWS keeps any link; one
// that stays inside is kept here too). "Uploaded file must be a non-empty zip" for one without files; "Unzipped size
// must be smaller than N bytes" over the limit, as soon as it is passed.
//
// Modes: directories 0755; files 0755 when the zip has any execute bit, else 0644. That is more than the zip may say:
// Lambda asks users to make files readable for all, and a package that forgets it fails there; here it works.
// Set-user-id bits go. Modification times are kept (Python's .pyc files name their source's).
//
// SL_E_IO: the disk. SL_E_NO_MEMORY.
int sl_unzip(struct sl_str zip_bytes, int dest_dirfd, const struct sl_unzip_limits *limits,
             uint64_t *ret_unzipped_bytes, struct sl_error *err);

#endif
