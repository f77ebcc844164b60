// SPDX-License-Identifier: Apache-2.0
//
// root: see root.h. Order in the stem's builder (a child of the spawner, which never comes back from its new
// namespace):
//
//   private copy of the host's mounts -> tmpfs over /tmp (any existing directory would do; it is the new root) ->
//   directories and links -> host directories as read-only clones -> /etc written -> pivot_root -> the host's root
//   detached -> read-only
//
// After pivot_root nothing of the host is reachable but what was cloned. /proc/self/mountinfo of a sandbox shows, as
// the kernel always does, the path of each clone inside its own file system (/usr, and for code the directory's path).
#include "jail/root.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/file.h"
#include "jail/proto.h"

#define NEW_ROOT "/tmp"

// Twice what a file system of AWS's (ext4) has. Each costs the kernel more than a kilobyte, which is counted as the
// sandbox's only where there is a memory control group.
enum { INODES_PER_MB = 128 };

// ---- mounts ----

int sl_jail__mount_clone(int fd, bool recursive) {
    struct stat info;
    if (fstat(fd, &info) != 0) return -errno;
    if (!S_ISDIR(info.st_mode)) return -ENOTDIR;
    unsigned deep = recursive ? AT_RECURSIVE : 0;
    int mount = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
    if (mount < 0) return -errno;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                    .propagation = MS_PRIVATE};
    if (mount_setattr(mount, "", AT_EMPTY_PATH | deep, &attributes, sizeof attributes) != 0) {
        int rc = -errno;
        close(mount);
        return rc;
    }
    return mount;
}

int sl_jail__mount_attach(int mount, const char *where) {
    return move_mount(mount, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

// Binds a host file or directory read-only below the new root, if it exists there. Files get an empty file to lie on.
static int bind_host(const char *path, bool recursive) {
    char to[256];
    struct stat info;
    if (stat(path, &info) != 0) return 0;
    snprintf(to, sizeof to, NEW_ROOT "%s", path);
    if (S_ISDIR(info.st_mode)) {
        if (mkdir(to, 0755) != 0 && errno != EEXIST) return -errno;
    } else {
        int rc = sl_jail__create(AT_FDCWD, to, "", 0644);
        if (rc != 0) return rc;
    }
    unsigned deep = recursive ? AT_RECURSIVE : 0;
    int mount = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
    if (mount < 0) return -errno;
    // Device nodes must stay usable: only /dev is bound without nodev.
    uint64_t nodev = strncmp(path, "/dev/", 5) == 0 ? 0 : MOUNT_ATTR_NODEV;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | nodev | (nodev ? MOUNT_ATTR_RDONLY : 0),
                                    .propagation = MS_PRIVATE};
    int rc = mount_setattr(mount, "", AT_EMPTY_PATH | deep, &attributes, sizeof attributes) != 0
                 ? -errno
                 : sl_jail__mount_attach(mount, to);
    close(mount);
    return rc;
}

// ---- the parts of the stem ----

static int make_directories(void) {
    // The two named lib are on every function's LD_LIBRARY_PATH. They must be there before code and layers are mounted:
    // the dynamic loader of a blank looks once and remembers what is missing.
    static const char *const names[] = {"usr",  "etc",  "dev",     "dev/shm",    "proc",         "tmp",
                                        "opt",  "var",  "run",     "run/sluice", "var/task",     "var/runtime",
                                        "home", "root", "var/log", "var/lib",    "var/task/lib", "opt/lib"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, NEW_ROOT "/%s", names[i]);
        if (mkdir(path, 0755) != 0) return -errno;
    }
    static const struct {
        const char *target, *name;
    } links[] = {{"/proc/self/fd", "dev/fd"},
                 {"/proc/self/fd/0", "dev/stdin"},
                 {"/proc/self/fd/1", "dev/stdout"},
                 {"/proc/self/fd/2", "dev/stderr"},
                 {"/proc/self/mounts", "etc/mtab"},
                 {"/tmp", "var/tmp"},
                 {"/run", "var/run"}};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, NEW_ROOT "/%s", links[i].name);
        if (symlink(links[i].target, path) != 0) return -errno;
    }
    return 0;
}

// /usr, and the old top-level directories: links where the host has links (merged /usr), clones where it has
// directories.
static int bind_programs(void) {
    static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    int rc = bind_host("/usr", true);
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) {
        char target[PATH_MAX];
        char path[64];
        ssize_t length = readlink(names[i], target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            snprintf(path, sizeof path, NEW_ROOT "%s", names[i]);
            if (symlink(target, path) != 0) rc = -errno;
        } else {
            rc = bind_host(names[i], true);
        }
    }
    return rc;
}

static int bind_devices(void) {
    static const char *const names[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                        "/dev/random", "/dev/urandom", "/dev/tty"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) rc = bind_host(names[i], false);
    return rc;
}

// Directories of /etc that interpreters and TLS libraries read. Never anything that may hold a secret
// (/etc/ssl/private).
static int bind_etc(void) {
    static const char *const names[] = {"/etc/alternatives",  "/etc/ca-certificates", "/etc/crypto-policies",
                                        "/etc/fonts",         "/etc/ld.so.conf.d",    "/etc/pki/ca-trust",
                                        "/etc/pki/tls/certs", "/etc/ssl/certs"};
    static const char *const prefixes[] = {"java", "python3", "php", "ruby", "perl", "mono"};
    if (mkdir(NEW_ROOT "/etc/ssl", 0755) != 0 || mkdir(NEW_ROOT "/etc/pki", 0755) != 0 ||
        mkdir(NEW_ROOT "/etc/pki/tls", 0755) != 0) {
        return -errno;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) rc = bind_host(names[i], false);
    DIR *dir = opendir("/etc");
    if (dir == NULL) return rc;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (entry->d_type != DT_DIR) continue;
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            if (strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])) != 0) continue;
            char path[300];
            snprintf(path, sizeof path, "/etc/%s", entry->d_name);
            rc = bind_host(path, false);
            break;
        }
    }
    closedir(dir);
    return rc;
}

// Small host files are copied, so that a host path shows nowhere and an update of the host cannot change a running
// sandbox.
static int copy_etc(void) {
    static const char *const names[] = {"debian_version", "gai.conf",  "host.conf",       "ld.so.cache",
                                        "ld.so.conf",     "localtime", "mime.types",      "os-release",
                                        "protocols",      "services",  "ssl/openssl.cnf", "timezone"};
    enum { FILE_MAX = 1 << 20 };
    char *text = malloc(FILE_MAX);
    if (text == NULL) return -ENOMEM;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) {
        char from[64];
        char to[64];
        snprintf(from, sizeof from, "/etc/%s", names[i]);
        snprintf(to, sizeof to, NEW_ROOT "/etc/%s", names[i]);
        ssize_t length = sl_jail__read(AT_FDCWD, from, text, FILE_MAX);
        if (length <= 0) continue;
        int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
            rc = -errno;
        else if (write(fd, text, (size_t)length) != length)
            rc = -EIO;
        if (fd >= 0) close(fd);
    }
    free(text);
    return rc;
}

// Every sandbox has a user id of its own and they all have AWS's name for it, so that getpwuid() answers in each.
static int write_accounts(const struct sl_jail__root_config *config) {
    FILE *passwd = fopen(NEW_ROOT "/etc/passwd", "we");
    FILE *group = fopen(NEW_ROOT "/etc/group", "we");
    if (passwd != NULL && group != NULL) {
        for (unsigned i = 0; i < config->uid_count; i++) {
            unsigned id = (unsigned)config->first_uid + i;
            fprintf(passwd, "sbx_user1051:x:%u:%u::/home/sbx_user1051:/sbin/nologin\n", id, id);
            fprintf(group, "sbx_user1051:x:%u:\n", id);
        }
        if (config->first_uid != 0) {
            fputs("root:x:0:0:root:/root:/sbin/nologin\n", passwd);
            fputs("root:x:0:\n", group);
        }
        fputs("nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n", passwd);
        fputs("nogroup:x:65534:\n", group);
    }
    int rc = passwd == NULL || group == NULL ? -EIO : 0;
    if (passwd != NULL && fclose(passwd) != 0) rc = -EIO;
    if (group != NULL && fclose(group) != 0) rc = -EIO;
    return rc;
}

static int write_etc(const struct sl_jail__root_config *config) {
    char resolv[256] = "";
    size_t used = 0;
    for (unsigned i = 0; i < config->dns_count; i++) {
        char address[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &config->dns[i], address, sizeof address);
        used += (size_t)snprintf(resolv + used, sizeof resolv - used, "nameserver %s\n", address);
    }
    const struct {
        const char *name, *text;
    } files[] = {
        {"/etc/resolv.conf", resolv},
        {"/etc/hosts", "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n"},
        {"/etc/hostname", "sandbox\n"},
        {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"}};
    int rc = write_accounts(config);
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof files[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, NEW_ROOT "%s", files[i].name);
        rc = sl_jail__create(AT_FDCWD, path, files[i].text, 0644);
    }
    return rc;
}

static int pivot(void) {
    // pivot_root(".", "."): the old root ends up on top of the new one and is detached from there; no directory is
    // needed.
    if (chdir(NEW_ROOT) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return -errno;
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return -errno;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    return mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes) == 0 ? 0 : -errno;
}

// In a chroot / is a directory of some mount, not a mount, and cannot be pivoted away from; and whoever enters a mount
// namespace finds himself not in the chroot but at the namespace's root. So the directory is made that root: a copy of
// it and of all mounted below is put where the namespace's root has its /tmp, and becomes the root from there.
static int leave_chroot(void) {
    struct statx info;
    if (statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &info) != 0) return -errno;
    if ((info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 || (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
        return 0;
    int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int rc = tree < 0 || self < 0 || setns(self, CLONE_NEWNS) != 0 ? -errno : 0;
    if (rc == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) rc = -errno;
    if (rc == 0) rc = sl_jail__mount_attach(tree, NEW_ROOT);
    if (rc == 0 && (chdir(NEW_ROOT) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)) rc = -errno;
    if (rc == 0 && (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)) rc = -errno;
    sl_jail__close(&tree);
    sl_jail__close(&self);
    return rc;
}

static int build(const struct sl_jail__root_config *config, const char **ret_step) {
    umask(022);
    *ret_step = "leave the chroot (start Sluice outside of it, or make its directory a mount: mount --bind DIR DIR)";
    int rc = leave_chroot();
    if (rc != 0) return rc;
    *ret_step = "make the mounts private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -errno;
    *ret_step = "mount the new root";
    if (mount("sandbox", NEW_ROOT, "tmpfs", 0, "mode=755,size=16m,nr_inodes=4096") != 0) return -errno;
    rc = make_directories();
    if (rc == 0) *ret_step = "mount the programs", rc = bind_programs();
    if (rc == 0) *ret_step = "mount the devices", rc = bind_devices();
    if (rc == 0) *ret_step = "mount /etc", rc = bind_etc();
    if (rc == 0) *ret_step = "write /etc", rc = copy_etc();
    if (rc == 0) rc = write_etc(config);
    if (rc == 0 && config->runtimes_mount >= 0) {
        *ret_step = "mount the runtimes";
        rc = sl_jail__mount_attach(config->runtimes_mount, NEW_ROOT "/var/runtime");
    }
    if (rc == 0 && config->keep_proc) {
        *ret_step = "keep /proc";
        if (mount("/proc", NEW_ROOT "/proc", NULL, MS_BIND | MS_REC, NULL) != 0) rc = -errno;
    }
    if (rc == 0) *ret_step = "change the root", rc = pivot();
    return rc;
}

int sl_jail__stem_build(const struct sl_jail__root_config *config, struct sl_error *err) {
    // The child says how it went, then waits until its namespace has been picked up: a namespace lives while somebody
    // is in it.
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return sl_fail_errno(err, "prepare the root of sandboxes"), -1;
    }
    pid_t child = fork();
    if (child == 0) {
        struct sl_jail__note note = {.kind = SL_JAIL__READY};
        const char *step = "make a mount namespace";
        int rc = unshare(CLONE_NEWNS) != 0 ? -errno : build(config, &step);
        if (rc != 0) {
            note.kind = SL_JAIL__FAILED;
            note.error = -rc;
            snprintf(note.step, sizeof note.step, "%s", step);
        }
        close(pair[0]);
        char end;
        bool told = sl_jail__send(pair[1], &note, sizeof note, NULL, 0) == 0;
        _exit(told && read(pair[1], &end, 1) == 0 ? 0 : 1);
    }
    int stem = -1;
    close(pair[1]);
    struct sl_jail__note note;
    int fds[SL_JAIL__FDS];
    if (child < 0) {
        sl_fail_errno(err, "prepare the root of sandboxes");
    } else if (sl_jail__receive(pair[0], &note, sizeof note, fds) != 1) {
        sl_fail(err, SL_E_INTERNAL, "prepare the root of sandboxes: its process died");
    } else if (note.kind != SL_JAIL__READY) {
        sl_fail(err, SL_E_UNAVAILABLE, "prepare the root of sandboxes: %s: %s", note.step, strerror(note.error));
    } else {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)child);
        stem = open(path, O_RDONLY | O_CLOEXEC);
        if (stem < 0) sl_fail_errno(err, "open the root of sandboxes");
    }
    close(pair[0]);
    if (child > 0) (void)waitpid(child, NULL, 0);
    return stem;
}

// ---- in a sandbox ----

// Read-only, or hidden, although an ordinary user could not write most of it: a second lock on doors that matter. What
// a kernel lacks is skipped.
static int mask_proc(void) {
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
    static const char *const hidden[] = {
        "/proc/config.gz",   "/proc/kallsyms",    "/proc/kcore",      "/proc/key-users",   "/proc/keys",
        "/proc/kmsg",        "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags",  "/proc/latency_stats",
        "/proc/sched_debug", "/proc/slabinfo",    "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo"};
    static const char *const empty[] = {"/proc/acpi", "/proc/asound", "/proc/driver", "/proc/scsi"};
    for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++) {
        if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) != 0) {
            if (errno == ENOENT) continue;
            return -errno;
        }
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                                    MOUNT_ATTR_NOEXEC};
        if (mount_setattr(AT_FDCWD, read_only[i], AT_RECURSIVE, &attributes, sizeof attributes) != 0) return -errno;
    }
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (mount("/dev/null", hidden[i], NULL, MS_BIND, NULL) != 0 && errno != ENOENT) return -errno;
    }
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        if (mount("/home", empty[i], NULL, MS_BIND, NULL) != 0 && errno != ENOENT) return -errno;
    }
    return 0;
}

// System V's shared memory, semaphores and queues belong to no process, so that only their own limits hold them where
// no control group counts memory. These are those of a small machine; a namespace starts with (almost) none.
static int limit_ipc(void) {
    static const struct {
        const char *path, *value;
    } limits[] = {{"/proc/sys/kernel/shmall", "16384"}, // pages: 64 MiB, as /dev/shm
                  {"/proc/sys/kernel/shmmni", "128"},
                  {"/proc/sys/kernel/msgmni", "64"},
                  {"/proc/sys/kernel/sem", "250 8000 32 128"}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int rc = sl_jail__write(AT_FDCWD, limits[i].path, limits[i].value);
        if (rc != 0 && rc != -ENOENT) return rc; // a kernel without System V's
    }
    return 0;
}

static int mount_proc(gid_t watcher) {
    char options[64];
    int used = snprintf(options, sizeof options, "hidepid=2");
    if (watcher != 0) snprintf(options + used, sizeof options - (size_t)used, ",gid=%u", (unsigned)watcher);
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0 ? 0 : -errno;
}

static int mount_writable(const char **ret_step) {
    char options[96];
    *ret_step = "mount /tmp";
    snprintf(options, sizeof options, "mode=1777,size=%dm,nr_inodes=%d", SL_JAIL__TMP_MB,
             SL_JAIL__TMP_MB * INODES_PER_MB);
    if (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) return -errno;
    *ret_step = "mount /dev/shm";
    if (mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m,nr_inodes=16384") != 0)
        return -errno;
    return 0;
}

int sl_jail__root_enter(int stem, gid_t watcher, const char **ret_step) {
    *ret_step = "enter the root of sandboxes";
    if (setns(stem, CLONE_NEWNS) != 0 || unshare(CLONE_NEWNS) != 0 || chdir("/") != 0) return -errno;
    *ret_step = "mount /proc";
    int rc = mount_proc(watcher);
    if (rc == 0) *ret_step = "limit the shared memory", rc = limit_ipc();
    if (rc == 0) *ret_step = "mask /proc", rc = mask_proc();
    if (rc == 0) rc = mount_writable(ret_step);
    if (rc != 0) return rc;
    // For the Runtime API's socket alone; the function can neither remove it nor put another in its place.
    *ret_step = "mount /run/sluice";
    if (mount("run", "/run/sluice", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=4k,nr_inodes=2") != 0)
        return -errno;
    return 0;
}

int sl_jail__root_enter_template(int stem, const char **ret_step) {
    *ret_step = "enter the root of sandboxes";
    if (setns(stem, CLONE_NEWNS) != 0 || unshare(CLONE_NEWNS) != 0 || chdir("/") != 0) return -errno;
    (void)mount_proc(0);
    return mount_writable(ret_step);
}

int sl_jail__tmp_resize(uint32_t megabytes) {
    char options[64];
    snprintf(options, sizeof options, "size=%um,nr_inodes=%llu", megabytes,
             (unsigned long long)megabytes * INODES_PER_MB);
    return mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV, options) == 0 ? 0 : -errno;
}

// ---- an image's root ----

int sl_jail__root_change(const char *to, const char **ret_step) {
    static const char *const places[] = {"/proc", "/dev", "/tmp", "/run/sluice", "/etc/resolv.conf", "/etc/hosts"};
    *ret_step = "mount into the image";
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[64];
        struct stat info;
        snprintf(path, sizeof path, "%s%s", to, places[i]);
        // What this kernel or this user could not give the sandbox is not there for the image either.
        if (lstat(places[i], &info) != 0) continue;
        if (mount(places[i], path, NULL, MS_BIND | MS_REC, NULL) != 0) return -errno;
    }
    *ret_step = "enter the image";
    if (chdir(to) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return -errno;
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return -errno;
    return 0;
}
