// SPDX-License-Identifier: Apache-2.0
//
// root: what a sandbox sees as its files. The stem is one mount namespace, built at start, in which everything that all
// sandboxes share is already in its place and the host's root is gone; a sandbox is a copy of it plus its own /proc,
// /tmp and /dev/shm, plus, when it is given to a function, the code and the layers.
#ifndef SL_JAIL_ROOT_H
#define SL_JAIL_ROOT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_error;

struct sl_jail__root_config {
    int runtimes_mount; // detached mount (see sl_jail__mount_clone) for /var/runtime, or -1
    uid_t first_uid;    // the ids that sandboxes run as get a line each in /etc/passwd and /etc/group
    unsigned uid_count;
    const struct in_addr *dns; // for /etc/resolv.conf
    unsigned dns_count;
    bool keep_proc; // in a user namespace: the kernel lets us mount /proc only while another whole one is visible
};

// Builds the stem in a child process. Returns its mount namespace (a descriptor to setns to) or -1 with err set.
int sl_jail__stem_build(const struct sl_jail__root_config *config, struct sl_error *err);

// In the future init of a sandbox, in its own pid namespace: enters a copy of the stem and adds the private mounts.
// watcher: the group that may see every process of the sandbox (init's, once it has given up root), or 0.
// 0 or -errno; *ret_step says what failed.
int sl_jail__root_enter(int stem, gid_t watcher, const char **ret_step);
// The same for a template, whose pid namespace is the spawner's: /proc stays as it is in the stem when it cannot be
// mounted.
int sl_jail__root_enter_template(int stem, const char **ret_step);
// Makes a directory of the sandbox its root: an image's, which has the places that the sandbox's own mounts move to.
// Every process of the sandbox that is in the old root is in the new one afterwards (pivot_root(2)).
int sl_jail__root_change(const char *to, const char **ret_step);
// Gives /tmp this size, in the sandbox.
int sl_jail__tmp_resize(uint32_t megabytes);
// Puts a detached mount over a directory of the sandbox; the descriptor stays the caller's.
int sl_jail__mount_attach(int mount, const char *where);

// A detached, private copy of the directory behind fd: read-only, nosuid, nodev. Without what is mounted below it
// unless recursive. Returns a descriptor or -errno (-ENOTDIR when fd is not a directory).
int sl_jail__mount_clone(int fd, bool recursive);

enum { SL_JAIL__TMP_MB = 512 }; // the size /tmp has before sl_jail__tmp_resize

#endif
