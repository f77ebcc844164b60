// SPDX-License-Identifier: Apache-2.0
//
// oci_layer: one layer of an image (a tar, mostly compressed) over the tree that the layers below it made.
//
// Names. Entries of a layer may lie behind links of the layers below ("lib/x" where /lib is a link to usr/lib), also
// absolute ones, which mean the image's root. So the parent of every entry is opened with openat2(RESOLVE_IN_ROOT): the
// kernel resolves as if the destination were the root, and ".." and links cannot leave it; the entry itself is then
// made by its last name in that parent, never through a link. (path_resolution(7), openat2(2).)
//
// Whiteouts (image specification, "Representing Changes"): ".wh.name" removes name, ".wh..wh..opq" everything that
// lower layers have in the directory. This layer's own entries come back after it; an opaque mark that comes late would
// take away what this layer has put there, so marks apply to what was there before: tools write them first.
#include "store/oci_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PART = 64 * 1024, DEPTH_MAX = 128, PATH_BYTES = 4096 };

struct layer {
    struct sl_oci__blob *blob;
    struct archive *tar;
    int root;
    struct sl_oci_limits *left;
    struct sl_error *err;
    char part[PART];
};

static int broken(struct layer *layer, const char *name) {
    const char *why = sl_archive.error_string(layer->tar);
    return sl_fail(layer->err, SL_E_INVALID_PARAMETER, "The image is damaged: %.200s: %.200s.", name,
                   why ? why : "a layer cannot be unpacked");
}

// What the image asks for cannot be, rather than that this machine cannot do it.
static int refused(struct layer *layer, const char *what, const char *path) {
    bool asked = errno == ENOENT || errno == EPERM || errno == ENAMETOOLONG || errno == EMLINK || errno == EINVAL;
    return asked ? broken(layer, path) : sl_fail_errno(layer->err, "%s %s of an image", what, path);
}

// --- places
// ------------------------------------------------------------------------------------------------------------

static int open_inside(int root, const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path[0] ? path : ".", &how, sizeof(how));
}

static int remove_tree(int parent, const char *name, unsigned depth);

static int empty_directory(int directory, unsigned depth) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    int result = 0;
    if (!entries) {
        if (copy >= 0) close(copy);
        return -1;
    }
    for (struct dirent *entry; result == 0 && (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = remove_tree(dirfd(entries), entry->d_name, depth + 1);
    closedir(entries);
    return result;
}

// Whatever is there under the name; 0 also when nothing is.
static int remove_tree(int parent, const char *name, unsigned depth) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if ((errno != EISDIR && errno != EPERM) || depth > DEPTH_MAX) return -1;
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0) return -1;
    int result = empty_directory(directory, depth);
    close(directory);
    return result == 0 ? unlinkat(parent, name, AT_REMOVEDIR) : result;
}

// Opens a directory below the root, making what is missing of it. `path` is changed and restored.
static int open_directory(int root, char *path) {
    int found = open_inside(root, path, O_RDONLY | O_DIRECTORY);
    if (found >= 0 || errno != ENOENT) return found;
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash) *slash = '\0';
    int parent = slash ? open_directory(root, path) : open_inside(root, ".", O_RDONLY | O_DIRECTORY);
    if (slash) *slash = '/';
    if (parent < 0) return -1;
    if (mkdirat(parent, name, 0755) == 0) found = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(parent);
    return found;
}

// "./a//b/" becomes "a/b"; false for names with "..", and too long ones.
static bool clean(const char *from, char to[static PATH_BYTES]) {
    size_t len = 0;
    unsigned depth = 0;
    while (*from) {
        size_t part = strcspn(from, "/");
        if (part == 2 && from[0] == '.' && from[1] == '.') return false;
        if (part > 0 && !(part == 1 && from[0] == '.')) {
            if (len + part + 2 > PATH_BYTES || part > 255 || ++depth > DEPTH_MAX) return false;
            if (len > 0) to[len++] = '/';
            memcpy(to + len, from, part);
            len += part;
        }
        from += part + (from[part] == '/');
    }
    to[len] = '\0';
    return true;
}

// --- entries
// -----------------------------------------------------------------------------------------------------------

static int write_file(struct layer *layer, int fd, const char *path) {
    la_ssize_t got;
    while ((got = sl_archive.read_data(layer->tar, layer->part, PART)) > 0) {
        if ((uint64_t)got > layer->left->max_bytes)
            return sl_fail(layer->err, SL_E_INVALID_PARAMETER, "The image is larger than Lambda allows (10 GB).");
        layer->left->max_bytes -= (uint64_t)got;
        for (la_ssize_t done = 0; done < got;) {
            ssize_t wrote = write(fd, layer->part + done, (size_t)(got - done));
            if (wrote < 0) return sl_fail_errno(layer->err, "write %s of an image", path);
            done += wrote;
        }
    }
    return got == 0 ? 0 : broken(layer, path);
}

static int make_file(struct layer *layer, int parent, const char *name, const char *path, mode_t mode) {
    int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return sl_fail_errno(layer->err, "make %s of an image", path);
    int result = write_file(layer, fd, path);
    if (result == 0 && fchmod(fd, mode & 0111 ? 0755 : 0644) != 0)
        result = sl_fail_errno(layer->err, "make %s of an image", path);
    if (close(fd) != 0 && result == 0) result = sl_fail_errno(layer->err, "write %s of an image", path);
    return result;
}

static int make_hard_link(struct layer *layer, int parent, const char *name, const char *path, const char *target) {
    char cleaned[PATH_BYTES];
    if (!clean(target, cleaned) || !cleaned[0]) return broken(layer, path);
    char *slash = strrchr(cleaned, '/');
    if (slash) *slash = '\0';
    int from = open_inside(layer->root, slash ? cleaned : ".", O_RDONLY | O_DIRECTORY);
    if (from < 0) return broken(layer, path);
    int made = linkat(from, slash ? slash + 1 : cleaned, parent, name, 0);
    close(from);
    return made == 0 ? 0 : refused(layer, "link", path);
}

static int make_directory(struct layer *layer, int parent, const char *name, const char *path) {
    struct stat info;
    bool there = fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && S_ISDIR(info.st_mode)) return 0;
    if ((there && remove_tree(parent, name, 0) != 0) || mkdirat(parent, name, 0755) != 0)
        return sl_fail_errno(layer->err, "make %s of an image", path);
    return 0;
}

static int make_entry(struct layer *layer, struct archive_entry *entry, int parent, const char *name,
                      const char *path) {
    const char *target = sl_archive.entry_hardlink(entry);
    unsigned type = sl_archive.entry_filetype(entry);
    if (!target && type == AE_IFDIR) return make_directory(layer, parent, name, path);
    if (!target && type != AE_IFREG && type != AE_IFLNK) return 0; // devices and pipes
    if (remove_tree(parent, name, 0) != 0) return sl_fail_errno(layer->err, "replace %s of an image", path);
    if (target) return make_hard_link(layer, parent, name, path, target);
    if (type == AE_IFREG) return make_file(layer, parent, name, path, sl_archive.entry_mode(entry));
    const char *link = sl_archive.entry_symlink(entry);
    if (!link) return broken(layer, path);
    return symlinkat(link, parent, name) == 0 ? 0 : refused(layer, "link", path);
}

static int unpack_entry(struct layer *layer, struct archive_entry *entry) {
    static const char whiteout[] = ".wh.", opaque[] = ".wh..wh..opq";
    char path[PATH_BYTES];
    const char *given = sl_archive.entry_pathname(entry);
    if (!given || !clean(given, path)) return broken(layer, given ? given : "an entry without a name");
    if (!path[0]) return 0; // the root itself
    if (layer->left->max_entries-- == 0)
        return sl_fail(layer->err, SL_E_INVALID_PARAMETER, "The image has too many files.");
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash) *slash = '\0';
    int parent = slash ? open_directory(layer->root, path) : open_inside(layer->root, ".", O_RDONLY | O_DIRECTORY);
    if (slash) *slash = '/';
    // Behind a link that leads nowhere or to a file.
    if (parent < 0 && (errno == EEXIST || errno == ENOTDIR || errno == ELOOP)) return broken(layer, path);
    if (parent < 0) return sl_fail_errno(layer->err, "make the folder of %s of an image", path);
    const char *hidden = name + strlen(whiteout);
    bool hides = strncmp(name, whiteout, strlen(whiteout)) == 0 && strcmp(name, opaque) != 0;
    int result = 0;
    if (hides && (!hidden[0] || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0))
        result = broken(layer, path);
    else if (strcmp(name, opaque) == 0)
        result = empty_directory(parent, 0) == 0 ? 0 : sl_fail_errno(layer->err, "empty the folder of %s", path);
    else if (hides)
        result = remove_tree(parent, hidden, 0) == 0 ? 0 : sl_fail_errno(layer->err, "remove %s", path);
    else
        result = make_entry(layer, entry, parent, name, path);
    close(parent);
    return result;
}

static la_ssize_t feed(struct archive *tar, void *user, const void **ret_bytes) {
    static _Thread_local char bytes[PART];
    ssize_t got = sl_oci__blob_read(user, bytes, sizeof(bytes));
    if (got < 0) sl_archive.set_error(tar, EIO, "a blob cannot be read");
    *ret_bytes = bytes;
    return got;
}

int sl_oci__layer_unpack(struct sl_oci__blob *blob, int root, struct sl_oci_limits *left, struct sl_error *err) {
    struct layer layer = {.blob = blob, .root = root, .left = left, .err = err};
    struct archive_entry *entry;
    if (sl_archive_load(err)) return err->kind;
    layer.tar = sl_archive.read_new();
    if (!layer.tar) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an image");
    sl_archive.read_support_format_tar(layer.tar);
    sl_archive.read_support_filter_gzip(layer.tar);
    sl_archive.read_support_filter_zstd(layer.tar);
    int result = sl_archive.read_open(layer.tar, blob, NULL, feed, NULL) == ARCHIVE_OK ? 0 : broken(&layer, "a layer");
    while (result == 0) {
        int next = sl_archive.read_next_header(layer.tar, &entry);
        if (next == ARCHIVE_EOF) break;
        result = next == ARCHIVE_OK || next == ARCHIVE_WARN ? unpack_entry(&layer, entry) : broken(&layer, "a layer");
    }
    sl_archive.read_free(layer.tar);
    return result;
}

// --- where a sandbox mounts
// --------------------------------------------------------------------------------------------

int sl_oci__make_places(int root, struct sl_error *err) {
    static const char *const directories[] = {"proc", "dev", "tmp", "run",     "run/sluice",
                                              "etc",  "opt", "var", "var/task"};
    static const char *const files[] = {"etc/resolv.conf", "etc/hosts"};
    int result = 0;
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && result == 0; i++) {
        struct stat info;
        bool there = fstatat(root, directories[i], &info, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISDIR(info.st_mode)) continue;
        if ((there && remove_tree(root, directories[i], 0) != 0) || mkdirat(root, directories[i], 0755) != 0)
            result = sl_fail_errno(err, "make /%s of an image", directories[i]);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && result == 0; i++) {
        int fd = remove_tree(root, files[i], 0) == 0
                     ? openat(root, files[i], O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644)
                     : -1;
        if (fd < 0) result = sl_fail_errno(err, "make /%s of an image", files[i]);
        if (fd >= 0) close(fd);
    }
    return result;
}
