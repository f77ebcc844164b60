// SPDX-License-Identifier: Apache-2.0
//
// archive: libarchive, loaded by those processes that read or write archives: the server, at its start, and the command
// line. Linked, its thirteen libraries were in the spawner as well, and every sandbox begins as a copy of that.
#ifndef SL_STORE_ARCHIVE_H
#define SL_STORE_ARCHIVE_H

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>

// Its functions that are used here, without "archive_"; a line each, and a tool that lays this out anew never ends.
// clang-format off
#define SL_ARCHIVE_FUNCTIONS(X) \
    X(entry_filetype) \
    X(entry_free) \
    X(entry_hardlink) \
    X(entry_is_encrypted) \
    X(entry_mode) \
    X(entry_mtime) \
    X(entry_mtime_is_set) \
    X(entry_new) \
    X(entry_pathname) \
    X(entry_perm) \
    X(entry_set_filetype) \
    X(entry_set_mtime) \
    X(entry_set_pathname) \
    X(entry_set_perm) \
    X(entry_set_size) \
    X(entry_symlink) \
    X(error_string) \
    X(read_data) \
    X(read_data_block) \
    X(read_free) \
    X(read_new) \
    X(read_next_header) \
    X(read_open) \
    X(read_open_filename) \
    X(read_open_memory) \
    X(read_support_filter_gzip) \
    X(read_support_filter_xz) \
    X(read_support_filter_zstd) \
    X(read_support_format_tar) \
    X(read_support_format_zip_seekable) \
    X(set_error) \
    X(write_close) \
    X(write_data) \
    X(write_free) \
    X(write_header) \
    X(write_new) \
    X(write_open) \
    X(write_set_bytes_in_last_block) \
    X(write_set_format_zip)
// clang-format on

struct sl_archive {
#define SL_ARCHIVE_POINTER(name) __typeof__(archive_##name) *name;
    SL_ARCHIVE_FUNCTIONS(SL_ARCHIVE_POINTER)
#undef SL_ARCHIVE_POINTER
};

// Empty until it was loaded.
extern struct sl_archive sl_archive;

// Before anything else; any number of times, any thread. Stays for the life of the process. SL_E_UNAVAILABLE: it is not
// installed.
int sl_archive_load(struct sl_error *err);

#endif
