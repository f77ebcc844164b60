// SPDX-License-Identifier: Apache-2.0
//
// jail: real sandboxes, from the server's side of jail.h, as root and as an ordinary user. The hostile function is this very
// program: it lies in the code directory, and "--inside <check>" makes it try one thing from within. What holds for both
// ways of running is one test body with two entries.
//
// A test that needs root or a network is skipped without; SLUICE_TEST_REQUIRE=1 makes that a failure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/jail.h"

enum { WAIT_MS = 20000, OUTPUT_MAX = 8192, USER = 65534 };

// ---- what runs inside ----

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
    refuse(text, open(path, flags));
}

static int inside_privileges(void) {
    static const int kinds[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
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
    static const char *const readable[] = {"/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/root/.bashrc", "/work", "/proc/1/root",
                                           "/proc/1/environ", "/proc/kcore", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/kvm",
                                           "/dev/fuse", "/dev/net/tun", "/sys/fs/cgroup", "/sys/kernel", "/var/lib/dpkg", "/boot"};
    static const char *const writable[] = {"/etc/passwd", "/usr/bin/env", "/var/task/test", "/proc/sys/kernel/core_pattern",
                                           "/proc/sysrq-trigger", "/proc/sys/net/ipv4/ip_forward"};
    static const char *const places[] = {"/", "/usr", "/etc", "/var", "/var/task", "/opt", "/var/runtime", "/dev", "/run", "/home"};
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

// Says hello through the Runtime API's port and prints the answer.
static int inside_api(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SL_JAIL_PORT)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char answer[32] = "";
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || write(fd, "hello", 5) != 5 ||
        read(fd, answer, sizeof answer - 1) <= 0) {
        printf("failed: %s\n", strerror(errno));
        return 1;
    }
    puts(answer);
    return 0;
}

static int inside_connect(const char *host, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 3};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    puts(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? "connected" : "refused");
    return 0;
}

static int inside(char **argv) {
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
    if (strcmp(check, "api") == 0) return inside_api();
    if (strcmp(check, "connect") == 0) return inside_connect(argv[1], argv[2]);
    return 99;
}

// ---- the outside ----

struct world {
    pid_t spawner;
    struct sl_jail_client *client;
    uint64_t next_id;
};

struct outcome {
    bool started;
    struct sl_jail_event event; // the last one
    struct sl_jail_event first; // STARTED, its descriptors closed
    char output[OUTPUT_MAX];
};

static char code_path[] = "/tmp/sluice-jail-XXXXXX";
static int code_fd = -1;

static void need(bool there, const char *what) {
    if (there) return;
    if (getenv("SLUICE_TEST_REQUIRE") != NULL) fail_msg("needed here: %s", what);
    print_message("skipped: needs %s\n", what);
    skip();
}

static struct sl_jail_config usual(void) {
    return (struct sl_jail_config){.first_uid = 300000, .max_instances = 24, .shells = 2, .runtimes_dir_fd = -1};
}

static void world_open(struct world *world, bool root, const struct sl_jail_config *config) {
    need(!root || geteuid() == 0, "root");
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    fflush(NULL);
    world->spawner = fork();
    assert_true(world->spawner >= 0);
    if (world->spawner == 0) {
        close(pair[0]);
        if (!root && geteuid() == 0 && (setgid(USER) != 0 || setuid(USER) != 0)) _exit(9);
        // Dropping root made this process undumpable, which an ordinary user's is not.
        if (!root) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        _exit(sl_spawner_main(pair[1], config));
    }
    close(pair[1]);
    world->client = sl_jail_client_new(pair[0]);
    world->next_id = 1;
}

static void world_close(struct world *world) {
    int status;
    sl_jail_client_free(world->client);
    assert_int_equal(waitpid(world->spawner, &status, 0), world->spawner);
    assert_int_equal(status, 0);
}

static int block_of(const char *const argv[]) {
    static const char *const envp[] = {"PATH=/usr/bin:/bin", "COLOUR=blue", "ASAN_OPTIONS=detect_leaks=0", NULL};
    struct sl_error err = {0};
    int fd = sl_jail_block_new(argv[0], argv, envp, &err);
    if (fd < 0) fail_msg("%s", err.message);
    return fd;
}

static uint64_t start(struct world *world, const char *const argv[], const struct sl_jail_spec *changes) {
    struct sl_error err = {0};
    struct sl_jail_spec spec = changes != NULL ? *changes : (struct sl_jail_spec){0};
    if (spec.memory_mb == 0) spec.memory_mb = 256;
    spec.code_dir_fd = code_fd;
    if (spec.opt_dir_fd == 0) spec.opt_dir_fd = -1;
    spec.block_fd = block_of(argv);
    uint64_t id = world->next_id++;
    if (sl_jail_start(world->client, id, &spec, &err) != 0) fail_msg("%s", err.message);
    close(spec.block_fd);
    return id;
}

static void next_event(struct world *world, struct sl_jail_event *event) {
    struct pollfd wait = {.fd = sl_jail_client_fd(world->client), .events = POLLIN};
    if (poll(&wait, 1, WAIT_MS) != 1) fail_msg("no event within %d ms", WAIT_MS);
    int rc = sl_jail_poll(world->client, event);
    if (rc != 1) fail_msg("sl_jail_poll: %d", rc);
}

// Reads to end-of-file, which comes only when no process of the sandbox is left.
static void read_log(int fd, char *text, size_t size) {
    size_t used = 0;
    fcntl(fd, F_SETFL, 0);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, WAIT_MS) != 1) fail_msg("the log stays open");
        char drop[512];
        bool room = used < size - 1;
        ssize_t n = read(fd, room ? text + used : drop, room ? size - 1 - used : sizeof drop);
        if (n <= 0) break;
        if (room) used += (size_t)n;
    }
    text[used] = '\0';
}

static void finish(struct world *world, struct outcome *outcome) {
    memset(outcome, 0, sizeof *outcome);
    next_event(world, &outcome->event);
    if (outcome->event.kind == SL_JAIL_FAILED) return;
    assert_int_equal(outcome->event.kind, SL_JAIL_STARTED);
    outcome->started = true;
    outcome->first = outcome->event;
    assert_true(outcome->first.listen_fd >= 0);
    read_log(outcome->first.log_fd, outcome->output, sizeof outcome->output);
    next_event(world, &outcome->event);
    assert_int_equal(outcome->event.kind, SL_JAIL_EXITED);
    close(outcome->first.log_fd);
    close(outcome->first.listen_fd);
    if (outcome->first.memory_fd >= 0) close(outcome->first.memory_fd);
}

static void run(struct world *world, struct outcome *outcome, const char *const argv[], const struct sl_jail_spec *changes) {
    uint64_t id = start(world, argv, changes);
    finish(world, outcome);
    assert_int_equal(outcome->event.id, id);
    if (!outcome->started) fail_msg("%s: %s", outcome->event.step, strerror(outcome->event.error));
}

static void shell(struct world *world, struct outcome *outcome, const char *script) {
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    run(world, outcome, argv, NULL);
}

static void check_inside(bool root, const char *check, const char *argument) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", check, argument, NULL};
    run(&world, &outcome, argv, NULL);
    if (outcome.event.status != 0) fail_msg("%s: status %x\n%s", check, (unsigned)outcome.event.status, outcome.output);
    world_close(&world);
}

// ---- traces on the host ----

static void add_trace(char *text, size_t size, const char *what, const char *name) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s %s\n", what, name);
}

static void add_directories(char *text, size_t size, const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "sluice-", 7) == 0) add_trace(text, size, path, entry->d_name);
    }
    if (dir != NULL) closedir(dir);
}

// Everything by which a spawner of this test could show on the host: names carry its pid or its uplink's number.
static void traces(char *text, size_t size, pid_t spawner) {
    static const char *const controllers[] = {"memory", "cpu", "cpu,cpuacct", "pids", "unified", "."};
    char all[16384] = "";
    char path[64];
    text[0] = '\0';
    for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++) {
        snprintf(path, sizeof path, "/sys/fs/cgroup/%s", controllers[i]);
        add_directories(all, sizeof all, path);
    }
    snprintf(path, sizeof path, "sluice-%d-", (int)spawner);
    for (char *rest = all, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strstr(line, path) != NULL) add_trace(text, size, "cgroup", line);
    }
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[64];
        char stat[512];
        int parent = 0;
        snprintf(name, sizeof name, "/proc/%.16s/stat", entry->d_name);
        FILE *file = fopen(name, "re");
        if (file == NULL) continue;
        if (fgets(stat, sizeof stat, file) != NULL && strrchr(stat, ')') != NULL &&
            sscanf(strrchr(stat, ')'), ") %*c %d", &parent) == 1 && parent == spawner) {
            add_trace(text, size, "process", entry->d_name);
        }
        fclose(file);
    }
    if (dir != NULL) closedir(dir);
}

// Waits until there is none of them any more: the kernel finishes some deaths a moment after they are reported.
static void assert_no_traces(pid_t spawner) {
    char text[4096];
    for (int waited = 0; waited < WAIT_MS; waited += 10) {
        traces(text, sizeof text, spawner);
        if (text[0] == '\0') return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("left over:\n%s", text);
}

static int uplinks(void) {
    int count = 0;
    char name[IF_NAMESIZE];
    for (int n = 0; n < 64; n++) {
        snprintf(name, sizeof name, "slu%d", n);
        count += if_nametoindex(name) != 0;
    }
    return count;
}

// ---- tests of both ways ----

static void output_and_status(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    shell(&world, &outcome, "echo out; echo err >&2; echo $COLOUR; pwd; exit 7");
    assert_string_equal(outcome.output, "out\nerr\nblue\n/var/task\n");
    assert_true(WIFEXITED(outcome.event.status));
    assert_int_equal(WEXITSTATUS(outcome.event.status), 7);
    assert_false(outcome.event.oom_killed);
    assert_true(outcome.event.memory_peak > 0);
    shell(&world, &outcome, "kill -TERM $$");
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGTERM);
    world_close(&world);
}

static void sandbox_has_a_name(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    shell(&world, &outcome, "id -un; id -G | wc -w; hostname; cat /proc/self/cgroup | grep -vc ':/$'");
    assert_string_equal(outcome.output, "sbx_user1051\n1\nsandbox\n0\n");
    world_close(&world);
}

static void files_are_closed(bool root) {
    char secret[] = "/tmp/sluice-secret-XXXXXX";
    int fd = mkstemp(secret);
    assert_true(fd >= 0);
    fchmod(fd, 0644);
    close(fd);
    check_inside(root, "files", secret);
    unlink(secret);
}

static void api_socket(bool root) {
    struct world world;
    struct sl_jail_event event;
    struct sl_jail_config config = usual();
    char text[64] = "";
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "api", NULL};
    (void)start(&world, argv, NULL);
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    struct pollfd wait = {.fd = event.listen_fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    int connection = accept(event.listen_fd, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(read(connection, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(write(connection, "welcome", 7), 7);
    close(connection);
    read_log(event.log_fd, text, sizeof text);
    assert_string_equal(text, "welcome\n");
    int old_listener = event.listen_fd;
    close(event.log_fd);
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_EXITED);
    // Of no use any more, and no hindrance to the next sandbox in the same namespace, although still open here.
    assert_int_equal(accept(old_listener, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
    for (int i = 0; i < 6; i++) {
        struct outcome outcome;
        shell(&world, &outcome, "exit 0");
    }
    close(old_listener);
    world_close(&world);
}

static void host_loopback_is_closed(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    char port[8];
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "connect", "127.0.0.1", port, NULL};
    run(&world, &outcome, argv, NULL);
    assert_string_equal(outcome.output, "refused\n");
    world_close(&world);
    close(fd);
}

static void processes_are_limited(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    int count = 0;
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "fork", NULL};
    run(&world, &outcome, argv, &(struct sl_jail_spec){.pids = 40, .memory_mb = 512});
    assert_int_equal(sscanf(outcome.output, "forked %d", &count), 1);
    if (count < 30 || count > 40) fail_msg("forked %d with a limit of 40", count);
    // The bomb of one does not disturb another.
    shell(&world, &outcome, "/bin/true && echo fine");
    assert_string_equal(outcome.output, "fine\n");
    world_close(&world);
    assert_no_traces(world.spawner);
}

static void memory_is_limited(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "memory", NULL};
    run(&world, &outcome, argv, &(struct sl_jail_spec){.memory_mb = 64});
    assert_true(outcome.event.oom_killed);
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGKILL);
    assert_true(outcome.event.memory_peak > 32 << 20);
    shell(&world, &outcome, "echo fine");
    assert_string_equal(outcome.output, "fine\n");
    assert_false(outcome.event.oom_killed);
    world_close(&world);
}

static void tmp_is_limited_and_new(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    config.max_instances = 1;
    config.shells = 1;
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "fill", NULL};
    run(&world, &outcome, argv, &(struct sl_jail_spec){.tmp_mb = 8});
    assert_string_equal(outcome.output, "wrote 8: No space left on device\n");
    for (int i = 0; i < 12; i++) { // more than there are slots
        shell(&world, &outcome, "ls -A /tmp /dev/shm; touch /tmp/mine /dev/shm/mine");
        assert_string_equal(outcome.output, "/dev/shm:\n\n/tmp:\n");
    }
    world_close(&world);
}

static void daemons_die(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "daemon", NULL};
    run(&world, &outcome, argv, NULL); // reads the log to its end, which the daemon holds open
    assert_int_equal(WEXITSTATUS(outcome.event.status), 5);
    assert_string_equal(outcome.output, "left\n");
    world_close(&world);
    assert_no_traces(world.spawner);
}

static void stop_kills_the_tree(bool root) {
    struct world world;
    struct sl_jail_event event;
    struct sl_jail_config config = usual();
    struct sl_error err;
    char text[64];
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "trap '' TERM INT; sleep 1000 & (setsid sleep 1000 &) ; echo up; sleep 1000", NULL};
    uint64_t id = start(&world, argv, NULL);
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    struct pollfd up = {.fd = event.log_fd, .events = POLLIN};
    assert_int_equal(poll(&up, 1, WAIT_MS), 1);
    int log = event.log_fd;
    close(event.listen_fd);
    if (event.memory_fd >= 0) {
        assert_true(sl_jail_memory_peak(event.memory_fd) >= 0);
        close(event.memory_fd);
    }
    assert_int_equal(sl_jail_stop(world.client, id, &err), 0);
    assert_int_equal(sl_jail_stop(world.client, 123456, &err), 0); // unknown: ignored
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_EXITED);
    assert_int_equal(event.id, id);
    assert_true(WIFSIGNALED(event.status));
    assert_int_equal(WTERMSIG(event.status), SIGKILL);
    read_log(log, text, sizeof text); // end-of-file: nobody left
    close(log);
    world_close(&world);
    assert_no_traces(world.spawner);
}

static void expect_failure(struct world *world, int error, const char *step) {
    struct sl_jail_event event;
    next_event(world, &event);
    assert_int_equal(event.kind, SL_JAIL_FAILED);
    if (event.error != error || strcmp(event.step, step) != 0) fail_msg("%s: %s", event.step, strerror(event.error));
}

static void bad_requests(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    struct sl_error err = {0};
    world_open(&world, root, &config);
    const char *const missing[] = {"/var/task/none", NULL};
    const char *const fine[] = {"/bin/true", NULL};
    (void)start(&world, missing, NULL);
    expect_failure(&world, ENOENT, "execute /var/task/none");
    (void)start(&world, fine, &(struct sl_jail_spec){.memory_mb = 1});
    expect_failure(&world, EINVAL, "check the request");

    int block = block_of(fine);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct sl_jail_spec spec = {.memory_mb = 128, .code_dir_fd = file, .opt_dir_fd = -1, .block_fd = block};
    assert_int_equal(sl_jail_start(world.client, 77, &spec, &err), 0);
    expect_failure(&world, ENOTDIR, "take the code directory");
    spec.code_dir_fd = code_fd;
    spec.opt_dir_fd = file;
    assert_int_equal(sl_jail_start(world.client, 77, &spec, &err), 0);
    expect_failure(&world, ENOTDIR, "take the layers directory");
    spec.opt_dir_fd = -1;
    spec.block_fd = file; // not a sealed block
    assert_int_equal(sl_jail_start(world.client, 77, &spec, &err), 0);
    expect_failure(&world, EINVAL, "read the arguments");
    spec.block_fd = block;
    assert_int_equal(sl_jail_start(world.client, 0, &spec, &err), SL_E_INVALID);
    close(block);
    close(file);
    shell(&world, &outcome, "echo fine"); // and all that has harmed nobody
    assert_string_equal(outcome.output, "fine\n");
    world_close(&world);
    assert_no_traces(world.spawner);
}

static void instances_are_limited(bool root) {
    struct world world;
    struct sl_jail_event event;
    struct sl_jail_config config = usual();
    config.max_instances = 2;
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct sl_error err;
    int fds[2][2];
    for (int i = 0; i < 2; i++) {
        (void)start(&world, argv, NULL);
        next_event(&world, &event);
        assert_int_equal(event.kind, SL_JAIL_STARTED);
        fds[i][0] = event.listen_fd;
        fds[i][1] = event.log_fd;
    }
    (void)start(&world, argv, NULL);
    expect_failure(&world, EAGAIN, "find a free slot");
    world.next_id = 1; // in use
    (void)start(&world, argv, NULL);
    expect_failure(&world, EEXIST, "check the request");
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(sl_jail_stop(world.client, id, &err), 0);
        next_event(&world, &event);
        assert_int_equal(event.kind, SL_JAIL_EXITED);
        close(fds[id - 1][0]);
        close(fds[id - 1][1]);
    }
    struct outcome outcome;
    world.next_id = 1; // free again
    shell(&world, &outcome, "echo fine");
    world_close(&world);
}

static void many_at_once(bool root) {
    struct world world;
    struct sl_jail_config config = usual();
    enum { COUNT = 20 };
    int started = 0;
    int ended = 0;
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/true", NULL};
    for (int i = 0; i < COUNT; i++) (void)start(&world, argv, NULL);
    while (ended < COUNT) {
        struct sl_jail_event event;
        next_event(&world, &event);
        if (event.kind == SL_JAIL_FAILED) fail_msg("%s: %s", event.step, strerror(event.error));
        if (event.kind == SL_JAIL_STARTED) {
            started++;
            close(event.listen_fd);
            close(event.log_fd);
            if (event.memory_fd >= 0) close(event.memory_fd);
        } else {
            assert_int_equal(event.status, 0);
            ended++;
        }
    }
    assert_int_equal(started, COUNT);
    world_close(&world);
    assert_no_traces(world.spawner);
}

static void server_death_ends_everything(bool root) {
    struct world world;
    struct sl_jail_event event;
    struct sl_jail_config config = usual();
    char text[64];
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo up; wait", NULL};
    (void)start(&world, argv, NULL);
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    world_close(&world); // closes the socket, as the death of the server does
    read_log(event.log_fd, text, sizeof text);
    close(event.log_fd);
    close(event.listen_fd);
    assert_no_traces(world.spawner);
}

static void spawner_death_ends_everything(bool root) {
    struct world world;
    struct sl_jail_event event;
    struct sl_jail_config config = usual();
    char text[64];
    struct sl_error err = {0};
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo up; wait", NULL};
    (void)start(&world, argv, NULL);
    next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    int log = event.log_fd;
    close(event.listen_fd);
    assert_int_equal(kill(world.spawner, SIGKILL), 0);
    assert_int_equal(waitpid(world.spawner, NULL, 0), world.spawner);
    read_log(log, text, sizeof text); // the sandbox died with it
    close(log);
    assert_int_equal(sl_jail_poll(world.client, &event), -1);
    assert_int_equal(sl_jail_stop(world.client, 1, &err), SL_E_UNAVAILABLE);
    sl_jail_client_free(world.client);
    pid_t dead = world.spawner;
    // The next start removes what a killed spawner could not, and leaves a living one alone.
    struct world other;
    world_open(&other, root, &config);
    struct outcome outcome;
    shell(&other, &outcome, "echo fine");
    assert_no_traces(dead);
    world_open(&world, root, &config);
    shell(&world, &outcome, "echo fine");
    shell(&other, &outcome, "echo fine");
    assert_string_equal(outcome.output, "fine\n");
    world_close(&other);
    shell(&world, &outcome, "echo fine");
    world_close(&world);
    assert_no_traces(world.spawner);
    assert_no_traces(other.spawner);
}

static void layers_and_runtimes(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    char path[] = "/tmp/sluice-layer-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_int_equal(chmod(path, 0755), 0);
    char file[64];
    snprintf(file, sizeof file, "%s/data", path);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "layer\n", 6), 6);
    close(fd);
    int layer = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    config.runtimes_dir_fd = layer;
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "cat /opt/data /var/runtime/data; echo x 2>/dev/null > /opt/y || echo closed", NULL};
    run(&world, &outcome, argv, &(struct sl_jail_spec){.opt_dir_fd = layer});
    assert_string_equal(outcome.output, "layer\nlayer\nclosed\n");
    world_close(&world);
    close(layer);
    unlink(file);
    rmdir(path);
}

static void cpu_can_be_changed(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    struct sl_error err = {0};
    world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "echo fine", NULL};
    uint64_t id = start(&world, argv, &(struct sl_jail_spec){.cpu_milli = 500});
    assert_int_equal(sl_jail_set_cpu(world.client, id, 72, &err), 0);
    assert_int_equal(sl_jail_set_cpu(world.client, 999, 72, &err), 0);
    finish(&world, &outcome);
    assert_string_equal(outcome.output, "fine\n");
    world_close(&world);
}

#define BOTH(body)                                                                                                     \
    static void as_root_##body(void **state) {                                                                         \
        (void)state;                                                                                                   \
        body(true);                                                                                                    \
    }                                                                                                                  \
    static void as_user_##body(void **state) {                                                                         \
        (void)state;                                                                                                   \
        body(false);                                                                                                   \
    }

static void privileges_are_gone(bool root) {
    check_inside(root, "privileges", NULL);
}
static void other_processes_are_invisible(bool root) {
    check_inside(root, "processes", NULL);
}
static void foreign_system_calls_kill(bool root) {
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "x32", NULL};
    run(&world, &outcome, argv, NULL);
    assert_string_equal(outcome.output, "");
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGSYS);
    world_close(&world);
}

BOTH(output_and_status)
BOTH(sandbox_has_a_name)
BOTH(files_are_closed)
BOTH(privileges_are_gone)
BOTH(other_processes_are_invisible)
BOTH(foreign_system_calls_kill)
BOTH(api_socket)
BOTH(host_loopback_is_closed)
BOTH(processes_are_limited)
BOTH(memory_is_limited)
BOTH(tmp_is_limited_and_new)
BOTH(daemons_die)
BOTH(stop_kills_the_tree)
BOTH(bad_requests)
BOTH(instances_are_limited)
BOTH(many_at_once)
BOTH(server_death_ends_everything)
BOTH(spawner_death_ends_everything)
BOTH(layers_and_runtimes)
BOTH(cpu_can_be_changed)

// ---- network (root) ----

// An address of this machine that is not loopback; false without one.
static bool host_address(struct in_addr *ret_address) {
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0) return false;
    for (struct ifaddrs *at = list; at != NULL && !found; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
        if (strncmp(at->ifa_name, "slu", 3) == 0) continue;
        *ret_address = ((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr;
        found = true;
    }
    freeifaddrs(list);
    return found;
}

static void network_reaches_only_what_is_allowed(void **state) {
    (void)state;
    struct world world;
    struct outcome outcome;
    struct sl_jail_config config = usual();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    char host[INET_ADDRSTRLEN];
    char ports[2][8];
    int listeners[2];
    int before = uplinks();
    config.network = true;
    need(geteuid() == 0 && host_address(&address.sin_addr), "root and a network interface");
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    for (int i = 0; i < 2; i++) {
        address.sin_port = 0;
        listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listeners[i], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listeners[i], 16), 0);
        assert_int_equal(getsockname(listeners[i], (struct sockaddr *)&address, &size), 0);
        snprintf(ports[i], sizeof ports[i], "%u", ntohs(address.sin_port));
    }
    config.allow[config.allow_count++] = (struct sl_jail_allow){address.sin_addr, 32, (uint16_t)atoi(ports[1])};
    world_open(&world, true, &config);
    struct sl_jail_spec with = {.network = true};
    const char *const closed[] = {"/var/task/test", "--inside", "connect", host, ports[0], NULL};
    run(&world, &outcome, closed, &with);
    if (!outcome.first.network) {
        world_close(&world);
        need(false, "veth, nftables and forwarding");
    }
    assert_string_equal(outcome.output, "refused\n");
    const char *const open[] = {"/var/task/test", "--inside", "connect", host, ports[1], NULL};
    run(&world, &outcome, open, &with);
    assert_string_equal(outcome.output, "connected\n");
    run(&world, &outcome, open, NULL); // a function without network, on the same server
    assert_false(outcome.first.network);
    assert_string_equal(outcome.output, "refused\n");
    static const char *const never[] = {"169.254.169.254", "169.254.100.1", "198.18.0.1", "198.19.0.2", "10.0.0.1", "192.168.0.1"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        const char *const argv[] = {"/var/task/test", "--inside", "connect", never[i], "80", NULL};
        run(&world, &outcome, argv, &with);
        assert_string_equal(outcome.output, "refused\n");
    }
    assert_int_equal(uplinks(), before + 1);
    world_close(&world);
    close(listeners[0]);
    close(listeners[1]);
    assert_int_equal(uplinks(), before);
    assert_no_traces(world.spawner);
}

// ---- without a spawner ----

static void blocks_are_bounded(void **state) {
    (void)state;
    struct sl_error err = {0};
    const char *const argv[] = {"x", NULL};
    const char *const none[] = {NULL};
    char *huge = malloc(SL_JAIL_BLOCK_MAX + 1);
    memset(huge, 'x', SL_JAIL_BLOCK_MAX);
    huge[SL_JAIL_BLOCK_MAX] = '\0';
    const char *const env[] = {huge, NULL};
    assert_int_equal(sl_jail_block_new("relative", argv, none, &err), -1);
    assert_int_equal(err.kind, SL_E_INVALID);
    assert_int_equal(sl_jail_block_new("/bin/true", none, none, &err), -1);
    assert_int_equal(err.kind, SL_E_INVALID);
    assert_int_equal(sl_jail_block_new("/bin/true", argv, env, &err), -1);
    assert_int_equal(err.kind, SL_E_LIMIT);
    free(huge);
    int fd = sl_jail_block_new("/bin/true", argv, none, &err);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1); // sealed
    close(fd);
}

static void cpu_follows_memory(void **state) {
    (void)state;
    assert_int_equal(sl_jail_cpu_for_memory(1769), 1000);
    assert_int_equal(sl_jail_cpu_for_memory(128), 72);
    assert_int_equal(sl_jail_cpu_for_memory(10240), 5788);
}

static void probe_answers_every_row(void **state) {
    (void)state;
    struct sl_jail_features features;
    sl_jail_probe(&features);
    for (int i = 0; i < SL_JAIL_FEATURE_COUNT; i++) {
        assert_non_null(features.item[i].name);
        assert_true(features.item[i].how[0] != '\0');
        assert_true(features.item[i].available || features.item[i].advice[0] != '\0');
    }
    assert_true(features.item[SL_JAIL_FEATURE_SECCOMP].available);
}

// ---- frame ----

// A directory that any user can read, with this program in it as "test".
static int make_code(void **state) {
    (void)state;
    char command[512];
    char self[200];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0 || mkdtemp(code_path) == NULL || chmod(code_path, 0755) != 0) return -1;
    self[length] = '\0';
    snprintf(command, sizeof command, "cp '%s' %s/test && chmod 755 %s/test", self, code_path, code_path);
    if (system(command) != 0) return -1;
    code_fd = open(code_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return code_fd < 0 ? -1 : 0;
}

static int remove_code(void **state) {
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/test", code_path);
    close(code_fd);
    return unlink(path) != 0 || rmdir(code_path) != 0 ? -1 : 0;
}

#define BOTH_ROWS(body) cmocka_unit_test(as_root_##body), cmocka_unit_test(as_user_##body)

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return inside(argv + 2);
    const struct CMUnitTest tests[] = {
        BOTH_ROWS(output_and_status),
        BOTH_ROWS(sandbox_has_a_name),
        BOTH_ROWS(files_are_closed),
        BOTH_ROWS(privileges_are_gone),
        BOTH_ROWS(other_processes_are_invisible),
        BOTH_ROWS(foreign_system_calls_kill),
        BOTH_ROWS(api_socket),
        BOTH_ROWS(host_loopback_is_closed),
        BOTH_ROWS(processes_are_limited),
        BOTH_ROWS(memory_is_limited),
        BOTH_ROWS(tmp_is_limited_and_new),
        BOTH_ROWS(daemons_die),
        BOTH_ROWS(stop_kills_the_tree),
        BOTH_ROWS(bad_requests),
        BOTH_ROWS(instances_are_limited),
        BOTH_ROWS(many_at_once),
        BOTH_ROWS(server_death_ends_everything),
        BOTH_ROWS(spawner_death_ends_everything),
        BOTH_ROWS(layers_and_runtimes),
        BOTH_ROWS(cpu_can_be_changed),
        cmocka_unit_test(network_reaches_only_what_is_allowed),
        cmocka_unit_test(blocks_are_bounded),
        cmocka_unit_test(cpu_follows_memory),
        cmocka_unit_test(probe_answers_every_row),
    };
    return cmocka_run_group_tests(tests, make_code, remove_code);
}
