// SPDX-License-Identifier: Apache-2.0
//
// begin: see begin.h. Nothing here is an error: where the program cannot be executed, the spawner runs as a copy of the
// server's.
#include "jail/begin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "jail/file.h"
#include "jail/proto.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // since Linux 6.3, which wants to be told
#endif

// A file in memory, to be read from its begin. Or -1.
static int file_of(unsigned flags, const void *bytes, size_t size) {
    int fd = memfd_create("sluice-spawner", flags);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("sluice-spawner", flags & ~MFD_EXEC);
    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t written = write(fd, (const char *)bytes + done, size - done);
        if (written > 0)
            done += (size_t)written;
        else
            sl_jail__close(&fd);
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) sl_jail__close(&fd);
    return fd;
}

static void become_program(int control_fd, const struct sl_jail_config *config) {
    struct sl_jail__begin begin = {.control = control_fd, .log_level = (int)sl_log_level(), .config = *config};
    int program = file_of(MFD_CLOEXEC | MFD_EXEC, sl_jail__spawner_program, sl_jail__spawner_program_size);
    int what = file_of(0, &begin, sizeof begin);
    if (program >= 0 && what >= 0 && fcntl(control_fd, F_SETFD, 0) == 0 &&
        (config->runtimes_dir_fd < 0 || fcntl(config->runtimes_dir_fd, F_SETFD, 0) == 0)) {
        char number[16];
        snprintf(number, sizeof number, "%d", what);
        char name[] = "sluice-spawner";
        // Nothing else of the environment: it may hold secrets, and sandboxes begin as copies.
        char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        (void)fexecve(program, (char *[]){name, number, NULL}, (char *[]){path, NULL});
        sl_log_warn("jail", "the spawner runs in a copy of this program, which makes sandboxes slower: %m");
    }
    sl_jail__close(&program);
    sl_jail__close(&what);
}

int sl_spawner_begin(int control_fd, const struct sl_jail_config *config) {
    if (sl_jail__spawner_program_size > 0) become_program(control_fd, config);
    return sl_spawner_main(control_fd, config);
}
