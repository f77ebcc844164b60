// SPDX-License-Identifier: Apache-2.0
//
// jail_inside: the hostile function. It runs in a sandbox and tries one thing; what is possible but must not be it
// prints, and its exit status counts the finds.
#include "jail_world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "jail/jail.h"

static int complaints;

static void refuse(const char *what, long result) {
    if (result >= 0) {
        printf("possible: %s\n", what);
        complaints++;
    }
}

static void refuse_open(const char *path, int flags) {
    char text[128];
    snprintf(text, sizeof text, "open %s", path);
    refuse(text, open(path, flags, 0600));
}

static int inside_privileges(void) {
    static const int kinds[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        refuse("unshare a namespace", unshare(kinds[i]));
        int ns = open("/proc/self/ns/net", O_RDONLY);
        refuse("enter a namespace", setns(ns, kinds[i]));
        close(ns);
        long child = syscall(SYS_clone, kinds[i] | SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0) _exit(0);
        refuse("clone into a namespace", child);
    }
    struct clone_args args = {.exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0) _exit(0);
    refuse("clone3", child);
    refuse("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    refuse("remount", mount(NULL, "/", NULL, 32 | 4096, NULL)); // MS_REMOUNT | MS_BIND
    refuse("umount", umount2("/var/task", MNT_DETACH));
    refuse("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    refuse("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
    refuse("chroot", chroot("/tmp"));
    refuse("mknod", mknod("/tmp/disk", S_IFBLK | 0600, (dev_t)0xfe00));
    refuse("setuid", setuid(0));
    refuse("setgid", setgid(0));
    refuse("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
    refuse("bpf", syscall(SYS_bpf, 0, NULL, 0));
    refuse("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    refuse("userfaultfd", syscall(SYS_userfaultfd, 0));
    refuse("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    refuse("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    refuse("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
    refuse("sethostname", sethostname("x", 1));
    refuse("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    refuse("alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
    refuse("packet", socket(AF_PACKET, SOCK_RAW, 0));
    refuse("raw", socket(AF_INET, SOCK_RAW, 1));
    refuse("audit netlink", socket(AF_NETLINK, SOCK_RAW, 9));
    (void)kill(1, SIGKILL); // init does not hear it, or we would not get any further
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) refuse("gain privileges by exec", 0);
    char status[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t length = read(fd, status, sizeof status - 1);
    status[length > 0 ? length : 0] = '\0';
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s:\t0000000000000000", sets[i]);
        if (strstr(status, line) == NULL) refuse(sets[i], 0);
    }
    return complaints;
}

// The x32 table of system calls would be judged by the wrong numbers: the process must die.
static int inside_x32(void) {
    fflush(stdout);
    syscall(0x40000000 | 39);
    puts("possible: x32");
    return 1;
}

static int inside_files(const char *secret) {
    static const char *const readable[] = {
        "/etc/shadow",     "/etc/ssh",     "/etc/ssl/private", "/root/.bashrc", "/srv",          "/proc/1/root",
        "/proc/1/environ", "/proc/kcore",  "/dev/mem",         "/dev/vda",      "/dev/sda",      "/dev/kvm",
        "/dev/fuse",       "/dev/net/tun", "/sys/fs/cgroup",   "/sys/kernel",   "/var/lib/dpkg", "/boot"};
    static const char *const writable[] = {"/etc/passwd",         "/usr/bin/env",
                                           "/var/task/test",      "/proc/sys/kernel/core_pattern",
                                           "/proc/sysrq-trigger", "/proc/sys/net/ipv4/ip_forward"};
    static const char *const places[] = {"/",    "/usr",         "/etc", "/var", "/var/task",
                                         "/opt", "/var/runtime", "/dev", "/run", "/home"};
    refuse_open(secret, O_RDONLY);
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        int fd = open(readable[i], O_RDONLY);
        char byte;
        // /proc/kcore is /dev/null here: there, but empty.
        if (fd >= 0 && (read(fd, &byte, 1) > 0 || errno == EISDIR)) refuse(readable[i], fd);
        if (fd >= 0) close(fd);
    }
    for (size_t i = 0; i < sizeof writable / sizeof writable[0]; i++) refuse_open(writable[i], O_WRONLY);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/new", places[i]);
        refuse_open(path, O_WRONLY | O_CREAT);
        refuse("change a mode", chmod(places[i], 0777));
    }
    static const char *const good[] = {"/tmp/new", "/dev/shm/new", "/dev/null", "/var/tmp/other"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (open(good[i], O_WRONLY | O_CREAT, 0600) >= 0) continue;
        printf("impossible: write %s: %s\n", good[i], strerror(errno));
        complaints++;
    }
    return complaints;
}

static int inside_processes(void) {
    int count = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') count++;
    }
    printf("pid %d of %d\n", (int)getpid(), count);
    for (int fd = 3; fd < 1024; fd++) {
        if (dir != NULL && fd == dirfd(dir)) continue;
        if (fcntl(fd, F_GETFD) >= 0) refuse("use an inherited descriptor", fd);
    }
    (void)kill(-1, 0);
    if (getppid() != 1) refuse("have a parent other than init", 0);
    return complaints + (count != 1 || getpid() == 1);
}

static int inside_fork(void) {
    int count = 0;
    while (count < 5000) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            pause();
            _exit(0);
        }
        count++;
    }
    printf("forked %d\n", count);
    return 0;
}

static int inside_memory(void) {
    for (size_t size = 1 << 20;;) {
        char *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) return 0;
        memset(block, 1, size);
    }
}

static int inside_fill_tmp(void) {
    static char block[1 << 16];
    int fd = open("/tmp/big", O_WRONLY | O_CREAT, 0600);
    long written = 0;
    for (ssize_t n; written < (64 << 20) && (n = write(fd, block, sizeof block)) > 0;) written += n;
    printf("wrote %ld: %s\n", written >> 20, strerror(errno));
    return 0;
}

// Leaves a process that has its own session and holds standard output.
static int inside_daemon(void) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            for (;;) pause();
        }
        _exit(0);
    }
    puts("left");
    fflush(stdout);
    _exit(5);
}

// Says hello through a socket of the server's, port 0: the Unix one, and prints the answer.
static int inside_api(uint16_t port) {
    bool local = port == 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = SL_JAIL_SOCKET};
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    char answer[32] = "";
    int rc = local ? connect(fd, (struct sockaddr *)&path, sizeof path)
                   : connect(fd, (struct sockaddr *)&address, sizeof address);
    if (local && (unlink(SL_JAIL_SOCKET) == 0 || rename(SL_JAIL_SOCKET, "/tmp/taken") == 0)) return 1;
    if (rc != 0 || write(fd, "hello", 5) != 5 || read(fd, answer, sizeof answer - 1) <= 0) {
        printf("failed: %s\n", strerror(errno));
        return 1;
    }
    puts(answer);
    return 0;
}

static int inside_connect(const char *host, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 3};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    puts(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? "connected" : "refused");
    return 0;
}

// A blank: says that it is ready, reads its block from standard input, and executes what that says. Before, shows that
// there is nothing to be seen yet.
static int inside_blank(void) {
    uint32_t header[4];
    char *texts = NULL;
    puts(access("/var/task/test", F_OK) == 0 ? "code already there" : "empty");
    if (write(0, "R", 1) != 1) return 90;
    if (recv(0, header, sizeof header, MSG_WAITALL) != (ssize_t)sizeof header) return 0; // not needed any more
    if (header[0] != 0x534c424b || (texts = malloc(header[3])) == NULL) return 91;
    if (recv(0, texts, header[3], MSG_WAITALL) != (ssize_t)header[3] || recv(0, header, 1, 0) != 0) return 92;
    char **list = calloc(header[1] + header[2] + 2, sizeof *list);
    char *at = texts + strlen(texts) + 1;
    for (uint32_t i = 0; list != NULL && i < header[1] + header[2]; i++, at += strlen(at) + 1) {
        list[i + (i >= header[1])] = at;
    }
    if (list == NULL || chdir("/var/task") != 0) return 93;
    execve(texts, list, list + header[1] + 1);
    return 94;
}

int jail_inside(char **argv) {
    const char *check = argv[0];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(check, "privileges") == 0) return inside_privileges();
    if (strcmp(check, "x32") == 0) return inside_x32();
    if (strcmp(check, "files") == 0) return inside_files(argv[1]);
    if (strcmp(check, "processes") == 0) return inside_processes();
    if (strcmp(check, "fork") == 0) return inside_fork();
    if (strcmp(check, "memory") == 0) return inside_memory();
    if (strcmp(check, "fill") == 0) return inside_fill_tmp();
    if (strcmp(check, "daemon") == 0) return inside_daemon();
    if (strcmp(check, "api") == 0) return inside_api(SL_JAIL_PORT);
    if (strcmp(check, "local") == 0) return inside_api(0);
    if (strcmp(check, "door") == 0) return inside_api(SL_JAIL_DOOR_PORT);
    if (strcmp(check, "connect") == 0) return inside_connect(argv[1], argv[2]);
    if (strcmp(check, "blank") == 0) return inside_blank();
    return 99;
}
