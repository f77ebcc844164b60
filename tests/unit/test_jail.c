// SPDX-License-Identifier: Apache-2.0
//
// jail: the life of sandboxes, from the server's side of jail.h, with real ones: start, output, status, stop, failures,
// deaths of server and spawner, and what is left afterwards. As root and as an ordinary user.
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

static void output_and_status(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    jail_shell(&world, &outcome, "echo out; echo err >/dev/stderr; echo $COLOUR; pwd; exit 7");
    assert_string_equal(outcome.output, "out\nerr\nblue\n/var/task\n");
    assert_true(WIFEXITED(outcome.event.status));
    assert_int_equal(WEXITSTATUS(outcome.event.status), 7);
    assert_false(outcome.event.oom_killed);
    assert_true(outcome.event.memory_peak > 0);
    jail_shell(&world, &outcome, "kill -TERM $$");
    assert_true(WIFSIGNALED(outcome.event.status));
    assert_int_equal(WTERMSIG(outcome.event.status), SIGTERM);
    jail_world_close(&world);
}

// The listener that a function inside connects to with this check works, and is of no use after its end.
static void api_socket(struct jail_world *world, const char *check, int which) {
    struct sl_jail_event event, end;
    char text[64] = "";
    const char *const argv[] = {"/var/task/test", "--inside", check, NULL};
    (void)jail_start(world, argv, NULL);
    jail_next_event(world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    struct pollfd wait = {.fd = event.listen_fd[which], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, JAIL_WAIT_MS), 1);
    int connection = accept(event.listen_fd[which], NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(read(connection, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(write(connection, "welcome", 7), 7);
    close(connection);
    jail_read_log(event.log_fd, text, sizeof text);
    assert_string_equal(text, "welcome\n");
    jail_next_event(world, &end);
    assert_int_equal(end.kind, SL_JAIL_EXITED);
    // No hindrance to the next sandbox in the same namespace, although still open here.
    assert_int_equal(accept(event.listen_fd[which], NULL, NULL), -1);
    assert_true(errno == EINVAL || errno == EAGAIN);
    for (int i = 0; i < 6; i++) {
        struct jail_outcome outcome;
        jail_shell(world, &outcome, "exit 0");
    }
    jail_close_event(&event);
}

static void api_sockets(bool root) {
    struct jail_world world = {0};
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    api_socket(&world, "api", SL_JAIL_LISTEN_TCP);
    api_socket(&world, "local", SL_JAIL_LISTEN_UNIX);
    api_socket(&world, "door", SL_JAIL_LISTEN_DOOR);
    jail_world_close(&world);
}

static void layers_and_runtimes(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
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
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c",
                                "cat /opt/data /var/runtime/data; echo x 2>/dev/null > /opt/y || echo closed", NULL};
    jail_run(&world, &outcome, argv, &(struct sl_jail_spec){.opt_dir_fd = layer});
    assert_string_equal(outcome.output, "layer\nlayer\nclosed\n");
    jail_world_close(&world);
    close(layer);
    unlink(file);
    rmdir(path);
}

static void cpu_can_be_changed(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    struct sl_error err = {0};
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "echo fine", NULL};
    uint64_t id = jail_start(&world, argv, &(struct sl_jail_spec){.cpu_milli = 500});
    assert_int_equal(sl_jail_set_cpu(world.client, id, 72, &err), 0);
    assert_int_equal(sl_jail_set_cpu(world.client, 999, 72, &err), 0);
    jail_finish(&world, &outcome);
    assert_string_equal(outcome.output, "fine\n");
    jail_world_close(&world);
}

static void daemons_die(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/var/task/test", "--inside", "daemon", NULL};
    jail_run(&world, &outcome, argv, NULL); // reads the log to its end, which the daemon holds open
    assert_int_equal(WEXITSTATUS(outcome.event.status), 5);
    assert_string_equal(outcome.output, "left\n");
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void stop_kills_the_tree(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    struct sl_error err;
    char text[64];
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c",
                                "trap '' TERM INT; sleep 1000 & (setsid sleep 1000 &) ; echo up; sleep 1000", NULL};
    uint64_t id = jail_start(&world, argv, NULL);
    jail_next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    struct pollfd up = {.fd = event.log_fd, .events = POLLIN};
    assert_int_equal(poll(&up, 1, JAIL_WAIT_MS), 1);
    int log = event.log_fd;
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) close(event.listen_fd[i]);
    if (event.memory_fd >= 0) {
        assert_true(sl_jail_memory_peak(event.memory_fd) >= 0);
        close(event.memory_fd);
    }
    assert_int_equal(sl_jail_stop(world.client, id, &err), 0);
    assert_int_equal(sl_jail_stop(world.client, 123456, &err), 0); // unknown: ignored
    jail_next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_EXITED);
    assert_int_equal(event.id, id);
    assert_true(WIFSIGNALED(event.status));
    assert_int_equal(WTERMSIG(event.status), SIGKILL);
    jail_read_log(log, text, sizeof text); // end-of-file: nobody left
    close(log);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void expect_failure(struct jail_world *world, int error, const char *step) {
    struct sl_jail_event event;
    jail_next_event(world, &event);
    assert_int_equal(event.kind, SL_JAIL_FAILED);
    if (event.error != error || strcmp(event.step, step) != 0) fail_msg("%s: %s", event.step, strerror(event.error));
}

static void bad_requests(bool root) {
    struct jail_world world = {0};
    struct jail_outcome outcome;
    struct sl_jail_config config = jail_usual();
    struct sl_error err = {0};
    jail_world_open(&world, root, &config);
    const char *const missing[] = {"/var/task/none", NULL};
    const char *const fine[] = {"/bin/true", NULL};
    (void)jail_start(&world, missing, NULL);
    expect_failure(&world, ENOENT, "execute /var/task/none");
    (void)jail_start(&world, fine, &(struct sl_jail_spec){.memory_mb = 1});
    expect_failure(&world, EINVAL, "check the request");

    int block = jail_block_of(fine);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct sl_jail_spec spec = {.memory_mb = 128, .code_dir_fd = file, .opt_dir_fd = -1, .block_fd = block};
    assert_int_equal(sl_jail_start(world.client, 77, &spec, &err), 0);
    expect_failure(&world, ENOTDIR, "take the code directory");
    spec.code_dir_fd = jail_code_fd;
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
    jail_shell(&world, &outcome, "echo fine"); // and all that has harmed nobody
    assert_string_equal(outcome.output, "fine\n");
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void instances_are_limited(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    config.max_instances = 2;
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct sl_error err;
    struct sl_jail_event running[2];
    for (int i = 0; i < 2; i++) {
        (void)jail_start(&world, argv, NULL);
        jail_next_event(&world, &running[i]);
        assert_int_equal(running[i].kind, SL_JAIL_STARTED);
    }
    (void)jail_start(&world, argv, NULL);
    expect_failure(&world, EAGAIN, "find a free slot");
    world.next_id = 1; // in use
    (void)jail_start(&world, argv, NULL);
    expect_failure(&world, EEXIST, "check the request");
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(sl_jail_stop(world.client, id, &err), 0);
        jail_next_event(&world, &event);
        assert_int_equal(event.kind, SL_JAIL_EXITED);
        jail_close_event(&running[id - 1]);
    }
    struct jail_outcome outcome;
    world.next_id = 1; // free again
    jail_shell(&world, &outcome, "echo fine");
    jail_world_close(&world);
}

static void many_at_once(bool root) {
    struct jail_world world = {0};
    struct sl_jail_config config = jail_usual();
    enum { COUNT = 20 };
    int started = 0;
    int ended = 0;
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/true", NULL};
    for (int i = 0; i < COUNT; i++) (void)jail_start(&world, argv, NULL);
    while (ended < COUNT) {
        struct sl_jail_event event;
        jail_next_event(&world, &event);
        if (event.kind == SL_JAIL_FAILED) fail_msg("%s: %s", event.step, strerror(event.error));
        if (event.kind == SL_JAIL_STARTED) {
            started++;
            jail_close_event(&event);
        } else {
            assert_int_equal(event.status, 0);
            ended++;
        }
    }
    assert_int_equal(started, COUNT);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void server_death_ends_everything(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    char text[64];
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo up; wait", NULL};
    (void)jail_start(&world, argv, NULL);
    jail_next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    jail_world_close(&world); // closes the socket, as the death of the server does
    jail_read_log(event.log_fd, text, sizeof text);
    close(event.log_fd);
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) close(event.listen_fd[i]);
    jail_assert_no_traces(world.spawner);
}

static void spawner_death_ends_everything(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    char text[64];
    struct sl_error err = {0};
    jail_world_open(&world, root, &config);
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo up; wait", NULL};
    (void)jail_start(&world, argv, NULL);
    jail_next_event(&world, &event);
    assert_int_equal(event.kind, SL_JAIL_STARTED);
    int log = event.log_fd;
    for (unsigned i = 0; i < SL_JAIL_LISTENERS; i++) close(event.listen_fd[i]);
    assert_int_equal(kill(world.spawner, SIGKILL), 0);
    jail_read_log(log, text, sizeof text); // the sandbox died with it
    close(log);
    struct pollfd gone = {.fd = sl_jail_client_fd(world.client), .events = POLLIN};
    assert_int_equal(poll(&gone, 1, JAIL_WAIT_MS), 1); // a sandbox being built holds the socket for a moment longer
    assert_int_equal(sl_jail_poll(world.client, &event), -1);
    assert_int_equal(sl_jail_stop(world.client, 1, &err), SL_E_UNAVAILABLE);
    sl_jail_client_free(world.client);
    pid_t dead = world.spawner;
    // The next start removes what a killed spawner could not, and leaves a living one alone.
    struct jail_world other = {0};
    jail_world_open(&other, root, &config);
    struct jail_outcome outcome;
    jail_shell(&other, &outcome, "echo fine");
    jail_assert_no_traces(dead);
    assert_int_equal(waitpid(dead, NULL, 0), dead); // not before: a zombie is no living owner
    jail_world_open(&world, root, &config);
    jail_shell(&world, &outcome, "echo fine");
    jail_shell(&other, &outcome, "echo fine");
    assert_string_equal(outcome.output, "fine\n");
    jail_world_close(&other);
    jail_shell(&world, &outcome, "echo fine");
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
    jail_assert_no_traces(other.spawner);
}

JAIL_BOTH(output_and_status)
JAIL_BOTH(api_sockets)
JAIL_BOTH(layers_and_runtimes)
JAIL_BOTH(cpu_can_be_changed)
JAIL_BOTH(daemons_die)
JAIL_BOTH(stop_kills_the_tree)
JAIL_BOTH(bad_requests)
JAIL_BOTH(instances_are_limited)
JAIL_BOTH(many_at_once)
JAIL_BOTH(server_death_ends_everything)
JAIL_BOTH(spawner_death_ends_everything)

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

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return jail_inside(argv + 2);
    const struct CMUnitTest tests[] = {
        JAIL_BOTH_ROWS(output_and_status),
        JAIL_BOTH_ROWS(api_sockets),
        JAIL_BOTH_ROWS(layers_and_runtimes),
        JAIL_BOTH_ROWS(cpu_can_be_changed),
        JAIL_BOTH_ROWS(daemons_die),
        JAIL_BOTH_ROWS(stop_kills_the_tree),
        JAIL_BOTH_ROWS(bad_requests),
        JAIL_BOTH_ROWS(instances_are_limited),
        JAIL_BOTH_ROWS(many_at_once),
        JAIL_BOTH_ROWS(server_death_ends_everything),
        JAIL_BOTH_ROWS(spawner_death_ends_everything),
        cmocka_unit_test(blocks_are_bounded),
        cmocka_unit_test(cpu_follows_memory),
        cmocka_unit_test(probe_answers_every_row),
    };
    return cmocka_run_group_tests(tests, jail_make_code, jail_remove_code);
}
