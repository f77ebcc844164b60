// SPDX-License-Identifier: Apache-2.0
//
// What the store acknowledged survives kill -9. A hundred times a child opens the store and several of its threads
// append events; each acknowledgement goes through a pipe. After a random number of them the child is killed, the store
// is opened again, and every acknowledged event must be there, whole. Then all events are removed, and must stay
// removed over the next kill.
#include "store_fixture.h"

#include "base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 100, WRITERS = 4, MOST_ACKNOWLEDGED = 120 };

// What an event says of itself, so that a torn one would be seen.
struct mark {
    int round, writer, number;
};

// --- the child ---

struct writer {
    struct sl_store_job job;
    struct sl_store *store;
    struct mark mark;
    int pipe;
    pthread_t thread;
};

static size_t payload_of(const struct mark *mark, char *out, size_t size) {
    // Of every length up to several pages.
    size_t filler = (size_t)(mark->round * 131 + mark->number * 977) % 9000;
    int head = snprintf(out, size, "\"%d/%d/%d ", mark->round, mark->writer, mark->number);
    memset(out + head, 'a' + mark->number % 26, filler);
    out[(size_t)head + filler] = '"';
    return (size_t)head + filler + 1;
}

static int append_event(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct writer *writer = SL_CONTAINER(job, struct writer, job);
    char payload[10000];
    struct sl_event event = {.function = SL_STR("f"), .due_ms = writer->mark.number};
    event.payload = sl_str_n(payload, payload_of(&writer->mark, payload, sizeof payload));
    snprintf(event.request_id, sizeof event.request_id, "%d/%d/%d", writer->mark.round, writer->mark.writer,
             writer->mark.number);
    return sl_event_append(tx, &event, err);
}

static void *write_forever(void *user) {
    struct writer *writer = user;
    for (;; writer->mark.number++) {
        writer->job = (struct sl_store_job){.run = append_event};
        if (sl_store_run(writer->store, &writer->job, NULL)) _exit(3);
        if (write(writer->pipe, &writer->mark, sizeof writer->mark) != sizeof writer->mark) _exit(4);
    }
    return NULL;
}

static _Noreturn void child(int dir, int pipe, int round) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sl_store_config config = {.data_dir = dir, .max_jobs = 100};
    struct sl_store *store;
    struct sl_error err;
    static struct writer writers[WRITERS];
    if (sl_store_open(&store, &config, &err)) {
        fprintf(stderr, "%s\n", err.message);
        _exit(2);
    }
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = store, .pipe = pipe, .mark = {.round = round, .writer = i}};
        if (pthread_create(&writers[i].thread, NULL, write_forever, &writers[i])) _exit(5);
    }
    for (;;) pause();
}

// --- the parent ---

struct found {
    struct sl_store_job job;
    struct sl_arena arena;
    struct sl_event *events;
    unsigned count;
};

static int load_all(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct found *found = SL_CONTAINER(job, struct found, job);
    return sl_event_load(tx, &found->arena, 0, 10000, &found->events, &found->count, err);
}

static int remove_all(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct found *found = SL_CONTAINER(job, struct found, job);
    int result = 0;
    for (unsigned i = 0; i < found->count && !result; i++) result = sl_event_remove(tx, found->events[i].id, 0, err);
    return result;
}

static int kill_after(pid_t pid, int pipe, int wanted, struct mark *marks) {
    int count = 0;
    while (count < wanted && read(pipe, &marks[count], sizeof *marks) == sizeof *marks) count++;
    kill(pid, SIGKILL);
    // What was acknowledged between the last read and the kill counts too.
    while (count < 2 * MOST_ACKNOWLEDGED + 1000 && read(pipe, &marks[count], sizeof *marks) == sizeof *marks) count++;
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status)) fail_msg("the writer ended by itself with %d", WEXITSTATUS(status));
    return count;
}

static void must_be_whole(const struct sl_event *event, int round) {
    struct mark mark;
    char payload[10000];
    assert_int_equal(sscanf(event->request_id, "%d/%d/%d", &mark.round, &mark.writer, &mark.number), 3);
    assert_int_equal(mark.round, round); // earlier ones were removed
    size_t length = payload_of(&mark, payload, sizeof payload);
    assert_int_equal(event->payload.len, length);
    assert_memory_equal(event->payload.ptr, payload, length);
}

static void must_contain(const struct found *found, const struct mark *mark) {
    char id[40];
    snprintf(id, sizeof id, "%d/%d/%d", mark->round, mark->writer, mark->number);
    for (unsigned i = 0; i < found->count; i++) {
        if (strcmp(found->events[i].request_id, id) == 0) return;
    }
    fail_msg("acknowledged and lost: %s", id);
}

static void one_round(int dir, int round) {
    static struct mark marks[2 * MOST_ACKNOWLEDGED + 1000];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) child(dir, ends[1], round);
    assert_true(pid > 0);
    close(ends[1]);
    uint32_t random;
    sl_random_bytes(&random, sizeof random);
    int acknowledged = kill_after(pid, ends[0], (int)(random % MOST_ACKNOWLEDGED), marks);
    close(ends[0]);

    struct sl_store_config config = {.data_dir = dir, .max_jobs = 10};
    struct sl_store *store;
    struct sl_error err = {0};
    struct found found = {.job = {.run = load_all, .read_only = true}};
    sl_arena_init(&found.arena, 64 << 20);
    if (sl_store_open(&store, &config, &err)) fail_msg("%s", err.message);
    if (sl_store_run(store, &found.job, &err)) fail_msg("%s", err.message);
    for (unsigned i = 0; i < found.count; i++) must_be_whole(&found.events[i], round);
    for (int i = 0; i < acknowledged; i++) must_contain(&found, &marks[i]);
    found.job = (struct sl_store_job){.run = remove_all};
    if (sl_store_run(store, &found.job, &err)) fail_msg("%s", err.message);
    sl_store_close(store);
    sl_arena_free(&found.arena);
}

static void nothing_acknowledged_is_lost_by_kill_9(void **state) {
    (void)state;
    char path[64];
    assert_true(make_temporary(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (int round = 0; round < ROUNDS; round++) one_round(dir, round);
    close(dir);
    assert_true(remove_temporary(path));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost_by_kill_9)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
