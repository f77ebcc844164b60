// SPDX-License-Identifier: Apache-2.0
//
// package: from a folder to the zip that CreateFunction takes. Names are sorted, times fixed and modes reduced to
// "executable or not", so that unchanged code gives an unchanged CodeSha256 and deploying it again costs nothing. Links
// are followed; what is neither file nor folder is refused rather than skipped.
#include "cli/deploy.h"

#include "store/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEPTH_MAX = 32, FILES_MAX = 100000 };

extern char **environ;

struct packing {
    struct sl_cli *cli;
    const struct sl_cli_manifest *manifest;
    struct archive *archive;
    struct sl_buf zip;
    unsigned files;
};

int sl_cli__package_build(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_error *err) {
    if (!manifest->build.len) return 0;
    char *command = sl_arena_cstr(cli->arena, manifest->build);
    if (!command) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    char *argv[] = {"sh", "-c", command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, manifest->dir);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO); // standard output is the verb's report
    pid_t pid;
    int failed = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        errno = failed;
        return sl_fail_errno(err, "cannot run the build command in %s", manifest->dir);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return sl_fail_errno(err, "waiting for the build command");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return sl_fail(err, SL_E_INVALID, "the build command failed in %s: %s", manifest->dir, command);
}

static la_ssize_t on_zip(struct archive *archive, void *user, const void *bytes, size_t len) {
    struct packing *packing = user;
    (void)archive;
    sl_buf_put(&packing->zip, bytes, len);
    return packing->zip.failed ? -1 : (la_ssize_t)len;
}

static bool matches(const char *pattern, const char *relative, const char *name) {
    return fnmatch(pattern, name, 0) == 0 || fnmatch(pattern, relative, FNM_PATHNAME) == 0;
}

static bool excluded(const struct packing *packing, const char *relative) {
    static const char *const always[] = {"sluice.json", ".git", "__pycache__", "*.pyc", ".DS_Store"};
    const char *slash = strrchr(relative, '/');
    const char *name = slash ? slash + 1 : relative;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        if (matches(always[i], relative, name)) return true;
    }
    for (struct sl_json *p = packing->manifest->exclude ? packing->manifest->exclude->first : NULL; p; p = p->next) {
        const char *pattern = sl_arena_cstr(packing->cli->arena, p->text);
        if (pattern && matches(pattern, relative, name)) return true;
    }
    return false;
}

static int archive_failed(const struct packing *packing, const char *path, struct sl_error *err) {
    if (packing->zip.failed) {
        return sl_fail(err, SL_E_LIMIT,
                       "the zip would be larger than Lambda's 50 MB; leave files out with \"exclude\" in sluice.json");
    }
    const char *why = sl_archive.error_string(packing->archive);
    return sl_fail(err, SL_E_IO, "packing %s: %s", path, why ? why : "failed");
}

static int copy_content(struct packing *packing, int fd, const char *path, struct sl_error *err) {
    char bytes[65536];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return sl_fail_errno(err, "cannot read %s", path);
        if (got == 0) return 0;
        if (sl_archive.write_data(packing->archive, bytes, (size_t)got) != got)
            return archive_failed(packing, path, err);
    }
}

static int add_file(struct packing *packing, const char *path, const char *relative, const struct stat *status,
                    struct sl_error *err) {
    if (++packing->files > FILES_MAX) return sl_fail(err, SL_E_LIMIT, "more than %d files", FILES_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sl_fail_errno(err, "cannot read %s", path);
    struct archive_entry *entry = sl_archive.entry_new();
    sl_archive.entry_set_pathname(entry, relative);
    sl_archive.entry_set_filetype(entry, AE_IFREG);
    sl_archive.entry_set_perm(entry, status->st_mode & 0111 ? 0755 : 0644);
    sl_archive.entry_set_size(entry, status->st_size);
    sl_archive.entry_set_mtime(entry, 315619200, 0); // 1980-01-02: what zip can say in every time zone
    int failed = sl_archive.write_header(packing->archive, entry) == ARCHIVE_OK ? copy_content(packing, fd, path, err)
                                                                                : archive_failed(packing, path, err);
    sl_archive.entry_free(entry);
    close(fd);
    return failed;
}

static int add_folder(struct packing *packing, const char *path, const char *relative, int depth, struct sl_error *err);

static int add(struct packing *packing, const char *path, const char *relative, int depth, struct sl_error *err) {
    struct stat status;
    if (stat(path, &status) != 0) return sl_fail_errno(err, "cannot read %s", path);
    if (S_ISREG(status.st_mode)) return add_file(packing, path, relative, &status, err);
    if (S_ISDIR(status.st_mode)) return add_folder(packing, path, relative, depth, err);
    return sl_fail(err, SL_E_INVALID, "%s is neither a file nor a folder; leave it out with \"exclude\" in sluice.json",
                   path);
}

static int add_folder(struct packing *packing, const char *path, const char *relative, int depth,
                      struct sl_error *err) {
    if (depth > DEPTH_MAX)
        return sl_fail(err, SL_E_LIMIT, "%s: more than %d folders deep (a link to a folder above?)", path, DEPTH_MAX);
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) return sl_fail_errno(err, "cannot read %s", path);
    int failed = 0;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (!failed && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            struct sl_arena *arena = packing->cli->arena;
            char *child = sl_arena_cstr(arena, sl_arena_printf(arena, "%s/%s", path, name));
            char *below = sl_arena_cstr(arena, sl_arena_printf(arena, "%s%s%s", relative, *relative ? "/" : "", name));
            if (!child || !below) {
                failed = sl_fail(err, SL_E_NO_MEMORY, "out of memory");
            } else if (!excluded(packing, below)) {
                failed = add(packing, child, below, depth + 1, err);
            }
        }
        free(names[i]);
    }
    free(names);
    return failed;
}

// Packs one path, which is a folder (its content) or a file.
static int pack(struct packing *packing, const char *path, struct sl_error *err) {
    if (sl_archive_load(err)) return err->kind;
    packing->archive = sl_archive.write_new();
    sl_archive.write_set_format_zip(packing->archive);
    sl_archive.write_set_bytes_in_last_block(packing->archive, 1);
    if (sl_archive.write_open(packing->archive, packing, NULL, on_zip, NULL) != ARCHIVE_OK)
        return archive_failed(packing, path, err);

    struct stat status;
    if (stat(path, &status) != 0)
        return sl_fail_errno(err, "cannot read %s, which \"code\" in sluice.json names", path);
    const char *slash = strrchr(path, '/');
    int failed = S_ISDIR(status.st_mode) ? add_folder(packing, path, "", 0, err)
                                         : add(packing, path, slash ? slash + 1 : path, 0, err);
    if (!failed && sl_archive.write_close(packing->archive) != ARCHIVE_OK) failed = archive_failed(packing, path, err);
    if (!failed && !packing->files) failed = sl_fail(err, SL_E_INVALID, "%s holds no file to deploy", path);
    return failed;
}

int sl_cli__package_zip(struct sl_cli *cli, const struct sl_cli_manifest *manifest, struct sl_str *ret_zip,
                        struct sl_error *err) {
    char *path =
        sl_arena_cstr(cli->arena, sl_arena_printf(cli->arena, "%s/%.*s", manifest->dir, SL_FMT(manifest->code)));
    if (!path) return sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    if (sl_str_ends(manifest->code, SL_STR(".zip"))) return sl_cli__read(cli, path, SL_CLI_ZIP_MAX, ret_zip, err);

    struct packing packing = {.cli = cli, .manifest = manifest};
    sl_buf_init(&packing.zip, SL_CLI_ZIP_MAX);
    int failed = pack(&packing, path, err);
    if (packing.archive) sl_archive.write_free(packing.archive);
    if (!failed) {
        *ret_zip = sl_arena_dup(cli->arena, sl_buf_view(&packing.zip));
        if (!ret_zip->ptr) failed = sl_fail(err, SL_E_NO_MEMORY, "out of memory");
    }
    sl_buf_free(&packing.zip);
    return failed;
}
