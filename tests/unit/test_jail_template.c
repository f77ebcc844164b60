// SPDX-License-Identifier: Apache-2.0
//
// jail: templates, and the copies of them that become blanks: a Python (and a Ruby) that forks into sandboxes. As root
// and as an ordinary user.
#include "jail_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define PYTHON "/usr/bin/python3"
#define RUBY   "/usr/bin/ruby"

// A bootstrap as small as can be: forks once, then is a blank (runtimes/README.md), then does what its argument says.
static const char python_bootstrap[] = "import os, sys, struct, random, threading, subprocess\n"
                                       "try: import ssl\n"
                                       "except ImportError: ssl = None\n"
                                       "if ssl: ssl.RAND_bytes(16)\n" // so that there is a state to share
                                       "extra = os.open('/usr', os.O_RDONLY)\n"
                                       "os.fork()\n"
                                       "os.write(0, b'R')\n"
                                       "def exactly(n):\n"
                                       "    b = b''\n"
                                       "    while len(b) < n:\n"
                                       "        p = os.read(0, n - len(b))\n"
                                       "        if not p: os._exit(0)\n"
                                       "        b += p\n"
                                       "    return b\n"
                                       "magic, argc, envc, size = struct.unpack('=IIII', exactly(16))\n"
                                       "texts = exactly(size).split(b'\\0')\n"
                                       "exec(texts[3].decode())\n";

static const char ruby_bootstrap[] = "Process.fork\n"
                                     "$stdin.sysopen rescue nil\n"
                                     "io = IO.for_fd(0, 'r+b', autoclose: false); io.sync = true; io.write('R')\n"
                                     "magic, argc, envc, size = io.read(16).unpack('L4')\n"
                                     "texts = io.read(size).split(\"\\0\")\n"
                                     "eval(texts[3])\n";

struct language {
    const char *program;
    const char *option;
    const char *bootstrap;
};

static const struct language python = {PYTHON, "-c", python_bootstrap};
static const struct language ruby = {RUBY, "-e", ruby_bootstrap};

static int boot_block(const struct language *language) {
    const char *const argv[] = {language->program, language->option, language->bootstrap, NULL};
    static const char *const envp[] = {"PATH=/usr/bin:/bin", "SLUICE_TEMPLATE=1", "SLUICE_BLANK=1", NULL};
    struct sl_error err = {0};
    int fd = sl_jail_block_new(argv[0], argv, envp, &err);
    if (fd < 0) fail_msg("%s", err.message);
    return fd;
}

static void start_template(struct jail_world *world, uint32_t number, const struct language *language) {
    struct sl_error err = {0};
    int block = boot_block(language);
    assert_int_equal(sl_jail_template_start(world->client, number, block, 256, &err), 0);
    close(block);
}

// A spawner with template 1, ready.
static void open_world(struct jail_world *world, bool root, const struct language *language) {
    struct sl_jail_event event;
    struct sl_jail_config config = jail_usual();
    jail_need(access(language->program, X_OK) == 0, language->program);
    jail_world_open(world, root, &config);
    start_template(world, 1, language);
    jail_expect(world, SL_JAIL_TEMPLATE_READY, 1, &event);
}

// A blank from template 1. Its block is one that cannot be executed, so that it can only be a copy.
static void start_copy(struct jail_world *world, uint64_t id, struct sl_jail_event *ret_started) {
    struct sl_jail_event event;
    const char *const none[] = {"/none", NULL};
    struct sl_jail_spec spec = {.memory_mb = 128,
                                .code_dir_fd = -1,
                                .opt_dir_fd = -1,
                                .block_fd = jail_block_of(none),
                                .blank = true,
                                .template = 1};
    jail_start_raw(world, id, &spec);
    close(spec.block_fd);
    jail_expect(world, SL_JAIL_STARTED, id, ret_started);
    jail_expect(world, SL_JAIL_READY, id, &event);
}

static void adopt(struct jail_world *world, uint64_t id, const char *code, const struct sl_jail_spec *changes) {
    struct sl_jail_event event;
    const char *const argv[] = {"/ignored", "-", code, NULL};
    jail_adopt(world, id, argv, changes);
    jail_expect(world, SL_JAIL_ADOPTED, id, &event);
}

// Runs code in a new copy to its end; what it printed goes to text.
static void run_copy(struct jail_world *world, uint64_t id, const char *code, char *text, size_t size) {
    struct sl_jail_event started;
    struct sl_jail_event event;
    start_copy(world, id, &started);
    adopt(world, id, code, NULL);
    jail_read_log(started.log_fd, text, size);
    jail_expect(world, SL_JAIL_EXITED, id, &event);
    if (event.status != 0) fail_msg("status %x: %s", (unsigned)event.status, text);
    jail_close_event(&started);
}

static void copies_are_confined(bool root) {
    struct jail_world world = {0};
    char text[4096];
    open_world(&world, root, &python);
    run_copy(
        &world, 5,
        "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "print(*[status[k].strip() for k in ('CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs', 'Seccomp')])\n"
        "print(os.getuid() == os.geteuid() != 0, os.getgroups() in ([], [os.getgid()], [65534]))\n"
        "print([l.strip().rpartition(':')[2] for l in open('/proc/self/cgroup')].count('/') > 0)\n"
        "print(set(l.strip().rpartition(':')[2] for l in open('/proc/self/cgroup')) == {'/'})\n"
        "print(sorted(os.listdir('/var/task')), [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 3][:0])\n"
        "print(os.getsid(0) == os.getpid(), os.getppid(), os.uname().nodename)\n"
        "links = {fd: os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') if fd not in '012'\n"
        "         and os.path.exists('/proc/self/fd/' + fd)}\n"
        "print({l for l in links.values() if not l.startswith('/proc/')})\n"
        "print('LD_PRELOAD' in os.environ)\n"
        "for path in ('/proc/1/fd', '/proc/1/root'):\n"
        "    try: print(os.listdir(path))\n"
        "    except OSError: print('closed')\n"
        "try: os.setuid(0)\n"
        "except OSError: print('refused')\n",
        text, sizeof text);
    const char *expected = "0000000000000000 0000000000000000 0000000000000000 1 2\n"
                           "True True\nTrue\nTrue\n['test'] []\nTrue 0 sandbox\n{'/dev/null'}\nFalse\nclosed\nclosed\n"
                           "refused\n";
    assert_string_equal(text, expected);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void copies_are_whole_processes(bool root) {
    struct jail_world world = {0};
    char text[4096];
    open_world(&world, root, &python);
    run_copy(&world, 5,
             "found = []\n"
             "threads = [threading.Thread(target=lambda n=n: found.append(n)) for n in range(8)]\n"
             "[t.start() for t in threads]; [t.join() for t in threads]\n"
             "print(sorted(found), threading.get_native_id() == os.getpid())\n"
             "print(subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout.strip())\n"
             "pid = os.fork()\n"
             "if pid == 0: os._exit(7)\n"
             "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
             "import multiprocessing as m\n"
             "q = m.get_context('fork').SimpleQueue(); p = m.get_context('fork').Process(target=q.put, args=(5,)); "
             "p.start(); print(q.get()); p.join()\n"
             "open('/tmp/x', 'w').write('y'); print(open('/tmp/x').read())\n",
             text, sizeof text);
    assert_string_equal(text, "[0, 1, 2, 3, 4, 5, 6, 7] True\nchild\n7\n5\ny\n");
    jail_world_close(&world);
}

static void copies_draw_differently(bool root) {
    enum { COPIES = 6 };
    struct jail_world world = {0};
    char text[COPIES][256];
    open_world(&world, root, &python);
    for (unsigned i = 0; i < COPIES; i++) {
        run_copy(&world, 10 + i,
                 "print(ssl.RAND_bytes(16).hex() if ssl else os.urandom(16).hex()); print(random.random())\n"
                 "import uuid; print(uuid.uuid4())",
                 text[i], sizeof text[i]);
        char *mine = strdup(text[i]);
        for (char *rest = mine, *line; (line = strsep(&rest, "\n")) != NULL;) {
            for (unsigned k = 0; k < i && *line != '\0'; k++) assert_null(strstr(text[k], line));
        }
        free(mine);
    }
    jail_world_close(&world);
}

static void the_end_of_a_copy_is_known(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event started;
    struct sl_jail_event event;
    struct sl_error err = {0};
    open_world(&world, root, &python);
    start_copy(&world, 5, &started);
    adopt(&world, 5, "os._exit(9)", NULL);
    jail_expect(&world, SL_JAIL_EXITED, 5, &event);
    assert_int_equal(WEXITSTATUS(event.status), 9);
    jail_close_event(&started);
    // Stopped, with a tree below it.
    start_copy(&world, 6, &started);
    adopt(&world, 6,
          "subprocess.Popen(['/bin/sleep', '1000'], start_new_session=True); os.write(1, b'up\\n'); "
          "threading.Event().wait()",
          NULL);
    char text[64];
    jail_read_line(started.log_fd, text, sizeof text);
    assert_int_equal(sl_jail_stop(world.client, 6, &err), 0);
    jail_expect(&world, SL_JAIL_EXITED, 6, &event);
    assert_int_equal(WTERMSIG(event.status), SIGKILL);
    jail_read_log(started.log_fd, text, sizeof text);
    jail_close_event(&started);
    // Out of memory.
    start_copy(&world, 7, &started);
    adopt(&world, 7, "x = []\nwhile True: x.append(bytearray(1 << 20))", &(struct sl_jail_spec){.memory_mb = 64});
    jail_expect(&world, SL_JAIL_EXITED, 7, &event);
    assert_true(event.oom_killed);
    jail_close_event(&started);
    // Kept, with a further program, and told to go.
    start_copy(&world, 8, &started);
    adopt(&world, 8,
          "import signal\nsignal.signal(signal.SIGTERM, lambda *a: os._exit(3))\nos.write(1, b'up\\n')\nwhile True: "
          "signal.pause()",
          &(struct sl_jail_spec){.programs = 1, .keep = true});
    jail_read_line(started.log_fd, text, sizeof text);
    assert_int_equal(sl_jail_signal(world.client, 8, SL_JAIL_MAIN, SIGTERM, &err), 0);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 8, &event);
    assert_int_equal(event.program, SL_JAIL_MAIN);
    assert_int_equal(WEXITSTATUS(event.status), 3);
    const char *const argv[] = {"/bin/sh", "-c", "exit 2", NULL};
    struct sl_jail_program what = {.block_fd = jail_block_of(argv)};
    assert_int_equal(sl_jail_exec(world.client, 8, 1, &what, &err), 0);
    close(what.block_fd);
    jail_expect(&world, SL_JAIL_PROGRAM_STARTED, 8, &event);
    jail_expect(&world, SL_JAIL_PROGRAM_EXITED, 8, &event);
    assert_int_equal(WEXITSTATUS(event.status), 2);
    assert_int_equal(sl_jail_stop(world.client, 8, &err), 0);
    jail_expect(&world, SL_JAIL_EXITED, 8, &event);
    jail_close_event(&started);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void templates_come_and_go(bool root) {
    struct jail_world world = {0};
    struct sl_jail_event started;
    struct sl_jail_event event;
    struct sl_error err = {0};
    open_world(&world, root, &python);
    start_copy(&world, 5, &started);
    assert_int_equal(sl_jail_template_stop(world.client, 1, &err), 0);
    assert_int_equal(sl_jail_template_stop(world.client, 2, &err), 0); // none
    jail_expect(&world, SL_JAIL_TEMPLATE_ENDED, 1, &event);
    assert_int_equal(event.error, ECANCELED);
    // Its copy lives on.
    adopt(&world, 5, "os._exit(4)", NULL);
    jail_expect(&world, SL_JAIL_EXITED, 5, &event);
    assert_int_equal(WEXITSTATUS(event.status), 4);
    jail_close_event(&started);
    // Without the template blanks are executed.
    const char *const argv[] = {"/bin/sh", "-c", "echo executed", NULL};
    struct sl_jail_spec spec = {.memory_mb = 128,
                                .code_dir_fd = -1,
                                .opt_dir_fd = -1,
                                .block_fd = jail_block_of(argv),
                                .blank = true,
                                .template = 1};
    jail_start_raw(&world, 6, &spec);
    close(spec.block_fd);
    char text[64];
    jail_expect(&world, SL_JAIL_STARTED, 6, &started);
    jail_read_log(started.log_fd, text, sizeof text);
    assert_string_equal(text, "executed\n");
    jail_expect(&world, SL_JAIL_EXITED, 6, &event);
    jail_close_event(&started);
    // One that cannot be executed, one that ends at once, one that has threads when it forks.
    start_template(&world, 1, &(struct language){"/usr/bin/none", "-c", ""});
    jail_expect(&world, SL_JAIL_TEMPLATE_ENDED, 1, &event);
    assert_int_equal(event.error, ENOENT);
    assert_string_equal(event.step, "execute /usr/bin/none");
    start_template(&world, 1, &(struct language){PYTHON, "-c", "pass"});
    jail_expect(&world, SL_JAIL_TEMPLATE_ENDED, 1, &event);
    start_template(&world, 1,
                   &(struct language){PYTHON, "-c",
                                      "import os, threading\n"
                                      "t = threading.Thread(target=threading.Event().wait, daemon=True)\n"
                                      "t.start(); os.fork()"});
    jail_expect(&world, SL_JAIL_TEMPLATE_ENDED, 1, &event);
    assert_int_equal(event.error, EBUSY);
    // And the number is free again.
    start_template(&world, 1, &python);
    jail_expect(&world, SL_JAIL_TEMPLATE_READY, 1, &event);
    start_copy(&world, 7, &started);
    jail_close_event(&started);
    jail_world_close(&world); // with everything still there
    jail_assert_no_traces(world.spawner);
}

static void many_copies_at_once(bool root) {
    enum { COPIES = 12 };
    struct jail_world world = {0};
    unsigned ended = 0;
    open_world(&world, root, &python);
    const char *const none[] = {"/bin/true", NULL};
    struct sl_jail_spec spec = {.memory_mb = 128,
                                .code_dir_fd = -1,
                                .opt_dir_fd = -1,
                                .block_fd = jail_block_of(none),
                                .blank = true,
                                .template = 1};
    const char *const argv[] = {"/ignored", "-", "os._exit(0)", NULL};
    for (uint64_t id = 20; id < 20 + COPIES; id++) {
        jail_start_raw(&world, id, &spec);
        jail_adopt(&world, id, argv, NULL); // without waiting for anything
    }
    close(spec.block_fd);
    while (ended < COPIES) {
        struct sl_jail_event event;
        jail_next_event(&world, &event);
        jail_close_event(&event);
        if (event.kind == SL_JAIL_FAILED) fail_msg("%s: %s", event.step, strerror(event.error));
        if (event.kind != SL_JAIL_EXITED) continue;
        assert_int_equal(event.status, 0);
        assert_int_equal(event.error, 0);
        ended++;
    }
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

static void templates_die_with_their_spawner(bool root) {
    struct jail_world world = {0};
    struct jail_world other = {0};
    struct sl_jail_event started;
    struct sl_jail_event event;
    char text[64];
    struct sl_jail_config config = jail_usual();
    open_world(&world, root, &python);
    start_copy(&world, 5, &started);
    assert_int_equal(kill(world.spawner, SIGKILL), 0);
    jail_read_log(started.log_fd, text, sizeof text); // the copy is gone
    jail_close_event(&started);
    assert_int_equal(waitpid(world.spawner, NULL, 0), world.spawner);
    while (sl_jail_poll(world.client, &event) == 1) jail_close_event(&event);
    sl_jail_client_free(world.client);
    // The next start removes its control group, which works only when no process is left in it.
    jail_world_open(&other, root, &config);
    jail_assert_no_traces(world.spawner);
    jail_world_close(&other);
}

static void ruby_can_be_a_template(bool root) {
    struct jail_world world = {0};
    char text[2][256];
    open_world(&world, root, &ruby);
    for (unsigned i = 0; i < 2; i++) {
        run_copy(&world, 5 + i,
                 "puts rand; puts Process.uid != 0; puts `echo child`; t = Thread.new { puts 'thread' }; t.join\n"
                 "pid = Process.fork { exit 7 }; Process.wait(pid); puts $?.exitstatus; $stdout.flush",
                 text[i], sizeof text[i]);
        assert_string_equal(strchr(text[i], '\n'), "\ntrue\nchild\nthread\n7\n");
    }
    assert_string_not_equal(text[0], text[1]);
    jail_world_close(&world);
    jail_assert_no_traces(world.spawner);
}

JAIL_BOTH(copies_are_confined)
JAIL_BOTH(copies_are_whole_processes)
JAIL_BOTH(copies_draw_differently)
JAIL_BOTH(the_end_of_a_copy_is_known)
JAIL_BOTH(templates_come_and_go)
JAIL_BOTH(many_copies_at_once)
JAIL_BOTH(templates_die_with_their_spawner)
JAIL_BOTH(ruby_can_be_a_template)

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--inside") == 0) return jail_inside(argv + 2);
    const struct CMUnitTest tests[] = {
        JAIL_BOTH_ROWS(copies_are_confined),     JAIL_BOTH_ROWS(copies_are_whole_processes),
        JAIL_BOTH_ROWS(copies_draw_differently), JAIL_BOTH_ROWS(the_end_of_a_copy_is_known),
        JAIL_BOTH_ROWS(templates_come_and_go),   JAIL_BOTH_ROWS(many_copies_at_once),
        JAIL_BOTH_ROWS(ruby_can_be_a_template),  JAIL_BOTH_ROWS(templates_die_with_their_spawner),
    };
    return cmocka_run_group_tests(tests, jail_make_code, jail_remove_code);
}
