// SPDX-License-Identifier: Apache-2.0
//
// jail_world: see jail_world.h.
#include "jail_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

enum { USER = 65534 };

static char code_path[] = "/tmp/sluice-jail-XXXXXX";
int jail_code_fd = -1;

void jail_need(bool there, const char *what) {
    if (there) return;
    if (getenv("SLUICE_TEST_REQUIRE") != NULL) fail_msg("needed here: %s", what);
    print_message("skipped: needs %s\n", what);
    skip();
}

struct sl_jail_config jail_usual(void) {
    return (struct sl_jail_config){.first_uid = 300000, .max_instances = 24, .shells = 2, .runtimes_dir_fd = -1};
}

void jail_world_open(struct jail_world *world, bool root, const struct sl_jail_config *config) {
    jail_need(!root || geteuid() == 0, "root");
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
        struct sl_jail_config own = *config;
        const struct passwd *self = getpwuid(getuid());
        if (self != NULL) snprintf(own.user, sizeof own.user, "%s", self->pw_name);
        _exit(sl_spawner_begin(pair[1], &own));
    }
    close(pair[1]);
    world->client = sl_jail_client_new(pair[0]);
    world->next_id = 1;
    struct sl_error err = {0};
    if (sl_jail_client_wait(world->client, JAIL_WAIT_MS, &err) != 0) fail_msg("%s", err.message);
}

void jail_world_close(struct jail_world *world) {
    int status;
    sl_jail_client_free(world->client);
    assert_int_equal(waitpid(world->spawner, &status, 0), world->spawner);
    assert_int_equal(status, 0);
}

int jail_block_of(const char *const argv[]) {
    static const char *const envp[] = {"PATH=/usr/bin:/bin", "COLOUR=blue", "ASAN_OPTIONS=detect_leaks=0", NULL};
    struct sl_error err = {0};
    int fd = sl_jail_block_new(argv[0], argv, envp, &err);
    if (fd < 0) fail_msg("%s", err.message);
    return fd;
}

uint64_t jail_start(struct jail_world *world, const char *const argv[], const struct sl_jail_spec *changes) {
    struct sl_error err = {0};
    struct sl_jail_spec spec = changes != NULL ? *changes : (struct sl_jail_spec){0};
    if (spec.memory_mb == 0) spec.memory_mb = 256;
    spec.code_dir_fd = jail_code_fd;
    if (spec.opt_dir_fd == 0) spec.opt_dir_fd = -1;
    spec.block_fd = jail_block_of(argv);
    uint64_t id = world->next_id++;
    if (sl_jail_start(world->client, id, &spec, &err) != 0) fail_msg("%s", err.message);
    close(spec.block_fd);
    return id;
}

void jail_start_raw(struct jail_world *world, uint64_t id, const struct sl_jail_spec *spec) {
    struct sl_error err = {0};
    if (sl_jail_start(world->client, id, spec, &err) != 0) fail_msg("%s", err.message);
}

void jail_adopt(struct jail_world *world, uint64_t id, const char *const argv[], const struct sl_jail_spec *changes) {
    struct sl_error err = {0};
    struct sl_jail_spec spec = changes != NULL ? *changes : (struct sl_jail_spec){0};
    if (spec.memory_mb == 0) spec.memory_mb = 256;
    if (spec.code_dir_fd == 0) spec.code_dir_fd = jail_code_fd;
    if (spec.opt_dir_fd == 0) spec.opt_dir_fd = -1;
    spec.block_fd = jail_block_of(argv);
    if (sl_jail_adopt(world->client, id, &spec, &err) != 0) fail_msg("%s", err.message);
    close(spec.block_fd);
}

void jail_expect(struct jail_world *world, enum sl_jail_event_kind kind, uint64_t id, struct sl_jail_event *ret_event) {
    jail_next_event(world, ret_event);
    if (ret_event->kind == kind && (id == 0 || ret_event->id == id)) return;
    fail_msg("event %d of %d instead of %d: %s: %s (program %u, status %x)", (int)ret_event->kind, (int)ret_event->id,
             (int)kind, ret_event->step, strerror(ret_event->error), ret_event->program, (unsigned)ret_event->status);
}

void jail_close_event(struct sl_jail_event *event) {
    int *fds[] = {&event->listen_fd[0], &event->listen_fd[1], &event->listen_fd[2], &event->log_fd,
                  &event->memory_fd,    &event->freeze_fd,    &event->connector_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
}

void jail_read_line(int fd, char *text, size_t size) {
    size_t used = 0;
    while (used < size - 1) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, JAIL_WAIT_MS) != 1) fail_msg("no line");
        ssize_t n = read(fd, text + used, 1);
        if (n < 0 && errno == EAGAIN) continue;
        if (n != 1) fail_msg("the log ended after: %.*s", (int)used, text);
        if (text[used] == '\n') break;
        used++;
    }
    text[used] = '\0';
}

void jail_next_event(struct jail_world *world, struct sl_jail_event *event) {
    struct pollfd wait = {.fd = sl_jail_client_fd(world->client), .events = POLLIN};
    if (poll(&wait, 1, JAIL_WAIT_MS) != 1) fail_msg("no event within %d ms", JAIL_WAIT_MS);
    int rc = sl_jail_poll(world->client, event);
    if (rc != 1) fail_msg("sl_jail_poll: %d", rc);
}

// Reads to end-of-file, which comes only when no process of the sandbox is left.
void jail_read_log(int fd, char *text, size_t size) {
    size_t used = 0;
    fcntl(fd, F_SETFL, 0);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, JAIL_WAIT_MS) != 1) fail_msg("the log stays open");
        char drop[512];
        bool room = used < size - 1;
        ssize_t n = read(fd, room ? text + used : drop, room ? size - 1 - used : sizeof drop);
        if (n <= 0) break;
        if (room) used += (size_t)n;
    }
    text[used] = '\0';
}

void jail_finish(struct jail_world *world, struct jail_outcome *outcome) {
    memset(outcome, 0, sizeof *outcome);
    jail_next_event(world, &outcome->event);
    if (outcome->event.kind == SL_JAIL_FAILED) return;
    assert_int_equal(outcome->event.kind, SL_JAIL_STARTED);
    outcome->started = true;
    outcome->first = outcome->event;
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) assert_true(outcome->first.listen_fd[i] >= 0);
    jail_read_log(outcome->first.log_fd, outcome->output, sizeof outcome->output);
    jail_next_event(world, &outcome->event);
    assert_int_equal(outcome->event.kind, SL_JAIL_EXITED);
    jail_close_event(&outcome->first);
}

void jail_run(struct jail_world *world, struct jail_outcome *outcome, const char *const argv[],
              const struct sl_jail_spec *changes) {
    uint64_t id = jail_start(world, argv, changes);
    jail_finish(world, outcome);
    assert_int_equal(outcome->event.id, id);
    if (!outcome->started) fail_msg("%s: %s", outcome->event.step, strerror(outcome->event.error));
}

void jail_shell(struct jail_world *world, struct jail_outcome *outcome, const char *script) {
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    jail_run(world, outcome, argv, NULL);
}

void jail_check_inside(bool root, const char *check, const char *argument) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", check, argument, NULL};
    jail_run(&world, &outcome, argv, NULL);
    if (outcome.event.status != 0) fail_msg("%s: status %x\n%s", check, (unsigned)outcome.event.status, outcome.output);
    jail_world_close(&world);
}

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
void jail_assert_no_traces(pid_t spawner) {
    char text[4096];
    for (int waited = 0; waited < JAIL_WAIT_MS; waited += 10) {
        traces(text, sizeof text, spawner);
        if (text[0] == '\0') return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("left over:\n%s", text);
}

int jail_uplink(pid_t spawner) {
    char wanted[48];
    snprintf(wanted, sizeof wanted, "sluice spawner %d\n", (int)spawner);
    for (int n = 0; n < 256; n++) {
        char path[64];
        char alias[64] = "";
        snprintf(path, sizeof path, "/sys/class/net/slu%d/ifalias", n);
        FILE *file = fopen(path, "re");
        if (file == NULL) continue;
        bool ours = fgets(alias, sizeof alias, file) != NULL && strcmp(alias, wanted) == 0;
        fclose(file);
        if (ours) return n;
    }
    return -1;
}

int jail_make_code(void **state) {
    (void)state;
    if (mkdtemp(code_path) == NULL || chmod(code_path, 0755) != 0) return -1;
    jail_code_fd = open(code_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = openat(jail_code_fd, "test", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    struct stat info;
    if (from < 0 || to < 0 || fstat(from, &info) != 0) return -1;
    for (off_t done = 0; done < info.st_size;) {
        if (sendfile(to, from, &done, (size_t)(info.st_size - done)) <= 0) return -1;
    }
    close(from);
    return fchmod(to, 0755) != 0 || close(to) != 0 ? -1 : 0;
}

bool jail_has_version_1;
bool jail_has_chroot;
static int usual_mounts = -1;
static int usual_code = -1;

// Into a mount namespace of this test's own. Clones are made of mounts in one's own namespace only, so the code
// directory is opened again, when that namespace looks as it should.
static bool enter_own_mounts(void) {
    usual_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int open_code_again(void) {
    usual_code = jail_code_fd;
    jail_code_fd = open(code_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return jail_code_fd < 0 ? -1 : 0;
}

// Back to where everything was, out of a chroot too.
static int leave_own_mounts(void) {
    if (usual_code >= 0) {
        close(jail_code_fd);
        jail_code_fd = usual_code;
        usual_code = -1;
    }
    int rc = geteuid() == 0 ? setns(usual_mounts, CLONE_NEWNS) : 0;
    close(usual_mounts);
    return rc;
}

int jail_hide_version_2(void **state) {
    (void)state;
    jail_has_version_1 = enter_own_mounts() && umount2("/sys/fs/cgroup/unified", MNT_DETACH) == 0 &&
                         access("/sys/fs/cgroup/freezer/tasks", F_OK) == 0;
    return open_code_again();
}

int jail_show_version_2(void **state) {
    (void)state;
    return leave_own_mounts();
}

static const char *const folders[] = {"usr", "etc", "proc", "sys", "dev", "tmp", "run", "bin", "sbin", "lib", "lib64"};
static char chroot_path[] = "/tmp/sluice-chroot-XXXXXX";

int jail_enter_chroot(void **state) {
    (void)state;
    bool good = enter_own_mounts() && mkdtemp(chroot_path) != NULL;
    for (size_t i = 0; good && i < sizeof folders / sizeof folders[0]; i++) {
        char from[32];
        char to[64];
        snprintf(from, sizeof from, "/%s", folders[i]);
        snprintf(to, sizeof to, "%s/%s", chroot_path, folders[i]);
        if (access(from, F_OK) == 0) good = mkdir(to, 0755) == 0 && mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0;
    }
    jail_has_chroot = good && chroot(chroot_path) == 0 && chdir("/") == 0;
    return open_code_again();
}

int jail_leave_chroot(void **state) {
    (void)state;
    int rc = leave_own_mounts();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", chroot_path, folders[i]);
        (void)rmdir(path);
    }
    (void)rmdir(chroot_path);
    return rc;
}

int jail_remove_code(void **state) {
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/test", code_path);
    close(jail_code_fd);
    return unlink(path) != 0 || rmdir(code_path) != 0 ? -1 : 0;
}
