// SPDX-License-Identifier: Apache-2.0
//
// unzip: see unzip.h. libarchive reads the zip from memory by its central directory, as AWS's unpacking does; this file
// decides what may be written and where. An entry's path is walked component by component from the destination with
// O_NOFOLLOW and created with O_EXCL, so that no link in the package, and no order of entries, leads a write elsewhere.
//
// A bomb is stopped by what it wrote, not by what it says: every block is counted before it is written. The package
// itself is bounded by the caller, so entries that share compressed bytes are bounded by the same count.
#include "store/unzip.h"

#include "store/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LEVELS = 64, MAX_PATH = 4096, MAX_NAME = 255 };

struct job {
    struct archive *archive;
    int root;
    const struct sl_unzip_limits *limits;
    uint64_t bytes;
    uint32_t entries, files;
    struct sl_error *err;
};

static int refuse(struct job *job) {
    return sl_fail(job->err, SL_E_INVALID_PARAMETER,
                   "Could not unzip uploaded file. Please check your file, then try to upload again.");
}

static int too_large(struct job *job) {
    return sl_fail(job->err, SL_E_INVALID_PARAMETER, "Unzipped size must be smaller than %" PRIu64 " bytes",
                   job->limits->max_bytes);
}

static int no_files(struct job *job) {
    return sl_fail(job->err, SL_E_INVALID_PARAMETER, "Uploaded file must be a non-empty zip");
}

// A name that the package causes (too long, taken, below a file) is the package's fault; anything else is the disk's.
static int creation_failed(struct job *job) {
    switch (errno) {
    case EEXIST:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case EILSEQ:
        return refuse(job);
    default:
        return sl_fail_errno(job->err, "unpack");
    }
}

// Takes the next component that means something off the path: "a//./b/" has two. False at the end.
static bool next_component(struct sl_str *path, struct sl_str *ret) {
    while (sl_str_split(path, '/', ret)) {
        if (ret->len && !sl_str_is(*ret, ".")) return true;
    }
    return false;
}

// A path that may be created; *ret_levels is the number of components.
static bool is_safe_path(struct sl_str path, unsigned *ret_levels) {
    if (!path.len || path.len > MAX_PATH || path.ptr[0] == '/' || sl_str_chr(path, '\\', 0) >= 0) return false;
    struct sl_str part;
    *ret_levels = 0;
    while (next_component(&path, &part)) {
        if (sl_str_is(part, "..") || part.len > MAX_NAME || ++*ret_levels > MAX_LEVELS) return false;
    }
    return true;
}

// A link stays inside when it climbs no higher than the root and then only descends. A ".." after a name is not
// allowed: the name may itself be a link, from which the climb would start elsewhere.
static bool is_safe_target(struct sl_str target, unsigned levels_above_root) {
    if (!target.len || target.len > MAX_PATH || target.ptr[0] == '/') return false;
    struct sl_str part;
    unsigned climbed = 0;
    bool descending = false;
    while (next_component(&target, &part)) {
        bool up = sl_str_is(part, "..");
        if (up && (descending || ++climbed > levels_above_root)) return false;
        if (!up) descending = true;
    }
    return true;
}

static void copy_component(struct sl_str part, char out[static MAX_NAME + 1]) {
    memcpy(out, part.ptr, part.len);
    out[part.len] = '\0';
}

// With mode 0755 whatever the umask.
static int make_dir(int parent, const char *name) {
    return mkdirat(parent, name, 0755) == 0 && fchmodat(parent, name, 0755, 0) == 0 ? 0 : -1;
}

// Opens (and makes) the directories of the path but its last component, whose name is left in `last`, "" for the root
// itself. *ret_dir is to be closed unless it is the root.
static int enter_parent(struct job *job, struct sl_str path, char last[static MAX_NAME + 1], int *ret_dir) {
    int dir = job->root;
    struct sl_str part, following;
    last[0] = '\0';
    bool more = next_component(&path, &part);
    if (more) copy_component(part, last);
    while (more && (more = next_component(&path, &following))) {
        if (make_dir(dir, last) != 0 && errno != EEXIST) break;
        int below = openat(dir, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0) break;
        if (dir != job->root) close(dir);
        dir = below;
        copy_component(following, last);
    }
    if (!more) {
        *ret_dir = dir;
        return 0;
    }
    int result = creation_failed(job);
    if (dir != job->root) close(dir);
    return result;
}

static int make_directory(struct job *job, int dir, const char *name) {
    if (!*name) return 0;
    struct stat info;
    if (make_dir(dir, name) == 0) return 0;
    // An entry for a directory that its files have already made, or the same entry once more.
    if (errno == EEXIST && fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode)) return 0;
    return creation_failed(job);
}

static int make_link(struct job *job, struct archive_entry *entry, int dir, const char *name, unsigned levels) {
    const char *target = sl_archive.entry_symlink(entry);
    if (!target || !*name || !is_safe_target(sl_str_of(target), levels - 1)) return refuse(job);
    job->files++;
    return symlinkat(target, dir, name) == 0 ? 0 : creation_failed(job);
}

static int write_block(struct job *job, int fd, const char *bytes, size_t size, int64_t offset) {
    while (size) {
        ssize_t put = pwrite(fd, bytes, size, offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return sl_fail_errno(job->err, "unpack");
        bytes += put;
        offset += put;
        size -= (size_t)put;
    }
    return 0;
}

static int write_content(struct job *job, int fd) {
    for (;;) {
        const void *block;
        size_t size;
        la_int64_t offset;
        int status = sl_archive.read_data_block(job->archive, &block, &size, &offset);
        if (status == ARCHIVE_EOF) return 0;
        if (status != ARCHIVE_OK) return refuse(job); // also a wrong checksum or length
        if (offset < 0 || (uint64_t)offset > job->limits->max_bytes) return too_large(job);
        job->bytes += size;
        if (job->bytes >= job->limits->max_bytes) return too_large(job);
        int result = write_block(job, fd, block, size, offset);
        if (result) return result;
    }
}

static int make_file(struct job *job, struct archive_entry *entry, int dir, const char *name) {
    if (!*name) return refuse(job);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return creation_failed(job);
    job->files++;
    int result = write_content(job, fd);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    if (sl_archive.entry_mtime_is_set(entry)) times[1] = (struct timespec){.tv_sec = sl_archive.entry_mtime(entry)};
    mode_t mode = sl_archive.entry_perm(entry) & 0111 ? 0755 : 0644;
    if (!result && (fchmod(fd, mode) != 0 || futimens(fd, times) != 0)) result = sl_fail_errno(job->err, "unpack");
    if (close(fd) != 0 && !result) result = sl_fail_errno(job->err, "unpack");
    return result;
}

static int unpack_entry(struct job *job, struct archive_entry *entry) {
    const char *name = sl_archive.entry_pathname(entry);
    unsigned levels;
    if (!name || !is_safe_path(sl_str_of(name), &levels)) return refuse(job);
    if (sl_archive.entry_hardlink(entry) || sl_archive.entry_is_encrypted(entry)) return refuse(job);
    mode_t type = sl_archive.entry_filetype(entry);
    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) return refuse(job);
    char last[MAX_NAME + 1];
    int dir = job->root;
    int result = enter_parent(job, sl_str_of(name), last, &dir);
    if (result) return result;
    if (type == AE_IFDIR)
        result = make_directory(job, dir, last);
    else if (type == AE_IFLNK)
        result = make_link(job, entry, dir, last, levels);
    else
        result = make_file(job, entry, dir, last);
    if (dir != job->root) close(dir);
    return result;
}

static int unpack(struct job *job) {
    for (;;) {
        struct archive_entry *entry;
        int status = sl_archive.read_next_header(job->archive, &entry);
        if (status == ARCHIVE_EOF) break;
        // A warning is about a name's character set (which stays as its bytes); everything worse is damage.
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return refuse(job);
        if (++job->entries > job->limits->max_entries) return too_large(job);
        int result = unpack_entry(job, entry);
        if (result) return result;
    }
    return job->files ? 0 : no_files(job);
}

static int read_package(struct job *job, struct sl_str zip_bytes) {
    if (sl_archive_load(job->err)) return job->err->kind;
    job->archive = sl_archive.read_new();
    if (!job->archive) return sl_fail(job->err, SL_E_NO_MEMORY, "unpack: no memory");
    // The seekable reader only: the streaming one would believe local headers that the central directory does not name.
    bool opened = sl_archive.read_support_format_zip_seekable(job->archive) == ARCHIVE_OK &&
                  sl_archive.read_open_memory(job->archive, zip_bytes.ptr, zip_bytes.len) == ARCHIVE_OK;
    int result = opened ? unpack(job) : refuse(job);
    sl_archive.read_free(job->archive);
    return result;
}

int sl_unzip(struct sl_str zip_bytes, int dest_dirfd, const struct sl_unzip_limits *limits,
             uint64_t *ret_unzipped_bytes, struct sl_error *err) {
    struct job job = {.root = dest_dirfd, .limits = limits, .err = err};
    // A zip without entries is only its end record, which libarchive does not take for a zip.
    if (!zip_bytes.len || sl_str_starts(zip_bytes, SL_STR("PK\5\6"))) return no_files(&job);
    // libarchive turns names into the thread's character set, and C.UTF-8 is the one that loses none; the server runs
    // in the C locale, where a name beyond ASCII would have no form.
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    int result = read_package(&job, zip_bytes);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    if (!result && ret_unzipped_bytes) *ret_unzipped_bytes = job.bytes;
    return result;
}
