// SPDX-License-Identifier: Apache-2.0
//
// jail_world: what the tests of the jail share: a spawner to talk to, sandboxes to run things in, and a look for what
// is left on the host. The hostile function is the test program itself: it lies in the code directory, and "--inside
// <check>" makes it try one thing from within (jail_inside.c).
#ifndef SL_TESTS_JAIL_WORLD_H
#define SL_TESTS_JAIL_WORLD_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <sys/types.h>

#include "jail/jail.h"

enum { JAIL_WAIT_MS = 20000, JAIL_OUTPUT_MAX = 8192 };

struct jail_world {
    pid_t spawner;
    struct sl_jail_client *client;
    uint64_t next_id;
};

struct jail_outcome {
    bool started;
    struct sl_jail_event event; // the last one
    struct sl_jail_event first; // STARTED, its descriptors closed
    char output[JAIL_OUTPUT_MAX];
};

extern int jail_code_fd; // the code directory

// What runs inside: argv[0] is the check. Returns the exit status.
int jail_inside(char **argv);

// Skips the test when something is not there; with SLUICE_TEST_REQUIRE=1 fails it.
void jail_need(bool there, const char *what);
// A configuration for two dozen sandboxes, without network.
struct sl_jail_config jail_usual(void);
// Starts a spawner, as root or as an ordinary user.
void jail_world_open(struct jail_world *world, bool root, const struct sl_jail_config *config);
// Ends it by closing its socket, and checks its exit status.
void jail_world_close(struct jail_world *world);
int jail_block_of(const char *const argv[]);
// Asks for a sandbox; returns its id. changes may be NULL; zero fields get defaults.
uint64_t jail_start(struct jail_world *world, const char *const argv[], const struct sl_jail_spec *changes);
// The same with a block of the caller's (borrowed) and of spec only what the caller says.
void jail_start_raw(struct jail_world *world, uint64_t id, const struct sl_jail_spec *spec);
void jail_adopt(struct jail_world *world, uint64_t id, const char *const argv[], const struct sl_jail_spec *changes);
// The next event must be of this kind and, unless 0, this id.
void jail_expect(struct jail_world *world, enum sl_jail_event_kind kind, uint64_t id, struct sl_jail_event *ret_event);
void jail_close_event(struct sl_jail_event *event); // the descriptors that came with it
// Reads one line of a log into text[size], without its end.
void jail_read_line(int fd, char *text, size_t size);
void jail_next_event(struct jail_world *world, struct sl_jail_event *event);
// Reads to end-of-file, which comes only when no process of the sandbox is left.
void jail_read_log(int fd, char *text, size_t size);
// Takes the events of one sandbox to its end.
void jail_finish(struct jail_world *world, struct jail_outcome *outcome);
// start and finish; a FAILED is a failure of the test.
void jail_run(struct jail_world *world, struct jail_outcome *outcome, const char *const argv[],
              const struct sl_jail_spec *changes);
// run of /bin/sh -c script.
void jail_shell(struct jail_world *world, struct jail_outcome *outcome, const char *script);
// Runs one check of jail_inside.c in a world of its own; any complaint fails.
void jail_check_inside(bool root, const char *check, const char *argument);
// Waits until nothing of this spawner is left on the host: cgroups, processes.
void jail_assert_no_traces(pid_t spawner);
// The number of this spawner's uplink interface on the host, -1 without.
int jail_uplink(pid_t spawner);
// Group set-up and tear-down: a directory that any user can read, with this program in it as "test".
int jail_make_code(void **state);
// Set-up and tear-down of a test on a machine without version 2 control groups, in a mount namespace of its own.
// jail_has_version_1 says whether that worked.
int jail_hide_version_2(void **state);
int jail_show_version_2(void **state);
// The same in a chroot whose directory is no mount. jail_has_chroot says whether that worked.
int jail_enter_chroot(void **state);
int jail_leave_chroot(void **state);
extern bool jail_has_chroot;
extern bool jail_has_version_1;
int jail_remove_code(void **state);

#define JAIL_BOTH(body)                                                                                                \
    static void as_root_##body(void **state) {                                                                         \
        (void)state;                                                                                                   \
        body(true);                                                                                                    \
    }                                                                                                                  \
    static void as_user_##body(void **state) {                                                                         \
        (void)state;                                                                                                   \
        body(false);                                                                                                   \
    }
#define JAIL_BOTH_ROWS(body) cmocka_unit_test(as_root_##body), cmocka_unit_test(as_user_##body)

#endif
