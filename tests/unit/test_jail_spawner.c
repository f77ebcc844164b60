// SPDX-License-Identifier: Apache-2.0
//
// jail: the spawner against a hostile server (its protocol, spoken by hand), what it holds on to, and the control group
// files.
#include "jail_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/cgroup.h"
#include "jail/file.h"
#include "jail/proto.h"

static void send_raw(struct jail_world *world, const struct sl_jail__request *request, const int *fds, unsigned count) {
    assert_int_equal(sl_jail__send(sl_jail_client_fd(world->client), request, sizeof *request, fds, count), 0);
}

static void expect(struct jail_world *world, uint64_t id, int error) {
    struct sl_jail_event event;
    jail_next_event(world, &event);
    assert_int_equal(event.kind, SL_JAIL_FAILED);
    assert_int_equal(event.id, id);
    assert_int_equal(event.error, error);
}

static void nonsense_is_refused(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/true", NULL};
    int block = jail_block_of(argv);
    const struct sl_jail__request good = {.op = SL_JAIL__START,
                                          .has = 1u << SL_JAIL__CODE | 1u << SL_JAIL__BLOCK,
                                          .id = 100,
                                          .memory_mb = 128,
                                          .pids = 64,
                                          .fds = 64,
                                          .tmp_mb = 64};
    struct sl_jail__request request = good;
    send_raw(&world, &request, NULL, 0); // no descriptors
    expect(&world, 100, EBADF);
    request.has |= 1u << SL_JAIL__OPT; // layers announced, not sent
    send_raw(&world, &request, (const int[]){jail_code_fd, block}, 2);
    expect(&world, 100, EBADF);
    request = good;
    send_raw(&world, &request, (const int[]){block, jail_code_fd}, 2); // in the wrong order
    expect(&world, 100, ENOTDIR);
    static const struct {
        size_t offset;
        uint32_t value;
    } bad[] = {{offsetof(struct sl_jail__request, memory_mb), 0},
               {offsetof(struct sl_jail__request, memory_mb), UINT32_MAX},
               {offsetof(struct sl_jail__request, cpu_milli), UINT32_MAX},
               {offsetof(struct sl_jail__request, pids), 0},
               {offsetof(struct sl_jail__request, pids), UINT32_MAX},
               {offsetof(struct sl_jail__request, fds), 3},
               {offsetof(struct sl_jail__request, tmp_mb), 0},
               {offsetof(struct sl_jail__request, tmp_mb), UINT32_MAX},
               {offsetof(struct sl_jail__request, programs), UINT32_MAX},
               {offsetof(struct sl_jail__request, template), UINT32_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request = good;
        memcpy((char *)&request + bad[i].offset, &bad[i].value, sizeof bad[i].value);
        send_raw(&world, &request, (const int[]){jail_code_fd, block}, 2);
        expect(&world, 100, EINVAL);
    }
    request = good;
    request.id = 0;
    send_raw(&world, &request, (const int[]){jail_code_fd, block}, 2);
    expect(&world, 0, EINVAL);
    for (uint32_t op = 0; op < 16; op++) { // no answer to any: unknown ids and operations
        if (op == SL_JAIL__START) continue;
        send_raw(&world,
                 &(struct sl_jail__request){.op = op, .id = op % 2 == 0 ? 0 : UINT64_MAX, .cpu_milli = UINT32_MAX},
                 (const int[]){block, block, block, block, block}, 5);
    }
    jail_shell(&world, &outcome, "echo fine");
    assert_string_equal(outcome.output, "fine\n");
    close(block);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

// A message of a wrong size is no message of ours: the spawner ends as if the server were gone.
static void a_wrong_size_ends_it(bool root) {
    struct jail_world world = {0};
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    assert_int_equal(send(sl_jail_client_fd(world.client), "garbage", 7, MSG_NOSIGNAL), 7);
    struct pollfd gone = {.fd = sl_jail_client_fd(world.client), .events = POLLIN};
    assert_int_equal(poll(&gone, 1, JAIL_WAIT_MS), 1);
    struct sl_jail_event event;
    assert_int_equal(sl_jail_poll(world.client, &event), -1);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static int open_files(pid_t pid) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

// Waits until the pool is full again, which is when the count stands still, and returns it.
static int settled_files(pid_t pid) {
    int last = -1;
    for (int same = 0, waited = 0; same < 10 && waited < JAIL_WAIT_MS; waited += 10) {
        int now = open_files(pid);
        same = now == last ? same + 1 : 0;
        last = now;
        (void)poll(NULL, 0, 10);
    }
    return last;
}

static void descriptors_do_not_leak(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    config.max_instances = 2; // so that every slot has had its network namespace made after a few turns
    jail_world_open(&world, root, &config);
    for (int i = 0; i < 24; i++) jail_shell(&world, &outcome, "exit 0");
    int before = settled_files(world.spawner);
    for (int i = 0; i < 24; i++) jail_shell(&world, &outcome, "exit 0");
    const char *const missing[] = {"/var/task/none", NULL};
    for (int i = 0; i < 8; i++) {
        struct sl_jail_event event;
        (void)jail_start(&world, missing, NULL);
        jail_next_event(&world, &event);
        assert_int_equal(event.kind, SL_JAIL_FAILED);
    }
    // A leak would be one for each of the 24 or the 8; on a busy machine a slot more or less is in between.
    assert_true(settled_files(world.spawner) < before + 8);
    jail_world_close(&world);
}

// A chroot whose directory is no mount: sandboxes see its files, and no way out of it leads into the host's.
static void chroots_are_no_obstacle(void **state) {
    (void)state;
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_need(jail_has_chroot, "root");
    config.shells = 0;
    jail_world_open(&world, true, &config);
    jail_shell(&world, &outcome, "id -un; ls / | grep -c -x -e boot -e mnt; ls -A /tmp; ls /var/task");
    assert_string_equal(outcome.output, "sbx_user1051\n0\ntest\n");
    const char *const argv[] = {"/var/task/test", "--inside", "privileges", NULL};
    jail_run(&world, &outcome, argv, NULL);
    if (outcome.event.status != 0) fail_msg("status %x\n%s", (unsigned)outcome.event.status, outcome.output);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

// What several servers of one machine must not share.
static void servers_have_their_own_ids(void **state) {
    (void)state;
    struct jail_world first = {0};
    struct jail_world second = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&first, true, &config);
    jail_world_open(&second, true, &config);
    jail_shell(&first, &outcome, "id -u");
    long one = strtol(outcome.output, NULL, 10);
    jail_shell(&second, &outcome, "id -u");
    long other = strtol(outcome.output, NULL, 10);
    if (labs(one - other) < 8192) fail_msg("%ld and %ld", one, other);
    jail_world_close(&first);
    jail_world_close(&second);
}

// The directory of a spawner whose process cannot be seen (another pid namespace) is left alone while it is held, and
// is removed when it is not.
static void held_control_groups_stay(void **state) {
    (void)state;
    struct jail_world world = {0};
    struct sl_jail__cgroups found;
    struct sl_jail_config config = jail_usual();
    jail_need(geteuid() == 0, "root");
    sl_jail__cgroups_find(&found);
    sl_jail__cgroups_open(&found);
    jail_need(found.count > 0, "control groups");
    int base = open(found.at[0].base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const char name[] = "sluice-3999999-1"; // no such process
    assert_int_equal(mkdirat(base, name, 0755), 0);
    int held = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    jail_world_open(&world, true, &config);
    jail_world_close(&world);
    assert_int_equal(faccessat(base, name, F_OK, 0), 0);
    close(held);
    jail_world_open(&world, true, &config);
    jail_world_close(&world);
    assert_int_equal(faccessat(base, name, F_OK, 0), -1);
    close(base);
    sl_jail__cgroups_close(&found);
}

static void a_spawner_that_cannot_start_says_so(void **state) {
    (void)state;
    struct sl_error err = {0};
    int pair[2];
    struct sl_jail_config config = jail_usual();
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    config.runtimes_dir_fd = file; // no directory
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t spawner = fork();
    if (spawner == 0) _exit(sl_spawner_main(pair[1], &config));
    close(pair[1]);
    struct sl_jail_client *client = sl_jail_client_new(pair[0]);
    assert_int_equal(sl_jail_client_wait(client, JAIL_WAIT_MS, &err), SL_E_UNAVAILABLE);
    assert_string_equal(err.message, "functions cannot run: mount the runtimes: Not a directory");
    int status;
    assert_int_equal(waitpid(spawner, &status, 0), spawner);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(sl_jail_client_wait(client, JAIL_WAIT_MS, &err), SL_E_UNAVAILABLE); // gone
    sl_jail_client_free(client);
    close(file);
}

JAIL_BOTH(nonsense_is_refused)
JAIL_BOTH(a_wrong_size_ends_it)
JAIL_BOTH(descriptors_do_not_leak)

// ---- control group files, on a directory that plays one ----

static int play_directory(char *path, const char *const names[]) {
    assert_non_null(mkdtemp(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (; *names != NULL; names++) assert_int_equal(sl_jail__create(dir, *names, "", 0644), 0);
    return dir;
}

static void assert_file(int dir, const char *name, const char *text) {
    char got[128];
    assert_true(sl_jail__read(dir, name, got, sizeof got) >= 0);
    assert_string_equal(got, text);
}

static void remove_directory(const char *path, int dir, const char *const names[]) {
    for (; *names != NULL; names++) assert_int_equal(unlinkat(dir, *names, 0), 0);
    close(dir);
    rmdir(path);
}

static void version_2_files_are_written(void **state) {
    (void)state;
    static const char *const names[] = {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max",
                                        "cpu.max",    "memory.events",   "memory.peak",      NULL};
    char path[] = "/tmp/sluice-cgroup-XXXXXX";
    int dir = play_directory(path, names);
    struct sl_jail__limits limits = {.memory_mb = 128, .cpu_milli = 72, .pids = 40};
    assert_int_equal(sl_jail__v2_limit(dir, SL_JAIL__CONTROLLERS, &limits), 0);
    assert_file(dir, "memory.max", "134217728");
    assert_file(dir, "memory.swap.max", "0");
    assert_file(dir, "memory.oom.group", "1");
    assert_file(dir, "pids.max", "40");
    assert_file(dir, "cpu.max", "7200 100000");
    assert_int_equal(unlinkat(dir, "cpu.max", 0), 0);
    assert_int_equal(sl_jail__create(dir, "cpu.max", "", 0644), 0);
    assert_int_equal(sl_jail__v2_limit_cpu(dir, 0), 0);
    assert_file(dir, "cpu.max", "max 100000");
    assert_false(sl_jail__v2_oom(dir));
    assert_int_equal(
        sl_jail__create(dir, "memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n", 0644), 0);
    assert_false(sl_jail__v2_oom(dir));
    assert_int_equal(
        sl_jail__create(dir, "memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n", 0644), 0);
    assert_true(sl_jail__v2_oom(dir));
    assert_int_equal(sl_jail__create(dir, "memory.peak", "5242880\n", 0644), 0);
    int peak = sl_jail__v2_memory_fd(dir);
    assert_int_equal(sl_jail_memory_peak(peak), 5242880);
    close(peak);
    remove_directory(path, dir, names);
}

static void version_1_files_are_written(void **state) {
    (void)state;
    static const char *const names[] = {"memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "memory.oom_control",
                                        NULL};
    char path[] = "/tmp/sluice-cgroup-XXXXXX";
    int dir = play_directory(path, names);
    // Without memory.memsw.limit_in_bytes, as on kernels that do not account swap.
    struct sl_jail__limits limits = {.memory_mb = 64, .cpu_milli = 1, .pids = 7};
    assert_int_equal(sl_jail__v1_limit(dir, SL_JAIL__CONTROLLERS, &limits), 0);
    assert_file(dir, "memory.limit_in_bytes", "67108864");
    assert_file(dir, "pids.max", "7");
    assert_file(dir, "cpu.cfs_quota_us", "1000"); // the kernel's minimum
    assert_int_equal(sl_jail__create(dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", 0644),
                     0);
    assert_false(sl_jail__v1_oom(dir));
    assert_int_equal(sl_jail__create(dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 0644),
                     0);
    assert_true(sl_jail__v1_oom(dir));
    remove_directory(path, dir, names);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return jail_inside(argv + 2);
    const struct CMUnitTest tests[] = {
        JAIL_BOTH_ROWS(nonsense_is_refused),
        JAIL_BOTH_ROWS(a_wrong_size_ends_it),
        JAIL_BOTH_ROWS(descriptors_do_not_leak),
        cmocka_unit_test(version_2_files_are_written),
        cmocka_unit_test(version_1_files_are_written),
        cmocka_unit_test_setup_teardown(chroots_are_no_obstacle, jail_enter_chroot, jail_leave_chroot),
        cmocka_unit_test(servers_have_their_own_ids),
        cmocka_unit_test(held_control_groups_stay),
        cmocka_unit_test(a_spawner_that_cannot_start_says_so),
    };
    return cmocka_run_group_tests(tests, jail_make_code, jail_remove_code);
}
