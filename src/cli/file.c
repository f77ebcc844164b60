// SPDX-License-Identifier: Apache-2.0
//
// file: reading a file or standard input whole, within a bound.
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int sl_cli__read(struct sl_cli *cli, const char *path, size_t max, struct sl_str *ret, struct sl_error *err) {
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sl_fail_errno(err, "cannot read %s", path);

    struct sl_buf buf;
    sl_buf_init(&buf, max + 1); // one more, to see that there is more
    int failed = 0;
    for (;;) {
        size_t room = max + 1 - buf.len < 65536 ? max + 1 - buf.len : 65536;
        char *at = room ? sl_buf_reserve(&buf, room) : NULL;
        if (!at) break;
        ssize_t got = read(fd, at, room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) failed = sl_fail_errno(err, "cannot read %s", standard ? "standard input" : path);
        if (got <= 0) break;
        buf.len += (size_t)got;
    }
    if (!standard) close(fd);
    if (!failed && buf.len > max) failed = sl_fail(err, SL_E_LIMIT, "%s is larger than %zu bytes", path, max);
    if (!failed) {
        *ret = buf.len ? sl_arena_dup(cli->arena, sl_buf_view(&buf)) : SL_STR("");
        if (!ret->ptr || buf.failed) failed = sl_fail(err, SL_E_NO_MEMORY, "out of memory reading %s", path);
    }
    sl_buf_free(&buf);
    return failed;
}
