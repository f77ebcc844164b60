// SPDX-License-Identifier: Apache-2.0
//
// jail: several programs in one sandbox, signals to them, standing still, and blanks. With real sandboxes, as root and
// as an ordinary user.
#include "jail_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static const char *const *shell_of(const char *script) {
    static const char *argv[4] = {"/bin/sh", "-c"};
    argv[2] = script;
    return argv;
}

static void exec_program(struct jail_world *world, uint64_t id, uint32_t program, const char *const argv[],
                         bool own_log) {
    struct sl_error err = {0};
    struct sl_jail_program what = {.block_fd = jail_block_of(argv), .own_log = own_log};
    if (sl_jail_exec(world->client, id, program, &what, &err) != 0) fail_msg("%s", err.message);
    close(what.block_fd);
}

static void send_signal(struct jail_world *world, uint64_t id, uint32_t program, int number) {
    struct sl_error err = {0};
    assert_int_equal(sl_jail_signal(world->client, id, program, number, &err), 0);
}

static void stop(struct jail_world *world, uint64_t id, struct sl_jail_event *ret_exited) {
    struct sl_error err = {0};
    assert_int_equal(sl_jail_stop(world->client, id, &err), 0);
    jail_expect(world, SL_JAIL_EXITED, id, ret_exited);
}

// A sandbox without a main program yet, as a server makes it for a function with extensions.
static void open_empty(struct jail_world *world, uint64_t id, uint32_t programs, bool keep,
                       struct sl_jail_event *ret_started) {
    struct sl_jail_spec spec = {.memory_mb = 256,
                                .code_dir_fd = jail_code_fd,
                                .opt_dir_fd = -1,
                                .block_fd = -1,
                                .programs = programs,
                                .keep = keep};
    jail_start_raw(world, id, &spec);
    jail_expect(world, SL_JAIL_STARTED, id, ret_started);
}

// ---- programs ----

static void programs_share_a_sandbox(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    char text[256];
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    open_empty(&world, 1, 2, false, &sandbox);
    exec_program(&world, 1, 1, shell_of("id -u > /tmp/uid; echo first >&2; read x < /tmp/never || sleep 1000"), true);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    assert_int_equal(event.program, 1);
    assert_true(event.log_fd >= 0);
    jail_read_line(event.log_fd, text, sizeof text);
    assert_string_equal(text, "first");
    int first_log = event.log_fd;
    // The second writes where the main program writes, and ends by itself.
    exec_program(&world, 1, 2, shell_of("echo second; exit 3"), false);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    assert_int_equal(event.program, 2);
    assert_int_equal(event.log_fd, -1);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 1, &event);
    assert_int_equal(event.program, 2);
    assert_int_equal(WEXITSTATUS(event.status), 3);
    jail_read_line(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "second");
    // The main program is the same user in the same place. Its end is the end of all.
    exec_program(&world, 1, SL_JAIL_MAIN,
                 shell_of("test $(cat /tmp/uid) = $(id -u) && kill -0 3; echo main $?; exit 7"), false);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    assert_int_equal(event.program, SL_JAIL_MAIN);
    jail_expect(&world, SL_JAIL_EXITED, 1, &event);
    assert_int_equal(WEXITSTATUS(event.status), 7);
    jail_read_line(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "main 0");
    jail_read_log(first_log, text, sizeof text); // to end-of-file: nobody is left
    close(first_log);
    jail_close_event(&sandbox);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void a_kept_sandbox_outlives_its_main_program(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    char text[64];
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "exit 4", NULL};
    uint64_t id = jail_start(&world, argv, &(struct sl_jail_spec){.programs = 1, .keep = true});
    jail_expect(&world, SL_JAIL_STARTED, id, &sandbox);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, id, &event);
    assert_int_equal(event.program, SL_JAIL_MAIN);
    assert_int_equal(WEXITSTATUS(event.status), 4);
    exec_program(&world, id, 1, shell_of("trap 'echo told; exit 0' TERM; echo up; sleep 1000 & wait"), false);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, id, &event);
    jail_read_line(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "up");
    send_signal(&world, id, SL_JAIL_ALL, SIGTERM); // the shutdown phase
    jail_read_line(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "told");
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, id, &event);
    assert_int_equal(event.program, 1);
    assert_int_equal(event.status, 0);
    stop(&world, id, &event);
    assert_int_equal(WEXITSTATUS(event.status), 4); // still the main program's
    jail_close_event(&sandbox);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void signals_reach_the_main_program(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event event;
    char text[64];
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "trap 'exit 9' TERM; echo up; sleep 1000 & wait", NULL};
    uint64_t id = jail_start(&world, argv, NULL);
    jail_expect(&world, SL_JAIL_STARTED, id, &event);
    jail_read_line(event.log_fd, text, sizeof text);
    send_signal(&world, id, 5, SIGKILL); // no such program
    send_signal(&world, 77, SL_JAIL_ALL, SIGKILL);
    send_signal(&world, id, SL_JAIL_MAIN, 12345);
    send_signal(&world, id, SL_JAIL_MAIN, SIGTERM);
    jail_close_event(&event);
    jail_expect(&world, SL_JAIL_EXITED, id, &event);
    assert_int_equal(WEXITSTATUS(event.status), 9);
    jail_world_close(&world);
}

static void expect_program_failed(struct jail_world *world, uint32_t program, int error) {
    struct sl_jail_event event;
    jail_expect(world, SL_JAIL_PROGRAM_FAILED, 1, &event);
    assert_int_equal(event.program, program);
    if (event.error != error) fail_msg("%s: %s", event.step, strerror(event.error));
}

static void a_program_that_fails_harms_nobody(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    open_empty(&world, 1, 2, false, &sandbox);
    const char *const missing[] = {"/opt/extensions/none", NULL};
    exec_program(&world, 1, 1, missing, true);
    expect_program_failed(&world, 1, ENOENT);
    exec_program(&world, 1, 1, shell_of("exit 0"), false); // its process is used up
    expect_program_failed(&world, 1, EINVAL);
    exec_program(&world, 1, 3, shell_of("exit 0"), false); // there are only two
    expect_program_failed(&world, 3, EINVAL);
    exec_program(&world, 99, 1, shell_of("exit 0"), false); // no such sandbox: no answer
    exec_program(&world, 1, 2, shell_of("exit 0"), false);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 1, &event);
    exec_program(&world, 1, SL_JAIL_MAIN, missing, false);
    expect_program_failed(&world, SL_JAIL_MAIN, ENOENT);
    stop(&world, 1, &event);
    jail_close_event(&sandbox);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

// What waits to become a program has no privilege that the function could get hold of, can be killed by it, and that is
// all.
static void waiting_processes_are_harmless(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    char text[512];
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    open_empty(&world, 1, 2, true, &sandbox);
    const char *script =
        "kill -9 3 && echo killed; cat /proc/4/environ /proc/4/mem 2>/dev/null; ls /proc/4/fd /proc/1/fd "
        "2>/dev/null; kill -9 1 2>/dev/null; echo done";
    exec_program(&world, 1, SL_JAIL_MAIN, shell_of(script), true);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    jail_read_log(event.log_fd, text, sizeof text);
    close(event.log_fd);
    assert_string_equal(text, "killed\ndone\n");
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 1, &event);
    exec_program(&world, 1, 1, shell_of("exit 0"), false);
    jail_next_event(&world, &event);
    if (event.kind == SL_JAIL_PROGRAM_STARTED) { // it took its order along into its death
        jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 1, &event);
        assert_int_equal(WTERMSIG(event.status), SIGKILL);
    } else {
        assert_int_equal(event.kind, SL_JAIL_PROGRAM_FAILED);
    }
    assert_int_equal(event.program, 1);
    const char *const check[] = {"/var/task/test", "--inside", "privileges", NULL};
    exec_program(&world, 1, 2, check, true);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 1, &event);
    jail_read_log(event.log_fd, text, sizeof text);
    close(event.log_fd);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 1, &event);
    if (event.status != 0) fail_msg("status %x: %s", (unsigned)event.status, text);
    stop(&world, 1, &event);
    jail_close_event(&sandbox);
    jail_world_close(&world);
}

// A socket for the server that connects inside the sandbox, e.g. to the Runtime API's own port.
static void connectors_are_inside(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    struct sl_error err = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SL_JAIL_PORT)};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    uint64_t id = jail_start(&world, argv, NULL);
    jail_expect(&world, SL_JAIL_STARTED, id, &sandbox);
    assert_int_equal(sl_jail_connector(world.client, 4711, &err), 0); // no answer
    assert_int_equal(sl_jail_connector(world.client, id, &err), 0);
    jail_expect(&world, SL_JAIL_CONNECTOR, id, &event);
    assert_true(event.connector_fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int rc = connect(event.connector_fd, (struct sockaddr *)&address, sizeof address);
    assert_true(rc == 0 || errno == EINPROGRESS);
    struct pollfd wait = {.fd = sandbox.listen_fd[0], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, JAIL_WAIT_MS), 1);
    int accepted = accept(sandbox.listen_fd[0], NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
    jail_close_event(&event);
    stop(&world, id, &event);
    jail_close_event(&sandbox);
    jail_shell(&world, &outcome, "exit 0");
    jail_world_close(&world);
}

JAIL_BOTH(connectors_are_inside)
JAIL_BOTH(programs_share_a_sandbox)
JAIL_BOTH(a_kept_sandbox_outlives_its_main_program)
JAIL_BOTH(signals_reach_the_main_program)
JAIL_BOTH(a_program_that_fails_harms_nobody)
JAIL_BOTH(waiting_processes_are_harmless)

// ---- standing still ----

// Reads what there is; true when something came within ms.
static bool is_loud(int fd, int ms) {
    char text[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    bool loud = poll(&wait, 1, ms) == 1;
    while (read(fd, text, sizeof text) > 0) {}
    return loud;
}

static void freeze_and_kill(void) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, true, &config);
    const char *const argv[] = {"/bin/sh", "-c", "(while :; do echo child; done) & while :; do echo tick; done", NULL};
    uint64_t id = jail_start(&world, argv, NULL);
    jail_expect(&world, SL_JAIL_STARTED, id, &sandbox);
    jail_need(sandbox.freeze_fd >= 0, "a freezer");
    for (int i = 0; i < 3; i++) {
        assert_true(is_loud(sandbox.log_fd, JAIL_WAIT_MS));
        assert_int_equal(sl_jail_freeze(sandbox.freeze_fd, true), 0);
        int waited = 0;
        while (is_loud(sandbox.log_fd, 100) && waited < JAIL_WAIT_MS) waited += 100;
        assert_true(waited < JAIL_WAIT_MS);
        assert_int_equal(sl_jail_freeze(sandbox.freeze_fd, false), 0);
    }
    assert_true(is_loud(sandbox.log_fd, JAIL_WAIT_MS));
    assert_int_equal(sl_jail_freeze(sandbox.freeze_fd, true), 0);
    stop(&world, id, &event); // although it stands still
    assert_int_equal(sl_jail_freeze(-1, true), -1);
    jail_close_event(&sandbox);
    // And what is frozen does not survive its spawner either.
    id = jail_start(&world, argv, NULL);
    jail_expect(&world, SL_JAIL_STARTED, id, &sandbox);
    assert_int_equal(sl_jail_freeze(sandbox.freeze_fd, true), 0);
    jail_world_close(&world);
    char text[64];
    jail_read_log(sandbox.log_fd, text, sizeof text);
    jail_close_event(&sandbox);
    jail_assert_no_traces(world.spawner);
}

static void frozen_sandboxes_stand_still(void **state) {
    (void)state;
    freeze_and_kill();
}

static void frozen_sandboxes_stand_still_version_1(void **state) {
    (void)state;
    jail_need(jail_has_version_1, "root and version 1 control groups");
    freeze_and_kill();
}

// ---- blanks ----

static const char *const blank_argv[] = {"/var/runtime/test", "--inside", "blank", NULL};

// A spawner whose runtimes folder has the test program, and a blank made of it.
static void open_blank(struct jail_world *world, bool root, uint64_t id, struct sl_jail_event *ret_started) {
    struct sl_jail_config config = jail_usual();
    config.runtimes_dir_fd = jail_code_fd;
    jail_world_open(world, root, &config);
    struct sl_jail_spec spec = {
        .memory_mb = 128, .code_dir_fd = -1, .opt_dir_fd = -1, .block_fd = jail_block_of(blank_argv), .blank = true};
    jail_start_raw(world, id, &spec);
    close(spec.block_fd);
    if (ret_started != NULL) jail_expect(world, SL_JAIL_STARTED, id, ret_started);
}

static void a_blank_becomes_a_function(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    char text[512];
    open_blank(&world, root, 5, &sandbox);
    jail_expect(&world, SL_JAIL_READY, 5, &event);
    jail_read_line(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "empty");
    jail_adopt(&world, 5, shell_of("echo $COLOUR; pwd; ls /opt; df -m /tmp | awk 'END {print $2}'; exit 6"),
               &(struct sl_jail_spec){.opt_dir_fd = jail_code_fd, .tmp_mb = 7, .programs = 1});
    jail_expect(&world, SL_JAIL_ADOPTED, 5, &event);
    jail_expect(&world, SL_JAIL_EXITED, 5, &event);
    assert_int_equal(WEXITSTATUS(event.status), 6);
    assert_int_equal(event.error, 0);
    jail_read_log(sandbox.log_fd, text, sizeof text);
    assert_string_equal(text, "blue\n/var/task\ntest\n7\n");
    jail_close_event(&sandbox);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

// Nothing has to be waited for; what was a blank has no more rights than any function, and its limits.
static void an_adopted_blank_is_confined(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    char text[1024];
    open_blank(&world, root, 5, NULL);
    const char *const check[] = {"/var/task/test", "--inside", "privileges", NULL};
    jail_adopt(&world, 5, check, NULL);
    jail_expect(&world, SL_JAIL_STARTED, 5, &sandbox);
    do jail_next_event(&world, &event);
    while (event.kind == SL_JAIL_READY); // may have been overtaken
    assert_int_equal(event.kind, SL_JAIL_ADOPTED);
    jail_expect(&world, SL_JAIL_EXITED, 5, &event);
    jail_read_log(sandbox.log_fd, text, sizeof text);
    if (event.status != 0) fail_msg("status %x: %s", (unsigned)event.status, text);
    jail_close_event(&sandbox);

    struct sl_jail_spec spec = {
        .memory_mb = 512, .code_dir_fd = -1, .opt_dir_fd = -1, .block_fd = jail_block_of(blank_argv), .blank = true};
    jail_start_raw(&world, 6, &spec);
    jail_expect(&world, SL_JAIL_STARTED, 6, &sandbox);
    jail_expect(&world, SL_JAIL_READY, 6, &event);
    const char *const hungry[] = {"/var/task/test", "--inside", "memory", NULL};
    jail_adopt(&world, 6, hungry, &(struct sl_jail_spec){.memory_mb = 64});
    jail_expect(&world, SL_JAIL_ADOPTED, 6, &event);
    jail_expect(&world, SL_JAIL_EXITED, 6, &event);
    assert_true(event.oom_killed);
    jail_close_event(&sandbox);
    close(spec.block_fd);
    jail_world_close(&world);
}

static void a_blank_that_cannot_be_adopted_ends(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    struct sl_error err = {0};
    open_blank(&world, root, 5, &sandbox);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    jail_adopt(&world, 5, shell_of("exit 0"), &(struct sl_jail_spec){.code_dir_fd = file});
    do jail_next_event(&world, &event);
    while (event.kind == SL_JAIL_READY);
    assert_int_equal(event.kind, SL_JAIL_EXITED);
    assert_int_equal(event.error, ENOTDIR);
    assert_string_equal(event.step, "take the code directory");
    jail_close_event(&sandbox);
    // A block too large for a blank, and a stop before any adoption.
    char *huge = calloc(1, 100000);
    memset(huge, 'x', 99999);
    struct sl_jail_spec spec = {
        .memory_mb = 128, .code_dir_fd = -1, .opt_dir_fd = -1, .block_fd = jail_block_of(blank_argv), .blank = true};
    jail_start_raw(&world, 6, &spec);
    jail_expect(&world, SL_JAIL_STARTED, 6, &sandbox);
    jail_expect(&world, SL_JAIL_READY, 6, &event);
    jail_adopt(&world, 6, shell_of(huge), NULL);
    jail_expect(&world, SL_JAIL_EXITED, 6, &event);
    assert_int_equal(event.error, E2BIG);
    free(huge);
    jail_close_event(&sandbox);
    jail_start_raw(&world, 7, &spec);
    jail_expect(&world, SL_JAIL_STARTED, 7, &sandbox);
    jail_expect(&world, SL_JAIL_READY, 7, &event);
    exec_program(&world, 7, 0, shell_of("exit 0"), false); // it is not a function's yet
    jail_expect(&world, SL_JAIL_PROGRAM_FAILED, 7, &event);
    stop(&world, 7, &event);
    assert_int_equal(event.error, 0);
    jail_close_event(&sandbox);
    spec.code_dir_fd = jail_code_fd;
    assert_int_equal(sl_jail_start(world.client, 8, &spec, &err), SL_E_INVALID);
    close(spec.block_fd);
    close(file);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void a_running_function_is_never_adopted(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event sandbox;
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    uint64_t id = jail_start(&world, argv, NULL);
    jail_expect(&world, SL_JAIL_STARTED, id, &sandbox);
    jail_adopt(&world, id, shell_of("exit 0"), NULL);
    jail_adopt(&world, 999, shell_of("exit 0"), NULL);
    stop(&world, id, &event); // nothing came in between
    jail_close_event(&sandbox);
    jail_world_close(&world);
}

JAIL_BOTH(a_blank_becomes_a_function)
JAIL_BOTH(an_adopted_blank_is_confined)
JAIL_BOTH(a_blank_that_cannot_be_adopted_ends)
JAIL_BOTH(a_running_function_is_never_adopted)

// ---- extensions ----

static void extensions_are_listed_by_name(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-layer-XXXXXX";
    char names[3][SL_JAIL_EXTENSION_NAME];
    struct sl_error err = {0};
    assert_non_null(mkdtemp(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sl_jail_extensions(dir, names, 3, &err), 0); // no folder
    assert_int_equal(mkdirat(dir, "extensions", 0755), 0);
    static const char *const files[] = {"extensions/zebra", "extensions/ant", "extensions/monkey"};
    for (size_t i = 0; i < 3; i++) close(openat(dir, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    assert_int_equal(mkdirat(dir, "extensions/folder", 0755), 0);
    assert_int_equal(sl_jail_extensions(dir, names, 3, &err), 3);
    assert_string_equal(names[0], "ant");
    assert_string_equal(names[1], "monkey");
    assert_string_equal(names[2], "zebra");
    assert_int_equal(sl_jail_extensions(dir, names, 2, &err), -1);
    assert_int_equal(err.kind, SL_E_LIMIT);
    for (size_t i = 0; i < 3; i++) unlinkat(dir, files[i], 0);
    unlinkat(dir, "extensions/folder", AT_REMOVEDIR);
    unlinkat(dir, "extensions", AT_REMOVEDIR);
    assert_int_equal(symlinkat("/etc", dir, "extensions"), 0); // is not followed
    assert_int_equal(sl_jail_extensions(dir, names, 3, &err), 0);
    unlinkat(dir, "extensions", 0);
    close(dir);
    rmdir(path);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return jail_inside(argv + 2);
    const struct CMUnitTest tests[] = {
        JAIL_BOTH_ROWS(connectors_are_inside),
        JAIL_BOTH_ROWS(programs_share_a_sandbox),
        JAIL_BOTH_ROWS(a_kept_sandbox_outlives_its_main_program),
        JAIL_BOTH_ROWS(signals_reach_the_main_program),
        JAIL_BOTH_ROWS(a_program_that_fails_harms_nobody),
        JAIL_BOTH_ROWS(waiting_processes_are_harmless),
        cmocka_unit_test(frozen_sandboxes_stand_still),
        cmocka_unit_test_setup_teardown(frozen_sandboxes_stand_still_version_1, jail_hide_version_2,
                                        jail_show_version_2),
        JAIL_BOTH_ROWS(a_blank_becomes_a_function),
        JAIL_BOTH_ROWS(an_adopted_blank_is_confined),
        JAIL_BOTH_ROWS(a_blank_that_cannot_be_adopted_ends),
        JAIL_BOTH_ROWS(a_running_function_is_never_adopted),
        cmocka_unit_test(extensions_are_listed_by_name),
    };
    return cmocka_run_group_tests(tests, jail_make_code, jail_remove_code);
}
