// SPDX-License-Identifier: Apache-2.0
//
// extensions: which external extensions a layers directory brings. Runs in the server, on a directory that was unpacked
// from a user's zip: nothing is followed and nothing is opened but the one folder.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/jail.h"

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static bool is_program(int folder, const char *name) {
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode));
}

int sl_jail_extensions(int opt_dir_fd, char names[][SL_JAIL_EXTENSION_NAME], unsigned room, struct sl_error *err) {
    unsigned count = 0;
    int fd = openat(opt_dir_fd, "extensions", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        sl_fail_errno(err, "read the extensions");
        if (fd >= 0) close(fd);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_program(fd, entry->d_name)) continue;
        size_t length = strlen(entry->d_name);
        if (count == room || length >= SL_JAIL_EXTENSION_NAME) {
            closedir(dir);
            return sl_fail(err, SL_E_LIMIT, "more than %u extensions, or a name of more than %d bytes", room,
                           SL_JAIL_EXTENSION_NAME - 1),
                   -1;
        }
        memcpy(names[count++], entry->d_name, length + 1);
    }
    closedir(dir);
    qsort(names, count, SL_JAIL_EXTENSION_NAME, compare);
    return (int)count;
}
