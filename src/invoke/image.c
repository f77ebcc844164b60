// SPDX-License-Identifier: Apache-2.0
//
// image: what a container image runs: its command, whose program is looked for along PATH as execvp(3) would, but in
// the image: names are resolved as if its root were the root (openat2(2)).
#include "invoke/internal.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_program(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    struct stat info;
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    bool found = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0111);
    if (fd >= 0) close(fd);
    return found;
}

static struct sl_str path_of(const struct sl_function *function) {
    const struct sl_str name = SL_STR("PATH=");
    for (unsigned i = function->environment_count; i-- > 0;)
        if (sl_str_starts(function->environment[i], name))
            return sl_str_sub(function->environment[i], name.len, function->environment[i].len);
    return SL_STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

static bool find_program(const struct sl_function *function, int root, char *out, size_t cap) {
    struct sl_str name = function->command[0], rest = path_of(function), folder;
    if (sl_str_chr(name, '/', 0) >= 0) {
        bool absolute = name.ptr[0] == '/';
        int len = snprintf(out, cap, "%.*s%s%.*s", absolute ? 0 : (int)function->directory.len, function->directory.ptr,
                           absolute ? "" : "/", SL_FMT(name));
        return len > 0 && (size_t)len < cap && is_program(root, out);
    }
    while (sl_str_split(&rest, ':', &folder)) {
        int len = snprintf(out, cap, "%.*s/%.*s", SL_FMT(folder), SL_FMT(name));
        if (len > 0 && (size_t)len < cap && out[0] == '/' && is_program(root, out)) return true;
    }
    return false;
}

int sl_invoke__image_command(const struct sl_function *function, int root, struct sl_invoke__image_command *ret,
                             struct sl_error *err) {
    if (function->command_count == 0 || function->command_count > SL_INVOKE__IMAGE_ARGUMENTS)
        return sl_fail(err, SL_E_INVALID, "the image of %.*s has no command to run, or one of too many words",
                       SL_FMT(function->name));
    if (!find_program(function, root, ret->text, SL_INVOKE__IMAGE_TEXT))
        return sl_fail(err, SL_E_INVALID, "the image of %.*s has no program %.*s", SL_FMT(function->name),
                       SL_FMT(function->command[0]));
    size_t used = strlen(ret->text) + 1;
    ret->argv[0] = ret->text;
    for (unsigned i = 1; i < function->command_count; i++) {
        struct sl_str word = function->command[i];
        if (used + word.len + 1 > SL_INVOKE__IMAGE_TEXT)
            return sl_fail(err, SL_E_LIMIT, "the command of %.*s is too long", SL_FMT(function->name));
        ret->argv[i] = ret->text + used;
        memcpy(ret->text + used, word.ptr ? word.ptr : "", word.len);
        ret->text[used + word.len] = '\0';
        used += word.len + 1;
    }
    ret->argv[function->command_count] = NULL;
    return 0;
}
